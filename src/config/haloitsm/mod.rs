//! The configuration of a target of HaloITSM, as meant.

mod check;
mod leaf;
mod raw;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_core::model::Kind;
use dewpoint_haloitsm::{FieldShape, Override, OwnField, Statuses, value_of};
use serde_json::{Value, json};
use url::Url;

pub(super) use check::cross_check;
pub(super) use leaf::{AssetField, HaloName, HaloTenant, Scopes};
pub(super) use raw::{RawAuth, RawKindMapping, RawRequestRate, RawStatuses, named};

use super::diagnostic::Report;
use super::leaf::{CallTimeout, FilePath, HttpUrl, Leaf as _, Written, absolute};
use super::mapped::{KindKey, NameOrRef, planned_mapping};
use super::proxy::{Proxy, ProxyAddress};
use super::secret::{Given, Secret, SecretRef};
use super::tree::Node;

/// One tenant, with its secrets unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaloSettings {
    /// Where it is.
    pub url: Url,
    /// The authorisation server, where that is not behind `url`.
    pub auth_url: Option<Url>,
    /// Its name.
    pub tenant: Option<String>,
    /// The application's id.
    pub client_id: Given,
    /// Its secret.
    pub client_secret: Secret,
    /// Scopes, with blanks between them.
    pub scopes: String,
    /// Name of the client that assets hang under.
    pub client: String,
    /// Name of the client's site that new assets are at.
    pub site: String,
    /// What takes the place of parts of the standard mapping.
    pub mapping: BTreeMap<Kind, Override<FieldShape>>,
    /// Names of statuses.
    pub statuses: Statuses,
    /// Requests a minute.
    pub requests_per_minute: NonZeroU32,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// A file of certificates in PEM to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy to go through; as the environment says without it.
    pub proxy: Option<Proxy>,
}

impl HaloSettings {
    /// The tenant's address as people name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// What of it decides what a plan says.
    pub(super) fn planned(&self) -> Value {
        let Statuses { active, inactive, retired } = &self.statuses;
        json!({
            "client": self.client,
            "site": self.site,
            "mapping": planned_mapping(&self.mapping),
            "statuses": [active, inactive, retired],
        })
    }
}

/// The keys of a target of HaloITSM that no other target has.
#[derive(Debug)]
pub(super) struct RawSettings {
    pub(super) url: Written<HttpUrl>,
    pub(super) auth_url: Option<Written<HttpUrl>>,
    pub(super) tenant: Option<Written<HaloTenant>>,
    pub(super) auth: RawAuth,
    pub(super) client: Written<HaloName>,
    pub(super) site: Written<HaloName>,
    pub(super) mapping: BTreeMap<String, RawKindMapping>,
    pub(super) statuses: RawStatuses,
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
) -> Option<HaloSettings> {
    let at = node.get("auth")?.get("oauth")?;
    let path = format!("{target}.auth.oauth");
    let oauth = raw.auth.oauth;
    let client_id = match oauth.client_id.0 {
        NameOrRef::Plain(name) => Given::Plain(name),
        NameOrRef::Reference(reference) => Given::Kept(secret(reference, at, "client_id", &path, dir, report)),
    };
    let client_secret = secret(oauth.client_secret.0, at, "client_secret", &path, dir, report);
    let proxy = raw.proxy.map(|address| address.0.meant(|reference| secret(reference, node, "proxy", target, dir, report)));
    let mut mapping = BTreeMap::new();
    for (word, own) in raw.mapping {
        let KindKey(kind) = KindKey::parse(&word).ok()?;
        let mut fields = BTreeMap::new();
        for (name, field) in own.fields {
            let value = value_of(kind, &field.value.0.0).ok()?;
            fields.insert(name, OwnField { value, shape: field.shape.map(FieldShape::from) });
        }
        mapping.insert(kind, Override { class: own.class.map(|class| class.0.0), fields });
    }
    Some(HaloSettings {
        url: raw.url.0.0,
        auth_url: raw.auth_url.map(|url| url.0.0),
        tenant: raw.tenant.map(|tenant| tenant.0.0),
        client_id,
        client_secret,
        scopes: oauth.scopes.0.0,
        client: raw.client.0.0,
        site: raw.site.0.0,
        mapping,
        statuses: raw.statuses.meant(),
        requests_per_minute: raw.rate.requests_per_minute,
        timeout: raw.timeout.0.0,
        ca_file: raw.ca_file.map(|path| absolute(dir, path.0.0)),
        proxy,
    })
}
