//! The Batch API: several requests in one, served one after the other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_sim_kit::{Request, Response, reason};
use serde_json::{Value, json};

use crate::reply::ApiError;

/// The largest body of one request in a batch, unless the instance's property says otherwise.
pub(crate) const INPUT_BYTES_MAX: usize = 5 * 1024 * 1024;
/// The property, and the most it can be.
pub(crate) const INPUT_PROPERTY: &str = "glide.rest.batch.max.inputSize";
/// The most the property can be.
pub(crate) const INPUT_BYTES_CEILING: usize = 10 * 1024 * 1024;

/// One request of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) request: Request,
    pub(crate) wants_headers: bool,
}

/// Reads a batch.
pub(crate) fn parse(body: &[u8]) -> Result<(String, Vec<Part>), ApiError> {
    let bad = |why: &str| ApiError::new(400, "Invalid batch request", Some(why));
    let body: Value = serde_json::from_slice(body).map_err(|_| ApiError::bad_body())?;
    let id = body
        .get("batch_request_id")
        .and_then(crate::table::value::text)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| bad("no batch_request_id"))?;
    let parts = body.get("rest_requests").and_then(Value::as_array).ok_or_else(|| bad("no rest_requests"))?;
    let parts = parts.iter().map(part).collect::<Option<Vec<_>>>().ok_or_else(|| bad("a request without id, method or url"))?;
    Ok((id, parts))
}

fn part(value: &Value) -> Option<Part> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (path, query) = text("url").map(|url| url.split_once('?').unwrap_or((url, "")))?;
    let headers = value.get("headers").and_then(Value::as_array).into_iter().flatten();
    let headers = headers
        .filter_map(|header| {
            let name = header.get("name")?.as_str()?.to_ascii_lowercase();
            Some((name, header.get("value")?.as_str()?.to_owned()))
        })
        .collect();
    let body = match text("body") {
        None | Some("") => Vec::new(),
        Some(body) => STANDARD.decode(body).ok()?,
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let request = Request { method: text("method")?.to_ascii_uppercase(), path, query: query.to_owned(), headers, body };
    let id = value.get("id").and_then(crate::table::value::text)?;
    Some(Part { id, request, wants_headers: value.get("exclude_response_headers") != Some(&json!(true)) })
}

/// One answer of a batch.
pub(crate) fn serviced(part: &Part, response: &Response, ms: u64) -> Value {
    let headers: Vec<Value> = response.headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "id": part.id,
        "status_code": response.status,
        "status_text": reason(response.status),
        "headers": if part.wants_headers { headers } else { Vec::new() },
        "body": STANDARD.encode(&response.body),
        "execution_time": ms,
        "error_message": "",
        "redirect_url": "",
    })
}
