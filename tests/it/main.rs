//! Integration tests, all in one binary: each further one would link the whole library again.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics when it cannot go on, and says so"
)]

mod transcripts;
