//! `rinstall`: nodeset, then the right way to boot from the network.

use super::power::control;
use crate::rehearsal::xcat::image::Image;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::tables::Access;
use std::io;

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let Some(range) = words.next().filter(|_| !super::wants_help(args)) else {
        session.print(include_str!("../usage/rinstall.txt"));
        return Ok(0);
    };
    let action = words.next().cloned().unwrap_or_else(|| "osimage".into());
    let verbose = args.iter().any(|arg| arg == "-V" || arg == "--verbose");
    let Some(nodes) = super::nodes_of(session, range)? else { return Ok(1) };
    if let Some(name) = action.strip_prefix("osimage=")
        && Image::load(&mut session.db(Access::Read)?, name).is_none()
    {
        session.error(&format!("Cannot find the OS image {name} in the osimage table."));
        return Ok(1);
    }
    let mut job = Job { verbose };
    job.say(session, &format!("Provision node(s): {}", nodes.join(" ")));
    job.sub(session, "nodeset", &nodes, &[&action]);
    let (mut lpars, mut others) = (Vec::new(), Vec::new());
    for node in nodes {
        match control(session, &node)?.mgt.as_deref() {
            Some("hmc" | "ivm" | "fsp") => lpars.push(node),
            _ => others.push(node),
        }
    }
    if !lpars.is_empty() {
        let lines = job.sub(session, "rnetboot", &lpars, &[]);
        job.blame(session, "rnetboot", &lpars, &lines, ": Success");
    }
    if !others.is_empty() {
        let lines = job.sub(session, "rsetboot", &others, &["net"]);
        let good = job.blame(session, "rsetboot", &others, &lines, ": Network");
        job.sub(session, "rpower", &good, &["boot"]);
    }
    Ok(session.rc)
}

struct Job {
    verbose: bool,
}

/// Holds what a part of the job printed; empty when it succeeded.
type FailedLines = Option<Vec<String>>;

impl Job {
    fn say(&self, session: &mut Session<'_>, line: &str) {
        if self.verbose {
            let host = session.host.clone();
            session.say(&format!("[{host}]: {line}"));
        } else {
            session.say(line);
        }
    }

    /// Runs a part of the job; its lines are shown when it fails or when everything is to be shown.
    fn sub(
        &mut self,
        session: &mut Session<'_>,
        name: &str,
        nodes: &[String],
        words: &[&str],
    ) -> FailedLines {
        if self.verbose {
            self.say(
                session,
                format!("Run command: {name} {} {}", nodes.join(" "), words.join(" ")).trim_end(),
            );
        }
        if nodes.is_empty() {
            return None;
        }
        let mut args = vec![nodes.join(",")];
        args.extend(words.iter().map(|word| (*word).to_string()));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let rc = super::run(session.world, name, &args, &mut io::empty(), &mut out, &mut err);
        let host = session.host.clone();
        let mut lines: Vec<String> = Vec::new();
        for line in String::from_utf8_lossy(&[out, err].concat()).lines() {
            lines.push(line.replace(&format!("[{host}]: "), "").replacen("Error: ", "", 1));
        }
        lines.retain(|line| !line.starts_with("The dhcp server must be restarted"));
        lines.sort();
        if self.verbose || rc != 0 {
            for line in &lines {
                self.say(session, line);
            }
        }
        if rc != 0 {
            session.rc |= 1;
        }
        (rc != 0).then_some(lines)
    }

    /// Names the nodes that failed and returns the others.
    fn blame(
        &self,
        session: &mut Session<'_>,
        name: &str,
        nodes: &[String],
        lines: &FailedLines,
        success: &str,
    ) -> Vec<String> {
        let Some(lines) = lines else { return nodes.to_vec() };
        let is_good = |node: &String| lines.iter().any(|line| *line == format!("{node}{success}"));
        let (good, bad): (Vec<String>, Vec<String>) = nodes.iter().cloned().partition(is_good);
        if self.verbose {
            for line in lines {
                self.say(session, line);
            }
        }
        if !bad.is_empty() {
            session.error(&format!("Failed to run '{name}' against the following nodes: {}", bad.join(" ")));
        }
        good
    }
}
