//! What an operation answers, before it is bytes.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{Response, form};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

/// An answer with a JSON body, another body, or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    /// A long list of the body, written already: its name, and what is in it.
    pub(crate) list: Option<(&'static str, Vec<Box<RawValue>>)>,
    /// What goes out in place of JSON: media type and bytes.
    pub(crate) other: Option<(&'static str, Vec<u8>)>,
    /// The objects that were written, for the log.
    pub(crate) objects: Vec<u64>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The same with a list that is written already.
    #[must_use]
    pub(crate) fn with_list(mut self, name: &'static str, list: Vec<Box<RawValue>>) -> Self {
        self.list = Some((name, list));
        self
    }

    #[must_use]
    pub(crate) fn wrote(mut self, object: u64) -> Self {
        self.objects.push(object);
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = match (self.body, self.other) {
            (_, Some((media_type, bytes))) => Response::of(self.status, media_type, bytes),
            (Some(body), None) => Response::of(self.status, "application/json;charset=UTF-8", write(&body, self.list)),
            (None, None) => Response::new(self.status),
        };
        response.headers.extend(self.headers);
        response
    }
}

/// A body as bytes.
fn write(body: &Value, list: Option<(&'static str, Vec<Box<RawValue>>)>) -> Vec<u8> {
    let written = match (body, list) {
        (Value::Object(members), Some((name, list))) => {
            let mut whole: BTreeMap<&str, Part<'_>> = members.iter().map(|(name, value)| (name.as_str(), Part::Value(value))).collect();
            whole.insert(name, Part::List(list));
            serde_json::to_vec(&whole)
        }
        (body, _) => serde_json::to_vec(body),
    };
    written.unwrap_or_default()
}

/// A part of a body.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Value(&'a Value),
    List(Vec<Box<RawValue>>),
}

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) messages: Vec<String>,
    /// By field or, for objects, by `rlabs-insight-attribute-ID`.
    pub(crate) errors: BTreeMap<String, String>,
    pub(crate) headers: Vec<(String, String)>,
    /// A body in place of the usual envelope.
    pub(crate) body: Option<Value>,
    /// A page in place of any JSON.
    pub(crate) page: bool,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: &str) -> Self {
        Self { status, messages: vec![message.to_owned()], ..Self::default() }
    }

    pub(crate) fn bad(message: &str) -> Self {
        Self::new(400, message)
    }

    /// 400 about one field.
    pub(crate) fn field(name: &str, message: &str) -> Self {
        Self::fields([(name.to_owned(), message.to_owned())].into_iter().collect())
    }

    /// 400 about several fields.
    pub(crate) fn fields(errors: BTreeMap<String, String>) -> Self {
        Self { status: 400, errors, ..Self::default() }
    }

    /// 401, as gateways answer.
    pub(crate) fn unauthenticated() -> Self {
        Self::with_body(401, json!({"code": 401, "message": "Unauthorized"}))
            .header("WWW-Authenticate", "Basic realm=\"api.atlassian.com\"")
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(403, message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(404, message)
    }

    pub(crate) fn with_body(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    pub(crate) fn page(status: u16) -> Self {
        Self { status, page: true, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        if error.page {
            let page = Response::page(error.status, dewpoint_sim_kit::reason(error.status));
            return Self {
                status: error.status,
                headers: error.headers,
                other: Some(("text/html;charset=UTF-8", page.body)),
                ..Self::default()
            };
        }
        let body = error.body.unwrap_or_else(|| json!({"errorMessages": error.messages, "errors": error.errors}));
        Self { headers: error.headers, ..Self::new(error.status, body) }
    }
}

/// The pairs of a query or a form. Of several with one name the last stands.
pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    // What cannot be decoded is left as it is.
    let decode = |text: &str| form::decode(text).unwrap_or_else(|| text.to_owned());
    form::pairs(text).map(|(name, value)| (decode(name), decode(value))).collect()
}
