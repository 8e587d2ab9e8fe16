//! What people, other processes and the tenant do behind our back: nothing of theirs is overwritten or taken away, nothing is made twice, and nothing is told done
//! that is not.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use dewpoint_core::doctor::Health;
use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{Addressed, End, Identity, Operation, RecordId, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{
    at, create, estate, find, identity, key, native_id, ours, purge, read_all, relate, send, send_as, unrelate, update,
};
use dewpoint_halo_sim::{AddExisting, BatchFailure, Effect, Fault, Mishap, PostAnswer, RETIRED, Shape};
use serde_json::{Value, json};

use super::rig::{Forward, Rig, answer, config, config_of, copied, id, made, pairs, set, value};
use crate::{HaloConfig, HaloTarget, Mapping, Override, Statuses};

fn no(status: u16) -> Effect {
    Effect::Error { status, shape: Shape::Exception, message: "no".to_owned() }
}

/// As the usual application, with a clock of its own.
fn clocked(rig: &Rig, clock: &Arc<Forward>) -> HaloConfig {
    let config = config(&rig.sim);
    let clock = Arc::clone(clock) as Arc<dyn crate::Clock>;
    HaloConfig { connection: crate::Connection { clock, ..config.connection }, ..config }
}

/// The same tenant as another process sees it that has a clock of its own.
fn forward(rig: &mut Rig) -> Arc<Forward> {
    let clock = Forward::new();
    rig.target = HaloTarget::new(&clocked(rig, &clock)).unwrap();
    clock
}

#[tokio::test]
async fn what_others_write_while_a_batch_waits_stays() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 3).await;
    rig.anew();
    let batch = [0, 1].map(|number| update(&rig.target, number, &records[number], None, &[("Size", json!("t3.large"))]));
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("asset_post").times(1)]);
    drop(send_as(&rig.target, &estate("ours"), 1, &batch).await);
    set(&rig, &records[0], "Cloud Owner", "people");
    // Another replica relates one of them.
    let other = HaloTarget::new(&config(&rig.sim)).unwrap();
    send(&other, 1, &[relate((2, 1), &records[2], &records[1], Attributes::new())]).await;
    send(&rig.target, 1, &batch).await;
    assert_eq!([value(&rig, &records[0], "Cloud Owner"), value(&rig, &records[0], "Size")], ["people", "t3.large"]);
    send(&other, 2, &[unrelate((2, 1), &records[2], &records[1])]).await;
    assert!(pairs(&rig).is_empty(), "what the other one noted was not overwritten");
}

#[tokio::test]
async fn what_people_filled_after_the_plan_stays() {
    let rig = Rig::new().await;
    let record = made(&rig, 1).await.remove(0);
    set(&rig, &record, "Cost Center", "by hand");
    let write = update(&rig.target, 0, &record, None, &[("Cost Center", json!("planned")), ("Size", json!("x"))]);
    let done = answer(&rig, 1, write.clone()).await.unwrap();
    assert_eq!(done.left.keys().collect::<Vec<_>>(), ["Cost Center"]);
    assert_eq!([value(&rig, &record, "Cost Center"), value(&rig, &record, "Size")], ["by hand", "x"]);
    let mut known = write;
    if let Operation::Update { before, .. } = &mut known.operation {
        before.insert("Cost Center".to_owned(), json!("by hand"));
    }
    answer(&rig, 2, known).await.unwrap();
    assert_eq!(value(&rig, &record, "Cost Center"), "planned", "the plan knew what stood there");
}

#[tokio::test]
async fn a_count_that_is_a_pages_is_not_believed() {
    let mut rig = Rig::new().await;
    made(&rig, 60).await;
    let identities: Vec<Identity> = (40..80).map(identity).collect();
    // Of that type alone: others have fewer, and would be told from it by that.
    let machine = rig.sim.edit(|tenant| tenant.type_named("Virtual Machine").unwrap());
    let of_machines = format!("assettype_id={machine}");
    rig.sim.faults(vec![Fault::new(Effect::WrongCount { count: 50 }).operation("asset_list").contains(&of_machines)]);
    rig.anew();
    assert!(rig.target.read(None).await.is_err());
    assert!(rig.target.find(&identities).await.values().all(Result::is_err), "an error is no absence");
    // Pages are not turned: each is the first one.
    rig.sim.faults(Vec::new());
    rig.sim.settings(|settings| settings.ignored_parameters = ["page_no".to_owned()].into());
    rig.anew();
    assert!(rig.target.read(None).await.is_err());
    assert!(rig.target.find(&identities).await.values().all(Result::is_err));
}

#[tokio::test]
async fn a_whole_last_page_costs_one_more() {
    let rig = Rig::new().await;
    made(&rig, 50).await;
    assert_eq!(read_all(&rig.target).await.len(), 50);
    assert_eq!(rig.calls("asset_list"), 16, "one for each type, and one that shows that nothing follows");
}

#[tokio::test]
async fn tags_that_are_not_kept_make_no_second_asset() {
    let mut rig = Rig::with(|settings| settings.ignored_members = ["inventory_number".to_owned()].into()).await;
    let batch = [0, 1].map(|number| create(&rig.target, number));
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").after_commit().times(1)]);
    send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap_err();
    send(&rig.target, 0, &batch).await;
    assert_eq!(rig.sim.assets().len(), 2, "they are found by their keys");
    rig.anew();
    send(&rig.target, 1, &batch).await;
    assert_eq!((find(&rig.target, 0).await.len(), rig.sim.assets().len()), (1, 2));
    // What was made shows another tag than it was made with: no more are made.
    let first = answer(&rig, 1, create(&rig.target, 2)).await;
    let second = answer(&rig, 1, create(&rig.target, 3)).await;
    assert!(
        first.is_ok() && matches!(&second, Err(TargetError::Unusable { text, .. }) if text.contains("asset tags")),
        "{first:?} {second:?}"
    );
    assert_eq!(rig.sim.assets().len(), 3);
}

/// That a search finds nothing says nothing before it is proven, however often it is asked.
#[tokio::test]
async fn a_search_that_was_not_proven_is_not_believed_the_next_time() {
    let rig = Rig::with(|settings| settings.ignored_members = ["inventory_number".to_owned()].into()).await;
    let one = [create(&rig.target, 0)];
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").after_commit().times(1)]);
    send_as(&rig.target, &estate("ours"), 0, &one).await.unwrap_err();
    rig.sim.faults(vec![Fault::new(no(400)).contains("assettype_id=").times(1)]);
    send_as(&rig.target, &estate("ours"), 0, &one).await.unwrap_err();
    rig.sim.faults(Vec::new());
    send(&rig.target, 0, &one).await;
    assert_eq!(rig.sim.assets().len(), 1);
}

#[tokio::test]
async fn a_search_that_finds_nothing_is_tried_on_what_is_there() {
    let mut rig = Rig::new().await;
    made(&rig, 3).await;
    rig.anew();
    rig.sim.faults(vec![Fault::new(Effect::EmptyList).contains("inventory_number=")]);
    send(&rig.target, 1, &[create(&rig.target, 1)]).await;
    assert_eq!(rig.sim.assets().len(), 3);
}

#[tokio::test]
async fn a_copy_is_no_second_one_of_ours() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 2).await;
    let copies = [copied(&rig, &records[1], "LAPTOP-7"), copied(&rig, &records[1], &crate::tag::tag(&key(1)))];
    // A lower id than the true one's cannot be had: the true one is the oldest.
    rig.anew();
    let ids: Vec<RecordId> = read_all(&rig.target).await.into_iter().map(|record| record.id).collect();
    assert_eq!(ids, records);
    let found = find(&rig.target, 1).await;
    let our: Vec<&RecordId> = found.iter().filter(|record| record.estate.is_some()).map(|record| &record.id).collect();
    assert_eq!((our, found.len()), (vec![&records[1]], 3), "the others are strangers");
    assert!(
        found.iter().filter(|record| record.estate.is_none()).all(|record| record.external_id.is_none() && record.delivered_at.is_none())
    );
    // A ledger that took the copy for it writes nothing.
    let copy = RecordId(copies[0].to_string());
    for write in [
        update(&rig.target, 1, &copy, None, &[("Size", json!("x"))]),
        update(&rig.target, 1, &copy, Some(true), &[]),
        purge(1, &copy),
        relate((0, 1), &records[0], &copy, Attributes::new()),
    ] {
        let refused = answer(&rig, 1, write).await.unwrap_err();
        assert!(refused.to_string().contains("copy"), "{refused}");
    }
    assert_eq!(rig.calls("asset_post") + rig.calls("asset_delete"), 0);
    // A create that was answered by silence ends at the true one.
    assert_eq!(send(&rig.target, 1, &[create(&rig.target, 1)]).await, [records[1].clone()]);
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "copies" && finding.text.contains("2 assets")), "{findings:#?}");
}

#[tokio::test]
async fn a_tag_that_people_changed_makes_no_second_asset() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 2).await;
    rig.sim.edit(|tenant| tenant.change(id(&records[1]), |asset| asset.inventory_number = "IT-0001".to_owned()));
    rig.anew();
    assert_eq!(find(&rig.target, 1).await[0].estate, Some(estate("ours")));
    send(&rig.target, 1, &[update(&rig.target, 1, &records[1], None, &[("Size", json!("x"))])]).await;
    assert_eq!(rig.sim.edit(|tenant| tenant.get(id(&records[1])).unwrap().inventory_number.clone()), crate::tag::tag(&key(1)));
}

#[tokio::test]
async fn what_is_removed_is_read_right_before() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    let batch = [0, 1].map(|number| purge(number, &records[number]));
    set(&rig, &records[0], "Dewpoint Estate", "");
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(rig.sim.assets().len(), 1);
    let calls: Vec<String> = rig.sim.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls, ["asset_get", "asset_get", "asset_delete"], "not in a list before the whole batch");
}

#[tokio::test]
async fn strangers_are_read_as_what_they_are_looked_for() {
    let rig = Rig::new().await;
    let shared = Override { class: Some("Virtual Machine".to_owned()), fields: BTreeMap::new() };
    let mapping = Arc::new(Mapping::with(&BTreeMap::from([(Kind::Volume, shared)]), Statuses::default()).unwrap());
    let administrator = config_of(&rig.sim, dewpoint_halo_sim::CLIENT_ID, dewpoint_halo_sim::CLIENT_SECRET);
    let target = HaloTarget::new(&HaloConfig { mapping, ..administrator }).unwrap();
    target.bootstrap(false).await.unwrap();
    let foreign = rig.sim.edit(|tenant| {
        let shared = tenant.type_named("Virtual Machine").unwrap();
        tenant.insert(shared, "", &[("Native ID", "vol-1"), ("Volume Type", "gp2")]);
        let foreign = tenant.add_type("Disk", &["Name", "Support Group"]);
        tenant.insert(foreign, "vol-2", &[("Name", "people's"), ("Support Group", "storage")])
    });
    let volume = |native_id: &str| Identity {
        key: format!("aws:arn:aws:ec2:eu-west-1:123456789012:volume/{native_id}").parse().unwrap(),
        kind: Kind::Volume,
        native_id: native_id.to_owned(),
        ..identity(1)
    };
    let found = target.find(&[volume("vol-1"), volume("vol-2")]).await;
    let fields = |native_id: &str| found[&volume(native_id).key].as_ref().unwrap()[0].fields.clone();
    assert_eq!(fields("vol-1").get("Volume Type"), Some(&json!("gp2")), "not as a machine, which has no such field");
    assert_eq!(fields("vol-2").get("Support Group"), Some(&json!("storage")), "asset {foreign} is of a type of people's");
}

#[tokio::test]
async fn few_are_looked_for_by_few_requests() {
    let mut rig = Rig::new().await;
    made(&rig, 3).await;
    rig.anew();
    assert!(find(&rig.target, 7).await.is_empty());
    let lists = rig.calls("asset_list");
    // A page of each type up to the first one with an asset of ours, and the searches for that.
    assert!(lists <= 2 + 15 + 2, "{lists}");
    find(&rig.target, 8).await;
    assert_eq!(rig.calls("asset_list"), lists + 2, "proven once");
}

#[tokio::test]
async fn strangers_are_found_where_searches_do_not_go() {
    let mut tenant = super::rig::tenant();
    tenant.add_type("Virtual Machine", &["Name", "Model", "Serial Number"]);
    let rig = Rig::over(tenant, |_| {}).await;
    made(&rig, 1).await;
    let stranger = rig.sim.edit(|tenant| {
        let machine = tenant.type_named("Virtual Machine").unwrap();
        tenant.insert(machine, "", &[("Name", "by hand"), ("Native ID", &native_id(1))])
    });
    let found = find(&rig.target, 1).await;
    assert_eq!(found.iter().map(|record| id(&record.id)).collect::<Vec<_>>(), [stranger], "the type's key fields are people's");
}

#[tokio::test]
async fn what_people_related_before_us_stays() {
    for existing in [AddExisting::Keep, AddExisting::Change] {
        let mut rig = Rig::with(|settings| settings.add_existing = existing).await;
        let records = made(&rig, 4).await;
        let ids: Vec<i64> = records.iter().map(id).collect();
        rig.sim.edit(|tenant| {
            let name = tenant.relationship_named("Depends on").unwrap();
            tenant.relate(ids[0], ids[1], name);
            tenant.relate(ids[2], ids[3], name);
        });
        let before = rig.sim.relationships();
        rig.anew();
        let edges =
            [relate((0, 1), &records[0], &records[1], Attributes::new()), relate((2, 3), &records[2], &records[3], Attributes::new())];
        send(&rig.target, 1, &edges).await;
        assert_eq!(rig.sim.relationships(), before, "it keeps its name, too");
        rig.anew();
        send(&rig.target, 2, &edges).await;
        rig.anew();
        send(&rig.target, 3, &[unrelate((0, 1), &records[0], &records[1])]).await;
        send(&rig.target, 4, &[update(&rig.target, 2, &records[2], Some(true), &[])]).await;
        assert_eq!(rig.sim.relationships(), before, "{existing:?}");
        // Ours goes, as ever.
        send(&rig.target, 5, &[relate((3, 1), &records[3], &records[1], Attributes::new())]).await;
        send(&rig.target, 6, &[unrelate((3, 1), &records[3], &records[1])]).await;
        assert_eq!(rig.sim.relationships(), before);
    }
}

#[tokio::test]
async fn a_retirement_that_does_not_take_is_refused() {
    for answer_as in [PostAnswer::ByCount, PostAnswer::Object] {
        let rig = Rig::with(|settings| settings.post_answer = answer_as).await;
        let records = made(&rig, 2).await;
        rig.sim.settings(|settings| settings.ignored_members = ["inactive".to_owned()].into());
        let batch = [0, 1].map(|number| update(&rig.target, number, &records[number], Some(true), &[("Status", json!("Retired"))]));
        let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Err(TargetError::Rejected { .. }))), "{answers:?}");
        rig.sim.settings(|settings| settings.ignored_members = ["status_id".to_owned()].into());
        let batch = [0, 1].map(|number| update(&rig.target, number, &records[number], Some(true), &[("Status", json!("Active"))]));
        let done = send_as(&rig.target, &estate("ours"), 2, &batch).await.unwrap();
        assert!(done.iter().all(|done| done.as_ref().unwrap().left.contains_key("Status")), "the flag alone tells: {done:?}");
    }
}

#[tokio::test]
async fn values_that_do_not_take_are_told() {
    let rig = Rig::new().await;
    let record = made(&rig, 1).await.remove(0);
    // The field was taken off the type after this process read that.
    rig.sim.edit(|tenant| {
        let (size, machine) = (tenant.field_named("Size").unwrap(), tenant.type_named("Virtual Machine").unwrap());
        tenant.types.get_mut(&machine).unwrap().fields.retain(|field| field.field_id != size);
    });
    let done = answer(&rig, 1, update(&rig.target, 0, &record, None, &[("Size", json!("x")), ("vCPUs", json!("8"))])).await.unwrap();
    assert_eq!(done.left.keys().collect::<Vec<_>>(), ["Size"]);
    rig.sim.edit(|tenant| {
        let (estate, machine) = (tenant.field_named("Dewpoint Estate").unwrap(), tenant.type_named("Virtual Machine").unwrap());
        tenant.types.get_mut(&machine).unwrap().fields.retain(|field| field.field_id != estate);
    });
    let refused = answer(&rig, 2, create(&rig.target, 7)).await.unwrap_err();
    assert!(refused.to_string().contains("marks it as ours"), "{refused}");
}

#[tokio::test]
async fn a_status_that_is_gone_since_is_noticed() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 1).await;
    let clock = forward(&mut rig);
    let retire = || update(&rig.target, 0, &records[0], Some(true), &[("Status", json!("Retired"))]);
    find(&rig.target, 0).await;
    rig.sim.edit(|tenant| tenant.statuses.remove(&RETIRED));
    clock.by(90);
    assert!(matches!(answer(&rig, 1, retire()).await, Err(TargetError::Rejected { .. })), "it is not told done");
    let done = answer(&rig, 2, retire()).await.unwrap();
    assert!(done.left.contains_key("Status"), "the next one knows: {done:?}");
}

#[tokio::test]
async fn what_has_hundreds_below_it_is_retired_bit_by_bit() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 231).await;
    let edges: Vec<Write> = (1..231).map(|number| relate((0, number), &records[0], &records[number], Attributes::new())).collect();
    for part in edges.chunks(50) {
        send(&rig.target, 1, part).await;
    }
    let people = rig.sim.edit(|tenant| {
        let theirs = tenant.insert(130, "by hand", &[]);
        tenant.relate(id(&records[0]), theirs, 0);
        theirs
    });
    rig.anew();
    rig.sim.clear_calls();
    let retire = [update(&rig.target, 0, &records[0], Some(true), &[])];
    rig.sim.faults(vec![Fault::new(no(400)).operation("asset_list").nth(4).times(1)]);
    assert!(answer(&rig, 2, retire[0].clone()).await.is_err());
    assert_eq!(pairs(&rig).len(), 81, "what is done is done");
    rig.sim.clear_calls();
    send(&rig.target, 2, &retire).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[0]), people)]));
    assert!(rig.calls("asset_post") <= 3 && rig.calls("asset_get") <= 3 && rig.calls("asset_list") <= 4, "{:?}", rig.sim.counters());
}

#[tokio::test]
async fn a_batch_ends_where_little_may_be_asked() {
    // A refusal for the rate is the batch's, so that the engine waits and sends it again.
    for effect in [no(400), Effect::Throttle { retry_after_s: Some(3600) }] {
        a_batch_ends_after(effect).await;
    }
}

async fn a_batch_ends_after(effect: Effect) {
    let is_throttle = matches!(effect, Effect::Throttle { .. });
    let mut rig = Rig::new().await;
    let records = made(&rig, 40).await;
    rig.sim.settings(|settings| settings.ignored_parameters = ["assets".to_owned()].into());
    let clock = Forward::new();
    let slow = HaloConfig { requests_per_minute: NonZeroU32::new(40).unwrap(), ..clocked(&rig, &clock) };
    rig.target = HaloTarget::new(&slow).unwrap();
    let batch: Vec<Write> = (0..30).map(|number| update(&rig.target, number, &records[number], None, &[("Size", json!("x"))])).collect();
    // It learns that assets have to be read one by one.
    send(&rig.target, 1, &batch[..2]).await;
    rig.sim.clear_calls();
    // A quarter of a minute's requests for each part: each is written before the next is read.
    rig.sim.faults(vec![Fault::new(effect).operation("asset_get").nth(20).times(1)]);
    let sent = send_as(&rig.target, &estate("ours"), 2, &batch).await;
    let rest: Vec<Write> = if is_throttle {
        // What is done is told, and what is left is to be sent again.
        let answers = sent.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(TargetError::Busy { .. }))), "{answers:?}");
        batch.into_iter().zip(answers).filter(|(_, answer)| answer.is_err()).map(|(write, _)| write).collect()
    } else {
        sent.unwrap_err();
        batch
    };
    clock.by(3600);
    assert_eq!(rig.calls("asset_post"), 2);
    rig.sim.clear_calls();
    send(&rig.target, 2, &rest).await;
    assert_eq!(rig.calls("asset_post"), 2);
    // What the first attempt had under way when it failed may come in late.
    assert!(rig.calls("asset_get") <= 14 + 3, "what was written is not read again");
}

/// What many retirements need to be read by themselves is no more than there is time for.
#[tokio::test]
async fn many_retirements_come_to_an_end_where_little_may_be_asked() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 30).await;
    let clock = Forward::new();
    let slow = HaloConfig { requests_per_minute: NonZeroU32::new(40).unwrap(), ..clocked(&rig, &clock) };
    rig.target = HaloTarget::new(&slow).unwrap();
    let retire: Vec<Write> = (0..30).map(|number| update(&rig.target, number, &records[number], Some(true), &[])).collect();
    send(&rig.target, 1, &retire).await;
    let asked: Vec<String> = rig.sim.calls().into_iter().map(|call| call.operation).collect();
    let read = asked.iter().take_while(|operation| *operation != "asset_post").filter(|operation| *operation == "asset_get").count();
    assert!(read <= 10, "{read} are read before the first is written");
    assert!(rig.sim.assets().iter().all(|asset| asset.inactive));
}

#[tokio::test]
async fn a_login_that_is_refused_midway_is_told() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 30).await;
    let clock = Forward::new();
    let slow = HaloConfig { requests_per_minute: NonZeroU32::new(40).unwrap(), ..clocked(&rig, &clock) };
    rig.target = HaloTarget::new(&slow).unwrap();
    let retire: Vec<Write> = (0..30).map(|number| update(&rig.target, number, &records[number], Some(true), &[])).collect();
    rig.sim.faults(vec![Fault::new(Effect::ExpiredToken).operation("asset_post").nth(2)]);
    let answers = send_as(&rig.target, &estate("ours"), 1, &retire).await.unwrap();
    assert!(answers[0].is_ok(), "{:?}", answers[0]);
    assert!(answers.iter().any(|answer| matches!(answer, Err(TargetError::Credentials { .. }))), "{answers:?}");
}

#[tokio::test]
async fn what_one_type_refuses_stops_no_other() {
    let mut rig = Rig::new().await;
    made(&rig, 1).await;
    let volume = rig.sim.edit(|tenant| tenant.type_named("Volume").unwrap());
    let of_volume = |native_id: &str| Identity {
        key: format!("aws:arn:aws:ec2:eu-west-1:123456789012:volume/{native_id}").parse().unwrap(),
        kind: Kind::Volume,
        native_id: native_id.to_owned(),
        ..identity(1)
    };
    let make = |rig: &Rig, number: usize| {
        let write = create(&rig.target, number);
        let operation = match write.operation.clone() {
            Operation::Create { native_id, mut fields, .. } => {
                fields.retain(|name, _| ["Name", "Native ID"].contains(&name.as_str()));
                Operation::Create { class: "Volume".to_owned(), native_id, fields }
            }
            other => other,
        };
        Write { key: of_volume(&format!("vol-{number}")).key, kind: Kind::Volume, operation, ..write }
    };
    // It may not be listed.
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("asset_list").contains(&format!("assettype_id={volume}"))]);
    rig.anew();
    let mut identities: Vec<Identity> = (0..30).map(identity).collect();
    identities.push(of_volume("vol-1"));
    let found = rig.target.find(&identities).await;
    assert!(found[&key(0)].as_ref().unwrap().len() == 1 && found[&key(5)].as_ref().unwrap().is_empty());
    assert!(matches!(found[&of_volume("vol-1").key], Err(TargetError::Forbidden { .. })));
    assert!(rig.target.read(None).await.is_err(), "what is not shown is not gone");
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "assets" && finding.outcome == Health::Error), "{findings:#?}");
    // It may not be written.
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("asset_post").body_contains(&format!("\"assettype_id\":{volume}"))]);
    rig.anew();
    let batch = [make(&rig, 1), create(&rig.target, 5), make(&rig, 2), create(&rig.target, 6)];
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    let is_done: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(is_done, [false, true, false, true], "{answers:?}");
    let answers = send_as(&rig.target, &estate("ours"), 1, &[make(&rig, 1), make(&rig, 2)]).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(TargetError::Forbidden { .. }))), "the target goes on: {answers:?}");
    // It may not be seen at all.
    rig.sim.faults(Vec::new());
    rig.sim.edit(|tenant| {
        let seen: BTreeSet<i64> = tenant.types.keys().copied().filter(|id| *id != volume).collect();
        tenant.applications.iter_mut().for_each(|application| application.asset_types = Some(seen.clone()));
    });
    rig.anew();
    let found = rig.target.find(&[identity(0), of_volume("vol-1")]).await;
    assert!(found[&key(0)].is_ok() && matches!(found[&of_volume("vol-1").key], Err(TargetError::Unusable { .. })));
    let answers = send_as(&rig.target, &estate("ours"), 1, &[make(&rig, 1), create(&rig.target, 9)]).await.unwrap();
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert!(rig.target.read(None).await.is_err());
}

#[tokio::test]
async fn where_nothing_may_be_written_the_target_says_so() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("asset_post")]);
    let machine = update(&rig.target, 0, &records[0], None, &[("Size", json!("x"))]);
    assert!(answer(&rig, 1, machine.clone()).await.is_err());
    let network = Write {
        key: "aws:arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1".parse().unwrap(),
        kind: Kind::Network,
        operation: match create(&rig.target, 1).operation {
            Operation::Create { native_id, .. } => {
                Operation::Create { class: "Virtual Network".to_owned(), native_id, fields: BTreeMap::new() }
            }
            other => other,
        },
        ..create(&rig.target, 1)
    };
    assert!(matches!(send_as(&rig.target, &estate("ours"), 1, &[network, machine]).await, Err(TargetError::Forbidden { .. })));
}

#[tokio::test]
async fn a_note_that_cannot_be_read_is_left_and_told() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 3).await;
    send(&rig.target, 1, &[relate((0, 1), &records[0], &records[1], Attributes::new())]).await;
    set(&rig, &records[1], "Dewpoint Data", "please do not touch");
    rig.anew();
    for write in [
        unrelate((0, 1), &records[0], &records[1]),
        relate((2, 1), &records[2], &records[1], Attributes::new()),
        update(&rig.target, 1, &records[1], Some(true), &[]),
    ] {
        let refused = answer(&rig, 2, write).await.unwrap_err();
        assert!(refused.to_string().contains("Dewpoint Data"), "{refused}");
    }
    send(&rig.target, 2, &[update(&rig.target, 1, &records[1], None, &[("Size", json!("x"))])]).await;
    assert_eq!([value(&rig, &records[1], "Dewpoint Data"), value(&rig, &records[1], "Size")], ["please do not touch", "x"]);
    let done = answer(&rig, 3, update(&rig.target, 0, &records[0], Some(true), &[])).await.unwrap();
    assert!(done.left["relationships"].contains("can be read"), "{done:?}");
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "notes"), "{findings:#?}");
    assert_eq!(pairs(&rig).len(), 1);
    // Somebody empties it: what the ledger knows to be delivered is believed.
    set(&rig, &records[1], "Dewpoint Data", "");
    send(&rig.target, 4, &[unrelate((0, 1), &records[0], &records[1])]).await;
    assert!(pairs(&rig).is_empty());
}

#[tokio::test]
async fn links_to_strangers_assets_go_with_ours() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 2).await;
    let strangers = rig.sim.edit(|tenant| {
        let machine = tenant.type_named("Virtual Machine").unwrap();
        [1, 2, 3].map(|number| tenant.insert(machine, "", &[("Name", "by hand"), ("Native ID", native_id(10 + number).as_str())]))
    });
    rig.sim.edit(|tenant| tenant.relate(id(&records[0]), strangers[2], 1));
    let theirs = |place: usize| Addressed { record: RecordId(strangers[place].to_string()), carries: None };
    let edge = |place: usize| EdgeId { from: key(0), relation: RelationType::RoutesTo, to: key(11 + place) };
    let add = |place: usize| Operation::Relate {
        edge: edge(place),
        from: End::Stands(ours(0, &records[0])),
        to: End::Stands(theirs(place)),
        to_kind: Kind::Instance,
        attributes: Attributes::new(),
    };
    let remove =
        |place: usize| Operation::Unrelate { edge: edge(place), from: ours(0, &records[0]), to: theirs(place), to_kind: Kind::Instance };
    let write = |operation: Operation| Write { operation, ..create(&rig.target, 0) };
    let before: Vec<_> = strangers.map(|id| rig.sim.edit(|tenant| tenant.get(id).unwrap().values.clone())).into();
    let batch: Vec<Write> = [0, 1, 2].map(|place| write(add(place))).into();
    let last = write(remove(0));
    rig.anew();
    send(&rig.target, 1, &batch).await;
    assert_eq!(pairs(&rig).len(), 3);
    rig.anew();
    send(&rig.target, 2, &[last]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[0]), strangers[1]), (id(&records[0]), strangers[2])]));
    rig.anew();
    send(&rig.target, 3, &[update(&rig.target, 0, &records[0], Some(true), &[])]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[0]), strangers[2])]), "which people drew");
    let after: Vec<_> = strangers.map(|id| rig.sim.edit(|tenant| tenant.get(id).unwrap().values.clone())).into();
    assert_eq!(before, after, "nothing is written to them");
}

#[tokio::test]
async fn keys_that_differ_by_case_are_two() {
    let rig = Rig::new().await;
    let named = |name: &str| {
        let key = format!("aws:arn:aws:ec2:eu-west-1:123456789012:instance/{name}").parse().unwrap();
        Write { key, ..create(&rig.target, 1) }
    };
    let records = send(&rig.target, 0, &[named("web"), named("WEB")]).await;
    assert_ne!(records[0], records[1]);
    assert_eq!(send(&rig.target, 1, &[named("WEB"), named("web")]).await, [records[1].clone(), records[0].clone()]);
    assert_eq!(rig.sim.assets().len(), 2);
}

#[tokio::test]
async fn a_create_that_finds_an_older_asset_of_ours_is_written() {
    let mut rig = Rig::with(|settings| settings.batch_failure = BatchFailure::Before).await;
    let records = made(&rig, 1).await;
    set(&rig, &records[0], "Cloud Owner", "people");
    rig.sim.edit(|tenant| tenant.change(id(&records[0]), |asset| asset.inactive = true));
    rig.anew();
    let mut write = create(&rig.target, 0);
    if let Operation::Create { fields, .. } = &mut write.operation {
        fields.insert("Size".to_owned(), json!("m7i.large"));
    }
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").times(1)]);
    drop(answer(&rig, 1, write.clone()).await);
    let done = answer(&rig, 1, write).await.unwrap();
    assert_eq!(done.record, records[0]);
    assert_eq!([value(&rig, &records[0], "Size"), value(&rig, &records[0], "Cloud Owner")], ["m7i.large", "people"]);
    assert!(!rig.sim.assets()[0].inactive);
    assert_eq!(read_all(&rig.target).await[0].delivered_at, Some(at(1)));
}

#[tokio::test]
async fn values_that_are_cut_do_not_differ_for_ever() {
    let rig = Rig::new().await;
    let mut ci = dewpoint_core::testing::contract::ci(1);
    ci.tags = (0..600).map(|number| (format!("tag-{number:04}"), "🌧 ".repeat(5))).collect();
    ci.attributes
        .insert("private_addresses".to_owned(), (0..900).map(|number| json!(format!("10.0.{}.{}", number / 250, number % 250))).collect());
    let wanted: BTreeMap<String, Value> =
        rig.target.adapt(&ci).unwrap().fields.into_iter().map(|(name, field)| (name, field.value)).collect();
    assert!(["Tags", "Private Addresses"].iter().all(|name| wanted[*name].as_str().unwrap().ends_with('…')));
    let operation = match create(&rig.target, 1).operation {
        Operation::Create { class, native_id, .. } => Operation::Create { class, native_id, fields: wanted.clone() },
        other => other,
    };
    let done = answer(&rig, 0, Write { operation, ..create(&rig.target, 1) }).await.unwrap();
    assert!(done.left.is_empty(), "{:?}", done.left);
    assert_eq!(read_all(&rig.target).await[0].fields, wanted);
}

#[tokio::test]
async fn another_integration_is_told_of_whatever_it_keeps() {
    let rig = Rig::new().await;
    rig.sim.edit(|tenant| {
        let volume = tenant.type_named("Volume").unwrap();
        let stranger = tenant.insert(volume, "vol-9", &[]);
        tenant.change(stranger, |asset| drop(asset.members.insert("aws_id".to_owned(), json!("vol-9"))));
    });
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "AWS integration" && finding.text.contains("not")), "{findings:#?}");
}

#[tokio::test]
async fn relationships_that_are_not_taken_are_told() {
    for ignored in [true, false] {
        let rig = Rig::new().await;
        let records = made(&rig, 2).await;
        if ignored {
            rig.sim.settings(|settings| settings.ignored_members = ["add_parent_assets".to_owned()].into());
        }
        send(&rig.target, 1, &[relate((0, 1), &records[0], &records[1], Attributes::new())]).await;
        let findings = rig.target.doctor().await;
        let is_told = findings.iter().any(|finding| finding.check == "relationships" && finding.outcome == Health::Warning);
        assert_eq!(is_told, ignored, "{findings:#?}");
    }
}
