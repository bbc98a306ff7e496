//! Explanations as text for people.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{
    Absence, Actual, CandidateExplain, Estimate, Explain, FieldBounds, ScanDirection, Stage,
    StageKind, Totals, Verdict,
};

/// Intervals of a field that are printed; of more, the rest is counted.
const MAX_INTERVALS: usize = 8;

impl Stage {
    /// The stages from the first to the last, on one line.
    pub(super) fn summary(&self) -> String {
        let own = match &self.kind {
            StageKind::IndexScan { index, .. } => format!("IndexScan({index})"),
            StageKind::TopK { rows, .. } => format!("TopK({rows})"),
            StageKind::Limit { skip: 0, limit } => format!("Limit({limit})"),
            StageKind::Limit { skip, limit: 0 } => format!("Skip({skip})"),
            StageKind::Limit { skip, limit } => format!("Skip({skip}) -> Limit({limit})"),
            _ => self.name().to_owned(),
        };
        match self.inputs.as_slice() {
            [] => own,
            [below] if self.kind != StageKind::Union => format!("{} -> {own}", below.summary()),
            branches => {
                let branches: Vec<String> = branches.iter().map(Stage::summary).collect();
                format!("{own}({})", branches.join(", "))
            }
        }
    }

    fn write(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = depth * 2;
        writeln!(f, "  {:indent$}{}", "", Title(self))?;
        write!(f, "  {:indent$}    expected {}", "", Expected(&self.estimate))?;
        match &self.actual {
            Some(actual) => writeln!(f, "\n  {:indent$}    actual   {}", "", Did(actual))?,
            None => writeln!(f)?,
        }
        self.inputs.iter().try_for_each(|stage| stage.write(f, depth + 1))
    }

    /// The first of the stages, which say where rows come from.
    fn paths(&self) -> Vec<&Stage> {
        let is_leaf = |stage: &&Stage| stage.inputs.is_empty();
        self.all().filter(is_leaf).collect()
    }
}

/// `explain` in the shell, and what a log of slow queries would hold.
impl Display for Explain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        writeln!(
            f,
            "{} documents in {:?}, cost {:.1}, planned in {}",
            Count(self.documents as f64),
            self.collection,
            self.cost,
            Time(self.planning),
        )?;
        if let Some(totals) = &self.totals {
            writeln!(f, "{}", Ran(totals))?;
        }
        writeln!(f, "\nplan")?;
        self.plan.write(f, 0)?;
        if !self.candidates.is_empty() {
            writeln!(f, "\ncandidates")?;
        }
        self.candidates.iter().try_for_each(|candidate| writeln!(f, "{candidate}"))?;
        let absent = |index: &&super::IndexExplain| index.absence.is_some();
        if self.indexes.iter().any(|index| absent(&index)) {
            writeln!(f, "\nnot considered")?;
        }
        for index in self.indexes.iter().filter(absent) {
            if let Some(absence) = index.absence {
                writeln!(f, "  {}: {absence}", index.name)?;
            }
        }
        Ok(())
    }
}

impl Display for CandidateExplain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: cost {:.1}, {}", self.plan.summary(), self.cost, self.verdict)?;
        if self.boost != 0.0 {
            write!(f, " (boosted by {})", self.boost)?;
        }
        for path in self.plan.paths() {
            write!(f, "\n      {}", Title(path))?;
        }
        write!(f, "\n      expected {}", Expected(&self.estimate))
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Dearer { by } if *by == 0.0 => f.write_str("as cheap, but thought of later"),
            Self::Dearer { by } => write!(f, "dearer by {by:.1}"),
            Self::RuledOut => f.write_str("ruled out by the hint"),
        }
    }
}

impl Display for Absence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sparse => "it is sparse and may lack documents that match",
            Self::Partial => "it is partial and may lack documents that match",
            Self::NoUse => "neither the filter nor the sort can use it",
            Self::NothingMatches => "no index is needed: nothing can match",
        })
    }
}

impl Display for ScanDirection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

/// `{"a": [5, 10)}`
impl Display for FieldBounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = self.intervals.len().min(MAX_INTERVALS);
        let intervals: Vec<&str> = self.intervals.iter().take(shown).map(String::as_str).collect();
        write!(f, "{:?}: {}", self.field, intervals.join(" | "))?;
        match self.intervals.len() - shown {
            0 => Ok(()),
            more => write!(f, " | {more} more"),
        }
    }
}

/// What a stage does, on one line.
struct Title<'a>(&'a Stage);

impl Display for Title<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())?;
        match &self.0.kind {
            StageKind::DocumentScan { bounds, direction } => match bounds {
                Some(bounds) => write!(f, " {{{bounds}}}, {direction}"),
                None => write!(f, " of all, {direction}"),
            },
            StageKind::IndexScan { index, bounds, key_filters, direction, orders_ties } => {
                write!(f, " {index}")?;
                match bounds.as_slice() {
                    [] => f.write_str(" of all")?,
                    bounds => write!(f, " {{{}}}", List(bounds))?,
                }
                if !key_filters.is_empty() {
                    write!(f, ", keys {{{}}}", List(key_filters))?;
                }
                let ties = if *orders_ties { ", ties by id" } else { "" };
                write!(f, ", {direction}{ties}")
            }
            StageKind::Filter { filter } => write!(f, " {filter}"),
            StageKind::Sort { by } => write!(f, " by {}", by.join(", ")),
            StageKind::TopK { by, rows } => write!(f, " {rows} by {}", by.join(", ")),
            StageKind::Limit { skip: 0, limit } => write!(f, " {limit}"),
            StageKind::Limit { skip, limit: 0 } => write!(f, ": skip {skip}"),
            StageKind::Limit { skip, limit } => write!(f, " {limit}, skip {skip}"),
            StageKind::Nothing
            | StageKind::Counters
            | StageKind::Union
            | StageKind::Fetch
            | StageKind::Covered
            | StageKind::Project => Ok(()),
        }
    }
}

struct List<'a>(&'a [FieldBounds]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, bounds)| match at {
            0 => write!(f, "{bounds}"),
            _ => write!(f, ", {bounds}"),
        })
    }
}

struct Expected<'a>(&'a Estimate);

impl Display for Expected<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rows {}", Count(self.0.rows))?;
        for (name, value) in [("examined", self.0.examined), ("fetched", self.0.fetched)] {
            if value > 0.0 {
                write!(f, ", {name} {}", Count(value))?;
            }
        }
        Ok(())
    }
}

struct Did<'a>(&'a Actual);

impl Display for Did<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Actual { rows, examined, fetched, pages, time } = *self.0;
        write!(f, "rows {}", Count(rows as f64))?;
        for (name, value) in [("examined", examined), ("fetched", fetched), ("pages", pages)] {
            if value > 0 {
                write!(f, ", {name} {}", Count(value as f64))?;
            }
        }
        write!(f, ", {}", Time(time))
    }
}

struct Ran<'a>(&'a Totals);

impl Display for Ran<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Totals { rows, examined, fetched, pages, pages_read, time } = *self.0;
        write!(
            f,
            "ran in {}: rows {}, examined {}, fetched {}, pages {} ({} read from disk)",
            Time(time),
            Count(rows as f64),
            Count(examined as f64),
            Count(fetched as f64),
            Count(pages as f64),
            Count(pages_read as f64),
        )
    }
}

/// A number of things, with commas between groups of digits.
struct Count(f64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = format!("{:.0}", self.0);
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A duration in a unit that fits.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 1e-3 {
            write!(f, "{:.1} us", seconds * 1e6)
        } else if seconds < 1.0 {
            write!(f, "{:.1} ms", seconds * 1e3)
        } else {
            write!(f, "{seconds:.2} s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        let counts = [0.0, 12.4, 999.0, 1000.0, 1_234_567.0].map(|n| Count(n).to_string());
        assert_eq!(counts, ["0", "12", "999", "1,000", "1,234,567"]);
        let times = [1_500, 2_500_000, 3_000_000_000].map(Duration::from_nanos);
        assert_eq!(times.map(|time| Time(time).to_string()), ["1.5 us", "2.5 ms", "3.00 s"]);
    }

    #[test]
    fn many_intervals_are_counted() {
        let intervals = (0..20).map(|n| n.to_string()).collect();
        let bounds = FieldBounds { field: "a".to_owned(), intervals };
        assert_eq!(bounds.to_string(), r#""a": 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 12 more"#);
    }
}
