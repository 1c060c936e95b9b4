//! What the tools of a target printed that a script ran by `xp_tool`.

use super::sh::Report;
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
