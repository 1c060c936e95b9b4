//! What an image is made from: the digests that genimage and packimage remember beside the image, and how two sets of
//! them differ, in words.

use std::collections::BTreeMap;

use super::common;
use super::parse::Attrs;
use crate::modules::{Call, Diff};
use crate::value::Unknown;

/// Functions that print inputs, one per line: `KIND DIGEST PATH`, or `attribute - NAME=VALUE`. Lists are short and are
/// remembered as they are too: `#text PATH`, then each line after `#|`. They read the definition from `xc_def`.
pub const FUNCTIONS: &str = r#"x_kind=list
x_file() {
  if [ -f "$1" ]; then
    printf '%s %s %s\n' "$x_kind" "$(xc_sum "$1")" "$1"
    case $x_kind in *list) printf '#text %s\n' "$1"; sed 's/^/#|/' "$1"; echo ;; esac
  else printf '%s missing %s\n' "$x_kind" "$1"; fi
}
x_list() { xc_includes x_file "$1"; }
x_script() {
  x_kind=postinstall
  x_file "${1%% *}"
  x_kind=list
  [ ! -f "${1%% *}" ] || [ -x "${1%% *}" ] || printf 'executable missing %s\n' "${1%% *}"
}
x_repositories() {
  case $1 in /*) ;; *) return ;; esac
  find "$1/" -path '*/repodata/repomd.xml' 2>/dev/null | sort | while IFS= read -r x_md; do
    printf 'repository %s %s\n' "$(xc_sum "$x_md")" "${x_md%/repodata/repomd.xml}"
  done
}
x_attributes() {
  printf '%s\n' "$xc_def" | sed -n '/^    objtype=/d
/^    permission=/d
s/^    /attribute - /p' | sort
}
x_genimage_inputs() {
  x_attributes
  xc_comma x_list "$(xc_attr pkglist)"
  xc_comma x_list "$(xc_attr otherpkglist)"
  xc_comma x_script "$(xc_attr postinstall)"
  xc_comma x_repositories "$(xc_attr pkgdir)"
  xc_comma x_repositories "$(xc_attr otherpkgdir)"
}
x_sources() {
  while IFS= read -r x_line || [ -n "$x_line" ]; do
    case $x_line in '#'*|'') continue ;; *'->'*) ;; *) continue ;; esac
    for x_src in ${x_line%%->*}; do
      [ -f "$x_src" ] && printf 'synced-file %s %s\n' "$(xc_sum "$x_src")" "$x_src"
    done
  done <"$1"
}
x_synclist() {
  x_kind=synclist
  x_file "$1"
  x_kind=list
  [ ! -f "$1" ] || x_sources "$1"
}
x_exlist() { x_kind=exlist; xc_includes x_file "$1"; x_kind=list; }
x_packimage_inputs() {
  xc_comma x_exlist "$(xc_attr exlist)"
  xc_comma x_synclist "$(xc_attr synclists)"
  if [ -d "$1/postscripts" ]; then
    x_all=$(cd "$1/postscripts" && find . -type f -exec cksum {} + | sort | cksum)
    printf 'postscripts %s %s\n' "${x_all%% *}" "$1/postscripts"
  fi
}
"#;

/// Says which files and folders that a definition names are changed by earlier steps of a plan; `attributes` are words
/// for a reader, and names.
pub fn changed_first(call: &Call, definition: &Attrs, attributes: &[(&str, &str)]) -> Vec<Unknown> {
    let of = |(what, key): &(&str, &str)| -> Vec<Unknown> {
        let paths = definition.get(*key).map(String::as_str).unwrap_or_default();
        paths.split(',').filter_map(|path| path_changed_first(call, what, path)).collect()
    };
    attributes.iter().flat_map(of).collect()
}

/// The same for one path; `what` it is in words.
pub fn path_changed_first(call: &Call, what: &str, path: &str) -> Option<Unknown> {
    let unknown = call.world.tree(path).filter(|_| path.starts_with('/'))?;
    Some(Unknown { cause: format!("the {what} {path}: {}", unknown.cause).into() })
}

/// Inputs by kind and path (or attribute).
pub type Inputs = BTreeMap<(String, String), String>;

/// Reads lines of `KIND DIGEST PATH`.
pub fn parse(text: &str) -> Inputs {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            let (kind, digest, path) = (parts.next()?, parts.next()?, parts.next()?);
            if kind == "attribute" {
                let (name, value) = path.split_once('=')?;
                return Some(((kind.to_string(), name.to_string()), value.to_string()));
            }
            Some(((kind.to_string(), path.to_string()), digest.to_string()))
        })
        .collect()
}

/// Returns what differs between the inputs of the last time and those of now.
pub fn differences(then: &Inputs, now: &Inputs) -> Vec<String> {
    let mut found = Vec::new();
    for ((kind, path), digest) in now {
        let what = format!("{} {path}", word(kind));
        match then.get(&(kind.clone(), path.clone())) {
            None if kind == "executable" => found.push(format!("{what} is not executable")),
            None => found.push(format!("{what} is new")),
            Some(old) if old != digest => found.push(match kind.as_str() {
                "attribute" => format!("{what} changed from {old} to {digest}"),
                _ => format!("{what} changed"),
            }),
            Some(_) => {}
        }
    }
    for (kind, path) in then.keys().filter(|key| !now.contains_key(*key)) {
        found.push(match kind.as_str() {
            "executable" => format!("{} {path} is executable now", word(kind)),
            _ => format!("{} {path} is gone", word(kind)),
        });
    }
    found
}

/// Returns how lists differ from what they were the last time, where that is remembered.
pub fn list_diffs(then: &str, now: &str) -> Vec<Diff> {
    let (then, now) = (texts(then), texts(now));
    let changed = now.iter().filter_map(|(path, text)| Some((path, then.get(path)?, text)));
    changed
        .filter(|(_, before, after)| before != after)
        .map(|(path, before, after)| common::text_diff(path, Some(before), after))
        .collect()
}

/// Reads the texts of lists, by path.
fn texts(text: &str) -> BTreeMap<&str, String> {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    let mut path = None;
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("#text ") {
            path = Some(of);
            found.insert(of, String::new());
        } else if let (Some(line), Some(path)) = (line.strip_prefix("#|"), path) {
            let text = found.entry(path).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

/// Returns the inputs of a kind that do not exist.
pub fn missing<'a>(inputs: &'a Inputs, kind: &'a str) -> impl Iterator<Item = &'a str> {
    inputs.iter().filter(move |((k, _), d)| k == kind && *d == "missing").map(|((_, path), _)| path.as_str())
}

fn word(kind: &str) -> &str {
    match kind {
        "attribute" => "the attribute",
        "list" => "the list",
        "postinstall" | "executable" => "the postinstall script",
        "repository" => "the repository",
        "exlist" => "the exclusion list",
        "synclist" => "the synclist",
        "synced-file" => "the synced file",
        "postscripts" => "the directory",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sh::tests::run_with;
    use super::super::sh::{quote, script};
    use super::*;

    #[test]
    fn tells_which_input_changed() {
        let then = parse("attribute - osarch=x86_64\nlist a1 /a\nrepository r1 /r\nlist x /gone\n");
        let now = parse("attribute - osarch=ppc64\nlist a2 /a\nrepository r1 /r\npostinstall p /p q\n");
        assert_eq!(
            differences(&then, &now),
            [
                "the attribute osarch changed from x86_64 to ppc64",
                "the list /a changed",
                "the postinstall script /p q is new",
                "the list /gone is gone",
            ]
        );
        assert_eq!(differences(&now, &now), Vec::<String>::new());
        let cannot_run = parse("executable missing /post\n");
        assert_eq!(differences(&parse(""), &cannot_run), ["the postinstall script /post is not executable"]);
        assert_eq!(differences(&cannot_run, &parse("")), ["the postinstall script /post is executable now"]);
    }

    #[test]
    fn shows_how_a_list_changed() {
        let then = "list a1 /a\n#text /a\n#|bash\n#|# c\n\nlist b1 /b\n#text /b\n#|vim\n\nlist x /old\n";
        let now = "list a2 /a\n#text /a\n#|bash\n#|strace\n\nlist b1 /b\n#text /b\n#|vim\n\nlist y /old\n#text /old\n#|x\n";
        let diffs = list_diffs(then, now);
        assert_eq!(diffs, [common::text_diff("/a", Some("bash\n# c\n"), "bash\nstrace\n")]);
        assert_eq!(differences(&parse(then), &parse(now)), ["the list /a changed", "the list /old changed"]);
    }

    #[test]
    fn collects_every_input() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().to_string_lossy().into_owned();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        put("a.pkglist", "bash\n#INCLUDE:b.pkglist#\n");
        put("b.pkglist", "vim\n");
        put("post", "#!/bin/sh\n");
        put("pkgs/BaseOS/repodata/repomd.xml", "1");
        put("pkgs/AppStream/repodata/repomd.xml", "2");
        put("x.exlist", "./boot*\n");
        put("s.synclist", &format!("# c\n{base}/a.pkglist -> /etc/x\n"));
        put("install/postscripts/syslog", "s");
        let definition = format!(
            "i:\n    objtype=osimage\n    exlist={base}/x.exlist\n    permission=755\n    pkgdir={base}/pkgs,http://x/y\n    \
             pkglist={base}/a.pkglist,{base}/none\n    postinstall={base}/post\n    synclists={base}/s.synclist"
        );
        for sh in ["sh", "bash"] {
            let body = format!(
                "{FUNCTIONS}xc_def={}\nx_genimage_inputs\necho ---\nx_packimage_inputs {}",
                quote(&definition),
                quote(&format!("{base}/install"))
            );
            let out = run_with(sh, &script(&body), &[]);
            assert_eq!(String::from_utf8_lossy(&out.stderr), "");
            let text = String::from_utf8_lossy(&out.stdout).replace(&base, "");
            assert_eq!(
                texts(&text).get("/a.pkglist").map(String::as_str),
                Some("bash\n#INCLUDE:b.pkglist#\n")
            );
            assert_eq!(
                texts(&text).keys().copied().collect::<Vec<_>>(),
                ["/a.pkglist", "/b.pkglist", "/s.synclist", "/x.exlist"]
            );
            let short: Vec<String> = text
                .lines()
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(|l| match l.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
                    [kind, digest, rest] if *digest != "missing" => format!("{kind} {rest}"),
                    _ => l.to_string(),
                })
                .collect();
            assert_eq!(
                short,
                [
                    "attribute exlist=/x.exlist",
                    "attribute pkgdir=/pkgs,http://x/y",
                    "attribute pkglist=/a.pkglist,/none",
                    "attribute postinstall=/post",
                    "attribute synclists=/s.synclist",
                    "list /a.pkglist",
                    "list /b.pkglist",
                    "list missing /none",
                    "postinstall /post",
                    "executable missing /post",
                    "repository /pkgs/AppStream",
                    "repository /pkgs/BaseOS",
                    "---",
                    "exlist /x.exlist",
                    "synclist /s.synclist",
                    "synced-file /a.pkglist",
                    "postscripts /install/postscripts",
                ],
                "{sh}"
            );
        }
    }
}
