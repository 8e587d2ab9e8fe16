//! From writes to payloads: every item beside what it is identified by, every edge between items of the same payload.

use std::collections::{BTreeMap, HashMap};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::Key;
use dewpoint_core::target::{End, RecordId};
use jiff::Timestamp;
use serde_json::Value;

use crate::ire::{Item, Payload, ReferenceItem, Related, Relation, RelationSource, SourceInfo};
use crate::mapping::{HostParent, HostRelation, TAGS, stored};
use crate::places::{Host, Site, stub};

/// A payload that grows, with what became of which write.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) payload: Payload,
    /// Places of items by what they speak of.
    items: HashMap<Subject, usize>,
    /// Places of relations by type, parent and child.
    relations: HashMap<(String, usize, usize), usize>,
    /// Records that the payload makes, each with the record or write that it is identified beside.
    inserted: HashMap<usize, usize>,
    /// The place of each write: an item's or a relation's.
    pub(crate) written: Vec<(usize, Place)>,
}

/// Where a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Item(usize),
    Relation(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Record(RecordId),
    New(Key),
}

/// What a create hangs on.
#[derive(Debug, Clone)]
pub(crate) enum Beside {
    /// A record that stands there, with what that in turn hangs on where it is ours.
    Record(Host, Option<Host>),
    /// A record that this payload makes.
    New(Key),
}

/// What goes onto every record and relation of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp<'a> {
    pub(crate) source: &'a str,
    pub(crate) estate: &'a EstateId,
    pub(crate) at: Timestamp,
}

/// A create or an update, ready to be an item.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a Key,
    pub(crate) class: &'a str,
    /// The record, where one stands there.
    pub(crate) record: Option<&'a RecordId>,
    /// Columns, as the instance takes them.
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) tags: Option<&'a Value>,
    pub(crate) seen_at: Timestamp,
    /// Whether our mark goes onto it.
    pub(crate) is_ours: bool,
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.payload.items.is_empty()
    }

    /// How many items it has.
    pub(crate) fn len(&self) -> usize {
        self.payload.items.len()
    }

    fn push(&mut self, subject: Subject, mut item: Item) -> usize {
        if let Some(place) = self.items.get(&subject) {
            return *place;
        }
        let place = self.payload.items.len();
        item.internal_id = format!("i{place}");
        self.payload.items.push(item);
        self.items.insert(subject, place);
        place
    }

    /// Adds the account and the datacenter of a place, new where they do not stand, and gives back what lies there is identified beside.
    pub(crate) fn site(&mut self, site: &Site, payload: Payload, stamp: &Stamp<'_>) -> Beside {
        let subject = |host: &Option<Host>, key: &Key| match host {
            Some(host) => Subject::Record(host.record.clone()),
            None => Subject::New(key.clone()),
        };
        let subjects = [subject(&site.account, &site.account_key), subject(&site.datacenter, &site.region_key)];
        let places: Vec<usize> = payload.items.into_iter().zip(subjects).map(|(item, subject)| self.push(subject, item)).collect();
        if let (Some(account), Some(datacenter), Some(relation)) = (places.first(), places.get(1), payload.relations.first()) {
            self.relate(&relation.kind, *datacenter, *account, stamp);
        }
        let (host, key) = if site.has_region() { (&site.datacenter, &site.region_key) } else { (&site.account, &site.account_key) };
        match host {
            Some(host) => Beside::Record(host.clone(), None),
            None => Beside::New(key.clone()),
        }
    }

    fn host(&mut self, host: &Host, at: Timestamp) -> usize {
        self.push(Subject::Record(host.record.clone()), stub("", host, at))
    }

    fn internal_id(&self, place: usize) -> String {
        self.payload.items.get(place).map(|item| item.internal_id.clone()).unwrap_or_default()
    }

    fn relate(&mut self, kind: &str, parent: usize, child: usize, stamp: &Stamp<'_>) -> usize {
        let same = (kind.to_owned(), parent, child);
        if let Some(place) = self.relations.get(&same) {
            return *place;
        }
        let relation = Relation {
            kind: kind.to_owned(),
            parent_id: self.internal_id(parent),
            child_id: self.internal_id(child),
            source: RelationSource { source_name: stamp.source.to_owned(), source_feed: stamp.estate.0.clone() },
        };
        let place = self.payload.relations.len();
        self.payload.relations.push(relation);
        self.relations.insert(same, place);
        place
    }

    /// Adds a create or an update. `beside` is for what is to be made.
    pub(crate) fn write(&mut self, number: usize, entry: &Entry<'_>, beside: Option<(&Beside, &HostRelation)>, stamp: &Stamp<'_>) {
        let subject = entry.record.map_or_else(|| Subject::New(entry.key.clone()), |record| Subject::Record(record.clone()));
        if let Some(place) = self.items.get(&subject).copied() {
            // A stub of it, or the same once more: one item says both.
            if let Some(item) = self.payload.items.get_mut(place) {
                let entry = item_of(entry, stamp);
                item.values.extend(entry.values);
                item.related.extend(entry.related);
                item.source = item.source.take().or(entry.source);
            }
            self.written.push((number, Place::Item(place)));
            return;
        }
        let place = self.push(subject, item_of(entry, stamp));
        if let Some((beside, relation)) = beside {
            let host = match beside {
                Beside::New(key) => self.items.get(&Subject::New(key.clone())).copied(),
                Beside::Record(host, above) => {
                    let host_place = self.host(host, stamp.at);
                    if let Some(above) = above {
                        let above = self.host(above, stamp.at);
                        self.relate("Hosted on::Hosts", host_place, above, stamp);
                    }
                    Some(host_place)
                }
            };
            if let Some(host) = host {
                let (parent, child) = if relation.parent == HostParent::Host { (host, place) } else { (place, host) };
                self.relate(&relation.kind, parent, child, stamp);
                if entry.record.is_none() {
                    self.inserted.insert(place, host);
                }
            }
        }
        self.written.push((number, Place::Item(place)));
    }

    /// The item at an end of an edge, made a stub where the record is not in the payload. `None` where it is to be made by a write that this payload
    /// does not hold.
    pub(crate) fn end(&mut self, end: &End, class: &str, is_ours: bool, at: Timestamp) -> Option<usize> {
        match end {
            End::Made(key) => self.items.get(&Subject::New(key.clone())).copied(),
            End::Stands(addressed) => Some(self.host(&Host { record: addressed.record.clone(), class: class.to_owned(), is_ours }, at)),
        }
    }

    /// Whether an edge would give a record that the payload makes a second host: the engine takes exactly one. `host` says which end is the host.
    pub(crate) fn would_be_second_host(&self, parent: usize, child: usize, host: HostParent) -> bool {
        let (guest_place, host_place) = if host == HostParent::Host { (child, parent) } else { (parent, child) };
        self.inserted.get(&guest_place).is_some_and(|host| *host != host_place)
    }

    /// Puts the id of one item's record into a column of another's.
    pub(crate) fn refer(&mut self, by: usize, column: &str, to: usize) {
        let reference = ReferenceItem { referenced: to, referenced_by: by, reference_field: column.to_owned() };
        if !self.payload.references.contains(&reference) {
            self.payload.references.push(reference);
        }
    }

    /// Adds an edge between two items.
    pub(crate) fn edge(&mut self, number: usize, kind: &str, parent: usize, child: usize, stamp: &Stamp<'_>) {
        let place = self.relate(kind, parent, child, stamp);
        self.written.push((number, Place::Relation(place)));
    }
}

fn item_of(entry: &Entry<'_>, stamp: &Stamp<'_>) -> Item {
    let mut values = entry.values.clone();
    values.insert("last_discovered".to_owned(), stored(entry.seen_at));
    if let Some(record) = entry.record {
        values.insert("sys_id".to_owned(), record.0.clone());
    }
    let source = entry.is_ours.then(|| SourceInfo {
        source_name: stamp.source.to_owned(),
        source_feed: stamp.estate.0.clone(),
        source_native_key: crate::keys::native_key(entry.key).to_owned(),
    });
    Item {
        class_name: entry.class.to_owned(),
        internal_id: String::new(),
        values,
        related: entry.tags.map(tags_of).unwrap_or_default(),
        settings: Some(crate::ire::Reclassification::NEVER),
        source,
    }
}

fn tags_of(tags: &Value) -> Vec<Related> {
    let tags = tags.as_object().into_iter().flatten().enumerate();
    tags.map(|(place, (name, value))| Related {
        class_name: "cmdb_key_value".to_owned(),
        internal_id: format!("{TAGS}{place}"),
        values: [("key".to_owned(), name.clone()), ("value".to_owned(), value.as_str().unwrap_or_default().to_owned())].into(),
    })
    .collect()
}
