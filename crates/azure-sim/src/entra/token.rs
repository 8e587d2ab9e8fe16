//! Access tokens, and the endpoint that gives them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dewpoint_sim_kit::{Response, clock, form, hash::mix};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, assertion, known_tenant, wants};
use crate::{
    server::{Incoming, Server},
    world::Application,
};

/// The resources that tokens can be asked for, beside those that Azure Resource Manager takes. Tokens for them are for nothing here.
const OTHER_RESOURCES: [&str; 3] = ["https://graph.microsoft.com", "https://vault.azure.net", "https://storage.azure.com"];

/// What signs access tokens.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) seed: u64,
    pub(crate) generation: u64,
    pub(crate) tenant: String,
}

/// Why a token was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    Invalid,
    Expired,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "aud")]
    pub(crate) audience: String,
    #[serde(rename = "appid")]
    pub(crate) client: String,
    #[serde(rename = "oid")]
    object: String,
    #[serde(rename = "tid")]
    tenant: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// What `generation` was when it was made.
    uti: u64,
    ver: String,
}

impl Keys {
    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &mix(self.seed ^ 0x61_7a_75_72_65).to_be_bytes())
    }

    /// Makes a token.
    pub(crate) fn issue(&self, client: &str, object: &str, audience: &str, now: Timestamp, life_s: u64) -> String {
        let claims = Claims {
            audience: audience.to_owned(),
            client: client.to_ascii_lowercase(),
            object: object.to_owned(),
            tenant: self.tenant.clone(),
            iss: format!("https://sts.windows.net/{}/", self.tenant),
            iat: now.as_second(),
            nbf: now.as_second(),
            exp: clock::later(now, clock::seconds(life_s)).as_second(),
            uti: self.generation,
            ver: "1.0".to_owned(),
        };
        let head = URL_SAFE_NO_PAD.encode(json!({"typ": "JWT", "alg": "HS256", "kid": "simulated"}).to_string());
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signed = format!("{head}.{body}");
        let signature = hmac::sign(&self.key(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// Judges a token.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Invalid)?;
        hmac::verify(&self.key(), signed.as_bytes(), &signature).map_err(|_| TokenError::Invalid)?;
        let body = signed.split_once('.').and_then(|(_, body)| URL_SAFE_NO_PAD.decode(body).ok()).ok_or(TokenError::Invalid)?;
        let claims: Claims = serde_json::from_slice(&body).map_err(|_| TokenError::Invalid)?;
        if claims.tenant != self.tenant {
            return Err(TokenError::Invalid);
        }
        if claims.exp <= now.as_second() || claims.uti < self.generation {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

/// Answers a request for a token.
pub(super) fn grant(server: &Server, incoming: &mut Incoming<'_>, tenant: &str) -> Result<Response, Refusal> {
    let request = incoming.request;
    if let Err(response) = wants(request, "POST") {
        return Ok(response);
    }
    let fields = read_form(incoming)?;
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let need = |name: &str| {
        let message = format!("The request body must contain the following parameter: '{name}'.");
        field(name).ok_or_else(|| Refusal::new(400, "invalid_request", 900_144, message))
    };
    known_tenant(server, tenant)?;
    let grant = need("grant_type")?;
    if grant != "client_credentials" {
        return Err(Refusal::new(400, "unsupported_grant_type", 70003, format!("The app requested an unsupported grant type '{grant}'.")));
    }
    let client = need("client_id")?.to_ascii_lowercase();
    let scope = need("scope")?;
    let state = server.state();
    let (world, _) = state.estate.look();
    let now = state.common.clock.moving_now();
    let Some(application) = world.applications.get(&client) else {
        let message = format!("Application with identifier '{client}' was not found in the directory '{tenant}'.");
        return Err(Refusal::new(400, "unauthorized_client", 700_016, message));
    };
    incoming.record.client.clone_from(&client);
    match (field("client_secret"), field("client_assertion")) {
        (Some(secret), None) => judge_secret(application, secret, now, &client)?,
        (None, Some(text)) => {
            let kind = need("client_assertion_type")?;
            if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
                return Err(Refusal::new(400, "invalid_request", 700_212, format!("The client_assertion_type '{kind}' is not supported.")));
            }
            assertion::judge(application, &client, text, &[&incoming.base, "https://login.microsoftonline.com"], tenant, now)?;
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::new(400, "invalid_request", 90014, "Only one of client_secret and client_assertion can be given."));
        }
        (None, None) => {
            let message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            return Err(Refusal::new(401, "invalid_client", 7_000_218, message));
        }
    }
    if application.blocked {
        return Err(Refusal::new(400, "invalid_grant", 53003, "Access has been blocked by Conditional Access policies."));
    }
    let audience = audience(scope, &state.common.settings.audiences)?;
    let life = state.common.settings.token_life_s;
    let token = state.keys().issue(&client, &application.object_id, &audience, now, life);
    let left = life.saturating_sub(1);
    let body = json!({"token_type": "Bearer", "expires_in": left, "ext_expires_in": left, "access_token": token});
    Ok(Response::of(200, "application/json; charset=utf-8", body.to_string()).header("Cache-Control", "no-store, no-cache"))
}

fn read_form(incoming: &Incoming<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let malformed = |why: &str| Refusal::new(400, "invalid_request", 900_144, why.to_owned());
    let kind = incoming.request.header("content-type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(malformed("The request body must contain the following parameter: 'grant_type'."));
    }
    let text = std::str::from_utf8(&incoming.request.body).map_err(|_| malformed("The request body is not a form."))?;
    let mut fields = BTreeMap::new();
    for (name, value) in form::pairs(text) {
        let (Some(name), Some(value)) = (form::decode(name), form::decode(value)) else {
            return Err(malformed("The request body is not a form."));
        };
        if fields.insert(name, value).is_some() {
            return Err(malformed("The request body holds a parameter twice."));
        }
    }
    Ok(fields)
}

fn judge_secret(application: &Application, secret: &str, now: Timestamp, client: &str) -> Result<(), Refusal> {
    match application.secrets.iter().find(|known| known.value == secret) {
        None => {
            let message = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, \
                 for a secret added to app '{client}'."
            );
            Err(Refusal::new(401, "invalid_client", 7_000_215, message))
        }
        Some(known) if known.expires.is_some_and(|end| end <= now) => {
            Err(Refusal::new(401, "invalid_client", 7_000_222, format!("The provided client secret keys for app '{client}' are expired.")))
        }
        Some(_) => Ok(()),
    }
}

/// The resource that a scope is of.
fn audience(scope: &str, known: &[String]) -> Result<String, Refusal> {
    let Some(resource) = scope.strip_suffix("/.default") else {
        let message = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier."
        );
        return Err(Refusal::new(400, "invalid_scope", 1_002_012, message));
    };
    resource_named(resource, known).ok_or_else(|| {
        let message = format!("The resource principal named {resource} was not found in the tenant.");
        Refusal::new(400, "invalid_resource", 500_011, message)
    })
}

/// A resource that tokens are given for, without a slash at its end.
pub(super) fn resource_named(resource: &str, known: &[String]) -> Option<String> {
    let resource = resource.trim_end_matches('/');
    (known.iter().any(|name| name == resource) || OTHER_RESOURCES.contains(&resource)).then(|| resource.to_owned())
}

/// The claims of a JWT and what was signed of it, whoever signed it.
pub(super) struct Jwt<'a> {
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self { header: read(header)?, claims: read(claims)?, signed, signature: URL_SAFE_NO_PAD.decode(signature).ok()? })
    }

    pub(super) fn text(&self, claim: &str) -> &str {
        self.claims.get(claim).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it may be used now; a few minutes are allowed to clocks that differ.
    pub(super) fn is_current(&self, now: Timestamp) -> bool {
        const SKEW: SignedDuration = SignedDuration::from_mins(5);
        // MSAL for Python writes parts of seconds.
        let number = |claim: &str| self.claims.get(claim).and_then(Value::as_f64);
        let (late, early) = (clock::later(now, -SKEW).as_duration().as_secs_f64(), clock::later(now, SKEW).as_duration().as_secs_f64());
        number("exp").is_some_and(|end| end > late) && number("nbf").or_else(|| number("iat")).is_none_or(|start| start <= early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn a_token_is_judged() {
        let keys = Keys { seed: 1, generation: 0, tenant: "t".to_owned() };
        let token = keys.issue("CLIENT", "o", "aud", at(1000), 60);
        let read = |keys: &Keys, token: &str, second| keys.read(token, at(second)).map(|claims| (claims.client, claims.audience));
        assert_eq!(read(&keys, &token, 1059), Ok(("client".to_owned(), "aud".to_owned())));
        assert_eq!(read(&keys, &token, 1060), Err(TokenError::Expired));
        assert_eq!(read(&Keys { generation: 1, ..keys.clone() }, &token, 1000), Err(TokenError::Expired));
        assert_eq!(read(&Keys { seed: 2, ..keys.clone() }, &token, 1000), Err(TokenError::Invalid));
        assert_eq!(read(&Keys { tenant: "u".to_owned(), ..keys.clone() }, &token, 1000), Err(TokenError::Invalid));
        assert_eq!(read(&keys, "token", 1000), Err(TokenError::Invalid));
        assert_eq!(read(&keys, &token.replace("eyJ", "eyK"), 1000), Err(TokenError::Invalid));
    }

    #[test]
    fn a_scope_is_of_a_resource() {
        let manager = "https://management.azure.com".to_owned();
        let known = vec![manager.clone()];
        let number = |scope: &str| audience(scope, &known).map_err(|refusal| refusal.number);
        assert_eq!(number("https://management.azure.com/.default"), Ok(manager.clone()));
        assert_eq!(number("https://management.azure.com//.default"), Ok(manager.clone()));
        assert_eq!(number("https://management.azure.com/user_impersonation"), Err(1_002_012));
        assert_eq!(number("https://management.example.net/.default"), Err(500_011));
    }
}
