//! From what a client sends to what a column keeps.

use serde_json::Value;

use crate::{clock, hash::is_sys_id, schema::Column};

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is stored, perhaps cut to the column's length.
    As(String),
    /// The column cannot hold it, and stays as it is.
    Not,
}

/// A scalar as text; nothing for objects and lists.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(is_true) => Some(is_true.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a column keeps of a value.
pub(crate) fn keep(column: &Column, text: &str) -> Kept {
    if text.is_empty() {
        return Kept::As(String::new());
    }
    match column.kind.as_str() {
        "integer" => match text.trim().parse::<i64>() {
            Ok(number) => Kept::As(number.to_string()),
            Err(_) => Kept::Not,
        },
        "boolean" => match text {
            "true" | "1" => Kept::As("true".to_owned()),
            "false" | "0" => Kept::As("false".to_owned()),
            _ => Kept::Not,
        },
        "glide_date_time" => match clock::parse(text) {
            Some(at) => Kept::As(clock::stored(at)),
            None => Kept::Not,
        },
        "reference" if !is_sys_id(text) => Kept::Not,
        _ => Kept::As(text.chars().take(column.max_length).collect()),
    }
}
