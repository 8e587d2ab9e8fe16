//! Deadlines: what has no time left is not begun.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_http::{Client, Clock, HttpErrorKind, LayeredBudget, Limit, Rate, RateBudget, Request, RetryPolicy};
use jiff::{SignedDuration, Timestamp};

use crate::support::{Counter, Reply, Server, VirtualClock, builder, settings};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_long_retry_after_ends_a_call_with_a_deadline_at_once() {
    let server = Server::replies([Reply::status(429, &["retry-after: 812"], r#"{"error":{"message":"Rate limit exceeded"}}"#)]).await;
    let (builder, clock) = builder(&server);
    let request = Request::post("/x").deadline(clock.now() + SignedDuration::from_mins(10));
    let error = builder.build().unwrap().send(request).await.unwrap_err();
    let HttpErrorKind::Throttled { until, said: Some(said), .. } = &error.kind else { panic!("{error:?}") };
    assert_eq!(*until, at("2026-06-01T10:13:32Z"));
    assert_eq!(said.words, "Rate limit exceeded");
    assert_eq!(error.retry_at(), Some(*until));
    assert!(!error.is_ambiguous());
    assert_eq!(clock.slept(), Vec::<Duration>::new());
    assert!(error.to_string().contains("throttled until 2026-06-01T10:13:32Z (status 429: Rate limit exceeded)"), "{error}");
}

#[tokio::test]
async fn nonsense_is_not_passed_on() {
    let server = Server::replies([Reply::status(429, &["retry-after: 99999999999"], "")]).await;
    let error = builder(&server).0.build().unwrap().send(Request::post("/x")).await.unwrap_err();
    assert_eq!(error.retry_at(), Some(at("2026-06-01T11:00:00Z")));
}

#[tokio::test]
async fn without_a_deadline_the_calls_own_limit_holds() {
    let server =
        Server::replies([Reply::status(429, &["retry-after: 599"], ""), Reply::json("[]"), Reply::status(429, &["retry-after: 601"], "")])
            .await;
    let (builder, clock) = builder(&server);
    let client = builder.build().unwrap();
    client.send(Request::post("/x")).await.unwrap();
    assert_eq!(clock.slept(), [Duration::from_secs(599)]);
    let patient = Request::post("/x").deadline(clock.now() + SignedDuration::from_hours(1));
    assert!(matches!(client.send(patient).await.unwrap_err().kind, HttpErrorKind::Throttled { .. }), "a later deadline does not widen it");
    assert_eq!(clock.slept().len(), 1);
}

#[tokio::test]
async fn no_attempt_begins_with_what_is_too_old() {
    let replies = [Reply::status(429, &["retry-after: 3"], ""), Reply::json("[]"), Reply::status(429, &["retry-after: 12"], "")];
    let server = Server::replies(replies).await;
    let (builder, clock) = builder(&server);
    let client = builder.build().unwrap();
    let soon = || clock.now() + SignedDuration::from_secs(5);
    client.send(Request::post("/x").begin_by(soon())).await.unwrap();
    assert_eq!(clock.slept(), [Duration::from_secs(3)]);
    let error = client.send(Request::post("/x").begin_by(soon())).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Throttled { .. }) && !error.is_ambiguous(), "{error:?}");
    assert_eq!((clock.slept().len(), server.lines().len()), (1, 3));
}

#[tokio::test]
async fn a_refusal_stops_every_request_of_the_credential() {
    let server = Server::replies([Reply::status(429, &["retry-after: 30"], ""), Reply::json("[1]"), Reply::json("[2]")]).await;
    let (builder, clock) = builder(&server);
    let budget = Arc::new(RateBudget::new(Rate::per_second(1000.0), Arc::clone(&clock) as _));
    let counter = Arc::new(Counter::default());
    let client = builder.budget(budget).meter(Arc::clone(&counter) as _).build().unwrap();
    let soon = clock.now() + SignedDuration::from_secs(10);
    let first = client.send(Request::post("/first").deadline(soon)).await.unwrap_err();
    assert_eq!(first.retry_at(), Some(at("2026-06-01T10:00:30Z")));
    // Another request knows without asking.
    let second = client.send(Request::post("/second").deadline(soon)).await.unwrap_err();
    assert!(
        matches!(&second.kind, HttpErrorKind::Throttled { said: None, until, .. } if *until == at("2026-06-01T10:00:30Z")),
        "{second:?}"
    );
    assert!(second.to_string().ends_with("by the rate allowed here"), "{second}");
    client.send(Request::post("/third")).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_secs(30));
    assert_eq!(counter.waited(), Duration::from_secs(30));
    client.send(Request::post("/fourth")).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_secs(30));
    assert_eq!(server.lines(), ["POST /first", "POST /third", "POST /fourth"]);
}

#[tokio::test]
async fn a_client_under_another_budget_shares_all_else() {
    let compute = ["x-ms-ratelimit-remaining-subscription-reads: 11990", "retry-after: 30"];
    let server = Server::replies([
        Reply::status(429, &compute, ""),
        Reply::json("[1]"),
        Reply::json("[2]"),
        Reply::status(429, &["retry-after: 30"], ""),
    ])
    .await;
    let (builder, clock) = builder(&server);
    let budget = || Arc::new(RateBudget::new(Rate::per_second(1000.0), Arc::clone(&clock) as _));
    let platform = budget();
    let client = builder.budget(Arc::clone(&platform) as _).build().unwrap();
    let [compute, network] = [(); 2].map(|()| client.with_budget(Arc::new(LayeredBudget::new(Arc::clone(&platform) as _, budget()))));
    let soon = clock.now() + SignedDuration::from_secs(10);
    let until = |result: Result<_, dewpoint_http::HttpError>| result.unwrap_err().retry_at();
    let told = Some(at("2026-06-01T10:00:30Z"));
    assert_eq!(until(compute.send(Request::get("/vms").deadline(soon)).await), told);
    assert_eq!(until(compute.send(Request::get("/disks").deadline(soon)).await), told, "not sent");
    network.send(Request::get("/nics").deadline(soon)).await.unwrap();
    client.send(Request::get("/groups").deadline(soon)).await.unwrap();
    // Without a word whose it is, it may be the platform's.
    assert_eq!(until(network.send(Request::get("/nsgs").deadline(soon)).await), told);
    assert_eq!(until(client.send(Request::get("/groups").deadline(soon)).await), told);
    assert_eq!(server.lines(), ["GET /vms", "GET /nics", "GET /groups", "GET /nsgs"]);
    assert_eq!(server.seen().iter().map(|seen| seen.connection).max(), Some(0), "they share connections");
}

#[tokio::test]
async fn the_configured_rate_is_kept_and_told() {
    let server = Server::script(|_| Reply::json("[]")).await;
    let (builder, clock) = builder(&server);
    let rate = Rate { per_second: 2.0, burst: NonZeroU32::new(3).unwrap() };
    let counter = Arc::new(Counter::default());
    let client = builder.budget(Arc::new(RateBudget::new(rate, Arc::clone(&clock) as _))).meter(Arc::clone(&counter) as _).build().unwrap();
    for _ in 0..13 {
        client.send(Request::get("/x")).await.unwrap();
    }
    assert!(clock.elapsed().abs_diff(Duration::from_secs(5)) < Duration::from_millis(20), "{:?}", clock.elapsed());
    assert!(counter.waited().abs_diff(clock.elapsed()) < Duration::from_millis(1));
    let error = client.send(Request::get("/x").deadline(clock.now() + SignedDuration::from_millis(10))).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Throttled { said: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_deadline_that_is_over_sends_nothing() {
    let server = Server::replies([]).await;
    let (builder, clock) = builder(&server);
    let error = builder.build().unwrap().send(Request::get("/x").deadline(clock.now())).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::TimedOut { limit: Limit::Deadline, sent: false, .. }), "{error:?}");
    assert!(!error.is_ambiguous());
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_is_not_begun() {
    let server = Server::script(|_| Reply::status(500, &[], "{}")).await;
    let clock = Arc::new(VirtualClock::new());
    let mut settings = settings(&server);
    settings.retry = RetryPolicy { pause: Duration::from_secs(1000), pause_max: Duration::from_secs(1000), ..settings.retry };
    let client = Client::builder(settings).clock(Arc::clone(&clock) as _).seed(1).build().unwrap();
    let request = Request::get("/x").deadline(clock.now() + SignedDuration::from_secs(5));
    let error = client.send(request).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Unavailable { .. }), "{error:?}");
    assert_eq!((clock.slept().len(), server.lines().len()), (0, 1));
}

#[tokio::test]
async fn retry_after_as_a_date_goes_by_the_servers_clock() {
    let reply = Reply::status(429, &["date: Mon, 01 Jun 2026 12:00:00 GMT", "retry-after: Mon, 01 Jun 2026 12:00:42 GMT"], "");
    let server = Server::replies([reply, Reply::json("[]")]).await;
    let (builder, clock) = builder(&server);
    builder.build().unwrap().send(Request::post("/x")).await.unwrap();
    assert_eq!(clock.slept(), [Duration::from_secs(42)]);
}
