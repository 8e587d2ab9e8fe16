//! Assets and what is between them, found by tag, by type and by either end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An asset as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// `id`.
    pub id: i64,
    /// `guid`.
    pub guid: String,
    /// `changeguid`: another one after each change.
    pub changeguid: String,
    /// `inventory_number`, the tag.
    pub inventory_number: String,
    /// `assettype_id`.
    pub assettype_id: i64,
    /// `site_id`.
    pub site_id: i64,
    /// `status_id`.
    pub status_id: i64,
    /// `inactive`.
    pub inactive: bool,
    /// `notes`.
    pub notes: String,
    /// Other members that are stored, such as `aws_id`, by name. Those that are missing have their defaults.
    #[serde(default)]
    pub members: BTreeMap<String, Value>,
    /// Values of asset fields, by the field's id. Empty ones are missing.
    #[serde(default)]
    pub values: BTreeMap<i64, String>,
    /// Values of custom fields, likewise.
    #[serde(default)]
    pub custom_values: BTreeMap<i64, String>,
    /// When it was changed.
    pub updated: Timestamp,
}

/// One asset above another: upstream in the diagram of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Relationship {
    /// The upstream asset.
    pub parent: i64,
    /// The downstream asset.
    pub child: i64,
    /// The name, by its id in the lookup of relationships; 0 without one.
    pub relationship_id: i64,
    /// They are peers.
    #[serde(default)]
    pub is_sibling: bool,
}

/// A row of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub id: i64,
    /// The asset.
    pub asset_id: i64,
    /// The asset's site.
    pub site_id: i64,
    /// The field; 0 where a member changed.
    pub field_id: i64,
    /// The field's or the member's name.
    pub field_name: String,
    /// What stood there.
    pub old_value: String,
    /// What stands there.
    pub new_value: String,
    /// Who changed it.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// What is taken back when a call fails.
#[derive(Clone, Debug)]
enum Undo {
    Asset(i64, Option<Box<Asset>>),
    Relationship((i64, i64), Option<Relationship>),
    Changes(usize),
}

/// All of them, with what finds them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Plain", into = "Plain")]
pub(crate) struct Store {
    assets: BTreeMap<i64, Asset>,
    by_tag: HashMap<String, BTreeSet<i64>>,
    by_type: BTreeMap<i64, BTreeSet<i64>>,
    by_site: BTreeMap<i64, BTreeSet<i64>>,
    /// By parent and child.
    relationships: BTreeMap<(i64, i64), Relationship>,
    /// Child and parent.
    upstream: BTreeSet<(i64, i64)>,
    changes: Vec<Change>,
    changes_of: HashMap<i64, Vec<usize>>,
    /// The largest tag that ever was a number, or was generated.
    last_tag: u64,
    /// Kept while a call is carried out.
    journal: Option<Vec<Undo>>,
    /// How long the journal was when the present part of the call began.
    part_begins: usize,
}

/// The same as data.
#[derive(Debug, Serialize, Deserialize)]
struct Plain {
    assets: Vec<Asset>,
    relationships: Vec<Relationship>,
    changes: Vec<Change>,
}

impl From<Plain> for Store {
    fn from(plain: Plain) -> Self {
        let mut store = Self::default();
        for asset in plain.assets {
            store.put(asset);
        }
        for relationship in plain.relationships {
            store.relate(relationship);
        }
        for change in plain.changes {
            store.note(change);
        }
        store
    }
}

impl From<Store> for Plain {
    fn from(store: Store) -> Self {
        Self {
            assets: store.assets.into_values().collect(),
            relationships: store.relationships.into_values().collect(),
            changes: store.changes,
        }
    }
}

/// A tag as it is compared: without regard to case.
fn folded(tag: &str) -> String {
    tag.trim().to_lowercase()
}

impl Store {
    pub(crate) fn get(&self, id: i64) -> Option<&Asset> {
        self.assets.get(&id)
    }

    pub(crate) fn assets(&self) -> impl DoubleEndedIterator<Item = &Asset> {
        self.assets.values()
    }

    pub(crate) fn of_type(&self, type_id: i64) -> impl Iterator<Item = &Asset> {
        self.by_type.get(&type_id).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    pub(crate) fn is_type_used(&self, type_id: i64) -> bool {
        self.by_type.contains_key(&type_id)
    }

    pub(crate) fn is_site_used(&self, site_id: i64) -> bool {
        self.by_site.contains_key(&site_id)
    }

    pub(crate) fn tagged(&self, tag: &str) -> impl Iterator<Item = &Asset> {
        self.by_tag.get(&folded(tag)).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// The largest tag that ever was a number, or was generated.
    pub(crate) fn last_tag(&self) -> u64 {
        self.last_tag
    }

    /// The number of another tag to generate.
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.last_tag = self.last_tag.saturating_add(1);
        self.last_tag
    }

    /// Puts an asset in, in the place of the one with its id.
    pub(crate) fn put(&mut self, asset: Asset) {
        let id = asset.id;
        let before = self.assets.remove(&id);
        if let Some(before) = &before {
            self.forget(before);
        }
        if !asset.inventory_number.trim().is_empty() {
            self.by_tag.entry(folded(&asset.inventory_number)).or_default().insert(id);
        }
        self.last_tag = self.last_tag.max(asset.inventory_number.parse().unwrap_or_default());
        self.by_type.entry(asset.assettype_id).or_default().insert(id);
        self.by_site.entry(asset.site_id).or_default().insert(id);
        self.assets.insert(id, asset);
        self.keep(|| Undo::Asset(id, before.map(Box::new)));
    }

    /// Takes an asset out, with the relationships that end at it.
    pub(crate) fn remove(&mut self, id: i64) -> Option<Asset> {
        let asset = self.assets.remove(&id)?;
        self.forget(&asset);
        let related: Vec<(i64, i64)> = self.around(id).map(|relationship| (relationship.parent, relationship.child)).collect();
        for (parent, child) in related {
            self.unrelate(parent, child);
        }
        let before = asset.clone();
        self.keep(|| Undo::Asset(id, Some(Box::new(before))));
        Some(asset)
    }

    fn forget(&mut self, asset: &Asset) {
        let tag = folded(&asset.inventory_number);
        if let Some(ids) = self.by_tag.get_mut(&tag) {
            ids.remove(&asset.id);
            if ids.is_empty() {
                self.by_tag.remove(&tag);
            }
        }
        for (index, key) in [(&mut self.by_type, asset.assettype_id), (&mut self.by_site, asset.site_id)] {
            if let Some(ids) = index.get_mut(&key) {
                ids.remove(&asset.id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
    }

    pub(crate) fn relationship(&self, parent: i64, child: i64) -> Option<&Relationship> {
        self.relationships.get(&(parent, child))
    }

    pub(crate) fn relationships(&self) -> impl Iterator<Item = &Relationship> {
        self.relationships.values()
    }

    /// Those below an asset.
    pub(crate) fn below(&self, parent: i64) -> impl Iterator<Item = &Relationship> {
        self.relationships.range((parent, i64::MIN)..=(parent, i64::MAX)).map(|(_, relationship)| relationship)
    }

    /// Those above it.
    pub(crate) fn above(&self, child: i64) -> impl Iterator<Item = &Relationship> {
        self.upstream.range((child, i64::MIN)..=(child, i64::MAX)).filter_map(|(child, parent)| self.relationships.get(&(*parent, *child)))
    }

    pub(crate) fn around(&self, id: i64) -> impl Iterator<Item = &Relationship> {
        self.below(id).chain(self.above(id))
    }

    pub(crate) fn relate(&mut self, relationship: Relationship) {
        let pair = (relationship.parent, relationship.child);
        let before = self.relationships.insert(pair, relationship);
        self.upstream.insert((pair.1, pair.0));
        self.keep(|| Undo::Relationship(pair, before));
    }

    pub(crate) fn unrelate(&mut self, parent: i64, child: i64) {
        let Some(before) = self.relationships.remove(&(parent, child)) else { return };
        self.upstream.remove(&(child, parent));
        self.keep(|| Undo::Relationship((parent, child), Some(before)));
    }

    pub(crate) fn changes_of(&self, id: i64) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes_of.get(&id).into_iter().flatten().filter_map(|at| self.changes.get(*at))
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(crate) fn note(&mut self, change: Change) {
        let count = self.changes.len();
        self.keep(|| Undo::Changes(count));
        self.changes_of.entry(change.asset_id).or_default().push(count);
        self.changes.push(change);
    }

    fn keep(&mut self, undo: impl FnOnce() -> Undo) {
        if let Some(journal) = &mut self.journal {
            journal.push(undo());
        }
    }

    /// A part of a call begins: from here on all can be taken back, either of the part or of the call.
    pub(crate) fn begin_part(&mut self, is_first: bool) {
        let journal = self.journal.get_or_insert_default();
        if is_first {
            journal.clear();
        }
        self.part_begins = journal.len();
    }

    /// What the call did stays.
    pub(crate) fn commit(&mut self) {
        self.journal = None;
    }

    /// The call failed: what its last part did is taken back, or all it did.
    pub(crate) fn roll_back(&mut self, all: bool) {
        let begins = if all { 0 } else { self.part_begins };
        let undone = self.journal.take().map(|mut journal| journal.split_off(begins.min(journal.len())));
        for undo in undone.into_iter().flatten().rev() {
            match undo {
                Undo::Asset(_, Some(asset)) => self.put(*asset),
                Undo::Asset(id, None) => drop(self.remove(id)),
                Undo::Relationship(_, Some(relationship)) => self.relate(relationship),
                Undo::Relationship((parent, child), None) => self.unrelate(parent, child),
                Undo::Changes(count) => {
                    for change in self.changes.split_off(count) {
                        if let Some(rows) = self.changes_of.get_mut(&change.asset_id) {
                            rows.retain(|at| *at < count);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(id: i64, tag: &str, type_id: i64) -> Asset {
        Asset { id, inventory_number: tag.to_owned(), assettype_id: type_id, ..Asset::default() }
    }

    fn related(parent: i64, child: i64) -> Relationship {
        Relationship { parent, child, relationship_id: 1, is_sibling: false }
    }

    fn shown(store: &Store) -> String {
        serde_json::to_string(store).unwrap_or_default()
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut store = Store::default();
        store.put(asset(1, "a", 7));
        store.put(asset(2, "B", 7));
        store.relate(related(1, 2));
        let before = shown(&store);
        store.begin_part(true);
        store.put(asset(1, "c", 8));
        store.put(asset(3, "d", 7));
        store.relate(related(1, 3));
        store.unrelate(1, 2);
        store.remove(2);
        store.roll_back(true);
        assert_eq!(shown(&store), before);
        let ids = |tag| store.tagged(tag).map(|asset| asset.id).collect::<Vec<_>>();
        assert_eq!([ids("A"), ids("b"), ids("c"), ids("d")], [vec![1], vec![2], vec![], vec![]]);
        assert_eq!(store.of_type(7).count(), 2);
        assert!(!store.is_type_used(8));
    }

    #[test]
    fn relationships_are_found_from_both_ends() {
        let mut store = Store::default();
        for id in 1..=3 {
            store.put(asset(id, "", 1));
        }
        store.relate(related(1, 2));
        store.relate(related(1, 3));
        store.relate(related(3, 2));
        assert_eq!((store.below(1).count(), store.above(2).count(), store.around(3).count()), (2, 2, 2));
        store.remove(3);
        assert_eq!(store.relationships().count(), 1);
        assert_eq!(store.tagged("").count(), 0, "no tag is none");
    }
}
