//! The form body of a request. Parameters are taken out one by one: whatever is left at the end is unknown to the action.

use std::collections::BTreeMap;

use dewpoint_sim_kit::form;

use crate::{error::ApiError, service::Service};

/// The parameters of one request that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Params {
    service: Service,
    left: BTreeMap<String, String>,
}

impl Params {
    pub(crate) fn new(service: Service, left: BTreeMap<String, String>) -> Self {
        Self { service, left }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.left.remove(name)
    }

    /// A parameter that stays where it is.
    pub(crate) fn peek(&self, name: &str) -> Option<String> {
        self.left.get(name).cloned()
    }

    pub(crate) fn require(&mut self, name: &str) -> Result<String, ApiError> {
        self.take(name).ok_or_else(|| ApiError::missing_parameter(self.service, name))
    }

    pub(crate) fn take_bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::invalid(self.service, format!("Invalid value '{other}' for {name}: not a boolean"))),
        }
    }

    pub(crate) fn take_int(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        self.take(name)
            .map(|value| {
                value.parse().map_err(|_| ApiError::invalid(self.service, format!("Invalid value '{value}' for {name}: not an integer")))
            })
            .transpose()
    }

    /// `name.1`, `name.2` and so on, up to the first that is missing.
    pub(crate) fn take_list(&mut self, name: &str) -> Vec<String> {
        (1..).map_while(|index| self.left.remove(&format!("{name}.{index}"))).collect()
    }

    /// `name.member.1` and so on. An empty list is sent as `name=`.
    pub(crate) fn take_members(&mut self, name: &str) -> Vec<String> {
        if self.left.get(name).is_some_and(String::is_empty) {
            self.left.remove(name);
        }
        self.take_list(&format!("{name}.member"))
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        self.left.keys().next().map_or(Ok(()), |name| Err(ApiError::unknown_parameter(self.service, name)))
    }
}

/// Reads `application/x-www-form-urlencoded`; `None` when the text is not that, or names something twice.
pub(crate) fn parse_form(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let body = std::str::from_utf8(body).ok()?;
    let mut found = BTreeMap::new();
    for (name, value) in form::pairs(body) {
        if found.insert(form::decode(name)?, form::decode(value)?).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Reads a JSON object of plain values as if it were a form.
pub(crate) fn parse_json(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let object: BTreeMap<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    object.into_iter().map(|(name, value)| Some((name, plain(value)?))).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form = parse_form(b"Action=A&Filter.1.Value.1=a%2Bb+c%C3%BC&Empty=").unwrap();
        assert_eq!(
            form.into_iter().collect::<Vec<_>>(),
            [("Action".into(), "A".into()), ("Empty".into(), String::new()), ("Filter.1.Value.1".into(), "a+b cü".into())]
        );
        assert_eq!(parse_form(b"a=%2"), None);
        assert_eq!(parse_form(b"a=1&a=2"), None);
    }

    #[test]
    fn what_nobody_took_is_refused() {
        let mut params = Params::new(Service::Ec2, parse_form(b"InstanceId.1=a&InstanceId.2=b&InstanceId.4=d").unwrap());
        assert_eq!(params.take_list("InstanceId"), ["a", "b"]);
        assert_eq!(params.finish().unwrap_err().code, "UnknownParameter");
        params.take("InstanceId.4");
        assert_eq!(params.finish(), Ok(()));
    }
}
