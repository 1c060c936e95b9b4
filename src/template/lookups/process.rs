//! Lookups that ask this machine: the environment and programs.

use std::process::Command;

use super::{Call, Lookup};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::methods;
use crate::template::runtime::V;

pub(super) const TABLE: &[(&str, Lookup)] = &[("env", env), ("lines", lines), ("pipe", pipe)];

fn env(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let default = call.named.iter().position(|(n, _)| &**n == "default").map(|i| call.named.remove(i).1);
    let mut out = Vec::new();
    for name in call.texts(interp)? {
        let name = name.split_whitespace().next().unwrap_or_default().to_string();
        out.push(match (std::env::var(&name), &default) {
            (Ok(value), _) => V::str(value),
            (Err(_), Some(V::Undef(_))) => {
                return Err(Fail::undefined(
                    name.clone(),
                    format!("The environment variable '{name}' is not set."),
                ));
            }
            (Err(_), Some(default)) => default.clone(),
            (Err(_), None) => V::str(""),
        });
    }
    Ok(out)
}

/// Runs a command by the shell in the playbook's folder and returns what it printed.
fn run(interp: &mut Interp<'_>, command: &str) -> R<String> {
    if !interp.templar.settings().local_effects {
        return Err(Fail::unknown(crate::value::Unknown {
            cause: format!("the local command `{command}`").into(),
        }));
    }
    let dir = interp.scope.search().playbook_dir.clone();
    let mut process = Command::new("/bin/sh");
    process.arg("-c").arg(command);
    if dir.is_dir() {
        process.current_dir(dir);
    }
    let output = process.output().map_err(|e| Fail::failed(format!("cannot run `{command}`: {e}")))?;
    if !output.status.success() {
        return Err(Fail::failed(format!(
            "lookup_plugin.pipe({command}) returned {}: {}",
            output.status.code().map_or("a signal".to_string(), |c| c.to_string()),
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Fail::failed(format!("the output of `{command}` is not UTF-8")))
}

fn pipe(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let commands = call.texts(interp)?;
    commands.iter().map(|c| run(interp, c).map(|out| V::str(out.trim_end()))).collect()
}

fn lines(interp: &mut Interp<'_>, call: Call) -> R<Vec<V>> {
    let mut out = Vec::new();
    for command in call.texts(interp)? {
        let text = run(interp, &command)?;
        out.extend(methods::lines(&text, false).into_iter().map(V::str));
    }
    Ok(out)
}
