//! Limits, sessions, locks.

use std::{
    thread,
    time::{Duration, Instant},
};

use dewpoint_servicenow_sim::{RateRule, Sim};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{VISIBLE, basic, call_as, chain, enhanced, errors, get, hosted, send, start, wait_until};

const TABLE: &str = "/api/now/table/cmdb_ci?sysparm_limit=1";

fn rule(limit: u64) -> RateRule {
    RateRule { api: None, user: None, role: None, limit, window_s: 3600 }
}

#[test]
fn a_rule_counts_per_user_and_hour() {
    let sim = start();
    sim.edit(|instance| instance.rate_rules.push(RateRule { api: Some("table".to_owned()), ..rule(2) }));
    sim.advance(SignedDuration::from_secs(3600 - 812));
    let first = get(&sim, TABLE);
    assert_eq!((first.status, first.header("x-ratelimit-limit")), (200, "2"));
    assert_eq!(first.header("x-ratelimit-reset").parse::<i64>().unwrap() - sim.now().as_second(), 812);
    get(&sim, TABLE);
    let third = get(&sim, TABLE);
    assert_eq!((third.status, third.header("retry-after")), (429, "812"));
    assert_eq!(third.header("x-ratelimit-rule").len(), 32);
    assert_eq!(third.json()["error"]["detail"], "Rate limit of 2 requests per hour for Table API exceeded");
    assert_eq!(call_as(&sim, "admin", "GET", TABLE, &Value::Null).status, 200);
    let other = get(&sim, "/api/now/cmdb/meta/cmdb_ci");
    assert_eq!((other.status, other.header("x-ratelimit-limit")), (200, ""));
    sim.advance(SignedDuration::from_secs(812));
    assert_eq!(get(&sim, TABLE).status, 200);
}

#[test]
fn the_most_telling_rule_wins() {
    let sim = start();
    let limit = |rules: Vec<RateRule>| {
        sim.edit(|instance| instance.rate_rules = rules);
        get(&sim, TABLE).header("x-ratelimit-limit").to_owned()
    };
    let of_role = |limit| RateRule { role: Some("itil".to_owned()), ..rule(limit) };
    let of_user = RateRule { user: Some("integration".to_owned()), ..rule(900) };
    assert_eq!(limit(vec![rule(100)]), "100");
    assert_eq!(limit(vec![rule(100), of_role(500), of_role(400)]), "400");
    assert_eq!(limit(vec![rule(100), of_role(400), of_user]), "900");
}

type Headers<'a> = &'a [(&'static str, String)];

/// Sends so many requests at once, and runs `meanwhile` beside them.
fn at_once(sim: &Sim, count: usize, headers: Headers<'_>, meanwhile: impl FnOnce()) -> Vec<(u16, String)> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let answer = send(sim, "GET", TABLE, headers, "");
                    (answer.status, answer.header("retry-after").to_owned())
                })
            })
            .collect();
        meanwhile();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_full_semaphore_refuses_without_headers() {
    let sim = start();
    sim.settings(|settings| {
        settings.semaphore_slots = Some(1);
        settings.semaphore_queue = 1;
        settings.hold_requests = true;
    });
    let answers = at_once(&sim, 4, &[basic("integration")], || {
        wait_until(|| sim.calls().len() == 2);
        sim.settings(|settings| settings.hold_requests = false);
    });
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 2, "{answers:?}");
    assert_eq!(answers.iter().filter(|(status, retry_after)| *status == 429 && retry_after.is_empty()).count(), 2, "{answers:?}");
}

fn cookie(sim: &Sim) -> (&'static str, String) {
    let cookie = get(sim, TABLE).header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("JSESSIONID="), "{cookie}");
    ("Cookie", cookie)
}

#[test]
fn a_session_that_is_replayed_in_parallel_is_dropped() {
    let sim = start();
    let with_cookie = [basic("integration"), cookie(&sim)];
    sim.settings(|settings| settings.hold_requests = true);
    let answers = at_once(&sim, 3, &with_cookie, || {
        wait_until(|| sim.counters().sessions_dropped == 2);
        sim.settings(|settings| settings.hold_requests = false);
    });
    assert_eq!(answers.iter().filter(|(status, _)| *status == 202).count(), 2, "{answers:?}");
    assert!(at_once(&sim, 3, &[basic("integration")], || {}).iter().all(|(status, _)| *status == 200));
    assert_eq!(send(&sim, "GET", TABLE, &with_cookie, "").status, 200, "one after the other is well");
}

#[test]
fn requests_of_one_session_wait_for_each_other() {
    let sim = start();
    let with_cookie = [basic("integration"), cookie(&sim)];
    sim.settings(|settings| {
        settings.request_us = 50_000;
        settings.session_queue = 10;
    });
    let before = Instant::now();
    let answers = at_once(&sim, 4, &with_cookie, || {});
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert!(before.elapsed() >= Duration::from_millis(200));
}

/// Sends payloads at once, with the engine held until `is_met`.
fn met(sim: &Sim, payloads: &[Value], is_met: impl Fn() -> bool) -> Vec<Value> {
    sim.settings(|settings| settings.hold_engine = true);
    thread::scope(|scope| {
        let threads: Vec<_> = payloads.iter().map(|payload| scope.spawn(|| enhanced(sim, VISIBLE, payload))).collect();
        wait_until(is_met);
        sim.settings(|settings| settings.hold_engine = false);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn payloads_that_share_a_parent_wait_for_each_other() {
    let sim = start();
    let payloads = [chain(&[("i-1", "a")]), chain(&[("i-2", "b")])];
    let results = met(&sim, &payloads, || sim.counters().lock_waits == 1);
    assert!(results.iter().all(|result| result["hasError"] == false));
    assert_eq!((sim.rows("cmdb_ci_aws_datacenter", "").len(), sim.rows("cmdb_ci_vm_instance", "").len()), (1, 2));
    assert_eq!(sim.calls().iter().filter(|call| call.waited_for_lock).count(), 1);

    sim.clear_calls();
    sim.settings(|settings| settings.lock_timeout_ms = Some(5));
    let results = met(&sim, &payloads, || sim.calls().len() == 1);
    assert_eq!(results.iter().filter(|result| errors(result) == ["LOCK_TIMEOUT"; 3]).count(), 1);
}

#[test]
fn payloads_of_different_parents_do_not_wait() {
    let sim = start();
    let of = |number: &str| {
        let mut payload = chain(&[]);
        payload["items"][0]["values"]["account_id"] = json!(number);
        payload["items"][0]["values"]["object_id"] = json!(number);
        payload["items"][0]["sys_object_source_info"]["source_native_key"] = json!(number);
        payload["items"][1]["sys_object_source_info"]["source_native_key"] = json!(format!("{number}/eu-west-1"));
        payload["relations"] = json!([hosted("dc", "account")]);
        payload
    };
    met(&sim, &[of("1"), of("2")], || sim.counters().in_engine == 2);
    assert_eq!(sim.counters().lock_waits, 0);
    assert_eq!(sim.rows("cmdb_ci_aws_datacenter", "").len(), 2);
}
