//! Resources: what a cloud says exists, in provider-neutral form.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes;
use super::digest::Digest;
use super::key::{Account, Key, Region};
use super::kind::{InstanceState, Kind, Provider};
use super::scope::Scope;

/// Attributes by name; which names a kind knows stands in [`attributes::of`]. Unknown names are kept as they came.
pub type Attributes = BTreeMap<String, Value>;

/// One thing a cloud says exists. Its serde form is an entry of the inventory file's `resources` and the ledger's payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Identity.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Who runs it.
    pub provider: Provider,
    /// The provider's own id, in the provider's own spelling.
    pub native_id: String,
    /// Account or subscription.
    pub account: Account,
    /// Region; `*` for what has none.
    pub region: Region,
    /// Display name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For instances a word of [`InstanceState`]; for other kinds the provider's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Tags; keys are case-sensitive.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Birth of the machine (not of its last start), where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was read. Data: neither identity nor order rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The attributes of its kind.
    #[serde(default)]
    pub attributes: Attributes,
    /// Whether Dewpoint derived it (fleet, service): such a resource has no cloud object and is derived anew in every run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Fields of the inventory file that this version does not know: kept, never read. Of a scaling group also `added_by_members`: what only
    /// the members folded into it tell, as values by attribute (`inventory::fold`).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Where in its life a resource says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vital {
    /// In use.
    Live,
    /// Exists, but stopped or deallocated.
    Inactive,
    /// Ended by the provider's own word: positive evidence.
    Ended,
}

impl Resource {
    /// The scope whose listing shows it, at its own region (a receipt over region `*` may cover it, see [`super::Receipts::covering`]).
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { provider: self.provider, account: self.account.clone(), region: self.region.clone(), kind: self.kind }
    }

    /// The neutral state, for instances.
    #[must_use]
    pub fn instance_state(&self) -> Option<InstanceState> {
        match self.kind {
            Kind::Instance => Some(self.state.as_deref().and_then(|word| word.parse().ok()).unwrap_or(InstanceState::Unknown)),
            _ => None,
        }
    }

    /// Where in its life it says it is. Only instances and accounts (`closed`) can say that they have ended.
    #[must_use]
    pub fn vital(&self) -> Vital {
        match (self.instance_state(), self.kind, self.state.as_deref()) {
            (Some(InstanceState::Terminated), ..) | (None, Kind::Account, Some("closed")) => Vital::Ended,
            (Some(InstanceState::Stopped), ..) => Vital::Inactive,
            _ => Vital::Live,
        }
    }

    /// Whether its listing says less of it than there was: it has ended, or it is a machine on its way out that has lost its interfaces before
    /// its life (`stopping` without address and MAC). What such a listing leaves out is no absence.
    #[must_use]
    pub fn is_fading(&self) -> bool {
        let has = |name: &str| self.attributes.get(name).and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        let has_no_network = || !["private_addresses", "macs"].into_iter().any(has);
        self.vital() == Vital::Ended || (self.instance_state() == Some(InstanceState::Stopping) && has_no_network())
    }

    /// What tells one life under this id from the next (Azure: `vmId`). `None` where ids are never used again.
    #[must_use]
    pub fn life(&self) -> Option<&str> {
        self.attributes.get(attributes::LIFE).and_then(Value::as_str)
    }

    /// Digest of everything that was observed, save the time of observation.
    ///
    /// # Errors
    /// Never in practice: serde_json fails only on maps with keys that are no strings.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        let Self { kind, provider, account, region, created_at, derived, .. } = self;
        Digest::of_json(&Still {
            key: &self.key,
            kind: *kind,
            provider: *provider,
            native_id: &self.native_id,
            account,
            region,
            name: self.name.as_deref(),
            state: self.state.as_deref(),
            tags: &self.tags,
            created_at: *created_at,
            attributes: &self.attributes,
            derived: *derived,
            extra: &self.extra,
        })
    }
}

/// A [`Resource`] without the time of observation.
#[derive(Serialize)]
struct Still<'a> {
    key: &'a Key,
    kind: Kind,
    provider: Provider,
    native_id: &'a str,
    account: &'a Account,
    region: &'a Region,
    name: Option<&'a str>,
    state: Option<&'a str>,
    tags: &'a BTreeMap<String, String>,
    created_at: Option<Timestamp>,
    attributes: &'a Attributes,
    derived: bool,
    extra: &'a Map<String, Value>,
}
