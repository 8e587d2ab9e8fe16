#![no_main]

use dewpoint_fuzz::exercise::{inventory, seeds};
use dewpoint_fuzz::write_seeds_if_asked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds_if_asked(seeds::inventory), |bytes: &[u8]| inventory::exercise(bytes));
