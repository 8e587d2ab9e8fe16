//! Driving the tenant over HTTP: what is below `/_sim/` beside what all simulators have.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{
    Request, Response,
    control::{done, json, read, refuse, unknown},
};
use serde::Deserialize;

use crate::{server::Server, tenant::Tenant};

/// The body of `POST /_sim/assets`: a new asset, or values of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    id: Option<i64>,
    r#type: Option<String>,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// The body of `POST` and `DELETE /_sim/relationships`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    parent: i64,
    child: i64,
    #[serde(default)]
    relationship_id: i64,
}

/// Answers a request.
pub(crate) fn answer(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "tenant") => return json(&server.state().tenant),
        ("PUT", "tenant") => {
            let tenant: Tenant = read(request)?;
            server.restore(tenant);
        }
        ("GET", "assets") => return json(&server.assets()),
        ("POST", "assets") => {
            let posted: Posted = read(request)?;
            return json(&server.edit(|tenant| write(tenant, &posted))?);
        }
        ("DELETE", _) if path.starts_with("assets/") => {
            let id = path.trim_start_matches("assets/").parse().map_err(|_| refuse(400, "not an id"))?;
            server.edit(|tenant| tenant.delete(id));
        }
        ("GET", "relationships") => return json(&server.relationships()),
        ("POST", "relationships") => {
            let Pair { parent, child, relationship_id } = read(request)?;
            server.edit(|tenant| tenant.relate(parent, child, relationship_id));
        }
        ("DELETE", "relationships") => {
            let Pair { parent, child, .. } = read(request)?;
            server.edit(|tenant| tenant.unrelate(parent, child));
        }
        ("GET", "unknown-properties") => return json(&server.unknown_properties()),
        ("POST", "expire-tokens") => server.expire_tokens(),
        _ => return unknown(),
    }
    done()
}

fn write(tenant: &mut Tenant, posted: &Posted) -> Result<i64, Response> {
    if let Some(id) = posted.id {
        for (field, value) in &posted.values {
            tenant.set(id, field, value);
        }
        return Ok(id);
    }
    let type_id = posted.r#type.as_deref().and_then(|name| tenant.type_named(name)).ok_or_else(|| refuse(400, "no such type"))?;
    let values: Vec<(&str, &str)> = posted.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(tenant.insert(type_id, &posted.tag, &values))
}
