//! Hosts that are reached by a fan-out tool of their site: one script for many of them, sent once.
//!
//! - [`hub`] gathers what many hosts are to do at one moment, and sends what is the same for several in one go.
//! - [`tool`] knows how ClusterShell's `clush` and xCAT's `xdsh` are called, and what they say.
//! - [`parcel`] makes one file of frames, which a shell on each node works off without being talked to.
//! - [`answer`] takes the outputs of a node out of what the tool printed.
//! - [`session`] is what the layers above see: a host like any other.

mod answer;
mod hub;
mod parcel;
mod session;
mod tool;

pub(super) use hub::Hub;
pub(super) use session::FanoutConnection;
pub(super) use tool::Tool;
