//! Where requests go, and where they do not.

use std::sync::Arc;

use dewpoint_http::auth::Fixed;
use dewpoint_http::{BaseUrl, Client, HttpErrorKind, Origin, Plaintext, Request};
use secrecy::SecretString;

use crate::support::{Reply, Server, client, settings};

fn with_key(server: &Server, origins: Vec<Origin>) -> Client {
    let auth = Fixed::basic("me", &SecretString::from("secret-word")).unwrap();
    let settings = dewpoint_http::Settings { origins, ..settings(server) };
    Client::builder(settings).auth(Arc::new(auth)).build().unwrap()
}

#[tokio::test]
async fn credentials_follow_urls_to_configured_origins_only() {
    let server = Server::replies([Reply::json("[]"), Reply::json("[]")]).await;
    let stranger = Server::replies([Reply::json("[]"), Reply::json("[]")]).await;
    let client = with_key(&server, Vec::new());
    client.send(Request::follow(&format!("{}/next?skip=a%2Bb&x=%27", server.url()))).await.unwrap();
    client.send(Request::follow("/relative?page=2")).await.unwrap();
    assert_eq!(server.lines(), ["GET /next?skip=a%2Bb&x=%27", "GET /relative?page=2"]);
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_some()));

    let other_port = stranger.url();
    let error = client.send(Request::follow(&format!("{other_port}/next?token=abc")).operation("page")).await.unwrap_err();
    assert!(matches!(&error.kind, HttpErrorKind::ForeignOrigin { named, .. } if *named == other_port), "{error:?}");
    assert!(!error.to_string().contains("abc"), "{error}");
    let https = server.url().replace("http:", "https:");
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for foreign in [https.as_str(), &by_name, "//evil.example/x", "https://evil.example", "file:///etc/passwd", "javascript:1"] {
        let error = client.send(Request::follow(foreign)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::ForeignOrigin { .. }), "{foreign}: {error:?}");
    }
    let with_user = server.url().replace("http://", "http://me:you@");
    for none in [with_user.as_str(), "http://", "http://[::1"] {
        let error = client.send(Request::follow(none)).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Unsendable { .. }), "{none}: {error:?}");
        assert!(!error.is_ambiguous());
    }
    assert_eq!((server.lines().len(), stranger.connections()), (2, 0));

    let other = BaseUrl::parse(&other_port, Plaintext::Loopback).unwrap().origin().clone();
    let client = with_key(&server, vec![other]);
    client.send(Request::follow(&format!("{other_port}/next"))).await.unwrap();
    assert!(stranger.seen()[0].header("authorization").is_some(), "configured, it is no stranger");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let stranger = Server::replies([]).await;
    let location = format!("location: {}/login?session=abc", stranger.url());
    let replies = [
        Reply::status(302, &[location.as_str()], ""),
        Reply::status(307, &["location: /elsewhere"], ""),
        Reply::status(308, &["location: HTTPS://Login.Example:443/a?b"], ""),
        Reply::status(301, &[], ""),
        Reply::status(304, &["location: mailto:x"], ""),
    ];
    let server = Server::replies(replies).await;
    let client = with_key(&server, Vec::new());
    for (status, want) in [
        (302, stranger.url()),
        (307, server.url()),
        (308, "https://login.example".to_owned()),
        (301, "nowhere".to_owned()),
        (304, "no web address".to_owned()),
    ] {
        let error = client.send(Request::get("/x")).await.unwrap_err();
        assert!(matches!(&error.kind, HttpErrorKind::Redirected { status: s, to, .. } if *s == status && *to == want), "{error:?}");
        assert!(!error.to_string().contains("abc") && !error.is_ambiguous());
    }
    assert_eq!(server.lines().len(), 5);
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn cookies_are_never_sent_back() {
    let server = Server::replies((0..3).map(|_| Reply::status(200, &["set-cookie: JSESSIONID=abc; Path=/"], "[]"))).await;
    let client = client(&server);
    for _ in 0..3 {
        client.send(Request::get("/x")).await.unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.header("cookie").is_none()));
    assert_eq!(server.connections(), 1, "the same connection, and still none");
}

#[tokio::test]
async fn requests_are_written_as_meant() {
    let server = Server::script(|_| Reply::json("[]")).await;
    let mut settings = settings(&server);
    settings.base = BaseUrl::parse(&format!("{}/api/", server.url()), Plaintext::Loopback).unwrap();
    settings.user_agent = "dewpoint/test".to_owned();
    let client = Client::builder(settings).build().unwrap();
    let id = "a/../b?c#d%";
    client.send(Request::get("/now/table").segment("cmdb ci").segment(id).query("q", "a=b^c&d").query("q", "ü+")).await.unwrap();
    client.send(Request::patch("now").json(&serde_json::json!({"a": 1}))).await.unwrap();
    client.send(Request::post("/now").form(&[("a", "b c"), ("d", "é&=")]).header("x-note".parse().unwrap(), "n")).await.unwrap();
    client.send(Request::delete("/now/")).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /api/now/table/cmdb%20ci/a%2F..%2Fb%3Fc%23d%25?q=a%3Db%5Ec%26d&q=%C3%BC%2B",
            "PATCH /api/now",
            "POST /api/now",
            "DELETE /api/now/"
        ]
    );
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.header("user-agent") == Some("dewpoint/test")));
    assert!(seen.iter().all(|seen| seen.header("accept") == Some("application/json")));
    assert_eq!((seen[1].header("content-type"), seen[1].body().as_str()), (Some("application/json"), r#"{"a":1}"#));
    assert_eq!(seen[2].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((seen[2].body().as_str(), seen[2].header("x-note")), ("a=b+c&d=%C3%A9%26%3D", Some("n")));
}

#[tokio::test]
async fn what_cannot_be_sent_is_not() {
    let server = Server::replies([]).await;
    let client = with_key(&server, Vec::new());
    let flawed = [
        Request::delete("/table/x").segment(".."),
        Request::delete("/table/x").segment(""),
        Request::get("/x").header("x-note".parse().unwrap(), "a\nb"),
        Request::post("/x").json(&std::collections::BTreeMap::from([([1_u8], 1)])),
        Request::get("/x").header("authorization".parse().unwrap(), "mine"),
    ];
    for request in flawed {
        let error = client.send(request).await.unwrap_err();
        assert!(matches!(error.kind, HttpErrorKind::Unsendable { .. }), "{error:?}");
        assert!(!error.is_ambiguous());
    }
    assert!(server.lines().is_empty());
}
