//! What may be read, and what may not: subscriptions, types, parts.

use std::collections::BTreeSet;

use dewpoint_azure_sim::world::{Application, Assignment, SubscriptionState};
use dewpoint_azure_sim::{Effect, Fault, Unregistered};
use dewpoint_core::source::SourceError;

use super::*;
use crate::KINDS;

/// One of everything, in one group of a subscription, and a second group with a machine.
fn furnished(world: &mut World, name: &str) -> String {
    let subscription = world.subscription(name);
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-app", "westeurope");
    let nsg = group.nsg("nsg").allow(100, "Tcp", "443", "Internet").id();
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    let subnet = group.vnet("main", "10.0.0.0/16").subnet_id("default");
    group.gateway("gateway", &subnet).pool("web", 80, Vec::new());
    group.uniform_set("workers", 2).nsg(&nsg).edit(|set| {
        for instance in set.instances.values_mut() {
            instance.public_ip = Some("203.0.113.9".to_owned());
        }
    });
    group.vm("web").pool(&pool).nsg(&nsg).zone("1").public_ip("198.51.100.7");
    let mut other = subscription.group("rg-other", "northeurope");
    other.vm("other");
    other.uniform_set("others", 2);
    account
}

fn one() -> (World, String) {
    let mut world = World::new();
    let account = furnished(&mut world, "prod");
    (world, account)
}

/// The kinds of a subscription that did not end as complete, with how they ended.
fn gaps(pull: &Pull, account: &str) -> BTreeMap<Kind, Outcome> {
    let outcomes = KINDS.into_iter().map(|kind| (kind, outcome(pull, account, kind)));
    outcomes.filter(|(_, outcome)| *outcome != Outcome::Complete).collect()
}

#[track_caller]
fn check_gaps(pull: &Pull, account: &str, kinds: &[Kind], ended: Outcome) {
    assert_eq!(gaps(pull, account), kinds.iter().map(|kind| (*kind, ended)).collect());
}

/// What may lie in a place that nothing else lies in keeps places from being known.
const PLACES: [Kind; 2] = [Kind::Region, Kind::Zone];

#[tokio::test]
async fn a_type_that_is_denied_leaves_the_others_whole() {
    let (world, account) = one();
    let sim = start(world);
    for (action, kinds) in [
        ("Microsoft.Compute/virtualMachines/read", &[Kind::Instance][..]),
        ("Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read", &[Kind::Instance]),
        (
            "Microsoft.Compute/virtualMachineScaleSets/read",
            &[Kind::ScalingGroup, Kind::Instance, Kind::NetworkInterface, Kind::PublicAddress],
        ),
        ("Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read", &[Kind::NetworkInterface, Kind::PublicAddress]),
        ("Microsoft.Compute/virtualMachineScaleSets/publicIPAddresses/read", &[Kind::PublicAddress]),
        ("Microsoft.Compute/disks/read", &[Kind::Volume]),
        ("Microsoft.Network/networkInterfaces/read", &[Kind::NetworkInterface]),
        ("Microsoft.Network/networkSecurityGroups/read", &[Kind::SecurityGroup]),
        ("Microsoft.Network/virtualNetworks/read", &[Kind::Network, Kind::Subnet]),
        ("Microsoft.Network/publicIPAddresses/read", &[Kind::PublicAddress]),
        ("Microsoft.Network/loadBalancers/read", &[Kind::LoadBalancer, Kind::Pool]),
        ("Microsoft.Network/applicationGateways/read", &[Kind::LoadBalancer, Kind::Pool]),
        ("Microsoft.Resources/subscriptions/resourceGroups/read", &[Kind::ResourceGroup]),
        ("Microsoft.Resources/subscriptions/locations/read", &[]),
    ] {
        sim.edit(|world| {
            *world.application(CLIENT) = Application { secrets: world.application(CLIENT).secrets.clone(), ..Application::reader(CLIENT) };
            world.application(CLIENT).may_not(action);
        });
        let pull = setup(&sim).pull().await;
        check_gaps(&pull, &account, &[kinds, &PLACES].concat(), Outcome::Denied);
        let text = error(&pull, &account, *kinds.first().unwrap_or(&Kind::Region));
        assert!(text.contains(action), "{action}: {text}");
    }
}

#[tokio::test]
async fn sizes_that_may_not_be_read_are_remarked() {
    let (mut world, account) = one();
    world.application(CLIENT).may_not("Microsoft.Compute/skus/read");
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    check_gaps(&pull, &account, &[], Outcome::Denied);
    assert!(pull.remarks.iter().any(|remark| remark.text.contains("Microsoft.Compute/skus/read")), "{:?}", pull.remarks);
    assert!(all_of(&pull, Kind::Instance).iter().all(|machine| pull.unread[&machine.key].contains("vcpus")));
}

/// All kinds that a role can show in part.
fn filtered() -> Vec<Kind> {
    KINDS.into_iter().filter(|kind| *kind != Kind::Account).collect()
}

#[tokio::test]
async fn a_list_that_a_role_filters_proves_nothing() {
    let (mut world, account) = one();
    world.application(CLIENT).reads_only(&format!("/subscriptions/{account}/resourceGroups/rg-app"));
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    check_gaps(&pull, &account, &filtered(), Outcome::Denied);
    let names: BTreeSet<_> = all_of(&pull, Kind::Instance).iter().filter_map(|machine| machine.name.clone()).collect();
    assert!(names.contains("web") && !names.contains("other"), "what is shown is taken: {names:?}");
    let text = error(&pull, &account, Kind::Volume);
    assert!(text.contains("Microsoft.Compute/disks/read") && text.contains("show a part"), "{text}");
}

#[tokio::test]
async fn sets_that_a_role_hides_hide_what_is_in_them() {
    let (mut world, account) = one();
    let sets = "Microsoft.Compute/virtualMachineScaleSets/read";
    world.application(CLIENT).may_not(sets).may(sets, &format!("/subscriptions/{account}/resourceGroups/rg-app"));
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!(all_of(&pull, Kind::ScalingGroup).len(), 1);
    let kinds = [Kind::ScalingGroup, Kind::Instance, Kind::NetworkInterface, Kind::PublicAddress];
    check_gaps(&pull, &account, &[&kinds[..], &PLACES].concat(), Outcome::Denied);
}

#[tokio::test]
async fn lists_prove_nothing_where_the_role_is_not_known() {
    for (effect, ended) in [(Effect::Deny, Outcome::Denied), (Effect::ProviderError, Outcome::Failed)] {
        let (world, account) = one();
        let sim = start(world);
        sim.faults(vec![Fault::new(effect).operation("permissions.list")]);
        let pull = setup(&sim).pull().await;
        check_gaps(&pull, &account, &filtered(), ended);
        assert_eq!(all_of(&pull, Kind::Instance).len(), 6, "what is shown is taken");
        let text = error(&pull, &account, Kind::Volume);
        assert!(text.contains("Microsoft.Authorization/permissions/read"), "{text}");
    }
}

#[tokio::test]
async fn a_role_at_another_place_that_gives_the_same_is_as_good() {
    let (mut world, account) = one();
    world.management_group("top", None);
    world.subscription("prod").management_group = Some("top".to_owned());
    let application = world.application(CLIENT);
    application.assignments = vec![
        Assignment::reader("/providers/Microsoft.Management/managementGroups/top"),
        // Another role takes nothing away from it.
        Assignment { scope: "/".to_owned(), actions: vec!["*".to_owned()], not_actions: vec!["*/read".to_owned()] },
    ];
    let sim = start(world);
    check_gaps(&setup(&sim).pull().await, &account, &[], Outcome::Denied);
}

fn listed(accounts: &[&str]) -> Subscriptions {
    Subscriptions::Listed(accounts.iter().map(|text| account(text)).collect())
}

#[tokio::test]
async fn a_subscription_that_cannot_be_read_leaves_the_others_whole() {
    const UNKNOWN: &str = "00000000-0000-4000-8000-00000000000a";
    let mut world = World::new();
    let good = furnished(&mut world, "good");
    let foreign = furnished(&mut world, "foreign");
    world.subscription("foreign").foreign_tenant = Some("11111111-1111-4111-8111-111111111111".to_owned());
    let missing = furnished(&mut world, "missing");
    let forbidden = furnished(&mut world, "forbidden");
    let sim = start(world);
    let error_of = |status: u16, code: &str| Effect::Error { status, code: code.to_owned(), message: "by script".to_owned() };
    sim.faults(vec![
        Fault::new(error_of(404, "MissingSubscription")).subscription(&missing),
        Fault::new(Effect::Deny).subscription(&forbidden),
    ]);
    let which = listed(&[&good, &foreign, &missing, &forbidden, UNKNOWN]);
    let pull = setup(&sim).with(|config| config.subscriptions = which).pull().await;
    check_gaps(&pull, &good, &[], Outcome::Failed);
    for (account, ended, word) in [
        (foreign.as_str(), Outcome::Denied, "InvalidAuthenticationTokenTenant"),
        (&missing, Outcome::Failed, "MissingSubscription"),
        (&forbidden, Outcome::Denied, "AuthorizationFailed"),
        (UNKNOWN, Outcome::Failed, "SubscriptionNotFound"),
    ] {
        check_gaps(&pull, account, &KINDS, ended);
        let text = error(&pull, account, Kind::Instance);
        assert!(text.contains(word), "{text}");
        assert!(pull.resources.values().all(|resource| resource.account.as_str() != account));
    }
    assert!(pull.exhaustive);
}

#[tokio::test]
async fn a_subscription_of_an_odd_kind_is_disabled_as_a_whole() {
    let (mut world, account) = one();
    world.subscription("prod").disallowed = true;
    let good = furnished(&mut world, "good");
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    let kinds: Vec<Kind> = filtered().into_iter().filter(|kind| *kind != Kind::ResourceGroup).collect();
    check_gaps(&pull, &account, &kinds, Outcome::Disabled);
    assert!(error(&pull, &account, Kind::Instance).contains("DisallowedOperation"));
    check_gaps(&pull, &good, &[], Outcome::Disabled);
}

#[tokio::test]
async fn states_of_subscriptions_are_told_and_all_but_the_deleted_are_read() {
    let states = [
        (SubscriptionState::Enabled, "active"),
        (SubscriptionState::Warned, "warned"),
        (SubscriptionState::PastDue, "past_due"),
        (SubscriptionState::Disabled, "disabled"),
        (SubscriptionState::Deleted, "closed"),
    ];
    let mut world = World::new();
    let accounts = states.map(|(state, word)| {
        let account = furnished(&mut world, word);
        world.subscription(word).state = state;
        account
    });
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    for ((state, word), account) in states.into_iter().zip(&accounts) {
        let subscription = resource(&pull, &format!("/subscriptions/{account}"));
        assert_eq!((subscription.state.as_deref(), subscription.name.as_deref()), (Some(word), Some(word)));
        let gone = if state == SubscriptionState::Deleted { filtered() } else { Vec::new() };
        check_gaps(&pull, account, &gone, Outcome::Disabled);
    }
    assert!(!sim.calls().iter().any(|call| call.subscription == accounts[4]), "a deleted one is not asked about");
}

#[tokio::test]
async fn an_identity_that_sees_nothing_is_an_error() {
    let (mut world, _) = one();
    world.application(CLIENT).assignments.clear();
    let sim = start(world);
    let error = setup(&sim).build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Denied { text, .. } if text.contains("no subscription at all")), "{error}");
    // A management group that holds none is no estate either.
    sim.edit(|world| {
        world.management_group("empty", None);
        world.application(CLIENT).assignments = vec![Assignment::reader("/")];
    });
    let which = Subscriptions::ManagementGroup("empty".to_owned());
    let error = setup(&sim).with(|config| config.subscriptions = which).build().pull(&Notes::default()).await.unwrap_err();
    assert!(error.to_string().contains("`empty`"), "{error}");
}

#[tokio::test]
async fn a_failed_page_of_subscriptions_is_an_error() {
    let mut world = World::new();
    for number in 0..12 {
        world.subscription(&format!("sub-{number}"));
    }
    let sim = start_with(world, |settings| settings.page_items = (2, 3));
    let pull = setup(&sim).pull().await;
    assert_eq!(all_of(&pull, Kind::Account).len(), 12, "all pages are read");
    sim.faults(vec![Fault::new(Effect::ProviderError).operation("subscriptions.list").page(3)]);
    let error = setup(&sim).build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Truncated { .. }), "{error}");
    sim.faults(vec![Fault::new(Effect::NoId).operation("subscriptions.list")]);
    // It still has its other id; one that has none at all would be lost without a word.
    assert_eq!(all_of(&setup(&sim).pull().await, Kind::Account).len(), 12);
    sim.faults(vec![Fault::new(Effect::TextItem).operation("subscriptions.list")]);
    assert!(setup(&sim).build().pull(&Notes::default()).await.is_err());
}

#[tokio::test]
async fn a_provider_that_is_not_registered_has_nothing() {
    for unregistered in [Unregistered::Conflict, Unregistered::Empty] {
        let mut world = World::new();
        let subscription = world.subscription("new");
        let account = subscription.id.clone();
        subscription.group("rg", "westeurope");
        subscription.unregistered = ["Microsoft.Compute", "Microsoft.Network"].map(str::to_owned).into();
        let sim = start_with(world, |settings| settings.unregistered = unregistered);
        let pull = setup(&sim).pull().await;
        check_gaps(&pull, &account, &[], Outcome::Failed);
        assert_eq!(all_of(&pull, Kind::ResourceGroup).len(), 1);
    }
}

#[tokio::test]
async fn subscriptions_are_those_that_were_asked_for() {
    let mut world = World::new();
    world.management_group("top", None);
    world.management_group("inner", Some("top"));
    world.management_group("beside", None);
    let mut in_group = |name: &str, group: &str| {
        let subscription = world.subscription(name);
        subscription.management_group = Some(group.to_owned());
        subscription.group("rg", "westeurope").vm("vm");
        subscription.id.clone()
    };
    let (upper, inner, hidden, beside) =
        (in_group("upper", "top"), in_group("inner", "inner"), in_group("hidden", "inner"), in_group("beside", "beside"));
    let top = "/providers/Microsoft.Management/managementGroups/top";
    let application = world.application(CLIENT);
    application.reads_only(&format!("/subscriptions/{upper}"));
    application.assignments.extend([&inner, &beside].map(|id| Assignment::reader(&format!("/subscriptions/{id}"))));
    application.may("Microsoft.Management/managementGroups/descendants/read", top);
    // A role at the group reaches all subscriptions below it, but for that one action alone: this one is not seen by it.
    let sim = start(world);
    let read = |which: Subscriptions| setup(&sim).with(|config| config.subscriptions = which).pull();
    let whole = |pull: &Pull| -> BTreeSet<String> {
        let receipts = pull.receipts.iter().filter(|(scope, _)| scope.kind == Kind::Instance);
        receipts.filter(|(_, receipt)| receipt.outcome == Outcome::Complete).map(|(scope, _)| scope.account.to_string()).collect()
    };
    let group = read(Subscriptions::ManagementGroup("top".to_owned())).await;
    assert_eq!(whole(&group), BTreeSet::from([upper.clone(), inner.clone()]));
    check_gaps(&group, &hidden, &KINDS, Outcome::Denied);
    assert!(!group.receipts.iter().any(|(scope, _)| scope.account.as_str() == beside));
    let one = read(listed(&[&beside])).await;
    assert_eq!((whole(&one), one.receipts.iter().count()), (BTreeSet::from([beside.clone()]), KINDS.len()));

    let error = setup(&sim).with(|config| config.subscriptions = Subscriptions::ManagementGroup("beside".to_owned()));
    let error = error.build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Denied { operation, .. } if operation.contains("managementGroups/descendants")), "{error}");
    let escape = Subscriptions::ManagementGroup("../../subscriptions".to_owned());
    assert!(setup(&sim).with(|config| config.subscriptions = escape).build().pull(&Notes::default()).await.is_err());
}

#[tokio::test]
async fn a_version_that_is_not_known_there_is_told_with_its_type() {
    let (world, account) = one();
    let sim = start_with(world, |settings| settings.newest_version = Some("2023-12-31".to_owned()));
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Failed);
    let text = error(&pull, &account, Kind::Volume);
    assert!(text.contains("Microsoft.Compute/disks") && text.contains("2024-03-02") && text.contains("`api_versions`"), "{text}");

    let older = [
        ("Microsoft.Compute/virtualMachines", "2023-03-01"),
        ("Microsoft.Compute/virtualMachineScaleSets", "2023-03-01"),
        ("Microsoft.Compute/virtualMachineScaleSets/virtualMachines", "2023-03-01"),
        ("Microsoft.Compute/disks", "2022-07-02"),
        ("Microsoft.Network/networkInterfaces", "2022-07-01"),
        ("Microsoft.Network/networkSecurityGroups", "2022-07-01"),
        ("Microsoft.Network/virtualNetworks", "2022-07-01"),
        ("Microsoft.Network/publicIPAddresses", "2022-07-01"),
        ("Microsoft.Network/loadBalancers", "2022-07-01"),
        ("Microsoft.Network/applicationGateways", "2022-07-01"),
    ];
    let pull = setup(&sim).with(|config| config.api_versions = older.into_iter().collect()).pull().await;
    check_gaps(&pull, &account, &[], Outcome::Failed);
}

#[tokio::test]
async fn a_word_about_the_provider_below_a_set_takes_no_members_away() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    subscription.group("rg", "westeurope").uniform_set("workers", 3);
    let sim = start(world);
    let unregistered = Effect::Error { status: 409, code: "MissingSubscriptionRegistration".to_owned(), message: "by script".to_owned() };
    sim.faults(vec![Fault::new(unregistered).operation("virtualMachineScaleSets.virtualMachines.list")]);
    assert_ne!(outcome(&setup(&sim).pull().await, &account, Kind::Instance), Outcome::Complete);
}
