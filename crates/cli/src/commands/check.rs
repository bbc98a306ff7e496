//! `any-store check`: is the database damaged, and where.

use any_store::{CheckOptions, CheckReport, Database, Document, Error, Value, VerifyOptions, doc};

use super::stats::number;
use crate::args::{Check, Verify};
use crate::failure::{Exit, Failure, describe};
use crate::figures;
use crate::open::{Access, with_database};
use crate::output::Output;
use crate::progress::Bar;

pub(crate) fn run(check: &Check) -> Result<(), Failure> {
    with_database(&check.open, Access::Read, None, |database| {
        let mut outcomes = Vec::new();
        if check.quick {
            outcomes.push(quick(database)?);
        }
        if check.full || !(check.quick || check.cross || check.verify) {
            outcomes.push(structure(database)?);
        }
        if check.cross {
            outcomes.push(cross(database)?);
        }
        if check.verify {
            outcomes.push(checksums(database)?);
        }
        say(&outcomes, check.json)
    })
}

/// `any-store verify`, which is `check --verify` alone.
pub(crate) fn run_verify(verify: &Verify) -> Result<(), Failure> {
    with_database(&verify.open, Access::Read, None, |database| {
        say(&[checksums(database)?], verify.json)
    })
}

/// Writes what was found; damage is a failure.
fn say(outcomes: &[Outcome], as_json: bool) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if as_json {
        output.line(&report(outcomes).to_string())?;
    } else {
        outcomes.iter().try_for_each(|outcome| outcome.write(&mut output))?;
    }
    output.flush()?;
    outcomes.iter().try_for_each(Outcome::demand_ok)
}

/// What a check found.
pub(crate) struct Outcome {
    name: &'static str,
    /// What was looked at, in words.
    seen: String,
    /// The first of it, if there is very much.
    damage: Vec<Damage>,
    damage_count: u64,
}

struct Damage {
    page: Option<u32>,
    collection: Option<String>,
    index: Option<String>,
    /// The document's id as JSON.
    id: Option<String>,
    reason: String,
}

/// Header, log and the roots of the trees.
pub(crate) fn quick(database: &Database) -> Result<Outcome, Failure> {
    outcome("quick", database.quick_check().map(|()| Outcome::new("headers and roots".to_owned())))
}

/// Every tree, entry by entry, who owns which block, the catalog, and every document.
pub(crate) fn structure(database: &Database) -> Result<Outcome, Failure> {
    let bar = Bar::new("full check");
    let options = CheckOptions::new().cross(false).on_progress(bar.reporter());
    outcome("full", database.integrity_check_with(options).map(|report| all_of(&report)))
}

/// As [`structure`], and the entries of every index against those that the documents have.
fn cross(database: &Database) -> Result<Outcome, Failure> {
    let bar = Bar::new("cross check");
    let options = CheckOptions::new().on_progress(bar.reporter());
    let report = database.integrity_check_with(options).map(|report| {
        let (indexes, entries) = (figures::count(report.indexes), figures::count(report.entries));
        let mut found = all_of(&report);
        found.seen = format!("{}, {indexes} indexes, {entries} entries", found.seen);
        found
    });
    outcome("cross", report)
}

fn all_of(report: &CheckReport) -> Outcome {
    let seen = format!(
        "{} pages, {} collections, {} documents",
        figures::count(report.pages.page_count),
        figures::count(report.collections),
        figures::count(report.documents),
    );
    let findings = report.pages.findings.iter();
    let pages = findings.map(|finding| Damage::on_page(finding.page.0, finding.reason));
    let problems = report.problems.iter().map(|problem| Damage {
        page: None,
        collection: problem.collection.clone(),
        index: problem.index.clone(),
        id: problem.document_id.as_ref().map(Value::to_string),
        reason: problem.reason.clone(),
    });
    Outcome {
        damage: pages.chain(problems).collect(),
        damage_count: report.pages.finding_count + report.problem_count,
        ..Outcome::new(seen)
    }
}

/// The checksum of every page, read from the file anew.
pub(crate) fn checksums(database: &Database) -> Result<Outcome, Failure> {
    let bar = Bar::new("verify");
    let options = VerifyOptions::new().on_progress(bar.reporter());
    let report = database.verify_with(options).map(|report| {
        let seen = format!(
            "{} pages, {} free blocks",
            figures::count(report.page_count),
            figures::count(report.free_block_count),
        );
        let findings = report.findings.iter();
        Outcome {
            damage: findings
                .map(|finding| Damage::on_page(finding.page.0, finding.reason))
                .collect(),
            damage_count: report.finding_count,
            ..Outcome::new(seen)
        }
    });
    outcome("verify", report)
}

/// A check that met damage it could not look past has found damage, too.
fn outcome(name: &'static str, result: Result<Outcome, Error>) -> Result<Outcome, Failure> {
    match result {
        Ok(outcome) => Ok(Outcome { name, ..outcome }),
        Err(error) if error.is_corrupt() => {
            let damage = Damage {
                page: error.page(),
                collection: error.collection().map(str::to_owned),
                index: error.index_name().map(str::to_owned),
                id: error.document_id().map(Value::to_string),
                reason: describe(&error),
            };
            Ok(Outcome {
                name,
                damage: vec![damage],
                damage_count: 1,
                ..Outcome::new(String::new())
            })
        }
        Err(error) => Err(error.into()),
    }
}

impl Outcome {
    fn new(seen: String) -> Outcome {
        Outcome { name: "", seen, damage: Vec::new(), damage_count: 0 }
    }

    fn is_ok(&self) -> bool {
        self.damage_count == 0
    }

    /// The failure of a command that needs this check to pass.
    pub(crate) fn demand_ok(&self) -> Result<(), Failure> {
        let Some(first) = self.damage.first().filter(|_| !self.is_ok()) else { return Ok(()) };
        let more = match self.damage_count {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", figures::count(count - 1)),
        };
        let advice = "what can still be read can be exported";
        let message = format!("the database is damaged: {}{more}; {advice}", first.text());
        Err(Failure::new(Exit::Damaged, message))
    }

    fn write(&self, output: &mut Output) -> Result<(), Failure> {
        if self.is_ok() {
            return output.line(&format!("{}: ok: {}", self.name, self.seen));
        }
        for damage in &self.damage {
            output.line(&format!("{}: damaged: {}", self.name, damage.text()))?;
        }
        Ok(())
    }
}

impl Damage {
    fn on_page(page: u32, reason: &str) -> Damage {
        Damage {
            page: Some(page),
            collection: None,
            index: None,
            id: None,
            reason: reason.to_owned(),
        }
    }

    /// `page 17: ...`, or `collection "users", id 5: ...`
    fn text(&self) -> String {
        let mut place = Vec::new();
        if let Some(page) = self.page {
            place.push(format!("page {page}"));
        }
        if let Some(collection) = &self.collection {
            place.push(format!("collection \"{collection}\""));
        }
        if let Some(index) = &self.index {
            place.push(format!("index \"{index}\""));
        }
        if let Some(id) = &self.id {
            place.push(format!("id {id}"));
        }
        match place.is_empty() {
            true => self.reason.clone(),
            false => format!("{}: {}", place.join(", "), self.reason),
        }
    }

    fn document(&self) -> Document {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        doc! {
            "page": self.page.map_or(Value::Null, |page| number(page.into())),
            "collection": text(&self.collection),
            "index": text(&self.index),
            "id": text(&self.id),
            "reason": self.reason.as_str(),
        }
    }
}

/// The outcomes for programs.
fn report(outcomes: &[Outcome]) -> Document {
    let checks = outcomes.iter().map(|outcome| {
        let damage = outcome.damage.iter().map(|damage| Value::Object(damage.document()));
        Value::Object(doc! {
            "check": outcome.name,
            "ok": outcome.is_ok(),
            "damageCount": number(outcome.damage_count),
            "damage": Value::Array(damage.collect()),
        })
    });
    doc! {
        "ok": outcomes.iter().all(Outcome::is_ok),
        "checks": Value::Array(checks.collect()),
    }
}
