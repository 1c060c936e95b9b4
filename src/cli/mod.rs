//! The command line: what was typed, what it means, one file per command, and the only map of errors to exit codes.
//!
//! [`main`] is the whole program. Nothing of the library reads the environment or the user's home; it comes in here.

mod adhoc;
mod apply;
mod approve;
mod args;
mod callbacks;
mod catalog;
mod completions;
mod config;
mod config_command;
mod doc;
mod drive;
mod exit;
mod explain;
mod facts;
mod fan_out;
mod gaps;
mod hold;
mod inventory;
mod journal;
mod keys;
mod lint;
mod listing;
mod look_args;
mod lookup;
mod mentioned;
mod modules;
mod output;
mod plan;
mod plan_diff;
mod policy;
mod preflight;
mod project;
mod prompt;
mod rehearse;
mod resume;
mod run;
mod runs;
mod setting_table;
mod settings;
mod show;
mod survey;
mod system;
mod trust;
mod vault;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use config::{Config, Env};
use exit::{CliError, Ending};
use output::{Output, Voice};

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
    let (words, voice) = as_xplay(typed);
    out.voice = voice;
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => {
            // A reader that went away wants no help text.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let env = Env { words, ..Env::of_process() };
    let result = Config::load(env).and_then(|config| {
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
        Command::Adhoc(adhoc) => adhoc::adhoc(adhoc, args.color, config, out),
        Command::Resume(asked) => resume::resume(asked, args.color, config, out),
        Command::Runs(asked) => runs::runs(asked, config, out),
        Command::Rehearse(rehearse) => rehearse::rehearse(rehearse, args.color, config, out),
        Command::Inventory(inventory) => inventory::inventory(inventory, config, out),
        Command::Config(asked) => config_command::config(asked, config, out),
        Command::Hosts(hosts) => match &hosts.command {
            args::HostsCommand::Trust(args) => trust::trust(args, config, out),
        },
        Command::Facts(facts) => facts::facts(facts, config, out),
        Command::Lint(args) => lint::lint(args, config, out),
        Command::Explain(args) => explain::explain(args, config, out),
        Command::Doc(args) => doc::doc(args, out),
        Command::Modules(modules) => modules::modules(modules, out),
        Command::Vault(asked) => vault::vault(asked, config, out),
        Command::Show(args) => show::show(args, out),
        Command::Plan(plan) => plan::plan(plan, args.color, config, out),
        Command::Apply(apply) => apply::apply(apply, args.color, config, out),
        Command::Approve(args) => approve::approve(args, config, out),
        Command::Verify(args) => approve::verify(args, config, out),
        Command::Completions(completions) => completions::completions(completions, out),
        Command::Man => completions::man(out),
    }
}

/// Ansible's programs and the commands that take their arguments.
const PROGRAMS: [(&str, &str); 6] = [
    ("ansible", "adhoc"),
    ("ansible-config", "config"),
    ("ansible-doc", "doc"),
    ("ansible-inventory", "inventory"),
    ("ansible-playbook", "run"),
    ("ansible-vault", "vault"),
];

/// Called by the name of one of Ansible's programs, everything typed belongs to the command that stands for it.
fn as_xplay(mut typed: Vec<OsString>) -> (Vec<OsString>, Voice) {
    let name = typed.first().and_then(|program| Path::new(program).file_name());
    match PROGRAMS.iter().find(|(program, _)| name == Some(OsStr::new(program))) {
        Some((_, command)) => {
            typed.insert(1, (*command).into());
            (typed, Voice::Ansible)
        }
        None => (typed, Voice::Own),
    }
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
    fn names_of_ansibles_programs_choose_the_command() {
        let check = |typed: &[&str], words: &[&str], voice: Voice| {
            let (found, spoken) = as_xplay(typed.iter().map(OsString::from).collect());
            assert_eq!(
                (&found[1..], spoken),
                (&words.iter().map(OsString::from).collect::<Vec<_>>()[..], voice)
            );
        };
        check(&["/usr/bin/ansible-playbook", "-C", "x.yml"], &["run", "-C", "x.yml"], Voice::Ansible);
        check(&["ansible", "all"], &["adhoc", "all"], Voice::Ansible);
        check(&["ansible-inventory", "--list"], &["inventory", "--list"], Voice::Ansible);
        check(&["xplay", "run"], &["run"], Voice::Own);
    }
}
