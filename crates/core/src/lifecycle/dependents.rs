//! Resources that end with a machine share its disposition.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::decide::age_seen;
use super::policy::Verdicts;
use super::words::elapsed;
use crate::estate::{Disposition, Estate, Known, KnownEdge};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType, Scope};

const DELETE_ON_TERMINATION: &str = "delete_on_termination";

/// The dispositions that dependents take over from their machines, where that is not simply `record`. Of several machines the first of
/// record, fold, defer, ignore wins. Expects the machines' own dispositions to be decided.
///
/// A machine may be younger than the reading of its kind, or its listing may have failed: what is said to end with a machine that is not
/// known waits with it, until it was itself seen at its `min_age`.
pub(super) fn shared(estate: &Estate, verdicts: &Verdicts) -> BTreeMap<Key, Disposition> {
    let machines: BTreeSet<&Key> = estate
        .resources
        .iter()
        .filter(|(_, known)| known.resource.kind == Kind::Instance && known.disposition != Disposition::Record)
        .map(|(key, _)| key)
        .collect();
    let mut shared: BTreeMap<Key, Disposition> = BTreeMap::new();
    let waits = |known: &Known| known.disposition == Disposition::Defer && follows_machines(known.resource.kind);
    let some_wait = estate.resources.values().any(waits);
    if machines.is_empty() && !some_wait {
        return shared;
    }
    let is_concerned = |machine: &Key| machines.contains(machine) || (some_wait && !estate.resources.contains_key(machine));
    for (id, _) in estate.edges.iter().filter(|(id, _)| id.relation == RelationType::AttachedTo && is_concerned(&id.to)) {
        if shared.contains_key(&id.from) {
            continue;
        }
        let disposition = machine_of(estate, &id.from, verdicts).map(|(_, disposition)| disposition);
        if let Some(disposition) = disposition.filter(|disposition| *disposition != Disposition::Record) {
            shared.insert(id.from.clone(), disposition);
        }
    }
    shared
}

/// The machine that a resource ends with, and whose disposition it shares; `None` where it outlives its machines.
pub(super) fn machine_of<'a>(estate: &'a Estate, key: &Key, verdicts: &Verdicts) -> Option<(&'a Key, Disposition)> {
    let dependent = estate.resources.get(key)?;
    let own = &dependent.resource;
    if !follows_machines(own.kind) {
        return None;
    }
    let ends_with_it = |edge: &KnownEdge| is_true(&edge.attributes) || is_true(&own.attributes);
    // The last edges of an ended machine stay in the ledger. What is still seen `min_dwell` after that end has outlived the machine.
    let timers = &verdicts.of(key).timers;
    let min_dwell = timers.min_dwell;
    let outlived = |machine: &Known| machine.end.as_ref().is_some_and(|end| elapsed(end.at, dependent.last_seen) >= min_dwell);
    let machines_are_listed = || estate.covering(&Scope { kind: Kind::Instance, ..own.scope() }).is_some();
    let waits_for_unknown = age_seen(dependent) < timers.min_age && machines_are_listed();
    let start = EdgeId { from: key.clone(), relation: RelationType::LocatedIn, to: key.clone() };
    estate
        .edges
        .range(start..)
        .take_while(|(id, _)| id.from == *key)
        .filter(|(id, edge)| id.relation == RelationType::AttachedTo && ends_with_it(edge))
        .filter_map(|(id, _)| match estate.resources.get_key_value(&id.to) {
            Some((machine, known)) => (known.resource.kind == Kind::Instance && !outlived(known)).then_some((machine, known.disposition)),
            None => waits_for_unknown.then_some((&id.to, Disposition::Defer)),
        })
        .min_by_key(|(_, disposition)| match disposition {
            Disposition::Record => 0,
            Disposition::Fold => 1,
            Disposition::Defer => 2,
            Disposition::Ignore => 3,
        })
}

fn follows_machines(kind: Kind) -> bool {
    matches!(kind, Kind::NetworkInterface | Kind::Volume | Kind::PublicAddress)
}

fn is_true(attributes: &Attributes) -> bool {
    attributes.get(DELETE_ON_TERMINATION) == Some(&Value::Bool(true))
}
