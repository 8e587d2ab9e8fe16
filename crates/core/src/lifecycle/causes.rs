//! Why stages change, as the history tells it: each cause names what moved the resource, be it a listing, a look-up, a rule or a person.

use jiff::Timestamp;

use super::words::{listings, spelt};
use crate::estate::{Disposition, Known, Stage};
use crate::model::Kind;
use crate::rules::{DEFAULT, Verdict};
use crate::told;

/// Of a stage that follows from what listings show and from what the rules say of it. `is_grown`: a fleet that got its record in this run because a
/// rule's `min_age` has passed.
pub(super) fn of_stage(known: &Known, stage: Stage, verdict: &Verdict, is_grown: bool, at: Timestamp) -> String {
    match (known.stage, stage) {
        (_, Stage::Missing) if known.recovered => "recovery: found at a target, shown by no listing since".to_owned(),
        (_, Stage::Missing) => absence(known),
        (Stage::Retired | Stage::Purged, _) if known.life_since == at && !known.resource.derived => {
            shown(known, "shows a new life under its id")
        }
        (Stage::Missing | Stage::Retired | Stage::Purged, _) => shown(known, "shows it again"),
        (Stage::Deferred, _) => recorded(known, verdict, is_grown),
        (Stage::Active | Stage::Inactive, _) => shown(known, "shows it"),
    }
}

/// Complete listings without it, or of what is derived without a member.
pub(crate) fn absence(known: &Known) -> String {
    match known.resource.derived {
        true => format!("no member is left, by {}", listings(known.missing)),
        false => format!("absent from {}", listings(known.missing)),
    }
}

/// A listing, or of what is derived a member, with what it says of the state.
pub(super) fn shown(known: &Known, how: &str) -> String {
    format!("a {} {how}{}", if known.resource.derived { "member" } else { "listing" }, says(known))
}

/// What the provider says of its state, behind what showed it.
pub(super) fn says(known: &Known) -> String {
    known.resource.state.as_ref().map(|state| format!(": its provider says {state}")).unwrap_or_default()
}

/// Why a named fleet is no longer deferred that waited for its members' age.
pub(super) const OF_GROWN_FLEET: &str = "min_age: a member was seen at the age that a rule sets for it, or the fleet has stood that long";

/// Why it is no longer deferred.
fn recorded(known: &Known, verdict: &Verdict, is_grown: bool) -> String {
    match &*verdict.rule {
        _ if known.resource.kind == Kind::Instance && known.disposition == Disposition::Record => {
            format!("min_age: a listing shows it at an age of {} or more", spelt(verdict.timers.min_age))
        }
        _ if is_grown => OF_GROWN_FLEET.to_owned(),
        DEFAULT if known.resource.derived => "no rule defers it any more".to_owned(),
        DEFAULT => "it ends with a machine that is no longer deferred".to_owned(),
        rule => format!("rule {}: {}", told::printable(rule), known.disposition),
    }
}

/// A rule as the cause of a disposition.
pub(super) fn rule(verdict: &Verdict) -> String {
    match &*verdict.rule {
        DEFAULT => "no rule decides".to_owned(),
        rule => format!("rule {rule}"),
    }
}
