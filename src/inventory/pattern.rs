//! Host patterns: `web:&prod:!old`, `~regex`, globs, `web[0]`, and limits from files.

use std::collections::HashSet;
use std::path::Path;

use super::address::parse_address;
use super::model::{ALL, HostId, Inventory};
use crate::diag::Diagnostic;
use crate::value::python_regex::{self, Flags, Regex};

/// The order of a play's hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Inventory,
    ReverseInventory,
    Sorted,
    ReverseSorted,
    Shuffle,
}

/// Hosts that a pattern selected.
#[derive(Clone, Debug, Default)]
pub struct Matched {
    /// Each once, in the order of the pattern.
    pub hosts: Vec<HostId>,
    /// Parts that matched nothing.
    pub warnings: Vec<Diagnostic>,
}

/// Which of the matches a subscript selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscript {
    One(i64),
    /// First and last, both included; no last means up to the end.
    Range(usize, Option<usize>),
}

impl Order {
    /// Reads the value of `order:`.
    pub fn parse(text: &str) -> Option<Order> {
        Some(match text {
            "inventory" => Order::Inventory,
            "reverse_inventory" => Order::ReverseInventory,
            "sorted" => Order::Sorted,
            "reverse_sorted" => Order::ReverseSorted,
            "shuffle" => Order::Shuffle,
            _ => return None,
        })
    }
}

/// Splits a pattern into its parts: at commas, or else at colons that belong to no range, port or IPv6 address.
pub fn split_pattern(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if !pattern.contains([':', ' ', '[', ']']) || parse_address(pattern, true).is_some() {
        vec![pattern.to_owned()]
    } else {
        split_colons(pattern)
    };
    parts.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// Runs of anything but spaces, colons and brackets, and of complete bracketed expressions.
fn split_colons(pattern: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut current = String::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let bracketed = if c == '[' { rest.find(']').map(|end| end + 1) } else { None };
        let length = bracketed.unwrap_or(c.len_utf8());
        if bracketed.is_some() || !(c.is_whitespace() || matches!(c, ':' | '[' | ']')) {
            current.push_str(&rest[..length]);
        } else if !current.is_empty() {
            parts.push(std::mem::take(&mut current));
        }
        rest = &rest[length..];
    }
    if !current.is_empty() {
        parts.push(current);
    }
    parts
}

/// Reads a `--limit`: patterns, and `@file` for a file with one pattern on each line.
pub fn read_limit(text: &str) -> Result<Vec<String>, Diagnostic> {
    let mut patterns = Vec::new();
    for part in split_pattern(text) {
        let Some(file) = part.strip_prefix('@') else {
            patterns.push(part);
            continue;
        };
        if Path::new(file).is_dir() {
            let message = format!("The limit file `{file}` must be a file, not a directory");
            return Err(Diagnostic::error("XP0513", message));
        }
        let content = std::fs::read_to_string(Path::new(file)).map_err(|error| {
            Diagnostic::error("XP0513", format!("cannot read the limit file `{file}`: {error}"))
                .help("`@` before a limit means a file with one host on each line")
        })?;
        patterns.extend(content.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
    }
    Ok(patterns)
}

impl Inventory {
    /// Selects hosts by a pattern.
    pub fn matching(&self, pattern: &str) -> Result<Matched, Diagnostic> {
        self.matching_all(&split_pattern(pattern))
    }

    /// Selects hosts by several patterns: first those that add, then `&`, then `!`.
    pub fn matching_all(&self, patterns: &[String]) -> Result<Matched, Diagnostic> {
        let parts: Vec<&str> = patterns.iter().map(|p| p.trim()).filter(|p| !p.is_empty()).collect();
        let of = |mark: char| parts.iter().copied().filter(move |p| p.starts_with(mark));
        let mut adding: Vec<&str> = parts.iter().copied().filter(|p| !p.starts_with(['&', '!'])).collect();
        if adding.is_empty() {
            adding.push("all");
        }
        let mut warnings = Vec::new();
        let mut hosts: Vec<HostId> = Vec::new();
        let mut seen: HashSet<HostId> = HashSet::new();
        for part in adding {
            for host in self.one(part, &mut warnings)? {
                if seen.insert(host) {
                    hosts.push(host);
                }
            }
        }
        for part in of('&') {
            let those: HashSet<HostId> = self.one(&part[1..], &mut warnings)?.into_iter().collect();
            hosts.retain(|h| those.contains(h));
        }
        for part in of('!') {
            let those: HashSet<HostId> = self.one(&part[1..], &mut warnings)?.into_iter().collect();
            hosts.retain(|h| !those.contains(h));
        }
        Ok(Matched { hosts, warnings })
    }

    /// Puts hosts into the order that a play asks for.
    pub fn ordered(&self, mut hosts: Vec<HostId>, order: Order) -> Vec<HostId> {
        match order {
            Order::Inventory => {}
            Order::ReverseInventory => hosts.reverse(),
            Order::Sorted => hosts.sort_by(|a, b| self.host(*a).name.cmp(&self.host(*b).name)),
            Order::ReverseSorted => hosts.sort_by(|a, b| self.host(*b).name.cmp(&self.host(*a).name)),
            Order::Shuffle => shuffle(&mut hosts),
        }
        hosts
    }

    /// The hosts of one part without its mark.
    fn one(&self, pattern: &str, warnings: &mut Vec<Diagnostic>) -> Result<Vec<HostId>, Diagnostic> {
        if pattern.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(i) = self.hosts.get_index_of(pattern) {
            return Ok(vec![HostId(u32::try_from(i).unwrap_or(u32::MAX))]);
        }
        let (expression, subscript) = split_subscript(pattern);
        let hosts = self.enumerate(expression, warnings)?;
        let Some(subscript) = subscript.filter(|_| !hosts.is_empty()) else { return Ok(hosts) };
        let length = hosts.len();
        let range = match subscript {
            Subscript::One(index) => {
                let at = if index < 0 { length as i64 + index } else { index };
                match usize::try_from(at).ok().filter(|at| *at < length) {
                    Some(at) => at..at + 1,
                    None => {
                        return Err(Diagnostic::error(
                            "XP0514",
                            format!(
                                "the pattern `{pattern}` selects nothing: `{expression}` has {length} hosts"
                            ),
                        ));
                    }
                }
            }
            Subscript::Range(first, last) => {
                let last = last.map_or(length, |l| l.saturating_add(1)).min(length);
                first.min(last)..last
            }
        };
        Ok(hosts[range].to_vec())
    }

    fn enumerate(&self, pattern: &str, warnings: &mut Vec<Diagnostic>) -> Result<Vec<HostId>, Diagnostic> {
        if pattern == "all" {
            return Ok(self.group_hosts(ALL).to_vec());
        }
        let matcher = Matcher::new(pattern)?;
        let mut hosts: Vec<HostId> = Vec::new();
        let mut group_found = false;
        for (id, group) in self.groups() {
            if matcher.matches(&group.name) {
                group_found = true;
                hosts.extend(self.group_hosts(id).iter());
            }
        }
        if !group_found || pattern.starts_with('~') || pattern.contains(['.', '?', '*', '[']) {
            hosts.extend(self.hosts().filter(|(_, host)| matcher.matches(&host.name)).map(|(id, _)| id));
        }
        if hosts.is_empty() {
            hosts.extend(self.find_host(pattern));
        }
        if hosts.is_empty() && !group_found {
            let names: Vec<&str> = self.groups.keys().chain(self.hosts.keys()).map(|name| &**name).collect();
            warnings.push(
                Diagnostic::warning(
                    "XP0515",
                    format!("could not match supplied host pattern, ignoring: {pattern}"),
                )
                .suggest(pattern, names),
            );
        }
        Ok(hosts)
    }
}

/// Splits `web[0]`, `web[-1]`, `web[1:3]`, `web[1:]` into pattern and subscript; never for `~regex`.
fn split_subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let found = || {
        if pattern.starts_with('~') {
            return None;
        }
        let (expression, inside) = pattern.strip_suffix(']')?.rsplit_once('[')?;
        if expression.is_empty() {
            return None;
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits(inside.strip_prefix('-').unwrap_or(inside)) {
            return Some((expression, Subscript::One(inside.parse().ok()?)));
        }
        let (first, last) = inside.split_once([':', '-'])?;
        if !digits(first) || !(last.is_empty() || digits(last)) {
            return None;
        }
        // As in Ansible, a last value of 0 is no limit but the first host.
        let first: usize = first.parse().ok()?;
        let last: Option<usize> = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        if last == Some(0) {
            return Some((expression, Subscript::One(i64::try_from(first).ok()?)));
        }
        Some((expression, Subscript::Range(first, last)))
    };
    match found() {
        Some((expression, subscript)) => (expression, Some(subscript)),
        None => (pattern, None),
    }
}

/// A compiled pattern for names.
enum Matcher {
    Exact(String),
    Regex(Regex),
}

impl Matcher {
    fn new(pattern: &str) -> Result<Matcher, Diagnostic> {
        let compiled = match pattern.strip_prefix('~') {
            // Matches from the start of the name, but not to its end.
            Some(regex) => python_regex::compile(&format!("^(?:{regex})"), Flags::default()),
            None if !pattern.contains(['*', '?', '[']) => return Ok(Matcher::Exact(pattern.to_owned())),
            None => Regex::new(&glob_regex(pattern)).map_err(|e| e.to_string()),
        };
        compiled.map(Matcher::Regex).map_err(|error| {
            Diagnostic::error("XP0516", format!("the host pattern `{pattern}` cannot be read: {error}"))
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Matcher::Exact(text) => text == name,
            Matcher::Regex(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

/// Translates a shell pattern.
fn glob_regex(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let mut end = at;
                if chars.get(end) == Some(&'!') {
                    end += 1;
                }
                if chars.get(end) == Some(&']') {
                    end += 1;
                }
                while end < chars.len() && chars[end] != ']' {
                    end += 1;
                }
                if end >= chars.len() {
                    out.push_str("\\[");
                    continue;
                }
                let inside: String = chars[at..end].iter().collect();
                at = end + 1;
                out.push_str(&character_class(&inside));
            }
            c => out.push_str(&fancy_regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    out
}

/// The inside of `[...]` as a class; a range from a larger to a smaller character matches nothing.
fn character_class(inside: &str) -> String {
    let (negated, inside) = match inside.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, inside),
    };
    let chars: Vec<char> = inside.chars().collect();
    let mut class = String::new();
    let mut at = 0;
    while let Some(first) = chars.get(at).copied() {
        let escaped =
            |c: char| if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", c as u32) };
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(last)) => {
                if first <= *last {
                    class.push_str(&escaped(first));
                    class.push('-');
                    class.push_str(&escaped(*last));
                }
                at += 3;
            }
            _ => {
                class.push_str(&escaped(first));
                at += 1;
            }
        }
    }
    match (class.is_empty(), negated) {
        (true, true) => ".".to_owned(),
        (true, false) => "(?!)".to_owned(),
        (false, true) => format!("[^{class}]"),
        (false, false) => format!("[{class}]"),
    }
}

fn shuffle(hosts: &mut [HostId]) {
    let mut seed = [0u8; 8];
    // Without random numbers the order stays as it is, which is one of the possible orders.
    if getrandom::fill(&mut seed).is_err() {
        return;
    }
    let mut state = u64::from_le_bytes(seed) | 1;
    for last in (1..hosts.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = (state % (last as u64 + 1)) as usize;
        hosts.swap(last, at);
    }
}
