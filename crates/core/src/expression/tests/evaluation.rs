//! What checked expressions answer.

use super::*;
use crate::expression::library::{FUNCTIONS, Param, expiry};

#[track_caller]
fn check(source: &str, expected: bool) {
    assert_eq!(holds(source), Ok(expected), "{source}");
}

#[track_caller]
fn fails(source: &str, text: &str) {
    assert_eq!(holds(source), Err(text.to_owned()), "{source}");
}

#[test]
fn fields_and_operators() {
    check("resource.kind == \"instance\" && resource.provider == \"aws\" && resource.region == \"eu-west-1\"", true);
    check("resource.kind == \"instance\" && resource.vcpus >= 4 && resource.vcpus * 2 == 8", true);
    check("resource.name == \"web-1\" && resource.name.matches(\"^web-[0-9]+$\")", true);
    check("resource.max_size == null && resource.size == \"m5.large\"", true);
    check("\"role\" in resource.tags && resource.tags[\"role\"] == \"ci-runner\" && resource.tags.env == \"prod\"", true);
    check("has(resource.tags.role) && !has(resource.tags.nope) && !(\"nope\" in resource.tags)", true);
    check("has(resource.name) && !has(resource.memory_mib)", true);
    check("resource.kind == \"instance\" && \"10.0.0.2\" in resource.private_addresses && resource.private_addresses.size() == 2", true);
    check("resource.kind == \"instance\" && resource.private_addresses.all(a, a.startsWith(\"10.\"))", true);
    check("resource.tags.filter(k, resource.tags[k] == \"prod\") == [\"env\"]", true);
    check("resource.tags.map(k, k.endsWith(\"e\"), k + \"!\") == [\"role!\"]", true);
    check("resource.tags.exists_one(k, k == \"env\") && size(resource.tags) == 4", true);
    check("\"Ops\" in resource.tags.team.split(\", \") && resource.tags.team.lowerAscii().replace(\", \", \"+\") == \"web+ops\"", true);
    check("resource.tags.map(k, resource.tags[k]).join() == \"prod2026-01-02ci-runnerWeb, Ops\" && [].join(\"-\") == \"\"", true);
    check("\"Wörter\".substring(1) == \"örter\" && \"Wörter\".substring(1, 3) == \"ör\" && \"ab\".substring(2) == \"\"", true);
    check("group != null && group.max_size > 1 && group.spot_share == 0.5 && group.name == \"web\"", true);
    check("ci != null && ci.stage == \"deferred\" && ci.missing == 0 && ci.flag == null && ci.first_seen < now", true);
    check("false && resource.tags[\"nope\"] == \"x\"", false);
    check("resource.tags[\"nope\"] == \"x\" && false", false);
    check("resource.tags[\"nope\"] == \"x\" || true", true);
    check("{\"eu-west-1\": \"Dublin\"}[resource.region] == \"Dublin\"", true);
}

#[test]
fn times() {
    check("resource.age == duration(\"50m\") && resource.state_for == duration(\"1h\")", true);
    check("resource.age < duration(\"15m\")", false);
    check("now == timestamp(\"2026-01-01T01:00:00Z\") && now.getHours() == 1 && now.getFullYear() == 2026", true);
    check("now - resource.created_at == resource.age", true);
    check("resource.kind == \"instance\" && resource.launched_at + duration(\"1h\") > now", true);
    check("now.getHours(\"Europe/Berlin\") == 2 && now.getDayOfWeek() == 4", true);
    check("expiry(resource.tags[\"expires-at\"]) - now < duration(\"24h\")", true);
}

/// As CEL has it: months and days of the month count from 0, the date from 1, the days of the week from Sunday, 0.
#[test]
fn what_counts_from_nothing_and_what_from_one() {
    let at: Timestamp = "2026-03-01T05:06:07.008Z".parse().unwrap();
    let known = known(instance());
    let subject = Subject::new(&known, None, false, at);
    for (part, value) in [
        ("getFullYear", 2026),
        ("getMonth", 2),
        ("getDate", 1),
        ("getDayOfMonth", 0),
        ("getDayOfWeek", 0),
        ("getHours", 5),
        ("getMinutes", 6),
    ] {
        for source in [format!("now.{part}() == {value}"), format!("now.{part}(\"UTC\") == {value}")] {
            assert_eq!(condition(&source).holds(&subject), Ok(true), "{source}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_makes_no_negative_age() {
    let known = known(instance());
    let subject = Subject::new(&known, None, false, minute(-60));
    assert_eq!(condition("resource.age == duration(\"0s\") && resource.state_for == duration(\"0s\")").holds(&subject), Ok(true));
}

#[test]
fn state_for_counts_from_the_state_and_not_the_stage() {
    let mut known = known(instance());
    known.stage_since = minute(50);
    known.state_since = minute(20);
    let subject = Subject::new(&known, None, true, hour(1));
    assert_eq!(condition("resource.state_for == duration(\"40m\")").interpreted(&subject), Ok(true));
}

#[test]
fn without_group_and_ledger() {
    let known = known(instance());
    let subject = Subject::new(&known, None, false, hour(1));
    for source in ["group == null && ci == null", "group == null || group.max_size > 1", "!(ci != null && ci.missing > 0)"] {
        assert_eq!(condition(source).holds(&subject), Ok(true), "{source}");
        assert_eq!(condition(source).interpreted(&subject), Ok(true), "{source}");
    }
}

#[test]
fn failures_say_what_is_missing() {
    fails("resource.kind == \"instance\" && resource.memory_mib > 1024", "resource.memory_mib has no value");
    fails("resource.tags[\"nope\"] == \"x\"", "resource has no tag `nope`");
    fails("resource.tags.nope == \"x\"", "resource has no tag `nope`");
    fails(
        "resource.state.startsWith(\"run\") && resource.kind == \"instance\" && resource.os_family.contains(\"x\")",
        "resource.os_family has no value",
    );
    fails("expiry(resource.tags.role) < now", "`expiry(resource.tags.role)`: \"ci-runner\" is no date or time");
    fails("timestamp(resource.tags.role) < now", "`timestamp(resource.tags.role)`: \"ci-runner\": it is no RFC 3339 time");
    fails(
        "resource.kind == \"instance\" && resource.vcpus / (resource.vcpus - 4) == 1",
        "`resource.vcpus / (resource.vcpus - 4)`: division by zero",
    );
    fails(
        "resource.tags.all(k, resource.tags[k + \"x\"] == \"a\")",
        "`resource.tags.all(k, resource.tags[k + \"x\"] == \"a\")` has no entry `teamx`",
    );
    for part in ["substring(5)", "substring(-1)", "substring(3, 2)", "substring(0, 5)"] {
        let source = format!("\"prod\".{part} == \"\"");
        fails(&source, &format!("`\"prod\".{part}`: the text has no such part"));
    }
    fails("group != null ? resource.tags[\"a\"] == \"b\" : true", "resource has no tag `a`");
    let mut odd = instance();
    odd.attributes.insert("vcpus".to_owned(), json!("four"));
    let known = known(odd);
    let subject = Subject::new(&known, None, true, hour(1));
    let error = condition("resource.kind == \"instance\" && resource.vcpus > 1").holds(&subject).unwrap_err();
    assert_eq!(error.to_string(), "resource.vcpus is not a whole number");
    let mut odd = instance();
    odd.attributes.insert("launched_at".to_owned(), json!("0000-01-01T00:00:00Z"));
    odd.created_at = "0000-01-01T00:00:00Z".parse().ok();
    let known = self::known(odd);
    let subject = Subject::new(&known, None, true, hour(1));
    for (source, field) in
        [("resource.kind == \"instance\" && resource.launched_at < now", "launched_at"), ("resource.created_at < now", "created_at")]
    {
        let error = condition(source).holds(&subject).unwrap_err();
        assert_eq!(error.to_string(), format!("resource.{field} is not a time between the years 1 and 9999"));
        assert_eq!(condition(source).interpreted(&subject), Err(error));
    }
}

#[test]
fn texts() {
    let known = known(instance());
    let group = group();
    let subject = Subject::new(&known, Some(&group), true, hour(1));
    let of = |source| text(source).text(&subject).map_err(|error| error.to_string());
    assert_eq!(of("\"fleet/\" + resource.tags[\"role\"]"), Ok("fleet/ci-runner".to_owned()));
    assert_eq!(of("group != null ? group.name : \"none\""), Ok("web".to_owned()));
    assert_eq!(of("string(now)"), Ok("2026-01-01T01:00:00Z".to_owned()));
    assert_eq!(of("has(resource.os_family) ? resource.os_family : resource.region"), Ok("eu-west-1".to_owned()));
    assert_eq!(of("ci != null ? ci.flag : \"\""), Err("`ci != null ? ci.flag : \"\"` has no value".to_owned()));
    assert_eq!(of("resource.tags.nope"), Err("resource has no tag `nope`".to_owned()));
}

#[test]
fn expiry_reads_what_people_write_into_tags() {
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    assert_eq!(expiry("2026-11-30"), at("2026-11-30T00:00:00Z"));
    assert_eq!(expiry(" 2026-11-30 "), at("2026-11-30T00:00:00Z"));
    assert_eq!(expiry("2026-11-30T18:00Z"), at("2026-11-30T18:00:00Z"));
    assert_eq!(expiry("2026-11-30T18:00"), at("2026-11-30T18:00:00Z"));
    assert_eq!(expiry("2026-11-30 18:00:00"), at("2026-11-30T18:00:00Z"));
    assert_eq!(expiry("2026-11-30T18:00:00+01:00"), at("2026-11-30T17:00:00Z"));
    assert_eq!(expiry("2026-11-30 18:00+01:00"), at("2026-11-30T17:00:00Z"));
    assert_eq!(expiry("2026-11-30T18:00:00.5Z"), at("2026-11-30T18:00:00.5Z"));
    assert_eq!(expiry("1796083200"), at("2026-12-01T00:00:00Z"));
    for nonsense in [
        "",
        "soon",
        "never",
        "30.11.2026",
        "11/30/2026",
        "2026-13-01",
        "2026-11-31",
        "20261130",
        "2026-11-30T25:00Z",
        "2026-11-30Z",
        "179608320",
        "-1796083200",
        "2026-W48-1",
        "2026-11-30T18:00[Europe/Berlin]",
        "2026-11-30 tomorrow",
        "2026-02-31",
        "2026-11-30T24:00",
        "2026-01-01T99:99",
        "2026-01-01T10:00 +0:",
        "2026-01-01T10:00+0:",
        "2026-01-01T:",
        // No year of CEL's.
        "0000-12-31",
    ] {
        assert_eq!(expiry(nonsense), None, "{nonsense}");
        let mut it = instance();
        it.tags.insert("until".to_owned(), nonsense.to_owned());
        let known = known(it);
        let subject = Subject::new(&known, None, true, hour(1));
        let until = "isExpiry(resource.tags.until) && expiry(resource.tags.until) < now";
        let guarded = condition(&format!("\"until\" in resource.tags && {until}"));
        assert_eq!((guarded.holds(&subject), guarded.interpreted(&subject)), (Ok(false), Ok(false)), "{nonsense}");
    }
    check("isExpiry(\" 2026-11-30 18:00+01:00\") && isExpiry(resource.tags[\"expires-at\"]) && !isExpiry(resource.tags.role)", true);
}

/// The table of signatures promises nothing that the interpreter does not have.
#[test]
fn every_signature_can_be_called() {
    let of = |param: &Param| match param {
        Param::Bool => "true",
        Param::Int => "7",
        Param::Double => "1.5",
        Param::Text => "\"2026-11-30T18:00:00Z\"",
        Param::Time => "now",
        Param::Duration => "duration(\"90m\")",
        Param::List | Param::Texts => "[\"a\"]",
        Param::Map => "resource.tags",
    };
    for function in FUNCTIONS {
        for overload in function.overloads {
            let text = match (function.name, *overload) {
                ("duration", [Param::Text]) => Some("\"5m\""),
                ("int" | "double", [Param::Text]) => Some("\"5\""),
                (name, [Param::Time, Param::Text]) if name.starts_with("get") => Some("\"UTC\""),
                _ => None,
            };
            let given: Vec<&str> =
                overload.iter().map(|param| if *param == Param::Text { text.unwrap_or(of(param)) } else { of(param) }).collect();
            let call = match given.split_first() {
                Some((target, rest)) if function.is_method => format!("{target}.{}({})", function.name, rest.join(", ")),
                _ => format!("{}({})", function.name, given.join(", ")),
            };
            check(&format!("{call} == {call}"), true);
        }
    }
}

/// A run asks some thirty rules about each of a hundred thousand resources: the usual ones must not need the interpreter.
#[test]
fn the_usual_rules_are_answered_natively() {
    let (known, group) = (known(instance()), group());
    let subject = Subject::new(&known, Some(&group), true, hour(1));
    for (source, expected) in [
        ("resource.kind == \"instance\" && \"role\" in resource.tags && resource.tags[\"role\"] == \"ci-runner\"", true),
        ("resource.kind == \"instance\" && group != null && group.max_size > 1", true),
        ("resource.kind == \"instance\" && \"karpenter.sh/nodepool\" in resource.tags", false),
        ("has(resource.tags.env) && resource.tags.env != \"prod\"", false),
        ("\"expires-at\" in resource.tags && expiry(resource.tags[\"expires-at\"]) < now", false),
        ("resource.tags.exists(k, k.startsWith(\"kubernetes.io/cluster/\"))", false),
        ("resource.tags.exists(k, isExpiry(resource.tags[k]) && expiry(resource.tags[k]) < now)", false),
        ("resource.tags.exists(k, k.matches(\"(?i)^EXPIRES\") && isExpiry(resource.tags[k]))", true),
        ("resource.tags.exists(k, k == \"role\" && resource.tags[k].endsWith(\"-runner\"))", true),
        ("resource.kind == \"instance\" && resource.private_addresses.all(a, a.matches(\"^10[.]\"))", true),
        ("resource.kind == \"instance\" && resource.state == \"stopped\" && resource.state_for > duration(\"720h\")", false),
        ("resource.kind == \"instance\" && resource.purchase == \"spot\" && resource.age < duration(\"1h\")", true),
        ("ci == null || ci.stage in [\"deferred\", \"missing\"]", true),
        // One no is enough, whatever else would fail.
        ("resource.kind == \"volume\" && resource.tags[\"nope\"].split(\",\").size() > 1", false),
    ] {
        assert_eq!(condition(source).quick.answer_about(subject.view()), Some(expected), "{source}");
        check(source, expected);
    }
}

#[test]
fn an_expression_goes_to_any_thread() {
    fn goes<T: Send + Sync + 'static>() {}
    goes::<Expression>();
    goes::<Vocabulary>();
}
