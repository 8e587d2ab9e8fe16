//! Records that the ledger has lost sight of: found at a target, shown by no listing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Map;

use crate::estate::{Disposition, End, EndCause, Known, Stage};
use crate::model::{Key, Resource};
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
    keep_recorded(stand, standings, at);
}

/// What a recovering target holds a live record of was old enough for one: it is not deferred again, and ends like all that have a record,
/// after a look-up.
fn keep_recorded(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    let recovering = standings.iter().filter(|standing| standing.ready.recovering);
    for (key, _) in recovering.flat_map(|standing| standing.ready.found.iter().flatten()).filter(|(_, record)| !record.retired) {
        if let Some(known) = stand.estate.resources.get_mut(key)
            && known.disposition == Disposition::Defer
            && known.end.is_none()
        {
            known.disposition = Disposition::Record;
            known.disposition_since = at;
            stand.estate.dirty.resources.insert(key.clone());
        }
    }
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
