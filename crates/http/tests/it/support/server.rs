use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET /path?query HTTP/1.1`
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which connection, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Send(Vec<u8>),
    /// Goes on when the test says so.
    Wait(Arc<Semaphore>),
    /// Ends the connection in order.
    Close,
    /// Ends it with a reset.
    Reset,
    /// Says nothing more, and does not end it either.
    Hang,
}

/// What to do about one request: any bytes, in any state of the connection. Without an end the connection stays open for the next one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply(Vec<Act>);

impl Reply {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Act::Send(bytes.into())])
    }

    /// A well-formed answer. `headers` are whole lines.
    pub(crate) fn status(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Text\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        Self::raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::status(200, &["content-type: application/json"], body)
    }

    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn and(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(Act::Send(bytes.into()));
        self
    }

    pub(crate) fn wait(mut self, gate: &Arc<Semaphore>) -> Self {
        self.0.push(Act::Wait(Arc::clone(gate)));
        self
    }

    pub(crate) fn after(gate: &Arc<Semaphore>, reply: Self) -> Self {
        let mut acts = vec![Act::Wait(Arc::clone(gate))];
        acts.extend(reply.0);
        Self(acts)
    }

    pub(crate) fn close(mut self) -> Self {
        self.0.push(Act::Close);
        self
    }

    pub(crate) fn reset(mut self) -> Self {
        self.0.push(Act::Reset);
        self
    }

    pub(crate) fn hang(mut self) -> Self {
        self.0.push(Act::Hang);
        self
    }
}

type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

/// A server on loopback that does what its script says. It ends with the test.
pub(crate) struct Server {
    shared: Shared,
    address: SocketAddr,
    scheme: &'static str,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Gives one reply after the other; a request beyond the last one is answered with 599, and fails the test that counts requests.
    pub(crate) async fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies = replies.into_iter().collect::<Vec<_>>().into_iter();
        Self::start(None, move |_| replies.next().unwrap_or_else(|| Reply::status(599, &[], "the script is over"))).await
    }

    pub(crate) async fn script(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start(None, script).await
    }

    pub(crate) async fn start(tls: Option<TlsAcceptor>, script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Shared { script: Arc::new(Mutex::new(Box::new(script))), seen: Arc::default(), connections: Arc::default() };
        let serving = shared.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut count = serving.connections.lock().unwrap();
                    *count += 1;
                    *count - 1
                };
                let shared = serving.clone();
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, number, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, number, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { shared, address, scheme, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line.trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

/// What a connection can be, beside a stream of bytes.
trait Resets {
    fn reset_on_drop(&self);
}

impl Resets for TcpStream {
    fn reset_on_drop(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Resets for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_drop(&self) {
        self.get_ref().0.set_zero_linger().unwrap();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Resets + Unpin>(mut stream: S, connection: usize, shared: Shared) {
    while let Some(seen) = read_request(&mut stream, connection).await {
        let reply = {
            shared.seen.lock().unwrap().push(seen.clone());
            (shared.script.lock().unwrap())(&seen)
        };
        for act in reply.0 {
            match act {
                Act::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Act::Wait(gate) => gate.acquire().await.unwrap().forget(),
                Act::Close => {
                    let _ = stream.shutdown().await;
                    return;
                }
                Act::Reset => {
                    stream.reset_on_drop();
                    return;
                }
                Act::Hang => std::future::pending().await,
            }
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Seen> {
    let head = read_head(stream).await?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut seen = Seen { line, headers, body: Vec::new(), connection };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    assert!(seen.header("transfer-encoding").is_none(), "requests tell their length");
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A proxy that leads every tunnel to `to`, whatever name was asked for; or answers as it is told. Gives its address and the heads it was sent.
pub(crate) async fn proxy(to: SocketAddr, answer: Option<&'static str>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let Some(head) = read_head(&mut stream).await else { return };
                noted.lock().unwrap().push(head);
                if let Some(answer) = answer {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (address, heads)
}
