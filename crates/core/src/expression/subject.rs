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
use crate::model::Resource;
use crate::model::attributes::Shape;

/// What an expression speaks about. Build it once for all rules that are asked about one resource.
pub struct Subject<'a> {
    view: View<'a>,
    group_unread: bool,
    context: OnceCell<Context<'a, 'a>>,
}

impl<'a> Subject<'a> {
    /// A resource, its scaling group if it is in one, whether the ledger held it before this run (else `ci` is null), and the run's clock.
    #[must_use]
    pub const fn new(known: &'a Known, group: Option<&'a Resource>, ci: bool, at: Timestamp) -> Self {
        Self { view: View { known, group, ci, at }, group_unread: false, context: OnceCell::new() }
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

    /// The resource.
    pub(crate) const fn known(&self) -> &'a Known {
        self.view.known
    }

    /// Its scaling group.
    pub(crate) const fn group(&self) -> Option<&'a Resource> {
        self.view.group
    }

    pub(super) const fn view(&self) -> View<'a> {
        self.view
    }

    /// The interpreter's variables.
    pub(super) fn context(&self) -> &Context<'a, 'a> {
        self.context.get_or_init(|| {
            let mut context = Context::with_env(library::environment());
            for object in [Object::Resource, Object::Group, Object::Ci] {
                context.add_variable_as_val(object.name(), values::boxed_object(self.view, object));
            }
            if let Ok(now) = values::boxed(Fact::Time(self.view.at)) {
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
pub(super) struct View<'a> {
    pub(super) known: &'a Known,
    pub(super) group: Option<&'a Resource>,
    pub(super) ci: bool,
    pub(super) at: Timestamp,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.known.resource.key, self.at)
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
    pub(super) fn object(self, object: Object) -> Fact<'a> {
        let is_there = match object {
            Object::Resource => true,
            Object::Group => self.group.is_some(),
            Object::Ci => self.ci,
        };
        if is_there { Fact::Object(Thing { view: self, object }) } else { Fact::Null }
    }

    /// A field's value; `None` where the object itself is null.
    pub(super) fn fact(self, object: Object, field: Field) -> Option<Fact<'a>> {
        match object {
            Object::Resource => Some(self.of_resource(&self.known.resource, field)),
            Object::Group => self.group.map(|group| self.of_resource(group, field)),
            Object::Ci => self.ci.then(|| self.of_ledger(field)),
        }
    }

    fn of_resource(self, resource: &'a Resource, field: Field) -> Fact<'a> {
        let text = |text: &'a Option<String>| text.as_deref().map_or(Fact::Null, Fact::Text);
        match field {
            Field::Key => Fact::Text(resource.key.as_str()),
            Field::Kind => Fact::Text(resource.kind.as_str()),
            Field::Provider => Fact::Text(resource.provider.as_str()),
            Field::NativeId => Fact::Text(&resource.native_id),
            Field::Account => Fact::Text(resource.account.as_str()),
            Field::Region => Fact::Text(resource.region.as_str()),
            Field::Name => text(&resource.name),
            Field::State => text(&resource.state),
            Field::Tags => Fact::Tags(&resource.tags),
            Field::CreatedAt => resource.created_at.map_or(Fact::Null, Fact::Time),
            Field::Age => Fact::Duration(self.since(resource.created_at.unwrap_or(self.known.first_seen))),
            Field::StateFor => Fact::Duration(self.since(self.known.state_since)),
            Field::Attribute(name, shape) => resource.attributes.get(name).map_or(Fact::Null, |value| shaped(value, shape)),
            Field::Stage | Field::Disposition | Field::FirstSeen | Field::LastSeen | Field::Missing | Field::Flag => Fact::Null,
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

fn shaped(value: &Value, shape: Shape) -> Fact<'_> {
    let fact = match (shape, value) {
        (_, Value::Null) => Some(Fact::Null),
        (Shape::Text, Value::String(text)) => Some(Fact::Text(text)),
        (Shape::Count, value) => value.as_i64().map(Fact::Int),
        (Shape::Number, value) => value.as_f64().map(Fact::Double),
        (Shape::Flag, Value::Bool(flag)) => Some(Fact::Bool(*flag)),
        (Shape::Time, Value::String(text)) => text.parse().ok().map(Fact::Time),
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
