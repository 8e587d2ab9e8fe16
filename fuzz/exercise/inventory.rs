//! An inventory out of any bytes: what is taken goes through a sync up to the decisions, and comes out again as an export that can be read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use dewpoint::config::{Config, load_str};
use dewpoint::estate::{Estate, Fence};
use dewpoint::export::{write_csv, write_json};
use dewpoint::inventory::{Coverage, Observing, derive, gather, observe};
use dewpoint::lifecycle::{Policy, decide};
use dewpoint::model::SourceName;
use dewpoint::source::{Pull, SourceError, file};
use jiff::Timestamp;

/// All presets, and services by tag.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let presets = "[batch, databricks, emr, expiry-tag, image-builders, kubernetes-nodes, long-stopped, scaling-group-members, spot]";
    let text = format!("lifecycle: {{ presets: {presets} }}\nownership: {{ service: [service] }}\n{}", super::seeds::REST);
    load_str("dewpoint.yaml", &text, Path::new("/etc/dewpoint")).expect("it is valid")
});

pub fn exercise(bytes: &[u8]) {
    let pull = match read(bytes) {
        Ok(pull) => pull,
        Err(error) => {
            let SourceError::File { line, column, text, .. } = &error else { panic!("no fault of the file: {error}") };
            assert!(*line >= 1 && *column >= 1 && !text.is_empty());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let shown = pull.resources.values().filter(|resource| !resource.derived).count();
    let mut estate = Estate::default();
    sync(&mut estate, pull.clone(), 2);
    assert!(estate.resources.len() >= shown, "a resource was lost on the way");
    sync(&mut estate, pull, 4);
    // The sources are named by the receipts, and may be any: what one listing shows, the next does not.
    sync(&mut estate, Pull { exhaustive: true, ..Pull::default() }, 6);

    let mut exported = Vec::new();
    write_json(&estate, at(6), &mut exported).expect("memory takes everything");
    if let Err(error) = read(&exported) {
        panic!("an export that cannot be read: {error}");
    }
    write_csv(&estate, &mut Vec::new()).expect("memory takes everything");
}

fn read(bytes: &[u8]) -> Result<Pull, SourceError> {
    file::read(bytes, "inventory.json", 1 << 24)
}

fn at(fence: i64) -> Timestamp {
    Timestamp::from_second(1_768_500_000 + fence * 43_200).expect("a time of our days")
}

fn sync(estate: &mut Estate, pull: Pull, fence: i64) {
    let name: SourceName = "file".parse().expect("a name");
    // One source does not overlap with itself: that is refused when it is read.
    let (pull, coverage): (Pull, Coverage) = gather(BTreeMap::from([(name.clone(), Ok(pull))]), [name]).expect("there is one source");
    let observing = Observing { at: at(fence), fence: Fence(fence), narrow: false, coverage: &coverage };
    let _ = observe(estate, pull, &observing);
    let _ = derive(estate, &CONFIG.ownership, &observing);
    let policy = Policy { timers: CONFIG.lifecycle.defaults.clone(), rules: CONFIG.lifecycle.rules.clone() };
    let _ = decide(estate, &policy, &observing);
}
