//! What a schema has to have, from the mapping.

use std::collections::BTreeMap;

use dewpoint_core::model::Kind;
use dewpoint_target_kit::Standing;

use crate::mapping::{DATA, DELIVERED_AT, ESTATE_ID, EXTERNAL_ID, Mapping, PARENT_TYPE};
use crate::schema::Form;
use crate::shape::AttributeShape;

/// An attribute that has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) form: Form,
    pub(crate) description: &'static str,
    pub(crate) is_unique: bool,
    /// People need not see it.
    pub(crate) is_hidden: bool,
    /// Of an attribute that refers to objects: their type.
    pub(crate) refers_to: Option<String>,
    /// Whether it takes any number of values.
    pub(crate) takes_many: bool,
}

/// A type that has to be there, with the attributes that it has beside those of [`PARENT_TYPE`].
pub(crate) struct Type {
    pub(crate) icon: &'static str,
    pub(crate) parts: BTreeMap<String, Part>,
}

/// All of it.
pub(crate) struct Blueprint {
    /// Attributes of all types.
    pub(crate) common: BTreeMap<String, Part>,
    /// By name.
    pub(crate) types: BTreeMap<String, Type>,
    /// Names with their categories: 0 inactive, 1 active, 2 pending.
    pub(crate) statuses: Vec<(String, i32)>,
    /// Attributes that several kinds of one type want in different forms: type, attribute, and the forms.
    pub(crate) conflicts: Vec<(String, String, Form, Form)>,
}

const TEXT: Form = Form { sort: 0, plain: Some(0) };
const OBJECT: Form = Form { sort: 1, plain: None };

/// What is written to attributes of a shape.
///
/// Source: Assets REST API, "Object type attribute": `type` and `defaultTypeId`.
pub(crate) fn form(shape: &AttributeShape) -> Form {
    let plain = |id| Form { sort: 0, plain: Some(id) };
    match shape {
        AttributeShape::Text => TEXT,
        AttributeShape::Integer => plain(1),
        AttributeShape::Boolean => plain(2),
        AttributeShape::Double => plain(3),
        AttributeShape::Date => plain(4),
        AttributeShape::DateTime => plain(6),
        AttributeShape::Url => plain(7),
        AttributeShape::Email => plain(8),
        AttributeShape::TextArea => plain(9),
        AttributeShape::Select => plain(10),
        AttributeShape::IpAddress => plain(11),
        AttributeShape::Object(_) => OBJECT,
        AttributeShape::User => Form { sort: 2, plain: None },
        AttributeShape::Group => Form { sort: 4, plain: None },
        AttributeShape::Lifecycle => Form { sort: 7, plain: None },
    }
}

/// A form as people know it.
pub(crate) fn named(form: Form) -> &'static str {
    match (form.sort, form.plain) {
        (0, Some(0)) => "text",
        (0, Some(1)) => "integer",
        (0, Some(2)) => "boolean",
        (0, Some(3)) => "float",
        (0, Some(4)) => "date",
        (0, Some(5)) => "time",
        (0, Some(6)) => "date and time",
        (0, Some(7)) => "URL",
        (0, Some(8)) => "email",
        (0, Some(9)) => "textarea",
        (0, Some(10)) => "select",
        (0, Some(11)) => "IP address",
        (1, _) => "object reference",
        (2, _) => "user",
        (4, _) => "group",
        (7, _) => "status",
        _ => "of another kind",
    }
}

impl Part {
    fn plain(form: Form) -> Self {
        Self { form, description: "", is_unique: false, is_hidden: false, refers_to: None, takes_many: false }
    }

    fn of(shape: &AttributeShape) -> Self {
        let refers_to = match shape {
            AttributeShape::Object(reference) => Some(reference.object_type.clone()),
            _ => None,
        };
        Self { refers_to, ..Self::plain(form(shape)) }
    }
}

impl Blueprint {
    /// What this mapping needs.
    pub(crate) fn of(mapping: &Mapping) -> Self {
        let date_time = form(&AttributeShape::DateTime);
        let text_area = form(&AttributeShape::TextArea);
        let own = |form, description| Part { description, ..Part::plain(form) };
        let hidden = |form, description| Part { is_hidden: true, ..own(form, description) };
        let mut common: BTreeMap<String, Part> = [
            (EXTERNAL_ID, Part { is_unique: true, ..own(TEXT, "ARN or resource id by which Dewpoint knows the object") }),
            (ESTATE_ID, hidden(TEXT, "Which Dewpoint ledger keeps the object")),
            (DELIVERED_AT, own(date_time, "When Dewpoint last wrote the object, or, with `heartbeat`, saw its resource")),
            (DATA, hidden(text_area, "What Dewpoint notes for itself; leave it as it is")),
        ]
        .into_iter()
        .map(|(name, part)| (name.to_owned(), part))
        .collect();
        let kinds: Vec<Kind> = mapping.sheet().classes().map(|(kind, _)| kind).collect();
        let form_of = |kind: Kind, name: &str| mapping.sheet().field(kind, name).map(|field| form(&field.shape));
        // In one form: what a type has from the one above it cannot be had in another.
        let is_everywhere = |name: &str| {
            let first = kinds.first().and_then(|kind| form_of(*kind, name));
            first.is_some() && kinds.iter().all(|kind| form_of(*kind, name) == first)
        };
        let mut conflicts = Vec::new();
        let mut types: BTreeMap<String, Type> = BTreeMap::new();
        for (kind, class) in mapping.sheet().classes() {
            let own = types.entry(class.to_owned()).or_insert_with(|| Type { icon: icon(kind), parts: BTreeMap::new() });
            for (name, field) in mapping.sheet().fields(kind) {
                let parts = if is_everywhere(name) { &mut common } else { &mut own.parts };
                let part = parts.entry(name.to_owned()).or_insert_with(|| Part::of(&field.shape));
                if part.form != form(&field.shape) {
                    conflicts.push((class.to_owned(), name.to_owned(), part.form, form(&field.shape)));
                }
            }
            for edge in mapping.edges_of(kind) {
                let refers_to = edge.only_kind().and_then(|kind| mapping.sheet().class(kind)).unwrap_or(PARENT_TYPE).to_owned();
                let is_common = kinds.iter().all(|kind| edge.is_of(*kind));
                let parts = if is_common { &mut common } else { &mut own.parts };
                let part = Part { refers_to: Some(refers_to), takes_many: true, ..Part::plain(OBJECT) };
                parts.entry(edge.attribute.clone()).or_insert(part);
            }
        }
        let category = |standing| if standing == Standing::Retired { 0 } else { 1 };
        let mut statuses: Vec<(String, i32)> = Vec::new();
        for standing in Standing::ALL {
            let name = mapping.statuses().name(standing);
            if statuses.iter().all(|(own, _)| own != name) {
                statuses.push((name.to_owned(), category(standing)));
            }
        }
        Self { common, types, statuses, conflicts }
    }
}

/// Names of global icons that fit, as far as the site has them.
const fn icon(kind: Kind) -> &'static str {
    match kind {
        Kind::Account | Kind::ResourceGroup => "Folder",
        Kind::Region | Kind::Zone => "Location",
        Kind::Network | Kind::Subnet | Kind::NetworkInterface | Kind::PublicAddress => "Network",
        Kind::SecurityGroup => "Lock",
        Kind::Instance | Kind::ScalingGroup => "Server",
        Kind::Volume => "Hard Disk",
        Kind::LoadBalancer | Kind::Pool => "Router",
        Kind::Service => "Service",
    }
}
