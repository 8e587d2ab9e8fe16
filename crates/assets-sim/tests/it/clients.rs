//! The simulator as atlassian-python-api and Atlassian's own description see it, and as a program of its own.

use std::{fs, path::Path, process::Command};

use dewpoint_assets_sim::{Sim, Site};
use dewpoint_sim_kit::testing::{self, Program};

/// Has a script judge; what it says against the simulator fails the test.
#[track_caller]
fn judge(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge_atlassian.py");
    if let Err(said) = testing::judge(script, arguments) {
        panic!("{said}");
    }
}

fn cloud() -> Site {
    let mut site = Site::new().with_schema("CLOUD");
    let schema = site.schema("CLOUD").unwrap().id;
    site.add_import(schema, "Clouds");
    site
}

#[test]
fn atlassian_python_api_works_on_cloud() {
    let sim = Sim::start(cloud()).unwrap();
    judge(&["cloud", &sim.url()]);
}

#[test]
fn atlassian_python_api_works_on_data_center() {
    let sim = Sim::start(Site::data_center().with_schema("CLOUD")).unwrap();
    judge(&["data-center", &sim.url()]);
}

#[test]
fn cloud_answers_as_it_is_described() {
    let sim = Sim::start(cloud()).unwrap();
    // The description that the client was made from still has it.
    sim.settings(|settings| settings.total = true);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge_openapi.mjs");
    if let Err(said) = testing::judge_by_node(script, [sim.url()]) {
        panic!("{said}");
    }
}

#[test]
fn it_runs_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("site.json");
    fs::write(&saved, serde_json::to_string(&cloud()).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_assets-sim"));
    command.arg("--site").arg(&saved);
    let program = Program::start(&mut command).unwrap();
    judge(&["cloud", program.url()]);
    assert!(program.end().unwrap(), "it ends in order when it is told to");
    let mut command = Command::new(env!("CARGO_BIN_EXE_assets-sim"));
    let program = Program::start(command.args(["--data-center", "--schema", "CLOUD", "--unlimited"])).unwrap();
    judge(&["data-center", program.url()]);
}
