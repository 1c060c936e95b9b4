//! `xdsh`: runs a command on nodes; the exit code is the number of nodes that failed, modulo 256.

use crate::rehearsal::xcat::dispatch;
use crate::rehearsal::xcat::session::Session;
use crate::rehearsal::xcat::world::{NodeOutput, NodeUnreachable, quote};
use std::io;

#[derive(Default)]
struct Options {
    range: Option<String>,
    words: Vec<String>,
    show_rc: bool,
    verify: bool,
    script: bool,
    settings: bool,
    timeout: Option<String>,
}

pub(super) fn run(session: &mut Session<'_>, args: &[String]) -> io::Result<i32> {
    let usage = include_str!("../usage/xdsh.txt");
    let options = match parse(args) {
        Ok(options) => options,
        Err(flag) => {
            session.complain(&format!("Unknown option: {flag}"));
            session.print(usage);
            return Ok(1);
        }
    };
    if super::wants_help(args) {
        session.print(usage);
        return Ok(0);
    }
    if options.settings {
        session.print(include_str!("../usage/dsh_settings.txt"));
        return Ok(0);
    }
    let Some(nodes) = super::nodes_of(session, options.range.as_deref().unwrap_or_default())? else {
        return Ok(1);
    };
    if options.words.is_empty() {
        session.complain("No parameters were supplied on the xdsh command. Run xdsh -h");
        return Ok(1);
    }
    let mut script = options.words.join(" ");
    let mut input = Vec::new();
    if options.script {
        let file = options.words.first().cloned().unwrap_or_default();
        match std::fs::read(session.path(&file)) {
            Ok(bytes) => input = bytes,
            Err(_) => {
                session.error(&format!("File {file} does not exist"));
                return Ok(1);
            }
        }
        let arguments: Vec<String> = options.words.iter().skip(1).map(|word| quote(word)).collect();
        script = format!("sh -s -- {}", arguments.join(" "));
    }
    if let Some(seconds) = &options.timeout {
        script = format!("timeout {} sh -c {}", quote(seconds), quote(&script));
    }
    if options.show_rc {
        // The status line is printed by the same remote shell, so a bare `exit` leaves before it.
        script = format!("{script}\nxcat_rc=$?\necho Remote_command_rc = $xcat_rc\nexit $xcat_rc");
    }
    let asked = nodes.len();
    let nodes = dispatch::reachable(session, &nodes)?;
    let unserved = usize::from(nodes.len() < asked);
    let mut failed = 0;
    let results = on_all(session, &nodes, &script, &input);
    let timed_out = options.timeout.is_some()
        && results.iter().any(|(_, result)| matches!(result, Ok(output) if output.rc == 124));
    if timed_out {
        session.error("Caught SIGINT - terminating the child processes.");
        return Ok((nodes.len() as i32 + 1) & 0xff);
    }
    for (node, result) in results {
        match result {
            Ok(output) => {
                show(session, &node, &output);
                failed += usize::from(output.rc != 0);
            }
            Err(_) if options.verify => {
                session.error(&format!(
                    "{node} is not responding, make sure it is a node object and is defined in xCATdb. No command \
                     will be issued to this host."
                ));
                failed += 1;
            }
            Err(unreachable) => {
                session.node_stderr(&node, &format!("ssh: connect to host {node} port 22: {unreachable}\n"));
                failed += 1;
            }
        }
    }
    session.rc = 0;
    Ok(((failed.max(unserved)) & 0xff) as i32)
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        // After the node range, words up to the first that is no option are options, then comes the command.
        if !options.words.is_empty() {
            options.words.push(arg.clone());
            continue;
        }
        match arg.as_str() {
            "-z" | "--exit-status" => options.show_rc = true,
            "-v" | "--verify" => options.verify = true,
            "-e" | "--execute" => options.script = true,
            "-q" | "--show-config" => options.settings = true,
            "-t" | "--timeout" => options.timeout = rest.next().cloned(),
            "-f" | "--fanout" | "-l" | "--user" | "-o" | "--node-options" | "-E" | "--environment" | "-r"
            | "-S" | "-X" | "-i" | "--devicetype" => {
                rest.next();
            }
            "-h" | "--help" | "-?" | "-V" | "-B" | "-c" | "-K" | "-L" | "-m" | "-Q" | "-s" | "-T"
            | "--sudo" | "--bypass" => {}
            flag if flag.starts_with('-') => return Err(flag.trim_start_matches('-').to_string()),
            word if options.range.is_none() => options.range = Some(word.to_string()),
            word => options.words.push(word.to_string()),
        }
    }
    Ok(options)
}

type Results = Vec<(String, Result<NodeOutput, NodeUnreachable>)>;

/// Runs a script on all nodes, some at a time; results come in the order of the nodes.
pub(super) fn on_all(session: &Session<'_>, nodes: &[String], script: &str, input: &[u8]) -> Results {
    const AT_ONCE: usize = 64;
    let access = &session.world.nodes;
    let mut out = Vec::new();
    for part in nodes.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let running: Vec<_> = part
                .iter()
                .map(|node| (node, scope.spawn(move || access.run(node, script, input))))
                .collect();
            for (node, thread) in running {
                let result =
                    thread.join().unwrap_or_else(|_| Err(NodeUnreachable("Connection reset by peer".into())));
                out.push((node.clone(), result));
            }
        });
    }
    out
}

/// Prints a node's output with its name before every line.
pub(super) fn show(session: &mut Session<'_>, node: &str, output: &NodeOutput) {
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        session.say(&format!("{node}: {line}"));
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        session.node_stderr(node, line);
    }
}
