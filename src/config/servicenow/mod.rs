//! The configuration of a ServiceNow target, as meant.

mod check;
mod leaf;
mod raw;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_core::model::{Kind, RelationType};
use dewpoint_servicenow::{Auth, Override, OwnField, Reference, Status, Statuses, value_of};
use serde_json::{Value, json};
use url::Url;

pub(super) use check::cross_check;
pub(super) use leaf::{ClassName, ColumnName, DiscoverySource, InstanceUrl, LifeCycleName, LookUpColumn, RelationshipType, TableName};
pub(super) use raw::{RawAuth, RawBasic, RawKindMapping, RawRequestRate, RawStatuses, default_discovery_source};

use super::diagnostic::Report;
use super::leaf::{CallTimeout, FilePath, Leaf, Written, absolute};
use super::mapped::{KindKey, NameOrRef, RelationKey};
use super::proxy::{Proxy, ProxyAddress};
use super::secret::{Given, Secret, SecretError, SecretRef};
use super::tree::Node;

/// One ServiceNow instance, with its secrets unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNowSettings {
    /// Where it is: https, or http on this machine.
    pub url: Url,
    /// As whom it is asked.
    pub auth: ServiceNowAuth,
    /// Our name among the sources of discovery.
    pub discovery_source: String,
    /// What takes the place of parts of the standard mapping.
    pub mapping: BTreeMap<Kind, Override>,
    /// Relationship types that take the place of the standard ones, by type of edge.
    pub relationships: BTreeMap<RelationType, String>,
    /// What status columns hold.
    pub statuses: Statuses,
    /// Requests a second.
    pub requests_per_second: NonZeroU32,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// A file of certificates in PEM to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through; as the environment says without it.
    pub proxy: Option<Proxy>,
}

/// As whom an instance is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceNowAuth {
    /// A user's name and password with each request.
    Basic {
        /// The user.
        username: Given,
        /// The password.
        password: Secret,
    },
    /// Tokens of an OAuth application.
    OAuth {
        /// The application's id.
        client_id: Given,
        /// Its secret.
        client_secret: Secret,
        /// As which user, with the password; as the application's own without one.
        user: Option<(Given, Secret)>,
    },
    /// A REST API key.
    ApiKey(Secret),
}

impl ServiceNowAuth {
    /// Reads the secrets.
    ///
    /// # Errors
    /// [`SecretError`] when one cannot be read.
    pub fn resolve(&self) -> Result<Auth, SecretError> {
        Ok(match self {
            Self::Basic { username, password } => Auth::Basic { username: username.resolve()?, password: password.resolve()? },
            Self::ApiKey(key) => Auth::ApiKey(key.resolve()?),
            Self::OAuth { client_id, client_secret, user } => Auth::OAuth {
                client_id: client_id.resolve()?,
                client_secret: client_secret.resolve()?,
                user: match user {
                    Some((username, password)) => Some((username.resolve()?, password.resolve()?)),
                    None => None,
                },
            },
        })
    }
}

impl ServiceNowSettings {
    /// The instance's address as people write it.
    #[must_use]
    pub fn address(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// What of it decides what a plan says.
    pub(super) fn planned(&self) -> Value {
        let kinds: BTreeMap<&str, Value> = self
            .mapping
            .iter()
            .map(|(kind, own)| {
                let field = |OwnField { value, reference }: &OwnField| match reference {
                    None => json!(value.source()),
                    Some(Reference { table, by }) => json!({ "value": value.source(), "table": table, "by": by }),
                };
                let fields: BTreeMap<&str, Value> = own.fields.iter().map(|(name, own)| (name.as_str(), field(own))).collect();
                (kind.as_str(), json!({ "class": own.class, "fields": fields }))
            })
            .collect();
        let types: BTreeMap<&str, &str> = self.relationships.iter().map(|(relation, kind)| (relation.as_str(), kind.as_str())).collect();
        let Statuses { active, inactive, retired, life_cycle } = &self.statuses;
        let statuses = [active, inactive, retired].map(|status| {
            let Status { install_status, operational_status, life_cycle_stage, life_cycle_stage_status } = status;
            json!([install_status, operational_status, life_cycle_stage, life_cycle_stage_status])
        });
        json!({
            "discovery_source": self.discovery_source,
            "mapping": kinds,
            "relationships": types,
            "statuses": statuses,
            "life_cycle": life_cycle,
        })
    }
}

/// The keys of a ServiceNow target that no other target has.
#[derive(Debug)]
pub(super) struct RawSettings {
    pub(super) url: Written<InstanceUrl>,
    pub(super) auth: RawAuth,
    pub(super) discovery_source: Written<DiscoverySource>,
    pub(super) mapping: BTreeMap<String, RawKindMapping>,
    pub(super) relationships: BTreeMap<String, Written<RelationshipType>>,
    pub(super) statuses: RawStatuses,
    pub(super) life_cycle: bool,
    pub(super) rate: RawRequestRate,
    pub(super) timeout: Written<CallTimeout>,
    pub(super) ca_file: Option<Written<FilePath>>,
    pub(super) proxy: Option<Written<ProxyAddress>>,
}

/// The settings as meant. `None` where something is wrong, which [`cross_check`] told; `secret` makes one of a reference under a key of a node, which is at
/// a path.
pub(super) fn convert(
    raw: RawSettings,
    node: &Node,
    target: &str,
    dir: &Path,
    report: &Report,
    secret: impl Fn(SecretRef, &Node, &str, &str, &Path, &Report) -> Secret,
) -> Option<ServiceNowSettings> {
    let at = node.get("auth")?;
    let path = format!("{target}.auth");
    let kept = |reference: Written<SecretRef>, node: &Node, key: &str, path: &str| secret(reference.0, node, key, path, dir, report);
    let given = |name: Written<NameOrRef>, node: &Node, key: &str, path: &str| match name.0 {
        NameOrRef::Plain(name) => Given::Plain(name),
        NameOrRef::Reference(reference) => Given::Kept(secret(reference, node, key, path, dir, report)),
    };
    let proxy = raw.proxy.map(|address| address.0.meant(|reference| secret(reference, node, "proxy", target, dir, report)));
    let auth = match raw.auth {
        RawAuth { oauth: Some(oauth), basic: None, api_key: None } => {
            let (node, path) = (at.get("oauth")?, format!("{path}.oauth"));
            ServiceNowAuth::OAuth {
                client_id: given(oauth.client_id, node, "client_id", &path),
                client_secret: kept(oauth.client_secret, node, "client_secret", &path),
                user: match (oauth.username, oauth.password) {
                    (Some(username), Some(password)) => {
                        Some((given(username, node, "username", &path), kept(password, node, "password", &path)))
                    }
                    (None, None) => None,
                    _ => return None,
                },
            }
        }
        RawAuth { oauth: None, basic: Some(basic), api_key: None } => {
            let (node, path) = (at.get("basic")?, format!("{path}.basic"));
            ServiceNowAuth::Basic {
                username: given(basic.username, node, "username", &path),
                password: kept(basic.password, node, "password", &path),
            }
        }
        RawAuth { oauth: None, basic: None, api_key: Some(key) } => ServiceNowAuth::ApiKey(kept(key, at, "api_key", &path)),
        _ => return None,
    };
    let mut mapping = BTreeMap::new();
    for (word, own) in raw.mapping {
        let KindKey(kind) = KindKey::parse(&word).ok()?;
        let mut fields = BTreeMap::new();
        for (name, field) in own.fields {
            let value = value_of(kind, &field.value.0.0).ok()?;
            fields.insert(name, OwnField { value, reference: field.reference.map(Into::into) });
        }
        mapping.insert(kind, Override { class: own.class.map(|class| class.0.0), fields });
    }
    let mut relationships = BTreeMap::new();
    for (word, name) in raw.relationships {
        relationships.insert(RelationKey::parse(&word).ok()?.0, name.0.0);
    }
    Some(ServiceNowSettings {
        url: raw.url.0.0,
        auth,
        discovery_source: raw.discovery_source.0.0,
        mapping,
        relationships,
        statuses: raw.statuses.meant(raw.life_cycle),
        requests_per_second: raw.rate.requests_per_second,
        timeout: raw.timeout.0.0,
        ca_file: raw.ca_file.map(|path| absolute(dir, path.0.0)),
        proxy,
    })
}
