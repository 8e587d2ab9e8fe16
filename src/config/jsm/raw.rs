//! Targets of Jira Service Management as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dewpoint_jsm::{AttributeShape, Reference, Statuses};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::leaf::{AssetsAttribute, ObjectTypeName, StatusName};
use crate::config::leaf::{HttpUrl, Leaf, Written};
use crate::config::mapped::{NameOrRef, ValueText};
use crate::config::secret::SecretRef;
use crate::config::servicenow::RawBasic;

/// Which product it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JsmDeployment")]
pub(in crate::config) enum RawDeployment {
    /// Jira Service Management Cloud.
    #[default]
    Cloud,
    /// Jira Service Management Data Center.
    DataCenter,
}

/// As whom a site is asked: exactly one of `basic`, `oauth` and `token`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsmAuth")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1, "x-help" = "for example `{ basic: { username: bot@example.com, password: env:ATLASSIAN_TOKEN } }`"))]
pub(in crate::config) struct RawAuth {
    /// A user's name and API token (Cloud: the mail address) or password with each request.
    #[serde(default)]
    pub(super) basic: Option<RawBasic>,
    /// Tokens of an OAuth application or service account (Cloud).
    #[serde(default)]
    pub(super) oauth: Option<RawOAuth>,
    /// A personal access token (Data Center), as a reference: `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) token: Option<Written<SecretRef>>,
}

/// Tokens of an OAuth application.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsmOAuth", extend("x-help" = "for example `{ client_id: env:ATLASSIAN_ID, client_secret: env:ATLASSIAN_SECRET }`"))]
pub(in crate::config) struct RawOAuth {
    /// Id of the application, or a reference to it: `env:NAME` or `file:PATH`.
    pub(super) client_id: Written<NameOrRef>,
    /// Its secret, as a reference: `env:NAME` or `file:PATH`.
    pub(super) client_secret: Written<SecretRef>,
    /// Where tokens come from, where that is not Atlassian's own address.
    #[serde(default)]
    pub(super) tokens: Option<Written<HttpUrl>>,
}

/// What takes the place of parts of the standard mapping of a kind.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "JsmMapping", extend("x-help" = "for example `{ class: Server }`"))]
pub(in crate::config) struct RawKindMapping {
    /// Object type of the kind's records.
    pub(super) class: Option<Written<ObjectTypeName>>,
    /// Attributes and their values: CEL expressions over `ci`. What is null is not written. `value` with a `type` where the attribute is no text, or with a
    /// `reference` where it holds objects.
    #[schemars(extend("x-key-leaf" = AssetsAttribute::NAME))]
    pub(super) fields: BTreeMap<String, RawField>,
}

/// What is written to an attribute, in the short form or in the long one.
#[derive(Debug)]
pub(in crate::config) struct RawField {
    pub(super) value: Written<ValueText>,
    pub(super) shape: Option<RawShape>,
    pub(super) reference: Option<RawReference>,
}

/// A value, and in which form it is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsmField")]
struct Long {
    /// The value: a CEL expression over `ci`. What is null is not written.
    value: Written<ValueText>,
    /// What the attribute holds; that of the standard attribute of this name, or a text, unless said.
    #[serde(default, rename = "type")]
    shape: Option<RawShape>,
    /// Which objects the value stands for one of.
    #[serde(default)]
    reference: Option<RawReference>,
}

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JsmAttributeType")]
pub(in crate::config) enum RawShape {
    /// A line of at most 255 characters.
    Text,
    /// Lines.
    TextArea,
    /// A whole number of 32 bits.
    Integer,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    DateTime,
    /// A URL by `http` or `https`.
    Url,
    /// A mail address.
    Email,
    /// An IP address.
    IpAddress,
    /// One of the attribute's options.
    Select,
    /// A user, by mail address, name or account id.
    User,
    /// A group, by name.
    Group,
}

impl From<RawShape> for AttributeShape {
    fn from(raw: RawShape) -> Self {
        match raw {
            RawShape::Text => Self::Text,
            RawShape::TextArea => Self::TextArea,
            RawShape::Integer => Self::Integer,
            RawShape::Double => Self::Double,
            RawShape::Boolean => Self::Boolean,
            RawShape::Date => Self::Date,
            RawShape::DateTime => Self::DateTime,
            RawShape::Url => Self::Url,
            RawShape::Email => Self::Email,
            RawShape::IpAddress => Self::IpAddress,
            RawShape::Select => Self::Select,
            RawShape::User => Self::User,
            RawShape::Group => Self::Group,
        }
    }
}

/// Where the object stands that a text means. What no object, or more than one, stands for is left as it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsmReference", extend("x-help" = "for example `{ type: Cost Center, by: [Code] }`"))]
pub(in crate::config) struct RawReference {
    /// The type of the objects.
    #[serde(rename = "type")]
    pub(super) object_type: Written<ObjectTypeName>,
    /// Attributes of theirs to look the text up in; the first that has it decides.
    #[serde(default = "default_by")]
    #[schemars(extend("minItems" = 1, "uniqueItems" = true))]
    pub(super) by: Vec<Written<ObjectTypeName>>,
}

impl From<RawReference> for AttributeShape {
    fn from(RawReference { object_type, by }: RawReference) -> Self {
        Self::Object(Reference { object_type: object_type.0.0, by: by.into_iter().map(|attribute| attribute.0.0).collect() })
    }
}

fn default_by() -> Vec<Written<ObjectTypeName>> {
    vec![Written(ObjectTypeName("Name".to_owned()))]
}

impl Serialize for RawField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.shape, &self.reference) {
            (None, None) => self.value.serialize(serializer),
            (shape, reference) => json!({ "value": self.value, "type": shape, "reference": reference }).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let long = match written.is_string() {
            true => serde_json::from_value(written).map(|value| Long { value, shape: None, reference: None }),
            false => serde_json::from_value(written),
        };
        long.map(|Long { value, shape, reference }| Self { value, shape, reference }).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RawField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "JsmAttribute".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Written<ValueText>>(), generator.subschema_for::<Long>());
        json_schema!({
            "anyOf": [short, long],
            "x-expected": ValueText::EXPECTED,
            "x-help": "write `ci.name`, `{ value: ci.vcpus, type: integer }`, or `{ value: ci.cost_center, reference: { type: Cost Center, by: [Code] } }`",
        })
    }
}

/// Names of the statuses that tell where a resource stands.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "JsmStatuses", extend("x-help" = "for example `{ active: In Use, retired: Disposed }`"))]
pub(in crate::config) struct RawStatuses {
    /// Of what runs, and of what is there without running or not: `Active`.
    pub(super) active: Option<Written<StatusName>>,
    /// Of machines that are stopped: `Inactive`.
    pub(super) inactive: Option<Written<StatusName>>,
    /// Of what has ended: `Retired`. No other may have it.
    pub(super) retired: Option<Written<StatusName>>,
}

impl RawStatuses {
    /// The usual names with what takes their place.
    pub(super) fn meant(&self) -> Statuses {
        let usual = Statuses::default();
        let name = |own: &Option<Written<StatusName>>, usual: String| own.as_ref().map_or(usual, |name| name.0.0.clone());
        Statuses {
            active: name(&self.active, usual.active),
            inactive: name(&self.inactive, usual.inactive),
            retired: name(&self.retired, usual.retired),
        }
    }
}

/// An external import source of the schema, which makes many new objects at once (Cloud).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsmImport", extend("x-help" = "for example `{ token: env:ASSETS_IMPORT_TOKEN, keeps_missing: true }`"))]
pub(in crate::config) struct RawImport {
    /// Token of the import source, as a reference: `env:NAME` or `file:PATH`.
    pub(super) token: Written<SecretRef>,
    /// So many new objects at once, and more, are made by an import.
    #[serde(default = "default_from")]
    #[schemars(range(min = 25, max = 2000))]
    pub(super) from: NonZeroU32,
    /// `true`, once the import source is set to ignore missing objects, which no interface tells. Set to remove them, each import would delete all other objects
    /// of its types.
    pub(super) keeps_missing: bool,
}

fn default_from() -> NonZeroU32 {
    NonZeroU32::new(dewpoint_jsm::IMPORT_FROM_DEFAULT).unwrap_or(NonZeroU32::MIN)
}

/// How fast a site is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "JsmRate", extend("x-help" = "for example `{ requests_per_second: 8 }`"))]
pub(in crate::config) struct RawRequestRate {
    /// Requests a second; as many may be made at once.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) requests_per_second: NonZeroU32,
}

impl Default for RawRequestRate {
    fn default() -> Self {
        Self { requests_per_second: NonZeroU32::new(dewpoint_jsm::REQUESTS_PER_SECOND_DEFAULT).unwrap_or(NonZeroU32::MIN) }
    }
}
