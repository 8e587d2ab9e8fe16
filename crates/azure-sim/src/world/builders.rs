//! Machines, networks, security groups and balancers in the making. Every call takes effect at once.

use super::{
    Backend, DataDisk, Gateway, GatewayListener, GatewayPool, GatewayRule, IpConfiguration, LoadBalancer, LoadBalancingRule, Nic, Os, Pool,
    PoolAddress, Power, Probe, Rule, SecurityGroup, Subnet, Subscription, Vm, Vnet,
};
use crate::ids;

/// A machine in the making.
#[derive(Debug)]
pub struct VmBuilder<'a> {
    pub(super) subscription: &'a mut Subscription,
    pub(super) key: String,
}

impl VmBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.subscription.vms.get(&self.key).map(|vm| vm.base.id.clone()).unwrap_or_default()
    }

    /// The id of its first interface.
    pub fn nic_id(&self) -> String {
        self.subscription.vms.get(&self.key).and_then(|vm| vm.nics.first().cloned()).unwrap_or_default()
    }

    /// Changes the machine.
    pub fn edit(self, change: impl FnOnce(&mut Vm)) -> Self {
        if let Some(vm) = self.subscription.vms.get_mut(&self.key) {
            change(vm);
        }
        self
    }

    /// Changes its first interface.
    pub fn edit_nic(self, change: impl FnOnce(&mut Nic)) -> Self {
        let key = ids::fold(&self.nic_id());
        if let Some(nic) = self.subscription.nics.get_mut(&key) {
            change(nic);
        }
        self
    }

    /// Changes the first address of its first interface.
    pub fn edit_ip(self, change: impl FnOnce(&mut IpConfiguration)) -> Self {
        self.edit_nic(|nic| {
            if let Some(configuration) = nic.configurations.first_mut() {
                change(configuration);
            }
        })
    }

    /// Of this size.
    pub fn size(self, name: &str) -> Self {
        self.edit(|vm| name.clone_into(&mut vm.size))
    }

    /// Running like this.
    pub fn power(self, power: Power) -> Self {
        self.edit(|vm| vm.power = Some(power))
    }

    /// With a tag.
    pub fn tag(self, name: &str, value: &str) -> Self {
        self.edit(|vm| {
            vm.base.tags.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        })
    }

    /// In this zone.
    pub fn zone(self, zone: &str) -> Self {
        self.edit(|vm| vm.zones = vec![zone.to_owned()])
    }

    /// A spot machine.
    pub fn spot(self) -> Self {
        self.edit(|vm| {
            vm.priority = Some("Spot".to_owned());
            vm.eviction = Some("Deallocate".to_owned());
        })
    }

    /// Windows.
    pub fn windows(self) -> Self {
        let os_disk = self.subscription.vms.get(&self.key).map(|vm| ids::fold(&vm.os_disk)).unwrap_or_default();
        if let Some(disk) = self.subscription.disks.get_mut(&os_disk) {
            disk.os = Some(Os::Windows);
        }
        self.edit(|vm| {
            vm.os = Os::Windows;
            vm.license = Some("Windows_Server".to_owned());
            vm.image = Some(super::Image {
                publisher: "MicrosoftWindowsServer".to_owned(),
                offer: "WindowsServer".to_owned(),
                sku: "2022-datacenter-azure-edition".to_owned(),
                exact_version: "20348.3091.260203".to_owned(),
            });
        })
    }

    /// One more disk, of so many GiB.
    pub fn data_disk(self, size_gb: u32) -> Self {
        let id = self.id();
        let Some(vm) = self.subscription.vms.get(&self.key) else { return self };
        let lun = u32::try_from(vm.data_disks.len()).unwrap_or_default();
        let location = vm.base.location.clone();
        let disk = self.subscription.group(ids::group(&id), &location).disk(&format!("{}-data-{lun}", ids::name(&id)), size_gb, None);
        self.edit(|vm| vm.data_disks.push(DataDisk { lun, id: disk }))
    }

    /// At this private address.
    pub fn ip(self, ip: &str) -> Self {
        self.edit_ip(|configuration| configuration.private_ip = Some(ip.to_owned()))
    }

    /// In this subnet.
    pub fn subnet(self, id: &str) -> Self {
        self.edit_ip(|configuration| id.clone_into(&mut configuration.subnet))
    }

    /// With a public address of its own.
    pub fn public_ip(self, ip: &str) -> Self {
        let id = self.id();
        let location = self.subscription.vms.get(&self.key).map(|vm| vm.base.location.clone()).unwrap_or_default();
        let public = self.subscription.group(ids::group(&id), &location).public_ip(&format!("{}-ip", ids::name(&id)), Some(ip));
        self.edit_ip(|configuration| configuration.public_ip = Some(public))
    }

    /// Its first interface is behind a network security group.
    pub fn nsg(self, id: &str) -> Self {
        self.edit_nic(|nic| nic.security_group = Some(id.to_owned()))
    }

    /// In an application security group.
    pub fn asg(self, id: &str) -> Self {
        self.edit_ip(|configuration| configuration.application_groups.push(id.to_owned()))
    }

    /// In a load balancer's pool, by its interface.
    pub fn pool(self, id: &str) -> Self {
        self.edit_ip(|configuration| configuration.pools.push(id.to_owned()))
    }

    /// In an application gateway's pool, by its interface.
    pub fn gateway_pool(self, id: &str) -> Self {
        self.edit_ip(|configuration| configuration.gateway_pools.push(id.to_owned()))
    }

    /// One more interface at this private address, in the subnet of the first.
    pub fn interface(self, ip: &str) -> Self {
        let (id, first) = (self.id(), ids::fold(&self.nic_id()));
        let Some(vm) = self.subscription.vms.get(&self.key) else { return self };
        let (location, count) = (vm.base.location.clone(), vm.nics.len());
        let first = self.subscription.nics.get(&first).and_then(|nic| nic.configurations.first());
        let subnet = first.map(|configuration| configuration.subnet.clone()).unwrap_or_default();
        let mut group = self.subscription.group(ids::group(&id), &location);
        let nic = group.nic(&format!("{}-nic-{count}", ids::name(&id)), &subnet, Some(ip.to_owned()));
        self.edit(|vm| vm.nics.push(nic))
    }

    /// In a flexible scale set.
    pub fn member_of(self, set: &str) -> Self {
        self.edit(|vm| vm.scale_set = Some(set.to_owned()))
    }
}

/// A network in the making.
#[derive(Debug)]
pub struct VnetBuilder<'a> {
    pub(super) vnet: &'a mut Vnet,
}

impl VnetBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.vnet.base.id.clone()
    }

    /// The id of a subnet of this name.
    pub fn subnet_id(&self, name: &str) -> String {
        self.vnet.subnet_id(name)
    }

    /// One more subnet.
    pub fn subnet(self, name: &str, prefixes: &[&str], security_group: Option<&str>) -> Self {
        self.vnet.subnets.push(Subnet {
            name: name.to_owned(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            security_group: security_group.map(str::to_owned),
        });
        self
    }
}

/// A network security group in the making.
#[derive(Debug)]
pub struct NsgBuilder<'a> {
    pub(super) group: &'a mut SecurityGroup,
}

impl NsgBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.group.base.id.clone()
    }

    /// One more rule.
    pub fn rule(self, rule: Rule) -> Self {
        self.group.rules.push(rule);
        self
    }

    /// Lets in from a source to a port.
    pub fn allow(self, priority: u32, protocol: &str, port: &str, source: &str) -> Self {
        self.rule(Rule::allow_in(&format!("allow-{priority}"), priority, protocol, port, source))
    }
}

/// A load balancer in the making.
#[derive(Debug)]
pub struct BalancerBuilder<'a> {
    pub(super) balancer: &'a mut LoadBalancer,
}

impl BalancerBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.balancer.base.id.clone()
    }

    /// The id of a pool of this name.
    pub fn pool_id(&self, name: &str) -> String {
        self.balancer.pool_id(name)
    }

    /// Changes the balancer.
    pub fn edit(self, change: impl FnOnce(&mut LoadBalancer)) -> Self {
        change(self.balancer);
        self
    }

    /// One more pool, with a rule that leads from the frontend `front` to it, and a probe.
    pub fn pool(self, name: &str, frontend_port: u16, backend_port: u16) -> Self {
        let probe = Probe { name: format!("probe-{name}"), protocol: "Tcp".to_owned(), port: backend_port };
        let rule = LoadBalancingRule {
            name: format!("rule-{name}"),
            frontend: "front".to_owned(),
            pool: name.to_owned(),
            plural: false,
            protocol: "Tcp".to_owned(),
            frontend_port,
            backend_port,
            probe: Some(probe.name.clone()),
        };
        self.balancer.pools.push(Pool::named(name));
        self.balancer.probes.push(probe);
        self.balancer.rules.push(rule);
        self
    }

    /// One more member of a pool by its address in a network.
    pub fn address(self, pool: &str, ip: &str, vnet: &str) -> Self {
        if let Some(pool) = self.balancer.pools.iter_mut().find(|found| found.name == pool) {
            let name = format!("address-{}", pool.addresses.len());
            pool.addresses.push(PoolAddress { name, ip: ip.to_owned(), vnet: Some(vnet.to_owned()), subnet: None });
        }
        self
    }
}

/// An application gateway in the making.
#[derive(Debug)]
pub struct GatewayBuilder<'a> {
    pub(super) gateway: &'a mut Gateway,
}

impl GatewayBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.gateway.base.id.clone()
    }

    /// The id of a pool of this name.
    pub fn pool_id(&self, name: &str) -> String {
        self.gateway.pool_id(name)
    }

    /// Changes the gateway.
    pub fn edit(self, change: impl FnOnce(&mut Gateway)) -> Self {
        change(self.gateway);
        self
    }

    /// One more pool, with a listener at this port and a rule that leads to it.
    pub fn pool(self, name: &str, port: u16, addresses: Vec<Backend>) -> Self {
        let priority = u32::from(port);
        self.gateway.pools.push(GatewayPool { name: name.to_owned(), addresses });
        self.gateway.listeners.push(GatewayListener {
            name: format!("listener-{name}"),
            frontend: "front".to_owned(),
            protocol: "Http".to_owned(),
            port,
            host: None,
        });
        self.gateway.rules.push(GatewayRule {
            name: format!("rule-{name}"),
            listener: format!("listener-{name}"),
            pool: name.to_owned(),
            paths: Vec::new(),
            priority,
        });
        self
    }
}
