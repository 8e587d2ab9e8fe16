//! The simulator as Azure's Python SDKs see it, and as a program of its own.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use dewpoint_azure_sim::{Sim, world::World};
use dewpoint_sim_kit::testing::{self, Program};

/// Has Azure's SDKs judge; what they say against the simulator fails the test.
#[track_caller]
fn judge(url: &str, authority: &Path, what: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/judge.py");
    if let Err(said) = testing::judge(script, [OsStr::new(url), authority.as_os_str(), OsStr::new(what)]) {
        panic!("{what}: {said}");
    }
}

#[track_caller]
fn judge_world(world: World, what: &str) {
    let sim = Sim::start(world).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, sim.authority().unwrap()).unwrap();
    judge(&sim.url(), &authority, what);
}

#[test]
fn azures_sdks_list_the_estate_completely() {
    judge_world(World::generated(3, 3, 2000), "estate");
}

#[test]
fn azures_sdks_log_in_in_every_way() {
    judge_world(World::generated(4, 1, 5), "identity");
}

#[test]
fn azures_sdks_meet_errors_as_errors() {
    judge_world(World::generated(5, 1, 20), "errors");
}

#[test]
fn it_runs_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let mut command = Command::new(env!("CARGO_BIN_EXE_azure-sim"));
    command.args(["--tls", "--vms", "40", "--subscriptions", "2", "--ca-file"]).arg(&authority);
    let program = Program::start(&mut command).unwrap();
    judge(program.url(), &authority, "estate");
    assert!(program.end().unwrap(), "it ends in order when it is told to");
}
