//! What an import does to objects once all of its data is there.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Missing;
use crate::{
    aql::{Asker, Search},
    call::Call,
    object::{Object, fold},
    objects,
    reply::ApiError,
    site::{Attribute, Kind},
};

/// What an import did to an object.
enum Done {
    Created(u64),
    Updated(u64),
    Nothing(u64),
}

/// Works on the imports whose time has come; gives the objects that were written.
pub(crate) fn settle(call: &mut Call<'_>) -> Vec<u64> {
    let mut written = Vec::new();
    for at in 0..call.site.imports.len() {
        let Some(source) = call.site.imports.get_mut(at) else { continue };
        let processing_s = call.settings.import_processing_s;
        let Some(execution) = source.executions.iter_mut().find(|execution| execution.is_due(call.now, processing_s)) else { continue };
        let data = std::mem::take(&mut execution.data);
        let mapping = source.mapping.clone().unwrap_or_default();
        let mut execution = execution.clone();
        let (schema_id, missing, name) = (source.schema_id, source.missing, source.name.clone());
        let mappings = mapping.pointer("/mapping/objectTypeMappings").and_then(Value::as_array).cloned().unwrap_or_default();
        for mapping in &mappings {
            let Some(type_id) = type_of(call, schema_id, mapping) else { continue };
            let mut seen = HashSet::new();
            for entry in data.iter().flat_map(|data| entries(data, mapping)) {
                execution.processed += 1;
                match apply(call, type_id, mapping, entry, &name) {
                    Ok(Done::Created(id)) => {
                        execution.created += 1;
                        written.push(id);
                        seen.insert(id);
                    }
                    Ok(Done::Updated(id)) => {
                        execution.updated += 1;
                        written.push(id);
                        seen.insert(id);
                    }
                    Ok(Done::Nothing(id)) => drop(seen.insert(id)),
                    Err((object, why)) => execution.failures.push((object, why)),
                }
            }
            if missing == Missing::Remove {
                let gone: Vec<u64> = call.site.store.of_type(type_id).filter(|id| !seen.contains(id)).collect();
                for id in gone {
                    call.site.delete(id);
                    written.push(id);
                }
            }
        }
        execution.ended = Some(call.now);
        if let Some(known) =
            call.site.imports.get_mut(at).and_then(|source| source.executions.iter_mut().find(|one| one.id == execution.id))
        {
            *known = execution;
        }
    }
    written
}

fn type_of(call: &Call<'_>, schema_id: u64, mapping: &Value) -> Option<u64> {
    let name = mapping.get("objectTypeName")?.as_str()?;
    let mut types = call.site.types.values().filter(|one| one.schema_id == schema_id);
    types.find(|one| fold(&one.name) == fold(name)).map(|one| one.id)
}

/// What a selector finds in a chunk.
fn entries<'a>(data: &'a Value, mapping: &Value) -> Vec<&'a Value> {
    let selector = mapping.get("selector").and_then(Value::as_str).unwrap_or_default();
    let found = selector.split('.').try_fold(data, |value, name| value.get(name));
    found.and_then(Value::as_array).map(|list| list.iter().collect()).unwrap_or_default()
}

/// The texts at a place of an entry: none, one, or those of a list.
fn texts(entry: &Value, locator: &str) -> Vec<String> {
    fn text(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        }
    }
    match locator.split('.').try_fold(entry, |value, name| value.get(name)) {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn apply(call: &mut Call<'_>, type_id: u64, mapping: &Value, entry: &Value, actor: &str) -> Result<Done, (String, String)> {
    let mappings = mapping.get("attributesMapping").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut sent: Vec<(u64, Vec<String>)> = Vec::new();
    let mut identity: Vec<(u64, String)> = Vec::new();
    let mut name = String::new();
    for one in &mappings {
        let Some(attribute) = one.get("attributeName").and_then(Value::as_str).and_then(|name| call.site.attribute(type_id, name)).cloned()
        else {
            continue;
        };
        let locators: Vec<&str> =
            one.get("attributeLocators").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let values: Vec<String> = locators.iter().flat_map(|locator| texts(entry, locator)).collect();
        let values = if attribute.is_reference() {
            refer(call, &attribute, one.get("objectMappingIQL").and_then(Value::as_str), entry, &values)
                .map_err(|why| (name.clone(), why))?
        } else {
            translate(call, &attribute, values)
        };
        if one.get("externalIdPart") == Some(&Value::Bool(true)) {
            let value = values.first().cloned().ok_or_else(|| (name.clone(), format!("{} is missing", attribute.name)))?;
            name = if name.is_empty() { value.clone() } else { format!("{name}, {value}") };
            identity.push((attribute.id, value));
        }
        sent.push((attribute.id, values));
    }
    let failed = |error: ApiError| {
        let why: Vec<String> = error.messages.into_iter().chain(error.errors.into_values()).collect();
        (name.clone(), why.join("; "))
    };
    let existing = known(call, type_id, &identity).map_err(|why| (name.clone(), why))?;
    let values = objects::check_all(call.site, call.settings, type_id, existing.as_ref().map(|object| object.id), sent).map_err(failed)?;
    match existing {
        Some(object) => {
            let is_changed = objects::change(call.site, actor, call.now, &object, values);
            Ok(if is_changed { Done::Updated(object.id) } else { Done::Nothing(object.id) })
        }
        None => objects::insert(call.site, actor, call.now, type_id, values).map(|object| Done::Created(object.id)).map_err(failed),
    }
}

/// The object that an import knows by these values.
fn known(call: &Call<'_>, type_id: u64, identity: &[(u64, String)]) -> Result<Option<Object>, String> {
    let Some((attribute, value)) = identity.first() else { return Err("nothing identifies the object".to_owned()) };
    let is_it = |object: &&Object| {
        object.type_id == type_id
            && identity.iter().all(|(attribute, value)| object.values(*attribute).iter().any(|known| fold(known) == fold(value)))
    };
    let candidates = call.site.store.having(*attribute, value).unwrap_or_default();
    let found: Vec<&Object> = candidates.iter().filter_map(|id| call.site.get(*id)).filter(is_it).collect();
    match found.as_slice() {
        [] => Ok(None),
        [object] => Ok(Some((*object).clone())),
        _ => Err("several objects are identified by the same values".to_owned()),
    }
}

/// Statuses come by name; of several with one name those that the attribute takes go first.
fn translate(call: &Call<'_>, attribute: &Attribute, values: Vec<String>) -> Vec<String> {
    let Kind::Status { allowed } = &attribute.kind else { return values };
    let id = |name: String| {
        let named = call.site.statuses.values().filter(|status| fold(&status.name) == fold(&name));
        let status = named.max_by_key(|status| (allowed.contains(&status.id), std::cmp::Reverse(status.id)));
        status.map_or(name, |status| status.id.to_string())
    };
    values.into_iter().map(id).collect()
}

/// The objects that an entry refers to. What is not there is left out without a word.
fn refer(call: &Call<'_>, attribute: &Attribute, query: Option<&str>, entry: &Value, values: &[String]) -> Result<Vec<String>, String> {
    let Kind::Reference { type_id, .. } = attribute.kind else { return Ok(Vec::new()) };
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let query = match query {
        None => format!("label IN ({})", values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(",")),
        Some(query) => fill(query, |locator| texts(entry, locator).iter().map(|value| quote(value)).collect::<Vec<_>>().join(",")),
    };
    let asker = Asker { settings: call.settings, user: "", now: call.now, schemas: None, late: HashMap::new(), chance: 0 };
    let search = Search::new(call.site, &asker, &query)?;
    let is_of_type =
        |object: &&Object| object.type_id == type_id || (attribute.include_children && call.site.is_or_below(object.type_id, type_id));
    Ok(search.run().into_iter().filter(is_of_type).map(|object| object.id.to_string()).collect())
}

/// A query with what stands in place of `${…}`; quotes around it are part of it.
fn fill(query: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("${") {
        let (locator, after) = after.split_once('}').unwrap_or((after, ""));
        let is_quoted = before.ends_with('"') && after.starts_with('"');
        filled.push_str(before.strip_suffix('"').filter(|_| is_quoted).unwrap_or(before));
        filled.push_str(&value(locator));
        rest = after.strip_prefix('"').filter(|_| is_quoted).unwrap_or(after);
    }
    filled.push_str(rest);
    filled
}
