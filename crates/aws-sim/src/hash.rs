//! Identifiers, and the order of nested lists.

use dewpoint_sim_kit::hash::keyed;

/// An identifier as EC2 makes them: a prefix and 17 hexadecimal digits, always the same for the same parts.
pub(crate) fn id(prefix: &str, parts: &[&str]) -> String {
    let digits = hex17(prefix, parts);
    format!("{prefix}-{digits}")
}

/// The 16 hexadecimal digits at the end of a load balancer's ARN.
pub(crate) fn hex16(parts: &[&str]) -> String {
    format!("{:016x}", fold(2, parts))
}

fn hex17(prefix: &str, parts: &[&str]) -> String {
    format!("0{:015x}{:x}", fold(keyed(1, prefix), parts) >> 4, fold(keyed(3, prefix), parts) & 0xf)
}

fn fold(seed: u64, parts: &[&str]) -> u64 {
    parts.iter().fold(seed, |hash, part| keyed(hash, part))
}

/// Puts a nested list in an order of this listing's own.
pub(crate) fn shuffle<T>(seed: u64, items: &mut [T], key: impl Fn(&T) -> &str) {
    items.sort_by_key(|item| keyed(seed, key(item)));
}
