//! `xplay resume`: goes on with a run that was interrupted or failed.

use clap::Parser;

use super::args::{Args, ColorWhen, Command, ResumeArgs};
use super::config::{Config, Resume};
use super::exit::{CliError, Ending};
use super::journal;
use super::output::{Output, Voice};
use crate::engine::journal::{Decision, EndKind, JournalError, RunState};

pub fn resume(
    args: &ResumeArgs,
    color: Option<ColorWhen>,
    config: &Config,
    out: &Output,
) -> Result<Ending, CliError> {
    let runs = journal::runs(config)
        .ok_or_else(|| CliError::cannot("no runs are kept: neither HOME nor XDG_STATE_HOME is set"))?;
    let id = runs.find(&args.id)?;
    let summary = runs.read(&id)?;
    match summary.state {
        RunState::Running => return Err(JournalError::Busy(id).into()),
        RunState::Ended(EndKind::Complete) => {
            return Err(CliError::cannot(format!(
                "the run {id} is complete, there is nothing to go on with"
            )));
        }
        RunState::Interrupted | RunState::Ended(_) => {}
    }
    let mut env = journal::restore(&summary, config)?;
    std::env::set_current_dir(&env.cwd).map_err(|source| CliError::File {
        action: "go to the folder of the run,",
        path: env.cwd.clone(),
        source,
    })?;
    let done = args.assume_done.iter().map(|step| Decision::parse(step, true));
    let again = args.redo.iter().map(|step| Decision::parse(step, false));
    env.resume = Some(Resume { id, decisions: done.chain(again).collect() });
    let mut typed = Args::try_parse_from(&env.words)
        .map_err(|e| CliError::cannot(format!("the command of the run is not understood any more: {e}")))?;
    typed.color = color.or(typed.color);
    if matches!(typed.command, Command::Resume(_)) {
        return Err(CliError::cannot("the run resumes another one"));
    }
    let config = Config::load(env)?;
    let out = Output { voice: Voice::Own, ..out.clone() };
    super::command(&typed, &config, &out)
}
