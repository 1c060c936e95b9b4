//! `xplay doc`: what modules and keywords are for, in the look of ansible-doc, and lists of everything with a name.

use std::fmt::Write as _;

use serde_json::json;

use super::args::{DocArgs, DocKind};
use super::callbacks::CALLBACKS;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::setting_table;
use crate::diag::did_you_mean;
use crate::engine::Strategy;
use crate::modules::{self, ArgSpec, ModuleSpec};
use crate::playbook::keywords::{self, Inherit, KEYWORDS, Keyword, Kind};
use crate::template::Plugin;

pub fn doc(args: &DocArgs, out: &Output) -> Result<Ending, CliError> {
    let text = match (args.list || args.names.is_empty(), args.kind) {
        (true, kind) => list(kind, &args.names, args.json)?,
        (false, DocKind::Module) => modules_named(args)?,
        (false, DocKind::Keyword) => keywords_named(&args.names, args.json)?,
        (false, kind) => return Err(no_text(kind)),
    };
    out.text(&text)?;
    Ok(Ending::Done)
}

fn no_text(kind: DocKind) -> CliError {
    CliError::cannot(format!("there is no text about each {}", kind.word()))
        .with_help("-l lists them; they do what ansible-core's documentation says of them")
}

/// The kinds of inventory sources, by the names of the plugins that stand for them.
const INVENTORIES: [&str; 7] = ["auto", "constructed", "host_list", "ini", "script", "toml", "yaml"];

/// Every name of a kind with what is known of it.
pub fn names(kind: DocKind) -> Vec<(String, String)> {
    let plain = |names: Vec<&str>| names.into_iter().map(|name| (name.to_string(), String::new())).collect();
    match kind {
        DocKind::Module => {
            let mut all: Vec<(String, String)> = modules::names()
                .filter_map(modules::spec)
                .map(|spec| (spec.full_name(), spec.about.to_string()))
                .collect();
            all.sort();
            all
        }
        DocKind::Keyword => KEYWORDS.iter().map(|k| (k.name.to_string(), k.places())).collect(),
        DocKind::Filter => plain(Plugin::Filter.names()),
        DocKind::Test => plain(Plugin::Test.names()),
        DocKind::Lookup => plain(Plugin::Lookup.names()),
        DocKind::Callback => {
            CALLBACKS.iter().map(|(name, about)| ((*name).into(), (*about).into())).collect()
        }
        DocKind::Strategy => plain(Strategy::NAMES.to_vec()),
        DocKind::Inventory => plain(INVENTORIES.to_vec()),
        DocKind::Cache => plain(vec!["jsonfile", "memory"]),
        DocKind::Setting => plain(setting_table::that_count()),
        DocKind::Connection => plain(vec!["local", "ssh", "ssh-binary"]),
        DocKind::Become => plain(vec!["doas", "su", "sudo"]),
    }
}

fn list(kind: DocKind, wanted: &[String], as_json: bool) -> Result<String, CliError> {
    // Names after -l are namespaces, as with ansible-doc.
    let all: Vec<(String, String)> = names(kind)
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| name.starts_with(&format!("{w}."))))
        .collect();
    if as_json {
        let map: serde_json::Map<String, serde_json::Value> =
            all.into_iter().map(|(name, about)| (name, about.into())).collect();
        return pretty(&map.into());
    }
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, about) in all {
        let _ = writeln!(text, "{}", format!("{name:width$} {about}").trim_end());
    }
    Ok(text)
}

fn modules_named(args: &DocArgs) -> Result<String, CliError> {
    let specs = args.names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        let all: serde_json::Map<String, serde_json::Value> =
            specs.iter().map(|spec| (spec.full_name(), of_module(spec))).collect();
        return pretty(&all.into());
    }
    let each = |spec: &&ModuleSpec| if args.snippet { snippet(spec) } else { page(spec) };
    Ok(specs.iter().map(each).collect::<Vec<_>>().join("\n"))
}

/// Finds a module, or says which name is near.
pub fn find(name: &str) -> Result<&'static ModuleSpec, CliError> {
    modules::spec(name).ok_or_else(|| {
        let error = CliError::cannot(format!("there is no module \"{name}\""));
        match did_you_mean(name, modules::names()) {
            Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
            None => error.with_help("xplay doc -l lists them"),
        }
    })
}

fn sorted(spec: &ModuleSpec) -> Vec<&'static ArgSpec> {
    let mut args: Vec<&ArgSpec> = spec.all_args().collect();
    args.sort_by_key(|arg| (!arg.required, arg.name));
    args
}

fn page(spec: &ModuleSpec) -> String {
    let mut text = format!("> MODULE {} (built in)\n\n  {}\n", spec.full_name(), spec.about);
    let args = sorted(spec);
    if !args.is_empty() {
        text.push_str("\nOPTIONS (= indicates it is required):\n");
    }
    for arg in args {
        let mark = if arg.required { '=' } else { '-' };
        let _ = writeln!(text, "\n{mark} {}\n        {}", arg.name, arg.about);
        if !arg.aliases.is_empty() {
            let _ = writeln!(text, "        aliases: [{}]", arg.aliases.join(", "));
        }
        if !arg.choices.is_empty() {
            let _ = writeln!(text, "        choices: [{}]", arg.choices.join(", "));
        }
        if !arg.required {
            let _ = writeln!(text, "        default: {}", arg.default.unwrap_or("null"));
        }
        let _ = writeln!(text, "        type: {}", arg.kind.name());
    }
    if !spec.returns.is_empty() {
        text.push_str("\nRETURN VALUES:\n");
    }
    for (name, about) in spec.returns {
        let _ = writeln!(text, "\n- {name}\n        {about}");
    }
    text
}

/// A task to fill in.
fn snippet(spec: &ModuleSpec) -> String {
    let mut text = format!("- name: {}\n  {}:\n", spec.about.trim_end_matches('.'), spec.full_name());
    for arg in sorted(spec) {
        let required = if arg.required { "(required) " } else { "" };
        let _ = writeln!(text, "      {:<22} # {required}{}", format!("{}:", arg.name), arg.about);
    }
    text
}

fn of_module(spec: &ModuleSpec) -> serde_json::Value {
    let option = |arg: &ArgSpec| {
        let mut option =
            json!({"description": [arg.about], "type": arg.kind.name(), "required": arg.required});
        if let Some(default) = arg.default {
            option["default"] = default.into();
        }
        if !arg.choices.is_empty() {
            option["choices"] = arg.choices.into();
        }
        if !arg.aliases.is_empty() {
            option["aliases"] = arg.aliases.into();
        }
        option
    };
    let options: serde_json::Map<String, serde_json::Value> =
        spec.all_args().map(|arg| (arg.name.to_string(), option(arg))).collect();
    let returns: serde_json::Map<String, serde_json::Value> = spec
        .returns
        .iter()
        .map(|(name, about)| ((*name).to_string(), json!({"description": about})))
        .collect();
    json!({
        "doc": {
            "module": spec.name,
            "short_description": spec.about,
            "description": [spec.about],
            "options": options,
            "collection": spec.namespaces.first(),
            "plugin_name": spec.full_name(),
        },
        "examples": null,
        "metadata": null,
        "return": returns,
    })
}

fn keywords_named(names: &[String], as_json: bool) -> Result<String, CliError> {
    let mut found = Vec::new();
    for name in names {
        let keyword = keywords::find(name).ok_or_else(|| {
            let error = CliError::cannot(format!("there is no keyword \"{name}\""));
            match did_you_mean(name, KEYWORDS.iter().map(|k| k.name)) {
                Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
                None => error.with_help("xplay doc -t keyword -l lists them"),
            }
        })?;
        found.push(keyword);
    }
    if as_json {
        let of = |k: &&Keyword| {
            let levels: Vec<&str> = k.levels.iter().map(|level| level.word()).collect();
            (
                k.name.to_string(),
                json!({"applies_to": levels, "type": keyword_type(k.kind), "inherited": inherited(k)}),
            )
        };
        return pretty(&found.iter().map(of).collect::<serde_json::Map<_, _>>().into());
    }
    let mut text = String::new();
    for keyword in found {
        let levels: Vec<&str> = keyword.levels.iter().map(|level| level.word()).collect();
        let _ = writeln!(
            text,
            "{}:\n  applies_to: [{}]\n  type: {}\n  inherited: {}",
            keyword.name,
            levels.join(", "),
            keyword_type(keyword.kind),
            inherited(keyword)
        );
    }
    Ok(text)
}

fn inherited(keyword: &Keyword) -> &'static str {
    match keyword.inherit {
        Inherit::No => "no",
        Inherit::Replace => "the innermost one counts",
        Inherit::Extend => "all levels add up",
    }
}

fn keyword_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Float => "float",
        Kind::Percent => "percent",
        Kind::Text => "str",
        Kind::TextList | Kind::List | Kind::Tags | Kind::Tasks | Kind::MapList => "list",
        Kind::Map | Kind::Vars => "dict",
        Kind::Conditions => "condition",
        Kind::Any => "raw",
    }
}

fn pretty(value: &serde_json::Value) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| CliError::Internal(format!("cannot write documentation as JSON: {e}")))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> String {
        use clap::Parser;
        let words = ["xplay", "doc"].iter().chain(words);
        let super::super::args::Command::Doc(args) =
            super::super::args::Args::try_parse_from(words).unwrap().command
        else {
            panic!("not doc")
        };
        match args.kind {
            DocKind::Keyword => keywords_named(&args.names, args.json).unwrap(),
            _ => modules_named(&args).unwrap(),
        }
    }

    #[test]
    fn pages_have_ansible_docs_look() {
        insta::assert_snapshot!(shown(&["ping"]), @r#"
        > MODULE ansible.builtin.ping (built in)

          Tells that the host can be reached and runs scripts.

        OPTIONS (= indicates it is required):

        - data
                What to answer.
                default: pong
                type: str

        RETURN VALUES:

        - ping
                the answer
        "#);
        insta::assert_snapshot!(shown(&["-s", "ansible.builtin.group_by"]), @r#"
        - name: Puts the host into a group named by a variable, for this run
          ansible.builtin.group_by:
              key:                   # (required) The group.
              parents:               # Groups that the group belongs to.
        "#);
        insta::assert_snapshot!(shown(&["-t", "keyword", "become", "register"]), @r#"
        become:
          applies_to: [Play, RoleDefinition, Block, Task, Handler, PlaybookInclude]
          type: bool
          inherited: the innermost one counts
        register:
          applies_to: [Task, Handler]
          type: str
          inherited: no
        "#);
        insta::assert_snapshot!(shown(&["-j", "ping"]), @r#"
        {
          "ansible.builtin.ping": {
            "doc": {
              "module": "ping",
              "short_description": "Tells that the host can be reached and runs scripts.",
              "description": [
                "Tells that the host can be reached and runs scripts."
              ],
              "options": {
                "data": {
                  "description": [
                    "What to answer."
                  ],
                  "type": "str",
                  "required": false,
                  "default": "pong"
                }
              },
              "collection": "ansible.builtin",
              "plugin_name": "ansible.builtin.ping"
            },
            "examples": null,
            "metadata": null,
            "return": {
              "ping": {
                "description": "the answer"
              }
            }
          }
        }
        "#);
    }

    #[test]
    fn every_kind_has_names() {
        for kind in <DocKind as clap::ValueEnum>::value_variants() {
            assert!(!names(*kind).is_empty(), "{}", kind.word());
        }
        assert_eq!(list(DocKind::Become, &[], false).unwrap(), "doas\nsu\nsudo\n");
        assert_eq!(list(DocKind::Module, &["ansible.posix".into()], false).unwrap().lines().count(), 9);
        assert_eq!(find("pingg").unwrap_err().help(), Some("did you mean \"ping\"?"));
    }
}
