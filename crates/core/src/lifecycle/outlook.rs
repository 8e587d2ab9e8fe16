//! What the rules want of one resource, what keeps it from that, and what comes next, in words.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::decide::{Around, Staying, born, due_by_time, fleet_key, folding, is_due, reason, staying};
use super::dependents;
use super::fleets::{self, Age, Growing};
use super::policy::{Policy, Timers, Verdicts};
use super::words::{after, listings, spelt};
use crate::estate::{Disposition, Estate, Known, Stage};
use crate::inventory::{members_scope, unlisted_members};
use crate::model::{Key, Kind, Outcome, RelationType, Vital};
use crate::rules::{DEFAULT, Failure, GROUP_UNREAD, Verdict};
use crate::told;

/// What is wanted of a resource, and by what.
pub(super) struct Outlook<'a> {
    estate: &'a Estate,
    known: &'a Known,
    verdict: &'a Verdict,
    wanted: Disposition,
    by: By<'a>,
    kept: Option<Kept<'a>>,
    /// Of a fleet that waits for its members' age, the first that will have it.
    growing: Option<Growing>,
    /// Of a named fleet without a record: whether the rules fold no machine into it that is seen alive.
    is_bare: bool,
}

/// What a disposition rests on.
enum By<'a> {
    /// A rule, or the defaults.
    Rule(&'a str),
    /// The fleet that it is folded into is ignored.
    Fleet(Key),
    /// The fleet that it is to be folded into has no record.
    NoFleet(Key),
    /// The machine that it ends with.
    Machine(&'a Key),
}

/// Why a resource is not what is wanted of it, or would stay what it is whatever was wanted.
enum Kept<'a> {
    /// A rule could not be asked.
    Frozen { rule: &'a str, text: &'a str },
    /// A rule that might decide asks for its scaling group, which was not read.
    GroupUnread,
    /// Anything else that the decision itself looks at.
    Stays(Staying),
}

impl<'a> Outlook<'a> {
    /// Of a resource of the estate. `unread` is the rule that would set something and could not be asked, because the scaling
    /// group was not read; if there is one.
    pub(super) fn new(
        estate: &'a Estate,
        known: &'a Known,
        verdict: &'a Verdict,
        unread: Option<&'a str>,
        policy: &Policy,
        at: Timestamp,
    ) -> Self {
        let key = &known.resource.key;
        let fleet = fleet_key(known, verdict);
        let overruled = fleet.and_then(|fleet| {
            let prospect = fleets::prospects(estate, policy, &mut policy.verdicts(estate, at), at).remove(&fleet);
            let (disposition, _) = fleets::overruled(known, prospect)?;
            Some((fleet, disposition))
        });
        let machine = (known.resource.kind != Kind::Instance && !verdict.is_own)
            .then(|| dependents::machine_of(estate, key, &Verdicts::of_one(policy, key, verdict)))
            .flatten()
            .filter(|(_, disposition)| *disposition != Disposition::Record);
        let (wanted, by) = match (overruled, machine) {
            (Some((fleet, Disposition::Ignore)), _) => (Disposition::Ignore, By::Fleet(fleet)),
            (Some((fleet, disposition)), _) => (disposition, By::NoFleet(fleet)),
            (None, Some((machine, disposition))) => (disposition, By::Machine(machine)),
            (None, None) => (verdict.disposition, By::Rule(&verdict.rule)),
        };
        let placed = fleets::dwelling(estate);
        let is_unrecorded_fleet = key.as_fleet().is_some() && known.disposition != Disposition::Record;
        let ages = if is_unrecorded_fleet { ages(estate, policy, at) } else { BTreeMap::new() };
        let around = Around { scopes: &estate.scopes, placed: &placed, ages: &ages };
        let kept = kept(known, wanted, verdict, unread, &around, at);
        let growing = match ages.get(key) {
            Some(Age::Young(growing)) => *growing,
            Some(Age::Grown { .. }) | None => None,
        };
        let is_bare = is_unrecorded_fleet && !ages.contains_key(key);
        Self { estate, known, verdict, wanted, by, kept, growing, is_bare }
    }

    /// When `min_dwell` lets its disposition change, where that is what it waits for.
    pub(super) fn dwells_until(&self) -> Option<Timestamp> {
        let due = after(self.known.disposition_since, self.verdict.timers.min_dwell);
        matches!(self.kept, Some(Kept::Stays(Staying::Dwell))).then_some(due)
    }

    /// When it will be old enough for a record, where that is what it waits for.
    pub(super) fn grows_until(&self) -> Option<Timestamp> {
        let is_young = matches!(self.kept, Some(Kept::Stays(Staying::Young)));
        self.growing.filter(|_| is_young).map(|growing| growing.due)
    }

    fn by(&self) -> String {
        match &self.by {
            By::Rule(DEFAULT) => "no rule decides".to_owned(),
            By::Rule(rule) => format!("rule `{rule}`"),
            By::NoFleet(fleet) => format!("it is to be folded into {}, which has no record yet", told::known(self.estate, fleet)),
            By::Fleet(fleet) => format!("it would be folded into {}, which is ignored", told::known(self.estate, fleet)),
            By::Machine(machine) => format!("it ends with {} and shares its disposition", told::known_with_kind(self.estate, machine)),
        }
    }

    /// Why its disposition is what it is.
    pub(super) fn why_disposition(&self) -> String {
        let Self { wanted, .. } = self;
        match &self.kept {
            Some(Kept::Frozen { rule, text }) => format!("kept, because rule `{rule}` could not be asked: {text}"),
            Some(Kept::GroupUnread) => "kept, because whether it is in a scaling group could not be read".to_owned(),
            Some(Kept::Stays(Staying::Young)) if self.known.resource.derived && self.growing.is_none() => {
                "the rules could not be asked about its members".to_owned()
            }
            Some(Kept::Stays(Staying::Young)) if self.known.resource.derived => {
                "neither was any of its members seen at the min_age that rules set for it, nor has it stood that long".to_owned()
            }
            Some(Kept::Stays(Staying::Young)) => format!("it was last seen younger than min_age, {}", spelt(self.verdict.timers.min_age)),
            Some(Kept::Stays(Staying::Dwell)) => {
                format!("kept by min_dwell, {}; wanted is {wanted}: {}", spelt(self.verdict.timers.min_dwell), self.by())
            }
            Some(Kept::Stays(Staying::Recorded)) => {
                format!("what has a record is not deferred any more; wanted is {wanted}: {}", self.by())
            }
            Some(Kept::Stays(Staying::Gone)) if self.is_bare => "no machine that the rules fold into it is seen alive".to_owned(),
            Some(Kept::Stays(Staying::Gone)) => format!("kept, because it is not seen alive; wanted is {wanted}: {}", self.by()),
            None if *wanted == self.known.disposition => self.by(),
            None => format!("the next sync makes it {wanted}: {}", self.by()),
        }
    }

    /// Why its stage is what it is.
    pub(super) fn why_stage(&self) -> String {
        let says = || self.known.resource.state.as_ref().map(|state| format!("its provider says {}", told::printable(state)));
        match self.known.stage {
            Stage::Deferred => "it has no record yet".to_owned(),
            Stage::Active | Stage::Inactive => {
                says().unwrap_or_else(|| format!("it was seen, last at {}", told::time(self.known.last_seen)))
            }
            Stage::Missing if self.known.recovered => "found at a target, shown by no listing since".to_owned(),
            Stage::Missing | Stage::Retired => reason(self.known).text,
            Stage::Purged => format!("{}; every target that purges has removed its record", reason(self.known).text),
        }
    }

    /// What will happen next and when.
    pub(super) fn next(&self, at: Timestamp) -> String {
        let Self { known, verdict, .. } = self;
        let timers = &*verdict.timers;
        if let Some(Kept::Frozen { rule, text }) = &self.kept {
            return format!("nothing: frozen, because rule `{rule}` could not be asked: {text}");
        }
        match known.stage {
            Stage::Retired | Stage::Purged if waits_for_revival(known) => {
                "revived when a look-up shows it, min_dwell after its end: a listing still shows it".to_owned()
            }
            Stage::Retired | Stage::Purged => "nothing; it is revived if it is seen again".to_owned(),
            Stage::Missing => next_of_missing(self.estate, known, timers, at),
            Stage::Deferred | Stage::Active | Stage::Inactive => match outlasts_its_end(known, verdict) {
                Some(due) => format!(
                    "retired at {} or later: it has ended, and a rule sets retire_after, {}",
                    told::time(due),
                    spelt(timers.retire_after)
                ),
                None => self.next_of_alive(),
            },
        }
    }

    fn next_of_alive(&self) -> String {
        let Self { known, verdict, wanted, .. } = self;
        let min_age = verdict.timers.min_age;
        match &self.kept {
            Some(Kept::GroupUnread) if known.disposition == Disposition::Defer => {
                "decided when scaling groups are listed: whether it is in one could not be read".to_owned()
            }
            Some(Kept::GroupUnread) => format!("it stays {} until scaling groups are listed", known.disposition),
            Some(Kept::Stays(Staying::Young)) if known.resource.derived => match self.growing {
                Some(Growing { due, min_age, is_stand }) => {
                    let since = if is_stand { "the fleet's first was seen" } else { "its birth" };
                    format!("recorded when a listing shows a member at {} or later, {} after {since}", told::time(due), spelt(min_age))
                }
                None => "decided when the rules can be asked about its members".to_owned(),
            },
            Some(Kept::Stays(Staying::Young)) => {
                let due = told::time(after(born(known), min_age));
                format!("recorded when a listing shows it at {due} or later, {} after its birth", spelt(min_age))
            }
            Some(Kept::Stays(Staying::Dwell)) => {
                let due = after(known.disposition_since, verdict.timers.min_dwell);
                format!("{} at {} or later, if the rules still say so", self.made(*wanted), told::time(due))
            }
            None if *wanted != known.disposition => format!("{} by the next sync", self.made(*wanted)),
            Some(Kept::Frozen { .. } | Kept::Stays(Staying::Recorded | Staying::Gone)) | None => match (known.disposition, &self.by) {
                (Disposition::Record, _) => self.next_of_record(),
                (Disposition::Defer, By::Machine(machine)) if !self.estate.resources.contains_key(*machine) => format!(
                    "recorded when {}, which it ends with, is listed and old enough, or when it was itself seen at min_age, {}",
                    told::short(machine),
                    spelt(min_age)
                ),
                (Disposition::Defer, By::Machine(machine)) => {
                    format!("recorded together with {}, which it ends with", told::known_with_kind(self.estate, machine))
                }
                // Its members are gone, and no listing counts that.
                (Disposition::Defer, _) if self.is_bare => self.next_of_bare(),
                (Disposition::Defer, _) => format!("nothing, as long as {} defers it", self.by()),
                (Disposition::Fold, By::Machine(_)) => "nothing, as long as its machine is folded".to_owned(),
                (Disposition::Fold, _) if self.waits_with_fleet() => {
                    format!("nothing: it is counted in {}, which has no record yet", self.fleet())
                }
                (Disposition::Fold, _) => format!("nothing: it is counted in the record of {}", self.fleet()),
                (Disposition::Ignore, _) => format!("nothing, it has no record: {}", self.by()),
            },
        }
    }

    fn made(&self, disposition: Disposition) -> String {
        match disposition {
            Disposition::Record => "gets a record of its own".to_owned(),
            Disposition::Defer => "deferred".to_owned(),
            Disposition::Fold if self.known.resource.kind == Kind::Instance => format!("folded into {}", self.fleet()),
            Disposition::Fold => "folded with its machine".to_owned(),
            Disposition::Ignore => "loses its record, if it has one, and gets none".to_owned(),
        }
    }

    fn next_of_record(&self) -> String {
        self.next_of_unlisted().unwrap_or_else(|| "nothing, as long as listings show it unchanged".to_owned())
    }

    fn next_of_bare(&self) -> String {
        self.next_of_unlisted().unwrap_or_else(|| "nothing, until the rules fold a machine into it that is seen alive".to_owned())
    }

    /// What comes next where the scope that shows it, or its members, is not complete.
    fn next_of_unlisted(&self) -> Option<String> {
        let known = self.known;
        let scope = if known.resource.derived { members_scope(&known.resource) } else { known.resource.scope() };
        let (scope, scoped) = self.estate.covering(&scope)?;
        let outcome = scoped.receipt.outcome;
        let is_open = outcome != Outcome::Complete && known.resource.kind != Kind::Service;
        is_open.then(|| format!("nothing: as long as {scope} is {outcome}, no absence counts"))
    }

    /// The fleet that it is folded into, or is to be.
    fn fleet(&self) -> String {
        match self.fleet_key() {
            Some(fleet) => format!("scaling_group {}", told::known(self.estate, &fleet)),
            None => "its fleet".to_owned(),
        }
    }

    fn fleet_key(&self) -> Option<Key> {
        let key = &self.known.resource.key;
        let members = || self.estate.edges.iter().filter(|(id, _)| id.relation == RelationType::MemberOf && id.from == *key);
        // A fleet of its own before the cloud's group.
        let present = || members().max_by_key(|(_, edge)| edge.derived).map(|(id, _)| id.to.clone());
        fleet_key(self.known, self.verdict).or_else(present)
    }

    fn waits_with_fleet(&self) -> bool {
        let fleet = self.fleet_key().and_then(|fleet| self.estate.resources.get(&fleet));
        fleet.is_some_and(|fleet| fleet.disposition == Disposition::Defer)
    }
}

/// How old the members of fleets are, as they are folded now.
fn ages(estate: &Estate, policy: &Policy, at: Timestamp) -> BTreeMap<Key, Age> {
    let verdicts = policy.verdicts(estate, at);
    fleets::ages(estate, &verdicts, &folding(estate, &verdicts))
}

fn kept<'a>(
    known: &Known,
    wanted: Disposition,
    verdict: &'a Verdict,
    unread: Option<&'a str>,
    around: &Around<'_>,
    at: Timestamp,
) -> Option<Kept<'a>> {
    match (&verdict.failure, unread) {
        (Some(Failure { rule, text, freezes: true, hint: _ }), _) => return Some(Kept::Frozen { rule, text }),
        (_, Some(rule)) if verdict.is_set_unread => return Some(Kept::Frozen { rule, text: GROUP_UNREAD }),
        _ if verdict.is_group_unread => return Some(Kept::GroupUnread),
        _ => {}
    }
    staying(known, wanted, &verdict.timers, around, at).map(Kept::Stays)
}

/// Whether a listing still shows a life that its provider, or a look-up, said had ended.
pub(super) fn waits_for_revival(known: &Known) -> bool {
    known.end.as_ref().is_some_and(|end| end.cause.is_stated_of_it()) && known.missing == 0 && known.resource.vital() != Vital::Ended
}

/// When what has ended is retired, where a rule makes it wait.
pub(super) fn outlasts_its_end(known: &Known, verdict: &Verdict) -> Option<Timestamp> {
    let waits = verdict.is_retirement_set && known.end.is_none() && known.resource.vital() == Vital::Ended;
    waits.then(|| after(known.state_since, verdict.timers.retire_after))
}

fn next_of_missing(estate: &Estate, known: &Known, timers: &Timers, at: Timestamp) -> String {
    let own = if known.resource.derived {
        unlisted_members(&estate.resources, &estate.edges, &estate.scopes, &known.resource.key)
    } else {
        Some(known.resource.scope())
    };
    if let Some(own) = own {
        match estate.covering(&own).map(|(scope, known)| (scope, known.receipt.outcome)) {
            Some((_, Outcome::Complete)) => {}
            Some((scope, outcome)) => return format!("nothing: frozen, because {scope} is {outcome}"),
            None => return format!("nothing: frozen, because {own} has never been listed"),
        }
    }
    // What never had a record ends without a look-up; what is derived has nothing that could be looked up.
    let is_deferred = known.disposition == Disposition::Defer;
    let derived = known.resource.derived;
    if is_due(known, timers, at) {
        let due = match (is_deferred, derived) {
            (true, _) => "retired by the next run",
            (false, true) => "retired by the next run that finds no member and that no guardrail holds",
            (false, false) => "retired when the next run's look-up says gone and no guardrail holds it",
        };
        return due.to_owned();
    }
    let one = if derived { "a member" } else { "it" };
    let left = timers.confirm_missing.max(1).saturating_sub(known.missing);
    let due = due_by_time(known, timers);
    let time = (due > at).then(|| format!("not before {}", told::time(due)));
    let count = (left > 0).then(|| format!("after {} more without {one}", listings(left)));
    let conditions: Vec<String> = count.into_iter().chain(time).collect();
    let what = if is_deferred { "retired" } else { "proposed for retirement" };
    format!("{what} {}, unless {one} is seen", conditions.join(" and "))
}
