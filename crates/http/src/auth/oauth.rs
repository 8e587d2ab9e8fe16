//! Bearer tokens from an OAuth 2 token endpoint.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tracing::Instrument;

use super::{Authenticator, Credentials};
use crate::client::Client;
use crate::clock::until;
use crate::error::{Call, HttpError, HttpErrorKind, Limit};
use crate::request::Request;
use crate::retry::Repeat;

/// How a token is asked for (RFC 6749 §4.3 and §4.4).
#[derive(Debug, Clone)]
pub enum Grant {
    /// As the application itself.
    ClientCredentials,
    /// As a user, whose password the application knows.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// Where and as whom tokens are asked for.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// Path of the token endpoint behind the client's base URL: `/oauth_token.do`, `/auth/token`.
    pub path: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// How.
    pub grant: Grant,
    /// More form fields, such as `scope`.
    pub fields: Vec<(String, String)>,
    /// Query parameters, such as Halo's `tenant`.
    pub query: Vec<(String, String)>,
}

/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is used whose server does not say how long it lives. If it ends before, a 401 will say so.
const LIFETIME_UNTOLD: Duration = Duration::from_secs(600);
/// After a refusal by the token endpoint nobody asks again for so long: users are locked for wrong passwords.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// After any other failure the old token is used for so long, where it still lives, before anybody asks again.
const FAILED_FOR: Duration = Duration::from_secs(5);

type Renewal = Shared<BoxFuture<'static, Result<Token, HttpError>>>;

/// Credentials that are tokens from an OAuth 2 endpoint. A token is renewed before it ends, and after a 401; by one request, whoever waits for it, and
/// its failure is told to all of them.
pub struct OAuth(Arc<Inner>);

struct Inner {
    /// Without credentials; it has the budget, the limits and the trust of the API's client.
    client: Client,
    settings: OAuthSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The request that is under way.
    renewal: Option<Renewal>,
    /// Tokens had so far.
    generation: u64,
    /// What the endpoint said last, and until when (by [`Clock::elapsed`]) nobody asks again.
    failed: Option<(HttpError, Duration)>,
}

#[derive(Clone)]
struct Token {
    credentials: Credentials,
    /// Both by [`Clock::elapsed`].
    renew_at: Duration,
    ends_at: Duration,
}

impl OAuth {
    /// Asks for tokens through `client`, which has no credentials of its own and reaches the token endpoint's origin.
    #[must_use]
    pub fn new(client: Client, settings: OAuthSettings) -> Self {
        Self(Arc::new(Inner { client, settings, state: Mutex::default() }))
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for OAuth {
    async fn credentials(&self, latest: Timestamp) -> Result<Credentials, HttpError> {
        let (renewal, old) = match self.0.look()? {
            Step::Use(token) => return Ok(token.credentials),
            Step::Wait { renewal, old } => (renewal, old),
        };
        let left = until(self.0.client.clock().now(), latest);
        let renewed = match tokio::time::timeout(left, renewal).await {
            Ok(renewed) => renewed,
            // It goes on for those who have more time.
            Err(_) => Err(HttpError::new(self.0.call(), HttpErrorKind::TimedOut { limit: Limit::Deadline, sent: false })),
        };
        match (renewed, old) {
            (Ok(token), _) => Ok(token.credentials),
            (Err(_), Some(old)) => Ok(old.credentials),
            (Err(error), None) => Err(error),
        }
    }

    fn refused(&self, credentials: &Credentials) -> bool {
        let mut state = self.0.lock();
        // Where somebody else had it renewed already, the newer one is to be tried.
        if state.token.as_ref().is_some_and(|token| token.credentials.generation == credentials.generation) {
            state.token = None;
        }
        true
    }
}

enum Step {
    Use(Token),
    Wait { renewal: Renewal, old: Option<Token> },
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token as it is, or the request for a new one, which the first to need it begins.
    fn look(self: &Arc<Self>) -> Result<Step, HttpError> {
        let now = self.client.clock().elapsed();
        let mut state = self.lock();
        let live = state.token.clone().filter(|token| now < token.ends_at);
        let recently = state.failed.clone().filter(|(_, until)| now < *until);
        match (live, recently) {
            (Some(token), _) if now < token.renew_at => return Ok(Step::Use(token)),
            (Some(token), Some(_)) => return Ok(Step::Use(token)),
            (None, Some((error, _))) if is_refusal(&error) => return Err(error),
            _ => {}
        }
        let old = state.token.clone().filter(|token| now < token.ends_at);
        let renewal = state.renewal.get_or_insert_with(|| self.begin()).clone();
        Ok(Step::Wait { renewal, old })
    }

    /// Asks for a token in a task of its own: it ends, and is noted, even if all who wait for it give up.
    fn begin(self: &Arc<Self>) -> Renewal {
        let inner = Arc::clone(self);
        let task = async move {
            let asked = inner.ask().await;
            inner.note(asked)
        };
        let task = tokio::spawn(task.in_current_span());
        let call = self.call();
        let ended = async move {
            let given_up = |_| Err(HttpError::new(call, HttpErrorKind::Unsendable { why: "the renewal was given up".to_owned() }));
            task.await.unwrap_or_else(given_up)
        };
        ended.boxed().shared()
    }

    fn note(&self, asked: Result<Answered, HttpError>) -> Result<Token, HttpError> {
        let now = self.client.clock().elapsed();
        let mut state = self.lock();
        state.renewal = None;
        match asked {
            Ok(answered) => {
                state.generation += 1;
                state.failed = None;
                let token = answered.token(state.generation);
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => {
                let pause = if is_refusal(&error) { REFUSED_FOR } else { FAILED_FOR };
                state.failed = Some((error.clone(), now + pause));
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<Answered, HttpError> {
        let OAuthSettings { path, client_id, client_secret, grant, fields, query } = &self.settings;
        let mut form = vec![("client_id", client_id.as_str()), ("client_secret", client_secret.expose_secret())];
        let mut request = Request::post(path).operation(OPERATION).repeat(Repeat::Safe).redact(client_secret.clone());
        match grant {
            Grant::ClientCredentials => form.push(("grant_type", "client_credentials")),
            Grant::Password { username, password } => {
                form.extend([("grant_type", "password"), ("username", username), ("password", password.expose_secret())]);
                request = request.redact(password.clone());
            }
        }
        form.extend(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for (name, value) in query {
            request = request.query(name, value);
        }
        // The token's life counts from when it was asked for: the answer may have been long on its way.
        let asked_at = self.client.clock().elapsed();
        let answer = self.client.send(request.form(&form)).await.map_err(as_refusal)?;
        let told: Told = answer.secret_json("a token")?;
        if !told.token_type.as_deref().unwrap_or("bearer").eq_ignore_ascii_case("bearer") {
            return Err(answer.unexpected("token_type", "it is not `Bearer`"));
        }
        let secret = SecretString::from(told.access_token);
        let text = SecretString::from(format!("Bearer {}", secret.expose_secret()));
        let Ok(value) = HeaderValue::from_str(text.expose_secret()) else {
            return Err(answer.unexpected("access_token", "it has characters that a header cannot carry"));
        };
        let lifetime = told.expires_in.as_ref().and_then(lifetime).unwrap_or(LIFETIME_UNTOLD);
        Ok(Answered { value, secret, asked_at, lifetime })
    }

    fn call(&self) -> Call {
        Call { operation: OPERATION.to_owned(), origin: self.client.origin().clone(), attempts: 0, request_id: None, in_doubt: false }
    }
}

/// How the request for a token is called in counts and errors.
const OPERATION: &str = "token";

struct Answered {
    value: HeaderValue,
    secret: SecretString,
    asked_at: Duration,
    lifetime: Duration,
}

impl Answered {
    fn token(self, generation: u64) -> Token {
        // A server may hand out the old token again with what is left of its life (ServiceNow does). Asking for the next only after half of
        // that keeps the last minute from becoming a storm of requests.
        let use_for = self.lifetime.saturating_sub(MARGIN).max(self.lifetime / 2);
        Token {
            credentials: Credentials::header(AUTHORIZATION, self.value, vec![self.secret], generation),
            renew_at: self.asked_at + use_for,
            ends_at: self.asked_at + self.lifetime,
        }
    }
}

/// A token endpoint says no to credentials with 400 as well (RFC 6749 §5.2): it is the same to whoever has to mend it.
fn as_refusal(error: HttpError) -> HttpError {
    let kind = match error.kind {
        HttpErrorKind::Refused { said } if said.json::<ErrorDocument>().is_some() => HttpErrorKind::Unauthorised { said },
        kind => kind,
    };
    HttpError { kind, ..error }
}

fn is_refusal(error: &HttpError) -> bool {
    matches!(error.kind, HttpErrorKind::Unauthorised { .. } | HttpErrorKind::Forbidden { .. } | HttpErrorKind::Refused { .. })
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(rename = "error")]
    _error: String,
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Told {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

/// Seconds, as a number or as a text that is one: both are sent. A year at most: no token lives longer, and sums stay in bounds.
fn lifetime(told: &Value) -> Option<Duration> {
    let seconds = told.as_f64().or_else(|| told.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, 31_536_000.0)).ok()
}
