//! The options of a call: what follows the question mark.

use std::collections::BTreeMap;

use dewpoint_sim_kit::form;

use crate::error::ApiError;

/// The options, by their names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    options: BTreeMap<String, String>,
}

/// Text of a path or a query as it was meant.
pub(crate) fn decode(text: &str) -> Option<String> {
    form::decode(text)
}

/// Text of a path as it was meant: a plus is a plus there.
pub(crate) fn decode_path(text: &str) -> Option<String> {
    form::decode(&text.replace('+', "%2B"))
}

impl Query {
    /// Reads them.
    ///
    /// # Errors
    /// 400 when they are not well formed, or one comes twice.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut options = BTreeMap::new();
        for (name, value) in form::pairs(text) {
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(ApiError::new(400, "BadRequest", "The request URI is not well formed."));
            };
            if options.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err(ApiError::new(400, "InvalidQueryParameter", format!("The query parameter '{name}' was given more than once.")));
            }
        }
        Ok(Self { options })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The options that say what is listed, not which page of it, as they go into a `nextLink`.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter(|(name, _)| !matches!(name.as_str(), "api-version" | "$skiptoken" | "$top")).map(|(name, value)| {
            // As they are documented; the others are in lower case already.
            let name = if name == "statusonly" { "statusOnly" } else { name };
            (name, value.as_str())
        })
    }

    /// # Errors
    /// 400 when there is an option that is not among these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.options.keys().find(|name| name.as_str() != "api-version" && !known.contains(&name.as_str())) {
            Some(name) => Err(ApiError::unknown_option(name)),
            None => Ok(()),
        }
    }

    /// # Errors
    /// 400 when `$top` is no positive number.
    pub(crate) fn top(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("$top") else { return Ok(None) };
        match text.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(ApiError::new(400, "InvalidTopValue", format!("The $top value '{text}' is not valid."))),
        }
    }
}

/// The value in a filter of the form `NAME eq 'VALUE'`, with a name that may be quoted, in whatever case.
pub(crate) fn equals<'a>(filter: &'a str, name: &str) -> Option<&'a str> {
    let (left, right) = split_eq(filter)?;
    let left = left.trim().trim_matches('\'');
    let value = right.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    (left.eq_ignore_ascii_case(name) && !value.is_empty() && !value.contains('\'')).then_some(value)
}

fn split_eq(filter: &str) -> Option<(&str, &str)> {
    let at = filter.to_ascii_lowercase().find(" eq ")?;
    Some((filter.get(..at)?, filter.get(at + 4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_one_thing() {
        assert_eq!(equals("location eq 'westeurope'", "location"), Some("westeurope"));
        assert_eq!(equals("'virtualMachineScaleSet/id' EQ '/Sub'", "virtualMachineScaleSet/id"), Some("/Sub"));
        for wrong in ["location eq westeurope", "location ne 'x'", "x eq 'y'", "location eq ''", "location eq 'a' or location eq 'b'"] {
            assert_eq!(equals(wrong, "location"), None, "{wrong}");
        }
    }

    #[test]
    fn options_are_judged() {
        let query = Query::parse("api-version=1&%24Top=5&statusOnly=true").ok();
        assert_eq!(query.as_ref().map(Query::top), Some(Ok(Some(5))));
        assert!(query.is_some_and(|query| query.only(&["$top"]).is_err() && query.only(&["$top", "statusonly"]).is_ok()));
        assert!(Query::parse("a=1&A=2").is_err() && Query::parse("a=%zz").is_err());
    }
}
