//! Cheap keyed hashes: they order a listing and make identifiers. Nothing secret hangs on them.

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
