//! Consumes engine events: terminal, JSON lines, HTML. The engine never prints; this layer never decides.

mod diff;
mod html;
mod json_report;
mod jsonl;
mod junit;
mod log_file;
mod mask;
mod masked_bytes;
mod planner;
mod minimal;
mod progress;
mod result_files;
mod results;
mod shared_out;
mod terminal;
mod timings;
mod wrap;

pub use diff::unified;
pub use html::HtmlReport;
pub use json_report::JsonReport;
pub use jsonl::JsonLines;
pub use junit::{JunitOptions, JunitReport};
pub use log_file::LogFile;
pub use mask::{MASK, MaskedWriter, Secrets, visible};
pub use masked_bytes::MaskedBytes;
pub use minimal::{Lines, Minimal};
pub use planner::{PlanSealer, Planner};
pub use result_files::ResultFiles;
pub use results::{ResultFormat, ResultStyle};
pub use shared_out::SharedOut;
pub use terminal::{Terminal, TerminalOptions};
pub use timings::{Timed, Timings};
pub use wrap::wrap;

use crate::engine::Event;

/// Something that shows or keeps events.
pub trait Reporter: Send {
    fn event(&mut self, event: &Event) -> std::io::Result<()>;
    /// Called once after the last event.
    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
    /// Called when nothing has happened for a moment.
    fn idle(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Feeds events to all reporters until the engine is done. A reporter that fails (a closed pipe, a full disk) is
/// dropped and the others go on; the first such error is returned.
pub async fn consume(
    mut events: tokio::sync::mpsc::Receiver<Event>,
    mut reporters: Vec<Box<dyn Reporter>>,
) -> Option<std::io::Error> {
    const IDLE: std::time::Duration = std::time::Duration::from_millis(50);
    let mut first_error = None;
    let mut feed = |f: &dyn Fn(&mut dyn Reporter) -> std::io::Result<()>| {
        reporters.retain_mut(|r| match f(r.as_mut()) {
            Ok(()) => true,
            Err(e) => {
                first_error.get_or_insert(e);
                false
            }
        });
    };
    loop {
        match tokio::time::timeout(IDLE, events.recv()).await {
            Ok(Some(event)) => feed(&|r| r.event(&event)),
            Ok(None) => break,
            Err(_) => feed(&|r| r.idle()),
        }
    }
    feed(&|r| r.finish());
    first_error
}
