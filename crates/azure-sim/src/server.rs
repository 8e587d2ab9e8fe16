//! From a request to its answer: who calls, is the call struck by a limit or a fault, and what it asks for.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dewpoint_sim_kit::{
    Common, Outcome, Past, Product, Request, Response,
    clock::{self, http_date},
    hash::mix,
};
use jiff::Timestamp;

use crate::{
    access::Caller,
    arm,
    calls::CallRecord,
    control,
    entra::{self, Keys, TokenError},
    error::ApiError,
    fault::{Effect, Fault, Target},
    ids,
    index::Index,
    query::{Query, decode_path},
    rates::{Levels, Limit, Verdict},
    route::Route,
    settings::Settings,
    versions,
    world::World,
};

/// The longest path with query that the front door takes.
const URI_BYTES_MAX: usize = 8 * 1024;

/// A world, and the links in it, made when they are first asked for.
#[derive(Clone, Debug)]
pub(crate) struct Estate(Arc<(Arc<World>, OnceLock<Index>)>);

impl Estate {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new((Arc::new(world), OnceLock::new())))
    }

    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.0.0)
    }

    pub(crate) fn look(&self) -> (&World, &Index) {
        (&self.0.0, self.0.1.get_or_init(|| Index::of(&self.0.0)))
    }
}

/// Everything that changes while the simulator runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) estate: Estate,
    /// What Resource Graph shows while it lags.
    past: Past<Estate>,
    pub(crate) common: Common<Server>,
    pub(crate) levels: Levels,
    /// Access tokens of an older generation are not taken.
    generation: u64,
    requests_count: u64,
}

impl State {
    fn new(world: World, common: Common<Server>) -> Self {
        Self { estate: Estate::new(world), past: Past::default(), common, levels: Levels::default(), generation: 0, requests_count: 0 }
    }

    /// Changes the world; with a lag its old state stays in Resource Graph's sight for a while.
    pub(crate) fn edit<T>(&mut self, change: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let now = self.common.clock.now();
        self.past.keep(&self.estate, now, self.common.settings.graph_lag_s);
        let mut world = (*self.estate.world()).clone();
        let result = change(&mut world, now);
        self.estate = Estate::new(world);
        result
    }

    /// The estate that Resource Graph shows, and when it was so.
    pub(crate) fn graph_estate(&self) -> (Estate, Timestamp) {
        let (now, lag_s) = (self.common.clock.now(), self.common.settings.graph_lag_s);
        (self.past.seen(&self.estate, now, lag_s), clock::later(now, -clock::seconds(lag_s)))
    }

    pub(crate) fn expire_tokens(&mut self) {
        self.generation += 1;
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys { seed: self.common.settings.seed, generation: self.generation, tenant: self.estate.look().0.tenant.clone() }
    }

    /// An access token of an application.
    pub(crate) fn token(&self, client: &str, audience: &str) -> String {
        let object = self.estate.look().0.applications.get(&client.to_ascii_lowercase()).map(|found| found.object_id.clone());
        let now = self.common.clock.moving_now();
        self.keys().issue(client, &object.unwrap_or_default(), audience, now, self.common.settings.token_life_s)
    }
}

/// The simulator behind its socket.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
    tls: bool,
}

/// What a call brings, whatever it asks for.
pub(crate) struct Incoming<'a> {
    pub(crate) request: &'a Request,
    /// As `https://127.0.0.1:4443`, as the caller has it.
    pub(crate) base: String,
    pub(crate) record: &'a mut CallRecord,
}

impl Server {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while it holds the lock has failed already; the others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scheme and host that the caller used.
    fn base(&self, request: &Request) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", request.header("host").unwrap_or("localhost"))
    }

    fn answer_call(&self, request: &Request) -> Outcome {
        let (now, server_time, request_id) = {
            let mut state = self.state();
            state.requests_count += 1;
            let id = ids::guid(&["request", &mix(state.common.settings.seed ^ state.requests_count).to_string()]);
            (state.common.clock.now(), state.common.clock.moving_now(), id)
        };
        let mut record = CallRecord {
            at: now,
            method: request.method.clone(),
            operation: "unknown".to_owned(),
            path: request.path.clone(),
            query: request.query.clone(),
            page: 1,
            has_token: request.header("authorization").is_some(),
            client_request_id: request.header("x-ms-client-request-id").map(str::to_owned),
            ..CallRecord::default()
        };
        let mut incoming = Incoming { request, base: self.base(request), record: &mut record };
        let mut outcome = if request.path.len() + request.query.len() > URI_BYTES_MAX {
            Outcome::whole(Response::page(404, "404 - File or directory not found."))
        } else {
            match entra::answer(self, &mut incoming) {
                Some(outcome) => outcome,
                None => self.answer_manager(&mut incoming),
            }
        };
        record.status = outcome.response.status;
        self.state().common.log.add(record);
        let headers = &mut outcome.response.headers;
        headers.push(("Date".to_owned(), http_date(server_time)));
        headers.push(("x-ms-request-id".to_owned(), request_id.clone()));
        headers.push(("x-ms-correlation-request-id".to_owned(), request_id.clone()));
        headers.push(("x-ms-routing-request-id".to_owned(), format!("WESTEUROPE:{request_id}")));
        headers.push(("Strict-Transport-Security".to_owned(), "max-age=31536000; includeSubDomains".to_owned()));
        outcome
    }

    fn answer_manager(&self, incoming: &mut Incoming<'_>) -> Outcome {
        match self.try_manager(incoming) {
            Ok(outcome) => outcome,
            Err(error) => {
                incoming.record.error = Some(error.code.clone());
                Outcome::whole(error.response())
            }
        }
    }

    fn try_manager(&self, incoming: &mut Incoming<'_>) -> Result<Outcome, ApiError> {
        let request = incoming.request;
        let path = decode_path(&request.path).ok_or_else(|| ApiError::new(400, "BadRequest", "The request URI is not well formed."))?;
        let route = Route::of(path.trim_end_matches('/'));
        if let Some(route) = &route {
            incoming.record.operation = route.operation();
            incoming.record.subscription = route.subscription().unwrap_or_default().to_ascii_lowercase();
        }
        if path.eq_ignore_ascii_case("/metadata/endpoints") {
            incoming.record.operation = "endpoints".to_owned();
            let audiences = self.state().common.settings.audiences.clone();
            return Ok(Outcome::whole(entra::endpoints(&incoming.base, &audiences)));
        }
        let caller = self.let_in(incoming)?;
        incoming.record.client.clone_from(&caller.client);
        let query = Query::parse(&request.query)?;
        let Some(route) = route else {
            versions::given(query.get("api-version"))?;
            return Err(ApiError::no_such_path(&path));
        };
        let (settings, now, verdict, effect, estate) = {
            let mut state = self.state();
            let state = &mut *state;
            let settings = state.common.settings.clone();
            let now = state.common.clock.now();
            versions::check(&route, query.get("api-version"), settings.newest_version.as_deref())?;
            let wanted = if matches!(route, Route::Graph) { "POST" } else { "GET" };
            if request.method != wanted {
                let message = format!("The requested resource does not support http method '{}'.", request.method);
                return Err(ApiError::new(405, "HttpMethodNotAllowed", message).header("Allow", wanted));
            }
            let estate = state.estate.clone();
            incoming.record.page = arm::page_of(&route, &query, &caller, request);
            let verdict = state.levels.count(&settings.rates, &caller.client, &route, now);
            // What is asked of the index stands in the body.
            let asked = matches!(route, Route::Graph).then(|| String::from_utf8_lossy(&request.body));
            let target = Target {
                operation: &incoming.record.operation,
                subscription: &incoming.record.subscription,
                path: &request.path,
                query: asked.as_deref().unwrap_or(&request.query),
                page: incoming.record.page,
            };
            // A call that is refused here was not met by any fault.
            let fault = if verdict.refusal.is_none() { state.common.script.strike(&target, now, settings.seed) } else { None };
            (settings, now, verdict, fault.map(|fault| fault.effect), estate)
        };
        if let Some((limit, wait)) = verdict.refusal {
            let wait = (!settings.rates.no_retry_after).then_some(wait);
            return Err(with_headers(throttled(limit, wait, now), &verdict));
        }
        if let Some(effect) = &effect
            && let Some(error) = refusal(effect, &caller, &route, now)
        {
            return Err(with_headers(error, &verdict));
        }
        let mishap = match &effect {
            Some(Effect::Mishap(mishap)) => Some(mishap),
            _ => None,
        };
        if let Some(mishap) = mishap.filter(|mishap| mishap.replaces()) {
            return Ok(mishap.befall(Response::new(200)));
        }
        let (world, index) = estate.look();
        let call = arm::Call {
            server: self,
            request,
            world,
            index,
            settings: &settings,
            caller: &caller,
            query: &query,
            base: &incoming.base,
            effect: effect.as_ref(),
        };
        let mut response = call.answer(&route).map_err(|error| with_headers(error, &verdict))?;
        response.headers.extend(verdict.headers);
        Ok(match mishap {
            Some(mishap) => mishap.befall(response),
            None => Outcome::whole(response),
        })
    }

    /// Who makes the call.
    fn let_in(&self, incoming: &Incoming<'_>) -> Result<Caller, ApiError> {
        let state = self.state();
        let (world, _) = state.estate.look();
        let challenge = format!(
            "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"The access token is missing, expired or not for this resource.\"",
            incoming.base, world.tenant
        );
        let refuse = |code: &str, message: &str| Err(ApiError::new(401, code, message).header("WWW-Authenticate", challenge.clone()));
        let Some(header) = incoming.request.header("authorization") else {
            return refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.");
        };
        let Some(token) = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer ")) else {
            return refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is provided in an invalid format.");
        };
        let claims = match state.keys().read(token, state.common.clock.moving_now()) {
            Ok(claims) => claims,
            Err(TokenError::Invalid) => return refuse("InvalidAuthenticationToken", "The access token is invalid."),
            Err(TokenError::Expired) => {
                return refuse("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time.");
            }
        };
        if !state.common.settings.audiences.contains(&claims.audience) {
            let message = format!(
                "The access token has been obtained for wrong audience or resource '{}'. It should exactly match with one of the allowed audiences '{}'.",
                claims.audience,
                state.common.settings.audiences.join("','")
            );
            return refuse("InvalidAuthenticationTokenAudience", &message);
        }
        match world.applications.get(&claims.client) {
            Some(application) => Ok(Caller { client: claims.client, application: application.clone() }),
            None => refuse("InvalidAuthenticationToken", "The access token is from an unknown principal."),
        }
    }
}

impl Product for Server {
    const NAME: &'static str = "azure-sim";
    /// Azure's clients send no token without.
    const TLS: bool = true;
    type World = World;
    type Fault = Fault;
    type Call = CallRecord;
    type Settings = Settings;

    fn new(world: World, common: Common<Self>, tls: bool) -> Self {
        Self { state: Mutex::new(State::new(world, common)), tls }
    }

    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T {
        look(&mut self.state().common)
    }

    async fn answer(&self, request: Request) -> Outcome {
        self.answer_call(&request)
    }

    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        control::answer(self, request, path)
    }
}

/// The error with the headers of its call, where it has none of its own.
fn with_headers(mut error: ApiError, verdict: &Verdict) -> ApiError {
    let own: Vec<String> = error.headers.iter().map(|(name, _)| name.clone()).collect();
    error.headers.extend(verdict.headers.iter().filter(|(name, _)| !own.contains(name)).cloned());
    error
}

/// 429 of whoever refuses.
fn throttled(limit: Limit, wait: Option<u64>, now: Timestamp) -> ApiError {
    let for_how_long = wait.map_or_else(String::new, |wait| format!(" Please try again after '{wait}' seconds."));
    let error = match limit {
        Limit::Manager => ApiError::new(
            429,
            "SubscriptionRequestsThrottled",
            format!("Number of requests for subscription exceeded the limit.{for_how_long}"),
        ),
        Limit::Graph => ApiError::new(429, "RateLimiting", "Please provide below info when asking for support: too many queries."),
        Limit::Provider => {
            let end = dewpoint_sim_kit::clock::later(now, clock::seconds(wait.unwrap_or(180)));
            let counted = serde_json::json!({
                "operationGroup": "HighCostGet",
                "startTime": crate::render::time(now),
                "endTime": crate::render::time(end),
                "allowedRequestCount": 300,
                "measuredRequestCount": 341,
            });
            let message = "The server rejected the request because too many requests have been received for this subscription.";
            ApiError::new(429, "OperationNotAllowed", message)
                .detail("TooManyRequests", &counted.to_string())
                .header("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/HighCostGet3Min;0,Microsoft.Compute/HighCostGet30Min;0")
        }
    };
    match wait {
        Some(wait) => error.header("Retry-After", wait.to_string()),
        None => error,
    }
}

/// The error that a fault puts in the answer's place.
fn refusal(effect: &Effect, caller: &Caller, route: &Route, now: Timestamp) -> Option<ApiError> {
    match effect {
        Effect::Deny => {
            let scope = route.subscription().map_or_else(|| "/".to_owned(), |id| format!("/subscriptions/{id}"));
            Some(caller.denied(&arm::action(route), &scope))
        }
        Effect::Throttle { retry_after_s, compute } => {
            Some(throttled(if *compute { Limit::Provider } else { Limit::Manager }, *retry_after_s, now))
        }
        Effect::ExpiredToken => Some(
            ApiError::new(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time.")
                .header("WWW-Authenticate", "Bearer authorization_uri=\"https://login.microsoftonline.com/\", error=\"invalid_token\""),
        ),
        Effect::ProviderError => {
            Some(ApiError::new(502, "ProviderError", "Resource provider 'Microsoft.Compute' failed to return collection response."))
        }
        Effect::Error { status, code, message } => Some(ApiError::new(*status, code, message)),
        _ => None,
    }
}
