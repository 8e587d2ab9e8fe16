//! The inventory file as a source: what `dewpoint export` writes, other tools produce, or people edit by hand.
//!
//! The file is read as a stream and used whole or not at all. Its shape is described in [`crate::export`].

mod document;
mod fault;
mod scan;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::document::Document;
pub use self::document::SCHEMA_VERSION;
use self::fault::{Fault, Place};
use self::scan::{Token, too_large};
use self::wire::{Entry, RawResource, Shared, place_of};
use crate::doctor::{Finding, Health};
use crate::model::{Digest, Key, Kind, Receipt, Receipts, Resource, Scope, SourceName};
use crate::source::{Presence, Progress, Pull, Source, SourceError};

/// A configured inventory file.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// Name of the source.
    pub name: SourceName,
    /// Where the file is.
    pub path: PathBuf,
    /// The path as people wrote it, for messages.
    pub display_path: String,
    /// Largest file that is read, in bytes.
    pub max_file_bytes: u64,
}

/// An inventory file as a source. Look-ups are answered from the last pull, whatever became of the file since, or
/// by an error when it was overwritten in place.
#[derive(Debug)]
pub struct FileSource {
    config: FileConfig,
    last: Mutex<Option<Arc<Index>>>,
}

/// What is kept of a pull to answer look-ups: where each resource stands in the file, which stays open.
#[derive(Debug)]
struct Index {
    file: Mutex<File>,
    entries: HashMap<Key, Option<Entry>>,
    receipts: Receipts,
}

/// What a read of the file gave.
struct Loaded {
    pull: Pull,
    taken_at: Option<jiff::Timestamp>,
    index: Arc<Index>,
}

/// Ends a read whose caller went away.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl FileSource {
    /// A source over an inventory file, which is not touched before the first pull.
    #[must_use]
    pub fn new(config: FileConfig) -> Self {
        Self { config, last: Mutex::new(None) }
    }

    async fn load(&self) -> Result<Loaded, SourceError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let _guard = CancelOnDrop(Arc::clone(&cancelled));
        let (path, bytes_max) = (self.config.path.clone(), self.config.max_file_bytes);
        let read = tokio::task::spawn_blocking(move || load(&path, bytes_max, cancelled)).await;
        let loaded = read.map_err(|error| self.failed(&error.to_string()))?;
        loaded.map_err(|fault| fault.into_error(&self.config.display_path))
    }

    /// Reads the file for look-ups too. Where that fails, an older pull no longer answers: nothing is gone by the word of a file that is broken now.
    async fn load_for_look_ups(&self) -> Result<Loaded, SourceError> {
        let loaded = self.load().await;
        let index = loaded.as_ref().ok().map(|loaded| Arc::clone(&loaded.index));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = index;
        loaded
    }

    fn last(&self) -> Option<Arc<Index>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, text: &str) -> SourceError {
        SourceError::Failed {
            source_name: self.config.name.clone(),
            operation: format!("read {}", self.config.display_path),
            text: text.to_owned(),
        }
    }
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> &SourceName {
        &self.config.name
    }

    async fn pull(&self, progress: &dyn Progress) -> Result<Pull, SourceError> {
        let loaded = self.load_for_look_ups().await?;
        let mut counts: BTreeMap<&Scope, u64> = BTreeMap::new();
        for resource in loaded.pull.resources.values() {
            if let Some((scope, _)) = loaded.pull.receipts.covering(&resource.scope()) {
                *counts.entry(scope).or_default() += 1;
            }
        }
        for (scope, receipt) in loaded.pull.receipts.iter() {
            progress.scope_started(&self.config.name, scope);
            progress.scope_finished(&self.config.name, scope, receipt.outcome, counts.get(scope).copied().unwrap_or(0));
        }
        Ok(loaded.pull)
    }

    async fn look_up(&self, keys: &[(Key, Kind)], _progress: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>> {
        let index = match self.last() {
            Some(index) => Ok(index),
            None => self.load_for_look_ups().await.map(|loaded| loaded.index),
        };
        let index = match index {
            Ok(index) => index,
            Err(error) => return keys.iter().map(|(key, _)| (key.clone(), Err(error.clone()))).collect(),
        };
        let asked = keys.to_vec();
        let answers = tokio::task::spawn_blocking(move || {
            let answer = |(key, kind): (Key, Kind)| {
                let found = index.look_up(&key, kind);
                (key, found)
            };
            asked.into_iter().map(answer).collect::<Vec<_>>()
        });
        match answers.await {
            Ok(answers) => answers.into_iter().map(|(key, found)| (key, found.map_err(|text| self.failed(&text)))).collect(),
            Err(error) => keys.iter().map(|(key, _)| (key.clone(), Err(self.failed(&error.to_string())))).collect(),
        }
    }

    async fn doctor(&self) -> Vec<Finding> {
        let finding = |outcome, text, mend| Finding {
            subject: self.config.name.to_string(),
            check: "inventory file".to_owned(),
            outcome,
            text,
            mend,
        };
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => return vec![finding(Health::Error, error.to_string(), error.hint())],
        };
        let Pull { resources, relations, receipts, remarks, .. } = &loaded.pull;
        let complete = receipts.iter().filter(|(_, receipt)| receipt.is_complete()).count();
        let taken = loaded.taken_at.map_or_else(String::new, |at| format!(", taken at {at}"));
        let text = format!(
            "{}: {} resources, {} relations, {} receipts of which {complete} complete{taken}",
            self.config.display_path,
            resources.len(),
            relations.len(),
            receipts.len()
        );
        let mut findings = vec![finding(Health::Ok, text, None)];
        if complete == 0 {
            let text = "no receipt is complete, so that nothing which leaves the file is ever retired".to_owned();
            findings.push(finding(Health::Warning, text, Some("add a receipt for each scope that is listed completely".to_owned())));
        }
        findings.extend(remarks.iter().map(|remark| finding(Health::Warning, format!("{}: {}", remark.subject, remark.text), None)));
        findings
    }
}

impl Index {
    fn look_up(&self, key: &Key, kind: Kind) -> Result<Presence, String> {
        match self.entries.get(key).copied().flatten() {
            Some(entry) => self.read(entry).map(|resource| Presence::Present(Box::new(resource))),
            None if self.proves_absence(key, kind) => Ok(Presence::Gone),
            None => Err(format!("`{key}` is not in the file, and no complete receipt covers it")),
        }
    }

    /// Whether the file lists everything among which the key would be.
    ///
    /// An ARN names its region, an Azure id does not. Where the region is unknown, every receipt of the account and kind must be complete.
    fn proves_absence(&self, key: &Key, kind: Kind) -> bool {
        let (account, region) = place_of(key);
        let Some(account) = account else { return false };
        let provider = key.provider();
        let mut covering = self.receipts.iter().filter(|(scope, _)| {
            scope.provider == provider
                && scope.kind == kind
                && scope.account.as_str().eq_ignore_ascii_case(account)
                && (scope.region.is_any() || region.is_none_or(|region| region == scope.region.as_str()))
        });
        let all = |receipt: &Receipt| receipt.is_complete();
        covering.next().is_some_and(|(_, receipt)| all(receipt)) && covering.all(|(_, receipt)| all(receipt))
    }

    /// A resource as it stood in the file when that was pulled.
    fn read(&self, entry: Entry) -> Result<Resource, String> {
        let mut bytes = vec![0; entry.length];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let read = file.seek(SeekFrom::Start(entry.offset)).and_then(|_| file.read_exact(&mut bytes));
            read.map_err(|error| format!("the file changed since it was pulled: {error}"))?;
        }
        if Digest::of_parts([bytes.as_slice()]) != entry.digest {
            return Err("the file changed since it was pulled".to_owned());
        }
        let token = Token::whole(&bytes, Place::START);
        let raw: RawResource<'_> = token.parse("the resource").map_err(|fault| fault.text)?;
        raw.resource(&mut Shared::default()).map_err(|odd| odd.text)
    }
}

/// Reads an inventory from a stream, as a pull reads it from its file. `name` stands for the file in messages.
///
/// # Errors
/// What is wrong with it first, with its place; also where it is larger than `bytes_max`.
pub fn read(input: impl Read, name: &str, bytes_max: u64) -> Result<Pull, SourceError> {
    let document = document::read(input, bytes_max, Arc::default()).map_err(|fault| fault.into_error(name))?;
    Ok(document.pull)
}

fn load(path: &Path, bytes_max: u64, cancelled: Arc<AtomicBool>) -> Result<Loaded, Fault> {
    let (file, before) = open(path, bytes_max)?;
    let Document { pull, shared, taken_at } = document::read(&file, bytes_max, cancelled)?;
    check_unchanged(&file, &before)?;
    let index = Index { file: Mutex::new(file), entries: shared.keys, receipts: pull.receipts.clone() };
    Ok(Loaded { pull, taken_at, index: Arc::new(index) })
}

/// Opens a regular file. Opening a FIFO would wait for a writer for ever, so the path is looked at first.
fn open(path: &Path, bytes_max: u64) -> Result<(File, Metadata), Fault> {
    let unreadable = |error: std::io::Error| {
        let fault = Fault::new(Place::START, format!("the file cannot be read: {error}"));
        match error.kind() {
            ErrorKind::NotFound => Fault::new(Place::START, "the file does not exist")
                .hint("`path` is relative to the configuration file; `dewpoint export` writes an inventory file"),
            ErrorKind::PermissionDenied => fault.hint("let the user that dewpoint runs as read it"),
            _ => fault,
        }
    };
    let check = |about: &Metadata| {
        if about.is_dir() {
            return Err(Fault::new(Place::START, "this is a directory, not a file").hint("name the inventory file in it"));
        }
        if !about.is_file() {
            return Err(Fault::new(Place::START, "this is no regular file").hint("copy the inventory into a regular file first"));
        }
        if about.len() > bytes_max {
            return Err(too_large(Place::START, bytes_max));
        }
        Ok(())
    };
    check(&std::fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    check(&about)?;
    Ok((file, about))
}

/// Someone who writes into the file while it is read leaves a mixture of two inventories, each of which may be right.
fn check_unchanged(file: &File, before: &Metadata) -> Result<(), Fault> {
    let state = |about: &Metadata| (about.len(), about.modified().ok());
    match file.metadata() {
        Ok(after) if state(&after) == state(before) => Ok(()),
        _ => Err(Fault::new(Place::START, "the file changed while it was read")
            .hint("write a new file and rename it into place; then run again")),
    }
}
