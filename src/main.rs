//! The `xplay` binary: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if let Some(first) = args.next()
        && let Some(code) = xplay::rehearsal::hidden_command(&first, args)
    {
        return code;
    }
    ExitCode::SUCCESS
}
