//! Holds and the verdicts of people on them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeId};
use crate::estate::{Estate, Fence};
use crate::model::{Digest, Key, TargetName, vocabulary};

vocabulary! {
    /// The guards that can stop a change.
    Guardrail, "guardrail" {
        /// No complete listing proves the absence: the scope is orphaned, and people asked to retire what it holds.
        Receipts => "receipts",
        /// A scope that held live resources lists none.
        SuddenEmptiness => "sudden_emptiness",
        /// Too many of one kind of change in 24 hours.
        BlastRadius => "blast_radius",
        /// A stranger's record stands where ours would.
        Ownership => "ownership",
        /// The target would hold more records than `max_records`.
        Budget => "budget",
    }
}

/// The guardrails' limits, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Share of base above which a group's changes are held, in percent.
    pub max_retire_percent: u32,
    /// Count below which the share does not matter.
    pub max_retire_min: u32,
    /// Count above which a group's changes are held, whatever the share.
    pub max_retire: u32,
    /// The same share for updates; `None` for off.
    pub max_update_percent: Option<u32>,
    /// Age above which a saved plan is refused.
    pub plan_max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_retire_percent: 20,
            max_retire_min: 10,
            max_retire: 500,
            max_update_percent: None,
            plan_max_age: Duration::from_secs(3600),
        }
    }
}

/// Digest of the ids of a hold's changes, which name the last observation that each rests on; never of receipts or of the run's time.
pub type HoldId = Digest;

/// The part of a plan that guardrails stopped, until someone approves or rejects it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Its identity.
    pub id: HoldId,
    /// The target.
    pub target: TargetName,
    /// Which guards stopped it.
    pub guardrails: Vec<Guardrail>,
    /// Why, in words, with the command that approves.
    pub text: String,
    /// Share of base, in percent, where a share was the reason.
    pub share: Option<f64>,
    /// The limit that was passed.
    pub limit: Option<f64>,
    /// What it holds back.
    pub changes: Vec<Change>,
}

impl Hold {
    /// One verdict for each of its changes, so that a hold that grows keeps what was decided.
    #[must_use]
    pub fn verdicts(&self, verdict: VerdictKind, at: Timestamp) -> Vec<Verdict> {
        let of = |change: &Change| Verdict { change: change.id, target: self.target.clone(), verdict, fence: change.fence, at };
        self.changes.iter().map(of).collect()
    }

    /// Of a rejected hold, the changes that stay silent: those whose resource or edge brought no news since.
    pub fn silent<'a>(&'a self, estate: &'a Estate) -> impl Iterator<Item = &'a Change> {
        let news = |key: &Key| estate.resources.get(key).map_or(Fence::default(), |known| known.news_fence);
        self.changes.iter().filter(move |change| {
            let latest = match &change.relation {
                None => news(&change.key),
                Some(edge) => estate.edges.get(edge).map_or_else(|| news(edge.proving_end()), |known| known.fence),
            };
            latest <= change.fence
        })
    }
}

vocabulary! {
    /// What people said of a held change.
    VerdictKind, "verdict" {
        /// Apply it as long as it is wanted.
        Approved => "approved",
        /// Do not ask again until there is news of the resource.
        Rejected => "rejected",
    }
}

/// What people said of one held change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The change.
    pub change: ChangeId,
    /// The target.
    pub target: TargetName,
    /// What they said.
    pub verdict: VerdictKind,
    /// The change's fence when they said it: a rejection ends when that moves on. Any verdict ends when the change's id does, see [`ChangeId`].
    pub fence: Fence,
    /// When.
    pub at: Timestamp,
}
