//! What must hold over every history of pulls, good and bad.

#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::{Policy, conclude, confirm, may_follow};
use crate::estate::{Dirty, EndCause, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, Stage};
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::inventory::{EMPTIED_MIN, Observing, derive, emptied, gather, observe};
use crate::lifecycle::Decisions;
use crate::model::attributes::is_volatile;
use crate::model::{EdgeId, Key, Kind, Outcome, Resource};
use crate::ownership::Ownership;
use crate::plan::Reason;
use crate::rules::{Action, Origin, Rule, Settings};
use crate::source::{Presence, Pull};
use crate::testing::{broken, complete_pulls, decide_again, minute, policy, pull, pulls, resource, run, scope};

/// Minutes between two runs.
const STEP: i64 = 10;

pub(crate) fn at_step(step: usize) -> (jiff::Timestamp, i64) {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    (minute(30 + step * STEP), 1 + step)
}

fn live(history: &[Pull]) -> (Estate, Decisions) {
    let mut estate = Estate::default();
    let mut last = Decisions::default();
    for (step, pull) in history.iter().enumerate() {
        let (at, fence) = at_step(step);
        last = run(&mut estate, pull, &policy(), at, fence).2;
    }
    (estate, last)
}

/// What differs between two estates, for a message that can be read.
pub(crate) fn difference(left: &Estate, right: &Estate) -> Option<String> {
    fn of<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(left: &BTreeMap<K, V>, right: &BTreeMap<K, V>) -> Option<String> {
        let differs = left.keys().chain(right.keys()).find(|key| left.get(key) != right.get(key));
        differs.map(|key| format!("{key:?}:\n  {:?}\n  {:?}", left.get(key), right.get(key)))
    }
    of(&left.resources, &right.resources).or_else(|| of(&left.edges, &right.edges)).or_else(|| of(&left.scopes, &right.scopes))
}

pub(crate) fn is_clean(dirty: &Dirty) -> bool {
    dirty.resources.is_empty() && dirty.edges.is_empty() && dirty.scopes.is_empty() && dirty.journal.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incomplete_scopes_take_nothing(history in pulls(1..5)) {
        let (mut estate, _) = live(&history);
        let before = estate.clone();
        let (_, fence) = at_step(history.len());
        // A day later: every timer has run down.
        let (_, _, decisions) = run(&mut estate, &broken(&history[history.len() - 1]), &policy(), minute(3000), fence);
        prop_assert_eq!(&decisions.proposed, &BTreeMap::new());
        for (key, old) in &before.resources {
            let new = &estate.resources[key];
            prop_assert!(new.missing <= old.missing, "{key} was counted absent");
            if old.end.is_none() && let Some(end) = &new.end {
                prop_assert_eq!(end.cause, EndCause::Stated, "{} was retired", key);
            }
            for name in old.resource.attributes.keys() {
                prop_assert!(new.resource.attributes.contains_key(name), "{key} lost {name}");
            }
            for name in old.resource.tags.keys() {
                prop_assert!(new.resource.tags.contains_key(name), "{key} lost tag {name}");
            }
        }
        for id in before.edges.keys() {
            prop_assert!(estate.edges.contains_key(id), "{id:?} was removed");
        }
    }

    #[test]
    fn the_same_pull_twice_is_one_pull(history in pulls(1..5)) {
        let (mut estate, first) = live(&history);
        estate.dirty = Dirty::default();
        let before = estate.clone();
        let step = history.len() - 1;
        let (at, fence) = at_step(step);
        let (_, _, second) = run(&mut estate, &history[step], &policy(), at, fence);
        prop_assert_eq!(difference(&estate, &before), None);
        prop_assert!(is_clean(&estate.dirty), "{:?}", estate.dirty);
        prop_assert_eq!(second, first);
    }

    #[test]
    fn order_and_source_of_the_input_do_not_matter(history in pulls(2..4), swapped in any::<bool>(), seed in any::<u64>()) {
        let (mut whole, _) = live(&history[..history.len() - 1]);
        let mut split = whole.clone();
        let last = &history[history.len() - 1];
        let (at, fence) = at_step(history.len() - 1);
        let (_, _, decisions) = run(&mut whole, last, &policy(), at, fence);

        let account = |pull: &Pull, first: bool| {
            let belongs = |account: &str| account.starts_with('1') == first;
            let mut resources: Vec<_> = pull.resources.values().filter(|r| belongs(r.account.as_str())).map(|r| crate::model::Resource::clone(r)).collect();
            let mut relations: Vec<_> = pull.relations.values().filter(|r| r.from.as_str().contains(":1111") == first).cloned().collect();
            shuffle(&mut resources, seed);
            shuffle(&mut relations, seed);
            let mut receipts: Vec<_> =
                pull.receipts.iter().filter(|(s, _)| belongs(s.account.as_str())).map(|(s, r)| (s.clone(), r.outcome)).collect();
            shuffle(&mut receipts, seed);
            crate::testing::pull(receipts, resources, relations)
        };
        let names = if swapped { ["b", "a"] } else { ["a", "b"] };
        let names = names.map(|name| name.parse::<crate::model::SourceName>().expect("a name"));
        let pulls = BTreeMap::from([(names[0].clone(), Ok(account(last, true))), (names[1].clone(), Ok(account(last, false)))]);
        let (gathered, coverage) = gather(pulls, names).expect("no overlap");
        let observing = Observing { at, fence: Fence(fence), narrow: false, coverage: &coverage };
        let _ = observe(&mut split, gathered, &observing);
        let _ = derive(&mut split, &Ownership::default(), &observing);
        prop_assert_eq!(decide_again(&mut split, &policy(), at), decisions);
        prop_assert_eq!(&split.resources, &whole.resources);
        prop_assert_eq!(&split.edges, &whole.edges);
        prop_assert_eq!(&split.dirty.journal, &whole.dirty.journal);
    }

    #[test]
    fn what_is_written_stands_for_all(history in pulls(1..6)) {
        let mut stored = Estate::default();
        for (step, pull) in history.iter().enumerate() {
            let (at, fence) = at_step(step);
            let mut estate = stored.clone();
            estate.settle();
            let _ = run(&mut estate, pull, &policy(), at, fence);
            store(&mut stored, &estate);
            let mut loaded = stored.clone();
            loaded.settle();
            prop_assert_eq!(difference(&loaded, &estate), None);
        }
    }

    #[test]
    fn an_older_pull_after_a_newer_changes_nothing(history in complete_pulls(2..3)) {
        let (mut estate, _) = live(&history);
        estate.dirty = Dirty::default();
        let before = estate.clone();
        let (at, _) = at_step(1);
        let _ = run(&mut estate, &history[0], &policy(), at, 1);
        prop_assert_eq!(difference(&estate, &before), None);
        prop_assert!(is_clean(&estate.dirty), "{:?}", estate.dirty);
    }

    #[test]
    fn a_retirement_is_proposed_when_and_only_when_its_gates_are_passed(history in pulls(3..9)) {
        let mut estate = Estate::default();
        let mut sightings: BTreeMap<Key, (u32, usize)> = BTreeMap::new();
        for (step, pull) in history.iter().enumerate() {
            let (at, fence) = at_step(step);
            let (_, _, decisions) = run(&mut estate, pull, &policy(), at, fence);
            for (key, known) in estate.resources.iter().filter(|(_, known)| !known.resource.derived) {
                let is_complete = pull.receipts.proves_absence(&known.resource.scope());
                let (count, seen) = sightings.entry(key.clone()).or_insert((0, step));
                if pull.resources.contains_key(key) {
                    (*count, *seen) = (0, step);
                } else if is_complete {
                    *count += 1;
                }
                let passes = is_complete && *count >= 2 && step - *seen >= 2 && known.end.is_none();
                prop_assert_eq!(decisions.proposed.contains_key(key), passes, "{} at step {}", key, step);
            }
            // Half of the look-ups are answered; the others fail.
            let answers: BTreeMap<_, _> = decisions.proposed.into_keys().step_by(2).map(|key| (key, Presence::Gone)).collect();
            let asked: Vec<Key> = answers.keys().filter(|key| !key.is_derived()).cloned().collect();
            let confirmed = confirm(&mut estate, answers, at, Fence(fence));
            prop_assert!(asked.iter().all(|key| confirmed.retired.contains(key)));
            let again = decide_again(&mut estate, &policy(), at);
            prop_assert!(asked.iter().all(|key| !again.proposed.contains_key(key)));
        }
    }

    #[test]
    fn undoing_the_journal_gives_every_earlier_view(history in pulls(2..6)) {
        let mut estate = Estate::default();
        let mut views = Vec::new();
        for (step, pull) in history.iter().enumerate() {
            let (at, fence) = at_step(step);
            let _ = run(&mut estate, pull, &policy(), at, fence);
            views.push((estate.dirty.journal.len(), view(&estate), estate.edges.keys().cloned().collect::<BTreeSet<_>>()));
        }
        for (length, resources, edges) in views {
            let (mut now, mut now_edges) = (view(&estate), estate.edges.keys().cloned().collect::<BTreeSet<_>>());
            for entry in estate.dirty.journal[length..].iter().rev() {
                undo(entry, &mut now, &mut now_edges);
            }
            now.retain(|key, _| resources.contains_key(key));
            now_edges.retain(|id| resources.contains_key(id.proving_end()) || edges.contains(id));
            prop_assert_eq!(&now, &resources);
            prop_assert_eq!(&now_edges, &edges);
        }
    }
}

/// Something that happens to a scope of eight machines; masks say to which.
#[derive(Debug, Clone)]
enum Event {
    Listing(Outcome, u8),
    LookUp { gone: u8, present: u8 },
    Recovery(u8),
    Conclusion(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![4 => Just(Outcome::Complete), 1 => Just(Outcome::Truncated), 1 => Just(Outcome::Denied)];
    // Whole and empty listings are the interesting ones.
    let mask = || prop_oneof![2 => Just(0_u8), 2 => Just(u8::MAX), 1 => any::<u8>()];
    prop_oneof![
        4 => (outcome, mask()).prop_map(|(outcome, mask)| Event::Listing(outcome, if outcome == Outcome::Denied { 0 } else { mask })),
        2 => (mask(), mask()).prop_map(|(gone, present)| Event::LookUp { gone, present: present & !gone }),
        1 => mask().prop_map(Event::Recovery),
        1 => mask().prop_map(Event::Conclusion),
    ]
}

/// A policy of rules over what random estates hold.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let conditions = [
        r#"resource.kind == "instance""#,
        r#"resource.kind == "instance" && resource.state == "stopped""#,
        r#"resource.kind == "instance" && group != null"#,
        r#"resource.kind == "volume""#,
        r#"resource.kind == "scaling_group""#,
        "resource.age > duration(\"30m\")",
    ];
    let one = (prop::sample::select(conditions.to_vec()), 0..5_usize).prop_map(|(when, action)| {
        let expression = |text: &str, wanted| Expression::compile(text, &Vocabulary::rules(), wanted).expect("an expression");
        let into = || Some(Box::new(expression("resource.region", Wanted::Text)));
        let action = [Action::Record, Action::Defer, Action::Ignore, Action::Fold { into: None }, Action::Fold { into: into() }]
            .into_iter()
            .nth(action);
        Rule {
            name: when.to_owned(),
            origin: Origin::Configuration,
            when: expression(when, Wanted::Condition),
            action,
            set: Settings::default(),
        }
    });
    proptest::collection::vec(one, 0..4).prop_map(|rules| Policy { rules: rules.into_iter().collect(), ..policy() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stages_follow_each_other_as_they_may(history in proptest::collection::vec((pulls(1..2), any_policy()), 1..6)) {
        let mut estate = Estate::default();
        for (step, (pulls, policy)) in history.iter().enumerate() {
            let (at, fence) = at_step(step);
            estate.dirty = Dirty::default();
            let (_, _, decisions) = run(&mut estate, &pulls[0], policy, at, fence);
            let answers = decisions.proposed.into_keys().step_by(2).map(|key| (key, Presence::Gone)).collect();
            let _ = confirm(&mut estate, answers, at, Fence(fence));
            for entry in &estate.dirty.journal {
                let Some(change) = entry.fields.get("stage") else { continue };
                let of = |value: &serde_json::Value| value.as_str().and_then(|word| word.parse::<Stage>().ok()).expect("a stage");
                prop_assert!(may_follow(of(&change.from), of(&change.to)), "{}: {change:?}", entry.key);
                prop_assert!(!entry.cause.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(256), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_listings_close_and_open_the_gate_of_an_emptied_scope(events in proptest::collection::vec(event(), 2..12)) {
        let here = scope("111111111111", "eu-west-1", Kind::Instance);
        let machines: Vec<Resource> = (0..8).map(|n| resource(&here, &format!("i-{n}"))).collect();
        let of = |mask: u8| machines.iter().enumerate().filter(move |(n, _)| mask & (1 << n) != 0).map(|(_, machine)| machine.clone());
        let mut estate = Estate::default();
        for (step, event) in events.into_iter().enumerate() {
            let (at, fence) = at_step(step);
            let was_emptied = emptied(&estate, &here).is_some();
            let alive = estate.resources.values().filter(|known| !known.is_ended()).count();
            let mut want = was_emptied;
            match event {
                Event::Listing(outcome, mask) => {
                    let _ = run(&mut estate, &pull([(here.clone(), outcome)], of(mask), []), &policy(), at, fence);
                    want = match (outcome, mask) {
                        (Outcome::Complete, 0) => was_emptied || alive >= EMPTIED_MIN,
                        (Outcome::Complete, _) => false,
                        _ => was_emptied,
                    };
                }
                Event::LookUp { gone, present } => {
                    let gone = of(gone).map(|machine| (machine.key, Presence::Gone));
                    let present = of(present).map(|machine| (machine.key.clone(), Presence::Present(Box::new(machine))));
                    let _ = confirm(&mut estate, gone.chain(present).collect(), at, Fence(fence));
                    let _ = decide_again(&mut estate, &policy(), at);
                }
                Event::Recovery(mask) => {
                    for machine in of(mask).filter(|machine| !estate.resources.contains_key(&machine.key)).collect::<Vec<_>>() {
                        let known = Known { recovered: true, ..Known::new(machine, at, Fence(fence)) };
                        estate.resources.insert(known.resource.key.clone(), known);
                    }
                }
                Event::Conclusion(mask) => {
                    let reason = Reason { rule: "test".to_owned(), text: "it ends".to_owned() };
                    for machine in of(mask) {
                        let _ = conclude(&mut estate, &machine.key, EndCause::Absent, &reason, at);
                    }
                }
            }
            prop_assert_eq!(emptied(&estate, &here).is_some(), want, "at step {}", step);
        }
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for index in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (index + 1);
        items.swap(index, other);
    }
}

pub(crate) fn store(stored: &mut Estate, estate: &Estate) {
    fn copy<K: Ord + Clone, V: Clone>(keys: &BTreeSet<K>, from: &BTreeMap<K, V>, to: &mut BTreeMap<K, V>) {
        for key in keys {
            match from.get(key) {
                Some(value) => to.insert(key.clone(), value.clone()),
                None => to.remove(key),
            };
        }
    }
    copy(&estate.dirty.resources, &estate.resources, &mut stored.resources);
    copy(&estate.dirty.edges, &estate.edges, &mut stored.edges);
    copy(&estate.dirty.scopes, &estate.scopes, &mut stored.scopes);
}

pub(crate) type View = BTreeMap<Key, BTreeMap<String, Value>>;

pub(crate) fn view(estate: &Estate) -> View {
    estate.resources.iter().map(|(key, known)| (key.clone(), flat(&known.resource))).collect()
}

fn flat(resource: &Resource) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let mut put = |name: String, value: Option<Value>| value.map(|value| flat.insert(name, value));
    put("name".to_owned(), resource.name.clone().map(Value::from));
    put("state".to_owned(), resource.state.clone().map(Value::from));
    put("created_at".to_owned(), resource.created_at.map(|time| time.to_string().into()));
    for (name, value) in resource.attributes.iter().filter(|(name, _)| !is_volatile(resource.kind, name)) {
        put(format!("attributes.{name}"), Some(value.clone()));
    }
    for (name, value) in &resource.tags {
        put(format!("tags.{name}"), Some(value.clone().into()));
    }
    flat
}

pub(crate) fn undo(entry: &JournalEntry, view: &mut View, edges: &mut BTreeSet<EdgeId>) {
    match entry.entry {
        JournalKind::Observed | JournalKind::Reborn => {
            let Some(fields) = view.get_mut(&entry.key) else { return };
            for (name, FieldChange { from, .. }) in &entry.fields {
                let is_fact = ["name", "state", "created_at"].contains(&name.as_str()) || name.contains('.');
                match from {
                    _ if !is_fact => {}
                    Value::Null => drop(fields.remove(name)),
                    from => drop(fields.insert(name.clone(), from.clone())),
                }
            }
        }
        JournalKind::Related => {
            for (name, change) in &entry.fields {
                let Some((relation, to)) = name.split_once(" to ") else { continue };
                let id =
                    EdgeId { from: entry.key.clone(), relation: relation.parse().expect("a relation"), to: to.parse().expect("a key") };
                if change.from.is_null() {
                    edges.remove(&id);
                } else {
                    edges.insert(id);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_generator_reaches_the_interesting_ends() {
    // Guards the properties above against a generator that never retires, defers or freezes anything.
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..40 {
        let history = pulls(3..9).new_tree(&mut runner).expect("a history").current();
        let (estate, decisions) = live(&history);
        reached.extend(estate.resources.values().filter_map(|known| known.end.as_ref()).map(|end| end.cause.as_str()));
        reached.extend(estate.resources.values().map(|known| known.stage.as_str()));
        reached.extend(estate.dirty.journal.iter().map(|entry| entry.entry.as_str()));
        reached.extend((!decisions.proposed.is_empty()).then_some("proposed"));
        reached.extend((!decisions.frozen.is_empty()).then_some("frozen"));
        reached.extend((!decisions.revivals_to_confirm.is_empty()).then_some("revival to confirm"));
        reached.extend(history.iter().any(|pull| pull.receipts.iter().any(|(_, r)| r.outcome == Outcome::Truncated)).then_some("cut"));
    }
    for end in ["stated", "deferred", "active", "inactive", "missing", "retired", "proposed", "frozen", "revival to confirm", "cut"]
        .into_iter()
        .chain(["observed", "related", "absent", "decided", "reborn"])
    {
        assert!(reached.contains(end), "no history reached `{end}`: {reached:?}");
    }
}
