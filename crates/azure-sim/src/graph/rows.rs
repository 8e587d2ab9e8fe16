//! What the tables hold.

use std::{borrow::Cow, cell::OnceCell, rc::Rc};

use serde_json::{Value, json};

use super::kql::Table;
use crate::{
    access::Caller,
    arm::read_action,
    ids,
    index::Index,
    kind::Kind,
    render::{self, GroupCase, View},
    world::{Subscription, World},
};

/// The columns of the tables.
pub(super) const COLUMNS: [&str; 17] = [
    "id",
    "name",
    "type",
    "tenantId",
    "kind",
    "location",
    "resourceGroup",
    "subscriptionId",
    "managedBy",
    "sku",
    "plan",
    "properties",
    "tags",
    "identity",
    "zones",
    "extendedLocation",
    "apiVersion",
];

/// A row. What is dear to make is made when it is asked for.
pub(super) struct Row<'a> {
    raw_id: Cow<'a, str>,
    id: OnceCell<String>,
    kind: Rc<str>,
    subscription: &'a str,
    tenant: &'a str,
    full: OnceCell<Value>,
    make: Box<dyn Fn() -> Value + 'a>,
}

impl<'a> Row<'a> {
    fn new(id: impl Into<Cow<'a, str>>, kind: &Rc<str>, subscription: &'a str, tenant: &'a str, make: impl Fn() -> Value + 'a) -> Self {
        Self {
            raw_id: id.into(),
            id: OnceCell::new(),
            kind: Rc::clone(kind),
            subscription,
            tenant,
            full: OnceCell::new(),
            make: Box::new(make),
        }
    }

    /// The id as the graph has it.
    pub(super) fn id(&self) -> &str {
        self.id.get_or_init(|| ids::group_lower(&self.raw_id))
    }

    /// The value of a column, or of a field inside of one; null where there is none.
    pub(super) fn get(&self, path: &[String]) -> Value {
        let Some((column, fields)) = path.split_first() else { return Value::Null };
        let value = match column.as_str() {
            "id" => json!(self.id()),
            "type" => json!(&*self.kind),
            "subscriptionId" => json!(self.subscription),
            "tenantId" => json!(self.tenant),
            "resourceGroup" => json!(ids::group(self.id())),
            _ => {
                let full = self.full.get_or_init(|| (self.make)());
                let found = full.get(column);
                return fields.iter().fold(found, |value, field| value?.get(field)).cloned().unwrap_or_default();
            }
        };
        if fields.is_empty() { value } else { Value::Null }
    }
}

/// What a table holds for a caller.
pub(super) fn rows<'a>(
    table: Table,
    world: &'a World,
    index: &'a Index,
    caller: &'a Caller,
    subscriptions: &[&'a Subscription],
) -> Vec<Row<'a>> {
    let view = View { index, vm_case: GroupCase::Lower };
    let mut rows = Vec::new();
    for subscription in subscriptions {
        match table {
            Table::Resources => resources(world, subscription, caller, view, &mut rows),
            Table::ComputeResources => instances(world, subscription, caller, view, &mut rows),
            Table::ResourceContainers => containers(world, subscription, caller, &mut rows),
        }
    }
    rows
}

fn resources<'a>(world: &'a World, subscription: &'a Subscription, caller: &Caller, view: View<'a>, rows: &mut Vec<Row<'a>>) {
    for kind in Kind::ALL {
        let name: Rc<str> = kind.full_name().to_ascii_lowercase().into();
        let action = read_action(kind);
        let all = caller.may(world, &action, &format!("/subscriptions/{}", subscription.id));
        for (key, base) in kind.bases(subscription) {
            if !all && !caller.may(world, &action, key) {
                continue;
            }
            rows.push(Row::new(base.id.as_str(), &name, &subscription.id, &world.tenant, move || {
                let mut item = render::resource(kind, subscription, key, view).unwrap_or_default();
                if kind == Kind::Vm
                    && let Some(power) = subscription.vms.get(key).and_then(|vm| vm.power)
                {
                    extend(&mut item, power.name());
                }
                item
            }));
        }
    }
}

/// Adds how a machine runs, where the graph has it.
fn extend(item: &mut Value, power: &str) {
    let state = json!({"code": format!("PowerState/{power}"), "displayStatus": format!("VM {power}"), "level": "Info"});
    if let Some(properties) = item.get_mut("properties") {
        render::put(properties, "extended", Some(json!({"instanceView": {"powerState": state}})));
    }
}

fn instances<'a>(world: &'a World, subscription: &'a Subscription, caller: &Caller, view: View<'a>, rows: &mut Vec<Row<'a>>) {
    const VM: &str = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines";
    let (vm, nic): (Rc<str>, Rc<str>) = (VM.to_ascii_lowercase().into(), format!("{VM}/networkInterfaces").to_ascii_lowercase().into());
    for set in subscription.scale_sets.values() {
        let may = |action: &str| caller.may(world, action, &set.base.id);
        let vms = may("Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read");
        let nics = may("Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read");
        for (number, instance) in &set.instances {
            if vms {
                rows.push(Row::new(set.instance_id(*number), &vm, &subscription.id, &world.tenant, move || {
                    let mut item = render::instance(set, *number, instance, view);
                    if let Some(power) = instance.power {
                        extend(&mut item, power.name());
                    }
                    item
                }));
            }
            if nics {
                rows.push(Row::new(set.nic_id(*number), &nic, &subscription.id, &world.tenant, move || {
                    let mut item = render::instance_nic(set, *number, instance);
                    render::put(&mut item, "location", Some(set.base.location.clone()));
                    item
                }));
            }
        }
    }
}

fn containers<'a>(world: &'a World, subscription: &'a Subscription, caller: &Caller, rows: &mut Vec<Row<'a>>) {
    let id = format!("/subscriptions/{}", subscription.id);
    let kind: Rc<str> = "microsoft.resources/subscriptions".into();
    rows.push(Row::new(id, &kind, &subscription.id, &world.tenant, move || {
        json!({
            "name": subscription.display_name,
            "tags": subscription.tags,
            "properties": {"state": subscription.state.name(), "managedByTenants": []},
        })
    }));
    let action = "Microsoft.Resources/subscriptions/resourceGroups/read";
    let kind: Rc<str> = "microsoft.resources/subscriptions/resourcegroups".into();
    for group in subscription.groups.values() {
        let id = render::group_resource(&subscription.id, group);
        if caller.may(world, action, &id) {
            rows.push(Row::new(id, &kind, &subscription.id, &world.tenant, move || render::resource_group(&subscription.id, group)));
        }
    }
}
