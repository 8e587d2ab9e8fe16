//! The kinds of resources that are served.

use crate::world::{Base, Subscription};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Vm,
    ScaleSet,
    Disk,
    Nic,
    SecurityGroup,
    ApplicationGroup,
    Vnet,
    PublicIp,
    LoadBalancer,
    Gateway,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Vm,
        Self::ScaleSet,
        Self::Disk,
        Self::Nic,
        Self::SecurityGroup,
        Self::ApplicationGroup,
        Self::Vnet,
        Self::PublicIp,
        Self::LoadBalancer,
        Self::Gateway,
    ];

    /// As `Microsoft.Compute/disks`.
    pub(crate) fn full_name(self) -> &'static str {
        match self {
            Self::Vm => "Microsoft.Compute/virtualMachines",
            Self::ScaleSet => "Microsoft.Compute/virtualMachineScaleSets",
            Self::Disk => "Microsoft.Compute/disks",
            Self::Nic => "Microsoft.Network/networkInterfaces",
            Self::SecurityGroup => "Microsoft.Network/networkSecurityGroups",
            Self::ApplicationGroup => "Microsoft.Network/applicationSecurityGroups",
            Self::Vnet => "Microsoft.Network/virtualNetworks",
            Self::PublicIp => "Microsoft.Network/publicIPAddresses",
            Self::LoadBalancer => "Microsoft.Network/loadBalancers",
            Self::Gateway => "Microsoft.Network/applicationGateways",
        }
    }

    /// As `disks`.
    pub(crate) fn name(self) -> &'static str {
        self.full_name().split_once('/').map_or("", |(_, name)| name)
    }

    /// As `Microsoft.Compute`.
    pub(crate) fn namespace(self) -> &'static str {
        self.full_name().split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// What is called so, in whatever case.
    pub(crate) fn of(namespace: &str, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.namespace().eq_ignore_ascii_case(namespace) && kind.name().eq_ignore_ascii_case(name))
    }

    /// The resources of this kind, by their folded ids.
    pub(crate) fn bases(self, subscription: &Subscription) -> Vec<(&str, &Base)> {
        macro_rules! each {
            ($field:ident) => {
                subscription.$field.iter().map(|(key, item)| (key.as_str(), &item.base)).collect()
            };
        }
        match self {
            Self::Vm => each!(vms),
            Self::ScaleSet => each!(scale_sets),
            Self::Disk => each!(disks),
            Self::Nic => each!(nics),
            Self::SecurityGroup => each!(security_groups),
            Self::ApplicationGroup => subscription.application_groups.iter().map(|(key, base)| (key.as_str(), base)).collect(),
            Self::Vnet => each!(vnets),
            Self::PublicIp => each!(public_ips),
            Self::LoadBalancer => each!(load_balancers),
            Self::Gateway => each!(gateways),
        }
    }
}
