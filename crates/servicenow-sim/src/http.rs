//! HTTP/1.1 over a socket, by hand: the faults need command of every byte, which no server library leaves to its user.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// The largest request head that is read. Clients with a long query have to exchange it for a short one.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest request body that is read: a whole instance may be put over HTTP.
const BODY_BYTES_MAX: usize = 512 * 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// A request, read to its end.
#[derive(Clone, Debug, Default)]
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
    pub(crate) headers: Vec<(String, String)>,
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

impl Outcome {
    pub(crate) fn whole(response: Response) -> Self {
        Self { response, latency: Duration::ZERO, delivery: Delivery::Whole }
    }
}

/// What happens to a response on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Delivery {
    Whole,
    /// The length of all of it is announced, and the connection closed after so many bytes of the body.
    Cut(usize),
    /// The same, and the connection is reset.
    CutAndReset(usize),
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

/// What makes a response of a request.
pub(crate) type Answer = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// Serves until `stop` changes.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, answer: Answer, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (answer, tls, mut stop) = (Arc::clone(&answer), tls.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away in the middle is its own affair.
                _ = connection(socket, tls, answer) => {}
                _ = stop.changed() => {}
            }
        });
    }
}

async fn connection(socket: TcpStream, tls: Option<TlsAcceptor>, answer: Answer) -> io::Result<()> {
    socket.set_nodelay(true)?;
    match tls {
        None => converse(socket, &answer, |socket| socket.set_zero_linger()).await,
        Some(tls) => converse(tls.accept(socket).await?, &answer, |stream| stream.get_ref().0.set_zero_linger()).await,
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    answer: &Answer,
    reset: impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(8 * 1024);
    while let Some(request) = read_request(&mut socket, &mut buffer).await? {
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        let Outcome { response, latency, delivery } = answer(request).await;
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
            Delivery::Cut(bytes) | Delivery::CutAndReset(bytes) => {
                wire.truncate(head_length.saturating_add(bytes));
                socket.write_all(&wire).await?;
                socket.flush().await?;
                return if matches!(delivery, Delivery::Cut(_)) { socket.shutdown().await } else { reset(&socket) };
            }
            Delivery::Reset => return reset(&socket),
            Delivery::Hang => std::future::pending().await,
            Delivery::Trickle { bytes, pause } => {
                for chunk in wire.chunks(bytes.max(1)) {
                    socket.write_all(chunk).await?;
                    socket.flush().await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
        socket.flush().await?;
        if close {
            return socket.shutdown().await;
        }
    }
    Ok(())
}

fn head(response: &Response, close: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    if response.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    for (name, value) in &response.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str(if close { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" });
    head.into_bytes()
}

/// The words that go with a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// The next request on a connection; `None` when the client is done.
async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
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
        socket.flush().await?;
    }
    buffer.reserve(end.saturating_sub(buffer.len()));
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
