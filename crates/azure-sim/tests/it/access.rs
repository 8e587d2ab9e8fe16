//! Roles.

use dewpoint_azure_sim::world::{Assignment, CLIENT, Change, SubscriptionState, World};

use crate::support::{COMPUTE, NETWORK, get, items, query, start};

fn ids(rows: &[serde_json::Value]) -> Vec<String> {
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// Two groups with a machine each.
fn two_groups() -> (World, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    subscription.group("rg-one", "westeurope").vm("one");
    subscription.group("rg-two", "westeurope").vm("two");
    let id = subscription.id.clone();
    (world, id)
}

fn vms(id: &str) -> String {
    format!("/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}")
}

#[test]
fn a_role_at_a_group_filters_lists_in_silence() {
    let (mut world, id) = two_groups();
    world.application(CLIENT).reads_only(&format!("/subscriptions/{id}/resourceGroups/RG-ONE"));
    let sim = start(world);
    assert_eq!(ids(&items(&sim, &vms(&id))), ["one"]);
    assert_eq!(ids(&items(&sim, &format!("/subscriptions/{id}/resourcegroups?api-version=2021-04-01"))), ["rg-one"]);
    let two = format!("/subscriptions/{id}/resourceGroups/rg-two/providers/Microsoft.Compute/virtualMachines");
    assert_eq!(get(&sim, &format!("{two}/two?api-version={COMPUTE}")).refusal(), (403, "AuthorizationFailed".to_owned()));
    assert_eq!(get(&sim, &format!("{two}/none?api-version={COMPUTE}")).refusal(), (403, "AuthorizationFailed".to_owned()));
    let rows =
        query(&sim, &serde_json::json!({"query": "Resources | where type =~ 'microsoft.compute/virtualmachines' | project id, name"}));
    assert_eq!(ids(rows.json()["data"].as_array().unwrap()), ["one"]);
    assert_eq!(items(&sim, "/subscriptions?api-version=2022-12-01").len(), 1);
}

/// What a role gives is told at the subscription to those only who may ask it there.
#[test]
fn a_role_at_a_group_is_not_told_of_at_the_subscription() {
    let (mut world, id) = two_groups();
    world.application(CLIENT).reads_only(&format!("/subscriptions/{id}/resourceGroups/rg-one"));
    let sim = start(world);
    let permissions = format!("/subscriptions/{id}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01");
    assert_eq!(get(&sim, &permissions).refusal(), (403, "AuthorizationFailed".to_owned()));
    sim.edit(|world| {
        world.application(CLIENT).may("Microsoft.Authorization/permissions/read", &format!("/subscriptions/{id}"));
    });
    assert_eq!(get(&sim, &permissions).json()["value"].as_array().unwrap().len(), 1);
}

#[test]
fn a_subscription_takes_an_action_of_its_own() {
    let (mut world, id) = two_groups();
    world.application(CLIENT).may_not("Microsoft.Resources/subscriptions/read");
    let sim = start(world);
    assert_eq!(items(&sim, "/subscriptions?api-version=2022-12-01").len(), 0);
    assert_eq!(get(&sim, &format!("/subscriptions/{id}?api-version=2022-12-01")).refusal(), (403, "AuthorizationFailed".to_owned()));
    assert_eq!(items(&sim, &vms(&id)).len(), 2);
}

#[test]
fn one_kind_can_be_forbidden() {
    let (mut world, id) = two_groups();
    world.application(CLIENT).may_not("Microsoft.Network/networkInterfaces/read");
    let sim = start(world);
    let nics = get(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Network/networkInterfaces?api-version={NETWORK}"));
    assert_eq!(nics.refusal(), (403, "AuthorizationFailed".to_owned()));
    assert!(nics.text.contains("'Microsoft.Network/networkInterfaces/read'") && nics.text.contains(&id), "{}", nics.text);
    assert_eq!(items(&sim, &vms(&id)).len(), 2);
    sim.apply(&Change::Deny { client: CLIENT.to_owned(), action: "Microsoft.Compute/*".to_owned() }).unwrap();
    assert_eq!(get(&sim, &vms(&id)).status, 403);
    let permissions =
        get(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01")).json();
    assert_eq!(permissions["value"][0]["actions"], serde_json::json!(["*/read"]));
    assert_eq!(
        permissions["value"][0]["notActions"],
        serde_json::json!(["Microsoft.Network/networkInterfaces/read", "Microsoft.Compute/*"])
    );
}

#[test]
fn a_role_reaches_from_a_management_group() {
    let (mut world, id) = two_groups();
    world.management_group("top", None);
    world.management_group("inner", Some("top"));
    world.subscription("prod").management_group = Some("inner".to_owned());
    world.subscription("elsewhere");
    world.application(CLIENT).assignments = vec![Assignment::reader("/providers/Microsoft.Management/managementGroups/top")];
    let sim = start(world);
    assert_eq!(items(&sim, "/subscriptions?api-version=2022-12-01").len(), 1);
    assert_eq!(items(&sim, &vms(&id)).len(), 2);
    let below =
        |name: &str| get(&sim, &format!("/providers/Microsoft.Management/managementGroups/{name}/descendants?api-version=2020-05-01"));
    assert_eq!(below("top").json()["value"].as_array().unwrap().len(), 2);
    assert_eq!(below("inner").json()["value"][0]["name"], id.as_str());
    assert_eq!(below("other").refusal(), (403, "AuthorizationFailed".to_owned()));
    assert_eq!(below(dewpoint_azure_sim::world::TENANT).refusal().0, 403);
}

#[test]
fn odd_subscriptions_are_odd() {
    let (mut world, id) = two_groups();
    world.subscription("access to directory").disallowed = true;
    world.subscription("of others").foreign_tenant = Some("22222222-2222-4222-8222-222222222222".to_owned());
    let names = ["access to directory", "of others"];
    let [directory, others] = names.map(|name| world.subscription(name).id.clone());
    let sim = start(world);
    assert_eq!(get(&sim, &vms(&directory)).refusal(), (403, "DisallowedOperation".to_owned()));
    assert_eq!(get(&sim, &format!("/subscriptions/{directory}?api-version=2022-12-01")).status, 200);
    let foreign = get(&sim, &vms(&others));
    assert_eq!(foreign.refusal(), (401, "InvalidAuthenticationTokenTenant".to_owned()));
    assert!(foreign.header("www-authenticate").contains("22222222-2222-4222-8222-222222222222"));
    let listed = items(&sim, "/subscriptions?api-version=2022-12-01");
    assert_eq!(listed.len(), 2);
    for state in [SubscriptionState::Disabled, SubscriptionState::Warned] {
        sim.apply(&Change::SubscriptionState { subscription: id.clone(), state }).unwrap();
        let found = get(&sim, &format!("/subscriptions/{id}?api-version=2022-12-01")).json();
        assert_eq!(found["state"], state.name());
        assert_eq!(items(&sim, &vms(&id)).len(), 2, "it can be read all the same");
    }
}
