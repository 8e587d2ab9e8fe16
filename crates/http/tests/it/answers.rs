//! What a server answers, and what is made of it.

use dewpoint_http::{Client, HttpError, HttpErrorKind, Instead, Repeat, Request};
use serde::Deserialize;

use crate::support::{Reply, Server, client, settings};

async fn get(reply: Reply) -> Result<dewpoint_http::Answer, HttpError> {
    let server = Server::replies([reply]).await;
    let mut settings = settings(&server);
    settings.retry.throttles_max = 0;
    let client = Client::builder(settings).build().unwrap();
    client.send(Request::get("/x").operation("read").repeat(Repeat::Never)).await
}

async fn refused(status: u16, headers: &[&str], body: &str) -> HttpError {
    get(Reply::status(status, headers, body)).await.unwrap_err()
}

const ENVELOPE: &str = r#"{"error":{"message":"Operation Failed","detail":"ACL of table x"},"status":"failure"}"#;

#[tokio::test]
async fn statuses_are_told_apart_with_the_servers_words() {
    for (status, want, ambiguous) in [
        (400, "refused", false),
        (401, "unauthorised", false),
        (403, "forbidden", false),
        (404, "not_found", false),
        (409, "refused", false),
        (413, "refused", false),
        (429, "throttled", false),
        (500, "unavailable", true),
        (502, "unavailable", true),
        (503, "unavailable", true),
        (504, "unavailable", true),
        (599, "unavailable", true),
    ] {
        let error = refused(status, &[], ENVELOPE).await;
        assert_eq!((error.outcome(), error.is_ambiguous(), error.status()), (want, ambiguous, Some(status)), "{error:?}");
        assert!(error.to_string().starts_with("read at http://127.0.0.1:"), "{error}");
        assert!(error.to_string().contains(&format!("(status {status}: Operation Failed: ACL of table x)")), "{error}");
    }
}

#[tokio::test]
async fn the_platforms_own_form_of_errors_can_be_read() {
    #[derive(Deserialize)]
    struct Envelope {
        status: String,
    }
    let error = refused(400, &["x-request-id: abc-1"], ENVELOPE).await;
    let envelope: Envelope = error.said().unwrap().json().unwrap();
    assert_eq!(envelope.status, "failure");
    assert_eq!(error.call().request_id.as_deref(), Some("abc-1"));
    assert_eq!(error.call().operation, "read");
}

#[tokio::test]
async fn a_web_page_is_told_by_its_title() {
    let page = "<!DOCTYPE html><html><head><title>Instance\n is hibernating</title></head><body>…</body></html>";
    let error = refused(503, &["content-type: text/html"], page).await;
    assert!(error.said().unwrap().is_html);
    assert!(error.to_string().ends_with("(status 503, a web page: Instance is hibernating)"), "{error}");

    let error = get(Reply::status(200, &["content-type: text/html"], page)).await.unwrap_err();
    let HttpErrorKind::NotJson { instead: Instead::Html(title), status: 200, .. } = &error.kind else { panic!("{error:?}") };
    assert_eq!(title, "Instance is hibernating");
    assert!(error.is_ambiguous(), "a page says nothing about what was asked for");
}

#[tokio::test]
async fn other_words_are_cut_to_one_line() {
    let error = refused(500, &[], &format!("line one\r\nline \u{1b}[31mtwo {}", "x".repeat(10_000))).await;
    let words = &error.said().unwrap().words;
    assert!(words.starts_with("line one line [31mtwo xxx") && words.chars().count() == 301, "{words}");
    let error = refused(429, &[], "Rate Limit Reached - 300 Requests per rolling 5 minute window").await;
    assert!(error.to_string().contains("300 Requests per rolling 5 minute window"), "{error}");
    let error = refused(502, &[], "").await;
    assert!(error.to_string().ends_with("(status 502)"), "{error}");
}

#[tokio::test]
async fn an_errors_body_is_not_read_for_ever() {
    let endless = format!("HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n{}", "y".repeat(0x2_0000));
    let error = get(Reply::raw(endless).hang()).await.unwrap_err();
    assert_eq!(error.said().unwrap().body.len(), 64 * 1024);
    let error = get(Reply::raw("HTTP/1.1 403 X\r\ncontent-length: 99\r\n\r\nonly this").close()).await.unwrap_err();
    assert!(matches!(&error.kind, HttpErrorKind::Forbidden { said, .. } if said.words == "only this"), "{error:?}");
}

#[tokio::test]
async fn empty_is_not_a_list_without_entries() {
    for body in ["", " \r\n"] {
        let error = get(Reply::json(body)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Empty { status: 200, .. }), "{error:?}");
        assert!(error.is_ambiguous());
    }
    // A proxy's favourite: done, without a word.
    let error = get(Reply::status(202, &[], "")).await.unwrap_err();
    assert!(matches!(error.kind, HttpErrorKind::Empty { status: 202, .. }), "{error:?}");

    let deleted = get(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")).await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert!(matches!(deleted.json::<()>().unwrap_err().kind, HttpErrorKind::Empty { .. }));

    let server = Server::replies([Reply::status(200, &[], ""), Reply::status(200, &["content-type: text/html"], "<html>")]).await;
    let client = client(&server);
    for _ in 0..2 {
        client.send(Request::get("/x").any_body()).await.unwrap();
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    result: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    count: u32,
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_place() {
    let page: Page = get(Reply::json(r#"{"result":[{"count":1}],"more":true}"#)).await.unwrap().json().unwrap();
    assert_eq!(page.result[0].count, 1);
    let error = get(Reply::json(r#"{"result":[{"count":1},{"count":"x"}]}"#)).await.unwrap().json::<Page>().unwrap_err();
    let HttpErrorKind::Unexpected { path, .. } = &error.kind else { panic!("{error:?}") };
    assert_eq!(path, "result[1].count");
    for other in ["[1] [2]", "{\"a\":1}}", "hello", "[1,}"] {
        let error = get(Reply::json(other)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::NotJson { instead: Instead::Other, .. }), "{other}: {error:?}");
    }
    for cut in ["{\"result\":[", "\"abc", "[1,2", "tru"] {
        let error = get(Reply::json(cut)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Truncated { .. }), "{cut}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_tells_of_itself() {
    let reply = Reply::status(
        201,
        &["x-total-count: 731", "x-transaction-id: t-9", "x-ratelimit-limit: 100", "x-ratelimit-reset: 1780310000", "x-ratelimit-rule: r"],
        "[]",
    );
    let answer = get(reply).await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("X-Total-Count"), Some("731"));
    assert_eq!(answer.call().request_id.as_deref(), Some("t-9"));
    assert_eq!((answer.rate().limit, answer.rate().rule.as_deref()), (Some(100), Some("r")));
}
