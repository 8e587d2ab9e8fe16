//! Guardrail 3: too many changes of one kind within 24 hours.

use std::collections::{BTreeMap, BTreeSet};

use super::change::ChangeId;
use super::draft::Wish;
use super::gate::Gate;
use super::guard::{Guardrail, Limits};
use super::input::Input;
use super::record::Counted;
use super::window::{Counts, Group, bases, counted, sent};

/// The groups whose limits this draft would pass, widest first, each with all of its changes in the draft.
pub(super) fn gates(wishes: &[Wish], input: &Input<'_>, limits: &Limits, open: &impl Fn(&usize) -> bool) -> Vec<Gate> {
    let mut groups: BTreeMap<Counted, BTreeMap<Group, BTreeSet<usize>>> = BTreeMap::new();
    for (place, wish) in wishes.iter().enumerate().filter(|(place, _)| open(place)) {
        for counted in counted(&wish.change, limits) {
            for group in Group::of(wish.change.kind, &wish.change.account) {
                groups.entry(counted).or_default().entry(group).or_default().insert(place);
            }
        }
    }
    let mut gates = Vec::new();
    for (counted, groups) in groups {
        let places = groups.values().flatten();
        let again: BTreeSet<ChangeId> = places.filter_map(|place| wishes.get(*place)).map(|wish| wish.change.id).collect();
        let sent = sent(input.state, counted, input.at, &again);
        // Walking all rows is left out where no count comes near a limit, which is nearly always.
        let is_near = |(group, places): (&Group, &BTreeSet<usize>)| total(&sent, group, places) >= lowest(limits);
        if !groups.iter().any(is_near) {
            continue;
        }
        let bases = bases(input.state, counted, input.at, &again);
        for (group, places) in groups {
            let total = total(&sent, &group, &places);
            let base = bases.get(&group).copied().unwrap_or(0);
            let asked = Asked { counted, group, total, earlier: total.saturating_sub(len(&places)), base };
            gates.extend(asked.judge(limits, places));
        }
    }
    gates
}

fn lowest(limits: &Limits) -> u64 {
    u64::from(limits.max_retire_min.min(limits.max_retire.saturating_add(1)))
}

fn total(sent: &Counts, group: &Group, places: &BTreeSet<usize>) -> u64 {
    sent.get(group).copied().unwrap_or(0).saturating_add(len(places))
}

fn len(places: &BTreeSet<usize>) -> u64 {
    u64::try_from(places.len()).unwrap_or(u64::MAX)
}

/// One group's numbers.
struct Asked {
    counted: Counted,
    group: Group,
    /// Sent within the window and in this draft.
    total: u64,
    /// Of these, sent already.
    earlier: u64,
    base: u64,
}

impl Asked {
    fn judge(self, limits: &Limits, stopped: BTreeSet<usize>) -> Option<Gate> {
        let percent = match self.counted {
            Counted::Update => limits.max_update_percent?,
            _ => limits.max_retire_percent,
        };
        let is_above_share = self.total.saturating_mul(100) > u64::from(percent).saturating_mul(self.base);
        let is_share = self.total >= u64::from(limits.max_retire_min) && is_above_share;
        // For plain updates only the share is limited: `max_retire` is a number of retirements and their like.
        let is_number = self.total > u64::from(limits.max_retire) && self.counted != Counted::Update;
        if !is_share && !is_number {
            return None;
        }
        let share = self.share();
        let limit = if is_share {
            format!("limit: {percent} % from {} on", limits.max_retire_min)
        } else {
            format!("limit: {}", limits.max_retire)
        };
        let earlier = match self.earlier {
            0 => String::new(),
            earlier => format!(", {earlier} of them already sent"),
        };
        let of_base = share.map_or(String::new(), |share| format!(" ({} %)", (share * 10.0).round() / 10.0));
        let text = {
            let (what, done) = words(self.counted);
            format!("{} of {} {what}{} would {done} within 24 h{of_base}{earlier}; {limit}", self.total, self.base, self.group_words())
        };
        let limit = if is_share { f64::from(percent) } else { f64::from(limits.max_retire) };
        Some(Gate { guardrail: Guardrail::BlastRadius, text, share, limit: Some(limit), stopped })
    }

    /// Percent of base; `None` where there was nothing.
    fn share(&self) -> Option<f64> {
        (self.base > 0).then(|| self.total as f64 * 100.0 / self.base as f64)
    }

    fn group_words(&self) -> String {
        match &self.group {
            Group::All => String::new(),
            Group::Kind(kind) => format!(" of kind {kind}"),
            Group::Account(account) => format!(" of account {account}"),
        }
    }
}

/// What is counted, and what would become of it.
fn words(counted: Counted) -> (&'static str, &'static str) {
    match counted {
        Counted::Retire => ("live records", "be retired"),
        Counted::Purge => ("retired records", "be removed"),
        Counted::Unrelate => ("edges", "be removed"),
        Counted::Recreate => ("live records", "be made again"),
        Counted::Reconnect => ("edges", "be made again"),
        Counted::Identify => ("live records", "change a field that identifies them"),
        Counted::Update => ("live records", "be updated"),
    }
}
