//! What the target is built from.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use dewpoint_core::target::Authority;
use dewpoint_http::auth::{Grant, OAuth, OAuthSettings};
use dewpoint_http::{BaseUrl, BuildError, Rate};
use dewpoint_target_kit::Connection;
use secrecy::SecretString;

use crate::api::Api;
use crate::mapping::Mapping;

/// Default of [`HaloConfig::batch_size`].
pub const BATCH_SIZE_DEFAULT: u32 = 50;

/// Most writes of a batch. No page states a limit; more were refused nowhere, and tried nowhere.
pub const BATCH_SIZE_MAX: u32 = 100;

/// Default of [`HaloConfig::requests_per_minute`]: with as many at once it keeps to 300 in any 5 minutes, the strictest limit that was seen.
pub const REQUESTS_PER_MINUTE_DEFAULT: u32 = 50;

/// Default of [`HaloConfig::scopes`]: what the application may do is said on its tab "Permissions".
pub const SCOPES_DEFAULT: &str = "all";

/// Default of [`HaloConfig::client`].
pub const CLIENT_DEFAULT: &str = "Cloud";

/// Default of [`HaloConfig::site`].
pub const SITE_DEFAULT: &str = "Cloud";

/// One configured tenant.
pub struct HaloConfig {
    /// How it is connected to.
    pub connection: Connection,
    /// The tenant's address: the API lies behind it at `/api`.
    pub url: BaseUrl,
    /// The authorisation server, where that is not behind `url` at `/auth`.
    pub auth_url: Option<BaseUrl>,
    /// The tenant's name; hosted tenants ask for it with each request for a token.
    pub tenant: Option<String>,
    /// The application's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Scopes, with blanks between them.
    pub scopes: String,
    /// Name of the client that assets hang under.
    pub client: String,
    /// Name of the client's site that new assets are at.
    pub site: String,
    /// Kinds to types and fields.
    pub mapping: Arc<Mapping>,
    /// Fields whose authority is not the mapping's.
    pub authority: BTreeMap<String, Authority>,
    /// Writes of a batch.
    pub batch_size: u32,
    /// How fast it is asked.
    pub requests_per_minute: NonZeroU32,
}

impl HaloConfig {
    /// The interface of the tenant.
    ///
    /// # Errors
    /// [`BuildError`] where certificates or proxies cannot be used.
    pub(crate) fn api(&self) -> Result<Api, BuildError> {
        let rate = Rate { per_second: f64::from(self.requests_per_minute.get()) / 60.0, burst: self.requests_per_minute };
        // Requests for tokens count for the tenant's limit as well.
        let budget = self.connection.budget(rate);
        let plain = |base: &BaseUrl| self.connection.client(base, &budget);
        let settings = OAuthSettings {
            path: if self.auth_url.is_some() { "/token" } else { "/auth/token" }.to_owned(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            grant: Grant::ClientCredentials,
            fields: vec![("scope".to_owned(), self.scopes.clone())],
            query: self.tenant.iter().map(|tenant| ("tenant".to_owned(), tenant.clone())).collect(),
        };
        let auth = Arc::new(OAuth::new(plain(self.auth_url.as_ref().unwrap_or(&self.url))?, settings));
        let caller = self.connection.caller(plain(&self.url)?.with_auth(auth));
        Ok(Api::new(caller, self.client.clone(), self.site.clone(), self.requests_per_minute.get()))
    }
}

impl fmt::Debug for HaloConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HaloConfig")
            .field("name", &self.connection.target)
            .field("url", &self.url)
            .field("auth_url", &self.auth_url)
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .field("client", &self.client)
            .field("site", &self.site)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
