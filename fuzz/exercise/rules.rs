//! Rules out of any bytes, and what they are asked about: what compiles must answer, whatever it is asked.
//!
//! An input that begins with `lifecycle:` is that part of a configuration and, from a line `cases:` on, a file for `dewpoint rules test`. Any
//! other is the source of one expression.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use dewpoint::config::load_bytes;
use dewpoint::config::rules::{Case, cases_of_bytes};
use dewpoint::estate::Known;
use dewpoint::expression::{Expression, Mistake, Subject, Vocabulary, Wanted};
use dewpoint::rules::{Rules, Verdict};

use super::seeds::REST;

/// What is asked about beside what the input brings: a machine in a group, one that lacks most of what can be asked for, and one with as many tags
/// as a cloud allows; another kind.
const SUBJECTS: &str = r#"
cases:
  - name: a machine in a group
    resource:
      { kind: instance, name: web-1, age: 2h, state_for: 10m, size: m5.large, vcpus: 2, purchase: spot, private_addresses: [10.0.0.1, 10.0.0.2],
        launched_at: "2025-12-31T22:00:00Z", tags: { env: prod, role: ci-runner, "eks:cluster-name": a, expires-at: "2026-01-01" } }
    group: { name: web, min_size: 1, max_size: 4, tags: { "k8s.io/cluster-autoscaler/enabled": "true", env: "" } }
    ci: { stage: missing, missing: 2, flag: spot }
    expect: { disposition: record }
  - name: next to nothing is known
    resource: { kind: instance, provider: azure, account: 00000000-aaaa, created_at: "2026-01-01T00:00:00Z" }
    expect: { disposition: record }
  - name: another kind
    resource: { kind: volume, encrypted: true, tags: { env: "soon", expiry: "1767225600" } }
    ci: {}
    expect: { disposition: record }
"#;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut cases = cases_of_bytes("subjects.yaml", SUBJECTS.as_bytes(), &BTreeSet::new()).expect("they are valid");
    let mut tagged = cases_of_bytes("subjects.yaml", SUBJECTS.as_bytes(), &BTreeSet::new()).expect("they are valid").remove(0);
    tag(&mut tagged.known, (0..50).map(|number| (format!("tag-{number}"), format!("2026-01-{:02}", number % 31 + 1))).collect());
    cases.push(tagged);
    cases
});

fn tag(known: &mut Known, tags: BTreeMap<String, String>) {
    Arc::make_mut(&mut known.resource).tags = tags;
}

fn subject(case: &Case) -> Subject<'_> {
    Subject::new(&case.known, case.group.as_ref(), case.has_ci, case.at)
}

pub fn exercise(bytes: &[u8]) {
    if bytes.starts_with(b"lifecycle:") {
        block(bytes);
    } else if let Ok(source) = std::str::from_utf8(bytes) {
        expression(source);
    }
}

/// The `lifecycle:` block, and the cases behind it.
pub fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mark = b"\ncases:";
    let at = bytes.windows(mark.len()).position(|window| window == mark).map_or(bytes.len(), |at| at + 1);
    bytes.split_at(at)
}

fn block(bytes: &[u8]) {
    let (lifecycle, cases) = parts(bytes);
    let whole = [lifecycle, b"\n", REST.as_bytes()].concat();
    let rules = match load_bytes("dewpoint.yaml", &whole, Path::new("/etc/dewpoint")) {
        Ok(config) => config.lifecycle.rules,
        Err(errors) => {
            super::tell(&errors);
            Rules::default()
        }
    };
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let own = match cases_of_bytes("cases.yaml", cases, &names) {
        Ok(cases) => cases,
        Err(errors) => {
            super::tell(&errors);
            Vec::new()
        }
    };
    for case in own.iter().chain(CASES.iter()) {
        judge(&rules, case);
    }
}

fn judge(rules: &Rules, case: &Case) {
    let default = Verdict::default_of(Arc::default());
    let subject = subject(case);
    let mut asked = 0;
    let verdict = rules.judge(&subject, &default, |_, _, _| asked += 1);
    assert_eq!(asked, rules.iter().count(), "a rule was not asked");
    assert_eq!(rules.judge(&subject, &default, |_, _, _| {}), verdict, "the same question, another answer");
    if let Some(failure) = &verdict.failure {
        assert!(!failure.text.is_empty());
    }
}

fn expression(source: &str) {
    for wanted in [Wanted::Condition, Wanted::Text, Wanted::Value] {
        match Expression::compile(source, &Vocabulary::rules(), wanted) {
            Ok(expression) => {
                expression.doubts().iter().for_each(|doubt| lies_within(source, doubt));
                let like = &CASES[0];
                let own = own_subject(source);
                let own = Subject::new(&own, like.group.as_ref(), like.has_ci, like.at);
                for subject in CASES.iter().map(subject).chain([own]) {
                    let failure = match wanted {
                        Wanted::Condition => expression.holds(&subject).err(),
                        Wanted::Text => expression.text(&subject).err(),
                        Wanted::Value => expression.value(&subject).err(),
                    };
                    assert!(failure.is_none_or(|failure| !failure.to_string().is_empty()));
                }
            }
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                mistakes.iter().for_each(|mistake| lies_within(source, mistake));
            }
        }
    }
}

fn lies_within(source: &str, Mistake { at, text, .. }: &Mistake) {
    assert!(source.get(at.clone()).is_some(), "{text} is said of {at:?}, which is no part of the source");
}

/// A machine whose tags are the texts of the source, so that what it asks for may be there.
fn own_subject(source: &str) -> Known {
    let mut known = CASES[0].known.clone();
    let words: Vec<&str> = source.split(['"', '\'']).skip(1).step_by(2).take(40).collect();
    let values = words.iter().skip(1).chain(words.first());
    tag(&mut known, words.iter().zip(values).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    known
}
