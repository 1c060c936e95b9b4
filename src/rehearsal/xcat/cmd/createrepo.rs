//! `createrepo`: makes repodata for a directory of packages.

use crate::rehearsal::xcat::packages::create_repo;
use crate::rehearsal::xcat::session::Session;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let Some(dir) = args.iter().rfind(|arg| !arg.starts_with('-')) else {
        session.complain("Must specify exactly one directory to index.");
        return Ok(1);
    };
    // A relative directory is taken from where the caller stands.
    let path = match dir.starts_with('/') {
        true => session.path(dir),
        false => std::env::current_dir()?.join(dir),
    };
    if !path.is_dir() {
        session.complain(&format!("Directory {dir} must exist"));
        return Ok(1);
    }
    session.say("Directory walk started");
    let count = create_repo(&path)?;
    session.say(&format!("Directory walk done - {count} packages"));
    session.say(&format!("Temporary output repo path: {dir}/.repodata/"));
    session.say("Preparing sqlite DBs");
    session.say("Pool started (with 5 workers)\nPool finished");
    Ok(0)
}
