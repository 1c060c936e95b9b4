//! Argument specs of roles: checked when loaded, and made into the task that checks the arguments.

use std::sync::Arc;

use super::{Load, Place};
use crate::diag::Diagnostic;
use crate::playbook::{Action, Directives, Entry, Role, Task};
use crate::template::{Tree, TreeKind};
use crate::value::Value;
use crate::yaml::Node;

const TYPES: [&str; 13] =
    ["str", "list", "dict", "bool", "int", "float", "path", "raw", "json", "jsonarg", "bytes", "bits", "sid"];
const OPTION_KEYS: [&str; 21] = [
    "aliases",
    "apply_defaults",
    "choices",
    "default",
    "deprecated_aliases",
    "description",
    "elements",
    "fallback",
    "mutually_exclusive",
    "no_log",
    "options",
    "removed_at_date",
    "removed_from_collection",
    "removed_in_version",
    "required",
    "required_by",
    "required_if",
    "required_one_of",
    "required_together",
    "type",
    "version_added",
];

impl Load<'_> {
    /// Checks one entry point.
    pub(super) fn check_entry_point(&mut self, entry: &Node) {
        if entry.is_null() {
            return;
        }
        if !entry.is_map() {
            self.error(
                Diagnostic::error(
                    "XP0626",
                    format!("an entry point is a mapping, not {}", entry.described()),
                )
                .at(entry.span, "expected `options:` and descriptions"),
            );
            return;
        }
        if let Some(options) = entry.get("options") {
            self.check_options(options);
        }
    }

    fn check_options(&mut self, options: &Node) {
        if options.is_null() {
            return;
        }
        if !options.is_map() {
            self.error(
                Diagnostic::error("XP0626", format!("`options` is a mapping, not {}", options.described()))
                    .at(options.span, "expected option names"),
            );
            return;
        }
        for (name, option) in options.entries() {
            if option.is_null() {
                continue;
            }
            if !option.is_map() {
                self.error(
                    Diagnostic::error(
                        "XP0626",
                        format!("an option is a mapping, not {}", option.described()),
                    )
                    .at(option.span, "expected `type:`, `description:` and the like"),
                );
                continue;
            }
            for (key, value) in option.entries() {
                let Some(word) = key.as_str() else { continue };
                if !OPTION_KEYS.contains(&word) {
                    self.warn(
                        Diagnostic::warning("XP0626", format!("unknown key `{word}` in an option"))
                            .at(key.span, "no such key")
                            .suggest(word, OPTION_KEYS),
                    );
                }
                if matches!(word, "type" | "elements")
                    && let Some(kind) = value.as_str()
                    && !TYPES.contains(&kind)
                {
                    self.error(
                        Diagnostic::error("XP0626", format!("unknown type `{kind}`"))
                            .at(value.span, "no such type")
                            .note(format!("known are {}", TYPES.join(", ")))
                            .suggest(kind, TYPES),
                    );
                }
                if word == "choices" && !value.is_list() {
                    let option = name.scalar().map_or("", |s| &s.text);
                    self.error(
                        Diagnostic::error("XP0626", format!("`choices` of `{option}` is not a list"))
                            .at(value.span, "expected a list"),
                    );
                }
            }
            if let Some(inner) = option.get("options") {
                self.check_options(inner);
            }
        }
    }

    /// The task that checks a role's arguments before anything else runs; nothing when the entry point has no spec.
    pub(super) fn validation_task(&mut self, role: &Arc<Role>, entry: &str, place: &Place) -> Option<Entry> {
        let spec =
            role.files.argument_specs.get(entry).filter(|t| t.as_value().is_none_or(|v| !v.is_null()))?;
        let options = member(spec, "options").unwrap_or_else(|| Tree::value(crate::value::Map::new()));
        let mut name = format!("Validating arguments against arg spec '{entry}'");
        if let Some(text) = member(spec, "short_description").as_ref().and_then(Tree::as_value) {
            name = format!("{name} - {}", text.to_text());
        }
        let params = role.params.iter().map(|(k, v)| (Tree::value(k.clone()), v.clone())).collect();
        let params = Tree { kind: TreeKind::Map(Arc::new(params)), span: None };
        let context = map([
            ("type", Tree::value("role")),
            ("name", Tree::value(role.name.rsplit('.').next().unwrap_or(&role.name))),
            ("argument_spec_name", Tree::value(entry)),
            ("path", Tree::value(role.files.path.to_string_lossy().into_owned())),
        ]);
        let span = spec.span?;
        let always = Directives { tags: vec![Tree::value("always")], ..Directives::default() };
        let id = super::StepId::new(&place.id_below(&name), &role.identity, 1);
        Some(Entry::Task(Arc::new(Task {
            id,
            name: Some(Tree::value(name)),
            action: Action::Module {
                name: "ansible.builtin.validate_argument_spec".into(),
                args: map([
                    ("argument_spec", options),
                    ("provided_arguments", params),
                    ("validate_args_context", context),
                ]),
                free_form: None,
                template_args: None,
                file: None,
                dynamic: None,
            },
            directives: Arc::new(place.inherited.with(&always)),
            register: None,
            loop_: None,
            until: Vec::new(),
            retries: None,
            delay: None,
            changed_when: Vec::new(),
            failed_when: Vec::new(),
            notify: Vec::new(),
            listen: Vec::new(),
            async_: None,
            poll: None,
            role: Some(role.clone()),
            dir: role.files.path.join("tasks"),
            span,
            action_span: span,
        })))
    }
}

fn map<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let entries = entries.into_iter().map(|(k, v)| (Tree::value(k), v)).collect();
    Tree { kind: TreeKind::Map(Arc::new(entries)), span: None }
}

fn member(tree: &Tree, name: &str) -> Option<Tree> {
    match &tree.kind {
        TreeKind::Map(entries) => entries
            .iter()
            .find(|(k, _)| k.as_value().and_then(Value::as_str) == Some(name))
            .map(|(_, value)| value.clone()),
        TreeKind::Value(value) => {
            let kind = TreeKind::Value(value.get(name)?.clone());
            Some(Tree { kind, span: tree.span })
        }
        _ => None,
    }
}
