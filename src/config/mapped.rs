//! What targets with a mapping of their own have in common: how people name users and kinds, write values, and log in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dewpoint_core::expression::{Expression, Mistake};
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_jsm::{BaseUrl, Plaintext};
use dewpoint_target_kit::{Override, OwnField};
use serde_json::json;

use super::check::nearest;
use super::diagnostic::{Report, quote};
use super::leaf::{HttpUrl, Leaf, Problem, text_leaf};
use super::rules::check_expression;
use super::secret::SecretRef;
use super::tree::{Entry, Node, Value};

/// A name that need not be secret: as it is, or a reference to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameOrRef {
    Plain(String),
    Reference(SecretRef),
}

impl fmt::Display for NameOrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Reference(reference) => fmt::Display::fmt(reference, f),
        }
    }
}

impl Leaf for NameOrRef {
    const NAME: &'static str = "name_or_reference";
    const EXPECTED: &'static str = "a name, or a reference to it: `env:NAME` or `file:PATH`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(reference) = SecretRef::parse_reference(text) {
            return reference.map(Self::Reference);
        }
        if text.starts_with('$') {
            return Err(Problem::new("variables are not expanded").secret().help("write `env:NAME`"));
        }
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(Problem::new(format!("expected {}", Self::EXPECTED)).secret());
        }
        Ok(Self::Plain(text.to_owned()))
    }
}

/// The value of a field as written; what is wrong in it is found when it is compiled, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueText(pub(super) String);

text_leaf!(ValueText);

impl Leaf for ValueText {
    const NAME: &'static str = "value_expression";
    const EXPECTED: &'static str = "an expression such as `ci.name`";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new("the expression is empty").help("write `\"null\"` for what is not to be written"));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! word_key {
    ($(#[$meta:meta])* $name:ident, $word:ty, $leaf:literal, $expected:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name(pub(super) $word);

        text_leaf!($name);

        impl Leaf for $name {
            const NAME: &'static str = $leaf;
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, Problem> {
                let words = || <$word>::ALL.iter().map(|word| word.as_str());
                text.parse().map(Self).map_err(|_| {
                    let problem = Problem::new(format!("there is no {} {}", $what, quote(text)));
                    match nearest(text, words()) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem.help(format!("there are {}", words().collect::<Vec<_>>().join(", "))),
                    }
                })
            }
        }
    };
}

word_key!(
    /// A kind as a key.
    KindKey, Kind, "kind_key", "a resource kind", "resource kind"
);
word_key!(
    /// The type of an edge as a key.
    RelationKey, RelationType, "relation_key", "a type of edge such as `protected_by`", "type of edge"
);

/// Overrides as what decides what a plan says.
pub(super) fn planned_mapping<S: fmt::Debug>(mapping: &BTreeMap<Kind, Override<S>>) -> BTreeMap<&'static str, serde_json::Value> {
    let field = |OwnField { value, shape }: &OwnField<S>| match shape {
        None => json!(value.source()),
        Some(shape) => json!({ "value": value.source(), "shape": format!("{shape:?}") }),
    };
    let planned = |own: &Override<S>| {
        let fields: BTreeMap<&str, serde_json::Value> = own.fields.iter().map(|(name, own)| (name.as_str(), field(own))).collect();
        json!({ "class": own.class, "fields": fields })
    };
    mapping.iter().map(|(kind, own)| (kind.as_str(), planned(own))).collect()
}

/// Checks that the address under a key of a target does not have credentials travel in the clear.
pub(super) fn check_address(node: &Node, name: &str, key: &str, report: &mut Report) {
    let Some((text, at)) = node.get(key).and_then(|node| Some((node.text()?, node.span))) else { return };
    if HttpUrl::parse(text).is_ok()
        && let Err(error) = BaseUrl::parse(text, Plaintext::Loopback)
    {
        let error_at = report.error(at, format!("`targets.{name}.{key}`: {error}"));
        if let Some(hint) = error.hint() {
            error_at.help(hint);
        }
    }
}

/// Names the fields of mappings that are one of these, or one another, but for case, where a target tells none apart by it.
pub(super) fn check_spelling(node: &Node, name: &str, usual: &BTreeSet<&str>, why: &str, report: &mut Report) {
    for kind in node.get("mapping").map_or(&[][..], Node::entries) {
        let mut seen: BTreeMap<String, &Entry> = BTreeMap::new();
        for field in kind.node.get("fields").map_or(&[][..], Node::entries) {
            let told = || format!("`targets.{name}.mapping.{}.fields.{}`: {why}", kind.key, field.key);
            let is_same = |usual: &&&str| **usual != field.key && usual.eq_ignore_ascii_case(&field.key);
            match (usual.iter().find(is_same), seen.insert(field.key.to_lowercase(), field)) {
                (Some(usual), _) => drop(report.error(field.key_span, told()).help(format!("write `{usual}`"))),
                (None, Some(other)) => drop(report.error(field.key_span, told()).again(other.key_span).help("keep one of them")),
                (None, None) => {}
            }
        }
    }
}

/// Checks that exactly one way to log in is given.
pub(super) fn check_ways(auth: &Node, name: &str, ways: &[&str], example: &str, report: &mut Report) {
    let Value::Map(all) = &auth.value else { return };
    let given: Vec<&Entry> = all.iter().filter(|entry| ways.contains(&entry.key.as_str())).collect();
    match given.as_slice() {
        // A slip in the key is an error of its own, with the same mend.
        [] if all.is_empty() => {
            let words: Vec<String> = ways.iter().map(|way| format!("`{way}`")).collect();
            let (last, rest) = words.split_last().map_or((String::new(), String::new()), |(last, rest)| (last.clone(), rest.join(", ")));
            let text = format!("`targets.{name}.auth`: expected one of {rest} and {last}");
            report.error(auth.span, text).help(format!("for example `{example}`"));
        }
        [first, rest @ ..] => {
            for again in rest {
                let text = format!("`targets.{name}.auth`: `{}` and `{}` do not go together", first.key, again.key);
                report.error(again.key_span, text).again(first.key_span).help("keep one of them");
            }
        }
        [] => {}
    }
}

/// Checks the values of a target's mapping.
pub(super) fn check_mapping(
    node: &Node,
    name: &str,
    source: &str,
    report: &mut Report,
    value_of: impl Fn(Kind, &str) -> Result<Expression, Vec<Mistake>>,
) {
    for entry in node.get("mapping").map_or(&[][..], Node::entries) {
        let Ok(KindKey(kind)) = KindKey::parse(&entry.key) else { continue };
        for field in entry.node.get("fields").map_or(&[][..], Node::entries) {
            let before = format!("`targets.{name}.mapping.{kind}.fields.{}`: ", field.key);
            let value = if matches!(field.node.value, Value::Map(_)) { field.node.get("value") } else { Some(&field.node) };
            if let Some(value) = value {
                check_expression(value, &before, source, report, |text| value_of(kind, text));
            }
        }
    }
}

/// An authority over a field that nothing is written to would be silently without effect. `known` are those that something is written to, beside the mapping's own;
/// `what` says what a field is, `help` how to name one.
pub(super) fn check_authority<'k>(
    node: &'k Node,
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
    (what, help): (&str, &str),
    report: &mut Report,
) {
    let Some(authority) = node.get("authority") else { return };
    let own =
        node.get("mapping").map_or(&[][..], Node::entries).iter().filter_map(|entry| entry.node.get("fields")).flat_map(Node::entries);
    let known: Vec<&str> = known.into_iter().map(|name| -> &str { name }).chain(own.map(|entry| entry.key.as_str())).collect();
    for entry in authority.entries() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let text = format!("`targets.{name}.authority`: nothing is written to {what} {}", quote(&entry.key));
        let error = report.error(entry.key_span, text);
        match nearest(&entry.key, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(help),
        };
    }
}
