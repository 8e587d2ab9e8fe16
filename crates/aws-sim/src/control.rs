//! Driving the simulator over HTTP, for programs in other processes: everything below `/_sim/`, without a signature.

use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    fault::{Fault, Script},
    http::{Outcome, Request, Response},
    server::{Server, whole},
    settings::Settings,
    world::{Change, Spec, World},
};

/// The body of `POST /_sim/advance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

/// Answers a request, AWS's or our own.
pub(crate) fn answer(server: &Server, request: &Request) -> Outcome {
    match request.path.strip_prefix("/_sim/") {
        Some(path) => whole(control(server, request, path).unwrap_or_else(|response| response)),
        None => server.answer(request),
    }
}

fn control(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "health") => {}
        ("GET", "calls") => return json(&server.state().calls),
        ("DELETE", "calls") => server.state().calls.clear(),
        ("GET", "faults") => return json(&server.state().script.faults()),
        ("PUT", "faults") => {
            let faults: Vec<Fault> = read(request)?;
            server.state().script = Script::new(faults);
        }
        ("DELETE", "faults") => server.state().script = Script::default(),
        ("GET", "world") => return json(&*server.state().world),
        ("PUT", "world") => {
            let world: World = read(request)?;
            server.state().edit(|old, _| *old = world);
        }
        ("POST", "generate") => {
            let spec: Spec = read(request)?;
            server.state().edit(|world, _| world.add(&spec));
        }
        ("POST", "changes") => {
            let changes: Vec<Change> = read(request)?;
            let made = server.state().edit(|world, now| changes.iter().try_for_each(|change| world.apply(change, now)));
            made.map_err(|error| refuse(404, &error.to_string()))?;
        }
        ("GET", "settings") => return json(&server.state().settings),
        ("PUT", "settings") => {
            let settings: Settings = read(request)?;
            server.state().settings = settings;
        }
        ("POST", "advance") => {
            let Advance { seconds } = read(request)?;
            server.state().clock.advance(SignedDuration::from_secs(seconds));
        }
        ("POST", "expire-sessions") => server.state().sessions.expire(),
        _ => return Err(refuse(404, "no such control; see the crate's documentation")),
    }
    Ok(Response { status: 204, ..Response::default() })
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    serde_json::from_slice(&request.body).map_err(|error| refuse(400, &error.to_string()))
}

fn json(value: &impl serde::Serialize) -> Result<Response, Response> {
    let body = serde_json::to_vec(value).map_err(|error| refuse(500, &error.to_string()))?;
    Ok(Response { status: 200, headers: vec![("Content-Type", "application/json".to_owned())], body })
}

fn refuse(status: u16, why: &str) -> Response {
    let body = serde_json::json!({ "error": why }).to_string().into_bytes();
    Response { status, headers: vec![("Content-Type", "application/json".to_owned())], body }
}
