//! What Dewpoint's AWS source is told: which accounts and regions, by which roles, how fast.
//!
//! Apart from the source, so that a configuration can be read and checked without building the SDK.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use dewpoint_core::model::{Account, Region};
pub use dewpoint_core::source::Rate;

/// Which accounts are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accounts {
    /// The one that the credentials belong to.
    Own,
    /// These.
    Listed(Vec<ListedAccount>),
    /// All of the organization whose management account, or delegated administrator, the credentials belong to.
    Organization,
}

/// An account that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAccount {
    /// Its id: twelve digits.
    pub id: Account,
    /// ARN of the role to read it as; none: the role of the usual name, or no role where the credentials are the account's own.
    pub role_arn: Option<String>,
    /// The external id that the role's trust asks for, if it is not the usual one.
    pub external_id: Option<ExternalId>,
}

/// How accounts that are not the caller's own are read, where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsualRole {
    /// Name of the role in each account, with its path, if it has one.
    pub name: String,
    /// External id that its trust asks for.
    pub external_id: Option<ExternalId>,
}

/// Which regions are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// All that an account has enabled.
    All,
    /// These; never empty.
    Listed(BTreeSet<Region>),
}

/// What a role's trust asks for beside the caller. Shown to nobody: whoever knows it could have the role assumed for somebody else.
///
/// Source: IAM User Guide, "The confused deputy problem".
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalId(String);

impl ExternalId {
    /// An external id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id itself, to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A text that no trust policy can ask for as external id. Never holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an external id has 2 to 1224 letters, digits and `_+=,.@:/-`")]
pub struct InvalidExternalId;

impl FromStr for ExternalId {
    type Err = InvalidExternalId;

    /// Source: STS API Reference, AssumeRole: `ExternalId`.
    fn from_str(text: &str) -> Result<Self, InvalidExternalId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        if (2..=1224).contains(&text.len()) && text.bytes().all(fits) { Ok(Self::new(text)) } else { Err(InvalidExternalId) }
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(…)")
    }
}

/// The budget of each API family. Each account has them anew in each region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// EC2.
    pub ec2: Rate,
    /// Elastic Load Balancing, both generations.
    pub load_balancing: Rate,
    /// Auto Scaling.
    pub auto_scaling: Rate,
    /// Organizations.
    pub organizations: Rate,
    /// STS.
    pub sts: Rate,
}

impl Default for Rates {
    /// EC2's is what AWS publishes for a single action of the paged describe calls; here all of them share it, so that our calls alone
    /// empty no bucket. The others are not published: theirs are below what users report.
    ///
    /// Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API".
    fn default() -> Self {
        Self {
            ec2: Rate::new(20, 100),
            load_balancing: Rate::new(10, 40),
            auto_scaling: Rate::new(10, 40),
            organizations: Rate::new(8, 13),
            sts: Rate::new(50, 100),
        }
    }
}
