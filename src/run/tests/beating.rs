//! The heartbeat through whole runs.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};

use super::World;
use crate::exit::Exit;
use crate::ledger::TargetNews;
use crate::model::{Key, TargetName};
use crate::plan::ChangeKind;
use crate::run::report::{self, Heartbeat};
use crate::run::{Ended, Mode};
use crate::target::{Beat, TargetError};

/// What a target is told of records that were seen.
#[derive(Debug, Default)]
pub(super) struct Heart {
    /// What it was told, since anybody looked.
    told: Vec<Beat>,
    /// How many it may be told in an hour, where that is limited.
    per_hour: Option<u64>,
    /// Of a record that ends so it wants to hear nothing.
    deaf_to: Option<&'static str>,
    /// How many it has time for at once, where that is limited.
    at_once: Option<usize>,
    /// It does not answer.
    is_down: bool,
}

impl Heart {
    pub(super) fn within(&self, time: Duration) -> usize {
        let most = self.per_hour.map_or(u64::MAX, |per_hour| per_hour * time.as_secs() / 3600);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    pub(super) fn take(&mut self, target: &TargetName, beats: &[Beat]) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        if self.is_down {
            return Err(TargetError::Unreachable { target: target.clone(), operation: "beat", text: "connection reset".to_owned() });
        }
        let at_once = self.at_once.unwrap_or(beats.len());
        self.told.extend(beats.iter().take(at_once).cloned());
        let refused = TargetError::Rejected { target: target.clone(), text: "it is not ours any more".to_owned() };
        let answer = |beat: &Beat| match self.deaf_to {
            Some(end) if beat.key.as_str().ends_with(end) => Err(refused.clone()),
            _ => Ok(()),
        };
        let busy = TargetError::Busy { target: target.clone(), seconds: 0 };
        Ok(beats.iter().enumerate().map(|(place, beat)| if place < at_once { answer(beat) } else { Err(busy.clone()) }).collect())
    }
}

fn cmdb() -> TargetName {
    "cmdb".parse().unwrap()
}

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000).unwrap() + hour.hours()
}

impl World {
    /// A world whose target wants to hear of each record once a day.
    async fn beating(heart: Heart) -> Self {
        let mut world = Self::new().await;
        world.config.targets[0].heartbeat = Some(Duration::from_secs(86_400));
        world.config.targets[0].deadline = Duration::from_secs(3600);
        *world.faults.heart.lock().unwrap() = Some(heart);
        world
    }

    fn heart<T>(&self, look: impl FnOnce(&mut Heart) -> T) -> T {
        look(self.faults.heart.lock().unwrap().as_mut().unwrap())
    }

    fn told(&self) -> Vec<Beat> {
        self.heart(|heart| std::mem::take(&mut heart.told))
    }
}

fn beaten(ended: &Ended) -> Heartbeat {
    ended.report.heartbeats[&cmdb()]
}

fn has_changes(ended: &Ended) -> bool {
    ended.report.counts.values().any(|counts| !counts.is_empty()) || !ended.plan.changes.is_empty() || !ended.plan.holds.is_empty()
}

#[tokio::test]
async fn each_record_is_told_of_about_once_a_day() {
    let world = World::beating(Heart::default()).await;
    world.put(48);
    world.sync(0).await;
    assert_eq!(world.told(), []);
    let before = world.ledger.load_target(&cmdb(), Timestamp::MIN).await.unwrap();
    let mut last: std::collections::BTreeMap<Key, i64> = before.records.keys().map(|key| (key.clone(), 0)).collect();
    let mut counts = Vec::new();
    for now in 1..=40 {
        let ended = world.sync(now).await;
        assert_eq!((ended.exit(), has_changes(&ended)), (Exit::Done, false));
        let told = world.told();
        assert_eq!(beaten(&ended), Heartbeat { sent: told.len() as u64, late: 0 });
        let text = report::text(&ended.report, false);
        assert!(text.contains("cmdb: nothing to do"), "{text}");
        assert_eq!(text.contains("heartbeat cmdb"), !told.is_empty(), "{text}");
        for beat in &told {
            assert_eq!(beat.seen_at, hour(now));
            let age = now - last.insert(beat.key.clone(), now).unwrap();
            assert!((12..=24).contains(&age), "{} after {age} h", beat.key);
        }
        counts.push(told.len());
    }
    assert!(last.values().all(|last| 40 - last <= 24));
    assert_eq!((counts[..11].iter().sum::<usize>(), counts[11..23].iter().sum::<usize>()), (0, 48), "{counts:?}");
    assert!(counts.iter().all(|count| *count <= 4), "{counts:?}");

    let after = world.ledger.load_target(&cmdb(), Timestamp::MIN).await.unwrap();
    for (key, row) in &before.records {
        assert_eq!(after.records[key].beat_at, Some(hour(last[key])));
        assert_eq!((after.records[key].revision, after.records[key].delivered_at), (row.revision, row.delivered_at));
    }
    let row = world.ledger.target_row(&cmdb()).await.unwrap().unwrap();
    assert_eq!(row.delivered_at, last.values().max().map(|last| hour(*last)), "what it shows is no sign of an old ledger");
    assert_eq!(row.met_at, Some(hour(40)));
}

#[tokio::test]
async fn a_run_after_a_delivery_sends_nothing() {
    let world = World::beating(Heart::default()).await;
    world.put(3);
    world.sync(0).await;
    world.put(4);
    let ended = world.sync(30).await;
    assert_eq!(World::delivered(&ended, ChangeKind::Create), 1);
    assert_eq!(world.told().len(), 3, "what was written is not told of as well");
    let ended = world.sync(31).await;
    assert_eq!((ended.exit(), has_changes(&ended), world.told()), (Exit::Done, false, Vec::new()));
    assert_eq!(beaten(&ended), Heartbeat { sent: 0, late: 0 });
}

#[tokio::test]
async fn lateness_is_told_where_the_budget_is_short() {
    let world = World::beating(Heart { per_hour: Some(4), ..Heart::default() }).await;
    world.put(10);
    world.sync(0).await;
    world.sync(29).await;
    assert_eq!(world.told().len(), 4);
    let ended = world.sync(30).await;
    assert_eq!((ended.exit(), beaten(&ended)), (Exit::Done, Heartbeat { sent: 4, late: 2 }));
    let text = report::text(&ended.report, false);
    assert!(text.contains("heartbeat cmdb: 4 records told as seen; 2 late"), "{text}");
    let document = serde_json::to_value(&ended.report).unwrap();
    assert_eq!(document["heartbeats"], serde_json::json!({ "cmdb": { "sent": 4, "late": 2 } }));
    assert_eq!(beaten(&world.sync(31).await), Heartbeat { sent: 2, late: 0 });
}

#[tokio::test]
async fn what_there_is_no_time_for_is_told_next() {
    let world = World::beating(Heart { at_once: Some(4), ..Heart::default() }).await;
    world.put(10);
    world.sync(0).await;
    let ended = world.sync(30).await;
    assert_eq!((ended.exit(), beaten(&ended)), (Exit::Done, Heartbeat { sent: 10, late: 0 }));
    let told: std::collections::BTreeSet<_> = world.told().into_iter().map(|beat| beat.key).collect();
    assert_eq!((told.len(), ended.report.remarks.len()), (10, 0), "{:?}", ended.report.remarks);
    world.heart(|heart| heart.at_once = Some(0));
    assert_eq!(beaten(&world.sync(60).await), Heartbeat { sent: 0, late: 10 });
}

#[tokio::test]
async fn what_fails_is_a_remark_and_ends_nothing() {
    let world = World::beating(Heart { deaf_to: Some("i-1"), ..Heart::default() }).await;
    world.put(3);
    world.sync(0).await;
    let ended = world.sync(30).await;
    assert_eq!((ended.exit(), beaten(&ended)), (Exit::Done, Heartbeat { sent: 2, late: 1 }));
    let remarks: Vec<_> = ended.report.remarks.iter().map(|remark| remark.text.as_str()).collect();
    assert!(
        remarks.iter().any(|text| text.contains("a heartbeat failed") && text.contains("i-1") && text.contains("not ours")),
        "{remarks:?}"
    );

    world.heart(|heart| heart.is_down = true);
    let ended = world.sync(60).await;
    assert_eq!((ended.exit(), beaten(&ended)), (Exit::Done, Heartbeat { sent: 0, late: 3 }));
    assert!(ended.report.remarks.iter().any(|remark| remark.text.contains("connection reset")));
    world.heart(|heart| (heart.is_down, heart.deaf_to) = (false, None));
    assert_eq!(beaten(&world.sync(61).await), Heartbeat { sent: 3, late: 0 });
}

#[tokio::test]
async fn neither_a_plan_nor_a_paused_target_is_told_anything() {
    let mut world = World::beating(Heart::default()).await;
    world.put(3);
    world.sync(0).await;
    world.mode = Mode::Plan;
    let planned = world.sync(30).await;
    assert_eq!((planned.exit(), has_changes(&planned), planned.report.heartbeats.len()), (Exit::Done, false, 0));
    world.mode = Mode::Sync;
    world.ledger.note_target(&cmdb(), "local", "", &TargetNews::Paused(true)).await.unwrap();
    let paused = world.sync(31).await;
    assert_eq!((paused.report.heartbeats.len(), world.told()), (0, Vec::new()));
    world.ledger.note_target(&cmdb(), "local", "", &TargetNews::Paused(false)).await.unwrap();
    assert_eq!(beaten(&world.sync(32).await).sent, 3);
}

#[tokio::test]
async fn what_only_a_gap_shows_is_not_told_of() {
    let world = World::beating(Heart::default()).await;
    world.put(3);
    world.sync(0).await;
    world.put_listed(3, "truncated", "complete");
    let ended = world.sync(30).await;
    assert_eq!((beaten(&ended), world.told()), (Heartbeat { sent: 0, late: 0 }, Vec::new()));
    world.put_listed(3, "complete", "complete");
    world.sync(31).await;
    assert_eq!(world.told().len(), 3);
    world.put_listed(2, "complete", "complete");
    world.sync(60).await;
    assert_eq!(world.told().len(), 2, "what a listing misses was not seen");
}

#[tokio::test]
async fn a_target_that_wants_no_heartbeat_gets_none() {
    let mut world = World::beating(Heart::default()).await;
    world.put(3);
    world.sync(0).await;
    world.config.targets[0].heartbeat = None;
    let ended = world.sync(30).await;
    assert_eq!((ended.report.heartbeats.len(), world.told()), (0, Vec::new()));
    world.config.targets[0].heartbeat = Some(Duration::from_secs(86_400));
    *world.faults.heart.lock().unwrap() = None;
    assert_eq!(world.sync(31).await.report.heartbeats.len(), 0, "nor one that has no word for it");
}
