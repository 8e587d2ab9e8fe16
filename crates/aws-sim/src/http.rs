//! HTTP/1.1 over a socket, by hand: the faults need command of every byte, which no server library leaves to its user.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The largest request head that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest request body that is read: a generated world may be put over HTTP.
const BODY_BYTES_MAX: usize = 512 * 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// A request, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A response in full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// How a response goes out.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) response: Response,
    /// To wait first.
    pub(crate) latency: Duration,
    pub(crate) delivery: Delivery,
}

/// What happens to a response on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Delivery {
    Whole,
    /// The length of all of it is announced, and the connection closed after so many bytes of the body.
    CutConnection(usize),
    /// The connection is reset before the first byte.
    Reset,
    /// Nothing is ever sent.
    Hang,
    /// So many bytes at a time, with a pause after each.
    Trickle {
        bytes: usize,
        pause: Duration,
    },
}

/// Serves until `stop` changes. Each request goes through `answer`.
pub(crate) async fn serve(listener: TcpListener, answer: Arc<dyn Fn(Request) -> Outcome + Send + Sync>, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((socket, _)) = accepted else { continue };
        let answer = Arc::clone(&answer);
        let mut stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away in the middle is its own affair.
                _ = connection(socket, answer) => {}
                _ = stop.changed() => {}
            }
        });
    }
}

async fn connection(mut socket: TcpStream, answer: Arc<dyn Fn(Request) -> Outcome + Send + Sync>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(8 * 1024);
    while let Some(request) = read_request(&mut socket, &mut buffer).await? {
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        let Outcome { response, latency, delivery } = answer(request);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let mut wire = head(&response, close);
        let head_length = wire.len();
        if !head_only {
            wire.extend_from_slice(&response.body);
        }
        match delivery {
            Delivery::Whole => socket.write_all(&wire).await?,
            Delivery::CutConnection(bytes) => {
                wire.truncate(head_length.saturating_add(bytes));
                socket.write_all(&wire).await?;
                return socket.shutdown().await;
            }
            Delivery::Reset => return socket.set_zero_linger(),
            Delivery::Hang => std::future::pending().await,
            Delivery::Trickle { bytes, pause } => {
                for chunk in wire.chunks(bytes.max(1)) {
                    socket.write_all(chunk).await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
        if close {
            return socket.shutdown().await;
        }
    }
    Ok(())
}

fn head(response: &Response, close: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\nContent-Length: {}\r\n", response.status, reason(response.status), response.body.len());
    for (name, value) in &response.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str(if close { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" });
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// The next request on a connection; `None` when the client is done.
async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let (mut request, head_length) = loop {
        if let Some(parsed) = parse_head(buffer)? {
            break parsed;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(malformed("the request's head is too long"));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let body_length = match (request.header("content-length"), request.header("transfer-encoding")) {
        (_, Some(_)) => return Err(malformed("a chunked request")),
        (None, None) => 0,
        (Some(length), None) => {
            length.parse().ok().filter(|length| *length <= BODY_BYTES_MAX).ok_or_else(|| malformed("no usable length"))?
        }
    };
    let end = head_length + body_length;
    if body_length > 0 && request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < end {
        if socket.read_buf(buffer).await? == 0 {
            return Err(malformed("the request ends too early"));
        }
    }
    let next = buffer.split_off(end);
    request.body = std::mem::replace(buffer, next).split_off(head_length);
    Ok(Some(request))
}

fn parse_head(buffer: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let target = parsed.path.unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let headers = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned()))
                .collect();
            let request = Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers,
                body: Vec::new(),
            };
            Ok(Some((request, length)))
        }
    }
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
