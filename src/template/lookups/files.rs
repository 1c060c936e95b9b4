//! Lookups that read files on this side, found by the task's search path.

use std::path::{Path, PathBuf};

use super::{Call, Lookup};
use crate::template::Texts;
use crate::template::args::flag_or;
use crate::template::error::{Fail, R, RenderErrorKind};
use crate::template::file::TemplateFileOptions;
use crate::template::interp::{Interp, read_text};
use crate::template::runtime::V;
use crate::value::{Map, TextKind, Value};

pub(super) const TABLE: &[(&str, Lookup)] = &[
    ("file", file),
    ("fileglob", fileglob),
    ("filetree", filetree),
    ("first_found", first_found),
    ("template", template),
    ("unvault", unvault),
];

fn not_found(interp: &Interp<'_>, kind: &str, name: &str) -> Box<Fail> {
    let places: Vec<String> =
        interp.scope.search().candidates(kind, name).iter().map(|p| p.display().to_string()).collect();
    Fail::failed(format!("unable to find '{name}' in expected paths; searched in: {}", places.join(", ")))
}

fn read(interp: &mut Interp<'_>, kind: &str, name: &str) -> R<String> {
    let Some(path) = interp.scope.search().find(kind, name) else {
        return Err(not_found(interp, kind, name));
    };
    let bytes =
        std::fs::read(&path).map_err(|e| Fail::failed(format!("cannot read '{}': {e}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| Fail::failed(format!("'{}' is not valid UTF-8", path.display())))
}

/// Returns the text of a file, decrypted if it is a vault; a decrypted text is a secret.
fn read_plain(interp: &mut Interp<'_>, name: &str) -> R<Value> {
    let text = read(interp, "files", name)?;
    if text.starts_with("$ANSIBLE_VAULT;") {
        return interp.templar.decrypt(&text);
    }
    Ok(Value::str(text))
}

fn trimmed(value: Value, left: bool, right: bool) -> Value {
    let trim = |s: &str| {
        let s = if right { s.trim_end() } else { s };
        if left { s.trim_start() } else { s }.to_string()
    };
    match value {
        Value::Secret(s) => Value::Secret(crate::value::Secret::new(trim(s.expose()))),
        other => Value::str(trim(&other.to_text())),
    }
}

fn file(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let right = flag_or(call.option(interp, "rstrip")?, true);
    let left = flag_or(call.option(interp, "lstrip")?, false);
    let names = call.texts(interp)?;
    names.iter().map(|n| Ok(V::Val(trimmed(read_plain(interp, n)?, left, right)))).collect()
}

fn unvault(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let names = call.texts(interp)?;
    names.iter().map(|n| read_plain(interp, n).map(V::Val)).collect()
}

/// Returns the paths that a shell pattern in the last parts of a path matches, sorted.
pub fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy().into_owned();
        if !text.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(&text);
            }
            continue;
        }
        let mut next = Vec::new();
        for dir in &found {
            let read = std::fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
            let mut names: Vec<String> = read
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .filter(|n| (text.starts_with('.') || !n.starts_with('.')) && fnmatch(&text, n))
                .collect();
            names.sort();
            next.extend(names.into_iter().map(|n| dir.join(n)));
        }
        found = next;
    }
    found.retain(|p| p.symlink_metadata().is_ok());
    found
}

/// Whether a name fits a shell pattern with `*`, `?` and `[...]`.
pub fn fnmatch(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[p..], name[n]),
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(len), _) => {
                p += len;
                n += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns the length of a class that the character is in.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    let end = (start + 1..pattern.len()).find(|i| pattern[*i] == ']');
    let Some(end) = end else { return (c == '[').then_some(1) };
    let set = &pattern[start..end];
    let mut inside = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            inside |= set[i] <= c && c <= set[i + 2];
            i += 3;
        } else {
            inside |= set[i] == c;
            i += 1;
        }
    }
    (inside != negated).then_some(end + 1)
}

fn fileglob(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let mut out = Vec::new();
    for pattern in call.texts(interp)? {
        for place in interp.scope.search().candidates("files", &pattern) {
            let files: Vec<PathBuf> = glob(&place).into_iter().filter(|p| p.is_file()).collect();
            if !files.is_empty() {
                out.extend(files.iter().map(|p| V::str(p.display().to_string())));
                break;
            }
        }
    }
    Ok(out)
}

/// The option of `first_found` by which the engine says which folder a task's files are in; a lookup in a template
/// always looks among `files`.
pub const FOLDER: &str = "_subdir";

fn first_found(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let mut skip = flag_or(call.option(interp, "skip")?, false);
    let kind = call.option(interp, FOLDER)?.map_or_else(|| "files".to_string(), |v| v.to_text());
    let mut names = Vec::new();
    let files = call.option(interp, "files")?;
    let paths = call.option(interp, "paths")?;
    let terms: Vec<V> = std::mem::take(&mut call.terms);
    let mut all = Vec::new();
    for term in terms {
        if term.is_list() { all.extend(interp.items(&term)?) } else { all.push(term) }
    }
    for term in all {
        // Alternatives that are undefined are passed over.
        if term.is_undef() {
            continue;
        }
        let value = match interp.value(&term) {
            Ok(value) => value,
            Err(fail) if matches!(fail.kind, RenderErrorKind::Undefined { .. }) => continue,
            Err(fail) => return Err(fail),
        };
        match &value {
            Value::Unknown(u) => return Err(Fail::unknown(u.clone())),
            Value::Map(map) => {
                skip = skip || map.get("skip").is_some_and(Value::is_truthy);
                let (files, paths) = (words(map.get("files"), &FILES), words(map.get("paths"), &PATHS));
                // Where all files are undefined nothing is looked for.
                if !files.is_empty() || !map.contains("files") {
                    combine(files, paths, &mut names);
                }
            }
            other => names.push(other.to_text()),
        }
    }
    if files.is_some() || paths.is_some() {
        let mut listed = words(files.as_ref(), &FILES);
        listed.extend(std::mem::take(&mut names));
        combine(listed, words(paths.as_ref(), &PATHS), &mut names);
    }
    for name in &names {
        if let Some(path) = interp.scope.search().find(&kind, name) {
            return Ok(vec![V::str(path.display().to_string())]);
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(Fail::failed(format!("no file was found when using first_found: {}", names.join(", "))))
}

/// What separates the names of files, and those of folders, that stand in one text.
const FILES: [char; 2] = [',', ';'];
const PATHS: [char; 3] = [',', ';', ':'];

/// Returns the names in a text or in a list of texts.
fn words(v: Option<&Value>, separators: &[char]) -> Vec<String> {
    let split = |v: &Value| -> Vec<String> {
        let text = v.to_text();
        text.split(separators).map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect()
    };
    match v {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::List(items)) => items.iter().flat_map(split).collect(),
        Some(other) => split(other),
    }
}

fn combine(files: Vec<String>, paths: Vec<String>, out: &mut Vec<String>) {
    if paths.is_empty() {
        out.extend(files);
        return;
    }
    for path in paths {
        if files.is_empty() {
            out.push(path);
            continue;
        }
        out.extend(files.iter().map(|f| Path::new(&path).join(f).display().to_string()));
    }
}

fn template(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let mut options = TemplateFileOptions::default();
    if let Some(Value::Map(vars)) = call.option(interp, "template_vars")? {
        options.vars = (*vars).clone();
    }
    for (name, slot) in [
        ("variable_start_string", &mut options.syntax.variable.0),
        ("variable_end_string", &mut options.syntax.variable.1),
        ("comment_start_string", &mut options.syntax.comment.0),
        ("comment_end_string", &mut options.syntax.comment.1),
    ] {
        if let Some(v) = call.option(interp, name)? {
            *slot = v.to_text();
        }
    }
    if let Some(v) = call.option(interp, "trim_blocks")? {
        options.syntax.trim_blocks = v.is_truthy();
    }
    if let Some(v) = call.option(interp, "lstrip_blocks")? {
        options.syntax.lstrip_blocks = v.is_truthy();
    }
    let native = call.option(interp, "jinja2_native")?.is_some_and(|v| v.is_truthy());
    let texts = interp.templar.settings().texts;
    let keep = call.option(interp, "convert_data")?.is_some_and(|v| !v.is_truthy())
        || !native && texts == Texts::Native;
    let mut out = Vec::new();
    for name in call.texts(interp)? {
        let Some(path) = interp.scope.search().find("templates", &name) else {
            return Err(not_found(interp, "templates", &name));
        };
        let made = interp.render_nested_file(&path, &options)?;
        let made = match made {
            Value::Str(text) if keep => Value::Str(text.of_kind(TextKind::Kept)),
            Value::Str(text) => read_text(texts, text.trim_end_matches('\n')).unwrap_or(Value::Str(text)),
            other => other,
        };
        out.push(V::Val(made));
    }
    Ok(out)
}

/// The files below a folder with their attributes, as `with_filetree` loops over them.
fn filetree(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let exclude = call.option(interp, "exclude")?.map(|v| v.to_text());
    let mut out: Vec<(String, Value)> = Vec::new();
    for name in call.texts(interp)? {
        let Some(root) = interp.scope.search().find("files", name.trim_end_matches('/')) else { continue };
        walk(&root, &root, exclude.as_deref(), &mut out)?;
    }
    Ok(out.into_iter().map(|(_, v)| V::Val(v)).collect())
}

fn walk(root: &Path, dir: &Path, exclude: Option<&str>, out: &mut Vec<(String, Value)>) -> R<()> {
    use std::os::unix::fs::MetadataExt;
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let relative = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if let Some(pattern) = exclude
            && crate::template::filters::regex::matches(
                pattern,
                &relative,
                crate::template::filters::regex::MatchMode::Start,
                false,
                false,
            )?
        {
            continue;
        }
        let Ok(meta) = path.symlink_metadata() else { continue };
        let state = if meta.is_symlink() {
            "link"
        } else if meta.is_dir() {
            "directory"
        } else {
            "file"
        };
        if out.iter().any(|(seen, _)| *seen == relative) {
            continue;
        }
        let mut member = Map::from_iter([
            ("root", Value::str(root.display().to_string())),
            ("path", Value::str(relative.clone())),
            ("state", Value::str(state)),
            ("uid", Value::from(meta.uid())),
            ("gid", Value::from(meta.gid())),
            ("mode", Value::str(format!("0{:o}", meta.mode() & 0o7777))),
            ("size", Value::from(meta.len())),
            ("mtime", Value::Int(meta.mtime().into())),
            ("ctime", Value::Int(meta.ctime().into())),
        ]);
        let content = match state {
            "file" => Some(("src", path.display().to_string())),
            "link" => std::fs::read_link(&path).ok().map(|p| ("src", p.display().to_string())),
            _ => None,
        };
        if let Some((key, value)) = content {
            member.insert(key, value);
        }
        out.push((relative, Value::map(member)));
        if state == "directory" {
            walk(root, &path, exclude, out)?;
        }
    }
    Ok(())
}
