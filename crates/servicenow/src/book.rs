//! Marks on records, and what was learned of the instance's records by them.
//!
//! A mark is our row in `sys_object_source`: `name` is our discovery source, `id` the native key, `source_feed` the estate id.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key};
use dewpoint_core::target::RecordId;
use jiff::Timestamp;

use crate::api::Row;
use crate::keys::key_of;
use crate::survey::Survey;

/// Behind the estate id in `source_feed`: made only because other records are identified beside it. No CI of the estate stands behind it.
const SCAFFOLD: &str = " scaffold";

/// Our mark on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The key that it carries.
    pub(crate) key: Key,
    pub(crate) estate: EstateId,
    /// Made because others are identified beside it.
    pub(crate) is_scaffold: bool,
    /// The class at our last write.
    pub(crate) class: String,
}

/// When a mark was last written, and its row: of two marks on one record the later one says whose it is. A record that took another key keeps the row of the old
/// one where taking that away failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scanned {
    /// As its row says.
    Row(String, String),
    /// By this process.
    Now,
}

/// The text of `source_feed`.
pub(crate) fn feed(estate: &EstateId, is_scaffold: bool) -> String {
    format!("{}{}", estate.0, if is_scaffold { SCAFFOLD } else { "" })
}

/// A row of `sys_object_source` as a mark with the record that it is on; `None` for what we would not write.
pub(crate) fn mark(row: &Row) -> Option<(RecordId, Mark)> {
    let feed = row.get("source_feed").filter(|feed| *feed != "UNKNOWN")?;
    let estate = feed.strip_suffix(SCAFFOLD);
    let mark = Mark {
        key: key_of(row.get("id")?)?,
        is_scaffold: estate.is_some(),
        estate: EstateId(estate.unwrap_or(feed).to_owned()),
        class: row.get("target_table").cloned().unwrap_or_default(),
    };
    Some((RecordId(row.get("target_sys_id")?.clone()), mark))
}

/// What was learned of the instance's records since this target was made.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Records all of whose marks were asked about: ours that counts, or none.
    pub(crate) marks: HashMap<RecordId, Option<Mark>>,
    /// When the marks were written.
    pub(crate) scanned: HashMap<RecordId, Scanned>,
    /// Keys that only an earlier mark of a record says, by the record and the row of that mark.
    pub(crate) former: HashMap<Key, (RecordId, String)>,
    /// Records by the key that they carry.
    pub(crate) by_key: HashMap<Key, RecordId>,
    /// Keys that no record carried when asked.
    pub(crate) absent: HashSet<Key>,
    /// Records that were seen to be there.
    pub(crate) there: HashSet<RecordId>,
    /// Classes of records without our mark.
    pub(crate) classes: HashMap<RecordId, String>,
    /// Records that are gone; their rows in `sys_object_source` stay behind.
    pub(crate) gone: HashSet<RecordId>,
    /// Whether there is any row of our discovery source.
    pub(crate) has_marks: Option<bool>,
    /// When it was last asked whose records stand for a key, and the first that is not ours.
    pub(crate) asked: HashMap<Key, (Timestamp, Option<RecordId>)>,
    /// Keys of accounts and datacenters that were looked for without a proof that they are absent.
    pub(crate) looked_for: HashSet<Key>,
    /// Keys of creates that were sent; an answer may have been lost.
    pub(crate) tried: HashSet<Key>,
    /// By account, what AWS Service Management Connector left there.
    pub(crate) connector: HashMap<Account, Arc<Left>>,
    /// The full read that is under way.
    pub(crate) survey: Option<Arc<Survey>>,
}

impl Pages {
    /// Takes in a mark, unless the record has a later one.
    pub(crate) fn mark(&mut self, record: &RecordId, mark: Mark, scanned: Scanned) {
        let known = self.marks.get(record).and_then(Option::as_ref).map(|known| known.key.clone());
        let last = self.scanned.get(record);
        match known.filter(|known| *known != mark.key) {
            Some(_) if last.is_some_and(|last| *last > scanned) => {
                if let Scanned::Row(_, row) = scanned
                    && !self.by_key.contains_key(&mark.key)
                {
                    self.former.insert(mark.key, (record.clone(), row));
                }
                return;
            }
            Some(known) if self.by_key.get(&known) == Some(record) => {
                self.by_key.remove(&known);
                if let Some(Scanned::Row(_, row)) = last {
                    self.former.insert(known, (record.clone(), row.clone()));
                }
            }
            _ => {}
        }
        self.absent.remove(&mark.key);
        self.former.remove(&mark.key);
        self.by_key.insert(mark.key.clone(), record.clone());
        self.marks.insert(record.clone(), Some(mark));
        self.scanned.insert(record.clone(), scanned);
    }
}

/// Records of AWS Service Management Connector in one account: by region and native id.
pub(crate) type Left = HashMap<(String, String), Vec<(RecordId, String)>>;

impl Book {
    pub(crate) fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a record that we wrote.
    pub(crate) fn wrote(&self, record: &RecordId, mark: Mark) {
        let mut pages = self.open();
        pages.gone.remove(record);
        pages.there.insert(record.clone());
        pages.mark(record, mark, Scanned::Now);
        pages.has_marks = Some(true);
    }

    /// Notes a record that is gone.
    pub(crate) fn removed(&self, record: &RecordId) {
        let mut pages = self.open();
        pages.there.remove(record);
        pages.gone.insert(record.clone());
        if let Some(Some(mark)) = pages.marks.remove(record) {
            pages.by_key.remove(&mark.key);
        }
    }

    /// Notes that a create is sent, and says whether it was before.
    pub(crate) fn trying(&self, key: &Key) -> bool {
        !self.open().tried.insert(key.clone())
    }

    /// When it was last asked which records stand for a key, and the first that is not ours.
    pub(crate) fn asked(&self, key: &Key) -> Option<(Timestamp, Option<RecordId>)> {
        self.open().asked.get(key).cloned()
    }

    /// Our mark on a record that was asked about.
    pub(crate) fn mark(&self, record: &RecordId) -> Option<Mark> {
        self.open().marks.get(record).cloned().flatten()
    }

    /// The class of a record without our mark, where it was asked for.
    pub(crate) fn class(&self, record: &RecordId) -> Option<String> {
        self.open().classes.get(record).cloned()
    }

    /// The record that carries a key and was seen to be there, with our mark on it.
    pub(crate) fn standing(&self, key: &Key) -> Option<(RecordId, Mark)> {
        let pages = self.open();
        let record = pages.by_key.get(key).filter(|record| pages.there.contains(*record))?;
        Some((record.clone(), pages.marks.get(record)?.clone()?))
    }

    /// The record that carries a key, where it was asked for.
    pub(crate) fn record(&self, key: &Key) -> Option<RecordId> {
        self.open().by_key.get(key).cloned()
    }

    /// The record that an earlier mark says to be of this key, and the row of that mark: the engine still finds it by that.
    pub(crate) fn former(&self, key: &Key) -> Option<(RecordId, String)> {
        let pages = self.open();
        pages.former.get(key).filter(|(record, _)| !pages.gone.contains(record)).cloned()
    }

    /// Notes that the earlier mark of a key is gone.
    pub(crate) fn forgot(&self, key: &Key) {
        self.open().former.remove(key);
    }

    /// The full read that is under way.
    pub(crate) fn survey(&self) -> Option<Arc<Survey>> {
        self.open().survey.clone()
    }

    /// Keeps the full read that is under way for its next page, or forgets it.
    pub(crate) fn keep(&self, survey: Option<Arc<Survey>>) {
        self.open().survey = survey;
    }
}
