//! What a tenant has to be set up with, from the mapping.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_target_kit::Standing;

use crate::mapping::{KEY_FIELDS, MARKS, Mapping};

/// All of it.
pub(crate) struct Blueprint {
    pub(crate) statuses: Vec<String>,
    /// Names of fields.
    pub(crate) fields: BTreeSet<String>,
    /// Fields of types in their order: key fields first.
    pub(crate) types: BTreeMap<String, Vec<String>>,
}

impl Blueprint {
    /// What this mapping needs.
    pub(crate) fn of(mapping: &Mapping) -> Self {
        let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (kind, class) in mapping.sheet().classes() {
            let own = types.entry(class.to_owned()).or_default();
            let is_field = |name: &&str| mapping.sheet().field(kind, name).is_some_and(|field| field.shape.has_field());
            let named = mapping.sheet().fields(kind).map(|(name, _)| name);
            for name in KEY_FIELDS.into_iter().chain(named).filter(is_field).chain(MARKS) {
                if !own.iter().any(|there| there == name) {
                    own.push(name.to_owned());
                }
            }
        }
        let mut statuses: Vec<String> = Vec::new();
        for standing in Standing::ALL {
            let name = mapping.statuses().name(standing).to_owned();
            if !statuses.contains(&name) {
                statuses.push(name);
            }
        }
        Self { statuses, fields: types.values().flatten().cloned().collect(), types }
    }
}
