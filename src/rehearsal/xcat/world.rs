//! What the emulator needs from outside: its root directory, the nodes, the time and who calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Is everything a command may touch: the management node's tree and ways to reach the nodes.
pub struct World {
    /// "/" of the management node.
    pub root: PathBuf,
    pub nodes: Box<dyn NodeAccess>,
    pub clock: Box<dyn Clock>,
    pub pace: Pace,
    pub caller: Caller,
    /// `XCATBYPASS=1`: the command works without the daemon.
    pub bypass: bool,
}

/// Is the user who typed the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub name: String,
    pub home: String,
}

impl Caller {
    /// Returns root, to whom everything is allowed.
    pub fn root() -> Self {
        Caller { uid: 0, name: "root".into(), home: "/root".into() }
    }
}

/// Says how long slow commands take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// No delays, for tests.
    Off,
    /// Long enough to see output stream, short enough to wait for.
    Short,
}

/// Is the result of a shell script on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeOutput {
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Says why nothing on the node answered, in ssh's words ("No route to host", "Connection refused").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NodeUnreachable(pub String);

/// Is an order to a node's hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerAction {
    On,
    Off,
    Reset,
}

/// Is what a node's hardware says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    On,
    Off,
}

/// Holds the lines that a hardware controller's failure prints, such as `ERROR: timeout`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct PowerError(pub Vec<String>);

/// Is the device of the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    Network,
    HardDrive,
    Cd,
    Floppy,
    Default,
}

impl BootDevice {
    /// Returns the words that a controller uses for it.
    pub fn words(self) -> &'static str {
        match self {
            BootDevice::Network => "Network",
            BootDevice::HardDrive => "Hard Drive",
            BootDevice::Cd => "CD/DVD",
            BootDevice::Floppy => "Floppy",
            BootDevice::Default => "Default",
        }
    }
}

/// Is a file to be placed on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFile {
    pub path: String,
    pub mode: u32,
    pub modified_secs: u64,
    pub content: Vec<u8>,
}

/// Reaches the nodes of the cluster.
pub trait NodeAccess: Send + Sync {
    /// Runs `script` with the node's `sh` as root.
    fn run(&self, node: &str, script: &str, stdin: &[u8]) -> Result<NodeOutput, NodeUnreachable>;

    /// Gives an order to the node's hardware and returns the state after it.
    fn power(&self, node: &str, action: PowerAction) -> Result<PowerState, PowerError>;

    /// Asks the node's hardware for its state.
    fn power_state(&self, node: &str) -> Result<PowerState, PowerError>;

    /// Sets the device of the next boot and returns what the controller then reads back.
    fn set_boot_device(&self, node: &str, device: BootDevice) -> Result<String, PowerError> {
        self.power_state(node)?;
        Ok(device.words().into())
    }

    /// Asks for the device of the next boot.
    fn boot_device(&self, node: &str) -> Result<String, PowerError> {
        self.power_state(node)?;
        Ok("boot override inactive".into())
    }

    /// Places a file on the node; its directory is made. The default does it with the node's shell.
    fn put(&self, node: &str, file: &PutFile) -> Result<NodeOutput, NodeUnreachable> {
        let path = quote(&file.path);
        let dir = file.path.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir });
        let script = format!(
            "mkdir -p {dir} && cat > {path} && chmod {mode:o} {path} && touch -d @{time} {path}",
            dir = quote(dir),
            mode = file.mode & 0o7777,
            time = file.modified_secs,
        );
        self.run(node, &script, &file.content)
    }
}

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Zoned;
    fn pause(&self, length: Duration);
}

/// Is the real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Zoned {
        jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC)
    }

    fn pause(&self, length: Duration) {
        std::thread::sleep(length);
    }
}

impl World {
    /// Returns where a path of the management node really is.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        below(&self.root, inside.as_ref())
    }
}

/// Joins an absolute path below another root; `..` cannot lead out.
pub(super) fn below(root: &Path, inside: &Path) -> PathBuf {
    let mut out = root.to_path_buf();
    for part in inside.components() {
        match part {
            std::path::Component::Normal(name) => out.push(name),
            std::path::Component::ParentDir if out != root => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

/// Quotes one word for `sh`.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
