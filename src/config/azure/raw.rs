//! The parts of an Azure source as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;

use dewpoint_azure_settings::{Collector, Endpoints, Rates};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::leaf::{AuthorityUrl, ClientId, HttpsUrl, IdentityId, ManagementGroupName, ObjectId, SubscriptionId};
use crate::config::leaf::{FilePath, Written};
use crate::config::rates::rates;
use crate::config::secret::SecretRef;

/// As whom Azure is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "AzureCredential")]
pub(in crate::config) enum RawCredential {
    /// An application, by a secret of its own.
    #[schemars(extend("x-help" = "for example `{ kind: client_secret, client_id: env:AZURE_CLIENT_ID, client_secret: env:AZURE_CLIENT_SECRET }`"))]
    ClientSecret {
        /// Id of the application, or a reference to it: `env:NAME` or `file:PATH`.
        client_id: Written<ClientId>,
        /// Value of the secret, as a reference: `env:NAME` or `file:PATH`.
        client_secret: Written<SecretRef>,
    },
    /// An application, by a certificate that it is registered with.
    ClientCertificate {
        /// Id of the application, or a reference to it: `env:NAME` or `file:PATH`.
        client_id: Written<ClientId>,
        /// Certificate and unencrypted RSA key in PEM, as a reference: `file:PATH` or `env:NAME`.
        certificate: Written<SecretRef>,
    },
    /// An application or a user-assigned identity, by a token that somebody else issues for this process, such as a Kubernetes cluster.
    WorkloadIdentity {
        /// Its client id, or a reference to it: `env:NAME` or `file:PATH`. As AZURE_CLIENT_ID of the environment says without it.
        #[serde(default)]
        client_id: Option<Written<ClientId>>,
        /// File that holds the token. As AZURE_FEDERATED_TOKEN_FILE of the environment says without it.
        #[serde(default)]
        token_file: Option<Written<FilePath>>,
    },
    /// The identity of the machine, or of the service, that Dewpoint runs on; of several the one that is named.
    ManagedIdentity {
        /// Client id of a user-assigned identity, or a reference to it: `env:NAME` or `file:PATH`.
        #[serde(default)]
        client_id: Option<Written<ClientId>>,
        /// Object id of a user-assigned identity: that of its principal.
        #[serde(default)]
        object_id: Option<Written<ObjectId>>,
        /// Resource id of a user-assigned identity.
        #[serde(default)]
        resource_id: Option<Written<IdentityId>>,
    },
    /// Whoever is logged in at the Azure CLI.
    AzureCli {},
}

/// Which subscriptions are read, in one of three forms.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum RawSubscriptions {
    All(All),
    Listed(Vec<Written<SubscriptionId>>),
    Below(RawManagementGroup),
}

/// The word for all subscriptions.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum All {
    All,
}

/// The subscriptions below a management group.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AzureManagementGroup")]
pub(in crate::config) struct RawManagementGroup {
    /// Name of the management group: the last part of its id.
    pub(super) management_group: Written<ManagementGroupName>,
}

impl Default for RawSubscriptions {
    fn default() -> Self {
        Self::All(All::All)
    }
}

impl JsonSchema for RawSubscriptions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AzureSubscriptions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut list = generator.subschema_for::<Vec<Written<SubscriptionId>>>();
        list.insert("minItems".to_owned(), 1.into());
        json_schema!({
            "anyOf": [{ "const": "all" }, list, generator.subschema_for::<RawManagementGroup>()],
            "x-expected": "`all`, a list or a management group",
            "x-help": "write `all`, a list such as `[11111111-2222-3333-4444-555555555555]`, or `{ management_group: NAME }`",
        })
    }
}

/// How resources are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AzureCollector")]
pub(in crate::config) enum RawCollector {
    /// By the lists of Azure Resource Manager.
    #[default]
    Arm,
    /// By queries of Azure Resource Graph: far fewer calls. What it does not show is looked up before a record is retired.
    ResourceGraph,
}

impl From<RawCollector> for Collector {
    fn from(raw: RawCollector) -> Self {
        match raw {
            RawCollector::Arm => Self::Arm,
            RawCollector::ResourceGraph => Self::ResourceGraph,
        }
    }
}

/// Which of Microsoft's clouds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AzureCloud")]
#[schemars(extend("x-help" = "the cloud `germany` was closed in 2021, and Azure's regions in Germany are in `public`; what is in none of these has its addresses under `endpoints`"))]
pub(in crate::config) enum RawCloud {
    /// Azure as most know it.
    #[default]
    Public,
    /// Azure Government of the United States.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
}

impl RawCloud {
    /// The words of the configuration; what is none of them, or not written, is the default.
    pub(super) fn of(word: Option<&str>) -> Self {
        match word {
            Some("us_government") => Self::UsGovernment,
            Some("china") => Self::China,
            _ => Self::Public,
        }
    }

    pub(super) fn endpoints(self) -> Endpoints {
        match self {
            Self::Public => Endpoints::public(),
            Self::UsGovernment => Endpoints::us_government(),
            Self::China => Endpoints::china(),
        }
    }
}

/// Addresses that take the place of the cloud's: for emulators and for clouds of one's own. All are https.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "AzureEndpoints")]
#[schemars(extend("x-help" = "for example `{ resource_manager: https://management.local.azurestack.external }`"))]
pub(in crate::config) struct RawEndpoints {
    /// Where tokens are issued.
    #[schemars(example = "https://login.microsoftonline.com")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authority: Option<Written<AuthorityUrl>>,
    /// Azure Resource Manager.
    #[schemars(example = "https://management.azure.com")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_manager: Option<Written<HttpsUrl>>,
    /// Whom tokens are for. That of the cloud, or where `resource_manager` is given the origin of that, without it.
    #[schemars(example = "https://management.azure.com")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audience: Option<Written<HttpsUrl>>,
    /// A file of certificates in PEM to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<Written<FilePath>>,
}

impl RawEndpoints {
    /// Those of the cloud, with what takes their place.
    pub(super) fn over(self, cloud: RawCloud) -> Endpoints {
        let Endpoints { authority, resource_manager, audience } = cloud.endpoints();
        let audience = match (&self.audience, &self.resource_manager) {
            (Some(audience), _) => audience.0.0.as_str().trim_end_matches('/').to_owned(),
            (None, Some(resource_manager)) => resource_manager.0.0.origin().ascii_serialization(),
            (None, None) => audience,
        };
        Endpoints {
            authority: self.authority.map_or(authority, |url| url.0.0),
            resource_manager: self.resource_manager.map_or(resource_manager, |url| url.0.0),
            audience,
        }
    }
}

rates! {
    /// How many calls are made at most, by API. Each subscription has these budgets anew, save that of Resource Graph, which is the tenant's.
    RawRates, "AzureRates", Rates;
    /// Calls of an API: `burst` at once, then `requests_per_second`.
    each {
        /// All calls to Azure Resource Manager about a subscription, those of the compute and network providers among them.
        resource_manager: RawResourceManagerRate, "AzureResourceManagerRate";
        /// Those that the compute provider answers.
        compute: RawComputeRate, "AzureComputeRate";
        /// Those that the network provider answers.
        network: RawNetworkRate, "AzureNetworkRate";
        /// Queries of Resource Graph.
        resource_graph: RawResourceGraphRate, "AzureResourceGraphRate";
    }
}
