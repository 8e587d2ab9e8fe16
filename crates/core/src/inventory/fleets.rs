//! Folding: many members, one record of their fleet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::derived::{self, Sort, is_listed, is_live, is_seen, members_scope, note, relate, unrelate};
use super::lift;
use super::members::{self, Told};
use super::merge::replace;
use super::observe::Observing;
use crate::estate::{Estate, JournalKind, Known};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType, Resource};

/// Which members are folded now, and into what: the key of a scaling group that the cloud shows, or of a named fleet.
pub type Folding = BTreeMap<Key, Key>;

/// The cause, in the journal, of what changed of a group because its folded members tell so.
pub(crate) const TOLD_BY_MEMBERS: &str = "told by the members folded into it";

/// What folding came to.
#[must_use]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// Fleets with live members, scaling groups and named ones.
    pub fleets: u64,
    /// Their live members.
    pub members: u64,
    /// Named fleets that lost their last member, not retired yet.
    pub memberless: u64,
}

/// The live members of one fleet.
#[derive(Debug, Default)]
struct Fleet {
    members: BTreeSet<Key>,
    told: Told,
    /// A member was read under this fence.
    is_seen: bool,
}

/// Makes the named fleets, gives every fleet what its members tell, and lifts their edges to it. Call after dispositions are decided, before
/// stages are; again is harmless.
///
/// Members are instances that live; what else `folding` names, and members of a group that is not known, is passed over.
///
/// - A named fleet is derived anew from its members. One without any counts as absent once per run in which the listing of instances of its
///   account and region is complete, so that the usual timers retire it; narrow reads count nothing. Members point to it by derived
///   `member_of` edges. What has ended keeps its edge, what left for another fleet or a record of its own does not.
/// - Counts are of the members that no complete listing misses. Lists (`sizes`, `images`, `zones`) come from all live members, and lose
///   nothing where the members' listing is not complete. What a group says of itself stands; what its members add goes with the last of them.
/// - Edges are lifted as [`lift`] says.
pub fn fold(estate: &mut Estate, folding: &Folding, observing: &Observing<'_>) -> Folded {
    let fleets = gather(estate, folding, observing);
    let mut new = BTreeSet::new();
    for (key, fleet) in &fleets {
        if let Some(resource) = named(estate, key, fleet, observing)
            && derived::upsert(estate, Sort::Fleet, resource, fleet.is_seen, observing)
        {
            new.insert(key.clone());
        }
    }
    tell_groups(estate, &fleets, observing);

    let fleet_of = fleets.iter().flat_map(|(key, fleet)| fleet.members.iter().map(move |member| (member, key))).collect();
    name_members(estate, &fleet_of, &new, observing);
    lift::lift(estate, &fleet_of, &new, observing);
    let memberless = derived::miss(estate, Sort::Fleet, |key| fleets.contains_key(key), observing);
    let members = fleet_of.len() as u64;
    Folded { fleets: fleets.len() as u64, members, memberless }
}

fn gather(estate: &Estate, folding: &Folding, observing: &Observing<'_>) -> BTreeMap<Key, Fleet> {
    let resources = &estate.resources;
    let is_group = |key: &Key| resources.get(key).is_some_and(|known| known.resource.kind == Kind::ScalingGroup);
    let mut fleets: BTreeMap<Key, Fleet> = BTreeMap::new();
    for (member, key) in folding {
        let Some(known) = resources.get(member).filter(|known| known.resource.kind == Kind::Instance && is_live(known)) else { continue };
        if key.as_fleet().is_none() && !is_group(key) {
            continue;
        }
        let fleet = fleets.entry(key.clone()).or_default();
        fleet.told.add(&known.resource, known.missing == 0);
        fleet.is_seen |= is_seen(known, observing.fence);
        fleet.members.insert(member.clone());
    }
    fleets
}

/// The named fleets that these machines would make, as they would look.
pub(crate) fn named_fleets(estate: &Estate, folding: &Folding) -> Vec<Resource> {
    let mut told: BTreeMap<&Key, Told> = BTreeMap::new();
    for (member, fleet) in folding {
        if let Some(known) = estate.resources.get(member).filter(|known| is_live(known)) {
            told.entry(fleet).or_default().add(&known.resource, known.missing == 0);
        }
    }
    let nothing = Attributes::new();
    told.into_iter()
        .filter_map(|(key, told)| Some(Resource { attributes: members::of_named(&told, &nothing, true), ..bare(key)? }))
        .collect()
}

/// Whether the listing that shows a fleet's members is complete.
fn are_members_listed(estate: &Estate, fleet: &Resource, observing: &Observing<'_>) -> bool {
    !observing.narrow && is_listed(&estate.scopes, &members_scope(fleet))
}

/// A named fleet; `None` for the key of a group.
fn named(estate: &Estate, key: &Key, fleet: &Fleet, observing: &Observing<'_>) -> Option<Resource> {
    let mut resource = bare(key)?;
    let nothing = Attributes::new();
    let before = estate.resources.get(key).map_or(&nothing, |known| &known.resource.attributes);
    resource.attributes = members::of_named(&fleet.told, before, are_members_listed(estate, &resource, observing));
    Some(resource)
}

/// A named fleet without what its members tell; `None` for the key of a group.
fn bare(key: &Key) -> Option<Resource> {
    let name = key.as_fleet()?;
    Some(Resource {
        key: key.clone(),
        kind: Kind::ScalingGroup,
        provider: name.provider,
        native_id: name.name.to_owned(),
        account: name.account,
        region: name.region,
        name: Some(name.name.to_owned()),
        state: None,
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: Attributes::new(),
        derived: true,
        extra: serde_json::Map::new(),
    })
}

/// Gives the groups that the cloud shows what their members add, and takes it from those that have none any more.
fn tell_groups(estate: &mut Estate, fleets: &BTreeMap<Key, Fleet>, observing: &Observing<'_>) {
    let is_group = |known: &Known| known.resource.kind == Kind::ScalingGroup && !known.resource.derived;
    let concerned = estate.resources.iter().filter(|(key, known)| {
        let has_members = || fleets.contains_key(*key);
        is_group(known) && (members::adds_to(&known.resource) || has_members())
    });
    let views: Vec<(Key, Resource)> = concerned
        .map(|(key, known)| {
            let told = fleets.get(key).map(|fleet| &fleet.told);
            (key.clone(), members::of_group(&known.resource, told, are_members_listed(estate, &known.resource, observing)))
        })
        .collect();
    let Estate { resources, dirty, .. } = estate;
    for (key, view) in views {
        let Some(known) = resources.get_mut(&key) else { continue };
        let taken = replace(known, view.into());
        if taken.changed {
            dirty.resources.insert(key.clone());
        }
        if !taken.fields.is_empty() {
            known.news_fence = known.news_fence.max(observing.fence);
            note(dirty, observing, JournalKind::Observed, &key, TOLD_BY_MEMBERS, taken.fields);
        }
    }
}

/// Keeps the derived `member_of` edges: of what is folded into a named fleet, and of what ended there.
fn name_members(estate: &mut Estate, fleet_of: &HashMap<&Key, &Key>, new: &BTreeSet<Key>, observing: &Observing<'_>) {
    let is_ended = |key: &Key| estate.resources.get(key).is_none_or(|known| !is_live(known));
    let mut named: HashSet<&Key> = HashSet::new();
    let mut left = Vec::new();
    for (id, _) in estate.edges.iter().filter(|(id, edge)| edge.derived && id.relation == RelationType::MemberOf) {
        match fleet_of.get_key_value(&id.from) {
            Some((member, fleet)) if **fleet == id.to => drop(named.insert(*member)),
            None if is_ended(&id.from) => {}
            _ => left.push(id.clone()),
        }
    }
    let mut joined: Vec<EdgeId> = fleet_of
        .iter()
        .filter(|(member, fleet)| fleet.as_fleet().is_some() && !named.contains(*member))
        .map(|(&member, &fleet)| EdgeId { from: member.clone(), relation: RelationType::MemberOf, to: fleet.clone() })
        .filter(|id| !estate.edges.contains_key(id))
        .collect();
    joined.sort_unstable();
    for id in left {
        unrelate(estate, id, "the member is not folded into it any more", observing);
    }
    for id in joined {
        let cause = (!new.contains(&id.to)).then_some("the member is folded into it");
        relate(estate, id, Attributes::new(), cause, observing);
    }
}
