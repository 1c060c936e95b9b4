//! `xplay facts`: gathers facts as a play does, and prints them as JSON.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::FactsArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::{drive, preflight, project, run, settings};
use crate::engine::{Event, HostResult, RunOptions, Status};
use crate::modules::sh::PRELUDE;
use crate::report::Reporter;
use crate::transport::{HostConnector, Identity};
use crate::value::{Map, Value, to_json};

pub fn facts(args: &FactsArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let sources = settings::sources(&args.hosts, &args.vars, config);
    let passwords = settings::passwords(&args.login, &args.r#become, config);
    let mut login = settings::login(&args.login, &args.r#become, config)?;
    project::login_passwords(&passwords, &mut login, out)?;
    let secrets = project::vault_secrets(&settings::vault_settings(&args.vault, config), out)?;
    let dir = tempfile::tempdir().map_err(|source| CliError::File {
        action: "make a temporary directory in",
        path: std::env::temp_dir(),
        source,
    })?;
    let playbook = write_playbook(dir.path().join("facts.yml"), args)?;
    let project = project::load(&sources, &[playbook], secrets, out)?;
    let limit = (!args.hosts.limit.is_empty()).then(|| args.hosts.limit.join(":"));
    run::check_hosts(&project, &sources, (limit.as_deref(), Some(&args.pattern)), out)?;
    let limits = limit.as_deref().map(|l| project.limit(l, out)).transpose()?;
    let hosts = project.matching(&args.pattern, limits.as_deref(), out)?;
    if hosts.is_empty() {
        return Err(CliError::cannot(format!("no host matches \"{}\"", args.pattern))
            .with_help("xplay inventory --graph shows the hosts and groups"));
    }
    let one = hosts.len() == 1 && *project.inventory.host(hosts[0]).name == *args.pattern;
    let options = RunOptions {
        forks: settings::forks(args.forks.as_deref(), config)?,
        verbosity: args.verbose,
        limit,
        login,
        ..RunOptions::default()
    };
    let found = Arc::new(Mutex::new(Map::new()));
    let collector = Collector { found: found.clone(), out: out.clone() };
    let connector = Arc::new(HostConnector::new(PRELUDE, Identity::from_environment()));
    let runtime = drive::runtime()?;
    let conduct = drive::Conduct::free(connector);
    let ending = runtime.block_on(async {
        preflight::prepare(&project, &options, &conduct.connector, out).await?;
        drive::with_reporters(project, options, conduct, vec![Box::new(collector)], out).await
    });
    runtime.shutdown_background();
    let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    // Hosts end in any order.
    let mut sorted: Vec<_> = std::mem::take(&mut found).into_iter().collect();
    sorted.sort_by_key(|(host, _)| host.json_name());
    found.extend(sorted);
    let shown = match found.iter().next() {
        Some((_, facts)) if one => facts.clone(),
        None if one => return ending,
        _ => Value::map(found),
    };
    let text = serde_json::to_string_pretty(&to_json(&shown))
        .map_err(|e| CliError::Internal(format!("cannot write facts as JSON: {e}")))?;
    out.json(&format!("{text}\n"))?;
    ending
}

/// Writes the play that gathers: everything typed goes into it as data.
fn write_playbook(path: PathBuf, args: &FactsArgs) -> Result<PathBuf, CliError> {
    let mut setup: Vec<String> = Vec::new();
    for (name, words) in [("gather_subset", &args.subset), ("filter", &args.filter)] {
        if !words.is_empty() {
            setup.push(format!("{name}: !unsafe {}", serde_json::Value::from(words.as_slice())));
        }
    }
    let text = format!(
        "- hosts: !unsafe {}\n  gather_facts: false\n  tasks:\n    - ansible.builtin.setup: {{{}}}\n",
        serde_json::Value::from(args.pattern.as_str()),
        setup.join(", ")
    );
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(CliError::File { action: "write", path, source }),
    }
}

/// Keeps facts, and shows failures and warnings.
struct Collector {
    found: Arc<Mutex<Map>>,
    out: Output,
}

impl Collector {
    fn result(&self, r: &HostResult) {
        match (r.status, r.result.get("ansible_facts")) {
            (Status::Ok | Status::Changed, Some(facts)) => {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(r.host.to_string(), facts.clone());
            }
            _ => {
                let msg = r.result.get("msg").map(Value::to_text).unwrap_or_default();
                self.out.error(&format!("{}: {msg}", r.host));
            }
        }
        for warning in &r.warnings {
            self.out.warning(&format!("{}: {warning}", r.host));
        }
    }
}

impl Reporter for Collector {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Host(r) => self.result(r),
            Event::Warning(text) | Event::Deprecation(text) => self.out.warning(text),
            _ => {}
        }
        Ok(())
    }
}
