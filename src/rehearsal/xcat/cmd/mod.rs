//! The commands, one file each, and the rules that hold for all of them: daemon down, rights, exit codes.

mod chdef;
mod chtab;
mod copycds;
mod createrepo;
mod definitions;
mod genimage;
mod genimage_inner;
mod genimage_text;
mod gettab;
mod lsdef;
mod lsxcatd;
mod makedhcp;
mod makedns;
mod makehosts;
mod makeknownhosts;
mod mkdef;
mod nodels;
mod nodeset;
mod nodeset_files;
mod nodestat;
mod packimage;
mod power;
mod pscp;
mod psh;
mod rinstall;
mod rmdef;
mod rmimage;
mod rnetboot;
mod rpower;
mod rsetboot;
mod tabdump;
mod updatenode;
mod xcatd;
mod xdcp;
mod xdsh;

use super::noderange;
use super::session::{Session, fault};
use super::tables::{Access, Db};
use super::world::World;
use std::io::{self, Read, Write};

type Applet = fn(&mut Session<'_>, &[String]) -> io::Result<i32>;

/// The name of genimage's inner program, which a build host runs without xcatd.
pub const INNER_GENIMAGE: &str = "genimage-inner";

const BIN: &str = "/opt/xcat/bin";
const SBIN: &str = "/opt/xcat/sbin";

/// Says who does a command's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// xcatd: needs it running and a policy that allows the command.
    Daemon,
    /// The command itself, which looks after the rules if there are any.
    Itself,
}

struct Entry {
    name: &'static str,
    dir: &'static str,
    server: Server,
    applet: Applet,
}

const fn daemon(name: &'static str, dir: &'static str, applet: Applet) -> Entry {
    Entry { name, dir, server: Server::Daemon, applet }
}

const fn itself(name: &'static str, dir: &'static str, applet: Applet) -> Entry {
    Entry { name, dir, server: Server::Itself, applet }
}

const ENTRIES: &[Entry] = &[
    daemon("chdef", BIN, chdef::run),
    daemon("chtab", SBIN, chtab::run),
    daemon("copycds", SBIN, copycds::run),
    itself("createrepo", "/usr/bin", createrepo::run),
    itself("createrepo_c", "/usr/bin", createrepo::run),
    itself("genimage", BIN, genimage::run),
    daemon("gettab", BIN, gettab::run),
    daemon("lsdef", BIN, lsdef::run),
    daemon("lsxcatd", BIN, lsxcatd::run),
    daemon("makedhcp", SBIN, makedhcp::run),
    daemon("makedns", SBIN, makedns::run),
    daemon("makehosts", SBIN, makehosts::run),
    daemon("makeknownhosts", SBIN, makeknownhosts::run),
    daemon("mkdef", BIN, mkdef::run),
    daemon("nodels", BIN, nodels::run),
    daemon("nodeset", SBIN, nodeset::run),
    daemon("nodestat", BIN, nodestat::run),
    daemon("packimage", SBIN, packimage::run),
    itself("prsync", BIN, pscp::run_prsync),
    itself("pscp", BIN, pscp::run_pscp),
    itself("psh", BIN, psh::run),
    daemon("rinstall", BIN, rinstall::run),
    daemon("rmdef", BIN, rmdef::run),
    daemon("rmimage", SBIN, rmimage::run),
    daemon("rnetboot", BIN, rnetboot::run),
    daemon("rpower", BIN, rpower::run),
    daemon("rsetboot", BIN, rsetboot::run),
    daemon("tabdump", SBIN, tabdump::run),
    daemon("updatenode", BIN, updatenode::run),
    itself("xcatd", "/etc/init.d", xcatd::run),
    daemon("xdcp", BIN, xdcp::run),
    daemon("xdsh", BIN, xdsh::run),
];

/// Names every emulated command and the directory where its wrapper belongs.
pub const COMMANDS: &[(&str, &str)] = &command_names();

const fn command_names() -> [(&'static str, &'static str); ENTRIES.len()] {
    let mut names = [("", ""); ENTRIES.len()];
    let mut i = 0;
    while i < ENTRIES.len() {
        names[i] = (ENTRIES[i].name, ENTRIES[i].dir);
        i += 1;
    }
    names
}

/// Runs an emulated command and returns its exit code. An unknown name is 127, as a shell has it.
pub fn run(
    world: &World,
    name: &str,
    args: &[String],
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> i32 {
    let mut session = Session::new(world, stdin, stdout, stderr);
    if name == INNER_GENIMAGE {
        return finish(&mut session, name, genimage_inner::run, args);
    }
    let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name) else {
        session.complain(&format!("{name}: command not found"));
        return 127;
    };
    if entry.server == Server::Daemon {
        let verdict = verdict(&session, name);
        if let Some(rc) = refuse(&mut session, &verdict) {
            return rc;
        }
    }
    finish(&mut session, name, entry.applet, args)
}

fn finish(session: &mut Session<'_>, name: &str, applet: Applet, args: &[String]) -> i32 {
    match applet(session, args) {
        Ok(rc) => rc | session.rc,
        Err(error) => {
            session.error(&format!("{name} failed: {error}"));
            1
        }
    }
}

/// Returns true when the daemon is down, by hand or by the fault.
fn is_down(world: &World) -> bool {
    world.path("/etc/xcat/rehearsal/xcatd-down").exists() || fault(world, "xcatd-down")
}

/// Is what stands between a caller and the daemon.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Down,
    /// With the warning about a missing client certificate.
    Denied(Option<String>),
}

fn verdict(session: &Session<'_>, command: &str) -> Verdict {
    if session.world.bypass {
        return Verdict::Allowed;
    }
    if is_down(session.world) {
        return Verdict::Down;
    }
    let caller = &session.world.caller;
    if caller.uid == 0 {
        return Verdict::Allowed;
    }
    let certificate = session.path(&format!("{}/.xcat/client-cert.pem", caller.home)).exists();
    let name = if certificate { caller.name.as_str() } else { "" };
    if session.db(Access::Read).is_ok_and(|mut db| policy_allows(&mut db, name, command)) {
        return Verdict::Allowed;
    }
    Verdict::Denied((!certificate).then(|| {
        format!(
            "warning: the client certificates under {}/.xcat/ are not setup correctly, please run \
             '/opt/xcat/share/xcat/scripts/setup-local-client.sh {}' as 'root' to generate the client certificates; \
             otherwise, the SSL connection between xcat client and xcatd will be setup without certificate \
             verification and open to Man-In-The-Middle attacks.",
            caller.home, caller.name
        )
    }))
}

/// Prints a verdict that is not "allowed" and returns the exit code, or nothing when the command may go on.
fn refuse(session: &mut Session<'_>, verdict: &Verdict) -> Option<i32> {
    match verdict {
        Verdict::Allowed => None,
        Verdict::Down => {
            session.say("Unable to open socket connection to xcatd daemon on localhost:3001.");
            session.say("Verify that the xcatd daemon is running and that your SSL setup is correct.");
            session.complain(
                "Connection failure: IO::Socket::INET: connect: Connection refused at \
                 /opt/xcat/lib/perl/xCAT/Client.pm line 248.",
            );
            Some(111)
        }
        Verdict::Denied(warning) => {
            if let Some(warning) = warning {
                session.say(warning);
            }
            session.complain("Error: Permission denied for request");
            Some(1)
        }
    }
}

fn policy_allows(db: &mut Db, name: &str, command: &str) -> bool {
    let table = db.table("policy");
    let mut priorities = table.values("priority");
    priorities.sort_by(|a, b| {
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::MAX);
        number(a).total_cmp(&number(b))
    });
    for priority in priorities {
        let cell = |column: &str| table.get("priority", &priority, column);
        let for_name = cell("name").is_none_or(|one| one == "*" || one == name);
        let for_command =
            cell("commands").is_none_or(|list| list == "*" || list.split(',').any(|one| one == command));
        if for_name && for_command {
            return matches!(cell("rule"), Some("allow" | "accept" | "trusted"));
        }
    }
    false
}

/// Returns the nodes of a range; prints the one line that every command prints for a bad one.
fn nodes_of(session: &mut Session<'_>, range: &str) -> io::Result<Option<Vec<String>>> {
    let mut db = session.db(Access::Read)?;
    Ok(match noderange::expand(&mut db, range) {
        Ok(nodes) => Some(nodes),
        Err(bad) => {
            session.complain(&format!("Error: Invalid nodes and/or groups in noderange: {}", bad.join(",")));
            session.rc |= 1;
            None
        }
    })
}

/// Returns true when the words ask for help.
fn wants_help(args: &[String]) -> bool {
    args.iter().any(|arg| matches!(arg.as_str(), "-h" | "--help" | "-?"))
}

fn wants_version(args: &[String]) -> bool {
    args.first().is_some_and(|arg| matches!(arg.as_str(), "-v" | "--version"))
}

/// Returns the management node's address.
fn master(db: &mut Db) -> String {
    db.site("master").unwrap_or_else(|| "10.20.0.1".into())
}

/// Resolves a name as the management node's daemons do: by its /etc/hosts.
fn resolve(session: &Session<'_>, name: &str) -> Option<String> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Some(name.to_string());
    }
    let text = std::fs::read_to_string(session.path("/etc/hosts")).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?;
        words.any(|word| word == name || word.split('.').next() == Some(name)).then(|| address.to_string())
    })
}
