//! `copy` of whole folders: compared file by file, only what differs is sent.

use std::path::PathBuf;

use super::attrs::{AttrChange, Attrs, Mode};
use super::copy::make_folder;
use super::local::Digests;
use super::sh::{FileKind, Report, Stat, expand_path, q};
use super::write::{Before, Write, bytes, change_of_new, content_diff, side};
use super::{
    Action, Body, Call, DiffSide, Failure, FileAfter, Links, LocalEntry, LocalKind, Prediction, Seen, Touch,
};
use crate::transport::Content;
use crate::value::Map;

/// So many paths go into one call of a tool.
const BATCH: usize = 400;
/// Files up to this size are sent from memory.
const IN_MEMORY: u64 = 1024 * 1024;

/// A folder on this side.
pub struct Tree {
    dir: PathBuf,
    /// Where its contents go.
    dest: String,
    entries: Vec<LocalEntry>,
}

impl Tree {
    pub fn of(call: &Call, src: &str, dir: PathBuf) -> Result<Self, Failure> {
        let args = &call.args;
        let entries = call.local.tree(&dir, links_of(args)).map_err(Failure::new)?;
        let mut dest = expand_path(call, args.str("dest").unwrap_or_default())?;
        if !src.ends_with('/') {
            let base = src.rsplit('/').next().unwrap_or_default();
            dest = format!("{}/{base}", dest.trim_end_matches('/'));
        }
        let dest = match dest.trim_end_matches('/') {
            "" => "/".to_string(),
            dest => dest.to_string(),
        };
        Ok(Tree { dir, dest, entries })
    }

    fn path(&self, entry: &LocalEntry) -> String {
        format!("{}/{}", self.dest.trim_end_matches('/'), entry.path.to_string_lossy())
    }

    fn files(&self) -> impl Iterator<Item = &LocalEntry> {
        self.entries.iter().filter(|e| e.stat.kind == LocalKind::File)
    }

    pub fn probe(&self, call: &Call) -> Result<String, Failure> {
        let attrs = Attrs::of(&call.args)?;
        let dest = q(&self.dest);
        let mut script =
            format!("printf 'umask %s\\n' \"$(umask)\"\n{}xp_stats {dest}\n", attrs.probe(&dest));
        let batches = |entries: &[&LocalEntry], command: &str| -> String {
            entries
                .chunks(BATCH)
                .map(|chunk| {
                    let words: String = chunk.iter().map(|e| format!(" {}", q(&self.path(e)))).collect();
                    format!("{command}{words}\n")
                })
                .collect()
        };
        // Looking up names of owners would take most of the time, and nobody is told them.
        script.insert_str(0, "xp_stat_format=\"${xp_stat_format% *} :::\"\n");
        // Lines of attributes have no tag; a mark stands before them.
        script = script.replacen("xp_stats ", "printf 'stats\\n'; xp_stats ", 1);
        script += &batches(&self.entries.iter().collect::<Vec<_>>(), "xp_stats");
        script += "printf 'digests\\n'\n";
        script += &batches(&self.files().collect::<Vec<_>>(), "xp_digests");
        Ok(script)
    }

    pub fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        call.needs_untouched(&self.dest)?;
        let report = Report::of(seen)?;
        let umask = u32::from_str_radix(report.need("umask")?, 8).unwrap_or(0o22);
        let text = seen.text();
        let mut lines = text.lines().skip_while(|line| *line != "stats").skip(1);
        let mut next = || lines.next().ok_or_else(|| Failure::new("the probe of the folder ended early"));
        let root = Stat::parse(next()?)?;
        let stats: Vec<Option<Stat>> =
            self.entries.iter().map(|_| next().and_then(Stat::parse)).collect::<Result<_, _>>()?;
        if next()? != "digests" {
            return Err(Failure::new("the probe of the folder told more than was asked"));
        }
        let mut digests = Vec::new();
        for _ in self.files() {
            digests.push(next()?.to_string());
        }
        let mut digests = digests.into_iter();

        let mut work = Work::new(call, &report, umask)?;
        work.folder(&self.dest, root.as_ref())?;
        for (entry, stat) in self.entries.iter().zip(&stats) {
            let path = self.path(entry);
            match &entry.stat.kind {
                LocalKind::Dir => work.folder(&path, stat.as_ref())?,
                LocalKind::Link(target) => work.link(&path, &target.to_string_lossy(), stat.as_ref()),
                LocalKind::File => {
                    let digest = digests.next().unwrap_or_default();
                    work.file(&self.dir, entry, &path, stat.as_ref(), &digest)?;
                }
                LocalKind::Other => {
                    work.warnings.push(format!("{} is no file, folder or link", entry.path.display()));
                }
            }
        }
        let mut result = Map::new();
        result.insert("dest", args.str("dest").unwrap_or_default());
        result.insert("src", self.dir.to_string_lossy().into_owned());
        Ok(work.done(result))
    }
}

/// The change of a folder as it grows.
struct Work<'a> {
    call: &'a Call<'a>,
    report: &'a Report,
    umask: u32,
    attrs: Attrs,
    /// New folders with nothing special about them, which one call makes.
    folders: String,
    script: String,
    writes: Vec<Action>,
    diffs: Vec<super::Diff>,
    touches: Vec<Touch>,
    warnings: Vec<String>,
}

impl<'a> Work<'a> {
    fn new(call: &'a Call<'a>, report: &'a Report, umask: u32) -> Result<Self, Failure> {
        let attrs = Attrs::of(&call.args)?;
        Ok(Work {
            call,
            report,
            umask,
            attrs,
            folders: String::new(),
            script: String::new(),
            writes: Vec::new(),
            diffs: Vec::new(),
            touches: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn folder(&mut self, path: &str, stat: Option<&Stat>) -> Result<(), Failure> {
        let mut owner_only = self.attrs.clone();
        owner_only.mode = None;
        match stat {
            Some(stat) if matches!(stat.kind, FileKind::Dir | FileKind::Link) => {
                if stat.kind == FileKind::Dir {
                    let change = owner_only.compare(self.report, stat, self.umask, self.call.check)?;
                    self.script += &change.script(&q(path));
                }
            }
            Some(_) => return Err(Failure::new(format!("cannot copy a folder to {path}: a file is there"))),
            None => {
                let change = change_of_new(&owner_only, self.report, self.call.check)?.script(&q(path));
                if change.is_empty() && !self.call.args.has("directory_mode") {
                    add!(self.folders, " {}", q(path));
                } else {
                    self.script += &make_folder(path, &self.call.args)?;
                    self.script += &change;
                }
                self.touches.push(Touch::Tree { path: path.to_string() });
                self.diffs.push(state_diff(path, "directory"));
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str, stat: Option<&Stat>) {
        if stat.is_some_and(|s| s.target.as_deref() == Some(target)) {
            return;
        }
        let word = q(path);
        add!(self.script, "xp_do \"make the link \"{word} ln -sfn -- {} {word}\n", q(target));
        self.touches.push(Touch::Tree { path: path.to_string() });
        self.diffs.push(state_diff(path, "link"));
    }

    fn file(
        &mut self,
        dir: &std::path::Path,
        entry: &LocalEntry,
        path: &str,
        stat: Option<&Stat>,
        digest: &str,
    ) -> Result<(), Failure> {
        let args = &self.call.args;
        if stat.is_some_and(|s| s.kind == FileKind::Dir) {
            return Err(Failure::new(format!("cannot copy a file to {path}: a folder is there")));
        }
        let mut attrs = self.attrs.clone();
        if attrs.mode == Some(Mode::Preserve) {
            attrs.mode = Some(Mode::Bits(entry.stat.mode));
        }
        let local = dir.join(&entry.path);
        let reader = self.call.local.open(&local).map_err(Failure::new)?;
        let digests = Digests::of_reader(reader).map_err(Failure::new)?;
        // A link in the place of the file is replaced.
        let old = stat.filter(|s| s.kind == FileKind::File);
        let change: AttrChange = match old {
            Some(stat) => attrs.compare(self.report, stat, self.umask, self.call.check)?,
            None => change_of_new(&attrs, self.report, self.call.check)?,
        };
        if old.is_some() && digest == digests.sha256 {
            self.script += &change.script(&q(path));
            return Ok(());
        }
        if stat.is_some() && !args.flag("force") {
            return Ok(());
        }
        let mut after = DiffSide::Binary { size: digests.size, sha256: digests.sha256.clone() };
        let content = if digests.size <= IN_MEMORY {
            let content = self.call.local.read(&local).map_err(Failure::new)?;
            if self.call.diff || self.call.check {
                after = side(Some(&content));
            }
            bytes(&content)
        } else {
            Content::File { path: local, size: digests.size }
        };
        let write = Write {
            dest: path,
            content,
            digests: &digests,
            old,
            before: match (stat, old) {
                (None, _) => Before::Absent,
                (Some(_), Some(_)) if digest.len() == 64 => Before::Sha256(digest),
                _ => Before::Anything,
            },
            umask: self.umask,
            attrs: &attrs,
            change: &change,
            backup: args.flag("backup") && old.is_some(),
            validate: args.str("validate"),
            unsafe_writes: args.flag("unsafe_writes"),
        };
        let left = match &write.content {
            Content::Bytes(bytes) => FileAfter::file(write.predicted(self.call.target), bytes),
            Content::File { .. } => FileAfter::File {
                stat: write.predicted(self.call.target),
                body: Body::Digest { sha256: digests.sha256.clone() },
            },
        };
        self.touches.push(Touch::File { path: path.to_string(), after: left });
        self.writes.push(write.action("")?);
        let before = match old {
            None => DiffSide::Absent,
            Some(stat) => DiffSide::Binary { size: stat.size, sha256: digest.to_string() },
        };
        self.diffs.push(content_diff(path, before, after));
        Ok(())
    }

    fn done(self, result: Map) -> Prediction {
        let mut actions = Vec::new();
        let mut script = String::new();
        if !self.folders.is_empty() {
            add!(script, "xp_do 'make the folders' mkdir -p --{}\n", self.folders);
        }
        script += &self.script;
        if !script.is_empty() {
            actions.push(Action::run(script));
        }
        actions.extend(self.writes);
        let mut prediction =
            if actions.is_empty() { Prediction::same(result) } else { Prediction::change(result, actions) };
        prediction.diff = self.diffs;
        prediction.touches = self.touches;
        prediction.warnings = self.warnings;
        prediction
    }
}

/// What happens to links in a source.
pub fn links_of(args: &super::Args) -> Links {
    if args.flag("local_follow") { Links::Follow } else { Links::Keep }
}

fn state_diff(path: &str, state: &str) -> super::Diff {
    let side = |state: &str| [("path", path), ("state", state)].into_iter().collect::<Map>();
    super::write::attr_diff(path, side("absent"), side(state))
}

/// Returns the lines that compare two folders on the target. `to` is shell text that may use `xp_to`.
pub fn probe_remote(to: &str, dest: &str, links: Links) -> String {
    let (find, kept) = walk_of(links);
    // Names travel through find's own argument passing only, so that any name is safe.
    format!(
        "xp_to={dest}\nxp_to={to}\ncase $xp_to in /*) ;; *) xp_to=$PWD/${{xp_to#./}} ;; esac\nprintf 'to '; xp_word \"$xp_to\"; printf '\\numask %s\\n' \"$(umask)\"\n\
         (cd \"$xp_f\" || exit 1\n\
         {find} . -type d -exec sh -c 'for f; do [ -d \"$0/$f\" ] || printf \"missing d\\n\"; done' \"$xp_to\" {{}} + 2>/dev/null\n\
         find . -type l -exec sh -c 'for f; do {kept}[ \"$(readlink \"$f\")\" = \"$(readlink \"$0/$f\" 2>/dev/null)\" ] || printf \"missing l\\n\"; done' \"$xp_to\" {{}} +\n\
         {find} . -type f -exec sh -c 'for f; do if [ -h \"$0/$f\" ] || ! cmp -s \"$f\" \"$0/$f\"; then printf \"missing f\\n\"; fi; done' \"$xp_to\" {{}} + 2>/dev/null\n:) || exit 1\n"
    )
}

/// Returns the `find` that sees what is copied, and the shell text that passes over the links that are followed: all
/// but those that lead nowhere or back to a folder around them.
fn walk_of(links: Links) -> (&'static str, &'static str) {
    match links {
        Links::Keep => ("find", ""),
        Links::Follow => (
            "find -L",
            "if [ -e \"$f\" ]; then r=$(cd \"$f\" 2>/dev/null && pwd -P) || continue; \
             d=$(cd \"${f%/*}\" && pwd -P); case $d/ in \"$r\"/*) ;; *) continue ;; esac; fi; ",
        ),
    }
}

/// Predicts the copy of a folder on the target.
pub fn plan_remote(call: &Call, report: &Report, src: &str) -> Result<Prediction, Failure> {
    let args = &call.args;
    let to = report.word("to").ok_or_else(|| Failure::new("the probe did not tell the destination"))?;
    call.needs_untouched(&to)?;
    let mut result = Map::new();
    result.insert("dest", args.str("dest").unwrap_or_default());
    result.insert("src", src);
    let count = |kind: &str| report.all("missing").filter(|k| *k == kind).count();
    let (dirs, links, files) = (count("d"), count("l"), count("f"));
    if dirs + links + files == 0 {
        return Ok(Prediction::same(result));
    }
    let attrs = Attrs::of(args)?;
    let mode = |mode: &Option<Mode>| match mode {
        Some(Mode::Preserve) | None => String::new(),
        Some(mode) => mode.for_chmod(),
    };
    let file_mode = mode(&attrs.mode);
    let dir_mode = mode(&Mode::of(args, "directory_mode")?);
    let owner = match (&attrs.owner, &attrs.group) {
        (None, None) => String::new(),
        (owner, group) => format!(
            "{}{}",
            owner.as_deref().unwrap_or_default(),
            group.as_ref().map(|g| format!(":{g}")).unwrap_or_default()
        ),
    };
    // Each file is put in place by a rename, so that nobody sees half of one.
    let follows = links_of(args);
    let (find, kept) = walk_of(follows);
    // When links are followed, find fails because of loops too: then a look at the result decides.
    let verdict = if follows == Links::Keep { " || exit 1" } else { " || xp_doubt=1" };
    let script = format!(
        "xp_f={}\nxp_to={}\nexport XP_FM={} XP_DM={} XP_OW={}\n\
         if [ ! -d \"$xp_to\" ]; then xp_do \"make the directory $xp_to\" mkdir -p -- \"$xp_to\"\n\
         [ -z \"$XP_DM\" ] || xp_do \"set the mode of $xp_to\" chmod \"$XP_DM\" \"$xp_to\"\n\
         [ -z \"$XP_OW\" ] || xp_do \"change the owner of $xp_to\" chown \"$XP_OW\" \"$xp_to\"; fi\n\
         cd \"$xp_f\" || exit 1\n\
         {find} . -type d -exec sh -c 'for f; do if [ ! -d \"$0/$f\" ]; then mkdir -- \"$0/$f\" || exit 1; \
         if [ -n \"$XP_DM\" ]; then chmod \"$XP_DM\" \"$0/$f\" || exit 1; fi; if [ -n \"$XP_OW\" ]; then chown \"$XP_OW\" \"$0/$f\" || exit 1; fi; fi; done' \"$xp_to\" {{}} +{verdict}\n\
         find . -type l -exec sh -c 'for f; do {kept}t=$(readlink \"$f\"); [ \"$t\" = \"$(readlink \"$0/$f\" 2>/dev/null)\" ] || ln -sfn -- \"$t\" \"$0/$f\" || exit 1; done' \"$xp_to\" {{}} + || exit 1\n\
         {find} . -type f -exec sh -c 'for f; do [ ! -h \"$0/$f\" ] && cmp -s \"$f\" \"$0/$f\" && continue; t=\"${{0%/}}/${{f%/*}}/.xplay.$$\"; \
         if cp -p -- \"$f\" \"$t\" && {{ [ -z \"$XP_OW\" ] || chown \"$XP_OW\" \"$t\"; }} && {{ [ -z \"$XP_FM\" ] || chmod \"$XP_FM\" \"$t\"; }} && mv -f -- \"$t\" \"$0/$f\"; then :; \
         else rm -f -- \"$t\"; exit 1; fi; done' \"$xp_to\" {{}} +{verdict}\n\
         if [ \"${{xp_doubt-}}\" ]; then xp_left=$({find} . -type f -exec sh -c 'for f; do cmp -s \"$f\" \"$0/$f\" || printf \"%s\\n\" \"$f\"; done' \"$xp_to\" {{}} + 2>/dev/null | head -n 1)\n\
         [ -z \"$xp_left\" ] || xp_fail \"cannot copy $xp_left\"; fi\n",
        q(src),
        q(&to),
        q(&file_mode),
        q(&dir_mode),
        q(&owner),
    );
    let mut after = Map::new();
    for (key, n) in [("directories", dirs), ("links", links), ("files", files)] {
        if n > 0 {
            after.insert(key, n);
        }
    }
    let diff = super::write::attr_diff(&to, Map::new(), after);
    Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Tree { path: to }).diff(diff))
}
