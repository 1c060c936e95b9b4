//! The lookup `config`: settings by name, and options of plugins with the variables that set them.

use std::sync::Arc;

use super::Call;
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::runtime::V;
use crate::value::Value;

/// A setting as the command line found it.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingValue {
    /// `DEFAULT_FORKS`, or `connection.ssh.port` for an option of a plugin.
    pub name: Arc<str>,
    pub value: Value,
    /// `default`, `env: NAME` or the file.
    pub origin: String,
    /// Variables that say it instead, the strongest last.
    pub vars: Vec<Arc<str>>,
}

pub(super) fn config(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let on_missing = call.option(interp, "on_missing")?.map_or("error".to_string(), |v| v.to_text());
    if !matches!(on_missing.as_str(), "error" | "skip" | "warn") {
        return Err(Fail::failed(format!(
            "\"on_missing\" must be a string and one of 'error', 'warn' or 'skip', valid values are these and not {on_missing}"
        )));
    }
    let kind = call.option(interp, "plugin_type")?.map(|v| v.to_text());
    let plugin = call.option(interp, "plugin_name")?.map(|v| v.to_text());
    let show_origin = call.option(interp, "show_origin")?.is_some_and(|v| v.is_truthy());
    if kind.is_some() != plugin.is_some() {
        return Err(Fail::failed(
            "Both plugin_type and plugin_name are required, cannot use one without the other",
        ));
    }
    let mut out = Vec::new();
    for term in call.values(interp)? {
        let Value::Str(term) = &term else {
            return Err(Fail::failed(format!(
                "Invalid setting identifier, \"{}\" is not a string, its type is {}",
                term.to_text(),
                term.type_name()
            )));
        };
        let name = match (&kind, &plugin) {
            (Some(kind), Some(plugin)) => format!("{kind}.{plugin}.{term}"),
            _ => term.to_string(),
        };
        let found = interp.templar.settings().settings.iter().find(|s| *s.name == *name).cloned();
        let Some(setting) = found else {
            if on_missing == "error" {
                let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
                let what = if plain || kind.is_some() { "Unable to find setting" } else { "Invalid setting" };
                return Err(Fail::failed(format!("{what} {term}")));
            }
            continue;
        };
        let (value, origin) = current(interp, &setting)?;
        out.push(V::Val(if show_origin { Value::list(vec![value, Value::str(origin)]) } else { value }));
    }
    Ok(out)
}

/// The value of a variable that stands for the setting, else the setting's own.
fn current(interp: &mut Interp<'_>, setting: &SettingValue) -> R<(Value, String)> {
    for name in setting.vars.iter().rev() {
        match interp.global(name)? {
            V::Undef(_) => {}
            found => return Ok((interp.value(&found)?, format!("var: {name}"))),
        }
    }
    Ok((setting.value.clone(), setting.origin.clone()))
}
