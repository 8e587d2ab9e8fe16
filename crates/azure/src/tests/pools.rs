//! Pools and their members, in all forms.

use dewpoint_azure_sim::world::{Backend, Frontend, GatewayListener, GatewayPool, GatewayRule, PathRule};
use dewpoint_azure_sim::{Effect, Fault, Mishap};
use serde_json::json;

use super::*;

fn key(id: &str) -> String {
    Key::azure(id).unwrap().as_str().to_owned()
}

#[tokio::test]
async fn members_are_found_in_each_form_and_in_their_own_network() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg-App", "westeurope");
    let (one, other) = (group.vnet("one", "10.1.0.0/16").id(), group.vnet("other", "10.1.0.0/16").id());
    let balancer = group.load_balancer("front").pool("web", 443, 8443).pool("db", 5432, 5432);
    let (web, db) = (balancer.pool_id("web"), balancer.pool_id("db"));
    balancer.address("db", "10.1.0.9", &other).address("db", "10.1.0.77", &other).edit(|balancer| {
        // The same network by its subnet.
        balancer.pools[1].addresses[0].vnet = None;
        balancer.pools[1].addresses[0].subnet = Some(format!("{other}/subnets/default").to_uppercase());
    });
    let here = group.vm("here").subnet(&format!("{one}/subnets/default")).ip("10.1.0.9").id();
    let there = group.vm("there").subnet(&format!("{other}/subnets/default")).ip("10.1.0.9").id();
    let by_nic = group.vm("by-nic").pool(&web.to_uppercase()).id();
    let set = group.uniform_set("workers", 2).pool(&web).id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let mut members = vec![key(&by_nic), key(&format!("{set}/virtualMachines/0")), key(&format!("{set}/virtualMachines/1"))];
    members.sort();
    assert_eq!(targets(&pull, &web, RelationType::RoutesTo), members);
    assert_eq!(targets(&pull, &db, RelationType::RoutesTo), [key(&there)], "not {here}, which has the address in another network");
    let facts = &resource(&pull, &db).attributes;
    assert_eq!(
        (&facts["unresolved_members"], &facts["member_count"], &facts["member_type"]),
        (&json!(["10.1.0.77"]), &json!(2), &json!("ip"))
    );
    assert_eq!(edge(&pull, &db, RelationType::RoutesTo, &there).attributes["port"], 5432);
    assert_eq!(resource(&pull, &web).attributes["member_count"], 3);
}

#[tokio::test]
async fn a_gateway_leads_by_paths_to_names_addresses_and_interfaces() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let subnet = group.vnet("main", "10.0.0.0/16").subnet_id("default");
    let by_ip = group.vm("by-ip").ip("10.0.0.50").id();
    let pool = |name: &str, addresses: Vec<Backend>| GatewayPool { name: name.to_owned(), addresses };
    let listener = |name: &str, protocol: &str, port: u16| GatewayListener {
        name: name.to_owned(),
        frontend: "front".to_owned(),
        protocol: protocol.to_owned(),
        port,
        host: None,
    };
    let gateway = group.gateway("gateway", &subnet).edit(|gateway| {
        let addresses =
            [Backend::Ip("10.0.0.50".to_owned()), Backend::Ip("192.0.2.1".to_owned()), Backend::Fqdn("db.example.net".to_owned())];
        gateway.pools = vec![pool("web", addresses.to_vec()), pool("api", Vec::new()), pool("idle", Vec::new())];
        gateway.listeners = vec![listener("http", "Http", 80), listener("https", "Https", 443), listener("unused", "Https", 8443)];
        let paths = vec![PathRule { name: "api".to_owned(), paths: vec!["/api/*".to_owned()], pool: "api".to_owned() }];
        gateway.rules = vec![
            GatewayRule { name: "plain".to_owned(), listener: "http".to_owned(), pool: "web".to_owned(), paths: Vec::new(), priority: 10 },
            GatewayRule { name: "paths".to_owned(), listener: "https".to_owned(), pool: "web".to_owned(), paths, priority: 20 },
        ];
    });
    let (id, web, api, idle) = (gateway.id(), gateway.pool_id("web"), gateway.pool_id("api"), gateway.pool_id("idle"));
    let by_nic = group.vm("by-nic").gateway_pool(&api).id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    assert_eq!(targets(&pull, &web, RelationType::RoutesTo), [key(&by_ip)]);
    assert_eq!(resource(&pull, &web).attributes["unresolved_members"], json!(["192.0.2.1", "db.example.net"]));
    assert_eq!(targets(&pull, &api, RelationType::RoutesTo), [key(&by_nic)]);
    assert_eq!(targets(&pull, &idle, RelationType::RoutesTo), Vec::<String>::new());
    let mut reached = targets(&pull, &id, RelationType::RoutesTo);
    reached.sort();
    assert_eq!(reached, [key(&api), key(&web)], "nothing leads to the third");
    let to_web = &edge(&pull, &id, RelationType::RoutesTo, &web).attributes;
    assert_eq!((&to_web["port"], to_web["listeners"].as_array().unwrap().len()), (&json!(80), 2));
    assert_eq!(edge(&pull, &id, RelationType::RoutesTo, &api).attributes["port"], 443);
    let facts = &resource(&pull, &id).attributes;
    assert_eq!((facts["listeners"].as_array().unwrap().len(), &facts["balancer_type"]), (3, &json!("application_gateway")));
    assert_eq!(resource(&pull, &id).state.as_deref(), Some("running"));
}

#[tokio::test]
async fn a_pool_can_lead_to_another_balancer() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let network = group.vnet("main", "10.0.0.0/16").id();
    let inner = group.load_balancer("inner").pool("db", 5432, 5432).edit(|balancer| {
        let subnet = Some(format!("{network}/subnets/default"));
        balancer.frontends =
            vec![Frontend { name: "front".to_owned(), private_ip: Some("10.0.0.200".to_owned()), subnet, public_ip: None }];
    });
    let inner = inner.id();
    let outer = group.load_balancer("outer").pool("all", 443, 5432).address("all", "10.0.0.200", &network);
    let (outer, pool) = (outer.id(), outer.pool_id("all"));
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!(targets(&pull, &pool, RelationType::RoutesTo), [key(&inner)]);
    let scheme = |id: &str| resource(&pull, id).attributes["scheme"].clone();
    assert_eq!((scheme(&inner), scheme(&outer)), (json!("internal"), json!("internet-facing")));
    assert_eq!(resource(&pull, &inner).attributes["addresses"], json!(["10.0.0.200"]));
}

#[tokio::test]
async fn members_of_another_subscription_are_found_and_missed_where_it_is_not_read() {
    let mut world = World::new();
    let mut hub = world.subscription("hub").group("rg", "westeurope");
    let network = hub.vnet("main", "10.0.0.0/16").id();
    let balancer = hub.load_balancer("front").pool("web", 443, 8443).pool("db", 1, 1).address("db", "10.0.0.99", &network);
    let (web, db) = (balancer.pool_id("web"), balancer.pool_id("db"));
    let spoke = world.subscription("spoke");
    let account = spoke.id.clone();
    let mut group = spoke.group("rg", "westeurope");
    let member = group.vm("web").subnet(&format!("{network}/subnets/default")).ip("10.0.0.99").pool(&web).id();
    let sim = start(world);
    let whole = setup(&sim).pull().await;
    assert_eq!(targets(&whole, &web, RelationType::RoutesTo), [key(&member)]);
    assert_eq!(targets(&whole, &db, RelationType::RoutesTo), [key(&member)]);
    let is_unread = |pull: &Pull, id: &str| {
        pull.unread_edges.get(&Key::azure(id).unwrap()).is_some_and(|types| types.contains(&RelationType::RoutesTo))
    };
    assert!(!is_unread(&whole, &web) && !is_unread(&whole, &db));
    for fault in [
        Fault::new(Effect::Deny).operation("networkInterfaces.list").subscription(&account),
        Fault::new(Effect::Error { status: 403, code: "AuthorizationFailed".to_owned(), message: String::new() }).subscription(&account),
    ] {
        sim.faults(vec![fault]);
        let pull = setup(&sim).pull().await;
        assert!(is_unread(&pull, &web) && is_unread(&pull, &db), "who they are is not known, and what was known stays");
        assert!(!resource(&pull, &web).attributes.contains_key("unresolved_members"), "an interface that was not read is not unknown");
    }
    // Nor where nothing of the other subscription can be read.
    sim.faults(vec![Fault::new(Effect::Deny).operation("subscriptions.get").subscription(&account)]);
    let both = Subscriptions::Listed(sim.world().subscriptions.keys().map(|id| id.parse().unwrap()).collect());
    let pull = setup(&sim).with(|config| config.subscriptions = both).pull().await;
    assert!(is_unread(&pull, &web) && is_unread(&pull, &db));
}

#[tokio::test]
async fn an_address_is_seen_through_exactly_one_peer() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let [hub, near, far] = ["hub", "near", "far"].map(|name| group.vnet(name, "10.0.0.0/16").id());
    let subnet = |network: &str| format!("{network}/subnets/default");
    let addresses = vec![Backend::Ip("10.7.0.1".to_owned()), Backend::Ip("10.8.0.1".to_owned())];
    let pool = group.gateway("gateway", &subnet(&hub)).pool("web", 80, addresses).pool_id("web");
    let only = group.vm("only").subnet(&subnet(&near)).ip("10.7.0.1").id();
    group.vm("one-of-two").subnet(&subnet(&near)).ip("10.8.0.1");
    group.vm("two-of-two").subnet(&subnet(&far)).ip("10.8.0.1");
    let sim = start(world);
    assert_eq!(
        targets(&setup(&sim).pull().await, &pool, RelationType::RoutesTo),
        Vec::<String>::new(),
        "networks apart do not see each other"
    );
    let network = |id: &str, peers: &[&str]| {
        let peers: Vec<_> = peers.iter().map(|peer| json!({"properties": {"remoteVirtualNetwork": {"id": peer}}})).collect();
        json!({"id": id, "name": "x", "location": "westeurope", "properties": {
            "addressSpace": {"addressPrefixes": []}, "subnets": [{"id": subnet(id), "properties": {}}], "virtualNetworkPeerings": peers}})
    };
    let body =
        json!({"value": [network(&hub, &[&near.to_uppercase(), &far]), network(&near, &[&hub]), network(&far, &[&hub])]}).to_string();
    let answer = Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body });
    sim.faults(vec![Fault::new(answer).operation("virtualNetworks.list")]);
    let pull = setup(&sim).pull().await;
    assert_eq!(targets(&pull, &pool, RelationType::RoutesTo), [key(&only)]);
    assert_eq!(resource(&pull, &pool).attributes["unresolved_members"], json!(["10.8.0.1"]), "it could be either");
}
