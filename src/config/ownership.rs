//! Which tags tell of ownership: as written, and as meant. The comments of the raw types are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use dewpoint_core::ownership::{Fact, FactTags, Ownership};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::diagnostic::{Report, quote};
use super::leaf::{Leaf, Problem, TagName, Written};
use super::tree::{Entry, Node, Value};

/// Which tags say who owns a resource and what it belongs to: each fact a list of tags, or `tags` and what their `values` mean.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Ownership")]
pub(super) struct RawOwnership {
    /// Tags that name the owner.
    owner: RawFact<Owner>,
    /// Tags that name the group to call.
    support_group: RawFact<SupportGroup>,
    /// Tags that name the cost centre.
    cost_center: RawFact<CostCenter>,
    /// Tags that name the environment.
    environment: RawFact<Environment>,
    /// Tags that name the application service.
    service: RawFact<Service>,
}

/// A fact, as a type: what a fact leaves out is taken from its own defaults.
trait Of {
    const FACT: Fact;
}

macro_rules! facts {
    ($($name:ident)+) => {$(
        #[derive(Debug)]
        struct $name;

        impl Of for $name {
            const FACT: Fact = Fact::$name;
        }
    )+};
}

facts!(Owner SupportGroup CostCenter Environment Service);

/// The tags that tell a fact, in the short form or in the long one.
#[derive(Debug)]
struct RawFact<F> {
    tags: Vec<Written<TagName>>,
    values: BTreeMap<String, Written<Meaning>>,
    fact: PhantomData<F>,
}

/// Tags that tell a fact, and what their values mean.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TagsAndValues")]
struct Long {
    /// Names of tags. Without it the usual ones.
    tags: Option<Vec<Written<TagName>>>,
    /// Values of the tag, without regard to case, and what each means. A value that is not here is taken as it is.
    #[schemars(example = BTreeMap::from([("prod", "production")]))]
    values: BTreeMap<String, Written<Meaning>>,
}

impl<F: Of> Default for RawFact<F> {
    fn default() -> Self {
        Long::default().into()
    }
}

impl<F: Of> From<Long> for RawFact<F> {
    fn from(Long { tags, values }: Long) -> Self {
        let usual = || F::FACT.usual_tags().iter().map(|name| Written(TagName((*name).to_owned()))).collect();
        Self { tags: tags.unwrap_or_else(usual), values, fact: PhantomData }
    }
}

impl<F> Serialize for RawFact<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.values.is_empty() {
            true => self.tags.serialize(serializer),
            false => json!({ "tags": self.tags, "values": self.values }).serialize(serializer),
        }
    }
}

impl<'de, F: Of> Deserialize<'de> for RawFact<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Json::deserialize(deserializer)?;
        let long = match written.is_array() {
            true => serde_json::from_value(written).map(|tags| Long { tags: Some(tags), ..Long::default() }),
            false => serde_json::from_value(written),
        };
        long.map(Self::from).map_err(serde::de::Error::custom)
    }
}

impl<F> JsonSchema for RawFact<F> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Vec<Written<TagName>>>(), generator.subschema_for::<Long>());
        json_schema!({
            "anyOf": [short, long],
            "x-expected": "a list of tags, or a mapping with `tags` and `values`",
            "x-help": "write `[owner]`, or `{ tags: [owner], values: { ann: ann@example.com } }`",
        })
    }
}

/// What a tag's value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning(String);

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Leaf for Meaning {
    const NAME: &'static str = "meaning";
    const EXPECTED: &'static str = "what the value means, such as `production`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        match text.trim() {
            "" => {
                Err(Problem::new("the meaning of a value is empty").help("write what it means, such as `production`, or remove the line"))
            }
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl<F> From<RawFact<F>> for FactTags {
    fn from(RawFact { tags, values, fact: _ }: RawFact<F>) -> Self {
        Self {
            tags: tags.into_iter().map(|tag| tag.0.0).collect(),
            values: values.into_iter().map(|(value, meaning)| (value, meaning.0.0)).collect(),
        }
    }
}

impl From<RawOwnership> for Ownership {
    fn from(raw: RawOwnership) -> Self {
        let RawOwnership { owner, support_group, cost_center, environment, service } = raw;
        Self {
            owner: owner.into(),
            support_group: support_group.into(),
            cost_center: cost_center.into(),
            environment: environment.into(),
            service: service.into(),
        }
    }
}

/// Checks what no schema can say: values are compared without regard to case, so that two spellings of one cannot mean two things.
pub(super) fn cross_check(root: &Node, report: &mut Report) {
    for fact in Fact::ALL {
        let values = root.get("ownership").and_then(|ownership| ownership.get(fact.as_str())?.get("values"));
        let Some(Value::Map(entries)) = values.map(|values| &values.value) else { continue };
        let mut seen: BTreeMap<String, &Entry> = BTreeMap::new();
        for entry in entries {
            let folded = entry.key.trim().to_lowercase();
            let path = format!("`ownership.{fact}.values`");
            if folded.is_empty() {
                let error = report.error(entry.key_span, format!("{path}: a value is empty, and an empty tag counts as none"));
                error.help("remove the line");
            } else if let Some(first) = seen.get(&folded) {
                if first.node.text().map(str::trim) != entry.node.text().map(str::trim) {
                    let text = format!("{path}: {} and {} are one value, since case does not count", quote(&first.key), quote(&entry.key));
                    let error = report.error(entry.key_span, text);
                    error.again(first.key_span).help("remove one of the two: they mean different things");
                }
            } else {
                seen.insert(folded, entry);
            }
        }
    }
}
