//! Driving a simulator over HTTP, for programs in other processes: everything below `/_sim/`, without credentials.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    fault::Script,
    message::{Outcome, Request, Response},
    product::Product,
};

/// The body of `POST /_sim/advance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

/// Answers a request, the product's or our own.
pub(crate) async fn answer<P: Product>(product: &P, authority: Option<&str>, request: Request) -> Outcome {
    match request.path.strip_prefix("/_sim/") {
        Some(path) => Outcome::whole(control(product, authority, &request, path).unwrap_or_else(|response| response)),
        None => product.answer(request).await,
    }
}

fn control<P: Product>(product: &P, authority: Option<&str>, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "health") => done(),
        ("GET", "calls") => product.common(|common| json(&common.log.calls)),
        ("DELETE", "calls") => {
            product.common(|common| common.log.clear());
            done()
        }
        ("GET", "counters") => product.common(|common| json(&common.log.sums)),
        ("GET", "faults") => json(&product.common(|common| common.script.rules())),
        ("PUT", "faults") => {
            let faults = read(request)?;
            product.common(|common| common.script = Script::new(faults));
            done()
        }
        ("DELETE", "faults") => {
            product.common(|common| common.script = Script::default());
            done()
        }
        ("GET", "settings") => product.common(|common| json(&common.settings)),
        ("PUT", "settings") => {
            let settings = read(request)?;
            product.common(|common| common.settings = settings);
            done()
        }
        ("POST", "advance") => {
            let Advance { seconds } = read(request)?;
            product.common(|common| common.clock.advance(SignedDuration::from_secs(seconds)));
            done()
        }
        ("GET", "certificate") => {
            let pem = authority.ok_or_else(|| refuse(404, "it does not speak TLS"))?;
            Ok(Response::of(200, "application/x-pem-file", pem))
        }
        _ => product.control(request, path),
    }
}

/// Reads a request's body.
///
/// # Errors
/// 400 when it is not what is expected, with the reason.
pub fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    serde_json::from_slice(&request.body).map_err(|error| refuse(400, &error.to_string()))
}

/// Answers with a value.
///
/// # Errors
/// 500 when it cannot be written as JSON.
pub fn json(value: &impl Serialize) -> Result<Response, Response> {
    Response::json(200, value).map_err(|error| refuse(500, &error.to_string()))
}

/// A refusal, with its reason.
pub fn refuse(status: u16, why: &str) -> Response {
    Response::of(status, "application/json", serde_json::json!({ "error": why }).to_string())
}

/// 204: what was to be done is done.
///
/// # Errors
/// None.
pub fn done() -> Result<Response, Response> {
    Ok(Response::new(204))
}

/// 404: there is no such control.
///
/// # Errors
/// Always.
pub fn unknown() -> Result<Response, Response> {
    Err(refuse(404, "no such control; see the crate's documentation"))
}
