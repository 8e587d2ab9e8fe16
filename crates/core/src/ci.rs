//! From what is known of a resource to the record we want a CMDB to hold.

use serde_json::Value;

use crate::estate::{Known, Stage};
use crate::ownership::Ownership;
use crate::rules::Verdict;
use crate::target::Ci;

/// The CI of a resource, as it should read at `stage`: its own attributes, the ownership that its tags tell, the `flag` that a rule set, and the values that
/// rules put in place of others.
///
/// An ownership attribute wins over one of the same name that the provider gave, and a rule's over both.
#[must_use]
pub fn ci(known: &Known, stage: Stage, ownership: &Ownership, verdict: &Verdict) -> Ci {
    let resource = &known.resource;
    let mut attributes = resource.attributes.clone();
    let facts = ownership.resolve(&resource.tags).map(|(fact, value)| (fact.as_str(), value));
    for (name, value) in facts.chain(known.flag.as_deref().map(|flag| ("flag", flag))) {
        attributes.insert(name.to_owned(), Value::from(value));
    }
    attributes.extend(verdict.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ci {
        key: resource.key.clone(),
        kind: resource.kind,
        provider: resource.provider,
        account: resource.account.clone(),
        region: resource.region.clone(),
        native_id: resource.native_id.clone(),
        name: resource.name.clone().unwrap_or_else(|| resource.native_id.clone()),
        state: resource.state.clone(),
        stage,
        attributes,
        tags: resource.tags.clone(),
        created_at: resource.created_at,
        attached: None,
    }
}
