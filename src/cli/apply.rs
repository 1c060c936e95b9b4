//! `xplay apply`: executes a saved plan and nothing else; `xplay plan check` says before what would be refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::args::{ApplyArgs, ColorWhen, PlanFileArgs};
use super::config::Config;
use super::drive::{self, Conduct};
use super::exit::{CliError, Ending};
use super::output::Output;
use super::plan::bundle::{BESIDE_PLAYBOOKS, Roots};
use super::plan::{self, invocation};
use super::project::{self, Project};
use super::settings::{RunSettings, Sources, state_dir};
use super::{journal, policy, show};
use crate::engine::{Event, RunOptions};
use crate::modules::sh::PRELUDE;
use crate::plan::applied::{Applied, Outcome};
use crate::plan::file::SEMANTICS;
use crate::plan::refusal::{self, Refusal};
use crate::plan::signers::AllowedSigners;
use crate::plan::{Actual, Guide, PlanFile, Reach, Score, Seal, Verdict, approvals};
use crate::report::Reporter;
use crate::transport::{Connector, HostConnector, Identity};
use crate::value::Secret;
use crate::vault::VaultSecrets;

pub fn apply(
    args: &ApplyArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let file = show::read(&args.file)?;
    let mut settings = RunSettings::of_apply(args, color, config)?;
    if file.plan().invocation.rehearsal {
        return Err(CliError::cannot("the plan was made for a rehearsal")
            .with_help("xplay rehearse --keep DIR --apply FILE applies it to a rehearsal"));
    }
    if let Some(code) = refuse(&file, config, out)? {
        return Ok(Ending::Code(code));
    }
    project::login_passwords(&settings.passwords, &mut settings.options.login, out)?;
    let vault = project::vault_secrets(&settings.vault, out)?;
    let connector = Arc::new(HostConnector::new(PRELUDE, Identity::from_environment()));
    let applying = Applying { file: &file, path: &args.file, config, out };
    let runtime = drive::runtime()?;
    let ending = runtime.block_on(Box::pin(applying.run(settings, vault, None, connector)));
    runtime.shutdown_background();
    ending
}

/// `xplay plan check`: everything that would keep the plan from being applied.
pub fn check(args: &PlanFileArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let file = show::read(&args.file)?;
    if let Some(code) = refuse(&file, config, out)? {
        return Ok(Ending::Code(code));
    }
    let ready = Unpacked::of(&file)?;
    if let Some(reason) = &ready.moved {
        let foreign = Foreign { file: &file, vault: VaultSecrets::new(), key: Secret::new(""), out };
        foreign.refuse(&ready.roots)?;
        out.note(&format!("the project is not what it was ({reason}); the plan's own copy will be used"));
    }
    out.text(&format!("{} can be applied until {}\n", file.id(), file.created().expires))?;
    Ok(Ending::Done)
}

/// Says why the plan is not applied, and returns the exit code; nothing when it may be applied.
pub fn refuse(file: &PlanFile, config: &Config, out: &Output) -> Result<Option<u8>, CliError> {
    let policy = policy::load_for(file, &config.env.cwd, out)?;
    let signers = match &policy.allowed_signers {
        Some(path) => policy::load_signers(path, out)?,
        None => AllowedSigners::default(),
    };
    let now = Timestamp::now();
    let checked = approvals::check(file, &signers, now);
    let found = match config.env.resume {
        // Its being applied already is what is resumed.
        Some(_) => None,
        None => applied(config).map(|a| a.find(file)).transpose().map_err(cannot)?.flatten(),
    };
    let mut all = refusal::refusals(file, now, &policy, &checked, found.as_ref(), SEMANTICS);
    if file.plan().verdict() == Verdict::Error {
        all.push(Refusal {
            code: "errors",
            reason: "a step of the plan would fail, and what comes after it is not in the plan".into(),
            help: "xplay show names the step; make the plan again when it is mended",
            exit: 1,
        });
    }
    for refusal in &all {
        out.error(&format!("refused ({}): {}", refusal.code, refusal.reason));
        out.help(refusal.help);
    }
    Ok(all.first().map(|refusal| refusal.exit))
}

fn applied(config: &Config) -> Option<Applied> {
    Some(Applied::new(state_dir(config)?.join("applied")))
}

fn cannot(error: impl std::error::Error) -> CliError {
    CliError::cannot(super::chain(&error))
}

/// Where a plan's project lies: where it was, as long as nothing in it changed, else a private copy out of the plan.
struct Unpacked {
    roots: Roots,
    /// Why the copy is used.
    moved: Option<String>,
    /// Removes the copy in the end.
    _dir: Option<tempfile::TempDir>,
}

impl Unpacked {
    fn of(file: &PlanFile) -> Result<Self, CliError> {
        let sources = &file.created().sources;
        let places: BTreeMap<String, PathBuf> = sources.iter().map(|(n, p)| (n.clone(), p.into())).collect();
        let Some(reason) = file.bundle().differs_at(&places, BESIDE_PLAYBOOKS) else {
            return Ok(Unpacked { roots: Roots::at(&places), moved: None, _dir: None });
        };
        let failed = |e: std::io::Error| CliError::cannot(format!("cannot make a private folder: {e}"));
        let dir = tempfile::Builder::new().prefix("xplay-plan-").tempdir().map_err(failed)?;
        let inside = dir.path().join("bundle");
        file.bundle().unpack(&inside).map_err(cannot)?;
        file.bundle().copy_references(&inside, sources).map_err(cannot)?;
        let copies = sources.keys().map(|name| (name.clone(), inside.join(name))).collect();
        // What the plan makes in the project's folder is no part of the copy.
        let roots = Roots::at(&copies).before(&Roots::at(&places));
        Ok(Unpacked { roots, moved: Some(reason), _dir: Some(dir) })
    }
}

/// Compares a plan's own copy of its inventory with what lies at its place now. Of a project that changed the copy is used,
/// but it must not lead to hosts that are not the project's any more, or that are elsewhere by now.
struct Foreign<'a> {
    file: &'a PlanFile,
    vault: VaultSecrets,
    key: Secret,
    out: &'a Output,
}

impl Foreign<'_> {
    fn refuse(&self, own: &Roots) -> Result<(), CliError> {
        let places = self.file.created().sources.iter().map(|(n, p)| (n.clone(), p.into())).collect();
        let here = self.sources(&Roots::at(&places));
        if here.inventory.iter().any(|source| !source.contains(',') && !Path::new(source).exists()) {
            // The plan was brought to another machine.
            return Ok(());
        }
        let (Some(then), Some(now)) = (self.hosts(&self.sources(own))?, self.hosts(&here)?) else {
            self.out.note("the inventory cannot be read without its vault passwords, and was not compared with the plan's");
            return Ok(());
        };
        for host in &self.file.plan().hosts {
            let name = &host.name;
            let (Some(then), now) = (then.get(name), now.get(name)) else { continue };
            let what = match now {
                None => format!("{name} is not in the inventory any more"),
                Some(now) if now == then => continue,
                Some(now) => {
                    let differs = |variable: &&&str| now.get(**variable) != then.get(**variable);
                    let variable = then.keys().chain(now.keys()).find(differs).copied().unwrap_or_default();
                    let word = |place: &invocation::Place| {
                        place.get(variable).map_or_else(|| "not set".to_string(), |v| format!("\"{v}\""))
                    };
                    format!("{variable} of {name} is {} now and was {}", word(now), word(then))
                }
            };
            return Err(CliError::option(format!("refused (foreign-inventory): {what}"))
                .with_help("make the plan again"));
        }
        Ok(())
    }

    fn sources(&self, roots: &Roots) -> Sources {
        let seal = plan::seal(&self.out.secrets, &self.key, roots);
        Sources { extra_vars: Vec::new(), ..invocation::sources(&self.file.plan().invocation, &seal) }
    }

    /// Returns where the hosts of an inventory are; nothing where it cannot be read.
    fn hosts(&self, sources: &Sources) -> Result<Option<BTreeMap<String, invocation::Place>>, CliError> {
        let (project, found) = project::collect(sources, &[], self.vault.clone(), self.out)?;
        if found.has_errors() {
            return Ok(None);
        }
        invocation::places(&project).map(Some).or(Ok(None))
    }
}

/// A plan that is being applied.
pub struct Applying<'a> {
    pub file: &'a PlanFile,
    pub path: &'a Path,
    pub config: &'a Config,
    pub out: &'a Output,
}

impl Applying<'_> {
    /// Executes the plan. `inventory` stands for the plan's own one in rehearsals, whose hosts have new addresses each time.
    pub async fn run(
        self,
        settings: RunSettings,
        vault: VaultSecrets,
        inventory: Option<&Path>,
        connector: Arc<dyn Connector>,
    ) -> Result<Ending, CliError> {
        let plan = self.file.plan();
        let unpacked = Unpacked::of(self.file)?;
        if let Some(reason) = &unpacked.moved {
            self.out.note(&format!("the project is not what it was ({reason}); using the plan's own copy"));
        }
        let key = plan::key(&vault, self.config)?;
        let seal = plan::seal(&self.out.secrets, &key, &unpacked.roots);
        let mut options = settings.options.clone();
        invocation::restore(&plan.invocation, &mut options)?;
        if unpacked.moved.is_some() && inventory.is_none() {
            let foreign = Foreign { file: self.file, vault: vault.clone(), key: key.clone(), out: self.out };
            foreign.refuse(&unpacked.roots)?;
        }
        let project = self.load(&seal, vault.clone(), inventory)?;
        self.leave_out(&mut options);
        let claim = match applied(self.config) {
            Some(applied) if self.config.env.resume.is_some() => {
                Some(applied.go_on(self.file).map_err(cannot)?)
            }
            Some(applied) => Some(applied.begin(self.file, Timestamp::now()).map_err(cannot)?),
            None => None,
        };
        let scores = Scores::default();
        let guide = Guide::new(plan, seal, plan::blobs(self.file));
        let asked = journal::Asked {
            title: format!("apply {}", self.path.display()),
            playbooks: &[],
            sources: &Sources::default(),
            vault: &vault,
            options: &options,
            lasting_inventory: false,
            plan: Some(self.path),
            alone: true,
        };
        let journal = journal::begin(&asked, &project, self.config, self.out)?;
        let conduct = Conduct { connector, guide: Some(Arc::new(guide)), journal };
        let more: Vec<Box<dyn Reporter>> = vec![Box::new(scores.clone())];
        let ending =
            Box::pin(drive::run_with(project, options, conduct, &settings.output, more, self.out)).await;
        let tally = scores.take();
        self.tell(&tally);
        let goes_on = matches!(ending, Err(CliError::Interrupted));
        if let Some(claim) = claim.filter(|_| !goes_on) {
            let outcome = Outcome { counts: tally.counts, score: tally.score };
            claim.finish(outcome, Timestamp::now()).map_err(cannot)?;
        }
        ending
    }

    fn load(&self, seal: &Seal, vault: VaultSecrets, inventory: Option<&Path>) -> Result<Project, CliError> {
        let asked = &self.file.plan().invocation;
        let mut sources = invocation::sources(asked, seal);
        if let Some(path) = inventory {
            sources.inventory = vec![path.to_string_lossy().into_owned()];
        }
        let playbooks: Vec<PathBuf> = asked.playbooks.iter().map(|p| seal.local(p)).collect();
        let project = project::load(&sources, &playbooks, vault, self.out)?;
        if inventory.is_none() {
            let now = invocation::inventory_digest(&project, self.out)?;
            if asked.settings.get(invocation::INVENTORY) != Some(&now) {
                return Err(CliError::option(
                    "refused: the inventory gives other hosts, groups or variables than when the plan was made",
                )
                .with_help("make the plan again"));
            }
        }
        Ok(project)
    }

    /// Hosts that could not be reached while planning are not in the plan.
    fn leave_out(&self, options: &mut RunOptions) {
        let lost: Vec<&str> = self
            .file
            .plan()
            .hosts
            .iter()
            .filter(|h| h.reach == Reach::Unreachable)
            .map(|h| h.name.as_str())
            .collect();
        if lost.is_empty() {
            return;
        }
        let names = crate::plan::nodeset::folded(&lost);
        self.out.warning(&format!("left out, because they were unreachable when the plan was made: {names}"));
        let without: String = lost.iter().map(|name| format!(":!{name}")).collect();
        let limit = options.limit.take().unwrap_or_else(|| "all".to_string());
        options.limit = Some(format!("{limit}{without}"));
    }

    /// Prints how well the plan foresaw what happened.
    fn tell(&self, tally: &Tally) {
        let (all, good) = tally.score.total();
        let more = match tally.score.unforeseen {
            0 => String::new(),
            n => format!("; {n} steps ran whose effect was not foreseen"),
        };
        self.out.note(&format!("predictions: {good} of {all} came true{more}"));
        for (module, (all, good)) in tally.score.modules.iter().filter(|(_, (all, good))| all != good) {
            self.out.note(&format!("  {module}: {good} of {all}"));
        }
        for what in [Actual::Already, Actual::Drifted] {
            if let Some(n) = tally.counts.get(what.word()) {
                self.out.note(&format!("  {n} {}", match what {
                    Actual::Already => "changes were in place already",
                    _ => "steps found another state than the one that the plan relies on, and their hosts were stopped",
                }));
            }
        }
    }
}

/// What became of the plan's units.
#[derive(Clone, Debug, Default)]
struct Tally {
    counts: BTreeMap<String, usize>,
    score: Score,
}

/// Counts what became of the plan's units.
#[derive(Clone, Default)]
struct Scores(Arc<Mutex<Tally>>);

impl Scores {
    fn take(&self) -> Tally {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reporter for Scores {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::Followed { units, .. } = event {
            let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for unit in units {
                tally.score.add(unit);
                *tally.counts.entry(unit.actual.word().to_string()).or_default() += 1;
            }
        }
        Ok(())
    }
}
