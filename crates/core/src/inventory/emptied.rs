//! Scopes that held live resources and list none any more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::estate::{EndCause, Estate, Known, is_scope_of};
use crate::model::Scope;

/// A scope with so many live resources that lists none of them is suddenly empty.
pub const EMPTIED_MIN: usize = 5;

#[derive(Default)]
struct Members {
    /// Some member was not missed by the last complete listing.
    shown: bool,
    /// Missing members that have not ended.
    missing: usize,
    /// When the last of these was last seen.
    last_seen: Option<Timestamp>,
    /// When members were retired for their absence.
    retired: Vec<Timestamp>,
}

/// The scopes that were suddenly emptied (guardrail 2), as the ledger stands: five or more live resources, each absent from the latest
/// complete listing. A scope stays in this set over following runs until it lists a live resource again, also when some of its
/// members were retired meanwhile (by an approved hold): those that went after the scope was last seen alive still count.
/// A member whose end the provider stated is no live resource.
#[must_use]
pub fn emptied_scopes(estate: &Estate) -> BTreeSet<Scope> {
    let mut members: BTreeMap<Scope, Members> = BTreeMap::new();
    let mut rows = estate.resources.values().filter(|known| !known.resource.derived).peekable();
    while let Some(first) = rows.peek() {
        let own = first.resource.scope();
        let scope = estate.covering(&own).map_or_else(|| own.clone(), |(scope, _)| scope.clone());
        let members = members.entry(scope).or_default();
        while let Some(known) = rows.next_if(|known| is_scope_of(&own, &known.resource)) {
            count(members, known);
        }
    }
    let is_emptied = |members: &Members| {
        let Some(last_seen) = members.last_seen.filter(|_| !members.shown) else { return false };
        members.missing + members.retired.iter().filter(|at| **at > last_seen).count() >= EMPTIED_MIN
    };
    members.into_iter().filter(|(_, members)| is_emptied(members)).map(|(scope, _)| scope).collect()
}

fn count(members: &mut Members, known: &Known) {
    match &known.end {
        Some(end) if end.cause == EndCause::Absent && known.missing > 0 => members.retired.push(end.at),
        Some(_) => {}
        None if known.is_ended() => {}
        None if known.missing > 0 => {
            members.missing += 1;
            members.last_seen = members.last_seen.max(Some(known.last_seen));
        }
        None => members.shown = true,
    }
}
