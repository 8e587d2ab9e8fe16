//! A small estate that lives: machines and security groups come, change, change back, end and return.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::Inventory;
use crate::support::inventory::key;

const GROUPS: u32 = 40;
const INSTANCES: u32 = 160;

/// SplitMix64: the same numbers from the same seed on every machine and in every version.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.next() % u64::from(n)).unwrap()
    }

    pub fn unit(&mut self) -> f64 {
        f64::from(self.below(1_000_000)) / 1_000_000.0
    }
}

#[derive(Debug, Clone)]
struct Machine {
    size: u32,
    stopped: bool,
    owner: Option<u32>,
    name: u32,
    there: bool,
    terminated: bool,
    groups: BTreeSet<u32>,
}

/// What the clouds say at one instant.
#[derive(Debug, Clone)]
pub struct Estate {
    machines: BTreeMap<u32, Machine>,
    groups: BTreeMap<u32, u32>,
    born: u32,
}

impl Estate {
    pub fn new(random: &mut Random) -> Self {
        let mut estate = Self { machines: BTreeMap::new(), groups: (0..GROUPS).map(|id| (id, 0)).collect(), born: 0 };
        for _ in 0..INSTANCES {
            estate.give_birth(random);
        }
        estate
    }

    fn give_birth(&mut self, random: &mut Random) {
        let groups = (0..1 + random.below(3)).map(|_| random.below(GROUPS)).collect();
        let machine = Machine { size: 0, stopped: false, owner: None, name: 0, there: true, terminated: false, groups };
        self.machines.insert(self.born, machine);
        self.born += 1;
    }

    /// An hour goes by: births, ends for good, and what else changes.
    pub fn live_on(&mut self, random: &mut Random) {
        for _ in 0..random.below(12) {
            self.give_birth(random);
        }
        for _ in 0..random.below(10) {
            let id = random.below(self.born);
            if let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.there) {
                machine.terminated = true;
            }
        }
        self.waver(random);
        // Long gone machines are forgotten, so that a long run does not grow.
        let oldest = self.born.saturating_sub(2 * INSTANCES);
        self.machines.retain(|id, machine| *id >= oldest || machine.there && !machine.terminated);
    }

    /// What each of one to three syncs that are cut off meets. The estate may move on, or back, before the one that completes.
    pub fn wavered(&mut self, random: &mut Random) -> Vec<Self> {
        let kills = 1 + random.below(3);
        let mut states = vec![self.clone()];
        for _ in 1..kills {
            self.waver(random);
            states.push(self.clone());
        }
        if random.below(2) == 0 {
            self.waver(random);
        }
        states
    }

    /// Changes that may be changed back: few values, and each may be the former one again.
    pub fn waver(&mut self, random: &mut Random) {
        for _ in 0..10 + random.below(50) {
            let id = random.below(self.born);
            let group = random.below(GROUPS);
            let what = random.below(8);
            let value = random.below(2);
            if what == 7 {
                self.groups.insert(group, value);
                continue;
            }
            let Some(machine) = self.machines.get_mut(&id).filter(|machine| !machine.terminated) else { continue };
            match what {
                0 => machine.size = value,
                1 => machine.stopped = value == 1,
                2 => machine.owner = (value == 1).then_some(0),
                3 => machine.name = value,
                4 => machine.there = value == 1 || !machine.there,
                _ if !machine.groups.remove(&group) => {
                    machine.groups.insert(group);
                }
                _ => {}
            }
        }
    }

    fn present(&self) -> impl Iterator<Item = (u32, &Machine)> {
        self.machines.iter().filter(|(_, machine)| machine.there).map(|(id, machine)| (*id, machine))
    }

    fn live(&self) -> impl Iterator<Item = (u32, &Machine)> {
        self.present().filter(|(_, machine)| !machine.terminated)
    }

    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::new();
        for (id, rules) in &self.groups {
            inventory = inventory.group(&group_id(*id), json!({ "name": format!("group {id}"), "tags": { "rev": rules.to_string() } }));
        }
        for (id, machine) in self.present() {
            let mut tags = BTreeMap::from([("Name", format!("machine {id}"))]);
            tags.extend(machine.owner.map(|owner| ("owner", format!("owner-{owner}@example.com"))));
            let state = match machine {
                Machine { terminated: true, .. } => "terminated",
                Machine { stopped: true, .. } => "stopped",
                _ => "running",
            };
            let over = json!({
                "name": format!("machine {id} {}", machine.name), "tags": tags, "state": state,
                "attributes": { "size": format!("m5.{}", machine.size) },
            });
            inventory = inventory.instance(&machine_id(id), over);
        }
        for (id, machine) in self.live() {
            for group in &machine.groups {
                let (from, to) = (key("instance", &machine_id(id)), key("security_group", &group_id(*group)));
                inventory = inventory.relation("protected_by", &from, &to);
            }
        }
        inventory
    }

    /// Keys of what a CMDB must show as live.
    pub fn live_keys(&self) -> BTreeSet<String> {
        let machines = self.live().map(|(id, _)| key("instance", &machine_id(id)));
        machines.chain(self.groups.keys().map(|id| key("security_group", &group_id(*id)))).collect()
    }

    /// Edges between them.
    pub fn live_edges(&self) -> BTreeSet<(String, String)> {
        let edge = |id, group: &u32| (key("instance", &machine_id(id)), key("security_group", &group_id(*group)));
        self.live().flat_map(|(id, machine)| machine.groups.iter().map(move |group| edge(id, group))).collect()
    }
}

fn machine_id(id: u32) -> String {
    format!("i-{id:08x}")
}

fn group_id(id: u32) -> String {
    format!("sg-{id:08x}")
}
