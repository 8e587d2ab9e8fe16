//! What goes wrong between here and the instance, and that nothing is doubled, lost or touched for it.

use std::time::Instant;

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{Sending, Target, TargetError, Write};
use dewpoint_servicenow_sim::{Effect, Fault, Instance, Mishap};
use secrecy::SecretString;
use serde_json::json;

use super::rig::{Rig, at, config, machine, relate, thing, unrelate};
use crate::{Auth, ServiceNowConfig, ServiceNowTarget};

fn batch(rig: &Rig) -> Vec<Write> {
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({"rules": []}));
    let mut batch = vec![rig.create(&group)];
    for number in 1..=3 {
        let ci = machine(number);
        batch.push(rig.create(&ci));
        batch.push(relate((&ci, None), RelationType::ProtectedBy, (&group, None)));
    }
    batch
}

/// Everything that a fault must not have doubled or lost.
fn assert_whole(rig: &Rig) {
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]), [["web-1"], ["web-2"], ["web-3"]]);
    for table in ["cmdb_ci_compute_security_group", "cmdb_ci_aws_datacenter", "cmdb_ci_cloud_service_account"] {
        assert_eq!(rig.rows(table, "", &["object_id"]).len(), 1, "{table}");
    }
    assert_eq!(rig.rows("sys_object_source", "", &["id"]).len(), 6);
    let relations = rig.relations();
    // Four to the datacenter, one to the account, three to the group.
    assert_eq!(relations.len(), 8, "{relations:?}");
    assert_eq!(rig.rows("cmdb_key_value", "", &["key"]).len(), 3);
    assert_eq!(rig.rows("cmdb_ire_partial_payloads", "", &["class_name"]).len(), 0);
}

#[tokio::test]
async fn what_was_committed_without_an_answer_is_not_made_twice() {
    let effects = [
        Effect::Mishap(Mishap::Reset),
        Effect::QuotaKill,
        Effect::Mishap(Mishap::CutConnection { share: 0.5 }),
        Effect::Mishap(Mishap::ResetBody { share: 0.9 }),
        Effect::Mishap(Mishap::CutBody { share: 0.7 }),
        Effect::Mishap(Mishap::Html { status: 502 }),
        Effect::Mishap(Mishap::Html { status: 200 }),
        Effect::Hibernating,
        Effect::Mishap(Mishap::Empty { status: 200 }),
        Effect::Mishap(Mishap::Empty { status: 503 }),
    ];
    for effect in effects {
        for after_commit in [false, true] {
            // The first payload makes the place, the second the records.
            let first = if effect == Effect::Mishap(Mishap::Reset) { 1 } else { 2 };
            for nth in first..=2 {
                let mut rig = Rig::new();
                let fault = Fault::new(effect.clone()).api("identifyreconcile").nth(nth).times(1);
                rig.sim.faults(vec![if after_commit { fault.after_commit() } else { fault }]);
                let error = rig.try_send(0, &batch(&rig)).await.unwrap_err();
                assert!(matches!(error, TargetError::Unreachable { .. }), "{effect:?} {after_commit} {nth}: {error}");
                if nth == 2 {
                    rig.anew();
                }
                rig.send(0, &batch(&rig)).await;
                assert_whole(&rig);
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_asked_when_the_time_is_up() {
    let rig = Rig::new();
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({"rules": []}));
    let ci = machine(1);
    let records = rig.send(0, &[rig.create(&group), rig.create(&ci), relate((&ci, None), RelationType::ProtectedBy, (&group, None))]).await;
    let before = rig.sim.counters();
    let (edge, estate) = (unrelate((&ci, &records[1]), RelationType::ProtectedBy, (&group, &records[0])), EstateId("ours".to_owned()));
    let late = Sending { estate: &estate, at: at(1), deadline: Instant::now() };
    for batch in [vec![edge], vec![rig.update(&ci, &records[1], None, &[("cpus", json!("4"))])]] {
        let error = rig.target.apply(&batch, &late).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { .. }), "{error}");
    }
    assert_eq!(rig.sim.counters().requests, before.requests);
}

#[tokio::test]
async fn what_was_dropped_is_no_success() {
    let rig = Rig::new();
    rig.sim.faults(vec![Fault::new(Effect::Dropped).api("identifyreconcile").nth(2).times(1)]);
    let error = rig.try_send(0, &batch(&rig)).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { .. }), "{error}");
    rig.send(0, &batch(&rig)).await;
    assert_whole(&rig);
}

#[tokio::test]
async fn a_long_wait_is_told_and_not_slept_through() {
    let rig = Rig::new();
    rig.sim.faults(vec![Fault::new(Effect::RateLimited { retry_after_s: 812 }).api("identifyreconcile")]);
    let error = rig.try_send(0, &batch(&rig)).await.unwrap_err();
    assert!(matches!(error, TargetError::Busy { seconds: 800..=812, .. }), "{error:?}");
}

#[tokio::test]
async fn a_storm_of_refusals_passes() {
    for effect in [Effect::RateLimited { retry_after_s: 1 }, Effect::SemaphoreFull] {
        let rig = Rig::new();
        rig.sim.faults(vec![Fault::new(effect).api("identifyreconcile").times(2)]);
        rig.send(0, &batch(&rig)).await;
        assert_whole(&rig);
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_midway_is_renewed() {
    let secret = SecretString::from("client-secret");
    let user = ("integration".to_owned(), SecretString::from("integration-password"));
    for user in [None, Some(user)] {
        let mut rig = Rig::over(Instance::new().with_data_source("Dewpoint").with_client_credentials());
        let auth = Auth::OAuth { client_id: "client-id".to_owned(), client_secret: secret.clone(), user };
        rig.target = ServiceNowTarget::new(&ServiceNowConfig { auth, ..config(&rig.sim) }).unwrap();
        rig.sim.faults(vec![Fault::new(Effect::RevokeToken).api("identifyreconcile").nth(2).times(1)]);
        rig.send(0, &batch(&rig)).await;
        assert_whole(&rig);
    }
}

#[tokio::test]
async fn without_the_data_source_nothing_is_parked_or_made() {
    let rig = Rig::over(Instance::new());
    for answer in rig.try_send(0, &batch(&rig)).await.unwrap() {
        let error = answer.unwrap_err();
        assert!(matches!(error, TargetError::Rejected { .. } | TargetError::Abandoned { .. }), "{error}");
    }
    assert_eq!(rig.sim.rows("cmdb_ci", "").len(), 0);
    assert_eq!(rig.sim.rows("cmdb_ire_incomplete_payloads", "").len(), 0);
}

#[tokio::test]
async fn one_bad_item_fails_alone() {
    let rig = Rig::new();
    let mut bad = machine(2);
    bad.native_id = String::new();
    bad.key = "aws:arn:aws:ec2:eu-west-1:123456789012:instance/odd".parse().unwrap();
    let answers = rig.try_send(0, &[rig.create(&machine(1)), rig.create(&bad), rig.create(&machine(3))]).await.unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    let text = answers[1].as_ref().unwrap_err().to_string();
    assert!(text.contains("MISSING_MATCHING_ATTRIBUTES"), "{text}");
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]), [["web-1"], ["web-3"]]);
}

#[tokio::test]
async fn a_class_that_is_missing_stops_no_other() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    instance.schema.tables.remove("cmdb_ci_cloud_public_ipaddress");
    let rig = Rig::over(instance);
    let address = thing(Kind::PublicAddress, "elastic-ip/eipalloc-1", "eipalloc-1", &json!({"address": "203.0.113.1"}));
    let found = rig.target.find(&[super::rig::identity(&address), super::rig::identity(&machine(1))]).await;
    let text = found[&address.key].as_ref().unwrap_err().to_string();
    assert!(text.contains("cmdb_ci_cloud_public_ipaddress") && text.contains("mapping.public_address.class"), "{text}");
    assert!(found[&machine(1).key].is_ok());
    let answers = rig.try_send(0, &[rig.create(&address), rig.create(&machine(1))]).await.unwrap();
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
}

#[tokio::test]
async fn rows_that_the_user_may_not_see_are_not_gone() {
    for table in ["sys_object_source", "cmdb_ci_vm_instance"] {
        let mut rig = Rig::new();
        rig.send(0, &batch(&rig)).await;
        rig.anew();
        rig.sim.edit(|instance| {
            let rule = dewpoint_servicenow_sim::RowRule { table: table.to_owned(), query: String::new(), role: "admin".to_owned() };
            instance.row_rules.push(rule);
        });
        let error = rig.target.read(None).await.unwrap_err();
        assert!(matches!(&error, TargetError::Forbidden { text, .. } if text.contains(table)), "{table}: {error}");
        let found = rig.target.find(&[super::rig::identity(&machine(1))]).await;
        assert!(found.values().all(Result::is_err), "{table}: {found:?}");
    }
}

#[tokio::test]
async fn a_read_that_is_not_whole_says_nothing() {
    for effect in [
        Effect::PartialResult { share: 0.5 },
        Effect::Mishap(Mishap::CutBody { share: 0.5 }),
        Effect::Mishap(Mishap::Html { status: 200 }),
        Effect::Mishap(Mishap::Empty { status: 200 }),
        Effect::Forbidden,
    ] {
        for table in ["sys_object_source", "cmdb_ci_vm_instance", "cmdb_key_value"] {
            let mut rig = Rig::new();
            rig.send(0, &batch(&rig)).await;
            rig.anew();
            rig.sim.faults(vec![Fault::new(effect.clone()).api("table").class(table)]);
            let mut after = None;
            let ended = loop {
                match rig.target.read(after.as_deref()).await {
                    Ok(page) if page.next.is_none() => break Ok(()),
                    Ok(page) => after = page.next,
                    Err(error) => break Err(error),
                }
            };
            assert!(ended.is_err(), "{effect:?} on {table}");
            let found = rig.target.find(&[super::rig::identity(&machine(1))]).await;
            assert!(found.values().all(Result::is_err), "{effect:?} on {table}: {found:?}");
        }
    }
}
