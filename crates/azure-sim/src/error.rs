//! Errors as Azure Resource Manager answers them.

use dewpoint_sim_kit::Response;
use serde_json::{Value, json};

/// One error answer: the status and what stands in the error document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Vec<Value>,
    pub(crate) headers: Vec<(String, String)>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn detail(mut self, code: &str, message: &str) -> Self {
        self.details.push(json!({"code": code, "message": message}));
        self
    }

    /// A parameter of the call that does not fit.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameter", message)
    }

    pub(crate) fn unknown_option(name: &str) -> Self {
        Self::new(400, "InvalidQueryParameter", format!("The query parameter '{name}' is not supported by this operation."))
    }

    pub(crate) fn bad_token() -> Self {
        Self::new(400, "InvalidContinuationToken", "The continuation token is not valid for this request.")
    }

    pub(crate) fn no_such_path(path: &str) -> Self {
        Self::new(404, "InvalidResourceType", format!("The resource type could not be found for the request '{path}'."))
    }

    pub(crate) fn resource_not_found(kind: &str, name: &str, group: &str) -> Self {
        Self::new(
            404,
            "ResourceNotFound",
            format!(
                "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
    }

    pub(crate) fn group_not_found(name: &str) -> Self {
        Self::new(404, "ResourceGroupNotFound", format!("Resource group '{name}' could not be found."))
    }

    pub(crate) fn subscription_not_found(id: &str) -> Self {
        Self::new(404, "SubscriptionNotFound", format!("The subscription '{id}' could not be found."))
    }

    /// No role gives the action at the scope.
    pub(crate) fn denied(client: &str, object: &str, action: &str, scope: &str) -> Self {
        Self::new(
            403,
            "AuthorizationFailed",
            format!(
                "The client '{client}' with object id '{object}' does not have authorization to perform action '{action}' over scope '{scope}' \
                 or the scope is invalid. If access was recently granted, please refresh your credentials."
            ),
        )
    }

    pub(crate) fn response(&self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if let (Some(fields), false) = (error.as_object_mut(), self.details.is_empty()) {
            fields.insert("details".to_owned(), Value::Array(self.details.clone()));
        }
        let body = json!({ "error": error }).to_string();
        let mut response = Response::of(self.status, "application/json; charset=utf-8", body);
        response.headers.extend(self.headers.iter().cloned());
        response
    }
}
