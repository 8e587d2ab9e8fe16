//! Networks and security groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;

/// A virtual network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// The account that owns it, when it is not the account it is seen in (a shared VPC).
    pub owner: Option<String>,
    /// IPv4 blocks; the first is the primary one.
    pub cidrs: Vec<String>,
    /// IPv6 blocks.
    pub ipv6_cidrs: Vec<String>,
    /// Whether it is the region's default VPC.
    pub default: bool,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// The account that owns it, when it is not the account it is seen in.
    pub owner: Option<String>,
    /// The VPC.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// The IPv4 block.
    pub cidr: String,
    /// IPv6 blocks.
    pub ipv6_cidrs: Vec<String>,
    /// Free addresses.
    pub free: u32,
    /// Whether machines get public addresses.
    pub public: bool,
    /// Its tags.
    pub tags: Tags,
}

/// An availability zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// `eu-west-1a`.
    pub name: String,
    /// `euw1-az1`, the same place in each account.
    pub id: String,
    /// `availability-zone`, `local-zone`, `wavelength-zone`.
    pub kind: String,
    /// `available`, …
    pub state: String,
    /// `opt-in-not-required`, `opted-in`, `not-opted-in`.
    pub opt_in: String,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Unique in its VPC only.
    pub name: String,
    /// In words.
    pub description: String,
    /// The VPC.
    pub vpc: String,
    /// The account that owns it, when it is not the account it is seen in.
    pub owner: Option<String>,
    /// What may come in. Permissions with the same protocol and ports are shown as one.
    pub ingress: Vec<Permission>,
    /// What may go out.
    pub egress: Vec<Permission>,
    /// Its tags.
    pub tags: Tags,
}

/// A permission: protocol and ports, and who.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permission {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub protocol: String,
    /// The first port, or the type of ICMP; never shown for `-1`.
    pub from: Option<i32>,
    /// The last port, or the code of ICMP.
    pub to: Option<i32>,
    /// IPv4 blocks.
    pub ipv4: Vec<Peer>,
    /// IPv6 blocks.
    pub ipv6: Vec<Peer>,
    /// Prefix lists.
    pub prefix_lists: Vec<Peer>,
    /// Other groups.
    pub groups: Vec<GroupPair>,
}

/// A block or a prefix list in a permission.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peer {
    /// The block, or the prefix list's id.
    pub value: String,
    /// In words.
    pub description: Option<String>,
}

/// A group in a permission. One of the account's own that is not there any more is shown without user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPair {
    /// `sg-…`.
    pub group: String,
    /// The account of the group; the account's own when missing.
    pub user: Option<String>,
    /// The VPC of a group beyond a peering.
    pub vpc: Option<String>,
    /// The peering.
    pub peering: Option<String>,
    /// The peering's state.
    pub peering_status: Option<String>,
    /// In words.
    pub description: Option<String>,
}

/// The first and the last.
type Ports = (Option<i32>, Option<i32>);

impl Permission {
    /// The ports as they are shown: none when all protocols are meant.
    pub(crate) fn ports(&self) -> Ports {
        if self.protocol == "-1" { (None, None) } else { (self.from, self.to) }
    }

    /// Puts permissions with the same protocol and ports together, as EC2 shows them.
    pub(crate) fn grouped(permissions: &[Self]) -> Vec<Self> {
        let mut grouped: BTreeMap<(&str, Ports), Self> = BTreeMap::new();
        for permission in permissions {
            let (from, to) = permission.ports();
            let one = grouped.entry((&permission.protocol, (from, to))).or_insert_with(|| Self {
                protocol: permission.protocol.clone(),
                from,
                to,
                ..Self::default()
            });
            one.ipv4.extend(permission.ipv4.iter().cloned());
            one.ipv6.extend(permission.ipv6.iter().cloned());
            one.prefix_lists.extend(permission.prefix_lists.iter().cloned());
            one.groups.extend(permission.groups.iter().cloned());
        }
        grouped.into_values().collect()
    }
}

/// The three zones that a region has when nobody says anything else.
pub(crate) fn zones(region: &str) -> BTreeMap<String, Zone> {
    // `eu-west-1` is `euw1` in a zone's id.
    let short: String =
        region.split('-').enumerate().map(|(at, part)| if at == 0 { part } else { part.get(..1).unwrap_or(part) }).collect();
    ["a", "b", "c"]
        .into_iter()
        .zip(1..)
        .map(|(letter, number)| {
            let zone = Zone {
                name: format!("{region}{letter}"),
                id: format!("{short}-az{number}"),
                kind: "availability-zone".to_owned(),
                state: "available".to_owned(),
                opt_in: "opt-in-not-required".to_owned(),
            };
            (zone.name.clone(), zone)
        })
        .collect()
}
