use serde_json::{Value, json};

use super::super::testing::*;
use super::super::*;
use crate::estate::{Fence, KnownEdge};
use crate::model::{Attributes, EdgeId, Kind, RelationType, Scope};
use crate::target::Attached;

fn attached_to(part: &str, machine: &str) -> EdgeId {
    EdgeId { from: key(part), relation: RelationType::AttachedTo, to: key(machine) }
}

fn attach(world: &mut World, part: &str, machine: &str) {
    let known = KnownEdge { attributes: Attributes::new(), derived: false, extra: serde_json::Map::new(), fence: Fence(1) };
    world.estate.edges.insert(attached_to(part, machine), known);
}

/// A listing of this kind was complete once.
fn listed(world: &mut World, kind: Kind) {
    let scope = Scope { kind, ..world.known("i-1").resource.scope() };
    world.empty(&scope);
    world.estate.scopes.get_mut(&scope).unwrap().emptied = false;
}

/// A machine with two volumes and an interface, none of which were listed to the end yet.
fn world() -> World {
    let mut world = World::new();
    world.target.counts = true;
    world.include.kinds.extend([Kind::Volume, Kind::NetworkInterface]);
    world.add("i-1", Kind::Instance);
    for (name, kind) in [("v-1", Kind::Volume), ("v-2", Kind::Volume), ("n-1", Kind::NetworkInterface)] {
        world.add(name, kind);
        attach(&mut world, name, "i-1");
    }
    world.set("v-1", "size_gib", json!(8));
    world.set("v-2", "size_gib", json!(30));
    world
}

fn counted(world: &World) -> Option<Attached> {
    attachments(&world.estate).of(&key("i-1"))
}

fn disks(world: &World) -> Option<Value> {
    world.row("i-1").fields.as_ref().unwrap().get("disks").map(|field| field.desired.clone())
}

#[test]
fn what_was_never_listed_whole_is_not_counted() {
    let mut world = world();
    assert_eq!(counted(&world), None);
    world.sync();
    assert_eq!(disks(&world), None);
    listed(&mut world, Kind::Volume);
    assert_eq!(counted(&world), Some(Attached { interfaces: None, volumes: Some(2), volume_gib: Some(38) }));
    assert_eq!(words(&world.sync().changes), ["update i-1"]);
    assert_eq!(disks(&world), Some(json!(2)));
    assert!(world.plan().changes.is_empty());
    listed(&mut world, Kind::NetworkInterface);
    assert_eq!(counted(&world).unwrap().interfaces, Some(1));
    // A target that tells of it not is not bothered.
    let mut other = self::world();
    other.target.counts = false;
    other.sync();
    listed(&mut other, Kind::Volume);
    assert!(other.plan().changes.is_empty());
}

#[test]
fn counts_follow_the_edges_and_end_with_the_machine() {
    let mut world = world();
    listed(&mut world, Kind::Volume);
    world.sync();
    assert_eq!(disks(&world), Some(json!(2)));
    // Detached.
    world.estate.edges.remove(&attached_to("v-2", "i-1"));
    assert_eq!(words(&world.sync().changes), ["update i-1", "unrelate v-2>i-1"]);
    assert_eq!((disks(&world), counted(&world).unwrap().volume_gib), (Some(json!(1)), Some(8)));
    // One whose size nobody knows.
    world.add("v-3", Kind::Volume);
    attach(&mut world, "v-3", "i-1");
    assert_eq!(counted(&world), Some(Attached { interfaces: None, volumes: Some(2), volume_gib: None }));
    world.sync();
    // A volume that ended is none, and its last edge no count.
    world.terminate("v-3");
    assert_eq!(words(&world.sync().changes), ["update i-1", "retire v-3"]);
    assert_eq!(disks(&world), Some(json!(1)));
    // What goes with the machine stays in its last counts.
    world.now += days(1);
    world.terminate("v-1");
    world.terminate("i-1");
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["retire i-1", "retire v-1"]);
    assert!(plan.changes.iter().all(|change| !change.fields.contains_key("disks")), "{plan:?}");
    assert!(world.plan().changes.is_empty());
}
