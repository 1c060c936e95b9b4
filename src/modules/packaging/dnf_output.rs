//! What dnf and yum print: the table of a transaction, and complaints.

use std::collections::BTreeSet;

use super::set::SetChange;

/// Reads the table of what would be done; `installed` holds lines `name.arch version` of what there is.
pub fn transaction(output: &str, installed: &str) -> Option<SetChange> {
    let mut change = SetChange::default();
    let mut section = Section::Other;
    let mut entry: Vec<&str> = Vec::new();
    let mut any = false;
    for line in output.lines().chain(["end"]) {
        let continues = line.starts_with("  ");
        if !continues && !entry.is_empty() {
            any |= finish(&mut change, section, &entry, installed);
            entry.clear();
        }
        if line.starts_with(' ') {
            let words = line.split_whitespace();
            if section != Section::Other && !line.trim_start().starts_with("replacing ") {
                entry.extend(words);
            }
        } else {
            section = match line.trim_end_matches(':').split(' ').next() {
                Some("Installing" | "Reinstalling") if line.ends_with(':') => Section::Come,
                Some("Upgrading" | "Updating" | "Downgrading") if line.ends_with(':') => Section::Replace,
                Some("Removing" | "Erasing") if line.ends_with(':') => Section::Go,
                _ => Section::Other,
            };
        }
    }
    any.then_some(change)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Come,
    Replace,
    Go,
    Other,
}

fn finish(change: &mut SetChange, section: Section, entry: &[&str], installed: &str) -> bool {
    let [name, arch, version, ..] = entry else { return false };
    let key = format!("{name}.{arch}");
    let version = version.strip_prefix("0:").unwrap_or(version);
    match section {
        Section::Come => change.add(&key, version),
        Section::Go => change.remove(&key, version),
        Section::Replace => {
            for old in installed.lines().filter_map(|l| l.strip_prefix(&key)?.strip_prefix(' ')) {
                change.remove(&key, old);
            }
            change.add(&key, version);
        }
        Section::Other => return false,
    }
    true
}

/// Returns the names that no repository has, in order.
pub fn not_found(output: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for line in output.lines() {
        let line = line.trim();
        let name = line
            .strip_prefix("No match for argument: ")
            .or_else(|| line.strip_prefix("No package ")?.strip_suffix(" available."))
            .or_else(|| line.strip_prefix("No packages found for "));
        if let Some(name) = name
            && seen.insert(name.to_string())
        {
            names.push(name.to_string());
        }
    }
    names
}

/// Whether the tool found nothing to do.
pub fn is_idle(output: &str) -> bool {
    output
        .lines()
        .any(|line| matches!(line.trim(), "Nothing to do" | "Nothing to do." | "Error: Nothing to do"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, installed: &str, before: &str, after: &str) {
        let change = transaction(output, installed).unwrap_or_default();
        let join = |lines: Vec<&str>| lines.join("|");
        assert_eq!(join(change.removed().collect()), before);
        assert_eq!(join(change.added().collect()), after);
    }

    #[test]
    fn tables_of_all_tools() {
        let dnf4 = "Dependencies resolved.\n====\n Package   Architecture   Version   Repository   Size\n====\n\
            Installing:\n foo      noarch      1.0-1      local      6.1 k\n a-very-long-name-that-wraps\n          x86_64      1:2.0-3.el9      local      7 k\n\
            Upgrading:\n bar      noarch      2-1      local      1 k\n     replacing  old.noarch 1-1\n\
            Removing unused dependencies:\n gone      noarch      3-1      @local      0\n\n\
            Transaction Summary\n====\nInstall  2 Packages\n\nOperation aborted.\n";
        check(
            dnf4,
            "bar.noarch 1-1\nbar.x86_64 1-1\n",
            "bar.noarch 1-1|gone.noarch 3-1",
            "a-very-long-name-that-wraps.x86_64 1:2.0-3.el9|bar.noarch 2-1|foo.noarch 1.0-1",
        );
        let dnf5 = "Package Arch   Version Repository      Size\nUpgrading:\n foo    noarch 0:2-1     local     10.0   B\n   replacing foo noarch 0:1-1 local 10 B\n\nTransaction Summary:\n Upgrading: 1 package\n";
        check(dnf5, "foo.noarch 1-1\n", "foo.noarch 1-1", "foo.noarch 2-1");
        let yum = "Dependencies Resolved\n\n====\n Package  Arch  Version  Repository  Size\n====\nRemoving:\n foo  noarch  1-1  @local  0.0  \nRemoving for dependencies:\n bar  noarch  1-1  @local  0.0  \n\nTransaction Summary\n====\nRemove  1 Package (+1 Dependent package)\n";
        check(yum, "", "bar.noarch 1-1|foo.noarch 1-1", "");
        check("Nothing to do.\nComplete!\n", "", "", "");
    }

    #[test]
    fn complaints() {
        assert_eq!(
            not_found("No match for argument: a\nNo package b available.\nNo match for argument: a\n"),
            ["a", "b"]
        );
        assert!(is_idle("Dependencies resolved.\nNothing to do.\nComplete!\n"));
        assert!(!is_idle("Nothing to do with it\n"));
    }
}
