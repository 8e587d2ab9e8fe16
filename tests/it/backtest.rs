//! `dewpoint rules backtest`: the past through the rules as they stand, and through others.

use serde_json::{Value, json};

use crate::support::inventory::instance_key;
use crate::support::{Inventory, World};

const TIMERS: &str = "lifecycle: { defaults: { min_age: 0s, retire_after: 30m, min_dwell: 0s } }\n";

const OTHER: &str = r#"lifecycle:
  defaults: { min_age: 0s, retire_after: 6h, min_dwell: 0s }
  rules:
    - name: build agents leave no trace
      when: '"role" in resource.tags && resource.tags["role"] == "ci-runner"'
      do: ignore
    - name: kept for long
      when: resource.name == "absent"
      set: { retire_after: 12h }
"#;

fn agent() -> Value {
    json!({ "name": "agent", "tags": { "role": "ci-runner" } })
}

/// Three hours: a build agent that lives for twenty minutes, and a machine that no listing shows for an hour.
fn lived() -> World {
    let world = World::new(TIMERS);
    let stays = || Inventory::new().instance("i-stays", json!({}));
    let absent = |inventory: Inventory| inventory.instance("i-absent", json!({ "name": "absent" }));
    for (at, inventory) in [
        ("2026-01-01T10:00:00Z", absent(stays())),
        ("2026-01-01T10:20:00Z", absent(stays()).instance("i-agent", agent())),
        ("2026-01-01T10:40:00Z", stays()),
        ("2026-01-01T11:00:00Z", stays()),
        ("2026-01-01T11:20:00Z", stays()),
        ("2026-01-01T11:40:00Z", absent(stays())),
    ] {
        world.put(&inventory);
        world.sync_at(at, 0);
    }
    world
}

/// The same configuration as the world's, with other rules.
fn put_other(world: &World) {
    let own = std::fs::read_to_string(world.path("dewpoint.yaml")).unwrap();
    world.write("other.yaml", &own.replace(TIMERS, OTHER));
}

#[test]
fn the_rules_as_they_stand() {
    let world = lived();
    let document = world.json(&["rules", "backtest", "--since", "2026-01-01T10:00:00Z"], 0);
    assert_eq!(document["runs"], 6);
    assert_eq!(document["since"], "2026-01-01T10:00:00Z");
    assert_eq!(document["until"], "2026-01-01T11:40:00Z");
    assert_eq!(
        document["current"]["records"],
        json!({ "before": 0, "created": 3, "retired": 2, "retired_by_rule": 0, "revived": 1, "after": 2, "by_kind": { "instance": 2 } })
    );
    assert_eq!(document["current"]["retired_and_seen_again"], json!([instance_key("i-absent")]));
    let short_lived = json!([instance_key("i-absent"), instance_key("i-agent")]);
    assert_eq!(document["current"]["created_and_retired_within_a_day"], short_lived);
    assert_eq!(document["current"]["rules"], json!([{ "name": "default", "decided": 3, "matched": 3, "failed": 0 }]));
    assert_eq!(document["against"], Value::Null);
    assert_eq!(document["differences"], json!([]));
    // What was replayed is what is there.
    assert_eq!(world.json(&["list", "--stage", "active"], 0)["cis"].as_array().unwrap().len(), 2);
}

#[test]
fn other_rules_beside_them() {
    let world = lived();
    put_other(&world);
    let before = world.query("dewpoint.db", "SELECT count(*), max(id) FROM journal");
    let document = world.json(&["rules", "backtest", "--against", "other.yaml"], 0);
    let against = &document["against"];
    assert_eq!(against["file"], "other.yaml");
    assert_eq!(
        against["records"],
        json!({ "before": 0, "created": 2, "retired": 0, "retired_by_rule": 0, "revived": 0, "after": 2, "by_kind": { "instance": 2 } })
    );
    assert_eq!(against["avoided"], json!({ "deferred": 0, "folded": 0, "ignored": 1 }));
    assert_eq!(
        against["rules"],
        json!([
            { "name": "build agents leave no trace", "decided": 1, "matched": 1, "failed": 0 },
            { "name": "kept for long", "decided": 0, "matched": 1, "failed": 0 },
            { "name": "default", "decided": 2, "matched": 2, "failed": 0 },
        ])
    );
    let [difference] = document["differences"].as_array().unwrap().as_slice() else { panic!("{document:#}") };
    assert_eq!((&difference["key"], &difference["differing"]), (&json!(instance_key("i-agent")), &json!("avoided")));
    assert_eq!(world.query("dewpoint.db", "SELECT count(*), max(id) FROM journal"), before, "a replay writes nothing");
    // As README gives it.
    let command = "rules backtest --since 14d --against other.yaml";
    assert!(include_str!("../../README.md").contains(&format!("`dewpoint {command}`")));
    let args: Vec<&str> = command.split(' ').collect();
    insta::assert_snapshot!(world.run(&args).out, @r"
    6 syncs from 2026-01-01T10:00:00Z to 2026-01-01T11:40:00Z, replayed without guardrails

                                      AS IT STANDS  other.yaml
    records before                    0             0
    created                           3             2
    revived                           1             0
    retired                           2             0
    retired by a rule                 0             0
    records after                     2             2
      instance                        2             2
    avoided: deferred                 0             0
    avoided: folded                   0             0
    avoided: ignored                  0             1
    created and retired within a day  2             0
    retired and seen again            1             0
    frozen by a rule that failed      0             0

    RULE (DECIDED/MATCHED/FAILED)  AS IT STANDS  other.yaml
    build agents leave no trace    -             1/1/0
    kept for long                  -             0/1/0
    default                        3/3/0         2/2/0

    1 resource's records differ:
      avoided: instance aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-agent (agent), from record (default) to ignore (build agents leave no trace)
    ");
}

#[test]
fn a_stretch_of_the_past() {
    let world = lived();
    // Half an hour before the last sync; the agent is gone by then.
    let document = world.json(&["rules", "backtest", "--since", "30m"], 0);
    assert_eq!((&document["runs"], &document["since"]), (&json!(2), &json!("2026-01-01T11:20:00Z")));
    assert_eq!(document["current"]["records"]["before"], 1);
    assert_eq!(document["current"]["records"]["revived"], 1);
    assert_eq!(document["current"]["retired_and_seen_again"], json!([]));
}

#[test]
fn what_cannot_be_replayed() {
    let world = World::new(TIMERS);
    world.put(&Inventory::new().instances(1));
    let ran = world.run(&["rules", "backtest"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no sync is in the ledger yet"), "{}", ran.err);
    world.sync_at("2026-01-01T10:00:00Z", 0);
    let ran = world.run(&["rules", "backtest", "--since", "2026-01-02T00:00:00Z"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no sync since 2026-01-02T00:00:00Z is in the ledger"), "{}", ran.err);
    let ran = world.run(&["rules", "backtest", "--since", "two weeks"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("expected a duration such as `15m`"), "{}", ran.err);
    world.write("other.yaml", "lifecycle: { rules: [ { name: a, when: nonsense, do: ignore } ] }");
    let ran = world.run(&["rules", "backtest", "--against", "other.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("other.yaml:1:"), "{}", ran.err);
}
