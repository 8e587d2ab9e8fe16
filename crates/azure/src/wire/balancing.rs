//! Load balancers and application gateways with their pools.
//!
//! Source: Azure Network REST API reference (2024-03-01): LoadBalancer, ApplicationGateway.

use dewpoint_core::model::Key;

use super::Wire;
use crate::ids::ResourceId;
use crate::item::{Head, Item, Refused};

/// A load balancer, or an application gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balancer {
    pub(crate) head: Head,
    pub(crate) form: Form,
    pub(crate) state: Option<String>,
    pub(crate) zones: Vec<String>,
    pub(crate) frontends: Vec<Frontend>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) routes: Vec<Route>,
    /// Subnet of a gateway itself.
    pub(crate) subnet: Option<Key>,
}

/// What kind of balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    LoadBalancer,
    ApplicationGateway,
}

impl Form {
    /// The attribute `balancer_type`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load_balancer",
            Self::ApplicationGateway => "application_gateway",
        }
    }
}

/// Where a balancer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frontend {
    pub(crate) private_address: Option<String>,
    pub(crate) public_address: Option<Key>,
    pub(crate) subnet: Option<Key>,
}

/// A pool with its members in all three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    /// Ids of IP configurations: of interfaces, and of machines in uniform sets.
    pub(crate) configurations: Vec<Key>,
    pub(crate) addresses: Vec<Address>,
    /// Balancers of single regions, behind one that is of all.
    pub(crate) balancers: Vec<Key>,
    /// How members are reached: port, protocol, from the rules.
    pub(crate) doors: Vec<Door>,
}

/// A member by its address or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// An IP address, or a name.
    pub(crate) text: String,
    /// The network that the address belongs to, where it is said.
    pub(crate) network: Option<Key>,
}

/// Port and protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    pub(crate) port: Option<i64>,
    pub(crate) protocol: Option<String>,
}

/// From a listener to a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) door: Door,
    /// `None` for a listener that forwards to none.
    pub(crate) pool: Option<Key>,
}

impl Frontend {
    fn read(item: Item<'_>) -> Self {
        Self {
            private_address: item.owned("/properties/privateIPAddress"),
            public_address: item.reference("/properties/publicIPAddress/id"),
            subnet: item.reference("/properties/subnet/id"),
        }
    }
}

/// The parts of a pool that both forms have. A pool without an id would take its edges away.
fn pool(head: &Head, item: Item<'_>) -> Result<Pool, Refused> {
    let id = item.text("/id").and_then(|id| ResourceId::parse(id).ok());
    let id = id.ok_or_else(|| Refused::new(&head.id.text, format!("a pool of {} has no id", head.name)))?;
    Ok(Pool {
        name: item.text("/name").unwrap_or(id.name()).to_owned(),
        configurations: item.references("/properties/backendIPConfigurations").collect(),
        addresses: Vec::new(),
        balancers: Vec::new(),
        doors: Vec::new(),
        id,
    })
}

fn door(item: Item<'_>, port: &str) -> Door {
    Door { port: item.count(port), protocol: item.owned("/properties/protocol") }
}

/// A load balancer of the list of load balancers.
#[derive(Debug)]
pub(crate) struct LoadBalancer(pub(crate) Balancer);

impl Wire for LoadBalancer {
    const PATHS: &'static [&'static str] = &[
        "properties!/frontendIPConfigurations[]/properties!/privateIPAddress",
        "properties!/frontendIPConfigurations[]/properties!/publicIPAddress/id",
        "properties!/frontendIPConfigurations[]/properties!/subnet/id",
        "properties!/frontendIPConfigurations[]/zones[]",
        "properties!/backendAddressPools[]/properties!/backendIPConfigurations[]/id",
        "properties!/backendAddressPools[]/properties!/loadBalancerBackendAddresses[]/properties!/ipAddress",
        "properties!/backendAddressPools[]/properties!/loadBalancerBackendAddresses[]/properties!/networkInterfaceIPConfiguration/id",
        "properties!/backendAddressPools[]/properties!/loadBalancerBackendAddresses[]/properties!/subnet/id",
        "properties!/backendAddressPools[]/properties!/loadBalancerBackendAddresses[]/properties!/virtualNetwork/id",
        "properties!/backendAddressPools[]/properties!/loadBalancerBackendAddresses[]/properties!/loadBalancerFrontendIPConfiguration/id",
        "properties!/loadBalancingRules[]/properties!/backendAddressPool/id",
        "properties!/loadBalancingRules[]/properties!/backendAddressPools[]/id",
        "properties!/loadBalancingRules[]/properties!/frontendPort",
        "properties!/loadBalancingRules[]/properties!/backendPort",
        "properties!/loadBalancingRules[]/properties!/protocol",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let head = Head::read(item)?;
        let mut pools = Vec::new();
        for part in item.items("/properties/backendAddressPools") {
            let mut pool = pool(&head, part)?;
            for address in part.items("/properties/loadBalancerBackendAddresses") {
                // Members by interface are repeated here.
                pool.configurations.extend(address.reference("/properties/networkInterfaceIPConfiguration/id"));
                let frontend = address.reference("/properties/loadBalancerFrontendIPConfiguration/id");
                pool.balancers.extend(frontend.and_then(|key| crate::ids::before(&key, "frontendipconfigurations")));
                let Some(text) = address.owned("/properties/ipAddress") else { continue };
                let subnet = address.reference("/properties/subnet/id");
                let network = address.reference("/properties/virtualNetwork/id");
                let network = network.or_else(|| crate::ids::before(&subnet?, "subnets"));
                pool.addresses.push(Address { text, network });
            }
            pools.push(pool);
        }
        let mut routes = Vec::new();
        for rule in item.items("/properties/loadBalancingRules") {
            let one = rule.reference("/properties/backendAddressPool/id").into_iter();
            let mut targets: Vec<Key> = one.chain(rule.references("/properties/backendAddressPools")).collect();
            targets.sort_unstable();
            targets.dedup();
            let listener = door(rule, "/properties/frontendPort");
            if targets.is_empty() {
                routes.push(Route { door: listener.clone(), pool: None });
            }
            for target in targets {
                if let Some(pool) = pools.iter_mut().find(|pool| pool.id.key == target) {
                    pool.doors.push(door(rule, "/properties/backendPort"));
                }
                routes.push(Route { door: listener.clone(), pool: Some(target) });
            }
        }
        Ok(Self(Balancer {
            form: Form::LoadBalancer,
            state: None,
            zones: frontend_zones(item),
            frontends: item.items("/properties/frontendIPConfigurations").map(Frontend::read).collect(),
            pools,
            routes,
            subnet: None,
            head,
        }))
    }
}

/// The zones of a load balancer are those of its frontends.
fn frontend_zones(item: Item<'_>) -> Vec<String> {
    let zones = item.items("/properties/frontendIPConfigurations").flat_map(|frontend| frontend.texts("/zones"));
    zones.map(str::to_owned).collect()
}

/// An application gateway.
#[derive(Debug)]
pub(crate) struct Gateway(pub(crate) Balancer);

impl Wire for Gateway {
    const PATHS: &'static [&'static str] = &[
        "zones[]",
        "properties!/frontendIPConfigurations[]/properties!/privateIPAddress",
        "properties!/frontendIPConfigurations[]/properties!/publicIPAddress/id",
        "properties!/frontendIPConfigurations[]/properties!/subnet/id",
        "properties!/frontendPorts[]/properties!/port",
        "properties!/gatewayIPConfigurations[]/properties!/subnet/id",
        "properties!/backendAddressPools[]/properties!/backendAddresses[]",
        "properties!/backendAddressPools[]/properties!/backendIPConfigurations[]/id",
        "properties!/backendHttpSettingsCollection[]/properties!/port",
        "properties!/backendSettingsCollection[]/properties!/port",
        "properties!/httpListeners[]/properties!/frontendPort/id",
        "properties!/listeners[]/properties!/frontendPort/id",
        "properties!/requestRoutingRules[]/properties!/httpListener/id",
        "properties!/requestRoutingRules[]/properties!/backendAddressPool/id",
        "properties!/requestRoutingRules[]/properties!/backendHttpSettings/id",
        "properties!/requestRoutingRules[]/properties!/urlPathMap/id",
        "properties!/routingRules[]/properties!/listener/id",
        "properties!/routingRules[]/properties!/backendAddressPool/id",
        "properties!/routingRules[]/properties!/backendSettings/id",
        "properties!/urlPathMaps[]/properties!/defaultBackendAddressPool/id",
        "properties!/urlPathMaps[]/properties!/defaultBackendHttpSettings/id",
        "properties!/urlPathMaps[]/properties!/pathRules[]/properties!/backendAddressPool/id",
        "properties!/urlPathMaps[]/properties!/pathRules[]/properties!/backendHttpSettings/id",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let head = Head::read(item)?;
        let mut pools = Vec::new();
        for part in item.items("/properties/backendAddressPools") {
            let mut pool = pool(&head, part)?;
            let addresses = part.items("/properties/backendAddresses");
            let text = |address: Item<'_>| address.owned("/ipAddress").or_else(|| address.owned("/fqdn"));
            pool.addresses = addresses.filter_map(text).map(|text| Address { text, network: None }).collect();
            pools.push(pool);
        }
        let routes = gateway_routes(item, &mut pools);
        Ok(Self(Balancer {
            form: Form::ApplicationGateway,
            state: item.text("/properties/operationalState").map(str::to_lowercase),
            zones: item.texts("/zones").map(str::to_owned).collect(),
            frontends: item.items("/properties/frontendIPConfigurations").map(Frontend::read).collect(),
            pools,
            routes,
            subnet: item.items("/properties/gatewayIPConfigurations").find_map(|part| part.reference("/properties/subnet/id")),
            head,
        }))
    }
}

/// The routes of a gateway: from its listeners, by rules and maps of paths, to its pools.
fn gateway_routes(item: Item<'_>, pools: &mut [Pool]) -> Vec<Route> {
    let ports: Vec<(Option<Key>, Option<i64>)> =
        item.items("/properties/frontendPorts").map(|port| (port.reference("/id"), port.count("/properties/port"))).collect();
    // What speaks TCP and TLS stands in lists of its own.
    let both = |http: &str, plain: &str| item.items(http).chain(item.items(plain)).collect::<Vec<_>>();
    let settings: Vec<(Option<Key>, Door)> = both("/properties/backendHttpSettingsCollection", "/properties/backendSettingsCollection")
        .into_iter()
        .map(|part| (part.reference("/id"), door(part, "/properties/port")))
        .collect();
    let listener = |part: Item<'_>| {
        let port = part.reference("/properties/frontendPort/id");
        let port = port.and_then(|wanted| ports.iter().find(|(key, _)| *key == Some(wanted.clone()))).and_then(|(_, port)| *port);
        (part.reference("/id"), Door { port, protocol: part.owned("/properties/protocol") })
    };
    let listeners: Vec<(Option<Key>, Door)> =
        both("/properties/httpListeners", "/properties/listeners").into_iter().map(listener).collect();
    let mut routes = Vec::new();
    let mut reached: Vec<(Key, Option<Key>)> = Vec::new();
    for rule in both("/properties/requestRoutingRules", "/properties/routingRules") {
        let from = rule.reference("/properties/httpListener/id").or_else(|| rule.reference("/properties/listener/id"));
        let Some(from) = from else { continue };
        let Some((_, door)) = listeners.iter().find(|(key, _)| *key == Some(from.clone())) else { continue };
        for (pool, setting) in pools_of_rule(item, rule) {
            routes.push(Route { door: door.clone(), pool: Some(pool.clone()) });
            reached.push((pool, setting));
        }
    }
    for (_, door) in listeners.iter().filter(|(_, door)| !routes.iter().any(|route| route.door == *door)).cloned().collect::<Vec<_>>() {
        routes.push(Route { door, pool: None });
    }
    for pool in pools {
        let wanted = reached.iter().filter(|(key, _)| *key == pool.id.key).filter_map(|(_, setting)| setting.clone());
        let doors =
            wanted.filter_map(|setting| settings.iter().find(|(key, _)| *key == Some(setting.clone()))).map(|(_, door)| door.clone());
        pool.doors = doors.collect();
    }
    routes
}

/// The pools that a rule forwards to, each with the settings that it is reached by.
fn pools_of_rule(gateway: Item<'_>, rule: Item<'_>) -> Vec<(Key, Option<Key>)> {
    let target = |part: Item<'_>, pool: &str, settings: &str| Some((part.reference(pool)?, part.reference(settings)));
    let settings = if rule.0.pointer("/properties/backendSettings").is_some() {
        "/properties/backendSettings/id"
    } else {
        "/properties/backendHttpSettings/id"
    };
    let mut targets: Vec<(Key, Option<Key>)> = target(rule, "/properties/backendAddressPool/id", settings).into_iter().collect();
    let map = rule.reference("/properties/urlPathMap/id");
    let maps = gateway.items("/properties/urlPathMaps").filter(|part| map.is_some() && part.reference("/id") == map);
    for part in maps {
        targets.extend(target(part, "/properties/defaultBackendAddressPool/id", "/properties/defaultBackendHttpSettings/id"));
        let paths = part.items("/properties/pathRules");
        targets.extend(paths.filter_map(|path| target(path, "/properties/backendAddressPool/id", "/properties/backendHttpSettings/id")));
    }
    targets
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_balancer_of_all_regions_leads_to_balancers_of_one() {
        let balancer = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/";
        let address = json!({"name": "west", "properties": {"loadBalancerFrontendIPConfiguration": {
            "id": format!("{balancer}West/frontendIPConfigurations/front")}}});
        let pool = json!({"id": format!("{balancer}all/backendAddressPools/regions"), "name": "regions",
            "properties": {"loadBalancerBackendAddresses": [address]}});
        let item = json!({"id": format!("{balancer}all"), "properties": {"backendAddressPools": [pool]}});
        let pools = LoadBalancer::lenient(Item(&item)).unwrap().0.pools;
        let leads_to: Vec<&str> = pools.iter().flat_map(|pool| &pool.balancers).map(crate::ids::path).collect();
        assert_eq!(leads_to, [format!("{balancer}west").to_lowercase()]);
    }

    #[test]
    fn a_member_that_is_left_open_is_not_none() {
        let id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/front";
        let is_taken = |members: serde_json::Value| {
            let pool = json!({"id": format!("{id}/backendAddressPools/web"), "properties": {"loadBalancerBackendAddresses": members}});
            let item = json!({"id": id, "properties": {"backendAddressPools": [pool]}});
            let raw = serde_json::value::to_raw_value(&item).unwrap();
            crate::wire::known(&raw, LoadBalancer::lenient(Item(&item)).unwrap()).is_ok()
        };
        assert!(is_taken(json!([])) && is_taken(json!([{"properties": {"ipAddress": "10.0.0.1"}}])));
        for open in [
            json!(null),
            json!([null]),
            json!([{"properties": null}]),
            json!([{"properties": {"ipAddress": null}}]),
            json!([{"properties": {"networkInterfaceIPConfiguration": {"id": null}}}]),
        ] {
            assert!(!is_taken(open.clone()), "{open}");
        }
    }

    #[test]
    fn a_gateway_passes_tcp_on_as_well() {
        let id = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/applicationGateways/gw";
        let reference = |part: &str| json!({"id": format!("{id}/{part}")});
        let item = json!({"id": id, "properties": {
            "frontendPorts": [{"id": format!("{id}/frontendPorts/p"), "properties": {"port": 5432}}],
            "backendAddressPools": [{"id": format!("{id}/backendAddressPools/db"), "properties": {}}],
            "backendSettingsCollection": [{"id": format!("{id}/backendSettingsCollection/s"), "properties": {"port": 6432, "protocol": "Tcp"}}],
            "listeners": [{"id": format!("{id}/listeners/l"), "properties": {"frontendPort": reference("frontendPorts/p"), "protocol": "Tcp"}}],
            "routingRules": [{"properties": {"listener": reference("listeners/l"), "backendAddressPool": reference("backendAddressPools/db"),
                "backendSettings": reference("backendSettingsCollection/s")}}]}});
        let gateway = Gateway::lenient(Item(&item)).unwrap().0;
        let tcp = |port: i64| Door { port: Some(port), protocol: Some("Tcp".to_owned()) };
        assert_eq!(gateway.routes.iter().map(|route| &route.door).collect::<Vec<_>>(), [&tcp(5432)]);
        assert!(gateway.routes[0].pool.is_some());
        assert_eq!(gateway.pools[0].doors, [tcp(6432)]);
    }
}
