//! YAML as Ansible reads and writes it.
//!
//! Text comes in, [`Node`]s with spans and YAML 1.1 values go out; [`to_yaml`] is the way back. The only user of the
//! parser library. Knows no playbooks.

mod align;
mod compose;
mod emit;
mod hints;
#[cfg(test)]
mod hints_tests;
mod node;
mod parse;
mod resolve;
mod tags;
#[cfg(test)]
mod tests;

pub use emit::{EmitOptions, FlowStyle, LineBreaks, Secrets, to_nice_yaml, to_yaml};
pub use node::{Node, NodeValue, Scalar, ScalarStyle, Tag};
pub use parse::{Parsed, parse, parse_file, parse_value, parse_values};
