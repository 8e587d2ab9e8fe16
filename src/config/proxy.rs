//! The proxy that a REST API is reached through.

use std::fmt;

use dewpoint_servicenow::Proxies;
use secrecy::SecretString;
use url::Url;

use super::leaf::{HttpUrl, Leaf, Problem};
use super::secret::{Given, Secret, SecretError, SecretRef};

/// How an API is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Directly, whatever the environment says.
    Direct,
    /// Through this one.
    Through(Given),
}

impl Proxy {
    /// Reads the address, where it is kept.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read.
    pub fn resolve(&self) -> Result<Proxies, SecretError> {
        let Self::Through(address) = self else { return Ok(Proxies::default()) };
        let address = SecretString::from(address.resolve()?);
        Ok(Proxies { https: Some(address.clone()), http: Some(address), except: None })
    }
}

/// A proxy: its address, a reference to it, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProxyAddress {
    Direct,
    Plain(Url),
    Reference(SecretRef),
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("none"),
            Self::Plain(url) => fmt::Display::fmt(url, f),
            Self::Reference(reference) => fmt::Display::fmt(reference, f),
        }
    }
}

impl Leaf for ProxyAddress {
    const NAME: &'static str = "proxy_address";
    const EXPECTED: &'static str = "a proxy such as `http://proxy.example.com:3128`, a reference to its address, or `none`";
    const PATTERN: Option<&'static str> = Some(r"^(none|env:\S+|file:.+|https?://[^@\s]+)$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text == "none" {
            return Ok(Self::Direct);
        }
        if let Some(reference) = SecretRef::parse_reference(text) {
            return reference.map(Self::Reference);
        }
        let example = "for example `http://proxy.example.com:3128`; one with a password is a reference: `env:NAME` or `file:PATH`";
        let HttpUrl(url) = HttpUrl::parse(text).map_err(|problem| problem.help(example))?;
        if url.path() != "/" {
            return Err(Problem::new("a proxy's address has no path").help(example));
        }
        Ok(Self::Plain(url))
    }
}

impl ProxyAddress {
    /// The proxy as meant; `secret` makes one of a reference.
    pub(super) fn meant(self, secret: impl FnOnce(SecretRef) -> Secret) -> Proxy {
        match self {
            Self::Direct => Proxy::Direct,
            Self::Plain(url) => Proxy::Through(Given::Plain(url.to_string())),
            Self::Reference(reference) => Proxy::Through(Given::Kept(secret(reference))),
        }
    }
}
