//! `xplay inventory`: hosts, groups and variables in ansible-inventory's forms.

use super::args::InventoryArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::{Output, Voice};
use super::{project, settings};
use crate::diag::{Diagnostic, did_you_mean};
use crate::inventory::{ListOptions, VarFiles, graph_text, host_json, list_json, list_nested};
use crate::yaml::to_nice_yaml;

pub fn inventory(args: &InventoryArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    if args.group.is_some() && (args.list || args.host.is_some()) {
        return Err(CliError::option("a group is only of use with --graph"));
    }
    let is_ansible = out.voice == Voice::Ansible;
    if is_ansible && !(args.list || args.graph || args.host.is_some()) {
        let text = "No action selected, at least one of --host, --graph or --list needs to be specified.";
        return Err(CliError::option(text));
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
    };
    let shown = if args.list && args.yaml {
        list_nested(inventory, &files, options).map(|tree| to_nice_yaml(&tree, 2).trim_end().to_string())
    } else if args.list {
        list_json(inventory, &files, options)
    } else if let Some(name) = &args.host {
        let host = inventory.find_host(name).ok_or_else(|| {
            let error = CliError::cannot(if is_ansible {
                format!("Could not match supplied host pattern, ignoring: {name}")
            } else {
                format!("the inventory has no host \"{name}\"")
            });
            suggest(error, name, inventory.hosts().map(|(_, h)| &*h.name))
        })?;
        host_json(inventory, host, &files, options)
    } else {
        let name = args.group.as_deref().unwrap_or("all");
        let group = inventory.find_group(name).ok_or_else(|| {
            let error = CliError::cannot(if is_ansible {
                "Pattern must be valid group name when using --graph".into()
            } else {
                format!("the inventory has no group \"{name}\"")
            });
            suggest(error, name, inventory.groups().map(|(_, g)| &*g.name))
        })?;
        graph_text(inventory, group, &files, options)
    };
    let text = shown.map_err(|errors: Vec<Diagnostic>| {
        out.diagnostics(&project.sources, &errors);
        CliError::Project
    })?;
    match &args.output {
        None if args.host.is_some() || (args.list && !args.yaml) => out.json(&format!("{text}\n"))?,
        None => out.text(&format!("{text}\n"))?,
        Some(path) => std::fs::write(path, format!("{text}\n")).map_err(|source| CliError::File {
            action: "write",
            path: path.clone(),
            source,
        })?,
    }
    Ok(Ending::Done)
}

fn suggest<'a>(error: CliError, name: &str, known: impl Iterator<Item = &'a str>) -> CliError {
    match did_you_mean(name, known) {
        Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
        None => error,
    }
}
