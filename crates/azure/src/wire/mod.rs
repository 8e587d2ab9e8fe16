//! What the lists hold, as far as it is needed: plain data, read item by item.

pub(crate) mod balancing;
pub(crate) mod compute;
pub(crate) mod network;
pub(crate) mod resources;
#[cfg(feature = "compute-types")]
mod typed;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::item::{Item, Refused};

/// One item as it was read.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) item: T,
    /// Why it did not fit the published types, and was read leniently: in words.
    pub(crate) misfit: Option<String>,
}

/// Something that a list holds.
pub(crate) trait Wire: Sized {
    /// Where what it takes stands, as [`is_open`] reads it: with something else there, taking the item would say that it has none of it.
    const PATHS: &'static [&'static str] = &["properties!"];

    /// Reads it out of JSON of any form. What is not there is left out; only an id has to be there.
    fn lenient(item: Item<'_>) -> Result<Self, Refused>;

    /// Reads one item. Types that are published are tried first.
    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None })
    }

    /// The item, where one that has something left open says which of its facts are not known; `None` where it cannot be taken.
    fn in_part(self) -> Option<Self> {
        None
    }
}

/// An item as JSON.
pub(crate) fn parse(raw: &RawValue) -> Result<Value, Refused> {
    serde_json::from_str(raw.get()).map_err(|error| Refused::new("", format!("an item is no JSON: {error}")))
}

/// An item as far as it is known: whole, or in part where it can be taken so. What is missing is none; what stands in its place and is something else, such
/// as null, tells nothing.
pub(crate) fn known<T: Wire>(raw: &RawValue, item: T) -> Result<T, Refused> {
    let value = parse(raw)?;
    let open = T::PATHS.iter().find(|path| is_open(&value, path)).copied();
    let refused = |open: &str| {
        let id = Item(&value).text("/id").unwrap_or_default();
        Refused::new(id, format!("{id} is shown with null, or something else, as its {}", open.replace(['!', '[', ']'], "")))
    };
    match open {
        None => Ok(item),
        Some(open) => item.in_part().ok_or_else(|| refused(open)),
    }
}

/// Whether something else stands on a path than what belongs there: names, `[]` behind that of a list whose items the rest is about, `!` behind that of an
/// object that cannot be missing. What is missing elsewhere is not open, nor is a value at the end that is not null; an `id` is a text.
pub(crate) fn is_open(value: &Value, path: &str) -> bool {
    let (segment, rest) = path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
    let name = segment.trim_end_matches("[]").trim_end_matches('!');
    let is_needed = segment.ends_with('!');
    let Some(found) = value.get(name) else { return is_needed };
    let is_open_inside = |value: &Value| rest.is_some_and(|rest| !value.is_object() || is_open(value, rest));
    if segment.ends_with("[]") {
        return found.as_array().is_none_or(|items| items.iter().any(|item| item.is_null() || is_open_inside(item)));
    }
    let is_of_its_form = match name {
        "id" => found.is_string(),
        _ => !found.is_null() && (found.is_object() || !is_needed),
    };
    !is_of_its_form || is_open_inside(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_open(json: &str, is: bool) {
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        assert!(!value.is_null(), "{json}");
        assert_eq!(is_open(&value, "properties!/rules[]/properties!/group/id"), is, "{json}");
    }

    #[test]
    fn what_is_missing_is_none_and_what_is_something_else_is_open() {
        for told in [
            r#"{"properties": {}}"#,
            r#"{"properties": {"rules": [], "other": null}}"#,
            r#"{"properties": {"rules": [{"properties": {}}, {"properties": {"group": {}, "other": null}}]}}"#,
            r#"{"properties": {"rules": [{"properties": {"group": {"id": "g"}}}]}}"#,
        ] {
            check_open(told, false);
        }
        for open in [
            r#"{"id": "x"}"#,
            r#"{"properties": null}"#,
            r#"{"properties": []}"#,
            r#"{"properties": {"rules": null}}"#,
            r#"{"properties": {"rules": {}}}"#,
            r#"{"properties": {"rules": [null]}}"#,
            r#"{"properties": {"rules": [1]}}"#,
            r#"{"properties": {"rules": [{"properties": {}}, {}]}}"#,
            r#"{"properties": {"rules": [{"properties": null}]}}"#,
            r#"{"properties": {"rules": [{"properties": {"group": null}}]}}"#,
            r#"{"properties": {"rules": [{"properties": {"group": "g"}}]}}"#,
            r#"{"properties": {"rules": [{"properties": {"group": {"id": null}}}]}}"#,
            r#"{"properties": {"rules": [{"properties": {"group": {"id": 7}}}]}}"#,
        ] {
            check_open(open, true);
        }
    }

    #[test]
    fn a_list_of_texts_has_no_nulls() {
        let is = |json: &str| is_open(&serde_json::from_str(json).unwrap_or_default(), "zones[]");
        assert!(is(r#"{"zones": null}"#) && is(r#"{"zones": [null]}"#) && is(r#"{"zones": "1"}"#));
        assert!(!is(r#"{"zones": ["1"]}"#) && !is("{}"));
    }
}
