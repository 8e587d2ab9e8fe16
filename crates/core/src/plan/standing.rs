//! Where a resource and its record stand towards each other at one target.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use super::change::Reason;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief};
use crate::estate::{Disposition, EndCause, Known, Stage};
use crate::lifecycle;
use crate::model::{Key, Kind};
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
    let is_wanted_here = input.terms.kinds.contains(&kind) && !input.proposed.contains_key(&known.resource.key);
    match known.disposition {
        // Nobody has seen it since its records were found: what the rules make of it rests on what may be old.
        _ if known.recovered && is_wanted_here => Standing::Undecided,
        Disposition::Ignore => Standing::Ended(Evidence::Unwanted),
        Disposition::Fold if input.terms.kinds.contains(&Kind::ScalingGroup) => Standing::Ended(Evidence::Unwanted),
        _ if !input.terms.kinds.contains(&kind) => Standing::Ended(Evidence::Excluded),
        _ if input.proposed.contains_key(&known.resource.key) => Standing::Ended(Evidence::Proposed),
        // What is known to be absent gets no new record, and its retired one is not revived: only a sight can do that.
        _ if known.stage == Stage::Missing && !is_live => Standing::Undecided,
        Disposition::Defer if !is_live => Standing::Undecided,
        Disposition::Record if known.stage == Stage::Deferred && !is_live => Standing::Undecided,
        // A target that takes no fleets gets the machines themselves, at the age at which they would get a record.
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
        Evidence::Unwanted => {
            let rule = input.verdicts.of(key).rule.to_string();
            match known.disposition {
                Disposition::Fold => Reason { rule, text: "counted in its fleet's record".to_owned() },
                Disposition::Ignore => Reason { rule, text: "the rule wants no record".to_owned() },
                Disposition::Record | Disposition::Defer => reason("unwanted", "no record is wanted any more".to_owned()),
            }
        }
        Evidence::Excluded => reason("include", format!("this target does not include kind {} any more", known.resource.kind)),
    }
}

fn absence(known: &Known) -> Reason {
    let listings = if known.missing == 1 { "1 complete listing".to_owned() } else { format!("{} complete listings", known.missing) };
    reason("retire_after", format!("absent from {listings}, last seen {}", told::time(known.last_seen)))
}

pub(super) fn create_reason(input: &Input<'_>, known: &Known, row: Option<&RecordBrief>) -> Reason {
    if row.is_some_and(|row| row.state == DeliveryState::Purged) {
        return reason("returned", format!("seen again {} after its record was removed", told::time(known.last_seen)));
    }
    if row.is_some_and(is_gone) {
        return reason("recreate", "a complete read and a look-up show its record no more".to_owned());
    }
    let min_age = input.verdicts.of(&known.resource.key).timers.min_age;
    if known.resource.kind == Kind::Instance && !min_age.is_zero() {
        let (word, birth) = known.resource.created_at.map_or(("first seen", known.first_seen), |birth| ("created", birth));
        return reason("min_age", format!("{word} {}, older than min_age {}", told::time(birth), duration(min_age)));
    }
    reason("default", format!("first seen {}", told::time(known.first_seen)))
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
