//! `xplay rehearse`: the playbooks against an emulated cluster inside this machine.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{ColorWhen, RehearseArgs, RootModeArg};
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::plan::{self, Making};
use super::settings::{self, OutputSettings, RunSettings, Sources};
use super::{apply, drive, journal, lookup, project, show};
use crate::diag::did_you_mean;
use crate::engine::RunOptions;
use crate::modules::sh::PRELUDE;
use crate::rehearsal::{self, Cluster, ClusterOptions, Fault, RehearsalError, RootMode, Site};
use crate::transport::{HostConnector, Identity};
use crate::vault::VaultSecrets;

pub fn rehearse(
    args: &RehearseArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let (options, output) = settings::rehearsal(args, color, config)?;
    let playbooks = lookup::find_playbooks(&args.playbooks, &config.env.cwd)?;
    let cluster_options = cluster_options(args, config)?;
    let runtime = drive::runtime()?;
    let ending = runtime.block_on(Box::pin(async {
        let cluster = rehearsal::start(cluster_options).await.map_err(cannot)?;
        let job = Job { args, config, playbooks, options, output: &output, out };
        let ending = Box::pin(job.run(&cluster)).await;
        cluster.shutdown().await.map_err(cannot)?;
        ending
    }));
    runtime.shutdown_background();
    ending
}

/// What is done with a running cluster.
struct Job<'a> {
    args: &'a RehearseArgs,
    config: &'a Config,
    playbooks: Vec<PathBuf>,
    options: RunOptions,
    output: &'a OutputSettings,
    out: &'a Output,
}

impl Job<'_> {
    async fn run(mut self, cluster: &Cluster) -> Result<Ending, CliError> {
        let mut ending = Ok(Ending::Done);
        let playbooks = std::mem::take(&mut self.playbooks);
        if let Some(file) = &self.args.apply {
            ending = Box::pin(self.apply(cluster, file)).await;
        } else if !playbooks.is_empty() {
            ending = Box::pin(self.play(cluster, &playbooks)).await;
        }
        if let Some(dir) = &self.args.keep {
            self.out.note(&format!("kept: {}", dir.display()));
        }
        match &self.args.shell {
            Some(host) if !matches!(ending, Err(CliError::Interrupted)) => {
                let code = self.shell(cluster, host).await?;
                if playbooks.is_empty() { Ok(Ending::Code(code)) } else { ending }
            }
            _ => ending,
        }
    }

    async fn play(&self, cluster: &Cluster, playbooks: &[PathBuf]) -> Result<Ending, CliError> {
        let mut sources = Sources {
            inventory: vec![cluster.inventory_path().to_string_lossy().into_owned()],
            inventory_is_default: false,
            ..settings::sources(&super::args::HostArgs::default(), &self.args.vars, self.config)
        };
        sources.extra_vars.clone_from(&self.args.vars.extra_vars);
        let project = project::load(&sources, playbooks, VaultSecrets::new(), self.out)?;
        let connector = connector();
        if let Some(file) = &self.args.plan {
            // Where rehearsed hosts are reached changes each time and is no part of the plan.
            sources.inventory.clear();
            let making = Making {
                playbooks,
                sources: &sources,
                options: self.options.clone(),
                key: plan::key(&VaultSecrets::new(), self.config)?,
                never: Vec::new(),
                file: Some(file),
                cwd: &self.config.env.cwd,
                out: self.out,
            };
            return making.run(project, connector).await;
        }
        let vault = VaultSecrets::new();
        let asked = journal::Asked {
            title: format!("rehearse {}", super::run::names(playbooks)),
            playbooks,
            sources: &sources,
            vault: &vault,
            options: &self.options,
            lasting_inventory: false,
            plan: None,
            alone: false,
        };
        // Without its disks nothing of a rehearsal could go on.
        let journal = match self.args.keep {
            Some(_) => journal::begin(&asked, &project, self.config, self.out)?,
            None => None,
        };
        let conduct = drive::Conduct { journal, ..drive::Conduct::free(connector) };
        drive::run(project, self.options.clone(), conduct, self.output, self.out).await
    }

    /// Applies a plan that was made for a rehearsal.
    async fn apply(&self, cluster: &Cluster, path: &Path) -> Result<Ending, CliError> {
        let file = show::read(path)?;
        if !file.plan().invocation.rehearsal {
            return Err(CliError::cannot("the plan was made for real hosts, not for a rehearsal")
                .with_help("xplay apply FILE applies it"));
        }
        if let Some(code) = apply::refuse(&file, self.config, self.out)? {
            return Ok(Ending::Code(code));
        }
        let settings = RunSettings {
            sources: Sources::default(),
            vault: settings::VaultSettings::default(),
            passwords: settings::PasswordSettings::default(),
            options: self.options.clone(),
            output: self.output.clone(),
        };
        let applying = apply::Applying { file: &file, path, config: self.config, out: self.out };
        let inventory = cluster.inventory_path();
        Box::pin(applying.run(settings, VaultSecrets::new(), Some(&inventory), connector())).await
    }

    /// Opens a shell on a host, on this terminal.
    async fn shell(&self, cluster: &Cluster, host: &str) -> Result<u8, CliError> {
        let dup = |fd: std::os::fd::BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|e| CliError::cannot(format!("cannot use this terminal: {e}")))
        };
        let (input, output) = (dup(io::stdin().as_fd())?, dup(io::stdout().as_fd())?);
        if io::stdin().is_terminal() {
            self.out.note(&format!("shell on rehearsal host {host}; leave it with exit"));
        }
        match cluster.shell(host, input, output).await {
            Ok(code) => Ok(u8::try_from(code).unwrap_or(1)),
            Err(error @ RehearsalError::NoSuchHost(_)) => {
                let names: Vec<&str> = cluster.hosts().iter().map(|h| h.name.as_str()).collect();
                Err(cannot(error).with_help(format!("its hosts are {}", names.join(", "))))
            }
            Err(error) => Err(cannot(error)),
        }
    }
}

/// The rehearsal's own key is in its inventory; this user's keys and agent stay out of it.
fn connector() -> Arc<HostConnector> {
    let identity = Identity { user: "root".into(), ..Identity::default() };
    Arc::new(HostConnector::new(PRELUDE, identity))
}

fn cluster_options(args: &RehearseArgs, config: &Config) -> Result<ClusterOptions, CliError> {
    let site: Site = args.site.parse().map_err(|text: String| CliError::option(text))?;
    Ok(ClusterOptions {
        site,
        dir: args.keep.as_ref().map(|dir| config.env.path(&dir.to_string_lossy(), None)),
        mode: args.root_mode.map(|way| match way {
            RootModeArg::Namespaces => RootMode::Namespaces,
            RootModeArg::Chroot => RootMode::Chroot,
        }),
        builder: args.builder,
        faults: args.fault.iter().flat_map(|f| f.split(',')).map(fault).collect::<Result<_, _>>()?,
        ..ClusterOptions::default()
    })
}

fn fault(name: &str) -> Result<Fault, CliError> {
    name.trim().parse().map_err(|text: String| {
        let error = CliError::option(text);
        match did_you_mean(name, Fault::ALL.iter().map(|f| f.name())) {
            Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
            None => error,
        }
    })
}

fn cannot(error: RehearsalError) -> CliError {
    CliError::cannot(super::chain(&error))
}
