//! Typed differences as lines: unified hunks of text, `key: before -> after` of attributes.

use std::time::Duration;

use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use crate::plan::model::{DiffSide, PlanDiff};

/// Texts that differ everywhere are compared no longer than this; the diff is then coarser, not wrong.
const PATIENCE: Duration = Duration::from_millis(500);
/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// Lists with more members than this show only what comes and goes.
const SHORT_LIST: usize = 6;
/// Digits of a checksum that people compare.
const SHORT_DIGEST: usize = 12;

/// What a line of a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Context,
    Add,
    Remove,
    /// `key: before -> after`.
    Change,
    /// Where a hunk stands.
    Hunk,
    Note,
}

/// One line, without a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub tag: Tag,
    pub text: String,
}

impl Line {
    fn new(tag: Tag, text: impl Into<String>) -> Self {
        Line { tag, text: text.into() }
    }

    /// A line about a member of a map, set off from its sign.
    fn member(tag: Tag, name: &str, text: &str) -> Self {
        Line::new(tag, format!(" {name}: {text}"))
    }

    /// Returns the line with its sign in front.
    pub fn signed(&self) -> String {
        let sign = match self.tag {
            Tag::Context => " ",
            Tag::Add => "+",
            Tag::Remove => "-",
            Tag::Change => "~",
            Tag::Hunk => return self.text.clone(),
            Tag::Note => " ",
        };
        format!("{sign}{}", self.text)
    }
}

/// Counts of lines that come, go and change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
}

impl Size {
    pub fn of(lines: &[Line]) -> Self {
        let count = |tag: Tag| lines.iter().filter(|l| l.tag == tag).count();
        Size { added: count(Tag::Add), removed: count(Tag::Remove), changed: count(Tag::Change) }
    }

    pub fn plus(self, other: Size) -> Self {
        Size {
            added: self.added + other.added,
            removed: self.removed + other.removed,
            changed: self.changed + other.changed,
        }
    }

    /// Returns such as `+3 -1`; empty when there is nothing to count.
    pub fn text(self) -> String {
        [("+", self.added), ("-", self.removed), ("~", self.changed)]
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(sign, n)| format!("{sign}{n}"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Returns the lines of a difference.
pub fn lines(diff: &PlanDiff) -> Vec<Line> {
    match (&diff.before, &diff.after) {
        (DiffSide::Absent, DiffSide::Absent) => Vec::new(),
        (DiffSide::Text { text: before }, DiffSide::Text { text: after }) => hunks(before, after),
        (DiffSide::Absent, DiffSide::Text { text }) => whole(Tag::Add, text),
        (DiffSide::Text { text }, DiffSide::Absent) => whole(Tag::Remove, text),
        (DiffSide::Attributes { attributes: before }, DiffSide::Attributes { attributes: after }) => {
            attributes(before, after)
        }
        (DiffSide::Absent, DiffSide::Attributes { attributes: after }) => attributes(&Map::new(), after),
        (DiffSide::Attributes { attributes: before }, DiffSide::Absent) => attributes(before, &Map::new()),
        (before, after) if before == after => Vec::new(),
        (DiffSide::Absent, after) => vec![Line::new(Tag::Add, format!(" {}", side(after)))],
        (before, DiffSide::Absent) => vec![Line::new(Tag::Remove, format!(" {}", side(before)))],
        (before, after) => vec![Line::new(Tag::Change, format!(" {} -> {}", side(before), side(after)))],
    }
}

/// Returns the lines of what a file would hold, or holds.
fn whole(tag: Tag, text: &str) -> Vec<Line> {
    if text.is_empty() {
        return vec![Line::new(Tag::Note, "(empty file)")];
    }
    text.lines().map(|line| Line::new(tag, line)).collect()
}

/// Returns the unified hunks between two texts.
pub fn hunks(before: &str, after: &str) -> Vec<Line> {
    let compared = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let mut lines = Vec::new();
    for hunk in compared.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push(Line::new(Tag::Hunk, hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let tag = match change.tag() {
                ChangeTag::Equal => Tag::Context,
                ChangeTag::Insert => Tag::Add,
                ChangeTag::Delete => Tag::Remove,
            };
            let text = change.value();
            lines.push(Line::new(tag, text.strip_suffix('\n').unwrap_or(text)));
            if change.missing_newline() {
                lines.push(Line::new(Tag::Note, "(no line break at the end)"));
            }
        }
    }
    lines
}

/// Returns the members of two maps that differ; members of members are named with dots.
pub fn attributes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Line> {
    let mut lines = Vec::new();
    members("", before, after, &mut lines);
    lines
}

fn members(prefix: &str, before: &Map<String, Value>, after: &Map<String, Value>, lines: &mut Vec<Line>) {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new) {
        let name = format!("{prefix}{key}");
        match (before.get(key), after.get(key)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) if !special(a) && !special(b) => {
                members(&format!("{name}."), a, b, lines);
            }
            (Some(Value::Array(a)), Some(Value::Array(b))) if a.len().max(b.len()) > SHORT_LIST => {
                list(&name, a, b, lines);
            }
            (Some(a), Some(b)) => {
                lines.push(Line::member(Tag::Change, &name, &format!("{} -> {}", shown(a), shown(b))));
            }
            (Some(a), None) => lines.push(Line::member(Tag::Remove, &name, &shown(a))),
            (None, Some(b)) => lines.push(Line::member(Tag::Add, &name, &shown(b))),
            (None, None) => {}
        }
    }
}

fn list(name: &str, before: &[Value], after: &[Value], lines: &mut Vec<Line>) {
    lines.push(Line::member(Tag::Change, name, &format!("{} -> {} members", before.len(), after.len())));
    let (gone, come) = (without(before, after), without(after, before));
    if gone.is_empty() && come.is_empty() {
        lines.push(Line::member(Tag::Note, name, "same members in another order or number"));
    }
    lines.extend(gone.into_iter().map(|m| Line::member(Tag::Remove, name, &shown(m))));
    lines.extend(come.into_iter().map(|m| Line::member(Tag::Add, name, &shown(m))));
}

/// Returns the members of a list that the other one lacks.
fn without<'v>(list: &'v [Value], other: &[Value]) -> Vec<&'v Value> {
    let known: std::collections::HashSet<String> = other.iter().map(Value::to_string).collect();
    list.iter().filter(|v| !known.contains(&v.to_string())).collect()
}

/// Whether a map stands for a secret, for something unknown, or for a path of the project.
fn special(map: &Map<String, Value>) -> bool {
    map.len() == 1 && ["__secret__", "__unknown__", "__project__"].iter().any(|key| map.contains_key(*key))
}

/// Returns a value in one line: plain where that is clear, else as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => nested(other),
    }
}

/// Returns a value inside of another one, where commas and brackets have a meaning.
fn nested(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) && !text.contains(['"', ',', '[', ']', '{', '}']) => {
            text.clone()
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(nested).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) if special(map) => {
            let (key, inside) = map.iter().next().map_or(("", ""), |(k, v)| (k, v.as_str().unwrap_or("")));
            match key {
                "__secret__" => format!("<secret {}>", short(inside)),
                "__project__" => format!("<project>/{inside}"),
                _ => format!("<unknown: {inside}>"),
            }
        }
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {}", nested(v))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a text needs no quotes to be told from a number, a list or what stands around it.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.starts_with(['"', '[', '{', '<'])
        && !text.contains(char::is_control)
        && !text.contains(" -> ")
        && !matches!(text, "null" | "true" | "false")
        && serde_json::from_str::<serde_json::Number>(text).is_err()
}

fn side(side: &DiffSide) -> String {
    match side {
        DiffSide::Absent => "absent".into(),
        DiffSide::Text { text } => format!("{} bytes of text", text.len()),
        DiffSide::Attributes { .. } => "attributes".into(),
        DiffSide::Binary { size, sha256 } => format!("{size} bytes, sha256 {}", short(sha256)),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT_DIGEST).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(before: DiffSide, after: DiffSide, expect: &str) {
        let diff = PlanDiff { subject: "x".into(), before, after };
        let lines: Vec<String> = lines(&diff).iter().map(Line::signed).collect();
        assert_eq!(lines.join("\n"), expect);
    }

    fn text(text: &str) -> DiffSide {
        DiffSide::Text { text: text.into() }
    }

    fn map(value: Value) -> DiffSide {
        let Value::Object(attributes) = value else { panic!("a map is needed") };
        DiffSide::Attributes { attributes }
    }

    #[test]
    fn texts_are_unified_hunks() {
        check(text("a\nb\n"), text("a\nc"), "@@ -1,2 +1,2 @@\n a\n-b\n+c\n (no line break at the end)");
        check(DiffSide::Absent, text("a\n\n-b\n"), "+a\n+\n+-b");
        check(text("a\n"), DiffSide::Absent, "-a");
        check(DiffSide::Absent, text(""), " (empty file)");
        check(text("a"), text("a"), "");
    }

    #[test]
    fn attributes_show_what_differs() {
        check(
            map(json!({"mode": "0644", "owner": "root", "a": {"b": 1, "c": 2}, "gone": null})),
            map(json!({"mode": "0600", "owner": "root", "a": {"b": 1, "c": "2"}, "new": ""})),
            "~ mode: 0644 -> 0600\n~ a.c: 2 -> \"2\"\n- gone: null\n+ new: \"\"",
        );
        check(
            map(json!({"l": [1, 2, 3, 4, 5, 6, 7], "s": ["a"]})),
            map(json!({"l": [1, 2, 3, 4, 5, 6, 8], "s": ["a", "b c"]})),
            "~ l: 7 -> 7 members\n- l: 7\n+ l: 8\n~ s: [a] -> [a, b c]",
        );
        check(
            map(json!({"p": {"__secret__": "0123456789abcdef"}})),
            map(json!({"p": {"__unknown__": "result of step x"}})),
            "~ p: <secret 0123456789ab> -> <unknown: result of step x>",
        );
        check(
            map(json!({"t": "a, [b]", "u": ["a, b"]})),
            map(json!({"t": "[b]", "u": [["c"], {"d": "e"}]})),
            "~ t: a, [b] -> \"[b]\"\n~ u: [\"a, b\"] -> [[c], {d: e}]",
        );
        check(
            map(json!({})),
            map(json!({"src": {"__project__": "files/motd"}})),
            "+ src: <project>/files/motd",
        );
    }

    #[test]
    fn other_content_is_told_by_its_digest() {
        let binary = |byte: &str| DiffSide::Binary { size: 3, sha256: byte.repeat(32) };
        check(binary("ab"), binary("cd"), "~ 3 bytes, sha256 abababababab -> 3 bytes, sha256 cdcdcdcdcdcd");
        check(DiffSide::Absent, binary("ab"), "+ 3 bytes, sha256 abababababab");
        check(text("é"), binary("ab"), "~ 2 bytes of text -> 3 bytes, sha256 abababababab");
        check(binary("ab"), binary("ab"), "");
    }
}
