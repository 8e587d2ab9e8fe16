//! Syncs to a site that are killed at random instants, or meet faults at random.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_assets_sim::{Effect, Fault, Mishap, Sim};

use super::HOLDING;
use crate::kill::estate::Random;
use crate::kill::remote::{self, BELOW, Remote, pick};
use crate::scripts::{Capped, Scripted, Wrong};
use crate::support::World;
use crate::support::inventory::ACCOUNT;

#[test]
fn kill_dash_nine() {
    remote::kill_dash_nine::<Assets>();
}

#[test]
fn faults_at_random() {
    remote::faults_at_random::<Assets>();
}

#[test]
fn first_loads_by_imports() {
    remote::first_loads_are_killed::<Assets>("import: { token: env:IMPORT_TOKEN, from: 25, keeps_missing: true }");
}

/// The program and a site on which there are objects of people.
struct Assets {
    world: World,
    sim: Sim,
    strangers: BTreeMap<u64, Row>,
}

type Row = BTreeMap<String, Vec<String>>;

/// What is told of an object: what differs between two sites with the same content, and what is kept in other objects' ids, left out.
const UNTOLD: &[&str] = &["Key", "Created", "Updated", "Delivered At", "Dewpoint Data", "Estate ID"];

impl Assets {
    /// Objects of ours that are live, by id, with the ids of what they refer to.
    fn rows(&self) -> BTreeMap<String, Row> {
        self.sim.edit(|site| {
            let rows = site.objects().map(|object| {
                let mut row: Row = site.row(object).into_iter().collect();
                for name in HOLDING {
                    let Some(held) = row.get_mut(*name) else { continue };
                    *held = object.values(site.attribute(object.type_id, name).unwrap().id).to_vec();
                }
                (object.id.to_string(), row)
            });
            let is_ours = |row: &Row| row.contains_key("Estate ID") && row.get("Lifecycle").is_none_or(|status| status != &["Retired"]);
            rows.filter(|(_, row)| is_ours(row)).collect()
        })
    }

    /// The one object of a machine.
    fn id_of(&self, native_id: &str) -> u64 {
        let rows = self.rows();
        let mut ids = rows.iter().filter(|(_, row)| key_of(row).ends_with(&format!("/{native_id}"))).map(|(id, _)| id);
        let (id, other) = (ids.next().unwrap(), ids.next());
        assert_eq!(other, None, "objects of {native_id}");
        id.parse().unwrap()
    }
}

mod scripts {
    crate::scripts::scripts!(super::Assets);
    crate::scripts::scripts!(super::Assets, capped);
}

impl Capped for Assets {
    fn small_pages(&self) {
        self.sim.settings(|settings| settings.page_max = 3);
    }
}

impl Scripted for Assets {
    fn wrong(wrong: Wrong, nth: u64) -> Fault {
        let create = |effect: Effect| Fault::new(effect).operation("object_create");
        let fault = match wrong {
            Wrong::LostAnswer => create(Mishap::Reset.into()).after_commit(),
            Wrong::LostRequest => create(Mishap::Reset.into()),
            Wrong::Throttled(seconds) => create(Effect::RateLimited { retry_after_s: Some(seconds) }),
            Wrong::LoggedOut => Fault::new(Effect::Unauthenticated),
            Wrong::NotAllowed => create(Effect::Forbidden),
            Wrong::CutPage => Fault::new(Mishap::CutBody { share: 0.5 }).operation("aql"),
            Wrong::Poison(id) => create(Effect::Error { status: 400, message: "no".to_owned() }).body_contains(id),
        };
        fault.nth(nth)
    }

    fn times(fault: Fault, times: u64) -> Fault {
        fault.times(times)
    }

    fn people_add(&mut self, native_id: &str) {
        let id = self.sim.edit(|site| {
            let object_type = site.type_named("Virtual Machine").unwrap().id;
            site.insert(object_type, &[("Name", "by hand"), ("Native ID", native_id), ("Account ID", ACCOUNT)])
        });
        let row = self.sim.edit(|site| site.row(site.get(id).unwrap()));
        self.strangers.insert(id, row);
    }

    fn people_rename(&self, native_id: &str, name: &str) {
        let id = self.id_of(native_id);
        self.sim.edit(|site| site.change(id, &[("Name", name)]));
    }

    fn name_of(&self, native_id: &str) -> String {
        self.rows()[&self.id_of(native_id).to_string()]["Name"].concat()
    }
}

fn key_of(row: &Row) -> String {
    row.get("External ID").map(|texts| texts.concat()).unwrap_or_default()
}

impl Remote for Assets {
    const NAME: &'static str = "assets";
    type Fault = Fault;

    fn start(keys: &str) -> Self {
        let sim = super::site();
        // An import takes a while, in which it can be left behind.
        sim.settings(|settings| settings.import_processing_s = 1);
        let world = World::empty().with("ASSETS_TOKEN", "admin-token").with("IMPORT_TOKEN", "import-token-1");
        let target = super::target(&sim, keys);
        let text = format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\n{BELOW}\ntargets:\n{target}");
        world.write("dewpoint.yaml", &text);
        world.json(&["bootstrap", "assets"], 0);
        let ids = sim.edit(|site| {
            let object_type = site.type_named("Virtual Machine").unwrap().id;
            let one = site.insert(object_type, &[("Name", "kept by hand"), ("Native ID", "i-of-people")]);
            let schema = site.schema("CLOUD").unwrap().id;
            site.add_import(schema, "Dewpoint");
            [one, site.insert(object_type, &[("Name", "kept by hand, too"), ("Owner", "integration@example.com")])]
        });
        let strangers = sim.edit(|site| ids.map(|id| (id, site.row(site.get(id).unwrap()))).into());
        Self { world, sim, strangers }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn requests(&self) -> u64 {
        self.sim.counters().requests
    }

    fn writes(&self) -> u64 {
        self.sim.counters().writes
    }

    fn clear_calls(&self) {
        self.sim.clear_calls();
    }

    fn fault(random: &mut Random) -> Fault {
        let operation =
            pick(random, &["object_create", "object_create", "object_update", "object_update", "object_get", "aql", "object_delete"]);
        let effects = [
            Effect::Mishap(Mishap::Reset),
            Effect::Mishap(Mishap::ResetBody { share: random.unit() }),
            Effect::Mishap(Mishap::CutConnection { share: random.unit() }),
            Effect::Mishap(Mishap::CutBody { share: random.unit() }),
            Effect::Mishap(Mishap::Html { status: 502 }),
            Effect::Error { status: 500, message: "no".to_owned() },
            Effect::Error { status: 400, message: "no".to_owned() },
            Effect::RateLimited { retry_after_s: Some(700) },
            Effect::Forbidden,
        ];
        let effect = pick(random, &effects);
        let in_place = !matches!(effect, Effect::RateLimited { .. } | Effect::Forbidden | Effect::Error { status: 400, .. });
        let fault = Fault::new(effect).operation(operation).nth(u64::from(1 + random.below(9))).times(1);
        if in_place && random.below(2) == 0 { fault.after_commit() } else { fault }
    }

    fn faults(&self, script: Vec<Fault>) {
        self.sim.faults(script);
    }

    fn struck(&self) -> Vec<String> {
        self.sim.calls().into_iter().filter_map(|call| call.fault).collect()
    }

    fn live(&self) -> Vec<String> {
        let rows = self.rows();
        let told = |row: &Row| {
            let values = row.iter().filter(|(name, _)| !UNTOLD.contains(&name.as_str()) && !HOLDING.contains(&name.as_str()));
            format!("{:?}", values.collect::<BTreeMap<_, _>>())
        };
        let mut lines: Vec<String> = rows.values().map(told).collect();
        lines.extend(self.edges().into_iter().map(|(from, to)| format!("{from} -> {to}")));
        lines.sort();
        lines
    }

    fn keys(&self) -> Vec<String> {
        self.rows().values().map(key_of).collect()
    }

    /// Every reference is an edge of ours: people drew none. Each has to be noted.
    fn edges(&self) -> Vec<(String, String)> {
        let rows = self.rows();
        let mut edges = Vec::new();
        for row in rows.values() {
            let noted = row.get("Dewpoint Data").map(|texts| texts.concat()).unwrap_or_default();
            for (name, others) in row.iter().filter(|(name, _)| HOLDING.contains(&name.as_str())) {
                assert_eq!(name, "Security Groups");
                assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len(), "a reference twice: {row:?}");
                for other in others {
                    assert!(noted.contains(&format!("\"{other}\"")), "{other} is not noted: {row:?}");
                    let other = rows.get(other).unwrap_or_else(|| panic!("a reference to {other}, which is not live: {row:?}"));
                    edges.push((key_of(row), key_of(other)));
                }
            }
        }
        edges
    }

    fn assert_strangers(&self) {
        let rows =
            self.sim.edit(|site| self.strangers.keys().map(|id| (*id, site.get(*id).map(|object| site.row(object)))).collect::<Vec<_>>());
        for (id, row) in rows {
            assert_eq!(row.as_ref(), self.strangers.get(&id), "a stranger's object is another, or gone");
        }
    }
}
