//! The simulator as boto3 sees it.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod estate;

use std::process::Command;

use dewpoint_aws_sim::{Rates, Sim, Start, world::World};
use dewpoint_sim_kit::testing::{self, Program};

fn start(world: World) -> Sim {
    let mut start = Start::new(world);
    start.settings.rates = Rates::unlimited();
    Sim::start_with(start).expect("a port on the loopback interface")
}

/// Has boto3 judge; what it says against the simulator fails the test.
#[track_caller]
fn judge(sim: &Sim, arguments: &[&str]) {
    assert_eq!(ask(&sim.url(), arguments), Ok(()), "{arguments:?}");
}

/// What boto3 says against the simulator at this address.
fn ask(url: &str, arguments: &[&str]) -> Result<(), String> {
    testing::judge(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/judge.py"), [&[url], arguments].concat()).map(drop)
}

#[test]
fn boto3_reads_what_was_put_in() {
    let sim = start(estate::estate());
    judge(&sim, &["world", "none"]);
    judge(&sim, &["world", "5"]);
    judge(&sim, &["world", "17"]);
}

#[test]
fn a_world_put_over_http_is_the_same() {
    let sim = start(estate::estate());
    let text = serde_json::to_string(&*sim.world()).unwrap();
    let again: World = serde_json::from_str(&text).unwrap();
    assert_eq!(again, *sim.world());
}

#[test]
fn wrong_calls_fail_as_at_aws() {
    judge(&start(estate::estate()), &["errors"]);
}

#[test]
fn faults_arrive_as_what_they_are() {
    judge(&start(estate::estate()), &["faults"]);
}

#[test]
fn changes_are_seen_when_they_should_be() {
    judge(&start(estate::estate()), &["changes"]);
}

#[test]
fn it_runs_stand_alone() {
    let counts = ["--instances", "7", "--groups", "3", "--balancers", "2", "--classic-balancers", "1", "--scaling-groups", "1"];
    let program = Program::start(Command::new(env!("CARGO_BIN_EXE_aws-sim")).args(counts).arg("--no-rate-limits")).unwrap();
    assert_eq!(ask(program.url(), &["world", "5"]), Ok(()));
    assert!(program.end().unwrap(), "it ends in order when it is told to");
}
