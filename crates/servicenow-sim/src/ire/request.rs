//! The payload as it was sent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::reply::ApiError;

/// What one request wants to be made true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) items: Vec<Item>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) references: Vec<Reference>,
    /// Places of items by their internal identifiers.
    ids: HashMap<String, usize>,
}

/// A configuration item, or a row that goes with one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    pub(crate) class: String,
    pub(crate) internal_id: Option<String>,
    pub(crate) values: BTreeMap<String, String>,
    /// Values that were not text.
    pub(crate) not_text: Vec<String>,
    pub(crate) lookup: Vec<Item>,
    pub(crate) related: Vec<Item>,
    pub(crate) settings: BTreeMap<String, bool>,
    pub(crate) source: Option<SourceInfo>,
    /// As it was sent, for the tables of parked payloads.
    pub(crate) raw: Arc<Value>,
}

/// `sys_object_source_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceInfo {
    pub(crate) name: String,
    pub(crate) native_key: String,
    pub(crate) feed: String,
    pub(crate) recency: String,
}

impl SourceInfo {
    pub(crate) fn is_complete(&self) -> bool {
        !self.name.is_empty() && !self.native_key.is_empty()
    }
}

/// One end of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Index(i64),
    InternalId(String),
    Missing,
}

#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) kind: String,
    pub(crate) parent: End,
    pub(crate) child: End,
    /// `sys_rel_source_info`: name and feed.
    pub(crate) source: Option<(String, String)>,
}

/// One of `referenceItems`.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) referenced: End,
    pub(crate) referenced_by: End,
    pub(crate) field: String,
}

impl Payload {
    /// Reads a body. What the engine's parser itself chokes on is a 500.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| unreadable("JsonParseException", &error.to_string()))?;
        let object = body.as_object().ok_or_else(|| unreadable("MismatchedInputException", "the payload is no object"))?;
        if !object.contains_key("items") {
            return Err(unreadable("MismatchedInputException", "the payload has no items"));
        }
        let items: Vec<Item> = list(object, "items")?.iter().map(item).collect::<Result<_, _>>()?;
        let relations = list(object, "relations")?.iter().map(relation).collect::<Result<_, _>>()?;
        let references = list(object, "referenceItems")?.iter().map(reference).collect::<Result<_, _>>()?;
        let mut ids = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = &item.internal_id {
                ids.entry(id.clone()).or_insert(index);
            }
        }
        Ok(Self { items, relations, references, ids })
    }

    /// Items by class.
    pub(crate) fn classes(&self) -> BTreeMap<String, usize> {
        let mut classes = BTreeMap::new();
        for item in &self.items {
            *classes.entry(item.class.clone()).or_default() += 1;
        }
        classes
    }

    /// What its items name: a record, or else what they are to their source.
    pub(crate) fn named(&self) -> BTreeSet<String> {
        let name = |item: &Item| item.values.get("sys_id").cloned().or_else(|| Some(item.source.as_ref()?.native_key.clone()));
        self.items.iter().filter_map(name).filter(|name| !name.is_empty()).collect()
    }

    /// The item that an end of a relation means.
    pub(crate) fn item_at(&self, end: &End) -> Option<usize> {
        match end {
            End::Index(index) => usize::try_from(*index).ok().filter(|index| *index < self.items.len()),
            End::InternalId(id) => self.ids.get(id).copied(),
            End::Missing => None,
        }
    }
}

fn item(value: &Value) -> Result<Item, ApiError> {
    let object = value.as_object().ok_or_else(|| unreadable("MismatchedInputException", "an item is no object"))?;
    let mut item = Item { class: text(object, "className"), raw: Arc::new(value.clone()), ..Item::default() };
    item.internal_id = Some(text(object, "internal_id")).filter(|id| !id.is_empty());
    match object.get("values") {
        None => {}
        Some(Value::Object(values)) => {
            for (name, value) in values {
                match value {
                    Value::String(text) => {
                        item.values.insert(name.clone(), text.clone());
                    }
                    other => {
                        item.not_text.push(name.clone());
                        if let Some(text) = crate::table::value::text(other) {
                            item.values.insert(name.clone(), text);
                        }
                    }
                }
            }
        }
        Some(_) => return Err(unreadable("MismatchedInputException", "values is no object")),
    }
    for (name, into) in [("lookup", &mut item.lookup), ("related", &mut item.related)] {
        for value in list(object, name)? {
            into.push(self::item(value)?);
        }
    }
    if let Some(settings) = object.get("settings").and_then(Value::as_object) {
        item.settings =
            settings.iter().map(|(name, value)| (name.clone(), value.as_bool().unwrap_or(value.as_str() == Some("true")))).collect();
    }
    item.source = object.get("sys_object_source_info").and_then(Value::as_object).map(|source| SourceInfo {
        name: text(source, "source_name"),
        native_key: text(source, "source_native_key"),
        feed: text(source, "source_feed"),
        recency: text(source, "source_recency_timestamp"),
    });
    Ok(item)
}

fn relation(value: &Value) -> Result<Relation, ApiError> {
    let object = value.as_object().ok_or_else(|| unreadable("MismatchedInputException", "a relation is no object"))?;
    let source = object.get("sys_rel_source_info").and_then(Value::as_object).map(|source| {
        let feed = text(source, "source_feed");
        (text(source, "source_name"), if feed.is_empty() { "UNKNOWN".to_owned() } else { feed })
    });
    Ok(Relation { kind: text(object, "type"), parent: end(object, "parent")?, child: end(object, "child")?, source })
}

fn reference(value: &Value) -> Result<Reference, ApiError> {
    let object = value.as_object().ok_or_else(|| unreadable("MismatchedInputException", "a reference is no object"))?;
    Ok(Reference {
        referenced: end(object, "referenced")?,
        referenced_by: end(object, "referencedBy")?,
        field: text(object, "referenceField"),
    })
}

/// An index that a Java `Integer` can be read from, else the internal identifier.
fn end(object: &Map<String, Value>, name: &str) -> Result<End, ApiError> {
    let id = text(object, &format!("{name}_id"));
    match object.get(name) {
        None | Some(Value::Null) if id.is_empty() => Ok(End::Missing),
        None | Some(Value::Null) => Ok(End::InternalId(id)),
        Some(value) => {
            let number = match value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            number.filter(|number| i32::try_from(*number).is_ok()).map(End::Index).ok_or_else(|| {
                let shown = format!("Can not deserialize value of type java.lang.Integer from {value}: not a valid Integer value");
                unreadable("InvalidFormatException", &shown)
            })
        }
    }
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], ApiError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(unreadable("MismatchedInputException", &format!("{name} is no list"))),
    }
}

fn text(object: &Map<String, Value>, name: &str) -> String {
    object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn unreadable(exception: &str, why: &str) -> ApiError {
    ApiError::new(500, "Error processing the payload", Some(&format!("com.fasterxml.jackson.databind.exc.{exception}: {why}")))
}
