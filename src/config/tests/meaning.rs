//! What a valid configuration means.

use std::time::Duration;

use dewpoint_aws_settings::{Accounts, ExternalId, ListedAccount, Rate, Rates, Regions, UsualRole};
use dewpoint_core::expression::Expression;
use dewpoint_core::lifecycle::Timers;
use dewpoint_core::model::Kind;
use dewpoint_core::ownership::FactTags;
use dewpoint_core::plan::Limits;
use dewpoint_core::target::{Adopt, Authority, Purge};
use secrecy::ExposeSecret;

use super::super::{
    AwsAccount, AwsAccounts, AwsSettings, Given, LedgerConfig, LedgerLocation, Place, Position, Proxy, Secret, SecretRef, ServiceNowAuth,
    SourceKind, TargetKind,
};
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
  - name: a
    kind: aws
    accounts:
      - { id: \"012345678901\", role_arn: arn:aws-us-gov:iam::012345678901:role/tools/Audit, external_id: file:secrets/one }
      - { id: '123456789012' }
    role_name: /tools/Reader
    external_id: env:AWS_EXTERNAL_ID
    regions: [eu-west-1]
    endpoint_url: http://127.0.0.1:5000
    timeout: 30s
    rate: { ec2: { burst: 7 }, sts: { requests_per_second: 1 } }
  - { name: b, kind: file, path: /data/x.json, max_file_bytes: 10 }
ownership: { owner: { tags: [who], values: { Ann: ' ann@example.com ' } }, support_group: [], environment: { values: { prod: production, 1: one } } }
lifecycle: { defaults: { min_age: 0s, confirm_missing: 3, retire_after: 1d12h, purge_after: 90d, min_dwell: 1w } }
targets:
  - name: c
    kind: local
    path: c.db
    include: { kinds: [instance], when: ci.kind == 'instance' && ci.environment != 'sandbox' }
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
    let SourceKind::Aws(aws) = &aws.kind else { panic!("{aws:?}") };
    let secret = |key: &str, reference, line, column| {
        let place = Place { file: "dewpoint.yaml".to_owned(), position: Position { line, column } };
        Some(Secret { key: key.to_owned(), reference, place })
    };
    let first = AwsAccount {
        id: "012345678901".parse().unwrap(),
        role_arn: Some("arn:aws-us-gov:iam::012345678901:role/tools/Audit".to_owned()),
        external_id: secret("sources.a.accounts[0].external_id", SecretRef::File("/etc/dewpoint/secrets/one".into()), 8, 105),
    };
    let second = AwsAccount { id: "123456789012".parse().unwrap(), role_arn: None, external_id: None };
    let usual = Rates::default();
    let expected = AwsSettings {
        accounts: AwsAccounts::Listed(vec![first, second]),
        role_name: "tools/Reader".to_owned(),
        external_id: secret("sources.a.external_id", SecretRef::Env("AWS_EXTERNAL_ID".to_owned()), 11, 18),
        regions: Regions::Listed(["eu-west-1".parse().unwrap()].into()),
        endpoint_url: Some("http://127.0.0.1:5000".parse().unwrap()),
        timeout: Duration::from_secs(30),
        rates: Rates {
            ec2: Rate { burst: 7.try_into().unwrap(), ..usual.ec2 },
            sts: Rate { per_second: 1.try_into().unwrap(), ..usual.sts },
            ..usual
        },
    };
    assert_eq!(**aws, expected);
    assert_eq!(file.kind, SourceKind::File { path: "/data/x.json".into(), max_file_bytes: 10 });
    let told = |tags: &FactTags| serde_json::json!({ "tags": tags.tags, "values": tags.values });
    assert_eq!(told(&config.ownership.owner), serde_json::json!({ "tags": ["who"], "values": { "Ann": "ann@example.com" } }));
    assert_eq!(config.ownership.support_group, FactTags::default());
    assert_eq!(config.ownership.service.tags, ["service", "application"]);
    let environment = serde_json::json!({ "tags": ["env", "environment"], "values": { "prod": "production", "1": "one" } });
    assert_eq!(told(&config.ownership.environment), environment);
    let timers = &config.lifecycle.defaults;
    assert_eq!(timers.min_age, Duration::ZERO);
    assert_eq!(timers.retire_after, Duration::from_secs(36 * 3600));
    assert_eq!(timers.purge_after, Some(Duration::from_secs(90 * 86_400)));
    let target = config.targets.first().unwrap();
    assert_eq!((target.adopt, target.purge, target.batch_size), (Adopt::Contribute, Purge::Delete, 1));
    assert_eq!(target.include.kinds, [Kind::Instance].into());
    assert_eq!(target.include.when.as_ref().map(Expression::source), Some("ci.kind == 'instance' && ci.environment != 'sandbox'"));
    assert_eq!(target.authority.get("owner"), Some(&Authority::IfEmpty));
    assert_eq!((target.verify_every, target.max_records), (None, Some(7)));
    assert_eq!(config.guardrails.max_update_percent, Some(50));
    assert_eq!(config.exit_ok.iter().copied().collect::<Vec<_>>(), [3, 6]);
}

#[test]
fn a_condition_that_will_hardly_be_meant_is_a_warning() {
    let config = loaded(&format!("{MINIMAL}    include: {{ when: 'ci.tags[\"tier\"] == \"1\"' }}\n"));
    let warning = config.warnings.first().unwrap();
    assert_eq!((warning.line, warning.column), (9, 23));
    assert!(warning.text.starts_with("target `cmdb`: `include.when`: "), "{}", warning.text);
    assert!(config.targets.first().unwrap().include.when.is_some());
}

/// A configuration with one AWS source with these keys.
fn aws(keys: &str) -> Config {
    loaded(&MINIMAL.replace("kind: file\n    path: inventory.json", &format!("kind: aws\n{}", super::indented(keys))))
}

#[track_caller]
fn settings(config: &Config) -> &AwsSettings {
    let SourceKind::Aws(settings) = &config.sources.first().unwrap().kind else { panic!("no AWS source") };
    settings
}

#[test]
fn an_aws_source_needs_no_keys() {
    let config = aws("");
    let expected = AwsSettings {
        accounts: AwsAccounts::Own,
        role_name: "DewpointReader".to_owned(),
        external_id: None,
        regions: Regions::All,
        endpoint_url: None,
        timeout: Duration::from_secs(180),
        rates: Rates::default(),
    };
    assert_eq!(*settings(&config), expected);
    assert_eq!(
        *settings(&aws("regions: all\nrole_name:\n  DewpointReader\naccounts: organization")),
        AwsSettings { accounts: AwsAccounts::Organization, ..expected }
    );
}

#[test]
fn the_digest_takes_in_what_an_aws_source_covers() {
    const LIST: &str = "[{ id: '000000000001' }, { id: '000000000002' }]";
    let base = aws("").digest();
    let same = [aws("regions: all"), aws("endpoint_url: http://127.0.0.1:5000"), aws("timeout: 1s"), aws("rate: { ec2: { burst: 1 } }")];
    for config in same {
        assert_eq!(config.digest(), base);
    }
    let listed = aws(&format!("accounts: {LIST}")).digest();
    let same = [
        aws("accounts: [{ id: '000000000002', external_id: env:X }, { id: '000000000001', role_arn: 'arn:aws:iam::000000000001:role/X' }]"),
        aws(&format!("accounts: {LIST}\nrole_name: X\nexternal_id: env:X")),
    ];
    for config in same {
        assert_eq!(config.digest(), listed);
    }
    let different = [
        aws("accounts: organization"),
        aws("accounts: [{ id: '000000000001' }]"),
        aws("regions: [eu-west-1]"),
        aws("regions: [eu-west-1, eu-west-2]"),
        loaded(MINIMAL),
    ];
    let mut digests: Vec<_> = different.iter().map(Config::digest).chain([base, listed]).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), different.len() + 2);
}

#[test]
fn external_ids_are_read_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\
sources:
  - name: a
    kind: aws
    accounts: [{ id: '000000000001', external_id: file:one }, { id: '000000000002' }]
    external_id: file:usual
targets: [{ name: b, kind: local, path: c.db }]
";
    let config = super::load_str("dewpoint.yaml", text, folder.path()).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let resolved = || settings(&config).resolve();

    write("one", "two:2\n");
    let error = resolved().unwrap_err();
    assert!(error.to_string().starts_with("dewpoint.yaml:5:18: `sources.a.external_id`: cannot use the secret `file:"), "{error}");
    write("usual", "hunter2/@=,.+-_:");
    let (accounts, usual) = resolved().unwrap();
    let [one, two] = ["two:2", "hunter2/@=,.+-_:"].map(|id| Some(ExternalId::new(id)));
    assert_eq!(usual, UsualRole { name: "DewpointReader".to_owned(), external_id: two });
    let listed = |id: &str, external_id| ListedAccount { id: id.parse().unwrap(), role_arn: None, external_id };
    assert_eq!(accounts, Accounts::Listed(vec![listed("000000000001", one), listed("000000000002", None)]));
    assert!(!format!("{config:?}{accounts:?}{usual:?}").contains("hunter2"));

    for (value, fits) in
        [("x", false), ("xy", true), ("hunter2 x", false), ("hünter2", false), (&"x".repeat(1224), true), (&"x".repeat(1225), false)]
    {
        write("one", value);
        match resolved() {
            Ok(_) => assert!(fits, "{value}"),
            Err(error) => {
                assert!(!fits, "{value}");
                let said = format!("{error} {} {}", error.source, error.hint());
                assert!(said.contains("`sources.a.accounts[0].external_id`") && said.contains("2 to 1224"), "{said}");
                assert!(!format!("{said} {error:?}").contains("nter2"));
            }
        }
    }
}

#[test]
fn the_digest_tells_configurations_apart_that_plan_differently() {
    let base = loaded(MINIMAL).digest();
    let same = [
        loaded_with("journal_keep: 1d"),
        loaded_with("ledger: postgres://h/d"),
        loaded_with("exit_ok: [3]"),
        loaded_with("lifecycle: { defaults: { min_age: 900s } }"),
        loaded_with("ownership: { environment: { tags: [env, environment] }, owner: { values: {} } }"),
        loaded(&format!("{MINIMAL}    deadline: 1m\n    verify_every: never\n    batch_size: 3\n")),
        loaded(&MINIMAL.replace("inventory.json", "other.json").replace("cmdb.db", "other.db")),
    ];
    for config in same {
        assert_eq!(config.digest(), base);
    }
    let different = [
        loaded_with("ownership: { owner: [] }"),
        loaded_with("ownership: { environment: { values: { a: b } } }"),
        loaded_with("ownership: { owner: { values: { a: b } } }"),
        loaded_with("lifecycle: { defaults: { min_age: 901s } }"),
        loaded_with("guardrails: { max_retire: 499 }"),
        loaded(&format!("{MINIMAL}    adopt: match\n")),
        loaded(&format!("{MINIMAL}    purge: delete\n")),
        loaded(&format!("{MINIMAL}    max_records: 5\n")),
        loaded(&format!("{MINIMAL}    authority: {{ owner: report }}\n")),
        loaded(&format!("{MINIMAL}    include: {{ kinds: [instance] }}\n")),
        loaded(&format!("{MINIMAL}    include: {{ when: ci.name != 'x' }}\n")),
        loaded(&format!("{MINIMAL}    include: {{ when: ci.name != 'y' }}\n")),
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
    insta::assert_snapshot!(loaded(MINIMAL).digest(), @"8bc197f527a3310c077b0117c1174d2c");
}

#[test]
fn the_ledgers_secrets_are_read_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let load = |ledger: &str| super::load_str("dewpoint.yaml", &format!("{ledger}\n{MINIMAL}"), folder.path()).unwrap();
    let config = load("ledger: postgres://me@host/db\nledger_password: file:pg");
    let error = config.ledger_location().unwrap_err();
    assert!(error.to_string().starts_with("dewpoint.yaml:2:18: `ledger_password`: cannot use the secret `file:"), "{error}");
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

#[test]
fn a_servicenow_target_is_understood() {
    let text = |url: &str, auth: &str, more: &str| {
        format!(
            "sources: [{{ name: a, kind: file, path: b.json }}]\ntargets:\n  - name: s\n    kind: servicenow\n    url: {url}\n    auth: {auth}\n{more}"
        )
    };
    let more = "    discovery_source: Dewpoint EU
    include: { kinds: [instance] }
    authority: { owned_by: owned, asset_tag: initial }
    mapping: { instance: { class: cmdb_ci_linux_server, fields: { asset_tag: ci.name, u_app: { value: ci.service, reference: { table: cmdb_ci_service } } } }, pool: {} }
    relationships: { protected_by: 'Uses::Used by' }
    rate: { requests_per_second: 3 }
    batch_size: 500
    timeout: 30s
    ca_file: tls/ca.pem
    proxy: http://proxy.example.com:3128
    statuses: { retired: { install_status: 100, life_cycle_stage_status: Obsolete } }
    life_cycle: true
";
    let oauth = "{ oauth: { client_id: plain, client_secret: env:S, username: env:U, password: file:pw } }";
    let config = loaded(&text("https://example.service-now.com/", oauth, more));
    let target = config.targets.first().unwrap();
    let TargetKind::ServiceNow(settings) = &target.kind else { panic!("{target:?}") };
    assert_eq!((target.kind.as_str(), settings.address().as_str()), ("servicenow", "https://example.service-now.com"));
    let ServiceNowAuth::OAuth { client_id, client_secret, user: Some((username, password)) } = &settings.auth else {
        panic!("{settings:?}")
    };
    assert_eq!((client_id, client_secret.key.as_str()), (&Given::Plain("plain".to_owned()), "targets.s.auth.oauth.client_secret"));
    assert!(matches!(username, Given::Kept(secret) if secret.reference == SecretRef::Env("U".to_owned())));
    assert_eq!(password.reference, SecretRef::File("/etc/dewpoint/pw".into()));
    assert_eq!(password.place.to_string(), "dewpoint.yaml:6:89");
    assert_eq!((target.batch_size, settings.requests_per_second.get(), settings.timeout), (500, 3, Duration::from_secs(30)));
    assert_eq!(settings.ca_file.as_deref(), Some(std::path::Path::new("/etc/dewpoint/tls/ca.pem")));
    assert_eq!(target.authority.get("asset_tag"), Some(&Authority::Initial));
    assert_eq!(settings.proxy, Some(Proxy::Through(Given::Plain("http://proxy.example.com:3128/".to_owned()))));

    let planned = serde_json::json!({
        "discovery_source": "Dewpoint EU",
        "mapping": {
            "instance": { "class": "cmdb_ci_linux_server", "fields": {
                "asset_tag": "ci.name", "u_app": { "value": "ci.service", "table": "cmdb_ci_service", "by": ["name"] },
            } },
            "pool": { "class": null, "fields": {} },
        },
        "relationships": { "protected_by": "Uses::Used by" },
        "statuses": [[1, 1, "Operational", "In Use"], [1, 2, "Operational", "In Use"], [100, 6, "End of Life", "Obsolete"]],
        "life_cycle": true,
    });
    assert_eq!(settings.planned(), planned);

    // Address, credentials and pace decide nothing.
    let basic = "{ basic: { username: bot, password: env:P } }";
    let other = more
        .replace("second: 3", "second: 4")
        .replace("500", "1")
        .replace("30s", "31s")
        .replace("tls/ca", "ca")
        .replace("http://proxy.example.com:3128", "none");
    assert_eq!(loaded(&text("http://127.0.0.1:1", basic, &other)).digest(), config.digest());
    for (from, to) in [
        ("ci.name", "ci.region"),
        ("linux", "win"),
        ("Uses::", "Users::"),
        ("EU", "US"),
        ("[instance]", "[pool]"),
        ("initial", "owned"),
        ("100", "101"),
        ("life_cycle: true", "life_cycle: false"),
    ] {
        let other = loaded(&text("https://example.service-now.com/", oauth, &more.replace(from, to)));
        assert_ne!(other.digest(), config.digest(), "{from}");
        assert_ne!(other, config, "{from}");
    }
}
