//! The handle on a running simulator.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::Arc,
};

use dewpoint_sim_kit::{Clock, Handle};

use crate::{
    server::{Server, State},
    settings::Settings,
    world::{Change, ChangeError, World},
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
    pub world: World,
    /// How it behaves.
    pub settings: Settings,
    /// Its time. Tokens are judged by the machine's own clock, which goes on, plus what the time was moved by.
    pub clock: Clock,
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether it speaks TLS, with a certificate of its own.
    pub tls: bool,
}

impl Start {
    /// A world with default settings, the real time, any free port of the loopback interface, and TLS, without which Azure's clients send no token.
    pub fn new(world: World) -> Self {
        Self { world, settings: Settings::default(), clock: Clock::real(), address: (Ipv4Addr::LOCALHOST, 0).into(), tls: true }
    }
}

impl Sim {
    /// Starts a simulator of this world with default settings.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(world: World) -> io::Result<Self> {
        Self::start_with(Start::new(world))
    }

    /// Starts a simulator.
    ///
    /// # Errors
    /// When the address cannot be had, or no certificate be made.
    pub fn start_with(start: Start) -> io::Result<Self> {
        let server = Server::new(State::new(start.world, start.settings, start.clock), start.tls);
        Handle::start(server, start.address, start.tls).map(Self)
    }

    /// Reads or changes the world. Calls that are being answered still see the old one.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.product().state().edit(|world, _| change(world))
    }

    /// Makes one change of the world, now.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&self, change: &Change) -> Result<(), ChangeError> {
        self.product().state().edit(|world, now| world.apply(change, now))
    }

    /// The world as it is.
    pub fn world(&self) -> Arc<World> {
        self.product().state().estate.world()
    }

    /// Ends all access tokens at once.
    pub fn expire_tokens(&self) {
        self.product().state().expire_tokens();
    }

    /// A token for Azure Resource Manager, as the token endpoint gives it to this application.
    pub fn token(&self, client: &str) -> String {
        self.product().state().token(client, "https://management.azure.com")
    }
}
