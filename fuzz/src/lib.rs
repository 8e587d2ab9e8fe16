//! What the fuzz targets share. They are run by `tests/soak.sh`, which says how.

#[path = "../exercise/mod.rs"]
pub mod exercise;

use std::path::Path;

/// With DEWPOINT_FUZZ_SEEDS naming a folder, a target writes its seeds there and ends.
pub fn write_seeds_if_asked(seeds: fn() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("DEWPOINT_FUZZ_SEEDS") else { return };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for (number, seed) in seeds().iter().enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    std::process::exit(0);
}
