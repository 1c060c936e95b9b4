//! The one map from how a command ended to the exit code; the codes are ansible-playbook's.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | everything succeeded, or the reader of the output went away |
//! | 1 | an error: nothing to run, unreadable password file, no hosts left by `--limit`, rehearsal impossible |
//! | 2 | a task failed on some host; compared plans differ; also a mistake in the command line (argparse's code) |
//! | 4 | some host was unreachable (whether or not others failed); also mistakes in playbooks, roles, inventories |
//! | 5 | an option whose value makes no sense |
//! | 99 | interrupted from the keyboard |
//! | 250 | a failure of xplay itself, or no answer to a question of `--step` |

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::engine::Recap;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Mistakes in the user's files; they have been shown already.
    #[error("the project has mistakes")]
    Project,
    /// A file of the project cannot be decrypted; that has been shown already.
    #[error("a file cannot be decrypted")]
    Locked,
    /// What was asked for cannot be done.
    #[error("{text}")]
    Cannot { text: String, help: Option<String> },
    /// A mistake in the command line.
    #[error("{0}")]
    Usage(String),
    /// An option or setting whose value makes no sense.
    #[error("{text}")]
    Option { text: String, help: Option<String> },
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    #[error("interrupted")]
    Interrupted,
    /// Nobody answered what was asked in the middle of a run.
    #[error("no answer to \"{}\": {reason}", question.trim_end())]
    Unanswered { question: String, reason: String },
    /// A state that should not be possible.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    pub fn cannot(text: impl Into<String>) -> Self {
        CliError::Cannot { text: text.into(), help: None }
    }

    pub fn option(text: impl Into<String>) -> Self {
        CliError::Option { text: text.into(), help: None }
    }

    pub fn with_help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        match self {
            CliError::Cannot { text, .. } => CliError::Cannot { text, help },
            CliError::Option { text, .. } => CliError::Option { text, help },
            other => other,
        }
    }

    pub fn help(&self) -> Option<&str> {
        match self {
            CliError::Cannot { help, .. } | CliError::Option { help, .. } => help.as_deref(),
            CliError::Unanswered { .. } => {
                Some("the run ended there; give one line for each task, c for all the rest")
            }
            CliError::Internal(_) => Some(super::system::BUG_HELP),
            _ => None,
        }
    }
}

impl From<io::Error> for CliError {
    fn from(e: io::Error) -> Self {
        CliError::Output(e)
    }
}

/// How a command ended.
#[derive(Debug)]
pub enum Ending {
    Done,
    /// Hosts were worked on.
    Ran(Box<Recap>),
    /// Two plans were compared, and they differ.
    Differs,
    /// An interactive program's own code.
    Code(u8),
}

/// Returns the exit code of a command.
pub fn code(result: &Result<Ending, CliError>) -> u8 {
    match result {
        Ok(Ending::Done) => 0,
        Ok(Ending::Differs) => 2,
        Ok(Ending::Code(code)) => *code,
        Ok(Ending::Ran(recap)) if recap.any_unreachable() => 4,
        Ok(Ending::Ran(recap)) if recap.any_failed() => 2,
        Ok(Ending::Ran(_)) => 0,
        Err(CliError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(CliError::Cannot { .. } | CliError::File { .. } | CliError::Locked | CliError::Output(_)) => 1,
        Err(CliError::Usage(_)) => 2,
        Err(CliError::Project) => 4,
        Err(CliError::Option { .. }) => 5,
        Err(CliError::Interrupted) => 99,
        Err(CliError::Unanswered { .. } | CliError::Internal(_)) => 250,
    }
}

/// Says what went wrong, and returns the exit code for the system.
pub fn finish(result: &Result<Ending, CliError>, out: &super::output::Output) -> ExitCode {
    match result {
        Ok(_) | Err(CliError::Project | CliError::Locked) => {}
        Err(CliError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            out.error(&error.to_string());
            if let Some(help) = error.help() {
                out.help(help);
            }
        }
    }
    ExitCode::from(code(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Counts;

    fn ran(failed: u32, unreachable: u32) -> Result<Ending, CliError> {
        let mut recap = Recap::default();
        recap.hosts.insert("a".into(), Counts { failed, ..Counts::default() });
        recap.hosts.insert("b".into(), Counts { unreachable, ..Counts::default() });
        Ok(Ending::Ran(Box::new(recap)))
    }

    #[test]
    fn codes_are_those_of_ansible_playbook() {
        assert_eq!(code(&ran(0, 0)), 0);
        assert_eq!(code(&ran(1, 0)), 2);
        assert_eq!(code(&ran(0, 1)), 4);
        assert_eq!(code(&ran(1, 1)), 4);
        assert_eq!(code(&Err(CliError::Project)), 4);
        assert_eq!(code(&Err(CliError::cannot("x"))), 1);
        assert_eq!(code(&Err(CliError::option("x"))), 5);
        assert_eq!(code(&Err(CliError::Interrupted)), 99);
        assert_eq!(code(&Err(CliError::Internal("x".into()))), 250);
        assert_eq!(code(&Err(io::Error::from(io::ErrorKind::BrokenPipe).into())), 0);
    }
}
