//! Modules that the project brings as files (`library/`): programs of any language that read arguments and print JSON.
//!
//! A file in Python that imports Ansible's helpers gets small ones of this program's own; it needs Python on the target,
//! nothing else. What such a module would do is not known before it runs.

use super::sh::{PRIVATE_DIR, q};
use super::{Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Run, Seen};
use crate::transport::{Content, Output};
use crate::value::{Map, Value, from_json, to_json_text};

const BASIC: &str = include_str!("basic.py");
const START: &str = include_str!("start.py");

static SPEC: ModuleSpec = ModuleSpec {
    name: "foreign",
    about: "Runs a module that is a file of the project.",
    args: &[
        ArgSpec::new("file", ArgKind::Str, "The file.").required(),
        ArgSpec::new("arguments", ArgKind::Dict, "What the task gives it.").default("{}"),
        ArgSpec::new("interpreter", ArgKind::Str, "The program that runs it."),
    ],
    ..ModuleSpec::BASE
};

/// Stands for all of them; not to be called by a name.
pub struct Foreign;

/// How a file wants its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Python that imports Ansible's helpers.
    Helped,
    /// A path to JSON as the only word.
    Json,
    /// A path to `key=value` words.
    Words,
}

impl Kind {
    fn of(content: &[u8]) -> Kind {
        let has = |mark: &str| content.windows(mark.len()).any(|w| w == mark.as_bytes());
        if has("from ansible.module_utils") || has("import ansible.module_utils") {
            return Kind::Helped;
        }
        let binary = content.contains(&0);
        if binary || has("WANT_JSON") { Kind::Json } else { Kind::Words }
    }
}

impl Module for Foreign {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    fn plan(&self, call: &Call, _: &Seen) -> Result<Prediction, Failure> {
        let file = std::path::Path::new(call.args.str("file").unwrap_or_default());
        let content = call.local.read(file).map_err(Failure::new)?;
        let name = file.file_name().map_or_else(|| "module".into(), |n| n.to_string_lossy().into_owned());
        let kind = Kind::of(&content);
        let given = call.args.get("arguments").and_then(Value::as_map).cloned().unwrap_or_default();
        let text = match kind {
            Kind::Words => words(&given),
            Kind::Helped | Kind::Json => to_json_text(&Value::map(with_internal(call, given, &name))),
        };
        let script = script(&name, kind, &text, content.len(), call.args.str("interpreter"));
        let run = Run { script, stdin: Some(Content::Bytes(content.into())), ..Run::default() };
        Ok(Prediction::unknown(Map::new(), vec![Action::Run(run)]))
    }

    fn finish(&self, _: &Call, _: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(output) = ran.last() else { return Err(Failure::new("the module did not run")) };
        outcome(output)
    }
}

/// What Ansible tells every module besides its arguments.
fn with_internal(call: &Call, mut given: Map, name: &str) -> Map {
    let short = name.split('.').next().unwrap_or(name);
    for (key, value) in [
        ("_ansible_check_mode", Value::from(call.check)),
        ("_ansible_diff", call.diff.into()),
        ("_ansible_module_name", short.into()),
    ] {
        given.insert(key, value);
    }
    given
}

/// Arguments as a module of the old kind reads them.
fn words(given: &Map) -> String {
    let word = |(key, value): (&crate::value::Key, &Value)| {
        let text = match value {
            Value::List(_) | Value::Map(_) => to_json_text(value),
            other => other.to_text(),
        };
        format!("{}={}", key.json_name(), q(&text))
    };
    given.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn script(name: &str, kind: Kind, arguments: &str, size: usize, interpreter: Option<&str>) -> String {
    let mut text = format!("{PRIVATE_DIR}umask 077\n");
    add!(text, "xp_f=$xp_dir/{}\ncat >\"$xp_f\" || xp_fail 'cannot store the module'\n", q(name));
    add!(
        text,
        "[ $(($(wc -c <\"$xp_f\"))) -eq {size} ] || xp_fail 'cannot store the module: it did not arrive complete'\n"
    );
    add!(text, "printf %s {} >\"$xp_dir/arguments\"\n", q(arguments));
    match (kind, interpreter) {
        (Kind::Helped, interpreter) => {
            match interpreter {
                Some(program) => add!(text, "xp_py={}\n", q(program)),
                None => text.push_str(
                    "xp_py=\nfor xp_c in python3 /usr/libexec/platform-python python python2; do\n\
                     command -v $xp_c >/dev/null 2>&1 && { xp_py=$xp_c; break; }\ndone\n\
                     [ -n \"$xp_py\" ] || xp_fail 'this module is written in Python, and there is no Python on the target'\n",
                ),
            }
            add!(text, "printf %s {} >\"$xp_dir/xplay_basic.py\"\n", q(BASIC));
            add!(text, "printf %s {} >\"$xp_dir/xplay_start.py\"\n", q(START));
            text.push_str(
                "XPLAY_MODULE_ARGUMENTS=$xp_dir/arguments PYTHONDONTWRITEBYTECODE=1 \"$xp_py\" \"$xp_dir/xplay_start.py\" \"$xp_f\" </dev/null\n",
            );
        }
        (_, Some(program)) => {
            add!(text, "{} \"$xp_f\" \"$xp_dir/arguments\" </dev/null\n", q(program));
        }
        (_, None) => text.push_str("chmod 0700 \"$xp_f\"\n\"$xp_f\" \"$xp_dir/arguments\" </dev/null\n"),
    }
    text
}

/// Finds the JSON among what was printed: other lines before and after it do not count.
fn outcome(output: &Output) -> Result<Outcome, Failure> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let Some((mut result, behind)) = first_object(&stdout) else {
        let last = stderr.trim().lines().last().unwrap_or("see stdout and stderr for the exact error");
        return Err(Failure::new(format!("MODULE FAILURE: {last}"))
            .with("rc", output.rc)
            .with("module_stdout", stdout.into_owned())
            .with("module_stderr", stderr.clone().into_owned())
            .with("stderr", stderr.into_owned()));
    };
    let flag = |result: &Map, name: &str| result.get(name).is_some_and(Value::is_truthy);
    let mut warnings: Vec<String> = match result.remove("warnings") {
        Some(Value::List(items)) => items.iter().map(Value::to_text).collect(),
        _ => Vec::new(),
    };
    if !behind.trim().is_empty() {
        warnings.push(format!("trailing junk after module output: {}", behind.trim()));
    }
    if !stderr.is_empty() && !result.contains("stderr") {
        result.insert("stderr", stderr.into_owned());
    }
    if flag(&result, "failed") || (output.rc != 0 && !result.contains("failed")) {
        let msg = result.remove("msg").map_or_else(|| "the module failed".to_string(), |m| m.to_text());
        result.remove("failed");
        return Err(Failure { result, ..Failure::new(msg) });
    }
    result.remove("failed");
    let (changed, skipped) = (flag(&result, "changed"), flag(&result, "skipped"));
    Ok(Outcome { changed, skipped, result, diff: Vec::new(), warnings })
}

/// The first object among the lines, and what stands behind it.
fn first_object(text: &str) -> Option<(Map, String)> {
    let lines: Vec<&str> = text.lines().collect();
    for start in (0..lines.len()).filter(|i| lines[*i].trim_start().starts_with('{')) {
        for end in (start + 1..=lines.len()).rev() {
            let candidate = lines[start..end].join("\n");
            if candidate.trim_end().ends_with('}')
                && let Ok(json @ serde_json::Value::Object(_)) = serde_json::from_str(&candidate)
                && let Value::Map(map) = from_json(&json)
            {
                return Some((Map::clone(&map), lines[end..].join("\n")));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        assert_eq!(
            Kind::of(b"#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"),
            Kind::Helped
        );
        assert_eq!(Kind::of(b"#!/bin/sh\n# WANT_JSON\n"), Kind::Json);
        assert_eq!(Kind::of(b"\x7fELF\0\0"), Kind::Json);
        assert_eq!(Kind::of(b"#!/bin/sh\n. $1\n"), Kind::Words);
    }

    #[test]
    fn json_is_found_among_other_lines() {
        let output = |stdout: &str, rc: i32| Output { rc, stdout: stdout.into(), ..Output::default() };
        let good = outcome(&output(
            "noise\n[ no\n{\"changed\": true, \"msg\": \"x\", \"warnings\": [\"w\"]}\nmore\n",
            0,
        ))
        .unwrap();
        let warned = ["w".to_string(), "trailing junk after module output: more".to_string()];
        assert_eq!((good.changed, good.warnings.as_slice()), (true, &warned[..]));
        assert_eq!(Value::map(good.result).repr(), "{'changed': True, 'msg': 'x'}");
        let bad = outcome(&output("{\"failed\": true, \"msg\": \"no\", \"a\": 1}", 1)).unwrap_err();
        assert_eq!((bad.msg.as_str(), Value::map(bad.result).repr().as_str()), ("no", "{'a': 1}"));
        assert_eq!(
            outcome(&output("nothing", 3)).unwrap_err().msg,
            "MODULE FAILURE: see stdout and stderr for the exact error"
        );
    }

    #[test]
    fn words_are_quoted() {
        let given = Map::from_iter([("a", Value::str("b c")), ("n", 1.into())]);
        assert_eq!(words(&given), "a='b c' n='1'");
    }
}
