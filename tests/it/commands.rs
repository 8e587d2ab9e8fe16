//! The commands, one by one, as their users run them.

mod explain;
mod history;
mod interrupt;
mod ownership;
mod refusals;
mod shapes;
mod texts;
mod work;

use serde_json::{Value, json};

use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// An estate with twenty machines behind a group, one stopped.
fn estate() -> Inventory {
    let mut inventory = Inventory::new().group("sg-1", json!({ "name": "web" })).instances(20).instance(
        "i-db",
        json!({ "name": "db", "state": "stopped", "tags": { "owner": "dba@example.com", "env": "prod" }, "attributes": { "size": "r6i.large" } }),
    );
    for n in 0..20 {
        inventory = inventory.relation("protected_by", &instance_key(&format!("i-{n:04}")), &key("security_group", "sg-1"));
    }
    inventory
}

/// Native ids of the first `n` of the twenty.
fn first(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("i-{i:04}")).collect()
}

/// A world after its first sync, at midnight.
fn synced() -> World {
    let world = World::new("");
    world.put(&estate());
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world
}

/// A world in which twelve of twenty machines vanished, and their retirement is held; with the hold.
fn held() -> (World, Value) {
    let world = synced();
    let gone = first(12);
    world.put(&estate().without(&gone.iter().map(String::as_str).collect::<Vec<_>>()));
    world.sync_at("2026-02-01T12:00:00Z", 0);
    let sync = world.sync_at("2026-02-02T12:00:00Z", 4);
    let hold = sync["holds"][0].clone();
    (world, hold)
}
