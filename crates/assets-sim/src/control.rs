//! Driving the site over HTTP: what is below `/_sim/` beside what all simulators have.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{
    Request, Response,
    control::{done, json, read, refuse, unknown},
};
use serde::Deserialize;

use crate::{server::Server, site::Site};

/// The body of `POST /_sim/objects`: a new object of a type, or changes of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    type_id: Option<u64>,
    id: Option<u64>,
    values: Vec<(String, String)>,
}

/// Answers a request.
pub(crate) fn answer(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "objects") => {
            let state = server.state();
            let site = &state.site;
            let rows: BTreeMap<&str, _> = site.objects().map(|object| (object.key.as_str(), site.row(object))).collect();
            return json(&rows);
        }
        ("GET", "site") => return json(&server.state().site),
        ("PUT", "site") => {
            let site: Site = read(request)?;
            server.restore(site);
        }
        ("POST", "objects") => {
            let Record { type_id, id, values } = read(request)?;
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            return match (type_id, id) {
                (Some(type_id), None) => json(&server.edit(|site| site.insert(type_id, &values))),
                (None, Some(id)) => {
                    server.edit(|site| site.change(id, &values));
                    json(&id)
                }
                _ => Err(refuse(400, "either a type_id or an id")),
            };
        }
        ("DELETE", _) if path.starts_with("objects/") => {
            let id = path.trim_start_matches("objects/").parse().map_err(|_| refuse(400, "no number"))?;
            server.edit(|site| site.delete(id));
        }
        ("POST", "revoke-tokens") => server.revoke_tokens(),
        _ => return unknown(),
    }
    done()
}
