//! Integration tests, all in one binary: each further one would link the whole library again.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say why they skip"
)]

mod playbooks;
mod rehearsal;
mod service_node;
mod support;
