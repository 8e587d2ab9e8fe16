//! Encoded queries: what the Table API is asked for.
//!
//! A condition that an instance does not understand is dropped without a word, and more comes back than was asked for. So every reader checks
//! what it was given by the fields that it asked by.

use std::fmt::Write as _;

/// Longest query, in bytes as it is sent. Longer URLs are refused by what stands in front of some instances; Ansible's collection stops at 2 048
/// characters for the whole URL.
pub(crate) const QUERY_BYTES_MAX: usize = 1700;

/// A query under construction. Conditions are joined by "and".
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(String);

impl Query {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// `field` has this value.
    pub(crate) fn equals(self, field: &str, value: &str) -> Self {
        self.term(field, "=", value)
    }

    /// `field` has one of these values. None of them may hold a comma ([`can_be_listed`]).
    pub(crate) fn any_of<'a>(self, field: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<&str> = values.into_iter().collect();
        self.term(field, "IN", &values.join(","))
    }

    /// `field` begins with this text.
    pub(crate) fn starts_with(self, field: &str, text: &str) -> Self {
        self.term(field, "STARTSWITH", text)
    }

    /// The page behind `after`, in the only order that is total.
    pub(crate) fn page(self, after: Option<&str>) -> Self {
        let after = match after {
            Some(after) => self.term("sys_id", ">", after),
            None => self,
        };
        Self(if after.0.is_empty() { "ORDERBYsys_id".to_owned() } else { format!("{}^ORDERBYsys_id", after.0) })
    }

    fn term(mut self, field: &str, operator: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('^');
        }
        // Writing to a text cannot fail.
        let _ = write!(self.0, "{field}{operator}{}", value.replace('^', "^^"));
        self
    }

    /// As it is sent.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a value can stand in a list of values.
pub(crate) fn can_be_listed(value: &str) -> bool {
    !value.contains([',', '^'])
}

/// Whether a value may stand in a query at all: instances run what follows this word as a script, and tags are written by many.
pub(crate) fn can_be_asked(value: &str) -> bool {
    let word = "javascript:";
    !value.trim_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Cuts values into lists that fit into a query each.
pub(crate) fn lists<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut lists: Vec<Vec<&str>> = Vec::new();
    let mut bytes = 0;
    for value in values {
        // With its comma; what is not plain takes three bytes.
        let length =
            3 + value.bytes().map(|byte| if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) { 1 } else { 3 }).sum::<usize>();
        match lists.last_mut() {
            Some(list) if bytes + length <= QUERY_BYTES_MAX => list.push(value),
            _ => {
                lists.push(vec![value]);
                bytes = 0;
            }
        }
        bytes += length;
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_joined_and_carets_doubled() {
        let query = Query::all().equals("name", "a^b").any_of("id", ["x", "y"]).page(Some("0f"));
        assert_eq!(query.as_str(), "name=a^^b^idINx,y^sys_id>0f^ORDERBYsys_id");
        assert_eq!(Query::all().page(None).as_str(), "ORDERBYsys_id");
    }

    #[test]
    fn scripts_are_not_asked_for() {
        assert!(["web", "my javascript:", "javascript", ""].iter().all(|value| can_be_asked(value)));
        assert!([" JavaScript:gs.log(1)", "javascript:"].iter().all(|value| !can_be_asked(value)));
    }

    #[test]
    fn lists_hold_every_value_once_and_fit() {
        let values: Vec<String> = (0..1000).map(|n| format!("arn:aws:ec2:eu-west-1:123456789012:instance/i-{n:017}")).collect();
        let lists = lists(values.iter().map(String::as_str));
        assert_eq!(lists.concat(), values);
        for list in lists {
            let sent = list.join(",").replace([':', '/', ','], "%2C");
            assert!(sent.len() <= QUERY_BYTES_MAX, "{} bytes", sent.len());
        }
    }
}
