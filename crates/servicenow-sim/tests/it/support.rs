//! A client that does only what a test says: one connection per request, no retries, no cookies.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_servicenow_sim::{Clock, Instance, Sim, Start};
use serde_json::{Value, json};

/// The time at which all tests begin.
pub(crate) const START: &str = "2026-06-01T10:00:00Z";

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

    pub(crate) fn result(&self) -> Value {
        self.json()["result"].clone()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A simulator with a data source `CloudBridge`, a clock that stands, and answers in the order of their questions.
pub(crate) fn start() -> Sim {
    start_with(Instance::new().with_data_source("CloudBridge"), |_| {})
}

pub(crate) fn start_with(instance: Instance, change: impl FnOnce(&mut Start)) -> Sim {
    let mut start = Start::new(instance);
    start.clock = Clock::manual(START.parse().unwrap());
    start.settings.shuffle_output = false;
    start.settings.sparse_output = false;
    change(&mut start);
    Sim::start_with(start).expect("a port on the loopback interface")
}

pub(crate) fn basic(user: &str) -> (&'static str, String) {
    ("Authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{user}-password"))))
}

/// Any request.
pub(crate) fn send(sim: &Sim, method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Answer {
    try_send(&sim.url(), method, target, headers, body).unwrap()
}

pub(crate) fn try_send(url: &str, method: &str, target: &str, headers: &[(&str, String)], body: &str) -> std::io::Result<Answer> {
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
    Ok(Answer { status, headers, is_whole: body.len() == announced, text: body.to_owned() })
}

/// A request of the integration user, with JSON.
pub(crate) fn call(sim: &Sim, method: &str, target: &str, body: &Value) -> Answer {
    call_as(sim, "integration", method, target, body)
}

pub(crate) fn call_as(sim: &Sim, user: &str, method: &str, target: &str, body: &Value) -> Answer {
    let headers = [basic(user), ("Accept", "application/json".to_owned()), ("Content-Type", "application/json".to_owned())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(sim, method, target, &headers, &body)
}

pub(crate) fn get(sim: &Sim, target: &str) -> Answer {
    call(sim, "GET", target, &Value::Null)
}

/// Asks again and again, for a minute at most.
#[track_caller]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The options that the notes advise: what is good is committed, nothing is parked.
pub(crate) const VISIBLE: &str = "partial_payloads:false,partial_commits:true,deduplicate_payloads:true,generate_summary:true";

/// A payload to the enhanced endpoint; gives the result.
pub(crate) fn enhanced(sim: &Sim, options: &str, payload: &Value) -> Value {
    let answer =
        call(sim, "POST", &format!("/api/now/identifyreconcile/enhanced?sysparm_data_source=CloudBridge&options={options}"), payload);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.result()
}

/// The operations of the items, in the order of the payload.
pub(crate) fn operations(result: &Value) -> Vec<&str> {
    result["items"].as_array().unwrap().iter().map(|item| item["operation"].as_str().unwrap()).collect()
}

/// The first error of each item.
pub(crate) fn errors(result: &Value) -> Vec<&str> {
    result["items"].as_array().unwrap().iter().map(|item| item["errors"][0]["error"].as_str().unwrap_or("")).collect()
}

pub(crate) fn account() -> Value {
    json!({"className": "cmdb_ci_cloud_service_account", "internal_id": "account",
        "values": {"name": "production", "account_id": "111122223333", "object_id": "111122223333", "datacenter_type": "cmdb_ci_aws_datacenter"},
        "sys_object_source_info": source("111122223333")})
}

pub(crate) fn datacenter() -> Value {
    json!({"className": "cmdb_ci_aws_datacenter", "internal_id": "dc",
        "values": {"name": "eu-west-1", "object_id": "eu-west-1", "region": "eu-west-1"},
        "sys_object_source_info": source("111122223333/eu-west-1")})
}

pub(crate) fn machine(id: &str, name: &str) -> Value {
    json!({"className": "cmdb_ci_vm_instance", "internal_id": id,
        "values": {"name": name, "object_id": id, "vm_inst_id": id, "cpus": "2", "memory": "4096", "state": "On"},
        "sys_object_source_info": source(id)})
}

pub(crate) fn source(key: &str) -> Value {
    json!({"source_name": "CloudBridge", "source_feed": "ec2", "source_native_key": key})
}

pub(crate) fn hosted(guest: &str, host: &str) -> Value {
    json!({"type": "Hosted on::Hosts", "parent_id": guest, "child_id": host})
}

/// Account, datacenter and these machines, with all relations.
pub(crate) fn chain(machines: &[(&str, &str)]) -> Value {
    let mut items = vec![account(), datacenter()];
    let mut relations = vec![hosted("dc", "account")];
    for (id, name) in machines {
        items.push(machine(id, name));
        relations.push(hosted(id, "dc"));
    }
    json!({"items": items, "relations": relations})
}
