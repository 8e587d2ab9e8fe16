//! Where a resource and its record stand towards each other at one target.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use super::change::Reason;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief};
use crate::estate::{Disposition, EndCause, Known, Stage};
use crate::lifecycle::{self, Through};
use crate::model::{Key, Kind};
use crate::rules::DEFAULT;
use crate::told;

/// What a record's end rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Absence that no look-up has confirmed yet.
    Proposed,
    /// Absence, confirmed.
    Absence,
    /// No source covers it any more, and people asked for its retirement: each target needs their approval, whatever is listed by then.
    Disowned,
    /// The provider said so, of itself or when asked after an event.
    Positive,
    /// The resource lives; rules or the configuration want no record of it.
    Unwanted,
    /// The resource lives; this target does not take it.
    Excluded,
}

impl Evidence {
    pub(super) fn rests_on_absence(self) -> bool {
        matches!(self, Self::Proposed | Self::Absence | Self::Disowned)
    }
}

/// What is wanted of a resource's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// A live record.
    Wanted,
    /// The end of a record that exists, and no new one.
    Ended(Evidence),
    /// Nothing, for now.
    Undecided,
}

pub(super) fn standing(input: &Input<'_>, known: &Known, is_live: bool) -> Standing {
    let kind = known.resource.kind;
    if let Stage::Retired | Stage::Purged = known.stage {
        return Standing::Ended(match known.end.as_ref().map(|end| end.cause) {
            Some(EndCause::Stated | EndCause::LookedUp | EndCause::AccountClosed) => Evidence::Positive,
            Some(EndCause::Unwanted) => Evidence::Unwanted,
            Some(EndCause::Disowned) => Evidence::Disowned,
            Some(EndCause::Absent) | None => Evidence::Absence,
        });
    }
    let kinds = &input.terms.include.kinds;
    let is_wanted_here = kinds.contains(&kind) && !input.proposed.contains_key(&known.resource.key);
    match known.disposition {
        // Nobody has seen it since its records were found: what the rules make of it rests on what may be old.
        _ if known.recovered && is_wanted_here => Standing::Undecided,
        Disposition::Ignore => Standing::Ended(Evidence::Unwanted),
        // Whether the fleet itself is taken is by `include.when` to say: its members are told by it, or not at all.
        Disposition::Fold if kinds.contains(&Kind::ScalingGroup) => Standing::Ended(Evidence::Unwanted),
        _ if !kinds.contains(&kind) || !input.members.takes(&known.resource.key, is_live) => Standing::Ended(Evidence::Excluded),
        _ if input.proposed.contains_key(&known.resource.key) => Standing::Ended(Evidence::Proposed),
        // What is known to be absent gets no new record, and its retired one is not revived: only a sight can do that.
        _ if known.stage == Stage::Missing && !is_live => Standing::Undecided,
        Disposition::Defer if !is_live => Standing::Undecided,
        Disposition::Record if known.stage == Stage::Deferred && !is_live => Standing::Undecided,
        // A target whose kinds lack fleets gets the machines themselves, at the age at which they would get a record.
        Disposition::Fold if !is_live && lifecycle::age_seen(known) < input.verdicts.of(&known.resource.key).timers.min_age => {
            Standing::Undecided
        }
        Disposition::Defer | Disposition::Record | Disposition::Fold => Standing::Wanted,
    }
}

/// The stage that a wanted record shows: one that is recorded is no longer deferred.
pub(super) fn shown_stage(known: &Known) -> Stage {
    match known.stage {
        Stage::Deferred => Stage::Active,
        stage => stage,
    }
}

pub(super) fn end_reason(input: &Input<'_>, key: &Key, known: &Known, evidence: Evidence) -> Reason {
    let last_seen = told::time(known.last_seen);
    let state = known.resource.state.as_deref().unwrap_or("ended");
    match evidence {
        Evidence::Proposed => input.proposed.get(key).cloned().unwrap_or_else(|| absence(known)),
        Evidence::Absence => absence(known),
        Evidence::Disowned => crate::lifecycle::reason(known),
        Evidence::Positive => match known.end.as_ref().map(|end| end.cause) {
            Some(EndCause::LookedUp) => reason("look_up", format!("gone when looked up, last seen {last_seen}")),
            Some(EndCause::AccountClosed) => crate::lifecycle::reason(known),
            _ => reason("state", format!("the provider says `{state}`, last seen {last_seen}")),
        },
        Evidence::Unwanted => unwanted(input, known),
        Evidence::Excluded if !input.terms.include.kinds.contains(&known.resource.kind) => {
            reason("include", format!("this target does not include kind {} any more", known.resource.kind))
        }
        Evidence::Excluded if !input.members.takes(key, true) => {
            reason("include", "this target's `include.when` does not hold any more".to_owned())
        }
        Evidence::Excluded => reason("mapping", format!("this target has no class for kind {} any more", known.resource.kind)),
    }
}

fn absence(known: &Known) -> Reason {
    reason("retire_after", format!("{}, last seen {}", lifecycle::absence(known), told::time(known.last_seen)))
}

/// Why nobody wants a record of what lives, with the rule that says so, of itself or of what it goes with.
fn unwanted(input: &Input<'_>, known: &Known) -> Reason {
    let (rule, through) = lifecycle::decider(input.estate, input.verdicts, known);
    let by = (rule != DEFAULT).then(|| format!("rule `{rule}`"));
    let text = match (known.disposition, through, by) {
        (Disposition::Record | Disposition::Defer, ..) => return reason("unwanted", "no record is wanted any more".to_owned()),
        (Disposition::Fold, Through::Machine, Some(by)) => format!("it ends with its machine, which {by} counts in its fleet's record"),
        (Disposition::Fold, Through::Machine, None) => "it ends with its machine, which is counted in its fleet's record".to_owned(),
        (Disposition::Fold, _, Some(by)) => format!("{by} counts it in its fleet's record"),
        (Disposition::Fold, _, None) => "counted in its fleet's record".to_owned(),
        (Disposition::Ignore, Through::FleetOfMachine, Some(by)) => {
            format!("it ends with its machine, and {by} wants no record of the fleet that that is folded into")
        }
        (Disposition::Ignore, Through::Machine, Some(by)) => format!("it ends with its machine, of which {by} wants no record"),
        (Disposition::Ignore, Through::Machine, None) => "it ends with its machine, of which no record is wanted".to_owned(),
        (Disposition::Ignore, Through::Fleet, Some(by)) => format!("{by} wants no record of the fleet that it is folded into"),
        (Disposition::Ignore, _, Some(by)) => format!("{by} wants no record of it"),
        (Disposition::Ignore, _, None) => "no record of it is wanted".to_owned(),
    };
    reason(rule, text)
}

/// Why a record that was retired, or removed, is wanted again.
pub(super) fn return_reason(input: &Input<'_>, known: &Known, row: &RecordBrief) -> Reason {
    let removed = if row.state == DeliveryState::Purged { " after its record was removed" } else { "" };
    if !was_let_go(known, row) {
        let what = if known.resource.derived { "a member is seen again" } else { "seen again" };
        return reason("returned", format!("{what} {}{removed}", told::time(known.last_seen)));
    }
    let since = told::time(known.disposition_since);
    match recording(input, known) {
        None => reason(DEFAULT, format!("no rule keeps it from a record any more, since {since}")),
        Some(rule) => reason(rule, format!("rule `{rule}` wants a record of it, since {since}")),
    }
}

/// The rule that says to record it, if one does.
fn recording<'a>(input: &Input<'a>, known: &Known) -> Option<&'a str> {
    let verdict = input.verdicts.of(&known.resource.key);
    (verdict.is_own && verdict.disposition == Disposition::Record).then_some(&*verdict.rule)
}

/// Whether it is the rules that want a record again, and not that it came back: only what a rule kept from a record gets another disposition after that
/// record's end. A new life begins its own.
fn was_let_go(known: &Known, row: &RecordBrief) -> bool {
    let changed = |retired_at| known.disposition_since > retired_at && known.life_since <= retired_at;
    known.disposition == Disposition::Record && row.retired_at.is_some_and(changed)
}

pub(super) fn create_reason(input: &Input<'_>, known: &Known, row: Option<&RecordBrief>) -> Reason {
    if let Some(row) = row.filter(|row| row.state == DeliveryState::Purged) {
        return return_reason(input, known, row);
    }
    if row.is_some_and(is_gone) {
        return reason("recreate", "a complete read and a look-up show its record no more".to_owned());
    }
    let min_age = input.verdicts.of(&known.resource.key).timers.min_age;
    if known.resource.kind == Kind::Instance && !min_age.is_zero() {
        let (word, birth) = known.resource.created_at.map_or(("first seen", known.first_seen), |birth| ("created", birth));
        return reason("min_age", format!("{word} {}, older than min_age {}", told::time(birth), duration(min_age)));
    }
    let first_seen = told::time(known.first_seen);
    match recording(input, known) {
        None => reason(DEFAULT, format!("first seen {first_seen}")),
        Some(rule) => reason(rule, format!("rule `{rule}` wants a record of it, first seen {first_seen}")),
    }
}

/// Whether a read proved a record gone that was there before.
pub(super) fn is_gone(row: &RecordBrief) -> bool {
    row.record.is_none() && row.created_at.is_some() && row.state != DeliveryState::Purged
}

/// When a retired record is due for removal, if it ever is; with the timer in words.
pub(super) fn purge_due(input: &Input<'_>, known: &Known, retired_at: Timestamp) -> Option<(Timestamp, String)> {
    let after = input.verdicts.of(&known.resource.key).timers.purge_after?;
    let due = retired_at.checked_add(SignedDuration::try_from(after).ok()?).ok()?;
    Some((due, duration(after)))
}

pub(super) fn reason(rule: &str, text: String) -> Reason {
    Reason { rule: rule.to_owned(), text }
}

/// A duration as the configuration spells it: `90d`, `1h30m`, `0s`.
pub(super) fn duration(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
        let count = seconds / unit;
        seconds %= unit;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push(name);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
