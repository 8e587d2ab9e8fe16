//! Proxies, from the configuration or the environment.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::build_error::BuildError;

/// Which proxies to go through. Requests to this machine itself never do. `Debug` shows no URL: it may hold a password.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For https: the proxy sees host and port, not what is said.
    pub https: Option<SecretString>,
    /// For plain http: the proxy sees everything.
    pub http: Option<SecretString>,
    /// Hosts to go to directly, as `NO_PROXY` has it: names with all below them, addresses and networks, with commas; `*` is all.
    pub except: Option<String>,
}

impl Proxies {
    /// As the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, each also in lower case, which counts first. `variable` reads one.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()));
        Self {
            https: read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).map(SecretString::from),
            http: read(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]).map(SecretString::from),
            except: read(&["no_proxy", "NO_PROXY"]),
        }
    }

    /// As the transport wants it.
    pub(crate) fn build(&self) -> Result<Vec<reqwest::Proxy>, BuildError> {
        let mut built = Vec::new();
        for (name, url) in [("https", &self.https), ("http", &self.http)] {
            let Some(url) = url else { continue };
            let url = proxy_url(url).map_err(|why| BuildError::Proxy { name, why })?;
            let proxy = if name == "https" { reqwest::Proxy::https(url) } else { reqwest::Proxy::http(url) };
            // The error's text could repeat the URL.
            let proxy = proxy.map_err(|_| BuildError::Proxy { name, why: "it is not a proxy's address".to_owned() })?;
            let except = format!("{},{LOOPBACK}", self.except.as_deref().unwrap_or_default());
            built.push(proxy.no_proxy(reqwest::NoProxy::from_string(&except)));
        }
        Ok(built)
    }

    /// What must not come back in a text of the proxy's.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let urls = [&self.https, &self.http].into_iter().flatten();
        let parsed = urls.filter_map(|url| proxy_url(url).ok());
        parsed.filter_map(|url| url.password().map(SecretString::from)).collect()
    }
}

/// Never proxied: plain http may go to this machine only, and a proxy is another.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// A proxy's URL; `host:port` alone is one by http.
fn proxy_url(text: &SecretString) -> Result<Url, String> {
    let text = text.expose_secret().trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it is not http or https".to_owned());
    }
    Ok(url)
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("https", &self.https.is_some())
            .field("http", &self.http.is_some())
            .field("except", &self.except)
            .finish()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn from(pairs: &'static [(&str, &str)]) -> (Option<String>, Option<String>, Option<String>) {
        let proxies =
            Proxies::from_environment(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
        let shown = |url: Option<SecretString>| url.map(|url| url.expose_secret().to_owned());
        (shown(proxies.https), shown(proxies.http), proxies.except)
    }

    #[test]
    fn the_environment_is_read_as_others_read_it() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(from(&[]), (None, None, None));
        assert_eq!(from(&[("HTTPS_PROXY", "a"), ("NO_PROXY", "x")]), (some("a"), None, some("x")));
        assert_eq!(from(&[("HTTPS_PROXY", "a"), ("https_proxy", "b"), ("HTTP_PROXY", " ")]), (some("b"), None, None));
        assert_eq!(from(&[("ALL_PROXY", "a"), ("http_proxy", "b")]), (some("a"), some("b"), None));
    }

    #[test]
    fn a_bad_proxy_is_refused_without_being_shown() {
        for bad in ["socks5://u:secret@h:1", "http://", "http://u:secret@", "http://u:secret@h:port"] {
            let proxies = Proxies { https: Some(SecretString::from(bad)), ..Proxies::default() };
            let error = proxies.build().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let good = Proxies { https: Some(SecretString::from("u:secret@proxy.example:3128")), ..Proxies::default() };
        assert_eq!(good.build().unwrap().len(), 1);
        assert!(!format!("{good:?}").contains("secret"));
        assert_eq!(good.secrets().first().unwrap().expose_secret(), "secret");
    }
}
