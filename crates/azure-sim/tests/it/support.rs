//! A client that does only what a test says: one connection per request, no retries.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use dewpoint_azure_sim::{
    Clock, Sim, Start,
    world::{CLIENT, CLIENT_SECRET, TENANT, World},
};
use serde_json::Value;

/// The version of most calls of compute.
pub(crate) const COMPUTE: &str = "2024-07-01";
/// The version of most calls of the network provider.
pub(crate) const NETWORK: &str = "2024-03-01";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    /// Whether all that was announced came.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The status and the error's code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Without TLS, with a clock that stands.
pub(crate) fn start(world: World) -> Sim {
    start_with(world, |_| {})
}

pub(crate) fn start_with(world: World, change: impl FnOnce(&mut Start)) -> Sim {
    let mut start = Start::new(world);
    start.tls = false;
    start.clock = Clock::manual("2026-06-01T10:00:00Z".parse().unwrap());
    change(&mut start);
    Sim::start_with(start).expect("a port on the loopback interface")
}

/// Any request.
pub(crate) fn send(sim: &Sim, method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Answer {
    let host = sim.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&host).unwrap();
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    socket.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> =
        lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let announced: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    Answer { status, headers, is_whole: body.len() == announced, text: body.to_owned() }
}

pub(crate) fn bearer(token: &str) -> [(&'static str, String); 1] {
    [("Authorization", format!("Bearer {token}"))]
}

/// A call of the application that every world has.
pub(crate) fn get(sim: &Sim, target: &str) -> Answer {
    send(sim, "GET", target, &bearer(&sim.token(CLIENT)), "")
}

/// A query of Resource Graph.
pub(crate) fn query(sim: &Sim, body: &Value) -> Answer {
    let target = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
    send(sim, "POST", target, &bearer(&sim.token(CLIENT)), &body.to_string())
}

/// A request for a token.
pub(crate) fn grant(sim: &Sim, tenant: &str, fields: &[(&str, &str)]) -> Answer {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", dewpoint_sim_kit::form::encode(value))).collect();
    let headers = [("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    send(sim, "POST", &format!("/{tenant}/oauth2/v2.0/token"), &headers, &fields.join("&"))
}

/// A request for a token with the secret that every world has.
pub(crate) fn log_in(sim: &Sim, scope: &str) -> Answer {
    let fields = [("grant_type", "client_credentials"), ("client_id", CLIENT), ("client_secret", CLIENT_SECRET), ("scope", scope)];
    grant(sim, TENANT, &fields)
}

/// The path and query of a link of this simulator's.
pub(crate) fn target(sim: &Sim, link: &str) -> String {
    link.strip_prefix(&sim.url()).unwrap_or_else(|| panic!("{link} leads elsewhere")).to_owned()
}

/// All pages of a list.
pub(crate) fn pages(sim: &Sim, first: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(at) = next {
        let answer = get(sim, &at);
        assert_eq!(answer.status, 200, "{at}: {}", answer.text);
        let page = answer.json();
        next = page["nextLink"].as_str().filter(|link| !link.is_empty()).map(|link| target(sim, link));
        pages.push(page);
        assert!(pages.len() < 1000, "it never ends");
    }
    pages
}

/// The items of all pages of a list.
pub(crate) fn items(sim: &Sim, first: &str) -> Vec<Value> {
    pages(sim, first).into_iter().flat_map(|page| page["value"].as_array().unwrap().clone()).collect()
}
