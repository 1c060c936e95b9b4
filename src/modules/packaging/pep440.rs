//! Versions and demands of Python packages.

use std::cmp::Ordering;

/// A package as pip is asked for it: a name, and what its version must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// As indexes write it: lower case, hyphens.
    pub name: String,
    demands: Vec<(String, String)>,
}

const OPERATORS: &[&str] = &["===", "==", "!=", "<=", ">=", "~=", "<", ">"];

impl Requirement {
    /// Returns nothing for what is no plain name with versions: URLs, paths, extras, conditions.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !ends_well(name.chars().next()) || !ends_well(name.chars().last()) {
            return None;
        }
        let mut demands = Vec::new();
        for part in rest.trim().trim_start_matches('(').trim_end_matches(')').split(',') {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let operator = OPERATORS.iter().find(|op| part.starts_with(**op))?;
            let version = part[operator.len()..].trim();
            if version.is_empty()
                || version.contains(|c: char| c.is_whitespace() || matches!(c, ';' | '@' | '['))
            {
                return None;
            }
            demands.push(((*operator).to_string(), version.to_string()));
        }
        Some(Requirement { name: canonical(name), demands })
    }

    pub fn has_demands(&self) -> bool {
        !self.demands.is_empty()
    }

    /// Returns what its version must be, for people: a version, demands, or that any will do.
    pub fn demanded(&self) -> String {
        match self.demands.as_slice() {
            [] => "newest".to_string(),
            [(operator, version)] if operator.starts_with("==") => version.clone(),
            demands => demands
                .iter()
                .map(|(operator, version)| format!("{operator}{version}"))
                .collect::<Vec<_>>()
                .join(","),
        }
    }

    /// Whether a version is what is demanded.
    pub fn accepts(&self, version: &str) -> bool {
        self.demands.iter().all(|(operator, wanted)| holds(version, operator, wanted))
    }
}

/// Returns a name as indexes write it.
pub fn canonical(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn holds(version: &str, operator: &str, wanted: &str) -> bool {
    if operator == "===" {
        return version == wanted;
    }
    if let (Some(prefix), "==" | "!=") = (wanted.strip_suffix(".*"), operator) {
        let prefix = Version::parse(prefix).release;
        let mut release = Version::parse(version).release;
        release.resize(release.len().max(prefix.len()), 0);
        return release.starts_with(&prefix) == (operator == "==");
    }
    let (have, want) = (Version::parse(version), Version::parse(wanted));
    // A local part only counts where it is asked for.
    let have = if wanted.contains('+') { have } else { Version { local: Vec::new(), ..have } };
    let order = have.cmp(&want);
    match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<=" => order != Ordering::Greater,
        ">=" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        ">" => order == Ordering::Greater,
        _ => {
            let mut prefix = want.release.clone();
            prefix.pop();
            order != Ordering::Less && have.release.starts_with(&prefix)
        }
    }
}

/// A version in its parts; the order of the members is the order of comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    epoch: u64,
    release: Vec<u64>,
    /// Pre-releases before everything, then nothing.
    pre: (u8, u64),
    post: Option<u64>,
    /// Developments come first.
    dev: (u8, u64),
    local: Vec<(u64, String)>,
}

impl Version {
    fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        let text = text.strip_prefix('v').unwrap_or(&text);
        let (public, local) = text.split_once('+').unwrap_or((text, ""));
        let (epoch, public) = public.split_once('!').unwrap_or(("0", public));
        let end = public.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(public.len());
        let (release, rest) = public.split_at(end);
        let mut release: Vec<u64> = release.split('.').filter_map(|n| n.parse().ok()).collect();
        while release.len() > 1 && release.last() == Some(&0) {
            release.pop();
        }
        let mut version = Version {
            epoch: epoch.parse().unwrap_or(0),
            release,
            pre: (3, 0),
            post: None,
            dev: (1, 0),
            local: local
                .split(['.', '-', '_'])
                .filter(|p| !p.is_empty())
                .map(|p| p.parse().map_or((0, p.to_string()), |n: u64| (n + 1, String::new())))
                .collect(),
        };
        let mut pre_given = false;
        for (word, number) in parts(rest) {
            match word.as_str() {
                "a" | "alpha" => (version.pre, pre_given) = ((0, number), true),
                "b" | "beta" => (version.pre, pre_given) = ((1, number), true),
                "rc" | "c" | "pre" | "preview" => (version.pre, pre_given) = ((2, number), true),
                "post" | "rev" | "r" | "" => version.post = Some(number),
                "dev" => version.dev = (0, number),
                _ => {}
            }
        }
        // A development of the release itself comes before its pre-releases.
        if version.dev.0 == 0 && !pre_given && version.post.is_none() {
            version.pre = (0, 0);
        }
        version
    }
}

/// Returns words with their numbers, such as `rc1.post2`.
fn parts(text: &str) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = Vec::new();
    let mut chars = text.chars().filter(|c| !matches!(c, '.' | '-' | '_')).peekable();
    while chars.peek().is_some() {
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_ascii_digit()) {
            word.push(c);
        }
        let mut number = String::new();
        while let Some(c) = chars.next_if(char::is_ascii_digit) {
            number.push(c);
        }
        found.push((word, number.parse().unwrap_or(0)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_hold_or_not() {
        for (requirement, version, expect) in [
            ("six", "1.16.0", true),
            ("six==1.16", "1.16.0", true),
            ("six==1.16.*", "1.16.3", true),
            ("six!=1.16.*", "1.16.3", false),
            ("six>=1.9,<2", "1.10", true),
            ("six>1.16", "1.16.0", false),
            ("six~=1.4.2", "1.4.9", true),
            ("six~=1.4.2", "1.5", false),
            ("six<2.0", "2.0rc1", true),
            ("six<2.0rc2", "2.0.dev1", true),
            ("six==1.0", "1.0+local", true),
            ("six>=1.0.post1", "1.0", false),
            ("six===1.0", "1.0", true),
        ] {
            assert_eq!(
                Requirement::parse(requirement).unwrap().accepts(version),
                expect,
                "{requirement} {version}"
            );
        }
    }

    #[test]
    fn names() {
        assert_eq!(Requirement::parse("Zope.Interface_x").unwrap().name, "zope-interface-x");
        for other in
            ["git+https://x", "./x", "six[extra]", "six; python_version > '3'", "-e .", "six @ https://x"]
        {
            assert_eq!(Requirement::parse(other), None, "{other}");
        }
    }
}
