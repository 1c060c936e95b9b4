//! `stat`: the attributes of a file.

use super::local::Digests;
use super::sh::{FileKind, Report, Stat as Attributes, expand_path, q};
use super::{ArgKind, ArgSpec, Body, Call, Failure, FileAfter, Module, ModuleSpec, Prediction, Seen};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "stat",
    about: "Tells the attributes of a file.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "name"]),
        ArgSpec::new("follow", ArgKind::Bool, "For a link, tell about what it leads to.").default("no"),
        ArgSpec::new("get_checksum", ArgKind::Bool, "Tell the digest of a file's content.").default("yes"),
        ArgSpec::new("get_mime", ArgKind::Bool, "Tell the kind of content.").default("yes").aliases(&[
            "mime",
            "mime_type",
            "mime-type",
        ]),
        ArgSpec::new("get_attributes", ArgKind::Bool, "Tell the attributes that lsattr knows.")
            .default("yes")
            .aliases(&["attr", "attributes"]),
        ArgSpec::new("checksum_algorithm", ArgKind::Str, "Which digest.")
            .default("sha1")
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
            .aliases(&["checksum", "checksum_algo"]),
    ],
    returns: &[("stat", "the attributes; `exists` is always there")],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

/// What `lsattr` calls its letters.
const FLAGS: &[(char, &str)] = &[
    ('A', "noatime"),
    ('a', "append"),
    ('c', "compressed"),
    ('C', "nocow"),
    ('d', "nodump"),
    ('D', "dirsync"),
    ('e', "extents"),
    ('E', "encrypted"),
    ('h', "blocksize"),
    ('i', "immutable"),
    ('I', "indexed"),
    ('j', "journalled"),
    ('N', "inline"),
    ('s', "zero"),
    ('S', "synchronous"),
    ('t', "notail"),
    ('T', "blockroot"),
    ('u', "undelete"),
    ('X', "compressedraw"),
    ('Z', "compresseddirty"),
];

pub struct Stat;

impl Module for Stat {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let path = q(&expand_path(call, args.str("path").unwrap_or_default())?);
        let follow = if args.flag("follow") { "-L " } else { "" };
        let mut script = format!(
            "xp_p={path}\nprintf 'stat '; xp_stat {follow}\"$xp_p\"\nif [ -e \"$xp_p\" ] || [ -h \"$xp_p\" ]; then\n\
             xp_a=; [ ! -r \"$xp_p\" ] || xp_a=r; [ ! -w \"$xp_p\" ] || xp_a=${{xp_a}}w; [ ! -x \"$xp_p\" ] || xp_a=${{xp_a}}x\n\
             printf 'access %s\\n' \"$xp_a\"\n\
             [ -z \"$xp_has_stat\" ] || printf 'times %s\\n' \"$(stat {follow}-c '%.9X %.9Y %.9Z' -- \"$xp_p\" 2>/dev/null)\"\n\
             if [ -h \"$xp_p\" ] && xp_real \"$xp_p\"; then printf 'real '; xp_word \"$xp_t\"; printf '\\n'; fi\n"
        );
        let reads = if args.flag("follow") { "" } else { "[ ! -h \"$xp_p\" ] && " };
        if args.flag("get_checksum") {
            add!(
                script,
                "if {reads}[ -f \"$xp_p\" ] && [ -r \"$xp_p\" ]; then printf 'checksum %s\\n' \"$(xp_digest {} \"$xp_p\")\"; fi\n",
                args.str("checksum_algorithm").unwrap_or("sha1")
            );
        }
        if args.flag("get_mime") {
            add!(
                script,
                "if command -v file >/dev/null 2>&1; then printf 'mime %s\\n' \"$(file -b {}--mime-type --mime-encoding -- \"$xp_p\" 2>/dev/null)\"; fi\n",
                if args.flag("follow") { "-L " } else { "" }
            );
        }
        if args.flag("get_attributes") {
            script += "if [ ! -h \"$xp_p\" ] && command -v lsattr >/dev/null 2>&1; then printf 'attr %s\\n' \"$(lsattr -vd -- \"$xp_p\" 2>/dev/null | head -n 1)\"; fi\n";
        }
        Ok(Some(script + "fi\n"))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let mut result = Map::new();
        let mut stat = Map::new();
        let path = expand_path(call, call.args.str("path").unwrap_or_default())?;
        if let Some(after) = call.foreseen_file(&path)? {
            result.insert("stat", foreseen(call, &after));
            return Ok(Prediction::read(result));
        }
        if call.world.makes_folder(&path) && report.stat("stat")?.is_none() {
            let cause = format!("the attributes of {path}, which is not made yet");
            result.insert(
                "stat",
                Map::from_iter([
                    ("exists", Value::from(true)),
                    ("isdir", true.into()),
                    ("path", call.args.str("path").unwrap_or_default().into()),
                    ("mode", Value::unknown(cause)),
                ]),
            );
            return Ok(Prediction::read(result));
        }
        match report.stat("stat")? {
            None => {
                stat.insert("exists", false);
            }
            Some(found) => {
                stat.insert("exists", true);
                stat.insert("path", call.args.str("path").unwrap_or_default());
                fill(&mut stat, &found);
                extras(&mut stat, &found, &report, call);
            }
        }
        result.insert("stat", stat);
        Ok(Prediction::read(result))
    }
}

/// What a plan knows of a file that an earlier step makes or changes; the rest shows when it is there.
fn foreseen(call: &Call, after: &FileAfter) -> Map {
    let mut stat = Map::new();
    let Some(found) = after.stat() else {
        stat.insert("exists", false);
        return stat;
    };
    stat.insert("exists", true);
    stat.insert("path", call.args.str("path").unwrap_or_default());
    fill(&mut stat, found);
    let unknown = || Value::unknown("known once the file is made");
    for name in [
        "inode",
        "dev",
        "atime",
        "mtime",
        "ctime",
        "gid",
        "gr_name",
        "mimetype",
        "charset",
        "attributes",
        "attr_flags",
        "version",
    ] {
        stat.insert(name, unknown());
    }
    if let FileAfter::File { body, .. } = after
        && call.args.flag("get_checksum")
    {
        let digest = match (body, call.args.str("checksum_algorithm")) {
            (Body::Bytes(bytes), Some("sha1") | None) => Some(Digests::of(bytes).sha1),
            (Body::Bytes(bytes), Some("md5")) => Some(Digests::of(bytes).md5),
            (Body::Bytes(_) | Body::Digest { .. }, Some("sha256")) => after.sha256(None),
            _ => None,
        };
        stat.insert("checksum", digest.map_or_else(unknown, Value::from));
    }
    if let Some(owner) = &found.owner {
        stat.insert("pw_name", owner.as_str());
    }
    stat
}

/// Adds what the kernel tells about a file, as Ansible names it.
pub fn fill(stat: &mut Map, found: &Attributes) {
    stat.insert("mode", found.mode_text());
    for (name, kind) in [
        ("isdir", FileKind::Dir),
        ("ischr", FileKind::Char),
        ("isblk", FileKind::Block),
        ("isreg", FileKind::File),
        ("isfifo", FileKind::Fifo),
        ("islnk", FileKind::Link),
        ("issock", FileKind::Socket),
    ] {
        stat.insert(name, found.kind == kind);
    }
    stat.insert("uid", found.uid);
    stat.insert("gid", found.gid);
    stat.insert("size", found.size);
    stat.insert("inode", found.inode);
    stat.insert("dev", found.dev);
    stat.insert("nlink", found.nlink);
    stat.insert("atime", found.atime as f64);
    stat.insert("mtime", found.mtime as f64);
    stat.insert("ctime", found.ctime as f64);
    for (name, bit) in [
        ("wusr", 0o200),
        ("rusr", 0o400),
        ("xusr", 0o100),
        ("wgrp", 0o020),
        ("rgrp", 0o040),
        ("xgrp", 0o010),
        ("woth", 0o002),
        ("roth", 0o004),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ] {
        stat.insert(name, found.mode & bit != 0);
    }
    stat.insert("blocks", found.blocks);
    stat.insert("block_size", found.block_size);
    stat.insert("device_type", (found.rdev.0 << 8) | (found.rdev.1 & 0xff));
    if let Some(name) = &found.owner {
        stat.insert("pw_name", name.as_str());
    }
    if let Some(name) = &found.group {
        stat.insert("gr_name", name.as_str());
    }
}

fn extras(stat: &mut Map, found: &Attributes, report: &Report, call: &Call) {
    let access = report.get("access").unwrap_or_default();
    for (name, letter) in [("readable", 'r'), ("writeable", 'w'), ("executable", 'x')] {
        stat.insert(name, access.contains(letter));
    }
    // Where the stat program knows parts of seconds.
    let times = report.get("times").unwrap_or_default().split(' ');
    for (name, time) in ["atime", "mtime", "ctime"].into_iter().zip(times) {
        if let Ok(seconds) = time.parse::<f64>() {
            stat.insert(name, seconds);
        }
    }
    if found.kind == FileKind::Link {
        stat.insert("lnk_source", report.word("real"));
        stat.insert("lnk_target", found.target.clone());
    }
    if let Some(digest) = report.get("checksum").filter(|d| !d.is_empty()) {
        stat.insert("checksum", digest);
    }
    if call.args.flag("get_mime") {
        let mime = report.get("mime").and_then(|text| text.split_once("; charset="));
        let (kind, charset) = mime.unwrap_or(("unknown", "unknown"));
        stat.insert("mimetype", kind.trim());
        stat.insert("charset", charset.trim());
    }
    if call.args.flag("get_attributes") {
        let mut fields = report.get("attr").unwrap_or_default().split_whitespace();
        let version = fields.next();
        let flags = fields.next().unwrap_or_default().replace('-', "");
        let names: Vec<Value> = flags
            .chars()
            .filter_map(|c| FLAGS.iter().find(|(l, _)| *l == c))
            .map(|(_, n)| Value::str(*n))
            .collect();
        stat.insert("version", version.map(str::to_string));
        stat.insert("attributes", Value::list(names));
        stat.insert("attr_flags", flags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    #[test]
    fn fields() {
        let case = Case::new(&Stat, args(&[("path", "/f")]));
        let seen = "stat 89ed 0 0 6 10 11 12 99 1 7 0 0 8 4096 :root:root:\naccess rx\ntimes 11.0 10.250000000 12.5\nchecksum abc\n\
                    mime text/plain; charset=us-ascii\nattr 123 ----i---------e------- /f\n";
        let result = case.plan(seen).unwrap().result;
        let stat = result.get("stat").unwrap();
        let field = |name: &str| stat.get(name).map(Value::to_text).unwrap_or_default();
        let got: Vec<String> =
            ["exists", "mode", "isreg", "isuid", "xoth", "woth", "mtime", "writeable", "checksum"]
                .iter()
                .chain(&["mimetype", "charset", "attributes", "version", "pw_name"])
                .map(|n| field(n))
                .collect();
        assert_eq!(
            got.join(" "),
            "True 4755 True True True False 10.25 False abc text/plain us-ascii ['immutable', 'extents'] 123 root"
        );
        let absent = case.plan("stat absent\n").unwrap().result;
        assert_eq!(absent.get("stat").unwrap().repr(), "{'exists': False}");
        assert_eq!(case.plan("stat error =denied\n").unwrap_err().msg, "denied");
    }
}
