//! A client that does only what a test says: one connection per request, no retries.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use dewpoint_halo_sim::{CLIENT_ID, CLIENT_SECRET, Clock, Sim, Start, Tenant};
use serde_json::{Value, json};

/// The time at which all tests begin.
pub(crate) const START: &str = "2026-06-01T10:00:00Z";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A simulator with a clock that stands, and any number of calls.
pub(crate) fn start() -> Sim {
    start_with(Tenant::new(), |_| {})
}

pub(crate) fn start_with(tenant: Tenant, change: impl FnOnce(&mut Start)) -> Sim {
    let mut start = Start::new(tenant);
    start.clock = Clock::manual(START.parse().unwrap());
    start.settings.throttle = None;
    start.settings.mixed_errors = false;
    change(&mut start);
    Sim::start_with(start).expect("a port on the loopback interface")
}

/// Any request.
pub(crate) fn send(sim: &Sim, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    try_send(&sim.url(), method, target, headers, body).unwrap()
}

pub(crate) fn try_send(url: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Answer> {
    let host = url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(host)?;
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> =
        lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let announced: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    if body.len() != announced {
        return Err(std::io::Error::other("the answer is cut"));
    }
    Ok(Answer { status, headers, text: body.to_owned() })
}

/// Asks for a token.
pub(crate) fn ask_token(sim: &Sim, target: &str, form: &str) -> Answer {
    send(sim, "POST", target, &[("User-Agent", "test/1.0"), ("Content-Type", "application/x-www-form-urlencoded")], form)
}

pub(crate) fn form(client: &str, secret: &str, scope: &str) -> String {
    format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope={scope}")
}

/// Somebody with a token.
pub(crate) struct Caller<'a> {
    pub(crate) sim: &'a Sim,
    pub(crate) token: String,
}

impl<'a> Caller<'a> {
    /// Who may do everything.
    pub(crate) fn new(sim: &'a Sim) -> Self {
        Self::with(sim, CLIENT_ID, CLIENT_SECRET, "all")
    }

    #[track_caller]
    pub(crate) fn with(sim: &'a Sim, client: &str, secret: &str, scope: &str) -> Self {
        let answer = ask_token(sim, "/auth/token?tenant=acme", &form(client, secret, scope));
        assert_eq!(answer.status, 200, "{}", answer.text);
        Self { sim, token: answer.json()["access_token"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Answer {
        self.try_call(method, target, body).unwrap()
    }

    pub(crate) fn try_call(&self, method: &str, target: &str, body: &Value) -> std::io::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("User-Agent", "test/1.0"), ("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        try_send(&self.sim.url(), method, target, &headers, &body)
    }

    /// What is there; it has to be.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Value {
        let answer = self.call("GET", target, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub(crate) fn status(&self, method: &str, target: &str, body: &Value) -> u16 {
        self.call(method, target, body).status
    }

    pub(crate) fn post(&self, body: &Value) -> Answer {
        self.call("POST", "/api/Asset", body)
    }

    /// Posts one asset, which has to work; gives its id.
    #[track_caller]
    pub(crate) fn put(&self, asset: &Value) -> i64 {
        let answer = self.post(&json!([asset]));
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_i64().unwrap()
    }
}

/// A cloud instance with this tag.
pub(crate) fn instance(tag: &str) -> Value {
    json!({"assettype_id": 130, "site_id": 18, "inventory_number": tag, "fields": [{"id": 101, "value": format!("name of {tag}")}]})
}

/// Numbers from a list of rows.
pub(crate) fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}
