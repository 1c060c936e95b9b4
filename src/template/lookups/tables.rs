//! Lookups in ini and csv files.

use super::{Call, Lookup};
use crate::template::args::flag_or;
use crate::template::error::{Fail, R};
use crate::template::filters::regex::{MatchMode, matches};
use crate::template::filters::to_bool;
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::value::{Value, charset};

pub(super) const TABLE: &[(&str, Lookup)] = &[("csvfile", csvfile), ("ini", ini)];

/// Takes `key=value` words out of a term: the old way to give options.
fn inline_options(term: &str) -> (String, Vec<(String, String)>) {
    let mut words = Vec::new();
    let mut options = Vec::new();
    for word in term.split_whitespace() {
        match word.split_once('=') {
            Some((key, value)) => options.push((key.to_string(), value.to_string())),
            _ => words.push(word),
        }
    }
    (words.join(" "), options)
}

/// Splits a term at spaces outside of quotes: `key=value` words, whose quotes go, and the others as they are.
fn quoted_options(term: &str) -> (String, Vec<(String, String)>) {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in term.chars() {
        if quote.is_none() && c.is_whitespace() {
            words.push(String::new());
            continue;
        }
        if matches!(c, '"' | '\'') {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let mut plain = Vec::new();
    let mut options = Vec::new();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some((key, value)) => {
                let bare = ['"', '\'']
                    .iter()
                    .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))
                    .unwrap_or(value);
                options.push((key.to_string(), bare.to_string()));
            }
            None => plain.push(word),
        }
    }
    (plain.join(" "), options)
}

fn load(interp: &mut Interp<'_>, name: &str, encoding: &str) -> R<String> {
    let Some(path) = interp.scope.search().find("files", name) else {
        return Err(Fail::failed(format!("unable to find '{name}': No such file or directory")));
    };
    let bytes =
        std::fs::read(&path).map_err(|e| Fail::failed(format!("cannot read '{}': {e}", path.display())))?;
    charset::decode(encoding, &bytes)
        .map_err(|e| Fail::failed(format!("cannot read '{}': {e}", path.display())))
}

fn ini(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let text = |v: Option<Value>, default: &str| v.map_or(default.to_string(), |v| v.to_text());
    let kind = text(call.option(interp, "type")?, "ini");
    let file = text(call.option(interp, "file")?, "ansible.ini");
    let section = text(call.option(interp, "section")?, "global");
    let default = text(call.option(interp, "default")?, "");
    let regex = flag_or(call.option(interp, "re")?, false);
    let mixed_case = flag_or(call.option(interp, "case_sensitive")?, false);
    let encoding = text(call.option(interp, "encoding")?, "utf-8");
    let interpolation = flag_or(call.option(interp, "interpolation")?, true);
    let bare = match call.option(interp, "allow_no_value")? {
        Some(flag) => flag_or(Some(flag), false),
        None => flag_or(call.option(interp, "allow_none")?, false),
    };
    let mut out = Vec::new();
    for term in call.texts(interp)? {
        let (key, options) = inline_options(&term);
        if let Some((name, _)) = options.iter().find(|(name, _)| !INI_OPTIONS.contains(&name.as_str())) {
            return Err(Fail::failed(format!("{name} is not a valid option.")));
        }
        if key.is_empty() && !options.is_empty() {
            return Err(Fail::failed(format!(
                "No key to lookup was provided as first term with in string inline options: {term}"
            )));
        }
        let get = |name: &str, default: &str| {
            options.iter().find(|(k, _)| k == name).map_or(default.to_string(), |(_, v)| v.clone())
        };
        let (file, section, default) =
            (get("file", &file), get("section", &section), get("default", &default));
        let properties = get("type", &kind) == "properties";
        let content = load(interp, &file, &get("encoding", &encoding))?;
        let parsed = Ini::parse(&content, &file, properties, mixed_case)?;
        if !bare && let Some(line) = parsed.bare {
            return Err(Fail::failed(format!(
                "Source contains parsing errors: '{file}' [line {line}]: no value"
            )));
        }
        let section = if properties { String::new() } else { section };
        if !parsed.sections.contains(&section) {
            return Err(Fail::failed(format!("No section '{section}' in {file}")));
        }
        let key = if mixed_case { key } else { key.to_lowercase() };
        let mut values = Vec::new();
        if regex || to_bool(&Value::str(get("re", "false"))) == Some(true) {
            for entry in parsed.entries.iter().filter(|entry| entry.section == section) {
                if matches(&key, &entry.key, MatchMode::Start, false, false)? {
                    values.push(entry.value.clone());
                }
            }
        } else {
            let found = parsed.find(&section, &key);
            values.push(found.map_or(Some(default), |entry| entry.value.clone()));
        }
        for value in values.into_iter().flatten() {
            let value = if interpolation { parsed.interpolated(&section, value, 0)? } else { value };
            out.push(V::str(value));
        }
    }
    Ok(out)
}

const INI_OPTIONS: [&str; 10] = [
    "type",
    "file",
    "section",
    "default",
    "re",
    "case_sensitive",
    "encoding",
    "interpolation",
    "allow_no_value",
    "allow_none",
];

/// Values that may refer to one another, one in the other.
const DEEPEST: usize = 10;

/// An ini file as Python's configparser reads it.
struct Ini {
    sections: Vec<String>,
    entries: Vec<Entry>,
    /// The first line with a key and no value.
    bare: Option<usize>,
}

struct Entry {
    section: String,
    key: String,
    value: Option<String>,
}

impl Ini {
    fn parse(text: &str, file: &str, properties: bool, mixed_case: bool) -> R<Self> {
        let mut ini = Ini { sections: Vec::new(), entries: Vec::new(), bare: None };
        let mut section = String::new();
        if properties {
            ini.sections.push(String::new());
        }
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[').and_then(|t| t.strip_suffix(']'))
                && !properties
            {
                section = name.to_string();
                ini.sections.push(section.clone());
                continue;
            }
            // An indented line continues the value above.
            if line.starts_with([' ', '\t'])
                && let Some(value) = ini.entries.last_mut().and_then(|entry| entry.value.as_mut())
            {
                value.push('\n');
                value.push_str(trimmed);
                continue;
            }
            let (key, value) = match trimmed.find(['=', ':']) {
                Some(i) => (trimmed[..i].trim(), Some(trimmed[i + 1..].trim().to_string())),
                None => (trimmed, None),
            };
            if value.is_none() {
                ini.bare = ini.bare.or(Some(number + 1));
            }
            let key = if mixed_case { key.to_string() } else { key.to_lowercase() };
            if ini.find(&section, &key).is_some() {
                return Err(Fail::failed(format!(
                    "Duplicate option in '{file}': While reading from '<???>' [line {}]: option '{key}' in section \
                     '{section}' already exists",
                    number + 1
                )));
            }
            ini.entries.push(Entry { section: section.clone(), key, value });
        }
        Ok(ini)
    }

    fn find(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.section == section && entry.key == key)
    }

    /// Replaces `%(key)s` by what the key has in the same section, `%%` by a percent sign.
    fn interpolated(&self, section: &str, value: String, depth: usize) -> R<String> {
        if !value.contains('%') {
            return Ok(value);
        }
        if depth > DEEPEST {
            return Err(Fail::failed(format!("values refer to one another without end: {value}")));
        }
        let mut out = String::new();
        let mut rest = value.as_str();
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let reference = rest.strip_prefix('(').and_then(|rest| rest.split_once(")s"));
            let Some((name, after)) = reference else {
                return Err(Fail::failed(format!("'%' must be followed by '%' or '(', found: '%{rest}'")));
            };
            let found = self.find(section, &name.to_lowercase()).or_else(|| self.find(section, name));
            let Some(found) = found.and_then(|entry| entry.value.clone()) else {
                return Err(Fail::failed(format!("bad value substitution: '{name}' is not there: {value}")));
            };
            out.push_str(&self.interpolated(section, found, depth + 1)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn csvfile(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let text = |v: Option<Value>, default: &str| v.map_or(default.to_string(), |v| v.to_text());
    let file = text(call.option(interp, "file")?, "ansible.csv");
    let delimiter = text(call.option(interp, "delimiter")?, "TAB");
    let column = text(call.option(interp, "col")?, "1");
    let key_column = text(call.option(interp, "keycol")?, "0");
    let default = call.option(interp, "default")?;
    let encoding = text(call.option(interp, "encoding")?, "utf-8");
    let mut out = Vec::new();
    let terms = call.texts(interp)?;
    let no_key = || Fail::failed("Search key is required but was not found");
    if terms.is_empty() {
        return Err(no_key());
    }
    for term in terms {
        let (key, options) = quoted_options(&term);
        if key.is_empty() {
            return Err(no_key());
        }
        let known = ["file", "delimiter", "col", "keycol", "default", "encoding"];
        if let Some((name, _)) = options.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            return Err(Fail::failed(format!("{name} is not a valid option")));
        }
        let default = match options.iter().find(|(name, _)| name == "default") {
            Some((_, text)) => Some(Value::str(text.as_str())),
            None => default.clone(),
        };
        let get = |name: &str, default: &str| {
            options.iter().find(|(k, _)| k == name).map_or(default.to_string(), |(_, v)| v.clone())
        };
        let delimiter = match get("delimiter", &delimiter).as_str() {
            "TAB" | "\\t" => '\t',
            other => other.chars().next().unwrap_or(','),
        };
        let number = |name: &str, text: String| {
            text.parse::<usize>()
                .map_err(|_| Fail::failed(format!("'{name}' must be a number, not '{text}'")))
        };
        let key_column = number("keycol", get("keycol", &key_column))?;
        let content = load(interp, &get("file", &file), &get("encoding", &encoding))?;
        let row =
            content.lines().map(|l| split_row(l, delimiter)).find(|row| row.get(key_column) == Some(&key));
        match row {
            Some(row) => {
                // Only a row that is there asks for its column, as in Ansible.
                let column = number("col", get("col", &column))?;
                match row.get(column) {
                    Some(cell) => out.push(V::str(cell.as_str())),
                    None => return Err(Fail::failed(format!("the row of '{key}' has no column {column}"))),
                }
            }
            None => match default {
                Some(Value::List(items)) => out.extend(items.iter().cloned().map(V::Val)),
                other => out.extend(other.map(V::Val)),
            },
        }
    }
    Ok(out)
}

/// Splits a line of a csv file; quotes protect the delimiter.
fn split_row(line: &str, delimiter: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(cell) = out.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => out.push(String::new()),
            c => cell.push(c),
        }
    }
    out
}
