//! The configuration of a target of Jira Service Management, as meant.

mod check;
mod leaf;
mod raw;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_core::model::Kind;
use dewpoint_jsm::{
    AttributeShape, Auth, BaseUrl, BuildError, CLOUD_API, CLOUD_TOKENS, Deployment, Override, OwnField, Plaintext, Statuses, value_of,
};
use serde_json::{Value, json};
use url::Url;

pub(super) use check::cross_check;
pub(super) use leaf::{AssetsAttribute, ObjectTypeName, SchemaKey, StatusName};
pub(super) use raw::{RawAuth, RawDeployment, RawImport, RawKindMapping, RawRequestRate, RawStatuses};

use super::diagnostic::Report;
use super::leaf::{AnyDuration, CallTimeout, FilePath, HttpUrl, Leaf as _, Written, absolute};
use super::mapped::{KindKey, NameOrRef, planned_mapping};
use super::proxy::{Proxy, ProxyAddress};
use super::secret::{Given, Secret, SecretError, SecretRef};
use super::tree::Node;

/// One site, with its secrets unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsmSettings {
    /// Where it is.
    pub url: Url,
    /// Which product it is.
    pub deployment: Deployment,
    /// Where the API of Assets lies.
    pub api_base: Url,
    /// Whether that is the whole address, with workspace and version.
    pub is_whole: bool,
    /// As whom it is asked.
    pub auth: JsmAuth,
    /// Key of the object schema.
    pub schema: String,
    /// What takes the place of parts of the standard mapping.
    pub mapping: BTreeMap<Kind, Override<AttributeShape>>,
    /// Names of statuses.
    pub statuses: Statuses,
    /// Requests a second.
    pub requests_per_second: NonZeroU32,
    /// The import source that makes many new objects at once.
    pub import: Option<JsmImport>,
    /// How long after a write searches may show what was before it.
    pub index_lag: Duration,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// A file of certificates in PEM to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through; as the environment says without it.
    pub proxy: Option<Proxy>,
}

/// An external import source of the schema, which is set to ignore missing objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsmImport {
    /// Its token.
    pub token: Secret,
    /// So many new objects at once, and more, are made by it.
    pub from: NonZeroU32,
}

/// As whom a site is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsmAuth {
    /// A user's name and API token or password with each request.
    Basic {
        /// The user.
        username: Given,
        /// The token or password.
        password: Secret,
    },
    /// A personal access token.
    Token(Secret),
    /// Tokens of an OAuth application.
    OAuth {
        /// The application's id.
        client_id: Given,
        /// Its secret.
        client_secret: Secret,
        /// Where tokens come from.
        tokens: Url,
    },
}

impl JsmAuth {
    /// Reads the secrets.
    ///
    /// # Errors
    /// [`JsmAuthError`] when one cannot be read, or where tokens come from cannot be asked.
    pub fn resolve(&self) -> Result<Auth, JsmAuthError> {
        Ok(match self {
            Self::Basic { username, password } => Auth::Basic { username: username.resolve()?, password: password.resolve()? },
            Self::Token(token) => Auth::Token(token.resolve()?),
            Self::OAuth { client_id, client_secret, tokens } => Auth::OAuth {
                client_id: client_id.resolve()?,
                client_secret: client_secret.resolve()?,
                tokens: BaseUrl::parse(tokens.as_str(), Plaintext::Loopback)?,
            },
        })
    }
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JsmAuthError {
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Where tokens come from is no address.
    #[error(transparent)]
    Address(#[from] BuildError),
}

impl JsmSettings {
    /// The site's address and the schema as people name them.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{} {}", self.url.as_str().trim_end_matches('/'), self.schema)
    }

    /// What of it decides what a plan says.
    pub(super) fn planned(&self) -> Value {
        let Statuses { active, inactive, retired } = &self.statuses;
        json!({ "schema": self.schema, "mapping": planned_mapping(&self.mapping), "statuses": [active, inactive, retired] })
    }
}

/// The keys of a target of Jira Service Management that no other target has.
#[derive(Debug)]
pub(super) struct RawSettings {
    pub(super) url: Written<HttpUrl>,
    pub(super) deployment: RawDeployment,
    pub(super) api_base: Option<Written<HttpUrl>>,
    pub(super) auth: RawAuth,
    pub(super) schema: Written<SchemaKey>,
    pub(super) mapping: BTreeMap<String, RawKindMapping>,
    pub(super) statuses: RawStatuses,
    pub(super) rate: RawRequestRate,
    pub(super) import: Option<RawImport>,
    pub(super) index_lag: Written<AnyDuration>,
    pub(super) timeout: Written<CallTimeout>,
    pub(super) ca_file: Option<Written<FilePath>>,
    pub(super) proxy: Option<Written<ProxyAddress>>,
}

/// Where the API lies below the address of a site of Data Center.
const DATA_CENTER_API: &str = "rest/assets/1.0";

/// The settings as meant. `None` where something is wrong, which [`cross_check`] told; `secret` makes one of a reference under a key of a node, which is at
/// a path.
pub(super) fn convert(
    raw: RawSettings,
    node: &Node,
    target: &str,
    dir: &Path,
    report: &Report,
    secret: impl Fn(SecretRef, &Node, &str, &str, &Path, &Report) -> Secret,
) -> Option<JsmSettings> {
    let at = node.get("auth")?;
    let path = format!("{target}.auth");
    let kept = |reference: Written<SecretRef>, node: &Node, key: &str, path: &str| secret(reference.0, node, key, path, dir, report);
    let given = |name: Written<NameOrRef>, node: &Node, key: &str, path: &str| match name.0 {
        NameOrRef::Plain(name) => Given::Plain(name),
        NameOrRef::Reference(reference) => Given::Kept(secret(reference, node, key, path, dir, report)),
    };
    let proxy = raw.proxy.map(|address| address.0.meant(|reference| secret(reference, node, "proxy", target, dir, report)));
    let auth = match raw.auth {
        RawAuth { basic: Some(basic), oauth: None, token: None } => {
            let (node, path) = (at.get("basic")?, format!("{path}.basic"));
            JsmAuth::Basic {
                username: given(basic.username, node, "username", &path),
                password: kept(basic.password, node, "password", &path),
            }
        }
        RawAuth { basic: None, oauth: Some(oauth), token: None } => {
            let (node, path) = (at.get("oauth")?, format!("{path}.oauth"));
            JsmAuth::OAuth {
                client_id: given(oauth.client_id, node, "client_id", &path),
                client_secret: kept(oauth.client_secret, node, "client_secret", &path),
                tokens: oauth.tokens.map(|url| url.0.0).or_else(|| Url::parse(CLOUD_TOKENS).ok())?,
            }
        }
        RawAuth { basic: None, oauth: None, token: Some(token) } => JsmAuth::Token(kept(token, at, "token", &path)),
        _ => return None,
    };
    let import = match raw.import {
        None => None,
        Some(import) => {
            Some(JsmImport { token: kept(import.token, node.get("import")?, "token", &format!("{target}.import")), from: import.from })
        }
    };
    let mut mapping = BTreeMap::new();
    for (word, own) in raw.mapping {
        let KindKey(kind) = KindKey::parse(&word).ok()?;
        let mut fields = BTreeMap::new();
        for (name, field) in own.fields {
            let value = value_of(kind, &field.value.0.0).ok()?;
            let shape = field.reference.map(AttributeShape::from).or_else(|| field.shape.map(AttributeShape::from));
            fields.insert(name, OwnField { value, shape });
        }
        mapping.insert(kind, Override { class: own.class.map(|class| class.0.0), fields });
    }
    let url = raw.url.0.0;
    let (api_base, is_whole) = match (raw.deployment, raw.api_base.map(|base| base.0.0)) {
        (RawDeployment::Cloud, None) => (Url::parse(CLOUD_API).ok()?, false),
        // What names a workspace is the whole address.
        (RawDeployment::Cloud, Some(base)) => {
            let is_whole = base.path().contains("/workspace/");
            (base, is_whole)
        }
        (RawDeployment::DataCenter, None) => (Url::parse(&format!("{}/{DATA_CENTER_API}", url.as_str().trim_end_matches('/'))).ok()?, true),
        (RawDeployment::DataCenter, Some(base)) => (base, true),
    };
    Some(JsmSettings {
        url,
        deployment: match raw.deployment {
            RawDeployment::Cloud => Deployment::Cloud,
            RawDeployment::DataCenter => Deployment::DataCenter,
        },
        api_base,
        is_whole,
        auth,
        schema: raw.schema.0.0,
        mapping,
        statuses: raw.statuses.meant(),
        requests_per_second: raw.rate.requests_per_second,
        import,
        index_lag: raw.index_lag.0.0,
        timeout: raw.timeout.0.0,
        ca_file: raw.ca_file.map(|path| absolute(dir, path.0.0)),
        proxy,
    })
}
