//! `debug` and `fail`.

use super::raw_arg;
use crate::engine::item::ItemRun;
use crate::engine::result::{TaskResult, Trouble, explain};
use crate::modules::{self, Failure};
use crate::playbook::Action;
use crate::value::{Map, Value};

pub fn debug(item: &ItemRun) -> Result<TaskResult, Trouble> {
    let Action::Module { name, args, free_form, template_args, .. } = &item.task.action else {
        return Err(Trouble::msg("debug is no module"));
    };
    // A variable that does not exist is what `var` is often asked about: it is printed, not an error.
    if raw_arg(item, "var").is_some() && raw_arg(item, "msg").is_some() {
        return Err(Trouble::msg("parameters are mutually exclusive: msg|var"));
    }
    let mut given = match raw_arg(item, "var") {
        Some(_) => Map::new(),
        None => item.arguments(name, args, free_form.as_ref(), template_args.as_ref())?,
    };
    if let Some(verbosity) = raw_arg(item, "verbosity") {
        given.insert("verbosity", item.render(verbosity)?);
    }
    let wanted =
        given.get("verbosity").and_then(|v| v.as_int().or_else(|| v.to_text().parse().ok())).unwrap_or(0);
    if i128::from(item.shared.options.verbosity) < wanted {
        let mut skipped = TaskResult::skipped("Verbosity threshold not met.");
        skipped.result.remove("skip_reason");
        skipped.result.insert("skipped_reason", "Verbosity threshold not met.");
        return Ok(skipped);
    }
    let mut result = Map::new();
    match raw_arg(item, "var") {
        Some(tree) => {
            let (label, value) = variable(item, tree)?;
            result.insert(label, value);
        }
        None => {
            let args = modules::controller_spec("debug").map(|s| s.check(&given)).transpose()?;
            let msg = match given.get("msg") {
                Some(Value::Null) => Some(Value::Null),
                _ => args.and_then(|a| a.map().get("msg").cloned()),
            };
            result.insert("msg", msg.unwrap_or_else(|| Value::str("Hello world!")));
        }
    }
    let mut done = TaskResult::ok(result);
    done.result.remove("changed");
    done.verbose_always = true;
    Ok(done)
}

/// Evaluates `var:`; the label is the expression, as Ansible prints it.
fn variable(item: &ItemRun, tree: &crate::template::Tree) -> Result<(String, Value), Trouble> {
    let given = item.render(tree)?;
    let Some(text) = tree.as_value().and_then(Value::as_str) else {
        // `var: "{{ x }}"` names a variable by a template; only plain names are looked up, nothing is compiled.
        return Ok((given.type_name().to_string(), given));
    };
    let expr = item.shared.templar.compile_expr(text, tree.span).map_err(|d| explain(vec![d]))?;
    match item.shared.templar.eval(&expr, &item.vars) {
        Ok(value) => Ok((text.to_string(), value)),
        Err(e) if e.is_undefined() => Ok((text.to_string(), "VARIABLE IS NOT DEFINED!".into())),
        Err(e) => Err(e.into()),
    }
}

pub fn fail(given: &Map) -> Result<TaskResult, Trouble> {
    let msg = given.get("msg").map_or_else(|| "Failed as requested from task".to_string(), Value::to_text);
    Err(Failure::new(msg).into())
}
