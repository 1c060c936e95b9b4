//! Shell text: the one quoting function, and the lines that make a plain `sh` take frames.

use super::{ExactRead, StatFlavour};

/// Quotes a text so that `sh` reads it back as exactly one word with exactly these characters.
///
/// The result is always inside single quotes, so it has no other special characters, and a newline or a leading
/// dash stays what it is. A leading dash is still an option to the program that gets it: pass `--` or `./`. A
/// NUL cannot be part of a shell word; whoever takes text from files rejects it before.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        if c == '\'' {
            out.push_str("'\\''");
        } else {
            out.push(c);
        }
    }
    out.push('\'');
    out
}

/// Quotes for the login shell of an account, which may be csh or fish: as [`quote`], but only for texts on which
/// all of them agree. Returns nothing for others.
pub(super) fn quote_for_any_shell(text: &str) -> Option<String> {
    let odd = |c: char| c.is_control() || matches!(c, '\'' | '\\' | '!');
    if text.chars().any(odd) {
        return None;
    }
    Some(quote(text))
}

/// Returns the program text that an `sh -c` runs for a session: it says that it is there and then evaluates its
/// stdin line by line.
///
/// `read` takes single bytes, so what follows a line on the same stdin is left for the commands that the line
/// starts; `sh -s` would read ahead in blocks. The text has no newline, quote, backslash or `!`, which the
/// account's login shell (possibly csh or fish) would treat in its own way.
pub(super) fn loop_program(ready: &str) -> String {
    format!("echo {ready}; while IFS= read -r _xp_r; do eval \"$_xp_r\"; done")
}

/// The functions of a session, one complete command on each line because the loop evaluates single lines.
///
/// - `_xp_l N` loads a script of N lines, `_xp_b N` one of N bytes; `_xp_p` evaluates it in the loop's own shell.
/// - `_xp_x` runs it without stdin, `_xp_i ARG SIZE` with SIZE bytes of stdin that `_xp_t ARG` takes off the loop's.
/// - `_xp_e MARKER` ends a frame. The marker arrives after the script has ended, so no script can know and print it.
///
/// A shell that cannot tell how much of an upload was consumed must end, or the rest would be run as commands:
/// `_xp_i` keeps the reader alive until all was taken (`_xp_d`) and ends the loop unless the taking succeeded.
///
/// The first line helps accounts whose shell starts without a usable PATH. The second finds a newline where every shell
/// has one, which spares a process.
pub(super) const FRAME_FUNCTIONS: &str = r#"command -v cat >/dev/null 2>&1 || { PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin; export PATH; }
_xp_n=${IFS#??}; case $_xp_n in [[:cntrl:]]) ;; *) _xp_n=$(printf '\nx'); _xp_n=${_xp_n%x} ;; esac; _xp_rc=0
_xp_l() { _xp_s=; _xp_c=$1; while [ "$_xp_c" -gt 0 ]; do IFS= read -r _xp_r || exit 125; _xp_s=$_xp_s$_xp_r$_xp_n; _xp_c=$((_xp_c-1)); done; }
_xp_b() { _xp_s=$(_xp_t "$1" && printf x) || exit 126; _xp_s=${_xp_s%x}; }
_xp_p() { eval "$_xp_s"; _xp_rc=$?; }
_xp_x() { ( set --; eval "$_xp_s" ) </dev/null; _xp_rc=$?; }
_xp_d() { if [ "$1" -gt 65536 ]; then cat >/dev/null; else while IFS= read -r _xp_r; do :; done; fi; }
_xp_i() { { _xp_r=$( { { _xp_t "$1" 3>&- 4>&- && echo taken >&3; } | { ( XP_STDIN_SIZE=$2; set --; eval "$_xp_s" ) >&4 3>&- 4>&-; _xp_rc=$?; _xp_d "$2"; echo "rc$_xp_rc" >&3; }; } 3>&1 ); } 4>&1; case $_xp_r in *taken*rc*|*rc*taken*) ;; *) exit 126 ;; esac; _xp_rc=${_xp_r#*rc}; _xp_rc=${_xp_rc%%[!0-9]*}; }
_xp_e() { printf '\036%s %s\n' "$1" "$_xp_rc"; printf '\036%s %s\n' "$1" "$_xp_rc" >&2; }
"#;

/// Defines `_xp_t`, which copies exactly the announced bytes from stdin to stdout.
pub(super) fn take_function(how: ExactRead) -> &'static str {
    match how {
        // Big contents by a program that takes larger pieces, where it can count them.
        ExactRead::Head => {
            "_xp_t() { _xp_c=0; if [ \"$1\" -gt 1048576 ] && dd count=0 iflag=fullblock </dev/null 2>/dev/null; then \
             _xp_c=$(($1/65536)); dd bs=65536 count=\"$_xp_c\" iflag=fullblock 2>/dev/null || return 1; fi; \
             head -c \"$(($1-_xp_c*65536))\"; }\n"
        }
        ExactRead::Dd => {
            "_xp_t() { _xp_c=$(($1/65536)); [ \"$_xp_c\" -eq 0 ] || dd bs=65536 count=\"$_xp_c\" iflag=fullblock \
             2>/dev/null || return 1; _xp_c=$(($1%65536)); [ \"$_xp_c\" -eq 0 ] || dd bs=\"$_xp_c\" count=1 \
             iflag=fullblock 2>/dev/null; }\n"
        }
        ExactRead::Builtin => {
            "_xp_t() { _xp_c=$1; while [ \"$_xp_c\" -gt 0 ]; do IFS= read -r _xp_r || return 1; printf \"$_xp_r\"; \
             _xp_c=$((_xp_c-1)); done; }\n"
        }
    }
}

/// Tells the scripts of modules whether there is a `stat` with formats, which was found out already.
pub(super) fn known_tools(stat: StatFlavour) -> &'static str {
    match stat {
        StatFlavour::None => "XP_STAT=\n",
        StatFlavour::Gnu | StatFlavour::Busybox => "XP_STAT=1\n",
    }
}

/// Names the private directory and removes it when the shell ends. `xp_tmp` makes it. The name cannot be guessed,
/// but it can be seen while `rm` runs, so what is there already must be a directory of this user.
pub(super) fn private_directory(token: &str) -> String {
    format!(
        "XP_TMP=${{TMPDIR:-/tmp}}/xplay.{token}; trap '[ ! -d \"$XP_TMP\" ] || rm -rf \"$XP_TMP\"' EXIT\n\
         xp_tmp() {{ if [ -d \"$XP_TMP\" ] && [ ! -L \"$XP_TMP\" ] && [ -O \"$XP_TMP\" ]; then return 0; fi; mkdir -m 700 \
         \"$XP_TMP\"; }}\n"
    )
}

/// Asks for [`super::Capabilities`]: `name=value` lines in any order.
///
/// Old busybox `head -c` reads more than it gives on, which is tried on a pipe with known content.
pub(super) const CAPABILITIES: &str = r#"LC_ALL=C; export LC_ALL
printf id=; id || echo
echo "home=$HOME"
printf uname=; uname -s -n -r -m || echo
echo "pid=$$"
_xp_g=
if [ -r /proc/self/stat ]; then read -r _xp_1 _xp_2 _xp_3 _xp_4 _xp_g _xp_5 </proc/self/stat; fi
[ -n "$_xp_g" ] || _xp_g=$(ps -o pgid= -p $$ 2>/dev/null)
echo "pgid=$_xp_g"
for _xp_1 in sha256sum base64 setsid python3; do
  if command -v "$_xp_1" >/dev/null 2>&1; then echo "has=$_xp_1"; fi
done
if [ -d /run/systemd/system ]; then echo has=systemctl; fi
if [ -e /sys/fs/selinux/enforce ]; then echo has=selinux; fi
if stat --printf= / 2>/dev/null; then echo stat=gnu; elif stat -c %s / >/dev/null 2>&1; then echo stat=busybox; fi
_xp_a() { "$@" >/dev/null 2>&1; IFS= read -r _xp_r; [ "$_xp_r" = def ]; }
if echo abcdef | _xp_a head -c 3; then echo take=head
elif echo abcdef | _xp_a dd bs=3 count=1 iflag=fullblock; then echo take=dd
fi
"#;

/// Stops a session's process group from a second shell, on one line: TERM, two seconds to obey, KILL.
///
/// The group is touched only while its shell is the one that this session started (its command line has the
/// token), because numbers are used again. Dead processes that nobody has collected yet (usual in containers) do
/// not count as members.
pub(super) fn stop_group(shell_pid: u32, group: u32, ready: &str, tmp_token: &str) -> String {
    format!(
        "_xp_a() {{ [ -r /proc/self/stat ] || {{ kill -0 -{group}; return; }}; for _xp_f in /proc/[0-9]*/stat; do \
         read -r _xp_v <\"$_xp_f\" || continue; set -- ${{_xp_v##*\\)}}; [ \"$3\" != {group} ] || [ \"$1\" = Z ] || \
         return 0; done; return 1; }}; \
         if [ ! -r /proc/{shell_pid}/cmdline ] || grep -q {ready} /proc/{shell_pid}/cmdline; then \
         kill -TERM -{group}; _xp_c=0; while [ \"$_xp_c\" -lt 40 ] && _xp_a; do sleep 0.05 || {{ sleep 1; \
         _xp_c=$((_xp_c+19)); }}; _xp_c=$((_xp_c+1)); done; kill -KILL -{group}; fi 2>/dev/null; \
         rm -rf \"${{TMPDIR:-/tmp}}/xplay.{tmp_token}\"; exit 0\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    use proptest::prelude::*;

    fn echoed(words: &[String]) -> Vec<u8> {
        let quoted: Vec<String> = words.iter().map(|w| quote(w)).collect();
        let script = format!("printf '%s\\0' {}", quoted.join(" "));
        Command::new("/bin/sh").arg("-c").arg(script).output().unwrap().stdout
    }

    fn check(words: &[&str]) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut expect = Vec::new();
        for w in &words {
            expect.extend_from_slice(w.as_bytes());
            expect.push(0);
        }
        assert_eq!(echoed(&words), expect, "{words:?}");
    }

    #[test]
    fn quoted_text_survives_a_real_shell() {
        check(&[
            "", " ", "'", "''", "a'b'c", "\n", "a\n", "\n\n'\n", "-n", "--", "-e \\c", "$HOME", "`id`", "\\",
        ]);
        check(&[
            "*",
            "~",
            "!!",
            "%s%n",
            "é€😀",
            "\t\r",
            "$(id)",
            "a;b|c&d",
            "#x",
            "{a,b}",
            "\u{7f}\u{80}\u{ff}",
        ]);
        let every: String = (1..=255u32).filter_map(char::from_u32).collect();
        check(&[&every]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_survives(words in proptest::collection::vec("[^\0]{0,40}|[-'\"\\\\ \n$`]{0,12}", 1..20)) {
            let mut expect = Vec::new();
            for w in &words {
                expect.extend_from_slice(w.as_bytes());
                expect.push(0);
            }
            prop_assert_eq!(echoed(&words), expect);
        }
    }

    #[test]
    fn login_shells_get_only_what_all_of_them_read_alike() {
        assert_eq!(quote_for_any_shell("svc user"), Some("'svc user'".into()));
        for odd in ["a'b", "a\\b", "a!b", "a\nb"] {
            assert_eq!(quote_for_any_shell(odd), None);
        }
        assert!(quote_for_any_shell(&loop_program("xplay-ready-00")).is_some());
        assert!(FRAME_FUNCTIONS.lines().count() == 9, "each line is evaluated alone");
    }
}
