//! The server, the controls, and TLS.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::{
    client::{Connection, call, control},
    shop::{Call, Effect, Fault, Settings, shop, start},
};

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let sim = shop();
    let mut connection = Connection::new(&sim);
    // The second and third come before the first is answered.
    connection
        .write("POST /a?b=c HTTP/1.1\r\ncontent-length: 3\r\n\r\nxyzGET /d HTTP/1.1\r\n\r\nHEAD /e HTTP/1.1\r\nConnection: close\r\n\r\n");
    let first = connection.receive().unwrap();
    assert_eq!((first.status, first.text.as_str(), first.headers["connection"].as_str()), (200, "POST b=c xyz", "keep-alive"));
    assert_eq!((first.headers["date"].as_str(), first.headers["x-price"].as_str()), ("Mon, 01 Jun 2026 10:00:00 GMT", "0"));
    assert_eq!(connection.receive().unwrap().text, "GET  ");
    let last = connection.receive().unwrap();
    assert_eq!((last.headers["content-length"].as_str(), last.text.as_str(), last.broken.is_some()), ("6", "", true));
    assert_eq!(last.headers["connection"], "close");
    assert_eq!(sim.orders(), 3);
}

#[test]
fn a_client_that_waits_for_leave_gets_it() {
    let sim = shop();
    let mut connection = Connection::new(&sim);
    connection.write("PUT /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!([connection.line().unwrap(), connection.line().unwrap()], ["HTTP/1.1 100 Continue", ""]);
    connection.write("hi");
    assert_eq!(connection.receive().unwrap().text, "PUT  hi");
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let sim = shop();
    for nonsense in
        ["nonsense\r\n\r\n", "GET /a HTTP/1.1\r\nContent-Length: x\r\n\r\n", "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"]
    {
        let mut connection = Connection::new(&sim);
        connection.write(nonsense);
        assert!(connection.receive().is_err(), "{nonsense}");
    }
    assert_eq!(sim.orders(), 0);
}

#[test]
fn it_is_driven_over_http_as_from_a_test() {
    let sim = shop();
    assert_eq!(control(&sim, "GET", "health", "").0, 204);
    assert_eq!(control(&sim, "PUT", "faults", r#"[{"path": "/a", "times": 1, "effect": "closed"}]"#).0, 204);
    assert_eq!(control(&sim, "GET", "faults", "").1[0]["effect"], "closed");
    assert_eq!(control(&sim, "PUT", "settings", r#"{"price": 7}"#).0, 204);
    assert_eq!(control(&sim, "GET", "settings", ""), (200, json!({"price": 7})));
    assert_eq!(control(&sim, "POST", "advance", r#"{"seconds": 60}"#).0, 204);
    assert_eq!(sim.now().to_string(), "2026-06-01T10:01:00Z");
    let statuses = [(); 2].map(|()| call(&sim, "GET", "/a", "").unwrap().status);
    assert_eq!(statuses, [403, 200]);
    let calls = statuses.map(|status| Call { path: "/a".to_owned(), status });
    assert_eq!((sim.calls(), control(&sim, "GET", "calls", "").1), (calls.to_vec(), json!(calls)));
    let sums = json!({"requests": 2, "by_operation": {"/a": 2}, "by_status": {"200": 1, "403": 1}});
    assert_eq!((json!(sim.counters()), control(&sim, "GET", "counters", "").1), (sums.clone(), sums));
    assert_eq!(control(&sim, "DELETE", "calls", "").0, 204);
    assert_eq!((sim.calls(), sim.counters().requests), (Vec::new(), 0));

    assert_eq!(control(&sim, "GET", "orders", ""), (200, json!(1)));
    assert_eq!((control(&sim, "PUT", "orders", "5").0, sim.orders()), (204, 5));
    assert_eq!(control(&sim, "PUT", "orders", "many").0, 400);
    assert_eq!(control(&sim, "PUT", "settings", r#"{"colour": 1}"#).0, 400);
    for unknown in ["nonsense", "certificate"] {
        let (status, body) = control(&sim, "GET", unknown, "");
        assert!(status == 404 && body["error"].is_string(), "{unknown}");
    }

    sim.settings(|settings: &mut Settings| settings.price = 9);
    sim.faults(vec![Fault { effect: Effect::Closed, ..Fault::default() }]);
    sim.advance(SignedDuration::from_secs(1));
    assert_eq!(call(&sim, "GET", "/a", "").unwrap().status, 403);
    assert_eq!(control(&sim, "DELETE", "faults", "").0, 204);
    assert_eq!(control(&sim, "GET", "faults", "").1, Value::Array(Vec::new()));
    let answer = call(&sim, "GET", "/a", "").unwrap();
    assert_eq!((answer.headers["x-price"].as_str(), answer.headers["date"].as_str()), ("9", "Mon, 01 Jun 2026 10:01:01 GMT"));
    sim.clear_calls();
    assert_eq!(sim.calls(), []);
}

#[test]
fn its_certificate_is_to_be_trusted() {
    let sim = start(true);
    let address = sim.url();
    let address = address.strip_prefix("https://").unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sim.authority().unwrap().as_bytes()).unwrap()).unwrap();
    let ask = |roots: RootCertStore, target: &str| {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        write!(stream, "GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    };
    assert!(ask(roots.clone(), "/a?b").unwrap().ends_with("GET b "));
    assert!(ask(roots, "/_sim/certificate").unwrap().ends_with(sim.authority().unwrap()));
    assert!(ask(RootCertStore::empty(), "/a").is_err(), "nobody trusts it unasked");
    assert_eq!(shop().authority(), None);
}

#[test]
fn it_ends_with_its_handle() {
    let sim = shop();
    let mut connection = Connection::new(&sim);
    assert_eq!(connection.call("GET", "/a", "").unwrap().status, 200);
    let address = sim.url().trim_start_matches("http://").to_owned();
    drop(sim);
    assert!(TcpStream::connect(address).is_err());
    assert!(connection.receive().is_err());
}
