//! Asking for resources by their keys, in bulk.

use std::collections::BTreeMap;

use dewpoint_core::model::{Account, Key, Kind, Region, Resource};
use dewpoint_core::source::{Presence, Progress, SourceError};
use futures::StreamExt;

use crate::accounts::{Member, Open};
use crate::error::{Fault, Reason};
use crate::kinds::addresses::PublicAddresses;
use crate::kinds::balancers;
use crate::kinds::instances::Instances;
use crate::kinds::interfaces::{self, Interfaces};
use crate::kinds::networks::Networks;
use crate::kinds::pools;
use crate::kinds::regions;
use crate::kinds::scaling_groups::ScalingGroups;
use crate::kinds::security_groups::SecurityGroups;
use crate::kinds::subnets::Subnets;
use crate::kinds::volumes::Volumes;
use crate::kinds::zones::Zones;
use crate::listing::Listing;
use crate::map::{Found, Place};
use crate::paging::{Ask, Pages, read_all};
use crate::region::explain;
use crate::session::Calls;
use crate::{AwsSource, Estate, load_balancing};

/// Values that one filter takes.
///
/// Source: Amazon EC2 User Guide, "Filtering resources".
const IDS_PER_CALL: usize = 200;

/// Chunks asked for at the same time.
const CHUNKS_AT_ONCE: usize = 8;

/// Looks the keys up, by account, region and kind. An absence counts only in an answer that is complete by the same checks as a listing; an error
/// for a chunk is an error for each of its keys that the answer did not show.
///
/// EC2's kinds are asked for by filters on their ids. The other services have none, and an unknown name or ARN fails their whole call: their kind is
/// listed anew.
pub(crate) async fn look_up(
    source: &AwsSource,
    estate: &Estate,
    keys: &[(Key, Kind)],
    progress: &dyn Progress,
) -> BTreeMap<Key, Result<Presence, SourceError>> {
    let mut results = BTreeMap::new();
    let mut wanted: BTreeMap<(Account, Region, Kind), BTreeMap<String, Key>> = BTreeMap::new();
    for (key, kind) in keys {
        match Address::parse(estate, key, *kind) {
            Ok(Address { account, region, id }) => {
                wanted.entry((account, region, *kind)).or_default().insert(id, key.clone());
            }
            Err(text) => {
                results.insert(key.clone(), Err(source.failed(format!("{key}: {text}"))));
            }
        }
    }
    let chunks = wanted.into_iter().flat_map(|(place, ids)| {
        let ids: Vec<(String, Key)> = ids.into_iter().collect();
        let size = if has_filter(place.2) { IDS_PER_CALL } else { ids.len() };
        ids.chunks(size).map(|chunk| (place.clone(), chunk.to_vec())).collect::<Vec<_>>()
    });
    let answers: Vec<_> = futures::stream::iter(chunks)
        .map(|((account, region, kind), chunk)| Box::pin(ask(source, estate, account, region, kind, chunk, progress)))
        .buffer_unordered(CHUNKS_AT_ONCE)
        .collect()
        .await;
    results.extend(answers.into_iter().flatten());
    results
}

async fn ask(
    source: &AwsSource,
    estate: &Estate,
    account: Account,
    region: Region,
    kind: Kind,
    chunk: Vec<(String, Key)>,
    progress: &dyn Progress,
) -> Vec<(Key, Result<Presence, SourceError>)> {
    let (ids, keys): (Vec<String>, Vec<Key>) = chunk.into_iter().unzip();
    let fail = |error: &SourceError| keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect();
    let (member, open) = match estate.member(&account) {
        Some((member, Ok(open))) => (member, open),
        Some((_, Err(fault))) => return fail(&fault.error(&source.config.name)),
        None => return fail(&source.failed(format!("account {account} is not covered by this source"))),
    };
    let place = source.place(&estate.caller.identity, member, &region);
    let listing = if kind == Kind::Account {
        accounts(source, estate, progress).await
    } else {
        let session = open.session.region(&region);
        in_region(kind, &place, &Calls::new(&session, progress), &ids).await
    };
    let foreign = listing.found.foreign;
    let error = listing.fault.map(|fault| explain(&source.config.name, &region, open.regions.as_ref().ok(), &fault));
    let mut found: BTreeMap<Key, Resource> = listing.found.resources.into_iter().map(|resource| (resource.key.clone(), resource)).collect();
    let absence = |key: &Key| match &error {
        Some(error) => Err(error.clone()),
        // The answer held something that was left out because of its owner: that is no absence.
        None if foreign > 0 => Err(source.failed(format!("{key}: the answer shows resources of another account"))),
        None => Ok(Presence::Gone),
    };
    keys.into_iter()
        .map(|key| {
            let presence = found.remove(&key).map_or_else(|| absence(&key), |resource| Ok(Presence::Present(Box::new(seen(resource)))));
            (key, presence)
        })
        .collect()
}

/// What a look-up takes of a resource. Which account shares a network with this one is known to the listing of networks alone.
fn seen(mut resource: Resource) -> Resource {
    for name in ["network", "subnet"] {
        resource.attributes.remove(name);
    }
    resource
}

async fn in_region(kind: Kind, place: &Place, calls: &Calls<'_>, ids: &[String]) -> Listing {
    match kind {
        Kind::Instance => by_ids(Instances(place), calls, ids).await,
        Kind::SecurityGroup => by_ids(SecurityGroups(place), calls, ids).await,
        Kind::NetworkInterface => {
            let (out, fault) = read_all(Interfaces(place), calls, Ask::of_ids(ids)).await;
            Listing::of(interfaces::ACTION, out.found, fault)
        }
        Kind::Network => by_ids(Networks(place), calls, ids).await,
        Kind::Subnet => by_ids(Subnets(place), calls, ids).await,
        Kind::Volume => by_ids(Volumes(place), calls, ids).await,
        Kind::PublicAddress => by_ids(PublicAddresses(place), calls, ids).await,
        Kind::Zone => by_ids(Zones(place), calls, ids).await,
        Kind::ScalingGroup => by_ids(ScalingGroups(place), calls, ids).await,
        Kind::LoadBalancer => load_balancing::list_bare(calls, place).await.balancers.finish(balancers::ACTION),
        Kind::Pool => load_balancing::list_bare(calls, place).await.pools.finish(pools::ACTION),
        Kind::Region => region(place, calls).await,
        Kind::Account | Kind::ResourceGroup | Kind::Service => {
            let text = format!("{kind} is not listed by this source");
            Listing::failed(Fault::new(Reason::Failed, "look up", text))
        }
    }
}

async fn by_ids<P: Pages<Out = Found>>(pages: P, calls: &Calls<'_>, ids: &[String]) -> Listing {
    let action = pages.action();
    let (found, fault) = read_all(pages, calls, Ask::of_ids(ids)).await;
    Listing::of(action, found, fault)
}

/// A region that is not enabled is not gone: its receipt says `disabled`.
async fn region(place: &Place, calls: &Calls<'_>) -> Listing {
    match regions::list(calls).await {
        Ok(list) => {
            let mut found = Found::default();
            if list.status(&place.region).is_some() {
                found.take(regions::resource(place).map(|resource| (resource, Vec::new())));
            }
            Listing::of(regions::ACTION, found, None)
        }
        Err(fault) => Listing::failed(fault),
    }
}

async fn accounts(source: &AwsSource, estate: &Estate, progress: &dyn Progress) -> Listing {
    match source.members(&estate.caller, progress).await {
        Ok(members) => {
            let mut found = Found::default();
            for member in members {
                found.take(member.resource(&source.place(&estate.caller.identity, &member, &Region::any()), None));
            }
            Listing { found, fault: None }
        }
        Err(fault) => Listing::failed(fault),
    }
}

/// Whether a kind's action has a filter for ids.
const fn has_filter(kind: Kind) -> bool {
    !matches!(kind, Kind::ScalingGroup | Kind::LoadBalancer | Kind::Pool | Kind::Region | Kind::Account)
}

impl Estate {
    fn member(&self, account: &Account) -> Option<(&Member, &Result<Open, Fault>)> {
        self.members.iter().find(|(member, _)| member.account == *account).map(|(member, open)| (member, open))
    }
}

impl AwsSource {
    fn failed(&self, text: String) -> SourceError {
        SourceError::Failed { source_name: self.config.name.clone(), operation: "look up".to_owned(), text }
    }
}

/// Where a key's resource is asked for.
struct Address {
    account: Account,
    region: Region,
    /// Its id, as the filter of its kind takes it; the key itself for kinds that have none.
    id: String,
}

impl Address {
    fn parse(estate: &Estate, key: &Key, kind: Kind) -> Result<Self, String> {
        let not_ours = || format!("it is no key of kind {kind} in AWS");
        let parts: Vec<&str> = key.as_str().splitn(7, ':').collect();
        let &["aws", "arn", partition, service, region, account, path] = parts.as_slice() else { return Err(not_ours()) };
        if partition != estate.caller.identity.partition {
            return Err(format!("it belongs to another partition than {}", estate.caller.identity.partition));
        }
        let word = match kind {
            Kind::Instance => "instance",
            Kind::NetworkInterface => "network-interface",
            Kind::SecurityGroup => "security-group",
            Kind::Network => "vpc",
            Kind::Subnet => "subnet",
            Kind::Volume => "volume",
            Kind::PublicAddress => "elastic-ip",
            Kind::Zone => "availability-zone",
            Kind::Region => "region",
            Kind::Account => "root",
            Kind::ScalingGroup => "autoScalingGroup",
            Kind::LoadBalancer => "loadbalancer",
            Kind::Pool => "targetgroup",
            Kind::ResourceGroup | Kind::Service => return Err(not_ours()),
        };
        let is_service = match kind {
            Kind::Account => service == "iam",
            Kind::ScalingGroup => service == "autoscaling",
            Kind::LoadBalancer | Kind::Pool => service == "elasticloadbalancing",
            _ => service == "ec2",
        };
        let (first, id) = path.split_once(['/', ':']).unwrap_or((path, ""));
        // A classic balancer's pool has the balancer's ARN in its key.
        let is_word = first == word || (kind == Kind::Pool && first == "loadbalancer");
        if !is_service || !is_word {
            return Err(not_ours());
        }
        let account: Account = account.parse().map_err(|_| not_ours())?;
        let region = if kind == Kind::Account { Region::any() } else { region.parse().map_err(|_| not_ours())? };
        if !has_filter(kind) {
            return Ok(Self { account, region, id: key.as_str().to_owned() });
        }
        // Filters understand `*` and `?`.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!("`{id}` is no id"));
        }
        Ok(Self { account, region, id: id.to_owned() })
    }
}
