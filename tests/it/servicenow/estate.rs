//! The whole way: a cloud that boto3 made, Dewpoint, and a simulated instance, compared record by record with `estate.txt`.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_servicenow_sim::{CallRecord, Instance, Sim};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::moto::estate::{Shop, build};
use crate::support::Ran;
use crate::support::moto::{ACCOUNT, Cloud, IRELAND, Seen, key};

/// Columns that the engine fills, not we.
const OF_THE_ENGINE: &[&str] = &[
    "discovery_source",
    "first_discovered",
    "last_discovered",
    "sys_class_name",
    "sys_created_by",
    "sys_created_on",
    "sys_id",
    "sys_mod_count",
    "sys_updated_by",
    "sys_updated_on",
    "fault_count",
];

/// A record: its class, its columns and its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Record {
    class: String,
    columns: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

/// What an instance holds: records by name, and relationships as `PARENT | TYPE | CHILD`.
#[derive(Debug, Default)]
struct Holding {
    records: BTreeMap<String, Record>,
    relations: BTreeSet<String>,
}

/// What boto3 says of the estate, by the names that `estate.txt` uses.
struct Names {
    /// Names by key.
    by_key: BTreeMap<String, String>,
    /// What stands behind `{…}`.
    values: BTreeMap<String, String>,
}

struct Flow {
    cloud: Cloud,
    sim: Sim,
    shop: Shop,
    /// Ids of rows that people made: what `owned_by` and the like refer to.
    people: BTreeMap<&'static str, String>,
}

impl Flow {
    fn start() -> Self {
        let mut instance = Instance::new().with_data_source("Dewpoint");
        let people = BTreeMap::from([
            ("ada", instance.insert("sys_user", &[("user_name", "ada"), ("email", "ada@example.com")])),
            ("shops", instance.insert("cmn_cost_center", &[("name", "Shops"), ("code", "4711")])),
            ("operations", instance.insert("sys_user_group", &[("name", "Operations")])),
        ]);
        let sim = Sim::start(instance).unwrap();
        let cloud = Cloud::start(&[IRELAND], "");
        cloud.world.write("password", "integration-password");
        cloud.world.write(
            "dewpoint.yaml",
            &format!(
                "sources: [{{ name: aws, kind: aws, regions: [{IRELAND}], endpoint_url: \"{}\" }}]
ownership:
  environment: {{ tags: [env], values: {{ prod: production }} }}
lifecycle: {{ presets: [scaling-group-members], defaults: {{ min_age: 0s, retire_after: 0s, confirm_missing: 2 }} }}
targets:
  - name: snow
    kind: servicenow
    url: {}
    auth: {{ basic: {{ username: integration, password: file:password }} }}
    rate: {{ requests_per_second: 1000 }}
",
                cloud.url,
                sim.url()
            ),
        );
        let shop = build(&cloud, &cloud.place(IRELAND));
        let tag = |ids: &[&str], tags: &[(&str, &str)]| {
            let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            cloud.ec2(IRELAND, "create_tags", json!({ "Resources": ids, "Tags": tags }));
        };
        let networks = cloud.ec2(IRELAND, "describe_vpcs", json!({ "Filters": [{ "Name": "cidr", "Values": ["10.20.0.0/16"] }] }));
        tag(&[networks["Vpcs"][0]["VpcId"].as_str().unwrap()], &[("Name", "shop-net")]);
        tag(&[&shop.machines[0], &shop.machines[1]], &[("service", "shop")]);
        tag(&[&shop.machines[0]], &[("owner", "ada@example.com"), ("cost-center", "4711"), ("support-group", "Operations")]);
        tag(&[&shop.machines[1]], &[("owner", "ghost@example.com")]);
        let balancers = cloud.boto("elbv2", IRELAND, "describe_load_balancers", json!({ "Names": ["shop"] }));
        let arn = balancers["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap();
        cloud.boto("elbv2", IRELAND, "add_tags", json!({ "ResourceArns": [arn], "Tags": [{ "Key": "service", "Value": "shop" }] }));
        Self { cloud, sim, shop, people }
    }

    fn names(&self) -> Names {
        let mut seen = self.cloud.listed(IRELAND);
        seen.extend(self.cloud.listed_account(None, ACCOUNT, IRELAND));
        let mut by_key: BTreeMap<String, String> = seen.keys().map(|key| (key.clone(), name_of(key, &seen))).collect();
        by_key.insert("service:shop".to_owned(), "service".to_owned());
        let mut values: BTreeMap<String, String> = self.people.iter().map(|(name, id)| ((*name).to_owned(), id.clone())).collect();
        for (key, name) in &by_key {
            let Some(one) = seen.get(key) else { continue };
            values.insert(name.clone(), one.native_id.clone());
            values.insert(format!("{name}.arn"), key.strip_prefix("aws:").unwrap().to_owned());
            values.extend(one.facts.iter().map(|(fact, texts)| (format!("{name}.{fact}"), texts.join(","))));
        }
        self.more_facts(&by_key, &mut values);
        Names { by_key, values }
    }

    /// What the listing of all tests leaves out.
    fn more_facts(&self, by_key: &BTreeMap<String, String>, values: &mut BTreeMap<String, String>) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let machines = self.cloud.ec2(IRELAND, "describe_instances", json!({ "InstanceIds": self.shop.machines }));
        for machine in machines["Reservations"].as_array().unwrap().iter().map(|one| &one["Instances"][0]) {
            let name = &by_key[&key(IRELAND, "instance", machine["InstanceId"].as_str().unwrap())];
            let public = text(&machine["PublicDnsName"]);
            values.insert(format!("{name}.fqdn"), if public.is_empty() { text(&machine["PrivateDnsName"]) } else { public });
            let os = if machine["Platform"] == "windows" { "windows" } else { "linux" };
            values.insert("image.os".to_owned(), os.to_owned());
        }
        for subnet in self.cloud.ec2(IRELAND, "describe_subnets", json!({}))["Subnets"].as_array().unwrap() {
            let name = &by_key[&key(IRELAND, "subnet", subnet["SubnetId"].as_str().unwrap())];
            values.insert(format!("{name}.free"), subnet["AvailableIpAddressCount"].to_string());
        }
    }

    /// What the instance holds, by the same names.
    fn holding(&self, names: &Names) -> Holding {
        let value = |row: &BTreeMap<String, String>, column: &str| row.get(column).cloned().unwrap_or_default();
        let mut by_record: BTreeMap<String, String> = BTreeMap::new();
        for (_, mark) in self.sim.rows("sys_object_source", "") {
            let id = value(&mark.values, "id");
            let key = if id.starts_with("arn:") { format!("aws:{id}") } else { id };
            let name = names.by_key.get(&key).cloned().unwrap_or(key);
            let twice = by_record.insert(value(&mark.values, "target_sys_id"), name);
            assert_eq!(twice, None, "two marks on one record");
        }
        let mut holding = Holding::default();
        for (id, row) in self.sim.rows("cmdb_ci", "") {
            assert_eq!(value(&row.values, "discovery_source"), "Dewpoint");
            assert_eq!(value(&row.values, "sys_class_name"), row.table);
            let mut columns = row.values.clone();
            columns.retain(|column, _| !OF_THE_ENGINE.contains(&column.as_str()));
            let record = Record { class: row.table, columns, tags: BTreeMap::new() };
            let name = by_record.get(&id).unwrap_or_else(|| panic!("a record without a mark: {record:?}"));
            assert_eq!(holding.records.insert(name.clone(), record), None, "two records of {name}");
        }
        for (_, tag) in self.sim.rows("cmdb_key_value", "") {
            let record = holding.records.get_mut(&by_record[&tag.values["configuration_item"]]).unwrap();
            let twice = record.tags.insert(value(&tag.values, "key"), value(&tag.values, "value"));
            assert_eq!(twice, None, "a tag twice");
        }
        let types: BTreeMap<String, String> =
            self.sim.rows("cmdb_rel_type", "").into_iter().map(|(id, row)| (id, value(&row.values, "name"))).collect();
        for (_, row) in self.sim.rows("cmdb_rel_ci", "") {
            let end = |column: &str| &by_record[&row.values[column]];
            let relation = format!("{} | {} | {}", end("parent"), types[&row.values["type"]], end("child"));
            assert!(holding.relations.insert(relation.clone()), "twice: {relation}");
        }
        holding
    }

    /// Compares what the instance holds with `estate.txt` as it is after `change`.
    #[track_caller]
    fn assert_holds(&self, names: &Names, change: impl FnOnce(&mut Holding)) {
        let mut expected = Holding::read(include_str!("estate.txt"), names);
        change(&mut expected);
        let found = self.holding(names);
        let mut wrong: Vec<String> = Vec::new();
        for name in found.records.keys().chain(expected.records.keys()).collect::<BTreeSet<_>>() {
            match (found.records.get(name), expected.records.get(name)) {
                (Some(found), Some(expected)) if found == expected => {}
                (found, expected) => wrong.push(format!("{name}\n  found    {found:?}\n  expected {expected:?}")),
            }
        }
        wrong.extend(found.relations.difference(&expected.relations).map(|relation| format!("not expected: {relation}")));
        wrong.extend(expected.relations.difference(&found.relations).map(|relation| format!("missing: {relation}")));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[track_caller]
    fn sync(&self) -> Value {
        let ran: Ran = self.cloud.run(&["sync", "--output", "json"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        ran.document()
    }

    /// Syncs, and gives what was done, in how many payloads, and how many relationships it removed.
    #[track_caller]
    fn synced(&self) -> (BTreeMap<String, u64>, usize, usize) {
        self.sim.clear_calls();
        let sync = self.sync();
        let writes: Vec<CallRecord> = self.sim.calls().into_iter().filter(CallRecord::is_write).collect();
        let (payloads, others): (Vec<_>, Vec<_>) = writes.into_iter().partition(|call| call.api == "identifyreconcile");
        assert!(others.iter().all(|call| call.method == "DELETE" && call.table.as_deref() == Some("cmdb_rel_ci")), "{others:?}");
        (serde_json::from_value(sync["counts"]["snow"].clone()).unwrap(), payloads.len(), others.len())
    }
}

impl Holding {
    fn read(text: &str, names: &Names) -> Self {
        let mut holding = Self::default();
        let mut name = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            if let Some(line) = line.strip_prefix("  ") {
                let (column, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no value: {line}"));
                let value = names.fill(value);
                let record: &mut Record = holding.records.get_mut(&name).unwrap();
                match column.strip_prefix("tag ") {
                    Some(tag) => drop(record.tags.insert(tag.to_owned(), value)),
                    None if value.is_empty() => {}
                    None => drop(record.columns.insert(column.to_owned(), value)),
                }
            } else if line.contains(" | ") {
                assert!(holding.relations.insert(line.to_owned()), "twice: {line}");
            } else {
                let (class, own) = line.split_once(' ').unwrap();
                name = own.to_owned();
                let columns =
                    [("install_status", "1"), ("operational_status", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
                let record = Record { class: class.to_owned(), columns: columns.into(), tags: BTreeMap::new() };
                assert_eq!(holding.records.insert(name.clone(), record), None, "twice: {name}");
            }
        }
        for relation in &holding.relations {
            let ends = relation.split(" | ").step_by(2);
            assert!(ends.clone().count() == 2 && ends.clone().all(|end| holding.records.contains_key(end)), "{relation}");
        }
        holding
    }

    fn record(&mut self, name: &str) -> &mut Record {
        self.records.get_mut(name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn set(&mut self, name: &str, column: &str, value: &str) {
        self.record(name).columns.insert(column.to_owned(), value.to_owned());
    }

    fn retire(&mut self, name: &str) {
        let is_end = |end: &str| end == name;
        self.relations.retain(|relation| relation.contains(" | Hosted on::Hosts | ") || !relation.split(" | ").any(is_end));
        self.set(name, "install_status", "7");
        self.set(name, "operational_status", "6");
    }
}

impl Names {
    fn fill(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
        let (name, after) = rest.split_once('}').unwrap();
        // Facts that boto3 does not have are empty.
        let is_fact = self.values.keys().any(|known| name.split_once('.').is_some_and(|(of, _)| known == of));
        let value = self.values.get(name).cloned().or_else(|| is_fact.then(String::new));
        format!("{before}{}{after}", value.unwrap_or_else(|| panic!("nothing is called {name}")))
    }
}

/// The name of what boto3 lists.
fn name_of(key: &str, seen: &BTreeMap<String, Seen>) -> String {
    let one = &seen[key];
    let fact = |name: &str| one.facts.get(name).map(|texts| texts.join(",")).unwrap_or_default();
    let letter = |zone: &str| zone.chars().last().unwrap();
    let network = || name_of(&fact("network"), seen);
    let machine = || one.edges.iter().find_map(|edge| edge.strip_prefix("attached_to ")).map(|key| name_of(key, seen));
    let is_member = |one: &Seen| one.edges.iter().any(|edge| edge.starts_with("member_of "));
    match one.kind.as_str() {
        "account" | "region" => one.kind.clone(),
        "zone" => format!("zone-{}", letter(&one.native_id)),
        "network" => one.name.clone().unwrap_or_else(|| "default".to_owned()),
        "subnet" => format!("{}/{}", network(), letter(&fact("zone"))),
        "security_group" => format!("{}/{}", network(), one.name.as_ref().unwrap()),
        "instance" if is_member(one) => {
            let before = seen.iter().take_while(|(other, _)| *other != key).filter(|(_, one)| one.kind == "instance" && is_member(one));
            format!("worker-{}", before.count())
        }
        "instance" | "load_balancer" | "scaling_group" => one.name.clone().unwrap(),
        "network_interface" => format!("{}/nic", machine().unwrap()),
        "volume" => match machine() {
            None => "spare-volume".to_owned(),
            Some(machine) => format!("{machine}/{}", if fact("size_gib") == "7" { "data" } else { "root" }),
        },
        "public_address" => match machine() {
            None => "spare-address".to_owned(),
            Some(machine) => format!("{machine}/address"),
        },
        "pool" => format!("{}-pool", one.name.as_ref().unwrap()),
        other => panic!("{other}"),
    }
}

#[test]
fn every_record_and_relationship_of_a_cloud_is_as_it_should_be() {
    let flow = Flow::start();
    let began = Timestamp::now();
    let sync = flow.sync();
    assert_eq!(sync["folded"], 2);
    let names = flow.names();
    flow.assert_holds(&names, |_| {});
    // Each was discovered when the cloud was read.
    let at = |text: &str| format!("{}Z", text.replace(' ', "T")).parse::<Timestamp>().unwrap();
    for (_, row) in flow.sim.rows("cmdb_ci", "") {
        let seen = at(&row.values["last_discovered"]);
        assert!(seen >= Timestamp::from_second(began.as_second()).unwrap() && seen <= Timestamp::now(), "{row:?}");
    }

    // Nothing changed: one question, which asks where we are.
    assert_eq!(flow.synced(), (BTreeMap::new(), 0, 0));
    assert_eq!(flow.sim.counters().requests, 1, "{:?}", flow.sim.calls());

    // A tag, and a fleet that may grow: one update each, in one payload.
    let note = json!({ "Resources": [flow.shop.machines[2]], "Tags": [{ "Key": "note", "Value": "to be ended" }] });
    flow.cloud.ec2(IRELAND, "create_tags", note);
    let six = json!({ "AutoScalingGroupName": flow.shop.fleet, "MaxSize": 6 });
    flow.cloud.boto("autoscaling", IRELAND, "update_auto_scaling_group", six);
    assert_eq!(flow.synced(), (counts([("update", 2)]), 1, 0));
    let changed = |holding: &mut Holding| {
        holding.record("shop-2").tags.insert("note".to_owned(), "to be ended".to_owned());
        holding.set("workers", "max_size", "6");
    };
    flow.assert_holds(&names, changed);

    // A machine ends: it is retired at once, what went with it when it was missed twice. Edges go with the record that they begin or end at; it stays hosted
    // on its datacenter.
    flow.cloud.terminate(IRELAND, &flow.shop.machines[2]);
    assert_eq!(flow.synced(), (counts([("retire", 1)]), 1, 4));
    let ended = |holding: &mut Holding| {
        changed(holding);
        holding.retire("shop-2");
        holding.set("shop-2", "state", "Terminated");
    };
    flow.assert_holds(&names, ended);
    assert_eq!(flow.synced(), (counts([("retire", 2)]), 1, 2));
    flow.assert_holds(&names, |holding| {
        ended(holding);
        holding.retire("shop-2/nic");
        holding.retire("shop-2/root");
    });
    assert_eq!(flow.synced(), (BTreeMap::new(), 0, 0));
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}
