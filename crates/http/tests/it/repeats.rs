//! What is sent again, how often, and what stays in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_http::auth::{Authenticator, Credentials};
use dewpoint_http::{BaseUrl, Call, Client, HttpError, HttpErrorKind, Plaintext, Rate, RateBudget, Repeat, Request, RetryPolicy};
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::support::{Counter, Reply, Server, builder, client, settings};

fn write() -> Request {
    Request::post("/x").json(&[1]).operation("write")
}

/// How often a request is sent that fails in this way each time.
async fn attempts(reply: &Reply, repeat: Repeat) -> usize {
    let again = reply.clone();
    let server = Server::script(move |_| again.clone()).await;
    let error = client(&server).send(write().repeat(repeat)).await.unwrap_err();
    assert_eq!(error.call().attempts as usize, server.lines().len());
    server.lines().len()
}

#[tokio::test]
async fn only_what_is_safe_is_sent_again() {
    let failures = [
        Reply::none().reset(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1").close(),
        Reply::json("[1"),
        Reply::json(""),
        Reply::status(200, &["content-type: text/html"], "<html>"),
        Reply::status(500, &[], "{}"),
        Reply::status(502, &[], ""),
        Reply::status(503, &[], ""),
        Reply::status(504, &[], ""),
        Reply::status(408, &[], ""),
    ];
    for failure in failures {
        assert_eq!(attempts(&failure, Repeat::Safe).await, 3, "{failure:?}");
        assert_eq!(attempts(&failure, Repeat::Never).await, 1, "{failure:?}");
    }
    for answer in [
        Reply::status(400, &[], "{}"),
        Reply::status(403, &[], "{}"),
        Reply::status(404, &[], "{}"),
        Reply::status(409, &[], "{}"),
        Reply::status(501, &[], "{}"),
        Reply::status(302, &[], ""),
        Reply::status(200, &[], "x".repeat(2 << 20)),
    ] {
        assert_eq!(attempts(&answer, Repeat::Safe).await, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_refusal_for_the_rate_is_always_repeated() {
    for refusal in
        [Reply::status(429, &[], "{}"), Reply::status(429, &["retry-after: 3"], "{}"), Reply::status(503, &["retry-after: 3"], "")]
    {
        let server = Server::replies([refusal.clone(), refusal, Reply::json("[]")]).await;
        let (builder, clock) = builder(&server);
        let counter = Arc::new(Counter::default());
        let answer = builder.meter(Arc::clone(&counter) as _).build().unwrap().send(write().repeat(Repeat::Never)).await.unwrap();
        assert_eq!(answer.call().attempts, 3);
        assert!(!answer.call().in_doubt);
        assert_eq!(counter.calls(), ["snow write"; 3]);
        assert_eq!(counter.ended(), ["write throttled", "write throttled", "write ok"]);
        assert!(counter.waited().abs_diff(clock.slept().iter().sum()) < Duration::from_micros(1), "it is told as waiting");
    }
}

#[tokio::test]
async fn refusals_end_as_well() {
    let server = Server::script(|_| Reply::status(429, &["retry-after: 1"], "{}")).await;
    let (builder, _) = builder(&server);
    let error = builder.build().unwrap().send(write()).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Throttled { .. }), "{error:?}");
    assert_eq!(server.lines().len(), RetryPolicy::default().throttles_max as usize + 1);
}

#[tokio::test]
async fn a_connection_that_was_not_made_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = Server::replies([]).await;
    let mut settings = settings(&server);
    settings.base = dewpoint_http::BaseUrl::parse(&format!("http://{address}"), dewpoint_http::Plaintext::Loopback).unwrap();
    let clock = Arc::new(crate::support::VirtualClock::new());
    let client = Client::builder(settings).clock(Arc::clone(&clock) as _).build().unwrap();
    let error = client.send(write().repeat(Repeat::Never)).await.unwrap_err();
    assert_eq!((error.outcome(), error.call().attempts, error.is_ambiguous()), ("connect", 3, false));
    assert!(error.to_string().contains("(3 attempts)"), "{error}");
    assert_eq!(clock.slept().len(), 2);
}

#[tokio::test]
async fn doubt_stays_when_a_later_attempt_says_no() {
    let server = Server::replies([Reply::none().reset(), Reply::status(404, &[], "{}")]).await;
    let error = client(&server).send(Request::delete("/x").repeat(Repeat::Safe)).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::NotFound { .. }), "{error:?}");
    assert!(error.is_ambiguous(), "the first attempt may have deleted it");

    let server = Server::replies([Reply::status(429, &[], "{}"), Reply::status(404, &[], "{}")]).await;
    let error = client(&server).send(Request::delete("/x").repeat(Repeat::Safe)).await.unwrap_err();
    assert!(!error.is_ambiguous(), "a refusal for the rate did nothing");

    // Nothing more was sent, and the first attempt is in doubt all the same.
    let server = Server::replies([Reply::none().reset()]).await;
    let (builder, clock) = builder(&server);
    let budget = RateBudget::new(Rate::per_second(0.001), Arc::clone(&clock) as _);
    let error = builder.budget(Arc::new(budget)).build().unwrap().send(write().repeat(Repeat::Safe)).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Throttled { said: None, .. }), "{error:?}");
    assert!(error.is_ambiguous());

    let server = Server::replies([Reply::status(500, &[], "{}"), Reply::json("[]")]).await;
    let answer = client(&server).send(write().repeat(Repeat::Safe)).await.unwrap();
    assert!(answer.call().in_doubt);
    assert_eq!(answer.call().attempts, 2);
}

/// Credentials for one request, and none for the next.
#[derive(Debug, Default)]
struct Once(AtomicBool);

#[async_trait]
impl Authenticator for Once {
    async fn credentials(&self, _: Timestamp) -> Result<Credentials, HttpError> {
        if self.0.swap(true, Ordering::SeqCst) {
            return Err(HttpError::new(nobody(), HttpErrorKind::Unsendable { why: "no token".to_owned() }));
        }
        Ok(Credentials::default())
    }
}

fn nobody() -> Call {
    let origin = BaseUrl::parse("https://sso.example", Plaintext::Loopback).unwrap().origin().clone();
    Call { operation: "token".to_owned(), origin, attempts: 0, request_id: None, in_doubt: false }
}

#[tokio::test]
async fn doubt_stays_when_there_is_no_token_for_another_attempt() {
    let server = Server::replies([Reply::none().reset()]).await;
    let client = builder(&server).0.auth(Arc::new(Once::default())).build().unwrap();
    let error = client.send(write().repeat(Repeat::Safe)).await.unwrap_err();
    assert_eq!((error.call().operation.as_str(), error.is_ambiguous()), ("token", true), "{error:?}");
}

#[tokio::test]
async fn pauses_grow_with_jitter_and_repeat_with_the_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let server = Server::script(|_| Reply::status(500, &[], "{}")).await;
        let clock = Arc::new(crate::support::VirtualClock::new());
        let mut settings = settings(&server);
        let pause = Duration::from_secs(1);
        settings.retry = RetryPolicy { attempts_max: 9, pause, pause_max: Duration::from_secs(8), ..RetryPolicy::default() };
        settings.breaker.failures = 100;
        let client = Client::builder(settings).clock(Arc::clone(&clock) as _).seed(42).build().unwrap();
        client.send(Request::get("/x")).await.unwrap_err();
        runs.push(clock.slept());
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0].len(), 8);
    for (pause, ceiling) in runs[0].iter().zip([1, 2, 4, 8, 8, 8, 8, 8]) {
        assert!(*pause <= Duration::from_secs(ceiling), "{pause:?} of {ceiling}");
    }
}
