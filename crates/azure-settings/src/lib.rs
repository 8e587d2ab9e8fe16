//! What Dewpoint's Azure source is told: as whom, where Azure is, which subscriptions, how fast.
//!
//! Apart from the source, so that a configuration can be read and checked without building it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dewpoint_core::model::Account;
pub use dewpoint_core::source::Rate;
use secrecy::SecretString;
use url::Url;

/// As whom Azure is asked. Its secrets are not shown.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An application, by a secret of its own.
    ClientSecret {
        /// The application's id: a GUID.
        client_id: String,
        /// The secret's value.
        secret: SecretString,
    },
    /// An application, by a certificate that it is registered with.
    ClientCertificate {
        /// The application's id: a GUID.
        client_id: String,
        /// Certificate and unencrypted private key in PEM (PKCS#8, or PKCS#1 as `RSA PRIVATE KEY`); of a chain the leaf comes first.
        pem: SecretString,
    },
    /// An application or a user-assigned identity, by a token that somebody else issues for this process, such as a Kubernetes cluster.
    WorkloadIdentity {
        /// Its client id, a GUID; without it `AZURE_CLIENT_ID` of the environment.
        client_id: Option<String>,
        /// File that holds the token, to be read anew each time; without it `AZURE_FEDERATED_TOKEN_FILE` of the environment.
        token_file: Option<PathBuf>,
    },
    /// The identity of the machine, or of the service, that this process runs on.
    ManagedIdentity {
        /// Which of several; without it the one that the system assigned.
        identity: Option<UserAssigned>,
    },
    /// Whoever is logged in at the Azure CLI.
    AzureCli,
}

/// A managed identity that an administrator assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserAssigned {
    /// By its client id: a GUID.
    ClientId(String),
    /// By the id of its principal: a GUID.
    ObjectId(String),
    /// By its resource id: `/subscriptions/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities/…`.
    ResourceId(String),
}

/// Which subscriptions are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscriptions {
    /// All of the tenant that the credential can see.
    All,
    /// These, by their ids: GUIDs in lower case; never empty.
    Listed(BTreeSet<Account>),
    /// All below the management group of this name.
    ManagementGroup(String),
}

/// How resources are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Collector {
    /// By the lists of Resource Manager, each of which shows what there is.
    #[default]
    Arm,
    /// By queries of Resource Graph, an index: far fewer calls, and no absence that could be relied on.
    ResourceGraph,
}

/// Where Azure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Where tokens are issued; https, and without a path.
    pub authority: Url,
    /// Azure Resource Manager; https.
    pub resource_manager: Url,
    /// Whom tokens are for, without a slash at the end: their scope is `{audience}/.default`.
    pub audience: String,
}

impl Endpoints {
    /// Azure as most know it.
    #[must_use]
    pub fn public() -> Self {
        Self::of("https://login.microsoftonline.com", "https://management.azure.com")
    }

    /// Azure Government of the United States.
    ///
    /// Source: Azure Government documentation, "Compare Azure Government and global Azure".
    #[must_use]
    pub fn us_government() -> Self {
        Self::of("https://login.microsoftonline.us", "https://management.usgovcloudapi.net")
    }

    /// Azure in China, which 21Vianet operates.
    ///
    /// Source: Azure China documentation, "Azure China developer guide".
    #[must_use]
    pub fn china() -> Self {
        Self::of("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn")
    }

    #[expect(clippy::expect_used, reason = "only the addresses above come here, and a test reads each")]
    fn of(authority: &'static str, resource_manager: &'static str) -> Self {
        let url = |text: &'static str| Url::parse(text).expect("a URL");
        Self { authority: url(authority), resource_manager: url(resource_manager), audience: resource_manager.to_owned() }
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        Self::public()
    }
}

/// The budget of each API. Each subscription has the first three anew; Resource Graph's is the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// All calls to Azure Resource Manager about a subscription, those of the other two among them.
    pub resource_manager: Rate,
    /// Those that the compute provider answers.
    pub compute: Rate,
    /// Those that the network provider answers.
    pub network: Rate,
    /// Queries of Resource Graph.
    pub resource_graph: Rate,
}

impl Default for Rates {
    /// Each below what is published, so that our calls alone empty no bucket:
    ///
    /// - Resource Manager gives a principal in a subscription 250 reads, and 25 a second from then on.
    /// - Compute's narrowest limit, on lists of machines, is shared by all principals of a subscription: 900, and 300 a minute from then on. The budget
    ///   leaves them more than half of the bucket and a fifth of what runs in.
    /// - Network takes 10 000 reads in five minutes; Resource Manager lets fewer through.
    /// - Resource Graph takes 15 queries in five seconds.
    ///
    /// Source: Azure Resource Manager documentation, "Understand how Azure Resource Manager throttles requests"; Azure Virtual Machines documentation,
    /// "Compute throttling limits"; Azure Resource Graph documentation, "Guidance for throttled requests".
    fn default() -> Self {
        Self {
            resource_manager: Rate::new(20, 200),
            compute: Rate::new(4, 400),
            network: Rate::new(20, 200),
            resource_graph: Rate::new(2, 4),
        }
    }
}

/// The types of resources that the source asks for, as ids spell them.
pub const RESOURCE_TYPES: [&str; 19] = [
    "Microsoft.Authorization/permissions",
    "Microsoft.Compute/disks",
    "Microsoft.Compute/skus",
    "Microsoft.Compute/virtualMachineScaleSets",
    "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces",
    "Microsoft.Compute/virtualMachineScaleSets/publicIPAddresses",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
    "Microsoft.Compute/virtualMachines",
    "Microsoft.Management/managementGroups",
    "Microsoft.Network/applicationGateways",
    "Microsoft.Network/loadBalancers",
    "Microsoft.Network/networkInterfaces",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.ResourceGraph/resources",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Resources/subscriptions",
    "Microsoft.Resources/subscriptions/locations",
];

/// Versions of APIs to ask for, by the type of resource as ids spell it: `Microsoft.Compute/virtualMachines`, without regard to case. What is not
/// listed has the source's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiVersions(BTreeMap<String, String>);

impl ApiVersions {
    /// The version for a type of resource, if one is configured.
    #[must_use]
    pub fn get(&self, resource_type: &str) -> Option<&str> {
        self.0.get(&resource_type.to_ascii_lowercase()).map(String::as_str)
    }

    /// Whether none is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The configured types, in lower case, with their versions.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(resource_type, version)| (resource_type.as_str(), version.as_str()))
    }
}

impl<T: AsRef<str>, V: Into<String>> FromIterator<(T, V)> for ApiVersions {
    /// Of a type that is there twice the last version counts.
    fn from_iter<I: IntoIterator<Item = (T, V)>>(versions: I) -> Self {
        Self(versions.into_iter().map(|(resource_type, version)| (resource_type.as_ref().to_ascii_lowercase(), version.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_addresses_without_paths() {
        for endpoints in [Endpoints::public(), Endpoints::us_government(), Endpoints::china()] {
            for url in [&endpoints.authority, &endpoints.resource_manager] {
                assert_eq!((url.scheme(), url.path(), url.query()), ("https", "/", None));
            }
            assert_eq!(endpoints.audience, endpoints.resource_manager.origin().ascii_serialization());
        }
        assert_eq!(Endpoints::default().audience, "https://management.azure.com");
    }

    /// Calls that a bucket lets through in a time, at most.
    fn most(rate: Rate, seconds: u32) -> u32 {
        rate.burst.get() + rate.per_second.get() * seconds
    }

    #[test]
    fn the_usual_budgets_are_below_the_limits() {
        let Rates { resource_manager, compute, network, resource_graph } = Rates::default();
        assert!(resource_manager.per_second.get() < 25 && resource_manager.burst.get() < 250);
        assert!(compute.per_second.get() * 60 < 300 && compute.burst.get() < 900 / 2);
        assert!(most(network, 5 * 60) < 10_000);
        assert!(most(resource_graph, 5) < 15);
    }

    #[test]
    fn versions_are_found_whatever_the_case() {
        let versions: ApiVersions =
            [("Microsoft.Compute/virtualMachines", "2024-03-01"), ("microsoft.network/LOADBALANCERS", "2020-05-01")].into_iter().collect();
        assert_eq!(versions.get("microsoft.compute/VirtualMachines"), Some("2024-03-01"));
        assert_eq!(versions.get("Microsoft.Network/loadBalancers"), Some("2020-05-01"));
        assert_eq!(versions.get("Microsoft.Network/networkInterfaces"), None);
        assert!(ApiVersions::default().is_empty() && !versions.is_empty());
        assert_eq!(versions.iter().next(), Some(("microsoft.compute/virtualmachines", "2024-03-01")));
    }

    #[test]
    fn secrets_are_not_shown() {
        let client_id = "11111111-1111-4111-8111-111111111111".to_owned();
        let secret = Credential::ClientSecret { client_id: client_id.clone(), secret: "hunter2".into() };
        let certificate = Credential::ClientCertificate { client_id, pem: "hunter2".into() };
        let shown = format!("{secret:?}{certificate:?}");
        assert!(!shown.contains("hunter2") && shown.contains("11111111-"), "{shown}");
    }
}
