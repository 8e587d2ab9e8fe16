//! Scopes and how their listings ended.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key::{Account, Region, SourceName};
use super::kind::{Kind, Provider, vocabulary};

/// The smallest unit that is listed completely or not at all. It belongs to the estate, not to a source's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Provider.
    pub provider: Provider,
    /// Account or subscription.
    pub account: Account,
    /// Region, `*` where the API has none.
    pub region: Region,
    /// Kind that was listed.
    pub kind: Kind,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.provider, self.account, self.region, self.kind)
    }
}

vocabulary! {
    /// How one listing of a scope ended. Only `complete` proves an absence.
    Outcome, "receipt outcome" {
        /// Listed to the end; nothing is missing.
        Complete => "complete",
        /// The credentials may not list it.
        Denied => "denied",
        /// The provider's rate limit won over every retry.
        Throttled => "throttled",
        /// Part of it was read; the rest is unknown.
        Truncated => "truncated",
        /// The region or API is not enabled for the account.
        Disabled => "disabled",
        /// It could not be listed for another reason.
        Failed => "failed",
        /// Not asked for in this run.
        Skipped => "skipped",
        /// No source covers it any more.
        Orphaned => "orphaned",
    }
}

/// How one listing of a scope ended, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Source that listed it, or the label that an inventory file carries.
    pub source: SourceName,
    /// How it ended.
    pub outcome: Outcome,
    /// Resources read, where known.
    pub count: Option<u64>,
    /// What went wrong, in words without secrets; `None` when complete.
    pub error: Option<String>,
    /// Fields of an inventory file that this version does not know; kept and exported again.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Receipt {
    /// Whether an absence from this listing is evidence.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }
}

/// The receipts of one pull (or the latest of each scope), by scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts(BTreeMap<Scope, Receipt>);

/// Two receipts that speak of the same ground.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{first_source}` and `{second_source}` both cover {scope}")]
pub struct Overlap {
    /// Scope of the second receipt.
    pub scope: Scope,
    /// Source of the receipt that was there first.
    pub first_source: SourceName,
    /// Source of the receipt that was refused.
    pub second_source: SourceName,
}

impl Receipts {
    /// Adds a receipt.
    ///
    /// # Errors
    /// [`Overlap`] when another receipt covers the scope already, exactly or through region `*`.
    pub fn add(&mut self, scope: Scope, receipt: Receipt) -> Result<(), Overlap> {
        let clash = if scope.region.is_any() {
            self.0.iter().find(|(s, _)| s.provider == scope.provider && s.account == scope.account && s.kind == scope.kind)
        } else {
            self.covering(&scope)
        };
        if let Some((_, first)) = clash {
            return Err(Overlap { first_source: first.source.clone(), second_source: receipt.source, scope });
        }
        self.0.insert(scope, receipt);
        Ok(())
    }

    /// The receipt that covers a scope: its own, or that of the same scope over all regions.
    #[must_use]
    pub fn covering(&self, scope: &Scope) -> Option<(&Scope, &Receipt)> {
        self.0.get_key_value(scope).or_else(|| {
            let wide = Scope { region: Region::any(), ..scope.clone() };
            self.0.get_key_value(&wide)
        })
    }

    /// Whether an absence in this scope is proven.
    #[must_use]
    pub fn proves_absence(&self, scope: &Scope) -> bool {
        self.covering(scope).is_some_and(|(_, receipt)| receipt.is_complete())
    }

    /// Gives each complete receipt without a count the one that `count` knows.
    pub fn fill_counts(&mut self, count: impl Fn(&Scope) -> u64) {
        for (scope, receipt) in self.0.iter_mut().filter(|(_, receipt)| receipt.is_complete()) {
            receipt.count.get_or_insert_with(|| count(scope));
        }
    }

    /// Takes back that a listing is complete: it may leave something out, in these words.
    pub fn doubt(&mut self, scope: &Scope, why: &str) {
        if let Some(receipt) = self.0.get_mut(scope).filter(|receipt| receipt.is_complete()) {
            receipt.outcome = Outcome::Truncated;
            receipt.error = Some(why.to_owned());
        }
    }

    /// All receipts, sorted by scope.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, &Receipt)> {
        self.0.iter()
    }

    /// Number of receipts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
