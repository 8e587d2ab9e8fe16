//! What refers to what: every id that a subscription's resources hold, for moves.

use super::{Frontend, Gateway, InstanceNetwork, LoadBalancer, Nic, ScaleSet, SecurityGroup, Subscription, Vm, Vnet};

type Visit<'a> = dyn FnMut(&mut String) + 'a;

impl Subscription {
    /// Shows every reference to another resource.
    pub(super) fn each_reference(&mut self, visit: &mut Visit<'_>) {
        self.vms.values_mut().for_each(|item| vm(item, visit));
        self.scale_sets.values_mut().for_each(|item| scale_set(item, visit));
        self.nics.values_mut().for_each(|item| nic(item, visit));
        self.security_groups.values_mut().for_each(|item| security_group(item, visit));
        self.vnets.values_mut().for_each(|item| vnet(item, visit));
        self.load_balancers.values_mut().for_each(|item| load_balancer(item, visit));
        self.gateways.values_mut().for_each(|item| gateway(item, visit));
    }
}

fn vm(vm: &mut Vm, visit: &mut Visit<'_>) {
    visit(&mut vm.os_disk);
    vm.data_disks.iter_mut().for_each(|disk| visit(&mut disk.id));
    vm.nics.iter_mut().for_each(&mut *visit);
    vm.scale_set.iter_mut().chain(&mut vm.availability_set).for_each(visit);
}

fn scale_set(set: &mut ScaleSet, visit: &mut Visit<'_>) {
    let InstanceNetwork { subnet, security_group, pools, gateway_pools, application_groups } = &mut set.network;
    visit(subnet);
    security_group.iter_mut().chain(pools).chain(gateway_pools).chain(application_groups).for_each(visit);
}

fn nic(nic: &mut Nic, visit: &mut Visit<'_>) {
    nic.security_group.iter_mut().chain(&mut nic.private_endpoint).for_each(&mut *visit);
    for configuration in &mut nic.configurations {
        visit(&mut configuration.subnet);
        configuration
            .public_ip
            .iter_mut()
            .chain(&mut configuration.pools)
            .chain(&mut configuration.gateway_pools)
            .chain(&mut configuration.application_groups)
            .chain(&mut configuration.nat_rules)
            .for_each(&mut *visit);
    }
}

fn security_group(group: &mut SecurityGroup, visit: &mut Visit<'_>) {
    for rule in &mut group.rules {
        rule.source_groups.iter_mut().chain(&mut rule.destination_groups).for_each(&mut *visit);
    }
}

fn vnet(vnet: &mut Vnet, visit: &mut Visit<'_>) {
    vnet.subnets.iter_mut().filter_map(|subnet| subnet.security_group.as_mut()).for_each(visit);
}

fn frontends(frontends: &mut [Frontend], visit: &mut Visit<'_>) {
    for frontend in frontends {
        frontend.subnet.iter_mut().chain(&mut frontend.public_ip).for_each(&mut *visit);
    }
}

fn load_balancer(balancer: &mut LoadBalancer, visit: &mut Visit<'_>) {
    frontends(&mut balancer.frontends, visit);
    for address in balancer.pools.iter_mut().flat_map(|pool| &mut pool.addresses) {
        address.vnet.iter_mut().chain(&mut address.subnet).for_each(&mut *visit);
    }
}

fn gateway(gateway: &mut Gateway, visit: &mut Visit<'_>) {
    visit(&mut gateway.subnet);
    frontends(&mut gateway.frontends, visit);
}
