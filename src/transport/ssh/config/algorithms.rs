//! Lists of algorithms as ssh_config has them: whole lists, and changes of the default by `+`, `-` and `^`.

use super::super::known_hosts::matches;

/// Returns the names of a list in order. `usual` is what counts without a list; `all` is what exists, and
/// patterns choose from it. None when nothing is left.
pub fn assemble(list: &str, usual: &[&str], all: &[&str]) -> Option<Vec<String>> {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let names = match list.split_at_checked(1) {
        None => owned(usual),
        Some(("-", removed)) => {
            let removed: Vec<&str> = removed.split(',').collect();
            let kept =
                usual.iter().filter(|name| !removed.iter().any(|r| matches(r.as_bytes(), name.as_bytes())));
            kept.map(|n| (*n).to_owned()).collect()
        }
        Some(("+", more)) => chosen(usual.iter().copied().chain(more.split(',')), all),
        Some(("^", first)) => chosen(first.split(',').chain(usual.iter().copied()), all),
        Some(_) => chosen(list.split(','), all),
    };
    (!names.is_empty()).then_some(names)
}

/// Resolves patterns in order; each name once.
fn chosen<'a>(patterns: impl Iterator<Item = &'a str>, all: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        for name in all.iter().filter(|name| matches(pattern.as_bytes(), name.as_bytes())) {
            if !names.iter().any(|n| n == name) {
                names.push((*name).to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_change_the_default() {
        let all = ["a1", "a2", "b1", "b2", "c"];
        let check = |list: &str, expect: &str| {
            let names = assemble(list, &["a1", "b1", "c"], &all).map(|n| n.join(" "));
            assert_eq!(names.as_deref().unwrap_or("nothing"), expect, "{list}");
        };
        check("", "a1 b1 c");
        check("b2,a1", "b2 a1");
        check("b*", "b1 b2");
        check("+a2", "a1 b1 c a2");
        check("+a*", "a1 b1 c a2");
        check("-b*,c", "a1");
        check("-*", "nothing");
        check("^c,b2", "c b2 a1 b1");
        check("zz", "nothing");
        check("zz,c", "c");
    }
}
