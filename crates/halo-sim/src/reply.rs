//! What a call is answered with, before it is bytes.

use dewpoint_sim_kit::{Response, hash::mix, reason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A page of HTML is about this large.
const PAGE_BYTES: usize = 256 * 1024;

/// An answer, and what the log says of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// What is in an answer.
#[derive(Clone, Debug, Default)]
pub(crate) enum Body {
    #[default]
    Empty,
    Json(Value),
    Text(String),
    Page(String),
}

impl Reply {
    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self { status, body: Body::Json(value), ..Self::default() }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::Empty => Response::new(self.status),
            Body::Json(value) => Response::of(self.status, "application/json; charset=utf-8", value.to_string()),
            Body::Text(text) => Response::of(self.status, "text/plain; charset=utf-8", text),
            Body::Page(text) => Response::of(self.status, "text/html; charset=utf-8", page(&text)),
        };
        response.headers.extend(self.headers);
        response
    }
}

/// The shapes in which errors have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `{"resultCode": …, "errorMessage": …}`
    ResultCode,
    /// A .NET exception: `{"ClassName": "System.Exception", "Message": …, …}`
    Exception,
    /// `{"Message": …}`
    Message,
    /// `{"message": …}`
    LowerMessage,
    /// `{"error": …, "error_description": …}`
    Oauth,
    /// What does not fit its type: `{"[0].site_id": ["…"]}`
    ModelState,
    /// A string in JSON.
    Quoted,
    /// Plain text.
    Text,
    /// No body.
    Empty,
    /// A quarter of a megabyte of HTML.
    Page,
}

/// Those that carry a message and have been seen for the same error.
const MIXED: [Shape; 6] = [Shape::ResultCode, Shape::Exception, Shape::Message, Shape::LowerMessage, Shape::Quoted, Shape::Text];

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) shape: Shape,
    /// What does not fit, or the error's code.
    pub(crate) name: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, shape: Shape, message: impl Into<String>) -> Self {
        Self { status, shape, name: String::new(), message: message.into() }
    }

    /// 400: the product's rules are against it.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(400, Shape::Exception, message)
    }

    /// 400: something does not fit its type.
    pub(crate) fn misfit(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::new(400, Shape::ModelState, message) }
    }

    /// 400: the body is not what is expected.
    pub(crate) fn bad_body() -> Self {
        Self::new(400, Shape::Message, "The request is invalid.")
    }

    /// 404: nothing has this id.
    pub(crate) fn missing() -> Self {
        Self::new(404, Shape::Empty, "")
    }

    /// 403: the caller may not.
    pub(crate) fn forbidden() -> Self {
        Self::new(403, Shape::Message, "You do not have permission to perform this action.")
    }

    /// 401: nobody was let in.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, Shape::Empty, "")
    }

    /// An error of the authorisation server.
    pub(crate) fn oauth(status: u16, code: &str, description: &str) -> Self {
        Self { name: code.to_owned(), ..Self::new(status, Shape::Oauth, description) }
    }

    /// The same in a shape drawn by chance, where it has none of its own.
    #[must_use]
    pub(crate) fn mixed(mut self, chance: u64) -> Self {
        if MIXED.contains(&self.shape) {
            let drawn = usize::try_from(mix(chance) % 6).unwrap_or_default();
            self.shape = MIXED.get(drawn).copied().unwrap_or(self.shape);
        }
        self
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let ApiError { status, shape, name, message } = error;
        let told = if name.is_empty() { message.clone() } else { format!("{name}: {message}") };
        let body = match shape {
            Shape::ResultCode => Body::Json(json!({"resultCode": status, "errorMessage": message})),
            Shape::Exception => Body::Json(exception(&message)),
            Shape::Message => Body::Json(json!({ "Message": message })),
            Shape::LowerMessage => Body::Json(json!({ "message": message })),
            Shape::Oauth => Body::Json(json!({"error": name, "error_description": message,
                "error_uri": "https://documentation.openiddict.com/errors/ID2055"})),
            Shape::ModelState => Body::Json(json!({ name: [message] })),
            Shape::Quoted => Body::Json(json!(message)),
            Shape::Text => Body::Text(message),
            Shape::Empty => Body::Empty,
            Shape::Page => Body::Page(if message.is_empty() { reason(status).to_owned() } else { message }),
        };
        Self { status, body, error: (!told.is_empty()).then_some(told), ..Self::default() }
    }
}

/// An exception as .NET writes it.
fn exception(message: &str) -> Value {
    json!({
        "ClassName": "System.Exception", "Message": message, "Data": null, "InnerException": null, "HelpURL": null, "StackTraceString": null,
        "RemoteStackTraceString": null, "RemoteStackIndex": 0, "ExceptionMethod": null, "HResult": -2_146_233_088_i64, "Source": null,
        "WatsonBuckets": null,
    })
}

/// A page as a hosting front door or a crash gives it: much of it, and little said.
fn page(title: &str) -> String {
    let head = format!("<!DOCTYPE html><html><head><title>{title}</title><style>");
    let tail = format!("</style></head><body><h1>{title}</h1><br></body></html>");
    let rule = ".halo-0 { color: #37474f; background: #eceff1; }\n";
    let count = PAGE_BYTES.saturating_sub(head.len() + tail.len()) / rule.len() + 1;
    format!("{head}{}{tail}", rule.repeat(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_shapes() {
        let shown = |error: ApiError| String::from_utf8(Reply::from(error).into_response().body).unwrap_or_default();
        assert_eq!(shown(ApiError::misfit("[0].site_id", "no")), r#"{"[0].site_id":["no"]}"#);
        assert_eq!(shown(ApiError::new(500, Shape::ResultCode, "no")), r#"{"errorMessage":"no","resultCode":500}"#);
        assert_eq!(shown(ApiError::new(400, Shape::Quoted, "no")), r#""no""#);
        assert_eq!(shown(ApiError::missing()), "");
        assert!(shown(ApiError::new(500, Shape::Page, "")).len() >= PAGE_BYTES);
        assert!((0..100).all(|chance| shown(ApiError::refused("no way").mixed(chance)).contains("no way")));
        assert_eq!(ApiError::misfit("a", "b").mixed(1), ApiError::misfit("a", "b"));
    }
}
