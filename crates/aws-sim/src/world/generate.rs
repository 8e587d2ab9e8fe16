//! Worlds of any size.

use dewpoint_sim_kit::hash::{keyed, mix};
use serde::{Deserialize, Serialize};

use super::{BalancerKind, ClassicMember, InstanceState, LaunchTemplate, Member, Target, TargetKind, World, build::private_ip};

/// What a generated world has, in one account and region. The same numbers make the same world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Instances, each with at least one interface.
    pub instances: usize,
    /// Security groups, which the interfaces share out.
    pub groups: usize,
    /// Interfaces per instance.
    pub interfaces_per: usize,
    /// Volumes per instance, the root volume among them.
    pub volumes_per: usize,
    /// Application and network balancers, each with a listener and a target group of [`Spec::targets_per`] instances.
    pub balancers: usize,
    /// Classic balancers.
    pub classic_balancers: usize,
    /// Targets per balancer.
    pub targets_per: usize,
    /// Scaling groups, each with [`Spec::targets_per`] instances.
    pub scaling_groups: usize,
    /// Tags per instance beside its name.
    pub tags_per: usize,
    /// What is drawn by chance is drawn from this.
    pub seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            instances: 100,
            groups: 10,
            interfaces_per: 1,
            volumes_per: 1,
            balancers: 0,
            classic_balancers: 0,
            targets_per: 3,
            scaling_groups: 0,
            tags_per: 4,
            seed: 1,
        }
    }
}

const TYPES: [&str; 8] = ["m7g.large", "m5.xlarge", "c6i.2xlarge", "r6g.large", "t3.micro", "t3.medium", "c7g.medium", "m6i.4xlarge"];

impl World {
    /// A world of this size.
    pub fn generate(spec: &Spec) -> Self {
        let mut world = Self::new();
        world.add(spec);
        world
    }

    /// Adds what the spec says to one account and region.
    pub fn add(&mut self, spec: &Spec) {
        let region = self.account(&spec.account).region(&spec.region);
        let pick = |what: &str, number: usize, of: usize| -> usize {
            let drawn = mix(keyed(spec.seed, what) ^ u64::try_from(number).unwrap_or(0));
            usize::try_from(drawn % u64::try_from(of.max(1)).unwrap_or(1)).unwrap_or(0)
        };
        let groups: Vec<String> = (0..spec.groups)
            .map(|number| {
                let port = i32::try_from(1024 + number % 60_000).unwrap_or(1024);
                let mut group = region
                    .group(&format!("group-{number}"))
                    .allow("tcp", port, "10.0.0.0/8")
                    .allow("tcp", 22, "192.0.2.0/24")
                    .tag("team", "net");
                if number % 5 == 0 {
                    group = group.allow("tcp", 443, "0.0.0.0/0").allow("tcp", 443, "::/0");
                }
                let id = group.id();
                if number > 0 {
                    let other = region.group_id(&format!("group-{}", number - 1));
                    region.group(&format!("group-{number}")).allow_group("tcp", port, &other, None);
                }
                id
            })
            .collect();
        let subnet = region.main_subnet();
        let mut ids = Vec::with_capacity(spec.instances);
        let mut addresses = (10..).map(private_ip);
        for number in 0..spec.instances {
            let name = format!("machine-{number}");
            let id = region.add_instance(&name, &addresses.next().unwrap_or_default());
            for index in 1..spec.interfaces_per.max(1) {
                let ip = addresses.next().unwrap_or_default();
                region.add_interface(&name, &id, u32::try_from(index).unwrap_or(u32::MAX), &subnet, &ip);
            }
            for index in 1..spec.volumes_per.max(1) {
                region.add_volume(&name, &id, &format!("/dev/sd{index}"), 100);
            }
            if let Some(instance) = region.instances.get_mut(&id) {
                instance.instance_type = TYPES.get(pick("type", number, TYPES.len())).copied().unwrap_or("m7g.large").to_owned();
                instance.state = if pick("state", number, 10) == 0 { InstanceState::Stopped } else { InstanceState::Running };
                instance.lifecycle = (pick("spot", number, 8) == 0).then(|| "spot".to_owned());
                for tag in 0..spec.tags_per {
                    instance.tags.insert(format!("tag-{tag}"), format!("value-{}", pick("tag", number + tag, 50)));
                }
            }
            ids.push(id);
        }
        if !groups.is_empty() {
            for (number, interface) in region.interfaces.values_mut().enumerate() {
                let first = groups.get(pick("group", number, groups.len())).cloned().unwrap_or_default();
                let second = groups.get(pick("second group", number, groups.len())).cloned().unwrap_or_default();
                interface.groups = if first == second { vec![first] } else { vec![first, second] };
            }
        }
        let members = |number: usize| -> Vec<String> {
            let mut members: Vec<String> =
                (0..spec.targets_per).filter_map(|at| ids.get((number * spec.targets_per + at) % ids.len().max(1)).cloned()).collect();
            members.dedup();
            members
        };
        for number in 0..spec.balancers {
            let kind = if number % 2 == 0 { BalancerKind::Application } else { BalancerKind::Network };
            let name = format!("balancer-{number}");
            let pool = region.target_group(&name, TargetKind::Instance);
            pool.targets = members(number)
                .into_iter()
                .map(|id| Target { id, port: Some(80), state: "healthy".to_owned(), ..Target::default() })
                .collect();
            let pool = pool.arn.clone();
            region.balancer(&name, kind).listener(80, if kind == BalancerKind::Network { "TCP" } else { "HTTP" }, &pool);
        }
        for number in 0..spec.classic_balancers {
            let classic = region.classic_balancer(&format!("classic-{number}"));
            classic.instances = members(number).into_iter().map(|id| (id, ClassicMember::default())).collect();
        }
        for number in 0..spec.scaling_groups {
            let scaling = region.scaling_group(&format!("scaling-{number}"));
            scaling.template = Some(LaunchTemplate {
                id: crate::hash::id("lt", &[&number.to_string()]),
                name: format!("template-{number}"),
                version: "1".to_owned(),
            });
            scaling.instances = members(number).into_iter().map(|id| (id, Member::default())).collect();
            scaling.desired = u32::try_from(scaling.instances.len()).unwrap_or(0);
            scaling.max = scaling.desired.max(10);
        }
    }
}
