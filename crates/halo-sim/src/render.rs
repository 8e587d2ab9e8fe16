//! Assets as answers have them.

use serde_json::{Map, Value, json};

use crate::{
    clock, members,
    parts::Field,
    store::{Asset, Relationship},
    tenant::Tenant,
};

/// What is shown of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// `fields`.
    pub(crate) fields: bool,
    /// `allowed_status`.
    pub(crate) statuses: bool,
}

/// Puts a member in, unless there is nothing to be told: the product leaves nulls out.
fn put(row: &mut Map<String, Value>, name: &str, value: impl Into<Option<Value>>) {
    if let Some(value) = value.into().filter(|value| !value.is_null()) {
        row.insert(name.to_owned(), value);
    }
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!(text))
}

/// An asset as lists have it.
pub(crate) fn row(tenant: &Tenant, asset: &Asset, view: View, custom: &[i64]) -> Map<String, Value> {
    let mut row = common(tenant, asset, true);
    if view.fields {
        row.insert("fields".to_owned(), Value::Array(fields(tenant, asset)));
    }
    if view.statuses {
        row.insert("allowed_status".to_owned(), allowed(tenant, asset.assettype_id));
    }
    let custom: Vec<Value> = custom.iter().filter_map(|id| custom_field(tenant, asset, *id)).collect();
    if !custom.is_empty() {
        row.insert("customfields".to_owned(), Value::Array(custom));
    }
    row
}

/// An asset by itself.
pub(crate) fn single(tenant: &Tenant, asset: &Asset, with_fields: bool) -> Map<String, Value> {
    let mut row = common(tenant, asset, false);
    put(&mut row, "guid", text(&asset.guid));
    put(&mut row, "notes", json!(asset.notes));
    put(&mut row, "dlastupdate", json!(clock::written(asset.updated)));
    put(&mut row, "last_modified", json!(clock::written(asset.updated)));
    let group = tenant.types.get(&asset.assettype_id).and_then(|found| tenant.groups.get(&found.group_id));
    put(&mut row, "assetgroup_name", group.map(|group| json!(group.name)));
    if with_fields {
        row.insert("fields".to_owned(), Value::Array(fields(tenant, asset)));
        let custom = tenant.custom_fields.iter().filter(|(_, field)| field.type_id == 5);
        row.insert("customfields".to_owned(), custom.filter_map(|(id, _)| custom_field(tenant, asset, *id)).collect());
    }
    row
}

/// What both have.
fn common(tenant: &Tenant, asset: &Asset, in_list: bool) -> Map<String, Value> {
    let mut row = Map::new();
    put(&mut row, "id", json!(asset.id));
    if tenant.version.is_recent() {
        put(&mut row, "changeguid", json!(asset.changeguid));
    }
    put(&mut row, "inventory_number", json!(asset.inventory_number));
    if let Some(asset_type) = tenant.types.get(&asset.assettype_id) {
        put(&mut row, "assettype_name", json!(asset_type.name));
        for (number, name) in [(1, "key_field"), (2, "key_field2"), (3, "key_field3")] {
            let field = asset_type.key(number).map(|key| key.field_id);
            put(&mut row, name, field.and_then(|field| asset.values.get(&field)).and_then(|value| text(value)));
        }
    }
    put(&mut row, "assettype_id", json!(asset.assettype_id));
    put(&mut row, "site_id", json!(asset.site_id));
    if let Some(site) = tenant.sites.get(&asset.site_id) {
        put(&mut row, "site_name", json!(site.name));
        put(&mut row, "client_id", json!(site.client_id));
        put(&mut row, "client_name", tenant.clients.get(&site.client_id).map(|client| json!(client.name)));
    }
    put(&mut row, "status_id", json!(asset.status_id));
    put(&mut row, "status_name", tenant.statuses.get(&asset.status_id).map(|status| json!(status.name)));
    put(&mut row, "inactive", json!(asset.inactive));
    put(&mut row, "device_number", json!(asset.id));
    put(&mut row, "colour", json!("#000000"));
    put(&mut row, "use", json!("asset"));
    for (name, default) in members::shown(&tenant.version, in_list) {
        put(&mut row, name, asset.members.get(name).cloned().unwrap_or(default));
    }
    let owner = |name| asset.members.get(name).and_then(Value::as_i64);
    let user = owner("business_owner_id").and_then(|id| tenant.users.get(&id));
    put(&mut row, "business_owner_name", user.map(|user| json!(user.name)));
    let agent = owner("technical_owner_id").and_then(|id| tenant.agents.get(&id));
    put(&mut row, "technical_owner_name", agent.map(|agent| json!(agent.name)));
    row
}

/// The fields of the asset's type; those without a value have none.
fn fields(tenant: &Tenant, asset: &Asset) -> Vec<Value> {
    let Some(asset_type) = tenant.types.get(&asset.assettype_id) else { return Vec::new() };
    let known = asset_type.fields.iter().filter_map(|row| Some((row.field_id, tenant.fields.get(&row.field_id)?)));
    known.map(|(id, field)| field_value(tenant, asset, id, field)).collect()
}

fn field_value(tenant: &Tenant, asset: &Asset, id: i64, field: &Field) -> Value {
    let mut row = Map::new();
    put(&mut row, "id", json!(id));
    put(&mut row, "name", json!(field.name));
    put(&mut row, "validate", json!(field.validate));
    if let Some(value) = asset.values.get(&id) {
        put(&mut row, "value", json!(value));
        put(&mut row, "display", json!(display(tenant, field, value)));
    }
    put(&mut row, "lookup", json!(field.lookup));
    put(&mut row, "mandatory", json!(field.mandatory));
    put(&mut row, "showonactivity", json!(false));
    put(&mut row, "systemuse", json!(0));
    put(&mut row, "parenttype_id", json!(0));
    put(&mut row, "access_level", json!(0));
    put(&mut row, "typeinfo_id", json!(asset.assettype_id));
    Value::Object(row)
}

/// A value as people see it: the name of a lookup's code.
fn display(tenant: &Tenant, field: &Field, value: &str) -> String {
    let codes = tenant.lookups.get(&field.lookup).map(|lookup| lookup.codes.as_slice()).unwrap_or_default();
    codes.iter().find(|(id, _)| id.to_string() == value).map_or_else(|| value.to_owned(), |(_, name)| name.clone())
}

fn custom_field(tenant: &Tenant, asset: &Asset, id: i64) -> Option<Value> {
    let field = tenant.custom_fields.get(&id)?;
    let mut row = Map::new();
    put(&mut row, "id", json!(id));
    put(&mut row, "name", json!(field.name));
    put(&mut row, "label", json!(field.label));
    put(&mut row, "type", json!(0));
    put(&mut row, "usage", json!(1));
    if let Some(value) = asset.custom_values.get(&id) {
        put(&mut row, "value", json!(value));
        put(&mut row, "display", json!(value));
    }
    Some(Value::Object(row))
}

/// The statuses that an asset of this type can have.
pub(crate) fn allowed(tenant: &Tenant, type_id: i64) -> Value {
    let allowed = tenant.types.get(&type_id).and_then(|found| found.statuses.as_ref());
    let shown = tenant.statuses.iter().filter(|(id, _)| allowed.is_none_or(|allowed| allowed.contains(id)));
    shown.map(|(id, status)| json!({"id": 0, "xtype_id": type_id, "status_id": id, "status_name": status.name})).collect()
}

/// The other end of a relationship, as a row.
pub(crate) fn related(tenant: &Tenant, other: i64, relationship: &Relationship) -> Option<Value> {
    let asset = tenant.get(other)?;
    let mut row = row(tenant, asset, View::default(), &[]);
    put(&mut row, "parent_id", json!(relationship.parent));
    put(&mut row, "child_id", json!(relationship.child));
    put(&mut row, "relationship_id", json!(relationship.relationship_id));
    put(&mut row, "sibling_id", json!(relationship.is_sibling));
    Some(Value::Object(row))
}
