//! The simulator as PySNC and pysnow see it, and as a program of its own.

use std::{fs, path::Path, process::Command};

use dewpoint_servicenow_sim::{ApiKey, CLIENT_CREDENTIALS, Instance, Secret, Sim, Start};
use dewpoint_sim_kit::testing::{self, Program};

fn instance() -> Instance {
    let mut instance = Instance::new();
    instance.insert("sys_user_group", &[("name", "Cloud")]);
    instance.properties.insert(CLIENT_CREDENTIALS.to_owned(), "true".to_owned());
    instance.api_keys.push(ApiKey {
        key: Secret::new("test-key"),
        user_name: "integration".to_owned(),
        expires: None,
        policies: vec!["*".to_owned()],
        in_query: false,
    });
    // Groups are an administrator's.
    instance.users[0].roles.push("user_admin".to_owned());
    instance
}

/// Has a script judge; what it says against the simulator fails the test.
#[track_caller]
fn judge(script: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    if let Err(said) = testing::judge(script, arguments) {
        panic!("{said}");
    }
}

#[test]
fn pysnc_works_over_tls() {
    let mut start = Start::new(instance());
    start.tls = true;
    let sim = Sim::start_with(start).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, sim.authority().unwrap()).unwrap();
    judge("judge_pysnc.py", &[&sim.url(), authority.to_str().unwrap()]);
}

#[test]
fn pysnow_works_without() {
    let sim = Sim::start(instance()).unwrap();
    judge("judge_pysnow.py", &[sim.url().trim_start_matches("http://")]);
}

#[test]
fn it_runs_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (saved, authority) = (folder.path().join("instance.json"), folder.path().join("authority.pem"));
    fs::write(&saved, serde_json::to_string(&instance()).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_servicenow-sim"));
    command.args(["--tls", "--ca-file"]).arg(&authority).arg("--instance").arg(&saved);
    let program = Program::start(&mut command).unwrap();
    judge("judge_pysnc.py", &[program.url(), authority.to_str().unwrap()]);
    assert!(program.end().unwrap(), "it ends in order when it is told to");
}
