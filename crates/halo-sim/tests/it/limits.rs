//! The rate limit.

use dewpoint_halo_sim::{RetryAfter, Settings, Tenant, Throttle};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::{Caller, ask_token, form, send, start_with};

#[test]
fn three_hundred_calls_are_let_in_within_five_minutes() {
    let sim = start_with(Tenant::new(), |start| {
        start.settings.throttle = Settings::default().throttle;
        start.settings.throttle_counts_refused = false;
        start.settings.retry_after = RetryAfter::Always;
    });
    let caller = Caller::new(&sim);
    let list = || caller.call("GET", "/api/AssetGroup", &Value::Null);
    for _ in 0..150 {
        assert_eq!(list().status, 200);
    }
    sim.advance(SignedDuration::from_secs(200));
    // The token was one of them.
    for _ in 0..149 {
        assert_eq!(list().status, 200);
    }
    let refused = list();
    assert_eq!((refused.status, refused.text.as_str()), (429, "Rate Limit Reached - 300 Requests per rolling 5 minute window"));
    assert!(refused.header("content-type").starts_with("text/plain"));
    assert_eq!(refused.header("retry-after"), "100");
    let token = || ask_token(&sim, "/auth/token?tenant=acme", &form("dewpoint", "dewpoint-secret", "all")).status;
    let info = || send(&sim, "GET", "/api/authinfo", &[("User-Agent", "test/1.0")], "").status;
    assert_eq!([token(), info()], [429, 429]);
    sim.advance(SignedDuration::from_secs(100));
    assert_eq!([token(), info(), list().status], [200, 200, 200]);
    assert_eq!(sim.counters().by_status[&429], 3);
}

#[test]
fn who_is_refused_is_counted_unless_told_otherwise() {
    let sim = start_with(Tenant::new(), |start| start.settings.throttle = Some(Throttle { requests: 2, window_s: 60 }));
    let caller = Caller::new(&sim);
    let status = || caller.status("GET", "/api/AssetGroup", &Value::Null);
    assert_eq!([status(), status()], [200, 429]);
    sim.advance(SignedDuration::from_secs(40));
    assert_eq!(status(), 429);
    sim.advance(SignedDuration::from_secs(40));
    assert_eq!(status(), 200, "one refusal has left the window");
    assert_eq!(status(), 429);
    sim.settings(|settings| settings.throttle = None);
    assert_eq!(status(), 200);
}

#[test]
fn a_refusal_says_when_to_come_again_now_and_then() {
    let sim = start_with(Tenant::new(), |start| start.settings.throttle = Some(Throttle { requests: 1, window_s: 90 }));
    let caller = Caller::new(&sim);
    let says = || !caller.call("GET", "/api/AssetGroup", &Value::Null).header("retry-after").is_empty();
    let told = (0..60).filter(|_| says()).count();
    assert!((10..50).contains(&told), "{told}");
    sim.settings(|settings| settings.retry_after = RetryAfter::Never);
    assert!((0..20).all(|_| !says()));
    let text = caller.call("GET", "/api/AssetGroup", &Value::Null).text;
    assert_eq!(text, "Rate Limit Reached - 1 Requests per rolling 90 second window");
}
