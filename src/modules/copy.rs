//! `copy`: files, texts and folders to the target, or from one place on it to another.

use std::path::Path;

use super::attrs::{Attrs, FILE_ARGS, Mode, describe, group_of_new};
use super::local::{Digests, Wanted};
use super::sh::{self, FileKind, Look, Report, expand_path, q};
use super::write::{self, Before, DIFF_LIMIT, Write, attr_diff, change_of_new, content_diff, side};
use super::{
    Action, ArgKind, ArgSpec, Args, Body, Call, DiffSide, Early, Failure, FileAfter, LocalFiles, LocalKind,
    Module, ModuleSpec, Outcome, Prediction, Seen, Touch, copy_tree,
};
use crate::transport::{Content, Output};
use crate::value::{Map, Value};

/// Files up to this size are sent from memory.
const IN_MEMORY: u64 = 1024 * 1024;
/// From this size on a faster program for digests is worth its start.
const BIG: u64 = 4 * 1024 * 1024;

static SPEC: ModuleSpec = ModuleSpec {
    name: "copy",
    about: "Copies files, folders or a text to the target.",
    args: &[
        ArgSpec::new("dest", ArgKind::Path, "Where to: a file, or a folder for the source's name.")
            .required(),
        ArgSpec::new(
            "src",
            ArgKind::Path,
            "A file or folder of the project; with / at the end its contents.",
        ),
        ArgSpec::new("content", ArgKind::Raw, "The text of the file instead of a source."),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Replace a file whose content differs.").default("yes"),
        ArgSpec::new("validate", ArgKind::Str, "A command that must accept the new file, named %s."),
        ArgSpec::new("directory_mode", ArgKind::Raw, "Permissions of folders that are made."),
        ArgSpec::new("remote_src", ArgKind::Bool, "The source is on the target.").default("no"),
        ArgSpec::new("local_follow", ArgKind::Bool, "Copy what links in the source lead to.").default("yes"),
        ArgSpec::new("follow", ArgKind::Bool, "When the destination is a link, write what it leads to.")
            .default("no"),
        ArgSpec::new("checksum", ArgKind::Str, "The sha1 that the source must have."),
        ArgSpec::new("decrypt", ArgKind::Bool, "Decrypt the source with the vault.").default("yes"),
    ],
    shared: FILE_ARGS,
    own_check: Some(own_check),
    returns: &[
        ("dest", "the file that was written"),
        ("src", "where it came from"),
        ("checksum", "its sha1"),
        ("md5sum", "its md5"),
        ("backup_file", "the name of the backup"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

/// Says what is missing or too much in Ansible's words for this module.
fn own_check(given: &Map) -> Result<(), Failure> {
    let has = |name: &str| given.get(name).is_some_and(|v| !matches!(v, Value::Null | Value::Omit));
    let filled = |name: &str| has(name) && given.get(name).and_then(Value::as_str) != Some("");
    let ends_in_folder = given.get("dest").and_then(Value::as_str).is_some_and(|dest| dest.ends_with('/'));
    Err(Failure::new(match (filled("src"), has("content")) {
        (false, false) => "src (or content) is required",
        _ if !filled("dest") => "dest is required",
        (true, true) => "src and content are mutually exclusive",
        (false, true) if ends_in_folder => "can not use content with a dir as dest",
        _ => return Ok(()),
    }))
}

pub struct Copy;

impl Module for Copy {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn early(&self, args: &Args, local: &dyn LocalFiles) -> Option<Early> {
        let src = args.str("src").filter(|_| !args.flag("remote_src"))?;
        let path = local.find("files", src).ok()?;
        let big = local.stat(&path).is_ok_and(|stat| stat.kind == LocalKind::File && stat.size > IN_MEMORY);
        let wanted = digests_wanted(args, local);
        // What is wrong with the file is said when it is needed.
        big.then(|| -> Early { Box::new(move || drop(Digests::of_file(&path, wanted))) })
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        match Source::of(call)? {
            Source::Content(content) => content.probe(call).map(Some),
            Source::Tree(tree) => tree.probe(call).map(Some),
            Source::Remote(src) => probe_remote(call, &src).map(Some),
        }
    }

    fn watches(&self, call: &Call) -> Option<String> {
        watched(call)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        match Source::of(call)? {
            Source::Content(content) => content.plan(call, seen),
            Source::Tree(tree) => tree.plan(call, seen),
            Source::Remote(src) => plan_remote(call, seen, &src),
        }
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish_copy(prediction, ran)
    }
}

enum Source {
    Content(Incoming),
    Tree(copy_tree::Tree),
    Remote(String),
}

impl Source {
    fn of(call: &Call) -> Result<Source, Failure> {
        let args = &call.args;
        if let Some(value) = args.get("content") {
            // Ansible writes structures as JSON.
            let text = match value.as_list().is_some() || value.as_map().is_some() {
                true => crate::value::to_json_text(value),
                false => value.to_text(),
            };
            return Ok(Source::Content(Incoming::of_bytes(text.into_bytes(), None, None)));
        }
        let src = args.str("src").unwrap_or_default();
        if args.flag("remote_src") {
            return Ok(Source::Remote(expand_path(call, src)?));
        }
        let path = call.local.find("files", src).map_err(Failure::new)?;
        let stat = call.local.stat(&path).map_err(Failure::new)?;
        if stat.kind == LocalKind::Dir {
            return Ok(Source::Tree(copy_tree::Tree::of(call, src, path)?));
        }
        let base = Path::new(src).file_name().map(|n| n.to_string_lossy().into_owned());
        let incoming = if stat.size <= IN_MEMORY {
            let bytes = call.local.read(&path).map_err(Failure::new)?;
            Incoming::of_bytes(bytes, base, Some(stat.mode))
        } else {
            let digests = Digests::of_file(&path, digests_wanted(args, call.local)).map_err(Failure::new)?;
            let content = Content::File { path: path.clone(), size: digests.size };
            Incoming { content, digests, base, mode: Some(stat.mode), src: None }
        };
        if let Some(wanted) = args.str("checksum")
            && wanted != incoming.digests.sha1
        {
            return Err(Failure::new("Copied file does not match the expected checksum. Transfer failed.")
                .with("checksum", incoming.digests.sha1.as_str())
                .with("expected_checksum", wanted));
        }
        Ok(Source::Content(Incoming { src: Some(path.to_string_lossy().into_owned()), ..incoming }))
    }
}

fn digests_wanted(args: &Args, local: &dyn LocalFiles) -> Wanted {
    if args.has("checksum") { Wanted::All } else { local.digests_wanted() }
}

/// One file's content that comes from this side; `template` uses it too.
pub struct Incoming {
    content: Content,
    digests: Digests,
    /// The name that it gets in a folder.
    base: Option<String>,
    /// Permissions here, for `mode: preserve`.
    mode: Option<u32>,
    src: Option<String>,
}

impl Incoming {
    pub fn of_bytes(bytes: Vec<u8>, base: Option<String>, mode: Option<u32>) -> Self {
        Incoming {
            digests: Digests::of(&bytes),
            content: Content::Bytes(bytes.into()),
            base,
            mode,
            src: None,
        }
    }

    /// Says where it came from.
    pub fn from(mut self, src: String) -> Self {
        self.src = Some(src);
        self
    }

    /// Returns the script that shows the destination.
    pub fn probe(&self, call: &Call) -> Result<String, Failure> {
        let attrs = Attrs::of(&call.args)?;
        let dest = call.args.str("dest").unwrap_or_default();
        let mut script = destination(call, dest, self.base.as_deref())?;
        if self.content.size() >= BIG {
            script += "xp_big=1\n";
        }
        add!(
            script,
            "{}if [ -f \"$xp_p\" ] && xp_sum \"$xp_p\"; then printf 'sha256 %s\\n' \"$xp_s\"\n",
            attrs.probe("\"$xp_p\"")
        );
        if call.diff || call.check {
            add!(
                script,
                "if [ \"$xp_s\" != {} ] && [ $(($(wc -c <\"$xp_p\"))) -le {DIFF_LIMIT} ]; then printf 'content\\n'; cat -- \"$xp_p\"; fi\n",
                self.digests.sha256
            );
        }
        Ok(script + "fi\n")
    }

    pub fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let at = Destination::of(call, seen, self.base.as_deref())?;
        let mut attrs = Attrs::of(args)?;
        if attrs.mode == Some(Mode::Preserve) {
            attrs.mode = self.mode.map(Mode::Bits);
        }
        let mut result = Map::new();
        result.insert("dest", at.shown.as_str());
        if let Some(src) = &self.src {
            result.insert("src", src.as_str());
        }
        if !self.digests.sha1.is_empty() {
            result.insert("checksum", self.digests.sha1.as_str());
        }
        let after = match &self.content {
            Content::Bytes(bytes) => side(Some(bytes)),
            Content::File { size, .. } => {
                DiffSide::Binary { size: *size, sha256: self.digests.sha256.clone() }
            }
        };
        at.plan(call, attrs, result, &self.digests, after, |write| {
            Write { content: self.content.clone(), ..write }.action("")
        })
    }
}

/// Returns the file that the destination means, as far as that can be told from here.
pub fn watched(call: &Call) -> Option<String> {
    let dest = call.args.str("dest").unwrap_or_default();
    let path = expand_path(call, dest).ok()?;
    if !dest.ends_with('/') {
        return Some(path);
    }
    let base = call.args.str("src").unwrap_or_default().rsplit('/').next().unwrap_or_default();
    Some(format!("{path}{base}"))
}

/// Returns the lines that set `xp_p` to the file that will be written, and tell what is there.
fn destination(call: &Call, dest: &str, base: Option<&str>) -> Result<String, Failure> {
    let path = q(&expand_path(call, dest)?);
    let mut script = format!("xp_p={path}\n");
    if let Some(base) = base {
        let join = format!("xp_p=${{xp_p%/}}/{}", q(base));
        if dest.ends_with('/') {
            add!(script, "{join}\n");
        } else {
            add!(script, "if [ -d \"$xp_p\" ]; then {join}; fi\n");
        }
    }
    script += "xp_dest \"$xp_p\"\n";
    Ok(script)
}

/// The file that is to be written, as the probe found it.
struct Destination {
    /// Links followed where asked.
    path: String,
    shown: String,
    look: Look,
    report: Report,
    parent: bool,
    /// The destination names a folder that is to be made.
    makes_parent: bool,
    content: Option<Vec<u8>>,
    /// The sha256 of what is there.
    digest: Option<String>,
}

/// Returns the folder of a path that begins with `/` or `./`.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(dir, _)| if dir.is_empty() { "/" } else { dir })
}

impl Destination {
    fn of(call: &Call, seen: &Seen, base: Option<&str>) -> Result<Self, Failure> {
        let mut report = Report::of(seen)?;
        let mut content = report.content.take();
        let mut look = Look::of(&report)?;
        let mut path = report.word("path").ok_or_else(|| Failure::new("the probe did not tell the path"))?;
        let dest = call.args.str("dest").unwrap_or_default();
        let mut digest = report.get("sha256").map(str::to_string);
        if let Some(base) = base
            && path == expand_path(call, dest)?
            && matches!(call.foreseen_file(&path)?, Some(FileAfter::Dir(_)))
        {
            // The folder that an earlier step makes takes the source's name.
            path = format!("{}/{base}", path.trim_end_matches('/'));
            look = FileAfter::Absent.look(&look);
            (content, digest) = (None, None);
        }
        let shown = if dest.starts_with('/') || path.starts_with('/') {
            path.clone()
        } else {
            path.trim_start_matches("./").to_string()
        };
        if call.args.flag("follow")
            && look.is_link()
            && let Some(real) = &look.real
        {
            path = real.clone();
        }
        if let Some(after) = call.foreseen_file(&path)? {
            content = after.content(&path, content).unwrap_or_default();
            digest = after.sha256(digest);
            look = after.look(&look);
        }
        let parent = report.need("parent")? == "yes" || call.world.makes_folder(folder_of(&path));
        Ok(Destination {
            makes_parent: dest.ends_with('/'),
            path,
            shown,
            look,
            report,
            parent,
            content,
            digest,
        })
    }

    /// Predicts the replacement; `action` makes it from the finished description.
    fn plan(
        &self,
        call: &Call,
        attrs: Attrs,
        mut result: Map,
        digests: &Digests,
        after: DiffSide,
        action: impl Fn(Write) -> Result<Action, Failure>,
    ) -> Result<Prediction, Failure> {
        let args = &call.args;
        let folder = folder_of(&self.path);
        if !self.parent && !self.makes_parent {
            return Err(Failure::new(format!("Destination directory {folder} does not exist")));
        }
        let old = self.look.file.as_ref();
        if old.is_some_and(|stat| stat.kind == FileKind::Dir) {
            return Err(
                Failure::new("can not use content with a dir as dest").with("dest", self.shown.as_str())
            );
        }
        if old.is_some() && !args.flag("force") {
            result.insert("msg", "file already exists");
            return Ok(Prediction::same(result));
        }
        let digest = self.digest.as_deref();
        // A link is replaced by a file unless it is to be followed.
        let replaces_link = self.look.is_link() && !args.flag("follow");
        let same = digest == Some(digests.sha256.as_str()) && !replaces_link;
        let change = match old {
            Some(stat) => attrs.compare(&self.report, stat, self.look.umask, call.check)?,
            None => change_of_new(&attrs, &self.report, call.check)?,
        };
        if same {
            // As the `file` module says it, which looks after attributes there.
            result.insert("path", self.shown.as_str());
        }
        if same && change.is_empty() {
            if let Some(stat) = old {
                describe(&mut result, stat);
            }
            return Ok(Prediction::same(result));
        }
        let path = q(&self.path);
        if same {
            if let Some(stat) = old {
                describe(&mut result, &change.applied(stat, &attrs));
            }
            let (before, now) = change.sides();
            let diff = attr_diff(&self.shown, before.clone(), now.clone());
            let mut prediction =
                Prediction::change(result, vec![Action::run(change.script(&path))]).diff(diff);
            if let Some(stat) = old {
                prediction.touches.push(self.left(change.applied(stat, &attrs), &after));
            }
            prediction.warnings = change.warnings;
            return Ok(prediction);
        }
        let write = Write {
            dest: &self.path,
            content: Content::Bytes(Vec::new().into()),
            digests,
            old,
            before: match digest {
                Some(digest) => Before::Sha256(digest),
                None if old.is_none() && !self.look.is_link() => Before::Absent,
                None => Before::Anything,
            },
            umask: self.look.umask,
            attrs: &attrs,
            change: &change,
            backup: args.flag("backup") && old.is_some(),
            validate: args.str("validate"),
            unsafe_writes: args.flag("unsafe_writes"),
        };
        let stat = write.predicted(call.target);
        describe(&mut result, &stat);
        if old.is_none() {
            group_of_new(&mut result, &attrs);
        }
        if !digests.md5.is_empty() {
            result.insert("md5sum", digests.md5.as_str());
        }
        if args.has("content") {
            // As there the name of a temporary file on the target, with the ending of the file that it becomes.
            let name = self.shown.rsplit('/').next().unwrap_or_default();
            let ending = name
                .char_indices()
                .skip(1)
                .filter(|(_, c)| *c == '.')
                .last()
                .map_or("", |(at, _)| &name[at..]);
            result.insert(
                "src",
                format!("{}/.ansible/tmp/.source{ending}", call.target.home.trim_end_matches('/')),
            );
        }
        let mut action = action(write)?;
        if !self.parent
            && let Action::Run(run) = &mut action
        {
            run.script = make_folder(folder, args)? + &run.script;
        }
        let before = match (&self.content, old) {
            (_, None) => DiffSide::Absent,
            (Some(content), _) => side(Some(content)),
            (None, Some(stat)) => {
                DiffSide::Binary { size: stat.size, sha256: digest.unwrap_or_default().to_string() }
            }
        };
        let left = self.left(stat, &after);
        let mut prediction = Prediction::change(result, vec![action]).touch(left).diff(content_diff(
            &self.shown,
            before,
            after,
        ));
        let (before, now) = change.sides();
        if old.is_some() && !change.is_empty() {
            prediction.diff.push(attr_diff(&self.shown, before.clone(), now.clone()));
        }
        prediction.warnings = change.warnings;
        Ok(prediction)
    }
}

impl Destination {
    /// What stands there afterwards.
    fn left(&self, stat: super::sh::Stat, after: &DiffSide) -> Touch {
        let body = match after {
            DiffSide::Text(text) => Body::Bytes(text.as_bytes().into()),
            DiffSide::Binary { sha256, .. } => Body::Digest { sha256: sha256.clone() },
            DiffSide::Attributes(_) | DiffSide::Absent => Body::Unknown,
        };
        Touch::File { path: self.path.clone(), after: FileAfter::File { stat, body } }
    }
}

/// Returns the lines that make a folder, and those above it, with `directory_mode`.
pub(super) fn make_folder(folder: &str, args: &super::Args) -> Result<String, Failure> {
    let mode = match Mode::of(args, "directory_mode")? {
        None | Some(Mode::Preserve) => String::new(),
        Some(mode) => format!("xp_do \"set the mode of $xp_d\" chmod {} \"$xp_d\"\n", q(&mode.for_chmod())),
    };
    Ok(format!(
        "xp_d={}\nset --\nwhile [ -n \"$xp_d\" ] && [ \"$xp_d\" != . ] && [ ! -d \"$xp_d\" ]; do set -- \"$xp_d\" \"$@\"; \
         case $xp_d in */*) xp_d=${{xp_d%/*}} ;; *) xp_d= ;; esac; done\n\
         for xp_d; do\n{}{mode}done\n",
        q(folder),
        sh::mkdir("")
    ))
}

fn probe_remote(call: &Call, src: &str) -> Result<String, Failure> {
    let attrs = Attrs::of(&call.args)?;
    let dest = call.args.str("dest").unwrap_or_default();
    let base = src.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let from = q(src);
    let folder = q(&expand_path(call, dest)?);
    let inside = if src.ends_with('/') { String::new() } else { format!("/{}", q(base)) };
    Ok(format!(
        "xp_f={from}\nif [ ! -e \"$xp_f\" ]; then printf 'source none\\n'; exit 0; fi\n\
         if [ -d \"$xp_f\" ]; then printf 'source dir\\n'\n{}\
         elif [ ! -f \"$xp_f\" ]; then printf 'source other\\n'\nelse\n[ -r \"$xp_f\" ] || xp_fail \"Source $xp_f not readable\"\nprintf 'source file\\nsrc '; xp_stat -L \"$xp_f\"\n\
         printf 'src256 %s\\n' \"$(xp_sha256 \"$xp_f\")\"\nprintf 'src1 %s\\n' \"$(xp_sha1 \"$xp_f\")\"\nprintf 'srcmd5 %s\\n' \"$(xp_md5 \"$xp_f\" 2>/dev/null)\"\n\
         {}{}if [ -f \"$xp_p\" ] && xp_s=$(xp_sha256 \"$xp_p\" 2>/dev/null); then printf 'sha256 %s\\n' \"$xp_s\"; fi\nfi\n",
        copy_tree::probe_remote(&format!("${{xp_to%/}}{inside}"), &folder, copy_tree::links_of(&call.args)),
        destination(call, dest, Some(base))?,
        attrs.probe("\"$xp_p\""),
    ))
}

fn plan_remote(call: &Call, seen: &Seen, src: &str) -> Result<Prediction, Failure> {
    let args = &call.args;
    call.needs_untouched(src)?;
    let report = Report::of(seen)?;
    match report.need("source")? {
        "none" => return Err(Failure::new(format!("Source {} not found", args.str("src").unwrap_or(src)))),
        "dir" => return copy_tree::plan_remote(call, &report, src),
        "other" => return Err(Failure::new(format!("Source {src} is not a file"))),
        _ => {}
    }
    let source = report.stat("src")?.ok_or_else(|| Failure::new(format!("Source {src} not found")))?;
    let digest = |tag: &str| report.get(tag).unwrap_or_default().to_string();
    let digests =
        Digests { size: source.size, sha256: digest("src256"), sha1: digest("src1"), md5: digest("srcmd5") };
    if let Some(wanted) = args.str("checksum")
        && wanted != digests.sha1
    {
        return Err(Failure::new("Copied file does not match the expected checksum. Transfer failed.")
            .with("checksum", digests.sha1)
            .with("expected_checksum", wanted));
    }
    let base = src.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let at = Destination::of(call, seen, Some(base))?;
    let mut attrs = Attrs::of(args)?;
    // Without a mode the permissions of the source come along, as with Ansible.
    if attrs.mode == Some(Mode::Preserve) || (attrs.mode.is_none() && at.look.file.is_none()) {
        attrs.mode = Some(Mode::Bits(source.mode));
    }
    let mut result = Map::new();
    result.insert("dest", at.shown.as_str());
    result.insert("src", src);
    result.insert("checksum", digests.sha1.as_str());
    let after = DiffSide::Binary { size: digests.size, sha256: digests.sha256.clone() };
    let from = q(src);
    at.plan(call, attrs, result, &digests, after, |write| {
        let script = write.script()?;
        Ok(Action::run(format!("{} <{from}\n", script.trim_end())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    const FILE: &str = "81a4 0 0 5 1 1 1 9 1 1 0 0 8 4096 :root:root:";

    fn case(given: &[(&str, &str)]) -> Case {
        let mut given = given.to_vec();
        given.extend([("content", "hello"), ("dest", "/d/f")]);
        Case::new(&Copy, args(&given))
    }

    #[test]
    fn converged_and_new() {
        let seen = format!("path =/d/f\nparent yes\numask 0022\nlstat {FILE}\nsha256 {HELLO}\n");
        assert_eq!(case(&[]).plan(seen.clone()).unwrap().effect, Effect::Same);
        let chmod = case(&[("mode", "0600")]).plan(seen).unwrap();
        assert_eq!(scripts(&chmod), ["xp_do \"set the mode of \"'/d/f' chmod 0600 '/d/f'\n"]);
        let absent = "path =/d/f\nparent yes\numask 0022\nlstat absent\n";
        let new = case(&[("mode", "0600")]).plan(absent).unwrap();
        assert_eq!(scripts(&new), [format!("xp_write -s 5 -d {HELLO} -b absent -m 0600 '/d/f'\n")]);
        assert_eq!(new.result.get("checksum").unwrap().to_text(), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        assert_eq!(new.result.get("mode").unwrap().to_text(), "0600");
    }

    #[test]
    fn replaces_only_what_was_seen() {
        let seen = format!("path =/d/f\nparent yes\numask 0022\nlstat {FILE}\nsha256 00\ncontent\nold");
        let change = case(&[("backup", "yes")]).plan(seen.clone()).unwrap();
        assert_eq!(scripts(&change), [format!("xp_write -s 5 -d {HELLO} -b 00 -m 0644 -O 0:0 -k '/d/f'\n")]);
        assert_eq!(change.diff[0].before, DiffSide::Text("old".into()));
        assert_eq!(case(&[("force", "no")]).plan(seen).unwrap().effect, Effect::Same);
        let nowhere = "path =/d/f\nparent no\numask 0022\nlstat absent\n";
        assert_eq!(case(&[]).plan(nowhere).unwrap_err().msg, "Destination directory /d does not exist");
    }
}
