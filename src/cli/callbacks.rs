//! Ansible's callbacks by name: which form a run's text has, and what is written beside it.

use std::path::PathBuf;

use super::config::{self as key, Config, Setting};
use super::settings::Format;
use crate::report::{JunitOptions, Timed};

/// Callbacks that there are, with what they do.
pub const CALLBACKS: &[(&str, &str)] = &[
    ("default", "The text of ansible-playbook."),
    ("json", "The whole run as one JSON document."),
    ("junit", "A test case for each task and host, in an XML file."),
    ("minimal", "Results alone, as the command ansible prints them."),
    ("oneline", "Results alone, one line each."),
    ("profile_roles", "How long each role took."),
    ("profile_tasks", "How long each task took."),
    ("timer", "How long the run took."),
    ("tree", "Keeps each host's last result in a file of a directory."),
    ("yaml", "The default text with results as YAML."),
];

/// What the settings ask for besides the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Keep each host's last result in a file of this directory.
    pub tree: Option<PathBuf>,
    pub junit: Option<JunitOptions>,
    pub timed: Vec<Timed>,
    /// Add the text to this file too.
    pub log: Option<PathBuf>,
}

/// Returns a callback's name without its collection.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name).trim()
}

/// The form of the text, by `stdout_callback`.
pub fn format(config: &Config) -> Format {
    match config.text(&key::STDOUT_CALLBACK).as_deref().map(short) {
        Some("minimal") => Format::Minimal,
        Some("oneline") => Format::OneLine,
        Some("json") => Format::Json,
        _ => Format::Default,
    }
}

/// Whether results are to be written as YAML because of the callback.
pub fn is_yaml(config: &Config) -> bool {
    config.text(&key::STDOUT_CALLBACK).is_some_and(|name| short(&name) == "yaml")
}

/// What is written besides the text, by `callbacks_enabled`.
pub fn extras(config: &Config) -> Extras {
    let mut extras = Extras { log: config.path(&key::LOG_PATH), ..Extras::default() };
    for name in config.list(&key::CALLBACKS_ENABLED) {
        match short(&name) {
            "tree" => {
                let usual = || Some(config.env.home()?.join(".ansible/tree"));
                extras.tree = config.path(&key::TREE_DIR).or_else(usual);
            }
            "junit" => extras.junit = Some(junit(config)),
            "timer" => extras.timed.push(Timed::Run),
            "profile_tasks" => extras.timed.push(Timed::Tasks),
            "profile_roles" => extras.timed.push(Timed::Roles),
            _ => {}
        }
    }
    extras
}

fn junit(config: &Config) -> JunitOptions {
    let set = |setting: &Setting| config.bool(setting).unwrap_or(false);
    let usual = || config.env.home().map(|home| home.join(".ansible.log"));
    JunitOptions {
        dir: config.path(&key::JUNIT_DIR).or_else(usual).unwrap_or_else(|| config.env.cwd.clone()),
        task_class: set(&key::JUNIT_TASK_CLASS),
        fail_on_change: set(&key::JUNIT_FAIL_ON_CHANGE),
        fail_on_ignore: set(&key::JUNIT_FAIL_ON_IGNORE),
        without_setup: config.bool(&key::JUNIT_SETUP_TASKS) == Some(false),
        prefix: config.text(&key::JUNIT_PREFIX).unwrap_or_default(),
        relative_to: config.path(&key::JUNIT_RELATIVE_PATH),
    }
}

/// Says which callbacks are asked for that there are not.
pub fn missing(config: &Config) -> Vec<String> {
    let known = |name: &str| CALLBACKS.iter().any(|(known, _)| *known == short(name));
    let shown = config.get(&key::STDOUT_CALLBACK).filter(|found| !known(&found.value));
    let mut said: Vec<String> = shown
        .iter()
        .map(|found| {
            format!("there is no callback \"{}\" ({}); the default text is shown", found.value, found.origin)
        })
        .collect();
    let enabled = config.list(&key::CALLBACKS_ENABLED);
    said.extend(
        enabled
            .iter()
            .filter(|name| !known(name))
            .map(|name| format!("there is no callback \"{name}\", it is left out")),
    );
    said
}

#[cfg(test)]
mod tests {
    use super::super::config::Env;
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Config {
        let vars =
            vars.iter().chain(&[("HOME", "/h")]).map(|(k, v)| ((*k).to_string(), (*v).into())).collect();
        Config::load(Env { vars, cwd: "/nowhere".into(), ..Env::default() }).unwrap()
    }

    #[test]
    fn names_choose_what_is_written() {
        assert_eq!(format(&config(&[("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")])), Format::Json);
        assert_eq!(format(&config(&[])), Format::Default);
        assert!(is_yaml(&config(&[("ANSIBLE_STDOUT_CALLBACK", "community.general.yaml")])));
        let all = config(&[
            ("ANSIBLE_CALLBACKS_ENABLED", "ansible.posix.timer, profile_tasks,tree,junit"),
            ("JUNIT_OUTPUT_DIR", "/out"),
            ("JUNIT_FAIL_ON_CHANGE", "true"),
        ]);
        let junit = JunitOptions { dir: "/out".into(), fail_on_change: true, ..JunitOptions::default() };
        assert_eq!(
            extras(&all),
            Extras {
                tree: Some("/h/.ansible/tree".into()),
                junit: Some(junit),
                timed: vec![Timed::Run, Timed::Tasks],
                log: None,
            }
        );
        assert!(missing(&all).is_empty());
    }

    #[test]
    fn callbacks_that_are_not_there_are_said() {
        let config =
            config(&[("ANSIBLE_STDOUT_CALLBACK", "dense"), ("ANSIBLE_CALLBACKS_ENABLED", "mail,timer")]);
        assert_eq!(
            missing(&config),
            [
                "there is no callback \"dense\" (the environment variable ANSIBLE_STDOUT_CALLBACK); the default text is shown",
                "there is no callback \"mail\", it is left out",
            ]
        );
    }
}
