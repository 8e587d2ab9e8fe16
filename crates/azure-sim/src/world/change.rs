//! Changes to a world that is being served.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Power, Subscription, SubscriptionState, Vm, World};
use crate::{ids, kind::Kind};

/// A change, also as JSON for programs that drive the simulator over HTTP. A machine is named by its resource id, in whatever case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Takes a machine away, with its interfaces and disks; or whatever else has this id.
    Delete {
        /// The resource's id.
        id: String,
    },
    /// The machine is on its way out: listed, and not found when it is asked for by itself.
    StartDelete {
        /// The machine's id.
        id: String,
    },
    /// The machine was deleted and made again under its name: another `vmId`, the same resource id.
    Recreate {
        /// The machine's id.
        id: String,
    },
    /// Moves a machine to another resource group with its interfaces and disks: other resource ids, the same `vmId`.
    Move {
        /// The machine's id.
        id: String,
        /// The other group; made if it is not there.
        group: String,
    },
    /// Sets how a machine runs; nothing is no power state at all. Of a uniform scale set's instance, too.
    SetPower {
        /// The machine's id.
        id: String,
        /// How it runs.
        power: Option<Power>,
    },
    /// Sets a resource's tag, or takes it away when there is no value.
    Tag {
        /// The resource's id.
        id: String,
        /// The tag's name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// Sets how a subscription stands.
    SubscriptionState {
        /// The subscription.
        subscription: String,
        /// How it stands from now on.
        state: SubscriptionState,
    },
    /// Makes a machine, as [`GroupBuilder::vm`](super::GroupBuilder::vm) does.
    Create {
        /// The machine's id.
        id: String,
    },
    /// Takes an action away from an application, wherever it was assigned; see [`Application::may_not`](super::Application::may_not).
    Deny {
        /// The client id.
        client: String,
        /// As `Microsoft.Compute/disks/read`.
        action: String,
    },
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{0}`")]
pub struct ChangeError(String);

impl World {
    /// Makes one change.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<(), ChangeError> {
        match change {
            Change::Delete { id } => self.holder(id)?.delete(id),
            Change::StartDelete { id } => self.vm_mut(id).map(|vm| "Deleting".clone_into(&mut vm.provisioning)),
            Change::Recreate { id } => self.vm_mut(id).map(|vm| {
                vm.vm_id = ids::guid(&["again", &vm.vm_id]);
                vm.created = now;
            }),
            Change::Move { id, group } => self.holder(id)?.move_vm(id, group),
            Change::SetPower { id, power } => self.set_power(id, *power),
            Change::Tag { id, name, value } => {
                let tags = self.holder(id)?.tags_of(id)?.get_or_insert_default();
                match value {
                    Some(value) => tags.insert(name.clone(), value.clone()),
                    None => tags.remove(name),
                };
                Ok(())
            }
            Change::SubscriptionState { subscription, state } => {
                self.holder(&format!("/subscriptions/{subscription}"))?.state = *state;
                Ok(())
            }
            Change::Create { id } => {
                self.holder(id)?.group(ids::group(id), "westeurope").vm(ids::name(id)).edit(|vm| vm.created = now);
                Ok(())
            }
            Change::Deny { client, action } => {
                let application = self.applications.get_mut(&client.to_ascii_lowercase()).ok_or_else(|| ChangeError(client.clone()))?;
                application.may_not(action);
                Ok(())
            }
        }
    }

    /// The machine of this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn vm_mut(&mut self, id: &str) -> Result<&mut Vm, ChangeError> {
        self.holder(id)?.vms.get_mut(&ids::fold(id)).ok_or_else(|| ChangeError(id.to_owned()))
    }

    fn holder(&mut self, id: &str) -> Result<&mut Subscription, ChangeError> {
        let subscription = ids::subscription(id).to_ascii_lowercase();
        self.subscriptions.get_mut(&subscription).ok_or_else(|| ChangeError(id.to_owned()))
    }

    fn set_power(&mut self, id: &str, power: Option<Power>) -> Result<(), ChangeError> {
        let missing = || ChangeError(id.to_owned());
        let subscription = self.holder(id)?;
        if let Some(vm) = subscription.vms.get_mut(&ids::fold(id)) {
            vm.power = power;
            return Ok(());
        }
        let set = subscription.scale_sets.get_mut(&ids::fold(ids::cut(id, "/virtualMachines/"))).ok_or_else(missing)?;
        let number = ids::name(id).parse().map_err(|_| missing())?;
        set.instances.get_mut(&number).ok_or_else(missing)?.power = power;
        Ok(())
    }
}

impl Subscription {
    fn delete(&mut self, id: &str) -> Result<(), ChangeError> {
        let key = ids::fold(id);
        if let Some(vm) = self.vms.remove(&key) {
            for nic in &vm.nics {
                self.nics.remove(&ids::fold(nic));
            }
            for disk in vm.data_disks.iter().map(|disk| &disk.id).chain([&vm.os_disk]) {
                self.disks.remove(&ids::fold(disk));
            }
            return Ok(());
        }
        let set = ids::fold(ids::cut(id, "/virtualMachines/"));
        let instance = ids::name(id).parse().ok().and_then(|number| self.scale_sets.get_mut(&set)?.instances.remove(&number));
        let gone = instance.is_some()
            || self.scale_sets.remove(&key).is_some()
            || self.disks.remove(&key).is_some()
            || self.nics.remove(&key).is_some()
            || self.security_groups.remove(&key).is_some()
            || self.application_groups.remove(&key).is_some()
            || self.vnets.remove(&key).is_some()
            || self.public_ips.remove(&key).is_some()
            || self.load_balancers.remove(&key).is_some()
            || self.gateways.remove(&key).is_some();
        if gone { Ok(()) } else { Err(ChangeError(id.to_owned())) }
    }

    fn move_vm(&mut self, id: &str, group: &str) -> Result<(), ChangeError> {
        let vm = self.vms.get(&ids::fold(id)).ok_or_else(|| ChangeError(id.to_owned()))?;
        let location = vm.base.location.clone();
        let moved: Vec<String> = vm
            .nics
            .iter()
            .cloned()
            .chain([vm.base.id.clone(), vm.os_disk.clone()])
            .chain(vm.data_disks.iter().map(|disk| disk.id.clone()))
            .collect();
        let name = self.group(group, &location).name().to_owned();
        let there = |id: &str| ids::with_group(id, |_| name.clone());
        for old in &moved {
            let (from, to) = (ids::fold(old), there(old));
            if let Some(mut item) = self.vms.remove(&from) {
                item.base.id.clone_from(&to);
                self.vms.insert(ids::fold(&to), item);
            } else if let Some(mut item) = self.nics.remove(&from) {
                item.base.id.clone_from(&to);
                self.nics.insert(ids::fold(&to), item);
            } else if let Some(mut item) = self.disks.remove(&from) {
                item.base.id.clone_from(&to);
                self.disks.insert(ids::fold(&to), item);
            }
        }
        self.each_reference(&mut |reference| {
            if moved.iter().any(|old| old.eq_ignore_ascii_case(reference)) {
                *reference = there(reference);
            }
        });
        Ok(())
    }

    /// The tags of whatever has this id.
    fn tags_of(&mut self, id: &str) -> Result<&mut Option<super::Tags>, ChangeError> {
        let key = ids::fold(id);
        let kind = Kind::ALL.into_iter().find(|kind| kind.bases(self).iter().any(|(found, _)| *found == key));
        let base = match kind {
            Some(Kind::Vm) => self.vms.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::ScaleSet) => self.scale_sets.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::Disk) => self.disks.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::Nic) => self.nics.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::SecurityGroup) => self.security_groups.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::ApplicationGroup) => self.application_groups.get_mut(&key),
            Some(Kind::Vnet) => self.vnets.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::PublicIp) => self.public_ips.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::LoadBalancer) => self.load_balancers.get_mut(&key).map(|item| &mut item.base),
            Some(Kind::Gateway) => self.gateways.get_mut(&key).map(|item| &mut item.base),
            None => None,
        };
        base.map(|base| &mut base.tags).ok_or_else(|| ChangeError(id.to_owned()))
    }
}
