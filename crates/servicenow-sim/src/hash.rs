//! Identifiers, and orders by chance.

use dewpoint_sim_kit::hash::{keyed, mix};

/// 32 hexadecimal digits, as identifiers of records have.
pub(crate) fn sys_id(seed: u64, number: u64) -> String {
    let first = mix(mix(seed) ^ number);
    format!("{first:016x}{:016x}", mix(first ^ 0x5bd1_e995))
}

/// The identifier that a record of the base system has on every instance.
pub(crate) fn base_sys_id(name: &str) -> String {
    format!("{:016x}{:016x}", keyed(7, name), keyed(11, name))
}

/// Whether the text has the shape of a record's identifier.
pub(crate) fn is_sys_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Puts things into an order of this number's own.
pub(crate) fn shuffle<T>(seed: u64, items: Vec<T>) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = (0_u64..).map(|at| mix(seed ^ mix(at))).zip(items).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}
