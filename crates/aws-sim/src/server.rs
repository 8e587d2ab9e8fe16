//! From a request to its answer: who calls, may they, is the call struck by a fault, and what the action says.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use dewpoint_sim_kit::{
    Common, Outcome, Past, Product, Request, Response,
    clock::{self, http_date},
    hash::{keyed, mix},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    autoscaling,
    call::{Call, Handler},
    calls::CallRecord,
    control, ec2, elb, elbv2,
    error::ApiError,
    fault::{Effect, Fault, Target},
    organizations,
    page::{Cursor, Tokens},
    params::{self, Params},
    rates::{Levels, Place},
    service::Service,
    settings::Settings,
    sigv4::{Authorization, Verdict},
    sts::{self, Caller, Sessions},
    world::{OptIn, Region, World},
};

static EMPTY_REGION: LazyLock<Region> = LazyLock::new(Region::default);

/// Parameters that say which page, not what is listed.
const PAGING: [&str; 7] = ["NextToken", "Marker", "MaxResults", "MaxRecords", "PageSize", "Action", "Version"];

/// Everything that changes while the simulator runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: Arc<World>,
    past: Past<Arc<World>>,
    pub(crate) common: Common<Server>,
    pub(crate) sessions: Sessions,
    pub(crate) levels: Levels,
    requests_count: u64,
}

impl State {
    fn new(mut world: World, common: Common<Server>) -> Self {
        world.complete();
        Self {
            world: Arc::new(world),
            past: Past::default(),
            common,
            sessions: Sessions::default(),
            levels: Levels::default(),
            requests_count: 0,
        }
    }

    /// Changes the world; with a lag its old state stays in sight for a while.
    pub(crate) fn edit<T>(&mut self, change: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let now = self.common.clock.now();
        self.past.keep(&self.world, now, self.common.settings.lag_s);
        let world = Arc::make_mut(&mut self.world);
        let result = change(world, now);
        world.complete();
        result
    }

    /// The world that services with a lag show.
    fn visible(&self, now: Timestamp) -> Arc<World> {
        self.past.seen(&self.world, now, self.common.settings.lag_s)
    }
}

/// The simulator behind its socket.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
}

/// A request that is understood: what it asks of whom.
struct Asked {
    service: Service,
    region: String,
    action: String,
    parameters: BTreeMap<String, String>,
}

impl Server {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while it holds the lock has failed already; the others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call of AWS's.
    pub(crate) fn answer_call(&self, request: &Request) -> Outcome {
        let (request_id, ahead) = {
            let mut state = self.state();
            state.requests_count += 1;
            (request_id(state.common.settings.seed, state.requests_count), SignedDuration::from_secs(state.common.settings.clock_ahead_s))
        };
        let server_time = clock::later(clock::wall(), ahead);
        let mut outcome = match understand(request) {
            Ok((authorization, asked)) => self.answer_asked(request, authorization.as_ref(), asked, &request_id, server_time),
            Err((service, error)) => Outcome::whole(error_response(service, &error, &request_id)),
        };
        outcome.response.headers.push(("Date".to_owned(), http_date(server_time)));
        outcome.response.headers.push(("x-amzn-RequestId".to_owned(), request_id));
        outcome
    }

    fn answer_asked(
        &self,
        request: &Request,
        authorization: Option<&Authorization>,
        asked: Asked,
        request_id: &str,
        server_time: Timestamp,
    ) -> Outcome {
        let mut record = CallRecord {
            at: server_time,
            account: String::new(),
            region: asked.region.clone(),
            service: asked.service.name().to_owned(),
            action: asked.action.clone(),
            page: 1,
            status: 200,
            error: None,
            parameters: asked.parameters.clone(),
        };
        let service = asked.service;
        let outcome = match self.let_in(request, authorization, &asked, server_time) {
            Ok(caller) => {
                record.account.clone_from(&caller.account);
                self.answer_caller(asked, &caller, request_id, &mut record)
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.unwrap_or_else(|error| {
            record.error = Some(error.code.clone());
            Outcome::whole(error_response(service, &error, request_id))
        });
        record.status = outcome.response.status;
        self.state().common.log.add(record);
        outcome
    }

    /// Who makes the call, once key, signature and session hold.
    fn let_in(
        &self,
        request: &Request,
        authorization: Option<&Authorization>,
        asked: &Asked,
        server_time: Timestamp,
    ) -> Result<Caller, ApiError> {
        let service = asked.service;
        let Some(authorization) = authorization else {
            return Err(ApiError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"));
        };
        let (secret, caller, session) = {
            let state = self.state();
            match (state.world.key(&authorization.key_id), state.sessions.get(&authorization.key_id)) {
                (Some((account, key)), _) => {
                    let arn = format!("arn:{}:iam::{}:user/{}", state.world.partition, account.id, key.user);
                    let user_id = format!("AIDA{:016X}", keyed(4, &arn));
                    (key.secret.clone(), Caller { account: account.id.clone(), arn, user_id, is_session: false }, None)
                }
                (None, Some(session)) => (
                    session.secret.clone(),
                    session.caller.clone(),
                    Some((session.token.clone(), session.expires <= state.common.clock.moving_now())),
                ),
                (None, None) => return Err(ApiError::unknown_key(service)),
            }
        };
        match authorization.verify(request, &secret, server_time) {
            Verdict::Genuine => {}
            Verdict::Mismatch(why) => return Err(ApiError::bad_signature(service, sentence(why))),
            Verdict::Skewed { signed, now } => return Err(ApiError::skewed(service, signed, now)),
        }
        match (session, request.header("x-amz-security-token")) {
            (None, None) => Ok(caller),
            (Some((token, expired)), Some(sent)) if token == sent => {
                if expired {
                    Err(ApiError::expired_session(service))
                } else {
                    Ok(caller)
                }
            }
            _ => Err(ApiError::unknown_key(service)),
        }
    }

    fn answer_caller(&self, asked: Asked, caller: &Caller, request_id: &str, record: &mut CallRecord) -> Result<Outcome, ApiError> {
        let Asked { service, region, action, parameters } = asked;
        let (world, settings, effect, tokens, binding, token, position, now) = {
            let mut state = self.state();
            let state = &mut *state;
            let now = state.common.clock.now();
            record.at = now;
            let settings = state.common.settings.clone();
            let world =
                if matches!(service, Service::Sts | Service::Organizations) { Arc::clone(&state.world) } else { state.visible(now) };

            let tokens = Tokens { secret: mix(settings.seed).to_be_bytes().to_vec(), life_s: settings.token_life_s };
            let binding = binding(&caller.account, &region, service, &action, &parameters);
            let token =
                ["NextToken", "Marker"].into_iter().find_map(|name| parameters.get(name)).filter(|token| !token.is_empty()).cloned();
            let position = match &token {
                Some(token) => tokens.read(token, binding, now),
                None => Ok(Cursor::first(mix(settings.seed ^ mix(state.requests_count)))),
            };
            record.page = position.map_or(1, |cursor| cursor.page);

            let target = Target {
                account: &caller.account,
                role_account: parameters.get("RoleArn").and_then(|arn| sts::role_account(arn)),
                region: &region,
                service: service.name(),
                action: &action,
                page: record.page,
            };
            let unpaged = !parameters
                .keys()
                .any(|name| name.starts_with("Filter.") || ["MaxResults", "NextToken"].contains(&name.as_str()) || name.ends_with(".1"));
            let place = Place { account: caller.account.clone(), region: region.clone(), service, action: action.clone(), unpaged };
            // A call that is refused here was not met by any fault, and one that a fault throttles costs nothing.
            let leave = state.levels.ask(&settings.rates, place, now).ok_or_else(|| ApiError::throttled(service))?;
            let effect = state.common.script.strike(&target, now, settings.seed).map(|fault| fault.effect);
            if effect != Some(Effect::Throttle) {
                leave.take();
            }
            (world, settings, effect, tokens, binding, token, position, now)
        };

        let Some(account) = world.accounts.get(&caller.account) else { return Err(ApiError::unknown_key(service)) };
        if !world.region_status(account, &region).is_some_and(OptIn::enabled) {
            return Err(ApiError::unknown_key(service));
        }
        if world.denies(account, &region, service.signing_name(), &action) {
            return Err(ApiError::denied_by_organization(service, &caller.arn, &action));
        }
        if let Some(error) = effect.as_ref().and_then(|effect| refusal(effect, service, caller, &action)) {
            return Err(error);
        }
        let mishap = match &effect {
            Some(Effect::Mishap(mishap)) => Some(mishap),
            _ => None,
        };
        if let Some(mishap) = mishap.filter(|mishap| mishap.replaces()) {
            return Ok(mishap.befall(Response::new(200)));
        }

        let place = account.places.get(&region).unwrap_or(&EMPTY_REGION);
        let mut call = Call {
            world: &world,
            account,
            region: place,
            region_name: &region,
            service,
            action: &action,
            params: Params::new(service, parameters),
            request_id,
            settings: &settings,
            now,
            effect: effect.as_ref(),
            tokens: &tokens,
            binding,
            position,
            token,
        };
        for name in ["Action", "Version"] {
            call.params.take(name);
        }
        let body = self.run(&mut call, caller).unwrap_or_else(|| Err(ApiError::unknown_action(service, &action)))?;
        let content_type = if service == Service::Organizations { "application/x-amz-json-1.1" } else { "text/xml;charset=UTF-8" };
        let response = Response::of(200, content_type, body);
        Ok(match mishap {
            Some(mishap) => mishap.befall(response),
            None => Outcome::whole(response),
        })
    }

    /// Runs the call's action; `None` when the service has none of that name.
    fn run(&self, call: &mut Call<'_>, caller: &Caller) -> Option<Result<String, ApiError>> {
        if call.service == Service::Sts {
            let handler = named(sts::ACTIONS, call.action)?;
            let mut state = self.state();
            let now = state.common.clock.moving_now();
            return Some(handler(call, caller, &mut state.sessions, now));
        }
        named(actions(call.service), call.action).map(|handler| handler(call))
    }
}

impl Product for Server {
    const NAME: &'static str = "aws-sim";
    type World = World;
    type Fault = Fault;
    type Call = CallRecord;
    type Settings = Settings;

    fn new(world: World, common: Common<Self>, _: bool) -> Self {
        Self { state: Mutex::new(State::new(world, common)) }
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

/// The actions of a service that need nothing but the call; those of STS are in [`sts::ACTIONS`].
pub(crate) fn actions(service: Service) -> &'static [(&'static str, Handler)] {
    match service {
        Service::Ec2 => ec2::ACTIONS,
        Service::Elbv2 => elbv2::ACTIONS,
        Service::Elb => elb::ACTIONS,
        Service::AutoScaling => autoscaling::ACTIONS,
        Service::Organizations => organizations::ACTIONS,
        Service::Sts => &[],
    }
}

fn named<T: Copy>(actions: &[(&str, T)], name: &str) -> Option<T> {
    actions.iter().find(|(known, _)| *known == name).map(|(_, handler)| *handler)
}

/// Reads what a request asks for. The signature's scope names service and region.
fn understand(request: &Request) -> Result<(Option<Authorization>, Asked), (Service, ApiError)> {
    let malformed = |service, message: &str| (service, ApiError::new(400, "MalformedQueryString", message));
    let target = request.header("x-amz-target");
    let authorization = match request.header("authorization").map(Authorization::parse) {
        None => None,
        Some(Some(authorization)) => Some(authorization),
        Some(None) => {
            return Err((
                Service::Sts,
                ApiError::new(400, "IncompleteSignature", "Authorization header is not in the form of Signature Version 4"),
            ));
        }
    };
    if request.method != "POST" || request.path != "/" {
        return Err(malformed(Service::Sts, "Only POST / is served"));
    }
    if let Some(target) = target {
        let action = target
            .strip_prefix("AWSOrganizationsV20161128.")
            .ok_or_else(|| (Service::Organizations, ApiError::unknown_action(Service::Organizations, target)))?;
        let parameters = params::parse_json(&request.body)
            .ok_or_else(|| (Service::Organizations, ApiError::new(400, "SerializationException", "The body is not a flat JSON object")))?;
        let region = authorization.as_ref().map_or("us-east-1", |authorization| &authorization.region).to_owned();
        if authorization.as_ref().is_some_and(|authorization| authorization.service != "organizations") {
            return Err((
                Service::Organizations,
                ApiError::new(400, "InvalidSignatureException", "Credential should be scoped to correct service: 'organizations'."),
            ));
        }
        return Ok((authorization, Asked { service: Service::Organizations, region, action: action.to_owned(), parameters }));
    }
    let parameters =
        params::parse_form(&request.body).ok_or_else(|| malformed(Service::Sts, "The body is not a form, or names a parameter twice"))?;
    let version = parameters.get("Version").map(String::as_str);
    let service = match &authorization {
        Some(authorization) => Service::of(&authorization.service, version),
        None => Service::ALL.into_iter().find(|service| Some(service.version()) == version),
    };
    let Some(service) = service.filter(|service| *service != Service::Organizations) else {
        return Err((Service::Sts, ApiError::new(400, "InvalidAction", "There is no service of this name and version here")));
    };
    let action = parameters
        .get("Action")
        .cloned()
        .ok_or_else(|| (service, ApiError::new(400, "MissingAction", "The request is missing an action")))?;
    let region = authorization.as_ref().map_or("us-east-1", |authorization| &authorization.region).to_owned();
    Ok((authorization, Asked { service, region, action, parameters }))
}

/// What a token is bound to.
fn binding(account: &str, region: &str, service: Service, action: &str, parameters: &BTreeMap<String, String>) -> u64 {
    let place = [account, region, service.name(), action].into_iter().fold(7, keyed);
    parameters
        .iter()
        .filter(|(name, _)| !PAGING.contains(&name.as_str()))
        .fold(place, |hash, (name, value)| keyed(keyed(hash, name), value))
}

fn refusal(effect: &Effect, service: Service, caller: &Caller, action: &str) -> Option<ApiError> {
    match effect {
        Effect::Deny => Some(ApiError::denied(service, &caller.arn, action)),
        Effect::ScpDeny => Some(ApiError::denied_by_organization(service, &caller.arn, action)),
        Effect::Throttle => Some(ApiError::throttled(service)),
        Effect::AuthFailure => Some(ApiError::unknown_key(service)),
        Effect::ExpiredToken => Some(ApiError::expired_session(service)),
        Effect::Error { status, code, message } => Some(ApiError::new(*status, code, message)),
        _ => None,
    }
}

fn error_response(service: Service, error: &ApiError, request_id: &str) -> Response {
    let mut xml = crate::xml::Xml::new();
    let (content_type, body) = match service {
        Service::Organizations => {
            ("application/x-amz-json-1.1", serde_json::json!({"__type": error.code, "Message": error.message}).to_string())
        }
        Service::Ec2 => {
            xml.element("Response", |xml| {
                xml.element("Errors", |xml| xml.element("Error", |xml| write_error(xml, error)));
                xml.text("RequestID", request_id);
            });
            ("text/xml;charset=UTF-8", xml.into_string())
        }
        _ => {
            xml.root("ErrorResponse", service.namespace());
            xml.element("Error", |xml| {
                xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
                write_error(xml, error);
            });
            xml.text("RequestId", request_id);
            xml.close("ErrorResponse");
            ("text/xml", xml.into_string())
        }
    };
    Response::of(error.status, content_type, body)
}

fn write_error(xml: &mut crate::xml::Xml, error: &ApiError) {
    xml.text("Code", &error.code);
    xml.text("Message", &error.message);
}

fn request_id(seed: u64, count: u64) -> String {
    let digits = format!("{:016x}{:016x}", mix(seed ^ count), mix(mix(seed ^ count)));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| format!("{}{}.", first.to_uppercase(), characters.as_str())).unwrap_or_default()
}
