//! The program, an inventory file and a simulated instance.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_servicenow_sim::{Instance, Sim};
use serde_json::{Value, json};

use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, Ran, World};

/// Days on which the tests sync; the inventories' resources were born long before.
pub(crate) const FIRST: &str = "2026-02-01T00:00:00Z";
pub(crate) const DAY_2: &str = "2026-02-02T12:00:00Z";
pub(crate) const DAY_3: &str = "2026-02-04T00:00:00Z";

/// No limit to speak of.
const RATE: &str = "rate: { requests_per_second: 1000 }";

/// A configuration whose only target is a simulated instance.
pub(crate) struct Snow {
    pub(crate) world: World,
    pub(crate) sim: Sim,
}

impl Snow {
    pub(crate) fn new() -> Self {
        Self::over(Instance::new().with_data_source("Dewpoint"), "")
    }

    /// `extra` are more keys of the target, each on a line.
    pub(crate) fn over(instance: Instance, extra: &str) -> Self {
        let snow = Self { world: World::empty(), sim: Sim::start(instance).unwrap() };
        snow.configure(extra, "");
        snow
    }

    pub(crate) fn configure(&self, extra: &str, below: &str) {
        let extra: String = extra.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "sources: [{{ name: demo, kind: file, path: inventory.json }}]
{below}
targets:
  - name: snow
    kind: servicenow
    url: {}
    auth: {{ basic: {{ username: integration, password: env:SNOW_PASSWORD }} }}
    {RATE}
{extra}",
            self.sim.url()
        );
        self.world.write("dewpoint.yaml", &text);
    }

    /// Asks at this pace from now on. `extra` are more keys of the target, each on a line.
    pub(crate) fn rate(&self, per_second: u32, extra: &str) {
        let text = std::fs::read_to_string(self.world.path("dewpoint.yaml")).unwrap();
        let (before, after) = text.split_once(RATE).unwrap();
        let extra: String = extra.lines().map(|line| format!("\n    {line}")).collect();
        self.world.write("dewpoint.yaml", &format!("{before}rate: {{ requests_per_second: {per_second} }}{extra}{after}"));
    }

    pub(crate) fn run_as(&self, password: &str, args: &[&str]) -> Ran {
        let mut command = self.world.command(args);
        Ran::of(&command.env("SNOW_PASSWORD", password).args(["--output", "json"]).output().unwrap())
    }

    /// As people see it.
    pub(crate) fn run_text(&self, args: &[&str]) -> Ran {
        Ran::of(&self.world.command(args).env("SNOW_PASSWORD", "integration-password").output().unwrap())
    }

    /// As people see it, where all goes well.
    #[track_caller]
    pub(crate) fn text(&self, args: &[&str]) -> Ran {
        self.run_text(args).expect(0, args)
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], code: i32) -> Value {
        self.run_as("integration-password", args).expect(code, args).document()
    }

    #[track_caller]
    pub(crate) fn sync_at(&self, at: &str, code: i32) -> Value {
        self.json(&["sync", "--at", at], code)
    }

    pub(crate) fn writes(&self) -> u64 {
        self.sim.counters().writes
    }

    /// How many records of ours there are, by class.
    pub(crate) fn marked(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (_, mark) in self.sim.rows("sys_object_source", "name=Dewpoint") {
            let (class, record) = (mark.values["target_table"].clone(), mark.values["target_sys_id"].clone());
            assert!(seen.insert(record), "two marks on one record");
            assert!(mark.values["source_feed"].len() > 8, "without an estate: {:?}", mark.values);
            *counts.entry(class).or_default() += 1;
        }
        counts
    }

    pub(crate) fn values(&self, table: &str, query: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let value = |row: &BTreeMap<String, String>, column: &&str| row.get(*column).cloned().unwrap_or_default();
        let rows = self.sim.rows(table, query);
        rows.iter().map(|(_, row)| columns.iter().map(|column| value(&row.values, column)).collect()).collect()
    }

    /// The ids of all that stands there, by table: what is made, doubled or removed shows in it.
    pub(crate) fn inventory(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.sim.snapshot().tables().into_iter().map(|(table, rows)| (table, rows.into_keys().collect())).collect()
    }
}

/// Some machines behind a security group.
pub(crate) fn machines(n: usize) -> Inventory {
    let inventory = Inventory::new().group("sg-1", json!({})).instances(n);
    (0..n).fold(inventory, |inventory, i| {
        inventory.relation("protected_by", &instance_key(&format!("i-{i:04}")), &key("security_group", "sg-1"))
    })
}
