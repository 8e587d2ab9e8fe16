//! Tokens for Azure Resource Manager: had through `azure_identity`, kept here, renewed before they end.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use dewpoint_azure_settings::{Credential, Endpoints, UserAssigned};
use dewpoint_http::auth::{Authenticator, Credentials};
use dewpoint_http::{Call, Clock, HttpError, HttpErrorKind, Limit, Origin, REDACTED, Said};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::certificate::{Assertion, InvalidCertificate};
use crate::error::TOKEN;
use crate::token_transport::TokenTransport;

/// A token is renewed so long before it ends: calls that are on their way then still have a good one.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// For how long an answer stands before the next is asked for, be it a refusal or a token that will end soon: many calls wait for one token, and each would ask
/// anew.
const STANDS_FOR: SignedDuration = SignedDuration::from_secs(10);

/// Why credentials cannot be used, before anybody was asked.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
}

/// Makes credentials of `azure_identity`.
pub(crate) struct Maker {
    pub(crate) tenant: String,
    pub(crate) credential: Credential,
    pub(crate) endpoints: Endpoints,
    pub(crate) transport: Arc<TokenTransport>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Maker {
    /// Whether what is configured can be read.
    pub(crate) fn check(&self) -> Result<(), CredentialError> {
        if let Credential::ClientCertificate { client_id, pem } = &self.credential {
            self.assertion(client_id, pem)?;
        }
        Ok(())
    }

    fn assertion(&self, client_id: &str, pem: &SecretString) -> Result<Assertion, InvalidCertificate> {
        let audience = format!("{}/{}/oauth2/v2.0/token", self.endpoints.authority.as_str().trim_end_matches('/'), self.tenant);
        Assertion::new(client_id, &audience, pem, Arc::clone(&self.clock))
    }

    /// A text without the secret that was sent, should an answer repeat it.
    fn redacted(&self, text: String) -> String {
        match &self.credential {
            Credential::ClientSecret { secret, .. } => without(text, secret.expose_secret()),
            _ => text,
        }
    }

    fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        self.endpoints.authority.as_str().clone_into(&mut cloud.authority_host);
        ClientOptions {
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            transport: Some(Transport::new(Arc::clone(&self.transport) as Arc<dyn azure_core::http::HttpClient>)),
            retry: RetryOptions::exponential(ExponentialRetryOptions { max_retries: 3, ..ExponentialRetryOptions::default() }),
            ..ClientOptions::default()
        }
    }

    fn make(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options();
        Ok(match &self.credential {
            Credential::ClientSecret { client_id, secret } => {
                let secret = Secret::new(secret.expose_secret().to_owned());
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(&self.tenant, client_id.clone(), secret, Some(options))?
            }
            Credential::ClientCertificate { client_id, pem } => {
                let assertion = self.assertion(client_id, pem);
                let assertion = assertion.map_err(|error| azure_core::Error::new(azure_core::error::ErrorKind::Credential, error))?;
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(self.tenant.clone(), client_id.clone(), assertion, Some(options))?
            }
            Credential::WorkloadIdentity { client_id, token_file } => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: client_id.clone(),
                    tenant_id: Some(self.tenant.clone()),
                    token_file_path: token_file.clone(),
                };
                WorkloadIdentityCredential::new(Some(options))?
            }
            Credential::ManagedIdentity { identity } => {
                let user_assigned_id = identity.as_ref().map(|identity| match identity {
                    UserAssigned::ClientId(id) => UserAssignedId::ClientId(id.clone()),
                    UserAssigned::ObjectId(id) => UserAssignedId::ObjectId(id.clone()),
                    UserAssigned::ResourceId(id) => UserAssignedId::ResourceId(id.clone()),
                });
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions { user_assigned_id, client_options }))?
            }
            Credential::AzureCli => {
                let options = AzureCliCredentialOptions { tenant_id: Some(self.tenant.clone()), ..AzureCliCredentialOptions::default() };
                AzureCliCredential::new(Some(options))?
            }
        })
    }
}

/// The tokens of one source.
pub(crate) struct TokenSource {
    maker: Maker,
    scope: String,
    /// Where tokens are had, for errors.
    origin: Origin,
    state: Mutex<State>,
    /// Tokens up to this one were refused.
    refused: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    generation: u64,
    /// Until when the last answer stands: an error, or a token that has but minutes to live.
    standing: Option<(Timestamp, Option<HttpError>)>,
}

struct Held {
    credentials: Credentials,
    ends_at: Timestamp,
}

impl TokenSource {
    pub(crate) fn new(maker: Maker, origin: Origin) -> Self {
        let scope = format!("{}/.default", maker.endpoints.audience.trim_end_matches('/'));
        Self { maker, scope, origin, state: Mutex::default(), refused: AtomicU64::new(0) }
    }

    async fn renewed(&self) -> Result<Credentials, HttpError> {
        let mut state = self.state.lock().await;
        let now = self.maker.clock.now();
        if state.generation <= self.refused.load(Ordering::Acquire) {
            state.held = None;
        }
        let left = |held: &Held| held.ends_at.duration_since(now);
        if let Some(held) = state.held.as_ref().filter(|held| left(held) > EARLY) {
            return Ok(held.credentials.clone());
        }
        if let Some((until, error)) = &state.standing
            && now < *until
        {
            // What is held may still be good for its last minutes.
            match (state.held.as_ref().filter(|held| left(held).is_positive()), error) {
                (Some(held), _) => return Ok(held.credentials.clone()),
                (None, Some(error)) => return Err(error.clone()),
                (None, None) => {}
            }
        }
        let answer = self.ask(&mut state).await;
        let until = now.checked_add(STANDS_FOR).unwrap_or(Timestamp::MAX);
        state.standing = Some((until, answer.as_ref().err().cloned()));
        match answer {
            Ok(credentials) => Ok(credentials),
            Err(error) => match state.held.as_ref().filter(|held| left(held).is_positive()) {
                Some(held) => {
                    tracing::warn!("The token could not be renewed, and is used for as long as it lives: {error}");
                    Ok(held.credentials.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn ask(&self, state: &mut State) -> Result<Credentials, HttpError> {
        // Each keeps its token by a clock of its own, and what it read of files: a new one asks.
        let credential = self.maker.make().map_err(|error| self.failed(&error))?;
        let token = credential.get_token(&[&self.scope], None).await.map_err(|error| self.failed(&error))?;
        if token.token.secret().trim().is_empty() {
            let (path, text) = ("access_token".to_owned(), "it is missing or empty".to_owned());
            return Err(self.error(HttpErrorKind::Unexpected { path, text }));
        }
        let secret = SecretString::from(token.token.secret().to_owned());
        let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", secret.expose_secret())) else {
            return Err(self.error(HttpErrorKind::Unsendable { why: "the token has characters that a header cannot carry".to_owned() }));
        };
        state.generation += 1;
        let credentials = Credentials::header(AUTHORIZATION, value, vec![secret], state.generation);
        let ends_at = Timestamp::from_second(token.expires_on.unix_timestamp()).unwrap_or(Timestamp::MIN);
        state.held = Some(Held { credentials: credentials.clone(), ends_at });
        Ok(credentials)
    }

    fn error(&self, kind: HttpErrorKind) -> HttpError {
        let call = Call { operation: TOKEN.to_owned(), origin: self.origin.clone(), attempts: 1, request_id: None, in_doubt: false };
        HttpError::new(call, kind)
    }

    /// Tells a refusal from a failure to ask.
    fn failed(&self, error: &azure_core::Error) -> HttpError {
        // A secret across the cut would not be found behind it.
        let words: String = self.maker.redacted(words(error)).chars().take(WORDS_MAX).collect();
        let kind = match status(error) {
            Some(status @ (429 | 500..)) => HttpErrorKind::Unavailable { said: said(status, words) },
            Some(status) => HttpErrorKind::Unauthorised { said: said(status, words) },
            None if has_no_answer(error) => HttpErrorKind::Lost { text: words },
            // There is nothing to ask with: no identity, no program, no file.
            None => HttpErrorKind::Unsendable { why: words },
        };
        self.error(kind)
    }
}

/// A text without a secret, as it is and as forms and URLs write it.
fn without(text: String, secret: &str) -> String {
    if secret.is_empty() {
        return text;
    }
    let of_form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let of_url = of_form.replace('+', "%20");
    // Some leave the tilde, which Entra's secrets have, as it is.
    let plain = [&of_form, &of_url].map(|spelling| spelling.replace("%7E", "~"));
    let spellings = [secret, &of_form, &of_url].into_iter().chain(plain.iter().map(String::as_str));
    spellings.fold(text, |text, spelling| text.replace(spelling, REDACTED))
}

fn said(status: u16, words: String) -> Box<Said> {
    Box::new(Said { status, words, is_html: false, body: bytes::Bytes::new() })
}

/// What an error came from, one after another.
fn causes(error: &azure_core::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// The errors of a chain that are the SDK's.
fn chain(error: &azure_core::Error) -> impl Iterator<Item = &azure_core::Error> {
    std::iter::once(error).chain(causes(error).filter_map(|error| error.downcast_ref::<azure_core::Error>()))
}

fn status(error: &azure_core::Error) -> Option<u16> {
    chain(error).find_map(azure_core::Error::http_status).map(u16::from)
}

fn has_no_answer(error: &azure_core::Error) -> bool {
    use azure_core::error::ErrorKind;
    chain(error).any(|error| matches!(error.kind(), ErrorKind::Io | ErrorKind::Connection)) && !chain(error).any(is_file)
}

/// Whether an error is about a file, such as the one with the federated token, not about the network.
fn is_file(error: &azure_core::Error) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<std::io::Error>()).any(|error| {
        matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::IsADirectory)
    })
}

/// Longest text of the platform's that is passed on, in characters.
const WORDS_MAX: usize = 600;

/// The platform's words on one line, uncut, without the SDK's advice behind them.
fn words(error: &azure_core::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in std::iter::once(error.to_string()).chain(causes(error).map(ToString::to_string)) {
        let part = part.split("To troubleshoot, visit").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if !parts.iter().any(|known| known.contains(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

#[async_trait]
impl Authenticator for TokenSource {
    async fn credentials(&self, latest: Timestamp) -> Result<Credentials, HttpError> {
        let left = latest.duration_since(self.maker.clock.now());
        let left = Duration::try_from(left).unwrap_or_default();
        let timed_out = |_| Err(self.error(HttpErrorKind::TimedOut { limit: Limit::Deadline, sent: false }));
        tokio::time::timeout(left, Box::pin(self.renewed())).await.unwrap_or_else(timed_out)
    }

    fn refused(&self, credentials: &Credentials) -> bool {
        self.refused.fetch_max(credentials.generation(), Ordering::AcqRel);
        true
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// What to do about an error of the token endpoint's, by its number.
///
/// Source: Microsoft Entra, "Microsoft Entra authentication and authorization error codes".
pub(crate) fn mend(text: &str) -> Option<&'static str> {
    let number: String = text.split("AADSTS").nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    Some(match number.as_str() {
        "7000215" => "the client secret is wrong: give the secret's value, not its id",
        "7000222" => "the client secret has ended: make a new one for the application",
        "700016" | "7000229" => {
            "the application is not known in this tenant: check `tenant` and `client_id`, and that it has a service principal there"
        }
        "90002" | "900023" => "the tenant is not known: check `tenant`, and the cloud",
        "700024" => "the assertion is outside of its time: set this machine's clock, or see why the federated token is old",
        "70021" | "700211" | "700212" | "700213" => {
            "no federated credential of the application fits: check its issuer, subject and audience"
        }
        "700027" => "the certificate is not one of the application's: upload it there, or give the one that is",
        "53003" => "conditional access blocks this identity: exclude it, or run where it is let in",
        "50034" | "700082" | "50173" => "log in again with `az login`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_spelling() {
        for text in ["is s~e+c r&t here", "is s~e%2Bc%20r%26t here", "is s%7Ee%2Bc+r%26t here"] {
            assert_eq!(without(text.to_owned(), "s~e+c r&t"), format!("is {REDACTED} here"), "{text}");
        }
        assert_eq!(without("text".to_owned(), ""), "text");
    }
}
