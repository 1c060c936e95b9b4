//! Embedded hosts for the benchmark: serves `XPLAY_BENCH_HOSTS` of them inside this process, with their files in the folder
//! that `XPLAY_BENCH_LINK` is made to lead to. With arguments it then is xplay, which reaches them by memory instead of
//! sockets; without, it serves until its stdin ends.

use std::error::Error;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use xplay::rehearsal::{start_plain, start_plain_inside};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let count = std::env::var("XPLAY_BENCH_HOSTS")?.parse()?;
    let link = std::env::var("XPLAY_BENCH_LINK")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let is_xplay = std::env::args_os().len() > 1;
    let hosts = match is_xplay {
        true => runtime.block_on(start_plain_inside(count))?,
        false => runtime.block_on(start_plain(count))?,
    };
    let inventory = hosts.inventory_path();
    symlink(inventory.parent().ok_or("an inventory without a folder")?, &link)?;
    let code = if is_xplay {
        xplay::cli::main()
    } else {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        ExitCode::SUCCESS
    };
    drop(hosts);
    Ok(code)
}
