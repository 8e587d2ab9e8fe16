//! The closed vocabularies of the model: kinds, relation types, providers.

/// A word that is not one of a closed vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {vocabulary} `{word}`")]
pub struct UnknownWord {
    /// Which vocabulary was asked, for example `resource kind`.
    pub vocabulary: &'static str,
    /// The word as given.
    pub word: String,
}

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident => $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as files, the ledger and the command line spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::model::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::model::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::model::UnknownWord { vocabulary: $what, word: word.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// What a resource is, independent of the provider.
    Kind, "resource kind" {
        /// AWS account, Azure subscription.
        Account => "account",
        /// AWS region, Azure location.
        Region => "region",
        /// Availability zone.
        Zone => "zone",
        /// Azure resource group.
        ResourceGroup => "resource_group",
        /// VPC, virtual network.
        Network => "network",
        /// Subnet.
        Subnet => "subnet",
        /// Security group, network security group; with its rules.
        SecurityGroup => "security_group",
        /// EC2 instance, virtual machine, scale-set instance.
        Instance => "instance",
        /// Auto Scaling group, virtual machine scale set, named fleet.
        ScalingGroup => "scaling_group",
        /// ENI, NIC.
        NetworkInterface => "network_interface",
        /// EBS volume, managed disk.
        Volume => "volume",
        /// Elastic IP, public IP.
        PublicAddress => "public_address",
        /// ALB, NLB, GWLB, classic ELB, Azure load balancer, application gateway.
        LoadBalancer => "load_balancer",
        /// Target group, backend address pool.
        Pool => "pool",
        /// An application service, derived from tags.
        Service => "service",
    }
}

vocabulary! {
    /// Type of a directed edge between two resources.
    RelationType, "relation type" {
        /// The `from` end lies in the `to` end (zone, region, subnet, network).
        LocatedIn => "located_in",
        /// The `from` end contains the `to` end.
        Contains => "contains",
        /// instance → scaling group.
        MemberOf => "member_of",
        /// instance, interface, subnet or balancer → security group.
        ProtectedBy => "protected_by",
        /// security group → security group, by reference in a rule.
        Allows => "allows",
        /// volume, interface, address → instance.
        AttachedTo => "attached_to",
        /// interface → subnet.
        ConnectedTo => "connected_to",
        /// balancer → pool → instance.
        RoutesTo => "routes_to",
        /// service → balancer, pool or instance.
        DependsOn => "depends_on",
    }
}

vocabulary! {
    /// Where a resource comes from. `*` is for resources derived across providers.
    Provider, "provider" {
        /// Amazon Web Services.
        Aws => "aws",
        /// Microsoft Azure.
        Azure => "azure",
        /// Derived across providers (services).
        Any => "*",
    }
}

vocabulary! {
    /// The neutral state of an instance. AWS `shutting-down` counts as `stopping`, a deallocated Azure VM as `stopped`.
    InstanceState, "instance state" {
        /// Being started for the first time.
        Pending => "pending",
        /// Running.
        Running => "running",
        /// On the way to `stopped` or `terminated`.
        Stopping => "stopping",
        /// Stopped, can be started again.
        Stopped => "stopped",
        /// Its life has ended: positive evidence.
        Terminated => "terminated",
        /// The provider gave a state that has no neutral word.
        Unknown => "unknown",
    }
}
