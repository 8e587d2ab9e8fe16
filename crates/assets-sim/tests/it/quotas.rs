//! Rates.

use jiff::SignedDuration;
use serde_json::Value;

use crate::support::{World, start};

fn limit(world: &World, operation: &str, limit: u64) {
    world.sim.settings(|settings| {
        settings.limits.by_operation.insert(operation.to_owned(), limit);
    });
}

#[test]
fn an_operation_is_counted_by_caller_and_minute() {
    let world = start();
    limit(&world, "schema_list", 2);
    world.sim.advance(SignedDuration::from_secs(43));
    let list = || world.get("objectschema/list");
    assert_eq!([list().status, list().status], [200, 200]);
    let over = list();
    assert_eq!((over.status, over.header("retry-after"), over.header("x-ratelimit-reset")), (429, "17", "2026-06-01T10:01:00Z"));
    assert_eq!(world.call_as("reader", "GET", "objectschema/list", &Value::Null).status, 200, "another caller");
    assert_eq!(world.get("icon/global").status, 200, "another operation");
    world.sim.settings(|settings| settings.retry_after = false);
    let silent = list();
    assert_eq!((silent.status, silent.header("retry-after"), silent.header("x-ratelimit-reset")), (429, "", ""));
    world.sim.advance(SignedDuration::from_secs(17));
    assert_eq!(list().status, 200);
    assert_eq!(world.sim.counters().by_status[&429], 2);
}

#[test]
fn all_callers_share_a_total() {
    let world = start();
    world.sim.settings(|settings| settings.limits.total = Some(2));
    let status = |user: &str, path: &str| world.call_as(user, "GET", path, &Value::Null).status;
    assert_eq!(status("reader", "objectschema/list"), 200);
    assert_eq!(status("integration", "icon/global"), 200);
    assert_eq!(status("developer", "objectschema/list"), 429);
    world.sim.settings(|settings| *settings = settings.clone().without_limits());
    assert_eq!(status("developer", "objectschema/list"), 200);
}

#[test]
fn what_is_documented_is_the_default() {
    let world = start();
    let statuses: Vec<u16> = (0..1001).map(|_| world.get("icon/global").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1);
    assert_eq!(statuses.last(), Some(&429));
}
