//! The live display on a terminal: what runs now, for how long, and what the hosts last said. Drawn on stderr.

use std::time::Duration;

use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Hosts whose last words are shown at once.
const MAX_NOTES: usize = 12;
/// Redraws a second.
const REDRAWS: u8 = 10;

/// Draws nothing at all when not live.
pub struct Progress {
    live: Option<Live>,
}

struct Live {
    all: MultiProgress,
    task: ProgressBar,
    notes: IndexMap<String, ProgressBar>,
}

impl Progress {
    pub fn new(live: bool) -> Self {
        if !live {
            return Progress { live: None };
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        let task = all.add(ProgressBar::new_spinner());
        task.set_style(style("{spinner} {msg} {elapsed}"));
        task.enable_steady_tick(Duration::from_millis(200));
        Progress { live: Some(Live { all, task, notes: IndexMap::new() }) }
    }

    pub fn live(&self) -> bool {
        self.live.is_some()
    }

    /// Prints something else while the display is out of the way.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.live {
            Some(live) => live.all.suspend(print),
            None => print(),
        }
    }

    /// Draws nothing until it may come back: somebody types.
    pub fn stand_aside(&self) {
        if let Some(live) = &self.live {
            // A terminal that is gone has nothing to clear.
            let _ = live.all.clear();
            live.all.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Draws again.
    pub fn come_back(&self) {
        if let Some(live) = &self.live {
            live.all.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        }
    }

    /// A new task runs now.
    pub fn task(&mut self, name: &str) {
        if let Some(live) = &mut self.live {
            live.task.reset_elapsed();
            live.task.set_message(name.to_string());
            for (_, bar) in live.notes.drain(..) {
                live.all.remove(&bar);
            }
        }
    }

    /// Shows what a host last said. The text must have gone through the masking writer.
    pub fn note(&mut self, host: &str, text: &str) {
        let Some(live) = &mut self.live else { return };
        if !live.notes.contains_key(host) && live.notes.len() >= MAX_NOTES {
            return;
        }
        let all = &live.all;
        let bar = live.notes.entry(host.to_string()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style("    {prefix} {wide_msg}"));
            bar.set_prefix(host.to_string());
            bar
        });
        bar.set_message(text.replace('\n', " "));
    }

    /// A host is done with the task.
    pub fn done(&mut self, host: &str) {
        if let Some(live) = &mut self.live
            && let Some(bar) = live.notes.shift_remove(host)
        {
            live.all.remove(&bar);
        }
    }

    pub fn finish(&mut self) {
        if let Some(live) = self.live.take() {
            live.task.finish_and_clear();
            for bar in live.notes.values() {
                bar.finish_and_clear();
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
