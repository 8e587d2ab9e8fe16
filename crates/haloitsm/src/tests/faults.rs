//! What goes wrong on the way, or is not as it is said to be.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dewpoint_core::target::{Delivered, RecordId, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{create, estate, find, identity, key, native_id, read_all, send, send_as, update};
use dewpoint_halo_sim::{BatchFailure, Effect, Fault, Mishap, PostAnswer, RetryAfter, Shape, Throttle};
use serde_json::json;

use super::rig::{Rig, config, id};
use crate::HaloTarget;

/// Sends a batch as the engine does: one that fails as a whole is halved, until the bad record stands alone.
async fn deliver(rig: &Rig, batch: &[Write]) -> Vec<Result<Delivered, TargetError>> {
    let mut stack = vec![batch.to_vec()];
    let mut answers = Vec::new();
    while let Some(mut part) = stack.pop() {
        match send_as(&rig.target, &estate("ours"), 0, &part).await {
            Ok(done) => answers.extend(done),
            Err(error) if part.len() == 1 => answers.push(Err(error)),
            Err(_) => {
                let rest = part.split_off(part.len() / 2);
                stack.extend([rest, part]);
            }
        }
    }
    answers
}

fn creates(rig: &Rig, count: usize) -> Vec<Write> {
    (0..count).map(|number| create(&rig.target, number)).collect()
}

fn post() -> Fault {
    Fault::new(Mishap::Reset).operation("asset_post")
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_asset() {
    let rig = Rig::new().await;
    rig.sim.faults(vec![post().after_commit().times(1)]);
    let batch = creates(&rig, 10);
    let answers = deliver(&rig, &batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(rig.sim.assets().len(), 10);
    assert_eq!(rig.calls("asset_post"), 1, "what stands as it should is not written again");
}

#[tokio::test]
async fn a_process_that_was_killed_makes_no_second_asset() {
    let mut rig = Rig::new().await;
    rig.sim.faults(vec![post().after_commit().times(1)]);
    let batch = creates(&rig, 30);
    send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap_err();
    rig.anew();
    let identities: Vec<_> = (0..30).map(identity).collect();
    let found = rig.target.find(&identities).await;
    assert!(found.values().all(|answer| answer.as_ref().unwrap().len() == 1));
    send(&rig.target, 1, &batch).await;
    assert_eq!(rig.sim.assets().len(), 30);
}

#[tokio::test]
async fn a_lost_request_is_sent_again() {
    let rig = Rig::new().await;
    rig.sim.faults(vec![post().times(1)]);
    let answers = deliver(&rig, &creates(&rig, 10)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(rig.sim.assets().len(), 10);
}

#[tokio::test]
async fn a_poisoned_asset_stands_alone() {
    for failure in [BatchFailure::Nothing, BatchFailure::Before] {
        let rig = Rig::with(|settings| settings.batch_failure = failure).await;
        let batch = creates(&rig, 20);
        // Refused by a rule of the tenant's, so that what stands before it in the array may be stored.
        let taken = rig.sim.edit(|tenant| {
            let asset_type = tenant.type_named("Virtual Machine").unwrap();
            tenant.insert(asset_type, &crate::tag::tag(&key(13)), &[("Name", "by hand")])
        });
        rig.sim.settings(|settings| settings.unique_tags = true);
        let answers = deliver(&rig, &batch).await;
        let failed: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).map(|(number, _)| number).collect();
        assert_eq!(failed, [13], "{failure:?}");
        assert_eq!(rig.sim.assets().len(), 20, "19, and asset {taken}");
    }
}

#[tokio::test]
async fn an_asset_that_the_tenant_refuses_stands_alone() {
    for failure in [BatchFailure::Nothing, BatchFailure::Before] {
        let rig = Rig::with(|settings| settings.batch_failure = failure).await;
        let refused = Effect::Error { status: 400, shape: Shape::Exception, message: "no".to_owned() };
        rig.sim.faults(vec![Fault::new(refused).operation("asset_post").body_contains("i-0007~")]);
        let answers = deliver(&rig, &creates(&rig, 20)).await;
        let failed: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).map(|(number, _)| number).collect();
        assert_eq!(failed, [7]);
        assert!(matches!(answers[7], Err(TargetError::Rejected { .. })));
        assert_eq!(rig.sim.assets().len(), 19);
    }
}

#[tokio::test]
async fn one_object_may_answer_for_many() {
    let rig = Rig::with(|settings| settings.post_answer = PostAnswer::Object).await;
    for count in [5, 30] {
        let batch = creates(&rig, count);
        let records = send(&rig.target, 0, &batch).await;
        for (number, record) in records.iter().enumerate() {
            assert_eq!(rig.sim.edit(|tenant| tenant.value(record.0.parse().unwrap(), "Native ID").to_owned()), native_id(number));
        }
    }
    assert_eq!(rig.sim.assets().len(), 30);
    let record = &find(&rig.target, 1).await[0].id;
    let batch = [1, 2].map(|number| update(&rig.target, number, record, None, &[("Size", json!("x"))]));
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    assert!(answers[0].is_ok() && answers[1].is_err());
}

#[tokio::test]
async fn a_filter_that_is_ignored_finds_nothing_wrong() {
    for parameter in ["inventory_number", "search", "assets", "assettype_id"] {
        let mut rig = Rig::new().await;
        let records = send(&rig.target, 0, &creates(&rig, 5)).await;
        rig.sim.settings(|settings| {
            settings.ignored_parameters = [parameter.to_owned()].into();
            settings.fields_need_type = false;
        });
        rig.anew();
        assert_eq!(find(&rig.target, 3).await.len(), 1, "{parameter}");
        assert_eq!(find(&rig.target, 7).await.len(), 0, "{parameter}");
        assert_eq!(send(&rig.target, 1, &creates(&rig, 6)).await[..5], records, "{parameter}");
        let batch: Vec<Write> = (0..2).map(|number| update(&rig.target, number, &records[number], None, &[("Size", json!("x"))])).collect();
        send(&rig.target, 2, &batch).await;
        assert_eq!(read_all(&rig.target).await.len(), 6, "{parameter}");
        assert_eq!(rig.sim.assets().len(), 6, "{parameter}");
    }
}

#[tokio::test]
async fn a_list_that_is_not_whole_says_nothing() {
    let rig = Rig::new().await;
    send(&rig.target, 0, &creates(&rig, 50)).await;
    for effect in [Effect::MissRows { share: 0.9 }, Effect::WrongCount { count: 51 }] {
        rig.sim.faults(vec![Fault::new(effect).operation("asset_list")]);
        assert!(matches!(rig.target.read(None).await, Err(TargetError::Unreachable { .. })));
        let identities: Vec<_> = (0..30).map(identity).collect();
        assert!(rig.target.find(&identities).await.values().all(Result::is_err));
    }
    rig.sim.faults(vec![Fault::new(Effect::MissRows { share: 0.9 }).operation("asset_list").times(2)]);
    assert_eq!(read_all(&rig.target).await.len(), 50, "it is begun again");
}

#[tokio::test]
async fn pages_are_as_long_as_the_server_likes() {
    for rows in [1, 7, 1000] {
        let rig = Rig::with(|settings| settings.page_rows_max = rows).await;
        send(&rig.target, 0, &creates(&rig, 25)).await;
        assert_eq!(read_all(&rig.target).await.len(), 25);
        let identities: Vec<_> = (0..25).map(identity).collect();
        assert!(rig.target.find(&identities).await.values().all(|answer| answer.as_ref().unwrap().len() == 1));
    }
}

#[tokio::test]
async fn a_tenant_that_shows_no_types_is_not_empty() {
    let mut rig = Rig::new().await;
    send(&rig.target, 0, &creates(&rig, 1)).await;
    let machine = rig.sim.edit(|tenant| tenant.type_named("Virtual Machine").unwrap());
    for hidden in [true, false] {
        rig.sim.edit(|tenant| {
            let all = tenant.types.keys().copied().filter(|id| !hidden && *id != machine).collect();
            tenant.applications.iter_mut().for_each(|application| application.asset_types = Some(std::collections::BTreeSet::clone(&all)));
        });
        rig.anew();
        assert!(matches!(rig.target.read(None).await, Err(TargetError::Unusable { .. })));
        let found = rig.target.find(&[identity(1)]).await;
        assert!(matches!(found[&key(1)], Err(TargetError::Unusable { .. })));
        let sent = send_as(&rig.target, &estate("ours"), 0, &[create(&rig.target, 1)]).await;
        // Where it is one type alone, the others go on.
        assert!(if hidden { sent.is_err() } else { sent.unwrap().remove(0).is_err() });
    }
    assert_eq!(rig.sim.assets().len(), 1);
}

#[tokio::test]
async fn nothing_is_filed_under_an_unknown_site() {
    let rig = Rig::new().await;
    for (client, site) in [("Cloud", "Nowhere"), ("Nobody", "Cloud"), ("Acme", "Cloud")] {
        let named = crate::HaloConfig { client: client.to_owned(), site: site.to_owned(), ..config(&rig.sim) };
        let target = HaloTarget::new(&named).unwrap();
        let error = send_as(&target, &estate("ours"), 0, &[create(&target, 1)]).await.unwrap_err();
        assert!(matches!(&error, TargetError::Unusable { text, .. } if text.contains("no site")), "{error}");
    }
    assert!(rig.sim.assets().is_empty());
}

#[tokio::test]
async fn a_rolling_limit_is_waited_for() {
    let rig = Rig::with(|settings| settings.retry_after = RetryAfter::Never).await;
    rig.sim.faults(vec![Fault::new(Effect::Throttle { retry_after_s: None }).operation("asset_post").times(5)]);
    let mut answers = send_as(&rig.target, &estate("ours"), 0, &creates(&rig, 3)).await;
    for _ in 0..5 {
        if matches!(answers, Err(TargetError::Busy { .. })) {
            answers = send_as(&rig.target, &estate("ours"), 0, &creates(&rig, 3)).await;
        }
    }
    assert!(answers.unwrap().iter().all(Result::is_ok));
    assert_eq!((rig.calls("asset_post"), rig.sim.assets().len()), (6, 3), "refused for the rate, nothing was done");
}

/// An update holds whole fields as they were read: it is not kept for later.
#[tokio::test]
async fn what_people_write_while_an_update_waits_stays() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &creates(&rig, 1)).await.remove(0);
    rig.sim.faults(vec![Fault::new(Effect::Throttle { retry_after_s: Some(6) }).operation("asset_post").times(1)]);
    let changed = [update(&rig.target, 0, &record, None, &[("Size", json!("t3.large"))])];
    let answer = send_as(&rig.target, &estate("ours"), 1, &changed).await;
    assert!(matches!(answer, Err(TargetError::Busy { .. })), "{answer:?}");
    rig.sim.edit(|tenant| tenant.set(id(&record), "Cost Center", "by hand"));
    rig.sim.faults(Vec::new());
    send(&rig.target, 2, &changed).await;
    let value = |field: &str| rig.sim.edit(|tenant| tenant.value(id(&record), field).to_owned());
    assert_eq!([value("Cost Center"), value("Size")], ["by hand", "t3.large"]);
}

/// An answer shows the first element alone, and what became of the others may not be looked at.
#[tokio::test]
async fn what_cannot_be_looked_at_after_it_was_written_is_not_written_again() {
    let asked = |rig: &Rig| rig.sim.calls().into_iter().map(|call| call.operation).collect::<Vec<_>>();
    let object = async || Rig::with(|settings| settings.post_answer = PostAnswer::Object).await;
    let rig = object().await;
    send(&rig.target, 0, &creates(&rig, 3)).await;
    let sound = asked(&rig);
    let posted = sound.iter().position(|operation| operation == "asset_post").unwrap();
    let looks: Vec<(String, u64)> = (posted + 1..sound.len())
        .map(|at| (sound[at].clone(), sound[..=at].iter().filter(|operation| **operation == sound[at]).count() as u64))
        .collect();
    assert!(looks.len() > 1, "{sound:?}");
    for (operation, nth) in looks {
        for effect in [Effect::Forbidden, Effect::Error { status: 400, shape: Shape::Text, message: "no".to_owned() }] {
            let rig = object().await;
            rig.sim.faults(vec![Fault::new(effect.clone()).operation(&operation).nth(nth).times(1)]);
            let first = send_as(&rig.target, &estate("ours"), 0, &creates(&rig, 3)).await;
            assert_eq!(rig.calls("asset_post"), 1, "{operation} {nth}, {effect:?}");
            let is_told = first.as_ref().is_ok_and(|answers| answers.iter().all(Result::is_ok));
            assert!(is_told || matches!(first, Err(TargetError::Unreachable { .. })), "{operation} {nth}, {effect:?}: {first:?}");
            rig.sim.faults(Vec::new());
            deliver(&rig, &creates(&rig, 3)).await;
            assert_eq!(rig.sim.assets().len(), 3, "{operation} {nth}, {effect:?}: {first:?}");
        }
    }
}

#[tokio::test]
async fn the_limit_of_a_tenant_is_kept_by_itself() {
    let rig = Rig::with(|_| {}).await;
    rig.sim.settings(|settings| settings.throttle = Some(Throttle { requests: 300, window_s: 300 }));
    let paced = crate::HaloConfig { requests_per_minute: NonZeroU32::new(50).unwrap(), ..config(&rig.sim) };
    let target = HaloTarget::new(&paced).unwrap();
    let batch: Vec<Write> = (0..50).map(|number| create(&target, number)).collect();
    send(&target, 0, &batch).await;
    assert_eq!(rig.sim.counters().by_status.get(&429), None);
}

#[tokio::test]
async fn a_token_that_ended_is_renewed() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &creates(&rig, 1)).await.remove(0);
    rig.sim.expire_tokens();
    send(&rig.target, 1, &[update(&rig.target, 0, &record, None, &[("Size", json!("x"))])]).await;
    assert_eq!(rig.sim.counters().by_status.get(&401), Some(&1));
}

#[tokio::test]
async fn an_asset_that_is_gone_is_refused_alone() {
    let rig = Rig::new().await;
    let records = send(&rig.target, 0, &creates(&rig, 3)).await;
    rig.sim.edit(|tenant| tenant.delete(records[1].0.parse().unwrap()));
    let batch: Vec<Write> = (0..3).map(|number| update(&rig.target, number, &records[number], None, &[("Size", json!("x"))])).collect();
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    let failed: BTreeMap<usize, &RecordId> =
        (0..3).filter(|number| answers[*number].is_err()).map(|number| (number, &records[number])).collect();
    assert_eq!(failed, BTreeMap::from([(1, &records[1])]));
}

#[tokio::test]
async fn a_batch_that_has_to_wait_does_not_begin_anew() {
    let mut rig = Rig::new().await;
    let records = send(&rig.target, 0, &creates(&rig, 40)).await;
    rig.anew();
    let retire: Vec<Write> = (0..40).map(|number| update(&rig.target, number, &records[number], Some(true), &[])).collect();
    rig.sim.clear_calls();
    let refused = Effect::Error { status: 400, shape: Shape::Exception, message: "no".to_owned() };
    rig.sim.faults(vec![Fault::new(refused).operation("asset_get").nth(30).times(1)]);
    send_as(&rig.target, &estate("ours"), 1, &retire).await.unwrap_err();
    let before = rig.calls("asset_get");
    send(&rig.target, 1, &retire).await;
    assert!(rig.calls("asset_get") - before <= 15, "what was read is not read again");
    // The next batch reads for itself.
    rig.sim.clear_calls();
    send(&rig.target, 2, &retire[..1]).await;
    assert_eq!(rig.calls("asset_get"), 1);
}

#[tokio::test]
async fn a_doubtful_batch_is_looked_for_one_by_one() {
    let rig = Rig::new().await;
    let identities: Vec<_> = (0..40).map(identity).collect();
    rig.target.find(&identities).await;
    rig.sim.faults(vec![post().after_commit().times(1)]);
    rig.sim.clear_calls();
    send_as(&rig.target, &estate("ours"), 0, &creates(&rig, 40)).await.unwrap_err();
    assert_eq!(rig.sim.counters().by_operation, BTreeMap::from([("asset_post".to_owned(), 1)]));
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("asset_list").nth(20).times(1)]);
    send_as(&rig.target, &estate("ours"), 0, &creates(&rig, 40)).await.unwrap_err();
    rig.sim.clear_calls();
    send(&rig.target, 0, &creates(&rig, 40)).await;
    assert!(rig.calls("asset_list") <= 25, "what was found is not looked for again: {}", rig.calls("asset_list"));
    assert_eq!((rig.calls("asset_post"), rig.sim.assets().len()), (0, 40));
}

/// Where little may be asked, a look for what may have been made goes on where it left off.
#[tokio::test]
async fn a_doubtful_batch_comes_to_an_end_where_little_may_be_asked() {
    let rig = Rig::new().await;
    let batch: Vec<Write> = (0..25).map(|number| create(&rig.target, number)).collect();
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").times(1)]);
    send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap_err();
    rig.sim.clear_calls();
    for _ in 0..8 {
        let refused = Effect::Error { status: 400, shape: Shape::Text, message: "not now".to_owned() };
        rig.sim.faults(vec![Fault::new(refused).operation("asset_list").nth(11)]);
        if send_as(&rig.target, &estate("ours"), 1, &batch).await.is_ok() {
            break;
        }
    }
    assert_eq!(rig.sim.assets().len(), 25, "{:?}", rig.sim.counters().by_operation);
}
