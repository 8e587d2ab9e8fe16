//! The handle on a running simulator.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::{Arc, mpsc},
    thread,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    calls::Record,
    clock::Clock,
    fault::Script,
    http,
    product::{Common, Product},
    tls,
};

/// How a simulator is started.
pub struct Start<P: Product> {
    /// What is simulated.
    pub world: P::World,
    /// How it behaves.
    pub settings: P::Settings,
    /// Its time.
    pub clock: Clock,
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether it speaks TLS, with a certificate of its own.
    pub tls: bool,
}

impl<P: Product> Start<P> {
    /// A world with default settings, the real time, any free port of the loopback interface, and TLS where the product's clients [insist on it](Product::TLS).
    pub fn new(world: P::World) -> Self {
        Self { world, settings: P::Settings::default(), clock: Clock::real(), address: (Ipv4Addr::LOCALHOST, 0).into(), tls: P::TLS }
    }
}

/// A simulator that serves on a port of this machine until it is dropped. It has threads of its own, so that it works beside any runtime and in tests without one.
/// What can be done to this product and no other are methods of the product, which it dereferences to.
pub struct Handle<P: Product> {
    product: Arc<P>,
    address: SocketAddr,
    authority: Option<Arc<str>>,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<P: Product> fmt::Debug for Handle<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct(P::NAME).field("address", &self.address).finish_non_exhaustive()
    }
}

impl<P: Product> Handle<P> {
    /// Starts a simulator of this world as [`Start::new`] has it.
    ///
    /// # Errors
    /// When no port can be had, or no certificate be made.
    pub fn start(world: P::World) -> io::Result<Self> {
        Self::start_with(Start::new(world))
    }

    /// Starts a simulator.
    ///
    /// # Errors
    /// When the address cannot be had, or no certificate be made.
    pub fn start_with(start: Start<P>) -> io::Result<Self> {
        let Start { world, settings, clock, address, tls } = start;
        let (acceptor, authority) =
            if tls { tls::acceptor(P::NAME).map(|(acceptor, pem)| (Some(acceptor), Some(pem)))? } else { (None, None) };
        let authority: Option<Arc<str>> = authority.map(Arc::from);
        let product = Arc::new(P::new(world, Common::new(settings, clock), authority.is_some()));
        let (stop, stopped) = watch::channel(false);
        let (report, reported) = mpsc::channel();
        let site = http::Site { product: Arc::clone(&product), acceptor, authority: authority.clone() };
        let thread = thread::Builder::new().name(P::NAME.to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(report.send(Err(error))),
            };
            runtime.block_on(async {
                let bound = async {
                    let listener = TcpListener::bind(address).await?;
                    let address = listener.local_addr()?;
                    Ok((listener, address))
                };
                match bound.await {
                    Ok((listener, address)) => {
                        let _ = report.send(Ok(address));
                        http::serve(listener, site, stopped).await;
                    }
                    Err(error) => drop(report.send(Err(error))),
                }
            });
            // Connections that hang on purpose end here.
            runtime.shutdown_background();
        })?;
        let address = reported.recv().map_err(|_| io::Error::other("the simulator's thread ended"))??;
        Ok(Self { product, address, authority, stop, thread: Some(thread) })
    }

    /// Where clients find it: `http://127.0.0.1:PORT`, or `https` when it speaks TLS.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate (PEM) to trust, when it speaks TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Sets the faults, in place of all that were set before.
    pub fn faults(&self, faults: Vec<P::Fault>) {
        self.product.common(|common| common.script = Script::new(faults));
    }

    /// Changes the settings.
    pub fn settings(&self, change: impl FnOnce(&mut P::Settings)) {
        self.product.common(|common| change(&mut common.settings));
    }

    /// All calls so far, or since [`Handle::clear_calls`].
    pub fn calls(&self) -> Vec<P::Call> {
        self.product.common(|common| common.log.calls.clone())
    }

    /// Sums over the same.
    pub fn counters(&self) -> <P::Call as Record>::Sums {
        self.product.common(|common| common.log.sums.clone())
    }

    /// Forgets the calls and the sums.
    pub fn clear_calls(&self) {
        self.product.common(|common| common.log.clear());
    }

    /// Moves the simulated time on.
    pub fn advance(&self, by: SignedDuration) {
        self.product.common(|common| common.clock.advance(by));
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.product.common(|common| common.clock.now())
    }
}

impl<P: Product> Deref for Handle<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.product
    }
}

impl<P: Product> Drop for Handle<P> {
    fn drop(&mut self) {
        // The thread may have ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
