//! Objects and where they are found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dewpoint_sim_kit::hash::{keyed, mix};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longer values are not found by an index.
const INDEXED_CHARS_MAX: usize = 450;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its number.
    pub id: u64,
    /// Its object type.
    pub type_id: u64,
    /// Its key, as in `CLOUD-5001`.
    pub key: String,
    /// Values by attribute, as they are stored: a reference by the object's id, a status by its id, a user by the account's id or key, a group by name. What is
    /// empty is not there.
    pub values: BTreeMap<u64, Vec<String>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// What was done to it, the oldest first.
    #[serde(default)]
    pub history: Vec<Change>,
    /// Put away by people; searches do not show it. Data Center only.
    #[serde(default)]
    pub archived: bool,
}

impl Object {
    /// The first value of an attribute, as it is stored; empty when there is none.
    pub fn value(&self, attribute: u64) -> &str {
        self.values.get(&attribute).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// All values of an attribute, as they are stored.
    pub fn values(&self, attribute: u64) -> &[String] {
        self.values.get(&attribute).map_or(&[], Vec::as_slice)
    }
}

/// An entry of an object's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub id: u64,
    /// Who did it: the account's id or key.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The attribute's name; none where the object was made.
    pub attribute: Option<String>,
    /// What was there, as people see it.
    pub old: String,
    /// What is there now, as people see it.
    pub new: String,
}

/// Numbers, mostly one.
#[derive(Clone, Debug)]
enum Ids {
    One(u64),
    Many(BTreeSet<u64>),
}

/// All objects, and indexes of their values and references.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Store {
    /// Attributes whose values are numbers of objects.
    references: BTreeSet<u64>,
    objects: BTreeMap<u64, Object>,
    by_type: HashMap<u64, BTreeSet<u64>>,
    /// By the hash of attribute and value without case: what is found has to be looked at.
    by_value: HashMap<u64, Ids>,
    /// Who refers to this object, by which attribute.
    by_reference: HashMap<u64, BTreeSet<(u64, u64)>>,
    /// What objects were before they changed, as long as somebody wants to know.
    journal: Option<Vec<(u64, Option<Object>)>>,
}

/// A store as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    references: BTreeSet<u64>,
    objects: Vec<Object>,
}

impl From<Stored> for Store {
    fn from(stored: Stored) -> Self {
        let mut store = Self { references: stored.references, ..Self::default() };
        for object in stored.objects {
            store.put(object);
        }
        store
    }
}

impl From<Store> for Stored {
    fn from(store: Store) -> Self {
        Self { references: store.references, objects: store.objects.into_values().collect() }
    }
}

impl Store {
    pub(crate) fn get(&self, id: u64) -> Option<&Object> {
        self.objects.get(&id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Puts an object in; one with the same number goes.
    pub(crate) fn put(&mut self, object: Object) {
        let id = object.id;
        let before = self.take(id);
        if let Some(journal) = &mut self.journal {
            journal.push((id, before));
        }
        for (attribute, values) in &object.values {
            for value in values {
                if let Some(hash) = hash(*attribute, value) {
                    match self.by_value.entry(hash).or_insert(Ids::One(id)) {
                        Ids::One(only) if *only == id => {}
                        Ids::Many(ids) => {
                            ids.insert(id);
                        }
                        one @ Ids::One(_) => {
                            let Ids::One(first) = *one else { continue };
                            *one = Ids::Many([first, id].into_iter().collect());
                        }
                    }
                }
                if self.references.contains(attribute)
                    && let Ok(target) = value.parse()
                {
                    self.by_reference.entry(target).or_default().insert((id, *attribute));
                }
            }
        }
        self.by_type.entry(object.type_id).or_default().insert(id);
        self.objects.insert(id, object);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Object> {
        let object = self.take(id)?;
        if let Some(journal) = &mut self.journal {
            journal.push((id, Some(object.clone())));
        }
        Some(object)
    }

    /// Begins to note what changes, or ends.
    pub(crate) fn watch(&mut self, is_watched: bool) {
        if is_watched != self.journal.is_some() {
            self.journal = is_watched.then(Vec::new);
        }
    }

    /// What changed since this was last asked.
    pub(crate) fn changed(&mut self) -> Vec<(u64, Option<Object>)> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn take(&mut self, id: u64) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        if let Some(ids) = self.by_type.get_mut(&object.type_id) {
            ids.remove(&id);
        }
        for (attribute, values) in &object.values {
            for value in values {
                if let Some(hash) = hash(*attribute, value) {
                    let is_empty = match self.by_value.get_mut(&hash) {
                        Some(Ids::Many(ids)) => {
                            ids.remove(&id);
                            ids.is_empty()
                        }
                        Some(Ids::One(only)) => *only == id,
                        None => false,
                    };
                    if is_empty {
                        self.by_value.remove(&hash);
                    }
                }
                if self.references.contains(attribute)
                    && let Ok(target) = value.parse()
                    && let Some(sources) = self.by_reference.get_mut::<u64>(&target)
                {
                    sources.remove(&(id, *attribute));
                    if sources.is_empty() {
                        self.by_reference.remove(&target);
                    }
                }
            }
        }
        Some(object)
    }

    /// Those of one type, not of those below it.
    pub(crate) fn of_type(&self, type_id: u64) -> impl Iterator<Item = u64> + '_ {
        self.by_type.get(&type_id).into_iter().flatten().copied()
    }

    pub(crate) fn count_of_type(&self, type_id: u64) -> usize {
        self.by_type.get(&type_id).map_or(0, BTreeSet::len)
    }

    /// Those that may have this value, whatever its case; `None` where values of this length are not indexed.
    pub(crate) fn having(&self, attribute: u64, value: &str) -> Option<Vec<u64>> {
        let found = match self.by_value.get(&hash(attribute, value)?) {
            None => Vec::new(),
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.iter().copied().collect(),
        };
        Some(found)
    }

    /// How many these are.
    pub(crate) fn count_having(&self, attribute: u64, value: &str) -> Option<usize> {
        let count = match self.by_value.get(&hash(attribute, value)?) {
            None => 0,
            Some(Ids::One(_)) => 1,
            Some(Ids::Many(ids)) => ids.len(),
        };
        Some(count)
    }

    /// Which objects refer to this one, by which attributes.
    pub(crate) fn referring_to(&self, target: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.by_reference.get(&target).into_iter().flatten().copied()
    }

    /// From now on the values of this attribute, which has none yet, are references.
    pub(crate) fn add_reference(&mut self, attribute: u64) {
        self.references.insert(attribute);
    }
}

fn hash(attribute: u64, value: &str) -> Option<u64> {
    (value.len() <= INDEXED_CHARS_MAX * 4).then(|| keyed(mix(attribute), &fold(value)))
}

/// A text without case.
pub(crate) fn fold(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        std::borrow::Cow::Borrowed(text)
    } else {
        std::borrow::Cow::Owned(text.to_lowercase())
    }
}
