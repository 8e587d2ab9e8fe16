//! What the target is built from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_core::target::Authority;
use dewpoint_http::auth::{Authenticator, Fixed, Grant, OAuth, OAuthSettings};
use dewpoint_http::{BaseUrl, BuildError, Rate};
use dewpoint_target_kit::{Caller, Connection};
use secrecy::SecretString;

use crate::api::{Api, Base, Deployment};
use crate::import::Imports;
use crate::mapping::Mapping;

/// Default of [`JsmConfig::batch_size`].
pub const BATCH_SIZE_DEFAULT: u32 = 50;

/// Most writes of a batch.
pub const BATCH_SIZE_MAX: u32 = 200;

/// Half of the time for which a lease is given.
const LEASE_HALF: Duration = Duration::from_secs(15);

/// Default of [`ImportConfig::from`].
pub const IMPORT_FROM_DEFAULT: u32 = 200;

/// Greatest [`ImportConfig::from`].
pub const IMPORT_FROM_MAX: u32 = 2000;

/// Default of [`JsmConfig::rate`], in requests a second: half of the 1 000 a minute that one operation is allowed.
pub const REQUESTS_PER_SECOND_DEFAULT: u32 = 8;

/// Default of [`JsmConfig::index_lag`]. Atlassian states no bound; the same of issue search is seconds.
pub const INDEX_LAG_DEFAULT: Duration = Duration::from_secs(10);

/// Atlassian's API for sites on Cloud.
pub const CLOUD_API: &str = "https://api.atlassian.com";

/// Where tokens for Atlassian's API come from.
pub const CLOUD_TOKENS: &str = "https://auth.atlassian.com";

/// As whom the site is asked.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A user's name and API token (Cloud) or password (Data Center, where an administrator allows it).
    Basic {
        /// The user: a mail address on Cloud.
        username: String,
        /// The API token or password.
        password: SecretString,
    },
    /// A personal access token (Data Center).
    Token(SecretString),
    /// Tokens of an OAuth application or service account (Cloud).
    OAuth {
        /// The application's id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
        /// Where tokens come from ([`CLOUD_TOKENS`]).
        tokens: BaseUrl,
    },
}

/// One configured site.
pub struct JsmConfig {
    /// How it is connected to.
    pub connection: Connection,
    /// The site.
    pub url: BaseUrl,
    /// Which product it is.
    pub deployment: Deployment,
    /// Where Assets' API lies.
    pub api_base: ApiBase,
    /// As whom it is asked.
    pub auth: Auth,
    /// Key of the object schema.
    pub schema: String,
    /// Kinds to types and attributes.
    pub mapping: Arc<Mapping>,
    /// Attributes whose authority is not the mapping's.
    pub authority: BTreeMap<String, Authority>,
    /// Writes of a batch.
    pub batch_size: u32,
    /// How fast it is asked.
    pub rate: Rate,
    /// The import source that makes many new objects at once.
    pub import: Option<ImportConfig>,
    /// How long after a write a search may show an older state.
    pub index_lag: Duration,
}

/// An external import source of the schema (Cloud). People set it to ignore objects that an import does not show: with "remove" it would delete them.
#[derive(Debug, Clone)]
pub struct ImportConfig {
    /// Its token.
    pub token: SecretString,
    /// So many new objects of a batch, and more, are made by it.
    pub from: u32,
}

/// Where Assets' API lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiBase {
    /// Behind this address, below the workspace that the site names.
    Host(BaseUrl),
    /// Here, whatever the site says.
    Whole(BaseUrl),
}

impl JsmConfig {
    /// The import source.
    ///
    /// # Errors
    /// As for [`Self::api`].
    pub(crate) fn imports(&self) -> Result<Option<Imports>, BuildError> {
        let Some(ImportConfig { token, from }) = &self.import else { return Ok(None) };
        let (ApiBase::Host(base) | ApiBase::Whole(base)) = &self.api_base;
        let auth: Arc<dyn Authenticator> = Arc::new(Fixed::bearer(token)?);
        let client = self.connection.client(&base.with_path(""), &self.connection.budget(self.rate))?;
        let caller = self.connection.caller(client.with_auth(auth));
        Ok(Some(Imports::new(caller, usize::try_from(*from).unwrap_or(usize::MAX))))
    }

    /// The interface of the site.
    ///
    /// # Errors
    /// [`BuildError`] where certificates, proxies or credentials cannot be used.
    pub(crate) fn api(&self) -> Result<Api, BuildError> {
        let budget = self.connection.budget(self.rate);
        let plain = |base: &BaseUrl| self.connection.client(base, &budget);
        let auth: Arc<dyn Authenticator> = match &self.auth {
            Auth::Basic { username, password } => Arc::new(Fixed::basic(username, password)?),
            Auth::Token(token) => Arc::new(Fixed::bearer(token)?),
            Auth::OAuth { client_id, client_secret, tokens } => {
                let settings = OAuthSettings {
                    path: "/oauth/token".to_owned(),
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    grant: Grant::ClientCredentials,
                    fields: Vec::new(),
                    query: Vec::new(),
                };
                Arc::new(OAuth::new(plain(tokens)?, settings))
            }
        };
        let caller =
            |base: &BaseUrl| -> Result<Caller, BuildError> { Ok(self.connection.caller(plain(base)?.with_auth(Arc::clone(&auth)))) };
        let (at, base) = match (&self.api_base, &self.auth) {
            (ApiBase::Whole(base), _) => (base, Base::Here(base.path().to_owned())),
            (ApiBase::Host(base), Auth::OAuth { .. }) => (base, Base::CloudAndWorkspace),
            (ApiBase::Host(base), _) => (base, Base::Workspace),
        };
        // A site takes no token of the platform at its own address.
        let site = match (&self.api_base, &self.auth) {
            (ApiBase::Whole(base), Auth::OAuth { .. }) => site_behind(base).unwrap_or_else(|| self.url.clone()),
            _ => self.url.clone(),
        };
        Ok(Api::new(caller(&site)?, caller(at)?, self.deployment, base, self.schema.clone()))
    }

    /// Writes of a batch: no more than the rate lets through within half of a lease, at two requests for each object.
    pub(crate) fn batch_size(&self) -> usize {
        let within = self.rate.per_second * LEASE_HALF.as_secs_f64() / 2.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 1 and the most writes of a batch")]
        let most = within.clamp(1.0, f64::from(BATCH_SIZE_MAX)) as usize;
        usize::try_from(self.batch_size).unwrap_or(usize::MAX).clamp(1, most)
    }
}

/// Where a site's own API lies, of an address of Assets that names the site: `/ex/jira/{cloudId}/jsm/assets/…`.
fn site_behind(base: &BaseUrl) -> Option<BaseUrl> {
    let (site, _) = base.path().split_once("/jsm/")?;
    site.starts_with("/ex/jira/").then(|| base.with_path(site))
}

impl fmt::Debug for JsmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsmConfig")
            .field("name", &self.connection.target)
            .field("url", &self.url)
            .field("deployment", &self.deployment)
            .field("auth", &self.auth)
            .field("schema", &self.schema)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
