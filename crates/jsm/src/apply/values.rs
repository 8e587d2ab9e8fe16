//! What goes into the attributes of an object.

use std::collections::BTreeMap;

use dewpoint_core::model::Key;
use dewpoint_core::target::{TargetError, Write};
use dewpoint_target_kit::Shape as _;
use jiff::Timestamp;
use serde_json::Value;

use super::Batch;
use crate::api::Written;
use crate::blueprint::{form, named};
use crate::external_id::{distinct_id, external_id, is_shortened};
use crate::mapping::{DATA, DELIVERED_AT, ESTATE_ID, EXTERNAL_ID, EdgeMapping, NAME};
use crate::object::Data;
use crate::reading::Stand;
use crate::resolver::Resolver;
use crate::shape::{AttributeShape, date_time};

/// A request in the making.
pub(super) struct Draft {
    /// Name of the object's type.
    pub(super) class: String,
    /// How the object stands afterwards.
    pub(super) stand: Stand,
    /// Fields by the ids of their attributes.
    values: Written,
    names: BTreeMap<String, String>,
    /// Attributes whose references change, by id.
    touched: BTreeMap<String, String>,
    /// What they came to refer to, by id.
    added: BTreeMap<String, Vec<Added>>,
    /// Writes whose reference the site refused, and why.
    refused: BTreeMap<usize, String>,
    pub(super) sent: BTreeMap<String, Value>,
    pub(super) left: BTreeMap<String, String>,
    /// Attributes that mark the object, by name, where they change.
    marks: BTreeMap<&'static str, String>,
    has_other_data: bool,
    /// When its resource was seen, where only that is noted.
    pub(super) seen_at: Option<Timestamp>,
}

/// A reference that a write adds.
struct Added {
    number: usize,
    relation: String,
    other: String,
}

impl Draft {
    pub(super) fn of(stand: Stand) -> Self {
        Self {
            class: stand.class.clone(),
            stand,
            values: Written::new(),
            names: BTreeMap::new(),
            touched: BTreeMap::new(),
            added: BTreeMap::new(),
            refused: BTreeMap::new(),
            sent: BTreeMap::new(),
            left: BTreeMap::new(),
            marks: BTreeMap::new(),
            has_other_data: false,
            seen_at: None,
        }
    }

    /// Whether nothing of the object would change.
    pub(super) fn is_idle(&self) -> bool {
        self.values.is_empty() && self.touched.is_empty() && self.marks.is_empty() && !self.has_other_data
    }

    /// Whether it writes what is kept as a whole, so that what stands there has to be known for certain.
    pub(super) fn rewrites(&self) -> bool {
        !self.touched.is_empty() || self.has_other_data
    }

    /// Why the site refused the reference of a write.
    pub(super) fn refusal(&self, number: usize) -> Option<&str> {
        self.refused.get(&number).map(String::as_str)
    }

    /// Goes by an external id that no other key has, whatever its case.
    pub(super) fn go_by_distinct_id(&mut self, key: &Key) {
        self.marks.insert(EXTERNAL_ID, distinct_id(key));
        self.stand.external_id = Some(distinct_id(key));
        self.data().key = Some(key.to_string());
        self.has_other_data = true;
    }

    fn data(&mut self) -> &mut Data {
        self.stand.data.get_or_insert_default()
    }

    /// Takes out what was refused, where that can be done without. Whether it could.
    pub(super) fn amend(&mut self, by_attribute: &BTreeMap<String, String>) -> bool {
        if by_attribute.is_empty() || !by_attribute.keys().all(|id| self.values.contains_key(id) || self.added.contains_key(id)) {
            return false;
        }
        // An object cannot do without its name.
        let is_name = |id: &String| self.names.get(id).is_some_and(|name| name == NAME);
        let plain = |id: &String| self.values.get(id)?.first().and_then(|text| without_reserved(text));
        if by_attribute.keys().any(|id| is_name(id) && plain(id).is_none()) {
            return false;
        }
        for (id, why) in by_attribute {
            for Added { number, relation, other } in self.added.remove(id).unwrap_or_default() {
                self.refused.insert(number, why.clone());
                if let Some(others) = self.data().edges.get_mut(&relation) {
                    others.remove(&other);
                }
                if let Some(references) = self.touched.get(id).and_then(|attribute| self.stand.references.get_mut(attribute)) {
                    references.remove(&other);
                }
            }
            let Some((name, values)) = self.names.get(id).zip(self.values.get_mut(id)) else { continue };
            let plain = values.first().filter(|_| name == NAME).and_then(|text| without_reserved(text));
            if let Some(plain) = plain {
                self.sent.insert(name.clone(), Value::from(plain.clone()));
                *values = vec![plain];
            } else if values.is_empty() {
                // Some sites empty an attribute by a value without text.
                *values = vec![String::new()];
            } else {
                self.left.insert(name.clone(), why.clone());
                self.sent.remove(name);
                self.values.remove(id);
            }
        }
        true
    }
}

impl Batch<'_> {
    /// Puts in fields.
    pub(super) fn put_fields(&self, draft: &mut Draft, write: &Write, fields: &BTreeMap<String, Value>) {
        for (name, value) in fields {
            let Some(attribute) = self.reader.schema.attribute(&draft.class, name) else {
                draft.sent.insert(name.clone(), Value::Null);
                draft.left.insert(name.clone(), format!("type `{}` has no such attribute: `dewpoint bootstrap` makes it", draft.class));
                continue;
            };
            let field = self.reader.mapping.sheet().field(write.kind, name);
            let shape = field.map(|field| field.shape.clone()).unwrap_or_default();
            let wanted = form(&shape);
            if attribute.form != wanted {
                let why = format!("the attribute is there as {}, and {} is wanted", named(attribute.form), named(wanted));
                draft.left.insert(name.clone(), why);
                continue;
            }
            let values = match value.as_str() {
                None => Vec::new(),
                Some(text) if Resolver::resolves(&shape) => match self.resolver.get(&shape, text) {
                    Ok(id) => {
                        draft.sent.insert(name.clone(), id.clone().into());
                        vec![id]
                    }
                    Err(why) => {
                        draft.left.insert(name.clone(), why);
                        continue;
                    }
                },
                Some(text) if shape == AttributeShape::Lifecycle => match self.reader.schema.statuses.get(text) {
                    Some(id) => vec![id.clone()],
                    None => {
                        draft.left.insert(name.clone(), format!("the schema has no status `{text}`: `dewpoint bootstrap` makes it"));
                        continue;
                    }
                },
                Some(text) => vec![text.to_owned()],
            };
            draft.names.insert(attribute.id.clone(), name.clone());
            draft.values.insert(attribute.id.clone(), values);
        }
    }

    /// Marks the object as ours, and as this write's.
    pub(super) fn put_marks(&self, draft: &mut Draft, write: &Write) {
        if draft.stand.key.as_ref() != Some(&write.key) {
            let text = external_id(&write.key);
            draft.marks.insert(EXTERNAL_ID, text.clone());
            draft.stand.external_id = Some(text);
        }
        if draft.stand.estate.as_ref() != Some(self.sending.estate) {
            draft.marks.insert(ESTATE_ID, self.sending.estate.0.clone());
        }
        draft.stand.key = Some(write.key.clone());
        draft.stand.estate = Some(self.sending.estate.clone());
        let is_shortened = draft.stand.external_id.as_deref().is_some_and(|text| is_shortened(text, &write.key));
        let whole = is_shortened.then(|| write.key.to_string());
        let is_unreadable = draft.stand.data.is_none();
        let data = draft.data();
        if data.key != whole || data.kind != Some(write.kind) || is_unreadable {
            data.key = whole;
            data.kind = Some(write.kind);
            draft.has_other_data = true;
        }
    }

    /// Has the object refer to another, as an edge of this type.
    pub(super) fn put_edge(&self, draft: &mut Draft, number: usize, held: &EdgeMapping, other: &str) -> Result<(), TargetError> {
        let id = self.attribute(&draft.class, &held.attribute)?;
        let relation = held.relation.as_str().to_owned();
        let is_ours_already = self.sharing(&draft.class, held).chain([held]).any(|edge| {
            let relation = edge.relation.as_str();
            draft.stand.data.as_ref().is_some_and(|data| data.notes(relation, other) && !data.is_found(relation, other))
        });
        let is_new = draft.stand.references.entry(held.attribute.clone()).or_default().insert(other.to_owned());
        let data = draft.data();
        let mut is_noted = data.edges.entry(relation.clone()).or_default().insert(other.to_owned());
        if is_new {
            is_noted |= data.found.get_mut(&relation).is_some_and(|found| found.remove(other));
        } else if is_noted && !is_ours_already {
            data.found.entry(relation.clone()).or_default().insert(other.to_owned());
        }
        draft.has_other_data |= is_noted;
        if is_new {
            draft.touched.insert(id.clone(), held.attribute.clone());
            draft.added.entry(id).or_default().push(Added { number, relation, other: other.to_owned() });
        }
        Ok(())
    }

    /// The other edges that the same attribute of a type holds.
    fn sharing<'e>(&'e self, class: &str, held: &'e EdgeMapping) -> impl Iterator<Item = &'e EdgeMapping> {
        self.reader.mapping.edges_in(class).filter(|edge| edge.attribute == held.attribute && edge.relation != held.relation)
    }

    /// Has the object refer to another no more, as an edge of this type. What people had related before stays.
    pub(super) fn take_edge(&self, draft: &mut Draft, relation: &str, other: &str) {
        let data = draft.data();
        let is_noted = data.edges.get_mut(relation).is_some_and(|others| others.remove(other));
        let is_found = data.found.get_mut(relation).is_some_and(|others| others.remove(other));
        draft.has_other_data |= is_noted || is_found;
        let held = self.reader.mapping.edges_in(&draft.class).find(|edge| edge.relation.as_str() == relation);
        let Some(held) = held.filter(|_| !is_found) else { return };
        let is_held_on = self
            .sharing(&draft.class, held)
            .any(|edge| draft.stand.data.as_ref().is_some_and(|data| data.notes(edge.relation.as_str(), other)));
        let Some(references) = draft.stand.references.get_mut(&held.attribute).filter(|_| !is_held_on) else { return };
        if references.remove(other)
            && let Some(attribute) = self.reader.schema.attribute(&draft.class, &held.attribute)
        {
            draft.touched.insert(attribute.id.clone(), held.attribute.clone());
        }
    }

    /// Has the object refer to nothing any more that we related it to.
    pub(super) fn take_all_edges(&self, draft: &mut Draft) {
        for (relation, others) in draft.data().edges.clone() {
            for other in others {
                self.take_edge(draft, &relation, &other);
            }
        }
    }

    /// Has the object refer to none of these any more, as far as we related it to them.
    pub(super) fn take_edges_to<'o>(&self, draft: &mut Draft, others: impl Iterator<Item = &'o String>) {
        let noted = draft.data().edges.clone();
        for other in others {
            for relation in noted.iter().filter(|(_, noted)| noted.contains(other)).map(|(relation, _)| relation) {
                self.take_edge(draft, relation, other);
            }
        }
    }

    /// The time that is noted on an object that is written.
    pub(super) fn noted_at(&self, draft: &Draft) -> Timestamp {
        draft.seen_at.unwrap_or(self.sending.at)
    }

    /// All that is to be written.
    pub(super) fn compose(&self, draft: &mut Draft) -> Result<Written, TargetError> {
        let mut written = draft.values.clone();
        for (id, attribute) in &draft.touched {
            let references = draft.stand.references.get(attribute).into_iter().flatten().cloned();
            written.insert(id.clone(), references.collect());
        }
        let mut marks = draft.marks.clone();
        // What was written since it was seen is known to be later.
        let is_later = draft.seen_at.is_some() && draft.stand.delivered_at >= draft.seen_at;
        if draft.stand.estate.is_some() && !is_later {
            marks.insert(DELIVERED_AT, date_time(self.noted_at(draft)));
        }
        // A stranger's object is noted on what we related it to, where its type has a place for that.
        let has_place = draft.stand.estate.is_some() || self.reader.schema.attribute(&draft.class, DATA).is_some();
        if draft.has_other_data && has_place {
            let data = draft.data();
            data.edges.retain(|_, others| !others.is_empty());
            data.found.retain(|_, others| !others.is_empty());
            let text = serde_json::to_string(draft.data()).map_err(|error| self.reader.api.assets.rejected(error.to_string()))?;
            marks.insert(DATA, text);
        }
        for (attribute, text) in marks {
            written.insert(self.attribute(&draft.class, attribute)?, vec![text]);
        }
        Ok(written)
    }

    /// Id of an attribute that has to be there.
    pub(super) fn attribute(&self, class: &str, attribute: &str) -> Result<String, TargetError> {
        let found = self.reader.schema.attribute(class, attribute);
        found.map(|attribute| attribute.id.clone()).ok_or_else(|| {
            let api = &self.reader.api.assets;
            api.rejected(format!("type `{class}` has no attribute `{attribute}`: run `dewpoint bootstrap {}`", api.target()))
        })
    }
}

/// What a value is where the attribute refuses characters that names of objects may not have.
///
/// Source: none of Atlassian's; refusals were seen on Data Center.
fn without_reserved(text: &str) -> Option<String> {
    const RESERVED: &[char] = &['=', ';', ':', '?', '.', '"'];
    if !text.contains(RESERVED) {
        return None;
    }
    let plain = text.replace(RESERVED, " ");
    AttributeShape::Text.fit(Value::from(plain)).ok().flatten().and_then(|value| value.as_str().map(str::to_owned))
}
