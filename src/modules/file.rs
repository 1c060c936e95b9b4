//! `file`: files, folders and links: whether they are there, and their attributes.

use jiff::civil::DateTime;

use super::attrs::{AttrChange, Attrs, FILE_ARGS, Mode, describe, group_of_new};
use super::sh::{self, FileKind, Look, Report, Stat, expand_path, q};
use super::write::{change_of_new, path_diff};
use super::{
    Action, ArgKind, ArgSpec, Body, Call, Failure, FileAfter, Known, Module, ModuleSpec, Outcome, Prediction,
    Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

/// So many bytes of names below a folder that is removed are told at most.
const LISTED: usize = 64 * 1024;

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
        ArgSpec::new("_diff_peek", ArgKind::Bool, "Only tell whether the content is binary."),
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
        if args.has("_diff_peek") {
            let path = q(&path_of(call)?);
            return Ok(Some(format!(
                "if [ -f {path} ] && [ \"$(head -c 8192 {path} | tr -d '\\000' | wc -c)\" -ne \"$(head -c 8192 {path} | wc -c)\" ]; then printf 'binary yes\\n'; fi\n"
            )));
        }
        let attrs = Attrs::of(args)?;
        let state = args.str("state");
        let path = q(&path_of(call)?);
        let mut script = format!("xp_p={path}\n");
        if let (Some("hard"), Some(src)) = (state, args.str("src")) {
            // A hard link goes into a folder, under the name of its source.
            let base = q(src.rsplit('/').next().unwrap_or(src));
            add!(script, "if [ -d \"$xp_p\" ]; then xp_p=${{xp_p%/}}/{base}; printf 'inside yes\\n'; fi\n");
        }
        add!(script, "xp_look \"$xp_p\"\n{}", attrs.probe("\"$xp_p\""));
        if call.check && state != Some("absent") {
            for (database, name) in [("passwd", "owner"), ("group", "group")] {
                if let Some(id) = args.str(name).filter(|id| id.parse::<u32>().is_ok()) {
                    add!(
                        script,
                        "if command -v getent >/dev/null 2>&1; then getent {database} {id} >/dev/null || printf 'unknown_{name} yes\\n'; fi\n"
                    );
                }
            }
        }
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
        if matches!(state, Some("absent")) {
            // What goes with a folder is told, as far as it is not too much.
            add!(
                script,
                "if [ -d \"$xp_p\" ] && [ ! -h \"$xp_p\" ]; then printf 'content\\n'\n\
                 {{ find \"$xp_p\" -mindepth 1 -type d -print0; printf '\\0'; find \"$xp_p\" -mindepth 1 ! -type d -print0; }} 2>/dev/null | head -c {LISTED}; fi\n"
            );
        }
        if matches!(state, Some("link")) {
            script += "if [ -d \"$xp_p\" ] && [ -n \"$(ls -A -- \"$xp_p\" 2>/dev/null)\" ]; then printf 'filled yes\\n'; fi\n";
        }
        if args.flag("recurse") && !attrs.is_empty() {
            let (look, stat) = if args.flag("follow") { ("find -L", "stat -L") } else { ("find", "stat") };
            add!(
                script,
                "if [ -d \"$xp_p\" ]; then {{ {look} \"$xp_p/.\" -exec {stat} -c 'tree %f %u %g' {{}} + || :; }} 2>/dev/null | sort -u; fi\n"
            );
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
        let path = path_of(call)?;
        if call.args.has("_diff_peek") {
            let binary = report.get("binary").is_some();
            return Ok(Prediction::read(Map::from_iter([
                ("path", Value::str(path)),
                ("appears_binary", binary.into()),
            ])));
        }
        let mut look = Look::of(&report)?;
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
    shown: String,
    follow: bool,
}

impl<'a> Plan<'a> {
    fn new(call: &'a Call<'a>, report: Report, look: Look) -> Result<Self, Failure> {
        let (mut path, mut shown) = (path_of(call)?, call.args.str("path").unwrap_or_default().to_string());
        if report.get("inside").is_some()
            && let Some(base) = call.args.str("src").and_then(|src| src.rsplit('/').next())
        {
            for text in [&mut path, &mut shown] {
                *text = format!("{}/{base}", text.trim_end_matches('/'));
            }
        }
        Ok(Plan {
            attrs: Attrs::of(&call.args)?,
            path,
            shown,
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
            return Err(Failure::new("recurse option requires state to be 'directory'")
                .with("path", self.shown.as_str()));
        }
        let missing = self.missing(state);
        let planned = match state {
            "absent" => self.absent(found),
            "directory" => self.directory(),
            "link" => self.link(found),
            "hard" => self.hard(found),
            "touch" => self.touch(found),
            _ => self.file(),
        };
        match planned {
            Ok(prediction) => {
                let mut warnings = missing;
                warnings.extend(
                    prediction.warnings.iter().filter(|w| !warnings.contains(w)).cloned().collect::<Vec<_>>(),
                );
                Ok(Prediction { warnings, ..prediction })
            }
            Err(failure) if missing.is_empty() => Err(failure),
            Err(failure) => Err(failure.with("warnings", missing)),
        }
    }

    /// In a preview: what to say of an owner and a group that the target does not know.
    fn missing(&self, state: &str) -> Vec<String> {
        if !self.call.check || state == "absent" {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (what, id, name) in [("user", "uid", "owner"), ("group", "gid", "group")] {
            if self.report.get(&format!("unknown_{name}")).is_some() {
                let number = self.call.args.str(name).unwrap_or_default();
                out.push(format!(
                    "failed to look up {what} with {id} {number}. Create {what} up to this point in real play"
                ));
            }
        }
        out.extend(self.attrs.ids(&self.report, true).map(|ids| ids.missing).unwrap_or_default());
        out
    }

    fn absent(&self, found: &str) -> Result<Prediction, Failure> {
        let mut result = Map::new();
        result.insert("path", self.shown.as_str());
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
            .diff(self.state_diff(found, "absent", self.contents(), Map::new())))
    }

    /// What a folder that is removed holds, in the form of Ansible's differences; nothing when it is too much.
    fn contents(&self) -> Map {
        let listed = self.report.content.as_deref().unwrap_or_default();
        if listed.is_empty() || listed.len() >= LISTED {
            return Map::new();
        }
        let mut lists = [Vec::new(), Vec::new()];
        let mut which = 0;
        for name in listed.split(|byte| *byte == 0) {
            match name {
                b"" => which = 1,
                name => lists[which].push(Value::str(String::from_utf8_lossy(name))),
            }
        }
        let [directories, files] = lists;
        let lists =
            Map::from_iter([("directories", Value::list(directories)), ("files", Value::list(files))]);
        Map::from_iter([("path_content", lists)])
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
                .with("path", self.shown.as_str())
                .with("state", word));
        };
        self.attributes(stat, "path", "preserve")
    }

    /// Predicts attributes and times of something that is there and has the right kind.
    fn attributes(&self, stat: Stat, key: &str, times: &str) -> Result<Prediction, Failure> {
        let change = self.attrs.compare(&self.report, &stat, self.look.umask, self.call.check)?;
        let touch = self.touch_command(times, true)?;
        let mut result = Map::new();
        result.insert(key, self.shown.as_str());
        describe(&mut result, &change.applied(&stat, &self.attrs));
        let tree = self.tree_script()?;
        if change.is_empty() && touch.is_empty() && tree.is_empty() {
            return Ok(Prediction { warnings: change.warnings, ..Prediction::same(result) });
        }
        let path = q(&self.path);
        let (before, after) = change.sides();
        let (mut before, mut after) = (before.clone(), after.clone());
        if !tree.is_empty() {
            after.insert("recurse", true);
        }
        self.times(&stat, times, &mut before, &mut after);
        let script = format!("{}{tree}{touch}printf 'after '; xp_stat {path}\n", change.script(&path));
        let left = match tree.is_empty() {
            true => self.left_with(change.applied(&stat, &self.attrs)),
            false => Touch::Tree { path: self.path.clone() },
        };
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(left)
            .diff(path_diff(&self.shown, before, after));
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
            if self.follow {
                add!(
                    script,
                    "xp_do \"change the owner below \"{path} find -L {path} ! -type l -exec chown {owner} {{}} +\n"
                );
            }
        }
        if mode && let Some(wanted) = &self.attrs.mode {
            let run = |kind: &str, text: &str| {
                let find = if self.follow { "find -L" } else { "find" };
                format!(
                    "xp_do \"set modes below \"{path} {find} {path} {kind} -exec chmod {} {{}} +\n",
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
                    .with("path", self.shown.as_str()));
            }
            None if self.look.is_link() => {
                return Err(Failure::new(format!("{} already exists as a link", self.shown))
                    .with("path", self.shown.as_str()));
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
             for xp_d; do\n{}{}done\nprintf 'after '; xp_stat {}\n",
            q(&self.path),
            sh::mkdir(&change.mode.map(|m| format!(" -m {:04o}", m & 0o777)).unwrap_or_default()),
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
        // A file whose attributes cannot be set is not left behind.
        let script = format!(
            "xp_do \"make \"{path} touch -- {path}\ntrap 'rm -f -- \"$xp_p\"' EXIT\nxp_p={path}\n{}{}trap - EXIT\n\
             printf 'after '; xp_stat {path}\n",
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
        let fail =
            |msg: String| Err(Failure::new(msg).with("path", self.shown.as_str()).with("src", src.as_str()));
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
        result.insert("dest", self.shown.as_str());
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
        } else if !self.follow {
            let ids = change_of_new(&self.attrs, &self.report, self.call.check)?;
            script += &ids.script(&path);
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
        let diff = path_diff(&self.shown, before.clone(), after.clone());
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
        let named = expanded(self.call, src)?;
        let src = expand_path(self.call, src)?;
        let fail =
            |msg: &str| Err(Failure::new(msg).with("dest", self.shown.as_str()).with("src", named.as_str()));
        let Some(source) = self.report.stat("src")? else {
            return fail("src does not exist");
        };
        let mut result = Map::new();
        result.insert("dest", self.shown.as_str());
        result.insert("src", named.as_str());
        if let Some(now) = self.look.link.as_ref().filter(|s| s.inode == source.inode && s.dev == source.dev)
        {
            let mut prediction = self.attributes(now.clone(), "dest", "preserve")?;
            prediction.result.insert("src", named);
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
        result.insert(key, self.shown.as_str());
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
            side.insert("path", self.shown.as_str());
            side.insert("state", state);
        }
        path_diff(&self.shown, old, new)
    }

    /// Adds the times that will be set to the two sides of a difference.
    fn times(&self, stat: &Stat, default: &str, before: &mut Map, after: &mut Map) {
        let sides = [("modification_time", "mtime", stat.mtime), ("access_time", "atime", stat.atime)];
        for (name, key, now) in sides {
            let wanted = self.call.args.str(name).unwrap_or(default);
            let is_so = is_a_time(Some(wanted)) && self.report.get(key) == self.form(name, wanted).as_deref();
            if wanted != "preserve" && !is_so {
                before.insert(key, now);
                after.insert(key, wanted);
            }
        }
    }

    /// Returns a time as `touch` takes it.
    fn form(&self, name: &str, text: &str) -> Option<String> {
        let form = self.call.args.str(&format!("{name}_format")).unwrap_or(TOUCH_FORM);
        Some(DateTime::strptime(form, text).ok()?.strftime(TOUCH_FORM).to_string())
    }

    /// Returns the line that sets times, or nothing when they are as wanted.
    fn touch_command(&self, default: &str, exists: bool) -> Result<String, Failure> {
        let args = &self.call.args;
        let mut script = String::new();
        let path = q(&self.path);
        let now = |name: &str| args.str(name).unwrap_or(default) == "now";
        if now("modification_time") && now("access_time") {
            // Both at once may be done by whoever may write the file, not only by its owner.
            add!(script, "xp_do \"set times of \"{path} touch -- {path}\n");
            return Ok(script);
        }
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
