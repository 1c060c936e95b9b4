//! `xplay lint`: everything that a run would refuse before its first connection, and what works but is not meant.
//!
//! One rule per file. A rule takes the project as it was loaded and surveyed, and returns warnings; mistakes come from
//! loading itself. A comment `# noqa` (with codes or without) on a line keeps the line out.

mod deprecated;
mod files;
mod octal;
mod reading;
mod shadowed;
mod undefined;
mod unused;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::LintArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::project::Project;
use super::survey::{Origin, Survey};
use super::{lookup, project, settings};
use crate::diag::{self, Diagnostic, Severity, SourceMap, Style};
use crate::engine::RunOptions;
use crate::inventory::{self, HostId, VarFiles};
use crate::playbook::{Play, Task, selected};
use crate::yaml;

/// What rules look at.
struct Look<'a> {
    project: &'a Project,
    plays: &'a [Surveyed],
    /// The run that is about to begin: only what comes up in it, whatever variables say, counts.
    run: Option<&'a RunOptions>,
}

impl Look<'_> {
    fn covers(&self, task: &Task) -> bool {
        let Some(options) = self.run else { return true };
        let said = &task.directives;
        let tags: Option<Vec<String>> =
            said.tags.iter().map(|tag| Some(tag.as_value()?.to_text())).collect::<Option<_>>();
        let chosen = tags.is_some_and(|tags| selected(&tags, &options.tags, &options.skip_tags));
        chosen && said.when.is_empty() && said.ignore_errors.is_none()
    }
}

/// A play with its layers of variables, the strongest first; those of the inventory for all hosts.
struct Surveyed {
    survey: Survey,
    layers: Vec<Origin>,
}

type Rule = fn(&Look<'_>) -> Vec<Diagnostic>;

const RULES: [Rule; 6] =
    [undefined::check, files::check, shadowed::check, octal::check, unused::check, deprecated::check];
/// What a run will most likely fail of.
const FATAL: [Rule; 2] = [undefined::check, files::check];

/// The exit code when there are warnings and no mistakes.
const WARNED: u8 = 2;
/// The exit code when there are mistakes, as for a run.
const WRONG: u8 = 4;

pub fn lint(args: &LintArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let mut sources = settings::sources(&args.hosts, &args.vars, config);
    sources.looks_only = true;
    let playbooks = match args.playbooks.is_empty() {
        true => all_playbooks(&config.env.cwd)?,
        false => lookup::find_playbooks(&args.playbooks, &config.env.cwd)?,
    };
    let secrets = project::vault_secrets(&settings::vault_settings(&args.vault, config), out)?;
    let (project, found) = project::collect(&sources, &playbooks, secrets, out)?;
    let mut all: Vec<Diagnostic> = found.into_iter().collect();
    let plays = survey(&project, &mut all);
    let look = Look { project: &project, plays: &plays, run: None };
    all.extend(RULES.iter().flat_map(|rule| rule(&look)));
    let all = chosen(all, &args.skip, &project.sources);
    if args.json {
        out.json(&as_json(&all, &project.sources)?)?;
    } else {
        out.text(&as_text(&all, playbooks.len(), &project.sources, out.color))?;
    }
    Ok(match all.iter().map(|d| d.severity).max() {
        None => Ending::Done,
        Some(Severity::Warning) => Ending::Code(WARNED),
        Some(Severity::Error) => Ending::Code(WRONG),
    })
}

/// Returns what a run of the project will most likely fail of, so that it is told before anything connects: names that
/// nothing defines, and files that are not there, of tasks that run whatever their conditions say.
pub fn before_a_run(project: &Project, options: &RunOptions) -> Vec<Diagnostic> {
    if options.start_at_task.is_some() {
        return Vec::new();
    }
    let limits = options.limit.as_deref().map(|limit| inventory::read_limit(limit).unwrap_or_default());
    let limited = limits.and_then(|limits| project.inventory.matching_all(&limits).ok());
    let limited = limited.as_ref().map(|limited| &limited.hosts[..]);
    let plays = project.playbooks.iter().flat_map(|book| &book.plays);
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let mut surveyed: Vec<Surveyed> = Vec::new();
    for play in plays.filter(|play| has_hosts(project, play, limited)) {
        let survey = Survey::new(project, play);
        let Ok(layers) = survey.layers(project, &files, None) else { return Vec::new() };
        surveyed.push(Surveyed { survey, layers });
    }
    let find = |plays: &[Surveyed]| -> Vec<Diagnostic> {
        let look = Look { project, plays, run: Some(options) };
        FATAL.iter().flat_map(|rule| rule(&look)).collect()
    };
    let mut found = find(&surveyed);
    // The variables of all hosts are many, and asked only where they matter.
    if found.iter().any(|diagnostic| diagnostic.code == undefined::CODE) {
        for play in &mut surveyed {
            let of_hosts = of_all_hosts(project, &files, &play.survey.play.dir, &mut Vec::new());
            play.layers.extend(of_hosts);
        }
        found = find(&surveyed);
    }
    chosen(found, &[], &project.sources)
}

/// Whether a play has hosts to run on, as far as its pattern is known.
fn has_hosts(project: &Project, play: &Play, limited: Option<&[HostId]>) -> bool {
    let Some(pattern) = play.hosts.as_text() else { return true };
    let Ok(matched) = project.inventory.matching(pattern) else { return true };
    matched.hosts.iter().any(|host| limited.is_none_or(|limited| limited.contains(host)))
}

fn survey(project: &Project, all: &mut Vec<Diagnostic>) -> Vec<Surveyed> {
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let mut plays = Vec::new();
    for play in project.playbooks.iter().flat_map(|book| &book.plays) {
        let mut survey = Survey::new(project, play);
        all.extend(std::mem::take(&mut survey.found));
        let mut layers = match survey.layers(project, &files, None) {
            Ok(layers) => layers,
            Err(mistakes) => {
                all.extend(mistakes);
                continue;
            }
        };
        let weakest = layers.iter().position(|o| o.layer == crate::vars::Layer::RoleDefaults);
        let at = weakest.unwrap_or(layers.len());
        layers.splice(at..at, of_all_hosts(project, &files, &play.dir, all));
        plays.push(Surveyed { survey, layers });
    }
    plays
}

/// The inventory's layers of all hosts, each once.
fn of_all_hosts(
    project: &Project,
    files: &VarFiles,
    playbook_dir: &Path,
    all: &mut Vec<Diagnostic>,
) -> Vec<Origin> {
    let mut found: Vec<Origin> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (host, _) in project.inventory.hosts() {
        match super::survey::of_host(project, files, host, Some(playbook_dir)) {
            Ok(layers) => {
                let new = |origin: &Origin| known.insert(std::sync::Arc::as_ptr(&origin.vars) as usize);
                found.extend(layers.into_iter().filter(new));
            }
            Err(mistakes) => all.extend(mistakes),
        }
    }
    found
}

/// Returns the YAML files here and in `playbooks/` that are lists of plays.
fn all_playbooks(cwd: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for folder in ["", "playbooks"] {
        let entries = std::fs::read_dir(cwd.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = entries
            .map(|entry| Path::new(folder).join(entry.file_name()))
            .filter(|path| path.extension().is_some_and(|e| e == "yml" || e == "yaml"))
            .filter(|path| holds_plays(&cwd.join(path)))
            .collect();
        names.sort();
        found.extend(names);
    }
    if found.is_empty() {
        return Err(CliError::cannot("there are no playbooks here or in playbooks/")
            .with_help("name the playbooks to look at"));
    }
    Ok(found)
}

fn holds_plays(path: &Path) -> bool {
    let Ok(parsed) = yaml::parse_file(&SourceMap::new(), path) else {
        // What cannot be read is worth a message when it looks like a play.
        return std::fs::read_to_string(path).is_ok_and(|text| text.contains("hosts:"));
    };
    let plays = parsed.documents.first().map(yaml::Node::items).unwrap_or_default();
    plays.iter().any(|play| {
        ["hosts", "import_playbook", "ansible.builtin.import_playbook"]
            .iter()
            .any(|key| play.get(key).is_some())
    })
}

/// Leaves out codes that are not wanted, lines with a comment that says so, and what was said before.
fn chosen(all: Vec<Diagnostic>, skip: &[String], sources: &SourceMap) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::new();
    for diagnostic in all {
        let unwanted = skip.iter().any(|code| code.eq_ignore_ascii_case(diagnostic.code));
        if !unwanted && !excused(&diagnostic, sources) && !kept.contains(&diagnostic) {
            kept.push(diagnostic);
        }
    }
    kept.sort_by_key(|diagnostic| diagnostic.severity);
    kept
}

fn excused(diagnostic: &Diagnostic, sources: &SourceMap) -> bool {
    let Some(label) = diagnostic.labels.first() else { return false };
    let line = sources.place(label.span).line;
    let text = sources.text(label.span.file);
    let Some((_, comment)) = text.lines().nth(line.saturating_sub(1)).and_then(|l| l.split_once("# noqa"))
    else {
        return false;
    };
    let codes: Vec<&str> = comment.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect();
    diagnostic.severity == Severity::Warning && (codes.is_empty() || codes.contains(&diagnostic.code))
}

fn as_text(all: &[Diagnostic], playbooks: usize, sources: &SourceMap, color: bool) -> String {
    let style = if color { Style::Color } else { Style::Plain };
    let mut text: String = all.iter().map(|d| diag::render(sources, d, style) + "\n").collect();
    let count = |severity: Severity| all.iter().filter(|d| d.severity == severity).count();
    let (mistakes, warnings) = (count(Severity::Error), count(Severity::Warning));
    let _ = writeln!(
        text,
        "{}, {} in {}",
        counted(mistakes, "mistake"),
        counted(warnings, "warning"),
        counted(playbooks, "playbook")
    );
    text
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One object for each finding, with the place of each label.
fn as_json(all: &[Diagnostic], sources: &SourceMap) -> Result<String, CliError> {
    let place = |label: &diag::Label| {
        let place = sources.place(label.span);
        json!({
            "path": place.path.display().to_string(),
            "line": place.line,
            "column": place.column,
            "text": label.text,
        })
    };
    let findings: Vec<serde_json::Value> = all
        .iter()
        .map(|d| {
            json!({
                "code": d.code,
                "severity": if d.severity == Severity::Error { "error" } else { "warning" },
                "message": d.message,
                "places": d.labels.iter().map(place).collect::<Vec<_>>(),
                "notes": d.notes,
                "help": d.help,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&findings)
        .map_err(|e| CliError::Internal(format!("cannot write findings as JSON: {e}")))?;
    Ok(text + "\n")
}
