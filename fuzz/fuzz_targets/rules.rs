#![no_main]

use dewpoint_fuzz::exercise::{rules, seeds};
use dewpoint_fuzz::write_seeds_if_asked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds_if_asked(seeds::rules), |bytes: &[u8]| rules::exercise(bytes));
