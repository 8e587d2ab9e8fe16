//! Folding: many members, one record of their fleet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::derived::{self, Sighting, Sort, is_listed, is_live, members_scope, note, relate, unlisted_members, unrelate};
use super::lift;
use super::members::{self, Part, Told};
use super::merge::replace;
use super::observe::Observing;
use crate::estate::{Disposition, Estate, JournalKind, Known};
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
    sighting: Sighting,
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
///   nothing where the members' listing is not complete. What a group says of itself stands. A fleet that is left without members counts none
///   and is described by its last ones; a group whose members live and are folded no more loses what they added.
/// - Edges are lifted as [`lift`] says.
pub fn fold(estate: &mut Estate, folding: &Folding, observing: &Observing<'_>) -> Folded {
    let fleets = gather(estate, folding, observing);
    let mut new = BTreeSet::new();
    for (key, fleet) in &fleets {
        if let Some(resource) = named(estate, key, fleet, observing)
            && derived::upsert(estate, Sort::Fleet, resource, fleet.sighting, observing)
        {
            new.insert(key.clone());
        }
    }
    tell_fleets(estate, &fleets, observing);

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
        fleet.sighting.add(known, observing.fence);
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

/// Gives the groups that the cloud shows what their members add. What is left without any counts none, the named fleets too; only a group
/// whose members live and are not folded any more loses what they added.
fn tell_fleets(estate: &mut Estate, fleets: &BTreeMap<Key, Fleet>, observing: &Observing<'_>) {
    let loose = loose_members(estate, fleets);
    let is_fleet = |known: &Known| known.resource.kind == Kind::ScalingGroup;
    let mut views: Vec<(Key, Resource)> = Vec::new();
    for (key, known) in estate.resources.iter().filter(|(_, known)| is_fleet(known)) {
        let resource = &*known.resource;
        match fleets.get(key) {
            // Derived from its members already.
            Some(_) if resource.derived => {}
            Some(fleet) => {
                let proven = are_members_listed(estate, resource, observing);
                views.push((key.clone(), members::of_group(resource, Part::Members(&fleet.told), proven)));
            }
            // What has ended keeps its last attributes.
            None if known.end.is_some() => {}
            None if resource.derived => {
                let Estate { resources, edges, scopes, .. } = &*estate;
                if !observing.narrow && unlisted_members(resources, edges, scopes, key).is_none() {
                    views.push((key.clone(), members::of_emptied(resource)));
                }
            }
            None if members::adds_to(resource) => {
                let part = loose.get(key).copied().unwrap_or(Part::Emptied);
                views.push((key.clone(), members::of_group(resource, part, are_members_listed(estate, resource, observing))));
            }
            None => {}
        }
    }
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

/// Groups that had folded members, have none, and whose listing shows some that live.
fn loose_members<'a>(estate: &'a Estate, fleets: &BTreeMap<Key, Fleet>) -> HashMap<&'a Key, Part<'static>> {
    // The edges of a group that a listing lacks are its last ones.
    let is_concerned = |known: &Known| known.missing == 0 && !known.resource.derived && members::adds_to(&known.resource);
    let groups = estate.resources.iter().filter(|(key, known)| !fleets.contains_key(*key) && is_concerned(known));
    let groups: HashSet<&Key> = groups.map(|(key, _)| key).collect();
    let mut loose = HashMap::new();
    if groups.is_empty() {
        return loose;
    }
    for (id, _) in estate.edges.iter().filter(|(id, edge)| id.relation == RelationType::MemberOf && !edge.derived) {
        let Some(&group) = groups.get(&id.to) else { continue };
        match estate.resources.get(&id.from).filter(|member| member.missing == 0 && is_live(member)) {
            Some(member) if member.disposition == Disposition::Defer => drop(loose.entry(group).or_insert(Part::Undecided)),
            Some(_) => drop(loose.insert(group, Part::Released)),
            None => {}
        }
    }
    loose
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
