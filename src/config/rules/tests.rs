//! Rules as they are written: what is refused, with its place; what is meant; presets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::{Config, ConfigErrors, load_str};

/// The smallest configuration; its `lifecycle` stands in front.
const REST: &str = "sources: [{ name: demo, kind: file, path: inventory.json }]\ntargets: [{ name: cmdb, kind: local, path: cmdb.db }]\n";

fn try_load(lifecycle: &str) -> Result<Config, ConfigErrors> {
    load_str("dewpoint.yaml", &format!("lifecycle:\n{lifecycle}\n{REST}"), Path::new("/etc/dewpoint"))
}

fn told(errors: &ConfigErrors) -> String {
    let lines = errors.errors().iter().map(|error| {
        let help = error.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
        format!("{}:{}: {}{help}", error.line, error.column, error.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Errors of a configuration whose rules begin in line 3.
#[track_caller]
fn errors(rules: &str) -> String {
    told(&try_load(&format!("  rules:\n{rules}")).unwrap_err())
}

#[track_caller]
fn load(lifecycle: &str) -> Config {
    try_load(lifecycle).map_err(|errors| errors.render(false)).unwrap()
}

#[test]
fn rules_are_read_in_their_order() {
    let config = load(
        r#"
  presets: [spot, long-stopped]
  rules:
    - name: build agents leave no trace
      when: resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "ci-runner"
      do: ignore
    - name: pools
      when: resource.kind == "instance" && "pool" in resource.tags
      do: fold
      into: '"pool/" + resource.tags["pool"]'
    - name: slow
      when: "true"
      set:
        min_age: 1h
        confirm_missing: 3
        retire_after: 7d
        purge_after: never
        min_dwell: 0s
        flag: slow_1
        attributes: { owner: " ann ", vcpus: 4, private_addresses: [b, a], encrypted: true, launched_at: "2026-01-01T01:00:00+01:00" }"#,
    );
    let names: Vec<&str> = config.lifecycle.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["build agents leave no trace", "pools", "slow", "spot/late-record", "long-stopped/flag"]);
    let rules: Vec<&Rule> = config.lifecycle.rules.iter().collect();
    let [ignore, pools, slow, spot, _] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!(ignore.action.as_ref().map(Action::written), Some((ActionWord::Ignore, None)));
    assert_eq!(pools.action.as_ref().map(Action::written), Some((ActionWord::Fold, Some(r#""pool/" + resource.tags["pool"]"#))));
    assert_eq!((slow.origin, spot.origin), (Origin::Configuration, Origin::Preset("spot")));
    let set = json!({
        "min_age": "1h", "confirm_missing": 3, "retire_after": "7d", "purge_after": "never", "min_dwell": "0s", "flag": "slow_1",
        "attributes": { "owner": "ann", "vcpus": 4, "private_addresses": ["a", "b"], "encrypted": true, "launched_at": "2026-01-01T00:00:00Z" },
    });
    assert_eq!(Json::from(settings_document(&slow.set)), set);
    let place = |name: &str| config.lifecycle.places.get(name).unwrap().to_string();
    assert_eq!(place("pools"), "dewpoint.yaml:8:13");
    assert!(place("spot/late-record").starts_with("config/presets/spot.yaml:"), "{}", place("spot/late-record"));
}

#[test]
fn every_mistake_of_every_rule_is_told_at_once() {
    let told = errors(
        r#"    - name: a
      when: resource.regoin == "eu-west-1"
      do: ignore
    - name: b
      when: >-
        resource.kind == "instance"
        && resource.tgas["x"] == "y"
      do: fold
      into: "\"x/\" + resource.vcpu"
    - name: a
      when: |
        resource.region ==
      do: ignroe
    - name: d
      when: 'resource.name == "it''s" && nope'
    - when: "true"
      do: ignore
      into: '"x"'
    - name: f
      when: "true"
      set: { flag: two words, atributes: {}, attributes: { ower: x, vcpus: many, owner: "" } }
"#,
    );
    insta::assert_snapshot!(told, @r"
    4:22: rule `a`: `when`: `resource` has no field `regoin`
      help: did you mean `region`?
    9:21: rule `b`: `when`: `resource` has no field `tgas`
      help: did you mean `tags`?
    11:32: rule `b`: `into`: `resource` has no field `vcpu`
      help: did you mean `vcpus`?
    12:13: two rules are named `a`: the first in line 3
      help: reports and explanations tell rules apart by name: give each its own
    14:28: rule `a`: `when`: the expression ends too early
    15:11: `lifecycle.rules.a.do`: expected `record`, `defer`, `fold` or `ignore`, found `ignroe`
      help: did you mean `ignore`?
    16:7: rule `d`: it does nothing: expected `do`, `set` or both
      help: add `do:` with one of record, defer, fold, ignore
    17:42: rule `d`: `when`: unknown name `nope`
      help: there are resource, group, ci, now; a text stands in quotes
    18:7: key `name` is missing in `lifecycle.rules[4]`
      help: `name`: Its name, as reports and explanations call it; each rule has its own
    20:7: `into` goes with `do: fold` only
      help: add `do: fold`, or remove `into`
    23:20: `lifecycle.rules.f.set.flag`: `two words` is no flag
      help: a flag is one word of at most 40 letters, digits, `_` and `-`
    23:31: unknown key `atributes` in `lifecycle.rules.f.set`
      help: known here: `attributes`, `confirm_missing`, `flag`, `min_age`, `min_dwell`, `purge_after`, `retire_after`
    23:60: `lifecycle.rules.f.set.attributes.ower`: there is no attribute `ower`
      help: did you mean `owner`?
    23:76: rule `f`: attribute `vcpus` must be a whole number, not negative
    23:89: rule `f`: attribute `owner` must be a text that is not blank
    ");
}

/// Warnings of a configuration whose rules begin in line 3.
#[track_caller]
fn warnings(rules: &str) -> String {
    let config = load(&format!("  rules:\n{rules}"));
    let lines = config.warnings.iter().map(|warning| {
        let help = warning.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
        format!("{}:{}: {}{help}", warning.line, warning.column, warning.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_a_rule_will_hardly_be_meant_to_do_is_warned_of() {
    let told = warnings(
        r#"    - name: machines are not named
      when: '"farm" in resource.tags'
      do: fold
      into: resource.tags["farm"]
      set: { flag: farm }
    - name: no group is asked for
      when: resource.kind == "instance"
      do: fold
    - name: never asked
      when: |
        resource.kind == "instance"
      do: ignore
    - name: still asked of what is no machine
      when: '"farm" in resource.tags'
      do: record
    - name: only sets
      when: resource.kind == "instance"
      set: { flag: seen }
    - name: as it is meant
      when: group != null && group.max_size > 1
      do: fold
    - name: expired
      when: '"expires-at" in resource.tags && timestamp(resource.tags["expires-at"]) < now'
      set: { flag: expired }
    - name: first address
      when: resource.kind == "instance" && resource.private_addresses != null && resource.private_addresses[0] == "10.0.0.1"
      do: record
"#,
    );
    insta::assert_snapshot!(told, @r#"
    4:14: rule `machines are not named`: `do: fold` speaks of machines only, and `when` can hold of other kinds: of those it only sets
      help: say so: `resource.kind == "instance" && …`
    9:13: rule `no group is asked for`: `do: fold` without `into` fails on every machine that is in no scaling group, and freezes it
      help: ask for the group first: `group != null && …`; or name a fleet by `into`
    14:11: rule `never asked`: `do: ignore` never decides: the rule in line 8 has the same `when` and decides first
      help: remove one of the two, or say in `when` what sets them apart
    25:47: rule `expired`: `when`: `timestamp(resource.tags["expires-at"])` fails where the tag's value is no time with seconds and offset
      help: write `isExpiry(resource.tags["expires-at"]) && expiry(resource.tags["expires-at"])`, which takes dates as people write them
    28:82: rule `first address`: `when`: `resource.private_addresses[0]` fails where the list is shorter
      help: ask for its length first: `size(resource.private_addresses) > 0 && …`
    "#);
}

#[test]
fn presets_are_known_by_name_and_listed_once() {
    insta::assert_snapshot!(told(&try_load("  presets: [spott, spot, spot, nothing-like-it]").unwrap_err()), @r"
    2:13: `lifecycle.presets[0]`: expected the name of a preset, found `spott`
      help: did you mean `spot`?
    2:26: `lifecycle.presets`: `spot` is listed twice
      help: remove one of the two
    2:32: `lifecycle.presets[3]`: expected the name of a preset, found `nothing-like-it`
      help: expected `batch`, `databricks`, `emr`, `expiry-tag`, `image-builders`, `kubernetes-nodes`, `long-stopped`, `scaling-group-members` or `spot`
    ");
}

#[test]
fn a_rule_cannot_take_a_presets_rules_name() {
    let rules = "  rules:\n    - { name: spot/late-record, when: \"true\", do: record }";
    load(rules);
    insta::assert_snapshot!(told(&try_load(&format!("  presets: [spot]\n{rules}")).unwrap_err()), @r"
    4:15: a rule of preset `spot` is named `spot/late-record` as well
      help: reports and explanations tell rules apart by name: give it another
    ");
}

#[test]
fn names_are_names() {
    let long = "x".repeat(101);
    let told = errors(&format!(
        "    - {{ name: default, when: \"true\", do: record }}\n    - {{ name: \" \", when: \" \", do: record }}\n    - {{ name: {long}, when: true, do: record }}"
    ));
    insta::assert_snapshot!(told, @r#"
    3:15: `lifecycle.rules.default.name`: no rule can be named `default`
      help: that is what decides where no rule does: give it another name
    4:15: `lifecycle.rules[1].name`: the name of a rule is empty
      help: say what the rule does: its name stands in reports and explanations
    4:26: `lifecycle.rules[1].when`: the expression is empty
      help: write `"true"` for a rule that speaks of everything
    5:15: `lifecycle.rules.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.name`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is no name of a rule
      help: a name has at most 100 characters, on one line
    5:124: `lifecycle.rules.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.when`: expected an expression such as `resource.kind == "instance"`, found `true`
      help: put it in quotes: `"true"`
    "#);
}

#[test]
fn the_digest_covers_rules_and_presets() {
    let base = "  rules:\n    - { name: a, when: resource.kind == 'instance', do: fold, into: '\"x\"', set: { min_age: 1h } }";
    let different = [
        "  presets: []".to_owned(),
        base.to_owned(),
        base.replace("name: a", "name: b"),
        base.replace("instance", "volume"),
        base.replace("\"x\"", "\"y\""),
        base.replace("do: fold, into: '\"x\"'", "do: ignore"),
        base.replace("1h", "2h"),
        base.replace("min_age: 1h", "flag: x"),
        format!("  presets: [spot]\n{base}"),
        format!("  presets: [spot, emr]\n{base}"),
        format!("  presets: [emr, spot]\n{base}"),
    ];
    let digests: BTreeSet<_> = different.iter().map(|lifecycle| load(lifecycle).digest()).collect();
    assert_eq!(digests.len(), different.len());
    assert_eq!(load(base).digest(), load(&format!("{base}  # the same")).digest());
    assert_eq!(load(base).digest(), load(&format!("  presets: []\n{base}")).digest());
}

#[test]
fn every_preset_is_documented_and_loads() {
    let all: Vec<&str> = presets::names().collect();
    assert_eq!(all.len(), 9);
    assert!(all.is_sorted());
    for name in &all {
        let rules = presets::load(name).map_err(|errors| errors.render(false)).unwrap();
        assert!(!rules.is_empty(), "{name}");
        for PlacedRule { rule, .. } in &rules {
            assert!(rule.name.starts_with(&format!("{name}/")), "{}", rule.name);
        }
        let comment = presets::text(name).lines().take_while(|line| line.starts_with('#')).count();
        assert!(comment >= 4, "{name} has {comment} lines of documentation");
    }
    load(&format!("  presets: [{}]", all.join(", ")));
}

#[test]
fn files_of_cases_are_refused_with_every_place() {
    let rules = BTreeSet::from(["build agents"]);
    let text = r#"cases:
  - name: a
    at: yesterday
    resource: { kind: instance, sise: t3.micro, size_gib: 3, vcpus: many, age: 1h, created_at: 2026-01-01T00:00:00Z }
    expect: { disposition: recorded, rule: build agent }
  - resource: { knid: volume }
    group: { kind: instance, max_size: 3, member: x }
    expect: {}
  - name: c
    resource: { kind: volume, tags: { a: 1 }, name: "a\tb" }
    expect: { timers: { min_ages: 3h }, attributes: { ownr: x }, flag: 3 }
"#;
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", text, &rules).unwrap_err()), @r#"
    3:9: `cases.a.at`: expected an instant such as `2026-01-02T03:04:05Z`, found `yesterday`
    4:33: `cases.a.resource.sise`: no resource has a field `sise`
      help: did you mean `size`?
    4:49: kind instance has no attribute `size_gib`
    4:69: attribute `vcpus` of kind instance must be a whole number, not negative
    4:75: `age` and `created_at` say the same
      help: remove one of the two
    5:28: `cases.a.expect.disposition`: expected `record`, `defer`, `fold`, `ignore` or `frozen`, found `recorded`
      help: did you mean `record`?
    5:44: no rule is named `build agent`
      help: did you mean `build agents`?
    6:5: key `name` is missing in `cases[1]`
      help: `name`: Its name, as the result calls it
    6:17: `cases[1].resource.knid`: no resource has a field `knid`
      help: did you mean `kind`?
    7:20: a group is a `scaling_group`
      help: leave `kind` out
    7:43: `cases[1].group.member`: no resource has a field `member`
    8:13: the case expects nothing
      help: write what the rules should say, such as `{ disposition: record }`
    10:42: `cases.c.resource.tags.a`: expected a text, found 1
      help: put it in quotes: `"1"`
    10:53: `aws:arn:aws:ec2:eu-west-1:123456789012:volume/a	b` is not a key: it contains a control character
    11:25: unknown key `min_ages` in `cases.c.expect.timers`
      help: did you mean `min_age`?
    11:55: there is no attribute `ownr`
      help: did you mean `owner`?
    11:72: `cases.c.expect.flag`: expected a text, found 3
      help: put it in quotes: `"3"`
    "#);
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", "", &rules).unwrap_err()), @"1:1: the file is empty: expected `cases`");
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", "cases: []", &rules).unwrap_err()), @"1:8: `cases` is empty: expected at least one");
}

#[test]
fn a_resource_without_kind_is_refused() {
    let text = "cases:\n  - name: a\n    resource: { kind: 1e309, vcpus: 99999999999999999999 }\n    expect: { rule: default }\n";
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", text, &BTreeSet::new()).unwrap_err()), @r"
    3:23: `cases.a.resource.kind`: expected a resource kind, found inf
      help: expected `account`, `region`, `zone`, `resource_group`, `network`, `subnet`, `security_group`, `instance`, `scaling_group`, `network_interface`, `volume`, `public_address`, `load_balancer`, `pool`, `service` or null
    3:37: `cases.a.resource.vcpus`: expected the value of an attribute, found 99999999999999999999
    ");
    let text = "cases:\n  - name: a\n    resource: { kind: null }\n    expect: { rule: default }\n";
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", text, &BTreeSet::new()).unwrap_err()), @r"
    3:23: `cases.a.resource.kind`: expected a resource kind, found nothing
      help: leave the key out if it has no value
    ");
    let text = "cases:\n  - name: a\n    resource: { tags: {} }\n    expect: { rule: default }\n";
    insta::assert_snapshot!(told(&cases::cases("cases.yaml", text, &BTreeSet::new()).unwrap_err()), @r"
    3:15: key `kind` is missing in the resource
      help: add `kind: instance`, for example
    ");
}

#[test]
fn what_a_case_leaves_out_has_its_documented_value() {
    let text = "cases:\n  - name: a\n    resource: { kind: instance }\n    expect: { rule: default }\n";
    let all = cases::cases("cases.yaml", text, &BTreeSet::new()).map_err(|errors| errors.render(false)).unwrap();
    let [case] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((case.at.to_string().as_str(), case.has_ci, case.group.is_none()), ("2026-01-01T00:00:00Z", false, true));
    let resource = &case.known.resource;
    assert_eq!(resource.created_at.map(|at| at.to_string()).as_deref(), Some("2025-01-01T00:00:00Z"));
    assert_eq!((resource.provider.as_str(), resource.state.as_deref()), ("aws", Some("running")));
}

#[test]
fn cases_take_attributes_of_every_shape() {
    let text = r#"cases:
  - name: a
    resource: { kind: instance, vcpus: 4, private_addresses: [10.0.0.2, 10.0.0.1] }
    expect: { rule: default }
  - name: b
    resource: { kind: load_balancer, listeners: [{ port: 443, protocols: [https, null] }] }
    expect: { rule: default }
"#;
    let all = cases::cases("cases.yaml", text, &BTreeSet::new()).map_err(|errors| errors.render(false)).unwrap();
    let attributes: Vec<Json> = all.iter().map(|case| json!(case.known.resource.attributes)).collect();
    let wanted = [
        json!({ "vcpus": 4, "private_addresses": ["10.0.0.1", "10.0.0.2"] }),
        json!({ "listeners": [{ "port": 443, "protocols": ["https", null] }] }),
    ];
    assert_eq!(attributes, wanted);
}
