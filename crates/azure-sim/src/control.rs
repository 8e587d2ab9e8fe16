//! Driving the world over HTTP: what is below `/_sim/` beside what all simulators have.

use dewpoint_sim_kit::{
    Request, Response,
    control::{done, json, read, refuse, unknown},
};

use crate::{
    server::Server,
    world::{Change, Spec, World},
};

/// Answers a request.
pub(crate) fn answer(server: &Server, request: &Request, path: &str) -> Result<Response, Response> {
    match (request.method.as_str(), path) {
        ("GET", "world") => {
            let world = server.state().estate.world();
            return json(&*world);
        }
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
        ("POST", "expire-tokens") => server.state().expire_tokens(),
        _ => return unknown(),
    }
    done()
}
