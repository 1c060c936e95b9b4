//! All integration tests in one binary: linking is what costs.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics when it cannot go on, and says why it skips"
)]

mod cli;
mod emulator;
mod errors;
mod layers;
mod modules;
mod other_playbooks;
mod playbooks;
mod real_sshd;
mod rehearsal;
mod service_node;
mod support;
mod transcripts;
mod transport;
