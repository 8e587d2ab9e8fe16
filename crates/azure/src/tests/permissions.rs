//! Permissions: the roles, the declared actions and the calls made are one list, and each of it is needed.

use std::collections::BTreeSet;

use dewpoint_azure_sim::CallRecord;
use dewpoint_azure_sim::world::{Assignment, Backend};
use dewpoint_core::doctor::Health;
use dewpoint_core::source::{Presence, SourceError};
use serde_json::{Value, json};

use super::*;

const ROLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/azure/reader-role.json"));
const GROUP_ROLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/azure/management-group-role.json"));

/// The actions that a role definition gives.
fn actions(role: &str) -> Vec<String> {
    let role: Value = serde_json::from_str(role).unwrap();
    assert_eq!(role["IsCustom"], json!(true));
    for nothing in ["NotActions", "DataActions", "NotDataActions"] {
        assert_eq!(role[nothing], json!([]), "{nothing}");
    }
    role["Actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn scopes(role: &str) -> Value {
    serde_json::from_str::<Value>(role).unwrap()["AssignableScopes"].clone()
}

#[test]
fn the_roles_give_exactly_the_declared_actions() {
    let mut declared = [crate::ACTIONS, crate::INDEX_ACTIONS].concat();
    assert!(crate::ACTIONS.is_sorted());
    declared.sort_unstable();
    assert_eq!(actions(ROLE), declared);
    assert_eq!(actions(GROUP_ROLE), crate::MANAGEMENT_GROUP_ACTIONS);
    assert!(crate::ACTIONS.iter().chain(crate::MANAGEMENT_GROUP_ACTIONS).all(|action| action.ends_with("/read") && !action.contains('*')));
}

/// Where a role can be assigned is for people to put in.
#[test]
fn the_scopes_of_the_roles_are_placeholders() {
    assert_eq!(scopes(ROLE), json!(["/subscriptions/00000000-0000-0000-0000-000000000000"]));
    assert_eq!(scopes(GROUP_ROLE), json!(["/providers/Microsoft.Management/managementGroups/example"]));
}

/// Something of each kind, in a subscription below the management group `inner`.
fn furnished() -> (World, String) {
    let mut world = World::new();
    world.management_group("inner", None);
    let subscription = world.subscription("prod");
    subscription.management_group = Some("inner".to_owned());
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-app", "westeurope");
    let nsg = group.nsg("nsg-web").allow(100, "Tcp", "443", "Internet").id();
    let net = group.vnet("net", "10.9.0.0/16").subnet("gateways", &["10.9.1.0/24"], Some(&nsg)).subnet_id("gateways");
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    group.gateway("edge", &net).pool("web", 80, vec![Backend::Ip("10.0.0.4".to_owned())]);
    group.vm("web-1").zone("1").pool(&pool).nsg(&nsg).public_ip("198.51.100.7").data_disk(64);
    group.uniform_set("workers", 2).pool(&pool).edit(|set| {
        set.instances.get_mut(&0).unwrap().public_ip = Some("198.51.100.9".to_owned());
    });
    let pets = group.flexible_set("pets").id();
    group.vm("pet-1").member_of(&pets);
    (world, account)
}

/// In place of all that the application may do: these actions at a subscription, and others at the management group.
fn may(world: &mut World, account: &str, given: &[String], above: &[String]) {
    let assignment = |scope: String, actions: &[String]| Assignment { scope, actions: actions.to_vec(), not_actions: Vec::new() };
    world.application(CLIENT).assignments = vec![
        assignment(format!("/subscriptions/{account}"), given),
        assignment("/providers/Microsoft.Management/managementGroups/inner".to_owned(), above),
    ];
}

/// The action that Azure Resource Manager wants for a call: the type that its path names.
fn wanted(call: &CallRecord) -> String {
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let provider = segments.iter().position(|segment| segment.eq_ignore_ascii_case("providers"));
    let typed = match provider {
        Some(at) => {
            let of_types = segments[at + 2..].iter().step_by(2);
            std::iter::once(&segments[at + 1]).chain(of_types).copied().collect::<Vec<_>>().join("/")
        }
        None => {
            let of_types = segments.iter().step_by(2).copied().collect::<Vec<_>>().join("/");
            format!("Microsoft.Resources/{of_types}")
        }
    };
    format!("{typed}/read").to_lowercase()
}

/// The actions of all calls so far, the requests for tokens aside, folded.
fn called(sim: &Sim) -> BTreeSet<String> {
    sim.calls().iter().filter(|call| call.operation != "token").map(wanted).collect()
}

fn folded<'a>(actions: impl IntoIterator<Item = &'a &'static str>) -> BTreeSet<String> {
    actions.into_iter().map(|action| action.to_lowercase()).collect()
}

fn below_inner(sim: &Sim) -> AzureSource {
    setup(sim).with(|config| config.subscriptions = Subscriptions::ManagementGroup("inner".to_owned())).build()
}

/// What one pull shows, whenever it was.
fn keys(pull: &Pull) -> Vec<(Key, Kind)> {
    pull.resources.values().map(|one| (one.key.clone(), one.kind)).collect()
}

#[tokio::test]
async fn the_roles_are_enough_and_nothing_else_is_called() {
    let (mut world, account) = furnished();
    let everything = setup(&start(world.clone())).pull().await;
    may(&mut world, &account, &actions(ROLE), &actions(GROUP_ROLE));
    let sim = start(world);
    let source = below_inner(&sim);
    let declared = folded(crate::ACTIONS.iter().chain(crate::MANAGEMENT_GROUP_ACTIONS));

    let pulled = pull(&source).await;
    assert_eq!((incomplete(&pulled), &pulled.remarks), (Vec::new(), &Vec::new()));
    assert!(pulled.unread.is_empty() && pulled.unread_edges.is_empty());
    assert_eq!(keys(&pulled), keys(&everything));
    assert_eq!(pulled.relations.keys().collect::<Vec<_>>(), everything.relations.keys().collect::<Vec<_>>());
    let kinds: BTreeSet<Kind> = pulled.resources.values().map(|resource| resource.kind).collect();
    assert_eq!(kinds, crate::KINDS.into_iter().collect(), "something of each kind");
    assert_eq!(called(&sim), declared, "a pull of an estate that has everything");

    sim.clear_calls();
    let found = source.look_up(&keys(&pulled), &Notes::default()).await;
    let absent: Vec<_> = found.iter().filter(|(_, presence)| !matches!(presence, Ok(Presence::Present(_)))).collect();
    assert!(absent.is_empty(), "{absent:?}");
    assert_eq!(found.len(), pulled.resources.len());
    assert!(called(&sim).is_subset(&declared), "{:?}", called(&sim));

    sim.clear_calls();
    let findings = source.doctor().await;
    assert!(findings.iter().all(|finding| finding.outcome == Health::Ok), "{findings:?}");
    assert!(called(&sim).is_subset(&declared), "{:?}", called(&sim));
}

/// Where there is no whole answer about what the roles give, each action is asked for by a call of its own, and by no other.
#[tokio::test]
async fn the_checks_ask_for_the_declared_actions() {
    let (mut world, account) = furnished();
    let given: Vec<String> = actions(ROLE).into_iter().filter(|action| action != "Microsoft.Authorization/permissions/read").collect();
    may(&mut world, &account, &given, &[]);
    let sim = start(world);
    let findings = setup(&sim).build().doctor().await;
    assert_eq!(called(&sim), folded(crate::ACTIONS), "{findings:?}");
}

/// What is not whole about a pull.
fn gaps(pulled: &Result<Pull, SourceError>) -> Vec<String> {
    match pulled {
        Err(error) => vec![error.to_string()],
        Ok(pull) => {
            let mut gaps = incomplete(pull);
            gaps.extend(pull.unread.iter().map(|(key, names)| format!("{key}: {names:?}")));
            gaps
        }
    }
}

#[tokio::test]
async fn each_action_is_needed_and_missed_by_name() {
    let (world, account) = furnished();
    let sim = start(world);
    let all = actions(ROLE);
    let of_both = |collector| all.iter().map(move |action| (action, collector));
    for (action, collector) in of_both(Collector::Arm).chain(of_both(Collector::ResourceGraph)) {
        // Nobody misses what only the other collector reads by.
        let others = match collector {
            Collector::Arm => crate::INDEX_ACTIONS,
            Collector::ResourceGraph => &[crate::action::SET_INTERFACES.name],
        };
        if others.contains(&action.as_str()) {
            continue;
        }
        let given: Vec<String> = all.iter().filter(|given| *given != action).cloned().collect();
        sim.edit(|world| may(world, &account, &given, &[]));
        let setup = || setup(&sim).with(|config| config.collector = collector);
        let pulled = setup().build().pull(&Notes::default()).await;
        let gaps = gaps(&pulled);
        assert!(!gaps.is_empty(), "without {action} a pull is as whole as with it");
        let said = gaps.iter().chain(pulled.iter().flat_map(|pull| pull.remarks.iter().map(|remark| &remark.text)));
        assert!(said.into_iter().any(|text| text.contains(action.as_str())), "{action}: {gaps:?}");
        if let Ok(pull) = &pulled {
            assert_eq!(outcome(pull, &account, Kind::Account), Outcome::Complete, "{action}");
        }

        let findings = setup().build().doctor().await;
        let found: Vec<_> = findings.iter().filter(|finding| finding.outcome != Health::Ok).collect();
        let [finding] = found.as_slice() else { panic!("{action}: {found:?}") };
        assert!(finding.outcome == Health::Error && finding.text.contains(action.as_str()), "{finding:?}");
        assert!(finding.mend.as_deref().unwrap().contains("deploy/azure/reader-role.json"), "{finding:?}");
        let others = all.iter().filter(|other| *other != action && finding.text.contains(other.as_str()));
        assert_eq!(others.count(), 0, "{finding:?}");
    }
}

#[tokio::test]
async fn a_management_group_needs_its_own_role() {
    let (mut world, account) = furnished();
    may(&mut world, &account, &actions(ROLE), &[]);
    let sim = start(world);
    let source = below_inner(&sim);
    let error = source.pull(&Notes::default()).await.unwrap_err();
    let SourceError::Denied { operation, .. } = &error else { panic!("{error}") };
    assert_eq!([operation.as_str()], crate::MANAGEMENT_GROUP_ACTIONS);
    let findings = source.doctor().await;
    let found: Vec<_> = findings.iter().filter(|finding| finding.outcome != Health::Ok).collect();
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.check.as_str(), finding.outcome), (crate::MANAGEMENT_GROUP_ACTIONS[0], Health::Error));
    let mend = finding.mend.as_deref().unwrap();
    assert!(mend.contains("deploy/azure/management-group-role.json") && mend.contains("managementGroups/inner"), "{mend}");
}

/// A role at some resource groups alone shows their part in all lists. What is elsewhere has not gone.
#[tokio::test]
async fn a_role_at_a_group_proves_no_absence() {
    let (mut world, account) = furnished();
    world.subscription("prod").group("rg-other", "westeurope").vm("elsewhere");
    let group = format!("/subscriptions/{account}/resourceGroups/rg-app");
    world.application(CLIENT).reads_only(&group);
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert!(all_of(&pull, Kind::Instance).iter().any(|machine| machine.name.as_deref() == Some("web-1")), "what is seen is taken");
    let complete = crate::KINDS.into_iter().filter(|kind| outcome(&pull, &account, *kind) == Outcome::Complete);
    assert_eq!(complete.collect::<Vec<_>>(), [Kind::Account]);
    assert!(error(&pull, &account, Kind::Instance).contains("Microsoft.Authorization/permissions/read"));

    // With the word on what it gives the lists are narrowed one by one.
    sim.edit(|world| {
        world.application(CLIENT).may("Microsoft.Authorization/permissions/read", &format!("/subscriptions/{account}"));
    });
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Denied);
    assert!(error(&pull, &account, Kind::Instance).contains("lists show a part"));
}

#[tokio::test]
async fn the_role_shows_the_same_to_both_collectors() {
    let (mut world, account) = furnished();
    may(&mut world, &account, &actions(ROLE), &[]);
    let sim = start(world);
    let listed = setup(&sim).pull().await;
    let source = setup(&sim).with(|config| config.collector = Collector::ResourceGraph).build();
    let indexed = pull(&source).await;
    assert_eq!(incomplete(&indexed), Vec::<String>::new());
    assert_eq!(keys(&indexed), keys(&listed));
    assert_eq!(indexed.relations.keys().collect::<Vec<_>>(), listed.relations.keys().collect::<Vec<_>>());
    let findings = source.doctor().await;
    assert!(findings.iter().all(|finding| finding.outcome == Health::Ok), "{findings:?}");
}
