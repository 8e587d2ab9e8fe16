//! How many steps an expression can take: the interpreter has no limit of its own, so there is one before it.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};
use serde_json::Value;

use super::parse::{Macro, parts};
use super::subject::{Fact, View};
use super::vocabulary::{self, Field, Object, Vocabulary};
use crate::model::attributes::Shape;

/// Most steps of one evaluation: about a tenth of a second.
pub(super) const STEPS_MAX: u64 = 500_000;
/// How long a field's list counts when an expression is checked. A longer one counts as it is when the expression is asked.
pub(super) const LENGTH_ASSUMED: u64 = 100;

/// Steps as a sum of products of lengths.
#[derive(Debug, Clone)]
pub(super) enum Cost {
    Steps(u64),
    Sum(Vec<Cost>),
    /// So many times what is within.
    Times(Length, Box<Cost>),
}

/// How long something is that is gone over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Fixed(u64),
    Of(Object, Field),
}

impl Length {
    fn of(range: &IdedExpr, vocabulary: &Vocabulary) -> Self {
        match &range.expr {
            Expr::List(list) => Self::Fixed(list.elements.len() as u64),
            Expr::Comprehension(inner) => Self::of(&inner.iter_range, vocabulary),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) => {
                    let object = vocabulary.object(name);
                    object
                        .and_then(|object| Some(Self::Of(object, vocabulary::field(object, &select.field)?)))
                        .unwrap_or(Self::Fixed(LENGTH_ASSUMED))
                }
                _ => Self::Fixed(LENGTH_ASSUMED),
            },
            _ => Self::Fixed(LENGTH_ASSUMED),
        }
    }

    fn actual(self, view: View<'_>) -> u64 {
        match self {
            Self::Fixed(length) => length,
            Self::Of(object, field) => match view.fact(object, field) {
                Some(Fact::Texts(items)) => items.len() as u64,
                Some(Fact::Tags(tags)) => tags.len() as u64,
                Some(Fact::Structure(Value::Array(items))) => items.len() as u64,
                Some(Fact::Structure(Value::Object(entries))) => entries.len() as u64,
                _ => 0,
            },
        }
    }

    const fn assumed(self) -> u64 {
        match self {
            Self::Fixed(length) => length,
            Self::Of(..) => LENGTH_ASSUMED,
        }
    }
}

impl Cost {
    pub(super) fn of(node: &IdedExpr, vocabulary: &Vocabulary) -> Self {
        let of = |node| Self::of(node, vocabulary);
        let of_parts = || Self::Sum(std::iter::once(Self::Steps(1)).chain(parts(node).into_iter().map(of)).collect());
        match &node.expr {
            Expr::Comprehension(inner) => {
                let length = Length::of(&inner.iter_range, vocabulary);
                let bodies = Macro::of(inner).into_iter().flat_map(Macro::bodies).map(of);
                // What a macro expands to around its body: the loop's condition, its step and its result.
                let body = Self::Sum(bodies.chain([Self::Steps(6)]).collect());
                Self::Sum(vec![Self::Steps(4), of(&inner.iter_range), Self::Times(length, Box::new(body))])
            }
            // Looking for something in a list reads the list.
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::IN => match args.as_slice() {
                [_, list] => Self::Sum(vec![of_parts(), Self::Times(Length::of(list, vocabulary), Box::new(Self::Steps(1)))]),
                _ => of_parts(),
            },
            // A list is copied when it is read.
            Expr::Select(_) => match Length::of(node, vocabulary) {
                Length::Of(object, field @ Field::Attribute(_, Shape::Texts | Shape::Structure)) => {
                    Self::Sum(vec![of_parts(), Self::Times(Length::Of(object, field), Box::new(Self::Steps(1)))])
                }
                _ => of_parts(),
            },
            _ => of_parts(),
        }
    }

    /// Steps at most, with every field's list as long as [`LENGTH_ASSUMED`].
    pub(super) fn assumed(&self) -> u64 {
        self.total(&Length::assumed)
    }

    /// Steps at most on this subject.
    pub(super) fn actual(&self, view: View<'_>) -> u64 {
        self.total(&|length| length.actual(view))
    }

    fn total(&self, length_of: &dyn Fn(Length) -> u64) -> u64 {
        match self {
            Self::Steps(steps) => *steps,
            Self::Sum(costs) => costs.iter().fold(0, |sum, cost| sum.saturating_add(cost.total(length_of))),
            Self::Times(length, cost) => length_of(*length).saturating_mul(cost.total(length_of)),
        }
    }

    /// Whether it loops: what does not is bounded by its size.
    pub(super) fn loops(&self) -> bool {
        match self {
            Self::Steps(_) => false,
            Self::Sum(costs) => costs.iter().any(Self::loops),
            Self::Times(length, cost) => matches!(length, Length::Of(..)) && matches!(**cost, Self::Sum(_)) || cost.loops(),
        }
    }
}
