//! Objects as Assets shows them.
//!
//! Source: Assets REST API, "Object" (`ObjectEntryBean`); Data Center's has numbers where Cloud's has texts.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Kind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An id, which Cloud writes as a text and Data Center as a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!("expected an id, found {other}"))),
        }
    }
}

/// An object.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Object {
    pub(crate) id: Id,
    #[serde(rename = "objectType")]
    pub(crate) object_type: TypeOf,
    /// Attributes without values are not there. What was just made is shown without any.
    #[serde(default)]
    attributes: Vec<Attribute>,
}

/// The type of an object.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TypeOf {
    pub(crate) id: Id,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    object_type_attribute_id: Id,
    #[serde(default)]
    object_attribute_values: Vec<ShownValue>,
}

/// A value as an object shows it: in `value` only where it is plain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawValue")]
pub(crate) struct ShownValue {
    pub(crate) value: Option<String>,
    pub(crate) status: Option<Status>,
    /// Id of the object that is referred to.
    pub(crate) referenced: Option<String>,
    /// Account of a user.
    pub(crate) account: Option<String>,
    /// Name of a group.
    pub(crate) group: Option<String>,
}

/// A status as a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Status {
    pub(crate) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawValue {
    value: Option<Value>,
    search_value: Option<Value>,
    status: Option<Status>,
    referenced_object: Option<Referenced>,
    user: Option<User>,
    group: Option<Group>,
}

#[derive(Deserialize)]
struct Referenced {
    id: Id,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    account_id: Option<String>,
    key: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    name: Option<String>,
}

impl From<RawValue> for ShownValue {
    fn from(raw: RawValue) -> Self {
        let RawValue { value, search_value, status, referenced_object, user, group } = raw;
        let searched = search_value.and_then(plain);
        Self {
            value: value.and_then(plain),
            status,
            referenced: referenced_object.map(|object| object.id.0),
            account: user.and_then(|user| user.account_id.or(user.key).or(user.name).or_else(|| searched.clone())),
            group: group.and_then(|group| group.name.or(searched)),
        }
    }
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Object {
    /// Whether it is shown with its attributes: some answers lack them.
    pub(crate) fn has_attributes(&self) -> bool {
        !self.attributes.is_empty()
    }

    /// What stands in an attribute.
    pub(crate) fn values(&self, attribute: &str) -> &[ShownValue] {
        let found = self.attributes.iter().find(|own| own.object_type_attribute_id.0 == attribute);
        found.map_or(&[], |own| own.object_attribute_values.as_slice())
    }

    /// The plain text that stands in an attribute.
    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        self.values(attribute).first()?.value.as_deref()
    }

    /// Ids of the objects that an attribute refers to.
    pub(crate) fn references(&self, attribute: &str) -> BTreeSet<String> {
        self.values(attribute).iter().filter_map(|value| value.referenced.clone()).collect()
    }
}

/// What Dewpoint notes on an object for itself, as JSON in one attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    /// The whole key, where the external id holds a digest in place of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Kind of the resource: one type may be that of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// The objects that we related it to, by the edges' type: others in the same attributes are people's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) edges: BTreeMap<String, BTreeSet<String>>,
    /// Of these the ones that people had related it to before: their references stay when our edge goes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) found: BTreeMap<String, BTreeSet<String>>,
}

impl Data {
    /// Whether we related the object to this one, as an edge of this type.
    pub(crate) fn notes(&self, relation: &str, other: &str) -> bool {
        self.edges.get(relation).is_some_and(|others| others.contains(other))
    }

    /// Whether people had related it before we did.
    pub(crate) fn is_found(&self, relation: &str, other: &str) -> bool {
        self.found.get(relation).is_some_and(|others| others.contains(other))
    }
}
