//! Load balancers and application gateways.

use serde::{Deserialize, Serialize};

use super::Base;

/// A load balancer. Which interfaces are in a pool is said by the interfaces and the scale sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancer {
    /// Id, location, tags.
    pub base: Base,
    /// `Basic`, `Standard`, `Gateway`.
    pub sku: String,
    /// Where clients come in.
    pub frontends: Vec<Frontend>,
    /// What is behind.
    pub pools: Vec<Pool>,
    /// From frontends to pools.
    pub rules: Vec<LoadBalancingRule>,
    /// How members are asked whether they are well.
    pub probes: Vec<Probe>,
    /// Port forwards to one member.
    pub nat_rules: Vec<NatRule>,
}

impl LoadBalancer {
    /// The id of a pool of this name, whether or not there is one.
    pub fn pool_id(&self, name: &str) -> String {
        format!("{}/backendAddressPools/{name}", self.base.id)
    }

    /// The id of a frontend of this name, whether or not there is one.
    pub fn frontend_id(&self, name: &str) -> String {
        format!("{}/frontendIPConfigurations/{name}", self.base.id)
    }
}

/// Where clients come in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frontend {
    /// Its name.
    pub name: String,
    /// A private address.
    pub private_ip: Option<String>,
    /// The subnet of the private address.
    pub subnet: Option<String>,
    /// The id of a public address.
    pub public_ip: Option<String>,
}

/// A pool of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Members by address.
    pub addresses: Vec<PoolAddress>,
}

/// A member of a pool by its address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolAddress {
    /// Its name.
    pub name: String,
    /// The address.
    pub ip: String,
    /// The id of the network the address is in.
    pub vnet: Option<String>,
    /// The id of the subnet, in place of the network.
    pub subnet: Option<String>,
}

/// A rule of a load balancer. Names are of the same balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancingRule {
    /// Its name.
    pub name: String,
    /// The frontend's name.
    pub frontend: String,
    /// The pool's name.
    pub pool: String,
    /// Whether the pool stands in the plural field as well, as in newer answers.
    pub plural: bool,
    /// `Tcp`, `Udp`, `All`.
    pub protocol: String,
    /// Where clients come in.
    pub frontend_port: u16,
    /// Where members listen.
    pub backend_port: u16,
    /// The probe's name.
    pub probe: Option<String>,
}

/// How members are asked whether they are well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// `Tcp`, `Http`, `Https`.
    pub protocol: String,
    /// Where they are asked.
    pub port: u16,
}

/// A port forward to one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatRule {
    /// Its name.
    pub name: String,
    /// The frontend's name.
    pub frontend: String,
    /// Where clients come in.
    pub frontend_port: u16,
    /// Where the member listens.
    pub backend_port: u16,
}

/// An application gateway. Names are of the same gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Id, location, tags.
    pub base: Base,
    /// As `Standard_v2`.
    pub sku: String,
    /// The id of the subnet it stands in.
    pub subnet: String,
    /// Where clients come in.
    pub frontends: Vec<Frontend>,
    /// What is behind.
    pub pools: Vec<GatewayPool>,
    /// What it listens for.
    pub listeners: Vec<GatewayListener>,
    /// From listeners to pools.
    pub rules: Vec<GatewayRule>,
}

impl Gateway {
    /// The id of a pool of this name, whether or not there is one.
    pub fn pool_id(&self, name: &str) -> String {
        format!("{}/backendAddressPools/{name}", self.base.id)
    }
}

/// A pool of an application gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayPool {
    /// Its name.
    pub name: String,
    /// Members that are not interfaces.
    pub addresses: Vec<Backend>,
}

/// A member of a gateway's pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Backend {
    /// By name.
    Fqdn(String),
    /// By address.
    Ip(String),
}

/// What a gateway listens for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayListener {
    /// Its name.
    pub name: String,
    /// The frontend's name.
    pub frontend: String,
    /// `Http`, `Https`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The host's name, where it matters.
    pub host: Option<String>,
}

/// A rule of a gateway: to one pool, or to several by path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayRule {
    /// Its name.
    pub name: String,
    /// The listener's name.
    pub listener: String,
    /// The pool's name: of what no path takes, where there are paths.
    pub pool: String,
    /// By path; none is a basic rule.
    pub paths: Vec<PathRule>,
    /// 1 to 20000.
    pub priority: u32,
}

/// Some paths of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathRule {
    /// Its name.
    pub name: String,
    /// As `/api/*`.
    pub paths: Vec<String>,
    /// The pool's name.
    pub pool: String,
}
