//! What `meta` tasks say of themselves: in the log of a verbose run, and as the reason when they did nothing.

use super::event::Event;
use super::play::{Host, PlayRun};
use crate::playbook::{MetaKind, Task};

/// Returns what a task did for a host.
fn done(kind: MetaKind, task: &Task, host: &str) -> String {
    match kind {
        MetaKind::Noop => "noop".into(),
        MetaKind::FlushHandlers => format!("triggered running handlers for {host}"),
        MetaKind::RefreshInventory => "inventory successfully refreshed".into(),
        MetaKind::ClearFacts => "facts cleared".into(),
        MetaKind::ClearHostErrors => "cleared host errors".into(),
        MetaKind::EndPlay => "ending play".into(),
        MetaKind::EndBatch => "ending batch".into(),
        MetaKind::EndHost => format!("ending play for {host}"),
        MetaKind::EndRole => format!("ending role {} for {host}", role(task)),
        MetaKind::ResetConnection => "reset connection".into(),
    }
}

/// Returns why a task did nothing for a host.
pub fn not_done(kind: MetaKind, task: &Task, host: &str) -> String {
    let consequence = match kind {
        MetaKind::FlushHandlers => format!(", not running handlers for {host}"),
        MetaKind::ClearFacts => format!(", not clearing facts and fact cache for {host}"),
        MetaKind::ClearHostErrors => format!(", not clearing host error state for {host}"),
        MetaKind::EndBatch => ", continuing current batch".into(),
        MetaKind::EndPlay => ", continuing play".into(),
        MetaKind::EndHost => format!(", continuing execution for {host}"),
        MetaKind::EndRole => format!("continuing role {} for {host}", role(task)),
        MetaKind::Noop | MetaKind::RefreshInventory | MetaKind::ResetConnection => String::new(),
    };
    format!("{} conditional evaluated to False{consequence}", kind.name())
}

fn role(task: &Task) -> &str {
    task.role.as_ref().map_or("", |role| &role.name)
}

impl PlayRun<'_> {
    /// Says what a task did, where `-vv` asks for it.
    pub(super) async fn tell_meta(&self, kind: MetaKind, task: &Task, host: &Host) {
        self.log_meta(done(kind, task, host)).await;
    }

    /// Writes a line about a meta task to the log of a verbose run.
    pub(super) async fn log_meta(&self, text: String) {
        if self.shared.options.verbosity >= 2 {
            self.shared.emit(Event::Notice(format!("META: {text}"))).await;
        }
    }
}
