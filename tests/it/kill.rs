//! Runs that are killed, paused and interrupted, and runs side by side.
//!
//! The short form of `tests/soak.sh`, which sets:
//! - `DEWPOINT_SOAK_ROUNDS`: rounds of each `kill_dash_nine` test (default 4, with ServiceNow 3); a round has one to three kills.
//! - `DEWPOINT_SOAK_SEED`: what all random choices follow from (default: a new one each time; printed).

pub(crate) mod estate;
mod lost;
mod place;
pub(crate) mod remote;
mod signals;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use self::estate::{Estate, Random};
use self::place::{Database, Place};

/// Longest that a sync after a kill may take: the lease of a dead process is not waited for (30 s), its work is taken up at once.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(15);

const ROUNDS_DEFAULT: u32 = 4;

/// Small, so that a kill finds many batches to cut between.
const BATCH_SIZE: u32 = 7;

#[test]
fn kill_dash_nine_on_sqlite() {
    kill_dash_nine(Database::Sqlite);
}

#[test]
fn kill_dash_nine_on_postgres() {
    kill_dash_nine(Database::Postgres);
}

#[derive(Default)]
struct Tally {
    kills: u32,
    kills_too_late: u32,
    syncs: u32,
    cut_off: u32,
    recovery_max: Duration,
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Two worlds see the same estate; in one of them syncs are killed. Both CMDBs hold the same after every round.
fn kill_dash_nine(database: Database) {
    let rounds = setting("DEWPOINT_SOAK_ROUNDS").unwrap_or(ROUNDS_DEFAULT.into());
    let seed = setting("DEWPOINT_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    say(&format!("{database}: seed {seed}, {rounds} rounds"));
    let mut random = Random::new(seed);
    let mut estate = Estate::new(&mut random);
    let killed = Place::new(database, BATCH_SIZE);
    let twin = Place::new(database, BATCH_SIZE);
    let mut tally = Tally::default();
    for round in 0..rounds {
        let context = || format!("{database}, seed {seed}, round {round}");
        let mut clock = Clock { round, syncs: 0 };
        let states = estate.wavered(&mut random);
        twin.put(&states[0]);
        let began = Instant::now();
        twin.sync(&clock.next(), &context());
        let length = began.elapsed();
        for state in &states {
            killed.put(state);
            let delay = length.mul_f64(random.unit());
            if killed.kill_after(&clock.next(), delay) {
                tally.kills += 1;
            } else {
                tally.kills_too_late += 1;
            }
            tally.syncs += 1;
            tally.cut_off += u32::from(killed.is_cut_off());
        }
        twin.put(&estate);
        killed.put(&estate);
        let at = clock.next();
        twin.sync(&at, &context());
        let began = Instant::now();
        killed.sync(&at, &context());
        tally.recovery_max = tally.recovery_max.max(began.elapsed());
        assert!(began.elapsed() < RECOVERY_MAX, "{}: the next sync took {:?}", context(), began.elapsed());
        let second = killed.sync(&clock.next(), &context());
        assert_eq!(place::delivered(&second), 0, "{}: the sync after is not empty: {second:#}", context());
        tally.syncs += 2;

        killed.check(&estate, &context());
        assert_same(&killed, &twin, &context());
        estate.live_on(&mut random);
    }
    assert!(tally.kills > 0, "no kill hit a running sync");
    let Tally { kills, kills_too_late, syncs, cut_off, recovery_max } = tally;
    say(&format!(
        "{database}: done: seed {seed}, {rounds} rounds, {kills} kills ({kills_too_late} came too late, {cut_off} left changes in flight), \
         {syncs} syncs, longest sync after a kill {recovery_max:.1?}"
    ));
    killed.clear();
    twin.clear();
}

/// Time within a round: an hour for each round, a second for each sync.
pub(crate) struct Clock {
    pub(crate) round: u64,
    pub(crate) syncs: u64,
}

impl Clock {
    pub(crate) fn next(&mut self) -> String {
        self.syncs += 1;
        let start: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let since = Duration::from_secs(self.round * 3600 + self.syncs);
        (start + since).to_string()
    }
}

/// Live records only: the last values of a retired one, and whether there ever was one, depend on which states a sync saw before the end.
#[track_caller]
fn assert_same(killed: &Place, twin: &Place, context: &str) {
    for (what, sql) in [
        ("records", "SELECT key, class, kind FROM ci WHERE NOT retired ORDER BY key"),
        (
            "attributes",
            "SELECT ci_attribute.key, ci_attribute.name, CAST(value AS TEXT) FROM ci_attribute JOIN ci ON ci.id = ci_id \
             WHERE NOT retired ORDER BY 1, 2",
        ),
        ("relations", "SELECT from_key, type, to_key, attributes FROM ci_relation ORDER BY from_key, type, to_key"),
    ] {
        let (found, wanted) = (killed.cmdb(sql), twin.cmdb(sql));
        if found == wanted {
            continue;
        }
        let mut text = String::new();
        for row in found.iter().filter(|row| !wanted.contains(row)) {
            writeln!(text, "only with kills:    {row:?}").unwrap();
        }
        for row in wanted.iter().filter(|row| !found.contains(row)) {
            writeln!(text, "only without kills: {row:?}").unwrap();
        }
        panic!("{context}: other {what} than without kills\n{text}");
    }
}

/// Past the test harness, which shows what is printed only when a test fails: a long run is watched.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "kill: {text}");
}
