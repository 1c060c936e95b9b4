//! `xplay inventory`: hosts, groups and variables in ansible-inventory's forms.

use super::args::InventoryArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::{Output, Voice};
use super::{project, settings};
use crate::diag::{Diagnostic, did_you_mean};
use crate::inventory::{
    ListOptions, VarFiles, graph_text, host_values, list_flat, list_json, list_nested, python_json, to_toml,
};
use crate::value::{Map, Value};
use crate::yaml::to_nice_yaml;

pub fn inventory(args: &InventoryArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let is_ansible = out.voice == Voice::Ansible;
    let actions = usize::from(args.list) + usize::from(args.host.is_some()) + usize::from(args.graph);
    if actions > 1 {
        let text =
            "Conflicting options used, only one of --host, --graph or --list can be used at the same time.";
        return Err(CliError::option(text));
    }
    if is_ansible && actions == 0 {
        let text = "No action selected, at least one of --host, --graph or --list needs to be specified.";
        return Err(CliError::option(text));
    }
    if !is_ansible && args.group.is_some() && (args.list || args.host.is_some()) {
        return Err(CliError::option("a group is only of use with --graph"));
    }
    let sources = settings::sources(&args.hosts, &args.extra, config);
    let secrets = project::vault_secrets(&settings::vault_settings(&args.vault, config), out)?;
    let project = project::load(&sources, &[], secrets, out)?;
    let inventory = &project.inventory;
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let limit = (!args.hosts.limit.is_empty()).then(|| args.hosts.limit.join(":"));
    let limit = limit.map(|l| project.limit(&l, out)).transpose()?;
    let limited = limit.map(|l| project.matching("all", Some(&l), out)).transpose()?;
    let playbook_dir = settings::playbook_dir(args.playbook_dir.as_deref(), config);
    let options = ListOptions {
        playbook_dir: playbook_dir.as_deref(),
        hosts: limited.as_deref(),
        export: args.export,
        vars: args.vars,
        // Those who read what `ansible-inventory` prints may compare it with what older versions print.
        profile: !is_ansible,
    };
    let failed = |errors: Vec<Diagnostic>| {
        out.diagnostics(&project.sources, &errors);
        CliError::Project
    };
    let text = if args.list {
        match form(args) {
            Form::Json => list_json(inventory, &files, options).map_err(failed)?,
            Form::Yaml => yaml(&list_nested(inventory, &files, options).map_err(failed)?),
            Form::Toml => toml(&list_flat(inventory, &files, options).map_err(failed)?)?,
        }
    } else if let Some(name) = &args.host {
        let host = inventory.find_host(name).ok_or_else(|| {
            let error = if is_ansible {
                CliError::option("You must pass a single valid host to --host parameter")
            } else {
                CliError::cannot(format!("the inventory has no host \"{name}\""))
            };
            suggest(error, name, inventory.hosts().map(|(_, h)| &*h.name))
        })?;
        let vars = host_values(inventory, host, &files, options).map_err(failed)?;
        match form(args) {
            Form::Json => python_json(&Value::map(vars)),
            Form::Yaml => yaml(&Value::map(vars)),
            Form::Toml => toml(&vars)?,
        }
    } else {
        let name = args.group.as_deref().unwrap_or("all");
        let group = inventory.find_group(name).ok_or_else(|| {
            let error = if is_ansible {
                CliError::option("Pattern must be valid group name when using --graph")
            } else {
                CliError::cannot(format!("the inventory has no group \"{name}\""))
            };
            suggest(error, name, inventory.groups().map(|(_, g)| &*g.name))
        })?;
        graph_text(inventory, group, &files, options).map_err(failed)?
    };
    if text.is_empty() {
        // As the other program: nothing to say is a failure.
        return Ok(Ending::Code(1));
    }
    let json = (args.list || args.host.is_some()) && form(args) == Form::Json;
    let line = if text.ends_with('\n') { text.clone() } else { format!("{text}\n") };
    match &args.output {
        None if json => out.json(&line)?,
        None => out.text(&line)?,
        Some(path) => std::fs::write(path, text).map_err(|source| CliError::File {
            action: "write",
            path: path.clone(),
            source,
        })?,
    }
    Ok(Ending::Done)
}

/// How hosts and groups are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
    Toml,
}

fn form(args: &InventoryArgs) -> Form {
    match (args.yaml, args.toml) {
        (true, _) => Form::Yaml,
        (_, true) => Form::Toml,
        _ => Form::Json,
    }
}

fn yaml(tree: &Value) -> String {
    to_nice_yaml(tree, 2)
}

fn toml(tree: &Map) -> Result<String, CliError> {
    to_toml(tree).map_err(CliError::cannot)
}

fn suggest<'a>(error: CliError, name: &str, known: impl Iterator<Item = &'a str>) -> CliError {
    match did_you_mean(name, known) {
        Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
        None => error,
    }
}
