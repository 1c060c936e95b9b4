//! Regular expressions in Python's syntax.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use super::Filter::{self, Plain};
use super::convert::{spelled_flag, text_arg};
use crate::template::args::{ValueArgs, int_or, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::Value;
use crate::value::python_regex::{self, Flags, Regex};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("regex_escape", Plain(regex_escape)),
    ("regex_findall", Plain(regex_findall)),
    ("regex_replace", Plain(regex_replace)),
    ("regex_search", Plain(regex_search)),
];

/// How much of the text a pattern must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::template) enum MatchMode {
    Start,
    Anywhere,
    Whole,
}

/// Returns whether a pattern matches.
pub(in crate::template) fn matches(
    pattern: &str,
    text: &str,
    mode: MatchMode,
    ignore_case: bool,
    multiline: bool,
) -> R<bool> {
    let pattern = match mode {
        MatchMode::Anywhere => pattern.to_string(),
        MatchMode::Start => format!("\\A(?:{pattern})"),
        MatchMode::Whole => format!("\\A(?:{pattern})\\Z"),
    };
    let regex = compile(&pattern, ignore_case, multiline)?;
    regex.is_match(text).map_err(|e| Fail::failed(format!("the pattern '{pattern}' gave up: {e}")))
}

type Cache = Mutex<HashMap<(String, bool, bool), Arc<Regex>>>;

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

pub(in crate::template) fn compile(pattern: &str, ignore_case: bool, multiline: bool) -> R<Arc<Regex>> {
    let key = (pattern.to_string(), ignore_case, multiline);
    let mut cache = CACHE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(regex) = cache.get(&key) {
        return Ok(regex.clone());
    }
    let flags = Flags { ignore_case, lines: multiline, dot_all: false };
    let regex = python_regex::compile(pattern, flags).map(Arc::new).map_err(Fail::failed)?;
    // Patterns made from data could fill the cache without end.
    if cache.len() > 1000 {
        cache.clear();
    }
    cache.insert(key, regex.clone());
    Ok(regex)
}

fn gave_up(pattern: &str, e: &impl std::fmt::Display) -> Box<Fail> {
    Fail::failed(format!("the pattern '{pattern}' gave up: {e}"))
}

fn regex_replace(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [pattern, replacement, ignore_case, multiline, count, mandatory] =
        args.bind(["pattern", "replacement", "ignorecase", "multiline", "count", "mandatory_count"])?;
    let (pattern, replacement) = (text_or(pattern, ""), text_or(replacement, ""));
    let count = usize::try_from(int_or(count, "count", 0)?).unwrap_or(0);
    let mandatory = usize::try_from(int_or(mandatory, "mandatory_count", 0)?).unwrap_or(0);
    let regex = compile(&pattern, spelled_flag(ignore_case, false), spelled_flag(multiline, false))?;
    let text = v.to_text();
    let most = (count > 0).then_some(count);
    let (out, done) = python_regex::replace(&regex, &text, &replacement, most)
        .map_err(|e| Fail::failed(format!("the pattern '{pattern}' cannot replace: {e}")))?;
    if mandatory > 0 && done != mandatory {
        return Err(Fail::failed(format!(
            "'{pattern}' should match {mandatory} times, but matches {done} times in '{text}'"
        )));
    }
    Ok(Value::str(out))
}

fn regex_search(_: &mut Interp<'_>, v: Value, mut args: ValueArgs) -> R<Value> {
    let multiline = spelled_flag(args.take("multiline"), false);
    let ignore_case = spelled_flag(args.take("ignorecase"), false);
    let pattern = match args.take("regex") {
        Some(p) => p,
        None if args.pos.is_empty() => return Err(Fail::failed("missing 1 required argument: 'regex'")),
        None => args.pos.remove(0),
    };
    let pattern = pattern.to_text();
    let regex = compile(&pattern, ignore_case, multiline)?;
    let text = v.to_text();
    let found = regex.captures(text.as_str()).map_err(|e| gave_up(&pattern, &e))?;
    let Some(captures) = found else { return Ok(Value::Null) };
    if args.pos.is_empty() {
        return Ok(captures.get(0).map_or(Value::Null, |m| Value::str(m.as_str())));
    }
    let mut out = Vec::new();
    for group in &args.pos {
        let group = group.to_text();
        let found =
            match (group.strip_prefix("\\g<").and_then(|g| g.strip_suffix('>')), group.strip_prefix('\\')) {
                (Some(name), _) if regex.capture_names().flatten().any(|known| known == name) => {
                    captures.name(name)
                }
                (Some(_), _) => return Err(Fail::failed("no such group")),
                (None, Some(number)) => match number.parse::<usize>() {
                    Ok(i) if i < captures.len() => captures.get(i),
                    _ => return Err(Fail::failed("no such group")),
                },
                _ => return Err(Fail::failed("Unknown argument")),
            };
        out.push(found.map_or(Value::Null, |m| Value::str(m.as_str())));
    }
    Ok(Value::list(out))
}

fn regex_findall(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [pattern, multiline, ignore_case] = args.bind(["regex", "multiline", "ignorecase"])?;
    let pattern = text_arg(pattern, "regex")?;
    let regex = compile(&pattern, spelled_flag(ignore_case, false), spelled_flag(multiline, false))?;
    let text = v.to_text();
    let mut out = Vec::new();
    for captures in regex.captures_iter(text.as_str()) {
        let captures = captures.map_err(|e| gave_up(&pattern, &e))?;
        let group = |i: usize| Value::str(captures.get(i).map_or("", |m| m.as_str()));
        out.push(match captures.len() {
            1 => group(0),
            2 => group(1),
            n => Value::list((1..n).map(group).collect()),
        });
    }
    Ok(Value::list(out))
}

fn regex_escape(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [kind] = args.bind(["re_type"])?;
    let text = v.to_text();
    let special = match text_or(kind, "python").as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c",
        "posix_basic" => "[].*^$\\",
        other @ "posix_extended" => {
            return Err(Fail::failed(format!("Regex type ({other}) not yet implemented")));
        }
        other => return Err(Fail::failed(format!("Invalid regex type ({other})"))),
    };
    let mut out = String::new();
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::str(out))
}
