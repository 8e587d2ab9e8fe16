//! Networks, interfaces, public addresses, security groups.
//!
//! Source: Azure Network REST API reference (2024-03-01): VirtualNetwork, NetworkInterface, PublicIPAddress, NetworkSecurityGroup; the interfaces and
//! addresses of uniform scale sets have the same shape in 2018-10-01.

use std::collections::BTreeMap;

use dewpoint_core::model::Key;

use super::{Wire, is_open};
use crate::ids::{self, ResourceId};
use crate::item::{Head, Item, Refused};

/// A virtual network with its subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) head: Head,
    pub(crate) prefixes: Vec<String>,
    pub(crate) subnets: Vec<Subnet>,
    /// Networks that this one can reach.
    pub(crate) peers: Vec<Key>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) prefixes: Vec<String>,
    pub(crate) security_group: Option<Key>,
}

impl Wire for Network {
    const PATHS: &'static [&'static str] = &[
        "properties!/addressSpace/addressPrefixes[]",
        "properties!/subnets[]/properties!/networkSecurityGroup/id",
        "properties!/subnets[]/properties!/addressPrefix",
        "properties!/subnets[]/properties!/addressPrefixes[]",
        "properties!/virtualNetworkPeerings[]/properties!/remoteVirtualNetwork/id",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let head = Head::read(item)?;
        let subnets = item.items("/properties/subnets").map(|subnet| {
            let id = subnet.text("/id").and_then(|id| ResourceId::parse(id).ok());
            let id = id.ok_or_else(|| Refused::new(&head.id.text, format!("a subnet of {} has no id", head.name)))?;
            Ok(Subnet {
                name: subnet.text("/name").unwrap_or(id.name()).to_owned(),
                prefixes: subnet
                    .either("/properties/addressPrefix", "/properties/addressPrefixes")
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                security_group: subnet.reference("/properties/networkSecurityGroup/id"),
                id,
            })
        });
        Ok(Self {
            subnets: subnets.collect::<Result<_, Refused>>()?,
            prefixes: item.texts("/properties/addressSpace/addressPrefixes").map(str::to_owned).collect(),
            peers: item
                .items("/properties/virtualNetworkPeerings")
                .filter_map(|peering| peering.reference("/properties/remoteVirtualNetwork/id"))
                .collect(),
            head,
        })
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) head: Head,
    pub(crate) machine: Option<Key>,
    pub(crate) security_group: Option<Key>,
    pub(crate) mac: Option<String>,
    pub(crate) is_primary: Option<bool>,
    pub(crate) configurations: Vec<IpConfiguration>,
    /// The private endpoint that it belongs to.
    pub(crate) private_endpoint: Option<String>,
    pub(crate) private_dns_name: Option<String>,
}

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IpConfiguration {
    pub(crate) address: Option<String>,
    pub(crate) is_primary: Option<bool>,
    pub(crate) subnet: Option<Key>,
    pub(crate) public_address: Option<Key>,
    /// Pools of load balancers and of gateways that it is in.
    pub(crate) pools: Vec<Key>,
}

impl Interface {
    /// The public addresses that it refers to.
    pub(crate) fn public_addresses(&self) -> impl Iterator<Item = &Key> {
        self.configurations.iter().filter_map(|one| one.public_address.as_ref())
    }
}

impl Wire for Interface {
    const PATHS: &'static [&'static str] = &[
        "properties!/virtualMachine/id",
        "properties!/networkSecurityGroup/id",
        "properties!/macAddress",
        "properties!/privateEndpoint/id",
        "properties!/dnsSettings/internalFqdn",
        "properties!/ipConfigurations[]/properties!/privateIPAddress",
        "properties!/ipConfigurations[]/properties!/subnet/id",
        "properties!/ipConfigurations[]/properties!/publicIPAddress/id",
        "properties!/ipConfigurations[]/properties!/loadBalancerBackendAddressPools[]/id",
        "properties!/ipConfigurations[]/properties!/applicationGatewayBackendAddressPools[]/id",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let head = Head::read(item)?;
        // An interface of a uniform set lies below its machine.
        let machine = item.reference("/properties/virtualMachine/id").or_else(|| machine_of(&head.id.key));
        let configurations = item.items("/properties/ipConfigurations").map(|one| IpConfiguration {
            address: one.owned("/properties/privateIPAddress"),
            is_primary: one.flag("/properties/primary"),
            subnet: one.reference("/properties/subnet/id"),
            public_address: one.reference("/properties/publicIPAddress/id"),
            pools: ["/properties/loadBalancerBackendAddressPools", "/properties/applicationGatewayBackendAddressPools"]
                .into_iter()
                .flat_map(|pointer| one.references(pointer))
                .collect(),
        });
        Ok(Self {
            machine,
            security_group: item.reference("/properties/networkSecurityGroup/id"),
            mac: item.text("/properties/macAddress").and_then(mac),
            is_primary: item.flag("/properties/primary"),
            configurations: configurations.collect(),
            private_endpoint: item.owned("/properties/privateEndpoint/id"),
            private_dns_name: item.owned("/properties/dnsSettings/internalFqdn"),
            head,
        })
    }
}

/// The machine of a uniform scale set that something lies below; `None` for what does not.
pub(crate) fn machine_of(key: &Key) -> Option<Key> {
    ids::set_of(key).and_then(|_| ids::before(key, "networkinterfaces"))
}

/// `00-0D-3A-…` as everybody else writes it. All zeros stand for none.
fn mac(text: &str) -> Option<String> {
    let mac = text.replace('-', ":").to_lowercase();
    mac.chars().any(|c| c != '0' && c != ':').then_some(mac)
}

/// A public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicAddress {
    pub(crate) head: Head,
    pub(crate) address: Option<String>,
    pub(crate) allocation: Option<String>,
    pub(crate) dns_name: Option<String>,
    /// What it is bound to: an interface's configuration, a frontend, a gateway.
    pub(crate) bound_to: Option<Key>,
    /// Whether it is deleted with the machine that it is bound to, where it says so.
    pub(crate) ends_with: Option<bool>,
    /// Whether it is left open what it is bound to.
    pub(crate) is_binding_unsaid: bool,
    /// Whether it is left open what it is called.
    pub(crate) is_name_unsaid: bool,
}

impl Wire for PublicAddress {
    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        Ok(Self {
            head: Head::read(item)?,
            address: item.owned("/properties/ipAddress"),
            allocation: item.text("/properties/publicIPAllocationMethod").map(str::to_lowercase),
            dns_name: item.owned("/properties/dnsSettings/fqdn"),
            bound_to: item.reference("/properties/ipConfiguration/id"),
            ends_with: item.text("/properties/deleteOption").map(|option| option.eq_ignore_ascii_case("delete")),
            is_binding_unsaid: is_open(item.0, "properties/ipConfiguration/id"),
            is_name_unsaid: is_open(item.0, "properties/dnsSettings/fqdn"),
        })
    }
}

/// A network security group with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityGroup {
    pub(crate) head: Head,
    pub(crate) rules: Vec<SecurityRule>,
}

/// One rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityRule {
    pub(crate) name: Option<String>,
    pub(crate) is_default: bool,
    pub(crate) is_inbound: bool,
    pub(crate) is_allow: bool,
    pub(crate) priority: Option<u32>,
    pub(crate) protocol: String,
    pub(crate) source: Side,
    pub(crate) destination: Side,
    pub(crate) description: Option<String>,
}

/// One side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// Addresses, ranges, service tags, `*`.
    pub(crate) prefixes: Vec<String>,
    /// Application security groups.
    pub(crate) groups: Vec<Key>,
    pub(crate) ports: Vec<String>,
}

impl Side {
    /// How many pairs of somebody and ports it names.
    pub(crate) fn breadth(&self) -> usize {
        self.prefixes.len().saturating_add(self.groups.len()).saturating_mul(self.ports.len())
    }

    /// One side of a rule. Azure names somebody, and ports, on each: a side that cannot be told whole would be about more than is meant, at worst everybody.
    fn read(rule: Item<'_>, side: &str) -> Result<Self, String> {
        let at = |what: &str| format!("/properties/{side}{what}");
        let texts = |single: &str, plural: &str| {
            let (single, plural) = (at(single), at(plural));
            let is_told = rule.is_text_or_missing(&single) && rule.is_list_of(&plural, |value| value.is_string());
            let texts: Vec<String> = rule.either(&single, &plural).into_iter().map(str::to_owned).collect();
            is_told.then_some(texts)
        };
        let groups = at("ApplicationSecurityGroups");
        let are_told = rule.is_list_of(&groups, |value| Item(value).reference("/id").is_some());
        let read = (texts("AddressPrefix", "AddressPrefixes"), are_told, texts("PortRange", "PortRanges"));
        let (Some(prefixes), true, Some(ports)) = read else { return Err(format!("the {side} is left open")) };
        let groups: Vec<Key> = rule.references(&groups).collect();
        match (prefixes.is_empty() && groups.is_empty(), ports.is_empty()) {
            (true, _) => Err(format!("the {side} names nobody")),
            (_, true) => Err(format!("the {side} names no ports")),
            (false, false) => Ok(Self { prefixes, groups, ports }),
        }
    }
}

impl Wire for SecurityGroup {
    const PATHS: &'static [&'static str] = &["properties!/securityRules[]/properties!", "properties!/defaultSecurityRules[]/properties!"];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let head = Head::read(item)?;
        let mut rules = Vec::new();
        for (pointer, is_default) in [("/properties/securityRules", false), ("/properties/defaultSecurityRules", true)] {
            for rule in item.items(pointer) {
                rules.push(SecurityRule::read(rule, is_default).map_err(|text| Refused::new(&head.id.text, text))?);
            }
        }
        Ok(Self { head, rules })
    }
}

impl SecurityRule {
    /// What cannot be told would be a rule that says something else: then the group is not taken.
    fn read(rule: Item<'_>, is_default: bool) -> Result<Self, String> {
        let name = rule.owned("/name");
        let of = || name.as_deref().map_or_else(|| "a rule".to_owned(), |name| format!("the rule `{name}`"));
        let word = |field: &str| rule.text(&format!("/properties/{field}")).ok_or_else(|| format!("{} has no {field}", of()));
        let either = |field: &str, yes: &str, no: &str| {
            let word = word(field)?;
            match () {
                () if word.eq_ignore_ascii_case(yes) => Ok(true),
                () if word.eq_ignore_ascii_case(no) => Ok(false),
                () => Err(format!("{} has the {field} `{word}`, which is not known", of())),
            }
        };
        Ok(Self {
            is_inbound: either("direction", "Inbound", "Outbound")?,
            is_allow: either("access", "Allow", "Deny")?,
            priority: rule.count("/properties/priority").and_then(|priority| u32::try_from(priority).ok()),
            protocol: word("protocol")?.to_owned(),
            source: Side::read(rule, "source").map_err(|text| format!("{}: {text}", of()))?,
            destination: Side::read(rule, "destination").map_err(|text| format!("{}: {text}", of()))?,
            description: rule.owned("/properties/description"),
            is_default,
            name,
        })
    }
}

/// Who has which address in which network, and which interface: what is in a pool by either is traced to its machine by this, in whatever subscription.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_address: BTreeMap<(Key, std::net::IpAddr), Key>,
    by_interface: BTreeMap<Key, Key>,
    peers: BTreeMap<Key, Vec<Key>>,
}

impl Directory {
    /// Notes the holder of an address in a subnet's network.
    pub(crate) fn add(&mut self, subnet: Option<&Key>, address: Option<&str>, holder: &Key) {
        let network = subnet.and_then(|subnet| ids::before(subnet, "subnets"));
        if let (Some(network), Some(address)) = (network, address.and_then(|text| text.parse().ok())) {
            self.by_address.insert((network, address), holder.clone());
        }
    }

    /// Notes the machine that an interface hangs on.
    pub(crate) fn add_interface(&mut self, interface: &Key, machine: &Key) {
        self.by_interface.insert(interface.clone(), machine.clone());
    }

    /// The machine that an interface hangs on.
    pub(crate) fn behind(&self, interface: &Key) -> Option<&Key> {
        self.by_interface.get(interface)
    }

    /// Notes the networks that a network reaches.
    pub(crate) fn add_peers(&mut self, network: &Key, peers: &[Key]) {
        if !peers.is_empty() {
            self.peers.entry(network.clone()).or_default().extend(peers.iter().cloned());
        }
    }

    /// The holder of an address in this network alone.
    pub(crate) fn in_network(&self, network: &Key, address: &str) -> Option<&Key> {
        self.by_address.get(&(network.clone(), address.parse().ok()?))
    }

    /// The holder of an address as seen from a network: there, or in exactly one of its peers. Networks of two peers may have the same ranges.
    pub(crate) fn seen_from(&self, network: &Key, address: &str) -> Option<&Key> {
        self.in_network(network, address).or_else(|| {
            let mut found = self.peers.get(network)?.iter().filter_map(|peer| self.in_network(peer, address));
            found.next().filter(|_| found.next().is_none())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is said of a group whose one rule has these fields beside those that every rule has; `None` where it is taken.
    fn refusal(fields: &Value) -> Option<String> {
        let mut rule = json!({"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "priority": 100, "sourceAddressPrefix": "10.0.0.0/8",
            "destinationAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "22"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                rule.insert(name.clone(), value.clone());
            }
        }
        let group = json!({"id": "/subscriptions/s/x", "properties": {"securityRules": [{"name": "in", "properties": rule}]}});
        SecurityGroup::lenient(Item(&group)).err().map(|refused| refused.text)
    }

    #[test]
    fn a_side_that_is_left_open_is_not_everybody() {
        assert_eq!(refusal(&json!({})), None);
        assert_eq!(refusal(&json!({"sourceAddressPrefix": "", "sourceAddressPrefixes": ["10.0.0.0/8"]})), None);
        let group = json!([{"id": "/subscriptions/s/asg"}]);
        assert_eq!(refusal(&json!({"sourceAddressPrefix": "", "sourceApplicationSecurityGroups": group})), None);
        for open in [
            json!({"sourceAddressPrefix": null}),
            json!({"sourceAddressPrefixes": null}),
            json!({"sourceAddressPrefixes": ["10.0.0.0/8", null]}),
            json!({"sourceApplicationSecurityGroups": [{"id": null}]}),
            json!({"sourceApplicationSecurityGroups": null}),
            json!({"sourcePortRange": null}),
        ] {
            assert_eq!(refusal(&open).as_deref(), Some("the rule `in`: the source is left open"), "{open}");
        }
        assert_eq!(refusal(&json!({"sourceAddressPrefix": ""})).as_deref(), Some("the rule `in`: the source names nobody"));
        assert_eq!(refusal(&json!({"destinationPortRange": ""})).as_deref(), Some("the rule `in`: the destination names no ports"));
    }
}
