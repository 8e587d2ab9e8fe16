//! Asset types, groups, fields, statuses, lookups, clients and sites.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    page::Window,
    parts::{AssetGroup, AssetType, Client, CustomField, Field, Restriction, Site, Status, TypeField},
    post::{note_unknown, posted},
    reply::{ApiError, Reply},
    route::Entity,
    tenant::{LOOKUP_TYPES, Tenant, UNKNOWN},
    value::{Members, elements},
};

/// The `type` of statuses of assets; those of tickets have 0.
const ASSET_STATUS: i64 = 1;

/// An id where the schema has a number that need not be whole.
fn double(id: i64) -> Value {
    json!(i32::try_from(id).map_or(0.0, f64::from))
}

/// Answers a list.
pub(crate) fn list(call: &Call<'_>, entity: Entity) -> Result<Reply, ApiError> {
    let (tenant, params) = (&*call.tenant, call.params);
    let rows: Vec<Value> = match entity {
        Entity::AssetType => {
            let group = params.int("assetgroup_id")?.filter(|id| *id > 0);
            let seen =
                tenant.types.iter().filter(|(id, found)| call.caller.sees(**id) && group.is_none_or(|group| group == found.group_id));
            seen.map(|(id, found)| asset_type(tenant, *id, found, call.settings.fields_in_type_list, false)).collect()
        }
        Entity::AssetGroup => tenant.groups.iter().map(|(id, group)| asset_group(*id, group)).collect(),
        Entity::Field => {
            let kind = params.text("kind");
            let seen = tenant.fields.iter().filter(|(_, field)| kind.is_empty() || field.kind.eq_ignore_ascii_case(kind));
            seen.map(|(id, found)| field(tenant, *id, found, false)).collect()
        }
        Entity::FieldInfo => {
            let type_id = params.int("typeid")?;
            let seen = tenant.custom_fields.iter().filter(|(_, field)| type_id.is_none_or(|wanted| wanted == field.type_id));
            seen.map(|(id, field)| custom_field(*id, field)).collect()
        }
        // Without a type they are those of tickets, with the same ids.
        Entity::Status if params.text("type").eq_ignore_ascii_case("asset") => statuses(&tenant.statuses, ASSET_STATUS),
        Entity::Status => statuses(&tenant.ticket_statuses, 0),
        Entity::Lookup => {
            let wanted = params.int("lookupid")?;
            let types = (LOOKUP_TYPES, tenant.lookups.iter().map(|(id, lookup)| (*id, lookup.name.clone())).collect());
            let all = tenant.lookups.iter().map(|(id, lookup)| (*id, lookup.codes.clone())).chain([types]);
            let seen = all.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
            seen.flat_map(|(lookup, codes)| codes.into_iter().map(move |(id, name)| code(lookup, id, &name))).collect()
        }
        Entity::Client => {
            let seen = active(call)?;
            let found = tenant.clients.iter().filter(|(_, client)| seen(client.inactive)).map(|(id, client)| (*id, client)).collect();
            return paged(call, "clients", found, |(id, found)| client(id, found));
        }
        Entity::Site => {
            let seen = active(call)?;
            let client = params.int("client_id")?;
            let of_client = |site: &Site| client.is_none_or(|client| client == site.client_id);
            let found = tenant.sites.iter().filter(|(_, site)| seen(site.inactive) && of_client(site)).map(|(id, site)| (*id, site));
            return paged(call, "sites", found.collect(), |(id, found)| site(tenant, id, found));
        }
        _ => return Err(ApiError::missing()),
    };
    Ok(Reply::json(200, Value::Array(rows)))
}

/// Which of what is active and what is not is listed.
pub(crate) fn active(call: &Call<'_>) -> Result<impl Fn(bool) -> bool, ApiError> {
    let (active, inactive) = (call.params.flag("includeactive")?, call.params.flag("includeinactive")?);
    Ok(move |is_inactive| if is_inactive { inactive } else { active || !inactive })
}

pub(crate) fn paged<T>(
    call: &Call<'_>,
    key: &str,
    mut found: Vec<(i64, T)>,
    render: impl Fn((i64, T)) -> Map<String, Value>,
) -> Result<Reply, ApiError> {
    let window = Window::of(call.params, call.settings)?;
    let search = call.params.text("search").trim().to_lowercase();
    let shown = |row: &Map<String, Value>| {
        ["name", "emailaddress"]
            .iter()
            .any(|name| row.get(*name).and_then(Value::as_str).is_some_and(|text| text.to_lowercase().contains(&search)))
    };
    found.sort_by_key(|(id, _)| *id);
    let rows = found.into_iter().map(|(id, row)| (id, render((id, row)))).filter(|(_, row)| search.is_empty() || shown(row)).collect();
    Ok(Reply::json(200, window.answer(key, rows, |(_, row)| Value::Object(row))))
}

/// Answers for one.
pub(crate) fn get(call: &Call<'_>, entity: Entity, id: i64) -> Result<Reply, ApiError> {
    let tenant = &*call.tenant;
    let details = call.params.flag("includedetails")?;
    shown(tenant, entity, id, details)
        .filter(|_| entity != Entity::AssetType || call.caller.sees(id))
        .map_or_else(|| Err(ApiError::missing()), |row| Ok(Reply::json(200, row)))
}

fn shown(tenant: &Tenant, entity: Entity, id: i64, details: bool) -> Option<Value> {
    Some(match entity {
        Entity::AssetType => asset_type(tenant, id, tenant.types.get(&id)?, details, details),
        Entity::AssetGroup => asset_group(id, tenant.groups.get(&id)?),
        Entity::Field => field(tenant, id, tenant.fields.get(&id)?, details),
        Entity::FieldInfo => custom_field(id, tenant.custom_fields.get(&id)?),
        Entity::Status => {
            // Both have the same ids.
            let (found, kind) =
                tenant.ticket_statuses.get(&id).map(|found| (found, 0)).or_else(|| Some((tenant.statuses.get(&id)?, ASSET_STATUS)))?;
            statuses(&BTreeMap::from([(id, found.clone())]), kind).pop()?
        }
        Entity::Lookup => {
            let found =
                tenant.lookups.iter().find_map(|(lookup, found)| Some((*lookup, found.codes.iter().find(|(known, _)| *known == id)?)));
            let (lookup, (id, name)) = found?;
            code(lookup, *id, name)
        }
        Entity::Client => Value::Object(client(id, tenant.clients.get(&id)?)),
        Entity::Site => Value::Object(site(tenant, id, tenant.sites.get(&id)?)),
        _ => return None,
    })
}

fn asset_type(tenant: &Tenant, id: i64, found: &AssetType, fields: bool, details: bool) -> Value {
    let name_of = |field: i64| tenant.fields.get(&field).map_or("", |field| field.name.as_str());
    let group = tenant.groups.get(&found.group_id).map_or("", |group| group.name.as_str());
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
    put("id", json!(id));
    put("name", json!(found.name));
    put("assetgroup_id", json!(found.group_id));
    put("assetgroup_name", json!(group));
    for (number, key, name) in
        [(1, "keyfield_id", "keyfield_name"), (2, "keyfield2_id", "keyfield2_name"), (3, "keyfield3_id", "keyfield3_name")]
    {
        put(key, json!(found.key(number).map_or(0, |field| field.id)));
        put(name, json!(found.key(number).map_or("", |field| name_of(field.field_id))));
    }
    put("tagprefix", json!(found.tag_prefix));
    put("show_to_users", json!(found.show_to_users));
    put("allowall_status", json!(found.statuses.is_none()));
    put("visibility_level", json!(1));
    put("linkedcontracttype", json!(-1));
    put("fiid", json!(-1));
    put("finame", json!("Asset Tag"));
    if fields {
        let shown = (1..).zip(&found.fields).map(|(sequence, field)| {
            let mut row = json!({"id": double(field.id), "typeinfo_id": double(id), "field_id": double(field.field_id),
                "field_name": name_of(field.field_id), "sequence": sequence, "type": tenant.fields.get(&field.field_id).map(|field| &field.validate),
                "tab_id": -1, "tab_name": "", "groupname": "", "techdetail": 1, "userdetail": 1});
            if let (Some(key), Some(row)) = (field.key, row.as_object_mut()) {
                row.insert("keyfield_id".to_owned(), json!(key.to_string()));
            }
            row
        });
        put("fields", shown.collect());
    }
    if details {
        let allowed = found.statuses.iter().flatten().filter_map(|status| Some((status, tenant.statuses.get(status)?)));
        let allowed = (1..)
            .zip(allowed)
            .map(|(number, (status, found))| json!({"id": number, "xtype_id": id, "status_id": status, "status_name": found.name}));
        put("allowed_status", allowed.collect());
        if tenant.version.is_recent() {
            let rules = |of: &dyn Fn(&Restriction) -> bool| -> Value {
                let rules = (1..).zip(&tenant.restrictions).filter(|(_, rule)| of(rule));
                rules
                    .map(|(number, rule)| {
                        json!({"id": number, "upstream_type": rule.upstream_type, "downstream_type": rule.downstream_type,
                            "relationship": rule.relationship_id})
                    })
                    .collect()
            };
            put("upstream_relationship_restrictions", rules(&|rule| rule.downstream_type == id));
            put("downstream_relationship_restrictions", rules(&|rule| rule.upstream_type == id));
        }
    }
    Value::Object(row)
}

fn asset_group(id: i64, group: &AssetGroup) -> Value {
    json!({"id": id, "name": group.name, "showasequip": group.for_assets, "showasitem": false, "isfixedasset": false, "sequence": id})
}

fn field(tenant: &Tenant, id: i64, field: &Field, details: bool) -> Value {
    let mut row = json!({"id": id, "kind": field.kind, "name": field.name, "validate": field.validate, "lookup": field.lookup,
        "mandatory": field.mandatory, "systemuse": 0, "datafrom": 0, "datalength": 0, "sequence": id, "showonactivity": false, "parenttype_id": 0,
        "access_level": 0});
    if let (true, Some(row), Some(lookup)) = (details, row.as_object_mut(), tenant.lookups.get(&field.lookup)) {
        row.insert("values".to_owned(), lookup.codes.iter().map(|(id, name)| code(field.lookup, *id, name)).collect());
    }
    row
}

fn custom_field(id: i64, field: &CustomField) -> Value {
    json!({"id": id, "name": field.name, "label": field.label, "usage": field.type_id, "type": 0})
}

fn statuses(found: &BTreeMap<i64, Status>, kind: i64) -> Vec<Value> {
    found
        .iter()
        .map(|(id, status)| json!({"id": id, "name": status.name, "shortname": status.name, "type": kind, "sequence": id}))
        .collect()
}

fn code(lookup: i64, id: i64, name: &str) -> Value {
    json!({"lookupid": lookup, "id": id, "name": name})
}

fn client(id: i64, client: &Client) -> Map<String, Value> {
    Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("name".to_owned(), json!(client.name)),
        ("inactive".to_owned(), json!(client.inactive)),
        ("use".to_owned(), json!("client")),
    ])
}

fn site(tenant: &Tenant, id: i64, site: &Site) -> Map<String, Value> {
    let client = tenant.clients.get(&site.client_id).map_or("", |client| client.name.as_str());
    Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("name".to_owned(), json!(site.name)),
        ("client_id".to_owned(), double(site.client_id)),
        ("client_name".to_owned(), json!(client)),
        ("clientsite_name".to_owned(), json!(format!("{client}/{}", site.name))),
        ("inactive".to_owned(), json!(site.inactive)),
        ("use".to_owned(), json!("site")),
    ])
}

/// Answers what is posted. Elements are taken one by one; those before one that fails stay.
pub(crate) fn post(call: &mut Call<'_>, entity: Entity) -> Result<Reply, ApiError> {
    let elements = elements(call.body)?;
    call.notes.elements = elements.len();
    let mut shown_rows = Vec::new();
    for (number, element) in elements.iter().enumerate() {
        let members = Members::of(element, format!("[{number}]"))?;
        let id = upsert(call, entity, &members)?;
        call.notes.ids.push(id);
        shown_rows.extend(shown(call.tenant, entity, id, true));
    }
    Ok(posted(call.settings, shown_rows))
}

fn upsert(call: &mut Call<'_>, entity: Entity, members: &Members<'_>) -> Result<i64, ApiError> {
    note_unknown(call, members, schema(entity), "");
    let id = members.int("id")?.filter(|id| *id > 0);
    let name = members.text("name")?.filter(|name| !name.trim().is_empty());
    let is_known = id.is_some_and(|id| shown(call.tenant, entity, id, false).is_some());
    if id.is_some() && !is_known {
        return Err(ApiError::missing());
    }
    let named = || name.clone().ok_or_else(|| ApiError::refused("Name must be entered"));
    let id = match id {
        Some(id) => id,
        None => {
            named()?;
            call.tenant.next_id()
        }
    };
    let flag = |name: &str| members.flag(name);
    match entity {
        Entity::AssetType => asset_type_posted(call, members, id, name)?,
        Entity::AssetGroup => {
            let before = call.tenant.groups.get(&id).cloned();
            let for_assets = flag("showasequip")?.or(before.as_ref().map(|group| group.for_assets)).unwrap_or_default();
            let name = name.or(before.map(|group| group.name)).unwrap_or_default();
            call.tenant.groups.insert(id, AssetGroup { name, for_assets });
        }
        Entity::Field => {
            let mut field = call.tenant.fields.get(&id).cloned().unwrap_or_else(|| Field::text(""));
            let kind = members.text("kind")?;
            if !is_known && kind.is_none() {
                return Err(ApiError::refused("Invalid field kind"));
            }
            field.kind = kind.unwrap_or(field.kind);
            field.name = name.unwrap_or(field.name);
            field.validate = members.text("validate")?.unwrap_or(field.validate);
            field.lookup = members.int("lookup")?.unwrap_or(field.lookup);
            field.mandatory = flag("mandatory")?.unwrap_or(field.mandatory);
            call.tenant.fields.insert(id, field);
        }
        Entity::FieldInfo => {
            let before = call.tenant.custom_fields.get(&id).cloned();
            let label = members.text("label")?.or(before.as_ref().map(|field| field.label.clone())).unwrap_or_default();
            let type_id = members.int("usage")?.or(before.as_ref().map(|field| field.type_id)).unwrap_or(5);
            let name = name.or(before.map(|field| field.name)).unwrap_or_default();
            call.tenant.custom_fields.insert(id, CustomField { name, label, type_id });
        }
        Entity::Status => {
            let is_of_assets = call.settings.asset_statuses_by_type && members.int("type")? == Some(ASSET_STATUS);
            let all = if is_of_assets { &mut call.tenant.statuses } else { &mut call.tenant.ticket_statuses };
            if let Some(name) = name {
                all.insert(id, Status { name });
            }
        }
        Entity::Lookup => {
            let lookup = members.int("lookupid")?.ok_or_else(|| ApiError::refused("Invalid lookup"))?;
            let codes = &mut call.tenant.lookups.entry(lookup).or_default().codes;
            codes.retain(|(known, _)| *known != id);
            codes.push((id, name.unwrap_or_default()));
        }
        Entity::Client => {
            let before = call.tenant.clients.get(&id).cloned();
            let inactive = flag("inactive")?.or(before.as_ref().map(|client| client.inactive)).unwrap_or_default();
            let name = name.or(before.map(|client| client.name)).unwrap_or_default();
            call.tenant.clients.insert(id, Client { name, inactive });
        }
        Entity::Site => {
            let before = call.tenant.sites.get(&id).cloned();
            let client_id = members.int("client_id")?.or(before.as_ref().map(|site| site.client_id));
            let client_id =
                client_id.filter(|id| call.tenant.clients.contains_key(id)).ok_or_else(|| ApiError::refused("Invalid Client"))?;
            let inactive = flag("inactive")?.or(before.as_ref().map(|site| site.inactive)).unwrap_or_default();
            let name = name.or(before.map(|site| site.name)).unwrap_or_default();
            call.tenant.sites.insert(id, Site { name, client_id, inactive });
        }
        _ => return Err(ApiError::missing()),
    }
    Ok(id)
}

/// The schema of what is posted.
fn schema(entity: Entity) -> &'static str {
    match entity {
        Entity::AssetType => "Xtype",
        Entity::AssetGroup => "Generic",
        Entity::Field => "Field",
        Entity::FieldInfo => "FieldInfo",
        Entity::Status => "TStatus",
        Entity::Lookup => "Lookup",
        Entity::Client => "Area",
        _ => "Site_List",
    }
}

fn asset_type_posted(call: &mut Call<'_>, members: &Members<'_>, id: i64, name: Option<String>) -> Result<(), ApiError> {
    let mut found = call.tenant.types.get(&id).cloned().unwrap_or_default();
    found.name = name.unwrap_or(found.name);
    if let Some(group) = members.int("assetgroup_id")? {
        if !call.tenant.groups.contains_key(&group) {
            return Err(ApiError::refused("Invalid Asset Group"));
        }
        found.group_id = group;
    }
    found.tag_prefix = members.text("tagprefix")?.unwrap_or(found.tag_prefix);
    found.show_to_users = members.flag("show_to_users")?.unwrap_or(found.show_to_users);
    if let Some(list) = members.list("fields")? {
        let mut fields: Vec<TypeField> = Vec::new();
        for element in list {
            note_unknown(call, &element, "TypeInfo", "fields.");
            let field_id = element.int("field_id")?.filter(|id| call.tenant.fields.contains_key(id));
            let Some(field_id) = field_id.filter(|id| !fields.iter().any(|field| field.field_id == *id)) else {
                call.notes.unknown_properties.push("fields.field_id".to_owned());
                continue;
            };
            let known = found.fields.iter().find(|field| field.field_id == field_id);
            let largest = fields.iter().chain(&found.fields).map(|field| field.id).max().unwrap_or_default();
            let key = element.int("keyfield_id")?.and_then(|key| u8::try_from(key).ok()).filter(|key| (1..=3).contains(key));
            fields.push(TypeField {
                id: known.map_or(largest + 1, |known| known.id),
                field_id,
                key: key.or(known.and_then(|known| known.key)),
            });
        }
        found.fields = fields;
    }
    for (number, name) in [(1, "keyfield_id"), (2, "keyfield2_id"), (3, "keyfield3_id")] {
        if let Some(row) = members.int(name)? {
            for field in &mut found.fields {
                match field.key {
                    Some(key) if key == number && field.id != row => field.key = None,
                    _ if field.id == row => field.key = Some(number),
                    _ => {}
                }
            }
        }
    }
    let allowed = members.list("allowed_status")?;
    let all = members.flag("allowall_status")?;
    if all == Some(true) {
        found.statuses = None;
    } else if all == Some(false) || allowed.is_some() {
        let mut statuses = found.statuses.unwrap_or_default();
        if let Some(allowed) = allowed {
            statuses.clear();
            for element in allowed {
                note_unknown(call, &element, "XTypeStatus", "allowed_status.");
                statuses.extend(element.int("status_id")?);
            }
        }
        found.statuses = Some(statuses);
    }
    call.tenant.types.insert(id, found);
    Ok(())
}

/// Deletes one. What is in use stays.
pub(crate) fn delete(call: &mut Call<'_>, entity: Entity, id: i64) -> Result<Reply, ApiError> {
    let row = shown(call.tenant, entity, id, false).ok_or_else(ApiError::missing)?;
    let tenant = &mut *call.tenant;
    let is_used = match entity {
        Entity::AssetType => tenant.store.is_type_used(id),
        Entity::AssetGroup => tenant.types.values().any(|found| found.group_id == id),
        Entity::Field => tenant.types.values().any(|found| found.has(id)),
        Entity::Client => id == UNKNOWN || tenant.sites.values().any(|site| site.client_id == id),
        Entity::Site => id == UNKNOWN || tenant.store.is_site_used(id),
        _ => false,
    };
    if is_used {
        return Err(ApiError::refused("This record is in use and cannot be deleted"));
    }
    match entity {
        Entity::AssetType => drop(tenant.types.remove(&id)),
        Entity::AssetGroup => drop(tenant.groups.remove(&id)),
        Entity::Field => drop(tenant.fields.remove(&id)),
        Entity::FieldInfo => drop(tenant.custom_fields.remove(&id)),
        Entity::Status => drop(tenant.ticket_statuses.remove(&id)),
        Entity::Lookup => {
            if let Some(lookup) = tenant.lookups.values_mut().find(|lookup| lookup.codes.iter().any(|(known, _)| *known == id)) {
                lookup.codes.retain(|(known, _)| *known != id);
            }
        }
        Entity::Client => drop(tenant.clients.remove(&id)),
        Entity::Site => drop(tenant.sites.remove(&id)),
        _ => return Err(ApiError::missing()),
    }
    call.notes.ids.push(id);
    Ok(Reply::json(200, row))
}
