//! Syncs side by side, paused past their lease, and asked to stop.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use super::estate::{Estate, Random};
use super::place::{Database, Place, delivered, ended};

const FIRST: &str = "2026-03-01T00:00:00Z";
const SECOND: &str = "2026-03-01T00:00:01Z";
const THIRD: &str = "2026-03-01T00:00:02Z";
const FOURTH: &str = "2026-03-01T00:00:03Z";

#[test]
fn two_syncs_at_once_on_sqlite() {
    two_syncs_at_once(Database::Sqlite);
}

#[test]
fn two_syncs_at_once_on_postgres() {
    two_syncs_at_once(Database::Postgres);
}

/// Both at once: each waits for the end of a lease, 30 s on the real clock.
#[test]
fn a_sync_that_slept_past_its_lease_writes_nothing_on_either() {
    std::thread::scope(|scope| {
        for database in [Database::Sqlite, Database::Postgres] {
            scope.spawn(move || a_sync_that_slept_past_its_lease_writes_nothing(database));
        }
    });
}

#[test]
fn a_sync_that_is_asked_to_stop_goes_on_next_time_on_sqlite() {
    a_sync_that_is_asked_to_stop_goes_on_next_time(Database::Sqlite, Signal::TERM);
}

#[test]
fn a_sync_that_is_asked_to_stop_goes_on_next_time_on_postgres() {
    a_sync_that_is_asked_to_stop_goes_on_next_time(Database::Postgres, Signal::INT);
}

/// A place with an estate that takes a while to deliver.
fn place(database: Database) -> (Place, Estate) {
    let estate = Estate::new(&mut Random::new(7));
    let place = Place::new(database, 4);
    place.put(&estate);
    (place, estate)
}

#[track_caller]
fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The second one, begun while the first delivers, waits for it and finds nothing left to do; two begun at the same instant as well.
fn two_syncs_at_once(database: Database) {
    let (place, estate) = place(database);
    let mut first = place.start(FIRST);
    place.wait_for_delivery(&mut first);
    let second = place.start(SECOND);
    let (first, second) = (ended(first), ended(second));
    assert_eq!((first.code, second.code), (0, 0), "{}\n{}", first.err, second.err);
    assert!(delivered(&first.document()) > 0);
    assert_eq!(delivered(&second.document()), 0, "{}", second.out);
    place.check(&estate, "one after the other");

    let mut random = Random::new(8);
    let mut estate = estate;
    estate.live_on(&mut random);
    place.put(&estate);
    let (third, fourth) = (place.start(THIRD), place.start(FOURTH));
    let (third, fourth) = (ended(third), ended(fourth));
    assert_eq!((third.code, fourth.code), (0, 0), "{}\n{}", third.err, fourth.err);
    let once = [delivered(&third.document()), delivered(&fourth.document())];
    assert!(once.contains(&0) && once.iter().sum::<u64>() > 0, "{once:?}");
    place.check(&estate, "both at once");
    place.clear();
}

fn a_sync_that_slept_past_its_lease_writes_nothing(database: Database) {
    let (place, estate) = place(database);
    let mut sleeper = place.start(FIRST);
    place.wait_for_delivery(&mut sleeper);
    // Stopped between transactions: within one it would keep the database locked, which is another matter.
    signal(&sleeper, Signal::STOP);
    while !place.is_unlocked() {
        signal(&sleeper, Signal::CONT);
        std::thread::yield_now();
        signal(&sleeper, Signal::STOP);
    }
    assert!(sleeper.try_wait().unwrap().is_none(), "it was stopped before its end");

    // Waits for the lease of a process that is there, and takes over when that has run out.
    let next = place.sync(SECOND, "the sync that takes over");
    assert!(delivered(&next) > 0, "{next:#}");
    place.check(&estate, "after the take-over");
    let history = "SELECT CAST(count(*) AS TEXT) FROM ci_history";
    let before = place.cmdb(history);

    signal(&sleeper, Signal::CONT);
    let sleeper = ended(sleeper);
    assert_eq!(sleeper.code, 3, "{}\n{}", sleeper.out, sleeper.err);
    assert!(sleeper.out.contains("another process took over target `cmdb`"), "{}", sleeper.out);
    assert_eq!(place.cmdb(history), before, "the old lease wrote to the CMDB");
    place.check(&estate, "after the sleeper woke up");
    assert_eq!(delivered(&place.sync(THIRD, "the sync after both")), 0);
    place.check(&estate, "in the end");
    place.clear();
}

fn a_sync_that_is_asked_to_stop_goes_on_next_time(database: Database, what: Signal) {
    let (place, estate) = place(database);
    let mut first = place.start(FIRST);
    place.wait_for_delivery(&mut first);
    signal(&first, what);
    let first = ended(first);
    assert_eq!(first.code, 130, "{}\n{}", first.out, first.err);
    let document = first.document();
    assert_eq!(document["outcome"], "interrupted");
    assert!(!place.is_cut_off(), "the change in hand was finished and recorded");
    let done = delivered(&document);
    assert!(done > 0, "{document:#}");

    let next = place.sync(SECOND, "the sync that goes on");
    let (all, left) = (estate.live_keys().len() + estate.live_edges().len(), delivered(&next));
    assert_eq!(done + left, all as u64, "each change once");
    place.check(&estate, "after going on");
    assert_eq!(delivered(&place.sync(THIRD, "the sync after that")), 0);
    place.clear();
}
