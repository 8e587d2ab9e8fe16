//! Expressions over the record we want: `include.when` and mappings.

use proptest::prelude::*;
use serde_json::Value;

use super::fuzz::compiles_as;
use super::*;
use crate::ci::ci;
use crate::estate::Stage;
use crate::ownership::{Fact, Ownership};
use crate::rules::Verdict;
use crate::target::Ci;
use crate::testing::cases;

/// The record of [`instance`], which a rule flagged, as the program makes it.
fn record() -> Ci {
    let mut known = known(instance());
    known.flag = Some("expired".into());
    let timers = crate::testing::policy().timers;
    let mut verdict = Verdict::default_of(Arc::new(timers));
    verdict.attributes.insert("owner".to_owned(), json!("ann"));
    let mut ci = ci(&known, Stage::Active, &Ownership::default(), &verdict);
    ci.attributes.insert("macs".to_owned(), json!(["0a:00", "0b:00"]));
    ci
}

fn include(source: &str) -> Expression {
    Expression::compile(source, &Vocabulary::records(), Wanted::Condition).unwrap_or_else(|mistakes| panic!("{source}: {mistakes:#?}"))
}

fn mapping(source: &str) -> Expression {
    Expression::compile(source, &Vocabulary::records_of(Kind::Instance), Wanted::Value)
        .unwrap_or_else(|mistakes| panic!("{source}: {mistakes:#?}"))
}

/// The one mistake of a source: what is underlined, the text, the help.
#[track_caller]
fn check_in(vocabulary: &Vocabulary, wanted: Wanted, source: &str, underlined: &str, text: &str, help: &str) {
    let mistakes = Expression::compile(source, vocabulary, wanted).err().unwrap_or_default();
    let [mistake] = mistakes.as_slice() else { panic!("{source}: {mistakes:#?}") };
    let found = (&source[mistake.at.clone()], mistake.text.as_str(), mistake.help.as_deref().unwrap_or_default());
    assert_eq!(found, (underlined, text, help), "{source}");
}

/// Of a mapping for instances.
#[track_caller]
fn check(source: &str, underlined: &str, text: &str, help: &str) {
    check_in(&Vocabulary::records_of(Kind::Instance), Wanted::Value, source, underlined, text, help);
}

/// Natively and by the interpreter.
#[track_caller]
fn value_of(source: &str, ci: &Ci) -> Result<Value, String> {
    let (expression, subject) = (mapping(source), Subject::of_record(ci));
    let value = expression.value(&subject).map_err(|error| error.to_string());
    assert_eq!(value, expression.interpreted_value(&subject).map_err(|error| error.to_string()), "{source}");
    value
}

#[track_caller]
fn gives(source: &str, expected: Value) {
    assert_eq!(value_of(source, &record()), Ok(expected), "{source}");
}

#[test]
fn names_and_fields() {
    check("ci.enviroment", "enviroment", "`ci` has no field `enviroment`", "did you mean `environment`?");
    check("ci.nmae", "nmae", "`ci` has no field `nmae`", "did you mean `name`?");
    check("ci.asset", "asset", "`ci` has no field `asset`", "a tag is written `ci.tags[\"asset\"]`");
    check("ci.age", "age", "`ci` has no field `age`", "only lifecycle rules know `age`");
    check("ci.first_seen", "first_seen", "`ci` has no field `first_seen`", "only lifecycle rules know `first_seen`");
    check("vcpus", "vcpus", "unknown name `vcpus`", "write `ci.vcpus`");
    check("resource.vcpus", "resource", "unknown name `resource`", "the record is `ci`, such as `ci.kind`");
    check("group", "group", "unknown name `group`", "a record knows its own fields alone, such as `ci.name`");
    check("string(now)", "now", "unknown name `now`", "there is no clock here: a record does not change by the time alone");
    check("ci", "ci", "this must give what a field can hold, and this gives the whole `ci`", "name one of its fields");
    check("ci.kind == \"vm\"", "\"vm\"", "`vm` is no kind", &mistake_of_kind());
    check("ci.stage == \"retried\"", "\"retried\"", "`retried` is no stage", "did you mean `retired`?");
    check("ci.state == \"stoped\"", "\"stoped\"", "`stoped` is no state of an instance", "did you mean `stopped`?");
    // The rules' `ci` is another object.
    assert_eq!(mistakes("ci != null && ci.image == \"a\"")[0].text, "`ci` has no field `image`");
    assert_eq!(mistakes("ci != null && ci.environment == \"a\"")[0].text, "`ci` has no field `environment`");
}

fn mistake_of_kind() -> String {
    format!("one of {}", Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "))
}

/// No attribute stands in the way of a fact about ownership, and all fields of a record can be asked for.
#[test]
fn every_field_of_a_record_is_there() {
    let every = ["key", "kind", "provider", "native_id", "account", "region", "name", "state", "stage", "tags", "created_at", "flag"];
    let facts = Fact::ALL.iter().map(|fact| fact.as_str());
    for kind in Kind::ALL {
        let attributes = crate::model::attributes::of(*kind).iter().map(|attribute| attribute.name);
        for name in every.into_iter().chain(facts.clone()).chain(attributes) {
            let source = format!("ci.{name}");
            let expression = Expression::compile(&source, &Vocabulary::records_of(*kind), Wanted::Value).unwrap();
            assert_eq!(expression.doubts(), [], "{kind}: {source}");
            assert!(Expression::compile(&source, &Vocabulary::records(), Wanted::Value).is_ok(), "{source}");
        }
    }
}

#[test]
fn fields_of_other_kinds() {
    check("ci.max_size", "max_size", "`max_size` is an attribute of scaling_group, and this is about instance", "");
    check_in(
        &Vocabulary::records_of(Kind::Volume),
        Wanted::Value,
        "ci.private_addresses",
        "private_addresses",
        "`private_addresses` is an attribute of instance and network_interface, and this is about volume",
        "",
    );
    check_in(
        &Vocabulary::records(),
        Wanted::Condition,
        "ci.kind == \"volume\" && ci.vcpus == 4",
        "vcpus",
        "`vcpus` is an attribute of instance, and this is about volume",
        "",
    );
    check_in(
        &Vocabulary::records(),
        Wanted::Condition,
        "ci.vcpus >= 4",
        "ci.vcpus",
        "`ci.vcpus` has no value on account, region and 12 other kinds, and this would fail there",
        "say which kind: ci.kind == \"instance\" && …",
    );
    check_in(
        &Vocabulary::records(),
        Wanted::Value,
        "ci.private_addresses.size()",
        "ci.private_addresses",
        "`ci.private_addresses` has no value on account, region and 11 other kinds, and this would fail there",
        "say which kind: ci.kind in [\"instance\", \"network_interface\"] ? … : null",
    );
    for source in ["ci.kind == \"instance\" && ci.vcpus >= 4", "ci.kind != \"instance\" || ci.vcpus >= 4", "ci.vcpus == 4", "has(ci.vcpus)"]
    {
        include(source);
    }
}

#[test]
fn what_a_field_can_hold() {
    let unit = "write a duration as a text by `string(…)`, or in a unit, such as `x.getHours()`";
    check("duration(\"1h\")", "duration(\"1h\")", "this must give what a field can hold, and this gives a duration", unit);
    check(
        "[ci.created_at - ci.launched_at]",
        "[ci.created_at - ci.launched_at]",
        "this must give what a field can hold, and this gives a list(duration)",
        unit,
    );
    check("true ? 1 : \"one\"", "true ? 1 : \"one\"", "this gives an int or a string", "");
    check("ci.vcpus ? 1 : 2", "ci.vcpus", "true or false is wanted here, and this is an int", "");
    // What is known at run time only.
    assert_eq!(
        value_of("[1, duration(\"1h\")]", &record()),
        Err("`[1, duration(\"1h\")]` gave list and not what can be written".to_owned())
    );
    assert_eq!(value_of("1.0 / 0.0", &record()), Err("`1.0 / 0.0` gave double and not what can be written".to_owned()));
}

#[test]
fn values_of_each_shape() {
    gives("ci.name", json!("web-1"));
    gives("ci.vcpus", json!(4));
    gives("ci.memory_mib", Value::Null);
    gives("string(ci.vcpus)", json!("4"));
    gives("string(ci.name)", json!("web-1"));
    gives("int(\"42\") + 1", json!(43));
    gives("double(ci.vcpus) / 8.0", json!(0.5));
    gives("ci.vcpus > 2", json!(true));
    gives("ci.launched_at", json!("2026-01-01T00:10:00Z"));
    gives("ci.created_at", json!("2026-01-01T00:10:00Z"));
    gives("timestamp(\"2026-01-01T01:00:00.5+01:00\")", json!("2026-01-01T00:00:00.5Z"));
    gives("string(ci.created_at)", json!("2026-01-01T00:10:00Z"));
    gives("ci.private_addresses", json!(["10.0.0.1", "10.0.0.2"]));
    gives("ci.private_addresses[0]", json!("10.0.0.1"));
    gives("ci.private_addresses.size() > 0 ? ci.private_addresses[0] : null", json!("10.0.0.1"));
    gives("ci.macs.join(\",\")", json!("0a:00,0b:00"));
    gives("ci.macs.map(m, m.replace(\":\", \"\").upperAscii())", json!(["0A00", "0B00"]));
    gives("ci.tags", json!({"env": "prod", "role": "ci-runner", "expires-at": "2026-01-02", "team": "Web, Ops"}));
    gives("{\"at\": ci.created_at, \"of\": [ci.image, ci.tags[\"env\"]]}", json!({"at": "2026-01-01T00:10:00Z", "of": [null, "prod"]}));
    gives("null", Value::Null);
    gives("ci.environment", json!("prod"));
    gives("ci.owner", json!("ann"));
    gives("ci.flag", json!("expired"));
    gives("ci.stage", json!("active"));
    gives("ci.cost_center", Value::Null);
    gives("\"asset\" in ci.tags ? ci.tags[\"asset\"] : null", Value::Null);
    gives("\"env\" in ci.tags ? ci.tags[\"env\"] : null", json!("prod"));
    gives("ci.state == \"running\" ? \"On\" : \"Off\"", json!("On"));
    gives("{\"prod\": \"Production\"}[ci.environment]", json!("Production"));
    // Without a name of its own, it has its id.
    let mut nameless = instance();
    nameless.name = None;
    let nameless = ci(&known(nameless), Stage::Active, &Ownership::default(), &Verdict::default_of(Arc::default()));
    assert_eq!(value_of("ci.name == ci.native_id", &nameless), Ok(json!(true)));
}

#[test]
fn structures_are_given_as_they_are() {
    let scope = scope("111111111111", "eu-west-1", Kind::LoadBalancer);
    let mut balancer = resource(&scope, "lb");
    let listeners = json!([{"port": 443, "weight": 0.5, "certificate": null, "names": ["a", "b"], "is_default": true}]);
    balancer.attributes.insert("listeners".to_owned(), listeners.clone());
    let ci = ci(&known(balancer), Stage::Active, &Ownership::default(), &Verdict::default_of(Arc::default()));
    let of = |source: &str| {
        let expression = Expression::compile(source, &Vocabulary::records_of(Kind::LoadBalancer), Wanted::Value).unwrap();
        expression.value(&Subject::of_record(&ci)).map_err(|error| error.to_string())
    };
    assert_eq!(of("ci.listeners"), Ok(listeners));
    assert_eq!(of("ci.listeners[0].port"), Ok(json!(443)));
    assert_eq!(of("ci.listeners.map(l, string(l.port)).join(\" \")"), Ok(json!("443")));
    assert_eq!(of("ci.listeners[0].names.join(\"+\")"), Ok(json!("a+b")));
    assert_eq!(
        of("ci.listeners.map(l, l.port).join()"),
        Err("`ci.listeners.map(l, l.port).join()`: the list does not hold texts alone".to_owned())
    );
    assert_eq!(of("ci.listeners[0].nope"), Err("`ci.listeners[0].nope` has no entry `nope`".to_owned()));
}

#[test]
fn conditions_and_texts() {
    let ci = record();
    let subject = Subject::of_record(&ci);
    for (source, expected) in [
        ("ci.environment != \"sandbox\"", true),
        ("ci.environment in [\"prod\", \"staging\"] && ci.stage != \"retired\"", true),
        ("\"role\" in ci.tags && ci.tags[\"role\"] == \"ci-runner\"", true),
        ("ci.kind == \"instance\" && ci.vcpus != null && ci.vcpus > 4", false),
        ("has(ci.owner) && !has(ci.service) && ci.cost_center == null", true),
        ("ci.tags.exists(k, k.startsWith(\"kubernetes.io/\"))", false),
        ("ci.created_at != null && ci.created_at < timestamp(\"2026-01-01T00:00:00Z\")", false),
    ] {
        let expression = include(source);
        assert_eq!(expression.quick.answer_about(subject.view()), Some(expected), "{source}");
        assert_eq!(expression.interpreted(&subject), Ok(expected), "{source}");
        assert_eq!(expression.doubts(), [], "{source}");
    }
    let text = Expression::compile("ci.region + \"/\" + ci.name", &Vocabulary::records(), Wanted::Text).unwrap();
    assert_eq!(text.text(&subject), Ok("eu-west-1/web-1".to_owned()));
    assert!(!text.asks_group());
}

/// A sync asks some twenty mappings about each of a hundred thousand records.
#[test]
fn the_usual_mappings_are_read_natively() {
    let ci = record();
    for source in [
        "ci.memory_mib",
        "ci.tags[\"env\"]",
        "\"asset\" in ci.tags ? ci.tags[\"asset\"] : null",
        "ci.state == \"running\" ? \"On\" : ci.state == \"stopped\" ? \"Off\" : null",
        "ci.launched_at",
        "ci.macs",
    ] {
        assert!(mapping(source).given.of_subject(Subject::of_record(&ci).view()).is_some(), "{source}");
    }
}

#[test]
fn failures_say_what_the_record_lacks() {
    let fails = |source: &str, text: &str| assert_eq!(value_of(source, &record()), Err(text.to_owned()), "{source}");
    fails("ci.tags[\"asset\"]", "ci has no tag `asset`");
    fails("ci.image.startsWith(\"ami-\")", "ci.image has no value");
    fails("ci.private_addresses[7]", "`ci.private_addresses[7]`: the list is not that long");
    fails("ci.name.substring(9)", "`ci.name.substring(9)`: the text has no such part");
    let mut odd = record();
    odd.attributes.insert("vcpus".to_owned(), json!("four"));
    odd.attributes.insert("owner".to_owned(), json!(7));
    assert_eq!(value_of("ci.vcpus", &odd), Err("ci.vcpus is not a whole number".to_owned()));
    assert_eq!(value_of("ci.owner", &odd), Err("ci.owner is not a text".to_owned()));
    let mut long = record();
    long.tags = (0..20_000).map(|n| (format!("tag-{n:05}"), String::new())).collect();
    let error = value_of("ci.tags.all(a, ci.tags.all(b, a.size() == b.size()))", &long).unwrap_err();
    assert!(error.starts_with("the lists of this record are too long"), "{error}");
}

/// An expression that is asked about what its vocabulary does not speak of fails, and says so.
#[test]
fn a_subject_of_the_other_vocabulary_is_an_error() {
    let (ci, known) = (record(), known(instance()));
    for source in ["resource.kind == \"instance\"", "group == null", "now > timestamp(0)"] {
        assert!(condition(source).holds(&Subject::of_record(&ci)).is_err(), "{source}");
    }
    for source in ["ci.kind == \"instance\"", "ci.environment == null", "ci.tags.exists(k, k == \"a\")"] {
        assert!(include(source).holds(&Subject::new(&known, None, true, hour(1))).is_err(), "{source}");
    }
}

#[test]
fn what_may_be_null_is_doubted_where_it_is_worked_with() {
    let doubts = |source: &str| {
        let expression = mapping(source);
        let told = |doubt: &Mistake| (source[doubt.at.clone()].to_owned(), doubt.text.clone(), doubt.help.clone().unwrap_or_default());
        expression.doubts().iter().map(told).collect::<Vec<_>>()
    };
    let doubt = |at: &str, text: &str, help: &str| vec![(at.to_owned(), text.to_owned(), help.to_owned())];
    for source in [
        "ci.image",
        "ci.name.startsWith(\"web\")",
        "ci.state.startsWith(\"run\")",
        "ci.size.lowerAscii()",
        "ci.state == \"running\" ? ci.image : null",
        "ci.kind == \"instance\" ? (ci.image == null ? ci.zone : ci.image) : ci.flag",
        "[ci.image, ci.zone]",
        "{\"image\": ci.image}",
        "ci.image != null ? ci.image.replace(\"ami-\", \"\") : null",
        "has(ci.image) ? ci.image.replace(\"ami-\", \"\") : null",
        "ci.image == null ? null : ci.image.replace(\"ami-\", \"\")",
        "\"asset\" in ci.tags ? ci.tags[\"asset\"] : null",
        "ci.owner == \"ann\" ? \"a\" : \"b\"",
    ] {
        assert_eq!(doubts(source), [], "{source}");
    }
    let there = "is null where nobody tells it, and this fails on every record without it";
    assert_eq!(
        doubts("ci.image.replace(\"ami-\", \"\")"),
        doubt("ci.image", &format!("`ci.image` {there}"), "ask for it first: `ci.image != null ? … : null`")
    );
    assert_eq!(
        doubts("ci.image.startsWith(\"ami-\") ? \"a\" : null"),
        doubt("ci.image", &format!("`ci.image` {there}"), "ask for it first: `ci.image != null && …`")
    );
    assert_eq!(
        doubts("ci.state == \"running\" ? string(ci.vcpus) : null"),
        doubt("ci.vcpus", &format!("`ci.vcpus` {there}"), "ask for it first: `ci.vcpus != null ? … : null`")
    );
    assert_eq!(
        doubts("ci.owner + \"@example.com\""),
        doubt("ci.owner", &format!("`ci.owner` {there}"), "ask for it first: `ci.owner != null ? … : null`")
    );
    assert_eq!(
        doubts("ci.flag.upperAscii()"),
        doubt(
            "ci.flag",
            "`ci.flag` is null where no rule set one, and this fails on every record without it",
            "ask for it first: `ci.flag != null ? … : null`"
        )
    );
    assert_eq!(
        doubts("ci.tags[\"asset\"]"),
        doubt(
            "ci.tags[\"asset\"]",
            "`ci.tags[\"asset\"]` fails on every record without the tag \"asset\"",
            "ask for the tag first: `\"asset\" in ci.tags ? … : null`"
        )
    );
    assert_eq!(
        doubts("ci.tags.asset == \"x\" ? 1 : 2"),
        doubt(
            "ci.tags.asset",
            "`ci.tags.asset` fails on every record without the tag \"asset\"",
            "ask for the tag first: `\"asset\" in ci.tags && …`"
        )
    );
    // A fleet that a rule names has no limits.
    let of_fleet = Expression::compile("ci.max_size - ci.min_size", &Vocabulary::records_of(Kind::ScalingGroup), Wanted::Value).unwrap();
    assert_eq!(of_fleet.doubts().len(), 2);
}

fn any_record() -> impl Strategy<Value = Ci> {
    let tags = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "env"]).prop_map(str::to_owned),
        prop::sample::select(vec!["", "prod", "x", "2026-01-01", "soon"]).prop_map(str::to_owned),
        0..3,
    );
    let kind = prop::sample::select(vec![Kind::Instance, Kind::Volume, Kind::LoadBalancer]);
    let attributes = prop::collection::btree_map(
        prop::sample::select(vec![
            "vcpus",
            "size",
            "private_addresses",
            "launched_at",
            "encrypted",
            "listeners",
            "owner",
            "flag",
            "spot_share",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            json!(null),
            json!(4),
            json!(u64::MAX),
            json!(0.5),
            json!("prod"),
            json!("2026-01-01T00:10:00.25Z"),
            json!("0000-01-01T00:00:00Z"),
            json!(["10.0.0.1", "prod"]),
            json!([1, "a"]),
            json!(true),
            json!({"port": 443, "of": [null, 1.5]}),
        ]),
        0..6,
    );
    (tags, kind, attributes, prop::option::of(0..100_i64), prop::option::of("[a-z]{0,4}")).prop_map(
        |(tags, kind, attributes, created, name)| {
            let mut it = resource(&scope("111111111111", "eu-west-1", kind), "r");
            it.tags = tags;
            it.created_at = created.map(minute);
            it.name = name;
            it.attributes = attributes;
            ci(&known(it), Stage::Active, &Ownership::default(), &Verdict::default_of(Arc::default()))
        },
    )
}

/// Values out of a grammar, many without the guards that the checks ask for.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "ci.name",
        "ci.vcpus",
        "ci.size",
        "ci.owner",
        "ci.flag",
        "ci.environment",
        "ci.spot_share",
        "ci.encrypted",
        "ci.launched_at",
        "ci.created_at",
        "ci.private_addresses",
        "ci.private_addresses[0]",
        "ci.private_addresses.join(\",\")",
        "ci.listeners",
        "ci.tags",
        "ci.tags.a",
        "ci.tags[\"env\"]",
        "expiry(ci.tags.a)",
        "duration(\"1h\")",
        "string(ci.vcpus)",
        "ci.size.upperAscii()",
        "[ci.owner, ci.vcpus]",
        "{\"a\": ci.launched_at, \"b\": ci.tags}",
        "null",
        "\"On\"",
        "7",
        "2.5",
        "timestamp(\"2026-01-01T00:00:00Z\")",
        "ci",
    ]);
    let condition = prop::sample::select(vec![
        "\"a\" in ci.tags",
        "ci.owner == \"prod\"",
        "ci.environment != \"prod\"",
        "ci.vcpus > 2",
        "ci.encrypted",
        "ci.kind == \"instance\"",
        "ci.size.startsWith(\"p\")",
        "has(ci.created_at)",
        "ci.tags.exists(k, ci.tags[k] == \"x\")",
        "ci.private_addresses.all(a, a.startsWith(\"1\"))",
        "ci.tags.a == \"x\" || ci.stage == \"active\"",
        "ci.created_at < ci.launched_at",
        "\"prod\" in ci.private_addresses",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 2, move |inner| {
        (condition.clone(), inner.clone(), inner).prop_map(|(condition, yes, no)| format!("({condition} ? {yes} : {no})"))
    })
}

/// A record with the attributes that each resource of its kind has.
fn with_all_it_ought_to_have(mut record: Ci) -> Ci {
    for attribute in crate::model::attributes::of(record.kind).iter().filter(|attribute| attribute.always) {
        let value = record.attributes.entry(attribute.name.to_owned()).or_default();
        if value.is_null() {
            *value = json!("prod");
        }
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(300)))]

    #[test]
    fn native_values_are_those_of_the_interpreter(source in any_value(), records in prop::collection::vec(any_record(), 8)) {
        let vocabulary = Vocabulary::records();
        for wanted in [Wanted::Value, Wanted::Condition] {
            // What the checks refuse is compared as well.
            let expression = compiles_as(&source, &vocabulary, wanted).map_or_else(|| Expression::unchecked(&source, &vocabulary, wanted), Some);
            let Some(expression) = expression else { return Ok(()) };
            for record in &records {
                let subject = Subject::of_record(record);
                prop_assert_eq!(&expression.holds(&subject), &expression.interpreted(&subject), "{}", source);
                prop_assert_eq!(&expression.value(&subject), &expression.interpreted_value(&subject), "{}", source);
            }
        }
    }

    /// What is taken without a doubt fails on no record that has what it ought to.
    #[test]
    fn what_is_neither_refused_nor_doubted_lacks_nothing(source in any_value(), records in prop::collection::vec(any_record(), 8)) {
        let Some(expression) = compiles_as(&source, &Vocabulary::records(), Wanted::Value) else { return Ok(()) };
        if expression.doubts().is_empty() {
            for record in records.into_iter().map(with_all_it_ought_to_have) {
                if let Err(error) = expression.value(&Subject::of_record(&record)) {
                    let text = error.to_string();
                    prop_assert!(!text.contains("has no value") && !text.contains("has no tag"), "{}: {}", source, text);
                }
            }
        }
    }
}
