//! Comparing versions: `is version('1.2', '>=')`.

use std::cmp::Ordering;

use super::args::{ValueArgs, flag_or, need, text_or};
use super::error::{Fail, R};
use super::interp::Interp;
use crate::value::Value;

/// The test `version`.
pub(super) fn test(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [version, operator, strict, kind] = args.bind(["version", "operator", "strict", "version_type"])?;
    let operator = text_or(operator, "eq");
    let strict = strict.filter(|s| !s.is_null());
    if strict.is_some() && kind.as_ref().is_some_and(|k| !k.is_null()) {
        return Err(Fail::failed("cannot specify both 'strict' and 'version_type'"));
    }
    let kind = if flag_or(strict, false) { "strict".to_string() } else { text_or(kind, "loose") };
    let (a, b) = (v.to_text(), need(version, "version")?.to_text());
    if a.is_empty() {
        return Err(Fail::failed("input version value cannot be empty"));
    }
    if b.is_empty() {
        return Err(Fail::failed("version parameter to compare against cannot be empty"));
    }
    let ordering = match kind.as_str() {
        "loose" => loose(&a, &b)?,
        "strict" => strict_key(&a)?.cmp(&strict_key(&b)?),
        "semver" | "semantic" => semver_order(&semver(&a)?, &semver(&b)?),
        "pep440" => pep440(&a)?.cmp(&pep440(&b)?),
        other => {
            return Err(Fail::failed(format!(
                "Invalid version type '{other}': loose, strict, semver, semantic, pep440"
            )));
        }
    };
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => ordering == Ordering::Equal,
        "!=" | "<>" | "ne" => ordering != Ordering::Equal,
        "<" | "lt" => ordering == Ordering::Less,
        "<=" | "le" => ordering != Ordering::Greater,
        ">" | "gt" => ordering == Ordering::Greater,
        ">=" | "ge" => ordering != Ordering::Less,
        other => return Err(Fail::failed(format!("Invalid operator type ({other})"))),
    })
}

#[derive(Debug, PartialEq)]
enum Part {
    Number(u128),
    Word(String),
}

/// Numbers and words, split as `distutils` did.
fn loose_parts(text: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = if c.is_ascii_digit() {
            rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
        } else if c.is_ascii_lowercase() {
            rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len())
        } else if c == '.' {
            rest = &rest[1..];
            continue;
        } else {
            rest.find(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || c == '.')
                .unwrap_or(rest.len())
        };
        let (part, tail) = rest.split_at(end);
        out.push(part.parse().map_or_else(|_| Part::Word(part.to_string()), Part::Number));
        rest = tail;
    }
    out
}

fn loose(a: &str, b: &str) -> R<Ordering> {
    let (x, y) = (loose_parts(a), loose_parts(b));
    for (p, q) in x.iter().zip(&y) {
        let ordering = match (p, q) {
            (Part::Number(p), Part::Number(q)) => p.cmp(q),
            (Part::Word(p), Part::Word(q)) => p.cmp(q),
            _ => {
                return Err(Fail::failed(format!(
                    "Version comparison failed: '{a}' and '{b}' have a number and a word at the same place"
                )));
            }
        };
        if ordering != Ordering::Equal {
            return Ok(ordering);
        }
    }
    Ok(x.len().cmp(&y.len()))
}

type StrictKey = (u128, u128, u128, Option<(u8, u128)>);

/// `1.2`, `1.2.3`, `1.2a1`: the last with a pre-release that sorts before the release.
fn strict_key(text: &str) -> R<StrictKeyOrder> {
    let bad = || Fail::failed(format!("Version comparison failed: invalid version number '{text}'"));
    let end = text.find(['a', 'b']).unwrap_or(text.len());
    let (numbers, pre) = text.split_at(end);
    let parts: Vec<u128> = numbers.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
    if !(2..=3).contains(&parts.len()) {
        return Err(bad());
    }
    let pre = match pre.chars().next() {
        None => None,
        Some(c) => Some((c as u8, pre[1..].parse().map_err(|_| bad())?)),
    };
    let key: StrictKey = (parts[0], parts[1], parts.get(2).copied().unwrap_or(0), pre);
    Ok(StrictKeyOrder(key))
}

#[derive(PartialEq, Eq)]
struct StrictKeyOrder(StrictKey);

impl Ord for StrictKeyOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)).then_with(|| match (a.3, b.3) {
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(x), Some(y)) => x.cmp(&y),
        })
    }
}

impl PartialOrd for StrictKeyOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Semver {
    numbers: [u128; 3],
    pre: Vec<String>,
}

fn semver(text: &str) -> R<Semver> {
    let bad = || Fail::failed(format!("Version comparison failed: invalid semantic version '{text}'"));
    let version = text.split_once('+').map_or(text, |(v, _)| v);
    let (numbers, pre) = version.split_once('-').map_or((version, None), |(n, p)| (n, Some(p)));
    let parts: Vec<&str> = numbers.split('.').collect();
    let [a, b, c] = parts.as_slice() else { return Err(bad()) };
    let number = |t: &str| {
        if t.len() > 1 && t.starts_with('0') { Err(bad()) } else { t.parse::<u128>().map_err(|_| bad()) }
    };
    let pre: Vec<String> = pre.map(|p| p.split('.').map(str::to_string).collect()).unwrap_or_default();
    if pre.iter().any(|p| p.is_empty() || !p.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
        return Err(bad());
    }
    Ok(Semver { numbers: [number(a)?, number(b)?, number(c)?], pre })
}

fn semver_order(a: &Semver, b: &Semver) -> Ordering {
    a.numbers.cmp(&b.numbers).then_with(|| {
        match (a.pre.is_empty(), b.pre.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            _ => {}
        }
        for (p, q) in a.pre.iter().zip(&b.pre) {
            let ordering = match (p.parse::<u128>(), q.parse::<u128>()) {
                (Ok(p), Ok(q)) => p.cmp(&q),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                _ => p.cmp(q),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        a.pre.len().cmp(&b.pre.len())
    })
}

type Pep440 = (u128, Vec<u128>, i8, u128, i128, i128);

/// Epoch, release, phase, phase number, post, dev: enough to order what packages use.
fn pep440(text: &str) -> R<Pep440> {
    let bad = || Fail::failed(format!("Version comparison failed: invalid version '{text}'"));
    let lower = text.trim().to_lowercase();
    let lower = lower.strip_prefix('v').unwrap_or(&lower);
    let lower = lower.split_once('+').map_or(lower, |(v, _)| v);
    let (epoch, rest) = lower.split_once('!').map_or(("0", lower), |(e, r)| (e, r));
    let epoch = epoch.parse().map_err(|_| bad())?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (numbers, mut tail) = rest.split_at(end);
    let mut release: Vec<u128> = numbers
        .trim_end_matches('.')
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| bad())?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut phase, mut phase_number, mut post, mut dev) = (0, 0, -1, i128::MAX);
    while !tail.is_empty() {
        tail = tail.trim_start_matches(['.', '-', '_']);
        let word_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (word, after) = tail.split_at(word_end);
        let after = after.trim_start_matches(['.', '-', '_']);
        let digits_end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (digits, after) = after.split_at(digits_end);
        let number: u128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| bad())? };
        match word {
            "a" | "alpha" => (phase, phase_number) = (-3, number),
            "b" | "beta" => (phase, phase_number) = (-2, number),
            "rc" | "c" | "pre" | "preview" => (phase, phase_number) = (-1, number),
            "post" | "rev" | "r" | "" => post = number as i128,
            "dev" => dev = number as i128,
            _ => return Err(bad()),
        }
        if word.is_empty() && digits.is_empty() {
            return Err(bad());
        }
        tail = after;
    }
    // A development release without a phase comes before every pre-release.
    if dev != i128::MAX && phase == 0 && post == -1 {
        phase = -4;
    }
    Ok((epoch, release, phase, phase_number, post, dev))
}
