//! What a client is built from.

use std::time::Duration;

use crate::breaker::BreakerPolicy;
use crate::origin::{BaseUrl, Origin};
use crate::proxy::Proxies;
use crate::retry::RetryPolicy;
use crate::words::{Words, common_words};

/// Limits of time and size. Each holds for itself: the first that is met ends the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection: name, TCP, proxy and TLS.
    pub connect: Duration,
    /// For the next byte of an answer, its first included. Platforms work on a large write for a minute without a word.
    pub idle: Duration,
    /// For one attempt, to the answer's last byte.
    pub attempt: Duration,
    /// For one call with all its waits and repeats, where the request has no earlier deadline.
    pub call: Duration,
    /// Size of an answer once unpacked, in bytes, where the request has no other limit.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            attempt: Duration::from_secs(300),
            call: Duration::from_secs(600),
            body_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What a client is built from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The source's or target's name from the configuration, for counts.
    pub name: String,
    /// Where paths begin.
    pub base: BaseUrl,
    /// Other origins that URLs from responses may name.
    pub origins: Vec<Origin>,
    /// What the client calls itself. Halo's hosting refuses requests that say nothing.
    pub user_agent: String,
    /// Limits of time and size.
    pub limits: Limits,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Proxies; none unless said.
    pub proxies: Proxies,
    /// What is repeated, and when.
    pub retry: RetryPolicy,
    /// When a failing origin is left alone.
    pub breaker: BreakerPolicy,
    /// Finds the platform's words in the body of an error.
    pub words: Words,
}

impl Settings {
    /// The defaults, for one address.
    #[must_use]
    pub fn new(name: &str, base: BaseUrl) -> Self {
        Self {
            name: name.to_owned(),
            base,
            origins: Vec::new(),
            user_agent: concat!("dewpoint/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            ca_pem: None,
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            words: common_words,
        }
    }
}
