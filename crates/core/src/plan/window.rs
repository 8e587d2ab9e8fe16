//! Guardrail 3's counts: what was there when the window began, and what was sent since.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::change::{Change, ChangeId, ChangeKind};
use super::guard::Limits;
use super::record::{Counted, DeliveryState, RecordBrief, Tally, TargetState};
use crate::model::{Account, Kind};

/// How far back guardrail 3 counts.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Changes that are counted together, at one target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    All,
    Kind(Kind),
    Account(Account),
}

impl Group {
    pub(super) fn of(kind: Kind, account: &Account) -> [Self; 3] {
        [Self::All, Self::Kind(kind), Self::Account(account.clone())]
    }
}

/// As what a change counts.
pub(super) fn counted(change: &Change, limits: &Limits) -> Vec<Counted> {
    match change.change {
        ChangeKind::Retire => vec![Counted::Retire],
        ChangeKind::Purge => vec![Counted::Purge],
        ChangeKind::Unrelate => vec![Counted::Unrelate],
        ChangeKind::Create if change.recreates => vec![Counted::Recreate],
        ChangeKind::Relate if change.recreates => vec![Counted::Reconnect],
        ChangeKind::Update => {
            let identify = change.identifying.then_some(Counted::Identify);
            identify.into_iter().chain(limits.max_update_percent.map(|_| Counted::Update)).collect()
        }
        ChangeKind::Create | ChangeKind::Adopt | ChangeKind::Revive | ChangeKind::Relate => Vec::new(),
    }
}

/// What a change that is about to be sent leaves for the counts of the next 24 hours. Nothing for a change that people approved.
#[must_use]
pub fn tallies(change: &Change, limits: &Limits, approved: &BTreeSet<ChangeId>, at: Timestamp) -> Vec<Tally> {
    if approved.contains(&change.id) {
        return Vec::new();
    }
    counted(change, limits)
        .into_iter()
        .map(|counted| Tally { change: counted, id: change.id, kind: change.kind, account: change.account.clone(), at })
        .collect()
}

/// When the window that ends at `at` began.
#[must_use]
pub fn window_start(at: Timestamp) -> Timestamp {
    at.checked_sub(WINDOW).unwrap_or(Timestamp::MIN)
}

/// Numbers of one kind of change, by group.
pub(super) type Counts = BTreeMap<Group, u64>;

/// What was sent within the window, apart from `again`, which a draft wants once more; entries from the future count. A change that was
/// tried more than once counts once.
pub(super) fn sent(state: &TargetState, counted: Counted, at: Timestamp, again: &BTreeSet<ChangeId>) -> Counts {
    let start = window_start(at);
    let mut counts = Counts::new();
    let mut seen = BTreeSet::new();
    for tally in state.tallies.iter().filter(|tally| tally.change == counted && tally.at > start) {
        if !again.contains(&tally.id) && seen.insert(tally.id) {
            add(&mut counts, tally.kind, &tally.account);
        }
    }
    counts
}

/// What there was to be changed when the window began, or when the group first had any.
pub(super) fn bases(state: &TargetState, counted: Counted, at: Timestamp, again: &BTreeSet<ChangeId>) -> Counts {
    let mut base = Base { start: window_start(at), at_start: Counts::new(), first: BTreeMap::new(), removed: Counts::new() };
    match counted {
        Counted::Retire | Counted::Identify | Counted::Update | Counted::Recreate => {
            // What we contribute to is never retired by us, so it makes no room for other retirements.
            let is_counted = |row: &&RecordBrief| counted != Counted::Retire || !row.contributed;
            for row in state.records.values().filter(|row| row.record.is_some() || row.created_at.is_some()).filter(is_counted) {
                let until = row.retired_at;
                base.add(row.kind, &row.account, row.created_at, until);
            }
        }
        Counted::Purge => {
            for row in state.records.values() {
                let Some(retired_at) = row.retired_at else { continue };
                let until = row.delivered_at.filter(|_| row.state == DeliveryState::Purged);
                base.add(row.kind, &row.account, Some(retired_at), until);
            }
        }
        Counted::Unrelate | Counted::Reconnect => {
            for (edge, row) in &state.edges {
                let Some(from) = state.records.get(&edge.from) else { continue };
                if row.delivered_at.is_some() {
                    base.add(from.kind, &from.account, row.created_at, None);
                }
            }
            if counted == Counted::Unrelate {
                // Edges removed since then have no row any more, but they were there.
                base.removed = sent(state, counted, at, again);
            }
        }
    }
    base.finish()
}

struct Base {
    start: Timestamp,
    at_start: Counts,
    /// Of groups: the first instant at which they had any, and how many then.
    first: BTreeMap<Group, (Timestamp, u64)>,
    /// What was removed within the window and left no trace but its tally.
    removed: Counts,
}

impl Base {
    /// One thing that was there from `since` (unknown: always) until `until` (absent: still is).
    fn add(&mut self, kind: Kind, account: &Account, since: Option<Timestamp>, until: Option<Timestamp>) {
        let since = since.unwrap_or(Timestamp::MIN);
        if since <= self.start {
            if until.is_none_or(|until| until > self.start) {
                add(&mut self.at_start, kind, account);
            }
            return;
        }
        for group in Group::of(kind, account) {
            let first = self.first.entry(group).or_insert((since, 0));
            match since.cmp(&first.0) {
                std::cmp::Ordering::Less => *first = (since, 1),
                std::cmp::Ordering::Equal => first.1 += 1,
                std::cmp::Ordering::Greater => {}
            }
        }
    }

    fn finish(self) -> Counts {
        let mut counts = self.at_start;
        for (group, (_, count)) in self.first {
            counts.entry(group).or_insert(count);
        }
        for (group, count) in self.removed {
            *counts.entry(group).or_default() += count;
        }
        counts
    }
}

fn add(counts: &mut Counts, kind: Kind, account: &Account) {
    for group in Group::of(kind, account) {
        *counts.entry(group).or_default() += 1;
    }
}
