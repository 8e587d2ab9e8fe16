//! The parameters of a call.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_sim_kit::form;

use crate::reply::ApiError;

/// Parameters by name, in lower case. What nobody asks for is ignored, as the product does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Of several with one name the last stands; what cannot be decoded is left as it is.
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |text: &str| form::decode(text).unwrap_or_else(|| text.to_owned());
        Self(form::pairs(text).map(|(name, value)| (decode(name).to_ascii_lowercase(), decode(value))).collect())
    }

    /// Without those that are not known.
    pub(crate) fn without(mut self, unknown: &BTreeSet<String>) -> Self {
        self.0.retain(|name, _| !unknown.contains(name));
        self
    }

    /// Empty when it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn misfit(name: &str, value: &str) -> ApiError {
        ApiError::misfit(name, format!("The value '{value}' is not valid."))
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.text(name).trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse::<i32>().map(|number| Some(i64::from(number))).map_err(|_| Self::misfit(name, text))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let text = self.text(name).trim();
        match text.to_ascii_lowercase().as_str() {
            "" | "false" => Ok(false),
            "true" => Ok(true),
            _ => Err(Self::misfit(name, text)),
        }
    }

    /// Ids with commas between them; `None` when there are none. What is no id is left out.
    pub(crate) fn ids(&self, name: &str) -> Option<Vec<i64>> {
        let text = self.text(name);
        (!text.is_empty()).then(|| text.split(',').filter_map(|part| part.trim().parse().ok()).collect())
    }
}

/// An id in a path.
pub(crate) fn id(text: &str) -> Result<i64, ApiError> {
    text.parse::<i32>().map(i64::from).map_err(|_| Params::misfit("id", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_their_type_wants() {
        let params = Params::parse("Page_No=2&a=x&flag=True&ids=1,+2,z&empty=");
        assert_eq!(params.int("page_no").ok(), Some(Some(2)));
        assert_eq!(params.int("empty").ok(), Some(None));
        assert_eq!(params.int("a").map_err(|error| error.name), Err("a".to_owned()));
        assert_eq!([params.flag("flag").ok(), params.flag("none").ok(), params.flag("a").ok()], [Some(true), Some(false), None]);
        assert_eq!((params.ids("ids"), params.ids("empty")), (Some(vec![1, 2]), None));
    }
}
