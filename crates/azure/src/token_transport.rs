//! The way of `azure_identity`'s requests: our own connections, with our TLS, authorities and proxies.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request, Url};

/// Most bytes of an answer to a request for a token.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Where the metadata service of a machine is asked.
///
/// Source: Azure Instance Metadata Service, "Access Azure Instance Metadata Service".
const METADATA_HOST: &str = "169.254.169.254";

/// Sends the requests for tokens.
pub(crate) struct TokenTransport {
    /// For the token endpoint.
    outside: reqwest::Client,
    /// For the metadata service and its like, which no proxy knows.
    beside: reqwest::Client,
    /// Where the metadata service is asked in place of its own address.
    metadata: Option<Url>,
    /// The `Date` of the last answer of the token endpoint.
    date: Mutex<Option<String>>,
}

impl fmt::Debug for TokenTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenTransport").finish_non_exhaustive()
    }
}

impl TokenTransport {
    pub(crate) fn new(outside: reqwest::Client, beside: reqwest::Client, metadata: Option<Url>) -> Self {
        Self { outside, beside, metadata, date: Mutex::default() }
    }

    /// The `Date` header of the token endpoint's last answer.
    pub(crate) fn date(&self) -> Option<String> {
        self.date.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn address(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some(metadata) = &self.metadata
            && url.host_str() == Some(METADATA_HOST)
        {
            let _ = url.set_host(metadata.host_str());
            let _ = url.set_port(metadata.port());
        }
        url
    }
}

/// What went wrong, without the address: that names the tenant, and for some identities more.
fn lost(error: reqwest::Error) -> Error {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    Error::new(kind, error.without_url())
}

/// What went wrong on this machine. Where nobody is to be connected with, waiting brings nobody.
fn alone(error: reqwest::Error) -> Error {
    if !error.is_connect() {
        return lost(error);
    }
    let text = "nobody answers for managed identities here: this is no machine or service of Azure's, or a firewall keeps it from the metadata service";
    Error::with_error(ErrorKind::Credential, error.without_url(), text)
}

#[async_trait]
impl HttpClient for TokenTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        // Plain http is the metadata service's and the platforms' beside it, on this machine; the token endpoint is always https.
        let is_outside = request.url().scheme() == "https";
        let pool = if is_outside { &self.outside } else { &self.beside };
        let method = match request.method() {
            Method::Post => reqwest::Method::POST,
            _ => reqwest::Method::GET,
        };
        let mut wire = pool.request(method, self.address(request.url()));
        for (name, value) in request.headers().iter() {
            wire = wire.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "a request for a token has no stream"));
        };
        let mut response = wire.body(body.clone()).send().await.map_err(|error| if is_outside { lost(error) } else { alone(error) })?;
        let status = response.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
            }
        }
        if is_outside && let Some(date) = response.headers().get("date").and_then(|date| date.to_str().ok()) {
            *self.date.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.to_owned());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
                return Err(Error::with_message(ErrorKind::Io, format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let body = Bytes::from(body);
        let stream = futures::stream::once(async move { Ok(body) });
        Ok(AsyncRawResponse::new(status.into(), headers, Box::pin(stream)))
    }
}
