//! The smallest simulator that has everything: a shop that counts what was ordered.

use std::sync::{Mutex, MutexGuard};

use dewpoint_sim_kit::{
    Clock, Common, Counters, Handle, Mishap, Outcome, Product, Record, Request, Response, Rule, Start, Timing,
    clock::http_date,
    control::{self, done, read, unknown},
};
use serde::{Deserialize, Serialize};

/// The time at which all tests begin.
pub(crate) const START: &str = "2026-06-01T10:00:00Z";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(flatten)]
    pub(crate) timing: Timing,
    #[serde(default)]
    pub(crate) after_commit: bool,
    pub(crate) effect: Effect,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Effect {
    /// The shop is closed.
    #[default]
    Closed,
    #[serde(untagged)]
    Mishap(Mishap),
}

impl Fault {
    pub(crate) fn of(mishap: Mishap) -> Self {
        Self { effect: Effect::Mishap(mishap), ..Self::default() }
    }
}

dewpoint_sim_kit::timing_builders!(Fault);

impl Rule for Fault {
    type Target<'a> = &'a str;

    fn is_about(&self, path: &&str) -> bool {
        self.path.as_deref().is_none_or(|wanted| wanted == *path)
    }

    fn timing(&self) -> Timing {
        self.timing
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) status: u16,
}

impl Record for Call {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        sums.add(&self.path, self.status);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) price: u32,
}

struct State {
    common: Common<Shop>,
    orders: u32,
}

pub(crate) struct Shop(Mutex<State>);

impl Shop {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn orders(&self) -> u32 {
        self.state().orders
    }
}

impl Product for Shop {
    const NAME: &'static str = "shop";
    /// How much was ordered before.
    type World = u32;
    type Fault = Fault;
    type Call = Call;
    type Settings = Settings;

    fn new(orders: u32, common: Common<Self>, _: bool) -> Self {
        Self(Mutex::new(State { common, orders }))
    }

    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T {
        look(&mut self.state().common)
    }

    async fn answer(&self, request: Request) -> Outcome {
        let mut state = self.state();
        let now = state.common.clock.now();
        let fault = state.common.script.strike(&request.path.as_str(), now, 1);
        let replaced = fault.as_ref().is_some_and(|fault| match &fault.effect {
            Effect::Closed => true,
            Effect::Mishap(mishap) => mishap.replaces(),
        });
        let mut response = Response::new(204);
        if !replaced || fault.as_ref().is_some_and(|fault| fault.after_commit) {
            state.orders += 1;
            let body = format!("{} {} {}", request.method, request.query, String::from_utf8(request.body).unwrap());
            response = Response::of(200, "text/plain", body).header("X-Price", state.common.settings.price.to_string());
        }
        let mut outcome = match fault.map(|fault| fault.effect) {
            None => Outcome::whole(response),
            Some(Effect::Closed) => Outcome::whole(Response::page(403, "closed")),
            Some(Effect::Mishap(mishap)) => mishap.befall(response),
        };
        outcome.response.headers.push(("Date".to_owned(), http_date(now)));
        state.common.log.add(Call { path: request.path, status: outcome.response.status });
        outcome
    }

    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        match (request.method.as_str(), path) {
            ("GET", "orders") => control::json(&self.orders()),
            ("PUT", "orders") => {
                self.state().orders = read(request)?;
                done()
            }
            _ => unknown(),
        }
    }
}

/// A shop whose clock stands.
pub(crate) fn shop() -> Handle<Shop> {
    start(false)
}

pub(crate) fn start(tls: bool) -> Handle<Shop> {
    let start = Start { clock: Clock::manual(START.parse().unwrap()), tls, ..Start::new(0) };
    Handle::start_with(start).expect("a port on the loopback interface")
}
