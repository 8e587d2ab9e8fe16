//! `ownership`: what has no owner, and which tags would name one.

use serde_json::{Value, json};

use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

const OWNERSHIP: &str = r#"
ownership:
  owner: { tags: [owner], values: { ann: ann@example.com } }
lifecycle:
  rules:
    - name: builders have no owner of their own
      when: resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "builder"
      set: { attributes: { owner: build team } }
    - name: runners leave no trace
      when: resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "runner"
      do: ignore
    - name: nodes are one record
      when: resource.kind == "instance" && "pool" in resource.tags
      do: fold
      into: resource.tags["pool"]
"#;

/// Machines with owners by tag and by rule, without one and with nearly one; some without a record.
fn world() -> World {
    let world = World::new(OWNERSHIP);
    let tagged = |tags: Value| json!({ "tags": tags });
    let mut inventory = Inventory::new()
        .instance("i-ann", tagged(json!({ "owner": "ANN", "service": "shop" })))
        .instance("i-built", tagged(json!({ "role": "builder" })))
        .instance("i-runner", tagged(json!({ "role": "runner" })))
        .instance("i-node-1", tagged(json!({ "pool": "nodes" })))
        .instance("i-node-2", tagged(json!({ "pool": "nodes" })))
        .instance("i-young", json!({ "created_at": "2026-02-01T00:00:00Z" }))
        .instance("i-near", json!({ "name": "near", "tags": { "Owner": "bob", "service": "shop" } }))
        .group("sg-1", tagged(json!({ "Owner": "bob", "cost_center": "42" })));
    for n in 0..7 {
        inventory = inventory.instance(&format!("i-{n:04}"), tagged(json!({ "owner": " " })));
    }
    world.put(&inventory);
    world.sync_at("2026-02-01T00:05:00Z", 0);
    world
}

#[test]
fn shape() {
    let world = world();
    let report = world.json(&["ownership"], 0);
    assert_eq!(report["schema_version"], 1);
    // Seven blank ones, the near one, Ann's, the builder and the group; not the runner, the nodes, their fleet and the young one.
    assert_eq!(report["cis"], 11);
    let facts = &report["facts"];
    assert_eq!((&facts["owner"]["present"], &facts["owner"]["missing"]), (&json!(2), &json!(9)));
    assert_eq!(facts["owner"]["near"], json!([{ "tag": "Owner", "like": "owner", "cis": 2, "missing": 2 }]));
    assert_eq!(facts["service"], json!({ "present": 2, "missing": 9, "near": [] }));
    assert_eq!(facts["cost_center"]["near"][0]["like"], "cost-center");
    assert_eq!(report["untaggable"], json!({ "scaling_group": 1, "service": 1 }));
    let without = report["without_owner"].as_array().unwrap();
    assert_eq!(without.len(), 9);
    let near = without.iter().find(|ci| ci["key"] == json!(instance_key("i-near"))).unwrap();
    let expected = json!({
        "key": instance_key("i-near"), "kind": "instance", "name": "near", "account": "123456789012", "region": "eu-west-1", "service": "shop",
        "near": ["Owner"],
    });
    assert_eq!(*near, expected);
    assert!(without.iter().any(|ci| ci["key"] == json!(key("security_group", "sg-1"))));
    // What the report calls an owner stands in the record.
    let owners = world.query("cmdb.db", "SELECT value FROM ci_attribute WHERE name = 'owner' ORDER BY 1");
    assert_eq!(owners, [["ann@example.com"], ["build team"]]);
}

#[test]
fn text() {
    let world = world();
    insta::assert_snapshot!(world.run(&["ownership"]).out, @"
    11 CIs, 9 without an owner

    FACT           PRESENT  MISSING
    owner          2        9
    support_group  0        11
    cost_center    0        11
    environment    0        11
    service        2        9

    tags that are nearly those of the configuration, and count for nothing:
      `Owner` is like `owner` in `ownership.owner`: on 2 CIs, 2 without owner
      `cost_center` is like `cost-center` in `ownership.cost_center`: on 1 CI, 1 without cost_center

    not counted: 1 scaling group, 1 service, which carry no tags; a rule can give them an owner (`set: { attributes: { owner: … } }`)

    without an owner in account 123456789012
      1 security group
        sg-1 in eu-west-1, has `Owner`
      8 instances
        i-0000 in eu-west-1
        i-0001 in eu-west-1
        i-0002 in eu-west-1
        i-0003 in eu-west-1
        i-0004 in eu-west-1
        … and 3 more (`-v` shows all)
    ");
    let all = world.run(&["ownership", "-v"]).out;
    assert!(all.contains("    i-0006 in eu-west-1\n") && !all.contains("`-v` shows all"), "{all}");
}

#[test]
fn nothing_is_missing_or_known() {
    let world = World::new("");
    world.put(&Inventory::new().instance("i-1", json!({ "tags": { "owner": "ann" } })));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    insta::assert_snapshot!(world.run(&["ownership"]).out, @"
    1 CI, all with an owner

    FACT           PRESENT  MISSING
    owner          1        0
    support_group  0        1
    cost_center    0        1
    environment    0        1
    service        0        1
    ");
    let unknown = World::new("");
    assert_eq!(unknown.run(&["ownership"]).out, "nothing is known yet: `dewpoint sync` reads the sources\n");
    assert_eq!(unknown.json(&["ownership"], 0)["cis"], 0);
}

#[test]
fn what_no_target_gets_is_not_asked_for() {
    let world = World::new("    include: { kinds: [security_group] }\n");
    let config = std::fs::read_to_string(world.path("dewpoint.yaml")).unwrap();
    let long = "  - name: cmdb\n    kind: local\n    path: cmdb.db\n";
    world.write("dewpoint.yaml", &config.replace("  - { name: cmdb, kind: local, path: cmdb.db }\n", long));
    world.put(&Inventory::new().instances(3).group("sg-1", json!({})));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    assert_eq!(world.json(&["ownership"], 0)["cis"], 1);
}

/// README's YAML about ownership is a configuration, and means what it says.
#[test]
fn readme() {
    let section = include_str!("../../../README.md").split("\n## ").find(|section| section.starts_with("Ownership: ")).unwrap();
    let block = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let world = World::new(block);
    world.put(&Inventory::new().instance("i-1", json!({ "tags": { "owner": "Ann", "env": "PRD" } })));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    let facts = world.query("cmdb.db", "SELECT name, value FROM ci_attribute WHERE name IN ('owner', 'environment') ORDER BY 1");
    assert_eq!(facts, [["environment", "production"], ["owner", "ann@example.com"]]);
}
