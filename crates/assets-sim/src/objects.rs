//! Objects: made, changed, read, deleted, searched for.

use std::collections::BTreeMap;

use dewpoint_sim_kit::hash::keyed;
use serde_json::{Value, json};

use crate::{
    aql::{Asker, Search},
    call::{Call, id, missing},
    object::{Object, fold},
    reply::{ApiError, Reply},
    settings::{Clearing, Reserved, Settings},
    show::{Detail, Show},
    site::{Attribute, Role, Site},
    value,
};

type Answer = Result<Reply, ApiError>;

/// What people may not put into names.
const RESERVED: [char; 6] = ['=', ';', ':', '?', '.', '"'];

/// Whether a name has a character that is refused.
pub(crate) fn has_reserved(name: &str) -> bool {
    name.contains(RESERVED)
}

impl<'a> Call<'a> {
    /// Writes things for the caller, who does not see everything where they are but users.
    pub(crate) fn show(&self) -> Show<'_> {
        let is_user = |schema: &u64| self.caller.role(self.site, *schema).is_none_or(|role| role == Role::User);
        Show::new(self.site, self.base_url, self.site.schemas.keys().copied().filter(is_user).collect())
    }

    /// An object that a path names and the caller sees, or 404.
    fn find(&self, text: &str, needed: Role) -> Result<Object, ApiError> {
        let not_found = || missing("object", text);
        let by_number = text.parse().ok().and_then(|number| self.site.get(number));
        let by_key = || self.site.find(text).filter(|_| self.settings.object_by_key);
        let object = by_number.or_else(by_key).ok_or_else(not_found)?.clone();
        let schema = self.site.types.get(&object.type_id).map(|object_type| object_type.schema_id).ok_or_else(not_found)?;
        self.caller.role(self.site, schema).ok_or_else(not_found)?;
        self.check_role(schema, needed)?;
        Ok(object)
    }

    fn asker(&self) -> Asker<'_> {
        let schemas = self.site.schemas.keys().copied().filter(|schema| self.caller.role(self.site, *schema).is_some()).collect();
        Asker {
            settings: self.settings,
            user: &self.caller.user,
            now: self.now,
            schemas: Some(schemas),
            late: self.late.seen(self.now, self.settings.index_lag_s),
            chance: self.chance,
        }
    }
}

/// What was sent for one attribute.
struct Sent {
    attribute: u64,
    values: Vec<String>,
}

/// Reads the list of attributes. Shapes that make no sense are refused at once; which attributes there are is looked at later.
fn read(call: &Call<'_>, list: Option<&Value>) -> Result<Vec<Sent>, ApiError> {
    let list = list.and_then(Value::as_array).ok_or_else(|| ApiError::bad("attributes must be a list"))?;
    let is_cloud = call.site.is_cloud();
    let mut sent: Vec<Sent> = Vec::with_capacity(list.len());
    for entry in list {
        let known: &[&str] = if is_cloud {
            &["objectTypeAttributeId", "objectAttributeValues"]
        } else {
            &["objectTypeAttributeId", "objectAttributeValues", "objectId", "operationType"]
        };
        let members = call.object(entry.clone(), known)?;
        let attribute = members.get("objectTypeAttributeId").ok_or_else(|| ApiError::bad("objectTypeAttributeId is missing"))?;
        if call.settings.integer_attribute_ids && attribute.is_string() {
            continue;
        }
        let strict = call.settings.strict_ids && !call.settings.integer_attribute_ids;
        let attribute = id(attribute, is_cloud, strict).ok_or_else(|| ApiError::bad("objectTypeAttributeId must be an id"))?;
        if sent.iter().any(|other| other.attribute == attribute) {
            return Err(ApiError::field(&key(attribute), "The attribute is there twice"));
        }
        let values = members.get("objectAttributeValues").and_then(Value::as_array);
        let values = values.ok_or_else(|| ApiError::bad("objectAttributeValues must be a list"))?;
        let values = values.iter().map(|value| read_value(call, value)).collect::<Result<_, _>>()?;
        sent.push(Sent { attribute, values });
    }
    Ok(sent)
}

fn read_value(call: &Call<'_>, value: &Value) -> Result<String, ApiError> {
    let members = call.object(value.clone(), &["value"])?;
    match members.get("value") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) if !call.settings.text_values_only => Ok(value.to_string()),
        _ => Err(ApiError::bad("value must be text")),
    }
}

/// What an error about an attribute is known by.
fn key(attribute: u64) -> String {
    format!("rlabs-insight-attribute-{attribute}")
}

/// Looks at all that was sent for an object of this type; gives it as it is stored, or all that is wrong.
fn check(
    site: &Site,
    settings: &Settings,
    type_id: u64,
    object: Option<u64>,
    sent: Vec<Sent>,
) -> Result<BTreeMap<u64, Vec<String>>, ApiError> {
    let attributes = site.attributes_of(type_id);
    let mut errors = BTreeMap::new();
    let mut stored = BTreeMap::new();
    for Sent { attribute: number, values } in sent {
        let outcome = match attributes.iter().find(|attribute| attribute.id == number) {
            None => Err("The attribute does not belong to the object type".to_owned()),
            Some(attribute) if attribute.system.is_some() => Err(format!("{} cannot be edited", attribute.name)),
            Some(attribute) => check_attribute(site, settings, attribute, type_id, object, values),
        };
        match outcome {
            Ok(values) => drop(stored.insert(number, values)),
            Err(why) => drop(errors.insert(key(number), why)),
        }
    }
    if object.is_none() {
        for attribute in attributes.iter().filter(|attribute| attribute.minimum > 0 && attribute.system.is_none()) {
            if !stored.contains_key(&attribute.id) {
                errors.entry(key(attribute.id)).or_insert_with(|| format!("{} is required", attribute.name));
            }
        }
    }
    if errors.is_empty() { Ok(stored) } else { Err(ApiError::fields(errors)) }
}

/// The same of what did not come in a request's body.
pub(crate) fn check_all(
    site: &Site,
    settings: &Settings,
    type_id: u64,
    object: Option<u64>,
    sent: Vec<(u64, Vec<String>)>,
) -> Result<BTreeMap<u64, Vec<String>>, ApiError> {
    // An import says of what is empty that it is.
    let sent = sent.into_iter().filter(|(_, values)| object.is_some() || !values.is_empty());
    let settings = Settings { clearing: Clearing::Both, ..settings.clone() };
    check(site, &settings, type_id, object, sent.map(|(attribute, values)| Sent { attribute, values }).collect())
}

fn check_attribute(
    site: &Site,
    settings: &Settings,
    attribute: &Attribute,
    type_id: u64,
    object: Option<u64>,
    mut values: Vec<String>,
) -> Result<Vec<String>, String> {
    let clearing = settings.clearing;
    if values.iter().all(String::is_empty) && values.len() < 2 {
        let is_taken = match values.len() {
            0 => clearing != Clearing::EmptyValue,
            _ => clearing != Clearing::EmptyList,
        };
        if !is_taken {
            return Err("The value provided is invalid".to_owned());
        }
        values.clear();
    }
    if values.iter().any(String::is_empty) {
        return Err("The value provided is invalid".to_owned());
    }
    let mut stored = value::check(site, settings, attribute, &values)?;
    if settings.reserved == Reserved::Everywhere && attribute.label && stored.iter().any(|value| has_reserved(value)) {
        return Err(format!("{} contains reserved characters", attribute.name));
    }
    if attribute.unique && stored.iter().any(|value| is_taken(site, settings, attribute, type_id, object, value)) {
        return Err(format!("The value of {} has to be unique", attribute.name));
    }
    if settings.unordered_values {
        stored.sort_by_key(|value| keyed(settings.seed ^ attribute.id, value));
    }
    Ok(stored)
}

/// Whether another object has this value.
fn is_taken(site: &Site, settings: &Settings, attribute: &Attribute, type_id: u64, object: Option<u64>, value: &str) -> bool {
    let is_same = |other: &Object| {
        Some(other.id) != object
            && (settings.unique_across_children || other.type_id == type_id)
            && other.values(attribute.id).iter().any(|taken| taken == value || (settings.unique_ignores_case && fold(taken) == fold(value)))
    };
    match site.store.having(attribute.id, value) {
        Some(ids) => ids.into_iter().filter_map(|id| site.get(id)).any(is_same),
        None => site.objects().any(is_same),
    }
}

/// `POST /object/create`.
pub(crate) fn create(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let mut members = call.members(&["objectTypeId", "attributes", "hasAvatar", "avatarUUID"])?;
    members.flag("hasAvatar")?;
    members.text("avatarUUID")?;
    let type_id = members.id("objectTypeId")?.ok_or_else(|| ApiError::field("objectTypeId", "The object type is required"))?;
    let unknown = || ApiError::field("objectTypeId", "The object type does not exist");
    let object_type = call.site.types.get(&type_id).ok_or_else(unknown)?;
    let (schema_id, is_abstract) = (object_type.schema_id, object_type.is_abstract);
    call.caller.role(call.site, schema_id).ok_or_else(unknown)?;
    call.check_role(schema_id, Role::Developer)?;
    if is_abstract {
        return Err(ApiError::field("objectTypeId", "The object type is abstract and has no objects"));
    }
    let attributes = members.take("attributes");
    let sent = read(call, attributes.as_ref())?;
    let values = check(call.site, call.settings, type_id, None, sent)?;
    let object = insert(call.site, &call.caller.user, call.now, type_id, values)?;
    let number = object.id;
    Ok(Reply::new(201, call.show().object(&object, Detail::None).body()).wrote(number))
}

/// Makes an object of values that were looked at, unless there are too many.
pub(crate) fn insert(
    site: &mut Site,
    actor: &str,
    now: jiff::Timestamp,
    type_id: u64,
    mut values: BTreeMap<u64, Vec<String>>,
) -> Result<Object, ApiError> {
    if site.object_limit.is_some_and(|limit| site.store.len() >= limit) {
        return Err(ApiError::bad("The limit of objects for this site has been reached"));
    }
    values.retain(|_, values| !values.is_empty());
    let schema = site.types.get(&type_id).and_then(|object_type| site.schemas.get(&object_type.schema_id));
    let prefix = schema.map(|schema| schema.key.clone()).unwrap_or_default();
    let id = site.next_object();
    let key = format!("{prefix}-{id}");
    let mut object = Object { id, type_id, key, values, created: now, updated: now, history: Vec::new(), archived: false };
    let new = object.key.clone();
    site.note(&mut object, actor, now, None, String::new(), new);
    site.store.put(object.clone());
    Ok(object)
}

/// Changes an object by values that were looked at; whether anything was another.
pub(crate) fn change(site: &mut Site, actor: &str, now: jiff::Timestamp, object: &Object, values: BTreeMap<u64, Vec<String>>) -> bool {
    let mut changed = object.clone();
    for (number, values) in values {
        let same = |one: &[String], other: &[String]| one.len() == other.len() && one.iter().all(|value| other.contains(value));
        if same(&values, object.values(number)) {
            continue;
        }
        if values.is_empty() {
            changed.values.remove(&number);
        } else {
            changed.values.insert(number, values);
        }
        if let Some(attribute) = site.attributes.get(&number).cloned() {
            let (old, new) = (site.shown(object, &attribute).join(", "), site.shown(&changed, &attribute).join(", "));
            site.note(&mut changed, actor, now, Some(&attribute.name), old, new);
        }
    }
    let is_changed = changed.values != object.values;
    if is_changed {
        changed.updated = now;
        site.store.put(changed);
    }
    is_changed
}

/// `PUT /object/{id}`.
pub(crate) fn update(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::Developer)?;
    let mut members = call.members(&["objectTypeId", "attributes", "hasAvatar", "avatarUUID"])?;
    members.flag("hasAvatar")?;
    members.text("avatarUUID")?;
    let type_id = members.id("objectTypeId")?.ok_or_else(|| ApiError::field("objectTypeId", "The object type is required"))?;
    if type_id != object.type_id {
        return Err(ApiError::field("objectTypeId", "The object type of an object cannot be changed"));
    }
    let attributes = members.take("attributes");
    let sent = read(call, attributes.as_ref())?;
    let values = check(call.site, call.settings, type_id, Some(object.id), sent)?;
    change(call.site, &call.caller.user, call.now, &object, values);
    let changed = call.site.get(object.id).cloned().unwrap_or(object);
    let shown = call.show().object(&changed, Detail::Values).body();
    Ok(Reply::new(call.settings.update_status, shown).wrote(changed.id))
}

/// `GET /object/{id}`.
pub(crate) fn get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::User)?;
    Ok(Reply::ok(call.show().object(&object, Detail::Whole).body()))
}

/// `GET /object/{id}/attributes`.
pub(crate) fn attributes(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::User)?;
    Ok(Reply::ok(call.show().object_attributes(&object, Detail::Whole)))
}

/// `DELETE /object/{id}`.
pub(crate) fn delete(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::Developer)?;
    let shown = call.show().object(&object, Detail::None).body();
    call.site.delete(object.id);
    let reply = if call.site.is_cloud() || call.settings.delete_status == 204 {
        Reply::empty(call.settings.delete_status)
    } else {
        Reply::new(call.settings.delete_status, shown)
    };
    Ok(reply.wrote(object.id))
}

/// `GET /object/{id}/history`.
pub(crate) fn history(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::User)?;
    let show = call.show();
    let mut entries: Vec<Value> = object
        .history
        .iter()
        .map(|change| {
            let actor = call.site.users.iter().find(|user| user.id == change.actor);
            let mut entry = json!({
                "actor": actor.map_or_else(|| json!({"key": change.actor, "displayName": change.actor}), |user| show.user(user)),
                "id": show.id(change.id),
                "newValue": change.new,
                "type": u8::from(change.attribute.is_some()) * 2,
                "created": value::stamp(change.at),
                "objectId": show.id(object.id),
            });
            if let (Some(attribute), Some(entry)) = (&change.attribute, entry.as_object_mut()) {
                entry.insert("affectedAttribute".to_owned(), json!(attribute));
                entry.insert("oldValue".to_owned(), json!(change.old));
            }
            entry
        })
        .collect();
    if !call.is_set("asc") {
        entries.reverse();
    }
    Ok(Reply::ok(Value::Array(entries)))
}

/// `GET /object/{id}/referenceinfo`: who refers to it, by type.
pub(crate) fn reference_info(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::User)?;
    let show = call.show();
    let mut by_type: BTreeMap<u64, (Vec<u64>, u64)> = BTreeMap::new();
    for (source, attribute) in call.site.store.referring_to(object.id) {
        let Some(source) = call.site.get(source) else { continue };
        let (kinds, count) = by_type.entry(source.type_id).or_default();
        *count += 1;
        if let Some(crate::site::Kind::Reference { reference_type, .. }) =
            call.site.attributes.get(&attribute).map(|attribute| &attribute.kind)
            && !kinds.contains(reference_type)
        {
            kinds.push(*reference_type);
        }
    }
    let entries = by_type.into_iter().filter_map(|(type_id, (kinds, count))| {
        let object_type = call.site.types.get(&type_id)?;
        let kinds: Vec<Value> =
            kinds.iter().filter_map(|kind| call.site.reference_types.get(kind)).map(|kind| show.reference_type(kind)).collect();
        Some(json!({
            "referenceTypes": kinds,
            "objectType": show.object_type(object_type, false),
            "numberOfReferencedObjects": count,
            "openIssuesExists": false,
        }))
    });
    Ok(Reply::ok(entries.collect()))
}

/// `GET /objectconnectedtickets/{id}/tickets`: nobody connected any.
pub(crate) fn tickets(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let object = call.find(path.first().unwrap_or(&""), Role::User)?;
    Ok(Reply::ok(json!({"tickets": [], "allTicketsQuery": format!("\"Assets\" in aqlFunction(\"Key = {}\")", object.key)})))
}

/// `PUT /object/archive/{id}` and `PUT /object/restore/{id}`, on Data Center.
pub(crate) fn archive(call: &mut Call<'_>, path: &[&str]) -> Answer {
    set_archived(call, path, true)
}

/// The way back.
pub(crate) fn restore(call: &mut Call<'_>, path: &[&str]) -> Answer {
    set_archived(call, path, false)
}

fn set_archived(call: &mut Call<'_>, path: &[&str], is_archived: bool) -> Answer {
    let mut object = call.find(path.first().unwrap_or(&""), Role::Developer)?;
    object.archived = is_archived;
    object.updated = call.now;
    call.site.store.put(object.clone());
    Ok(Reply::ok(call.show().object(&object, Detail::None).body()).wrote(object.id))
}

/// Runs a query for the caller.
fn search<'a>(call: &'a Call<'_>, asker: &'a Asker<'a>, query: &str) -> Result<Vec<&'a Object>, ApiError> {
    if query.chars().count() > call.settings.aql_chars_max {
        return Err(ApiError::bad("The query is too long"));
    }
    let refuse =
        |why: String| ApiError::bad(&format!("The AQL \"{}\" could not be parsed: {why}", query.chars().take(200).collect::<String>()));
    let search = Search::new(call.site, asker, query).map_err(refuse)?;
    Ok(search.run())
}

/// `POST /object/aql`.
pub(crate) fn aql(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let members = call.members(&["qlQuery"])?;
    let query = members.text("qlQuery")?.ok_or_else(|| ApiError::field("qlQuery", "The query is required"))?;
    let start = call.count("startAt", 0)?;
    let wanted = call.count("maxResults", 25)?;
    let size = wanted.min(call.settings.page_max);
    let detail = if call.parameter("includeAttributes").eq_ignore_ascii_case("false") { Detail::None } else { Detail::Values };
    let asker = call.asker();
    let found = search(call, &asker, query)?;
    let page: Vec<&Object> = found.iter().skip(start).take(size).copied().collect();
    let is_last = start + page.len() >= found.len() || (call.settings.early_last && wanted >= call.settings.page_max);
    let show = call.show();
    let mut types: Vec<u64> = page.iter().map(|object| object.type_id).collect();
    types.sort_unstable();
    types.dedup();
    let values = page.iter().map(|object| show.object(object, detail).text()).collect();
    let mut body = json!({
        "startAt": start,
        "maxResults": size,
        "objectTypeAttributes": if detail == Detail::None { json!([]) } else { show.attributes_of_types(types) },
        "last": is_last,
        "isLast": is_last,
    });
    if let (true, Some(body)) = (call.settings.total, body.as_object_mut()) {
        // As it was seen: it is capped, and nobody should rely on it.
        body.insert("total".to_owned(), json!(found.len().min(1000)));
        body.insert("hasMoreResults".to_owned(), json!(found.len() > 1000));
    }
    Ok(Reply::ok(body).with_list("values", values))
}

/// `POST /object/aql/totalcount`.
pub(crate) fn aql_count(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let members = call.members(&["qlQuery"])?;
    let query = members.text("qlQuery")?.ok_or_else(|| ApiError::field("qlQuery", "The query is required"))?;
    let asker = call.asker();
    Ok(Reply::ok(json!({"totalCount": search(call, &asker, query)?.len()})))
}

/// `POST /object/navlist/aql`.
pub(crate) fn navlist(call: &mut Call<'_>, _: &[&str]) -> Answer {
    check_deprecated(call)?;
    let members = call.members(&[
        "objectTypeId",
        "objectSchemaId",
        "qlQuery",
        "iql",
        "page",
        "asc",
        "resultsPerPage",
        "includeAttributes",
        "attributesToDisplay",
        "orderByTypeAttrId",
        "objectId",
    ])?;
    let number = |name: &str| members.number(name).map(|number| number.and_then(|number| usize::try_from(number).ok()));
    let page = number("page")?.unwrap_or(1).max(1);
    let size = number("resultsPerPage")?.unwrap_or(25).clamp(1, call.settings.page_max);
    let mut terms: Vec<String> = members.text("qlQuery")?.filter(|query| !query.trim().is_empty()).map(str::to_owned).into_iter().collect();
    // What a query orders by stays at its end.
    let order = terms.first().and_then(|query| fold(query).rfind("order by")).and_then(|at| terms.first()?.get(at..).map(str::to_owned));
    if let (Some(order), Some(query)) = (&order, terms.first_mut()) {
        query.truncate(query.len() - order.len());
    }
    terms.retain(|query| !query.trim().is_empty());
    if let Some(schema) = members.id("objectSchemaId")? {
        call.schema(schema)?;
        terms.push(format!("objectSchemaId = {schema}"));
    }
    if let Some(type_id) = members.id("objectTypeId")? {
        terms.push(format!("objectTypeId = {type_id}"));
    }
    let terms: Vec<String> = terms.into_iter().map(|term| format!("({term})")).collect();
    let query = format!("{} {}", terms.join(" AND "), order.unwrap_or_default());
    let detail = if members.flag("includeAttributes")?.unwrap_or(true) { Detail::Values } else { Detail::None };
    pages(call, &query, page, size, detail)
}

/// `GET /aql/objects`, and `GET /iql/objects` as it was called before.
pub(crate) fn aql_objects(call: &mut Call<'_>, _: &[&str]) -> Answer {
    check_deprecated(call)?;
    let query = match call.parameter("qlQuery") {
        "" => call.parameter("iql"),
        query => query,
    };
    let page = call.count("page", 1)?.max(1);
    // On Cloud it never gave more.
    let most = if call.site.is_cloud() { 25 } else { call.settings.page_max };
    let size = call.count("resultPerPage", 25)?.clamp(1, most);
    let detail = if call.parameter("includeAttributes").eq_ignore_ascii_case("false") { Detail::None } else { Detail::Values };
    pages(call, query, page, size, detail)
}

fn check_deprecated(call: &Call<'_>) -> Result<(), ApiError> {
    let is_gone = call.site.is_cloud() && !call.settings.deprecated_searches;
    if is_gone { Err(ApiError::new(410, "This resource has been removed; use POST /object/aql")) } else { Ok(()) }
}

fn pages(call: &Call<'_>, query: &str, page: usize, size: usize, detail: Detail) -> Answer {
    let asker = call.asker();
    let found = search(call, &asker, query)?;
    let start = (page - 1).saturating_mul(size);
    let objects: Vec<&Object> = found.iter().skip(start).take(size).copied().collect();
    let show = call.show();
    let types: BTreeMap<u64, ()> = objects.iter().map(|object| (object.type_id, ())).collect();
    let entries = objects.iter().map(|object| show.object(object, detail).text()).collect();
    let body = json!({
        "objectTypeAttributes": show.attributes_of_types(types.into_keys()),
        "objectTypeIsInherited": false,
        "abstractObjectType": false,
        "totalFilterCount": found.len(),
        "startIndex": start + 1,
        "toIndex": start + objects.len(),
        "pageObjectSize": size,
        "pageNumber": page,
        "pageSize": found.len().div_ceil(size),
        "orderWay": "asc",
        "qlQuery": query.trim(),
        "qlQuerySearchResult": true,
        "conversionPossible": false,
    });
    Ok(Reply::ok(body).with_list("objectEntries", entries))
}
