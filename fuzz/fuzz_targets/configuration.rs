#![no_main]

use dewpoint_fuzz::exercise::{configuration, seeds};
use dewpoint_fuzz::write_seeds_if_asked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds_if_asked(seeds::configuration), |bytes: &[u8]| configuration::exercise(bytes));
