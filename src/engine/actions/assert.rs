//! `assert`.

use super::raw_arg;
use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{TaskResult, Trouble, explain};
use crate::modules::Failure;
use crate::playbook::plain_condition;
use crate::template::{Tree, TreeKind, Truth};
use crate::value::{Map, Value};

/// Checks the conditions in order; the first that does not hold fails the task.
pub fn run(item: &ItemRun) -> Result<TaskResult, Trouble> {
    let Some(that) = raw_arg(item, "that") else {
        return Err(Trouble::msg("conditional required in \"that\" string"));
    };
    let quiet = raw_arg(item, "quiet").map(|t| item.render(t)).transpose()?.is_some_and(|v| truth(&v));
    let mut unknown = None;
    for condition in conditions(that) {
        let (text, holds) = evaluate(item, condition)?;
        match holds {
            Truth::True => {}
            Truth::Unknown(u) => unknown = unknown.or(Some(u)),
            Truth::False => {
                let msg = message(item, &["fail_msg", "msg"])?.unwrap_or_else(|| "Assertion failed".into());
                let failure = Failure::new(msg.to_text()).with("assertion", text).with("evaluated_to", false);
                let mut failed = TaskResult::from_trouble(failure.into());
                failed.result.insert("msg", msg);
                return Ok(TaskResult { verbose_always: !quiet, ..failed });
            }
        }
    }
    if let Some(u) = unknown.as_ref().filter(|_| item.shared.options.planning) {
        let mut result = item.not_known_yet(u);
        result.units.iter_mut().for_each(|unit| {
            unit.state = crate::plan::State::Read;
            unit.reason = Some("checked when the plan is applied".into());
        });
        return Ok(result);
    }
    let msg = match unknown {
        Some(u) => Value::str(format!("not known yet: {}", u.cause)),
        None => message(item, &["success_msg"])?.unwrap_or_else(|| "All assertions passed".into()),
    };
    let mut done = TaskResult::ok(Map::from_iter([("msg", msg)]));
    done.verbose_always = !quiet;
    if quiet {
        done.result.remove("msg");
    }
    Ok(done)
}

fn conditions(that: &Tree) -> Vec<&Tree> {
    match &that.kind {
        TreeKind::List(items) => items.iter().collect(),
        _ => vec![that],
    }
}

/// A literal text is an expression of the project. A template gives a value, which is asked for its truth and never
/// compiled, as it may come from a host.
fn evaluate(item: &ItemRun, tree: &Tree) -> Result<(Value, Truth), Trouble> {
    let literal = match tree.as_value() {
        Some(Value::List(items)) => {
            for text in items.iter() {
                let one = Tree { kind: TreeKind::Value(text.clone()), span: tree.span };
                let (text, holds) = evaluate(item, &one)?;
                if !matches!(holds, Truth::True) {
                    return Ok((text, holds));
                }
            }
            return Ok((Value::Null, Truth::True));
        }
        // What is empty demands nothing.
        Some(Value::Null) => return Ok((Value::Null, Truth::True)),
        Some(Value::Str(text)) => Some(text.shared()),
        _ => None,
    };
    // A template inside of a string that the project compares with is part of the expression.
    let written = match &tree.kind {
        TreeKind::Template(template) if !is_one_template(&template.text) => {
            plain_condition(&template.text).map(|plain| (template.text.clone(), plain))
        }
        _ => None,
    };
    if let Some((text, plain)) = written {
        item.shared.templar.warn(format!(
            "conditional statements should not include jinja2 templating delimiters such as {{{{ }}}} or {{% %}}. Found: {text}"
        ));
        let expr = item.shared.templar.compile_expr(&plain, tree.span).map_err(|d| explain(vec![d]))?;
        let holds = item.shared.templar.test(&expr, &item.vars).map_err(|e| Trouble::condition(&text, &e))?;
        return Ok((Value::str(text), holds));
    }
    let Some(text) = literal else {
        let value = item.render(tree)?;
        let holds = match &value {
            Value::Unknown(u) => Truth::Unknown(u.clone()),
            v if truth(v) => Truth::True,
            _ => Truth::False,
        };
        return Ok((value, holds));
    };
    let expr = item.shared.templar.compile_expr(&text, tree.span).map_err(|d| explain(vec![d]))?;
    let holds = item.shared.templar.test(&expr, &item.vars).map_err(|e| Trouble::condition(&text, &e))?;
    Ok((Value::str(text), holds))
}

/// Whether a text is one `{{ }}` and nothing else.
fn is_one_template(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}") && !text[2..].contains("{{")
}

fn message(item: &ItemRun, names: &[&str]) -> Result<Option<Value>, Trouble> {
    for name in names {
        if let Some(tree) = raw_arg(item, name) {
            return item.render(tree).map(Some);
        }
    }
    Ok(None)
}
