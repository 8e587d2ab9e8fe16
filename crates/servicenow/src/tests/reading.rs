//! Full reads: which edges they tell, what they cost, and whose record one with two marks is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dewpoint_core::model::{Key, Kind, RelationType};
use dewpoint_core::target::{Addressed, Ci, FoundRecord, Operation, RecordId, Target, TargetError, Write};
use dewpoint_servicenow_sim::{Effect, Fault, Mishap, RowRule};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::rig::{Rig, config, machine, relate, thing, unrelate};
use crate::{Auth, Mapping, Override, ServiceNowConfig, ServiceNowTarget, Statuses};

fn group(id: &str) -> Ci {
    thing(Kind::SecurityGroup, &format!("security-group/{id}"), id, &json!({"rules": []}))
}

fn interface(id: &str) -> Ci {
    thing(Kind::NetworkInterface, &format!("network-interface/{id}"), id, &json!({"mac": "0a:00"}))
}

/// Edges as (native id, type, native id).
type Told = BTreeSet<(String, String, String)>;

async fn told(rig: &Rig) -> Told {
    told_of(rig.read_all().await)
}

fn told_of(records: Vec<FoundRecord>) -> Told {
    let native = |key: &Key| key.as_str().rsplit('/').next().unwrap().to_owned();
    let mut told = Told::new();
    for record in records {
        let from = native(record.external_id.as_ref().unwrap());
        for ((relation, to), attributes) in record.edges.expect("each record tells of its edges") {
            assert_eq!(attributes, None, "an instance keeps none");
            told.insert((from.clone(), relation.to_string(), native(&to)));
        }
    }
    told
}

fn edges<'a>(all: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Told {
    all.into_iter().map(|(from, relation, to)| (from.to_owned(), relation.to_owned(), to.to_owned())).collect()
}

/// Two machines behind a group that lets another one in, and an interface.
async fn estate(rig: &Rig) -> BTreeMap<String, RecordId> {
    let (all, edges) = parts();
    let creates: Vec<Write> = all.iter().map(|ci| rig.create(ci)).collect();
    let records = rig.send(0, &creates).await;
    let records: BTreeMap<String, RecordId> = all.iter().map(|ci| ci.native_id.clone()).zip(records).collect();
    let relates: Vec<Write> = edges
        .iter()
        .map(|(from, relation, to)| relate((from, Some(&records[&from.native_id])), *relation, (to, Some(&records[&to.native_id]))))
        .collect();
    rig.send(1, &relates).await;
    records
}

fn parts() -> (Vec<Ci>, Vec<(Ci, RelationType, Ci)>) {
    use RelationType::{Allows, AttachedTo, ProtectedBy};
    let all = vec![machine(1), machine(2), group("sg-1"), group("sg-2"), interface("eni-1")];
    let edges = vec![
        (machine(1), ProtectedBy, group("sg-1")),
        (machine(2), ProtectedBy, group("sg-1")),
        (group("sg-2"), Allows, group("sg-1")),
        (interface("eni-1"), AttachedTo, machine(1)),
        (interface("eni-1"), ProtectedBy, group("sg-1")),
    ];
    (all, edges)
}

const ALL: [(&str, &str, &str); 5] = [
    ("i-0001", "protected_by", "sg-1"),
    ("i-0002", "protected_by", "sg-1"),
    ("sg-2", "allows", "sg-1"),
    ("eni-1", "attached_to", "i-0001"),
    ("eni-1", "protected_by", "sg-1"),
];

#[tokio::test]
async fn edges_are_told_in_both_directions_of_their_relationships() {
    let mut rig = Rig::new();
    estate(&rig).await;
    assert_eq!(told(&rig).await, edges(ALL));
    // Another process knows nothing but what it reads.
    rig.anew();
    assert_eq!(told(&rig).await, edges(ALL));
}

#[tokio::test]
async fn what_people_and_other_sources_drew_is_not_told() {
    let rig = Rig::new();
    let records = estate(&rig).await;
    let kinds = ["Uses::Used by", "Depends on::Used by"].map(|name| rig.sim.edit(|instance| instance.relation_type(name)).unwrap());
    let drawn = [(&records["i-0002"], &kinds[0], &records["sg-2"]), (&records["i-0001"], &kinds[1], &records["i-0002"])];
    for (parent, kind, child) in drawn {
        rig.sim.edit(|instance| {
            let row = instance.insert("cmdb_rel_ci", &[("parent", &parent.0), ("type", kind), ("child", &child.0)]);
            instance.insert("sys_rel_source", &[("name", "ServiceNow"), ("target_sys_id", &row)]);
        });
    }
    assert_eq!(told(&rig).await, edges(ALL));
    // What we relate as well is ours as well.
    let both = ((&machine(2), Some(&records["i-0002"])), (&group("sg-2"), Some(&records["sg-2"])));
    rig.send(2, &[relate(both.0, RelationType::ProtectedBy, both.1)]).await;
    let more = ALL.into_iter().chain([("i-0002", "protected_by", "sg-2")]);
    assert_eq!(told(&rig).await, edges(more));
}

#[tokio::test]
async fn an_edge_of_a_former_type_is_told_until_it_is_removed() {
    let mut rig = Rig::new();
    let records = estate(&rig).await;
    let types = [(RelationType::ProtectedBy, "Depends on::Used by".to_owned())].into();
    let mapping = Arc::new(Mapping::with(&BTreeMap::new(), &types, &Statuses::default()).unwrap());
    rig.target = ServiceNowTarget::new(&ServiceNowConfig { mapping, ..config(&rig.sim) }).unwrap();
    assert_eq!(told(&rig).await, edges(ALL));
    rig.send(2, &[unrelate((&machine(2), &records["i-0002"]), RelationType::ProtectedBy, (&group("sg-1"), &records["sg-1"]))]).await;
    let left: Told = edges(ALL.into_iter().filter(|edge| edge.0 != "i-0002"));
    assert_eq!(told(&rig).await, left);
}

#[tokio::test]
async fn a_record_whose_mark_is_of_no_kinds_class_is_of_the_kind_that_it_shows() {
    let mut rig = Rig::new();
    let records = estate(&rig).await;
    // What we wrote it as is no class of any kind by now.
    rig.sim.edit(|instance| {
        let (mark, _) = instance.find("sys_object_source", &format!("target_sys_id={}", records["i-0001"].0)).remove(0);
        instance.update(&mark, &[("target_table", "cmdb_ci_linux_server")]);
    });
    rig.anew();
    assert_eq!(told(&rig).await, edges(ALL));
}

#[tokio::test]
async fn two_kinds_of_one_class_are_told_and_a_class_of_none_is_not() {
    let mut rig = Rig::new();
    let class = |class: &str| Override { class: Some(class.to_owned()), fields: BTreeMap::new() };
    let with = |rig: &Rig, overrides: BTreeMap<Kind, Override>| {
        let mapping = Arc::new(Mapping::with(&overrides, &BTreeMap::new(), &Statuses::default()).unwrap());
        ServiceNowTarget::new(&ServiceNowConfig { mapping, ..config(&rig.sim) }).unwrap()
    };
    estate(&rig).await;
    rig.target = with(&rig, [(Kind::ScalingGroup, class("cmdb_ci_vm_instance"))].into());
    assert_eq!(told(&rig).await, edges(ALL));

    rig.target = with(&rig, [(Kind::Instance, class("cmdb_ci_linux_server"))].into());
    for record in rig.read_all().await {
        let is_machine = record.external_id.as_ref().unwrap().as_str().contains(":instance/");
        assert_eq!(record.edges.is_none(), is_machine, "nobody knows what {:?} is any more", record.external_id);
    }
}

#[tokio::test]
async fn relations_that_may_not_be_read_are_not_none() {
    for table in ["cmdb_rel_ci", "sys_rel_source"] {
        // All of them, or one.
        for query in ["", "only one"] {
            let rig = Rig::new();
            estate(&rig).await;
            let query = match query {
                "" => String::new(),
                _ => format!("sys_id={}", rig.sim.rows(table, "")[0].0),
            };
            rig.sim.edit(|instance| instance.row_rules.push(RowRule { table: table.to_owned(), query, role: "admin".to_owned() }));
            let records = rig.read_all().await;
            assert!(records.len() == 5 && records.iter().all(|record| record.edges.is_none()), "{table}");
        }
        let rig = Rig::new();
        estate(&rig).await;
        rig.sim.faults(vec![Fault::new(Effect::Forbidden).api("table").class(table)]);
        assert!(rig.read_all().await.iter().all(|record| record.edges.is_none()), "{table}");
        // What is cut off says nothing at all.
        rig.sim.faults(vec![Fault::new(Effect::PartialResult { share: 0.5 }).api("table").class(table)]);
        let error = rig.target.read(None).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn where_no_relation_is_noted_as_ours_nobody_knows_of_any() {
    let rig = Rig::new();
    estate(&rig).await;
    rig.sim.edit(|instance| {
        let noted: Vec<String> = instance.find("sys_rel_source", "name=Dewpoint").into_iter().map(|(id, _)| id).collect();
        noted.iter().for_each(|id| instance.delete(id));
    });
    let records = rig.read_all().await;
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|record| record.edges.is_none()), "{records:?}");
}

#[tokio::test]
async fn a_read_asks_for_relations_in_the_cheaper_way() {
    let mut rig = Rig::new();
    let sg = group("sg-1");
    let count = 600;
    let creates: Vec<Write> = std::iter::once(rig.create(&sg)).chain((0..count).map(|number| rig.create(&machine(number)))).collect();
    let mut records = Vec::new();
    for batch in creates.chunks(200) {
        records.extend(rig.send(0, batch).await);
    }
    let relates: Vec<Write> = (0..count)
        .map(|number| relate((&machine(number), Some(&records[number + 1])), RelationType::ProtectedBy, (&sg, Some(&records[0]))))
        .collect();
    for batch in relates.chunks(200) {
        rig.send(1, batch).await;
    }
    let asked = |rig: &Rig| {
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for call in rig.sim.calls() {
            *asked.entry(call.path.rsplit('/').next().unwrap().to_owned()).or_default() += 1;
        }
        rig.sim.clear_calls();
        asked
    };
    rig.anew();
    rig.sim.clear_calls();
    assert_eq!(told(&rig).await.len(), count);
    // 602 marks, 601 records in lists of 48, of two classes; 1 203 relations of ours of as many: one page and another, after a question how many there are.
    let by_table = |relations: usize, counts: usize| -> BTreeMap<String, usize> {
        [
            ("sys_object_source", 1),
            ("cmdb_ci_vm_instance", 13),
            ("cmdb_ci_compute_security_group", 1),
            ("cmdb_key_value", 13),
            ("sys_rel_source", 2),
            ("cmdb_rel_ci", relations + counts),
        ]
        .map(|(table, n)| (table.to_owned(), n))
        .into()
    };
    assert_eq!(asked(&rig), by_table(2, 1));

    // Where others keep many more, each list is asked about.
    let kind = rig.sim.edit(|instance| instance.relation_type("Uses::Used by")).unwrap();
    rig.sim.edit(|instance| {
        for number in 0..20_000 {
            let end = format!("{number:032x}");
            instance.insert("cmdb_rel_ci", &[("parent", &end), ("child", &end), ("type", &kind)]);
        }
    });
    assert_eq!(told(&rig).await.len(), count);
    assert_eq!(asked(&rig), by_table(13, 1));
}

/// The instance as a user sees it who may remove what the engine noted.
fn as_admin(rig: &mut Rig) {
    let auth = Auth::Basic { username: "admin".to_owned(), password: SecretString::from("admin-password") };
    rig.target = ServiceNowTarget::new(&ServiceNowConfig { auth, ..config(&rig.sim) }).unwrap();
}

/// A machine that kept its life under a new id: the update goes by record id and names the new key.
fn moved(from: &Ci, to: &Ci, record: &RecordId) -> Write {
    let operation = Operation::Update {
        record: Addressed { record: record.clone(), carries: Some(from.key.clone()) },
        class: "cmdb_ci_vm_instance".to_owned(),
        fields: [("object_id".to_owned(), Value::from(to.native_id.as_str()))].into(),
        before: BTreeMap::new(),
        retired: None,
        take_over: false,
    };
    Write { key: to.key.clone(), kind: to.kind, place: super::rig::place(to), operation }
}

fn marks(rig: &Rig) -> Vec<Vec<String>> {
    let of_machines = |mark: &Vec<String>| mark[1].contains(":instance/");
    rig.rows("sys_object_source", "", &["name", "id"]).into_iter().filter(of_machines).collect()
}

fn arn(ci: &Ci) -> String {
    ci.key.as_str().strip_prefix("aws:").unwrap().to_owned()
}

/// The record is the new machine's, to whoever asks.
async fn assert_moved(rig: &Rig, from: &Ci, to: &Ci, record: &RecordId) {
    assert_eq!(rig.find(from).await, [], "the old key leads nowhere");
    let found = rig.find(to).await;
    assert_eq!(found.iter().map(|found| &found.id).collect::<Vec<_>>(), [record]);
    let read = rig.read_all().await;
    assert_eq!(read.iter().map(|found| (&found.id, found.external_id.as_ref())).collect::<Vec<_>>(), [(record, Some(&to.key))]);
}

#[tokio::test]
async fn a_record_that_takes_a_new_key_loses_the_old_one() {
    let (from, to) = (machine(1), machine(2));
    let mut rig = Rig::new();
    as_admin(&mut rig);
    let record = rig.send(0, &[rig.create(&from)]).await.remove(0);
    // Another source knows the record by the old key as well.
    rig.sim.edit(|instance| {
        instance.insert("sys_object_source", &[("name", "ServiceNow"), ("id", &arn(&from)), ("target_sys_id", &record.0)]);
    });
    rig.send(1, &[moved(&from, &to, &record)]).await;
    let expected = [["Dewpoint".to_owned(), arn(&to)], ["ServiceNow".to_owned(), arn(&from)]];
    assert_eq!(marks(&rig), expected);
    assert_moved(&rig, &from, &to, &record).await;
    rig.anew();
    assert_moved(&rig, &from, &to, &record).await;
    // What is made under the old key by then is another record.
    let other = rig.send(2, &[rig.create(&from)]).await.remove(0);
    assert_ne!(other, record);
}

#[tokio::test]
async fn an_answer_that_is_lost_between_update_and_removal_does_no_harm() {
    let (from, to) = (machine(1), machine(2));
    let removal = |effect: Effect| Fault::new(effect).api("batch");
    let question = |effect: Effect| Fault::new(effect).api("table").class("sys_object_source").nth(2);
    let update = |effect: Effect| Fault::new(effect).api("identifyreconcile");
    let faults = [
        removal(Effect::Mishap(Mishap::Reset)),
        removal(Effect::Mishap(Mishap::Reset)).after_commit(),
        removal(Effect::Mishap(Mishap::Html { status: 503 })),
        question(Effect::Mishap(Mishap::Reset)),
        update(Effect::Mishap(Mishap::Reset)).after_commit(),
        update(Effect::QuotaKill).after_commit(),
    ];
    for fault in faults {
        let mut rig = Rig::new();
        let record = rig.send(0, &[rig.create(&from)]).await.remove(0);
        as_admin(&mut rig);
        // The old mark is an older one.
        rig.sim.edit(|instance| {
            for (row, _) in instance.find("sys_object_source", "") {
                instance.update(&row, &[("last_scan", "2026-01-01 00:00:00")]);
            }
        });
        rig.sim.faults(vec![fault.clone()]);
        let answer = rig.try_send(1, &[moved(&from, &to, &record)]).await;
        let is_lost = |answer: &Result<_, TargetError>| matches!(answer, Err(TargetError::Unreachable { .. }));
        assert!(answer.as_ref().map_or(true, |answers| is_lost(&answers[0].clone().map(|_| ()))), "{fault:?}: {answer:?}");
        // Whoever asks before it is sent again is told of the new key.
        rig.sim.faults(Vec::new());
        as_admin(&mut rig);
        assert_moved(&rig, &from, &to, &record).await;
        as_admin(&mut rig);
        rig.send(2, &[moved(&from, &to, &record)]).await;
        assert_eq!(marks(&rig), [["Dewpoint".to_owned(), arn(&to)]], "{fault:?}");
        assert_moved(&rig, &from, &to, &record).await;
    }
}

#[tokio::test]
async fn of_two_marks_the_later_one_counts_whatever_their_order() {
    let (from, to) = (machine(1), machine(2));
    for (old, new, later) in [("2026-01-01", "2026-01-02", true), ("2026-01-02", "2026-01-01", false)] {
        // Rows come in the order of their random ids.
        for seed in 0..4 {
            let mut rig = Rig::over(dewpoint_servicenow_sim::Instance::new().with_data_source("Dewpoint").with_seed(seed));
            let record = rig.send(0, &[rig.create(&from)]).await.remove(0);
            rig.sim.edit(|instance| {
                let (row, mark) = instance.find("sys_object_source", &format!("id={}", arn(&from))).remove(0);
                instance.update(&row, &[("last_scan", &format!("{old} 00:00:00"))]);
                let mut second: Vec<(&str, &str)> = mark
                    .values
                    .iter()
                    .filter(|(name, _)| !name.starts_with("sys_"))
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let (id, at) = (arn(&to), format!("{new} 00:00:00"));
                second.retain(|(name, _)| !["id", "last_scan"].contains(name));
                second.extend([("id", id.as_str()), ("last_scan", at.as_str())]);
                instance.insert("sys_object_source", &second);
            });
            rig.anew();
            let (is, was) = if later { (&to, &from) } else { (&from, &to) };
            let read = rig.read_all().await;
            assert_eq!(read.iter().map(|found| found.external_id.as_ref()).collect::<Vec<_>>(), [Some(&is.key)], "{seed}");
            // By key alone, too, in whatever order.
            rig.anew();
            let mine = |found: Vec<FoundRecord>| found.into_iter().find(|found| found.id == record).and_then(|found| found.external_id);
            assert_ne!(mine(rig.find(was).await), Some(was.key.clone()), "{seed}");
            assert_eq!(mine(rig.find(is).await), Some(is.key.clone()), "{seed}");
        }
    }
}

#[tokio::test]
async fn an_old_mark_that_may_not_be_removed_stays_and_misleads_nobody() {
    let (from, to) = (machine(1), machine(2));
    let mut rig = Rig::new();
    let record = rig.send(0, &[rig.create(&from)]).await.remove(0);
    rig.sim.edit(|instance| {
        let (row, _) = instance.find("sys_object_source", &format!("id={}", arn(&from))).remove(0);
        instance.update(&row, &[("last_scan", "2026-01-01 00:00:00")]);
    });
    rig.send(1, &[moved(&from, &to, &record)]).await;
    assert_eq!(marks(&rig).len(), 2, "the role of a plain user does not suffice");
    for is_anew in [false, true] {
        if is_anew {
            rig.anew();
        }
        assert_moved(&rig, &from, &to, &record).await;
        // The engine would find the record by the old mark, and write another machine into it.
        let before = rig.rows("cmdb_ci_vm_instance", "", &["name", "object_id"]);
        let error = rig.try_send(2, &[rig.create(&from)]).await.unwrap().remove(0).unwrap_err().to_string();
        assert!(error.contains(&record.0) && error.contains("an administrator removes row"), "{error}");
        assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name", "object_id"]), before);
    }
    // Where the record is gone, nothing is found by it.
    rig.sim.edit(|instance| instance.delete(&record.0));
    rig.anew();
    assert_ne!(rig.send(3, &[rig.create(&from)]).await, [record]);
}
