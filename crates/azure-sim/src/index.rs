//! Who refers to what: the answers hold links in both directions, the world in one.

use std::collections::HashMap;

use crate::{
    ids,
    world::{IpConfiguration, Subscription, World},
};

/// Links against the direction in which the world has them, by folded ids. Values are ids as they were made.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// From an interface to its machine, and whether it is the machine's first.
    pub(crate) nic_vm: HashMap<String, (String, bool)>,
    /// From a disk to its machine.
    pub(crate) disk_vm: HashMap<String, String>,
    /// From a pool, of a load balancer or a gateway, to configurations of addresses.
    pub(crate) pool_members: HashMap<String, Vec<String>>,
    /// From a port forward to the configuration of an address.
    pub(crate) nat_target: HashMap<String, String>,
    /// From a network security group to interfaces.
    pub(crate) nsg_nics: HashMap<String, Vec<String>>,
    /// From a network security group to subnets.
    pub(crate) nsg_subnets: HashMap<String, Vec<String>>,
    /// From a subnet to configurations of addresses.
    pub(crate) subnet_members: HashMap<String, Vec<String>>,
    /// From a public address to what uses it.
    pub(crate) public_user: HashMap<String, String>,
    /// How many machines a flexible scale set has.
    pub(crate) set_vms: HashMap<String, usize>,
}

impl Index {
    pub(crate) fn of(world: &World) -> Self {
        let mut index = Self::default();
        for subscription in world.subscriptions.values() {
            index.machines(subscription);
            index.interfaces(subscription);
            index.scale_sets(subscription);
            index.others(subscription);
        }
        index
    }

    fn machines(&mut self, subscription: &Subscription) {
        for vm in subscription.vms.values() {
            for (at, nic) in vm.nics.iter().enumerate() {
                self.nic_vm.insert(ids::fold(nic), (vm.base.id.clone(), at == 0));
            }
            for disk in vm.data_disks.iter().map(|disk| &disk.id).chain([&vm.os_disk]) {
                self.disk_vm.insert(ids::fold(disk), vm.base.id.clone());
            }
            if let Some(set) = &vm.scale_set {
                *self.set_vms.entry(ids::fold(set)).or_default() += 1;
            }
        }
    }

    fn interfaces(&mut self, subscription: &Subscription) {
        for nic in subscription.nics.values() {
            if let Some(group) = &nic.security_group {
                push(&mut self.nsg_nics, group, &nic.base.id);
            }
            for configuration in &nic.configurations {
                self.configuration(&format!("{}/ipConfigurations/{}", nic.base.id, configuration.name), configuration);
            }
        }
    }

    fn configuration(&mut self, id: &str, configuration: &IpConfiguration) {
        push(&mut self.subnet_members, &configuration.subnet, id);
        for pool in configuration.pools.iter().chain(&configuration.gateway_pools) {
            push(&mut self.pool_members, pool, id);
        }
        for rule in &configuration.nat_rules {
            self.nat_target.insert(ids::fold(rule), id.to_owned());
        }
        if let Some(public) = &configuration.public_ip {
            self.public_user.insert(ids::fold(public), id.to_owned());
        }
    }

    fn scale_sets(&mut self, subscription: &Subscription) {
        for set in subscription.scale_sets.values() {
            for number in set.instances.keys() {
                let id = set.ip_configuration_id(*number);
                push(&mut self.subnet_members, &set.network.subnet, &id);
                for pool in set.network.pools.iter().chain(&set.network.gateway_pools) {
                    push(&mut self.pool_members, pool, &id);
                }
                if let Some(group) = &set.network.security_group {
                    push(&mut self.nsg_nics, group, &set.nic_id(*number));
                }
            }
        }
    }

    fn others(&mut self, subscription: &Subscription) {
        for vnet in subscription.vnets.values() {
            for subnet in &vnet.subnets {
                if let Some(group) = &subnet.security_group {
                    push(&mut self.nsg_subnets, group, &vnet.subnet_id(&subnet.name));
                }
            }
        }
        let balancers = subscription.load_balancers.values().map(|balancer| (&balancer.base.id, &balancer.frontends));
        let gateways = subscription.gateways.values().map(|gateway| (&gateway.base.id, &gateway.frontends));
        for (id, frontends) in balancers.chain(gateways) {
            for frontend in frontends {
                let user = format!("{id}/frontendIPConfigurations/{}", frontend.name);
                if let Some(public) = &frontend.public_ip {
                    self.public_user.insert(ids::fold(public), user.clone());
                }
                if let Some(subnet) = &frontend.subnet {
                    push(&mut self.subnet_members, subnet, &user);
                }
            }
        }
    }
}

fn push(map: &mut HashMap<String, Vec<String>>, key: &str, value: &str) {
    map.entry(ids::fold(key)).or_default().push(value.to_owned());
}
