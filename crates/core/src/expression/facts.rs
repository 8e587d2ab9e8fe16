//! What must hold where a part of an expression is evaluated: which kinds the resource can be of, and what is not null.

use std::collections::{BTreeMap, BTreeSet};

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::vocabulary::Kinds;

/// Facts at one place.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// What `resource.kind`, or a record's `ci.kind`, can be.
    pub(super) kinds: Kinds,
    /// Paths (`group`, `resource.vcpus`) that are not null, and tags (`resource.tags["role"]`) that are there.
    pub(super) present: BTreeSet<String>,
    /// Values (by [`value`]) whose form is known: by a pattern that they match, or because `isExpiry` takes them.
    pub(super) formed: BTreeSet<(Form, String)>,
    /// Lists, by their path, and how many elements they have at least.
    pub(super) lengths: BTreeMap<String, u64>,
}

/// How the form of a text is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// It matches a pattern.
    Pattern,
    /// `isExpiry` takes it.
    Expiry,
}

impl Facts {
    /// Nothing is known.
    pub(super) fn none() -> Self {
        Self { kinds: Kinds::all(), present: BTreeSet::new(), formed: BTreeSet::new(), lengths: BTreeMap::new() }
    }

    /// Only these kinds are asked about.
    pub(super) fn of_kinds(kinds: Kinds) -> Self {
        Self { kinds, ..Self::none() }
    }

    fn impossible() -> Self {
        Self { kinds: Kinds::NONE, ..Self::none() }
    }

    /// Both hold.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut lengths = self.lengths.clone();
        for (path, length) in &other.lengths {
            let known = lengths.entry(path.clone()).or_default();
            *known = (*known).max(*length);
        }
        Self {
            kinds: self.kinds.and(other.kinds),
            present: self.present.union(&other.present).cloned().collect(),
            formed: self.formed.union(&other.formed).cloned().collect(),
            lengths,
        }
    }

    fn or(&self, other: &Self) -> Self {
        let kinds = self.kinds.or(other.kinds);
        match (self.kinds.is_empty(), other.kinds.is_empty()) {
            (true, false) => other.clone(),
            (false, true) => self.clone(),
            _ => {
                let both = |(path, length): (&String, &u64)| Some((path.clone(), (*length).min(*other.lengths.get(path)?)));
                Self {
                    kinds,
                    present: self.present.intersection(&other.present).cloned().collect(),
                    formed: self.formed.intersection(&other.formed).cloned().collect(),
                    lengths: self.lengths.iter().filter_map(both).collect(),
                }
            }
        }
    }

    /// What follows from a condition's being true, or false.
    pub(super) fn of(condition: &IdedExpr, truth: bool) -> Self {
        match &condition.expr {
            Expr::Literal(LiteralValue::Boolean(value)) if *value.inner() != truth => Self::impossible(),
            Expr::Select(select) if select.test && truth => {
                let mut facts = Self::none();
                let tested = path(&select.operand).map(|operand| format!("{operand}.{}", select.field));
                facts.present.extend(tag(&select.operand, &select.field).or(tested));
                facts
            }
            Expr::Call(call) => Self::of_call(call, truth),
            _ => Self::none(),
        }
    }

    fn of_call(call: &CallExpr, truth: bool) -> Self {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_NOT, [inner]) => Self::of(inner, !truth),
            (operators::LOGICAL_AND, [left, right]) | (operators::LOGICAL_OR, [left, right]) => {
                let (left, right) = (Self::of(left, truth), Self::of(right, truth));
                if (name == operators::LOGICAL_AND) == truth { left.and(&right) } else { left.or(&right) }
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let yes = Self::of(condition, true).and(&Self::of(yes, truth));
                yes.or(&Self::of(condition, false).and(&Self::of(no, truth)))
            }
            (operators::EQUALS, [left, right]) => Self::of_equality(left, right, truth),
            (operators::NOT_EQUALS, [left, right]) => Self::of_equality(left, right, !truth),
            (operators::IN, [item, list]) => Self::of_membership(item, list, truth),
            (operators::GREATER, [left, right]) => Self::of_order(left, right, truth),
            (operators::LESS, [left, right]) => Self::of_order(right, left, truth),
            // Not the one is the other, the wrong way round.
            (operators::GREATER_EQUALS, [left, right]) => Self::of_order(right, left, !truth),
            (operators::LESS_EQUALS, [left, right]) => Self::of_order(left, right, !truth),
            ("matches", [_]) if truth => Self::of_form(Form::Pattern, call.target.as_deref()),
            ("isExpiry", [text]) if truth => Self::of_form(Form::Expiry, Some(text)),
            _ => Self::none(),
        }
    }

    fn of_form(form: Form, node: Option<&IdedExpr>) -> Self {
        Self { formed: node.and_then(value).map(|value| (form, value)).into_iter().collect(), ..Self::none() }
    }

    fn at_least(path: String, length: u64) -> Self {
        Self { lengths: BTreeMap::from([(path, length)]), ..Self::none() }
    }

    /// What `greater > less`, or its opposite, says of the length of a list.
    fn of_order(greater: &IdedExpr, less: &IdedExpr, truth: bool) -> Self {
        match (sized(greater), count(less), sized(less), count(greater)) {
            (Some(path), Some(count), ..) if truth => Self::at_least(path, count.saturating_add(1)),
            // Not `count > size`.
            (.., Some(path), Some(count)) if !truth => Self::at_least(path, count),
            _ => Self::none(),
        }
    }

    fn of_equality(left: &IdedExpr, right: &IdedExpr, is_equal: bool) -> Self {
        let is_empty = |node: &IdedExpr| matches!(&node.expr, Expr::List(list) if list.elements.is_empty());
        if !is_equal && is_empty(left) != is_empty(right) {
            // Null is no empty list either: whether it is null is asked for by itself.
            let list = path(if is_empty(left) { right } else { left });
            return list.map_or_else(Self::none, |list| Self::at_least(list, 1));
        }
        let (subject, literal) = match (literal(left), literal(right)) {
            (None, Some(literal)) => (left, literal),
            (Some(literal), None) => (right, literal),
            _ => return Self::none(),
        };
        let mut facts = Self::none();
        if let (Some(path), LiteralValue::Int(length)) = (sized(subject), literal) {
            let length = u64::try_from(*length.inner()).unwrap_or_default();
            return match (is_equal, length) {
                (true, length) => Self::at_least(path, length),
                (false, 0) => Self::at_least(path, 1),
                (false, _) => facts,
            };
        }
        let Some(path) = path(subject) else { return facts };
        if let (LiteralValue::String(word), true) = (literal, is_kind(&path)) {
            let kinds = Kinds::word(word.inner());
            facts.kinds = if is_equal { kinds } else { kinds.not() };
        }
        // `x == "a"` rules null out, and so does `x != null`.
        if is_equal != matches!(literal, LiteralValue::Null) {
            facts.present.insert(path);
        }
        facts
    }

    fn of_membership(item: &IdedExpr, list: &IdedExpr, truth: bool) -> Self {
        let mut facts = Self::none();
        if let Some(LiteralValue::String(key)) = literal(item) {
            facts.present.extend(tag(list, key.inner()).filter(|_| truth));
            facts.lengths.extend(path(list).filter(|_| truth).map(|list| (list, 1)));
            return facts;
        }
        let (Some(path), Expr::List(list)) = (path(item), &list.expr) else { return facts };
        let words: Option<Vec<_>> = list.elements.iter().map(|element| literal(element)).collect();
        let Some(words) = words else { return facts };
        if is_kind(&path) {
            let kinds = words.iter().fold(Kinds::NONE, |kinds, word| match word {
                LiteralValue::String(word) => kinds.or(Kinds::word(word.inner())),
                _ => kinds,
            });
            facts.kinds = if truth { kinds } else { kinds.not() };
        }
        if truth && !words.iter().any(|word| matches!(word, LiteralValue::Null)) {
            facts.present.insert(path);
        }
        facts
    }
}

/// Whether it is the kind of what is asked about. The ledger's `ci` has none.
fn is_kind(path: &str) -> bool {
    matches!(path, "resource.kind" | "ci.kind")
}

/// `a` or `a.b`, if that is what it is.
pub(super) fn path(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => match &select.operand.expr {
            Expr::Ident(name) => Some(format!("{name}.{}", select.field)),
            _ => None,
        },
        _ => None,
    }
}

/// `a.tags["key"]`, if the container is the tags of something.
pub(super) fn tag(container: &IdedExpr, key: &str) -> Option<String> {
    path(container).filter(|path| path.ends_with(".tags")).map(|path| format!("{path}[{key:?}]"))
}

/// The literal, if it is one.
pub(super) fn literal(node: &IdedExpr) -> Option<&LiteralValue> {
    match &node.expr {
        Expr::Literal(literal) => Some(literal),
        _ => None,
    }
}

/// A tag's value as `a.tags["key"]` or `a.tags[name]`, whatever methods that only tidy a text stand behind it.
pub(super) fn value(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Select(select) if !select.test => tag(&select.operand, &select.field),
        Expr::Call(call) => match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("trim" | "lowerAscii" | "upperAscii" | "replace", Some(target), _) => value(target),
            (operators::INDEX, None, [container, index]) => match (literal(index), &index.expr) {
                (Some(LiteralValue::String(key)), _) => tag(container, key.inner()),
                (None, Expr::Ident(name)) => path(container).filter(|path| path.ends_with(".tags")).map(|path| format!("{path}[{name}]")),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The path of what a call of `size` counts.
fn sized(node: &IdedExpr) -> Option<String> {
    let Expr::Call(call) = &node.expr else { return None };
    match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
        ("size", Some(counted), []) | ("size", None, [counted]) => path(counted),
        _ => None,
    }
}

/// A count that is written out; less than nothing counts as nothing.
fn count(node: &IdedExpr) -> Option<u64> {
    match literal(node) {
        Some(LiteralValue::Int(count)) => Some(u64::try_from(*count.inner()).unwrap_or_default()),
        _ => None,
    }
}
