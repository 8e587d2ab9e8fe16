//! Why a target did not do what was asked.

use crate::model::TargetName;

/// What a caller should do about a [`TargetError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// A repeat cannot help; someone must act.
    Never,
    /// Try again later, with back-off.
    Backoff,
}

/// Why a target did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TargetError {
    /// The target did not accept the credentials.
    #[error("target `{target}` did not accept the credentials: {text}")]
    Credentials {
        /// The target.
        target: TargetName,
        /// Its own words, without secrets.
        text: String,
    },
    /// The credentials lack a permission.
    #[error("target `{target}` refused to {operation}: {text}")]
    Forbidden {
        /// The target.
        target: TargetName,
        /// What was asked.
        operation: &'static str,
        /// Its own words.
        text: String,
    },
    /// The target took the request and refused this record.
    #[error("target `{target}` refused the record: {text}")]
    Rejected {
        /// The target.
        target: TargetName,
        /// Its own words.
        text: String,
    },
    /// Not tried, since another write of the batch, which this one depends on, was not done.
    #[error("target `{target}` was not asked: {text}")]
    Abandoned {
        /// The target.
        target: TargetName,
        /// What it waits for.
        text: String,
    },
    /// No answer, or one that says nothing.
    #[error("target `{target}` did not answer `{operation}`: {text}")]
    Unreachable {
        /// The target.
        target: TargetName,
        /// What was asked.
        operation: &'static str,
        /// What happened.
        text: String,
    },
    /// The rate limit asks for a longer wait than there is time.
    #[error("target `{target}` asks to wait {seconds} s")]
    Busy {
        /// The target.
        target: TargetName,
        /// How long it asks.
        seconds: u64,
    },
    /// The target is not the one that the ledger knows, or is damaged.
    #[error("target `{target}` is not usable: {text}")]
    Unusable {
        /// The target.
        target: TargetName,
        /// What is wrong.
        text: String,
        /// The way on.
        hint: String,
    },
}

impl TargetError {
    /// Whether a repeat can help. Exhaustive on purpose: a new variant has to decide.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Credentials { .. } | Self::Forbidden { .. } | Self::Unusable { .. } => Retry::Never,
            Self::Rejected { .. } | Self::Abandoned { .. } | Self::Unreachable { .. } | Self::Busy { .. } => Retry::Backoff,
        }
    }

    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials { .. } | Self::Forbidden { .. } => Some("run `dewpoint doctor`: it names what is missing".to_owned()),
            Self::Rejected { .. } => Some("mend the record or its mapping, then `dewpoint retry`".to_owned()),
            Self::Abandoned { .. } | Self::Unreachable { .. } | Self::Busy { .. } => {
                Some("run again later: what was not delivered is kept".to_owned())
            }
            Self::Unusable { hint, .. } => Some(hint.clone()),
        }
    }
}
