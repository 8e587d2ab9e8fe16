//! Changes to a world that is being served.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Denial, Instance, InstanceState, OptIn, Region, StateReason, Tags, World};

/// A change, also as JSON for programs that drive the simulator over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Terminates an instance: what hangs on it goes too, and pools and groups lose it.
    Terminate {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// The instance's id.
        instance: String,
    },
    /// Sets an instance's state and nothing else.
    SetState {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// The instance's id.
        instance: String,
        /// The new state.
        state: InstanceState,
    },
    /// Removes whatever has this identifier (an id, an ARN, a scaling group's or classic balancer's name).
    Remove {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// The identifier.
        id: String,
    },
    /// Sets a tag, or takes it away when there is no value.
    Tag {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// The identifier of what is tagged.
        id: String,
        /// The tag's key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// Takes all tags away, as a terminated instance may lose them while it is still shown.
    DropTags {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// The identifier of what is tagged.
        id: String,
    },
    /// Adds an instance as [`Region::instance`] makes it.
    Launch {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// Its name.
        name: String,
    },
    /// Switches a region on or off for an account.
    OptIn {
        /// The account.
        account: String,
        /// The region.
        region: String,
        /// How it stands from now on.
        status: OptIn,
    },
    /// Replaces what service control policies forbid an account; see [`Denial`].
    Deny {
        /// The account.
        account: String,
        /// All denials.
        denials: Vec<Denial>,
    },
    /// Hides resources that services manage, or shows them.
    HideManaged {
        /// The account.
        account: String,
        /// Whether they are hidden.
        hidden: bool,
    },
    /// Sets an organization member's state.
    MemberState {
        /// The member.
        account: String,
        /// `ACTIVE`, `SUSPENDED`, …
        state: String,
    },
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}`")]
pub struct ChangeError {
    what: &'static str,
    name: String,
}

fn missing(what: &'static str, name: &str) -> ChangeError {
    ChangeError { what, name: name.to_owned() }
}

impl World {
    /// Makes one change.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<(), ChangeError> {
        match change {
            Change::Terminate { account, region, instance } => self.place(account, region)?.terminate(instance, now),
            Change::SetState { account, region, instance, state } => {
                let place = self.place(account, region)?;
                place.instances.get_mut(instance).ok_or_else(|| missing("instance", instance))?.state = *state;
                Ok(())
            }
            Change::Remove { account, region, id } => self.place(account, region)?.remove(id),
            Change::Tag { account, region, id, key, value } => {
                let tags = self.place(account, region)?.tags_of(id)?;
                match value {
                    Some(value) => tags.insert(key.clone(), value.clone()),
                    None => tags.remove(key),
                };
                Ok(())
            }
            Change::DropTags { account, region, id } => {
                self.place(account, region)?.tags_of(id)?.clear();
                Ok(())
            }
            Change::Launch { account, region, name } => {
                self.place(account, region)?.instance(name).edit(|instance| instance.launched = now).edit_interface(|interface| {
                    if let Some(attachment) = &mut interface.attachment {
                        attachment.attached = now;
                    }
                });
                Ok(())
            }
            Change::OptIn { account, region, status } => {
                let account = self.accounts.get_mut(account).ok_or_else(|| missing("account", account))?;
                account.region(region).opt_in = Some(*status);
                Ok(())
            }
            Change::Deny { account, denials } => {
                self.accounts.get_mut(account).ok_or_else(|| missing("account", account))?.denials.clone_from(denials);
                Ok(())
            }
            Change::HideManaged { account, hidden } => {
                self.accounts.get_mut(account).ok_or_else(|| missing("account", account))?.managed_resources_hidden = *hidden;
                Ok(())
            }
            Change::MemberState { account, state } => {
                let member = self.organization.as_mut().and_then(|organization| organization.member(account));
                member.ok_or_else(|| missing("member account", account))?.state.clone_from(state);
                Ok(())
            }
        }
    }

    fn place(&mut self, account: &str, region: &str) -> Result<&mut Region, ChangeError> {
        Ok(self.accounts.get_mut(account).ok_or_else(|| missing("account", account))?.region(region))
    }
}

impl Region {
    /// Terminates an instance: interfaces and volumes that go with it go, other ones are detached, addresses are free again, and balancers, target groups and
    /// scaling groups lose it. The instance itself is shown for a while.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn terminate(&mut self, id: &str, now: Timestamp) -> Result<(), ChangeError> {
        let instance: &mut Instance = self.instances.get_mut(id).ok_or_else(|| missing("instance", id))?;
        instance.state = InstanceState::Terminated;
        instance.terminated = Some(now);
        instance.transition_reason = Some(format!("User initiated ({})", now.strftime("%Y-%m-%d %H:%M:%S GMT")));
        instance.state_reason = Some(StateReason {
            code: "Client.UserInitiatedShutdown".to_owned(),
            message: "Client.UserInitiatedShutdown: User initiated shutdown".to_owned(),
        });
        self.interfaces.retain(|_, interface| {
            interface.instance() != Some(id) || interface.attachment.as_ref().is_none_or(|one| !one.delete_on_termination)
        });
        for interface in self.interfaces.values_mut().filter(|interface| interface.instance() == Some(id)) {
            interface.attachment = None;
        }
        self.volumes.retain(|_, volume| !volume.attachments.iter().any(|one| one.instance == id && one.delete_on_termination));
        for volume in self.volumes.values_mut() {
            volume.attachments.retain(|one| one.instance != id);
        }
        for address in self.addresses.values_mut().filter(|address| address.instance.as_deref() == Some(id)) {
            (address.association, address.interface, address.instance, address.private_ip) = (None, None, None, None);
        }
        for group in self.target_groups.values_mut() {
            group.targets.retain(|target| target.id != id);
        }
        for balancer in self.classic_balancers.values_mut() {
            balancer.instances.remove(id);
        }
        for group in self.scaling_groups.values_mut() {
            group.instances.remove(id);
        }
        Ok(())
    }

    fn remove(&mut self, id: &str) -> Result<(), ChangeError> {
        let removed = [
            self.instances.remove(id).is_some(),
            self.interfaces.remove(id).is_some(),
            self.volumes.remove(id).is_some(),
            self.addresses.remove(id).is_some(),
            self.groups.remove(id).is_some(),
            self.vpcs.remove(id).is_some(),
            self.subnets.remove(id).is_some(),
            self.balancers.remove(id).is_some(),
            self.target_groups.remove(id).is_some(),
            self.classic_balancers.remove(id).is_some(),
            self.scaling_groups.remove(id).is_some(),
        ];
        if removed.contains(&true) { Ok(()) } else { Err(missing("resource", id)) }
    }

    fn tags_of(&mut self, id: &str) -> Result<&mut Tags, ChangeError> {
        None.or_else(|| self.instances.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.interfaces.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.volumes.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.addresses.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.groups.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.vpcs.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.subnets.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.balancers.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.target_groups.get_mut(id).map(|it| &mut it.tags))
            .or_else(|| self.classic_balancers.get_mut(id).map(|it| &mut it.tags))
            .ok_or_else(|| missing("resource with tags", id))
    }
}
