//! The texts that a target of Jira Service Management is made of: names of types, attributes and statuses, keys of schemas.

use dewpoint_jsm::RESERVED;

use crate::config::diagnostic::quote;
use crate::config::leaf::{Leaf, Problem, text_leaf};

/// Longest name of a type, an attribute or a status, in characters.
const NAME_MAX: usize = 255;

/// Longest key of a schema, in characters: objects are called by it.
const KEY_MAX: usize = 10;

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control)
}

/// Key of an object schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct SchemaKey(pub(super) String);

text_leaf!(SchemaKey);

impl Leaf for SchemaKey {
    const NAME: &'static str = "schema_key";
    const EXPECTED: &'static str = "the key of an object schema, such as `CLOUD`";
    const PATTERN: Option<&'static str> = Some("^[A-Z][A-Z0-9]{0,9}$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        if text.len() <= KEY_MAX && text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no key of an object schema", quote(text)));
        Err(problem
            .help(format!("write what keys of its objects begin with, up to {KEY_MAX} capital letters and digits: `CLOUD` of `CLOUD-123`")))
    }
}

/// Name of an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ObjectTypeName(pub(super) String);

text_leaf!(ObjectTypeName);

impl Leaf for ObjectTypeName {
    const NAME: &'static str = "object_type_name";
    const EXPECTED: &'static str = "the name of an object type, such as `Virtual Machine`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::new(format!("{} is no name of an object type", quote(text)))
            .help("write it as the schema has it, such as `Virtual Machine`"))
    }
}

/// Name of an attribute that a mapping can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AssetsAttribute(pub(in crate::config) String);

text_leaf!(AssetsAttribute);

impl Leaf for AssetsAttribute {
    const NAME: &'static str = "assets_attribute";
    const EXPECTED: &'static str = "the name of an attribute, such as `Asset Tag`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.eq_ignore_ascii_case("Lifecycle") {
            let problem = Problem::new("attribute `Lifecycle` cannot be mapped: it says where a resource stands in its life");
            return Err(problem.help("set the names of its statuses under `statuses`"));
        }
        // Assets tells no attributes apart by case.
        if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(text)) {
            let problem = Problem::new(format!("attribute {} cannot be mapped", quote(text)));
            return Err(problem.help("Dewpoint or Assets fills it"));
        }
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::new(format!("{} is no name of an attribute", quote(text))).help("write it as the type has it, such as `Asset Tag`"))
    }
}

/// Name of a status.
///
/// Source: Atlassian, "Assets external imports: schema and mapping" (2 to 30 letters, digits, blanks and hyphens).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct StatusName(pub(super) String);

text_leaf!(StatusName);

impl Leaf for StatusName {
    const NAME: &'static str = "status_name";
    const EXPECTED: &'static str = "the name of a status, such as `Retired`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-');
        if is_name(text) && (2..=30).contains(&text.chars().count()) && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::new(format!("{} is no name of a status", quote(text))).help("write 2 to 30 letters, digits, blanks and hyphens"))
    }
}
