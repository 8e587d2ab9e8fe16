//! What the sources' mappings share: attributes in canonical form, addresses, edges, and the odd item.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Remark;
use crate::model::{Attributes, InvalidKey, Key, Kind, Relation, RelationType, Scope};

/// Attributes in their canonical form; what a cloud leaves out or leaves empty is left out.
#[derive(Debug, Default)]
pub struct Facts(Attributes);

impl Facts {
    /// A text; nothing where there is none.
    pub fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = filled(text) {
            self.0.insert(name.to_owned(), Value::String(text.to_owned()));
        }
    }

    /// A resource's key; nothing where there is none.
    pub fn key(&mut self, name: &str, key: Option<&Key>) {
        self.text(name, key.map(Key::as_str));
    }

    /// A list of texts, which may be empty.
    pub fn texts(&mut self, name: &str, texts: BTreeSet<String>) {
        self.0.insert(name.to_owned(), Value::Array(texts.into_iter().map(Value::String).collect()));
    }

    /// A flag; nothing where nobody says.
    pub fn flag(&mut self, name: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.0.insert(name.to_owned(), Value::Bool(flag));
        }
    }

    /// A count; nothing where nobody says, or for what is negative.
    pub fn count(&mut self, name: &str, count: Option<impl Into<i64>>) {
        if let Some(count) = count.and_then(|count| u64::try_from(count.into()).ok()) {
            self.0.insert(name.to_owned(), Value::from(count));
        }
    }

    /// An instant; nothing where there is none.
    pub fn time(&mut self, name: &str, time: Option<Timestamp>) {
        self.text(name, time.map(|time| time.to_string()).as_deref());
    }

    /// A value in its canonical form already.
    pub fn value(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// The attributes.
    #[must_use]
    pub fn finish(self) -> Attributes {
        self.0
    }
}

/// The attributes that a resource of a kind has from the listings of its neighbours: a look-up of the resource by itself does not tell them.
#[must_use]
pub const fn from_neighbours(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Instance => &[
            "private_addresses",
            "public_addresses",
            "macs",
            "private_dns_name",
            "public_dns_name",
            "network",
            "subnet",
            "purchase",
            "managed_by",
        ],
        Kind::NetworkInterface => &["public_addresses", "delete_on_termination", "managed_by"],
        Kind::ScalingGroup => &["sizes", "images", "member_count", "desired_size", "spot_share"],
        Kind::LoadBalancer => &["addresses", "dns_name"],
        Kind::Pool => &["member_count", "unresolved_members"],
        _ => &[],
    }
}

/// What the report says of facts that were not read in a scope; nothing where all were.
#[must_use]
pub fn unread_remark(
    scope: &Scope,
    unread: &BTreeMap<Key, BTreeSet<String>>,
    unread_edges: &BTreeMap<Key, BTreeSet<RelationType>>,
) -> Option<Remark> {
    let keys: BTreeSet<&Key> = unread.keys().chain(unread_edges.keys()).collect();
    if keys.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = unread.values().flatten().map(String::as_str).collect();
    let relations: BTreeSet<&RelationType> = unread_edges.values().flatten().collect();
    let relations = relations.into_iter().map(|relation| format!("edges `{relation}`"));
    let facts: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).chain(relations).collect();
    let text = format!("some facts of {} resources could not be read, and stay as they were: {}", keys.len(), facts.join(", "));
    Some(Remark { subject: scope.to_string(), text })
}

/// Addresses of interfaces, sorted into those that the internet knows and those that it does not.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Those that it does not.
    pub private: BTreeSet<String>,
    /// Those that the internet knows.
    pub public: BTreeSet<String>,
}

impl Addresses {
    /// An address of a private network.
    pub fn add_private(&mut self, address: Option<&str>) {
        self.private.extend(filled(address).map(str::to_owned));
    }

    /// An address of the internet.
    pub fn add_public(&mut self, address: Option<&str>) {
        self.public.extend(filled(address).map(str::to_owned));
    }

    /// An IPv6 address is the interface's own and, unless unique-local (RFC 4193), public at once.
    pub fn add_v6(&mut self, address: Option<&str>) {
        let local = address.and_then(|text| text.parse::<IpAddr>().ok()).is_some_and(|ip| match ip {
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        });
        if local { self.add_private(address) } else { self.add_public(address) }
    }
}

/// `None` for the empty texts that clouds put where they have nothing to say.
#[must_use]
pub fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// An edge with its attributes.
#[must_use]
pub fn edge(from: &Key, relation: RelationType, to: Key, attributes: Attributes) -> Relation {
    Relation { relation, from: from.clone(), to, attributes, derived: false, extra: Map::new() }
}

/// An item that cannot be taken, and without which its listing is not whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The item's id; empty where it has none.
    pub native_id: String,
    /// What is the matter with it.
    pub text: String,
}

impl Refused {
    /// An item with what is the matter.
    pub fn new(native_id: &str, text: impl Into<String>) -> Self {
        Self { native_id: native_id.to_owned(), text: text.into() }
    }
}

impl From<InvalidKey> for Refused {
    fn from(error: InvalidKey) -> Self {
        Self::new("", error.to_string())
    }
}
