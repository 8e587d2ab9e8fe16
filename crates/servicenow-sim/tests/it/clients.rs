//! The simulator as PySNC and pysnow see it, and as a program of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dewpoint_servicenow_sim::{ApiKey, CLIENT_CREDENTIALS, Instance, Secret, Sim, Start};

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
    let python = env::var_os("DEWPOINT_TEST_PYTHON").expect("DEWPOINT_TEST_PYTHON is not set; run tests/run.sh");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    // Python would leave its compiled modules in the source tree. The environment's certificates would win over the script's.
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(script)
        .args(arguments)
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE");
    let output = command.output().expect("Python starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

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

#[test]
fn pysnc_works_over_tls() {
    let mut start = Start::new(instance());
    start.tls = true;
    let sim = Sim::start_with(start).unwrap();
    let authority = file("servicenow-sim-pysnc");
    fs::write(&authority.0, sim.authority().unwrap()).unwrap();
    judge("judge_pysnc.py", &[&sim.url(), authority.0.to_str().unwrap()]);
}

#[test]
fn pysnow_works_without() {
    let sim = Sim::start(instance()).unwrap();
    judge("judge_pysnow.py", &[sim.url().trim_start_matches("http://")]);
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
    let saved = file("servicenow-sim-instance");
    fs::write(&saved.0, serde_json::to_string(&instance()).unwrap()).unwrap();
    let authority = file("servicenow-sim-alone");
    let program = Command::new(env!("CARGO_BIN_EXE_servicenow-sim"))
        .args(["--tls", "--ca-file"])
        .arg(&authority.0)
        .arg("--instance")
        .arg(&saved.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Running(program);
    let mut url = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut url).unwrap();
    judge("judge_pysnc.py", &[url.trim(), authority.0.to_str().unwrap()]);
}
