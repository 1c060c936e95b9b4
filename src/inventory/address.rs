//! Host names with ports and ranges: `node[01:10:2].example.com:2222`.

use std::sync::LazyLock;

use fancy_regex::Regex;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern that the tests use")
}

static BRACKETED: LazyLock<Regex> = LazyLock::new(|| regex(r"^\[(.+)\]:([0-9]+)$"));
static HOST_PORT: LazyLock<Regex> = LazyLock::new(|| regex(r"^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$"));
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    let range = r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]";
    let label = format!(r"(?:\w|{range})(?:[\w_-]|{range})*(?<![_-])");
    regex(&format!(r"(?i)^{label}(?:\.{label})*$"))
});
static IPV4: LazyLock<Regex> = LazyLock::new(|| {
    let part = r"(?:[01]?[0-9]{1,2}|2[0-4][0-9]|25[0-5]|\[(?:[0-9]+:[0-9]+)(?::[0-9]+)?\])";
    regex(&format!(r"(?i)^(?:{part}\.){{3}}{part}$"))
});
static IPV6: LazyLock<Regex> = LazyLock::new(|| {
    let p = r"(?:[0-9a-f]{1,4}|\[(?:[0-9a-f]+:[0-9a-f]+)(?::[0-9]+)?\])";
    regex(&format!(
        "(?i)^(?:(?:{p}:){{7}}{p}|(?:{p}:){{1,6}}:|(?:{p}:)(?::{p}){{1,6}}|(?:{p}:){{2}}(?::{p}){{1,5}}\
         |(?:{p}:){{3}}(?::{p}){{1,4}}|(?:{p}:){{4}}(?::{p}){{1,3}}|(?:{p}:){{5}}(?::{p}){{1,2}}\
         |(?:{p}:){{6}}(?::{p})|:(?::{p}){{1,6}}|{p}?::|(?:0:){{6}}(?:{p}\\.){{3}}{p}\
         |::(?:ffff:)?(?:{p}\\.){{3}}{p}|(?:0:){{5}}ffff:(?:{p}\\.){{3}}{p})$"
    ))
});

/// Splits a host from the port that was written behind it, as `add_host` does. What is no address stays as it is.
pub fn split_port(text: &str) -> (String, Option<u32>) {
    parse_address(text, false).unwrap_or_else(|| (text.to_owned(), None))
}

/// Splits a host from its port. Nothing when the text is no address.
pub(super) fn parse_address(text: &str, allow_ranges: bool) -> Option<(String, Option<u32>)> {
    let mut host = text.to_owned();
    let mut port = None;
    for pattern in [&BRACKETED, &HOST_PORT] {
        let Some((name, number)) = pattern.captures(&host).ok().flatten().and_then(|found| {
            Some((found.get(1)?.as_str().to_owned(), found.get(2)?.as_str().parse::<u32>().ok()?))
        }) else {
            continue;
        };
        host = name;
        port = Some(number);
    }
    let known = [&IPV4, &IPV6, &HOSTNAME].iter().any(|p| p.is_match(&host).unwrap_or(false));
    (known && (allow_ranges || !host.contains('['))).then_some((host, port))
}

/// Expands a host pattern of an inventory: ranges and a port.
pub(super) fn expand_hosts(pattern: &str) -> Result<(Vec<String>, Option<u32>), String> {
    // Almost every line: a plain name, which needs no regular expression.
    if !pattern.contains([':', '[']) {
        return Ok((vec![pattern.to_owned()], None));
    }
    let (name, port) = parse_address(pattern, true).unwrap_or_else(|| (pattern.to_owned(), None));
    let mut hosts = Vec::new();
    expand_range(&name, &mut hosts)?;
    Ok((hosts, port))
}

/// A range is a slip of the keyboard beyond this, and so is an inventory.
pub(super) const MOST_HOSTS: usize = 1_000_000;

fn expand_range(text: &str, hosts: &mut Vec<String>) -> Result<(), String> {
    let Some((head, rest)) = text.split_once('[') else {
        if hosts.len() >= MOST_HOSTS {
            return Err(format!("the range gives more than {MOST_HOSTS} hosts"));
        }
        hosts.push(text.to_owned());
        return Ok(());
    };
    let Some((range, tail)) = rest.split_once(']') else {
        return Err("the range has no closing `]`".to_owned());
    };
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds[..] {
        [begin, end] => (begin, end, "1"),
        [begin, end, step] => (begin, end, step),
        _ => return Err("a range is `[first:last]` or `[first:last:step]`".to_owned()),
    };
    if end.is_empty() {
        return Err("the range has no last value".to_owned());
    }
    let begin = if begin.is_empty() { "0" } else { begin };
    let step: usize = match step.parse() {
        Ok(step) if step > 0 => step,
        _ => return Err(format!("`{step}` is no step of a range")),
    };
    if begin.starts_with('0') && begin.len() > 1 && begin.len() != end.len() {
        return Err(format!(
            "`{begin}` and `{end}` have different lengths; with leading zeros they must be equal"
        ));
    }
    for item in sequence(begin, end, step)? {
        expand_range(&format!("{head}{item}{tail}"), hosts)?;
    }
    Ok(())
}

fn sequence(begin: &str, end: &str, step: usize) -> Result<Vec<String>, String> {
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err(format!("`{begin}` comes after `{end}`"));
        }
        return Ok((first..=last).step_by(step).filter_map(nth_letter).collect());
    }
    let (Ok(first), Ok(last)) = (begin.parse::<u64>(), end.parse::<u64>()) else {
        return Err(format!("`{begin}` and `{end}` are no numbers and no single letters"));
    };
    if last.saturating_sub(first) / step as u64 >= MOST_HOSTS as u64 {
        return Err(format!("the range gives more than {MOST_HOSTS} hosts"));
    }
    let width = if begin.starts_with('0') && begin.len() > 1 { begin.len() } else { 0 };
    Ok((first..=last).step_by(step).map(|n| format!("{n:0width$}")).collect())
}

/// The place of a letter in `a..zA..Z`.
fn letter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [c @ b'a'..=b'z'] => Some(c - b'a'),
        [c @ b'A'..=b'Z'] => Some(c - b'A' + 26),
        _ => None,
    }
}

fn nth_letter(n: u8) -> Option<String> {
    let c = if n < 26 { b'a' + n } else { b'A' + (n - 26) };
    (n < 52).then(|| char::from(c).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expect: Result<(&str, Option<u32>), &str>) {
        let got = expand_hosts(pattern).map(|(hosts, port)| (hosts.join(" "), port));
        let expect = expect.map(|(h, p)| (h.to_owned(), p)).map_err(str::to_owned);
        assert_eq!(got, expect, "{pattern}");
    }

    #[test]
    fn expands_as_ansible_does() {
        check("h", Ok(("h", None)));
        check("h:22", Ok(("h", Some(22))));
        check("sn[01:03]", Ok(("sn01 sn02 sn03", None)));
        check("sn[1:3]:2222", Ok(("sn1 sn2 sn3", Some(2222))));
        check("h[a:c]x", Ok(("hax hbx hcx", None)));
        check("r[1:5:2]", Ok(("r1 r3 r5", None)));
        check("r[1:2]n[1:2]", Ok(("r1n1 r1n2 r2n1 r2n2", None)));
        check("h[:2]", Ok(("h0 h1 h2", None)));
        check("h[3:1]", Ok(("", None)));
        check("10.0.0.[1:2]", Ok(("10.0.0.1 10.0.0.2", None)));
        check("::1", Ok(("::1", None)));
        check("[2001:db8::1]:22", Ok(("2001:db8::1", Some(22))));
        check("h[z:B]", Ok(("hz hA hB", None)));
        check("h[c:a]", Err("`c` comes after `a`"));
        check("h[01:9]", Err("`01` and `9` have different lengths; with leading zeros they must be equal"));
        check("h[1:2", Err("the range has no closing `]`"));
        check("h[1]", Err("a range is `[first:last]` or `[first:last:step]`"));
        check("h[1:]", Err("the range has no last value"));
        check("h[1:2:0]", Err("`0` is no step of a range"));
        check("h[a:5]", Err("`a` and `5` are no numbers and no single letters"));
        check("h[1:99999999999]", Err("the range gives more than 1000000 hosts"));
    }

    #[test]
    fn knows_addresses() {
        for (text, expect) in [
            ("a.b-c_d", true),
            ("-a", false),
            ("a-", false),
            ("a:b", false),
            ("192.168.0.1:22", true),
            ("fe80::1", true),
            ("a b", false),
            ("h[1:3]", true),
        ] {
            assert_eq!(parse_address(text, true).is_some(), expect, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-zA-Z0-9:\\[\\].,é -]{0,20}") {
            let _ = expand_hosts(&text);
        }
    }
}
