//! Security-group rules in one canonical form, whatever cloud they come from.
//!
//! AWS's rules let traffic in or out and have no order. Azure's allow or deny, each at its priority; what they have and AWS's do not is left out of the
//! stored form where it says nothing, so that digests of AWS's groups are what they were before Azure.

pub mod azure;
mod exposure;
#[cfg(test)]
mod exposure_tests;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;

/// One rule with one peer. The order of the fields is the order of the rules: direction, priority, protocol, ports, peer, description, and the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Which way the traffic goes.
    pub direction: Direction,
    /// Where rules have an order: the lower number is asked first, and the first rule that matches decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all`, a protocol's number (AWS), or another word of the provider's in lower case (Azure: `esp`, `ah`).
    pub protocol: String,
    /// `22`, `8000-8080` or `all`; for ICMP `<type>`, `<type>/<code>` or `all`.
    pub ports: String,
    /// Who may talk, or be talked to.
    pub peer: Peer,
    /// What people wrote beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it lets traffic through.
    #[serde(default, skip_serializing_if = "Access::is_allow")]
    pub access: Access,
    /// Ports that the traffic has to come from, in the words of `ports`; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ports: Option<String>,
    /// The own side, where the rule is about a part only of what the group protects: where traffic must go to (`ingress`) or come from (`egress`). None for
    /// all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Peer>,
    /// What the rule is called, where rules have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the provider made it, for every group alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
}

/// What becomes of the traffic that a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It passes.
    #[default]
    Allow,
    /// It does not.
    Deny,
}

impl Access {
    fn is_allow(&self) -> bool {
        *self == Self::Allow
    }
}

/// Which way the traffic of a rule goes, seen from what the group protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To it.
    Ingress,
    /// From it.
    Egress,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Peer {
    /// A range of addresses.
    Cidr {
        /// In canonical form: `10.0.0.0/8`, `2001:db8::/32`; `10.0.0.1-10.0.0.9` for what is no one network.
        cidr: String,
    },
    /// A list of ranges that is kept elsewhere.
    PrefixList {
        /// Its id.
        id: String,
    },
    /// The members of a security group.
    SecurityGroup {
        /// Its id; its name where the provider gives no id.
        id: String,
        /// The account that owns it; none when the group was deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Everybody, inside and outside, in either family of addresses.
    Any,
    /// Addresses that the provider keeps under a name (Azure).
    ServiceTag {
        /// The name: `Internet`, `VirtualNetwork`, `Storage.WestEurope`.
        tag: String,
    },
    /// The members of an application security group (Azure).
    ApplicationGroup {
        /// Its resource id, in lower case.
        id: String,
    },
}

impl Peer {
    /// A range of addresses, with host bits cleared and IPv6 in its shortest form (RFC 5952). What is no range stays as it is.
    #[must_use]
    pub fn cidr(text: &str) -> Self {
        let text = text.trim();
        let cidr = text.parse::<IpNet>().map_or_else(|_| text.to_owned(), |net| net.trunc().to_string());
        Self::Cidr { cidr }
    }
}

impl Rule {
    /// One that lets traffic through, as AWS has them: no order, no name, about all that the group protects. The strings are in canonical form.
    #[must_use]
    pub fn new(direction: Direction, protocol: &str, ports: &str, peer: Peer) -> Self {
        Self {
            direction,
            priority: None,
            protocol: protocol.to_owned(),
            ports: ports.to_owned(),
            peer,
            description: None,
            access: Access::Allow,
            source_ports: None,
            destination: None,
            name: None,
            is_default: false,
        }
    }

    /// The traffic that it is about: `tcp/22`, `udp/8000-8080`, `icmp/all`, `all/22` for a port in every protocol, or `all` for every protocol and port.
    #[must_use]
    pub fn traffic(&self) -> String {
        words(&self.protocol, &self.ports)
    }
}

fn words(protocol: &str, ports: &str) -> String {
    if (protocol, ports) == ("all", "all") { "all".to_owned() } else { format!("{protocol}/{ports}") }
}

/// The first and the last port of `22` or `8000-8080`.
fn bounds(ports: &str) -> Option<(u32, u32)> {
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// The protocol by name where it has a common one; `-1` and nothing stand for all.
///
/// Source: IANA, "Assigned Internet Protocol Numbers".
#[must_use]
pub fn protocol(wire: Option<&str>) -> String {
    match wire.map(str::trim).filter(|wire| !wire.is_empty()).unwrap_or("-1") {
        "-1" => "all".to_owned(),
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "icmpv6".to_owned(),
        other => other.to_lowercase(),
    }
}

/// The ports in words. For ICMP the two numbers are type and code, and -1 stands for all of them.
#[must_use]
pub fn ports(protocol: &str, from: Option<i32>, to: Option<i32>) -> String {
    match (protocol, from, to) {
        ("icmp" | "icmpv6", Some(kind), Some(code)) if kind >= 0 && code >= 0 => format!("{kind}/{code}"),
        ("icmp" | "icmpv6", Some(kind), _) if kind >= 0 => kind.to_string(),
        ("tcp" | "udp", Some(from), Some(to)) if from < 0 || (from, to) == (0, 65_535) => "all".to_owned(),
        ("tcp" | "udp", Some(from), Some(to)) if from == to => from.to_string(),
        ("tcp" | "udp", Some(from), Some(to)) => format!("{from}-{to}"),
        _ => "all".to_owned(),
    }
}

/// The rules of one security group: sorted, without doubles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(BTreeSet<Rule>);

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Rules {
    /// As the attribute `rules` has them, and their digest, which is the attribute `rules_digest`.
    ///
    /// # Errors
    /// Never in practice: serde_json fails only on maps with keys that are no strings.
    pub fn to_value(&self) -> Result<(Value, Digest), serde_json::Error> {
        let value = serde_json::to_value(&self.0)?;
        let digest = Digest::of_json(&value)?;
        Ok((value, digest))
    }

    /// What anyone may reach, one entry a port range: the attribute `open_to_world`. The world may be cut into ranges, over several rules. What rules deny
    /// before others allow it is not open, where they deny it to all the world; what is open of a part of what the group protects counts as well.
    #[must_use]
    pub fn open_to_world(&self) -> BTreeSet<String> {
        exposure::open_to_world(self.0.iter())
    }

    /// The groups that the rules refer to, each with its owner and what is let through from it and to it. Groups that were deleted are left out:
    /// nobody is in them.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<(&str, &str), Traffic> {
        let mut groups: BTreeMap<(&str, &str), Traffic> = BTreeMap::new();
        for rule in &self.0 {
            let Peer::SecurityGroup { id, account: Some(account) } = &rule.peer else { continue };
            if rule.access == Access::Deny {
                continue;
            }
            let traffic = groups.entry((account, id)).or_default();
            match rule.direction {
                Direction::Ingress => traffic.ingress.insert(rule.traffic()),
                Direction::Egress => traffic.egress.insert(rule.traffic()),
            };
        }
        groups
    }
}

/// What is let through between two groups, as [`Rule::traffic`] spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the group referred to.
    pub ingress: BTreeSet<String>,
    /// To the group referred to.
    pub egress: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, protocol: &str, ports: &str, peer: Peer) -> Rule {
        Rule::new(direction, protocol, ports, peer)
    }

    fn group(id: &str, account: Option<&str>) -> Peer {
        Peer::SecurityGroup { id: id.to_owned(), account: account.map(str::to_owned) }
    }

    #[test]
    fn ranges_have_one_spelling() {
        for (text, cidr) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            (" 0.0.0.0/0 ", "0.0.0.0/0"),
            ("0:0:0:0:0:0:0:0/0", "::/0"),
            ("2001:0DB8:0::/32", "2001:db8::/32"),
            ("elsewhere", "elsewhere"),
        ] {
            assert_eq!(Peer::cidr(text), Peer::Cidr { cidr: cidr.to_owned() });
        }
    }

    #[test]
    fn the_world_is_the_world_however_it_is_cut() {
        let expect = |rules: &[(&str, &str, &str)], open: &[&str]| {
            let of = |(protocol, ports, cidr): &(&str, &str, &str)| rule(Direction::Ingress, protocol, ports, Peer::cidr(cidr));
            let rules: Rules = rules.iter().map(of).collect();
            let open: BTreeSet<String> = open.iter().map(|&traffic| traffic.to_owned()).collect();
            assert_eq!(rules.open_to_world(), open, "{rules:?}");
        };
        expect(&[("tcp", "22", "0:0::/0")], &["tcp/22"]);
        expect(&[("tcp", "22", "0.0.0.0/1")], &[]);
        expect(&[("tcp", "22", "0.0.0.0/1"), ("tcp", "22", "128.0.0.0/1")], &["tcp/22"]);
        expect(&[("tcp", "22", "0.0.0.0/1"), ("tcp", "23", "128.0.0.0/1")], &[]);
        expect(&[("tcp", "22", "0.0.0.0/1"), ("udp", "22", "128.0.0.0/1")], &[]);
        expect(&[("tcp", "22", "::/1"), ("tcp", "22", "128.0.0.0/1")], &[]);
        // What the wider rule adds counts for the narrower one only.
        expect(&[("tcp", "22", "0.0.0.0/1"), ("tcp", "1-100", "128.0.0.0/2"), ("all", "all", "192.0.0.0/2")], &["tcp/22"]);
        // Only what the two have in common.
        expect(&[("tcp", "20-25", "0.0.0.0/1"), ("tcp", "22-30", "128.0.0.0/1")], &["tcp/22-25"]);
        expect(
            &[("tcp", "20-25", "0.0.0.0/1"), ("tcp", "22-30", "128.0.0.0/1"), ("tcp", "1-100", "0.0.0.0/0")],
            &["tcp/1-100", "tcp/20-25", "tcp/22-30"],
        );
        expect(&[("icmp", "8/0", "0.0.0.0/1"), ("icmp", "8", "128.0.0.0/1")], &["icmp/8/0"]);
    }

    #[test]
    fn ports_are_words() {
        let expect = |protocol, from, to, words: &str| assert_eq!(ports(protocol, from, to), words);
        expect("tcp", Some(22), Some(22), "22");
        expect("udp", Some(8000), Some(8080), "8000-8080");
        expect("tcp", Some(0), Some(65_535), "all");
        expect("tcp", Some(-1), Some(-1), "all");
        expect("icmp", Some(8), Some(0), "8/0");
        expect("icmp", Some(3), Some(-1), "3");
        expect("icmp", Some(-1), Some(-1), "all");
        expect("all", None, None, "all");
        assert_eq!(["-1", "6", "TCP", "50", ""].map(|wire| protocol(Some(wire))), ["all", "tcp", "tcp", "50", "all"]);
    }

    #[test]
    fn order_and_doubles_do_not_show() -> Result<(), serde_json::Error> {
        let rules = [
            rule(Direction::Egress, "all", "all", Peer::cidr("0.0.0.0/0")),
            rule(Direction::Ingress, "tcp", "443", Peer::cidr("::/0")),
            rule(Direction::Ingress, "tcp", "22", Peer::cidr("10.0.0.0/8")),
        ];
        let one: Rules = rules.iter().cloned().collect();
        let other: Rules = rules.iter().rev().chain(&rules).cloned().collect();
        assert_eq!(one.to_value()?, other.to_value()?);
        // What goes out to everybody is no exposure.
        assert_eq!(one.open_to_world(), ["tcp/443".to_owned()].into());
        Ok(())
    }

    #[test]
    fn what_azures_rules_have_beside_is_stored_where_it_says_something() -> Result<(), serde_json::Error> {
        let deny = Rule {
            priority: Some(65_500),
            access: Access::Deny,
            name: Some("DenyAllInBound".to_owned()),
            is_default: true,
            ..rule(Direction::Ingress, "all", "all", Peer::azure("*"))
        };
        let allow = Rule {
            priority: Some(100),
            source_ports: Some("1024-65535".to_owned()),
            destination: Some(Peer::application_group("/Subscriptions/s/Web")),
            name: Some("web".to_owned()),
            ..rule(Direction::Ingress, "tcp", "443", Peer::azure("internet"))
        };
        let rules: Rules = [deny, allow].into_iter().collect();
        let (value, _) = rules.to_value()?;
        let want = serde_json::json!([
            {
                "direction": "ingress", "priority": 100, "protocol": "tcp", "ports": "443",
                "peer": {"type": "service_tag", "tag": "Internet"}, "source_ports": "1024-65535",
                "destination": {"type": "application_group", "id": "/subscriptions/s/web"}, "name": "web",
            },
            {
                "direction": "ingress", "priority": 65_500, "protocol": "all", "ports": "all", "peer": {"type": "any"},
                "access": "deny", "name": "DenyAllInBound", "is_default": true,
            },
        ]);
        assert_eq!(value, want, "in the order in which they are asked");
        let back: Vec<Rule> = serde_json::from_value(value)?;
        assert_eq!(back.into_iter().collect::<Rules>(), rules);
        Ok(())
    }

    #[test]
    fn what_is_stored_of_awss_rules_stays_as_it_is() -> Result<(), serde_json::Error> {
        let noted = |description: &str, rule: Rule| Rule { description: Some(description.to_owned()), ..rule };
        let rules: Rules = [
            rule(Direction::Egress, "all", "all", Peer::cidr("0.0.0.0/0")),
            rule(Direction::Ingress, "tcp", "443", Peer::PrefixList { id: "pl-1".to_owned() }),
            rule(Direction::Ingress, "tcp", "443", group("sg-1", Some("111111111111"))),
            rule(Direction::Ingress, "tcp", "443", group("sg-gone", None)),
            noted("office", rule(Direction::Ingress, "tcp", "22", Peer::cidr("192.0.2.0/24"))),
            rule(Direction::Ingress, "tcp", "22", Peer::cidr("192.0.2.0/24")),
            rule(Direction::Ingress, "icmpv6", "all", Peer::cidr("::/0")),
            rule(Direction::Ingress, "50", "all", Peer::cidr("10.0.0.0/8")),
        ]
        .into_iter()
        .collect();
        let (value, digest) = rules.to_value()?;
        let rows = [
            r#"{"direction":"ingress","peer":{"cidr":"10.0.0.0/8","type":"cidr"},"ports":"all","protocol":"50"}"#,
            r#"{"direction":"ingress","peer":{"cidr":"::/0","type":"cidr"},"ports":"all","protocol":"icmpv6"}"#,
            r#"{"direction":"ingress","peer":{"cidr":"192.0.2.0/24","type":"cidr"},"ports":"22","protocol":"tcp"}"#,
            r#"{"description":"office","direction":"ingress","peer":{"cidr":"192.0.2.0/24","type":"cidr"},"ports":"22","protocol":"tcp"}"#,
            r#"{"direction":"ingress","peer":{"id":"pl-1","type":"prefix_list"},"ports":"443","protocol":"tcp"}"#,
            r#"{"direction":"ingress","peer":{"account":"111111111111","id":"sg-1","type":"security_group"},"ports":"443","protocol":"tcp"}"#,
            r#"{"direction":"ingress","peer":{"id":"sg-gone","type":"security_group"},"ports":"443","protocol":"tcp"}"#,
            r#"{"direction":"egress","peer":{"cidr":"0.0.0.0/0","type":"cidr"},"ports":"all","protocol":"all"}"#,
        ];
        assert_eq!(value.to_string(), format!("[{}]", rows.join(",")));
        assert_eq!(digest.to_string(), "4bfc58202b95d0d339ddd1d8d775b14c");
        Ok(())
    }

    #[test]
    fn references_are_gathered_by_group() {
        let rules: Rules = [
            rule(Direction::Ingress, "tcp", "443", group("sg-1", Some("1"))),
            rule(Direction::Ingress, "tcp", "80", group("sg-1", Some("1"))),
            rule(Direction::Egress, "all", "all", group("sg-1", Some("1"))),
            rule(Direction::Ingress, "udp", "53", group("sg-1", Some("2"))),
            rule(Direction::Ingress, "udp", "53", group("sg-gone", None)),
            Rule { access: Access::Deny, ..rule(Direction::Ingress, "tcp", "25", group("sg-1", Some("1"))) },
        ]
        .into_iter()
        .collect();
        let groups = rules.groups();
        assert_eq!(groups.keys().copied().collect::<Vec<_>>(), [("1", "sg-1"), ("2", "sg-1")]);
        let both = Traffic { ingress: ["tcp/443", "tcp/80"].map(str::to_owned).into(), egress: ["all".to_owned()].into() };
        assert_eq!(groups.get(&("1", "sg-1")), Some(&both));
    }
}
