//! The configuration of an AWS source, as meant.

mod check;
mod leaf;
mod raw;

use std::collections::BTreeSet;
use std::time::Duration;

use dewpoint_aws_settings::{Accounts, ExternalId, ListedAccount, Rates, Regions, UsualRole};
use dewpoint_core::model::Account;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

pub(super) use check::{Claims, cross_check};
pub(super) use leaf::{AccountId, RoleArn, RoleName};
pub(super) use raw::{All, ListOr, Organization, RawAccount, RawRates};

use super::secret::{Secret, SecretError, SecretProblem};

/// One AWS estate, with its secrets unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// Accounts to list.
    pub accounts: AwsAccounts,
    /// Name of the role in accounts that name none, with its path, without a slash before it.
    pub role_name: String,
    /// External id for roles without one of their own.
    pub external_id: Option<Secret>,
    /// Regions to list in each account.
    pub regions: Regions,
    /// Address to call instead of AWS.
    pub endpoint_url: Option<Url>,
    /// Longest time for one call, its retries and waits included.
    pub timeout: Duration,
    /// Budgets for calls.
    pub rates: Rates,
}

/// Which accounts of AWS are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsAccounts {
    /// The one that the credentials belong to.
    Own,
    /// All of the organization that the credentials belong to.
    Organization,
    /// These, in the order of the file; never empty, and none twice.
    Listed(Vec<AwsAccount>),
}

/// An account that is listed by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsAccount {
    /// Its id: twelve digits.
    pub id: Account,
    /// ARN of the role to read it as, which belongs to this account.
    pub role_arn: Option<String>,
    /// External id of that role.
    pub external_id: Option<Secret>,
}

impl AwsSettings {
    /// Reads the secrets, and says which accounts are read and as which role.
    ///
    /// # Errors
    /// [`SecretError`] when an external id cannot be read, or is none.
    pub fn resolve(&self) -> Result<(Accounts, UsualRole), SecretError> {
        let accounts = match &self.accounts {
            AwsAccounts::Own => Accounts::Own,
            AwsAccounts::Organization => Accounts::Organization,
            AwsAccounts::Listed(accounts) => {
                let listed = |account: &AwsAccount| {
                    let external_id = account.external_id.as_ref().map(external_id).transpose()?;
                    Ok(ListedAccount { id: account.id.clone(), role_arn: account.role_arn.clone(), external_id })
                };
                Accounts::Listed(accounts.iter().map(listed).collect::<Result<_, SecretError>>()?)
            }
        };
        let external_id = self.external_id.as_ref().map(external_id).transpose()?;
        Ok((accounts, UsualRole { name: self.role_name.clone(), external_id }))
    }

    /// What is covered, for the configuration's digest: neither by which roles nor how fast.
    pub(super) fn covered(&self) -> Value {
        let accounts = match &self.accounts {
            AwsAccounts::Own => json!("own"),
            AwsAccounts::Organization => json!("organization"),
            AwsAccounts::Listed(accounts) => json!(accounts.iter().map(|account| account.id.as_str()).collect::<BTreeSet<_>>()),
        };
        let regions = match &self.regions {
            Regions::All => json!("all"),
            Regions::Listed(regions) => json!(regions),
        };
        json!({ "kind": "aws", "accounts": accounts, "regions": regions })
    }
}

fn external_id(secret: &Secret) -> Result<ExternalId, SecretError> {
    const EXPECTED: &str = "external id: 2 to 1224 letters, digits and `_+=,.@:/-`";
    secret.resolve()?.expose_secret().parse().map_err(|_| secret.error(SecretProblem::Unfit(EXPECTED)))
}
