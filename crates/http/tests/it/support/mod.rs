//! A server with a script, clocks that do not make anybody wait, and a meter that remembers.

mod clock;
mod server;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dewpoint_http::{BaseUrl, Builder, Client, Limits, Meter, Plaintext, RetryPolicy, Settings};

pub(crate) use clock::{SteppedClock, VirtualClock};
pub(crate) use server::{Reply, Seen, Server, proxy};
pub(crate) use tls::Authority;

/// Settings for a server, with limits that no test meets unless it means to.
pub(crate) fn settings(server: &Server) -> Settings {
    let base = BaseUrl::parse(&server.url(), Plaintext::Loopback).unwrap();
    let limits = Limits { body_bytes: 1 << 20, ..Limits::default() };
    let retry = RetryPolicy { attempts_max: 3, ..RetryPolicy::default() };
    Settings { limits, retry, ..Settings::new("snow", base) }
}

/// A client whose pauses take no time.
pub(crate) fn builder(server: &Server) -> (Builder, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new());
    (Client::builder(settings(server)).clock(Arc::clone(&clock) as _).seed(1), clock)
}

pub(crate) fn client(server: &Server) -> Client {
    builder(server).0.build().unwrap()
}

/// Counts what it is told.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) ended: Mutex<Vec<String>>,
    waited: Mutex<f64>,
}

impl Counter {
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn ended(&self) -> Vec<String> {
        self.ended.lock().unwrap().clone()
    }

    pub(crate) fn waited(&self) -> Duration {
        Duration::from_secs_f64(*self.waited.lock().unwrap())
    }
}

impl Meter for Counter {
    fn called(&self, name: &str, operation: &str) {
        self.calls.lock().unwrap().push(format!("{name} {operation}"));
    }

    fn waited(&self, _: &str, seconds: f64) {
        *self.waited.lock().unwrap() += seconds;
    }

    fn ended(&self, _: &str, operation: &str, outcome: &'static str, _: f64) {
        self.ended.lock().unwrap().push(format!("{operation} {outcome}"));
    }
}
