//! The checks, against what is wrong in turn.

use async_trait::async_trait;
use dewpoint_azure_sim::world::{Application, SubscriptionState};
use dewpoint_azure_sim::{Effect, Fault, Unregistered};
use dewpoint_core::doctor::{Finding, Health};
use dewpoint_http::Clock;
use jiff::{SignedDuration, Timestamp};

use super::*;

const NO_TENANT: &str = "99999999-9999-4999-8999-999999999999";

/// One subscription with one machine, by its id.
fn small() -> (World, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    subscription.group("rg-app", "westeurope").vm("web-1");
    let account = subscription.id.clone();
    (world, account)
}

/// The findings that are not as they should be. None shows a secret or a token, and each says how it is mended.
fn troubles(findings: &[Finding]) -> Vec<&Finding> {
    for finding in findings {
        assert_eq!(finding.subject, "azure");
        assert_eq!(finding.mend.is_some(), finding.outcome != Health::Ok, "{finding:?}");
        let shown = format!("{finding:?}");
        assert!(!shown.contains(CLIENT_SECRET) && !shown.contains("eyJ"), "{shown}");
    }
    findings.iter().filter(|finding| finding.outcome != Health::Ok).collect()
}

/// The only finding that is not as it should be.
#[track_caller]
fn trouble(findings: &[Finding]) -> &Finding {
    let found = troubles(findings);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    finding
}

fn checks(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.check.as_str()).collect()
}

#[track_caller]
fn named<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("no {check} in {findings:?}"))
}

#[tokio::test]
async fn all_is_well() {
    let (world, account) = small();
    let sim = start(world);
    let findings = setup(&sim).build().doctor().await;
    assert_eq!(troubles(&findings), Vec::<&Finding>::new());
    let wanted = [
        "identity".to_owned(),
        "clock".to_owned(),
        "Microsoft.Resources/subscriptions/read".to_owned(),
        format!("subscription {account}"),
        format!("actions in {account}"),
        "least-privilege role".to_owned(),
    ];
    assert_eq!(checks(&findings), wanted);
    assert_eq!(findings[0].text, format!("tenant {TENANT}, the application {CLIENT}, by a client secret"));
    assert_eq!(findings[2].text, "subscriptions seen: 1");
    assert_eq!(findings[3].text, "prod: enabled");
    assert_eq!(findings[4].text, "all 17 are given");
    let role = &findings[5].text;
    assert!(role.contains("deploy/azure/reader-role.json") && crate::ACTIONS.iter().all(|action| role.contains(action)), "{role}");
    let operations: Vec<String> =
        sim.calls().iter().filter(|call| !call.subscription.is_empty()).map(|call| call.operation.clone()).collect();
    assert_eq!(operations, ["permissions.list", "virtualMachines.list"], "cheap calls");
}

#[tokio::test]
async fn refused_credentials_are_named_with_what_mends_them() {
    let (mut world, _) = small();
    let application = world.application("22222222-2222-4222-8222-222222222222");
    application.secrets.push(dewpoint_azure_sim::world::Secret {
        value: "ended-secret".to_owned(),
        expires: Some("2020-01-01T00:00:00Z".parse().unwrap()),
    });
    let blocked = world.application("33333333-3333-4333-8333-333333333333");
    blocked.secrets.push(dewpoint_azure_sim::world::Secret { value: "blocked-secret".to_owned(), expires: None });
    blocked.blocked = true;
    let sim = start(world);
    let cases = [
        (TENANT, CLIENT, "wrong-secret", "AADSTS7000215", "give the secret's value, not its id"),
        (NO_TENANT, CLIENT, CLIENT_SECRET, "AADSTS90002", "the tenant is not known"),
        (TENANT, "22222222-2222-4222-8222-222222222222", "ended-secret", "AADSTS7000222", "the client secret has ended"),
        (TENANT, "33333333-3333-4333-8333-333333333333", "blocked-secret", "AADSTS53003", "conditional access"),
        (TENANT, "44444444-4444-4444-8444-444444444444", "any-secret", "AADSTS700016", "not known in this tenant"),
    ];
    for (tenant, client, secret, number, mend) in cases {
        let source = setup(&sim).with(|config| {
            tenant.clone_into(&mut config.tenant);
            config.credential = Credential::ClientSecret { client_id: client.to_owned(), secret: secret.to_owned().into() };
        });
        let findings = source.build().doctor().await;
        assert_eq!(checks(&findings), ["credentials", "clock"], "a refusal tells the time, too: {number}");
        let finding = trouble(&findings);
        assert_eq!(finding.outcome, Health::Error);
        assert!(
            finding.text.starts_with("source `azure` has no credentials that are accepted: ") && finding.text.contains(number),
            "{finding:?}"
        );
        assert!(finding.mend.as_deref().unwrap().contains(mend), "{finding:?}");
        assert!(!format!("{findings:?}").contains(secret), "{findings:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_asked_for_is_no_refusal() {
    let (world, _) = small();
    let sim = start(world);
    let closed = "https://127.0.0.1:1".parse().unwrap();
    let findings = setup(&sim).with(|config| config.endpoints.authority = closed).build().doctor().await;
    let finding = trouble(&findings);
    assert_eq!((finding.check.as_str(), finding.outcome), ("identity", Health::Error));
    assert!(finding.mend.as_deref().unwrap().contains("endpoints.authority"), "{finding:?}");
}

/// The metadata service is where Azure runs, and nowhere else.
#[tokio::test]
async fn a_managed_identity_is_had_on_azure_alone() {
    let (world, _) = small();
    let sim = start(world);
    let closed = "http://127.0.0.1:1".parse().unwrap();
    let source = setup(&sim).tuned(|tuning| tuning.metadata = Some(closed)).with(|config| {
        config.credential = Credential::ManagedIdentity { identity: None };
    });
    let findings = source.build().doctor().await;
    let finding = trouble(&findings);
    assert_eq!(finding.outcome, Health::Error);
    assert!(finding.mend.as_deref().unwrap().contains("run where Azure has given a managed identity"), "{finding:?}");
}

/// There is nothing to log in with: a matter of credentials, not of the network.
#[tokio::test]
async fn a_federated_token_that_is_not_there_is_a_matter_of_credentials() {
    let (world, _) = small();
    let sim = start(world);
    let credential = Credential::WorkloadIdentity { client_id: Some(CLIENT.to_owned()), token_file: Some("/nowhere/token".into()) };
    let findings = setup(&sim).with(|config| config.credential = credential).build().doctor().await;
    let finding = trouble(&findings);
    assert_eq!((finding.check.as_str(), finding.outcome), ("credentials", Health::Error));
    assert!(finding.mend.as_deref().unwrap().contains("AZURE_FEDERATED_TOKEN_FILE"), "{finding:?}");
}

/// A token of the right tenant for something else.
#[tokio::test]
async fn a_token_that_resource_manager_refuses_is_a_matter_of_credentials() {
    let (world, account) = small();
    let sim = start(world);
    let graph = || setup(&sim).with(|config| config.endpoints.audience = "https://graph.microsoft.com".to_owned());
    let listed = Subscriptions::Listed([super::account(&account)].into());
    for source in [graph(), graph().with(|config| config.subscriptions = listed)] {
        let findings = source.build().doctor().await;
        let finding = trouble(&findings);
        assert_eq!((finding.check.as_str(), finding.outcome), ("credentials", Health::Error));
        assert!(finding.text.contains("InvalidAuthenticationTokenAudience"), "{finding:?}");
    }
}

#[tokio::test]
async fn an_identity_without_a_role_sees_nothing() {
    let (mut world, account) = small();
    world.application(CLIENT).assignments.clear();
    let sim = start(world);
    let findings = setup(&sim).build().doctor().await;
    let finding = trouble(&findings);
    assert_eq!((finding.check.as_str(), finding.outcome), ("Microsoft.Resources/subscriptions/read", Health::Error));
    assert!(finding.text.contains("sees no subscription at all"), "{finding:?}");
    let mend = finding.mend.as_deref().unwrap();
    for words in ["deploy/azure/reader-role.json", "az role definition create", "az role assignment create --assignee ", CLIENT] {
        assert!(mend.contains(words), "{mend}");
    }
    assert!(named(&findings, "least-privilege role").text.contains("Microsoft.Compute/virtualMachines/read"));

    let listed = Subscriptions::Listed([super::account(&account)].into());
    let findings = setup(&sim).with(|config| config.subscriptions = listed).build().doctor().await;
    let finding = trouble(&findings);
    assert_eq!((finding.check.clone(), finding.outcome), (format!("subscription {account}"), Health::Error));
    assert!(finding.text.contains("AuthorizationFailed"), "{finding:?}");
    assert!(finding.mend.as_deref().unwrap().ends_with(&format!("--scope /subscriptions/{account}`")), "{finding:?}");
}

#[tokio::test]
async fn a_role_at_one_group_is_told_from_none() {
    let (mut world, account) = small();
    let group = format!("/subscriptions/{account}/resourceGroups/rg-app");
    world.application(CLIENT).reads_only(&group).may("Microsoft.Authorization/permissions/read", &format!("/subscriptions/{account}"));
    let sim = start(world);
    let findings = setup(&sim).build().doctor().await;
    let found = troubles(&findings);
    let [missing, partial] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((missing.check.clone(), missing.outcome), (format!("actions in {account}"), Health::Error));
    assert!(missing.text.contains("Microsoft.Resources/subscriptions/locations/read"), "{missing:?}");
    assert!(!missing.text.contains("Microsoft.Compute/virtualMachines/read"), "{missing:?}");
    assert_eq!((partial.check.clone(), partial.outcome), (format!("actions in parts of {account}"), Health::Error));
    assert!(
        partial.text.contains("nothing is retired: ") && partial.text.contains("Microsoft.Compute/virtualMachines/read"),
        "{partial:?}"
    );
    for finding in found {
        assert!(finding.mend.as_deref().unwrap().ends_with(&format!("--scope /subscriptions/{account}`")), "{finding:?}");
    }

    // Without the action that tells, they look alike; it is missed, and says what follows.
    sim.edit(|world| {
        world.application(CLIENT).reads_only(&group);
    });
    let findings = setup(&sim).build().doctor().await;
    let finding = trouble(&findings);
    assert!(finding.text.contains("without Microsoft.Authorization/permissions/read nobody can tell"), "{finding:?}");
}

/// Where the platform does not say what the roles give, each action is asked for.
#[tokio::test]
async fn actions_are_asked_for_where_roles_are_not_told() {
    let (mut world, account) = small();
    world.application(CLIENT).may_not("Microsoft.Network/loadBalancers/read");
    let sim = start(world);
    let effect = Effect::Error { status: 400, code: "BadRequest".to_owned(), message: "not here".to_owned() };
    sim.faults(vec![Fault::new(effect).operation("permissions.list")]);
    let findings = setup(&sim).build().doctor().await;
    let found = troubles(&findings);
    let [missing, unknown] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (missing.check.clone(), missing.text.as_str()),
        (format!("actions in {account}"), "missing: Microsoft.Network/loadBalancers/read")
    );
    assert_eq!(unknown.check, format!("Microsoft.Authorization/permissions/read in {account}"));
    assert!(unknown.text.contains("BadRequest: not here"), "{unknown:?}");
}

#[tokio::test]
async fn subscriptions_say_how_they_stand() {
    let mut world = World::new();
    let states = [
        ("warned", SubscriptionState::Warned, Health::Warning),
        ("past_due", SubscriptionState::PastDue, Health::Warning),
        ("disabled", SubscriptionState::Disabled, Health::Warning),
        ("deleted", SubscriptionState::Deleted, Health::Warning),
        ("enabled", SubscriptionState::Enabled, Health::Ok),
    ];
    let accounts = states.map(|(name, state, _)| {
        let subscription = world.subscription(name);
        subscription.state = state;
        subscription.id.clone()
    });
    let sim = start(world);
    let findings = setup(&sim).build().doctor().await;
    troubles(&findings);
    for ((name, _, outcome), account) in states.iter().zip(&accounts) {
        let finding = named(&findings, &format!("subscription {account}"));
        assert_eq!(finding.outcome, *outcome, "{finding:?}");
        assert!(finding.text.contains(name), "{finding:?}");
    }
    assert!(named(&findings, &format!("subscription {}", accounts[2])).text.contains("can be read"));
    assert!(named(&findings, &format!("actions in {}", accounts[2])).outcome == Health::Ok);
    assert!(!checks(&findings).contains(&format!("actions in {}", accounts[3]).as_str()), "nothing of a deleted one can be read");
}

#[tokio::test]
async fn subscriptions_that_cannot_be_read_say_why() {
    let mut world = World::new();
    world.subscription("elsewhere").foreign_tenant = Some(NO_TENANT.to_owned());
    world.subscription("odd").disallowed = true;
    let (elsewhere, odd) = (world.subscription("elsewhere").id.clone(), world.subscription("odd").id.clone());
    let nowhere = "12345678-1234-4123-8123-123456789012";
    let sim = start(world);
    let listed = [elsewhere.as_str(), odd.as_str(), nowhere].map(account);
    let findings = setup(&sim).with(|config| config.subscriptions = Subscriptions::Listed(listed.into())).build().doctor().await;
    assert_eq!(troubles(&findings).len(), 3, "{findings:?}");
    let foreign = named(&findings, &format!("subscription {elsewhere}"));
    assert_eq!(foreign.outcome, Health::Error);
    assert!(foreign.text.contains(NO_TENANT) && foreign.mend.as_deref().unwrap().contains("another tenant"), "{foreign:?}");
    let absent = named(&findings, &format!("subscription {nowhere}"));
    assert_eq!(absent.outcome, Health::Error);
    assert!(absent.text.contains("SubscriptionNotFound") && absent.mend.as_deref().unwrap().contains("check its id"), "{absent:?}");
    let odd = named(&findings, &format!("Microsoft.Compute/virtualMachines/read in {odd}"));
    assert_eq!(odd.outcome, Health::Warning);
    assert!(odd.text.contains("DisallowedOperation"), "{odd:?}");
}

/// A provider that is not registered holds nothing, and takes nothing away from what may be read.
#[tokio::test]
async fn an_unregistered_provider_is_no_trouble() {
    let (mut world, _) = small();
    world.subscription("empty").unregistered.insert("Microsoft.Compute".to_owned());
    let sim = start_with(world, |settings| settings.unregistered = Unregistered::Conflict);
    let findings = setup(&sim).build().doctor().await;
    assert_eq!(troubles(&findings), Vec::<&Finding>::new());
}

#[tokio::test]
async fn a_management_group_is_checked() {
    let mut world = World::new();
    world.management_group("inner", None);
    world.management_group("empty", None);
    world.subscription("prod").management_group = Some("inner".to_owned());
    let sim = start(world);
    let of = |name: &str| {
        let subscriptions = Subscriptions::ManagementGroup(name.to_owned());
        setup(&sim).with(|config| config.subscriptions = subscriptions).build()
    };
    let findings = of("inner").doctor().await;
    assert_eq!(troubles(&findings), Vec::<&Finding>::new());
    let group = "Microsoft.Management/managementGroups/descendants/read";
    assert_eq!(named(&findings, group).text, "subscriptions below the management group inner: 1");
    assert!(named(&findings, "least-privilege role").text.contains("deploy/azure/management-group-role.json"));
    for (name, words) in [("empty", "has no subscription below it"), ("none", "'none' cannot be found")] {
        let findings = of(name).doctor().await;
        let finding = trouble(&findings);
        assert_eq!((finding.check.as_str(), finding.outcome), (group, Health::Error));
        assert!(finding.text.contains(words) && finding.mend.as_deref().unwrap().contains("name"), "{finding:?}");
    }
}

#[tokio::test]
async fn resource_graph_is_asked_where_it_collects() {
    let (world, _) = small();
    let sim = start(world);
    let graph = || setup(&sim).with(|config| config.collector = Collector::ResourceGraph).build();
    let findings = graph().doctor().await;
    assert_eq!(troubles(&findings), Vec::<&Finding>::new());
    assert_eq!(named(&findings, "Microsoft.ResourceGraph/resources/read").text, "subscriptions asked for, and answered: 1");
    sim.faults(vec![Fault::new(Effect::Deny).operation("resourceGraph")]);
    let findings = graph().doctor().await;
    let finding = trouble(&findings);
    assert_eq!((finding.check.as_str(), finding.outcome), ("Microsoft.ResourceGraph/resources/read", Health::Error));
    assert!(finding.mend.as_deref().unwrap().contains("collector: arm"), "{finding:?}");
    assert!(!checks(&setup(&sim).build().doctor().await).contains(&"Microsoft.ResourceGraph/resources/read"));
}

/// A machine's clock that goes wrong by a fixed time.
#[derive(Debug)]
struct Wrong {
    by: SignedDuration,
    real: SystemClock,
}

#[async_trait]
impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        self.real.now() + self.by
    }

    fn elapsed(&self) -> Duration {
        self.real.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        self.real.sleep(time).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let (world, _) = small();
    let sim = start(world);
    let off = |seconds: i64| Arc::new(Wrong { by: SignedDuration::from_secs(seconds), real: SystemClock::new() });
    for (seconds, outcome, words) in [
        (150, Health::Warning, "ahead of Azure"),
        (-150, Health::Warning, "behind Azure"),
        (900, Health::Error, "ahead of Azure, which may refuse"),
        (-900, Health::Error, "behind Azure, which may refuse"),
    ] {
        let source = setup(&sim).with(|config| config.clock = off(seconds)).build();
        let findings = source.doctor().await;
        let finding = trouble(&findings);
        assert_eq!((finding.check.as_str(), finding.outcome), ("clock", outcome));
        assert!(finding.text.contains(words), "{finding:?}");
        // The token is still held now, and its endpoint not asked again.
        assert_eq!(named(&source.doctor().await, "clock").outcome, outcome);
    }
}

/// The metadata service tells no time; Azure Resource Manager does.
#[tokio::test]
async fn a_managed_identity_has_its_clock_judged() {
    let (mut world, _) = small();
    let managed = Application { managed: true, ..Application::reader("55555555-5555-4555-8555-555555555555") };
    world.applications.insert("55555555-5555-4555-8555-555555555555".to_owned(), managed);
    let sim = start(world.clone());
    let metadata = Sim::start_with(Start { tls: false, clock: SimClock::real(), ..Start::new(world) }).unwrap();
    let source = setup(&sim).tuned(|tuning| tuning.metadata = Some(metadata.url().parse().unwrap())).with(|config| {
        config.credential = Credential::ManagedIdentity { identity: None };
        config.clock = Arc::new(Wrong { by: SignedDuration::from_secs(200), real: SystemClock::new() });
    });
    let findings = source.build().doctor().await;
    assert_eq!(named(&findings, "identity").text, format!("tenant {TENANT}, the managed identity that the system assigned"));
    let finding = trouble(&findings);
    assert_eq!((finding.check.as_str(), finding.outcome), ("clock", Health::Warning));
    assert!(finding.text.contains("ahead of Azure"), "{finding:?}");
}
