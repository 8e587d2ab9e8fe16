//! What an interface answers, before it is bytes.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{Response, form};
use serde_json::{Value, json};

/// An answer with a JSON body, or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    /// What was done, for the log.
    pub(crate) operations: BTreeMap<String, usize>,
    pub(crate) relation_operations: BTreeMap<String, usize>,
    pub(crate) dropped_terms: Vec<String>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    /// The usual envelope.
    pub(crate) fn result(result: Value) -> Self {
        Self::new(200, Value::Object([("result".to_owned(), result)].into_iter().collect()))
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn done(mut self, operation: &str) -> Self {
        *self.operations.entry(operation.to_owned()).or_default() += 1;
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let mut headers = self.headers;
        let body = self.body.map(|body| {
            headers.push(("Content-Type".to_owned(), "application/json;charset=UTF-8".to_owned()));
            body.to_string().into_bytes()
        });
        Response { status: self.status, headers, body: body.unwrap_or_default() }
    }
}

/// A refusal in the usual envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: &str, detail: Option<&str>) -> Self {
        Self { status, message: message.to_owned(), detail: detail.map(str::to_owned), headers: Vec::new() }
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, "User Not Authenticated", Some("Required to provide Auth information"))
            .header("WWW-Authenticate", "BASIC realm=\"Service-now\"")
    }

    pub(crate) fn no_record() -> Self {
        Self::new(404, "No Record found", Some("Record doesn't exist or ACL restricts the record retrieval"))
    }

    pub(crate) fn no_resource() -> Self {
        Self::new(400, "Requested URI does not represent any resource", None)
    }

    pub(crate) fn no_table(table: &str) -> Self {
        Self::new(400, &format!("Invalid table {table}"), None)
    }

    pub(crate) fn method() -> Self {
        Self::new(405, "Method not supported", None)
    }

    pub(crate) fn bad_body() -> Self {
        Self::new(400, "Exception while reading request", Some("Cannot decode: the request body is not valid JSON"))
    }

    pub(crate) fn killed() -> Self {
        Self::new(
            500,
            "Transaction cancelled: maximum execution time exceeded",
            Some("Transaction cancelled: maximum execution time exceeded"),
        )
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = json!({"error": {"message": error.message, "detail": error.detail}, "status": "failure"});
        Self { headers: error.headers, ..Self::new(error.status, body) }
    }
}

/// The pairs of a query or a form. Of several with one name the last stands.
pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    // What cannot be decoded is left as it is.
    let decode = |text: &str| form::decode(text).unwrap_or_else(|| text.to_owned());
    form::pairs(text).map(|(name, value)| (decode(name), decode(value))).collect()
}
