//! The `xplay` binary: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    xplay::cli::main()
}
