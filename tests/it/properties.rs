//! What holds over random worlds and orders, through the whole flow in this process: file source, ledger, decisions, plan, delivery, CMDB.
//!
//! `PROPTEST_CASES` sets how many cases each property tries. A failing case prints itself, smallest form first found.

mod flow;
mod oracle;
mod slices;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use self::flow::{Flow, document};
use self::oracle::{Oracle, Record, Timers};
use self::world::{SLOTS, Step, all_complete, any_look, bad_outcome, grounds, history, key, minute};

/// Cases where `PROPTEST_CASES` does not say otherwise: each runs several syncs on files.
const CASES: u32 = 24;

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() }
}

/// Timers that one listing without a resource can run down, so that a second sync at the same time has nothing to count.
const ONE_LISTING: Timers = Timers { min_age: 15, confirm_missing: 1, retire_after: 24 * 60, min_dwell: 60 };

/// The defaults of the program.
const DEFAULTS: Timers = Timers { min_age: 15, confirm_missing: 2, retire_after: 24 * 60, min_dwell: 60 };

/// Timers that have run down as soon as something is missed once.
const AT_ONCE: Timers = Timers { min_age: 0, confirm_missing: 1, retire_after: 0, min_dwell: 0 };

/// Limits that stop much.
const NARROW: &str =
    "lifecycle:\n  defaults: { confirm_missing: 1 }\nguardrails: { max_retire_percent: 10, max_retire_min: 2, max_retire: 3 }\n";

fn holds(ended: &dewpoint::run::Ended) -> Vec<String> {
    ended.plan.holds.iter().map(|hold| hold.id.to_string()).collect()
}

/// Fails with the lines that differ.
macro_rules! same {
    ($left:expr, $right:expr) => {
        let difference = flow::difference(&$left, &$right);
        prop_assert!(difference.is_empty(), "{}", difference);
    };
}

/// What the ledger and the CMDB hold.
fn everything(flow: &Flow) -> String {
    flow.export() + &flow.cmdb()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_second_plan_is_empty_and_a_second_sync_sends_nothing(history in history(2..7), narrow in any::<bool>()) {
        let flow = Flow::new(&if narrow { NARROW.to_owned() } else { ONE_LISTING.config() });
        let first = flow.live(&history).unwrap();
        let at = history[history.len() - 1].at();
        let plan = flow.plan(at);
        prop_assert!(plan.plan.changes.is_empty(), "{}", document(&plan));
        prop_assert_eq!(holds(&plan), holds(&first));
        let before = everything(&flow);
        let second = flow.sync(at);
        prop_assert_eq!(holds(&second), holds(&first));
        same!(before, everything(&flow));
    }

    #[test]
    fn an_incomplete_scope_takes_nothing(
        history in history(2..5),
        broken in 0..grounds().len(),
        outcome in bad_outcome(),
        looks in proptest::collection::vec(proptest::option::of(any_look()), SLOTS.len()),
    ) {
        let flow = Flow::new(&AT_ONCE.config());
        flow.live(&history);
        let ground = grounds().into_iter().nth(broken).unwrap();
        let Step { minute, mut world } = history[history.len() - 1].clone();
        world.receipts = all_complete();
        world.receipts.remove(&ground);
        world.receipts.extend(outcome.map(|outcome| (ground, outcome)));
        let inside: BTreeSet<usize> = (0..SLOTS.len()).filter(|slot| SLOTS[*slot].0 == ground).collect();
        for slot in &inside {
            world.looks[*slot].clone_from(&looks[*slot]);
        }
        let has_ended = |slot: &usize| world.looks[*slot].as_ref().is_some_and(|look| look.state == "terminated");
        let frozen: BTreeSet<String> = inside.iter().filter(|slot| !has_ended(slot)).map(|slot| key(*slot)).collect();

        let before = (records(&flow), edges(&flow), flow.estate());
        let last = Step { minute: minute + 100 * 60, world: world.clone() };
        flow.live(&[last]);
        let after = (records(&flow), edges(&flow), flow.estate());

        // Addresses are proven by the interfaces' listing, where the file has one.
        let has_interfaces = world.receipts.contains_key(&(ground.0, ground.1, "network_interface"));
        for (record, (retired, fields)) in before.0.iter().filter(|(record, _)| frozen.contains(*record)) {
            let (now_retired, now) = &after.0[record];
            prop_assert!(*retired || !now_retired, "{record} was retired");
            let mut lost = lost(fields, now);
            if has_interfaces && ground.2 == "instance" {
                lost.retain(|field| field != "private_addresses");
            }
            prop_assert_eq!(lost, Vec::<String>::new(), "{}", record);
        }
        if ground.2 == "network_interface" && outcome.is_some() {
            let machines = (0..SLOTS.len()).filter(|slot| SLOTS[*slot].0 == (ground.0, ground.1, "instance"));
            for machine in machines.map(key).filter(|machine| before.0.contains_key(machine)) {
                let addresses = |of: &Records| of[&machine].1.get("private_addresses").cloned();
                let (old, new) = (addresses(&before.0), addresses(&after.0));
                prop_assert!(old.is_none() || new.is_some(), "{} lost its addresses", machine);
            }
        }
        let inside: BTreeSet<String> = inside.into_iter().map(key).collect();
        let rests_on_it = |(from, relation, to): &(String, String, String)| match relation.as_str() {
            "member_of" | "depends_on" => inside.contains(to),
            _ => inside.contains(from),
        };
        // Edges go with an end that is retired, which only a stated end or another scope can do here.
        let is_live = |record: &String| !after.0[record].0;
        let lost: Vec<_> =
            before.1.difference(&after.1).filter(|edge| rests_on_it(edge) && is_live(&edge.0) && is_live(&edge.2)).collect();
        prop_assert!(lost.is_empty(), "lost in the CMDB: {lost:?}");
        for id in before.2.edges.keys().filter(|id| inside.contains(id.proving_end().as_str())) {
            prop_assert!(after.2.edges.contains_key(id), "lost in the ledger: {id:?}");
        }
        for (known, old) in before.2.resources.iter().filter(|(known, _)| frozen.contains(known.as_str())) {
            let new = &after.2.resources[known];
            prop_assert!(new.missing <= old.missing, "{known} was counted absent");
        }
    }

    #[test]
    fn the_order_of_a_file_does_not_matter(history in history(2..5), seed in any::<u64>(), narrow in any::<bool>()) {
        let config = if narrow { NARROW.to_owned() } else { DEFAULTS.config() };
        let (straight, shuffled) = (Flow::new(&config), Flow::new(&config));
        for Step { minute: at, world } in &history {
            straight.put(&world.file());
            shuffled.put(&world.shuffled(seed));
            same!(document(&straight.plan(minute(*at))), document(&shuffled.plan(minute(*at))));
            same!(document(&straight.sync(minute(*at))), document(&shuffled.sync(minute(*at))));
        }
        same!(everything(&straight), everything(&shuffled));
    }

    #[test]
    fn strangers_records_stay_as_they_are(history in history(3..7), entry in 0..3_usize, narrow in any::<bool>()) {
        let flow = Flow::new(&if narrow { NARROW.to_owned() } else { AT_ONCE.config() });
        flow.put(&nothing());
        flow.sync(history[0].at());
        flow.live(&history[..entry]);
        for statement in STRANGERS {
            flow.execute(statement);
        }
        let strangers = || [
            "SELECT * FROM record WHERE estate IS NULL ORDER BY id",
            "SELECT * FROM relation WHERE type LIKE 'people%' ORDER BY from_id, type, to_id",
            "SELECT history.* FROM history JOIN record ON record.id = record_id WHERE estate IS NULL",
        ].map(|sql| flow.query(sql));
        let before = strangers();
        prop_assert!(before[0].len() >= 4, "{:?}", before);
        flow.live(&history[entry..]);
        prop_assert_eq!(strangers(), before);
        // Nothing of ours stands beside them.
        let doubles = flow.query(
            "SELECT ours.external_id FROM record ours JOIN record theirs USING (native_id)
             WHERE ours.estate IS NOT NULL AND theirs.estate IS NULL AND (theirs.account IS NULL OR theirs.account = ours.account)
               AND ours.id > theirs.id",
        );
        prop_assert!(doubles.is_empty(), "{doubles:?}");
    }

    #[test]
    fn an_export_read_and_exported_again_is_itself(history in history(1..6)) {
        let first = Flow::new(&DEFAULTS.config());
        first.live(&history);
        let at = history[history.len() - 1].at();
        let second = Flow::new(&DEFAULTS.config());
        second.put_text(&first.export());
        second.sync(at);
        let third = Flow::new(&DEFAULTS.config());
        third.put_text(&second.export());
        third.sync(at);
        // What is derived rests on more than the file says: on members that are missing and left out, on ends that a listing does not
        // show (yet), on what stands because a listing that is not complete cannot take it away (a service whose last member lost its tag).
        let estate = first.estate();
        let is_whole = estate.scopes.values().all(|scope| scope.receipt.is_complete());
        if is_whole && estate.resources.values().all(|known| known.missing == 0 && known.end.is_none()) {
            same!(first.export(), second.export());
        } else {
            same!(underived(&first.export()), underived(&second.export()));
        }
        same!(second.export(), third.export());
    }

    #[test]
    fn gates_hold_over_any_slicing(slices in slices::any_slices()) {
        let flow = Flow::new(slices::CONFIG);
        for slice in &slices {
            flow.put(&slice.file());
            flow.sync(minute(slice.minute));
            slices::check(&flow, minute(slice.minute))?;
        }
    }

    #[test]
    fn an_older_plan_changes_nothing_that_is_newer(history in history(1..4), later in history(1..2), gap in 0..3_000_i64) {
        let flow = Flow::new(&DEFAULTS.config());
        flow.live(&history[..history.len() - 1]);
        let Step { minute: planned, world } = &history[history.len() - 1];
        flow.put(&world.file());
        flow.save_plan(minute(*planned));
        let mut world = later[0].world.clone();
        world.receipts = all_complete();
        flow.live(&[Step { minute: planned + gap, world }]);
        let newer = everything(&flow);
        flow.apply();
        same!(newer, everything(&flow));
    }

    #[test]
    fn a_plan_applied_twice_is_applied_once(history in history(1..5)) {
        let (planned, synced) = (Flow::new(&DEFAULTS.config()), Flow::new(&DEFAULTS.config()));
        planned.live(&history[..history.len() - 1]);
        synced.live(&history);
        let last = &history[history.len() - 1];
        planned.put(&last.world.file());
        planned.save_plan(last.at());
        planned.apply();
        let once = everything(&planned);
        same!(everything(&synced), once);
        planned.apply();
        same!(once, everything(&planned));
    }

    #[test]
    fn the_cmdb_holds_what_the_worlds_came_to(history in history(2..7), at_once in any::<bool>()) {
        let timers = if at_once { AT_ONCE } else { DEFAULTS };
        let flow = Flow::new(&timers.config());
        for known in 1..=history.len() {
            flow.live(&history[known - 1..known]);
            let oracle = Oracle::after(&history[..known], timers);
            prop_assert_eq!(shown(&flow), oracle.records(), "after run {}", known);
            let live: BTreeSet<String> =
                oracle.records().into_iter().filter(|(_, (record, ..))| *record == Record::Live).map(|(key, _)| key).collect();
            let edges: BTreeSet<_> = edges(&flow).into_iter().filter(|(from, _, to)| live.contains(from) && live.contains(to)).collect();
            prop_assert_eq!(edges, oracle.edges(), "after run {}", known);
        }
    }
}

/// Records of other people: one with a machine's id in its account, one in no account, one with a key of ours, one alone; and edges.
const STRANGERS: [&str; 7] = [
    r#"INSERT INTO record (class, fields) VALUES ('server', '{"native_id": "i-0", "account": "111111111111", "note": "ours since 2011"}')"#,
    r#"INSERT INTO record (class, kind, fields, retired) VALUES ('firewall', 'security_group', '{"native_id": "sg-2"}', 1)"#,
    r#"INSERT OR IGNORE INTO record (external_id, class, fields)
       VALUES ('aws:arn:aws:ec2:eu-west-1:222222222222:instance/i-4', 'server', '{"name": "copied by hand"}')"#,
    r#"INSERT INTO record (class, fields, created_at) VALUES ('coffee machine', '{"name": "kitchen"}', '2011-01-01')"#,
    r#"INSERT INTO record (external_id, class, fields) VALUES ('asset 17', 'desk', '{"native_id": "i-5", "account": "999999999999"}')"#,
    r#"INSERT INTO relation (from_id, type, to_id, attributes)
       SELECT a.id, 'people say so', b.id, '{"since": 2011}' FROM record a, record b WHERE a.class = 'coffee machine' AND b.class <> 'desk' AND a.id <> b.id"#,
    r#"INSERT INTO relation (from_id, type, to_id)
       SELECT b.id, 'people use it', a.id FROM record a, record b WHERE a.class = 'coffee machine' AND b.class <> 'desk' AND a.id <> b.id"#,
];

/// A file with nothing in it: the first sync of it makes the CMDB.
fn nothing() -> Value {
    json!({ "schema_version": 1, "receipts": [], "resources": [] })
}

type Records = BTreeMap<String, (bool, Map<String, Value>)>;

/// Our records by key: whether retired, and their fields.
fn records(flow: &Flow) -> Records {
    let rows = flow.query("SELECT external_id, retired, fields FROM record WHERE estate IS NOT NULL");
    rows.into_iter().map(|row| (row[0].clone(), (row[1] == "1", serde_json::from_str(&row[2]).unwrap()))).collect()
}

fn edges(flow: &Flow) -> BTreeSet<(String, String, String)> {
    let rows = flow.query("SELECT from_key, type, to_key FROM ci_relation");
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect()
}

/// Fields and tags that were there and are not any more.
fn lost(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let names = |fields: &Map<String, Value>| {
        let tags = fields.get("tags").and_then(Value::as_object).into_iter().flat_map(|tags| tags.keys().map(|tag| format!("tag {tag}")));
        fields.keys().cloned().chain(tags).collect::<BTreeSet<String>>()
    };
    names(before).difference(&names(after)).cloned().collect()
}

/// The records as [`Oracle::records`] has them.
fn shown(flow: &Flow) -> BTreeMap<String, (Record, Option<String>, bool)> {
    let of = |(key, (retired, fields)): (String, (bool, Map<String, Value>))| {
        if retired {
            return (key, (Record::Retired, None, false));
        }
        let size = fields.get("size").or_else(|| fields.get("size_gib"));
        let size = size.map(|size| size.as_str().map_or_else(|| size.to_string(), str::to_owned));
        (key, (Record::Live, size, fields.contains_key("owner")))
    };
    records(flow).into_iter().map(of).collect()
}

/// An export without what Dewpoint derived.
fn underived(export: &str) -> String {
    export.lines().filter(|line| !line.contains("\"derived\":true")).map(|line| format!("{}\n", line.trim_end_matches(','))).collect()
}

#[test]
fn the_worlds_reach_the_interesting_ends() {
    // Guards the properties above against worlds in which nothing ever happens.
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..30 {
        let history = history(4..7).new_tree(&mut runner).unwrap().current();
        let flow = Flow::new(&DEFAULTS.config());
        flow.live(&history);
        reached.extend(flow.query("SELECT DISTINCT change FROM history").into_iter().map(|row| row[0].clone()));
        reached.extend(flow.query("SELECT DISTINCT stage FROM ci").into_iter().map(|row| row[0].clone()));
    }
    for end in ["create", "update", "retire", "revive", "relate", "unrelate", "active", "inactive", "missing", "retired"] {
        assert!(reached.contains(end), "no history reached `{end}`: {reached:?}");
    }
}
