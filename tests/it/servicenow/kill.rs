//! Syncs to an instance that are killed at random instants, or meet faults at random. `tests/soak.sh` runs the long form: see [`crate::kill`].

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dewpoint_servicenow_sim::{Effect, Fault, Mishap};
use serde_json::Value;

use super::trial::{Trial, assert_same, instance};
use crate::kill::estate::{Estate, Random};
use crate::kill::{Clock, RECOVERY_MAX, say, setting};
use crate::support::Ran;

const ROUNDS_DEFAULT: u64 = 3;

/// Small, so that a kill finds many payloads to cut between; nothing but the changes themselves matters: no guardrail stops them, and no full read
/// mends what a kill broke.
const TARGET: &str = "batch_size: 7\nheartbeat: never\npurge: delete\n";
const UNREAD: &str = "verify_every: never";
const BELOW: &str = "lifecycle:
  defaults: { min_age: 0s, confirm_missing: 1, retire_after: 0s, min_dwell: 0s, purge_after: 150m }
guardrails: { max_retire_min: 1000000, max_retire: 1000000 }";

#[derive(Default)]
struct Tally {
    kills: u32,
    kills_too_late: u32,
    syncs: u32,
    cut_off: u32,
    recovery_max: Duration,
}

fn trial(verify: &str) -> Trial {
    let trial = Trial::over(instance(), "");
    trial.snow.configure(&format!("{TARGET}{verify}"), BELOW);
    trial
}

/// Two instances are to show the same estate; the syncs to one of them are killed. Both hold the same after every round.
#[test]
fn kill_dash_nine() {
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    say(&format!("servicenow: seed {seed}, {rounds} rounds"));
    let mut random = Random::new(seed);
    let mut estate = Estate::new(&mut random);
    let (killed, twin) = (trial(UNREAD), trial(UNREAD));
    let mut tally = Tally::default();
    let mut has_waited = false;
    for round in 0..rounds {
        let context = format!("servicenow, seed {seed}, round {round}");
        let mut clock = Clock { round, syncs: 0 };
        let mut is_waited_for = false;
        let states = estate.wavered(&mut random);
        twin.put(&states[0].inventory());
        let began = Instant::now();
        sync(&twin, &clock.next(), &context);
        let length = began.elapsed();
        for (number, state) in states.iter().enumerate() {
            killed.put(&state.inventory());
            if kill_after(&killed, &clock.next(), length.mul_f64(random.unit())) {
                tally.kills += 1;
            } else {
                tally.kills_too_late += 1;
            }
            tally.syncs += 1;
            if is_cut_off(&killed) {
                tally.cut_off += 1;
                // What a server may still be working on is waited for: in the long form once for real.
                is_waited_for = rounds > ROUNDS_DEFAULT && !has_waited && number + 1 == states.len();
                if !is_waited_for {
                    let_the_lease_end(&killed);
                }
            }
        }
        has_waited |= is_waited_for;
        twin.put(&estate.inventory());
        killed.put(&estate.inventory());
        let at = clock.next();
        sync(&twin, &at, &context);
        let began = Instant::now();
        sync(&killed, &at, &context);
        if !is_waited_for {
            tally.recovery_max = tally.recovery_max.max(began.elapsed());
            assert!(began.elapsed() < RECOVERY_MAX, "{context}: the next sync took {:?}", began.elapsed());
        }
        killed.sim().clear_calls();
        let second = sync(&killed, &clock.next(), &context);
        assert_eq!(killed.snow.writes(), 0, "{context}: the sync after writes: {second:#}");
        tally.syncs += 2;
        check(&killed, &estate, &context);
        assert_same(&live(&killed), &live(&twin), &context);
        killed.assert_strangers();
        estate.live_on(&mut random);
    }
    assert!(tally.kills > 0, "no kill hit a running sync");
    let Tally { kills, kills_too_late, syncs, cut_off, recovery_max } = tally;
    say(&format!(
        "servicenow: done: seed {seed}, {rounds} rounds, {kills} kills ({kills_too_late} came too late, {cut_off} left changes in flight), \
         {syncs} syncs, longest sync after a kill {recovery_max:.1?}"
    ));
}

/// Something goes wrong with single requests of any kind, before or after they were carried out, while the estate moves on.
#[test]
fn faults_at_random() {
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let mut random = Random::new(seed);
    let mut estate = Estate::new(&mut random);
    // With every other seed all is read in each round, and faults meet that as well.
    let verify = if seed.is_multiple_of(2) { UNREAD } else { "verify_every: 20m" };
    let (struck, twin) = (trial(verify), trial(verify));
    let mut tally = BTreeMap::<String, u32>::new();
    for round in 0..rounds {
        let mut clock = Clock { round, syncs: 0 };
        let mut script = Vec::new();
        for _ in 0..=random.below(2) {
            struck.put(&estate.inventory());
            script = (0..2 + random.below(3)).map(|_| fault(&mut random)).collect();
            struck.sim().clear_calls();
            struck.sim().faults(script.clone());
            let ran = struck.snow.run_as("integration-password", &["sync", "--at", &clock.next()]);
            assert!([0, 3].contains(&ran.code), "seed {seed}, round {round}, {script:?}: {}\n{}\n{}", ran.code, ran.out, ran.err);
            for fault in struck.sim().calls().iter().filter_map(|call| call.fault.clone()) {
                *tally.entry(fault).or_default() += 1;
            }
            estate.waver(&mut random);
        }
        let context = format!("servicenow with faults, seed {seed}, round {round}, last {script:?}");
        struck.sim().faults(Vec::new());
        // When what was refused is tried again.
        clock.syncs += 1200;
        let at = clock.next();
        let [first, _] = [&struck, &twin].map(|trial| {
            trial.put(&estate.inventory());
            sync(trial, &at, &context)
        });
        struck.sim().clear_calls();
        let second = sync(&struck, &clock.next(), &context);
        assert_eq!(struck.snow.writes(), 0, "{context}: the sync after writes: {second:#}\nafter {first:#}");
        check(&struck, &estate, &context);
        assert_same(&live(&struck), &live(&twin), &context);
        struck.assert_strangers();
        estate.live_on(&mut random);
    }
    say(&format!("servicenow with faults: seed {seed}, {rounds} rounds, {tally:?}"));
    assert!(!tally.is_empty(), "no fault struck");
}

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    let place = random.below(u32::try_from(from.len()).unwrap());
    from[usize::try_from(place).unwrap()].clone()
}

/// One request that goes wrong. Of what is repeated at once only a single one is struck: pauses take real time.
fn fault(random: &mut Random) -> Fault {
    let api = pick(random, &["identifyreconcile", "identifyreconcile", "identifyreconcile", "batch", "table"]);
    let effects = [
        Effect::Mishap(Mishap::Reset),
        Effect::QuotaKill,
        Effect::Mishap(Mishap::ResetBody { share: random.unit() }),
        Effect::Mishap(Mishap::CutConnection { share: random.unit() }),
        Effect::Mishap(Mishap::CutBody { share: random.unit() }),
        Effect::PartialResult { share: random.unit() },
        Effect::Mishap(Mishap::Html { status: 503 }),
        Effect::Hibernating,
        Effect::Dropped,
        Effect::SemaphoreFull,
        Effect::RateLimited { retry_after_s: 700 },
        Effect::Forbidden,
        Effect::Error { status: 400, message: "no".to_owned(), detail: None },
        Effect::LockTimeout,
    ];
    let effect = pick(random, &effects);
    let in_place = !matches!(
        effect,
        Effect::LockTimeout | Effect::RateLimited { .. } | Effect::SemaphoreFull | Effect::Forbidden | Effect::Error { .. }
    );
    let fault = Fault::new(effect).api(api).nth(u64::from(1 + random.below(9))).times(u64::from(1 + random.below(3)));
    let fault = if api == "table" { fault.method("GET").times(1) } else { fault };
    if in_place && api != "table" && random.below(2) == 0 { fault.after_commit() } else { fault }
}

fn sync(trial: &Trial, at: &str, context: &str) -> Value {
    let ran = trial.snow.run_as("integration-password", &["sync", "--at", at]);
    assert_eq!(ran.code, 0, "{context}: exit code of a sync\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
    ran.document()
}

/// Kills a sync after a while. False where it had ended by itself.
fn kill_after(trial: &Trial, at: &str, delay: Duration) -> bool {
    let mut command = trial.snow.world.command(&["sync", "--at", at]);
    command.env("SNOW_PASSWORD", "integration-password").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // A random instant is what is wanted here; nothing waits for it.
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Whether changes are in flight; not where the ledger is not even born.
fn is_cut_off(trial: &Trial) -> bool {
    let ledger = trial.snow.world.path("dewpoint.db");
    ledger.exists()
        && ledger_has(trial, "SELECT name FROM sqlite_master WHERE name = 'in_flight'")
        && ledger_has(trial, "SELECT id FROM in_flight")
}

fn ledger_has(trial: &Trial, sql: &str) -> bool {
    !trial.snow.world.query("dewpoint.db", sql).is_empty()
}

/// As if its time had passed. A request that the instance was working on is over by then.
fn let_the_lease_end(trial: &Trial) {
    let mut seen = None;
    while seen != Some(trial.sim().counters().requests) {
        seen = Some(trial.sim().counters().requests);
        std::thread::sleep(Duration::from_millis(20));
    }
    trial.snow.world.query("dewpoint.db", "UPDATE lease SET expires = 0");
}

/// What must hold of the ledger and the instance between runs, given what the clouds show.
#[track_caller]
fn check(trial: &Trial, estate: &Estate, context: &str) {
    let check = Ran::of(&trial.snow.world.command(&["ledger", "check", "--output", "json"]).output().unwrap());
    assert_eq!(check.code, 0, "{context}: ledger check\n{}\n{}", check.out, check.err);
    assert!(!is_cut_off(trial), "{context}: changes are in flight");
    for finding in check.document()["findings"].as_array().unwrap() {
        assert_eq!(finding["outcome"], "ok", "{context}: {finding:#}");
    }
    let content = live(trial);
    let mut by_key: BTreeMap<String, u32> = BTreeMap::new();
    let marks = content.iter().filter_map(|line| line.split_once(" in cmdb_ci_")?.1.split_once(" by "));
    for (_, key) in marks.filter(|(_, key)| !key.ends_with(" as scaffold")) {
        *by_key.entry(format!("aws:{key}")).or_default() += 1;
    }
    assert!(by_key.values().all(|count| *count == 1), "{context}: doubles: {by_key:#?}");
    assert_eq!(by_key.into_keys().collect::<BTreeSet<_>>(), estate.live_keys(), "{context}: other live records than the clouds have");
    for parked in ["cmdb_ire_", "reconcile_duplicate_task"] {
        assert!(!content.iter().any(|line| line.starts_with(parked)), "{context}: {content:#?}");
    }
    let id = |key: &str| key.rsplit_once('/').unwrap().1.to_owned();
    let wanted: BTreeSet<_> = estate.live_edges().into_iter().map(|(from, to)| (id(&from), id(&to))).collect();
    let edges = content.iter().filter(|line| !line.starts_with("Dewpoint")).filter_map(|line| line.split_once(" -> Uses::Used by -> "));
    let edges: Vec<_> =
        edges.map(|(from, to)| (from.rsplit(' ').next().unwrap().to_owned(), to.rsplit(' ').next().unwrap().to_owned())).collect();
    assert_eq!(edges.iter().collect::<BTreeSet<_>>().len(), edges.len(), "{context}: edges twice");
    assert_eq!(edges.into_iter().collect::<BTreeSet<_>>(), wanted, "{context}: other edges than the clouds have");
}

/// What the instance holds without what was retired or removed: the last values of that, and whether there ever was a record, depend on which states a sync
/// saw before the end. An instance keeps some rows about records that are gone.
fn live(trial: &Trial) -> Vec<String> {
    let content = trial.content();
    let retired = content.iter().filter(|line| line.contains("\"install_status\": \"7\"")).filter_map(|line| line.split_once(':'));
    let retired: BTreeSet<String> = retired.map(|(name, _)| name.to_owned()).collect();
    let is_about = |line: &str, name: &str| {
        line.match_indices(name).any(|(at, _)| !line[at + name.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()))
    };
    let is_live = |line: &String| !line.contains("a row that is gone") && !retired.iter().any(|name| is_about(line, name));
    content.into_iter().filter(is_live).collect()
}
