//! Syncs to a tenant that are killed at random instants, or meet faults at random.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_halo_sim::{CLIENT_SECRET, Effect, Fault, Field, FieldsUpdate, Mishap, PostAnswer, Shape, Sim, TypeField};

use crate::kill::estate::Random;
use crate::kill::remote::{self, BELOW, Remote, pick};
use crate::scripts::{Capped, Scripted, Wrong};
use crate::support::World;
use crate::support::inventory::ACCOUNT;

#[test]
fn kill_dash_nine() {
    remote::kill_dash_nine::<Halo>();
}

#[test]
fn faults_at_random() {
    remote::faults_at_random::<Halo>();
}

/// The program and a tenant in which there are assets of people.
struct Halo {
    world: World,
    sim: Sim,
    strangers: BTreeMap<i64, String>,
    /// What people drew, by parent and child.
    drawn: BTreeSet<(i64, i64)>,
    /// What people noted on assets in a field of theirs.
    remarks: BTreeMap<i64, String>,
}

/// A field of people's on the type of machines.
const REMARK: &str = "Remark";

/// Fields that differ between two tenants with the same content. An owner is written once, and one who comes later only when a read showed that there is none.
const UNTOLD: &[&str] = &["Dewpoint Delivered At", "Dewpoint Data", "Dewpoint Estate", "Cloud Owner", REMARK];

/// An asset of ours: its fields by name, and the name of its type, status and tag.
type Row = BTreeMap<String, String>;

impl Halo {
    fn rows(&self) -> BTreeMap<i64, Row> {
        self.sim.edit(|tenant| {
            let row = |id: i64| -> Row {
                let asset = tenant.get(id).unwrap();
                let fields = tenant.fields.values().map(|field| (field.name.clone(), tenant.value(id, &field.name).to_owned()));
                let fields = fields.filter(|(_, value)| !value.is_empty());
                let beside = [
                    ("type", tenant.types[&asset.assettype_id].name.clone()),
                    ("status", tenant.statuses[&asset.status_id].name.clone()),
                    ("tag", asset.inventory_number.clone()),
                ];
                fields.chain(beside.map(|(name, value)| (name.to_owned(), value))).collect()
            };
            let live = tenant.assets().into_iter().filter(|asset| !asset.inactive).map(|asset| asset.id).collect::<Vec<_>>();
            live.into_iter().map(|id| (id, row(id))).filter(|(_, row)| row.contains_key("Dewpoint Estate")).collect()
        })
    }

    /// The one asset of a machine.
    fn id_of(&self, native_id: &str) -> i64 {
        let rows = self.rows();
        let mut ids = rows.iter().filter(|(_, row)| key_of(row).ends_with(&format!("/{native_id}"))).map(|(id, _)| *id);
        let (id, other) = (ids.next().unwrap(), ids.next());
        assert_eq!(other, None, "assets of {native_id}");
        id
    }
}

mod scripts {
    crate::scripts::scripts!(super::Halo);
    crate::scripts::scripts!(super::Halo, capped);
}

impl Capped for Halo {
    fn small_pages(&self) {
        self.sim.settings(|settings| settings.page_rows_max = 3);
    }
}

impl Scripted for Halo {
    fn wrong(wrong: Wrong, nth: u64) -> Fault {
        let post = |effect: Effect| Fault::new(effect).operation("asset_post");
        let fault = match wrong {
            Wrong::LostAnswer => post(Mishap::Reset.into()).after_commit(),
            Wrong::LostRequest => post(Mishap::Reset.into()),
            Wrong::Throttled(seconds) => post(Effect::Throttle { retry_after_s: Some(seconds) }),
            Wrong::LoggedOut => Fault::new(Effect::ExpiredToken),
            Wrong::NotAllowed => post(Effect::Forbidden),
            Wrong::CutPage => Fault::new(Mishap::CutBody { share: 0.5 }).operation("asset_list"),
            Wrong::Poison(id) => post(Effect::Error { status: 400, shape: Shape::Text, message: "no".to_owned() }).body_contains(id),
        };
        fault.nth(nth)
    }

    fn times(fault: Fault, times: u64) -> Fault {
        fault.times(times)
    }

    fn people_add(&mut self, native_id: &str) {
        let (id, told) = self.sim.edit(|tenant| {
            let object_type = tenant.type_named("Virtual Machine").unwrap();
            let id = tenant.insert(object_type, "PC-8", &[("Name", "by hand"), ("Native ID", native_id), ("Account ID", ACCOUNT)]);
            (id, format!("{:?}", tenant.get(id)))
        });
        self.strangers.insert(id, told);
    }

    fn people_rename(&self, native_id: &str, name: &str) {
        let id = self.id_of(native_id);
        self.sim.edit(|tenant| tenant.set(id, "Name", name));
    }

    fn name_of(&self, native_id: &str) -> String {
        let id = self.id_of(native_id);
        self.sim.edit(|tenant| tenant.value(id, "Name").to_owned())
    }
}

fn below(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(u32::try_from(count.max(1)).unwrap())).unwrap()
}

fn key_of(row: &Row) -> String {
    row["Dewpoint Key"].clone()
}

impl Remote for Halo {
    const NAME: &'static str = "halo";
    type Fault = Fault;

    fn start(keys: &str) -> Self {
        let sim = super::tenant();
        let world = World::empty().with("HALO_SECRET", CLIENT_SECRET);
        let target = super::target(&sim, keys);
        world
            .write("dewpoint.yaml", &format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\n{BELOW}\ntargets:\n{target}"));
        world.json(&["bootstrap", "halo"], 0);
        let strangers = sim.edit(|tenant| {
            let object_type = tenant.type_named("Virtual Machine").unwrap();
            let field_id = tenant.add_field(Field::text(REMARK));
            tenant.types.get_mut(&object_type).unwrap().fields.push(TypeField { id: 900, field_id, key: None });
            let ids = [
                tenant.insert(object_type, "PC-7", &[("Name", "kept by hand"), ("Native ID", "i-of-people")]),
                tenant.insert(object_type, "", &[("Name", "kept by hand, too")]),
            ];
            tenant.relate(ids[0], ids[1], 1);
            ids.map(|id| (id, format!("{:?}", tenant.get(id)))).into()
        });
        let drawn = sim.relationships().into_iter().map(|one| (one.parent, one.child)).collect();
        Self { world, sim, strangers, drawn, remarks: BTreeMap::new() }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn requests(&self) -> u64 {
        self.sim.counters().requests
    }

    fn writes(&self) -> u64 {
        let calls = self.sim.counters().by_operation;
        ["asset_post", "asset_delete"].iter().filter_map(|operation| calls.get(*operation)).sum()
    }

    fn clear_calls(&self) {
        self.sim.clear_calls();
    }

    fn fault(random: &mut Random) -> Fault {
        let operation = pick(random, &["asset_post", "asset_post", "asset_post", "asset_get", "asset_list", "asset_delete"]);
        let effects = [
            Effect::Mishap(Mishap::Reset),
            Effect::Mishap(Mishap::ResetBody { share: random.unit() }),
            Effect::Mishap(Mishap::CutConnection { share: random.unit() }),
            Effect::Mishap(Mishap::CutBody { share: random.unit() }),
            Effect::Mishap(Mishap::Html { status: 502 }),
            Effect::Error { status: 500, shape: Shape::Text, message: "no".to_owned() },
            Effect::Error { status: 400, shape: Shape::Text, message: "no".to_owned() },
            Effect::Throttle { retry_after_s: Some(1) },
            Effect::Throttle { retry_after_s: Some(4) },
            Effect::Throttle { retry_after_s: Some(700) },
            Effect::ExpiredToken,
        ];
        let effect = pick(random, &effects);
        let in_place = !matches!(effect, Effect::Throttle { .. } | Effect::ExpiredToken | Effect::Error { status: 400, .. });
        let fault = Fault::new(effect).operation(operation).nth(u64::from(1 + random.below(4))).times(1);
        if in_place && random.below(2) == 0 { fault.after_commit() } else { fault }
    }

    fn faults(&self, script: Vec<Fault>) {
        self.sim.faults(script);
    }

    fn struck(&self) -> Vec<String> {
        self.sim.calls().into_iter().filter_map(|call| call.fault).collect()
    }

    fn live(&self) -> Vec<String> {
        let told = |row: &Row| format!("{:?}", row.iter().filter(|(name, _)| !UNTOLD.contains(&name.as_str())).collect::<BTreeMap<_, _>>());
        let mut lines: Vec<String> = self.rows().values().map(told).collect();
        lines.extend(self.edges().into_iter().map(|(from, to)| format!("{from} -> {to}")));
        lines.sort();
        lines
    }

    fn keys(&self) -> Vec<String> {
        self.rows().values().map(key_of).collect()
    }

    /// Groups are above what they protect.
    fn edges(&self) -> Vec<(String, String)> {
        let rows = self.rows();
        let key = |id: i64| rows.get(&id).map(key_of).unwrap_or_else(|| panic!("a relationship with {id}, which is not live"));
        let ours = self.sim.relationships().into_iter().filter(|one| !self.drawn.contains(&(one.parent, one.child)));
        ours.map(|one| (key(one.child), key(one.parent))).collect()
    }

    fn assert_strangers(&self) {
        let found: BTreeMap<i64, String> =
            self.sim.edit(|tenant| self.strangers.keys().map(|id| (*id, format!("{:?}", tenant.get(*id)))).collect());
        assert_eq!(found, self.strangers, "a stranger's asset is another, or gone");
        let related: BTreeSet<(i64, i64)> = self.sim.relationships().into_iter().map(|one| (one.parent, one.child)).collect();
        self.sim.edit(|tenant| {
            // What was removed took its relationships along.
            for (parent, child) in self.drawn.iter().filter(|(parent, child)| tenant.get(*parent).is_some() && tenant.get(*child).is_some())
            {
                assert!(related.contains(&(*parent, *child)), "people put {parent} above {child}");
            }
            for (id, remark) in self.remarks.iter().filter(|(id, _)| tenant.get(**id).is_some()) {
                assert_eq!(tenant.value(*id, REMARK), remark, "people's remark on {id}");
            }
        });
    }

    fn vary(&self, random: &mut Random) {
        let post_answer = pick(random, &[PostAnswer::ByCount, PostAnswer::Array, PostAnswer::Object]);
        let fields_update = pick(random, &[FieldsUpdate::Wipe, FieldsUpdate::Merge]);
        crate::kill::say(&format!("{}: answers {post_answer:?}, fields {fields_update:?}", Self::NAME));
        self.sim.settings(|settings| (settings.post_answer, settings.fields_update) = (post_answer, fields_update));
    }

    /// They relate an asset of ours to one of theirs, and note something on it.
    fn people_act(&mut self, random: &mut Random) {
        let machines = self.rows().into_iter().filter(|(_, row)| row["type"] == "Virtual Machine").map(|(id, _)| id).collect::<Vec<_>>();
        let theirs = self.strangers.keys().copied().collect::<Vec<_>>();
        let (Some(own), Some(other)) = (machines.get(below(random, machines.len())), theirs.get(below(random, theirs.len()))) else {
            return;
        };
        let (parent, child) = if random.below(2) == 0 { (*own, *other) } else { (*other, *own) };
        let remark = format!("remark {}", random.below(1000));
        self.sim.edit(|tenant| {
            tenant.relate(parent, child, 1);
            tenant.set(*own, REMARK, &remark);
        });
        self.drawn.insert((parent, child));
        self.remarks.insert(*own, remark);
    }
}
