//! A rate limit is kept, and used to the full: the small form of `tests/tools/bench_servicenow.py`.

use std::time::{Duration, Instant};

use dewpoint_servicenow_sim::RateRule;
use jiff::ToSpan as _;

use super::calls::{estate, snow};
use super::rig::FIRST;

const PER_SECOND: u32 = 10;

#[test]
fn a_limited_sync_takes_little_longer_than_the_limit_alone() {
    let inventory = estate(20, 0).to_string();
    // What this machine takes for the same without a limit.
    let free = snow(20);
    free.world.write("inventory.json", &inventory);
    let began = Instant::now();
    free.sync_at(FIRST, 0);
    let unlimited = began.elapsed();

    // The configuration knows the limit of the instance. A bucket of one second's requests may go beside it in a window.
    let limited = snow(20);
    limited.world.write("inventory.json", &inventory);
    limited.rate(PER_SECOND, "");
    let rule = RateRule { api: None, user: None, role: None, limit: u64::from(PER_SECOND) * 3, window_s: 2 };
    limited.sim.edit(|instance| instance.rate_rules.push(rule));
    let began = Instant::now();
    let sync = limited.sync_at(FIRST, 0);
    let took = began.elapsed();
    assert_eq!(limited.marked(), free.marked());

    let (calls, counters) = (limited.sim.calls(), limited.sim.counters());
    assert_eq!(counters.by_status.get(&429), None, "no request too many");
    for (number, first) in calls.iter().enumerate() {
        let within = calls[number..].iter().take_while(|call| call.at < first.at + 1.second()).count();
        assert!(within <= 2 * PER_SECOND as usize, "{within} requests within a second from {}", first.at);
    }
    let alone = Duration::from_secs_f64(counters.requests as f64 / f64::from(PER_SECOND));
    assert!(counters.requests >= 50, "{} requests are too few to tell", counters.requests);
    assert!(took <= alone.mul_f64(1.15) + unlimited, "{took:?} for {} requests; without a limit {unlimited:?}", counters.requests);
    let waited = sync["waited_s"]["snow"].as_f64().unwrap();
    assert!(waited > 0.0 && waited <= took.as_secs_f64(), "{waited}");
    let report = limited.text(&["runs", "show", sync["run"].as_str().unwrap()]);
    assert!(report.out.contains(&format!("waited {waited:.1} s")), "{}", report.out);
}
