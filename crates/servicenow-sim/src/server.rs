//! From a request to its answer: who calls, may they, is the call struck by a fault, and what the interface says.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dewpoint_sim_kit::{Common, Outcome, Product, Request, Response, clock::http_date, hash::mix};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::{
    auth::{self, Caller, Tokens},
    batch,
    call::Call,
    cmdb_instance, control,
    fault::{Fault, Target},
    hash::sys_id,
    instance::{Instance, MUTEX_EXPIRATION_S},
    ire::{self, Payload},
    log::CallRecord,
    meta,
    quota::Levels,
    reply::{ApiError, Reply, pairs},
    route::Route,
    settings::Settings,
    strike::{self, Struck},
    table,
};

/// Everything that changes while the simulator runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) instance: Instance,
    common: Common<Server>,
    pub(crate) tokens: Tokens,
    levels: Levels,
    tiny: BTreeMap<String, String>,
    /// Parents that payloads hold.
    held: BTreeSet<String>,
    /// Requests per session that are served or wait, and whose turn it is.
    sessions: HashMap<String, (usize, Arc<tokio::sync::Mutex<()>>)>,
    requests_count: u64,
}

impl State {
    fn new(instance: Instance, common: Common<Server>) -> Self {
        Self {
            instance,
            common,
            tokens: Tokens::default(),
            levels: Levels::default(),
            tiny: BTreeMap::new(),
            held: BTreeSet::new(),
            sessions: HashMap::new(),
            requests_count: 0,
        }
    }
}

/// The simulator behind its socket.
#[derive(Debug)]
pub struct Server {
    state: Mutex<State>,
    released: Notify,
    slots: Mutex<Option<(usize, Arc<Semaphore>)>>,
    waiting: AtomicUsize,
    is_tls: bool,
}

/// A request on its way, with what was found out about it.
struct Asked {
    request: Request,
    route: Route,
    version: Option<u8>,
    query: BTreeMap<String, String>,
    number: u64,
    base_url: String,
    in_batch: bool,
}

/// An answer, what to write down about it, and how it goes out.
struct Told {
    reply: Reply,
    struck: Option<Struck>,
}

type Exchange<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Server {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while it holds the lock has failed already; the others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot, if there are any, and serves.
    async fn admitted(&self, request: Request) -> Outcome {
        let (slots, queue, pause) = {
            let state = self.state();
            (
                state.common.settings.semaphore_slots,
                state.common.settings.semaphore_queue,
                Duration::from_micros(state.common.settings.request_us),
            )
        };
        let semaphore = slots.map(|slots| self.semaphore(slots));
        let permit = match &semaphore {
            None => None,
            Some(semaphore) => match semaphore.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) if self.waiting.fetch_add(1, Ordering::SeqCst) >= queue => {
                    self.waiting.fetch_sub(1, Ordering::SeqCst);
                    let error = ApiError::new(429, "Too many concurrent requests", Some("Maximum number of concurrent requests exceeded"));
                    return Outcome::whole(self.turned_away(&request, error.into(), "semaphore_full"));
                }
                Err(_) => {
                    let permit = semaphore.acquire().await.ok();
                    self.waiting.fetch_sub(1, Ordering::SeqCst);
                    permit
                }
            },
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.hold(|settings| settings.hold_requests).await;
        let outcome = self.exchange(request, None).await;
        drop(permit);
        outcome
    }

    /// Waits until a setting is taken back.
    async fn hold(&self, is_held: impl Fn(&Settings) -> bool) {
        while is_held(&self.state().common.settings) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn semaphore(&self, slots: usize) -> Arc<Semaphore> {
        let mut known = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((count, semaphore)) if *count == slots => Arc::clone(semaphore),
            _ => {
                let semaphore = Arc::new(Semaphore::new(slots));
                *known = Some((slots, Arc::clone(&semaphore)));
                semaphore
            }
        }
    }

    /// Writes down a request that got no further than the door.
    fn turned_away(&self, request: &Request, reply: Reply, why: &str) -> Response {
        let (route, _) = Route::of(&request.path);
        let mut state = self.state();
        let record =
            CallRecord { fault: Some(why.to_owned()), status: reply.status, at: state.common.clock.now(), ..describe(&route, request) };
        state.common.log.add(record);
        reply.into_response()
    }

    /// Serves one request, or one part of a batch whose caller is known.
    fn exchange<'a>(&'a self, request: Request, outer: Option<&'a Caller>) -> Exchange<'a> {
        Box::pin(async move {
            let (route, version) = Route::of(&request.path);
            let mut record = describe(&route, &request);
            record.in_batch = outer.is_some();
            let number = {
                let mut state = self.state();
                state.requests_count += 1;
                record.at = state.common.clock.now();
                mix(state.common.settings.seed ^ mix(state.requests_count))
            };
            let scheme = if self.is_tls { "https" } else { "http" };
            let base_url = format!("{scheme}://{}", request.header("host").unwrap_or("localhost"));
            let query = self.query(&request);
            let asked = Asked { request, route, version, query, number, base_url, in_batch: outer.is_some() };
            let Told { mut reply, struck } = self.tell(&asked, outer, &mut record).await;
            record.operations = std::mem::take(&mut reply.operations);
            record.relation_operations = std::mem::take(&mut reply.relation_operations);
            record.dropped_terms = std::mem::take(&mut reply.dropped_terms);
            let mut outcome = match struck {
                Some(struck) => struck.outcome(reply, asked.number),
                None => Outcome::whole(reply.into_response()),
            };
            record.status = outcome.response.status;
            let mut state = self.state();
            let date = http_date(state.common.clock.now());
            outcome.response.headers.push(("Date".to_owned(), date));
            if state.common.settings.cookies && !asked.in_batch && asked.request.header("cookie").is_none() {
                let session = format!("JSESSIONID={}; Path=/; HttpOnly", sys_id(asked.number, 3).to_uppercase());
                outcome.response.headers.push(("Set-Cookie".to_owned(), session));
            }
            state.common.log.add(record);
            outcome
        })
    }

    /// The parameters, with those that a short URL stands for.
    fn query(&self, request: &Request) -> BTreeMap<String, String> {
        let mut query = pairs(&request.query);
        if let Some(tiny) = query.get("sysparm_tiny")
            && let Some(long) = self.state().tiny.get(tiny)
        {
            for (name, value) in pairs(long) {
                query.entry(name).or_insert(value);
            }
        }
        query
    }

    async fn tell(&self, asked: &Asked, outer: Option<&Caller>, record: &mut CallRecord) -> Told {
        let refuse = |error: ApiError| Told { reply: error.into(), struck: None };
        if asked.route == Route::Oauth {
            let struck = self.strike(asked, &[], record);
            let mut state = self.state();
            let state = &mut *state;
            let now = state.common.clock.now();
            if let Some(struck) = struck.as_ref().filter(|struck| !struck.serves()) {
                return Told { reply: struck.instead(), struck: Some(struck.clone()) };
            }
            let mut reply = auth::token(&state.instance, &mut state.tokens, &asked.request, state.common.settings.seed, now);
            let struck = struck.map(|struck| struck.after(&mut reply));
            return Told { reply, struck };
        }
        let (caller, headers) = match self.let_in(asked, outer) {
            Ok(admitted) => admitted,
            Err(error) => return refuse(error),
        };
        record.user.clone_from(&caller.user_name);
        if let Err(error) = self.check_form(asked) {
            return refuse(error);
        }
        let payload = match asked.route {
            Route::Ire(_) => match Payload::parse(&asked.request.body) {
                Ok(payload) => Some(payload),
                Err(error) => return refuse(error),
            },
            _ => None,
        };
        if let Some(payload) = &payload {
            record.items = payload.classes();
            record.named = payload.named();
            record.relations = payload.relations.len();
        }
        let classes: Vec<String> = record.items.keys().cloned().chain(record.table.clone()).collect();
        let struck = self.strike(asked, &classes, record);
        if let Some(struck) = &struck {
            let mut state = self.state();
            strike::prepare(&struck.fault.effect, &mut state.instance);
            if let (true, Some(token)) = (struck.revokes(), &caller.token) {
                state.tokens.revoke(token);
            }
        }
        if let Some(struck) = struck.as_ref().filter(|struck| !struck.serves()) {
            return Told { reply: struck.instead(), struck: Some(struck.clone()) };
        }
        let reply = match (&asked.route, payload) {
            (Route::Batch, _) => self.batch(asked, &caller).await,
            (Route::Ire(_), Some(payload)) => {
                let locks_out = struck.as_ref().is_some_and(Struck::locks_out);
                self.ire(asked, &caller, &payload, locks_out, record).await
            }
            _ => self.dispatch(asked, &caller),
        };
        let mut reply = reply.unwrap_or_else(Reply::from);
        reply.headers.extend(headers);
        let struck = struck.map(|struck| struck.after(&mut reply));
        Told { reply, struck }
    }

    fn strike(&self, asked: &Asked, classes: &[String], record: &mut CallRecord) -> Option<Struck> {
        let mut state = self.state();
        let seed = state.common.settings.seed;
        let target = Target { api: asked.route.api(), method: &asked.request.method, classes, body: &asked.request.body };
        let now = state.common.clock.now();
        let fault = state.common.script.strike(&target, now, seed)?;
        record.fault = Some(fault.effect.name());
        Some(Struck { fault, api: asked.route.api(), now })
    }

    /// Who calls, and the headers of the limit that counted the call.
    fn let_in(&self, asked: &Asked, outer: Option<&Caller>) -> Result<(Caller, Vec<(String, String)>), ApiError> {
        let mut state = self.state();
        let state = &mut *state;
        let now = state.common.clock.now();
        let api = asked.route.api();
        let caller = match outer {
            Some(caller) => caller.clone(),
            None => auth::let_in(&state.instance, &state.tokens, &asked.request, api, now)?,
        };
        if asked.route == Route::Unknown {
            return Err(ApiError::no_resource());
        }
        let headers = state.levels.count(&state.instance, &caller, api, now)?;
        Ok((caller, headers))
    }

    /// Sizes and media types.
    fn check_form(&self, asked: &Asked) -> Result<(), ApiError> {
        let request = &asked.request;
        let settings = self.state().common.settings.clone();
        if request.path.len() + request.query.len() > settings.url_bytes_max {
            return Err(ApiError::new(414, "Request-URI Too Long", None));
        }
        if request.body.len() > settings.body_bytes_max {
            return Err(ApiError::new(settings.oversize_status, "Request body too large", Some("The request exceeds the maximum size")));
        }
        let takes = |accept: &str| accept.is_empty() || accept.contains("application/json") || accept.contains("*/*");
        if !takes(request.header("accept").unwrap_or_default()) {
            return Err(ApiError::new(406, "Not acceptable", Some("Response media type requested is not supported")));
        }
        let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !request.body.is_empty() && !is_json {
            return Err(ApiError::new(415, "Unsupported media type", Some("Request media type is not supported")));
        }
        Ok(())
    }

    /// What is quick: one look at the instance, or one change of it.
    fn dispatch(&self, asked: &Asked, caller: &Caller) -> Result<Reply, ApiError> {
        let mut state = self.state();
        let state = &mut *state;
        if asked.route == Route::TinyUrl {
            return tiny(state, asked);
        }
        let mut call = state.call(asked, caller);
        let method = asked.request.method.as_str();
        match &asked.route {
            Route::Table { table, sys_id } => table::answer(&mut call, method, table, sys_id.as_deref(), asked.version),
            Route::Stats { table } if method == "GET" => table::stats(&call, table),
            Route::Meta { class } if method == "GET" => meta::answer(&call, class),
            Route::Instance { class, rest } => cmdb_instance::answer(&mut call, method, class, rest),
            _ => Err(ApiError::method()),
        }
    }

    /// A payload: it waits for others that hold the same parents, holds them itself, and is worked on.
    async fn ire(
        &self,
        asked: &Asked,
        caller: &Caller,
        payload: &Payload,
        locks_out: bool,
        record: &mut CallRecord,
    ) -> Result<Reply, ApiError> {
        let Route::Ire(endpoint) = asked.route else { return Err(ApiError::no_resource()) };
        if asked.request.method != "POST" {
            return Err(ApiError::method());
        }
        let (work, wait, keys) = {
            let state = self.state();
            let items = u64::try_from(payload.items.len()).unwrap_or(u64::MAX);
            let seconds = state.instance.property(MUTEX_EXPIRATION_S).and_then(|text| text.parse().ok()).unwrap_or(900);
            let wait = state.common.settings.lock_timeout_ms.map_or(Duration::from_secs(seconds), Duration::from_millis);
            let work = Duration::from_micros(state.common.settings.ire_item_us.saturating_mul(items));
            // Without any work no two payloads ever meet.
            let keys = if endpoint.commits && (!work.is_zero() || state.common.settings.hold_engine) {
                ire::locks(&state.instance, payload)
            } else {
                BTreeSet::new()
            };
            (work, wait, keys)
        };
        let deadline = tokio::time::Instant::now() + wait;
        let is_held = loop {
            let released = self.released.notified();
            {
                let mut state = self.state();
                if state.held.is_disjoint(&keys) {
                    state.held.extend(keys.iter().cloned());
                    state.common.log.sums.in_engine += 1;
                    break true;
                }
                if !record.waited_for_lock {
                    state.common.log.sums.lock_waits += 1;
                }
            }
            record.waited_for_lock = true;
            if tokio::time::timeout_at(deadline, released).await.is_err() {
                break false;
            }
        };
        if is_held && !work.is_zero() {
            tokio::time::sleep(work).await;
        }
        if is_held {
            self.hold(|settings| settings.hold_engine).await;
        }
        let mut state = self.state();
        let reply = ire::answer(&mut state.call(asked, caller), endpoint, payload, locks_out || !is_held);
        if is_held {
            state.held.retain(|key| !keys.contains(key));
            state.common.log.sums.in_engine = state.common.log.sums.in_engine.saturating_sub(1);
        }
        drop(state);
        self.released.notify_waiters();
        reply
    }

    async fn batch(&self, asked: &Asked, caller: &Caller) -> Result<Reply, ApiError> {
        if asked.request.method != "POST" {
            return Err(ApiError::method());
        }
        let (id, parts) = batch::parse(&asked.request.body)?;
        let (settings, input_max) = {
            let state = self.state();
            let property = state.instance.property(batch::INPUT_PROPERTY).and_then(|text| text.parse().ok());
            (state.common.settings.clone(), property.unwrap_or(batch::INPUT_BYTES_MAX).min(batch::INPUT_BYTES_CEILING))
        };
        let output_max = asked.request.header("x-batchrequest-max-output-size").and_then(|text| text.parse().ok());
        let output_max = output_max.unwrap_or(usize::MAX).min(settings.batch_answer_bytes_max);
        let mut serviced: Vec<Value> = Vec::new();
        let mut unserviced: Vec<&str> = Vec::new();
        let mut spent_ms = 0_u64;
        for part in &parts {
            let is_over = !unserviced.is_empty() || part.request.body.len() > input_max || spent_ms >= settings.batch_ms_max;
            if is_over || Route::of(&part.request.path).0 == Route::Batch {
                unserviced.push(&part.id);
                continue;
            }
            let mut request = part.request.clone();
            if let Some(host) = asked.request.header("host") {
                request.headers.push(("host".to_owned(), host.to_owned()));
            }
            let outcome = self.exchange(request, Some(caller)).await;
            let ms = settings.batch_request_ms + u64::try_from(outcome.latency.as_millis()).unwrap_or(u64::MAX);
            spent_ms = spent_ms.saturating_add(ms);
            // What was served too late or is too large was served nevertheless.
            if outcome.response.body.len() > output_max || spent_ms > settings.batch_ms_max {
                unserviced.push(&part.id);
                continue;
            }
            serviced.push(batch::serviced(part, &outcome.response, ms));
        }
        Ok(Reply::new(200, json!({"batch_request_id": id, "serviced_requests": serviced, "unserviced_requests": unserviced})))
    }
}

impl Product for Server {
    const NAME: &'static str = "servicenow-sim";
    type World = Instance;
    type Fault = Fault;
    type Call = CallRecord;
    type Settings = Settings;

    fn new(instance: Instance, common: Common<Self>, is_tls: bool) -> Self {
        Self {
            state: Mutex::new(State::new(instance, common)),
            released: Notify::new(),
            slots: Mutex::new(None),
            waiting: AtomicUsize::new(0),
            is_tls,
        }
    }

    fn common<T>(&self, look: impl FnOnce(&mut Common<Self>) -> T) -> T {
        look(&mut self.state().common)
    }

    async fn answer(&self, request: Request) -> Outcome {
        let session = cookie(&request);
        let turn = match &session {
            None => None,
            Some(session) => {
                let mut state = self.state();
                let state = &mut *state;
                state.common.log.sums.cookies_seen += 1;
                let (served, turn) = state.sessions.entry(session.clone()).or_default();
                if *served > state.common.settings.session_queue {
                    None
                } else {
                    *served += 1;
                    Some(Arc::clone(turn))
                }
            }
        };
        match (session, turn) {
            (None, _) => self.admitted(request).await,
            (Some(_), None) => {
                self.state().common.log.sums.sessions_dropped += 1;
                Outcome::whole(self.turned_away(&request, Reply::empty(202), "session_busy"))
            }
            (Some(session), Some(turn)) => {
                let mine = turn.lock().await;
                let outcome = self.admitted(request).await;
                drop(mine);
                if let Some((served, _)) = self.state().sessions.get_mut(&session) {
                    *served = served.saturating_sub(1);
                }
                outcome
            }
        }
    }

    fn control(&self, request: &Request, path: &str) -> Result<Response, Response> {
        control::answer(self, request, path)
    }
}

impl State {
    fn call<'a>(&'a mut self, asked: &'a Asked, caller: &'a Caller) -> Call<'a> {
        Call {
            instance: &mut self.instance,
            settings: &self.common.settings,
            caller,
            now: self.common.clock.now(),
            base_url: &asked.base_url,
            path: &asked.request.path,
            query: &asked.query,
            body: &asked.request.body,
            chance: asked.number,
        }
    }
}

/// Keeps a long URL, and gives a short one for it.
fn tiny(state: &mut State, asked: &Asked) -> Result<Reply, ApiError> {
    if asked.request.method != "POST" {
        return Err(ApiError::method());
    }
    let body: Value = serde_json::from_slice(&asked.request.body).map_err(|_| ApiError::bad_body())?;
    let url = body.get("url").and_then(Value::as_str).ok_or_else(ApiError::bad_body)?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let key = sys_id(asked.number, 5);
    state.tiny.insert(key.clone(), query.to_owned());
    Ok(Reply::result(json!(format!("{path}?sysparm_tiny={key}"))))
}

/// What the log says of a request before it is served.
fn describe(route: &Route, request: &Request) -> CallRecord {
    let mut query = pairs(&request.query);
    query.remove("x-sn-apikey");
    if *route == Route::Oauth {
        query.clear();
    }
    CallRecord {
        api: route.api().to_owned(),
        method: request.method.clone(),
        path: request.path.clone(),
        query,
        table: route.table().map(str::to_owned),
        body_bytes: request.body.len(),
        ..CallRecord::default()
    }
}

fn cookie(request: &Request) -> Option<String> {
    let cookies = request.header("cookie")?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("JSESSIONID=")).map(str::to_owned)
}
