//! What is said about a target of Jira Service Management that is wrong.

use insta::assert_snapshot;

use super::{errors, try_load};

const SITE: &str = "sources: [{ name: f, kind: file, path: inventory.json }]\ntargets:\n  - name: a\n    kind: jsm\n    url: https://example.atlassian.net\n    schema: CLOUD\n";
const CLOUD: &str = "    auth: { basic: { username: bot@example.com, password: env:ATLASSIAN_TOKEN } }\n";
const DATA_CENTER: &str = "    auth: { token: env:JIRA_TOKEN }\n    deployment: data_center\n";

#[track_caller]
fn each(site: &str, keys: &[&str]) -> String {
    keys.iter().map(|key| errors(&format!("{SITE}{site}    {key}\n"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn attributes_that_are_dewpoints_own() {
    let field = |name: &str| format!("mapping: {{ instance: {{ fields: {{ {name}: ci.name }} }} }}");
    let fields = ["External ID", "dewpoint data", "routed from", "lifecycle", "owner", "Security groups"].map(field);
    assert_snapshot!(each(CLOUD, &fields.each_ref().map(String::as_str)), @r#"
    8:38: `targets.a.mapping.instance.fields.External ID`: attribute `External ID` cannot be mapped
      help: Dewpoint or Assets fills it
    8:38: `targets.a.mapping.instance.fields.dewpoint data`: attribute `dewpoint data` cannot be mapped
      help: Dewpoint or Assets fills it
    8:38: `targets.a.mapping.instance.fields.routed from`: attribute `routed from` cannot be mapped
      help: Dewpoint or Assets fills it
    8:38: `targets.a.mapping.instance.fields.lifecycle`: attribute `Lifecycle` cannot be mapped: it says where a resource stands in its life
      help: set the names of its statuses under `statuses`
    8:38: `targets.a.mapping.instance.fields.owner`: Assets tells no attributes apart by case
      help: write `Owner`
    8:38: `targets.a.mapping.instance.fields.Security groups`: attribute `Security groups` cannot be mapped
      help: Dewpoint or Assets fills it
    "#);
}

#[test]
fn imports() {
    let keys = [
        "import: { token: hunter2, keeps_missing: true }",
        "import: { token: env:IMPORT, from: 1, keeps_missing: true }",
        "import: { token: env:IMPORT, keep_missing: true }",
        "import: { token: env:IMPORT }",
        "import: { token: env:IMPORT, keeps_missing: false }",
        "import: {}",
    ];
    assert_snapshot!(each(CLOUD, &keys), @r#"
    8:22: `targets.a.import.token`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    8:40: `targets.a.import.from`: expected a whole number from 25 to 2000, found 1
    8:34: unknown key `keep_missing` in `targets.a.import`
      help: did you mean `keeps_missing`?
    8:13: key `keeps_missing` is missing in `targets.a.import`
      help: `keeps_missing`: `true`, once the import source is set to ignore missing objects, which no interface tells
    8:49: `targets.a.import.keeps_missing`: an import would delete the objects that it does not show
      help: set the import source to ignore missing objects, in the mapping of each type, and write `true`; or take `import` out
    8:13: key `keeps_missing` is missing in `targets.a.import`
      help: `keeps_missing`: `true`, once the import source is set to ignore missing objects, which no interface tells
    8:13: key `token` is missing in `targets.a.import`
      help: `token`: Token of the import source, as a reference: `env:NAME` or `file:PATH`
    "#);
    assert_snapshot!(each(DATA_CENTER, &["import: { token: env:IMPORT, keeps_missing: true }"]), @r#"
    9:5: `targets.a.import`: Data Center has no imports by an interface
      help: take it out: objects are made one by one
    "#);
    for good in ["import: { token: env:IMPORT, keeps_missing: true }", "import: { token: env:IMPORT, from: 500, keeps_missing: true }"] {
        try_load(&format!("{SITE}{CLOUD}    {good}\n")).map_err(|errors| errors.render(false)).unwrap();
    }
}
