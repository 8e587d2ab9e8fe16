//! Cheap keyed hashes: they make identifiers and draw what is left to chance. Nothing secret hangs on them.

/// Mixes 64 bits so that each input bit reaches each output bit (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of `text` under `seed`.
pub(crate) fn keyed(seed: u64, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for byte in text.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash ^ mix(seed))
}

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

/// A share of 0 to 1, drawn by chance.
pub(crate) fn share(seed: u64, number: u64) -> f64 {
    let draw = u32::try_from(mix(seed ^ mix(number)) >> 32).unwrap_or(u32::MAX);
    f64::from(draw) / (f64::from(u32::MAX) + 1.0)
}

/// Puts things into an order of this number's own.
pub(crate) fn shuffle<T>(seed: u64, items: Vec<T>) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = (0_u64..).map(|at| mix(seed ^ mix(at))).zip(items).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}
