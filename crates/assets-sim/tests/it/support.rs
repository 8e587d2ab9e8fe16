//! A client that does only what a test says: one connection per request, no retries.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_assets_sim::{Attribute, Clock, Sim, Site, Start};
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

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The errors by attribute or field.
    pub(crate) fn errors(&self) -> BTreeMap<String, String> {
        assert_eq!(self.status, 400, "{}", self.text);
        serde_json::from_value(self.json()["errors"].clone()).unwrap()
    }
}

/// What a test works with.
pub(crate) struct World {
    pub(crate) sim: Sim,
    /// The schema `CLOUD`.
    pub(crate) schema: u64,
    /// The type `Security Group`.
    pub(crate) group: u64,
    /// The type `Instance`.
    pub(crate) instance: u64,
}

/// A site with a schema, security groups, and instances with an attribute of each kind.
pub(crate) fn filled(mut site: Site) -> (Site, [u64; 3]) {
    site = site.with_common_names().with_schema("CLOUD");
    let schema = site.schema("CLOUD").unwrap().id;
    let group = site.add_type(schema, "Security Group", None);
    site.add_attribute(group, Attribute::text("Group ID").unique());
    let instance = site.add_type(schema, "Instance", None);
    site.add_attribute(instance, Attribute::text("Provider ID").unique());
    site.add_attribute(instance, Attribute::references("Security Groups", group));
    site.add_attribute(instance, Attribute::status("Lifecycle"));
    site.add_attribute(instance, Attribute::select("State", &["running", "stopped"]));
    (site, [schema, group, instance])
}

/// The same, served; its clock stands, and what is left to chance is not.
pub(crate) fn start() -> World {
    start_with(Site::new(), |_| {})
}

pub(crate) fn start_with(site: Site, change: impl FnOnce(&mut Start)) -> World {
    let (site, [schema, group, instance]) = filled(site);
    let mut start = Start::new(site);
    start.clock = Clock::manual(START.parse().unwrap());
    start.settings.unordered_pages = false;
    start.settings.unordered_values = false;
    change(&mut start);
    let sim = Sim::start_with(start).expect("a port on the loopback interface");
    World { sim, schema, group, instance }
}

pub(crate) fn basic(user: &str) -> (&'static str, String) {
    ("Authorization", format!("Basic {}", STANDARD.encode(format!("{user}@example.com:{user}-token"))))
}

pub(crate) fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

/// Any request.
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

impl World {
    /// The interface of Assets.
    pub(crate) fn api(&self) -> String {
        self.sim.edit(|site| match site.deployment {
            dewpoint_assets_sim::Deployment::Cloud => format!("/jsm/assets/workspace/{}/v1", site.workspace_id),
            dewpoint_assets_sim::Deployment::DataCenter => "/rest/assets/1.0".to_owned(),
        })
    }

    fn log_in(&self, user: &str) -> (&'static str, String) {
        match self.sim.edit(|site| site.deployment) {
            dewpoint_assets_sim::Deployment::Cloud => basic(user),
            dewpoint_assets_sim::Deployment::DataCenter => bearer(&format!("{user}-token")),
        }
    }

    /// Any request with credentials; what has no slash before it is of the interface of Assets.
    pub(crate) fn send(&self, credentials: (&str, String), method: &str, target: &str, body: &Value) -> Answer {
        let target = if target.starts_with('/') { target.to_owned() } else { format!("{}/{target}", self.api()) };
        let headers = [credentials, ("Accept", "application/json".to_owned()), ("Content-Type", "application/json".to_owned())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        try_send(&self.sim.url(), method, &target, &headers, &body).unwrap()
    }

    /// A request of somebody's.
    pub(crate) fn call_as(&self, user: &str, method: &str, target: &str, body: &Value) -> Answer {
        self.send(self.log_in(user), method, target, body)
    }

    /// A request of the integration user's.
    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Answer {
        self.call_as("integration", method, target, body)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call("GET", target, &Value::Null)
    }

    /// An attribute's number.
    pub(crate) fn attribute(&self, type_id: u64, name: &str) -> u64 {
        self.sim.edit(|site| site.attribute(type_id, name).unwrap_or_else(|| panic!("no attribute {name}")).id)
    }

    /// An id as bodies have it.
    pub(crate) fn id(&self, id: u64) -> Value {
        match self.sim.edit(|site| site.deployment) {
            dewpoint_assets_sim::Deployment::Cloud => json!(id.to_string()),
            dewpoint_assets_sim::Deployment::DataCenter => json!(id),
        }
    }

    /// The body of an object.
    pub(crate) fn body(&self, type_id: u64, values: &[(&str, &[&str])]) -> Value {
        let attributes: Vec<Value> = values
            .iter()
            .map(|(name, values)| {
                let values: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
                json!({"objectTypeAttributeId": self.id(self.attribute(type_id, name)), "objectAttributeValues": values})
            })
            .collect();
        json!({"objectTypeId": self.id(type_id), "attributes": attributes})
    }

    pub(crate) fn create(&self, type_id: u64, values: &[(&str, &[&str])]) -> Answer {
        self.call("POST", "object/create", &self.body(type_id, values))
    }

    /// Makes an object and gives its number.
    #[track_caller]
    pub(crate) fn created(&self, type_id: u64, values: &[(&str, &[&str])]) -> u64 {
        let answer = self.create(type_id, values);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let id = answer.json()["id"].clone();
        id.as_u64().or_else(|| id.as_str()?.parse().ok()).unwrap()
    }

    pub(crate) fn update(&self, id: u64, type_id: u64, values: &[(&str, &[&str])]) -> Answer {
        self.call("PUT", &format!("object/{id}"), &self.body(type_id, values))
    }

    /// What an object has, as people see it.
    pub(crate) fn row(&self, id: u64) -> BTreeMap<String, Vec<String>> {
        self.sim.edit(|site| site.row(site.get(id).unwrap()))
    }

    pub(crate) fn aql(&self, query: &str) -> Answer {
        self.call("POST", "object/aql?maxResults=100", &json!({"qlQuery": query}))
    }

    /// The labels of what a query finds.
    #[track_caller]
    pub(crate) fn found(&self, query: &str) -> Vec<String> {
        let answer = self.aql(query);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let body = answer.json();
        body["values"].as_array().unwrap().iter().map(|object| object["label"].as_str().unwrap().to_owned()).collect()
    }
}
