//! The texts that a target of HaloITSM is made of: names of asset types, fields, statuses, clients and tenants.

use dewpoint_haloitsm::reserved;

use crate::config::diagnostic::quote;
use crate::config::leaf::{Leaf, Problem, text_leaf};

/// Longest name of anything, in characters.
const NAME_MAX: usize = 100;

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control)
}

/// Name of an asset type, a status, a client or a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HaloName(pub(super) String);

text_leaf!(HaloName);

impl Leaf for HaloName {
    const NAME: &'static str = "halo_name";
    const EXPECTED: &'static str = "a name as Halo shows it, such as `Virtual Machine`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = match text.trim() {
            "" => Problem::new("the name is empty"),
            _ => Problem::new(format!("{} is no name that Halo takes", quote(text))),
        };
        Err(problem.help(format!("write it as Halo shows it, in up to {NAME_MAX} characters")))
    }
}

/// Name of an asset field that a mapping can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AssetField(pub(in crate::config) String);

text_leaf!(AssetField);

impl Leaf for AssetField {
    const NAME: &'static str = "asset_field";
    const EXPECTED: &'static str = "the name of an asset field, such as `Asset Owner`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.eq_ignore_ascii_case("Status") {
            let problem = Problem::new("field `Status` cannot be mapped: it says where a resource stands in its life");
            return Err(problem.help("set the names of its statuses under `statuses`"));
        }
        if reserved(text).is_some() {
            return Err(
                Problem::new(format!("field {} cannot be mapped", quote(text))).help("Dewpoint fills it, or it is no field of Halo's")
            );
        }
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::new(format!("{} is no name of a field", quote(text))).help("write it as the asset type has it, such as `Asset Owner`"))
    }
}

/// Name of a tenant, which requests for tokens carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HaloTenant(pub(super) String);

text_leaf!(HaloTenant);

impl Leaf for HaloTenant {
    const NAME: &'static str = "halo_tenant";
    const EXPECTED: &'static str = "the name of a tenant, such as `example`";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9._-]+$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a tenant", quote(text)));
        Err(problem.help("it stands in Halo under Configuration > Integrations > Halo API, beside the addresses"))
    }
}

/// Scopes of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Scopes(pub(super) String);

text_leaf!(Scopes);

impl Leaf for Scopes {
    const NAME: &'static str = "scopes";
    const EXPECTED: &'static str = "scopes with blanks between them, such as `read:assets edit:assets`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_scope =
            |scope: &str| !scope.is_empty() && scope.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.'));
        if text.split(' ').all(is_scope) {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::new(format!("{} are no scopes", quote(text))).help("write them with one blank between them, or `all`"))
    }
}
