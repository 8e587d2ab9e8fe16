//! The handle on a running simulator.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    calls::CallRecord,
    clock::Clock,
    control,
    fault::{Fault, Script},
    http,
    server::{Server, State},
    settings::Settings,
    world::{Change, ChangeError, World},
};

/// A simulator that serves on a port of this machine until it is dropped. It has threads of its own, so that it works beside any runtime and in tests without one.
pub struct Sim {
    server: Arc<Server>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Sim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sim").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// What is simulated.
    pub world: World,
    /// How it behaves.
    pub settings: Settings,
    /// Its time.
    pub clock: Clock,
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
}

impl Start {
    /// A world with default settings, the real time, and any free port of the loopback interface.
    pub fn new(world: World) -> Self {
        Self { world, settings: Settings::default(), clock: Clock::real(), address: (Ipv4Addr::LOCALHOST, 0).into() }
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
    /// When the address cannot be had.
    pub fn start_with(start: Start) -> io::Result<Self> {
        let server = Arc::new(Server::new(State::new(start.world, start.settings, start.clock)));
        let (stop, stopped) = watch::channel(false);
        let (report, reported) = mpsc::channel();
        let serving = Arc::clone(&server);
        let thread = thread::Builder::new().name("aws-sim".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(report.send(Err(error))),
            };
            runtime.block_on(async {
                let bound = async {
                    let listener = TcpListener::bind(start.address).await?;
                    let address = listener.local_addr()?;
                    Ok((listener, address))
                };
                match bound.await {
                    Ok((listener, address)) => {
                        let _ = report.send(Ok(address));
                        http::serve(listener, Arc::new(move |request| control::answer(&serving, &request)), stopped).await;
                    }
                    Err(error) => drop(report.send(Err(error))),
                }
            });
            // Connections that hang on purpose end here.
            runtime.shutdown_background();
        })?;
        let address = reported.recv().map_err(|_| io::Error::other("the simulator's thread ended"))??;
        Ok(Self { server, address, stop, thread: Some(thread) })
    }

    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads or changes the world. Calls that are being answered still see the old one.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.server.state().edit(|world, _| change(world))
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
        self.server.state().edit(|world, now| world.apply(change, now))
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
        Arc::clone(&self.server.state().world)
    }

    /// Sets the faults, in place of all that were set before.
    pub fn faults(&self, faults: Vec<Fault>) {
        self.server.state().script = Script::new(faults);
    }

    /// Changes the settings.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.server.state().settings);
    }

    /// All calls so far, or since [`Sim::clear_calls`].
    pub fn calls(&self) -> Vec<CallRecord> {
        self.server.state().calls.clone()
    }

    /// Forgets the calls.
    pub fn clear_calls(&self) {
        self.server.state().calls.clear();
    }

    /// Moves the simulated time on.
    pub fn advance(&self, by: SignedDuration) {
        self.server.state().clock.advance(by);
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.server.state().clock.now()
    }

    /// Ends all temporary credentials at once.
    pub fn expire_sessions(&self) {
        self.server.state().sessions.expire();
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // The thread may have ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
