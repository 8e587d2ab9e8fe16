//! What people see in place of a value.

use serde_json::{Value, json};

use crate::{call::Call, clock, instance::Instance, query::value_at, schema::Column, store::Row};

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Raw,
    Display,
    All,
}

impl Mode {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        match call.parameter("sysparm_display_value").to_ascii_lowercase().as_str() {
            "true" => Self::Display,
            "all" => Self::All,
            _ => Self::Raw,
        }
    }
}

/// The value at the end of a path, as the call wants it; nothing when there is no such column.
pub(crate) fn render(call: &Call<'_>, mode: Mode, sys_id: &str, row: &Row, path: &str) -> Option<Value> {
    let instance = &*call.instance;
    let (owner_id, owner, column) = column_at(instance, sys_id, row, path)?;
    let value = value_at(&instance.schema, &instance.store, owner_id, owner, &column.name);
    let shown = display(instance, call.settings.display_offset_minutes, &owner.table, column, value);
    let link = column.reference.as_ref().filter(|_| !value.is_empty() && !call.is_set("sysparm_exclude_reference_link"));
    let link = link.map(|table| format!("{}/api/now/table/{table}/{value}", call.base_url));
    Some(match (mode, link) {
        (Mode::Raw, None) => json!(value),
        (Mode::Raw, Some(link)) => json!({"link": link, "value": value}),
        (Mode::Display, None) => json!(shown),
        (Mode::Display, Some(link)) => json!({"display_value": shown, "link": link}),
        (Mode::All, None) => json!({"display_value": shown, "value": value}),
        (Mode::All, Some(link)) => json!({"display_value": shown, "value": value, "link": link}),
    })
}

/// The record and column at the end of a path. An empty reference ends in the record that has it, so that its columns show as empty.
fn column_at<'a>(instance: &'a Instance, sys_id: &'a str, row: &'a Row, path: &'a str) -> Option<(&'a str, &'a Row, &'a Column)> {
    match path.split_once('.') {
        None => instance.schema.column(&row.table, path).map(|column| (sys_id, row, column)),
        Some((column, rest)) => {
            instance.schema.column(&row.table, column)?.reference.as_ref()?;
            let (sys_id, row) = instance.store.rows().get_key_value(row.get(column))?;
            column_at(instance, sys_id, row, rest)
        }
    }
}

/// What people see in place of a value.
fn display(instance: &Instance, offset_minutes: i32, table: &str, column: &Column, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    if let Some(target) = &column.reference {
        let Some(row) = instance.store.get(value) else { return String::new() };
        let name = instance.schema.display_column(if row.table.is_empty() { target } else { &row.table });
        return row.get(name).to_owned();
    }
    match column.kind.as_str() {
        "glide_date_time" => clock::displayed(value, offset_minutes),
        "sys_class_name" => instance.schema.tables.get(value).map_or_else(|| value.to_owned(), |table| table.label.clone()),
        _ => choice(instance, table, &column.name, |row| row.get("value") == value, "label").unwrap_or_else(|| value.to_owned()),
    }
}

/// One side of a choice by the other.
fn choice(instance: &Instance, table: &str, column: &str, is_it: impl Fn(&Row) -> bool, wanted: &str) -> Option<String> {
    instance
        .schema
        .lineage(table)
        .flat_map(|name| instance.store.having("name", name))
        .find(|(_, row)| row.table == "sys_choice" && row.get("element") == column && is_it(row))
        .map(|(_, row)| row.get(wanted).to_owned())
}

/// The value that people mean, for `sysparm_input_display_value`.
pub(crate) fn undisplay(instance: &Instance, offset_minutes: i32, table: &str, column: &Column, shown: &str) -> String {
    if let Some(target) = &column.reference {
        let name = instance.schema.display_column(target);
        let found = instance.store.rows().iter().find(|(_, row)| instance.schema.is_a(&row.table, target) && row.get(name) == shown);
        return found.map_or_else(|| shown.to_owned(), |(sys_id, _)| sys_id.clone());
    }
    if column.kind == "glide_date_time" {
        return clock::displayed(shown, -offset_minutes);
    }
    choice(instance, table, &column.name, |row| row.get("label") == shown, "value").unwrap_or_else(|| shown.to_owned())
}
