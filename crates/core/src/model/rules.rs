//! Security-group rules in one canonical form, whatever cloud they come from.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;

/// One rule with one peer. The order of the fields is the order of the rules: direction, protocol, ports, peer, description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Which way the traffic goes.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all`, or a protocol's number.
    pub protocol: String,
    /// `22`, `8000-8080` or `all`; for ICMP `<type>`, `<type>/<code>` or `all`.
    pub ports: String,
    /// Who may talk, or be talked to.
    pub peer: Peer,
    /// What people wrote beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
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
        /// In canonical form: `10.0.0.0/8`, `2001:db8::/32`.
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
}

impl Peer {
    /// A range of addresses, with host bits cleared and IPv6 in its shortest form (RFC 5952). What is no range stays as it is.
    #[must_use]
    pub fn cidr(text: &str) -> Self {
        let text = text.trim();
        let cidr = text.parse::<IpNet>().map_or_else(|_| text.to_owned(), |net| net.trunc().to_string());
        Self::Cidr { cidr }
    }

    fn range(&self) -> Option<IpNet> {
        match self {
            Self::Cidr { cidr } => cidr.parse().ok(),
            Self::PrefixList { .. } | Self::SecurityGroup { .. } => None,
        }
    }
}

/// Whether ranges together are everybody: all of IPv4, or all of IPv6.
fn are_world(ranges: &[IpNet]) -> bool {
    // Without neighbours and doubles, everybody is one range.
    IpNet::aggregate(&ranges.to_vec()).iter().any(|range| range.prefix_len() == 0)
}

impl Rule {
    /// What it lets through: `tcp/22`, `udp/8000-8080`, `icmp/all`, or `all` for every protocol and port.
    #[must_use]
    pub fn traffic(&self) -> String {
        if self.protocol == "all" { "all".to_owned() } else { format!("{}/{}", self.protocol, self.ports) }
    }

    /// The ports that two rules of one protocol have in common, where that is less than either has.
    fn common_ports(&self, other: &Self) -> Option<Self> {
        let ((from, to), (first, last)) = (bounds(&self.ports)?, bounds(&other.ports)?);
        let common = (from.max(first), to.min(last));
        let is_part = common.0 <= common.1 && common != (from, to) && common != (first, last);
        let ports = if common.0 == common.1 { common.0.to_string() } else { format!("{}-{}", common.0, common.1) };
        (self.protocol == other.protocol && is_part).then(|| Self { ports, ..self.clone() })
    }

    /// Whether it lets through, from and to its own peer, all that another rule does.
    fn is_as_wide_as(&self, other: &Self) -> bool {
        let is_within = |ports: &str, wide: &str| match (bounds(ports), bounds(wide)) {
            (Some((from, to)), Some((first, last))) => first <= from && to <= last,
            // An ICMP type stands for all of its codes.
            _ => wide == "all" || ports == wide || ports.split_once('/').is_some_and(|(kind, _)| kind == wide),
        };
        self.protocol == "all" || (self.protocol == other.protocol && is_within(&other.ports, &self.ports))
    }
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

    /// What anyone may reach, one entry a port range: the attribute `open_to_world`. The world may be cut into ranges, over several rules.
    #[must_use]
    pub fn open_to_world(&self) -> BTreeSet<String> {
        let ingress = self.0.iter().filter(|rule| rule.direction == Direction::Ingress);
        let ranges: Vec<(&Rule, IpNet)> = ingress.filter_map(|rule| Some((rule, rule.peer.range()?))).collect();
        let all: Vec<IpNet> = ranges.iter().map(|(_, range)| *range).collect();
        if !are_world(&all) {
            return BTreeSet::new();
        }
        let is_open = |part: &Rule| {
            let of_all = ranges.iter().filter(|(wide, _)| wide.is_as_wide_as(part)).map(|(_, range)| *range);
            are_world(&of_all.collect::<Vec<_>>())
        };
        let mut open: BTreeSet<String> = ranges.iter().filter(|(rule, _)| is_open(rule)).map(|(rule, _)| rule.traffic()).collect();
        // Where ranges of ports overlap, what they have in common may be open although neither is.
        for (at, (one, _)) in ranges.iter().enumerate() {
            for (other, _) in ranges.iter().skip(at + 1) {
                let Some(common) = one.common_ports(other).filter(is_open) else { continue };
                if !ranges.iter().any(|(rule, _)| rule.is_as_wide_as(&common) && open.contains(&rule.traffic())) {
                    open.insert(common.traffic());
                }
            }
        }
        open
    }

    /// The groups that the rules refer to, each with its owner and what is let through from it and to it. Groups that were deleted are left out:
    /// nobody is in them.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<(&str, &str), Traffic> {
        let mut groups: BTreeMap<(&str, &str), Traffic> = BTreeMap::new();
        for rule in &self.0 {
            let Peer::SecurityGroup { id, account: Some(account) } = &rule.peer else { continue };
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
        Rule { direction, protocol: protocol.to_owned(), ports: ports.to_owned(), peer, description: None }
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
        ]
        .into_iter()
        .collect();
        let groups = rules.groups();
        assert_eq!(groups.keys().copied().collect::<Vec<_>>(), [("1", "sg-1"), ("2", "sg-1")]);
        let both = Traffic { ingress: ["tcp/443", "tcp/80"].map(str::to_owned).into(), egress: ["all".to_owned()].into() };
        assert_eq!(groups.get(&("1", "sg-1")), Some(&both));
    }
}
