//! The seam to the clouds: what a source must promise.

pub mod facts;
mod progress;
mod rate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

pub use self::progress::{Progress, Silent, Untold};
pub use self::rate::Rate;
use crate::doctor::{Finding, SET_CLOCK};
use crate::model::{Account, EdgeId, Key, Kind, Outcome, Overlap, Receipt, Receipts, Region, Relation, RelationType, Resource, SourceName};

/// What one pull of one source (or, merged, of all sources) read. Absence is evidence only where the receipts say `complete`.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    /// What was read. Shared with the estate where that knows the same.
    pub resources: BTreeMap<Key, Arc<Resource>>,
    /// Edges that were read. An end may lie outside `resources`.
    pub relations: BTreeMap<EdgeId, Relation>,
    /// What was not read of resources that were, although their scope is complete: what is known of it stays. Names of attributes; [`STATE`] for the
    /// resource's own state, which stays as long as the resource tells no other and its life is the same, and [`TAGS`] for its tags, which stay where it
    /// shows none. A resource that is seen for the first time has none of it then. Nothing else of a resource can be named here.
    pub unread: BTreeMap<Key, BTreeSet<String>>,
    /// Edges that were not read, or not all of them, although the scope of their proving end is complete: by that end, their types. What is known of them
    /// stays.
    pub unread_edges: BTreeMap<Key, BTreeSet<RelationType>>,
    /// How each scope's listing ended.
    pub receipts: Receipts,
    /// Regions of accounts that the provider says are switched off, with the reason in words. What is known of them is `disabled`; regions of
    /// which nothing is known need no receipts.
    pub off: BTreeMap<(Account, Region), String>,
    /// Whether the source knew all its accounts and regions, so that a scope without a receipt here is no longer covered by it.
    pub exhaustive: bool,
    /// What was left out or is odd, for the report.
    pub remarks: Vec<Remark>,
}

/// What [`Pull::unread`] calls a resource's own state. No kind has an attribute of that name.
pub const STATE: &str = "state";

/// What [`Pull::unread`] calls a resource's tags, of which it keeps all or none. No kind has an attribute of that name.
pub const TAGS: &str = "tags";

/// Something about a pull that people should read: an item refused, an edge whose end is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Remark {
    /// What it is about: a key, a native id, or a scope.
    pub subject: String,
    /// What is the matter.
    pub text: String,
}

/// What a look-up found. "Could not look" is an error, never one of these.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It exists; this is how it looks.
    Present(Box<Resource>),
    /// The provider answered completely, and it is not there.
    Gone,
}

/// Where resources come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Name from the configuration; used in logs, metrics and the ledger.
    fn name(&self) -> &SourceName;

    /// Reads everything the source covers. A scope that could not be read ends in its own receipt, never in an empty list.
    ///
    /// # Errors
    /// Only when nothing at all could be read: credentials refused, a file that is broken.
    async fn pull(&self, progress: &dyn Progress) -> Result<Pull, SourceError>;

    /// Whether its listings come out of an index that may be late, or leave things out. An absence in one is looked up before it counts for anything.
    fn lists_late(&self) -> bool {
        false
    }

    /// Asks for resources by their keys, in bulk. One entry for each key asked. Only [`Presence::Gone`] confirms an absence; an error says nothing.
    async fn look_up(&self, keys: &[(Key, Kind)], progress: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>>;

    /// Credentials, permissions and reachability, each with the way to mend it.
    async fn doctor(&self) -> Vec<Finding>;
}

/// Why a source could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The provider did not accept the credentials, or there are none.
    #[error("source `{source_name}` has no credentials that are accepted: {text}")]
    Credentials {
        /// The source.
        source_name: SourceName,
        /// The provider's own words, without secrets.
        text: String,
    },
    /// The provider refused the time of signing: this machine's clock is off.
    #[error("source `{source_name}` is refused: {text}")]
    Clock {
        /// The source.
        source_name: SourceName,
        /// How far the clock is off, and the provider's own words.
        text: String,
    },
    /// The credentials are good but not for this.
    #[error("source `{source_name}` may not {operation}: {text}")]
    Denied {
        /// The source.
        source_name: SourceName,
        /// The API action.
        operation: String,
        /// The provider's own words.
        text: String,
    },
    /// The rate limit won over every retry.
    #[error("source `{source_name}` was throttled at {operation}: {text}")]
    Throttled {
        /// The source.
        source_name: SourceName,
        /// The API action.
        operation: String,
        /// The provider's own words, or whose limit it is.
        text: String,
    },
    /// The answer was cut off or could not be understood as a whole.
    #[error("source `{source_name}` got an incomplete answer to {operation}: {text}")]
    Truncated {
        /// The source.
        source_name: SourceName,
        /// The API action.
        operation: String,
        /// What is missing.
        text: String,
    },
    /// The region or API is not enabled for this account.
    #[error("source `{source_name}` cannot use {operation}: {text}")]
    Disabled {
        /// The source.
        source_name: SourceName,
        /// The API action.
        operation: String,
        /// The provider's own words.
        text: String,
    },
    /// Any other failure to get an answer.
    #[error("source `{source_name}` failed at {operation}: {text}")]
    Failed {
        /// The source.
        source_name: SourceName,
        /// The API action, or `read`.
        operation: String,
        /// What went wrong, without secrets.
        text: String,
    },
    /// An inventory file that cannot be read whole; it is used not at all.
    #[error("{path}:{line}:{column}: {text}")]
    File {
        /// The file, as configured.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        text: String,
        /// The way to mend it.
        hint: Option<String>,
    },
    /// Two sources cover one scope.
    #[error(transparent)]
    Overlap(#[from] Overlap),
}

impl SourceError {
    /// How a scope ends whose listing failed this way.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Credentials { .. } | Self::Clock { .. } | Self::Denied { .. } => Outcome::Denied,
            Self::Throttled { .. } => Outcome::Throttled,
            Self::Truncated { .. } => Outcome::Truncated,
            Self::Disabled { .. } => Outcome::Disabled,
            Self::Failed { .. } | Self::File { .. } | Self::Overlap(_) => Outcome::Failed,
        }
    }

    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials { .. } => Some("check the credentials, then run `dewpoint doctor`".to_owned()),
            Self::Clock { .. } => Some(SET_CLOCK.to_owned()),
            Self::Denied { operation, .. } => Some(format!("allow {operation}, or accept the gap with `dewpoint coverage accept`")),
            Self::Throttled { .. } => Some("run again later; nothing was concluded from the gap".to_owned()),
            Self::Truncated { .. } => Some("run again; if it stays, a proxy on the way cuts answers".to_owned()),
            Self::Disabled { .. } => Some("enable it for the account, or leave it out of what the source is to read".to_owned()),
            Self::Failed { .. } => None,
            Self::File { hint, .. } => hint.clone(),
            Self::Overlap(_) => Some("let one source only cover an account, with all the regions that are to be read of it".to_owned()),
        }
    }

    /// The receipt of a scope whose listing failed this way.
    #[must_use]
    pub fn receipt(&self, source: &SourceName, count: Option<u64>) -> Receipt {
        Receipt { source: source.clone(), outcome: self.outcome(), count, error: Some(self.to_string()), extra: serde_json::Map::new() }
    }
}
