//! The configuration: refused whole, with exit code 2, before anything else is touched.

use serde_json::Value;

use super::{files, mode, refused, unprivileged};
use crate::support::{CONFIG, World};

const SECRET: &str = "hunter2-very-secret";

/// A configuration that is refused by every command that reads one, with these words, at this line.
#[track_caller]
fn check(text: &[u8], line: u64, words: &[&str]) {
    let world = World::empty();
    std::fs::write(world.path("dewpoint.yaml"), text).unwrap();
    let before = files(&world);
    for args in [&["validate"][..], &["sync"], &["list"]] {
        let ran = refused(&world, args, 2, words);
        assert_eq!(ran.out, "");
        assert!(ran.err.contains(&format!("dewpoint.yaml:{line}:")), "no place is named:\n{}", ran.err);
        assert!(!ran.err.contains(SECRET), "{}", ran.err);
        let document = world.json(args, 2);
        assert_eq!(document["error"]["code"], "configuration");
        let errors = document["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|error| error["line"] == line && error["column"].is_u64() && error["file"] == "dewpoint.yaml"),
            "{document:#}"
        );
        assert!(!document.to_string().contains(SECRET));
    }
    assert_eq!(files(&world), before, "something was written");
}

fn with(extra: &str) -> Vec<u8> {
    format!("{CONFIG}{extra}").into_bytes()
}

#[test]
fn missing() {
    let world = World::empty();
    refused(&world, &["sync"], 2, &["dewpoint.yaml", "there is no such file", "--config PATH"]);
    refused(&world, &["sync", "-c", "elsewhere/d.yaml"], 2, &["elsewhere/d.yaml", "there is no such file"]);
    assert!(files(&world).is_empty());
}

#[test]
fn unreadable() {
    let world = World::new("");
    mode(&world, "dewpoint.yaml", 0o000);
    let ran = unprivileged(&world, &["validate"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("dewpoint.yaml") && ran.err.to_lowercase().contains("permission"), "{}", ran.err);
    mode(&world, "dewpoint.yaml", 0o600);
    let folder = World::empty();
    std::fs::create_dir(folder.path("dewpoint.yaml")).unwrap();
    refused(&folder, &["sync"], 2, &["this is a folder"]);
}

#[test]
fn not_text_and_not_yaml() {
    check(b"ledger: sqlite://dewpoint.db\nsources: \xff\xfe\n", 2, &["not UTF-8"]);
    check(b"ledger: sqlite://dewpoint.db\nsources: [\n", 3, &["not valid YAML"]);
    check(b"- just\n- a list\n", 1, &[]);
    check(b"", 1, &[]);
}

#[test]
fn unknown_and_misspelt_keys() {
    check(&with("guardrials: { max_retire: 5 }\n"), 6, &["unknown key `guardrials`", "did you mean `guardrails`?"]);
    check(&with("guardrails: { max_retires: 5 }\n"), 6, &["max_retires", "did you mean `max_retire`?"]);
    check(&with("lifecycle: { defaults: { minimum_age: 5m } }\n"), 6, &["minimum_age", "min_age"]);
}

#[test]
fn literal_secrets() {
    let postgres = CONFIG.replace("sqlite://dewpoint.db", "postgres://db/cmdb");
    check(format!("{postgres}ledger_password: {SECRET}\n").as_bytes(), 6, &["a secret must not stand in the configuration", "env:NAME"]);
    check(CONFIG.replace("sqlite://dewpoint.db", &format!("postgres://anna:{SECRET}@db/cmdb")).as_bytes(), 1, &["ledger_password"]);
    check(&with(&format!("ledger_pasword: {SECRET}\n")), 6, &["unknown key `ledger_pasword`"]);
}

#[test]
fn secrets_that_are_not_there() {
    let world = World::empty();
    world.write("dewpoint.yaml", &CONFIG.replace("sqlite://dewpoint.db", "env:DEWPOINT_TEST_NO_SUCH_LEDGER"));
    refused(&world, &["validate"], 0, &[]);
    refused(&world, &["sync"], 2, &["DEWPOINT_TEST_NO_SUCH_LEDGER"]);
    // One that is there, and of no use, is not told.
    let mut command = world.command(&["list", "--output", "json"]);
    command.env("DEWPOINT_TEST_NO_SUCH_LEDGER", format!("postgres://anna:{SECRET}@127.0.0.1:1/cmdb"));
    let ran = crate::support::Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(ran.document()["error"]["code"], "ledger");
    assert!(!format!("{}{}", ran.out, ran.err).contains(SECRET), "{}", ran.err);
}

/// External ids are read when the source is built, before anything is opened.
#[test]
fn external_ids_that_are_not_there() {
    const NAME: &str = "DEWPOINT_TEST_NO_SUCH_EXTERNAL_ID";
    let world = World::empty();
    let accounts = "    accounts:\n      - { id: '123456789012' }\n      - { id: '123456789013', external_id: env:DEWPOINT_TEST_NO_SUCH_EXTERNAL_ID }\n";
    world.write("dewpoint.yaml", &CONFIG.replace("targets:", &format!("  - name: aws\n    kind: aws\n{accounts}targets:")));
    refused(&world, &["validate"], 0, &[]);
    let words =
        ["dewpoint.yaml:8:44: `sources.aws.accounts[1].external_id`: cannot use the secret", NAME, "is not set", "set the environment"];
    for command in ["sync", "plan"] {
        refused(&world, &[command], 2, &words);
        assert_eq!(world.json(&[command], 2)["error"]["code"], "secret");
    }
    assert_eq!(files(&world).into_keys().collect::<Vec<_>>(), ["dewpoint.yaml"], "something was written");
    // One that is there, and is none, is not told.
    let mut command = world.command(&["sync", "--output", "json"]);
    let ran = crate::support::Ran::of(&command.env(NAME, format!("{SECRET} with blanks")).output().unwrap());
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("is no external id: 2 to 1224"), "{}", ran.err);
    assert!(!format!("{}{}", ran.out, ran.err).contains(SECRET), "{}", ran.err);
    // Everything else is looked at all the same.
    let findings = world.json(&["doctor"], 1);
    let finding = |subject: &str| findings["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == subject).cloned();
    assert_eq!(finding("aws").unwrap()["check"], "secret");
    assert!(finding("estate").is_some() && finding("cmdb").is_some(), "{findings:#}");
}

/// What a source needs that is left out is not looked at.
#[test]
fn one_missing_secret_stops_no_other_source() {
    let world = World::empty();
    let aws = "  - { name: aws, kind: aws, external_id: env:DEWPOINT_TEST_NO_SUCH_EXTERNAL_ID, accounts: organization }\n";
    let extra = "guardrails: { plan_max_age: 36500d }\n";
    world.write("dewpoint.yaml", &format!("{}{extra}", CONFIG.replace("targets:", &format!("{aws}targets:"))));
    world.put(&crate::support::Inventory::new().instances(2));
    for args in [&["sync"][..], &["plan"], &["sync", "--source", "aws"], &["sync", "--source", "aws", "--source", "estate"]] {
        refused(&world, args, 2, &["dewpoint.yaml:4:", "`sources.aws.external_id`: cannot use the secret", "is not set"]);
    }
    assert!(!world.path("dewpoint.db").exists());
    let chosen = ["--source", "estate", "--at", "2026-02-01T00:00:00Z"];
    world.json(&[&["plan"], &chosen[..]].concat(), 0);
    world.json(&[&["sync", "--pause-writes"], &chosen[..]].concat(), 0);
    world.json(&[&["plan", "--out", "plan.json"], &chosen[..]].concat(), 0);
    assert_eq!(World::counts(&world.json(&["apply", "plan.json"], 0)), [("create".to_owned(), 2)]);
    assert_eq!(World::counts(&world.json(&[&["sync"], &chosen[..]].concat(), 0)), []);
    // A name that is none is still said to be none.
    refused(&world, &["sync", "--source", "estat"], 2, &["no source `estat` is configured"]);
}

#[test]
fn impossible_durations() {
    for (value, words) in
        [("-5m", "cannot be negative"), ("5", "unit"), ("5 parsecs", "parsecs"), ("99999999999999999999d", ""), ("soon", "")]
    {
        check(&with(&format!("lifecycle: {{ defaults: {{ min_age: {value} }} }}\n")), 6, &["min_age", words]);
    }
    check(&with("journal_keep: 0s\n"), 6, &["journal_keep"]);
}

#[test]
fn two_of_one_name() {
    let two = CONFIG.replace("targets:", "  - { name: estate, kind: file, path: other.json }\ntargets:");
    check(two.as_bytes(), 4, &["two sources are named `estate`", "line 3"]);
    check(&with("  - { name: cmdb, kind: local, path: other.db }\n"), 6, &["two targets are named `cmdb`", "line 5"]);
}

#[test]
fn all_errors_come_at_once() {
    let world = World::empty();
    world.write(
        "dewpoint.yaml",
        &format!("{CONFIG}ledgr: x\njournal_keep: never ever\nlifecycle: {{ defaults: {{ min_age: -1m }} }}\nexit_ok: [7]\n"),
    );
    let document = world.json(&["validate"], 2);
    let lines: Vec<u64> = document["errors"].as_array().unwrap().iter().filter_map(|error: &Value| error["line"].as_u64()).collect();
    assert_eq!(lines, [6, 7, 8, 9]);
}
