//! The handle on a running simulator.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{net::TcpListener, sync::watch};

use crate::{calls::Record, fault::Script, http, product::Product, tls};

/// A simulator that serves on a port of this machine until it is dropped. It has threads of its own, so that it works beside any runtime and in tests without one.
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
    /// Starts it at this address; port 0 takes any that is free. With `tls` it speaks TLS, with a certificate made now.
    ///
    /// # Errors
    /// When the address cannot be had, or no certificate be made.
    pub fn start(product: P, address: SocketAddr, tls: bool) -> io::Result<Self> {
        let (acceptor, authority) =
            if tls { tls::acceptor(P::NAME).map(|(acceptor, pem)| (Some(acceptor), Some(pem)))? } else { (None, None) };
        let authority: Option<Arc<str>> = authority.map(Arc::from);
        let product = Arc::new(product);
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

    /// What is simulated.
    pub fn product(&self) -> &P {
        &self.product
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

impl<P: Product> Drop for Handle<P> {
    fn drop(&mut self) {
        // The thread may have ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
