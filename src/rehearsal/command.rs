//! Hidden subcommands that run inside the management node: the emulated xCAT commands and its `ssh`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::control::{Control, ControlError, Power};
use super::emulation::NO_DELAYS;
use super::xcat::{
    self, Caller, NodeAccess, NodeOutput, NodeUnreachable, Pace, PowerAction, PowerError, PowerState,
    SystemClock, World,
};

/// The name of the hidden subcommand behind the management node's `ssh`.
pub const SSH_COMMAND: &str = "rehearsal-ssh";

impl NodeAccess for Control {
    fn run(&self, node: &str, script: &str, stdin: &[u8]) -> Result<NodeOutput, NodeUnreachable> {
        let output =
            Self::run(self, node, script, stdin).map_err(|error| NodeUnreachable(in_words(&error)))?;
        Ok(NodeOutput { rc: output.exit.code(), stdout: output.stdout, stderr: output.stderr })
    }

    fn power(&self, node: &str, action: PowerAction) -> Result<PowerState, PowerError> {
        let action = match action {
            PowerAction::On => Power::On,
            PowerAction::Off => Power::Off,
            PowerAction::Reset => Power::Reset,
        };
        order(self, node, action)
    }

    fn power_state(&self, node: &str) -> Result<PowerState, PowerError> {
        order(self, node, Power::State)
    }
}

fn order(control: &Control, node: &str, action: Power) -> Result<PowerState, PowerError> {
    match Control::power(control, node, action) {
        Ok(true) => Ok(PowerState::On),
        Ok(false) => Ok(PowerState::Off),
        Err(error) => Err(PowerError(vec![format!("ERROR: {}", in_words(&error))])),
    }
}

/// An error with its cause; a missing supervisor is what a rehearsal's user sees when it was killed.
fn in_words(error: &ControlError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn exit_code(code: i32) -> ExitCode {
    // As the kernel does: only the low byte is left.
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

fn words(args: impl IntoIterator<Item = OsString>) -> Vec<String> {
    args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Runs an emulated command; the first argument is its name.
pub(super) fn xcat_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = words(args);
    if args.is_empty() {
        return ExitCode::from(127);
    }
    let name = args.remove(0);
    let root = Path::new("/");
    let uid = rustix::process::geteuid();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let caller = if uid.is_root() {
        Caller::root()
    } else {
        Caller { uid: uid.as_raw(), name: variable("USER"), home: variable("HOME") }
    };
    let world = World {
        root: root.into(),
        nodes: Box::new(Control::in_root(root)),
        clock: Box::new(SystemClock),
        pace: if root.join(NO_DELAYS).exists() { Pace::Off } else { Pace::Short },
        caller,
        bypass: variable("XCATBYPASS") == "1",
    };
    let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
    exit_code(xcat::run(&world, &name, &args, &mut stdin, &mut stdout, &mut stderr))
}

/// Stands in for `ssh HOST COMMAND` inside the management node.
pub(super) fn ssh_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = words(args);
    let (host, command, wants_input) = match parse_ssh(&args) {
        Ok(parsed) => parsed,
        Err(text) => return complain(&text),
    };
    let reads = wants_input && !rustix::termios::isatty(io::stdin());
    let stdin: Box<dyn io::Read + Send> = if reads { Box::new(io::stdin()) } else { Box::new(io::empty()) };
    match Control::in_root(Path::new("/")).stream(&host, &command, stdin, io::stdout(), io::stderr()) {
        Ok(code) => exit_code(code),
        Err(error) => complain(&format!("ssh: connect to host {host} port 22: {}", in_words(&error))),
    }
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}\r");
    ExitCode::from(255)
}

/// Host, command and whether to read stdin, from ssh's arguments.
fn parse_ssh(args: &[String]) -> Result<(String, String, bool), String> {
    let mut wants_input = true;
    let mut rest = args.iter();
    let host = loop {
        let Some(arg) = rest.next() else {
            return Err("usage: ssh [options] destination command (rehearsal of xplay)".into());
        };
        match arg.strip_prefix('-') {
            None => break arg.rsplit_once('@').map_or(arg.as_str(), |(_, host)| host),
            Some(flags) => {
                wants_input &= !flags.contains('n');
                // Options with a value of its own word.
                if flags.len() == 1 && "BbcDEeFIiJLlmOopQRSWw".contains(flags) {
                    rest.next();
                }
            }
        }
    };
    let command: Vec<&str> = rest.map(String::as_str).collect();
    if command.is_empty() {
        return Err("ssh: a rehearsal host gives its nodes no interactive shells, name a command".into());
    }
    let short = host.split('.').next().unwrap_or(host);
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    Ok((if is_address { host } else { short }.to_string(), command.join(" "), wants_input))
}

#[cfg(test)]
mod tests {
    use super::parse_ssh;

    fn parse(line: &str) -> Option<(String, String, bool)> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        parse_ssh(&words).ok()
    }

    #[test]
    fn arguments_of_ssh() {
        let expect = |host: &str, command: &str, input| Some((host.to_string(), command.to_string(), input));
        assert_eq!(parse("sn1 uname -n"), expect("sn1", "uname -n", true));
        assert_eq!(parse("-o BatchMode=yes -n root@sn1.cluster.test true"), expect("sn1", "true", false));
        assert_eq!(parse("-p22 10.20.0.11 id"), expect("10.20.0.11", "id", true));
        assert_eq!(parse("sn1"), None);
    }
}
