//! What a CMDB must hold after a history, worked out a second time and as simply as can be: no fences, no plans, no ledger. It stands
//! on limits that stop nothing and on a source that answers every look-up from its file.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Edge, Look, SLOTS, Step, World, proving};

/// Timers, in minutes.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    pub min_age: i64,
    pub confirm_missing: u32,
    pub retire_after: i64,
    pub min_dwell: i64,
}

impl Timers {
    /// The configuration that says the same, with limits that stop nothing.
    pub fn config(self) -> String {
        let Self { min_age, confirm_missing, retire_after, min_dwell } = self;
        format!(
            "lifecycle:\n  defaults: {{ min_age: {min_age}m, confirm_missing: {confirm_missing}, retire_after: {retire_after}m, min_dwell: {min_dwell}m }}\nguardrails: {{ max_retire_min: 1000000 }}\n"
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    Live,
    Retired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Absent,
    Stated { minute: i64 },
}

/// One resource, or one service.
#[derive(Debug, Clone)]
struct Thing {
    look: Look,
    first: i64,
    last: i64,
    missing: u32,
    young: bool,
    end: Option<End>,
    record: Option<Record>,
}

impl Thing {
    fn new(look: Look, minute: i64, young: bool) -> Self {
        Self { look, first: minute, last: minute, missing: 0, young, end: None, record: None }
    }

    fn is_ended(&self) -> bool {
        self.end.is_some() || self.look.state == "terminated"
    }

    /// What a read shows is taken; what it does not show goes only if the listing was complete and the life goes on.
    fn read(&mut self, look: &Look, minute: i64, complete: bool) {
        let proven = complete && look.state != "terminated";
        let old = std::mem::replace(&mut self.look, look.clone());
        if !proven {
            self.look.size = look.size.or(old.size);
            self.look.owner |= old.owner;
            self.look.service = look.service.or(old.service);
            self.look.born = look.born.or(old.born);
        }
        self.last = minute;
        self.missing = 0;
        if self.end == Some(End::Absent) && look.state != "terminated" {
            self.end = None;
        }
    }

    fn is_due(&self, timers: Timers, minute: i64) -> bool {
        self.missing >= timers.confirm_missing && minute - self.last >= timers.retire_after
    }

    fn deliver(&mut self) {
        if self.end.is_some() {
            self.record = self.record.map(|_| Record::Retired);
        } else if self.missing == 0 && !self.young {
            self.record = Some(Record::Live);
        }
    }
}

/// The model.
pub struct Oracle {
    timers: Timers,
    things: BTreeMap<usize, Thing>,
    services: BTreeMap<&'static str, Thing>,
    edges: BTreeSet<Edge>,
    /// Service and member.
    served: BTreeSet<(&'static str, usize)>,
    /// Services with a member.
    wanted: BTreeSet<&'static str>,
}

impl Oracle {
    pub fn after(history: &[Step], timers: Timers) -> Self {
        let mut oracle = Self {
            timers,
            things: BTreeMap::new(),
            services: BTreeMap::new(),
            edges: BTreeSet::new(),
            served: BTreeSet::new(),
            wanted: BTreeSet::new(),
        };
        for step in history {
            oracle.step(step.minute, &step.world);
        }
        oracle
    }

    fn step(&mut self, minute: i64, world: &World) {
        for (slot, look) in world.looks.iter().enumerate() {
            let complete = world.is_complete(slot);
            let is_machine = SLOTS[slot].0.2 == "instance";
            match look {
                Some(look) => {
                    let look = Look { state: if is_machine { look.state } else { "" }, ..look.clone() };
                    let thing = self.things.entry(slot).or_insert_with(|| Thing::new(look.clone(), minute, is_machine));
                    thing.read(&look, minute, complete);
                }
                None => {
                    if let Some(thing) = self.things.get_mut(&slot).filter(|thing| complete && thing.end.is_none()) {
                        thing.missing += 1;
                    }
                }
            }
        }
        self.relate(world);
        self.serve(minute, world);
        self.end(minute, world);
        // Look-ups may have ended the last member, or brought one back.
        self.relate(world);
        self.serve(minute, world);
        self.miss_services(minute, world);
    }

    fn end(&mut self, minute: i64, world: &World) {
        for (slot, thing) in &mut self.things {
            let is_shown = world.looks[*slot].is_some();
            match thing.end {
                Some(End::Stated { minute: ended }) => {
                    let alive = is_shown && thing.look.state != "terminated" && minute - ended >= self.timers.min_dwell;
                    // The source is asked, and it can be asked about what it gave a receipt for.
                    if alive && world.receipts.contains_key(&SLOTS[*slot].0) {
                        thing.end = None;
                    }
                }
                Some(End::Absent) => {}
                None if thing.look.state == "terminated" => thing.end = Some(End::Stated { minute }),
                None if thing.is_due(self.timers, minute) && world.is_complete(*slot) => thing.end = Some(End::Absent),
                None => {}
            }
            // A birth in the future is an age of nothing.
            let age = (thing.last - thing.look.born.unwrap_or(thing.first)).max(0);
            if !thing.is_ended() && thing.missing == 0 && age >= self.timers.min_age {
                thing.young = false;
            }
            thing.young &= SLOTS[*slot].0.2 == "instance";
            thing.deliver();
        }
    }

    fn relate(&mut self, world: &World) {
        let shown = world.edges();
        let is_ended = |slot: &usize| self.things.get(slot).is_some_and(Thing::is_ended);
        self.edges.retain(|edge| {
            let end = proving(*edge);
            let proven = world.looks[end].is_some() && world.is_complete(end) && !is_ended(&edge.1) && !is_ended(&edge.2);
            shown.contains(edge) || !proven
        });
        self.edges.extend(shown);
    }

    fn serve(&mut self, minute: i64, world: &World) {
        let mut wanted: BTreeMap<&'static str, BTreeSet<usize>> = BTreeMap::new();
        for (slot, thing) in &self.things {
            let serves = ["instance", "pool"].contains(&SLOTS[*slot].0.2);
            let lives = !thing.is_ended() && (thing.missing == 0 || !thing.young);
            if let Some(name) = thing.look.service.filter(|_| serves && lives) {
                let name = if name == "billing" { "billing" } else { "shop" };
                wanted.entry(name).or_default().insert(*slot);
            }
        }
        let nothing = Look { state: "", size: None, address: false, owner: false, service: None, born: None, edges: 0, healthy: false };
        for (name, members) in &wanted {
            // A service was seen when one of those was that it consists of.
            let seen = members.iter().filter_map(|slot| self.things.get(slot)).map(|thing| thing.last).max().unwrap_or(minute);
            let service = self.services.entry(name).or_insert_with(|| Thing::new(nothing.clone(), seen, false));
            let last = service.last.max(seen);
            service.read(&nothing, minute, true);
            service.last = last;
            self.served.retain(|(service, slot)| {
                let gone = world.is_complete(*slot) && !self.things[slot].is_ended() && !members.contains(slot);
                service != name || !gone
            });
            self.served.extend(members.iter().map(|slot| (*name, *slot)));
        }
        self.wanted = wanted.into_keys().collect();
    }

    fn miss_services(&mut self, minute: i64, world: &World) {
        for (name, service) in &mut self.services {
            let is_proven = self.served.iter().all(|(other, slot)| other != name || world.is_complete(*slot));
            if !self.wanted.contains(name) && service.end.is_none() && is_proven {
                service.missing += 1;
                if service.is_due(self.timers, minute) {
                    service.end = Some(End::Absent);
                }
            }
            service.deliver();
        }
    }

    /// Records by key: whether live or retired, and of live ones `size` (or `size_gib`) and `owner`.
    pub fn records(&self) -> BTreeMap<String, (Record, Option<String>, bool)> {
        let things = self.things.iter().filter_map(|(slot, thing)| {
            let size = match SLOTS[*slot].0.2 {
                "instance" => thing.look.size.map(|size| format!("t3.{size}")),
                "volume" => thing.look.size.map(|size| size.to_string()),
                _ => None,
            };
            Some((super::world::key(*slot), shown(thing.record?, size, thing.look.owner)))
        });
        let services =
            self.services.iter().filter_map(|(name, service)| Some((format!("service:{name}"), shown(service.record?, None, false))));
        things.chain(services).collect()
    }

    /// Edges between live records: `from`, type, `to`.
    pub fn edges(&self) -> BTreeSet<(String, String, String)> {
        let is_live = |slot: &usize| self.things.get(slot).is_some_and(|thing| thing.record == Some(Record::Live));
        let edges = self.edges.iter().filter(|(_, from, to)| is_live(from) && is_live(to));
        let served = self.served.iter().filter(|(name, slot)| self.services[name].record == Some(Record::Live) && is_live(slot));
        edges
            .map(|(relation, from, to)| (super::world::key(*from), (*relation).to_owned(), super::world::key(*to)))
            .chain(served.map(|(name, slot)| (format!("service:{name}"), "depends_on".to_owned(), super::world::key(*slot))))
            .collect()
    }
}

fn shown(record: Record, size: Option<String>, owner: bool) -> (Record, Option<String>, bool) {
    match record {
        Record::Live => (record, size, owner),
        Record::Retired => (record, None, false),
    }
}
