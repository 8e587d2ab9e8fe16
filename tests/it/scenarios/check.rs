//! Running a story: sync by sync, and what the CMDB and the run's document say beside what was expected.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::clouds::Clouds;
use super::story::{Edge, Record, Settings, Step, Story};
use crate::support::World;

/// A story under way.
pub struct Telling {
    world: World,
    clouds: Clouds,
    settings: Settings,
    expected: Expected,
}

/// What must hold until a step says otherwise.
#[derive(Default)]
struct Expected {
    /// By short name: whether the record is retired.
    records: BTreeMap<String, bool>,
    edges: Vec<Edge>,
    deferred: u64,
    folded: u64,
    ignored: u64,
    /// Ids of records by short name: a record that lives on stays the same one.
    ids: BTreeMap<String, String>,
}

/// What the CMDB holds.
struct Found {
    /// By key: id, and whether it is retired.
    records: BTreeMap<String, (String, bool)>,
    fields: BTreeMap<(String, String), String>,
    edges: BTreeMap<(String, String, String), Value>,
}

impl Telling {
    pub fn new(story: &Story) -> Self {
        let mut settings = Settings::default();
        settings.lay(&story.settings);
        Self { world: World::empty(), clouds: Clouds::default(), settings, expected: Expected::default() }
    }

    /// Tells one step. What is wrong with the story itself is an error; the list says what did not hold.
    pub fn tell(&mut self, step: &Step) -> Result<Vec<String>, String> {
        self.settings.lay(&step.settings);
        self.configure();
        self.clouds.take(&step.clouds)?;
        self.world.write("inventory.json", &self.clouds.inventory(&step.gaps)?);
        for line in &step.people {
            self.people(line)?;
        }
        let at = step.at.to_string();
        let plan = self.world.run(&["plan", "--at", &at, "--output", "json"]);
        let ran = self.world.run(&["sync", "--at", &at, "--output", "json"]);
        let mut wrong = Vec::new();
        if ran.code != step.then.exit {
            wrong.push(format!("exit code {}, expected {}", ran.code, step.then.exit));
        }
        // The rules of a story are read as examples.
        let is_warning = |line: &&str| line.contains(" WARN ") && line.contains("dewpoint.yaml:");
        let is_meant = |line: &str| self.settings.warned.iter().flatten().any(|text| line.contains(text.as_str()));
        wrong.extend(ran.err.lines().filter(is_warning).filter(|line| !is_meant(line)).map(str::to_owned));
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| json!({ "error": { "text": ran.err } }));
        if let Some(text) = document["error"]["text"].as_str() {
            wrong.push(format!("the run failed: {text}"));
            return Ok(wrong);
        }
        if let Ok(plan) = serde_json::from_str::<Value>(&plan.out) {
            same_as_planned(&plan, &document, &mut wrong);
        }
        self.said(step, &document, &mut wrong);
        let found = found(&self.world);
        self.records(step, &found, &mut wrong)?;
        self.edges(step, &found, &mut wrong)?;
        if !wrong.is_empty() {
            let says = [&document["problems"], &document["remarks"]].into_iter().filter_map(Value::as_array).flatten();
            wrong.extend(says.map(|said| format!("  the run says of {}: {}", word(&said["subject"]), word(&said["text"]))));
        }
        Ok(wrong)
    }

    fn configure(&self) {
        let mut cmdb = json!({ "name": "cmdb", "kind": "local", "path": "cmdb.db" });
        if let (Some(cmdb), Some(over)) = (cmdb.as_object_mut(), self.settings.cmdb.as_ref().and_then(Value::as_object)) {
            cmdb.extend(over.clone());
        }
        let source = self.settings.source.as_deref().unwrap_or("estate");
        let mut all = json!({
            "ledger": "sqlite://dewpoint.db", "sources": [{ "name": source, "kind": "file", "path": "inventory.json" }], "targets": [cmdb],
        });
        for (key, value) in &self.settings.keys {
            all[*key] = value.clone();
        }
        // JSON is YAML.
        self.world.write("dewpoint.yaml", &all.to_string());
    }

    /// A command line; `HOLD` in it stands for each hold in turn.
    fn people(&self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let run = |words: &[&str]| match self.world.run(words) {
            ran if ran.code == 0 => Ok(ran),
            ran => Err(format!("0: `{line}` ended with exit code {}: {}", ran.code, ran.err)),
        };
        if !words.contains(&"HOLD") {
            return run(&words).map(drop);
        }
        let holds = run(&["holds", "list", "--output", "json"])?.document();
        for hold in holds["holds"].as_array().into_iter().flatten() {
            let words: Vec<&str> =
                words.iter().map(|word| if *word == "HOLD" { hold["id"].as_str().unwrap_or_default() } else { word }).collect();
            run(&words)?;
        }
        Ok(())
    }

    /// What the run says of itself.
    fn said(&mut self, step: &Step, document: &Value, wrong: &mut Vec<String>) {
        let (then, expected) = (&step.then, &mut self.expected);
        let counts = [
            ("deferred", then.deferred, &mut expected.deferred),
            ("folded", then.folded, &mut expected.folded),
            ("ignored", then.ignored, &mut expected.ignored),
        ];
        for (name, news, expected) in counts {
            *expected = news.unwrap_or(*expected);
            if document[name] != json!(*expected) {
                wrong.push(format!("{name}: {}, expected {expected}", document[name]));
            }
        }
        let changes = document["holds"].as_array().into_iter().flatten().flat_map(|hold| hold["changes"].as_array().into_iter().flatten());
        let held: BTreeSet<String> = changes.filter_map(|change| change["key"].as_str()).map(|key| self.clouds.name(key)).collect();
        differ("held", &held, &then.held.iter().cloned().collect(), wrong);
        if let Some(wanted) = &then.sent {
            let sent: BTreeMap<String, u64> = World::counts(document).into_iter().collect();
            if sent != *wanted {
                wrong.push(format!("sent {sent:?}, expected {wanted:?}"));
            }
        }
        let texts = format!("{}{}", document["problems"], document["remarks"]);
        for text in then.says.iter().filter(|text| !texts.contains(text.as_str())) {
            wrong.push(format!("the run does not say `{text}`"));
        }
    }

    fn records(&mut self, step: &Step, found: &Found, wrong: &mut Vec<String>) -> Result<(), String> {
        let fail = |line: usize, fault: String| format!("{line}: {fault}");
        for (name, _, Record { is, .. }) in &step.then.records {
            match is.as_deref() {
                Some("none") => {
                    self.expected.records.remove(name);
                    self.expected.ids.remove(name);
                }
                Some(is) => drop(self.expected.records.insert(name.clone(), is == "retired")),
                None => {}
            }
        }
        let mut keys = BTreeSet::new();
        for (name, retired) in &self.expected.records {
            let key = self.clouds.key(name).map_err(|fault| fail(step.line, fault))?;
            let word = |retired: bool| if retired { "retired" } else { "live" };
            match found.records.get(&key) {
                None => wrong.push(format!("{name} has no record, expected a {} one", word(*retired))),
                Some((id, is)) => {
                    if is != retired {
                        wrong.push(format!("the record of {name} is {}, expected {}", word(*is), word(*retired)));
                    }
                    let first = self.expected.ids.entry(name.clone()).or_insert_with(|| id.clone());
                    if first != id {
                        wrong.push(format!("{name} has another record than before"));
                    }
                }
            }
            keys.insert(key);
        }
        for (key, _) in found.records.iter().filter(|(key, _)| !keys.contains(*key)) {
            wrong.push(format!("{} has a record, expected none", self.clouds.name(key)));
        }
        for (name, line, Record { fields, .. }) in &step.then.records {
            let key = self.clouds.key(name).map_err(|fault| fail(*line, fault))?;
            if !found.records.contains_key(&key) && !fields.is_empty() && !self.expected.records.contains_key(name) {
                return Err(fail(*line, format!("{name} is expected to have fields but no record")));
            }
            for (field, value) in fields {
                let wanted = (!value.is_null()).then(|| word(value));
                let is = found.fields.get(&(key.clone(), field.clone())).filter(|text| *text != "null").cloned();
                if is != wanted {
                    wrong.push(format!("{field} of {name} is {}, expected {}", told(is.as_ref()), told(wanted.as_ref())));
                }
            }
        }
        Ok(())
    }

    fn edges(&mut self, step: &Step, found: &Found, wrong: &mut Vec<String>) -> Result<(), String> {
        if let Some(edges) = &step.then.edges {
            self.expected.edges.clone_from(edges);
        }
        let mut expected = BTreeSet::new();
        for Edge { line, from, relation, to, fields } in &self.expected.edges {
            let key = |name: &str| self.clouds.key(name).map_err(|fault| format!("{line}: {fault}"));
            let edge = (key(from)?, relation.clone(), key(to)?);
            let is = found.edges.get(&edge);
            for (field, wanted) in fields {
                if let Some(is) = is.filter(|is| is[field] != *wanted) {
                    wrong.push(format!("{field} of {from} {relation} {to} is {}, expected {wanted}", is[field]));
                }
            }
            expected.insert(edge);
        }
        let told = |edges: &mut dyn Iterator<Item = &(String, String, String)>| -> BTreeSet<String> {
            edges.map(|(from, relation, to)| format!("{} {relation} {}", self.clouds.name(from), self.clouds.name(to))).collect()
        };
        differ("edges", &told(&mut found.edges.keys()), &told(&mut expected.iter()), wrong);
        Ok(())
    }
}

/// The sync must do what the plan before it said.
fn same_as_planned(plan: &Value, document: &Value, wrong: &mut Vec<String>) {
    let mut planned: BTreeMap<String, u64> = BTreeMap::new();
    for change in plan["changes"].as_array().into_iter().flatten() {
        *planned.entry(word(&change["change"])).or_default() += 1;
    }
    let sent: BTreeMap<String, u64> = World::counts(document).into_iter().collect();
    if planned != sent {
        wrong.push(format!("the plan had {planned:?}, the sync sent {sent:?}"));
    }
    let by: u64 = document["deferred_by"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    if document["deferred"] != by {
        wrong.push(format!("{} are deferred, and {by} for some reason", document["deferred"]));
    }
    for name in ["deferred", "deferred_by", "folded", "ignored"] {
        if plan[name] != document[name] {
            wrong.push(format!("{name}: {} in the plan, {} in the sync", plan[name], document[name]));
        }
    }
}

fn differ(what: &str, is: &BTreeSet<String>, wanted: &BTreeSet<String>, wrong: &mut Vec<String>) {
    for (how, names) in [("missing", wanted - is), ("unexpected", is - wanted)] {
        if !names.is_empty() {
            wrong.push(format!("{what}, {how}: {}", names.into_iter().collect::<Vec<_>>().join(", ")));
        }
    }
}

/// A value as the CMDB's views spell it.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn told(text: Option<&String>) -> String {
    text.map_or_else(|| "not there".to_owned(), |text| format!("`{text}`"))
}

fn found(world: &World) -> Found {
    let rows = |sql: &str| world.query("cmdb.db", sql);
    let text = |row: &Vec<String>, at: usize| row[at].clone();
    let records = rows("SELECT key, id, retired FROM ci");
    let fields = rows("SELECT key, name, value FROM ci_attribute");
    let edges = rows("SELECT from_key, type, to_key, attributes FROM ci_relation");
    Found {
        records: records.iter().map(|row| (text(row, 0), (text(row, 1), row[2] == "1"))).collect(),
        fields: fields.iter().map(|row| ((text(row, 0), text(row, 1)), text(row, 2))).collect(),
        edges: edges
            .iter()
            .map(|row| ((text(row, 0), text(row, 1), text(row, 2)), serde_json::from_str(&row[3]).unwrap_or(Value::Null)))
            .collect(),
    }
}
