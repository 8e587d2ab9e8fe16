//! Syncs to an instance that are killed at random instants, or meet faults at random.

use std::collections::BTreeSet;
use std::process::Command;

use dewpoint_servicenow_sim::{Effect, Fault, Mishap};

use super::trial::{Trial, instance};
use crate::kill::estate::Random;
use crate::kill::remote::{self, BELOW, Remote, pick};
use crate::scripts::{Scripted, Wrong};
use crate::support::World;

#[test]
fn kill_dash_nine() {
    remote::kill_dash_nine::<Trial>();
}

#[test]
fn faults_at_random() {
    remote::faults_at_random::<Trial>();
}

impl Remote for Trial {
    const NAME: &'static str = "servicenow";
    type Fault = Fault;

    fn start(keys: &str) -> Self {
        let trial = Self::over(instance(), "");
        trial.snow.configure(&format!("heartbeat: never\n{keys}"), BELOW);
        trial
    }

    fn world(&self) -> &World {
        &self.snow.world
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.snow.world.command(args);
        command.env("SNOW_PASSWORD", "integration-password");
        command
    }

    fn requests(&self) -> u64 {
        self.sim().counters().requests
    }

    fn writes(&self) -> u64 {
        self.snow.writes()
    }

    fn clear_calls(&self) {
        self.sim().clear_calls();
    }

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

    fn faults(&self, script: Vec<Fault>) {
        self.sim().faults(script);
    }

    fn struck(&self) -> Vec<String> {
        self.sim().calls().into_iter().filter_map(|call| call.fault).collect()
    }

    fn live(&self) -> Vec<String> {
        live(self)
    }

    fn keys(&self) -> Vec<String> {
        let content = live(self);
        for parked in ["cmdb_ire_", "reconcile_duplicate_task"] {
            assert!(!content.iter().any(|line| line.starts_with(parked)), "{content:#?}");
        }
        let marks = content.iter().filter_map(|line| line.split_once(" in cmdb_ci_")?.1.split_once(" by "));
        marks.filter(|(_, key)| !key.ends_with(" as scaffold")).map(|(_, key)| format!("aws:{key}")).collect()
    }

    fn edges(&self) -> Vec<(String, String)> {
        let keys = self.keys();
        let key = |end: &str| {
            let id = end.rsplit(' ').next().unwrap();
            keys.iter().find(|key| key.ends_with(&format!("/{id}"))).unwrap_or_else(|| panic!("{end} is no live record")).clone()
        };
        let content = live(self);
        let edges = content.iter().filter(|line| !line.starts_with("Dewpoint")).filter_map(|line| line.split_once(" -> Uses::Used by -> "));
        edges.map(|(from, to)| (key(from), key(to))).collect()
    }

    fn assert_strangers(&self) {
        Self::assert_strangers(self);
    }
}

mod scripts {
    crate::scripts::scripts!(crate::servicenow::trial::Trial);
}

impl Scripted for Trial {
    fn wrong(wrong: Wrong, nth: u64) -> Fault {
        let engine = |effect: Effect| Fault::new(effect).api("identifyreconcile");
        let fault = match wrong {
            Wrong::LostAnswer => engine(Mishap::Reset.into()).after_commit(),
            Wrong::LostRequest => engine(Mishap::Reset.into()),
            Wrong::Throttled(seconds) => engine(Effect::RateLimited { retry_after_s: seconds }),
            Wrong::LoggedOut => Fault::new(Effect::Unauthenticated),
            Wrong::NotAllowed => engine(Effect::Forbidden),
            Wrong::CutPage => Fault::new(Effect::PartialResult { share: 0.5 }).api("table").class("cmdb_ci_vm_instance"),
            Wrong::Poison(id) => engine(Effect::Error { status: 400, message: "no".to_owned(), detail: None }).body_contains(id),
        };
        fault.nth(nth)
    }

    fn times(fault: Fault, times: u64) -> Fault {
        fault.times(times)
    }

    fn people_add(&mut self, native_id: &str) {
        Self::people_add(self, "cmdb_ci_vm_instance", &[("name", "by hand"), ("object_id", native_id)]);
    }

    fn people_rename(&self, native_id: &str, name: &str) {
        self.people_edit(native_id, &[("name", name)]);
    }

    fn name_of(&self, native_id: &str) -> String {
        self.value(native_id, "name")
    }
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
