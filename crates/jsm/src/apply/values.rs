//! What goes into the attributes of an object.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::target::{TargetError, Write};
use dewpoint_target_kit::Shape as _;
use serde_json::Value;

use super::Batch;
use crate::api::Written;
use crate::external_id::{external_id, is_shortened};
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
    /// Writes whose reference the site refused.
    refused: BTreeSet<usize>,
    pub(super) sent: BTreeMap<String, Value>,
    pub(super) left: BTreeMap<String, String>,
    /// Attributes that mark the object, by name, where they change.
    marks: BTreeMap<&'static str, String>,
    has_other_data: bool,
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
            refused: BTreeSet::new(),
            sent: BTreeMap::new(),
            left: BTreeMap::new(),
            marks: BTreeMap::new(),
            has_other_data: false,
        }
    }

    /// Whether nothing of the object would change.
    pub(super) fn is_idle(&self) -> bool {
        self.values.is_empty() && self.touched.is_empty() && self.marks.is_empty() && !self.has_other_data
    }

    /// Whether the site refused the reference of a write.
    pub(super) fn is_refused(&self, number: usize) -> bool {
        self.refused.contains(&number)
    }

    /// Keeps what an object that was found refers to.
    pub(super) fn join(&mut self, found: &Stand) {
        for (attribute, references) in &found.references {
            self.stand.references.entry(attribute.clone()).or_default().extend(references.iter().cloned());
        }
        for (relation, others) in found.data.iter().flat_map(|data| &data.edges) {
            self.data().edges.entry(relation.clone()).or_default().extend(others.iter().cloned());
        }
    }

    fn data(&mut self) -> &mut Data {
        self.stand.data.get_or_insert_default()
    }

    /// Takes out what was refused, where that can be done without. Whether it could.
    pub(super) fn amend(&mut self, by_attribute: &BTreeMap<String, String>) -> bool {
        if by_attribute.is_empty() || !by_attribute.keys().all(|id| self.values.contains_key(id) || self.added.contains_key(id)) {
            return false;
        }
        for (id, why) in by_attribute {
            for Added { number, relation, other } in self.added.remove(id).unwrap_or_default() {
                self.refused.insert(number);
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
            let values = match value.as_str() {
                None => Vec::new(),
                Some(text) if Resolver::resolves(&shape) => match self.resolver.get(&shape, text) {
                    Some(id) => {
                        draft.sent.insert(name.clone(), id.clone().into());
                        vec![id]
                    }
                    None => {
                        draft.left.insert(name.clone(), Resolver::why(&shape, text));
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
            draft.marks.insert(EXTERNAL_ID, external_id(&write.key));
        }
        if draft.stand.estate.as_ref() != Some(self.sending.estate) {
            draft.marks.insert(ESTATE_ID, self.sending.estate.0.clone());
        }
        draft.stand.key = Some(write.key.clone());
        draft.stand.estate = Some(self.sending.estate.clone());
        let whole = is_shortened(&write.key).then(|| write.key.to_string());
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
        let is_new = draft.stand.references.entry(held.attribute.clone()).or_default().insert(other.to_owned());
        if draft.stand.estate.is_some() && draft.data().edges.entry(relation.clone()).or_default().insert(other.to_owned()) {
            draft.has_other_data = true;
        }
        if is_new {
            draft.touched.insert(id.clone(), held.attribute.clone());
            draft.added.entry(id).or_default().push(Added { number, relation, other: other.to_owned() });
        }
        Ok(())
    }

    /// Has the object refer to another no more, as an edge of this type. What people related stays.
    pub(super) fn take_edge(&self, draft: &mut Draft, relation: &str, other: &str) {
        let is_noted = draft.data().edges.get_mut(relation).is_some_and(|others| others.remove(other));
        let is_ours = is_noted || draft.stand.estate.is_none();
        draft.has_other_data |= is_noted;
        let held = self.reader.mapping.edges_in(&draft.class).find(|edge| edge.relation.as_str() == relation);
        let Some(held) = held.filter(|_| is_ours) else { return };
        // An edge of another type may be held by the same attribute.
        let shares = |edge: &&EdgeMapping| edge.attribute == held.attribute && edge.relation != held.relation;
        let is_held_on = self.reader.mapping.edges_in(&draft.class).filter(shares).any(|edge| {
            draft.stand.data.as_ref().and_then(|data| data.edges.get(edge.relation.as_str())).is_some_and(|others| others.contains(other))
        });
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

    /// All that is to be written.
    pub(super) fn compose(&self, draft: &mut Draft) -> Result<Written, TargetError> {
        let mut written = draft.values.clone();
        for (id, attribute) in &draft.touched {
            let references = draft.stand.references.get(attribute).into_iter().flatten().cloned();
            written.insert(id.clone(), references.collect());
        }
        if draft.stand.estate.is_none() {
            return Ok(written);
        }
        let mut marks = draft.marks.clone();
        marks.insert(DELIVERED_AT, date_time(self.sending.at));
        if draft.has_other_data {
            draft.data().edges.retain(|_, others| !others.is_empty());
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
