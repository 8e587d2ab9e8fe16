//! Everything that is logged, told and printed, searched for every secret that was used.

use std::io::Write;
use std::sync::{Arc, Mutex};

use dewpoint_http::auth::{Fixed, Grant, OAuth, OAuthSettings};
use dewpoint_http::{Client, HttpError, Proxies, Repeat, Request};
use secrecy::SecretString;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{Authority, Reply, Server, VirtualClock, proxy, settings};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const SECRETS: [&str; 10] = [
    "client-s3cret",
    "user-p4ssword",
    "t0ken-value",
    "api-k3y-value",
    "bWU6YmFzaWMtcDRzcw",
    "basic-p4ss",
    "proxy-p4ss",
    "c00kie-value",
    "query-s3cret",
    "b0dy-secret",
];

/// Servers that say all they know.
fn chatterbox(seen: &crate::support::Seen) -> Reply {
    if seen.line.starts_with("POST /token") {
        return Reply::json(r#"{"access_token":"t0ken-value","expires_in":3600}"#);
    }
    let echo = format!("{:?} {}", seen.headers, seen.body());
    match seen.line.split(['/', '?', ' ']).nth(2).unwrap_or_default() {
        "echo" => Reply::status(400, &["set-cookie: s=c00kie-value"], echo),
        "json" => Reply::status(500, &[], serde_json::json!({"error": {"message": echo}}).to_string()),
        "title" => Reply::status(200, &["content-type: text/html"], format!("<html><title>{echo}</title>")),
        "id" => Reply::status(200, &[&format!("x-request-id: {}", seen.header("authorization").unwrap_or_default())], "[]"),
        "login" => Reply::status(302, &["location: https://sso.example/?x=t0ken-value"], ""),
        "reset" => Reply::none().reset(),
        "throttled" => Reply::status(429, &["retry-after: 9999"], echo),
        _ => Reply::status(200, &["set-cookie: s=c00kie-value"], "[]"),
    }
}

#[test]
fn no_secret_is_logged_told_or_printed() {
    let log = Log::default();
    let sink = log.clone();
    // Of this whole process, from every thread: the other tests' secrets are others.
    tracing_log::LogTracer::init().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    // Other tests may have come by a span before anybody wanted to know.
    tracing::callsite::rebuild_interest_cache();
    let told = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(talk());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for target in ["dewpoint_http", "request{operation=", "outcome=\"ok\"", "request_id=", "elapsed_ms="] {
        assert!(log.contains(target), "{target} is not in the log, so it proves nothing:\n{log}");
    }
    for text in [log, told] {
        for secret in SECRETS {
            if let Some(at) = text.find(secret) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                panic!("{secret}: …{}", &text[from..at + secret.len()]);
            }
        }
    }
}

/// Speaks with every kind of credential to servers that repeat what they hear. What errors, answers and clients print.
async fn talk() -> String {
    let server = Server::script(chatterbox).await;
    let mut told = String::new();
    let secret = |text: &str| SecretString::from(text);
    let plain = Client::builder(settings(&server)).clock(Arc::new(VirtualClock::new())).build().unwrap();
    let oauth = OAuthSettings {
        path: "/token".to_owned(),
        client_id: "id".to_owned(),
        client_secret: secret("client-s3cret"),
        grant: Grant::Password { username: "bot".to_owned(), password: secret("user-p4ssword") },
        fields: Vec::new(),
        query: Vec::new(),
    };
    let wrong = OAuthSettings { path: "/echo".to_owned(), ..oauth.clone() };
    let key = Fixed::header("x-sn-apikey".parse().unwrap(), &secret("api-k3y-value")).unwrap();
    let basic = Fixed::basic("me", &secret("basic-p4ss")).unwrap();
    let clients = [
        plain.with_auth(Arc::new(OAuth::new(plain.clone(), oauth))),
        plain.with_auth(Arc::new(OAuth::new(plain.clone(), wrong))),
        plain.with_auth(Arc::new(key)),
        plain.with_auth(Arc::new(basic)),
    ];
    for client in clients {
        told.push_str(&format!("{client:?}\n"));
        for path in ["/x", "/echo", "/json", "/title", "/id", "/login", "/reset", "/throttled"] {
            let request = Request::post(path)
                .query("key", "query-s3cret")
                .json(&["b0dy-secret"])
                .redact(secret("b0dy-secret"))
                .operation("talk")
                .repeat(Repeat::Safe);
            told.push_str(&format!("{request:?}\n"));
            match client.send(request).await {
                Ok(answer) => told.push_str(&format!("{answer:?}\n")),
                Err(error) => told.push_str(&tell(&error)),
            }
        }
    }
    for answer in [None, Some("HTTP/1.1 407 me:proxy-p4ss is wrong\r\n\r\n")] {
        let authority = Authority::new();
        let hidden = Server::start(Some(authority.acceptor("snow.invalid")), chatterbox).await;
        let (address, _) = proxy(hidden.address(), answer).await;
        let mut settings =
            dewpoint_http::Settings::new("snow", dewpoint_http::BaseUrl::parse("https://snow.invalid", Default::default()).unwrap());
        settings.ca_pem = Some(authority.pem());
        settings.proxies = Proxies { https: Some(secret(&format!("http://me:proxy-p4ss@{address}"))), ..Proxies::default() };
        told.push_str(&format!("{settings:?}\n"));
        let client = Client::builder(settings).clock(Arc::new(VirtualClock::new())).build().unwrap();
        match client.send(Request::get("/echo").query("key", "query-s3cret")).await {
            Ok(answer) => told.push_str(&format!("{answer:?}\n")),
            Err(error) => told.push_str(&tell(&error)),
        }
    }
    told
}

fn tell(error: &HttpError) -> String {
    format!("{error}\n{error:?}\n{:?}\n", error.hint())
}
