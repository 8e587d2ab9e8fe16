//! Interfaces, security groups, networks, public addresses.

use serde_json::{Map, Value, json};

use super::{View, head, members, part, put, reference, references, some_references};
use crate::{
    ids,
    kind::Kind,
    world::{IpConfiguration, Nic, PublicIp, Rule, SecurityGroup, Vnet},
};

pub(super) fn nic(nic: &Nic, view: View<'_>) -> Value {
    let id = &nic.base.id;
    let holder = view.index.nic_vm.get(&ids::fold(id));
    let configurations: Vec<Value> = nic.configurations.iter().enumerate().map(|(at, one)| configuration(id, at, one)).collect();
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["nic", &ids::fold(id)]),
        "ipConfigurations": configurations,
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
        "enableAcceleratedNetworking": false,
        "enableIPForwarding": false,
        "hostedWorkloads": [],
        "tapConfigurations": [],
        "nicType": "Standard",
    });
    put(&mut properties, "macAddress", nic.mac.clone());
    put(&mut properties, "networkSecurityGroup", reference(nic.security_group.as_ref()));
    put(&mut properties, "privateEndpoint", reference(nic.private_endpoint.as_ref()));
    if let Some((vm, primary)) = holder {
        put(&mut properties, "virtualMachine", reference(Some(ids::mixed(vm))));
        put(&mut properties, "primary", Some(*primary));
    }
    let mut item = head(&nic.base, Kind::Nic, id, properties);
    put(&mut item, "kind", Some("Regular"));
    item
}

fn configuration(nic: &str, at: usize, one: &IpConfiguration) -> Value {
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "privateIPAllocationMethod": "Dynamic",
        "subnet": {"id": one.subnet},
        "primary": at == 0,
        "privateIPAddressVersion": "IPv4",
    });
    put(&mut properties, "privateIPAddress", one.private_ip.clone());
    put(&mut properties, "publicIPAddress", reference(one.public_ip.as_ref()));
    put(&mut properties, "loadBalancerBackendAddressPools", some_references(&one.pools));
    put(&mut properties, "applicationGatewayBackendAddressPools", some_references(&one.gateway_pools));
    put(&mut properties, "applicationSecurityGroups", some_references(&one.application_groups));
    put(&mut properties, "loadBalancerInboundNatRules", some_references(&one.nat_rules));
    let mut item = part(nic, "ipConfigurations", &one.name, properties);
    put(&mut item, "type", Some("Microsoft.Network/networkInterfaces/ipConfigurations"));
    item
}

pub(super) fn security_group(group: &SecurityGroup, view: View<'_>) -> Value {
    let id = &group.base.id;
    let rule = |rule: &Rule| part(id, "securityRules", &rule.name, rule_properties(rule));
    let default = |rule: &Rule| part(id, "defaultSecurityRules", &rule.name, rule_properties(rule));
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["nsg", &ids::fold(id)]),
        "securityRules": group.rules.iter().map(rule).collect::<Vec<_>>(),
        "defaultSecurityRules": default_rules().iter().map(default).collect::<Vec<_>>(),
    });
    // What nothing refers to has no list of references.
    put(&mut properties, "networkInterfaces", some_references(members(&view.index.nsg_nics, id)));
    put(&mut properties, "subnets", some_references(members(&view.index.nsg_subnets, id)));
    head(&group.base, Kind::SecurityGroup, id, properties)
}

/// The rules that every group has.
pub(crate) fn default_rules() -> Vec<Rule> {
    let rule = |name: &str, priority, inbound, allow, source: &str, destination: &str| Rule {
        inbound,
        allow,
        destinations: vec![destination.to_owned()],
        description: Some(name.to_owned()),
        ..Rule::allow_in(name, priority, "*", "*", source)
    };
    vec![
        rule("AllowVnetInBound", 65000, true, true, "VirtualNetwork", "VirtualNetwork"),
        rule("AllowAzureLoadBalancerInBound", 65001, true, true, "AzureLoadBalancer", "*"),
        rule("DenyAllInBound", 65500, true, false, "*", "*"),
        rule("AllowVnetOutBound", 65000, false, true, "VirtualNetwork", "VirtualNetwork"),
        rule("AllowInternetOutBound", 65001, false, true, "*", "Internet"),
        rule("DenyAllOutBound", 65500, false, false, "*", "*"),
    ]
}

fn rule_properties(rule: &Rule) -> Value {
    let mut properties = Map::new();
    let mut set = |name: &str, value: Value| {
        properties.insert(name.to_owned(), value);
    };
    set("provisioningState", json!("Succeeded"));
    set("protocol", json!(rule.protocol));
    set("priority", json!(rule.priority));
    set("access", json!(if rule.allow { "Allow" } else { "Deny" }));
    set("direction", json!(if rule.inbound { "Inbound" } else { "Outbound" }));
    for (single, plural, values) in [
        ("sourceAddressPrefix", "sourceAddressPrefixes", &rule.sources),
        ("destinationAddressPrefix", "destinationAddressPrefixes", &rule.destinations),
        ("sourcePortRange", "sourcePortRanges", &rule.source_ports),
        ("destinationPortRange", "destinationPortRanges", &rule.destination_ports),
    ] {
        match values.as_slice() {
            [one] => {
                set(single, json!(one));
                set(plural, json!([]));
            }
            several => {
                // The singular field that is not used is empty where there are application security groups, and missing otherwise.
                if several.is_empty() {
                    set(single, json!(""));
                }
                set(plural, json!(several));
            }
        }
    }
    if !rule.source_groups.is_empty() {
        set("sourceApplicationSecurityGroups", references(&rule.source_groups));
    }
    if !rule.destination_groups.is_empty() {
        set("destinationApplicationSecurityGroups", references(&rule.destination_groups));
    }
    if let Some(description) = &rule.description {
        set("description", json!(description));
    }
    Value::Object(properties)
}

pub(super) fn vnet(vnet: &Vnet, view: View<'_>) -> Value {
    let id = &vnet.base.id;
    let subnets: Vec<Value> = vnet
        .subnets
        .iter()
        .map(|subnet| {
            let mut properties = json!({"provisioningState": "Succeeded", "delegations": [], "privateEndpointNetworkPolicies": "Disabled"});
            match subnet.prefixes.as_slice() {
                [one] => put(&mut properties, "addressPrefix", Some(one.clone())),
                several => put(&mut properties, "addressPrefixes", Some(json!(several))),
            }
            put(&mut properties, "networkSecurityGroup", reference(subnet.security_group.as_ref()));
            let members = members(&view.index.subnet_members, &vnet.subnet_id(&subnet.name));
            // The network's own view has the groups of interfaces in capitals.
            let members: Vec<String> = members.iter().map(|id| ids::group_upper(id)).collect();
            put(&mut properties, "ipConfigurations", some_references(&members));
            let mut item = part(id, "subnets", &subnet.name, properties);
            put(&mut item, "type", Some("Microsoft.Network/virtualNetworks/subnets"));
            item
        })
        .collect();
    let properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["vnet", &ids::fold(id)]),
        "addressSpace": {"addressPrefixes": vnet.prefixes},
        "subnets": subnets,
        "virtualNetworkPeerings": [],
        "enableDdosProtection": false,
    });
    head(&vnet.base, Kind::Vnet, id, properties)
}

pub(super) fn public_ip(public: &PublicIp, view: View<'_>) -> Value {
    let id = &public.base.id;
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["public", &ids::fold(id)]),
        "publicIPAddressVersion": "IPv4",
        "publicIPAllocationMethod": if public.is_static { "Static" } else { "Dynamic" },
        "idleTimeoutInMinutes": 4,
        "ipTags": [],
    });
    put(&mut properties, "ipAddress", public.ip.clone());
    put(&mut properties, "ipConfiguration", reference(view.index.public_user.get(&ids::fold(id))));
    put(&mut properties, "dnsSettings", public.fqdn.as_ref().map(|fqdn| json!({"fqdn": fqdn, "domainNameLabel": fqdn.split('.').next()})));
    let mut item = head(&public.base, Kind::PublicIp, id, properties);
    put(&mut item, "sku", Some(json!({"name": public.sku, "tier": "Regional"})));
    item
}
