//! `xplay run`: ansible-playbook's flags with their meaning.

use std::path::PathBuf;

use super::args::{ColorWhen, RunArgs};
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::{Output, Voice};
use super::settings::{RunSettings, Sources};
use super::{drive, journal, lint, listing, lookup, project};
use crate::diag::Style;

pub fn run(
    args: &RunArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let mut settings = RunSettings::new(args, color, config)?;
    let playbooks = lookup::find_playbooks(&args.playbooks, &config.env.cwd)?;
    let list = &args.list;
    let only_shows = list.syntax_check || list.list_hosts || list.list_tasks || list.list_tags;
    if !only_shows {
        project::login_passwords(&settings.passwords, &mut settings.options.login, out)?;
    }
    if out.voice == Voice::Ansible {
        settings.options.style = Style::Ansible;
        settings.output.terminal.explain_on_stderr = true;
    }
    if settings.options.verbosity > 0 && out.voice == Voice::Ansible {
        let said = match &config.file {
            Some(path) => format!("Using {} as config file\n", path.display()),
            None => "No config file found; using defaults\n".to_string(),
        };
        out.text(&said)?;
    }
    let secrets = project::vault_secrets(&settings.vault, out)?;
    let project = project::load(&settings.sources, &playbooks, secrets.clone(), out)?;
    check_hosts(&project, &settings.sources, (settings.options.limit.as_deref(), None), out)?;
    if only_shows {
        return listing::show(&project, &args.playbooks, &settings.options, list, out);
    }
    if out.voice == Voice::Own {
        out.diagnostics(&project.sources, &lint::before_a_run(&project, &settings.options));
    }
    let knows_hosts = project.inventory.hosts().len() > 0;
    let starts_later = settings.options.start_at_task.is_some();
    let asked = journal::Asked {
        title: format!("run {}", names(&args.playbooks)),
        playbooks: &playbooks,
        sources: &settings.sources,
        vault: &secrets,
        options: &settings.options,
        lasting_inventory: true,
        plan: None,
        // Scripts around ansible-playbook start several of them.
        alone: !args.concurrent && out.voice == Voice::Own,
    };
    let journal = journal::begin(&asked, &project, config, out)?;
    let ending = drive::run_alone(project, settings.options, journal, &settings.output, out);
    if let Ok(Ending::Ran(recap)) = &ending
        && recap.hosts.is_empty()
        && !knows_hosts
        && !starts_later
    {
        out.help("nothing was run: name an inventory with -i, such as -i inventory/mysite");
    }
    ending
}

/// Returns paths as one text.
pub fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Refuses a limit that leaves nothing, and says so when only localhost is known.
/// `pattern` is what was typed to choose hosts, if anything was.
pub fn check_hosts(
    project: &project::Project,
    sources: &Sources,
    (limit, pattern): (Option<&str>, Option<&str>),
    out: &Output,
) -> Result<(), CliError> {
    if project.inventory.hosts().len() == 0 {
        let meant = pattern.is_some_and(|p| matches!(p, "localhost" | "127.0.0.1" | "::1"));
        if sources.localhost_warning && !meant {
            out.warning(
                "provided hosts list is empty, only localhost is available. Note that the implicit localhost does not match 'all'",
            );
        }
        return Ok(());
    }
    let Some(limit) = limit else { return Ok(()) };
    let limits = project.limit(limit, out)?;
    let matched = project.matching("all", Some(&limits), out)?;
    if matched.is_empty() {
        return Err(CliError::cannot(format!("no host of the inventory matches --limit \"{limit}\""))
            .with_help("xplay inventory --graph shows the hosts and groups"));
    }
    Ok(())
}
