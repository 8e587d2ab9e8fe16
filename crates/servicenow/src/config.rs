//! What the target is built from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_core::model::TargetName;
use dewpoint_core::target::{Adopt, Authority};
use dewpoint_http::auth::{Fixed, Grant, OAuth, OAuthSettings};
use dewpoint_http::{BaseUrl, BuildError, Client, Clock, HeaderName, Meter, Proxies, Rate, RateBudget, Settings};
use secrecy::SecretString;

use crate::mapping::Mapping;

/// Default of [`ServiceNowConfig::batch_size`]: the platform advises against more than 500 items in a payload, and 100 to 200 leave room for parents and
/// for the transaction quota.
pub const BATCH_SIZE_DEFAULT: u32 = 200;

/// Most items in a payload ("Best practices for identification and reconciliation").
pub const BATCH_SIZE_MAX: u32 = 500;

/// Default of [`ServiceNowConfig::discovery_source`].
pub const DISCOVERY_SOURCE_DEFAULT: &str = "Dewpoint";

/// As whom the instance is asked.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A user's name and password with each request.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// Tokens from `/oauth_token.do`.
    OAuth {
        /// The application's id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
        /// As which user; as the application itself without one.
        user: Option<(String, SecretString)>,
    },
    /// A REST API key in the header `x-sn-apikey`.
    ApiKey(SecretString),
}

/// One configured instance.
pub struct ServiceNowConfig {
    /// Name from the configuration.
    pub name: TargetName,
    /// Where it is.
    pub url: BaseUrl,
    /// As whom it is asked.
    pub auth: Auth,
    /// Our value of `cmdb_ci.discovery_source`, and the name of our rows in `sys_object_source`.
    pub discovery_source: String,
    /// Kinds to classes, fields and relationship types.
    pub mapping: Arc<Mapping>,
    /// Fields whose authority is not the mapping's.
    pub authority: BTreeMap<String, Authority>,
    /// What is done with records that somebody else made: where nothing is adopted, any service of a name is referred to, and else only those of the class
    /// that ours have.
    pub adopt: Adopt,
    /// Creates, updates or edges in a payload.
    pub batch_size: u32,
    /// How fast it is asked.
    pub rate: Rate,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// Longest that one call may take with all its waits and repeats: a wait past it is told, and not slept through.
    pub deadline: Duration,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Proxies to go through.
    pub proxies: Proxies,
    /// Who is told of calls and waits.
    pub meter: Arc<dyn Meter>,
    /// The clock of budgets, waits and deadlines.
    pub clock: Arc<dyn Clock>,
}

impl ServiceNowConfig {
    /// The client that speaks to the instance.
    ///
    /// # Errors
    /// [`BuildError`] where the certificates, a proxy or the credentials cannot be used.
    pub(crate) fn client(&self) -> Result<Client, BuildError> {
        let mut settings = Settings::new(self.name.as_str(), self.url.clone());
        settings.limits.attempt = self.timeout;
        settings.limits.idle = self.timeout;
        settings.limits.call = settings.limits.call.min(self.deadline);
        settings.ca_pem.clone_from(&self.ca_pem);
        settings.proxies = self.proxies.clone();
        let budget = Arc::new(RateBudget::new(self.rate, Arc::clone(&self.clock)));
        let plain = Client::builder(settings).budget(budget).clock(Arc::clone(&self.clock)).meter(Arc::clone(&self.meter)).build()?;
        Ok(match &self.auth {
            Auth::Basic { username, password } => plain.with_auth(Arc::new(Fixed::basic(username, password)?)),
            Auth::ApiKey(key) => plain.with_auth(Arc::new(Fixed::header(HeaderName::from_static("x-sn-apikey"), key)?)),
            Auth::OAuth { client_id, client_secret, user } => {
                let grant = match user {
                    None => Grant::ClientCredentials,
                    Some((username, password)) => Grant::Password { username: username.clone(), password: password.clone() },
                };
                let settings = OAuthSettings {
                    path: "/oauth_token.do".to_owned(),
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    grant,
                    fields: Vec::new(),
                    query: Vec::new(),
                };
                plain.with_auth(Arc::new(OAuth::new(plain.clone(), settings)))
            }
        })
    }
}

impl fmt::Debug for ServiceNowConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceNowConfig")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("auth", &self.auth)
            .field("discovery_source", &self.discovery_source)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
