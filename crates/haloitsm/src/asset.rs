//! Assets as HaloITSM shows them.
//!
//! Source: Halo API v2, schemas `Device` and `Device_List`. What has no value is not there.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Kind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An id: a whole number, now and then written as `101.0` or as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct Id(pub(crate) i32);

impl Id {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let id = match value {
            Value::Number(number) => match number.as_i64() {
                Some(id) => i32::try_from(id).ok()?,
                None => number.as_f64().filter(|number| number.fract() == 0.0).and_then(|number| format!("{number:.0}").parse().ok())?,
            },
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        Some(Self(id))
    }

    /// The id that a record is known by; `None` where no asset can have it.
    pub(crate) fn of_record(text: &str) -> Option<Self> {
        text.parse().ok().filter(|id| *id > 0).map(Self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::of(&value).ok_or_else(|| serde::de::Error::custom(format!("expected an id, found {value}")))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Asset {
    pub(crate) id: Id,
    #[serde(default)]
    inventory_number: Option<String>,
    #[serde(default)]
    pub(crate) assettype_id: Option<Id>,
    #[serde(default)]
    status_name: Option<String>,
    #[serde(default)]
    inactive: Option<bool>,
    /// What HaloITSM's own AWS integration knows it by.
    #[serde(default)]
    aws_id: Option<String>,
    #[serde(default)]
    key_field: Option<String>,
    #[serde(default)]
    key_field2: Option<String>,
    #[serde(default)]
    key_field3: Option<String>,
    /// `None` where they were not shown.
    #[serde(default)]
    pub(crate) fields: Option<Vec<ShownField>>,
    /// What it is above; shown of an asset that was read by itself.
    #[serde(default)]
    child_assets: Option<Vec<Related>>,
}

/// A field with its value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ShownField {
    pub(crate) id: Id,
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Related {
    id: Id,
    #[serde(default)]
    assettype_id: Option<Id>,
}

impl Asset {
    pub(crate) fn tag(&self) -> &str {
        self.inventory_number.as_deref().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<&str> {
        self.status_name.as_deref().filter(|name| !name.is_empty())
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.inactive == Some(true)
    }

    /// Whether HaloITSM's own AWS integration keeps it, too.
    pub(crate) fn aws_id(&self) -> Option<&str> {
        self.aws_id.as_deref().filter(|id| !id.trim().is_empty())
    }

    /// What lists show of its key fields.
    pub(crate) fn key_fields(&self) -> impl Iterator<Item = &str> {
        [&self.key_field, &self.key_field2, &self.key_field3].into_iter().flatten().map(String::as_str)
    }

    /// Values of fields by their ids, without those that have none.
    pub(crate) fn values(&self) -> BTreeMap<Id, String> {
        self.fields.iter().flatten().filter_map(|field| Some((field.id, text(field.value.as_ref()?)?))).collect()
    }

    /// The value of a field.
    pub(crate) fn value(&self, field: Id) -> Option<String> {
        self.fields.iter().flatten().find(|own| own.id == field).and_then(|own| text(own.value.as_ref()?))
    }

    /// Whether it was read with what it is above.
    pub(crate) const fn shows_children(&self) -> bool {
        self.child_assets.is_some()
    }

    /// What it is above, each with its type.
    pub(crate) fn children(&self) -> BTreeMap<Id, Option<Id>> {
        self.child_assets.iter().flatten().map(|related| (related.id, related.assettype_id)).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What Dewpoint notes on an asset for itself, as JSON in one field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Kind of the resource: one type may be that of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// The assets that we put it below, by the edges' type: other parents are people's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parents: BTreeMap<String, BTreeSet<Id>>,
}

impl Note {
    /// Whether any edge of ours puts it below this asset.
    pub(crate) fn is_below(&self, parent: Id) -> bool {
        self.parents.values().any(|parents| parents.contains(&parent))
    }

    /// Takes an edge out; whether it was there.
    pub(crate) fn take(&mut self, relation: &str, parent: Id) -> bool {
        let Some(parents) = self.parents.get_mut(relation) else { return false };
        let was_there = parents.remove(&parent);
        if parents.is_empty() {
            self.parents.remove(relation);
        }
        was_there
    }

    /// All assets that edges of ours put it below.
    pub(crate) fn all_parents(&self) -> BTreeSet<Id> {
        self.parents.values().flatten().copied().collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_read_in_any_form() {
        for (value, id) in
            [(json!(101), Some(101)), (json!(101.0), Some(101)), (json!("101"), Some(101)), (json!(1.5), None), (json!(null), None)]
        {
            assert_eq!(Id::of(&value), id.map(Id), "{value}");
        }
        for text in ["0", "-3", "x", "", "2147483648"] {
            assert_eq!(Id::of_record(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_not_there() {
        let asset: Asset =
            serde_json::from_value(json!({"id": 5, "fields": [{"id": 1, "value": ""}, {"id": 2}, {"id": 3, "value": 7}]})).unwrap();
        assert_eq!(asset.values(), BTreeMap::from([(Id(3), "7".to_owned())]));
        assert_eq!((asset.tag(), asset.status(), asset.is_inactive()), ("", None, false));
    }
}
