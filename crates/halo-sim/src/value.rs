//! Members of posted objects, read as leniently as the product's JSON reader does.

use serde_json::{Map, Value};

use crate::{clock, reply::ApiError};

/// An object of a request, and where it stands there.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    pub(crate) object: &'a Map<String, Value>,
    at: String,
}

/// The elements of a posted array. A bare object is refused.
pub(crate) fn elements(body: &[u8]) -> Result<Vec<Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(elements)) if !elements.is_empty() => Ok(elements),
        _ => Err(ApiError::bad_body()),
    }
}

impl<'a> Members<'a> {
    pub(crate) fn of(value: &'a Value, at: impl Into<String>) -> Result<Self, ApiError> {
        let at = at.into();
        match value {
            Value::Object(object) => Ok(Self { object, at }),
            other => Err(ApiError::misfit(&at, format!("Error converting value {other}. Path '{at}'."))),
        }
    }

    /// Null counts as missing.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn misfit(&self, name: &str, value: &Value, kind: &str) -> ApiError {
        let at = format!("{}.{name}", self.at);
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let message = format!("Could not convert string to {kind}: {shown}. Path '{at}'.");
        ApiError::misfit(at, message)
    }

    /// A whole number, which may come as text.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = |number: f64| (number.fract() == 0.0).then(|| format!("{number:.0}").parse::<i64>().ok()).flatten();
        let found = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        found.filter(|number| i32::try_from(*number).is_ok()).map(Some).ok_or_else(|| self.misfit(name, value, "integer"))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            _ => None,
        };
        found.map(Some).ok_or_else(|| self.misfit(name, value, "boolean"))
    }

    /// Text, for which numbers and booleans are taken.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value {
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
            _ => Err(self.misfit(name, value, "string")),
        }
    }

    pub(crate) fn date(&self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        clock::stored(&text).map(Some).ok_or_else(|| self.misfit(name, &Value::String(text), "DateTime"))
    }

    /// The objects of a list; `None` when there is no list.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<Members<'a>>>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| self.misfit(name, value, "List"))?;
        (0..)
            .zip(list)
            .map(|(number, value)| Members::of(value, format!("{}.{name}[{number}]", self.at)))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_converted_where_they_can_be() {
        let value = json!({"a": "130", "b": 51.0, "c": 1.5, "d": null, "e": "true", "f": [1], "g": 7, "h": "", "i": 2_147_483_648_i64});
        let Ok(members) = Members::of(&value, "[0]") else { return };
        assert_eq!([members.int("a").ok(), members.int("b").ok(), members.int("d").ok()], [Some(Some(130)), Some(Some(51)), Some(None)]);
        assert_eq!(members.int("c").map_err(|error| error.name), Err("[0].c".to_owned()));
        assert!(
            members.int("h").is_err()
                && members.int("i").is_err()
                && members.flag("a").is_err()
                && members.list("f").is_err()
                && members.text("f").is_err()
        );
        assert_eq!((members.flag("e").ok(), members.text("g").ok()), (Some(Some(true)), Some(Some("7".to_owned()))));
    }

    #[test]
    fn a_body_is_an_array() {
        assert!(elements(b"{}").is_err() && elements(b"[]").is_err() && elements(b"[").is_err());
        assert_eq!(elements(b"[{}]").map(|elements| elements.len()), Ok(1));
    }
}
