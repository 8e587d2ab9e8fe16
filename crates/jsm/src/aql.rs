//! Queries in AQL.
//!
//! Source: Atlassian, "Assets Query Language (AQL)".

use std::fmt::{self, Display};

/// Values of one list: longer ones may be refused, and where the limit lies is not told.
pub(crate) const LISTED_MAX: usize = 100;

/// A name of an attribute, or a value, in quotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        f.write_str("\"")
    }
}

/// `NAME IN ("…", "…")`.
pub(crate) fn any_of<'a>(attribute: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let list: Vec<String> = values.into_iter().map(|value| Quoted(value).to_string()).collect();
    format!("{} IN ({})", Quoted(attribute), list.join(", "))
}

/// `objectId IN (…)`.
pub(crate) fn of_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let list: Vec<&str> = ids.into_iter().collect();
    format!("objectId IN ({})", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_literal_is_escaped() {
        assert_eq!(Quoted(r#"a"b\c"#).to_string(), r#""a\"b\\c""#);
        assert_eq!(any_of("External ID", ["a", "b"]), r#""External ID" IN ("a", "b")"#);
        assert_eq!(of_ids(["1", "2"]), "objectId IN (1, 2)");
    }
}
