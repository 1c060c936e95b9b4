//! All integration tests in one binary: linking is what costs.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics when it cannot go on, and says why it skips"
)]

mod budgets;
mod builder;
mod by_ssh;
mod canaries;
mod cli;
mod controllers;
mod costs;
mod emulator;
mod errors;
mod fan_out;
mod fuzz;
mod hostile;
mod layers;
mod limits;
mod modules;
mod names;
mod other_playbooks;
mod plan_diff;
mod plan_schema;
mod plan_show;
mod plan_signatures;
mod plans;
mod playbooks;
mod procedure;
mod real_sshd;
mod reboot_keys;
mod rehearsal;
mod resume;
mod service_node;
mod smart_facts;
mod software;
mod ssh_binary;
mod ssh_config;
mod ssh_connect;
mod ssh_environments;
mod ssh_hostile;
mod ssh_logins;
mod support;
mod sync_install;
mod together;
mod transcripts;
mod transport;
mod wire;
