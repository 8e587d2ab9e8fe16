//! Roles that accounts are read as: `sts:AssumeRole`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use dewpoint_aws_settings::ExternalId;
use dewpoint_core::model::Region;
use tokio::time::Instant;

use crate::action::Action;
use crate::client::APP_NAME;
use crate::error::{Fault, Reason};
use crate::identity::{self, Identity};
use crate::session::{Calls, RegionSession};

pub(crate) const ACTION: Action = Action::sts("sts:AssumeRole");

/// A role in an account.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<ExternalId>,
}

impl Role {
    /// A fault of this role's, which says so.
    fn named(&self, fault: Fault) -> Fault {
        Fault { text: format!("as {}: {}", self.arn, fault.text), ..fault }
    }

    /// Asks a region's STS for credentials, and learns from the answer whose they are.
    pub(crate) async fn assume(&self, calls: &Calls<'_>, region: &Region) -> Result<(Credentials, Identity), Fault> {
        let external_id = self.external_id.as_ref().map(ExternalId::expose);
        let send = |meter| {
            let call = calls.clients().sts().assume_role().role_arn(&self.arn).role_session_name(APP_NAME);
            call.set_external_id(external_id.map(str::to_owned)).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await.map_err(|fault| {
            // What STS finds wrong with a role has many codes; none of them gets better by waiting.
            let refused = fault.status.is_some_and(|status| (400..500).contains(&status));
            let reason = if refused && fault.reason == Reason::Failed { Reason::Denied } else { fault.reason.clone() };
            self.named(Fault { reason, ..fault })
        })?;
        let identity = identity::parse(answer.assumed_role_user().map(|user| user.arn()), None, region);
        let credentials = answer.credentials().and_then(|given| {
            let expires = SystemTime::try_from(*given.expiration()).ok()?;
            let token = Some(given.session_token().to_owned());
            Some(Credentials::new(given.access_key_id(), given.secret_access_key(), token, Some(expires), "AssumeRole"))
        });
        match (credentials, identity) {
            (Some(credentials), Some(identity)) => Ok((credentials, identity)),
            _ => Err(self.named(Fault::truncated(ACTION.name, "the answer holds no credentials, or not whose they are"))),
        }
    }
}

/// The credentials of a role that was assumed: those of then, and new ones when these are about to end.
pub(crate) struct RoleCredentials {
    role: Role,
    /// The caller, in the region whose STS answered.
    session: Arc<RegionSession>,
    region: Region,
    first: Mutex<Option<Credentials>>,
    /// Why the last renewal failed, and until when that is the answer: all calls of the account wait for one renewal, and each would try again.
    failed: tokio::sync::Mutex<Option<(Instant, Fault)>>,
}

/// How long nobody asks again after a renewal failed.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

impl RoleCredentials {
    pub(crate) fn new(role: Role, session: Arc<RegionSession>, region: Region, first: Credentials) -> Self {
        Self { role, session, region, first: Mutex::new(Some(first)), failed: tokio::sync::Mutex::default() }
    }

    async fn renew(&self) -> Result<Credentials, CredentialsError> {
        let mut failed = self.failed.lock().await;
        if let Some((_, fault)) = failed.as_ref().filter(|(until, _)| Instant::now() < *until) {
            return Err(CredentialsError::provider_error(fault.clone()));
        }
        let calls = Calls::on_the_side(&self.session);
        let answer = self.role.assume(&calls, &self.region).await;
        *failed = answer.as_ref().err().map(|fault| (Instant::now() + RENEWAL_PAUSE, fault.clone()));
        answer.map(|(credentials, _)| credentials).map_err(CredentialsError::provider_error)
    }
}

impl fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleCredentials").field("role", &self.role).finish_non_exhaustive()
    }
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => future::ProvideCredentials::ready(Ok(credentials)),
            None => future::ProvideCredentials::new(self.renew()),
        }
    }
}
