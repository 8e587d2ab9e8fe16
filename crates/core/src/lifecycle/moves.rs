//! Machines that moved: the same life under another key (an Azure VM in another resource group). They keep their records.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::confirm::conclude;
use crate::estate::{EndCause, Estate, Known};
use crate::model::{Key, Kind, Vital};
use crate::plan::Reason;

/// Old keys that complete listings do not show any more, each with the one key under which its life is seen now.
///
/// Found in the estate, not only in the run that saw the move: a target that took no part in that run follows later.
#[must_use]
pub fn successors(estate: &Estate) -> BTreeMap<Key, Key> {
    let machines = || estate.resources.iter().filter(|(_, known)| known.resource.kind == Kind::Instance);
    let mut alive: BTreeMap<&str, Option<&Key>> = BTreeMap::new();
    for (key, known) in machines().filter(|(_, known)| is_seen(known)) {
        if let Some(life) = known.resource.life() {
            // A life that is seen twice is nobody's.
            alive.entry(life).and_modify(|seen| *seen = None).or_insert(Some(key));
        }
    }
    if alive.is_empty() {
        return BTreeMap::new();
    }
    machines()
        .filter(|(_, known)| known.missing > 0)
        .filter_map(|(old, known)| Some((old.clone(), (*alive.get(known.resource.life()?)?)?.clone())))
        .collect()
}

fn is_seen(known: &Known) -> bool {
    known.missing == 0 && !known.recovered && known.end.is_none() && known.resource.vital() != Vital::Ended
}

/// The old keys have ended: nothing is wanted under them any more.
pub fn conclude_moved(estate: &mut Estate, successors: &BTreeMap<Key, Key>, at: Timestamp) {
    for (old, new) in successors {
        let reason = Reason { rule: "moved".to_owned(), text: format!("the same machine is {new} now") };
        let _ = conclude(estate, old, EndCause::Absent, &reason, at);
    }
}
