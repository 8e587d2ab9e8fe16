//! Subscriptions, groups, locations, permissions, sizes of machines, management groups.

use serde_json::{Value, json};

use super::{put, time};
use crate::{
    ids,
    kind::Kind,
    world::{Application, Base, ResourceGroup, Subscription, Vm, World},
};

pub(crate) fn subscription(subscription: &Subscription, tenant: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{}", subscription.id),
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "tags": subscription.tags,
        "subscriptionId": subscription.id,
        "tenantId": tenant,
        "displayName": subscription.display_name,
        "state": subscription.state.name(),
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "EnterpriseAgreement_2014-09-01", "spendingLimit": "Off"},
    })
}

pub(crate) fn resource_group(subscription: &str, group: &ResourceGroup) -> Value {
    let mut item = json!({
        "id": format!("/subscriptions/{subscription}/resourceGroups/{}", group.name),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "properties": {"provisioningState": "Succeeded"},
    });
    put(&mut item, "managedBy", group.managed_by.clone());
    put(&mut item, "tags", group.tags.as_ref().map(|tags| json!(tags)));
    item
}

/// The id of a resource group.
pub(crate) fn group_resource(subscription: &str, group: &ResourceGroup) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{}", group.name)
}

/// A row of the list of all resources: no properties.
pub(crate) fn resource_row(base: &Base, kind: Kind, vm: Option<&Vm>, expand: &[String]) -> Value {
    let mut item = json!({"id": base.id, "name": base.name(), "type": kind.full_name(), "location": base.location});
    put(&mut item, "tags", base.tags.as_ref().map(|tags| json!(tags)));
    let created = vm.map_or(1_770_109_872, |vm| vm.created.as_second());
    let at = jiff::Timestamp::from_second(created).unwrap_or_default();
    for field in expand {
        match field.as_str() {
            "createdTime" => put(&mut item, "createdTime", Some(time(at))),
            "changedTime" => put(&mut item, "changedTime", Some(time(at))),
            _ => put(&mut item, "provisioningState", Some("Succeeded")),
        }
    }
    item
}

/// The regions that every subscription sees: name, display name, whether it is a place.
pub(crate) const LOCATIONS: [(&str, &str, bool); 8] = [
    ("eastus", "East US", true),
    ("germanywestcentral", "Germany West Central", true),
    ("northeurope", "North Europe", true),
    ("swedencentral", "Sweden Central", true),
    ("uksouth", "UK South", true),
    ("westeurope", "West Europe", true),
    ("europe", "Europe", false),
    ("global", "Global", false),
];

pub(crate) fn location(subscription: &str, (name, display, physical): (&str, &str, bool)) -> Value {
    json!({
        "id": format!("/subscriptions/{subscription}/locations/{name}"),
        "name": name,
        "type": "Region",
        "displayName": display,
        "regionalDisplayName": display,
        "metadata": {"regionType": if physical { "Physical" } else { "Logical" }, "regionCategory": if physical { "Recommended" } else { "Other" }},
    })
}

/// What the principal may do at a subscription, role by role.
pub(crate) fn permission(application: &Application, scope_reaches: impl Fn(&str) -> bool) -> Vec<Value> {
    application
        .assignments
        .iter()
        .filter(|assignment| scope_reaches(&assignment.scope))
        .map(|assignment| json!({"actions": assignment.actions, "notActions": assignment.not_actions, "dataActions": [], "notDataActions": []}))
        .collect()
}

/// Sizes of machines: name, vCPUs, GiB, architecture.
const SIZES: [(&str, &str, &str, &str); 10] = [
    ("Standard_B2ms", "2", "8", "x64"),
    ("Standard_D2s_v5", "2", "8", "x64"),
    ("Standard_D4s_v5", "4", "16", "x64"),
    ("Standard_D8ps_v5", "8", "32", "Arm64"),
    ("Standard_D8s_v5", "8", "32", "x64"),
    ("Standard_E4s_v5", "4", "32", "x64"),
    ("Standard_F4s_v2", "4", "8", "x64"),
    ("Standard_M416ms_v2", "416", "11400", "x64"),
    ("Standard_B1ls", "1", "0.5", "x64"),
    ("Standard_L8s_v3", "8", "64", "x64"),
];

/// The sizes of machines and disks that a region has; in all regions without one.
pub(crate) fn skus(region: Option<&str>) -> Vec<Value> {
    let mut rows = Vec::new();
    for (name, _, physical) in LOCATIONS {
        if !physical || region.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(name)) {
            continue;
        }
        for (size, cpus, memory, architecture) in SIZES {
            // A size that may not be used here is listed all the same.
            let restrictions = if size == "Standard_M416ms_v2" {
                json!([{"type": "Location", "values": [name], "restrictionInfo": {"locations": [name]}, "reasonCode": "NotAvailableForSubscription"}])
            } else {
                json!([])
            };
            rows.push(json!({
                "resourceType": "virtualMachines",
                "name": size,
                "tier": "Standard",
                "size": size.trim_start_matches("Standard_"),
                "family": format!("{}Family", size.to_ascii_lowercase()),
                "locations": [name],
                "locationInfo": [{"location": name, "zones": ["1", "2", "3"], "zoneDetails": []}],
                "capabilities": [
                    {"name": "MaxResourceVolumeMB", "value": "0"},
                    {"name": "vCPUs", "value": cpus},
                    {"name": "MemoryGB", "value": memory},
                    {"name": "CpuArchitectureType", "value": architecture},
                ],
                "restrictions": restrictions,
            }));
        }
        rows.push(json!({
            "resourceType": "disks", "name": "Premium_LRS", "tier": "Premium", "size": "P10", "locations": [name],
            "locationInfo": [{"location": name, "zones": ["1", "2", "3"]}],
            "capabilities": [{"name": "MaxSizeGiB", "value": "128"}], "restrictions": [],
        }));
    }
    rows
}

/// What is below a management group.
pub(crate) fn descendant(world: &World, id: &str) -> Option<Value> {
    let name = ids::name(id);
    let root = &world.tenant;
    let (kind, display, parent) = if id.starts_with("/subscriptions/") {
        let subscription = world.find(name)?;
        ("Microsoft.Management/managementGroups/subscriptions", &subscription.display_name, subscription.management_group.as_ref())
    } else {
        let group = world.management_groups.get(name)?;
        ("Microsoft.Management/managementGroups", &group.display_name, group.parent.as_ref())
    };
    let parent = format!("/providers/Microsoft.Management/managementGroups/{}", parent.unwrap_or(root));
    Some(json!({"id": id, "type": kind, "name": name, "properties": {"displayName": display, "parent": {"id": parent}}}))
}
