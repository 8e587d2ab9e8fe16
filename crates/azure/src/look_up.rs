//! Asking for resources by their keys. Always Azure Resource Manager itself: an index may be late.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Account, Key, Kind, Resource};
use dewpoint_core::source::facts::from_neighbours;
use dewpoint_core::source::{Presence, Progress, SourceError};
use futures::{FutureExt, StreamExt};
use serde_json::value::RawValue;

use crate::action::{
    ADDRESSES, Action, BALANCERS, DISKS, GATEWAYS, GROUPS, INTERFACES, MACHINES, NETWORKS, SECURITY_GROUPS, SET_ADDRESSES, SET_INTERFACES,
    SET_MACHINES, SETS, SUBSCRIPTIONS,
};
use crate::arm::Calls;
use crate::error::{Fault, Reason};
use crate::ids::{self, path};
use crate::listing::{Listed, list};
use crate::lists::{Listing, Lists};
use crate::map::{Ground, Mapping};
use crate::subscriptions::Member;
use crate::wire::compute::SetMachine;
use crate::wire::{Read, Wire, known};
use crate::{AzureSource, directory};

/// Resources asked for at the same time; the rate budget paces them as well.
const AT_ONCE: usize = 16;

/// More of one type than this in one subscription, and their list is read first.
const LISTED_FROM: usize = 50;

/// More instances of one uniform set than this, and the list of the set is read first.
const SET_LISTED_FROM: usize = 10;

/// Looks the keys up, each by itself: a list leaves out without a word what the identity may not see, while a single resource says 403 for that and 404 for
/// what is not there. Only Azure's own word that the resource, or its group, is not there counts as gone.
///
/// Source: Azure Resource Manager, "Resolve errors for resource not found".
pub(crate) async fn look_up(
    source: &AzureSource,
    keys: &[(Key, Kind)],
    progress: &dyn Progress,
) -> BTreeMap<Key, Result<Presence, SourceError>> {
    let calls = source.arm.calls(progress);
    let members = match source.known_members(&calls).await {
        Ok(members) => members,
        Err(fault) => return keys.iter().map(|(key, _)| (key.clone(), Err(fault.error(&source.config.name)))).collect(),
    };
    let mut results = BTreeMap::new();
    let mut by_account: BTreeMap<Account, Vec<(Key, Kind)>> = BTreeMap::new();
    for (key, kind) in keys {
        match ids::subscription(key) {
            Some(account) => by_account.entry(account).or_default().push((key.clone(), *kind)),
            None => {
                results.insert(key.clone(), Err(failed(source, format!("{key} is no key of Azure"))));
            }
        }
    }
    for (account, keys) in by_account {
        let member = members.iter().find(|member| member.account == account);
        results.extend(in_subscription(source, &calls, &account, member, &keys).await);
    }
    results
}

fn failed(source: &AzureSource, text: String) -> SourceError {
    SourceError::Failed { source_name: source.config.name.clone(), operation: "look up".to_owned(), text }
}

/// What is read to know of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asset {
    Group,
    Network,
    SecurityGroup,
    Machine,
    SetMachine,
    Set,
    Interface,
    /// The interfaces of a uniform set: one list for all that are asked about, by the action that a pull needs as well.
    SetInterfaces,
    Disk,
    Address,
    /// The public addresses of a uniform set.
    SetAddresses,
    Balancer,
    Gateway,
}

impl Asset {
    /// What is read for a key of a kind, and its id: parts are read with what they are parts of.
    fn of(key: &Key, kind: Kind) -> Option<(Self, Key)> {
        let is = |kind: &str| ids::is_of(key, kind);
        let set = ids::set_of(key);
        let whole = |asset, kind: &str| is(kind).then(|| (asset, key.clone()));
        let part = |asset, kind: &str, segment: &str| if is(kind) { Some((asset, ids::before(key, segment)?)) } else { None };
        match kind {
            Kind::ResourceGroup => path(key).contains("/resourcegroups/").then(|| (Self::Group, key.clone())),
            Kind::Network => whole(Self::Network, "microsoft.network/virtualnetworks"),
            Kind::Subnet => part(Self::Network, "microsoft.network/virtualnetworks", "subnets"),
            Kind::SecurityGroup => whole(Self::SecurityGroup, "microsoft.network/networksecuritygroups"),
            Kind::Instance if set.is_some() => Some((Self::SetMachine, key.clone())),
            Kind::Instance => whole(Self::Machine, "microsoft.compute/virtualmachines"),
            Kind::ScalingGroup => whole(Self::Set, "microsoft.compute/virtualmachinescalesets"),
            Kind::NetworkInterface if set.is_some() => Some((Self::SetInterfaces, set?)),
            Kind::NetworkInterface => whole(Self::Interface, "microsoft.network/networkinterfaces"),
            Kind::Volume => whole(Self::Disk, "microsoft.compute/disks"),
            Kind::PublicAddress if set.is_some() => Some((Self::SetAddresses, set?)),
            Kind::PublicAddress => whole(Self::Address, "microsoft.network/publicipaddresses"),
            Kind::LoadBalancer => whole(Self::Gateway, "microsoft.network/applicationgateways")
                .or_else(|| whole(Self::Balancer, "microsoft.network/loadbalancers")),
            Kind::Pool => part(Self::Gateway, "microsoft.network/applicationgateways", "backendaddresspools")
                .or_else(|| part(Self::Balancer, "microsoft.network/loadbalancers", "backendaddresspools")),
            Kind::Account | Kind::Region | Kind::Zone | Kind::Service => None,
        }
    }

    const fn action(self) -> Action {
        match self {
            Self::Group => GROUPS,
            Self::Network => NETWORKS,
            Self::SecurityGroup => SECURITY_GROUPS,
            Self::Machine => MACHINES,
            Self::SetMachine => SET_MACHINES,
            Self::Set => SETS,
            Self::Interface => INTERFACES,
            Self::SetInterfaces => SET_INTERFACES,
            Self::Disk => DISKS,
            Self::Address => ADDRESSES,
            Self::SetAddresses => SET_ADDRESSES,
            Self::Balancer => BALANCERS,
            Self::Gateway => GATEWAYS,
        }
    }

    /// Reads it into the lists that it belongs to.
    ///
    /// `whole_sets` are uniform sets whose instances were listed to the end.
    async fn read(self, calls: &Calls<'_>, account: &Account, id: &Key, whole_sets: &BTreeSet<Key>) -> Result<Lists, Fault> {
        let one = One { calls, account, action: self.action(), path: path(id) };
        let mut lists = Lists::default();
        match self {
            Self::Group => lists.groups = one.get(&[]).await?,
            Self::Network => lists.networks = one.get(&[]).await?,
            Self::SecurityGroup => lists.security_groups = one.get(&[]).await?,
            Self::Machine => lists.machines = one.get(&[("$expand", "instanceView")]).await?,
            Self::SetMachine => {
                let is_listed = ids::set_of(id).is_some_and(|set| whole_sets.contains(&set));
                lists.set_machines = one.set_machine(is_listed).await?.map(|machine| machine.0);
            }
            Self::Set => {
                lists.sets = one.get(&[]).await?;
                lists.machines.fault = Some(unasked());
            }
            Self::Interface => lists.interfaces = one.get(&[]).await?,
            Self::Disk => lists.disks = one.get(&[]).await?,
            Self::Address => lists.addresses = one.get(&[]).await?,
            Self::Balancer => lists.balancers = one.get(&[]).await?,
            Self::Gateway => lists.gateways = one.get(&[]).await?,
            // What an instance has does not say where it lies: the set does.
            Self::SetInterfaces => {
                lists.set_interfaces = one.list("networkInterfaces").await?;
                lists.sets = One { action: SETS, ..one }.get(&[]).await?;
            }
            Self::SetAddresses => {
                lists.set_addresses = one.list("publicipaddresses").await?;
                lists.sets = One { action: SETS, ..one }.get(&[]).await?;
            }
        }
        Ok(lists)
    }
}

impl Asset {
    /// The list of all such in the subscription; nothing for parts of something else.
    async fn list(self, listing: &Listing<'_>) -> Lists {
        let mut lists = Lists::default();
        match self {
            Self::Group => lists.groups = listing.groups().await,
            Self::Network => lists.networks = listing.all(NETWORKS).await,
            Self::SecurityGroup => lists.security_groups = listing.all(SECURITY_GROUPS).await,
            Self::Machine => lists.machines = listing.all(MACHINES).await,
            Self::Interface => lists.interfaces = listing.all(INTERFACES).await,
            Self::Disk => lists.disks = listing.all(DISKS).await,
            Self::Address => lists.addresses = listing.all(ADDRESSES).await,
            Self::Balancer => lists.balancers = listing.all(BALANCERS).await,
            Self::Gateway => lists.gateways = listing.all(GATEWAYS).await,
            Self::Set => {
                lists.sets = listing.all(SETS).await;
                lists.machines.fault = Some(unasked());
            }
            Self::SetMachine | Self::SetInterfaces | Self::SetAddresses => {}
        }
        lists
    }
}

/// The members of sets were not asked for with them, so that nothing of them is counted.
fn unasked() -> Fault {
    Fault::new(Reason::Failed, MACHINES, "not asked for")
}

/// One resource that is asked for by its id.
struct One<'a> {
    calls: &'a Calls<'a>,
    account: &'a Account,
    action: Action,
    path: &'a str,
}

impl One<'_> {
    async fn get<T: Wire>(&self, query: &[(&str, &str)]) -> Result<Listed<T>, Fault> {
        let mut request = self.calls.get(self.action, self.path);
        for (name, value) in query {
            request = request.query(name, value);
        }
        let answer = self.calls.send(self.action, Some(self.account), request).await?;
        let unfit = |text: String| Fault::truncated(self.action, text);
        let raw: Box<RawValue> = answer.json().map_err(|error| unfit(error.to_string()))?;
        let Read { item, .. } = T::read(&raw).map_err(|refused| unfit(refused.text))?;
        let item = known(&raw, item).map_err(|refused| unfit(refused.text))?;
        Ok(Listed { items: vec![item], ..Listed::default() })
    }

    /// An instance of a uniform set. Azure Resource Manager keeps no record of these, so that only the provider can say that one is gone, and it is not known
    /// in which words: where it does not find one, the list of the set tells. `is_listed` says that this was read to its end, and does not show it.
    async fn set_machine(&self, is_listed: bool) -> Result<Listed<SetMachine>, Fault> {
        let unfound = match self.get(&[("$expand", "instanceView")]).await {
            Err(fault) if matches!(fault.reason, Reason::Unfound | Reason::Unfit) => fault,
            answer => return answer,
        };
        if is_listed {
            return Err(Fault { reason: Reason::Gone, ..unfound });
        }
        let Some((set, number)) = self.path.rsplit_once("/virtualmachines/") else { return Err(unfound) };
        let instances: Listed<SetMachine> = One { path: set, ..*self }.list("virtualMachines").await?;
        let is_there = instances.items.iter().any(|machine| path(&machine.0.head.id.key).rsplit('/').next() == Some(number));
        Err(if is_there { unfound } else { Fault { reason: Reason::Gone, ..unfound } })
    }

    async fn list<T: Wire>(&self, part: &str) -> Result<Listed<T>, Fault> {
        let request = self.calls.get(self.action, &format!("{}/{part}", self.path));
        let listed = list(self.calls, self.action, Some(self.account), request).await;
        match listed.fault {
            Some(fault) => Err(fault),
            None => Ok(listed),
        }
    }
}

/// Resources that say where they lie: out of a list, what does not is asked for by itself.
fn placed(resources: Vec<Resource>) -> impl Iterator<Item = (Key, Resource)> {
    resources.into_iter().filter(|resource| !resource.region.is_any()).map(|resource| (resource.key.clone(), resource))
}

/// Asks about keys of one subscription.
async fn in_subscription(
    source: &AzureSource,
    calls: &Calls<'_>,
    account: &Account,
    member: Option<&Member>,
    keys: &[(Key, Kind)],
) -> Vec<(Key, Result<Presence, SourceError>)> {
    let fail = |error: SourceError| keys.iter().map(|(key, _)| (key.clone(), Err(error.clone()))).collect();
    let Some(member) = member else {
        return fail(failed(source, format!("the subscription {account} is not covered by this source")));
    };
    let subscription = match member.readable() {
        Ok(subscription) => subscription,
        Err(fault) => return fail(fault.error(&source.config.name)),
    };
    let assets: BTreeMap<&Key, (Asset, Key)> = keys.iter().filter_map(|(key, kind)| Some((key, Asset::of(key, *kind)?))).collect();
    let resources = |lists: &Lists| {
        let (directory, _) = directory(std::iter::once(lists));
        let observed_at = source.config.clock.now();
        let ground = Ground { subscription, lists, directory: &directory, elsewhere: None, sizes: &source.sizes, observed_at };
        Mapping::new(&ground).all().into_iter().flat_map(|scoped| scoped.found.resources).collect::<Vec<_>>()
    };
    let mut found: BTreeMap<Key, Resource> = BTreeMap::new();
    let mut open: BTreeMap<Asset, BTreeSet<&Key>> = BTreeMap::new();
    for (asset, id) in assets.values() {
        open.entry(*asset).or_default().insert(id);
    }
    let listing = Listing { calls, account };
    for (asset, _) in open.iter().filter(|(_, ids)| ids.len() > LISTED_FROM) {
        // What a list shows is there. It may leave things out without a word, so that each of the rest is asked for.
        found.extend(placed(resources(&asset.list(&listing).await)));
    }
    let mut instances: BTreeMap<Key, usize> = BTreeMap::new();
    for set in open.get(&Asset::SetMachine).into_iter().flatten().filter_map(|id| ids::set_of(id)) {
        *instances.entry(set).or_default() += 1;
    }
    let mut whole_sets = BTreeSet::new();
    for (set, _) in instances.into_iter().filter(|(_, count)| *count > SET_LISTED_FROM) {
        let request = calls.get(SET_MACHINES, &format!("{}/virtualMachines", path(&set)));
        let machines = list::<SetMachine>(calls, SET_MACHINES, Some(account), request).await;
        if machines.fault.is_none() {
            whole_sets.insert(set);
        }
        let lists = Lists { set_machines: machines.map(|machine| machine.0), ..Lists::default() };
        found.extend(placed(resources(&lists)));
    }
    let whole_sets = &whole_sets;
    let rest = open.iter().flat_map(|(asset, ids)| ids.iter().map(|id| (*asset, *id))).filter(|(_, id)| !found.contains_key(*id));
    let reads = rest.map(|(asset, id)| async move { (id.clone(), asset, asset.read(calls, account, id, whole_sets).await) }.boxed());
    let reads: Vec<_> = reads.collect();
    let answers: Vec<_> = futures::stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
    let mut faults: BTreeMap<(Asset, Key), Fault> = BTreeMap::new();
    for (id, asset, answer) in answers {
        match answer {
            Ok(lists) => found.extend(resources(&lists).into_iter().map(|resource| (resource.key.clone(), resource))),
            Err(fault) => {
                faults.insert((asset, id), fault);
            }
        }
    }
    let answer = |key: &Key, kind: Kind| match assets.get(key) {
        Some(asset) => match (found.get(key), faults.get(asset)) {
            // What it lies in, and would say where, was not asked for: taken so, it would move to nowhere.
            (Some(resource), _) if resource.region.is_any() => {
                let text = format!("{key} is shown without its location");
                Err(Fault::truncated(asset.0.action(), text).error(&source.config.name))
            }
            (Some(resource), _) => Ok(Presence::Present(Box::new(bare(resource.clone())))),
            (None, Some(fault)) if fault.reason == Reason::Gone => Ok(Presence::Gone),
            (None, Some(fault)) => Err(fault.error(&source.config.name)),
            // It was read, and has lost this part.
            (None, None) if asset.1 != *key && found.contains_key(&asset.1) => Ok(Presence::Gone),
            (None, None) => {
                let text = format!("what Azure shows for {key} is something else, or cannot be taken");
                Err(Fault::truncated(asset.0.action(), text).error(&source.config.name))
            }
        },
        None => source.place(member, key, kind),
    };
    keys.iter().map(|(key, kind)| (key.clone(), answer(key, *kind))).collect()
}

/// What a look-up takes of a resource: what it says of itself. What a listing has from others was not asked for here.
fn bare(mut resource: Resource) -> Resource {
    // A machine of its own says what it buys; an instance of a uniform set does not.
    let is_told = resource.kind == Kind::Instance && ids::set_of(&resource.key).is_none();
    let is_own = |name: &str| (is_told && name == "purchase") || name == "desired_size";
    for name in from_neighbours(resource.kind).iter().filter(|name| !is_own(name)) {
        resource.attributes.remove(*name);
    }
    resource
}

impl AzureSource {
    /// Subscriptions, locations and zones. Locations and zones are there for as long as something lies in them, which a whole pull tells.
    fn place(&self, member: &Member, key: &Key, kind: Kind) -> Result<Presence, SourceError> {
        match kind {
            Kind::Account => {
                let resource = member.subscription.as_ref().and_then(|one| crate::map::account_resource(one, self.config.clock.now()));
                let resource = resource.filter(|resource| resource.key == *key);
                resource
                    .map(|resource| Presence::Present(Box::new(resource)))
                    .ok_or_else(|| Fault::new(Reason::Failed, SUBSCRIPTIONS, format!("nothing is known of {key}")).error(&self.config.name))
            }
            Kind::Region | Kind::Zone => {
                let places = self.places.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                match places.get(&member.account) {
                    Some(places) => Ok(places.get(key).map_or(Presence::Gone, |place| Presence::Present(Box::new(place.clone())))),
                    None => Err(failed(self, format!("{key}: not everything was read that could lie there"))),
                }
            }
            _ => Err(failed(self, format!("{key} is no key of kind {kind} in Azure"))),
        }
    }
}
