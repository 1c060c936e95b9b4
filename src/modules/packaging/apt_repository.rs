//! `apt_repository`: lines of sources in apt's one-line lists.

use super::apt_state::{ENVIRONMENT, update_script};
use super::fetch::{self, Certificates};
use super::files::{SHOW, Shown};
use super::set::new_repositories;
use crate::modules::attrs::Mode;
use crate::modules::sh::{PRIVATE_DIR, Report, q};
use crate::modules::write::{content_diff, side};
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "apt_repository",
    about: "Adds and removes sources of packages of Debian and Ubuntu.",
    args: &[
        ArgSpec::new("repo", ArgKind::Str, "The source's line, or ppa:owner/name.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether it is there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("mode", ArgKind::Raw, "Permissions of a new list."),
        ArgSpec::new("update_cache", ArgKind::Bool, "Fetch the lists of packages after a change.")
            .default("yes")
            .aliases(&["update-cache"]),
        ArgSpec::new("update_cache_retries", ArgKind::Int, "How often to try that.").default("5"),
        ArgSpec::new(
            "update_cache_retry_max_delay",
            ArgKind::Int,
            "The longest wait between tries, in seconds.",
        )
        .default("12"),
        ArgSpec::new("filename", ArgKind::Str, "The list's name, without .list."),
        ArgSpec::new("install_python_apt", ArgKind::Bool, "Accepted; nothing is needed on the target.")
            .default("yes"),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check the certificate of the server of PPAs.")
            .default("yes"),
        ArgSpec::new("codename", ArgKind::Str, "The distribution's name in the line of a PPA."),
    ],
    returns: &[
        ("repo", "the source as given"),
        ("state", "as asked for"),
        ("sources_added", "lists that came"),
        ("sources_removed", "lists that went"),
    ],
    ..ModuleSpec::BASE
};

pub struct AptRepository;

impl Module for AptRepository {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        if call.args.str("repo").unwrap_or_default().is_empty() {
            return Err(Failure::new("Please set argument 'repo' to a non-empty value"));
        }
        Ok(Some(format!(
            "command -v apt-get >/dev/null 2>&1 || xp_fail 'Module apt_repository is not supported on target.'\n{SHOW}\
             xp_main=/etc/apt/sources.list; xp_parts=/etc/apt/sources.list.d/\n\
             eval \"$(apt-config shell xp_main Dir::Etc::sourcelist/f xp_parts Dir::Etc::sourceparts/d 2>/dev/null)\"\n\
             printf 'umask %s\\nmain ' \"$(umask)\"; xp_word \"$xp_main\"; printf '\\nparts '; xp_word \"${{xp_parts%/}}\"\n\
             printf '\\ncodename %s\\n' \"$(. /etc/os-release 2>/dev/null; printf '%s' \"${{VERSION_CODENAME-}}\")\"\n\
             xp_i=0\nfor xp_f in \"$xp_main\" \"${{xp_parts%/}}\"/*.list; do if [ -f \"$xp_f\" ]; then xp_show $xp_i \"$xp_f\"; xp_i=$((xp_i + 1)); fi; done\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let repo = args.str("repo").unwrap_or_default();
        let report = Report::of(seen)?;
        let ppa = Ppa::parse(args, &report, repo)?;
        let line = match &ppa {
            Some(ppa) => ppa.line(),
            None => Source::valid(repo)?,
        };
        let parts = report.word("parts").unwrap_or_default();
        let mut shown = Shown::all(&report)?;
        // What earlier steps of a plan make comes among the lists.
        for path in call.world.files_in(&parts) {
            if path.ends_with(".list") && shown.iter().all(|shown| shown.path != path) {
                shown.push(Shown::absent(path));
            }
        }
        let shown = shown.into_iter().map(|shown| shown.foresee(call).map(List::of));
        let before: Vec<List> = shown.collect::<Result<_, _>>()?;
        let mut after = before.clone();
        if args.str("state") == Some("absent") {
            for list in &mut after {
                list.sources.retain(|s| !(s.valid && s.enabled && s.text == line));
            }
        } else {
            let mut found = false;
            for source in after.iter_mut().flat_map(|l| &mut l.sources).filter(|s| s.valid && s.text == line)
            {
                source.enabled = true;
                found = true;
            }
            if !found {
                let name = file_name(args, ppa.as_ref().map_or(&line, |p| &p.name_source));
                let path = if name.contains('/') { name } else { format!("{parts}/{name}") };
                if !after.iter().any(|l| l.shown.path == path) {
                    after.push(List { shown: Shown::absent(&path), sources: Vec::new() });
                }
                let list = after.iter_mut().find(|l| l.shown.path == path);
                list.into_iter().for_each(|l| l.sources.push(Source::new(&line)));
            }
        }
        Plan { args, report: &report, before: &before, after: &after, ppa: ppa.as_ref() }.prediction(repo)
    }

    fn finish(&self, _: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        for output in ran {
            if output.rc != 0 {
                return Err(Failure::from_output(output));
            }
            let told = Report::parse(&output.stdout);
            prediction.warnings.extend(told.all("warning").map(str::to_string));
        }
        Ok(prediction.into_outcome())
    }
}

/// The lists before and after.
struct Plan<'a> {
    args: &'a Args,
    report: &'a Report,
    before: &'a [List],
    after: &'a [List],
    ppa: Option<&'a Ppa>,
}

impl Plan<'_> {
    fn prediction(&self, repo: &str) -> Result<Prediction, Failure> {
        let umask = u32::from_str_radix(self.report.need("umask")?.trim(), 8).unwrap_or(0o22);
        let mode = Mode::of(self.args, "mode")?;
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let (mut actions, mut diffs, mut undo) = (Vec::new(), Vec::new(), String::new());
        let mut touches = Vec::new();
        for (index, list) in self.after.iter().enumerate() {
            let old = self.before.get(index);
            let (was, is) = (old.map(List::text).unwrap_or_default(), list.text());
            if was == is {
                continue;
            }
            let path = list.shown.path.as_str();
            let was_there = old.is_some_and(|l| !l.sources.is_empty());
            if list.sources.is_empty() {
                removed.push(Value::str(path));
                touches.push(list.shown.touch(None, None, umask));
                actions.push(Action::run(format!("xp_do \"remove \"{0} rm -f -- {0}\n", q(path))));
                diffs.push(content_diff(path, side(Some(was.as_bytes())), side(None)));
            } else {
                let mode = (!was_there).then(|| list.shown.wanted_mode(mode.as_ref(), umask)).flatten();
                actions.push(list.shown.write(&is, mode));
                touches.push(list.shown.touch(Some(&is), mode, umask));
                if !was_there {
                    added.push(Value::str(path));
                }
                diffs.push(content_diff(
                    path,
                    side(was_there.then_some(was.as_bytes())),
                    side(Some(is.as_bytes())),
                ));
            }
            match was_there {
                true => add!(undo, "printf '%s' {} >{}\n", q(&was), q(path)),
                false => add!(undo, "rm -f -- {}\n", q(path)),
            }
        }
        let result = Map::from_iter([
            ("repo", Value::str(repo)),
            ("state", Value::str(self.args.str("state").unwrap_or_default())),
            ("sources_added", Value::list(added)),
            ("sources_removed", Value::list(removed)),
        ]);
        if actions.is_empty() {
            return Ok(Prediction::same(result));
        }
        if let Some(ppa) = self.ppa.filter(|_| self.args.str("state") == Some("present")) {
            actions.insert(0, ppa.key_action(self.args));
        }
        if self.args.flag("update_cache") {
            actions.push(Action::Run(Run {
                script: format!(
                    "{ENVIRONMENT}( {}) || {{ xp_rc=$?\n{undo}exit $xp_rc; }}\n",
                    update_script(self.args)
                ),
                long: true,
                ..Run::default()
            }));
        }
        let mut prediction = Prediction::change(result, actions).touch(new_repositories());
        prediction.diff = diffs;
        prediction.touches.extend(touches);
        Ok(prediction)
    }
}

/// One list with its lines.
#[derive(Clone, Debug)]
struct List {
    shown: Shown,
    sources: Vec<Source>,
}

/// One line, as the module writes it: without surplus blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    valid: bool,
    enabled: bool,
    text: String,
    comment: String,
}

impl Source {
    fn new(text: &str) -> Self {
        Source { valid: true, enabled: true, text: text.to_string(), comment: String::new() }
    }

    fn parse(line: &str) -> Self {
        let line = line.trim();
        let (enabled, line) = line.strip_prefix('#').map_or((true, line), |rest| (false, rest));
        let (line, comment) = match line.char_indices().skip(1).find(|(_, c)| *c == '#') {
            Some((at, _)) => (&line[..at], line[at + 1..].trim()),
            None => (line, ""),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let valid = matches!(words.first(), Some(&("deb" | "deb-src")));
        let text = if valid { words.join(" ") } else { line.trim().to_string() };
        Source { valid, enabled, text, comment: comment.to_string() }
    }

    /// Returns the text of a line that is a source in use.
    fn valid(line: &str) -> Result<String, Failure> {
        let source = Source::parse(line);
        if source.valid && source.enabled {
            Ok(source.text)
        } else {
            Err(Failure::new(format!("Invalid repository string: {}", line.trim())))
        }
    }
}

impl List {
    fn of(shown: Shown) -> Self {
        let sources = shown.lines.iter().map(|line| Source::parse(line)).collect();
        List { shown, sources }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for source in &self.sources {
            if !source.enabled {
                text += "# ";
            }
            text += &source.text;
            if !source.comment.is_empty() {
                add!(text, " # {}", source.comment);
            }
            text.push('\n');
        }
        text
    }
}

/// Returns the name of the list for a source: its address without protocol, user and options.
fn file_name(args: &Args, source: &str) -> String {
    if let Some(name) = args.str("filename") {
        return format!("{name}.list");
    }
    let mut bare = source.to_string();
    while let (Some(open), Some(close)) = (bare.find('['), bare.find(']')) {
        if close < open {
            break;
        }
        bare.replace_range(open..=close, "");
    }
    let address = bare.split_whitespace().find(|w| !matches!(*w, "deb" | "deb-src")).unwrap_or_default();
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let address = address.split_once('@').map_or(address, |(_, rest)| rest);
    let words: Vec<&str> =
        address.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    format!("{}.list", words.join("_"))
}

/// A personal package archive.
struct Ppa {
    owner: String,
    name: String,
    codename: String,
    /// What the list is named after.
    name_source: String,
}

impl Ppa {
    fn parse(args: &Args, report: &Report, repo: &str) -> Result<Option<Self>, Failure> {
        let Some(path) = repo.strip_prefix("ppa:") else { return Ok(None) };
        let (owner, name) = path.split_once('/').unwrap_or((path, "ppa"));
        let codename = args.str("codename").or(report.get("codename")).unwrap_or_default().to_string();
        let proper = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-+._".contains(c))
        };
        if !proper(owner) || !proper(name) {
            return Err(Failure::new(format!("Invalid repository string: {repo}")));
        }
        let name_source = format!("{repo}_{codename}");
        Ok(Some(Ppa { owner: owner.to_string(), name: name.to_string(), codename, name_source }))
    }

    fn line(&self) -> String {
        format!(
            "deb https://ppa.launchpadcontent.net/{}/{}/ubuntu {} main",
            self.owner, self.name, self.codename
        )
    }

    /// Returns the action that makes the archive's key trusted.
    fn key_action(&self, args: &Args) -> Action {
        let certificates =
            if args.flag("validate_certs") { Certificates::Checked } else { Certificates::Ignored };
        let about = format!("https://api.launchpad.net/1.0/~{}/+archive/{}", self.owner, self.name);
        let keyring = format!("{}-{}.asc", self.owner, self.name);
        Action::run(format!(
            "{}{}xp_key=$(tr ',' '\\n' <\"$xp_dir/about\" | sed -n 's/.*\"signing_key_fingerprint\": *\"\\([0-9A-Fa-f]*\\)\".*/\\1/p')\n\
             [ -n \"$xp_key\" ] || xp_fail 'failed to fetch PPA information, error was: there is no signing key in it'\n\
             xp_etc=/etc/apt/; eval \"$(apt-config shell xp_etc Dir::Etc/d 2>/dev/null)\"\n\
             if [ ! -e \"$xp_etc/trusted.gpg.d/\"{} ]; then\n{}\
             xp_do 'make the folder of keys' mkdir -p \"$xp_etc/trusted.gpg.d\"\nchmod 644 \"$xp_dir/key\"\n\
             xp_do 'store the key' mv -f \"$xp_dir/key\" \"$xp_etc/trusted.gpg.d/\"{}\nfi\n",
            PRIVATE_DIR,
            fetch::script(&about, "\"$xp_dir/about\"", certificates),
            q(&keyring),
            fetch::script_of_word(
                "\"https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x$xp_key\"",
                "\"$xp_dir/key\"",
                certificates
            ),
            q(&keyring),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str = "umask 0022\nmain =/etc/apt/sources.list\nparts =/etc/apt/sources.list.d\ncodename noble\n\
        file 0 =/etc/apt/sources.list\nstat 0 81a4 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:\nsha 0 00\n\
        line 0 ## comment\nline 0 deb   http://a/debian stable main # mine\nline 0 # deb http://b/debian stable main\nline 0 \n";

    fn plan(given: &[(&str, &str)]) -> Prediction {
        Case::new(&AptRepository, args(given)).plan(SEEN).unwrap()
    }

    #[test]
    fn adds_enables_and_removes() {
        assert_eq!(plan(&[("repo", "deb http://a/debian stable  main")]).effect, Effect::Same);
        let enabled = plan(&[("repo", "deb http://b/debian stable main"), ("update_cache", "no")]);
        assert_eq!(
            enabled.diff[0].after,
            crate::modules::DiffSide::Text(
                "# # comment\ndeb http://a/debian stable main # mine\ndeb http://b/debian stable main\n\n"
                    .into()
            )
        );
        let added = plan(&[("repo", "deb [arch=amd64] https://u:p@dl.example.org/x-y/apt stable main")]);
        assert_eq!(
            added.result.get("sources_added").unwrap().repr(),
            "['/etc/apt/sources.list.d/dl_example_org_x_y_apt.list']"
        );
        assert_eq!(scripts(&added).len(), 2);
        assert!(
            scripts(&added)[1].contains("rm -f -- '/etc/apt/sources.list.d/dl_example_org_x_y_apt.list'")
        );
        let gone = plan(&[("repo", "deb http://a/debian stable main"), ("state", "absent")]);
        assert_eq!(gone.effect, Effect::Change);
        assert_eq!(plan(&[("repo", "deb http://c x main"), ("state", "absent")]).effect, Effect::Same);
    }

    #[test]
    fn archives_of_persons() {
        let added = plan(&[("repo", "ppa:git-core/ppa"), ("filename", "git-core")]);
        assert_eq!(
            added.diff[0].after,
            crate::modules::DiffSide::Text(
                "deb https://ppa.launchpadcontent.net/git-core/ppa/ubuntu noble main\n".into()
            )
        );
        assert!(scripts(&added)[0].contains("https://api.launchpad.net/1.0/~git-core/+archive/ppa"));
    }

    #[test]
    fn refuses_other_lines() {
        let failure =
            Case::new(&AptRepository, args(&[("repo", "http://a stable main")])).plan(SEEN).unwrap_err();
        assert_eq!(failure.msg, "Invalid repository string: http://a stable main");
    }
}
