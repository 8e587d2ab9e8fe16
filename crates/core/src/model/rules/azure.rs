//! The words of Azure's security rules in the canonical form.
//!
//! Sources: Azure, "Network security groups" and "Virtual network service tags"; REST reference of `SecurityRule` (Network 2024-03-01).

use core::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::Peer;

/// The tag of everything outside the virtual network.
pub(super) const INTERNET: &str = "Internet";
/// The tag of the virtual network and of what is connected to it.
pub(super) const VIRTUAL_NETWORK: &str = "VirtualNetwork";

/// A protocol of a rule: `Tcp`, `Udp`, `Icmp`, `Esp`, `Ah` in any case, and `*` for all. What else there may be is kept in lower case.
#[must_use]
pub fn protocol(word: &str) -> String {
    match word.trim() {
        "*" => "all".to_owned(),
        word if word.eq_ignore_ascii_case("any") => "all".to_owned(),
        word => super::protocol(Some(word)),
    }
}

/// A range of ports of a rule (`*`, `22`, `8000-8080`), in the words of [`ports`](super::ports). Protocols without ports have all: Azure tells no ICMP types.
/// `protocol` is in canonical form. What is no range stays as it is, in lower case and without blanks.
#[must_use]
pub fn ports(protocol: &str, range: &str) -> String {
    let range: String = range.chars().filter(|letter| !letter.is_whitespace()).collect::<String>().to_ascii_lowercase();
    if matches!(protocol, "icmp" | "icmpv6" | "esp" | "ah") || matches!(range.as_str(), "" | "*" | "any") {
        return "all".to_owned();
    }
    let (from, to) = range.split_once('-').unwrap_or((&range, &range));
    match (from.parse::<u16>(), to.parse::<u16>()) {
        (Ok(0), Ok(u16::MAX)) => "all".to_owned(),
        (Ok(from), Ok(to)) if from == to => from.to_string(),
        (Ok(from), Ok(to)) if from < to => format!("{from}-{to}"),
        _ => range,
    }
}

impl Peer {
    /// An address prefix of an Azure rule: `*`, a range in CIDR notation, a single address, a range `first-last`, or a service tag, which Azure compares
    /// without regard to case. For [`Rule::destination`](super::Rule::destination) see [`Peer::part`].
    #[must_use]
    pub fn azure(prefix: &str) -> Self {
        let prefix = prefix.trim();
        if prefix == "*" || prefix.eq_ignore_ascii_case("any") {
            return Self::Any;
        }
        if let Ok(address) = prefix.parse::<IpAddr>() {
            return Self::Cidr { cidr: IpNet::from(address).to_string() };
        }
        if let Some(ends) = ends(prefix) {
            let cidr = match between(ends).as_slice() {
                [net] => net.to_string(),
                _ => format!("{}-{}", ends.0, ends.1),
            };
            return Self::Cidr { cidr };
        }
        if prefix.contains(['/', ':']) { Self::cidr(prefix) } else { Self::ServiceTag { tag: tag(prefix) } }
    }

    /// The members of an application security group, by its resource id in any case.
    #[must_use]
    pub fn application_group(resource_id: &str) -> Self {
        Self::ApplicationGroup { id: resource_id.trim().trim_end_matches('/').to_ascii_lowercase() }
    }

    /// This as a rule's own side: `None` where that is everything.
    #[must_use]
    pub fn part(self) -> Option<Self> {
        (self != Self::Any).then_some(self)
    }
}

/// The ends of a range `first-last` of one family, in order.
fn ends(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse::<IpAddr>().ok()?, last.trim().parse::<IpAddr>().ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}

/// The fewest networks that are all addresses from the first to the last.
fn between(ends: (IpAddr, IpAddr)) -> Vec<IpNet> {
    match ends {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)).collect(),
        _ => Vec::new(),
    }
}

/// The networks of a range `first-last`; none where it is no such range.
pub(super) fn networks(text: &str) -> Vec<IpNet> {
    ends(text).map_or_else(Vec::new, between)
}

/// A tag in its one spelling: that of Azure's own list, for a region its name without blanks (`Storage.WestEurope`). Parts that neither knows are in lower
/// case.
fn tag(text: &str) -> String {
    let spelt = |part: &str| {
        let known = TAGS.iter().chain(REGIONS).find(|known| known.eq_ignore_ascii_case(part));
        known.map_or_else(|| part.to_ascii_lowercase(), |known| (*known).to_owned())
    };
    text.split('.').map(|part| spelt(part.trim())).collect::<Vec<_>>().join(".")
}

/// Azure, "Virtual network service tags". A tag that is added here changes the digests of groups that name it, once.
const TAGS: &[&str] = &[
    "ActionGroup",
    "ApiManagement",
    "AppConfiguration",
    "ApplicationInsightsAvailability",
    "AppService",
    "AppServiceManagement",
    "AzureActiveDirectory",
    "AzureActiveDirectoryDomainServices",
    "AzureAdvancedThreatProtection",
    "AzureArcInfrastructure",
    "AzureAttestation",
    "AzureBackup",
    "AzureBotService",
    "AzureCloud",
    "AzureCognitiveSearch",
    "AzureConnectors",
    "AzureContainerRegistry",
    "AzureCosmosDB",
    "AzureDatabricks",
    "AzureDataExplorerManagement",
    "AzureDataLake",
    "AzureDevOps",
    "AzureDevSpaces",
    "AzureDigitalTwins",
    "AzureEventGrid",
    "AzureFrontDoor",
    "AzureInformationProtection",
    "AzureIoTHub",
    "AzureKeyVault",
    "AzureLoadBalancer",
    "AzureMachineLearning",
    "AzureMonitor",
    "AzureOpenDatasets",
    "AzurePlatformDNS",
    "AzurePlatformIMDS",
    "AzurePlatformLKM",
    "AzureResourceManager",
    "AzureSignalR",
    "AzureSiteRecovery",
    "AzureTrafficManager",
    "Backend",
    "BatchNodeManagement",
    "CognitiveServicesManagement",
    "DataFactory",
    "DataFactoryManagement",
    "Dynamics365ForMarketingEmail",
    "EOPExternalPublishedIPs",
    "EventHub",
    "FirstParty",
    "Frontend",
    "GatewayManager",
    "GuestAndHybridManagement",
    "HDInsight",
    INTERNET,
    "LogicApps",
    "LogicAppsManagement",
    "MicrosoftCloudAppSecurity",
    "MicrosoftContainerRegistry",
    "PowerBI",
    "PowerQueryOnline",
    "ServiceBus",
    "ServiceFabric",
    "Sql",
    "SqlManagement",
    "Storage",
    "StorageSyncService",
    VIRTUAL_NETWORK,
    "WindowsVirtualDesktop",
];

/// Azure, "List of Azure regions", and those of the sovereign clouds.
const REGIONS: &[&str] = &[
    "AustraliaCentral",
    "AustraliaCentral2",
    "AustraliaEast",
    "AustraliaSoutheast",
    "AustriaEast",
    "BrazilSouth",
    "BrazilSoutheast",
    "CanadaCentral",
    "CanadaEast",
    "CentralIndia",
    "CentralUS",
    "ChileCentral",
    "ChinaEast",
    "ChinaEast2",
    "ChinaEast3",
    "ChinaNorth",
    "ChinaNorth2",
    "ChinaNorth3",
    "EastAsia",
    "EastUS",
    "EastUS2",
    "FranceCentral",
    "FranceSouth",
    "GermanyNorth",
    "GermanyWestCentral",
    "IndonesiaCentral",
    "IsraelCentral",
    "ItalyNorth",
    "JapanEast",
    "JapanWest",
    "JioIndiaCentral",
    "JioIndiaWest",
    "KoreaCentral",
    "KoreaSouth",
    "MalaysiaWest",
    "MexicoCentral",
    "NewZealandNorth",
    "NorthCentralUS",
    "NorthEurope",
    "NorwayEast",
    "NorwayWest",
    "PolandCentral",
    "QatarCentral",
    "SouthAfricaNorth",
    "SouthAfricaWest",
    "SouthCentralUS",
    "SouthIndia",
    "SoutheastAsia",
    "SpainCentral",
    "SwedenCentral",
    "SwedenSouth",
    "SwitzerlandNorth",
    "SwitzerlandWest",
    "UAECentral",
    "UAENorth",
    "UKSouth",
    "UKWest",
    "USDoDCentral",
    "USDoDEast",
    "USGovArizona",
    "USGovTexas",
    "USGovVirginia",
    "WestCentralUS",
    "WestEurope",
    "WestIndia",
    "WestUS",
    "WestUS2",
    "WestUS3",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(cidr: &str) -> Peer {
        Peer::Cidr { cidr: cidr.to_owned() }
    }

    fn service(tag: &str) -> Peer {
        Peer::ServiceTag { tag: tag.to_owned() }
    }

    #[test]
    fn a_prefix_is_everybody_a_range_or_a_tag() {
        for (prefix, peer) in [
            ("*", Peer::Any),
            (" * ", Peer::Any),
            ("Any", Peer::Any),
            ("10.1.2.3/8", cidr("10.0.0.0/8")),
            ("10.1.2.3", cidr("10.1.2.3/32")),
            ("2001:0DB8::1", cidr("2001:db8::1/128")),
            ("0:0::/0", cidr("::/0")),
            ("10.0.0.0-10.0.0.255", cidr("10.0.0.0/24")),
            ("10.0.0.1 - 10.0.0.9", cidr("10.0.0.1-10.0.0.9")),
            ("0.0.0.0-255.255.255.255", cidr("0.0.0.0/0")),
            ("10.0.0.0/33", cidr("10.0.0.0/33")),
            ("internet", service("Internet")),
            ("VIRTUALNETWORK", service("VirtualNetwork")),
            ("azureLoadBalancer", service("AzureLoadBalancer")),
            ("storage.westeurope", service("Storage.WestEurope")),
            ("Storage.EASTUS2", service("Storage.EastUS2")),
            ("AzureFrontDoor.BackEnd", service("AzureFrontDoor.Backend")),
            ("SQL.Nowhere", service("Sql.nowhere")),
            ("NewTag", service("newtag")),
            ("10.0.0.9-10.0.0.1", service("10.0.0.9-10.0.0.1")),
        ] {
            assert_eq!(Peer::azure(prefix), peer, "{prefix}");
        }
        assert_eq!(Peer::azure("*").part(), None);
        assert_eq!(Peer::azure("Sql").part(), Some(service("Sql")));
    }

    #[test]
    fn application_groups_go_by_their_folded_id() {
        let id = "/subscriptions/s/resourcegroups/rg/providers/microsoft.network/applicationsecuritygroups/web";
        let written = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Network/applicationSecurityGroups/Web/";
        assert_eq!(Peer::application_group(written), Peer::ApplicationGroup { id: id.to_owned() });
    }

    #[test]
    fn protocols_and_ports_are_the_canonical_words() {
        for (word, want) in [("Tcp", "tcp"), ("UDP", "udp"), ("icmp", "icmp"), ("Esp", "esp"), ("AH", "ah"), ("*", "all"), ("Sctp", "sctp")]
        {
            assert_eq!(protocol(word), want);
        }
        for (protocol, range, want) in [
            ("tcp", "*", "all"),
            ("tcp", "22", "22"),
            ("udp", " 8000 - 8080 ", "8000-8080"),
            ("tcp", "0-65535", "all"),
            ("tcp", "22-22", "22"),
            ("tcp", "080", "80"),
            ("all", "22", "22"),
            ("all", "*", "all"),
            ("icmp", "22", "all"),
            ("esp", "*", "all"),
            ("tcp", "80-22", "80-22"),
            ("tcp", "70000", "70000"),
            ("tcp", "", "all"),
        ] {
            assert_eq!(ports(protocol, range), want, "{protocol} {range}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is written: what was made canonical once stays as it is, and the case of letters does not show.
        #[test]
        fn there_is_one_spelling(text in r"[ *0-9a-fA-F.:/-]{0,20}|[a-zA-Z0-9]{1,12}(\.[a-zA-Z0-9]{1,12})?", shout: bool) {
            let peer = Peer::azure(&text);
            let other = if shout { text.to_uppercase() } else { text.to_lowercase() };
            let is_free_text = matches!(&peer, Peer::Cidr { cidr } if cidr.parse::<IpNet>().is_err() && ends(cidr).is_none());
            if !is_free_text {
                prop_assert_eq!(Peer::azure(&other), peer.clone());
            }
            match &peer {
                Peer::Cidr { cidr: text } | Peer::ServiceTag { tag: text } => prop_assert_eq!(Peer::azure(text), peer.clone()),
                _ => prop_assert_eq!(&peer, &Peer::Any),
            }
        }

        /// A range has the addresses between its ends, and no others.
        #[test]
        fn networks_are_what_lies_between(first: u32, last: u32, address: u32) {
            let (first, last, address) = (IpAddr::V4(first.into()), IpAddr::V4(last.into()), IpAddr::V4(address.into()));
            let networks = networks(&format!("{first}-{last}"));
            prop_assert_eq!(networks.iter().any(|net| net.contains(&address)), (first..=last).contains(&address));
        }
    }
}
