//! All settings of Ansible by name: what they are here and now, and where that was said. Most of them mean nothing to
//! xplay; playbooks and people may ask for them all the same.

use std::sync::Arc;

use super::config::Config;
use crate::template::SettingValue;
use crate::value::{Map, Value, from_json};

/// Name, type, environment variables, keys of ansible.cfg, default, variables.
const TABLE: &str = include_str!("setting_names.tsv");

/// Returns every setting with its value and origin, in the order of the names.
pub fn all(config: &Config) -> Vec<SettingValue> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| read(line, config)).collect()
}

/// Returns the names of the settings that mean something here, as far as ansible.cfg and the environment make them.
pub fn that_count() -> Vec<&'static str> {
    let counts = |line: &&'static str| {
        let mut cells = line.split('\t').skip(2);
        let env: Vec<&str> = cells.next().unwrap_or_default().split(',').collect();
        let ini: Vec<&str> = cells.next().unwrap_or_default().split(',').collect();
        super::config::ALL.iter().any(|setting| {
            setting.env.iter().any(|name| env.contains(name))
                || setting.ini.iter().any(|(section, key)| ini.contains(&&*format!("{section}.{key}")))
        })
    };
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).filter(counts);
    lines.filter_map(|line| line.split('\t').next()).collect()
}

fn read(line: &str, config: &Config) -> Option<SettingValue> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let (name, kind, env, ini, default, vars) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let list = |cell: &'static str| cell.split(',').filter(|word| *word != "-");
    let variables: Vec<&'static str> = list(as_static(env)).collect();
    let keys: Vec<(&'static str, &'static str)> =
        list(as_static(ini)).filter_map(|word| word.split_once('.')).collect();
    let found = config.first(&variables, &keys);
    let (value, origin) = match found {
        Some(found) => (typed(kind, &found.value, config), found.origin.short()),
        None => {
            let default = serde_json::from_str::<serde_json::Value>(default).ok()?;
            let value = match from_json(&default) {
                Value::Str(text) => typed(kind, &text, config),
                other => other,
            };
            (value, "default".to_string())
        }
    };
    let vars = list(as_static(vars)).map(Arc::from).collect();
    Some(SettingValue { name: name.into(), value, origin, vars })
}

/// The table is part of the program.
fn as_static(cell: &str) -> &'static str {
    TABLE.find(cell).and_then(|at| TABLE.get(at..at + cell.len())).unwrap_or("-")
}

/// Converts a text as the type of the setting wants it.
fn typed(kind: &str, text: &str, config: &Config) -> Value {
    let text = expanded(text, config);
    let paths = |separator: char| {
        let parts = text.split(separator).map(str::trim).filter(|p| !p.is_empty());
        Value::list(parts.map(|p| config.env.path(p, None).display().to_string().into()).collect())
    };
    match kind {
        "bool" | "boolean" => {
            matches!(text.to_lowercase().as_str(), "y" | "yes" | "on" | "1" | "true" | "t").into()
        }
        "int" | "integer" => {
            text.trim().parse::<i64>().map_or_else(|_| Value::str(text.as_str()), Value::from)
        }
        "float" => text.trim().parse::<f64>().map_or_else(|_| Value::str(text.as_str()), Value::from),
        "list" => {
            Value::list(text.split(',').map(|w| Value::str(w.trim())).filter(|w| w.is_truthy()).collect())
        }
        "pathspec" => paths(':'),
        "pathlist" => paths(','),
        "path" | "tmppath" | "tmp" if !text.is_empty() => {
            config.env.path(&text, None).display().to_string().into()
        }
        "dict" => Map::new().into(),
        _ => Value::str(text.as_str()),
    }
}

/// Puts Ansible's home into defaults that are written with it.
fn expanded(text: &str, config: &Config) -> String {
    let home = config.env.get("ANSIBLE_HOME").unwrap_or_else(|| "~/.ansible".into());
    let home = config.env.expand(&home);
    let inner = text.strip_prefix("{{ ANSIBLE_HOME ~ \"").and_then(|t| t.strip_suffix("\" }}"));
    inner.map_or_else(|| text.to_string(), |rest| format!("{home}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::super::config::Env;
    use super::*;

    #[test]
    fn settings_have_types_and_origins() {
        let vars = [("HOME", "/h"), ("ANSIBLE_FORKS", "9"), ("ANSIBLE_NOCOWS", "yes")];
        let vars = vars.iter().map(|(k, v)| ((*k).to_string(), (*v).into())).collect();
        let config = Config::load(Env { vars, cwd: "/nowhere".into(), ..Env::default() }).unwrap();
        let all = all(&config);
        let check = |name: &str, value: Value, origin: &str| {
            let found = all.iter().find(|s| &*s.name == name).unwrap();
            assert_eq!((&found.value, found.origin.as_str()), (&value, origin));
        };
        check("DEFAULT_FORKS", 9.into(), "env: ANSIBLE_FORKS");
        check("ANSIBLE_NOCOWS", true.into(), "env: ANSIBLE_NOCOWS");
        check("DEFAULT_BECOME_METHOD", "sudo".into(), "default");
        let roles = ["/h/.ansible/roles", "/usr/share/ansible/roles", "/etc/ansible/roles"];
        check("DEFAULT_ROLES_PATH", Value::list(roles.map(Value::str).to_vec()), "default");
        check("connection.ssh.ssh_transfer_method", "smart".into(), "default");
    }
}
