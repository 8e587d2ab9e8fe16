//! Balancers, pools and scaling groups.

use dewpoint_aws_sim::world::{
    Action, BalancerKind, BalancerZone, ClassicListener, ClassicMember, Distribution, LaunchTemplate, Member, MixedInstances, Override,
    Region, ScalingTag, Target, TargetKind, WeightedGroup,
};

use dewpoint_aws_sim::{Effect, Fault};

use super::world::{arn_key, bare, group_key, instance_key};
use super::*;

fn target(id: &str, port: u16, state: &str) -> Target {
    Target { id: id.to_owned(), port: Some(port), state: state.to_owned(), ..Target::default() }
}

/// A target group's ARN, with these targets.
fn pool(region: &mut Region, name: &str, kind: TargetKind, targets: Vec<Target>) -> String {
    let group = region.target_group(name, kind);
    group.targets = targets;
    group.arn.clone()
}

/// The edges of one type, sorted by their end.
fn routes(pull: &Pull, from: &Key) -> Vec<(Key, Value)> {
    let all = edges_from(pull, from).into_iter().filter(|edge| edge.0 == RelationType::RoutesTo);
    let mut all: Vec<_> = all.map(|edge| (edge.1, edge.2)).collect();
    all.sort_by_key(|edge| edge.0.clone());
    all
}

fn sorted(mut edges: Vec<(Key, Value)>) -> Vec<(Key, Value)> {
    edges.sort_by_key(|edge| edge.0.clone());
    edges
}

#[tokio::test]
async fn an_application_balancer_is_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let [web, api, canary] = ["web", "api", "canary"].map(|name| pool(region, name, TargetKind::Instance, Vec::new()));
    let group = region.group("front").id();
    let front = region.balancer("front", BalancerKind::Application);
    front.groups = vec![group];
    front.scheme = Some("internet-facing".to_owned());
    front.zones.push(BalancerZone { zone: "eu-west-1b".to_owned(), subnet: "subnet-2".to_owned(), ips: Vec::new() });
    front.tags.extend([("Name".to_owned(), "the front".to_owned()), ("env".to_owned(), "prod".to_owned())]);
    let redirect = Action::Redirect { protocol: "HTTPS".to_owned(), port: "443".to_owned(), status: "HTTP_301".to_owned() };
    front.listener(80, "HTTP", &web).actions = vec![redirect];
    // One group in the older place only, several with weights in the newer one.
    front.listener(443, "HTTPS", &web).actions = vec![Action::ForwardArn { group: web.clone() }];
    let weighted = [&web, &canary].map(|arn| WeightedGroup { arn: arn.clone(), weight: 1 });
    front.listener(8443, "HTTPS", &web).actions = vec![Action::Forward { groups: weighted.to_vec() }];
    front.listener(443, "HTTPS", &web).rule(1, vec![Action::forward(&api)]);
    let (arn, dns) = (front.arn.clone(), front.dns.clone());
    let vpc = key(OWN, EU, &format!("vpc/{}", region.vpc_id("main")));
    let group = group_key(region, "front");
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let balancer = one(&pull, &arn_key(&arn));
    assert_eq!(
        (balancer.name.as_deref(), balancer.native_id.as_str(), balancer.state.as_deref()),
        (Some("front"), "front", Some("active"))
    );
    assert_eq!((balancer.tags["env"].as_str(), balancer.created_at), ("prod", Some("2026-01-01T00:00:00Z".parse().unwrap())));
    let door = |port: u16, protocol: &str| json!({"port": port, "protocol": protocol});
    assert_eq!(
        attributes(&pull, &balancer.key),
        json!({
            "balancer_type": "application", "scheme": "internet-facing", "dns_name": dns, "hosted_zone": "Z32O12XQLNTSW2",
            "network": vpc,
            "zones": ["eu-west-1a", "eu-west-1b"], "addresses": [],
            "listeners": [door(80, "HTTP"), door(443, "HTTPS"), door(8443, "HTTPS")],
        })
    );
    assert!(edges_from(&pull, &balancer.key).contains(&(RelationType::ProtectedBy, group, json!({}))));
    assert_eq!(
        routes(&pull, &balancer.key),
        sorted(vec![
            (arn_key(&web), json!({"port": 443, "protocol": "HTTPS", "listeners": ["HTTPS/443", "HTTPS/8443"]})),
            (arn_key(&api), door(443, "HTTPS")),
            (arn_key(&canary), door(8443, "HTTPS")),
        ])
    );
}

#[tokio::test]
async fn edges_of_a_balancer_rest_on_its_own_listeners_and_rules() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let [web, api, tcp] = ["web", "api", "tcp"].map(|name| pool(region, name, TargetKind::Instance, Vec::new()));
    let plain = region.balancer("plain", BalancerKind::Application);
    for port in [80, 443] {
        plain.listener(port, "HTTP", if port == 80 { &api } else { &web }).rule(1, vec![Action::forward(&web)]);
    }
    let plain = plain.arn.clone();
    region.balancer("net", BalancerKind::Network).listener(53, "TCP_UDP", &tcp);
    region.balancer("idle", BalancerKind::Application);
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    let whole = pull(&source).await;
    let both = json!({"port": 80, "protocol": "HTTP", "listeners": ["HTTP/443", "HTTP/80"]});
    assert!(routes(&whole, &arn_key(&plain)).contains(&(arn_key(&web), both)), "by default on one port, by a rule on the other");
    assert_eq!(
        (count(&sim, "DescribeListeners"), count(&sim, "DescribeRules")),
        (3, 2),
        "a call for each balancer, and for each listener of an application balancer"
    );
    sim.clear_calls();
    let hidden = sim.edit_region(OWN, EU, |region| {
        let hidden = region.balancer("hidden", BalancerKind::Application);
        for port in [80, 443] {
            hidden.listener(port, "HTTP", &web).actions = vec![Action::FixedResponse { status: "404".to_owned(), body: None }];
        }
        hidden.listener(443, "HTTP", &web).rule(1, vec![Action::forward(&api)]);
        hidden.arn.clone()
    });
    let pull = pull(&source).await;
    assert_eq!(count(&sim, "DescribeRules"), 4);
    assert_eq!(routes(&pull, &arn_key(&hidden)), [(arn_key(&api), json!({"port": 443, "protocol": "HTTP"}))]);

    // What cannot be read of pools changes nothing about them.
    sim.faults(vec![Fault::new(Effect::Deny).action("DescribeTargetGroups")]);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), gaps_of(OWN, EU, &[Kind::Pool], Outcome::Denied));
    assert_eq!(routes(&pull, &arn_key(&plain)), routes(&whole, &arn_key(&plain)));
}

#[tokio::test]
async fn a_listener_that_goes_while_its_rules_are_asked_for_leaves_its_balancer() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let [web, api] = ["web", "api"].map(|name| pool(region, name, TargetKind::Instance, Vec::new()));
    let front = region.balancer("front", BalancerKind::Application);
    front.listener(80, "HTTP", &web).rule(1, vec![Action::forward(&api)]);
    let front = front.arn.clone();
    let sim = start(world);
    let gone = Effect::Error { status: 400, code: "ListenerNotFound".to_owned(), message: "One or more listeners not found".to_owned() };
    sim.faults(vec![Fault::new(gone).action("DescribeRules")]);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert!(pull.resources.contains_key(&arn_key(&front)));
    assert_eq!(routes(&pull, &arn_key(&front)), []);
}

#[tokio::test]
async fn network_and_gateway_balancers() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let front = region.balancer("front", BalancerKind::Application).arn.clone();
    let through = pool(region, "through", TargetKind::Alb, vec![target(&front, 80, "healthy")]);
    let firewall = pool(region, "firewall", TargetKind::Instance, Vec::new());
    let net = region.balancer("net", BalancerKind::Network);
    net.listener(443, "TCP", &through);
    net.zones[0].ips = vec!["198.51.100.1".to_owned()];
    let net = net.arn.clone();
    let gateway = region.balancer("gateway", BalancerKind::Gateway);
    gateway.listener(1, "", &firewall);
    gateway.state = "provisioning".to_owned();
    let gateway = gateway.arn.clone();
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let found = attributes(&pull, &arn_key(&net));
    assert_eq!((&found["balancer_type"], &found["addresses"]), (&json!("network"), &json!(["198.51.100.1"])));
    assert_eq!(edges_from(&pull, &arn_key(&net)).len(), 1, "it has no security groups");
    assert_eq!(routes(&pull, &arn_key(&net)), [(arn_key(&through), json!({"port": 443, "protocol": "TCP"}))]);
    assert_eq!(
        routes(&pull, &arn_key(&through)),
        [(arn_key(&front), json!({"port": 80, "health": "healthy"}))],
        "a balancer behind a balancer"
    );
    let found = attributes(&pull, &arn_key(&gateway));
    assert_eq!((found.get("scheme"), &found["balancer_type"], &found["listeners"]), (None, &json!("gateway"), &json!([{}])));
    assert_eq!(one(&pull, &arn_key(&gateway)).state.as_deref(), Some("provisioning"));
    assert_eq!(routes(&pull, &arn_key(&gateway)), [(arn_key(&firewall), json!({}))]);
}

#[tokio::test]
async fn pools_have_their_members_with_ports_and_health() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let [one_id, two_id] = ["one", "two"].map(|name| region.instance(name).id());
    let targets = vec![target(&one_id, 8080, "healthy"), target(&one_id, 80, "unhealthy"), target(&two_id, 80, "draining")];
    let web = pool(region, "web", TargetKind::Instance, targets);
    region.target_group("web", TargetKind::Instance).tags.insert("env".to_owned(), "prod".to_owned());
    let orphan = pool(region, "orphan", TargetKind::Instance, vec![target(&two_id, 80, "unused")]);
    let function = "arn:aws:lambda:eu-west-1:111111111111:function:f";
    let lambda = pool(region, "lambda", TargetKind::Lambda, vec![Target { port: None, ..target(function, 0, "unavailable") }]);
    let (one_key, two_key) = (instance_key(region, "one"), instance_key(region, "two"));
    let vpc = key(OWN, EU, &format!("vpc/{}", region.vpc_id("main")));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let found = one(&pull, &arn_key(&web));
    assert_eq!((found.name.as_deref(), found.tags["env"].as_str(), found.state.as_deref()), (Some("web"), "prod", None));
    let check = json!({
        "enabled": true, "protocol": "HTTP", "port": "traffic-port", "path": "/", "interval_s": 30, "timeout_s": 5,
        "healthy_threshold": 5, "unhealthy_threshold": 2,
    });
    assert_eq!(
        attributes(&pull, &arn_key(&web)),
        json!({
            "protocol": "HTTP", "port": 80, "member_type": "instance", "network": vpc, "health_check": check,
            "member_count": 3, "healthy_count": 1, "unresolved_members": [],
        })
    );
    let edges = vec![
        (one_key, json!({"port": 80, "ports": [80, 8080], "health": "unhealthy"})),
        (two_key.clone(), json!({"port": 80, "health": "draining"})),
    ];
    assert_eq!(routes(&pull, &arn_key(&web)), sorted(edges), "one edge for a machine on two ports; the worst health counts");
    assert_eq!(routes(&pull, &arn_key(&orphan)), [(two_key, json!({"port": 80, "health": "unused"}))], "no balancer needs to route to it");
    let found = attributes(&pull, &arn_key(&lambda));
    assert_eq!((&found["member_type"], &found["unresolved_members"], found.get("network")), (&json!("lambda"), &json!([function]), None));
    assert_eq!(routes(&pull, &arn_key(&lambda)), []);
}

#[tokio::test]
async fn addresses_in_pools_lead_to_machines() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("primary").edit_interface(|card| card.addresses[0].ip = "10.0.0.100".to_owned());
    region.instance("pods").edit_interface(|card| {
        card.addresses.push(dewpoint_aws_sim::world::PrivateAddress { ip: "10.0.0.201".to_owned(), public: None });
        card.ipv4_prefixes = vec!["10.0.9.16/28".to_owned()];
        card.ipv6 = vec!["fd00::7".to_owned()];
    });
    // The same address in another network is another machine's.
    region.subnet("elsewhere", "elsewhere", "eu-west-1a");
    let elsewhere = region.subnet_id("elsewhere");
    region.instance("twin").subnet(&elsewhere).edit_interface(|card| card.addresses[0].ip = "10.0.0.202".to_owned());
    let addresses = ["10.0.0.100", "10.0.0.201", "10.0.9.17", "fd00::7", "10.0.0.202", "192.168.7.7"];
    let arn = pool(region, "ips", TargetKind::Ip, addresses.map(|ip| target(ip, 80, "healthy")).to_vec());
    let (primary, pods) = (instance_key(region, "primary"), instance_key(region, "pods"));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let healthy = json!({"port": 80, "health": "healthy"});
    assert_eq!(routes(&pull, &arn_key(&arn)), sorted(vec![(primary, healthy.clone()), (pods, healthy)]));
    let found = attributes(&pull, &arn_key(&arn));
    assert_eq!(found["unresolved_members"], json!(["10.0.0.202:80", "192.168.7.7:80"]));
    assert_eq!((&found["member_count"], &found["healthy_count"]), (&json!(6), &json!(6)));
}

#[tokio::test]
async fn a_classic_balancer_has_a_pool_of_its_members() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let [up, down, gone] = ["up", "down", "gone"].map(|name| region.instance(name).id());
    let group = region.group("old").id();
    let classic = region.classic_balancer("old");
    classic.groups = vec![group];
    classic.tags.insert("env".to_owned(), "prod".to_owned());
    classic.listeners = [(443, "HTTPS", 8080), (80, "HTTP", 8080)]
        .map(|(port, protocol, inside)| ClassicListener {
            protocol: protocol.to_owned(),
            port,
            instance_protocol: "HTTP".to_owned(),
            instance_port: inside,
            certificate: None,
        })
        .to_vec();
    for (id, state) in [(&up, "InService"), (&down, "OutOfService"), (&gone, "Unknown")] {
        classic.instances.insert(id.clone(), ClassicMember { state: state.to_owned(), ..ClassicMember::default() });
    }
    region.classic_balancer("empty");
    let keys = ["up", "down", "gone"].map(|name| instance_key(region, name));
    let group = group_key(region, "old");
    let vpc = key(OWN, EU, &format!("vpc/{}", region.vpc_id("main")));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let arn = |name: &str| format!("arn:aws:elasticloadbalancing:{EU}:{OWN}:loadbalancer/{name}");
    let (balancer, pool) = (arn_key(&arn("old")), arn_key(&arn("old/members")));
    let found = one(&pull, &balancer);
    assert_eq!((found.name.as_deref(), found.tags["env"].as_str()), (Some("old"), "prod"));
    assert_eq!(attributes(&pull, &balancer)["listeners"], json!([{"port": 80, "protocol": "HTTP"}, {"port": 443, "protocol": "HTTPS"}]));
    assert_eq!(
        (&attributes(&pull, &balancer)["balancer_type"], &attributes(&pull, &balancer)["network"]),
        (&json!("classic"), &json!(vpc))
    );
    assert_eq!(attributes(&pull, &balancer)["hosted_zone"], "Z32O12XQLNTSW2");
    let door = json!({"port": 80, "protocol": "HTTP", "listeners": ["HTTP/80", "HTTPS/443"]});
    assert_eq!(routes(&pull, &balancer), [(pool.clone(), door)]);
    assert!(edges_from(&pull, &balancer).contains(&(RelationType::ProtectedBy, group, json!({}))));
    assert_eq!(one(&pull, &pool).tags["env"], "prod", "a pool without tags of its own has its balancer's");
    let found = attributes(&pull, &pool);
    assert_eq!(
        (&found["protocol"], &found["port"], &found["member_type"], &found["member_count"], &found["healthy_count"]),
        (&json!("HTTP"), &json!(8080), &json!("instance"), &json!(3), &json!(1))
    );
    assert_eq!(found["health_check"]["target"], json!("TCP:80"));
    let members = keys.into_iter().zip(["healthy", "unhealthy", "unknown"]);
    let members = members.map(|(key, health)| (key, json!({"port": 8080, "health": health}))).collect();
    assert_eq!(routes(&pull, &pool), sorted(members));
    assert_eq!(count(&sim, "DescribeInstanceHealth"), 1, "nobody registered is nobody to ask about");
}

#[tokio::test]
async fn scaling_groups_are_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("one").of_type("m5.large");
    let (id, member) = (region.instance_id("one"), instance_key(region, "one"));
    let template = LaunchTemplate { id: "lt-1".to_owned(), name: "t".to_owned(), version: "7".to_owned() };
    let group = region.scaling_group("mixed");
    (group.min, group.max, group.desired) = (1, 9, 4);
    group.zones.push("eu-west-1b".to_owned());
    group.mixed = Some(MixedInstances {
        template: template.clone(),
        overrides: ["c5.large", "m5.large"].map(|size| Override { instance_type: size.to_owned(), weight: None }).to_vec(),
        distribution: Distribution { on_demand_base: 1, on_demand_percent: 50, spot_strategy: "lowest-price".to_owned() },
    });
    group.instances.insert(id, Member::default());
    group.tags.insert("env".to_owned(), ScalingTag { value: "prod".to_owned(), propagate: true });
    group.status = Some("Delete in progress".to_owned());
    let mixed = group.arn.clone();
    let group = region.scaling_group("plain");
    group.template = Some(template);
    let plain = group.arn.clone();
    let group = region.scaling_group("older");
    group.configuration = Some("launch-1".to_owned());
    let older = group.arn.clone();
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let found = one(&pull, &arn_key(&mixed));
    assert_eq!(
        (found.name.as_deref(), found.state.as_deref(), found.tags["env"].as_str()),
        (Some("mixed"), Some("delete_in_progress"), "prod")
    );
    assert_eq!(
        attributes(&pull, &found.key),
        json!({
            "min_size": 1, "max_size": 9, "desired_size": 4, "zones": ["eu-west-1a", "eu-west-1b"], "sizes": ["c5.large", "m5.large"],
            "launch_template": "lt-1", "member_count": 1,
        })
    );
    assert!(edges_from(&pull, &member).contains(&(RelationType::MemberOf, found.key.clone(), json!({}))));
    let templates = [plain, older].map(|arn| attributes(&pull, &arn_key(&arn))["launch_template"].clone());
    assert_eq!(templates, [json!("lt-1"), json!("launch-1")]);
}
