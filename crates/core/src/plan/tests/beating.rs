//! The heartbeat, by a target whose clock of records runs from its deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::testing::*;
use super::super::*;
use crate::estate::{End, EndCause, Fence, KnownScope};
use crate::model::{Key, Kind, Outcome, Receipt};

const HALF_HOUR: i64 = 1800;
const DAY_LONG: Duration = Duration::from_secs(86_400);

/// A listing of everything in the world, at the world's time.
fn list(world: &mut World, outcome: Outcome) {
    let (now, fence) = (world.now, Fence(world.estate.scopes.values().map(|scope| scope.fence.0).max().unwrap_or(1) + 2));
    let scopes: BTreeSet<_> = world.estate.resources.values().map(|known| known.resource.scope()).collect();
    let is_complete = outcome == Outcome::Complete;
    for scope in scopes {
        let before = world.estate.scopes.get(&scope).cloned();
        let source: crate::model::SourceName = "aws".parse().unwrap();
        let receipt = Receipt { source: source.clone(), outcome, count: None, error: None, extra: serde_json::Map::new() };
        let known = KnownScope {
            source,
            receipt,
            fence,
            at: now,
            complete_at: if is_complete { Some(now) } else { before.as_ref().and_then(|scope| scope.complete_at) },
            complete_fence: if is_complete { fence } else { before.map_or(Fence(0), |scope| scope.complete_fence) },
            accepted: None,
            retire: false,
            emptied: false,
        };
        world.estate.scopes.insert(scope, known);
    }
    // Of a listing that was cut short this is what it has shown by then.
    if matches!(outcome, Outcome::Complete | Outcome::Truncated) {
        for known in world.estate.resources.values_mut().filter(|known| known.missing == 0) {
            (known.last_seen, known.fence) = (now, fence);
        }
    }
}

/// The beats that are due now, and what a ledger makes of them.
fn beat(world: &mut World, last_run: Option<Timestamp>, max: usize) -> Beats {
    let pace = Pace { every: DAY_LONG, last_run, max };
    let due = world.input(|input| beats(input, &BTreeSet::new(), &pace));
    for beat in &due.due {
        world.state.records.get_mut(&beat.key).unwrap().beat_at = Some(world.now);
    }
    due
}

fn names(beats: &Beats) -> Vec<&str> {
    beats.due.iter().map(|beat| beat.key.as_str().rsplit('/').next().unwrap()).collect()
}

/// A world of so many records, all delivered now.
fn cold(count: usize) -> World {
    let mut world = World::new();
    for number in 0..count {
        world.add(&format!("i-{number:03}"), Kind::Instance);
    }
    list(&mut world, Outcome::Complete);
    world.sync();
    world
}

fn pass(world: &mut World, seconds: i64) -> Timestamp {
    let before = world.now;
    world.now += SignedDuration::from_secs(seconds);
    before
}

#[test]
fn a_beat_names_the_record_and_the_time_of_the_sighting() {
    let mut world = cold(1);
    pass(&mut world, hours(13));
    list(&mut world, Outcome::Complete);
    let seen_at = world.now;
    pass(&mut world, 60);
    let beats = beat(&mut world, Some(at(0)), 10);
    let (key, row) = (key("i-000"), world.row("i-000"));
    assert_eq!(beats.due.len(), 1);
    assert_eq!((&beats.due[0].key, beats.due[0].seen_at, &beats.due[0].class), (&key, seen_at, &row.class));
    assert_eq!(beats.due[0].record, row.addressed(&key).unwrap());
    assert_eq!(world.plan().changes, [], "a beat is no change, and causes none");
}

#[test]
fn nothing_is_beaten_within_half_of_the_interval() {
    let mut world = cold(3);
    for seconds in [0, HALF_HOUR, hours(12) - 1] {
        world.now = at(seconds);
        list(&mut world, Outcome::Complete);
        assert_eq!(beat(&mut world, Some(at(seconds - HALF_HOUR)), 100), Beats::default());
    }
    world.now = at(hours(30));
    list(&mut world, Outcome::Complete);
    assert_eq!(beat(&mut world, Some(at(hours(29))), 100).due.len(), 3, "late ones all go at once");
    pass(&mut world, hours(11));
    list(&mut world, Outcome::Complete);
    assert_eq!(beat(&mut world, Some(at(0)), 100), Beats::default(), "a beat counts as a write does");
}

#[test]
fn what_no_complete_listing_shows_is_not_beaten() {
    let mut world = cold(5);
    world.now = at(hours(25));
    // Denied and cut short: whatever they show, no complete listing has shown it since.
    for outcome in [Outcome::Denied, Outcome::Truncated] {
        list(&mut world, outcome);
        assert_eq!(beat(&mut world, Some(at(0)), 100), Beats::default(), "{outcome}");
    }
    list(&mut world, Outcome::Complete);
    world.known("i-000").missing = 1;
    world.known("i-001").recovered = true;
    world.known("i-002").end = Some(End { at: at(0), cause: EndCause::Stated });
    world.state.records.get_mut(&key("i-003")).unwrap().contributed = true;
    assert_eq!(names(&beat(&mut world, Some(at(0)), 100)), ["i-004"]);
}

#[test]
fn a_sighting_before_a_gap_is_beaten_with_its_own_time() {
    let mut world = cold(1);
    world.now = at(hours(2));
    list(&mut world, Outcome::Complete);
    world.now = at(hours(25));
    list(&mut world, Outcome::Truncated);
    assert_eq!(beat(&mut world, Some(at(0)), 100).due[0].seen_at, at(hours(2)));
    world.now = at(hours(50));
    list(&mut world, Outcome::Denied);
    assert_eq!(beat(&mut world, Some(at(0)), 100), Beats::default(), "nothing was seen since");
}

#[test]
fn what_this_run_writes_is_not_beaten_as_well() {
    let mut world = cold(3);
    world.now = at(hours(25));
    list(&mut world, Outcome::Complete);
    let changing = key("i-001");
    world.state.records.get_mut(&key("i-002")).unwrap().state = DeliveryState::Parked;
    let pace = Pace { every: DAY_LONG, last_run: None, max: 100 };
    let due = world.input(|input| beats(input, &BTreeSet::from([&changing]), &pace));
    assert_eq!(names(&due), ["i-000"]);
}

#[test]
fn what_the_budget_leaves_out_is_late() {
    let mut world = cold(10);
    world.now = at(hours(25));
    list(&mut world, Outcome::Complete);
    let first = beat(&mut world, Some(at(hours(24))), 4);
    assert_eq!((first.due.len(), first.overdue, first.late), (4, 4, 6));
    assert_eq!((first.late_after(4), first.late_after(1), first.late_after(0)), (6, 9, 10));
    let second = beat(&mut world, Some(at(hours(24))), 100);
    assert_eq!((second.due.len(), second.overdue, second.late), (6, 6, 0));
}

#[test]
fn a_clock_that_jumps_beats_nothing_twice() {
    let mut world = cold(4);
    world.now = at(hours(40));
    list(&mut world, Outcome::Complete);
    assert_eq!(beat(&mut world, Some(at(0)), 100).due.len(), 4);
    // Back again, with runs in between that lie in the future.
    for (now, last_run) in [(hours(1), hours(40)), (hours(20), hours(40)), (hours(51), hours(20))] {
        world.now = at(now);
        list(&mut world, Outcome::Complete);
        assert_eq!(beat(&mut world, Some(at(last_run)), 100), Beats::default(), "at {now}");
    }
    world.now = at(hours(53));
    list(&mut world, Outcome::Complete);
    assert_eq!(beat(&mut world, Some(at(hours(60))), 100), Beats::default(), "no time has passed since the last run");
    assert_eq!(beat(&mut world, Some(at(hours(52))), 100).due.len(), 1);
}

#[test]
fn a_first_days_beats_are_spread_over_the_second_half() {
    let mut world = cold(240);
    let mut counts = Vec::new();
    for run in 1..=96 {
        let last_run = pass(&mut world, HALF_HOUR);
        list(&mut world, Outcome::Complete);
        counts.push((run, beat(&mut world, Some(last_run), 1000).due.len()));
    }
    let most = counts.iter().map(|(_, count)| *count).max();
    let within = |from: usize, to: usize| counts.iter().filter(|(run, _)| (from..to).contains(run)).map(|(_, count)| count).sum::<usize>();
    assert_eq!((within(1, 24), within(24, 48), most), (0, 240, Some(10)), "{counts:?}");
    assert!(within(48, 96) >= 240, "{counts:?}");
}

proptest! {
    #[test]
    fn every_record_is_beaten_in_time_and_never_twice_within_half(
        deliveries in proptest::collection::vec(0..hours(12), 1..40),
        every_hours in 4_u64..30,
        minutes in prop::sample::select(vec![5_i64, 17, 30, 60]),
    ) {
        let every = Duration::from_secs(every_hours * 3600);
        let (half, step) = (SignedDuration::try_from(every).unwrap() / 2, SignedDuration::from_mins(minutes));
        let mut world = cold(deliveries.len());
        let now = world.now;
        for (row, delivered) in world.state.records.values_mut().zip(&deliveries) {
            // Spread over the last half of the interval: the state that runs in time leave behind.
            row.delivered_at = Some(now - SignedDuration::from_secs(delivered % half.as_secs()));
        }
        let mut last: BTreeMap<Key, Timestamp> =
            world.state.records.iter().map(|(key, row)| (key.clone(), row.delivered_at.unwrap())).collect();
        // What runs are left to a record that has just become due, at least.
        let turns = usize::try_from(half.as_secs() / step.as_secs()).unwrap() - 1;
        let most = last.len().div_ceil(turns.max(1));
        let runs = 3 * i64::try_from(every.as_secs()).unwrap() / step.as_secs();
        for _ in 0..runs {
            let last_run = pass(&mut world, step.as_secs());
            list(&mut world, Outcome::Complete);
            let pace = Pace { every, last_run: Some(last_run), max: usize::MAX };
            let due = world.input(|input| beats(input, &BTreeSet::new(), &pace));
            prop_assert!(due.due.len() <= most.max(1), "{} beats of {} records in one run", due.due.len(), last.len());
            prop_assert_eq!((due.overdue, due.late), (0, 0));
            for beat in &due.due {
                world.state.records.get_mut(&beat.key).unwrap().beat_at = Some(world.now);
                let before = last.insert(beat.key.clone(), world.now).unwrap();
                prop_assert!(world.now.duration_since(before) >= half, "{} twice within half", beat.key);
            }
            for (key, last) in &last {
                let age = world.now.duration_since(*last);
                prop_assert!(age.unsigned_abs() <= every, "{key} waited for {age:#}");
            }
        }
    }
}
