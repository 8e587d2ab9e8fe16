//! Look-ups: only a complete answer says gone.

use dewpoint_core::model::Kind;
use dewpoint_core::source::{Presence, Source, SourceError};

use super::fake::{Fake, Fault, Script};
use super::*;

fn instances(ids: std::ops::Range<usize>) -> Vec<(Key, Kind)> {
    ids.map(|n| (key(EU, &format!("instance/i-{n:04}")), Kind::Instance)).collect()
}

#[tokio::test]
async fn ids_go_in_chunks_and_unknown_ones_are_gone() {
    let fake = Fake::start().await;
    populate(&fake, EU, 300);
    fake.with(|world| world.page = 150);
    let keys = instances(250..700);
    let answers = source(&fake, &[EU]).look_up(&keys, &Notes::default()).await;
    assert_eq!(answers.len(), keys.len());
    for (n, (key, _)) in (250..700).zip(&keys) {
        match &answers[key] {
            Ok(Presence::Present(resource)) => assert!(n < 300 && &resource.key == key),
            Ok(Presence::Gone) => assert!(n >= 300, "{key}"),
            Err(error) => panic!("{key}: {error}"),
        }
    }
    let sizes: Vec<usize> = fake
        .calls("DescribeInstances")
        .iter()
        .map(|call| call.parameters.keys().filter(|name| name.starts_with("Filter.1.Value.")).count())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 450);
    assert_eq!((sizes.len(), sizes.iter().max()), (3, Some(&200)));
}

#[tokio::test]
async fn all_kinds_are_looked_up() {
    let fake = Fake::start().await;
    populate(&fake, EU, 2);
    let keys = [
        (key(EU, "instance/i-0001"), Kind::Instance),
        (key(EU, "network-interface/eni-0001"), Kind::NetworkInterface),
        (key(EU, "security-group/sg-0001"), Kind::SecurityGroup),
        (key(EU, "security-group/sg-9"), Kind::SecurityGroup),
    ];
    let answers = source(&fake, &[EU]).look_up(&keys, &Notes::default()).await;
    for (key, _) in &keys[..3] {
        assert!(matches!(&answers[key], Ok(Presence::Present(_))), "{key}");
    }
    assert!(matches!(answers[&keys[3].0], Ok(Presence::Gone)));
}

#[tokio::test]
async fn a_cut_answer_confirms_no_absence() {
    let fake = Fake::start().await;
    populate(&fake, EU, 2);
    let source = source(&fake, &[EU]);
    for share in [0, 300, 700, 999] {
        fake.with(|world| world.scripts.clear());
        fake.fail(EU, "DescribeInstances", Fault::Cut(share));
        for (key, answer) in source.look_up(&instances(0..4), &Notes::default()).await {
            assert!(matches!(answer, Err(SourceError::Truncated { .. })), "{key}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_second_page_confirms_no_absence() {
    let fake = Fake::start().await;
    populate(&fake, EU, 4);
    fake.with(|world| world.page = 2);
    let fault = Fault::Error(403, "UnauthorizedOperation", "no");
    fake.script(Script { region: EU, action: "DescribeInstances", first: 1, times: usize::MAX, fault });
    let answers = source(&fake, &[EU]).look_up(&instances(0..6), &Notes::default()).await;
    let present = answers.values().filter(|answer| matches!(answer, Ok(Presence::Present(_)))).count();
    let denied = answers.values().filter(|answer| matches!(answer, Err(SourceError::Denied { .. }))).count();
    assert_eq!((present, denied), (2, 4));
}

#[tokio::test]
async fn an_item_without_state_is_not_gone() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeInstances", "i-0000", reservation("<instanceId>i-0000</instanceId>"));
    let answers = source(&fake, &[EU]).look_up(&instances(0..1), &Notes::default()).await;
    assert!(answers.values().all(|answer| matches!(answer, Err(SourceError::Truncated { .. }))), "{answers:?}");
}

#[tokio::test]
async fn keys_of_elsewhere_are_errors_without_a_call() {
    let fake = Fake::start().await;
    let elsewhere = [
        (key(US, "instance/i-1"), Kind::Instance),
        (key(EU, "instance/i-1"), Kind::SecurityGroup),
        (key(EU, "instance/i-*"), Kind::Instance),
        (key(EU, "volume/vol-1"), Kind::Volume),
        ("aws:arn:aws-test:ec2:eu-test-1:999999999999:instance/i-1".parse().unwrap(), Kind::Instance),
        ("aws:arn:aws:ec2:eu-test-1:123456789012:instance/i-1".parse().unwrap(), Kind::Instance),
        ("service:shop".parse().unwrap(), Kind::Service),
    ];
    for asked in &elsewhere {
        let answers = source(&fake, &[EU]).look_up(std::slice::from_ref(asked), &Notes::default()).await;
        assert!(matches!(answers[&asked.0], Err(SourceError::Failed { .. })), "{asked:?}");
    }
    assert!(fake.calls("DescribeInstances").is_empty());
}
