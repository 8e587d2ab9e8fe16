//! The schema's types, attributes and statuses with the ids that they have on the site.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use crate::object::Id;

/// A page of the list of schemas on Cloud; Data Center gives them all under another name.
#[derive(Debug, Deserialize)]
pub(crate) struct Schemas {
    #[serde(default, alias = "objectschemas")]
    pub(crate) values: Vec<SchemaHead>,
    #[serde(default, rename = "isLast")]
    pub(crate) is_last: Option<bool>,
}

/// A schema.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaHead {
    pub(crate) id: Id,
    pub(crate) object_schema_key: String,
    /// How many objects it holds.
    #[serde(default)]
    pub(crate) object_count: Option<u64>,
}

/// An object type as the schema lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawType {
    pub(crate) id: Id,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parent_object_type_id: Option<Id>,
    /// Whether what lies below it has its attributes as well.
    #[serde(default)]
    pub(crate) inherited: Option<bool>,
}

/// An attribute as the schema lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawAttribute {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// The type that it is an attribute of.
    #[serde(default)]
    pub(crate) object_type: Option<TypeId>,
    #[serde(default, rename = "type")]
    pub(crate) sort: i32,
    #[serde(default)]
    pub(crate) default_type: Option<DefaultType>,
    #[serde(default)]
    pub(crate) unique_attribute: bool,
    /// The most values; -1 for any number.
    #[serde(default)]
    pub(crate) maximum_cardinality: Option<i64>,
    /// Type of the objects that it refers to.
    #[serde(default)]
    pub(crate) reference_object_type_id: Option<Id>,
    /// Of a status the ids of those that it takes, any where there are none; of a user the groups.
    #[serde(default)]
    pub(crate) type_value_multi: Option<Vec<Id>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TypeId {
    pub(crate) id: Id,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DefaultType {
    pub(crate) id: i32,
}

/// A status, with its category: 0 inactive, 1 active, 2 pending.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusType {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) category: i32,
}

/// A schema as it is on the site.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) id: String,
    /// By name.
    pub(crate) types: BTreeMap<String, ObjectType>,
    /// Names of types by id.
    names: HashMap<String, String>,
    /// Ids by name.
    pub(crate) statuses: BTreeMap<String, String>,
}

/// An object type with all its attributes, those of its ancestors as well.
#[derive(Debug, Clone)]
pub(crate) struct ObjectType {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    /// Whether what lies below it has its attributes as well.
    passes_on: bool,
    /// By name.
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) id: String,
    pub(crate) form: Form,
    pub(crate) is_unique: bool,
    /// Whether it takes any number of values.
    pub(crate) takes_many: bool,
    /// Id of the type of the objects that it refers to.
    pub(crate) refers_to: Option<String>,
    /// Ids of the statuses that it takes; any where there are none.
    pub(crate) statuses: BTreeSet<String>,
}

/// What an attribute holds, in the API's numbers.
///
/// Source: Assets REST API, "Object type attribute": `type` and `defaultTypeId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// 0 plain, 1 object, 2 user, 4 group, 7 status.
    pub(crate) sort: i32,
    /// Of plain ones: 0 text, 1 integer, 2 boolean, 3 double, 4 date, 5 time, 6 date and time, 7 URL, 8 mail address, 9 text area, 10 select, 11 IP address.
    pub(crate) plain: Option<i32>,
}

impl Schema {
    pub(crate) fn new(id: String, types: &[RawType], attributes: Vec<RawAttribute>, statuses: Vec<StatusType>) -> Self {
        let parents: HashMap<&str, &str> =
            types.iter().filter_map(|own| Some((own.id.0.as_str(), own.parent_object_type_id.as_ref()?.0.as_str()))).collect();
        let passes_on: HashSet<&str> = types.iter().filter(|own| own.inherited != Some(false)).map(|own| own.id.0.as_str()).collect();
        let mut by_type: HashMap<String, BTreeMap<String, Attribute>> = HashMap::new();
        for raw in attributes {
            let Some(of) = &raw.object_type else { continue };
            let attribute = Attribute {
                id: raw.id.0,
                form: Form { sort: raw.sort, plain: raw.default_type.map(|plain| plain.id).filter(|plain| *plain >= 0) },
                is_unique: raw.unique_attribute,
                takes_many: raw.maximum_cardinality.is_none_or(|most| most < 0),
                refers_to: raw.reference_object_type_id.map(|id| id.0),
                statuses: raw.type_value_multi.into_iter().flatten().map(|id| id.0).collect(),
            };
            by_type.entry(of.id.0.clone()).or_default().insert(raw.name, attribute);
        }
        let own = |id: &str| by_type.get(id).into_iter().flatten().map(|(name, attribute)| (name.clone(), attribute.clone()));
        let with_inherited = |id: &str| {
            let mut all: BTreeMap<String, Attribute> = own(id).collect();
            let mut at = id;
            // A circle of parents would be the site's own defect, and must not become ours.
            for _ in 0..types.len() {
                let Some(parent) = parents.get(at).filter(|parent| passes_on.contains(*parent)) else { break };
                for (name, attribute) in own(parent) {
                    all.entry(name).or_insert(attribute);
                }
                at = parent;
            }
            all
        };
        let typed = |raw: &RawType| {
            let parent = raw.parent_object_type_id.as_ref().map(|parent| parent.0.clone());
            let passes_on = passes_on.contains(raw.id.0.as_str());
            (raw.name.clone(), ObjectType { id: raw.id.0.clone(), parent, passes_on, attributes: with_inherited(&raw.id.0) })
        };
        Self {
            id,
            types: types.iter().map(typed).collect(),
            names: types.iter().map(|raw| (raw.id.0.clone(), raw.name.clone())).collect(),
            statuses: statuses.into_iter().map(|status| (status.name, status.id.0)).collect(),
        }
    }

    /// The types above one, from the nearest on, which is told by id.
    fn above<'s>(&'s self, id: &'s str) -> impl Iterator<Item = &'s ObjectType> {
        let by_id = |id: &str| self.types.values().find(|own| own.id == id);
        let above = move |own: &&ObjectType| by_id(own.parent.as_deref()?);
        // As in a circle of parents there is no end, none has more than there are types.
        std::iter::successors(by_id(id), above).skip(1).take(self.types.len())
    }

    /// Whether a type is another one, or lies below it; both by id.
    pub(crate) fn lies_in(&self, id: &str, other: &str) -> bool {
        id == other || self.above(id).any(|own| own.id == other)
    }

    /// Whether a type has the attributes of another one above it; both by id.
    pub(crate) fn inherits(&self, id: &str, other: &str) -> bool {
        self.above(id).take_while(|own| own.passes_on).any(|own| own.id == other)
    }

    /// The name of a type.
    pub(crate) fn name_of(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    /// An attribute of a type.
    pub(crate) fn attribute(&self, object_type: &str, name: &str) -> Option<&Attribute> {
        self.types.get(object_type)?.attributes.get(name)
    }
}
