//! What the tests list.

use dewpoint_aws_sim::world::{Action, BalancerKind, Member, Region, Target, TargetKind, World};
use dewpoint_core::model::Key;

/// The account that the credentials of most tests belong to.
pub(super) const OWN: &str = "111111111111";
/// A second one.
pub(super) const OTHER: &str = "222222222222";
pub(super) const EU: &str = "eu-west-1";
pub(super) const US: &str = "us-east-1";

/// The key of something in EC2.
pub(super) fn key(account: &str, region: &str, path: &str) -> Key {
    Key::aws(&format!("arn:aws:ec2:{region}:{account}:{path}")).unwrap()
}

pub(super) fn instance_key(region: &Region, name: &str) -> Key {
    key(&region.account, &region.name, &format!("instance/{}", region.instance_id(name)))
}

pub(super) fn group_key(region: &Region, name: &str) -> Key {
    key(&region.account, &region.name, &format!("security-group/{}", region.group_id(name)))
}

pub(super) fn arn_key(arn: &str) -> Key {
    Key::aws(arn).unwrap()
}

/// A world with AWS's account for the tests in these regions, and nothing in it.
pub(super) fn bare(account: &str, regions: &[&str]) -> World {
    let mut world = World::new().with_regions(regions);
    for region in regions {
        world.account(account).region(region);
    }
    world
}

/// A world in which each of these regions has one of everything.
pub(super) fn furnished(account: &str, regions: &[&str]) -> World {
    let mut world = bare(account, regions);
    for region in regions {
        furnish(world.account(account).region(region));
    }
    world
}

/// A type of machine of a region's own, so that its size is asked for there.
fn type_of(region: &Region, size: &str) -> String {
    let family: String = region.name.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{family}.{size}")
}

/// Puts into a region something of every kind, so that every action is called. Of what is listed page by page there is at least three of a kind.
pub(super) fn furnish(region: &mut Region) {
    let web_group = region.group("web").allow("tcp", 443, "0.0.0.0/0").tag("team", "shop").id();
    region.group("db").allow_group("tcp", 5432, &web_group, None);
    for name in ["second", "third"] {
        region.vpc(name);
        let zone = format!("{}b", region.name);
        region.subnet(name, "main", &zone);
    }
    let sizes = ["large", "xlarge", "2xlarge"].map(|size| type_of(region, size));
    let web_1 = region.instance("web-1").of_type(&sizes[0]).groups(&["web"]).tag("env", "prod").elastic_ip("198.51.100.7").id();
    let web_2 = region.instance("web-2").edit(|one| one.instance_type.clone_from(&sizes[1])).groups(&["web"]).id();
    let db = region.instance("db").edit(|one| one.instance_type.clone_from(&sizes[2])).groups(&["db"]).spot().volume("/dev/sdf", 100).id();

    let member = |id: &str| Target { id: id.to_owned(), port: Some(80), state: "healthy".to_owned(), ..Target::default() };
    let address = region.interfaces.values().find(|card| card.instance() == Some(&db)).unwrap().addresses[0].ip.clone();
    let web = region.target_group("web", TargetKind::Instance);
    web.targets = vec![member(&web_1), member(&web_2)];
    web.tags.insert("pool".to_owned(), "web".to_owned());
    let web = web.arn.clone();
    let api = region.target_group("api", TargetKind::Instance);
    api.targets = vec![member(&web_2)];
    let api = api.arn.clone();
    let db_pool = region.target_group("db", TargetKind::Ip);
    db_pool.targets = vec![Target { port: Some(5432), ..member(&address) }];
    let db_pool = db_pool.arn.clone();

    let front = region.balancer("front", BalancerKind::Application);
    front.tags.insert("balancer".to_owned(), "front".to_owned());
    front.groups = vec![web_group];
    for port in [80, 443, 8443] {
        front.listener(port, "HTTPS", &web);
    }
    // No default action names this pool.
    front.listener(443, "HTTPS", &web).rule(1, vec![Action::forward(&api)]);
    front.listener(443, "HTTPS", &web).rule(2, vec![Action::FixedResponse { status: "404".to_owned(), body: None }]);
    region.balancer("data", BalancerKind::Network).listener(5432, "TCP", &db_pool);
    region.balancer("idle", BalancerKind::Application);

    for name in ["old", "older", "oldest"] {
        let classic = region.classic_balancer(name);
        classic.tags.insert("age".to_owned(), name.to_owned());
        classic.instances.insert(web_1.clone(), dewpoint_aws_sim::world::ClassicMember::default());
    }
    for (name, member) in [("blue", &web_1), ("green", &web_2), ("grey", &db)] {
        let group = region.scaling_group(name);
        group.desired = 1;
        group.instances.insert(member.clone(), Member::default());
    }
}
