//! `xplay adhoc`: one module on hosts, with the flags and the output of the command `ansible`.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::args::{AdhocArgs, ColorWhen, ListArgs, RunArgs, TaskArgs};
use super::config::{self as key, Config};
use super::exit::{CliError, Ending};
use super::output::{Output, Voice};
use super::settings::{Format, RunSettings};
use super::{drive, journal, project, run, settings};

/// The name under which messages show the play that was typed.
const PLAYBOOK: &str = "<ansible ad-hoc>";

pub fn adhoc(
    args: &AdhocArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let mut settings = RunSettings::new(&as_run(args), color, config)?;
    let dir = settings::playbook_dir(args.playbook_dir.as_deref(), config);
    let path = dir.unwrap_or_else(|| config.env.cwd.clone()).join(PLAYBOOK);
    settings.sources.typed.push((path.clone(), play(args, config).to_string()));
    settings.output.extras.tree = args.tree.as_ref().map(|d| config.env.path(&d.to_string_lossy(), None));
    if settings.output.format == Format::Default {
        settings.output.format = if args.one_line { Format::OneLine } else { Format::Minimal };
    }
    if !args.list_hosts {
        project::login_passwords(&settings.passwords, &mut settings.options.login, out)?;
    }
    settings.output.terminal.explain_on_stderr = out.voice == Voice::Ansible;
    let secrets = project::vault_secrets(&settings.vault, out)?;
    let project = project::load(&settings.sources, &[path], secrets.clone(), out)?;
    run::check_hosts(
        &project,
        &settings.sources,
        (settings.options.limit.as_deref(), Some(&args.pattern)),
        out,
    )?;
    if args.list_hosts {
        return list_hosts(args, &project, settings.options.limit.as_deref(), out);
    }
    let asked = journal::Asked {
        title: format!("adhoc {} -m {}", args.pattern, module_name(args, config)),
        playbooks: &[],
        sources: &settings.sources,
        vault: &secrets,
        options: &settings.options,
        lasting_inventory: true,
        plan: None,
        alone: false,
    };
    let journal = journal::begin(&asked, &project, config, out)?;
    drive::run_alone(project, settings.options, journal, &settings.output, out)
}

/// The flags as those of a run without a playbook.
fn as_run(args: &AdhocArgs) -> RunArgs {
    RunArgs {
        playbooks: Vec::new(),
        hosts: args.hosts.clone(),
        tasks: TaskArgs::default(),
        vars: args.vars.clone(),
        mode: args.mode.clone(),
        output: args.output.clone(),
        login: args.login.clone(),
        r#become: args.r#become.clone(),
        vault: args.vault.clone(),
        list: ListArgs::default(),
        forks: args.forks.clone(),
        force_handlers: false,
        concurrent: true,
        flush_cache: false,
        time_limit: None,
        module_path: args.module_path.clone(),
    }
}

fn module_name(args: &AdhocArgs, config: &Config) -> String {
    let name = args.module_name.clone().or_else(|| config.text(&key::MODULE_NAME));
    name.unwrap_or_else(|| "command".into())
}

/// The play that was typed. JSON is YAML, and quotes everything.
fn play(args: &AdhocArgs, config: &Config) -> Json {
    let name = &module_name(args, config);
    let typed = args.args.clone().or_else(|| config.text(&key::MODULE_ARGS)).unwrap_or_default();
    let typed = typed.trim();
    let mapping = typed
        .starts_with('{')
        .then(|| crate::yaml::parse_value(typed).ok())
        .flatten()
        .filter(|value| value.as_map().is_some());
    let mut task = match mapping {
        Some(mapping) => json!({ name: crate::value::to_json(&mapping) }),
        None if typed.is_empty() => json!({ "action": name }),
        None => json!({ "action": format!("{name} {typed}") }),
    };
    for (keyword, value) in [("async", args.background), ("timeout", args.task_timeout)] {
        if let Some(value) = value {
            task[keyword] = value.into();
        }
    }
    if args.background.is_some() {
        task["poll"] = args.poll.into();
    }
    json!([{ "name": "Ansible Ad-Hoc", "hosts": args.pattern, "gather_facts": false, "tasks": [task] }])
}

fn list_hosts(
    args: &AdhocArgs,
    project: &project::Project,
    limit: Option<&str>,
    out: &Output,
) -> Result<Ending, CliError> {
    let limits = limit.map(|l| project.limit(l, out)).transpose()?;
    let hosts = project.matching(&args.pattern, limits.as_deref(), out)?;
    let mut text = format!("  hosts ({}):\n", hosts.len());
    for host in hosts {
        let _ = writeln!(text, "    {}", project.inventory.host(host).name);
    }
    out.text(&text)?;
    Ok(Ending::Done)
}
