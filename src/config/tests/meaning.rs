//! What a valid configuration means.

use std::time::Duration;

use dewpoint_aws_settings::{Accounts, ExternalId, ListedAccount, Rate, Rates, Regions, UsualRole};
use dewpoint_azure_settings::{self as azure, Collector, Credential, Endpoints, Subscriptions, UserAssigned};
use dewpoint_core::expression::Expression;
use dewpoint_core::lifecycle::Timers;
use dewpoint_core::model::Kind;
use dewpoint_core::ownership::FactTags;
use dewpoint_core::plan::Limits;
use dewpoint_core::target::{Adopt, Authority, Purge};
use secrecy::ExposeSecret;

use super::super::{
    AwsAccount, AwsAccounts, AwsSettings, AzureCredential, AzureIdentity, AzureSettings, Given, LedgerConfig, LedgerLocation, Place,
    Position, Proxy, Secret, SecretRef, ServiceNowAuth, SourceKind, TargetKind,
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

const GUID: &str = "11111111-2222-3333-4444-555555555555";

/// A configuration with one Azure source with these keys, its tenant and credential among them.
fn with_azure(keys: &str) -> Config {
    loaded(&azure_text(keys))
}

fn azure_text(keys: &str) -> String {
    MINIMAL.replace("kind: file\n    path: inventory.json", &format!("kind: azure\n{}", super::indented(keys).trim_end()))
}

#[track_caller]
fn azure_settings(config: &Config) -> &AzureSettings {
    let SourceKind::Azure(settings) = &config.sources.first().unwrap().kind else { panic!("no Azure source") };
    settings
}

/// What is meant by these keys beside a tenant and a credential.
#[track_caller]
fn azure_with(keys: &str) -> AzureSettings {
    azure_settings(&with_azure(&format!("tenant: contoso.com\ncredential: {{ kind: azure_cli }}\n{keys}"))).clone()
}

#[test]
fn an_azure_source_needs_a_tenant_and_a_credential_alone() {
    let expected = AzureSettings {
        tenant: "contoso.com".to_owned(),
        credential: AzureCredential::AzureCli,
        subscriptions: Subscriptions::All,
        collector: Collector::Arm,
        endpoints: Endpoints::public(),
        ca_file: None,
        proxy: None,
        api_versions: azure::ApiVersions::default(),
        timeout: Duration::from_secs(120),
        rates: azure::Rates::default(),
    };
    assert_eq!(azure_with(""), expected);
    assert_eq!(azure_with("subscriptions: all\ncollector: arm\ncloud: public\nendpoints: {}\napi_versions: {}\nrate: {}"), expected);
    let config = with_azure("tenant: Contoso.COM\ncredential: { kind: azure_cli }");
    assert_eq!((azure_settings(&config), config.sources.first().unwrap().kind.as_str()), (&expected, "azure"));
}

#[test]
fn every_key_of_an_azure_source_is_understood() {
    let config = with_azure(
        "\
tenant: AAAAAAAA-2222-3333-4444-555555555555
credential: { kind: client_secret, client_id: AAAAAAAA-2222-3333-4444-555555555555, client_secret: file:secrets/azure }
subscriptions: [BBBBBBBB-2222-3333-4444-555555555555, 11111111-2222-3333-4444-555555555555]
collector: resource_graph
cloud: china
endpoints: { authority: https://login.partner.microsoftonline.cn/, audience: https://management.core.chinacloudapi.cn/, ca_file: tls/ca.pem }
proxy: env:PROXY
api_versions: { Microsoft.Compute/virtualMachines: 2023-09-01, Microsoft.Network/loadBalancers: 2024-01-01-preview }
timeout: 30s
rate: { compute: { burst: 7 }, resource_graph: { requests_per_second: 1 } }",
    );
    let settings = azure_settings(&config);
    let secret = |key: &str, reference, line, column| {
        let place = Place { file: "dewpoint.yaml".to_owned(), position: Position { line, column } };
        Secret { key: key.to_owned(), reference, place }
    };
    let client_secret = secret("sources.demo.credential.client_secret", SecretRef::File("/etc/dewpoint/secrets/azure".into()), 5, 104);
    let usual = azure::Rates::default();
    let expected = AzureSettings {
        tenant: "aaaaaaaa-2222-3333-4444-555555555555".to_owned(),
        credential: AzureCredential::ClientSecret {
            client_id: Given::Plain("aaaaaaaa-2222-3333-4444-555555555555".to_owned()),
            client_secret,
        },
        subscriptions: Subscriptions::Listed(
            [GUID, "bbbbbbbb-2222-3333-4444-555555555555"].into_iter().map(|id| id.parse().unwrap()).collect(),
        ),
        collector: Collector::ResourceGraph,
        endpoints: Endpoints {
            authority: "https://login.partner.microsoftonline.cn".parse().unwrap(),
            resource_manager: "https://management.chinacloudapi.cn".parse().unwrap(),
            audience: "https://management.core.chinacloudapi.cn".to_owned(),
        },
        ca_file: Some("/etc/dewpoint/tls/ca.pem".into()),
        proxy: Some(Proxy::Through(Given::Kept(secret("sources.demo.proxy", SecretRef::Env("PROXY".to_owned()), 10, 12)))),
        api_versions: [("Microsoft.Compute/virtualMachines", "2023-09-01"), ("Microsoft.Network/loadBalancers", "2024-01-01-preview")]
            .into_iter()
            .collect(),
        timeout: Duration::from_secs(30),
        rates: azure::Rates {
            compute: azure::Rate { burst: 7.try_into().unwrap(), ..usual.compute },
            resource_graph: azure::Rate { per_second: 1.try_into().unwrap(), ..usual.resource_graph },
            ..usual
        },
    };
    assert_eq!(*settings, expected);
    assert_eq!(azure_with("subscriptions: { management_group: Prod }").subscriptions, Subscriptions::ManagementGroup("Prod".to_owned()));
    assert_eq!(azure_with("proxy: none").proxy, Some(Proxy::Direct));
}

#[test]
fn addresses_of_azure_go_over_those_of_its_cloud() {
    assert_eq!(azure_with("cloud: us_government").endpoints, Endpoints::us_government());
    assert_eq!(azure_with("cloud: china").endpoints, Endpoints::china());
    let emulator = azure_with("cloud: us_government\nendpoints: { resource_manager: 'https://127.0.0.1:4443/arm/' }").endpoints;
    assert_eq!(emulator.authority, Endpoints::us_government().authority);
    assert_eq!((emulator.resource_manager.as_str(), emulator.audience.as_str()), ("https://127.0.0.1:4443/arm/", "https://127.0.0.1:4443"));
    let stated =
        azure_with("endpoints: { resource_manager: 'https://arm.example:443', audience: 'https://management.azure.com/' }").endpoints;
    assert_eq!(stated.audience, "https://management.azure.com");
    let usual_port = azure_with("endpoints: { resource_manager: 'https://arm.example:443' }").endpoints;
    assert_eq!((usual_port.resource_manager.as_str(), usual_port.audience.as_str()), ("https://arm.example/", "https://arm.example"));
    // Who names the authority alone asks the cloud's own Resource Manager.
    let authority = azure_with("endpoints: { authority: 'https://login.example' }").endpoints;
    assert_eq!(authority, Endpoints { authority: "https://login.example".parse().unwrap(), ..Endpoints::public() });
}

#[test]
fn the_digest_takes_in_what_an_azure_source_covers() {
    let text = |tenant: &str, keys: &str| with_azure(&format!("tenant: {tenant}\ncredential: {{ kind: azure_cli }}\n{keys}")).digest();
    let other_id = "11111111-2222-3333-4444-555555555556";
    let base = text("contoso.com", "");
    let same = [
        text("CONTOSO.com", "subscriptions: all"),
        text("contoso.com", "collector: resource_graph"),
        text("contoso.com", "cloud: china\nendpoints: { authority: 'https://x.example' }"),
        text(
            "contoso.com",
            "timeout: 1s\nrate: { compute: { burst: 1 } }\nproxy: none\napi_versions: { Microsoft.Compute/disks: 2024-01-01 }",
        ),
        with_azure("tenant: contoso.com\ncredential: { kind: managed_identity }").digest(),
    ];
    for digest in same {
        assert_eq!(digest, base);
    }
    assert_eq!(
        text("contoso.com", &format!("subscriptions: [{GUID}, {other_id}]")),
        text("contoso.com", &format!("subscriptions: [{other_id}, {GUID}]"))
    );
    let mut digests = vec![
        base,
        text("fabrikam.com", ""),
        text("contoso.com", &format!("subscriptions: [{GUID}]")),
        text("contoso.com", &format!("subscriptions: [{GUID}, {other_id}]")),
        text("contoso.com", "subscriptions: { management_group: prod }"),
        text("contoso.com", "subscriptions: { management_group: test }"),
        text("contoso.com", "subscriptions: { management_group: all }"),
        loaded(MINIMAL).digest(),
        aws("").digest(),
    ];
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn secrets_of_azure_are_read_when_asked_for() {
    const PEM: &str = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let resolve = |credential: &str| {
        let text = azure_text(&format!("tenant: contoso.com\ncredential: {credential}"));
        let config = super::load_str("dewpoint.yaml", &text, folder.path()).map_err(|errors| errors.render(false)).unwrap();
        let resolved = azure_settings(&config).resolve();
        assert!(!format!("{config:?} {resolved:?}").contains("hunter2"));
        resolved
    };
    let by_secret = "{ kind: client_secret, client_id: file:id, client_secret: file:secret }";
    write("id", "AAAAAAAA-2222-3333-4444-555555555555\n");
    let error = resolve(by_secret).unwrap_err();
    assert!(error.to_string().starts_with("dewpoint.yaml:5:75: `sources.demo.credential.client_secret`: cannot use"), "{error}");
    write("secret", "hunter2~.\n");
    let Ok(Credential::ClientSecret { client_id, secret }) = resolve(by_secret) else { panic!("no client secret") };
    assert_eq!((client_id.as_str(), secret.expose_secret()), ("aaaaaaaa-2222-3333-4444-555555555555", "hunter2~."));
    write("id", "hunter2");
    let error = resolve(by_secret).unwrap_err();
    let said = format!("{error} {} {} {error:?}", error.source, error.hint());
    assert!(
        said.contains("`sources.demo.credential.client_id`") && said.contains("client id: a GUID") && !said.contains("hunter2"),
        "{said}"
    );

    let by_certificate = format!("{{ kind: client_certificate, client_id: {GUID}, certificate: file:pem }}");
    for (pem, fits) in [
        (PEM.to_owned(), true),
        (PEM.replace("PRIVATE", "RSA PRIVATE"), true),
        (PEM.replace("PRIVATE", "EC PRIVATE"), false),
        (PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"), false),
        (PEM.replace("PRIVATE", "RSA PRIVATE").replace("hunter2", "Proc-Type: 4,ENCRYPTED\n\nhunter2"), false),
        (PEM.split_at(PEM.find("-----BEGIN PRIVATE").unwrap()).0.to_owned(), false),
        (PEM.split_at(PEM.find("-----BEGIN PRIVATE").unwrap()).1.to_owned(), false),
        ("hunter2".to_owned(), false),
    ] {
        write("pem", &pem);
        match resolve(&by_certificate) {
            Ok(Credential::ClientCertificate { client_id, pem: read }) => {
                assert!(fits, "{pem}");
                assert_eq!((client_id.as_str(), read.expose_secret()), (GUID, pem.trim_end()));
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(!fits, "{pem}");
                let said = format!("{error} {} {} {error:?}", error.source, error.hint());
                assert!(said.contains("BEGIN CERTIFICATE") && said.contains("unencrypted") && !said.contains("hunter2"), "{said}");
            }
        }
    }

    let Ok(Credential::WorkloadIdentity { client_id: None, token_file: None }) = resolve("{ kind: workload_identity }") else { panic!() };
    let with_file = format!("{{ kind: workload_identity, client_id: {GUID}, token_file: tokens/azure }}");
    let Ok(Credential::WorkloadIdentity { client_id, token_file }) = resolve(&with_file) else { panic!() };
    assert_eq!((client_id.as_deref(), token_file), (Some(GUID), Some(folder.path().join("tokens/azure"))));

    let resource = format!("/subscriptions/{GUID}/resourceGroups/RG/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Dewpoint");
    let identities = [
        (String::new(), None),
        (format!("client_id: {GUID}"), Some(UserAssigned::ClientId(GUID.to_owned()))),
        (format!("object_id: {GUID}"), Some(UserAssigned::ObjectId(GUID.to_owned()))),
        (format!("resource_id: {resource}"), Some(UserAssigned::ResourceId(resource.clone()))),
    ];
    for (key, expected) in identities {
        let Ok(Credential::ManagedIdentity { identity }) = resolve(&format!("{{ kind: managed_identity, {key} }}")) else {
            panic!("{key}")
        };
        assert_eq!(identity, expected);
    }
    assert!(matches!(resolve("{ kind: azure_cli }"), Ok(Credential::AzureCli)));
    let config = with_azure(&format!("tenant: contoso.com\ncredential: {{ kind: managed_identity, object_id: {} }}", GUID.to_uppercase()));
    let expected = AzureCredential::ManagedIdentity { identity: Some(AzureIdentity::ObjectId(GUID.to_owned())) };
    assert_eq!(azure_settings(&config).credential, expected);
}
