//! Getting URLs on a target: by curl, or by wget where there is no curl.

use super::sh::q;

/// Returns shell text that prints what an URL gives, or fails.
pub fn read_url(url: &str, check_certificate: bool) -> String {
    let (curl, wget) = if check_certificate { ("", "") } else { (" -k", " --no-check-certificate") };
    let url = q(url);
    format!(
        "if command -v curl >/dev/null 2>&1; then curl -fsSL{curl} -- {url}; \
         elif command -v wget >/dev/null 2>&1; then wget -q{wget} -O - -- {url}; \
         else xp_fail 'there is neither curl nor wget on the target'; fi"
    )
}
