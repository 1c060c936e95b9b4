//! The sh side of the xCAT modules: functions that every script begins with, and the sections that they print.
//!
//! A script prints `RS name LF stdout RS =rc LF stderr RS LF` for each command that it runs through `xc_run`; what
//! stands outside of sections is plain output. RS is the ASCII record separator, which no xCAT command prints.

use crate::modules::{Failure, Seen};
use crate::transport::Output;

/// Quotes a text as one shell word.
pub use crate::transport::quote;

/// Lines with this beginning are shown while a script runs and belong to no result.
pub const PROGRESS: &str = "xplay:progress ";

/// Functions of every script. `xcat` calls an xCAT command by its absolute path, because a shell that is no login
/// shell does not have them on PATH.
const PRELUDE: &str = r#"LC_ALL=C; LANG=C; export LC_ALL LANG
PATH=$PATH:/usr/sbin:/sbin; export PATH
umask 022
xc_nl='
'
xcat() {
  xc_c=$1; shift
  for xc_d in /opt/xcat/bin /opt/xcat/sbin; do
    [ -x "$xc_d/$xc_c" ] || continue
    "$xc_d/$xc_c" "$@"
    return
  done
  echo "Error: $xc_c is in neither /opt/xcat/bin nor /opt/xcat/sbin" >&2
  return 127
}
xc_run() {
  xc_n=$1; shift
  printf '\036%s\n' "$xc_n"
  { xc_err=$( { "$@" </dev/null 2>&1 >&3 3>&-; printf '\n%s' "$?"; } ); } 3>&1
  xc_rc=${xc_err##*"$xc_nl"}
  printf '\036=%s\n%s\n\036\n' "$xc_rc" "${xc_err%"$xc_nl"*}"
}
xc_cap() {
  xc_n=$1; shift
  xc_out=$("$@" </dev/null 2>&1)
  xc_rc=$?
  printf '\036%s\n%s\n\036=%s\n\036\n' "$xc_n" "$xc_out" "$xc_rc"
}
xc_say() {
  xc_n=$1; shift
  printf '\036%s\n%s\n\036=0\n\036\n' "$xc_n" "$*"
}
xc_progress() { printf 'xplay:progress %s\n' "$*"; }
xc_sum() {
  if command -v sha256sum >/dev/null 2>&1; then xc_h=$(sha256sum <"$1")
  elif command -v openssl >/dev/null 2>&1; then xc_h=$(openssl dgst -sha256 <"$1"); xc_h=${xc_h##* }
  else xc_h=$(cksum <"$1"); xc_h=cksum-${xc_h%% *}; fi 2>/dev/null
  printf '%s' "${xc_h%% *}"
}
xc_image() {
  xc_cap definition xcat lsdef -t osimage -z "$1"
  xc_def=$xc_out
}
xc_quiet_image() { xc_def=$(xcat lsdef -t osimage -z "$1" </dev/null 2>/dev/null); }
xc_attr() {
  printf '%s\n' "$xc_def" | sed -n "s/^    $1=//p" | sed -n 1p
}
xc_includes() {
  xc_todo=$2
  xc_seen=
  while [ -n "$xc_todo" ]; do
    xc_f=${xc_todo%%"$xc_nl"*}
    case $xc_todo in *"$xc_nl"*) xc_todo=${xc_todo#*"$xc_nl"} ;; *) xc_todo= ;; esac
    case "$xc_nl$xc_seen$xc_nl" in *"$xc_nl$xc_f$xc_nl"*) continue ;; esac
    xc_seen=$xc_seen$xc_nl$xc_f
    "$1" "$xc_f"
    [ -f "$xc_f" ] || continue
    xc_inc=$(sed -n 's/^[[:space:]]*#INCLUDE:\(.*\)#[[:space:]]*$/\1/p' "$xc_f")
    while IFS= read -r xc_i; do
      case $xc_i in '') continue ;; /*) ;; *) xc_i=${xc_f%/*}/$xc_i ;; esac
      xc_todo=${xc_todo:+$xc_todo$xc_nl}$xc_i
    done <<XC_END
$xc_inc
XC_END
  done
}
xc_comma() {
  xc_fn=$1
  xc_rest=$2
  while [ -n "$xc_rest" ]; do
    xc_item=${xc_rest%%,*}
    case $xc_rest in *,*) xc_rest=${xc_rest#*,} ;; *) xc_rest= ;; esac
    [ -z "$xc_item" ] || "$xc_fn" "$xc_item"
  done
}
xc_lock_holder() {
  xc_l=$(printf '%s' "$1" | tr / .)
  for xc_f in /var/lock/xcat/"$xc_l".*; do
    [ -f "$xc_f" ] || continue
    xc_p=$(sed -n 1p "$xc_f" 2>/dev/null)
    case $xc_p in ''|*[!0-9]*) continue ;; esac
    kill -0 "$xc_p" 2>/dev/null || continue
    xc_cmd=$(tr '\000' ' ' <"/proc/$xc_p/cmdline" 2>/dev/null)
    case $xc_cmd in *genimage*|*packimage*|*rmimage*|*xcatd*) printf '%s' "$xc_p"; return ;; esac
  done
}
"#;

/// Returns a whole script: the functions, then `body`.
pub fn script(body: &str) -> String {
    format!("{PRELUDE}{body}\n")
}

/// Appends formatted text.
pub fn add(text: &mut String, more: std::fmt::Arguments) {
    use std::fmt::Write as _;
    text.write_fmt(more).expect("writing to a String cannot fail");
}

/// What one command of a script printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub out: String,
    pub err: String,
    pub rc: i32,
}

impl Section {
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.out.lines().filter(|line| !line.trim().is_empty())
    }

    /// Returns the first line, trimmed.
    pub fn line(&self) -> &str {
        self.lines().next().unwrap_or_default().trim()
    }
}

/// A script's stdout in parts.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    list: Vec<Section>,
    /// What was printed outside of sections, progress lines removed.
    pub plain: String,
}

impl Sections {
    pub fn parse(stdout: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stdout);
        let mut sections = Sections::default();
        let mut pieces = text.split('\u{1e}');
        let mut plain = pieces.next().unwrap_or_default().to_string();
        for piece in pieces {
            let (head, body) = piece.split_once('\n').unwrap_or((piece, ""));
            if head.is_empty() {
                plain.push_str(body);
                continue;
            }
            match (head.strip_prefix('='), sections.list.last_mut()) {
                (Some(rc), Some(last)) => {
                    last.rc = rc.trim().parse().unwrap_or(-1);
                    last.err = body.trim_end_matches('\n').to_string();
                }
                _ => sections.list.push(Section {
                    name: head.to_string(),
                    out: without_progress(body),
                    // A section that was cut off never succeeded.
                    rc: -1,
                    err: String::new(),
                }),
            }
        }
        sections.plain = without_progress(&plain);
        sections
    }

    /// Reads what a probe printed and refuses a management node that does not work.
    pub fn of_probe(seen: &Seen) -> Result<Self, Failure> {
        let sections = Self::parse(&seen.stdout);
        if sections.list.is_empty() && seen.rc != 0 {
            return Err(Failure::from_output(&Output {
                rc: seen.rc,
                stdout: seen.stdout.clone(),
                stderr: seen.stderr.clone(),
                ..Output::default()
            }));
        }
        sections.ready()?;
        Ok(sections)
    }

    /// Returns the plain output of a long action that ended well; what goes wrong with `what` becomes the failure.
    /// Long actions print no sections, because their output is shown to people while it comes.
    pub fn of_long(ran: &[Output], what: &str) -> Result<String, Failure> {
        let output = ran.first().ok_or_else(|| Failure::new("the change was not executed"))?;
        let text = without_progress(&String::from_utf8_lossy(&output.stdout));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.rc == 0 {
            return Ok(text);
        }
        let section = Section { name: String::new(), out: text, err: stderr, rc: output.rc };
        Sections { list: vec![section.clone()], plain: String::new() }.ready()?;
        Err(super::common::command_failed(what, &section))
    }

    /// Reads what a change printed; a management node that stopped working in between is a failure.
    pub fn of_change(ran: &[Output], index: usize) -> Result<Self, Failure> {
        let output = ran.get(index).ok_or_else(|| match ran.last() {
            Some(last) if last.rc != 0 => Failure::from_output(last),
            _ => Failure::new("the change was not executed"),
        })?;
        let sections = Self::parse(&output.stdout);
        sections.ready()?;
        if output.rc != 0 {
            return Err(Failure::from_output(output).with("stdout", sections.plain.clone()));
        }
        Ok(sections)
    }

    pub fn get(&self, name: &str) -> Option<&Section> {
        self.list.iter().find(|s| s.name == name)
    }

    /// Returns the text of a section; a missing one is empty.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |s| s.out.as_str())
    }

    /// Returns the trimmed first line of a section.
    pub fn line(&self, name: &str) -> &str {
        self.get(name).map_or("", Section::line)
    }

    /// Returns the sections named `prefix NAME`, with NAME.
    pub fn named<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a Section)> {
        let prefix = format!("{prefix} ");
        self.list.iter().filter_map(move |s| s.name.strip_prefix(&prefix).map(|name| (name, s)))
    }

    /// Refuses what every xCAT command answers when it cannot work at all.
    fn ready(&self) -> Result<(), Failure> {
        for section in &self.list {
            let down = section.out.contains("Unable to open socket connection to xcatd")
                || section.err.contains("Connection failure:") && section.rc == 111;
            if section.rc == 111 || down && section.rc != 0 {
                return Err(Failure::new(
                    "management node not ready: xcatd does not answer (start it with `systemctl start xcatd` or \
                     `service xcatd start`, then run again)",
                )
                .with("rc", 111)
                .with("stdout", section.out.clone())
                .with("stderr", section.err.clone()));
            }
            let said = |text: &str| section.err.contains(text) || section.out.contains(text);
            if section.rc == 127 && said("is in neither /opt/xcat/bin nor /opt/xcat/sbin") {
                return Err(Failure::new(
                    "xCAT is not installed here: no commands in /opt/xcat/bin and /opt/xcat/sbin",
                )
                .with("rc", 127)
                .with("stderr", format!("{}{}", section.out, section.err)));
            }
            if section.rc != 0 && said("Permission denied for request") {
                return Err(Failure::new("xcatd refuses this user: permission denied for request (root is needed, or a policy rule)")
                    .with("rc", section.rc)
                    .with("stderr", section.err.clone()));
            }
        }
        Ok(())
    }
}

fn without_progress(text: &str) -> String {
    if !text.contains(PROGRESS) {
        return text.to_string();
    }
    text.split_inclusive('\n').filter(|line| !line.starts_with(PROGRESS)).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Runs a script with a real sh, `/opt/xcat` and other roots replaced by folders of a test.
    pub fn run_with(sh: &str, script: &str, replace: &[(&str, &str)]) -> Output {
        let mut text = script.to_string();
        for (from, to) in replace {
            text = text.replace(from, to);
        }
        let out = Command::new(sh).arg("-c").arg(text).stdin(Stdio::null()).output().expect("sh is there");
        Output {
            rc: out.status.code().unwrap_or(-1),
            stdout: out.stdout,
            stderr: out.stderr,
            ..Output::default()
        }
    }

    pub fn seen(output: &Output) -> Seen {
        Seen::from(output.clone())
    }

    /// Returns a probe's stdout with the given sections: name, stdout, rc, stderr.
    pub fn printed(sections: &[(&str, &str, i32, &str)]) -> Seen {
        let mut stdout = String::new();
        for (name, out, rc, err) in sections {
            add(&mut stdout, format_args!("\u{1e}{name}\n{out}\u{1e}={rc}\n{err}\n\u{1e}\n"));
        }
        Seen { stdout: stdout.into_bytes(), ..Seen::default() }
    }

    #[test]
    fn sections_keep_streams_and_codes_apart() {
        let body = r#"echo before
xc_run one sh -c 'echo out; echo "no end" >&2; printf tail; exit 3'
echo "xplay:progress 40%"
xc_cap two sh -c 'echo a; echo b >&2'
xc_say three "$xc_rc"
echo after"#;
        for sh in ["sh", "bash", "busybox"] {
            let text = script(body);
            let output = match sh {
                "busybox" => run_with("sh", &format!("exec busybox sh -c {}", quote(&text)), &[]),
                _ => run_with(sh, &text, &[]),
            };
            if output.rc == 127 {
                continue;
            }
            let sections = Sections::parse(&output.stdout);
            let one = sections.get("one").expect("printed");
            assert_eq!((one.out.as_str(), one.err.as_str(), one.rc), ("out\ntail", "no end", 3), "{sh}");
            assert_eq!(sections.text("two"), "a\nb\n", "{sh}");
            assert_eq!(sections.line("three"), "0", "{sh}");
            assert_eq!(sections.plain, "before\nafter\n", "{sh}");
        }
    }

    #[test]
    fn a_section_that_was_cut_off_has_failed() {
        let sections = Sections::parse(b"\x1ea\nhalf a li");
        assert_eq!(sections.get("a").map(|s| s.rc), Some(-1));
    }

    #[test]
    fn includes_are_followed_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "bash\n#INCLUDE:sub/b#\n#INCLUDE:a#\n").expect("written");
        std::fs::create_dir(at("sub")).expect("made");
        std::fs::write(at("sub/b"), "#INCLUDE:c#\nvim\n").expect("written");
        let body =
            format!("show() {{ echo \"$1\"; }}\nxc_includes show {}", quote(&at("a").to_string_lossy()));
        let output =
            run_with("sh", &script(&body), &[(&dir.path().to_string_lossy(), &dir.path().to_string_lossy())]);
        let base = dir.path().to_string_lossy().into_owned();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{base}/a\n{base}/sub/b\n{base}/sub/c\n")
        );
    }

    #[test]
    fn daemon_down_is_its_own_failure() {
        let seen = printed(&[(
            "lsdef",
            "Unable to open socket connection to xcatd daemon on localhost:3001.\n",
            111,
            "Connection failure: IO::Socket::INET: connect: Connection refused",
        )]);
        let failure = Sections::of_probe(&seen).expect_err("refused");
        assert!(failure.msg.starts_with("management node not ready"), "{}", failure.msg);
    }
}
