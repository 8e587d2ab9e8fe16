//! Relations: typed, directed edges between two resources.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::Key;
use super::kind::RelationType;
use super::resource::Attributes;

/// Identity of an edge: at most one of a type between two resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeId {
    /// Where it starts.
    pub from: Key,
    /// What it says.
    #[serde(rename = "type")]
    pub relation: RelationType,
    /// Where it ends.
    pub to: Key,
}

/// An edge with its attributes. Its serde form is an entry of the inventory file's `relations`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// What it says.
    #[serde(rename = "type")]
    pub relation: RelationType,
    /// Where it starts.
    pub from: Key,
    /// Where it ends.
    pub to: Key,
    /// Attributes, such as `port`, `protocol`, `health`, `delete_on_termination`.
    #[serde(default)]
    pub attributes: Attributes,
    /// Whether Dewpoint derived it (an edge of a service or a named fleet).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// Fields of the inventory file that this version does not know; kept, never read.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Relation {
    /// The edge without its attributes.
    #[must_use]
    pub fn id(&self) -> EdgeId {
        EdgeId { from: self.from.clone(), relation: self.relation, to: self.to.clone() }
    }

    /// The end whose listing proves the edge: the group for `member_of`, else the `from` end.
    #[must_use]
    pub fn proving_end(&self) -> &Key {
        proving_end(self.relation, &self.from, &self.to)
    }
}

impl EdgeId {
    /// The end whose listing proves the edge: the group for `member_of`, else the `from` end.
    #[must_use]
    pub fn proving_end(&self) -> &Key {
        proving_end(self.relation, &self.from, &self.to)
    }
}

fn proving_end<'a>(relation: RelationType, from: &'a Key, to: &'a Key) -> &'a Key {
    match relation {
        RelationType::MemberOf => to,
        _ => from,
    }
}
