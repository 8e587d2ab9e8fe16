//! What schemas share: statuses, reference types, icons, and how much of everything there is.

use serde_json::{Value, json};

use crate::{
    call::{Call, Members, missing},
    object::fold,
    reply::{ApiError, Reply},
    site::{Kind, ReferenceType, Role, StatusType},
    value,
};

type Answer = Result<Reply, ApiError>;

fn first<'a>(path: &[&'a str]) -> &'a str {
    path.first().copied().unwrap_or_default()
}

/// Who may change what belongs to a schema, or to all.
fn check_owner(call: &Call<'_>, schema: Option<u64>) -> Result<(), ApiError> {
    match schema {
        None => call.check_admin(),
        Some(schema) => call.check_role(schema, Role::Manager),
    }
}

/// The schema that a query names; whether it is seen.
fn asked_schema(call: &Call<'_>) -> Result<Option<u64>, ApiError> {
    match call.parameter("objectSchemaId") {
        "" => Ok(None),
        text => {
            let id = call.path_id(text, "object schema")?;
            call.schema(id).map(|schema| Some(schema.id))
        }
    }
}

/// `GET /config/statustype`: those of the schema that is named, or the global ones.
pub(crate) fn status_list(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let schema = asked_schema(call)?;
    let show = call.show();
    let statuses = call.site.statuses.values().filter(|status| status.schema_id == schema);
    Ok(Reply::ok(statuses.map(|status| show.status(status)).collect()))
}

fn status<'a>(call: &'a Call<'_>, text: &str) -> Result<&'a StatusType, ApiError> {
    let not_found = || missing("status type", text);
    let found = text.parse().ok().and_then(|id: u64| call.site.statuses.get(&id)).ok_or_else(not_found)?;
    let is_seen = found.schema_id.is_none_or(|schema| call.caller.role(call.site, schema).is_some());
    if is_seen { Ok(found) } else { Err(not_found()) }
}

/// `GET /config/statustype/{id}`.
pub(crate) fn status_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let found = status(call, first(path))?;
    Ok(Reply::ok(call.show().status(found)))
}

fn read_status(call: &Call<'_>, members: &Members, id: Option<u64>, schema: Option<u64>) -> Result<(Option<String>, Option<u8>), ApiError> {
    let name = members.text("name")?;
    if let Some(name) = name {
        let length = name.chars().count();
        if !(1..=255).contains(&length) {
            return Err(ApiError::field("name", "The name must be less than 255 characters"));
        }
        let same = |status: &&StatusType| Some(status.id) != id && status.schema_id == schema && fold(&status.name) == fold(name);
        if call.site.statuses.values().any(|status| same(&status)) {
            return Err(ApiError::field("name", "There is already a status with this name"));
        }
    }
    let invalid = || ApiError::field("category", "The category has to be 0, 1 or 2");
    let category = members.number("category")?.map(|number| u8::try_from(number).ok().filter(|number| *number < 3).ok_or_else(invalid));
    Ok((name.map(str::to_owned), category.transpose()?))
}

/// The schema of a body; it has to be seen.
fn body_schema(call: &Call<'_>, members: &Members) -> Result<Option<u64>, ApiError> {
    let schema = members.id("objectSchemaId")?;
    let unknown = |_| ApiError::field("objectSchemaId", "The object schema does not exist");
    schema.map(|schema| call.schema(schema).map(|schema| schema.id).map_err(unknown)).transpose()
}

/// `POST /config/statustype`.
pub(crate) fn status_create(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let members = call.members(&["name", "description", "category", "objectSchemaId"])?;
    let schema = body_schema(call, &members)?;
    check_owner(call, schema)?;
    let (name, category) = read_status(call, &members, None, schema)?;
    let name = name.ok_or_else(|| ApiError::field("name", "The name is required"))?;
    let category = category.ok_or_else(|| ApiError::field("category", "The category is required"))?;
    let id = call.site.add_status(&name, category, schema);
    if let (Some(description), Some(status)) = (members.text("description")?, call.site.statuses.get_mut(&id)) {
        description.clone_into(&mut status.description);
    }
    status_get(call, &[&id.to_string()]).map(|reply| Reply { status: 201, ..reply })
}

/// `PUT /config/statustype/{id}`.
pub(crate) fn status_update(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let old = status(call, first(path))?.clone();
    check_owner(call, old.schema_id)?;
    let members = call.members(&["name", "description", "category", "objectSchemaId"])?;
    let (name, category) = read_status(call, &members, Some(old.id), old.schema_id)?;
    let description = members.text("description")?.map(str::to_owned);
    if let Some(status) = call.site.statuses.get_mut(&old.id) {
        status.name = name.unwrap_or(old.name);
        status.category = category.unwrap_or(old.category);
        status.description = description.unwrap_or(old.description);
    }
    status_get(call, path)
}

/// `DELETE /config/statustype/{id}`, unless objects have it.
pub(crate) fn status_delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let old = status(call, first(path))?.clone();
    check_owner(call, old.schema_id)?;
    let attributes = call.site.attributes.values().filter(|attribute| matches!(attribute.kind, Kind::Status { .. }));
    let text = old.id.to_string();
    let mut held = attributes.filter_map(|attribute| call.site.store.count_having(attribute.id, &text));
    if held.any(|count| count > 0) {
        return Err(ApiError::bad("The status is in use"));
    }
    call.site.statuses.remove(&old.id);
    Ok(Reply::empty(200))
}

/// `GET /config/referencetype`: those of the schema that is named, the global ones, or all.
pub(crate) fn reference_type_list(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let schema = asked_schema(call)?;
    let with_all = call.is_set("includeAll");
    let show = call.show();
    let kinds = call.site.reference_types.values().filter(|kind| kind.schema_id == schema || (with_all && kind.schema_id.is_none()));
    Ok(Reply::ok(kinds.map(|kind| show.reference_type(kind)).collect()))
}

fn reference_type<'a>(call: &'a Call<'_>, text: &str) -> Result<&'a ReferenceType, ApiError> {
    let not_found = || missing("reference type", text);
    let found = text.parse().ok().and_then(|id: u64| call.site.reference_types.get(&id)).ok_or_else(not_found)?;
    let is_seen = found.schema_id.is_none_or(|schema| call.caller.role(call.site, schema).is_some());
    if is_seen { Ok(found) } else { Err(not_found()) }
}

/// `GET /config/referencetype/{id}`.
pub(crate) fn reference_type_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let found = reference_type(call, first(path))?;
    Ok(Reply::ok(call.show().reference_type(found)))
}

/// `POST /config/referencetype`.
pub(crate) fn reference_type_create(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let members = call.members(&["name", "description", "color", "objectSchemaId"])?;
    let schema = body_schema(call, &members)?;
    check_owner(call, schema)?;
    let name =
        members.text("name")?.filter(|name| !name.trim().is_empty()).ok_or_else(|| ApiError::field("name", "The name is required"))?;
    let mut others = call.site.reference_types.values();
    if others.any(|kind| kind.schema_id == schema && fold(&kind.name) == fold(name)) {
        return Err(ApiError::field("name", "There is already a reference type with this name"));
    }
    let (description, color) = (members.text("description")?, members.text("color")?);
    let id = call.site.add_reference_type(name, schema);
    if let Some(made) = call.site.reference_types.get_mut(&id) {
        made.description = description.unwrap_or_default().to_owned();
        if let Some(color) = color {
            color.clone_into(&mut made.color);
        }
    }
    reference_type_get(call, &[&id.to_string()]).map(|reply| Reply { status: 201, ..reply })
}

/// `DELETE /config/referencetype/{id}`, unless attributes have it.
pub(crate) fn reference_type_delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let old = reference_type(call, first(path))?.clone();
    check_owner(call, old.schema_id)?;
    let mut attributes = call.site.attributes.values();
    if attributes.any(|one| matches!(one.kind, Kind::Reference { reference_type, .. } if reference_type == old.id)) {
        return Err(ApiError::bad("The reference type is in use"));
    }
    call.site.reference_types.remove(&old.id);
    Ok(Reply::empty(200))
}

/// `GET /icon/global`.
pub(crate) fn icon_list(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let show = call.show();
    Ok(Reply::ok(call.site.icons.iter().map(|icon| show.icon(icon)).collect()))
}

/// `GET /icon/{id}`.
pub(crate) fn icon_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let icon = call.site.icons.iter().find(|icon| icon.id == first(path)).ok_or_else(|| missing("icon", first(path)))?;
    Ok(Reply::ok(call.show().icon(icon)))
}

/// `GET /usage`.
pub(crate) fn usage(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let count = |schema: u64| -> usize {
        let types = call.site.types.values().filter(|one| one.schema_id == schema);
        types.map(|one| call.site.store.count_of_type(one.id)).sum()
    };
    let schemas: Vec<Value> = call
        .site
        .schemas
        .values()
        .map(|schema| {
            json!({
                "schemaId": schema.id,
                "schemaName": schema.name,
                "schemaCreatedAt": value::stamp(schema.created),
                "objectCount": count(schema.id),
            })
        })
        .collect();
    Ok(Reply::ok(json!({"totalObjectsCount": call.site.store.len(), "perSchemaUsageInfo": schemas})))
}
