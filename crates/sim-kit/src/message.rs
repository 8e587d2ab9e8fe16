//! Requests, and answers with what becomes of them.

use std::time::Duration;

use serde::Serialize;

/// A request, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// As it was sent, without the query.
    pub path: String,
    /// What follows the question mark, as it was sent.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it was sent.
    pub body: Vec<u8>,
}

impl Request {
    /// The header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A response in full. `Content-Length` and `Connection` are the server's to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// Nothing but a status.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A body of this media type.
    pub fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new(status).header("Content-Type", content_type) }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_vec(value).map(|body| Self::of(status, "application/json", body))
    }

    /// A page of HTML, as of a proxy or a server under maintenance. It is no XML: an element is left open.
    pub fn page(status: u16, title: &str) -> Self {
        let body = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1><br></body></html>");
        Self::of(status, "text/html;charset=UTF-8", body)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A response, and how it goes out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What goes out.
    pub response: Response,
    /// To wait first.
    pub latency: Duration,
    /// What happens to it on its way.
    pub delivery: Delivery,
}

impl Outcome {
    /// The response at once and as it should be.
    pub fn whole(response: Response) -> Self {
        Self { response, latency: Duration::ZERO, delivery: Delivery::Whole }
    }
}

/// What happens to a response on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    Whole,
    /// The length of all of it is announced, and the connection closed after so many bytes of the body.
    Cut(usize),
    /// The same, and the connection is reset.
    CutAndReset(usize),
    /// The connection is reset before the first byte.
    Reset,
    /// Nothing is ever sent.
    Hang,
    /// It comes in pieces.
    Trickle {
        /// So many bytes at a time.
        bytes: usize,
        /// The pause after each.
        pause: Duration,
    },
}

/// The words that go with a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
