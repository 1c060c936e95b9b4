//! Synclist files: which files go where, which scripts run afterwards.

use super::archive::walk;
use super::noderange;
use super::session::Session;
use super::tables::Access;
use super::world::PutFile;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Is a synclist resolved for one node.
#[derive(Debug, Default)]
pub(super) struct Sync {
    pub files: Vec<PutFile>,
    /// Files whose text is added to the target's.
    pub appends: Vec<PutFile>,
    /// Sources that do not exist.
    pub missing: Vec<String>,
    /// Scripts on the management node that run on the node afterwards.
    pub scripts: Vec<String>,
}

/// Reads a list for a node; `None` means an image.
pub(super) fn read(session: &Session<'_>, list: &str, node: Option<&str>) -> io::Result<Sync> {
    let mut sync = Sync::default();
    let mut clause = String::new();
    for line in fs::read_to_string(session.path(list))?.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_suffix(':').filter(|name| name.chars().all(|c| c.is_ascii_uppercase()))
        {
            clause = name.to_string();
            continue;
        }
        if clause.starts_with("EXECUTE") {
            sync.scripts.push(line.to_string());
            continue;
        }
        let Some((sources, target)) = line.split_once("->") else { continue };
        let mut target = target.trim();
        if let Some((range, rest)) = target.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            let mut db = session.db(Access::Read)?;
            let chosen = noderange::expand(&mut db, range).unwrap_or_default();
            if !node.is_some_and(|node| chosen.iter().any(|one| one == node)) {
                continue;
            }
            target = rest.trim();
        }
        let mut sources: Vec<String> =
            sources.split_whitespace().flat_map(|source| glob(session, source)).collect();
        sources.dedup();
        let into_dir = target.ends_with('/') || sources.len() > 1;
        for source in sources {
            let name = source.rsplit('/').next().unwrap_or_default();
            let to = if into_dir {
                format!("{}/{name}", target.trim_end_matches('/'))
            } else {
                target.to_string()
            };
            let mut files = Vec::new();
            if collect(session, &source, &to, &mut files)? {
                match clause.as_str() {
                    "APPEND" | "MERGE" => sync.appends.extend(files),
                    _ => sync.files.extend(files),
                }
            } else {
                sync.missing.push(source);
            }
        }
    }
    Ok(sync)
}

/// Adds a file or all files of a directory; false when there is no such thing.
pub(super) fn collect(
    session: &Session<'_>,
    from: &str,
    to: &str,
    files: &mut Vec<PutFile>,
) -> io::Result<bool> {
    let real = session.path(from);
    let Ok(meta) = fs::metadata(&real) else { return Ok(false) };
    if meta.is_file() {
        files.push(put_file(&real, to)?);
        return Ok(true);
    }
    for name in walk(&real)? {
        let path = real.join(&name);
        if fs::metadata(&path).is_ok_and(|meta| meta.is_file()) {
            files.push(put_file(&path, &format!("{to}/{}", name.display()))?);
        }
    }
    Ok(true)
}

fn put_file(real: &Path, to: &str) -> io::Result<PutFile> {
    let meta = fs::metadata(real)?;
    Ok(PutFile {
        path: to.to_string(),
        mode: meta.mode() & 0o7777,
        modified_secs: meta.mtime().max(0) as u64,
        content: fs::read(real)?,
    })
}

/// Returns the paths that a pattern in the last part of a path means; the word itself when none match.
fn glob(session: &Session<'_>, pattern: &str) -> Vec<String> {
    let Some((dir, name)) = pattern.rsplit_once('/').filter(|(_, name)| name.contains(['*', '?'])) else {
        return vec![pattern.to_string()];
    };
    let Ok(entries) = fs::read_dir(session.path(dir)) else { return vec![pattern.to_string()] };
    let mut found: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|one| !one.starts_with('.') && matches(name, one))
        .map(|one| format!("{dir}/{one}"))
        .collect();
    found.sort();
    if found.is_empty() { vec![pattern.to_string()] } else { found }
}

/// Matches a shell pattern as `find -path` does: `*` also takes slashes.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, text[t]),
            Some(c) if *c == text[t] => Some(p + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns where the pattern goes on when `c` is in the class that starts at `at`.
fn class(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let end = at + 1 + pattern[at + 1..].iter().position(|c| *c == ']')?;
    let mut members = &pattern[at + 1..end];
    let negated = matches!(members.first(), Some('!' | '^'));
    if negated {
        members = &members[1..];
    }
    let mut hit = false;
    let mut i = 0;
    while i < members.len() {
        if i + 2 < members.len() && members[i + 1] == '-' {
            hit |= members[i] <= c && c <= members[i + 2];
            i += 3;
        } else {
            hit |= members[i] == c;
            i += 1;
        }
    }
    (hit != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_find_does() {
        for (pattern, text, expect) in [
            ("./boot*", "./boot/vmlinuz", true),
            ("./boot*", "./bootstrap", true),
            ("./usr/share/man", "./usr/share/man/man1", false),
            ("./usr/lib/modules/*/net*", "./usr/lib/modules/5.14/kernel/drivers/net/e1000.ko", true),
            ("./var/log/?", "./var/log/a", true),
            ("./[a-c]*", "./b/x", true),
            ("./[!a-c]*", "./b/x", false),
            ("*.pyc", "./usr/lib/a.pyc", true),
        ] {
            assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
        }
    }
}
