//! `makedns`: fills the name server from /etc/hosts.

use crate::rehearsal::xcat::session::Session;
use std::fs;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    if super::wants_help(args) {
        session.print(include_str!("../usage/makedns.txt"));
        return Ok(0);
    }
    let range = args.iter().find(|arg| !arg.starts_with('-'));
    let nodes = match range {
        Some(range) => match super::nodes_of(session, range)? {
            Some(nodes) => Some(nodes),
            None => return Ok(1),
        },
        None => None,
    };
    let hosts = fs::read_to_string(session.path("/etc/hosts")).unwrap_or_default();
    for line in hosts.lines() {
        let names: Vec<&str> =
            line.split('#').next().unwrap_or_default().split_whitespace().skip(1).collect();
        let name = match &nodes {
            Some(nodes) => names.iter().find(|name| nodes.iter().any(|node| node == *name)),
            None => names.iter().find(|name| name.contains('.')).or(names.first()),
        };
        if let Some(name) = name {
            session.say(&format!("Handling {name} in /etc/hosts."));
        }
    }
    session.say("Getting reverse zones, this may take several minutes for a large cluster.");
    session.say("Completed getting reverse zones.");
    session.say("Updating zones.");
    session.say("Completed updating zones.");
    let service = if session.path("/etc/debian_version").exists() { "bind9" } else { "named" };
    let running = session.path("/etc/xcat/rehearsal/named-set-up");
    let new = args.iter().any(|arg| arg == "-n" || arg == "--new");
    if new || nodes.is_some() {
        session.say(&format!("Restarting {service}"));
    }
    if !new && !running.exists() {
        session.error("failed to start named.\n");
        return Ok(1);
    }
    if let Some(parent) = running.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(running, "")?;
    session.say("Restarting named complete");
    session.say("Updating DNS records, this may take several minutes for a large cluster.");
    session.say("Completed updating DNS records.");
    session.say("DNS setup is completed");
    Ok(0)
}
