//! Heartbeats as writes: records are noted on as seen in the same way as they are written, but for what is written.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_core::target::{Beat, Operation, Place, RecordId, Write};
use jiff::Timestamp;

/// The share of the request budget that heartbeats may take: a tenth.
const SHARE: f64 = 0.1;

/// Requests that heartbeats may take within a time, at so many requests a second.
#[must_use]
pub fn requests_within(time: Duration, per_second: f64) -> usize {
    let requests =
        Duration::try_from_secs_f64(time.as_secs_f64() * per_second.max(0.0) * SHARE).map_or(u64::MAX, |requests| requests.as_secs());
    usize::try_from(requests).unwrap_or(usize::MAX)
}

/// When the resources behind records were seen, for a batch of writes that notes that and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Sightings(BTreeMap<RecordId, Timestamp>);

impl Sightings {
    /// Heartbeats as updates without fields, in their order.
    #[must_use]
    pub fn of(beats: &[Beat]) -> (Self, Vec<Write>) {
        let write = |beat: &Beat| Write {
            key: beat.key.clone(),
            kind: beat.kind,
            place: Place { account: beat.account.clone(), region: beat.region.clone(), seen_at: Some(beat.seen_at), hosts: Vec::new() },
            operation: Operation::Update {
                record: beat.record.clone(),
                class: beat.class.clone(),
                fields: BTreeMap::new(),
                before: BTreeMap::new(),
                retired: None,
                take_over: false,
            },
        };
        let seen = beats.iter().map(|beat| (beat.record.record.clone(), beat.seen_at)).collect();
        (Self(seen), beats.iter().map(write).collect())
    }

    /// When what is behind a record was seen; `None` where the record is to be written.
    #[must_use]
    pub fn at(&self, record: &RecordId) -> Option<Timestamp> {
        self.0.get(record).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_requests_is_for_heartbeats() {
        assert_eq!(requests_within(Duration::from_secs(603), 10.0), 603);
        assert_eq!(requests_within(Duration::from_secs(59), 50.0 / 60.0), 4);
        for nothing in [requests_within(Duration::ZERO, 10.0), requests_within(Duration::from_secs(600), -1.0)] {
            assert_eq!(nothing, 0);
        }
        assert_eq!(requests_within(Duration::MAX, 1e300), usize::MAX);
    }
}
