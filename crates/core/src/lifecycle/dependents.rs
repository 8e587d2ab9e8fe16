//! Resources that end with a machine share its disposition.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::policy::Verdicts;
use super::words::elapsed;
use crate::estate::{Disposition, Estate, Known, KnownEdge};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType};

const DELETE_ON_TERMINATION: &str = "delete_on_termination";

/// The dispositions that dependents take over from their machines, where that is not simply `record`. Of several machines the first of
/// record, fold, defer, ignore wins. Expects the machines' own dispositions to be decided.
pub(super) fn shared(estate: &Estate, verdicts: &Verdicts) -> BTreeMap<Key, Disposition> {
    let machines: BTreeSet<&Key> = estate
        .resources
        .iter()
        .filter(|(_, known)| known.resource.kind == Kind::Instance && known.disposition != Disposition::Record)
        .map(|(key, _)| key)
        .collect();
    let mut shared: BTreeMap<Key, Disposition> = BTreeMap::new();
    if machines.is_empty() {
        return shared;
    }
    for (id, _) in estate.edges.iter().filter(|(id, _)| id.relation == RelationType::AttachedTo && machines.contains(&id.to)) {
        if shared.contains_key(&id.from) {
            continue;
        }
        let disposition = of_machines(estate, &id.from, verdicts);
        if let Some(disposition) = disposition.filter(|disposition| *disposition != Disposition::Record) {
            shared.insert(id.from.clone(), disposition);
        }
    }
    shared
}

/// The disposition of the machines that a resource ends with; `None` where it outlives them.
fn of_machines(estate: &Estate, key: &Key, verdicts: &Verdicts) -> Option<Disposition> {
    let dependent = estate.resources.get(key)?;
    let own = &dependent.resource;
    if !matches!(own.kind, Kind::NetworkInterface | Kind::Volume | Kind::PublicAddress) {
        return None;
    }
    let ends_with_it = |edge: &KnownEdge| is_true(&edge.attributes) || is_true(&own.attributes);
    // The last edges of an ended machine stay in the ledger. What is still seen `min_dwell` after that end has outlived the machine.
    let min_dwell = verdicts.of(key).timers.min_dwell;
    let outlived = |machine: &Known| machine.end.as_ref().is_some_and(|end| elapsed(end.at, dependent.last_seen) >= min_dwell);
    let start = EdgeId { from: key.clone(), relation: RelationType::LocatedIn, to: key.clone() };
    estate
        .edges
        .range(start..)
        .take_while(|(id, _)| id.from == *key)
        .filter(|(id, edge)| id.relation == RelationType::AttachedTo && ends_with_it(edge))
        .filter_map(|(id, _)| estate.resources.get(&id.to))
        .filter(|known| known.resource.kind == Kind::Instance && !outlived(known))
        .map(|known| known.disposition)
        .min_by_key(|disposition| match disposition {
            Disposition::Record => 0,
            Disposition::Fold => 1,
            Disposition::Defer => 2,
            Disposition::Ignore => 3,
        })
}

fn is_true(attributes: &Attributes) -> bool {
    attributes.get(DELETE_ON_TERMINATION) == Some(&Value::Bool(true))
}
