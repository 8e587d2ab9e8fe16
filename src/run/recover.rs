//! Records that the ledger has lost sight of: found at a target, shown by no listing.

use jiff::Timestamp;
use serde_json::Map;

use crate::estate::Known;
use crate::model::{Key, Resource};
use crate::target::FoundRecord;

use super::Stand;
use super::stand::Standing;

/// Enters what a recovering target holds and no listing shows: as missing, counted from now on, so that it retires by the usual timers
/// and never at once.
pub(super) fn enter_unknown(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        let Some(found) = &standing.ready.found else { continue };
        for (key, record) in found {
            if stand.estate.resources.contains_key(key) {
                continue;
            }
            let Some(resource) = resource(key, record) else { continue };
            let known = Known { recovered: true, ..Known::new(resource, at, stand.fence) };
            stand.estate.dirty.resources.insert(key.clone());
            stand.estate.resources.insert(key.clone(), known);
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
        tags: std::collections::BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: std::collections::BTreeMap::new(),
        derived: key.is_derived(),
        extra: Map::new(),
    })
}
