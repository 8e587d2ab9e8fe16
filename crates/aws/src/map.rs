//! What the three mappings share: keys, tags, attributes, and the odd item.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aws_sdk_ec2::types::{GroupIdentifier, Tag};
use aws_smithy_types::DateTime;
use dewpoint_core::model::{Account, Attributes, InvalidKey, Key, Kind, Provider, Region, Relation, RelationType, Resource};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Where and when something is listed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov` …, from the caller's own ARN.
    pub(crate) partition: String,
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) observed_at: Timestamp,
}

impl Place {
    /// Key of an EC2 resource of an account here; `path` is `instance/i-…` and the like.
    pub(crate) fn key_of(&self, account: &str, path: &str) -> Result<Key, InvalidKey> {
        Key::aws(&format!("arn:{}:ec2:{}:{account}:{path}", self.partition, self.region))
    }

    /// Key of an EC2 resource of the listed account.
    ///
    /// Answers name networks, subnets and groups by id alone. In a shared network these belong to another account, and the key
    /// is not the one their owner's listing will show.
    pub(crate) fn key(&self, path: &str) -> Result<Key, InvalidKey> {
        self.key_of(self.account.as_str(), path)
    }

    /// A resource of the listed account, so far without state, birth and attributes.
    pub(crate) fn resource(&self, kind: Kind, key: Key, native_id: &str, tags: &[Tag]) -> Resource {
        let tags: BTreeMap<String, String> =
            tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect();
        Resource {
            key,
            kind,
            provider: Provider::Aws,
            native_id: native_id.to_owned(),
            account: self.account.clone(),
            region: self.region.clone(),
            name: tags.get("Name").filter(|name| !name.trim().is_empty()).cloned(),
            state: None,
            tags,
            created_at: None,
            observed_at: Some(self.observed_at),
            attributes: Attributes::new(),
            derived: false,
            extra: Map::new(),
        }
    }
}

/// What one answer held.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) resources: Vec<Resource>,
    pub(crate) relations: Vec<Relation>,
    /// Items that cannot be taken, each with what is the matter. One of them makes the listing incomplete.
    pub(crate) refused: Vec<Refused>,
    /// Items that another account owns and lists.
    pub(crate) foreign: u64,
}

/// An item without which the listing is not whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    /// The item's id; empty when it has none.
    pub(crate) native_id: String,
    pub(crate) text: String,
}

impl Refused {
    pub(crate) fn new(native_id: &str, text: impl Into<String>) -> Self {
        Self { native_id: native_id.to_owned(), text: text.into() }
    }
}

impl From<InvalidKey> for Refused {
    fn from(error: InvalidKey) -> Self {
        Self { native_id: String::new(), text: error.to_string() }
    }
}

/// Attributes in their canonical form; what AWS leaves out or leaves empty is left out.
#[derive(Debug, Default)]
pub(crate) struct Facts(Attributes);

impl Facts {
    pub(crate) fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = filled(text) {
            self.0.insert(name.to_owned(), Value::String(text.to_owned()));
        }
    }

    pub(crate) fn key(&mut self, name: &str, key: Option<&Key>) {
        self.text(name, key.map(Key::as_str));
    }

    pub(crate) fn texts(&mut self, name: &str, texts: BTreeSet<String>) {
        self.0.insert(name.to_owned(), Value::Array(texts.into_iter().map(Value::String).collect()));
    }

    pub(crate) fn flag(&mut self, name: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.0.insert(name.to_owned(), Value::Bool(flag));
        }
    }

    pub(crate) fn time(&mut self, name: &str, time: Option<Timestamp>) {
        self.text(name, time.map(|time| time.to_string()).as_deref());
    }

    pub(crate) fn value(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn finish(self) -> Attributes {
        self.0
    }
}

/// Addresses of interfaces, sorted into those that the internet knows and those that it does not.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) private: BTreeSet<String>,
    pub(crate) public: BTreeSet<String>,
}

impl Addresses {
    pub(crate) fn add_private(&mut self, address: Option<&str>) {
        self.private.extend(filled(address).map(str::to_owned));
    }

    pub(crate) fn add_public(&mut self, address: Option<&str>) {
        self.public.extend(filled(address).map(str::to_owned));
    }

    /// An IPv6 address is the interface's own and, unless unique-local (RFC 4193), public at once.
    pub(crate) fn add_v6(&mut self, address: Option<&str>) {
        let local = address.and_then(|text| text.parse::<IpAddr>().ok()).is_some_and(|ip| match ip {
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        });
        if local { self.add_private(address) } else { self.add_public(address) }
    }
}

/// `None` for the empty texts that AWS puts where it has nothing to say.
pub(crate) fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// An instant of the SDK's as one of ours.
pub(crate) fn instant(time: Option<&DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Ids of security groups.
pub(crate) fn group_ids(groups: &[GroupIdentifier]) -> impl Iterator<Item = &str> {
    groups.iter().filter_map(|group| filled(group.group_id()))
}

/// An edge with its attributes.
pub(crate) fn edge(from: &Key, relation: RelationType, to: Key, attributes: Attributes) -> Relation {
    Relation { relation, from: from.clone(), to, attributes, derived: false, extra: Map::new() }
}

/// Edges to the security groups that protect something.
pub(crate) fn protected_by(place: &Place, from: &Key, groups: BTreeSet<&str>) -> Result<Vec<Relation>, InvalidKey> {
    groups
        .into_iter()
        .map(|id| Ok(edge(from, RelationType::ProtectedBy, place.key(&format!("security-group/{id}"))?, Attributes::new())))
        .collect()
}
