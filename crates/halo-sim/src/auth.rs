//! Who calls, and may they.

use std::collections::{BTreeSet, HashMap};

use dewpoint_sim_kit::{
    Request,
    clock::{later, seconds},
    hash::mix,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    parts::Application,
    query::Params,
    reply::{ApiError, Reply, Shape},
    settings::{Settings, TenantParameter},
    tenant::Tenant,
};

/// The scopes there are; what is not among them is no scope.
const SCOPES: [&str; 26] = [
    "all",
    "all:standard",
    "admin",
    "read:assets",
    "edit:assets",
    "read:customers",
    "edit:customers",
    "read:software",
    "edit:software",
    "read:softwarelicensing",
    "edit:softwarelicensing",
    "read:tickets",
    "edit:tickets",
    "read:crm",
    "edit:crm",
    "read:items",
    "edit:items",
    "read:suppliers",
    "edit:suppliers",
    "read:contracts",
    "edit:contracts",
    "read:kb",
    "edit:kb",
    "read:reporting",
    "edit:reporting",
    "read:calendar",
];

/// What a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A token, whatever its scopes.
    Token,
    ReadAssets,
    EditAssets,
    DeleteAssets,
    ReadCustomers,
    EditCustomers,
    /// Agents, teams and statuses: not for a token that was narrowed.
    ReadAll,
    Configure,
}

#[derive(Clone, Debug)]
struct Token {
    client_id: String,
    scopes: BTreeSet<String>,
    ends: Timestamp,
}

/// The tokens that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    alive: HashMap<String, Token>,
    made_count: u64,
}

impl Tokens {
    pub(crate) fn revoke_all(&mut self) {
        self.alive.clear();
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.alive.remove(token);
    }
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) application: Application,
    scopes: BTreeSet<String>,
    pub(crate) token: String,
}

impl Caller {
    /// Whether the caller sees this asset type.
    pub(crate) fn sees(&self, type_id: i64) -> bool {
        self.application.asset_types.as_ref().is_none_or(|types| types.contains(&type_id))
    }

    /// Whether scopes and identity are enough.
    pub(crate) fn check(&self, need: Need) -> Result<(), ApiError> {
        let has = |scopes: &[&str]| scopes.iter().any(|scope| self.scopes.contains(*scope));
        let application = &self.application;
        let is_enough = match need {
            Need::Token => true,
            Need::ReadAssets => has(&["all", "all:standard", "read:assets"]),
            Need::EditAssets => has(&["all", "all:standard", "edit:assets"]) && application.edits_assets,
            Need::DeleteAssets => has(&["all", "all:standard", "edit:assets"]) && application.deletes_assets,
            Need::ReadCustomers => has(&["all", "all:standard", "read:customers"]),
            Need::EditCustomers => has(&["all", "all:standard", "edit:customers"]),
            Need::ReadAll => has(&["all", "admin"]),
            Need::Configure => has(&["all", "admin"]) && application.administrator,
        };
        if is_enough { Ok(()) } else { Err(ApiError::forbidden()) }
    }
}

/// Lets a caller in, or not.
pub(crate) fn let_in(tenant: &Tenant, tokens: &Tokens, request: &Request, now: Timestamp) -> Result<Caller, ApiError> {
    let (scheme, text) = request.header("authorization").and_then(|value| value.split_once(' ')).ok_or_else(ApiError::unauthenticated)?;
    let token = tokens.alive.get(text.trim()).filter(|token| token.ends > now && scheme.eq_ignore_ascii_case("bearer"));
    let application = token.and_then(|token| tenant.applications.iter().find(|application| application.client_id == token.client_id));
    let (Some(token), Some(application)) = (token, application) else { return Err(ApiError::unauthenticated()) };
    let is_usable = application.agent_id.is_none_or(|id| tenant.agents.get(&id).is_some_and(|agent| !agent.disabled));
    if !is_usable {
        return Err(ApiError::unauthenticated());
    }
    Ok(Caller { application: application.clone(), scopes: token.scopes.clone(), token: text.trim().to_owned() })
}

/// Answers `POST /auth/token`.
pub(crate) fn token(
    tenant: &Tenant,
    tokens: &mut Tokens,
    settings: &Settings,
    request: &Request,
    now: Timestamp,
) -> Result<(String, Reply), ApiError> {
    let named = Params::parse(&request.query).text("tenant").to_owned();
    let is_right = match settings.tenant_parameter {
        TenantParameter::Required => named.eq_ignore_ascii_case(&tenant.name),
        TenantParameter::Optional => named.is_empty() || named.eq_ignore_ascii_case(&tenant.name),
        TenantParameter::Ignored => true,
    };
    if !is_right {
        return Err(ApiError::new(500, Shape::Page, "Runtime Error"));
    }
    if request.method != "POST" {
        return Err(ApiError::oauth(400, "invalid_request", "The specified HTTP method is not valid."));
    }
    let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return Err(ApiError::oauth(400, "invalid_request", "The specified 'Content-Type' header is not valid."));
    }
    let form = Params::parse(&String::from_utf8_lossy(&request.body));
    match form.text("grant_type") {
        "client_credentials" => {}
        "" => return Err(ApiError::oauth(400, "invalid_request", "The mandatory 'grant_type' parameter is missing.")),
        _ => return Err(ApiError::oauth(400, "unsupported_grant_type", "The specified 'grant_type' is not supported.")),
    }
    let known = tenant.applications.iter().find(|application| application.client_id == form.text("client_id"));
    let Some(application) = known.filter(|application| application.secret.is(form.text("client_secret"))) else {
        return Err(ApiError::oauth(401, "invalid_client", "The specified client credentials are invalid."));
    };
    let scope = form.text("scope");
    let scopes =
        granted(application, scope, settings).ok_or_else(|| ApiError::oauth(400, "invalid_scope", "The specified 'scope' is invalid."))?;
    tokens.alive.retain(|_, token| token.ends > now);
    tokens.made_count += 1;
    let [head, tail] = [1, 2].map(|part| mix(settings.seed ^ mix(tokens.made_count ^ (part << 32))));
    let text = format!("eyJ{head:016x}{tail:016x}");
    let life_s = application.token_life_s;
    let ends = later(now, seconds(life_s));
    tokens.alive.insert(text.clone(), Token { client_id: application.client_id.clone(), scopes, ends });
    let body = json!({"access_token": text, "token_type": "Bearer", "expires_in": life_s, "scope": scope});
    Ok((application.client_id.clone(), Reply::json(200, body)))
}

/// What a token for these scopes can do, or nothing when they cannot be had. `all` is all that the application has.
fn granted(application: &Application, scope: &str, settings: &Settings) -> Option<BTreeSet<String>> {
    let asked: Vec<&str> = scope.split(' ').filter(|scope| !scope.is_empty()).collect();
    if asked.is_empty() || (asked.len() > 1 && !settings.several_scopes) {
        return None;
    }
    let has = |scope: &str| {
        application.scopes.iter().any(|known| known == scope || known == "all" || (known == "all:standard" && scope != "admin"))
    };
    let mut scopes = BTreeSet::new();
    for scope in asked {
        match scope {
            "all" => scopes.extend(application.scopes.iter().cloned()),
            _ if SCOPES.contains(&scope) && has(scope) => drop(scopes.insert(scope.to_owned())),
            _ => return None,
        }
    }
    Some(scopes)
}
