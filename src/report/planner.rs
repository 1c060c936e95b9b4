//! Makes a plan of the events of a run that only plans.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Reporter, Secrets};
use crate::engine::{Event, TaskHeader, TaskKind};
use crate::plan::{Builder, Sealer, StepHead, StepKind};
use crate::value::Secret;

/// Passes what is foreseen to a [`Builder`]. Clones share it, so that the plan can be taken when the run is over.
#[derive(Clone)]
pub struct Planner(Arc<Mutex<Option<Builder>>>);

impl Planner {
    pub fn new(builder: Builder) -> Self {
        Planner(Arc::new(Mutex::new(Some(builder))))
    }

    /// Returns what was collected; events that come later are lost.
    pub fn take(&self) -> Option<Builder> {
        self.builder().take()
    }

    fn builder(&self) -> MutexGuard<'_, Option<Builder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hides the secrets of a run in its plan.
pub struct PlanSealer {
    secrets: Secrets,
    key: Secret,
}

impl PlanSealer {
    /// `key` makes digests of secrets useless for who does not have it.
    pub fn new(secrets: Secrets, key: Secret) -> Self {
        PlanSealer { secrets, key }
    }
}

impl Sealer for PlanSealer {
    fn mask(&self, text: &str) -> String {
        self.secrets.mask(text).into_owned()
    }

    fn keyed(&self, bytes: &[u8]) -> String {
        // A key of any length is good.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()) else {
            return String::new();
        };
        mac.update(bytes);
        mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl Reporter for Planner {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut builder = self.builder();
        let Some(builder) = builder.as_mut() else { return Ok(()) };
        match event {
            Event::PlayStarted { name, hosts, batch, .. } => builder.play(name, hosts, *batch == 0),
            Event::TaskStarted(task) => builder.step(head(task)),
            Event::Foreseen { task, host, units } => builder.observed(&task.id, host, units.clone()),
            Event::Warning(text) | Event::Deprecation(text) => builder.warning(text),
            _ => {}
        }
        Ok(())
    }
}

fn head(task: &TaskHeader) -> StepHead {
    StepHead {
        id: task.id.clone(),
        name: task.name.clone(),
        role: task.name.strip_suffix(&task.bare_name).and_then(|r| r.strip_suffix(" : ")).map(str::to_string),
        module: task.module.clone(),
        place: task.place.clone().unwrap_or_default(),
        kind: match task.kind {
            TaskKind::Task => StepKind::Task,
            TaskKind::Handler => StepKind::Handler,
        },
        no_log: task.no_log,
    }
}
