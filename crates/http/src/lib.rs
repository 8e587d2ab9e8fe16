//! Dewpoint's HTTP client, for every REST API that it speaks.
//!
//! ```text
//! let client = Client::builder(Settings::new("snow", base)).budget(budget).auth(auth).build()?;
//! let request = Request::post("/api/now/identifyreconcile/enhanced").json(&payload).operation("identify").repeat(Repeat::Safe);
//! let answer = client.send(request.deadline(at)).await?;
//! let result: Reconciled = answer.json()?;
//! ```
//!
//! # One call
//!
//! A call is one or several attempts. Each waits for the **budget** of its credential, gets its **credentials**, and is sent unless the **breaker** says that
//! the origin is out of order. What comes back is an [`Answer`] (a status of success and a whole body of the kind that was asked for) or an
//! [`HttpError`], with a [kind](HttpErrorKind) for each way to react.
//!
//! - **Repeats** ([`Repeat`]). Refused for the rate (429, or 503 with `Retry-After`), or no connection: the server did nothing, so anything is sent again. No answer, half
//!   an answer, a 5xx: only what is safe to repeat is. Pauses have full jitter; attempts and time are bounded ([`RetryPolicy`], [`Limits`]). A 401
//!   has the token renewed, once.
//! - **Doubt** ([`HttpError::is_ambiguous`]). Where a request was sent and no answer says yes or no, in this attempt or one before, the server may have
//!   carried it out. A 404 after a broken connection is in doubt as well.
//! - **Budget** ([`Budget`], [`RateBudget`]). What the platform says about its limits slows all requests of the credential. A wait that would go beyond the
//!   deadline is not begun: the call ends at once with [`HttpErrorKind::Throttled`], which says when to come again. Where a part of a platform has limits
//!   of its own, its requests have a budget of two layers ([`LayeredBudget`], [`Client::with_budget`]).
//! - **Breaker** ([`BreakerPolicy`]). Counts attempts that came to no answer, and 5xx from whatever stands in front of the application. A 500 in the
//!   application's own words does not count: it is about that request.
//!
//! # Where secrets go
//!
//! To configured origins only: a URL that a response named is followed when its origin is one of them ([`HttpErrorKind::ForeignOrigin`]), redirects are not
//! followed at all, plain http needs to be asked for. There is no cookie jar. Nothing secret is in `Debug`, logs or errors: what servers say is
//! searched for the secrets of the request, and for what looks like one.
//!
//! # What is absent, and why
//!
//! HTTP/2: with one request on a connection at a time it is certain what was sent and where an answer ends. Redirects, cookies, a repeat by the
//! transport: all would act without the rules above.

mod answer;
pub mod auth;
mod breaker;
mod budget;
mod build_error;
mod client;
mod clock;
mod error;
mod layered;
mod meter;
mod origin;
mod proxy;
mod rate;
mod redact;
mod request;
mod retry;
mod settings;
mod tls;
mod transport;
mod words;

pub use answer::Answer;
pub use breaker::BreakerPolicy;
pub use budget::{Budget, Exhausted, Rate, RateBudget, Unlimited};
pub use build_error::BuildError;
pub use client::{Builder, Client};
pub use clock::{Clock, SystemClock};
pub use error::{Call, ConnectFailure, HttpError, HttpErrorKind, Instead, Limit, Said};
pub use http::{HeaderMap, HeaderName, Method};
pub use layered::LayeredBudget;
pub use meter::{Meter, NoMeter};
pub use origin::{BaseUrl, Origin, Plaintext};
pub use proxy::Proxies;
pub use rate::RateSignal;
pub use redact::REDACTED;
pub use request::Request;
pub use retry::{Repeat, RetryPolicy};
pub use settings::{Limits, Settings};
pub use transport::pool;
pub use words::{Words, common_words};
