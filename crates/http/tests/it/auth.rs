//! Tokens: had once, renewed early, once after a 401, and by one for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dewpoint_http::auth::{Authenticator, Fixed, Grant, OAuth, OAuthSettings};
use dewpoint_http::{Client, Clock, HttpErrorKind, Request};
use jiff::SignedDuration;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::{Counter, Reply, Seen, Server, VirtualClock, builder};

fn token(value: &str, expires_in: &str) -> Reply {
    Reply::json(&format!(r#"{{"access_token":"{value}","token_type":"Bearer","scope":"all","expires_in":{expires_in}}}"#))
}

fn settings(grant: Grant) -> OAuthSettings {
    OAuthSettings {
        path: "/oauth_token.do".to_owned(),
        client_id: "the id".to_owned(),
        client_secret: SecretString::from("s3cr&t"),
        grant,
        fields: vec![("scope".to_owned(), "all".to_owned())],
        query: vec![("tenant".to_owned(), "a b".to_owned())],
    }
}

fn with(server: &Server, grant: Grant) -> (Client, Arc<VirtualClock>, Arc<Counter>) {
    let (builder, clock) = builder(server);
    let counter = Arc::new(Counter::default());
    let plain = builder.meter(Arc::clone(&counter) as _).build().unwrap();
    let auth = OAuth::new(plain.clone(), settings(grant));
    (plain.with_auth(Arc::new(auth)), clock, counter)
}

fn is_token(seen: &Seen) -> bool {
    seen.line.starts_with("POST /oauth_token.do")
}

/// A server that hands out `token-1`, `token-2` and so on, each living for half an hour, and takes only those that `takes` says.
async fn issuer(takes: impl Fn(u32) -> bool + Send + 'static) -> Server {
    let mut issued = 0;
    Server::script(move |seen| {
        if is_token(seen) {
            issued += 1;
            return token(&format!("token-{issued}"), "1799");
        }
        let number: u32 = seen.header("authorization").unwrap().strip_prefix("Bearer token-").unwrap().parse().unwrap();
        if takes(number) { Reply::json("[]") } else { Reply::status(401, &[], r#"{"error":{"message":"User Not Authenticated"}}"#) }
    })
    .await
}

#[tokio::test]
async fn a_token_is_asked_for_as_the_standard_says_and_used_until_shortly_before_its_end() {
    let server = issuer(|_| true).await;
    let (client, clock, counter) = with(&server, Grant::ClientCredentials);
    for _ in 0..3 {
        client.send(Request::get("/x").operation("read")).await.unwrap();
    }
    assert_eq!(server.lines(), ["POST /oauth_token.do?tenant=a+b", "GET /x", "GET /x", "GET /x"]);
    let asked = &server.seen()[0];
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.body(), "client_id=the+id&client_secret=s3cr%26t&grant_type=client_credentials&scope=all");
    assert!(asked.header("authorization").is_none());
    assert_eq!(counter.calls(), ["snow token", "snow read", "snow read", "snow read"]);

    clock.advance(Duration::from_secs(1738));
    client.send(Request::get("/x")).await.unwrap();
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 1, "61 s left");
    clock.advance(Duration::from_secs(2));
    client.send(Request::get("/x")).await.unwrap();
    assert_eq!(server.seen().last().unwrap().header("authorization"), Some("Bearer token-2"));
}

#[tokio::test]
async fn the_password_grant_sends_user_and_password() {
    let server = issuer(|_| true).await;
    let grant = Grant::Password { username: "bot@example.com".to_owned(), password: SecretString::from("p w") };
    let (client, _, _) = with(&server, grant);
    client.send(Request::get("/x")).await.unwrap();
    let body = server.seen()[0].body();
    assert_eq!(body, "client_id=the+id&client_secret=s3cr%26t&grant_type=password&username=bot%40example.com&password=p+w&scope=all");
}

#[tokio::test]
async fn a_401_renews_once_and_repeats_once() {
    let server = issuer(|number| number == 2).await;
    let (client, _, _) = with(&server, Grant::ClientCredentials);
    // Not to be repeated, and repeated all the same: a 401 did nothing.
    let answer = client.send(Request::post("/x").json(&[1])).await.unwrap();
    assert_eq!(answer.call().attempts, 2);
    assert_eq!(server.lines().len(), 4);
    assert_eq!(server.seen()[3].body(), "[1]");

    let server = issuer(|_| false).await;
    let (client, _, _) = with(&server, Grant::ClientCredentials);
    let error = client.send(Request::post("/x")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Unauthorised { .. }), "{error:?}");
    assert_eq!(server.lines().len(), 4, "token, request, token, request");
    assert!(error.to_string().contains("User Not Authenticated"), "{error}");
}

#[tokio::test]
async fn fixed_credentials_are_not_tried_twice() {
    let server = Server::replies([Reply::status(401, &[], "{}")]).await;
    let auth = Fixed::basic("me", &SecretString::from("word")).unwrap();
    let (builder, _) = builder(&server);
    let error = builder.auth(Arc::new(auth)).build().unwrap().send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Unauthorised { .. }), "{error:?}");
    assert_eq!(server.seen()[0].header("authorization"), Some("Basic bWU6d29yZA=="));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn one_asks_for_all_who_wait() {
    let gate = Arc::new(Semaphore::new(0));
    let tokens = Arc::new(AtomicU32::new(0));
    let (held, issued) = (Arc::clone(&gate), Arc::clone(&tokens));
    let server = Server::script(move |seen| {
        if !is_token(seen) {
            return Reply::json("[]");
        }
        issued.fetch_add(1, Ordering::SeqCst);
        Reply::after(&held, token("t-1", "\"1800\""))
    })
    .await;
    let (client, _, _) = with(&server, Grant::ClientCredentials);
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        waiting.spawn(async move { client.send(Request::get("/x")).await });
    }
    while tokens.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    assert!(waiting.join_all().await.iter().all(Result::is_ok));
    assert_eq!(tokens.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn its_failure_is_told_to_all_who_wait_and_nobody_asks_again_at_once() {
    let gate = Arc::new(Semaphore::new(0));
    let tokens = Arc::new(AtomicU32::new(0));
    let (held, issued) = (Arc::clone(&gate), Arc::clone(&tokens));
    let server = Server::script(move |_| {
        issued.fetch_add(1, Ordering::SeqCst);
        let no = r#"{"error":"invalid_client","error_description":"The secret s3cr&t of the id is wrong"}"#;
        Reply::after(&held, Reply::status(400, &[], no))
    })
    .await;
    let (client, clock, _) = with(&server, Grant::ClientCredentials);
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        waiting.spawn(async move { client.send(Request::get("/x")).await });
    }
    while tokens.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(10);
    for error in waiting.join_all().await.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error.kind, HttpErrorKind::Unauthorised { .. }), "{error:?}");
        let told = "token at";
        assert!(error.to_string().starts_with(told), "{error}");
        assert!(error.to_string().contains("invalid_client: The secret [redacted] of the id is wrong"), "{error}");
    }
    assert_eq!(server.lines().len(), 1);

    // Users are locked for wrong passwords.
    clock.advance(Duration::from_secs(59));
    client.send(Request::get("/x")).await.unwrap_err();
    assert_eq!(server.lines().len(), 1);
    clock.advance(Duration::from_secs(2));
    client.send(Request::get("/x")).await.unwrap_err();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn many_401s_of_one_token_renew_it_once() {
    let server = issuer(|number| number == 2).await;
    let (client, _, _) = with(&server, Grant::ClientCredentials);
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        calls.spawn(async move { client.send(Request::post("/x")).await });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 2);
}

#[tokio::test]
async fn a_late_401_of_an_old_token_leaves_the_new_one() {
    let server = issuer(|_| true).await;
    let (builder, clock) = builder(&server);
    let auth = OAuth::new(builder.build().unwrap(), settings(Grant::ClientCredentials));
    let latest = clock.now() + SignedDuration::from_mins(1);
    let first = auth.credentials(latest).await.unwrap();
    for _ in 0..3 {
        assert!(auth.refused(&first));
        assert_eq!(auth.credentials(latest).await.unwrap().generation(), 2);
    }
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_token_that_shrinks_is_no_storm() {
    // ServiceNow hands out the same token with what is left of its life.
    let started = Arc::new(VirtualClock::new());
    let clock = Arc::clone(&started);
    let server = Server::script(move |seen| {
        if !is_token(seen) {
            return Reply::json("[]");
        }
        token("same", &1800_u64.saturating_sub(clock.elapsed().as_secs()).to_string())
    })
    .await;
    let plain = Client::builder(crate::support::settings(&server)).clock(Arc::clone(&started) as _).build().unwrap();
    let client = plain.with_auth(Arc::new(OAuth::new(plain.clone(), settings(Grant::ClientCredentials))));
    for _ in 0..1799 {
        client.send(Request::get("/x")).await.unwrap();
        started.advance(Duration::from_secs(1));
    }
    let asked = server.seen().iter().filter(|seen| is_token(seen)).count();
    assert!(asked <= 8, "asked {asked} times");
}

#[tokio::test]
async fn a_living_token_outlasts_a_failing_endpoint() {
    let mut asked = 0;
    let server = Server::script(move |seen| {
        if !is_token(seen) {
            return Reply::json("[]");
        }
        asked += 1;
        if asked == 1 { token("t", "1800") } else { Reply::status(503, &[], "") }
    })
    .await;
    let (client, clock, _) = with(&server, Grant::ClientCredentials);
    client.send(Request::get("/x")).await.unwrap();
    clock.advance(Duration::from_secs(1750));
    for _ in 0..5 {
        client.send(Request::get("/x")).await.unwrap();
    }
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 1 + 3, "one renewal with its repeats, then a rest");
    clock.advance(Duration::from_secs(60));
    assert!(matches!(client.send(Request::get("/x")).await.unwrap_err().kind, HttpErrorKind::Unavailable { .. }), "it has ended by now");
}

#[tokio::test]
async fn who_has_less_time_waits_less() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::script(move |seen| if is_token(seen) { Reply::after(&held, token("t", "1800")) } else { Reply::json("[]") }).await;
    let (client, clock, _) = with(&server, Grant::ClientCredentials);
    let short = Request::get("/x").deadline(clock.now() + SignedDuration::from_millis(50));
    let error = client.send(short).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::TimedOut { sent: false, .. }), "{error:?}");
    assert!(!error.is_ambiguous());
    gate.add_permits(1);
    client.send(Request::get("/x")).await.unwrap();
    assert_eq!(server.lines().len(), 2, "the token that was on its way is used");
}

#[tokio::test]
async fn what_is_no_token_is_told_without_being_shown() {
    for (reply, want) in [
        (Reply::json(r#"{"access_token":["hush-hush"],"expires_in":1}"#), "it is not a token"),
        (Reply::json(r#"{"token":"hush-hush"}"#), "it is not a token"),
        (Reply::json(r#"{"access_token":"hush-hush","token_type":"mac"}"#), "it is not `Bearer`"),
        (Reply::json(r#"{"access_token":"hush\nhush"}"#), "cannot carry"),
        (Reply::status(200, &["content-type: text/html"], "<html><title>Wrong tenant</title>hush-hush"), "the web page `Wrong tenant`"),
    ] {
        let again = reply.clone();
        let server = Server::script(move |_| again.clone()).await;
        let (client, _, _) = with(&server, Grant::ClientCredentials);
        let error = client.send(Request::get("/x")).await.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_without_a_lifetime_is_used_for_a_while() {
    let server =
        Server::script(|seen| if is_token(seen) { Reply::json(r#"{"access_token":"t","expires_in":null}"#) } else { Reply::json("[]") })
            .await;
    let (client, clock, _) = with(&server, Grant::ClientCredentials);
    for _ in 0..3 {
        client.send(Request::get("/x")).await.unwrap();
        clock.advance(Duration::from_secs(100));
    }
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 1);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let server = issuer(|_| true).await;
    let (client, clock, _) = with(&server, Grant::Password { username: "bot".to_owned(), password: SecretString::from("p4ssw0rd") });
    client.send(Request::get("/x")).await.unwrap();
    let plain = builder(&server).0.build().unwrap();
    let auth = OAuth::new(plain, settings(Grant::Password { username: "bot".to_owned(), password: SecretString::from("p4ssw0rd") }));
    let credentials = auth.credentials(clock.now() + SignedDuration::from_mins(1)).await.unwrap();
    let text = format!("{client:?} {auth:?} {credentials:?}");
    for secret in ["s3cr", "p4ss", "token-"] {
        assert!(!text.contains(secret), "{text}");
    }
}
