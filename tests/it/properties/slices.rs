//! The same disappearances in any slices: machines and edges that come and go, and what may be ended of them within a day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::flow::Flow;
use crate::support::inventory::{Inventory, instance_key, key};

const MIN: usize = 2;
const PERCENT: usize = 25;
const MAX: usize = 4;

/// A machine that is missed once is retired, if the gates let it.
pub const CONFIG: &str = "lifecycle:\n  defaults: { min_age: 0s, confirm_missing: 1, retire_after: 0s, min_dwell: 0s }\nguardrails: { max_retire_percent: 25, max_retire_min: 2, max_retire: 4 }\n";

const MACHINES: usize = 11;

/// One run: which machines are there, and which of them have their edge.
#[derive(Debug, Clone)]
pub struct Slice {
    pub minute: i64,
    there: u16,
    related: u16,
}

impl Slice {
    pub fn file(&self) -> Value {
        let has = |bits: u16, n: usize| bits & (1 << n) != 0;
        let machines = (0..MACHINES).filter(|n| has(self.there, *n));
        let inventory = machines.fold(Inventory::new().group("sg-0", json!({})), |inventory, n| {
            let inventory = inventory.instance(&format!("i-{n}"), json!({}));
            let edge = (instance_key(&format!("i-{n}")), key("security_group", "sg-0"));
            if has(self.related, n) { inventory.relation("protected_by", &edge.0, &edge.1) } else { inventory }
        });
        inventory.value()
    }
}

/// Mostly everything at first, then bits that go (or come back), often within a day.
pub fn any_slices() -> impl Strategy<Value = Vec<Slice>> {
    let few = || prop_oneof![3 => (0..16_u32).prop_map(|n| 1_u16 << n), 1 => any::<u16>()];
    let gap = prop_oneof![4 => Just(60_i64), 2 => Just(12 * 60), 1 => Just(24 * 60), 1 => Just(30 * 60)];
    let back = proptest::bool::weighted(0.2);
    let first = prop_oneof![3 => Just(u16::MAX), 1 => any::<u16>()];
    (first, proptest::collection::vec((gap, few(), few(), back), 3..10)).prop_map(|(first, steps)| {
        let mut slice = Slice { minute: 0, there: first, related: u16::MAX };
        let mut slices = vec![slice.clone()];
        for (gap, machines, edges, back) in steps {
            slice.minute += gap;
            if back {
                slice.there |= machines;
                slice.related |= edges;
            } else {
                slice.there &= !machines;
                slice.related &= !edges;
            }
            slices.push(slice.clone());
        }
        slices
    })
}

/// What the CMDB's own history tells: who was live, which edges stood, what was ended.
#[derive(Default)]
struct Count {
    /// There at the window's start, or when the group first had any.
    base: usize,
    ended: usize,
}

/// Whether what was sent in the day that ends now kept within the limits, counted from the CMDB's history alone.
pub fn check(flow: &Flow, now: Timestamp) -> Result<(), TestCaseError> {
    let start = now - SignedDuration::from_hours(24);
    let rows = flow.query(
        "SELECT history.at, history.record_id, history.change, coalesce(history.to_id, 0), record.kind
         FROM history JOIN record ON record.id = history.record_id ORDER BY history.id",
    );
    let mut records: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut edges: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    let mut rows = rows.iter().peekable();
    while let Some(at) = rows.peek().map(|row| row[0].clone()) {
        let time: Timestamp = at.parse().unwrap();
        while let Some(row) = rows.next_if(|row| row[0] == at) {
            let (record, change, to, kind) = (row[1].as_str(), row[2].as_str(), row[3].as_str(), row[4].as_str());
            for group in ["all", kind] {
                let live = records.entry(group).or_default();
                let standing = edges.entry(group).or_default();
                match change {
                    "create" | "revive" => drop(live.insert(record)),
                    "retire" => drop(live.remove(record)),
                    "relate" => drop(standing.insert((record, to))),
                    "unrelate" => drop(standing.remove(&(record, to))),
                    _ => {}
                }
                if time > start && ["retire", "unrelate"].contains(&change) {
                    counts.entry((group, change)).or_default().ended += 1;
                }
            }
        }
        for (change, numbers) in [
            ("retire", records.iter().map(|(group, live)| (*group, live.len())).collect::<Vec<_>>()),
            ("unrelate", edges.iter().map(|(group, standing)| (*group, standing.len())).collect()),
        ] {
            for (group, number) in numbers {
                let count = counts.entry((group, change)).or_default();
                if time <= start || count.base == 0 {
                    count.base = number;
                }
            }
        }
    }
    for ((group, change), Count { base, ended }) in counts {
        let is_over = ended > MAX || (ended >= MIN && ended * 100 > PERCENT * base);
        prop_assert!(!is_over, "{ended} of {base} {change} of {group} in the day before {now}");
    }
    Ok(())
}
