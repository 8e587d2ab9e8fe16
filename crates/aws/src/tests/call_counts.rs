//! How many calls a pull makes: pages, one for each pool, and a constant; never one for each machine.

use dewpoint_aws_sim::world::{Spec, World};

use super::*;

fn map(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn the_calls_of_a_region_are_pinned() {
    let spec = Spec {
        account: OWN.to_owned(),
        region: EU.to_owned(),
        instances: 1005,
        groups: 20,
        balancers: 45,
        classic_balancers: 23,
        scaling_groups: 130,
        targets_per: 2,
        ..Spec::default()
    };
    let mut world = World::generate(&spec);
    world.regions.retain(|name, _| name == EU);
    for (n, instance) in world.account(OWN).region(EU).instances.values_mut().enumerate() {
        instance.instance_type = format!("t{}.large", n % 150);
    }
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    let first = pull(&source).await;
    assert_eq!(gaps(&first), BTreeMap::new());
    let world = sim.world();
    let wanted: BTreeSet<&str> = world.accounts[OWN].places[EU].instances.keys().map(String::as_str).collect();
    let found: BTreeSet<&str> = all_of(&first, Kind::Instance).iter().map(|one| one.native_id.as_str()).collect();
    assert_eq!(found, wanted);
    for action in ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeVolumes", "DescribeSecurityGroups"] {
        let sized = |call: &CallRecord| call.action != action || call.parameters["MaxResults"] == "1000";
        assert!(sim.calls().iter().all(sized), "a call without a size has a smaller bucket");
    }
    let listings = [
        // Once a pull, however many machines.
        ("sts:GetCallerIdentity", 1),
        ("ec2:DescribeRegions", 1),
        ("ec2:DescribeAvailabilityZones", 1),
        ("ec2:DescribeAddresses", 1),
        // A thousand a page.
        ("ec2:DescribeInstances", 2),
        ("ec2:DescribeVolumes", 2),
        ("ec2:DescribeNetworkInterfaces", 2),
        ("ec2:DescribeSecurityGroups", 1),
        ("ec2:DescribeVpcs", 1),
        ("ec2:DescribeSubnets", 1),
        // A hundred a page.
        ("autoscaling:DescribeAutoScalingGroups", 2),
        // Four hundred a page.
        ("elbv2:DescribeLoadBalancers", 1),
        ("elbv2:DescribeTargetGroups", 1),
        ("elb:DescribeLoadBalancers", 1),
        // One for each balancer, one for each pool.
        ("elbv2:DescribeListeners", 45),
        ("elbv2:DescribeTargetHealth", 45),
        // One for each listener of the application balancers, which are every other one.
        ("elbv2:DescribeRules", 23),
        ("elb:DescribeInstanceHealth", 23),
        // Twenty at a time: balancers, then pools, then classic balancers.
        ("elbv2:DescribeTags", 3 + 3),
        ("elb:DescribeTags", 2),
    ];
    // A hundred types at a time, once in the life of a source.
    let types = [("ec2:DescribeInstanceTypes", 2)];
    assert_eq!(calls_by_action(&sim.calls()), map(&[&listings[..], &types].concat()));
    sim.clear_calls();
    pull(&source).await;
    assert_eq!(calls_by_action(&sim.calls()), map(&listings), "the second pull knows the types");
}

#[tokio::test]
async fn more_machines_are_no_more_calls() {
    let mut counts = Vec::new();
    for instances in [10, 300] {
        let spec = Spec {
            account: OWN.to_owned(),
            region: EU.to_owned(),
            instances,
            groups: 5,
            balancers: 3,
            scaling_groups: 2,
            ..Spec::default()
        };
        let mut world = World::generate(&spec);
        world.regions.retain(|name, _| name == EU);
        let sim = start(world);
        setup(&sim, OWN, &[EU]).pull().await;
        counts.push(calls_by_action(&sim.calls()));
    }
    assert_eq!(counts[0], counts[1]);
}
