//! What all workers share.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::event::Event;
use super::jobs::Jobs;
use super::options::RunOptions;
use super::pool::Pool;
use crate::diag::SourceMap;
use crate::playbook::Loader;
use crate::template::Templar;
use crate::vars::RunVars;

/// Shared by reference; nothing in it is per host.
pub struct Shared {
    pub options: RunOptions,
    pub templar: Arc<Templar>,
    pub sources: SourceMap,
    pub loader: Loader,
    pub pool: Pool,
    pub events: mpsc::Sender<Event>,
    pub vars: Arc<RunVars>,
    /// Told every text that must not be shown.
    pub secrets: Arc<dyn Fn(&str) + Send + Sync>,
    /// What runs in the background.
    pub jobs: Jobs,
    /// Names this run on targets.
    pub run_id: String,
}

impl Shared {
    /// Sends an event; an engine whose listener is gone goes on silently.
    pub async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}
