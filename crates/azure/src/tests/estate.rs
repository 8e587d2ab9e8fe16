//! What an estate looks like.

use dewpoint_azure_sim::world::World;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_machine_is_read_with_what_it_hangs_on() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-App", "westeurope");
    let nsg = group.nsg("nsg-web").allow(100, "Tcp", "443", "Internet").id();
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    let machine = group.vm("web-1").size("Standard_D4s_v5").zone("2").tag("env", "prod").pool(&pool).nsg(&nsg).public_ip("198.51.100.7");
    let (vm, nic) = (machine.id(), machine.nic_id());
    let sim = start(world);

    let pull = setup(&sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let machine = resource(&pull, &vm);
    assert_eq!(
        (machine.name.as_deref(), machine.state.as_deref(), machine.region.as_str()),
        (Some("web-1"), Some("running"), "westeurope")
    );
    assert_eq!((machine.account.as_str(), machine.tags["env"].as_str()), (account.as_str(), "prod"));
    let fact = |name: &str| machine.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(fact("size"), json!("Standard_D4s_v5"));
    assert_eq!((fact("vcpus"), fact("memory_mib"), fact("architecture")), (json!(4), json!(16384), json!("x86_64")));
    assert_eq!((fact("purchase"), fact("os_family"), fact("zone")), (json!("on_demand"), json!("linux"), json!("westeurope-2")));
    assert_eq!(fact("public_addresses"), json!(["198.51.100.7"]));
    assert_eq!(fact("private_addresses").as_array().unwrap().len(), 1);
    assert!(fact("life").as_str().is_some_and(|life| life.len() == 36));

    edge(&pull, &nic, RelationType::AttachedTo, &vm);
    edge(&pull, &vm, RelationType::ProtectedBy, &nsg);
    edge(&pull, &format!("/subscriptions/{account}/resourceGroups/rg-app"), RelationType::Contains, &vm);
    assert_eq!(edge(&pull, &pool, RelationType::RoutesTo, &vm).attributes["port"], json!(8443));
    let balancer = pool.split("/backendAddressPools/").next().unwrap();
    assert_eq!(edge(&pull, balancer, RelationType::RoutesTo, &pool).attributes["port"], json!(443));
    assert_eq!(resource(&pull, &nsg).attributes["open_to_world"], json!(["tcp/443"]));
}

#[tokio::test]
async fn a_generated_estate_is_read_whole() {
    let sim = start(World::generated(7, 2, 120));
    let pull = setup(&sim).pull().await;
    assert_eq!((incomplete(&pull), &pull.remarks), (Vec::new(), &Vec::new()));
    assert_eq!(all_of(&pull, Kind::Instance).len(), 120);
}
