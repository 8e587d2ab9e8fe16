//! What every operation is given, and how it reads what came.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    auth::Caller,
    late::Late,
    reply::ApiError,
    settings::Settings,
    site::{Role, Schema, Site},
};

/// A request that was let in, and the site it is about.
pub(crate) struct Call<'a> {
    pub(crate) site: &'a mut Site,
    pub(crate) late: &'a Late,
    pub(crate) settings: &'a Settings,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    /// `https://host:port`, as the client spells it.
    pub(crate) base_url: &'a str,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a [u8],
    /// What is left to chance in this request is drawn from this.
    pub(crate) chance: u64,
}

impl Call<'_> {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// Case does not matter: Python's `True`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.parameter(name).eq_ignore_ascii_case("true")
    }

    /// A whole number of the query.
    pub(crate) fn count(&self, name: &str, default: usize) -> Result<usize, ApiError> {
        match self.parameter(name) {
            "" => Ok(default),
            text => text.parse().map_err(|_| ApiError::bad(&format!("The parameter {name} must be a whole number"))),
        }
    }

    /// The number in a path, or 404.
    pub(crate) fn path_id(&self, text: &str, what: &str) -> Result<u64, ApiError> {
        text.parse().map_err(|_| missing(what, text))
    }

    /// The body, which has to be an object of these members.
    pub(crate) fn members(&self, known: &[&str]) -> Result<Members, ApiError> {
        let body: Value = serde_json::from_slice(self.body).map_err(|_| ApiError::bad("The request body could not be read as JSON"))?;
        self.object(body, known)
    }

    pub(crate) fn object(&self, value: Value, known: &[&str]) -> Result<Members, ApiError> {
        let Value::Object(members) = value else { return Err(ApiError::bad("The request body is not an object")) };
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(ApiError::bad(&format!("Unrecognized field \"{unknown}\"")));
        }
        Ok(Members { members, text_ids: self.site.is_cloud(), strict: self.settings.strict_ids })
    }

    /// A schema that the caller sees, or 404.
    pub(crate) fn schema(&self, id: u64) -> Result<&Schema, ApiError> {
        let schema = self.site.schemas.get(&id).filter(|schema| self.caller.role(self.site, schema.id).is_some());
        schema.ok_or_else(|| missing("object schema", &id.to_string()))
    }

    /// Whether the caller may do this in a schema: 404 where they see nothing of it, 403 where the role is not enough.
    pub(crate) fn check_role(&self, schema: u64, needed: Role) -> Result<(), ApiError> {
        match self.caller.role(self.site, schema) {
            None => Err(missing("object schema", &schema.to_string())),
            Some(role) if role >= needed => Ok(()),
            Some(_) => Err(ApiError::forbidden("You do not have the permission to perform this operation")),
        }
    }

    pub(crate) fn check_admin(&self) -> Result<(), ApiError> {
        if self.caller.is_admin(self.site) {
            Ok(())
        } else {
            Err(ApiError::forbidden("You do not have the permission to perform this operation"))
        }
    }
}

/// 404 about something.
pub(crate) fn missing(what: &str, id: &str) -> ApiError {
    ApiError::not_found(&format!("Could not find {what} with id {id}"))
}

/// The members of a body.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    members: Map<String, Value>,
    text_ids: bool,
    strict: bool,
}

impl Members {
    /// A member; what is null is not there.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether it is there at all, null too.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let wrong = || ApiError::bad(&format!("{name} must be text"));
        self.get(name).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let wrong = || ApiError::bad(&format!("{name} must be true or false"));
        self.get(name).map(|value| value.as_bool().ok_or_else(wrong)).transpose()
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let wrong = || ApiError::bad(&format!("{name} must be a whole number"));
        self.get(name).map(|value| value.as_i64().ok_or_else(wrong)).transpose()
    }

    /// A number of something: as text on Cloud, as a number on Data Center.
    pub(crate) fn id(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let wrong = || {
            let form = if self.text_ids { "text" } else { "a number" };
            ApiError::bad(&format!("{name} must be an id, as {form}"))
        };
        self.get(name).map(|value| id(value, self.text_ids, self.strict).ok_or_else(wrong)).transpose()
    }

    /// The same of a list that holds texts whatever the product.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let wrong = || ApiError::bad(&format!("{name} must be a list of texts"));
        let list = self.get(name).map(|value| value.as_array().ok_or_else(wrong)).transpose()?;
        list.map(|list| list.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()).transpose()
    }
}

/// An id of a body.
pub(crate) fn id(value: &Value, text_ids: bool, strict: bool) -> Option<u64> {
    match value {
        Value::String(text) if text_ids || !strict => text.parse().ok(),
        Value::Number(number) if !text_ids || !strict => number.as_u64(),
        _ => None,
    }
}
