//! From the configuration to sources and targets: the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(feature = "aws")]
use dewpoint_aws::{AwsConfig, AwsSource};
#[cfg(feature = "azure")]
use dewpoint_azure::{AzureConfig, AzureSource, SourceBuildError};
use dewpoint_haloitsm::{HaloConfig, HaloTarget};
use dewpoint_jsm::{ApiBase, ImportConfig, JsmConfig, JsmTarget};
use dewpoint_servicenow::{
    BaseUrl, BuildError, Connection, Mapping, Meter as RequestMeter, NoMeter, Plaintext, Proxies, Rate, ServiceNowConfig, ServiceNowTarget,
    SystemClock,
};

#[cfg(feature = "aws")]
use crate::clock::{Clock, RunClock};
#[cfg(feature = "azure")]
use crate::config::AzureSettings;
use crate::config::{
    Config, HaloSettings, JsmAuthError, JsmSettings, LedgerConfig, Proxy, SecretError, ServiceNowSettings, SourceConfig, SourceKind,
    TargetConfig, TargetKind,
};
use crate::doctor::{Finding, Health};
use crate::ledger::Ledger;
use crate::model::{Digest, Key, Kind, RelationType, SourceName, TargetName};
use crate::source::file::{FileConfig, FileSource};
use crate::source::{Presence, Progress, Pull, Source, SourceError};
use crate::target::local::{LocalConfig, LocalTarget, Missing};
use crate::target::{
    Acquaintance, Adapted, Ci, Delivered, Fingerprint, FoundRecord, Identity, Page, Sending, Step, Target, TargetError, Write,
};
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
    let unusable = |error: &SecretError| Unusable { name: configured.name.clone(), operation: "reading its secrets", lack: unread(error) };
    source(configured, folder).unwrap_or_else(|error| Box::new(unusable(&error)))
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
            lack: Lack {
                check: "this program",
                text: "it was built without the AWS source".to_owned(),
                mend: "build it with the feature `aws`, which is one of the default ones".to_owned(),
            },
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
        #[cfg(feature = "azure")]
        SourceKind::Azure(settings) => azure(configured, settings)?,
        #[cfg(not(feature = "azure"))]
        SourceKind::Azure(_) => Box::new(Unusable {
            name: configured.name.clone(),
            operation: "asking Azure",
            lack: Lack {
                check: "this program",
                text: "it was built without the Azure source".to_owned(),
                mend: "build it with the feature `azure`, which is one of the default ones".to_owned(),
            },
        }),
        SourceKind::File { path, max_file_bytes } => Box::new(FileSource::new(FileConfig {
            name: configured.name.clone(),
            display_path: shown(path, folder),
            path: path.clone(),
            max_file_bytes: *max_file_bytes,
        })),
    })
}

/// The Azure source; where its connection or its certificate cannot be used, it says so whenever it is asked.
#[cfg(feature = "azure")]
fn azure(configured: &SourceConfig, settings: &AzureSettings) -> Result<Box<dyn Source>, SecretError> {
    let credential = settings.resolve()?;
    let proxies = proxies(settings.proxy.as_ref())?;
    let unusable = |lack| Unusable { name: configured.name.clone(), operation: "connecting", lack };
    let ca_pem = match settings.ca_file.as_deref().map(certificates).transpose() {
        Ok(ca_pem) => ca_pem,
        Err(lack) => return Ok(Box::new(unusable(lack))),
    };
    let config = AzureConfig {
        name: configured.name.clone(),
        tenant: settings.tenant.clone(),
        credential,
        subscriptions: settings.subscriptions.clone(),
        collector: settings.collector,
        endpoints: settings.endpoints.clone(),
        ca_pem,
        proxies,
        api_versions: settings.api_versions.clone(),
        timeout: settings.timeout,
        rates: settings.rates,
        clock: Arc::new(SystemClock::new()),
    };
    Ok(match AzureSource::new(config) {
        Ok(source) => Box::new(source),
        Err(error) => Box::new(unusable(unfit_azure(&error))),
    })
}

#[cfg(feature = "azure")]
fn unfit_azure(error: &SourceBuildError) -> Lack {
    match error {
        SourceBuildError::Connection(error) => unconnected(error),
        SourceBuildError::Credentials(error) => Lack {
            check: "certificate",
            text: error.to_string(),
            mend: "give one PEM file with the certificate and its private key: `certificate: file:PATH`".to_owned(),
        },
    }
}

/// A source that cannot be asked, and says why whenever it is.
struct Unusable {
    name: SourceName,
    /// What fails.
    operation: &'static str,
    lack: Lack,
}

impl Unusable {
    fn failed(&self) -> SourceError {
        SourceError::Failed { source_name: self.name.clone(), operation: self.operation.to_owned(), text: self.lack.text.clone() }
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
        vec![self.lack.finding(&self.name)]
    }
}

/// Who is told of the requests that targets send.
pub type Requests = Arc<dyn RequestMeter>;

/// Nobody is told.
#[must_use]
pub fn uncounted() -> Requests {
    Arc::new(NoMeter)
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

/// One configured target. What it lacks, such as a secret, it says whenever it is asked. `requests` is told of what it sends.
#[must_use]
pub fn target(configured: &TargetConfig, absent: Absent, requests: &Requests) -> Box<dyn Target> {
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
        TargetKind::ServiceNow(settings) => match servicenow(configured, settings, requests) {
            Ok(target) => Box::new(target),
            Err(lack) => Box::new(UnusableTarget { name: configured.name.clone(), lack }),
        },
        TargetKind::Jsm(settings) => match jsm(configured, settings, requests) {
            Ok(target) => Box::new(target),
            Err(lack) => Box::new(UnusableTarget { name: configured.name.clone(), lack }),
        },
        TargetKind::Halo(settings) => match halo(configured, settings, requests) {
            Ok(target) => Box::new(target),
            Err(lack) => Box::new(UnusableTarget { name: configured.name.clone(), lack }),
        },
    }
}

/// Largest file of certificates that is read, in bytes: that of all public authorities has a quarter of this.
const CA_BYTES_MAX: u64 = 1024 * 1024;

fn connection(
    configured: &TargetConfig,
    timeout: Duration,
    ca_file: Option<&Path>,
    proxy: Option<&Proxy>,
    requests: &Requests,
) -> Result<Connection, Lack> {
    Ok(Connection {
        target: configured.name.clone(),
        timeout,
        deadline: configured.deadline,
        ca_pem: ca_file.map(certificates).transpose()?,
        proxies: proxies(proxy).map_err(|error| unread(&error))?,
        meter: Arc::clone(requests),
        clock: Arc::new(SystemClock::new()),
    })
}

fn servicenow(configured: &TargetConfig, settings: &ServiceNowSettings, requests: &Requests) -> Result<ServiceNowTarget, Lack> {
    let auth = settings.auth.resolve().map_err(|error| unread(&error))?;
    let mapping = Mapping::with(&settings.mapping, &settings.relationships, &settings.statuses).map_err(|error| defect(&error))?;
    let config = ServiceNowConfig {
        connection: connection(configured, settings.timeout, settings.ca_file.as_deref(), settings.proxy.as_ref(), requests)?,
        url: BaseUrl::parse(settings.url.as_str(), Plaintext::Loopback).map_err(|error| unconnected(&error))?,
        auth,
        discovery_source: settings.discovery_source.clone(),
        mapping: Arc::new(mapping),
        authority: configured.authority.clone(),
        adopt: configured.adopt,
        batch_size: configured.batch_size,
        rate: Rate::per_second(f64::from(settings.requests_per_second.get())),
    };
    ServiceNowTarget::new(&config).map_err(|error| unconnected(&error))
}

fn jsm(configured: &TargetConfig, settings: &JsmSettings, requests: &Requests) -> Result<JsmTarget, Lack> {
    let base = |url: &str| BaseUrl::parse(url, Plaintext::Loopback).map_err(|error| unconnected(&error));
    let auth = settings.auth.resolve().map_err(|error| match error {
        JsmAuthError::Secret(error) => unread(&error),
        JsmAuthError::Address(error) => unconnected(&error),
    })?;
    let import = match &settings.import {
        None => None,
        Some(import) => {
            let token = import.token.resolve().map_err(|error| unread(&error))?;
            Some(ImportConfig { token, from: import.from.get() })
        }
    };
    let mapping = dewpoint_jsm::Mapping::with(&settings.mapping, settings.statuses.clone()).map_err(|error| defect(&error))?;
    let config = JsmConfig {
        connection: connection(configured, settings.timeout, settings.ca_file.as_deref(), settings.proxy.as_ref(), requests)?,
        url: base(settings.url.as_str())?,
        deployment: settings.deployment,
        api_base: match (settings.is_whole, base(settings.api_base.as_str())?) {
            (true, base) => ApiBase::Whole(base),
            (false, base) => ApiBase::Host(base),
        },
        auth,
        schema: settings.schema.clone(),
        mapping: Arc::new(mapping),
        authority: configured.authority.clone(),
        batch_size: configured.batch_size,
        rate: Rate::per_second(f64::from(settings.requests_per_second.get())),
        import,
        index_lag: settings.index_lag,
    };
    JsmTarget::new(&config).map_err(|error| unconnected(&error))
}

fn halo(configured: &TargetConfig, settings: &HaloSettings, requests: &Requests) -> Result<HaloTarget, Lack> {
    let base = |url: &str| BaseUrl::parse(url, Plaintext::Loopback).map_err(|error| unconnected(&error));
    let mapping = dewpoint_haloitsm::Mapping::with(&settings.mapping, settings.statuses.clone()).map_err(|error| defect(&error))?;
    let config = HaloConfig {
        connection: connection(configured, settings.timeout, settings.ca_file.as_deref(), settings.proxy.as_ref(), requests)?,
        url: base(settings.url.as_str())?,
        auth_url: settings.auth_url.as_ref().map(|url| base(url.as_str())).transpose()?,
        tenant: settings.tenant.clone(),
        client_id: settings.client_id.resolve().map_err(|error| unread(&error))?,
        client_secret: settings.client_secret.resolve().map_err(|error| unread(&error))?,
        scopes: settings.scopes.clone(),
        client: settings.client.clone(),
        site: settings.site.clone(),
        mapping: Arc::new(mapping),
        authority: configured.authority.clone(),
        batch_size: configured.batch_size,
        requests_per_minute: settings.requests_per_minute,
    };
    HaloTarget::new(&config).map_err(|error| unconnected(&error))
}

fn defect(error: &impl std::fmt::Display) -> Lack {
    Lack { check: "this program", text: error.to_string(), mend: "this is a defect of Dewpoint: report it".to_owned() }
}

/// The proxies that are configured, else those of the environment.
fn proxies(configured: Option<&Proxy>) -> Result<Proxies, SecretError> {
    match configured {
        None => Ok(Proxies::from_environment(|name| std::env::var(name).ok())),
        Some(proxy) => proxy.resolve(),
    }
}

fn unread(error: &SecretError) -> Lack {
    Lack { check: "secret", text: chain(error), mend: error.hint() }
}

fn unconnected(error: &BuildError) -> Lack {
    Lack { check: "connection", text: error.to_string(), mend: error.hint().unwrap_or("put right what it names").to_owned() }
}

fn certificates(path: &Path) -> Result<Vec<u8>, Lack> {
    let lack = |text: String| Lack {
        check: "ca_file",
        text: format!("file {}: {text}", path.display()),
        mend: "give PEM: -----BEGIN CERTIFICATE----- and so on; or leave `ca_file` out".to_owned(),
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CA_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| lack(format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > CA_BYTES_MAX) {
        return Err(lack(format!("larger than {CA_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Why a source or a target cannot be used.
struct Lack {
    /// What `doctor` calls it.
    check: &'static str,
    text: String,
    mend: String,
}

impl Lack {
    fn finding(&self, subject: &impl std::fmt::Display) -> Finding {
        Finding::new(subject, self.check, Health::Error, &self.text, Some(self.mend.clone()))
    }
}

/// A target that cannot be asked, and says why whenever it is.
struct UnusableTarget {
    name: TargetName,
    lack: Lack,
}

impl UnusableTarget {
    fn failed(&self) -> TargetError {
        TargetError::Unusable { target: self.name.clone(), text: self.lack.text.clone(), hint: self.lack.mend.clone() }
    }
}

#[async_trait]
impl Target for UnusableTarget {
    fn name(&self) -> &TargetName {
        &self.name
    }

    fn adapt(&self, _: &Ci) -> Option<Adapted> {
        None
    }

    fn relates(&self, _: RelationType, _: Kind, _: Kind) -> bool {
        false
    }

    fn mapping_digest(&self) -> Digest {
        Digest::of_parts([b"none".as_slice()])
    }

    async fn fingerprint(&self, _: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        Err(self.failed())
    }

    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        identities.iter().map(|identity| (identity.key.clone(), Err(self.failed()))).collect()
    }

    async fn read(&self, _: Option<&str>) -> Result<Page, TargetError> {
        Err(self.failed())
    }

    async fn apply(&self, _: &[Write], _: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        Err(self.failed())
    }

    fn batch_size(&self) -> usize {
        1
    }

    async fn doctor(&self) -> Vec<Finding> {
        vec![self.lack.finding(&self.name)]
    }

    async fn bootstrap(&self, _: bool) -> Result<Vec<Step>, TargetError> {
        Err(self.failed())
    }
}

/// The address of a target, without secrets, as the ledger notes it.
#[must_use]
pub fn address(configured: &TargetConfig) -> String {
    match &configured.kind {
        TargetKind::Local { path } => path.display().to_string(),
        TargetKind::ServiceNow(settings) => settings.address(),
        TargetKind::Jsm(settings) => settings.address(),
        TargetKind::Halo(settings) => settings.address(),
    }
}

/// The online checks of one target, with what the ledger knows of it.
pub async fn target_findings(configured: &TargetConfig, ledger: Option<&dyn Ledger>) -> Vec<Finding> {
    let row = match ledger {
        Some(ledger) => ledger.target_row(&configured.name).await.ok().flatten(),
        None => None,
    };
    let known = row.as_ref().is_some_and(|row| row.instance.is_some());
    let target = target(configured, if known { Absent::Refuse } else { Absent::Empty }, &uncounted());
    let mut findings = target.doctor().await;
    let own = match ledger {
        Some(ledger) => ledger.estate_id().await.ok(),
        None => None,
    };
    if let (Some(row), Some(own)) = (row, own)
        && let Some(acquainted) = row.acquaintance(&own)
    {
        let doubt = match target.fingerprint(Some(acquainted)).await {
            Ok(found) if row.is_contradicted_by(&found, &own) => Some((
                "this is not the CMDB that the ledger knows under this name".to_owned(),
                format!("put the right address back, or run `dewpoint target recover {}`", configured.name),
            )),
            Err(error @ TargetError::Unusable { .. }) => Some((error.to_string(), error.hint().unwrap_or_default())),
            Ok(_) | Err(_) => None,
        };
        findings.extend(doubt.map(|(text, mend)| Finding {
            subject: configured.name.to_string(),
            check: "right place".to_owned(),
            outcome: Health::Error,
            text,
            mend: Some(mend),
        }));
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
