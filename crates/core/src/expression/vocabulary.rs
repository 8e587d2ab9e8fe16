//! What an expression may speak about: the variables and their fields.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::types::Type;
use crate::estate::{Disposition, Stage};
use crate::model::attributes::{self, Shape};
use crate::model::{Kind, Provider};
use crate::ownership::Fact;

/// The variables that an expression may name, and of which types they are.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    variables: &'static [(&'static str, Type)],
    /// The kind of all that is asked about, where it is known.
    kind: Option<Kind>,
}

impl Vocabulary {
    /// What lifecycle rules speak about: `resource`, `group` (its scaling group or null), `ci` (the ledger's view or null) and `now`.
    #[must_use]
    pub const fn rules() -> Self {
        Self {
            variables: &[
                ("resource", Type::Object(Object::Resource)),
                ("group", Type::Object(Object::Group)),
                ("ci", Type::Object(Object::Ci)),
                ("now", Type::Time),
            ],
            kind: None,
        }
    }

    /// What targets speak about: `ci`, the record we want ([`crate::target::Ci`]), never null. It has the fields that every kind has, with the stage, the
    /// attributes of all kinds, the facts about ownership and `flag`. The rules' `ci`, the ledger's view, is another object. There is no clock: a
    /// record must not change by the time alone.
    #[must_use]
    pub const fn records() -> Self {
        Self { variables: &[("ci", Type::Object(Object::Record))], kind: None }
    }

    /// The same of one kind: an attribute that it has not is a mistake.
    #[must_use]
    pub const fn records_of(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::records() }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&'static Type> {
        self.variables.iter().find(|(variable, _)| *variable == name).map(|(_, ty)| ty)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.variables.iter().map(|(name, _)| *name)
    }

    /// The object that a name stands for.
    pub(super) fn object(&self, name: &str) -> Option<Object> {
        match self.variable(name) {
            Some(Type::Object(object)) => Some(*object),
            _ => None,
        }
    }

    /// The object that it is all about.
    pub(super) fn main(&self) -> Object {
        if self.object(Object::Resource.name()).is_some() { Object::Resource } else { Object::Record }
    }

    /// The kinds that are asked about.
    pub(super) fn kinds(&self) -> Kinds {
        self.kind.map_or_else(Kinds::all, Kinds::one)
    }

    /// What to write in place of a name that another vocabulary has.
    pub(super) fn instead_of(&self, name: &str) -> Option<&'static str> {
        match (self.main(), name) {
            (Object::Record, "resource") => Some("the record is `ci`, such as `ci.kind`"),
            (Object::Record, "group") => Some("a record knows its own fields alone, such as `ci.name`"),
            (Object::Record, "now") => Some("there is no clock here: a record does not change by the time alone"),
            _ => None,
        }
    }
}

/// An object with fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    Resource,
    Group,
    /// The ledger's view.
    Ci,
    /// The record we want. To whom writes a mapping it is `ci` as well.
    Record,
}

impl Object {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Group => "group",
            Self::Ci | Self::Record => "ci",
        }
    }

    /// What one of them is, in a sentence.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Resource | Self::Group | Self::Ci => "resource",
            Self::Record => "record",
        }
    }

    /// Whether what it is can be of any kind, by its field `kind`.
    pub(super) const fn is_of_any_kind(self) -> bool {
        matches!(self, Self::Resource | Self::Record)
    }

    /// Whether the variable may be null.
    pub(super) const fn is_nullable(self) -> bool {
        matches!(self, Self::Group | Self::Ci)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn all() -> Self {
        Kind::ALL.iter().fold(Self::NONE, |all, kind| all.with(*kind))
    }

    pub(super) fn one(kind: Kind) -> Self {
        Self::NONE.with(kind)
    }

    /// The kind of that word; none for a word that is no kind.
    pub(super) fn word(word: &str) -> Self {
        word.parse().map_or(Self::NONE, Self::one)
    }

    pub(super) const fn with(self, kind: Kind) -> Self {
        Self(self.0 | (1 << kind as u32))
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn not(self) -> Self {
        Self(Self::all().0 & !self.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn lies_in(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| Self::one(*kind).lies_in(self))
    }
}

/// Reads as "instance, volume and pool".
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Kind::as_str).collect();
        match words.as_slice() {
            [] => f.write_str("no kind"),
            [only] => f.write_str(only),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

/// A field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Key,
    Kind,
    Provider,
    NativeId,
    Account,
    Region,
    Name,
    State,
    Tags,
    CreatedAt,
    Age,
    StateFor,
    Attribute(&'static str, Shape),
    Ownership(Fact),
    Stage,
    Disposition,
    FirstSeen,
    LastSeen,
    Missing,
    Flag,
}

/// What is known of a field before any resource is looked at.
#[derive(Debug, Clone)]
pub(super) struct FieldType {
    pub(super) field: Field,
    pub(super) ty: Type,
    /// The kinds that have it.
    pub(super) kinds: Kinds,
}

const OF_EVERY_KIND: &[(&str, Field)] = &[
    ("key", Field::Key),
    ("kind", Field::Kind),
    ("provider", Field::Provider),
    ("native_id", Field::NativeId),
    ("account", Field::Account),
    ("region", Field::Region),
    ("name", Field::Name),
    ("state", Field::State),
    ("tags", Field::Tags),
    ("created_at", Field::CreatedAt),
];

const OF_RESOURCE: &[(&str, Field)] = &[("age", Field::Age), ("state_for", Field::StateFor)];

const OF_CI: &[(&str, Field)] = &[
    ("stage", Field::Stage),
    ("disposition", Field::Disposition),
    ("first_seen", Field::FirstSeen),
    ("last_seen", Field::LastSeen),
    ("missing", Field::Missing),
    ("flag", Field::Flag),
];

const OF_RECORD: &[(&str, Field)] = &[("stage", Field::Stage), ("flag", Field::Flag)];

/// Every attribute of every kind: its shape (the same in all kinds that have it) and those kinds.
static ATTRIBUTES: LazyLock<BTreeMap<&'static str, (Shape, Kinds)>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    for kind in Kind::ALL {
        for attribute in attributes::of(*kind) {
            let (_, kinds) = all.entry(attribute.name).or_insert((attribute.shape, Kinds::NONE));
            *kinds = kinds.with(*kind);
        }
    }
    all
});

/// Where a field of a resource of one of these kinds has no value, in words; `None` where it always has one. Of a file that leaves out what the
/// clouds always give, this knows nothing.
pub(super) fn is_null_where(object: Object, field: Field, kinds: Kinds) -> Option<&'static str> {
    let kinds = if object == Object::Group { Kinds::one(Kind::ScalingGroup) } else { kinds };
    match field {
        Field::Name if object == Object::Record => None,
        Field::Name => Some("where nobody gave a name"),
        Field::CreatedAt => Some("where nobody tells a birth"),
        Field::State if kinds.lies_in(Kinds::one(Kind::Instance)) => None,
        Field::State => Some("where its provider has no word for it"),
        Field::Flag => Some("where no rule set one"),
        Field::Ownership(_) => Some("where nobody tells it"),
        Field::Attribute(name, _) => {
            // A fleet that a rule names is of this kind and tells next to nothing, but it is nobody's `group`.
            let is_sure = |kind: Kind| {
                let is_always = attributes::find(kind, name).is_some_and(|attribute| attribute.always);
                is_always && !(object.is_of_any_kind() && kind == Kind::ScalingGroup)
            };
            (!kinds.iter().all(is_sure)).then_some("where nobody tells it")
        }
        _ => None,
    }
}

/// The field of that name, quickly: asked at run time as well.
pub(super) fn field(object: Object, name: &str) -> Option<Field> {
    let of = |table: &[(&str, Field)]| table.iter().find(|(field, _)| *field == name).map(|(_, field)| *field);
    match object {
        Object::Ci => of(OF_CI),
        Object::Resource => of(OF_EVERY_KIND).or_else(|| of(OF_RESOURCE)).or_else(|| attribute(name)),
        Object::Group => of(OF_EVERY_KIND).or_else(|| attribute(name)),
        Object::Record => {
            let ownership = || Fact::ALL.iter().find(|fact| fact.as_str() == name).map(|fact| Field::Ownership(*fact));
            of(OF_EVERY_KIND).or_else(|| of(OF_RECORD)).or_else(ownership).or_else(|| attribute(name))
        }
    }
}

fn attribute(name: &str) -> Option<Field> {
    ATTRIBUTES.get_key_value(name).map(|(name, (shape, _))| Field::Attribute(name, *shape))
}

/// The field of that name with its type; a group has the fields of its kind only.
pub(super) fn typed_field(object: Object, name: &str) -> Option<FieldType> {
    let field = field(object, name)?;
    let kinds = match field {
        Field::Attribute(name, _) => ATTRIBUTES.get(name).map_or(Kinds::NONE, |(_, kinds)| *kinds),
        _ => Kinds::all(),
    };
    if object == Object::Group && !Kinds::one(Kind::ScalingGroup).lies_in(kinds) {
        return None;
    }
    let ty = match field {
        Field::Key | Field::Kind | Field::Provider | Field::NativeId | Field::Account | Field::Region => Type::Text,
        Field::Stage | Field::Disposition | Field::Name | Field::State | Field::Flag | Field::Ownership(_) => Type::Text,
        Field::Tags => Type::Map(Box::new(Type::Text)),
        Field::CreatedAt | Field::FirstSeen | Field::LastSeen => Type::Time,
        Field::Age | Field::StateFor => Type::Duration,
        Field::Missing => Type::Int,
        Field::Attribute(_, shape) => of_shape(shape),
    };
    Some(FieldType { field, ty, kinds })
}

fn of_shape(shape: Shape) -> Type {
    match shape {
        Shape::Text => Type::Text,
        Shape::Count => Type::Int,
        Shape::Number => Type::Double,
        Shape::Flag => Type::Bool,
        Shape::Time => Type::Time,
        Shape::Texts => Type::List(Box::new(Type::Text)),
        Shape::Structure => Type::Dyn,
    }
}

/// Every field's name, for proposals.
pub(super) fn field_names(object: Object) -> Vec<&'static str> {
    let tables: &[&[(&'static str, Field)]] = match object {
        Object::Resource => &[OF_EVERY_KIND, OF_RESOURCE],
        Object::Group => &[OF_EVERY_KIND],
        Object::Ci => &[OF_CI],
        Object::Record => &[OF_EVERY_KIND, OF_RECORD],
    };
    let ownership = Fact::ALL.iter().filter(|_| object == Object::Record).map(|fact| fact.as_str());
    let base = tables.iter().flat_map(|table| table.iter().map(|(name, _)| *name)).chain(ownership);
    let attributes = ATTRIBUTES.keys().copied().filter(|name| object != Object::Ci && typed_field(object, name).is_some());
    base.chain(attributes).collect()
}

/// The closed set of words of a field, if it has one.
pub(super) fn words(field: Field) -> Option<Vec<&'static str>> {
    match field {
        Field::Kind => Some(Kind::ALL.iter().map(|kind| kind.as_str()).collect()),
        Field::Provider => Some(Provider::ALL.iter().map(|provider| provider.as_str()).collect()),
        Field::Stage => Some(Stage::ALL.iter().map(|stage| stage.as_str()).collect()),
        Field::Disposition => Some(Disposition::ALL.iter().map(|disposition| disposition.as_str()).collect()),
        _ => None,
    }
}

/// The nearest of several names, if one is near enough to be a slip of the pen.
pub(super) fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Distance costs the product of the lengths; nobody's slip is this long.
    if text.len() > 100 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', ' ', '_'], "");
    let wanted = plain(text);
    let best = names.into_iter().map(|name| (strsim::osa_distance(&wanted, &plain(name)), name)).min()?;
    let far = best.1.len().min(wanted.len()).div_ceil(3).min(3);
    (best.0 <= far).then_some(best.1)
}

/// A proposal out of [`nearest`], in words.
pub(super) fn did_you_mean<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(text, names).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_one_shape_in_every_kind_and_hides_no_field() {
        for kind in Kind::ALL {
            for attribute in attributes::of(*kind) {
                let here = Some(Field::Attribute(attribute.name, attribute.shape));
                for object in [Object::Resource, Object::Record] {
                    assert_eq!(field(object, attribute.name), here, "{kind}.{}", attribute.name);
                }
            }
        }
    }

    #[test]
    fn the_nearest_name_is_proposed() {
        let names = field_names(Object::Resource);
        assert_eq!(nearest("vcpu", names.iter().copied()), Some("vcpus"));
        assert_eq!(nearest("createdAt", names.iter().copied()), Some("created_at"));
        assert_eq!(nearest("banana", names.iter().copied()), None);
    }
}
