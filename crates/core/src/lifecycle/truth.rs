//! A small cloud in time, and the histories in which it is told: for properties that compare what was concluded with what is true.
//!
//! What is told is truthful and no more. Listings lag, leave out what lives, still show what ended, are cut or denied; pulls are applied late,
//! clocks step. Look-ups say what is true at their moment, or fail.

#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::Policy;
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::model::{Key, Kind, Outcome, Relation, RelationType, Resource, Scope};
use crate::rules::{Action, Origin, Rule, Settings};
use crate::source::{Presence, Pull};
use crate::testing::{key, policy, pull, relation, resource, scope};

/// Machines; every other one lies in the second region.
pub(super) const MACHINES: usize = 6;
/// Minutes between two steps.
const STEP: i64 = 10;
/// The same, once nothing happens any more: longer than any timer.
const QUIET_STEP: i64 = 600;
/// Lives that one id may have.
const LIVES: u8 = 3;
/// The minute of the first step.
const START: i64 = 10_000;
/// `min_age` in minutes, and where the rule for slow ones sets it.
pub(super) const MIN_AGE: i64 = 15;
pub(super) const SLOW_MIN_AGE: i64 = 60;

const KINDS: [Kind; 4] = [Kind::Instance, Kind::NetworkInterface, Kind::Volume, Kind::ScalingGroup];

/// What does not change about a machine.
#[derive(Debug, Clone)]
pub(super) struct Traits {
    /// Tag `role`: what the rules ask first.
    pub(super) role: Option<&'static str>,
    /// Tag `slow`.
    pub(super) is_slow: bool,
    /// Tag `service`.
    pub(super) service: Option<&'static str>,
    /// Whether listings tell when it was born.
    is_dated: bool,
    /// Whether its id is used again, as in Azure: then it has a life, and is never listed as terminated.
    is_reused: bool,
    /// Whether its volume outlives it.
    pub(super) keeps_volume: bool,
    /// Its age in minutes at the first step; `None` where it is not born yet.
    age: Option<i64>,
    pool: Option<&'static str>,
    is_grouped: bool,
}

/// What happens to a machine between two steps.
#[derive(Debug, Clone)]
enum Turn {
    Stays,
    /// It is born, stopped or started.
    Toggles,
    Ends,
    /// It goes to another pool, into its group or out of it; what was kept of one that is gone is deleted.
    Moves(Option<&'static str>, bool),
    /// A tag that a rule stumbles over comes or goes.
    Sickens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unborn,
    Running,
    Stopped,
    Stopping,
    Terminated,
    Gone,
}

/// What is true of a machine.
#[derive(Debug, Clone)]
pub(super) struct Being {
    pub(super) state: State,
    life: u8,
    born: i64,
    pool: Option<&'static str>,
    is_grouped: bool,
    is_sick: bool,
    /// Whether the volumes of its lives so far are there, where they outlive it.
    has_kept: bool,
}

impl Being {
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, State::Running | State::Stopped | State::Stopping)
    }
}

/// How one listing ends, and how many steps it lags behind.
type Listing = (Option<Outcome>, usize);

/// Resources with the edges that start there.
type There = Vec<(Resource, Vec<Relation>)>;

/// How one machine shows in the listings of a step, with what belongs to it.
#[derive(Debug, Clone)]
struct Sight {
    /// Steps that it lags behind its listing.
    lag: usize,
    /// Complete listings leave it out although it is there.
    is_left_out: bool,
    /// Listings that are cut show it.
    is_early: bool,
}

/// One reading of the cloud.
#[derive(Debug, Clone)]
pub(super) struct Step {
    turns: Vec<Turn>,
    listings: Vec<Listing>,
    sights: Vec<Sight>,
    /// Minutes that the clock is off.
    pub(super) skew: i64,
    /// It is applied so many steps later: what was read since wins.
    pub(super) late: usize,
    /// Machines that are read again by themselves.
    pub(super) narrow: u8,
    /// Machines whose look-ups fail.
    pub(super) failing: u8,
    /// Machines that are looked up because an event said that they ended.
    pub(super) events: u8,
}

/// A history, and the rules that it is judged by.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) traits: Vec<Traits>,
    pub(super) steps: Vec<Step>,
    pub(super) policy: Policy,
    /// What is true at each step.
    pub(super) truth: Vec<Vec<Being>>,
    /// From this step on nothing happens any more.
    quiet: usize,
    /// What is there at each step of each machine, with its edges.
    there: Vec<Vec<There>>,
    /// Each machine's key, and those of what ends with each of its lives.
    keys: Vec<(Key, Vec<[Key; 2]>)>,
}

/// One line for each machine and step: what a failure prints has to be read.
impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rules: Vec<&str> = self.policy.rules.iter().map(|rule| rule.name.as_str()).collect();
        writeln!(f, "rules {rules:?}")?;
        for (machine, traits) in self.traits.iter().enumerate() {
            writeln!(f, "m{machine}: {traits:?}")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            let Step { listings, sights, skew, late, narrow, failing, events, .. } = step;
            let told: Vec<_> = listings.iter().map(|(outcome, lag)| format!("{}-{lag}", outcome.map_or("none", Outcome::as_str))).collect();
            writeln!(
                f,
                "step {number}: skew {skew}, late {late}, narrow {narrow:b}, failing {failing:b}, events {events:b}; {}",
                told.join(" ")
            )?;
            for (machine, (being, Sight { lag, is_left_out, is_early })) in self.truth[number].iter().zip(sights).enumerate() {
                writeln!(f, "  m{machine}: {being:?}; lag {lag}, left out {is_left_out}, early {is_early}")?;
            }
        }
        Ok(())
    }
}

fn traits() -> impl Strategy<Value = Traits> {
    let tags =
        (select(vec![None, None, None, None, Some("ci"), Some("wait"), Some("vip")]), any::<bool>(), select(vec![None, Some("shop")]));
    let ways = (any::<bool>(), prop::bool::weighted(0.3), any::<bool>());
    let start = (select(vec![None, Some(0), Some(5), Some(40), Some(6000)]), pool(), prop::bool::weighted(0.3));
    (tags, ways, start).prop_map(|((role, is_slow, service), (is_dated, is_reused, keeps_volume), (age, pool, is_grouped))| Traits {
        role,
        is_slow,
        service,
        is_dated,
        is_reused,
        keeps_volume,
        age,
        pool,
        is_grouped,
    })
}

fn pool() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, None, None, Some("blue"), Some("green")])
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        9 => Just(Turn::Stays),
        2 => Just(Turn::Toggles),
        2 => Just(Turn::Ends),
        1 => (pool(), any::<bool>()).prop_map(|(pool, is_grouped)| Turn::Moves(pool, is_grouped)),
        1 => Just(Turn::Sickens),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        9 => Just(Some(Outcome::Complete)),
        1 => Just(Some(Outcome::Truncated)),
        1 => Just(Some(Outcome::Denied)),
        1 => Just(Some(Outcome::Throttled)),
        1 => Just(None),
    ];
    let lag = || prop_oneof![6 => Just(0_usize), 1 => 1..5_usize];
    let sight = (lag(), prop::bool::weighted(0.15), any::<bool>());
    let sight = sight.prop_map(|(lag, is_left_out, is_early)| Sight { lag, is_left_out, is_early });
    let mask = |weight| prop_oneof![weight => Just(0_u8), 1 => any::<u8>()];
    let parts = (vec(turn(), MACHINES), vec((outcome, lag()), 2 * KINDS.len()), vec(sight, MACHINES));
    let ways =
        (prop_oneof![6 => Just(0_i64), 1 => Just(-70), 1 => Just(-20), 1 => Just(45)], prop_oneof![6 => Just(0_usize), 1 => 1..4_usize]);
    (parts, ways, (mask(5), mask(2), mask(6))).prop_map(|((turns, listings, sights), (skew, late), (narrow, failing, events))| Step {
        turns,
        listings,
        sights,
        skew,
        late,
        narrow,
        failing,
        events,
    })
}

/// Histories of so many steps.
pub(super) fn stories(count: std::ops::Range<usize>) -> impl Strategy<Value = Story> {
    (vec(traits(), MACHINES), vec(step(), count), any::<u16>()).prop_map(|(traits, steps, rules)| {
        let mut now: Vec<Being> = traits.iter().map(first).collect();
        let mut truth = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            for ((being, traits), turn) in now.iter_mut().zip(&traits).zip(&step.turns) {
                live_on(being, traits, turn, minute_of(number, usize::MAX));
            }
            truth.push(now.clone());
        }
        let policy = Policy { rules: rules_of(rules), ..policy() };
        let there =
            truth.iter().map(|now| (0..MACHINES).map(|machine| there(machine, &now[machine], &traits[machine])).collect()).collect();
        let keys = (0..MACHINES).map(|machine| (machine_key(machine), (0..LIVES).map(|life| dependent_keys(machine, life)).collect()));
        let (quiet, keys) = (steps.len(), keys.collect());
        Story { traits, steps, policy, truth, quiet, there, keys }
    })
}

fn minute_of(step: usize, quiet: usize) -> i64 {
    let count = |steps| i64::try_from(steps).expect("a few steps");
    START + count(step.min(quiet)) * STEP + count(step.saturating_sub(quiet)) * QUIET_STEP
}

fn first(traits: &Traits) -> Being {
    let state = if traits.age.is_some() { State::Running } else { State::Unborn };
    let born = START - traits.age.unwrap_or_default();
    Being { state, life: 0, born, pool: traits.pool, is_grouped: traits.is_grouped, is_sick: false, has_kept: traits.age.is_some() }
}

fn live_on(being: &mut Being, traits: &Traits, turn: &Turn, minute: i64) {
    match (turn, being.state) {
        (Turn::Toggles, State::Unborn) => (being.state, being.born, being.has_kept) = (State::Running, minute, true),
        (Turn::Toggles, State::Gone) if traits.is_reused && being.life + 1 < LIVES => {
            (being.state, being.born, being.life) = (State::Running, minute, being.life + 1);
        }
        (Turn::Toggles, State::Running) => being.state = State::Stopping,
        (Turn::Toggles, State::Stopped) => being.state = State::Running,
        (_, State::Stopping) => being.state = State::Stopped,
        (Turn::Ends, State::Running | State::Stopped) if traits.is_reused => being.state = State::Gone,
        (Turn::Ends, State::Running | State::Stopped) => being.state = State::Terminated,
        (Turn::Stays, _) => {}
        (_, State::Terminated) => being.state = State::Gone,
        (Turn::Moves(..), State::Gone) => being.has_kept = false,
        (Turn::Moves(pool, is_grouped), _) => (being.pool, being.is_grouped) = (*pool, *is_grouped),
        (Turn::Sickens, _) => being.is_sick = !being.is_sick,
        _ => {}
    }
}

const RULES: [(&str, &str); 8] = [
    ("sick", r#""until" in resource.tags && timestamp(resource.tags["until"]) < now"#),
    ("slow", r#"resource.kind == "instance" && "slow" in resource.tags"#),
    ("runners", r#"resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "ci""#),
    ("waiting", r#"resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "wait""#),
    ("vips", r#"resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "vip""#),
    ("pools", r#"resource.kind == "instance" && "pool" in resource.tags"#),
    ("groups", r#"resource.kind == "instance" && group != null && group.max_size > 1"#),
    ("patience", r#"resource.kind == "instance" && group != null && group.max_size > 2"#),
];

/// Some of the rules, always in the same order.
fn rules_of(mask: u16) -> crate::rules::Rules {
    let compiled = |text: &str, wanted| Expression::compile(text, &Vocabulary::rules(), wanted).expect("an expression");
    let minutes = |minutes: i64| Some(Duration::from_secs(minutes.unsigned_abs() * 60));
    let is_in = |number: usize| mask & (1 << number) != 0;
    let some = RULES.iter().enumerate().filter(|(number, _)| is_in(*number)).map(|(_, (name, when))| {
        let (action, set) = match *name {
            "slow" => (None, Settings { min_age: minutes(SLOW_MIN_AGE), retire_after: minutes(40), ..Settings::default() }),
            "patience" => (None, Settings { retire_after: minutes(60), ..Settings::default() }),
            "runners" => (Some(Action::Ignore), Settings::default()),
            "waiting" => (Some(Action::Defer), Settings::default()),
            "pools" => {
                let into = compiled(r#""pool/" + resource.tags["pool"]"#, Wanted::Text);
                (Some(Action::Fold { into: Some(Box::new(into)) }), Settings { min_dwell: minutes(5), ..Settings::default() })
            }
            "groups" => (Some(Action::Fold { into: None }), Settings::default()),
            _ => (Some(Action::Record), Settings::default()),
        };
        Rule { name: (*name).to_owned(), origin: Origin::Configuration, when: compiled(when, Wanted::Condition), action, set }
    });
    some.collect()
}

pub(super) fn place(machine: usize, kind: Kind) -> Scope {
    scope("111111111111", ["eu-west-1", "us-east-1"][machine % 2], kind)
}

fn group_key(machine: usize) -> Key {
    key(&place(machine, Kind::ScalingGroup), "asg")
}

fn machine_key(machine: usize) -> Key {
    key(&place(machine, Kind::Instance), &format!("m{machine}"))
}

fn dependent_keys(machine: usize, life: u8) -> [Key; 2] {
    [Kind::NetworkInterface, Kind::Volume].map(|kind| key(&place(machine, kind), &format!("m{machine}-{life}")))
}

/// All of one machine that is there, and the group of its region.
fn there(machine: usize, being: &Being, traits: &Traits) -> There {
    let own = machine_key(machine);
    let mut there = Vec::new();
    if being.is_alive() || being.state == State::Terminated {
        there.push((instance(machine, being, traits), Vec::new()));
    }
    for life in 0..=being.life {
        let is_of_now = life == being.life && being.is_alive();
        let is_kept = traits.keeps_volume && being.has_kept;
        for (kind, ends_with_it) in [(Kind::NetworkInterface, true), (Kind::Volume, !traits.keeps_volume)] {
            if !is_of_now && (ends_with_it || !is_kept) {
                continue;
            }
            let dependent = resource(&place(machine, kind), &format!("m{machine}-{life}"));
            let mut edge = relation(RelationType::AttachedTo, &dependent.key, &own);
            edge.attributes.insert("delete_on_termination".to_owned(), json!(ends_with_it));
            there.push((dependent, if is_of_now { vec![edge] } else { Vec::new() }));
        }
    }
    let mut group = resource(&place(machine, Kind::ScalingGroup), "asg");
    group.attributes.insert("max_size".to_owned(), json!(3));
    there.push((group, Vec::new()));
    there
}

fn instance(machine: usize, being: &Being, traits: &Traits) -> Resource {
    let mut it = resource(&place(machine, Kind::Instance), &format!("m{machine}"));
    let word = match being.state {
        State::Stopped => "stopped",
        State::Stopping => "stopping",
        State::Terminated => "terminated",
        _ => "running",
    };
    it.state = Some(word.to_owned());
    it.created_at = traits.is_dated.then(|| crate::testing::minute(being.born));
    let mut tag = |name: &str, value: Option<&str>| value.map(|value| it.tags.insert(name.to_owned(), value.to_owned()));
    tag("role", traits.role);
    tag("slow", traits.is_slow.then_some("yes"));
    tag("service", traits.service);
    tag("pool", being.pool);
    tag("until", being.is_sick.then_some("next week"));
    if traits.is_reused {
        it.attributes.insert("life".to_owned(), json!(being.life.to_string()));
    }
    if being.is_alive() {
        it.attributes.insert("macs".to_owned(), json!(["02:00:00:00:00:01"]));
    }
    it
}

impl Story {
    /// The true minute of a step.
    pub(super) fn minute(&self, step: usize) -> i64 {
        minute_of(step, self.quiet)
    }

    pub(super) fn has(&self, rule: &str) -> bool {
        self.policy.rules.iter().any(|other| other.name == rule)
    }

    pub(super) fn machine_key(&self, machine: usize) -> &Key {
        &self.keys[machine].0
    }

    /// What ends with each life of a machine: its interface and, unless it is kept, its volume.
    pub(super) fn dependents(&self, machine: usize) -> impl Iterator<Item = &Key> {
        let kept = usize::from(self.traits[machine].keeps_volume);
        self.keys[machine].1.iter().flat_map(move |keys| &keys[..keys.len() - kept])
    }

    /// Whether the life that a resource is known by is alive at a step. Groups always are.
    pub(super) fn is_alive(&self, resource: &Resource, step: usize) -> bool {
        if resource.kind == Kind::ScalingGroup {
            return true;
        }
        let truth = self.there_as(&resource.key, step);
        let is_running = |there: &Resource| there.kind != Kind::Instance || there.state.as_deref() != Some("terminated");
        truth.is_some_and(|there| is_running(there) && there.life() == resource.life())
    }

    /// What is there under a key at a step.
    fn there_as(&self, key: &Key, step: usize) -> Option<&Resource> {
        let now = &self.there[step];
        let machines = Self::machine_of(key).map_or(0..MACHINES, |machine| machine..machine + 1);
        now[machines].iter().flatten().map(|(there, _)| there).find(|there| there.key == *key)
    }

    /// What a look-up says at a step.
    pub(super) fn answer(&self, key: &Key, step: usize) -> Presence {
        self.there_as(key, step).map_or(Presence::Gone, |there| Presence::Present(Box::new(there.clone())))
    }

    /// The number of the machine that a key belongs to.
    pub(super) fn machine_of(key: &Key) -> Option<usize> {
        key.as_str().rsplit_once("/m")?.1.split('-').next()?.parse().ok()
    }

    /// The pull of a step.
    pub(super) fn reading(&self, step: usize) -> Pull {
        let reading = &self.steps[step];
        let listing = |machine: usize, kind: Kind| {
            let index = KINDS.iter().position(|other| *other == kind).expect("a kind that is listed");
            reading.listings[(machine % 2) * KINDS.len() + index]
        };
        let receipts = [0, 1].into_iter().flat_map(|machine| KINDS.map(|kind| (place(machine, kind), listing(machine, kind).0)));
        let receipts: Vec<_> = receipts.filter_map(|(scope, outcome)| Some((scope, outcome?))).collect();
        let (mut resources, mut relations) = (Vec::new(), Vec::new());
        for (machine, sight) in reading.sights.iter().enumerate() {
            for kind in KINDS {
                let (outcome, lag) = listing(machine, kind);
                let is_shown = match outcome {
                    Some(Outcome::Complete) => kind == Kind::ScalingGroup || !sight.is_left_out,
                    Some(Outcome::Truncated) => sight.is_early,
                    _ => false,
                };
                if !is_shown {
                    continue;
                }
                let own_lag = if kind == Kind::ScalingGroup { 0 } else { sight.lag };
                let then = step.saturating_sub(lag + own_lag);
                for (there, edges) in self.there[then][machine].iter().filter(|(there, _)| there.kind == kind) {
                    resources.push(there.clone());
                    relations.extend(edges.iter().cloned());
                }
                let being = &self.truth[then][machine];
                if kind == Kind::ScalingGroup && being.is_grouped && being.is_alive() {
                    relations.push(relation(RelationType::MemberOf, self.machine_key(machine), &group_key(machine)));
                }
            }
        }
        pull(receipts, resources, relations)
    }

    /// A read of the machines that a mask names, by themselves, as they are.
    pub(super) fn narrow(&self, step: usize) -> Pull {
        let mask = self.steps[step].narrow;
        let machines = (0..MACHINES).filter(|machine| mask & (1 << machine) != 0);
        let read = machines.flat_map(|machine| &self.there[step][machine]).filter(|(there, _)| there.kind != Kind::ScalingGroup).cloned();
        let (resources, relations): (Vec<_>, Vec<_>) = read.unzip();
        pull([], resources, relations.into_iter().flatten())
    }

    /// The same story, followed by steps in which nothing happens any more and every listing is whole.
    pub(super) fn then_quiet(mut self, count: usize) -> Self {
        let last = self.truth[self.truth.len() - 1].clone();
        let last_there = self.there[self.there.len() - 1].clone();
        for _ in 0..count {
            let sight = Sight { lag: 0, is_left_out: false, is_early: true };
            self.truth.push(last.clone());
            self.there.push(last_there.clone());
            self.steps.push(Step {
                turns: vec![Turn::Stays; MACHINES],
                listings: vec![(Some(Outcome::Complete), 0); 2 * KINDS.len()],
                sights: vec![sight; MACHINES],
                skew: 0,
                late: 0,
                narrow: 0,
                failing: 0,
                events: 0,
            });
        }
        self
    }
}
