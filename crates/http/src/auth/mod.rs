//! Credentials: what they are made of, and how they are renewed.

use std::fmt;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::HttpError;

mod fixed;
mod oauth;

pub use fixed::{Fixed, NoAuth};
pub use oauth::{Grant, OAuth, OAuthSettings};

/// Puts credentials on requests. One stands for one credential, and is shared by everything that is sent with it.
#[async_trait]
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// The credentials for a request that goes out now. Asking for a token may take until `latest`, not longer.
    ///
    /// # Errors
    /// What kept a token from being had.
    async fn credentials(&self, latest: Timestamp) -> Result<Credentials, HttpError>;

    /// Told that the server refused these credentials (401). Whether it makes sense to ask for others: the request is then sent once more.
    fn refused(&self, _credentials: &Credentials) -> bool {
        false
    }
}

/// What goes onto one request. `Debug` shows none of it.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// What must not come back in a text of the server's.
    pub(crate) secrets: Vec<SecretString>,
    /// Which token it is, by the order in which they were had.
    pub(crate) generation: u64,
}

impl Credentials {
    /// A header with a secret value. `secrets` are the secrets in it, in plain, for redaction.
    #[must_use]
    pub fn header(name: HeaderName, mut value: HeaderValue, secrets: Vec<SecretString>, generation: u64) -> Self {
        value.set_sensitive(true);
        Self { header: Some((name, value)), secrets, generation }
    }

    /// Which of several tokens it is: the number given to [`Self::header`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(generation {})", self.generation)
    }
}
