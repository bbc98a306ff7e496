//! Recorded cases: what the query language and the database must answer.
//!
//! A file holds one case a line, as JSON; the folder `data` says what the cases of each suite look
//! like. A case is run by the parts of `any-store-query` alone and through a database in memory, by
//! several verbs and by every plan that can be forced, which must all agree with what it wants.
//!
//! ```
//! let case = r#"{"name":"filter/x/1","docs":[{"id":1,"a":5}],"filter":{"a":5},"want":{"ids":[1]}}"#;
//! let report = conformance::run(case)?;
//! assert_eq!((report.passed, report.failures.len()), (1, 0));
//! # Ok::<(), any_store::Error>(())
//! ```

mod case;
mod engine;
mod plans;
mod suites;

use std::ops::AddAssign;

use any_store::Database;

use case::Case;
use suites::{filter, index, order, projection, sort, update};

/// A check of one case; the error says what is wrong.
type Check = Result<(), String>;

/// What was asked for one case.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// Steps, where a case has several.
    steps: usize,
    /// Questions that an index answered because it was told to.
    by_index: usize,
    /// Questions that an index, which lacks documents, refused.
    refused: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.steps += other.steps;
        self.by_index += other.by_index;
        self.refused += other.refused;
    }
}

/// How the cases of a file went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that answered as they want.
    pub passed: usize,
    /// The names of the cases that did not, and why.
    pub failures: Vec<(String, String)>,
    /// Steps of those that passed, where a case has several.
    pub steps: usize,
    /// Their questions that an index answered because it was told to.
    pub by_index: usize,
    /// Their questions that an index refused, since it lacks documents.
    pub refused: usize,
    /// Suites without a runner, with the number of their cases.
    pub unknown_suites: Vec<(String, usize)>,
}

/// Runs every case of a file.
///
/// # Errors
/// The database in memory cannot be made.
pub fn run(text: &str) -> any_store::Result<Report> {
    let database = Database::in_memory()?;
    let mut report = Report::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        report.run_line(line, &database);
    }
    Ok(report)
}

impl Report {
    fn run_line(&mut self, line: &str, database: &Database) {
        let Some(case) = Case::read(line) else {
            let shown: String = line.chars().take(60).collect();
            self.failures.push((shown, "this line is no case".to_owned()));
            return;
        };
        let name = case.string("name").unwrap_or_default();
        let suite = name.split('/').next().unwrap_or_default();
        let check = match suite {
            "filter" => filter::check(&case, database),
            "sort" => sort::check(&case, database),
            "update" => update::check(&case, database).map(|()| Tally::default()),
            "projection" => projection::check(&case, database).map(|()| Tally::default()),
            "order" => order::check(&case).map(|()| Tally::default()),
            "index" => index::check(&case, database),
            _ => return self.count_unknown(suite),
        };
        match check {
            Ok(tally) => {
                self.passed += 1;
                self.steps += tally.steps;
                self.by_index += tally.by_index;
                self.refused += tally.refused;
            }
            Err(reason) => self.failures.push((name, reason)),
        }
    }

    fn count_unknown(&mut self, suite: &str) {
        match self.unknown_suites.iter_mut().find(|(name, _)| name == suite) {
            Some((_, count)) => *count += 1,
            None => self.unknown_suites.push((suite.to_owned(), 1)),
        }
    }

    /// The sum of two reports.
    #[must_use]
    pub fn and(mut self, other: Report) -> Report {
        self.passed += other.passed;
        self.steps += other.steps;
        self.by_index += other.by_index;
        self.refused += other.refused;
        self.failures.extend(other.failures);
        self.unknown_suites.extend(other.unknown_suites);
        self
    }
}
