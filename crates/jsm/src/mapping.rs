//! The mapping: which object type a kind becomes, with which attributes, and which attributes hold edges.
//!
//! It is data (`mapping.json`); the configuration can put other types and attributes in place of its parts.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Digest, Kind, RelationType};
use dewpoint_core::target::{Adapted, Authority, Ci, Side};
use dewpoint_target_kit::{FieldValue, Override, Sheet, SheetError, Standing};
use serde::Deserialize;
use serde_json::Value;

use crate::shape::{AttributeShape, standing};

/// Part of the mapping's digest: raised when the same data gives other attributes for the same CI.
const VERSION: &str = "jsm mapping 1";

const STANDARD: &str = include_str!("mapping.json");

/// The type that all others are children of: it has the attributes that all have.
pub(crate) const PARENT_TYPE: &str = "Cloud Resource";

/// The attribute with our external id, unique.
pub(crate) const EXTERNAL_ID: &str = "External ID";
/// The attribute with the estate id: records that have one are Dewpoint's.
pub(crate) const ESTATE_ID: &str = "Estate ID";
/// The attribute with the time of our last delivery.
pub(crate) const DELIVERED_AT: &str = "Delivered At";
/// The attribute with what Dewpoint notes for itself ([`crate::object::Data`]).
pub(crate) const DATA: &str = "Dewpoint Data";
/// The attribute that shows where a resource stands.
pub(crate) const LIFECYCLE: &str = "Lifecycle";
/// The attribute with the provider's own id.
pub(crate) const NATIVE_ID: &str = "Native ID";
/// The attribute with the account.
pub(crate) const ACCOUNT_ID: &str = "Account ID";
/// The attribute with the region.
pub(crate) const REGION: &str = "Region";
/// The attribute that is a type's label unless people made another one it.
pub(crate) const NAME: &str = "Name";

/// Attributes that no mapping can fill: those by which records are known and judged as ours, the platform's own, and those that hold edges.
pub const RESERVED: &[&str] = &[
    EXTERNAL_ID,
    ESTATE_ID,
    DELIVERED_AT,
    DATA,
    LIFECYCLE,
    NATIVE_ID,
    "Key",
    "Created",
    "Updated",
    "Located In",
    "Security Groups",
    "Allowed Groups",
    "Member Of",
    "Attached To",
    "Connected To",
    "Routed From",
    "Used By",
];

/// Names of the statuses that tell where a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses {
    /// Of what runs, and of what is there without running or not.
    pub active: String,
    /// Of machines that are stopped.
    pub inactive: String,
    /// Of what has ended.
    pub retired: String,
}

impl Default for Statuses {
    fn default() -> Self {
        Self { active: "Active".to_owned(), inactive: "Inactive".to_owned(), retired: "Retired".to_owned() }
    }
}

impl Statuses {
    /// The name for where a resource stands.
    #[must_use]
    pub fn name(&self, standing: Standing) -> &str {
        match standing {
            Standing::Active => &self.active,
            Standing::Inactive => &self.inactive,
            Standing::Retired => &self.retired,
        }
    }
}

/// The mapping of one target, checked.
#[derive(Debug, Clone)]
pub struct Mapping {
    sheet: Sheet<AttributeShape>,
    edges: Vec<EdgeMapping>,
    statuses: Statuses,
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sheet: Value,
    edges: Vec<WrittenEdge>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEdge {
    relation: String,
    attribute: String,
    on: End,
    /// Kinds whose records hold such edges; all where there are none.
    #[serde(default)]
    of: Vec<String>,
    /// Kinds of the other end; all where there are none.
    #[serde(default)]
    leads_to: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    From,
    To,
}

/// Which attribute holds edges of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EdgeMapping {
    pub(crate) relation: RelationType,
    pub(crate) attribute: String,
    /// The end whose record has it. Where many lead to one, it is that of the many: the platform advises against attributes with more than ten references.
    pub(crate) side: Side,
    kinds: BTreeSet<Kind>,
    leads_to: BTreeSet<Kind>,
}

impl EdgeMapping {
    /// The kind of the records that it refers to, where that is one only.
    pub(crate) fn only_kind(&self) -> Option<Kind> {
        self.leads_to.first().copied().filter(|_| self.leads_to.len() == 1)
    }

    /// Whether records of this kind hold such edges.
    pub(crate) fn is_of(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

impl Mapping {
    /// The standard mapping.
    ///
    /// # Errors
    /// [`SheetError`], which no release should show.
    pub fn standard() -> Result<Self, SheetError> {
        Self::with(&BTreeMap::new(), Statuses::default())
    }

    /// The standard mapping with what the configuration puts in place of its parts.
    ///
    /// # Errors
    /// [`SheetError`], which no release should show.
    pub fn with(overrides: &BTreeMap<Kind, Override<AttributeShape>>, statuses: Statuses) -> Result<Self, SheetError> {
        let flaw = |text: String| SheetError { text };
        let written: Written = serde_json::from_str(STANDARD).map_err(|error| flaw(error.to_string()))?;
        let sheet = Sheet::new(written.sheet, overrides)?;
        let mut edges = Vec::new();
        for edge in written.edges {
            let WrittenEdge { relation, attribute, on, of, leads_to } = edge;
            let unknown = |error: dewpoint_core::model::UnknownWord| flaw(error.to_string());
            let kinds = |words: Vec<String>| words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(unknown);
            let side = if matches!(on, End::From) { Side::From } else { Side::To };
            let relation = relation.parse().map_err(unknown)?;
            edges.push(EdgeMapping { relation, attribute, side, kinds: kinds(of)?, leads_to: kinds(leads_to)? });
        }
        let names = Standing::ALL.map(|standing| statuses.name(standing).to_owned());
        let parts: Vec<String> = [VERSION.to_owned(), STANDARD.to_owned()].into_iter().chain(names).chain(sheet.digest_parts()).collect();
        let digest = Digest::of_parts(parts.iter().map(String::as_bytes));
        Ok(Self { sheet, edges, statuses, digest })
    }

    /// Which attributes kinds have.
    pub(crate) const fn sheet(&self) -> &Sheet<AttributeShape> {
        &self.sheet
    }

    /// Names of statuses.
    pub(crate) const fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Digest of all that decides what a CI becomes.
    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Every name that an attribute has in records of any kind: what an authority can speak of.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.sheet.names()
    }

    /// The attributes that hold the provider's own id in records of a kind: ours, and what the configuration fills with the same. By them strangers' objects are
    /// known, which mostly have an attribute of their own for it.
    pub(crate) fn native_ids(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let is_native = |value: &FieldValue| matches!(value, FieldValue::Expression(value) if value.source().trim() == "ci.native_id");
        self.sheet.fields(kind).filter(move |(_, field)| is_native(&field.value)).map(|(name, _)| name)
    }

    /// Where an edge between two kinds is held; `None` where it is not kept.
    pub(crate) fn edge(&self, relation: RelationType, from: Kind, to: Kind) -> Option<&EdgeMapping> {
        let fits = |edge: &&EdgeMapping| {
            let (holder, other) = if edge.side == Side::From { (from, to) } else { (to, from) };
            edge.relation == relation
                && edge.is_of(holder)
                && (edge.leads_to.is_empty() || edge.leads_to.contains(&other))
                && [holder, other].iter().all(|kind| self.sheet.class(*kind).is_some())
        };
        self.edges.iter().find(fits)
    }

    /// The edges that records of a kind hold.
    pub(crate) fn edges_of(&self, kind: Kind) -> impl Iterator<Item = &EdgeMapping> {
        self.edges.iter().filter(move |edge| edge.is_of(kind))
    }

    /// The edges that records of a type may hold, of whichever kind.
    pub(crate) fn edges_in(&self, class: &str) -> impl Iterator<Item = &EdgeMapping> {
        let kinds: Vec<Kind> = self.sheet.kinds_of(class).collect();
        self.edges.iter().filter(move |edge| kinds.is_empty() || kinds.iter().any(|kind| edge.is_of(*kind)))
    }

    /// The record of a CI. `None` where its kind has no type.
    pub(crate) fn adapt(&self, ci: &Ci, authority: &BTreeMap<String, Authority>) -> Option<Adapted> {
        let mut adapted = self.sheet.adapt(ci, authority)?;
        for (name, field) in &mut adapted.fields {
            let is_lifecycle = self.sheet.field(ci.kind, name).is_some_and(|field| field.shape == AttributeShape::Lifecycle);
            if let Some(standing) = field.value.as_str().filter(|_| is_lifecycle).and_then(standing) {
                field.value = Value::from(self.statuses.name(standing));
            }
        }
        Some(adapted)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dewpoint_core::testing::contract;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_standard_mapping_is_sound_and_about_as_large_as_the_platform_advises() {
        let mapping = Mapping::standard().unwrap();
        for edge in &mapping.edges {
            assert!(RESERVED.contains(&edge.attribute.as_str()), "{}", edge.attribute);
        }
        for kind in Kind::ALL {
            assert!(mapping.sheet().class(*kind).is_some(), "{kind}");
            let edges: BTreeSet<&str> = mapping.edges_of(*kind).map(|edge| edge.attribute.as_str()).collect();
            // Key, Created and Updated are the platform's, four are our own; Name is one of both.
            let attributes = 3 + 4 + mapping.sheet().fields(*kind).count() + edges.len();
            assert!(attributes <= 36 && edges.len() <= 5, "{kind}: {attributes} attributes, {} of them references", edges.len());
        }
    }

    #[test]
    fn a_ci_becomes_an_object() {
        let adapted = Mapping::standard().unwrap().adapt(&contract::ci(1), &BTreeMap::new()).unwrap();
        assert_eq!(adapted.class, "Virtual Machine");
        let values: BTreeMap<&str, &Value> = adapted.fields.iter().map(|(name, field)| (name.as_str(), &field.value)).collect();
        let expected = [
            ("Account ID", "123456789012"),
            ("Lifecycle", "Active"),
            ("Name", "web-1"),
            ("Native ID", "i-0001"),
            ("Owner", "team-a"),
            ("Provider", "aws"),
            ("Region", "eu-west-1"),
            ("Size", "t3.micro"),
            ("State", "running"),
            ("Tags", "env=prod"),
            ("vCPUs", "2"),
        ];
        let expected: BTreeMap<&str, Value> = expected.into_iter().map(|(name, value)| (name, json!(value))).collect();
        assert_eq!(values, expected.iter().map(|(name, value)| (*name, value)).collect());
        assert!(adapted.failed.is_empty());
    }

    #[test]
    fn edges_are_held_by_the_many() {
        let mapping = Mapping::standard().unwrap();
        let held = |relation, from, to| mapping.edge(relation, from, to).map(|edge| (edge.attribute.as_str(), edge.side));
        assert_eq!(held(RelationType::RoutesTo, Kind::Pool, Kind::Instance), Some(("Routed From", Side::To)));
        assert_eq!(held(RelationType::ProtectedBy, Kind::Instance, Kind::SecurityGroup), Some(("Security Groups", Side::From)));
        assert_eq!(held(RelationType::Contains, Kind::ResourceGroup, Kind::Instance), Some(("Located In", Side::To)));
        assert_eq!(held(RelationType::Allows, Kind::Instance, Kind::Instance), None);
    }
}
