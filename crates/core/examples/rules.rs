//! Asks 30 rules about 100 000 resources and prints what that took, as one JSON line.
//!
//!     cargo run --release -p dewpoint-core --example rules
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of the benchmark")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dewpoint_core::estate::{Fence, Known};
use dewpoint_core::expression::{Expression, Subject, Vocabulary, Wanted};
use dewpoint_core::lifecycle::{RuleOutcome, Timers, Verdicts};
use dewpoint_core::model::{Attributes, Key, Kind, Provider, Resource};
use dewpoint_core::rules::{Action, Origin, Rule, Rules, Settings};
use jiff::Timestamp;
use serde_json::json;

const RESOURCES: usize = 100_000;

/// Rules as an estate with several teams has them: fleets, presets' markers, environments, expiry dates, exceptions by size and age.
const RULES: [&str; 30] = [
    r#"resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "ci-runner""#,
    r#"resource.kind == "instance" && group != null && group.max_size > 1"#,
    r#"resource.kind == "instance" && "karpenter.sh/nodepool" in resource.tags"#,
    r#"resource.kind == "instance" && "eks:cluster-name" in resource.tags"#,
    r#"resource.kind == "instance" && "aws:elasticmapreduce:job-flow-id" in resource.tags"#,
    r#"resource.kind == "instance" && "aws:batch:compute-environment" in resource.tags"#,
    r#"resource.kind == "instance" && "Vendor" in resource.tags && resource.tags["Vendor"] == "Databricks""#,
    r#"resource.kind == "instance" && resource.name != null && resource.name.startsWith("packer-")"#,
    r#"resource.kind == "instance" && resource.purchase == "spot" && resource.age < duration("6h")"#,
    r#"resource.kind == "instance" && resource.state == "stopped" && resource.state_for > duration("720h")"#,
    r#"resource.kind == "volume" && resource.state == "available" && resource.age > duration("720h")"#,
    r#"resource.kind == "network_interface" && resource.managed_by != null"#,
    r#""expires-at" in resource.tags && expiry(resource.tags["expires-at"]) < now"#,
    r#""ttl" in resource.tags && resource.created_at != null && resource.created_at + duration(resource.tags["ttl"]) < now"#,
    r#""env" in resource.tags && resource.tags["env"] == "prod""#,
    r#""env" in resource.tags && resource.tags["env"] in ["dev", "test", "sandbox"]"#,
    r#"resource.account in ["111111111111", "222222222222"]"#,
    r#"resource.region.startsWith("us-gov-")"#,
    r#"resource.kind == "security_group" && resource.name == "default""#,
    r#"resource.kind == "security_group" && resource.open_to_world.size() > 0"#,
    r#"resource.kind == "load_balancer" && resource.balancer_type == "classic""#,
    r#"resource.kind == "instance" && resource.tags.exists(name, name.startsWith("kubernetes.io/cluster/"))"#,
    r#"resource.kind == "instance" && resource.size in ["t2.nano", "t2.micro", "t3.nano"]"#,
    r#"resource.kind == "instance" && resource.vcpus != null && resource.vcpus >= 64"#,
    r#"resource.kind == "instance" && resource.os_family == "windows" && !("patch-group" in resource.tags)"#,
    r#"resource.kind == "subnet" && resource.is_default == true"#,
    r#"resource.kind == "public_address" && resource.state == "unassociated""#,
    r#"resource.kind == "instance" && resource.zone != null && resource.zone.endsWith("c")"#,
    r#"ci != null && ci.flag == "keep""#,
    r#"!("owner" in resource.tags) && !("Owner" in resource.tags) && resource.age > duration("168h")"#,
];

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rules: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn std::error::Error>> {
    let mut rules = Vec::new();
    for (number, when) in RULES.iter().enumerate() {
        let when = Expression::compile(when, &Vocabulary::rules(), Wanted::Condition)
            .map_err(|mistakes| format!("{when}: {}", mistakes.first().map_or("", |mistake| mistake.text.as_str())))?;
        // They only set, so that none decides and all are asked.
        let set = Settings { retire_after: Some(Duration::from_secs(60)), ..Settings::default() };
        let action = (number % 10 == 9).then_some(Action::Record);
        rules.push(Rule { name: format!("rule {number}"), origin: Origin::Configuration, when, action, set });
    }
    let rules: Rules = rules.into_iter().collect();
    let at: Timestamp = "2026-06-01T00:00:00Z".parse()?;
    let mut resources = Vec::with_capacity(RESOURCES);
    for number in 0..RESOURCES {
        resources.push(Known::new(resource(number)?, at, Fence(1)));
    }
    let group = resource(49)?;
    let none = Verdicts::uniform(&Timers::default());
    let (mut matched, mut failed) = (0_u64, 0_u64);
    let began = Instant::now();
    for known in &resources {
        let group = (known.resource.kind == Kind::Instance && known.resource.native_id.len() % 2 == 0).then_some(&group);
        let subject = Subject::new(known, group, true, at);
        let _ = rules.judge(&subject, none.of(&known.resource.key), |_, outcome, _| match outcome {
            RuleOutcome::Matched => matched += 1,
            RuleOutcome::Failed => failed += 1,
            RuleOutcome::NotMatched => {}
        });
    }
    // One thread, which does nothing but this.
    let cpu = began.elapsed().as_secs_f64();
    Ok(format!(
        "{{\"resources\": {RESOURCES}, \"rules\": {}, \"cpu_s\": {cpu:.2}, \"matched\": {matched}, \"failed\": {failed}}}",
        RULES.len()
    ))
}

/// A mixed estate: for each machine two interfaces or volumes, and now and then something else.
fn resource(number: usize) -> Result<Resource, Box<dyn std::error::Error>> {
    let kind = match number % 10 {
        0..=2 => Kind::Instance,
        3..=5 => Kind::NetworkInterface,
        6..=8 => Kind::Volume,
        _ => match number / 10 % 5 {
            0 => Kind::SecurityGroup,
            1 => Kind::LoadBalancer,
            2 => Kind::Pool,
            3 => Kind::PublicAddress,
            _ => Kind::ScalingGroup,
        },
    };
    let tags: &[(&str, &str)] = match number % 7 {
        0 => &[("Name", "web"), ("env", "prod"), ("owner", "shop")],
        1 => &[("Name", "api"), ("env", "dev"), ("expires-at", "2026-05-01")],
        2 => &[("karpenter.sh/nodepool", "blue"), ("kubernetes.io/cluster/shop", "owned"), ("eks:cluster-name", "shop")],
        3 => &[("role", "ci-runner"), ("ttl", "48h"), ("team", "platform")],
        _ => &[("Name", "db"), ("Owner", "data"), ("patch-group", "a")],
    };
    let mut attributes = Attributes::new();
    match kind {
        Kind::Instance => {
            let purchase = if number.is_multiple_of(3) { "spot" } else { "on_demand" };
            attributes.extend(
                [("size", json!("m5.large")), ("vcpus", json!(2)), ("purchase", json!(purchase)), ("zone", json!("eu-west-1c"))].map(named),
            );
        }
        Kind::SecurityGroup => attributes.extend([("open_to_world", json!(["tcp/443"])), ("rules_digest", json!("x"))].map(named)),
        Kind::ScalingGroup => attributes.extend([("max_size", json!(4))].map(named)),
        _ => attributes.extend([("zone", json!("eu-west-1c"))].map(named)),
    }
    Ok(Resource {
        key: Key::aws(&format!("arn:aws:ec2:eu-west-1:111111111111:{kind}/r-{number:08x}"))?,
        kind,
        provider: Provider::Aws,
        native_id: format!("r-{number:x}"),
        account: "111111111111".parse()?,
        region: "eu-west-1".parse()?,
        name: Some(format!("machine-{number}")),
        state: Some(if number.is_multiple_of(5) { "stopped" } else { "running" }.to_owned()),
        tags: tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>(),
        created_at: Some("2026-05-20T00:00:00Z".parse()?),
        observed_at: None,
        attributes,
        derived: false,
        extra: serde_json::Map::new(),
    })
}

fn named((name, value): (&str, serde_json::Value)) -> (String, serde_json::Value) {
    (name.to_owned(), value)
}
