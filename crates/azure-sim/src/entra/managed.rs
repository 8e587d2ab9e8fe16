//! The endpoints of managed identities: of the instance metadata service, and of App Service.

use dewpoint_sim_kit::{Response, clock};
use serde_json::json;

use super::{token::resource_named, wants};
use crate::{
    query::Query,
    server::{Incoming, Server},
    world::Application,
};

const IMDS_VERSIONS: [&str; 4] = ["2018-02-01", "2019-08-01", "2019-11-01", "2021-02-01"];
const APP_SERVICE_VERSIONS: [&str; 2] = ["2019-08-01", "2017-09-01"];

/// `/metadata/identity/oauth2/token`.
pub(super) fn imds(server: &Server, incoming: &mut Incoming<'_>) -> Response {
    let request = incoming.request;
    if let Err(response) = wants(request, "GET") {
        return response;
    }
    if request.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return refused(incoming, 400, "invalid_request", "Required metadata header not specified");
    }
    // It is never asked through a proxy.
    if request.header("x-forwarded-for").is_some() {
        return refused(incoming, 400, "invalid_request", "Forwarded requests are not served");
    }
    let Ok(query) = Query::parse(&request.query) else { return refused(incoming, 400, "invalid_request", "Bad query") };
    if !query.get("api-version").is_some_and(|version| IMDS_VERSIONS.contains(&version)) {
        return refused(incoming, 400, "bad_request_102", "api-version was not specified or unsupported");
    }
    give(server, incoming, &query, false)
}

/// `$IDENTITY_ENDPOINT` of App Service and Container Apps: `/msi/token` here.
pub(super) fn app_service(server: &Server, incoming: &mut Incoming<'_>) -> Response {
    let request = incoming.request;
    if let Err(response) = wants(request, "GET") {
        return response;
    }
    let wanted = server.state().common.settings.identity_header.clone();
    if request.header("x-identity-header") != Some(&wanted) {
        return refused(incoming, 401, "unauthorized", "The header X-IDENTITY-HEADER is missing or wrong");
    }
    let Ok(query) = Query::parse(&request.query) else { return refused(incoming, 400, "invalid_request", "Bad query") };
    if !query.get("api-version").is_some_and(|version| APP_SERVICE_VERSIONS.contains(&version)) {
        return refused(incoming, 400, "invalid_request", "api-version was not specified or unsupported");
    }
    give(server, incoming, &query, true)
}

fn give(server: &Server, incoming: &mut Incoming<'_>, query: &Query, is_app_service: bool) -> Response {
    let state = server.state();
    let settings = &state.common.settings;
    let (world, _) = state.estate.look();
    let Some(resource) = query.get("resource") else {
        return refused(incoming, 400, "invalid_request", "Required query variable 'resource' is missing");
    };
    let Some(audience) = resource_named(resource, &settings.audiences) else {
        return refused(
            incoming,
            400,
            "invalid_resource",
            &format!("AADSTS500011: The resource principal named {resource} was not found in the tenant"),
        );
    };
    let ids: Vec<(&str, &str)> = ["client_id", "object_id", "principal_id", "msi_res_id", "mi_res_id"]
        .into_iter()
        .filter_map(|name| query.get(name).map(|value| (name, value)))
        .collect();
    let managed = world.applications.iter().filter(|(_, found)| found.managed);
    let is_meant = |(client, found): &(&String, &Application)| match ids.as_slice() {
        [] => found.resource_id.is_none(),
        [("client_id", id)] => client.eq_ignore_ascii_case(id),
        [("object_id" | "principal_id", id)] => found.object_id.eq_ignore_ascii_case(id),
        [(_, id)] => found.resource_id.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(id)),
        _ => false,
    };
    let mut meant: Vec<_> = managed.clone().filter(is_meant).collect();
    // Without an identity of the machine's own, the only one of a user's is meant.
    if meant.is_empty() && ids.is_empty() {
        meant = managed.collect();
    }
    let (client, application) = match meant.as_slice() {
        [one] => *one,
        [] => return refused(incoming, 400, "invalid_request", "Identity not found"),
        _ => {
            let why =
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request";
            return refused(incoming, 400, "invalid_request", why);
        }
    };
    incoming.record.client.clone_from(client);
    let now = state.common.clock.moving_now();
    let token = state.keys().issue(client, &application.object_id, &audience, now, settings.token_life_s);
    let end = clock::later(now, clock::seconds(settings.token_life_s));
    let on = if is_app_service && settings.identity_dates {
        end.strftime("%m/%d/%Y %H:%M:%S +00:00").to_string()
    } else {
        end.as_second().to_string()
    };
    let left = settings.token_life_s.saturating_sub(1).to_string();
    let mut body = json!({"access_token": token, "client_id": client, "expires_on": on, "resource": resource, "token_type": "Bearer"});
    if !is_app_service {
        crate::render::put(&mut body, "expires_in", Some(left.clone()));
        crate::render::put(&mut body, "ext_expires_in", Some(left));
        crate::render::put(&mut body, "not_before", Some(now.as_second().to_string()));
    }
    Response::of(200, "application/json; charset=utf-8", body.to_string())
}

fn refused(incoming: &mut Incoming<'_>, status: u16, error: &str, why: &str) -> Response {
    incoming.record.error = Some(error.to_owned());
    Response::of(status, "application/json; charset=utf-8", json!({"error": error, "error_description": why}).to_string())
}
