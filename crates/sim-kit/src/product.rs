//! What a simulator is.

use std::{fmt, future::Future};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    calls::{Log, Record},
    clock::Clock,
    control,
    fault::{Rule, Script},
    message::{Outcome, Request, Response},
};

/// What is simulated: the server behind the socket.
pub trait Product: Sized + Send + Sync + 'static {
    /// The simulator's name, for threads and certificates.
    const NAME: &'static str;
    /// Whether it speaks TLS unless told otherwise.
    const TLS: bool = false;
    /// What it serves: plain data.
    type World;
    /// Its faults.
    type Fault: Rule;
    /// How it writes a call down.
    type Call: Record;
    /// How it behaves.
    type Settings: Clone + Default + Serialize + DeserializeOwned + Send + 'static;

    /// A server of this world, with faults and calls yet to come; `tls` says by which scheme clients know it.
    fn new(world: Self::World, common: Common<Self>, tls: bool) -> Self;

    /// Reads or changes what every simulator keeps. It stays locked as long as `look` runs.
    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T;

    /// Answers a request of the product's.
    fn answer(&self, request: Request) -> impl Future<Output = Outcome> + Send;

    /// Answers a request below `/_sim/` that not every simulator knows; `path` is what follows. [`control::unknown`] where this one does not know it either.
    ///
    /// # Errors
    /// What the request is refused with.
    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        let _ = (request, path);
        control::unknown()
    }
}

/// What every simulator keeps.
pub struct Common<P: Product> {
    /// How it behaves.
    pub settings: P::Settings,
    /// Its time.
    pub clock: Clock,
    /// Its faults.
    pub script: Script<P::Fault>,
    /// What was asked.
    pub log: Log<P::Call>,
}

impl<P: Product> Common<P> {
    /// Without faults and calls.
    pub fn new(settings: P::Settings, clock: Clock) -> Self {
        Self { settings, clock, script: Script::default(), log: Log::default() }
    }
}

impl<P: Product> fmt::Debug for Common<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Common").field("clock", &self.clock).finish_non_exhaustive()
    }
}
