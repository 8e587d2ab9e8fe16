//! Everything of one account in one region.

use std::collections::BTreeMap;
use std::sync::Arc;

use dewpoint_core::model::{Key, Kind, Outcome, Provider, Region, Scope, SourceName};
use dewpoint_core::source::{Progress, SourceError};
use futures::channel::oneshot;
use futures::future::{self, FutureExt};
use futures::join;

use crate::error::{Fault, Reason};
use crate::kinds::addresses::PublicAddresses;
use crate::kinds::balancers;
use crate::kinds::instance_types::Catalogue;
use crate::kinds::instances::{self, Instances};
use crate::kinds::interfaces::{self, Interfaces, Machines};
use crate::kinds::networks::Networks;
use crate::kinds::pools;
use crate::kinds::regions::{self, RegionList};
use crate::kinds::scaling_groups::ScalingGroups;
use crate::kinds::security_groups::SecurityGroups;
use crate::kinds::subnets::Subnets;
use crate::kinds::volumes::Volumes;
use crate::kinds::zones::Zones;
use crate::listing::Listing;
use crate::load_balancing::{self, BalancersAndPools};
use crate::map::{Found, Place};
use crate::paging::{Ask, Pages, read_all};
use crate::session::Calls;

/// Kinds whose listings name networks, subnets or groups by their ids.
const NAMES_NETWORKS: [Kind; 6] =
    [Kind::Subnet, Kind::SecurityGroup, Kind::Instance, Kind::NetworkInterface, Kind::LoadBalancer, Kind::Pool];

/// What the listing of a scope came to.
#[derive(Debug)]
pub(crate) struct Scoped {
    pub(crate) scope: Scope,
    pub(crate) found: Found,
    /// `None` when it was read to its end and every item could be taken.
    pub(crate) error: Option<SourceError>,
}

/// One account in one region, about to be listed.
pub(crate) struct RegionListing<'a> {
    pub(crate) source: &'a SourceName,
    pub(crate) place: &'a Place,
    pub(crate) calls: &'a Calls<'a>,
    /// Which regions the account has.
    pub(crate) regions: Result<&'a RegionList, &'a Fault>,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) progress: &'a dyn Progress,
}

impl RegionListing<'_> {
    /// Lists all kinds side by side. Each ends by itself.
    pub(crate) async fn list(&self) -> Vec<Scoped> {
        let (machines_in, machines_out) = oneshot::channel();
        let interfaces = async {
            let (out, fault) = read_all(Interfaces(self.place), self.calls, Ask::default()).await;
            let listing = Listing::of(interfaces::ACTION, out.found, fault);
            // Nobody waits for it any more only when the run was given up.
            drop(machines_in.send((Arc::new(out.machines), listing.fault.is_none())));
            listing
        };
        let machines = machines_out.map(|sent: Result<(Arc<Machines>, bool), oneshot::Canceled>| sent.ok());
        let balancing = async {
            self.started(Kind::LoadBalancer);
            self.started(Kind::Pool);
            let BalancersAndPools { balancers, pools } = load_balancing::list(self.calls, self.place, machines).await;
            [(Kind::LoadBalancer, balancers.finish(balancers::ACTION)), (Kind::Pool, pools.finish(pools::ACTION))]
        };
        let simple = future::join_all([
            self.one(Kind::Region, self.region().boxed()),
            self.one(Kind::Zone, self.pages(Zones(self.place)).boxed()),
            self.one(Kind::Network, self.pages(Networks(self.place)).boxed()),
            self.one(Kind::Subnet, self.pages(Subnets(self.place)).boxed()),
            self.one(Kind::SecurityGroup, self.pages(SecurityGroups(self.place)).boxed()),
            self.one(Kind::Instance, self.instances().boxed()),
            self.one(Kind::ScalingGroup, self.pages(ScalingGroups(self.place)).boxed()),
            self.one(Kind::NetworkInterface, interfaces.boxed()),
            self.one(Kind::Volume, self.pages(Volumes(self.place)).boxed()),
            self.one(Kind::PublicAddress, self.pages(PublicAddresses(self.place)).boxed()),
        ]);
        let (mut listings, balancing) = join!(simple, balancing.boxed());
        listings.extend(balancing);

        let owners = self.owners(&listings);
        if let Some(doubt) = Self::doubt(&listings) {
            let text =
                format!("other accounts may share networks with this one, and {} could not be read: {}", doubt.operation, doubt.text);
            for (_, listing) in listings.iter_mut().filter(|(kind, _)| NAMES_NETWORKS.contains(kind)) {
                listing.note(Some(&Fault { text: text.clone(), ..doubt.clone() }), Vec::new());
                listing.forget_networks();
            }
        }
        listings.into_iter().map(|(kind, listing)| self.end(kind, listing, &owners)).collect()
    }

    fn scope(&self, kind: Kind) -> Scope {
        Scope { provider: Provider::Aws, account: self.place.account.clone(), region: self.place.region.clone(), kind }
    }

    fn started(&self, kind: Kind) {
        self.progress.scope_started(self.source, &self.scope(kind));
    }

    async fn one(&self, kind: Kind, listing: impl Future<Output = Listing> + Send) -> (Kind, Listing) {
        self.started(kind);
        (kind, listing.await)
    }

    async fn pages<P: Pages<Out = Found>>(&self, pages: P) -> Listing {
        let action = pages.action();
        let (found, fault) = read_all(pages, self.calls, Ask::default()).await;
        Listing::of(action, found, fault)
    }

    async fn instances(&self) -> Listing {
        let (mut found, mut fault) = read_all(Instances(self.place), self.calls, Ask::default()).await;
        // Networks and groups can be shared, instances never: such an answer was given to other credentials, and lists nothing of ours.
        if fault.is_none() && found.foreign > 0 {
            let text = format!("{} instances belong to another account than {}", found.foreign, self.place.account);
            fault = Some(Fault::truncated(instances::ACTION.name, text));
        }
        let sized = self.catalogue.fill(self.calls, &mut found).await;
        Listing::of(instances::ACTION, found, fault.or(sized.err()))
    }

    async fn region(&self) -> Listing {
        let fault = match self.regions {
            Ok(list) if list.status(&self.place.region).is_some() => None,
            Ok(_) => {
                let text = format!("AWS names no region {} for the account", self.place.region);
                return Listing::failed(Fault::new(Reason::Failed, regions::ACTION.name, text));
            }
            Err(fault) => Some(fault.clone()),
        };
        let mut found = Found::default();
        found.take(regions::resource(self.place).map(|resource| (resource, Vec::new())));
        Listing::of(regions::ACTION, found, fault)
    }

    /// The right keys of what other accounts share with this one, by the keys that they would have as this account's own.
    fn owners(&self, listings: &[(Kind, Listing)]) -> BTreeMap<String, Key> {
        let owners = listings.iter().flat_map(|(_, listing)| &listing.found.owners);
        let keys = |(path, owner): (&String, &String)| {
            Some((self.place.key(path).ok()?.as_str().to_owned(), self.place.key_of(owner, path).ok()?))
        };
        owners.filter_map(keys).collect()
    }

    /// What stands in the way of knowing who owns the networks, subnets and groups that listings name by their ids alone. An account with which
    /// nobody shares a network owns all that its machines are in; a group is shared only together with a network.
    fn doubt(listings: &[(Kind, Listing)]) -> Option<Fault> {
        let listing = |kind: Kind| listings.iter().find(|(listed, _)| *listed == kind).map(|(_, listing)| listing);
        let fault = |kind: Kind| listing(kind).and_then(|listing| listing.fault.as_ref());
        let shares = |kind: Kind| listing(kind).is_some_and(|listing| !listing.found.owners.is_empty());
        let is_shared = shares(Kind::Network) || shares(Kind::Subnet);
        match (fault(Kind::Subnet), fault(Kind::Network), fault(Kind::SecurityGroup)) {
            (Some(fault), _, _) if is_shared => Some(fault.clone()),
            (Some(fault), Some(_), _) => Some(fault.clone()),
            (None, _, Some(fault)) if is_shared => Some(fault.clone()),
            _ => None,
        }
    }

    fn end(&self, kind: Kind, mut listing: Listing, owners: &BTreeMap<String, Key>) -> Scoped {
        listing.readdress(owners);
        let scope = self.scope(kind);
        let count = listing.found.resources.len() as u64;
        let error = listing.fault.map(|fault| self.explain(&fault));
        let outcome = error.as_ref().map_or(Outcome::Complete, SourceError::outcome);
        self.progress.scope_finished(self.source, &scope, outcome, count);
        Scoped { scope, found: listing.found, error }
    }

    /// The error that a fault in this region stands for, see [`explain`].
    pub(crate) fn explain(&self, fault: &Fault) -> SourceError {
        explain(self.source, &self.place.region, self.regions.ok(), fault)
    }
}

/// The error that a fault in a region stands for.
///
/// A region that the account has not enabled refuses good credentials as if they were bad. They are good, since STS took them; so the account's
/// own list of regions tells the two apart. Without that list it stays a denial, which is the louder.
pub(crate) fn explain(source: &SourceName, region: &Region, regions: Option<&RegionList>, fault: &Fault) -> SourceError {
    if matches!(fault.reason, Reason::Unrecognised | Reason::Disabled) && regions.is_some_and(|list| list.is_off(region)) {
        return off(region, fault.operation).error(source);
    }
    fault.error(source)
}

/// A region that the account has not enabled.
pub(crate) fn off(region: &Region, operation: &'static str) -> Fault {
    Fault::new(Reason::Off, operation, format!("region {region} is not enabled for the account"))
}
