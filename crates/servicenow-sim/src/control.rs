//! Driving the simulator over HTTP, for programs in other processes: everything below `/_sim/`, without credentials.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    fault::{Fault, Script},
    http::{Outcome, Request, Response},
    instance::Instance,
    log::Counters,
    server::Server,
    settings::Settings,
};

/// The body of `POST /_sim/advance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

/// The body of `POST /_sim/data-sources`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataSource {
    name: String,
}

/// The body of `POST /_sim/records`: a new record, or changes of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    table: Option<String>,
    sys_id: Option<String>,
    values: BTreeMap<String, String>,
}

/// Answers a request, the product's or our own.
pub(crate) async fn answer(server: Arc<Server>, request: Request) -> Outcome {
    match request.path.strip_prefix("/_sim/") {
        Some(path) => Outcome::whole(control(&server, &request, path).unwrap_or_else(|response| response)),
        None => server.answer(request).await,
    }
}

fn control(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "health") => {}
        ("GET", "calls") => return json(&server.state().calls),
        ("DELETE", "calls") => {
            let mut state = server.state();
            state.calls.clear();
            state.counters = Counters { in_engine: state.counters.in_engine, ..Counters::default() };
        }
        ("GET", "counters") => return json(&server.state().counters),
        ("GET", "faults") => return json(&server.state().script.faults()),
        ("PUT", "faults") => {
            let faults: Vec<Fault> = read(request)?;
            server.state().script = Script::new(faults);
        }
        ("DELETE", "faults") => server.state().script = Script::default(),
        ("GET", "settings") => return json(&server.state().settings),
        ("PUT", "settings") => {
            let settings: Settings = read(request)?;
            server.state().settings = settings;
        }
        ("GET", "tables") => return json(&server.state().instance.tables()),
        ("GET", "instance") => return json(&server.state().instance),
        ("PUT", "instance") => {
            let instance: Instance = read(request)?;
            server.state().instance = instance;
        }
        ("POST", "records") => {
            let Record { table, sys_id, values } = read(request)?;
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut state = server.state();
            return match (table, sys_id) {
                (Some(table), None) => json(&state.instance.insert(&table, &values)),
                (None, Some(sys_id)) => {
                    state.instance.update(&sys_id, &values);
                    json(&sys_id)
                }
                _ => Err(refuse(400, "either a table or a sys_id")),
            };
        }
        ("POST", "data-sources") => {
            let DataSource { name } = read(request)?;
            server.state().instance.add_data_source(&name);
        }
        ("DELETE", _) if path.starts_with("data-sources/") => {
            server.state().instance.remove_data_source(path.trim_start_matches("data-sources/"));
        }
        ("DELETE", _) if path.starts_with("records/") => server.state().instance.delete(path.trim_start_matches("records/")),
        ("PUT", "properties") => {
            let properties: BTreeMap<String, String> = read(request)?;
            server.state().instance.properties = properties;
        }
        ("POST", "advance") => {
            let Advance { seconds } = read(request)?;
            server.state().clock.advance(SignedDuration::from_secs(seconds));
        }
        ("POST", "revoke-tokens") => server.state().tokens.revoke_all(),
        ("POST", "revoke-access-tokens") => server.state().tokens.revoke_access(),
        ("GET", "certificate") => {
            let pem = server.authority.clone().ok_or_else(|| refuse(404, "it does not speak TLS"))?;
            return Ok(Response {
                status: 200,
                headers: vec![("Content-Type".to_owned(), "application/x-pem-file".to_owned())],
                body: pem.into(),
            });
        }
        _ => return Err(refuse(404, "no such control; see the crate's documentation")),
    }
    Ok(Response { status: 204, ..Response::default() })
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    serde_json::from_slice(&request.body).map_err(|error| refuse(400, &error.to_string()))
}

fn json(value: &impl serde::Serialize) -> Result<Response, Response> {
    let body = serde_json::to_vec(value).map_err(|error| refuse(500, &error.to_string()))?;
    Ok(Response { status: 200, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body })
}

fn refuse(status: u16, why: &str) -> Response {
    let body = serde_json::json!({ "error": why }).to_string().into_bytes();
    Response { status, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body }
}
