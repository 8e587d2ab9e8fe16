//! Driving the instance over HTTP: what is below `/_sim/` beside what all simulators have.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{
    Request, Response,
    control::{done, json, read, refuse, unknown},
};
use serde::Deserialize;

use crate::{instance::Instance, server::Server};

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

/// Answers a request.
pub(crate) fn answer(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
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
        ("POST", "revoke-tokens") => server.state().tokens.revoke_all(),
        ("POST", "revoke-access-tokens") => server.state().tokens.revoke_access(),
        _ => return unknown(),
    }
    done()
}
