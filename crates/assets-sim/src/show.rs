//! Everything as bodies have it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

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
    shown: Value,
    attributes: Vec<&'a Attribute>,
    label: Option<&'a Attribute>,
}

/// Writes a site's things as its deployment does.
pub(crate) struct Show<'a> {
    site: &'a Site,
    base_url: &'a str,
    types: HashMap<u64, Known<'a>>,
    without_hidden: bool,
}

impl<'a> Show<'a> {
    pub(crate) fn new(site: &'a Site, base_url: &'a str) -> Self {
        Self { site, base_url, types: HashMap::new(), without_hidden: false }
    }

    /// The same without attributes that users do not see.
    pub(crate) fn without_hidden(mut self, is_without: bool) -> Self {
        self.without_hidden = is_without;
        self
    }

    /// An id: text on Cloud, a number on Data Center.
    pub(crate) fn id(&self, id: u64) -> Value {
        if self.site.is_cloud() { json!(id.to_string()) } else { json!(id) }
    }

    /// The address of the interface.
    pub(crate) fn api(&self) -> String {
        if self.site.is_cloud() {
            format!("{}/jsm/assets/workspace/{}/v1", self.base_url, self.site.workspace_id)
        } else {
            format!("{}/rest/assets/1.0", self.base_url)
        }
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
        let url = |size: u8| format!("{}/icon/{}/icon.png?size={size}", self.api(), icon.id);
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
            shown.insert("parentObjectTypeId".to_owned(), self.id(parent.id));
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

    fn known(&mut self, type_id: u64) -> &Known<'a> {
        if !self.types.contains_key(&type_id) {
            let shown = self.site.types.get(&type_id).map(|object_type| self.object_type(object_type, false));
            let mut attributes = self.site.attributes_of(type_id);
            attributes.retain(|attribute| !(attribute.hidden && self.without_hidden));
            let known = Known { shown: shown.unwrap_or_default(), attributes, label: self.site.label_of(type_id) };
            self.types.insert(type_id, known);
        }
        self.types.entry(type_id).or_insert_with(|| Known { shown: Value::Null, attributes: Vec::new(), label: None })
    }

    pub(crate) fn object(&mut self, object: &Object, detail: Detail) -> Value {
        let mut shown = self.head(object);
        if detail != Detail::None
            && let Some(members) = shown.as_object_mut()
        {
            let attributes = self.object_attributes(object, detail);
            members.insert("attributes".to_owned(), attributes);
        }
        shown
    }

    /// An object without its attributes.
    fn head(&mut self, object: &Object) -> Value {
        let site = self.site;
        let known = self.known(object.type_id);
        let object_type = known.shown.clone();
        let label =
            known.label.and_then(|attribute| site.shown(object, attribute).into_iter().next()).unwrap_or_else(|| object.key.clone());
        let api = self.api();
        let picture = |size: u16| format!("{api}/avatar/default.png?size={size}");
        let mut avatar = json!({
            "url16": picture(16),
            "url48": picture(48),
            "url72": picture(72),
            "url144": picture(144),
            "url288": picture(288),
            "objectId": self.id(object.id),
        });
        if let (true, Some(avatar)) = (site.is_cloud(), avatar.as_object_mut()) {
            avatar.insert("workspaceId".to_owned(), json!(site.workspace_id));
        }
        let mut shown = json!({
            "label": label,
            "objectKey": object.key,
            "avatar": avatar,
            "objectType": object_type,
            "created": value::stamp(object.created),
            "updated": value::stamp(object.updated),
            "hasAvatar": false,
            "timestamp": object.updated.as_millisecond(),
            "_links": {"self": format!("{api}/object/{}", object.id)},
            "name": label,
        });
        if let (false, Some(shown)) = (site.is_cloud(), shown.as_object_mut()) {
            shown.insert("archived".to_owned(), json!(object.archived));
        }
        self.extended(object.id, shown)
    }

    /// The attributes of an object that have values.
    pub(crate) fn object_attributes(&mut self, object: &Object, detail: Detail) -> Value {
        let attributes = self.known(object.type_id).attributes.clone();
        let entries = attributes.into_iter().filter_map(|attribute| {
            let values = self.values(object, attribute);
            if values.is_empty() {
                return None;
            }
            let mut entry = json!({
                "objectTypeAttributeId": self.id(attribute.id),
                "objectAttributeValues": values,
                "objectId": self.id(object.id),
            });
            if let (true, Some(entry)) = (detail == Detail::Whole, entry.as_object_mut()) {
                entry.insert("objectTypeAttribute".to_owned(), self.attribute(attribute, false));
            }
            // An attribute of an object is a thing of its own.
            Some(self.extended(object.id.saturating_mul(100_000).saturating_add(attribute.id), entry))
        });
        Value::Array(entries.collect())
    }

    fn values(&mut self, object: &Object, attribute: &Attribute) -> Vec<Value> {
        let plain =
            |value: &str, shown: String| json!({"value": value, "displayValue": shown, "searchValue": value, "referencedType": false});
        match attribute.system {
            Some(System::Key) => return vec![plain(&object.key, object.key.clone())],
            Some(System::Created) => return vec![plain(&value::stamp(object.created), value::displayed_stamp(object.created))],
            Some(System::Updated) => return vec![plain(&value::stamp(object.updated), value::displayed_stamp(object.updated))],
            None => {}
        }
        let site = self.site;
        let mut shown = Vec::new();
        for stored in object.values(attribute.id) {
            let value = match &attribute.kind {
                Kind::Default(form) => plain(stored, value::displayed(*form, stored)),
                Kind::Reference { .. } => {
                    let Some(referenced) = stored.parse().ok().and_then(|id| site.store.get(id)) else { continue };
                    json!({
                        "referencedObject": self.head(referenced),
                        "displayValue": site.label(referenced),
                        "searchValue": referenced.key,
                        "referencedType": true,
                    })
                }
                Kind::User { .. } => {
                    let Some(user) = site.users.iter().find(|user| user.id == *stored) else { continue };
                    json!({"user": self.user(user), "displayValue": user.display_name, "searchValue": user.id, "referencedType": false})
                }
                Kind::Group => json!({
                    "group": {"avatarUrl": format!("{}/avatar/group.png", self.base_url), "name": stored},
                    "displayValue": stored,
                    "searchValue": stored,
                    "referencedType": false,
                }),
                Kind::Status { .. } => {
                    let Some(status) = stored.parse().ok().and_then(|id: u64| site.statuses.get(&id)) else { continue };
                    json!({
                        "status": self.status(status),
                        "displayValue": status.name,
                        "searchValue": status.id.to_string(),
                        "referencedType": false,
                    })
                }
            };
            shown.push(value);
        }
        shown
    }

    /// The attributes of these types, each once.
    pub(crate) fn attributes_of_types(&mut self, types: impl IntoIterator<Item = u64>) -> Value {
        let mut seen: Vec<&Attribute> = Vec::new();
        for type_id in types {
            for attribute in self.known(type_id).attributes.clone() {
                if !seen.iter().any(|other| other.id == attribute.id) {
                    seen.push(attribute);
                }
            }
        }
        Value::Array(seen.into_iter().map(|attribute| self.attribute(attribute, true)).collect())
    }
}
