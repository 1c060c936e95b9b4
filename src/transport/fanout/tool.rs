//! How fan-out tools are called on the host where they are, and what they say. Pure.

use crate::transport::shell::quote;
use crate::transport::{Kind, TransportError};

/// How many bytes of node names go into one call: an argument may have 128 KiB.
const NAMES: usize = 60_000;

/// What a node's login shell runs for `clush`: it takes the first line of its stdin as its program. All shells read this
/// alike, and it has no `%`, in which `clush` would put names.
const LOADER: &str = "exec /bin/sh -c 'IFS= read -r xp_l; eval \"$xp_l\"'";

/// xCAT prints this, on the node, after a command; its own exit code counts nodes modulo 256.
const NODE_CODE: &str = "Remote_command_rc = ";

/// A fan-out tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::transport) enum Tool {
    /// ClusterShell's; through gateways where its topology has some.
    Clush,
    /// xCAT's, on the management node; through service nodes where nodes have some.
    Xdsh,
}

/// One call.
pub(super) struct Call<'a> {
    pub nodes: &'a [String],
    pub user: Option<&'a str>,
    /// Further arguments, from the user's files.
    pub args: &'a [String],
    pub token: &'a str,
}

/// How a node gets its parcel, which decides how the parcel's first line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// On the stdin of the shell.
    Stdin,
    /// As a file, which is the shell's program.
    File,
}

/// What a line says that belongs to a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Anything, from the shell on the node or about the node.
    Text(&'a str),
    /// The exit code of what ran there.
    Code(i32),
}

impl Tool {
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Clush => Some(Tool::Clush),
            Kind::Xdsh => Some(Tool::Xdsh),
            Kind::Local | Kind::Ssh | Kind::SshBinary => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Tool::Clush => "clush",
            Tool::Xdsh => "xdsh",
        }
    }

    pub(super) fn delivery(self) -> Delivery {
        match self {
            Tool::Clush => Delivery::Stdin,
            Tool::Xdsh => Delivery::File,
        }
    }

    /// Tells whether the tool tells the exit code of each node that answered.
    pub(super) fn tells_codes(self) -> bool {
        self == Tool::Xdsh
    }

    /// Returns the script that sends the parcel on its stdin to the nodes.
    pub(super) fn script(self, call: &Call<'_>) -> String {
        let mut options = String::new();
        for arg in call.args {
            options.push(' ');
            options.push_str(&quote(arg));
        }
        if let Some(user) = call.user {
            options.push_str(" -l ");
            options.push_str(&quote(user));
        }
        let nodes = quote(&call.nodes.join(","));
        match self {
            Tool::Clush => format!("exec clush --color=never{options} -w {nodes} {}\n", quote(LOADER)),
            Tool::Xdsh => {
                let there = format!("/tmp/xplay.{}", call.token);
                // The copy is made with the mode of the file, and its shell removes it at once.
                format!(
                    "PATH=/opt/xcat/bin:/opt/xcat/sbin:$PATH\nxp_tmp || exit 1\numask 077\nxp_f=$XP_TMP/{}\n\
                     trap 'rm -f \"$xp_f\"' EXIT\ncat >\"$xp_f\" || exit 1\nxdcp {nodes}{options} \"$xp_f\" {there} </dev/null\n\
                     xdsh {nodes}{options} -z {} </dev/null\n",
                    call.token,
                    quote(&format!("(sh {there})"))
                )
            }
        }
    }

    /// Reads a line about a node: its name and what is said.
    pub(super) fn read(self, line: &str) -> Option<(&str, Said<'_>)> {
        let line = match self {
            Tool::Clush => line,
            // What a node says on stderr has the daemon's host in front.
            Tool::Xdsh if line.starts_with('[') => line.split_once("]: ")?.1,
            Tool::Xdsh => line,
        };
        let (node, text) = line.split_once(':')?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let code = text.strip_prefix(NODE_CODE).and_then(|code| code.trim().parse().ok());
        match code {
            Some(code) if self.tells_codes() => Some((node, Said::Code(code))),
            _ => Some((node, Said::Text(text))),
        }
    }

    /// Returns the nodes because of which the tool refused to do anything.
    pub(super) fn unknown_nodes<'a>(self, stderr: &'a str) -> Vec<&'a str> {
        const REFUSAL: &str = "Invalid nodes and/or groups in noderange: ";
        let named = |line: &'a str| line.split_once(REFUSAL).map(|(_, names)| names);
        match self {
            Tool::Clush => Vec::new(),
            Tool::Xdsh => stderr.lines().filter_map(named).flat_map(|n| n.trim().split(',')).collect(),
        }
    }
}

/// Checks a node's name: what has a meaning of its own for a tool (ranges, options, groups) is no name.
pub(super) fn check_name(host: &str, node: &str) -> Result<(), TransportError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !node.is_empty() && node.len() < 256 && !node.starts_with('-') && node.chars().all(plain) {
        return Ok(());
    }
    let reason = format!("{node:?} is no name that a fan-out tool can be given; set xplay_node");
    Err(TransportError::Unreachable { host: host.into(), reason })
}

/// Cuts a list of nodes into as few calls as their names allow.
pub(super) fn calls(nodes: Vec<String>) -> Vec<Vec<String>> {
    let mut calls: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for node in nodes {
        let size = node.len() + 1;
        match calls.last_mut() {
            Some(call) if size <= room => {
                room -= size;
                call.push(node);
            }
            _ => {
                room = NAMES.saturating_sub(size);
                calls.push(vec![node]);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_belong_to_nodes() {
        let check = |tool: Tool, line: &str, expect: Option<(&str, Said<'_>)>| {
            assert_eq!(tool.read(line), expect, "{line}");
        };
        use Said::{Code, Text};
        check(Tool::Clush, "n1: T ob eA==", Some(("n1", Text("T ob eA=="))));
        check(
            Tool::Clush,
            "clush: n1: exited with exit code 255",
            Some(("clush", Text("n1: exited with exit code 255"))),
        );
        check(Tool::Clush, "n1: Remote_command_rc = 3", Some(("n1", Text("Remote_command_rc = 3"))));
        check(Tool::Xdsh, "sn1: Remote_command_rc = 3", Some(("sn1", Code(3))));
        let dead = "[mn1]: dead1: ssh: connect to host dead1 port 22: No route to host";
        check(
            Tool::Xdsh,
            dead,
            Some(("dead1", Text("ssh: connect to host dead1 port 22: No route to host"))),
        );
        check(Tool::Xdsh, "no node", None);
    }

    #[test]
    fn a_refused_range_names_the_nodes() {
        let said = "Error: Invalid nodes and/or groups in noderange: a,b\n";
        assert_eq!(Tool::Xdsh.unknown_nodes(said), ["a", "b"]);
        assert_eq!(Tool::Clush.unknown_nodes(said), [""; 0]);
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for good in ["n1", "rack-1_node.example.org", "10.0.0.1"] {
            assert!(check_name("h", good).is_ok(), "{good}");
        }
        for bad in ["", "-w", "n[1-3]", "@all", "a,b", "n 1", "^/etc/passwd", "n1:22"] {
            assert!(check_name("h", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_lists_take_several_calls() {
        let nodes: Vec<String> = (0..10_000).map(|n| format!("node{n:06}")).collect();
        let calls = calls(nodes.clone());
        assert_eq!(calls.concat(), nodes);
        assert!(calls.len() == 2 && calls.iter().all(|call| call.join(",").len() <= NAMES));
    }
}
