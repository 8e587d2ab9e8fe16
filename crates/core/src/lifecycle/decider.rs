//! Which rule a disposition comes from, where that is not the resource's own.

use super::decide::fleet_key;
use super::dependents;
use super::policy::Verdicts;
use crate::estate::{Disposition, Estate, Known};
use crate::model::Kind;
use crate::rules::DEFAULT;

/// What a rule decided about, so that a resource's disposition follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// The resource itself.
    Itself,
    /// The machine that it ends with.
    Machine,
    /// The fleet that it would be folded into, of which no record is wanted.
    Fleet,
    /// The fleet that the machine which it ends with would be folded into.
    FleetOfMachine,
}

/// The rule that a resource's disposition comes from (`default` where none spoke, or does no longer), and what that rule decided about.
pub(crate) fn decider<'a>(estate: &Estate, verdicts: &'a Verdicts, known: &Known) -> (&'a str, Through) {
    let key = &known.resource.key;
    let verdict = verdicts.of(key);
    if known.resource.kind != Kind::Instance && !verdict.is_own {
        let machine = dependents::machine_of(estate, key, verdicts).filter(|(_, disposition)| *disposition == known.disposition);
        return match machine.and_then(|(machine, _)| estate.resources.get(machine)) {
            Some(machine) => match decider(estate, verdicts, machine) {
                (rule, Through::Fleet) => (rule, Through::FleetOfMachine),
                (rule, _) => (rule, Through::Machine),
            },
            None => (&verdict.rule, Through::Itself),
        };
    }
    match (known.disposition, verdict.disposition) {
        (is, says) if is == says => (&verdict.rule, Through::Itself),
        (Disposition::Ignore, Disposition::Fold) => match fleet_key(known, verdict) {
            Some(fleet) if verdicts.of(&fleet).disposition == Disposition::Ignore => (&verdicts.of(&fleet).rule, Through::Fleet),
            Some(_) | None => (DEFAULT, Through::Itself),
        },
        // It stays what it is for a while, and what the rule says now is not why.
        _ => (DEFAULT, Through::Itself),
    }
}
