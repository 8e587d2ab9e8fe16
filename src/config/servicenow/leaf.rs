//! The texts that a ServiceNow target is made of: addresses, names of columns, classes and relationship types, user names.

use dewpoint_servicenow::{BaseUrl, Plaintext, RESERVED, STATUS_COLUMNS};
use url::Url;

use crate::config::diagnostic::quote;
use crate::config::leaf::{HttpUrl, Leaf, Problem, text_leaf};

/// Longest name of a table or column, in characters (ServiceNow, "Table administration").
const IDENTIFIER_MAX: usize = 80;

/// Longest discovery source: `sys_choice.value` and `sys_object_source.name` hold no more.
const SOURCE_MAX: usize = 100;

/// Address of an instance: https, or http on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct InstanceUrl(pub(super) Url);

text_leaf!(InstanceUrl);

impl Leaf for InstanceUrl {
    const NAME: &'static str = "instance_url";
    const EXPECTED: &'static str = "an address such as `https://example.service-now.com`";
    const PATTERN: Option<&'static str> = HttpUrl::PATTERN;

    fn parse(text: &str) -> Result<Self, Problem> {
        const EXAMPLE: &str = "for example `https://example.service-now.com`";
        let HttpUrl(url) = HttpUrl::parse(text).map_err(|problem| match problem.help.as_deref() {
            Some(help) if help.contains("127.0.0.1") => Problem { help: Some(EXAMPLE.to_owned()), ..problem },
            _ => problem,
        })?;
        if let Some(page) = url.path().rsplit('/').next().filter(|page| page.ends_with(".do")) {
            let problem = Problem::new(format!("{} is a page of the instance, and not its address", quote(page)));
            return Err(problem.help(EXAMPLE));
        }
        match BaseUrl::parse(text, Plaintext::Loopback) {
            Ok(_) => Ok(Self(url)),
            Err(error) => {
                let problem = Problem::new(error.to_string());
                Err(match error.hint() {
                    Some(hint) => problem.help(hint),
                    None => problem,
                })
            }
        }
    }
}

/// Our name among the sources of discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct DiscoverySource(pub(in crate::config) String);

text_leaf!(DiscoverySource);

impl Leaf for DiscoverySource {
    const NAME: &'static str = "discovery_source";
    const EXPECTED: &'static str = "a discovery source such as `Dewpoint`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_fit = !text.is_empty() && text.trim() == text && text.chars().count() <= SOURCE_MAX && !text.chars().any(is_unfit);
        if is_fit {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} cannot be a discovery source", quote(text)));
        Err(problem.help(format!("a discovery source has 1 to {SOURCE_MAX} characters, without blanks around it, `^` and `,`")))
    }
}

/// Characters by which queries and lists would be cut.
fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '^' | ',')
}

fn is_identifier(text: &str) -> bool {
    text.len() <= IDENTIFIER_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

const IDENTIFIER_PATTERN: &str = "^[a-z][a-z0-9_]{0,79}$";

/// Name of a class: its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ClassName(pub(in crate::config) String);

text_leaf!(ClassName);

impl Leaf for ClassName {
    const NAME: &'static str = "servicenow_class";
    const EXPECTED: &'static str = "the name of a class, such as `cmdb_ci_vm_instance`";
    const PATTERN: Option<&'static str> = Some(IDENTIFIER_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a class", quote(text)));
        Err(problem.help("write the name of its table, such as `cmdb_ci_vm_instance`, and not its label"))
    }
}

/// Name of a column that a mapping can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ColumnName(pub(in crate::config) String);

text_leaf!(ColumnName);

impl Leaf for ColumnName {
    const NAME: &'static str = "servicenow_column";
    const EXPECTED: &'static str = "the name of a column, such as `asset_tag`";
    const PATTERN: Option<&'static str> = Some(IDENTIFIER_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        if text == "tags" {
            let problem = Problem::new("tags are no column: all of them are written as key values");
            return Err(problem.help("a column can take one of them: `ci.tags[\"asset\"]`"));
        }
        if STATUS_COLUMNS.contains(&text) {
            let problem = Problem::new(format!("column {} cannot be mapped: it says where a resource stands in its life", quote(text)));
            return Err(problem.help("set its values under `statuses`"));
        }
        if RESERVED.contains(&text) {
            let problem = Problem::new(format!("column {} cannot be mapped", quote(text)));
            return Err(problem.help("Dewpoint and the engine fill it themselves"));
        }
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a column", quote(text)));
        Err(problem.help("write the column's name, such as `asset_tag`, and not its label"))
    }
}

/// Name of a table that a column refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct TableName(pub(in crate::config) String);

text_leaf!(TableName);

impl Leaf for TableName {
    const NAME: &'static str = "servicenow_table";
    const EXPECTED: &'static str = "the name of a table, such as `cmdb_ci_service`";
    const PATTERN: Option<&'static str> = Some(IDENTIFIER_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a table", quote(text)));
        Err(problem.help("write the table's name, such as `cmdb_ci_service`, and not its label"))
    }
}

/// Name of a column by which rows are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct LookUpColumn(pub(in crate::config) String);

text_leaf!(LookUpColumn);

impl Leaf for LookUpColumn {
    const NAME: &'static str = "servicenow_look_up_column";
    const EXPECTED: &'static str = "the name of a column, such as `name`";
    const PATTERN: Option<&'static str> = Some(IDENTIFIER_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a column", quote(text)));
        Err(problem.help("write the column's name, such as `name` or `number`, and not its label"))
    }
}

/// A relationship type as the instance names it: `Depends on::Used by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RelationshipType(pub(in crate::config) String);

text_leaf!(RelationshipType);

impl Leaf for RelationshipType {
    const NAME: &'static str = "relationship_type";
    const EXPECTED: &'static str = "a relationship type such as `Depends on::Used by`";
    const PATTERN: Option<&'static str> = Some(r"^\S.*::.*\S$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let is_half = |half: &str| !half.is_empty() && half.trim() == half && !half.contains(':') && !half.chars().any(is_unfit);
        if text.split_once("::").is_some_and(|(parent, child)| is_half(parent) && is_half(child)) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no relationship type", quote(text)));
        Err(problem.help("write both descriptors as the instance has them, the parent's first: `Depends on::Used by`"))
    }
}

/// Name of a life-cycle stage, or of a status within one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct LifeCycleName(pub(in crate::config) String);

text_leaf!(LifeCycleName);

impl Leaf for LifeCycleName {
    const NAME: &'static str = "life_cycle_name";
    const EXPECTED: &'static str = "the name of a life-cycle stage or status, such as `End of Life`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if !text.is_empty() && text.trim() == text && !text.chars().any(is_unfit) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a life-cycle stage or status", quote(text)));
        Err(problem.help("write it as the instance has it, such as `End of Life` or `Retired`"))
    }
}
