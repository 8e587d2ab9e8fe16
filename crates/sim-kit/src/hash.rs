//! Cheap keyed hashes: they order listings, make identifiers and draw what is left to chance. Nothing secret hangs on them.

/// Mixes 64 bits so that each input bit reaches each output bit (the finaliser of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of `text` under `seed`.
pub fn keyed(seed: u64, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for byte in text.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash ^ mix(seed))
}

/// The hash of several texts under `seed`.
pub fn keyed_all(seed: u64, texts: &[&str]) -> u64 {
    texts.iter().fold(seed, |hash, text| keyed(hash, text))
}

/// From 0 to 1, drawn by chance: the `number`th draw of this seed.
pub fn share(seed: u64, number: u64) -> f64 {
    let draw = u32::try_from(mix(seed ^ mix(number)) >> 32).unwrap_or(u32::MAX);
    f64::from(draw) / (f64::from(u32::MAX) + 1.0)
}
