//! From a request to its answer: who calls, may they, is the call struck by a fault, and what the operation says.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dewpoint_sim_kit::{Common, Outcome, Product, Request, Response, clock::http_date, hash::mix};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    auth::{self, Caller, Tokens},
    call::Call,
    control,
    fault::{Fault, Struck, Target},
    import,
    late::Late,
    log::CallRecord,
    quota::Levels,
    reply::{ApiError, Reply, pairs},
    route::{self, Place, Route},
    settings::Settings,
    site::Site,
};

/// Everything that changes while the simulator runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) site: Site,
    common: Common<Server>,
    pub(crate) tokens: Tokens,
    levels: Levels,
    late: Late,
    requests_count: u64,
}

impl State {
    /// Before objects change: whether somebody will see it late.
    pub(crate) fn watch(&mut self) {
        let is_watched = self.common.settings.index_lag_s > 0;
        self.site.store.watch(is_watched);
    }

    /// After objects changed: what searches see of it, and until when.
    pub(crate) fn settle(&mut self) {
        let changed = self.site.store.changed();
        self.late.note(changed, self.common.clock.now(), self.common.settings.index_lag_s);
    }
}

/// The simulator behind its socket.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
    is_tls: bool,
}

impl Server {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while it holds the lock has failed already; the others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, request: &Request) -> Outcome {
        let scheme = if self.is_tls { "https" } else { "http" };
        let base_url = format!("{scheme}://{}", request.header("host").unwrap_or("localhost"));
        let mut record = CallRecord {
            operation: "unknown".to_owned(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: pairs(&request.query),
            body_bytes: request.body.len(),
            ..CallRecord::default()
        };
        let (mut reply, struck, now) = {
            let mut state = self.state();
            let state = &mut *state;
            state.requests_count += 1;
            let now = state.common.clock.now();
            record.at = now;
            let (reply, struck) = state.tell(request, &base_url, now, &mut record);
            (reply, struck, now)
        };
        record.objects = std::mem::take(&mut reply.objects);
        let response = reply.into_response().header("Date", http_date(now));
        let outcome = match struck {
            Some(struck) => struck.outcome(response),
            None => Outcome::whole(response),
        };
        record.status = outcome.response.status;
        self.state().common.log.add(record);
        outcome
    }
}

impl State {
    fn tell(&mut self, request: &Request, base_url: &str, now: Timestamp, record: &mut CallRecord) -> (Reply, Option<Struck>) {
        let refuse = |error: ApiError| (Reply::from(error), None);
        let (route, gaps, caller) = match Place::of(&self.site, &request.path) {
            Place::Token => {
                "oauth_token".clone_into(&mut record.operation);
                return self.struck(request, "oauth_token", None, now, record, |state| {
                    auth::token_answer(&mut state.site, &mut state.tokens, request, now)
                });
            }
            Place::Tenant => {
                "tenant_info".clone_into(&mut record.operation);
                let body = json!({"cloudId": self.site.cloud_id});
                return self.struck(request, "tenant_info", None, now, record, |_| Reply::ok(body));
            }
            Place::Nowhere => return refuse(ApiError::not_found("There is no such resource")),
            Place::Elsewhere => {
                // Nobody learns which workspaces there are.
                let error =
                    if request.header("authorization").is_some() { ApiError::not_found("Not found") } else { ApiError::unauthenticated() };
                return refuse(error);
            }
            Place::At(base, rest) => {
                let found = route::find(&self.site, base, rest, &request.method);
                if let Ok((route, _)) = &found {
                    route.operation.clone_into(&mut record.operation);
                }
                let is_open = found.as_ref().is_ok_and(|(route, _)| route.is_open);
                let caller = match auth::let_in(&self.site, &self.tokens, request, base, now) {
                    Ok(caller) => caller,
                    Err(_) if is_open => Caller::default(),
                    Err(error) => return refuse(error),
                };
                record.user.clone_from(&caller.name);
                match found {
                    Ok((route, gaps)) => (route, gaps, caller),
                    Err(error) => return refuse(error),
                }
            }
        };
        if let Err(error) = self.admit(request, route, &gaps, &caller, now) {
            return refuse(error);
        }
        record.aql = route.is_search().then(|| asked(request)).flatten();
        let revoked = caller.access.clone();
        self.struck(request, route.operation, revoked.as_deref(), now, record, |state| {
            state.serve(request, base_url, route, &gaps, &caller, now).unwrap_or_else(Reply::from)
        })
    }

    /// Answers, unless a fault is in the way.
    fn struck(
        &mut self,
        request: &Request,
        operation: &str,
        access: Option<&str>,
        now: Timestamp,
        record: &mut CallRecord,
        serve: impl FnOnce(&mut Self) -> Reply,
    ) -> (Reply, Option<Struck>) {
        let target = Target { operation, method: &request.method, path: &request.path, body: &request.body };
        let seed = self.common.settings.seed;
        let Some(fault) = self.common.script.strike(&target, now, seed) else { return (serve(self), None) };
        record.fault = Some(fault.effect.name());
        let struck = Struck { fault, now };
        if let (true, Some(access)) = (struck.revokes(), access) {
            self.tokens.revoke(access);
        }
        if !struck.serves() {
            return (struck.instead(), Some(struck));
        }
        let mut reply = serve(self);
        struck.after(&mut reply);
        (reply, Some(struck))
    }

    /// Seats, scopes, rates, sizes and media types.
    fn admit(&mut self, request: &Request, route: &'static Route, gaps: &[&str], caller: &Caller, now: Timestamp) -> Result<(), ApiError> {
        let settings = &self.common.settings;
        let denied = || ApiError::forbidden("Access to Assets API was denied");
        if let Some(import) = &caller.import {
            // The token of an import source opens nothing but that source.
            if !route.is_import() || gaps.first().is_some_and(|gap| gap != import) {
                return Err(ApiError::forbidden("The token is not valid for this resource"));
            }
        } else if route.is_assets() {
            caller.check_scope(route.scope, settings.scope_status)?;
            if !self.site.premium || !caller.user(&self.site).is_some_and(|user| user.agent) {
                return Err(denied());
            }
        } else if !route.is_open {
            caller.check_scope(route.scope, settings.scope_status)?;
        }
        let limits = if self.site.is_cloud() { &settings.limits } else { &settings.data_center_limits };
        let who = caller.import.as_deref().unwrap_or(&caller.user);
        self.levels.count(limits, who, route.operation, settings.retry_after, now)?;
        check_form(request, settings)?;
        let is_experimental = route.is_experimental && settings.experimental_header;
        if is_experimental && request.header("x-experimentalapi").is_none() {
            return Err(ApiError::new(412, "This is an experimental API: send the header X-ExperimentalApi"));
        }
        Ok(())
    }

    fn serve(
        &mut self,
        request: &Request,
        base_url: &str,
        route: &Route,
        gaps: &[&str],
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        self.watch();
        let query = pairs(&request.query);
        let chance = mix(self.common.settings.seed ^ mix(self.requests_count));
        let mut call = Call {
            site: &mut self.site,
            late: &self.late,
            settings: &self.common.settings,
            caller,
            now,
            base_url,
            query: &query,
            body: &request.body,
            chance,
        };
        let is_due = import::is_due(call.site, now, call.settings.import_processing_s);
        let imported = if is_due { import::settle(&mut call) } else { Vec::new() };
        let answer = (route.handler)(&mut call, gaps).map(|mut reply| {
            reply.objects.extend(imported);
            reply
        });
        self.settle();
        answer
    }
}

/// The query that a search asks for.
fn asked(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let in_body = body.get("qlQuery").and_then(Value::as_str).map(str::to_owned);
    in_body.or_else(|| pairs(&request.query).remove("qlQuery"))
}

fn check_form(request: &Request, settings: &Settings) -> Result<(), ApiError> {
    if request.path.len() + request.query.len() > settings.url_bytes_max {
        return Err(ApiError::new(414, "The URL is too long"));
    }
    if request.body.len() > settings.body_bytes_max {
        return Err(ApiError::new(413, "The request body is too large"));
    }
    let accept = request.header("accept").unwrap_or_default();
    if !(accept.is_empty() || accept.contains("application/json") || accept.contains("*/*") || accept.contains("image/")) {
        return Err(ApiError::new(406, "The resource cannot be given in a media type that is accepted"));
    }
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if !request.body.is_empty() && !is_json {
        return Err(ApiError::new(415, "The media type of the request body is not supported"));
    }
    Ok(())
}

impl Product for Server {
    const NAME: &'static str = "assets-sim";
    type World = Site;
    type Fault = Fault;
    type Call = CallRecord;
    type Settings = Settings;

    fn new(site: Site, common: Common<Self>, is_tls: bool) -> Self {
        let state = State { site, common, tokens: Tokens::default(), levels: Levels::default(), late: Late::default(), requests_count: 0 };
        Self { state: Mutex::new(state), is_tls }
    }

    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T {
        look(&mut self.state().common)
    }

    async fn answer(&self, request: Request) -> Outcome {
        let pause = Duration::from_micros(self.state().common.settings.request_us);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.exchange(&request)
    }

    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        control::answer(self, request, path)
    }
}
