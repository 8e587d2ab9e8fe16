use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::{Disposition, Stage};
use crate::model::Kind;
use crate::target::{Adopt, Purge};

const NAMES: usize = 14;

/// Something that happens in the world between two syncs.
#[derive(Debug, Clone)]
enum Event {
    Resize(usize, u8),
    Unsize(usize),
    Rename(usize, u8),
    Count(usize, u8),
    Stage(usize, Stage),
    Decide(usize, Disposition),
    Propose(usize),
    Vanish(usize),
    Terminate(usize),
    Return(usize),
    Relate(usize, usize),
    Unrelate(usize, usize),
    Map(u8),
    Pass(i64),
    Sync,
}

fn event() -> impl Strategy<Value = Event> {
    let name = || 0..NAMES;
    prop_oneof![
        (name(), 0..3u8).prop_map(|(name, size)| Event::Resize(name, size)),
        name().prop_map(Event::Unsize),
        (name(), 0..3u8).prop_map(|(name, to)| Event::Rename(name, to)),
        (name(), 0..9u8).prop_map(|(name, count)| Event::Count(name, count)),
        (name(), prop::sample::select(vec![Stage::Active, Stage::Inactive, Stage::Missing])).prop_map(|(n, stage)| Event::Stage(n, stage)),
        (name(), prop::sample::select(Disposition::ALL.to_vec())).prop_map(|(name, to)| Event::Decide(name, to)),
        name().prop_map(Event::Propose),
        name().prop_map(Event::Vanish),
        name().prop_map(Event::Terminate),
        name().prop_map(Event::Return),
        (name(), name()).prop_map(|(from, to)| Event::Relate(from, to)),
        (name(), name()).prop_map(|(from, to)| Event::Unrelate(from, to)),
        (0..2u8).prop_map(Event::Map),
        (0..hours(30)).prop_map(Event::Pass),
        Just(Event::Sync),
    ]
}

fn name(number: usize) -> String {
    format!("i-{number:03}")
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Resize(number, size) => world.set(&name(*number), "size", json!(size.to_string())),
        Event::Unsize(number) => world.unset(&name(*number), "size"),
        Event::Rename(number, to) => world.rename(&name(*number), &format!("name-{to}")),
        Event::Count(number, count) => world.set(&name(*number), "member_count", json!(count)),
        Event::Stage(number, stage) if world.known(&name(*number)).end.is_none() => world.known(&name(*number)).stage = *stage,
        Event::Decide(number, to) => world.known(&name(*number)).disposition = *to,
        Event::Propose(number) if world.known(&name(*number)).end.is_none() => world.propose(&name(*number)),
        Event::Vanish(number) if world.known(&name(*number)).end.is_none() => {
            world.propose(&name(*number));
            world.confirm(&name(*number));
        }
        Event::Terminate(number) => world.terminate(&name(*number)),
        Event::Return(number) => world.show_again(&name(*number)),
        Event::Relate(from, to) => world.relate(&name(*from), &name(*to)),
        Event::Unrelate(from, to) => {
            world.estate.edges.remove(&edge(&name(*from), &name(*to)));
        }
        Event::Map(version) => world.target.mapping = *version,
        Event::Pass(seconds) => world.now += jiff::SignedDuration::from_secs(*seconds),
        Event::Sync => {
            world.sync();
        }
        Event::Stage(..) | Event::Propose(..) | Event::Vanish(..) => {}
    }
}

fn world(adopt: Adopt, strangers: &BTreeSet<usize>) -> World {
    let mut world = World::new();
    world.adopt = adopt;
    world.purge = Purge::Delete;
    world.timers.purge_after = Some(days(1));
    // Low enough that guardrails stop something in most of these worlds.
    world.limits.max_retire_min = 3;
    world.max_records = Some(12);
    for number in 0..NAMES {
        let kind = if number % 3 == 0 { Kind::Pool } else { Kind::Instance };
        world.add_in(&name(number), kind, if number % 4 == 0 { "1" } else { "2" });
    }
    for number in strangers {
        world.answers.insert(key(&name(*number)), Ok(vec![stranger(&format!("s-{number}"), &[("notes", json!("people"))])]));
    }
    world
}

fn adoption() -> impl Strategy<Value = Adopt> {
    prop::sample::select(Adopt::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(64)))]

    /// After a plan was applied nothing is left to do but what was held, or waits for what was held.
    #[test]
    fn second_plan_is_empty(events in prop::collection::vec(event(), 0..60), adopt in adoption(), strangers in prop::collection::btree_set(0..NAMES, 0..3)) {
        let mut world = world(adopt, &strangers);
        for event in &events {
            happen(&mut world, event);
        }
        let first = world.sync();
        let second = world.plan();
        prop_assert!(second.changes.is_empty(), "{:?}", words(&second.changes));
        prop_assert!(second.settled.is_empty());
        prop_assert_eq!(&second.look_up, &first.look_up);
        prop_assert_eq!(second.forecast, first.forecast);
        let ids = |plan: &Guarded| plan.holds.iter().map(|hold| hold.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&second), ids(&first));
    }

    /// A stranger's record is touched only where adoption allows, and one that we contribute to never ends by us.
    #[test]
    fn strangers_are_left_alone(events in prop::collection::vec(event(), 0..60), adopt in adoption(), strangers in prop::collection::btree_set(0..NAMES, 1..5)) {
        let mut world = world(adopt, &strangers);
        for event in &events {
            happen(&mut world, event);
            for change in world.plan().changes {
                let record = change.record.as_ref().map(|record| record.0.as_str()).unwrap_or_default();
                if record.starts_with("s-") {
                    prop_assert_ne!(adopt, Adopt::Never);
                    let ends = matches!(change.change, ChangeKind::Retire | ChangeKind::Purge | ChangeKind::Revive);
                    prop_assert!(adopt == Adopt::Match || !ends, "{:?}", change.change);
                    prop_assert!(!change.fields.contains_key("notes"));
                }
                if change.change == ChangeKind::Create {
                    prop_assert!(!strangers.iter().any(|number| key(&name(*number)) == change.key));
                }
            }
        }
    }

    /// A run that was cut short anywhere is completed by the next: the target ends up as if it had never been cut.
    #[test]
    fn a_run_cut_short_is_completed_by_the_next(events in prop::collection::vec(event(), 0..60), cut in 0..40usize) {
        let [mut whole, mut cut_short] = [(); 2].map(|()| world(Adopt::Match, &[3, 4].into()));
        for event in &events {
            happen(&mut whole, event);
            happen(&mut cut_short, event);
        }
        let mut plan = cut_short.plan();
        plan.changes.truncate(cut);
        cut_short.apply(&plan);
        cut_short.sync();
        whole.sync();
        prop_assert!(cut_short.state.records == whole.state.records, "{:?}", words(&plan.changes));
        prop_assert!(cut_short.state.edges == whole.state.edges, "{:?}", words(&plan.changes));
        let [holds, others] = [whole.plan().holds, cut_short.plan().holds];
        prop_assert_eq!(holds, others);
    }

    /// However changes are cut into runs, no more than the limit goes out in a day unasked.
    #[test]
    fn limits_hold_over_any_slicing(slices in prop::collection::vec((1..9usize, 0..hours(6)), 1..30), backwards in any::<bool>()) {
        let mut world = World::with_instances(60);
        let mut next = 0;
        for (count, pause) in slices {
            world.now += jiff::SignedDuration::from_secs(pause);
            for number in next..(next + count).min(60) {
                world.propose(&name(number));
                world.confirm(&name(number));
            }
            next = (next + count).min(60);
            if backwards {
                world.state.tallies.reverse();
            }
            world.sync();
            let start = world.now - WINDOW;
            let retired = world.state.records.values().filter(|row| row.retired_at.is_some_and(|at| at > start)).count();
            let live = world.state.records.values().filter(|row| row.retired_at.is_none_or(|at| at > start)).count();
            prop_assert!(retired < 10 || retired * 5 <= live, "{retired} of {live} within a day");
        }
    }

    /// Only what is wanted goes out, an edge never without its records: the plan can be applied in its order, whatever happened before.
    #[test]
    fn plans_are_sorted_and_of_one_change_for_each_record(events in prop::collection::vec(event(), 0..60)) {
        let mut world = world(Adopt::Never, &BTreeSet::new());
        for event in &events {
            happen(&mut world, event);
            let plan = world.plan();
            let order: Vec<_> = plan.changes.iter().map(|change| (change.change, change.key.clone(), change.relation.clone())).collect();
            prop_assert!(order.is_sorted());
            let subjects: BTreeSet<_> = plan.changes.iter().map(|change| (change.key.clone(), change.relation.clone())).collect();
            prop_assert_eq!(subjects.len(), plan.changes.len());
        }
    }
}
