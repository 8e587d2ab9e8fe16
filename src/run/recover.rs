//! Records that the ledger has lost sight of: found at a target, shown by no listing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Map;

use crate::estate::{Disposition, End, EndCause, Known, KnownEdge, Stage};
use crate::model::{EdgeId, Key, Resource};
use crate::target::FoundRecord;

use super::Stand;
use super::stand::Standing;

/// Enters what a recovering target holds and no listing shows: as missing, counted from now on, so that it retires by the usual timers
/// and never at once. What is retired wherever it is found had ended before.
pub(super) fn enter_unknown(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    let mut unknown = BTreeMap::new();
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        for (key, record) in standing.ready.found.iter().flatten().filter(|(key, _)| !stand.estate.resources.contains_key(*key)) {
            let entry = unknown.entry(key).or_insert((record, false));
            entry.1 |= !record.retired;
        }
    }
    let mut entered = Vec::with_capacity(unknown.len());
    for (key, (record, is_live)) in unknown {
        let Some(resource) = resource(key, record) else { continue };
        let new = Known { disposition: Disposition::Record, ..Known::new(resource, at, stand.fence) };
        entered.push(if is_live {
            Known { recovered: true, ..new }
        } else {
            Known { missing: 1, stage: Stage::Retired, end: Some(End { at, cause: EndCause::Absent }), ..new }
        });
    }
    for known in entered {
        stand.estate.dirty.resources.insert(known.resource.key.clone());
        stand.estate.resources.insert(known.resource.key.clone(), known);
    }
}

/// Resources that a recovering target shows as retired, and that the ledger does not know to be: it is older than their end. Where this
/// run did not see them either, they are missing until a listing shows them or proves that they are gone: what nobody has seen since
/// is not revived.
pub(super) fn doubt_retired(stand: &mut Stand, standings: &[Standing<'_>]) {
    let mut doubtful = BTreeSet::new();
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        let is_news = |key: &Key| standing.ready.state.records.get(key).is_none_or(|row| row.retired_at.is_none());
        let retired = standing.ready.found.iter().flatten().filter(|(key, record)| record.retired && is_news(key));
        doubtful.extend(retired.map(|(key, _)| key.clone()));
    }
    for key in doubtful {
        if is_seen(stand, &key) {
            continue;
        }
        let Some(known) = stand.estate.resources.get_mut(&key) else { continue };
        if known.missing == 0 && known.end.is_none() && !known.recovered {
            known.recovered = true;
            stand.estate.dirty.resources.insert(key);
        }
    }
}

/// Enters the edges that a recovering target shows, and whose absence this run's reading does not prove: as last known, so that they go
/// when a complete listing does not show them. Of all others the estate knows already whether they are wanted.
pub(super) fn enter_edges(stand: &mut Stand, standings: &[Standing<'_>]) {
    let mut entered = Vec::new();
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        for (from, edges) in standing.ready.found.iter().flatten().filter_map(|(key, record)| Some((key, record.edges.as_ref()?))) {
            for ((relation, to), attributes) in edges {
                let id = EdgeId { from: from.clone(), relation: *relation, to: to.clone() };
                if !stand.estate.edges.contains_key(&id) && is_open(stand, &id) {
                    let (derived, extra) = (from.is_derived(), Map::new());
                    entered.push((id, KnownEdge { attributes: attributes.clone(), derived, extra, fence: stand.fence }));
                }
            }
        }
    }
    stand.estate.dirty.edges.extend(entered.iter().map(|(id, _)| id.clone()));
    stand.estate.edges.extend(entered);
}

/// Whether an edge that the estate does not have may be there: both ends may live, and the end that proves it was not shown by a complete
/// listing. A service's edges are proven by its members.
fn is_open(stand: &Stand, id: &EdgeId) -> bool {
    let known = |key: &Key| stand.estate.resources.get(key).filter(|known| !known.is_ended());
    let proving = if id.from.is_derived() { &id.to } else { id.proving_end() };
    let (Some(_), Some(_), Some(end)) = (known(&id.from), known(&id.to), known(proving)) else { return false };
    let is_complete = stand.estate.covering(&end.resource.scope()).is_some_and(|(_, scope)| scope.receipt.is_complete());
    !(is_complete && is_shown(stand, end))
}

fn is_shown(stand: &Stand, known: &Known) -> bool {
    known.fence >= stand.fence && known.missing == 0
}

/// Whether this run's reading showed a resource: of what is derived, a member.
fn is_seen(stand: &Stand, key: &Key) -> bool {
    let is_seen = |key: &Key| stand.estate.resources.get(key).is_some_and(|known| is_shown(stand, known));
    if !key.is_derived() {
        return is_seen(key);
    }
    let edges = stand.estate.edges.iter().filter(|(id, edge)| edge.derived && id.from == *key);
    edges.map(|(id, _)| &id.to).any(is_seen)
}

/// What a record tells of the resource it stands for; `None` where it does not say what it is.
fn resource(key: &Key, record: &FoundRecord) -> Option<Resource> {
    let stub = record.subject.clone()?;
    Some(Resource {
        key: key.clone(),
        kind: stub.kind,
        provider: key.provider(),
        native_id: stub.native_id,
        account: stub.account,
        region: stub.region,
        name: stub.name,
        state: None,
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: BTreeMap::new(),
        derived: key.is_derived(),
        extra: Map::new(),
    })
}
