//! Schemas, object types, attributes, statuses, reference types, icons.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::{
    call::{Call, Members, missing},
    object::fold,
    objects::has_reserved,
    reply::{ApiError, Reply},
    settings::Reserved,
    site::{Attribute, Form, Kind, ObjectType, Role},
    value,
};

type Answer = Result<Reply, ApiError>;

/// The longest name of anything.
const NAME_CHARS_MAX: usize = 255;

fn first<'a>(path: &[&'a str]) -> &'a str {
    path.first().copied().unwrap_or_default()
}

fn check_name(call: &Call<'_>, name: &str) -> Result<(), ApiError> {
    if name.trim().is_empty() {
        return Err(ApiError::field("name", "The name is required"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(ApiError::field("name", "The name must be less than 255 characters"));
    }
    if call.settings.reserved != Reserved::Nowhere && has_reserved(name) {
        return Err(ApiError::field("name", "The name contains reserved characters"));
    }
    Ok(())
}

/// The name in a body, looked at; `None` where there is none.
fn name<'a>(call: &Call<'_>, members: &'a Members) -> Result<Option<&'a str>, ApiError> {
    let name = members.text("name")?;
    name.map(|name| check_name(call, name)).transpose()?;
    Ok(name)
}

fn required<T>(value: Option<T>, field: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::field(field, &format!("{field} is required")))
}

/// `GET /objectschema/list`.
pub(crate) fn schema_list(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let show = call.show();
    let visible: Vec<_> = call.site.schemas.values().filter(|schema| call.caller.role(call.site, schema.id).is_some()).collect();
    let shown =
        |schema: &&crate::site::Schema, counts| show.schema(schema, counts, call.caller.role(call.site, schema.id) == Some(Role::Manager));
    if !call.site.is_cloud() {
        let all: Vec<Value> = visible.iter().map(|schema| shown(schema, true)).collect();
        return Ok(Reply::ok(json!({"objectschemas": all})));
    }
    let start = call.count("startAt", 0)?;
    let size = call.count("maxResults", 25)?;
    let page: Vec<Value> = visible.iter().skip(start).take(size).map(|schema| shown(schema, call.is_set("includeCounts"))).collect();
    let is_last = start + page.len() >= visible.len();
    Ok(Reply::ok(json!({"startAt": start, "maxResults": size, "total": visible.len(), "values": page, "last": is_last, "isLast": is_last})))
}

fn shown_schema(call: &Call<'_>, id: u64) -> Answer {
    let schema = call.schema(id)?;
    Ok(Reply::ok(call.show().schema(schema, true, call.caller.role(call.site, id) == Some(Role::Manager))))
}

/// `GET /objectschema/{id}`.
pub(crate) fn schema_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    shown_schema(call, call.path_id(first(path), "object schema")?)
}

fn check_schema(call: &Call<'_>, id: Option<u64>, name: Option<&str>, key: Option<&str>) -> Result<(), ApiError> {
    let others = || call.site.schemas.values().filter(|schema| Some(schema.id) != id);
    let mut errors = BTreeMap::new();
    if name.is_some_and(|name| others().any(|other| fold(&other.name) == fold(name))) {
        errors.insert("name".to_owned(), "There is already an object schema with this name".to_owned());
    }
    if let Some(key) = key {
        let has_shape = key.starts_with(|letter: char| letter.is_ascii_uppercase())
            && key.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
            && (2..=10).contains(&key.len());
        if !has_shape {
            errors.insert("objectSchemaKey".to_owned(), "The key has to consist of 2 to 10 upper-case letters".to_owned());
        } else if others().any(|other| other.key == key) {
            errors.insert("objectSchemaKey".to_owned(), "There is already an object schema with this key".to_owned());
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

/// `POST /objectschema/create`.
pub(crate) fn schema_create(call: &mut Call<'_>, _: &[&str]) -> Answer {
    call.check_admin()?;
    let members = call.members(&["name", "objectSchemaKey", "description"])?;
    let name = required(name(call, &members)?, "name")?;
    let key = required(members.text("objectSchemaKey")?, "objectSchemaKey")?;
    check_schema(call, None, Some(name), Some(key))?;
    let id = call.site.add_schema(name, key);
    let (now, user) = (call.now, call.caller.user.clone());
    if let Some(schema) = call.site.schemas.get_mut(&id) {
        (schema.created, schema.updated) = (now, now);
        schema.description = members.text("description")?.unwrap_or_default().to_owned();
    }
    if let Some(user) = call.site.user_mut(&user) {
        user.roles.insert(id, Some(Role::Manager));
    }
    shown_schema(call, id).map(|reply| Reply { status: 201, ..reply })
}

/// `PUT /objectschema/{id}`.
pub(crate) fn schema_update(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    call.schema(id)?;
    call.check_role(id, Role::Manager)?;
    let members = call.members(&["name", "objectSchemaKey", "description"])?;
    let name = name(call, &members)?;
    let key = members.text("objectSchemaKey")?;
    if key.is_some_and(|key| call.site.schemas.get(&id).is_some_and(|schema| schema.key != key)) {
        return Err(ApiError::field("objectSchemaKey", "The key of an object schema cannot be changed"));
    }
    check_schema(call, Some(id), name, None)?;
    let now = call.now;
    let description = members.text("description")?;
    if let Some(schema) = call.site.schemas.get_mut(&id) {
        if let Some(name) = name {
            name.clone_into(&mut schema.name);
        }
        if let Some(description) = description {
            description.clone_into(&mut schema.description);
        }
        schema.updated = now;
    }
    shown_schema(call, id)
}

/// `DELETE /objectschema/{id}`, with all its types and objects.
pub(crate) fn schema_delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    let shown = shown_schema(call, id)?;
    call.check_admin()?;
    let types: Vec<u64> = call.site.types.values().filter(|one| one.schema_id == id).map(|one| one.id).collect();
    for type_id in types {
        remove_type(call, type_id);
    }
    call.site.schemas.remove(&id);
    call.site.statuses.retain(|_, status| status.schema_id != Some(id));
    call.site.reference_types.retain(|_, kind| kind.schema_id != Some(id));
    call.site.imports.retain(|source| source.schema_id != id);
    Ok(shown)
}

/// Takes a type away with its objects and attributes.
fn remove_type(call: &mut Call<'_>, type_id: u64) {
    let objects: Vec<u64> = call.site.store.of_type(type_id).collect();
    for object in objects {
        call.site.delete(object);
    }
    call.site.attributes.retain(|_, attribute| attribute.type_id != type_id);
    call.site.types.remove(&type_id);
}

/// `POST /global/config/objectschema/{id}/property`.
pub(crate) fn schema_property(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    call.schema(id)?;
    call.check_role(id, Role::Manager)?;
    let members = call.members(&["allowOtherObjectSchema", "validateQuickCreate", "quickCreateObjects"])?;
    members.flag("validateQuickCreate")?;
    members.flag("quickCreateObjects")?;
    let allow = members.flag("allowOtherObjectSchema")?;
    if let (Some(allow), Some(schema)) = (allow, call.site.schemas.get_mut(&id)) {
        schema.allow_other_object_schema = allow;
    }
    Ok(Reply::empty(200))
}

/// `GET /objectschema/{id}/objecttypes`.
pub(crate) fn schema_types(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    call.schema(id)?;
    let is_without_abstract = call.is_set("excludeAbstract");
    let show = call.show();
    let types = call.site.types.values().filter(|one| one.schema_id == id && !(one.is_abstract && is_without_abstract));
    let types: Vec<Value> = types.map(|one| show.object_type(one, true)).collect();
    Ok(Reply::ok(Value::Array(types)))
}

/// `GET /objectschema/{id}/objecttypes/flat`: the whole tree, each type before those below it.
pub(crate) fn schema_types_flat(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    call.schema(id)?;
    let show = call.show();
    let with_counts = call.is_set("includeObjectCounts") || !call.site.is_cloud();
    let mut tree = Vec::new();
    flatten(call, id, None, &mut tree);
    let (query, exclude) = (fold(call.parameter("query")).into_owned(), call.parameter("exclude"));
    let types = tree.into_iter().filter(|one| fold(&one.name).contains(&query) && (exclude.is_empty() || one.name != exclude));
    let types: Vec<Value> = types.map(|one| show.object_type(one, with_counts)).collect();
    Ok(Reply::ok(Value::Array(types)))
}

fn flatten<'a>(call: &'a Call<'_>, schema: u64, parent: Option<u64>, tree: &mut Vec<&'a ObjectType>) {
    let mut level: Vec<&ObjectType> = call.site.types.values().filter(|one| one.schema_id == schema && one.parent_id == parent).collect();
    level.sort_by_key(|one| one.position);
    for one in level {
        tree.push(one);
        flatten(call, schema, Some(one.id), tree);
    }
}

/// `GET /objectschema/{id}/attributes`.
pub(crate) fn schema_attributes(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = call.path_id(first(path), "object schema")?;
    call.schema(id)?;
    let is_extended = call.is_set("extended");
    let attributes = call
        .site
        .attributes
        .values()
        .filter(|attribute| call.site.types.get(&attribute.type_id).is_some_and(|one| one.schema_id == id))
        .filter(|attribute| is_asked(call, attribute, id));
    let show = call.show();
    let attributes: Vec<Value> = attributes.map(|attribute| show.attribute(attribute, is_extended)).collect();
    Ok(Reply::ok(Value::Array(attributes)))
}

/// Whether a listing of attributes has this one.
fn is_asked(call: &Call<'_>, attribute: &Attribute, schema: u64) -> bool {
    let is_hidden = attribute.hidden && call.caller.role(call.site, schema) == Some(Role::User);
    let is_left_out = is_hidden || (attribute.system.is_some() && call.is_set("onlyValueEditable"));
    !is_left_out && fold(&attribute.name).contains(fold(call.parameter("query")).as_ref())
}

/// A type that the caller sees, by the number in a path.
fn object_type<'a>(call: &'a Call<'_>, text: &str, needed: Role) -> Result<&'a ObjectType, ApiError> {
    let not_found = || missing("object type", text);
    let id = call.path_id(text, "object type")?;
    let found = call.site.types.get(&id).ok_or_else(not_found)?;
    call.caller.role(call.site, found.schema_id).ok_or_else(not_found)?;
    call.check_role(found.schema_id, needed)?;
    Ok(found)
}

fn shown_type(call: &Call<'_>, id: u64) -> Answer {
    let found = call.site.types.get(&id).ok_or_else(|| missing("object type", &id.to_string()))?;
    Ok(Reply::ok(call.show().object_type(found, true)))
}

/// `GET /objecttype/{id}`.
pub(crate) fn type_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = object_type(call, first(path), Role::User)?.id;
    shown_type(call, id)
}

fn icon(call: &Call<'_>, members: &Members) -> Result<Option<String>, ApiError> {
    let id = match members.get("iconId") {
        None => return Ok(None),
        Some(Value::String(text)) if call.site.is_cloud() || !call.settings.strict_ids => text.clone(),
        Some(Value::Number(number)) if !call.site.is_cloud() || !call.settings.strict_ids => number.to_string(),
        Some(_) => return Err(ApiError::field("iconId", "The icon is invalid")),
    };
    if call.site.icons.iter().any(|icon| icon.id == id) { Ok(Some(id)) } else { Err(ApiError::field("iconId", "The icon does not exist")) }
}

/// Whether a name is free among the types of a schema.
fn check_type_name(call: &Call<'_>, schema: u64, id: Option<u64>, name: &str) -> Result<(), ApiError> {
    let mut others = call.site.types.values().filter(|one| one.schema_id == schema && Some(one.id) != id);
    if others.any(|other| fold(&other.name) == fold(name)) {
        return Err(ApiError::field("name", "There is already an object type with this name"));
    }
    Ok(())
}

/// `POST /objecttype/create`.
pub(crate) fn type_create(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let members =
        call.members(&["name", "description", "iconId", "objectSchemaId", "parentObjectTypeId", "inherited", "abstractObjectType"])?;
    let schema_id = required(members.id("objectSchemaId")?, "objectSchemaId")?;
    call.schema(schema_id).map_err(|_| ApiError::field("objectSchemaId", "The object schema does not exist"))?;
    call.check_role(schema_id, Role::Manager)?;
    let name = required(name(call, &members)?, "name")?;
    check_type_name(call, schema_id, None, name)?;
    let icon_id = required(icon(call, &members)?, "iconId")?;
    let parent_id = members.id("parentObjectTypeId")?;
    if let Some(parent) = parent_id
        && call.site.types.get(&parent).is_none_or(|parent| parent.schema_id != schema_id)
    {
        return Err(ApiError::field("parentObjectTypeId", "The parent object type does not exist in the object schema"));
    }
    let made = ObjectType {
        id: 0,
        schema_id,
        name: name.to_owned(),
        description: members.text("description")?.unwrap_or_default().to_owned(),
        icon_id,
        parent_id,
        inherited: members.flag("inherited")?.unwrap_or_default(),
        is_abstract: members.flag("abstractObjectType")?.unwrap_or_default(),
        position: 0,
        created: call.now,
        updated: call.now,
    };
    let id = call.site.add_type_with(made);
    shown_type(call, id).map(|reply| Reply { status: 201, ..reply })
}

/// `PUT /objecttype/{id}`.
pub(crate) fn type_update(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let old = object_type(call, first(path), Role::Manager)?.clone();
    let mut known = vec!["name", "description", "iconId", "inherited", "abstractObjectType"];
    if !call.site.is_cloud() {
        known.extend(["objectSchemaId", "parentObjectTypeId"]);
    }
    let members = call.members(&known)?;
    let name = name(call, &members)?;
    name.map(|name| check_type_name(call, old.schema_id, Some(old.id), name)).transpose()?;
    let is_abstract = members.flag("abstractObjectType")?;
    if is_abstract == Some(true) && call.site.store.count_of_type(old.id) > 0 {
        return Err(ApiError::field("abstractObjectType", "The object type has objects"));
    }
    let changed = ObjectType {
        name: name.map_or_else(|| old.name.clone(), str::to_owned),
        description: members.text("description")?.map_or_else(|| old.description.clone(), str::to_owned),
        icon_id: icon(call, &members)?.unwrap_or_else(|| old.icon_id.clone()),
        inherited: members.flag("inherited")?.unwrap_or(old.inherited),
        is_abstract: is_abstract.unwrap_or(old.is_abstract),
        updated: call.now,
        ..old
    };
    let id = changed.id;
    if changed.inherited != old.inherited && call.site.types.values().any(|one| one.parent_id == Some(id)) {
        return Err(ApiError::field("inherited", "The object type has object types below it"));
    }
    call.site.types.insert(id, changed);
    shown_type(call, id)
}

/// `DELETE /objecttype/{id}`.
pub(crate) fn type_delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let id = object_type(call, first(path), Role::Manager)?.id;
    if call.site.types.values().any(|one| one.parent_id == Some(id)) {
        return Err(ApiError::bad("The object type has object types below it"));
    }
    let is_referred_to = |attribute: &Attribute| matches!(attribute.kind, Kind::Reference { type_id, .. } if type_id == id);
    if call.site.attributes.values().any(|attribute| attribute.type_id != id && is_referred_to(attribute)) {
        return Err(ApiError::bad("The object type is referred to by attributes of others"));
    }
    let shown = shown_type(call, id)?;
    remove_type(call, id);
    Ok(shown)
}

/// `POST /objecttype/{id}/position`.
pub(crate) fn type_position(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let moved = object_type(call, first(path), Role::Manager)?.clone();
    let members = call.members(&["toObjectTypeId", "position"])?;
    let parent = members.id("toObjectTypeId")?;
    let position = required(members.number("position")?, "position")?;
    let position = u64::try_from(position).map_err(|_| ApiError::field("position", "The position is invalid"))?;
    if let Some(parent) = parent {
        let is_sound =
            call.site.types.get(&parent).is_some_and(|one| one.schema_id == moved.schema_id) && !call.site.is_or_below(parent, moved.id);
        if !is_sound {
            return Err(ApiError::field("toObjectTypeId", "The object type cannot be moved there"));
        }
        let inherits = |parent: Option<u64>| parent.and_then(|id| call.site.types.get(&id)).is_some_and(|one| one.inherited);
        if inherits(Some(parent)) || inherits(moved.parent_id) {
            return Err(ApiError::field("toObjectTypeId", "Object types cannot be moved into or out of an inheritance"));
        }
    }
    if let Some(one) = call.site.types.get_mut(&moved.id) {
        (one.parent_id, one.position) = (parent, position);
    }
    shown_type(call, moved.id)
}

/// `GET /objecttype/{id}/attributes`, those from above too.
pub(crate) fn type_attributes(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let (id, schema) = object_type(call, first(path), Role::User).map(|one| (one.id, one.schema_id))?;
    let mut attributes = call.site.attributes_of(id);
    if call.is_set("excludeParentAttributes") {
        attributes.retain(|attribute| attribute.type_id == id);
    }
    if call.is_set("includeChildren") {
        for below in call.site.with_below(id) {
            for attribute in call.site.attributes_of(below) {
                if !attributes.iter().any(|other| other.id == attribute.id) {
                    attributes.push(attribute);
                }
            }
        }
    }
    if call.is_set("orderByName") {
        attributes.sort_by_key(|attribute| fold(&attribute.name).into_owned());
    }
    if call.is_set("orderByRequired") {
        attributes.sort_by_key(|attribute| attribute.minimum == 0);
    }
    let show = call.show();
    let attributes = attributes.into_iter().filter(|attribute| is_asked(call, attribute, schema));
    let attributes: Vec<Value> = attributes.map(|attribute| show.attribute(attribute, true)).collect();
    Ok(Reply::ok(Value::Array(attributes)))
}

const ATTRIBUTE_MEMBERS: [&str; 18] = [
    "name",
    "label",
    "description",
    "type",
    "defaultTypeId",
    "typeValue",
    "typeValueMulti",
    "additionalValue",
    "minimumCardinality",
    "maximumCardinality",
    "includeChildObjectTypes",
    "hidden",
    "uniqueAttribute",
    "summable",
    "regexValidation",
    "qlQuery",
    "options",
    "suffix",
];

/// What kind of attribute a body asks for.
fn kind(call: &Call<'_>, members: &Members, home: &ObjectType) -> Result<Kind, ApiError> {
    let number = |field: &str| -> Result<u64, ApiError> {
        let text = required(members.text(field)?.filter(|text| !text.is_empty()), field)?;
        text.parse().map_err(|_| ApiError::field(field, &format!("{field} is invalid")))
    };
    match members.number("type")?.unwrap_or_default() {
        0 => {
            let form = required(members.number("defaultTypeId")?, "defaultTypeId")?;
            // -1 is none, which the product makes a text of.
            let form = if form == -1 { Some(Form::Text) } else { Form::of(form) };
            form.map(Kind::Default).ok_or_else(|| ApiError::field("defaultTypeId", "The default type does not exist"))
        }
        1 => {
            let (type_id, reference_type) = (number("typeValue")?, number("additionalValue")?);
            let target = call.site.types.get(&type_id).filter(|target| call.caller.role(call.site, target.schema_id).is_some());
            let target = target.ok_or_else(|| ApiError::field("typeValue", "The object type does not exist"))?;
            let is_open = call.site.schemas.get(&target.schema_id).is_some_and(|schema| schema.allow_other_object_schema);
            if target.schema_id != home.schema_id && !is_open {
                return Err(ApiError::field("typeValue", "The object schema does not allow references from other object schemas"));
            }
            let is_known =
                call.site.reference_types.get(&reference_type).is_some_and(|kind| kind.schema_id.is_none_or(|id| id == home.schema_id));
            if !is_known {
                return Err(ApiError::field("additionalValue", "The reference type does not exist"));
            }
            Ok(Kind::Reference { type_id, reference_type })
        }
        2 => {
            let groups = members.texts("typeValueMulti")?.unwrap_or_default();
            if groups.iter().any(|group| !call.site.groups.contains(group)) {
                return Err(ApiError::field("typeValueMulti", "Invalid Group(s)"));
            }
            Ok(Kind::User { groups })
        }
        4 => Ok(Kind::Group),
        7 => {
            let allowed = members.texts("typeValueMulti")?.unwrap_or_default();
            let known = |text: &String| {
                let id: u64 = text.parse().ok()?;
                let status = call.site.statuses.get(&id)?;
                status.schema_id.is_none_or(|schema| schema == home.schema_id).then_some(id)
            };
            let allowed: Option<Vec<u64>> = allowed.iter().map(known).collect();
            let allowed = allowed.ok_or_else(|| ApiError::field("typeValueMulti", "A status does not exist"))?;
            Ok(Kind::Status { allowed })
        }
        _ => Err(ApiError::field("type", "The type does not exist")),
    }
}

/// Reads an attribute: what is not said is as it was.
fn attribute_of(call: &Call<'_>, members: &Members, home: &ObjectType, old: Option<&Attribute>) -> Result<Attribute, ApiError> {
    let name = name(call, members)?;
    let is_new_kind = old.is_none() || ["type", "defaultTypeId", "typeValue", "typeValueMulti"].iter().any(|member| members.has(member));
    let base = match old {
        Some(old) => old.clone(),
        None => {
            required(members.number("type")?, "type")?;
            Attribute::text(required(name, "name")?)
        }
    };
    let kind = if is_new_kind { kind(call, members, home)? } else { base.kind.clone() };
    if let Some(old) = old
        && std::mem::discriminant(&old.kind) != std::mem::discriminant(&kind)
    {
        return Err(ApiError::field("type", "The type of an attribute cannot be changed"));
    }
    let is_multiple = matches!(kind, Kind::Reference { .. } | Kind::User { .. } | Kind::Group | Kind::Default(Form::Email | Form::Select));
    let minimum = members.number("minimumCardinality")?.map(u32::try_from).transpose();
    let minimum = minimum.map_err(|_| ApiError::field("minimumCardinality", "The cardinality is invalid"))?.unwrap_or(base.minimum);
    let maximum = match members.number("maximumCardinality")? {
        None => base.maximum,
        Some(-1) => None,
        Some(maximum) => {
            let invalid = || ApiError::field("maximumCardinality", "The cardinality is invalid");
            Some(u32::try_from(maximum).ok().filter(|maximum| *maximum > 0).ok_or_else(invalid)?)
        }
    };
    if maximum.is_some_and(|maximum| maximum < minimum) || (maximum != Some(1) && !is_multiple) {
        return Err(ApiError::field("maximumCardinality", "The cardinality is invalid"));
    }
    let texts = |member: &str| members.text(member).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let regex = if members.has("regexValidation") { texts("regexValidation")? } else { base.regex.clone() };
    if regex.as_ref().is_some_and(|regex| value::compile(regex).is_none()) {
        return Err(ApiError::field("regexValidation", "The pattern is invalid"));
    }
    if regex.is_some() && !matches!(kind, Kind::Default(Form::Text | Form::Email)) {
        return Err(ApiError::field("regexValidation", "Only texts and emails can have a pattern"));
    }
    let query = if members.has("qlQuery") { texts("qlQuery")? } else { base.query.clone() };
    let options = match members.text("options")? {
        None => base.options.clone(),
        Some(options) => options.split(',').map(|option| option.trim().to_owned()).filter(|option| !option.is_empty()).collect(),
    };
    let is_label = members.flag("label")?.unwrap_or(base.label);
    if old.is_some_and(|old| old.label) && !is_label {
        return Err(ApiError::field("label", "An object type needs a label"));
    }
    if is_label && !matches!(kind, Kind::Default(_)) {
        return Err(ApiError::field("label", "The attribute cannot be the label"));
    }
    let additional = match &kind {
        Kind::Default(Form::Url) | Kind::User { .. } => {
            let words: &[&str] =
                if matches!(kind, Kind::User { .. }) { &["SHOW_PROFILE", "HIDE_PROFILE"] } else { &["ENABLED", "DISABLED"] };
            let sent = texts("additionalValue")?;
            if sent.as_ref().is_some_and(|sent| !words.contains(&sent.as_str())) {
                return Err(ApiError::field("additionalValue", "additionalValue is invalid"));
            }
            sent.or_else(|| base.additional.clone())
        }
        _ => None,
    };
    Ok(Attribute {
        name: name.map_or_else(|| base.name.clone(), str::to_owned),
        description: members.text("description")?.map_or_else(|| base.description.clone(), str::to_owned),
        kind,
        label: is_label,
        minimum,
        maximum,
        unique: members.flag("uniqueAttribute")?.unwrap_or(base.unique),
        regex,
        options,
        include_children: members.flag("includeChildObjectTypes")?.unwrap_or(base.include_children),
        query,
        hidden: members.flag("hidden")?.unwrap_or(base.hidden),
        summable: members.flag("summable")?.unwrap_or(base.summable),
        suffix: members.text("suffix")?.map_or_else(|| base.suffix.clone(), str::to_owned),
        additional,
        ..base
    })
}

/// Whether a name is free among the attributes of a type, of those above it and of those below it.
fn check_attribute_name(call: &Call<'_>, type_id: u64, id: Option<u64>, name: &str) -> Result<(), ApiError> {
    let types = call.site.with_below(type_id);
    let mut related = types.into_iter().flat_map(|one| call.site.attributes_of(one));
    if related.any(|other| Some(other.id) != id && fold(&other.name) == fold(name)) {
        return Err(ApiError::field("name", "There is already an attribute with this name"));
    }
    Ok(())
}

fn shown_attribute(call: &Call<'_>, id: u64, status: u16) -> Answer {
    let found = call.site.attributes.get(&id).ok_or_else(|| missing("attribute", &id.to_string()))?;
    Ok(Reply::new(status, call.show().attribute(found, true)))
}

/// `POST /objecttypeattribute/{objectTypeId}`.
pub(crate) fn attribute_create(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let home = object_type(call, first(path), Role::Manager)?.clone();
    let members = call.members(&ATTRIBUTE_MEMBERS)?;
    let made = attribute_of(call, &members, &home, None)?;
    check_attribute_name(call, home.id, None, &made.name)?;
    let id = call.site.add_attribute(home.id, made);
    shown_attribute(call, id, 201)
}

/// `PUT /objecttypeattribute/{objectTypeId}/{id}`.
pub(crate) fn attribute_update(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let home = object_type(call, first(path), Role::Manager)?.clone();
    let text = path.get(1).copied().unwrap_or_default();
    let id = call.path_id(text, "attribute")?;
    let old = call.site.attributes.get(&id).filter(|old| old.type_id == home.id).ok_or_else(|| missing("attribute", text))?.clone();
    if old.system.is_some() {
        return Err(ApiError::bad("The attribute belongs to the system"));
    }
    let members = call.members(&ATTRIBUTE_MEMBERS)?;
    let changed = attribute_of(call, &members, &home, Some(&old))?;
    check_attribute_name(call, home.id, Some(id), &changed.name)?;
    if changed.unique && !old.unique && has_doubles(call, id) {
        return Err(ApiError::field("uniqueAttribute", "Objects have the same value"));
    }
    let becomes_label = changed.label && !old.label;
    call.site.attributes.insert(id, changed);
    if becomes_label {
        call.site.make_label(id);
    }
    shown_attribute(call, id, 200)
}

/// Whether two objects have the same value of an attribute.
fn has_doubles(call: &Call<'_>, id: u64) -> bool {
    let mut seen = HashSet::new();
    !call.site.objects().flat_map(|object| object.values(id)).all(|value| seen.insert(fold(value)))
}

/// `DELETE /objecttypeattribute/{id}`, with all its values.
pub(crate) fn attribute_delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let text = first(path);
    let id = call.path_id(text, "attribute")?;
    let found = call.site.attributes.get(&id).ok_or_else(|| missing("attribute", text))?.clone();
    object_type(call, &found.type_id.to_string(), Role::Manager)
        .map_err(|error| if error.status == 404 { missing("attribute", text) } else { error })?;
    if found.system.is_some() || found.label {
        return Err(ApiError::bad("The attribute cannot be removed"));
    }
    let holders: Vec<_> = call.site.objects().filter(|object| object.values.contains_key(&id)).cloned().collect();
    for mut object in holders {
        object.values.remove(&id);
        call.site.store.put(object);
    }
    call.site.attributes.remove(&id);
    Ok(Reply::empty(200))
}
