//! The mapping: which class a kind becomes, with which fields, beside what it is identified, and which relationship types edges become.
//!
//! It is data (`mapping.json`); the configuration can put other classes, fields and types in its place, in the same language.
//!
//! Sources of the classes, columns and types: ServiceNow, "Discovery and Service Mapping Patterns" and "Service Graph Connector for AWS" and "for Microsoft
//! Azure" (resource types).

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::estate::Stage;
use dewpoint_core::expression::{EvaluationError, Expression, Mistake, Subject, Vocabulary, Wanted};
use dewpoint_core::model::{Digest, Kind, Provider, RelationType};
use dewpoint_core::target::{Adapted, Attached, Authority, Ci, DesiredField, HostEdge};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::keys::object_id;
use crate::references::{Reference, WellKnown};
use crate::status::Statuses;

/// Part of the mapping's digest: raised when the same data gives other fields for the same CI.
const VERSION: &str = "servicenow mapping 1";

const STANDARD: &str = include_str!("mapping.json");

/// Columns that no mapping can fill: the engine's own, and those by which records are known and judged as ours.
pub const RESERVED: &[&str] = &["discovery_source", "last_discovered", "object_id", "sys_class_name", "sys_id", TAGS];

/// The field that stands for a CI's tags: rows of `cmdb_key_value` and no column.
pub(crate) const TAGS: &str = "tags";

/// The mapping of one target, checked.
#[derive(Debug, Clone)]
pub struct Mapping {
    kinds: BTreeMap<Kind, KindMapping>,
    relations: Vec<RelationMapping>,
    statuses: Statuses,
    /// Every class with its kind.
    classes: BTreeMap<String, Kind>,
    /// Columns that the configuration fills and the standard mapping does not.
    own: BTreeSet<(Kind, String)>,
    digest: Digest,
}

/// One kind.
#[derive(Debug, Clone)]
struct KindMapping {
    class: ClassName,
    beside: Option<Beside>,
    host: HostRelation,
    fields: BTreeMap<String, Field>,
}

/// A class, or one for each provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ClassName {
    Same(String),
    ByProvider { aws: String, azure: String },
}

/// What a record is identified beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Beside {
    /// The record of its account.
    Account,
    /// That of its region.
    Datacenter,
    /// That of the network that it lies in.
    Network,
    /// That of a balancer that routes to it.
    LoadBalancer,
}

/// The relationship by which a record hangs on what it is identified beside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostRelation {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) parent: HostParent,
}

/// Which end of a [`HostRelation`] is the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HostParent {
    /// What it is identified beside.
    Host,
    /// The record itself.
    Guest,
}

impl Default for HostRelation {
    fn default() -> Self {
        Self { kind: "Hosted on::Hosts".to_owned(), parent: HostParent::Guest }
    }
}

/// One field.
#[derive(Debug, Clone)]
struct Field {
    value: FieldValue,
    authority: Authority,
    volatile: bool,
    identifying: bool,
    reference: Option<Reference>,
}

impl Field {
    fn status(column: &str) -> Self {
        Self {
            value: FieldValue::Status,
            authority: Authority::Transition,
            volatile: false,
            identifying: false,
            reference: Statuses::reference(column),
        }
    }
}

#[derive(Debug, Clone)]
enum FieldValue {
    Expression(Box<Expression>),
    ObjectId,
    /// How much of it is attached.
    Attached(fn(&Attached) -> Option<u64>),
    /// What the column holds where the resource stands.
    Status,
}

/// Which relationship type an edge becomes. The first that fits decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RelationMapping {
    relation: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
    parent: EdgeParent,
    /// A column of the record where the edge starts that holds the id of the one where it ends.
    column: Option<String>,
}

/// Which end of an edge is the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EdgeParent {
    /// Where it starts.
    From,
    /// Where it ends.
    To,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMapping {
    every: BTreeMap<String, RawField>,
    references: Vec<WellKnown>,
    kinds: BTreeMap<String, RawKind>,
    relations: Vec<RelationMapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKind {
    class: ClassName,
    beside: Option<Beside>,
    #[serde(default)]
    host: HostRelation,
    fields: BTreeMap<String, RawField>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    value: Option<String>,
    built_in: Option<BuiltIn>,
    #[serde(default)]
    authority: RawAuthority,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    identifying: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BuiltIn {
    ObjectId,
    InterfaceCount,
    VolumeCount,
    VolumeGib,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAuthority {
    #[default]
    Owned,
    Initial,
    IfEmpty,
    Report,
    Transition,
}

impl From<RawAuthority> for Authority {
    fn from(authority: RawAuthority) -> Self {
        match authority {
            RawAuthority::Owned => Self::Owned,
            RawAuthority::Initial => Self::Initial,
            RawAuthority::IfEmpty => Self::IfEmpty,
            RawAuthority::Report => Self::Report,
            RawAuthority::Transition => Self::Transition,
        }
    }
}

/// What the configuration puts in place of the standard mapping of one kind.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// Another class.
    pub class: Option<String>,
    /// Columns and what is written to them.
    pub fields: BTreeMap<String, OwnField>,
}

/// What is written to a column in place of what the standard mapping writes there.
#[derive(Debug, Clone)]
pub struct OwnField {
    /// The value ([`value_of`]).
    pub value: Expression,
    /// How its text becomes the id of a row of another table; without it as is known of the column itself (`references` in `mapping.json`).
    pub reference: Option<Reference>,
}

impl From<Expression> for OwnField {
    fn from(value: Expression) -> Self {
        Self { value, reference: None }
    }
}

/// Two of the same text do the same.
impl PartialEq for Override {
    fn eq(&self, other: &Self) -> bool {
        let texts = |own: &Self| -> Vec<(String, String, Option<Reference>)> {
            let fields = own.fields.iter();
            fields.map(|(name, field)| (name.clone(), field.value.source().to_owned(), field.reference.clone())).collect()
        };
        self.class == other.class && texts(self) == texts(other)
    }
}

impl Eq for Override {}

/// The value of a column of a kind's records, from its text.
///
/// # Errors
/// All mistakes in it.
pub fn value_of(kind: Kind, source: &str) -> Result<Expression, Vec<Mistake>> {
    Expression::compile(source, &Vocabulary::records_of(kind), Wanted::Value)
}

/// The standard mapping does not have its own form. A defect of the program.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the standard mapping cannot be read: {text}")]
pub struct MappingError {
    /// What is wrong.
    text: String,
}

/// A field whose expression failed on a CI.
#[derive(Debug, Clone)]
pub(crate) struct FieldFailure {
    pub(crate) field: String,
    pub(crate) error: EvaluationError,
}

/// The relationship that an edge becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EdgeForm<'a> {
    /// Name of the relationship type.
    pub(crate) kind: &'a str,
    pub(crate) parent: EdgeParent,
    /// A column of the record where the edge starts that holds the id of the one where it ends.
    pub(crate) column: Option<&'a str>,
}

impl Mapping {
    /// The standard mapping.
    ///
    /// # Errors
    /// [`MappingError`], which no release should show.
    pub fn standard() -> Result<Self, MappingError> {
        Self::with(&BTreeMap::new(), &BTreeMap::new(), &Statuses::default())
    }

    /// The standard mapping with what the configuration puts in place of its parts: by kind, relationship types by edge type, and statuses.
    ///
    /// # Errors
    /// [`MappingError`], which no release should show.
    pub fn with(
        overrides: &BTreeMap<Kind, Override>,
        types: &BTreeMap<RelationType, String>,
        statuses: &Statuses,
    ) -> Result<Self, MappingError> {
        let standard = |text: String| MappingError { text };
        let raw: RawMapping = serde_json::from_str(STANDARD).map_err(|error| standard(error.to_string()))?;
        let well_known = WellKnown::by_column(&raw.references);
        let (mut kinds, mut own_columns) = (BTreeMap::new(), BTreeSet::new());
        for (word, kind_mapping) in raw.kinds {
            let kind: Kind = word.parse().map_err(|error: dewpoint_core::model::UnknownWord| standard(error.to_string()))?;
            let mut fields: BTreeMap<String, Field> = statuses.columns().map(|column| (column.to_owned(), Field::status(column))).collect();
            let own = overrides.get(&kind);
            for (name, field) in raw.every.iter().map(|(name, field)| (name.clone(), field.clone())).chain(kind_mapping.fields) {
                let checked = check(kind, &name, &field, well_known.get(&name))?;
                fields.insert(name, checked);
            }
            for (name, OwnField { value, reference }) in own.iter().flat_map(|own| &own.fields) {
                let before = fields.remove(name);
                if before.is_none() {
                    own_columns.insert((kind, name.clone()));
                }
                let field = Field {
                    value: FieldValue::Expression(Box::new(value.clone())),
                    authority: before.as_ref().map_or(Authority::Owned, |field| field.authority),
                    volatile: before.as_ref().is_some_and(|field| field.volatile),
                    identifying: before.as_ref().is_some_and(|field| field.identifying),
                    reference: reference.as_ref().or_else(|| well_known.get(name)).cloned(),
                };
                fields.insert(name.clone(), field);
            }
            let class = own.and_then(|own| own.class.clone()).map_or(kind_mapping.class, ClassName::Same);
            kinds.insert(kind, KindMapping { class, beside: kind_mapping.beside, host: kind_mapping.host, fields });
        }
        let mut relations = raw.relations;
        for (relation, kind) in types {
            // What records are identified by stays: a pool hangs on its balancer.
            let is_free = |mapping: &&mut RelationMapping| mapping.parent == EdgeParent::From;
            for mapping in relations.iter_mut().filter(|mapping| mapping.relation == relation.as_str()).filter(is_free) {
                mapping.kind.clone_from(kind);
            }
        }
        let parts: Vec<String> = overrides
            .iter()
            .flat_map(|(kind, own)| {
                let class = own.class.iter().map(move |class| format!("{kind} {class}"));
                let field = move |(name, field): (&String, &OwnField)| {
                    let reference = field.reference.as_ref().map(|reference| format!(" {reference}")).unwrap_or_default();
                    format!("{kind} {name} {}{reference}", field.value.source())
                };
                class.chain(own.fields.iter().map(field))
            })
            .chain(types.iter().map(|(relation, kind)| format!("{relation} {kind}")))
            .chain(statuses.parts())
            .collect();
        let digest = Digest::of_parts([VERSION, STANDARD].into_iter().chain(parts.iter().map(String::as_str)).map(str::as_bytes));
        let mut classes = BTreeMap::new();
        for (kind, mapping) in &kinds {
            let names = match &mapping.class {
                ClassName::Same(class) => vec![class],
                ClassName::ByProvider { aws, azure } => vec![aws, azure],
            };
            classes.extend(names.into_iter().map(|class| (class.clone(), *kind)));
        }
        Ok(Self { kinds, relations, statuses: statuses.clone(), classes, own: own_columns, digest })
    }

    /// What status columns hold by where a resource stands.
    pub(crate) const fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Digest of all that decides what a CI becomes.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The class of a kind; `None` where it has none.
    pub(crate) fn class(&self, kind: Kind, provider: Provider) -> Option<&str> {
        Some(match &self.kinds.get(&kind)?.class {
            ClassName::Same(class) => class,
            ClassName::ByProvider { azure, .. } if provider == Provider::Azure => azure,
            ClassName::ByProvider { aws, .. } => aws,
        })
    }

    /// Every class with its kind.
    pub(crate) const fn classes(&self) -> &BTreeMap<String, Kind> {
        &self.classes
    }

    /// The kind whose records are of a class.
    pub(crate) fn kind_of(&self, class: &str) -> Option<Kind> {
        self.classes.get(class).copied()
    }

    /// Every name that a field has in records of any kind: what an authority can speak of.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        let columns = self.kinds.values().flat_map(|mapping| mapping.fields.keys()).map(String::as_str);
        columns.chain([TAGS]).collect()
    }

    /// The columns that a kind's records are written to, in order.
    pub(crate) fn columns(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.kinds.get(&kind).into_iter().flat_map(|mapping| mapping.fields.keys()).map(String::as_str)
    }

    /// The columns that records of a class are written to. One that no kind has by now may hold records of any: classes are changed, records stay.
    pub(crate) fn columns_of(&self, class: &str) -> BTreeSet<&str> {
        match self.kind_of(class) {
            Some(kind) => self.columns(kind).collect(),
            None => self.kinds.keys().flat_map(|kind| self.columns(*kind)).collect(),
        }
    }

    /// Columns of a kind's records whose texts become ids, and how.
    pub(crate) fn references(&self, kind: Kind) -> impl Iterator<Item = (&str, &Reference)> {
        let fields = self.kinds.get(&kind).into_iter().flat_map(|mapping| &mapping.fields);
        fields.filter_map(|(name, field)| Some((name.as_str(), field.reference.as_ref()?)))
    }

    /// Whether a column of a kind's records is one that only the configuration fills: what it is, only the instance can say.
    pub(crate) fn is_own(&self, kind: Kind, column: &str) -> bool {
        self.own.contains(&(kind, column.to_owned()))
    }

    /// How a column's text becomes the id of a row; `None` where it stays a text.
    pub(crate) fn reference(&self, kind: Kind, field: &str) -> Option<&Reference> {
        self.kinds.get(&kind)?.fields.get(field)?.reference.as_ref()
    }

    /// What records of a kind are identified beside, and by which relationship.
    pub(crate) fn beside(&self, kind: Kind) -> Option<(Beside, &HostRelation)> {
        let mapping = self.kinds.get(&kind)?;
        Some((mapping.beside?, &mapping.host))
    }

    /// The edges of the estate that lead to it.
    pub(crate) fn hosts(&self, kind: Kind) -> &'static [HostEdge] {
        const NETWORK: &[HostEdge] = &[HostEdge { relation: RelationType::LocatedIn, kind: Kind::Network, outgoing: true }];
        const BALANCER: &[HostEdge] = &[HostEdge { relation: RelationType::RoutesTo, kind: Kind::LoadBalancer, outgoing: false }];
        match self.kinds.get(&kind).and_then(|mapping| mapping.beside) {
            Some(Beside::Network) => NETWORK,
            Some(Beside::LoadBalancer) => BALANCER,
            Some(Beside::Account | Beside::Datacenter) | None => &[],
        }
    }

    /// What an edge between two kinds becomes; `None` where it is not kept.
    pub(crate) fn edge(&self, relation: RelationType, from: Kind, to: Kind) -> Option<EdgeForm<'_>> {
        let is_among = |words: &[String], kind: Kind| words.is_empty() || words.iter().any(|word| word == kind.as_str());
        let fits = |mapping: &&RelationMapping| {
            mapping.relation == relation.as_str() && is_among(&mapping.from, from) && is_among(&mapping.to, to)
        };
        let mapping = self.relations.iter().find(fits)?;
        // What the configuration fills is not the edge's.
        let column = mapping.column.as_deref().filter(|column| !self.is_own(from, column));
        Some(EdgeForm { kind: &mapping.kind, parent: mapping.parent, column })
    }

    /// The types that relations between records of two kinds have, whichever is the parent, with that by which one is identified.
    pub(crate) fn types_between(&self, one: Kind, other: Kind) -> BTreeSet<&str> {
        let edge = |relation: RelationType, from: Kind, to: Kind| self.edge(relation, from, to).filter(|_| can_lead(relation, from, to));
        let edges = RelationType::ALL.iter().flat_map(|relation| [edge(*relation, one, other), edge(*relation, other, one)]);
        let hosts = [one, other].into_iter().filter_map(|kind| Some(self.beside(kind)?.1.kind.as_str()));
        edges.flatten().map(|form| form.kind).chain(hosts).collect()
    }

    /// The edge that a relationship of this type between records of these kinds stands for, with the end that is its parent: the only one that is
    /// ever found between these kinds, or else the first that is mapped so. `None` where there are none, or several.
    ///
    /// One of a type that nothing between these kinds has by now was made before `relationships` was changed: it may stand for any of them.
    pub(crate) fn edge_as(&self, kind: &str, parents: &[Kind], children: &[Kind]) -> Option<(RelationType, EdgeParent)> {
        let pairs = parents.iter().flat_map(|parent| children.iter().map(move |child| (*parent, *child)));
        let meanings: BTreeSet<_> = pairs.filter_map(|(parent, child)| self.edge_between(kind, parent, child)).collect();
        meanings.first().copied().filter(|_| meanings.len() == 1)
    }

    fn edge_between(&self, kind: &str, parent: Kind, child: Kind) -> Option<(RelationType, EdgeParent)> {
        let is_former = !self.types_between(parent, child).contains(kind);
        let ways = RelationType::ALL
            .iter()
            .flat_map(|relation| [(*relation, EdgeParent::From, parent, child), (*relation, EdgeParent::To, child, parent)]);
        let form = |relation, side, from, to| self.edge(relation, from, to).filter(|form| form.parent == side);
        let (mut exact, mut likely) = (None, Vec::new());
        for (relation, side, from, to) in ways {
            let Some(form) = form(relation, side, from, to) else { continue };
            let is_exact = form.kind == kind;
            if (is_exact || is_former) && can_lead(relation, from, to) {
                likely.push((relation, side));
            }
            exact = exact.or(is_exact.then_some((relation, side)));
        }
        match likely.as_slice() {
            [] => exact,
            [one] => Some(*one),
            _ => None,
        }
    }

    /// Whether what an edge becomes can be told from what all others become.
    pub(crate) fn tells(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        let Some(form) = self.edge(relation, from, to) else { return false };
        let alike = |kind: Kind| -> Vec<Kind> {
            let classes = [Provider::Aws, Provider::Azure].into_iter().filter_map(|provider| self.class(kind, provider));
            classes.flat_map(|class| self.kinds_of(class)).collect()
        };
        let (parent, child) = if form.parent == EdgeParent::From { (from, to) } else { (to, from) };
        self.edge_as(form.kind, &alike(parent), &alike(child)) == Some((relation, form.parent))
    }

    /// The kinds whose records are of a class; the configuration may give several kinds one class.
    pub(crate) fn kinds_of(&self, class: &str) -> impl Iterator<Item = Kind> {
        let is_it = move |mapping: &KindMapping| match &mapping.class {
            ClassName::Same(own) => own == class,
            ClassName::ByProvider { aws, azure } => aws == class || azure == class,
        };
        self.kinds.iter().filter(move |(_, mapping)| is_it(mapping)).map(|(kind, _)| *kind)
    }

    /// Names of all relationship types in use.
    pub(crate) fn relationship_types(&self) -> impl Iterator<Item = &str> {
        let hosts = self.kinds.values().filter(|mapping| mapping.beside.is_some()).map(|mapping| mapping.host.kind.as_str());
        hosts.chain(self.relations.iter().map(|mapping| mapping.kind.as_str()))
    }

    /// The record of a CI in the instance's own form: columns are texts, tags an object of texts. `None` where its kind has no class. Fields that fail are left out and named.
    pub(crate) fn adapt(&self, ci: &Ci, authority: &BTreeMap<String, Authority>) -> Option<(Adapted, Vec<FieldFailure>)> {
        let class = self.class(ci.kind, ci.provider)?.to_owned();
        let subject = Subject::of_record(ci);
        let mut failures = Vec::new();
        let mut fields = BTreeMap::new();
        for (name, field) in &self.kinds.get(&ci.kind)?.fields {
            let value = match &field.value {
                FieldValue::ObjectId => Some(object_id(ci)),
                FieldValue::Attached(count) => ci.attached.as_ref().and_then(count).map(|count| count.to_string()),
                FieldValue::Status => self.statuses.text(name, ci.stage == Stage::Retired, is_inactive(ci)),
                FieldValue::Expression(expression) => match expression.value(&subject) {
                    Ok(value) => column(&value),
                    Err(error) => {
                        failures.push(FieldFailure { field: name.clone(), error });
                        continue;
                    }
                },
            };
            let Some(value) = value else { continue };
            let desired = DesiredField {
                value: Value::String(value),
                authority: authority.get(name).copied().unwrap_or(field.authority),
                volatile: field.volatile,
                identifying: field.identifying,
            };
            fields.insert(name.clone(), desired);
        }
        if !ci.tags.is_empty() && ci.kind != Kind::Service {
            let tags = ci.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
            let authority = authority.get(TAGS).copied().unwrap_or(Authority::Owned);
            fields.insert(TAGS.to_owned(), DesiredField { value: Value::Object(tags), authority, volatile: false, identifying: false });
        }
        let failed = failures.iter().map(|failure| (failure.field.clone(), failure.error.to_string())).collect();
        Some((Adapted { class, fields, failed }, failures))
    }
}

/// Whether edges of a type are ever found between these kinds, as far as the type says.
fn can_lead(relation: RelationType, from: Kind, to: Kind) -> bool {
    match relation {
        RelationType::ProtectedBy => {
            let has_groups =
                matches!(from, Kind::Instance | Kind::ScalingGroup | Kind::NetworkInterface | Kind::Subnet | Kind::LoadBalancer);
            has_groups && to == Kind::SecurityGroup
        }
        RelationType::Allows => from == Kind::SecurityGroup && to == Kind::SecurityGroup,
        RelationType::MemberOf => from == Kind::Instance && to == Kind::ScalingGroup,
        RelationType::RoutesTo => matches!(from, Kind::LoadBalancer | Kind::Pool) && to != Kind::SecurityGroup,
        RelationType::DependsOn => from == Kind::Service && to != Kind::SecurityGroup,
        RelationType::AttachedTo => {
            matches!(from, Kind::Volume | Kind::NetworkInterface | Kind::PublicAddress) && matches!(to, Kind::Instance | Kind::ScalingGroup)
        }
        RelationType::ConnectedTo => to == Kind::Subnet,
        RelationType::LocatedIn | RelationType::Contains => true,
    }
}

/// A machine that listings miss stands as it was last seen.
fn is_inactive(ci: &Ci) -> bool {
    ci.stage == Stage::Inactive || (ci.stage == Stage::Missing && ci.state.as_deref() == Some("stopped"))
}

fn check(kind: Kind, name: &str, raw: &RawField, reference: Option<&Reference>) -> Result<Field, MappingError> {
    let value = match (&raw.value, raw.built_in) {
        (Some(source), None) => FieldValue::Expression(Box::new(value_of(kind, source).map_err(|mistakes| {
            let text = mistakes.first().map(|mistake| mistake.text.as_str()).unwrap_or_default();
            MappingError { text: format!("{kind}.{name}: {text}") }
        })?)),
        (None, Some(BuiltIn::ObjectId)) => FieldValue::ObjectId,
        (None, Some(BuiltIn::InterfaceCount)) => FieldValue::Attached(|attached| attached.interfaces),
        (None, Some(BuiltIn::VolumeCount)) => FieldValue::Attached(|attached| attached.volumes),
        (None, Some(BuiltIn::VolumeGib)) => FieldValue::Attached(|attached| attached.volume_gib),
        _ => return Err(MappingError { text: format!("{kind}.{name} has no value, or two") }),
    };
    Ok(Field {
        value,
        authority: raw.authority.into(),
        volatile: raw.volatile,
        identifying: raw.identifying,
        reference: reference.cloned(),
    })
}

/// A value as a column's text; `None` where there is none.
fn column(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| date_time(text).unwrap_or_else(|| text.clone())),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(column).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        }
        Value::Object(_) => Some(value.to_string()),
    }
}

/// An RFC 3339 time in the instance's form; `None` for any other text.
fn date_time(text: &str) -> Option<String> {
    let is_candidate = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    if is_candidate { text.parse().ok().map(stored) } else { None }
}

/// A time as the instance stores it: UTC, whole seconds, without a zone.
pub(crate) fn stored(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
