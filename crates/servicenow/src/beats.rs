//! Heartbeats: records told that their resources were seen.
//!
//! A beat is an item that names its record by `sys_id` and holds `last_discovered` alone. The engine sets `discovery_source` along with it, as with every
//! item, and moves no time back.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::Key;
use dewpoint_core::target::{Beat, Sending, TargetError};
use dewpoint_target_kit::requests_within;
use jiff::Timestamp;

use crate::apply::misplaced;
use crate::config::BATCH_SIZE_MAX;
use crate::ire::Payload;
use crate::keys::place_keys;
use crate::places::{Host, stub};
use crate::query::QUERY_BYTES_MAX;
use crate::records::Reader;

/// Ids in one question for marks; each takes 32 characters, and its comma three.
const IDS_PER_QUERY: usize = QUERY_BYTES_MAX / 35;

/// Requests for the accounts and datacenters behind the records, once for each of many places.
const FOR_PLACES: usize = 1;

/// Records that the share of so many requests a second suffices for within a time. Each batch is a payload and the questions whose its records are.
pub(crate) fn within(time: Duration, per_second: f64, batch_size: usize) -> usize {
    let requests = requests_within(time, per_second).saturating_sub(FOR_PLACES);
    let per_batch = 1 + batch_size.div_ceil(IDS_PER_QUERY);
    let (whole, left) = (requests / per_batch, requests % per_batch);
    whole.saturating_mul(batch_size).saturating_add(left.saturating_sub(1) * IDS_PER_QUERY)
}

/// Sends beats, after a look at whose the records are.
pub(crate) async fn send(reader: &Reader<'_>, beats: &[Beat], sending: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
    let api = reader.api;
    reader.ask_marks(beats.iter().map(|beat| &beat.record.record)).await?;
    let mut payload = Payload::default();
    // For each beat the place of its item, or why it has none.
    let mut places: Vec<Result<usize, TargetError>> = Vec::with_capacity(beats.len());
    for beat in beats {
        let mark = reader.book.mark(&beat.record.record).filter(|_| beat.record.carries.is_some());
        let (Some(mark), None) = (mark, misplaced(reader.book, sending.estate, &beat.record, &beat.key, false)) else {
            let id = &beat.record.record.0;
            places.push(Err(api.rejected(format!("record {id} is not ours, or is gone"))));
            continue;
        };
        let class = if mark.class.is_empty() { beat.class.clone() } else { mark.class };
        let place = payload.items.len();
        let host = Host { record: beat.record.record.clone(), class, is_ours: true };
        payload.items.push(stub(&format!("i{place}"), &host, beat.seen_at));
        places.push(Ok(place));
    }
    if payload.items.is_empty() {
        return Ok(places.into_iter().map(|place| place.map(drop)).collect());
    }
    let told = beats.iter().zip(&places).filter(|(_, place)| place.is_ok()).map(|(beat, _)| beat);
    // What does not fit in has its turn in another batch.
    let room = usize::try_from(BATCH_SIZE_MAX).unwrap_or(usize::MAX).saturating_sub(payload.items.len());
    let scaffold = scaffold_of(reader, told, sending.estate).await.unwrap_or_else(|error| {
        tracing::debug!(target.name = %api.target(), %error, "Accounts and datacenters are told as seen another time");
        Vec::new()
    });
    for (host, seen_at) in scaffold.into_iter().take(room) {
        let place = payload.items.len();
        payload.items.push(stub(&format!("i{place}"), &host, seen_at));
    }
    let report = api.reconcile(&payload).await?;
    let answer = |place: usize| {
        let outcome = report.item(place).ok_or_else(|| api.unreachable("reconcile", "the answer leaves this record out".to_owned()))?;
        outcome.stands().map(drop).map_err(|failure| api.rejected(failure.text))
    };
    Ok(places.into_iter().map(|place| place.and_then(answer)).collect())
}

/// The accounts and datacenters that stand there only for these records' sake, each with the time at which one of them was last seen: no CI of the
/// estate is behind them, so that they have no beat of their own.
async fn scaffold_of<'b>(
    reader: &Reader<'_>,
    beats: impl Iterator<Item = &'b Beat>,
    estate: &EstateId,
) -> Result<Vec<(Host, Timestamp)>, TargetError> {
    let mut seen: BTreeMap<Key, Timestamp> = BTreeMap::new();
    for beat in beats {
        let Some((account, region)) = place_keys(beat.key.provider(), &beat.account, &beat.region) else { continue };
        let keys = [Some(account), (!beat.region.is_any()).then_some(region)];
        for key in keys.into_iter().flatten() {
            let latest = seen.entry(key).or_insert(beat.seen_at);
            *latest = beat.seen_at.max(*latest);
        }
    }
    reader.look_for_places(&seen.keys().collect()).await?;
    let host = |(key, seen_at): (Key, Timestamp)| {
        let record = reader.book.record(&key)?;
        let mark = reader.book.mark(&record).filter(|mark| mark.is_scaffold && mark.estate == *estate && !mark.class.is_empty())?;
        Some((Host { record, class: mark.class, is_ours: true }, seen_at))
    };
    Ok(seen.into_iter().filter_map(host).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_payload_and_the_questions_whose_its_records_are() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        // 603 requests: one for places, six for each batch of 200 (48 ids to a question), and two more for 48.
        assert_eq!(within(Duration::from_secs(603), 10.0, 200), 100 * 200 + 48);
        assert_eq!(within(Duration::from_secs(7), 10.0, 200), 200);
        assert_eq!(within(Duration::from_secs(2), 10.0, 200), 0);
        assert_eq!(within(minutes(10), 0.01, 200), 0);
        assert_eq!(within(Duration::ZERO, 10.0, 200), 0);
        assert_eq!(within(Duration::MAX, 1e300, 200), usize::MAX);
    }
}
