//! Writing assets: `POST /api/Asset`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    call::Call,
    clock, links, members,
    parts::{AssetType, Field},
    properties, render,
    reply::{ApiError, Reply},
    settings::{BatchFailure, FieldsUpdate, LongValues, PostAnswer, Settings, UnknownId},
    store::{Asset, Change},
    tenant::{Tenant, UNKNOWN, same},
    value::{Members, elements},
};

/// How long a column of text is.
const TEXT_MAX: usize = 4000;

/// Answers `POST /api/Asset`.
pub(crate) fn answer(call: &mut Call<'_>) -> Result<Reply, ApiError> {
    let mut elements = elements(call.body)?;
    for element in elements.iter_mut().filter_map(Value::as_object_mut) {
        element.retain(|name, _| !call.settings.ignored_members.contains(name));
    }
    call.notes.elements = elements.len();
    if call.settings.batch_max.is_some_and(|max| elements.len() > max) {
        return Err(ApiError::refused(format!("Too many records in one request: {}", elements.len())));
    }
    let mut written = Vec::new();
    for (number, element) in elements.iter().enumerate() {
        call.tenant.store.begin_part(number == 0);
        match Members::of(element, format!("[{number}]")).and_then(|members| upsert(call, &members)) {
            Ok(id) => written.push(id),
            Err(error) => {
                call.tenant.store.roll_back(call.settings.batch_failure == BatchFailure::Nothing);
                if call.settings.batch_failure == BatchFailure::Before {
                    call.notes.ids = written;
                }
                return Err(error);
            }
        }
    }
    call.tenant.store.commit();
    call.notes.ids.clone_from(&written);
    let tenant = &*call.tenant;
    let shown = written.iter().filter_map(|id| tenant.get(*id)).map(|asset| Value::Object(render::single(tenant, asset, true)));
    Ok(posted(call.settings, shown.collect()))
}

/// What a call that posts is answered with.
pub(crate) fn posted(settings: &Settings, mut shown: Vec<Value>) -> Reply {
    let is_object = match settings.post_answer {
        PostAnswer::ByCount => shown.len() == 1,
        PostAnswer::Array => false,
        PostAnswer::Object => true,
    };
    let body = if is_object && !shown.is_empty() { shown.swap_remove(0) } else { Value::Array(shown) };
    Reply::json(201, body)
}

/// Makes or changes one asset; gives its id.
fn upsert(call: &mut Call<'_>, members: &Members<'_>) -> Result<i64, ApiError> {
    note_unknown(call, members, "Device", "");
    let before = existing(call, members)?;
    let is_new = before.is_none();
    let mut asset = before.clone().unwrap_or_else(|| Asset { status_id: call.tenant.new_status, ..Asset::default() });

    set_type(call, members, &mut asset, is_new)?;
    let asset_type = call.tenant.types.get(&asset.assettype_id).cloned().unwrap_or_default();
    if let Some(site) = site(call.tenant, members)? {
        asset.site_id = site;
    } else if is_new {
        return Err(ApiError::refused("A Site must be selected"));
    }
    if let Some(status) = members.int("status_id")? {
        if !call.tenant.statuses.contains_key(&status) || asset_type.statuses.as_ref().is_some_and(|allowed| !allowed.contains(&status)) {
            return Err(ApiError::refused("The status is not valid for this asset type"));
        }
        asset.status_id = status;
    }
    if let Some(inactive) = members.flag("inactive")? {
        asset.inactive = inactive;
    }
    if let Some(notes) = members.text("notes")? {
        asset.notes = notes;
    }
    set_members(call.tenant, members, &mut asset)?;
    set_fields(call, members, &asset_type, &mut asset, is_new)?;
    set_custom_fields(call, members, &mut asset)?;
    set_tag(call, members, &asset_type, &mut asset)?;

    if is_new {
        asset.id = call.tenant.next_asset_id();
        asset.guid = call.tenant.guid();
    }
    let id = asset.id;
    if before.as_ref() != Some(&asset) {
        asset.changeguid = call.tenant.guid();
        asset.updated = call.tenant.now;
        if let Some(before) = &before {
            audit(call, before, &asset);
        }
        call.tenant.store.put(asset);
    }
    if links::write(call, members, id, is_new)? {
        call.tenant.change(id, |_| ());
    }
    Ok(id)
}

/// Writes down what no schema knows.
pub(crate) fn note_unknown(call: &mut Call<'_>, members: &Members<'_>, schema: &str, within: &str) {
    let recent = call.tenant.version.is_recent();
    let unknown = members.object.keys().filter(|name| !properties::is_known(schema, name, recent));
    call.notes.unknown_properties.extend(unknown.map(|name| format!("{within}{name}")));
}

/// The asset that is meant, or nothing when one is to be made.
fn existing(call: &Call<'_>, members: &Members<'_>) -> Result<Option<Asset>, ApiError> {
    let Some(id) = members.int("id")?.filter(|id| *id > 0) else { return Ok(None) };
    let found = call.tenant.get(id).filter(|asset| call.caller.sees(asset.assettype_id)).cloned();
    match call.settings.unknown_id {
        UnknownId::Refuse if found.is_none() => Err(ApiError::missing()),
        _ => Ok(found),
    }
}

fn set_type(call: &Call<'_>, members: &Members<'_>, asset: &mut Asset, is_new: bool) -> Result<(), ApiError> {
    let named = || Ok::<_, ApiError>(members.text("assettype_name")?.filter(|name| !name.is_empty()));
    let wanted = match members.int("assettype_id")?.filter(|id| *id > 0) {
        Some(id) => Some(id),
        None => named()?.map(|name| call.tenant.type_named(&name).unwrap_or_default()),
    };
    let Some(wanted) = wanted else {
        return if is_new { Err(ApiError::refused("An Asset Type must be selected")) } else { Ok(()) };
    };
    if !call.tenant.types.contains_key(&wanted) {
        return Err(ApiError::refused("Invalid Asset Type"));
    }
    if !call.caller.sees(wanted) {
        return Err(ApiError::forbidden());
    }
    if is_new || members.flag("_dontupdatetype")? != Some(true) {
        asset.assettype_id = wanted;
    }
    Ok(())
}

/// The site that is named. Names that nothing has are filed under the built-in Unknown.
fn site(tenant: &Tenant, members: &Members<'_>) -> Result<Option<i64>, ApiError> {
    if let Some(id) = members.int("site_id")?.filter(|id| *id > 0) {
        return if tenant.sites.contains_key(&id) { Ok(Some(id)) } else { Err(ApiError::refused("Invalid Site")) };
    }
    let text = |name: &str| Ok::<_, ApiError>(members.text(name)?.filter(|text| !text.is_empty()));
    let (client_name, site_name) = (text("client_name")?, text("site_name")?);
    let client_id = members.int("client_id")?.filter(|id| *id > 0);
    let of_client = |site_client: i64| {
        let is_named = |name: &String| tenant.clients.get(&site_client).is_some_and(|client| same(&client.name, name));
        client_id.is_none_or(|id| id == site_client) && (client_id.is_some() || client_name.as_ref().is_none_or(is_named))
    };
    let first = |is_meant: &dyn Fn(&str) -> bool| {
        tenant.sites.iter().find(|(_, site)| of_client(site.client_id) && is_meant(&site.name)).map_or(UNKNOWN, |(id, _)| *id)
    };
    Ok(match (site_name, client_name.is_some() || client_id.is_some()) {
        (Some(name), _) => Some(first(&|found| same(found, &name))),
        (None, true) => Some(first(&|_| true)),
        (None, false) => None,
    })
}

fn set_members(tenant: &Tenant, members: &Members<'_>, asset: &mut Asset) -> Result<(), ApiError> {
    for (name, value) in members::posted(members, &tenant.version)? {
        // Owners that there are not are unknown owners.
        let id = value.as_ref().and_then(Value::as_i64);
        let is_nobody = match name {
            "business_owner_id" => id.is_some_and(|id| !tenant.users.contains_key(&id)),
            "technical_owner_id" => id.is_some_and(|id| !tenant.agents.contains_key(&id)),
            _ => false,
        };
        match value.filter(|_| !is_nobody) {
            Some(value) => drop(asset.members.insert(name.to_owned(), value)),
            None => drop(asset.members.remove(name)),
        }
    }
    Ok(())
}

fn set_fields(call: &mut Call<'_>, members: &Members<'_>, asset_type: &AssetType, asset: &mut Asset, is_new: bool) -> Result<(), ApiError> {
    let list = members.list("fields")?;
    if let Some(list) = &list {
        let mut values = BTreeMap::new();
        for element in list {
            note_unknown(call, element, "FieldHelper", "fields.");
            let Some((id, field)) = named_field(call, element, asset_type)? else { continue };
            let value = value(call, element, &field)?;
            values.insert(id, value);
        }
        if call.settings.fields_update == FieldsUpdate::Wipe {
            asset.values.clear();
        }
        for (id, value) in values {
            if value.is_empty() {
                asset.values.remove(&id);
            } else {
                asset.values.insert(id, value);
            }
        }
    }
    let is_checked = call.settings.mandatory_fields && (is_new || list.is_some());
    let is_missing = |id: &i64| call.tenant.fields.get(id).is_some_and(|field| field.mandatory) && !asset.values.contains_key(id);
    match asset_type.fields.iter().map(|row| row.field_id).find(is_missing).filter(|_| is_checked) {
        Some(id) => {
            let name = call.tenant.fields.get(&id).map(|field| field.name.clone()).unwrap_or_default();
            Err(ApiError::refused(format!("{name} is mandatory")))
        }
        None => Ok(()),
    }
}

/// The field that is named by its id or its name. What the type does not have is ignored.
fn named_field(call: &mut Call<'_>, element: &Members<'_>, asset_type: &AssetType) -> Result<Option<(i64, Field)>, ApiError> {
    let name = element.text("name")?.unwrap_or_default();
    let id = match element.int("id")?.filter(|id| *id > 0) {
        Some(id) => Some(id),
        None => asset_type
            .fields
            .iter()
            .map(|row| row.field_id)
            .find(|id| call.tenant.fields.get(id).is_some_and(|field| same(&field.name, &name))),
    };
    let found = id.filter(|id| asset_type.has(*id)).and_then(|id| Some((id, call.tenant.fields.get(&id)?.clone())));
    if found.is_none() {
        let shown = id.map_or(name, |id| id.to_string());
        call.notes.unknown_properties.push(format!("fields[{shown}]"));
    }
    Ok(found)
}

/// A value as it is stored; empty when there is none.
fn value(call: &mut Call<'_>, element: &Members<'_>, field: &Field) -> Result<String, ApiError> {
    let is_text = element.get("value").is_none_or(Value::is_string);
    if !is_text && call.settings.text_values_only {
        return Err(ApiError::refused(format!("Invalid value for {}", field.name)));
    }
    let text = element.text("value")?.unwrap_or_default();
    if text.is_empty() {
        return Ok(text);
    }
    if field.validate == "D" {
        return clock::stored(&text).ok_or_else(|| ApiError::refused(format!("Invalid date for {}", field.name)));
    }
    if field.lookup > 0 {
        let codes = call.tenant.lookups.get(&field.lookup).map(|lookup| lookup.codes.as_slice()).unwrap_or_default();
        let code = codes.iter().find(|(id, name)| id.to_string() == text || same(name, &text)).map(|(id, _)| id.to_string());
        if code.is_none() {
            call.notes.unknown_properties.push(format!("fields[{}]={text}", field.name));
        }
        return Ok(code.unwrap_or_default());
    }
    fitting(call.settings, text, &field.name)
}

/// Text that fits its column.
fn fitting(settings: &Settings, text: String, name: &str) -> Result<String, ApiError> {
    // The database counts what UTF-16 has.
    let mut length = 0;
    let end = text.char_indices().find(|(_, character)| {
        length += character.len_utf16();
        length > TEXT_MAX
    });
    match end {
        None => Ok(text),
        Some((at, _)) if settings.long_values == LongValues::Cut => Ok(text.get(..at).unwrap_or_default().to_owned()),
        Some(_) => Err(ApiError::refused(format!("String or binary data would be truncated: {name}"))),
    }
}

fn set_custom_fields(call: &mut Call<'_>, members: &Members<'_>, asset: &mut Asset) -> Result<(), ApiError> {
    for element in members.list("customfields")?.unwrap_or_default() {
        note_unknown(call, &element, "CustomField", "customfields.");
        let (id, name) = (element.int("id")?, element.text("name")?.unwrap_or_default());
        let of_assets = call.tenant.custom_fields.iter().filter(|(_, field)| field.type_id == 5);
        let found = of_assets.into_iter().find(|(known, field)| id.map_or_else(|| same(&field.name, &name), |id| id == **known));
        let Some(found) = found.map(|(id, _)| *id) else {
            call.notes.unknown_properties.push(format!("customfields[{}]", id.map_or(name, |id| id.to_string())));
            continue;
        };
        let text = fitting(call.settings, element.text("value")?.unwrap_or_default(), &name)?;
        if text.is_empty() {
            asset.custom_values.remove(&found);
        } else {
            asset.custom_values.insert(found, text);
        }
    }
    Ok(())
}

fn set_tag(call: &mut Call<'_>, members: &Members<'_>, asset_type: &AssetType, asset: &mut Asset) -> Result<(), ApiError> {
    let before = asset.inventory_number.clone();
    if let Some(tag) = members.text("inventory_number")? {
        asset.inventory_number = fitting(call.settings, tag, "inventory_number")?;
    }
    let store = &mut call.tenant.store;
    if asset.inventory_number.trim().is_empty() && call.settings.automatic_tags {
        asset.inventory_number = format!("{}{}", asset_type.tag_prefix, store.next_tag());
    }
    let tag = &asset.inventory_number;
    let is_checked = call.settings.unique_tags && !tag.trim().is_empty() && *tag != before;
    if is_checked && store.tagged(tag).any(|other| other.id != asset.id) {
        return Err(ApiError::refused("Asset tag must be unique"));
    }
    Ok(())
}

/// Adds a row for each field that changed.
fn audit(call: &mut Call<'_>, before: &Asset, after: &Asset) {
    let tenant = &*call.tenant;
    let mut rows: Vec<(i64, String, String, String)> = Vec::new();
    let mut member = |name: &str, old: &Value, new: &Value| {
        let shown = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if old != new {
            rows.push((0, name.to_owned(), shown(old), shown(new)));
        }
    };
    member("Asset Tag", &json!(before.inventory_number), &json!(after.inventory_number));
    member("Asset Type", &json!(before.assettype_id), &json!(after.assettype_id));
    member("Site", &json!(before.site_id), &json!(after.site_id));
    member("Status", &json!(before.status_id), &json!(after.status_id));
    member("Inactive", &json!(before.inactive), &json!(after.inactive));
    member("Notes", &json!(before.notes), &json!(after.notes));
    for name in before.members.keys().chain(after.members.keys().filter(|name| !before.members.contains_key(*name))) {
        let value = |asset: &Asset| asset.members.get(name).cloned().unwrap_or_default();
        member(name, &value(before), &value(after));
    }
    let both = |old: &BTreeMap<i64, String>, new: &BTreeMap<i64, String>| -> Vec<(i64, String, String)> {
        let ids: BTreeSet<i64> = old.keys().chain(new.keys()).copied().collect();
        let value = |map: &BTreeMap<i64, String>, id: &i64| map.get(id).cloned().unwrap_or_default();
        ids.iter().map(|id| (*id, value(old, id), value(new, id))).filter(|(_, old, new)| old != new).collect()
    };
    for (id, old, new) in both(&before.values, &after.values) {
        let name = tenant.fields.get(&id).map(|field| field.name.clone()).unwrap_or_default();
        rows.push((id, name, old, new));
    }
    for (id, old, new) in both(&before.custom_values, &after.custom_values) {
        let name = tenant.custom_fields.get(&id).map(|field| field.label.clone()).unwrap_or_default();
        rows.push((0, name, old, new));
    }
    let who = call.who();
    for (field_id, field_name, old_value, new_value) in rows {
        let id = i64::try_from(call.tenant.store.changes().len()).unwrap_or(i64::MAX).saturating_add(1);
        let (asset_id, site_id, who, at) = (after.id, after.site_id, who.clone(), call.tenant.now);
        call.tenant.store.note(Change { id, asset_id, site_id, field_id, field_name, old_value, new_value, who, at });
    }
}
