//! Whether the records that a write speaks of are the ones that it means.

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Key, Provider};
use dewpoint_core::target::{Addressed, End, Identity, Operation, RecordId, Write};

/// What a record carries of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Our external id.
    pub key: Option<Key>,
    /// Whose it is.
    pub estate: Option<EstateId>,
}

impl Carried {
    /// Whether this is the record that is addressed, by a write for this key in the name of this estate.
    #[must_use]
    pub fn is_meant(&self, addressed: &Addressed, key: &Key, estate: &EstateId) -> bool {
        let is_ours = self.estate.as_ref() == Some(estate);
        let carries_own = is_ours && self.key.as_ref() == Some(key);
        match &addressed.carries {
            Some(carried) => carries_own || (is_ours && self.key.as_ref() == Some(carried)),
            None => carries_own || self.estate.is_none(),
        }
    }
}

/// Whether the records of a write are as it takes them to be. `noun` is what the target calls a record; `carried` is `None` of one that is not there.
///
/// # Errors
/// Why the write is to be refused, in words.
pub fn check(write: &Write, estate: &EstateId, noun: &str, carried: impl Fn(&RecordId) -> Option<Carried>) -> Result<(), String> {
    let not_ours = |record: &Addressed| Err(format!("{noun} {} is not ours: only fields of it are written", record.record.0));
    let meant = |addressed: &Addressed, key: &Key| {
        let id = &addressed.record.0;
        let found = carried(&addressed.record).ok_or_else(|| format!("there is no {noun} {id} any more"))?;
        if found.is_meant(addressed, key, estate) {
            return Ok(found);
        }
        let carried = match (&found.key, &found.estate) {
            (Some(key), Some(other)) if other == estate => format!("it is that of {key}"),
            (_, Some(other)) if other != estate => "it carries another estate id".to_owned(),
            (_, None) => "it carries no estate id".to_owned(),
            (_, Some(_)) => "it carries no external id".to_owned(),
        };
        Err(format!("{noun} {id} is not the one meant: {carried}"))
    };
    match &write.operation {
        Operation::Create { .. } => Ok(()),
        Operation::Update { record, retired, take_over, .. } => {
            let found = meant(record, &write.key)?;
            let is_strangers = record.carries.is_none() && found.estate.is_none();
            if is_strangers && retired.is_some() && !take_over { not_ours(record) } else { Ok(()) }
        }
        Operation::Purge { record } => match carried(&record.record) {
            None => Ok(()),
            Some(_) if record.carries.is_none() => not_ours(record),
            Some(_) => meant(record, &write.key).map(drop),
        },
        Operation::Relate { edge, from, to, .. } => {
            for (end, key) in [(from, &edge.from), (to, &edge.to)] {
                if let End::Stands(addressed) = end {
                    meant(addressed, key)?;
                }
            }
            Ok(())
        }
        Operation::Unrelate { edge, from, to, .. } => {
            for (addressed, key) in [(from, &edge.from), (to, &edge.to)] {
                if carried(&addressed.record).is_some() {
                    meant(addressed, key)?;
                }
            }
            Ok(())
        }
    }
}

/// Whether a stranger's record speaks of what is asked for: by the native id, as its provider compares ids, and as far as it names an account or a region.
#[must_use]
pub fn says_the_same(identity: &Identity, native_id: &str, account: Option<&str>, region: Option<&str>) -> bool {
    let same = |one: &str, other: &str| match identity.key.provider() {
        Provider::Azure => one.eq_ignore_ascii_case(other),
        _ => one == other,
    };
    same(native_id, &identity.native_id)
        && account.is_none_or(|account| same(account, identity.account.as_str()))
        && region.is_none_or(|region| same(region, identity.region.as_str()))
}
