//! Lenient reading of one item: what is not there, or is not of the form that it should have, is nothing.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Key, Region};
pub(crate) use dewpoint_core::source::facts::Refused;
use dewpoint_core::source::facts::filled;
use jiff::Timestamp;
use serde_json::Value;

use crate::ids::{self, ResourceId};

/// One item of a list, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a>(pub(crate) &'a Value);

impl<'a> Item<'a> {
    /// A text at a JSON pointer.
    pub(crate) fn text(self, pointer: &str) -> Option<&'a str> {
        filled(self.0.pointer(pointer)?.as_str())
    }

    pub(crate) fn owned(self, pointer: &str) -> Option<String> {
        self.text(pointer).map(str::to_owned)
    }

    /// Whether a text stands there, or nothing at all.
    pub(crate) fn is_text_or_missing(self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_none_or(Value::is_string)
    }

    /// Whether a list of such values stands there, or nothing at all.
    pub(crate) fn is_list_of(self, pointer: &str, is_such: impl Fn(&'a Value) -> bool) -> bool {
        self.0.pointer(pointer).is_none_or(|value| value.as_array().is_some_and(|items| items.iter().all(is_such)))
    }

    /// A number, which may be written as text.
    pub(crate) fn count(self, pointer: &str) -> Option<i64> {
        match self.0.pointer(pointer)? {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_i64(),
        }
    }

    /// A flag, which may be written as text.
    pub(crate) fn flag(self, pointer: &str) -> Option<bool> {
        match self.0.pointer(pointer)? {
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            value => value.as_bool(),
        }
    }

    /// An instant with up to nine digits of fractions.
    pub(crate) fn time(self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer)?.parse().ok()
    }

    /// The objects of a list. What is no list has none, and what is no object is left out.
    pub(crate) fn items(self, pointer: &str) -> impl Iterator<Item = Item<'a>> {
        let items = self.0.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter(|item| item.is_object()).map(Item)
    }

    /// The texts of a list.
    pub(crate) fn texts(self, pointer: &str) -> impl Iterator<Item = &'a str> {
        let items = self.0.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| filled(item.as_str()))
    }

    /// A text, or the texts of a list: one field of the two holds what there is, and the other is empty or missing.
    pub(crate) fn either(self, single: &str, plural: &str) -> BTreeSet<&'a str> {
        self.text(single).into_iter().chain(self.texts(plural)).collect()
    }

    /// What a reference names.
    pub(crate) fn reference(self, pointer: &str) -> Option<Key> {
        Key::azure(self.text(pointer)?.trim_end_matches('/')).ok()
    }

    /// What the references of a list name. Each is an object with an `id`.
    pub(crate) fn references(self, pointer: &str) -> impl Iterator<Item = Key> {
        self.items(pointer).filter_map(|item| item.reference("/id"))
    }

    /// Tags by name. Values that are no texts are written as JSON.
    pub(crate) fn tags(self) -> BTreeMap<String, String> {
        let tags = self.0.get("tags").and_then(Value::as_object).into_iter().flatten();
        tags.filter_map(|(name, value)| {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => serde_json::to_string(other).ok()?,
            };
            Some((name.clone(), text))
        })
        .collect()
    }
}

/// What every resource has: who it is, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    /// `None` where the item does not say.
    pub(crate) region: Option<Region>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Head {
    /// The head of an item. Nothing but its id has to be there.
    pub(crate) fn read(item: Item<'_>) -> Result<Self, Refused> {
        let id = match item.text("/id") {
            Some(text) => ResourceId::parse(text).map_err(|error| Refused::new(text, error.to_string()))?,
            None => {
                let name = item.text("/name").unwrap_or("?");
                return Err(Refused::new("", format!("the item `{name}` has no id")));
            }
        };
        let name = item.text("/name").unwrap_or(id.name()).to_owned();
        Ok(Self { name, region: item.text("/location").and_then(ids::location), tags: item.tags(), id })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_another_form_is_nothing() {
        let value = json!({"a": null, "b": {"c": 7}, "d": ["x", null, 3, {"id": "/subscriptions/s"}], "e": " ", "n": "12", "f": "True",
            "t": "2026-02-03T09:11:12.1234567+00:00", "tags": {"env": "prod", "odd": null, "number": 7}});
        let item = Item(&value);
        assert_eq!(
            (item.text("/a"), item.text("/b"), item.text("/b/c"), item.text("/e"), item.text("/z/y")),
            (None, None, None, None, None)
        );
        assert_eq!((item.count("/b/c"), item.count("/n"), item.count("/a")), (Some(7), Some(12), None));
        assert_eq!(item.flag("/f"), Some(true));
        assert_eq!(item.texts("/d").collect::<Vec<_>>(), ["x"]);
        assert_eq!(item.references("/d").map(|key| key.as_str().to_owned()).collect::<Vec<_>>(), ["azure:/subscriptions/s"]);
        assert_eq!(item.items("/a").count() + item.items("/b").count(), 0);
        assert_eq!(item.time("/t").unwrap().to_string(), "2026-02-03T09:11:12.1234567Z");
        let tags = item.tags();
        assert_eq!((tags["env"].as_str(), tags["odd"].as_str(), tags["number"].as_str()), ("prod", "", "7"));
    }

    #[test]
    fn only_the_id_has_to_be_there() {
        let head = Head::read(Item(&json!({"id": "/subscriptions/S/resourceGroups/G/providers/M.C/disks/D"}))).unwrap();
        assert_eq!((head.name.as_str(), head.region), ("D", None));
        assert!(Head::read(Item(&json!({"name": "D"}))).unwrap_err().text.contains("`D` has no id"));
        assert!(Head::read(Item(&json!({"id": "D"}))).is_err());
        assert!(Head::read(Item(&json!("D"))).is_err());
    }
}
