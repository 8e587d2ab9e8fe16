//! The inventory file as a whole, read once from its beginning to its end.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use serde_json::Value;

use super::fault::{Fault, Odd, Place};
use super::scan::{Scanner, Token, ends_early, not_utf8, shorten};
use super::wire::{Entry, RawReceipt, RawRelation, RawResource, Shared};
use crate::model::{Digest, Kind, Provider, RelationType, Scope};
use crate::source::{Pull, Remark};

/// Version of the inventory file that is read and written.
pub const SCHEMA_VERSION: u64 = 1;

/// The file's content.
pub(super) struct Document {
    pub(super) pull: Pull,
    pub(super) shared: Shared,
    pub(super) taken_at: Option<Timestamp>,
}

/// Reads a whole document, or says what is wrong with it first.
pub(super) fn read(input: impl Read, bytes_max: u64, cancelled: Arc<AtomicBool>) -> Result<Document, Fault> {
    let reader = Reader {
        scanner: Scanner::new(input, bytes_max, cancelled),
        pull: Pull { exhaustive: true, ..Pull::default() },
        shared: Shared::default(),
        taken_at: None,
        rows: BTreeMap::new(),
        counts: Vec::new(),
        unmarked: BTreeSet::new(),
        unknown: BTreeSet::new(),
    };
    reader.read()
}

struct Reader<R> {
    scanner: Scanner<R>,
    pull: Pull,
    shared: Shared,
    taken_at: Option<Timestamp>,
    /// Resources by scope.
    rows: BTreeMap<Scope, u64>,
    /// The counts that receipts give, with their places.
    counts: Vec<(Scope, u64, Place)>,
    /// Fields of the document that are not kept.
    unknown: BTreeSet<String>,
    /// What has the key of a derived resource but does not say so.
    unmarked: BTreeSet<String>,
}

impl<R: Read> Reader<R> {
    fn read(mut self) -> Result<Document, Fault> {
        self.scanner.skip_byte_order_mark()?;
        match self.scanner.peek()? {
            Some(b'{') => self.scanner.bump(),
            None => return Err(Fault::new(self.scanner.place(), "the file is empty").hint("`dewpoint export` writes an inventory file")),
            Some(byte) if !byte.is_ascii() => return Err(not_utf8(self.scanner.place())),
            Some(_) => return Err(Fault::new(self.scanner.place(), "an inventory file is one JSON object, which begins with `{`")),
        }
        let mut seen = BTreeSet::new();
        if self.scanner.peek()? == Some(b'}') {
            self.scanner.bump();
        } else {
            loop {
                self.field(&mut seen)?;
                if !self.goes_on(b'}', "the document")? {
                    break;
                }
            }
        }
        for name in ["schema_version", "receipts", "resources"] {
            if !seen.contains(name) {
                return Err(Fault::new(Place::START, format!("the field `{name}` is missing"))
                    .hint("an inventory file has `schema_version`, `taken_at`, `receipts`, `resources` and `relations`"));
            }
        }
        let behind = self.scanner.peek()?;
        if behind.is_some() {
            return Err(
                Fault::new(self.scanner.place(), "there is more text behind the end of the document").hint("a file holds one document")
            );
        }
        self.check_counts()?;
        self.remark();
        Ok(Document { pull: self.pull, shared: self.shared, taken_at: self.taken_at })
    }

    /// One field of the document with its value.
    fn field(&mut self, seen: &mut BTreeSet<String>) -> Result<(), Fault> {
        self.scanner.peek()?;
        let place = self.scanner.place();
        let name: String = self.scanner.value(|token| token.parse("the name of a field"))?;
        match self.scanner.peek()? {
            Some(b':') => self.scanner.bump(),
            None => return Err(ends_early(self.scanner.place(), &format!("behind the name `{}`", shorten(&name)))),
            Some(_) => return Err(Fault::new(self.scanner.place(), format!("`:` is missing behind `{}`", shorten(&name)))),
        }
        if !seen.insert(name.clone()) {
            return Err(Fault::new(place, format!("the field `{}` is given twice", shorten(&name))));
        }
        match name.as_str() {
            "schema_version" => self.scanner.value(check_version),
            "taken_at" => {
                self.taken_at = self.scanner.value(|token| token.parse("`taken_at`"))?;
                Ok(())
            }
            "receipts" => self.entries("receipts", Self::receipt),
            "resources" => self.entries("resources", Self::resource),
            "relations" => self.entries("relations", Self::relation),
            _ => {
                self.unknown.insert(shorten(&name));
                self.scanner.value(|token| token.parse::<Value>(&format!("`{}`", shorten(&name)))).map(|_| ())
            }
        }
    }

    /// Each entry of an array in turn, counted from 1.
    fn entries(&mut self, name: &str, mut take: impl FnMut(&mut Self, u64) -> Result<(), Fault>) -> Result<(), Fault> {
        match self.scanner.peek()? {
            Some(b'[') => self.scanner.bump(),
            None => return Err(ends_early(self.scanner.place(), &format!("before `{name}`"))),
            Some(_) => return Err(Fault::new(self.scanner.place(), format!("`{name}` must be a list: `[…]`"))),
        }
        if self.scanner.peek()? == Some(b']') {
            self.scanner.bump();
            return Ok(());
        }
        let mut number = 1;
        loop {
            take(self, number)?;
            if !self.goes_on(b']', &format!("`{name}`, after {number}"))? {
                return Ok(());
            }
            number += 1;
        }
    }

    /// Whether a comma follows, or the end.
    fn goes_on(&mut self, end: u8, what: &str) -> Result<bool, Fault> {
        match self.scanner.peek()? {
            Some(b',') => {
                self.scanner.bump();
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.scanner.bump();
                Ok(false)
            }
            None => Err(ends_early(self.scanner.place(), &format!("in the middle of {what}"))),
            Some(_) => Err(Fault::new(self.scanner.place(), format!("is not JSON: `,` or `{}` is missing here", char::from(end)))),
        }
    }

    fn receipt(&mut self, number: u64) -> Result<(), Fault> {
        let Self { scanner, pull, shared, counts, .. } = self;
        scanner.value(|token| {
            let what = format!("receipt {number}");
            let raw: RawReceipt<'_> = token.parse(&what)?;
            let (scope, receipt) = raw.receipt(shared).map_err(|odd| token.fault(&what, odd))?;
            if let Some(count) = receipt.count {
                counts.push((scope.clone(), count, token.place_of(&["count".to_owned()])));
            }
            pull.receipts.add(scope, receipt).map_err(|overlap| {
                let text = if overlap.first_source == overlap.second_source {
                    format!("{} has a receipt already", overlap.scope)
                } else {
                    overlap.to_string()
                };
                token.fault(&what, Odd::new(&[], text).hint("keep one receipt for each scope; region `*` covers every region"))
            })
        })
    }

    fn resource(&mut self, number: u64) -> Result<(), Fault> {
        let Self { scanner, pull, shared, rows, unmarked, .. } = self;
        scanner.value(|token| {
            let what = format!("resource {number}");
            let raw: RawResource<'_> = token.parse(&what)?;
            let resource = raw.resource(shared).map_err(|odd| token.fault(&what, odd))?;
            if resource.derived || resource.key.is_derived() {
                if !resource.derived {
                    unmarked.insert(resource.key.to_string());
                }
                return Ok(());
            }
            let key = resource.key.clone();
            match pull.resources.entry(key.clone()) {
                Slot::Occupied(_) => {
                    let first = shared.keys.get(&key).copied().flatten().map_or(0, |entry| entry.line);
                    let text = format!("the key is given twice, first in line {first}");
                    return Err(token.fault(&what, Odd::new(&["key"], text).hint("one of the two must go: a key names one resource")));
                }
                Slot::Vacant(free) => {
                    match rows.get_mut(&resource.scope()) {
                        Some(count) => *count += 1,
                        None => drop(rows.insert(resource.scope(), 1)),
                    }
                    free.insert(Arc::new(resource));
                }
            }
            shared.keys.insert(key, Some(entry_of(token)));
            Ok(())
        })
    }

    fn relation(&mut self, number: u64) -> Result<(), Fault> {
        let Self { scanner, pull, shared, .. } = self;
        scanner.value(|token| {
            let what = format!("relation {number}");
            let raw: RawRelation<'_> = token.parse(&what)?;
            let relation = raw.relation(shared).map_err(|odd| token.fault(&what, odd))?;
            if relation.derived || relation.from.is_derived() || relation.to.is_derived() {
                return Ok(());
            }
            match pull.relations.entry(relation.id()) {
                Slot::Vacant(free) => {
                    free.insert(relation);
                    Ok(())
                }
                Slot::Occupied(_) => {
                    let text = format!("`{}` from `{}` to `{}` is given twice", relation.relation, relation.from, relation.to);
                    Err(token.fault(
                        &what,
                        Odd::new(&[], text).hint("two resources have one relation of a type; ports and the like are its attributes"),
                    ))
                }
            }
        })
    }

    /// Each receipt's count against the rows; where a complete receipt has none, the rows are the count.
    fn check_counts(&mut self) -> Result<(), Fault> {
        let mut wide: BTreeMap<(Provider, &str, Kind), u64> = BTreeMap::new();
        for (scope, rows) in &self.rows {
            *wide.entry((scope.provider, scope.account.as_str(), scope.kind)).or_default() += rows;
        }
        let rows = |scope: &Scope| {
            let rows = match scope.region.is_any() {
                true => wide.get(&(scope.provider, scope.account.as_str(), scope.kind)),
                false => self.rows.get(scope),
            };
            rows.copied().unwrap_or(0)
        };
        for (scope, count, place) in &self.counts {
            let rows = rows(scope);
            if rows != *count {
                return Err(Fault::new(*place, format!("the receipt of {scope} counts {count}, but the file has {rows} of them"))
                    .hint("the file was cut or edited by hand: export it again, or correct or leave out `count`"));
            }
        }
        self.pull.receipts.fill_counts(rows);
        Ok(())
    }

    fn remark(&mut self) {
        let mut outside: BTreeMap<RelationType, (u64, String)> = BTreeMap::new();
        if self.shared.keys.values().any(Option::is_none) {
            for id in self.pull.relations.keys() {
                let missing = [&id.from, &id.to].into_iter().find(|key| self.shared.keys.get(*key).copied().flatten().is_none());
                if let Some(missing) = missing {
                    let found = outside.entry(id.relation).or_insert_with(|| (0, missing.to_string()));
                    found.0 += 1;
                }
            }
        }
        let remarks = &mut self.pull.remarks;
        for (relation, (count, example)) in outside {
            let text = format!("{count} have an end that is not in the file, first `{example}`; they are kept until it appears");
            remarks.push(Remark { subject: format!("relations of type {relation}"), text });
        }
        if let Some(first) = self.unmarked.first() {
            let text = format!(
                "{} not marked `derived` have the key of something that is derived, first `{first}`; left out",
                self.unmarked.len()
            );
            remarks.push(Remark { subject: "resources".to_owned(), text });
        }
        if !self.unknown.is_empty() {
            let names: Vec<&str> = self.unknown.iter().take(10).map(String::as_str).collect();
            let text = format!("this version does not know and does not keep: {}", names.join(", "));
            remarks.push(Remark { subject: "fields of the document".to_owned(), text });
        }
    }
}

/// Where a resource stands, so that a look-up finds it again and notices when the file was overwritten.
fn entry_of(token: Token<'_>) -> Entry {
    Entry { offset: token.place.offset, length: token.bytes.len(), line: token.place.line, digest: Digest::of_parts([token.bytes]) }
}

fn check_version(token: Token<'_>) -> Result<(), Fault> {
    let version: Value = token.parse("`schema_version`")?;
    match version.as_u64() {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(version) if version > SCHEMA_VERSION => Err(Fault::new(
            token.place,
            format!("the file has schema_version {version}, and this version of dewpoint reads {SCHEMA_VERSION}"),
        )
        .hint("read it with a newer dewpoint")),
        _ => Err(Fault::new(token.place, format!("`schema_version` must be {SCHEMA_VERSION}"))),
    }
}
