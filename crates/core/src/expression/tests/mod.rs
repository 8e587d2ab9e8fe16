#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect")]

mod checks;
mod evaluation;
mod fuzz;
mod limits;
mod records;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{Expression, Mistake, Subject, Vocabulary, Wanted};
use crate::estate::{Fence, Known};
use crate::model::{Kind, Resource};
use crate::testing::{minute, resource, scope};

fn condition(source: &str) -> Expression {
    Expression::compile(source, &Vocabulary::rules(), Wanted::Condition).unwrap_or_else(|mistakes| panic!("{source}: {mistakes:#?}"))
}

fn text(source: &str) -> Expression {
    Expression::compile(source, &Vocabulary::rules(), Wanted::Text).unwrap_or_else(|mistakes| panic!("{source}: {mistakes:#?}"))
}

fn mistakes(source: &str) -> Vec<Mistake> {
    match Expression::compile(source, &Vocabulary::rules(), Wanted::Condition) {
        Ok(_) => panic!("{source} was taken"),
        Err(mistakes) => mistakes,
    }
}

/// A running instance, first seen at minute 0, born at minute 10.
fn instance() -> Resource {
    let mut instance = resource(&scope("111111111111", "eu-west-1", Kind::Instance), "i-1");
    instance.name = Some("web-1".to_owned());
    instance.created_at = Some(minute(10));
    instance.tags = [("env", "prod"), ("role", "ci-runner"), ("expires-at", "2026-01-02"), ("team", "Web, Ops")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    instance.attributes.insert("vcpus".to_owned(), json!(4));
    instance.attributes.insert("size".to_owned(), json!("m5.large"));
    instance.attributes.insert("purchase".to_owned(), json!("spot"));
    instance.attributes.insert("private_addresses".to_owned(), json!(["10.0.0.1", "10.0.0.2"]));
    instance.attributes.insert("launched_at".to_owned(), json!("2026-01-01T00:10:00Z"));
    instance
}

fn group() -> Resource {
    let mut group = resource(&scope("111111111111", "eu-west-1", Kind::ScalingGroup), "asg");
    group.name = Some("web".to_owned());
    group.attributes.insert("max_size".to_owned(), json!(3));
    group.attributes.insert("spot_share".to_owned(), json!(0.5));
    group
}

fn known(resource: Resource) -> Known {
    Known::new(Arc::new(resource), minute(0), Fence(1))
}

fn hour(hours: i64) -> Timestamp {
    minute(hours * 60)
}

/// Whether a condition holds of [`instance`] in [`group`], known before, at one o'clock.
fn holds(source: &str) -> Result<bool, String> {
    let (known, group) = (known(instance()), group());
    let subject = Subject::new(&known, Some(&group), true, hour(1));
    let expression = condition(source);
    let answer = expression.holds(&subject).map_err(|error| error.to_string());
    let interpreted = expression.interpreted(&subject).map_err(|error| error.to_string());
    assert_eq!(answer, interpreted, "{source}: native and interpreter differ");
    answer
}
