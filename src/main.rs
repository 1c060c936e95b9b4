//! The `xplay` binary: everything lives in the library.

fn main() {}
