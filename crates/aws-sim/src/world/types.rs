//! Instance types: real figures for the common families, made-up ones for other names.

use dewpoint_sim_kit::hash::keyed;
use serde::{Deserialize, Serialize};

/// An instance type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceType {
    /// `m7g.large`.
    pub name: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Threads per core.
    pub threads_per_core: u32,
    /// Memory.
    pub memory_mib: u64,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// `nitro`, `xen`; nothing for bare metal.
    pub hypervisor: Option<String>,
}

/// Families whose memory per processor is the same in each size: name, MiB per processor, threads per core, whether there is a `medium` size.
/// Source: Amazon EC2 Instance Types guide.
const FAMILIES: [(&str, u64, u32, bool); 18] = [
    ("m5", 4096, 2, false),
    ("m5a", 4096, 2, false),
    ("m6i", 4096, 2, false),
    ("m6g", 4096, 1, true),
    ("m7i", 4096, 2, false),
    ("m7g", 4096, 1, true),
    ("c5", 2048, 2, false),
    ("c6i", 2048, 2, false),
    ("c6g", 2048, 1, true),
    ("c7i", 2048, 2, false),
    ("c7g", 2048, 1, true),
    ("r5", 8192, 2, false),
    ("r6i", 8192, 2, false),
    ("r6g", 8192, 1, true),
    ("r7i", 8192, 2, false),
    ("r7g", 8192, 1, true),
    ("t3", 0, 2, false),
    ("t4g", 0, 1, false),
];
const SIZES: [(&str, u32); 6] = [("medium", 1), ("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32)];
/// The sizes of `t3` and `t4g`: name, processors, MiB.
const BURSTABLE: [(&str, u32, u64); 7] = [
    ("nano", 2, 512),
    ("micro", 2, 1024),
    ("small", 2, 2048),
    ("medium", 2, 4096),
    ("large", 2, 8192),
    ("xlarge", 4, 16384),
    ("2xlarge", 8, 32768),
];

impl InstanceType {
    /// All of the built-in table.
    pub fn table() -> Vec<Self> {
        FAMILIES
            .into_iter()
            .flat_map(|(family, per_vcpu, threads, medium)| {
                let sizes: Vec<(&str, u32, u64)> = if per_vcpu == 0 {
                    BURSTABLE.to_vec()
                } else {
                    // The eight-fold sizes of the fifth c-generation are nine-fold.
                    SIZES
                        .into_iter()
                        .filter(|(size, _)| (medium || *size != "medium") && (family != "c5" || *size != "8xlarge"))
                        .map(|(size, vcpus)| (size, vcpus, u64::from(vcpus) * per_vcpu))
                        .collect()
                };
                sizes.into_iter().map(move |(size, vcpus, memory_mib)| Self {
                    name: format!("{family}.{size}"),
                    vcpus,
                    threads_per_core: threads,
                    memory_mib,
                    architecture: if threads == 1 { "arm64" } else { "x86_64" }.to_owned(),
                    hypervisor: Some("nitro".to_owned()),
                })
            })
            .collect()
    }

    /// The type of this name: out of the table, or made up, always the same for the same name. `None` for what cannot be a type's name.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(known) = Self::table().into_iter().find(|known| known.name == name) {
            return Some(known);
        }
        let (family, size) = name.split_once('.')?;
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !plain(family) || !plain(size) {
            return None;
        }
        let vcpus = SIZES.into_iter().find(|(known, _)| *known == size).map_or(1 << (keyed(5, size) % 7), |(_, vcpus)| vcpus);
        let arm = family.bytes().skip(1).any(|byte| byte == b'g');
        Some(Self {
            name: name.to_owned(),
            vcpus,
            threads_per_core: if arm || vcpus == 1 { 1 } else { 2 },
            memory_mib: u64::from(vcpus) * (1024 << (keyed(6, family) % 4)),
            architecture: if arm { "arm64" } else { "x86_64" }.to_owned(),
            hypervisor: (!size.starts_with("metal")).then(|| "nitro".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let figures = |name: &str| InstanceType::named(name).map(|found| (found.vcpus, found.memory_mib));
        assert_eq!(figures("m7g.large"), Some((2, 8192)));
        assert_eq!(figures("t3.micro"), Some((2, 1024)));
        assert_eq!(figures("r5.4xlarge"), Some((16, 131_072)));
        assert_eq!(figures("zz9.huge"), figures("zz9.huge"));
        assert_eq!(figures("c6g.medium"), Some((1, 2048)));
        assert_eq!(figures("nonsense"), None);
        assert_eq!(figures("M5.large"), None);
        assert!(InstanceType::table().len() > 60);
    }
}
