//! `nodeset`: sets what nodes do at their next boot; some nodes may fail while others are done.

use super::nodeset_files::{self as files, Boot};
use super::{genimage, resolve};
use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::image::Image;
use crate::rehearsal::xcat::objects::node_attribute;
use crate::rehearsal::xcat::session::{Era, Session};
use crate::rehearsal::xcat::tables::Access;
use std::fs;
use std::io;

const DEPRECATED: &str = "The options \"install\", \"netboot\", and \"statelite\" have been deprecated, use \
                          \"osimage=<osimage_name>\" instead.";

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let Some(range) = words.next().filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/nodeset.txt"));
        return Ok(0);
    };
    let action = words.next().map_or("", String::as_str);
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    match action.split('=').next().unwrap_or_default() {
        "" => {
            session
                .say("Usage: nodeset <noderange> [shell|boot|runcmd=bmcsetup|osimage[=<imagename>]|offline]");
            session.error("Invalid argument: ''");
        }
        "stat" => {
            let mut db = session.db(Access::Read)?;
            for node in nodes {
                let state = db.get("chain", "node", &node, "currstate").unwrap_or_else(|| "offline".into());
                session.say(&format!("{node}: {state}"));
            }
        }
        "osimage" => provision(session, &nodes, action.split_once('=').map(|(_, name)| name))?,
        "netboot" | "install" | "statelite" if session.era == Era::Today => session.error(DEPRECATED),
        method @ ("netboot" | "install" | "statelite") => old_style(session, &nodes, method)?,
        "boot" | "offline" => plain(session, &nodes, action)?,
        "shell" | "runcmd" | "shutdown" => {
            session.error("Could not find genesis.kernel.x86_64 or legacy nbk.x86_64 files");
        }
        other => session.error(&format!("Unknown state {other} requested")),
    }
    Ok(session.rc)
}

/// Keeps the nodes whose loader is known; the others have no plugin that could serve them.
fn with_loader(session: &mut Session<'_>, nodes: &[String]) -> io::Result<Vec<(String, String)>> {
    const KNOWN: [&str; 4] = ["xnba", "pxe", "yaboot", "petitboot"];
    let mut db = session.db(Access::Read)?;
    let mut out = Vec::new();
    for node in nodes {
        match node_attribute(&mut db, node, "netboot") {
            Some(loader) if KNOWN.contains(&loader.as_str()) || loader.starts_with("grub2") => {
                out.push((node.clone(), loader));
            }
            _ => session.node_error(
                node,
                "Unable to identify plugin for this command, check relevant tables: \
                 noderes.netboot=(grub2[-]?.*);nodehm.mgt;nodehm.mgt=switch",
            ),
        }
    }
    Ok(out)
}

fn plain(session: &mut Session<'_>, nodes: &[String], action: &str) -> io::Result<()> {
    for (node, loader) in with_loader(session, nodes)? {
        if action == "boot" {
            files::write(session, &loader, &node, "", &Boot::Disk)?;
        } else {
            files::remove(session, &loader, &node)?;
        }
        set_state(session, &node, action)?;
        session.say(&format!("{node}: {action}"));
    }
    Ok(())
}

fn set_state(session: &Session<'_>, node: &str, state: &str) -> io::Result<()> {
    let mut db = session.db(Access::Write)?;
    db.set("chain", "node", node, &[("currstate", state)]);
    db.save()
}

/// Finds the image that the old syntax means: os, arch and profile of each node.
fn old_style(session: &mut Session<'_>, nodes: &[String], method: &str) -> io::Result<()> {
    for node in nodes {
        let mut db = session.db(Access::Read)?;
        let mut get = |attribute: &str| node_attribute(&mut db, node, attribute).unwrap_or_default();
        let name = format!("{}-{}-{method}-{}", get("os"), get("arch"), get("profile"));
        drop(db);
        provision(session, std::slice::from_ref(node), Some(&name))?;
    }
    Ok(())
}

fn provision(session: &mut Session<'_>, nodes: &[String], name: Option<&str>) -> io::Result<()> {
    if let Some(name) = name
        && Image::load(&mut session.db(Access::Read)?, name).is_none()
    {
        session.error(&format!("Cannot find the OS image {name} in the osimage table."));
        return Ok(());
    }
    let mut failed_loader: Option<String> = None;
    let mut served = Vec::new();
    let nodes = with_loader(session, nodes)?;
    let bad_node =
        session.fault("nodeset-one-bad-node").then(|| nodes.last().map(|(node, _)| node.clone())).flatten();
    for (node, loader) in &nodes {
        match one(session, node, loader, name, bad_node.as_ref() == Some(node))? {
            Done::Set => served.push(node.clone()),
            Done::Unresolved => {}
            Done::Failed => failed_loader = Some(loader.clone()),
        }
    }
    let leases = session.path("/etc/dhcp/dhcpd.conf");
    if !served.is_empty() && !leases.exists() {
        if let Some(parent) = leases.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(leases, "#xCAT generated dhcp configuration\n")?;
        session.say("The dhcp server must be restarted for OMAPI function to work");
    }
    let shared = session.db(Access::Read)?.site("sharedtftp").unwrap_or_default();
    let own_files = matches!(shared.to_lowercase().as_str(), "0" | "n" | "no");
    for (server, behind) in dispatch::split(session, &served)?.behind {
        let sent = dispatch::reach(session, &server).and_then(|()| {
            let mut set = nodes.iter().filter(|(node, _)| own_files && behind.contains(node));
            set.try_for_each(|(node, loader)| files::send(session, &server, loader, node))
        });
        if let Err(text) = sent {
            session.error(&text);
        }
    }
    if let Some(loader) = failed_loader {
        session.error(&format!(
            "Failed to generate {loader} configurations for some node(s) on {}. Check xCAT log file for more details.",
            session.host.clone()
        ));
    }
    Ok(())
}

enum Done {
    Set,
    /// Set, but the node's name means nothing to the daemons.
    Unresolved,
    Failed,
}

fn one(
    session: &mut Session<'_>,
    node: &str,
    loader: &str,
    name: Option<&str>,
    spoilt: bool,
) -> io::Result<Done> {
    let mut db = session.db(Access::Read)?;
    let provmethod = node_attribute(&mut db, node, "provmethod");
    let image = name.or(provmethod.as_deref()).and_then(|name| Image::load(&mut db, name));
    drop(db);
    let Some(image) = image else {
        session.node_error(node, "OS image name must be specified in nodetype.provmethod");
        return Ok(Done::Failed);
    };
    // The node's attributes change to the image's even when the rest fails.
    let mut db = session.db(Access::Write)?;
    db.set(
        "nodetype",
        "node",
        node,
        &[("os", &image.os), ("arch", &image.arch), ("profile", &image.profile), ("provmethod", &image.name)],
    );
    db.save()?;
    let mac = node_attribute(&mut db, node, "mac");
    let master_name = node_attribute(&mut db, node, "xcatmaster");
    let master = super::master(&mut db);
    drop(db);
    warn_loader(session, node, loader, &image);
    if loader == "petitboot" && master_name.is_none() {
        session.node_error(
            node,
            &format!(
                "Unable to find requested field <xcatmaster> from table <noderes>, with key <node={node}>"
            ),
        );
        return Ok(Done::Failed);
    }
    let server = master_name.and_then(|name| resolve(session, &name)).unwrap_or(master);
    let kcmdline = if image.is_diskless() {
        let kernel = format!("{}/kernel", image.rootimgdir);
        if !session.path(&kernel).exists() {
            let host = session.host.clone();
            session.node_error(
                node,
                &format!(
                    "Did you run \"genimage\" before running \"packimage\"? kernel cannot be found at {kernel} on {host}"
                ),
            );
            return Ok(Done::Failed);
        }
        let Some(packed) = image.packed(session) else {
            let (dir, host) = (&image.rootimgdir, session.host.clone());
            session.node_error(
                node,
                &format!(
                    "No packed image for platform {os}, architecture {arch}, and profile {profile} found at \
                     {dir}/rootimg.gz or {dir}/rootimg.sfs on {host}, please run packimage (e.g.  packimage -o {os} \
                     -p {profile} -a {arch}",
                    os = image.os,
                    arch = image.arch,
                    profile = image.profile
                ),
            );
            return Ok(Done::Failed);
        };
        files::netboot_kcmdline(&image, &packed, &server, node)
    } else {
        let answers = session.path(&format!("/install/autoinst/{node}"));
        if let Some(parent) = answers.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(answers, "# Use text install\ntext\n")?;
        files::install_kcmdline(&image, &server, node)
    };
    if mac.is_none() || spoilt {
        session.node_error(node, "No MAC address available for this node");
        return Ok(Done::Failed);
    }
    session.pause(100);
    if image.is_diskless() {
        genimage::copy_boot_files(session, &image)?;
    }
    files::write(session, loader, node, &server, &Boot::Load { image: &image, kcmdline })?;
    set_state(session, node, &image.state())?;
    session.say(&format!("{node}: {}", image.state()));
    if resolve(session, node).is_none() {
        session.error(&format!("The {node} can not be resolved"));
        return Ok(Done::Unresolved);
    }
    Ok(Done::Set)
}

fn warn_loader(session: &mut Session<'_>, node: &str, loader: &str, image: &Image) {
    let valid: &[&str] = match image.arch.as_str() {
        "x86_64" | "x86" => &["xnba", "pxe", "grub2"],
        "ppc64" if image.major() <= 6 => &["yaboot"],
        "ppc64" => &["grub2", "grub2-tftp", "grub2-http"],
        "ppc64le" => &["petitboot", "grub2", "grub2-tftp", "grub2-http"],
        _ => return,
    };
    if !valid.iter().any(|one| loader.starts_with(one)) {
        session.warn(&format!(
            "{node}: {loader} might be invalid when provisioning {},valid options: \"{}\". \nFor more details see the \
             'netboot' description in the output of \"tabdump -d noderes\".",
            image.name,
            valid.join(",")
        ));
    }
}
