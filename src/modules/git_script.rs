//! The shell lines of the `git` module.

use super::git::{Kind, path_word, repo, version};
use super::sh::{expand_path, q};
use super::{Args, Call, Failure};
use crate::value::Value;

/// How a version is checked out.
pub struct Way {
    pub kind: Kind,
    /// The branch that the working copy is on.
    pub branch: String,
}

/// Returns the first lines of all scripts: variables, the environment of git, and functions.
pub fn head(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let program = match args.str("executable") {
        Some(path) => q(&expand_path(call, path)?),
        None => "git".to_string(),
    };
    let mut script = format!(
        "xp_g={program} xp_dest={} xp_repo={} xp_r={} xp_v={}\nexport LC_ALL=C LANGUAGE=C GIT_TERMINAL_PROMPT=0\n",
        path_word(call, "dest")?,
        q(&repo(call)),
        q(args.str("remote").unwrap_or("origin")),
        q(version(call)),
    );
    script += &umask(args)?;
    script += &ssh(call)?;
    let at = if args.flag("bare") { "$xp_dest" } else { "$xp_dest/.git" };
    add!(
        script,
        "xp_in() {{ (cd \"$xp_dest\" && \"$xp_g\" \"$@\" </dev/null); }}\n\
         xp_must() {{\nxp_what=$1\nshift\nxp_o=$(xp_in \"$@\" 2>&1) || {{ printf '%s: %s\\n' \"$xp_what\" \"$xp_o\" >&2; exit 1; }}\n}}\n\
         xp_dir={at}\nif [ -f \"$xp_dir\" ]; then\nxp_o=$(sed -n 's/^gitdir: //p' \"$xp_dir\")\n\
         case $xp_o in /*) xp_dir=$xp_o ;; '') xp_fail \"$xp_dir does not say where the repository is\" ;; *) xp_dir=$xp_dest/$xp_o ;; esac\n\
         [ -d \"$xp_dir\" ] || xp_fail \"$xp_dir is not a directory\"\nfi\n"
    );
    Ok(script)
}

fn umask(args: &Args) -> Result<String, Failure> {
    match args.get("umask") {
        None => Ok(String::new()),
        Some(Value::Str(text)) if !text.is_empty() && text.chars().all(|c| ('0'..='7').contains(&c)) => {
            Ok(format!("umask {text}\n"))
        }
        Some(Value::Str(_)) => Err(Failure::new("umask must be an octal integer")),
        Some(_) => Err(Failure::new("umask must be defined as a quoted octal integer")),
    }
}

/// Tells git how to call SSH: by its own variable, and by a file for versions before 2.3.
fn ssh(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let mut options = args.str("ssh_opts").unwrap_or_default().to_string();
    if !options.contains("StrictHostKeyChecking=") {
        if args.flag("accept_hostkey") {
            options += " -o StrictHostKeyChecking=no";
        } else if args.flag("accept_newhostkey") {
            options += " -o StrictHostKeyChecking=accept-new";
        }
    }
    if !options.contains("BatchMode=yes") {
        options += " -o BatchMode=yes";
    }
    if args.has("key_file") {
        add!(options, " -i {}", path_word(call, "key_file")?);
        if !options.contains("IdentitiesOnly=yes") {
            options += " -o IdentitiesOnly=yes";
        }
    }
    let command = q(&format!(" {}", options.trim()));
    let mut script = format!("export GIT_SSH_COMMAND=\"${{GIT_SSH_COMMAND:-${{GIT_SSH:-ssh}}}}\"{command}\n");
    if args.has("key_file") || args.has("ssh_opts") || args.flag("accept_hostkey") {
        script += "case $(\"$xp_g\" --version 2>/dev/null) in *' '1.* | *' '2.[012].*)\n\
                   xp_w=$(mktemp) || xp_fail 'cannot make a file for the options of ssh'\ntrap 'rm -f -- \"$xp_w\"' EXIT\n\
                   printf '#!/bin/sh\\nexec %s \"$@\"\\n' \"$GIT_SSH_COMMAND\" >\"$xp_w\"\nchmod 700 \"$xp_w\"\nexport GIT_SSH=\"$xp_w\" ;;\nesac\n";
    }
    Ok(script)
}

/// Returns the script that makes a working copy.
pub fn clone(call: &Call, way: &Way) -> Result<String, Failure> {
    let args = &call.args;
    let mut script = head(call)?;
    let mut options =
        if args.flag("bare") { " --bare".to_string() } else { " --origin \"$xp_r\"".to_string() };
    let named = way.kind == Kind::Branch || way.kind == Kind::Other && !looks_like_commit(version(call));
    let mut branch = false;
    if let Some(depth) = depth(args) {
        if way.kind == Kind::Head || args.has("refspec") {
            add!(options, " --depth {depth}");
        } else if named {
            add!(options, " --depth {depth} --branch \"$xp_v\"");
            branch = true;
        } else {
            script += "xp_tell warning 'the depth is ignored: a single commit cannot be fetched with it'\n";
        }
    }
    if let Some(reference) = args.str("reference") {
        add!(options, " --reference {}", q(reference));
    }
    if args.flag("single_branch") {
        options += " --single-branch";
        if named && !branch {
            options += " --branch \"$xp_v\"";
        }
    }
    if args.has("separate_git_dir") {
        add!(options, " --separate-git-dir={}", path_word(call, "separate_git_dir")?);
    }
    add!(
        script,
        "xp_do \"make the directory of $xp_dest\" mkdir -p -- \"$(dirname -- \"$xp_dest\")\"\n\
         xp_o=$(\"$xp_g\" clone{options} -- \"$xp_repo\" \"$xp_dest\" 2>&1 </dev/null) || {{ printf '%s\\n' \"$xp_o\" >&2; exit 1; }}\n"
    );
    if args.flag("bare") && args.str("remote") != Some("origin") {
        script += "xp_must 'Failed to add the remote' remote add \"$xp_r\" \"$xp_repo\"\n";
    }
    if let Some(refspec) = args.str("refspec") {
        let depth = depth(args).map(|d| format!(" --depth {d}")).unwrap_or_default();
        add!(script, "xp_must 'Failed to fetch' fetch{depth} \"$xp_r\" {}\n", q(refspec));
    }
    script += &switch(call, way)?;
    finish(call, script)
}

/// What else is to be done to a working copy that is there.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    /// Local changes are discarded.
    pub mods: bool,
    /// The repository itself moves to another folder.
    pub relocates: bool,
}

/// Returns the script that updates a working copy.
pub fn update(call: &Call, way: &Way, extra: Extra) -> Result<String, Failure> {
    let mut script = head(call)?;
    if extra.relocates {
        add!(
            script,
            "xp_to={}\n[ ! -e \"$xp_to\" ] || xp_fail \"Separate-git-dir path $xp_to already exists.\"\n\
             xp_do \"move the repository to $xp_to\" mv -- \"$xp_dir\" \"$xp_to\"\nprintf 'gitdir: %s\\n' \"$xp_to\" >\"$xp_dest/.git\"\n\
             xp_tell moved \"$xp_dir\"\nxp_tell moved_to \"$xp_to\"\n",
            path_word(call, "separate_git_dir")?
        );
    }
    if extra.mods {
        script += "xp_must 'Failed to discard local changes' reset --hard HEAD\nprintf 'mods yes\\n'\n";
    }
    script += "xp_u=$(xp_in ls-remote --get-url \"$xp_r\" 2>/dev/null)\nif [ \"${xp_u#file://}\" != \"${xp_repo#file://}\" ]; then\n\
               xp_must \"Failed to set a new url $xp_repo for $xp_r\" remote set-url \"$xp_r\" \"$xp_repo\"\nprintf 'url yes\\n'\nfi\n";
    script += &fetch(call, way);
    script += &switch(call, way)?;
    finish(call, script)
}

fn fetch(call: &Call, way: &Way) -> String {
    let args = &call.args;
    let v = version(call);
    let extra = args.str("refspec").map(|r| format!(" {}", q(r))).unwrap_or_default();
    let force = if args.flag("force") { " --force" } else { "" };
    let mut refs = String::new();
    if depth(args).is_some() {
        match way.kind {
            Kind::Head => add!(refs, " {}", q(&way.branch)),
            Kind::Branch => {
                if way.branch != v {
                    refs += " \"+refs/heads/$xp_v:refs/heads/$xp_v\"";
                }
                refs += " \"+refs/heads/$xp_v:refs/remotes/$xp_r/$xp_v\"";
            }
            Kind::Other if !looks_like_commit(v) => refs += " \"+refs/tags/$xp_v:refs/tags/$xp_v\"",
            Kind::Other => {}
        }
    }
    let label = "'Failed to download remote objects and refs'";
    match depth(args) {
        Some(depth) if !refs.is_empty() => {
            format!("xp_must {label} fetch --depth {depth}{force} \"$xp_r\"{extra}{refs}\n")
        }
        _ if args.flag("bare") => {
            format!(
                "xp_must {label} fetch{force} \"$xp_r\" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*'{extra}\n"
            )
        }
        _ => format!("xp_must {label} fetch --tags{force} \"$xp_r\"{extra}\n"),
    }
}

/// Returns the lines that check the version out.
fn switch(call: &Call, way: &Way) -> Result<String, Failure> {
    let args = &call.args;
    if args.flag("bare") {
        return Ok(String::new());
    }
    let mut script = match way.kind {
        Kind::Head => "xp_b=$(xp_in symbolic-ref -q HEAD) || xp_b=$(xp_in symbolic-ref -q \"refs/remotes/$xp_r/HEAD\")\n\
             xp_b=${xp_b#refs/heads/}\nxp_b=${xp_b#refs/remotes/$xp_r/}\nif [ -n \"$xp_b\" ]; then\n\
             xp_must \"Failed to checkout branch $xp_b\" checkout --force \"$xp_b\"\n\
             xp_must \"Failed to checkout branch $xp_b\" reset --hard \"$xp_r/$xp_b\" --\nfi\n"
            .to_string(),
        Kind::Branch => {
            let shallow = match depth(args) {
                Some(depth) => format!(
                    "xp_must \"Failed to fetch branch from remote: $xp_v\" fetch --depth={depth} \"$xp_r\" \"+refs/heads/$xp_v:refs/heads/$xp_v\" \"+refs/heads/$xp_v:refs/remotes/$xp_r/$xp_v\"\n"
                ),
                None => String::new(),
            };
            format!(
                "if ! xp_in show-ref --verify --quiet \"refs/heads/$xp_v\"; then\n{shallow}:\nfi\n\
                 if xp_in show-ref --verify --quiet \"refs/heads/$xp_v\"; then\n\
                 xp_must \"Failed to checkout branch $xp_v\" checkout --force \"$xp_v\" --\nxp_must \"Failed to checkout $xp_v\" reset --hard \"$xp_r/$xp_v\" --\n\
                 else xp_must \"Failed to checkout $xp_v\" checkout --track -b \"$xp_v\" \"$xp_r/$xp_v\"; fi\n"
            )
        }
        Kind::Other => "xp_must \"Failed to checkout $xp_v\" checkout --force \"$xp_v\" --\n".to_string(),
    };
    if args.flag("verify_commit") {
        let allowed = args.texts("gpg_allowlist");
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).filter(|k| !k.is_empty()).collect();
        script += "xp_s=verify-commit\n[ \"$(xp_in cat-file -t \"$xp_v\" 2>/dev/null)\" != tag ] || xp_s=verify-tag\n";
        if allowed.is_empty() {
            script += "xp_must \"Failed to verify GPG signature of commit/tag \\\"$xp_v\\\"\" \"$xp_s\" \"$xp_v\"\n";
        } else {
            let patterns: Vec<String> = allowed.iter().map(|k| q(k)).collect();
            add!(
                script,
                "xp_must \"Failed to verify GPG signature of commit/tag \\\"$xp_v\\\"\" \"$xp_s\" --raw \"$xp_v\"\n\
                 xp_k=$(printf '%s\\n' \"$xp_o\" | awk '$2 == \"VALIDSIG\" {{ print (NF == 12 ? $12 : $3); exit }}')\n\
                 case $xp_k in {}) ;; *) xp_fail \"The gpg_allowlist does not include the public key \\\"$xp_k\\\" for this commit\" ;; esac\n",
                patterns.join("|")
            );
        }
    }
    if args.flag("recursive") {
        let remote = if args.flag("track_submodules") { " --remote" } else { "" };
        let force = if args.flag("force") { " --force" } else { "" };
        add!(
            script,
            "if [ -e \"$xp_dest/.gitmodules\" ]; then\nxp_x=$(xp_in submodule status --recursive 2>/dev/null)\n\
             xp_must 'Failed to init/update submodules' submodule sync\n\
             xp_must 'Failed to init/update submodules' submodule update --init --recursive{remote}{force}\n\
             [ \"$xp_x\" = \"$(xp_in submodule status --recursive 2>/dev/null)\" ] || printf 'submodules yes\\n'\nfi\n"
        );
    }
    Ok(script)
}

/// Adds the archive and what the working copy is now.
fn finish(call: &Call, mut script: String) -> Result<String, Failure> {
    script += &archive(call)?;
    script += "printf 'after %s\\n' \"$(xp_in rev-parse HEAD 2>/dev/null)\"\n";
    Ok(script)
}

/// Returns the script that only packs the version.
pub fn archive_only(call: &Call) -> Result<String, Failure> {
    let script = head(call)?;
    finish(call, script)
}

fn archive(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let Some(name) = args.str("archive") else { return Ok(String::new()) };
    let format = archive_format(name)?;
    let prefix = args.str("archive_prefix").map(|p| format!(" --prefix {}", q(p))).unwrap_or_default();
    Ok(format!(
        "xp_a={}\nxp_n=$(mktemp) || xp_fail 'cannot make a file for the archive'\ntrap 'rm -f -- \"$xp_n\"' EXIT\n\
         xp_must 'Failed to perform archive operation' archive --format {format} --output \"$xp_n\"{prefix} \"$xp_v\"\n\
         if ! cmp -s \"$xp_n\" \"$xp_a\"; then\nxp_write \"$xp_a\" <\"$xp_n\" >/dev/null || exit $?\nprintf 'archived yes\\n'\nfi\n",
        q(&expand_path(call, name)?)
    ))
}

/// Returns the format that a file name asks for.
pub fn archive_format(name: &str) -> Result<&'static str, Failure> {
    [(".tar.gz", "tar.gz"), (".gz", "tar.gz"), (".tgz", "tgz"), (".tar", "tar"), (".zip", "zip")]
        .iter()
        .find(|(end, _)| name.ends_with(end))
        .map(|(_, format)| *format)
        .ok_or_else(|| {
            Failure::new(format!("Unable to get file extension from archive file name : {name}")).with(
                "details",
                "Please specify archive as filename with extension. File extension can be one of ['tar', 'tar.gz', 'zip', 'tgz']",
            )
        })
}

fn depth(args: &Args) -> Option<i128> {
    args.int("depth").filter(|d| *d > 0)
}

/// Whether a version that is no branch may be the beginning of a commit.
fn looks_like_commit(version: &str) -> bool {
    version.len() >= 7 && version.chars().all(|c| c.is_ascii_hexdigit())
}
