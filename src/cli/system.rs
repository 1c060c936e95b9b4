//! This process: its limits, and what it says when it fails by a mistake of its own.

use std::io::Write;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::report::Secrets;

/// What to do about a failure that is xplay's own fault.
pub const BUG_HELP: &str = "this is a mistake in xplay; please report it with the command and this message";

/// Raises the number of files this process may have open as far as it is allowed to: each host takes a few.
pub fn raise_open_files() {
    let now = getrlimit(Resource::Nofile);
    // Without the right to do so the old limit stays, and too many hosts fail with that message.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
}

/// Returns how many files connections may take, `asked` at most: the rest is for what else is open.
pub fn files_for_connections(asked: Option<usize>) -> usize {
    const OTHERS: u64 = 256;
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let room = usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX).max(16);
    asked.map_or(room, |asked| asked.min(room))
}

/// Forbids core dumps: memory holds passwords.
pub fn forbid_core_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Makes a panic print one masked line that says where it happened.
pub fn report_panics(secrets: &Secrets) {
    let secrets = secrets.clone();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let line = format!("xplay {} failed at {place}: {text}", env!("CARGO_PKG_VERSION"));
        let shown = crate::report::visible(&secrets.mask(&line)).replace('\n', " ");
        // There is nobody left to tell when stderr is closed.
        let _ = writeln!(std::io::stderr(), "error: {shown}\nhelp: {BUG_HELP}");
    }));
}
