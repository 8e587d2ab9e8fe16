//! Interfaces, security groups, networks, public addresses.

use serde::{Deserialize, Serialize};

use super::Base;

/// A network interface. Machines say whose it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nic {
    /// Id, location, tags.
    pub base: Base,
    /// The id of a network security group.
    pub security_group: Option<String>,
    /// Its addresses; the first is the primary one.
    pub configurations: Vec<IpConfiguration>,
    /// As `00-0D-3A-1B-2C-3D`.
    pub mac: Option<String>,
    /// The id of the private endpoint it belongs to, which is no machine.
    pub private_endpoint: Option<String>,
}

/// One address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IpConfiguration {
    /// Its name.
    pub name: String,
    /// The private address.
    pub private_ip: Option<String>,
    /// The subnet's id.
    pub subnet: String,
    /// The id of a public address.
    pub public_ip: Option<String>,
    /// Ids of a load balancer's pools.
    pub pools: Vec<String>,
    /// Ids of an application gateway's pools.
    pub gateway_pools: Vec<String>,
    /// Ids of application security groups.
    pub application_groups: Vec<String>,
    /// Ids of a load balancer's port forwards.
    pub nat_rules: Vec<String>,
}

/// A network security group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroup {
    /// Id, location, tags.
    pub base: Base,
    /// Its own rules; the default ones are there without being listed here.
    pub rules: Vec<Rule>,
}

/// A rule. Where there is one prefix or range it is written in the singular field, otherwise in the plural one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// 100 to 4096.
    pub priority: u32,
    /// Whether it is about what comes in.
    pub inbound: bool,
    /// Whether it lets pass.
    pub allow: bool,
    /// As it is written: `Tcp`, `tcp`, `*`.
    pub protocol: String,
    /// Prefixes, addresses or service tags.
    pub sources: Vec<String>,
    /// As `443`, `1000-2000`, `*`.
    pub source_ports: Vec<String>,
    /// Prefixes, addresses or service tags.
    pub destinations: Vec<String>,
    /// As `443`, `1000-2000`, `*`.
    pub destination_ports: Vec<String>,
    /// Ids of application security groups, in place of sources.
    pub source_groups: Vec<String>,
    /// Ids of application security groups, in place of destinations.
    pub destination_groups: Vec<String>,
    /// For people.
    pub description: Option<String>,
}

impl Rule {
    /// Lets in from a source to a port.
    pub fn allow_in(name: &str, priority: u32, protocol: &str, port: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            priority,
            inbound: true,
            allow: true,
            protocol: protocol.to_owned(),
            sources: vec![source.to_owned()],
            source_ports: vec!["*".to_owned()],
            destinations: vec!["*".to_owned()],
            destination_ports: vec![port.to_owned()],
            ..Self::default()
        }
    }
}

/// A virtual network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vnet {
    /// Id, location, tags.
    pub base: Base,
    /// As `10.0.0.0/16`.
    pub prefixes: Vec<String>,
    /// Its parts.
    pub subnets: Vec<Subnet>,
}

impl Vnet {
    /// The id of a subnet of this name, whether or not there is one.
    pub fn subnet_id(&self, name: &str) -> String {
        format!("{}/subnets/{name}", self.base.id)
    }
}

/// A part of a virtual network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// One is written in the singular field, several in the plural one.
    pub prefixes: Vec<String>,
    /// The id of a network security group.
    pub security_group: Option<String>,
}

/// A public address. What uses it says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublicIp {
    /// Id, location, tags.
    pub base: Base,
    /// Missing for a dynamic address that is not in use.
    pub ip: Option<String>,
    /// Whether it is kept while it is not in use.
    pub is_static: bool,
    /// `Basic`, `Standard`.
    pub sku: String,
    /// The name it is found by.
    pub fqdn: Option<String>,
}
