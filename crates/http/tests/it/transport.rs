//! What an attempt comes to, told apart by what the server does on the wire.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_http::{
    BaseUrl, Client, ConnectFailure, HttpError, HttpErrorKind, Limit, Limits, Plaintext, Proxies, Repeat, Request, RetryPolicy, Settings,
};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Authority, Reply, Server, client, proxy, settings};

/// Sends one write that may not be repeated.
async fn once(reply: Reply) -> HttpError {
    let server = Server::replies([reply]).await;
    let error = client(&server).send(Request::post("/x").json(&[1]).operation("write")).await.unwrap_err();
    assert_eq!(server.lines(), ["POST /x"], "{error}");
    error
}

#[tokio::test]
async fn a_reset_before_the_answer_leaves_doubt() {
    let error = once(Reply::none().reset()).await;
    assert!(matches!(error.kind, HttpErrorKind::Lost { .. }), "{error:?}");
    assert!(error.is_ambiguous());
    let error = once(Reply::none().close()).await;
    assert!(matches!(error.kind, HttpErrorKind::Lost { .. }), "{error:?}");
    assert!(error.is_ambiguous());
    let error = once(Reply::raw("HTTP/1.1 200 OK\r\ncontent-le").close()).await;
    assert!(matches!(error.kind, HttpErrorKind::Lost { .. }), "{error:?}");
    let error = once(Reply::raw("SSH-2.0-server\r\n\r\n").close()).await;
    assert!(matches!(error.kind, HttpErrorKind::Lost { .. }), "{error:?}");
}

#[track_caller]
fn check_truncated(error: &HttpError, text: &str) {
    assert!(matches!(error.kind, HttpErrorKind::Truncated { .. }), "{error:?}");
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.is_ambiguous());
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let short = format!("{head}content-length: 100\r\n\r\n{{\"result\":[]}}");
    check_truncated(&once(Reply::raw(short.clone()).close()).await, "after 13 bytes");
    check_truncated(&once(Reply::raw(short).reset()).await, "after 13 bytes");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\nd\r\n{{\"result\":[]}}\r\n");
    check_truncated(&once(Reply::raw(chunked).close()).await, "after 13 bytes");
    // Without a length, only the document itself tells.
    let until_close = format!("{head}connection: close\r\n\r\n{{\"result\":[{{\"sys_id\":\"a");
    check_truncated(&once(Reply::raw(until_close).close()).await, "its JSON ends in the middle, after 23 bytes");
}

#[tokio::test]
async fn an_answer_in_pieces_is_one_answer() {
    let gate = Arc::new(tokio::sync::Semaphore::new(2));
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n[1";
    let server = Server::replies([Reply::raw(head).wait(&gate).and(",2").wait(&gate).and("3]")]).await;
    let answer = client(&server).send(Request::get("/x")).await.unwrap();
    assert_eq!(answer.json::<Vec<u32>>().unwrap(), [1, 23]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_unpacked_and_a_cut_one_is_told() {
    let packed = gzip(br#"{"result":[1,2,3]}"#);
    let server = Server::replies([
        Reply::status(200, &["content-encoding: gzip"], &packed),
        Reply::status(200, &["content-encoding: gzip"], &packed[..packed.len() - 9]),
        Reply::status(200, &["content-encoding: gzip"], b"{\"result\":[]}"),
    ])
    .await;
    let client = client(&server);
    let answer = client.send(Request::get("/x")).await.unwrap();
    assert_eq!(answer.body().as_ref(), br#"{"result":[1,2,3]}"#);
    assert!(server.seen()[0].header("accept-encoding").unwrap().contains("gzip"));
    for _ in 0..2 {
        let error = client.send(Request::get("/x").repeat(Repeat::Never)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Truncated { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn size_is_limited_packed_or_not() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 100_000, "{} bytes on the wire", bomb.len());
    let error = once(Reply::status(200, &["content-encoding: gzip"], &bomb)).await;
    assert!(matches!(error.kind, HttpErrorKind::TooLarge { limit_bytes, .. } if limit_bytes == 1 << 20), "{error:?}");
    assert!(error.is_ambiguous(), "a success was announced");
    // Announced: refused without reading. Not announced: once it is too much.
    let error = once(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n").hang()).await;
    assert!(matches!(error.kind, HttpErrorKind::TooLarge { .. }), "{error:?}");
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n{}", " ".repeat(0x10_0001));
    let error = once(Reply::raw(endless).hang()).await;
    assert!(matches!(error.kind, HttpErrorKind::TooLarge { .. }), "{error:?}");

    let server = Server::replies([Reply::json("[1,2,3]"), Reply::json("[1,2,3]")]).await;
    let client = client(&server);
    assert!(client.send(Request::get("/x").body_bytes_max(7)).await.is_ok());
    assert!(client.send(Request::get("/x").body_bytes_max(6)).await.is_err());
}

fn impatient(server: &Server, limits: Limits) -> Client {
    let mut settings = settings(server);
    settings.limits = limits;
    settings.retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() };
    Client::builder(settings).build().unwrap()
}

async fn timed_out(reply: Reply, limits: Limits) -> HttpError {
    let server = Server::replies([reply]).await;
    impatient(&server, limits).send(Request::get("/x")).await.unwrap_err()
}

#[tokio::test]
async fn silence_and_slowness_are_told_apart() {
    let short = Duration::from_millis(50);
    let idle = Limits { idle: short, ..Limits::default() };
    let attempt = Limits { attempt: short, ..Limits::default() };
    let call = Limits { call: short, ..Limits::default() };
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1";
    for (reply, limits, want) in [
        (Reply::none().hang(), idle, Limit::Idle),
        (Reply::raw("HTTP/1.1 200 OK\r\ncont").hang(), idle, Limit::Idle),
        (Reply::raw(half).hang(), idle, Limit::Idle),
        (Reply::none().hang(), attempt, Limit::Attempt),
        (Reply::raw(half).hang(), attempt, Limit::Attempt),
        (Reply::none().hang(), call, Limit::Deadline),
    ] {
        let error = timed_out(reply, limits).await;
        assert!(matches!(error.kind, HttpErrorKind::TimedOut { limit, sent: true, .. } if limit == want), "{want:?}: {error:?}");
        assert!(error.is_ambiguous());
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_sends_nothing() {
    // A listener that never accepts: TCP is up, TLS is not.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = BaseUrl::parse(&format!("https://{}", listener.local_addr().unwrap()), Plaintext::Loopback).unwrap();
    let mut settings = Settings::new("snow", base);
    settings.limits.connect = Duration::from_millis(50);
    settings.retry.attempts_max = 1;
    let error = Client::builder(settings).build().unwrap().send(Request::post("/x")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::TimedOut { limit: Limit::Connect, sent: false, .. }), "{error:?}");
    assert!(!error.is_ambiguous());
}

async fn cannot_connect(url: &str) -> (ConnectFailure, HttpError) {
    let mut settings = Settings::new("snow", BaseUrl::parse(url, Plaintext::Loopback).unwrap());
    settings.retry.attempts_max = 1;
    let error = Client::builder(settings).build().unwrap().send(Request::post("/x")).await.unwrap_err();
    assert!(!error.is_ambiguous() && error.hint().is_some());
    match &error.kind {
        HttpErrorKind::Connect { failure, .. } => (*failure, error),
        _ => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_a_connection_fails_at_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (failure, error) = cannot_connect(&format!("http://127.0.0.1:{port}")).await;
    assert_eq!(failure, ConnectFailure::Network);
    assert!(error.to_string().contains("refused"), "{error}");
    let (failure, _) = cannot_connect("https://no-such-host.invalid").await;
    assert_eq!(failure, ConnectFailure::Name);
}

#[tokio::test]
async fn certificates_are_checked_against_the_configured_authority() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor("localhost")), |_| Reply::json("[]")).await;
    let url = format!("https://localhost:{}", server.address().port());
    let (failure, error) = cannot_connect(&url).await;
    assert_eq!(failure, ConnectFailure::Tls);
    assert!(error.to_string().contains("certificate"), "{error}");

    let with = |ca: &Authority, url: &str| {
        let mut settings = Settings::new("snow", BaseUrl::parse(url, Plaintext::Loopback).unwrap());
        settings.ca_pem = Some(ca.pem());
        Client::builder(settings).build().unwrap()
    };
    assert!(with(&authority, &url).send(Request::get("/x")).await.is_ok());
    let error = with(&Authority::new(), &url).send(Request::get("/x")).await.unwrap_err();
    assert!(
        matches!(error.kind, HttpErrorKind::Connect { failure: ConnectFailure::Tls, .. }),
        "another authority of the same name: {error:?}"
    );
    let error = with(&authority, &server.url()).send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Connect { failure: ConnectFailure::Tls, .. }), "another name: {error:?}");
    assert_eq!(error.call().attempts, 1, "trust does not come by waiting");
    assert_eq!(server.lines().len(), 1);

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Closing with bytes unread would be a reset, which overtakes the answer.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let (failure, error) = cannot_connect(&format!("https://{address}")).await;
    assert_eq!(failure, ConnectFailure::Tls, "a server that speaks no TLS: {error}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_hears_no_more() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor("snow.invalid")), |_| Reply::json("[]")).await;
    let (address, heads) = proxy(server.address(), None).await;
    let mut settings = Settings::new("snow", BaseUrl::parse("https://snow.invalid", Plaintext::Loopback).unwrap());
    settings.ca_pem = Some(authority.pem());
    settings.retry.attempts_max = 1;
    settings.proxies.https = Some(SecretString::from(format!("http://me:letmethrough@{address}")));
    let client = Client::builder(settings.clone()).build().unwrap();
    client.send(Request::get("/secret-path").query("token", "t")).await.unwrap();
    let head = heads.lock().unwrap().concat();
    assert!(head.starts_with("CONNECT snow.invalid:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic bwu6bgv0bwv0ahjvdwdo"), "{head}");
    assert!(!head.contains("secret-path"));
    assert_eq!(server.lines(), ["GET /secret-path?token=t"]);
    assert!(server.seen()[0].header("proxy-authorization").is_none());

    settings.proxies.except = Some("other.example, .invalid".to_owned());
    let error = Client::builder(settings).build().unwrap().send(Request::get("/x")).await.unwrap_err();
    assert!(
        matches!(error.kind, HttpErrorKind::Connect { failure: ConnectFailure::Name, .. }),
        "directly, and there is no such name: {error:?}"
    );
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let server = Server::replies([Reply::json("[]")]).await;
    let refusals = ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n\r\n"];
    for refusal in refusals {
        let (address, _) = proxy(server.address(), Some(refusal)).await;
        let mut settings = Settings::new("snow", BaseUrl::parse("https://snow.invalid", Plaintext::Loopback).unwrap());
        settings.proxies = Proxies { https: Some(SecretString::from(address.to_string())), ..Proxies::default() };
        settings.retry.attempts_max = 1;
        let error = Client::builder(settings).build().unwrap().send(Request::get("/x")).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Connect { failure: ConnectFailure::Proxy, .. }), "{error:?}");
    }
    // This machine itself is never asked for through another.
    let (address, heads) = proxy(server.address(), None).await;
    let mut settings = settings(&server);
    settings.proxies.http = Some(SecretString::from(address.to_string()));
    Client::builder(settings).build().unwrap().send(Request::get("/x")).await.unwrap();
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_used_again() {
    let closed = Arc::new(tokio::sync::Semaphore::new(0));
    let server = Server::replies([Reply::json("[1]").wait(&closed).close(), Reply::json("[2]")]).await;
    let client = client(&server);
    client.send(Request::get("/x")).await.unwrap();
    closed.add_permits(1);
    // Not to be repeated: it only passes where it is sent once, on a new connection.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let answer = client.send(Request::post("/x").json(&[1])).await.unwrap();
    assert_eq!(answer.call().attempts, 1);
    assert_eq!(server.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::replies((0..5).map(|n| Reply::json(&format!("[{n}]")))).await;
    let client = client(&server);
    for _ in 0..5 {
        client.send(Request::get("/x")).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}
