//! The heartbeat through simulated days: what does not change is told as seen, about once in each of its times.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::rig::{FIRST, Snow, machines};
use crate::support::Inventory;

const MACHINES: usize = 95;
/// The machines and their security group.
const RECORDS: u64 = 96;

/// Minutes after the first sync.
fn at(minutes: i64) -> Timestamp {
    FIRST.parse::<Timestamp>().unwrap() + minutes.minutes()
}

/// When the instance says that each record was last discovered, in minutes after the first sync.
fn discovered(snow: &Snow) -> BTreeMap<String, i64> {
    let records = ["cmdb_ci_vm_instance", "cmdb_ci_compute_security_group"];
    let rows = records.iter().flat_map(|class| snow.values(class, "", &["object_id", "last_discovered"]));
    rows.map(|row| {
        let time: Timestamp = format!("{}Z", row[1].replace(' ', "T")).parse().unwrap();
        let seconds = time.duration_since(at(0)).as_secs();
        assert_eq!(seconds % 60, 0, "no time of a sync: {}", row[1]);
        (row[0].clone(), seconds / 60)
    })
    .collect()
}

/// One sync that finds nothing to do. Gives what it says of the heartbeat.
#[track_caller]
fn beat(snow: &Snow, minutes: i64) -> Value {
    let sync = snow.sync_at(&at(minutes).to_string(), 0);
    assert_eq!((&sync["counts"]["snow"], &sync["outcome"]), (&json!({}), &json!("done")), "{sync:#}");
    sync["heartbeats"]["snow"].clone()
}

/// What came of a day and a half of syncs, one every half hour.
struct Days {
    /// Payloads that were sent.
    payloads: Vec<i64>,
    /// For each record, when it was refreshed.
    refreshed: BTreeMap<String, Vec<i64>>,
}

/// Syncs every half hour for so many hours. `inventory` is what stands there at each.
fn days(snow: &Snow, hours: i64, heartbeat: i64, inventory: impl Fn(i64) -> Inventory) -> Days {
    snow.world.put(&inventory(0));
    snow.sync_at(FIRST, 0);
    let before = snow.inventory();
    let mut last = discovered(snow);
    assert!(last.len() as u64 == RECORDS && last.values().all(|minutes| *minutes == 0), "{last:?}");
    let mut days = Days { payloads: Vec::new(), refreshed: last.keys().map(|id| (id.clone(), Vec::new())).collect() };
    for minutes in (1..=hours * 2).map(|half| half * 30) {
        snow.world.put(&inventory(minutes));
        snow.sim.clear_calls();
        let told = beat(snow, minutes);
        let now = discovered(snow);
        let fresh: Vec<&String> = now.keys().filter(|id| now[*id] != last[*id]).collect();
        assert_eq!((&told["sent"], &told["late"]), (&json!(fresh.len()), &json!(0)), "after {minutes} minutes");
        for id in fresh {
            assert_eq!(now[id], minutes, "{id}: the time of its observation");
            let age = now[id] - last[id];
            assert!((heartbeat * 30..=heartbeat * 60).contains(&age), "{id} after {age} minutes");
            days.refreshed.get_mut(id).unwrap().push(minutes);
        }
        let counters = snow.sim.counters();
        assert_eq!(counters.writes, u64::from(told["sent"] != 0), "one payload, or none");
        assert!(counters.operations.keys().all(|operation| operation == "NO_CHANGE"), "{counters:?}");
        days.payloads.extend((counters.writes > 0).then_some(minutes));
        last = now;
    }
    assert!(snow.inventory() == before, "something was made or removed");
    days
}

/// Nothing is retired, nor read for drift, while these tests last.
fn snow(extra: &str) -> Snow {
    let snow = Snow::new();
    snow.configure(&format!("verify_every: 30d\n{extra}"), "lifecycle: { defaults: { retire_after: 30d } }");
    snow
}

#[test]
fn over_a_day_and_a_half_each_record_is_refreshed_once_in_a_day() {
    let snow = snow("");
    // One machine is gone after six hours.
    let whole = machines(MACHINES);
    let without = machines(MACHINES).without(&["i-0007"]);
    let days = days(&snow, 36, 24, |minutes| if minutes < 6 * 60 { whole.clone() } else { without.clone() });
    for (id, refreshed) in &days.refreshed {
        if id == "i-0007" {
            assert_eq!(refreshed, &Vec::<i64>::new(), "what is not seen is not told as seen");
        } else {
            assert!((1..=2).contains(&refreshed.len()), "{id}: {refreshed:?}");
        }
    }
    // After the first sync all are equally old. From half a day on four are due in each run, which brings the last one's turn within the day, and the next
    // round begins as this one ends.
    let each: Vec<i64> = (24..=72).map(|half| half * 30).collect();
    assert_eq!(days.payloads, each, "payloads");

    // After days without a sync all are due. What only a listing that was cut short shows gets none; the group's listing was whole.
    assert_eq!(beat(&snow, 5 * 24 * 60), json!({ "sent": RECORDS - 1, "late": 0 }));
    snow.world.put(&without.scope("instance", "truncated"));
    let told = snow.sync_at(&at(10 * 24 * 60).to_string(), 3)["heartbeats"]["snow"].clone();
    assert_eq!(told, json!({ "sent": 1, "late": 0 }));
}

#[test]
fn a_shorter_heartbeat_is_kept_as_well() {
    let snow = snow("heartbeat: 4h");
    let days = days(&snow, 12, 4, |_| machines(MACHINES));
    for (id, refreshed) in &days.refreshed {
        assert!((3..=5).contains(&refreshed.len()), "{id}: {refreshed:?}");
    }
    let first: Vec<i64> = (4..=24).map(|half| half * 30).collect();
    assert_eq!(days.payloads, first, "payloads");
}

#[test]
fn where_the_request_budget_is_short_the_report_says_how_many_are_late() {
    let snow = snow("");
    snow.world.put(&machines(MACHINES));
    snow.sync_at(FIRST, 0);
    // A tenth of what fits into the deadline: three requests, which are one payload of ten, the one that asks whose these are, and the one after their place.
    snow.rate(2, "batch_size: 10\ndeadline: 15s");
    for run in 1..=2 {
        snow.sim.clear_calls();
        assert_eq!(beat(&snow, 30 * 60 + run), json!({ "sent": 10, "late": RECORDS - 10 * run.unsigned_abs() }));
        let counters = snow.sim.counters();
        assert_eq!((counters.writes, counters.requests), (1, 1 + 3), "the budget, and where we are: {:?}", snow.sim.calls());
    }
    let ran = snow.text(&["sync", "--at", &at(30 * 60 + 3).to_string()]);
    assert!(ran.out.contains(&format!("heartbeat snow: 10 records told as seen; {} late\n", RECORDS - 30)), "{}", ran.out);
    assert_eq!(discovered(&snow).values().filter(|minutes| **minutes >= 30 * 60).count(), 30);
}
