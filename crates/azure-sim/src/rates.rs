//! Token buckets as Azure keeps them: one per principal and subscription or tenant, and compute's own beside them.

use std::collections::HashMap;

use dewpoint_sim_kit::{
    Bucket, Level,
    clock::{later, seconds},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::route::Route;

/// The sizes of all buckets. The defaults are Azure's published ones.
///
/// Source: Azure Resource Manager documentation, "Request limits and throttling"; Azure Virtual Machines, "Compute throttling limits"; Azure Resource Graph,
/// "Guidance for throttled requests".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Whether calls are limited at all.
    pub limited: bool,
    /// Of one principal in one subscription.
    pub subscription: Bucket,
    /// Of one principal in the tenant, for what is not of a subscription.
    pub tenant: Bucket,
    /// Compute's, per machine or scale set: to ask for one.
    pub compute_one: Bucket,
    /// Compute's, per subscription: lists of machines.
    pub compute_vms: Bucket,
    /// Compute's, per subscription: lists of scale sets and of their instances.
    pub compute_sets: Bucket,
    /// The network provider's, per subscription.
    pub network: Bucket,
    /// Queries of Resource Graph in five seconds.
    pub graph_queries: u32,
    /// `Retry-After` of all refusals, in place of the time until a call is free again.
    pub retry_after_s: Option<u64>,
    /// Refusals come without `Retry-After`.
    pub no_retry_after: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            limited: true,
            subscription: Bucket::new(250, 25.0),
            tenant: Bucket::new(250, 25.0),
            compute_one: Bucket::new(36, 12.0 / 60.0),
            compute_vms: Bucket::new(900, 300.0 / 60.0),
            compute_sets: Bucket::new(1080, 360.0 / 60.0),
            network: Bucket::new(10_000, 10_000.0 / 300.0),
            graph_queries: 15,
            retry_after_s: None,
            no_retry_after: false,
        }
    }
}

impl Rates {
    /// No limits.
    pub fn unlimited() -> Self {
        Self { limited: false, ..Self::default() }
    }
}

/// What a bucket says to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// So many calls are left after this one.
    Left(u32),
    /// Wait for so many seconds.
    Wait(u64),
}

/// How full each bucket is.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// With the time before which who asks is told to wait anew.
    levels: HashMap<String, (Level, Option<Timestamp>)>,
    windows: HashMap<String, (Timestamp, u32)>,
}

/// A call that is refused, and the headers that go with an answer either way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Who refuses, and for how many seconds.
    pub(crate) refusal: Option<(Limit, u64)>,
    pub(crate) headers: Vec<(String, String)>,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Manager,
    Provider,
    Graph,
}

impl Levels {
    fn ask(&mut self, place: String, bucket: Bucket, now: Timestamp, wait_s: Option<u64>) -> Answer {
        let (level, blocked) = self.levels.entry(place).or_insert((Level::full(bucket, now), None));
        level.refill(bucket, now);
        if level.is_free() && blocked.is_none_or(|until| until <= now) {
            level.take();
            *blocked = None;
            return Answer::Left(level.left());
        }
        let wait = wait_s.unwrap_or_else(|| level.wait_s(bucket));
        *blocked = Some(later(now, seconds(wait)));
        Answer::Wait(wait)
    }

    /// Counts a call of a principal.
    pub(crate) fn count(&mut self, rates: &Rates, client: &str, route: &Route, now: Timestamp) -> Verdict {
        let mut verdict = Verdict::default();
        if matches!(route, Route::Graph) {
            self.graph(rates, client, now, &mut verdict);
            return verdict;
        }
        let (header, place, bucket) = match route.subscription() {
            Some(id) => {
                ("x-ms-ratelimit-remaining-subscription-reads", format!("{client}/{}", id.to_ascii_lowercase()), rates.subscription)
            }
            None => ("x-ms-ratelimit-remaining-tenant-reads", format!("{client}/tenant"), rates.tenant),
        };
        if !rates.limited {
            verdict.headers.push((header.to_owned(), bucket.capacity.to_string()));
            return verdict;
        }
        match self.ask(place, bucket, now, rates.retry_after_s) {
            Answer::Left(left) => {
                verdict.headers.push((header.to_owned(), left.to_string()));
                if route.subscription().is_some() {
                    // Fifteen times as many for all principals together; how many the others take is not simulated.
                    let global = u64::from(bucket.capacity) * 14 + u64::from(left);
                    verdict.headers.push(("x-ms-ratelimit-remaining-subscription-global-reads".to_owned(), global.to_string()));
                }
            }
            Answer::Wait(wait) => {
                verdict.headers.push((header.to_owned(), "0".to_owned()));
                verdict.refusal = Some((Limit::Manager, wait));
                return verdict;
            }
        }
        self.provider(rates, route, now, &mut verdict);
        verdict
    }

    /// The provider's own limits, whoever calls.
    fn provider(&mut self, rates: &Rates, route: &Route, now: Timestamp, verdict: &mut Verdict) {
        let subscription = route.subscription().unwrap_or_default().to_ascii_lowercase();
        let Some((policy, place, bucket)) = limited_by(rates, route, &subscription) else { return };
        let left = match self.ask(place, bucket, now, rates.retry_after_s) {
            Answer::Left(left) => left,
            Answer::Wait(wait) => {
                verdict.refusal = Some((Limit::Provider, wait));
                0
            }
        };
        if policy.starts_with("Microsoft.Compute") {
            let long = u64::from(left) * 5;
            let value = format!("{policy}3Min;{left},{policy}30Min;{long}");
            verdict.headers.push(("x-ms-ratelimit-remaining-resource".to_owned(), value));
        }
    }

    /// Queries are counted in windows of five seconds.
    fn graph(&mut self, rates: &Rates, client: &str, now: Timestamp, verdict: &mut Verdict) {
        const WINDOW_S: i64 = 5;
        let (since, count) = self.windows.entry(client.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= SignedDuration::from_secs(WINDOW_S) {
            (*since, *count) = (now, 0);
        }
        let resets = (WINDOW_S - now.duration_since(*since).as_secs()).max(1);
        let refused = rates.limited && *count >= rates.graph_queries;
        if !refused {
            *count += 1;
        }
        let left = rates.graph_queries.saturating_sub(*count);
        verdict.headers.push(("x-ms-user-quota-remaining".to_owned(), left.to_string()));
        verdict.headers.push(("x-ms-user-quota-resets-after".to_owned(), format!("00:00:{resets:02}")));
        verdict.headers.push(("x-ms-ratelimit-remaining-tenant-resource-requests".to_owned(), left.to_string()));
        if refused {
            verdict.refusal = Some((Limit::Graph, rates.retry_after_s.unwrap_or(u64::try_from(resets).unwrap_or(1))));
        }
    }
}

/// The provider's bucket that a call is counted in.
fn limited_by(rates: &Rates, route: &Route, subscription: &str) -> Option<(&'static str, String, Bucket)> {
    let operation = route.operation();
    let (policy, bucket, one) = match operation.as_str() {
        "virtualMachines.get" | "virtualMachines.instanceView" => ("Microsoft.Compute/GetVM", rates.compute_one, true),
        "virtualMachineScaleSets.get"
        | "virtualMachineScaleSets.virtualMachines.get"
        | "virtualMachineScaleSets.virtualMachines.instanceView" => ("Microsoft.Compute/GetVMScaleSet", rates.compute_one, true),
        "virtualMachines.list" => ("Microsoft.Compute/HighCostGet", rates.compute_vms, false),
        "virtualMachineScaleSets.list" | "virtualMachineScaleSets.virtualMachines.list" => {
            ("Microsoft.Compute/HighCostGetVMScaleSet", rates.compute_sets, false)
        }
        _ if route.namespace() == Some("Microsoft.Compute") => ("Microsoft.Compute/LowCostGet", rates.compute_vms, false),
        _ if route.namespace() == Some("Microsoft.Network") => ("Microsoft.Network", rates.network, false),
        _ => return None,
    };
    let what = if one { route.resource() } else { String::new() };
    Some((policy, format!("{policy}/{subscription}/{what}"), bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut levels = Levels::default();
        let mut ask = |second| levels.ask("a".to_owned(), Bucket::new(2, 0.5), at(second), None);
        assert_eq!([ask(0), ask(0), ask(0)], [Answer::Left(1), Answer::Left(0), Answer::Wait(2)]);
        assert_eq!(ask(1), Answer::Wait(1), "who comes too early waits");
        assert_eq!([ask(2), ask(100)], [Answer::Left(0), Answer::Left(1)]);
    }

    #[test]
    fn asking_too_early_starts_the_wait_anew() {
        let mut levels = Levels::default();
        let mut ask = |second| levels.ask("a".to_owned(), Bucket::new(1, 1.0), at(second), Some(10));
        assert_eq!([ask(0), ask(0)], [Answer::Left(0), Answer::Wait(10)]);
        assert_eq!([ask(9), ask(12), ask(22)], [Answer::Wait(10), Answer::Wait(10), Answer::Left(0)]);
    }
}
