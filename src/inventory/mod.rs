//! Hosts, groups and their variables from ini, yaml, directories and executables; patterns over them.
//!
//! Groups keep their variables once and hosts point to their groups, so ten thousand hosts cost little more than
//! their names. Nothing here connects to a host.

mod address;
mod builder;
mod constructed;
mod ini;
mod load;
mod model;
mod output;
mod pattern;
mod script;
mod shlex;
#[cfg(test)]
mod tests;
mod toml_output;
mod toml_source;
mod vars_files;
mod yaml_source;

pub use address::split_port;
pub use load::{GroupNames, Ignored, LoadOptions, Source, load};
pub use model::{Group, GroupId, Host, HostId, Inventory};
pub use output::{ListOptions, graph_text, host_values, list_flat, list_json, list_nested, python_json};
pub use pattern::{Matched, Order, read_limit, split_pattern};
pub use toml_output::to_toml;
pub use vars_files::{LayerSource, VarFiles, VarLayer, find_vars_files, load_vars_file, parse_yaml};
