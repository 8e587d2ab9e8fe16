//! Configuration, rules and inventory out of random bytes and out of valid files that were changed at random: always an answer, never a panic,
//! always an end. What is done with an input is what the fuzz targets do (`fuzz/`), which `tests/soak.sh` runs for much longer.
//!
//! A failing case prints itself, smallest form first found, and where its bytes lie, to be replayed by the fuzz target of the same name.
//! `PROPTEST_CASES` sets how many cases each tries.

#[path = "../../fuzz/exercise/mod.rs"]
mod exercise;
mod mutation;
mod watch;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::exercise::{configuration, inventory, rules, seeds};
use self::mutation::{Input, any_input};
use self::watch::watched;

/// Tries inputs made of these seeds; `quick` cases where `PROPTEST_CASES` does not say otherwise.
fn check(name: &str, quick: u32, seeds: Vec<Vec<u8>>, dictionary: &str, exercise: fn(&[u8])) {
    let cases = std::env::var("PROPTEST_CASES").map_or(quick, |cases| cases.parse().expect("PROPTEST_CASES is a number"));
    // A case that hangs costs its limit each time that it is tried.
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, max_shrink_time: 60_000, ..Default::default() };
    let inputs = any_input(seeds, mutation::tokens(dictionary));
    let outcome = TestRunner::new(config).run(&inputs, |Input(bytes)| watched(name, bytes, exercise).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

#[test]
fn no_configuration_makes_it_panic_or_hang() {
    check(
        "configuration",
        3000,
        seeds::configuration(),
        include_str!("../../fuzz/dictionaries/configuration.dict"),
        configuration::exercise,
    );
}

#[test]
fn no_rules_make_it_panic_or_hang() {
    check("rules", 3000, seeds::rules(), include_str!("../../fuzz/dictionaries/rules.dict"), rules::exercise);
}

#[test]
fn no_inventory_makes_it_panic_or_hang() {
    check("inventory", 5000, seeds::inventory(), include_str!("../../fuzz/dictionaries/inventory.dict"), inventory::exercise);
}

/// What is changed at random is worth changing: unchanged it is accepted.
#[test]
fn seeds_are_valid() {
    let accepted = |seeds: &[Vec<u8>], is_valid: &dyn Fn(&[u8]) -> Result<(), String>| {
        for seed in seeds {
            is_valid(seed).unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(seed)));
        }
        seeds.len()
    };
    let configuration = |bytes: &[u8]| {
        let loaded = dewpoint::config::load_bytes("dewpoint.yaml", bytes, std::path::Path::new("/etc"));
        loaded.map(drop).map_err(|errors| errors.to_string())
    };
    assert!(accepted(&seeds::configuration(), &configuration) > 15);
    let rules = |bytes: &[u8]| {
        if !bytes.starts_with(b"lifecycle:") {
            return Ok(());
        }
        let (lifecycle, cases) = rules::parts(bytes);
        let whole = [lifecycle, seeds::REST.as_bytes()].concat();
        let config =
            dewpoint::config::load_bytes("dewpoint.yaml", &whole, std::path::Path::new("/etc")).map_err(|errors| errors.to_string())?;
        let names = config.lifecycle.rules.iter().map(|rule| rule.name.as_str()).collect();
        dewpoint::config::rules::cases_of_bytes("cases.yaml", cases, &names).map(drop).map_err(|errors| errors.to_string())
    };
    assert!(accepted(&seeds::rules(), &rules) > 40);
    let inventory =
        |bytes: &[u8]| dewpoint::source::file::read(bytes, "inventory.json", u64::MAX).map(drop).map_err(|error| error.to_string());
    assert!(accepted(&seeds::inventory(), &inventory) > 10);
}

/// The watch sees a panic, and an input that is not answered.
#[test]
fn what_breaks_a_promise_is_told() {
    let panics: fn(&[u8]) = |bytes| assert!(bytes.is_empty(), "it has bytes");
    assert_eq!(watched("panics", Vec::new(), panics), Ok(()));
    let told = watched("panics", b"a".to_vec(), panics).unwrap_err();
    assert!(told.starts_with("it has bytes"), "{told}");
    let told = watch::watched_for(std::time::Duration::ZERO, "hangs", Vec::new(), |_| std::thread::park()).unwrap_err();
    assert!(told.starts_with("no answer after 0ns"), "{told}");
}

/// What is fuzzed is what is shipped: the two lock files name the same versions.
#[test]
fn the_targets_are_built_of_the_same_crates() {
    let crates = |file: &str| {
        let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let value = |line: Option<&str>| line.and_then(|line| line.split('"').nth(1)).unwrap().to_owned();
        let packages = text.split("[[package]]\n").skip(1).map(str::lines);
        packages.map(|mut lines| (value(lines.next()), value(lines.next()))).collect::<std::collections::BTreeSet<_>>()
    };
    let (shipped, fuzzed) = (crates("Cargo.lock"), crates("fuzz/Cargo.lock"));
    let only_there = ["arbitrary", "dewpoint-fuzz", "jobserver", "libfuzzer-sys"];
    let others: Vec<_> = fuzzed.difference(&shipped).filter(|(name, _)| !only_there.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "not in Cargo.lock: {others:?}; CONTRIBUTING.md, \"Dependencies\", says how fuzz/Cargo.lock follows it");
}
