//! The handle on a running simulator.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
};

use dewpoint_sim_kit::{Clock, Handle};

use crate::{
    instance::Instance,
    server::{Server, State},
    settings::Settings,
    store::Row,
};

/// A simulator that serves on a port of this machine until it is dropped. What all simulators have, such as `url`, `faults`, `settings`, `calls`, `counters`,
/// `advance`, is at its [`Handle`].
#[derive(Debug)]
pub struct Sim(Handle<Server>);

impl Deref for Sim {
    type Target = Handle<Server>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// What is simulated.
    pub instance: Instance,
    /// How it behaves.
    pub settings: Settings,
    /// Its time.
    pub clock: Clock,
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether it speaks TLS, with a certificate of its own.
    pub tls: bool,
}

impl Start {
    /// An instance with default settings, the real time, any free port of the loopback interface, and plain HTTP.
    pub fn new(instance: Instance) -> Self {
        Self { instance, settings: Settings::default(), clock: Clock::real(), address: (Ipv4Addr::LOCALHOST, 0).into(), tls: false }
    }
}

impl Sim {
    /// Starts a simulator of this instance with default settings.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(instance: Instance) -> io::Result<Self> {
        Self::start_with(Start::new(instance))
    }

    /// Starts a simulator.
    ///
    /// # Errors
    /// When the address cannot be had, or no certificate be made.
    pub fn start_with(start: Start) -> io::Result<Self> {
        let server = Server::new(State::new(start.instance, start.settings, start.clock), start.tls);
        Handle::start(server, start.address, start.tls).map(Self)
    }

    /// Reads or changes the instance: records, shape, users, properties, rules.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Instance) -> T) -> T {
        change(&mut self.product().state().instance)
    }

    /// A copy of the instance as it is, to put back with [`Sim::restore`] or to start another simulator with, as a clone.
    pub fn snapshot(&self) -> Instance {
        self.product().state().instance.clone()
    }

    /// Puts another instance in the place of this one.
    pub fn restore(&self, instance: Instance) {
        self.product().state().instance = instance;
    }

    /// The records of a table, with those that extend it, that an encoded query finds, by `sys_id`.
    pub fn rows(&self, table: &str, query: &str) -> Vec<(String, Row)> {
        self.product().state().instance.find(table, query)
    }

    /// Ends all tokens at once, refresh tokens too.
    pub fn revoke_tokens(&self) {
        self.product().state().tokens.revoke_all();
    }

    /// Ends all access tokens; refresh tokens live.
    pub fn revoke_access_tokens(&self) {
        self.product().state().tokens.revoke_access();
    }
}
