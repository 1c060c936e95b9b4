//! What was asked for when a plan was made, and the same again when it is applied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::exit::CliError;
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::settings::{self, Sources};
use crate::engine::{Extent, Gather, RunOptions, Strategy};
use crate::inventory::{ListOptions, VarFiles, list_json};
use crate::modules::sha256;
use crate::plan::{Invocation, Seal};

/// The setting that holds a digest of all hosts, groups and variables.
pub const INVENTORY: &str = "inventory_sha256";

/// Describes a run for its plan.
pub fn describe(
    playbooks: &[PathBuf],
    sources: &Sources,
    options: &RunOptions,
    seal: &Seal,
    cwd: &Path,
) -> Invocation {
    let named = |path: &Path| seal.path(&cwd.join(path));
    let paths = |list: &[PathBuf]| list.iter().filter(|p| cwd.join(p).exists()).map(|p| named(p)).collect();
    Invocation {
        playbooks: playbooks.iter().map(|p| named(p)).collect(),
        inventory: match sources.inventory_is_default && !cwd.join(&sources.inventory[0]).exists() {
            true => Vec::new(),
            false => sources
                .inventory
                .iter()
                .map(|s| if s.contains(',') { s.clone() } else { named(Path::new(s)) })
                .collect(),
        },
        extra_vars: sources
            .extra_vars
            .iter()
            .map(|v| match v.trim().strip_prefix('@') {
                Some(path) => format!("@{}", named(Path::new(path))),
                None => seal.mask(v),
            })
            .collect(),
        roles_path: paths(&sources.roles_path),
        collections_path: paths(&sources.collections_path),
        tags: options.tags.clone(),
        skip_tags: options.skip_tags.clone(),
        limit: options.limit.clone(),
        start_at_task: options.start_at_task.clone(),
        settings: settings_of(options, sources),
        rehearsal: options.rehearsal,
    }
}

fn settings_of(options: &RunOptions, sources: &Sources) -> BTreeMap<String, String> {
    let login = &options.login;
    let flag = |on: bool| on.then(|| "true".to_string());
    let gather = match options.gather {
        Gather::Implicit => None,
        Gather::Explicit => Some("explicit".to_string()),
        Gather::Smart => Some("smart".to_string()),
    };
    let strategy = match options.strategy {
        Strategy::Linear => None,
        other => Some(other.word().to_string()),
    };
    let text = |args: &String| Some(args.clone()).filter(|a| !a.is_empty());
    let all = [
        ("ansible_managed", sources.managed.clone()),
        ("become", flag(login.r#become)),
        ("become_method", login.r#become.then(|| login.become_method.to_string())),
        ("become_user", login.r#become.then(|| login.become_user.clone())),
        ("connection", login.connection.clone()),
        ("force_handlers", flag(options.force_handlers)),
        ("gather_subset", (options.extent != Extent::All).then(|| "smart".to_string())),
        ("gathering", gather),
        ("jinja2_native", flag(options.native_types)),
        ("remote_port", login.port.map(|p| p.to_string())),
        ("remote_user", login.user.clone()),
        ("ssh_args", text(&login.ssh_args)),
        ("ssh_common_args", text(&login.common_args)),
        ("ssh_extra_args", text(&login.extra_args)),
        ("strategy", strategy),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect()
}

/// Sets what a plan says about the run; how to log in with which key stays this user's own.
pub fn restore(invocation: &Invocation, options: &mut RunOptions) -> Result<(), CliError> {
    let get = |name: &str| invocation.settings.get(name);
    options.tags.clone_from(&invocation.tags);
    options.skip_tags.clone_from(&invocation.skip_tags);
    options.limit.clone_from(&invocation.limit);
    options.start_at_task.clone_from(&invocation.start_at_task);
    options.force_handlers = get("force_handlers").is_some();
    options.native_types = get("jinja2_native").is_some();
    options.gather = match get("gathering").map(String::as_str) {
        None => Gather::Implicit,
        Some("smart") => Gather::Smart,
        Some(_) => Gather::Explicit,
    };
    options.extent = if get("gather_subset").is_some() { Extent::Mentioned } else { Extent::All };
    options.strategy = get("strategy").and_then(|name| Strategy::parse(name)).unwrap_or_default();
    let login = &mut options.login;
    login.r#become = get("become").is_some();
    if let Some(user) = get("become_user") {
        login.become_user.clone_from(user);
    }
    login.become_method = settings::become_method(get("become_method").map(String::as_str))?;
    login.connection = get("connection").cloned();
    login.user = get("remote_user").cloned();
    login.port = get("remote_port").and_then(|p| p.parse().ok());
    let text = |name: &str| get(name).cloned().unwrap_or_default();
    login.ssh_args = text("ssh_args");
    login.common_args = text("ssh_common_args");
    login.extra_args = text("ssh_extra_args");
    Ok(())
}

/// Returns where hosts, roles and variables of a plan come from on this machine.
pub fn sources(invocation: &Invocation, seal: &Seal) -> Sources {
    let local = |list: &[String]| list.iter().map(|p| seal.local(p)).collect::<Vec<_>>();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    Sources {
        inventory: invocation
            .inventory
            .iter()
            .map(|s| if s.contains(',') { s.clone() } else { text(seal.local(s)) })
            .collect(),
        inventory_is_default: false,
        roles_path: local(&invocation.roles_path),
        collections_path: local(&invocation.collections_path),
        extra_vars: invocation
            .extra_vars
            .iter()
            .map(|v| match v.strip_prefix('@') {
                Some(path) => format!("@{}", text(seal.local(path))),
                None => v.clone(),
            })
            .collect(),
        managed: invocation.settings.get("ansible_managed").cloned(),
        native_types: invocation.settings.contains_key("jinja2_native"),
        ..Sources::default()
    }
}

/// Returns a digest of all hosts, groups and variables as they are written.
pub fn inventory_digest(project: &Project, out: &Output) -> Result<String, CliError> {
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let options = ListOptions { export: true, ..ListOptions::default() };
    match list_json(&project.inventory, &files, options) {
        Ok(text) => Ok(sha256(text.as_bytes())),
        Err(errors) => {
            out.diagnostics(&project.sources, &errors);
            Err(CliError::Project)
        }
    }
}

/// What tells one host from another: the variables that say where it is, how it is reached and as whom.
const PLACE: [&str; 9] = [
    "ansible_connection",
    "ansible_host",
    "ansible_port",
    "ansible_ssh_host",
    "ansible_ssh_port",
    "ansible_ssh_user",
    "ansible_user",
    "xplay_node",
    "xplay_via",
];

/// Where an inventory has a host.
pub type Place = BTreeMap<&'static str, String>;

/// Returns where all hosts of an inventory are, as it is written.
pub fn places(project: &Project) -> Result<BTreeMap<String, Place>, CliError> {
    let files = VarFiles::new((*project.templar).clone(), project.sources.clone());
    let listed = list_json(&project.inventory, &files, ListOptions::default());
    let text = listed.map_err(|_| CliError::cannot("cannot read the variables of the inventory's hosts"))?;
    let listed: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| CliError::Internal(e.to_string()))?;
    let variables = &listed["_meta"]["hostvars"];
    let place = |name: &str| {
        let told = PLACE.iter().filter_map(|variable| {
            let value = &variables[name][*variable];
            (!value.is_null())
                .then(|| (*variable, value.as_str().map_or_else(|| value.to_string(), str::to_string)))
        });
        told.collect()
    };
    let hosts = project.inventory.hosts().map(|(_, host)| host.name.to_string());
    Ok(hosts.map(|name| (name.clone(), place(&name))).collect())
}
