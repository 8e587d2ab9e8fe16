//! The table for people.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::Value;

use crate::estate::{Estate, Known};

const COLUMNS: [&str; 14] = [
    "key",
    "kind",
    "provider",
    "account",
    "region",
    "native_id",
    "name",
    "state",
    "stage",
    "disposition",
    "first_seen",
    "last_seen",
    "created_at",
    "tags",
];

/// Writes one row for each resource that the ledger knows, missing and retired ones too (`stage` tells), sorted by key.
///
/// Behind fourteen fixed columns stands one for each attribute that some resource has, by name; an attribute with the name of a fixed column is
/// headed `attribute.<name>`. Lists are joined by `;`, tags stand as `key=value;…`, structured attributes are left out.
/// Texts that begin with `=`, `+`, `-`, `@`, a tab or a line break get a leading `'`, because spreadsheets would run them as formulas
/// (OWASP, "CSV Injection"). So this form is for reading; use JSON to carry data.
///
/// # Errors
/// When `out` takes no more.
pub fn write_csv(estate: &Estate, out: impl Write) -> io::Result<()> {
    let names: BTreeSet<&str> = estate
        .resources
        .values()
        .flat_map(|known| &known.resource.attributes)
        .filter(|(_, value)| cell(value).is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut table = csv::Writer::from_writer(out);
    for column in COLUMNS {
        table.write_field(column).map_err(own)?;
    }
    for name in &names {
        let head = if COLUMNS.contains(name) { Cow::Owned(format!("attribute.{name}")) } else { guarded(Cow::Borrowed(name)) };
        table.write_field(head.as_ref()).map_err(own)?;
    }
    table.write_record(None::<&[u8]>).map_err(own)?;

    for known in estate.resources.values() {
        for text in fixed(known) {
            table.write_field(guarded(Cow::Owned(text)).as_ref()).map_err(own)?;
        }
        for name in &names {
            let text = known.resource.attributes.get(*name).and_then(cell).unwrap_or_default();
            table.write_field(text.as_ref()).map_err(own)?;
        }
        table.write_record(None::<&[u8]>).map_err(own)?;
    }
    table.flush()
}

/// The writer's own error, so that a closed pipe can be told from a full disk.
fn own(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn fixed(known: &Known) -> [String; COLUMNS.len()] {
    let resource = &known.resource;
    let tags: Vec<String> = resource.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    [
        resource.key.to_string(),
        resource.kind.to_string(),
        resource.provider.to_string(),
        resource.account.to_string(),
        resource.region.to_string(),
        resource.native_id.clone(),
        resource.name.clone().unwrap_or_default(),
        resource.state.clone().unwrap_or_default(),
        known.stage.to_string(),
        known.disposition.to_string(),
        known.first_seen.to_string(),
        known.last_seen.to_string(),
        resource.created_at.map(|at| at.to_string()).unwrap_or_default(),
        tags.join(";"),
    ]
}

/// A value as a cell; `None` for structures and for no value. Numbers need no guard: a minus sign before digits is no formula.
fn cell(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(guarded(Cow::Borrowed(text))),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(plain).collect();
            texts.map(|texts| guarded(Cow::Owned(texts.join(";"))))
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => Cow::Owned(format!("'{text}")),
        _ => text,
    }
}
