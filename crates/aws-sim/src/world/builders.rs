//! Machines and security groups in the making.

use super::{
    Address, Cpu, GroupPair, Instance, InstanceState, Interface, Operator, Peer, Permission, PublicAddress, Region, SecurityGroup,
};
use crate::hash;

/// A security group in the making.
#[derive(Debug)]
pub struct GroupBuilder<'a> {
    pub(super) group: &'a mut SecurityGroup,
}

impl GroupBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.group.id.clone()
    }

    /// The group itself.
    pub fn edit(self, change: impl FnOnce(&mut SecurityGroup)) -> Self {
        change(self.group);
        self
    }

    /// Lets a block in. A colon in it makes it IPv6.
    pub fn allow(self, protocol: &str, port: i32, block: &str) -> Self {
        let peer = vec![Peer { value: block.to_owned(), description: None }];
        let (ipv4, ipv6) = if block.contains(':') { (Vec::new(), peer) } else { (peer, Vec::new()) };
        self.permit(protocol, port, Permission { ipv4, ipv6, ..Permission::default() })
    }

    /// Lets another group in; of another account when that is given.
    pub fn allow_group(self, protocol: &str, port: i32, group: &str, user: Option<&str>) -> Self {
        let pair = GroupPair { group: group.to_owned(), user: user.map(str::to_owned), ..GroupPair::default() };
        self.permit(protocol, port, Permission { groups: vec![pair], ..Permission::default() })
    }

    /// Adds a tag.
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.edit(|group| {
            group.tags.insert(key.to_owned(), value.to_owned());
        })
    }

    fn permit(self, protocol: &str, port: i32, permission: Permission) -> Self {
        self.edit(|group| group.ingress.push(Permission { protocol: protocol.to_owned(), from: Some(port), to: Some(port), ..permission }))
    }
}

/// An instance in the making. Every call takes effect at once.
#[derive(Debug)]
pub struct InstanceBuilder<'a> {
    pub(super) region: &'a mut Region,
    pub(super) id: String,
    pub(super) name: String,
}

impl InstanceBuilder<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Changes the instance.
    pub fn edit(self, change: impl FnOnce(&mut Instance)) -> Self {
        if let Some(instance) = self.region.instances.get_mut(&self.id) {
            change(instance);
        }
        self
    }

    /// Changes the primary interface.
    pub fn edit_interface(self, change: impl FnOnce(&mut Interface)) -> Self {
        let primary = |interface: &&mut Interface| {
            interface.instance() == Some(self.id.as_str()) && interface.attachment.as_ref().is_some_and(|one| one.device_index == 0)
        };
        if let Some(interface) = self.region.interfaces.values_mut().find(primary) {
            change(interface);
        }
        self
    }

    /// Of this type; processors and architecture follow.
    pub fn of_type(self, name: &str) -> Self {
        self.edit(|instance| {
            instance.instance_type = name.to_owned();
            if let Some(found) = super::InstanceType::named(name) {
                instance.cpu = Some(Cpu { cores: found.vcpus / found.threads_per_core.max(1), threads: found.threads_per_core });
                instance.architecture = found.architecture;
            }
        })
    }

    /// In this state.
    pub fn state(self, state: InstanceState) -> Self {
        self.edit(|instance| instance.state = state)
    }

    /// With a tag.
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.edit(|instance| {
            instance.tags.insert(key.to_owned(), value.to_owned());
        })
    }

    /// A spot instance.
    pub fn spot(self) -> Self {
        let request = hash::id("sir", &[&self.id]);
        self.edit(|instance| {
            instance.lifecycle = Some("spot".to_owned());
            instance.spot_request = Some(request);
        })
    }

    /// Windows.
    pub fn windows(self) -> Self {
        self.edit(|instance| {
            instance.platform = Some("windows".to_owned());
            instance.platform_details = "Windows".to_owned();
            instance.usage_operation = "RunInstances:0002".to_owned();
        })
    }

    /// Managed by a service.
    pub fn managed_by(self, principal: &str) -> Self {
        let operator = Some(Operator { principal: principal.to_owned() });
        self.edit(|instance| instance.operator.clone_from(&operator)).edit_interface(|interface| interface.operator.clone_from(&operator))
    }

    /// In these security groups of the VPC `main`, by their names.
    pub fn groups(self, names: &[&str]) -> Self {
        let ids: Vec<String> = names.iter().map(|name| self.region.group(name).id()).collect();
        self.edit_interface(|interface| interface.groups = ids)
    }

    /// In this subnet, by its id.
    pub fn subnet(self, id: &str) -> Self {
        let Some(subnet) = self.region.subnets.get(id).cloned() else { return self };
        let zone = subnet.zone.clone();
        self.edit(|instance| instance.zone = zone).edit_interface(|interface| {
            interface.subnet = subnet.id;
            interface.vpc = subnet.vpc;
            interface.zone = subnet.zone;
        })
    }

    /// One more interface, in the subnet of the first.
    pub fn interface(self, ip: &str) -> Self {
        let Self { region, id, name } = &self;
        let mine: Vec<&Interface> = region.interfaces.values().filter(|interface| interface.instance() == Some(id)).collect();
        let index = u32::try_from(mine.len()).unwrap_or(u32::MAX);
        let subnet = mine.first().and_then(|interface| region.subnets.get(&interface.subnet)).cloned();
        if let Some(subnet) = subnet {
            let (name, id) = (name.clone(), id.clone());
            self.region.add_interface(&name, &id, index, &subnet, ip);
        }
        self
    }

    /// One more volume, of so many GiB.
    pub fn volume(self, device: &str, size: u32) -> Self {
        self.region.add_volume(&self.name, &self.id, device, size);
        self
    }

    /// An elastic address on the primary interface.
    pub fn elastic_ip(self, ip: &str) -> Self {
        let allocation = hash::id("eipalloc", &[&self.id, ip]);
        let mut address = Address {
            allocation: allocation.clone(),
            ip: ip.to_owned(),
            association: Some(hash::id("eipassoc", &[&self.id, ip])),
            instance: Some(self.id.clone()),
            ..Address::default()
        };
        let this = self.edit_interface(|interface| {
            address.interface = Some(interface.id.clone());
            if let Some(first) = interface.addresses.first_mut() {
                address.private_ip = Some(first.ip.clone());
                first.public = Some(PublicAddress { ip: ip.to_owned(), allocation: Some(allocation) });
            }
        });
        this.region.addresses.insert(address.allocation.clone(), address);
        this
    }

    /// An address that Amazon lends while the machine runs.
    pub fn public_ip(self, ip: &str) -> Self {
        self.edit_interface(|interface| {
            if let Some(first) = interface.addresses.first_mut() {
                first.public = Some(PublicAddress { ip: ip.to_owned(), allocation: None });
            }
        })
    }
}
