//! Variables that nothing in the project defines: misspelt names, mostly.
//!
//! Says nothing of plays that take in something whose name only the run knows, and nothing of variables whose existence
//! is asked for anywhere in the play.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::reading::{self, argument};
use super::{Look, Surveyed};
use crate::diag::{Diagnostic, did_you_mean};
use crate::playbook::{Action, Loop, Task};
use crate::template::{Read, Tree, TreeKind};
use crate::value::{Key, Value};
use crate::vars::is_magic;

pub const CODE: &str = "XP1001";

/// Variables that come from facts.
const FACTS: [&str; 2] = ["packages", "services"];
const FACT_PREFIXES: [&str; 5] = ["ansible_", "getent_", "xplay_", "facter_", "ohai_"];

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // What a play leaves on hosts is there in later ones.
    let mut left: HashSet<Arc<str>> = HashSet::new();
    for play in look.plays {
        let reading = reading::of_play(look.project, &play.survey, |task| look.covers(task));
        found.extend(reading.wrong);
        left.extend(of_tasks(play));
        if play.survey.open || play.survey.tasks.iter().any(|task| sets_anything(task)) {
            continue;
        }
        let mut known = left.clone();
        known.extend(play.layers.iter().flat_map(|origin| origin.vars.keys().cloned()));
        known.extend(of_roles(play));
        known.extend(play.survey.play.vars_prompt.iter().map(|prompt| prompt.name.clone()));
        let reads = with_definitions(look, play, reading.reads);
        let asked: HashSet<Arc<str>> = reads.iter().filter(|r| r.asked).map(|r| r.name.clone()).collect();
        let mut missing: IndexMap<Arc<str>, Vec<Read>> = IndexMap::new();
        for read in reads {
            if !known.contains(&read.name) && !asked.contains(&read.name) && !is_given(&read.name) {
                missing.entry(read.name.clone()).or_default().push(read);
            }
        }
        found.extend(missing.iter().map(|(name, reads)| explain(name, reads, &known)));
    }
    found
}

/// Whether a task may set variables whose names are not known: modules of the project bring facts, and names may be
/// templates.
fn sets_anything(task: &Task) -> bool {
    match &task.action {
        Action::Module { file: Some(_), .. } | Action::Module { dynamic: Some(_), .. } => true,
        Action::Module { name, args, template_args, .. }
            if matches!(crate::modules::short_name(name), Some("set_fact" | "add_host")) =>
        {
            let named = |key: &Tree| key.as_text().is_some();
            let all_named =
                matches!(&args.kind, TreeKind::Map(members) if members.iter().all(|(key, _)| named(key)));
            template_args.is_some() || !(all_named || matches!(args.kind, TreeKind::Value(_)))
        }
        _ => false,
    }
}

fn is_given(name: &str) -> bool {
    is_magic(name) || FACTS.contains(&name) || FACT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn explain(name: &str, reads: &[Read], known: &HashSet<Arc<str>>) -> Diagnostic {
    let mut diagnostic =
        Diagnostic::warning(CODE, format!("nothing in the project defines the variable `{name}`"));
    if let Some(span) = reads.iter().find_map(|read| read.span) {
        diagnostic = diagnostic.at(span, "read here");
    }
    if reads.len() > 1 {
        diagnostic = diagnostic.note(format!("it is read in {} places", reads.len()));
    }
    match did_you_mean(name, known.iter().map(|n| &**n)) {
        Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
        None => diagnostic.help(format!("define it, or write `{name} | default(...)` if it may be absent")),
    }
}

/// Names that tasks set: results, facts, loop variables, variables of tasks and blocks.
fn of_tasks(play: &Surveyed) -> HashSet<Arc<str>> {
    let mut names: HashSet<Arc<str>> = HashSet::new();
    for task in &play.survey.tasks {
        names.extend(task.register.clone());
        let vars = task.directives.vars.iter().chain(&task.directives.include_params);
        names.extend(vars.flat_map(|vars| vars.keys().cloned()));
        names.extend(task.loop_.iter().flat_map(of_loop));
        let Action::Module { name, args, .. } = &task.action else { continue };
        if matches!(crate::modules::short_name(name), Some("set_fact" | "add_host"))
            && let TreeKind::Map(members) = &args.kind
        {
            names.extend(members.iter().filter_map(|(key, _)| Some(Arc::from(key.as_text()?))));
        }
        if crate::modules::short_name(name) == Some("debug")
            && let Some(var) = argument(args, "var").and_then(Tree::as_text)
        {
            // It says by itself that there is no such variable.
            names.insert(var.into());
        }
    }
    names.extend(play.survey.include_vars.iter().flat_map(|vars| vars.keys().cloned()));
    names
}

/// The variables that a loop sets.
pub fn of_loop(each: &Loop) -> Vec<Arc<str>> {
    let text = |tree: &Option<Tree>| tree.as_ref().and_then(Tree::as_text).map(Arc::from);
    let variable = text(&each.control.loop_var).unwrap_or_else(|| "item".into());
    [Some(variable), text(&each.control.index_var)].into_iter().flatten().collect()
}

/// Names that roles define or demand of their users.
fn of_roles(play: &Surveyed) -> HashSet<Arc<str>> {
    let mut names: HashSet<Arc<str>> = HashSet::new();
    for role in &play.survey.roles {
        let layers = [role.default_layers(), role.var_layers(), role.param_layers()];
        names.extend(layers.iter().flatten().flat_map(|vars| vars.keys().cloned()));
        for entry in role.files.argument_specs.values() {
            let value = entry.written();
            let options = value.get("options").and_then(Value::as_map);
            names.extend(
                options.into_iter().flat_map(|map| map.keys()).filter_map(Key::as_str).map(Arc::from),
            );
        }
    }
    names
}

/// Adds what the definitions read of the variables that are read.
fn with_definitions(look: &Look<'_>, play: &Surveyed, reads: Vec<Read>) -> Vec<Read> {
    let mut definitions: HashMap<Arc<str>, Vec<Tree>> = HashMap::new();
    let of_tasks = play.survey.tasks.iter().flat_map(|task| &task.directives.vars);
    let of_roles: Vec<_> =
        play.survey.roles.iter().flat_map(|r| [r.default_layers(), r.var_layers()]).flatten().collect();
    for vars in play.layers.iter().map(|o| &o.vars).chain(of_tasks).chain(&of_roles) {
        for (name, tree) in vars.iter() {
            definitions.entry(name.clone()).or_default().push(tree.clone());
        }
    }
    let mut all = reads;
    let mut next = 0;
    while let Some(read) = all.get(next) {
        next += 1;
        // Each definition counts once, however often it is read.
        if let Some(trees) = definitions.remove(&read.name) {
            let mut seen: HashSet<Option<crate::diag::Span>> = HashSet::new();
            let new = trees.into_iter().filter(|tree| seen.insert(tree.span));
            all.extend(new.flat_map(|tree| tree.reads(&look.project.sources)).collect::<Vec<_>>());
        }
    }
    all
}
