//! Where requests may go: credentials leave for configured origins only.

use std::fmt;

use url::{Host, Url};

use crate::build_error::BuildError;

/// Scheme, host and port: what a browser calls an origin. Hosts are compared without regard to case, `:443` is https without a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scheme {
    Http,
    Https,
}

impl Origin {
    /// A URL's origin; `None` for one that is not http or https.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        Some(Self { scheme, host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// The host, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// Whether credentials may travel without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plaintext {
    /// Only to this machine itself.
    #[default]
    Loopback,
    /// Anywhere: somebody asked for it in so many words.
    Anywhere,
}

/// A configured address: an origin, and a path that all requests' paths come behind.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    origin: Origin,
}

impl BaseUrl {
    /// Reads an address such as `https://example.service-now.com` or `https://assets.example/api/v1/`.
    ///
    /// # Errors
    /// [`BuildError`] where it is no absolute http(s) URL, has a user, password, query or fragment, or is plain http to another machine
    /// without `plaintext` allowing that.
    pub fn parse(text: &str, plaintext: Plaintext) -> Result<Self, BuildError> {
        let url = Url::parse(text).map_err(|error| BuildError::Url { why: error.to_string() })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BuildError::UrlSecret);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BuildError::Url { why: "it has a query or fragment".to_owned() });
        }
        let origin = Origin::of(&url).ok_or_else(|| BuildError::Url { why: "it is not http or https".to_owned() })?;
        if origin.scheme == Scheme::Http && plaintext == Plaintext::Loopback && !is_loopback(&url) {
            return Err(BuildError::Plaintext { origin });
        }
        Ok(Self { url, origin })
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path that all requests' paths come behind, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The same origin with another path.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(path);
        Self { url, origin: self.origin.clone() }
    }

    /// The address with a path behind it, which stays behind it: neither `?` nor `#` nor a second host can be had by a path.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", self.path(), path.trim_start_matches('/')));
        url
    }

    /// A URL that a response named, which may be relative to this one.
    pub(crate) fn resolve(&self, text: &str) -> Result<Url, url::ParseError> {
        self.url.join(text)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({}{})", self.origin, self.url.path())
    }
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<BaseUrl, BuildError> {
        BaseUrl::parse(text, Plaintext::Loopback)
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for good in ["http://127.0.0.1:9", "http://localhost:8080/x", "http://[::1]:1", "http://snow.localhost", "https://a.example"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in ["http://a.example", "http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example"] {
            assert!(matches!(base(bad), Err(BuildError::Plaintext { .. })), "{bad}");
        }
        assert!(BaseUrl::parse("http://a.example", Plaintext::Anywhere).is_ok());
    }

    #[test]
    fn an_address_has_no_secrets_and_no_query() {
        assert!(matches!(base("https://u:p@a.example"), Err(BuildError::UrlSecret)));
        for bad in ["https://a.example?x=1", "https://a.example#x", "ftp://a.example", "a.example", "/x", ""] {
            assert!(matches!(base(bad), Err(BuildError::Url { .. })), "{bad}");
        }
    }

    #[test]
    fn origins_are_compared_as_browsers_do() {
        let of = |text: &str| Origin::of(&Url::parse(text).unwrap()).unwrap();
        assert_eq!(of("https://A.example:443/x"), of("https://a.example"));
        assert_ne!(of("https://a.example:8443"), of("https://a.example"));
        assert_ne!(of("http://a.example"), of("https://a.example"));
        assert_ne!(of("https://a.example."), of("https://a.example"));
        assert_eq!(of("https://a.example:8443/x").to_string(), "https://a.example:8443");
        assert_eq!(of("http://[::1]:80/x").to_string(), "http://[::1]");
    }

    #[test]
    fn a_path_stays_a_path() {
        let base = base("https://a.example/api/").unwrap();
        assert_eq!(base.join("/now/x").as_str(), "https://a.example/api/now/x");
        assert_eq!(base.join("now?x=1#y").as_str(), "https://a.example/api/now%3Fx=1%23y");
        assert_eq!(base.join("//evil.example/x").as_str(), "https://a.example/api/evil.example/x");
        assert_eq!(base.join("").as_str(), "https://a.example/api/");
    }
}
