//! What a fault does to a request and its answer.

use dewpoint_sim_kit::{Outcome, Response, part};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    fault::{Effect, Fault},
    instance::{Instance, RateRule},
    quota,
    reply::{ApiError, Reply},
};

/// A fault that struck.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    /// The interface that was called.
    pub(crate) api: &'static str,
    pub(crate) now: Timestamp,
}

/// What happens on the instance just before.
pub(crate) fn prepare(effect: &Effect, instance: &mut Instance) {
    if let Effect::RemoveDataSource { name } = effect {
        instance.remove_data_source(name);
    }
}

impl Struck {
    /// Whether the request is served at all.
    pub(crate) fn serves(&self) -> bool {
        self.fault.after_commit || !self.replaces()
    }

    pub(crate) fn revokes(&self) -> bool {
        self.fault.effect == Effect::RevokeToken
    }

    pub(crate) fn locks_out(&self) -> bool {
        self.fault.effect == Effect::LockTimeout
    }

    /// Whether the answer is another than the request's own.
    fn replaces(&self) -> bool {
        match &self.fault.effect {
            Effect::RateLimited { .. }
            | Effect::SemaphoreFull
            | Effect::QuotaKill
            | Effect::Dropped
            | Effect::Unauthenticated
            | Effect::RevokeToken
            | Effect::Forbidden
            | Effect::Error { .. }
            | Effect::Hibernating => true,
            Effect::Mishap(mishap) => mishap.replaces(),
            Effect::PartialResult { .. } | Effect::LockTimeout | Effect::RemoveDataSource { .. } => false,
        }
    }

    /// The answer that comes in place of the request's own.
    pub(crate) fn instead(&self) -> Reply {
        match &self.fault.effect {
            Effect::RateLimited { retry_after_s } => {
                let rule = RateRule { api: None, user: None, role: None, limit: 100, window_s: 3600 };
                let wait = i64::try_from(*retry_after_s).unwrap_or(i64::MAX);
                let reset = self.now.as_second().saturating_add(wait);
                let mut error = quota::refusal(rule.limit, self.api, wait);
                error.headers.extend(quota::headers(0, &rule, reset));
                error.into()
            }
            Effect::SemaphoreFull => {
                ApiError::new(429, "Too many concurrent requests", Some("Maximum number of concurrent requests exceeded")).into()
            }
            Effect::QuotaKill => ApiError::killed().into(),
            Effect::Dropped => Reply::empty(202),
            Effect::Unauthenticated | Effect::RevokeToken => ApiError::unauthenticated().into(),
            Effect::Forbidden => {
                ApiError::new(403, "Operation Failed", Some("ACL Exception: access denied due to security constraints")).into()
            }
            Effect::Error { status, message, detail } => ApiError::new(*status, message, detail.as_deref()).into(),
            _ => Reply::empty(200),
        }
    }

    /// Puts the fault's answer in the place of that of a request that was served.
    pub(crate) fn after(self, reply: &mut Reply) -> Self {
        if self.replaces() {
            let served = std::mem::replace(reply, self.instead());
            reply.operations = served.operations;
            reply.relation_operations = served.relation_operations;
            reply.dropped_terms = served.dropped_terms;
        }
        self
    }

    /// The answer as it goes out.
    pub(crate) fn outcome(&self, mut reply: Reply, number: u64) -> Outcome {
        if let Effect::PartialResult { share } = &self.fault.effect {
            cut_result(&mut reply, *share);
        }
        let response = reply.into_response();
        let mut outcome = match &self.fault.effect {
            Effect::Mishap(mishap) => mishap.befall(response),
            Effect::Hibernating => Outcome::whole(Response::page(200, "Your instance is hibernating")),
            _ => Outcome::whole(response),
        };
        outcome.response.headers.push(("X-Transaction-ID".to_owned(), format!("{number:016x}")));
        outcome
    }
}

/// Leaves a part of the result, with an error beside it.
fn cut_result(reply: &mut Reply, share: f64) {
    let Some(Value::Object(body)) = &mut reply.body else { return };
    let result = body.get_mut("result");
    let list = match result {
        Some(Value::Array(rows)) => Some(rows),
        Some(Value::Object(result)) => result.get_mut("items").and_then(Value::as_array_mut),
        _ => None,
    };
    if let Some(list) = list {
        list.truncate(part(list.len(), share));
    }
    let error = "Transaction cancelled: maximum execution time exceeded";
    body.insert("error".to_owned(), json!({"message": error, "detail": "maximum execution time exceeded, check logs for error trace"}));
    body.insert("status".to_owned(), json!("failure"));
}
