//! `updatenode`: synchronises files and runs postscripts on running nodes; its exit code says little.

use super::xdcp::sync_nodes;
use super::xdsh::on_all;
use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::image::Image;
use crate::rehearsal::xcat::objects::node_attribute;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use crate::rehearsal::xcat::world::quote;
use std::io;

#[derive(Default)]
struct Options {
    range: Option<String>,
    sync: bool,
    sync_servers: bool,
    software: bool,
    server: bool,
    scripts: Option<Vec<String>>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let usage = include_str!("../usage/updatenode.txt");
    if super::wants_help(args) {
        session.print(usage);
        return Ok(0);
    }
    let options = parse(args);
    let Some(range) = &options.range else {
        session.print(usage);
        session.say("The noderange should be the first argument.");
        return Ok(1);
    };
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    let everything = !options.sync && !options.sync_servers && !options.software && !options.server;
    let everything = everything && options.scripts.is_none();
    if options.sync_servers {
        sync_service_nodes(session, &nodes)?;
    }
    if options.sync || everything {
        sync(session, &nodes)?;
    }
    if options.software || everything {
        session.say(
            "Performing software maintenance operations. This could take a while, if there are packages to install.\n",
        );
        let scripts = ["ospkgs", "otherpkgs", "syscloneimgupdate"].map(str::to_string);
        run_scripts(session, &nodes, &scripts, "Software Maintenance")?;
    }
    if options.server {
        run_scripts(session, &nodes, &["setuppostbootscripts".to_string()], "postscripts")?;
    }
    if let Some(scripts) = &options.scripts {
        for script in scripts {
            let name = script.split_whitespace().next().unwrap_or_default();
            if !session.path(&format!("/install/postscripts/{name}")).exists() {
                session.say(&format!("The postscript /install/postscripts/{name} does not exist."));
                return Ok(0);
            }
        }
        run_scripts(session, &nodes, scripts, "postscripts")?;
    }
    Ok(session.rc)
}

fn parse(args: &[String]) -> Options {
    let mut options = Options::default();
    let list = |text: &str| text.split(',').filter(|one| !one.is_empty()).map(str::to_string).collect();
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-F" | "--sync" => options.sync = true,
            "-f" | "--snsync" => options.sync_servers = true,
            "-S" | "--sw" => options.software = true,
            "-s" | "--sn" => options.server = true,
            "-P" | "--scripts" => {
                let names = rest.next_if(|word| !word.starts_with('-'));
                options.scripts = Some(names.map_or_else(Vec::new, |names| list(names)));
            }
            "-t" | "--timeout" | "-r" | "--node-rcp" | "-l" | "--user" | "-d" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            word if options.range.is_none() => options.range = Some(word.to_string()),
            words => options.scripts = Some(list(words)),
        }
    }
    options
}

/// Returns the synclists of the nodes' images with the nodes that have them.
fn synclists(session: &mut Session<'_>, nodes: &[String]) -> io::Result<Vec<(String, Vec<String>)>> {
    let mut db = session.db(Access::Read)?;
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for node in nodes {
        let image = node_attribute(&mut db, node, "provmethod").and_then(|name| Image::load(&mut db, &name));
        for list in
            image.map(|image| image.synclists).unwrap_or_default().split(',').filter(|list| !list.is_empty())
        {
            match out.iter_mut().find(|(name, _)| name == list) {
                Some((_, nodes)) => nodes.push(node.clone()),
                None => out.push((list.to_string(), vec![node.clone()])),
            }
        }
    }
    Ok(out)
}

fn sync(session: &mut Session<'_>, nodes: &[String]) -> io::Result<()> {
    let lists = synclists(session, nodes)?;
    if lists.is_empty() {
        session.say("There were no syncfiles defined to process. File synchronization has completed.");
        return Ok(());
    }
    if let Some((missing, _)) = lists.iter().find(|(list, _)| !session.path(list).exists()) {
        session.error(&format!(
            "The file {missing} which is specified to be sync'd to the node does NOT exist."
        ));
        return Ok(());
    }
    let mut bad = Vec::new();
    let mut done: Vec<String> = Vec::new();
    for (list, nodes) in lists {
        note(session, &nodes, "syncing")?;
        let asked = nodes.len();
        let served = dispatch::reachable(session, &nodes)?;
        if served.len() < asked {
            session.rc |= 1;
        }
        let failed = sync_nodes(session, &list, &served)?;
        done.extend(
            served
                .into_iter()
                .filter(|node| !failed.contains(node) && !done.contains(node))
                .collect::<Vec<_>>(),
        );
        bad.extend(failed);
    }
    note(session, &done, "synced")?;
    if bad.is_empty() {
        session.say(&format!("File synchronization has completed for nodes: \"{}\"", done.join(",")));
    } else {
        // Only one of the failed nodes is named, and the others keep the status "syncing".
        bad.truncate(1);
        note(session, &bad, "failed")?;
        session.say(&format!("File synchronization failed for nodes: \"{}\"", bad.join(",")));
        session.rc |= 1;
    }
    Ok(())
}

fn note(session: &Session<'_>, nodes: &[String], status: &str) -> io::Result<()> {
    let time = session.table_time();
    let mut db = session.db(Access::Write)?;
    for node in nodes {
        db.set("nodelist", "node", node, &[("updatestatus", status), ("updatestatustime", &time)]);
    }
    db.save()
}

fn sync_service_nodes(session: &mut Session<'_>, nodes: &[String]) -> io::Result<()> {
    let servers: Vec<String> =
        dispatch::split(session, nodes)?.behind.into_iter().map(|(server, _)| server).collect();
    if servers.is_empty() {
        session.error("There are no servicenodes to process for the noderange in the updatenode -f command.");
        return Ok(());
    }
    let mut bad = Vec::new();
    for (list, _) in synclists(session, nodes)? {
        if session.path(&list).exists() {
            bad.extend(sync_nodes(session, &list, &servers)?);
        }
    }
    let names = servers.join(",");
    if bad.is_empty() {
        session.say(&format!("File synchronization has completed for service nodes: \"{names}\""));
    } else {
        session.say(&format!("File synchronization failed for service nodes: \"{}\"", bad.join(",")));
        session.rc |= 1;
    }
    Ok(())
}

/// Runs postscripts; only failures of the scripts count, not nodes that could not fetch them.
fn run_scripts(
    session: &mut Session<'_>,
    nodes: &[String],
    scripts: &[String],
    what: &str,
) -> io::Result<()> {
    let server = super::master(&mut session.db(Access::Read)?);
    let nodes = dispatch::reachable(session, nodes)?;
    let mut failed = 0;
    for node in &nodes {
        if session.world.nodes.run(node, ":", b"").is_err() {
            session.error(&format!(
                "{node} is not responding, make sure it is a node object and is defined in xCATdb. No command will be \
                 issued to this host."
            ));
            continue;
        }
        session.say(&format!("{node}: =============updatenode starting===================="));
        session.say(&format!("{node}: trying to download postscripts..."));
        if session.fault("httpd-down") {
            session.say(&format!(
                "{node}: cannot download the postscripts from the xCAT server {server} for node {node} check \
                 /tmp/wget.log on the node."
            ));
            failed += i32::from(what != "postscripts");
            continue;
        }
        session.say(&format!("{node}: postscripts downloaded successfully"));
        session.say(&format!("{node}: trying to get mypostscript from {server}..."));
        let mut is_bad = false;
        for script in scripts {
            is_bad |= !run_script(session, node, script)?;
        }
        failed += i32::from(is_bad);
        session.say(&format!("{node}: Running of {what} has completed."));
        session.say(&format!("{node}: =============updatenode ending===================="));
    }
    session.rc |= failed & 0xff;
    Ok(())
}

fn run_script(session: &mut Session<'_>, node: &str, script: &str) -> io::Result<bool> {
    let mut words = script.split_whitespace();
    let name = words.next().unwrap_or_default();
    let arguments: Vec<String> = words.map(quote).collect();
    let Ok(body) = std::fs::read(session.path(&format!("/install/postscripts/{name}"))) else {
        return Ok(true);
    };
    session.say(&format!("{node}: postscript start..: {name}"));
    let command = format!("NODE={} sh -s -- {}", quote(node), arguments.join(" "));
    let results = on_all(session, std::slice::from_ref(&node.to_string()), &command, &body);
    let mut rc = 255;
    for (_, result) in results {
        if let Ok(output) = result {
            rc = output.rc;
            for line in String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).lines() {
                session.say(&format!("{node}: {line}"));
            }
        }
    }
    session.say(&format!("{node}: postscript end....: {name} exited with code {rc}"));
    Ok(rc == 0)
}
