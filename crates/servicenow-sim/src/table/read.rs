//! Reading: pages, single records, counts.

use std::collections::BTreeMap;

use dewpoint_sim_kit::form;
use serde_json::{Map, Value, json};

use super::display::{Mode, render};
use crate::{
    call::Call,
    instance::INVALID_QUERY_FINDS_NOTHING,
    query::Query,
    reply::{ApiError, Reply},
    store::Row,
};

const LIMIT_DEFAULT: usize = 10_000;

pub(super) fn list(call: &Call<'_>, table: &str, version: Option<u8>) -> Result<Reply, ApiError> {
    call.check_read(table)?;
    let instance = &*call.instance;
    let query = Query::parse(&instance.schema, table, call.parameter("sysparm_query"));
    let finds_nothing = !query.dropped.is_empty() && instance.is_on(INVALID_QUERY_FINDS_NOTHING, false);
    let chance = call.settings.unordered_pages.then_some(call.chance);
    let found = if finds_nothing { Vec::new() } else { query.run(&instance.schema, &instance.store, table, chance) };

    let number = |name: &str, default: usize| call.parameter(name).parse().unwrap_or(default);
    let (limit, offset) = (number("sysparm_limit", LIMIT_DEFAULT), number("sysparm_offset", 0));
    let limit = call.settings.page_rows_max.map_or(limit, |max| limit.min(max));
    let fields = fields(call, table);
    let mode = Mode::of(call);
    let result: Vec<Value> = found
        .iter()
        .skip(offset)
        .take(limit)
        .filter(|(sys_id, row)| is_visible(call, sys_id, row))
        .map(|(sys_id, row)| show(call, mode, fields.as_deref(), sys_id, row))
        .collect();

    let mut reply = if result.is_empty() && version == Some(1) {
        ApiError::new(404, "No Record found", Some("Record doesn't exist or ACL restricts the record retrieval")).into()
    } else {
        Reply::result(json!(result))
    };
    // The count is of what the query finds, whoever may see it.
    if !call.is_set("sysparm_no_count") {
        reply = reply.header("X-Total-Count", found.len().to_string());
    }
    if !call.is_set("sysparm_suppress_pagination_header") {
        reply = reply.header("Link", links(call, limit, offset, found.len()));
    }
    reply.dropped_terms = query.dropped;
    Ok(reply)
}

pub(super) fn one(call: &Call<'_>, table: &str, sys_id: &str) -> Result<Reply, ApiError> {
    call.check_read(table)?;
    let instance = &*call.instance;
    let row = instance.store.get(sys_id).filter(|row| instance.schema.is_a(&row.table, table)).ok_or_else(ApiError::no_record)?;
    if !is_visible(call, sys_id, row) {
        return Err(ApiError::no_record());
    }
    Ok(Reply::result(record(call, table, sys_id)))
}

pub(super) fn record(call: &Call<'_>, table: &str, sys_id: &str) -> Value {
    let fields = fields(call, table);
    call.instance.store.get(sys_id).map_or(Value::Null, |row| show(call, Mode::of(call), fields.as_deref(), sys_id, row))
}

/// Counts, as a whole or by the values of columns.
pub(super) fn stats(call: &Call<'_>, table: &str) -> Result<Reply, ApiError> {
    call.check_read(table)?;
    let instance = &*call.instance;
    let query = Query::parse(&instance.schema, table, call.parameter("sysparm_query"));
    let finds_nothing = !query.dropped.is_empty() && instance.is_on(INVALID_QUERY_FINDS_NOTHING, false);
    let found = if finds_nothing { Vec::new() } else { query.run(&instance.schema, &instance.store, table, None) };
    let wants_count = call.is_set("sysparm_count");
    let stats = |count: usize| if wants_count { json!({"count": count.to_string()}) } else { json!({}) };
    let columns: Vec<&str> =
        call.parameter("sysparm_group_by").split(',').filter(|column| instance.schema.column(table, column).is_some()).collect();
    let mut reply = if columns.is_empty() {
        Reply::result(json!({"stats": stats(found.len())}))
    } else {
        let mut groups: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for (_, row) in &found {
            *groups.entry(columns.iter().map(|column| row.get(column)).collect()).or_default() += 1;
        }
        let groups: Vec<Value> = groups
            .into_iter()
            .map(|(values, count)| {
                let fields: Vec<Value> = columns.iter().zip(values).map(|(field, value)| json!({"field": field, "value": value})).collect();
                json!({"stats": stats(count), "groupby_fields": fields})
            })
            .collect();
        Reply::result(json!(groups))
    };
    reply.dropped_terms = query.dropped;
    Ok(reply)
}

/// The columns asked for that there are; all of the record's own when none are asked for.
fn fields(call: &Call<'_>, table: &str) -> Option<Vec<String>> {
    let asked = call.parameter("sysparm_fields");
    if asked.is_empty() {
        return None;
    }
    let is_known = |path: &&str| crate::query::is_path(&call.instance.schema, table, path);
    Some(asked.split(',').map(str::trim).filter(is_known).map(str::to_owned).collect())
}

fn show(call: &Call<'_>, mode: Mode, fields: Option<&[String]>, sys_id: &str, row: &Row) -> Value {
    let mut shown = Map::new();
    match fields {
        Some(fields) => {
            for path in fields {
                // A path through an empty reference shows as empty.
                let value = render(call, mode, sys_id, row, path).unwrap_or_else(|| match mode {
                    Mode::All => json!({"display_value": "", "value": ""}),
                    Mode::Raw | Mode::Display => json!(""),
                });
                shown.insert(path.clone(), value);
            }
        }
        None => {
            for (column, _) in call.instance.schema.columns(&row.table) {
                if let Some(value) = render(call, mode, sys_id, row, &column.name) {
                    shown.insert(column.name.clone(), value);
                }
            }
        }
    }
    Value::Object(shown)
}

/// Whether no rule hides the record from the caller.
pub(super) fn is_visible(call: &Call<'_>, sys_id: &str, row: &Row) -> bool {
    let instance = &*call.instance;
    !instance.row_rules.iter().any(|rule| {
        instance.schema.is_a(&row.table, &rule.table)
            && !call.caller.has(&[&rule.role])
            && Query::parse(&instance.schema, &rule.table, &rule.query).matches(&instance.schema, &instance.store, sys_id, row)
    })
}

fn links(call: &Call<'_>, limit: usize, offset: usize, total: usize) -> String {
    let link = |relation: &str, offset: usize| {
        let mut query = call.query.clone();
        query.insert("sysparm_offset".to_owned(), offset.to_string());
        query.insert("sysparm_limit".to_owned(), limit.to_string());
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", form::encode(value))).collect();
        format!("<{}{}?{}>;rel=\"{relation}\"", call.base_url, call.path, query.join("&"))
    };
    let mut links = vec![link("first", 0)];
    if offset > 0 {
        links.push(link("prev", offset.saturating_sub(limit)));
    }
    if offset + limit < total {
        links.push(link("next", offset + limit));
    }
    let last = total.saturating_sub(1).checked_div(limit).unwrap_or_default() * limit;
    links.push(link("last", last));
    links.join(",")
}
