//! What the lists hold, as far as it is needed: plain data, read item by item.

pub(crate) mod balancing;
pub(crate) mod compute;
pub(crate) mod network;
pub(crate) mod resources;
#[cfg(feature = "compute-types")]
mod typed;

use std::collections::BTreeMap;

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
    /// Whether what there is to say of it stands in its `properties`.
    const HAS_PROPERTIES: bool = true;

    /// Properties that list its parts, or what leads to them.
    const PARTS: &'static [&'static str] = &[];

    /// Properties, its own and those of its parts, that refer to something else.
    const REFERENCES: &'static [&'static str] = &[];

    /// Reads it out of JSON of any form. What is not there is left out; only an id has to be there.
    fn lenient(item: Item<'_>) -> Result<Self, Refused>;

    /// Reads one item. Types that are published are tried first.
    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None })
    }
}

/// An item as JSON.
pub(crate) fn parse(raw: &RawValue) -> Result<Value, Refused> {
    serde_json::from_str(raw.get()).map_err(|error| Refused::new("", format!("an item is no JSON: {error}")))
}

/// What an item lacks, so that taking it would say that it has none of it: its properties, which every kind that is listed has, a list of its parts, one of
/// these, or a reference. What is missing is none; what stands in its place and is something else, such as null, tells nothing.
pub(crate) fn gap<T: Wire>(raw: &RawValue) -> Option<String> {
    if !T::HAS_PROPERTIES {
        return None;
    }
    let Some(properties) = properties_of(raw) else { return Some("is shown without its properties".to_owned()) };
    if T::PARTS.is_empty() && T::REFERENCES.is_empty() {
        return None;
    }
    let properties = fields(properties);
    if let Some(reference) = unsaid::<T>(&properties) {
        return Some(format!("is shown with {} as its {reference}", instead(properties.get(reference))));
    }
    for name in T::PARTS {
        let Some(list) = properties.get(*name) else { continue };
        let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
            return Some(format!("is shown with {} as its {name}", instead(Some(list))));
        };
        for part in parts {
            let Some(properties) = properties_of(part) else { return Some(format!("is shown with one of its {name} left open")) };
            if let Some(reference) = unsaid::<T>(&fields(properties)) {
                return Some(format!("is shown with the {reference} of one of its {name} left open"));
            }
        }
    }
    None
}

/// The properties of an item or a part, where they are an object.
fn properties_of(raw: &RawValue) -> Option<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Properties<'a> {
        #[serde(borrow)]
        properties: Option<&'a RawValue>,
    }
    let properties = serde_json::from_str::<Properties<'_>>(raw.get()).ok()?.properties;
    properties.filter(|properties| is_object(properties))
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().trim_start().starts_with('{')
}

fn fields(object: &RawValue) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(object.get()).unwrap_or_default()
}

/// The first reference in whose place something else stands.
fn unsaid<T: Wire>(properties: &BTreeMap<String, &RawValue>) -> Option<&'static str> {
    T::REFERENCES.iter().find(|name| properties.get(**name).is_some_and(|value| !is_object(value))).copied()
}

fn instead(raw: Option<&&RawValue>) -> &'static str {
    if raw.is_some_and(|raw| raw.get().trim_start().starts_with('n')) { "null" } else { "something else" }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    struct Whole;

    impl Wire for Whole {
        const PARTS: &'static [&'static str] = &["rules"];
        const REFERENCES: &'static [&'static str] = &["group"];

        fn lenient(_: Item<'_>) -> Result<Self, Refused> {
            Ok(Self)
        }
    }

    #[track_caller]
    fn check_gap(item: &str, want: Option<&str>) {
        let raw = RawValue::from_string(item.to_owned()).unwrap();
        assert_eq!(gap::<Whole>(&raw).as_deref(), want, "{item}");
    }

    #[test]
    fn what_is_not_told_is_a_gap() {
        check_gap(r#"{"properties": {"rules": []}}"#, None);
        check_gap(r#"{"properties": { "other": null, "rules" : [{"properties": {"group": {"id": "g"}, "other": null}}]}}"#, None);
        check_gap(r#"{"properties": {}}"#, None);
        let hollow = Some("is shown without its properties");
        check_gap(r#"{"id": "x"}"#, hollow);
        check_gap(r#"{"properties": null}"#, hollow);
        check_gap(r#"{"properties": []}"#, hollow);
        check_gap(r#""text""#, hollow);
        check_gap(r#"{"properties": {"rules": null}}"#, Some("is shown with null as its rules"));
        check_gap(r#"{"properties": {"rules": {}}}"#, Some("is shown with something else as its rules"));
        check_gap(r#"{"properties": {"group": null}}"#, Some("is shown with null as its group"));
        let part = Some("is shown with one of its rules left open");
        check_gap(r#"{"properties": {"rules": [null]}}"#, part);
        check_gap(r#"{"properties": {"rules": [{"properties": {}}, {"properties": null}]}}"#, part);
        check_gap(
            r#"{"properties": {"rules": [{"properties": {"group": null}}]}}"#,
            Some("is shown with the group of one of its rules left open"),
        );
    }
}
