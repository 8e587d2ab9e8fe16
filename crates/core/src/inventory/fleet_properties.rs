//! What must hold of folding over every history of pulls.

#![expect(clippy::indexing_slicing, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::estate::{Dirty, Disposition, Estate, Fence, Stage};
use crate::lifecycle::confirm;
use crate::lifecycle::properties::{at_step, difference, is_clean, store, undo, view};
use crate::model::{Account, EdgeId, Key, Kind, Provider, Region, RelationType};
use crate::ownership::Ownership;
use crate::source::{Presence, Pull};
use crate::testing::{broken, complete_pulls, coverage, decide_again, policy, pulls};

/// What rules might say: of each machine nothing, its group, or one of two names.
type Rules = Vec<u8>;

fn rules() -> impl Strategy<Value = Rules> {
    vec(0..5_u8, 7)
}

fn folding(estate: &Estate, rules: &Rules) -> Folding {
    let machines = estate.resources.iter().filter(|(_, known)| known.resource.kind == Kind::Instance);
    let place = |key: &Key| key.as_str().bytes().map(usize::from).sum::<usize>() % rules.len();
    machines
        .filter_map(|(key, known)| {
            Some((key.clone(), fleet(estate, key, &known.resource.account, &known.resource.region, rules[place(key)])?))
        })
        .collect()
}

fn fleet(estate: &Estate, member: &Key, account: &Account, region: &Region, rule: u8) -> Option<Key> {
    match rule {
        0 => None,
        1 | 2 => estate
            .edges
            .keys()
            .find(|id| id.from == *member && id.relation == RelationType::MemberOf && !id.to.is_derived())
            .map(|id| id.to.clone()),
        3 => Key::fleet(Provider::Aws, account, region, "a"),
        _ => Key::fleet(Provider::Aws, account, region, "b: c"),
    }
}

/// One run up to its fleets, under the rules.
fn run(estate: &mut Estate, pull: &Pull, rules: &Rules, step: usize) -> Folded {
    let (at, fence) = at_step(step);
    let coverage = coverage(pull);
    let observing = Observing { at, fence: Fence(fence), narrow: false, coverage: &coverage };
    let _ = observe(estate, pull.clone(), &observing);
    let _ = derive(estate, &Ownership::default(), &observing);
    let folding = folding(estate, rules);
    dispose(estate, &folding);
    let folded = fold(estate, &folding, &observing);
    // Fleets that are new.
    dispose(estate, &folding);
    folded
}

fn dispose(estate: &mut Estate, folding: &Folding) {
    for (key, known) in &mut estate.resources {
        // As good as dependents' dispositions: only whether they are recorded matters here.
        let is_fold = folding.contains_key(key) || (known.resource.kind == Kind::Volume && key.as_str().contains(":1111"));
        let disposition = if is_fold { Disposition::Fold } else { Disposition::Record };
        if known.disposition != disposition {
            known.disposition = disposition;
            estate.dirty.resources.insert(key.clone());
        }
    }
}

fn live(history: &[(Pull, Rules)]) -> Estate {
    let mut estate = Estate::default();
    for (step, (pull, rules)) in history.iter().enumerate() {
        let _ = run(&mut estate, pull, rules, step);
    }
    estate
}

fn under_rules(pulls: impl Strategy<Value = Vec<Pull>>) -> impl Strategy<Value = Vec<(Pull, Rules)>> {
    // Rules change now and then, not in every run.
    (pulls, vec(proptest::option::weighted(0.4, rules()), 9), rules()).prop_map(|(pulls, changes, mut now)| {
        let with = pulls.into_iter().zip(changes).map(|(pull, change)| {
            now = change.unwrap_or_else(|| now.clone());
            (pull, now.clone())
        });
        with.collect()
    })
}

fn is_fleet(estate: &Estate, key: &Key) -> bool {
    key.as_fleet().is_some() || estate.resources.get(key).is_some_and(|known| known.resource.kind == Kind::ScalingGroup)
}

fn fleet_edges(estate: &Estate) -> BTreeSet<EdgeId> {
    let edges = estate.edges.iter().filter(|(id, edge)| edge.derived && (is_fleet(estate, &id.from) || is_fleet(estate, &id.to)));
    edges.map(|(id, _)| id.clone()).collect()
}

/// What can be reached over the service links.
fn reached(estate: &Estate, start: &Key) -> BTreeSet<Key> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start.clone()];
    while let Some(key) = open.pop() {
        for id in estate.edges.keys().filter(|id| id.from == key && matches!(id.relation, RelationType::RoutesTo | RelationType::DependsOn))
        {
            if reached.insert(id.to.clone()) {
                open.push(id.to.clone());
            }
        }
    }
    reached
}

fn live_members(estate: &Estate, rules: &Rules) -> BTreeMap<Key, BTreeSet<Key>> {
    let mut fleets: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    for (member, fleet) in folding(estate, rules) {
        if !estate.resources[&member].is_ended()
            && is_fleet(estate, &fleet)
            && (fleet.is_derived() || estate.resources.contains_key(&fleet))
        {
            fleets.entry(fleet).or_default().insert(member);
        }
    }
    fleets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fleet_is_reached_as_its_members_are(history in under_rules(pulls(1..5)), all in under_rules(complete_pulls(1..5))) {
        for (history, is_complete) in [(history, false), (all, true)] {
            let estate = live(&history);
            let fleets = live_members(&estate, &history[history.len() - 1].1);
            let starts = estate.resources.iter().filter(|(_, known)| matches!(known.resource.kind, Kind::Service | Kind::Pool));
            for (start, _) in starts {
                let reached = reached(&estate, start);
                for (key, _) in estate.resources.iter().filter(|(key, _)| is_fleet(&estate, key)) {
                    let by_members = fleets.get(key).is_some_and(|members| !members.is_disjoint(&reached));
                    if by_members || is_complete {
                        prop_assert_eq!(reached.contains(key), by_members, "from {} to {}", start, key);
                    }
                }
            }
        }
    }

    #[test]
    fn every_edge_of_a_member_is_its_fleets(history in under_rules(pulls(1..5)), all in under_rules(complete_pulls(1..5))) {
        for (history, is_complete) in [(history, false), (all, true)] {
            let estate = live(&history);
            let fleets = live_members(&estate, &history[history.len() - 1].1);
            let of: BTreeMap<&Key, &Key> = fleets.iter().flat_map(|(fleet, members)| members.iter().map(move |member| (member, fleet))).collect();
            let mut wanted = BTreeSet::new();
            for id in estate.edges.keys().filter(|id| id.relation != RelationType::MemberOf) {
                let (from, to) = (of.get(&id.from).copied(), of.get(&id.to).copied());
                let is_shared = id.relation == RelationType::AttachedTo && estate.resources.get(&id.from).is_some_and(|known| known.disposition != Disposition::Record);
                let ends = (from.unwrap_or(&id.from), to.unwrap_or(&id.to));
                if (from.is_some() || to.is_some()) && ends.0 != ends.1 && !is_shared {
                    wanted.insert(EdgeId { from: ends.0.clone(), relation: id.relation, to: ends.1.clone() });
                }
            }
            for id in &wanted {
                prop_assert!(estate.edges.contains_key(id), "{id:?} is lost");
            }
            if is_complete {
                for id in fleet_edges(&estate).iter().filter(|id| id.relation != RelationType::MemberOf) {
                    prop_assert!(wanted.contains(id), "{id:?} is nobody's");
                }
            }
        }
    }

    #[test]
    fn folding_twice_is_folding_once(history in under_rules(pulls(1..5))) {
        let mut estate = live(&history);
        let before = estate.clone();
        let step = history.len() - 1;
        estate.dirty = Dirty::default();
        let (pull, rules) = &history[step];
        let _ = run(&mut estate, pull, rules, step);
        prop_assert_eq!(difference(&estate, &before), None);
        prop_assert!(is_clean(&estate.dirty), "{:?}", estate.dirty);
    }

    #[test]
    fn an_unchanged_estate_stays_as_it_is(history in under_rules(complete_pulls(1..5))) {
        let mut estate = live(&history);
        let (pull, rules) = &history[history.len() - 1];
        // What was not there the first time is absent more often each time; only the fleets are looked at.
        let _ = run(&mut estate, pull, rules, history.len());
        estate.dirty = Dirty::default();
        let _ = run(&mut estate, pull, rules, history.len() + 1);
        let has_members = live_members(&estate, rules);
        let fleets: Vec<&Key> = estate.dirty.resources.iter().filter(|key| has_members.contains_key(*key)).collect();
        let groups: Vec<_> = estate.dirty.journal.iter().filter(|entry| has_members.contains_key(&entry.key)).collect();
        // A group that its listing shows no more is absent more often, and a fleet of which no member is shown was last seen when they were.
        let absent: BTreeSet<&Key> = estate.resources.iter().filter(|(_, known)| known.missing > 0).map(|(key, _)| key).collect();
        let is_absent = |key: &Key| absent.contains(key) || (key.is_derived() && has_members[key].iter().all(|member| absent.contains(member)));
        prop_assert!(fleets.iter().all(|key| is_absent(key)), "{:?}", fleets);
        prop_assert!(groups.is_empty() && estate.dirty.edges.is_empty(), "{:?}", estate.dirty);
    }

    #[test]
    fn incomplete_scopes_take_nothing_from_fleets(history in under_rules(pulls(1..5))) {
        let mut estate = live(&history);
        let before = estate.clone();
        let (pull, rules) = &history[history.len() - 1];
        let had = fleet_edges(&before);
        let _ = run(&mut estate, &broken(pull), rules, history.len());
        for id in &had {
            prop_assert!(estate.edges.contains_key(id), "{id:?} was removed");
        }
        for (key, old) in before.resources.iter().filter(|(key, _)| is_fleet(&before, key)) {
            let new = &estate.resources[key];
            prop_assert!(new.missing <= old.missing, "{key} was counted absent");
            for list in ["sizes", "images", "zones"] {
                let items = |known: &crate::estate::Known| known.resource.attributes.get(list).and_then(|list| list.as_array().cloned()).unwrap_or_default();
                prop_assert!(items(old).iter().all(|item| items(new).contains(item)), "{key} lost {list}");
            }
        }
    }

    #[test]
    fn unfolding_leaves_nothing(history in under_rules(pulls(1..4)), last in complete_pulls(1..2)) {
        let mut estate = live(&history);
        let step = history.len();
        let nothing = vec![0; 7];
        for more in 0..4 {
            let folded = run(&mut estate, &last[0], &nothing, step + more);
            prop_assert_eq!((folded.fleets, folded.members), (0, 0));
            let (at, fence) = at_step(step + more);
            let decisions = decide_again(&mut estate, &policy(), at);
            let gone = decisions.proposed.into_keys().filter(Key::is_derived).map(|key| (key, Presence::Gone)).collect();
            let _ = confirm(&mut estate, gone, at, Fence(fence));
        }
        let lifted: Vec<EdgeId> = fleet_edges(&estate).into_iter().filter(|id| id.relation != RelationType::MemberOf).collect();
        prop_assert_eq!(lifted, vec![]);
        for id in fleet_edges(&estate) {
            prop_assert!(estate.resources[&id.from].is_ended(), "{id:?} is left");
        }
        for (key, known) in &estate.resources {
            if key.as_fleet().is_some() {
                prop_assert_eq!(known.stage, Stage::Retired, "{}", key);
            } else if known.resource.kind == Kind::ScalingGroup {
                let is_member = |id: &&EdgeId| id.to == *key && id.relation == RelationType::MemberOf;
                let of = estate.edges.keys().filter(is_member).filter_map(|id| estate.resources.get(&id.from));
                let has_members = known.missing == 0 && of.clone().any(|member| member.missing == 0 && !member.is_ended());
                let told = known.resource.extra.get("added_by_members");
                let counts_none = |told: &serde_json::Value| told.get("member_count").is_none_or(|count| *count == serde_json::json!(0));
                prop_assert!(told.is_none_or(|told| !has_members && counts_none(told)), "{}", key);
            }
        }
    }

    #[test]
    fn the_order_in_which_members_come_does_not_show(pull in complete_pulls(1..2), rules in rules(), mask in any::<u64>()) {
        let whole = live(&[(pull[0].clone(), rules.clone())]);
        // Some first, then all.
        let mut parts = Estate::default();
        let (at, fence) = at_step(0);
        let coverage = coverage(&pull[0]);
        let observing = Observing { at, fence: Fence(fence), narrow: false, coverage: &coverage };
        let _ = observe(&mut parts, pull[0].clone(), &observing);
        let _ = derive(&mut parts, &Ownership::default(), &observing);
        let all = folding(&parts, &rules);
        dispose(&mut parts, &all);
        let some: Folding = all.iter().enumerate().filter(|(n, _)| mask & (1 << (n % 64)) != 0).map(|(_, (key, fleet))| (key.clone(), fleet.clone())).collect();
        let _ = fold(&mut parts, &some, &observing);
        let _ = fold(&mut parts, &all, &observing);
        prop_assert_eq!(&parts.edges, &whole.edges);
        let view = |estate: &Estate| -> BTreeMap<Key, _> {
            // The fewest that were there were seen by the first half.
            let still = |resource: &crate::model::Resource| resource.attributes.iter().filter(|(name, _)| *name != "member_count_min").map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>();
            estate.resources.iter().map(|(key, known)| (key.clone(), still(&known.resource))).collect()
        };
        prop_assert_eq!(view(&parts), view(&whole));
    }

    #[test]
    fn what_is_written_of_fleets_stands_for_all(history in under_rules(pulls(1..6))) {
        let mut stored = Estate::default();
        for (step, (pull, rules)) in history.iter().enumerate() {
            let mut estate = stored.clone();
            estate.settle();
            let _ = run(&mut estate, pull, rules, step);
            store(&mut stored, &estate);
            let mut loaded = stored.clone();
            loaded.settle();
            prop_assert_eq!(difference(&loaded, &estate), None);
        }
    }

    #[test]
    fn undoing_the_journal_gives_fleets_back_as_they_were(history in under_rules(pulls(2..6))) {
        let mut estate = Estate::default();
        let mut views = Vec::new();
        for (step, (pull, rules)) in history.iter().enumerate() {
            let _ = run(&mut estate, pull, rules, step);
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

    #[test]
    fn an_older_pull_changes_no_fleet(history in under_rules(complete_pulls(2..3))) {
        let rules = history[1].1.clone();
        let mut estate = live(&history);
        let before = estate.clone();
        estate.dirty = Dirty::default();
        let _ = run(&mut estate, &history[0].0, &rules, 0);
        prop_assert_eq!(difference(&estate, &before), None);
        prop_assert!(is_clean(&estate.dirty), "{:?}", estate.dirty);
    }
}

#[test]
fn the_generator_reaches_fleets_of_both_sorts() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..40 {
        let Ok(tree) = under_rules(pulls(3..6)).new_tree(&mut runner) else { continue };
        let estate = live(&tree.current());
        let has = |relation: RelationType, named: bool| {
            fleet_edges(&estate).iter().any(|id| id.relation == relation && (id.from.as_fleet().or(id.to.as_fleet()).is_some() == named))
        };
        for relation in [RelationType::RoutesTo, RelationType::DependsOn, RelationType::ProtectedBy, RelationType::AttachedTo] {
            reached.extend([true, false].into_iter().filter(|named| has(relation, *named)).map(|named| (relation, named)));
        }
        reached.extend(has(RelationType::MemberOf, true).then_some((RelationType::MemberOf, true)));
        let is_lost = estate.resources.iter().any(|(key, known)| key.as_fleet().is_some() && known.missing > 0);
        reached.extend(is_lost.then_some((RelationType::Contains, true)));
    }
    assert_eq!(reached.len(), 10, "{reached:?}");
}
