//! The calls that the source makes, each with the action that a role has to allow, the limit that it counts against, and the version it asks for.

/// Calls that share a limit of the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// Azure Resource Manager itself, whose limit all calls to a subscription count against.
    ResourceManager,
    /// The provider of compute.
    Compute,
    /// The provider of networks.
    Network,
    /// Resource Graph.
    ResourceGraph,
}

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action {
    /// As roles name it: what a principal needs for the call.
    pub(crate) name: &'static str,
    /// As ids and the configuration's `api_versions` spell what is asked for.
    pub(crate) resource_type: &'static str,
    pub(crate) family: Family,
    /// The version of the API that the source was written for.
    pub(crate) version: &'static str,
}

macro_rules! actions {
    ($($(#[$meta:meta])* $name:ident = $action:literal, $resource_type:literal, $family:ident, $version:literal;)+) => {
        $($(#[$meta])* pub(crate) const $name: Action =
            Action { name: $action, resource_type: $resource_type, family: Family::$family, version: $version };)+

        #[cfg(test)]
        const ALL: &[Action] = &[$($name),+];
    };
}

// Sources: Azure REST API reference (Subscriptions, Resource Groups, Authorization, Compute, Network, Resource Graph); the actions stand in "Azure
// permissions" (role-based-access-control/resource-provider-operations).
actions! {
    SUBSCRIPTIONS = "Microsoft.Resources/subscriptions/read", "Microsoft.Resources/subscriptions", ResourceManager, "2022-12-01";
    LOCATIONS = "Microsoft.Resources/subscriptions/locations/read", "Microsoft.Resources/subscriptions/locations", ResourceManager, "2022-12-01";
    GROUPS = "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Resources/resourceGroups", ResourceManager, "2021-04-01";
    PERMISSIONS = "Microsoft.Authorization/permissions/read", "Microsoft.Authorization/permissions", ResourceManager, "2022-04-01";
    MANAGEMENT_GROUP = "Microsoft.Management/managementGroups/descendants/read", "Microsoft.Management/managementGroups", ResourceManager, "2020-05-01";
    MACHINES = "Microsoft.Compute/virtualMachines/read", "Microsoft.Compute/virtualMachines", Compute, "2024-07-01";
    SETS = "Microsoft.Compute/virtualMachineScaleSets/read", "Microsoft.Compute/virtualMachineScaleSets", Compute, "2024-07-01";
    SET_MACHINES = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read", "Microsoft.Compute/virtualMachineScaleSets/virtualMachines", Compute, "2024-07-01";
    /// Network's own API under compute's name; its versions are older ones.
    SET_INTERFACES = "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read", "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces", Network, "2018-10-01";
    SET_ADDRESSES = "Microsoft.Compute/virtualMachineScaleSets/publicIPAddresses/read", "Microsoft.Compute/virtualMachineScaleSets/publicIPAddresses", Network, "2018-10-01";
    /// No call: the action by which Resource Graph shows the same interfaces.
    SET_INTERFACE_ROWS = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read", "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces", ResourceGraph, "2022-10-01";
    DISKS = "Microsoft.Compute/disks/read", "Microsoft.Compute/disks", Compute, "2024-03-02";
    SIZES = "Microsoft.Compute/skus/read", "Microsoft.Compute/skus", Compute, "2021-07-01";
    INTERFACES = "Microsoft.Network/networkInterfaces/read", "Microsoft.Network/networkInterfaces", Network, "2024-03-01";
    SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups/read", "Microsoft.Network/networkSecurityGroups", Network, "2024-03-01";
    NETWORKS = "Microsoft.Network/virtualNetworks/read", "Microsoft.Network/virtualNetworks", Network, "2024-03-01";
    ADDRESSES = "Microsoft.Network/publicIPAddresses/read", "Microsoft.Network/publicIPAddresses", Network, "2024-03-01";
    BALANCERS = "Microsoft.Network/loadBalancers/read", "Microsoft.Network/loadBalancers", Network, "2024-03-01";
    GATEWAYS = "Microsoft.Network/applicationGateways/read", "Microsoft.Network/applicationGateways", Network, "2024-03-01";
    /// Needs no action of its own: what a principal may read is what it is shown.
    GRAPH = "Microsoft.ResourceGraph/resources/read", "Microsoft.ResourceGraph/resources", ResourceGraph, "2022-10-01";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dewpoint_azure_settings::RESOURCE_TYPES;

    use super::*;

    #[test]
    fn versions_can_be_set_for_what_is_asked_for_and_for_nothing_else() {
        let asked: BTreeSet<&str> = ALL.iter().map(|action| action.resource_type).collect();
        assert_eq!(asked, BTreeSet::from(RESOURCE_TYPES));
    }
}
