//! A configuration out of any bytes, read as `dewpoint validate` reads it, which tells of it in every way.

use std::path::Path;

use dewpoint::config::rules::settings_document;
use dewpoint::config::{Config, load_bytes};

pub fn exercise(bytes: &[u8]) {
    match load(bytes) {
        Ok(config) => {
            assert!(!config.sources.is_empty() && !config.targets.is_empty());
            for rule in config.lifecycle.rules.iter() {
                assert!(config.lifecycle.places.contains_key(&rule.name), "nobody knows where rule {:?} is written", rule.name);
                let _ = settings_document(&rule.set);
            }
            config.warnings.iter().for_each(super::tell_one);
            assert!(!format!("{config:?}").is_empty());
            let again = load(bytes).expect("what was valid is valid");
            assert_eq!(again.digest(), config.digest(), "one file, two digests");
        }
        Err(errors) => super::tell(&errors),
    }
}

fn load(bytes: &[u8]) -> Result<Config, dewpoint::config::ConfigErrors> {
    load_bytes("dewpoint.yaml", bytes, Path::new("/etc/dewpoint"))
}
