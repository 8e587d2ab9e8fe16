//! The guardrails: functions that only take changes out of a draft.

use std::collections::{BTreeMap, BTreeSet};

use super::adopt::Unanswered;
use super::blast;
use super::change::{Change, ChangeKind};
use super::draft::{Draft, Wish, fill};
use super::guard::{Guardrail, Hold, HoldId, Limits, VerdictKind};
use super::input::Input;
use super::record::{DeliveryState, RecordBrief, TargetState};
use super::standing::Evidence;
use crate::estate::{Disposition, EndCause, EstateId, Known};
use crate::inventory::{emptied, last_members, members_scope};
use crate::lifecycle;
use crate::model::{Digest, EdgeId, Key, Kind, RelationType, Scope, TargetName};
use crate::target::Adopt;

/// Under what a draft is guarded.
#[derive(Debug, Clone, Copy)]
pub struct Guards<'a> {
    /// The limits.
    pub limits: &'a Limits,
    /// Orphaned scopes whose members people asked to retire ([`crate::lifecycle::Decisions::disowned`]).
    pub disowned: &'a BTreeSet<Scope>,
    /// The target is being recovered: nothing is retired, purged or unrelated in this run.
    pub recovering: bool,
}

/// A draft after the guardrails.
#[derive(Debug)]
#[must_use]
pub struct Guarded {
    /// The target.
    pub target: TargetName,
    /// What may be sent, in order.
    pub changes: Vec<Change>,
    /// What was stopped, ordered by guardrail.
    pub holds: Vec<Hold>,
    /// Proposed retirements that passed every gate of this target: to be looked up. None of them is in `changes`; one that a look-up
    /// finds gone is `retired` in the estate of the next draft.
    pub look_up: BTreeSet<Key>,
    /// Changes that people rejected and that are not asked about again.
    pub rejected: u64,
    /// Records that the target would hold afterwards, live and retired, strangers' not counted.
    pub forecast: u64,
    /// See [`Draft::settled`].
    pub settled: BTreeMap<Key, Digest>,
    /// See [`Draft::bindings`].
    pub bindings: BTreeMap<Key, RecordBrief>,
    /// See [`Draft::forgotten`].
    pub forgotten: BTreeSet<Key>,
    /// See [`Draft::forgotten_edges`].
    pub forgotten_edges: BTreeSet<EdgeId>,
    /// See [`Draft::unanswered`].
    pub unanswered: Vec<Unanswered>,
    /// See [`Draft::failed_fields`].
    pub failed_fields: BTreeMap<Key, BTreeMap<String, String>>,
    /// See [`Draft::other_estates`].
    pub other_estates: BTreeMap<Key, EstateId>,
}

/// One reason to hold some of the wishes, by their place.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) guardrail: Guardrail,
    pub(super) text: String,
    pub(super) share: Option<f64>,
    pub(super) limit: Option<f64>,
    pub(super) stopped: BTreeSet<usize>,
}

/// Takes out of a draft what the guardrails stop.
pub fn guard(draft: Draft, input: &Input<'_>, guards: &Guards<'_>) -> Guarded {
    let mut wishes = draft.wishes;
    let mut absent = draft.creates_left_out;
    // A fleet that nobody knows to be taken is not made now: what gives way to it waits.
    let is_live = |key: &Key| input.state.records.get(key).is_some_and(RecordBrief::is_live);
    absent.extend(input.members.unsure().filter(|key| !is_live(key)).cloned());
    if guards.recovering {
        wishes.retain(|wish| !matches!(wish.change.change, ChangeKind::Retire | ChangeKind::Purge | ChangeKind::Unrelate));
    }
    let rejected = take_out_rejected(&mut wishes, input.state, &mut absent);
    let approved: Vec<bool> = wishes.iter().map(|wish| verdict(input.state, &wish.change) == Some(VerdictKind::Approved)).collect();
    let open = |place: &usize| !approved.get(*place).copied().unwrap_or(false);

    let mut gates = Vec::new();
    gates.extend(duplicates(&wishes, input, &open));
    let disowned = |evidence: Evidence, own: &Scope| {
        let named = input.estate.covering(own).map_or(own, |(scope, _)| scope);
        let asked = evidence == Evidence::Proposed && guards.disowned.contains(named);
        (asked || evidence == Evidence::Disowned).then(|| named.clone())
    };
    gates.extend(by_scope(&wishes, input, Guardrail::Receipts, &open, disowned));
    let emptied = |_, own: &Scope| emptied(input.estate, own).cloned();
    gates.extend(by_scope(&wishes, input, Guardrail::SuddenEmptiness, &open, emptied));
    gates.extend(blast::gates(&wishes, input, guards.limits, &open));
    add_riders(&mut gates, &wishes, &open);
    let stopped: BTreeSet<usize> = gates.iter().flat_map(|gate| gate.stopped.iter().copied()).collect();
    gates.extend(budget(&wishes, input, &draft.bindings, &stopped, &open));
    let waiting = keep_unfolded(&mut gates, &mut wishes, input, &absent, &open);

    let mut guarded = Guarded {
        target: draft.target,
        changes: Vec::new(),
        holds: Vec::new(),
        look_up: BTreeSet::new(),
        rejected,
        forecast: 0,
        settled: draft.settled,
        bindings: draft.bindings,
        forgotten: draft.forgotten,
        forgotten_edges: draft.forgotten_edges,
        unanswered: draft.unanswered,
        failed_fields: draft.failed_fields,
        other_estates: draft.other_estates,
    };
    split(wishes, &gates, absent, &waiting, &mut guarded);
    if draft.is_lean {
        guarded.holds.iter_mut().flat_map(|hold| hold.changes.iter_mut()).for_each(|change| fill(input, change));
    }
    guarded.forecast = forecast(input, &guarded);
    guarded
}

/// What people said of a change, as far as it still speaks of it.
fn verdict(state: &TargetState, change: &Change) -> Option<VerdictKind> {
    let verdict = state.verdicts.get(&change.id)?;
    (verdict.verdict == VerdictKind::Approved || change.fence <= verdict.fence).then_some(verdict.verdict)
}

fn take_out_rejected(wishes: &mut Vec<Wish>, state: &TargetState, absent: &mut BTreeSet<Key>) -> u64 {
    let mut rejected = 0;
    if state.verdicts.is_empty() {
        return rejected;
    }
    wishes.retain(|wish| {
        if verdict(state, &wish.change) != Some(VerdictKind::Rejected) {
            return true;
        }
        rejected += 1;
        if makes_record(wish.change.change) {
            absent.insert(wish.change.key.clone());
        }
        false
    });
    rejected
}

/// Guardrail 4: creates that a stranger's record stands in the way of.
fn duplicates(wishes: &[Wish], input: &Input<'_>, open: &impl Fn(&usize) -> bool) -> Option<Gate> {
    let stopped: BTreeSet<usize> = places(wishes, |wish| wish.duplicate.is_some()).filter(open).collect();
    let first = wishes.get(*stopped.first()?)?;
    let others = match stopped.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let text = format!(
        "{} would stand beside a stranger's record: {} is record {}{others} (adopt: {})",
        count(stopped.len(), "create", "creates"),
        first.change.key,
        first.duplicate.as_deref().unwrap_or_default(),
        input.terms.adopt
    );
    Some(Gate { guardrail: Guardrail::Ownership, text, share: None, limit: None, stopped })
}

/// Guardrails 1 and 2: retirements that rest on absence from a scope that no source covers, or that lists nothing any more. One gate for
/// each scope; `suspect` names it by what the wish rests on and the resource's own scope. What is derived goes with those of its last members
/// whose records this target still keeps, and whose retirement was not approved here.
fn by_scope(
    wishes: &[Wish],
    input: &Input<'_>,
    guardrail: Guardrail,
    open: &impl Fn(&usize) -> bool,
    suspect: impl Fn(Evidence, &Scope) -> Option<Scope>,
) -> Vec<Gate> {
    let mut scopes: BTreeMap<Scope, BTreeSet<usize>> = BTreeMap::new();
    let resting: Vec<(usize, Evidence, &Known)> = places(wishes, |wish| wish.evidence.is_some_and(Evidence::rests_on_absence))
        .filter(open)
        .filter_map(|place| {
            let wish = wishes.get(place)?;
            Some((place, wish.evidence?, input.estate.resources.get(&wish.change.key)?))
        })
        .collect();
    let derived = resting.iter().filter(|(.., known)| known.resource.derived).map(|(.., known)| &known.resource.key).collect();
    let members = last_members(&input.estate.resources, &input.estate.edges, &derived);
    let approved: BTreeSet<&Key> = places(wishes, |wish| wish.change.change == ChangeKind::Retire)
        .filter(|place| !open(place))
        .filter_map(|place| Some(&wishes.get(place)?.change.key))
        .collect();
    let is_kept = |member: &Key| !approved.contains(member) && input.state.records.get(member).is_none_or(|row| row.retired_at.is_none());
    for (place, evidence, known) in resting {
        let resource = &known.resource;
        let scope = match (resource.derived, members.get(&resource.key).map_or(&[][..], Vec::as_slice)) {
            (false, _) => suspect(evidence, &resource.scope()),
            // It entered by recovery: nobody has seen a member of it.
            (true, []) => suspect(evidence, &members_scope(resource)),
            (true, members) => {
                let kept = || members.iter().filter(|(member, _)| is_kept(member)).map(|(_, member)| (member, member.resource.scope()));
                let by_members = kept().find_map(|(member, scope)| suspect(absence(member), &scope));
                by_members.or_else(|| kept().find_map(|(_, scope)| suspect(evidence, &scope)))
            }
        };
        if let Some(scope) = scope {
            scopes.entry(scope).or_default().insert(place);
        }
    }
    let gate = |(scope, stopped): (Scope, BTreeSet<usize>)| Gate {
        guardrail,
        text: match guardrail {
            Guardrail::Receipts => {
                format!("no source covered scope {scope} any more; {} would be retired as asked", count(stopped.len(), "record", "records"))
            }
            _ => {
                format!("scope {scope} lists nothing any more; {} would be retired for absence", count(stopped.len(), "record", "records"))
            }
        },
        share: None,
        limit: None,
        stopped,
    };
    scopes.into_iter().map(gate).collect()
}

/// What the end of a member of a service or fleet rests on.
fn absence(member: &Known) -> Evidence {
    match member.end.as_ref().map(|end| end.cause) {
        Some(EndCause::Disowned) => Evidence::Disowned,
        _ => Evidence::Absence,
    }
}

/// Guardrail 9: creates beyond what the target may hold, the last in order.
fn budget(
    wishes: &[Wish],
    input: &Input<'_>,
    bindings: &BTreeMap<Key, RecordBrief>,
    stopped: &BTreeSet<usize>,
    open: &impl Fn(&usize) -> bool,
) -> Option<Gate> {
    let limit = input.terms.max_records?;
    let passing = |kind| number(places(wishes, move |wish| wish.change.change == kind).filter(|place| !stopped.contains(place)).count());
    let adopted = if input.terms.adopt == Adopt::Match { passing(ChangeKind::Adopt) } else { 0 };
    // What this plan removes makes room in this plan, although it goes last: otherwise the next one would still have something to do.
    let held = existing(input.state, bindings).saturating_add(adopted).saturating_sub(passing(ChangeKind::Purge));
    let creates: Vec<usize> =
        places(wishes, |wish| wish.change.change == ChangeKind::Create).filter(|place| !stopped.contains(place)).collect();
    let wanted = held.saturating_add(number(creates.len()));
    // An approved create takes its place before those that were not asked about.
    let approved = number(creates.iter().filter(|place| !open(place)).count());
    let room = limit.saturating_sub(held).saturating_sub(approved);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let stopped: BTreeSet<usize> = creates.into_iter().filter(open).skip(room).collect();
    if stopped.is_empty() {
        return None;
    }
    let text = format!("the target would hold {wanted} records and may hold {limit} (max_records); {} too many", stopped.len());
    let limit = Some(limit as f64);
    Some(Gate { guardrail: Guardrail::Budget, text, share: None, limit, stopped })
}

/// Guardrail 3 holds more than what it counts: every other change to the same records, and edges that end there, share the fate of the
/// change that was stopped. An edge has one change in a draft, so that a held removal takes nothing with it. No other guardrail has riders.
fn add_riders(gates: &mut [Gate], wishes: &[Wish], open: &impl Fn(&usize) -> bool) {
    if !gates.iter().any(|gate| gate.guardrail == Guardrail::BlastRadius) {
        return;
    }
    let by_record = by_record(wishes);
    for gate in gates.iter_mut().filter(|gate| gate.guardrail == Guardrail::BlastRadius) {
        let records = gate.stopped.iter().filter_map(|place| wishes.get(*place)).filter(|wish| wish.change.relation.is_none());
        let riders = records.filter_map(|wish| by_record.get(&wish.change.key)).flatten().copied().filter(|place| open(place));
        let riders: Vec<usize> = riders.collect();
        gate.stopped.extend(riders);
    }
}

/// All changes to a record and its edges.
fn by_record(wishes: &[Wish]) -> BTreeMap<&Key, Vec<usize>> {
    let mut by_record: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
    for (place, wish) in wishes.iter().enumerate() {
        match &wish.change.relation {
            None => by_record.entry(&wish.change.key).or_default().push(place),
            Some(edge) => {
                by_record.entry(&edge.from).or_default().push(place);
                by_record.entry(&edge.to).or_default().push(place);
            }
        }
    }
    by_record
}

/// A record gives way to its fleet's only together with that. Where a gate stops what makes the fleet's record, the members' ends share the
/// hold, with what ends with them. Where it is not made for another reason (left out, or refused and not to be tried again yet), and
/// where what was approved of them would go without it, they wait: those places are returned. All others note whose record they give way
/// to, so that they are not sent if it is refused in this run.
fn keep_unfolded(
    gates: &mut [Gate],
    wishes: &mut [Wish],
    input: &Input<'_>,
    absent: &BTreeSet<Key>,
    open: &impl Fn(&usize) -> bool,
) -> BTreeSet<usize> {
    let mut waiting = BTreeSet::new();
    let makers: BTreeMap<&Key, usize> = places(wishes, |wish| wish.change.kind == Kind::ScalingGroup && makes_record(wish.change.change))
        .filter_map(|place| Some((&wishes.get(place)?.change.key, place)))
        .collect();
    if makers.is_empty() && absent.is_empty() {
        return waiting;
    }
    let folded: BTreeMap<&Key, &Known> = places(wishes, |wish| wish.evidence == Some(Evidence::Unwanted))
        .filter_map(|place| input.estate.resources.get_key_value(&wishes.get(place)?.change.key))
        .filter(|(_, known)| known.disposition == Disposition::Fold)
        .collect();
    if folded.is_empty() {
        return waiting;
    }
    let placed = lifecycle::placed(input.estate);
    let gate_of = |fleet: &Key| {
        let maker = makers.get(fleet)?;
        gates.iter().position(|gate| gate.stopped.contains(maker))
    };
    let is_refused =
        |fleet: &Key| makers.get(fleet).and_then(|place| wishes.get(*place)).is_some_and(|wish| waits_after_refusal(input, &wish.change));
    let by_record = by_record(wishes);
    let mut riders: Vec<(usize, usize)> = Vec::new();
    let mut gives_way: Vec<(usize, BTreeSet<Key>)> = Vec::new();
    for (key, known) in folded {
        let machines = match known.resource.kind {
            Kind::Instance => vec![key],
            _ => machines_of(input, key),
        };
        let fleets: BTreeSet<&Key> = machines.into_iter().filter_map(|machine| placed.get(machine).copied()).collect();
        let places = || by_record.get(key).into_iter().flatten().copied();
        if let Some(gate) = fleets.iter().find_map(|fleet| gate_of(fleet)) {
            riders.extend(places().filter(|place| open(place)).map(|place| (gate, place)));
            waiting.extend(places().filter(|place| !open(place)));
        } else if fleets.iter().any(|fleet| absent.contains(*fleet) || is_refused(fleet)) {
            waiting.extend(places());
        } else {
            let made: BTreeSet<Key> = fleets.into_iter().filter(|fleet| makers.contains_key(fleet)).cloned().collect();
            gives_way.extend(places().filter(|_| !made.is_empty()).map(|place| (place, made.clone())));
        }
    }
    for (gate, place) in riders {
        if let Some(gate) = gates.get_mut(gate) {
            gate.stopped.insert(place);
        }
    }
    for (place, fleets) in gives_way {
        if let Some(wish) = wishes.get_mut(place) {
            wish.change.gives_way_to = fleets;
        }
    }
    waiting
}

/// Whether a live record of ours stands once it is done that did not before.
fn makes_record(change: ChangeKind) -> bool {
    matches!(change, ChangeKind::Adopt | ChangeKind::Create | ChangeKind::Revive)
}

/// Whether the target refused this very wish, and it is not to be sent again yet.
fn waits_after_refusal(input: &Input<'_>, change: &Change) -> bool {
    let Some(row) = input.state.records.get(&change.key) else { return false };
    let Some(refusal) = row.refusal.as_ref().filter(|refusal| refusal.change == change.id) else { return false };
    row.state == DeliveryState::Parked || refusal.next_try_at.is_some_and(|due| due > input.at)
}

/// The machines that something is attached to.
fn machines_of<'a>(input: &Input<'a>, key: &Key) -> Vec<&'a Key> {
    let start = EdgeId { from: key.clone(), relation: RelationType::LocatedIn, to: key.clone() };
    let own = input.estate.edges.range(start..).map(|(id, _)| id).take_while(|id| id.from == *key);
    own.filter(|id| id.relation == RelationType::AttachedTo).map(|id| &id.to).collect()
}

/// Puts each wish where it belongs: into its first gate's hold, among what waits, or among what may be sent.
fn split(wishes: Vec<Wish>, gates: &[Gate], mut absent: BTreeSet<Key>, waiting: &BTreeSet<usize>, guarded: &mut Guarded) {
    let mut first_gate: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, gate) in gates.iter().enumerate() {
        for place in &gate.stopped {
            first_gate.entry(*place).or_insert(number);
        }
    }
    absent.extend(
        first_gate
            .keys()
            .filter_map(|place| wishes.get(*place))
            .filter(|w| w.change.change == ChangeKind::Create)
            .map(|w| w.change.key.clone()),
    );

    let mut holds: BTreeMap<usize, (Vec<Change>, BTreeSet<usize>)> = BTreeMap::new();
    for (place, wish) in wishes.into_iter().enumerate() {
        if let Some(number) = first_gate.get(&place) {
            let (changes, also) = holds.entry(*number).or_default();
            also.extend(gates.iter().enumerate().filter(|(_, gate)| gate.stopped.contains(&place)).map(|(other, _)| other));
            changes.push(wish.change);
        } else if waiting.contains(&place) {
            // It gives way to a record that is not made now.
        } else if wish.change.relation.as_ref().is_some_and(|edge| absent.contains(&edge.from) || absent.contains(&edge.to)) {
            // It waits for a record that is not made now.
        } else if wish.evidence == Some(Evidence::Proposed) {
            guarded.look_up.insert(wish.change.key);
        } else {
            guarded.changes.push(wish.change);
        }
    }
    for (number, (changes, also)) in holds {
        guarded.holds.extend(gates.get(number).map(|gate| hold(&guarded.target, gate, changes, also.iter().filter_map(|n| gates.get(*n)))));
    }
}

fn hold<'a>(target: &TargetName, gate: &Gate, changes: Vec<Change>, gates: impl Iterator<Item = &'a Gate>) -> Hold {
    let id = hold_id(target, &changes);
    let mut guardrails = BTreeSet::from([gate.guardrail]);
    let mut also = BTreeSet::new();
    let (mut share, mut limit) = (gate.share, gate.limit);
    for other in gates.filter(|other| other.text != gate.text) {
        guardrails.insert(other.guardrail);
        if other.guardrail != gate.guardrail {
            also.insert(other.text.as_str());
            share = share.or(other.share);
            limit = limit.or(other.limit);
        }
    }
    let mut text = gate.text.clone();
    if let Some(first) = also.first() {
        text.push_str("; also ");
        text.push_str(first);
        if also.len() > 1 {
            text.push_str(&format!(" and {} more", also.len() - 1));
        }
    }
    text.push_str(&format!("; to go ahead: `dewpoint holds approve {id}`"));
    Hold { id, target: target.clone(), guardrails: guardrails.into_iter().collect(), text, share, limit, changes }
}

/// See [`HoldId`].
fn hold_id(target: &TargetName, changes: &[Change]) -> HoldId {
    let ids: BTreeSet<Digest> = changes.iter().map(|change| change.id).collect();
    Digest::of_parts(std::iter::once(target.as_str().as_bytes()).chain(ids.iter().map(|id| id.as_bytes().as_slice())))
}

/// Records of ours that stand at the target now, with those that were found there again.
fn existing(state: &TargetState, bindings: &BTreeMap<Key, RecordBrief>) -> u64 {
    let known = state.records.values().filter(|row| row.exists() && !row.contributed).count();
    let is_new = |key: &Key| !state.records.get(key).is_some_and(RecordBrief::exists);
    let found = bindings.iter().filter(|(key, row)| !row.contributed && is_new(key)).count();
    number(known).saturating_add(number(found))
}

fn forecast(input: &Input<'_>, guarded: &Guarded) -> u64 {
    let mut forecast = existing(input.state, &guarded.bindings);
    for change in &guarded.changes {
        match change.change {
            ChangeKind::Create => forecast = forecast.saturating_add(1),
            ChangeKind::Adopt if input.terms.adopt == Adopt::Match => forecast = forecast.saturating_add(1),
            ChangeKind::Purge => forecast = forecast.saturating_sub(1),
            _ => {}
        }
    }
    forecast
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

pub(super) fn places<'a>(wishes: &'a [Wish], is_meant: impl Fn(&Wish) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    wishes.iter().enumerate().filter(move |(_, wish)| is_meant(wish)).map(|(place, _)| place)
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
