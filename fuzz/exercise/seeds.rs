//! Inputs to begin with, made of the files of the repository.

use std::path::{Path, PathBuf};

use dewpoint::config::load_bytes;
use serde_json::Value;

/// What a `lifecycle:` block lacks to be a configuration.
pub const REST: &str =
    "sources: [{ name: demo, kind: file, path: inventory.json }]\ntargets: [{ name: cmdb, kind: local, path: cmdb.db }]\n";

/// A machine that any rules can be asked about.
const CASES: &str = "\
cases:
  - name: any
    resource: { kind: instance, age: 30m, purchase: spot, tags: { env: prod } }
    expect: { disposition: record, flag: null, timers: { min_age: 15m, purge_after: never } }
";

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_root = here.join("config/example.yaml").exists();
    if is_root { here.to_owned() } else { here.parent().expect("the fuzz targets lie in the repository").to_owned() }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The YAML files of a folder, by name and with their text.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no YAML");
    paths.iter().map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), text(path))).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// The `lifecycle:` block of a story, where it has one.
fn lifecycle(story: &str) -> Option<String> {
    let mut lines = story.lines().skip_while(|line| !line.starts_with("lifecycle:"));
    let first = lines.next()?;
    let rest = lines.take_while(|line| line.starts_with([' ', '#']) || line.is_empty());
    Some(std::iter::once(first).chain(rest).map(|line| format!("{line}\n")).collect())
}

/// `lifecycle:` blocks: each preset's rules as if they were the user's, and those of the stories.
fn blocks() -> Vec<(String, String)> {
    let presets = files("config/presets").into_iter().map(|(name, text)| (name, format!("lifecycle:\n{}", indented(&text))));
    let stories = files("tests/scenarios").into_iter().filter_map(|(name, text)| Some((name, lifecycle(&text)?)));
    presets.chain(stories).collect()
}

/// Whole configurations.
pub fn configuration() -> Vec<Vec<u8>> {
    let whole = ["config/example.yaml", "config/quickstart/dewpoint.yaml"].map(|path| text(&root().join(path)));
    let blocks = blocks().into_iter().map(|(_, block)| format!("{block}{REST}"));
    whole.into_iter().chain(blocks).map(String::into_bytes).collect()
}

/// Blocks with cases, and the expressions of the presets and the stories by themselves.
pub fn rules() -> Vec<Vec<u8>> {
    let blocks = blocks();
    let mut all: Vec<String> =
        files("tests/presets").into_iter().map(|(name, cases)| format!("lifecycle:\n  presets: [{name}]\n{cases}")).collect();
    all.extend(blocks.iter().map(|(_, block)| format!("{block}{CASES}")));
    for (_, block) in blocks {
        let Ok(config) = load_bytes("dewpoint.yaml", format!("{block}{REST}").as_bytes(), Path::new("/etc")) else { continue };
        for rule in config.lifecycle.rules.iter() {
            let into = rule.action.as_ref().and_then(|action| action.written().1);
            all.extend([Some(rule.when.source()), into].into_iter().flatten().map(str::to_owned));
        }
    }
    all.sort();
    all.dedup();
    all.into_iter().map(String::into_bytes).collect()
}

/// Parts of the quick start's inventory, each with some resources of every kind, the relations between them, and the receipts without their counts.
pub fn inventory() -> Vec<Vec<u8>> {
    const PARTS: usize = 16;
    let whole: Value = serde_json::from_str(&text(&root().join("config/quickstart/inventory.json"))).expect("it is JSON");
    let list = |name: &str| whole.get(name).and_then(Value::as_array).expect("a list").clone();
    let field = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut resources = list("resources");
    resources.sort_by_key(|resource| field(resource, "kind"));
    (0..PARTS)
        .map(|part| {
            let resources: Vec<&Value> = resources.iter().skip(part).step_by(PARTS).collect();
            let keys: Vec<Option<String>> = resources.iter().map(|resource| field(resource, "key")).collect();
            let mut relations = list("relations");
            relations.retain(|relation| keys.contains(&field(relation, "from")) || keys.contains(&field(relation, "to")));
            let mut receipts: Vec<Value> = list("receipts").into_iter().skip(part).step_by(PARTS / 4).collect();
            receipts.iter_mut().filter_map(Value::as_object_mut).for_each(|receipt| drop(receipt.remove("count")));
            let entries = |entries: &mut dyn Iterator<Item = &Value>| entries.map(|entry| format!("\n{entry}")).collect::<Vec<_>>().join(",");
            let taken_at = whole.get("taken_at").unwrap_or(&Value::Null);
            let (receipts, resources, relations) =
                (entries(&mut receipts.iter()), entries(&mut resources.into_iter()), entries(&mut relations.iter().take(12)));
            format!(
                "{{\"schema_version\":1,\"taken_at\":{taken_at},\n\"receipts\":[{receipts}],\n\"resources\":[{resources}],\n\"relations\":[{relations}]}}\n"
            )
            .into_bytes()
        })
        .collect()
}
