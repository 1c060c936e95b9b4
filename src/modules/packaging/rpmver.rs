//! The order of RPM's version numbers.

use std::cmp::Ordering;

use super::debver::digits;

/// Compares epoch, version and release, each of which may be missing on the right-hand side of a demand.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, version_a, release_a) = split(a);
    let (epoch_b, version_b, release_b) = split(b);
    let release = match (release_a, release_b) {
        (Some(a), Some(b)) => segments(a, b),
        _ => Ordering::Equal,
    };
    epoch_a.cmp(&epoch_b).then_with(|| segments(version_a, version_b)).then(release)
}

fn split(text: &str) -> (u64, &str, Option<&str>) {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    };
    match rest.split_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}

fn segments(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let skip = |text: &[u8]| {
        text.iter().position(|c| c.is_ascii_alphanumeric() || matches!(c, b'~' | b'^')).unwrap_or(text.len())
    };
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = &a[skip(a)..];
        b = &b[skip(b)..];
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            // A caret is newer than the end and older than anything else.
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.is_ascii_digit(), y.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (true, true) => {
                    let ((number_a, rest_a), (number_b, rest_b)) = (digits(a), digits(b));
                    let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
                    if order != Ordering::Equal {
                        return order;
                    }
                    (a, b) = (rest_a, rest_b);
                }
                (false, false) => {
                    let letters = |text: &[u8]| {
                        text.iter().position(|c| !c.is_ascii_alphabetic()).unwrap_or(text.len())
                    };
                    let ((word_a, rest_a), (word_b, rest_b)) =
                        (a.split_at(letters(a)), b.split_at(letters(b)));
                    if word_a != word_b {
                        return word_a.cmp(word_b);
                    }
                    (a, b) = (rest_a, rest_b);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_rpm_does() {
        for (a, b, expect) in [
            ("1.0-1", "1.0-1", Ordering::Equal),
            ("1.0-1", "1.0", Ordering::Equal),
            ("1.10-1", "1.9-5", Ordering::Greater),
            ("1.0~rc1-1", "1.0-1", Ordering::Less),
            ("1.0^git1-1", "1.0-1", Ordering::Greater),
            ("1.0^git1", "1.01", Ordering::Less),
            ("1:0.1-1", "2.0-1", Ordering::Greater),
            ("2.0.1a", "2.0.1", Ordering::Greater),
            ("1.a", "1.1", Ordering::Less),
            ("5.5p10", "5.5p1", Ordering::Greater),
            ("1.0-2.el9", "1.0-10.el9", Ordering::Less),
            ("1_0", "1.0", Ordering::Equal),
        ] {
            assert_eq!(compare(a, b), expect, "{a} {b}");
            assert_eq!(compare(b, a), expect.reverse(), "{b} {a}");
        }
    }
}
