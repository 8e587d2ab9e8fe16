//! Writing past the identification engine.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    display::undisplay,
    read::{self, is_visible},
    value::{Kept, keep, text},
};
use crate::{
    call::Call,
    reply::{ApiError, Reply},
    store::Row,
};

pub(super) fn create(call: &mut Call<'_>, table: &str) -> Result<Reply, ApiError> {
    call.check_write(table)?;
    let values = values(call, table)?.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let sys_id = call.instance.create(table, values, &call.caller.user_name, call.now);
    let location = format!("{}/api/now/table/{table}/{sys_id}", call.base_url);
    let body = json!({"result": read::record(call, table, &sys_id)});
    Ok(Reply::new(201, body).header("Location", location).done("INSERT"))
}

pub(super) fn update(call: &mut Call<'_>, table: &str, sys_id: &str) -> Result<Reply, ApiError> {
    call.check_write(table)?;
    let row = existing(call, table, sys_id)?;
    let mut has_changed = false;
    for (column, value) in values(call, &row.table)? {
        if row.get(&column) != value {
            call.instance.store.set(sys_id, &column, &value);
            has_changed = true;
        }
    }
    if has_changed {
        call.instance.touch(sys_id, &call.caller.user_name, call.now);
    }
    let reply = Reply::result(read::record(call, table, sys_id));
    Ok(reply.done(if has_changed { "UPDATE" } else { "NO_CHANGE" }))
}

pub(super) fn delete(call: &mut Call<'_>, table: &str, sys_id: &str) -> Result<Reply, ApiError> {
    call.check_write(table)?;
    existing(call, table, sys_id)?;
    call.instance.delete(sys_id);
    Ok(Reply::empty(204).done("DELETE"))
}

fn existing(call: &Call<'_>, table: &str, sys_id: &str) -> Result<Row, ApiError> {
    let row = call.instance.store.get(sys_id).filter(|row| call.instance.schema.is_a(&row.table, table));
    row.filter(|row| is_visible(call, sys_id, row)).cloned().ok_or_else(ApiError::no_record)
}

/// What the body says about columns that there are. The rest is dropped without a word, as are values that a column cannot hold.
fn values(call: &Call<'_>, table: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let body: Value = serde_json::from_slice(call.body).map_err(|_| ApiError::bad_body())?;
    let first = match body {
        Value::Array(items) => items.into_iter().next().unwrap_or_default(),
        other => other,
    };
    let Value::Object(sent) = first else { return Err(ApiError::bad_body()) };
    Ok(accepted(call, table, &sent))
}

fn accepted(call: &Call<'_>, table: &str, sent: &Map<String, Value>) -> BTreeMap<String, String> {
    let is_display = call.is_set("sysparm_input_display_value");
    let mut values = BTreeMap::new();
    for (name, value) in sent {
        let Some(column) = call.instance.schema.column(table, name).filter(|column| !column.read_only) else { continue };
        let Some(text) = text(value) else { continue };
        let text = if is_display { undisplay(call.instance, call.settings.display_offset_minutes, table, column, &text) } else { text };
        match keep(column, &text) {
            Kept::As(value) => {
                values.insert(name.clone(), value);
            }
            // A reference to nothing is no reference.
            Kept::Not if column.reference.is_some() => {
                values.insert(name.clone(), String::new());
            }
            Kept::Not => {}
        }
    }
    values
}
