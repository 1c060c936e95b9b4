//! Filters over paths.

use std::path::{Component, Path, PathBuf};

use super::Filter::{self, Plain};
use crate::template::args::{ValueArgs, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::lookups;
use crate::template::search::expand_user;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("basename", Plain(|_, v, a| simple(&v, a, basename))),
    ("commonpath", Plain(commonpath)),
    ("dirname", Plain(|_, v, a| simple(&v, a, dirname))),
    ("expanduser", Plain(|_, v, a| simple(&v, a, expand_user))),
    ("expandvars", Plain(|_, v, a| simple(&v, a, expandvars))),
    ("fileglob", Plain(fileglob)),
    ("normpath", Plain(|_, v, a| simple(&v, a, normpath))),
    ("path_join", Plain(path_join)),
    ("realpath", Plain(|_, v, a| simple(&v, a, realpath))),
    ("relpath", Plain(relpath)),
    ("splitext", Plain(splitext)),
    (
        "win_basename",
        Plain(|_, v, a| simple(&v, a, |p| p.rsplit(['\\', '/']).next().unwrap_or(p).to_string())),
    ),
    ("win_dirname", Plain(|_, v, a| simple(&v, a, win_dirname))),
    ("win_splitdrive", Plain(win_splitdrive)),
];

fn simple(v: &Value, args: ValueArgs, f: fn(&str) -> String) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(f(&v.to_text())))
}

/// Python's `os.path.basename`: nothing after a final slash.
fn basename(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}

fn dirname(path: &str) -> String {
    let Some(i) = path.rfind('/') else { return String::new() };
    let head = &path[..=i];
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head.to_string() } else { trimmed.to_string() }
}

fn win_dirname(path: &str) -> String {
    let Some(i) = path.rfind(['\\', '/']) else { return String::new() };
    let head = &path[..=i];
    let trimmed = head.trim_end_matches(['\\', '/']);
    if trimmed.is_empty() || trimmed.ends_with(':') { head.to_string() } else { trimmed.to_string() }
}

fn win_splitdrive(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let path = v.to_text();
    let split = if path.get(1..2) == Some(":") { 2 } else { 0 };
    Ok(Value::from(vec![path[..split].to_string(), path[split..].to_string()]))
}

/// Replaces `$NAME` and `${NAME}` by the environment; unknown names stay.
fn expandvars(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find('$') {
        out.push_str(&rest[..i]);
        let tail = &rest[i + 1..];
        let (name, used) = match tail.strip_prefix('{').and_then(|t| t.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
                (&tail[..end], end)
            }
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => {
                out.push('$');
                out.push_str(&tail[..used]);
            }
        }
        rest = &tail[used..];
    }
    out + rest
}

/// Python's `os.path.normpath`.
fn normpath(path: &str) -> String {
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    let text = out.display().to_string();
    if text.is_empty() { ".".to_string() } else { text }
}

fn absolute(path: &str) -> String {
    normpath(&std::path::absolute(path).map_or_else(|_| path.to_string(), |p| p.display().to_string()))
}

/// Follows symbolic links of the part that exists.
fn realpath(path: &str) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let mut missing: Vec<std::ffi::OsString> = Vec::new();
    let mut at = absolute.as_path();
    loop {
        if let Ok(real) = at.canonicalize() {
            let full = missing.iter().rev().fold(real, |p, part| p.join(part));
            return normpath(&full.display().to_string());
        }
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
            return normpath(&absolute.display().to_string());
        };
        missing.push(name.to_os_string());
        at = parent;
    }
}

fn relpath(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [start] = args.bind(["start"])?;
    let (path, start) = (absolute(&v.to_text()), absolute(&text_or(start, ".")));
    let parts = |p: &str| p.split('/').filter(|x| !x.is_empty()).map(str::to_string).collect::<Vec<_>>();
    let (a, b) = (parts(&path), parts(&start));
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let mut out: Vec<String> = vec!["..".to_string(); b.len() - common];
    out.extend(a[common..].iter().cloned());
    Ok(Value::str(if out.is_empty() { ".".to_string() } else { out.join("/") }))
}

fn splitext(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let path = v.to_text();
    let name_start = path.rfind('/').map_or(0, |i| i + 1);
    let name = &path[name_start..];
    // Leading points belong to the name.
    let leading = name.len() - name.trim_start_matches('.').len();
    let split = name[leading..].rfind('.').map_or(path.len(), |i| name_start + leading + i);
    Ok(Value::from(vec![path[..split].to_string(), path[split..].to_string()]))
}

fn path_join(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let parts: Vec<String> = match &v {
        Value::List(parts) => parts.iter().map(Value::to_text).collect(),
        Value::Str(text) => vec![text.to_string()],
        other => {
            return Err(Fail::failed(format!(
                "|path_join expects string or sequence, got {} instead.",
                other.type_name()
            )));
        }
    };
    let mut out = String::new();
    for part in parts {
        if part.starts_with('/') {
            out = part;
        } else if out.is_empty() || out.ends_with('/') {
            out.push_str(&part);
        } else {
            out.push('/');
            out.push_str(&part);
        }
    }
    Ok(Value::str(out))
}

fn commonpath(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let paths: Vec<String> = v.as_list().unwrap_or_default().iter().map(Value::to_text).collect();
    let Some(first) = paths.first() else { return Ok(Value::str("")) };
    let split = |p: &str| p.split('/').map(str::to_string).collect::<Vec<_>>();
    let mut common = split(first);
    for path in &paths[1..] {
        let n = common.iter().zip(split(path)).take_while(|(a, b)| *a == b).count();
        common.truncate(n);
    }
    let joined = common.join("/");
    Ok(Value::str(if joined.is_empty() && first.starts_with('/') { "/".to_string() } else { joined }))
}

fn fileglob(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let files = lookups::glob(Path::new(&v.to_text()));
    Ok(Value::from(files.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()))
}
