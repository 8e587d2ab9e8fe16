//! The texts that an AWS source is made of: account ids, names and ARNs of roles, regions.

use dewpoint_core::model::{Account, Region};

use crate::config::diagnostic::quote;
use crate::config::leaf::{Leaf, Problem, text_leaf};

text_leaf!(AccountId, RoleName, RoleArn);

impl Leaf for Region {
    const NAME: &'static str = "region";
    const EXPECTED: &'static str = "an AWS region such as `eu-west-1`";
    const PATTERN: Option<&'static str> = Some("^[a-z]{2,5}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$");

    /// Partition prefix, one to three words, a number: `eu-west-1`, `us-gov-west-1`, `eusc-de-east-1`.
    fn parse(text: &str) -> Result<Self, Problem> {
        if text == "all" {
            let problem = Problem::new("`all` stands in place of a list, not in one");
            return Err(problem.help("write `regions: all`, or take `all` out of the list"));
        }
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &str, longest: usize| (2..=longest).contains(&part.len()) && part.chars().all(|c| c.is_ascii_lowercase());
        let well_formed = match parts.as_slice() {
            [first, words @ .., number] => {
                word(first, 5)
                    && (1..=3).contains(&words.len())
                    && words.iter().all(|part| word(part, 12))
                    && (1..=2).contains(&number.len())
                    && number.chars().all(|c| c.is_ascii_digit())
            }
            _ => false,
        };
        let problem = || Problem::new(format!("{} is no AWS region", quote(text)));
        if !well_formed {
            return Err(problem().help("a region looks like `eu-west-1`; an availability zone's letter does not belong to it"));
        }
        text.parse().map_err(|_| problem())
    }
}

/// Id of an AWS account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AccountId(pub(in crate::config) Account);

impl Leaf for AccountId {
    const NAME: &'static str = "aws_account_id";
    const EXPECTED: &'static str = "an account id of twelve digits in quotes";
    const PATTERN: Option<&'static str> = Some("^[0-9]{12}$");
    const BARE_HELP: Option<&'static str> =
        Some("put all twelve digits in quotes: without them YAML takes the id for a number, and leading zeros are lost");

    fn parse(text: &str) -> Result<Self, Problem> {
        let problem = || Problem::new(format!("{} is no id of an AWS account", quote(text)));
        if is_account_id(text) {
            return text.parse().map(Self).map_err(|_| problem());
        }
        let digits = text.replace(['-', ' '], "");
        Err(match is_account_id(&digits) {
            true => problem().help(format!("write the digits alone: `\"{digits}\"`")),
            false => problem().help("an account id has twelve digits, leading zeros included"),
        })
    }
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Name of an IAM role with its path, if it has one: `DewpointReader`, `tools/DewpointReader`. A slash before it is dropped, as ARNs are
/// written.
///
/// Source: IAM API Reference, Role: `Path` and `RoleName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RoleName(pub(in crate::config) String);

/// Longest name of a role, in characters.
const ROLE_NAME_MAX: usize = 64;

/// Longest path of a role, with the slashes before and behind it.
const ROLE_PATH_MAX: usize = 512;

impl Leaf for RoleName {
    const NAME: &'static str = "aws_role_name";
    const EXPECTED: &'static str = "the name of an IAM role, such as `DewpointReader`";
    const PATTERN: Option<&'static str> = Some("^/?([!-.0-~]+/)*[A-Za-z0-9_+=,.@-]{1,64}$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.starts_with("arn:") {
            let problem = Problem::new(format!("expected the name of an IAM role, found the ARN {}", quote(text)));
            return Err(problem.help("write the name alone; an ARN goes into the `role_arn` of an account in `accounts`"));
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if is_role(name) {
            return Ok(Self(name.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of an IAM role", quote(text)));
        Err(problem.help("a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`"))
    }
}

/// Whether this is the name of a role, with its path or without.
fn is_role(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-');
    let is_name = (1..=ROLE_NAME_MAX).contains(&name.len()) && name.chars().all(fits);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic());
    is_name && (name.len() == text.len() || path.len() + 2 <= ROLE_PATH_MAX && path.split('/').all(is_part))
}

/// ARN of an IAM role: `arn:aws:iam::123456789012:role/tools/DewpointReader`.
///
/// Source: IAM User Guide, "IAM identifiers".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RoleArn(pub(in crate::config) String);

impl RoleArn {
    /// The account that the role belongs to.
    pub(super) fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

impl Leaf for RoleArn {
    const NAME: &'static str = "aws_role_arn";
    const EXPECTED: &'static str = "the ARN of an IAM role, such as `arn:aws:iam::123456789012:role/DewpointReader`";
    const PATTERN: Option<&'static str> = Some("^arn:aws[a-z-]*:iam::[0-9]{12}:role/([!-.0-~]+/)*[A-Za-z0-9_+=,.@-]{1,64}$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let is_arn = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] => {
                partition.starts_with("aws")
                    && partition.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                    && is_account_id(account)
                    && resource.strip_prefix("role/").is_some_and(is_role)
            }
            _ => false,
        };
        if is_arn {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no ARN of an IAM role", quote(text)));
        Err(match parts.as_slice() {
            ["arn", _, "sts", _, _, session] if session.starts_with("assumed-role/") => problem
                .help("this is a session of a role: write the ARN of the role itself, `arn:aws:iam::123456789012:role/DewpointReader`"),
            _ => problem.help("it looks like `arn:aws:iam::123456789012:role/DewpointReader`"),
        })
    }
}
