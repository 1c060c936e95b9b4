//! `makedhcp`: writes the DHCP server's configuration here and asks all service nodes to do the same.

use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::objects::node_attribute;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::fs;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let range = args.iter().find(|arg| !arg.starts_with('-'));
    if super::wants_help(args) || (range.is_none() && !has("-n") && !has("-a") && !has("-q")) {
        session.print(include_str!("../usage/makedhcp.txt"));
        return Ok(0);
    }
    if let Some(range) = range {
        let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
        let mut db = session.db(Access::Read)?;
        for node in nodes {
            if node_attribute(&mut db, &node, "mac").is_none() {
                session.warn(&format!("Unable to find mac address for {node}"));
            }
        }
        return Ok(0);
    }
    let file = session.path("/etc/dhcp/dhcpd.conf");
    if has("-n") {
        if file.exists() {
            fs::rename(&file, session.path("/etc/dhcp/dhcpd.conf.xcatbak"))?;
            session.say("Renamed existing dhcp configuration file to  /etc/dhcp/dhcpd.conf.xcatbak\n");
        } else if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, "#xCAT generated dhcp configuration\n")?;
    }
    let mut servers = session.db(Access::Read)?.table("servicenode").values("node");
    if !has("-n") {
        // All nodes are asked through the service nodes that serve any of them.
        let mut all = session.db(Access::Read)?.table("nodelist").values("node");
        all.sort();
        servers = dispatch::split(session, &all)?.behind.into_iter().map(|(server, _)| server).collect();
    }
    for server in servers {
        if let Err(text) = dispatch::reach(session, &server) {
            session.error(&text);
        }
    }
    Ok(session.rc)
}
