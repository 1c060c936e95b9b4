//! `xplay show`: a plan file as text, offline.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::args::{ShowArgs, ShowFormat};
use super::exit::{CliError, Ending};
use super::output::{self, Output};
use crate::plan::render::terminal::{SCREEN, TerminalOptions};
use crate::plan::render::{Approval, Document, Header, StyledLine, html, json, junit, markdown, terminal};
use crate::plan::select::{SelectError, Selection};
use crate::plan::{PlanFile, PlanFileError};
use crate::report::MaskedWriter;

pub fn show(args: &ShowArgs, out: &Output) -> Result<Ending, CliError> {
    let file = read(&args.file)?;
    let selection = Selection { hosts: args.hosts.clone(), step: args.step.clone() };
    let selected = selection.of(file.plan()).map_err(nothing_left)?;
    let name = args.file.to_string_lossy();
    let document = Document {
        header: header(&file, &name)?,
        plan: &selected,
        whole: file.plan(),
        selection: &selection,
    };
    match args.format.unwrap_or_else(|| format_of(args.output.as_deref())) {
        ShowFormat::Terminal => {
            let options = TerminalOptions {
                width: output::columns(),
                height: SCREEN,
                color: out.color && args.output.is_none(),
                all: args.all,
                now: Some(Timestamp::now()),
            };
            write_lines(&terminal::lines(&document, &options), args.output.as_deref(), out)?;
        }
        ShowFormat::Md => match &args.output {
            // Only files are split: a pipe has one reader.
            None => out.text(&markdown::parts(&document, args.all, usize::MAX).concat())?,
            Some(path) => {
                let parts = markdown::parts(&document, args.all, markdown::COMMENT);
                for (index, part) in parts.iter().enumerate() {
                    let path = part_path(path, index);
                    write_file(&path, part)?;
                    if parts.len() > 1 {
                        out.note(&format!("wrote {}", path.display()));
                    }
                }
            }
        },
        ShowFormat::Html => write_text(&html::page(&document), args.output.as_deref(), out)?,
        ShowFormat::Json => {
            let text = json::text(&document)
                .map_err(|e| CliError::Internal(format!("cannot write the plan as JSON: {e}")))?;
            write_text(&text, args.output.as_deref(), out)?;
        }
        ShowFormat::Junit => write_text(&junit::text(&document), args.output.as_deref(), out)?,
    }
    Ok(Ending::Done)
}

/// Shows a whole plan on this terminal; `name` is its file, if it was written to one.
pub fn print(file: &PlanFile, name: Option<&str>, out: &Output) -> Result<(), CliError> {
    let selection = Selection { hosts: None, step: None };
    let document = Document {
        header: header(file, name.unwrap_or_default())?,
        plan: file.plan(),
        whole: file.plan(),
        selection: &selection,
    };
    let options = TerminalOptions {
        width: output::columns(),
        height: SCREEN,
        color: out.color,
        all: false,
        now: Some(Timestamp::now()),
    };
    write_lines(&terminal::lines(&document, &options), None, out)
}

/// Reads a plan file.
pub fn read(path: &Path) -> Result<PlanFile, CliError> {
    PlanFile::read(path).map_err(|error| match error {
        PlanFileError::File { action, path, source } => CliError::File { action, path, source },
        other => CliError::cannot(super::chain(&other)),
    })
}

/// Writes lines to stdout, or to a file.
pub fn write_lines(lines: &[StyledLine], path: Option<&Path>, out: &Output) -> Result<(), CliError> {
    let mut text = Vec::new();
    let mut writer = MaskedWriter::new(&mut text, out.secrets.clone());
    for line in lines {
        let parts: Vec<(&str, &str)> = line.iter().map(|(style, text)| (*style, text.as_str())).collect();
        writer.line(&parts)?;
    }
    if let Some(path) = path {
        return write_file(path, &String::from_utf8_lossy(&text));
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text)?;
    Ok(stdout.flush()?)
}

fn write_text(text: &str, path: Option<&Path>, out: &Output) -> Result<(), CliError> {
    match path {
        Some(path) => write_file(path, text),
        None => Ok(out.text(text)?),
    }
}

fn write_file(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(|source| CliError::File {
        action: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// The format that a file's name asks for.
fn format_of(path: Option<&Path>) -> ShowFormat {
    match path.and_then(Path::extension).and_then(|e| e.to_str()) {
        Some("md") => ShowFormat::Md,
        Some("html" | "htm") => ShowFormat::Html,
        Some("json") => ShowFormat::Json,
        Some("xml") => ShowFormat::Junit,
        _ => ShowFormat::Terminal,
    }
}

/// Returns `plan.md`, `plan-2.md`, `plan-3.md` ...
fn part_path(path: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{}{extension}", index + 1))
}

fn header<'a>(file: &'a PlanFile, name: &'a str) -> Result<Header<'a>, CliError> {
    let approval = |approval: &crate::plan::file::Approval| -> Result<Approval, CliError> {
        let said = approval
            .parse()
            .map_err(|problem| CliError::cannot(format!("an approval in {name} {problem}")))?;
        let note = if said.note.is_empty() { None } else { Some(said.note) };
        Ok(Approval { by: said.who, note })
    };
    Ok(Header {
        id: file.id(),
        file: name,
        created: Some(file.created().at),
        expires: Some(file.created().expires),
        approvals: file.approvals().iter().map(approval).collect::<Result<_, _>>()?,
    })
}

fn nothing_left(error: SelectError) -> CliError {
    let cannot = CliError::cannot(error.to_string());
    match error.suggestion() {
        Some(best) => cannot.with_help(format!("did you mean \"{best}\"?")),
        None => cannot.with_help("xplay show FILE --all shows what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbered_from_the_second_on() {
        let check = |path: &str, index: usize, expect: &str| {
            assert_eq!(part_path(Path::new(path), index), Path::new(expect));
        };
        check("out/plan.md", 0, "out/plan.md");
        check("out/plan.md", 1, "out/plan-2.md");
        check("plan", 2, "plan-3");
    }
}
