//! Balancers and pools of one region: two scopes that are read together, since each call tells of both.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use futures::future::{self, BoxFuture, FutureExt};
use futures::{StreamExt, join};

use crate::error::{Fault, Reason};
use crate::kinds::balancers::{self, Balancer, Balancers, Rows, TAGS_PER_CALL};
use crate::kinds::classic::{self, ClassicBalancer, ClassicBalancers};
use crate::kinds::interfaces::Machines;
use crate::kinds::listeners::{Listener, read_listeners};
use crate::kinds::pools::{self, Pool, Pools, Target};
use crate::listing::{Listing, incomplete};
use crate::map::{Place, Refused, set_tags};
use crate::paging::{Ask, read_all};
use crate::session::Calls;

/// Calls about single balancers and pools that are made at the same time; the rate budget paces them as well.
const CALLS_AT_ONCE: usize = 4;

/// What both scopes came to.
#[derive(Debug, Default)]
pub(crate) struct BalancersAndPools {
    pub(crate) balancers: Listing,
    pub(crate) pools: Listing,
}

impl BalancersAndPools {
    /// Notes what went wrong in the listing of classic balancers, which tells of their pools as well.
    fn note_classic(&mut self, fault: Option<Fault>, refused: Vec<Refused>) {
        let fault = fault.or_else(|| incomplete(balancers::ACTION, &refused));
        self.balancers.note(fault.as_ref(), refused.clone());
        self.pools.note(fault.as_ref(), refused);
    }
}

/// Lists the balancers of both generations with their listeners, and the pools with what is registered in them.
///
/// `machines` is the listing of interfaces: whose address is whose, and whether it was read to the end. It is waited for only once everything
/// else is known.
pub(crate) async fn list(
    calls: &Calls<'_>,
    place: &Place,
    machines: impl Future<Output = Option<(Arc<Machines>, bool)>>,
) -> BalancersAndPools {
    let (newer, groups, classic) = join!(
        Box::pin(read_all(Balancers(place), calls, Ask::default())),
        Box::pin(read_all(Pools(place), calls, Ask::default())),
        Box::pin(read_all(ClassicBalancers(place), calls, Ask::default())),
    );
    let mut out = BalancersAndPools::default();
    let (Rows { rows: mut newer, refused }, fault) = newer;
    out.balancers.note(fault.as_ref(), refused);
    let (Rows { rows: mut groups, refused }, fault) = groups;
    out.pools.note(fault.as_ref(), refused);
    let (Rows { rows: mut classic, refused }, fault) = classic;
    out.note_classic(fault, refused);

    let (listeners, targets, health) = {
        let listeners = newer.iter().map(|balancer| read_listeners(calls, &balancer.arn, balancer.has_rules).boxed());
        let targets = groups.iter().map(|group| pools::read_targets(calls, &group.arn).boxed());
        let health = classic.iter().map(|balancer| match balancer.has_members() {
            true => classic::read_health(calls, &balancer.name).boxed(),
            // Nobody registered is nobody to ask about.
            false => future::ready(Ok(BTreeMap::new())).boxed(),
        });
        let (listeners, targets, health) = (listeners.collect(), targets.collect(), health.collect());
        join!(each(listeners), each(targets), each(health))
    };
    take_listeners(&mut newer, listeners, &mut out.balancers);
    // One that is gone since the first call is no member of the listing.
    let (health, gone) = without_gone(health);
    let mut gone = gone.into_iter();
    classic.retain(|_| !gone.next().unwrap_or(false));
    let (targets, gone) = without_gone(targets);
    let mut gone = gone.into_iter();
    groups.retain(|_| !gone.next().unwrap_or(false));

    join!(
        tag(calls, &mut newer, |row| &row.arn, Service::Newer, &mut out.balancers, |row, tags| set_tags(&mut row.resource, tags)),
        tag(calls, &mut groups, |row| &row.arn, Service::Newer, &mut out.pools, |row, tags| set_tags(&mut row.resource, tags)),
    );
    let mut classic_tags = Listing::default();
    tag(calls, &mut classic, |row| &row.name, Service::Classic, &mut classic_tags, |row, tags| row.tag(&tags)).await;
    out.balancers.take_faults(&classic_tags);
    out.pools.take_faults(&classic_tags);

    take_targets(place, &mut groups, targets, machines.await, &mut out.pools);
    take_health(place, &mut classic, health, &mut out.pools);

    for Balancer { resource, relations, .. } in newer {
        out.balancers.add(resource, relations);
    }
    for Pool { resource, relations, .. } in groups {
        out.pools.add(resource, relations);
    }
    for ClassicBalancer { balancer, balancer_relations, pool, pool_relations, .. } in classic {
        out.balancers.add(balancer, balancer_relations);
        out.pools.add(pool, pool_relations);
    }
    out
}

/// Lists balancers and pools for their presence alone: no listeners, members and tags.
pub(crate) async fn list_bare(calls: &Calls<'_>, place: &Place) -> BalancersAndPools {
    let (newer, groups, classic) = join!(
        Box::pin(read_all(Balancers(place), calls, Ask::default())),
        Box::pin(read_all(Pools(place), calls, Ask::default())),
        Box::pin(read_all(ClassicBalancers(place), calls, Ask::default())),
    );
    let mut out = BalancersAndPools::default();
    out.balancers.note(newer.1.as_ref(), newer.0.refused);
    out.pools.note(groups.1.as_ref(), groups.0.refused);
    out.note_classic(classic.1, classic.0.refused);
    newer.0.rows.into_iter().for_each(|row| out.balancers.add(row.resource, Vec::new()));
    groups.0.rows.into_iter().for_each(|row| out.pools.add(row.resource, Vec::new()));
    for row in classic.0.rows {
        out.balancers.add(row.balancer, Vec::new());
        out.pools.add(row.pool, Vec::new());
    }
    out
}

/// Makes calls side by side; the answers come in the order of the calls.
async fn each<T>(calls: Vec<BoxFuture<'_, Result<T, Fault>>>) -> Vec<Result<T, Fault>> {
    futures::stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await
}

/// Tells the answers about what does not exist any more from the others, and leaves them out.
fn without_gone<T>(answers: Vec<Result<T, Fault>>) -> (Vec<Result<T, Fault>>, Vec<bool>) {
    let is_gone = |answer: &Result<T, Fault>| answer.as_ref().is_err_and(|fault| fault.reason == Reason::NotFound);
    let gone = answers.iter().map(is_gone).collect();
    (answers.into_iter().filter(|answer| !is_gone(answer)).collect(), gone)
}

fn take_listeners(newer: &mut Vec<Balancer>, answers: Vec<Result<Vec<Listener>, Fault>>, listing: &mut Listing) {
    let (answers, gone) = without_gone(answers);
    let mut gone = gone.into_iter();
    newer.retain(|_| !gone.next().unwrap_or(false));
    for (balancer, answer) in newer.iter_mut().zip(answers) {
        match answer {
            Ok(listeners) => {
                if let Err(refused) = balancer.route(&listeners) {
                    listing.note(None, vec![refused]);
                }
            }
            Err(fault) => listing.note(Some(&fault), Vec::new()),
        }
    }
}

fn take_targets(
    place: &Place,
    groups: &mut [Pool],
    answers: Vec<Result<Vec<Target>, Fault>>,
    machines: Option<(Arc<Machines>, bool)>,
    listing: &mut Listing,
) {
    let (machines, are_machines_known) = machines.unwrap_or_default();
    let mut unknown = 0;
    for (group, answer) in groups.iter_mut().zip(answers) {
        match answer {
            Ok(targets) => match group.fill(place, targets, &machines) {
                Ok(addresses) => unknown += addresses,
                Err(refused) => listing.note(None, vec![refused]),
            },
            Err(fault) => listing.note(Some(&fault), Vec::new()),
        }
    }
    if unknown > 0 && !are_machines_known {
        // Whose addresses these are was not read: that no machine has them is not known.
        let text = format!("{unknown} targets are addresses, and the interfaces that have them were not read whole");
        listing.note(Some(&Fault::truncated(pools::HEALTH.name, text)), Vec::new());
    }
}

fn take_health(
    place: &Place,
    classic: &mut [ClassicBalancer],
    answers: Vec<Result<BTreeMap<String, String>, Fault>>,
    listing: &mut Listing,
) {
    let none = BTreeMap::new();
    for (balancer, answer) in classic.iter_mut().zip(answers) {
        let health = match &answer {
            Ok(health) => health,
            Err(fault) => {
                listing.note(Some(fault), Vec::new());
                &none
            }
        };
        // Who is registered was told by the listing of balancers: only the health is missing.
        if let Err(refused) = balancer.fill(place, health) {
            listing.note(None, vec![refused]);
        }
    }
}

/// Which generation's tags are asked for.
#[derive(Debug, Clone, Copy)]
enum Service {
    Newer,
    Classic,
}

/// Gives rows their tags, [`TAGS_PER_CALL`] a call. A row that is gone meanwhile fails the call of its batch: it is found by halves, and left out.
async fn tag<T>(
    calls: &Calls<'_>,
    rows: &mut Vec<T>,
    id: impl Fn(&T) -> &String,
    service: Service,
    listing: &mut Listing,
    set: impl Fn(&mut T, BTreeMap<String, String>),
) {
    let ids: Vec<String> = rows.iter().map(|row| id(row).clone()).collect();
    let batches = ids.chunks(TAGS_PER_CALL).map(|batch| read_tags(calls, service, batch).boxed()).collect();
    let batches = each(batches).await;
    let mut tags = BTreeMap::new();
    let mut gone = BTreeSet::new();
    let mut is_whole = true;
    for batch in batches {
        match batch {
            Ok(batch) => {
                tags.extend(batch.tags);
                gone.extend(batch.gone);
            }
            Err(fault) => {
                is_whole = false;
                listing.note(Some(&fault), Vec::new());
            }
        }
    }
    rows.retain(|row| !gone.contains(id(row)));
    for row in rows {
        match tags.remove(id(row)) {
            Some(tags) => set(row, tags),
            None if is_whole => {
                let text = format!("the answer to {} leaves it out", balancers::TAGS.name);
                listing.note(None, vec![Refused::new(id(row), text)]);
            }
            None => {}
        }
    }
}

#[derive(Debug, Default)]
struct TagBatch {
    tags: BTreeMap<String, BTreeMap<String, String>>,
    gone: Vec<String>,
}

async fn read_tags(calls: &Calls<'_>, service: Service, ids: &[String]) -> Result<TagBatch, Fault> {
    let mut done = TagBatch::default();
    let mut batches = vec![ids];
    while let Some(batch) = batches.pop() {
        let answer = match service {
            Service::Newer => balancers::read_tags(calls, batch).await,
            Service::Classic => classic::read_tags(calls, batch).await,
        };
        match answer {
            Ok(tags) => done.tags.extend(tags),
            Err(fault) if fault.reason == Reason::NotFound => match batch {
                [one] => done.gone.push(one.clone()),
                several => {
                    let (left, right) = several.split_at(several.len() / 2);
                    batches.extend([left, right]);
                }
            },
            Err(fault) => return Err(fault),
        }
    }
    Ok(done)
}
