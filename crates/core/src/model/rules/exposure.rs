//! What anyone may reach by a group's rules.
//!
//! The world is all of IPv4, or all of IPv6, each for itself, whether a rule names it as one range, as all addresses, as Azure's tag `Internet`, or several
//! rules name its pieces. Other tags and groups are never the world: the addresses behind `AzureCloud` are many, and no part of what is asked here.
//!
//! Where rules have priorities, the first that matches decides. A part of the traffic that rules let in exposes nothing where denies that come before them
//! cover it from all of the world. A deny of some addresses, of some of the ports, or of a part of what is protected takes no exposure away.
//!
//! A rule about a part of what the group protects exposes that part, which counts like any other exposure. A rule that lets nothing in, since denies before it
//! take all of it, is not told beside the wider ones that do.
//!
//! Source: Azure, "Network security groups" (security rules, augmented security rules).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Access, Direction, Peer, Rule, azure, bounds, words};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Family {
    fn has(self, range: &IpNet) -> bool {
        matches!((self, range), (Self::V4, IpNet::V4(_)) | (Self::V6, IpNet::V6(_)))
    }

    /// Whether ranges together are all of it.
    fn is_covered_by<'a>(self, ranges: impl Iterator<Item = &'a IpNet>) -> bool {
        let own: Vec<IpNet> = ranges.filter(|range| self.has(range)).copied().collect();
        // Without neighbours and doubles, everybody is one range.
        IpNet::aggregate(&own).iter().any(|range| range.prefix_len() == 0)
    }
}

impl Peer {
    /// Its addresses, as far as they matter for what the world may reach. None of what is kept elsewhere.
    fn ranges(&self) -> Vec<IpNet> {
        match self {
            Self::Any => vec![IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())],
            Self::ServiceTag { tag } if tag == azure::INTERNET => Self::Any.ranges(),
            Self::Cidr { cidr } => cidr.parse().map_or_else(|_| azure::networks(cidr), |range| vec![range]),
            Self::ServiceTag { .. } | Self::ApplicationGroup { .. } | Self::PrefixList { .. } | Self::SecurityGroup { .. } => Vec::new(),
        }
    }

    /// Its addresses as the own side. None of what Azure alone could tell.
    fn own_ranges(&self) -> Vec<IpNet> {
        if matches!(self, Self::Cidr { .. }) { self.ranges() } else { Vec::new() }
    }

    /// Whether, as the own side, it is all that a group protects: everything behind an Azure group lies in its virtual network.
    fn is_whole(&self) -> bool {
        match self {
            Self::Any => true,
            Self::ServiceTag { tag } => tag == azure::VIRTUAL_NETWORK,
            _ => false,
        }
    }
}

/// A part of all traffic, but for whom it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part<'a> {
    protocol: &'a str,
    ports: Cow<'a, str>,
    source_ports: Option<&'a str>,
    /// To which part of what is protected; none for all.
    own: Option<Own<'a>>,
}

/// The own side of a rule, with its addresses as far as these are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Own<'a> {
    peer: &'a Peer,
    ranges: Vec<IpNet>,
}

impl<'a> Part<'a> {
    fn of(rule: &'a Rule) -> Self {
        Self {
            protocol: &rule.protocol,
            ports: Cow::Borrowed(&rule.ports),
            source_ports: rule.source_ports.as_deref(),
            own: rule.destination.as_ref().filter(|own| !own.is_whole()).map(|peer| Own { peer, ranges: peer.own_ranges() }),
        }
    }

    fn words(&self) -> String {
        words(self.protocol, &self.ports)
    }

    /// Whether there is any of it in a family of addresses.
    fn is_in(&self, family: Family) -> bool {
        self.own.as_ref().is_none_or(|own| own.ranges.is_empty() || own.ranges.iter().any(|range| family.has(range)))
    }

    /// Whether all of another part, in a family of addresses, is in this one.
    fn covers(&self, other: &Self, family: Family) -> bool {
        let from_ports = self.source_ports.is_none_or(|wide| other.source_ports.is_some_and(|ports| is_within(ports, wide)));
        let is_protocol = self.protocol == "all" || self.protocol == other.protocol;
        is_protocol && from_ports && is_within(&other.ports, &self.ports) && covers_own(self.own.as_ref(), other.own.as_ref(), family)
    }

    /// What two parts have in common, where that is less than either is.
    fn common(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (one, other) if one == other || other == "all" => one,
            ("all", other) => other,
            _ => return None,
        };
        let ports = if is_within(&self.ports, &other.ports) {
            self.ports.clone()
        } else if is_within(&other.ports, &self.ports) {
            other.ports.clone()
        } else {
            let ((from, to), (first, last)) = (bounds(&self.ports)?, bounds(&other.ports)?);
            Cow::Owned(port_words(from.max(first), to.min(last))?)
        };
        let source_ports = match (self.source_ports, other.source_ports) {
            (Some(one), Some(other)) if is_within(one, other) => Some(one),
            (Some(one), Some(other)) if is_within(other, one) => Some(other),
            (Some(_), Some(_)) => return None,
            (one, other) => one.or(other),
        };
        let has_own_of = |wide: &Self, part: &Self| FAMILIES.iter().any(|family| covers_own(wide.own.as_ref(), part.own.as_ref(), *family));
        let own = if has_own_of(other, self) {
            &self.own
        } else if has_own_of(self, other) {
            &other.own
        } else {
            return None;
        };
        let common = Self { protocol, ports, source_ports, own: own.clone() };
        (common != *self && common != *other).then_some(common)
    }

    /// The part in pieces, none of which lies across the bounds of given ranges of ports.
    fn cut(&self, at: &[(u32, u32)]) -> Vec<Self> {
        let all = (self.ports == "all" && matches!(self.protocol, "tcp" | "udp")).then_some((0, u32::from(u16::MAX)));
        let Some((from, to)) = bounds(&self.ports).or(all).filter(|_| !at.is_empty()) else { return vec![self.clone()] };
        let starts: BTreeSet<u32> = at.iter().flat_map(|(first, last)| [*first, last.saturating_add(1)]).collect();
        let mut starts = std::iter::once(from).chain(starts.into_iter().filter(|start| (from + 1..=to).contains(start))).peekable();
        let mut pieces = Vec::new();
        while let Some(start) = starts.next() {
            let end = starts.peek().map_or(to, |next| next - 1);
            pieces.extend(port_words(start, end).map(|ports| Self { ports: Cow::Owned(ports), ..self.clone() }));
        }
        pieces
    }
}

/// Whether ports are among others, both in words.
fn is_within(ports: &str, wide: &str) -> bool {
    match (bounds(ports), bounds(wide)) {
        (Some((from, to)), Some((first, last))) => first <= from && to <= last,
        // An ICMP type stands for all of its codes.
        _ => wide == "all" || ports == wide || ports.split_once('/').is_some_and(|(kind, _)| kind == wide),
    }
}

fn port_words(from: u32, to: u32) -> Option<String> {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => Some(format!("{from}-{to}")),
        std::cmp::Ordering::Equal => Some(from.to_string()),
        std::cmp::Ordering::Greater => None,
    }
}

/// Whether one own side has all of another, as far as addresses of a family go.
fn covers_own(wide: Option<&Own<'_>>, own: Option<&Own<'_>>, family: Family) -> bool {
    let Some(wide) = wide else { return true };
    if family.is_covered_by(wide.ranges.iter()) {
        return true;
    }
    let Some(own) = own else { return false };
    let mut within = own.ranges.iter().filter(|range| family.has(range)).peekable();
    wide.peer == own.peer || (within.peek().is_some() && within.all(|range| wide.ranges.iter().any(|wide| wide.contains(range))))
}

/// Rules about one part with one priority, and the addresses that they are about.
type Gathered<'a> = BTreeMap<(Part<'a>, Option<u32>), Vec<IpNet>>;

fn gather<'a>(rules: impl Iterator<Item = &'a Rule>, access: Access) -> Gathered<'a> {
    let mut gathered = Gathered::new();
    for rule in rules.filter(|rule| rule.direction == Direction::Ingress && rule.access == access) {
        let ranges = rule.peer.ranges();
        if !ranges.is_empty() {
            gathered.entry((Part::of(rule), rule.priority)).or_default().extend(ranges);
        }
    }
    gathered
}

struct Ingress<'a> {
    allowed: Gathered<'a>,
    denied: Gathered<'a>,
    /// Ranges of ports that denies are about.
    denied_ports: Vec<(u32, u32)>,
}

impl Ingress<'_> {
    /// Whether the world may use all of a part, or at least a piece that no deny takes.
    fn is_open(&self, part: &Part<'_>) -> bool {
        FAMILIES.iter().any(|family| self.is_open_in(part, *family))
    }

    fn is_open_in(&self, part: &Part<'_>, family: Family) -> bool {
        let open =
            self.allowed.iter().filter(|((wide, priority), _)| wide.covers(part, family) && !self.is_denied(part, *priority, family));
        part.is_in(family) && family.is_covered_by(open.flat_map(|(_, ranges)| ranges))
    }

    /// Whether a rule about exactly this part lets in anything: denies may take it from all that the rule names, and leave it to what a wider rule lets in
    /// in the other family.
    fn is_used(&self, part: &Part<'_>) -> bool {
        let mut own = self.allowed.iter().filter(|((own, _), _)| own == part);
        own.any(|((_, priority), ranges)| {
            let lets_in = |family: &Family| ranges.iter().any(|range| family.has(range)) && !self.is_denied(part, *priority, *family);
            FAMILIES.iter().any(|family| part.is_in(*family) && lets_in(family))
        })
    }

    /// Whether others, where a part is open, are open as well and have all of it.
    fn is_told_by(&self, part: &Part<'_>, others: &[&Part<'_>]) -> bool {
        let is_told = |family: Family| others.iter().any(|wide| wide.covers(part, family) && self.is_open_in(wide, family));
        FAMILIES.iter().filter(|family| self.is_open_in(part, **family)).all(|family| is_told(*family))
    }

    /// Whether denies before a priority take all of a part from all of the world. What has no priority comes neither before nor after.
    fn is_denied(&self, part: &Part<'_>, priority: Option<u32>, family: Family) -> bool {
        let before = |denied: Option<u32>| denied.zip(priority).is_some_and(|(denied, allowed)| denied < allowed);
        if !self.denied.keys().any(|(_, denied)| before(*denied)) {
            return false;
        }
        part.cut(&self.denied_ports).iter().all(|piece| {
            let denied = self.denied.iter().filter(|((wide, denied), _)| before(*denied) && wide.covers(piece, family));
            family.is_covered_by(denied.flat_map(|(_, ranges)| ranges))
        })
    }
}

/// What the world may reach, in the words of [`Rule::traffic`].
pub(super) fn open_to_world<'a>(rules: impl Iterator<Item = &'a Rule> + Clone) -> BTreeSet<String> {
    let allowed = gather(rules.clone(), Access::Allow);
    let is_world = |ranges: &dyn Fn(&IpNet) -> bool| {
        FAMILIES.iter().any(|family| family.is_covered_by(allowed.values().flatten().filter(|range| ranges(range))))
    };
    if !is_world(&|_| true) {
        return BTreeSet::new();
    }
    let has_pieces = is_world(&|range| range.prefix_len() > 0);
    let denied = gather(rules, Access::Deny);
    let denied_ports = denied.keys().filter_map(|(part, _)| bounds(&part.ports)).collect::<BTreeSet<_>>().into_iter().collect();
    let ingress = Ingress { allowed, denied, denied_ports };
    let parts: BTreeSet<&Part<'_>> = ingress.allowed.keys().map(|(part, _)| part).collect();
    let (open, closed): (Vec<&Part<'_>>, Vec<&Part<'_>>) = parts.into_iter().partition(|part| ingress.is_open(part));
    let (used, idle): (Vec<&Part<'_>>, Vec<&Part<'_>>) = open.iter().partition(|part| ingress.is_used(part));
    let idle = idle.into_iter().filter(|part| !ingress.is_told_by(part, &used));
    let mut words: BTreeSet<String> = used.iter().copied().chain(idle).map(Part::words).collect();
    if !has_pieces {
        return words;
    }
    // Where parts overlap, what they have in common may be open although neither is.
    let mut commons: Vec<Part<'_>> = Vec::new();
    for (at, one) in closed.iter().enumerate() {
        for other in closed.iter().skip(at + 1) {
            let Some(common) = one.common(other).filter(|common| ingress.is_open(common)) else { continue };
            let is_told = |wide: &Part<'_>| FAMILIES.iter().any(|family| wide.covers(&common, *family));
            if !open.iter().any(|wide| is_told(wide)) && !commons.contains(&common) {
                commons.push(common);
            }
        }
    }
    words.extend(commons.iter().map(Part::words));
    words
}
