//! EC2's filters: by name, several values (any of them), several filters (all of them), `*` and `?` as wildcards, case-sensitive.

use std::{borrow::Cow, collections::BTreeMap, collections::HashSet};

use crate::{error::ApiError, params::Params, service::Service};

const FILTERS_MAX: usize = 50;
const VALUES_MAX: usize = 200;

/// What an item has to offer under a filter's name.
pub(crate) type Values<'a> = Vec<Cow<'a, str>>;

/// The filters of one request.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    filters: Vec<Filter>,
}

#[derive(Debug)]
struct Filter {
    name: String,
    exact: HashSet<String>,
    patterns: Vec<Vec<Token>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Just(char),
}

impl Filters {
    /// Takes `Filter.N.Name` and `Filter.N.Value.M` out of the parameters. `known` are the filters of the action; `tag:*` in it permits `tag:KEY`.
    pub(crate) fn take(params: &mut Params, known: &[&str]) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        let mut values_count = 0;
        for index in 1.. {
            let Some(name) = params.take(&format!("Filter.{index}.Name")) else { break };
            let values = params.take_list(&format!("Filter.{index}.Value"));
            let is_known = known.contains(&name.as_str()) || (name.starts_with("tag:") && name.len() > 4 && known.contains(&"tag:*"));
            if !is_known {
                return Err(ApiError::invalid(Service::Ec2, format!("The filter '{name}' is invalid")));
            }
            if values.is_empty() {
                return Err(ApiError::invalid(Service::Ec2, format!("The filter '{name}' has no value")));
            }
            values_count += values.len();
            filters.push(Filter::new(name, values));
        }
        if filters.len() > FILTERS_MAX {
            return Err(ApiError::new(400, "FilterLimitExceeded", format!("The maximum number of filters is {FILTERS_MAX}")));
        }
        if values_count > VALUES_MAX {
            return Err(ApiError::new(
                400,
                "FilterLimitExceeded",
                format!("The maximum number of filter values specified on a single call is {VALUES_MAX}"),
            ));
        }
        Ok(Self { filters })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether an item passes. `values` gives what the item has under a name other than a tag's.
    pub(crate) fn pass<'a>(&self, tags: &BTreeMap<String, String>, values: impl Fn(&str) -> Values<'a>) -> bool {
        self.filters.iter().all(|filter| match filter.name.strip_prefix("tag:") {
            Some(key) => tags.get(key).is_some_and(|value| filter.takes(value)),
            None if filter.name == "tag-key" => tags.keys().any(|key| filter.takes(key)),
            None => values(&filter.name).iter().any(|value| filter.takes(value)),
        })
    }
}

impl Filter {
    fn new(name: String, values: Vec<String>) -> Self {
        let (patterns, exact): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| value.contains(['*', '?', '\\']));
        Self { name, exact: exact.into_iter().collect(), patterns: patterns.iter().map(|pattern| compile(pattern)).collect() }
    }

    fn takes(&self, value: &str) -> bool {
        self.exact.contains(value) || self.patterns.iter().any(|pattern| matches(pattern, value))
    }
}

/// A backslash before a wildcard makes it a plain character.
fn compile(pattern: &str) -> Vec<Token> {
    let mut characters = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Just(characters.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\')),
            other => Token::Just(other),
        });
    }
    tokens
}

fn matches(pattern: &[Token], text: &str) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Token::Any, rest)) => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| text.get(at..).is_some_and(|tail| matches(rest, tail)))
        }
        Some((token, rest)) => {
            let mut characters = text.chars();
            characters.next().is_some_and(|character| match token {
                Token::Just(wanted) => *wanted == character,
                _ => true,
            }) && matches(rest, characters.as_str())
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("web-*", "web-1", true),
            ("web-*", "Web-1", false),
            ("*", "", true),
            ("?", "", false),
            ("w?b", "web", true),
            ("*b*", "abc", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("2026-08-22T1*", "2026-08-22T10:00:00.000Z", true),
        ] {
            assert_eq!(matches(&compile(pattern), text), expected, "{pattern} against {text}");
        }
    }

    fn take(form: &[(&str, &str)]) -> Result<Filters, ApiError> {
        let mut params = Params::new(Service::Ec2, form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        Filters::take(&mut params, &["vpc-id", "tag:*"])
    }

    #[test]
    fn only_known_names_are_taken() {
        assert!(
            !take(&[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "vpc-1"), ("Filter.2.Name", "tag:a"), ("Filter.2.Value.1", "b")])
                .unwrap()
                .is_empty()
        );
        assert_eq!(take(&[("Filter.1.Name", "Vpc-Id"), ("Filter.1.Value.1", "vpc-1")]).unwrap_err().code, "InvalidParameterValue");
        assert_eq!(take(&[("Filter.1.Name", "vpc-id")]).unwrap_err().code, "InvalidParameterValue");
    }

    #[test]
    fn two_hundred_values_are_taken_and_no_more() {
        let names: Vec<String> = (1..=201).map(|n| format!("Filter.1.Value.{n}")).collect();
        let mut form: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        form.push(("Filter.1.Name", "vpc-id"));
        assert_eq!(take(&form).unwrap_err().code, "FilterLimitExceeded");
        form.remove(200);
        assert!(take(&form).is_ok());
    }
}
