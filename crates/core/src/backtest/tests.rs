#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Difference, Differing, Fate, differences};
use super::{Outcome, Recording, Terms, Turn, replay};
use crate::estate::{Dirty, Disposition, Estate, Fence, Known, Stage};
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::inventory::{Observing, derive, observe, release_edges};
use crate::lifecycle::properties::{any_policy, at_step};
use crate::lifecycle::{Policy, Timers, conclude_moved, confirm, decide, successors};
use crate::model::{Key, Kind, Outcome as Listing, RelationType, Resource, Scope};
use crate::ownership::Ownership;
use crate::rules::{Action, Origin, Rule, Settings};
use crate::source::{Presence, Pull};
use crate::testing::{complete_pulls, coverage, key, policy, pull, pulls, relation, resource, scope};

fn here(kind: Kind) -> Scope {
    scope("111111111111", "eu-west-1", kind)
}

/// One run as `src/run` makes it, with look-ups that agree with the listing; and what the journal keeps of it.
fn live(estate: &mut Estate, pull: &Pull, policy: &Policy, step: usize) -> Turn {
    let (at, fence) = at_step(step);
    let coverage = coverage(pull);
    let observing = Observing { at, fence: Fence(fence), narrow: false, coverage: &coverage };
    estate.dirty = Dirty::default();
    let observed = observe(estate, pull.clone(), &observing);
    let _ = derive(estate, &Ownership::default(), &observing);
    let moved = successors(estate);
    conclude_moved(estate, &moved, at);
    let mut asked = BTreeSet::new();
    loop {
        let decisions = decide(estate, policy, &observing);
        let keys = decisions.proposed.into_keys().chain(decisions.revivals_to_confirm).filter(|key| !asked.contains(key));
        let presence =
            |key: &Key| pull.resources.get(key).map_or(Presence::Gone, |shown| Presence::Present(Box::new(Resource::clone(shown))));
        let answers: BTreeMap<Key, Presence> = keys.map(|key| (key.clone(), presence(&key))).collect();
        if answers.is_empty() {
            break;
        }
        asked.extend(answers.keys().cloned());
        let _ = confirm(estate, answers, at, Fence(fence));
        release_edges(estate, &observed.withheld, &observing);
        let _ = derive(estate, &Ownership::default(), &observing);
    }
    Turn { at, receipts: Some(Arc::new(pull.receipts.clone())), entries: estate.dirty.journal.clone() }
}

fn lived(history: &[Pull], policy: &Policy) -> (Estate, Vec<Turn>, Vec<Estate>) {
    let mut estate = Estate::default();
    let mut between = vec![estate.clone()];
    let turns = history.iter().enumerate().map(|(step, pull)| {
        let turn = live(&mut estate, pull, policy, step);
        between.push(estate.clone());
        turn
    });
    let turns = turns.collect();
    (estate, turns, between)
}

/// What the journal says of one resource, for a message that can be read.
fn told(turns: &[Turn], key: &Key) -> String {
    let entries = turns.iter().flat_map(|turn| &turn.entries).filter(|entry| entry.key == *key);
    entries.map(|entry| format!("\n  {} {} {}: {:?}", entry.at, entry.entry, entry.cause, entry.fields)).collect()
}

fn terms(policy: &Policy) -> Terms {
    Terms { policy: policy.clone(), ownership: Ownership::default(), kinds: Kind::ALL.iter().copied().collect() }
}

fn replayed(history: &[Pull], lived_under: &Policy, replayed_under: &Policy) -> Outcome {
    let (estate, turns, _) = lived(history, lived_under);
    replay(&Recording::rewind(&estate, turns), &terms(replayed_under))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_the_same_rules_the_same_comes_of_it(history in complete_pulls(2..8), policy in any_policy()) {
        let (estate, turns, _) = lived(&history, &policy);
        let outcome = replay(&Recording::rewind(&estate, turns.clone()), &terms(&policy));
        for (key, fate) in &outcome.fates {
            let known = &estate.resources[key];
            prop_assert_eq!(fate.stage, known.stage, "{}{}", key, told(&turns, key));
            // What has ended may go on being listed or not, which the journal does not say, and no record rests on its disposition.
            if known.end.is_none() {
                prop_assert_eq!(fate.disposition, known.disposition, "{}{}", key, told(&turns, key));
            }
        }
        for (key, known) in &estate.resources {
            let is_there = outcome.fates.contains_key(key) || known.stage == Stage::Retired;
            prop_assert!(is_there, "{key} is not in the replay");
        }
    }

    #[test]
    fn it_can_begin_anywhere(history in complete_pulls(4..8), policy in any_policy(), first in 1_usize..4) {
        // How long something had stood when the recording began is not known exactly.
        let mut policy = policy;
        policy.timers.min_dwell = Duration::ZERO;
        let (estate, turns, between) = lived(&history, &policy);
        let place = |known: &Known| (known.resource.account.clone(), known.resource.region.clone());
        let is_unclear = |known: &Known| known.missing > 0 || known.end.is_some();
        let unclear: BTreeSet<_> = between[first].resources.values().filter(|known| is_unclear(known)).map(place).collect();
        let outcome = replay(&Recording::rewind(&estate, turns[first..].to_vec()), &terms(&policy));
        for (key, fate) in outcome.fates.iter().filter(|(key, _)| !key.is_derived() && !unclear.contains(&place(&estate.resources[*key]))) {
            let known = &estate.resources[key];
            prop_assert_eq!(fate.stage, known.stage, "{}{}", key, told(&turns, key));
            // What has ended may go on being listed or not, which the journal does not say, and no record rests on its disposition.
            if known.end.is_none() {
                prop_assert_eq!(fate.disposition, known.disposition, "{}{}", key, told(&turns, key));
            }
        }
    }

    #[test]
    fn gaps_in_the_listings_retire_nothing(history in pulls(2..8), policy in any_policy()) {
        let (estate, turns, _) = lived(&history, &policy);
        let outcome = replay(&Recording::rewind(&estate, turns.clone()), &terms(&policy));
        for (key, fate) in outcome.fates.iter().filter(|(_, fate)| fate.stage == Stage::Retired) {
            let known = &estate.resources[key];
            prop_assert!(known.is_ended() || known.missing > 0, "{}: {:?}, {:?}{}", key, fate, known, told(&turns, key));
        }
    }
}

const KINDS: [Kind; 3] = [Kind::Instance, Kind::ScalingGroup, Kind::Volume];

/// A complete listing of these machines, and of the groups and volumes, if any.
fn shows(resources: &[Resource], edges: &[crate::model::Relation]) -> Pull {
    pull(KINDS.map(|kind| (here(kind), Listing::Complete)), resources.to_vec(), edges.to_vec())
}

fn machine(name: &str) -> Resource {
    resource(&here(Kind::Instance), name)
}

fn machine_key(name: &str) -> Key {
    key(&here(Kind::Instance), name)
}

/// Records at once, missed for twenty minutes and two listings.
fn eager() -> Policy {
    Policy { timers: Timers { min_age: Duration::ZERO, ..policy().timers }, ..policy() }
}

fn rule(when: &str, action: Option<Action>, set: Settings) -> Rule {
    let when_compiled = Expression::compile(when, &Vocabulary::rules(), Wanted::Condition).expect("a condition");
    Rule { name: when.to_owned(), origin: Origin::Configuration, when: when_compiled, action, set }
}

fn with(rules: Vec<Rule>) -> Policy {
    Policy { rules: rules.into_iter().collect(), ..eager() }
}

fn keys(keys: &[Key]) -> BTreeSet<Key> {
    keys.iter().cloned().collect()
}

#[test]
fn what_was_hardly_worth_a_record() {
    let agent = || Resource { name: Some("agent-7".to_owned()), ..machine("i-agent") };
    let stays = machine("i-stays");
    let alone = shows(std::slice::from_ref(&stays), &[]);
    let history = [shows(&[stays, agent()], &[]), alone.clone(), alone.clone(), alone];
    let current = replayed(&history, &eager(), &eager());
    assert_eq!((current.records.created, current.records.retired, current.records.after), (2, 1, 1));
    assert_eq!(current.short_lived, keys(&[machine_key("i-agent")]));

    let ignoring = with(vec![rule(r#"resource.name == "agent-7""#, Some(Action::Ignore), Settings::default())]);
    let against = replayed(&history, &eager(), &ignoring);
    assert_eq!((against.records.created, against.records.retired, against.avoided.ignored), (1, 0, 1));
    assert_eq!(against.short_lived, keys(&[]));
    let [agents, default] = &against.rules[..] else { panic!("two rules: {:?}", against.rules) };
    assert_eq!((agents.decided, agents.matched, agents.failed), (1, 1, 0));
    assert_eq!((default.name.as_str(), default.decided), ("default", 1));
    let [Difference { key, differing, current: Some(before), against: Some(after), .. }] = &differences(&current, &against)[..] else {
        panic!("one difference")
    };
    assert_eq!((key, *differing), (&machine_key("i-agent"), Differing::Avoided));
    assert_eq!((before.rule.as_str(), after.rule.as_str()), ("default", r#"resource.name == "agent-7""#));
}

#[test]
fn what_was_retired_too_early() {
    let one = || machine("i-1");
    let history = [shows(&[one()], &[]), shows(&[], &[]), shows(&[], &[]), shows(&[], &[]), shows(&[one()], &[])];
    let current = replayed(&history, &eager(), &eager());
    assert_eq!(current.too_early, keys(&[machine_key("i-1")]));
    assert_eq!((current.records.retired, current.records.revived, current.records.after), (1, 1, 1));

    let patient = Settings { retire_after: Some(Duration::from_secs(7200)), ..Settings::default() };
    let against = replayed(&history, &eager(), &with(vec![rule(r#"resource.kind == "instance""#, None, patient)]));
    assert_eq!(against.too_early, keys(&[]));
    assert_eq!((against.records.retired, against.records.revived, against.records.after), (0, 0, 1));
    // It decides nothing, and is seen to speak all the same.
    assert_eq!((against.rules[0].decided, against.rules[0].matched), (0, 1));
}

#[test]
fn a_fold_rule_that_comes_later() {
    let group = resource(&here(Kind::ScalingGroup), "asg");
    let members = || ["i-1", "i-2"].map(machine);
    let edges: Vec<_> = members().iter().map(|member| relation(RelationType::MemberOf, &member.key, &group.key)).collect();
    let all: Vec<Resource> = members().into_iter().chain([group]).collect();
    let history = [shows(&all, &edges), shows(&all, &edges), shows(&all, &edges)];
    let (estate, turns, _) = lived(&history, &eager());
    // The first run is before the recording, so that the records stand when the rule comes.
    let recording = Recording::rewind(&estate, turns[1..].to_vec());
    let folding = with(vec![rule("group != null", Some(Action::Fold { into: None }), Settings::default())]);
    let outcome = replay(&recording, &terms(&folding));
    assert_eq!((outcome.records.before, outcome.records.retired_by_rule, outcome.records.after), (3, 2, 1));
    assert_eq!(outcome.records.by_kind, BTreeMap::from([(Kind::ScalingGroup, 1)]));
    assert_eq!(outcome.rules[0].decided, 2);

    // What is folded now had no record then.
    let outcome = replayed(&history, &folding, &eager());
    assert_eq!((outcome.records.created, outcome.records.retired_by_rule, outcome.avoided.folded), (3, 0, 0));
}

#[test]
fn a_resource_looks_as_it_did_then() {
    let sized = |size: &str| {
        let mut machine = machine("i-1");
        machine.attributes.insert("size".to_owned(), size.into());
        machine.tags.insert("env".to_owned(), size.to_uppercase());
        machine
    };
    let history = [shows(&[sized("small")], &[]), shows(&[sized("small")], &[]), shows(&[sized("large")], &[])];
    let condition = r#"resource.kind == "instance" && resource.size == "small" && resource.tags["env"] == "SMALL""#;
    let ignoring = with(vec![rule(condition, Some(Action::Ignore), Settings::default())]);
    let outcome = replayed(&history, &eager(), &ignoring);
    assert_eq!(outcome.rules[0].decided, 1);
    let fate = &outcome.fates[&machine_key("i-1")];
    assert_eq!((fate.has_record, fate.disposition, fate.rule.as_str()), (true, Disposition::Record, "default"));
}

#[test]
fn a_machine_that_moves_keeps_its_record() {
    let lives = |name: &str| {
        let mut machine = machine(name);
        machine.attributes.insert("life".to_owned(), "one".into());
        machine
    };
    let history = [shows(&[lives("i-old")], &[]), shows(&[lives("i-new")], &[]), shows(&[lives("i-new")], &[])];
    let outcome = replayed(&history, &eager(), &eager());
    assert_eq!((outcome.records.created, outcome.records.retired, outcome.records.after), (1, 0, 1));
}

#[test]
fn only_kinds_that_a_target_takes_are_counted() {
    let disk = resource(&here(Kind::Volume), "vol-1");
    let history = [shows(&[machine("i-1"), disk.clone()], &[]), shows(&[machine("i-1"), disk], &[])];
    let (estate, turns, _) = lived(&history, &eager());
    let terms = Terms { kinds: BTreeSet::from([Kind::Volume]), ..terms(&eager()) };
    let outcome = replay(&Recording::rewind(&estate, turns), &terms);
    assert_eq!((outcome.records.created, outcome.fates.len()), (1, 1));
}

#[test]
fn a_rule_that_fails_freezes_and_is_counted() {
    let history = [shows(&[machine("i-1")], &[]), shows(&[machine("i-1")], &[])];
    let failing = with(vec![rule(r#"resource.tags["none"] == "x""#, Some(Action::Ignore), Settings::default())]);
    let outcome = replayed(&history, &eager(), &failing);
    assert_eq!((outcome.frozen, outcome.rules[0].failed, outcome.records.created), (1, 1, 0));
    assert!(matches!(&outcome.fates[&machine_key("i-1")], Fate { had_record: false, stage: Stage::Deferred, .. }));
}

#[test]
fn default_is_counted_at_any_time_as_rules_are() {
    let tagged = |name: &str, tag: &str| {
        let mut machine = machine(name);
        machine.tags.insert(tag.to_owned(), String::new());
        machine
    };
    let plain = machine;
    let ignored = rule(r#""agent" in resource.tags"#, Some(Action::Ignore), Settings::default());
    let slow = Settings { retire_after: Some(Duration::from_secs(7200)), ..Settings::default() };
    let sets = rule(r#""slow" in resource.tags"#, None, slow);
    let rules = with(vec![ignored, sets]);
    let history = [
        shows(&[plain("i-becomes"), tagged("i-ceases", "agent"), tagged("i-always", "agent"), tagged("i-slow", "slow")], &[]),
        shows(&[tagged("i-becomes", "agent"), plain("i-ceases"), tagged("i-always", "agent"), tagged("i-slow", "slow")], &[]),
    ];
    let outcome = replayed(&history, &eager(), &rules);
    let [ignored, _, default] = &outcome.rules[..] else { panic!("three rules: {:?}", outcome.rules) };
    assert_eq!((ignored.decided, default.decided, default.matched), (3, 3, 3));
    // What a rule could not be asked about, nothing decided.
    let failing = with(vec![rule(r#"resource.tags["agent"] == "x""#, Some(Action::Ignore), Settings::default())]);
    let outcome = replayed(&history[..1], &eager(), &failing);
    assert_eq!((outcome.frozen, outcome.rules[0].failed, outcome.rules[1].decided), (2, 2, 2));
}

#[test]
fn what_ended_in_the_first_run_was_decided_about_all_the_same() {
    let closed = |name: &str| Resource { state: Some("terminated".to_owned()), ..machine(name) };
    let history = [shows(&[machine("i-1")], &[]), shows(&[closed("i-1")], &[])];
    let (estate, turns, _) = lived(&history, &eager());
    let outcome = replay(&Recording::rewind(&estate, turns[1..].to_vec()), &terms(&eager()));
    assert_eq!((outcome.records.before, outcome.records.retired, outcome.rules[0].decided), (1, 1, 1));
}

#[test]
fn a_recording_that_begins_before_a_rebirth_begins_with_an_absence() {
    let lives = |life: &str| {
        let mut machine = machine("i-1");
        machine.attributes.insert("life".to_owned(), life.into());
        machine
    };
    let history = [shows(&[lives("one")], &[]), shows(&[], &[]), shows(&[lives("two")], &[])];
    let patient = Policy { timers: Timers { retire_after: Duration::from_secs(86_400), ..eager().timers }, ..eager() };
    let (estate, turns, between) = lived(&history, &patient);
    let known = &between[2].resources[&machine_key("i-1")];
    assert_eq!((known.missing, &known.end), (1, &None));
    let recording = Recording::rewind(&estate, turns[2..].to_vec());
    assert!(recording.shown.is_empty(), "{:?}", recording.shown);
    assert_eq!(recording.start.resources[&machine_key("i-1")].missing, 1);
}
