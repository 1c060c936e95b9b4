//! `xplay plan`: what a run would do, saved as one file; and `plan check`, `plan diff`.
//!
//! [`bundle`] collects the project's files, [`invocation`] keeps what was asked for.

pub mod bundle;
pub mod invocation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::{ColorWhen, PlanAction, PlanArgs};
use super::config::Config;
use super::drive::{self, Conduct};
use super::exit::{CliError, Ending};
use super::output::Output;
use super::project::{self, Project};
use super::settings::{RunSettings, Sources, state_dir};
use super::{apply, lint, listing, lookup, policy, preflight, run, show};
use crate::engine::RunOptions;
use crate::modules::sh::PRELUDE;
use crate::plan::{Builder, Created, PlanFile, Seal, Verdict};
use crate::report::{PlanSealer, Planner, Secrets};
use crate::transport::{Connector, HostConnector, Identity, ReadOnly};
use crate::value::Secret;
use crate::vault::VaultSecrets;

use bundle::Roots;

pub fn plan(
    args: &PlanArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    match &args.action {
        Some(PlanAction::Check(check)) => return apply::check(check, config, out),
        Some(PlanAction::Diff(diff)) => return super::plan_diff::diff(diff, out),
        None => {}
    }
    // Mistakes in the project are an error like any other here; 4 means unreachable hosts.
    match make(args, color, config, out) {
        Err(CliError::Project) => Ok(Ending::Code(Verdict::Error.exit_code())),
        other => other,
    }
}

fn make(
    args: &PlanArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let typed = &args.run;
    let mut settings = RunSettings::new(typed, color, config)?;
    let playbooks = lookup::find_playbooks(&typed.playbooks, &config.env.cwd)?;
    let list = &typed.list;
    let only_shows = list.syntax_check || list.list_hosts || list.list_tasks || list.list_tags;
    if !only_shows {
        project::login_passwords(&settings.passwords, &mut settings.options.login, out)?;
    }
    let vault = project::vault_secrets(&settings.vault, out)?;
    let key = key(&vault, config)?;
    let project = project::load(&settings.sources, &playbooks, vault, out)?;
    run::check_hosts(&project, &settings.sources, (settings.options.limit.as_deref(), None), out)?;
    if only_shows {
        return listing::show(&project, &typed.playbooks, &settings.options, list, out);
    }
    out.diagnostics(&project.sources, &lint::before_a_run(&project, &settings.options));
    let connector = Arc::new(HostConnector::new(PRELUDE, Identity::from_environment()));
    let making = Making {
        playbooks: &playbooks,
        never: settings.secret_files(),
        sources: &settings.sources,
        options: settings.options.clone(),
        key,
        file: args.out.as_deref(),
        cwd: &config.env.cwd,
        out,
    };
    let runtime = drive::runtime()?;
    let ending = runtime.block_on(Box::pin(making.run(project, connector)));
    runtime.shutdown_background();
    ending
}

/// A plan in the making.
pub struct Making<'a> {
    pub playbooks: &'a [PathBuf],
    pub sources: &'a Sources,
    pub options: RunOptions,
    /// For digests of secrets.
    pub key: Secret,
    /// Files that must not get into the plan.
    pub never: Vec<PathBuf>,
    /// Where the plan is written.
    pub file: Option<&'a Path>,
    pub cwd: &'a Path,
    pub out: &'a Output,
}

impl Making<'_> {
    /// Makes the plan, writes and shows it.
    pub async fn run(self, project: Project, connector: Arc<dyn Connector>) -> Result<Ending, CliError> {
        let expiry = policy::load(self.cwd, self.out)?.expiry;
        // What was seen is as old as the first look.
        let begun = Timestamp::now();
        let roots = Roots::of(self.playbooks, self.sources, self.cwd);
        let seal = seal(&self.out.secrets, &self.key, &roots);
        let mut invocation =
            invocation::describe(self.playbooks, self.sources, &self.options, &seal, self.cwd);
        if !self.options.rehearsal {
            let digest = invocation::inventory_digest(&project, self.out)?;
            invocation.settings.insert(invocation::INVENTORY.to_string(), digest);
        }
        // Dynamic includes add to what was read, so the files are collected when planning is over.
        let read = bundle::Read::of(&project);
        let planner = Planner::new(Builder::new(seal));
        let options = RunOptions { planning: true, check: true, diff: true, ..self.options };
        let conduct = Conduct::free(Arc::new(ReadOnly::new(connector)));
        preflight::prepare(&project, &options, &conduct.connector, self.out).await?;
        let ending =
            drive::with_reporters(project, options, conduct, vec![Box::new(planner.clone())], self.out).await;
        match ending {
            Ok(_) => {}
            Err(CliError::Project) => return Ok(Ending::Code(Verdict::Error.exit_code())),
            Err(other) => return Err(other),
        }
        let mut bundle = bundle::collect(&read, self.playbooks, self.sources, &roots, &self.never, self.cwd)?;
        let builder = planner.take().ok_or_else(|| CliError::Internal("the plan was lost".into()))?;
        let (plan, blobs) = builder.finish(invocation);
        if !plan.keeps_modes() {
            bundle.forget_umask();
        }
        let verdict = plan.verdict();
        let mut created = Created::expiring(begun, &plan, expiry);
        created.sources = roots.places();
        let file = PlanFile::new(plan, bundle, blobs, created);
        if let Some(path) = self.file {
            file.write(path).map_err(|e| CliError::cannot(super::chain(&e)))?;
        }
        let name = self.file.map(|p| p.to_string_lossy().into_owned());
        show::print(&file, name.as_deref(), self.out)?;
        Ok(Ending::Code(verdict.exit_code()))
    }
}

/// Returns what keeps secrets and this machine's paths out of a plan.
pub fn seal(secrets: &Secrets, key: &Secret, roots: &Roots) -> Seal {
    Seal::new(Arc::new(PlanSealer::new(secrets.clone(), key.clone())), roots.for_seal())
}

/// Returns the key for digests of secrets: made of the vault passwords where there are some, so that all who may read the
/// secrets get the same digests, else a random one of this user.
pub fn key(vault: &VaultSecrets, config: &Config) -> Result<Secret, CliError> {
    let mut passwords: Vec<&[u8]> = vault.passwords().map(|p| p.expose()).collect();
    if !passwords.is_empty() {
        passwords.sort_unstable();
        passwords.dedup();
        return Ok(Secret::new(format!("vault {}", crate::modules::sha256(&passwords.join(&0u8)))));
    }
    let Some(dir) = state_dir(config) else { return Ok(Secret::new("xplay")) };
    let path = dir.join("plan.key");
    let failed = |action: &'static str| {
        let path = path.clone();
        move |source| CliError::File { action, path, source }
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim())),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("read")(e)),
    }
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|e| CliError::cannot(format!("cannot make a key: {e}")))?;
    let text = crate::modules::hex(&random);
    drive::make_private_dir(&dir).map_err(failed("make"))?;
    write_private(&path, &text).map_err(failed("write"))?;
    Ok(Secret::new(text))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let dir = path.parent().unwrap_or(Path::new("."));
    // Temporary files are for their owner only.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(|_| ()).map_err(|e| e.error)
}

/// Returns the texts that a plan refers to.
pub fn blobs(file: &PlanFile) -> BTreeMap<String, Vec<u8>> {
    let units = file.plan().steps.iter().flat_map(|s| &s.groups).flat_map(|g| &g.units);
    units
        .flat_map(|u| u.rendered.values())
        .filter_map(|digest| Some((digest.clone(), file.blob(digest)?.to_vec())))
        .collect()
}
