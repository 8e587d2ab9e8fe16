//! Who calls, and may they: API tokens, OAuth 2.0, personal access tokens, tokens of import sources.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_sim_kit::{Request, clock::later, hash::mix};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    reply::{ApiError, Reply, pairs},
    route::Base,
    site::{Role, Secret, Site, Token, User, uuid},
};

/// Somebody who was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account's id or key; empty for an import source.
    pub(crate) user: String,
    /// As the log has it.
    pub(crate) name: String,
    /// What the token is good for; anything when missing.
    pub(crate) scopes: Option<Vec<String>>,
    /// The OAuth access token that let them in.
    pub(crate) access: Option<String>,
    /// The import source whose token let them in.
    pub(crate) import: Option<String>,
}

impl Caller {
    pub(crate) fn user<'a>(&self, site: &'a Site) -> Option<&'a User> {
        site.users.iter().find(|user| user.id == self.user)
    }

    /// The role in a schema.
    pub(crate) fn role(&self, site: &Site, schema: u64) -> Option<Role> {
        if self.import.is_some() { Some(Role::Manager) } else { self.user(site)?.role(schema) }
    }

    pub(crate) fn is_admin(&self, site: &Site) -> bool {
        self.user(site).is_some_and(|user| user.admin)
    }

    /// Whether the token is good for this.
    pub(crate) fn check_scope(&self, scope: &str, status: u16) -> Result<(), ApiError> {
        let has = scope.is_empty() || self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|known| known == scope));
        let body = || json!({"code": status, "message": "Unauthorized; scope does not match"});
        if has { Ok(()) } else { Err(ApiError::with_body(status, body())) }
    }
}

#[derive(Clone, Debug)]
struct Access {
    token: String,
    user: String,
    scopes: Vec<String>,
    ends: Timestamp,
}

/// The OAuth access tokens that are alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    alive: Vec<Access>,
    made_count: u64,
}

impl Tokens {
    pub(crate) fn revoke_all(&mut self) {
        self.alive.clear();
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.alive.retain(|access| access.token != token);
    }
}

/// Lets a caller in, or not.
pub(crate) fn let_in(site: &Site, tokens: &Tokens, request: &Request, base: Base, now: Timestamp) -> Result<Caller, ApiError> {
    let header = request.header("authorization").ok_or_else(ApiError::unauthenticated)?;
    let (scheme, credentials) = header.split_once(' ').ok_or_else(ApiError::unauthenticated)?;
    let credentials = credentials.trim();
    match (scheme.to_ascii_lowercase().as_str(), site.is_cloud()) {
        ("basic", true) => {
            let (email, secret) = basic(credentials).ok_or_else(ApiError::unauthenticated)?;
            let user = site.users.iter().find(|user| user.active && user.email.eq_ignore_ascii_case(&email));
            let token = user.and_then(|user| token(user, &secret, now)).filter(|token| token.scopes.is_some() == base.is_ex());
            user.zip(token).map(|(user, token)| caller(site, user, token.scopes.clone())).ok_or_else(ApiError::unauthenticated)
        }
        ("bearer", true) if base.is_ex() => {
            if let Some(access) = tokens.alive.iter().find(|access| access.token == credentials && access.ends > now) {
                let user = site.users.iter().find(|user| user.active && user.id == access.user).ok_or_else(ApiError::unauthenticated)?;
                return Ok(Caller { access: Some(access.token.clone()), ..caller(site, user, Some(access.scopes.clone())) });
            }
            let found = site.users.iter().filter(|user| user.active).find_map(|user| Some((user, token(user, credentials, now)?)));
            let (user, token) = found.filter(|(_, token)| token.scopes.is_some()).ok_or_else(ApiError::unauthenticated)?;
            Ok(caller(site, user, token.scopes.clone()))
        }
        ("bearer", true) => {
            let source = site.imports.iter().find(|source| source.token.is(credentials)).ok_or_else(ApiError::unauthenticated)?;
            Ok(Caller { name: source.name.clone(), import: Some(source.id.clone()), ..Caller::default() })
        }
        ("bearer", false) => {
            let found = site.users.iter().filter(|user| user.active).find(|user| token(user, credentials, now).is_some());
            found.map(|user| caller(site, user, None)).ok_or_else(ApiError::unauthenticated)
        }
        ("basic", false) => {
            let (name, password) = basic(credentials).ok_or_else(ApiError::unauthenticated)?;
            if !site.basic {
                return Err(ApiError::forbidden("Basic Authentication has been disabled on this instance."));
            }
            let found = site.users.iter().find(|user| user.active && user.name == name && user.password.is(&password));
            found.map(|user| caller(site, user, None)).ok_or_else(ApiError::unauthenticated)
        }
        _ => Err(ApiError::unauthenticated()),
    }
}

fn basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    text.split_once(':').map(|(name, secret)| (name.to_owned(), secret.to_owned()))
}

fn token<'a>(user: &'a User, secret: &str, now: Timestamp) -> Option<&'a Token> {
    user.tokens.iter().find(|token| token.secret.is(secret) && token.expires.is_none_or(|expires| expires > now))
}

fn caller(site: &Site, user: &User, scopes: Option<Vec<String>>) -> Caller {
    let name = if site.is_cloud() { &user.email } else { &user.name };
    Caller { user: user.id.clone(), name: name.clone(), scopes, access: None, import: None }
}

/// Answers `POST /oauth/token`.
pub(crate) fn token_answer(site: &mut Site, tokens: &mut Tokens, request: &Request, now: Timestamp) -> Reply {
    if request.method != "POST" {
        return ApiError::new(405, "Method Not Allowed").into();
    }
    let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let body: Value = if is_form {
        json!(pairs(&String::from_utf8_lossy(&request.body)))
    } else {
        serde_json::from_slice(&request.body).unwrap_or_default()
    };
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let refuse = |status: u16, error: &str, why: &str| Reply::new(status, json!({"error": error, "error_description": why}));
    let seed = site.seed();
    let Some(client) = site.clients.iter_mut().find(|client| client.id == field("client_id") && client.secret.is(field("client_secret")))
    else {
        return refuse(401, "access_denied", "Unauthorized");
    };
    tokens.made_count += 1;
    let drawn =
        |what: u64| format!("{}{}", uuid(seed ^ what, tokens.made_count), uuid(mix(seed ^ what), tokens.made_count)).replace('-', "");
    let refreshed = match field("grant_type") {
        "client_credentials" if client.client_credentials => None,
        "refresh_token" => {
            if !client.refresh_token.as_ref().is_some_and(|known| known.is(field("refresh_token"))) {
                return refuse(403, "invalid_grant", "Unknown or invalid refresh token.");
            }
            let next = drawn(17);
            client.refresh_token = Some(Secret::new(&next));
            Some(next)
        }
        "client_credentials" => return refuse(403, "unauthorized_client", "Grant type 'client_credentials' not allowed for the client."),
        _ => return refuse(403, "unsupported_grant_type", "Unsupported grant type"),
    };
    let access = Access {
        token: drawn(19),
        user: client.user.clone(),
        scopes: client.scopes.clone(),
        ends: later(now, SignedDuration::from_secs(client.access_life_s)),
    };
    let mut body = json!({
        "access_token": access.token,
        "expires_in": client.access_life_s,
        "token_type": "Bearer",
        "scope": client.scopes.join(" "),
    });
    if let (Some(refreshed), Some(body)) = (refreshed, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), json!(refreshed));
    }
    tokens.alive.retain(|access| access.ends > now);
    tokens.alive.push(access);
    Reply::ok(body)
}
