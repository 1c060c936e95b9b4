//! Node ranges: names, groups, brackets, spans, exclusions, intersections and regular expressions.

use super::tables::Db;

/// Returns the sorted nodes of a range, or the words that are neither node nor group.
pub(super) fn expand(db: &mut Db, range: &str) -> Result<Vec<String>, Vec<String>> {
    let nodes = db.table("nodelist").clone();
    let known = nodes.values("node");
    let members = |group: &str| -> Vec<String> {
        known.iter().filter(|node| in_group(nodes.get("node", node, "groups"), group)).cloned().collect()
    };
    let mut chosen: Vec<String> = Vec::new();
    let mut excluded: Vec<String> = Vec::new();
    let mut bad = Vec::new();
    for part in split_outside_brackets(range, ',') {
        let (minus, part) = part.strip_prefix('-').map_or((false, part.as_str()), |rest| (true, rest));
        let mut found: Option<Vec<String>> = None;
        for term in split_outside_brackets(part, '@') {
            let these = expand_term(&term, &known, &members, &mut bad);
            found = Some(match found {
                None => these,
                Some(before) => before.into_iter().filter(|node| these.contains(node)).collect(),
            });
        }
        let target = if minus { &mut excluded } else { &mut chosen };
        target.extend(found.unwrap_or_default());
    }
    if !bad.is_empty() {
        return Err(bad);
    }
    chosen.retain(|node| !excluded.contains(node));
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

/// Returns true when the comma separated `groups` hold `group`.
pub(super) fn in_group(groups: Option<&str>, group: &str) -> bool {
    groups.is_some_and(|groups| groups.split(',').any(|one| one == group))
}

fn expand_term(
    term: &str,
    known: &[String],
    members: &dyn Fn(&str) -> Vec<String>,
    bad: &mut Vec<String>,
) -> Vec<String> {
    if let Some(pattern) = term.strip_prefix('/') {
        let Ok(regex) = fancy_regex::Regex::new(&format!("^(?:{pattern})$")) else { return Vec::new() };
        return known.iter().filter(|node| regex.is_match(node).unwrap_or(false)).cloned().collect();
    }
    let mut out = Vec::new();
    for name in names(term) {
        if known.contains(&name) {
            out.push(name);
            continue;
        }
        let group = members(&name);
        if !group.is_empty() {
            out.extend(group);
        } else if name == "all" {
            out.extend(known.iter().cloned());
        } else {
            bad.push(name);
        }
    }
    out
}

/// Returns the names that a bracket or a span stands for, whether they exist or not.
pub(super) fn names(term: &str) -> Vec<String> {
    if let (Some(open), Some(close)) = (term.find('['), term.find(']'))
        && open < close
    {
        let (before, after) = (&term[..open], &term[close + 1..]);
        return term[open + 1..close]
            .split(',')
            .flat_map(|part| numbers(part).unwrap_or_else(|| vec![part.to_string()]))
            .flat_map(|number| names(&format!("{before}{number}{after}")))
            .collect();
    }
    if let Some((from, to)) = term.split_once('-') {
        let prefix = from.trim_end_matches(|c: char| c.is_ascii_digit());
        let tail = to.strip_prefix(prefix).unwrap_or(to);
        if let Some(all) = numbers(&format!("{}-{tail}", &from[prefix.len()..])) {
            return all.into_iter().map(|number| format!("{prefix}{number}")).collect();
        }
    }
    vec![term.to_string()]
}

/// Returns the numbers of `1-3` or `01-12`, padded as the first one is.
fn numbers(span: &str) -> Option<Vec<String>> {
    const MOST: u64 = 100_000;
    let (from, to) = span.split_once('-')?;
    let (low, high): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    if low > high || high - low > MOST {
        return None;
    }
    let width = if from.starts_with('0') { from.len() } else { 1 };
    Some((low..=high).map(|n| format!("{n:0width$}")).collect())
}

/// Splits at a separator that is not inside brackets.
pub(super) fn split_outside_brackets(text: &str, separator: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == separator && depth == 0 {
            out.push(String::new());
        } else if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.retain(|part| !part.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_brackets_and_spans() {
        for (term, expect) in [
            ("a[1-3]", "a1 a2 a3"),
            ("r[01-02]n[1,3]", "r01n1 r01n3 r02n1 r02n3"),
            ("n08-n10", "n08 n09 n10"),
            ("n1-3", "n1 n2 n3"),
            ("my-node", "my-node"),
            ("x[1-", "x[1-"),
        ] {
            assert_eq!(names(term).join(" "), expect, "{term}");
        }
    }
}
