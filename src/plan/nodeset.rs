//! Sets of nodes: `sn[01-06,09]` stands for seven hosts that differ in one number.
//!
//! The notation is ClusterShell's with one bracket. Folding keeps leading zeros and loses nothing:
//! unfolding gives the same hosts.

use std::collections::BTreeMap;

/// A set that claims to stand for more hosts than this is taken as one name: no plan has so many.
const MAX_HOSTS: u64 = 10_000_000;

/// Folds host names into sets, ordered by prefix and number.
pub fn fold<S: AsRef<str>>(hosts: &[S]) -> Vec<String> {
    // Prefix, suffix and width of the last number; hosts without one fold with nobody.
    let mut families: BTreeMap<(&str, &str, usize), Vec<u64>> = BTreeMap::new();
    let mut single: Vec<&str> = Vec::new();
    for host in hosts {
        let host = host.as_ref();
        match split(host) {
            Some((prefix, digits, suffix)) => {
                // Numbers without leading zeros belong together whatever their width.
                let width = if digits.starts_with('0') && digits.len() > 1 { digits.len() } else { 0 };
                let number = digits.parse().unwrap_or_default();
                families.entry((prefix, suffix, width)).or_default().push(number);
            }
            None => single.push(host),
        }
    }
    join_padded(&mut families);
    single.sort_unstable();
    single.dedup();
    let mut sets: Vec<String> = single.into_iter().map(str::to_string).collect();
    for ((prefix, suffix, width), mut numbers) in families {
        numbers.sort_unstable();
        numbers.dedup();
        if let [one] = numbers[..] {
            sets.push(format!("{prefix}{one:0width$}{suffix}"));
            continue;
        }
        let ranges: Vec<String> = ranges(&numbers)
            .into_iter()
            .map(|(from, to)| match from == to {
                true => format!("{from:0width$}"),
                false => format!("{from:0width$}-{to:0width$}"),
            })
            .collect();
        sets.push(format!("{prefix}[{}]{suffix}", ranges.join(",")));
    }
    sets
}

/// `n10` has the width of `n09`: numbers as wide as a padded family join it.
fn join_padded(families: &mut BTreeMap<(&str, &str, usize), Vec<u64>>) {
    let padded: Vec<_> = families.keys().filter(|(_, _, width)| *width > 0).copied().collect();
    for (prefix, suffix, width) in padded {
        let Some(plain) = families.get_mut(&(prefix, suffix, 0)) else { continue };
        let fits = |n: &u64| n.to_string().len() == width;
        let joined: Vec<u64> = plain.iter().copied().filter(fits).collect();
        plain.retain(|n| !fits(n));
        if plain.is_empty() {
            families.remove(&(prefix, suffix, 0));
        }
        families.entry((prefix, suffix, width)).or_default().extend(joined);
    }
}

/// Returns one text for a set of hosts, such as `mn1,sn[01-06]`.
pub fn folded<S: AsRef<str>>(hosts: &[S]) -> String {
    fold(hosts).join(",")
}

/// Returns the hosts of one set. A text that is no set is a host's name.
pub fn unfold(set: &str) -> Vec<String> {
    let Some((prefix, ranges, suffix)) = parse(set) else { return vec![set.to_string()] };
    let mut hosts = Vec::new();
    for (from, to, width) in ranges {
        hosts.extend((from..=to).map(|n| format!("{prefix}{n:0width$}{suffix}")));
    }
    hosts
}

/// Returns how many hosts a set stands for.
pub fn size(set: &str) -> usize {
    parse(set).map_or(1, |(_, ranges, _)| ranges.iter().map(|(from, to, _)| (to - from + 1) as usize).sum())
}

type Ranges = Vec<(u64, u64, usize)>;

fn parse(set: &str) -> Option<(&str, Ranges, &str)> {
    let (prefix, rest) = set.split_once('[')?;
    let (inside, suffix) = rest.split_once(']')?;
    let mut total: u64 = 0;
    let mut ranges = Vec::new();
    for part in inside.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| -> Option<u64> {
            let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
            if plain { text.parse().ok() } else { None }
        };
        let width = if from.starts_with('0') && from.len() > 1 { from.len() } else { 0 };
        let (from, to) = (number(from)?, number(to)?);
        total = total.checked_add(to.checked_sub(from)? + 1)?;
        if total > MAX_HOSTS {
            return None;
        }
        ranges.push((from, to, width));
    }
    Some((prefix, ranges, suffix))
}

/// Splits a name at its last number; names with brackets or numbers that are too long do not fold.
fn split(host: &str) -> Option<(&str, &str, &str)> {
    if host.contains(['[', ']', ',']) {
        return None;
    }
    // The domain does not count: sn01.cluster2 folds by 01.
    let end = host.find('.').unwrap_or(host.len());
    let last = host[..end].rfind(|c: char| c.is_ascii_digit())? + 1;
    let first = host[..last]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + host[at..].chars().next().map_or(1, char::len_utf8));
    let digits = &host[first..last];
    (digits.len() <= 18).then_some((&host[..first], digits, &host[last..]))
}

fn ranges(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &n in numbers {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == n => *to = n,
            _ => ranges.push((n, n)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_as_people_write() {
        let check = |hosts: &[&str], expect: &str| assert_eq!(folded(hosts), expect);
        check(&["sn02", "sn01", "sn03", "sn09"], "sn[01-03,09]");
        check(&["sn09", "sn10", "sn11"], "sn[09-11]");
        check(&["n9", "n10"], "n[9-10]");
        check(&["mn", "n1", "login1.a.b", "login2.a.b"], "mn,login[1-2].a.b,n1");
        check(&["rack1-n01", "rack1-n02", "rack2-n01"], "rack1-n[01-02],rack2-n01");
        check(&["10.0.0.1", "10.0.0.2"], "10.0.0.1,10.0.0.2");
        check(&["weird[1-3]", "ä1", "ä2"], "weird[1-3],ä[1-2]");
    }

    #[test]
    fn unfolds() {
        assert_eq!(unfold("sn[08-10,12].x"), ["sn08.x", "sn09.x", "sn10.x", "sn12.x"]);
        assert_eq!(unfold("plain"), ["plain"]);
        for odd in ["a[3-1]", "a[x]", "a[1-99999999999]", "a[", "a[]"] {
            assert_eq!((unfold(odd), size(odd)), (vec![odd.to_string()], 1), "{odd}");
        }
        assert_eq!(size("n[1-3,7]"), 4);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(hosts in proptest::collection::vec("[a-c]{0,2}-?[0-9]{0,3}(x[0-9]{1,2})?(\\.d[0-9])?", 1..40)) {
            let hosts: Vec<String> = hosts.into_iter().filter(|h| !h.is_empty()).collect();
            let mut back: Vec<String> = fold(&hosts).iter().flat_map(|s| unfold(s)).collect();
            back.sort();
            let mut wanted = hosts.clone();
            wanted.sort();
            wanted.dedup();
            prop_assert_eq!(back, wanted);
        }
    }
}
