//! The types of values, and how they go together.

use std::fmt;

use super::vocabulary::Object;

/// Type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Duration,
    Null,
    List(Box<Type>),
    /// Keys are texts.
    Map(Box<Type>),
    Object(Object),
    /// Known at run time only: inside a structured attribute, or after a mistake.
    Dyn,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Time => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Null => f.write_str("null"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(value) => write!(f, "map(string, {value})"),
            Self::Object(object) => f.write_str(object.name()),
            Self::Dyn => f.write_str("dyn"),
        }
    }
}

/// The one type of several values, or none in particular.
pub(super) fn common(types: Vec<Type>) -> Type {
    let mut types = types.into_iter().filter(|ty| *ty != Type::Null);
    let Some(first) = types.next() else { return Type::Dyn };
    if types.all(|ty| ty == first) { first } else { Type::Dyn }
}

/// Whether two values can be equal.
pub(super) fn is_comparable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn | Type::Null, _) | (_, Type::Dyn | Type::Null) => true,
        (Type::Int | Type::Double, Type::Int | Type::Double) => true,
        (Type::List(a), Type::List(b)) => is_comparable(a, b),
        (a, b) => a == b,
    }
}

/// How the second becomes the first's type.
pub(super) fn conversion(wanted: &Type, given: &Type, written: &str) -> Option<String> {
    let plain = written.trim_matches(['"', '\'']);
    match (wanted, given) {
        (Type::Int | Type::Double, Type::Text) if plain.parse::<f64>().is_ok() => Some(format!("a number stands without quotes: {plain}")),
        (Type::Time, Type::Text) => Some(format!("write `expiry({written})` or `timestamp({written})`")),
        (Type::Duration, Type::Text) => Some(format!("write `duration({written})`")),
        (Type::Duration, Type::Int) => Some("a duration carries its unit, such as `duration(\"15m\")`".to_owned()),
        (Type::Bool, Type::Text) if matches!(plain, "true" | "false") => Some(format!("write {plain} without quotes")),
        (Type::Int, Type::Text) => Some(format!("write `int({written})`")),
        _ => None,
    }
}

/// A type in a sentence.
pub(super) fn with_article(ty: &Type) -> String {
    match ty {
        Type::Null => "null".to_owned(),
        Type::Int => "an int".to_owned(),
        Type::Object(object) => format!("the whole `{}`", object.name()),
        other => format!("a {other}"),
    }
}
