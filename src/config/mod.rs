//! The configuration: one YAML file, validated whole before anything runs.
//!
//! `raw` is the file as written; its types make the JSON Schema. `tree` reads the YAML with every place, `check` holds it
//! against the schema, `validate` turns it into [`Config`], the file as meant. All errors come at once, as
//! [`ConfigErrors`]. Nothing here touches the network, and secrets stay references until [`Secret::resolve`].

mod aws;
mod azure;
mod check;
mod diagnostic;
mod haloitsm;
mod jsm;
mod leaf;
mod load;
mod mapped;
mod mask;
mod ownership;
mod proxy;
mod rates;
mod raw;
pub mod rules;
mod scalar;
mod schema;
mod secret;
mod servicenow;
mod tree;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_core::expression::Expression;
use dewpoint_core::lifecycle::Timers;
use dewpoint_core::model::{Digest, SourceName, TargetName};
use dewpoint_core::ownership::{Fact, FactTags, Ownership};
use dewpoint_core::plan::{Include, Limits};
use dewpoint_core::rules::Rules;
use dewpoint_core::target::{Adopt, Authority, Purge};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

pub use aws::{AwsAccount, AwsAccounts, AwsSettings};
pub use azure::{AzureCredential, AzureIdentity, AzureSettings};
pub use diagnostic::{ConfigError, ConfigErrors, ERRORS_MAX, Place, Position};
pub use haloitsm::HaloSettings;
pub use jsm::{JsmAuth, JsmAuthError, JsmSettings};
pub use load::{FILE_BYTES_MAX, load, load_bytes, load_str};
pub use proxy::Proxy;
pub use schema::schema;
pub use secret::{Given, SECRET_BYTES_MAX, Secret, SecretError, SecretProblem, SecretRef};
pub use servicenow::{ServiceNowAuth, ServiceNowSettings};

use leaf::sqlite_path;

/// A duration as the configuration writes it: `90d`, `1h30m`.
///
/// # Errors
/// What is wrong with it, and the mend.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    leaf::parse_duration(text).map_err(|problem| match problem.help {
        Some(help) => format!("{}; {help}", problem.text),
        None => problem.text,
    })
}

/// The configuration as meant. Paths are absolute; names are unique among sources and among targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file, as it was named by who loaded it.
    pub file: String,
    /// Folder of the file: relative paths were resolved against it.
    pub dir: PathBuf,
    /// Where the ledger is.
    pub ledger: LedgerConfig,
    /// How long the journal is kept; `None` for ever.
    pub journal_keep: Option<Duration>,
    /// What to read, in the order of the file; never empty.
    pub sources: Vec<SourceConfig>,
    /// Which tags say who owns a resource.
    pub ownership: Ownership,
    /// When a resource gets a record, and when the record ends.
    pub lifecycle: LifecycleConfig,
    /// What to keep true, in the order of the file; never empty.
    pub targets: Vec<TargetConfig>,
    /// The guardrails' limits.
    pub guardrails: Limits,
    /// Exit codes, out of 3, 4 and 6, that count as success.
    pub exit_ok: BTreeSet<u8>,
    /// What is allowed in it and will hardly be meant, in the order of the file.
    pub warnings: Vec<ConfigError>,
}

/// Where the ledger is, as configured.
#[derive(Clone, PartialEq)]
pub enum LedgerConfig {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// Its URL, without password.
        url: Url,
        /// Its password.
        password: Option<Secret>,
    },
    /// The whole address is a secret.
    Secret(Secret),
}

impl fmt::Debug for LedgerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres { url, password } => f.debug_struct("Postgres").field("url", &url.as_str()).field("password", password).finish(),
            Self::Secret(secret) => f.debug_tuple("Secret").field(secret).finish(),
        }
    }
}

/// Where the ledger is, with its secrets read.
#[derive(Debug, Clone)]
pub enum LedgerLocation {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL with its password.
    Postgres(SecretString),
}

/// One configured estate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name.
    pub name: SourceName,
    /// Where it is configured.
    pub place: Place,
    /// What it is.
    pub kind: SourceKind,
}

/// The kinds of sources, with what only they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Accounts of AWS.
    Aws(Box<AwsSettings>),
    /// Subscriptions of an Azure tenant.
    Azure(Box<AzureSettings>),
    /// An inventory file.
    File {
        /// Its path.
        path: PathBuf,
        /// Largest size that is read, in bytes.
        max_file_bytes: u64,
    },
}

/// When a resource gets a record, and when the record ends.
#[derive(Debug, Clone, PartialEq)]
pub struct LifecycleConfig {
    /// Timers for every resource.
    pub defaults: Timers,
    /// The configuration's rules in the order of the file, then those of the presets in the order in which these are listed.
    pub rules: Rules,
    /// Where each rule is written, by its name.
    pub places: BTreeMap<String, Place>,
}

/// One configured CMDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetConfig {
    /// Its name.
    pub name: TargetName,
    /// Where it is configured.
    pub place: Place,
    /// What it is.
    pub kind: TargetKind,
    /// Which CIs it gets; its kinds are never empty.
    pub include: Include,
    /// What to do with strangers' records.
    pub adopt: Adopt,
    /// Authority over single fields, where it is not the default.
    pub authority: BTreeMap<String, Authority>,
    /// How often it is read in full; `None` for never.
    pub verify_every: Option<Duration>,
    /// Longest that a record which lives is left without a write or a heartbeat; `None` for no heartbeat.
    pub heartbeat: Option<Duration>,
    /// Most records it may hold of ours; `None` for no limit.
    pub max_records: Option<u64>,
    /// What becomes of retired records.
    pub purge: Purge,
    /// Changes that are sent together, 1 to 20000.
    pub batch_size: u32,
    /// Longest that a one-shot sync waits for it.
    pub deadline: Duration,
}

/// The kinds of targets, with what only they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// The embedded CMDB.
    Local {
        /// Path of its file.
        path: PathBuf,
    },
    /// A ServiceNow instance.
    ServiceNow(Box<ServiceNowSettings>),
    /// A site of Jira Service Management.
    Jsm(Box<JsmSettings>),
    /// A tenant of HaloITSM.
    Halo(Box<HaloSettings>),
}

impl TargetKind {
    /// The word for it in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::ServiceNow(_) => "servicenow",
            Self::Jsm(_) => "jsm",
            Self::Halo(_) => "haloitsm",
        }
    }

    /// Whether it is asked over a network.
    #[must_use]
    pub fn sends_requests(&self) -> bool {
        match self {
            Self::Local { .. } => false,
            Self::ServiceNow(_) | Self::Jsm(_) | Self::Halo(_) => true,
        }
    }
}

impl SourceKind {
    /// The word for it in the configuration.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Aws(_) => "aws",
            Self::Azure(_) => "azure",
            Self::File { .. } => "file",
        }
    }
}

impl Config {
    /// Reads the ledger's secrets, if it has any, and says where it is.
    ///
    /// # Errors
    /// [`SecretError`] when a secret cannot be read, or is no address of a ledger.
    pub fn ledger_location(&self) -> Result<LedgerLocation, SecretError> {
        match &self.ledger {
            LedgerConfig::Sqlite(path) => Ok(LedgerLocation::Sqlite(path.clone())),
            LedgerConfig::Postgres { url, password: None } => Ok(LedgerLocation::Postgres(url.as_str().into())),
            LedgerConfig::Postgres { url, password: Some(secret) } => {
                let password = secret.resolve()?;
                let mut url = url.clone();
                url.set_password(Some(password.expose_secret()))
                    .map_err(|()| secret.error(SecretProblem::Unfit("password for this address")))?;
                Ok(LedgerLocation::Postgres(String::from(url).into()))
            }
            LedgerConfig::Secret(secret) => {
                let value = secret.resolve()?;
                location(value.expose_secret(), &self.dir)
                    .ok_or_else(|| secret.error(SecretProblem::Unfit("`sqlite://PATH` or `postgres://HOST/DATABASE`")))
            }
        }
    }

    /// Digest of everything that decides what a plan says: estates, ownership, lifecycle, what targets get and how,
    /// guardrails. Secrets, roles, paths, addresses and pace do not count, nor does the order of sources and targets.
    ///
    /// A saved plan carries it, so that a plan of another configuration can be refused. The first part is the version
    /// of this form: it changes when the form does.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let seconds = |duration: Duration| duration.as_secs();
        let sources: BTreeMap<&str, _> = self
            .sources
            .iter()
            .map(|source| {
                let covered = match &source.kind {
                    SourceKind::Aws(settings) => settings.covered(),
                    SourceKind::Azure(settings) => settings.covered(),
                    SourceKind::File { .. } => json!({ "kind": "file", "regions": null }),
                };
                (source.name.as_str(), covered)
            })
            .collect();
        let targets: BTreeMap<&str, _> = self
            .targets
            .iter()
            .map(|target| {
                let mut view = json!({
                    "kind": target.kind.as_str(),
                    "include": { "kinds": target.include.kinds, "when": target.include.when.as_ref().map(Expression::source) },
                    "adopt": target.adopt,
                    "authority": target.authority,
                    "max_records": target.max_records,
                    "purge": target.purge,
                });
                let planned = match &target.kind {
                    TargetKind::Local { .. } => None,
                    TargetKind::ServiceNow(settings) => Some(settings.planned()),
                    TargetKind::Jsm(settings) => Some(settings.planned()),
                    TargetKind::Halo(settings) => Some(settings.planned()),
                };
                if let (Some(planned), Some(view)) = (planned, view.as_object_mut()) {
                    view.insert(target.kind.as_str().to_owned(), planned);
                }
                (target.name.as_str(), view)
            })
            .collect();
        let ownership: BTreeMap<&str, _> = Fact::ALL
            .iter()
            .map(|fact| {
                let FactTags { tags, values } = self.ownership.of(*fact);
                (fact.as_str(), json!({ "tags": tags, "values": values }))
            })
            .collect();
        let Timers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = &self.lifecycle.defaults;
        let Limits { max_retire_percent, max_retire_min, max_retire, max_update_percent, plan_max_age } = &self.guardrails;
        let view = json!({
            "sources": sources,
            "ownership": ownership,
            "lifecycle": {
                "min_age": seconds(*min_age), "confirm_missing": confirm_missing, "retire_after": seconds(*retire_after),
                "purge_after": purge_after.map(seconds), "min_dwell": seconds(*min_dwell),
                "rules": self.lifecycle.rules.iter().map(rules::digested).collect::<Vec<_>>(),
            },
            "targets": targets,
            "guardrails": {
                "max_retire_percent": max_retire_percent, "max_retire_min": max_retire_min, "max_retire": max_retire,
                "max_update_percent": max_update_percent, "plan_max_age": seconds(*plan_max_age),
            },
        });
        Digest::of_parts([b"dewpoint configuration 4".as_slice(), canonical(&view).as_bytes()])
    }
}

/// JSON with sorted keys, whatever order the map type keeps.
fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let members: Vec<String> = sorted.into_iter().map(|(key, value)| format!("{}:{}", json!(key), canonical(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// The address of a ledger from a secret: here, and only here, it may hold a password.
fn location(text: &str, dir: &Path) -> Option<LedgerLocation> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        return sqlite_path(path).ok().map(|path| LedgerLocation::Sqlite(dir.join(path)));
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))?;
    Some(LedgerLocation::Postgres(String::from(url).into()))
}

#[cfg(test)]
mod tests;
