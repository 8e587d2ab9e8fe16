//! Findings of the online checks.

use serde::{Deserialize, Serialize};

use crate::model::vocabulary;

vocabulary! {
    /// How a check ended.
    Health, "check outcome" {
        /// As it should be.
        Ok => "ok",
        /// Works, but someone should look.
        Warning => "warning",
        /// Does not work.
        Error => "error",
    }
}

/// Name of the check that fails where credentials are not accepted.
pub const CREDENTIALS: &str = "credentials";

/// What one check of a source, a target or the ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked: a source's or target's name, or `ledger`.
    pub subject: String,
    /// Which check, a few words.
    pub check: String,
    /// How it ended.
    pub outcome: Health,
    /// What was found.
    pub text: String,
    /// How to mend it; `None` when there is nothing to mend.
    pub mend: Option<String>,
}
