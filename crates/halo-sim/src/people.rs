//! Agents, teams and users: who owns what.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    configuration::{active, paged},
    parts::{Agent, Team, User},
    reply::{ApiError, Reply},
    route::Entity,
    tenant::Tenant,
};

/// Answers a list.
pub(crate) fn list(call: &Call<'_>, entity: Entity) -> Result<Reply, ApiError> {
    let (tenant, params) = (&*call.tenant, call.params);
    let search = params.text("search").trim().to_lowercase();
    match entity {
        Entity::Agent => {
            let (disabled, apis, all) = (params.flag("includedisabled")?, params.flag("includeapiagents")?, params.flag("showall")?);
            let found = |text: &str| text.to_lowercase().contains(&search);
            let seen = tenant.agents.iter().filter(|(_, agent)| {
                (all || disabled || !agent.disabled)
                    && (all || apis || !agent.is_api)
                    && (search.is_empty() || found(&agent.name) || found(&agent.email))
            });
            Ok(Reply::json(200, seen.map(|(id, found)| agent(*id, found)).collect()))
        }
        Entity::Team => {
            let disabled = params.flag("includedisabled")? || params.flag("showall")?;
            let seen = tenant.teams.iter().filter(|(_, team)| disabled || !team.inactive);
            Ok(Reply::json(200, seen.map(|(id, found)| team(*id, found)).collect()))
        }
        Entity::Users => {
            let seen = active(call)?;
            let (site, client) = (params.int("site_id")?, params.int("client_id")?);
            let client_of = |user: &User| tenant.sites.get(&user.site_id).map_or(0, |site| site.client_id);
            let is_at = |user: &User| site.is_none_or(|site| site == user.site_id) && client.is_none_or(|client| client == client_of(user));
            let found = tenant.users.iter().filter(|(_, user)| seen(user.inactive) && is_at(user)).map(|(id, user)| (*id, user));
            paged(call, "users", found.collect(), |(id, found)| user(tenant, id, found))
        }
        _ => Err(ApiError::missing()),
    }
}

/// Answers for one.
pub(crate) fn get(call: &Call<'_>, entity: Entity, id: i64) -> Result<Reply, ApiError> {
    let tenant = &*call.tenant;
    let row = match entity {
        Entity::Agent => tenant.agents.get(&id).map(|found| agent(id, found)),
        Entity::Team => tenant.teams.get(&id).map(|found| team(id, found)),
        Entity::Users => tenant.users.get(&id).map(|found| Value::Object(user(tenant, id, found))),
        _ => None,
    };
    row.map(|row| Reply::json(200, row)).ok_or_else(ApiError::missing)
}

/// Answers `GET /api/Agent/me`: the claims of the token.
pub(crate) fn me(call: &Call<'_>) -> Reply {
    let application = &call.caller.application;
    let mut claims = vec![json!({"type": "client_id", "value": application.client_id})];
    if let Some(found) = application.agent_id.and_then(|id| call.tenant.agents.get(&id)) {
        claims.push(json!({"type": "name", "value": found.name}));
    }
    Reply::json(200, json!({ "claims": claims }))
}

fn agent(id: i64, agent: &Agent) -> Value {
    json!({"id": id, "name": agent.name, "email": agent.email, "team": agent.team, "isdisabled": agent.disabled, "isapiagent": agent.is_api,
        "is_agent": true, "use": "agent"})
}

fn team(id: i64, team: &Team) -> Value {
    json!({"id": id, "name": team.name, "inactive": team.inactive, "sequence": id, "forrequests": true, "use": "team"})
}

fn user(tenant: &Tenant, id: i64, user: &User) -> Map<String, Value> {
    let site = tenant.sites.get(&user.site_id);
    let client = site.and_then(|site| tenant.clients.get(&site.client_id));
    Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("name".to_owned(), json!(user.name)),
        ("emailaddress".to_owned(), json!(user.email)),
        ("site_id".to_owned(), json!(i32::try_from(user.site_id).map_or(0.0, f64::from))),
        ("site_id_int".to_owned(), json!(user.site_id)),
        ("site_name".to_owned(), json!(site.map_or("", |site| site.name.as_str()))),
        ("client_name".to_owned(), json!(client.map_or("", |client| client.name.as_str()))),
        ("inactive".to_owned(), json!(user.inactive)),
        ("use".to_owned(), json!("user")),
    ])
}
