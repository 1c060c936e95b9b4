//! `xdcp`: copies files to nodes or, by a synclist, to nodes or into an image.

use super::packimage::place_in_tree;
use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::synclist::{self, Sync, collect};
use std::io;

#[derive(Default)]
struct Options {
    image_tree: Option<String>,
    list: Option<String>,
    words: Vec<String>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-i" | "--rootimg" => options.image_tree = rest.next().cloned(),
            "-F" | "--File" => options.list = rest.next().cloned(),
            "-f" | "--fanout" | "-l" | "--user" | "-o" | "-t" | "-r" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            word => options.words.push(word.to_string()),
        }
    }
    if let Some(list) = &options.list
        && !session.path(list).exists()
    {
        session.error(&format!("File:{list} does not exist."));
        return Ok(1);
    }
    if let (Some(tree), Some(list)) = (&options.image_tree, &options.list) {
        let sync = synclist::read(session, list, None)?;
        place_in_tree(&session.path(tree), &sync.files, &sync.appends)?;
        return Ok(0);
    }
    if options.words.is_empty() {
        session.complain("No parameters were supplied on the xdcp command. Run xdcp -h");
        return Ok(1);
    }
    let range = options.words.remove(0);
    let Some(nodes) = super::nodes_of(session, &range)? else { return Ok(1) };
    let asked = nodes.len();
    let nodes = dispatch::reachable(session, &nodes)?;
    if nodes.len() < asked {
        session.rc = 1;
    }
    if let Some(list) = &options.list {
        let bad = sync_nodes(session, list, &nodes)?;
        return Ok(i32::from(!bad.is_empty()) | session.rc);
    }
    let Some(target) = options.words.pop().filter(|_| !options.words.is_empty()) else {
        session.complain("Missing target_path parameter");
        return Ok(1);
    };
    let failed = copy(session, &nodes, &options.words, &target)?;
    Ok((failed & 0xff) | session.rc)
}

fn copy(session: &mut Session<'_>, nodes: &[String], sources: &[String], target: &str) -> io::Result<i32> {
    let mut files = Vec::new();
    let mut missing = Vec::new();
    for source in sources {
        let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let into_dir = target.ends_with('/') || sources.len() > 1;
        let to =
            if into_dir { format!("{}/{name}", target.trim_end_matches('/')) } else { target.to_string() };
        if !collect(session, source, &to, &mut files)? {
            missing.push(source.clone());
        }
    }
    let mut failed = 0;
    for node in nodes {
        for source in &missing {
            session
                .say(&format!("{node}: /usr/bin/scp: stat local \"{source}\": No such file or directory\n"));
        }
        let mut is_bad = !missing.is_empty();
        // scp does not make directories, so a target in a missing one fails.
        let dir = target.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir });
        match session.world.nodes.run(
            node,
            &format!("test -d {}", crate::rehearsal::xcat::world::quote(dir)),
            b"",
        ) {
            Err(unreachable) => {
                session.say(&format!("{node}: ssh: connect to host {node} port 22: {unreachable}\n"));
                session.say(&format!("{node}: /usr/bin/scp: Connection closed\n"));
                failed += 1;
                continue;
            }
            Ok(output) if output.rc != 0 && !files.is_empty() => {
                session.say(&format!(
                    "{node}: /usr/bin/scp: dest open \"{target}\": No such file or directory\n"
                ));
                for source in sources {
                    session
                        .say(&format!("{node}: /usr/bin/scp: failed to upload file {source} to {target}\n"));
                }
                failed += 1;
                continue;
            }
            Ok(_) => {}
        }
        for file in &files {
            is_bad |= !matches!(session.world.nodes.put(node, file), Ok(output) if output.rc == 0);
        }
        failed += i32::from(is_bad);
    }
    Ok(failed)
}

pub(super) fn say_missing(session: &mut Session<'_>, node: &str, source: &str) {
    session.say(&format!(
        "{node}: rsync: [sender] link_stat \"{source}\" failed: No such file or directory (2)"
    ));
}

pub(super) fn say_rsync_end(session: &mut Session<'_>, node: &str) {
    session.say(&format!(
        "{node}: rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394) \
         [sender=3.5.0]"
    ));
}

/// Carries out a synclist on nodes and returns those where something failed. Good entries are copied although
/// others fail.
pub(super) fn sync_nodes(session: &mut Session<'_>, list: &str, nodes: &[String]) -> io::Result<Vec<String>> {
    let mut bad = Vec::new();
    for node in nodes {
        let sync = synclist::read(session, list, Some(node))?;
        if !sync_one(session, node, &sync)? {
            bad.push(node.clone());
        }
    }
    Ok(bad)
}

fn sync_one(session: &mut Session<'_>, node: &str, sync: &Sync) -> io::Result<bool> {
    for source in &sync.missing {
        say_missing(session, node, source);
    }
    if !sync.missing.is_empty() {
        say_rsync_end(session, node);
    }
    let mut good = sync.missing.is_empty();
    let nodes = &session.world.nodes;
    for file in &sync.files {
        match nodes.put(node, file) {
            Ok(output) => good &= output.rc == 0,
            Err(unreachable) => {
                say_unreachable(session, node, &unreachable.0);
                return Ok(false);
            }
        }
    }
    for file in &sync.appends {
        let path = crate::rehearsal::xcat::world::quote(&file.path);
        good &=
            matches!(nodes.run(node, &format!("cat >> {path}"), &file.content), Ok(output) if output.rc == 0);
    }
    for script in &sync.scripts {
        let Ok(body) = std::fs::read(session.path(script)) else {
            good = false;
            continue;
        };
        good &= matches!(nodes.run(node, "sh -s", &body), Ok(output) if output.rc == 0);
    }
    Ok(good)
}

/// Prints what ssh and rsync say, in the order of the real scripts: mkdir first, then every transfer.
fn say_unreachable(session: &mut Session<'_>, node: &str, reason: &str) {
    let ssh = format!("{node}: ssh: connect to host {node} port 22: {reason}\n");
    session.say(&ssh);
    for end in [
        "unexplained error (code 255) at io.c(285)",
        "error in rsync protocol data stream (code 12) at io.c(285)",
    ] {
        session.say(&ssh);
        session.say(&format!(
            "{node}: rsync: connection unexpectedly closed (0 bytes received so far) [sender]"
        ));
        session.say(&format!("{node}: rsync error: {end} [sender=3.5.0]"));
    }
}
