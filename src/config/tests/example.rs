//! `config/example.yaml` is complete, valid, and tells the truth about the defaults.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_aws_settings::{Rate, Rates};
use dewpoint_azure_settings as azure;
use serde_json::Value as Json;

use super::super::diagnostic::Report;
use super::super::schema::schema;
use super::super::tree;
use super::super::{Given, JsmAuth, ServiceNowAuth, TargetKind};
use super::{EXAMPLE, errors, try_load};

/// Resolves a reference within the schema.
fn resolve<'s>(root: &'s Json, schema: &'s Json) -> &'s Json {
    match schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap(),
        None => schema,
    }
}

/// Every key that is not a section, by its path (items of `sources` and `targets` by their kind), with its default. A section within them that is of one
/// of several kinds is one key.
fn keys(root: &Json, schema: &Json, path: &str, found: &mut BTreeMap<String, Option<Json>>) {
    let resolved = resolve(root, schema);
    let kinds = resolved.get("oneOf").and_then(Json::as_array).filter(|branches| branches.iter().all(|b| b.get("properties").is_some()));
    if let Some(branches) = kinds.filter(|_| path.matches('/').count() == 1) {
        for branch in branches {
            let kind = branch.pointer("/properties/kind/const").and_then(Json::as_str).unwrap();
            keys(root, branch, &format!("{path}[{kind}]"), found);
        }
    } else if let Some(properties) = resolved.get("properties").and_then(Json::as_object) {
        for (key, property) in properties {
            keys(root, property, &format!("{path}/{key}"), found);
        }
    } else if let Some(items) =
        resolved.get("items").filter(|items| resolve(root, items).get("oneOf").is_some_and(|_| path.matches('/').count() == 1))
    {
        keys(root, items, path, found);
    } else {
        found.insert(path.to_owned(), schema.get("default").cloned());
        // A word or a list of mappings: the mappings' keys are keys, too.
        for list in resolved.get("anyOf").and_then(Json::as_array).into_iter().flatten() {
            if let Some(items) = list.get("items").filter(|items| resolve(root, items).get("properties").is_some()) {
                keys(root, items, &format!("{path}[]"), found);
            }
        }
    }
}

/// The keys of a written configuration, by the same paths, with their values.
fn written(node: &Json, path: &str, known: &BTreeMap<String, Option<Json>>, found: &mut BTreeMap<String, Json>) {
    match node {
        _ if known.contains_key(path) => {
            found.insert(path.to_owned(), node.clone());
            for item in node.as_array().into_iter().flatten().filter(|item| item.is_object()) {
                written(item, &format!("{path}[]"), known, found);
            }
        }
        Json::Object(map) => {
            for (key, value) in map {
                written(value, &format!("{path}/{key}"), known, found);
            }
        }
        Json::Array(items) => {
            for item in items {
                let kind = item.get("kind").and_then(Json::as_str).unwrap();
                written(item, &format!("{path}[{kind}]"), known, found);
            }
        }
        _ => panic!("{path} is no key of the schema"),
    }
}

/// The example with every `# key: value`, and every `# key:` over others, made effective.
fn uncommented() -> String {
    let root = schema();
    let mut names = BTreeSet::new();
    let mut all = BTreeMap::new();
    keys(&root, &root, "", &mut all);
    for path in all.keys() {
        names.extend(path.split('/').map(str::to_owned));
    }
    let lines = EXAMPLE.lines().map(|line| {
        // Rules in the comments are a list of their own, whose keys are none of these.
        let comment = line.trim_start().strip_prefix("# ").filter(|_| !line.starts_with("  #   "));
        let key = comment.and_then(|comment| comment.split_once(':')).filter(|(_, value)| value.is_empty() || value.starts_with(' '));
        match (comment, key) {
            (Some(comment), Some((key, _))) if names.contains(key.trim_start()) => {
                format!("{}{comment}", " ".repeat(line.len() - line.trim_start().len()))
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn json(text: &str) -> Json {
    let mut report = Report::new("example.yaml");
    let tree = tree::parse(text, &mut report);
    assert!(report.is_empty(), "{report:?}");
    tree.unwrap().to_json()
}

#[test]
fn it_loads() {
    let config = try_load(EXAMPLE).map_err(|errors| errors.render(false)).unwrap();
    assert_eq!(config.sources.len(), 3);
}

#[test]
fn it_loads_with_every_comment_made_effective() {
    // The only keys that do not go together.
    let told = errors(&uncommented());
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("  help")).map(|line| line.split_once(": ").unwrap().1).collect();
    let expected = [
        "an SQLite ledger has no password",
        "`targets.snow.auth`: `oauth` and `basic` do not go together",
        "`targets.snow.auth`: `oauth` and `api_key` do not go together",
        "`targets.assets.auth`: `basic` and `oauth` do not go together",
        "`targets.assets.auth`: `basic` and `token` do not go together",
        "`targets.assets.auth`: `token` is not taken by Cloud",
    ];
    assert_eq!(told, expected);
    let together = uncommented().replace("sqlite://dewpoint.db\n", "postgres://host/dewpoint\n");
    let others = ["      basic: {", "      api_key:", "      oauth: {", "      token:"];
    let together: Vec<&str> = together.lines().filter(|line| !others.iter().any(|other| line.starts_with(other))).collect();
    try_load(&together.join("\n")).map_err(|errors| errors.render(false)).unwrap();
}

#[test]
fn every_key_is_in_it_and_every_default_is_the_real_one() {
    let root = schema();
    let mut known = BTreeMap::new();
    keys(&root, &root, "", &mut known);
    assert!(known.len() > 35, "{known:?}");
    let mut found = BTreeMap::new();
    written(&json(&uncommented()), "", &known, &mut found);
    for (path, default) in &known {
        let value = found.get(path).unwrap_or_else(|| panic!("{path} is not in config/example.yaml"));
        if let Some(default) = default {
            assert_eq!(value, default, "{path}");
        }
    }
}

/// Those of budgets are not said twice in our code, but they are here, and in the published schema.
#[test]
fn the_budgets_in_it_are_those_of_the_source() {
    let Rates { ec2, load_balancing, auto_scaling, organizations, sts } = Rates::default();
    let families =
        [("ec2", ec2), ("load_balancing", load_balancing), ("auto_scaling", auto_scaling), ("organizations", organizations), ("sts", sts)];
    let example = json(&uncommented());
    let schema = schema();
    let aws = schema.pointer("/$defs/Source/oneOf/0/properties/rate/default").unwrap();
    for (family, Rate { per_second, burst }) in families {
        let expected = serde_json::json!({ "requests_per_second": per_second, "burst": burst });
        assert_eq!(example.pointer(&format!("/sources/0/rate/{family}")), Some(&expected), "{family}");
        assert_eq!(aws.get(family), Some(&expected), "{family}");
    }
}

#[test]
fn the_budgets_of_azure_in_it_are_those_of_the_source() {
    let azure::Rates { resource_manager, compute, network, resource_graph } = azure::Rates::default();
    let apis = [("resource_manager", resource_manager), ("compute", compute), ("network", network), ("resource_graph", resource_graph)];
    let example = json(&uncommented());
    let schema = schema();
    let published = schema.pointer("/$defs/Source/oneOf/1/properties/rate/default").unwrap();
    for (api, azure::Rate { per_second, burst }) in apis {
        let expected = serde_json::json!({ "requests_per_second": per_second, "burst": burst });
        assert_eq!(example.pointer(&format!("/sources/1/rate/{api}")), Some(&expected), "{api}");
        assert_eq!(published.get(api), Some(&expected), "{api}");
    }
}

#[test]
fn every_credential_of_azure_in_its_comments_works_and_every_key_is_there() {
    let forms: Vec<&str> =
        EXAMPLE.lines().filter_map(|line| line.strip_prefix("    #   ")).filter(|line| line.starts_with("{ kind: ")).collect();
    let mut found = BTreeSet::new();
    for form in forms {
        let text = EXAMPLE.replace("credential: { kind: workload_identity }", &format!("credential: {form}"));
        try_load(&text).map_err(|errors| errors.render(false)).unwrap();
        let credential = json(form);
        let kind = credential.get("kind").and_then(Json::as_str).unwrap();
        found.extend(credential.as_object().unwrap().keys().map(|key| format!("{kind}.{key}")));
    }
    let root = schema();
    let mut known = BTreeSet::new();
    for branch in root.pointer("/$defs/AzureCredential/oneOf").and_then(Json::as_array).unwrap() {
        let kind = branch.pointer("/properties/kind/const").and_then(Json::as_str).unwrap();
        known.extend(branch.get("properties").and_then(Json::as_object).unwrap().keys().map(|key| format!("{kind}.{key}")));
    }
    assert_eq!(found, known);
}

/// Editors hold defaults against the schema, too: what has none is left out of them.
#[test]
fn the_default_addresses_of_azure_are_none() {
    assert_eq!(schema().pointer("/$defs/Source/oneOf/1/properties/endpoints/default"), Some(&serde_json::json!({})));
}

/// The addresses in it are said to be the cloud's own.
#[test]
fn the_addresses_of_azure_in_it_are_the_usual_ones() {
    let example = json(&uncommented());
    let azure::Endpoints { authority, resource_manager, audience } = azure::Endpoints::public();
    let told = |key: &str| example.pointer(&format!("/sources/1/endpoints/{key}")).and_then(Json::as_str).unwrap();
    assert_eq!(told("authority"), authority.as_str().trim_end_matches('/'));
    assert_eq!(told("resource_manager"), resource_manager.as_str().trim_end_matches('/'));
    assert_eq!(told("audience"), audience);
}

#[test]
fn left_out_keys_mean_the_same_as_the_example() {
    let mut minimal = try_load(super::MINIMAL).unwrap();
    let mut example = try_load(EXAMPLE).unwrap();
    let azure = "{ name: azure, kind: azure, tenant: 00000000-0000-0000-0000-000000000000, credential: { kind: workload_identity } }";
    let bare = try_load(&format!("sources: [{{ name: aws, kind: aws }}, {azure}]\ntargets: [{{ name: cmdb, kind: local, path: x.db }}]\n"))
        .unwrap();
    for (written, bare) in example.sources.iter().zip(&bare.sources) {
        assert_eq!(written.kind, bare.kind);
    }
    example.sources.clear();
    minimal.sources.clear();
    let bare = "sources: [{ name: aws, kind: aws }]\ntargets:\n  - { name: snow, kind: servicenow, url: \"https://example.service-now.com\", \
                auth: { oauth: { client_id: env:SNOW_ID, client_secret: env:SNOW_SECRET } } }\n  - { name: assets, kind: jsm, url: \"https://example.atlassian.net\", \
                auth: { basic: { username: bot@example.com, password: env:ATLASSIAN_TOKEN } }, schema: CLOUD }\n  - { name: halo, kind: haloitsm, url: \"https://example.haloitsm.com\", tenant: example, \
                auth: { oauth: { client_id: env:HALO_ID, client_secret: env:HALO_SECRET } } }\n";
    minimal.targets.extend(try_load(bare).map_err(|errors| errors.render(false)).unwrap().targets);
    for target in minimal.targets.iter_mut().chain(&mut example.targets) {
        target.place.position = super::Position::START;
        if let TargetKind::ServiceNow(settings) = &mut target.kind
            && let ServiceNowAuth::OAuth { client_id: Given::Kept(id), client_secret: secret, .. } = &mut settings.auth
        {
            (id.place.position, secret.place.position) = (super::Position::START, super::Position::START);
        }
        if let TargetKind::Jsm(settings) = &mut target.kind
            && let JsmAuth::Basic { password, .. } = &mut settings.auth
        {
            password.place.position = super::Position::START;
        }
        if let TargetKind::Halo(settings) = &mut target.kind
            && let Given::Kept(id) = &mut settings.client_id
        {
            (id.place.position, settings.client_secret.place.position) = (super::Position::START, super::Position::START);
        }
    }
    assert_eq!(minimal, example);
}

#[test]
fn the_rules_in_its_comments_work_and_have_every_key() {
    let block = EXAMPLE.lines().skip_while(|line| *line != "  # For example:").skip(1).take_while(|line| line.starts_with("  #   "));
    let rules: String = block.map(|line| format!("  {}\n", line.trim_start_matches("  # "))).collect();
    let config = try_load(&format!("lifecycle:\n  rules:\n{rules}{}", super::MINIMAL)).map_err(|errors| errors.render(false)).unwrap();
    assert_eq!(config.lifecycle.rules.iter().count(), 4);
    assert_eq!(config.warnings, []);
    let root = schema();
    for definition in ["Rule", "Settings"] {
        for key in root.pointer(&format!("/$defs/{definition}/properties")).and_then(Json::as_object).unwrap().keys() {
            assert!(rules.contains(&format!("{key}: ")), "{definition}.{key} is not in config/example.yaml");
        }
    }
}

#[test]
fn every_preset_is_named_in_it() {
    for preset in
        crate::config::schema::schema().pointer("/$defs/Lifecycle/properties/presets/items/enum").and_then(Json::as_array).unwrap()
    {
        assert!(EXAMPLE.contains(preset.as_str().unwrap()), "{preset}");
    }
}
