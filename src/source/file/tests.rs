#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails should stop at once"
)]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dewpoint_core::testing::Notes;
use proptest::prelude::*;

use super::document::{self, Document};
use super::fault::Fault;
use super::*;
use crate::model::{Outcome, RelationType};

const SAMPLE: &str = r#"{"schema_version": 1, "taken_at": "2026-01-02T03:04:05Z",
 "receipts": [
  {"source": "aws", "provider": "aws", "account": "123456789012", "region": "eu-west-1", "kind": "instance", "outcome": "complete", "count": 2},
  {"source": "aws", "provider": "aws", "account": "123456789012", "region": "*", "kind": "security_group", "outcome": "denied", "error": "no"},
  {"source": "az", "provider": "azure", "account": "00000000-AAAA", "region": "westeurope", "kind": "instance", "outcome": "complete"}
 ],
 "resources": [
  {"key": "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1", "kind": "instance", "provider": "aws", "native_id": "i-1",
   "account": "123456789012", "region": "eu-west-1", "name": "web-1", "state": "running",
   "tags": {"env": "prod", "grün": "Überall ☂"}, "created_at": "2026-01-01T00:00:00Z",
   "attributes": {"vcpus": 2, "private_addresses": ["10.0.0.6", "10.0.0.5", "10.0.0.6"], "future": {"a": [1.5, null]}},
   "novel": true},
  {"key": "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-2", "kind": "instance", "provider": "aws", "native_id": "i-2",
   "account": "123456789012", "region": "eu-west-1"},
  {"key": "azure:/subscriptions/00000000-aaaa/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm", "kind": "instance",
   "provider": "azure", "native_id": "/subscriptions/00000000-aaaa/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm",
   "account": "00000000-aaaa", "region": "WestEurope", "state": "stopped"},
  {"key": "service:shop", "kind": "service", "provider": "*", "native_id": "shop", "account": "*", "region": "*", "derived": true}
 ],
 "relations": [
  {"type": "protected_by", "from": "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1",
   "to": "aws:arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1", "attributes": {}},
  {"type": "depends_on", "from": "service:shop", "to": "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1", "derived": true}
 ]}
"#;

pub(crate) fn parse(bytes: &[u8]) -> Result<Pull, String> {
    read(bytes, u64::MAX).map(|document| document.pull).map_err(|fault| format!("{fault:?}"))
}

fn read(bytes: &[u8], bytes_max: u64) -> Result<Document, Fault> {
    document::read(bytes, bytes_max, Arc::new(AtomicBool::new(false)))
}

fn fault_of(bytes: &[u8]) -> Fault {
    match read(bytes, u64::MAX) {
        Ok(_) => panic!("the file was accepted"),
        Err(fault) => fault,
    }
}

/// The sample with one text replaced is refused at `line`, in the column where `at` begins, with `text`; gives the hint.
#[track_caller]
fn check(from: &str, to: &str, (line, at): (usize, &str), text: &str) -> String {
    assert_eq!(SAMPLE.matches(from).count(), 1, "{from} must occur once");
    let changed = SAMPLE.replacen(from, to, 1);
    let fault = fault_of(changed.as_bytes());
    let rest = &changed.split('\n').nth(fault.place.line - 1).unwrap().as_bytes()[fault.place.column - 1..];
    let rest = String::from_utf8_lossy(rest);
    assert!(fault.text.contains(text), "text: {}", fault.text);
    assert_eq!(fault.place.line, line, "{fault:?}");
    assert!(rest.starts_with(at), "column {}: {rest}", fault.place.column);
    fault.hint.unwrap_or_default()
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

const I1: &str = "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1";
const VM: &str = "azure:/subscriptions/00000000-aaaa/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm";

#[test]
fn reads_what_is_there() {
    let pull = read(SAMPLE.as_bytes(), u64::MAX).unwrap().pull;
    assert!(pull.exhaustive);
    assert_eq!(pull.resources.len(), 3);
    assert_eq!(pull.relations.len(), 1);
    assert_eq!(pull.receipts.len(), 3);
    let first = &pull.resources[&key(I1)];
    assert_eq!(first.attributes["private_addresses"], serde_json::json!(["10.0.0.5", "10.0.0.6"]));
    assert_eq!(first.attributes["future"], serde_json::json!({"a": [1.5, null]}));
    assert_eq!(first.extra["novel"], serde_json::json!(true));
    assert_eq!(first.tags["grün"], "Überall ☂");
    let vm = &pull.resources[&key(VM)];
    assert_eq!(vm.native_id, "/subscriptions/00000000-aaaa/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm");
    assert!(pull.receipts.proves_absence(&vm.scope()), "subscription and location meet their receipt in any case");
    assert_eq!(pull.remarks.len(), 1);
    assert_eq!(pull.remarks[0].subject, "relations of type protected_by");
    assert!(pull.remarks[0].text.contains("security-group/sg-1"), "{}", pull.remarks[0].text);
}

#[test]
fn derived_things_are_left_to_be_derived_anew() {
    let pull = read(SAMPLE.as_bytes(), u64::MAX).unwrap().pull;
    assert!(!pull.resources.contains_key(&key("service:shop")));
    assert!(pull.relations.keys().all(|id| id.relation != RelationType::DependsOn));
    let unmarked = SAMPLE.replace(r#""region": "*", "derived": true"#, r#""region": "*""#);
    let pull = read(unmarked.as_bytes(), u64::MAX).unwrap().pull;
    assert!(pull.remarks.iter().any(|remark| remark.text.contains("service:shop")), "{:?}", pull.remarks);
}

#[test]
fn unknown_fields_of_the_document_are_reported() {
    let more = SAMPLE.replace(r#""schema_version": 1,"#, r#""schema_version": 1, "comment": {"by": ["hand"]},"#);
    let pull = read(more.as_bytes(), u64::MAX).unwrap().pull;
    assert!(pull.remarks.iter().any(|remark| remark.text.contains("comment")), "{:?}", pull.remarks);
}

#[test]
fn order_of_fields_and_a_byte_order_mark_do_not_matter() {
    let value: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
    let field = |name: &str| format!("\"{name}\": {}", serde_json::to_string_pretty(&value[name]).unwrap());
    let names = ["relations", "resources", "receipts", "taken_at", "schema_version"];
    let turned = format!("\u{feff}{{{}}}", names.map(field).join(",\n"));
    let (plain, turned) = (read(SAMPLE.as_bytes(), u64::MAX).unwrap().pull, read(turned.as_bytes(), u64::MAX).unwrap().pull);
    assert_eq!(plain.resources, turned.resources);
    assert_eq!(plain.relations, turned.relations);
    assert_eq!(plain.receipts, turned.receipts);
}

#[test]
fn wrong_words_name_the_nearest() {
    let hint = check(r#""state": "running""#, r#""state": "runing""#, (9, r#""runing""#), "field `state`: unknown instance state `runing`");
    assert!(hint.contains("did you mean `running`?"), "{hint}");
    let hint = check(r#""kind": "service""#, r#""kind": "Sevice""#, (18, r#""Sevice""#), "unknown resource kind `Sevice`");
    assert!(hint.contains("did you mean `service`?"), "{hint}");
    check(r#""type": "protected_by""#, r#""type": "protects""#, (21, r#""protects""#), "relation 1, field `type`: unknown relation type");
    check(r#""outcome": "denied""#, r#""outcome": "refused""#, (4, r#""refused""#), "receipt 2, field `outcome`");
    check(r#""provider": "*", "native_id""#, r#""provider": "gcp", "native_id""#, (18, r#""gcp""#), "unknown provider `gcp`");
}

#[test]
fn wrong_types_name_the_field() {
    check(r#""name": "web-1""#, r#""name": 5"#, (9, "5"), &format!("resource 1 (`{I1}`), field `name`: must be a text: `\"…\"`"));
    check(r#""name": "web-1""#, r#""name": {"a": 1}"#, (9, r#"{"a""#), "field `name`: must be a text");
    check(r#""env": "prod""#, r#""env": null"#, (10, "null"), "field `tags`, `env`: must be a text");
    check(r#""vcpus": 2"#, r#""vcpus": "two""#, (11, r#""two""#), "field `attributes`, `vcpus`: it must be a whole number");
    check(r#""vcpus": 2"#, r#""vcpus": 2.5"#, (11, "2.5"), "it must be a whole number, not negative for kind instance");
    check(r#""attributes": {}"#, r#""attributes": []"#, (22, "[]"), "relation 1, field `attributes`: must be an object");
    check(r#""count": 2"#, r#""count": -2"#, (3, "-2"), "receipt 1, field `count`: must be a whole number, not negative");
    check(
        r#""2026-01-01T00:00:00Z""#,
        r#""yesterday""#,
        (10, r#""yesterday""#),
        "field `created_at`: must be an RFC 3339 time such as `2026-01-02T03:04:05Z`",
    );
    check(r#""2026-01-02T03:04:05Z""#, r#""yesterday""#, (1, r#""yesterday""#), "`taken_at`");
    check(r#""native_id": "i-2""#, r#""native_id": " ""#, (13, r#"" ""#), "field `native_id`: it is blank");
    check(r#", "native_id": "i-2""#, "", (13, r#"{"key""#), "instance/i-2`): missing field `native_id`");
    check(r#""native_id": "i-2""#, r#""native_id": "i-2", "native_id": "i-3""#, (13, r#""i-3""#), "duplicate field `native_id`");
    check(r#""env": "prod""#, r#""env": "prod", "env": "test""#, (10, r#""#), "`env` is given twice");
    check(" \"resources\": [", " \"resources\": 5, \"more\": [", (7, "5"), "`resources` must be a list");
    check(" \"relations\": [", " \"relations\": [7,", (20, "7"), "relation 1: must be a relation: an object with `type`, `from` and `to`");
    check(r#""region": "*", "derived": true"#, r#""region": "*", "derived": "yes""#, (18, r#""yes""#), "field `derived`");
}

#[test]
fn identity_must_agree_with_the_fields_beside_it() {
    check(
        r#""azure", "native_id": "/sub"#,
        r#""aws", "native_id": "/sub"#,
        (16, r#""aws""#),
        "field `provider`: it is `aws`, but the key is of provider `azure`",
    );
    check(r#""account": "00000000-aaaa""#, r#""account": "00000000-bbbb""#, (17, r#""00000000-bbbb""#), "but the key says `00000000-aaaa`");
    check(
        r#""region": "eu-west-1"},
  {"key": "azure"#,
        r#""region": "eu-west-2"},
  {"key": "azure"#,
        (14, r#""eu-west-2""#),
        "field `region`: it is `eu-west-2`, but the key says `eu-west-1`",
    );
    check("instance/i-2\"", "instance/i-1\"", (13, "\"aws:arn"), "field `key`: the key is given twice, first in line 8");
    check("azure:/subscriptions", "azure:/subs", (15, "\"azure:/subs"), "an Azure key is");
    check(
        "\"to\": \"aws:arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1\"",
        "\"to\": \"sg-1\"",
        (22, "\"sg-1\""),
        "field `to`: `sg-1` is not a key",
    );
}

#[test]
fn one_case_of_an_azure_id_is_another_spelling_of_it() {
    let vm = SAMPLE.lines().skip(14).take(3).collect::<Vec<_>>().join("\n");
    let again = vm.replacen("virtualMachines/vm", "virtualMachines/VM", 1);
    check(&vm, &format!("{vm}{again}"), (17, "\"azure:"), "given twice, first in line 15");
}

#[test]
fn doubles_and_overlaps() {
    let relation = SAMPLE.lines().skip(20).take(2).collect::<Vec<_>>().join("\n");
    check(&relation, &format!("{relation}{relation}"), (22, "{\"type\""), "is given twice");
    check(r#""region": "*", "kind": "security_group""#, r#""region": "*", "kind": "instance""#, (4, "{"), "has a receipt already");
    let hint = check(
        r#""source": "aws", "provider": "aws", "account": "123456789012", "region": "*", "kind": "security_group""#,
        r#""source": "old", "provider": "aws", "account": "123456789012", "region": "eu-west-1", "kind": "instance""#,
        (4, "{"),
        "`aws` and `old` both cover aws 123456789012 eu-west-1 instance",
    );
    assert!(hint.contains("one receipt for each scope"), "{hint}");
    check(
        r#""taken_at": "2026"#,
        r#""schema_version": 1, "taken_at": "2026"#,
        (1, "\"schema_version\": 1, \"taken"),
        "`schema_version` is given twice",
    );
}

#[test]
fn counts_must_fit() {
    let hint = check(r#""count": 2"#, r#""count": 3"#, (3, "3"), "aws 123456789012 eu-west-1 instance counts 3, but the file has 2");
    assert!(hint.contains("cut or edited by hand"), "{hint}");
    check(r#""outcome": "denied""#, r#""outcome": "denied", "count": 1"#, (4, "1"), "counts 1, but the file has 0");
    let fits = SAMPLE.replace(r#""region": "eu-west-1", "kind": "instance""#, r#""region": "*", "kind": "instance""#);
    read(fits.as_bytes(), u64::MAX).expect("a receipt over all regions counts them all");
}

#[test]
fn versions() {
    let hint =
        check(r#""schema_version": 1"#, r#""schema_version": 2"#, (1, "2"), "schema_version 2, and this version of dewpoint reads 1");
    assert!(hint.contains("newer"), "{hint}");
    check(r#""schema_version": 1"#, r#""schema_version": "1""#, (1, "\"1\""), "`schema_version` must be 1");
    check(r#""schema_version": 1, "#, "", (1, "{"), "the field `schema_version` is missing");
    check(" \"receipts\": [", " \"reciepts\": [", (1, "{"), "the field `receipts` is missing");
}

#[test]
fn broken_text() {
    check("\"web-1\"", "\"web-1", (9, ""), "resource 1 is not JSON");
    check("\"vcpus\": 2,", "\"vcpus\": 2", (11, "\"private"), "resource 1 is not JSON: expected `,` or `}`");
    check("\"vcpus\": 2", "\"vcpus\": 02", (11, "2"), "resource 1 is not JSON: invalid number");
    check("\"novel\": true},", "\"novel\": true", (13, "{"), "resource 1 is not JSON");
    check("\"novel\": true},", "\"novel\": true}", (13, "{"), "`,` or `]` is missing here");
}

#[test]
fn nothing_like_an_inventory() {
    let table: [(&[u8], usize, usize, &str); 9] = [
        (b"", 1, 1, "the file is empty"),
        (b" \n\n", 3, 1, "the file is empty"),
        (b"[]", 1, 1, "is one JSON object"),
        (b"\xff\xfe{\0", 1, 1, "not UTF-8"),
        (b"{}", 1, 1, "`schema_version` is missing"),
        (b"{\n schema_version: 1}", 2, 2, "the name of a field is not JSON"),
        (b"{\"schema_version\" 1}", 1, 19, "`:` is missing"),
        (b"{\"schema_version\": 1,}", 1, 22, "the name of a field is missing"),
        (b"{\"schema_version\": 1, \"resources\": [], \"receipts\": []} {", 1, 56, "more text behind the end"),
    ];
    for (bytes, line, column, text) in table {
        let fault = fault_of(bytes);
        assert!(fault.text.contains(text), "{}: {fault:?}", String::from_utf8_lossy(bytes));
        assert_eq!((fault.place.line, fault.place.column), (line, column), "{}: {fault:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_byte_that_is_no_text_is_found() {
    let mut bytes = SAMPLE.as_bytes().to_vec();
    let at = SAMPLE.find("web-1").unwrap();
    bytes[at] = 0xfc;
    let fault = fault_of(&bytes);
    assert!(fault.text.contains("not UTF-8"), "{fault:?}");
    assert_eq!((fault.place.line, fault.place.offset), (9, at as u64));
}

#[test]
fn a_cut_file_says_so() {
    let end = SAMPLE.trim_end().len();
    for length in 1..end {
        let fault = fault_of(&SAMPLE.as_bytes()[..length]);
        assert!(fault.text.contains("the file ends"), "cut at {length}: {fault:?}");
        assert!(fault.hint.is_some());
    }
    let inside = fault_of(&SAMPLE.as_bytes()[..SAMPLE.find("web-1").unwrap()]);
    assert_eq!(inside.text, "the file ends in the middle of resource 1");
    assert_eq!(inside.place.line, 9);
}

#[test]
fn size_is_limited_while_reading() {
    assert!(read(SAMPLE.as_bytes(), SAMPLE.len() as u64).is_ok());
    let Err(fault) = read(SAMPLE.as_bytes(), SAMPLE.len() as u64 - 1) else { panic!("too large a file was accepted") };
    assert!(fault.text.contains("max_file_bytes"), "{fault:?}");
    let endless = std::io::repeat(b' ');
    let Err(fault) = document::read(endless, 1 << 20, Arc::new(AtomicBool::new(false))) else { panic!("an endless file was accepted") };
    assert!(fault.text.contains("max_file_bytes"), "{fault:?}");
}

#[test]
fn one_value_is_limited_too() {
    let mut large = SAMPLE.replacen("web-1", &"x".repeat(scan::VALUE_BYTES_MAX), 1);
    assert!(fault_of(large.as_bytes()).text.contains("resource 1 is larger than 16 MiB"));
    large = SAMPLE.replacen("web-1", &"x".repeat(1 << 20), 1);
    assert!(read(large.as_bytes(), u64::MAX).is_ok());
}

#[test]
fn a_read_can_be_given_up() {
    let Err(fault) = document::read(SAMPLE.as_bytes(), u64::MAX, Arc::new(AtomicBool::new(true))) else { panic!("it was read") };
    assert!(fault.text.contains("given up"), "{fault:?}");
}

proptest! {
    /// The outer walk takes and refuses the same documents as serde_json.
    #[test]
    fn flipped_bytes_never_panic_and_never_pass_as_json(at in 0..SAMPLE.len(), byte: u8) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        let found = read(&bytes, u64::MAX);
        if serde_json::from_slice::<serde_json::Value>(&bytes).is_err() {
            prop_assert!(found.is_err());
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b'"'), Just(b','), Just(b':'), any::<u8>()], 0..60)) {
        prop_assert!(read(&bytes, u64::MAX).is_err());
    }

    #[test]
    fn small_reads_give_the_same(step in 1_usize..40) {
        struct Dripping<'a>(&'a [u8], usize);
        impl std::io::Read for Dripping<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let count = self.1.min(into.len()).min(self.0.len());
                into[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let pull = document::read(Dripping(SAMPLE.as_bytes(), step), u64::MAX, Arc::new(AtomicBool::new(false))).unwrap().pull;
        prop_assert_eq!(pull.resources, read(SAMPLE.as_bytes(), u64::MAX).unwrap().pull.resources);
    }
}

/// A source over a file with this content, in a directory of its own.
fn source(content: &str) -> (tempfile::TempDir, FileSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    std::fs::write(&path, content).unwrap();
    (folder, over(path))
}

fn over(path: PathBuf) -> FileSource {
    FileSource::new(FileConfig { name: "demo".parse().unwrap(), path, display_path: "inventory.json".to_owned(), max_file_bytes: 1 << 20 })
}

async fn ask(source: &FileSource, asked: &str, kind: Kind) -> Result<Presence, SourceError> {
    let mut answers = source.look_up(&[(key(asked), kind)], &Notes::default()).await;
    assert_eq!(answers.len(), 1);
    answers.remove(&key(asked)).unwrap()
}

#[tokio::test]
async fn a_pull_tells_its_scopes() {
    let (_folder, source) = source(SAMPLE);
    let notes = Notes::default();
    source.pull(&notes).await.unwrap();
    let told = notes.finished().into_iter().map(|(scope, (outcome, count))| (scope.to_string(), outcome, count));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("aws 123456789012 * security_group".to_owned(), Outcome::Denied, 0),
            ("aws 123456789012 eu-west-1 instance".to_owned(), Outcome::Complete, 2),
            ("azure 00000000-aaaa westeurope instance".to_owned(), Outcome::Complete, 1),
        ]
    );
}

#[tokio::test]
async fn look_ups_need_a_complete_receipt() {
    let (_folder, source) = source(SAMPLE);
    let Presence::Present(found) = ask(&source, I1, Kind::Instance).await.unwrap() else { panic!("it is there") };
    assert_eq!(found.name.as_deref(), Some("web-1"));
    let gone = |found: Result<Presence, SourceError>| matches!(found, Ok(Presence::Gone));
    assert!(gone(ask(&source, "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-9", Kind::Instance).await));
    assert!(gone(ask(&source, &VM.replace("machines/vm", "machines/old"), Kind::Instance).await));
    for (asked, kind) in [
        ("aws:arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1", Kind::SecurityGroup),
        ("aws:arn:aws:ec2:eu-west-1:123456789012:volume/vol-1", Kind::Volume),
        ("aws:arn:aws:ec2:us-east-1:123456789012:instance/i-9", Kind::Instance),
        ("aws:arn:aws:ec2:eu-west-1:999999999999:instance/i-9", Kind::Instance),
        ("aws:arn:aws:organizations::123456789012:account/o-1/123456789012", Kind::Account),
        ("service:shop", Kind::Service),
    ] {
        assert!(ask(&source, asked, kind).await.is_err(), "{asked} is proven absent by nothing");
    }
}

#[tokio::test]
async fn where_the_region_is_unknown_all_receipts_must_be_complete() {
    let receipt = r#"  {"source": "az", "provider": "azure", "account": "00000000-aaaa", "region": "northeurope", "kind": "instance", "outcome": "denied"},"#;
    let (_folder, source) = source(&SAMPLE.replacen("\"receipts\": [", &format!("\"receipts\": [\n{receipt}"), 1));
    assert!(ask(&source, &VM.replace("machines/vm", "machines/old"), Kind::Instance).await.is_err());
}

#[tokio::test]
async fn look_ups_answer_from_the_same_pull() {
    let (folder, source) = source(SAMPLE);
    let path = folder.path().join("inventory.json");
    source.pull(&Notes::default()).await.unwrap();
    std::fs::write(folder.path().join("next"), "other").unwrap();
    std::fs::rename(folder.path().join("next"), &path).unwrap();
    assert!(matches!(ask(&source, I1, Kind::Instance).await, Ok(Presence::Present(_))), "a file put in its place does not matter");

    std::fs::write(&path, SAMPLE).unwrap();
    source.pull(&Notes::default()).await.unwrap();
    std::fs::write(&path, SAMPLE.replace("web-1", "web-2")).unwrap();
    let error = ask(&source, I1, Kind::Instance).await.expect_err("it was overwritten in place");
    assert!(error.to_string().contains("changed since it was pulled"), "{error}");
}

#[tokio::test]
async fn files_that_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |path: PathBuf| {
        let source = over(path);
        let error = source.pull(&Notes::default()).await.expect_err("refused");
        let findings = source.doctor().await;
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].outcome, findings[0].text.as_str()), (Health::Error, error.to_string().as_str()));
        error.to_string()
    };
    assert_eq!(refused(folder.path().join("none.json")).await, "inventory.json:1:1: the file does not exist");
    assert_eq!(refused(folder.path().to_owned()).await, "inventory.json:1:1: this is a directory, not a file");
    assert_eq!(refused(PathBuf::from("/dev/null")).await, "inventory.json:1:1: this is no regular file");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refused(pipe).await, "inventory.json:1:1: this is no regular file");
    let large = folder.path().join("large.json");
    std::fs::File::create(&large).unwrap().set_len(2 << 20).unwrap();
    assert!(refused(large).await.contains("larger than `max_file_bytes` (1048576)"));
}

#[tokio::test]
async fn doctor_counts() {
    let (_folder, source) = source(SAMPLE);
    let findings = source.doctor().await;
    assert_eq!(findings[0].outcome, Health::Ok);
    assert_eq!(findings[0].text, "inventory.json: 3 resources, 1 relations, 3 receipts of which 2 complete, taken at 2026-01-02T03:04:05Z");
    assert_eq!(findings.len(), 2, "the edge whose end is not in the file: {findings:?}");
}

#[tokio::test]
async fn a_broken_file_ends_the_answers_of_the_last_pull() {
    let (folder, source) = source(SAMPLE);
    let gone = "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-9";
    source.pull(&Notes::default()).await.unwrap();
    assert!(ask(&source, gone, Kind::Instance).await.is_ok());
    std::fs::write(folder.path().join("inventory.json"), "{").unwrap();
    assert!(source.pull(&Notes::default()).await.is_err());
    assert!(ask(&source, gone, Kind::Instance).await.is_err());
}

#[test]
fn a_file_that_is_written_while_it_is_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    std::fs::write(&path, SAMPLE).unwrap();
    let (file, before) = open(&path, u64::MAX).unwrap();
    assert!(check_unchanged(&file, &before).is_ok());
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{").unwrap();
    let fault = check_unchanged(&file, &before).expect_err("it grew");
    assert!(fault.text.contains("changed while it was read"), "{fault:?}");
}

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/quickstart");

#[test]
fn the_quick_start_is_a_complete_estate() {
    let document = read(&std::fs::read(format!("{QUICKSTART}/inventory.json")).unwrap(), u64::MAX).unwrap();
    let Pull { resources, relations, receipts, remarks, .. } = document.pull;
    assert_eq!(remarks, []);
    assert!(resources.len() >= 200, "{}", resources.len());
    assert!(relations.len() >= 400, "{}", relations.len());
    let distinct = |of: fn(&Resource) -> &str| resources.values().map(|resource| of(resource)).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(distinct(|resource| resource.account.as_str()).len(), 4);
    let regions = ["*", "eu-central-1", "eu-west-1", "northeurope", "us-east-1", "westeurope"];
    assert_eq!(distinct(|resource| resource.region.as_str()), regions.into());
    assert!(receipts.iter().all(|(_, receipt)| receipt.is_complete() && receipt.count.is_some()));
    for resource in resources.values() {
        assert!(receipts.proves_absence(&resource.scope()), "no receipt covers {}", resource.key);
        let born = resource.created_at.is_some_and(|born| Some(born) < document.taken_at);
        assert!(born || resource.kind != Kind::Instance, "{} would be too young for a record", resource.key);
        for name in resource.attributes.keys() {
            assert!(crate::model::attributes::find(resource.kind, name).is_some(), "attribute `{name}` of {}", resource.key);
        }
    }
    for state in ["running", "stopped", "terminated"] {
        assert!(resources.values().any(|resource| resource.state.as_deref() == Some(state)), "{state}");
    }
    let spot = |resource: &Resource| resource.attributes.get("purchase").is_some_and(|word| word == "spot");
    assert!(resources.values().any(|resource| spot(resource)));
}

#[test]
fn the_quick_start_is_what_its_script_writes() {
    let script = std::process::Command::new("python3").arg(format!("{QUICKSTART}/generate.py")).output().expect("python3 runs");
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    let same = script.stdout == std::fs::read(format!("{QUICKSTART}/inventory.json")).unwrap();
    assert!(same, "write it again: cd config/quickstart && python3 generate.py > inventory.json");
}

#[test]
fn the_quick_start_is_configured_to_read_it() {
    let config = crate::config::load(Path::new(&format!("{QUICKSTART}/dewpoint.yaml"))).unwrap();
    let [source] = config.sources.as_slice() else { panic!("one source: {:?}", config.sources) };
    let crate::config::SourceKind::File { path, .. } = &source.kind else { panic!("a file: {source:?}") };
    assert_eq!(path, Path::new(&format!("{QUICKSTART}/inventory.json")));
}
