//! Which requests are struck, and what befalls answers.

use std::{
    collections::BTreeMap,
    io, thread,
    time::{Duration, Instant},
};

use dewpoint_sim_kit::{Handle, Mishap};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Connection, call},
    shop::{Fault, Shop, shop},
};

fn struck(sim: &Handle<Shop>, mishap: Mishap) -> io::Result<Answer> {
    sim.faults(vec![Fault::of(mishap)]);
    call(sim, "PUT", "/a", "0123456789")
}

#[test]
fn a_rule_strikes_when_it_says() {
    let sim = shop();
    let closed = || Fault::of(Mishap::Empty { status: 503 });
    sim.faults(vec![
        Fault { path: Some("/a".to_owned()), ..Fault::default() }.nth(2).times(2),
        Fault { path: Some("/a".to_owned()), ..closed() }.until(sim.now() + SignedDuration::from_secs(60)),
    ]);
    let status = |path: &str| call(&sim, "GET", path, "").unwrap().status;
    assert_eq!(["/a", "/b", "/a", "/a", "/a"].map(status), [503, 200, 403, 403, 503]);
    sim.advance(SignedDuration::from_secs(59));
    assert_eq!(status("/a"), 503);
    sim.advance(SignedDuration::from_secs(1));
    assert_eq!(status("/a"), 200, "from that time on");

    let by_chance = || {
        sim.faults(vec![closed().probability(0.3)]);
        let mut connection = Connection::new(&sim);
        (0..200).map(|_| connection.call("GET", "/a", "").unwrap().status).collect::<Vec<_>>()
    };
    let drawn = by_chance();
    let count = drawn.iter().filter(|status| **status == 503).count();
    assert!((30..90).contains(&count), "{count}");
    assert_eq!(by_chance(), drawn, "the same for the same seed");
}

#[test]
fn answers_that_are_not_what_they_should_be() {
    let sim = shop();
    let headers = BTreeMap::from([("Retry-After".to_owned(), "7".to_owned())]);
    let other = struck(&sim, Mishap::Answer { status: 429, headers, body: "slow down".to_owned() }).unwrap();
    assert_eq!((other.status, other.headers["retry-after"].as_str(), other.text.as_str()), (429, "7", "slow down"));
    let empty = struck(&sim, Mishap::Empty { status: 200 }).unwrap();
    assert_eq!((empty.status, empty.text.as_str(), empty.headers["content-length"].as_str()), (200, "", "0"));
    let page = struck(&sim, Mishap::Html { status: 502 }).unwrap();
    assert!(
        page.status == 502
            && page.headers["content-type"].starts_with("text/html")
            && page.text.contains("<h1>Bad Gateway</h1><br></body>")
    );
    assert_eq!(sim.orders(), 0, "none of them was carried out");
    assert_eq!(sim.calls().iter().map(|call| call.status).collect::<Vec<_>>(), [429, 200, 502]);
}

#[test]
fn answers_that_end_too_early() {
    let sim = shop();
    let cut = struck(&sim, Mishap::CutBody { share: 0.5 }).unwrap();
    assert_eq!((cut.text.as_str(), cut.broken), ("PUT  01", None));
    let closed = struck(&sim, Mishap::CutConnection { share: 0.5 }).unwrap();
    assert_eq!(
        (closed.text.as_str(), closed.headers["content-length"].as_str(), closed.broken),
        ("PUT  01", "15", Some(io::ErrorKind::UnexpectedEof))
    );
    // What came before a reset may be lost with it.
    let reset = struck(&sim, Mishap::ResetBody { share: 0.5 });
    let kind = reset.map_or_else(|error| Some(error.kind()), |answer| answer.broken);
    assert_eq!(kind, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(sim.orders(), 3);
}

#[test]
fn replies_that_are_lost() {
    let sim = shop();
    assert_eq!(struck(&sim, Mishap::Reset).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(sim.orders(), 0);
    sim.faults(vec![Fault { after_commit: true, ..Fault::of(Mishap::Reset) }]);
    assert_eq!(call(&sim, "PUT", "/a", "").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(sim.orders(), 1);
    assert_eq!(sim.calls().len(), 2, "also those without an answer");
}

#[test]
fn answers_that_are_slow_or_never_come() {
    let sim = shop();
    let begin = Instant::now();
    assert_eq!(struck(&sim, Mishap::Latency { ms: 60 }).unwrap().text, "PUT  0123456789");
    assert!(begin.elapsed() >= Duration::from_millis(60));
    let begin = Instant::now();
    assert_eq!(struck(&sim, Mishap::Slow { bytes: 40, pause_ms: 10 }).unwrap().text, "PUT  0123456789");
    assert!(begin.elapsed() >= Duration::from_millis(20), "a head and a body of more than 80 bytes");
    // It hangs until the shop closes.
    sim.faults(vec![Fault::of(Mishap::Hang)]);
    let mut connection = Connection::new(&sim);
    connection.send("GET", "/a", "");
    let end = Instant::now() + Duration::from_secs(60);
    while sim.calls().len() < 3 {
        assert!(Instant::now() < end, "it never came");
        thread::sleep(Duration::from_millis(1));
    }
    drop(sim);
    assert!(connection.receive().is_err());
}

#[test]
fn mishaps_are_written_like_a_simulators_own_effects() {
    let read = |text: Value| serde_json::from_value::<Fault>(text).map_err(|error| error.to_string());
    assert_eq!(read(json!({"effect": "hang"})), Ok(Fault::of(Mishap::Hang)));
    assert_eq!(read(json!({"effect": {"cut_body": {"share": 0.5}}})), Ok(Fault::of(Mishap::CutBody { share: 0.5 })));
    let answer = Mishap::Answer { status: 409, headers: BTreeMap::new(), body: String::new() };
    assert_eq!(read(json!({"effect": {"answer": {"status": 409}}})), Ok(Fault::of(answer)));
    assert_eq!(read(json!({"effect": "closed"})), Ok(Fault::default()));
    assert!(read(json!({"effect": {"cut_body": {"share": 0.5, "colour": 1}}})).is_err());
    assert!(read(json!({"effect": "on_fire"})).is_err());
}

#[test]
fn when_a_rule_strikes_is_written_beside_what_it_is_about() {
    let text = json!({"path": "/a", "nth": 2, "times": 1, "until": "2026-06-01T10:00:00Z", "after_commit": false, "effect": "closed"});
    let until = "2026-06-01T10:00:00Z".parse().unwrap();
    let fault = Fault { path: Some("/a".to_owned()), ..Fault::default() }.nth(2).times(1).until(until);
    assert_eq!(serde_json::to_value(&fault).unwrap(), text, "nothing that is not set");
    assert_eq!(serde_json::from_value::<Fault>(text).unwrap(), fault);
    for wrong in
        [json!({"nht": 2, "effect": "closed"}), json!({"nth": "2", "effect": "closed"}), json!({"timing": {"nth": 2}, "effect": "closed"})]
    {
        assert!(serde_json::from_value::<Fault>(wrong.clone()).is_err(), "{wrong}");
    }
}
