//! Asking for resources by their keys, in bulk.

use std::collections::BTreeMap;

use dewpoint_core::model::{Key, Kind, Region};
use dewpoint_core::source::{Presence, SourceError};
use futures::StreamExt;

use crate::AwsSource;
use crate::listing::{Run, operation};

/// Values that one filter takes.
///
/// Source: Amazon EC2 User Guide, "Filtering resources".
const IDS_PER_CALL: usize = 200;

/// Calls made at the same time.
const CALLS_AT_ONCE: usize = 8;

/// Looks the keys up, by region and kind, in chunks. An absence counts only in an answer that is complete by the same checks
/// as a listing; an error for a chunk is an error for each of its keys that the answer did not show.
pub(crate) async fn look_up(source: &AwsSource, run: &Run<'_>, keys: &[(Key, Kind)]) -> BTreeMap<Key, Result<Presence, SourceError>> {
    let mut results = BTreeMap::new();
    let mut wanted: BTreeMap<(Region, Kind), BTreeMap<String, Key>> = BTreeMap::new();
    for (key, kind) in keys {
        match parse(source, run, key, *kind) {
            Ok((region, id)) => {
                wanted.entry((region, *kind)).or_default().insert(id, key.clone());
            }
            Err(text) => {
                results.insert(key.clone(), Err(run.failed("look up", format!("{key}: {text}"))));
            }
        }
    }
    let chunks = wanted.into_iter().flat_map(|(place, ids)| {
        let ids: Vec<(String, Key)> = ids.into_iter().collect();
        ids.chunks(IDS_PER_CALL).map(|chunk| (place.clone(), chunk.to_vec())).collect::<Vec<_>>()
    });
    let answers: Vec<_> = futures::stream::iter(chunks)
        .map(|((region, kind), chunk)| Box::pin(ask(source, run, region, kind, chunk)))
        .buffer_unordered(CALLS_AT_ONCE)
        .collect()
        .await;
    results.extend(answers.into_iter().flatten());
    results
}

async fn ask(
    source: &AwsSource,
    run: &Run<'_>,
    region: Region,
    kind: Kind,
    chunk: Vec<(String, Key)>,
) -> Vec<(Key, Result<Presence, SourceError>)> {
    let (ids, keys): (Vec<String>, Vec<Key>) = chunk.into_iter().unzip();
    let listing = run.list(kind, &source.place(run.session, &region), Some(&ids)).await;
    let foreign = listing.found.foreign > 0;
    let mut found: BTreeMap<Key, _> = listing.found.resources.into_iter().map(|resource| (resource.key.clone(), resource)).collect();
    let absence = |key: &Key| match &listing.error {
        Some(error) => Err(error.clone()),
        // The answer held something that was left out because of its owner: that is no absence.
        None if foreign => Err(run.failed("look up", format!("{key}: the answer shows resources of another account"))),
        None => Ok(Presence::Gone),
    };
    keys.into_iter()
        .map(|key| {
            let presence = found.remove(&key).map_or_else(|| absence(&key), |resource| Ok(Presence::Present(Box::new(resource))));
            (key, presence)
        })
        .collect()
}

/// Region and id of a key that this source lists.
fn parse(source: &AwsSource, run: &Run<'_>, key: &Key, kind: Kind) -> Result<(Region, String), String> {
    let identity = &run.session.identity;
    let parts: Vec<&str> = key.as_str().splitn(7, ':').collect();
    let &["aws", "arn", partition, "ec2", region, account, path] = parts.as_slice() else {
        return Err("it is no key of an EC2 resource".to_owned());
    };
    let Some((word, id)) = path.split_once('/') else { return Err("it is no key of an EC2 resource".to_owned()) };
    let wanted = match kind {
        Kind::Instance => "instance",
        Kind::NetworkInterface => "network-interface",
        Kind::SecurityGroup => "security-group",
        _ => return Err(format!("{kind} is not listed by this source")),
    };
    if word != wanted || operation(kind).is_none() {
        return Err(format!("it is no key of kind {kind}"));
    }
    if (partition, account) != (identity.partition.as_str(), identity.account.as_str()) {
        return Err(format!("it belongs to another account than {}", identity.account));
    }
    let Some(region) = source.config.regions.iter().find(|known| known.as_str() == region) else {
        return Err(format!("region {region} is not listed by this source"));
    };
    // Filters understand `*` and `?`.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(format!("`{id}` is no id"));
    }
    Ok((region.clone(), id.to_owned()))
}
