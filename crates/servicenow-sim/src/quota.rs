//! Rate limits.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    auth::Caller,
    hash::base_sys_id,
    instance::{Instance, RateRule},
    reply::ApiError,
};

/// How often each user met each rule in its present window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    counts: HashMap<(usize, String), (i64, u64)>,
}

impl Levels {
    /// Counts a request. Gives the headers it is answered with, or refuses it.
    pub(crate) fn count(
        &mut self,
        instance: &Instance,
        caller: &Caller,
        api: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let Some((number, rule)) = matching(instance, caller, api) else { return Ok(Vec::new()) };
        let window = rule.window_s.max(1);
        let start = now.as_second().div_euclid(window) * window;
        let level = self.counts.entry((number, caller.user_name.clone())).or_insert((start, 0));
        if level.0 != start {
            *level = (start, 0);
        }
        level.1 += 1;
        let reset = start + window;
        let headers = headers(number, rule, reset);
        if level.1 <= rule.limit {
            return Ok(headers);
        }
        let mut error = refusal(rule.limit, api, (reset - now.as_second()).max(1));
        error.headers.extend(headers);
        Err(error)
    }
}

/// 429 as the rate limit gives it, with how long to wait.
pub(crate) fn refusal(limit: u64, api: &str, retry_after_s: i64) -> ApiError {
    let name = match api {
        "table" => "Table API",
        "identifyreconcile" | "identifyreconcile_query" => "Identification and Reconciliation API",
        "meta" => "CMDB Meta API",
        "cmdb_instance" => "CMDB Instance API",
        "stats" => "Aggregate API",
        "batch" => "Batch API",
        other => other,
    };
    let detail = format!("Rate limit of {limit} requests per hour for {name} exceeded");
    ApiError::new(429, "Rate limit exceeded", Some(&detail)).header("Retry-After", retry_after_s.to_string())
}

/// The headers of a rule.
pub(crate) fn headers(number: usize, rule: &RateRule, reset: i64) -> Vec<(String, String)> {
    vec![
        ("X-RateLimit-Limit".to_owned(), rule.limit.to_string()),
        ("X-RateLimit-Reset".to_owned(), reset.to_string()),
        ("X-RateLimit-Rule".to_owned(), base_sys_id(&format!("rate rule {number}"))),
    ]
}

/// The rule that counts: of the user, else the strictest of a role, else of all.
fn matching<'a>(instance: &'a Instance, caller: &Caller, api: &str) -> Option<(usize, &'a RateRule)> {
    let rules = || instance.rate_rules.iter().enumerate().filter(|(_, rule)| rule.api.as_deref().is_none_or(|wanted| wanted == api));
    let of_user = || rules().find(|(_, rule)| rule.user.as_deref() == Some(caller.user_name.as_str()));
    let has_role = |rule: &RateRule| rule.user.is_none() && rule.role.as_ref().is_some_and(|role| caller.roles.contains(role));
    let of_role = || rules().filter(|(_, rule)| has_role(rule)).min_by_key(|(_, rule)| rule.limit);
    of_user().or_else(of_role).or_else(|| rules().find(|(_, rule)| rule.user.is_none() && rule.role.is_none()))
}
