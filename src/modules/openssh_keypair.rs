//! `openssh_keypair`: pairs of SSH keys in files.

use super::attrs::{Attrs, FILE_ARGS};
use super::sh::{FileKind, Look, Report, expand_path, q};
use super::tool::missing;
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Touch,
};
use crate::transport::Output;
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "openssh_keypair",
    namespaces: &["community.crypto"],
    about: "Makes and removes pairs of SSH keys.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The private key; the public one is beside it.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether they are to be there.")
            .default("present")
            .choices(&["present", "absent"]),
        ArgSpec::new("type", ArgKind::Str, "The kind of key.")
            .default("rsa")
            .choices(&["rsa", "dsa", "ecdsa", "ed25519"]),
        ArgSpec::new("size", ArgKind::Int, "Its length in bits."),
        ArgSpec::new("comment", ArgKind::Str, "The comment of the public key."),
        ArgSpec::new("force", ArgKind::Bool, "Make a new one always.").default("no"),
        ArgSpec::new("regenerate", ArgKind::Str, "When a key that is there is replaced.")
            .default("partial_idempotence")
            .choices(&["never", "fail", "partial_idempotence", "full_idempotence", "always"]),
        ArgSpec::new("backend", ArgKind::Str, "Taken for compatibility: ssh-keygen is used.")
            .default("auto")
            .choices(&["auto", "opensshbin"]),
    ],
    shared: FILE_ARGS,
    returns: &[
        ("filename", "the private key"),
        ("fingerprint", "the key's fingerprint"),
        ("public_key", "the public key"),
        ("comment", "its comment"),
        ("size", "its length"),
        ("type", "its kind"),
    ],
    ..ModuleSpec::BASE
};

pub struct OpensshKeypair;

/// Shell function that tells about the key in `xp_key`.
const TELL: &str = "xp_tell_key() {\n\
    if xp_k=$(ssh-keygen -l -f \"$xp_key\" 2>/dev/null </dev/null); then xp_tell key \"$xp_k\"; fi\n\
    if xp_k=$(ssh-keygen -y -P '' -f \"$xp_key\" 2>/dev/null </dev/null); then xp_tell derived \"$xp_k\"; fi\n\
    if [ -e \"$xp_key.pub\" ]; then xp_tell public \"$(cat -- \"$xp_key.pub\")\"; fi\n}\n";

impl Module for OpensshKeypair {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        size(&call.args)?;
        let path = q(&path(call)?);
        Ok(Some(format!(
            "command -v ssh-keygen >/dev/null 2>&1 || printf 'missing yes\\n'\n\
             xp_look {path}\n{}xp_key={path}\n{TELL}[ ! -f {path} ] || xp_tell_key\n\
             [ ! -e {path}.pub ] || printf 'pub yes\\n'\n",
            Attrs::of(&call.args)?.probe(&path)
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let path = path(call)?;
        call.needs_untouched(&path)?;
        let report = Report::of(seen)?;
        let look = Look::of(&report)?;
        if look.file.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir) {
            return Err(Failure::new(format!("{path} is a directory. Please specify a path to a file.")));
        }
        let there = look.file.is_some();
        let word = q(&path);
        let touched = |prediction: Prediction| {
            prediction
                .touch(Touch::Tree { path: path.clone() })
                .touch(Touch::Tree { path: format!("{path}.pub") })
        };
        if args.str("state") == Some("absent") {
            let result = Map::from_iter([("filename", path.as_str())]);
            if !there && report.get("pub").is_none() {
                return Ok(Prediction::same(result));
            }
            let script = format!("xp_do \"remove \"{word} rm -f -- {word} {word}.pub\n");
            let side = Map::from_iter([("state", "present")]);
            return Ok(touched(Prediction::change(result, vec![Action::run(script)])).diff(named_diff(
                &path,
                Some(side),
                None,
            )));
        }
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no ssh-keygen on the target"));
        }
        let found = Key::of(&report);
        let attrs = Attrs::of(args)?;
        let mut before = found.as_ref().map(Key::shown);
        let mut after = Map::from_iter([("type", kind(args)), ("state", "present")]);
        after.insert("size", size(args)?);
        let mut script = format!("xp_key={word}\n{TELL}");
        let work = work(args, there, found.as_ref())?;
        match work {
            Work::Nothing => after = before.clone().unwrap_or_default(),
            Work::Generate => {
                let comment = args.str("comment").unwrap_or_default();
                add!(
                    script,
                    "rm -f -- \"$xp_key.new\" \"$xp_key.new.pub\"\nxp_do \"make the key $xp_key\" ssh-keygen -q -t {} -b {} -C {} -N '' -f \"$xp_key.new\"\n\
                     xp_do \"put the key in place\" mv -f -- \"$xp_key.new\" \"$xp_key\"\nxp_do \"put the key in place\" mv -f -- \"$xp_key.new.pub\" \"$xp_key.pub\"\n",
                    kind(args),
                    size(args)?,
                    q(comment)
                );
            }
            Work::Restore => {
                let derived = found.as_ref().map_or("", |key| key.derived.as_str());
                let line = match args.str("comment") {
                    Some(comment) => format!("{} {comment}", without_comment(derived)),
                    None => derived.to_string(),
                };
                after.insert("public_key", line.as_str());
                add!(
                    script,
                    "printf '%s\\n' {} | xp_write -m 0644 \"$xp_key.pub\" >/dev/null || exit $?\n",
                    q(&line)
                );
            }
        }
        let change = match look.file.as_ref().filter(|_| work != Work::Generate) {
            Some(stat) => attrs.compare(&report, stat, look.umask, call.check)?,
            None => {
                let made =
                    super::sh::Stat { mode: 0o600, uid: call.target.uid, ..super::sh::Stat::default() };
                attrs.compare(&report, &made, look.umask, call.check)?
            }
        };
        if !change.is_empty() {
            script += &change.script(&word);
            let (old, new) = change.sides();
            let before = before.get_or_insert_with(Map::new);
            for (side, changes) in [(before, old), (&mut after, new)] {
                for (key, value) in changes {
                    side.insert(key.clone(), value.clone());
                }
            }
        }
        let mut result = Map::from_iter([("filename", path.as_str()), ("type", kind(args))]);
        result.insert("size", size(args)?);
        if let Some(key) = &found {
            key.tell(&mut result);
        }
        if work == Work::Nothing && change.is_empty() {
            return Ok(Prediction::same(result));
        }
        script += "xp_tell_key\n";
        Ok(touched(Prediction::change(result, vec![Action::run(script)])).diff(named_diff(
            &path,
            if there { before } else { None },
            Some(after),
        )))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(failed) = ran.iter().find(|output| output.rc != 0) {
            return Err(Failure::from_output(failed));
        }
        let mut outcome = prediction.into_outcome();
        if let Some(key) = ran.last().and_then(|output| Key::of(&Report::parse(&output.stdout))) {
            key.tell(&mut outcome.result);
        }
        Ok(outcome)
    }
}

fn path(call: &Call) -> Result<String, Failure> {
    expand_path(call, call.args.str("path").unwrap_or_default())
}

fn kind(args: &Args) -> &str {
    args.str("type").unwrap_or("rsa")
}

fn size(args: &Args) -> Result<i128, Failure> {
    let given = args.int("size");
    match (kind(args), given) {
        ("rsa", Some(bits)) if bits < 1024 => Err(Failure::new(
            "For RSA keys, the minimum size is 1024 bits and the default is 4096 bits. \
             Attempting to use bit lengths under 1024 will cause the module to fail.",
        )),
        ("rsa", bits) => Ok(bits.unwrap_or(4096)),
        ("dsa", None | Some(1024)) => Ok(1024),
        ("dsa", _) => Err(Failure::new("DSA keys must be exactly 1024 bits as specified by FIPS 186-2.")),
        ("ecdsa", None) => Ok(256),
        ("ecdsa", Some(bits @ (256 | 384 | 521))) => Ok(bits),
        ("ecdsa", _) => Err(Failure::new("the size of ECDSA keys is 256, 384 or 521 bits")),
        _ => Ok(256),
    }
}

/// A key that is there.
struct Key {
    size: i128,
    kind: String,
    fingerprint: String,
    /// The public key as the private one tells it; empty when that cannot be read.
    derived: String,
    public: String,
}

impl Key {
    fn of(report: &Report) -> Option<Key> {
        let line = report.word("key")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [size, fingerprint, .., kind] = words[..] else { return None };
        Some(Key {
            size: size.parse().ok()?,
            kind: kind.trim_matches(['(', ')']).to_lowercase(),
            fingerprint: fingerprint.to_string(),
            derived: report.word("derived").unwrap_or_default(),
            public: report.word("public").unwrap_or_default(),
        })
    }

    fn shown(&self) -> Map {
        let mut shown = Map::from_iter([("type", self.kind.as_str()), ("state", "present")]);
        shown.insert("size", self.size);
        shown.insert("fingerprint", self.fingerprint.as_str());
        shown
    }

    fn tell(&self, result: &mut Map) {
        result.insert("fingerprint", self.fingerprint.as_str());
        result.insert("public_key", self.public.as_str());
        result.insert("comment", self.public.splitn(3, ' ').nth(2).unwrap_or_default());
    }
}

fn without_comment(public: &str) -> String {
    public.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    Generate,
    /// Write the public key anew from the private one.
    Restore,
}

fn work(args: &Args, there: bool, found: Option<&Key>) -> Result<Work, Failure> {
    let when = if args.flag("force") { "always" } else { args.str("regenerate").unwrap_or_default() };
    let readable = found.filter(|key| !key.derived.is_empty());
    let Some(key) = readable else {
        if there && matches!(when, "never" | "fail" | "partial_idempotence") {
            return Err(Failure::new(
                "Unable to read the key. The key is protected with a passphrase or broken. Will not proceed. \
                 To force regeneration, set regenerate to full_idempotence or always, or force to true.",
            ));
        }
        return Ok(Work::Generate);
    };
    let fits = key.kind == kind(args) && key.size == size(args)?;
    match when {
        "always" => return Ok(Work::Generate),
        "fail" if !fits => {
            return Err(Failure::new(
                "Key has wrong type and/or size. Will not proceed. To force regeneration, set regenerate to \
                 partial_idempotence, full_idempotence or always, or force to true.",
            ));
        }
        "partial_idempotence" | "full_idempotence" if !fits => return Ok(Work::Generate),
        _ => {}
    }
    let same_key = without_comment(&key.public) == without_comment(&key.derived);
    let now = key.public.trim_end().splitn(3, ' ').nth(2).unwrap_or_default();
    let same_comment = args.str("comment").is_none_or(|comment| comment == now);
    Ok(if same_key && same_comment { Work::Nothing } else { Work::Restore })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const KEY: &str = "umask 0022\nlstat 8180 0 0 2602 1 1 1 9 1 1 0 0 8 4096 :root:root:\n\
        key %34303936205348413235363a6162206120285253412a\n";

    fn seen(size: u32, public: &str) -> String {
        let hex = |text: &str| crate::modules::hex(text.as_bytes());
        format!(
            "umask 0022\nlstat 8180 0 0 2602 1 1 1 9 1 1 0 0 8 4096 :root:root:\nkey %{}\nderived %{}\npublic %{}\npub yes\n",
            hex(&format!("{size} SHA256:ab root@h (RSA)")),
            hex("ssh-rsa AAAA root@h"),
            hex(public)
        )
    }

    fn plan(given: &[(&str, &str)], seen: &str) -> Result<String, String> {
        let mut given = given.to_vec();
        given.push(("path", "/k"));
        let prediction = Case::new(&OpensshKeypair, args(&given)).plan(seen).map_err(|f| f.msg)?;
        let script = scripts(&prediction).concat();
        let lines = script
            .lines()
            .filter(|l| l.contains("ssh-keygen -q") || l.contains("xp_write") || l.contains("chmod"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn makes_what_is_missing_or_wrong() {
        let check = |given: &[(&str, &str)], seen: &str, line: &str| {
            assert_eq!(plan(given, seen).unwrap(), line, "{given:?}");
        };
        let generate = |bits: u32| {
            format!(
                "xp_do \"make the key $xp_key\" ssh-keygen -q -t rsa -b {bits} -C '' -N '' -f \"$xp_key.new\""
            )
        };
        check(&[], "umask 0022\nlstat absent\n", &generate(4096));
        check(&[], &seen(4096, "ssh-rsa AAAA root@h"), "");
        check(&[], &seen(2048, "ssh-rsa AAAA root@h"), &generate(4096));
        check(&[("regenerate", "never")], &seen(2048, "ssh-rsa AAAA root@h"), "");
        check(&[("force", "yes"), ("size", "2048")], &seen(2048, "ssh-rsa AAAA root@h"), &generate(2048));
        check(
            &[("comment", "me")],
            &seen(4096, "ssh-rsa BBBB me"),
            "printf '%s\\n' 'ssh-rsa AAAA me' | xp_write -m 0644 \"$xp_key.pub\" >/dev/null || exit $?",
        );
        let mode = plan(&[("mode", "0640")], &seen(4096, "ssh-rsa AAAA root@h")).unwrap();
        assert!(mode.contains("chmod 0640 '/k'"), "{mode}");
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            let msg = plan(given, seen).unwrap_err();
            assert!(msg.starts_with(expect), "{msg}");
        };
        fails(&[("size", "512")], "", "For RSA keys, the minimum size is 1024 bits");
        fails(&[("regenerate", "fail")], &seen(2048, "x"), "Key has wrong type and/or size.");
        fails(&[], KEY, "Unable to read the key.");
        fails(&[], "missing yes\numask 0022\nlstat absent\n", "there is no ssh-keygen on the target");
    }
}
