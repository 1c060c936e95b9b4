//! Fetching a file from a URL on the target, for modules that are given URLs of packages and keys.

use crate::modules::sh::q;

/// Whether the server's certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    Checked,
    Ignored,
}

/// Returns a line that stores a URL's content in a file, which is given as a shell word; the script fails with the
/// reason when it cannot.
pub fn script(url: &str, dest_word: &str, certificates: Certificates) -> String {
    script_of_word(&q(url), dest_word, certificates)
}

/// Returns the same for a URL that is a shell word already.
pub fn script_of_word(url: &str, dest_word: &str, certificates: Certificates) -> String {
    let (curl, wget) = match certificates {
        Certificates::Checked => ("", ""),
        Certificates::Ignored => (" --insecure", " --no-check-certificate"),
    };
    format!(
        "xp_url={url}\n\
         if command -v curl >/dev/null 2>&1; then xp_e=$(LC_ALL=C curl -fsSL --retry 2{curl} -o {dest_word} -- \"$xp_url\" 2>&1) || xp_fail \"Failure downloading $xp_url, $(xp_why \"$xp_e\")\"\n\
         elif command -v wget >/dev/null 2>&1; then xp_e=$(LC_ALL=C wget -q{wget} -O {dest_word} \"$xp_url\" 2>&1) || xp_fail \"Failure downloading $xp_url, ${{xp_e:-wget failed}}\"\n\
         else case $xp_url in file://*) xp_do \"read $xp_url\" cp -- \"${{xp_url#file://}}\" {dest_word} ;; *) xp_fail \"Failure downloading $xp_url, there is neither curl nor wget on the target\" ;; esac; fi\n"
    )
}

/// Returns lines that make a private folder `xp_dir`, which is removed at the end.
pub fn private_dir() -> &'static str {
    "xp_dir=$(umask 077 && mktemp -d \"${TMPDIR:-/tmp}/.xplay.XXXXXXXX\") || exit 1\n\
     trap 'rm -rf -- \"$xp_dir\"' EXIT\ntrap 'exit 129' HUP\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n"
}
