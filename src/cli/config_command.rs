//! `xplay config`: the settings and where they come from, as `ansible-config` shows them.

use std::fmt::Write as _;

use super::args::{ConfigArgs, ConfigCommand};
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::setting_table;
use crate::template::SettingValue;
use crate::value::{JsonStyle, Map, Value, to_python_json};

pub fn config(args: &ConfigArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let text = match &args.command {
        ConfigCommand::View => match &config.file {
            Some(path) => std::fs::read_to_string(path).map_err(|source| CliError::File {
                action: "read",
                path: path.clone(),
                source,
            })?,
            None => return Err(CliError::cannot("Invalid or no config file was supplied")),
        },
        ConfigCommand::Dump { only_changed } => dump(&settings(config), *only_changed),
        ConfigCommand::List => list(&settings(config)),
    };
    out.text(&text)?;
    Ok(Ending::Done)
}

/// The settings of Ansible itself, without those of plugins.
fn settings(config: &Config) -> Vec<SettingValue> {
    setting_table::all(config).into_iter().filter(|setting| !setting.name.contains('.')).collect()
}

fn dump(all: &[SettingValue], only_changed: bool) -> String {
    let mut text = String::new();
    for setting in all.iter().filter(|s| !only_changed || s.origin != "default") {
        let origin = setting.origin.strip_prefix("env: ").unwrap_or(&setting.origin);
        let _ = writeln!(text, "{}({origin}) = {}", setting.name, shown(&setting.value));
    }
    text
}

fn list(all: &[SettingValue]) -> String {
    let map: Map = all.iter().map(|s| (s.name.clone(), s.value.clone())).collect();
    let style = JsonStyle { indent: Some(4), sort_keys: true, ascii: false };
    to_python_json(&Value::map(map), style) + "\n"
}

/// Texts stand alone, everything else as Python shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => other.repr(),
    }
}
