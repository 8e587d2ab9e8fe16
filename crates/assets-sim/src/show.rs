//! Everything as bodies have it.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, rc::Rc};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    object::Object,
    site::{Attribute, Icon, Kind, ObjectType, ReferenceType, Schema, Site, StatusType, System, User},
    value,
};

/// How much of an object's attributes is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// None of them.
    None,
    /// Their values.
    Values,
    /// Their values and what they are.
    Whole,
}

/// What is known of an object type, so that it is looked up once for many objects.
struct Known<'a> {
    shown: Box<RawValue>,
    attributes: Vec<&'a Attribute>,
    label: Option<&'a Attribute>,
}

/// Writes a site's things as its deployment does.
pub(crate) struct Show<'a> {
    site: &'a Site,
    base_url: &'a str,
    /// The address of the interface.
    api: String,
    types: RefCell<HashMap<u64, Rc<Known<'a>>>>,
    without_hidden: Vec<u64>,
}

impl<'a> Show<'a> {
    /// Without attributes that users do not see, in these schemas.
    pub(crate) fn new(site: &'a Site, base_url: &'a str, without_hidden: Vec<u64>) -> Self {
        let api = if site.is_cloud() {
            format!("{base_url}/jsm/assets/workspace/{}/v1", site.workspace_id)
        } else {
            format!("{base_url}/rest/assets/1.0")
        };
        Self { site, base_url, api, types: RefCell::default(), without_hidden }
    }

    /// An id: text on Cloud, a number on Data Center.
    pub(crate) fn id(&self, id: u64) -> Value {
        if self.site.is_cloud() { json!(id.to_string()) } else { json!(id) }
    }

    fn written_id(&self, id: u64) -> WrittenId {
        WrittenId { id, is_text: self.site.is_cloud() }
    }

    /// What all things have.
    fn write_thing<M: SerializeMap>(&self, map: &mut M, id: u64) -> Result<(), M::Error> {
        if self.site.is_cloud() {
            map.serialize_entry("workspaceId", &self.site.workspace_id)?;
            map.serialize_entry("globalId", &format_args!("{}:{id}", self.site.workspace_id))?;
        }
        map.serialize_entry("id", &self.written_id(id))
    }

    /// An object with what all things have on Cloud.
    fn thing(&self, id: u64) -> Map<String, Value> {
        let mut thing = Map::new();
        if self.site.is_cloud() {
            thing.insert("workspaceId".to_owned(), json!(self.site.workspace_id));
            thing.insert("globalId".to_owned(), json!(format!("{}:{id}", self.site.workspace_id)));
        }
        thing.insert("id".to_owned(), self.id(id));
        thing
    }

    fn extended(&self, id: u64, rest: Value) -> Value {
        let mut thing = self.thing(id);
        if let Value::Object(rest) = rest {
            thing.extend(rest);
        }
        Value::Object(thing)
    }

    pub(crate) fn schema(&self, schema: &Schema, with_counts: bool, can_manage: bool) -> Value {
        let (objects, types) = if with_counts {
            let types = self.site.types.values().filter(|object_type| object_type.schema_id == schema.id);
            types.fold((0, 0), |(objects, types), object_type| (objects + self.site.store.count_of_type(object_type.id), types + 1))
        } else {
            (0, 0)
        };
        let mut shown = json!({
            "name": schema.name,
            "objectSchemaKey": schema.key,
            "status": "Ok",
            "description": schema.description,
            "created": value::stamp(schema.created),
            "updated": value::stamp(schema.updated),
            "objectCount": objects,
            "objectTypeCount": types,
        });
        if let (true, Some(shown)) = (self.site.is_cloud(), shown.as_object_mut()) {
            shown.insert("canManage".to_owned(), json!(can_manage));
        }
        self.extended(schema.id, shown)
    }

    pub(crate) fn icon(&self, icon: &Icon) -> Value {
        let url = |size: u8| format!("{}/icon/{}/icon.png?size={size}", self.api, icon.id);
        let id = if self.site.is_cloud() { json!(icon.id) } else { json!(icon.id.parse::<u64>().unwrap_or_default()) };
        json!({"id": id, "name": icon.name, "url16": url(16), "url48": url(48)})
    }

    pub(crate) fn object_type(&self, object_type: &ObjectType, with_count: bool) -> Value {
        let icon = self.site.icons.iter().find(|icon| icon.id == object_type.icon_id).map(|icon| self.icon(icon));
        let parent = object_type.parent_id.and_then(|parent| self.site.types.get(&parent));
        let count = if with_count { self.site.store.count_of_type(object_type.id) } else { 0 };
        let mut shown = json!({
            "name": object_type.name,
            "description": object_type.description,
            "icon": icon,
            "position": object_type.position,
            "created": value::stamp(object_type.created),
            "updated": value::stamp(object_type.updated),
            "objectCount": count,
            "objectSchemaId": self.id(object_type.schema_id),
            "inherited": object_type.inherited,
            "abstractObjectType": object_type.is_abstract,
            "parentObjectTypeInherited": parent.is_some_and(|parent| parent.inherited),
        });
        if let (Some(parent), Some(shown)) = (parent, shown.as_object_mut()) {
            // The one id that Cloud's description has as a number.
            shown.insert("parentObjectTypeId".to_owned(), json!(parent.id));
        }
        self.extended(object_type.id, shown)
    }

    pub(crate) fn attribute(&self, attribute: &Attribute, with_type: bool) -> Value {
        let (number, default_type) = match &attribute.kind {
            Kind::Default(form) => (0, Some(form.id_and_name())),
            Kind::Reference { .. } => (1, None),
            Kind::User { .. } => (2, None),
            Kind::Group => (4, None),
            Kind::Status { .. } => (7, None),
        };
        let is_system = attribute.system.is_some();
        let mut shown = json!({
            "name": attribute.name,
            "label": attribute.label,
            "type": number,
            "description": attribute.description,
            "editable": !is_system,
            "system": is_system,
            "indexed": true,
            "sortable": true,
            "summable": attribute.summable,
            "minimumCardinality": attribute.minimum,
            "maximumCardinality": attribute.maximum.map_or(-1, i64::from),
            "removable": !is_system && !attribute.label,
            "hidden": attribute.hidden,
            "includeChildObjectTypes": attribute.include_children,
            "uniqueAttribute": attribute.unique,
            "options": attribute.options.join(","),
            "position": attribute.position,
        });
        let mut set = |name: &str, value: Value| {
            if let Some(shown) = shown.as_object_mut() {
                shown.insert(name.to_owned(), value);
            }
        };
        if let Some((id, name)) = default_type {
            set("defaultType", json!({"id": id, "name": name}));
        }
        match &attribute.kind {
            Kind::Reference { type_id, reference_type } => {
                set("typeValue", json!(type_id.to_string()));
                set("additionalValue", json!(reference_type.to_string()));
                set("referenceObjectTypeId", self.id(*type_id));
                if let Some(object_type) = self.site.types.get(type_id) {
                    set("referenceObjectType", self.object_type(object_type, false));
                }
                if let Some(reference_type) = self.site.reference_types.get(reference_type) {
                    set("referenceType", self.reference_type(reference_type));
                }
            }
            Kind::User { groups } => set("typeValueMulti", json!(groups)),
            Kind::Status { allowed } => set("typeValueMulti", json!(allowed.iter().map(u64::to_string).collect::<Vec<_>>())),
            Kind::Default(_) | Kind::Group => {}
        }
        if let Some(additional) = &attribute.additional {
            set("additionalValue", json!(additional));
        }
        if let Some(regex) = &attribute.regex {
            set("regexValidation", json!(regex));
        }
        if let Some(query) = &attribute.query {
            set("qlQuery", json!(query));
        }
        if !attribute.suffix.is_empty() {
            set("suffix", json!(attribute.suffix));
        }
        if let (true, Some(object_type)) = (with_type, self.site.types.get(&attribute.type_id)) {
            set("objectType", self.object_type(object_type, false));
        }
        self.extended(attribute.id, shown)
    }

    pub(crate) fn status(&self, status: &StatusType) -> Value {
        let mut shown = json!({
            "id": self.id(status.id),
            "name": status.name,
            "category": status.category,
        });
        self.of_schema(&mut shown, &status.description, status.schema_id);
        shown
    }

    pub(crate) fn reference_type(&self, reference_type: &ReferenceType) -> Value {
        let mut shown = json!({"name": reference_type.name, "color": reference_type.color});
        self.of_schema(&mut shown, &reference_type.description, reference_type.schema_id);
        self.extended(reference_type.id, shown)
    }

    fn of_schema(&self, shown: &mut Value, description: &str, schema: Option<u64>) {
        let Some(shown) = shown.as_object_mut() else { return };
        if !description.is_empty() {
            shown.insert("description".to_owned(), json!(description));
        }
        if let Some(schema) = schema {
            shown.insert("objectSchemaId".to_owned(), self.id(schema));
        }
    }

    /// Somebody, as Assets shows them.
    pub(crate) fn user(&self, user: &User) -> Value {
        let mut shown = json!({
            "avatarUrl": format!("{}/avatar/{}.png", self.base_url, user.id),
            "displayName": user.display_name,
            "key": user.id,
            "isDeleted": !user.active,
        });
        let Some(members) = shown.as_object_mut() else { return shown };
        if !self.site.is_cloud() {
            members.insert("name".to_owned(), json!(user.name));
            members.insert("emailAddress".to_owned(), json!(user.email));
        } else if !user.email_hidden {
            members.insert("emailAddress".to_owned(), json!(user.email));
        }
        shown
    }

    fn known(&self, type_id: u64) -> Rc<Known<'a>> {
        if let Some(known) = self.types.borrow().get(&type_id) {
            return Rc::clone(known);
        }
        let object_type = self.site.types.get(&type_id);
        let shown = object_type.map(|object_type| self.object_type(object_type, false)).unwrap_or_default();
        let is_hidden = object_type.is_some_and(|object_type| self.without_hidden.contains(&object_type.schema_id));
        let mut attributes = self.site.attributes_of(type_id);
        attributes.retain(|attribute| !(attribute.hidden && is_hidden));
        let label = self.site.label_of(type_id);
        let known = Rc::new(Known { shown: RawValue::from_string(shown.to_string()).unwrap_or_default(), attributes, label });
        self.types.borrow_mut().insert(type_id, Rc::clone(&known));
        known
    }

    /// An object, with what is asked for of its attributes.
    pub(crate) fn object<'s>(&'s self, object: &'s Object, detail: Detail) -> ObjectView<'s, 'a> {
        ObjectView { show: self, object, detail }
    }

    /// The attributes of an object that have values.
    pub(crate) fn object_attributes(&self, object: &Object, detail: Detail) -> Value {
        value_of(&AttributesView { show: self, object, detail })
    }

    fn values<'s>(&'s self, object: &'s Object, attribute: &'s Attribute) -> Vec<ValueView<'s, 'a>> {
        let times = |at| ValueView::Plain(Cow::Owned(value::stamp(at)), Cow::Owned(value::displayed_stamp(at)));
        match attribute.system {
            Some(System::Key) => return vec![ValueView::Plain(Cow::Borrowed(&object.key), Cow::Borrowed(&object.key))],
            Some(System::Created) => return vec![times(object.created)],
            Some(System::Updated) => return vec![times(object.updated)],
            None => {}
        }
        let site = self.site;
        let shown = |stored: &'s String| -> Option<ValueView<'s, 'a>> {
            Some(match &attribute.kind {
                Kind::Default(form) => ValueView::Plain(Cow::Borrowed(stored), value::displayed(*form, stored)),
                Kind::Reference { .. } => ValueView::Reference(self.object(site.store.get(stored.parse().ok()?)?, Detail::None)),
                Kind::User { .. } => ValueView::User(self, site.users.iter().find(|user| user.id == *stored)?),
                Kind::Group => ValueView::Group(self, stored),
                Kind::Status { .. } => ValueView::Status(self, site.statuses.get(&stored.parse().ok()?)?),
            })
        };
        object.values(attribute.id).iter().filter_map(shown).collect()
    }

    /// The attributes of these types, each once.
    pub(crate) fn attributes_of_types(&self, types: impl IntoIterator<Item = u64>) -> Value {
        let mut seen: Vec<&Attribute> = Vec::new();
        for type_id in types {
            for attribute in &self.known(type_id).attributes {
                if !seen.iter().any(|other| other.id == attribute.id) {
                    seen.push(attribute);
                }
            }
        }
        Value::Array(seen.into_iter().map(|attribute| self.attribute(attribute, true)).collect())
    }
}

/// A value as JSON, nothing where it cannot be written.
fn value_of(shown: &impl Serialize) -> Value {
    serde_json::to_value(shown).unwrap_or_default()
}

/// An object, written without a tree of values between: a page has many.
pub(crate) struct ObjectView<'s, 'a> {
    show: &'s Show<'a>,
    object: &'s Object,
    detail: Detail,
}

impl ObjectView<'_, '_> {
    /// As the body of an answer.
    pub(crate) fn body(&self) -> Value {
        value_of(self)
    }

    /// As one of many.
    pub(crate) fn text(&self) -> Box<RawValue> {
        to_raw_value(self).unwrap_or_default()
    }

    fn label(&self) -> Cow<'_, str> {
        let plain =
            self.show.known(self.object.type_id).label.filter(|label| matches!(label.kind, Kind::Default(_)) && label.system.is_none());
        match plain.map(|label| self.object.value(label.id)) {
            Some("") => Cow::Borrowed(&self.object.key),
            Some(label) => Cow::Borrowed(label),
            None => Cow::Owned(self.show.site.label(self.object)),
        }
    }
}

impl Serialize for ObjectView<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (show, object) = (self.show, self.object);
        let is_cloud = show.site.is_cloud();
        let label = self.label();
        let mut map = serializer.serialize_map(None)?;
        show.write_thing(&mut map, object.id)?;
        map.serialize_entry("label", &label)?;
        map.serialize_entry("objectKey", &object.key)?;
        map.serialize_entry("avatar", &AvatarView { show, object })?;
        map.serialize_entry("objectType", &show.known(object.type_id).shown)?;
        map.serialize_entry("created", &value::stamp(object.created))?;
        map.serialize_entry("updated", &value::stamp(object.updated))?;
        map.serialize_entry("hasAvatar", &false)?;
        map.serialize_entry("timestamp", &object.updated.as_millisecond())?;
        map.serialize_entry("_links", &HashMap::from([("self", format!("{}/object/{}", show.api, object.id))]))?;
        map.serialize_entry("name", &label)?;
        if !is_cloud {
            map.serialize_entry("archived", &object.archived)?;
        }
        if self.detail != Detail::None {
            map.serialize_entry("attributes", &AttributesView { show, object, detail: self.detail })?;
        }
        map.end()
    }
}

struct AvatarView<'s, 'a> {
    show: &'s Show<'a>,
    object: &'s Object,
}

impl Serialize for AvatarView<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let show = self.show;
        let mut map = serializer.serialize_map(None)?;
        if show.site.is_cloud() {
            map.serialize_entry("workspaceId", &show.site.workspace_id)?;
            map.serialize_entry("globalId", &format_args!("{}:{}", show.site.workspace_id, self.object.id))?;
        }
        for (name, size) in [("url16", 16), ("url48", 48), ("url72", 72), ("url144", 144), ("url288", 288)] {
            map.serialize_entry(name, &format_args!("{}/avatar/default.png?size={size}", show.api))?;
        }
        map.serialize_entry("objectId", &show.written_id(self.object.id))?;
        map.end()
    }
}

struct AttributesView<'s, 'a> {
    show: &'s Show<'a>,
    object: &'s Object,
    detail: Detail,
}

impl Serialize for AttributesView<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for attribute in &self.show.known(self.object.type_id).attributes {
            let values = self.show.values(self.object, attribute);
            if !values.is_empty() {
                list.serialize_element(&EntryView { show: self.show, object: self.object, attribute, values, detail: self.detail })?;
            }
        }
        list.end()
    }
}

struct EntryView<'s, 'a> {
    show: &'s Show<'a>,
    object: &'s Object,
    attribute: &'s Attribute,
    values: Vec<ValueView<'s, 'a>>,
    detail: Detail,
}

impl Serialize for EntryView<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (show, object) = (self.show, self.object);
        let mut map = serializer.serialize_map(None)?;
        // An attribute of an object is a thing of its own.
        show.write_thing(&mut map, object.id.saturating_mul(100_000).saturating_add(self.attribute.id))?;
        map.serialize_entry("objectTypeAttributeId", &show.written_id(self.attribute.id))?;
        if self.detail == Detail::Whole {
            map.serialize_entry("objectTypeAttribute", &show.attribute(self.attribute, false))?;
        }
        map.serialize_entry("objectAttributeValues", &self.values)?;
        map.serialize_entry("objectId", &show.written_id(object.id))?;
        map.end()
    }
}

/// A value, in the shape of its kind.
enum ValueView<'s, 'a> {
    /// The value, and as people see it.
    Plain(Cow<'s, str>, Cow<'s, str>),
    Reference(ObjectView<'s, 'a>),
    User(&'s Show<'a>, &'s User),
    Group(&'s Show<'a>, &'s str),
    Status(&'s Show<'a>, &'s StatusType),
}

impl Serialize for ValueView<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (shown, search): (Cow<'_, str>, Cow<'_, str>) = match self {
            Self::Plain(value, shown) => {
                map.serialize_entry("value", value)?;
                (Cow::Borrowed(shown), Cow::Borrowed(value))
            }
            Self::Reference(object) => {
                map.serialize_entry("referencedObject", object)?;
                (object.label(), Cow::Borrowed(&object.object.key))
            }
            Self::User(show, user) => {
                map.serialize_entry("user", &show.user(user))?;
                (Cow::Borrowed(&user.display_name), Cow::Borrowed(&user.id))
            }
            Self::Group(show, name) => {
                map.serialize_entry("group", &json!({"avatarUrl": format!("{}/avatar/group.png", show.base_url), "name": name}))?;
                (Cow::Borrowed(name), Cow::Borrowed(name))
            }
            Self::Status(show, status) => {
                map.serialize_entry("status", &show.status(status))?;
                (Cow::Borrowed(&status.name), Cow::Owned(status.id.to_string()))
            }
        };
        map.serialize_entry("displayValue", &shown)?;
        map.serialize_entry("searchValue", &search)?;
        map.serialize_entry("referencedType", &matches!(self, Self::Reference(_)))?;
        map.end()
    }
}

/// An id: text on Cloud, a number on Data Center.
struct WrittenId {
    id: u64,
    is_text: bool,
}

impl Serialize for WrittenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_text { serializer.collect_str(&self.id) } else { serializer.serialize_u64(self.id) }
    }
}
