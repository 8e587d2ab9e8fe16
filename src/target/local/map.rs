//! CIs as records: one class per kind, one field per attribute, values as they are.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Digest, attributes};
use crate::target::{Adapted, Authority, Ci, DesiredField};

/// Part of the mapping's digest: raised when [`adapt`] gives other fields for the same CI.
const VERSION: &str = "local mapping 1";

/// The field by which people's records for the same thing are found.
pub(super) const NATIVE_ID: &str = "native_id";

/// Every attribute becomes a field of its own name. Where an attribute of an unknown name meets one of the fixed fields, the fixed field stands.
pub(super) fn adapt(ci: &Ci, authority: &BTreeMap<String, Authority>) -> Adapted {
    let mut values: BTreeMap<String, Value> = ci.attributes.clone();
    let mut fixed = |name: &str, value: Option<Value>| {
        // A fixed field without a value hides an attribute of its name too: the meaning of a field must not depend on the CI.
        match value {
            Some(value) => values.insert(name.to_owned(), value),
            None => values.remove(name),
        };
    };
    fixed("name", Some(ci.name.clone().into()));
    fixed(NATIVE_ID, Some(ci.native_id.clone().into()));
    fixed("provider", Some(ci.provider.as_str().into()));
    fixed("account", Some(ci.account.as_str().into()));
    fixed("region", Some(ci.region.as_str().into()));
    fixed("state", ci.state.clone().map(Value::String));
    fixed("stage", Some(ci.stage.as_str().into()));
    fixed("created_at", ci.created_at.map(|at| at.to_string().into()));
    let tags = ci.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    fixed("tags", (!ci.tags.is_empty()).then_some(Value::Object(tags)));

    let fields = values
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let field = DesiredField {
                value,
                authority: authority.get(&name).copied().unwrap_or(Authority::Owned),
                volatile: attributes::is_volatile(ci.kind, &name),
                identifying: name == NATIVE_ID,
            };
            (name, field)
        })
        .collect();
    Adapted { class: ci.kind.as_str().to_owned(), fields, failed: BTreeMap::new() }
}

/// Digest of what decides [`adapt`].
pub(super) fn digest(authority: &BTreeMap<String, Authority>) -> Digest {
    let overrides = authority.iter().flat_map(|(field, authority)| [field.as_bytes(), authority.as_str().as_bytes()]);
    Digest::of_parts(std::iter::once(VERSION.as_bytes()).chain(overrides))
}
