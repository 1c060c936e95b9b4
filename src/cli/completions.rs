//! `xplay completions` and `xplay man`: made from the same source as the help texts.

use clap::CommandFactory;

use super::args::{Args, CompletionsArgs};
use super::exit::{CliError, Ending};
use super::output::Output;

pub fn completions(args: &CompletionsArgs, out: &Output) -> Result<Ending, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "xplay", &mut text);
    out.text(&String::from_utf8_lossy(&text))?;
    Ok(Ending::Done)
}

/// Prints one page with every subcommand.
pub fn man(out: &Output) -> Result<Ending, CliError> {
    out.text(&manual()?)?;
    Ok(Ending::Done)
}

fn manual() -> std::io::Result<String> {
    let mut command = Args::command();
    command.build();
    let mut page = Vec::new();
    let top = clap_mangen::Man::new(command.clone());
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    top.render_synopsis_section(&mut page)?;
    top.render_description_section(&mut page)?;
    top.render_options_section(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let title = format!(".SH XPLAY {}\n", sub.get_name().to_uppercase());
        page.extend_from_slice(title.as_bytes());
        let man = clap_mangen::Man::new(sub.clone());
        let mut part = Vec::new();
        man.render_description_section(&mut part)?;
        man.render_synopsis_section(&mut part)?;
        man.render_options_section(&mut part)?;
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        page.extend_from_slice(part.as_bytes());
    }
    page.extend_from_slice(EXIT_STATUS.as_bytes());
    Ok(String::from_utf8_lossy(&page).into_owned())
}

const EXIT_STATUS: &str = "\
.SH EXIT STATUS
.TP
0
everything succeeded
.TP
1
an error, such as an unreadable password file
.TP
2
a task failed on some host, or the command line is wrong
.TP
4
a host was unreachable, or a playbook, role or inventory has mistakes
.TP
5
an option or setting has a value that makes no sense
.TP
99
interrupted
.TP
250
a failure of xplay itself
";
