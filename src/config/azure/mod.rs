//! The configuration of an Azure source, as meant.

mod check;
mod leaf;
mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_azure_settings::{ApiVersions, Collector, Credential, Endpoints, Rates, Subscriptions, UserAssigned};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub(super) use check::{Claims, cross_check};
pub(super) use leaf::{
    ApiVersion, AuthorityUrl, ClientId, HttpsUrl, IdentityId, ManagementGroupName, ObjectId, ResourceType, SubscriptionId, TenantName,
};
pub(super) use raw::{RawCloud, RawCollector, RawCredential, RawEndpoints, RawRates, RawSubscriptions};

use super::diagnostic::Report;
use super::leaf::{CallTimeout, FilePath, Written, absolute};
use super::proxy::{Proxy, ProxyAddress};
use super::secret::{Given, Secret, SecretError, SecretProblem, SecretRef};
use super::tree::Node;

/// The subscriptions of one Azure tenant, with its secrets unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureSettings {
    /// The tenant: its id, or one of its domain names; in lower case.
    pub tenant: String,
    /// As whom Azure is asked.
    pub credential: AzureCredential,
    /// Subscriptions to list.
    pub subscriptions: Subscriptions,
    /// How resources are listed.
    pub collector: Collector,
    /// Where Azure is.
    pub endpoints: Endpoints,
    /// A file of certificates in PEM to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through; as the environment says without it.
    pub proxy: Option<Proxy>,
    /// Versions of APIs to ask for, where the source's own are not right.
    pub api_versions: ApiVersions,
    /// Longest time for one call, its retries and waits included.
    pub timeout: Duration,
    /// Budgets for calls.
    pub rates: Rates,
}

/// As whom Azure is asked. Client ids are GUIDs in lower case, paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureCredential {
    /// An application, by a secret.
    ClientSecret {
        /// The application's id.
        client_id: Given,
        /// Its secret.
        client_secret: Secret,
    },
    /// An application, by a certificate.
    ClientCertificate {
        /// The application's id.
        client_id: Given,
        /// Certificate and key in PEM.
        certificate: Secret,
    },
    /// An application or a user-assigned identity, by a token that somebody else issues.
    WorkloadIdentity {
        /// Its client id; as the environment says without it.
        client_id: Option<Given>,
        /// File that holds the token; as the environment says without it.
        token_file: Option<PathBuf>,
    },
    /// The identity of where Dewpoint runs.
    ManagedIdentity {
        /// Which of several; the one that the system assigned without it.
        identity: Option<AzureIdentity>,
    },
    /// Whoever is logged in at the Azure CLI.
    AzureCli,
}

/// A managed identity that an administrator assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureIdentity {
    /// By its client id.
    ClientId(Given),
    /// By the id of its principal: a GUID in lower case.
    ObjectId(String),
    /// By its resource id.
    ResourceId(String),
}

impl AzureSettings {
    /// Reads the secrets, and says as whom Azure is asked.
    ///
    /// # Errors
    /// [`SecretError`] when one cannot be read, or is not what it should be.
    pub fn resolve(&self) -> Result<Credential, SecretError> {
        Ok(match &self.credential {
            AzureCredential::ClientSecret { client_id, client_secret } => {
                Credential::ClientSecret { client_id: resolved(client_id)?, secret: client_secret.resolve()? }
            }
            AzureCredential::ClientCertificate { client_id, certificate } => {
                const EXPECTED: &str =
                    "certificate with its key in PEM: `-----BEGIN CERTIFICATE-----` and an unencrypted `-----BEGIN PRIVATE KEY-----`";
                let pem = certificate.resolve()?;
                if !is_certificate_with_key(pem.expose_secret()) {
                    return Err(certificate.error(SecretProblem::Unfit(EXPECTED)));
                }
                Credential::ClientCertificate { client_id: resolved(client_id)?, pem }
            }
            AzureCredential::WorkloadIdentity { client_id, token_file } => {
                Credential::WorkloadIdentity { client_id: client_id.as_ref().map(resolved).transpose()?, token_file: token_file.clone() }
            }
            AzureCredential::ManagedIdentity { identity } => {
                let identity = match identity {
                    None => None,
                    Some(AzureIdentity::ClientId(id)) => Some(UserAssigned::ClientId(resolved(id)?)),
                    Some(AzureIdentity::ObjectId(id)) => Some(UserAssigned::ObjectId(id.clone())),
                    Some(AzureIdentity::ResourceId(id)) => Some(UserAssigned::ResourceId(id.clone())),
                };
                Credential::ManagedIdentity { identity }
            }
            AzureCredential::AzureCli => Credential::AzureCli,
        })
    }

    /// What is covered, for the configuration's digest: neither as whom, by which collector nor how fast.
    pub(super) fn covered(&self) -> Value {
        let subscriptions = match &self.subscriptions {
            Subscriptions::All => json!("all"),
            Subscriptions::Listed(ids) => json!(ids),
            Subscriptions::ManagementGroup(name) => json!({ "management_group": name.to_ascii_lowercase() }),
        };
        json!({ "kind": "azure", "tenant": self.tenant, "subscriptions": subscriptions })
    }
}

/// A client id, which is a GUID also where it is kept elsewhere.
fn resolved(client_id: &Given) -> Result<String, SecretError> {
    match client_id {
        Given::Plain(id) => Ok(id.clone()),
        Given::Kept(secret) => {
            let id = secret.resolve()?;
            leaf::guid(id.expose_secret()).ok_or_else(|| secret.error(SecretProblem::Unfit("client id: a GUID")))
        }
    }
}

/// Whether a text has the marks of a certificate and of a key that can be read without a password; what lies between them is the source's to read.
fn is_certificate_with_key(pem: &str) -> bool {
    let has_key = ["-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"].iter().any(|mark| pem.contains(mark));
    // Either form of a key that needs a password.
    let is_locked = ["-----BEGIN ENCRYPTED", ",ENCRYPTED"].iter().any(|mark| pem.contains(mark));
    pem.contains("-----BEGIN CERTIFICATE-----") && has_key && !is_locked
}

/// The keys of an Azure source that no other source has.
#[derive(Debug)]
pub(super) struct RawSettings {
    pub(super) tenant: Written<TenantName>,
    pub(super) credential: RawCredential,
    pub(super) subscriptions: RawSubscriptions,
    pub(super) collector: RawCollector,
    pub(super) cloud: RawCloud,
    pub(super) endpoints: RawEndpoints,
    pub(super) proxy: Option<Written<ProxyAddress>>,
    pub(super) api_versions: BTreeMap<String, Written<ApiVersion>>,
    pub(super) timeout: Written<CallTimeout>,
    pub(super) rate: RawRates,
}

/// The settings as meant. `None` where something is wrong, which [`cross_check`] told; `secret` makes one of a reference under a key of a node, which is at
/// a path.
pub(super) fn convert(
    raw: RawSettings,
    node: &Node,
    source: &str,
    dir: &Path,
    report: &Report,
    secret: impl Fn(SecretRef, &Node, &str, &str, &Path, &Report) -> Secret,
) -> Option<AzureSettings> {
    let at = node.get("credential")?;
    let path = format!("{source}.credential");
    let absolute = |path: Written<FilePath>| absolute(dir, path.0.0);
    let kept = |reference: SecretRef, key: &str| secret(reference, at, key, &path, dir, report);
    let given = |id: Written<ClientId>| match id.0 {
        ClientId::Plain(id) => Given::Plain(id),
        ClientId::Reference(reference) => Given::Kept(kept(reference, "client_id")),
    };
    let credential = match raw.credential {
        RawCredential::ClientSecret { client_id, client_secret } => {
            AzureCredential::ClientSecret { client_id: given(client_id), client_secret: kept(client_secret.0, "client_secret") }
        }
        RawCredential::ClientCertificate { client_id, certificate } => {
            AzureCredential::ClientCertificate { client_id: given(client_id), certificate: kept(certificate.0, "certificate") }
        }
        RawCredential::WorkloadIdentity { client_id, token_file } => {
            AzureCredential::WorkloadIdentity { client_id: client_id.map(given), token_file: token_file.map(absolute) }
        }
        RawCredential::ManagedIdentity { client_id, object_id, resource_id } => AzureCredential::ManagedIdentity {
            identity: match (client_id, object_id, resource_id) {
                (None, None, None) => None,
                (Some(id), None, None) => Some(AzureIdentity::ClientId(given(id))),
                (None, Some(id), None) => Some(AzureIdentity::ObjectId(id.0.0)),
                (None, None, Some(id)) => Some(AzureIdentity::ResourceId(id.0.0)),
                _ => return None,
            },
        },
        RawCredential::AzureCli {} => AzureCredential::AzureCli,
    };
    let mut endpoints = raw.endpoints;
    let ca_file = endpoints.ca_file.take().map(absolute);
    Some(AzureSettings {
        tenant: raw.tenant.0.0,
        credential,
        subscriptions: match raw.subscriptions {
            RawSubscriptions::All(_) => Subscriptions::All,
            RawSubscriptions::Listed(ids) => Subscriptions::Listed(ids.into_iter().map(|id| id.0.0).collect()),
            RawSubscriptions::Below(group) => Subscriptions::ManagementGroup(group.management_group.0.0),
        },
        collector: raw.collector.into(),
        endpoints: endpoints.over(raw.cloud),
        ca_file,
        proxy: raw.proxy.map(|address| address.0.meant(|reference| secret(reference, node, "proxy", source, dir, report))),
        api_versions: raw.api_versions.into_iter().map(|(resource_type, version)| (resource_type, version.0.0)).collect(),
        timeout: raw.timeout.0.0,
        rates: raw.rate.into(),
    })
}
