//! `file`: files, folders and links: whether they are there, and their attributes.

use jiff::civil::DateTime;

use super::attrs::{AttrChange, Attrs, FILE_ARGS, Mode, describe, group_of_new};
use super::sh::{FileKind, Look, Report, Stat, expand_path, q};
use super::write::{change_of_new, path_diff};
use super::{
    Action, ArgKind, ArgSpec, Body, Call, Failure, FileAfter, Known, Module, ModuleSpec, Outcome, Prediction,
    Seen, Touch,
};
use crate::transport::Output;
use crate::value::Map;

/// The form of times that `touch -t` takes.
const TOUCH_FORM: &str = "%Y%m%d%H%M.%S";

static SPEC: ModuleSpec = ModuleSpec {
    name: "file",
    about: "Makes sure that a file, folder or link is there with its attributes, or that it is not.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The file.").required().aliases(&["dest", "name"]),
        ArgSpec::new("state", ArgKind::Str, "What it is to be.").choices(&[
            "absent",
            "directory",
            "file",
            "hard",
            "link",
            "touch",
        ]),
        ArgSpec::new("src", ArgKind::Path, "Where a link leads."),
        ArgSpec::new("recurse", ArgKind::Bool, "Set the attributes on everything below a folder too.")
            .default("no"),
        ArgSpec::new(
            "force",
            ArgKind::Bool,
            "Make a link though its target is absent or a file is in the way.",
        )
        .default("no"),
        ArgSpec::new("follow", ArgKind::Bool, "For a link, work on what it leads to.").default("yes"),
        ArgSpec::new("modification_time", ArgKind::Str, "preserve, now, or a time."),
        ArgSpec::new("modification_time_format", ArgKind::Str, "How that time is written.")
            .default(TOUCH_FORM),
        ArgSpec::new("access_time", ArgKind::Str, "preserve, now, or a time."),
        ArgSpec::new("access_time_format", ArgKind::Str, "How that time is written.").default(TOUCH_FORM),
    ],
    shared: FILE_ARGS,
    returns: &[
        ("path", "the file"),
        ("dest", "the file, for links and touch"),
        ("src", "where a link leads"),
        ("state", "what it is now"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct File;

impl Module for File {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let attrs = Attrs::of(args)?;
        let state = args.str("state");
        let path = q(&path_of(call)?);
        let mut script = format!("xp_p={path}\nxp_look \"$xp_p\"\n{}", attrs.probe("\"$xp_p\""));
        if let Some(src) = args.str("src") {
            if !matches!(state, Some("link" | "hard")) {
                return Err(Failure::new("src option requires state to be 'link' or 'hard'"));
            }
            // A relative target of a link is looked for from the link's own folder.
            let seen_from = if state == Some("link") && !expanded(call, src)?.starts_with('/') {
                "if [ -d \"$xp_p\" ] && [ ! -h \"$xp_p\" ]; then xp_d=$xp_p; else xp_d=${xp_p%/*}; fi\nxp_s0=$xp_d/"
            } else {
                "xp_s0="
            };
            add!(script, "{seen_from}{}\nprintf 'src '; xp_stat -L \"$xp_s0\"\n", q(&expanded(call, src)?));
        }
        if matches!(state, Some("link")) {
            script += "if [ -d \"$xp_p\" ] && [ -n \"$(ls -A -- \"$xp_p\" 2>/dev/null)\" ]; then printf 'filled yes\\n'; fi\n";
        }
        if args.flag("recurse") && !attrs.is_empty() {
            script += "if [ -d \"$xp_p\" ]; then find \"$xp_p/.\" -exec stat -c 'tree %f %u %g' {} + | sort -u; fi\n";
        }
        for (tag, fmt) in [("mtime", "%Y"), ("atime", "%X")] {
            add!(
                script,
                "[ ! -e \"$xp_p\" ] || printf '{tag} %s\\n' \"$(date -d \"@$(stat -L -c {fmt} -- \"$xp_p\")\" +{TOUCH_FORM} 2>/dev/null)\"\n"
            );
        }
        if ["modification_time", "access_time"].iter().all(|n| !is_a_time(args.str(n))) {
            script.truncate(script.find("[ ! -e \"$xp_p\" ] || printf 'mtime").unwrap_or(script.len()));
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let mut look = Look::of(&report)?;
        let path = path_of(call)?;
        if let Some(after) = call.foreseen_file(&path)? {
            look = after.look(&look);
        } else if look.is_link()
            && let Some(real) = look.real.clone()
            && let Some(after) = call.foreseen_file(&real)?
        {
            look.file = after.stat().cloned();
        } else if look.link.is_none() && call.world.makes_folder(&path) {
            look.link =
                Some(Stat { kind: FileKind::Dir, ..new_stat(call, look.umask, FileKind::Dir, 0o777) });
            look.file.clone_from(&look.link);
        }
        if call.args.flag("recurse") && look.link.is_some() {
            call.needs_untouched(&path)?;
        }
        Plan::new(call, report, look)?.plan()
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let shown = call.args.str("path").unwrap_or_default();
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output).with("path", shown));
            }
            let report = Report::parse(&output.stdout);
            if report.get("after").is_some()
                && let Some(stat) = report.stat("after")?
            {
                describe(&mut prediction.result, &stat);
            }
        }
        Ok(prediction.into_outcome())
    }
}

/// Returns the file without a slash at the end.
fn path_of(call: &Call) -> Result<String, Failure> {
    let path = expand_path(call, call.args.str("path").unwrap_or_default())?;
    let bare = path.trim_end_matches('/');
    if bare.is_empty() && path.is_empty() {
        return Err(Failure::new("path is empty"));
    }
    Ok(if bare.is_empty() { "/".to_string() } else { bare.to_string() })
}

/// Returns a link's target as it is written into the link: `~` and variables replaced, nothing added.
fn expanded(call: &Call, src: &str) -> Result<String, Failure> {
    let path = expand_path(call, src)?;
    Ok(if src.starts_with("./") { path } else { path.strip_prefix("./").unwrap_or(&path).to_string() })
}

fn is_a_time(text: Option<&str>) -> bool {
    text.is_some_and(|t| t != "preserve" && t != "now")
}

struct Plan<'a> {
    call: &'a Call<'a>,
    report: Report,
    look: Look,
    attrs: Attrs,
    path: String,
    shown: &'a str,
    follow: bool,
}

impl<'a> Plan<'a> {
    fn new(call: &'a Call<'a>, report: Report, look: Look) -> Result<Self, Failure> {
        Ok(Plan {
            attrs: Attrs::of(&call.args)?,
            path: path_of(call)?,
            shown: call.args.str("path").unwrap_or_default(),
            follow: call.args.flag("follow"),
            call,
            report,
            look,
        })
    }

    fn plan(mut self) -> Result<Prediction, Failure> {
        let args = &self.call.args;
        let found = kind_word(self.look.link.as_ref());
        let state = match args.str("state") {
            Some(state) => state,
            None if found != "absent" => found,
            None if args.flag("recurse") => "directory",
            None => "file",
        };
        if args.flag("recurse") && state != "directory" {
            return Err(
                Failure::new("recurse option requires state to be 'directory'").with("path", self.shown)
            );
        }
        match state {
            "absent" => self.absent(found),
            "directory" => self.directory(),
            "link" => self.link(found),
            "hard" => self.hard(found),
            "touch" => self.touch(found),
            _ => self.file(),
        }
    }

    fn absent(&self, found: &str) -> Result<Prediction, Failure> {
        let mut result = Map::new();
        result.insert("path", self.shown);
        result.insert("state", "absent");
        if found == "absent" {
            return Ok(Prediction::same(result));
        }
        let last = self.path.rsplit('/').next().unwrap_or_default();
        if matches!(last, "" | "." | "..") {
            return Err(Failure::new(format!("refusing to remove {}", self.shown)));
        }
        let path = q(&self.path);
        let flags = if found == "directory" { "-rf" } else { "-f" };
        let script = format!("xp_do \"remove \"{path} rm {flags} -- {path}\n");
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(self.left(FileAfter::Absent))
            .diff(self.state_diff(found, "absent", Map::new(), Map::new())))
    }

    /// Changes attributes of something that is there.
    fn file(&mut self) -> Result<Prediction, Failure> {
        let stat = if self.follow { self.look.file.clone() } else { self.look.link.clone() };
        if self.follow
            && let Some(real) = self.look.real.clone()
        {
            self.path = real;
        }
        let word = kind_word(stat.as_ref());
        let Some(stat) = stat.filter(|s| s.kind != FileKind::Dir && s.kind != FileKind::Link) else {
            return Err(Failure::new(format!("file ({}) is {word}, cannot continue", self.shown))
                .with("path", self.shown)
                .with("state", word));
        };
        self.attributes(stat, "path", "preserve")
    }

    /// Predicts attributes and times of something that is there and has the right kind.
    fn attributes(&self, stat: Stat, key: &str, times: &str) -> Result<Prediction, Failure> {
        let change = self.attrs.compare(&self.report, &stat, self.look.umask, self.call.check)?;
        let touch = self.touch_command(times, true)?;
        let mut result = Map::new();
        result.insert(key, self.shown);
        describe(&mut result, &change.applied(&stat, &self.attrs));
        let tree = self.tree_script()?;
        if change.is_empty() && touch.is_empty() && tree.is_empty() {
            return Ok(Prediction::same(result));
        }
        let path = q(&self.path);
        let (before, after) = change.sides();
        let (before, mut after) = (before.clone(), after.clone());
        if !tree.is_empty() {
            after.insert("recurse", true);
        }
        let script = format!("{}{tree}{touch}printf 'after '; xp_stat {path}\n", change.script(&path));
        let left = match tree.is_empty() {
            true => self.left_with(change.applied(&stat, &self.attrs)),
            false => Touch::Tree { path: self.path.clone() },
        };
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(left)
            .diff(path_diff(self.shown, before, after));
        prediction.warnings = change.warnings;
        Ok(prediction)
    }

    /// Returns the lines that set attributes on everything below a folder; empty when all have them.
    fn tree_script(&self) -> Result<String, Failure> {
        let mut script = String::new();
        if !self.call.args.flag("recurse") {
            return Ok(script);
        }
        let ids = self.attrs.ids(&self.report, self.call.check)?;
        let (mut owner, mut mode) = (false, false);
        for line in self.report.all("tree") {
            let fields: Vec<&str> = line.split(' ').collect();
            let [raw, uid, gid] = fields.as_slice() else { continue };
            let stat =
                Stat::parse(&format!("{raw} {uid} {gid} 0 0 0 0 0 0 0 0 0 0 0 :::"))?.unwrap_or_default();
            owner |= ids.uid.is_some_and(|id| id != stat.uid) || ids.gid.is_some_and(|id| id != stat.gid);
            if let Some(wanted) = &self.attrs.mode
                && stat.kind != FileKind::Link
            {
                mode |= wanted.bits(stat.mode, stat.kind, self.look.umask) != stat.mode;
            }
        }
        let path = q(&format!("{}/.", self.path.trim_end_matches('/')));
        let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        if owner {
            let owner = format!("{}:{}", number(ids.uid), number(ids.gid));
            let owner = owner.trim_end_matches(':');
            add!(script, "xp_do \"change the owner below \"{path} chown -hR {owner} {path}\n");
        }
        if mode && let Some(wanted) = &self.attrs.mode {
            let run = |kind: &str, text: &str| {
                format!(
                    "xp_do \"set modes below \"{path} find {path} {kind} -exec chmod {} {{}} +\n",
                    q(text)
                )
            };
            match wanted {
                Mode::Bits(bits) => {
                    script += &run("-type d", &super::attrs::chmod_text(*bits, true));
                    script += &run("! -type d ! -type l", &super::attrs::chmod_text(*bits, false));
                }
                other => script += &run("! -type l", &other.for_chmod()),
            }
        }
        Ok(script)
    }

    fn directory(&mut self) -> Result<Prediction, Failure> {
        let stat = if self.follow { self.look.file.clone() } else { self.look.link.clone() };
        if self.follow
            && self.look.file.is_some()
            && let Some(real) = self.look.real.clone()
        {
            self.path = real;
        }
        match stat {
            Some(stat) if stat.kind == FileKind::Dir => return self.attributes(stat, "path", "preserve"),
            Some(stat) => {
                let word = kind_word(Some(&stat));
                return Err(Failure::new(format!("{} already exists as a {word}", self.shown))
                    .with("path", self.shown));
            }
            None if self.look.is_link() => {
                return Err(
                    Failure::new(format!("{} already exists as a link", self.shown)).with("path", self.shown)
                );
            }
            None => {}
        }
        let new = self.new_stat(FileKind::Dir, 0o777);
        let change = self.change_of(&new)?;
        // Folders on the way that have to be made get the same attributes.
        let script = format!(
            "xp_d={}\nset --\nwhile [ -n \"$xp_d\" ] && [ \"$xp_d\" != . ] && [ ! -d \"$xp_d\" ]; do set -- \"$xp_d\" \"$@\"; \
             case $xp_d in */*) xp_d=${{xp_d%/*}} ;; *) xp_d= ;; esac\n\
             while :; do case $xp_d in ?*/) xp_d=${{xp_d%/}} ;; *) break ;; esac; done; done\n\
             for xp_d; do\nxp_do \"make the directory $xp_d\" mkdir{} -- \"$xp_d\"\n{}done\nprintf 'after '; xp_stat {}\n",
            q(&self.path),
            change.mode.map(|m| format!(" -m {:04o}", m & 0o777)).unwrap_or_default(),
            change.script("\"$xp_d\""),
            q(&self.path),
        );
        self.made("path", "directory", "absent", &change.applied(&new, &self.attrs), script, change)
    }

    fn touch(&mut self, found: &str) -> Result<Prediction, Failure> {
        if found != "absent" {
            if self.follow
                && let Some(real) = self.look.real.clone()
            {
                self.path = real;
            }
            if let Some(stat) = self.look.file.clone() {
                return self.attributes(stat, "dest", "now");
            }
        }
        let new = self.new_stat(FileKind::File, 0o666);
        let change = self.change_of(&new)?;
        let path = q(&self.path);
        let script = format!(
            "xp_do \"make \"{path} touch -- {path}\n{}{}printf 'after '; xp_stat {path}\n",
            change.script(&path),
            self.touch_command("preserve", false)?
        );
        self.made("dest", "touch", found, &change.applied(&new, &self.attrs), script, change)
    }

    fn link(&mut self, found: &str) -> Result<Prediction, Failure> {
        let args = &self.call.args;
        let force = args.flag("force");
        let old = self.look.link.as_ref().and_then(|s| s.target.clone());
        let src = match (args.str("src"), &old) {
            (Some(src), _) => expanded(self.call, src)?,
            (None, Some(target)) if found == "link" => target.clone(),
            _ => return Err(Failure::new("src is required for creating new symlinks")),
        };
        let fail = |msg: String| Err(Failure::new(msg).with("path", self.shown).with("src", src.as_str()));
        if args.has("src") && !force && !self.leads_somewhere(&src)? {
            return fail(format!(
                "src file does not exist, use 'force=yes' if you really want to create the link: {src}"
            ));
        }
        match found {
            "directory" if !force => {
                return fail(format!("refusing to convert from directory to symlink for {}", self.shown));
            }
            "directory" if self.report.get("filled").is_some() => {
                return fail(format!("the directory {} is not empty, refusing to convert it", self.shown));
            }
            "file" | "hard" if !force => {
                return fail(format!("refusing to convert from {found} to symlink for {}", self.shown));
            }
            _ => {}
        }
        let path = q(&self.path);
        let mut result = Map::new();
        result.insert("dest", self.shown);
        result.insert("src", src.as_str());
        if found == "link" && old.as_deref() == Some(src.as_str()) {
            return self.link_attributes(result);
        }
        let base = self.look.link.clone().filter(|s| s.kind == FileKind::Link);
        let stat = base.unwrap_or_else(|| self.new_stat(FileKind::Link, 0o777));
        describe(&mut result, &Stat { kind: FileKind::Link, size: src.len() as u64, ..stat });
        group_of_new(&mut result, &Attrs::default());
        let dir = if found == "directory" {
            format!("xp_do \"replace \"{path} rmdir -- {path}\n")
        } else {
            String::new()
        };
        let mut script = format!(
            "{dir}xp_t={path}.xplay.$$\nxp_do \"make the link \"{path} ln -s -- {0} \"$xp_t\"\n\
             if ! mv -fT -- \"$xp_t\" {path} 2>/dev/null; then rm -f -- \"$xp_t\"; xp_do \"make the link \"{path} ln -sfn -- {0} {path}; fi\n\
             printf 'after '; xp_stat {path}\n",
            q(&src)
        );
        let (mut before, mut after) = (Map::new(), Map::new());
        if let Some(old) = old {
            before.insert("src", old);
            after.insert("src", src.as_str());
        }
        if self.follow
            && !self.attrs.is_empty()
            && let Some(stat) = self.report.stat("src").ok().flatten()
        {
            // As with Ansible, attributes of a followed link are those of what it leads to.
            let change = self.attrs.compare(&self.report, &stat, self.look.umask, self.call.check)?;
            script += &change.script(&format!("\"$(readlink -f -- {path})\""));
        }
        let link =
            Stat { kind: FileKind::Link, target: Some(src.clone()), ..self.new_stat(FileKind::Link, 0o777) };
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(self.left(FileAfter::Link(link)))
            .diff(self.state_diff(found, "link", before, after)))
    }

    /// Whether there is, or will be, something where a link is to lead.
    fn leads_somewhere(&self, src: &str) -> Result<bool, Failure> {
        let path = match self.path.rsplit_once('/') {
            Some((dir, _)) if !src.starts_with('/') => format!("{dir}/{src}"),
            _ => src.to_string(),
        };
        Ok(match self.call.foreseen_file(&path)? {
            Some(after) => after != FileAfter::Absent,
            None => self.report.stat("src")?.is_some() || self.call.world.makes_folder(&path),
        })
    }

    /// Predicts a link that leads where it should: only what it leads to may need attributes.
    fn link_attributes(&self, mut result: Map) -> Result<Prediction, Failure> {
        if let Some(link) = &self.look.link {
            describe(&mut result, link);
        }
        let (stat, path) = match (&self.look.file, &self.look.real) {
            (Some(stat), Some(real)) if self.follow => (stat, real),
            _ if self.follow => return Ok(Prediction::same(result)),
            _ => match &self.look.link {
                Some(link) => (link, &self.path),
                None => return Ok(Prediction::same(result)),
            },
        };
        let change = self.attrs.compare(&self.report, stat, self.look.umask, self.call.check)?;
        if change.is_empty() {
            return Ok(Prediction::same(result));
        }
        let (before, after) = change.sides();
        let diff = path_diff(self.shown, before.clone(), after.clone());
        Ok(Prediction::change(result, vec![Action::run(change.script(&q(path)))]).diff(diff))
    }

    fn hard(&mut self, found: &str) -> Result<Prediction, Failure> {
        let args = &self.call.args;
        let Some(src) = args.str("src") else {
            return match (&self.look.link, found) {
                (Some(stat), "hard") => self.attributes(stat.clone(), "dest", "preserve"),
                _ => Err(Failure::new("src is required for creating new hardlinks")),
            };
        };
        let src = expand_path(self.call, src)?;
        let fail = |msg: &str| Err(Failure::new(msg).with("dest", self.shown).with("src", src.as_str()));
        let Some(source) = self.report.stat("src")? else {
            return fail("src does not exist");
        };
        let mut result = Map::new();
        result.insert("dest", self.shown);
        result.insert("src", src.as_str());
        if let Some(now) = self.look.link.as_ref().filter(|s| s.inode == source.inode && s.dev == source.dev)
        {
            let mut prediction = self.attributes(now.clone(), "dest", "preserve")?;
            prediction.result.insert("src", src);
            return Ok(prediction);
        }
        if found == "directory" || (found != "absent" && found != "link" && !args.flag("force")) {
            return fail(if found == "hard" {
                "Cannot link, different hard link exists at destination"
            } else {
                "Cannot link, file exists at destination"
            });
        }
        let linked = Stat { nlink: source.nlink + 1, ..source.clone() };
        let change = self.attrs.compare(&self.report, &linked, self.look.umask, self.call.check)?;
        describe(&mut result, &change.applied(&linked, &self.attrs));
        let path = q(&self.path);
        let script = format!(
            "xp_do \"make the link \"{path} ln -f -- {} {path}\n{}printf 'after '; xp_stat {path}\n",
            q(&src),
            change.script(&path)
        );
        let left = FileAfter::File { stat: change.applied(&linked, &self.attrs), body: Body::Unknown };
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(self.left(left))
            .diff(self.state_diff(found, "hard", Map::new(), Map::new())))
    }

    fn new_stat(&self, kind: FileKind, mode: u32) -> Stat {
        new_stat(self.call, self.look.umask, kind, mode)
    }

    fn left(&self, after: FileAfter) -> Touch {
        Touch::File { path: self.path.clone(), after }
    }

    /// What stands there when only attributes change: a content that an earlier step makes stays.
    fn left_with(&self, stat: Stat) -> Touch {
        let after = match (stat.kind, self.call.world.file(&self.path)) {
            (FileKind::Dir, _) => FileAfter::Dir(stat),
            (FileKind::Link, _) => FileAfter::Link(stat),
            (_, Known::Known(FileAfter::File { body, .. })) => FileAfter::File { stat, body },
            _ => FileAfter::File { stat, body: Body::AsFound },
        };
        self.left(after)
    }

    fn change_of(&self, new: &Stat) -> Result<AttrChange, Failure> {
        let mut change = self.attrs.compare(&self.report, new, self.look.umask, self.call.check)?;
        let ids = change_of_new(&self.attrs, &self.report, self.call.check)?;
        (change.uid, change.gid) = (ids.uid, ids.gid);
        if let Some(mode) = &self.attrs.mode {
            // The folder above may hand down its setgid bit, so a wanted mode is always set.
            change.set_mode(mode.bits(new.mode, new.kind, self.look.umask), new.kind);
        }
        Ok(change)
    }

    fn made(
        &self,
        key: &str,
        state: &str,
        found: &str,
        stat: &Stat,
        script: String,
        change: AttrChange,
    ) -> Result<Prediction, Failure> {
        let mut result = Map::new();
        result.insert(key, self.shown);
        describe(&mut result, stat);
        group_of_new(&mut result, &self.attrs);
        let left = match stat.kind {
            FileKind::Dir => FileAfter::Dir(stat.clone()),
            _ => FileAfter::file(stat.clone(), b""),
        };
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(self.left(left))
            .diff(self.state_diff(found, state, Map::new(), Map::new()));
        prediction.warnings = change.warnings;
        Ok(prediction)
    }

    fn state_diff(&self, before: &str, after: &str, mut old: Map, mut new: Map) -> super::Diff {
        for (side, state) in [(&mut old, before), (&mut new, after)] {
            side.insert("path", self.shown);
            side.insert("state", state);
        }
        path_diff(self.shown, old, new)
    }

    /// Returns the line that sets times, or nothing when they are as wanted.
    fn touch_command(&self, default: &str, exists: bool) -> Result<String, Failure> {
        let args = &self.call.args;
        let mut script = String::new();
        let path = q(&self.path);
        for (flag, name, tag) in [("-m", "modification_time", "mtime"), ("-a", "access_time", "atime")] {
            let wanted = args.str(name).unwrap_or(default);
            match wanted {
                "preserve" => {}
                "now" => add!(script, "xp_do \"set times of \"{path} touch {flag} -- {path}\n"),
                text => {
                    let form = args.str(&format!("{name}_format")).unwrap_or(TOUCH_FORM).to_string();
                    let time = DateTime::strptime(&form, text)
                        .map_err(|e| {
                            Failure::new(format!(
                                "Error while obtaining timestamp for time {text} using format {form}: {e}"
                            ))
                        })?
                        .strftime(TOUCH_FORM)
                        .to_string();
                    if !exists || self.report.get(tag) != Some(time.as_str()) {
                        add!(script, "xp_do \"set times of \"{path} touch {flag} -t {time} -- {path}\n");
                    }
                }
            }
        }
        Ok(script)
    }
}

/// Returns the attributes of something that is made anew.
fn new_stat(call: &Call, umask: u32, kind: FileKind, mode: u32) -> Stat {
    let target = call.target;
    Stat {
        kind,
        mode: if kind == FileKind::Link { mode } else { mode & !umask },
        uid: target.uid,
        owner: (!target.user.is_empty()).then(|| target.user.clone()),
        nlink: 1,
        ..Stat::default()
    }
}

fn kind_word(stat: Option<&Stat>) -> &'static str {
    match stat {
        None => "absent",
        Some(stat) if stat.kind == FileKind::File && stat.nlink > 1 => "hard",
        Some(stat) => stat.kind.state(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};
    use crate::value::Value;

    fn plan(given: &[(&str, &str)], stat: &str) -> Result<Prediction, Failure> {
        let mut given = given.to_vec();
        given.push(("path", "/d/f"));
        Case::new(&File, args(&given)).plan(format!("umask 0022\nlstat {stat}\n"))
    }

    const FILE: &str = "81a4 0 0 3 1 1 1 9 1 1 0 0 8 4096 :root:root:";
    const DIR: &str = "41ed 0 0 3 1 1 1 9 2 1 0 0 8 4096 :root:root:";

    #[test]
    fn attributes() {
        assert_eq!(plan(&[("mode", "0644"), ("owner", "0")], FILE).unwrap().effect, Effect::Same);
        let change = plan(&[("mode", "u+x"), ("owner", "7")], FILE).unwrap();
        assert_eq!(
            scripts(&change),
            ["xp_do \"change the owner of \"'/d/f' chown -h 7 '/d/f'\n\
              xp_do \"set the mode of \"'/d/f' chmod 0744 '/d/f'\nprintf 'after '; xp_stat '/d/f'\n"]
        );
        assert_eq!(change.result.get("mode"), Some(&Value::str("0744")));
        assert_eq!(
            plan(&[("state", "file")], "absent").unwrap_err().msg,
            "file (/d/f) is absent, cannot continue"
        );
        assert_eq!(plan(&[("state", "directory")], FILE).unwrap_err().msg, "/d/f already exists as a file");
    }

    #[test]
    fn removal_is_careful() {
        assert_eq!(
            scripts(&plan(&[("state", "absent")], DIR).unwrap()),
            ["xp_do \"remove \"'/d/f' rm -rf -- '/d/f'\n"]
        );
        assert_eq!(plan(&[("state", "absent")], "absent").unwrap().effect, Effect::Same);
        for path in ["/", "/x/..", "/x/./"] {
            let case = Case::new(&File, args(&[("path", path), ("state", "absent")]));
            let failure = case.plan(format!("umask 0022\nlstat {DIR}\n")).unwrap_err();
            assert_eq!(failure.msg, format!("refusing to remove {path}"));
        }
    }
}
