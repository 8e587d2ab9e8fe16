//! What the target is built from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use dewpoint_core::target::{Adopt, Authority};
use dewpoint_http::auth::{Fixed, Grant, OAuth, OAuthSettings};
use dewpoint_http::{BaseUrl, BuildError, Client, HeaderName, Rate};
use dewpoint_target_kit::Connection;
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
    /// How it is connected to.
    pub connection: Connection,
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
}

impl ServiceNowConfig {
    /// The client that speaks to the instance.
    ///
    /// # Errors
    /// [`BuildError`] where the certificates, a proxy or the credentials cannot be used.
    pub(crate) fn client(&self) -> Result<Client, BuildError> {
        let plain = self.connection.client(&self.url, &self.connection.budget(self.rate))?;
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
            .field("name", &self.connection.target)
            .field("url", &self.url)
            .field("auth", &self.auth)
            .field("discovery_source", &self.discovery_source)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
