//! Resource groups and scale sets in the making.

use std::collections::BTreeMap;

use dewpoint_sim_kit::hash::keyed;
use jiff::Timestamp;

use super::{
    Base, Disk, Frontend, Gateway, Image, Instance, IpConfiguration, LoadBalancer, Nic, Orchestration, Os, Pool, Power, PublicIp,
    ResourceGroup, ScaleSet, SecurityGroup, Subnet, Subscription, Tags, Vm, Vnet,
    builders::{BalancerBuilder, GatewayBuilder, NsgBuilder, VmBuilder, VnetBuilder},
};
use crate::{ids, kind::Kind};

/// The image of machines that are made without one.
pub(super) fn ubuntu() -> Image {
    Image {
        publisher: "Canonical".to_owned(),
        offer: "ubuntu-24_04-lts".to_owned(),
        sku: "server".to_owned(),
        exact_version: "24.04.202602030".to_owned(),
    }
}

/// When things were made, where nothing else is said.
fn long_ago() -> Timestamp {
    Timestamp::from_second(1_770_109_872).unwrap_or_default()
}

/// The `number`th address of a /16 that begins with these two bytes; the first four of each are Azure's.
pub(super) fn address(network: &str, number: usize) -> String {
    let host = number + 4;
    format!("{network}.{}.{}", (host / 250) % 256, host % 250 + 4)
}

impl Subscription {
    /// The resource group of this name; made if it is not there. New resources lie at `location`.
    pub fn group(&mut self, name: &str, location: &str) -> GroupBuilder<'_> {
        let group = self.groups.entry(name.to_ascii_lowercase()).or_insert_with(|| ResourceGroup {
            name: name.to_owned(),
            location: location.to_owned(),
            ..ResourceGroup::default()
        });
        let name = group.name.clone();
        GroupBuilder { subscription: self, name, location: location.to_owned() }
    }
}

/// A resource group in the making. Every call takes effect at once; what is there already is taken as it is.
#[derive(Debug)]
pub struct GroupBuilder<'a> {
    pub(super) subscription: &'a mut Subscription,
    pub(super) name: String,
    pub(super) location: String,
}

impl GroupBuilder<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What manages it, as an AKS cluster.
    pub fn managed_by(&mut self, id: &str) -> &mut Self {
        if let Some(group) = self.subscription.groups.get_mut(&self.name.to_ascii_lowercase()) {
            group.managed_by = Some(id.to_owned());
        }
        self
    }

    /// Adds a tag.
    pub fn tag(&mut self, name: &str, value: &str) -> &mut Self {
        if let Some(group) = self.subscription.groups.get_mut(&self.name.to_ascii_lowercase()) {
            group.tags.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        }
        self
    }

    pub(super) fn base(&self, kind: Kind, name: &str) -> Base {
        let id = ids::resource(&self.subscription.id, &self.name, kind.full_name(), name);
        Base { id, location: self.location.clone(), tags: None }
    }

    /// A public address that goes with a name here.
    pub(super) fn public_address(&self, name: &str) -> String {
        let [a, b, c, ..] = keyed(6, &format!("{}/{}/{name}", self.subscription.id, self.name)).to_be_bytes();
        format!("20.{a}.{b}.{c}")
    }

    /// A network with one subnet, `default`, that is all of it.
    pub fn vnet(&mut self, name: &str, prefix: &str) -> VnetBuilder<'_> {
        let base = self.base(Kind::Vnet, name);
        let subnet = Subnet { name: "default".to_owned(), prefixes: vec![prefix.to_owned()], security_group: None };
        let vnet = Vnet { base, prefixes: vec![prefix.to_owned()], subnets: vec![subnet] };
        let key = ids::fold(&vnet.base.id);
        VnetBuilder { vnet: self.subscription.vnets.entry(key).or_insert(vnet) }
    }

    /// A network security group.
    pub fn nsg(&mut self, name: &str) -> NsgBuilder<'_> {
        let group = SecurityGroup { base: self.base(Kind::SecurityGroup, name), rules: Vec::new() };
        let key = ids::fold(&group.base.id);
        NsgBuilder { group: self.subscription.security_groups.entry(key).or_insert(group) }
    }

    /// An application security group; gives its id.
    pub fn asg(&mut self, name: &str) -> String {
        let base = self.base(Kind::ApplicationGroup, name);
        let id = base.id.clone();
        self.subscription.application_groups.entry(ids::fold(&id)).or_insert(base);
        id
    }

    /// A public address; gives its id.
    pub fn public_ip(&mut self, name: &str, ip: Option<&str>) -> String {
        let base = self.base(Kind::PublicIp, name);
        let id = base.id.clone();
        let public = PublicIp { base, ip: ip.map(str::to_owned), is_static: ip.is_some(), sku: "Standard".to_owned(), fqdn: None };
        self.subscription.public_ips.entry(ids::fold(&id)).or_insert(public);
        id
    }

    /// A managed disk; gives its id.
    pub fn disk(&mut self, name: &str, size_gb: u32, os: Option<Os>) -> String {
        let base = self.base(Kind::Disk, name);
        let id = base.id.clone();
        let disk = Disk { base, size_gb, sku: "Premium_LRS".to_owned(), os, zones: Vec::new(), created: long_ago() };
        self.subscription.disks.entry(ids::fold(&id)).or_insert(disk);
        id
    }

    /// A load balancer with a frontend `front`, at a public address of its own.
    pub fn load_balancer(&mut self, name: &str) -> BalancerBuilder<'_> {
        let public_ip = self.public_ip(&format!("{name}-ip"), Some(&self.public_address(name)));
        let frontend = Frontend { name: "front".to_owned(), public_ip: Some(public_ip), ..Frontend::default() };
        let base = self.base(Kind::LoadBalancer, name);
        let balancer = LoadBalancer { base, sku: "Standard".to_owned(), frontends: vec![frontend], ..LoadBalancer::default() };
        let key = ids::fold(&balancer.base.id);
        BalancerBuilder { balancer: self.subscription.load_balancers.entry(key).or_insert(balancer) }
    }

    /// An application gateway with a frontend `front`, at a public address of its own, in this subnet.
    pub fn gateway(&mut self, name: &str, subnet: &str) -> GatewayBuilder<'_> {
        let public_ip = self.public_ip(&format!("{name}-ip"), Some(&self.public_address(name)));
        let frontend = Frontend { name: "front".to_owned(), public_ip: Some(public_ip), ..Frontend::default() };
        let base = self.base(Kind::Gateway, name);
        let sku = "Standard_v2".to_owned();
        let gateway = Gateway { base, sku, subnet: subnet.to_owned(), frontends: vec![frontend], ..Gateway::default() };
        let key = ids::fold(&gateway.base.id);
        GatewayBuilder { gateway: self.subscription.gateways.entry(key).or_insert(gateway) }
    }

    /// The subnet of machines that name none: `default` of the group's network `main`.
    fn main_subnet(&mut self) -> String {
        self.vnet("main", "10.0.0.0/16").subnet_id("default")
    }

    /// A running Linux machine with an interface `NAME-nic` and a disk `NAME-os`, in the network `main` of this group.
    pub fn vm(&mut self, name: &str) -> VmBuilder<'_> {
        let base = self.base(Kind::Vm, name);
        let key = ids::fold(&base.id);
        if !self.subscription.vms.contains_key(&key) {
            let subnet = self.main_subnet();
            let private_ip = Some(address("10.0", self.subscription.nics.len()));
            let nic = self.nic(&format!("{name}-nic"), &subnet, private_ip);
            let os_disk = self.disk(&format!("{name}-os"), 30, Some(Os::Linux));
            let vm = Vm {
                vm_id: ids::guid(&["vm", &key]),
                base,
                size: "Standard_D2s_v5".to_owned(),
                image: Some(ubuntu()),
                os_disk,
                computer_name: Some(name.to_owned()),
                nics: vec![nic],
                power: Some(Power::Running),
                provisioning: "Succeeded".to_owned(),
                created: long_ago(),
                ..Vm::default()
            };
            self.subscription.vms.insert(key.clone(), vm);
        }
        VmBuilder { subscription: self.subscription, key }
    }

    /// An interface that no machine has yet; gives its id.
    pub fn nic(&mut self, name: &str, subnet: &str, private_ip: Option<String>) -> String {
        let base = self.base(Kind::Nic, name);
        let id = base.id.clone();
        let digits = ids::guid(&["mac", &id]).to_ascii_uppercase();
        let mac: Vec<&str> = [(0, 2), (2, 4), (4, 6)].into_iter().filter_map(|(from, to)| digits.get(from..to)).collect();
        let configuration =
            IpConfiguration { name: "ipconfig1".to_owned(), private_ip, subnet: subnet.to_owned(), ..IpConfiguration::default() };
        let nic = Nic {
            base,
            security_group: None,
            configurations: vec![configuration],
            mac: Some(format!("00-0D-3A-{}", mac.join("-"))),
            private_endpoint: None,
        };
        self.subscription.nics.entry(ids::fold(&id)).or_insert(nic);
        id
    }

    /// A uniform scale set with so many running instances, in the network `main` of this group.
    pub fn uniform_set(&mut self, name: &str, instances: u32) -> ScaleSetBuilder<'_> {
        let mut builder = self.scale_set(name, Orchestration::Uniform);
        for _ in 0..instances {
            builder.add_instance();
        }
        builder
    }

    /// A flexible scale set. [`VmBuilder::member_of`] puts machines into it.
    pub fn flexible_set(&mut self, name: &str) -> ScaleSetBuilder<'_> {
        self.scale_set(name, Orchestration::Flexible)
    }

    fn scale_set(&mut self, name: &str, orchestration: Orchestration) -> ScaleSetBuilder<'_> {
        let subnet = self.main_subnet();
        let base = self.base(Kind::ScaleSet, name);
        let key = ids::fold(&base.id);
        let set = self.subscription.scale_sets.entry(key).or_insert_with(|| ScaleSet {
            base,
            orchestration,
            size: "Standard_D4s_v5".to_owned(),
            image: Some(ubuntu()),
            network: super::InstanceNetwork { subnet, ..super::InstanceNetwork::default() },
            created: long_ago(),
            ..ScaleSet::default()
        });
        ScaleSetBuilder { set }
    }
}

/// A scale set in the making.
#[derive(Debug)]
pub struct ScaleSetBuilder<'a> {
    set: &'a mut ScaleSet,
}

impl ScaleSetBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.set.base.id.clone()
    }

    /// Changes the set.
    pub fn edit(self, change: impl FnOnce(&mut ScaleSet)) -> Self {
        change(self.set);
        self
    }

    /// With a tag, which its instances do not get.
    pub fn tag(self, name: &str, value: &str) -> Self {
        self.edit(|set| {
            set.base.tags.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        })
    }

    /// All instances have this tag.
    pub fn instance_tag(self, name: &str, value: &str) -> Self {
        self.edit(|set| {
            for instance in set.instances.values_mut() {
                instance.tags.get_or_insert_default().insert(name.to_owned(), value.to_owned());
            }
        })
    }

    /// In a load balancer's pool.
    pub fn pool(self, id: &str) -> Self {
        self.edit(|set| set.network.pools.push(id.to_owned()))
    }

    /// Behind a network security group.
    pub fn nsg(self, id: &str) -> Self {
        self.edit(|set| set.network.security_group = Some(id.to_owned()))
    }

    /// Spot machines.
    pub fn spot(self) -> Self {
        self.edit(|set| set.priority = Some("Spot".to_owned()))
    }

    /// One more running instance; gives its number.
    pub fn add_instance(&mut self) -> u32 {
        let number = self.set.next;
        self.set.next += 1;
        let key = format!("{}/{number}", ids::fold(&self.set.base.id));
        let instance = Instance {
            vm_id: ids::guid(&["instance", &key]),
            computer_name: format!("{}{number:06}", self.set.base.name()),
            power: Some(Power::Running),
            provisioning: "Succeeded".to_owned(),
            zone: self.set.zones.first().cloned(),
            latest_model: true,
            private_ip: address("10.200", usize::try_from(number).unwrap_or_default()),
            public_ip: None,
            tags: Some(Tags::new()),
            created: long_ago(),
        };
        self.set.instances.insert(number, instance);
        number
    }

    /// All instances, by number.
    pub fn instances(&self) -> &BTreeMap<u32, Instance> {
        &self.set.instances
    }
}

impl Pool {
    /// A pool without members by address.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), addresses: Vec::new() }
    }
}
