//! What is said about a configuration that is wrong: place, expectation, the way to mend it.

use insta::assert_snapshot;

use super::{MINIMAL, errors, errors_in_target, errors_with, try_load};

#[test]
fn nothing_in_it() {
    assert_snapshot!(errors(""), @r#"
    1:1: the configuration is empty: expected at least `sources` and `targets`
      help: `config/example.yaml` shows every key
    "#);
    assert_snapshot!(errors("# only a comment\n"), @r#"
    1:1: the configuration is empty: expected at least `sources` and `targets`
      help: `config/example.yaml` shows every key
    "#);
    assert_snapshot!(errors("{}"), @r#"
    1:1: key `sources` is missing
      help: `sources`: What to read: the estates
    1:1: key `targets` is missing
      help: `targets`: What to keep true: the CMDBs
    "#);
    assert_snapshot!(errors("hello"), @"1:1: the configuration: expected a mapping, found a text");
    assert_snapshot!(errors("- name: a"), @"1:1: the configuration: expected a mapping, found a list");
}

#[test]
fn not_yaml() {
    assert_snapshot!(errors("sources: [a, b\ntargets: x\n"), @r#"
    2:8: not valid YAML: illegal placement of ':' indicator
      help: check the indentation, the quotes, and the blank after each `:`
    "#);
    assert_snapshot!(errors("ledger_password: env: PG\n"), @r#"
    1:21: not valid YAML: mapping values are not allowed in this context
      help: check the indentation; a text with `: ` in it needs quotes, and a reference has no blank: `env:NAME`
    "#);
    assert_snapshot!(errors("sources:\n\t- name: a\n"), @r#"
    2:2: not valid YAML: tabs disallowed within this context (block indentation)
      help: check the indentation, the quotes, and the blank after each `:`
    "#);
    assert_snapshot!(errors("{\"sources\": [}"), @r#"
    1:14: not valid YAML: while parsing a node, did not find expected node content
      help: check the indentation, the quotes, and the blank after each `:`
    "#);
    assert_snapshot!(errors(&format!("sources: {}{}", "[".repeat(40), "]".repeat(40))), @"1:41: nested too deeply: at most 32 levels are read");
    assert_snapshot!(errors(&format!("{MINIMAL}---\nledger: x\n")), @r#"
    9:1: a second YAML document starts here: expected one
      help: remove the `---`, or put the other document into its own file
    "#);
}

#[test]
fn parts_of_yaml_that_hide_what_is_configured() {
    assert_snapshot!(errors(&format!("journal_keep: &keep 90d\n{MINIMAL}    deadline: *keep\n")), @r#"
    10:15: aliases (`*name`) are not supported
      help: write the value out in each place
    "#);
    assert_snapshot!(errors_in_target("<<: { adopt: match }"), @r#"
    9:5: unknown key `<<` in `targets.cmdb`
      help: merge keys are not supported: write the keys out
    "#);
    assert_snapshot!(errors_with("journal_keep: !!str 90d"), @r#"
    1:15: tags (`!name`) are not supported
      help: remove the tag; put the value in quotes to make it a text
    "#);
    assert_snapshot!(errors("sources: *nothing\n"), @r#"
    1:10: not valid YAML: while parsing node, found unknown anchor
      help: aliases (`*name`) are not supported; put a text that begins with `*` or `&` in quotes
    "#);
    assert_snapshot!(errors_with("journal_keep: 90d\njournal_keep: 30d"), @r#"
    2:1: key `journal_keep` is written twice: first in line 1
      help: remove one of the two
    "#);
    assert_snapshot!(errors_with("? [journal_keep]\n: 90d"), @"1:3: expected a plain text as key");
}

#[test]
fn a_small_file_cannot_become_a_large_one() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let last = level - 1;
        let items = vec![format!("*a{last}"); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let errors = try_load(&bomb).unwrap_err();
    assert_eq!(errors.errors().len(), super::ERRORS_MAX);
    assert!(errors.to_string().contains("aliases (`*name`) are not supported"));
    assert!(errors.to_string().ends_with("more"));

    let deep = format!("sources: {}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert_snapshot!(self::errors(&deep), @r#"
    1:265: not valid YAML: recursion limit exceeded
      help: check the indentation, the quotes, and the blank after each `:`
    "#);
}

#[test]
fn unknown_keys() {
    assert_snapshot!(errors_with("ledgr: sqlite://x.db"), @r#"
    1:1: unknown key `ledgr`
      help: did you mean `ledger`?
    "#);
    assert_snapshot!(errors_in_target("adpot: match\nretire_after: 7d\nfrobnicate: 1"), @r#"
    9:5: unknown key `adpot` in `targets.cmdb`
      help: did you mean `adopt`?
    10:5: unknown key `retire_after` in `targets.cmdb`
      help: `retire_after` belongs in `lifecycle.defaults` or `lifecycle.rules[].set`
    11:5: unknown key `frobnicate` in `targets.cmdb`
      help: known here: `adopt`, `authority`, `batch_size`, `deadline`, `include`, `kind`, `max_records`, `name`, `path`, `purge`, `verify_every`
    "#);
    assert_snapshot!(errors_with("lifecycle: { defaults: { min-age: 15m, RetireAfter: 1h } }"), @r#"
    1:26: unknown key `min-age` in `lifecycle.defaults`
      help: did you mean `min_age`?
    1:40: unknown key `RetireAfter` in `lifecycle.defaults`
      help: did you mean `retire_after`?
    "#);
    assert_snapshot!(errors("sources:\n  - name: a\n    kind: file\n    pth: x.json\ntargets:\n  - { name: b, kind: local, path: c }\n"), @r#"
    4:5: unknown key `pth` in `sources.a`
      help: did you mean `path`?
    "#);
    assert_snapshot!(errors_in_target("statuses: {}\nheartbeat: 1h\nhearbeat: 1h"), @"
    9:5: unknown key `statuses` in `targets.cmdb`
      help: `statuses` goes with `kind: servicenow` or `kind: jsm` or `kind: haloitsm`
    10:5: unknown key `heartbeat` in `targets.cmdb`
      help: `heartbeat` goes with `kind: servicenow` or `kind: jsm` or `kind: haloitsm`
    11:5: unknown key `hearbeat` in `targets.cmdb`
      help: known here: `adopt`, `authority`, `batch_size`, `deadline`, `include`, `kind`, `max_records`, `name`, `path`, `purge`, `verify_every`
    ");
}

#[test]
fn missing_keys() {
    assert_snapshot!(errors("journal_keep: 90d\n"), @r#"
    1:1: key `sources` is missing
      help: `sources`: What to read: the estates
    1:1: key `targets` is missing
      help: `targets`: What to keep true: the CMDBs
    "#);
    assert_snapshot!(errors("sources: []\ntargets: []\n"), @r#"
    1:10: `sources` is empty: expected at least one
    2:10: `targets` is empty: expected at least one
    "#);
    assert_snapshot!(errors_with("journal_keep:\nledger_password: ~\nlifecycle:\n  defaults:"), @r#"
    1:1: `journal_keep`: expected a duration such as `90d`, or `never`, found nothing
      help: leave the key out to get its default
    2:18: `ledger_password`: expected a reference to a secret: `env:NAME` or `file:PATH`, found nothing
      help: leave the key out if it has no value
    4:3: `lifecycle.defaults`: expected a mapping, found nothing
      help: leave the key out to get its default
    "#);
    assert_snapshot!(errors("sources:\ntargets:\n"), @r#"
    1:1: `sources`: expected a list, found nothing
    2:1: `targets`: expected a list, found nothing
    "#);
    assert_snapshot!(errors("sources: [{ kind: file }, { name: b }, { name: c, knid: file }, { name: d, kind: ldap }, e]\ntargets: x\n"), @r#"
    1:11: key `name` is missing in `sources[0]`
      help: `name`: Name of this source; used in logs, metrics and the ledger
    1:11: key `path` is missing in `sources[0]`
      help: `path`: Path of the inventory file
    1:27: key `kind` is missing in `sources.b`: expected `aws`, `azure` or `file`
      help: add `kind: aws`, for example
    1:51: key `kind` is missing in `sources.c`: expected `aws`, `azure` or `file`
      help: did you mean `kind` instead of `knid`?
    1:82: `sources.d.kind`: expected `aws`, `azure` or `file`, found `ldap`
    1:90: `sources[4]`: expected a mapping, found a text
    2:10: `targets`: expected a list, found a text
    "#);
    assert_snapshot!(errors("sources: [{ name: a, kind: aws }]\ntargets: [{ name: b, kind: lokal }]\n"), @r#"
    2:28: `targets.b.kind`: expected `local`, `servicenow`, `jsm` or `haloitsm`, found `lokal`
      help: did you mean `local`?
    "#);
}

#[test]
fn names() {
    let sources = "\
sources:
  - { name: a, kind: file, path: a.json }
  - { name: a, kind: aws, regions: [eu-west-1] }
  - { name: a.b, kind: aws, accounts: [{ id: '000000000001' }] }
  - { name: '', kind: file, path: b.json }
  - { name: 12, kind: file, path: c.json }
targets:
  - { name: a, kind: local, path: cmdb.db }
  - { name: a, kind: local, path: cmdb2.db }
";
    assert_snapshot!(errors(sources), @r#"
    3:13: two sources are named `a`: the first in line 2
      help: the ledger and `--source` tell them apart by name: give each its own
    4:13: `sources.a.b.name`: `a.b` is no name
      help: a name has 1 to 63 lower-case letters, digits, `-` and `_`, and begins with a letter or digit
    5:13: `sources[3].name`: `` is no name
      help: a name has 1 to 63 lower-case letters, digits, `-` and `_`, and begins with a letter or digit
    6:13: `sources[4].name`: expected a name such as `prod-eu`, found 12
      help: put it in quotes: `"12"`
    9:13: two targets are named `a`: the first in line 8
      help: the ledger and `--target` tell them apart by name: give each its own
    "#);
}

#[test]
fn one_file_for_two_purposes() {
    let text = "\
ledger: sqlite://./cmdb.db
sources:
  - { name: a, kind: file, path: /etc/dewpoint/x.json }
  - { name: b, kind: file, path: ./x.json }
targets:
  - { name: c, kind: local, path: cmdb.db }
";
    assert_snapshot!(errors(text), @r#"
    4:34: source `b` and source `a` (line 3) are the same file
      help: give each its own file
    6:35: target `c` and the ledger (line 1) are the same file
      help: give each its own file
    "#);
}

#[test]
fn durations() {
    let text = "\
lifecycle:
  defaults:
    min_age: 15
    retire_after: -1h
    purge_after: 90 days
    min_dwell: never
journal_keep: 99999999999999999999d
guardrails: { plan_max_age: 0s }
";
    assert_snapshot!(errors_with(text), @r#"
    3:14: `lifecycle.defaults.min_age`: duration `15` has no unit
      help: units are `s`, `m`, `h`, `d` and `w`: write `15m` for minutes, for example
    4:19: `lifecycle.defaults.retire_after`: a duration cannot be negative, found `-1h`
      help: write `1h`
    5:18: `lifecycle.defaults.purge_after`: duration `90 days` has the unknown unit `days`
      help: write `90d`; units are `s`, `m`, `h`, `d` and `w`; or `never`
    6:16: `lifecycle.defaults.min_dwell`: `never` is not possible here: expected a duration such as `15m`
    7:15: `journal_keep`: duration `99999999999999999999d` is longer than a hundred years
      help: or write `never`
    8:29: `guardrails.plan_max_age`: expected a duration longer than zero, found `0s`
    "#);
    assert_snapshot!(errors_in_target("verify_every: off\ndeadline: 1.5h"), @r#"
    9:19: `targets.cmdb.verify_every`: `off` is not possible here: expected a duration such as `15m`
      help: or write `never`
    10:15: `targets.cmdb.deadline`: a duration is made of whole numbers, found `1.5h`
      help: use a smaller unit: `90m` instead of one and a half hours
    "#);
    assert_snapshot!(errors_in_target("verify_every: 30m1h\ndeadline: 10min"), @r#"
    9:19: `targets.cmdb.verify_every`: the units of duration `30m1h` are not in order, longest first
      help: units are `s`, `m`, `h`, `d` and `w`; or `never`
    10:15: `targets.cmdb.deadline`: duration `10min` has the unknown unit `min`
      help: write `10m`; units are `s`, `m`, `h`, `d` and `w`
    "#);
    assert_snapshot!(errors_in_target("verify_every: soon\ndeadline: [1h]"), @r#"
    9:19: `targets.cmdb.verify_every`: expected a duration such as `15m`, found `soon`
      help: units are `s`, `m`, `h`, `d` and `w`; or `never`
    10:15: `targets.cmdb.deadline`: expected a duration such as `15m`, found a list
    "#);
    assert_snapshot!(errors_in_target("verify_every: 101w3d1h1m1s\ndeadline: 36501d"), @"10:15: `targets.cmdb.deadline`: duration `36501d` is longer than a hundred years");
}

#[test]
fn numbers_and_words() {
    let text = "\
guardrails: { max_retire_percent: 120, max_retire_min: 0, max_retire: -1, max_update_percent: 0 }
lifecycle: { defaults: { confirm_missing: 1001 } }
exit_ok: [0, 3, 3, 5, x]
";
    assert_snapshot!(errors_with(text), @r#"
    1:35: `guardrails.max_retire_percent`: expected a whole number from 0 to 100, found 120
    1:56: `guardrails.max_retire_min`: expected a whole number from 1 to 1000000000, found 0
    1:71: `guardrails.max_retire`: expected a whole number from 0 to 1000000000, found -1
    1:95: `guardrails.max_update_percent`: expected a whole number from 1 to 100, found 0
    2:43: `lifecycle.defaults.confirm_missing`: expected a whole number from 1 to 1000, found 1001
    3:11: `exit_ok[0]`: expected 3, 4 or 6, found 0
      help: 3 is partly done, 4 held by a guardrail, 6 changes pending; 0 is success already, and the others always mean that something must be mended
    3:17: `exit_ok`: 3 is listed twice
      help: remove one of the two
    3:20: `exit_ok[3]`: expected 3, 4 or 6, found 5
      help: 3 is partly done, 4 held by a guardrail, 6 changes pending; 0 is success already, and the others always mean that something must be mended
    3:23: `exit_ok[4]`: expected 3, 4 or 6, found `x`
      help: 3 is partly done, 4 held by a guardrail, 6 changes pending; 0 is success already, and the others always mean that something must be mended
    "#);
    assert_snapshot!(errors_with("guardrails: { max_retire_percent: 20%, max_retire: 1.5, max_update_percent: never }\nexit_ok: 3"), @r#"
    1:35: `guardrails.max_retire_percent`: expected a whole number from 0 to 100, found `20%`
      help: write the number alone, without `%`
    1:52: `guardrails.max_retire`: expected a whole number from 0 to 1000000000, found 1.5
    1:77: `guardrails.max_update_percent`: expected `off` or a whole number from 1 to 100, found `never`
    2:10: `exit_ok`: expected a list, found 3
    "#);
    assert_snapshot!(errors_in_target("include: { kinds: [instance, instanse, vm, instance] }\nadopt: Match\npurge: 1"), @r#"
    9:34: `targets.cmdb.include.kinds[1]`: expected a resource kind, found `instanse`
      help: did you mean `instance`?
    9:44: `targets.cmdb.include.kinds[2]`: expected a resource kind, found `vm`
      help: expected `account`, `region`, `zone`, `resource_group`, `network`, `subnet`, `security_group`, `instance`, `scaling_group`, `network_interface`, `volume`, `public_address`, `load_balancer`, `pool` or `service`
    9:48: `targets.cmdb.include.kinds`: `instance` is listed twice
      help: remove one of the two
    10:12: `targets.cmdb.adopt`: expected `never`, `match` or `contribute`, found `Match`
      help: did you mean `match`?
    11:12: `targets.cmdb.purge`: expected `keep` or `delete`, found 1
    "#);
    assert_snapshot!(errors_in_target("include: { kinds: [] }\nauthority: { ownr: if_empty, size: mine, fields: owned }"), @r#"
    9:23: `targets.cmdb.include.kinds` is empty: expected at least one
    10:18: `targets.cmdb.authority.ownr`: no record has a field `ownr`
      help: did you mean `owner`?
    10:40: `targets.cmdb.authority.size`: expected `owned`, `initial`, `if_empty`, `report` or `transition`, found `mine`
    10:46: `targets.cmdb.authority.fields`: no record has a field `fields`
      help: fields are those that `dewpoint show` prints, such as `owner` or `size`
    "#);
    assert_snapshot!(errors_in_target("include:\n  when: >-\n    ci.environmnt != \"sandbox\" &&\n    resource.kind == 5"), @r#"
    11:12: target `cmdb`: `include.when`: `ci` has no field `environmnt`
      help: did you mean `environment`?
    12:9: target `cmdb`: `include.when`: unknown name `resource`
      help: the record is `ci`, such as `ci.kind`
    "#);
    assert_snapshot!(errors_in_target("include: { when: ' ' }"), @r#"
    9:22: `targets.cmdb.include.when`: the condition is empty
      help: leave `when` out where every record of these kinds is meant
    "#);
    assert_snapshot!(errors_in_target("include: { when: [ci.name] }"), @r#"9:22: `targets.cmdb.include.when`: expected a condition such as `ci.environment != "sandbox"`, found a list"#);
    assert_snapshot!(errors_in_target("include: { when: ci.name }"), @"9:22: target `cmdb`: `include.when`: a condition gives true or false, and this gives a string");
    assert_snapshot!(errors_in_target("max_records: 0\nbatch_size: 20001\ndeadline: yes"), @r#"
    9:18: `targets.cmdb.max_records`: expected a whole number, at least 1, found 0
    10:17: `targets.cmdb.batch_size`: expected a whole number from 1 to 20000, found 20001
    11:15: `targets.cmdb.deadline`: expected a duration such as `15m`, found `yes`
      help: units are `s`, `m`, `h`, `d` and `w`
    "#);
    assert_snapshot!(errors_in_target("max_records: 340282366920938463463374607431768211456"), @"9:18: `targets.cmdb.max_records`: expected a whole number, at least 1, found 340282366920938500000000000000000000000");
}

#[test]
fn ownership() {
    let text = "\
ownership:
  owner: owner
  support_group: [123, '', ~]
  environment: { tags: [env], values: { prod: '', 1: 2 } }
";
    assert_snapshot!(errors_with(text), @r#"
    2:10: `ownership.owner`: expected a list of tags, or a mapping with `tags` and `values`, found `owner`
      help: put it in brackets: `[owner]`
    3:19: `ownership.support_group[0]`: expected the name of a tag, found 123
      help: put it in quotes: `"123"`
    3:24: `ownership.support_group[1]`: the name of a tag is empty
    3:28: `ownership.support_group[2]`: expected the name of a tag, found nothing
    4:47: `ownership.environment.values.prod`: the meaning of a value is empty
      help: write what it means, such as `production`, or remove the line
    4:54: `ownership.environment.values.1`: expected what the value means, such as `production`, found 2
      help: put it in quotes: `"2"`
    "#);
    let text = "\
ownership:
  owner: { tag: [who], values: { ann: '  ', bob: ~ } }
  support_group: { tags: who }
  service: { tags: [service], values: { Shop: shop, shop: store, SHOP: shop, ' ': x } }
  cost_center: 7
";
    assert_snapshot!(errors_with(text), @"
    2:12: unknown key `tag` in `ownership.owner`
      help: did you mean `tags`?
    2:39: `ownership.owner.values.ann`: the meaning of a value is empty
      help: write what it means, such as `production`, or remove the line
    2:50: `ownership.owner.values.bob`: expected what the value means, such as `production`, found nothing
      help: leave the key out if it has no value
    3:26: `ownership.support_group.tags`: expected a list, found a text
      help: put it in brackets: `[who]`
    4:53: `ownership.service.values`: `Shop` and `shop` are one value, since case does not count
      help: remove one of the two: they mean different things
    4:78: `ownership.service.values`: a value is empty, and an empty tag counts as none
      help: remove the line
    5:16: `ownership.cost_center`: expected a list of tags, or a mapping with `tags` and `values`, found 7
      help: write `[owner]`, or `{ tags: [owner], values: { ann: ann@example.com } }`
    ");
}

#[test]
fn paths() {
    assert_snapshot!(errors("sources: [{ name: a, kind: file, path: '' }, { name: b, kind: file, path: ~/x }]\ntargets: [{ name: c, kind: local, path: folder/ }, { name: d, kind: local, path: sqlite://x }]\n"), @r#"
    1:40: `sources.a.path`: the path is empty
    1:75: `sources.b.path`: `~` is not expanded, found `~/x`
      help: write an absolute path, or one relative to this file's folder
    2:41: `targets.c.path`: `folder/` is a folder: expected the path of a file
    2:82: `targets.d.path`: expected the path of a file, found a URL
      help: write a path: absolute, or relative to this file's folder
    "#);
}

#[test]
fn ledgers() {
    assert_snapshot!(errors_with("ledger: dewpoint.db"), @r#"
    1:9: `ledger`: expected `sqlite://PATH`, `postgres://HOST/DATABASE`, `env:NAME` or `file:PATH`
      help: a file is written as `sqlite://dewpoint.db`
    "#);
    assert_snapshot!(errors_with("ledger: sqlite:dewpoint.db"), @r#"
    1:9: `ledger`: expected `sqlite://PATH`, `postgres://HOST/DATABASE`, `env:NAME` or `file:PATH`
      help: two slashes follow the colon: `sqlite://dewpoint.db`
    "#);
    assert_snapshot!(errors_with("ledger: 'sqlite://:memory:'"), @r#"
    1:9: `ledger`: the ledger cannot live in memory: it must outlast the run
      help: name a file: `sqlite://dewpoint.db`
    "#);
    assert_snapshot!(errors_with("ledger: sqlite://x.db?mode=ro"), @r#"
    1:9: `ledger`: the path of an SQLite ledger takes no options
      help: name a file: `sqlite://dewpoint.db`
    "#);
    assert_snapshot!(errors_with("ledger: mysql://host/db"), @"1:9: `ledger`: expected `sqlite://PATH`, `postgres://HOST/DATABASE`, `env:NAME` or `file:PATH`");
    assert_snapshot!(errors_with("ledger: postgres:///db"), @r#"
    1:9: `ledger`: the address of the ledger names no host
      help: expected `postgres://HOST/DATABASE`
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host:port/db"), @r#"
    1:9: `ledger`: not a URL: invalid port number
      help: expected `postgres://HOST/DATABASE` or `postgres://USER@HOST:PORT/DATABASE`
    "#);
    assert_snapshot!(errors_with("ledger_password: env:PG"), @r#"
    1:1: an SQLite ledger has no password
      help: remove `ledger_password`, or write `ledger: postgres://HOST/DATABASE`
    "#);
    assert_snapshot!(errors_with("ledger: env:URL\nledger_password: env:PG"), @r#"
    2:1: `ledger_password` does not go with a ledger whose whole address is a secret
      help: put the password into the address, or write `ledger: postgres://HOST/DATABASE`
    "#);
}

/// Every rendering of the errors, with and without colour.
fn everything(text: &str) -> String {
    let errors = try_load(text).unwrap_err();
    let json = serde_json::to_string(&errors).unwrap();
    format!("{}\n{}\n{errors}\n{errors:?}\n{json}", errors.render(false), errors.render(true))
}

#[test]
fn secrets_are_never_repeated() {
    let places = [
        "ledger: postgres://host/db\nledger_password: hunter2",
        "ledger: postgres://host/db\nledger_password: \"hunter2\"",
        "ledger: postgres://host/db\nledger_password: |\n  hunter2\n  hunter2",
        "ledger: postgres://host/db\nledger_password: [hunter2]",
        "ledger: postgres://host/db\nledger_password: { env: hunter2 }",
        "ledger: postgres://host/db\nledger_password:\n  - x:\n      hunter2",
        "ledger: postgres://host/db\nledger_password: env:hunter2-x",
        "ledger: postgres://host/db\nledger_password: !x hunter2",
        "ledger: postgres://host/db\nledger_pasword: hunter2",
        "ledger: postgres://host/db\nledgerPassword: hunter2",
        "ledger: postgres://host/db\npwd: hunter2",
        "ledger: postgres://host/db\nledger_password: env:PG\nledger_password: hunter2",
        "ledger: postgres://me:hunter2@host/db",
        "ledger: postgres://me:hunter2#%@host/db",
        "ledger: postgres://me:p@hunter2@host/db",
        "ledger: postgres://host/db?password=hunter2",
        "ledger: postgres://host/db?sslpassword=hunter2",
        "ledger: mysql://me:hunter2@host/db",
        "ledger: [postgres://me:hunter2@host/db]",
        "ledger: me:hunter2@host",
        "ledger: hunter2",
        "journal_keep: postgres://me:hunter2@host/db",
        "ledger: postgres://host/db\nledger_password: hunter2\nfoo: [",
        "ledger: postgres://host/db\nledger_password: hunter2: x",
        "ledger: postgres://host/db\nledger_password: 'hunter2",
        "journal_keep: 1\nextra: { auth: { user: x, key: hunter2 } }",
        "sources: [{ name: a, auth: { basic: hunter2 } }]",
        "sources: [{ name: a, kind: file, path: x, auth: hunter2 }]",
        "sources: [{ name: a, kind: file, path: x, client_id: hunter2 }]",
        "sources: [{ name: a, kind: aws, external_id: hunter2 }]",
        "sources: [{ name: a, kind: aws, accounts: organization, externalid: hunter2 }]",
        "sources: [{ name: a, kind: aws, accounts: [{ id: '1', external_id: hunter2 }] }]",
        "sources: [{ name: a, kind: aws, accounts: [{ id: '1', extid: hunter2 }] }]",
        "sources: [{ name: a, kind: aws, acounts: [{ id: '1', extid: hunter2 }] }]",
        "sources: [{ name: a, kind: aws, accounts: [{ external_id: hunter2",
        "external_id: hunter2",
    ];
    for place in places {
        let shown = everything(&format!("{place}\n{MINIMAL}"));
        assert!(!shown.contains("hunter2"), "{place}\n{shown}");
    }
    let url = MINIMAL
        .replace("kind: file\n    path: inventory.json", "kind: aws\n    regions: [eu-west-1]\n    endpoint_url: http://me:hunter2@x");
    assert!(!everything(&url).contains("hunter2"));
    assert_snapshot!(errors(&url), @r#"
    5:19: `sources.demo.endpoint_url`: a user name or password in a URL is refused
      help: remove everything between `://` and `@`; credentials have keys or the environment of their own
    "#);
}

#[test]
fn literal_secrets_are_told_how_to_mend_them() {
    assert_snapshot!(errors_with("ledger: postgres://me:hunter2@host/db"), @r#"
    1:9: `ledger`: a password in a URL is refused
      help: write the password as `ledger_password: env:NAME` (or `file:PATH`), or the whole address as `ledger: env:NAME`
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db?user=me&password=hunter2"), @r#"
    1:9: `ledger`: a password in a URL is refused
      help: write the password as `ledger_password: env:NAME` (or `file:PATH`), or the whole address as `ledger: env:NAME`
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db\nledger_password: hunter2"), @r#"
    2:18: `ledger_password`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db\nledger_password: ${PG}"), @r#"
    2:18: `ledger_password`: a secret must not stand in the configuration
      help: variables are not expanded: write `env:NAME`
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db\nledger_password: 12345"), @r#"
    2:18: `ledger_password`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db\nledger_password: { env: PG }"), @r#"
    2:18: `ledger_password`: expected a reference to a secret: `env:NAME` or `file:PATH`, found a mapping
      help: write it without a blank behind the colon: `env:NAME`
    "#);
    assert_snapshot!(errors_with("ledger: postgres://host/db\nledger_password: 'env:'"), @r#"
    2:18: `ledger_password`: no name of an environment variable follows `env:`
      help: a name has letters, digits and `_`, for example `env:LEDGER_PASSWORD`
    "#);
}

#[test]
fn errors_are_drawn_with_their_lines_and_secrets_masked() {
    let text = "ledger: postgres://host/db\nledger_password: hunter2\njournal_keep: 90\n";
    assert_snapshot!(try_load(&format!("{text}{MINIMAL}")).unwrap_err().render(false), @r#"
     × `ledger_password`: a secret must not stand in the configuration
      ╭─[dewpoint.yaml:2:18]
    1 │ ledger: postgres://host/db
    2 │ ledger_password: *******
      ·                  ───┬───
      ·                     ╰── here
    3 │ journal_keep: 90
      ╰────
     help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
     × `journal_keep`: duration `90` has no unit
      ╭─[dewpoint.yaml:3:15]
    2 │ ledger_password: *******
    3 │ journal_keep: 90
      ·               ─┬
      ·                ╰── here
    4 │ sources:
      ╰────
     help: units are `s`, `m`, `h`, `d` and `w`: write `90m` for minutes, for example; or `never`
    "#);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let shown = everything("sources: \"\\e[31m\"\n\"\\e[32mkey\": 1\n\u{7f}\u{9b}: 2\n");
    assert!(!shown.contains('\u{9b}'));
    let plain = try_load("\"\\e[32mkey\": \"\\e[31m\"\n").unwrap_err();
    assert!(!plain.render(false).contains('\u{1b}'));
    assert!(!plain.to_string().contains('\u{1b}'));
}

#[test]
fn json_is_the_promised_shape() {
    let errors = try_load(&format!("journal_keep: 90\n{MINIMAL}")).unwrap_err();
    assert_snapshot!(serde_json::to_string_pretty(&errors).unwrap(), @r#"
    {
      "errors": [
        {
          "file": "dewpoint.yaml",
          "line": 1,
          "column": 15,
          "text": "`journal_keep`: duration `90` has no unit",
          "help": "units are `s`, `m`, `h`, `d` and `w`: write `90m` for minutes, for example; or `never`"
        }
      ]
    }
    "#);
}

#[test]
fn lines_count_whatever_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("# ä{end}{}ledgr: 1{end}", MINIMAL.replace('\n', end));
        let errors = try_load(&text).unwrap_err();
        let error = errors.errors().first().unwrap();
        assert_eq!((error.line, error.column), (10, 1), "{end:?}");
        assert!(errors.render(false).contains("dewpoint.yaml:10:1"), "{}", errors.render(false));
    }
}
