//! Any bytes as the journal of a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xplay_fuzz::run_journal(bytes));
