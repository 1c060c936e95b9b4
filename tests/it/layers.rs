//! The rules of the source tree: layer order, owners of libraries, file heads and lengths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each layer uses only those before it.
const LAYERS: [&str; 16] = [
    "diag",
    "yaml",
    "value",
    "vault",
    "template",
    "inventory",
    "vars",
    "playbook",
    "transport",
    "facts",
    "modules",
    "plan",
    "engine",
    "report",
    "rehearsal",
    "cli",
];

/// Uses against the order that are agreed: values are what YAML scalars become.
const AGREED: [(&str, &str); 1] = [("yaml", "value")];

/// Libraries and the only places that may name them.
const OWNERS: [(&str, &[&str]); 9] = [
    ("russh", &["transport/ssh", "rehearsal"]),
    ("minijinja", &["template"]),
    ("granit_parser", &["yaml"]),
    ("annotate_snippets", &["diag"]),
    ("indicatif", &["report", "cli"]),
    ("console", &["report", "cli"]),
    ("clap", &["cli"]),
    ("toml", &["cli", "inventory"]),
    ("similar", &["report", "plan/render"]),
];

/// The only file with `unsafe`.
const UNSAFE: &str = "rehearsal/os.rs";
/// Where text may leave the program. A rehearsal's hidden commands are programs of their own.
const WRITERS: [&str; 3] = ["report", "cli", "rehearsal"];
const MAX_LINES: usize = 800;

#[test]
fn source_files_keep_the_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in rust_files(&src) {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
        wrong.extend(check_file(&name, &text));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn rust_files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.insert(path);
        }
    }
    found
}

/// Returns what is wrong in one file, as `src/file:line: rule`.
fn check_file(name: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |line: usize, rule: String| wrong.push(format!("src/{name}:{line}: {rule}"));
    if !text.starts_with("//!") {
        say(1, "a file begins with its purpose (`//!`)".into());
    }
    let count = text.lines().count();
    if count > MAX_LINES {
        say(count, format!("a file has at most {MAX_LINES} lines"));
    }
    let code = without_comments_and_texts(text);
    let layer = name.split(['/', '.']).next().unwrap_or_default();
    let rank = LAYERS.iter().position(|l| *l == layer);
    let below = |places: &[&str]| places.iter().any(|p| name.starts_with(p));
    for (index, line) in code.lines().enumerate() {
        for used in used_layers(line, &code, index) {
            let (Some(own), Some(other)) = (rank, LAYERS.iter().position(|l| *l == used)) else { continue };
            let agreed = AGREED.contains(&(layer, used.as_str()));
            if (other > own && !agreed) || AGREED.contains(&(used.as_str(), layer)) {
                say(index + 1, format!("`{layer}` must not use `{used}`, see LAYERS"));
            }
        }
        for (library, owners) in OWNERS {
            if has_path(line, library) && !below(owners) {
                say(index + 1, format!("only {} may use `{library}`", owners.join(" and ")));
            }
        }
        if has_word(line, "unsafe") && name != UNSAFE {
            say(index + 1, format!("`unsafe` is only allowed in src/{UNSAFE}"));
        }
        let writes = line.contains("io::stdout()") || line.contains("io::stderr()");
        if writes && !below(&WRITERS) {
            say(index + 1, format!("only {} write to stdout and stderr", WRITERS.join(", ")));
        }
    }
    wrong
}

/// Layers named on a line: `crate::x`, and the members of a group that `crate::{` opens.
fn used_layers(line: &str, code: &str, index: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let after = &line[at + "crate::".len()..];
        if !after.starts_with('{') {
            found.push(identifier(after));
            continue;
        }
        let rest: String = code.lines().skip(index).collect::<Vec<_>>().join("\n");
        let start = rest.find("crate::{").unwrap_or_default() + "crate::{".len();
        found.extend(group_heads(&rest[start..]));
    }
    found
}

/// The first name of every member of a `{` group, to its closing bracket.
fn group_heads(text: &str) -> Vec<String> {
    let (mut depth, mut expect, mut heads) = (0, true, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expect = true,
            c if expect && (c.is_alphanumeric() || c == '_') => {
                heads.push(identifier(&text[at..]));
                expect = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word_char) && !line[at + word.len()..].starts_with(is_word_char)
    })
}

/// Whether a line names the library: `name::` that is not part of another path, or `use name`.
fn has_path(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + library.len()..]);
        let begins = !before.ends_with(is_word_char) && !before.ends_with("::");
        begins && (after.starts_with("::") || (before.ends_with("use ") && after.starts_with(';')))
    })
}

/// The text with comments, strings and characters blanked; line breaks stay.
fn without_comments_and_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    while i < chars.len() {
        let rest = &chars[i..];
        let end = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => find(rest, 2, &['*', '/']).map_or(rest.len(), |e| e + 2),
            ['"', ..] => string_end(rest),
            ['r', '"' | '#', ..] if !out.ends_with(is_word_char) => raw_string_end(rest),
            ['\'', '\\', ..] => find(rest, 3, &['\'']).map_or(rest.len(), |e| e + 1),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if end == 0 {
            out.push(chars[i]);
            i += 1;
        } else {
            rest[..end].iter().for_each(|c| blank(&mut out, *c));
            i += end;
        }
    }
    out
}

fn find(chars: &[char], from: usize, what: &[char]) -> Option<usize> {
    (from..chars.len()).find(|i| chars[*i..].starts_with(what))
}

fn string_end(chars: &[char]) -> usize {
    let mut i = 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The end of `r#"..."#`, or 0 for a raw identifier such as `r#become`.
fn raw_string_end(chars: &[char]) -> usize {
    let hashes = chars[1..].iter().take_while(|c| **c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    find(chars, 2 + hashes, &close).map_or(chars.len(), |e| e + close.len())
}

#[test]
fn rules_are_recognised() {
    let check = |name: &str, body: &str, expect: &[&str]| {
        assert_eq!(check_file(name, &format!("//! x\n{body}")), expect, "{body}");
    };
    check("yaml/a.rs", "use crate::value::Value;", &[]);
    check(
        "value/a.rs",
        "use crate::yaml::Node;",
        &["src/value/a.rs:2: `value` must not use `yaml`, see LAYERS"],
    );
    check(
        "yaml/a.rs",
        "use crate::template::Tree;",
        &["src/yaml/a.rs:2: `yaml` must not use `template`, see LAYERS"],
    );
    check(
        "diag/a.rs",
        "use crate::{\n    diag::{Span, value},\n    engine::Event,\n};",
        &["src/diag/a.rs:2: `diag` must not use `engine`, see LAYERS"],
    );
    check(
        "engine/a.rs",
        "fn f() { crate::report::x() } // crate::cli::y\nlet t = \"crate::cli::z\";",
        &["src/engine/a.rs:2: `engine` must not use `report`, see LAYERS"],
    );
    check(
        "transport/local.rs",
        "use russh::x;",
        &["src/transport/local.rs:2: only transport/ssh and rehearsal may use `russh`"],
    );
    check("transport/ssh/mod.rs", "use russh::x;\nuse super::console::y;", &[]);
    check("plan/a.rs", "unsafe {}", &["src/plan/a.rs:2: `unsafe` is only allowed in src/rehearsal/os.rs"]);
    check(
        "plan/a.rs",
        "io::stdout();",
        &["src/plan/a.rs:2: only report, cli, rehearsal write to stdout and stderr"],
    );
    assert_eq!(
        check_file("plan/b.rs", "fn f() {}"),
        ["src/plan/b.rs:1: a file begins with its purpose (`//!`)"]
    );
}
