//! From a request to its answer: the front door, the rate limit, who calls, whether a fault strikes, may they, and what the interface says.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dewpoint_sim_kit::{Common, Outcome, Product, Request, Response, clock::http_date, hash::mix, part};
use serde_json::{Value, json};

use crate::{
    assets,
    auth::{self, Caller, Need, Tokens},
    call::{Call, Notes},
    configuration, control,
    fault::{Effect, Fault, Target},
    log::CallRecord,
    meta, people, post,
    query::{self, Params},
    reply::{ApiError, Body, Reply, Shape},
    route::{Entity, Route},
    settings::{Settings, Throttle},
    tenant::Tenant,
    throttle::{self, Window},
};

/// Everything that changes while the simulator runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tenant: Tenant,
    pub(crate) tokens: Tokens,
    common: Common<Server>,
    window: Window,
    requests_count: u64,
}

/// The simulator behind its socket.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
    is_tls: bool,
}

/// A request on its way.
struct Asked<'a> {
    request: &'a Request,
    route: Route,
    operation: String,
    params: Params,
    base_url: String,
    chance: u64,
}

impl Server {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while it holds the lock has failed already; the others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, request: &Request) -> Outcome {
        let mut state = self.state();
        state.requests_count += 1;
        let route = Route::of(&request.path);
        let scheme = if self.is_tls { "https" } else { "http" };
        let asked = Asked {
            request,
            operation: route.operation(&request.method),
            route,
            params: Params::parse(&request.query).without(&state.common.settings.ignored_parameters),
            base_url: format!("{scheme}://{}", request.header("host").unwrap_or("localhost")),
            chance: mix(state.common.settings.seed ^ mix(state.requests_count)),
        };
        let now = state.common.clock.now();
        let mut record = CallRecord {
            at: now,
            method: request.method.clone(),
            operation: asked.operation.clone(),
            path: if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) },
            ..CallRecord::default()
        };
        let mut outcome = state.tell(&asked, &mut record);
        record.status = outcome.response.status;
        outcome.response.headers.push(("Date".to_owned(), http_date(now)));
        state.common.log.add(record);
        outcome
    }
}

impl State {
    fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// Changes the tenant; what people do is done now.
    pub(crate) fn edit<T>(&mut self, change: impl FnOnce(&mut Tenant) -> T) -> T {
        self.tenant.now = self.common.clock.now();
        change(&mut self.tenant)
    }

    fn tell(&mut self, asked: &Asked<'_>, record: &mut CallRecord) -> Outcome {
        let caller = match self.let_in(asked) {
            Ok(caller) => caller,
            Err(reply) => return whole(*reply, record),
        };
        if let Some(caller) = &caller {
            record.client.clone_from(&caller.application.client_id);
        }
        let request = asked.request;
        let target = Target {
            operation: &asked.operation,
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
        };
        let (now, seed) = (self.common.clock.now(), self.settings().seed);
        let fault = self.common.script.strike(&target, now, seed);
        record.fault = fault.as_ref().map(|fault| fault.effect.name());
        let Some(fault) = fault else {
            let reply = self.serve(asked, caller.as_ref(), record);
            return whole(reply, record);
        };
        let served = (fault.after_commit || !fault.effect.replaces()).then(|| self.serve(asked, caller.as_ref(), record));
        if let (Effect::ExpiredToken, Some(caller)) = (&fault.effect, &caller) {
            self.tokens.revoke(&caller.token);
        }
        match &fault.effect {
            Effect::Mishap(mishap) => {
                let mut reply = served.unwrap_or_default();
                record.error = reply.error.take();
                mishap.befall(reply.into_response())
            }
            effect => {
                let mut reply = self.instead(effect).or(served).unwrap_or_default();
                maim(effect, &mut reply);
                whole(reply, record)
            }
        }
    }

    /// The answer of a fault that has one of its own.
    fn instead(&self, effect: &Effect) -> Option<Reply> {
        Some(match effect {
            Effect::Throttle { retry_after_s } => {
                let usual = Throttle { requests: 300, window_s: 300 };
                throttle::refusal(self.settings().throttle.unwrap_or(usual), *retry_after_s)
            }
            Effect::ExpiredToken => ApiError::unauthenticated().into(),
            Effect::Forbidden => ApiError::forbidden().into(),
            Effect::Error { status, shape, message } => {
                let name = match shape {
                    Shape::ModelState => "[0]",
                    Shape::Oauth => "server_error",
                    _ => "",
                };
                ApiError { name: name.to_owned(), ..ApiError::new(*status, *shape, message.clone()) }.into()
            }
            _ => return None,
        })
    }

    /// The front door, the rate limit and the token. Nobody is needed to ask for a token, and where to ask for one.
    fn let_in(&mut self, asked: &Asked<'_>) -> Result<Option<Caller>, Box<Reply>> {
        let now = self.common.clock.now();
        let refuse = |error: ApiError| Box::new(Reply::from(error));
        if self.settings().user_agent_required && asked.request.header("user-agent").is_none_or(str::is_empty) {
            return Err(refuse(ApiError::new(403, Shape::Page, "403 Forbidden")));
        }
        if asked.route == Route::Elsewhere {
            return Err(refuse(ApiError::new(404, Shape::Page, "404 Not Found")));
        }
        self.window.count(&self.common.settings, now, asked.chance)?;
        if matches!(asked.route, Route::Token | Route::AuthInfo) {
            return Ok(None);
        }
        auth::let_in(&self.tenant, &self.tokens, asked.request, now).map(Some).map_err(refuse)
    }

    fn serve(&mut self, asked: &Asked<'_>, caller: Option<&Caller>, record: &mut CallRecord) -> Reply {
        let mut notes = Notes::default();
        let served = match caller {
            None if asked.route == Route::Token => self.token(asked, record),
            None => Ok(meta::auth_info(&self.tenant, &asked.base_url)),
            Some(caller) => self.dispatch(asked, caller, &mut notes),
        };
        record.elements = notes.elements;
        record.ids = notes.ids;
        record.unknown_properties = notes.unknown_properties;
        served.unwrap_or_else(|error| {
            let error = if self.settings().mixed_errors { error.mixed(asked.chance) } else { error };
            error.into()
        })
    }

    fn token(&mut self, asked: &Asked<'_>, record: &mut CallRecord) -> Result<Reply, ApiError> {
        let now = self.common.clock.now();
        let (client, reply) = auth::token(&self.tenant, &mut self.tokens, &self.common.settings, asked.request, now)?;
        record.client = client;
        Ok(reply)
    }

    fn dispatch(&mut self, asked: &Asked<'_>, caller: &Caller, notes: &mut Notes) -> Result<Reply, ApiError> {
        let method = asked.request.method.as_str();
        self.tenant.now = self.common.clock.now();
        let mut call = Call {
            tenant: &mut self.tenant,
            settings: &self.common.settings,
            caller,
            params: &asked.params,
            body: &asked.request.body,
            chance: asked.chance,
            notes,
        };
        if method == "POST" && !asked.request.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json")) {
            return Err(ApiError::new(415, Shape::Message, "The request entity's media type is not supported for this resource."));
        }
        match (&asked.route, method) {
            (Route::InstanceInfo, "GET") => Ok(meta::instance_info(call.tenant, &asked.base_url)),
            (Route::Swagger, "GET") => Ok(meta::swagger(call.tenant)),
            (Route::AgentMe, "GET") => Ok(people::me(&call)),
            (Route::NextTag, "GET") => caller.check(Need::ReadAssets).map(|()| assets::next_tag(&call)),
            (Route::Many(entity), "GET") => {
                caller.check(reading(*entity))?;
                many(&call, *entity)
            }
            (Route::One(entity, id), "GET") => {
                caller.check(reading(*entity))?;
                let id = query::id(id)?;
                match entity {
                    Entity::Asset => assets::get(&call, id),
                    Entity::Agent | Entity::Team | Entity::Users => people::get(&call, *entity, id),
                    _ => configuration::get(&call, *entity, id),
                }
            }
            (Route::Many(entity), "POST") => {
                caller.check(writing(*entity)?)?;
                if *entity == Entity::Asset { post::answer(&mut call) } else { configuration::post(&mut call, *entity) }
            }
            (Route::One(entity, id), "DELETE") => {
                caller.check(if *entity == Entity::Asset { Need::DeleteAssets } else { writing(*entity)? })?;
                let id = query::id(id)?;
                if *entity == Entity::Asset { assets::delete(&mut call, id) } else { configuration::delete(&mut call, *entity, id) }
            }
            (Route::Unknown, _) => Err(ApiError::missing()),
            _ => Err(not_here()),
        }
    }
}

fn many(call: &Call<'_>, entity: Entity) -> Result<Reply, ApiError> {
    match entity {
        Entity::Asset => assets::list(call),
        Entity::AssetChange => assets::changes(call),
        Entity::Agent | Entity::Team | Entity::Users => people::list(call, entity),
        _ => configuration::list(call, entity),
    }
}

fn reading(entity: Entity) -> Need {
    match entity {
        Entity::Asset | Entity::AssetChange | Entity::AssetType | Entity::AssetGroup | Entity::Field | Entity::FieldInfo => {
            Need::ReadAssets
        }
        Entity::Client | Entity::Site | Entity::Users => Need::ReadCustomers,
        Entity::Status | Entity::Agent | Entity::Team => Need::ReadAll,
        Entity::Lookup => Need::Token,
    }
}

fn writing(entity: Entity) -> Result<Need, ApiError> {
    match entity {
        Entity::Asset => Ok(Need::EditAssets),
        Entity::AssetType | Entity::AssetGroup | Entity::Field | Entity::FieldInfo | Entity::Status | Entity::Lookup => Ok(Need::Configure),
        Entity::Client | Entity::Site => Ok(Need::EditCustomers),
        Entity::AssetChange | Entity::Users | Entity::Agent | Entity::Team => Err(not_here()),
    }
}

fn not_here() -> ApiError {
    ApiError::new(405, Shape::Message, "The requested resource does not support this HTTP method.")
}

fn whole(mut reply: Reply, record: &mut CallRecord) -> Outcome {
    record.error = reply.error.take();
    Outcome::whole(reply.into_response())
}

/// What a fault does to a list.
fn maim(effect: &Effect, reply: &mut Reply) {
    let Body::Json(body) = &mut reply.body else { return };
    if let (Effect::WrongCount { count }, Some(body)) = (effect, body.as_object_mut()) {
        body.insert("record_count".to_owned(), json!(count));
    }
    let is_empty = matches!(effect, Effect::EmptyList);
    if let (true, Some(body)) = (is_empty, body.as_object_mut().filter(|body| body.contains_key("record_count"))) {
        body.insert("record_count".to_owned(), json!(0));
    }
    let rows = match body {
        Value::Array(rows) => Some(rows),
        Value::Object(body) if body.contains_key("record_count") => body.values_mut().find_map(Value::as_array_mut),
        _ => None,
    };
    match (effect, rows) {
        (Effect::EmptyList, Some(rows)) => rows.clear(),
        (Effect::MissRows { share }, Some(rows)) => rows.truncate(part(rows.len(), *share)),
        _ => {}
    }
}

impl Product for Server {
    const NAME: &'static str = "halo-sim";
    type World = Tenant;
    type Fault = Fault;
    type Call = CallRecord;
    type Settings = Settings;

    fn new(tenant: Tenant, common: Common<Self>, is_tls: bool) -> Self {
        let (tokens, window) = (Tokens::default(), Window::default());
        Self { state: Mutex::new(State { tenant, tokens, common, window, requests_count: 0 }), is_tls }
    }

    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T {
        look(&mut self.state().common)
    }

    async fn answer(&self, request: Request) -> Outcome {
        self.exchange(&request)
    }

    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        control::answer(self, request, path)
    }
}
