//! The order of Debian's version numbers.

use std::cmp::Ordering;

/// Compares two versions as dpkg does: epoch, upstream version, revision.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = epoch(a);
    let (epoch_b, rest_b) = epoch(b);
    let (upstream_a, revision_a) = revision(rest_a);
    let (upstream_b, revision_b) = revision(rest_b);
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| part(upstream_a, upstream_b))
        .then_with(|| part(revision_a, revision_b))
}

fn epoch(text: &str) -> (u64, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    }
}

fn revision(text: &str) -> (&str, &str) {
    text.rsplit_once('-').unwrap_or((text, ""))
}

/// The weight of a character outside of digits: `~` before the end, letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None | Some(b'0'..=b'9') => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(c),
        Some(c) => i32::from(c) + 256,
    }
}

fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit())
        {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let (digits_a, rest_a) = digits(a);
        let (digits_b, rest_b) = digits(b);
        let order = digits_a.len().cmp(&digits_b.len()).then_with(|| digits_a.cmp(digits_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// Returns a leading number without its zeros, and what follows.
pub(super) fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let start = number.iter().position(|c| *c != b'0').unwrap_or(number.len());
    (&number[start..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_dpkg_does() {
        for (a, b, expect) in [
            ("1.0", "1.0", Ordering::Equal),
            ("1.0-1", "1.0-2", Ordering::Less),
            ("1.10", "1.9", Ordering::Greater),
            ("1.0~rc1", "1.0", Ordering::Less),
            ("1.0~~", "1.0~", Ordering::Less),
            ("1:0.1", "2.0", Ordering::Greater),
            ("1.0a", "1.0", Ordering::Greater),
            ("1.0a", "1.0+", Ordering::Less),
            ("1.001", "1.1", Ordering::Equal),
            ("1.0-1", "1.0", Ordering::Greater),
            ("7.6p2-4", "7.6-0", Ordering::Greater),
            ("1.0-0", "1.0", Ordering::Equal),
        ] {
            assert_eq!(compare(a, b), expect, "{a} {b}");
            assert_eq!(compare(b, a), expect.reverse(), "{b} {a}");
        }
    }
}
