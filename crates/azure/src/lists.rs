//! What is read of one subscription, before anything is made of it. Both collectors end here.

use dewpoint_core::model::{Account, Key};
use futures::future::FutureExt;
use futures::{StreamExt, join};

use crate::action::{
    ADDRESSES, Action, BALANCERS, DISKS, GATEWAYS, GROUPS, INTERFACES, LOCATIONS, MACHINES, NETWORKS, PERMISSIONS, SECURITY_GROUPS,
    SET_ADDRESSES, SET_INTERFACES, SET_MACHINES, SETS,
};
use crate::arm::Calls;
use crate::error::{Fault, Reason};
use crate::ids::path;
use crate::listing::{Listed, list, list_all};
use crate::wire::Wire;
use crate::wire::balancing::{Gateway, LoadBalancer};
use crate::wire::compute::{Disk, Machine, RunState, ScaleSet, SetMachine};
use crate::wire::network::{Interface, Network, PublicAddress, SecurityGroup};
use crate::wire::resources::{Group, Location, Permission};

/// Scale sets whose machines are listed at the same time.
const SETS_AT_ONCE: usize = 8;

/// Everything that is read of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) locations: Listed<Location>,
    pub(crate) groups: Listed<Group>,
    pub(crate) machines: Listed<Machine>,
    /// Instances of uniform scale sets.
    pub(crate) set_machines: Listed<Machine>,
    pub(crate) run_states: Listed<RunState>,
    pub(crate) sets: Listed<ScaleSet>,
    pub(crate) disks: Listed<Disk>,
    pub(crate) interfaces: Listed<Interface>,
    pub(crate) set_interfaces: Listed<Interface>,
    pub(crate) networks: Listed<Network>,
    pub(crate) security_groups: Listed<SecurityGroup>,
    pub(crate) addresses: Listed<PublicAddress>,
    pub(crate) set_addresses: Listed<PublicAddress>,
    pub(crate) balancers: Listed<LoadBalancer>,
    pub(crate) gateways: Listed<Gateway>,
}

/// One subscription in Azure Resource Manager.
pub(crate) struct Listing<'a> {
    pub(crate) calls: &'a Calls<'a>,
    pub(crate) account: &'a Account,
}

impl Listing<'_> {
    fn at(&self, rest: &str) -> String {
        format!("/subscriptions/{}/{rest}", self.account)
    }

    /// The list of a type in the whole subscription.
    pub(crate) async fn all<T: Wire>(&self, action: Action) -> Listed<T> {
        self.query(action, &[]).await
    }

    async fn query<T: Wire>(&self, action: Action, query: &[(&str, &str)]) -> Listed<T> {
        let mut request = self.calls.get(action, &self.at(&format!("providers/{}", action.resource_type)));
        for (name, value) in query {
            request = request.query(name, value);
        }
        list_all(self.calls, action, self.account, request).await
    }

    pub(crate) async fn locations(&self) -> Listed<Location> {
        list(self.calls, LOCATIONS, Some(self.account), self.calls.get(LOCATIONS, &self.at("locations"))).await
    }

    pub(crate) async fn groups(&self) -> Listed<Group> {
        list(self.calls, GROUPS, Some(self.account), self.calls.get(GROUPS, &self.at("resourcegroups"))).await
    }

    /// What the principal may do in the whole subscription.
    pub(crate) async fn permissions(&self) -> Listed<Permission> {
        self.all(PERMISSIONS).await
    }

    /// Lists everything, side by side. Each list ends by itself.
    pub(crate) async fn read(&self) -> Lists {
        let balancing = async { join!(self.all(BALANCERS), self.all(GATEWAYS)) }.boxed();
        let network =
            async { join!(self.all::<Interface>(INTERFACES), self.all(NETWORKS), self.all(SECURITY_GROUPS), self.all(ADDRESSES)) }.boxed();
        let machines = async {
            join!(self.all::<Machine>(MACHINES), self.query::<RunState>(MACHINES, &[("statusOnly", "true")]), self.all::<Disk>(DISKS))
        }
        .boxed();
        let sets = async {
            let sets = self.all::<ScaleSet>(SETS).await;
            let members = self.uniform(&sets).await;
            (sets, members)
        }
        .boxed();
        let groups = async { join!(self.locations(), self.groups()) }.boxed();
        let (balancing, network, machines, sets, groups) = join!(balancing, network, machines, sets, groups);
        let (balancers, gateways) = balancing;
        let (interfaces, networks, security_groups, addresses) = network;
        let (machines, run_states, disks) = machines;
        let (sets, Members { machines: set_machines, interfaces: set_interfaces, addresses: set_addresses }) = sets;
        let (locations, groups) = groups;
        Lists {
            locations,
            groups,
            machines,
            set_machines,
            run_states,
            sets,
            disks,
            interfaces,
            set_interfaces,
            networks,
            security_groups,
            addresses,
            set_addresses,
            balancers,
            gateways,
        }
    }

    /// The machines of uniform scale sets: no list of the subscription shows them. Three calls a set, and a page for some hundred machines.
    pub(crate) async fn uniform(&self, sets: &Listed<ScaleSet>) -> Members {
        let uniform = sets.items.iter().filter(|set| set.is_flexible != Some(true));
        let reads = uniform.map(|set| async move { self.members(&set.head.id.key).await.unless_unfit(set) }.boxed());
        let answers: Vec<Members> = futures::stream::iter(reads.collect::<Vec<_>>()).buffered(SETS_AT_ONCE).collect().await;
        let mut members = Members::default();
        // Which sets there are decides which machines there are.
        members.machines.fault.clone_from(&sets.fault);
        members.interfaces.fault.clone_from(&sets.fault);
        members.addresses.fault.clone_from(&sets.fault);
        for answer in answers {
            members.machines.extend(answer.machines);
            members.interfaces.extend(answer.interfaces);
            members.addresses.extend(answer.addresses);
        }
        members
    }

    /// The machines of one uniform scale set, with their interfaces and addresses. A set that is gone meanwhile has none.
    pub(crate) async fn members(&self, set: &Key) -> Members {
        let request = |action, part: &str| self.calls.get(action, &format!("{}/{part}", path(set)));
        let machines = request(SET_MACHINES, "virtualMachines").query("$expand", "instanceView");
        let machines = list::<SetMachine>(self.calls, SET_MACHINES, Some(self.account), machines).boxed();
        let interfaces = list(self.calls, SET_INTERFACES, Some(self.account), request(SET_INTERFACES, "networkInterfaces")).boxed();
        let (machines, interfaces) = join!(machines, interfaces);
        let interfaces: Listed<Interface> = unless_gone(interfaces);
        let has_addresses = interfaces.items.iter().flat_map(|nic| &nic.configurations).any(|one| one.public_address.is_some());
        let addresses =
            if has_addresses { self.addresses_of(set).await } else { Listed { fault: interfaces.fault.clone(), ..Listed::default() } };
        Members { machines: unless_gone(machines).map(|machine| machine.0), interfaces, addresses }
    }

    /// The public addresses of one uniform scale set.
    pub(crate) async fn addresses_of(&self, set: &Key) -> Listed<PublicAddress> {
        let request = self.calls.get(SET_ADDRESSES, &format!("{}/publicipaddresses", path(set)));
        unless_gone(list(self.calls, SET_ADDRESSES, Some(self.account), request).await)
    }
}

/// What uniform scale sets are made of.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) machines: Listed<Machine>,
    pub(crate) interfaces: Listed<Interface>,
    pub(crate) addresses: Listed<PublicAddress>,
}

impl Members {
    /// A set that runs its machines in a way that is not known here may have them under it, or among the ordinary ones: Azure tells by refusing the call.
    fn unless_unfit(self, set: &ScaleSet) -> Self {
        let is_unfit = matches!(&self.machines.fault, Some(Fault { reason: Reason::Unfit, .. }));
        if set.is_flexible.is_none() && is_unfit { Self::default() } else { self }
    }
}

/// Between two calls a set can be deleted.
fn unless_gone<T>(listed: Listed<T>) -> Listed<T> {
    if matches!(&listed.fault, Some(Fault { reason: Reason::Gone, .. })) { Listed::default() } else { listed }
}
