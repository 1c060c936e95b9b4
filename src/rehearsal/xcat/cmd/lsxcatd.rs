//! `lsxcatd`: says what the daemon is; the cheapest health probe.

use crate::rehearsal::xcat::session::{Session, read_line};
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let version = session.version();
    let engine = match read_line(session.path("/etc/xcat/cfgloc")) {
        Some(line) if line.starts_with("mysql") => "mysql",
        Some(line) if line.starts_with("Pg") => "Pg",
        _ => "SQLite",
    };
    let has = |short: &str, long: &str| args.iter().any(|arg| arg == short || arg == long);
    let all = has("-a", "--all");
    let (version_only, kind, database) =
        (has("-v", "--version"), has("-t", "--nodetype"), has("-d", "--database"));
    if !(all || version_only || kind || database) {
        session.say(
            "Usage: lsxcatd [-h | --help | -v | --version | -d | --database | -t | --nodetype | -a | --all]",
        );
        return Ok(0);
    }
    if all || version_only {
        session.say(&version);
    }
    if all || kind {
        session.say("This is a Management Node");
    }
    if all || database {
        session.say(&format!("dbengine={engine}"));
    }
    Ok(0)
}
