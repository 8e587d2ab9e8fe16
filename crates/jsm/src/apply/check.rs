//! Whether a write's records are as it takes them to be.

use dewpoint_core::model::Key;
use dewpoint_core::target::{Addressed, Operation, RecordId, TargetError, Write};
use dewpoint_target_kit::{Carried, check};

use super::{Batch, Ground};
use crate::reading::Stand;

impl Batch<'_> {
    /// Refuses a write whose record is there and is not the one meant, or is not there and has to be. `read` is the object that was just read, by id, and
    /// where it stands if it is there; of the others counts what was known when the batch began.
    pub(super) fn check(&self, write: &Write, read: Option<(&str, Option<&Stand>)>, ground: &Ground) -> Result<(), TargetError> {
        let carried = |record: &RecordId| match read {
            Some((id, stand)) if id == record.0 => stand.map(Stand::carried),
            _ => ground.stands.get(&record.0).map(Stand::carried),
        };
        check(write, self.sending.estate, "object", carried).map_err(|why| self.reader.api.assets.rejected(why))
    }

    /// Whether an object is the one that a write means.
    pub(super) fn fits(&self, write: &Write, addressed: &Addressed, stand: &Stand) -> bool {
        let carried: Carried = stand.carried();
        let own = |key: &Key| carried.is_meant(addressed, key, self.sending.estate);
        match &write.operation {
            Operation::Relate { edge, .. } | Operation::Unrelate { edge, .. } => own(&edge.from) || own(&edge.to),
            Operation::Create { .. } | Operation::Update { .. } | Operation::Purge { .. } => own(&write.key),
        }
    }
}
