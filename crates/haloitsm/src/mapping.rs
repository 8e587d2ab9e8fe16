//! The mapping: which asset type a kind becomes, with which fields, and which end of an edge is upstream.
//!
//! It is data (`mapping.json`); the configuration can put other types and fields in place of its parts.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Digest, Kind, RelationType, UnknownWord};
use dewpoint_core::target::{Adapted, Authority, Ci, Side};
use dewpoint_target_kit::{Override, Sheet, SheetError, Standing};
use serde::Deserialize;
use serde_json::Value;

use crate::resolver::Owner;
use crate::shape::{FieldShape, standing};
use crate::tag::folded;

/// Part of the mapping's digest: raised when the same data gives other fields for the same CI.
const VERSION: &str = "haloitsm mapping 1";

const STANDARD: &str = include_str!("mapping.json");

/// The group of our asset types.
pub(crate) const GROUP: &str = "Cloud";

/// The field with our external id: the tag is made of it, and shorter.
pub(crate) const KEY: &str = "Dewpoint Key";
/// The field with the estate id: records that have one are Dewpoint's.
pub(crate) const ESTATE: &str = "Dewpoint Estate";
/// The field with the time of our last delivery.
pub(crate) const DELIVERED_AT: &str = "Dewpoint Delivered At";
/// The field with what Dewpoint notes for itself ([`crate::asset::Note`]).
pub(crate) const DATA: &str = "Dewpoint Data";
/// Those of all types that are ours alone.
pub(crate) const MARKS: [&str; 4] = [KEY, ESTATE, DELIVERED_AT, DATA];
/// What is no field of its own: the asset's status.
pub(crate) const STATUS: &str = "Status";
/// The field with the provider's own id.
pub(crate) const NATIVE_ID: &str = "Native ID";
/// The field with the account.
pub(crate) const ACCOUNT_ID: &str = "Account ID";
/// The field with the region.
pub(crate) const REGION: &str = "Region";
/// The field that people know an asset by.
pub(crate) const NAME: &str = "Name";
/// Our types' key fields, which lists show and searches go through. A third one, such as the account, would have searches find all that it is the same of.
pub(crate) const KEY_FIELDS: [&str; 2] = [NAME, NATIVE_ID];

/// Fields that no mapping can fill: those by which records are known and judged as ours, and the names of what every asset has without a field of its own.
pub const RESERVED: &[&str] = &[
    KEY,
    ESTATE,
    DELIVERED_AT,
    DATA,
    STATUS,
    NATIVE_ID,
    "Asset Tag",
    "Asset Type",
    "Asset Group",
    "Client",
    "Inactive",
    "Inventory Number",
    "Notes",
    "Site",
];

/// The [reserved](RESERVED) name that a name is to HaloITSM, which tells names apart neither by case nor by blanks around them.
#[must_use]
pub fn reserved(name: &str) -> Option<&'static str> {
    RESERVED.iter().find(|own| folded(own) == folded(name)).copied()
}

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
    sheet: Sheet<FieldShape>,
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
    upstream: End,
    names: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    From,
    To,
}

/// How edges of a type stand in HaloITSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EdgeMapping {
    pub(crate) relation: RelationType,
    /// The end that is the parent: what stands behind it stops when it stops. The other end is the child, and holds the edge: a child has few parents, a parent may
    /// have thousands of children, and what we note of them has to fit into a field.
    pub(crate) upstream: Side,
    /// How such a relationship may be called, from the parent to the child, the best first.
    pub(crate) names: Vec<String>,
}

impl EdgeMapping {
    /// The child's side.
    pub(crate) const fn downstream(&self) -> Side {
        match self.upstream {
            Side::From => Side::To,
            Side::To => Side::From,
        }
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
    /// [`SheetError`], where two names would be one field to HaloITSM.
    pub fn with(overrides: &BTreeMap<Kind, Override<FieldShape>>, statuses: Statuses) -> Result<Self, SheetError> {
        let flaw = |text: String| SheetError { text };
        let written: Written = serde_json::from_str(STANDARD).map_err(|error| flaw(error.to_string()))?;
        for name in overrides.values().flat_map(|own| own.fields.keys()) {
            if let Some(reserved) = reserved(name) {
                return Err(flaw(format!("field `{name}` cannot be mapped: `{reserved}` is filled by Dewpoint, or is no field")));
            }
        }
        let sheet = Sheet::new(written.sheet, overrides)?;
        // HaloITSM tells names of fields apart neither by case nor by blanks: of two such fields each would undo the other.
        for (kind, _) in sheet.classes() {
            let mut names: BTreeMap<String, &str> = BTreeMap::new();
            for (name, _) in sheet.fields(kind) {
                if let Some(other) = names.insert(folded(name), name) {
                    return Err(flaw(format!("fields `{other}` and `{name}` of {kind} are one to HaloITSM")));
                }
            }
            for owner in Owner::ALL {
                let mut owners = sheet.fields(kind).filter(|(_, field)| field.shape.owner() == Some(owner)).map(|(name, _)| name);
                if let (Some(one), Some(other)) = (owners.next(), owners.next()) {
                    return Err(flaw(format!("fields `{one}` and `{other}` of {kind} are both `{}`", owner.member())));
                }
            }
        }
        let mut edges = Vec::new();
        for WrittenEdge { relation, upstream, names } in written.edges {
            let relation = relation.parse().map_err(|error: UnknownWord| flaw(error.to_string()))?;
            let upstream = if matches!(upstream, End::From) { Side::From } else { Side::To };
            edges.push(EdgeMapping { relation, upstream, names });
        }
        let names = Standing::ALL.map(|standing| statuses.name(standing).to_owned());
        let parts: Vec<String> = [VERSION.to_owned(), STANDARD.to_owned()].into_iter().chain(names).chain(sheet.digest_parts()).collect();
        let digest = Digest::of_parts(parts.iter().map(String::as_bytes));
        Ok(Self { sheet, edges, statuses, digest })
    }

    /// Which fields kinds have.
    pub(crate) const fn sheet(&self) -> &Sheet<FieldShape> {
        &self.sheet
    }

    /// Which of an asset's own owners are filled.
    pub(crate) fn owners(&self) -> BTreeSet<Owner> {
        let of_kind = |(kind, _): (Kind, &str)| self.sheet.fields(kind).filter_map(|(_, field)| field.shape.owner()).collect::<Vec<_>>();
        self.sheet.classes().flat_map(of_kind).collect()
    }

    /// Names of statuses.
    pub(crate) const fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Digest of all that decides what a CI becomes.
    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Every name that a field has in records of any kind: what an authority can speak of.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.sheet.names()
    }

    /// The asset types that kinds become.
    pub(crate) fn classes(&self) -> BTreeSet<&str> {
        self.sheet.classes().map(|(_, class)| class).collect()
    }

    /// The kinds whose records are of a type.
    pub(crate) fn kinds_of(&self, class: &str) -> Vec<Kind> {
        let is_it = |(_, name): &(Kind, &str)| folded(name) == folded(class);
        self.sheet.classes().filter(is_it).map(|(kind, _)| kind).collect()
    }

    /// How an edge between two kinds stands there; `None` where it is not kept.
    pub(crate) fn edge(&self, relation: RelationType, from: Kind, to: Kind) -> Option<&EdgeMapping> {
        let has_classes = [from, to].into_iter().all(|kind| self.sheet.class(kind).is_some());
        self.edges.iter().find(|edge| edge.relation == relation && has_classes)
    }

    /// All types of edges.
    pub(crate) fn edges(&self) -> &[EdgeMapping] {
        &self.edges
    }

    /// The record of a CI. `None` where its kind has no type.
    pub(crate) fn adapt(&self, ci: &Ci, authority: &BTreeMap<String, Authority>) -> Option<Adapted> {
        let mut adapted = self.sheet.adapt(ci, authority)?;
        if let Some(field) = adapted.fields.get_mut(STATUS)
            && let Some(standing) = field.value.as_str().and_then(standing)
        {
            field.value = Value::from(self.statuses.name(standing));
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
    fn the_standard_mapping_is_sound() {
        let mapping = Mapping::standard().unwrap();
        for kind in Kind::ALL {
            assert!(mapping.sheet().class(*kind).is_some(), "{kind}");
            for name in KEY_FIELDS {
                assert!(mapping.sheet().field(*kind, name).is_some(), "{kind}: {name}");
            }
            assert_eq!(mapping.sheet().field(*kind, STATUS).unwrap().shape, FieldShape::Status);
        }
        for relation in RelationType::ALL {
            assert!(mapping.edge(*relation, Kind::Instance, Kind::Instance).is_some(), "{relation}");
        }
        assert!(MARKS.iter().all(|mark| !mapping.names().contains(mark)));
    }

    #[test]
    fn names_that_are_one_to_halo_are_refused() {
        let own = |name: &str| {
            let value = dewpoint_target_kit::value_of(Kind::Instance, "ci.size").unwrap();
            let fields = BTreeMap::from([(name.to_owned(), dewpoint_target_kit::OwnField { value, shape: None })]);
            let overrides = BTreeMap::from([(Kind::Instance, Override { class: None, fields })]);
            Mapping::with(&overrides, Statuses::default()).map(drop).map_err(|error| error.text)
        };
        own("Size").unwrap();
        own("Shape").unwrap();
        for (name, words) in [
            ("SIZE", "`SIZE` and `Size`"),
            (" size ", "one to HaloITSM"),
            ("dewpoint data", "`Dewpoint Data`"),
            ("native id ", "`Native ID`"),
            ("asset tag", "no field"),
            ("Site", "no field"),
        ] {
            assert!(own(name).unwrap_err().contains(words), "{name}: {:?}", own(name));
        }
        assert_eq!([reserved("STATUS"), reserved("State")], [Some(STATUS), None]);
        let owner = || dewpoint_target_kit::OwnField {
            value: dewpoint_target_kit::value_of(Kind::Instance, "ci.owner").unwrap(),
            shape: Some(FieldShape::TechnicalOwner),
        };
        let fields = BTreeMap::from([("Owner".to_owned(), owner()), ("Keeper".to_owned(), owner())]);
        let twice = Mapping::with(&BTreeMap::from([(Kind::Instance, Override { class: None, fields })]), Statuses::default());
        assert!(twice.unwrap_err().text.contains("both `technical_owner_id`"));
    }

    #[test]
    fn a_ci_becomes_an_asset() {
        let adapted = Mapping::standard().unwrap().adapt(&contract::ci(1), &BTreeMap::new()).unwrap();
        assert_eq!(adapted.class, "Virtual Machine");
        let values: BTreeMap<&str, &Value> = adapted.fields.iter().map(|(name, field)| (name.as_str(), &field.value)).collect();
        let expected = [
            ("Account ID", "123456789012"),
            ("Cloud Owner", "team-a"),
            ("Name", "web-1"),
            ("Native ID", "i-0001"),
            ("Provider", "aws"),
            ("Region", "eu-west-1"),
            ("Size", "t3.micro"),
            ("State", "running"),
            ("Status", "Active"),
            ("Tags", "env=prod"),
            ("vCPUs", "2"),
        ];
        let expected: BTreeMap<&str, Value> = expected.into_iter().map(|(name, value)| (name, json!(value))).collect();
        assert_eq!(values, expected.iter().map(|(name, value)| (*name, value)).collect());
        assert!(adapted.failed.is_empty());
    }
}
