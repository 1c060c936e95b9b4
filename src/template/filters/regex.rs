//! Regular expressions in Python's syntax.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use fancy_regex::{Captures, Regex};

use super::Filter::{self, Plain};
use super::convert::{spelled_flag, text_arg};
use crate::template::args::{ValueArgs, int_or, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::Value;

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
    let flags = match (ignore_case, multiline) {
        (true, true) => "(?im)",
        (true, false) => "(?i)",
        (false, true) => "(?m)",
        (false, false) => "",
    };
    let translated = format!("{flags}{}", translate(pattern, multiline));
    let regex = Regex::new(&translated)
        .map(Arc::new)
        .map_err(|e| Fail::failed(format!("invalid regular expression '{pattern}': {}", reason(&e))))?;
    // Patterns made from data could fill the cache without end.
    if cache.len() > 1000 {
        cache.clear();
    }
    cache.insert(key, regex.clone());
    Ok(regex)
}

/// Why a pattern is none, in Python's words where people look for them.
fn reason(error: &fancy_regex::Error) -> String {
    let text = error.to_string();
    match error {
        fancy_regex::Error::ParseError(place, fancy_regex::ParseError::TargetNotRepeatable) => {
            format!("nothing to repeat at position {place}")
        }
        _ => text,
    }
}

/// Turns Python's syntax into that of the library: `\Z`, a `$` that also matches before a final line break, and
/// brackets inside of classes.
fn translate(pattern: &str, multiline: bool) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    // `(?m)` in the pattern makes `$` the end of a line anyway.
    let multiline = multiline
        || pattern.starts_with("(?")
            && pattern.split(')').next().is_some_and(|f| f.contains('m') && !f.contains(':'));
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') if !in_class => out.push_str("\\z"),
                Some(d) if d.is_alphanumeric() || d.is_ascii_punctuation() => {
                    // Python takes an escaped sign for the sign; letters keep their meaning.
                    if !"\"'#@!%&,/:;<=>_`~".contains(d) {
                        out.push('\\');
                    }
                    out.push(d);
                }
                Some(d) => out.push(d),
                None => out.push('\\'),
            },
            '(' if !in_class => {
                out.push('(');
                // Python's `(?P=name)` refers back to a named group.
                let ahead: String = chars.clone().take(3).collect();
                if ahead == "?P=" {
                    let name: String = chars.by_ref().skip(3).take_while(|c| *c != ')').collect();
                    out.pop();
                    out.extend(["\\k<", &name, ">"]);
                }
            }
            '[' if in_class => out.push_str("\\["),
            '&' | '~' if in_class && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                // A bracket in first place is a plain one.
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '$' if !in_class && !multiline => out.push_str("(?=\\n?\\z)"),
            _ => out.push(c),
        }
    }
    out
}

/// Expands `\1`, `\g<1>`, `\g<name>` and escapes of a replacement.
fn expand(replacement: &str, captures: &Captures<'_, str>) -> R<String> {
    let mut out = String::new();
    let mut chars = replacement.chars().peekable();
    let group = |i: usize| captures.get(i).map_or("", |m| m.as_str()).to_string();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('g') if chars.peek() == Some(&'<') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                match name.parse::<usize>() {
                    Ok(i) if i < captures.len() => out.push_str(&group(i)),
                    Ok(i) => return Err(Fail::failed(format!("invalid group reference {i}"))),
                    Err(_) => out.push_str(captures.name(&name).map_or("", |m| m.as_str())),
                }
            }
            Some(d) if d.is_ascii_digit() => {
                let mut number = d.to_string();
                if let Some(e) = chars.peek().copied().filter(char::is_ascii_digit) {
                    chars.next();
                    number.push(e);
                }
                let i: usize = number.parse().unwrap_or(0);
                if i >= captures.len() {
                    return Err(Fail::failed(format!("invalid group reference {i}")));
                }
                out.push_str(&group(i));
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            Some(d) => {
                out.push('\\');
                out.push(d);
            }
            None => out.push('\\'),
        }
    }
    Ok(out)
}

fn gave_up(pattern: &str, e: &fancy_regex::Error) -> Box<Fail> {
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
    let mut out = String::new();
    let mut last = 0;
    let mut done = 0;
    for captures in regex.captures_iter(text.as_str()) {
        let captures = captures.map_err(|e| gave_up(&pattern, &e))?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        out.push_str(&expand(&replacement, &captures)?);
        last = whole.end();
        done += 1;
        if done == count {
            break;
        }
    }
    out.push_str(&text[last..]);
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
                (Some(name), _) => match name.parse::<usize>() {
                    Ok(i) if i < captures.len() => captures.get(i),
                    Ok(_) => return Err(Fail::failed("no such group")),
                    Err(_) => captures.name(name),
                },
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
