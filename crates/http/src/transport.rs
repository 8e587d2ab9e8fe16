//! One attempt: a request out, and its answer read and judged.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use url::Url;

use crate::answer::Answer;
use crate::auth::Credentials;
use crate::breaker::Health;
use crate::build_error::BuildError;
use crate::clock::later;
use crate::error::{Call, ConnectFailure, HttpError, HttpErrorKind, Instead, Limit, Said};
use crate::origin::Origin;
use crate::rate::RateSignal;
use crate::redact::Redactor;
use crate::request::{Expect, Request};
use crate::settings::Settings;
use crate::tls;
use crate::words::{Words, is_html, title};

/// How much of an error's body is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// A connection that nobody used for so long is closed: many servers close theirs after a minute, and a request on its way to a connection that
/// is just being closed is lost.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Headers in which platforms tell a request's id, the most telling first.
const REQUEST_IDS: [&str; 6] = ["x-ms-request-id", "x-transaction-id", "atl-traceid", "x-arequestid", "x-request-id", "x-correlation-id"];

/// A connection pool with the settings' authorities, proxies and limits, without cookies, redirects or repeats of its own: for libraries that send requests
/// by themselves, such as those that ask for tokens.
///
/// # Errors
/// [`BuildError`] where the CA file or a proxy cannot be used, or there is nobody to trust.
pub fn pool(settings: &Settings) -> Result<reqwest::Client, BuildError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(settings.ca_pem.as_deref())?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.limits.connect)
        .read_timeout(settings.limits.idle)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(Duration::from_secs(60))
        .gzip(true)
        .no_proxy();
    for proxy in settings.proxies.build()? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| BuildError::Machinery { why: chain(&error.without_url()) })
}

/// What one attempt needs to know.
pub(crate) struct Attempt<'a> {
    pub(crate) pool: &'a reqwest::Client,
    pub(crate) request: &'a Request,
    pub(crate) url: &'a Url,
    pub(crate) credentials: &'a Credentials,
    pub(crate) call: &'a Call,
    pub(crate) redactor: Redactor,
    pub(crate) words: Words,
    pub(crate) now: Timestamp,
    /// Longest time, and what it is called when it is over.
    pub(crate) limit: (Duration, Limit),
    pub(crate) body_bytes_max: usize,
    /// When to come again after a refusal that does not say.
    pub(crate) untold_pause: Duration,
}

/// What one attempt came to.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answer, HttpError>,
    /// `None` where no answer came.
    pub(crate) signal: Option<RateSignal>,
    pub(crate) request_id: Option<String>,
    pub(crate) status: Option<u16>,
}

impl Attempt<'_> {
    pub(crate) async fn make(self) -> Outcome {
        let mut seen = Seen::default();
        let (time, limit) = self.limit;
        let result = match tokio::time::timeout(time, self.exchange(&mut seen)).await {
            Ok(result) => result,
            Err(_) => Err(self.error(HttpErrorKind::TimedOut { limit, sent: true })),
        };
        let Seen { signal, request_id, status } = seen;
        let mut outcome = Outcome { result, signal, request_id, status };
        if let Err(error) = &mut outcome.result {
            error.call.request_id.clone_from(&outcome.request_id);
        }
        outcome
    }

    async fn exchange(&self, seen: &mut Seen) -> Result<Answer, HttpError> {
        let request = self.wire().map_err(|why| self.error(HttpErrorKind::Unsendable { why }))?;
        let mut response = self.pool.execute(request).await.map_err(|error| self.no_answer(&error.without_url()))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let rate = RateSignal::read(status.as_u16(), &headers, self.now);
        seen.status = Some(status.as_u16());
        seen.request_id = REQUEST_IDS.iter().find_map(|name| Some(self.redactor.words(headers.get(*name)?.to_str().ok()?)));
        seen.signal = Some(rate.clone());
        if status.is_redirection() {
            return Err(self.redirected(status, &headers));
        }
        if !status.is_success() {
            let body = read_some(&mut response).await;
            return Err(self.refused(status, &headers, body, &rate));
        }
        let body = self.read(&mut response, &headers).await?;
        let call = Box::new(Call { request_id: seen.request_id.clone(), ..self.call.clone() });
        let answer = Answer { call, status: status.as_u16(), headers, body, rate, redactor: self.redactor.clone() };
        if self.request.expect == Expect::Json && status != StatusCode::NO_CONTENT {
            answer.check_json()?;
        }
        Ok(answer)
    }

    fn error(&self, kind: HttpErrorKind) -> HttpError {
        HttpError::new(self.call.clone(), kind)
    }

    /// The request as it goes out.
    fn wire(&self) -> Result<reqwest::Request, String> {
        let mut request = reqwest::Request::new(self.request.method.clone(), self.url.clone());
        request.headers_mut().clone_from(&self.request.headers);
        if let Some((name, value)) = &self.credentials.header {
            if self.request.headers.contains_key(name) {
                return Err(format!("header `{name}` is the credentials'"));
            }
            request.headers_mut().insert(name.clone(), value.clone());
        }
        *request.body_mut() = self.request.body.clone().map(Into::into);
        Ok(request)
    }

    /// Reads the whole body of a success, within its limit.
    async fn read(&self, response: &mut reqwest::Response, headers: &HeaderMap) -> Result<Bytes, HttpError> {
        let too_large = || self.error(HttpErrorKind::TooLarge { limit_bytes: self.body_bytes_max });
        let told = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if told.is_some_and(|told| told > self.body_bytes_max) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.body_bytes_max => return Err(too_large()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) if error.is_timeout() => {
                    return Err(self.error(HttpErrorKind::TimedOut { limit: Limit::Idle, sent: true }));
                }
                Err(error) => {
                    let text = format!("after {} bytes: {}", body.len(), self.redactor.words(&cause(&error.without_url())));
                    return Err(self.error(HttpErrorKind::Truncated { text }));
                }
            }
        }
    }

    /// No status line came.
    fn no_answer(&self, error: &reqwest::Error) -> HttpError {
        self.error(match (error.is_connect(), error.is_timeout()) {
            (true, true) => HttpErrorKind::TimedOut { limit: Limit::Connect, sent: false },
            (true, false) => HttpErrorKind::Connect { failure: connect_failure(error), text: self.redactor.words(&cause(error)) },
            (false, true) => HttpErrorKind::TimedOut { limit: Limit::Idle, sent: true },
            (false, false) if error.is_builder() => HttpErrorKind::Unsendable { why: self.redactor.words(&cause(error)) },
            (false, false) => HttpErrorKind::Lost { text: self.redactor.words(&cause(error)) },
        })
    }

    fn redirected(&self, status: StatusCode, headers: &HeaderMap) -> HttpError {
        let location = headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        let to = match location.map(|location| self.url.join(location)) {
            // Path and query of a login page may hold what is secret.
            Some(Ok(url)) => Origin::of(&url).map_or_else(|| "no web address".to_owned(), |origin| origin.to_string()),
            Some(Err(_)) => "no address".to_owned(),
            None => "nowhere".to_owned(),
        };
        self.error(HttpErrorKind::Redirected { status: status.as_u16(), to })
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: Bytes, rate: &RateSignal) -> HttpError {
        let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_html = is_html(content_type, &body);
        let words = if is_html { Some(title(&body)) } else { (self.words)(&body) };
        let words = words.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        let said = Box::new(Said { status: status.as_u16(), words: self.redactor.words(&words), is_html, body });
        if rate.is_refusal {
            let pause = rate.stay_away().unwrap_or(self.untold_pause);
            return self.error(HttpErrorKind::Throttled { until: later(self.now, pause), said: Some(said) });
        }
        self.error(match status.as_u16() {
            401 => HttpErrorKind::Unauthorised { said },
            403 => HttpErrorKind::Forbidden { said },
            404 => HttpErrorKind::NotFound { said },
            400..500 => HttpErrorKind::Refused { said },
            _ => HttpErrorKind::Unavailable { said },
        })
    }
}

/// What was seen of an answer before it failed.
#[derive(Default)]
struct Seen {
    signal: Option<RateSignal>,
    request_id: Option<String>,
    status: Option<u16>,
}

/// The beginning of an error's body. That it is whole matters to nobody.
async fn read_some(response: &mut reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ERROR_BYTES_MAX - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == ERROR_BYTES_MAX {
            break;
        }
    }
    body.freeze()
}

/// What an attempt says about the origin's health. An application that fails at one request, in its own words, is there all the same.
pub(crate) fn health(result: &Result<Answer, HttpError>, words: Words) -> Health {
    match result {
        Ok(_) => Health::Up,
        Err(error) => match &error.kind {
            HttpErrorKind::TimedOut { limit: Limit::Deadline, .. }
            | HttpErrorKind::Unsendable { .. }
            | HttpErrorKind::ForeignOrigin { .. }
            | HttpErrorKind::CircuitOpen { .. }
            | HttpErrorKind::Empty { .. }
            | HttpErrorKind::NotJson { instead: Instead::Html(_) | Instead::Other, .. } => Health::Unknown,
            HttpErrorKind::Connect { failure, text } => Health::Down(format!("{failure}: {text}")),
            HttpErrorKind::TimedOut { limit, .. } => Health::Down(limit.to_string()),
            HttpErrorKind::Lost { text } => Health::Down(format!("the connection broke: {text}")),
            HttpErrorKind::Truncated { text } => Health::Down(format!("the answer is cut off: {text}")),
            HttpErrorKind::Unavailable { said } if !said.is_html && words(&said.body).is_some() => Health::Unknown,
            HttpErrorKind::Unavailable { said } => Health::Down(said.to_string()),
            HttpErrorKind::TooLarge { .. }
            | HttpErrorKind::Unexpected { .. }
            | HttpErrorKind::Redirected { .. }
            | HttpErrorKind::Unauthorised { .. }
            | HttpErrorKind::Forbidden { .. }
            | HttpErrorKind::NotFound { .. }
            | HttpErrorKind::Refused { .. }
            | HttpErrorKind::Throttled { .. } => Health::Up,
        },
    }
}

fn connect_failure(error: &reqwest::Error) -> ConnectFailure {
    if error.is_dns() {
        return ConnectFailure::Name;
    }
    for source in sources(error) {
        // An I/O error hides what is in it from the chain, and may lie in another.
        let mut inner = source;
        while let Some(next) = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            inner = next;
        }
        if inner.is::<rustls::Error>() {
            return ConnectFailure::Tls;
        }
        // Its type is private.
        if source.to_string().starts_with("tunnel error") {
            return ConnectFailure::Proxy;
        }
    }
    ConnectFailure::Network
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The last words of an error's chain: what really happened. Those before say which part of the machinery saw it.
fn cause(error: &(dyn Error + 'static)) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}

/// All of an error's chain.
fn chain(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
