//! Records, fields and edits of people and of other sources.

use dewpoint_servicenow_sim::ReconciliationRule;
use serde_json::json;

use super::rig::machines;
use super::trial::{Trial, assert_same, instance, told, wanted, with};

const VERIFIED: &str = "verify_every: 2h\nheartbeat: never";
const ASSET: &str = r#"mapping: { instance: { fields: { asset_tag: '"asset" in ci.tags ? ci.tags["asset"] : null' } } }
authority: { asset_tag: initial }"#;

/// Writes of so many syncs on end, two of three of which read everything again.
fn writes_of(trial: &Trial, syncs: usize) -> Vec<u64> {
    (0..syncs)
        .map(|_| {
            trial.sim().clear_calls();
            trial.sync(0);
            trial.snow.writes()
        })
        .collect()
}

#[test]
fn a_field_that_another_source_owns_is_told_and_not_fought_for() {
    let trial = Trial::over(instance(), VERIFIED);
    trial.put(&machines(4));
    trial.sync(0);
    let rule = ReconciliationRule {
        class: "cmdb_ci_vm_instance".to_owned(),
        columns: vec!["name".to_owned()],
        sources: vec!["ServiceNow".to_owned()],
    };
    trial.sim().edit(|instance| instance.reconciliation.push(rule));

    // A change of ours is not taken.
    let renamed = with(machines(4), "i-0002", json!({ "name": "renamed" }));
    trial.put(&renamed);
    let sync = trial.sync(0);
    let masked = "left field `name` as it was: a reconciliation rule lets another source write it, and not us";
    assert!(sync["remarks"].to_string().contains(masked), "{sync:#}");
    // The first full read after it tries once more.
    assert!(writes_of(&trial, 2).iter().sum::<u64>() <= 1);
    assert_eq!(writes_of(&trial, 6), [0; 6], "the same again is in vain");

    // The other source changes it: that is seen, and tried once.
    trial.people_edit("i-0002", &[("name", "theirs")]);
    let writes = writes_of(&trial, 8);
    assert!(writes.iter().sum::<u64>() <= 1, "{writes:?}");
    assert_eq!(trial.value("i-0002", "name"), "theirs");
    // Other fields of the record go on.
    let resized = with(machines(4), "i-0002", json!({ "name": "renamed", "attributes": { "size": "m5.large" } }));
    trial.put(&resized);
    trial.sync(0);
    assert_eq!([trial.value("i-0002", "name"), trial.value("i-0002", "model_number")], ["theirs", "m5.large"]);
    let shown = with(machines(4), "i-0002", json!({ "name": "theirs", "attributes": { "size": "m5.large" } }));
    trial.assert_whole(&shown);
    assert_eq!(writes_of(&trial, 4), [0; 4]);

    // The rule goes; what is wanted next is written.
    trial.sim().edit(|instance| instance.reconciliation.clear());
    let last = with(machines(4), "i-0002", json!({ "name": "renamed again", "attributes": { "size": "m5.large" } }));
    trial.put(&last);
    trial.sync(0);
    trial.assert_whole(&last);
}

/// Status fields are people's between two stages, the one that says retired too.
#[test]
fn what_people_retire_while_it_lives_is_reported_and_left() {
    let trial = Trial::over(instance(), VERIFIED);
    trial.put(&machines(4));
    trial.sync(0);
    trial.wait(1);
    trial.sync(0);
    trial.people_edit("i-0002", &[("install_status", "7"), ("operational_status", "6")]);
    let seen = || ["install_status", "operational_status"].map(|column| trial.value("i-0002", column));
    trial.wait(2);
    let sync = trial.sync(0);
    assert_eq!(sync["counts"]["snow"], json!({}), "{sync:#}");
    assert!(sync["remarks"].to_string().contains("`retired`"), "{sync:#}");
    assert_eq!(writes_of(&trial, 4), [0; 4]);
    assert_eq!(seen(), ["7", "6"]);
    // Its stage changes: the statuses are ours again.
    trial.put(&with(machines(4), "i-0002", json!({ "state": "stopped" })));
    trial.sync(0);
    assert_eq!(seen()[1], "2");
    trial.assert_strangers();
}

#[test]
fn what_people_edit_is_corrected_or_left_as_the_field_says() {
    let trial = Trial::over(instance(), &format!("{VERIFIED}\n{ASSET}"));
    let tagged = |over: serde_json::Value| {
        let mut all = json!({ "tags": { "asset": "A-1" } });
        all.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        with(machines(4), "i-0002", all)
    };
    trial.put(&tagged(json!({})));
    trial.sync(0);
    // How the instance shows it was seen.
    trial.wait(1);
    trial.sync(0);
    let by_hand = [("name", "by hand"), ("asset_tag", "P-1"), ("install_status", "3"), ("operational_status", "3")];
    trial.people_edit("i-0002", &by_hand);
    let seen = || ["name", "asset_tag", "install_status", "operational_status"].map(|column| trial.value("i-0002", column));
    // Nothing is read until the next verification is due.
    assert_eq!(writes_of(&trial, 1), [0]);
    assert_eq!(seen(), ["by hand", "P-1", "3", "3"]);
    let sync = trial.sync(0);
    assert!(sync["remarks"].to_string().contains("`name` is by hand and should be i-0002 (corrected)"), "{sync:#}");
    assert_eq!(sync["counts"]["snow"], json!({ "update": 1 }), "{sync:#}");
    assert_eq!(seen(), ["i-0002", "P-1", "3", "3"]);
    assert_eq!(writes_of(&trial, 6), [0; 6]);

    // The stage changes: its statuses are ours again, once.
    trial.put(&tagged(json!({ "state": "stopped" })));
    trial.sync(0);
    assert_eq!(seen()[..2], ["i-0002", "P-1"]);
    assert_eq!(seen()[3], "2");
    trial.people_edit("i-0002", &[("operational_status", "3")]);
    assert_eq!(writes_of(&trial, 6), [0; 6]);
    assert_eq!(seen()[3], "3");
    // A new value of an initial field is not written either.
    let mut retagged = tagged(json!({ "state": "stopped" }));
    retagged = with(retagged, "i-0002", json!({ "state": "stopped", "tags": { "asset": "A-2" } }));
    trial.put(&retagged);
    trial.sync(0);
    assert_eq!(seen()[1], "P-1");
    trial.assert_strangers();
}

#[test]
fn tags_of_people_on_a_record_of_ours_stay() {
    let mut trial = Trial::over(instance(), VERIFIED);
    let tagged = |tags: serde_json::Value| with(machines(3), "i-0002", json!({ "tags": tags }));
    trial.put(&tagged(json!({ "rack": "1", "row": "1" })));
    trial.sync(0);
    let record = trial.record("i-0002");
    trial.people_add("cmdb_key_value", &[("configuration_item", &record), ("key", "audited"), ("value", "yes")]);
    // The reads that see it do not fight for it.
    let writes = writes_of(&trial, 8);
    assert!(writes.iter().sum::<u64>() <= 2, "{writes:?}");
    trial.assert_strangers();
    // A change of ours takes out what was ours.
    trial.put(&tagged(json!({ "rack": "2" })));
    let writes = writes_of(&trial, 8);
    assert!(writes.iter().sum::<u64>() <= 4, "{writes:?}");
    trial.assert_whole(&tagged(json!({ "rack": "2" })));
}

#[test]
fn a_record_that_people_made_before_us_is_held_until_somebody_decides() {
    let mut trial = Trial::new();
    let by_hand = trial.people_add("cmdb_ci_vm_instance", &[("name", "by hand"), ("object_id", "i-0001")]);
    let inventory = machines(4);
    trial.put(&inventory);
    let sync = trial.sync(4);
    let hold = &sync["holds"][0];
    assert!(hold.to_string().contains(&by_hand) && hold.to_string().contains("i-0001"), "{hold:#}");
    let others: Vec<String> =
        wanted(&inventory).into_iter().filter(|line| !line.contains("vm_instance i-0001") && !line.contains("instance/i-0001")).collect();
    assert_same(&trial.content(), &others, "while it is held");
    trial.assert_strangers();
    trial.sim().clear_calls();
    trial.sync(4);
    assert_eq!(trial.snow.writes(), 0);

    // It becomes ours.
    trial.snow.configure("adopt: match", "");
    let sync = trial.sync(0);
    assert_eq!(sync["counts"]["snow"]["adopt"], 1, "{sync:#}");
    trial.is_ours_now(&by_hand);
    assert_eq!(trial.record("i-0001"), by_hand);
    // It hung on nothing.
    trial.assert_whole(&inventory);
}

#[test]
fn a_record_that_people_made_after_us_is_held_as_well() {
    let mut trial = Trial::new();
    trial.put(&machines(4));
    trial.sync(0);
    let by_hand = trial.people_add("cmdb_ci_vm_instance", &[("name", "by hand"), ("object_id", "i-0005")]);
    // A double of what is ours already is none of our business.
    trial.people_add("cmdb_ci_vm_instance", &[("name", "a double"), ("object_id", "i-0002")]);
    trial.put(&machines(6));
    let sync = trial.sync(4);
    assert!(sync["holds"].to_string().contains(&by_hand), "{sync:#}");
    assert_eq!(trial.snow.marked()["cmdb_ci_vm_instance"], 5);
    trial.assert_strangers();
    // People take it away.
    trial.sim().edit(|instance| instance.delete(&by_hand));
    trial.is_ours_now(&by_hand);
    trial.sync(0);
    trial.assert_whole(&machines(6));
}

#[test]
fn two_records_for_one_machine_are_held_whatever_is_adopted() {
    for adopt in ["match", "contribute"] {
        let mut trial = Trial::over(instance(), &format!("adopt: {adopt}"));
        for name in ["one", "other"] {
            trial.people_add("cmdb_ci_vm_instance", &[("name", name), ("object_id", "i-0001")]);
        }
        trial.put(&machines(4));
        let sync = trial.sync(4);
        assert_eq!(sync["holds"].as_array().map(Vec::len), Some(1), "{sync:#}");
        assert_eq!(trial.snow.marked()["cmdb_ci_vm_instance"], 3);
        trial.assert_strangers();
    }
}

#[test]
fn what_we_contribute_to_stays_a_strangers() {
    let mut trial = Trial::over(instance(), "adopt: contribute");
    let theirs = [
        ("name", "by hand"),
        ("object_id", "i-0001"),
        ("install_status", "3"),
        ("short_description", "mine"),
        ("discovery_source", "Manual Entry"),
    ];
    let by_hand = trial.people_add("cmdb_ci_vm_instance", &theirs);
    trial.put(&machines(4));
    let sync = trial.sync(0);
    assert_eq!(sync["counts"]["snow"]["adopt"], 1, "{sync:#}");
    trial.is_ours_now(&by_hand);
    let seen = || ["name", "model_number", "install_status", "short_description"].map(|column| trial.value("i-0001", column));
    assert_eq!(seen(), ["i-0001", "t3.micro", "3", "mine"]);
    assert_eq!(trial.snow.marked()["cmdb_ci_vm_instance"], 3, "it has no mark of ours");
    assert_eq!(writes_of(&trial, 3), [0; 3]);
    trial.put(&with(machines(4), "i-0001", json!({ "name": "renamed" })));
    trial.sync(0);
    assert_eq!(seen(), ["renamed", "t3.micro", "3", "mine"]);

    // It ends, and is theirs to end.
    trial.put(&machines(4).without(&["i-0001"]).instance("i-0001", json!({ "state": "terminated" })));
    trial.wait(48);
    trial.sync(0);
    trial.sync(0);
    assert_eq!(seen()[2], "3", "a stranger's record is not retired");
    trial.assert_strangers();
}

#[test]
fn a_record_that_another_source_saw_lately_is_left_and_not_retired() {
    let mut trial = Trial::new();
    trial.put(&machines(8));
    trial.sync(0);
    let record = trial.record("i-0003");
    let seen = [
        ("name", "ServiceNow"),
        ("id", "i-0003"),
        ("target_sys_id", record.as_str()),
        ("target_table", "cmdb_ci_vm_instance"),
        ("last_scan", "2026-02-02 00:00:00"),
    ];
    trial.people_add("sys_object_source", &seen);
    trial.put(&machines(8).without(&["i-0003"]).instance("i-0003", json!({ "state": "terminated" })));
    trial.wait(36);
    let sync = trial.sync(0);
    assert!(told(&sync).contains("source ServiceNow saw the record"), "{sync:#}");
    assert_eq!(trial.value("i-0003", "install_status"), "1");
    trial.assert_strangers();
}
