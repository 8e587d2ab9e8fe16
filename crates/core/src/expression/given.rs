//! What an expression gives to a field: JSON, out of the model itself where that can be, else out of the interpreter's value.
//!
//! As with conditions, whatever could be an error is left to the interpreter, so that the two never differ.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};
use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, Kind};
use cel::common::value::Val;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::quick::{Asked, Names, Operand, Quick};
use super::subject::{Fact, View};
use super::values;
use super::vocabulary::Vocabulary;

/// A value as far as it can be read natively.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Read(Operand),
    If(Box<(Quick, Given, Given)>),
    /// Only the interpreter knows.
    Ask,
}

impl Given {
    /// The native part of a checked expression.
    pub(super) fn of(node: &IdedExpr, vocabulary: &Vocabulary) -> Self {
        let names = Names::of(vocabulary);
        if let Some(operand) = Operand::of(node, names) {
            return Self::Read(operand);
        }
        match &node.expr {
            Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::CONDITIONAL => match args.as_slice() {
                [condition, yes, no] => Quick::tested(condition, names)
                    .map_or(Self::Ask, |condition| Self::If(Box::new((condition, Self::of(yes, vocabulary), Self::of(no, vocabulary))))),
                _ => Self::Ask,
            },
            _ => Self::Ask,
        }
    }

    /// The value, unless the interpreter has to be asked.
    pub(super) fn of_subject(&self, view: View<'_>) -> Option<Value> {
        match self {
            Self::Read(operand) => of_fact(operand.read(Asked::about(view))?),
            Self::If(parts) => {
                let (condition, yes, no) = parts.as_ref();
                if condition.answer(Asked::about(view))? { yes.of_subject(view) } else { no.of_subject(view) }
            }
            Self::Ask => None,
        }
    }
}

fn of_fact(fact: Fact<'_>) -> Option<Value> {
    match fact {
        Fact::Null => Some(Value::Null),
        Fact::Bool(flag) => Some(Value::from(flag)),
        Fact::Int(number) => Some(Value::from(number)),
        Fact::Double(number) => Number::from_f64(number).map(Value::Number),
        Fact::Text(text) => Some(Value::from(text)),
        Fact::Time(time) => Some(written(time)),
        Fact::Texts(items) => Some(Value::Array(items.to_vec())),
        Fact::Tags(tags) => Some(Value::Object(tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect())),
        Fact::Duration(_) | Fact::Structure(_) | Fact::Object(_) | Fact::Odd(_) => None,
    }
}

/// A value of the interpreter's; `None` where JSON has none for it, or it is a duration, whose unit a field would not tell.
pub(super) fn json(value: &dyn Val) -> Option<Value> {
    if value.downcast_ref::<CelNull>().is_some() {
        return Some(Value::Null);
    }
    if let Some(flag) = value.downcast_ref::<CelBool>() {
        return Some(Value::from(*flag.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Some(Value::from(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*number.inner()).map(Value::Number);
    }
    if let Some(text) = values::text(value) {
        return Some(Value::from(text));
    }
    if let Some(time) = values::instant(value) {
        return Some(written(time));
    }
    let mut items = value.as_iterable()?.iter();
    let mut next = || items.next();
    match value.get_type().kind() {
        Kind::List => std::iter::from_fn(&mut next).map(json).collect::<Option<Vec<_>>>().map(Value::Array),
        Kind::Map => {
            let entries = value.as_indexer()?;
            let entry = |key| Some((values::text(key)?.to_owned(), json(entries.get(key).ok()?.as_ref())?));
            std::iter::from_fn(&mut next).map(entry).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// An instant as RFC 3339 has it, in UTC.
fn written(time: Timestamp) -> Value {
    Value::String(time.to_string())
}
