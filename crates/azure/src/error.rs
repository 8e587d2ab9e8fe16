//! From the HTTP client's errors to the source's.

use dewpoint_core::model::SourceName;
use dewpoint_core::source::SourceError;
use dewpoint_http::{HttpError, HttpErrorKind, Said};
use serde::Deserialize;

use crate::action::Action;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No credentials, or such that nothing accepts.
    Credentials,
    /// The principal may not make this call.
    Denied,
    /// A rate limit won over every retry, or asks for more time than there is.
    Throttled,
    /// The answer is not whole, or not what was asked for.
    Truncated,
    /// A subscription that cannot hold such resources.
    Disabled,
    /// The provider is not registered in the subscription: it holds nothing of the kind.
    Unregistered,
    /// What was asked about does not exist (any more), in the platform's own words.
    Gone,
    /// A provider does not find what was asked about, which need not be gone.
    Unfound,
    /// The call does not fit what it is about, such as the machines of a scale set that is not uniform.
    Unfit,
    /// Anything else.
    Failed,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// The action that a role has to allow.
    pub(crate) operation: &'static str,
    /// The platform's code and message, or what went wrong on the way.
    pub(crate) text: String,
}

/// The platform's form of errors.
///
/// Source: Azure Resource Manager, "Common deployment errors"; github.com/Azure/azure-resource-manager-rpc, "Error response content".
#[derive(Deserialize)]
struct Document {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    code: Option<String>,
}

fn code(said: &Said) -> String {
    said.json::<Document>().and_then(|document| document.error.code).unwrap_or_default()
}

/// Whether a code says that the version of the API is not known there: it is another cloud's, or a region's that is behind.
fn is_about_version(code: &str) -> bool {
    matches!(code, "InvalidApiVersionParameter" | "NoRegisteredProviderFound" | "InvalidResourceType" | "UnsupportedApiVersion")
}

/// What asks for a token calls itself so in errors.
pub(crate) const TOKEN: &str = "token";

impl Fault {
    pub(crate) fn new(reason: Reason, action: Action, text: impl Into<String>) -> Self {
        Self { reason, operation: action.name, text: text.into() }
    }

    pub(crate) fn truncated(action: Action, text: impl Into<String>) -> Self {
        Self::new(Reason::Truncated, action, text)
    }

    /// Reads an error of the client's.
    pub(crate) fn of(action: Action, error: &HttpError) -> Self {
        let is_token = error.call().operation == TOKEN;
        let reason = match &error.kind {
            HttpErrorKind::Unauthorised { said } if !is_token => match code(said).as_str() {
                // It lives in another tenant than the one that the token is of.
                "InvalidAuthenticationTokenTenant" => Reason::Denied,
                _ => Reason::Credentials,
            },
            HttpErrorKind::Unauthorised { .. } => Reason::Credentials,
            _ if is_token && error.status() == Some(429) => Reason::Throttled,
            _ if is_token => Reason::Failed,
            HttpErrorKind::Forbidden { said } => match code(said).as_str() {
                "DisallowedOperation" | "ReadOnlyDisabledSubscription" => Reason::Disabled,
                _ => Reason::Denied,
            },
            HttpErrorKind::NotFound { said } => match code(said).as_str() {
                // Azure Resource Manager itself knows of none. `NotFound` is a provider's word, which it uses for other things too, and for a resource that
                // is on its way out: the platform tells of that soon after.
                "ResourceNotFound" | "ResourceGroupNotFound" => Reason::Gone,
                "NotFound" => Reason::Unfound,
                _ => Reason::Failed,
            },
            HttpErrorKind::Refused { said } => match code(said).as_str() {
                "MissingSubscriptionRegistration" => Reason::Unregistered,
                "InvalidParameter" | "BadRequest" => Reason::Unfit,
                "DisallowedOperation" | "ReadOnlyDisabledSubscription" => Reason::Disabled,
                _ => Reason::Failed,
            },
            HttpErrorKind::Throttled { .. } => Reason::Throttled,
            HttpErrorKind::ForeignOrigin { .. }
            | HttpErrorKind::Truncated { .. }
            | HttpErrorKind::TooLarge { .. }
            | HttpErrorKind::Empty { .. }
            | HttpErrorKind::NotJson { .. }
            | HttpErrorKind::Unexpected { .. } => Reason::Truncated,
            HttpErrorKind::Unsendable { .. }
            | HttpErrorKind::CircuitOpen { .. }
            | HttpErrorKind::Connect { .. }
            | HttpErrorKind::TimedOut { .. }
            | HttpErrorKind::Lost { .. }
            | HttpErrorKind::Redirected { .. }
            | HttpErrorKind::Unavailable { .. } => Reason::Failed,
        };
        let mut text = error.to_string();
        if error.said().is_some_and(|said| is_about_version(&code(said))) {
            text = format!("{text}; another version can be set by `api_versions` for {}", action.resource_type);
        }
        if let Some(id) = error.call().request_id.as_deref() {
            text = format!("{text}, request {id}");
        }
        Self::new(reason, action, text)
    }

    /// The same, of a page after the first: what came before is part of the whole.
    pub(crate) fn after_a_page(self, page: usize) -> Self {
        match self.reason {
            Reason::Failed | Reason::Gone | Reason::Unfound | Reason::Unregistered | Reason::Unfit | Reason::Truncated => {
                Self { reason: Reason::Truncated, text: format!("page {page}: {}", self.text), ..self }
            }
            Reason::Credentials | Reason::Denied | Reason::Throttled | Reason::Disabled => self,
        }
    }

    /// The source's error.
    pub(crate) fn error(&self, source: &SourceName) -> SourceError {
        let source_name = source.clone();
        let operation = self.operation.to_owned();
        let text = self.text.clone();
        match self.reason {
            Reason::Credentials => SourceError::Credentials { source_name, text },
            Reason::Denied => SourceError::Denied { source_name, operation, text },
            Reason::Throttled => SourceError::Throttled { source_name, operation, text },
            Reason::Truncated => SourceError::Truncated { source_name, operation, text },
            Reason::Disabled => SourceError::Disabled { source_name, operation, text },
            Reason::Unregistered | Reason::Gone | Reason::Unfound | Reason::Unfit | Reason::Failed => {
                SourceError::Failed { source_name, operation, text }
            }
        }
    }
}
