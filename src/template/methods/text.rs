//! Methods of texts: Python's `str`.

use crate::template::args::{Args, ValueArgs, flag_or, int_or, need, size_or};
use crate::template::error::{Fail, R};
use crate::template::runtime::V;
use crate::template::{ops, python_format};
use crate::value::Value;

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "decode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

pub(in crate::template) fn call(s: &str, name: &str, args: ValueArgs) -> R<V> {
    let text = |t: String| Ok(V::str(t));
    let all = |test: fn(char) -> bool| Ok(V::bool(!s.is_empty() && s.chars().all(test)));
    match name {
        "format" => return text(python_format::format(s, &args)?),
        "format_map" => {
            let [map] = args.bind(["mapping"])?;
            let map = need(map, "mapping")?;
            let named = map.as_map().into_iter().flatten().map(|(k, v)| (k.json_name(), v.clone())).collect();
            return text(python_format::format(s, &Args { pos: Vec::new(), named })?);
        }
        "split" | "rsplit" => return split(s, name == "rsplit", args),
        "startswith" | "endswith" => return edge(s, name == "startswith", args),
        "find" | "rfind" | "index" | "rindex" | "count" => return search(s, name, args),
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = args.bind(["chars"])?;
            return text(strip(s, chars.as_ref(), name != "rstrip", name != "lstrip"));
        }
        "replace" => {
            let [old, new, count] = args.bind(["old", "new", "count"])?;
            let (old, new) = (string(&need(old, "old")?, "old")?, string(&need(new, "new")?, "new")?);
            let count = int_or(count, "count", -1)?;
            return text(replace(s, &old, &new, count));
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = args.bind(["width", "fillchar"])?;
            let width = size_or(Some(need(width, "width")?), "width", 0)?;
            let fill = fill.map_or(Ok(" ".to_string()), |f| string(&f, "fillchar"))?;
            let Some(fill) = fill.chars().next() else {
                return Err(Fail::failed("the fill character must be exactly one character long"));
            };
            return text(pad(s, name, width, fill));
        }
        "zfill" => {
            let [width] = args.bind(["width"])?;
            return text(zfill(s, size_or(Some(need(width, "width")?), "width", 0)?));
        }
        "partition" | "rpartition" => {
            let [sep] = args.bind(["sep"])?;
            let sep = string(&need(sep, "sep")?, "sep")?;
            if sep.is_empty() {
                return Err(Fail::failed("empty separator"));
            }
            let parts = if name == "partition" {
                s.split_once(&sep).map_or((s, "", ""), |(a, b)| (a, sep.as_str(), b))
            } else {
                s.rsplit_once(&sep).map_or(("", "", s), |(a, b)| (a, sep.as_str(), b))
            };
            return Ok(V::tuple(vec![V::str(parts.0), V::str(parts.1), V::str(parts.2)]));
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = args.bind(["affix"])?;
            let affix = string(&need(affix, "affix")?, "affix")?;
            let rest = if name == "removeprefix" { s.strip_prefix(&*affix) } else { s.strip_suffix(&*affix) };
            return text(rest.unwrap_or(s).to_string());
        }
        "splitlines" => {
            let [keep] = args.bind(["keepends"])?;
            return Ok(V::list(lines(s, flag_or(keep, false)).into_iter().map(V::str).collect()));
        }
        "expandtabs" => {
            let [size] = args.bind(["tabsize"])?;
            return text(expand_tabs(s, size_or(size, "tabsize", 8)?));
        }
        // Bytes are texts here, so both directions keep the text.
        "encode" | "decode" => {
            let [_, _] = args.bind(["encoding", "errors"])?;
            return text(s.to_string());
        }
        "translate" => {
            let [table] = args.bind(["table"])?;
            let table = need(table, "table")?;
            return text(translate(s, &table));
        }
        _ => {}
    }
    args.bind([])?;
    match name {
        "upper" => text(s.to_uppercase()),
        "lower" | "casefold" => text(s.to_lowercase()),
        "capitalize" => text(capitalize(s)),
        "title" => text(title(s)),
        "swapcase" => text(
            s.chars()
                .flat_map(|c| -> Box<dyn Iterator<Item = char>> {
                    if c.is_uppercase() { Box::new(c.to_lowercase()) } else { Box::new(c.to_uppercase()) }
                })
                .collect(),
        ),
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => Ok(V::bool(s.is_ascii())),
        "isdecimal" | "isdigit" => all(|c| c.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "isprintable" => Ok(V::bool(!s.chars().any(char::is_control))),
        "isidentifier" => Ok(V::bool(
            s.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && s.chars().all(|c| c.is_alphanumeric() || c == '_'),
        )),
        "islower" => Ok(V::bool(s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase))),
        "isupper" => Ok(V::bool(s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase))),
        "istitle" => Ok(V::bool(s.chars().any(char::is_alphabetic) && title(s) == s)),
        _ => Err(Fail::failed(format!("'str' object has no method '{name}'"))),
    }
}

fn string(value: &Value, name: &str) -> R<String> {
    match value {
        Value::Str(s) => Ok(s.to_string()),
        other => Err(Fail::failed(format!("'{name}' must be str, not {}", other.type_name()))),
    }
}

fn split(s: &str, from_right: bool, args: ValueArgs) -> R<V> {
    let [sep, max] = args.bind(["sep", "maxsplit"])?;
    let max = int_or(max, "maxsplit", -1)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let parts = match sep {
        None | Some(Value::Null) => split_space(s, from_right, max),
        Some(sep) => {
            let sep = string(&sep, "sep")?;
            if sep.is_empty() {
                return Err(Fail::failed("empty separator"));
            }
            let limit = max.saturating_add(1);
            if from_right {
                let mut parts: Vec<String> = s.rsplitn(limit, &*sep).map(str::to_string).collect();
                parts.reverse();
                parts
            } else {
                s.splitn(limit, &*sep).map(str::to_string).collect()
            }
        }
    };
    Ok(V::list(parts.into_iter().map(V::str).collect()))
}

/// Splits at runs of white space, at most `max` times.
fn split_space(s: &str, from_right: bool, max: usize) -> Vec<String> {
    let mut out = Vec::new();
    if from_right {
        let mut rest = s.trim_end();
        while !rest.is_empty() {
            if out.len() == max {
                out.push(rest.to_string());
                break;
            }
            let start = rest
                .rfind(char::is_whitespace)
                .map_or(0, |i| i + rest[i..].chars().next().map_or(1, char::len_utf8));
            out.push(rest[start..].to_string());
            rest = rest[..start].trim_end();
        }
        out.reverse();
        return out;
    }
    let mut rest = s.trim_start();
    while !rest.is_empty() {
        if out.len() == max {
            out.push(rest.to_string());
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        out.push(rest[..end].to_string());
        rest = rest[end..].trim_start();
    }
    out
}

fn edge(s: &str, start: bool, args: ValueArgs) -> R<V> {
    let [affix, from, to] = args.bind(["prefix", "start", "end"])?;
    let affix = need(affix, "prefix")?;
    let s = window(s, from, to)?;
    let affixes = match &affix {
        Value::List(items) => items.iter().map(|v| string(v, "prefix")).collect::<R<Vec<_>>>()?,
        other => vec![string(other, "prefix")?],
    };
    Ok(V::bool(affixes.iter().any(|a| if start { s.starts_with(&**a) } else { s.ends_with(&**a) })))
}

/// Returns the part of the text between two character positions.
fn window(s: &str, from: Option<Value>, to: Option<Value>) -> R<String> {
    if from.is_none() && to.is_none() {
        return Ok(s.to_string());
    }
    let bound = |v: Option<Value>| match v {
        None | Some(Value::Null) => Ok(None),
        Some(v) => crate::template::args::int(&v, "start").map(Some),
    };
    let chars: Vec<char> = s.chars().collect();
    let picked = ops::slice_positions([bound(from)?, bound(to)?, None], chars.len())?;
    Ok(picked.into_iter().map(|i| chars[i]).collect())
}

fn search(s: &str, name: &str, args: ValueArgs) -> R<V> {
    let [part, from, to] = args.bind(["sub", "start", "end"])?;
    let part = string(&need(part, "sub")?, "sub")?;
    let skipped = match &from {
        Some(v) if !v.is_null() => {
            let i = crate::template::args::int(v, "start")?;
            let n = s.chars().count() as i128;
            (if i < 0 { (i + n).max(0) } else { i }) as usize
        }
        _ => 0,
    };
    let part = &*part;
    let s = window(s, from, to)?;
    if name == "count" {
        let n = if part.is_empty() { s.chars().count() + 1 } else { s.matches(part).count() };
        return Ok(V::int(n));
    }
    let byte = if name.starts_with('r') { s.rfind(part) } else { s.find(part) };
    match byte {
        Some(i) => Ok(V::int(s[..i].chars().count() + skipped)),
        None if name.ends_with("find") => Ok(V::Val(Value::Int(-1))),
        None => Err(Fail::failed("substring not found")),
    }
}

/// Python's `strip`: of white space, or of the given characters.
pub(in crate::template) fn strip(s: &str, chars: Option<&Value>, left: bool, right: bool) -> String {
    let chars = chars.and_then(crate::template::runtime::text_of);
    let matches = |c: char| chars.map_or_else(|| c.is_whitespace(), |set| set.contains(c));
    let mut out = s;
    if left {
        out = out.trim_start_matches(matches);
    }
    if right {
        out = out.trim_end_matches(matches);
    }
    out.to_string()
}

pub(in crate::template) fn replace(s: &str, old: &str, new: &str, count: i128) -> String {
    match usize::try_from(count) {
        Ok(n) => s.replacen(old, new, n),
        Err(_) => s.replace(old, new),
    }
}

fn pad(s: &str, how: &str, width: usize, fill: char) -> String {
    let len = s.chars().count();
    let Some(missing) = width.checked_sub(len).filter(|m| *m > 0) else { return s.to_string() };
    let fill = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    match how {
        "ljust" => s.to_string() + &fill(missing),
        "rjust" => fill(missing) + s,
        _ => {
            // CPython puts the odd one to the left only where the width is odd too.
            let left = missing / 2 + (missing & width & 1);
            fill(left) + s + &fill(missing - left)
        }
    }
}

pub(in crate::template) fn center(s: &str, width: usize) -> String {
    pad(s, "center", width, ' ')
}

fn zfill(s: &str, width: usize) -> String {
    let (sign, digits) = match s.strip_prefix(['+', '-']) {
        Some(rest) => (&s[..1], rest),
        None => ("", s),
    };
    let missing = width.saturating_sub(s.chars().count());
    format!("{sign}{}{digits}", "0".repeat(missing))
}

/// Python's `splitlines`.
pub(in crate::template) fn lines(s: &str, keep_ends: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    let mut chars = s.chars().peekable();
    let mut open = false;
    while let Some(c) = chars.next() {
        open = true;
        let ends =
            matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if !ends {
            line.push(c);
            continue;
        }
        if keep_ends {
            line.push(c);
        }
        if c == '\r' && chars.peek() == Some(&'\n') {
            chars.next();
            if keep_ends {
                line.push('\n');
            }
        }
        out.push(std::mem::take(&mut line));
        open = false;
    }
    if open {
        out.push(line);
    }
    out
}

fn expand_tabs(s: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in s.chars() {
        match c {
            '\t' if size > 0 => {
                let n = size - column % size;
                out.extend(std::iter::repeat_n(' ', n));
                column += n;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

fn translate(s: &str, table: &Value) -> String {
    let map = table.as_map();
    s.chars()
        .map(|c| {
            let found = map.and_then(|m| m.get_key(&crate::value::Key::Int(c as i128)));
            match found {
                None => c.to_string(),
                Some(Value::Null) => String::new(),
                Some(Value::Int(i)) => {
                    u32::try_from(*i).ok().and_then(char::from_u32).unwrap_or(c).to_string()
                }
                Some(other) => other.to_text(),
            }
        })
        .collect()
}

pub(in crate::template) fn capitalize(s: &str) -> String {
    let mut chars = s.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// Python's `title`: a letter after a non-letter is upper case.
fn title(s: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in s.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}
