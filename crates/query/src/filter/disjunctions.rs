//! A filter as a union of narrower ones: an index for each branch of an `$or`.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Clause, Conjunction, Filter};

/// Most branches of an `$or` that is taken apart.
const MAX_BRANCHES: usize = 64;
/// Most of a filter's `$or` that are taken apart, each by itself.
const MAX_DISJUNCTIONS: usize = 8;
/// Most clauses that each of the narrower filters repeats.
const MAX_CLAUSES: usize = 1000;

/// For each `$or` that must hold: the filter with one of its branches in its place.
pub(super) fn disjunctions(all: &Conjunction) -> Vec<Vec<Filter>> {
    let mut found = Vec::new();
    if collect(all, &mut found) > MAX_CLAUSES {
        return Vec::new();
    }
    found
        .into_iter()
        .filter_map(|clause| match &**clause {
            Clause::Or(branches) if branches.len() <= MAX_BRANCHES => Some((clause, branches)),
            _ => None,
        })
        .take(MAX_DISJUNCTIONS)
        .map(|(clause, branches)| {
            let rest = without(all, clause);
            let keys: HashSet<&str> = rest.clauses().map(key).collect();
            branches.iter().map(|branch| joined(&rest, &keys, branch)).collect()
        })
        .collect()
}

/// Finds every `$or` that must hold; says how many clauses must, `$and` itself included.
fn collect<'f>(all: &'f Conjunction, found: &mut Vec<&'f Arc<Clause>>) -> usize {
    let mut count = all.clauses.len();
    for clause in &all.clauses {
        match &**clause {
            Clause::And(branches) => {
                count += branches.iter().map(|branch| 1 + collect(branch, found)).sum::<usize>();
            }
            Clause::Or(_) => found.push(clause),
            _ => {}
        }
    }
    count
}

fn without(all: &Conjunction, left_out: &Arc<Clause>) -> Conjunction {
    let kept = all.clauses.iter().filter(|clause| !Arc::ptr_eq(clause, left_out));
    let kept = kept.filter_map(|clause| match &**clause {
        Clause::And(branches) => {
            let left = branches.iter().map(|branch| without(branch, left_out));
            let left: Vec<_> = left.filter(|branch| !branch.clauses.is_empty()).collect();
            (!left.is_empty()).then(|| Arc::new(Clause::And(left)))
        }
        _ => Some(Arc::clone(clause)),
    });
    Conjunction { clauses: kept.collect() }
}

/// Both, side by side where their keys differ; else the branch stands under `$and`, which is no deeper
/// than it stood.
fn joined(rest: &Conjunction, keys: &HashSet<&str>, branch: &Conjunction) -> Filter {
    let mut clauses = rest.clauses.clone();
    if branch.clauses().all(|clause| !keys.contains(key(clause))) {
        clauses.extend(branch.clauses.iter().map(Arc::clone));
    } else if let Some(and) = clauses.iter_mut().find(|clause| matches!(***clause, Clause::And(_)))
        && let Clause::And(others) = &**and
    {
        let branches = others.iter().chain([branch]).cloned().collect();
        *and = Arc::new(Clause::And(branches));
    } else {
        clauses.push(Arc::new(Clause::And(vec![branch.clone()])));
    }
    Filter { root: Conjunction { clauses }.into() }
}

/// The key under which a clause is printed.
fn key(clause: &Clause) -> &str {
    match clause {
        Clause::And(_) => "$and",
        Clause::Or(_) => "$or",
        Clause::Nor(_) => "$nor",
        Clause::Comment(_) => "$comment",
        Clause::Field { path, .. } => path.as_str(),
    }
}
