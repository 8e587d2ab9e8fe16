//! `dewpoint rules`, the presets, and what README says of them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Inventory, World};

const README: &str = include_str!("../../README.md");

const RULES: &str = r#"lifecycle:
  presets: [spot]
  rules:
    - name: build agents leave no trace
      when: '"role" in resource.tags && resource.tags["role"] == "ci-runner"'
      do: ignore
    - name: farms
      when: |
        resource.kind == "instance"
        && "farm" in resource.tags
      do: fold
      into: '"farm/" + resource.tags["farm"]'
      set: { retire_after: 7d, flag: farm, attributes: { owner: ann } }
    - name: spot on the cheap
      when: resource.kind == "instance" && resource.purchase == "spot"
      set: { min_age: 2h }
    - name: aged
      when: resource.tags["age"] == "old"
      do: record
"#;

/// The program's answer about these cases.
#[track_caller]
fn test(world: &World, cases: &str, code: i32) -> Value {
    world.write("cases.yaml", cases);
    world.json(&["rules", "test", "cases.yaml"], code)
}

/// The differences of the only case, as `field: expected, got`.
#[track_caller]
fn differences(case: &str) -> Vec<String> {
    let world = World::new(RULES);
    let case = format!("cases:\n  - name: a\n{}", case.lines().map(|line| format!("    {line}\n")).collect::<String>());
    world.write("cases.yaml", &case);
    let ran = world.run(&["rules", "test", "cases.yaml", "--output", "json"]);
    let document = ran.document();
    let differences = document["cases"][0]["differences"].as_array().unwrap_or_else(|| panic!("{document:#}\n{}", ran.err)).clone();
    assert_eq!(ran.code, i32::from(!differences.is_empty()), "{}", ran.err);
    differences.iter().map(|one| format!("{}: {}, {}", one["field"].as_str().unwrap(), one["expected"], one["got"])).collect()
}

#[track_caller]
fn ok(case: &str) {
    assert_eq!(differences(case), Vec::<String>::new());
}

#[test]
fn show() {
    let world = World::new(RULES);
    insta::assert_snapshot!(world.run(&["rules", "show"]).out, @r#"
    build agents leave no trace  (dewpoint.yaml:9)
      when  "role" in resource.tags && resource.tags["role"] == "ci-runner"
      do    ignore
    farms  (dewpoint.yaml:12)
      when  resource.kind == "instance"
            && "farm" in resource.tags
      do    fold
      into  "farm/" + resource.tags["farm"]
      set   flag farm, retire_after 7d, owner = ann
    spot on the cheap  (dewpoint.yaml:19)
      when  resource.kind == "instance" && resource.purchase == "spot"
      set   min_age 2h
    aged  (dewpoint.yaml:22)
      when  resource.tags["age"] == "old"
      do    record
    spot/late-record  (preset spot)
      when  resource.kind == "instance" && resource.purchase == "spot"
      set   flag spot, min_age 1h
    default
      do    record
      set   min_age 15m, confirm_missing 2, retire_after 24h, purge_after never, min_dwell 1h
    "#);
    let document = world.json(&["rules", "show"], 0);
    assert_eq!(
        document["rules"][1],
        json!({
            "name": "farms",
            "origin": { "preset": null, "file": "dewpoint.yaml", "line": 12, "column": 13 },
            "when": "resource.kind == \"instance\"\n&& \"farm\" in resource.tags\n",
            "do": "fold",
            "into": "\"farm/\" + resource.tags[\"farm\"]",
            "set": { "retire_after": "7d", "flag": "farm", "attributes": { "owner": "ann" } },
        })
    );
    assert_eq!(document["rules"][4]["origin"]["preset"], "spot");
    assert_eq!(document["defaults"]["min_age"], "15m");
    let none = World::new("").json(&["rules", "show"], 0);
    assert_eq!(none["rules"], json!([]));
}

#[test]
fn what_is_expected_is_compared_and_nothing_else() {
    ok(
        "resource: { kind: instance, tags: { role: ci-runner, age: x } }\nexpect: { disposition: ignore, rule: build agents leave no trace, flag: null, fleet: null }",
    );
    ok(
        "resource: { kind: instance, tags: { farm: blue, age: x } }\nexpect: { fleet: farm/blue, flag: farm, timers: { retire_after: 1w, min_age: 15m }, attributes: { owner: ann } }",
    );
    ok("resource: { kind: volume, tags: { age: old } }\nexpect: { rule: aged }");
    ok("resource: { kind: volume, tags: { age: new } }\nexpect: { rule: default, disposition: record }");
    assert_eq!(
        differences(
            "resource: { kind: instance, tags: { farm: blue, age: x } }\nexpect: { disposition: record, fleet: null, flag: farms, rule: default, timers: { retire_after: 1d, purge_after: 3d }, attributes: { owner: bob } }"
        ),
        [
            "disposition: \"record\", \"fold\"",
            "rule: \"default\", \"farms\"",
            "fleet: null, \"farm/blue\"",
            "flag: \"farms\", \"farm\"",
            "timers.retire_after: \"24h\", \"7d\"",
            "timers.purge_after: \"3d\", \"never\"",
            "attributes.owner: \"bob\", \"ann\"",
        ]
    );
}

/// A rule at or before the deciding one that cannot be asked freezes; one behind it does not.
#[test]
fn a_rule_that_fails_freezes() {
    ok("resource: { kind: instance }\nexpect: { disposition: frozen }");
    ok("resource: { kind: instance, tags: { role: ci-runner } }\nexpect: { disposition: ignore }");
    assert_eq!(differences("resource: { kind: instance }\nexpect: { disposition: record }"), ["disposition: \"record\", \"frozen\""]);
}

/// What a rule of the configuration sets is not a preset's to change, though presets stand behind it.
#[test]
fn the_configurations_rules_go_before_presets_in_all() {
    ok(
        "resource: { kind: instance, purchase: spot, age: 90m, tags: { age: x } }\nexpect: { disposition: defer, flag: spot, timers: { min_age: 2h } }",
    );
    let world = World::new(
        "lifecycle:\n  presets: [batch, spot]\n  rules:\n    - { name: ours, when: resource.kind == \"instance\", do: record, set: { flag: ours } }\n",
    );
    let case = "cases:\n  - name: a\n    resource: { kind: instance, purchase: spot, tags: { AWSBatchServiceTag: batch } }\n    expect: { disposition: record, rule: ours, flag: ours, timers: { min_age: 1h } }\n";
    assert_eq!(test(&world, case, 0)["passed"], 1);
}

/// As a sync decides: what has a record is not deferred any more, for age or by a rule.
#[test]
fn age_and_the_ledgers_view_count() {
    let young = "resource: { kind: instance, age: 5m, tags: { age: x } }";
    ok(&format!("{young}\nexpect: {{ disposition: defer }}"));
    ok(&format!("{young}\nci: null\nexpect: {{ disposition: defer }}"));
    ok(&format!("{young}\nci: {{ disposition: record, stage: active }}\nexpect: {{ disposition: record }}"));
    ok(
        "at: 2026-03-01T12:00:00Z\nresource: { kind: instance, created_at: 2026-03-01T11:50:00Z, tags: { age: x } }\nexpect: { disposition: defer }",
    );
    ok("resource: { kind: volume, age: 5m, tags: { age: x } }\nexpect: { disposition: record }");
}

#[test]
fn the_text_says_what_differs() {
    let world = World::new(RULES);
    world.write(
        "cases.yaml",
        "cases:\n  - name: fine\n    resource: { kind: volume, tags: { age: old } }\n    expect: { disposition: record }\n  - name: not so\n    resource: { kind: instance, tags: { farm: red, age: x } }\n    expect: { disposition: ignore, fleet: null }\n  - name: fails\n    resource: { kind: volume }\n    expect: { disposition: record }\n",
    );
    let ran = world.run(&["rules", "test", "cases.yaml"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    ok      fine
    failed  not so
              disposition: expected ignore, got fold
              fleet: expected -, got farm/red
              rules that matched: farms
    failed  fails
              disposition: expected record, got frozen
              rules that matched: none
              rule aged failed: resource has no tag `age`
    3 cases: 2 not as expected
    ");
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let world = World::new(RULES);
    let missing = world.run(&["rules", "test", "nowhere.yaml"]);
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    assert!(missing.err.contains("nowhere.yaml") && missing.err.contains("there is no such file"), "{}", missing.err);
    let document = test(&world, "cases:\n  - name: a\n    resource: { kind: instance, tgas: {} }\n    expect: { rule: farm }\n", 2);
    assert_eq!(document["error"]["code"], "cases");
    let places: Vec<(&Value, &Value, &Value)> =
        document["errors"].as_array().unwrap().iter().map(|error| (&error["line"], &error["column"], &error["help"])).collect();
    assert_eq!(places, [(&json!(3), &json!(33), &json!("did you mean `tags`?")), (&json!(4), &json!(21), &json!("did you mean `farms`?"))]);
}

#[test]
fn a_mistake_in_an_expression_is_told_where_it_stands() {
    let world = World::new(
        "lifecycle:\n  rules:\n    - name: a\n      when: >-\n        resource.kind == \"instance\"\n        && resource.sise == \"t3.micro\"\n      do: ignore\n",
    );
    let document = world.json(&["validate"], 2);
    let error = &document["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&json!(11), &json!(21)), "{document:#}");
    assert_eq!(error["help"], "did you mean `size`?");
    assert!(world.run(&["validate"]).err.contains("dewpoint.yaml:11:21"));
}

/// Allowed, told with its place and the mend by `validate`, and logged by what acts by it.
#[test]
fn a_tag_that_nothing_asked_for_is_warned_of() {
    let world = World::new(
        "lifecycle:\n  rules:\n    - name: a\n      when: >-\n        resource.kind == \"instance\"\n        && resource.tags[\"role\"] == \"ci\"\n      do: fold\n      into: resource.tags[\"role\"] + group.tags[\"pool\"]\n",
    );
    // `into` is asked where `when` holds; without that it would be a mistake to speak of the group.
    world.json(&["validate"], 2);
    let config = std::fs::read_to_string(world.path("dewpoint.yaml")).unwrap();
    world.write("dewpoint.yaml", &config.replace("\"ci\"\n", "\"ci\" && group != null\n"));
    let document = world.json(&["validate"], 0);
    assert_eq!(document["errors"], json!([]));
    let warnings: Vec<(&Value, &Value, &Value)> =
        document["warnings"].as_array().unwrap().iter().map(|warning| (&warning["line"], &warning["column"], &warning["help"])).collect();
    let role = json!("ask for the tag first: `\"role\" in resource.tags && …`");
    let pool = json!("ask for the tag first: `\"pool\" in group.tags && …`");
    assert_eq!(warnings, [(&json!(11), &json!(12), &role), (&json!(13), &json!(13), &role), (&json!(13), &json!(37), &pool)]);
    insta::assert_snapshot!(world.run(&["validate"]).out, @r#"
    dewpoint.yaml is valid: sources estate; targets cmdb
    warning: dewpoint.yaml:11:12: rule `a`: `when`: `resource.tags["role"]` fails on everything without the tag "role"
      help: ask for the tag first: `"role" in resource.tags && …`
    warning: dewpoint.yaml:13:13: rule `a`: `into`: `resource.tags["role"]` fails on everything without the tag "role"
      help: ask for the tag first: `"role" in resource.tags && …`
    warning: dewpoint.yaml:13:37: rule `a`: `into`: `group.tags["pool"]` fails on everything without the tag "pool"
      help: ask for the tag first: `"pool" in group.tags && …`
    "#);
    world.put(&Inventory::new());
    for command in ["plan", "sync"] {
        let ran = world.run(&[command, "--at", "2026-02-01T00:00:00Z"]);
        assert_eq!((ran.code, ran.err.matches(" WARN ").count()), (0, 3), "{}", ran.err);
        assert!(ran.err.contains("dewpoint.yaml:11:12: rule `a`: `when`: `resource.tags[\"role\"]` fails on everything"), "{}", ran.err);
        assert_eq!(world.run(&[command, "-q", "--at", "2026-02-01T00:00:00Z"]).err, "");
    }
    assert_eq!(world.run(&["list"]).err, "");
}

/// The way on fits what went wrong.
#[test]
fn hints_of_rules_that_could_not_be_asked() {
    let rules = [
        (
            "tag",
            r#"resource.kind == "instance" && resource.tags["role"] == "ci""#,
            "",
            r#"let `when` ask first: `"role" in resource.tags && …`"#,
        ),
        ("empty", r#"resource.kind == "instance" && resource.vcpus > 2"#, "", "let `when` ask first: `resource.vcpus != null && …`"),
        (
            "time",
            r#""until" in resource.tags && timestamp(resource.tags["until"]) < now"#,
            "",
            r#"let `when` ask first: `isExpiry(resource.tags["until"]) && expiry(resource.tags["until"])`"#,
        ),
        (
            "number",
            r#""until" in resource.tags && int(resource.tags["until"]) < 3"#,
            "",
            r#"let `when` ask first: `resource.tags["until"].matches("^[0-9]{1,9}$") && …`"#,
        ),
        (
            "element",
            r#"resource.kind == "instance" && has(resource.macs) && resource.macs[1] == "a""#,
            "",
            "let `when` ask first: `size(resource.macs) > 1 && …`",
        ),
        (
            "group",
            r#"resource.kind == "instance""#,
            "do: fold",
            "let `when` ask for the group first: `group != null && …`; or name a fleet by `into`",
        ),
    ];
    for (name, when, action, hint) in rules {
        let action = if action.is_empty() { "set: { flag: x }" } else { action };
        let world = World::new(&format!("lifecycle:\n  rules:\n    - {{ name: {name}, when: '{when}', {action} }}\n"));
        world.put(&Inventory::new().instance("i-1", json!({ "tags": { "until": "lately" }, "attributes": { "macs": ["a"] } })));
        let document = world.json(&["sync", "--at", "2026-02-01T00:00:00Z"], 3);
        let told = document["problems"][0]["hint"].as_str().unwrap();
        assert!(told.starts_with(&format!("{hint}; `dewpoint explain aws:")), "{told}");
        // The offline check knew already.
        assert_eq!(world.json(&["validate"], 0)["warnings"].as_array().unwrap().len(), 1, "{name}");
    }
}

/// Each preset does to realistic resources what its file says, by itself and beside all others.
#[test]
fn presets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(folder.join("config/presets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 9);
    for name in &names {
        // Its rules as if they were the configuration's own: nothing in them is doubted.
        let rules = std::fs::read_to_string(folder.join("config/presets").join(format!("{name}.yaml"))).unwrap();
        let rules = rules.replace(&format!("{name}/"), "own/");
        let own = World::new(&format!("lifecycle:\n{}", rules.lines().map(|line| format!("  {line}\n")).collect::<String>()));
        assert_eq!(own.json(&["validate"], 0)["warnings"], json!([]), "{name}");
        let world = World::new(&format!("lifecycle: {{ presets: [{name}] }}\n"));
        let cases = folder.join("tests/presets").join(format!("{name}.yaml"));
        let ran = world.run(&["rules", "test", cases.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{name}\n{}{}", ran.out, ran.err);
        assert!(ran.out.lines().count() > 2, "{}", ran.out);
    }
}

/// README's YAML blocks about rules: a configuration, and cases that it passes.
#[test]
fn the_examples_of_readme_work() {
    let section = README.split("\n## ").find(|section| section.starts_with("Rules: ")).unwrap();
    let blocks: Vec<&str> = section.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [rules, cases] = blocks.as_slice() else { panic!("{blocks:?}") };
    let world = World::new(rules);
    assert_eq!(test(&world, cases, 0)["passed"], 3);
    assert_eq!(world.json(&["validate"], 0)["warnings"], json!([]));
}

/// The conditions in README's table are valid, none is doubted, and each can be answered of anything.
#[test]
fn the_conditions_of_readme_work() {
    let table = README.split("| condition |").nth(1).unwrap().split("\n\n").next().unwrap();
    let conditions: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split("` |").next()).collect();
    assert!(conditions.len() >= 8, "{conditions:?}");
    let rules: String =
        conditions.iter().enumerate().map(|(n, when)| format!("    - {{ name: r{n}, when: '{when}', set: {{ flag: f{n} }} }}\n")).collect();
    let world = World::new(&format!("lifecycle:\n  rules:\n{rules}"));
    assert_eq!(world.json(&["validate"], 0)["warnings"], json!([]));
    let case = "{ name: a, resource: { kind: instance, name: tmp-42, age: 30m, state: stopped, state_for: 800h, purchase: spot, account: \"123456789012\",
      tags: { env: DEV, kubernetes.io/cluster/a: x, delete-after: 2026-01-01 } }, group: { name: g, max_size: 2 }, at: 2026-01-03T12:00:00Z, expect: { rule: default } }";
    let bare = "{ name: b, resource: { kind: volume, account: \"333333333333\" }, expect: { rule: default, flag: null } }";
    let said = test(&world, &format!("cases:\n  - {case}\n  - {bare}\n"), 0);
    for (case, outcome) in [(0, "matched"), (1, "not_matched")] {
        for (rule, condition) in said["cases"][case]["rules"].as_array().unwrap().iter().zip(&conditions) {
            assert_eq!(rule["outcome"], outcome, "{condition}");
        }
    }
}

/// A sync does what the configuration's rules say.
#[test]
fn a_sync_goes_by_the_rules() {
    let world = World::new(
        "lifecycle:\n  presets: [image-builders]\n  rules:\n    - { name: no agents, when: '\"role\" in resource.tags && resource.tags[\"role\"] == \"ci-runner\"', do: ignore }\n",
    );
    world.put(
        &Inventory::new()
            .instance("i-agent", json!({ "name": "agent", "tags": { "role": "ci-runner" } }))
            .instance("i-baker", json!({ "name": "Packer Builder" }))
            .instance("i-web", json!({ "name": "web" })),
    );
    world.sync_at("2026-02-01T00:00:00Z", 0);
    let names = world.query("cmdb.db", "SELECT name FROM ci WHERE class LIKE '%instance%' ORDER BY name");
    assert_eq!(names, [["web"]]);
    assert_eq!(world.json(&["explain", "i-agent"], 0)["disposition"], "ignore");
}
