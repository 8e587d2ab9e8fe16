//! What a valid configuration means.

use std::time::Duration;

use dewpoint_core::lifecycle::Timers;
use dewpoint_core::plan::Limits;
use dewpoint_core::target::{Adopt, Authority, Purge};
use secrecy::ExposeSecret;

use super::super::{LedgerConfig, LedgerLocation, SecretRef, SourceKind};
use super::{Config, MINIMAL, try_load};

#[track_caller]
fn loaded(text: &str) -> Config {
    try_load(text).map_err(|errors| errors.render(false)).unwrap()
}

#[track_caller]
fn loaded_with(lines: &str) -> Config {
    loaded(&format!("{lines}\n{MINIMAL}"))
}

#[test]
fn defaults_are_those_of_the_model() {
    let config = loaded(MINIMAL);
    assert_eq!(config.lifecycle.defaults, Timers::default());
    assert_eq!(config.guardrails, Limits::default());
    assert_eq!(config.journal_keep, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(config.ledger, LedgerConfig::Sqlite("/etc/dewpoint/dewpoint.db".into()));
}

#[test]
fn every_key_is_understood() {
    let config = loaded(
        "\
ledger: postgres://me@host:5433/db?sslmode=require
ledger_password: file:secrets/pg
journal_keep: never
sources:
  - { name: a, kind: aws, regions: [eu-west-1], endpoint_url: http://127.0.0.1:5000 }
  - { name: b, kind: file, path: /data/x.json, max_file_bytes: 10 }
ownership: { owner: [who], support_group: [], environment: { values: { prod: production, 1: one } } }
lifecycle: { defaults: { min_age: 0s, confirm_missing: 3, retire_after: 1d12h, purge_after: 90d, min_dwell: 1w } }
targets:
  - name: c
    kind: local
    path: c.db
    include: { kinds: [instance] }
    adopt: contribute
    authority: { owner: if_empty, size: report }
    verify_every: never
    max_records: 7
    purge: delete
    batch_size: 1
    deadline: 30s
guardrails: { max_retire_percent: 0, max_retire_min: 1, max_retire: 0, max_update_percent: 50, plan_max_age: 2h }
exit_ok: [3, 6]
",
    );
    let LedgerConfig::Postgres { url, password: Some(password) } = &config.ledger else { panic!("{:?}", config.ledger) };
    assert_eq!(url.as_str(), "postgres://me@host:5433/db?sslmode=require");
    assert_eq!(password.reference, SecretRef::File("/etc/dewpoint/secrets/pg".into()));
    assert_eq!(password.place.to_string(), "dewpoint.yaml:2:18");
    assert_eq!(config.journal_keep, None);
    let [aws, file] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
    assert!(matches!(&aws.kind, SourceKind::Aws { regions, endpoint_url: Some(_) } if regions.len() == 1));
    assert_eq!(file.kind, SourceKind::File { path: "/data/x.json".into(), max_file_bytes: 10 });
    assert_eq!(config.ownership.owner, ["who"]);
    assert!(config.ownership.support_group.is_empty());
    assert_eq!(config.ownership.environment_tags, ["env", "environment"]);
    assert_eq!(config.ownership.environment_values.get("1").map(String::as_str), Some("one"));
    let timers = &config.lifecycle.defaults;
    assert_eq!(timers.min_age, Duration::ZERO);
    assert_eq!(timers.retire_after, Duration::from_secs(36 * 3600));
    assert_eq!(timers.purge_after, Some(Duration::from_secs(90 * 86_400)));
    let target = config.targets.first().unwrap();
    assert_eq!((target.adopt, target.purge, target.batch_size), (Adopt::Contribute, Purge::Delete, 1));
    assert_eq!(target.authority.get("owner"), Some(&Authority::IfEmpty));
    assert_eq!((target.verify_every, target.max_records), (None, Some(7)));
    assert_eq!(config.guardrails.max_update_percent, Some(50));
    assert_eq!(config.exit_ok.iter().copied().collect::<Vec<_>>(), [3, 6]);
}

#[test]
fn the_digest_tells_configurations_apart_that_plan_differently() {
    let base = loaded(MINIMAL).digest();
    let same = [
        loaded_with("journal_keep: 1d"),
        loaded_with("ledger: postgres://h/d"),
        loaded_with("exit_ok: [3]"),
        loaded_with("lifecycle: { defaults: { min_age: 900s } }"),
        loaded(&format!("{MINIMAL}    deadline: 1m\n    verify_every: never\n    batch_size: 3\n")),
        loaded(&MINIMAL.replace("inventory.json", "other.json").replace("cmdb.db", "other.db")),
    ];
    for config in same {
        assert_eq!(config.digest(), base);
    }
    let different = [
        loaded_with("ownership: { owner: [] }"),
        loaded_with("ownership: { environment: { values: { a: b } } }"),
        loaded_with("lifecycle: { defaults: { min_age: 901s } }"),
        loaded_with("guardrails: { max_retire: 499 }"),
        loaded(&format!("{MINIMAL}    adopt: match\n")),
        loaded(&format!("{MINIMAL}    purge: delete\n")),
        loaded(&format!("{MINIMAL}    max_records: 5\n")),
        loaded(&format!("{MINIMAL}    authority: {{ owner: report }}\n")),
        loaded(&format!("{MINIMAL}    include: {{ kinds: [instance] }}\n")),
        loaded(&MINIMAL.replace("name: demo", "name: other")),
        loaded(&MINIMAL.replace("name: cmdb", "name: other")),
    ];
    let mut digests: Vec<_> = different.iter().map(Config::digest).chain([base]).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), different.len() + 1);
}

/// Stored plans carry it: a new value here refuses every plan saved before.
#[test]
fn the_digest_is_stable() {
    insta::assert_snapshot!(loaded(MINIMAL).digest(), @"ca70df5f0bcb469bc2b06016f87d795d");
}

#[test]
fn the_ledgers_secrets_are_read_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let load = |ledger: &str| super::load_str("dewpoint.yaml", &format!("{ledger}\n{MINIMAL}"), folder.path()).unwrap();
    let config = load("ledger: postgres://me@host/db\nledger_password: file:pg");
    let error = config.ledger_location().unwrap_err();
    assert!(error.to_string().starts_with("dewpoint.yaml:2:18: cannot read the secret `file:"), "{error}");
    std::fs::write(folder.path().join("pg"), "hunter2 /@\n").unwrap();
    let LedgerLocation::Postgres(url) = config.ledger_location().unwrap() else { panic!("no PostgreSQL") };
    assert_eq!(url.expose_secret(), "postgres://me:hunter2%20%2F%40@host/db");
    assert!(!format!("{config:?}{url:?}").contains("hunter2"));

    let config = load("ledger: file:url");
    std::fs::write(folder.path().join("url"), "postgres://me:hunter2@host/db").unwrap();
    assert!(matches!(config.ledger_location(), Ok(LedgerLocation::Postgres(_))));
    std::fs::write(folder.path().join("url"), "sqlite://x.db").unwrap();
    assert!(matches!(config.ledger_location(), Ok(LedgerLocation::Sqlite(path)) if path == folder.path().join("x.db")));
    std::fs::write(folder.path().join("url"), "hunter2").unwrap();
    let error = config.ledger_location().unwrap_err();
    assert!(!format!("{error:?} {error} {}", error.hint()).contains("hunter2"));
}
