//! Building a world in a test. Everything gets an identifier made of its name, so that a test can name things before they are there.

use jiff::Timestamp;

use super::{
    AccessKey, Account, Action, Attachment, Balancer, BalancerKind, BalancerZone, ClassicBalancer, ClassicListener, GroupBuilder, Instance,
    InstanceBuilder, Interface, Listener, ListenerRule, MemberAccount, OptIn, Organization, Peer, Permission, PrivateAddress, Region, Role,
    ScalingGroup, SecurityGroup, Subnet, TargetGroup, TargetKind, Volume, VolumeAttachment, Vpc, WeightedGroup, World, network,
};
use crate::hash;

/// When everything in a built world was made, unless a test says otherwise: 1 January 2026.
const MADE_AT_S: i64 = 1_767_225_600;

pub(super) fn made_at() -> Timestamp {
    Timestamp::from_second(MADE_AT_S).unwrap_or_default()
}

impl World {
    /// A world with AWS's commercial regions and nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these regions exist.
    #[must_use]
    pub fn with_regions(mut self, names: &[&str]) -> Self {
        self.regions = names.iter().map(|name| ((*name).to_owned(), OptIn::OptInNotRequired)).collect();
        self
    }

    /// The account, new if need be, with one access key: see [`Account::key_id`] and [`Account::secret`].
    pub fn account(&mut self, id: &str) -> &mut Account {
        let partition = &self.partition;
        self.accounts.entry(id.to_owned()).or_insert_with(|| {
            let mut account = Account { id: id.to_owned(), partition: partition.clone(), ..Account::default() };
            let key = AccessKey { secret: account.secret(), user: "tester".to_owned() };
            account.keys.insert(account.key_id(), key);
            account
        })
    }

    /// Puts all accounts there are into an organization that this one manages.
    pub fn organize(&mut self, management: &str) -> &mut Organization {
        let member = |id: &String| MemberAccount {
            id: id.clone(),
            name: format!("account-{id}"),
            email: format!("{id}@example.com"),
            state: "ACTIVE".to_owned(),
            joined_by: "CREATED".to_owned(),
            joined: made_at(),
        };
        let members = self.accounts.keys().map(member).collect();
        let id = format!("o-{}", hash::hex16(&[management]));
        self.organization.insert(Organization { id, management: management.to_owned(), members, ..Organization::default() })
    }
}

impl Organization {
    /// A member.
    pub fn member(&mut self, id: &str) -> Option<&mut MemberAccount> {
        self.members.iter_mut().find(|member| member.id == id)
    }
}

impl Account {
    /// The id of the access key that [`World::account`] made.
    pub fn key_id(&self) -> String {
        format!("AKIA{:0>16}", self.id)
    }

    /// Its secret.
    pub fn secret(&self) -> String {
        format!("secret/of+{}", self.id)
    }

    /// Makes a role that these accounts may assume. Its ARN is `arn:aws:iam::ACCOUNT:role/NAME`.
    pub fn role(&mut self, name: &str, trusts: &[&str]) -> &mut Role {
        let role = Role { trusts: trusts.iter().map(|id| (*id).to_owned()).collect(), external_id: None };
        self.roles.entry(name.to_owned()).insert_entry(role).into_mut()
    }

    /// A region of the account.
    pub fn region(&mut self, name: &str) -> &mut Region {
        let Self { id, partition, places, .. } = self;
        places.entry(name.to_owned()).or_insert_with(|| Region {
            account: id.clone(),
            name: name.to_owned(),
            partition: partition.clone(),
            zones: network::zones(name),
            ..Region::default()
        })
    }
}

impl Region {
    fn make_id(&self, prefix: &str, name: &str) -> String {
        hash::id(prefix, &[&self.account, &self.name, name])
    }

    /// The id of the instance of this name.
    pub fn instance_id(&self, name: &str) -> String {
        self.make_id("i", name)
    }

    /// The id of the security group of this name.
    pub fn group_id(&self, name: &str) -> String {
        self.make_id("sg", name)
    }

    /// The id of the VPC of this name.
    pub fn vpc_id(&self, name: &str) -> String {
        self.make_id("vpc", name)
    }

    /// The id of the subnet of this name.
    pub fn subnet_id(&self, name: &str) -> String {
        self.make_id("subnet", name)
    }

    /// The ARN of the balancer of this name.
    pub fn balancer_arn(&self, name: &str, kind: BalancerKind) -> String {
        self.balancing_arn(&format!("loadbalancer/{}/{name}", kind.in_arn()), name)
    }

    /// The ARN of the target group of this name.
    pub fn target_group_arn(&self, name: &str) -> String {
        self.balancing_arn(&format!("targetgroup/{name}"), name)
    }

    fn balancing_arn(&self, path: &str, name: &str) -> String {
        format!(
            "arn:{}:elasticloadbalancing:{}:{}:{path}/{}",
            self.partition,
            self.name,
            self.account,
            hash::hex16(&[&self.account, &self.name, name])
        )
    }

    /// A VPC with its group called `default`.
    pub fn vpc(&mut self, name: &str) -> &mut Vpc {
        let id = self.vpc_id(name);
        let group_id = self.group_id(&format!("default of {name}"));
        self.groups.entry(group_id.clone()).or_insert_with(|| SecurityGroup {
            id: group_id,
            name: "default".to_owned(),
            description: "default VPC security group".to_owned(),
            vpc: id.clone(),
            egress: vec![everything()],
            ..SecurityGroup::default()
        });
        self.vpcs.entry(id.clone()).or_insert_with(|| Vpc {
            id,
            cidrs: vec!["10.0.0.0/16".to_owned()],
            tags: named(name),
            ..Vpc::default()
        })
    }

    /// A subnet in the VPC and the zone of these names (`main`, `eu-west-1a`).
    pub fn subnet(&mut self, name: &str, vpc: &str, zone: &str) -> &mut Subnet {
        let vpc = self.vpc(vpc).id.clone();
        let id = self.subnet_id(name);
        let zone = zone.to_owned();
        self.subnets.entry(id.clone()).or_insert_with(|| Subnet {
            id,
            vpc,
            zone,
            cidr: "10.0.0.0/20".to_owned(),
            free: 4000,
            tags: named(name),
            ..Subnet::default()
        })
    }

    /// The subnet that machines get when nobody says anything else: `main`, in the VPC `main`.
    pub(super) fn main_subnet(&mut self) -> Subnet {
        let zone = format!("{}a", self.name);
        self.subnet("main", "main", &zone).clone()
    }

    /// A security group of the VPC `main`.
    pub fn group(&mut self, name: &str) -> GroupBuilder<'_> {
        let vpc = self.vpc("main").id.clone();
        let id = self.group_id(name);
        let group = self.groups.entry(id.clone()).or_insert_with(|| SecurityGroup {
            id,
            name: name.to_owned(),
            description: format!("{name} machines"),
            vpc,
            egress: vec![everything()],
            ..SecurityGroup::default()
        });
        GroupBuilder { group }
    }

    /// A running instance in the subnet `main`, with an interface, an address and a root volume.
    pub fn instance(&mut self, name: &str) -> InstanceBuilder<'_> {
        let id = self.instance_id(name);
        if !self.instances.contains_key(&id) {
            let mut number = self.interfaces.len() + 10;
            let mut ip = private_ip(number);
            while self.interfaces.values().any(|interface| interface.addresses.iter().any(|address| address.ip == ip)) {
                number += 1;
                ip = private_ip(number);
            }
            self.add_instance(name, &ip);
        }
        InstanceBuilder { region: self, id, name: name.to_owned() }
    }

    /// The parts of an instance, with the address given.
    pub(super) fn add_instance(&mut self, name: &str, ip: &str) -> String {
        let subnet = self.main_subnet();
        let id = self.instance_id(name);
        let instance = Instance {
            id: id.clone(),
            reservation: self.make_id("r", name),
            image: self.make_id("ami", "base"),
            instance_type: "m7g.large".to_owned(),
            launched: made_at(),
            zone: subnet.zone.clone(),
            tenancy: "default".to_owned(),
            platform_details: "Linux/UNIX".to_owned(),
            usage_operation: "RunInstances".to_owned(),
            architecture: "arm64".to_owned(),
            http_tokens: "required".to_owned(),
            root_device: "/dev/xvda".to_owned(),
            tags: named(name),
            ..Instance::default()
        };
        self.instances.insert(id.clone(), instance);
        self.add_interface(name, &id, 0, &subnet, ip);
        self.add_volume(name, &id, "/dev/xvda", 8);
        id
    }

    /// An interface on an instance.
    pub(super) fn add_interface(&mut self, name: &str, instance: &str, device_index: u32, subnet: &Subnet, ip: &str) -> String {
        let name = format!("{name}#{device_index}");
        let id = self.make_id("eni", &name);
        let mac = hash::hex16(&[&id]);
        let pairs: Vec<&str> = (4..14).step_by(2).filter_map(|at| mac.get(at..at + 2)).collect();
        let interface = Interface {
            id: id.clone(),
            kind: "interface".to_owned(),
            subnet: subnet.id.clone(),
            vpc: subnet.vpc.clone(),
            zone: subnet.zone.clone(),
            mac: format!("02:{}", pairs.join(":")),
            addresses: vec![PrivateAddress { ip: ip.to_owned(), public: None }],
            attachment: Some(Attachment {
                id: self.make_id("eni-attach", &name),
                instance: Some(instance.to_owned()),
                device_index,
                attached: made_at(),
                delete_on_termination: true,
                ..Attachment::default()
            }),
            source_dest_check: true,
            ..Interface::default()
        };
        self.interfaces.insert(id.clone(), interface);
        id
    }

    /// A volume on an instance.
    pub(super) fn add_volume(&mut self, name: &str, instance: &str, device: &str, size: u32) -> String {
        let id = self.make_id("vol", &format!("{name}#{device}"));
        let volume = Volume {
            id: id.clone(),
            size,
            kind: "gp3".to_owned(),
            zone: self.instances.get(instance).map(|instance| instance.zone.clone()).unwrap_or_default(),
            iops: Some(3000),
            throughput: Some(125),
            encrypted: true,
            created: made_at(),
            attachments: vec![VolumeAttachment {
                instance: instance.to_owned(),
                device: device.to_owned(),
                attached: made_at(),
                delete_on_termination: true,
            }],
            ..Volume::default()
        };
        self.volumes.insert(id.clone(), volume);
        id
    }

    /// A balancer without listeners in the subnet `main`.
    pub fn balancer(&mut self, name: &str, kind: BalancerKind) -> &mut Balancer {
        let subnet = self.main_subnet();
        let arn = self.balancer_arn(name, kind);
        let dns = format!("{name}-{}.{}.elb.amazonaws.com", hash::hex16(&[&arn]), self.name);
        self.balancers.entry(arn.clone()).or_insert_with(|| Balancer {
            arn,
            name: name.to_owned(),
            kind,
            dns,
            created: made_at(),
            scheme: (kind != BalancerKind::Gateway).then(|| "internal".to_owned()),
            vpc: subnet.vpc,
            state: "active".to_owned(),
            zones: vec![BalancerZone { zone: subnet.zone, subnet: subnet.id, ips: Vec::new() }],
            ip_type: "ipv4".to_owned(),
            ..Balancer::default()
        })
    }

    /// An empty target group in the VPC `main`.
    pub fn target_group(&mut self, name: &str, kind: TargetKind) -> &mut TargetGroup {
        let arn = self.target_group_arn(name);
        let vpc = self.vpc("main").id.clone();
        let networked = kind != TargetKind::Lambda;
        self.target_groups.entry(arn.clone()).or_insert_with(|| TargetGroup {
            arn,
            name: name.to_owned(),
            protocol: networked.then(|| "HTTP".to_owned()),
            port: networked.then_some(80),
            vpc: networked.then_some(vpc),
            kind,
            ..TargetGroup::default()
        })
    }

    /// Runs a classic balancer from port 80 to port 80, without instances.
    pub fn classic_balancer(&mut self, name: &str) -> &mut ClassicBalancer {
        let subnet = self.main_subnet();
        let dns = format!("internal-{name}-1234567890.{}.elb.amazonaws.com", self.name);
        self.classic_balancers.entry(name.to_owned()).or_insert_with(|| ClassicBalancer {
            name: name.to_owned(),
            dns,
            scheme: "internal".to_owned(),
            vpc: Some(subnet.vpc),
            subnets: vec![subnet.id],
            zones: vec![subnet.zone],
            listeners: vec![ClassicListener {
                protocol: "TCP".to_owned(),
                port: 80,
                instance_protocol: "TCP".to_owned(),
                instance_port: 80,
                certificate: None,
            }],
            created: made_at(),
            ..ClassicBalancer::default()
        })
    }

    /// An empty scaling group in the subnet `main`.
    pub fn scaling_group(&mut self, name: &str) -> &mut ScalingGroup {
        let subnet = self.main_subnet();
        let arn = format!(
            "arn:{}:autoscaling:{}:{}:autoScalingGroup:{}:autoScalingGroupName/{name}",
            self.partition,
            self.name,
            self.account,
            hash::hex16(&[name])
        );
        self.scaling_groups.entry(name.to_owned()).or_insert_with(|| ScalingGroup {
            name: name.to_owned(),
            arn,
            max: 10,
            zones: vec![subnet.zone],
            subnets: vec![subnet.id],
            health_check: "EC2".to_owned(),
            created: made_at(),
            ..ScalingGroup::default()
        })
    }
}

impl Balancer {
    /// Adds a listener that forwards to this target group.
    pub fn listener(&mut self, port: u16, protocol: &str, target_group: &str) -> &mut Listener {
        let path = self.arn.replacen(":loadbalancer/", ":listener/", 1);
        let arn = format!("{path}/{}", hash::hex16(&[&self.arn, &port.to_string()]));
        let gateway = self.kind == BalancerKind::Gateway;
        self.listeners.entry(arn.clone()).or_insert_with(|| Listener {
            arn,
            port: (!gateway).then_some(port),
            protocol: (!gateway).then(|| protocol.to_owned()),
            actions: vec![Action::forward(target_group)],
            ..Listener::default()
        })
    }
}

impl Listener {
    /// Adds a rule; its ARN comes back.
    pub fn rule(&mut self, priority: u32, actions: Vec<Action>) -> String {
        let path = self.arn.replacen(":listener/", ":listener-rule/", 1);
        let arn = format!("{path}/{}", hash::hex16(&[&self.arn, &priority.to_string()]));
        self.rules.push(ListenerRule { arn: arn.clone(), priority, actions, ..ListenerRule::default() });
        arn
    }
}

impl Action {
    /// To one target group.
    pub fn forward(target_group: &str) -> Self {
        Self::Forward { groups: vec![WeightedGroup { arn: target_group.to_owned(), weight: 1 }] }
    }
}

/// The nth address of 10.0.0.0/8.
pub(super) fn private_ip(number: usize) -> String {
    format!("10.{}.{}.{}", (number >> 16) & 0xff, (number >> 8) & 0xff, number & 0xff)
}

fn named(name: &str) -> super::Tags {
    [("Name".to_owned(), name.to_owned())].into()
}

fn everything() -> Permission {
    Permission { protocol: "-1".to_owned(), ipv4: vec![Peer { value: "0.0.0.0/0".to_owned(), description: None }], ..Permission::default() }
}
