//! From the configuration to sources and targets: the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
#[cfg(feature = "aws")]
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(feature = "aws")]
use dewpoint_aws::{AwsConfig, AwsSource};

#[cfg(feature = "aws")]
use crate::clock::{Clock, RunClock};
use crate::config::{Config, LedgerConfig, SecretError, SourceConfig, SourceKind, TargetConfig, TargetKind};
use crate::doctor::{Finding, Health};
use crate::ledger::Ledger;
use crate::model::{Key, Kind, SourceName};
use crate::source::file::{FileConfig, FileSource};
use crate::source::{Presence, Progress, Pull, Source, SourceError};
use crate::target::Target;
use crate::target::local::{LocalConfig, LocalTarget, Missing};
use crate::words::chain;

/// The chosen sources, all where `chosen` is empty, in the order of the file. What the others need is not looked at.
///
/// # Errors
/// [`SecretError`] when a secret that a chosen source needs cannot be used.
pub fn sources(config: &Config, chosen: &BTreeSet<SourceName>) -> Result<Vec<Box<dyn Source>>, SecretError> {
    let is_chosen = |configured: &&SourceConfig| chosen.is_empty() || chosen.contains(&configured.name);
    config.sources.iter().filter(is_chosen).map(|configured| source(configured, &config.dir)).collect()
}

/// Every configured source, for those who may never ask it. One that lacks a secret says so whenever it is asked.
#[must_use]
pub fn sources_to_ask(config: &Config) -> Vec<Box<dyn Source>> {
    config.sources.iter().map(|configured| source_to_ask(configured, &config.dir)).collect()
}

/// One configured source; where it lacks a secret, it says so whenever it is asked. `folder` is that of the configuration.
#[must_use]
pub fn source_to_ask(configured: &SourceConfig, folder: &Path) -> Box<dyn Source> {
    let unusable = |error: SecretError| Unusable {
        name: configured.name.clone(),
        operation: "reading its secrets",
        check: "secret",
        text: chain(&error),
        mend: error.hint(),
    };
    source(configured, folder).unwrap_or_else(|error| Box::new(unusable(error)))
}

/// One configured source; `folder` is that of the configuration.
///
/// # Errors
/// [`SecretError`] when a secret that it needs cannot be used.
pub fn source(configured: &SourceConfig, folder: &Path) -> Result<Box<dyn Source>, SecretError> {
    Ok(match &configured.kind {
        #[cfg(not(feature = "aws"))]
        SourceKind::Aws(_) => Box::new(Unusable {
            name: configured.name.clone(),
            operation: "asking AWS",
            check: "this program",
            text: "it was built without the AWS source".to_owned(),
            mend: "build it with the feature `aws`, which is one of the default ones".to_owned(),
        }),
        #[cfg(feature = "aws")]
        SourceKind::Aws(settings) => {
            let (accounts, usual_role) = settings.resolve()?;
            Box::new(AwsSource::new(AwsConfig {
                name: configured.name.clone(),
                accounts,
                usual_role,
                regions: settings.regions.clone(),
                endpoint_url: settings.endpoint_url.as_ref().map(ToString::to_string),
                timeout: settings.timeout,
                rates: settings.rates,
                // The real clock, read anew: the clock check of `doctor` compares it with the cloud's.
                clock: Arc::new(|| RunClock::new(None).now()),
            }))
        }
        SourceKind::File { path, max_file_bytes } => Box::new(FileSource::new(FileConfig {
            name: configured.name.clone(),
            display_path: shown(path, folder),
            path: path.clone(),
            max_file_bytes: *max_file_bytes,
        })),
    })
}

/// A source that cannot be asked, and says why whenever it is.
struct Unusable {
    name: SourceName,
    /// What fails.
    operation: &'static str,
    /// What `doctor` calls it.
    check: &'static str,
    text: String,
    mend: String,
}

impl Unusable {
    fn failed(&self) -> SourceError {
        SourceError::Failed { source_name: self.name.clone(), operation: self.operation.to_owned(), text: self.text.clone() }
    }
}

#[async_trait]
impl Source for Unusable {
    fn name(&self) -> &SourceName {
        &self.name
    }

    async fn pull(&self, _: &dyn Progress) -> Result<Pull, SourceError> {
        Err(self.failed())
    }

    async fn look_up(&self, keys: &[(Key, Kind)], _: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>> {
        keys.iter().map(|(key, _)| (key.clone(), Err(self.failed()))).collect()
    }

    async fn doctor(&self) -> Vec<Finding> {
        vec![Finding {
            subject: self.name.to_string(),
            check: self.check.to_owned(),
            outcome: Health::Error,
            text: self.text.clone(),
            mend: Some(self.mend.clone()),
        }]
    }
}

/// What a target may do where its store is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Make it: the ledger has never seen it.
    Create,
    /// Read it as empty: a plan before the first sync.
    Empty,
    /// Refuse: the ledger knows it, so it was lost.
    Refuse,
}

/// One configured target.
#[must_use]
pub fn target(configured: &TargetConfig, absent: Absent) -> Box<dyn Target> {
    match &configured.kind {
        TargetKind::Local { path } => Box::new(LocalTarget::new(LocalConfig {
            name: configured.name.clone(),
            path: path.clone(),
            authority: configured.authority.clone(),
            batch_size: usize::try_from(configured.batch_size).unwrap_or(1),
            missing: match absent {
                Absent::Create => Missing::Create,
                Absent::Empty => Missing::Empty,
                Absent::Refuse => Missing::Refuse,
            },
        })),
    }
}

/// The address of a target, without secrets, as the ledger notes it.
#[must_use]
pub fn address(configured: &TargetConfig) -> String {
    match &configured.kind {
        TargetKind::Local { path } => path.display().to_string(),
    }
}

/// The online checks of one target, with what the ledger knows of it.
pub async fn target_findings(configured: &TargetConfig, ledger: Option<&dyn Ledger>) -> Vec<Finding> {
    let row = match ledger {
        Some(ledger) => ledger.target_row(&configured.name).await.ok().flatten(),
        None => None,
    };
    let known = row.as_ref().is_some_and(|row| row.instance.is_some());
    let target = target(configured, if known { Absent::Refuse } else { Absent::Empty });
    let mut findings = target.doctor().await;
    if let Some(row) = row
        && let Some(instance) = row.instance
        && let Ok(found) = target.fingerprint().await
        && found.instance != instance
    {
        findings.push(Finding {
            subject: configured.name.to_string(),
            check: "right place".to_owned(),
            outcome: Health::Error,
            text: "this is not the CMDB that the ledger knows under this name".to_owned(),
            mend: Some(format!("put the right address back, or run `dewpoint target recover {}`", configured.name)),
        });
    }
    findings
}

/// A path as people wrote it: relative to the configuration's folder where it lies in there.
fn shown(path: &Path, folder: &Path) -> String {
    match path.strip_prefix(folder) {
        Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
        Ok(inside) => inside.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// Warns of a ledger on a file system that forgets or that locks badly.
#[must_use]
pub fn ledger_place(config: &Config) -> Vec<Finding> {
    let LedgerConfig::Sqlite(path) = &config.ledger else { return Vec::new() };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let Some(kind) = file_system_of(folder) else { return Vec::new() };
    let (text, mend) = match kind.as_str() {
        "tmpfs" | "ramfs" | "overlay" => (
            format!("the ledger lies on {kind}, which forgets it with the machine or the container"),
            "put it on a volume that stays, or use PostgreSQL; a lost ledger is recovered from the targets, but holds and history are gone",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" => {
            (format!("the ledger lies on {kind}, where SQLite's locks cannot be trusted"), "put it on a local disk, or use PostgreSQL")
        }
        _ => return Vec::new(),
    };
    vec![Finding {
        subject: "ledger".to_owned(),
        check: "file system".to_owned(),
        outcome: Health::Warning,
        text,
        mend: Some(mend.to_owned()),
    }]
}

/// Type of the file system that a folder lies on, from `/proc/self/mounts`; `None` where that does not exist.
fn file_system_of(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?.replace("\\040", " ");
            Some((place, words.next()?))
        })
        .filter(|(place, _)| folder.starts_with(place))
        .max_by_key(|(place, _)| place.len())
        .map(|(_, kind)| kind.to_owned())
}
