//! Exposure: tables of rules as people write them, the former reading of AWS's rules, and a packet at a time.

use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::prelude::*;

use super::{Access, Direction, Peer, Rule, Rules, azure, bounds};

/// An inbound rule of Azure, as its API writes it.
fn inbound(priority: u32, access: Access, protocol: &str, ports: &str, source: &str, destination: &str) -> Rule {
    let protocol = azure::protocol(protocol);
    let ports = azure::ports(&protocol, ports);
    Rule {
        priority: Some(priority),
        access,
        destination: Peer::azure(destination).part(),
        ..Rule::new(Direction::Ingress, &protocol, &ports, Peer::azure(source))
    }
}

const ALLOW: Access = Access::Allow;
const DENY: Access = Access::Deny;

type Row = (u32, Access, &'static str, &'static str, &'static str, &'static str);

#[track_caller]
fn expect(rows: &[Row], open: &[&str]) {
    let defaults: [Row; 3] = [
        (65_000, ALLOW, "*", "*", "VirtualNetwork", "VirtualNetwork"),
        (65_001, ALLOW, "*", "*", "AzureLoadBalancer", "*"),
        (65_500, DENY, "*", "*", "*", "*"),
    ];
    let rules: Rules = rows.iter().chain(&defaults).map(|row| inbound(row.0, row.1, row.2, row.3, row.4, row.5)).collect();
    let open: BTreeSet<String> = open.iter().map(|&traffic| traffic.to_owned()).collect();
    assert_eq!(rules.open_to_world(), open, "{rows:?}");
}

#[test]
fn everybody_has_several_names() {
    expect(&[], &[]);
    for source in ["*", "Internet", "INTERNET", "0.0.0.0/0", "::/0", "0.0.0.0-255.255.255.255"] {
        expect(&[(100, ALLOW, "Tcp", "22", source, "*")], &["tcp/22"]);
    }
    for source in ["VirtualNetwork", "AzureLoadBalancer", "AzureCloud", "10.0.0.0/8", "0.0.0.0/1", "0.0.0.0"] {
        expect(&[(100, ALLOW, "Tcp", "22", source, "*")], &[]);
    }
    expect(&[(100, ALLOW, "*", "*", "*", "*")], &["all"]);
    expect(&[(100, ALLOW, "*", "22", "*", "*"), (110, ALLOW, "Icmp", "*", "Internet", "*")], &["all/22", "icmp/all"]);
    // Both halves, at different priorities.
    expect(&[(100, ALLOW, "Tcp", "22", "0.0.0.0/1", "*"), (200, ALLOW, "*", "22", "128.0.0.0/1", "*")], &["tcp/22"]);
    expect(
        &[(100, ALLOW, "Tcp", "22", "0.0.0.0-99.0.0.0", "*"), (200, ALLOW, "Tcp", "20-30", "99.0.0.1-255.255.255.255", "*")],
        &["tcp/22"],
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    let allow = (200, ALLOW, "Tcp", "22", "*", "*");
    for before in
        [("*", "*", "*", "*"), ("Tcp", "22", "*", "*"), ("*", "20-30", "Internet", "*"), ("TCP", "*", "internet", "VirtualNetwork")]
    {
        let (protocol, ports, source, destination) = before;
        expect(&[(100, DENY, protocol, ports, source, destination), allow], &[]);
        expect(&[(300, DENY, protocol, ports, source, destination), allow], &["tcp/22"]);
    }
    // A deny of some of it leaves the rest.
    for partial in [
        ("Udp", "22", "*", "*"),
        ("Tcp", "23", "*", "*"),
        ("Tcp", "22", "10.0.0.0/8", "*"),
        ("Tcp", "22", "AzureCloud", "*"),
        ("Tcp", "22", "0.0.0.0/0", "*"),
        ("Tcp", "22", "*", "10.0.0.4"),
        ("Tcp", "22", "*", "Internet"),
    ] {
        let (protocol, ports, source, destination) = partial;
        expect(&[(100, DENY, protocol, ports, source, destination), allow], &["tcp/22"]);
    }
    expect(&[(100, DENY, "Tcp", "22", "*", "*"), (200, ALLOW, "Tcp", "20-25", "*", "*")], &["tcp/20-25"]);
    // All of IPv4 is all that such a rule lets in.
    expect(&[(100, DENY, "*", "*", "0.0.0.0/0", "*"), (200, ALLOW, "Tcp", "22", "0.0.0.0/0", "*")], &[]);
    expect(&[(100, DENY, "*", "*", "0.0.0.0/0", "*"), (200, ALLOW, "Tcp", "22", "::/0", "*")], &["tcp/22"]);
    expect(&[(100, DENY, "*", "*", "0.0.0.0/0", "*"), (200, ALLOW, "Tcp", "22", "*", "10.0.0.4")], &[]);
}

/// What a wider rule lets in from one family is not told again by a rule about the other, of which nothing gets in.
#[test]
fn a_rule_that_denies_take_whole_is_not_told_for_another() {
    let wide = (100, ALLOW, "*", "*", "0.0.0.0/0", "*");
    let (deny, idle) = ((149, DENY, "Tcp", "*", "*", "*"), (150, ALLOW, "Tcp", "*", "::/0", "*"));
    expect(&[wide, deny, idle], &["all"]);
    expect(&[wide, idle], &["all", "tcp/all"]);
    expect(&[wide, (149, DENY, "Tcp", "*", "0.0.0.0/0", "*"), idle], &["all", "tcp/all"]);
    expect(&[deny, idle], &[]);
    // An own side of one family is nothing in the other.
    expect(&[wide, deny, (150, ALLOW, "Tcp", "*", "*", "10.0.0.4")], &["all"]);
    // Where pieces of the world open it, and none of the wider is open by itself, its words are the only ones for it.
    let pieces = [
        (100, ALLOW, "Tcp", "20-24", "0.0.0.0/2", "*"),
        (101, ALLOW, "Tcp", "21-25", "64.0.0.0/2", "*"),
        (102, ALLOW, "Tcp", "22-26", "128.0.0.0/1", "*"),
    ];
    expect(&[pieces[0], pieces[1], pieces[2], deny, (150, ALLOW, "Tcp", "22-24", "::/0", "*")], &["tcp/22-24"]);
}

#[test]
fn denies_add_up() {
    let allow = (200, ALLOW, "Tcp", "20-29", "*", "*");
    expect(&[(100, DENY, "Tcp", "20-24", "*", "*"), (110, DENY, "*", "25-40", "*", "*"), allow], &[]);
    expect(&[(100, DENY, "Tcp", "20-24", "*", "*"), (110, DENY, "*", "26-40", "*", "*"), allow], &["tcp/20-29"]);
    expect(
        &[(100, DENY, "*", "*", "0.0.0.0/1", "*"), (100, DENY, "*", "*", "128.0.0.0/1", "*"), (110, DENY, "*", "*", "::/0", "*"), allow],
        &[],
    );
    expect(&[(100, DENY, "*", "*", "0.0.0.0/1", "*"), (110, DENY, "*", "*", "::/0", "*"), allow], &["tcp/20-29"]);
    expect(&[(100, DENY, "Tcp", "0-999", "*", "*"), (110, DENY, "Tcp", "1000-65535", "*", "*"), (200, ALLOW, "Tcp", "*", "*", "*")], &[]);
    // What only halves of the world let in falls with one of them.
    let halves = [(150, ALLOW, "Tcp", "22", "0.0.0.0/1", "*"), (250, ALLOW, "Tcp", "22", "128.0.0.0/1", "*")];
    expect(&[halves[0], halves[1], (200, DENY, "*", "22", "*", "*")], &[]);
    expect(&[halves[0], halves[1], (300, DENY, "*", "22", "*", "*")], &["tcp/22"]);
    // What two ranges have in common, too.
    let ranges = [(150, ALLOW, "Tcp", "20-25", "0.0.0.0/1", "*"), (250, ALLOW, "*", "22-30", "128.0.0.0/1", "*")];
    expect(&ranges, &["tcp/22-25"]);
    expect(&[(100, DENY, "*", "22-25", "Internet", "*"), ranges[0], ranges[1]], &[]);
}

#[test]
fn a_part_of_what_is_protected_is_exposed_as_well() {
    let web = "10.0.1.0/24";
    expect(&[(200, ALLOW, "Tcp", "443", "*", web)], &["tcp/443"]);
    for all_of_it in ["*", web, "10.0.0.0/16", "VirtualNetwork", "10.0.0.0-10.0.2.255"] {
        expect(&[(100, DENY, "*", "*", "*", all_of_it), (200, ALLOW, "Tcp", "443", "*", web)], &[]);
    }
    expect(&[(100, DENY, "*", "*", "*", "10.0.1.0/25"), (200, ALLOW, "Tcp", "443", "*", web)], &["tcp/443"]);
    expect(&[(100, DENY, "*", "*", "*", web), (200, ALLOW, "Tcp", "443", "*", "*")], &["tcp/443"]);
    // Halves of the world to different parts are nobody's world; to a part and to all, the part's.
    expect(&[(100, ALLOW, "Tcp", "443", "0.0.0.0/1", web), (110, ALLOW, "Tcp", "443", "128.0.0.0/1", "10.0.2.0/24")], &[]);
    expect(&[(100, ALLOW, "Tcp", "443", "0.0.0.0/1", web), (110, ALLOW, "Tcp", "443", "128.0.0.0/1", "*")], &["tcp/443"]);
    expect(&[(100, ALLOW, "Tcp", "443", "0.0.0.0/1", web), (110, ALLOW, "Tcp", "440-450", "128.0.0.0/1", "*")], &["tcp/443"]);
    expect(&[(100, ALLOW, "Tcp", "440-450", "0.0.0.0/1", web), (110, ALLOW, "Tcp", "443", "128.0.0.0/1", "*")], &["tcp/443"]);

    let group = |id: &str, rule: Rule| Rule { destination: Some(Peer::application_group(id)), ..rule };
    let open = |rules: [Rule; 2]| rules.into_iter().collect::<Rules>().open_to_world().into_iter().collect::<Vec<_>>();
    let (deny, allow) = (inbound(100, DENY, "*", "*", "*", "*"), inbound(200, ALLOW, "Tcp", "443", "*", "*"));
    assert!(open([group("/web", deny.clone()), group("/Web", allow.clone())]).is_empty());
    assert_eq!(open([group("/db", deny.clone()), group("/web", allow.clone())]), ["tcp/443"]);
    assert!(open([deny, group("/web", allow)]).is_empty());
}

#[test]
fn source_ports_limit_a_deny_and_no_exposure() {
    let from = |ports: &str, rule: Rule| Rule { source_ports: Some(ports.to_owned()), ..rule };
    let open = |rules: [Rule; 2]| rules.into_iter().collect::<Rules>().open_to_world().into_iter().collect::<Vec<_>>();
    let (deny, allow) = (inbound(100, DENY, "*", "*", "*", "*"), inbound(200, ALLOW, "Tcp", "443", "*", "*"));
    assert_eq!(open([from("1024-65535", deny.clone()), allow.clone()]), ["tcp/443"]);
    assert!(open([from("1024-65535", deny.clone()), from("2000", allow.clone())]).is_empty());
    assert_eq!(open([inbound(300, DENY, "*", "*", "*", "*"), from("2000", allow.clone())]), ["tcp/443"]);
    assert!(open([deny, from("2000", allow)]).is_empty());
}

#[test]
fn what_has_no_priority_stands_beside_the_order() {
    let deny = Rule { priority: None, ..inbound(0, DENY, "*", "*", "*", "*") };
    let allow = inbound(200, ALLOW, "Tcp", "22", "*", "*");
    let unordered = Rule { priority: None, ..allow.clone() };
    for rules in [[deny.clone(), allow.clone()], [deny, unordered.clone()], [inbound(100, DENY, "*", "*", "*", "*"), unordered]] {
        assert_eq!(rules.into_iter().collect::<Rules>().open_to_world(), ["tcp/22".to_owned()].into());
    }
}

#[test]
fn what_goes_out_is_no_exposure_and_denies_nothing() {
    let out = |rule: Rule| Rule { direction: Direction::Egress, ..rule };
    let rules: Rules = [
        out(inbound(100, DENY, "*", "*", "*", "*")),
        out(inbound(110, ALLOW, "Tcp", "80", "*", "*")),
        inbound(200, ALLOW, "Tcp", "22", "*", "*"),
    ]
    .into_iter()
    .collect();
    assert_eq!(rules.open_to_world(), ["tcp/22".to_owned()].into());
}

/// As AWS's rules were read before there were others.
fn without_denies(rules: &[Rule]) -> BTreeSet<String> {
    let range = |rule: &Rule| match &rule.peer {
        Peer::Cidr { cidr } => cidr.parse::<IpNet>().ok(),
        _ => None,
    };
    let are_world = |ranges: &[IpNet]| IpNet::aggregate(&ranges.to_vec()).iter().any(|range| range.prefix_len() == 0);
    let is_within = |ports: &str, wide: &str| match (bounds(ports), bounds(wide)) {
        (Some((from, to)), Some((first, last))) => first <= from && to <= last,
        _ => wide == "all" || ports == wide || ports.split_once('/').is_some_and(|(kind, _)| kind == wide),
    };
    let is_wide =
        |wide: &Rule, part: &Rule| wide.protocol == "all" || (wide.protocol == part.protocol && is_within(&part.ports, &wide.ports));
    let ranges: Vec<(&Rule, IpNet)> = rules.iter().filter_map(|rule| Some((rule, range(rule)?))).collect();
    let is_open =
        |part: &Rule| are_world(&ranges.iter().filter(|(wide, _)| is_wide(wide, part)).map(|(_, range)| *range).collect::<Vec<_>>());
    let mut open: BTreeSet<String> = ranges.iter().filter(|(rule, _)| is_open(rule)).map(|(rule, _)| rule.traffic()).collect();
    for (one, _) in &ranges {
        for (other, _) in &ranges {
            let (Some((from, to)), Some((first, last))) = (bounds(&one.ports), bounds(&other.ports)) else { continue };
            let (start, end) = (from.max(first), to.min(last));
            if one.protocol != other.protocol || start > end || (start, end) == (from, to) || (start, end) == (first, last) {
                continue;
            }
            let ports = if start == end { start.to_string() } else { format!("{start}-{end}") };
            let common = Rule { ports, ..(*one).clone() };
            if is_open(&common) && !ranges.iter().any(|(rule, _)| is_wide(rule, &common) && open.contains(&rule.traffic())) {
                open.insert(common.traffic());
            }
        }
    }
    open
}

fn port_range() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("all".to_owned()),
        6 => (0_u32..8, 0_u32..4).prop_map(|(from, more)| if more == 0 { from.to_string() } else { format!("{from}-{}", from + more) }),
    ]
}

fn aws_rule() -> impl Strategy<Value = Rule> {
    let traffic = prop_oneof![
        1 => Just(("all", "all".to_owned())),
        6 => ("tcp|udp", port_range()).prop_map(|(protocol, ports)| (if protocol == "tcp" { "tcp" } else { "udp" }, ports)),
        1 => "8|8/0|all".prop_map(|ports| ("icmp", ports)),
    ];
    const RANGES: &[&str] =
        &["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2", "10.0.0.0/8", "8000::/1", "::/1"];
    (traffic, prop::sample::select(RANGES))
        .prop_map(|((protocol, ports), range)| Rule::new(Direction::Ingress, protocol, &ports, Peer::cidr(range)))
}

fn azure_rule() -> impl Strategy<Value = Rule> {
    const SOURCES: &[&str] = &["*", "*", "Internet", "0.0.0.0/0", "::/0", "AzureLoadBalancer"];
    const DESTINATIONS: &[&str] = &["*", "*", "VirtualNetwork", "10.0.0.0/24", "10.0.0.0/25", "10.0.0.200", "2001:db8::/64"];
    let sides = (prop::sample::select(SOURCES), prop::sample::select(DESTINATIONS));
    // The platform takes no rule from one family of addresses to the other.
    let is_one_family = |(source, destination): &(&str, &str)| match (*source, *destination) {
        ("0.0.0.0/0", to) => !to.contains(':'),
        ("::/0", to) => !to.contains('.'),
        _ => true,
    };
    let sides = sides.prop_filter("two families", is_one_family);
    (0_u32..1000, prop::sample::select(&[ALLOW, DENY]), prop::sample::select(&["Tcp", "Udp", "*"]), port_range(), sides, any::<bool>())
        .prop_map(|(priority, access, protocol, ports, (source, destination), is_default)| {
            let ports = if ports == "all" { "*" } else { &ports };
            Rule { is_default, ..inbound(priority, access, protocol, ports, source, destination) }
        })
}

/// A packet from somewhere in the public internet.
#[derive(Debug, Clone, Copy)]
struct Packet {
    is_v6: bool,
    protocol: &'static str,
    port: u32,
    to: &'static str,
}

/// One of each kind that the rules of these tests can tell apart.
fn packets() -> impl Iterator<Item = Packet> {
    let to = [
        (false, "10.0.0.1"),
        (false, "10.0.0.150"),
        (false, "10.0.0.200"),
        (false, "10.9.9.9"),
        (true, "2001:db8::1"),
        (true, "2001:db9::1"),
    ];
    to.into_iter().flat_map(|(is_v6, to)| {
        ["tcp", "udp", "another"].into_iter().flat_map(move |protocol| (0..13).map(move |port| Packet { is_v6, protocol, port, to }))
    })
}

fn matches(rule: &Rule, packet: Packet) -> bool {
    let is_from = match &rule.peer {
        Peer::Any => true,
        Peer::ServiceTag { tag } => tag == "Internet",
        Peer::Cidr { cidr } => (cidr == "::/0") == packet.is_v6,
        _ => false,
    };
    let is_to = match &rule.destination {
        Some(Peer::Cidr { cidr }) => {
            cidr.parse::<IpNet>().is_ok_and(|net| packet.to.parse().is_ok_and(|to: core::net::IpAddr| net.contains(&to)))
        }
        _ => true,
    };
    let is_port = bounds(&rule.ports).is_none_or(|(from, to)| (from..=to).contains(&packet.port));
    is_from && is_to && is_port && (rule.protocol == "all" || rule.protocol == packet.protocol)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(512), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_without_order_are_read_as_ever(rules in prop::collection::vec(aws_rule(), 0..8)) {
        let of_rules: Rules = rules.iter().cloned().collect();
        prop_assert_eq!(of_rules.open_to_world(), without_denies(&rules));
    }

    /// Asked packet by packet: a rule exposes what no deny before it takes, and nothing is told that no packet gets in by.
    #[test]
    fn what_is_open_lets_a_packet_in(rules in prop::collection::btree_map(0_u32..100, azure_rule(), 0..8)) {
        let rules: Vec<Rule> = rules.into_iter().map(|(priority, rule)| Rule { priority: Some(priority), ..rule }).collect();
        let is_allowed_by = |rule: &Rule, packet| {
            let before = rules.iter().take_while(|other| other.priority < rule.priority);
            matches(rule, packet) && before.into_iter().all(|deny| deny.access == ALLOW || !matches(deny, packet))
        };
        let allows = || rules.iter().filter(|rule| rule.access == ALLOW);
        let exposing: BTreeSet<String> =
            allows().filter(|rule| packets().any(|packet| is_allowed_by(rule, packet))).map(Rule::traffic).collect();
        let told = rules.iter().cloned().collect::<Rules>().open_to_world();
        prop_assert!(told.is_superset(&exposing), "{told:?} lacks some of {exposing:?}");
        for traffic in &told {
            let gets_in = |packet| allows().any(|rule| rule.traffic() == *traffic && matches(rule, packet)) && allows().any(|rule| is_allowed_by(rule, packet));
            // Denies that close one part each of what is protected are not added up.
            let closing = rules.iter().filter(|rule| rule.access == DENY && rule.destination.is_some()).count();
            prop_assert!(packets().any(gets_in) || closing > 1, "{traffic} is told, and nothing gets in by it");
        }
    }

    /// Neither order nor doubles, nor what says nothing of traffic, changes the answer; one more deny never opens anything.
    #[test]
    fn a_deny_opens_nothing(rules in prop::collection::vec(azure_rule(), 0..7), deny in azure_rule()) {
        let open = |rules: &[Rule]| rules.iter().cloned().collect::<Rules>().open_to_world();
        let plain = |rule: &Rule| Rule { is_default: false, name: Some("n".to_owned()), description: None, ..rule.clone() };
        let before = open(&rules);
        prop_assert_eq!(open(&rules.iter().rev().map(plain).collect::<Vec<_>>()), before.clone());
        let after = open(&[rules.clone(), vec![Rule { access: DENY, ..deny }]].concat());
        prop_assert!(after.is_subset(&before), "{after:?} is more than {before:?}");
    }
}
