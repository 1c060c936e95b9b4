//! Integration tests, all in one binary: each further one would link the whole library again.
#![expect(clippy::unwrap_used, reason = "a test panics when it cannot go on")]

mod emulator;
mod transcripts;
