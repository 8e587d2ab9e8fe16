//! Syncs to CMDBs behind REST interfaces that are killed at random instants, or meet faults at random. `tests/soak.sh` runs the long form: see [`crate::kill`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::estate::{Estate, Random};
use super::{Clock, RECOVERY_MAX, say, setting};
use crate::support::{Ran, World};

const ROUNDS_DEFAULT: u64 = 3;

/// Small, so that a kill finds many batches to cut between; nothing but the changes themselves matters: no guardrail stops them, and no full read
/// mends what a kill broke.
const TARGET: &str = "batch_size: 7\npurge: delete\n";
const UNREAD: &str = "verify_every: never";
pub(crate) const BELOW: &str = "lifecycle:
  defaults: { min_age: 0s, confirm_missing: 1, retire_after: 0s, min_dwell: 0s, purge_after: 150m }
guardrails: { max_retire_min: 1000000, max_retire: 1000000 }";

/// A simulated CMDB that others keep records in as well, with the program that writes to it.
pub(crate) trait Remote {
    /// How the output calls it.
    const NAME: &'static str;
    /// A fault.
    type Fault: Clone + Debug;

    /// One that holds nothing of ours. `keys` are more keys of the target, each on a line, and [`BELOW`] stands below the targets' place.
    fn start(keys: &str) -> Self;
    fn world(&self) -> &World;
    /// The program, with what it needs to log in.
    fn command(&self, args: &[&str]) -> Command {
        self.world().command(args)
    }
    fn requests(&self) -> u64;
    fn writes(&self) -> u64;
    fn clear_calls(&self);
    /// One request that goes wrong. Of what is repeated at once only a single one is struck: pauses take real time.
    fn fault(random: &mut Random) -> Self::Fault;
    fn faults(&self, script: Vec<Self::Fault>);
    /// Which faults struck since the calls were cleared.
    fn struck(&self) -> Vec<String>;
    /// What it holds of ours without what was retired or removed, in a form that two CMDBs with the same content have in common.
    fn live(&self) -> Vec<String>;
    /// Keys of the live records, each as often as it is there.
    fn keys(&self) -> Vec<String>;
    /// Edges between them, by key, each as often as it is there.
    fn edges(&self) -> Vec<(String, String)>;
    /// Not one of others' records is another.
    fn assert_strangers(&self);
    /// Settles something that the interface leaves open.
    fn vary(&self, _: &mut Random) {}
    /// People do something between two syncs; [`Self::assert_strangers`] asserts that it stays.
    fn people_act(&mut self, _: &mut Random) {}
}

#[derive(Default)]
struct Tally {
    kills: u32,
    kills_too_late: u32,
    syncs: u32,
    cut_off: u32,
    recovery_max: Duration,
}

fn started<R: Remote>(verify: &str) -> R {
    R::start(&format!("{TARGET}{verify}"))
}

/// Two CMDBs are to show the same estate; the syncs to one of them are killed. Both hold the same after every round.
pub(crate) fn kill_dash_nine<R: Remote>() {
    let name = R::NAME;
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    say(&format!("{name}: seed {seed}, {rounds} rounds"));
    let mut random = Random::new(seed);
    let mut estate = Estate::new(&mut random);
    let (mut killed, twin) = (started::<R>(UNREAD), started::<R>(UNREAD));
    killed.vary(&mut random);
    let mut tally = Tally::default();
    let mut has_waited = false;
    for round in 0..rounds {
        let context = format!("{name}, seed {seed}, round {round}");
        let mut clock = Clock { round, syncs: 0 };
        let mut is_waited_for = false;
        let states = estate.wavered(&mut random);
        twin.world().put(&states[0].inventory());
        let began = Instant::now();
        sync(&twin, &clock.next(), &context);
        let length = began.elapsed();
        for (number, state) in states.iter().enumerate() {
            killed.world().put(&state.inventory());
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
        twin.world().put(&estate.inventory());
        killed.world().put(&estate.inventory());
        let at = clock.next();
        sync(&twin, &at, &context);
        let began = Instant::now();
        sync(&killed, &at, &context);
        if !is_waited_for {
            tally.recovery_max = tally.recovery_max.max(began.elapsed());
            assert!(began.elapsed() < RECOVERY_MAX, "{context}: the next sync took {:?}", began.elapsed());
        }
        killed.clear_calls();
        let second = sync(&killed, &clock.next(), &context);
        assert_eq!(killed.writes(), 0, "{context}: the sync after writes: {second:#}");
        tally.syncs += 2;
        check(&killed, &estate, &context);
        assert_same(&killed, &twin, &context);
        killed.assert_strangers();
        killed.people_act(&mut random);
        estate.live_on(&mut random);
    }
    assert!(tally.kills > 0, "no kill hit a running sync");
    let Tally { kills, kills_too_late, syncs, cut_off, recovery_max } = tally;
    say(&format!(
        "{name}: done: seed {seed}, {rounds} rounds, {kills} kills ({kills_too_late} came too late, {cut_off} left changes in flight), \
         {syncs} syncs, longest sync after a kill {recovery_max:.1?}"
    ));
}

/// First loads of CMDBs with these keys, each of which is killed, maybe more than once, before it gets to its end.
pub(crate) fn first_loads_are_killed<R: Remote>(keys: &str) {
    let name = R::NAME;
    // Each takes as long as several of the others.
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT).div_ceil(2);
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let mut random = Random::new(seed);
    let (mut kills, mut cut_off) = (0, 0);
    for round in 0..rounds {
        let context = format!("{name}, first loads, seed {seed}, round {round}");
        let estate = Estate::new(&mut random);
        let [killed, twin] = std::array::from_fn(|_| started::<R>(&format!("{UNREAD}\n{keys}")));
        let mut clock = Clock { round, syncs: 0 };
        for remote in [&killed, &twin] {
            remote.world().put(&estate.inventory());
        }
        let began = Instant::now();
        sync(&twin, &clock.next(), &context);
        let length = began.elapsed();
        for _ in 0..=random.below(2) {
            kills += u32::from(kill_after(&killed, &clock.next(), length.mul_f64(random.unit())));
            if is_cut_off(&killed) {
                cut_off += 1;
                let_the_lease_end(&killed);
            }
        }
        sync(&killed, &clock.next(), &context);
        killed.clear_calls();
        let second = sync(&killed, &clock.next(), &context);
        assert_eq!(killed.writes(), 0, "{context}: the sync after writes: {second:#}");
        check(&killed, &estate, &context);
        assert_same(&killed, &twin, &context);
        killed.assert_strangers();
    }
    assert!(kills > 0, "no kill hit a running sync");
    say(&format!("{name}, first loads: done: seed {seed}, {rounds} rounds, {kills} kills ({cut_off} left changes in flight)"));
}

/// Something goes wrong with single requests of any kind, before or after they were carried out, while the estate moves on.
pub(crate) fn faults_at_random<R: Remote>() {
    let name = R::NAME;
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let mut random = Random::new(seed);
    let mut estate = Estate::new(&mut random);
    // With every other seed all is read in each round, and faults meet that as well.
    let verify = if seed.is_multiple_of(2) { UNREAD } else { "verify_every: 20m" };
    let (mut struck, twin) = (started::<R>(verify), started::<R>(verify));
    struck.vary(&mut random);
    let mut tally = BTreeMap::<String, u32>::new();
    for round in 0..rounds {
        let mut clock = Clock { round, syncs: 0 };
        let mut script = Vec::new();
        for _ in 0..=random.below(2) {
            struck.world().put(&estate.inventory());
            script = (0..2 + random.below(3)).map(|_| R::fault(&mut random)).collect();
            struck.clear_calls();
            struck.faults(script.clone());
            let ran = Ran::of(&struck.command(&["sync", "--at", &clock.next(), "--output", "json"]).output().unwrap());
            assert!([0, 3].contains(&ran.code), "seed {seed}, round {round}, {script:?}: {}\n{}\n{}", ran.code, ran.out, ran.err);
            for fault in struck.struck() {
                *tally.entry(fault).or_default() += 1;
            }
            struck.people_act(&mut random);
            estate.waver(&mut random);
        }
        let context = format!("{name} with faults, seed {seed}, round {round}, last {script:?}");
        struck.faults(Vec::new());
        // When what was refused is tried again.
        clock.syncs += 1200;
        let at = clock.next();
        let [first, _] = [&struck, &twin].map(|remote| {
            remote.world().put(&estate.inventory());
            sync(remote, &at, &context)
        });
        struck.clear_calls();
        let second = sync(&struck, &clock.next(), &context);
        assert_eq!(struck.writes(), 0, "{context}: the sync after writes: {second:#}\nafter {first:#}");
        check(&struck, &estate, &context);
        assert_same(&struck, &twin, &context);
        struck.assert_strangers();
        estate.live_on(&mut random);
    }
    say(&format!("{name} with faults: seed {seed}, {rounds} rounds, {tally:?}"));
    assert!(!tally.is_empty(), "no fault struck");
}

/// One of these.
pub(crate) fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    let place = random.below(u32::try_from(from.len()).unwrap());
    from[usize::try_from(place).unwrap()].clone()
}

fn sync<R: Remote>(remote: &R, at: &str, context: &str) -> Value {
    let ran = Ran::of(&remote.command(&["sync", "--at", at, "--output", "json"]).output().unwrap());
    assert_eq!(ran.code, 0, "{context}: exit code of a sync\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
    ran.document()
}

/// Kills a sync after a while. False where it had ended by itself.
fn kill_after<R: Remote>(remote: &R, at: &str, delay: Duration) -> bool {
    let mut child = remote.command(&["sync", "--at", at]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // A random instant is what is wanted here; nothing waits for it.
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Whether changes are in flight; not where the ledger is not even born.
fn is_cut_off<R: Remote>(remote: &R) -> bool {
    let ledger = remote.world().path("dewpoint.db");
    let has = |sql: &str| !remote.world().query("dewpoint.db", sql).is_empty();
    ledger.exists() && has("SELECT name FROM sqlite_master WHERE name = 'in_flight'") && has("SELECT id FROM in_flight")
}

/// As if its time had passed. A request that the CMDB was working on is over by then.
fn let_the_lease_end<R: Remote>(remote: &R) {
    let mut seen = None;
    while seen != Some(remote.requests()) {
        seen = Some(remote.requests());
        std::thread::sleep(Duration::from_millis(20));
    }
    remote.world().query("dewpoint.db", "UPDATE lease SET expires = 0");
}

/// What must hold of the ledger and the CMDB between runs, given what the clouds show.
#[track_caller]
fn check<R: Remote>(remote: &R, estate: &Estate, context: &str) {
    let check = Ran::of(&remote.world().command(&["ledger", "check", "--output", "json"]).output().unwrap());
    assert_eq!(check.code, 0, "{context}: ledger check\n{}\n{}", check.out, check.err);
    assert!(!is_cut_off(remote), "{context}: changes are in flight");
    for finding in check.document()["findings"].as_array().unwrap() {
        assert_eq!(finding["outcome"], "ok", "{context}: {finding:#}");
    }
    let keys = remote.keys();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{context}: doubles: {keys:#?}");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), estate.live_keys(), "{context}: other live records than the clouds have");
    let edges = remote.edges();
    assert_eq!(edges.iter().collect::<BTreeSet<_>>().len(), edges.len(), "{context}: edges twice");
    assert_eq!(edges.into_iter().collect::<BTreeSet<_>>(), estate.live_edges(), "{context}: other edges than the clouds have");
}

#[track_caller]
pub(crate) fn assert_same<R: Remote>(one: &R, twin: &R, context: &str) {
    let (found, wanted) = (one.live(), twin.live());
    let only = |these: &[String], those: &[String]| these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>();
    assert!(found == wanted, "{context}: only here {:#?}\nonly with the twin {:#?}", only(&found, &wanted), only(&wanted, &found));
}
