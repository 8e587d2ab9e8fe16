//! The heartbeat: which records are told in this run that their resources were seen, although nothing about them changed.
//!
//! Some CMDBs take a record for stale by the time at which it was last discovered. A beat moves that time and nothing else. It is no change: no guardrail
//! counts it, and no plan shows it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::draft::each;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief};
use crate::estate::{Known, last_complete};
use crate::model::{Key, Resource};
use crate::target::Beat;

/// How fast a target's heart beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Longest time between two beats of a record, or between its last write and a beat. Within half of it none is sent.
    pub every: Duration,
    /// When the target's last run was; `None` where nobody knows, and only what is overdue is beaten then.
    pub last_run: Option<Timestamp>,
    /// Most beats of this run: the share of the target's request budget.
    pub max: usize,
}

/// The beats of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Beats {
    /// To be sent, those longest without one first.
    pub due: Vec<Beat>,
    /// How many of these, from the first on, are without one for longer than they should be.
    pub overdue: usize,
    /// Overdue ones that the budget leaves out.
    pub late: u64,
}

impl Beats {
    /// How many stay overdue where only the first so many of [`Self::due`] were sent.
    #[must_use]
    pub fn late_after(&self, sent: usize) -> u64 {
        self.late + self.overdue.saturating_sub(sent) as u64
    }
}

/// A record that may be beaten.
struct Candidate<'a> {
    last: Option<Timestamp>,
    key: &'a Key,
    resource: &'a Resource,
    row: &'a RecordBrief,
    seen_at: Timestamp,
}

/// The beats that are due, oldest first.
///
/// A record is beaten for what a complete listing, or a look-up beside one, has shown since its last write or beat, and with the time of that: one that
/// only gaps were seen of, or that a listing misses, is not. `changing` are records that this run writes anyhow.
///
/// A run takes as many as keep the rotation even: the records' share of the time since the last run, and as many as it takes to bring each
/// candidate's turn in time, run by run, where many are equally old, as after a first sync. What is overdue goes at once.
pub fn beats(input: &Input<'_>, changing: &BTreeSet<&Key>, pace: &Pace) -> Beats {
    let half = pace.every / 2;
    let (mut live, mut candidates) = (0_usize, Vec::new());
    each(input, |key, known, row| {
        let Some(row) = row.filter(|row| row.is_live() && !row.contributed) else { return };
        live += 1;
        let last = row.delivered_at.max(row.beat_at);
        let is_due = last.is_none_or(|last| elapsed(last, input.at) >= half);
        if row.state == DeliveryState::Delivered
            && is_due
            && !changing.contains(key)
            && let Some(seen_at) = shown_at(input, known).filter(|seen_at| last.is_none_or(|last| *seen_at > last))
        {
            candidates.push(Candidate { last, key, resource: &known.resource, row, seen_at });
        }
    });
    candidates.sort_unstable_by_key(|candidate| (candidate.last, candidate.key));
    let age = |candidate: &Candidate<'_>| candidate.last.map_or(Duration::MAX, |last| elapsed(last, input.at));
    let overdue = candidates.iter().take_while(|candidate| age(candidate) > pace.every).count();
    let since = pace.last_run.map_or(Duration::ZERO, |last_run| elapsed(last_run, input.at));
    let slice = if since.is_zero() {
        overdue
    } else {
        let in_time = (1..).zip(&candidates).map(|(place, candidate)| {
            let left = pace.every.saturating_sub(age(candidate));
            divided(place, (left.as_nanos() / since.as_nanos()).max(1))
        });
        in_time.max().unwrap_or(0).max(share(live, since, pace.every))
    };
    let count = slice.max(overdue).min(candidates.len()).min(pace.max);
    let due = candidates.iter().take(count).filter_map(|candidate| {
        let Candidate { key, resource, row, seen_at, .. } = candidate;
        Some(Beat {
            key: (*key).clone(),
            kind: resource.kind,
            account: resource.account.clone(),
            region: resource.region.clone(),
            record: row.addressed(key)?,
            class: row.class.clone(),
            seen_at: *seen_at,
        })
    });
    Beats { due: due.collect(), overdue: overdue.min(count), late: overdue.saturating_sub(count) as u64 }
}

/// When a complete listing, or a look-up beside one, last showed what lives.
fn shown_at(input: &Input<'_>, known: &Known) -> Option<Timestamp> {
    if known.missing > 0 || known.is_ended() || known.recovered {
        return None;
    }
    if known.resource.derived {
        return Some(known.last_seen);
    }
    // A listing that was cut short may have shown it since; that is not what a beat rests on.
    let (fence, at) = last_complete(&input.estate.scopes, &known.resource.scope())?;
    Some(if known.fence <= fence { known.last_seen } else { at.min(known.last_seen) })
}

/// So many, each once within `every`: how many of them within `since`, rounded up.
fn share(count: usize, since: Duration, every: Duration) -> usize {
    let product = (count as u128).saturating_mul(since.as_nanos());
    usize::try_from(product.div_ceil(every.as_nanos().max(1))).unwrap_or(usize::MAX)
}

fn divided(count: usize, by: u128) -> usize {
    usize::try_from((count as u128).div_ceil(by)).unwrap_or(usize::MAX)
}

/// The time between two instants; none where a clock went back.
fn elapsed(since: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(since)).unwrap_or(Duration::ZERO)
}
