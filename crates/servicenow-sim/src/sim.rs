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
    clock::Clock,
    control,
    fault::{Fault, Script},
    http::{self, Answer},
    instance::Instance,
    log::{CallRecord, Counters},
    server::{Server, State},
    settings::Settings,
    store::Row,
    tls,
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
        let (acceptor, authority) =
            if start.tls { tls::acceptor().map(|(acceptor, pem)| (Some(acceptor), Some(pem)))? } else { (None, None) };
        let server = Arc::new(Server::new(State::new(start.instance, start.settings, start.clock), authority));
        let (stop, stopped) = watch::channel(false);
        let (report, reported) = mpsc::channel();
        let serving = Arc::clone(&server);
        let thread = thread::Builder::new().name("servicenow-sim".to_owned()).spawn(move || {
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
                        let answer: Answer = Arc::new(move |request| Box::pin(control::answer(Arc::clone(&serving), request)));
                        http::serve(listener, acceptor, answer, stopped).await;
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

    /// Where clients find it: `http://127.0.0.1:PORT`, or `https` when it speaks TLS.
    pub fn url(&self) -> String {
        let scheme = if self.server.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate (PEM) to trust, when it speaks TLS.
    pub fn authority(&self) -> Option<&str> {
        self.server.authority.as_deref()
    }

    /// Reads or changes the instance: records, shape, users, properties, rules.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Instance) -> T) -> T {
        change(&mut self.server.state().instance)
    }

    /// A copy of the instance as it is, to put back with [`Sim::restore`] or to start another simulator with, as a clone.
    pub fn snapshot(&self) -> Instance {
        self.server.state().instance.clone()
    }

    /// Puts another instance in the place of this one.
    pub fn restore(&self, instance: Instance) {
        self.server.state().instance = instance;
    }

    /// The records of a table, with those that extend it, that an encoded query finds, by `sys_id`.
    pub fn rows(&self, table: &str, query: &str) -> Vec<(String, Row)> {
        self.server.state().instance.find(table, query)
    }

    /// Sets the faults, in place of all that were set before.
    pub fn faults(&self, faults: Vec<Fault>) {
        self.server.state().script = Script::new(faults);
    }

    /// Changes the settings.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.server.state().settings);
    }

    /// All requests so far, or since [`Sim::clear_calls`].
    pub fn calls(&self) -> Vec<CallRecord> {
        self.server.state().calls.clone()
    }

    /// Sums over the same.
    pub fn counters(&self) -> Counters {
        self.server.state().counters.clone()
    }

    /// Forgets the requests and the sums.
    pub fn clear_calls(&self) {
        let mut state = self.server.state();
        state.calls.clear();
        state.counters = Counters { in_engine: state.counters.in_engine, ..Counters::default() };
    }

    /// Moves the instance's time on.
    pub fn advance(&self, by: SignedDuration) {
        self.server.state().clock.advance(by);
    }

    /// The instance's time.
    pub fn now(&self) -> Timestamp {
        self.server.state().clock.now()
    }

    /// Ends all tokens at once, refresh tokens too.
    pub fn revoke_tokens(&self) {
        self.server.state().tokens.revoke_all();
    }

    /// Ends all access tokens; refresh tokens live.
    pub fn revoke_access_tokens(&self) {
        self.server.state().tokens.revoke_access();
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
