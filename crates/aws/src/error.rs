//! From the SDK's errors to the source's.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dewpoint_core::model::SourceName;
use dewpoint_core::source::SourceError;

use crate::body::CutBody;
use crate::credentials;

/// Longest text of the provider's that is passed on, in characters.
const TEXT_CHARS_MAX: usize = 700;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No credentials, or such that no call accepts.
    Credentials,
    /// Good credentials, signed with a time that AWS does not accept.
    Clock,
    /// Good credentials that this call refused as if they were bad: what a region that is not enabled answers, too.
    Unrecognised,
    /// The credentials may not make this call.
    Denied,
    /// The rate limit won over every retry.
    Throttled,
    /// The answer is not whole, or not what was asked for.
    Truncated,
    /// The service says that the account does not have this region or API. Whether somebody switched it off is for the account's own list of regions to
    /// say; without that it is a refusal like others.
    Disabled,
    /// The account's own list of regions says that the region is not enabled.
    Off,
    /// The token of the next page is no longer good.
    StaleToken,
    /// What was asked about does not exist (any more).
    NotFound,
    /// No answer within the time allowed.
    Silent,
    /// Anything else.
    Failed,
}

/// A failed call, without the answer that it came from.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// `service:Action`, as in policies.
    pub(crate) operation: &'static str,
    /// The provider's code and message, or what went wrong on the way.
    pub(crate) text: String,
    /// HTTP status of the answer; `None` where none came.
    pub(crate) status: Option<u16>,
    /// The answer's `Date` header.
    pub(crate) date: Option<String>,
}

impl Fault {
    pub(crate) fn new(reason: Reason, operation: &'static str, text: impl Into<String>) -> Self {
        Self { reason, operation, text: text.into(), status: None, date: None }
    }

    /// Reads an SDK error. Generic for as few lines as possible: all else is compiled once.
    pub(crate) fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                Self::answered(operation, context.raw().status().as_u16(), context.err().code(), context.err().message())
            }
            SdkError::ResponseError(_) => Self::unreadable(operation, error.source()),
            SdkError::TimeoutError(_) => Self::silent(operation),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::on_the_way(operation, Reason::Silent, error.source()),
            _ => Self::on_the_way(operation, Reason::Failed, error.source()),
        }
    }

    /// The service answered with an error.
    fn answered(operation: &'static str, status: u16, code: Option<&str>, message: Option<&str>) -> Self {
        let code = code.map(str::trim).filter(|code| !code.is_empty());
        let reason = match code {
            _ if (200..300).contains(&status) => Reason::Truncated,
            Some("ValidationError" | "InvalidInputException") if message.is_some_and(is_about_token) => Reason::StaleToken,
            Some("SignatureDoesNotMatch" | "InvalidSignatureException") if message.is_some_and(is_about_time) => Reason::Clock,
            Some(code) => match reason_of(code) {
                // A code that nobody foresaw; the status tells that it is a refusal.
                Reason::Failed if matches!(status, 401 | 403) => Reason::Denied,
                reason => reason,
            },
            None if status == 429 => Reason::Throttled,
            None => Reason::Failed,
        };
        let text = match (code, message) {
            _ if reason == Reason::Truncated => "the answer could not be understood".to_owned(),
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => format!("HTTP status {status} without an error code"),
        };
        Self { status: Some(status), ..Self::new(reason, operation, tidy(&text)) }
    }

    /// An answer that ended early.
    fn unreadable(operation: &'static str, source: Option<&(dyn Error + 'static)>) -> Self {
        // The SDK wraps our own finding in words about its machinery.
        let own = chain(source).find(|error| error.is::<CutBody>());
        Self::new(Reason::Truncated, operation, words(own.or(source)))
    }

    /// No answer: no credentials to sign with, or no connection, or nothing on it, which is for `reason` to say.
    fn on_the_way(operation: &'static str, reason: Reason, source: Option<&(dyn Error + 'static)>) -> Self {
        // A role's credentials that could not be had: why the role could not be assumed counts, not that there are none.
        if let Some(fault) = chain(source).find_map(|error| error.downcast_ref::<Self>()) {
            return fault.clone();
        }
        if let Some(error) = chain(source).find(|error| error.is::<CredentialsError>()) {
            let text = credentials::why_none(&whole(Some(error)), |name| std::env::var_os(name).is_some());
            return Self::new(Reason::Credentials, operation, text);
        }
        Self::new(reason, operation, words(source))
    }

    /// Nothing came back in time.
    pub(crate) fn silent(operation: &'static str) -> Self {
        Self::new(Reason::Silent, operation, "no answer within the time allowed")
    }

    /// An answer that is whole but breaks the protocol.
    pub(crate) fn truncated(operation: &'static str, text: impl Into<String>) -> Self {
        Self::new(Reason::Truncated, operation, text)
    }

    /// The source's error.
    pub(crate) fn error(&self, source: &SourceName) -> SourceError {
        let source_name = source.clone();
        let operation = self.operation.to_owned();
        let text = self.text.clone();
        match self.reason {
            Reason::Credentials => SourceError::Credentials { source_name, text },
            Reason::Clock => SourceError::Clock { source_name, text },
            Reason::Denied | Reason::Unrecognised | Reason::Disabled => SourceError::Denied { source_name, operation, text },
            Reason::Throttled => SourceError::Throttled { source_name, operation, text },
            Reason::Truncated | Reason::StaleToken => SourceError::Truncated { source_name, operation, text },
            Reason::Off => SourceError::Disabled { source_name, operation, text },
            Reason::Failed | Reason::NotFound | Reason::Silent => SourceError::Failed { source_name, operation, text },
        }
    }
}

/// What an error code means.
///
/// Sources: Amazon EC2 API Reference, "Error codes"; IAM User Guide, "Common errors"; the SDK's list of throttling codes.
fn reason_of(code: &str) -> Reason {
    match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "SlowDown"
        | "PriorRequestNotComplete" => Reason::Throttled,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "UnauthorizedAccess" => Reason::Denied,
        "AuthFailure" | "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidToken" => Reason::Unrecognised,
        "OptInRequired" | "SubscriptionRequiredException" | "RegionDisabled" | "RegionDisabledException" => Reason::Disabled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Reason::Credentials,
        "RequestTimeTooSkewed" | "RequestInTheFuture" => Reason::Clock,
        "InvalidNextToken" | "InvalidPaginationToken" => Reason::StaleToken,
        "TargetGroupNotFound" | "LoadBalancerNotFound" | "ListenerNotFound" => Reason::NotFound,
        _ => Reason::Failed,
    }
}

/// Elastic Load Balancing and Organizations have no code of their own for a page's token that is no longer good.
fn is_about_token(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("marker") || message.contains("nexttoken")
}

/// Services that have no code for a signature whose time is off say it in words.
fn is_about_time(message: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|words| message.starts_with(words))
}

/// An error and its causes.
fn chain<'a>(error: Option<&'a (dyn Error + 'static)>) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error, |&error| error.source())
}

/// A chain of causes in one line of bounded length.
pub(crate) fn words(error: Option<&(dyn Error + 'static)>) -> String {
    tidy(&whole(error))
}

/// A chain of causes in one line.
fn whole(error: Option<&(dyn Error + 'static)>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in chain(error) {
        let part = error.to_string();
        // Wrappers often repeat what they wrap.
        if parts.last().is_none_or(|last| !last.contains(&part)) {
            parts.push(part);
        }
    }
    if parts.is_empty() { "no reason given".to_owned() } else { parts.join(": ") }
}

/// One line of bounded length, without the encoded blob that EC2 appends to denials.
fn tidy(text: &str) -> String {
    // What follows quotes the request, its session token included.
    let text = text.split("The Canonical String").next().unwrap_or_default();
    let text = text.split("Encoded authorization failure message").next().unwrap_or_default();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(status: u16, code: Option<&str>, message: Option<&str>, reason: Reason, text: &str) {
        let fault = Fault::answered("ec2:DescribeInstances", status, code, message);
        assert_eq!((fault.reason, fault.text.as_str()), (reason, text));
    }

    #[test]
    fn codes_have_reasons() {
        expect(
            503,
            Some("RequestLimitExceeded"),
            Some("Request limit exceeded."),
            Reason::Throttled,
            "RequestLimitExceeded: Request limit exceeded.",
        );
        expect(400, Some("Throttling"), None, Reason::Throttled, "Throttling");
        expect(403, Some("UnauthorizedOperation"), Some("no"), Reason::Denied, "UnauthorizedOperation: no");
        expect(401, Some("AuthFailure"), Some("no"), Reason::Unrecognised, "AuthFailure: no");
        expect(400, Some("RequestExpired"), None, Reason::Credentials, "RequestExpired");
        expect(500, Some("InternalError"), None, Reason::Failed, "InternalError");
        expect(400, Some("ValidationError"), Some("The marker is bad"), Reason::StaleToken, "ValidationError: The marker is bad");
        expect(400, Some("ValidationError"), Some("no"), Reason::Failed, "ValidationError: no");
        expect(403, Some("Blocked"), Some("no"), Reason::Denied, "Blocked: no");
        expect(
            403,
            Some("SignatureDoesNotMatch"),
            Some("Signature expired: no"),
            Reason::Clock,
            "SignatureDoesNotMatch: Signature expired: no",
        );
        expect(403, Some("SignatureDoesNotMatch"), Some("no"), Reason::Credentials, "SignatureDoesNotMatch: no");
        expect(502, None, Some("<html>"), Reason::Failed, "HTTP status 502 without an error code");
        expect(200, None, None, Reason::Truncated, "the answer could not be understood");
    }

    #[test]
    fn texts_are_one_short_line_without_the_blob() {
        let message = format!("You may\nnot. Encoded authorization failure message: {}", "x".repeat(2000));
        expect(403, Some("UnauthorizedOperation"), Some(&message), Reason::Denied, "UnauthorizedOperation: You may not.");
        assert_eq!(tidy(&"é".repeat(1000)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
