//! Package lists and exclusion lists as text: which entries they hold with their includes, and edits line by line.

use std::collections::BTreeMap;

use super::sh::add;

/// What a list is for; it decides what an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Packages, several in a line separated by commas or blanks.
    Packages,
    /// Patterns, one in a line.
    Exclusions,
}

/// The files of a list: the list itself and what it includes, by path. A missing file is absent.
pub type Files = BTreeMap<String, String>;

/// Returns the entries of one line; comments, directives and blank lines have none.
pub fn entries(kind: Kind, line: &str) -> Vec<&str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Vec::new();
    }
    // The name of a group may hold blanks.
    if kind == Kind::Exclusions || line.starts_with('@') {
        return vec![line];
    }
    line.split(|c: char| c == ',' || c.is_whitespace()).filter(|e| !e.is_empty()).collect()
}

/// Returns the path that an include line names, seen from the file `path`.
fn include(path: &str, line: &str) -> Option<String> {
    let name = line.trim().strip_prefix("#INCLUDE:")?.strip_suffix('#')?.trim();
    if name.starts_with('/') {
        return Some(name.to_string());
    }
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    Some(format!("{dir}/{name}"))
}

/// Returns the entries that the files included by `text` bring in.
pub fn included(kind: Kind, path: &str, text: &str, files: &Files) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = vec![path.to_string()];
    let mut todo: Vec<String> = text.lines().filter_map(|l| include(path, l)).collect();
    while !todo.is_empty() {
        let next = todo.remove(0);
        if seen.contains(&next) {
            continue;
        }
        if let Some(text) = files.get(&next) {
            for line in text.lines() {
                found.extend(entries(kind, line).into_iter().map(str::to_string));
                todo.extend(include(&next, line));
            }
        }
        seen.push(next);
    }
    found
}

/// Returns the included files that do not exist.
pub fn missing_includes(path: &str, text: &str, files: &Files) -> Vec<String> {
    text.lines().filter_map(|l| include(path, l)).filter(|p| !files.contains_key(p)).collect()
}

/// Returns a list's text for a place elsewhere: relative includes become absolute ones.
pub fn moved(from: &str, text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        match include(from, line) {
            Some(path) => add(&mut out, format_args!("#INCLUDE:{path}#\n")),
            None => out.push_str(line),
        }
    }
    out
}

/// What a list shall hold.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    pub present: Vec<String>,
    pub absent: Vec<String>,
}

/// Returns the text with the edit made. Entries that an include brings in count as present; a package that only an
/// include brings in is taken out with a `-package` line, as the lists know it.
pub fn edited(kind: Kind, path: &str, text: &str, files: &Files, edit: &Edit) -> String {
    let inherited = included(kind, path, text, files);
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for gone in &edit.absent {
        lines = lines.into_iter().filter_map(|line| without(kind, line, gone)).collect();
    }
    let has = |lines: &[String], entry: &str| lines.iter().any(|l| entries(kind, l).contains(&entry));
    for gone in &edit.absent {
        let taken_out = format!("-{gone}");
        let brought = inherited.iter().any(|e| e == gone) && !inherited.contains(&taken_out);
        if kind == Kind::Packages && brought && !gone.starts_with(['@', '-']) && !has(&lines, &taken_out) {
            lines.push(taken_out);
        }
    }
    for wanted in &edit.present {
        let comment = wanted.trim_start().starts_with('#');
        let there = if comment {
            lines.iter().any(|l| l.trim() == wanted.trim())
        } else {
            entries(kind, wanted).iter().all(|e| has(&lines, e) || inherited.iter().any(|i| i == e))
        };
        if !there {
            let opposite = format!("-{}", wanted.trim());
            lines.retain(|l| kind != Kind::Packages || l.trim() != opposite);
            lines.push(wanted.trim_end().to_string());
        }
    }
    let mut out = lines.join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn without(kind: Kind, line: String, gone: &str) -> Option<String> {
    if line.trim() == gone.trim() {
        return None;
    }
    let found = entries(kind, &line);
    if !found.contains(&gone) {
        return Some(line);
    }
    let kept: Vec<&str> = found.into_iter().filter(|e| *e != gone).collect();
    let separator = if line.contains(',') { "," } else { " " };
    (!kept.is_empty()).then(|| kept.join(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(present: &[&str], absent: &[&str]) -> Edit {
        let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect();
        Edit { present: own(present), absent: own(absent) }
    }

    fn files() -> Files {
        Files::from([
            ("/share/compute.pkglist".to_string(), "bash\nrsync,ntp wget\n#INCLUDE:more#\n".to_string()),
            ("/share/more".to_string(), "@Base System\nvim\n".to_string()),
        ])
    }

    fn check(kind: Kind, text: &str, change: Edit, expect: &str) {
        assert_eq!(edited(kind, "/custom/service.pkglist", text, &files(), &change), expect);
        assert_eq!(
            edited(kind, "/custom/service.pkglist", expect, &files(), &change),
            expect,
            "a second time"
        );
    }

    #[test]
    fn packages_are_words_and_come_from_includes() {
        let list = "#INCLUDE:/share/compute.pkglist#\ndhcp bind, perl\n";
        check(Kind::Packages, list, edit(&["perl", "vim", "ntp"], &[]), list);
        check(
            Kind::Packages,
            list,
            edit(&["tmux"], &["bind"]),
            "#INCLUDE:/share/compute.pkglist#\ndhcp,perl\ntmux\n",
        );
        check(
            Kind::Packages,
            list,
            edit(&[], &["vim"]),
            "#INCLUDE:/share/compute.pkglist#\ndhcp bind, perl\n-vim\n",
        );
        check(Kind::Packages, "-perl\n", edit(&["perl"], &[]), "perl\n");
        check(Kind::Packages, "", edit(&["a b", "#ENV:X=1#"], &[]), "a b\n#ENV:X=1#\n");
    }

    #[test]
    fn exclusions_are_lines() {
        check(
            Kind::Exclusions,
            "./boot*\n./usr/share/man*\n",
            edit(&["./usr/share/doc*", "+./usr/share/man/man1*"], &["./boot*"]),
            "./usr/share/man*\n./usr/share/doc*\n+./usr/share/man/man1*\n",
        );
    }

    #[test]
    fn a_copied_list_keeps_its_includes() {
        assert_eq!(
            moved("/share/service.pkglist", "#INCLUDE:compute.pkglist#\n#INCLUDE:/a#\nbash"),
            "#INCLUDE:/share/compute.pkglist#\n#INCLUDE:/a#\nbash"
        );
    }
}
