//! The whole way: a cloud that boto3 made, Dewpoint, and a simulated instance, compared record by record with `estate.txt`.

use std::collections::BTreeMap;

use dewpoint_servicenow_sim::{CallRecord, Instance, Sim};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::expected::{Holding, Names};
use crate::moto::estate::{Shop, build};
use crate::support::Ran;
use crate::support::moto::{ACCOUNT, Cloud, IRELAND, Seen, key};

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
        for interface in self.cloud.ec2(IRELAND, "describe_network_interfaces", json!({}))["NetworkInterfaces"].as_array().unwrap() {
            let name = &by_key[&key(IRELAND, "network-interface", interface["NetworkInterfaceId"].as_str().unwrap())];
            values.insert(format!("{name}.private_dns"), text(&interface["PrivateDnsName"]));
            values.insert(format!("{name}.public_dns"), text(&interface["Association"]["PublicDnsName"]));
        }
        let newer = self.cloud.boto("elbv2", IRELAND, "describe_load_balancers", json!({}));
        for balancer in newer["LoadBalancers"].as_array().unwrap() {
            let name = &by_key[&format!("aws:{}", text(&balancer["LoadBalancerArn"]))];
            values.insert(format!("{name}.hosted_zone"), text(&balancer["CanonicalHostedZoneId"]));
        }
        let classic = self.cloud.boto("elb", IRELAND, "describe_load_balancers", json!({}));
        for balancer in classic["LoadBalancerDescriptions"].as_array().unwrap() {
            values.insert(format!("{}.hosted_zone", text(&balancer["LoadBalancerName"])), text(&balancer["CanonicalHostedZoneNameID"]));
        }
        for subnet in self.cloud.ec2(IRELAND, "describe_subnets", json!({}))["Subnets"].as_array().unwrap() {
            let name = &by_key[&key(IRELAND, "subnet", subnet["SubnetId"].as_str().unwrap())];
            values.insert(format!("{name}.free"), subnet["AvailableIpAddressCount"].to_string());
        }
    }

    /// Compares what the instance holds with `estate.txt` as it is after `change`.
    #[track_caller]
    fn assert_holds(&self, names: &Names, change: impl FnOnce(&mut Holding)) {
        let mut expected = Holding::read(include_str!("estate.txt"), names);
        change(&mut expected);
        Holding::of(&self.sim, names).assert_is(&expected);
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
