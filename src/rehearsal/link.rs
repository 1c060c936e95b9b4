//! The wire between the supervisor and a host's agent: one packet per message on a Unix socket pair.
//!
//! A packet is a JSON header, a newline, and raw bytes (a command line need not be UTF-8); descriptors travel
//! beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The largest packet: an exec line may have 128 KiB, as the kernel allows for one argument.
const PACKET_MAX: usize = 192 * 1024;
const FDS_MAX: usize = 3;

/// How a host's root is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootMode {
    /// Own mount, pid and uts namespaces, and a user namespace for an ordinary user.
    Namespaces,
    /// Only `chroot`: for root in a container that forbids namespaces.
    Chroot,
}

/// What the agent of one host has to set up before it takes commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EnterSpec {
    pub(super) root: PathBuf,
    pub(super) hostname: String,
    /// The management node's root, for what a booting node fetches from there.
    pub(super) management_root: PathBuf,
    pub(super) mode: RootMode,
    /// Also a user namespace with the caller mapped to root.
    pub(super) user_namespace: bool,
    pub(super) fill: Fill,
    /// The root came over the network, whatever it is made of here.
    pub(super) diskless: bool,
    pub(super) boot_id: String,
    pub(super) binds: Vec<Bind>,
}

/// Where the content of the root comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Fill {
    /// The directory is the root as it stands.
    Directory,
    /// A memory file system (with namespaces) or the directory, filled from a packed image.
    Image(PathBuf),
    /// The same, filled from the tar file that an earlier shutdown wrote.
    Suspended(PathBuf),
}

/// A file or directory of this machine that appears in the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bind {
    pub(super) source: PathBuf,
    /// Relative to the root.
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) when: BindWhen,
}

/// When a bind takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum BindWhen {
    /// At every start.
    Always,
    /// When the root's fstab mounts the target over the network.
    Fstab,
}

/// Supervisor to agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Starts a process; the packet's bytes are the command, three descriptors are its stdio.
    Start { id: u64, launch: Launch, env: Vec<(String, String)> },
    /// Sends a signal to the process group of a started process.
    Signal { id: u64, signal: i32 },
}

/// What kind of process an order starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Launch {
    /// `sh -c COMMAND`.
    Command,
    /// `sh -c COMMAND` in a session of its own whose terminal is its stdin.
    CommandOnTerminal,
    /// A login shell reading stdin.
    Shell,
    /// A login shell in a session of its own whose terminal is its stdin.
    ShellOnTerminal,
}

/// Agent to supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The root stands and commands are taken.
    Ready,
    /// The root could not be set up.
    Failed { step: String, reason: String },
    /// A started process ended.
    Ended { id: u64, exit: Exit },
    /// A process could not be started.
    Refused { id: u64, reason: String },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The status a shell would show: 128 plus the number for a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// One end of the socket pair.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
}

/// A received packet.
pub(super) struct Packet<T> {
    pub(super) header: T,
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

impl Link {
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: ours }, theirs))
    }

    pub(super) fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// A second handle to the same end.
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()? })
    }

    /// Sends one packet; it arrives whole or not at all.
    pub(super) fn send<T: Serialize>(
        &self,
        header: &T,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut head = serde_json::to_vec(header)?;
        head.push(b'\n');
        if head.len() + bytes.len() > PACKET_MAX {
            return Err(io::Error::from(rustix::io::Errno::TOOBIG));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::from(rustix::io::Errno::TOOBIG));
        }
        let parts = [IoSlice::new(&head), IoSlice::new(bytes)];
        rustix::io::retry_on_intr(|| {
            sendmsg(self.socket.as_fd(), &parts, &mut ancillary, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// Waits for the next packet; `None` once the other end is closed.
    pub(super) fn receive<T: DeserializeOwned>(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Packet<T>>> {
        buffer.resize(PACKET_MAX, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::io::retry_on_intr(|| {
            recvmsg(
                self.socket.as_fd(),
                &mut [IoSliceMut::new(buffer)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if got.bytes == 0 {
            return Ok(None);
        }
        let packet = &buffer[..got.bytes];
        let end = packet.iter().position(|byte| *byte == b'\n').unwrap_or(packet.len());
        let header = serde_json::from_slice(&packet[..end])?;
        let bytes = packet.get(end + 1..).unwrap_or_default().to_vec();
        Ok(Some(Packet { header, bytes, fds }))
    }

    /// Ends the conversation in both directions; the agent then ends its host.
    pub(super) fn close(&self) {
        // A socket that is already closed by the other side needs nothing more.
        let _ = shutdown(self.socket.as_fd(), Shutdown::Both);
    }
}
