//! Whether a write's records are as it takes them to be.

use std::collections::HashMap;

use dewpoint_core::model::Key;
use dewpoint_core::target::{Addressed, End, Operation, TargetError, Write};

use super::Batch;
use crate::reading::Stand;

impl Batch<'_> {
    /// Refuses a write whose record is there and is not the one meant, or is not there and has to be.
    pub(super) fn check(&self, write: &Write, stands: &HashMap<String, Stand>) -> Result<(), TargetError> {
        match &write.operation {
            Operation::Create { .. } => Ok(()),
            Operation::Update { record, retired, take_over, .. } => {
                let stand = self.standing(record, &write.key, stands)?;
                let is_strangers = record.carries.is_none() && stand.estate.is_none();
                if is_strangers && retired.is_some() && !take_over {
                    return Err(self.not_ours(record));
                }
                Ok(())
            }
            Operation::Purge { record } => match stands.get(&record.record.0) {
                None => Ok(()),
                Some(_) if record.carries.is_none() => Err(self.not_ours(record)),
                Some(_) => self.standing(record, &write.key, stands).map(drop),
            },
            Operation::Relate { edge, from, to, .. } => {
                for (end, key) in [(from, &edge.from), (to, &edge.to)] {
                    if let End::Stands(addressed) = end {
                        self.standing(addressed, key, stands)?;
                    }
                }
                Ok(())
            }
            Operation::Unrelate { edge, from, to, .. } => {
                for (addressed, key) in [(from, &edge.from), (to, &edge.to)] {
                    if stands.contains_key(&addressed.record.0) {
                        self.standing(addressed, key, stands)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether an object is the one that a write means.
    pub(super) fn fits(&self, write: &Write, addressed: &Addressed, stand: &Stand) -> bool {
        let own = |key: &Key| self.is_meant(addressed, key, stand);
        match &write.operation {
            Operation::Relate { edge, .. } | Operation::Unrelate { edge, .. } => own(&edge.from) || own(&edge.to),
            Operation::Create { .. } | Operation::Update { .. } | Operation::Purge { .. } => own(&write.key),
        }
    }

    fn standing<'s>(&self, addressed: &Addressed, key: &Key, stands: &'s HashMap<String, Stand>) -> Result<&'s Stand, TargetError> {
        let id = &addressed.record.0;
        let rejected = |text: String| self.reader.api.assets.rejected(text);
        let stand = stands.get(id).ok_or_else(|| rejected(format!("there is no object {id} any more")))?;
        if self.is_meant(addressed, key, stand) {
            return Ok(stand);
        }
        let carried = match (&stand.key, &stand.estate) {
            (Some(key), Some(estate)) if estate == self.sending.estate => format!("it is that of {key}"),
            (_, Some(estate)) if estate != self.sending.estate => "it carries another estate id".to_owned(),
            (_, None) => "it carries no estate id".to_owned(),
            (None, Some(_)) => "it carries no external id".to_owned(),
            (Some(_), Some(_)) => "it is another one".to_owned(),
        };
        Err(rejected(format!("object {id} is not the one meant: {carried}")))
    }

    fn is_meant(&self, addressed: &Addressed, key: &Key, stand: &Stand) -> bool {
        let is_ours = stand.estate.as_ref() == Some(self.sending.estate);
        let carries_own = is_ours && stand.key.as_ref() == Some(key);
        match &addressed.carries {
            Some(carried) => carries_own || (is_ours && stand.key.as_ref() == Some(carried)),
            None => carries_own || stand.estate.is_none(),
        }
    }

    fn not_ours(&self, addressed: &Addressed) -> TargetError {
        self.reader.api.assets.rejected(format!("object {} is not ours: only fields of it are written", addressed.record.0))
    }
}
