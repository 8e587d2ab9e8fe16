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

/// What an item lacks, so that taking it would say that it has none of it: its properties, which every kind that is listed has, or a list of its parts. A list
/// that is missing is an empty one; what stands in its place and is none tells nothing.
pub(crate) fn gap<T: Wire>(raw: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Properties<'a> {
        #[serde(borrow)]
        properties: Option<&'a RawValue>,
    }
    let is = |raw: &RawValue, begin: char| raw.get().trim_start().starts_with(begin);
    if !T::HAS_PROPERTIES {
        return None;
    }
    let properties = serde_json::from_str::<Properties<'_>>(raw.get()).ok().and_then(|item| item.properties);
    let Some(properties) = properties.filter(|properties| is(properties, '{')) else {
        return Some("is shown without its properties".to_owned());
    };
    if T::PARTS.is_empty() {
        return None;
    }
    let properties: BTreeMap<String, &RawValue> = serde_json::from_str(properties.get()).unwrap_or_default();
    let unlisted = T::PARTS.iter().find(|part| properties.get(**part).is_some_and(|value| !is(value, '[')))?;
    let instead = if properties.get(*unlisted).is_some_and(|value| is(value, 'n')) { "null" } else { "no list" };
    Some(format!("is shown with {instead} as its {unlisted}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    struct Whole;

    impl Wire for Whole {
        const PARTS: &'static [&'static str] = &["rules"];

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
        check_gap(r#"{"properties": { "other": null, "rules" : [1]}}"#, None);
        check_gap(r#"{"properties": {}}"#, None);
        let hollow = Some("is shown without its properties");
        check_gap(r#"{"id": "x"}"#, hollow);
        check_gap(r#"{"properties": null}"#, hollow);
        check_gap(r#"{"properties": []}"#, hollow);
        check_gap(r#""text""#, hollow);
        check_gap(r#"{"properties": {"rules": null}}"#, Some("is shown with null as its rules"));
        check_gap(r#"{"properties": {"rules": {}}}"#, Some("is shown with no list as its rules"));
    }
}
