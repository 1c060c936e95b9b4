//! The SSH key that the `user` module makes.

use super::sh::{Report, expand_path, q, word};
use super::{Args, Call, Failure};
use crate::value::{Map, Value};

/// The return values about a key.
pub const RETURNS: &[&str] = &["ssh_fingerprint", "ssh_key_file", "ssh_public_key"];

/// Returns shell functions that stand behind `xp_account`: `xp_key_look` tells about the key, `xp_key_make` makes it
/// when none is there, and tells about it.
pub fn functions(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let kind = args.str("ssh_key_type").unwrap_or("rsa");
    let file = match args.str("ssh_key_file") {
        // Relative to the home, which only the target knows.
        Some(path) if !path.starts_with(['/', '~', '$']) => format!("\"$xp_home/\"{}", q(path)),
        Some(path) => q(&expand_path(call, path)?),
        None => format!("\"$xp_home/.ssh/id_\"{}", q(kind)),
    };
    let comment = match args.str("ssh_key_comment") {
        Some(text) => q(text),
        None => "\"ansible-generated on $(uname -n)\"".to_string(),
    };
    let bits = match args.int("ssh_key_bits") {
        Some(bits) if bits > 0 => format!(" -b {bits}"),
        _ => String::new(),
    };
    let force = if args.flag("force") { "1" } else { "" };
    let generate = if args.has("ssh_key_passphrase") {
        // ssh-keygen asks a program for it, which reads it from the environment: no command line shows it.
        "xp_ask=$(mktemp \"${xp_key%/*}/.xplay.XXXXXXXX\") || xp_fail \"cannot make a file in ${xp_key%/*}\"\n\
         trap 'rm -f -- \"$xp_ask\"' EXIT\n\
         printf '#!/bin/sh\\nprintf %%s\\\\\\\\n \"$XP_PHRASE\"\\n' >\"$xp_ask\"\n\
         chmod 700 \"$xp_ask\"\n\
         export XP_PHRASE=\"$xp_phrase\" DISPLAY=\"${DISPLAY:-none}\" SSH_ASKPASS=\"$xp_ask\" SSH_ASKPASS_REQUIRE=force\n\
         "
        .to_string()
            + &format!("xp_tool ssh-keygen -q -t {}{bits} -C {comment} -f \"$xp_key\"\n", q(kind))
            + "rm -f -- \"$xp_ask\"\ntrap - EXIT\nunset XP_PHRASE\n"
    } else {
        format!("xp_tool ssh-keygen -q -t {}{bits} -C {comment} -f \"$xp_key\" -N ''\n", q(kind))
    };
    Ok(format!(
        r#"xp_key={file}
xp_key_look() {{
	xp_tell ssh_key_file "$xp_key"
	if [ -e "$xp_key" ]; then
		printf 'key yes\n'
		xp_f=$(LC_ALL=C ssh-keygen -l -f "$xp_key" 2>&1 </dev/null)
		xp_tell ssh_fingerprint "$xp_f"
	fi
	if [ -e "$xp_key.pub" ]; then
		printf 'pub yes\n'
		xp_tell ssh_public_key "$(cat -- "$xp_key.pub" 2>/dev/null)"
	fi
}}
xp_key_make() {{
	if [ -z "{force}" ] && [ -e "$xp_key" ]; then
		xp_tell warning "there is an SSH key in $xp_key already, it was kept; force replaces it"
	elif [ -z "{force}" ] && [ -e "$xp_key.pub" ]; then
		xp_tell warning "there is a public SSH key in $xp_key.pub already, no key was made; force replaces it"
	else
		if [ ! -d "${{xp_key%/*}}" ]; then
			xp_do "make the directory ${{xp_key%/*}}" mkdir -m 700 -- "${{xp_key%/*}}"
			xp_do "give ${{xp_key%/*}} to $xp_n" chown "$xp_uid:$xp_gid" "${{xp_key%/*}}"
		fi
		for xp_f in "$xp_key" "$xp_key.pub"; do
			if [ -e "$xp_f" ] || [ -h "$xp_f" ]; then
				xp_tell warning "the SSH key in $xp_f was replaced"
				xp_do "remove $xp_f" rm -f -- "$xp_f"
			fi
		done
{generate}		xp_do "give the key to $xp_n" chown "$xp_uid:$xp_gid" "$xp_key" "$xp_key.pub"
	fi
	xp_key_look
}}
"#
    ))
}

/// Whether a key is to be made; says so when one that is there is kept.
pub fn to_make(args: &Args, report: &Report, warnings: &mut Vec<String>) -> bool {
    if args.flag("force") {
        return true;
    }
    let file = report.word("ssh_key_file").unwrap_or_default();
    if report.get("key").is_some() {
        warnings.push(format!("there is an SSH key in {file} already, it was kept; force replaces it"));
        return false;
    }
    if report.get("pub").is_some() {
        warnings.push(format!(
            "there is a public SSH key in {file}.pub already, no key was made; force replaces it"
        ));
        return false;
    }
    true
}

/// Adds what is known of the key.
pub fn describe(result: &mut Map, report: &Report) {
    if report.get("ssh_key_file").is_none() {
        return;
    }
    for key in RETURNS {
        let value = report.get(key).and_then(word).map(|t| Value::from(t.trim().to_string()));
        result.insert(*key, value.unwrap_or(Value::Null));
    }
}
