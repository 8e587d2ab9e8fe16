//! Tokens: had in every way, renewed, and never told.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dewpoint_azure_settings::UserAssigned;
use dewpoint_azure_sim::world::{Federation, Secret};
use dewpoint_azure_sim::{Effect, Fault, Mishap};
use dewpoint_core::source::SourceError;

use super::*;

/// A world with one machine.
fn world() -> World {
    let mut world = World::new();
    world.subscription("prod").group("rg", "westeurope").vm("vm");
    world
}

fn asked(sim: &Sim, operation: &str) -> usize {
    sim.calls().iter().filter(|call| call.operation == operation).count()
}

async fn refusal(setup: Setup) -> SourceError {
    setup.build().pull(&Notes::default()).await.unwrap_err()
}

async fn check_reads(setup: Setup) {
    let pull = setup.pull().await;
    assert_eq!((incomplete(&pull), all_of(&pull, Kind::Instance).len()), (Vec::new(), 1));
}

#[tokio::test]
async fn what_the_token_endpoint_says_is_told_with_what_to_do() {
    const OTHER: &str = "00000000-0000-4000-8000-00000000000b";
    let mut world = world();
    world.application(CLIENT).secrets.push(Secret { value: "ended".to_owned(), expires: Some("2026-01-01T00:00:00Z".parse().unwrap()) });
    world.application(OTHER).blocked = true;
    world.application(OTHER).secrets.push(Secret { value: "blocked".to_owned(), expires: None });
    let sim = start(world);
    for (client, secret, tenant, number) in [
        (CLIENT, "wrong-secret", TENANT, "7000215"),
        (CLIENT, "ended", TENANT, "7000222"),
        ("00000000-0000-4000-8000-00000000000c", "any", TENANT, "700016"),
        (CLIENT, CLIENT_SECRET, "11111111-1111-4111-8111-111111111111", "90002"),
        (OTHER, "blocked", TENANT, "53003"),
    ] {
        sim.clear_calls();
        let error = refusal(setup(&sim).with(|config| {
            tenant.clone_into(&mut config.tenant);
            config.credential = Credential::ClientSecret { client_id: client.to_owned(), secret: secret.to_owned().into() };
        }))
        .await;
        assert!(matches!(&error, SourceError::Credentials { .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(&format!("AADSTS{number}")) && crate::credentials::mend(&text).is_some(), "{text}");
        assert!(!text.contains(secret) || secret == "any" || secret == "ended" || secret == "blocked", "{text}");
        assert_eq!(asked(&sim, "token"), 1, "a refusal is final");
    }
}

#[tokio::test]
async fn a_secret_is_shown_nowhere() {
    let sim = start(world());
    let source = setup(&sim).build();
    pull(&source).await;
    let token = sim.token(CLIENT);
    let shown = format!("{source:?} {:?} {:?} {:?}", source.config, source.arm, source.transport);
    assert!(!shown.contains(CLIENT_SECRET) && !shown.contains(token.get(..20).unwrap()), "{shown}");
    // Nor does it come back out of an answer that repeats the form.
    let body = format!(r#"{{"error": "invalid_client", "error_description": "AADSTS7000215: {CLIENT_SECRET}"}}"#);
    let headers = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    sim.faults(vec![Fault::new(Effect::Mishap(Mishap::Answer { status: 401, headers, body })).operation("token")]);
    let error = refusal(setup(&sim)).await;
    let text = format!("{error} {error:?}");
    assert!(!text.contains(CLIENT_SECRET), "{text}");
}

const CERTIFICATE: &str = include_str!("keys/certificate.pem");
const PKCS8: &str = include_str!("keys/pkcs8.pem");
const PKCS1: &str = include_str!("keys/pkcs1.pem");
const OTHER_KEY: &str = include_str!("keys/other.pem");
const ENCRYPTED: &str = include_str!("keys/encrypted.pem");
const ELLIPTIC: &str = include_str!("keys/elliptic.pem");

fn by_certificate(sim: &Sim, parts: &[&str]) -> Setup {
    let pem = parts.concat();
    setup(sim).with(|config| config.credential = Credential::ClientCertificate { client_id: CLIENT.to_owned(), pem: pem.into() })
}

#[tokio::test]
async fn a_certificate_logs_in() {
    let mut world = world();
    world.application(CLIENT).secrets.clear();
    world.application(CLIENT).certificates = vec![CERTIFICATE.to_owned()];
    let sim = start(world);
    for parts in [[CERTIFICATE, PKCS8], [PKCS8, CERTIFICATE], [CERTIFICATE, PKCS1]] {
        check_reads(by_certificate(&sim, &parts)).await;
    }
    let error = refusal(by_certificate(&sim, &[CERTIFICATE, OTHER_KEY])).await;
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("AADSTS700027")), "{error}");
    sim.edit(|world| world.application(CLIENT).certificates.clear());
    let error = refusal(by_certificate(&sim, &[CERTIFICATE, PKCS8])).await;
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("AADSTS700027")), "{error}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_once() {
    let sim = start(World::new());
    for (parts, word) in [
        (&[PKCS8][..], "no certificate"),
        (&[CERTIFICATE], "no private key"),
        (&[CERTIFICATE, ENCRYPTED], "not encrypted"),
        (&[CERTIFICATE, ELLIPTIC], "RSA"),
        (&["nothing of the kind"], "no certificate"),
    ] {
        let Setup { config, tuning } = by_certificate(&sim, parts);
        let error = AzureSource::tuned(config, tuning).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
        assert!(parts.iter().all(|part| part.lines().skip(1).all(|line| line.len() < 8 || !error.contains(line))), "{error}");
    }
    assert_eq!(sim.calls().len(), 0);
}

/// A token of another issuer's, which the simulator does not ask a signature of.
fn federated(number: i64) -> String {
    let end = Timestamp::now().as_second() + 600 + number;
    let claims = serde_json::json!({"iss": "https://issuer", "sub": "sync", "aud": "api://AzureADTokenExchange", "exp": end});
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()), part("x"))
}

#[tokio::test]
async fn a_federated_token_is_read_anew_each_time() {
    let takes = |world: &mut World, token: &str| {
        let federation = Federation { issuer: "https://issuer".to_owned(), subject: "sync".to_owned(), ..Federation::default() };
        world.application(CLIENT).secrets.clear();
        world.application(CLIENT).federations = vec![Federation { token: Some(token.to_owned()), ..federation }];
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let mut world = world();
    takes(&mut world, &federated(1));
    let sim = Arc::new(start(world));
    let (client_id, token_file) = (Some(CLIENT.to_owned()), Some(file.clone()));
    let set = || {
        setup(&sim).with(|config| {
            config.credential = Credential::WorkloadIdentity { client_id: client_id.clone(), token_file: token_file.clone() }
        })
    };
    let error = refusal(set()).await;
    assert!(matches!(&error, SourceError::Failed { .. }) && error.to_string().contains("token"), "there is no such file: {error}");

    let (old, new) = (federated(1), federated(2));
    sim.edit(|world| takes(world, &old));
    std::fs::write(&file, &old).unwrap();
    let source = set().build();
    assert_eq!(incomplete(&pull(&source).await), Vec::<String>::new());
    sim.edit(|world| takes(world, &new));
    sim.expire_tokens();
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { .. }) && !format!("{error:?}").contains(&old), "{error}");
    std::fs::write(&file, &new).unwrap();
    assert_eq!(incomplete(&pull(&set().build()).await), Vec::<String>::new());
    // The same source, whose refusal stands for some seconds, takes it up as well.
    let clock = Hurried::beside(&sim);
    let beside = Arc::clone(&clock);
    let source = set().with(|config| config.clock = beside).build();
    assert_eq!(incomplete(&pull(&source).await), Vec::<String>::new());
    let newest = federated(3);
    sim.edit(|world| takes(world, &newest));
    sim.expire_tokens();
    assert!(source.pull(&Notes::default()).await.is_err());
    std::fs::write(&file, &newest).unwrap();
    clock.advance(Duration::from_secs(11));
    assert_eq!(incomplete(&pull(&source).await), Vec::<String>::new());
}

/// The metadata service of a machine: plain, and with the same tokens.
fn metadata(world: World) -> Sim {
    Sim::start_with(Start { tls: false, ..Start::new(world) }).unwrap()
}

fn as_managed(sim: &Sim, metadata: &Sim, identity: Option<UserAssigned>) -> Setup {
    let url = metadata.url().parse().unwrap();
    setup(sim).with(|config| config.credential = Credential::ManagedIdentity { identity }).tuned(|tuning| tuning.metadata = Some(url))
}

#[tokio::test]
async fn a_managed_identity_asks_the_machine() {
    const OTHER: &str = "00000000-0000-4000-8000-00000000000d";
    let resource_id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/sync";
    let mut world = world();
    world.application(CLIENT).managed = true;
    world.application(OTHER).managed = true;
    world.application(OTHER).resource_id = Some(resource_id.to_owned());
    let object_id = world.application(OTHER).object_id.clone();
    let (sim, machine) = (start(world.clone()), metadata(world));
    for (identity, client) in [
        (None, CLIENT),
        (Some(UserAssigned::ClientId(OTHER.to_owned())), OTHER),
        (Some(UserAssigned::ObjectId(object_id)), OTHER),
        (Some(UserAssigned::ResourceId(resource_id.to_owned())), OTHER),
    ] {
        machine.clear_calls();
        check_reads(as_managed(&sim, &machine, identity)).await;
        let calls = machine.calls();
        assert_eq!(calls.iter().map(|call| (call.operation.as_str(), call.client.as_str())).collect::<Vec<_>>(), [("imds", client)]);
    }
    assert_eq!(asked(&sim, "token"), 0);
    let nobody = Some(UserAssigned::ClientId("00000000-0000-4000-8000-00000000000e".to_owned()));
    let error = refusal(as_managed(&sim, &machine, nobody)).await;
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("not been assigned")), "{error}");

    machine.clear_calls();
    machine.faults(vec![Fault::new(Effect::Throttle { retry_after_s: None, compute: false }).operation("imds").times(1)]);
    check_reads(as_managed(&sim, &machine, None)).await;
    assert_eq!(asked(&machine, "imds"), 2);
    let nowhere = start(World::new()).url().replace("https", "http").parse().unwrap();
    let error = refusal(as_managed(&sim, &machine, None).tuned(|tuning| tuning.metadata = Some(nowhere))).await;
    assert!(
        matches!(&error, SourceError::Failed { text, .. } if text.contains("nobody answers")),
        "no such service is no refusal: {error}"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_kept_when_it_cannot_be() {
    let mut world = world();
    world.application(CLIENT).managed = true;
    let (sim, machine) = (Arc::new(start(world.clone())), metadata(world));
    let clock = Hurried::beside(&sim);
    let beside = Arc::clone(&clock);
    let source = as_managed(&sim, &machine, None).with(|config| config.clock = beside).build();
    let goes_by = |minutes: u64| {
        clock.advance(Duration::from_secs(60 * minutes));
        machine.advance(SignedDuration::from_mins(i64::try_from(minutes).unwrap()));
    };
    let reads = async || assert_eq!(incomplete(&pull(&source).await), Vec::<String>::new());
    reads().await;
    goes_by(50);
    reads().await;
    assert_eq!(asked(&machine, "imds"), 1);
    goes_by(6);
    reads().await;
    assert_eq!(asked(&machine, "imds"), 2, "it has four minutes left");
    goes_by(56);
    let error = Effect::Error { status: 400, code: "AADSTS90033".to_owned(), message: "by script".to_owned() };
    machine.faults(vec![Fault::new(error).operation("imds")]);
    reads().await;
    assert_eq!(asked(&machine, "imds"), 3, "it is asked once, and the token is used as long as it lives");
    goes_by(5);
    assert!(matches!(source.pull(&Notes::default()).await.unwrap_err(), SourceError::Credentials { .. }));
    machine.faults(Vec::new());
    goes_by(1);
    reads().await;
}

#[tokio::test]
async fn a_token_that_ends_soon_is_not_asked_for_with_each_call() {
    let sim = start_with(world(), |settings| settings.token_life_s = 200);
    check_reads(setup(&sim)).await;
    // Should the machine be slow, one in ten seconds.
    assert!(asked(&sim, "token") <= 3, "{}", asked(&sim, "token"));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_for_all() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let ids: Vec<String> = (0..40).map(|number| group.vm(&format!("vm-{number}")).id()).collect();
    let sim = start(world);
    let source = setup(&sim).build();
    pull(&source).await;
    assert_eq!(asked(&sim, "token"), 1);
    sim.expire_tokens();
    let keys: Vec<(Key, Kind)> = ids.iter().map(|id| (Key::azure(id).unwrap(), Kind::Instance)).collect();
    let answers = source.look_up(&keys, &Notes::default()).await;
    assert!(answers.values().all(Result::is_ok));
    assert_eq!(asked(&sim, "token"), 2, "many calls were refused, and one token was asked for");
    sim.faults(vec![Fault::new(Effect::ExpiredToken).operation("disks.list").times(1)]);
    assert_eq!(incomplete(&pull(&source).await), Vec::<String>::new());
    assert_eq!(asked(&sim, "token"), 3);

    sim.clear_calls();
    sim.faults(vec![Fault::new(Effect::ExpiredToken).contains("api-version")]);
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("ExpiredAuthenticationToken")), "{error}");
    assert_eq!((asked(&sim, "token"), asked(&sim, "subscriptions.list")), (1, 2), "a second refusal is final");
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_no_refusal() {
    let sim = start(world());
    let unavailable = Effect::Error { status: 503, code: "AADSTS90033".to_owned(), message: "A transient error.".to_owned() };
    sim.faults(vec![Fault::new(unavailable).operation("token").times(1)]);
    check_reads(setup(&sim)).await;
    sim.faults(vec![Fault::new(Effect::Mishap(Mishap::Html { status: 502 })).operation("token")]);
    let error = refusal(setup(&sim)).await;
    assert!(matches!(&error, SourceError::Failed { .. }), "{error}");
    for body in ["{}", "not JSON"] {
        let mishap = Mishap::Answer { status: 200, headers: BTreeMap::new(), body: body.to_owned() };
        sim.faults(vec![Fault::new(Effect::Mishap(mishap)).operation("token")]);
        let error = refusal(setup(&sim)).await;
        assert!(matches!(&error, SourceError::Failed { .. }), "{body}: {error}");
    }
}

/// Set in the process that a test runs its own half in: where the simulator is. The environment of this process is all its tests'.
const SIMULATOR: &str = "DEWPOINT_TEST_AZURE_URL";
const AUTHORITY: &str = "DEWPOINT_TEST_AZURE_AUTHORITY";

/// Runs a test of this module in a process of its own, with this in its environment.
fn run_beside(sim: &Sim, test: &str, environment: &[(&str, &str)]) {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name, "--nocapture"]).env(SIMULATOR, sim.url()).env(AUTHORITY, sim.authority().unwrap());
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// In such a process: what a source is built from, with this credential.
fn beside(credential: Credential) -> Option<Setup> {
    let url = std::env::var(SIMULATOR).ok()?;
    let sim = start(World::new());
    let url = || url.parse().unwrap();
    Some(setup(&sim).with(|config| {
        config.endpoints = Endpoints { authority: url(), resource_manager: url(), ..config.endpoints.clone() };
        config.ca_pem = Some(std::env::var(AUTHORITY).unwrap().into_bytes());
        config.credential = credential;
    }))
}

#[tokio::test]
async fn a_managed_identity_asks_the_service_that_it_runs_in() {
    if let Some(setup) = beside(Credential::ManagedIdentity { identity: None }) {
        return check_reads(setup).await;
    }
    let mut world = world();
    world.application(CLIENT).managed = true;
    let (sim, service) = (start(world.clone()), metadata(world));
    let endpoint = format!("{}/msi/token", service.url());
    let test = "a_managed_identity_asks_the_service_that_it_runs_in";
    run_beside(&sim, test, &[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "sim-identity-header")]);
    assert_eq!((asked(&service, "appService"), asked(&sim, "token")), (1, 0));
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_is_logged_in_at_the_cli_is_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(setup) = beside(Credential::AzureCli) {
        let folder = std::env::var("PATH").unwrap();
        if !folder.contains("nobody") {
            return check_reads(setup).await;
        }
        let error = refusal(setup).await;
        assert!(error.to_string().contains("az login"), "{error}");
        return;
    }
    let sim = start(world());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let end = Timestamp::now().as_second() + 3000;
    let answer = serde_json::json!({"accessToken": sim.token(CLIENT), "expires_on": end, "tokenType": "Bearer", "tenant": TENANT});
    let install = |name: &str, script: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("az"), script).unwrap();
        std::fs::set_permissions(path.join("az"), std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:/usr/bin:/bin", path.display())
    };
    let good = install("good", &format!("#!/bin/sh\necho \"$@\" >> '{}'\ncat <<'END'\n{answer}\nEND\n", log.display()));
    let test = "whoever_is_logged_in_at_the_cli_is_asked";
    run_beside(&sim, test, &[("PATH", &good)]);
    let asked = std::fs::read_to_string(&log).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.contains("https://management.azure.com/.default") && asked.contains(TENANT), "{asked}");
    let nobody = install("nobody", "#!/bin/sh\necho \"Please run 'az login' to setup account.\" >&2\nexit 1\n");
    run_beside(&sim, test, &[("PATH", &nobody)]);
}
