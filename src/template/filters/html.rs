//! Filters for HTML and URLs.

use super::Filter::{self, Plain};
use super::convert::wanted;
use crate::template::args::{ValueArgs, flag_or, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::value::{Key, Map, Value};

pub(super) const TABLE: &[(&str, Filter)] = &[
    ("e", Plain(escape)),
    ("escape", Plain(escape)),
    ("forceescape", Plain(escape)),
    ("safe", Plain(safe)),
    ("striptags", Plain(striptags)),
    ("urldecode", Plain(urldecode)),
    ("urlencode", Plain(urlencode)),
    ("urlize", Plain(urlize)),
    ("urlsplit", Plain(urlsplit)),
    ("xmlattr", Plain(xmlattr)),
];

/// Returns text with what HTML and XML give a meaning written as entities.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

fn escape(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(escape_html(&v.to_text())))
}

fn safe(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(v.to_text()))
}

fn striptags(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let text = v.to_text();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let close = if rest[start..].starts_with("<!--") {
            rest[start..].find("-->").map(|i| i + 3)
        } else {
            rest[start..].find('>').map(|i| i + 1)
        };
        match close {
            Some(len) => rest = &rest[start + len..],
            None => {
                out.push_str(&rest[start..]);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\""), ("&amp;", "&")];
    let mut text = words.join(" ");
    for (entity, plain) in entities {
        text = text.replace(entity, plain);
    }
    Ok(Value::str(text))
}

/// Percent-encodes bytes outside of the unreserved set and `safe`.
pub(super) fn percent_encode(text: &str, safe: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for b in text.bytes() {
        let c = char::from(b);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (b < 0x80 && safe.contains(c)) {
            out.push(c);
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

fn urlencode(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    let query = |text: &str| percent_encode(text, "").replace("%20", "+");
    let pair = |k: &str, v: &Value| format!("{}={}", query(k), query(&v.to_text()));
    Ok(Value::str(match &v {
        Value::Map(map) => {
            map.iter().map(|(k, v)| pair(&k.to_value().to_text(), v)).collect::<Vec<_>>().join("&")
        }
        Value::List(items) => {
            let mut pairs = Vec::new();
            for item in items.iter() {
                match item.as_list() {
                    Some([k, v]) => pairs.push(pair(&k.to_text(), v)),
                    _ => return Err(wanted("pairs", item)),
                }
            }
            pairs.join("&")
        }
        other => percent_encode(&other.to_text(), "/"),
    }))
}

pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[i], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(b)) => {
                out.push(b);
                i += 3;
            }
            (b, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn urldecode(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    args.bind([])?;
    Ok(Value::str(percent_decode(&v.to_text().replace('+', " "))))
}

fn urlize(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [_, nofollow, target, rel, _] =
        args.bind(["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"])?;
    let mut rels = vec!["noopener".to_string()];
    if flag_or(nofollow, false) {
        rels.insert(0, "nofollow".to_string());
    }
    rels.extend(rel.filter(|r| !r.is_null()).map(|r| r.to_text()));
    rels.sort();
    let target = target
        .filter(|t| !t.is_null())
        .map_or(String::new(), |t| format!(" target=\"{}\"", escape_html(&t.to_text())));
    let text = v.to_text();
    let linked: Vec<String> = text
        .split(' ')
        .map(|word| {
            let shown = escape_html(word);
            if word.starts_with("http://") || word.starts_with("https://") {
                format!("<a href=\"{shown}\" rel=\"{}\"{target}>{shown}</a>", rels.join(" "))
            } else {
                shown
            }
        })
        .collect();
    Ok(Value::str(linked.join(" ")))
}

/// The parts of a URL as Python's `urlsplit` gives them.
pub(in crate::template) fn split_url(url: &str) -> Map {
    let (mut scheme, mut rest) = ("", url);
    if let Some((s, r)) = url.split_once(':')
        && s.starts_with(|c: char| c.is_ascii_alphabetic())
        && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        (scheme, rest) = (s, r);
    }
    let mut netloc = "";
    if let Some(r) = rest.strip_prefix("//") {
        let end = r.find(['/', '?', '#']).unwrap_or(r.len());
        (netloc, rest) = r.split_at(end);
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user_info, host_port) = netloc.rsplit_once('@').map_or((None, netloc), |(u, h)| (Some(u), h));
    let (username, password) = match user_info {
        Some(info) => match info.split_once(':') {
            Some((u, p)) => (Some(u), Some(p)),
            None => (Some(info), None),
        },
        None => (None, None),
    };
    let (host, port) = match host_port.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => host_port.split_once(':').map_or((host_port, None), |(h, p)| (h, Some(p))),
    };
    let optional = |t: Option<&str>| t.map_or(Value::Null, Value::str);
    Map::from_iter([
        ("fragment", Value::str(fragment)),
        ("hostname", optional(Some(&*host.to_lowercase()).filter(|h| !h.is_empty()))),
        ("netloc", Value::str(netloc)),
        ("password", optional(password)),
        ("path", Value::str(path)),
        ("port", port.and_then(|p| p.parse::<i128>().ok()).map_or(Value::Null, Value::Int)),
        ("query", Value::str(query)),
        ("scheme", Value::str(scheme.to_lowercase())),
        ("username", optional(username)),
    ])
}

fn urlsplit(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [query] = args.bind(["query"])?;
    let parts = split_url(&v.to_text());
    let part = text_or(query, "");
    if part.is_empty() {
        return Ok(Value::map(parts));
    }
    parts.get(&part).cloned().ok_or_else(|| Fail::failed(format!("unknown URL component: {part}")))
}

fn xmlattr(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [autospace] = args.bind(["autospace"])?;
    let Value::Map(map) = &v else { return Err(wanted("a dict", &v)) };
    let mut parts = Vec::new();
    for (key, value) in map.iter().filter(|(_, v)| !v.is_null()) {
        let name = key_text(key);
        if name.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(Fail::failed(format!("Invalid character in attribute name: {name:?}")));
        }
        parts.push(format!("{}=\"{}\"", escape_html(&name), escape_html(&value.to_text())));
    }
    let text = parts.join(" ");
    Ok(Value::str(if flag_or(autospace, true) && !text.is_empty() { format!(" {text}") } else { text }))
}

fn key_text(key: &Key) -> String {
    key.to_value().to_text()
}
