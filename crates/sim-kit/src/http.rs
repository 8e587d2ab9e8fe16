//! HTTP/1.1 over a socket, by hand: the faults need command of every byte, which no server library leaves to its user.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    control,
    message::{Delivery, Outcome, Request, Response, reason},
    product::Product,
};

/// The largest request head that is read. Clients with a long query have to exchange it for a short one.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest request body that is read: a whole instance may be put over HTTP.
const BODY_BYTES_MAX: usize = 512 * 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// What is served.
pub(crate) struct Site<P> {
    pub(crate) product: Arc<P>,
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// The certificate to trust, where there is one.
    pub(crate) authority: Option<Arc<str>>,
}

/// Serves until `stop` changes.
pub(crate) async fn serve<P: Product>(listener: TcpListener, site: Site<P>, mut stop: watch::Receiver<bool>) {
    let site = Arc::new(site);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (site, mut stop) = (Arc::clone(&site), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away in the middle is its own affair.
                _ = connection(socket, &site) => {}
                _ = stop.changed() => {}
            }
        });
    }
}

async fn connection<P: Product>(socket: TcpStream, site: &Site<P>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    match &site.acceptor {
        None => converse(socket, site, |socket| socket.set_zero_linger()).await,
        Some(tls) => converse(tls.accept(socket).await?, site, |stream| stream.get_ref().0.set_zero_linger()).await,
    }
}

async fn converse<P: Product, S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    site: &Site<P>,
    reset: impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(8 * 1024);
    while let Some(request) = read_request(&mut socket, &mut buffer).await? {
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        let Outcome { response, latency, delivery } = control::answer(&*site.product, site.authority.as_deref(), request).await;
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
