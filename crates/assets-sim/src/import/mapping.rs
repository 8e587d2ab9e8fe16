//! The document that says what a schema has and where its values come from.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    call::Call,
    object::fold,
    reply::ApiError,
    site::{Attribute, Form, Kind, ObjectType},
};

/// An object type of a document, with its place in the tree.
struct Planned<'a> {
    external_id: Option<&'a str>,
    name: &'a str,
    parent: Option<&'a str>,
    description: &'a str,
    attributes: Vec<&'a Map<String, Value>>,
}

/// What a document asks for.
pub(super) struct Document<'a> {
    types: Vec<Planned<'a>>,
    statuses: Vec<(&'a str, &'a str, u8)>,
}

fn wrong(why: &str) -> ApiError {
    ApiError::bad(&format!("The schema and mapping are invalid: {why}"))
}

/// Members of an object: those it needs, and those it may have. Case matters.
fn members<'a>(value: &'a Value, what: &str, needed: &[&str], optional: &[&str]) -> Result<&'a Map<String, Value>, ApiError> {
    let members = value.as_object().ok_or_else(|| wrong(&format!("{what} is no object")))?;
    if let Some(lacking) = needed.iter().find(|name| !members.contains_key(**name)) {
        return Err(wrong(&format!("{what} lacks {lacking}")));
    }
    let is_known = |name: &str| needed.contains(&name) || optional.contains(&name);
    match members.keys().find(|name| !is_known(name)) {
        Some(unknown) => Err(wrong(&format!("{what} has the unknown member {unknown}"))),
        None => Ok(members),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, ApiError> {
    members.get(name).and_then(Value::as_str).ok_or_else(|| wrong(&format!("{name} is no text")))
}

fn list<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], ApiError> {
    match members.get(name) {
        None => Ok(&[]),
        Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(&format!("{name} is no list"))),
    }
}

/// External ids: all have one or none has, and each is there once.
#[derive(Default)]
struct ExternalIds<'a> {
    seen: BTreeSet<&'a str>,
    without: bool,
}

impl<'a> ExternalIds<'a> {
    fn add(&mut self, members: &'a Map<String, Value>) -> Result<(), ApiError> {
        match members.get("externalId").and_then(Value::as_str) {
            None => self.without = true,
            Some(id) if !self.seen.insert(id) => return Err(wrong(&format!("the external id {id} is there twice"))),
            Some(_) => {}
        }
        if self.without && !self.seen.is_empty() { Err(wrong("some have external ids and some have none")) } else { Ok(()) }
    }
}

/// Reads a document, or says what is wrong with it.
pub(super) fn read(document: &Value) -> Result<Document<'_>, ApiError> {
    let root = members(document, "the document", &["schema", "mapping"], &["$schema"])?;
    let schema = root.get("schema").unwrap_or(&Value::Null);
    let schema = members(schema, "schema", &["objectSchema"], &["iconSchema", "statusSchema"])?;
    let object_schema = schema.get("objectSchema").unwrap_or(&Value::Null);
    let object_schema = members(object_schema, "objectSchema", &["name", "description", "objectTypes"], &[])?;
    let mut types = Vec::new();
    let mut ids = ExternalIds::default();
    let roots = list(object_schema, "objectTypes")?;
    if roots.is_empty() {
        return Err(wrong("objectTypes is empty"));
    }
    for root in roots {
        read_type(root, None, &mut types, &mut ids)?;
    }
    let mut statuses = Vec::new();
    if let Some(schema) = schema.get("statusSchema") {
        let schema = members(schema, "statusSchema", &["statuses"], &[])?;
        for status in list(schema, "statuses")? {
            let status = members(status, "a status", &["name", "description", "category"], &[])?;
            let name = text(status, "name")?;
            let has_shape =
                (2..=30).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'-');
            if !has_shape {
                return Err(wrong(&format!("a status cannot be called {name}")));
            }
            let category = match text(status, "category")? {
                "inactive" => 0,
                "active" => 1,
                "pending" => 2,
                other => return Err(wrong(&format!("there is no category {other}"))),
            };
            statuses.push((name, text(status, "description")?, category));
        }
    }
    let mapping = root.get("mapping").unwrap_or(&Value::Null);
    let mapping = members(mapping, "mapping", &["objectTypeMappings"], &[])?;
    for one in list(mapping, "objectTypeMappings")? {
        read_mapping(one, &types)?;
    }
    Ok(Document { types, statuses })
}

fn read_type<'a>(
    value: &'a Value,
    parent: Option<&'a str>,
    types: &mut Vec<Planned<'a>>,
    ids: &mut ExternalIds<'a>,
) -> Result<(), ApiError> {
    let found = members(value, "an object type", &["name", "description"], &["externalId", "iconKey", "attributes", "children"])?;
    ids.add(found)?;
    let name = text(found, "name")?;
    if types.iter().any(|other| other.name == name) {
        return Err(wrong(&format!("the object type {name} is there twice")));
    }
    let mut attributes = Vec::new();
    for attribute in list(found, "attributes")? {
        let optional = [
            "externalId",
            "typeValues",
            "label",
            "referenceObjectTypeName",
            "referenceObjectTypeExternalId",
            "maximumCardinality",
            "minimumCardinality",
            "unique",
        ];
        let attribute = members(attribute, "an attribute", &["name", "description", "type"], &optional)?;
        ids.add(attribute)?;
        let kind = text(attribute, "type")?;
        if form(kind).is_none() && !["referenced_object", "status"].contains(&kind) {
            return Err(wrong(&format!("there is no attribute type {kind}")));
        }
        if attribute.contains_key("typeValues") && kind != "status" {
            return Err(wrong("only a status has typeValues"));
        }
        let is_reference = attribute.contains_key("referenceObjectTypeName") || attribute.contains_key("referenceObjectTypeExternalId");
        if is_reference != (kind == "referenced_object") {
            return Err(wrong("a referenced_object, and nothing else, has referenceObjectTypeName"));
        }
        attributes.push(attribute);
    }
    types.push(Planned {
        external_id: found.get("externalId").and_then(Value::as_str),
        name,
        parent,
        description: text(found, "description")?,
        attributes,
    });
    for child in list(found, "children")? {
        read_type(child, Some(name), types, ids)?;
    }
    Ok(())
}

fn read_mapping(value: &Value, types: &[Planned<'_>]) -> Result<(), ApiError> {
    let needed = ["objectTypeName", "selector", "description"];
    let found = members(value, "an object type mapping", &needed, &["objectTypeExternalId", "attributesMapping"])?;
    let name = text(found, "objectTypeName")?;
    let planned = types.iter().find(|planned| planned.name == name);
    let planned = planned.ok_or_else(|| wrong(&format!("the object type {name} is mapped, but not in the schema")))?;
    let mut has_identity = false;
    for attribute in list(found, "attributesMapping")? {
        let optional = ["attributeExternalId", "externalIdPart", "objectMappingIQL"];
        let attribute = members(attribute, "an attribute mapping", &["attributeName", "attributeLocators"], &optional)?;
        let name = text(attribute, "attributeName")?;
        if !planned.attributes.iter().any(|known| known.get("name").and_then(Value::as_str) == Some(name)) {
            return Err(wrong(&format!("the attribute {name} is mapped, but not in the schema")));
        }
        if list(attribute, "attributeLocators")?.is_empty() {
            return Err(wrong(&format!("the attribute {name} has no locator")));
        }
        has_identity |= attribute.get("externalIdPart") == Some(&Value::Bool(true));
    }
    if has_identity { Ok(()) } else { Err(wrong(&format!("no attribute of {name} is an externalIdPart"))) }
}

/// A document with what another adds to it. What both have must be the same.
pub(super) fn merge(old: &Value, new: &Value) -> Result<Value, ApiError> {
    Ok(match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut merged = old.clone();
            for (name, value) in new {
                let value = match old.get(name) {
                    // What describes may change.
                    Some(_) if name == "description" || name == "$schema" => value.clone(),
                    Some(known) => merge(known, value)?,
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_object) => {
            let mut merged = old.clone();
            for value in new {
                match merged.iter_mut().find(|known| identity(known) == identity(value)) {
                    Some(known) => *known = merge(known, value)?,
                    None => merged.push(value.clone()),
                }
            }
            Value::Array(merged)
        }
        (Value::Array(old), Value::Array(new)) => {
            if old.iter().all(|value| new.contains(value)) {
                Value::Array(new.clone())
            } else {
                return Err(ApiError::bad("An update cannot take anything away"));
            }
        }
        (old, new) if old == new => old.clone(),
        (old, new) => return Err(ApiError::bad(&format!("An update only adds: {old} cannot become {new}"))),
    })
}

/// What tells entries of a list apart.
fn identity(value: &Value) -> Option<&str> {
    let names = ["externalId", "objectTypeExternalId", "attributeExternalId", "name", "objectTypeName", "attributeName", "key"];
    names.iter().find_map(|name| value.get(*name)?.as_str())
}

fn form(kind: &str) -> Option<Form> {
    Some(match kind {
        "text" => Form::Text,
        "integer" => Form::Integer,
        "boolean" => Form::Boolean,
        "double" => Form::Double,
        "date" => Form::Date,
        "time" => Form::Time,
        "date_time" => Form::DateTime,
        "url" => Form::Url,
        "email" => Form::Email,
        "textarea" => Form::Textarea,
        "select" => Form::Select,
        "ipaddress" => Form::IpAddress,
        _ => return None,
    })
}

/// Makes what a document asks for and the schema does not have.
pub(super) fn build(call: &mut Call<'_>, schema_id: u64, document: &Document<'_>) -> Result<(), ApiError> {
    for (name, description, category) in &document.statuses {
        let is_there = |status: &crate::site::StatusType| status.name == *name && status.schema_id.is_none_or(|schema| schema == schema_id);
        if !call.site.statuses.values().any(is_there) {
            let id = call.site.add_status(name, *category, Some(schema_id));
            if let Some(status) = call.site.statuses.get_mut(&id) {
                (*description).clone_into(&mut status.description);
            }
        }
    }
    for planned in &document.types {
        if find(call, schema_id, planned.name).is_none() {
            let parent_id = planned.parent.and_then(|parent| find(call, schema_id, parent));
            let made = ObjectType {
                id: 0,
                schema_id,
                name: planned.name.to_owned(),
                description: planned.description.to_owned(),
                icon_id: call.site.icons.first().map(|icon| icon.id.clone()).unwrap_or_default(),
                parent_id,
                inherited: false,
                is_abstract: false,
                position: 0,
                created: call.now,
                updated: call.now,
            };
            call.site.add_type_with(made);
        }
    }
    // References may go to types that come later in the document.
    for planned in &document.types {
        let Some(type_id) = find(call, schema_id, planned.name) else { continue };
        for attribute in &planned.attributes {
            build_attribute(call, schema_id, type_id, attribute, document)?;
        }
    }
    Ok(())
}

fn find(call: &Call<'_>, schema_id: u64, name: &str) -> Option<u64> {
    let mut types = call.site.types.values().filter(|one| one.schema_id == schema_id);
    types.find(|one| fold(&one.name) == fold(name)).map(|one| one.id)
}

fn build_attribute(
    call: &mut Call<'_>,
    schema_id: u64,
    type_id: u64,
    planned: &Map<String, Value>,
    document: &Document<'_>,
) -> Result<(), ApiError> {
    let name = text(planned, "name")?;
    let kind = match text(planned, "type")? {
        "referenced_object" => {
            let by_id = || {
                let id = planned.get("referenceObjectTypeExternalId")?.as_str()?;
                document.types.iter().find(|one| one.external_id == Some(id))
            };
            let target = planned.get("referenceObjectTypeName").and_then(Value::as_str).or_else(|| by_id().map(|one| one.name));
            let type_id = target.and_then(|target| find(call, schema_id, target));
            let type_id = type_id.ok_or_else(|| wrong(&format!("{name} refers to an object type that is not there")))?;
            let reference_type = call.site.reference_types.values().find(|kind| kind.name == "Reference").map_or(1, |kind| kind.id);
            Kind::Reference { type_id, reference_type }
        }
        "status" => {
            let mut allowed = Vec::new();
            for status in list(planned, "typeValues")? {
                let mut known = call.site.statuses.values().filter(|one| one.schema_id.is_none_or(|schema| schema == schema_id));
                let found = known.find(|one| Some(one.name.as_str()) == status.as_str());
                allowed.push(found.ok_or_else(|| wrong(&format!("there is no status {status}")))?.id);
            }
            Kind::Status { allowed }
        }
        other => Kind::Default(form(other).unwrap_or(Form::Text)),
    };
    let flag = |name: &str| planned.get(name).and_then(Value::as_bool).unwrap_or_default();
    let number = |name: &str| planned.get(name).and_then(Value::as_i64);
    let is_label = flag("label");
    if let Some(known) = call.site.attribute(type_id, name) {
        if std::mem::discriminant(&known.kind) != std::mem::discriminant(&kind) {
            return Err(wrong(&format!("{name} has another type in the schema")));
        }
        let id = known.id;
        if is_label {
            call.site.make_label(id);
        }
        return Ok(());
    }
    let made = Attribute {
        description: text(planned, "description")?.to_owned(),
        label: is_label,
        minimum: number("minimumCardinality").and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
        maximum: number("maximumCardinality").map_or(Some(1), |number| u32::try_from(number).ok()),
        unique: flag("unique"),
        include_children: true,
        ..Attribute::new(name, kind)
    };
    call.site.add_attribute(type_id, made);
    Ok(())
}
