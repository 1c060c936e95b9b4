//! What the tools of a target printed that a script ran by `xp_tool`.

use super::sh::Report;
use super::{Call, Failure};
use crate::transport::Output;
use crate::value::Map;

/// The last line of a script that ran tools: tells what they printed.
pub const TELL_OUT: &str = "xp_tell out \"${xp_out-}\"\n";

/// Adds `stdout` and `stderr` to the result where the tools printed something.
pub fn insert_printed(result: &mut Map, report: &Report, output: &Output) {
    if let Some(text) = report.word("out").filter(|t| !t.is_empty()) {
        result.insert("stdout", text);
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !complaints.is_empty() {
        result.insert("stderr", complaints.into_owned());
    }
}

/// Returns the failure of a tool that is not on the target. Where an earlier step of a plan installs packages nobody
/// knows yet whether it will be there.
pub fn missing(call: &Call, msg: impl Into<String>) -> Failure {
    match call.world.installs().or_else(|| call.world.opaque()) {
        Some(unknown) => Failure::unknown(unknown),
        None => Failure::new(msg),
    }
}
