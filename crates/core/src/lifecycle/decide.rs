//! Dispositions, stages and proposed retirements.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::causes;
use super::dependents;
use super::fleets::{self, Age};
use super::policy::{Policy, RuleTracer, Timers, Verdicts};
use super::stages::stage_alive;
use super::waiting::DeferredBy;
use super::words::{after, elapsed, spelt};
use crate::estate::{
    Dirty, Disposition, End, EndCause, Estate, FieldChange, JournalEntry, JournalKind, Known, KnownScope, Stage, covering,
};
use crate::inventory::{Folding, Observing, fold, given_up, last_members, members_scope, unlisted_members};
use crate::model::{Account, Key, Kind, Outcome, Provider, Resource, Scope, Vital};
use crate::plan::Reason;
use crate::rules::{Fleet, Verdict};
use crate::told;

/// What stands for a rule in the reason of an end that people asked for: `dewpoint scopes retire`.
pub(crate) const RETIRED_SCOPE: &str = "scopes retire";

/// What was decided, beyond what stands in the estate.
#[must_use]
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Decisions {
    /// Due absences: retired once a look-up says gone ([`super::confirm`]). Until then their stage stays `missing`.
    pub proposed: BTreeMap<Key, Reason>,
    /// Ended lives that a listing still shows, `min_dwell` after their end: revived once a look-up shows them.
    pub revivals_to_confirm: BTreeSet<Key>,
    /// Orphaned scopes whose members people asked to retire: each is among `proposed`, and is held until it is approved.
    pub disowned: BTreeSet<Scope>,
    /// Named fleets and services whose last members went with such scopes, among `proposed` as well: no look-up can answer for them, the
    /// approval is their end ([`super::conclude`]).
    pub bereft: BTreeSet<Key>,
    /// Absences that would be due but that their scope does not prove now (guardrail 1), with that scope.
    pub frozen: BTreeMap<Key, Scope>,
    /// Resources that wait: [`Self::deferred_by`] says for what. Without retired ones.
    pub deferred: u64,
    /// The same by what they wait for.
    pub deferred_by: DeferredBy,
    /// Resources folded into fleets, without retired ones.
    pub folded: u64,
    /// Resources ignored by rule, without retired ones.
    pub ignored: u64,
    /// Resources that ended in this run before they were old enough for a record.
    pub died_deferred: u64,
    /// What the rules said.
    pub verdicts: Verdicts,
}

/// Decides dispositions and stages of all resources, and proposes retirements.
///
/// - An instance younger than `min_age` is deferred as long as it never had another disposition; what ends with it is deferred with it.
///   So is a named fleet whose members are all younger than what rules set for them, until it has stood that long.
///   Its age is what was *seen* of it (from its birth to its last sighting), so a machine that is not listed does not grow old.
/// - What the provider says has ended is retired at once. An absence is proposed after `confirm_missing` complete listings and
///   `retire_after` since it was last seen, and only while the scope's latest receipt is complete. What was never recorded needs no
///   look-up and is retired when due.
/// - What lies in an account that its provider says is closed is retired at once, as far as no listing says otherwise.
/// - What was retired for its absence is revived when it is seen. What the provider, or a look-up, said had ended is not, until `min_dwell`
///   has passed and a look-up shows it.
///
/// Changes are journalled, save that a new resource is simply recorded.
/// - A resource that a rule at or before the deciding one could not be asked about is frozen: its disposition and its life stay as they are.
///
/// Fleets of folded machines are made on the way ([`crate::inventory::fold`]).
pub fn decide(estate: &mut Estate, policy: &Policy, observing: &Observing<'_>) -> Decisions {
    decide_traced(estate, policy, observing, &mut |_, _, _| {})
}

/// [`decide`]; `trace` hears what each rule says of each resource.
pub fn decide_traced(estate: &mut Estate, policy: &Policy, observing: &Observing<'_>, trace: &mut RuleTracer<'_>) -> Decisions {
    let fold = |estate: &mut Estate, folding: &Folding| {
        let _ = fold(estate, folding, observing);
    };
    decide_with(estate, policy, observing.at, fold, trace)
}

/// [`decide`], with what makes the fleets.
pub(crate) fn decide_with(
    estate: &mut Estate,
    policy: &Policy,
    at: Timestamp,
    fold: impl FnOnce(&mut Estate, &Folding),
    trace: &mut RuleTracer<'_>,
) -> Decisions {
    let mut decisions = Decisions { verdicts: policy.no_verdicts(), ..Decisions::default() };
    let grown = dispose(estate, policy, &mut decisions.verdicts, at, fold, trace);

    let open = open_derived(estate);
    let closed = closed_accounts(estate);
    let Estate { resources, scopes, dirty, .. } = estate;
    for (key, known) in resources.iter_mut() {
        let verdict = decisions.verdicts.of(key).clone();
        let frozen = || unproven(key, known, &open, scopes);
        let step = match is_closed_with(known, &closed, scopes) {
            _ if verdict.freezes() => frozen_step(known),
            Some(account) => Step::End(EndCause::AccountClosed, closed_with(account)),
            None => next_step(known, &verdict, at, frozen),
        };
        let cause = |known: &Known, stage| causes::of_stage(known, stage, &verdict, grown.contains(key), at);
        take_step(key, known, step, &cause, at, dirty, &mut decisions);
        if known.stage != Stage::Retired && known.stage != Stage::Purged {
            match known.disposition {
                Disposition::Record => {}
                Disposition::Defer => decisions.deferred += 1,
                Disposition::Fold => decisions.folded += 1,
                Disposition::Ignore => decisions.ignored += 1,
            }
        } else if known.disposition == Disposition::Defer && known.stage_since == at {
            decisions.died_deferred += 1;
        }
    }
    decisions.deferred_by = DeferredBy::of(estate, &decisions.verdicts);
    propose_disowned(estate, &mut decisions, at);
    decisions
}

/// Accounts that their provider says are closed.
fn closed_accounts(estate: &Estate) -> BTreeSet<(Provider, Account)> {
    let accounts = estate.resources.values().filter(|known| known.resource.kind == Kind::Account);
    let closed = accounts.filter(|known| known.resource.vital() == Vital::Ended && known.missing == 0);
    closed.map(|known| (known.resource.provider, known.resource.account.clone())).collect()
}

/// The closed account that a resource lies in, if it has not ended yet and nobody has listed it since: a listing of its own scope knows better.
fn is_closed_with<'a>(
    known: &'a Known,
    closed: &BTreeSet<(Provider, Account)>,
    scopes: &BTreeMap<Scope, KnownScope>,
) -> Option<&'a Account> {
    let resource = &known.resource;
    let is_inside = resource.kind != Kind::Account && known.end.is_none() && resource.vital() != Vital::Ended;
    if closed.is_empty() || !is_inside || !closed.contains(&(resource.provider, resource.account.clone())) {
        return None;
    }
    // A named fleet lies there with its members.
    let scope = if resource.derived { members_scope(resource) } else { resource.scope() };
    let receipt = covering(scopes, &scope).map(|(_, known)| known.receipt.outcome);
    matches!(receipt, None | Some(Outcome::Skipped | Outcome::Orphaned)).then_some(&resource.account)
}

fn closed_with(account: &Account) -> Reason {
    Reason { rule: "account_closed".to_owned(), text: format!("its provider says that account {account} is closed") }
}

fn is_shown_alive(known: &Known) -> bool {
    known.missing == 0 && known.resource.vital() != Vital::Ended
}

/// What lies in orphaned scopes that people asked to retire, and then what consisted of it. No listing can prove its absence any more, so people
/// have to.
fn propose_disowned(estate: &mut Estate, decisions: &mut Decisions, at: Timestamp) {
    let is_disowned = |known: &KnownScope| known.retire && known.receipt.outcome == Outcome::Orphaned;
    decisions.disowned = estate.scopes.iter().filter(|(_, known)| is_disowned(known)).map(|(scope, _)| scope.clone()).collect();
    if decisions.disowned.is_empty() {
        return;
    }
    for (key, known) in &estate.resources {
        let covered = covering(&estate.scopes, &known.resource.scope()).filter(|(scope, _)| decisions.disowned.contains(*scope));
        if let Some((scope, _)) = covered
            && !known.resource.derived
            && known.end.is_none()
        {
            let text = format!("no source covers {scope} any more, and its retirement was asked for");
            decisions.proposed.insert(key.clone(), Reason { rule: RETIRED_SCOPE.to_owned(), text });
        }
    }
    let bereft = bereft(estate, &decisions.disowned);
    let Estate { resources, dirty, .. } = estate;
    for (key, scope) in bereft {
        let Some(known) = resources.get_mut(&key) else { continue };
        let text = format!("no source covers {scope} any more, where its last members were, and their retirement was asked for");
        if known.missing == 0 {
            // Nothing shows it any more: from here on its last sighting stands, which names the wish to retire it.
            known.missing = 1;
            dirty.resources.insert(key.clone());
        }
        set_stage(&key, known, Stage::Missing, format!("{RETIRED_SCOPE}: {text}"), at, dirty);
        decisions.frozen.remove(&key);
        decisions.proposed.insert(key.clone(), Reason { rule: RETIRED_SCOPE.to_owned(), text });
        decisions.bereft.insert(key);
    }
}

/// Named fleets and services that lost their last members with scopes that people gave up, with such a scope.
fn bereft(estate: &Estate, disowned: &BTreeSet<Scope>) -> Vec<(Key, Scope)> {
    let derived = estate.resources.iter().filter(|(_, known)| known.resource.derived && known.end.is_none());
    let derived: BTreeMap<&Key, &Known> = derived.collect();
    let members = last_members(&estate.resources, &estate.edges, &derived.keys().copied().collect());
    let of = |key: &Key| members.get(key).map_or(&[][..], Vec::as_slice);
    derived.into_iter().filter_map(|(key, known)| Some((key.clone(), given_up(estate, disowned, known, of(key))?))).collect()
}

/// Dispositions: machines first, then what depends on them, and last the fleets that they make. Returns the fleets that got a record because a
/// rule's `min_age` has passed.
fn dispose(
    estate: &mut Estate,
    policy: &Policy,
    verdicts: &mut Verdicts,
    at: Timestamp,
    fold: impl FnOnce(&mut Estate, &Folding),
    trace: &mut RuleTracer<'_>,
) -> BTreeSet<Key> {
    policy.judge(verdicts, estate, at, |_| true, trace);
    let fleets = fleets::prospects(estate, policy, verdicts, at);
    let placed = fleets::dwelling(estate);
    let mut ages = BTreeMap::new();
    let Estate { resources, dirty, scopes, .. } = estate;
    let around = Around { scopes, placed: &placed, ages: &ages };
    for (key, known) in resources.iter_mut().filter(|(_, known)| known.resource.kind == Kind::Instance) {
        let verdict = verdicts.of(key);
        let shared = fleet_key(known, verdict).and_then(|fleet| fleets::overruled(known, fleets.get(&fleet).copied()));
        dispose_one(key, known, verdict, shared, &around, at, dirty);
    }
    let shared = dependents::shared(estate, verdicts);
    let is_named_fleet = |known: &Known| known.resource.derived && known.resource.kind == Kind::ScalingGroup;
    let Estate { resources, dirty, scopes, .. } = estate;
    let around = Around { scopes, placed: &placed, ages: &ages };
    for (key, known) in resources.iter_mut().filter(|(_, known)| known.resource.kind != Kind::Instance && !is_named_fleet(known)) {
        let shared = shared.get(key).filter(|_| !verdicts.of(key).is_own);
        let shared = shared.map(|disposition| (*disposition, "it ends with its machine and shares its disposition"));
        dispose_one(key, known, verdicts.of(key), shared, &around, at, dirty);
    }
    let folding = folding(estate, verdicts);
    fold(estate, &folding);
    // Some came into being by that.
    policy.judge(verdicts, estate, at, |known| is_named_fleet(known) && known.first_seen == at, trace);
    ages = fleets::ages(estate, verdicts, &folding);
    let Estate { resources, dirty, scopes, .. } = estate;
    let around = Around { scopes, placed: &placed, ages: &ages };
    let mut grown = BTreeSet::new();
    for (key, known) in resources.iter_mut().filter(|(_, known)| is_named_fleet(known)) {
        let waited = known.disposition == Disposition::Defer && ages.get(key) == Some(&Age::Grown { is_set: true });
        dispose_one(key, known, verdicts.of(key), None, &around, at, dirty);
        if waited && known.disposition == Disposition::Record {
            grown.insert(key.clone());
        }
    }
    grown
}

/// The fleet that a verdict folds a machine into.
pub(super) fn fleet_key(known: &Known, verdict: &Verdict) -> Option<Key> {
    let Resource { provider, account, region, .. } = &*known.resource;
    match verdict.fleet.as_ref()? {
        Fleet::Group(group) => Some(group.clone()),
        Fleet::Named(name) => Key::fleet(*provider, account, region, name),
    }
}

/// Every machine that is folded now, and into what. One that the rules would record, and that waits for `min_dwell`, stays where it is.
pub(super) fn folding(estate: &Estate, verdicts: &Verdicts) -> Folding {
    let folded: Vec<_> = estate
        .resources
        .iter()
        .filter(|(_, known)| known.resource.kind == Kind::Instance && known.disposition == Disposition::Fold)
        .collect();
    if folded.is_empty() {
        return Folding::new();
    }
    let placed = fleets::placed(estate);
    let into = |key: &Key, known: &Known| fleet_key(known, verdicts.of(key)).or_else(|| placed.get(key).map(|fleet| (*fleet).clone()));
    folded.into_iter().filter_map(|(key, known)| Some((key.clone(), into(key, known)?))).collect()
}

fn dispose_one(
    key: &Key,
    known: &mut Known,
    verdict: &Verdict,
    shared: Option<(Disposition, &str)>,
    around: &Around<'_>,
    at: Timestamp,
    dirty: &mut Dirty,
) {
    if verdict.freezes() {
        return;
    }
    if !verdict.is_flag_unknown && known.flag.as_deref() != verdict.flag.as_deref() {
        let [from, to] = [known.flag.as_deref(), verdict.flag.as_deref()].map(Value::from);
        let cause = if verdict.flag.is_some() { "a rule sets it" } else { "no rule sets it any more" };
        journal(dirty, key, known, at, cause.to_owned(), "flag", FieldChange { from, to });
        known.flag = verdict.flag.as_deref().map(str::to_owned);
        dirty.resources.insert(key.clone());
    }
    if verdict.is_group_unread {
        return;
    }
    let wanted = shared.map_or(verdict.disposition, |(disposition, _)| disposition);
    let next = staying(known, wanted, &verdict.timers, around, at).map_or(wanted, |_| known.disposition);
    if next == known.disposition {
        return;
    }
    let cause = match (shared, known.disposition) {
        (Some((_, why)), _) => why.to_owned(),
        (None, Disposition::Defer) if known.resource.kind == Kind::Instance && next == Disposition::Record => {
            format!("min_age: seen at an age of {} or more", spelt(verdict.timers.min_age))
        }
        (None, Disposition::Defer) if next == Disposition::Record && around.ages.get(key) == Some(&Age::Grown { is_set: true }) => {
            causes::OF_GROWN_FLEET.to_owned()
        }
        (None, _) => causes::rule(verdict),
    };
    let is_plain = is_new(known, at) && next == Disposition::Record;
    if !is_plain {
        let change = FieldChange { from: known.disposition.as_str().into(), to: next.as_str().into() };
        journal(dirty, key, known, at, cause, "disposition", change);
    }
    known.disposition = next;
    known.disposition_since = at;
    dirty.resources.insert(key.clone());
}

/// What a disposition rests on beside the resource itself.
pub(super) struct Around<'a> {
    pub(super) scopes: &'a BTreeMap<Scope, KnownScope>,
    /// Machines that are in a fleet that has a record.
    pub(super) placed: &'a BTreeSet<Key>,
    /// How old the members of named fleets without a record are.
    pub(super) ages: &'a BTreeMap<Key, Age>,
}

impl Around<'_> {
    /// Whether the latest reading of its scope showed it: a scope that could not be listed may have lost it.
    fn shows(&self, known: &Known) -> bool {
        let latest = || covering(self.scopes, &known.resource.scope()).map(|(_, scope)| scope.fence);
        known.missing == 0 && (known.resource.derived || latest().is_none_or(|fence| known.fence >= fence))
    }
}

/// Why a resource stays what it is although something else is wanted of it.
pub(super) enum Staying {
    /// Ended, or not seen alive now.
    Gone,
    /// Too young for a record, or a fleet of nothing but what rules say is too young for one.
    Young,
    /// What once had a record is not deferred any more.
    Recorded,
    /// Its disposition changed less than `min_dwell` ago.
    Dwell,
}

/// What keeps a resource from what rules and machines want of it; `None` where it becomes, or is, just that.
pub(super) fn staying(known: &Known, wanted: Disposition, timers: &Timers, around: &Around<'_>, at: Timestamp) -> Option<Staying> {
    let is_young = || match known.resource.kind {
        Kind::Instance => age_seen(known) < timers.min_age,
        _ => matches!(around.ages.get(&known.resource.key), Some(Age::Young(_))),
    };
    // A named fleet that lost its members where nobody can say so yet gets no record for what it was.
    let is_bare = || known.resource.key.as_fleet().is_some() && !around.ages.contains_key(&known.resource.key);
    let is_recent = || elapsed(known.disposition_since, at) < timers.min_dwell;
    let is_placed = || known.resource.kind != Kind::Instance || around.placed.contains(&known.resource.key);
    match (known.disposition, wanted) {
        (now, wanted) if now == wanted => None,
        // Neither grows old enough for a record, ...
        (Disposition::Defer, _) if known.is_ended() || known.missing > 0 => Some(Staying::Gone),
        // ... nor is a record due to what vanished: a complete listing of its group lacks it as well, and what ends with it may lag behind.
        (_, Disposition::Record) if known.missing > 0 || is_bare() => Some(Staying::Gone),
        // Nor is one made for what leaves a fleet, or a rule that ignored it, while nobody sees it.
        (Disposition::Fold | Disposition::Ignore, Disposition::Record) if !around.shows(known) => Some(Staying::Gone),
        // Nor to what is too young for one: a fleet that it leaves, or a rule that lets go of it, makes it no older.
        (_, Disposition::Record) if is_young() => Some(Staying::Young),
        (_, Disposition::Defer) => Some(Staying::Recorded),
        // A machine stays in its fleet only as long as that is there, and has a record to keep true.
        (Disposition::Record, Disposition::Fold) if is_recent() => Some(Staying::Dwell),
        (Disposition::Fold, Disposition::Record) if is_recent() && is_placed() => Some(Staying::Dwell),
        _ => None,
    }
}

/// When the present life was born, as far as is known.
pub(super) fn born(known: &Known) -> Timestamp {
    known.resource.created_at.unwrap_or(known.life_since)
}

/// The age at which it was last seen, as far as is known.
pub(crate) fn age_seen(known: &Known) -> std::time::Duration {
    elapsed(born(known), known.last_seen)
}

/// Whether the row came into being in this run.
fn is_new(known: &Known, at: Timestamp) -> bool {
    known.first_seen == at && known.life_since == at && known.stage_since == at
}

/// What the stage does in this run.
enum Step {
    /// It is, or becomes, this; no end is concluded or taken back.
    Stage(Stage),
    /// Its end is concluded.
    End(EndCause, Reason),
    /// It stays ended.
    Ended,
    /// It stays ended until a look-up shows it.
    ConfirmRevival,
    /// Missing, and due.
    Propose(Reason),
    /// Missing, and would be due if its scope proved it.
    Frozen(Scope),
}

/// What a resource stays that nothing is concluded about.
fn frozen_step(known: &Known) -> Step {
    match known.stage {
        _ if known.end.is_some() => Step::Ended,
        _ if known.missing > 0 => Step::Stage(Stage::Missing),
        stage if known.resource.vital() == Vital::Ended => Step::Stage(stage),
        _ => Step::Stage(stage_alive(known)),
    }
}

fn next_step(known: &Known, verdict: &Verdict, at: Timestamp, unproven: impl FnOnce() -> Option<Scope>) -> Step {
    let timers = &*verdict.timers;
    let vital = known.resource.vital();
    if let Some(end) = &known.end {
        // Any other end is taken back by the sighting itself: where it stands, nothing has been shown since.
        let may_return = end.cause.is_stated_of_it() && is_shown_alive(known) && elapsed(end.at, at) >= timers.min_dwell;
        return if may_return { Step::ConfirmRevival } else { Step::Ended };
    }
    if vital == Vital::Ended {
        // A rule that sets `retire_after` for it asks even what is certain to wait, listed or not: EC2 lists what is terminated for an hour.
        if verdict.is_retirement_set && elapsed(known.state_since, at) < timers.retire_after {
            return Step::Stage(if known.missing == 0 { Stage::Inactive } else { Stage::Missing });
        }
        return Step::End(EndCause::Stated, stated(known));
    }
    if known.missing == 0 {
        return Step::Stage(if known.recovered { Stage::Missing } else { stage_alive(known) });
    }
    if !is_due(known, timers, at) {
        return Step::Stage(Stage::Missing);
    }
    let text = format!("{}, last seen {}, {} or more ago", causes::absence(known), told::time(known.last_seen), spelt(timers.retire_after));
    let reason = Reason { rule: "retire_after".to_owned(), text };
    match unproven() {
        Some(scope) => Step::Frozen(scope),
        None if known.disposition == Disposition::Defer => Step::End(EndCause::Absent, reason),
        None => Step::Propose(reason),
    }
}

fn stated(known: &Known) -> Reason {
    let text = format!("its provider says {}", known.resource.state.as_deref().unwrap_or("that it has ended"));
    Reason { rule: "stated".to_owned(), text }
}

/// Whether an absence has lasted as often and as long as the timers ask.
pub(super) fn is_due(known: &Known, timers: &Timers, at: Timestamp) -> bool {
    known.missing >= timers.confirm_missing.max(1) && elapsed(known.last_seen, at) >= timers.retire_after
}

fn take_step(
    key: &Key,
    known: &mut Known,
    step: Step,
    cause: &dyn Fn(&Known, Stage) -> String,
    at: Timestamp,
    dirty: &mut Dirty,
    decisions: &mut Decisions,
) {
    match step {
        Step::Stage(stage) => {
            let cause = cause(known, stage);
            set_stage(key, known, stage, cause, at, dirty);
        }
        Step::End(cause, reason) => {
            known.end = Some(End { at, cause });
            let text = format!("{}: {}", reason.rule, reason.text);
            set_stage(key, known, Stage::Retired, text, at, dirty);
            dirty.resources.insert(key.clone());
        }
        Step::Ended => stay_ended(key, known, at, dirty),
        Step::ConfirmRevival => {
            stay_ended(key, known, at, dirty);
            decisions.revivals_to_confirm.insert(key.clone());
        }
        Step::Propose(reason) => {
            set_stage(key, known, Stage::Missing, causes::absence(known), at, dirty);
            decisions.proposed.insert(key.clone(), reason);
        }
        Step::Frozen(scope) => {
            set_stage(key, known, Stage::Missing, causes::absence(known), at, dirty);
            decisions.frozen.insert(key.clone(), scope);
        }
    }
}

fn stay_ended(key: &Key, known: &mut Known, at: Timestamp, dirty: &mut Dirty) {
    if known.stage != Stage::Purged {
        let Reason { rule, text } = reason(known);
        set_stage(key, known, Stage::Retired, format!("{rule}: {text}"), at, dirty);
    }
}

/// Changes the stage and journals it; nothing when it is the same.
pub(super) fn set_stage(key: &Key, known: &mut Known, stage: Stage, cause: String, at: Timestamp, dirty: &mut Dirty) {
    if known.stage == stage {
        return;
    }
    let is_plain = is_new(known, at) && matches!(stage, Stage::Active | Stage::Inactive);
    if !is_plain {
        let change = FieldChange { from: known.stage.as_str().into(), to: stage.as_str().into() };
        journal(dirty, key, known, at, cause, "stage", change);
    }
    known.stage = stage;
    known.stage_since = at;
    dirty.resources.insert(key.clone());
}

fn journal(dirty: &mut Dirty, key: &Key, known: &Known, at: Timestamp, cause: String, field: &str, change: FieldChange) {
    dirty.journal.push(JournalEntry {
        entry: JournalKind::Decided,
        key: key.clone(),
        at,
        fence: known.fence,
        cause,
        fields: BTreeMap::from([(field.to_owned(), change)]),
    });
}

/// Services and named fleets that have lost all members, each with the scope that does not prove it ([`unlisted_members`]), if one does not.
fn open_derived(estate: &Estate) -> BTreeMap<Key, Scope> {
    let Estate { resources, edges, scopes, .. } = estate;
    let lost = resources.iter().filter(|(_, known)| known.resource.derived && known.missing > 0 && known.end.is_none());
    lost.filter_map(|(key, _)| Some((key.clone(), unlisted_members(resources, edges, scopes, key)?))).collect()
}

/// The scope whose latest receipt does not prove that a resource is absent; `None` where it is proven.
fn unproven(key: &Key, known: &Known, open: &BTreeMap<Key, Scope>, scopes: &BTreeMap<Scope, KnownScope>) -> Option<Scope> {
    if known.resource.derived {
        return open.get(key).cloned();
    }
    let own = known.resource.scope();
    match covering(scopes, &own) {
        Some((_, known)) if known.receipt.is_complete() => None,
        Some((scope, _)) => Some(scope.clone()),
        None => Some(own),
    }
}

/// Why a resource stands where it stands, in words: what its retirement or revival says as its reason.
#[must_use]
pub fn reason(known: &Known) -> Reason {
    let reason = |rule: &str, text: String| Reason { rule: rule.to_owned(), text };
    let absent = || format!("{}, last seen {}", causes::absence(known), told::time(known.last_seen));
    let Some(end) = &known.end else {
        return match known.stage {
            Stage::Missing => reason("confirm_missing", absent()),
            Stage::Deferred => reason("min_age", "too young for a record".to_owned()),
            _ => reason("default", format!("seen {}", told::time(known.last_seen))),
        };
    };
    match end.cause {
        EndCause::Stated => stated(known),
        EndCause::Absent => {
            // Nobody looks up what is derived, nor what never had a record.
            let is_looked_up = !known.resource.derived && known.disposition != Disposition::Defer;
            reason("retire_after", if is_looked_up { format!("{}, and a look-up found it gone", absent()) } else { absent() })
        }
        EndCause::AccountClosed => closed_with(&known.resource.account),
        EndCause::LookedUp => reason("looked_up", "a look-up found it gone".to_owned()),
        EndCause::Unwanted => reason("unwanted", "the configuration no longer covers it".to_owned()),
        EndCause::Disowned => reason(RETIRED_SCOPE, "no source covered it any more, and its retirement was asked for".to_owned()),
    }
}

/// When an absence is due by time, whatever its count.
pub(super) fn due_by_time(known: &Known, timers: &Timers) -> Timestamp {
    after(known.last_seen, timers.retire_after)
}
