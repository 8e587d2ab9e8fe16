//! The simulator as Azure's Python SDKs see it, and as a program of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dewpoint_azure_sim::{Sim, Start, world::World};

/// A file that goes with the test.
struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}

fn file(name: &str) -> Kept {
    Kept(env::temp_dir().join(format!("{name}-{}.pem", std::process::id())))
}

/// Has Azure's SDKs judge; what they say against the simulator fails the test.
#[track_caller]
fn judge(url: &str, authority: &Path, what: &[&str]) {
    let python = env::var_os("DEWPOINT_TEST_PYTHON").expect("DEWPOINT_TEST_PYTHON is not set; run tests/run.sh");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge.py");
    // Python would leave its compiled modules in the source tree. The environment's certificates would win over the script's.
    let mut command = Command::new(python);
    command.arg("-B").arg(script).arg(url).arg(authority).args(what).env("NO_PROXY", "127.0.0.1");
    command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    let output = command.output().expect("Python starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what:?}: {said}");
}

#[track_caller]
fn judge_world(name: &str, world: World, what: &[&str]) {
    let sim = Sim::start_with(Start::new(world)).unwrap();
    let authority = file(name);
    fs::write(&authority.0, sim.authority().unwrap()).unwrap();
    judge(&sim.url(), &authority.0, what);
}

#[test]
fn azures_sdks_list_the_estate_completely() {
    judge_world("azure-sim-estate", World::generated(3, 3, 2000), &["estate"]);
}

#[test]
fn azures_sdks_log_in_in_every_way() {
    judge_world("azure-sim-identity", World::generated(4, 1, 5), &["identity"]);
}

#[test]
fn azures_sdks_meet_errors_as_errors() {
    judge_world("azure-sim-errors", World::generated(5, 1, 20), &["errors"]);
}

/// Ends the program with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_runs_stand_alone() {
    let authority = file("azure-sim-alone");
    let program = Command::new(env!("CARGO_BIN_EXE_azure-sim"))
        .args(["--tls", "--vms", "40", "--subscriptions", "2", "--ca-file"])
        .arg(&authority.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Running(program);
    let mut url = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut url).unwrap();
    judge(url.trim(), &authority.0, &["estate"]);
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", program.0.id())]).status().unwrap();
    assert!(told.success() && program.0.wait().unwrap().success(), "it ends in order when it is told to");
}
