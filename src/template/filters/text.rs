//! Filters over texts.

use super::Filter::{self, Plain, Raw};
use super::convert::{text_arg, wanted};
use crate::template::args::{VArgs, ValueArgs, flag_or, int_or, size_or, text_or};
use crate::template::error::{Fail, R, RenderErrorKind};
use crate::template::interp::Interp;
use crate::template::methods;
use crate::template::python_format;
use crate::template::runtime::{V, holds_secret, make_secret, text_of};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("capitalize", Plain(capitalize)),
    ("center", Plain(center)),
    ("comment", Plain(comment)),
    ("format", Raw(format)),
    ("indent", Plain(indent)),
    ("lower", Plain(lower)),
    ("pprint", Plain(pprint)),
    ("quote", Plain(quote)),
    ("replace", Plain(replace)),
    ("split", Plain(split)),
    ("title", Plain(title)),
    ("trim", Plain(trim)),
    ("truncate", Plain(truncate)),
    ("upper", Plain(upper)),
    ("wordcount", Plain(wordcount)),
    ("wordwrap", Plain(wordwrap)),
    ("splitlines", Raw(splitlines)),
];

fn capitalize(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(methods::capitalize(&v.to_text())))
}

fn lower(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(v.to_text().to_lowercase()))
}

fn upper(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(v.to_text().to_uppercase()))
}

fn center(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [width] = args.bind(["width"])?;
    Ok(Value::str(methods::center(&v.to_text(), size_or(width, "width", 80)?)))
}

/// Jinja2 begins words after white space, hyphens and opening brackets.
fn title(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let mut out = String::new();
    let mut inside = false;
    for c in v.to_text().chars() {
        let breaks = c.is_whitespace() || "-({[<".contains(c);
        if breaks {
            out.push(c);
        } else if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = !breaks;
    }
    Ok(Value::str(out))
}

fn trim(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [chars] = args.bind(["chars"])?;
    Ok(Value::str(methods::strip(&v.to_text(), chars.as_ref().filter(|c| !c.is_null()), true, true)))
}

fn replace(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [old, new, count] = args.bind(["old", "new", "count"])?;
    let count = match count {
        None | Some(Value::Null) => -1,
        some => int_or(some, "count", -1)?,
    };
    Ok(Value::str(methods::replace(&v.to_text(), &text_arg(old, "old")?, &text_arg(new, "new")?, count)))
}

fn split(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let text = text_of(&v).ok_or_else(|| wanted("a string", &v))?;
    match methods::text_call(text, "split", args)? {
        V::List(items) => Ok(Value::list(
            items
                .borrow()
                .iter()
                .map(|x| match x {
                    V::Val(v) => v.clone(),
                    _ => Value::Null,
                })
                .collect(),
        )),
        _ => Ok(Value::Null),
    }
}

fn splitlines(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    methods::call(interp, &v, &"splitlines".into(), args)
}

/// `%r` shows what is undefined, as Python shows any object; everywhere else it is a mistake.
fn format(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    const MARK: &str = "\u{1}undefined ";
    let mut undefined = Vec::new();
    let mut pos = Vec::with_capacity(args.pos.len());
    for arg in args.pos {
        match arg {
            V::Undef(u) => {
                pos.push(V::str(format!("{MARK}{}\u{1}", undefined.len())));
                undefined.push(u);
            }
            arg => pos.push(arg),
        }
    }
    let args = interp.value_args(VArgs { pos, named: args.named })?;
    let text = interp.value(&v)?;
    if let Some(u) = [&text].into_iter().chain(&args.pos).find_map(Value::find_unknown) {
        return Ok(V::unknown(u));
    }
    let secret = [&text].into_iter().chain(&args.pos).any(holds_secret);
    let mut out = formatted(&text, args)?.to_text();
    for (number, u) in undefined.iter().enumerate() {
        let mark = format!("{MARK}{number}\u{1}");
        let name = match &u.fail.kind {
            RenderErrorKind::Undefined { name } => name.as_str(),
            _ => "",
        };
        let shown = format!("AnsibleUndefined(hint=None, obj=missing, name={})", Value::str(name).repr());
        out = out.replace(&Value::str(mark.as_str()).repr(), &shown);
        if out.contains(&mark) {
            return Err(u.fail.clone());
        }
    }
    let out = Value::str(out);
    Ok(V::Val(if secret { make_secret(out) } else { out }))
}

fn formatted(v: &Value, args: ValueArgs) -> R<Value> {
    if !args.pos.is_empty() && !args.named.is_empty() {
        return Err(Fail::failed("can't handle positional and keyword arguments at the same time"));
    }
    let named = !args.named.is_empty();
    let pos = args.pos.clone();
    let map = Value::map(args.named_map());
    let text = v.to_text();
    let out = if named {
        python_format::percent(&text, None, &map)
    } else {
        python_format::percent(&text, Some(&pos), &Value::Null)
    };
    out.map(Value::str)
}

fn indent(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [width, first, blank] = args.bind(["width", "first", "blank"])?;
    let pad = match width {
        Some(Value::Str(s)) => s.to_string(),
        other => " ".repeat(size_or(other, "width", 4)?),
    };
    let (first, blank) = (flag_or(first, false), flag_or(blank, false));
    let text = v.to_text() + "\n";
    let lines = methods::lines(&text, false);
    let mut out = String::new();
    if blank {
        out = lines.join(&format!("\n{pad}"));
    } else {
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&pad);
                }
            }
            out.push_str(line);
        }
    }
    if first {
        out = pad + &out;
    }
    Ok(Value::str(out))
}

fn truncate(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [length, killwords, end, leeway] = args.bind(["length", "killwords", "end", "leeway"])?;
    let length = size_or(length, "length", 255)?;
    let end = text_or(end, "...");
    let leeway = size_or(leeway, "leeway", 5)?;
    let text = v.to_text();
    let chars: Vec<char> = text.chars().collect();
    let end_len = end.chars().count();
    if length < end_len {
        return Err(Fail::failed(format!("expected length >= {end_len}, got {length}")));
    }
    if chars.len() <= length + leeway {
        return Ok(Value::str(text));
    }
    let head: String = chars[..length - end_len].iter().collect();
    if flag_or(killwords, false) {
        return Ok(Value::str(head + &end));
    }
    let head = head.rsplit_once(' ').map_or(head.as_str(), |(a, _)| a);
    Ok(Value::str(format!("{head}{end}")))
}

fn wordcount(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let text = v.to_text();
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count();
    Ok(Value::from(words))
}

fn wordwrap(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [width, break_long, with, on_hyphens] =
        args.bind(["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = size_or(width, "width", 79)?.max(1);
    let break_long = flag_or(break_long, true);
    let on_hyphens = flag_or(on_hyphens, true);
    let with = text_or(with, "\n");
    let text = v.to_text();
    let wrapped: Vec<String> = methods::lines(&text, false)
        .iter()
        .map(|line| wrap_line(line, width, break_long, on_hyphens).join(&with))
        .collect();
    Ok(Value::str(wrapped.join(&with)))
}

/// Python's `textwrap.wrap` without replacing white space.
fn wrap_line(line: &str, width: usize, break_long: bool, on_hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for c in line.chars() {
        let space = c.is_whitespace();
        match chunks.last_mut() {
            Some(last)
                if last.chars().all(char::is_whitespace) == space
                    && !(on_hyphens && !space && last.len() > 1 && last.ends_with('-')) =>
            {
                last.push(c);
            }
            _ => chunks.push(c.to_string()),
        }
    }
    chunks.reverse();
    let mut lines = Vec::new();
    while let Some(next) = chunks.last() {
        if !lines.is_empty() && next.trim().is_empty() {
            chunks.pop();
            continue;
        }
        let mut current = String::new();
        let mut len = 0;
        while let Some(chunk) = chunks.last() {
            let n = chunk.chars().count();
            if len + n > width {
                break;
            }
            len += n;
            current.push_str(chunk);
            chunks.pop();
        }
        if let Some(chunk) = chunks.last().filter(|c| c.chars().count() > width).cloned() {
            if break_long {
                let room = width - len;
                let head: String = chunk.chars().take(room).collect();
                let tail: String = chunk.chars().skip(room).collect();
                current.push_str(&head);
                chunks.pop();
                chunks.push(tail);
            } else if current.is_empty() {
                current = chunk;
                chunks.pop();
            }
        }
        let current = current.trim_end();
        if current.is_empty() && chunks.is_empty() {
            break;
        }
        lines.push(current.to_string());
    }
    lines
}

fn pprint(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let mut out = String::new();
    pretty(&v, 0, 0, &mut out);
    Ok(Value::str(out))
}

/// Python's `pprint.pformat`: one line where 80 columns suffice, else a member per line; keys sorted.
fn pretty(v: &Value, indent: usize, allowance: usize, out: &mut String) {
    let sorted = sort_keys(v);
    let flat = sorted.repr();
    let room = 80usize.saturating_sub(indent + allowance);
    if flat.chars().count() <= room {
        out.push_str(&flat);
        return;
    }
    let newline = |out: &mut String| {
        out.push_str(",\n");
        out.push_str(&" ".repeat(indent + 1));
    };
    match &sorted {
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    newline(out);
                }
                let last = i + 1 == items.len();
                pretty(item, indent + 1, if last { allowance + 1 } else { 1 }, out);
            }
            out.push(']');
        }
        Value::Map(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    newline(out);
                }
                let key = key.to_value().repr();
                out.push_str(&key);
                out.push_str(": ");
                let last = i + 1 == map.len();
                pretty(item, indent + key.chars().count() + 3, if last { allowance + 1 } else { 1 }, out);
            }
            out.push('}');
        }
        _ => out.push_str(&flat),
    }
}

/// Returns the value with the keys of all maps in order.
pub(super) fn sort_keys(v: &Value) -> Value {
    match v {
        Value::List(items) => Value::list(items.iter().map(sort_keys).collect()),
        Value::Map(map) => {
            let mut members: Vec<_> = map.iter().map(|(k, v)| (k.clone(), sort_keys(v))).collect();
            members.sort_by(|(a, _), (b, _)| {
                let (a, b) = (a.to_value(), b.to_value());
                crate::template::ops::order(&a, &b).flatten().unwrap_or_else(|| a.to_text().cmp(&b.to_text()))
            });
            Value::map(members.into_iter().collect())
        }
        other => other.clone(),
    }
}

/// Quotes for a POSIX shell as Python's `shlex.quote` does.
fn quote(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let text = if v.is_null() { String::new() } else { v.to_text() };
    let safe =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c));
    Ok(Value::str(if safe { text } else { format!("'{}'", text.replace('\'', "'\"'\"'")) }))
}

/// Ansible's `comment`: text as a comment block in one of some styles.
fn comment(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let mut args = args;
    let style = args.take("style");
    let style = match (args.pos.first(), style) {
        (Some(s), _) => s.to_text(),
        (None, Some(s)) => s.to_text(),
        (None, None) => "plain".to_string(),
    };
    args.pos.clear();
    let [newline, beginning, prefix, prefix_count, decoration, postfix, postfix_count, end] = args.bind([
        "newline",
        "beginning",
        "prefix",
        "prefix_count",
        "decoration",
        "postfix",
        "postfix_count",
        "end",
    ])?;
    let (d_begin, d_decoration, d_end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(Fail::failed(format!("Invalid style '{other}'"))),
    };
    let decoration = text_or(decoration, d_decoration);
    let beginning = text_or(beginning, d_begin);
    let end = text_or(end, d_end);
    let newline = text_or(newline, "\n");
    let trimmed = decoration.trim_end().to_string();
    let prefix = prefix.map_or(trimmed.clone(), |p| p.to_text());
    let postfix = postfix.map_or(trimmed.clone(), |p| p.to_text());
    let prefix_count = size_or(prefix_count, "prefix_count", 1)?.min(10_000);
    let postfix_count = size_or(postfix_count, "postfix_count", 1)?.min(10_000);
    let mut out = String::new();
    if !beginning.is_empty() {
        out = format!("{beginning}{newline}");
    }
    if !prefix.is_empty() {
        let line = if prefix == newline { prefix } else { format!("{prefix}{newline}") };
        out.push_str(&line.repeat(prefix_count));
    }
    let text = v.to_text();
    let mut lines: Vec<String> = text.split(&*newline).map(|line| format!("{decoration}{line}")).collect();
    // Only an empty line with another one behind it loses the blanks of the decoration.
    let last = lines.len() - 1;
    for line in &mut lines[..last] {
        if *line == decoration {
            line.clone_from(&trimmed);
        }
    }
    out.push_str(&lines.join(&newline));
    for _ in 0..postfix_count {
        out.push_str(&newline);
        out.push_str(&postfix);
    }
    if !end.is_empty() {
        out.push_str(&newline);
        out.push_str(&end);
    }
    Ok(Value::str(out))
}
