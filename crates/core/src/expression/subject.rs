//! What an expression is asked about, and the reading of its fields: once for the interpreter and for the native tests.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use cel::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::library;
use super::values::{self, Thing};
use super::vocabulary::{Field, Object};
use crate::estate::Known;
use crate::model::attributes::Shape;
use crate::model::{Attributes, Resource};
use crate::target::Ci;

/// What an expression speaks about. Build it once for all that is asked about one resource, or one record.
///
/// An expression is asked about subjects of its own [`Vocabulary`](super::Vocabulary); about others it fails.
pub struct Subject<'a> {
    view: View<'a>,
    group_unread: bool,
    context: OnceCell<Context<'a, 'a>>,
}

impl<'a> Subject<'a> {
    /// A resource, its scaling group if it is in one, whether the ledger held it before this run (else `ci` is null), and the run's clock.
    #[must_use]
    pub const fn new(known: &'a Known, group: Option<&'a Resource>, ci: bool, at: Timestamp) -> Self {
        Self { view: View::Resource(Judged { known, group, ci, at }), group_unread: false, context: OnceCell::new() }
    }

    /// The record we want, for [`Vocabulary::records`](super::Vocabulary::records).
    #[must_use]
    pub const fn of_record(ci: &'a Ci) -> Self {
        Self { view: View::Record(ci), group_unread: false, context: OnceCell::new() }
    }

    /// The same, where nobody could read whether it is in a scaling group.
    #[must_use]
    pub(crate) fn with_group_unread(self, group_unread: bool) -> Self {
        Self { group_unread, ..self }
    }

    /// Whether nobody could read if it is in a scaling group.
    pub(crate) const fn is_group_unread(&self) -> bool {
        self.group_unread
    }

    /// The resource; `None` where it is a record that is spoken about.
    pub(crate) fn resource(&self) -> Option<&'a Resource> {
        match self.view {
            View::Resource(judged) => Some(&judged.known.resource),
            View::Record(_) => None,
        }
    }

    /// Its scaling group.
    pub(crate) const fn group(&self) -> Option<&'a Resource> {
        match self.view {
            View::Resource(judged) => judged.group,
            View::Record(_) => None,
        }
    }

    pub(super) const fn view(&self) -> View<'a> {
        self.view
    }

    /// The interpreter's variables.
    pub(super) fn context(&self) -> &Context<'a, 'a> {
        self.context.get_or_init(|| {
            let mut context = Context::with_env(library::environment());
            for object in self.view.objects() {
                context.add_variable_as_val(object.name(), values::boxed_object(self.view, *object));
            }
            if let Some(Ok(now)) = self.view.now().map(|now| values::boxed(Fact::Time(now))) {
                context.add_variable_as_val("now", now);
            }
            context
        })
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.view).finish()
    }
}

/// The data behind a [`Subject`].
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    /// What rules judge.
    Resource(Judged<'a>),
    /// What targets map.
    Record(&'a Ci),
}

/// A resource, and what rules see of it.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    known: &'a Known,
    group: Option<&'a Resource>,
    ci: bool,
    at: Timestamp,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(judged) => write!(f, "{} at {}", judged.known.resource.key, judged.at),
            Self::Record(ci) => write!(f, "the record of {}", ci.key),
        }
    }
}

/// A value as it stands in the model.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Time(Timestamp),
    Duration(SignedDuration),
    /// Texts, by the attribute's shape.
    Texts(&'a [Value]),
    Tags(&'a BTreeMap<String, String>),
    Structure(&'a Value),
    /// An object that is not null.
    Object(Thing<'a>),
    /// A value that does not have the shape that its attribute promises: what it ought to be.
    Odd(&'static str),
}

impl<'a> View<'a> {
    /// The objects that there may be.
    const fn objects(self) -> &'static [Object] {
        match self {
            Self::Resource(_) => &[Object::Resource, Object::Group, Object::Ci],
            Self::Record(_) => &[Object::Record],
        }
    }

    /// What it is, in a sentence.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Resource(_) => Object::Resource.noun(),
            Self::Record(_) => Object::Record.noun(),
        }
    }

    /// The clock, where there is one.
    pub(super) const fn now(self) -> Option<Timestamp> {
        match self {
            Self::Resource(judged) => Some(judged.at),
            Self::Record(_) => None,
        }
    }

    /// An object; `None` where this is not what its vocabulary speaks about.
    pub(super) fn object(self, object: Object) -> Option<Fact<'a>> {
        let is_there = match (self, object) {
            (Self::Resource(_), Object::Resource) | (Self::Record(_), Object::Record) => true,
            (Self::Resource(judged), Object::Group) => judged.group.is_some(),
            (Self::Resource(judged), Object::Ci) => judged.ci,
            (Self::Resource(_), Object::Record) | (Self::Record(_), _) => return None,
        };
        Some(if is_there { Fact::Object(Thing { view: self, object }) } else { Fact::Null })
    }

    /// A field's value; `None` where the object itself is null, or not what this is about.
    pub(super) fn fact(self, object: Object, field: Field) -> Option<Fact<'a>> {
        match (self, object) {
            (Self::Resource(judged), Object::Resource) => Some(judged.of_resource(&judged.known.resource, field)),
            (Self::Resource(judged), Object::Group) => judged.group.map(|group| judged.of_resource(group, field)),
            (Self::Resource(judged), Object::Ci) => judged.ci.then(|| judged.of_ledger(field)),
            (Self::Record(ci), Object::Record) => Some(of_record(ci, field)),
            (Self::Resource(_), Object::Record) | (Self::Record(_), _) => None,
        }
    }
}

impl<'a> Judged<'a> {
    fn of_resource(self, resource: &'a Resource, field: Field) -> Fact<'a> {
        match field {
            Field::Key => Fact::Text(resource.key.as_str()),
            Field::Kind => Fact::Text(resource.kind.as_str()),
            Field::Provider => Fact::Text(resource.provider.as_str()),
            Field::NativeId => Fact::Text(&resource.native_id),
            Field::Account => Fact::Text(resource.account.as_str()),
            Field::Region => Fact::Text(resource.region.as_str()),
            Field::Name => optional(resource.name.as_ref()),
            Field::State => optional(resource.state.as_ref()),
            Field::Tags => Fact::Tags(&resource.tags),
            Field::CreatedAt => resource.created_at.map_or(Fact::Null, time),
            Field::Age => Fact::Duration(self.since(resource.created_at.unwrap_or(self.known.first_seen))),
            Field::StateFor => Fact::Duration(self.since(self.known.state_since)),
            Field::Attribute(name, shape) => attribute(&resource.attributes, name, shape),
            Field::Stage | Field::Disposition | Field::FirstSeen | Field::LastSeen | Field::Missing => Fact::Null,
            Field::Flag | Field::Ownership(_) => Fact::Null,
        }
    }

    fn of_ledger(self, field: Field) -> Fact<'a> {
        let known = self.known;
        match field {
            Field::Stage => Fact::Text(known.stage.as_str()),
            Field::Disposition => Fact::Text(known.disposition.as_str()),
            Field::FirstSeen => Fact::Time(known.first_seen),
            Field::LastSeen => Fact::Time(known.last_seen),
            Field::Missing => Fact::Int(i64::from(known.missing)),
            Field::Flag => known.flag.as_deref().map_or(Fact::Null, Fact::Text),
            _ => Fact::Null,
        }
    }

    /// Time since an instant; an interval that a clock stepping back made negative is zero.
    fn since(self, instant: Timestamp) -> SignedDuration {
        self.at.duration_since(instant).max(SignedDuration::ZERO)
    }
}

fn of_record(ci: &Ci, field: Field) -> Fact<'_> {
    match field {
        Field::Key => Fact::Text(ci.key.as_str()),
        Field::Kind => Fact::Text(ci.kind.as_str()),
        Field::Provider => Fact::Text(ci.provider.as_str()),
        Field::NativeId => Fact::Text(&ci.native_id),
        Field::Account => Fact::Text(ci.account.as_str()),
        Field::Region => Fact::Text(ci.region.as_str()),
        Field::Name => Fact::Text(&ci.name),
        Field::State => optional(ci.state.as_ref()),
        Field::Stage => Fact::Text(ci.stage.as_str()),
        Field::Tags => Fact::Tags(&ci.tags),
        Field::CreatedAt => ci.created_at.map_or(Fact::Null, time),
        // Both stand among the attributes of a record.
        Field::Ownership(fact) => attribute(&ci.attributes, fact.as_str(), Shape::Text),
        Field::Flag => attribute(&ci.attributes, "flag", Shape::Text),
        Field::Attribute(name, shape) => attribute(&ci.attributes, name, shape),
        Field::Age | Field::StateFor | Field::Disposition | Field::FirstSeen | Field::LastSeen | Field::Missing => Fact::Null,
    }
}

fn optional(text: Option<&String>) -> Fact<'_> {
    text.map_or(Fact::Null, |text| Fact::Text(text))
}

/// An instant of somebody else's telling. CEL has no year 0.
fn time<'a>(time: Timestamp) -> Fact<'a> {
    if values::timestamp(time).is_some() { Fact::Time(time) } else { Fact::Odd("a time between the years 1 and 9999") }
}

fn attribute<'a>(attributes: &'a Attributes, name: &str, shape: Shape) -> Fact<'a> {
    attributes.get(name).map_or(Fact::Null, |value| shaped(value, shape))
}

fn shaped(value: &Value, shape: Shape) -> Fact<'_> {
    let fact = match (shape, value) {
        (_, Value::Null) => Some(Fact::Null),
        (Shape::Text, Value::String(text)) => Some(Fact::Text(text)),
        (Shape::Count, value) => value.as_i64().map(Fact::Int),
        (Shape::Number, value) => value.as_f64().map(Fact::Double),
        (Shape::Flag, Value::Bool(flag)) => Some(Fact::Bool(*flag)),
        (Shape::Time, Value::String(text)) => text.parse().ok().map(time),
        (Shape::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => Some(Fact::Texts(items)),
        (Shape::Structure, value) => Some(Fact::Structure(value)),
        _ => None,
    };
    fact.unwrap_or(Fact::Odd(match shape {
        Shape::Text => "a text",
        Shape::Count => "a whole number",
        Shape::Number => "a number",
        Shape::Flag => "true or false",
        Shape::Time => "an RFC 3339 time",
        Shape::Texts => "a list of texts",
        Shape::Structure => "a structure",
    }))
}
