//! `--diff` output: the unified format that Ansible prints.

use std::fmt::Write;

use crate::modules::{Diff, DiffSide};
use crate::value::{JsonStyle, Value, to_python_json};

/// Lines of a long diff that are shown before the rest is only counted.
const MAX_LINES: usize = 2000;

/// Equal lines around a change unless a setting says otherwise.
pub const CONTEXT: usize = 3;

/// Returns the diff as text with so many equal lines around each change; empty when both sides are equal.
pub fn unified(diff: &Diff, context: usize) -> String {
    if let (DiffSide::Binary { .. }, _) | (_, DiffSide::Binary { .. }) = (&diff.before, &diff.after) {
        return format!(
            "{} and {} differ: {} -> {}\n",
            header(&diff.before_header, "before"),
            header(&diff.after_header, "after"),
            binary(&diff.before),
            binary(&diff.after)
        );
    }
    let before = text(&diff.before);
    let after = text(&diff.after);
    if before == after {
        return String::new();
    }
    let compared = similar::TextDiff::from_lines(&before, &after);
    let mut out = String::new();
    let _ = write!(
        out,
        "--- {}\n+++ {}\n",
        header(&diff.before_header, "before"),
        header(&diff.after_header, "after")
    );
    let mut lines = 0;
    for hunk in compared.unified_diff().context_radius(context).iter_hunks() {
        for line in hunk.to_string().lines() {
            lines += 1;
            if lines <= MAX_LINES {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    if lines > MAX_LINES {
        let _ = writeln!(out, "({} more lines not shown)", lines - MAX_LINES);
    }
    out
}

fn header(given: &str, side: &str) -> String {
    if given.is_empty() { side.to_string() } else { format!("{side}: {given}") }
}

fn text(side: &DiffSide) -> String {
    match side {
        DiffSide::Text(text) => text.clone(),
        DiffSide::Attributes(map) => {
            let style = JsonStyle { indent: Some(4), sort_keys: true, ascii: false };
            to_python_json(&Value::map(map.clone()), style) + "\n"
        }
        DiffSide::Binary { .. } => binary(side),
        DiffSide::Absent => String::new(),
    }
}

fn binary(side: &DiffSide) -> String {
    match side {
        DiffSide::Binary { size, sha256 } => {
            format!("{size} bytes, sha256 {}", sha256.get(..12).unwrap_or(sha256))
        }
        DiffSide::Absent => "absent".into(),
        DiffSide::Text(t) => format!("{} bytes of text", t.len()),
        DiffSide::Attributes(_) => "attributes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_ansible_does() {
        let diff = Diff {
            before_header: "/etc/motd (content)".into(),
            after_header: "/etc/motd (content)".into(),
            before: DiffSide::Text("a\nb\n".into()),
            after: DiffSide::Text("a\nc\n".into()),
        };
        assert_eq!(
            unified(&diff, CONTEXT),
            "--- before: /etc/motd (content)\n+++ after: /etc/motd (content)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
    }
}
