//! Who calls, and may they: basic authentication, tokens, API keys.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_sim_kit::{Request, clock::later, hash::mix};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    hash::sys_id,
    instance::{CLIENT_CREDENTIALS, Instance, PASSWORD_GRANT_OFF},
    reply::{ApiError, Reply, pairs},
};

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_name: String,
    pub(crate) roles: Vec<String>,
    /// The access token that let them in.
    pub(crate) token: Option<String>,
}

impl Caller {
    /// Whether they have one of these roles.
    pub(crate) fn has(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| role == "admin" || roles.contains(&role.as_str()))
    }
}

#[derive(Clone, Debug)]
struct Token {
    access: String,
    refresh: Option<String>,
    client: String,
    user_name: String,
    grant: &'static str,
    access_ends: Timestamp,
    refresh_ends: Timestamp,
}

/// The tokens that are alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    tokens: Vec<Token>,
    made_count: u64,
}

impl Tokens {
    /// Ends all tokens, refresh tokens too.
    pub(crate) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    /// Ends one access token; its refresh token lives.
    pub(crate) fn revoke(&mut self, access: &str) {
        for token in &mut self.tokens {
            if token.access == access {
                token.access.clear();
            }
        }
    }

    /// Ends all access tokens; refresh tokens live.
    pub(crate) fn revoke_access(&mut self) {
        for token in &mut self.tokens {
            token.access.clear();
        }
    }

    fn user_of(&self, access: &str, now: Timestamp) -> Option<&str> {
        self.tokens
            .iter()
            .find(|token| !access.is_empty() && token.access == access && token.access_ends > now)
            .map(|token| token.user_name.as_str())
    }
}

/// Lets a caller in, or not.
pub(crate) fn let_in(instance: &Instance, tokens: &Tokens, request: &Request, api: &str, now: Timestamp) -> Result<Caller, ApiError> {
    let query = pairs(&request.query);
    let key_in_query = query.get("x-sn-apikey").map(String::as_str);
    if let Some(key) = request.header("x-sn-apikey").or(key_in_query) {
        let known = instance.api_keys.iter().find(|known| {
            known.key.is(key)
                && known.expires.is_none_or(|expires| expires > now)
                && (request.header("x-sn-apikey").is_some() || known.in_query)
                && known.policies.iter().any(|policy| policy == "*" || policy == api)
        });
        return known.and_then(|known| caller(instance, &known.user_name)).ok_or_else(ApiError::unauthenticated);
    }
    let (scheme, credentials) =
        request.header("authorization").and_then(|value| value.split_once(' ')).ok_or_else(ApiError::unauthenticated)?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => {
            let access = credentials.trim();
            let user_name = tokens.user_of(access, now).ok_or_else(ApiError::unauthenticated)?;
            let caller = caller(instance, user_name).ok_or_else(ApiError::unauthenticated)?;
            Ok(Caller { token: Some(access.to_owned()), ..caller })
        }
        "basic" => {
            let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let (name, password) = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(ApiError::unauthenticated)?;
            let user = instance
                .users
                .iter()
                .find(|user| user.user_name == name && user.password.is(password) && !user.basic_refused)
                .ok_or_else(ApiError::unauthenticated)?;
            if user.mfa {
                return Err(ApiError::unauthenticated().header("X-MFA_TOKEN", "invalid"));
            }
            caller(instance, name).ok_or_else(ApiError::unauthenticated)
        }
        _ => Err(ApiError::unauthenticated()),
    }
}

/// The user, if active and not locked out.
fn caller(instance: &Instance, user_name: &str) -> Option<Caller> {
    let user = instance.users.iter().find(|user| user.user_name == user_name)?;
    let is_usable = instance
        .store
        .having("user_name", user_name)
        .any(|(_, row)| row.table == "sys_user" && row.get("active") == "true" && row.get("locked_out") != "true");
    is_usable.then(|| Caller { user_name: user_name.to_owned(), roles: user.roles.clone(), token: None })
}

/// Answers `POST /oauth_token.do`.
pub(crate) fn token(instance: &Instance, tokens: &mut Tokens, request: &Request, seed: u64, now: Timestamp) -> Reply {
    if request.method != "POST" {
        return ApiError::method().into();
    }
    let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        // The product does not say what is wrong.
        return refuse("invalid_request", "The request is missing a required parameter");
    }
    let form = pairs(&String::from_utf8_lossy(&request.body));
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let basic = request.header("authorization").and_then(|value| value.strip_prefix("Basic ")).and_then(|text| STANDARD.decode(text).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (id, secret) = match field("client_id") {
        "" => basic.split_once(':').unwrap_or_default(),
        id if field("client_secret").is_empty() => (id, basic.split_once(':').unwrap_or_default().1),
        id => (id, field("client_secret")),
    };
    let Some(client) = instance.clients.iter().find(|client| client.id == id && client.secret.is(secret)) else {
        return refuse("invalid_client", "client authentication failed");
    };
    let denied = || refuse("access_denied", "access_denied");
    let (user_name, grant): (String, &'static str) = match field("grant_type") {
        "client_credentials" => match &client.application_user {
            Some(user) if instance.is_on(CLIENT_CREDENTIALS, false) => (user.clone(), "client_credentials"),
            _ => return refuse("unauthorized_client", "the client credentials grant is not enabled"),
        },
        "password" => {
            let is_known = instance.users.iter().any(|user| user.user_name == field("username") && user.password.is(field("password")));
            if !is_known || instance.is_on(PASSWORD_GRANT_OFF, false) {
                return denied();
            }
            (field("username").to_owned(), "password")
        }
        "refresh_token" => {
            let known = tokens.tokens.iter().find(|token| {
                token.refresh.as_deref() == Some(field("refresh_token")) && token.client == client.id && token.refresh_ends > now
            });
            match known {
                Some(token) => (token.user_name.clone(), "password"),
                None => return refuse("invalid_grant", "The refresh token is invalid or expired"),
            }
        }
        _ => return refuse("unsupported_grant_type", "the grant type is not supported"),
    };
    if caller(instance, &user_name).is_none() {
        return denied();
    }
    tokens.tokens.retain(|token| token.access_ends > now || (token.refresh.is_some() && token.refresh_ends > now));
    let live = tokens
        .tokens
        .iter()
        .find(|token| {
            token.client == client.id
                && token.user_name == user_name
                && token.grant == grant
                && !token.access.is_empty()
                && token.access_ends > now
        })
        .cloned();
    let token = live.unwrap_or_else(|| {
        tokens.made_count += 1;
        let made = mix(tokens.made_count);
        let kept = tokens.tokens.iter().find(|token| token.client == client.id && token.user_name == user_name && token.grant == grant);
        let refresh = kept.map_or_else(|| sys_id(seed ^ 0x7e57, made), |token| token.refresh.clone().unwrap_or_default());
        let refresh_ends = kept.map_or_else(|| later(now, SignedDuration::from_secs(client.refresh_life_s)), |token| token.refresh_ends);
        let token = Token {
            access: format!("{}-{}", sys_id(seed ^ 0xacce, made), &sys_id(seed ^ 0x55, made)),
            refresh: (grant == "password").then_some(refresh),
            client: client.id.clone(),
            user_name: user_name.clone(),
            grant,
            access_ends: later(now, SignedDuration::from_secs(client.access_life_s)),
            refresh_ends,
        };
        tokens.tokens.retain(|old| !(old.client == token.client && old.user_name == token.user_name && old.grant == token.grant));
        tokens.tokens.push(token.clone());
        token
    });
    let expires_in = token.access_ends.duration_since(now).as_secs().saturating_sub(1).max(0);
    let mut body = json!({"access_token": token.access, "scope": "useraccount", "token_type": "Bearer", "expires_in": expires_in});
    if let (Some(refresh), Some(body)) = (&token.refresh, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), json!(refresh));
    }
    Reply::new(200, body)
}

fn refuse(error: &str, description: &str) -> Reply {
    Reply::new(401, json!({"error": error, "error_description": description}))
}
