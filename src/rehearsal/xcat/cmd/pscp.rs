//! `pscp` and `prsync`: copy to nodes; the exit code is 0 and the word `done` whatever happened.

use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::synclist::collect;
use std::io;

pub(super) fn run_pscp(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    copy(session, args, Tool::Scp)
}

pub(super) fn run_prsync(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    copy(session, args, Tool::Rsync)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Scp,
    Rsync,
}

fn copy(session: &mut Session<'_>, args: &[String], tool: Tool) -> io::Result<i32> {
    let mut words = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-f" | "-o" | "-i" | "-p" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            word => words.push(word.to_string()),
        }
    }
    let target = words.pop().filter(|_| !super::wants_help(args));
    let Some((range, dir)) = target.as_deref().and_then(|target| target.split_once(':')) else {
        session.print(include_str!("../usage/prsync.txt"));
        return Ok(i32::from(!super::wants_help(args)));
    };
    let Some(nodes) = super::psh::nodes(session, range)? else {
        return Ok(if super::is_down(session.world) { 111 } else { 0 });
    };
    let mut files = Vec::new();
    let mut missing = Vec::new();
    for source in &words {
        let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let to = if dir.ends_with('/') { format!("{dir}{name}") } else { dir.to_string() };
        if !collect(session, source, &to, &mut files)? {
            missing.push(source.clone());
        }
    }
    for node in nodes {
        for source in &missing {
            match tool {
                Tool::Scp => {
                    session.say(&format!("{node}: scp: stat local \"{source}\": No such file or directory"));
                }
                Tool::Rsync => {
                    super::xdcp::say_missing(session, &node, source);
                }
            }
        }
        if !missing.is_empty() && tool == Tool::Rsync {
            super::xdcp::say_rsync_end(session, &node);
        }
        for file in &files {
            if let Err(unreachable) = session.world.nodes.put(&node, file) {
                session.say(&format!("{node}: ssh: connect to host {node} port 22: {unreachable}"));
                match tool {
                    Tool::Scp => session.say(&format!("{node}: scp: Connection closed")),
                    Tool::Rsync => {
                        session.say(&format!(
                            "{node}: rsync: connection unexpectedly closed (0 bytes received so far) [sender]"
                        ));
                        session.say(&format!(
                            "{node}: rsync error: unexplained error (code 255) at io.c(285) [sender=3.5.0]"
                        ));
                    }
                }
                break;
            }
        }
        session.say(&format!("{node}: done"));
    }
    Ok(0)
}
