//! Identifiers, and the order of nested lists.

use dewpoint_sim_kit::hash::{keyed, keyed_all};

/// An identifier as EC2 makes them: a prefix and 17 hexadecimal digits, always the same for the same parts.
pub(crate) fn id(prefix: &str, parts: &[&str]) -> String {
    let digits = hex17(prefix, parts);
    format!("{prefix}-{digits}")
}

/// The 16 hexadecimal digits at the end of a load balancer's ARN.
pub(crate) fn hex16(parts: &[&str]) -> String {
    format!("{:016x}", keyed_all(2, parts))
}

fn hex17(prefix: &str, parts: &[&str]) -> String {
    format!("0{:015x}{:x}", keyed_all(keyed(1, prefix), parts) >> 4, keyed_all(keyed(3, prefix), parts) & 0xf)
}

/// Puts a nested list in an order of this listing's own.
pub(crate) fn shuffle<T>(seed: u64, items: &mut [T], key: impl Fn(&T) -> &str) {
    items.sort_by_key(|item| keyed(seed, key(item)));
}
