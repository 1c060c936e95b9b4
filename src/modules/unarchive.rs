//! `unarchive`: an archive's files into a folder.
//!
//! What is inside decides whether anything is to do: an archive on the target is compared by the target's tar or
//! unzip, a tar archive of the project by reading it here. Other archives of the project have to be sent first, so
//! what they would change is not known before.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::attrs::{Attrs, FILE_ARGS};
use super::local::Digests;
use super::sh::{FileKind, PRIVATE_DIR, Report, Stat, expand_path, q};
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Diff, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen,
    Touch,
};
use crate::transport::{Content, Output};
use crate::value::{Map, Value};

/// So many paths go into one call of a tool.
const BATCH: usize = 200;

static SPEC: ModuleSpec = ModuleSpec {
    name: "unarchive",
    about: "Unpacks an archive into a folder of the target.",
    args: &[
        ArgSpec::new("src", ArgKind::Path, "The archive.").required(),
        ArgSpec::new("dest", ArgKind::Path, "The folder; it must exist.").required(),
        ArgSpec::new("remote_src", ArgKind::Bool, "The archive is on the target.").default("no"),
        ArgSpec::new("copy", ArgKind::Bool, "The opposite of remote_src, for old playbooks."),
        ArgSpec::new("creates", ArgKind::Path, "When this exists, nothing is unpacked."),
        ArgSpec::new("list_files", ArgKind::Bool, "Tell the names inside.").default("no"),
        ArgSpec::new("exclude", ArgKind::StrList, "Names to leave out.").default(""),
        ArgSpec::new("include", ArgKind::StrList, "Only these names.").default(""),
        ArgSpec::new("keep_newer", ArgKind::Bool, "Keep files that are newer than those inside.")
            .default("no"),
        ArgSpec::new("extra_opts", ArgKind::StrList, "More options for tar or unzip.").default(""),
        ArgSpec::new("decrypt", ArgKind::Bool, "Decrypt the archive with the vault.").default("yes"),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Accepted; archives are not downloaded.")
            .default("yes"),
    ],
    shared: FILE_ARGS,
    own_check: Some(own_check),
    returns: &[
        ("dest", "the folder"),
        ("src", "the archive"),
        ("handler", "what unpacked it"),
        ("files", "the names inside, with list_files"),
    ],
    ..ModuleSpec::BASE
};

fn own_check(given: &Map) -> Result<(), Failure> {
    let has = |name: &str| given.get(name).is_some_and(|v| !matches!(v, Value::Null | Value::Omit));
    if has("src") && has("dest") {
        return Ok(());
    }
    Err(Failure::new("src (or content) and dest are required"))
}

pub struct Unarchive;

impl Module for Unarchive {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let job = Job::of(call)?;
        let mut script = String::new();
        if let Some(path) = call.args.str("creates") {
            let path = q(&expand_path(call, path)?);
            add!(script, "if [ -e {path} ] || [ -h {path} ]; then printf 'creates yes\\n'; exit 0; fi\n");
        }
        add!(
            script,
            "xp_to={}\nprintf 'umask %s\\n' \"$(umask)\"\n[ -d \"$xp_to\" ] || {{ printf 'dest no\\n'; exit 0; }}\n",
            q(&job.dest)
        );
        match &job.source {
            Source::Remote(src) => {
                add!(
                    script,
                    "xp_f={}\n[ -f \"$xp_f\" ] || {{ printf 'source no\\n'; exit 0; }}\n{}\n{}",
                    q(src),
                    compare(&job),
                    job.attrs.probe("\"$xp_to\"")
                );
            }
            Source::Listed(_, members) => {
                script += &job.attrs.probe("\"$xp_to\"");
                script += "printf 'stats\\n'\n";
                for chunk in members.chunks(BATCH) {
                    let words: String = chunk.iter().map(|m| format!(" {}", q(&job.path(m)))).collect();
                    add!(script, "xp_stats{words}\n");
                }
                script += "printf 'digests\\n'\n";
                let files: Vec<&Member> = members.iter().filter(|m| m.sha256.is_some()).collect();
                for chunk in files.chunks(BATCH) {
                    let words: String = chunk.iter().map(|m| format!(" {}", q(&job.path(m)))).collect();
                    add!(script, "xp_digests{words}\n");
                }
            }
            Source::Opaque(_) => {}
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let job = Job::of(call)?;
        let report = Report::of(seen)?;
        let src = call.args.str("src").unwrap_or_default();
        let mut result = Map::new();
        if report.get("creates").is_some() {
            let path = call.args.str("creates").unwrap_or_default();
            result.insert("msg", format!("skipped, since {path} exists"));
            return Ok(Prediction::same(result));
        }
        if report.get("dest").is_some() {
            return Err(Failure::new(format!("dest '{}' must be an existing dir", job.dest)));
        }
        if report.get("source").is_some() {
            return Err(Failure::new(format!("Source '{src}' does not exist")));
        }
        result.insert("dest", call.args.str("dest").unwrap_or_default());
        result.insert("src", src);
        result.insert("handler", job.kind.handler());
        call.needs_untouched(&job.dest)?;
        if let Source::Remote(src) = &job.source {
            call.needs_untouched(src)?;
        }
        let left = Touch::Tree { path: job.dest.clone() };
        let wants = Wants { attrs: &job.attrs, report: &report, check: call.check };
        match &job.source {
            Source::Remote(src) => {
                if let Some(reason) = report.word("broken") {
                    return Err(Failure::new(format!("Failed to find handler for \"{src}\": {reason}")));
                }
                let files: Vec<Value> =
                    report.all("member").filter_map(super::sh::word).map(Value::from).collect();
                if call.args.flag("list_files") {
                    result.insert("files", Value::list(files));
                }
                if report.get("same").is_some() {
                    return Ok(Prediction::same(result));
                }
                let script = format!("xp_f={}\n{}", q(src), job.extract("\"$xp_f\""));
                let diff = difference(&job.dest, src, None);
                Ok(Prediction::change(result, vec![Action::run(script)]).touch(left).diff(diff))
            }
            Source::Listed(path, members) => {
                if call.args.flag("list_files") {
                    result.insert(
                        "files",
                        Value::from(members.iter().map(|m| m.name.clone()).collect::<Vec<_>>()),
                    );
                }
                if wants.all_there(&job, members, &seen.text())? {
                    return Ok(Prediction::same(result));
                }
                let diff = difference(&job.dest, src, Some(members.len()));
                Ok(Prediction::change(result, vec![job.send(path, "")?]).touch(left).diff(diff))
            }
            Source::Opaque(path) => {
                // The target compares first; a marker tells whether anything was unpacked.
                Ok(Prediction::unknown(result, vec![job.send(path, &compare(&job))?]).touch(left))
            }
        }
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        for output in ran {
            if output.rc != 0 {
                return Err(
                    Failure::from_output(output).with("dest", call.args.str("dest").unwrap_or_default())
                );
            }
            let report = Report::parse(&output.stdout);
            if report.get("same").is_some() {
                prediction.effect = super::Effect::Same;
            }
        }
        Ok(prediction.into_outcome())
    }
}

/// Says what comes to lie below the destination.
fn difference(dest: &str, src: &str, members: Option<usize>) -> Diff {
    let number = members.map(|n| format!(", {n} entries")).unwrap_or_default();
    let side = |text: String| Some(Map::from_iter([("archive", text)]));
    named_diff(
        dest,
        side(format!("not all of {src} as it is there")),
        side(format!("{src} unpacked{number}")),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Zip,
}

impl Kind {
    fn of(name: &str) -> Kind {
        let name = name.to_lowercase();
        let ends = |list: &[&str]| list.iter().any(|e| name.ends_with(e));
        if ends(&[".zip", ".jar", ".war"]) {
            Kind::Zip
        } else if ends(&[".gz", ".tgz"]) {
            Kind::Gzip
        } else if ends(&[".bz2", ".tbz", ".tbz2"]) {
            Kind::Bzip2
        } else if ends(&[".xz", ".txz"]) {
            Kind::Xz
        } else if ends(&[".zst", ".tzst"]) {
            Kind::Zstd
        } else {
            Kind::Tar
        }
    }

    fn handler(self) -> &'static str {
        match self {
            Kind::Tar => "TarArchive",
            Kind::Gzip => "TgzArchive",
            Kind::Bzip2 => "TarBzipArchive",
            Kind::Xz => "TarXzArchive",
            Kind::Zstd => "TarZstdArchive",
            Kind::Zip => "ZipArchive",
        }
    }

    /// Returns the command that turns the archive on stdin into a plain tar.
    fn decoder(self) -> &'static str {
        match self {
            Kind::Tar | Kind::Zip => "cat",
            Kind::Gzip => "gzip -dc",
            Kind::Bzip2 => "bzip2 -dc",
            Kind::Xz => "xz -dc",
            Kind::Zstd => "zstd -dc",
        }
    }
}

enum Source {
    Remote(String),
    Listed(PathBuf, Vec<Member>),
    Opaque(PathBuf),
}

/// One thing inside a tar archive.
#[derive(Clone, Debug, PartialEq)]
struct Member {
    name: String,
    kind: FileKind,
    mode: u32,
    size: u64,
    mtime: i64,
    target: Option<String>,
    /// For files.
    sha256: Option<String>,
}

struct Job<'a> {
    args: &'a Args,
    attrs: Attrs,
    dest: String,
    kind: Kind,
    source: Source,
    /// Of an archive on this side.
    size: u64,
}

impl<'a> Job<'a> {
    fn of(call: &'a Call) -> Result<Self, Failure> {
        let args = &call.args;
        let src = args.str("src").unwrap_or_default();
        if src.contains("://") {
            return Err(Failure::new(format!("archives are not downloaded: {src}")));
        }
        let kind = Kind::of(src);
        let mut size = 0;
        let remote = args.flag("remote_src") || args.bool("copy") == Some(false);
        let source = if remote {
            Source::Remote(expand_path(call, src)?)
        } else {
            let path = call.local.find("files", src).map_err(Failure::new)?;
            size = call.local.stat(&path).map_err(Failure::new)?.size;
            let plain = args.texts("include").iter().chain(&args.texts("exclude")).all(String::is_empty);
            match kind {
                Kind::Tar | Kind::Gzip if plain => {
                    let file = call.local.open(&path).map_err(Failure::new)?;
                    let members = match kind {
                        Kind::Gzip => members(MultiGzDecoder::new(file)),
                        _ => members(file),
                    };
                    let members =
                        members.map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))?;
                    Source::Listed(path, members)
                }
                _ => Source::Opaque(path),
            }
        };
        Ok(Job {
            attrs: Attrs::of(args)?,
            dest: expand_path(call, args.str("dest").unwrap_or_default())?,
            kind,
            source,
            args,
            size,
        })
    }

    fn path(&self, member: &Member) -> String {
        format!("{}/{}", self.dest.trim_end_matches('/'), member.name.trim_end_matches('/'))
    }

    /// Returns tar's options for what to take.
    fn selection(&self) -> (String, String) {
        let list = |name: &str| -> Vec<String> {
            self.args.texts(name).into_iter().filter(|t| !t.is_empty()).collect()
        };
        let options: String = list("exclude")
            .iter()
            .map(|n| format!(" --exclude={}", q(n)))
            .chain(list("extra_opts").iter().map(|o| format!(" {}", q(o))))
            .collect();
        let names: String = list("include").iter().map(|n| format!(" {}", q(n))).collect();
        (options, names)
    }

    /// Returns the lines that unpack an archive (shell text) into `xp_to`.
    fn extract(&self, archive: &str) -> String {
        let (options, names) = self.selection();
        let newer = self.args.flag("keep_newer");
        let mut script = format!("xp_to={}\n", q(&self.dest));
        if self.kind == Kind::Zip {
            let exclude = options.replace(" --exclude=", " ");
            let exclude = if exclude.is_empty() { String::new() } else { format!(" -x{exclude}") };
            add!(
                script,
                "{NEEDS_UNZIP}\
                 xp_do \"unpack the archive into $xp_to\" unzip {} {archive}{names}{exclude} -d \"$xp_to\"\n",
                if newer { "-uoq" } else { "-oq" }
            );
        } else {
            // Reading it all first, so that damage is found before anything is unpacked.
            let newer = if newer { " --keep-newer-files" } else { "" };
            add!(
                script,
                "{NEEDS_TAR}\
                 xp_do 'read the archive' sh -c '{} <\"$0\" >/dev/null' {archive}\n\
                 xp_e=$({} <{archive} | LC_ALL=C tar -x{newer}{options} -f - -C \"$xp_to\"{names} 2>&1) || xp_fail \"cannot unpack the archive into $xp_to: $(xp_why \"$xp_e\")\"\n",
                self.kind.decoder(),
                self.kind.decoder()
            );
        }
        script + &self.attributes()
    }

    /// Returns the lines that give everything that was unpacked the wanted attributes.
    fn attributes(&self) -> String {
        if self.attrs.is_empty() {
            return String::new();
        }
        let mut script = String::new();
        let names = match &self.source {
            Source::Listed(_, members) => {
                let words: String = members.iter().map(|m| format!(" {}", q(&self.path(m)))).collect();
                format!("set --{words}\n")
            }
            _ => "set -- \"$xp_to\"/*\n".to_string(),
        };
        script += &names;
        let owner = match (&self.attrs.owner, &self.attrs.group) {
            (None, None) => None,
            (owner, None) => owner.clone(),
            (owner, Some(group)) => Some(format!("{}:{group}", owner.as_deref().unwrap_or_default())),
        };
        if let Some(owner) = owner {
            add!(script, "xp_do \"change the owner below $xp_to\" chown -hR {} \"$@\"\n", q(&owner));
        }
        if let Some(mode) = &self.attrs.mode {
            add!(
                script,
                "for xp_p; do [ -h \"$xp_p\" ] || xp_do \"set the mode of $xp_p\" chmod {} \"$xp_p\"; done\n",
                q(&mode.for_chmod())
            );
        }
        script
    }

    /// Returns the action that sends the archive and unpacks it, after the given comparison.
    fn send(&self, path: &Path, comparison: &str) -> Result<Action, Failure> {
        let size = self.size;
        let compare = if comparison.is_empty() {
            String::new()
        } else {
            format!("{comparison}\nif [ -n \"$xp_same\" ]; then exit 0; fi\n")
        };
        let script = format!(
            "xp_to={}\n{PRIVATE_DIR}xp_f=$xp_dir/archive\ncat >\"$xp_f\" || xp_fail 'cannot store the archive'\n\
             [ $(($(wc -c <\"$xp_f\"))) -eq {size} ] || xp_fail 'cannot store the archive: it did not arrive complete'\n{compare}{}",
            q(&self.dest),
            self.extract("\"$xp_f\"")
        );
        let content = Content::File { path: path.to_path_buf(), size };
        Ok(Action::Run(Run { script, stdin: Some(content), ..Run::default() }))
    }
}

const NEEDS_UNZIP: &str =
    "command -v unzip >/dev/null 2>&1 || xp_fail \"Unable to find required 'unzip' binary in the path\"\n";
const NEEDS_TAR: &str =
    "command -v tar >/dev/null 2>&1 || xp_fail \"Unable to find required 'tar' binary in the path\"\n";

/// Returns the lines that compare the archive `xp_f` with the folder `xp_to`; prints `same`, names, or `broken`.
fn compare(job: &Job) -> String {
    let (options, names) = job.selection();
    let list = if job.args.flag("list_files") { "yes" } else { "" };
    if job.kind == Kind::Zip {
        return format!(
            "{NEEDS_UNZIP}\
             if ! unzip -tqq \"$xp_f\" >/dev/null 2>&1 </dev/null; then printf 'broken '; xp_word 'unzip cannot read it'; printf '\\n'; fi\n\
             if [ -n \"{list}\" ]; then unzip -Z1 \"$xp_f\" 2>/dev/null | while IFS= read -r xp_m; do printf 'member '; xp_word \"$xp_m\"; printf '\\n'; done; fi\n\
             xp_e=$(unzip -Z1 \"$xp_f\" 2>/dev/null | while IFS= read -r xp_m; do case $xp_m in\n\
             */) [ -d \"$xp_to/$xp_m\" ] || printf 'differs\\n' ;;\n\
             *) unzip -p \"$xp_f\" \"$xp_m\" 2>/dev/null </dev/null | cmp -s - \"$xp_to/$xp_m\" || printf 'differs\\n' ;;\nesac; done)\n\
             xp_same=; [ -n \"$xp_e\" ] || {{ xp_same=1; printf 'same yes\\n'; }}\n"
        );
    }
    let decoder = job.kind.decoder();
    // With a mode of its own, what the archive says about modes does not count.
    let modes = if job.attrs.mode.is_some() {
        ":"
    } else {
        "printf '%s\\n' \"$xp_e\" | grep -q 'Mode differs' && xp_same="
    };
    format!(
        "command -v tar >/dev/null 2>&1 || xp_fail 'there is no tar on the target'\n\
         if ! {decoder} <\"$xp_f\" 2>/dev/null | tar -tf - >/dev/null 2>&1; then printf 'broken '; xp_word 'tar cannot read it'; printf '\\n'; fi\n\
         if [ -n \"{list}\" ]; then {decoder} <\"$xp_f\" | tar -tf -{options}{names} | while IFS= read -r xp_m; do printf 'member '; xp_word \"$xp_m\"; printf '\\n'; done; fi\n\
         xp_same=\nif xp_e=$({decoder} <\"$xp_f\" | LC_ALL=C tar -df - -C \"$xp_to\"{options}{names} 2>&1); then xp_same=1\n\
         elif ! tar --help 2>&1 | grep -q -e '--diff' -e '--compare'; then xp_same=\n\
         else case $(printf '%s\\n' \"$xp_e\" | grep -Ev 'Uid differs|Gid differs|Mode differs$|Exiting with failure|^$') in '') xp_same=1 ;; esac\n\
         {modes}\nfi\n\
         [ -z \"$xp_same\" ] || printf 'same yes\\n'\n"
    )
}

fn members(reader: impl Read) -> Result<Vec<Member>, String> {
    let mut archive = tar::Archive::new(reader);
    let mut found: Vec<Member> = Vec::new();
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let path = entry.path().map_err(|e| e.to_string())?.into_owned();
        if path.components().any(|c| matches!(c, Component::ParentDir)) {
            return Err(format!("a name inside leads out of the folder: {}", path.display()));
        }
        let name: PathBuf = path.components().filter(|c| matches!(c, Component::Normal(_))).collect();
        let header = entry.header();
        let kind = match header.entry_type() {
            t if t.is_dir() => FileKind::Dir,
            t if t.is_symlink() => FileKind::Link,
            t if t.is_file() || t.is_contiguous() || t.is_gnu_sparse() || t.is_hard_link() => FileKind::File,
            t if t.is_fifo() => FileKind::Fifo,
            t if t.is_block_special() => FileKind::Block,
            t if t.is_character_special() => FileKind::Char,
            _ => continue,
        };
        let hard = header.entry_type().is_hard_link();
        let mut member = Member {
            name: name.to_string_lossy().into_owned(),
            kind,
            mode: header.mode().unwrap_or(0) & 0o7777,
            size: entry.size(),
            mtime: header.mtime().unwrap_or(0) as i64,
            target: entry.link_name().ok().flatten().map(|t| t.to_string_lossy().into_owned()),
            sha256: None,
        };
        if kind == FileKind::File && !hard {
            member.sha256 = Some(Digests::of_reader(&mut entry)?.sha256);
        }
        if hard {
            // The other name of a file that came before.
            let other = member.target.take().unwrap_or_default();
            let other = other.trim_start_matches("./");
            let Some(first) = found.iter().find(|m| m.name == other) else { continue };
            member = Member { name: member.name, ..first.clone() };
        }
        if !member.name.is_empty() {
            // A later one of the same name wins.
            found.retain(|m| m.name != member.name);
            found.push(member);
        }
    }
    Ok(found)
}

/// What everything that is unpacked must look like.
struct Wants<'a> {
    attrs: &'a Attrs,
    report: &'a Report,
    check: bool,
}

impl Wants<'_> {
    fn all_there(&self, job: &Job, members: &[Member], text: &str) -> Result<bool, Failure> {
        let umask = u32::from_str_radix(self.report.need("umask")?, 8).unwrap_or(0o22);
        let mut lines = text.lines().skip_while(|line| *line != "stats").skip(1);
        let mut next = || lines.next().ok_or_else(|| Failure::new("the probe of the folder ended early"));
        let mut stats = Vec::new();
        for _ in members {
            stats.push(Stat::parse(next()?)?);
        }
        if next()? != "digests" {
            return Err(Failure::new("the probe of the folder told more than was asked"));
        }
        let newer = job.args.flag("keep_newer");
        for (member, stat) in members.iter().zip(stats) {
            let digest = match &member.sha256 {
                Some(_) => Some(next()?),
                None => None,
            };
            let Some(stat) = stat else { return Ok(false) };
            if newer && stat.mtime > member.mtime {
                continue;
            }
            let same = match member.kind {
                FileKind::Link => stat.target == member.target,
                FileKind::File => {
                    stat.size == member.size
                        && digest == member.sha256.as_deref()
                        && stat.mtime == member.mtime
                }
                _ => true,
            };
            let masked = if self.attrs.mode.is_some() || member.kind == FileKind::Link {
                true
            } else {
                // An ordinary user's tar applies umask.
                stat.mode == member.mode || stat.mode == member.mode & !umask & 0o777
            };
            let change = self.attrs.compare(self.report, &stat, umask, self.check)?;
            if stat.kind != member.kind || !same || !masked || !change.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tar_archives() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o640);
        header.set_mtime(7);
        header.set_cksum();
        builder.append_data(&mut header, "./d/a b", &b"hello"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        let got = members(&bytes[..]).unwrap();
        assert_eq!(got.len(), 1);
        assert_eq!((got[0].name.as_str(), got[0].mode, got[0].size, got[0].mtime), ("d/a b", 0o640, 5, 7));
        assert_eq!(
            got[0].sha256.as_deref(),
            Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        );
    }

    #[test]
    fn kinds() {
        for (name, handler) in [
            ("a.tar", "TarArchive"),
            ("a.TGZ", "TgzArchive"),
            ("a.tar.xz", "TarXzArchive"),
            ("a.zip", "ZipArchive"),
        ] {
            assert_eq!(Kind::of(name).handler(), handler);
        }
    }
}
