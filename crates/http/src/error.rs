//! Why there is no answer, or none that can be used.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::origin::Origin;

/// Which request an error or an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The caller's name for what it does.
    pub operation: String,
    /// Where it went.
    pub origin: Origin,
    /// How often it was sent.
    pub attempts: u32,
    /// The platform's id of the last answer.
    pub request_id: Option<String>,
    /// Whether an attempt before the last may have been carried out without our knowing.
    pub in_doubt: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.operation, self.origin)?;
        if self.attempts > 1 {
            write!(f, " ({} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

/// What a server answered to a request that it did not carry out, or did not say so.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// HTTP status.
    pub status: u16,
    /// Its own words, on one line, cut to size, without secrets; empty where it has none.
    pub words: String,
    /// Whether it is a web page, as of a proxy or a server under maintenance.
    pub is_html: bool,
    /// The body, for what the platform puts into it beside words. Cut at 64 KiB. Not for logs: it was not searched for secrets.
    pub body: Bytes,
}

impl Said {
    /// The body as the platform's own form of errors; `None` where it has another.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said")
            .field("status", &self.status)
            .field("words", &self.words)
            .field("is_html", &self.is_html)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if self.is_html {
            f.write_str(", a web page")?;
        }
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

/// What a connection failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The host's name is not known.
    Name,
    /// Nothing listens there, or the network does not lead there.
    Network,
    /// TLS: an untrusted or wrong certificate, or no common protocol.
    Tls,
    /// The proxy does not let the connection through.
    Proxy,
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the host name cannot be resolved",
            Self::Network => "no connection",
            Self::Tls => "no trust in the connection",
            Self::Proxy => "the proxy refused",
        })
    }
}

/// Which limit of time a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// For setting up the connection.
    Connect,
    /// For the next byte.
    Idle,
    /// For one attempt, from its first byte to the answer's last.
    Attempt,
    /// The caller's deadline, or the longest time for a call with its waits and repeats.
    Deadline,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection within the time allowed",
            Self::Idle => "the server fell silent",
            Self::Attempt => "no whole answer within the time allowed",
            Self::Deadline => "no time left",
        })
    }
}

/// What came instead of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// A web page, with its title where it has one.
    Html(String),
    /// Something else.
    Other,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Html(title) if title.is_empty() => f.write_str("a web page"),
            Self::Html(title) => write!(f, "the web page `{title}`"),
            Self::Other => f.write_str("something else"),
        }
    }
}

/// Why a request came to no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {kind}")]
pub struct HttpError {
    pub(crate) call: Box<Call>,
    /// What to react to.
    pub kind: HttpErrorKind,
}

/// What kept a request from an answer that can be used. One variant for each way to react.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpErrorKind {
    /// The request cannot be sent as it is. Nothing was sent.
    #[error("cannot be sent: {why}")]
    Unsendable {
        /// What is wrong with it.
        why: String,
    },
    /// A response named a URL at another origin than the configured ones. Nothing was sent.
    #[error("the server refers to {named}, which is not a configured address")]
    ForeignOrigin {
        /// The origin it named.
        named: String,
    },
    /// The origin failed so often that it is left alone for a while. Nothing was sent.
    #[error("not tried until {until}: {origin} has failed since {since}: {last}")]
    CircuitOpen {
        /// Which.
        origin: Origin,
        /// When it began to be left alone.
        since: Timestamp,
        /// When it will be tried again.
        until: Timestamp,
        /// The last failure.
        last: String,
    },
    /// No connection. Nothing was sent.
    #[error("{failure}: {text}")]
    Connect {
        /// What it failed at.
        failure: ConnectFailure,
        /// In the words of whoever saw it.
        text: String,
    },
    /// Time ran out.
    #[error("{limit}")]
    TimedOut {
        /// Which limit.
        limit: Limit,
        /// Whether (part of) the request may have been sent.
        sent: bool,
    },
    /// The connection broke before the answer began.
    #[error("the connection broke before the answer: {text}")]
    Lost {
        /// How.
        text: String,
    },
    /// The answer ended early.
    #[error("the answer is cut off: {text}")]
    Truncated {
        /// What shows it.
        text: String,
    },
    /// The answer is larger than allowed (unpacked).
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// An answer without a body, where there should be one.
    #[error("the answer is empty (status {status})")]
    Empty {
        /// HTTP status.
        status: u16,
    },
    /// An answer that is not JSON at all.
    #[error("the answer is {instead}, not JSON (status {status})")]
    NotJson {
        /// HTTP status.
        status: u16,
        /// What it is.
        instead: Instead,
    },
    /// JSON, but not of the form that was expected.
    #[error("the answer does not fit at `{path}`: {text}")]
    Unexpected {
        /// Where in the document.
        path: String,
        /// What is wrong there.
        text: String,
    },
    /// The server points elsewhere; nobody follows with credentials.
    #[error("redirected (status {status}) to {to}")]
    Redirected {
        /// HTTP status.
        status: u16,
        /// The origin it points to, or what else it says.
        to: String,
    },
    /// The credentials were not accepted (401, or what the token endpoint said).
    #[error("the credentials were not accepted ({said})")]
    Unauthorised {
        /// The server's answer.
        said: Box<Said>,
    },
    /// The credentials are good, but not for this (403).
    #[error("not permitted ({said})")]
    Forbidden {
        /// The server's answer.
        said: Box<Said>,
    },
    /// Nothing there, or hidden (404).
    #[error("not found ({said})")]
    NotFound {
        /// The server's answer.
        said: Box<Said>,
    },
    /// The server does not take the request (any other 4xx).
    #[error("refused ({said})")]
    Refused {
        /// The server's answer.
        said: Box<Said>,
    },
    /// A rate limit, the platform's or the configured one, leaves no call within the caller's time.
    #[error("throttled until {until}{}", words_of(said.as_deref()))]
    Throttled {
        /// When it makes sense to come again.
        until: Timestamp,
        /// The server's answer; `None` where our own budget said so.
        said: Option<Box<Said>>,
    },
    /// The server failed (5xx). It may have carried the request out all the same.
    #[error("the server failed ({said})")]
    Unavailable {
        /// The server's answer.
        said: Box<Said>,
    },
}

fn words_of(said: Option<&Said>) -> String {
    said.map_or_else(|| " by the rate allowed here".to_owned(), |said| format!(" ({said})"))
}

impl HttpError {
    /// An error of this request.
    #[must_use]
    pub fn new(call: impl Into<Box<Call>>, kind: HttpErrorKind) -> Self {
        Self { call: call.into(), kind }
    }

    /// The request that failed.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The server's answer, where it gave one that says no.
    #[must_use]
    pub fn said(&self) -> Option<&Said> {
        match &self.kind {
            HttpErrorKind::Unauthorised { said, .. }
            | HttpErrorKind::Forbidden { said, .. }
            | HttpErrorKind::NotFound { said, .. }
            | HttpErrorKind::Refused { said, .. }
            | HttpErrorKind::Unavailable { said, .. } => Some(said),
            HttpErrorKind::Throttled { said, .. } => said.as_deref(),
            _ => None,
        }
    }

    /// HTTP status of the answer, where one came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            HttpErrorKind::Empty { status, .. } | HttpErrorKind::NotJson { status, .. } | HttpErrorKind::Redirected { status, .. } => {
                Some(*status)
            }
            _ => self.said().map(|said| said.status),
        }
    }

    /// Whether the server may have carried the request out, in this attempt or one before: it was sent, and there is no answer that says yes or no.
    /// A write that fails this way has to be looked up before anything is concluded from it.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.call().in_doubt || self.leaves_doubt()
    }

    /// [`Self::is_ambiguous`], of the last attempt alone.
    pub(crate) fn leaves_doubt(&self) -> bool {
        match &self.kind {
            HttpErrorKind::Lost { .. }
            | HttpErrorKind::Truncated { .. }
            | HttpErrorKind::TooLarge { .. }
            | HttpErrorKind::Empty { .. }
            | HttpErrorKind::NotJson { .. }
            | HttpErrorKind::Unexpected { .. }
            | HttpErrorKind::Unavailable { .. } => true,
            HttpErrorKind::TimedOut { sent, .. } => *sent,
            HttpErrorKind::Unsendable { .. }
            | HttpErrorKind::ForeignOrigin { .. }
            | HttpErrorKind::CircuitOpen { .. }
            | HttpErrorKind::Connect { .. }
            | HttpErrorKind::Redirected { .. }
            | HttpErrorKind::Unauthorised { .. }
            | HttpErrorKind::Forbidden { .. }
            | HttpErrorKind::NotFound { .. }
            | HttpErrorKind::Refused { .. }
            | HttpErrorKind::Throttled { .. } => false,
        }
    }

    /// When it makes sense to come again, where somebody said so.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        match &self.kind {
            HttpErrorKind::Throttled { until, .. } | HttpErrorKind::CircuitOpen { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// What kind of outcome it is, in one word: for metrics' labels and traces.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match &self.kind {
            HttpErrorKind::Unsendable { .. } => "unsendable",
            HttpErrorKind::ForeignOrigin { .. } => "foreign_origin",
            HttpErrorKind::CircuitOpen { .. } => "circuit_open",
            HttpErrorKind::Connect { .. } => "connect",
            HttpErrorKind::TimedOut { .. } => "timed_out",
            HttpErrorKind::Lost { .. } => "lost",
            HttpErrorKind::Truncated { .. } => "truncated",
            HttpErrorKind::TooLarge { .. } => "too_large",
            HttpErrorKind::Empty { .. } => "empty",
            HttpErrorKind::NotJson { .. } => "not_json",
            HttpErrorKind::Unexpected { .. } => "unexpected",
            HttpErrorKind::Redirected { .. } => "redirected",
            HttpErrorKind::Unauthorised { .. } => "unauthorised",
            HttpErrorKind::Forbidden { .. } => "forbidden",
            HttpErrorKind::NotFound { .. } => "not_found",
            HttpErrorKind::Refused { .. } => "refused",
            HttpErrorKind::Throttled { .. } => "throttled",
            HttpErrorKind::Unavailable { .. } => "unavailable",
        }
    }

    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match &self.kind {
            HttpErrorKind::ForeignOrigin { .. } => Some("if that address is right, configure it; credentials go nowhere else"),
            HttpErrorKind::Connect { failure, .. } => Some(match failure {
                ConnectFailure::Name => "check the host's name in `url`, and the name server",
                ConnectFailure::Network => "check host and port in `url`, firewalls, and whether a proxy is needed (HTTPS_PROXY)",
                ConnectFailure::Tls => "if the server's certificate comes from your own authority, set `ca_file`",
                ConnectFailure::Proxy => "check HTTPS_PROXY and the proxy's rules and credentials",
            }),
            HttpErrorKind::Unauthorised { .. } => Some("check the credentials, then run `dewpoint doctor`"),
            HttpErrorKind::Forbidden { .. } => Some("grant the user what this needs; `dewpoint doctor` says what is missing"),
            HttpErrorKind::Throttled { .. } => Some("run again later, lower `rate`, or have the limit raised"),
            HttpErrorKind::Redirected { .. } => Some("set `url` to where the API is; a login page in front of it does not work"),
            HttpErrorKind::NotJson { .. } => Some("check `url`: a login page, a proxy or a server under maintenance answers there"),
            HttpErrorKind::Truncated { .. } => Some("run again; if it stays, a proxy on the way cuts answers"),
            HttpErrorKind::CircuitOpen { .. } | HttpErrorKind::Unavailable { .. } => {
                Some("run again later; if it stays, ask who runs the server")
            }
            HttpErrorKind::TimedOut { .. } | HttpErrorKind::Lost { .. } => {
                Some("run again; if it stays, check what lies between here and the server")
            }
            HttpErrorKind::Unsendable { .. }
            | HttpErrorKind::TooLarge { .. }
            | HttpErrorKind::Empty { .. }
            | HttpErrorKind::Unexpected { .. }
            | HttpErrorKind::NotFound { .. }
            | HttpErrorKind::Refused { .. } => None,
        }
    }
}
