//! Data flows one way: what a module may import is checked over its `use` lines and paths.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[track_caller]
fn check(folder: &str, forbidden: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What only tests use may read how many cases they are to run, and runs what it tests.
    let is_for_tests =
        |file: &PathBuf| file.ends_with("crates/core/src/testing.rs") || file.starts_with(root.join("crates/core/src/testing"));
    let files: Vec<PathBuf> = sources(&root.join(folder)).into_iter().filter(|file| !is_for_tests(file)).collect();
    assert!(!files.is_empty(), "{folder} holds no source files: this test looks in the wrong place");
    let offences: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .map(|(n, line)| format!("{n}\t{line}"))
                .collect();
            let name = file.strip_prefix(root).unwrap().display().to_string();
            lines
                .into_iter()
                .filter(|line| forbidden.iter().any(|word| line.contains(word)))
                .map(move |line| format!("{name}:{line}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(offences.is_empty(), "{folder} must not reach {forbidden:?}:\n{}", offences.join("\n"));
}

#[test]
fn the_pure_middle_reaches_no_io_and_no_clock() {
    check(
        "crates/core/src",
        &["std::fs", "std::net", "std::env", "tokio", "sqlx", "SystemTime", "Instant::now", "Timestamp::now", "Zoned::now"],
    );
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/Cargo.toml")).unwrap();
    for banned in ["tokio", "sqlx", "reqwest", "rand"] {
        assert!(!manifest.lines().any(|line| line.starts_with(banned)), "core depends on {banned}");
    }
}

#[test]
fn sources_and_targets_do_not_know_each_other() {
    check("src/source", &["crate::target", "crate::run", "crate::deliver", "crate::ledger", "crate::cli"]);
    check("src/target", &["crate::source", "crate::run", "crate::deliver", "crate::ledger", "crate::cli"]);
    check("crates/aws/src", &["dewpoint_core::target", "dewpoint_core::plan", "dewpoint_core::lifecycle"]);
    check("crates/servicenow/src", &["dewpoint_core::source", "dewpoint_core::plan", "dewpoint_core::lifecycle"]);
    check("crates/haloitsm/src", &["dewpoint_core::source", "dewpoint_core::plan", "dewpoint_core::lifecycle"]);
    check("crates/jsm/src", &["dewpoint_core::source", "dewpoint_core::plan", "dewpoint_core::lifecycle"]);
    check(
        "crates/target-kit/src",
        &["dewpoint_core::source", "dewpoint_core::plan", "dewpoint_core::lifecycle", "dewpoint_jsm", "dewpoint_servicenow"],
    );
    check("crates/http/src", &["dewpoint_"]);
}

#[test]
fn simulators_share_no_misunderstanding_with_what_they_judge() {
    check("crates/sim-kit/src", &["dewpoint_"]);
    for simulator in ["assets", "aws", "azure", "halo", "servicenow"] {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crates/{simulator}-sim/Cargo.toml"));
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let ours: Vec<&str> = manifest.lines().filter(|line| line.starts_with("dewpoint-")).collect();
        assert_eq!(ours, ["dewpoint-sim-kit = { path = \"../sim-kit\" }"], "{simulator}-sim");
    }
}

#[test]
fn the_engine_knows_no_target_and_the_ledger_no_flow() {
    check("src/deliver", &["target::local", "crate::run", "crate::cli", "crate::source", "crate::config"]);
    check("src/ledger", &["crate::run", "crate::deliver", "crate::cli", "crate::source", "crate::config"]);
    check("src/run", &["crate::cli", "target::local::store"]);
}
