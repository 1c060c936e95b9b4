//! The command line: what was typed, what it means, one file per command, and the only map of errors to exit codes.
//!
//! [`main`] is the whole program. Nothing of the library reads the environment or the user's home; it comes in here.

mod args;
mod catalog;
mod completions;
mod config;
mod drive;
mod exit;
mod facts;
mod inventory;
mod listing;
mod lookup;
mod modules;
mod output;
mod project;
mod prompt;
mod rehearse;
mod run;
mod settings;
mod system;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use config::{Config, Env};
use exit::{CliError, Ending};
use output::Output;

/// Runs the program.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    // A rehearsal host's first process must have no threads and no settings.
    if let Some(first) = typed.get(1)
        && let Some(code) = crate::rehearsal::hidden_command(first, typed.iter().skip(2).cloned())
    {
        return code;
    }
    system::forbid_core_dumps();
    let mut out = Output::plain();
    system::report_panics(&out.secrets);
    let args = match Args::try_parse_from(as_xplay(typed)) {
        Ok(args) => args,
        Err(error) => {
            // A reader that went away wants no help text.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = Config::load(Env::of_process()).and_then(|config| {
        (out.color, out.color_errors) = settings::colors(args.color, &config);
        for warning in &config.warnings {
            out.warning(warning);
        }
        command(&args, &config, &out)
    });
    exit::finish(&result, &out)
}

fn command(args: &Args, config: &Config, out: &Output) -> Result<Ending, CliError> {
    match &args.command {
        Command::Run(run) => run::run(run, args.color, config, out),
        Command::Rehearse(rehearse) => rehearse::rehearse(rehearse, args.color, config, out),
        Command::Inventory(inventory) => inventory::inventory(inventory, config, out),
        Command::Facts(facts) => facts::facts(facts, config, out),
        Command::Modules(modules) => modules::modules(modules, out),
        Command::Completions(completions) => completions::completions(completions, out),
        Command::Man => completions::man(out),
    }
}

/// Called as `ansible-playbook`, everything typed belongs to `run`.
fn as_xplay(mut typed: Vec<OsString>) -> Vec<OsString> {
    let name = typed.first().and_then(|program| Path::new(program).file_name());
    if name == Some(OsStr::new("ansible-playbook")) {
        typed.insert(1, "run".into());
    }
    typed
}

/// Returns an error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn ansible_playbook_is_run() {
        let words = |typed: &[&str]| as_xplay(typed.iter().map(OsString::from).collect());
        assert_eq!(words(&["/usr/bin/ansible-playbook", "-C", "x.yml"])[1..], ["run", "-C", "x.yml"]);
        assert_eq!(words(&["xplay", "run"])[1..], ["run"]);
    }
}
