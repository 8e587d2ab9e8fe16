//! Leaving a failing origin alone.

use std::sync::Arc;
use std::time::Duration;

use dewpoint_http::{BreakerPolicy, Client, HttpErrorKind, Repeat, Request, RetryPolicy};

use crate::support::{Reply, Server, VirtualClock, settings};

fn client(server: &Server) -> (Client, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new());
    let mut settings = settings(server);
    settings.retry = RetryPolicy { attempts_max: 1, throttles_max: 0, ..settings.retry };
    settings.breaker = BreakerPolicy { failures: 3, cooldown: Duration::from_secs(30) };
    (Client::builder(settings).clock(Arc::clone(&clock) as _).build().unwrap(), clock)
}

#[tokio::test]
async fn a_failing_origin_is_left_alone_until_a_probe_gets_through() {
    let bad = || Reply::status(502, &["content-type: text/html"], "<html><title>Bad gateway</title>");
    let server = Server::replies([bad(), Reply::none().reset(), bad(), bad(), Reply::json("[]"), Reply::json("[]")]).await;
    let (client, clock) = client(&server);
    for _ in 0..3 {
        assert!(client.send(Request::get("/x")).await.is_err());
    }
    let error = client.send(Request::get("/x").operation("read")).await.unwrap_err();
    let HttpErrorKind::CircuitOpen { since, until, .. } = &error.kind else { panic!("{error:?}") };
    assert_eq!((since.to_string(), until.to_string()), ("2026-06-01T10:00:00Z".to_owned(), "2026-06-01T10:00:30Z".to_owned()));
    assert!(error.to_string().ends_with("has failed since 2026-06-01T10:00:00Z: status 502, a web page: Bad gateway"), "{error}");
    assert!(!error.is_ambiguous());
    assert_eq!((error.retry_at(), server.lines().len()), (Some(*until), 3));

    clock.advance(Duration::from_secs(30));
    assert!(matches!(client.send(Request::get("/x")).await.unwrap_err().kind, HttpErrorKind::Unavailable { .. }), "the probe");
    assert!(matches!(client.send(Request::get("/x")).await.unwrap_err().kind, HttpErrorKind::CircuitOpen { .. }));
    clock.advance(Duration::from_secs(30));
    for _ in 0..2 {
        client.send(Request::get("/x")).await.unwrap();
    }
    assert_eq!(server.lines().len(), 6);
}

#[tokio::test]
async fn refusals_and_the_applications_own_failures_do_not_count() {
    for reply in [
        Reply::status(500, &[], r#"{"error":{"message":"Transaction cancelled: maximum execution time exceeded"}}"#),
        Reply::status(429, &[], ""),
        Reply::status(403, &[], ""),
        Reply::status(404, &[], ""),
    ] {
        let again = reply.clone();
        let server = Server::script(move |_| again.clone()).await;
        let (client, _) = client(&server);
        for _ in 0..5 {
            let error = client.send(Request::get("/x").repeat(Repeat::Never)).await.unwrap_err();
            assert!(!matches!(error.kind, HttpErrorKind::CircuitOpen { .. }), "{reply:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_call_ends_with_why_it_failed_not_with_what_stopped_it() {
    let server = Server::script(|_| Reply::status(503, &[], "")).await;
    let clock = Arc::new(VirtualClock::new());
    let mut settings = settings(&server);
    settings.retry.attempts_max = 10;
    settings.breaker.failures = 2;
    let client = Client::builder(settings).clock(clock).build().unwrap();
    let error = client.send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Unavailable { .. }), "{error:?}");
    assert_eq!((error.call().attempts, server.lines().len()), (2, 2));
}
