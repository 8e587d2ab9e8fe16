//! What must hold where a part of an expression is evaluated: which kinds the resource can be of, and what is not null.

use std::collections::BTreeSet;

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
}

impl Facts {
    /// Nothing is known.
    pub(super) fn none() -> Self {
        Self { kinds: Kinds::all(), present: BTreeSet::new() }
    }

    /// Only these kinds are asked about.
    pub(super) fn of_kinds(kinds: Kinds) -> Self {
        Self { kinds, ..Self::none() }
    }

    fn impossible() -> Self {
        Self { kinds: Kinds::NONE, present: BTreeSet::new() }
    }

    /// Both hold.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self { kinds: self.kinds.and(other.kinds), present: self.present.union(&other.present).cloned().collect() }
    }

    fn or(&self, other: &Self) -> Self {
        let kinds = self.kinds.or(other.kinds);
        match (self.kinds.is_empty(), other.kinds.is_empty()) {
            (true, false) => other.clone(),
            (false, true) => self.clone(),
            _ => Self { kinds, present: self.present.intersection(&other.present).cloned().collect() },
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
            _ => Self::none(),
        }
    }

    fn of_equality(left: &IdedExpr, right: &IdedExpr, is_equal: bool) -> Self {
        let (subject, literal) = match (literal(left), literal(right)) {
            (None, Some(literal)) => (left, literal),
            (Some(literal), None) => (right, literal),
            _ => return Self::none(),
        };
        let mut facts = Self::none();
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
