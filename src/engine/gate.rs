//! What holds back tasks although their tags are chosen: `--start-at-task` and `--step`.

use super::event::{TaskHeader, TaskKind};
use super::play::{PlayRun, Stop};

/// What the run still has to be let through.
#[derive(Debug, Default)]
pub struct Gate {
    /// Still looking for `--start-at-task`.
    pub searching: bool,
    /// Asks before each task; set anew for each batch of a play, as in Ansible.
    pub stepping: bool,
    /// The step that was refused last.
    pub refused: Option<String>,
}

/// A question of `--step` that got no answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub question: String,
    pub reason: String,
}

impl PlayRun<'_> {
    /// Tells whether to perform a task, asking if that is wanted. Without an answer the play stops.
    pub async fn is_let_through(&mut self, header: &TaskHeader) -> bool {
        if !self.gate.stepping {
            return true;
        }
        let kind = match header.kind {
            TaskKind::Task => "TASK",
            TaskKind::Handler => "HANDLER",
        };
        let question = format!("Perform task: {kind}: {} (N)o/(y)es/(c)ontinue: ", header.name);
        let shared = self.shared.clone();
        match shared.ask(question.clone()).await {
            Ok(answer) => match answer.trim().to_lowercase().as_str() {
                "y" | "yes" => return true,
                "c" | "continue" => {
                    self.gate.stepping = false;
                    return true;
                }
                _ => self.gate.refused = Some(header.id.clone()),
            },
            Err(_) if self.shared.halt.is_asked() => self.stop = Some(Stop::Asked),
            Err(reason) => self.stop = Some(Stop::Unanswered(Unanswered { question, reason })),
        }
        false
    }
}

/// Whether a name fits a shell pattern; the pattern itself as plain text does too.
pub fn matches_name(pattern: &str, name: &str) -> bool {
    pattern == name || crate::template::fnmatch(pattern, name)
}
