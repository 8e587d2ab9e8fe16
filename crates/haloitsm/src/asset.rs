//! Assets as HaloITSM shows them.
//!
//! Source: Halo API v2, schemas `Device` and `Device_List`. What has no value is not there.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Kind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::resolver::Owner;

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
    #[serde(default)]
    technical_owner_id: Option<Id>,
    #[serde(default)]
    business_owner_id: Option<Id>,
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
    /// What it is below; shown as they are.
    #[serde(default)]
    parent_assets: Option<Vec<Related>>,
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

    /// Who has this part in it; `None` where nobody has, or it is not shown.
    pub(crate) fn owner(&self, owner: Owner) -> Option<Id> {
        self.shown_owner(owner).flatten()
    }

    /// The same; `None` where it is not shown.
    pub(crate) fn shown_owner(&self, owner: Owner) -> Option<Option<Id>> {
        let id = match owner {
            Owner::Technical => self.technical_owner_id,
            Owner::Business => self.business_owner_id,
        };
        id.map(|id| (id.0 > 0).then_some(id))
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

    /// What it is above, each with its type.
    pub(crate) fn children(&self) -> BTreeMap<Id, Option<Id>> {
        self.child_assets.iter().flatten().map(|related| (related.id, related.assettype_id)).collect()
    }

    /// What it is below.
    pub(crate) fn parents(&self) -> BTreeSet<Id> {
        self.parent_assets.iter().flatten().map(|related| related.id).collect()
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
    pub(crate) parents: Links,
    /// Of these the ones that people had put it below before us: they stay when our edges go.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) found_parents: BTreeSet<Id>,
    /// Strangers' assets that we put below it, in the same way: nothing is noted on those.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) children: Links,
    /// Of these the ones that were below it before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) found_children: BTreeSet<Id>,
    /// People's asset tag, which was kept when the asset was taken over: it stands in place of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// Whether people once emptied what was noted: of relationships that are not in it, it does not tell whose they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_lost: bool,
}

impl Noted {
    /// The note; an empty one where there is none, and `None` where it cannot be read.
    pub(crate) fn note(self) -> Option<Note> {
        match self {
            Self::Nothing => Some(Note::default()),
            Self::Read(note) => Some(note),
            Self::Unreadable => None,
        }
    }
}

/// Assets by the type of the edges that lead to them.
pub(crate) type Links = BTreeMap<String, BTreeSet<Id>>;

/// Which way an asset is related to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// It is below the other one.
    Below,
    /// It is above it.
    Above,
}

impl Note {
    const fn links(&self, way: Way) -> &Links {
        match way {
            Way::Below => &self.parents,
            Way::Above => &self.children,
        }
    }

    fn parts(&mut self, way: Way) -> (&mut Links, &mut BTreeSet<Id>) {
        match way {
            Way::Below => (&mut self.parents, &mut self.found_parents),
            Way::Above => (&mut self.children, &mut self.found_children),
        }
    }

    /// Whether any edge of ours relates it to this asset.
    pub(crate) fn holds(&self, way: Way, other: Id) -> bool {
        self.links(way).values().any(|others| others.contains(&other))
    }

    /// Whether people had related it to this asset before we did.
    pub(crate) fn is_found(&self, way: Way, other: Id) -> bool {
        match way {
            Way::Below => self.found_parents.contains(&other),
            Way::Above => self.found_children.contains(&other),
        }
    }

    /// Puts an edge in; whether it was not there. `was_found` says that people had related the two before.
    pub(crate) fn put(&mut self, way: Way, relation: &str, other: Id, was_found: bool) -> bool {
        let is_held = self.holds(way, other);
        let (links, found) = self.parts(way);
        if was_found && !is_held {
            found.insert(other);
        }
        links.entry(relation.to_owned()).or_default().insert(other)
    }

    /// Takes an edge out: `None` where it was not there, else whether the relationship goes with it.
    pub(crate) fn take(&mut self, way: Way, relation: &str, other: Id) -> Option<bool> {
        let (links, _) = self.parts(way);
        let others = links.get_mut(relation)?;
        let was_there = others.remove(&other);
        if others.is_empty() {
            links.remove(relation);
        }
        if !was_there {
            return None;
        }
        let is_held = self.holds(way, other);
        let (_, found) = self.parts(way);
        Some(!is_held && !found.remove(&other))
    }

    /// All assets that edges of ours relate it to.
    pub(crate) fn all(&self, way: Way) -> BTreeSet<Id> {
        self.links(way).values().flatten().copied().collect()
    }

    /// The types of the edges that relate it to this asset.
    pub(crate) fn relations(&self, way: Way, other: Id) -> Vec<String> {
        self.links(way).iter().filter(|(_, others)| others.contains(&other)).map(|(relation, _)| relation.clone()).collect()
    }
}

/// What is noted on an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nothing: it was never written, or people emptied it.
    Nothing,
    /// This.
    Read(Note),
    /// What nobody can read: people edited it.
    Unreadable,
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
