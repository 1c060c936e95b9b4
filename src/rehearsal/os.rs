//! The one place of the crate with `unsafe`: leaving this machine's namespaces, and waiting on descriptors.
#![expect(unsafe_code, reason = "neither call has a safe form; see the comments at them")]

use std::os::fd::OwnedFd;

use rustix::io;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Moves the calling thread into new namespaces of the given kinds.
///
/// Only namespace flags are accepted: anything else is `EINVAL`.
pub(super) fn enter_new_namespaces(kinds: UnshareFlags) -> io::Result<()> {
    let namespaces = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC;
    if !namespaces.contains(kinds) {
        return Err(io::Errno::INVAL);
    }
    // SAFETY: the documented hazard of unshare is `CLONE_FILES`, which gives threads different descriptor
    // tables; the check above excludes it. Namespace flags change no memory and no descriptor.
    unsafe { unshare_unsafe(kinds) }
}

/// Registers a descriptor with the runtime, which then tells when it is ready.
pub(super) fn watch(fd: OwnedFd, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor must stay open and the same file while it is registered. The result owns it, lends it
    // only by reference, and deregisters it before closing it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}
