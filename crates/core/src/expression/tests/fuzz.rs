//! Random sources and subjects: no panic, sound places, and the native tests never differ from the interpreter.

use proptest::prelude::*;

use super::*;
use crate::ci::ci;
use crate::estate::Stage;
use crate::ownership::Ownership;
use crate::rules::Verdict;
use crate::testing::cases;

const SAMPLES: &[&str] = &[
    "resource.kind == \"instance\" && \"role\" in resource.tags && resource.tags[\"role\"] == \"ci-runner\"",
    "group != null && group.max_size > 1 ? resource.age < duration(\"15m\") : !(ci == null)",
    "resource.tags.filter(k, k.startsWith(\"a\")).map(k, resource.tags[k]).exists(v, v.matches(r\"^\\d+$\"))",
    "expiry(resource.tags['expires-at']) - now <= duration(\"1h\") || [1, 2.5, -3][0] % 2 == 1",
    "{\"a\": 'ä\\u00e4'}[resource.region].size() == 1 // why",
    "has(resource.name) && resource.name in [\"\"\"x\"\"\", null] || resource.\n  tags.env != 'prod'",
];

fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4_u8,
        prop::sample::select(vec![
            "(",
            ")",
            "[",
            "]",
            "\"",
            "'",
            ".",
            "&&",
            "?",
            ":",
            "ä",
            "\\",
            " ",
            "{",
            "}",
            ",",
            "==",
            "!",
            "-",
            "in",
            "1e9",
            "exists(x, true)",
            "\u{0}",
            "\n",
        ]),
    );
    (prop::sample::select(SAMPLES), prop::collection::vec(edit, 0..6)).prop_map(|(sample, edits)| {
        let mut characters: Vec<char> = sample.chars().collect();
        for (at, other, what, insert) in edits {
            let at = at.index(characters.len() + 1);
            match what {
                0 => drop(characters.splice(at..at, insert.chars())),
                1 if at < characters.len() => drop(characters.remove(at)),
                2 => characters.truncate(at),
                _ => {
                    let other = other.index(characters.len() + 1);
                    let part: Vec<char> = characters[at.min(other)..at.max(other)].to_vec();
                    drop(characters.splice(at..at, part));
                }
            }
        }
        characters.into_iter().collect()
    })
}

/// Compiles either way; a mistake lies in the source.
fn compiles(source: &str) -> Option<Expression> {
    compiles_as(source, &Vocabulary::rules(), Wanted::Condition)
}

pub(super) fn compiles_as(source: &str, vocabulary: &Vocabulary, wanted: Wanted) -> Option<Expression> {
    match Expression::compile(source, vocabulary, wanted) {
        Ok(expression) => Some(expression),
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(source.get(mistake.at.clone()).is_some(), "{source:?}: {mistake:?}");
                // What is said of a panic in the parser. None is known.
                assert_ne!(mistake.text, "this could not be parsed", "{source:?}");
            }
            None
        }
    }
}

#[derive(Debug, Clone)]
struct Scene {
    resource: Resource,
    group: Option<Resource>,
    ci: bool,
    minutes: i64,
    missing: u32,
}

fn scene() -> impl Strategy<Value = Scene> {
    let tags = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "env"]).prop_map(str::to_owned),
        prop::sample::select(vec!["", "prod", "x", "2026-01-01", "1767225600", "soon"]).prop_map(str::to_owned),
        0..3,
    );
    let kind = prop::sample::select(vec![Kind::Instance, Kind::Volume, Kind::ScalingGroup]);
    let values = (
        prop::option::of(0..5_i64),
        prop::option::of(prop::sample::select(vec!["m5.large", "prod", ""])),
        prop::option::of(any::<bool>()),
        0..3_usize,
    );
    (tags, kind, values, any::<bool>(), any::<bool>(), prop::option::of(0..100_i64), -10..100_i64, 0..3_u32).prop_map(
        |(tags, kind, (vcpus, size, encrypted, addresses), in_group, ci, created, minutes, missing)| {
            let mut it = resource(&scope("111111111111", "eu-west-1", kind), "r");
            it.tags = tags;
            it.created_at = created.map(minute);
            it.name = size.map(str::to_owned);
            let mut set =
                |name: &str, value: Option<serde_json::Value>| drop(value.map(|value| it.attributes.insert(name.to_owned(), value)));
            match kind {
                Kind::Instance => {
                    set("vcpus", vcpus.map(|vcpus| json!(vcpus)));
                    set("size", size.map(|size| json!(size)));
                    set("private_addresses", (addresses > 0).then(|| json!(["10.0.0.1", "prod"][..addresses])));
                    set("launched_at", created.map(|created| json!(minute(created).to_string())));
                }
                Kind::Volume => set("encrypted", encrypted.map(|encrypted| json!(encrypted))),
                _ => set("max_size", vcpus.map(|size| json!(size))),
            }
            Scene { resource: it, group: in_group.then(group), ci, minutes, missing }
        },
    )
}

/// Conditions and values out of a grammar, most of them well typed, many without the guards that the checks ask for.
fn any_condition() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "resource.kind",
        "resource.name",
        "resource.state",
        "resource.size",
        "resource.tags[\"env\"]",
        "resource.tags.a",
        "group.name",
        "ci.stage",
        "\"prod\"",
        "\"\"",
        "\"m5.large\"",
        "resource.tags.a.upperAscii()",
        "null",
    ]);
    let number = prop::sample::select(vec![
        "resource.vcpus",
        "group.max_size",
        "resource.max_size",
        "ci.missing",
        "1",
        "3",
        "size(resource.tags)",
        "resource.vcpus / ci.missing",
    ]);
    let time = prop::sample::select(vec![
        "now",
        "resource.created_at",
        "resource.launched_at",
        "expiry(resource.tags.a)",
        "timestamp(resource.tags[\"env\"])",
        "timestamp(\"2026-01-01T00:30:00Z\")",
        "ci.first_seen",
        "expiry(\"2026-01-01\")",
    ]);
    let duration = prop::sample::select(vec![
        "resource.age",
        "resource.state_for",
        "duration(\"30m\")",
        "duration(\"0s\")",
        "now - resource.created_at",
    ]);
    let order = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let test = prop::sample::select(vec!["contains", "startsWith", "endsWith", "matches"]);
    let pair =
        |values: prop::sample::Select<&'static str>| (values.clone(), order(), values).prop_map(|(a, order, b)| format!("{a} {order} {b}"));
    let flag = prop::sample::select(vec![
        "true",
        "false",
        "resource.encrypted",
        "group == null",
        "ci != null",
        "group != null",
        "has(resource.vcpus)",
        "isExpiry(resource.tags.a)",
        "resource.tags.exists(k, isExpiry(resource.tags[k]) && expiry(resource.tags[k]) < now)",
        "has(resource.tags.a)",
        "\"a\" in resource.tags",
        "resource.name in resource.tags",
        "resource.kind in [\"instance\", \"volume\"]",
        "resource.name in [\"prod\", null]",
        "\"prod\" in resource.private_addresses",
        "resource.name in resource.private_addresses",
        "resource.kind == \"instance\"",
        "resource.kind == \"volume\"",
        "resource.tags.exists(k, resource.tags[k] == \"x\")",
        "resource.tags.exists(k, k == \"a\" || resource.tags.a == k)",
        "resource.tags.all(k, resource.tags[k].contains(\"o\") && k in resource.tags)",
        "resource.private_addresses.exists(a, resource.tags[a] == \"x\" || a == \"prod\")",
        "resource.tags.all(k, k == resource.name || resource.tags[k] in [\"x\", \"\"])",
        "group.tags.exists(k, k == \"a\")",
        "resource.tags.exists_one(k, resource.tags[k] == \"x\")",
        "resource.vcpus in [1, 2]",
        "group.spot_share >= 0.5",
        "resource.private_addresses.all(a, a in resource.tags || a.size() > 4)",
        "resource.vcpus == 1.0",
    ])
    .prop_map(str::to_owned);
    let leaf = prop_oneof![
        4 => flag,
        2 => pair(text.clone()),
        1 => pair(number),
        1 => pair(time),
        1 => pair(duration),
        1 => (text, test, prop::sample::select(vec!["\"p\"", "\"\"", "\"5.l\""])).prop_map(|(text, test, part)| format!("{text}.{test}({part})")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            1 => inner.clone().prop_map(|inner| format!("!({inner})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(300)))]

    #[test]
    fn no_source_makes_it_panic(source in prop_oneof![mutated(), "\\PC{0,60}", prop::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())], scene in scene()) {
        let known = known(scene.resource);
        // The same of the record.
        let mapping = source.replace("resource", "ci").replace("now", "ci.created_at");
        if let Some(expression) = compiles_as(&mapping, &Vocabulary::records(), Wanted::Value) {
            let ci = ci(&known, Stage::Active, &Ownership::default(), &Verdict::default_of(Arc::default()));
            let _ = expression.value(&Subject::of_record(&ci));
        }
        if let Some(expression) = compiles(&source) {
            let _ = expression.holds(&Subject::new(&known, scene.group.as_ref(), scene.ci, minute(scene.minutes)));
        }
    }

    #[test]
    fn native_tests_answer_as_the_interpreter_does(source in any_condition(), scenes in prop::collection::vec(scene(), 8)) {
        // What the checks refuse is compared as well: the two must agree on anything that can be parsed.
        let expression = compiles(&source).map_or_else(|| Expression::unchecked(&source, &Vocabulary::rules(), Wanted::Condition), Some);
        let Some(expression) = expression else { return Ok(()) };
        for scene in scenes {
            let mut known = known(scene.resource);
            known.missing = scene.missing;
            let subject = Subject::new(&known, scene.group.as_ref(), scene.ci, minute(scene.minutes));
            let answer = expression.holds(&subject);
            prop_assert_eq!(&answer, &expression.interpreted(&subject), "{}", source);
        }
    }
}
