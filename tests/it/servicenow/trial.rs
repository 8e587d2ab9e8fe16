//! An instance that others keep records in as well, and what must hold of it after whatever went wrong.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dewpoint_servicenow_sim::{Instance, Sim};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::rig::{FIRST, Snow};
use crate::support::inventory::{ACCOUNT, REGION};
use crate::support::{Inventory, Ran, World};

/// Rows by id: the table and the values.
type Rows = BTreeMap<String, (String, BTreeMap<String, String>)>;

/// The program and an instance on which there are records of people and of another source.
pub(super) struct Trial {
    pub(super) snow: Snow,
    strangers: Rows,
    password: Cell<&'static str>,
    hours: Cell<i64>,
}

/// An instance with our data source.
pub(super) fn instance() -> Instance {
    Instance::new().with_data_source("Dewpoint")
}

impl Trial {
    pub(super) fn new() -> Self {
        Self::over(instance(), "")
    }

    /// `extra` are more keys of the target.
    pub(super) fn over(mut instance: Instance, extra: &str) -> Self {
        let strangers = populate(&mut instance);
        let snow = Snow::over(instance, extra);
        Self { snow, strangers, password: Cell::new("integration-password"), hours: Cell::new(0) }
    }

    /// Other credentials: the YAML of `auth`, whose secret is `env:SNOW_PASSWORD`.
    pub(super) fn log_in(&self, auth: &str, secret: &'static str, extra: &str) {
        self.snow.configure(extra, "");
        let text = std::fs::read_to_string(self.snow.world.path("dewpoint.yaml")).unwrap();
        let (before, rest) = text.split_once("    auth: ").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        self.snow.world.write("dewpoint.yaml", &format!("{before}    auth: {auth}\n{after}"));
        self.password.set(secret);
    }

    pub(super) fn sim(&self) -> &Sim {
        &self.snow.sim
    }

    pub(super) fn put(&self, inventory: &Inventory) {
        self.snow.world.put(inventory);
    }

    /// Lets time pass before the next sync, which comes an hour after the last one of itself.
    pub(super) fn wait(&self, hours: i64) {
        self.hours.set(self.hours.get() + hours);
    }

    /// A sync, an hour after the last.
    pub(super) fn ran(&self) -> Ran {
        let first: Timestamp = FIRST.parse().unwrap();
        let at = first + jiff::SignedDuration::from_hours(self.hours.get());
        self.wait(1);
        self.snow.run_as(self.password.get(), &["sync", "--at", &at.to_string()])
    }

    #[track_caller]
    pub(super) fn sync(&self, code: i32) -> Value {
        self.ran().expect(code, &["sync"]).document()
    }

    #[track_caller]
    pub(super) fn json(&self, args: &[&str], code: i32) -> Value {
        self.snow.run_as(self.password.get(), args).expect(code, args).document()
    }

    /// Everything that must hold in the end: a sync has nothing to send, the instance holds what the inventory comes to and nothing twice,
    /// and of others' rows not one differs.
    #[track_caller]
    pub(super) fn assert_whole(&self, inventory: &Inventory) {
        self.assert_holds(&wanted(inventory));
    }

    #[track_caller]
    pub(super) fn assert_holds(&self, wanted: &[String]) {
        self.sim().faults(Vec::new());
        self.sim().clear_calls();
        let quiet = self.sync(0);
        assert_eq!(self.snow.writes(), 0, "a sync with nothing to do writes: {:#?}\n{quiet:#}", self.sim().calls());
        assert_same(&self.content(), wanted, "at the end");
        self.assert_strangers();
        let check = self.json(&["ledger", "check"], 0);
        for finding in check["findings"].as_array().unwrap() {
            assert_eq!(finding["outcome"], "ok", "{finding:#}");
        }
    }

    #[track_caller]
    pub(super) fn assert_strangers(&self) {
        let rows = rows(&self.sim().snapshot());
        for (id, row) in &self.strangers {
            assert_eq!(rows.get(id), Some(row), "a stranger's row is another, or gone");
        }
    }

    /// What there is beside the strangers' rows.
    pub(super) fn content(&self) -> Vec<String> {
        content(&self.sim().snapshot(), &self.strangers.keys().cloned().collect())
    }

    /// People add a record; it counts as a stranger's from now on.
    pub(super) fn people_add(&mut self, table: &str, values: &[(&str, &str)]) -> String {
        let id = self.sim().edit(|instance| instance.insert(table, values));
        let row = rows(&self.sim().snapshot()).remove(&id).unwrap();
        self.strangers.insert(id.clone(), row);
        id
    }

    /// A stranger's record that is one no more.
    pub(super) fn is_ours_now(&mut self, id: &str) {
        self.strangers.remove(id);
    }

    /// People change a row of theirs.
    pub(super) fn people_change(&mut self, id: &str, values: &[(&str, &str)]) {
        self.sim().edit(|instance| instance.update(id, values));
        let row = rows(&self.sim().snapshot()).remove(id).unwrap();
        self.strangers.insert(id.to_owned(), row);
    }

    /// The id of the one record of a machine.
    #[track_caller]
    pub(super) fn record(&self, object_id: &str) -> String {
        let mut found = self.sim().rows("cmdb_ci_vm_instance", &format!("object_id={object_id}"));
        assert_eq!(found.len(), 1, "records of {object_id}");
        found.remove(0).0
    }

    /// The value of a column of one record of ours.
    #[track_caller]
    pub(super) fn value(&self, object_id: &str, column: &str) -> String {
        let mut found = self.snow.values("cmdb_ci_vm_instance", &format!("object_id={object_id}"), &[column]);
        assert_eq!(found.len(), 1, "records of {object_id}");
        found.remove(0).remove(0)
    }

    /// Changes columns of the machine with this id, as somebody does by hand.
    #[track_caller]
    pub(super) fn people_edit(&self, object_id: &str, values: &[(&str, &str)]) {
        let id = self.record(object_id);
        self.sim().edit(|instance| instance.update(&id, values));
    }

    /// Another folder with the same configuration: another ledger for the same instance.
    pub(super) fn another_ledger(&self) -> World {
        let world = World::empty();
        for file in ["dewpoint.yaml", "inventory.json"] {
            std::fs::copy(self.snow.world.path(file), world.path(file)).unwrap();
        }
        world
    }
}

/// What others have there: things that are called as ours are, under other ids, in the same region of another account, and with a row of another source that
/// knows its own record by the key of one of ours.
pub(super) fn populate(instance: &mut Instance) -> Rows {
    let hosted = instance.relation_type("Hosted on::Hosts").unwrap();
    let uses = instance.relation_type("Uses::Used by").unwrap();
    let account = [
        ("name", "999999999999"),
        ("account_id", "999999999999"),
        ("object_id", "999999999999"),
        ("datacenter_type", "cmdb_ci_aws_datacenter"),
    ];
    let account = instance.insert("cmdb_ci_cloud_service_account", &account);
    let datacenter = instance.insert("cmdb_ci_aws_datacenter", &[("name", REGION), ("object_id", REGION), ("region", REGION)]);
    let machine =
        instance.insert("cmdb_ci_vm_instance", &[("name", "i-0001"), ("object_id", "i-9001"), ("discovery_source", "ServiceNow")]);
    let group = instance.insert("cmdb_ci_compute_security_group", &[("name", "sg-1"), ("object_id", "sg-9001")]);
    for (parent, kind, child) in
        [(&datacenter, &hosted, &account), (&machine, &hosted, &datacenter), (&group, &hosted, &datacenter), (&machine, &uses, &group)]
    {
        let edge = instance.insert("cmdb_rel_ci", &[("parent", parent), ("type", kind), ("child", child)]);
        instance.insert("sys_rel_source", &[("name", "ServiceNow"), ("source_feed", "UNKNOWN"), ("target_sys_id", &edge)]);
    }
    instance.insert("cmdb_key_value", &[("configuration_item", &machine), ("key", "rack"), ("value", "9")]);
    let key = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0001");
    let mark = [
        ("name", "ServiceNow"),
        ("id", key.as_str()),
        ("source_feed", "UNKNOWN"),
        ("target_sys_id", &machine),
        ("target_table", "cmdb_ci_vm_instance"),
    ];
    instance.insert("sys_object_source", &mark);
    rows(instance)
}

/// All rows but the choices, which administrators add and take away.
fn rows(instance: &Instance) -> Rows {
    let tables = instance.tables().into_iter().filter(|(table, _)| table != "sys_choice");
    tables.flat_map(|(table, rows)| rows.into_iter().map(move |(id, values)| (id, (table.clone(), values)))).collect()
}

/// The rows of an instance without some, one line each, in words that say what they are about and leave ids and times out.
pub(super) fn content(instance: &Instance, without: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(instance);
    let types: BTreeMap<String, String> =
        instance.find("cmdb_rel_type", "").into_iter().map(|(id, row)| (id, row.get("name").to_owned())).collect();
    let of = |values: &BTreeMap<String, String>, column: &str| values.get(column).cloned().unwrap_or_default();
    let called = |id: &str| match rows.get(id) {
        Some((table, values)) => {
            let whose = if without.contains(id) { "others' " } else { "" };
            format!("{whose}{} {}", table.trim_start_matches("cmdb_ci_"), of(values, "object_id"))
        }
        None => format!("a row that is gone ({id})"),
    };
    let edge = |values: &BTreeMap<String, String>| {
        let kind = types.get(&of(values, "type")).cloned().unwrap_or_default();
        format!("{} -> {kind} -> {}", called(&of(values, "parent")), called(&of(values, "child")))
    };
    let mut estates = BTreeSet::new();
    let mut lines = Vec::new();
    for (id, (table, values)) in rows.iter().filter(|(id, _)| !without.contains(*id)) {
        lines.push(match table.as_str() {
            "cmdb_rel_ci" => edge(values),
            "cmdb_key_value" => format!("{}: tag {}={}", called(&of(values, "configuration_item")), of(values, "key"), of(values, "value")),
            "sys_object_source" => {
                let feed = of(values, "source_feed");
                let estate = feed.trim_end_matches(" scaffold");
                estates.insert(estate.to_owned());
                let scaffold = if estate == feed { "" } else { " as scaffold" };
                let (name, key, table) = (of(values, "name"), of(values, "id"), of(values, "target_table"));
                format!("{name} knows {} in {table} by {key}{scaffold}", called(&of(values, "target_sys_id")))
            }
            "sys_rel_source" => match rows.get(&of(values, "target_sys_id")) {
                Some((_, relation)) => format!("{} knows {}", of(values, "name"), edge(relation)),
                // The engine leaves them behind.
                None => continue,
            },
            "cmdb_ire_partial_payloads" | "cmdb_ire_incomplete_payloads" | "reconcile_duplicate_task" => {
                format!("{table} {id}: {values:?}")
            }
            _ => {
                let is_own =
                    |name: &str| !name.starts_with("sys_") && !matches!(name, "first_discovered" | "last_discovered" | "object_id");
                let columns: BTreeMap<_, _> = values.iter().filter(|(name, _)| is_own(name)).collect();
                format!("{}: {columns:?}", called(id))
            }
        });
    }
    assert!(estates.len() <= 1, "marks of several estates: {estates:?}");
    lines.sort();
    lines
}

/// What an inventory of machines, groups and volumes in the usual region comes to, by hand from the notes on the classes.
pub(super) fn wanted(inventory: &Inventory) -> Vec<String> {
    let inventory = inventory.value();
    let mut lines = Vec::new();
    let mut record = |class: &str, object_id: &str, key: &str, scaffold: &str, columns: &[(&str, &str)]| {
        let mut all =
            BTreeMap::from([("discovery_source", "Dewpoint"), ("fault_count", "0"), ("install_status", "1"), ("operational_status", "1")]);
        all.extend(columns.iter().copied());
        lines.push(format!("{class} {object_id}: {all:?}"));
        lines.push(format!("Dewpoint knows {class} {object_id} in cmdb_ci_{class} by {key}{scaffold}"));
    };
    let account = [("account_id", ACCOUNT), ("datacenter_type", "cmdb_ci_aws_datacenter"), ("name", ACCOUNT)];
    record("cloud_service_account", ACCOUNT, &format!("arn:aws:iam::{ACCOUNT}:root"), " as scaffold", &account);
    let place = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:region/{REGION}");
    record("aws_datacenter", REGION, &place, " as scaffold", &[("name", REGION), ("region", REGION)]);
    let mut edges = vec![format!("aws_datacenter {REGION} -> Hosted on::Hosts -> cloud_service_account {ACCOUNT}")];
    let mut tags = Vec::new();
    let mut named = BTreeMap::new();
    // A machine tells of its disks where they were listed; none of these has any.
    let are_disks_listed = inventory["receipts"].as_array().unwrap().iter().any(|receipt| receipt["kind"] == "volume");
    for resource in inventory["resources"].as_array().unwrap() {
        let text = |name: &str| resource[name].as_str().unwrap();
        let (id, name, key) = (text("native_id"), text("name"), text("key"));
        let key = key.strip_prefix("aws:").unwrap();
        let class = match text("kind") {
            "instance" => {
                let is_running = resource["state"] == "running";
                let (state, operational) = if is_running { ("On", "1") } else { ("Off", "2") };
                let size = resource["attributes"]["size"].as_str().unwrap();
                let tag = resource["tags"]["asset"].as_str();
                let mut columns =
                    vec![("name", name), ("vm_inst_id", id), ("state", state), ("operational_status", operational), ("model_number", size)];
                columns.extend(tag.map(|tag| ("asset_tag", tag)));
                if are_disks_listed {
                    columns.extend([("disks", "0"), ("disks_size", "0")]);
                }
                record("vm_instance", id, key, "", &columns);
                "vm_instance"
            }
            "security_group" => {
                record("compute_security_group", id, key, "", &[("name", name)]);
                "compute_security_group"
            }
            "volume" => {
                record("storage_volume", id, key, "", &[("name", name), ("volume_id", id)]);
                "storage_volume"
            }
            other => panic!("{other} is not provided for"),
        };
        edges.push(format!("{class} {id} -> Hosted on::Hosts -> aws_datacenter {REGION}"));
        let of_it = resource["tags"].as_object().unwrap().iter();
        tags.extend(of_it.map(|(name, value)| format!("{class} {id}: tag {name}={}", value.as_str().unwrap())));
        named.insert(text("key").to_owned(), format!("{class} {id}"));
    }
    for relation in inventory["relations"].as_array().unwrap() {
        let end = |name: &str| &named[relation[name].as_str().unwrap()];
        edges.push(format!("{} -> Uses::Used by -> {}", end("from"), end("to")));
    }
    lines.extend(edges.iter().map(|edge| format!("Dewpoint knows {edge}")));
    lines.extend(edges);
    lines.extend(tags);
    lines.sort();
    lines
}

#[track_caller]
pub(super) fn assert_same(found: &[String], wanted: &[String], context: &str) {
    let mut text = String::new();
    let count = |lines: &[String], line: &String| lines.iter().filter(|other| *other == line).count();
    let all: BTreeSet<&String> = found.iter().chain(wanted).collect();
    if found != wanted {
        for line in all {
            let (there, due) = (count(found, line), count(wanted, line));
            if there != due {
                writeln!(text, "{there} times, wanted {due} times: {line}").unwrap();
            }
        }
        panic!("{context}: the instance holds something else\n{text}");
    }
}

/// A machine of [`super::rig::machines`] with other values, and its edge.
pub(super) fn with(inventory: Inventory, id: &str, over: Value) -> Inventory {
    use crate::support::inventory::{instance_key, key};
    inventory.without(&[id]).instance(id, over).relation("protected_by", &instance_key(id), &key("security_group", "sg-1"))
}

/// A volume.
pub(super) fn volume(inventory: Inventory, id: &str) -> Inventory {
    use crate::support::inventory::key;
    inventory.scope("volume", "complete").raw(json!({
        "key": key("volume", id), "kind": "volume", "provider": "aws", "native_id": id, "account": ACCOUNT, "region": REGION, "name": id, "tags": {},
        "attributes": {}, "created_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z",
    }))
}

/// Text of all problems, failures and remarks of a report.
pub(super) fn told(report: &Value) -> String {
    ["problems", "failed", "remarks"].map(|name| report[name].to_string()).join("\n")
}
