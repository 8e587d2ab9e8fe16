//! One request, as its caller means it.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use crate::retry::Repeat;

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum To {
    /// A path behind the base URL.
    Path(String),
    /// A URL that a response named.
    Named(String),
}

/// What body the answer of a success must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A whole JSON document; none with status 204.
    Json,
    Anything,
}

/// One request. `Debug` shows neither query nor headers nor body.
///
/// A read may be repeated unless it is told otherwise, anything else may not.
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) to: To,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) operation: String,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) begin_by: Option<Timestamp>,
    pub(crate) expect: Expect,
    pub(crate) body_bytes_max: Option<usize>,
    pub(crate) weight: NonZeroU32,
    pub(crate) secrets: Vec<SecretString>,
    /// Why it cannot be sent, found while it was put together.
    pub(crate) flaw: Option<String>,
}

impl Request {
    fn new(method: Method, to: To) -> Self {
        let repeat = if method == Method::GET || method == Method::HEAD { Repeat::Safe } else { Repeat::Never };
        Self {
            operation: method.as_str().to_ascii_lowercase(),
            method,
            to,
            segments: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
            body: None,
            repeat,
            deadline: None,
            begin_by: None,
            expect: Expect::Json,
            body_bytes_max: None,
            weight: NonZeroU32::MIN,
            secrets: Vec::new(),
            flaw: None,
        }
    }

    /// `GET` of a path behind the base URL. The path is taken as it is; values from elsewhere go in by [`Self::segment`] and [`Self::query`].
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, To::Path(path.to_owned()))
    }

    /// `POST` to a path behind the base URL.
    pub fn post(path: &str) -> Self {
        Self::new(Method::POST, To::Path(path.to_owned()))
    }

    /// `PUT` to a path behind the base URL.
    pub fn put(path: &str) -> Self {
        Self::new(Method::PUT, To::Path(path.to_owned()))
    }

    /// `PATCH` of a path behind the base URL.
    pub fn patch(path: &str) -> Self {
        Self::new(Method::PATCH, To::Path(path.to_owned()))
    }

    /// `DELETE` of a path behind the base URL.
    pub fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, To::Path(path.to_owned()))
    }

    /// `GET` of a URL that a response named: the next page. It is sent as it is, and only to a configured origin.
    pub fn follow(url: &str) -> Self {
        Self::new(Method::GET, To::Named(url.to_owned()))
    }

    /// The same to a URL that a response named, as with [`Self::follow`].
    pub fn to(mut self, url: &str) -> Self {
        self.to = To::Named(url.to_owned());
        self
    }

    /// Another segment behind the path, encoded: an id from elsewhere cannot become more than one segment, nor a step up.
    pub fn segment(mut self, value: &str) -> Self {
        if matches!(value, "" | "." | "..") {
            self.flaw.get_or_insert_with(|| format!("`{value}` cannot be part of a path"));
        }
        self.segments.push(value.to_owned());
        self
    }

    /// A query parameter, encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header that is no secret. Credentials are the [`Authenticator`](crate::auth::Authenticator)'s.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => {
                self.flaw.get_or_insert_with(|| format!("header `{name}` has characters that a header cannot carry"));
            }
        }
        self
    }

    /// A JSON body.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body(body.into(), "application/json"),
            Err(error) => {
                self.flaw.get_or_insert_with(|| format!("its body cannot be written as JSON: {error}"));
                self
            }
        }
    }

    /// A body of form fields.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body(body.into(), "application/x-www-form-urlencoded")
    }

    /// A body that is written already.
    pub fn body(mut self, body: Bytes, content_type: &'static str) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Some(body);
        self
    }

    /// What the caller calls this: in counts, traces and errors. Bounded: never an id.
    pub fn operation(mut self, name: &str) -> Self {
        name.clone_into(&mut self.operation);
        self
    }

    /// Whether it may reach the server twice.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// When the caller needs an answer, or to know that there is none. A wait that would go beyond is not begun.
    pub fn deadline(mut self, at: Timestamp) -> Self {
        self.deadline = Some(at);
        self
    }

    /// When what it was made from is too old: no attempt begins after it. One that began goes on.
    pub fn begin_by(mut self, at: Timestamp) -> Self {
        self.begin_by = Some(at);
        self
    }

    /// The answer need not be JSON, nor have a body at all.
    pub fn any_body(mut self) -> Self {
        self.expect = Expect::Anything;
        self
    }

    /// Another limit for the answer's size, in bytes once unpacked.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// How many calls it counts for in the budget; one unless said.
    pub fn weight(mut self, calls: NonZeroU32) -> Self {
        self.weight = calls;
        self
    }

    /// A secret in the request, which must not be told when the server's answer repeats it.
    pub fn redact(mut self, secret: SecretString) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Adds segments and query to the URL that it goes to.
    pub(crate) fn finish(&self, mut url: Url) -> Url {
        if let Ok(mut path) = url.path_segments_mut()
            && !self.segments.is_empty()
        {
            path.pop_if_empty().extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("operation", &self.operation)
            .field("repeat", &self.repeat)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
