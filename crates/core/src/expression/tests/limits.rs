//! Whatever is accepted ends, and soon.

use super::*;
use crate::expression::cost::STEPS_MAX;
use crate::expression::parse::{DEPTH_MAX, NODES_MAX, SOURCE_BYTES_MAX};
use crate::expression::values::STEPS;

#[track_caller]
fn refused(source: &str, text: &str) {
    let mistakes = mistakes(source);
    assert!(mistakes.iter().any(|mistake| mistake.text.contains(text)), "{mistakes:#?}");
}

#[test]
fn size_depth_and_nesting() {
    refused(&format!("true{}", " ".repeat(SOURCE_BYTES_MAX)), "at most 4096 bytes");
    refused(&format!("true{}", " || true".repeat(NODES_MAX / 2 + 1)), "parts, at most 500");
    refused(&format!("1{} == 1", " + 1".repeat(DEPTH_MAX)), "levels deep, at most");
    refused(&format!("{}true{}", "(".repeat(30), ")".repeat(30)), "more than 24 brackets in one another");
    refused(&format!("{}true{}", "(".repeat(2000), ")".repeat(2000)), "more than 24 brackets in one another");
    refused(&"[".repeat(4000), "more than 24 brackets in one another");
    refused(&format!("a{}", ".a".repeat(2000)), "parts, at most 500");
    refused(&format!("1 in [{}]", vec!["1"; 101].join(", ")), "at most 100 elements");
    refused("resource.tags.all(a, resource.tags.all(b, resource.tags.all(c, a == b)))", "macros stand at most 2 deep");
    refused("resource.name.matches(\"((a{100}){100}){100}\")", "this pattern cannot be used");
}

/// The deepest expressions that are taken, on three quarters of a worker's stack.
#[test]
fn what_is_accepted_fits_a_workers_stack() {
    let known = known(instance());
    let within = DEPTH_MAX - 2;
    for source in [
        format!("1{} > 1", " + 1".repeat(within - 1)),
        format!("{}true{}", "!(".repeat(23), ")".repeat(23)),
        format!("true ? {}true : true", "true : true ? ".repeat(12)),
        format!("resource.name{} == \"a\"", ".trim()".repeat(within - 2)),
        format!("resource.tags.all(a, resource.tags.all(b, (a + b){}.size() > 0))", ".trim()".repeat(within - 10)),
    ] {
        let expression = condition(&source);
        let thread = std::thread::Builder::new().stack_size(3 << 19);
        let answer = std::thread::scope(|scope| {
            let ask = || expression.interpreted(&Subject::new(&known, None, true, hour(1))).map_err(|error| error.to_string());
            thread.spawn_scoped(scope, ask).unwrap().join().unwrap()
        });
        assert!(answer.is_ok(), "{source}: {answer:?}");
    }
}

/// A resource with 50 tags and 100 addresses.
fn large() -> Resource {
    let mut large = instance();
    large.tags = (0..50).map(|n| (format!("tag-{n:02}"), "x".repeat(256))).collect();
    let addresses: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
    large.attributes.insert("private_addresses".to_owned(), json!(addresses));
    large
}

/// Steps are counted where the interpreter reads fields and takes elements.
#[test]
fn the_worst_that_is_accepted_takes_bounded_steps() {
    let known = known(large());
    let subject = Subject::new(&known, None, true, hour(1));
    let nested = |reads: usize| {
        let reads = vec!["resource.tags[b] != a"; reads].join(" && ");
        format!("resource.kind == \"instance\" && resource.private_addresses.all(a, resource.tags.all(b, {reads}))")
    };
    let most = (1..60).take_while(|reads| Expression::compile(&nested(*reads), &Vocabulary::rules(), Wanted::Condition).is_ok()).count();
    assert!((2..59).contains(&most), "{most}");
    let expression = condition(&nested(most));
    STEPS.set(0);
    assert_eq!(expression.interpreted(&subject), Ok(true));
    let steps = STEPS.get();
    assert!((100 * 50 * 2..STEPS_MAX).contains(&steps), "{steps}");
    assert!(steps <= expression.cost.actual(subject.view()), "{steps} steps were more than foreseen");
}

/// Longer lists than were assumed when it was checked are an error, not a wait.
#[test]
fn lists_without_end_are_an_error() {
    let mut long = large();
    long.tags = (0..20_000).map(|n| (format!("tag-{n:05}"), String::new())).collect();
    let known = known(long);
    let subject = Subject::new(&known, None, true, hour(1));
    let expression = condition("resource.tags.all(a, resource.tags.all(b, a.size() == b.size()))");
    STEPS.set(0);
    let error = expression.holds(&subject).unwrap_err();
    assert!(error.to_string().starts_with("the lists of this resource are too long"), "{error}");
    assert_eq!(STEPS.get(), 0);
}

#[test]
fn a_text_does_not_grow_without_end() {
    let mut it = instance();
    it.tags.insert("a".to_owned(), "a".repeat(256));
    let known = known(it);
    let subject = Subject::new(&known, None, true, hour(1));
    let grow = format!(".replace(\"a\", \"{}\")", "a".repeat(200));
    let expression = condition(&format!("resource.tags.a{}.size() > 0", grow.repeat(6)));
    let error = expression.holds(&subject).unwrap_err();
    assert!(error.to_string().contains("longer than 64 KiB"), "{error}");
    let expression = condition("[1, 2, 3].map(a, resource.tags.a).join([1, 2, 3].map(b, resource.tags.a).join()).size() == 2304");
    assert_eq!(expression.holds(&subject), Ok(true));
    let wide = format!("[{}]", vec!["1"; 100].join(", "));
    let expression = condition(&format!("{wide}.map(a, {wide}.map(b, resource.tags.a).join()).join(\",\").size() > 0"));
    let error = expression.holds(&subject).unwrap_err();
    assert!(error.to_string().contains("longer than 64 KiB"), "{error}");
}

/// Chrono, underneath, panics where a sum cannot be told.
#[test]
fn times_at_the_end_of_time_are_errors() {
    let known = known(instance());
    let subject = Subject::new(&known, None, true, hour(1));
    for source in [
        "timestamp(\"9999-12-31T23:59:59Z\") + duration(\"2540400h\") > now",
        "timestamp(253402300799) + duration(\"1s\") > now",
        "timestamp(\"0001-01-01T00:00:00Z\") - duration(\"1s\") < now",
        "duration(\"9223372036s\") + duration(\"9223372036s\") > duration(\"1s\")",
        "timestamp(\"9999-12-31T23:59:59Z\") - timestamp(\"0001-01-01T00:00:00Z\") > duration(\"1s\")",
    ] {
        let error = condition(source).interpreted(&subject).unwrap_err();
        assert!(error.to_string().ends_with(": the result is too large"), "{source}: {error}");
    }
    refused("timestamp(9223372036854775807) > now", "cannot be read");
    refused("now + duration(\"87600000h\") > now", "cannot be read: it is no duration");
    // Six centuries from now there is still time.
    assert_eq!(condition("now + duration(\"2540400h\") + duration(\"2540400h\") > now").interpreted(&subject), Ok(true));
}
