//! What loading playbooks needs to know of modules, answered from their argument tables.

use crate::diag::{Diagnostic, Span};
use crate::modules::{self, ArgIssue, Completeness, ModuleSpec};
use crate::playbook::{LiteralArgs, ModuleCatalog, ModuleKnown};

/// The built-in modules.
pub struct BuiltIn;

/// Modules that playbooks often call and that are not built in; the message then says so instead of guessing.
const NOT_BUILT_IN: &[&str] = &["docker_container", "patch"];

impl ModuleCatalog for BuiltIn {
    fn find(&self, name: &str) -> ModuleKnown {
        if let Some(spec) = modules::spec(name) {
            return ModuleKnown::Yes { free_form: spec.free_form.is_some() };
        }
        let short = name.rsplit('.').next().unwrap_or(name);
        let builtin = !name.contains('.') || name.starts_with("ansible.");
        if builtin && NOT_BUILT_IN.contains(&short) {
            return ModuleKnown::Refused(format!(
                "the module `{short}` is not built into this version of xplay; `xplay modules` lists those that are"
            ));
        }
        ModuleKnown::No
    }

    fn names(&self) -> Vec<String> {
        modules::names().map(str::to_string).collect()
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        let Some(spec) = modules::spec(name) else { return Vec::new() };
        let names = spec.all_args().flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied()));
        names.map(str::to_string).collect()
    }

    fn check(&self, name: &str, args: &LiteralArgs, complete: bool) -> Vec<Diagnostic> {
        let Some(spec) = modules::spec(name) else { return Vec::new() };
        let all = if complete { Completeness::All } else { Completeness::Some };
        let free = spec.free_form.filter(|_| args.free_form);
        let names = args.args.iter().map(|(name, ..)| &**name).chain(free);
        let mut found: Vec<Diagnostic> =
            spec.check_names(names, all).into_iter().map(|issue| explain(spec, args, &issue)).collect();
        for (arg, _, tree) in &args.args {
            let Some(value) = tree.as_value() else { continue };
            if let Err(reason) = spec.check_value(arg, value) {
                found.push(at(Diagnostic::error("XP0704", reason), tree.span, "this value"));
            }
        }
        found
    }
}

fn explain(spec: &ModuleSpec, args: &LiteralArgs, issue: &ArgIssue) -> Diagnostic {
    let place = |name: &str| args.args.iter().find(|(n, ..)| **n == *name).and_then(|(_, span, _)| *span);
    match issue {
        ArgIssue::Unknown { name, suggestion } => {
            let message = format!("the module `{}` has no argument `{name}`", spec.name);
            let diagnostic = at(Diagnostic::error("XP0701", message), place(name).or(args.span), "not known");
            match suggestion {
                Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
                None => diagnostic.help(format!("its arguments: {}", listed(spec))),
            }
        }
        ArgIssue::Missing { name } => {
            let message = format!("the module `{}` needs the argument `{name}`", spec.name);
            let diagnostic = at(Diagnostic::error("XP0702", message), args.span, "missing here");
            match spec.arg(name) {
                Some(arg) => diagnostic.help(format!("{name}: {}", arg.about)),
                None => diagnostic,
            }
        }
        ArgIssue::Twice { name, given } => {
            let message = format!("the argument `{name}` of `{}` is given twice", spec.name);
            at(Diagnostic::error("XP0703", message), place(given).or(args.span), "the second time")
        }
    }
}

fn listed(spec: &ModuleSpec) -> String {
    spec.all_args().map(|a| a.name).collect::<Vec<_>>().join(", ")
}

fn at(diagnostic: Diagnostic, span: Option<Span>, text: &str) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span, text),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Tree;
    use crate::value::Value;

    fn check(module: &str, args: &[(&str, Value)], complete: bool, expect: &[&str]) {
        let given = LiteralArgs {
            args: args.iter().map(|(n, v)| ((*n).into(), None, Tree::value(v.clone()))).collect(),
            ..LiteralArgs::default()
        };
        let found: Vec<String> = BuiltIn
            .check(module, &given, complete)
            .into_iter()
            .map(|d| format!("{} {} ({})", d.code, d.message, d.help.unwrap_or_default()))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn arguments_are_checked() {
        let text = || Value::str("x");
        check("debug", &[("msg", text())], true, &[]);
        check(
            "debug",
            &[("mgs", text())],
            true,
            &["XP0701 the module `debug` has no argument `mgs` (did you mean `msg`?)"],
        );
        check(
            "assert",
            &[],
            true,
            &["XP0702 the module `assert` needs the argument `that` (that: A condition or a list of them.)"],
        );
        check("assert", &[], false, &[]);
        check(
            "assert",
            &[("that", text()), ("msg", text()), ("fail_msg", text())],
            true,
            &["XP0703 the argument `fail_msg` of `assert` is given twice ()"],
        );
    }

    #[test]
    fn names_are_found_or_refused() {
        assert_eq!(BuiltIn.find("ansible.builtin.debug"), ModuleKnown::Yes { free_form: false });
        assert_eq!(BuiltIn.find("debgu"), ModuleKnown::No);
        assert!(matches!(BuiltIn.find("patch"), ModuleKnown::Refused(_)));
        assert_eq!(BuiltIn.find("community.general.patch"), ModuleKnown::No);
    }
}
