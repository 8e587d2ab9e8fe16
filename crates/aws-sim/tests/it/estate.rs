//! An estate with one of everything, and with the odd cases of each.

use dewpoint_aws_sim::world::{
    Action, Attachment, BalancerKind, BalancerZone, Certificate, ClassicMember, Condition, Cpu, Denial, Distribution, GroupPair,
    InstanceState, Interface, LaunchTemplate, Listener, Member, MixedInstances, OptIn, Override, Peer, Permission, PrivateAddress, Region,
    ScalingTag, Spec, Target, TargetKind, WeightedGroup, World,
};

pub(crate) const A: &str = "111111111111";
pub(crate) const B: &str = "222222222222";
pub(crate) const C: &str = "333333333333";
pub(crate) const REGION: &str = "eu-west-1";

/// Two accounts of an organization and one outside it.
pub(crate) fn estate() -> World {
    let mut world = World::new();
    world.account(A).region("me-south-1").opt_in = Some(OptIn::NotOptedIn);
    let region = world.account(A).region(REGION);
    machines(region);
    networks(region);
    balancers(region);
    scaling(region);
    world.add(&Spec {
        account: B.to_owned(),
        instances: 30,
        interfaces_per: 2,
        volumes_per: 2,
        balancers: 3,
        classic_balancers: 2,
        scaling_groups: 3,
        ..Spec::default()
    });
    let account = world.account(B);
    account.role("dewpoint", &[A]).external_id = Some("ours".to_owned());
    account.denials.push(Denial { region: Some("us-east-1".to_owned()), ..Denial::default() });
    account.region("af-south-1").opt_in = Some(OptIn::OptedIn);
    let organization = world.organize(A);
    organization.empty_pages = true;
    if let Some(member) = organization.member(B) {
        member.state = "SUSPENDED".to_owned();
    }
    for number in 0..45 {
        let mut member = organization.members.first().cloned().unwrap_or_default();
        member.id = format!("9{number:011}");
        member.state = ["ACTIVE", "CLOSED", "PENDING_CLOSURE", "PENDING_ACTIVATION"][number % 4].to_owned();
        organization.members.push(member);
    }
    world.account(C);
    world
}

fn machines(region: &mut Region) {
    region
        .instance("web-1")
        .of_type("m7g.large")
        .groups(&["web", "ssh"])
        .elastic_ip("198.51.100.7")
        .interface("10.0.200.1")
        .volume("/dev/sdf", 100)
        .tag("Team", "a <b> & \"c\"")
        .tag("empty", "")
        .edit(|it| {
            it.key_name = Some("key".to_owned());
            it.profile = None;
            it.placement_group = Some("together".to_owned());
        });
    region.instance("web-2").of_type("c6i.2xlarge").groups(&["web"]).public_ip("203.0.113.9").spot();
    region.instance("windows").windows().of_type("m5.xlarge").state(InstanceState::Stopped).edit(|it| it.tags.clear());
    region.instance("starting").state(InstanceState::Pending).edit(|it| it.tenancy = "dedicated".to_owned());
    region.instance("stopping").state(InstanceState::Stopping).edit(|it| it.cpu = Some(Cpu { cores: 1, threads: 1 }));
    region.instance("going").state(InstanceState::ShuttingDown).edit_interface(|it| it.ipv6 = vec!["2001:db8::7".to_owned()]);
    region.instance("managed").managed_by("eks.amazonaws.com").edit(|it| {
        it.requester = Some("940000000000".to_owned());
        it.outpost = Some("arn:aws:outposts:eu-west-1:111111111111:outpost/op-1".to_owned());
    });
    let gone = region.instance("gone").groups(&["web"]).id();
    let far = dewpoint_aws_sim::Clock::real().now();
    assert_eq!(region.terminate(&gone, far), Ok(()));
    // A fleet in one reservation, which pages cut in two.
    for number in 0..12 {
        region.instance(&format!("fleet-{number}")).edit(|it| it.reservation = "r-0123456789abcdef0".to_owned());
    }
    let pods = region.instance("pods").edit_interface(|it| {
        it.addresses.extend((0..5).map(|number| PrivateAddress { ip: format!("10.0.240.{number}"), public: None }));
        it.ipv4_prefixes = vec!["10.0.241.0/28".to_owned()];
        it.description = "aws-K8S-i".to_owned();
        it.source_dest_check = false;
    });
    let pods = pods.id();
    assert!(region.instances.contains_key(&pods));
    let subnet = region.subnet("main", "main", "eu-west-1a").clone();
    let service = Interface {
        id: "eni-0aaaaaaaaaaaaaaaa".to_owned(),
        requester: Some("amazon-elb".to_owned()),
        requester_managed: true,
        description: "ELB app/alb/1".to_owned(),
        kind: "load_balancer".to_owned(),
        subnet: subnet.id.clone(),
        vpc: subnet.vpc.clone(),
        zone: subnet.zone.clone(),
        mac: "02:00:00:00:00:01".to_owned(),
        addresses: vec![PrivateAddress { ip: "10.0.250.1".to_owned(), public: None }],
        attachment: Some(Attachment {
            id: "ela-attach-1".to_owned(),
            instance_owner: Some("amazon-elb".to_owned()),
            device_index: 1,
            ..Attachment::default()
        }),
        source_dest_check: true,
        ..Interface::default()
    };
    let free = Interface {
        id: "eni-0bbbbbbbbbbbbbbbb".to_owned(),
        attachment: None,
        requester: None,
        kind: "interface".to_owned(),
        ..service.clone()
    };
    region.interfaces.insert(service.id.clone(), service);
    region.interfaces.insert(free.id.clone(), free);
    region.volumes.values_mut().take(1).for_each(|volume| {
        volume.attachments.clear();
        volume.kms_key = Some("arn:aws:kms:eu-west-1:111111111111:key/1".to_owned());
        volume.snapshot = Some("snap-0123456789abcdef0".to_owned());
        volume.tags.insert("keep".to_owned(), "yes".to_owned());
    });
}

fn networks(region: &mut Region) {
    let other = region.group_id("web");
    region
        .group("web")
        .allow("tcp", 443, "0.0.0.0/0")
        .allow("tcp", 443, "::/0")
        .allow_group("tcp", 8080, "sg-0fffffffffffffff0", Some(B))
        .allow_group("tcp", 8080, "sg-0fffffffffffffff1", None)
        .tag("a", "b");
    region.group("db").allow_group("tcp", 5432, &other, None).edit(|group| {
        group.ingress.push(Permission {
            protocol: "icmp".to_owned(),
            from: Some(-1),
            to: Some(-1),
            ipv4: vec![Peer { value: "10.0.0.0/8".to_owned(), description: Some("ping".to_owned()) }],
            ..Permission::default()
        });
        let prefix_lists = vec![Peer { value: "pl-0123456789abcdef0".to_owned(), description: None }];
        group.egress.push(Permission { protocol: "-1".to_owned(), from: Some(-1), to: Some(-1), prefix_lists, ..Permission::default() });
        let peered = GroupPair {
            group: "sg-0fffffffffffffff2".to_owned(),
            user: Some(B.to_owned()),
            vpc: Some("vpc-0123456789abcdef0".to_owned()),
            peering: Some("pcx-0123456789abcdef0".to_owned()),
            peering_status: Some("active".to_owned()),
            description: Some("peer".to_owned()),
        };
        group.ingress.push(Permission { protocol: "50".to_owned(), groups: vec![peered], ..Permission::default() });
    });
    let shared = region.vpc("shared");
    shared.owner = Some(B.to_owned());
    shared.cidrs = vec!["10.1.0.0/16".to_owned(), "10.2.0.0/16".to_owned()];
    shared.ipv6_cidrs = vec!["2001:db8::/56".to_owned()];
    region.subnet("shared-b", "shared", "eu-west-1b").owner = Some(B.to_owned());
    region.subnet("shared-c", "shared", "eu-west-1c").ipv6_cidrs = vec!["2001:db8::/64".to_owned()];
    for number in 0..15 {
        region.vpc(&format!("vpc-{number}"));
    }
    let subnet = region.subnet_id("shared-b");
    region.instance("in-shared").subnet(&subnet);
}

fn balancers(region: &mut Region) {
    let (one, two) = (region.instance_id("web-1"), region.instance_id("web-2"));
    let target =
        |id: &str, port: u16, state: &str| Target { id: id.to_owned(), port: Some(port), state: state.to_owned(), ..Target::default() };
    let web = region.target_group("web", TargetKind::Instance);
    web.targets = vec![target(&one, 80, "healthy"), target(&one, 81, "healthy"), target(&two, 80, "draining")];
    web.tags.insert("pool".to_owned(), "web".to_owned());
    let web = web.arn.clone();
    let ip = region.target_group("ip", TargetKind::Ip);
    ip.targets = vec![Target {
        zone: Some("all".to_owned()),
        reason: Some("Target.FailedHealthChecks".to_owned()),
        description: Some("Health checks failed".to_owned()),
        ..target("10.0.240.3", 8080, "unhealthy")
    }];
    let ip = ip.arn.clone();
    region.target_group("orphan", TargetKind::Instance);
    let function = region.target_group("function", TargetKind::Lambda);
    function.targets = vec![Target {
        id: "arn:aws:lambda:eu-west-1:111111111111:function:f".to_owned(),
        state: "unavailable".to_owned(),
        ..Target::default()
    }];
    let function = function.arn.clone();
    let groups = vec![region.group_id("web")];

    let alb = region.balancer("alb", BalancerKind::Application);
    alb.groups = groups.clone();
    alb.scheme = Some("internet-facing".to_owned());
    alb.tags.insert("Name".to_owned(), "front".to_owned());
    let alb_arn = alb.arn.clone();
    alb.listener(80, "HTTP", &web).actions =
        vec![Action::Redirect { protocol: "HTTPS".to_owned(), port: "443".to_owned(), status: "HTTP_301".to_owned() }];
    let https: &mut Listener = alb.listener(443, "HTTPS", &web);
    https.certificates = vec![Certificate { arn: "arn:aws:acm:eu-west-1:111111111111:certificate/1".to_owned() }];
    https.tls_policy = Some("ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned());
    let weighted =
        Action::Forward { groups: vec![WeightedGroup { arn: web.clone(), weight: 9 }, WeightedGroup { arn: ip.clone(), weight: 1 }] };
    https.rule(10, vec![weighted]);
    https.rule(20, vec![Action::ForwardArn { group: function }]);
    https.rule(30, vec![Action::FixedResponse { status: "503".to_owned(), body: Some("closed".to_owned()) }]);
    for rule in &mut https.rules {
        rule.conditions = vec![
            Condition { field: "path-pattern".to_owned(), values: vec!["/api/*".to_owned()] },
            Condition { field: "host-header".to_owned(), values: vec!["a.example.com".to_owned(), "b.example.com".to_owned()] },
        ];
        rule.tags.insert("rule".to_owned(), rule.priority.to_string());
    }
    let through = region.target_group("through", TargetKind::Alb);
    through.protocol = Some("TCP".to_owned());
    through.targets = vec![target(&alb_arn, 443, "healthy")];
    let through = through.arn.clone();
    let zone = BalancerZone { zone: "eu-west-1b".to_owned(), subnet: region.subnet_id("shared-b"), ips: vec!["10.1.0.7".to_owned()] };
    let nlb = region.balancer("nlb", BalancerKind::Network);
    nlb.zones.push(zone);
    nlb.listener(443, "TCP", &through);
    let guarded = region.balancer("guarded", BalancerKind::Network);
    guarded.groups = groups;
    guarded.state = "provisioning".to_owned();
    let appliances = region.target_group("appliances", TargetKind::Ip);
    appliances.protocol = Some("GENEVE".to_owned());
    let appliances = appliances.arn.clone();
    region.balancer("gateway", BalancerKind::Gateway).listener(0, "", &appliances);

    let gone = region.instance_id("gone");
    let classic = region.classic_balancer("classic");
    classic.instances.insert(one, ClassicMember::default());
    classic.instances.insert(
        two,
        ClassicMember { state: "OutOfService".to_owned(), reason: "Instance".to_owned(), description: "Instance has failed".to_owned() },
    );
    classic.instances.insert(gone, ClassicMember::default());
    classic.tags.insert("Name".to_owned(), "old".to_owned());
    for number in 0..8 {
        region.classic_balancer(&format!("classic-{number}"));
        region.balancer(&format!("balancer-{number}"), BalancerKind::Application);
    }
}

fn scaling(region: &mut Region) {
    let (one, two) = (region.instance_id("web-1"), region.instance_id("web-2"));
    let pool = region.target_group_arn("web");
    let template = LaunchTemplate { id: "lt-0123456789abcdef0".to_owned(), name: "web".to_owned(), version: "$Latest".to_owned() };
    let group = region.scaling_group("web");
    group.template = Some(template.clone());
    group.instances.insert(one, Member { protected: true, ..Member::default() });
    group.instances.insert("i-0eeeeeeeeeeeeeeee".to_owned(), Member { lifecycle: "Pending".to_owned(), ..Member::default() });
    group.target_groups = vec![pool];
    group.balancers = vec!["classic".to_owned()];
    group.subnets.push("subnet-0123456789abcdef0".to_owned());
    group.suspended = vec!["AZRebalance".to_owned()];
    group.tags.insert("Name".to_owned(), ScalingTag { value: "web".to_owned(), propagate: true });
    let mixed = region.scaling_group("mixed");
    mixed.instances.insert(two, Member { lifecycle: "Terminating:Wait".to_owned(), health: "Unhealthy".to_owned(), protected: false });
    mixed.mixed = Some(MixedInstances {
        template,
        overrides: vec![
            Override { instance_type: "c6i.2xlarge".to_owned(), weight: Some(2) },
            Override { instance_type: "m5.xlarge".to_owned(), weight: None },
        ],
        distribution: Distribution { on_demand_base: 1, on_demand_percent: 50, spot_strategy: "capacity-optimized".to_owned() },
    });
    let old = region.scaling_group("old");
    old.configuration = Some("old-configuration".to_owned());
    old.status = Some("Delete in progress".to_owned());
    for number in 0..7 {
        region.scaling_group(&format!("scaling-{number}"));
    }
}
