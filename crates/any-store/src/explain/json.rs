//! Explanations as documents.

use std::time::Duration;

use anyenc::{Document, Value, doc};

use super::{
    Absence, Actual, CandidateExplain, Estimate, Explain, FieldBounds, IndexExplain, Stage,
    StageKind, Totals, Verdict,
};

pub(super) fn explain(explain: &Explain) -> Document {
    let mut document = doc! {
        "summary": explain.summary.as_str(),
        "collection": explain.collection.as_str(),
        "documents": count(explain.documents),
        "cost": explain.cost,
        "planningMicros": micros(explain.planning),
    };
    if let Some(totals) = &explain.totals {
        document.insert("totals", self::totals(totals));
    }
    document.insert("plan", stage(&explain.plan));
    document.insert("candidates", array(explain.candidates.iter().map(candidate)));
    document.insert("indexes", array(explain.indexes.iter().map(index)));
    document
}

fn array(documents: impl Iterator<Item = Document>) -> Value {
    Value::Array(documents.map(Value::Object).collect())
}

fn stage(stage: &Stage) -> Document {
    let mut document = doc! { "stage": stage.name() };
    describe(&stage.kind, &mut document);
    document.insert("expected", estimate(&stage.estimate));
    if let Some(actual) = &stage.actual {
        document.insert("actual", self::actual(actual));
    }
    if !stage.inputs.is_empty() {
        document.insert("inputs", array(stage.inputs.iter().map(self::stage)));
    }
    document
}

fn describe(kind: &StageKind, document: &mut Document) {
    match kind {
        StageKind::DocumentScan { bounds, direction } => {
            document.insert("bounds", self::bounds(bounds.iter()));
            document.insert("direction", direction.to_string());
        }
        StageKind::IndexScan { index, bounds, key_filters, direction, orders_ties } => {
            document.insert("index", index.as_str());
            document.insert("bounds", self::bounds(bounds));
            document.insert("keyFilters", self::bounds(key_filters));
            document.insert("direction", direction.to_string());
            document.insert("ordersTies", *orders_ties);
        }
        StageKind::Filter { filter } => {
            document.insert("filter", filter.clone());
        }
        StageKind::Sort { by } => {
            document.insert("by", texts(by));
        }
        StageKind::TopK { by, rows } => {
            document.insert("by", texts(by));
            document.insert("rows", count(*rows));
        }
        StageKind::Limit { skip, limit } => {
            document.insert("skip", count(*skip));
            document.insert("limit", count(*limit));
        }
        StageKind::Nothing
        | StageKind::Counters
        | StageKind::Union
        | StageKind::Fetch
        | StageKind::Covered
        | StageKind::Project => {}
    }
}

fn candidate(candidate: &CandidateExplain) -> Document {
    let mut document = doc! {
        "summary": candidate.plan.summary(),
        "cost": candidate.cost,
        "boost": candidate.boost,
        "verdict": match candidate.verdict {
            Verdict::Chosen => "chosen",
            Verdict::Dearer { .. } => "dearer",
            Verdict::RuledOut => "ruledOut",
        },
    };
    if let Verdict::Dearer { by } = candidate.verdict {
        document.insert("dearerBy", by);
    }
    document.insert("expected", estimate(&candidate.estimate));
    document.insert("plan", stage(&candidate.plan));
    document
}

fn index(index: &IndexExplain) -> Document {
    let mut document = doc! {
        "name": index.name.as_str(),
        "cost": index.cost.map_or(Value::Null, Value::Double),
        "used": index.used,
    };
    if let Some(absence) = index.absence {
        let name = match absence {
            Absence::Sparse => "sparse",
            Absence::Partial => "partial",
            Absence::NoUse => "noUse",
            Absence::NothingMatches => "nothingMatches",
        };
        document.insert("absence", name);
        document.insert("reason", absence.to_string());
    }
    document
}

fn bounds<'a>(bounds: impl IntoIterator<Item = &'a FieldBounds>) -> Document {
    let mut document = Document::new();
    for bounds in bounds {
        document.insert(bounds.field.as_str(), texts(&bounds.intervals));
    }
    document
}

fn texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect())
}

fn estimate(estimate: &Estimate) -> Document {
    doc! { "rows": estimate.rows, "examined": estimate.examined, "fetched": estimate.fetched }
}

fn actual(actual: &Actual) -> Document {
    doc! {
        "rows": count(actual.rows),
        "examined": count(actual.examined),
        "fetched": count(actual.fetched),
        "pages": count(actual.pages),
        "micros": micros(actual.time),
    }
}

fn totals(totals: &Totals) -> Document {
    doc! {
        "rows": count(totals.rows),
        "examined": count(totals.examined),
        "fetched": count(totals.fetched),
        "pages": count(totals.pages),
        "pagesRead": count(totals.pages_read),
        "micros": micros(totals.time),
    }
}

/// Counts beyond `i64` do not occur; if one did it would be shown as the largest.
fn count(count: u64) -> Value {
    Value::Int64(i64::try_from(count).unwrap_or(i64::MAX))
}

fn micros(time: Duration) -> Value {
    Value::Double(time.as_nanos() as f64 / 1e3)
}
