#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dewpoint_core::testing::contract::{
    self, Rig, Stranger, at, ci, create, estate, find, key, purge, read_all, relate, send, send_as, update,
};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use super::{LocalConfig, LocalTarget, Missing, NOT_CREATED};
use crate::doctor::Health;
use crate::estate::Stage;
use crate::model::{Attributes, RelationType};
use crate::target::{Authority, RecordId, Retry, Sending, Target, TargetError};

fn config(path: &Path, missing: Missing) -> LocalConfig {
    LocalConfig { name: "cmdb".parse().unwrap(), path: path.to_owned(), authority: BTreeMap::new(), batch_size: 500, missing }
}

fn target(path: &Path, missing: Missing) -> LocalTarget {
    LocalTarget::new(config(path, missing))
}

/// A program of somebody else's that opens the file.
async fn visitor(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap()
}

async fn run(path: &Path, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut visitor(path).await).await.unwrap();
}

async fn texts(path: &Path, sql: &str) -> Vec<Option<String>> {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut visitor(path).await).await.unwrap()
}

impl LocalTarget {
    /// Runs a statement on the target's own connection: limits and modes that hold there only.
    async fn on_own_connection(&self, sql: &str) {
        let mut slot = self.slot.lock().await;
        let open = slot.open.as_mut().unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut open.connection).await.unwrap();
    }
}

struct LocalRig {
    target: LocalTarget,
    directory: TempDir,
}

impl LocalRig {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let target = target(&directory.path().join("cmdb.db"), Missing::Create);
        Self { target, directory }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("cmdb.db")
    }
}

#[async_trait]
impl Rig for LocalRig {
    fn target(&self) -> &dyn Target {
        &self.target
    }

    async fn stranger(&self, stranger: Stranger<'_>) -> RecordId {
        self.target.fingerprint(None).await.unwrap();
        let mut fields = json!({"native_id": stranger.native_id, "name": "kept by hand"});
        for (name, value) in [("account", stranger.account), ("region", stranger.region)] {
            if let Some(value) = value {
                fields[name] = json!(value);
            }
        }
        let id: i64 = sqlx::query_scalar("INSERT INTO record (class, fields) VALUES (?2, ?1) RETURNING id")
            .bind(fields.to_string())
            .bind(stranger.kind.map_or("server", |kind| kind.as_str()))
            .fetch_one(&mut visitor(&self.path()).await)
            .await
            .unwrap();
        RecordId(id.to_string())
    }

    fn changed(&self) -> (&'static str, Value) {
        ("size", json!("t3.large"))
    }

    fn emptied(&self) -> &'static str {
        "owner"
    }

    fn native_id_field(&self) -> &'static str {
        "native_id"
    }

    fn stage(&self, stage: Stage) -> Vec<(&'static str, Value)> {
        vec![("stage", json!(stage.as_str()))]
    }

    async fn records(&self) -> BTreeMap<RecordId, BTreeMap<String, Value>> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, fields FROM record").fetch_all(&mut visitor(&self.path()).await).await.unwrap_or_default();
        rows.into_iter().map(|(id, fields)| (RecordId(id.to_string()), serde_json::from_str(&fields).unwrap())).collect()
    }

    async fn erase(&self, from: &RecordId, relation: RelationType, to: &RecordId) {
        sqlx::query("DELETE FROM relation WHERE from_id = CAST(?1 AS INTEGER) AND type = ?2 AND to_id = CAST(?3 AS INTEGER)")
            .bind(&from.0)
            .bind(relation.as_str())
            .bind(&to.0)
            .execute(&mut visitor(&self.path()).await)
            .await
            .unwrap();
    }

    async fn draw(&self, from: &RecordId, relation: RelationType, to: &RecordId) {
        sqlx::query("INSERT INTO relation (from_id, type, to_id) VALUES (CAST(?1 AS INTEGER), ?2, CAST(?3 AS INTEGER))")
            .bind(&from.0)
            .bind(relation.as_str())
            .bind(&to.0)
            .execute(&mut visitor(&self.path()).await)
            .await
            .unwrap();
    }

    async fn edges(&self) -> BTreeSet<(RecordId, RelationType, RecordId)> {
        let rows: Vec<(i64, String, i64)> =
            sqlx::query_as("SELECT from_id, type, to_id FROM relation").fetch_all(&mut visitor(&self.path()).await).await.unwrap();
        rows.into_iter().map(|(from, what, to)| (RecordId(from.to_string()), what.parse().unwrap(), RecordId(to.to_string()))).collect()
    }
}

dewpoint_core::suite!(LocalRig::new);

#[track_caller]
fn assert_unusable<T: std::fmt::Debug>(answer: Result<T, TargetError>, text: &str, mend: &str) {
    let error = answer.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error:?}");
    assert!(error.to_string().contains(text) && error.to_string().contains("cmdb.db"), "{error}");
    assert!(error.hint().unwrap().contains(mend), "{error:?}");
}

#[track_caller]
fn assert_unreachable<T: std::fmt::Debug>(answer: Result<T, TargetError>, words: &str) {
    let error = answer.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { .. }) && error.to_string().contains(words), "{error:?}");
}

async fn columns(path: &Path, view: &str) -> Vec<String> {
    texts(path, &format!("SELECT name FROM pragma_table_info('{view}')")).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_views_columns_are_a_promise() {
    let rig = LocalRig::new().await;
    rig.target.fingerprint(None).await.unwrap();
    let path = rig.path();
    let ci = "id key class kind provider account region native_id name state stage environment service owner support_group cost_center \
              created_at retired recorded_at updated_at delivered_at estate";
    assert_eq!(columns(&path, "ci").await.join(" "), ci);
    assert_eq!(columns(&path, "ci_attribute").await.join(" "), "ci_id key name value");
    assert_eq!(columns(&path, "ci_relation").await.join(" "), "from_id from_key type to_id to_key attributes");
    assert_eq!(columns(&path, "ci_history").await.join(" "), "id at ci_id key change fields relation_type to_id to_key");
    for view in ["ci", "ci_attribute", "ci_relation", "ci_history"] {
        let deletion = sqlx::raw_sql(AssertSqlSafe(format!("DELETE FROM {view}"))).execute(&mut visitor(&path).await).await;
        assert!(deletion.unwrap_err().to_string().contains("it is a view"));
    }
}

#[tokio::test]
async fn the_views_show_the_estate_and_its_history() {
    let rig = LocalRig::new().await;
    let (target, path) = (&rig.target, rig.path());
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    for _ in 0..2 {
        send(target, 1, &[relate((1, 2), &records[0], &records[1], [("port".to_owned(), json!(80))].into())]).await;
    }
    send(target, 2, &[update(target, 1, &records[0], None, &[("size", json!("t3.large")), ("owner", Value::Null)])]).await;
    send(target, 2, &[update(target, 1, &records[0], None, &[("size", json!("t3.large"))])]).await;
    send(target, 3, &[update(target, 2, &records[1], Some(true), &[("stage", json!("retired"))])]).await;
    send(target, 4, &[purge(2, &records[1])]).await;

    let row = texts(
        &path,
        "SELECT key || '|' || class || '|' || native_id || '|' || name || '|' || stage || '|' || retired || '|' || created_at || '|' ||
                recorded_at || '|' || updated_at || '|' || delivered_at FROM ci",
    )
    .await;
    let expected = format!("{}|instance|i-0001|web-1|active|0|2026-01-01T00:00:00Z|{}|{}|{}", key(1), at(0), at(2), at(2));
    assert_eq!(row, [Some(expected)]);

    let attributes =
        texts(&path, "SELECT name || '=' || value FROM ci_attribute WHERE name IN ('size', 'tags', 'vcpus') ORDER BY name").await;
    assert_eq!(attributes.into_iter().flatten().collect::<Vec<_>>(), ["size=t3.large", r#"tags={"env":"prod"}"#, "vcpus=2"]);

    let history = texts(
        &path,
        "SELECT substr(key, -6) || ' ' || change || CASE WHEN change = 'create' THEN '' ELSE ' ' || fields END ||
                coalesce(' ' || relation_type || ' ' || substr(to_key, -6), '') FROM ci_history ORDER BY id",
    )
    .await;
    let expected = [
        "i-0001 create",
        "i-0002 create",
        r#"i-0001 relate {"port":{"to":80}} routes_to i-0002"#,
        r#"i-0001 update {"owner":{"from":"team-a"},"size":{"from":"t3.micro","to":"t3.large"}}"#,
        r#"i-0002 retire {"stage":{"from":"active","to":"retired"}}"#,
        "i-0002 purge {}",
    ];
    assert_eq!(history.into_iter().flatten().collect::<Vec<_>>(), expected, "no entry for what had no effect, and names outlive records");
}

#[test]
fn a_ci_becomes_flat_fields() {
    let directory = TempDir::new().unwrap();
    let mut config = config(&directory.path().join("cmdb.db"), Missing::Refuse);
    let plain = LocalTarget::new(config.clone());
    config.authority.insert("owner".to_owned(), Authority::IfEmpty);
    let target = LocalTarget::new(config);

    let mut ci = ci(1);
    ci.attributes.insert("image".to_owned(), Value::Null);
    ci.attributes.insert("name".to_owned(), json!("an attribute of an unknown name"));
    ci.attributes.insert("state".to_owned(), json!("likewise"));
    ci.state = None;
    let adapted = target.adapt(&ci).unwrap();
    assert_eq!(adapted.class, "instance");
    let names: Vec<_> = adapted.fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["account", "created_at", "name", "native_id", "owner", "provider", "region", "size", "stage", "tags", "vcpus"]);
    assert_eq!(adapted.fields["name"].value, "web-1");
    assert_eq!(adapted.fields["tags"].value, json!({"env": "prod"}));
    assert_eq!((adapted.fields["owner"].authority, adapted.fields["size"].authority), (Authority::IfEmpty, Authority::Owned));
    let identifying: Vec<_> = adapted.fields.iter().filter(|(_, field)| field.identifying).map(|(name, _)| name.as_str()).collect();
    assert_eq!(identifying, ["native_id"]);
    assert_ne!(target.mapping_digest(), plain.mapping_digest());
}

#[test]
fn what_moves_without_a_cause_is_volatile() {
    let directory = TempDir::new().unwrap();
    let target = target(&directory.path().join("cmdb.db"), Missing::Refuse);
    let mut ci = ci(1);
    ci.kind = crate::model::Kind::Pool;
    ci.attributes = [("healthy_count".to_owned(), json!(3)), ("port".to_owned(), json!(80))].into();
    let fields = target.adapt(&ci).unwrap().fields;
    assert!(fields["healthy_count"].volatile && !fields["port"].volatile);
}

#[tokio::test]
async fn a_fingerprint_belongs_to_the_file() {
    let rig = LocalRig::new().await;
    let (first, path) = (&rig.target, rig.path());
    send(first, 7, &[create(first, 1)]).await;
    let fingerprint = first.fingerprint(None).await.unwrap();
    assert_eq!(fingerprint.newest_delivered_at, Some(at(7)));
    assert_eq!(target(&path, Missing::Refuse).fingerprint(None).await.unwrap(), fingerprint);
    let other = LocalRig::new().await;
    assert_ne!(other.target.fingerprint(None).await.unwrap().instance, fingerprint.instance);
}

#[tokio::test]
async fn the_newest_delivery_is_found_whatever_the_fraction() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    let who = estate("ours");
    let late = at(7).checked_add(jiff::SignedDuration::from_millis(500)).unwrap();
    for (number, time) in [(1, late), (2, at(7))] {
        let sending = Sending { estate: &who, at: time, deadline: Instant::now() + Duration::from_secs(60) };
        target.apply(&[create(target, number)], &sending).await.unwrap();
    }
    assert_eq!(target.fingerprint(None).await.unwrap().newest_delivered_at, Some(late));
}

#[tokio::test]
async fn a_record_says_all_of_its_subject() {
    let rig = LocalRig::new().await;
    send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    let subject = find(&rig.target, 1).await[0].subject.clone().unwrap();
    let ci = ci(1);
    assert_eq!(
        (subject.kind, subject.account, subject.region, subject.native_id, subject.name),
        (ci.kind, ci.account, ci.region, ci.native_id, Some(ci.name)),
    );
}

#[tokio::test]
async fn an_edge_marks_the_record_where_it_starts() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    send(target, 9, &[relate((1, 2), &records[0], &records[1], BTreeMap::new())]).await;
    assert_eq!(find(target, 1).await[0].delivered_at, Some(at(9)));
    assert_eq!(find(target, 2).await[0].delivered_at, Some(at(0)));
    assert_eq!(target.fingerprint(None).await.unwrap().newest_delivered_at, Some(at(9)));
}

#[tokio::test]
async fn a_missing_file_is_made_shown_empty_or_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cmdb.db");

    let refused = target(&path, Missing::Refuse);
    assert_unusable(refused.fingerprint(None).await, "gone", "dewpoint target recover cmdb");
    assert_unusable(refused.read(None).await, "gone", "dewpoint target recover cmdb");
    let one = create(&refused, 1);
    assert_unusable(send_as(&refused, &estate("ours"), 0, std::slice::from_ref(&one)).await, "gone", "recover");
    assert!(refused.find(&[contract::identity(1)]).await[&key(1)].is_err());

    let shown = target(&path, Missing::Empty);
    assert_eq!(shown.fingerprint(None).await.unwrap().instance, NOT_CREATED);
    assert_eq!(read_all(&shown).await, []);
    assert_eq!(find(&shown, 1).await, []);
    assert_unusable(send_as(&shown, &estate("ours"), 0, std::slice::from_ref(&one)).await, "not there yet", "dewpoint sync");
    assert!(shown.doctor().await.iter().all(|finding| finding.outcome == Health::Ok));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "looking leaves nothing behind");

    // An empty file is what a full disk or a kill at the first instant leaves.
    std::fs::File::create(&path).unwrap();
    assert_unusable(target(&path, Missing::Refuse).fingerprint(None).await, "empty", "recover");
    assert_eq!(target(&path, Missing::Empty).fingerprint(None).await.unwrap().instance, NOT_CREATED);
    let made = target(&path, Missing::Create);
    send(&made, 0, &[one]).await;
    assert_eq!(read_all(&target(&path, Missing::Refuse)).await.len(), 1);
}

#[tokio::test]
async fn a_file_deleted_in_use_is_noticed_and_not_made_again() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 1)]).await;
    std::fs::remove_file(rig.path()).unwrap();
    assert_unusable(send_as(target, &estate("ours"), 1, &[create(target, 2)]).await, "gone", "recover");
    assert_unusable(target.fingerprint(None).await, "gone", "recover");
    assert!(!rig.path().exists());
}

#[tokio::test]
async fn a_swapped_file_is_another_cmdb() {
    let rig = LocalRig::new().await;
    let other = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 1)]).await;
    let before = target.fingerprint(None).await.unwrap();
    send(&other.target, 0, &[create(&other.target, 5)]).await;
    std::fs::rename(other.path(), rig.path()).unwrap();

    assert_unusable(send_as(target, &estate("ours"), 1, &[create(target, 2)]).await, "another one", "right file");
    assert_unusable(target.read(None).await, "another one", "right file");
    let after = target.fingerprint(None).await.unwrap();
    assert_ne!(after.instance, before.instance, "the next run sees for itself");
    assert_eq!(read_all(target).await.len(), 1);
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cmdb.db");
    for missing in [Missing::Create, Missing::Empty, Missing::Refuse] {
        std::fs::write(&path, "kind,name\n".repeat(1000)).unwrap();
        assert_unusable(target(&path, missing).fingerprint(None).await, "no SQLite database", "path");
        assert_eq!(std::fs::read(&path).unwrap().len(), 10_000);

        std::fs::remove_file(&path).unwrap();
        run(&path, "CREATE TABLE ledger (id INTEGER)").await;
        assert_unusable(target(&path, missing).fingerprint(None).await, "no local CMDB", "path");
        assert_eq!(texts(&path, "SELECT name FROM sqlite_schema").await.len(), 1);
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::create_dir(&path).unwrap();
    assert_unusable(target(&path, Missing::Create).fingerprint(None).await, "directory", "path");
    let nowhere = directory.path().join("absent").join("cmdb.db");
    assert_unusable(target(&nowhere, Missing::Create).fingerprint(None).await, "opened", "directory");
    assert!(
        target(&nowhere, Missing::Create).doctor().await.iter().any(|finding| finding.outcome == Health::Error && finding.mend.is_some())
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let rig = LocalRig::new().await;
    rig.target.fingerprint(None).await.unwrap();
    run(&rig.path(), "PRAGMA user_version = 7").await;
    for missing in [Missing::Create, Missing::Empty, Missing::Refuse] {
        assert_unusable(target(&rig.path(), missing).fingerprint(None).await, "version 7", "newer");
    }
}

#[tokio::test]
async fn a_read_only_file_can_be_read_and_not_written() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 1)]).await;
    // Permissions do not bind the superuser, whom tests in containers run as: the connection gives the same error.
    target.on_own_connection("PRAGMA query_only = ON").await;
    assert_eq!(read_all(target).await.len(), 1);
    assert_unusable(send_as(target, &estate("ours"), 1, &[create(target, 2)]).await, "cannot be written", "directory");
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_as_a_whole() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 1)]).await;
    let before = rig.records().await;
    let batch: Vec<_> = std::iter::once(update_size(target)).chain((2..400).map(|number| create(target, number))).collect();
    target.on_own_connection("PRAGMA max_page_count = 30").await;
    assert_unreachable(send_as(target, &estate("ours"), 1, &batch).await, "disk is full");
    assert_eq!(rig.records().await, before, "nothing half written");
    assert_eq!(texts(&rig.path(), "SELECT change FROM ci_history").await.len(), 1);
    // Room again: the same batch goes through.
    assert_eq!(send(target, 1, &batch).await.len(), 399);
}

fn update_size(target: &LocalTarget) -> crate::target::Write {
    update(target, 1, &RecordId("1".to_owned()), None, &[("size", json!("t3.large"))])
}

#[tokio::test]
async fn a_locked_file_is_tried_again_later() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 1)]).await;
    let mut other = visitor(&rig.path()).await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let who = estate("ours");
    let started = Instant::now();
    let sending = Sending { estate: &who, at: at(1), deadline: started + Duration::from_millis(400) };
    assert_unreachable(target.apply(&[create(target, 2)], &sending).await, "locked");
    assert!(Instant::now() < started + Duration::from_secs(3), "the wait ends with the deadline, not with the usual time-out");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    send(target, 1, &[create(target, 2)]).await;
    assert_eq!(read_all(target).await.len(), 2);
}

#[tokio::test]
async fn a_damaged_file_is_named_by_read_and_doctor() {
    let rig = LocalRig::new().await;
    let batch: Vec<_> = (0..400).map(|number| create(&rig.target, number)).collect();
    send(&rig.target, 0, &batch).await;
    let mut bytes = std::fs::read(rig.path()).unwrap();
    // The second half holds rows; the schema lies before it.
    let half = bytes.len() / 2;
    bytes[half..].fill(0xA5);
    std::fs::write(rig.path(), bytes).unwrap();
    let again = target(&rig.path(), Missing::Refuse);
    assert_unusable(again.read(None).await, "damaged", "recover");
    let findings = again.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "integrity" && finding.outcome == Health::Error), "{findings:?}");
}

#[tokio::test]
async fn a_sound_file_passes_the_doctor() {
    let rig = LocalRig::new().await;
    send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    let findings = rig.target.doctor().await;
    let checks: Vec<_> = findings.iter().map(|finding| (finding.check.as_str(), finding.outcome)).collect();
    assert_eq!(checks, ["directory", "file", "integrity", "writable"].map(|check| (check, Health::Ok)));
}

#[tokio::test]
async fn peoples_own_constraint_refuses_the_batch_in_their_words() {
    let rig = LocalRig::new().await;
    rig.target.fingerprint(None).await.unwrap();
    run(&rig.path(), "CREATE TRIGGER no BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'ask Jo first'); END").await;
    let answer = send_as(&rig.target, &estate("ours"), 0, &[create(&rig.target, 1)]).await;
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("ask Jo first")), "{answer:?}");
}

#[tokio::test]
async fn edges_to_peoples_records_outlive_a_retirement() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    send(target, 0, &[relate((2, 1), &records[1], &records[0], crate::model::Attributes::new())]).await;
    let theirs = rig.stranger(Stranger::new("app-1", None)).await;
    run(&rig.path(), &format!("INSERT INTO relation (from_id, type, to_id) VALUES ({}, 'depends_on', {})", theirs.0, records[0].0)).await;
    send(target, 1, &[update(target, 1, &records[0], Some(true), &[])]).await;
    assert_eq!(rig.edges().await, BTreeSet::from([(theirs, RelationType::DependsOn, records[0].clone())]));
}

#[tokio::test]
async fn a_text_that_is_no_object_is_no_record() {
    let rig = LocalRig::new().await;
    rig.target.fingerprint(None).await.unwrap();
    for fields in ["not json", "[]", "\"text\""] {
        let inserted = sqlx::query("INSERT INTO record (class, fields) VALUES ('server', ?1)")
            .bind(fields)
            .execute(&mut visitor(&rig.path()).await)
            .await;
        assert!(inserted.is_err(), "{fields}");
    }
}

#[tokio::test]
async fn a_dropped_request_leaves_nothing_behind() {
    let rig = LocalRig::new().await;
    let target = &rig.target;
    send(target, 0, &[create(target, 0)]).await;
    let batch: Vec<_> = (1..300).map(|number| create(target, number)).collect();
    let who = estate("ours");
    let sending = Sending { estate: &who, at: at(1), deadline: Instant::now() + Duration::from_secs(60) };
    // Polled a few times, so that it is dropped within its transaction.
    for polls in 1..12 {
        let mut request = target.apply(&batch, &sending);
        for _ in 0..polls {
            let _ = futures::poll!(request.as_mut());
            tokio::task::yield_now().await;
        }
        drop(request);
        let count = rig.records().await.len();
        assert!(count == 1 || count == 300, "{count}: all or nothing");
    }
    send(target, 1, &batch).await;
    assert_eq!(read_all(target).await.len(), 300);
}

#[tokio::test]
async fn pages_end_early_where_edges_are_many() {
    let rig = LocalRig::new().await;
    let target = rig.target();
    let records = contract::send(target, 0, &(0..300).map(|number| contract::create(target, number)).collect::<Vec<_>>()).await;
    // More than a page holds, from the first record on: each of a hundred records is related to all.
    let mut writes = Vec::new();
    for (from, start) in records.iter().enumerate().take(100) {
        writes.extend(records.iter().enumerate().map(|(to, stop)| contract::relate((from, to), start, stop, Attributes::new())));
    }
    for batch in writes.chunks(target.batch_size()) {
        contract::send(target, 1, batch).await;
    }
    let first = target.read(None).await.unwrap();
    assert!(first.records.len() < 100 && first.next.is_some(), "{}", first.records.len());
    let all = contract::read_all(target).await;
    assert_eq!(all.len(), 300);
    assert_eq!(all.iter().map(|record| record.edges.as_ref().unwrap().len()).sum::<usize>(), 30_000);
}
