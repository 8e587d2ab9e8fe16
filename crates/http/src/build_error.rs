//! Why there is no client.

use crate::origin::Origin;

/// Why a client cannot be built from what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Not an address that requests can go to.
    #[error("the URL cannot be used: {why}")]
    Url {
        /// What is wrong, without the URL.
        why: String,
    },
    /// A user or password in the URL.
    #[error("the URL holds a user or password")]
    UrlSecret,
    /// Credentials would travel in the clear.
    #[error("{origin} is plain http to another machine: credentials would travel in the clear")]
    Plaintext {
        /// Where to.
        origin: Origin,
    },
    /// The file of certificates is none.
    #[error("the CA file cannot be used: {why}")]
    CaFile {
        /// What is wrong.
        why: String,
    },
    /// No certificate to trust: the system has none, and none was given.
    #[error("there are no CA certificates to trust: {why}")]
    NoRoots {
        /// What looking for them said.
        why: String,
    },
    /// A proxy's URL is none.
    #[error("the {name} proxy cannot be used: {why}")]
    Proxy {
        /// `https` or `http`.
        name: &'static str,
        /// What is wrong, without the URL.
        why: String,
    },
    /// Credentials that do not fit into a header.
    #[error("the {what} cannot be sent: it has characters that a header cannot carry")]
    Header {
        /// What it is.
        what: &'static str,
    },
    /// TLS or the connection pool could not be set up.
    #[error("the client cannot be built: {why}")]
    Machinery {
        /// What is wrong.
        why: String,
    },
}

impl BuildError {
    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Url { .. } => Some("write it like https://host or https://host/path"),
            Self::UrlSecret => Some("give credentials under `auth`, as references"),
            Self::Plaintext { .. } => Some("use https"),
            Self::CaFile { .. } => Some("give PEM: -----BEGIN CERTIFICATE----- and so on"),
            Self::NoRoots { .. } => Some("install the system's CA certificates (ca-certificates), or set `ca_file`"),
            Self::Proxy { .. } => Some("write it like http://proxy:3128"),
            Self::Header { .. } | Self::Machinery { .. } => None,
        }
    }
}
