//! Members' edges, lifted to the fleets that they are folded into.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::derived::{is_listed, is_live, object, relate, unrelate};
use super::edges::journal;
use super::merge::differing;
use super::observe::Observing;
use crate::estate::{Disposition, Estate, FieldChange, Known};
use crate::model::attributes::is_volatile_on_edge;
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType};

/// Gives fleets the edges of their live members, and takes from them what no member has any more. `fleet_of` has the live members only.
///
/// - Every edge is lifted, in both directions, save `member_of`, and `attached_to` of what shares its machine's disposition and so has no
///   record of its own. Edges within a fleet and to the fleet itself are not. An edge that the cloud shows of the fleet stays as it is.
/// - Many edges become one by [`Lifted`].
/// - A lifted edge that no live member has any more goes, save where a member that ended still has it in the ledger and the scope that would
///   prove that edge is not complete, or only a few keys were read. What leaves a fleet alive takes its part along at once.
pub(super) fn lift(estate: &mut Estate, fleet_of: &HashMap<&Key, &Key>, new: &BTreeSet<Key>, observing: &Observing<'_>) {
    let (wanted, mut gone) = compare(estate, fleet_of);
    if !gone.is_empty() {
        hold(estate, fleet_of, &mut gone, observing);
    }
    for id in gone {
        unrelate(estate, id, "no member has it any more", observing);
    }
    for (id, lifted) in wanted {
        let attributes = lifted.finish();
        match estate.edges.get(&id) {
            None => {
                let cause = (!new.contains(id.proving_end())).then_some("a member has it");
                relate(estate, id, attributes, cause, observing);
            }
            Some(known) if known.derived && known.attributes != attributes => rerelate(estate, &id, attributes, observing),
            Some(_) => {}
        }
    }
}

/// The edges that fleets have from their live members, and those that they have from members and should not.
fn compare(estate: &Estate, fleet_of: &HashMap<&Key, &Key>) -> (BTreeMap<EdgeId, Lifted>, BTreeSet<EdgeId>) {
    // Many edges become few: they are gathered by hash and sorted afterwards.
    let mut wanted: HashMap<Ends<'_>, Lifted> = HashMap::new();
    let mut present = Vec::new();
    let is_fleet = |(_, known): &(&Key, &Known)| known.resource.kind == Kind::ScalingGroup;
    let fleets: HashSet<&Key> = estate.resources.iter().filter(is_fleet).map(|(key, _)| key).collect();
    for (id, edge) in &estate.edges {
        if edge.derived && is_lifted(&fleets, id) {
            present.push(id);
        }
        let ends = lifted(&estate.resources, id, fleet_of.get(&id.from).copied(), fleet_of.get(&id.to).copied());
        if let Some(ends) = ends {
            wanted.entry(ends).or_default().add(&edge.attributes);
        }
    }
    let gone = present.into_iter().filter(|id| !wanted.contains_key(&(&id.from, id.relation, &id.to))).cloned().collect();
    (wanted.into_iter().map(|(ends, lifted)| (edge_id(ends), lifted)).collect(), gone)
}

/// Whether an edge, if derived, is one that this module made.
fn is_lifted(fleets: &HashSet<&Key>, id: &EdgeId) -> bool {
    let is_fleet = |key: &Key| key.as_fleet().is_some() || fleets.contains(key);
    id.relation != RelationType::MemberOf && (is_fleet(&id.from) || is_fleet(&id.to))
}

/// An edge's identity, borrowed.
type Ends<'a> = (&'a Key, RelationType, &'a Key);

fn edge_id((from, relation, to): Ends<'_>) -> EdgeId {
    EdgeId { from: from.clone(), relation, to: to.clone() }
}

/// The fleets' edge that an edge becomes whose ends are, or are not, folded into these fleets; `None` where it has no part in any.
fn lifted<'a>(resources: &BTreeMap<Key, Known>, id: &'a EdgeId, from: Option<&'a Key>, to: Option<&'a Key>) -> Option<Ends<'a>> {
    if id.relation == RelationType::MemberOf || (from.is_none() && to.is_none()) {
        return None;
    }
    let has_record = |key: &Key| resources.get(key).is_none_or(|known| known.disposition == Disposition::Record);
    if id.relation == RelationType::AttachedTo && from.is_none() && !has_record(&id.from) {
        return None;
    }
    let (from, to) = (from.unwrap_or(&id.from), to.unwrap_or(&id.to));
    (from != to).then_some((from, id.relation, to))
}

/// Takes out of `gone` what members that ended still have, as far as no complete listing proves that they do not.
fn hold(estate: &Estate, fleet_of: &HashMap<&Key, &Key>, gone: &mut BTreeSet<EdgeId>, observing: &Observing<'_>) {
    let Estate { resources, edges, scopes, .. } = estate;
    let fleets: BTreeSet<&Key> = gone.iter().flat_map(|id| [&id.from, &id.to]).collect();
    let mut ended: HashMap<&Key, Vec<&Key>> = HashMap::new();
    for id in edges.keys().filter(|id| id.relation == RelationType::MemberOf && fleets.contains(&id.to)) {
        if resources.get(&id.from).is_some_and(|known| !is_live(known)) {
            ended.entry(&id.from).or_default().push(&id.to);
        }
    }
    if ended.is_empty() {
        return;
    }
    let is_proven = |id: &EdgeId| {
        // A service's edges follow from its members' tags.
        let end = if id.from.is_derived() { &id.to } else { id.proving_end() };
        resources.get(end).is_some_and(|known| is_listed(scopes, &known.resource.scope()))
    };
    // A member that ended may have been in several fleets.
    let fleets_of = |key: &Key| match (fleet_of.get(key), ended.get(key)) {
        (Some(fleet), _) => vec![Some(*fleet)],
        (None, Some(fleets)) => fleets.iter().copied().map(Some).collect(),
        (None, None) => vec![None],
    };
    let mut held = BTreeSet::new();
    for id in edges.keys().filter(|id| ended.contains_key(&id.from) || ended.contains_key(&id.to)) {
        if !observing.narrow && is_proven(id) {
            continue;
        }
        let stops = fleets_of(&id.to);
        for from in fleets_of(&id.from) {
            held.extend(stops.iter().filter_map(|to| lifted(resources, id, from, *to)).map(edge_id));
        }
    }
    gone.retain(|id| !held.contains(id));
}

fn rerelate(estate: &mut Estate, id: &EdgeId, attributes: Attributes, observing: &Observing<'_>) {
    let Estate { edges, dirty, .. } = estate;
    let Some(known) = edges.get_mut(id) else { return };
    let mut firm = false;
    differing(&known.attributes, &attributes, |name, _, _| firm |= !is_volatile_on_edge(id.relation, name));
    if firm {
        let change = FieldChange { from: object(&known.attributes), to: object(&attributes) };
        journal(dirty, observing, id, "members have it", &change);
    }
    dirty.edges.insert(id.clone());
    known.attributes = attributes;
    known.fence = observing.fence;
}

/// The attributes of several edges made those of one: of ports the lowest stands for all, and all are named where there are several; the
/// worst health counts; anything else is told where all edges that tell it say the same.
#[derive(Debug, Default)]
struct Lifted {
    attributes: Attributes,
    differing: BTreeSet<String>,
    ports: BTreeSet<u64>,
    health: Option<String>,
}

impl Lifted {
    fn add(&mut self, attributes: &Attributes) {
        for (name, value) in attributes {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("port", Value::Number(port)) if port.is_u64() => self.ports.extend(port.as_u64()),
                ("ports", Value::Array(ports)) => self.ports.extend(ports.iter().filter_map(Value::as_u64)),
                ("health", Value::String(health)) => {
                    if self.health.as_deref().is_none_or(|worst| severity(worst) < severity(health)) {
                        self.health = Some(health.clone());
                    }
                }
                _ if self.differing.contains(name) => {}
                _ => match self.attributes.get(name) {
                    None => drop(self.attributes.insert(name.clone(), value.clone())),
                    Some(other) if other == value => {}
                    Some(_) => {
                        self.attributes.remove(name);
                        self.differing.insert(name.clone());
                    }
                },
            }
        }
    }

    fn finish(self) -> Attributes {
        let Self { mut attributes, ports, health, .. } = self;
        attributes.extend(ports.first().map(|port| ("port".to_owned(), (*port).into())));
        if ports.len() > 1 {
            attributes.insert("ports".to_owned(), ports.into_iter().collect());
        }
        attributes.extend(health.map(|health| ("health".to_owned(), health.into())));
        attributes
    }
}

/// How bad a state of health is; those of one rank go by their names, so that the order of members does not show.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), TargetHealth. Words of other providers rank below `unhealthy`.
fn severity(health: &str) -> (u8, &str) {
    let rank = match health {
        "healthy" => 0,
        "unused" => 1,
        "initial" => 2,
        "draining" => 3,
        "unhealthy" => 6,
        "unhealthy.draining" => 5,
        _ => 4,
    };
    (rank, health)
}
