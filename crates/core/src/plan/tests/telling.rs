use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::{EstateId, Fence};
use crate::lifecycle::DeferredBy;
use crate::model::Kind;

fn world() -> World {
    let mut world = World::with_instances(12);
    for number in 0..6 {
        world.add(&format!("p-{number}"), Kind::Pool);
    }
    world.relate("p-0", "i-011");
    world.set("i-011", "size", json!("m"));
    world.set("i-011", "owner", json!("x".repeat(70)));
    for number in 0..10 {
        world.terminate(&format!("i-{number:03}"));
    }
    world
}

fn plan(world: &World) -> Plan {
    let guarded = world.plan();
    Plan {
        schema_version: 1,
        taken_at: world.now,
        estate: EstateId("ours".to_owned()),
        config: "c".to_owned(),
        fence: Fence(3),
        changes: guarded.changes,
        holds: guarded.holds,
        deferred: 3,
        deferred_by: DeferredBy { age: 1, rule: 2, frozen: 0 },
        folded: 2,
        ignored: 0,
        forecast: [(guarded.target, guarded.forecast)].into(),
    }
}

#[test]
fn a_plan_reads_well() {
    let world = world();
    let plan = plan(&world);
    let text = render::plan(&plan, &world.estate, false);
    let id = plan.holds[0].id;
    let want = format!(
        "\
cmdb: 6 create, 1 update, 1 relate; 18 records afterwards
  create c_pool p-0: first seen 2026-01-01T00:00:00Z
  create c_pool p-1: first seen 2026-01-01T00:00:00Z
  create c_pool p-2: first seen 2026-01-01T00:00:00Z
  create c_pool p-3: first seen 2026-01-01T00:00:00Z
  create c_pool p-4: first seen 2026-01-01T00:00:00Z
  create … and 1 more: 1 c_pool (`-v` shows all)
  update c_instance i-011: differs from what was last delivered
    owner: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    size: \"m\"
  relate pool p-0 routes_to instance i-011: both ends have a record here
held at cmdb: 10 retire (blast_radius)
  10 of 12 live records would be retired within 24 h (83.3 %); limit: 20 % from 10 on; to go ahead: `dewpoint holds approve {id}`
  retire c_instance i-000: the provider says `terminated`, last seen 2025-12-22T00:00:00Z
    status: \"on\" → \"ended\"
  retire c_instance i-001: the provider says `terminated`, last seen 2025-12-22T00:00:00Z
    status: \"on\" → \"ended\"
  retire c_instance i-002: the provider says `terminated`, last seen 2025-12-22T00:00:00Z
    status: \"on\" → \"ended\"
  retire c_instance i-003: the provider says `terminated`, last seen 2025-12-22T00:00:00Z
    status: \"on\" → \"ended\"
  retire c_instance i-004: the provider says `terminated`, last seen 2025-12-22T00:00:00Z
    status: \"on\" → \"ended\"
  retire … and 5 more: 5 c_instance (`-v` shows all)
1 resource waits for its age
2 resources are deferred by rule
2 resources are folded into fleets
"
    );
    assert_eq!(text, want);
    let verbose = render::plan(&plan, &world.estate, true);
    assert!(!verbose.contains("(`-v`"));
    assert!(verbose.contains("create c_pool p-5: first seen 2026-01-01T00:00:00Z\n    key: aws:arn:aws:ec2:eu-west-1:1:thing/p-5\n"));
    assert!(verbose.contains("    name: \"p-5\"\n"));
}

#[test]
fn nothing_to_do_is_said() {
    let world = World::with_instances(1);
    let mut plan = plan(&world);
    (plan.deferred, plan.deferred_by) = (0, DeferredBy::default());
    plan.folded = 0;
    assert_eq!(render::plan(&plan, &world.estate, false), "cmdb: nothing to do; 1 record afterwards\n");
}

#[test]
fn documents_keep_their_promise() {
    let mut world = world();
    world.estate.resources.retain(|known, _| *known >= key("i-009") && *known < key("p-1"));
    world.limits.max_retire_min = 1;
    world.limits.max_retire_percent = 1;
    let plan = plan(&world);
    let document = serde_json::to_value(document::PlanDocument::new(&plan, &[json!({"outcome": "complete"})])).unwrap();
    let retire = json!({
        "target": "cmdb", "key": key("i-009"), "kind": "instance", "class": "c_instance", "change": "retire",
        "fields": {"status": {"from": "on", "to": "ended"}}, "relation": null,
        "reason": {"rule": "state", "text": "the provider says `terminated`, last seen 2025-12-22T00:00:00Z"},
    });
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["taken_at"], "2026-01-01T00:00:00Z");
    assert_eq!(document["holds"][0]["changes"], json!([retire]));
    assert_eq!(document["holds"][0]["guardrails"], json!(["blast_radius"]));
    assert_eq!(document["holds"][0], document::hold(&plan.holds[0]));
    let relate = json!({"type": "routes_to", "from": key("p-0"), "to": key("i-011")});
    assert_eq!(document["changes"][2]["relation"], relate);
    assert_eq!((&document["deferred"], &document["folded"], &document["ignored"]), (&json!(3), &json!(2), &json!(0)));
    assert_eq!(document["forecast"], json!({"cmdb": 13}));
    assert_eq!(document["receipts"], json!([{"outcome": "complete"}]));
}

#[test]
fn a_saved_plan_is_read_back_as_it_was() {
    let plan = plan(&world());
    let saved = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&saved).unwrap(), plan);
}

#[test]
fn few_lines_tell_of_every_class_by_name() {
    let mut world = World::with_instances(0);
    for number in 0..9 {
        world.add(&format!("i-{number}"), Kind::Instance);
    }
    std::sync::Arc::make_mut(&mut world.add("g-0", Kind::SecurityGroup).resource).name = Some("web".to_owned());
    std::sync::Arc::make_mut(&mut world.add("p-0", Kind::Pool).resource).name = Some("front\nend".to_owned());
    let plan = plan(&world);
    let text = render::plan(&plan, &world.estate, false);
    let told = |line: &str| assert!(text.contains(line), "{line} is not in\n{text}");
    told("  create c_security_group web (g-0): first seen 2026-01-01T00:00:00Z\n");
    told("  create c_pool front\\nend (p-0): first seen");
    told("  create … and 6 more: 6 c_instance (`-v` shows all)\n");
}

#[test]
fn of_a_structure_only_what_differs_is_told() {
    let mut world = World::with_instances(1);
    world.set("i-000", "size", json!({"a": 1, "b": 2}));
    let _ = world.sync();
    world.set("i-000", "size", json!({"a": 1, "b": 3, "c": 4}));
    let text = render::plan(&plan(&world), &world.estate, false);
    assert!(text.contains("    size.b: 2 → 3\n    size.c: 4\n"), "{text}");
}
