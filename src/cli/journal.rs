//! The journal of a command: begun when it starts to work on hosts, or opened again when it is resumed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::{Config, Env, Resume};
use super::exit::CliError;
use super::hold::{Hold, Holder};
use super::output::Output;
use super::plan::{self, bundle, invocation};
use super::project::Project;
use super::settings::{Sources, state_dir};
use crate::engine::RunOptions;
use crate::engine::journal::{self, EndKind, Head, Journal, JournalError, Record, Runs, Sealing, Summary};
use crate::engine::{Recap, RunEnd};
use crate::report::MaskedBytes;
use crate::template::{Tree, VarMap};
use crate::value::Value;
use crate::vault::VaultSecrets;

/// Bigger files are told apart by size and time.
const DIGESTED: u64 = 1 << 20;

/// What is asked for.
pub struct Asked<'a> {
    /// For people.
    pub title: String,
    pub playbooks: &'a [PathBuf],
    pub sources: &'a Sources,
    pub vault: &'a VaultSecrets,
    pub options: &'a RunOptions,
    /// The inventory says the same each time. That of a rehearsal does not.
    pub lasting_inventory: bool,
    /// The plan that is applied; its project cannot change.
    pub plan: Option<&'a Path>,
    /// No other run of the same project and inventory may go on.
    pub alone: bool,
}

/// A journal that is written.
pub struct Writing {
    pub journal: Arc<Journal>,
    /// Answers that were given when the run began.
    pub prompted: Option<VarMap>,
    /// Keeps others away.
    _hold: Option<Hold>,
}

/// A command line and the settings around it.
#[derive(Serialize, Deserialize)]
struct Command {
    words: Vec<String>,
    env: BTreeMap<String, String>,
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let text = super::chain(&error);
        match error {
            JournalError::NoSuchRun(_) => CliError::cannot(text).with_help("xplay runs lists them"),
            JournalError::NoSuchStep(_) => {
                CliError::option(text).with_help("xplay runs show ID names the steps that are open")
            }
            JournalError::Busy(_) => CliError::cannot(text)
                .with_help("Ctrl-C or kill -TERM makes it stop after the steps that are running"),
            JournalError::Damaged { .. } => CliError::cannot(text).with_help(
                "nobody can tell what was done after that; look at the hosts and run the playbook anew",
            ),
            _ => CliError::cannot(text),
        }
    }
}

/// Returns the folder of journals.
pub fn runs(config: &Config) -> Option<Runs> {
    Some(faulty(Runs::new(state_dir(config)?.join("runs")), config))
}

/// Lets tests end the program in the middle of a write; a program that is released has no such switch.
#[cfg(debug_assertions)]
fn faulty(runs: Runs, config: &Config) -> Runs {
    let Some(text) = config.env.get("XPLAY_END_AT_WRITE") else { return runs };
    let (number, torn) = match text.strip_suffix("-torn") {
        Some(number) => (number, true),
        None => (text.as_str(), false),
    };
    match number.parse() {
        Ok(number) => runs.ending_at(number, torn),
        Err(_) => runs,
    }
}

#[cfg(not(debug_assertions))]
fn faulty(runs: Runs, _: &Config) -> Runs {
    runs
}

/// Begins the journal of a run that changes hosts, or opens the one that is resumed.
pub fn begin(
    asked: &Asked<'_>,
    project: &Project,
    config: &Config,
    out: &Output,
) -> Result<Option<Writing>, CliError> {
    if asked.options.check || asked.options.planning {
        return Ok(None);
    }
    let Some(runs) = runs(config) else { return Ok(None) };
    let masking = out.secrets.clone();
    let masking: journal::Masking = Arc::new(move |text: &str| masking.mask(text).into_owned());
    if let Some(resume) = &config.env.resume {
        return go_on(asked, project, config, &runs, resume, masking, out).map(Some);
    }
    match anew(asked, config, &runs, masking, out) {
        Ok(journal) => {
            let hold = hold(asked, config, journal.id())?;
            journal.note(&Record::Inputs { files: inputs(asked, project, config, out)? });
            let journal = journal.keeping_outputs(hiding(out));
            Ok(Some(Writing { journal: Arc::new(journal), prompted: None, _hold: hold }))
        }
        // A home that cannot be written to is no reason to leave hosts alone.
        Err(error @ (CliError::File { .. } | CliError::Cannot { .. })) => {
            out.warning(&format!("this run cannot be resumed: {}", super::chain(&error)));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Files of outputs hide what is secret, as all texts do.
fn hiding(out: &Output) -> journal::Hiding {
    let secrets = out.secrets.clone();
    Arc::new(move |file| Box::new(MaskedBytes::new(file, secrets.clone())))
}

fn anew(
    asked: &Asked<'_>,
    config: &Config,
    runs: &Runs,
    masking: journal::Masking,
    out: &Output,
) -> Result<Journal, CliError> {
    let now = Timestamp::now();
    let salt = salt()?;
    let by_vault = asked.vault.passwords().next().is_some();
    let head = Head {
        format: journal::FORMAT,
        id: journal::new_id(now),
        started: now,
        version: env!("CARGO_PKG_VERSION").into(),
        user: user(config),
        controller: controller(),
        pid: std::process::id(),
        title: out.secrets.mask(&asked.title).into_owned(),
        cwd: config.env.cwd.display().to_string(),
        command: command_sealing(config, &salt)?.seal(&command(&config.env)?)?,
        by_vault,
        salt: salt.clone(),
    };
    let sealing = Sealing::new(&plan::key(asked.vault, config)?, &salt)?;
    let file = runs.create(&head.id)?;
    Ok(Journal::begin(file, head, sealing, masking)?)
}

/// Keeps other runs of the same project and inventory away.
fn hold(asked: &Asked<'_>, config: &Config, run: &str) -> Result<Option<Hold>, CliError> {
    let (true, Some(dir)) = (asked.alone, state_dir(config)) else { return Ok(None) };
    let cwd = &config.env.cwd;
    let places = bundle::Roots::of(asked.playbooks, asked.sources, cwd).places();
    let inventory = asked.sources.inventory.iter().map(|source| match source.contains(',') {
        true => source.clone(),
        false => cwd.join(source).display().to_string(),
    });
    let identity = match asked.plan {
        Some(plan) => cwd.join(plan).display().to_string(),
        None => format!("{places:?} {:?}", inventory.collect::<Vec<_>>()),
    };
    let holder = Holder {
        run: run.into(),
        title: asked.title.clone(),
        user: user(config),
        controller: controller(),
        pid: std::process::id(),
        since: Timestamp::now(),
    };
    Hold::take(&dir.join("locks"), &identity, &holder).map(Some)
}

fn user(config: &Config) -> String {
    config.env.get("USER").or_else(|| config.env.get("LOGNAME")).unwrap_or_else(|| "somebody".into())
}

fn controller() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn go_on(
    asked: &Asked<'_>,
    project: &Project,
    config: &Config,
    runs: &Runs,
    resume: &Resume,
    masking: journal::Masking,
    out: &Output,
) -> Result<Writing, CliError> {
    let file = runs.take(&resume.id)?;
    let summary = runs.read(&resume.id)?;
    let mut before = None;
    let mut answers = None;
    for record in summary.records {
        match record {
            Record::Inputs { files } => before = Some(files),
            Record::Prompted { answers: sealed } => answers = Some(sealed),
            _ => {}
        }
    }
    let now = inputs(asked, project, config, out)?;
    let changed = before.as_ref().map(|before| journal::differences(before, &now)).unwrap_or_default();
    if !changed.is_empty() {
        let more = changed.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = changed.into_iter().take(5).collect::<Vec<_>>().join(", ") + &more;
        return Err(CliError::cannot(format!("the run cannot be resumed: since it began {text}"))
            .with_help("take the changes back to resume it, or run the playbook anew"));
    }
    let sealing = Sealing::new(&plan::key(asked.vault, config)?, &summary.head.salt)?;
    let prompted = match answers {
        Some(sealed) => Some(answers_of(&sealing.open(&sealed)?)?),
        None => None,
    };
    let hold = hold(asked, config, &resume.id)?;
    let journal = Journal::resume(file, sealing, masking, &resume.decisions, Timestamp::now())?;
    if before.is_none() {
        journal.note(&Record::Inputs { files: now });
    }
    let journal = journal.keeping_outputs(hiding(out));
    Ok(Writing { journal: Arc::new(journal), prompted, _hold: hold })
}

impl Writing {
    /// Keeps the answers to the questions of `vars_prompt`.
    pub fn answered(&self, answers: &VarMap) -> Result<(), CliError> {
        let texts: IndexMap<&str, String> =
            answers.iter().filter_map(|(name, tree)| Some((&**name, tree.as_value()?.to_text()))).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(&texts).map_err(|e| CliError::Internal(e.to_string()))?;
        Ok(self.journal.prompted(&json)?)
    }

    /// Writes down how the run ended, and tells how to go on with one that was asked to stop.
    pub async fn ended(&self, end: &RunEnd, out: &Output) {
        let recap = &end.recap;
        let how = match end {
            RunEnd { error: Some(_), .. } => EndKind::Mistake,
            RunEnd { stopped: true, .. } | RunEnd { unanswered: Some(_), .. } => EndKind::Stopped,
            _ if recap.any_failed() || recap.any_unreachable() => EndKind::Failed,
            _ => EndKind::Complete,
        };
        self.journal.note(&Record::Ended { at: Timestamp::now(), how, hosts: counts(recap) });
        if let Err(e) = self.journal.settle().await {
            out.warning(&super::chain(&e));
        }
        if end.stopped {
            out.note(&format!("stopped; go on with: xplay resume {}", self.journal.id()));
        }
    }
}

fn counts(recap: &Recap) -> BTreeMap<String, [u32; 7]> {
    let hosts = recap.hosts.iter();
    hosts
        .map(|(host, c)| {
            let all = [c.ok, c.changed, c.unreachable, c.failed, c.skipped, c.rescued, c.ignored];
            (host.to_string(), all)
        })
        .collect()
}

/// Returns the environment in which a run goes on, and its words.
pub fn restore(summary: &Summary, config: &Config) -> Result<Env, CliError> {
    let sealed = command_sealing(config, &summary.head.salt)?;
    let plain = sealed.open(&summary.head.command)?;
    let command: Command = serde_json::from_slice(&plain)
        .map_err(|e| CliError::cannot(format!("the journal's command makes no sense: {e}")))?;
    let mut vars: HashMap<String, OsString> = config.env.vars.clone();
    vars.retain(|name, _| !is_setting(name));
    vars.extend(command.env.into_iter().map(|(name, value)| (name, value.into())));
    // Whether this very program is to end somewhere is no setting of the run.
    if let Some(fault) = config.env.vars.get("XPLAY_END_AT_WRITE") {
        vars.insert("XPLAY_END_AT_WRITE".into(), fault.clone());
    }
    let words = command.words.into_iter().map(OsString::from).collect();
    Ok(Env { vars, cwd: PathBuf::from(&summary.head.cwd), words, resume: None })
}

fn is_setting(name: &str) -> bool {
    name.starts_with("ANSIBLE_") || name.starts_with("XPLAY_")
}

fn command(env: &Env) -> Result<Vec<u8>, CliError> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let settings = env.vars.iter().filter(|(name, _)| is_setting(name) && *name != "XPLAY_END_AT_WRITE");
    let command = Command {
        words: env.words.iter().map(text).collect(),
        env: settings.map(|(name, value)| (name.clone(), text(value))).collect(),
    };
    serde_json::to_vec(&command).map_err(|e| CliError::Internal(e.to_string()))
}

/// The command must be readable before any vault password is known: it is sealed by this user's own key.
fn command_sealing(config: &Config, salt: &str) -> Result<Sealing, CliError> {
    Ok(Sealing::new(&plan::key(&VaultSecrets::new(), config)?, &format!("command {salt}"))?)
}

fn salt() -> Result<String, CliError> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| CliError::cannot(format!("cannot make a key: {e}")))?;
    Ok(crate::modules::hex(&random))
}

fn answers_of(json: &[u8]) -> Result<VarMap, CliError> {
    let texts: IndexMap<String, String> = serde_json::from_slice(json)
        .map_err(|e| CliError::cannot(format!("the journal's answers make no sense: {e}")))?;
    let trees = texts.into_iter().map(|(name, text)| (name.into(), Tree::value(Value::str(text))));
    Ok(Arc::new(trees.collect()))
}

/// Returns what a run depends on, as names and digests.
fn inputs(
    asked: &Asked<'_>,
    project: &Project,
    config: &Config,
    out: &Output,
) -> Result<BTreeMap<String, String>, CliError> {
    let cwd = &config.env.cwd;
    if let Some(plan) = asked.plan {
        return Ok(digest(&cwd.join(plan))
            .map(|digest| (plan.display().to_string(), digest))
            .into_iter()
            .collect());
    }
    let mut sources = asked.sources.clone();
    if !asked.lasting_inventory {
        sources.inventory.clear();
    }
    let files = bundle::list(&bundle::Read::of(project), asked.playbooks, &sources, cwd)?;
    let inventories: Vec<PathBuf> = match asked.lasting_inventory {
        true => Vec::new(),
        false => asked.sources.inventory.iter().map(|path| cwd.join(path)).collect(),
    };
    let mut all = BTreeMap::new();
    for path in files.iter().filter(|path| !inventories.contains(path)) {
        if let Some(digest) = digest(path) {
            let name = path.strip_prefix(cwd).unwrap_or(path).display().to_string();
            all.insert(name, digest);
        }
    }
    let executable = |source: &String| is_executable(&cwd.join(source));
    if asked.lasting_inventory && asked.sources.inventory.iter().any(executable) {
        all.insert("the inventory".into(), invocation::inventory_digest(project, out)?);
    }
    Ok(all)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn digest(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if meta.len() > DIGESTED {
        return Some(format!("{} bytes of {}.{}", meta.len(), meta.mtime(), meta.mtime_nsec()));
    }
    Some(crate::modules::sha256(&std::fs::read(path).ok()?))
}
