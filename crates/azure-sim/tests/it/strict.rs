//! What is refused, and how.

use dewpoint_azure_sim::{Unregistered, world::World};

use crate::support::{COMPUTE, NETWORK, get, send, start, start_with};

/// A world with a machine, a uniform and a flexible set; and the id of its subscription.
fn small() -> (World, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let id = subscription.id.clone();
    let mut group = subscription.group("rg-App", "westeurope");
    group.vm("app-01");
    group.uniform_set("uniform", 2);
    let set = group.flexible_set("flexible").id();
    group.vm("member").member_of(&set);
    (world, id)
}

#[test]
fn versions_are_needed_and_known() {
    let (world, id) = small();
    let sim = start(world);
    let refusal = |target: &str| get(&sim, &format!("/subscriptions/{id}{target}")).refusal();
    let vms = "/providers/Microsoft.Compute/virtualMachines";
    assert_eq!(refusal(vms), (400, "MissingApiVersionParameter".to_owned()));
    assert_eq!(refusal(&format!("{vms}?api-version=")), (400, "MissingApiVersionParameter".to_owned()));
    assert_eq!(refusal(&format!("{vms}?api-version=2001-01-01")), (400, "InvalidApiVersionParameter".to_owned()));
    assert_eq!(refusal(&format!("{vms}?api-version=2018-10-01")), (400, "NoRegisteredProviderFound".to_owned()));
    assert_eq!(refusal("/locations"), (400, "MissingApiVersionParameter".to_owned()));
    sim.settings(|settings| settings.newest_version = Some("2023-12-31".to_owned()));
    assert_eq!(refusal(&format!("{vms}?api-version={COMPUTE}")), (400, "NoRegisteredProviderFound".to_owned()));
    assert_eq!(get(&sim, &format!("/subscriptions/{id}{vms}?api-version=2023-09-01")).status, 200);
}

#[test]
fn options_and_methods_are_known() {
    let (world, id) = small();
    let sim = start(world);
    let refusal = |target: &str| get(&sim, &format!("/subscriptions/{id}{target}")).refusal();
    let vms = format!("/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}");
    let nics = format!("/providers/Microsoft.Network/networkInterfaces?api-version={NETWORK}");
    for (target, code) in [
        (format!("{vms}&$top=5"), "InvalidQueryParameter"),
        (format!("{vms}&colour=blue"), "InvalidQueryParameter"),
        (format!("{vms}&statusOnly=true&statusOnly=true"), "InvalidQueryParameter"),
        (format!("{vms}&statusOnly=yes"), "InvalidParameter"),
        (format!("{vms}&$expand=instanceView"), "InvalidParameter"),
        (format!("{vms}&$filter=name%20eq%20'x'"), "InvalidFilterInQueryString"),
        (format!("{vms}&$skiptoken=made%20up"), "InvalidContinuationToken"),
        (format!("{nics}&$expand=instanceView"), "InvalidQueryParameter"),
        ("/resourcegroups?api-version=2021-04-01&$top=0".to_owned(), "InvalidTopValue"),
        ("/resources?api-version=2021-04-01&$expand=properties".to_owned(), "InvalidExpandParameter"),
        ("/providers/Microsoft.Compute/skus?api-version=2021-07-01&$filter=name%20eq%20'x'".to_owned(), "InvalidFilterInQueryString"),
    ] {
        assert_eq!(refusal(&target), (400, code.to_owned()), "{target}");
    }
    let headers = crate::support::bearer(&sim.token(dewpoint_azure_sim::world::CLIENT));
    let deleted = send(&sim, "DELETE", &format!("/subscriptions/{id}{vms}"), &headers, "");
    assert_eq!((deleted.refusal(), deleted.header("allow")), ((405, "HttpMethodNotAllowed".to_owned()), "GET"));
    let graph = get(&sim, "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01");
    assert_eq!((graph.status, graph.header("allow")), (405, "POST"));
    assert_eq!(refusal("/providers/Microsoft.Storage/storageAccounts?api-version=2023-01-01"), (404, "InvalidResourceType".to_owned()));
}

#[test]
fn what_is_not_there_is_not_found() {
    let (world, id) = small();
    let sim = start(world);
    let refusal =
        |subscription: &str, rest: &str| get(&sim, &format!("/subscriptions/{subscription}{rest}api-version={COMPUTE}")).refusal();
    let vm = "/resourceGroups/rg-app/providers/Microsoft.Compute/virtualMachines";
    assert_eq!(refusal(&id, &format!("{vm}/none?")), (404, "ResourceNotFound".to_owned()));
    assert_eq!(refusal(&id, &format!("{vm}/none/instanceView?")), (404, "ResourceNotFound".to_owned()));
    assert_eq!(refusal(&id, &format!("{}/none?", vm.replace("rg-app", "gone"))), (404, "ResourceGroupNotFound".to_owned()));
    assert_eq!(refusal(&id, &format!("{}?", vm.replace("rg-app", "gone"))), (404, "ResourceGroupNotFound".to_owned()));
    assert_eq!(
        refusal("11111111-1111-4111-8111-111111111111", "/providers/Microsoft.Compute/virtualMachines?"),
        (404, "SubscriptionNotFound".to_owned())
    );
}

#[test]
fn a_single_machine_is_expanded() {
    let (world, id) = small();
    let sim = start(world);
    let vm = format!("/subscriptions/{id}/resourceGroups/RG-APP/providers/Microsoft.Compute/virtualMachines/APP-01");
    let plain = get(&sim, &format!("{vm}?api-version={COMPUTE}")).json();
    assert_eq!(plain["properties"]["instanceView"], serde_json::Value::Null);
    let expanded = get(&sim, &format!("{vm}?api-version={COMPUTE}&$expand=instanceView")).json();
    assert_eq!(expanded["properties"]["instanceView"]["statuses"][1]["code"], "PowerState/running");
    let view = get(&sim, &format!("{vm}/instanceView?api-version={COMPUTE}")).json();
    assert_eq!(view["statuses"], expanded["properties"]["instanceView"]["statuses"]);
    assert_eq!(get(&sim, &format!("{vm}?api-version={COMPUTE}&$expand=everything")).refusal().0, 400);
}

#[test]
fn calls_of_uniform_sets_are_refused_for_flexible_ones() {
    let (world, id) = small();
    let sim = start(world);
    let set = |name: &str, rest: &str| {
        let version = if rest.contains("etworkInterfaces") || rest.contains("public") { "2018-10-01" } else { COMPUTE };
        get(
            &sim,
            &format!(
                "/subscriptions/{id}/resourceGroups/rg-app/providers/Microsoft.Compute/virtualMachineScaleSets/{name}{rest}?api-version={version}"
            ),
        )
    };
    for rest in
        ["/virtualMachines", "/virtualMachines/0", "/networkInterfaces", "/publicipaddresses", "/virtualMachines/0/networkInterfaces"]
    {
        assert_eq!(set("flexible", rest).refusal(), (400, "InvalidParameter".to_owned()), "{rest}");
        assert_eq!(set("uniform", rest).status, 200, "{rest}");
    }
    assert_eq!(set("uniform", "/virtualMachines/member").refusal(), (400, "InvalidParameter".to_owned()));
    // In the words of the compute provider: Resource Manager keeps no record of a set's instances.
    assert_eq!(set("uniform", "/virtualMachines/7").refusal(), (404, "NotFound".to_owned()));
    assert_eq!(
        [set("uniform", "").json()["sku"]["capacity"].as_u64(), set("flexible", "").json()["sku"]["capacity"].as_u64()],
        [Some(2), Some(1)]
    );

    let by_set = |name: &str, version: &str| {
        let filter = format!(
            "'virtualMachineScaleSet/id' eq '/subscriptions/{id}/resourceGroups/RG-APP/providers/Microsoft.Compute/virtualMachineScaleSets/{name}'"
        );
        let filter = dewpoint_sim_kit::form::encode(&filter);
        get(
            &sim,
            &format!(
                "/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={version}&$filter={filter}&$expand=instanceView"
            ),
        )
    };
    let members = by_set("flexible", COMPUTE).json();
    assert_eq!(members["value"].as_array().unwrap().len(), 1);
    assert_eq!(members["value"][0]["properties"]["instanceView"]["statuses"][1]["code"], "PowerState/running");
    assert_eq!(
        [by_set("uniform", COMPUTE).status, by_set("flexible", "2022-11-01").status, by_set("none", COMPUTE).status],
        [400, 400, 404]
    );
}

#[test]
fn an_unregistered_provider_is_told() {
    let (mut world, id) = small();
    world.subscription("prod").unregistered.insert("Microsoft.Network".to_owned());
    let sim = start_with(world, |start| start.settings.unregistered = Unregistered::Conflict);
    let nics = format!("/subscriptions/{id}/providers/Microsoft.Network/networkInterfaces?api-version={NETWORK}");
    assert_eq!(get(&sim, &nics).refusal(), (409, "MissingSubscriptionRegistration".to_owned()));
    sim.settings(|settings| settings.unregistered = Unregistered::Empty);
    assert_eq!(get(&sim, &nics).json(), serde_json::json!({"value": []}));
}
