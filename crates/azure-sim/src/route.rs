//! What a path asks for.

use crate::kind::Kind;

/// What is asked of Azure Resource Manager. Names stand as the path has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Subscriptions,
    Tenants,
    Subscription(String),
    Locations(String),
    Permissions(String),
    Groups(String),
    Group(String, String),
    Resources(String),
    Skus(String),
    Descendants(String),
    ManagementGroup(String),
    Graph,
    List {
        kind: Kind,
        subscription: String,
        group: Option<String>,
    },
    Get {
        kind: Kind,
        subscription: String,
        group: String,
        name: String,
    },
    InstanceView {
        subscription: String,
        group: String,
        name: String,
    },
    /// Something of a scale set.
    OfSet {
        subscription: String,
        group: String,
        set: String,
        what: OfSet,
    },
}

/// What of a scale set is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OfSet {
    Vms,
    Vm(String),
    VmInstanceView(String),
    Nics,
    VmNics(String),
    PublicIps,
}

impl OfSet {
    fn operation(&self) -> &'static str {
        match self {
            Self::Vms => "virtualMachineScaleSets.virtualMachines.list",
            Self::Vm(_) => "virtualMachineScaleSets.virtualMachines.get",
            Self::VmInstanceView(_) => "virtualMachineScaleSets.virtualMachines.instanceView",
            Self::Nics => "virtualMachineScaleSets.networkInterfaces.list",
            Self::VmNics(_) => "virtualMachineScaleSets.virtualMachines.networkInterfaces.list",
            Self::PublicIps => "virtualMachineScaleSets.publicIPAddresses.list",
        }
    }

    /// Whether the network provider answers, under compute's name.
    pub(crate) fn is_network(&self) -> bool {
        matches!(self, Self::Nics | Self::VmNics(_) | Self::PublicIps)
    }

    /// The action that a role has to give.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Vms | Self::Vm(_) => "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
            Self::VmInstanceView(_) => "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read",
            Self::Nics => "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read",
            Self::VmNics(_) => "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read",
            Self::PublicIps => "Microsoft.Compute/virtualMachineScaleSets/publicIPAddresses/read",
        }
    }
}

impl Route {
    /// What this path, decoded, asks for. Fixed segments can be in any case.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let names: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let fixed: Vec<&str> = lower.iter().map(String::as_str).collect();
        if names.iter().any(|name| name.is_empty()) {
            return None;
        }
        let name = |at: usize| names.get(at).map(|name| (*name).to_owned()).unwrap_or_default();
        match fixed.as_slice() {
            ["subscriptions"] => Some(Self::Subscriptions),
            ["tenants"] => Some(Self::Tenants),
            ["providers", "microsoft.resourcegraph", "resources"] => Some(Self::Graph),
            ["providers", "microsoft.management", "managementgroups", _] => Some(Self::ManagementGroup(name(3))),
            ["providers", "microsoft.management", "managementgroups", _, "descendants"] => Some(Self::Descendants(name(3))),
            ["subscriptions", _] => Some(Self::Subscription(name(1))),
            ["subscriptions", _, "locations"] => Some(Self::Locations(name(1))),
            ["subscriptions", _, "resourcegroups"] => Some(Self::Groups(name(1))),
            ["subscriptions", _, "resources"] => Some(Self::Resources(name(1))),
            ["subscriptions", _, "providers", "microsoft.authorization", "permissions"] => Some(Self::Permissions(name(1))),
            ["subscriptions", _, "providers", "microsoft.compute", "skus"] => Some(Self::Skus(name(1))),
            ["subscriptions", _, "providers", namespace, kind] => {
                Some(Self::List { kind: Kind::of(namespace, kind)?, subscription: name(1), group: None })
            }
            ["subscriptions", _, "resourcegroups", _] => Some(Self::Group(name(1), name(3))),
            ["subscriptions", _, "resourcegroups", _, "providers", namespace, kind, rest @ ..] => {
                let kind = Kind::of(namespace, kind)?;
                let (subscription, group) = (name(1), name(3));
                match (kind, rest) {
                    (_, []) => Some(Self::List { kind, subscription, group: Some(group) }),
                    (_, [_]) => Some(Self::Get { kind, subscription, group, name: name(7) }),
                    (Kind::Vm, [_, "instanceview"]) => Some(Self::InstanceView { subscription, group, name: name(7) }),
                    (Kind::ScaleSet, [_, rest @ ..]) => {
                        let what = match rest {
                            ["virtualmachines"] => OfSet::Vms,
                            ["virtualmachines", _] => OfSet::Vm(name(9)),
                            ["virtualmachines", _, "instanceview"] => OfSet::VmInstanceView(name(9)),
                            ["virtualmachines", _, "networkinterfaces"] => OfSet::VmNics(name(9)),
                            ["networkinterfaces"] => OfSet::Nics,
                            ["publicipaddresses"] => OfSet::PublicIps,
                            _ => return None,
                        };
                        Some(Self::OfSet { subscription, group, set: name(7), what })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// As the log has it.
    pub(crate) fn operation(&self) -> String {
        match self {
            Self::Subscriptions => "subscriptions.list".to_owned(),
            Self::Tenants => "tenants.list".to_owned(),
            Self::Subscription(_) => "subscriptions.get".to_owned(),
            Self::Locations(_) => "locations.list".to_owned(),
            Self::Permissions(_) => "permissions.list".to_owned(),
            Self::Groups(_) => "resourceGroups.list".to_owned(),
            Self::Group(..) => "resourceGroups.get".to_owned(),
            Self::Resources(_) => "resources.list".to_owned(),
            Self::Skus(_) => "skus.list".to_owned(),
            Self::Descendants(_) => "managementGroups.descendants".to_owned(),
            Self::ManagementGroup(_) => "managementGroups.get".to_owned(),
            Self::Graph => "resourceGraph".to_owned(),
            Self::List { kind, .. } => format!("{}.list", kind.name()),
            Self::Get { kind, .. } => format!("{}.get", kind.name()),
            Self::InstanceView { .. } => "virtualMachines.instanceView".to_owned(),
            Self::OfSet { what, .. } => what.operation().to_owned(),
        }
    }

    /// The subscription that the path names.
    pub(crate) fn subscription(&self) -> Option<&str> {
        match self {
            Self::Subscriptions | Self::Tenants | Self::Descendants(_) | Self::ManagementGroup(_) | Self::Graph => None,
            Self::Subscription(id)
            | Self::Locations(id)
            | Self::Permissions(id)
            | Self::Groups(id)
            | Self::Group(id, _)
            | Self::Resources(id)
            | Self::Skus(id) => Some(id),
            Self::List { subscription, .. }
            | Self::Get { subscription, .. }
            | Self::InstanceView { subscription, .. }
            | Self::OfSet { subscription, .. } => Some(subscription),
        }
    }

    /// The provider that answers.
    pub(crate) fn namespace(&self) -> Option<&'static str> {
        match self {
            Self::List { kind, .. } | Self::Get { kind, .. } => Some(kind.namespace()),
            Self::InstanceView { .. } | Self::Skus(_) => Some("Microsoft.Compute"),
            Self::OfSet { what, .. } => Some(if what.is_network() { "Microsoft.Network" } else { "Microsoft.Compute" }),
            _ => None,
        }
    }

    /// What a limit per resource counts by.
    pub(crate) fn resource(&self) -> String {
        match self {
            Self::Get { group, name, .. } | Self::InstanceView { group, name, .. } => format!("{group}/{name}").to_ascii_lowercase(),
            Self::OfSet { group, set, what: OfSet::Vm(number) | OfSet::VmInstanceView(number), .. } => {
                format!("{group}/{set}/{number}").to_ascii_lowercase()
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_any_case() {
        let operation = |path: &str| Route::of(path).map(|route| route.operation());
        let known = |name: &str| Some(name.to_owned());
        assert_eq!(operation("/subscriptions"), known("subscriptions.list"));
        assert_eq!(operation("/SUBSCRIPTIONS/s/resourcegroups"), known("resourceGroups.list"));
        assert_eq!(operation("/subscriptions/s/providers/microsoft.compute/virtualmachines"), known("virtualMachines.list"));
        let set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/n";
        assert_eq!(operation(set), known("virtualMachineScaleSets.get"));
        assert_eq!(operation(&format!("{set}/virtualMachines")), known("virtualMachineScaleSets.virtualMachines.list"));
        assert_eq!(operation(&format!("{set}/networkInterfaces")), known("virtualMachineScaleSets.networkInterfaces.list"));
        for path in ["/", "", "/subscriptions/", "/subscriptions/s/providers/Microsoft.Storage/storageAccounts", &format!("{set}/x")] {
            assert_eq!(operation(path), None, "{path}");
        }
    }
}
