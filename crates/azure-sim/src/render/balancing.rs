//! Load balancers and application gateways.

use serde_json::{Value, json};

use super::{View, head, members, part, put, reference, references, some_references};
use crate::{
    ids,
    kind::Kind,
    world::{Backend, Frontend, Gateway, LoadBalancer, LoadBalancingRule},
};

pub(super) fn load_balancer(balancer: &LoadBalancer, view: View<'_>) -> Value {
    let id = &balancer.base.id;
    let frontends: Vec<Value> = balancer.frontends.iter().map(|one| frontend(id, one)).collect();
    let pools: Vec<Value> = balancer
        .pools
        .iter()
        .map(|pool| {
            let pool_id = balancer.pool_id(&pool.name);
            let by_interface = members(&view.index.pool_members, &pool_id);
            let mut addresses: Vec<Value> = by_interface
                .iter()
                .enumerate()
                .map(|(at, id)| {
                    let properties = json!({"networkInterfaceIPConfiguration": {"id": id}});
                    json!({"name": format!("member-{at}"), "properties": properties})
                })
                .collect();
            addresses.extend(pool.addresses.iter().map(|address| {
                let mut properties = json!({"ipAddress": address.ip, "adminState": "None"});
                put(&mut properties, "virtualNetwork", reference(address.vnet.as_ref()));
                put(&mut properties, "subnet", reference(address.subnet.as_ref()));
                json!({"name": address.name, "properties": properties})
            }));
            let mut properties = json!({"provisioningState": "Succeeded", "loadBalancerBackendAddresses": addresses});
            put(&mut properties, "backendIPConfigurations", some_references(by_interface));
            let rules: Vec<String> = balancer
                .rules
                .iter()
                .filter(|rule| rule.pool == pool.name)
                .map(|rule| format!("{id}/loadBalancingRules/{}", rule.name))
                .collect();
            put(&mut properties, "loadBalancingRules", some_references(&rules));
            part(id, "backendAddressPools", &pool.name, properties)
        })
        .collect();
    let nat_rules: Vec<Value> = balancer
        .nat_rules
        .iter()
        .map(|rule| {
            let mut properties = json!({
                "provisioningState": "Succeeded",
                "frontendIPConfiguration": {"id": balancer.frontend_id(&rule.frontend)},
                "frontendPort": rule.frontend_port,
                "backendPort": rule.backend_port,
                "protocol": "Tcp",
                "enableFloatingIP": false,
                "idleTimeoutInMinutes": 4,
            });
            let rule_id = format!("{id}/inboundNatRules/{}", rule.name);
            put(&mut properties, "backendIPConfiguration", reference(view.index.nat_target.get(&ids::fold(&rule_id))));
            part(id, "inboundNatRules", &rule.name, properties)
        })
        .collect();
    let probes: Vec<Value> = balancer
        .probes
        .iter()
        .map(|probe| {
            let properties = json!({"provisioningState": "Succeeded", "protocol": probe.protocol, "port": probe.port, "intervalInSeconds": 5, "numberOfProbes": 1});
            part(id, "probes", &probe.name, properties)
        })
        .collect();
    let properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["balancer", &ids::fold(id)]),
        "frontendIPConfigurations": frontends,
        "backendAddressPools": pools,
        "loadBalancingRules": balancer.rules.iter().map(|rule| load_balancing_rule(balancer, rule)).collect::<Vec<_>>(),
        "probes": probes,
        "inboundNatRules": nat_rules,
        "inboundNatPools": [],
        "outboundRules": [],
    });
    let mut item = head(&balancer.base, Kind::LoadBalancer, id, properties);
    put(&mut item, "sku", Some(json!({"name": balancer.sku, "tier": "Regional"})));
    item
}

fn frontend(parent: &str, one: &Frontend) -> Value {
    let method = if one.private_ip.is_some() { "Static" } else { "Dynamic" };
    let mut properties = json!({"provisioningState": "Succeeded", "privateIPAllocationMethod": method});
    put(&mut properties, "privateIPAddress", one.private_ip.clone());
    put(&mut properties, "publicIPAddress", reference(one.public_ip.as_ref()));
    put(&mut properties, "subnet", reference(one.subnet.as_ref()));
    part(parent, "frontendIPConfigurations", &one.name, properties)
}

fn load_balancing_rule(balancer: &LoadBalancer, rule: &LoadBalancingRule) -> Value {
    let pool = balancer.pool_id(&rule.pool);
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "frontendIPConfiguration": {"id": balancer.frontend_id(&rule.frontend)},
        "backendAddressPool": {"id": pool},
        "protocol": rule.protocol,
        "frontendPort": rule.frontend_port,
        "backendPort": rule.backend_port,
        "loadDistribution": "Default",
        "enableFloatingIP": false,
        "idleTimeoutInMinutes": 4,
    });
    if rule.plural {
        put(&mut properties, "backendAddressPools", Some(references([&pool])));
    }
    put(&mut properties, "probe", reference(rule.probe.as_ref().map(|name| format!("{}/probes/{name}", balancer.base.id))));
    part(&balancer.base.id, "loadBalancingRules", &rule.name, properties)
}

pub(super) fn gateway(gateway: &Gateway, view: View<'_>) -> Value {
    let id = &gateway.base.id;
    let child = |collection: &str, name: &str| json!({"id": format!("{id}/{collection}/{name}")});
    let pools: Vec<Value> = gateway
        .pools
        .iter()
        .map(|pool| {
            let addresses: Vec<Value> = pool
                .addresses
                .iter()
                .map(|address| match address {
                    Backend::Fqdn(name) => json!({"fqdn": name}),
                    Backend::Ip(ip) => json!({"ipAddress": ip}),
                })
                .collect();
            let mut properties = json!({"provisioningState": "Succeeded", "backendAddresses": addresses});
            let by_interface = members(&view.index.pool_members, &gateway.pool_id(&pool.name));
            put(&mut properties, "backendIPConfigurations", some_references(by_interface));
            part(id, "backendAddressPools", &pool.name, properties)
        })
        .collect();
    let listeners: Vec<Value> = gateway
        .listeners
        .iter()
        .map(|listener| {
            let mut properties = json!({
                "provisioningState": "Succeeded",
                "frontendIPConfiguration": child("frontendIPConfigurations", &listener.frontend),
                "frontendPort": child("frontendPorts", &format!("port-{}", listener.port)),
                "protocol": listener.protocol,
                "requireServerNameIndication": false,
            });
            put(&mut properties, "hostName", listener.host.clone());
            part(id, "httpListeners", &listener.name, properties)
        })
        .collect();
    let ports: Vec<Value> = gateway
        .listeners
        .iter()
        .map(|listener| {
            let properties = json!({"provisioningState": "Succeeded", "port": listener.port});
            part(id, "frontendPorts", &format!("port-{}", listener.port), properties)
        })
        .collect();
    let rules: Vec<Value> = gateway
        .rules
        .iter()
        .map(|rule| {
            let mut properties = json!({
                "provisioningState": "Succeeded",
                "ruleType": if rule.paths.is_empty() { "Basic" } else { "PathBasedRouting" },
                "priority": rule.priority,
                "httpListener": child("httpListeners", &rule.listener),
            });
            if rule.paths.is_empty() {
                put(&mut properties, "backendAddressPool", Some(child("backendAddressPools", &rule.pool)));
                put(&mut properties, "backendHttpSettings", Some(child("backendHttpSettingsCollection", "settings")));
            } else {
                put(&mut properties, "urlPathMap", Some(child("urlPathMaps", &rule.name)));
            }
            part(id, "requestRoutingRules", &rule.name, properties)
        })
        .collect();
    let path_maps: Vec<Value> = gateway
        .rules
        .iter()
        .filter(|rule| !rule.paths.is_empty())
        .map(|rule| {
            let map_id = format!("{id}/urlPathMaps/{}", rule.name);
            let paths: Vec<Value> = rule
                .paths
                .iter()
                .map(|path| {
                    let properties = json!({
                        "provisioningState": "Succeeded",
                        "paths": path.paths,
                        "backendAddressPool": child("backendAddressPools", &path.pool),
                        "backendHttpSettings": child("backendHttpSettingsCollection", "settings"),
                    });
                    part(&map_id, "pathRules", &path.name, properties)
                })
                .collect();
            let properties = json!({
                "provisioningState": "Succeeded",
                "defaultBackendAddressPool": child("backendAddressPools", &rule.pool),
                "defaultBackendHttpSettings": child("backendHttpSettingsCollection", "settings"),
                "pathRules": paths,
            });
            part(id, "urlPathMaps", &rule.name, properties)
        })
        .collect();
    let settings =
        json!({"provisioningState": "Succeeded", "port": 80, "protocol": "Http", "cookieBasedAffinity": "Disabled", "requestTimeout": 20});
    let properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": ids::guid(&["gateway", &ids::fold(id)]),
        "operationalState": "Running",
        "sku": {"name": gateway.sku, "tier": gateway.sku, "capacity": 2},
        "gatewayIPConfigurations": [part(id, "gatewayIPConfigurations", "gateway-ip", json!({"subnet": {"id": gateway.subnet}}))],
        "sslCertificates": [],
        "frontendIPConfigurations": gateway.frontends.iter().map(|one| frontend(id, one)).collect::<Vec<_>>(),
        "frontendPorts": ports,
        "backendAddressPools": pools,
        "backendHttpSettingsCollection": [part(id, "backendHttpSettingsCollection", "settings", settings)],
        "httpListeners": listeners,
        "urlPathMaps": path_maps,
        "requestRoutingRules": rules,
        "probes": [],
        "redirectConfigurations": [],
    });
    head(&gateway.base, Kind::Gateway, id, properties)
}
