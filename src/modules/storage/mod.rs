//! Disks: partitions, volume groups, logical volumes, file systems. One file per module, and what they share.

mod filesystem;
mod lvg;
mod lvm;
mod lvol;
mod parted;
mod parted_disk;

use super::sh::Report;
use super::{Call, Failure, Module};

/// The modules about disks, for the registry.
pub static MODULES: &[&dyn Module] = &[&filesystem::Filesystem, &lvg::Lvg, &lvol::Lvol, &parted::Parted];

/// The first lines of scripts: the tools of administrators are found.
const TOOLS: &str = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; LC_ALL=C; export PATH LC_ALL\n";

/// Returns the line that ends a probe where a tool is not there.
fn need(tool: &str) -> String {
    format!("command -v {tool} >/dev/null 2>&1 || {{ printf 'missing {tool}\\n'; exit 0; }}\n")
}

/// Says that a tool of the probe was not there.
fn check_tools(call: &Call, report: &Report) -> Result<(), Failure> {
    match report.get("missing") {
        Some(tool) => {
            let msg = format!("Failed to find required executable \"{}\" on the target", tool.trim());
            Err(super::tool::missing(call, msg))
        }
        None => Ok(()),
    }
}
