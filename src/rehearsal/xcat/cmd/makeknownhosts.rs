//! `makeknownhosts`: settles the nodes' host keys for root.

use crate::rehearsal::xcat::session::Session;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let Some(range) = args.iter().find(|arg| !arg.starts_with('-')) else {
        session.say("makeknownhosts <noderange> [-r] [-V]");
        return Ok(0);
    };
    // The emulated shell does not look at keys, so there is nothing to write.
    super::nodes_of(session, range)?;
    Ok(session.rc)
}
