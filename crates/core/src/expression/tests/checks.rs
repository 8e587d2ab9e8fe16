//! What is found before anything is asked.

use super::*;

/// The one mistake of a source: what is underlined, the text, the help.
#[track_caller]
fn check(source: &str, underlined: &str, text: &str, help: &str) {
    let mistakes = mistakes(source);
    assert_eq!(mistakes.len(), 1, "{source}: {mistakes:#?}");
    let mistake = &mistakes[0];
    let found = (&source[mistake.at.clone()], mistake.text.as_str(), mistake.help.as_deref().unwrap_or_default());
    assert_eq!(found, (underlined, text, help), "{source}");
}

#[test]
fn names_and_fields() {
    check("resorce.kind == \"instance\"", "resorce", "unknown name `resorce`", "did you mean `resource`?");
    check("kind == \"instance\"", "kind", "unknown name `kind`", "write `resource.kind`");
    check("resource.nmae == \"x\"", "nmae", "`resource` has no field `nmae`", "did you mean `name`?");
    check("resource . vcpu == 4", "vcpu", "`resource` has no field `vcpu`", "did you mean `vcpus`?");
    check("\"äöü\" == resource.nmae", "nmae", "`resource` has no field `nmae`", "did you mean `name`?");
    check(
        "resource.costcenter == \"x\"",
        "costcenter",
        "`resource` has no field `costcenter`",
        "a tag is written `resource.tags[\"costcenter\"]`",
    );
    check("group != null && group.vcpus > 1", "vcpus", "`group` has no field `vcpus`", "a tag is written `group.tags[\"vcpus\"]`");
    check("ci != null && ci.stag == \"active\"", "stag", "`ci` has no field `stag`", "did you mean `stage`?");
    check("resource.stage == \"active\"", "stage", "`resource` has no field `stage`", "`stage` is a field of `ci`");
    check("now.year == 1", "now.year", "a timestamp has no fields", "");
}

#[test]
fn fields_of_other_kinds() {
    check(
        "resource.kind == \"instance\" && resource.max_size > 1",
        "max_size",
        "`max_size` is an attribute of scaling_group, and this is about instance",
        "for an instance's group, write `group.max_size`",
    );
    check(
        "resource.kind in [\"volume\", \"pool\"] && resource.image == \"ami-1\"",
        "image",
        "`image` is an attribute of instance, and this is about volume and pool",
        "",
    );
    check(
        "resource.vcpus >= 4",
        "resource.vcpus",
        "`resource.vcpus` has no value on account, region and 12 other kinds, and this would fail there",
        "say which kind: resource.kind == \"instance\" && …",
    );
    check(
        "resource.kind in [\"instance\", \"volume\"] && resource.vcpus >= 4",
        "resource.vcpus",
        "`resource.vcpus` has no value on volume, and this would fail there",
        "say which kind: resource.kind == \"instance\" && …",
    );
    check(
        "\"10.0.0.1\" in resource.private_addresses",
        "resource.private_addresses",
        "`resource.private_addresses` has no value on account, region and 11 other kinds, and this would fail there",
        "say which kind: resource.kind in [\"instance\", \"network_interface\"] && …",
    );
    check(
        "group.max_size > 1",
        "group",
        "`group` is null for what is in no scaling group, and this would fail there",
        "say `group != null && …`",
    );
    check(
        "ci.missing > 1",
        "ci",
        "`ci` is null for what was not known before this run, and this would fail there",
        "say `ci != null && …`",
    );
}

#[test]
fn what_guards_a_field() {
    for source in [
        "resource.kind == \"instance\" && resource.vcpus >= 4",
        "resource.vcpus >= 4 && resource.kind == \"instance\"",
        "\"instance\" == resource.kind && (resource.vcpus >= 4 || resource.size.startsWith(\"m5\"))",
        "resource.kind != \"instance\" || resource.vcpus >= 4",
        "!(resource.kind == \"instance\") || resource.vcpus >= 4",
        "resource.kind == \"instance\" ? resource.vcpus >= 4 : false",
        "resource.kind in [\"instance\", \"subnet\"] && resource.zone.endsWith(\"a\")",
        "(resource.kind == \"instance\" || resource.kind == \"subnet\") && resource.zone.endsWith(\"a\")",
        "resource.vcpus != null && resource.vcpus >= 4",
        "has(resource.vcpus) && resource.vcpus >= 4",
        "resource.size == \"m5.large\"",
        "resource.size in [\"m5.large\", \"m5.xlarge\"]",
        "resource.vcpus == null",
        "group == null || group.max_size <= 1",
        "group != null && group.tags.exists(key, key.startsWith(group.name))",
        "ci != null && ci.stage == \"missing\" && ci.missing >= 2",
        "resource.age < duration(\"15m\") && resource.state_for > duration(\"1h\")",
        "\"expires-at\" in resource.tags && expiry(resource.tags[\"expires-at\"]) < now",
        "resource.kind == \"load_balancer\" && resource.listeners.exists(l, l.port == 443)",
        "resource.tags.env == \"prod\"",
        "true",
    ] {
        condition(source);
    }
}

#[test]
fn words_of_closed_vocabularies() {
    check("resource.kind == \"instence\"", "\"instence\"", "`instence` is no kind", "did you mean `instance`?");
    check(
        "resource.kind in [\"instance\", \"vm\"]",
        "\"vm\"",
        "`vm` is no kind",
        "one of account, region, zone, resource_group, network, subnet, security_group, instance, scaling_group, network_interface, volume, public_address, load_balancer, pool, service",
    );
    check("\"amazon\" != resource.provider", "\"amazon\"", "`amazon` is no provider", "one of aws, azure, *");
    check("ci != null && ci.stage == \"retried\"", "\"retried\"", "`retried` is no stage", "did you mean `retired`?");
    check("ci != null && ci.disposition == \"folded\"", "\"folded\"", "`folded` is no disposition", "did you mean `fold`?");
    check(
        "resource.kind == \"instance\" && resource.state == \"stoped\"",
        "\"stoped\"",
        "`stoped` is no state of an instance",
        "did you mean `stopped`?",
    );
}

#[test]
fn types() {
    check("resource.name == 4", "resource.name == 4", "a string and an int are never equal", "write `int(resource.name)`");
    check("resource.missing == 1", "missing", "`resource` has no field `missing`", "`missing` is a field of `ci`");
    check(
        "ci != null && ci.missing == \"1\"",
        "ci.missing == \"1\"",
        "an int and a string are never equal",
        "a number stands without quotes: 1",
    );
    check(
        "resource.tags[\"expires\"] < now",
        "resource.tags[\"expires\"] < now",
        "a string and a timestamp have no order",
        "write `expiry(resource.tags[\"expires\"])` or `timestamp(resource.tags[\"expires\"])`",
    );
    check(
        "resource.age > 15",
        "resource.age > 15",
        "a duration and an int have no order",
        "a duration carries its unit, such as `duration(\"15m\")`",
    );
    check("resource.age > \"15m\"", "resource.age > \"15m\"", "a duration and a string have no order", "write `duration(\"15m\")`");
    check("resource.name", "resource.name", "a condition gives true or false, and this gives a string", "");
    check("resource.name && true", "resource.name", "true or false is wanted here, and this is a string", "");
    check("!resource.name", "resource.name", "true or false is wanted here, and this is a string", "");
    check("resource.name ? true : false", "resource.name", "true or false is wanted here, and this is a string", "");
    check("(true ? 1 : \"a\") == 1", "true ? 1 : \"a\"", "this gives an int or a string", "");
    check("resource.name + 1 == \"a\"", "resource.name + 1", "`+` does not go with a string and an int", "make it a text by `string(…)`");
    check("now + 5 > now", "now + 5", "`+` does not go with a timestamp and an int", "");
    check("1 + 1.0 > 1.0", "1 + 1.0", "`+` does not go with an int and a double", "make the whole number a decimal by `double(…)`");
    check("resource.tags[1] == \"a\"", "1", "a map(string, string) is looked into with a string, and this is an int", "");
    check(
        "resource.name in \"abc\"",
        "\"abc\"",
        "`in` looks into a list or a map, and this is a string",
        "to look for a text in a text: `text.contains(part)`",
    );
    check("4 in [\"a\"]", "4 in [\"a\"]", "an int is never in a list(string)", "");
    check("4 in resource.tags", "4", "a key is a string, and this is an int", "");
    check("resource == group", "resource == group", "maps and objects cannot be compared as a whole", "compare their fields");
    check("1u == 1", "1u", "there are no unsigned numbers here", "leave out the `u`");
    check("b\"a\" == \"a\"", "b\"a\"", "there are no byte strings here", "leave out the `b`");
    check("Foo{a: 1} == null", "Foo{a: 1}", "there are no message types here", "");
}

#[test]
fn functions() {
    check("resource.name.startWith(\"a\")", "startWith", "unknown function `startWith`", "did you mean `startsWith`?");
    check(
        "resource.name.startsWith(1)",
        "resource.name.startsWith(1)",
        "`startsWith` does not go with string and (int)",
        "it is `string.startsWith(string)`",
    );
    check(
        "resource.name.startsWith()",
        "resource.name.startsWith()",
        "`startsWith` takes 1 argument, not 0",
        "it is `string.startsWith(string)`",
    );
    check(
        "startsWith(resource.name, \"a\")",
        "startsWith(resource.name, \"a\")",
        "`startsWith` is not called this way",
        "write `x.startsWith(…)`",
    );
    check("now.size() > 1", "now.size()", "`size` cannot be called on timestamp", "it is `string.size()` or `list.size()` or `map.size()`");
    check("resource.tags.exists(k)", "resource.tags.exists(k)", "`exists` is not written so", "it is `x.exists(item, condition)`");
    check("resource.tags.any(k, true)", "any", "unknown function `any`", "it is `x.exists(item, condition)` here");
    check(
        "timestamp(\"2026-13-01\") < now",
        "\"2026-13-01\"",
        "`\"2026-13-01\"` cannot be read: it is no RFC 3339 time",
        "such as \"2026-11-30T18:00:00Z\"",
    );
    check("expiry(\"soon\") < now", "\"soon\"", "`\"soon\"` cannot be read: \"soon\" is no date or time", "");
    check(
        "resource.age > duration(\"1 day\")",
        "\"1 day\"",
        "`\"1 day\"` cannot be read: it is no duration",
        "such as \"90s\", \"15m\" or \"36h\"",
    );
    check(
        "now.getHours(\"Europe/Berlinn\") == 1",
        "\"Europe/Berlinn\"",
        "`\"Europe/Berlinn\"` cannot be read: unknown time zone Europe/Berlinn",
        "",
    );
    check("resource.name.matches(\"web-[\")", "\"web-[\"", "this pattern cannot be used: unclosed character class", "");
    check(
        "resource.name.matches(resource.key)",
        "resource.key",
        "a pattern is a text in quotes",
        "to look for a value: `text.contains(value)`",
    );
    check("resource.name.replace(\"\", \"a\") == \"\"", "\"\"", "what is replaced is a text in quotes, not empty", "");
    check(
        "[1, 2].join(\",\") == \"1,2\"",
        "[1, 2].join(\",\")",
        "`join` does not go with list(int) and (string)",
        "it is `list(string).join()` or `list(string).join(string)`",
    );
    condition("now.getHours(\"Europe/Berlin\") >= 8 && now.getDayOfWeek(\"+02:00\") in [1, 2]");
}

#[test]
fn macros() {
    check(
        "resource.tags.exists(resource, true)",
        "resource.tags.exists(resource, true)",
        "`resource` is taken: an element needs a name of its own",
        "",
    );
    check(
        "resource.name.split(\",\").exists(p, p == \"a\")",
        "resource.name.split(\",\")",
        "a macro goes over a field (tags, a list) or a list written out",
        "",
    );
    check("resource.name.exists(c, c == \"a\")", "resource.name", "a macro goes over a list or a map, and this is a string", "");
    check("resource.tags.exists(k, k)", "k", "true or false is wanted here, and this is a string", "");
    check("resource.tags.exists(k, k > 1)", "k > 1", "a string and an int have no order", "write `int(k)`");
    check(
        "resource.tags.filter(k, k.startsWith(\"a\")).size() == \"1\"",
        "resource.tags.filter(k, k.startsWith(\"a\")).size() == \"1\"",
        "an int and a string are never equal",
        "a number stands without quotes: 1",
    );
    check(
        "has(group.max_size)",
        "group",
        "`group` is null for what is in no scaling group, and this would fail there",
        "say `group != null && …`",
    );
    check("has(resource.nmae)", "nmae", "`resource` has no field `nmae`", "did you mean `name`?");
    condition("resource.tags.filter(k, k.startsWith(\"a\")).map(k, resource.tags[k]).exists_one(v, v == \"1\")");
}

#[test]
fn syntax() {
    check("resource.kind = \"instance\"", "=", "`=` means nothing here", "to compare, write `==`");
    check("\"äöü\" = resource.name", "=", "`=` means nothing here", "to compare, write `==`");
    check("true and false", "and", "`and` is not expected here", "write `&&`");
    check("true &&\n  resource.name ==", "", "the expression ends too early", "");
    check("(true", "", "the expression ends too early", "");
    check("", "", "an expression is missing", "to match everything, write `true`");
    check("resource..name == \"a\"", ".", "`.` is not expected here", "");
    check(
        "resource.name == \"a",
        "\"",
        "this text has no end, or holds an escape that CEL does not know",
        "a backslash in a pattern is written `\\\\`, or the text raw: r\"\\d+\"",
    );
    check("package == 1", "package", "`package` is a reserved word of CEL", "");
    check("99999999999999999999 == 1", "99999999999999999999", "invalid int literal: `99999999999999999999`", "");
    check("has(resource)", "resource", "`has` takes a field, such as `has(x.name)`", "");
    check("resource.?name == null", ".", "unsupported syntax `.?`", "");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let found = mistakes("resorce.kind == \"a\" || resource.nmae == \"b\" || resource.age > 5");
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.is_sorted_by_key(|mistake| mistake.at.start));
}

#[test]
fn a_text_is_wanted() {
    text("\"karpenter/\" + resource.tags[\"karpenter.sh/nodepool\"]");
    text("group != null ? group.name : resource.region");
    let mistakes = Expression::compile("1 + 1", &Vocabulary::rules(), Wanted::Text).unwrap_err();
    assert_eq!(mistakes[0].text, "this must give a text, and this gives an int");
}

#[test]
fn what_the_condition_tests_is_given() {
    let compile = |condition_source: &str, source: &str| {
        Expression::compile_where(source, &Vocabulary::rules(), Wanted::Text, &condition(condition_source)).map(|_| ())
    };
    assert_eq!(compile("resource.kind == \"instance\" && group != null", "group.name + resource.size.lowerAscii()"), Ok(()));
    assert_eq!(compile("has(resource.size)", "resource.size + \"\""), Ok(()));
    let mistakes = compile("resource.kind == \"instance\" || group != null", "group.name").unwrap_err();
    assert_eq!(mistakes[0].at, 0..5, "{mistakes:#?}");
    let mistakes = compile("resource.kind == \"volume\"", "resource.image").unwrap_err();
    assert_eq!(mistakes[0].text, "`image` is an attribute of instance, and this is about volume");
}

/// What is doubted, as written.
#[track_caller]
fn doubts(source: &str) -> Vec<&str> {
    condition(source).doubts().iter().map(|doubt| &source[doubt.at.clone()]).collect()
}

#[test]
fn a_tag_that_nothing_asked_for_is_doubted() {
    let expression = condition(r#"resource.tags["role"] == "ci""#);
    let [doubt] = expression.doubts() else { panic!("{:?}", expression.doubts()) };
    assert_eq!(doubt.text, r#"`resource.tags["role"]` fails on everything without the tag "role""#);
    assert_eq!(doubt.help.as_deref(), Some(r#"ask for the tag first: `"role" in resource.tags && …`"#));
    for (source, doubted) in [
        (r#"resource.tags.role == "ci""#, "resource.tags.role"),
        (r#"group != null && group.tags["role"] == "ci""#, r#"group.tags["role"]"#),
        // Of another tag, of another's tags, in another case, of the opposite.
        (r#""role" in resource.tags && resource.tags["env"] == "ci""#, r#"resource.tags["env"]"#),
        (r#""role" in resource.tags && group != null && group.tags["role"] == "ci""#, r#"group.tags["role"]"#),
        (r#""Role" in resource.tags && resource.tags["role"] == "ci""#, r#"resource.tags["role"]"#),
        (r#"!("role" in resource.tags) && resource.tags["role"] == "ci""#, r#"resource.tags["role"]"#),
        (r#""role" in resource.tags || resource.tags["role"] == "ci""#, r#"resource.tags["role"]"#),
        (r#""role" in resource.tags ? true : resource.tags["role"] == "ci""#, r#"resource.tags["role"]"#),
        // Asked for in one of two alternatives only.
        (r#"("role" in resource.tags || resource.kind == "volume") && resource.tags["role"] == "ci""#, r#"resource.tags["role"]"#),
        (r#"resource.tags.exists(k, k == "env") && ["a"].exists(v, resource.tags["role"] == v)"#, r#"resource.tags["role"]"#),
    ] {
        assert_eq!(doubts(source), [doubted], "{source}");
    }
    assert_eq!(
        doubts(r#"resource.tags["a"] == "x" || resource.tags.b == "y" || resource.tags["a"] == "z""#),
        [r#"resource.tags["a"]"#, "resource.tags.b"]
    );
}

#[test]
fn a_tag_that_is_asked_for_is_not_doubted() {
    for source in [
        r#""role" in resource.tags && resource.tags["role"] == "ci""#,
        r#""role" in resource.tags && resource.tags.role == "ci""#,
        r#"has(resource.tags.role) && resource.tags["role"] == "ci""#,
        // `&&` and `||` do not mind the order.
        r#"resource.tags["role"] == "ci" && "role" in resource.tags"#,
        r#"!("role" in resource.tags) || resource.tags["role"] == "ci""#,
        r#"!has(resource.tags.role) || resource.tags.role == "ci""#,
        r#""role" in resource.tags ? resource.tags["role"] == "ci" : false"#,
        r#"!("role" in resource.tags) ? false : resource.tags["role"] == "ci""#,
        r#"("role" in resource.tags ? resource.tags["role"] : "none") == "ci""#,
        r#"resource.kind == "instance" && ("role" in resource.tags && (resource.tags["role"] == "a" || resource.tags["role"] == "b"))"#,
        r#"("a" in resource.tags && resource.tags["a"] == "x") || ("b" in resource.tags && resource.tags["b"] == "x")"#,
        r#""role" in resource.tags && ["a", "b"].exists(v, resource.tags["role"] == v)"#,
        r#"group != null && "role" in group.tags && group.tags["role"] == "ci""#,
        // Names that are not written out.
        r#"resource.tags.exists(k, k.startsWith("owner") && resource.tags[k] == "ann")"#,
        r#"["a", "b"].exists(k, k in resource.tags && resource.tags[k] == "x")"#,
        r#"{"a": "b"}["a"] == "b""#,
        r#"resource.name == "web" || resource.name in ["a", "b"] || resource.name == null"#,
        r#"has(resource.name) && resource.name.startsWith("web")"#,
        r#"resource.name != null && (resource.name == "web" || resource.name.matches("^web"))"#,
    ] {
        assert_eq!(doubts(source), [""; 0], "{source}");
    }
    let name = Expression::compile_where(
        r#""pool/" + resource.tags["pool"]"#,
        &Vocabulary::rules(),
        Wanted::Text,
        &condition(r#""pool" in resource.tags && resource.kind == "instance""#),
    );
    assert_eq!(name.unwrap().doubts(), []);
}

#[test]
fn a_field_that_may_be_null_is_doubted() {
    let told = |source: &str| {
        let expression = condition(source);
        let [doubt] = expression.doubts() else { panic!("{source}: {:?}", expression.doubts()) };
        (doubt.text.clone(), doubt.help.clone().unwrap_or_default())
    };
    let text = |text: &str, help: &str| (text.to_owned(), help.to_owned());
    assert_eq!(
        told(r#"resource.created_at < timestamp("2026-01-01T00:00:00Z")"#),
        text(
            "`resource.created_at` is null where nobody tells a birth, and this fails there",
            "ask for it first: `resource.created_at != null && …`; or take `resource.age`, which everything has"
        )
    );
    assert_eq!(
        told(r#"resource.kind == "subnet" && resource.is_default"#),
        text("`resource.is_default` is null where nobody tells it, and this fails there", "write `resource.is_default == true`")
    );
    assert_eq!(
        told(r#"resource.kind == "instance" && resource.vcpus > 2"#),
        text("`resource.vcpus` is null where nobody tells it, and this fails there", "ask for it first: `resource.vcpus != null && …`")
    );
    for (source, doubted) in [
        ("resource.name.startsWith(\"web\")", "resource.name"),
        ("now - resource.created_at > duration(\"1h\")", "resource.created_at"),
        // A state is sure of machines alone.
        ("resource.state.startsWith(\"a\")", "resource.state"),
        ("resource.kind in [\"instance\", \"volume\"] && resource.state > \"a\"", "resource.state"),
        ("group != null && group.state.contains(\"delet\")", "group.state"),
        ("group != null && group.created_at < now", "group.created_at"),
        ("ci != null && ci.flag.contains(\"spot\")", "ci.flag"),
        ("resource.kind == \"instance\" && resource.private_addresses[0] == \"10.0.0.1\"", "resource.private_addresses"),
        ("resource.kind == \"instance\" && \"10.0.0.1\" in resource.private_addresses", "resource.private_addresses"),
        ("resource.kind == \"instance\" && resource.private_addresses.exists(a, a == \"\")", "resource.private_addresses"),
        ("resource.kind == \"instance\" && size(resource.macs) > 1", "resource.macs"),
        ("resource.kind == \"instance\" && -resource.vcpus < 0", "resource.vcpus"),
        ("resource.kind == \"instance\" && timestamp(resource.launched_at) < now", "resource.launched_at"),
        ("resource.kind == \"pool\" && resource.health_check.path == \"/\"", "resource.health_check"),
        ("resource.name in resource.tags", "resource.name"),
        // A fleet that a rule names has no limits.
        ("resource.kind == \"scaling_group\" && resource.max_size > 1", "resource.max_size"),
        // Asked for elsewhere, of another field, or in one of two alternatives.
        ("resource.created_at == null && resource.created_at < now", "resource.created_at"),
        ("resource.created_at != null || resource.created_at < now", "resource.created_at"),
        ("has(resource.name) && resource.created_at < now", "resource.created_at"),
    ] {
        assert_eq!(doubts(source), [doubted], "{source}");
    }
}

#[test]
fn a_field_that_is_there_is_not_doubted() {
    for source in [
        "resource.created_at != null && resource.created_at < now",
        "has(resource.created_at) && resource.created_at < now",
        "resource.created_at == null || resource.created_at < now",
        "resource.created_at != null ? resource.created_at < now : false",
        "resource.state == \"in-use\" || resource.state != \"available\" || resource.state in [\"a\", null]",
        "resource.kind == \"instance\" && resource.state.startsWith(\"stop\")",
        "resource.kind == \"instance\" && resource.state == \"stopped\" && resource.state_for > duration(\"720h\")",
        "resource.kind == \"instance\" && resource.size.startsWith(\"m5.\") && resource.vcpus == 4",
        "resource.kind == \"instance\" && has(resource.vcpus) && resource.vcpus > 2",
        "resource.kind == \"instance\" && resource.private_addresses != null && resource.private_addresses.exists(a, a == \"\")",
        "resource.kind == \"instance\" && resource.private_addresses != null && resource.private_addresses != [] && resource.private_addresses[0] == \"\"",
        "resource.kind == \"scaling_group\" && resource.max_size != null && resource.max_size > 1",
        "group != null && group.max_size > 1",
        "resource.kind == \"volume\" && resource.encrypted && resource.size_gib > 100",
        "resource.kind == \"subnet\" && resource.is_default == true",
        "resource.kind == \"security_group\" && resource.open_to_world.size() > 0",
        "resource.kind == \"load_balancer\" && resource.listeners.exists(l, l.port == 443)",
        "ci != null && ci.flag == \"spot\" && ci.first_seen < now",
        "resource.age > duration(\"1h\") && resource.region.startsWith(\"eu-\")",
    ] {
        assert_eq!(doubts(source), [""; 0], "{source}");
    }
}

#[test]
fn a_tag_that_is_read_as_what_it_may_not_be_is_doubted() {
    let told = |reading: &str| {
        let source = format!(r#""x" in resource.tags && {reading}"#);
        let expression = condition(&source);
        let [doubt] = expression.doubts() else { panic!("{source}: {:?}", expression.doubts()) };
        (doubt.text.clone(), doubt.help.clone().unwrap_or_default())
    };
    let text = |text: &str, help: &str| (text.to_owned(), help.to_owned());
    assert_eq!(
        told(r#"timestamp(resource.tags["x"]) < now"#),
        text(
            r#"`timestamp(resource.tags["x"])` fails where the tag's value is no time with seconds and offset"#,
            r#"write `isExpiry(resource.tags["x"]) && expiry(resource.tags["x"])`, which takes dates as people write them"#
        )
    );
    assert_eq!(
        told("int(resource.tags.x.trim()) > 3"),
        text(
            "`int(resource.tags.x.trim())` fails where the tag's value is no whole number",
            r#"ask for its form first: `resource.tags.x.trim().matches("^[0-9]{1,9}$") && …`"#
        )
    );
    for (reading, asked) in [
        (r#"expiry(resource.tags["x"]) < now"#, r#"isExpiry(resource.tags["x"])"#),
        (r#"resource.age > duration(resource.tags["x"])"#, r#"resource.tags["x"].matches("^[0-9]{1,6}[smh]$")"#),
        (r#"double(resource.tags["x"]) > 0.5"#, r#"resource.tags["x"].matches("^[0-9]{1,9}([.][0-9]+)?$")"#),
        (r#"timestamp(resource.tags["x"]) < now"#, r#"resource.tags["x"].matches("^[-0-9]{10}T00:00:00Z$")"#),
    ] {
        let (_, help) = told(reading);
        assert!(help.contains(asked) || reading.starts_with("timestamp"), "{help}");
        let source = format!(r#""x" in resource.tags && {asked} && {reading}"#);
        assert_eq!(doubts(&source), [""; 0], "{source}");
        let source = format!(r#""x" in resource.tags && ({asked} || {reading})"#);
        assert_eq!(doubts(&source).len(), 1, "{source}");
    }
    // That it is some date does not make it a time in full.
    assert_eq!(told(r#"isExpiry(resource.tags["x"]) && timestamp(resource.tags["x"]) < now"#).0.matches("timestamp").count(), 1);
    let any = r#"resource.tags.exists(k, k.startsWith("expir") && isExpiry(resource.tags[k]) && expiry(resource.tags[k]) < now)"#;
    assert_eq!(doubts(any), [""; 0]);
    assert_eq!(doubts(&any.replace("isExpiry(resource.tags[k]) && ", "")), ["expiry(resource.tags[k])"]);
}

#[test]
fn an_element_of_a_list_that_may_be_shorter_is_doubted() {
    let told = |condition_source: &str| {
        let source = format!("resource.kind == \"instance\" && {condition_source}");
        let expression = condition(&source);
        let [doubt] = expression.doubts() else { panic!("{source}: {:?}", expression.doubts()) };
        (doubt.text.clone(), doubt.help.clone().unwrap_or_default())
    };
    let text = |text: &str, help: &str| (text.to_owned(), help.to_owned());
    assert_eq!(
        told("resource.macs[0] == \"a\""),
        text(
            "`resource.macs[0]` fails where the list is shorter or null",
            "ask for its length first: `resource.macs != null && size(resource.macs) > 0 && …`"
        )
    );
    assert_eq!(
        told("resource.macs != null && resource.macs[1] == \"a\""),
        text("`resource.macs[1]` fails where the list is shorter", "ask for its length first: `size(resource.macs) > 1 && …`")
    );
    for (length, is_enough) in [
        ("size(resource.macs) > 1", true),
        ("1 < resource.macs.size()", true),
        ("resource.macs.size() >= 2", true),
        ("2 <= resource.macs.size()", true),
        ("size(resource.macs) == 2", true),
        ("!(size(resource.macs) < 2)", true),
        ("!(size(resource.macs) <= 1)", true),
        ("size(resource.macs) > 0", false),
        ("size(resource.macs) != 0", false),
        ("size(resource.macs) < 2", false),
        ("!(size(resource.macs) > 1)", false),
        ("(size(resource.macs) > 1 || size(resource.macs) > 0)", false),
    ] {
        let source = format!("resource.kind == \"instance\" && resource.macs != null && {length} && resource.macs[1] == \"a\"");
        assert_eq!(doubts(&source).is_empty(), is_enough, "{source}");
    }
    for source in [
        "resource.kind == \"instance\" && resource.macs != null && size(resource.macs) != 0 && resource.macs[0] == \"a\"",
        "resource.kind == \"instance\" && resource.macs != null && \"b\" in resource.macs && resource.macs[0] == \"a\"",
        "[1, 2][1] == 2",
    ] {
        assert_eq!(doubts(source), [""; 0], "{source}");
    }
}

#[test]
fn what_a_condition_can_hold_of_is_known() {
    for (source, of_machines, in_groups) in [
        ("true", false, false),
        ("resource.kind == \"instance\"", true, false),
        ("resource.kind == \"volume\"", false, false),
        ("group != null", true, true),
        ("group != null && group.max_size > 1", true, true),
        ("group != null && \"env\" in group.tags", true, true),
        ("group == null", false, false),
        ("resource.kind == \"instance\" && (resource.state == \"stopped\" || group != null)", true, false),
        ("\"role\" in resource.tags && resource.tags[\"role\"] == \"group\"", false, false),
        ("resource.kind in [\"instance\", \"volume\"] && resource.kind != \"volume\"", true, false),
    ] {
        let condition = condition(source);
        assert_eq!((condition.holds_of_machines_only(), condition.holds_in_groups_only()), (of_machines, in_groups), "{source}");
    }
}

#[test]
fn conditions_that_hold_of_no_machine() {
    for (source, is_so) in [
        ("resource.kind == \"volume\"", true),
        ("resource.kind in [\"volume\", \"pool\"]", true),
        ("resource.kind in [\"volume\", \"instance\"]", false),
        ("\"a\" in resource.tags", false),
    ] {
        assert_eq!(condition(source).holds_of_no_machine(), is_so, "{source}");
    }
}

#[test]
fn what_is_doubted_fails_without_a_value() {
    let mut bare = instance();
    (bare.name, bare.created_at, bare.state) = (None, None, None);
    bare.attributes.clear();
    let known = known(bare);
    let subject = Subject::new(&known, None, false, hour(1));
    for source in [
        "resource.created_at < now",
        "resource.name.size() > 1",
        "resource.kind == \"instance\" && resource.vcpus > 2",
        "resource.kind == \"instance\" && resource.private_addresses[0] == \"\"",
        "resource.kind == \"instance\" && \"\" in resource.macs",
    ] {
        assert!(condition(source).holds(&subject).is_err(), "{source}");
        assert_eq!(condition(source).doubts().len(), 1, "{source}");
    }
}

#[test]
fn control_characters_are_spelt_out() {
    check("resource.name ==\u{1b}[31m 1", "\u{1b}", "`\\u{1b}` means nothing here", "");
}
