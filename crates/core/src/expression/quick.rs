//! Native tests: most conditions are answered from the model itself, without the interpreter.
//!
//! Three-valued: yes, no, or "ask the interpreter". Whatever could be an error is asked, so that the two never differ; and as `false && error`
//! is false in CEL whichever side comes first, one native no among the conditions of an `&&` is the answer.

use std::cmp::Ordering;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::Value;

use super::facts;
use super::library;
use super::parse::Macro;
use super::subject::{Fact, View};
use super::types::Type;
use super::values;
use super::vocabulary::{self, Field, Object, Vocabulary};
use crate::model::attributes::Shape;

/// The names that an expression may use: the vocabulary's, and that of the element within a macro.
#[derive(Clone, Copy)]
pub(super) struct Names<'n> {
    vocabulary: &'n Vocabulary,
    item: Option<&'n str>,
}

impl<'n> Names<'n> {
    /// Outside of all macros.
    pub(super) const fn of(vocabulary: &'n Vocabulary) -> Self {
        Self { vocabulary, item: None }
    }
}

/// What is asked about, and the element that a macro is at.
#[derive(Clone, Copy)]
pub(super) struct Asked<'v> {
    view: View<'v>,
    item: Option<&'v str>,
}

impl<'v> Asked<'v> {
    /// Outside of all macros.
    pub(super) const fn about(view: View<'v>) -> Self {
        Self { view, item: None }
    }
}

/// A condition as far as it can be tested natively.
#[derive(Debug, Clone)]
pub(super) enum Quick {
    All(Vec<Quick>),
    Any(Vec<Quick>),
    Not(Box<Quick>),
    If(Box<(Quick, Quick, Quick)>),
    /// The value of a flag.
    Flag(Operand),
    Equal(Operand, Operand),
    /// Both have the same orderable type, and compare as one of these.
    Order(Operand, &'static [Ordering], Operand),
    /// One of several literals.
    OneOf(Operand, Vec<Constant>),
    HasTag(Object, Operand),
    /// `isExpiry(…)` of a text.
    IsExpiry(Operand),
    /// A list of texts holds a text.
    Holds(Operand, Operand),
    Text(Operand, TextTest),
    /// Some element of a list, or some key, (or each of them, where `deciding` is false) passes.
    Each {
        list: Operand,
        deciding: bool,
        body: Box<Quick>,
    },
    /// Only the interpreter knows.
    Ask,
}

/// A test of a text.
#[derive(Debug, Clone)]
pub(super) enum TextTest {
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    Matches(Regex),
}

/// A value that can be read natively.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Constant(Constant),
    Now,
    Object(Object),
    Field(Object, Field),
    Tag(Object, String),
    /// The tag whose key the macro is at.
    TagOfItem(Object),
    /// The element that the macro is at.
    Item,
    /// `expiry(…)` of a text.
    Expiry(Box<Operand>),
}

/// A literal, or what rests on literals alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Time(Timestamp),
    Duration(SignedDuration),
}

impl Constant {
    fn of(node: &IdedExpr) -> Option<Self> {
        match &node.expr {
            Expr::Literal(LiteralValue::Null) => Some(Self::Null),
            Expr::Literal(LiteralValue::Boolean(flag)) => Some(Self::Bool(*flag.inner())),
            Expr::Literal(LiteralValue::Int(number)) => Some(Self::Int(*number.inner())),
            Expr::Literal(LiteralValue::Double(number)) => Some(Self::Double(*number.inner())),
            Expr::Literal(LiteralValue::String(text)) => Some(Self::Text(text.inner().to_owned())),
            Expr::Call(CallExpr { func_name, target: None, args }) => match (func_name.as_str(), args.as_slice()) {
                ("duration", [argument]) if facts::literal(argument).is_some() => {
                    values::interval(library::fold(node).ok()?.as_ref()).map(Self::Duration)
                }
                ("timestamp" | "expiry", [argument]) if facts::literal(argument).is_some() => {
                    values::instant(library::fold(node).ok()?.as_ref()).map(Self::Time)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn fact(&self) -> Fact<'_> {
        match self {
            Self::Null => Fact::Null,
            Self::Bool(flag) => Fact::Bool(*flag),
            Self::Int(number) => Fact::Int(*number),
            Self::Double(number) => Fact::Double(*number),
            Self::Text(text) => Fact::Text(text),
            Self::Time(time) => Fact::Time(*time),
            Self::Duration(duration) => Fact::Duration(*duration),
        }
    }
}

impl Operand {
    pub(super) fn of(node: &IdedExpr, names: Names<'_>) -> Option<Self> {
        if let Some(constant) = Constant::of(node) {
            return Some(Self::Constant(constant));
        }
        let tags_of = |node: &IdedExpr| match Self::of(node, names) {
            Some(Self::Field(object, Field::Tags)) => Some(object),
            _ => None,
        };
        match &node.expr {
            Expr::Ident(name) if names.item.is_some_and(|item| item == name) => Some(Self::Item),
            Expr::Ident(name) => match names.vocabulary.variable(name)? {
                Type::Object(object) => Some(Self::Object(*object)),
                // There is one time: now.
                Type::Time => Some(Self::Now),
                _ => None,
            },
            Expr::Select(select) if !select.test => match Self::of(&select.operand, names)? {
                Self::Object(object) => vocabulary::field(object, &select.field).map(|field| Self::Field(object, field)),
                Self::Field(object, Field::Tags) => Some(Self::Tag(object, select.field.clone())),
                _ => None,
            },
            Expr::Call(CallExpr { func_name, target: None, args }) => match (func_name.as_str(), args.as_slice()) {
                (operators::INDEX, [tags, key]) => match (tags_of(tags)?, Self::of(key, names)?) {
                    (object, Self::Constant(Constant::Text(key))) => Some(Self::Tag(object, key)),
                    (object, Self::Item) => Some(Self::TagOfItem(object)),
                    _ => None,
                },
                ("expiry", [text]) => Self::of(text, names).map(|text| Self::Expiry(Box::new(text))),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value; `None` where reading it is an error or needs the interpreter.
    pub(super) fn read<'v>(&'v self, asked: Asked<'v>) -> Option<Fact<'v>> {
        match self {
            Self::Constant(constant) => Some(constant.fact()),
            Self::Now => asked.view.now().map(Fact::Time),
            Self::Object(object) => asked.view.object(*object),
            Self::Field(object, field) => asked.view.fact(*object, *field),
            Self::Item => asked.item.map(Fact::Text),
            Self::TagOfItem(object) => match (asked.view.fact(*object, Field::Tags)?, asked.item?) {
                (Fact::Tags(tags), key) => tags.get(key).map(|value| Fact::Text(value)),
                _ => None,
            },
            Self::Tag(object, key) => match asked.view.fact(*object, Field::Tags)? {
                Fact::Tags(tags) => tags.get(key).map(|value| Fact::Text(value)),
                _ => None,
            },
            Self::Expiry(text) => match text.read(asked)? {
                Fact::Text(text) => library::expiry(text).map(Fact::Time),
                _ => None,
            },
        }
    }
}

impl Quick {
    /// The native part of a checked condition.
    pub(super) fn of(node: &IdedExpr, vocabulary: &Vocabulary) -> Self {
        Self::of_part(node, Names::of(vocabulary))
    }

    /// The answer, unless the interpreter has to be asked.
    pub(super) fn answer_about(&self, view: View<'_>) -> Option<bool> {
        self.answer(Asked::about(view))
    }

    fn of_part(node: &IdedExpr, names: Names<'_>) -> Self {
        Self::tested(node, names).unwrap_or(Self::Ask)
    }

    pub(super) fn tested(node: &IdedExpr, names: Names<'_>) -> Option<Self> {
        let call = match &node.expr {
            Expr::Call(call) => call,
            Expr::Comprehension(inner) if names.item.is_none() => return Self::of_macro(inner, names),
            Expr::Select(select) if select.test => {
                return match Operand::of(&select.operand, names)? {
                    Operand::Field(object, Field::Tags) => {
                        Some(Self::HasTag(object, Operand::Constant(Constant::Text(select.field.clone()))))
                    }
                    _ => None,
                };
            }
            _ => return Operand::of(node, names).map(Self::Flag),
        };
        if let Some(target) = &call.target {
            return Self::of_method(target, &call.func_name, &call.args, names);
        }
        let ordered = |orders| match call.args.as_slice() {
            [left, right] => Some(Self::Order(Operand::of(left, names)?, orders, Operand::of(right, names)?)),
            _ => None,
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => Some(Self::All(flattened(left, right, operators::LOGICAL_AND, names))),
            (operators::LOGICAL_OR, [left, right]) => Some(Self::Any(flattened(left, right, operators::LOGICAL_OR, names))),
            (operators::LOGICAL_NOT, [inner]) => Some(Self::Not(Box::new(Self::tested(inner, names)?))),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                Some(Self::If(Box::new((Self::tested(condition, names)?, Self::of_part(yes, names), Self::of_part(no, names)))))
            }
            (operators::EQUALS, [left, right]) => Some(Self::Equal(Operand::of(left, names)?, Operand::of(right, names)?)),
            (operators::NOT_EQUALS, [left, right]) => {
                Some(Self::Not(Box::new(Self::Equal(Operand::of(left, names)?, Operand::of(right, names)?))))
            }
            (operators::LESS, _) => ordered(&[Ordering::Less]),
            (operators::LESS_EQUALS, _) => ordered(&[Ordering::Less, Ordering::Equal]),
            (operators::GREATER, _) => ordered(&[Ordering::Greater]),
            (operators::GREATER_EQUALS, _) => ordered(&[Ordering::Greater, Ordering::Equal]),
            (operators::IN, [element, container]) => Self::of_membership(element, container, names),
            ("isExpiry", [text]) => Some(Self::IsExpiry(Operand::of(text, names)?)),
            _ => None,
        }
    }

    fn of_membership(element: &IdedExpr, container: &IdedExpr, names: Names<'_>) -> Option<Self> {
        let element = Operand::of(element, names)?;
        if let Expr::List(list) = &container.expr {
            let literals: Option<Vec<Constant>> = list.elements.iter().map(Constant::of).collect();
            return literals.map(|literals| Self::OneOf(element, literals));
        }
        match Operand::of(container, names)? {
            Operand::Field(object, Field::Tags) => Some(Self::HasTag(object, element)),
            list @ Operand::Field(..) => Some(Self::Holds(list, element)),
            _ => None,
        }
    }

    /// `exists` and `all`, over keys or texts, one deep.
    fn of_macro(inner: &ComprehensionExpr, names: Names<'_>) -> Option<Self> {
        let (Expr::Call(step), Some(Macro::Test(body))) = (&inner.loop_step.expr, Macro::of(inner)) else { return None };
        let deciding = match step.func_name.as_str() {
            operators::LOGICAL_OR => true,
            operators::LOGICAL_AND => false,
            _ => return None,
        };
        let list = match Operand::of(&inner.iter_range, names)? {
            list @ Operand::Field(_, Field::Tags | Field::Attribute(_, Shape::Texts)) => list,
            _ => return None,
        };
        let body = Box::new(Self::tested(body, Names { item: Some(&inner.iter_var), ..names })?);
        Some(Self::Each { list, deciding, body })
    }

    fn of_method(target: &IdedExpr, name: &str, arguments: &[IdedExpr], names: Names<'_>) -> Option<Self> {
        let [argument] = arguments else { return None };
        let Constant::Text(text) = Constant::of(argument)? else { return None };
        let test = match name {
            "contains" => TextTest::Contains(text),
            "startsWith" => TextTest::StartsWith(text),
            "endsWith" => TextTest::EndsWith(text),
            "matches" => TextTest::Matches(library::pattern(&text).ok()?),
            _ => return None,
        };
        Some(Self::Text(Operand::of(target, names)?, test))
    }

    pub(super) fn answer(&self, asked: Asked<'_>) -> Option<bool> {
        match self {
            Self::All(parts) => decided(parts.iter().map(|part| part.answer(asked)), false),
            Self::Any(parts) => decided(parts.iter().map(|part| part.answer(asked)), true),
            Self::Not(inner) => inner.answer(asked).map(|answer| !answer),
            Self::If(parts) => {
                let (condition, yes, no) = parts.as_ref();
                if condition.answer(asked)? { yes.answer(asked) } else { no.answer(asked) }
            }
            Self::Flag(flag) => match flag.read(asked)? {
                Fact::Bool(flag) => Some(flag),
                _ => None,
            },
            Self::Equal(left, right) => are_equal(left.read(asked)?, right.read(asked)?),
            Self::Order(left, orders, right) => order(left.read(asked)?, right.read(asked)?).map(|order| orders.contains(&order)),
            Self::OneOf(item, literals) => {
                let item = item.read(asked)?;
                decided(literals.iter().map(|literal| are_equal(item, literal.fact())), true)
            }
            Self::HasTag(object, key) => match (asked.view.fact(*object, Field::Tags)?, key.read(asked)?) {
                (Fact::Tags(tags), Fact::Text(key)) => Some(tags.contains_key(key)),
                _ => None,
            },
            Self::IsExpiry(text) => match text.read(asked)? {
                Fact::Text(text) => Some(library::expiry(text).is_some()),
                _ => None,
            },
            Self::Holds(list, item) => match (list.read(asked)?, item.read(asked)?) {
                (Fact::Texts(items), Fact::Text(item)) => {
                    Some(items.iter().any(|other| matches!(other, Value::String(other) if other == item)))
                }
                _ => None,
            },
            Self::Text(text, test) => match text.read(asked)? {
                Fact::Text(text) => Some(match test {
                    TextTest::Contains(part) => text.contains(part.as_str()),
                    TextTest::StartsWith(part) => text.starts_with(part.as_str()),
                    TextTest::EndsWith(part) => text.ends_with(part.as_str()),
                    TextTest::Matches(pattern) => pattern.is_match(text),
                }),
                _ => None,
            },
            Self::Each { list, deciding, body } => {
                let answer = |item| body.answer(Asked { item: Some(item), ..asked });
                match list.read(asked)? {
                    Fact::Tags(tags) => decided(tags.keys().map(|key| answer(key.as_str())), *deciding),
                    Fact::Texts(items) => decided(items.iter().map(|item| item.as_str().and_then(answer)), *deciding),
                    _ => None,
                }
            }
            Self::Ask => None,
        }
    }
}

/// The parts of a chain of one operator, which the parser balances into a tree.
fn flattened(left: &IdedExpr, right: &IdedExpr, operator: &str, names: Names<'_>) -> Vec<Quick> {
    let of_one = |node: &IdedExpr| match &node.expr {
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operator => match args.as_slice() {
            [left, right] => flattened(left, right, operator, names),
            _ => vec![Quick::of_part(node, names)],
        },
        _ => vec![Quick::of_part(node, names)],
    };
    let mut parts = of_one(left);
    parts.extend(of_one(right));
    parts
}

/// `deciding` as soon as one answer is that; its opposite where all answers are; unknown else.
fn decided(answers: impl Iterator<Item = Option<bool>>, deciding: bool) -> Option<bool> {
    let mut all_known = true;
    for answer in answers {
        match answer {
            Some(answer) if answer == deciding => return Some(deciding),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!deciding)
}

fn are_equal(left: Fact<'_>, right: Fact<'_>) -> Option<bool> {
    match (left, right) {
        (Fact::Odd(_), _) | (_, Fact::Odd(_)) => None,
        (Fact::Structure(_), _) | (_, Fact::Structure(_)) => None,
        (Fact::Null, Fact::Null) => Some(true),
        (Fact::Null, _) | (_, Fact::Null) => Some(false),
        (Fact::Bool(a), Fact::Bool(b)) => Some(a == b),
        (Fact::Int(a), Fact::Int(b)) => Some(a == b),
        (Fact::Text(a), Fact::Text(b)) => Some(a == b),
        (Fact::Time(a), Fact::Time(b)) => Some(a == b),
        (Fact::Duration(a), Fact::Duration(b)) => Some(a == b),
        _ => None,
    }
}

fn order(left: Fact<'_>, right: Fact<'_>) -> Option<Ordering> {
    match (left, right) {
        (Fact::Int(a), Fact::Int(b)) => Some(a.cmp(&b)),
        (Fact::Double(a), Fact::Double(b)) => a.partial_cmp(&b),
        (Fact::Text(a), Fact::Text(b)) => Some(a.cmp(b)),
        (Fact::Time(a), Fact::Time(b)) => Some(a.cmp(&b)),
        (Fact::Duration(a), Fact::Duration(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}
