//! The AWS source in whole syncs against the simulator: what cannot be read is left as it is, and everything else goes on.

use std::collections::BTreeMap;

use dewpoint_aws_sim::world::{BalancerKind, Change, Denial, OptIn, Spec, World as Aws};
use dewpoint_aws_sim::{Effect, Fault, Mishap};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::simulated::{EXTERNAL_ID, HUB, Simulated};
use crate::support::{Ran, World};

const SECOND: &str = "222222222222";
const THIRD: &str = "333333333333";
const FOURTH: &str = "444444444444";
const IRELAND: &str = "eu-west-1";
const VIRGINIA: &str = "us-east-1";
const ACCOUNTS: [&str; 4] = [HUB, SECOND, THIRD, FOURTH];
const REGIONS: [&str; 2] = [IRELAND, VIRGINIA];

const ORGANIZATION: &str = "accounts: organization, external_id: env:EXTERNAL_ID, regions: [eu-west-1, us-east-1]";
const TIMERS: &str = "min_age: 0s, retire_after: 0s, confirm_missing: 2";

/// An organization of four accounts, each with machines behind balancers in two regions.
fn organization() -> Aws {
    let mut aws = Aws::new();
    for (n, account) in ACCOUNTS.into_iter().enumerate() {
        for region in REGIONS {
            let spec = Spec {
                account: account.to_owned(),
                region: region.to_owned(),
                instances: 8,
                // Enough for a second page in one place.
                groups: if (account, region) == (HUB, VIRGINIA) { 1200 } else { 6 },
                balancers: 2,
                classic_balancers: 1,
                scaling_groups: 1,
                seed: n as u64,
                ..Spec::default()
            };
            aws.add(&spec);
        }
        if account != HUB {
            aws.account(account).role("DewpointReader", &[HUB]).external_id = Some(EXTERNAL_ID.to_owned());
        }
    }
    aws.organize(HUB);
    aws
}

/// The machine that ends in [`lose`]. Terminated, it still is the first.
fn first_machine(cloud: &Simulated, account: &str, region: &str) -> String {
    cloud.sim.edit_region(account, region, |place| place.instances.keys().next().cloned().unwrap())
}

/// The same loss everywhere: a machine ends with its volume, a group is deleted, a pool loses a member. In one region, others also lose an interface and
/// the membership in their group: facts of machines that other listings prove.
fn lose(cloud: &Simulated) {
    for account in ACCOUNTS {
        for region in REGIONS {
            cloud.sim.terminate(account, region, &first_machine(cloud, account, region)).unwrap();
            cloud.sim.edit_region(account, region, |place| {
                if region == VIRGINIA {
                    let second = place.instances.keys().nth(1).cloned();
                    place.interfaces.retain(|_, interface| interface.instance() != second.as_deref());
                    for group in place.scaling_groups.values_mut() {
                        let first = group.instances.keys().next().cloned();
                        group.instances.retain(|id, _| Some(id) != first.as_ref());
                    }
                }
                for pool in place.target_groups.values_mut().take(1) {
                    pool.targets.pop();
                }
                // The last one: no other refers to it.
                let group = place.group_id(if (account, region) == (HUB, VIRGINIA) { "group-1199" } else { "group-5" });
                assert!(place.groups.remove(&group).is_some());
            });
        }
    }
}

type Place = (String, String, String);

fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Account, region and kind of each receipt that is not complete, with its outcome.
fn gaps(document: &Value) -> BTreeMap<Place, String> {
    let receipts = document["receipts"].as_array().unwrap().iter().filter(|receipt| receipt["outcome"] != "complete");
    receipts.map(|receipt| ((word(receipt, "account"), word(receipt, "region"), word(receipt, "kind")), word(receipt, "outcome"))).collect()
}

fn gap(account: &str, region: &str, kind: &str, outcome: &str) -> (Place, String) {
    ((account.to_owned(), region.to_owned(), kind.to_owned()), outcome.to_owned())
}

/// Everything that the CMDB holds, by account, region and kind, without edges to machines that end: these go with the machine's retirement.
fn records(cloud: &Simulated) -> BTreeMap<Place, Vec<Vec<String>>> {
    let mut records: BTreeMap<Place, Vec<Vec<String>>> = BTreeMap::new();
    let ending: Vec<String> = ACCOUNTS.iter().flat_map(|account| REGIONS.map(|region| first_machine(cloud, account, region))).collect();
    for (view, column) in [("ci", "key"), ("ci_attribute", "key"), ("ci_relation", "from_key")] {
        let sql = format!("SELECT c.account, c.region, c.kind, v.* FROM {view} v JOIN ci c ON c.key = v.{column} ORDER BY 4, 5, 6");
        for mut row in cloud.world.query("cmdb.db", &sql) {
            let rest = row.split_off(3);
            if view == "ci_relation" && rest.iter().any(|text| ending.iter().any(|id| text.ends_with(&format!("/{id}")))) {
                continue;
            }
            let [account, region, kind] = <[String; 3]>::try_from(row).unwrap();
            records.entry((account, region, kind)).or_default().push(rest);
        }
    }
    records
}

/// Addresses and memberships of machines in the third account's second region, without the one that ends.
fn unread(cloud: &Simulated) -> Vec<Vec<String>> {
    let ended = first_machine(cloud, THIRD, VIRGINIA);
    let machines = format!("LIKE 'aws:arn:aws:ec2:{VIRGINIA}:{THIRD}:instance/%'");
    let names = "'private_addresses', 'public_addresses', 'macs'";
    let facts = format!("SELECT key, name, value FROM ci_attribute WHERE key {machines} AND name IN ({names}) ORDER BY 1, 2");
    let members = format!("SELECT from_key, type, to_key FROM ci_relation WHERE from_key {machines} AND type = 'member_of' ORDER BY 1, 3");
    let mut rows = cloud.world.query("cmdb.db", &facts);
    rows.extend(cloud.world.query("cmdb.db", &members));
    rows.retain(|row| !row[0].ends_with(&ended));
    rows
}

fn total(sync: &Value, change: &str) -> u64 {
    World::counts(sync).into_iter().filter(|(name, _)| name == change).map(|(_, n)| n).sum()
}

#[test]
fn what_cannot_be_read_is_left_as_it_is_and_everything_else_goes_on() {
    let cloud = Simulated::start(organization(), &format!("{ORGANIZATION}, timeout: 4s"), TIMERS);
    let sync = cloud.sync(0);
    assert_eq!(gaps(&sync), BTreeMap::new());
    assert_eq!(total(&cloud.sync(0), "create"), 0, "the second sync has nothing to do");
    let (before, unread_before) = (records(&cloud), unread(&cloud));

    lose(&cloud);
    let deny = |service: &str| Denial { region: Some(IRELAND.to_owned()), service: Some(service.to_owned()), action: None };
    cloud.sim.edit(|aws| aws.account(FOURTH).denials.extend(["ec2", "elasticloadbalancing", "autoscaling"].map(deny)));
    let at = |effect: Effect, account: &str, region: &str, action: &str| Fault::new(effect).account(account).region(region).action(action);
    let broken = Effect::Error { status: 500, code: "InternalError".to_owned(), message: "An internal error has occurred".to_owned() };
    cloud.sim.faults(vec![
        Fault::new(Effect::Deny).account(SECOND).action("AssumeRole"),
        at(broken, HUB, VIRGINIA, "DescribeSecurityGroups").page(2),
        at(Effect::Mishap(Mishap::CutBody { share: 0.4 }), THIRD, IRELAND, "DescribeInstances"),
        at(Effect::Throttle, THIRD, IRELAND, "DescribeVolumes"),
        at(Effect::Deny, THIRD, VIRGINIA, "DescribeNetworkInterfaces"),
        at(Effect::Deny, THIRD, VIRGINIA, "DescribeAutoScalingGroups"),
        at(Effect::Deny, THIRD, IRELAND, "DescribeTargetHealth"),
    ]);
    let kinds = ["instance", "load_balancer", "network", "network_interface", "pool", "public_address", "scaling_group", "security_group"];
    let kinds = kinds.into_iter().chain(["subnet", "volume", "zone"]);
    let mut expected: BTreeMap<Place, String> = kinds.clone().map(|kind| gap(FOURTH, IRELAND, kind, "denied")).collect();
    expected.extend(kinds.chain(["account", "region"]).map(|kind| gap(SECOND, "*", kind, "denied")));
    // What is known of its regions is as unread as the account.
    let known = before.keys().filter(|(account, region, _)| account == SECOND && region != "*");
    expected.extend(known.map(|(account, region, kind)| gap(account, region, kind, "denied")));
    expected.extend([
        gap(HUB, VIRGINIA, "security_group", "failed"),
        gap(THIRD, IRELAND, "instance", "truncated"),
        gap(THIRD, IRELAND, "volume", "throttled"),
        gap(THIRD, IRELAND, "pool", "denied"),
        gap(THIRD, VIRGINIA, "network_interface", "denied"),
        gap(THIRD, VIRGINIA, "scaling_group", "denied"),
    ]);

    let mut retired = 0;
    for _ in 0..3 {
        let sync = cloud.sync(3);
        assert_eq!(sync["outcome"], "partly");
        let mut found = gaps(&sync);
        // Kinds of which the second account has nothing, in its regions.
        found.retain(|place, _| expected.contains_key(place) || place.0 != SECOND);
        assert_eq!(found, expected);
        retired += total(&sync, "retire");
        let now = records(&cloud);
        for place in expected.keys() {
            assert_eq!(now.get(place), before.get(place), "{place:?}");
        }
    }
    // What could be read lost what it lost: a machine with its interface and volume, and a group, in the hub's first region; in its second, without groups, another
    // interface; in the fourth account's second region all of these; in the third account an interface and a group, and a machine, a volume and a group.
    assert_eq!(retired, 4 + 4 + 5 + 2 + 3);
    // The machines' own listing is whole, those of interfaces and scaling groups are not: what only these prove stays as it was.
    assert_eq!(unread(&cloud), unread_before);
    let memberships = unread_before.iter().filter(|row| row[1] == "member_of").count();
    assert!(memberships >= 2 && unread_before.len() == 7 * 3 + memberships, "{unread_before:?}");

    let coverage = cloud.json(&["coverage", "show"], 0);
    let why = |account: &str, region: &str, kind: &str| {
        let is_it = |receipt: &&Value| receipt["account"] == account && receipt["region"] == region && receipt["kind"] == kind;
        word(coverage["receipts"].as_array().unwrap().iter().find(is_it).unwrap(), "error")
    };
    for (account, region, kind, words) in [
        (FOURTH, IRELAND, "instance", "service control policy"),
        (SECOND, "*", "instance", "sts:AssumeRole"),
        // Whether the attempts or the time end first is chance.
        (HUB, VIRGINIA, "security_group", "InternalError | HTTP status 500"),
        (THIRD, IRELAND, "instance", "the body ends before its closing tag"),
        (THIRD, IRELAND, "volume", "throttled at ec2:DescribeVolumes"),
        (THIRD, VIRGINIA, "scaling_group", "autoscaling:DescribeAutoScalingGroups"),
    ] {
        let why = why(account, region, kind);
        assert!(words.split(" | ").any(|words| why.contains(words)), "{account} {region} {kind}: {why}");
        assert!(!why.contains(EXTERNAL_ID), "{why}");
    }

    // Readable again: it is caught up with, and then there is nothing left to do.
    cloud.sim.faults(Vec::new());
    cloud.sim.edit(|aws| aws.account(FOURTH).denials.clear());
    cloud.sync(0);
    cloud.sync(0);
    let sync = cloud.sync(0);
    assert_eq!(World::counts(&sync), [], "{sync:#}");
    let ended = cloud.world.count("SELECT count(*) FROM ci WHERE kind = 'instance' AND retired");
    assert_eq!(ended, 8, "one machine in each region of each account");
}

#[test]
fn a_closed_account_ends_and_a_suspended_one_waits() {
    let cloud = Simulated::start(organization(), ORGANIZATION, TIMERS);
    cloud.sync(0);
    let state = |account: &str, state: &str| {
        cloud.sim.edit(|aws| aws.organization.as_mut().unwrap().member(account).unwrap().state = state.to_owned());
    };
    state(SECOND, "SUSPENDED");
    let sync = cloud.sync(0);
    let of_second = gaps(&sync);
    assert!(of_second.iter().all(|((account, ..), outcome)| account == SECOND && outcome == "skipped"), "{of_second:?}");
    assert_eq!(World::counts(&sync), [("update".to_owned(), 1)], "the account says that it is suspended");

    // Closed is evidence; that so much ends at once is held all the same.
    state(SECOND, "CLOSED");
    let sync = cloud.sync(4);
    assert_eq!(total(&sync, "retire"), 0, "{sync:#}");
    let holds: Vec<String> = sync["holds"].as_array().unwrap().iter().map(|hold| word(hold, "id")).collect();
    let approvals: Vec<&str> = holds.iter().flat_map(|hold| ["--approve", hold]).collect();
    assert!(total(&cloud.json(&[&["sync"], &*approvals].concat(), 0), "retire") > 30);
    let left = cloud.world.count(&format!("SELECT count(*) FROM ci WHERE account = '{SECOND}' AND NOT retired"));
    assert_eq!(left, 0);
    let others = cloud.world.count(&format!("SELECT count(*) FROM ci WHERE account <> '{SECOND}' AND retired"));
    assert_eq!(others, 0);
    assert_eq!(World::counts(&cloud.sync(0)), []);
}

#[test]
fn a_region_that_hangs_costs_one_time_out() {
    let cloud = Simulated::start(organization(), &format!("{ORGANIZATION}, timeout: 3s"), TIMERS);
    cloud.sync(0);
    let before = records(&cloud);
    lose(&cloud);
    cloud.sim.faults(vec![Fault::new(Mishap::Hang).account(THIRD).region(VIRGINIA)]);
    cloud.sim.clear_calls();
    let sync = cloud.sync(3);
    let found = gaps(&sync);
    assert!(found.keys().all(|(account, region, _)| (account.as_str(), region.as_str()) == (THIRD, VIRGINIA)), "{found:?}");
    assert!(found.values().all(|outcome| outcome == "failed") && found.len() == 11, "{found:?}");
    let asked = cloud.sim.calls().iter().filter(|call| call.account == THIRD && call.region == VIRGINIA).count();
    assert!(asked <= 12, "{asked} calls to a region that is silent");
    let coverage = cloud.json(&["coverage", "show"], 0);
    let silent = coverage["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|receipt| word(receipt, "error").contains("no answer within the time"))
        .count();
    assert_eq!(silent, 11, "{coverage:#}");
    let now = records(&cloud);
    for place in found.keys() {
        assert_eq!(now.get(place), before.get(place), "{place:?}");
    }
}

#[test]
fn credentials_that_end_in_the_middle_of_a_pull_end_its_scopes() {
    let cloud = Simulated::start(organization(), ORGANIZATION, TIMERS);
    cloud.sync(0);
    let before = records(&cloud);
    lose(&cloud);
    // The role's session is over when EC2 has answered: what is asked of the other services is refused. (Which single call comes when is chance;
    // the source's own tests end sessions there.)
    cloud.sim.faults(
        ["elb", "elbv2", "autoscaling"]
            .map(|service| Fault::new(Effect::ExpiredToken).account(THIRD).region(VIRGINIA).service(service))
            .to_vec(),
    );
    let sync = cloud.sync(3);
    let found = gaps(&sync);
    assert_eq!(found, ["load_balancer", "pool", "scaling_group"].map(|kind| gap(THIRD, VIRGINIA, kind, "denied")).into());
    let now = records(&cloud);
    for place in found.keys() {
        assert_eq!(now.get(place), before.get(place), "{place:?}");
    }
    let receipts = sync["receipts"].as_array().unwrap().iter();
    let expired = receipts.filter(|receipt| {
        word(receipt, "error").contains("no credentials that are accepted") && word(receipt, "error").to_lowercase().contains("expired")
    });
    assert_eq!(expired.count(), found.len());

    // The caller's own session ends before the first answer: nothing is read, nothing is changed.
    cloud.sim.faults(vec![Fault::new(Effect::ExpiredToken).account(HUB).service("sts")]);
    let now = records(&cloud);
    let sync = cloud.sync(5);
    assert!(word(&sync["problems"][0], "text").contains("xpired"), "{sync:#}");
    assert_eq!(records(&cloud), now);
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    let cloud = Simulated::start(organization(), "regions: [eu-west-1]", TIMERS);
    cloud.sync(0);
    let before = records(&cloud);
    cloud.sim.settings(|settings| settings.clock_ahead_s = 1200);
    let ran = cloud.run(&["sync"]);
    assert!(matches!(ran.code, 3 | 5), "{}{}", ran.out, ran.err);
    assert!(format!("{}{}", ran.out, ran.err).contains("behind AWS"), "{}{}", ran.out, ran.err);
    assert_eq!(records(&cloud), before);
    let doctor = cloud.run(&["doctor"]);
    assert!(doctor.code != 0 && doctor.out.contains("mend: set this machine's clock, best by NTP"), "{}", doctor.out);
    assert!(!doctor.out.contains("AWS_ACCESS_KEY_ID") && !doctor.out.contains("mend: allow"), "{}", doctor.out);
}

#[test]
fn services_come_from_tags_and_stay_when_these_cannot_be_read() {
    let mut aws = Aws::new().with_regions(&[IRELAND]);
    let place = aws.account(HUB).region(IRELAND);
    let machine = place.instance("web-1").tag("service", "shop").id();
    let tags = || ("service".to_owned(), "shop".to_owned());
    place.balancer("front", BalancerKind::Application).tags.extend([tags()]);
    place.classic_balancer("old-front").tags.extend([tags()]);
    let cloud = Simulated::start(aws, "regions: [eu-west-1]", TIMERS);
    cloud.sync(0);
    let services = || {
        let sql = "SELECT r.to_key, c.kind, c.name FROM ci_relation r JOIN ci s ON s.key = r.from_key JOIN ci c ON c.key = r.to_key \
                   WHERE s.kind = 'service' AND s.name = 'shop' AND r.type = 'depends_on' ORDER BY 2, 3";
        cloud.world.query("cmdb.db", sql).into_iter().map(|row| (row[1].clone(), row[2].clone())).collect::<Vec<_>>()
    };
    let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    let all = [pair("instance", "web-1"), pair("load_balancer", "front"), pair("load_balancer", "old-front"), pair("pool", "old-front")];
    assert_eq!(services(), all);

    // Without tags nobody knows whether a balancer still belongs to it; the machine's own say that it does not.
    cloud.sim.faults(vec![Fault::new(Effect::Deny).action("DescribeTags")]);
    cloud.sim.edit_region(HUB, IRELAND, |place| place.instances.get_mut(&machine).unwrap().tags.clear());
    cloud.sync(3);
    assert_eq!(services()[services().len() - 3..], all[1..]);
    cloud.sim.faults(Vec::new());
    cloud.sync(0);
    assert_eq!(services(), all[1..]);
}

#[test]
fn credentials_that_cannot_be_had_are_said_so() {
    let cloud = Simulated::start(organization(), "regions: [eu-west-1]", TIMERS);
    // Nobody listens, and somebody who never answers.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for (name, value, words) in [
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{closed}"),
            "the machine's metadata service: could not communicate with IMDS",
        ),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{address}"),
            "the machine's metadata service: could not communicate with IMDS",
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{closed}/keys"),
            "the container's credentials (AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{address}/keys"),
            "the container's credentials (AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
    ] {
        let mut command = cloud.bare(&["sync"]);
        if !name.contains("METADATA") {
            command.env("AWS_EC2_METADATA_DISABLED", "true");
        }
        let ran = Ran::of(&command.env(name, &value).output().unwrap());
        assert_eq!(ran.code, 5, "{name}={value}\n{}{}", ran.out, ran.err);
        assert!(ran.err.contains(words) && ran.err.contains("dewpoint doctor"), "{}", ran.err);
        assert!(!ran.err.contains("aws_"), "the SDK's own words: {}", ran.err);
        assert!(!cloud.world.path("cmdb.db").exists());
    }
    assert_eq!(cloud.sim.calls().len(), 0);
}

#[test]
fn all_regions_of_the_own_account_are_those_that_it_has_enabled() {
    let mut aws = Aws::new().with_regions(&[IRELAND, VIRGINIA]);
    for region in REGIONS {
        let spec = Spec { account: HUB.to_owned(), region: region.to_owned(), instances: 2, groups: 2, ..Spec::default() };
        aws.add(&spec);
    }
    let switch = |aws: &mut Aws, to: OptIn| aws.account(HUB).region(IRELAND).opt_in = Some(to);
    switch(&mut aws, OptIn::NotOptedIn);
    let cloud = Simulated::start(aws, "regions: all", TIMERS);
    cloud.sync(0);
    let regions = || cloud.world.query("cmdb.db", "SELECT DISTINCT region FROM ci WHERE region <> '*' ORDER BY 1");
    assert_eq!(regions(), [[VIRGINIA]]);

    // Enabled: it is read. Disabled again: its receipts say so, and nothing of it is retired.
    cloud.sim.edit(|aws| switch(aws, OptIn::OptedIn));
    cloud.sync(0);
    assert_eq!(regions(), [[IRELAND], [VIRGINIA]]);
    cloud.sim.edit(|aws| switch(aws, OptIn::NotOptedIn));
    for _ in 0..3 {
        let sync = cloud.sync(0);
        assert_eq!(World::counts(&sync), []);
        let gaps = gaps(&sync);
        assert_eq!(gaps.len(), 12, "every regional kind: {gaps:?}");
        assert!(gaps.iter().all(|((_, region, _), outcome)| region == IRELAND && outcome == "disabled"), "{gaps:?}");
    }
}

#[test]
fn a_terminated_machine_that_has_lost_its_tags_keeps_those_it_had() {
    let mut aws = Aws::new().with_regions(&[IRELAND]);
    let region = aws.account(HUB).region(IRELAND);
    let [ending, staying] = ["web-1", "web-2"].map(|name| region.instance(name).tag("team", "shop").id());
    let cloud = Simulated::start(aws, "regions: [eu-west-1]", TIMERS);
    cloud.sync(0);
    let of = |id: &str, name: &str| {
        let key = format!("aws:arn:aws:ec2:{IRELAND}:{HUB}:instance/{id}");
        cloud.world.query("cmdb.db", &format!("SELECT value FROM ci_attribute WHERE key = '{key}' AND name = '{name}'"))
    };
    let last_good = of(&ending, "tags");
    assert_eq!(last_good, [[r#"{"Name":"web-1","team":"shop"}"#]]);

    cloud.sim.terminate(HUB, IRELAND, &ending).unwrap();
    for id in [&ending, &staying] {
        let change = Change::DropTags { account: HUB.to_owned(), region: IRELAND.to_owned(), id: id.clone() };
        cloud.sim.apply(&change).unwrap();
    }
    assert_eq!(total(&cloud.sync(0), "retire"), 1);
    assert_eq!(of(&ending, "provider_state"), [["terminated"]], "it is still shown");
    assert_eq!(of(&ending, "tags"), last_good);
    assert_eq!(of(&staying, "tags"), [] as [[&str; 1]; 0], "of a machine that goes on, they were taken away");
    assert_eq!(World::counts(&cloud.sync(0)), [("retire".to_owned(), 2)], "its interface and its volume, missing twice");
    assert_eq!(World::counts(&cloud.sync(0)), []);
    assert_eq!(of(&ending, "tags"), last_good);
}

#[test]
fn what_ends_a_sync_with_three_is_told_before_what_is_only_off() {
    let mut aws = organization();
    for account in ACCOUNTS {
        aws.account(account).region(IRELAND).opt_in = Some(OptIn::NotOptedIn);
    }
    let cloud = Simulated::start(aws, ORGANIZATION, TIMERS);
    cloud.sim.faults(vec![Fault::new(Effect::Deny).account(SECOND).action("AssumeRole")]);
    let ran = cloud.run(&["sync"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    let beginnings = |text: &str, word: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with(word)).map(|line| line.split(": ").next().unwrap().to_owned()).collect()
    };
    let expected = [
        format!("gap       aws {SECOND} * 13 kinds denied"),
        format!("gap       aws {HUB} {IRELAND} 12 kinds disabled"),
        format!("gap       aws {THIRD} {IRELAND} 12 kinds disabled"),
        format!("gap       aws {FOURTH} {IRELAND} 12 kinds disabled"),
    ];
    assert_eq!(beginnings(&ran.out, "gap"), expected);
    let verbose = cloud.run(&["sync", "-v"]);
    let named = "gap       aws 222222222222 * account, region, zone, ";
    assert!(verbose.out.lines().find(|line| line.starts_with("gap")).unwrap().starts_with(named), "{}", verbose.out);

    // The same of the last receipts; what is complete is told kind by kind, with its counts.
    let coverage = cloud.run(&["coverage"]).out;
    let rows: Vec<Vec<&str>> = coverage.lines().skip(1).map(|line| line.split_whitespace().take(7).collect()).collect();
    assert_eq!(rows[0], ["aws", "aws", SECOND, "*", "13", "kinds", "denied"], "{coverage}");
    assert_eq!(rows[1], ["aws", "aws", HUB, IRELAND, "12", "kinds", "disabled"], "{coverage}");
    assert!(rows.iter().any(|row| row[2..] == [THIRD, VIRGINIA, "instance", "complete", "8"]), "{coverage}");
}

#[test]
fn a_run_begins_before_it_reads() {
    const LATE_MS: u64 = 700;
    let mut aws = Aws::new();
    aws.add(&Spec { account: HUB.to_owned(), region: IRELAND.to_owned(), instances: 2, groups: 2, ..Spec::default() });
    let cloud = Simulated::start(aws, "regions: [eu-west-1]", TIMERS);
    cloud.sim.faults(vec![Fault::new(Mishap::Latency { ms: LATE_MS }).action("DescribeInstances")]);
    let sync = cloud.sync(0);
    let late = std::time::Duration::from_millis(LATE_MS);
    assert!(sync["duration_s"].as_f64().unwrap() >= late.as_secs_f64(), "{sync:#}");
    let runs = cloud.json(&["runs"], 0);
    let at = |name: &str| -> Timestamp { runs["runs"][0][name].as_str().unwrap().parse().unwrap() };
    assert!(at("finished_at").duration_since(at("started_at")).unsigned_abs() >= late, "{runs:#}");
    assert_eq!(word(&sync, "started_at"), word(&runs["runs"][0], "started_at"));
}

#[test]
fn a_plan_is_applied_without_the_secrets_of_sources_that_are_not_asked() {
    let cloud = Simulated::start(organization(), ORGANIZATION, "min_age: 0s, retire_after: 0s, confirm_missing: 1");
    cloud.sync(0);
    let apply = |plan: &str, code: i32| -> Value {
        let mut command = cloud.command(&["apply", plan, "--output", "json"]);
        let ran = Ran::of(&command.env_remove("EXTERNAL_ID").output().unwrap());
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        ran.document()
    };
    let first = first_machine(&cloud, HUB, IRELAND);
    cloud
        .sim
        .edit_region(HUB, IRELAND, |place| place.instances.get_mut(&first).unwrap().tags.insert("owner".to_owned(), "someone".to_owned()));
    cloud.json(&["plan", "--out", "tagged.json"], 0);
    cloud.sim.clear_calls();
    let applied = apply("tagged.json", 0);
    assert_eq!(World::counts(&applied), [("update".to_owned(), 1)]);
    assert_eq!(cloud.sim.calls().len(), 0);

    // An end has to be confirmed, and the source cannot be asked.
    cloud.sync(0);
    cloud.sim.edit_region(HUB, IRELAND, |place| {
        let group = place.group_id("group-5");
        place.groups.remove(&group).unwrap();
    });
    cloud.json(&["plan", "--out", "gone.json"], 0);
    let applied = apply("gone.json", 3);
    assert_eq!(total(&applied, "retire"), 0);
    let remarks = applied["remarks"].as_array().unwrap();
    let why = "not retired: source `aws` failed at reading its secrets: dewpoint.yaml:3:";
    assert!(remarks.iter().any(|remark| word(remark, "text").starts_with(why)), "{applied:#}");
    assert_eq!(total(&cloud.sync(0), "retire"), 1);
}
