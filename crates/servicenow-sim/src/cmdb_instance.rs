//! The CMDB Instance API: single items with their relations, written through the engine.

use serde_json::{Value, json};

use crate::{
    call::Call,
    hash::is_sys_id,
    ire::{self, Endpoint, Payload},
    query::Query,
    reply::{ApiError, Reply},
    store::Row,
};

/// Answers `/api/now/cmdb/instance/CLASS…`.
pub(crate) fn answer(call: &mut Call<'_>, method: &str, class: &str, rest: &[String]) -> Result<Reply, ApiError> {
    if !call.caller.has(&["itil"]) {
        return Err(ApiError::new(403, "Operation Failed", Some("ACL Exception: the user needs the role itil")));
    }
    let schema = &call.instance.schema;
    if !schema.tables.contains_key(class) || !schema.is_a(class, "cmdb_ci") {
        return Err(ApiError::new(404, "No Record found", Some(&format!("Invalid class name {class}"))));
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (method, rest.as_slice()) {
        ("GET", []) => Ok(list(call, class)),
        ("GET", [sys_id]) => {
            existing(call, class, sys_id)?;
            Ok(Reply::result(show(call, sys_id)))
        }
        ("POST", []) => write(call, class, None),
        ("PATCH" | "PUT", [sys_id]) => {
            existing(call, class, sys_id)?;
            write(call, class, Some(sys_id))
        }
        ("POST", [sys_id, "relation"]) => {
            existing(call, class, sys_id)?;
            let body = body(call)?;
            relate(call, sys_id, &body)?;
            Ok(Reply::result(show(call, sys_id)).done("INSERT"))
        }
        ("DELETE", [sys_id, "relation", relation]) => {
            existing(call, class, sys_id)?;
            let is_its = |row: &&Row| row.table == "cmdb_rel_ci" && (row.get("parent") == *sys_id || row.get("child") == *sys_id);
            call.instance.store.get(relation).filter(is_its).ok_or_else(ApiError::no_record)?;
            call.instance.store.remove(relation);
            Ok(Reply::empty(204).done("DELETE"))
        }
        _ => Err(ApiError::method()),
    }
}

fn existing(call: &Call<'_>, class: &str, sys_id: &str) -> Result<(), ApiError> {
    let row = call.instance.store.get(sys_id).filter(|row| call.instance.schema.is_a(&row.table, class));
    row.map(|_| ()).ok_or_else(ApiError::no_record)
}

fn list(call: &Call<'_>, class: &str) -> Reply {
    let instance = &*call.instance;
    let query = Query::parse(&instance.schema, class, call.parameter("sysparm_query"));
    let number = |name: &str, default: usize| call.parameter(name).parse().unwrap_or(default);
    let found = query.run(&instance.schema, &instance.store, class, call.settings.unordered_pages.then_some(call.chance));
    let rows: Vec<Value> = found
        .into_iter()
        .skip(number("sysparm_offset", 0))
        .take(number("sysparm_limit", 1000))
        .map(|(sys_id, row)| json!({"sys_id": sys_id, "name": row.get("name")}))
        .collect();
    let mut reply = Reply::result(json!(rows));
    reply.dropped_terms = query.dropped;
    reply
}

fn show(call: &Call<'_>, sys_id: &str) -> Value {
    let instance = &*call.instance;
    let relations = |own: &str, other: &str| -> Vec<Value> {
        instance
            .store
            .having(own, sys_id)
            .filter(|(_, row)| row.table == "cmdb_rel_ci")
            .map(|(relation, row)| {
                let name = |id: &str| instance.store.get(id).map_or("", |row| row.get("name")).to_owned();
                json!({
                    "sys_id": relation,
                    "type": {"value": row.get("type"), "display_value": name(row.get("type"))},
                    "target": {"value": row.get(other), "display_value": name(row.get(other))},
                })
            })
            .collect()
    };
    let table = instance.store.get(sys_id).map_or("", |row| row.table.as_str());
    json!({
        "attributes": crate::table::record(call, table, sys_id),
        "outbound_relations": relations("parent", "child"),
        "inbound_relations": relations("child", "parent"),
    })
}

fn body(call: &Call<'_>) -> Result<Value, ApiError> {
    serde_json::from_slice(call.body).map_err(|_| ApiError::bad_body())
}

fn write(call: &mut Call<'_>, class: &str, sys_id: Option<&str>) -> Result<Reply, ApiError> {
    let sent = body(call)?;
    let source = sent.get("source").and_then(Value::as_str).unwrap_or_default().to_owned();
    if source.is_empty() {
        return Err(ApiError::new(400, "Invalid request", Some("source is mandatory")));
    }
    let mut values = sent.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(sys_id) = sys_id {
        values.insert("sys_id".to_owned(), json!(sys_id));
    }
    // Hosts are named by relations to records that exist already.
    let mut items = vec![json!({"className": class, "values": values})];
    let mut relations = Vec::new();
    for (name, own, other) in [("outbound_relations", "parent", "child"), ("inbound_relations", "child", "parent")] {
        for relation in sent.get(name).and_then(Value::as_array).into_iter().flatten() {
            let (kind, target, target_class) = relation_of(call, relation)?;
            relations.push(json!({"type": kind, own: 0, other: items.len()}));
            items.push(json!({"className": target_class, "values": {"sys_id": target}}));
        }
    }
    let payload = json!({"items": items, "relations": relations}).to_string();
    let payload = Payload::parse(payload.as_bytes())?;
    let mut query = call.query.clone();
    query.insert("sysparm_data_source".to_owned(), source);
    query.insert("options".to_owned(), "partial_payloads:false,partial_commits:false".to_owned());
    let mut inner = Call {
        instance: &mut *call.instance,
        settings: call.settings,
        caller: call.caller,
        now: call.now,
        base_url: call.base_url,
        path: call.path,
        query: &query,
        body: call.body,
        chance: call.chance,
    };
    let endpoint = Endpoint { is_enhanced: true, commits: true };
    let reply = ire::answer(&mut inner, endpoint, &payload, false)?;
    let items = reply.body.as_ref().and_then(|body| body.pointer("/result/items")).and_then(Value::as_array).cloned().unwrap_or_default();
    let own = items.iter().find(|item| item.pointer("/inputIndices/0") == Some(&json!(0)));
    let made = own.and_then(|item| item.get("sysId")).and_then(Value::as_str).filter(|sys_id| is_sys_id(sys_id)).map(str::to_owned);
    match made {
        Some(made) => {
            let mut shown = Reply::result(show(call, &made));
            shown.status = if sys_id.is_some() { 200 } else { 201 };
            shown.operations = reply.operations;
            shown.relation_operations = reply.relation_operations;
            Ok(shown)
        }
        None => {
            let detail = own.and_then(|item| item.pointer("/errors/0/message")).and_then(Value::as_str).unwrap_or("identification failed");
            Err(ApiError::new(400, "Operation Failed", Some(detail)))
        }
    }
}

/// The name of the type, the target and its class.
fn relation_of(call: &Call<'_>, relation: &Value) -> Result<(String, String, String), ApiError> {
    let text = |name: &str| relation.get(name).and_then(Value::as_str).unwrap_or_default();
    let bad = |what: &str| ApiError::new(400, "Invalid request", Some(what));
    let kind =
        call.instance.store.get(text("type")).filter(|row| row.table == "cmdb_rel_type").ok_or_else(|| bad("invalid relation type"))?;
    let is_ci = |row: &&Row| call.instance.schema.is_a(&row.table, "cmdb_ci");
    let target = call.instance.store.get(text("target")).filter(is_ci).ok_or_else(|| bad("invalid relation target"))?;
    Ok((kind.get("name").to_owned(), text("target").to_owned(), target.table.clone()))
}

fn relate(call: &mut Call<'_>, sys_id: &str, sent: &Value) -> Result<(), ApiError> {
    if sent.get("source").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(ApiError::new(400, "Invalid request", Some("source is mandatory")));
    }
    for (name, is_parent) in [("outbound_relations", true), ("inbound_relations", false)] {
        for relation in sent.get(name).and_then(Value::as_array).into_iter().flatten() {
            let (_, target, _) = relation_of(call, relation)?;
            let kind = relation.get("type").and_then(Value::as_str).unwrap_or_default();
            let (parent, child) = if is_parent { (sys_id, target.as_str()) } else { (target.as_str(), sys_id) };
            if call.instance.store.relation(parent, child, kind).is_none() {
                let values = [("parent", parent), ("child", child), ("type", kind)];
                let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                call.instance.create("cmdb_rel_ci", values, &call.caller.user_name, call.now);
            }
        }
    }
    Ok(())
}
