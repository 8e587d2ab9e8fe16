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
    /// Its time. Signatures are always judged by the machine's own clock, since clients sign by it.
    pub clock: Clock,
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether it speaks TLS, with a certificate of its own.
    pub tls: bool,
}

impl Start {
    /// A world with default settings, the real time, any free port of the loopback interface, and plain HTTP.
    pub fn new(world: World) -> Self {
        Self { world, settings: Settings::default(), clock: Clock::real(), address: (Ipv4Addr::LOCALHOST, 0).into(), tls: false }
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
        Handle::start(Server::new(State::new(start.world, start.settings, start.clock)), start.address, start.tls).map(Self)
    }

    /// Reads or changes the world. Calls that are being answered still see the old one.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.product().state().edit(|world, _| change(world))
    }

    /// Changes an account's region, as [`Sim::edit`] does; made if it is not there.
    pub fn edit_region<T>(&self, account: &str, region: &str, change: impl FnOnce(&mut crate::world::Region) -> T) -> T {
        self.edit(|world| change(world.account(account).region(region)))
    }

    /// Makes one change of the world, now.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&self, change: &Change) -> Result<(), ChangeError> {
        self.product().state().edit(|world, now| world.apply(change, now))
    }

    /// Terminates an instance; see [`Region::terminate`](crate::world::Region::terminate).
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn terminate(&self, account: &str, region: &str, instance: &str) -> Result<(), ChangeError> {
        self.apply(&Change::Terminate { account: account.to_owned(), region: region.to_owned(), instance: instance.to_owned() })
    }

    /// The world as it is.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.product().state().world)
    }

    /// Ends all temporary credentials at once.
    pub fn expire_sessions(&self) {
        self.product().state().sessions.expire();
    }
}
