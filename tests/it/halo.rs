//! HaloITSM as the program writes to it.

mod kill;

use dewpoint_halo_sim::{CLIENT_SECRET, Fault, Mishap, Sim, Start, Status, Tenant};
use serde_json::json;

use crate::support::inventory::{ACCOUNT, instance_key, key};
use crate::support::{Inventory, World};

/// A tenant without limits in which all statuses stand: none can be made by its interface.
pub(crate) fn tenant() -> Sim {
    let mut tenant = Tenant::new();
    tenant.statuses.insert(5, Status { name: "Inactive".to_owned() });
    let mut start = Start::new(tenant);
    start.settings.throttle = None;
    Sim::start_with(start).unwrap()
}

/// The target of that tenant, with more keys, each on a line; the secret is in `HALO_SECRET`.
pub(crate) fn target(sim: &Sim, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let id = dewpoint_halo_sim::CLIENT_ID;
    format!(
        "  - name: halo
    kind: haloitsm
    url: {url}
    tenant: acme
    auth: {{ oauth: {{ client_id: {id}, client_secret: env:HALO_SECRET }} }}
    rate: {{ requests_per_minute: 60000 }}
{keys}",
        url = sim.url()
    )
}

#[test]
fn what_went_while_the_ledger_was_lost_goes() {
    let sim = tenant();
    let world = World::empty().with("HALO_SECRET", CLIENT_SECRET);
    world.write("dewpoint.yaml", &format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\ntargets:\n{}", target(&sim, "")));
    world.json(&["bootstrap", "halo"], 0);
    let machines = Inventory::new().group("sg-1", json!({})).group("sg-2", json!({})).instances(3);
    let protected =
        |inventory: Inventory, group: &str| inventory.relation("protected_by", &instance_key("i-0001"), &key("security_group", group));
    world.put(&protected(protected(machines.clone(), "sg-1"), "sg-2"));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    assert_eq!(sim.relationships().len(), 2);
    let kept = sim.relationships();
    std::fs::remove_file(world.path("dewpoint.db")).unwrap();
    world.put(&protected(machines, "sg-1"));
    for at in ["2026-02-02T00:00:00Z", "2026-02-02T01:00:00Z", "2026-02-02T02:00:00Z"] {
        world.sync_at(at, 0);
    }
    let left = sim.relationships();
    assert!(left.len() == 1 && kept.contains(&left[0]), "{left:?}");
    assert_eq!(sim.edit(|tenant| tenant.assets().len()), 5);
    sim.clear_calls();
    world.sync_at("2026-02-02T03:00:00Z", 0);
    assert_eq!(sim.counters().writes, 0);
}

/// Where both ends of an edge are contributed to, nothing could tell a relationship of ours from one of people.
#[test]
fn what_people_relate_stays_where_both_ends_are_theirs() {
    let sim = tenant();
    let world = World::empty().with("HALO_SECRET", CLIENT_SECRET);
    let target = target(&sim, "adopt: contribute");
    world.write("dewpoint.yaml", &format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\ntargets:\n{target}"));
    world.json(&["bootstrap", "halo"], 0);
    sim.edit(|tenant| {
        let mut add = |kind: &str, native_id: &str| {
            let asset_type = tenant.type_named(kind).unwrap();
            tenant.insert(asset_type, "", &[("Name", "by hand"), ("Native ID", native_id), ("Account ID", ACCOUNT)])
        };
        let [group, _] = ["sg-1", "sg-2"].map(|native_id| add("Security Group", native_id));
        let machine = add("Virtual Machine", "i-0000");
        tenant.relate(group, machine, 1);
    });
    let before = sim.relationships();
    let machine = Inventory::new().group("sg-1", json!({})).group("sg-2", json!({})).instances(1);
    let protected =
        |inventory: Inventory, group: &str| inventory.relation("protected_by", &instance_key("i-0000"), &key("security_group", group));
    world.put(&protected(protected(machine.clone(), "sg-1"), "sg-2"));
    let sync = world.sync_at("2026-02-01T00:00:00Z", 0);
    assert!(sync["remarks"].to_string().contains("`relationships`"), "{sync:#}");
    assert_eq!(sim.relationships(), before);
    world.put(&machine);
    for at in ["2026-02-01T01:00:00Z", "2026-02-01T02:00:00Z"] {
        world.sync_at(at, 0);
    }
    assert_eq!(sim.relationships(), before);
    assert_eq!(sim.edit(|tenant| tenant.assets().len()), 3);
}

#[test]
fn owners_are_agents_and_are_found_when_they_come() {
    let sim = tenant();
    let world = World::empty().with("HALO_SECRET", CLIENT_SECRET);
    let keys = "verify_every: 2h\nmapping: { instance: { fields: { Keeper: { value: ci.owner, type: technical_owner } } } }";
    world.write(
        "dewpoint.yaml",
        &format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\ntargets:\n{}", target(&sim, keys)),
    );
    world.json(&["bootstrap", "halo"], 0);
    let owned = |inventory: Inventory, id: &str, owner: &str| inventory.instance(id, json!({ "tags": { "owner": owner } }));
    let machines = owned(owned(Inventory::new(), "i-0000", "otto@acme.example"), "i-0001", "gone@acme.example");
    world.put(&machines);
    let sync = world.sync_at("2026-02-01T00:00:00Z", 0);
    assert!(sync["remarks"].to_string().contains("no agent that we may see, or more than one, is `gone@acme.example`"), "{sync:#}");
    let owners = || {
        sim.edit(|tenant| {
            let machines = tenant.assets().into_iter().map(|asset| asset.members.get("technical_owner_id").and_then(|id| id.as_i64()));
            machines.collect::<Vec<_>>()
        })
    };
    assert_eq!(owners(), [Some(8), None]);
    // They are shown as ids, which is no difference.
    for at in ["2026-02-01T01:00:00Z", "2026-02-01T03:00:00Z", "2026-02-01T06:00:00Z"] {
        sim.clear_calls();
        let quiet = world.sync_at(at, 0);
        assert_eq!(sim.counters().writes, 0, "{quiet:#}");
    }
    sim.edit(|tenant| tenant.agents.get_mut(&9).unwrap().disabled = false);
    for at in ["2026-02-01T09:00:00Z", "2026-02-01T12:00:00Z"] {
        world.sync_at(at, 0);
    }
    assert_eq!(owners(), [Some(8), Some(9)]);
    // People name another one, who is corrected: the field is ours.
    let id = sim.edit(|tenant| tenant.assets()[0].id);
    sim.edit(|tenant| tenant.change(id, |asset| drop(asset.members.insert("technical_owner_id".to_owned(), json!(3)))));
    world.sync_at("2026-02-01T15:00:00Z", 0);
    assert_eq!(owners(), [Some(8), Some(9)]);
}

/// What was taken over keeps people's tag: by ours it is not found.
#[test]
fn a_removal_that_did_not_arrive_is_made_up_for_under_any_tag() {
    let sim = tenant();
    let world = World::empty().with("HALO_SECRET", CLIENT_SECRET);
    let target = target(&sim, "adopt: match\npurge: delete\nverify_every: never");
    let sources = "sources: [{ name: demo, kind: file, path: inventory.json }]";
    world.write("dewpoint.yaml", &format!("{sources}\n{}\ntargets:\n{target}", crate::kill::remote::BELOW));
    world.json(&["bootstrap", "halo"], 0);
    sim.edit(|tenant| {
        let machine = tenant.type_named("Virtual Machine").unwrap();
        tenant.insert(machine, "PC-7", &[("Name", "by hand"), ("Native ID", "i-0000"), ("Account ID", ACCOUNT)])
    });
    world.put(&Inventory::new().instances(2));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    let tags = || sim.edit(|tenant| tenant.assets().into_iter().map(|asset| asset.inventory_number.clone()).collect::<Vec<_>>());
    assert_eq!((tags()[0].as_str(), tags().len()), ("PC-7", 2));
    world.put(&Inventory::new().instances(2).without(&["i-0000"]));
    world.sync_at("2026-02-01T01:00:00Z", 0);
    sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_delete")]);
    world.sync_at("2026-02-01T05:00:00Z", 3);
    assert_eq!(tags().len(), 2);
    sim.faults(Vec::new());
    for at in ["2026-02-01T06:00:00Z", "2026-02-01T09:00:00Z"] {
        world.sync_at(at, 0);
    }
    assert_eq!(tags().len(), 1);
}
