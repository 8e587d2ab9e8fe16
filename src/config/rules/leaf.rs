//! The texts that rules are made of: names, expressions, flags, names of attributes.

use dewpoint_core::estate::{Disposition, Stage};
use dewpoint_core::model::attributes::{self, Attribute, Shape};
use dewpoint_core::model::{Kind, Provider};
use dewpoint_core::rules::DEFAULT;

use super::cases::SUBJECT_FIELDS;
use super::presets;
use crate::config::check::nearest;
use crate::config::diagnostic::quote;
use crate::config::leaf::{Leaf, Problem, text_leaf};

/// Longest name of a rule, in characters.
const NAME_MAX: usize = 100;

/// Longest flag, in characters.
const FLAG_MAX: usize = 40;

/// Name of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RuleName(pub(super) String);

text_leaf!(RuleName);

impl Leaf for RuleName {
    const NAME: &'static str = "rule_name";
    const EXPECTED: &'static str = "a name such as `build agents leave no trace`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(
                Problem::new("the name of a rule is empty").help("say what the rule does: its name stands in reports and explanations")
            );
        }
        if text.chars().count() > NAME_MAX || text.chars().any(char::is_control) {
            let problem = Problem::new(format!("{} is no name of a rule", quote(text)));
            return Err(problem.help(format!("a name has at most {NAME_MAX} characters, on one line")));
        }
        if text == DEFAULT {
            let problem = Problem::new(format!("no rule can be named `{DEFAULT}`"));
            return Err(problem.help("that is what decides where no rule does: give it another name"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An expression as written; what is wrong in it is found when it is compiled, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ExpressionText(pub(super) String);

text_leaf!(ExpressionText);

impl Leaf for ExpressionText {
    const NAME: &'static str = "expression";
    const EXPECTED: &'static str = "an expression such as `resource.kind == \"instance\"`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new("the expression is empty").help("write `\"true\"` for a rule that speaks of everything"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A condition over records as written; what is wrong in it is found when it is compiled, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct RecordCondition(pub(in crate::config) String);

text_leaf!(RecordCondition);

impl Leaf for RecordCondition {
    const NAME: &'static str = "record_condition";
    const EXPECTED: &'static str = "a condition such as `ci.environment != \"sandbox\"`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new("the condition is empty").help("leave `when` out where every record of these kinds is meant"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A word that a rule puts on records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Flag(pub(super) String);

text_leaf!(Flag);

impl Leaf for Flag {
    const NAME: &'static str = "flag";
    const EXPECTED: &'static str = "a word such as `expired`";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_-]{1,40}$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let fits = !text.is_empty() && text.len() <= FLAG_MAX && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no flag", quote(text)));
        Err(problem.help(format!("a flag is one word of at most {FLAG_MAX} letters, digits, `_` and `-`")))
    }
}

/// Name of a built-in set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct PresetName(pub(super) &'static str);

text_leaf!(PresetName);

impl Leaf for PresetName {
    const NAME: &'static str = "preset";
    const EXPECTED: &'static str = "the name of a preset";

    fn parse(text: &str) -> Result<Self, Problem> {
        let found = presets::names().find(|name| *name == text);
        found.map(Self).ok_or_else(|| Problem::new(format!("there is no preset {}", quote(text))))
    }

    fn words() -> Vec<&'static str> {
        presets::names().collect()
    }
}

impl Leaf for Provider {
    const NAME: &'static str = "provider";
    const EXPECTED: &'static str = "`aws` or `azure`";

    fn parse(text: &str) -> Result<Self, Problem> {
        let cloud = text.parse().ok().filter(|provider| *provider != Self::Any);
        cloud.ok_or_else(|| Problem::new(format!("{} is no provider", quote(text))))
    }

    fn words() -> Vec<&'static str> {
        vec![Self::Aws.as_str(), Self::Azure.as_str()]
    }
}

/// Facts about ownership, which every kind has.
const OWNERSHIP: &[&str] = &["cost_center", "environment", "owner", "service", "support_group"];

/// Name of an attribute that a rule can set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct AttributeName(pub(super) String);

text_leaf!(AttributeName);

impl AttributeName {
    /// The form of its values; the same in every kind that has it. Facts about ownership are texts.
    pub(super) fn shape(name: &str) -> Option<Shape> {
        if OWNERSHIP.contains(&name) {
            return Some(Shape::Text);
        }
        rows().find(|attribute| attribute.name == name).map(|attribute| attribute.shape)
    }

    /// A kind whose table knows it.
    pub(super) fn kind(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| attributes::find(*kind, name).is_some())
    }

    pub(super) fn is_ownership(name: &str) -> bool {
        OWNERSHIP.contains(&name)
    }
}

fn rows() -> impl Iterator<Item = &'static Attribute> {
    Kind::ALL.iter().flat_map(|kind| attributes::of(*kind))
}

impl Leaf for AttributeName {
    const NAME: &'static str = "attribute";
    const EXPECTED: &'static str = "the name of an attribute, such as `owner`";

    fn parse(text: &str) -> Result<Self, Problem> {
        if Self::shape(text).is_some() {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("there is no attribute {}", quote(text)));
        Err(match nearest(text, OWNERSHIP.iter().copied().chain(rows().map(|attribute| attribute.name))) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("attributes are those that `dewpoint show` prints, such as `owner` or `size`"),
        })
    }
}

/// A key of a resource in a case: a field of every resource, or an attribute of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct SubjectKey(pub(super) String);

text_leaf!(SubjectKey);

impl Leaf for SubjectKey {
    const NAME: &'static str = "subject_key";
    const EXPECTED: &'static str = "a field of a resource";

    fn parse(text: &str) -> Result<Self, Problem> {
        let attributes = || rows().map(|attribute| attribute.name);
        if SUBJECT_FIELDS.contains(&text) || attributes().any(|name| name == text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("no resource has a field {}", quote(text)));
        Err(match nearest(text, SUBJECT_FIELDS.iter().copied().chain(attributes())) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        })
    }
}

macro_rules! words_leaf {
    ($type:ty, $name:literal, $expected:literal) => {
        impl Leaf for $type {
            const NAME: &'static str = $name;
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, Problem> {
                text.parse().map_err(|_| Problem::new(format!("{} is no {}", quote(text), $name)))
            }

            fn words() -> Vec<&'static str> {
                Self::ALL.iter().map(|word| word.as_str()).collect()
            }
        }
    };
}

words_leaf!(Disposition, "disposition", "a disposition");
words_leaf!(Stage, "stage", "a stage");
