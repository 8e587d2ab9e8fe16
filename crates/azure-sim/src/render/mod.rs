//! Resources as Azure Resource Manager writes them.

mod balancing;
mod network;
mod scale_set;
mod subscription;
mod vm;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) use scale_set::{instance, instance_nic, instance_public_ip};
pub(crate) use subscription::{
    LOCATIONS, descendant, group_resource, location, permission, resource_group, resource_row, skus, subscription,
};
pub(crate) use vm::{instance_view, set_power, status_only};

use crate::{
    ids,
    index::Index,
    kind::Kind,
    world::{Base, Subscription, Tags},
};

/// In which case ids stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupCase {
    /// In capitals, as the list of virtual machines has it.
    #[default]
    Upper,
    /// In small letters.
    Lower,
    /// As it was made.
    AsMade,
}

impl GroupCase {
    /// The id with its resource group in this case.
    pub(crate) fn apply(self, id: &str) -> String {
        match self {
            Self::Upper => ids::group_upper(id),
            Self::Lower => ids::group_lower(id),
            Self::AsMade => id.to_owned(),
        }
    }
}

/// How resources are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a Index,
    /// Of the resource group in the ids of machines.
    pub(crate) vm_case: GroupCase,
}

/// One resource, in full; `None` when there is none.
pub(crate) fn resource(kind: Kind, subscription: &Subscription, key: &str, view: View<'_>) -> Option<Value> {
    Some(match kind {
        Kind::Vm => vm::vm(subscription.vms.get(key)?, view),
        Kind::ScaleSet => scale_set::scale_set(subscription.scale_sets.get(key)?, view),
        Kind::Disk => vm::disk(subscription.disks.get(key)?, view, subscription),
        Kind::Nic => network::nic(subscription.nics.get(key)?, view),
        Kind::SecurityGroup => network::security_group(subscription.security_groups.get(key)?, view),
        Kind::ApplicationGroup => {
            let base = subscription.application_groups.get(key)?;
            head(base, kind, &base.id, json!({"provisioningState": "Succeeded"}))
        }
        Kind::Vnet => network::vnet(subscription.vnets.get(key)?, view),
        Kind::PublicIp => network::public_ip(subscription.public_ips.get(key)?, view),
        Kind::LoadBalancer => balancing::load_balancer(subscription.load_balancers.get(key)?, view),
        Kind::Gateway => balancing::gateway(subscription.gateways.get(key)?, view),
    })
}

/// What all resources have, and their properties.
pub(crate) fn head(base: &Base, kind: Kind, id: &str, properties: Value) -> Value {
    let mut item = json!({"name": base.name(), "id": id, "type": kind.full_name(), "location": base.location});
    put(&mut item, "properties", Some(properties));
    put(&mut item, "tags", tags(base.tags.as_ref(), kind));
    item
}

/// Compute leaves tags out where there are none, most of Network has them so too, and disks have `null` now and then.
fn tags(tags: Option<&Tags>, kind: Kind) -> Option<Value> {
    match tags {
        Some(tags) => Some(json!(tags)),
        None => (kind == Kind::Disk).then_some(Value::Null),
    }
}

/// Puts a field where there is a value.
pub(crate) fn put(item: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(fields), Some(value)) = (item.as_object_mut(), value) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// A reference, where there is one.
pub(crate) fn reference(id: Option<impl AsRef<str>>) -> Option<Value> {
    id.map(|id| json!({"id": id.as_ref()}))
}

/// References.
pub(crate) fn references<'a>(ids: impl IntoIterator<Item = &'a String>) -> Value {
    ids.into_iter().map(|id| json!({"id": id})).collect()
}

/// References, where there are any.
pub(crate) fn some_references(ids: &[String]) -> Option<Value> {
    (!ids.is_empty()).then(|| references(ids))
}

/// What a list of an index holds.
pub(crate) fn members<'a>(map: &'a std::collections::HashMap<String, Vec<String>>, id: &str) -> &'a [String] {
    map.get(&ids::fold(id)).map_or(&[], Vec::as_slice)
}

/// A time with the seven digits that .NET writes.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%7f+00:00").to_string()
}

/// A part of a resource that has an id of its own, such as a rule.
pub(crate) fn part(parent: &str, collection: &str, name: &str, properties: Value) -> Value {
    let mut item = Map::new();
    item.insert("name".to_owned(), json!(name));
    item.insert("id".to_owned(), json!(format!("{parent}/{collection}/{name}")));
    item.insert("etag".to_owned(), json!("W/\"00000000-0000-4000-8000-000000000001\""));
    item.insert("properties".to_owned(), properties);
    Value::Object(item)
}
