//! Entra: the token endpoint, what clients ask to find it, and the endpoints of managed identities.

mod assertion;
mod certificate;
mod managed;
mod token;

use dewpoint_sim_kit::{Outcome, Request, Response};
use serde_json::json;

pub(crate) use token::{Keys, TokenError};

use crate::{
    fault::{Effect, Target},
    query::{Query, decode_path},
    server::{Incoming, Server},
};

/// An error of the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
    /// As `invalid_client`.
    error: &'static str,
    /// The number behind `AADSTS`.
    number: u32,
    message: String,
}

impl Refusal {
    fn new(status: u16, error: &'static str, number: u32, message: impl Into<String>) -> Self {
        Self { status, error, number, message: message.into() }
    }
}

/// Answers what is Entra's or of a managed identity; `None` for all else.
pub(crate) fn answer(server: &Server, incoming: &mut Incoming<'_>) -> Option<Outcome> {
    let request = incoming.request;
    let path = decode_path(&request.path)?;
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let operation = match segments.as_slice() {
        ["metadata", "identity", "oauth2", "token"] => "imds",
        ["msi", "token"] => "appService",
        [_, "oauth2", "v2.0", "token"] => "token",
        ["common", "discovery", "instance"] => "discovery",
        [_, "v2.0", ".well-known", "openid-configuration"] => "openid",
        _ => return None,
    };
    operation.clone_into(&mut incoming.record.operation);
    let struck = {
        let mut state = server.state();
        let (now, seed) = (state.common.clock.now(), state.common.settings.seed);
        let target = Target { operation, subscription: "", path: &request.path, query: &request.query, page: 1 };
        state.common.script.strike(&target, now, seed)
    };
    let mishap = match struck.map(|fault| fault.effect) {
        Some(Effect::Error { status, code, message }) => {
            incoming.record.error = Some(code.clone());
            let number: Option<u32> = code.strip_prefix("AADSTS").and_then(|number| number.parse().ok());
            let numbers: Vec<u32> = number.into_iter().collect();
            let body =
                json!({"error": "temporarily_unavailable", "error_description": format!("{code}: {message}"), "error_codes": numbers});
            return Some(Outcome::whole(Response::of(status, "application/json; charset=utf-8", body.to_string())));
        }
        Some(Effect::Throttle { retry_after_s, .. }) => {
            let response = Response::of(429, "application/json", json!({"error": "too_many_requests"}).to_string());
            return Some(Outcome::whole(match retry_after_s {
                Some(wait) => response.header("Retry-After", wait.to_string()),
                None => response,
            }));
        }
        Some(Effect::Mishap(mishap)) => Some(mishap),
        _ => None,
    };
    if let Some(mishap) = mishap.as_ref().filter(|mishap| mishap.replaces()) {
        return Some(mishap.befall(Response::new(200)));
    }
    let tenant = segments.first().copied().unwrap_or_default();
    let response = match operation {
        "imds" => managed::imds(server, incoming),
        "appService" => managed::app_service(server, incoming),
        "token" => match token::grant(server, incoming, tenant) {
            Ok(response) => response,
            Err(refusal) => refused(incoming, server, &refusal),
        },
        "discovery" => discovery(incoming),
        _ => match known_tenant(server, tenant) {
            Ok(()) => openid(&incoming.base, tenant),
            Err(refusal) => refused(incoming, server, &refusal),
        },
    };
    Some(match mishap {
        Some(mishap) => mishap.befall(response),
        None => Outcome::whole(response),
    })
}

fn known_tenant(server: &Server, tenant: &str) -> Result<(), Refusal> {
    if server.state().estate.look().0.tenant.eq_ignore_ascii_case(tenant) {
        return Ok(());
    }
    let message =
        format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.");
    Err(Refusal::new(400, "invalid_request", 90002, message))
}

fn refused(incoming: &mut Incoming<'_>, server: &Server, refusal: &Refusal) -> Response {
    incoming.record.error = Some(format!("AADSTS{}", refusal.number));
    let now = server.state().common.clock.moving_now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let trace = crate::ids::guid(&["trace", &now]);
    let body = json!({
        "error": refusal.error,
        "error_description": format!("AADSTS{}: {} Trace ID: {trace} Correlation ID: {trace} Timestamp: {now}", refusal.number, refusal.message),
        "error_codes": [refusal.number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": trace,
        "error_uri": format!("{}/error?code={}", incoming.base, refusal.number),
    });
    Response::of(refusal.status, "application/json; charset=utf-8", body.to_string()).header("Cache-Control", "no-store, no-cache")
}

/// What MSAL asks first, to learn whether an authority is known.
fn discovery(incoming: &Incoming<'_>) -> Response {
    let query = Query::parse(&incoming.request.query).unwrap_or_default();
    let host = incoming.base.split_once("://").map_or("", |(_, host)| host);
    let endpoint = query.get("authorization_endpoint").unwrap_or_default();
    let Some(path) = endpoint
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_prefix(host))
        .and_then(|path| path.strip_suffix("/oauth2/v2.0/authorize"))
    else {
        let body =
            json!({"error": "invalid_instance", "error_description": "AADSTS50049: Unknown or invalid instance.", "error_codes": [50049]});
        return Response::of(400, "application/json", body.to_string());
    };
    let body = json!({
        "tenant_discovery_endpoint": format!("{}{path}/v2.0/.well-known/openid-configuration", incoming.base),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    });
    Response::of(200, "application/json", body.to_string())
}

fn openid(base: &str, tenant: &str) -> Response {
    let body = json!({
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{base}/{tenant}/v2.0"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
        "tenant_region_scope": "EU",
    });
    Response::of(200, "application/json; charset=utf-8", body.to_string())
}

/// What a cloud of its own says of itself, as Azure Stack Hub does.
pub(crate) fn endpoints(base: &str, audiences: &[String]) -> Response {
    let body = json!({
        "galleryEndpoint": base,
        "graphEndpoint": base,
        "portalEndpoint": base,
        "authentication": {"loginEndpoint": format!("{base}/"), "audiences": audiences},
    });
    Response::of(200, "application/json; charset=utf-8", body.to_string())
}

/// Whether a request is of this method; 405 otherwise.
fn wants(request: &Request, method: &str) -> Result<(), Response> {
    if request.method == method { Ok(()) } else { Err(Response::new(405).header("Allow", method)) }
}
