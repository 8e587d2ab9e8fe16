//! STS: who am I, and becoming somebody else.

use std::collections::HashMap;

use dewpoint_sim_kit::{clock, hash::keyed};
use jiff::Timestamp;

use crate::{
    call::Call,
    error::ApiError,
    hash::hex16,
    service::Service,
    settings::Settings,
    sigv4::{hex, hmac},
    world::OptIn,
};

/// Whoever makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// Whether it is a role's session.
    pub(crate) is_session: bool,
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) caller: Caller,
    pub(crate) expires: Timestamp,
}

/// All temporary credentials that were given out.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_key: HashMap<String, Session>,
    given_out: u64,
}

impl Sessions {
    pub(crate) fn get(&self, key_id: &str) -> Option<&Session> {
        self.by_key.get(key_id)
    }

    /// Ends all of them.
    pub(crate) fn expire(&mut self) {
        for session in self.by_key.values_mut() {
            session.expires = Timestamp::MIN;
        }
    }

    fn open(&mut self, settings: &Settings, caller: Caller, expires: Timestamp) -> (String, Session) {
        self.given_out += 1;
        let name = format!("{}/{}", caller.arn, self.given_out);
        let digest = hex(&hmac(&settings.seed.to_be_bytes(), name.as_bytes()));
        let key_id = format!("ASIA{:016X}", keyed(settings.seed, &name));
        let session = Session {
            secret: digest.get(..40).unwrap_or_default().to_owned(),
            token: format!("Fwo{digest}{}==", hex16(&[&name])),
            caller,
            expires,
        };
        self.by_key.insert(key_id.clone(), session.clone());
        (key_id, session)
    }
}

/// What answers an action of STS: it is told who calls, and what the end of a session is counted from.
pub(crate) type Handler = fn(&mut Call<'_>, &Caller, &mut Sessions, Timestamp) -> Result<String, ApiError>;

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] =
    &[("GetCallerIdentity", |call, caller, _, _| get_caller_identity(call, caller)), ("AssumeRole", assume_role)];

fn get_caller_identity(call: &Call<'_>, caller: &Caller) -> Result<String, ApiError> {
    call.params.finish()?;
    Ok(call.query_answer(|xml| {
        xml.text("Arn", &caller.arn);
        xml.text("UserId", &caller.user_id);
        xml.text("Account", &caller.account);
    }))
}

/// The account of the role that an `AssumeRole` asks for.
pub(crate) fn role_account(role_arn: &str) -> Option<&str> {
    role_arn.split(':').nth(4)
}

/// Opens a session. `credentials_now` is the time its end is counted from.
fn assume_role(call: &mut Call<'_>, caller: &Caller, sessions: &mut Sessions, credentials_now: Timestamp) -> Result<String, ApiError> {
    let role_arn = call.params.require("RoleArn")?;
    let session_name = call.params.require("RoleSessionName")?;
    let external_id = call.params.take("ExternalId");
    let duration = call.params.take_int("DurationSeconds")?.unwrap_or(3600);
    call.params.finish()?;

    let constraint = |name: &str, value: &str, constraint: &str| {
        Err(ApiError::invalid(
            Service::Sts,
            format!("1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}"),
        ))
    };
    let made_of = |text: &str, more: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_' || more.contains(one));
    if !(2..=64).contains(&session_name.len()) || !made_of(&session_name, "+=,.@-") {
        return constraint("roleSessionName", &session_name, r"satisfy regular expression pattern: [\w+=,.@-]*, length 2 to 64");
    }
    if let Some(id) = external_id.as_ref().filter(|id| !(2..=1224).contains(&id.len()) || !made_of(id, "+=,.@:/-")) {
        return constraint("externalId", id, r"satisfy regular expression pattern: [\w+=,.@:\/-]*, length 2 to 1224");
    }
    if !(900..=43_200).contains(&duration) {
        return constraint("durationSeconds", &duration.to_string(), "have value between 900 and 43200");
    }
    if caller.is_session && duration > 3600 {
        return Err(ApiError::invalid(
            Service::Sts,
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let parts: Vec<&str> = role_arn.split(':').collect();
    let ["arn", partition, "iam", "", account_id, resource] = parts.as_slice() else {
        return Err(ApiError::invalid(Service::Sts, format!("{role_arn} is invalid")));
    };
    let name = resource.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    // AWS says the same whether the role is missing or the trust does not hold.
    let account = call.world.accounts.get(*account_id).filter(|_| *partition == call.world.partition);
    let trusted = account
        .and_then(|account| account.roles.get(name))
        .is_some_and(|role| role.trusts.contains(&caller.account) && (role.external_id.is_none() || role.external_id == external_id));
    let Some(account) = account.filter(|_| trusted) else {
        return Err(ApiError::new(
            403,
            "AccessDenied",
            format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}", caller.arn),
        ));
    };
    if !call.world.region_status(account, call.region_name).is_some_and(OptIn::enabled) {
        return Err(ApiError::new(
            403,
            "RegionDisabledException",
            format!(
                "STS is not activated in this region for account:{account_id}. Your account administrator can activate STS in this region using the IAM Console."
            ),
        ));
    }

    let life = call.settings.session_life_s.map_or_else(|| jiff::SignedDuration::from_secs(duration), clock::seconds);
    let role_id = format!("AROA{}", hex16(&[account_id, name]).to_uppercase());
    let assumed = Caller {
        account: account.id.clone(),
        arn: format!("arn:{partition}:sts::{account_id}:assumed-role/{name}/{session_name}"),
        user_id: format!("{role_id}:{session_name}"),
        is_session: true,
    };
    let (key_id, session) = sessions.open(call.settings, assumed, clock::later(credentials_now, life));
    Ok(call.query_answer(|xml| {
        xml.element("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", &session.caller.user_id);
            xml.text("Arn", &session.caller.arn);
        });
        xml.element("Credentials", |xml| {
            xml.text("AccessKeyId", &key_id);
            xml.text("SecretAccessKey", &session.secret);
            xml.text("SessionToken", &session.token);
            xml.time("Expiration", session.expires);
        });
    }))
}
