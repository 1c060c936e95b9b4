//! `xplay modules`: the list of modules, and the documentation of one from its argument table.

use std::fmt::Write as _;

use super::args::ModulesArgs;
use super::doc::find;
use super::exit::{CliError, Ending};
use super::output::Output;
use crate::modules::{self, ArgKind, ArgSpec, ModuleSpec, Rule};

pub fn modules(args: &ModulesArgs, out: &Output) -> Result<Ending, CliError> {
    let text = match &args.name {
        None => list(),
        Some(name) => document(find(name)?),
    };
    out.text(&text)?;
    Ok(Ending::Done)
}

fn list() -> String {
    let mut names: Vec<&str> = modules::names().collect();
    names.sort_unstable();
    let width = names.iter().map(|n| n.len()).max().unwrap_or(0);
    let mut text = String::new();
    for spec in names.iter().filter_map(|name| modules::spec(name)) {
        let _ = writeln!(text, "{:width$}  {}", spec.name, spec.about);
    }
    text
}

fn document(spec: &ModuleSpec) -> String {
    let mut text = format!("{}\n\n  {}\n", spec.full_name(), spec.about);
    let mut args: Vec<&ArgSpec> = spec.all_args().collect();
    args.sort_by_key(|arg| (!arg.required, arg.name));
    if !args.is_empty() {
        text.push_str("\nArguments\n");
    }
    for arg in args {
        let _ = write!(text, "\n  {} ({}", arg.name, kind(arg.kind));
        if arg.required {
            text.push_str(", required");
        }
        if let Some(default) = arg.default {
            let _ = write!(text, ", default {}", if default.is_empty() { "\"\"" } else { default });
        }
        text.push_str(")\n");
        let _ = writeln!(text, "    {}", arg.about);
        if !arg.choices.is_empty() {
            let _ = writeln!(text, "    One of: {}.", arg.choices.join(", "));
        }
        if !arg.aliases.is_empty() {
            let _ = writeln!(text, "    Also called: {}.", arg.aliases.join(", "));
        }
    }
    if let Some(free) = spec.free_form {
        let _ = writeln!(text, "\n  The text behind the module's name is the argument {free}.");
    }
    if spec.any_args {
        text.push_str("\n  Takes arguments of any other name too.\n");
    }
    if !spec.rules.is_empty() {
        text.push('\n');
    }
    for rule in spec.rules {
        let _ = writeln!(text, "  {}", demand(rule));
    }
    if !spec.returns.is_empty() {
        text.push_str("\nReturns\n\n");
        let width = spec.returns.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, about) in spec.returns {
            let _ = writeln!(text, "  {name:width$}  {about}");
        }
    }
    text
}

fn kind(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::Str => "text",
        ArgKind::Path => "path",
        ArgKind::Int => "whole number",
        ArgKind::Float => "number",
        ArgKind::Bool => "yes or no",
        ArgKind::StrList => "list of texts",
        ArgKind::List => "list",
        ArgKind::Dict => "map",
        ArgKind::Raw => "anything",
    }
}

fn demand(rule: &Rule) -> String {
    match rule {
        Rule::Exclusive(names) => format!("At most one of: {}.", names.join(", ")),
        Rule::OneOf(names) => format!("At least one of: {}.", names.join(", ")),
        Rule::Together(names) => format!("All of these or none: {}.", names.join(", ")),
        Rule::If { arg, value, needs } => format!("With {arg}={value} also: {}.", needs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_a_module() {
        insta::assert_snapshot!(document(find("ansible.builtin.debug").unwrap()), @r#"
        ansible.builtin.debug

          Prints a message or a variable.

        Arguments

          msg (anything, default Hello world!)
            The message.

          var (anything)
            The name of a variable, or an expression, to print.

          verbosity (whole number, default 0)
            Print only at this verbosity and above.

          At most one of: msg, var.
        "#);
    }

    #[test]
    fn unknown_modules_have_suggestions() {
        let error = find("lineinflie").unwrap_err();
        assert_eq!(error.to_string(), "there is no module \"lineinflie\"");
        assert_eq!(error.help(), Some("did you mean \"lineinfile\"?"));
    }

    #[test]
    fn the_list_has_one_line_for_each() {
        assert_eq!(list().lines().count(), modules::names().count());
    }
}
