//! `xplay explain`: where a variable of a host is set, layer by layer, and which one counts.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::args::ExplainArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::project::Project;
use super::survey::{self, Origin, Survey};
use super::{listing, lookup, project, settings};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::inventory::{HostId, VarFiles};
use crate::playbook::{Action, Play, Task};
use crate::template::{Scope, SearchPath, StaticScope, Tree, TreeKind, VarMap};
use crate::value::{JsonStyle, Value, to_json, to_python_json};
use crate::vars::{Layer, is_magic};

/// One place that sets the variable.
struct Setting {
    words: String,
    /// As written; nothing where only the run knows it.
    value: Option<Tree>,
    span: Option<Span>,
    /// Counts only from a task on, or only in one.
    only: Option<&'static str>,
}

/// What was found for one play, or for none.
struct Answer {
    play: Option<String>,
    /// The strongest first.
    settings: Vec<Setting>,
    /// What the strongest that holds everywhere comes to.
    value: Option<Value>,
}

pub fn explain(args: &ExplainArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let mut sources = settings::sources(&args.hosts, &args.vars, config);
    sources.looks_only = true;
    let playbooks = lookup::find_playbooks(&args.playbooks, &config.env.cwd)?;
    let secrets = project::vault_secrets(&settings::vault_settings(&args.vault, config), out)?;
    let project = project::load(&sources, &playbooks, secrets, out)?;
    let host = project.inventory.find_host(&args.host).ok_or_else(|| {
        let error = CliError::cannot(format!("the inventory has no host \"{}\"", args.host));
        match did_you_mean(&args.host, project.inventory.hosts().map(|(_, h)| &*h.name)) {
            Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
            None => error,
        }
    })?;
    let answers = answers(&project, args, host, &playbooks, out)?;
    if args.json {
        out.json(&as_json(&project, args, &answers)?)?;
    } else {
        out.text(&as_text(&project, args, &answers))?;
    }
    Ok(match answers.iter().all(|answer| answer.settings.is_empty()) && !is_magic(&args.variable) {
        true => Ending::Code(1),
        false => Ending::Done,
    })
}

fn answers(
    project: &Project,
    args: &ExplainArgs,
    host: HostId,
    playbooks: &[PathBuf],
    out: &Output,
) -> Result<Vec<Answer>, CliError> {
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let wrong = |mistakes: Vec<Diagnostic>| {
        out.diagnostics(&project.sources, &mistakes);
        CliError::Project
    };
    if playbooks.is_empty() {
        let extra =
            Origin { layer: Layer::Extra, words: "extra vars (-e)".into(), vars: project.extra_vars.clone() };
        let dir = std::env::current_dir().ok();
        let mut layers = vec![extra];
        layers.extend(survey::of_host(project, &files, host, dir.as_deref()).map_err(wrong)?);
        return Ok(vec![answer(project, args, None, &layers, Vec::new(), &SearchPath::default())]);
    }
    let mut answers = Vec::new();
    for play in project.playbooks.iter().flat_map(|book| &book.plays) {
        let patterns = listing::patterns(play);
        if !project.matching(&patterns.join(","), None, out)?.contains(&host) {
            continue;
        }
        let survey = Survey::new(project, play);
        let layers = survey.layers(project, &files, Some(host)).map_err(wrong)?;
        let search = SearchPath { dirs: vec![play.dir.clone()], playbook_dir: play.dir.clone() };
        let of_tasks = of_tasks(&survey, &args.variable);
        answers.push(answer(project, args, Some(name_of(project, play)), &layers, of_tasks, &search));
    }
    if answers.is_empty() {
        return Err(CliError::cannot(format!("no play runs on \"{}\"", args.host))
            .with_help("xplay run --list-hosts shows the hosts of every play"));
    }
    Ok(answers)
}

fn name_of(project: &Project, play: &Play) -> String {
    let name = match &play.name {
        Some(name) => name.written().to_text(),
        None => listing::patterns(play).join(","),
    };
    let place = project.sources.place(play.span);
    format!("{name} ({}:{})", place.path.display(), place.line)
}

fn answer(
    project: &Project,
    args: &ExplainArgs,
    play: Option<String>,
    layers: &[Origin],
    of_tasks: Vec<(Layer, Setting)>,
    search: &SearchPath,
) -> Answer {
    let mut ranked: Vec<(usize, Setting)> = Vec::new();
    let rank = |layer: Layer| crate::vars::LAYERS.iter().position(|(l, _)| *l == layer).unwrap_or_default();
    ranked.extend(of_tasks.into_iter().map(|(layer, setting)| (rank(layer), setting)));
    for origin in layers {
        let Some(tree) = origin.vars.get(&*args.variable) else { continue };
        let setting =
            Setting { words: origin.words.clone(), value: Some(tree.clone()), span: tree.span, only: None };
        ranked.push((rank(origin.layer), setting));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    // Folders beside the inventory and beside the playbook may be the same.
    let mut places: Vec<Span> = Vec::new();
    ranked.retain(|(_, setting)| {
        setting.span.is_none_or(|span| {
            let place = project.sources.place(span);
            let new = !places.iter().any(|known| project.sources.place(*known) == place);
            places.push(span);
            new
        })
    });
    let settings: Vec<Setting> = ranked.into_iter().map(|(_, setting)| setting).collect();
    let mut known: Vec<VarMap> = layers.iter().map(|origin| origin.vars.clone()).collect();
    let host = Tree::value(args.host.as_str());
    known.insert(0, Arc::new([("inventory_hostname".into(), host)].into_iter().collect()));
    let scope: Arc<dyn Scope> = Arc::new(StaticScope { layers: known, search: search.clone() });
    let winner = settings.iter().find(|setting| setting.only.is_none()).and_then(|s| s.value.as_ref());
    let value = winner.and_then(|tree| project.templar.render(tree, &scope).ok());
    Answer { play, settings, value }
}

/// What tasks, blocks and roles of a play set.
fn of_tasks(survey: &Survey, variable: &str) -> Vec<(Layer, Setting)> {
    let mut found: Vec<(Layer, Setting)> = Vec::new();
    let mut seen: Vec<&VarMap> = Vec::new();
    let params: Vec<&VarMap> = survey.tasks.iter().flat_map(|task| &task.directives.include_params).collect();
    let among = |all: &[&VarMap], vars: &VarMap| all.iter().any(|known| Arc::ptr_eq(known, vars));
    for task in &survey.tasks {
        if task.register.as_deref() == Some(variable) {
            let words = format!("register of the task {}", title(task));
            found.push((Layer::Registered, once(words, None, Some(task.span), "from this task on")));
        }
        if let Some(tree) = set_fact(task, variable) {
            let words = format!("set_fact of the task {}", title(task));
            let span = tree.span.or(Some(task.span));
            found.push((Layer::Registered, once(words, Some(tree.clone()), span, "from this task on")));
        }
        for vars in &task.directives.vars {
            let Some(tree) = vars.get(variable).filter(|_| !among(&seen, vars)) else { continue };
            seen.push(vars);
            let included = among(&params, vars);
            let (layer, words) = match included {
                true => (Layer::IncludeParams, "vars of an include".to_string()),
                false => (Layer::Task, "vars of a task or block".to_string()),
            };
            found.push((layer, once(words, Some(tree.clone()), tree.span, "only there")));
        }
    }
    for vars in &survey.include_vars {
        let Some(tree) = vars.get(variable) else { continue };
        let words = "include_vars".to_string();
        found.push((Layer::IncludeVars, once(words, Some(tree.clone()), tree.span, "from its task on")));
    }
    for role in &survey.roles {
        let params = role.params.get(variable).map(|tree| (Layer::RoleParams, "parameter", tree));
        let vars = role.vars.get(variable).map(|tree| (Layer::Role, "vars", tree));
        for (layer, what, tree) in params.into_iter().chain(vars) {
            let words = format!("{what} of the role {}", role.name);
            found.push((layer, once(words, Some(tree.clone()), tree.span, "only in the role")));
        }
        if role.public {
            continue;
        }
        for (layer, what, layers) in [
            (Layer::Role, "vars/", &role.files.vars),
            (Layer::RoleDefaults, "defaults/", &role.files.defaults),
        ] {
            for tree in layers.iter().rev().filter_map(|vars| vars.get(variable)) {
                let words = format!("{what} of the role {}", role.name);
                found.push((layer, once(words, Some(tree.clone()), tree.span, "only in the role")));
            }
        }
    }
    found
}

fn once(words: String, value: Option<Tree>, span: Option<Span>, only: &'static str) -> Setting {
    Setting { words, value, span, only: Some(only) }
}

fn title(task: &Task) -> String {
    task.name
        .as_ref()
        .map_or_else(|| task.action_name().to_string(), |name| format!("\"{}\"", name.written().to_text()))
}

fn set_fact<'t>(task: &'t Task, variable: &str) -> Option<&'t Tree> {
    let Action::Module { name, args, .. } = &task.action else { return None };
    let TreeKind::Map(members) = &args.kind else { return None };
    let sets = crate::modules::short_name(name) == Some("set_fact");
    members.iter().find(|(key, _)| sets && key.as_text() == Some(variable)).map(|(_, value)| value)
}

/// Columns for values; longer ones push the place to the right.
const WIDEST: usize = 40;

/// The value as the project has it, in one line.
fn written(setting: &Setting) -> String {
    setting.value.as_ref().map_or_else(|| "(a result)".to_string(), |tree| inline(&tree.written()))
}

fn inline(value: &Value) -> String {
    let style = JsonStyle { indent: None, sort_keys: false, ascii: false };
    match value {
        Value::Secret(_) => "(secret)".to_string(),
        other => to_python_json(other, style),
    }
}

fn as_text(project: &Project, args: &ExplainArgs, answers: &[Answer]) -> String {
    let mut text = format!("{} on {}\n", args.variable, args.host);
    if is_magic(&args.variable) {
        text.push_str(
            "\n  The program sets this variable itself; nothing that the project says about it counts.\n",
        );
        return text;
    }
    for answer in answers {
        text.push('\n');
        if let Some(play) = &answer.play {
            let _ = writeln!(text, "play {play}");
        }
        if answer.settings.is_empty() {
            text.push_str("  not set anywhere\n");
            continue;
        }
        let width = answer.settings.iter().map(|s| s.words.chars().count()).max().unwrap_or(0);
        let lengths = answer.settings.iter().map(|s| written(s).chars().count());
        let values = lengths.max().unwrap_or(0).min(WIDEST);
        let mut won = false;
        for setting in &answer.settings {
            let mark = if setting.only.is_none() && !won { "*" } else { " " };
            won |= setting.only.is_none();
            let place = setting.span.map_or_else(String::new, |s| format!("  {}", project.sources.place(s)));
            let only = setting.only.map_or_else(String::new, |only| format!(", {only}"));
            let value = written(setting);
            let _ = writeln!(text, "{mark} {:width$}  {value:values$}{place}{only}", setting.words);
        }
        if let Some(value) = &answer.value {
            let _ = writeln!(text, "= {}", inline(value));
        }
    }
    text
}

fn as_json(project: &Project, args: &ExplainArgs, answers: &[Answer]) -> Result<String, CliError> {
    let setting = |setting: &Setting, wins: bool| {
        let place = setting.span.map(|span| project.sources.place(span));
        json!({
            "layer": setting.words,
            "value": setting.value.as_ref().map(|tree| to_json(&tree.written())),
            "path": place.as_ref().map(|place| place.path.display().to_string()),
            "line": place.as_ref().map(|place| place.line),
            "only": setting.only,
            "wins": wins,
        })
    };
    let plays: Vec<serde_json::Value> = answers
        .iter()
        .map(|answer| {
            let winner = answer.settings.iter().position(|s| s.only.is_none());
            let settings = answer.settings.iter().enumerate().map(|(at, s)| setting(s, Some(at) == winner));
            json!({
                "play": answer.play,
                "settings": settings.collect::<Vec<_>>(),
                "value": answer.value.as_ref().map(to_json),
            })
        })
        .collect();
    let all = json!({
        "variable": args.variable,
        "host": args.host,
        "magic": is_magic(&args.variable),
        "plays": plays,
    });
    let text = serde_json::to_string_pretty(&all)
        .map_err(|e| CliError::Internal(format!("cannot write an explanation as JSON: {e}")))?;
    Ok(text + "\n")
}
