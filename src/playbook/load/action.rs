//! What a task does: finding the module among its keys, and the many ways to give arguments.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use super::read::{Fields, nearest, whole_template};
use super::scope::at;
use super::{Load, Place};
use crate::diag::{Diagnostic, Span};
use crate::playbook::keywords::{self, Level};
use crate::playbook::kv::{parse_kv, split_first};
use crate::playbook::{Action, Directives, IncludeRole, IncludeTasks, LiteralArgs, MetaKind, ModuleKnown};
use crate::template::{Tree, TreeKind, VarMap};
use crate::value::Value;
use crate::yaml::Node;

/// Statements that are no modules.
const STATEMENTS: [&str; 6] =
    ["meta", "include_tasks", "import_tasks", "include_role", "import_role", "import_playbook"];

/// Modules besides the free-form ones that take a bare text.
const BARE_TEXT: [&str; 10] = [
    "import_playbook",
    "include_vars",
    "include_tasks",
    "include_role",
    "import_tasks",
    "import_role",
    "add_host",
    "group_by",
    "set_fact",
    "meta",
];

/// The module of a task and its arguments, all ways of writing them brought together.
pub(super) struct Statement<'n> {
    /// The full name where it was written short or leads to another one.
    pub name: String,
    /// The name as it is written, where that is another one.
    pub written: Option<String>,
    pub span: Span,
    /// Where the task begins.
    pub task: Span,
    /// By name; later ways of giving an argument replaced earlier ones.
    pub args: IndexMap<Arc<str>, Arg>,
    pub free_form: Option<Tree>,
    pub template_args: Option<Tree>,
    /// The module when it is a file of the project.
    pub file: Option<Arc<Path>>,
    /// The name as a template.
    pub dynamic: Option<Tree>,
    /// `apply` of an include.
    pub apply: Option<&'n Node>,
    /// Written as `local_action`.
    pub local: bool,
}

pub(super) struct Arg {
    pub span: Span,
    pub value: Tree,
}

/// A static import.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Import {
    Tasks,
    Role,
}

impl Statement<'_> {
    /// The name without the namespace that means the same.
    pub fn short(&self) -> &str {
        short_name(&self.name)
    }

    pub fn import(&self) -> Option<Import> {
        match self.short() {
            "import_tasks" => Some(Import::Tasks),
            "import_role" => Some(Import::Role),
            _ => None,
        }
    }
}

fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

impl Load<'_> {
    /// Finds the module of a task; mistakes are reported and give nothing.
    pub(super) fn statement<'n>(&mut self, fields: &mut Fields<'n>, level: Level) -> Option<Statement<'n>> {
        let others = std::mem::take(&mut fields.others);
        let mut modules: Vec<(&'n str, &'n Node, &'n Node)> = Vec::new();
        let mut strays: Vec<(&'n str, &'n Node, &'n Node)> = Vec::new();
        for entry in others {
            let name = entry.0;
            let known = STATEMENTS.contains(&short_name(name))
                || self.loader.options.catalog.find(name) != ModuleKnown::No
                || self.module_file(name).is_some()
                || self.resolved(name) != name
                || (name.contains('.') && !name.contains(' '));
            if known { modules.push(entry) } else { strays.push(entry) }
        }
        let mut places: Vec<(&str, Span)> = modules.iter().map(|(name, key, _)| (*name, key.span)).collect();
        for keyword in ["action", "local_action"] {
            if let Some(span) = fields.key(keyword) {
                places.push((keyword, span));
            }
        }
        if let [(first, first_span), (second, second_span), ..] = places[..] {
            self.error(
                Diagnostic::error("XP0611", format!("two modules in one task: `{first}` and `{second}`"))
                    .at(second_span, "the second module")
                    .at(first_span, "the first")
                    .help("start a new task with `- `"),
            );
            return None;
        }
        if places.is_empty() {
            self.no_module(fields, &strays, level);
            return None;
        }
        let statement = match modules.first() {
            Some((name, key, value)) => self.new_style(fields, name, key.span, value),
            None => self.old_style(fields),
        }?;
        self.strays(&strays, &statement, level);
        self.known_module(&statement)?;
        Some(statement)
    }

    /// Keys that are neither keyword nor module, in a task that has a module.
    fn strays(&mut self, strays: &[(&str, &Node, &Node)], statement: &Statement<'_>, level: Level) {
        for (name, key, _) in strays {
            let mut diagnostic = self.unknown_keyword(name, key.span, level);
            if keywords::find(name).is_none()
                && self.loader.options.catalog.arguments(&statement.name).iter().any(|a| a == name)
            {
                let module = &statement.name;
                diagnostic = diagnostic
                    .help(format!("`{name}` is an argument of `{module}`: indent it under `{module}:`"));
            }
            self.error(diagnostic);
        }
    }

    fn no_module(&mut self, fields: &Fields<'_>, strays: &[(&str, &Node, &Node)], level: Level) {
        if strays.is_empty() {
            let diagnostic = Diagnostic::error("XP0610", "this task has no module")
                .at(fields.node.span, "only keywords")
                .help("name what it does, for example `command:` or `copy:`");
            self.error(diagnostic);
            return;
        }
        let modules = self.loader.options.catalog.names();
        let names: Vec<&str> = keywords::names_at(level).collect();
        for (name, key, _) in strays {
            let diagnostic = if keywords::find(name).is_some() {
                self.unknown_keyword(name, key.span, level)
            } else if *name == "include" {
                Diagnostic::error("XP0612", "`include` does not exist any more")
                    .at(key.span, "removed from the language")
                    .help("use `import_tasks` (at load) or `include_tasks` (while running)")
            } else {
                let diagnostic = Diagnostic::error("XP0612", format!("unknown module `{name}`"))
                    .at(key.span, "no module or keyword of this name");
                match nearest(name, &names, &modules) {
                    Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
                    None => diagnostic,
                }
            };
            self.error(diagnostic);
        }
    }

    fn known_module(&mut self, statement: &Statement<'_>) -> Option<()> {
        if statement.file.is_some() || statement.dynamic.is_some() || STATEMENTS.contains(&statement.short())
        {
            return Some(());
        }
        let name = &statement.name;
        match self.loader.options.catalog.find(name) {
            ModuleKnown::Yes { .. } => Some(()),
            ModuleKnown::Refused(reason) => {
                self.error(
                    Diagnostic::error("XP0613", format!("the module `{name}` cannot be used: {reason}"))
                        .at(statement.span, "used here"),
                );
                None
            }
            ModuleKnown::No => {
                let names = self.loader.options.catalog.names();
                let last = name.rsplit('.').next().unwrap_or(name);
                let diagnostic = Diagnostic::error("XP0612", format!("unknown module `{name}`"))
                    .at(statement.span, "no module of this name");
                let best = nearest(name, &[], &names).or_else(|| names.iter().find(|n| *n == last).cloned());
                let best = best.or_else(|| nearest(last, &[], &names));
                self.error(match best {
                    Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
                    None => diagnostic,
                });
                None
            }
        }
    }

    /// `copy: ...`.
    fn new_style<'n>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        span: Span,
        value: &'n Node,
    ) -> Option<Statement<'n>> {
        let mut statement = self.empty_statement(fields, name, span);
        self.arguments(&mut statement, value)?;
        Some(statement)
    }

    /// `action: copy src=a`, `local_action: ...`, and their mapping form with `module`.
    fn old_style<'n>(&mut self, fields: &Fields<'n>) -> Option<Statement<'n>> {
        let keyword = if fields.has("action") { "action" } else { "local_action" };
        let span = fields.key(keyword).unwrap_or(fields.node.span);
        let bad = |load: &mut Self, node: Option<&Node>| {
            let place = node.map_or(span, |n| n.span);
            load.error(
                Diagnostic::error("XP0604", format!("`{keyword}` takes a module and its arguments"))
                    .at(place, "no module here")
                    .help(format!("for example `{keyword}: copy src=a dest=b`")),
            );
        };
        let Some(value) = fields.get(keyword) else {
            bad(self, None);
            return None;
        };
        let text_node = if value.is_map() { value.get("module") } else { Some(value) };
        let Some((text_node, text)) = text_node.and_then(|n| Some((n, n.as_str()?))) else {
            bad(self, Some(value));
            return None;
        };
        let Ok((name, rest)) = split_first(text) else {
            self.error(unbalanced(text_node));
            return None;
        };
        if name.is_empty() {
            bad(self, Some(text_node));
            return None;
        }
        let name_span = text_node.content_span(0..name.len());
        let mut statement = self.empty_statement(fields, &name, name_span);
        if name.contains("{{") {
            statement.dynamic = Some(self.compiled(text_node, &name, name_span)?);
        }
        statement.local = keyword == "local_action";
        if value.is_map() {
            self.mapping(&mut statement, value);
            statement.args.shift_remove("module");
            if let Some(inner) = value.get("args") {
                statement.args.shift_remove("args");
                self.arguments(&mut statement, inner)?;
            }
        }
        self.text_arguments(&mut statement, text_node, rest)?;
        Some(statement)
    }

    /// A statement that has its `args:` keyword only.
    fn empty_statement<'n>(&mut self, fields: &Fields<'n>, name: &str, span: Span) -> Statement<'n> {
        let resolved = self.resolved(name);
        let file = self.module_file(&resolved);
        let mut statement = Statement {
            written: (resolved != name).then(|| name.to_owned()),
            name: resolved,
            span,
            task: fields.node.span,
            args: IndexMap::new(),
            free_form: None,
            template_args: None,
            file,
            dynamic: None,
            apply: None,
            local: false,
        };
        match fields.get("args") {
            None => {}
            Some(node) if node.is_map() => self.mapping(&mut statement, node),
            Some(node) if whole_template(node) => statement.template_args = self.tree(node),
            Some(node) => self.error(
                Diagnostic::error("XP0604", format!("`args` takes a mapping, not {}", node.described()))
                    .at(node.span, "expected a mapping or a template that gives one"),
            ),
        }
        statement
    }

    fn mapping<'n>(&mut self, statement: &mut Statement<'n>, node: &'n Node) {
        if matches!(statement.short(), "include_tasks" | "include_role") {
            statement.apply = node.get("apply").or(statement.apply);
        }
        for (name, span, value) in self.pairs(node) {
            if name.starts_with("_ansible_") {
                let message = format!(
                    "Invalid parameter specified beginning with keyword '_ansible_' for action '{}': '{name}'. The prefix '_ansible_' is reserved for internal use only.",
                    statement.name
                );
                self.error(Diagnostic::error("XP0602", message).at(span, "choose another name"));
                continue;
            }
            if &*name == "_raw_params" {
                statement.free_form = Some(value);
            } else {
                statement.args.insert(name, Arg { span, value });
            }
        }
    }

    /// The value under a module's name.
    fn arguments<'n>(&mut self, statement: &mut Statement<'n>, value: &'n Node) -> Option<()> {
        if value.is_null() {
            return Some(());
        }
        if value.is_map() {
            self.mapping(statement, value);
            return Some(());
        }
        if let Some(text) = value.as_str() {
            return self.text_arguments(statement, value, 0..text.len());
        }
        self.error(
            Diagnostic::error(
                "XP0614",
                format!("`{}` takes a mapping of arguments, not {}", statement.name, value.described()),
            )
            .at(value.span, "expected arguments"),
        );
        None
    }

    /// `src=a dest=b`, or the free text of a command.
    fn text_arguments(
        &mut self,
        statement: &mut Statement<'_>,
        node: &Node,
        range: Range<usize>,
    ) -> Option<()> {
        let text = node.as_str().and_then(|t| t.get(range.clone())).unwrap_or_default();
        if text.is_empty() {
            return Some(());
        }
        let known = self.loader.options.catalog.find(&statement.name);
        let free_form = matches!(known, ModuleKnown::Yes { free_form: true });
        if node.tag.is_some() && node.tag != Some(crate::yaml::Tag::Unsafe) {
            statement.free_form = self.tree(node);
            return Some(());
        }
        // Statements take a bare text too, but unlike a command's theirs holds no `=` that is not an argument's.
        let command = free_form && !BARE_TEXT.contains(&statement.short());
        let Ok(found) = parse_kv(text, command) else {
            self.error(unbalanced(node));
            return None;
        };
        for pair in found.pairs {
            let span = node.content_span(range.start + pair.range.start..range.start + pair.range.end);
            let value_span = node.content_span(value_range(text, &pair.range, &pair.value, range.start));
            if let Some(value) = self.compiled(node, &pair.value, value_span) {
                statement.args.insert(pair.key.into(), Arg { span, value });
            }
        }
        let Some((rest, place)) = found.rest else { return Some(()) };
        let argument_less = matches!(statement.short(), "add_host" | "set_fact" | "group_by");
        if argument_less && statement.args.is_empty() && whole_template(node) && range.start == 0 {
            statement.template_args = self.tree(node);
            return Some(());
        }
        let span = node.content_span(range.start + place.start..range.start + place.end);
        if free_form || statement.dynamic.is_some() || BARE_TEXT.contains(&statement.short()) {
            statement.free_form = self.compiled(node, &rest, span);
            return Some(());
        }
        if statement.args.is_empty() && whole_template(node) && range.start == 0 {
            statement.template_args = self.tree(node);
            return Some(());
        }
        // Around a template the text stays a text, which is known now; a task that is prepared for it fails by itself.
        let rendered = rest.contains("{{");
        let code = if rendered { "XP0705" } else { "XP0614" };
        self.error(
            Diagnostic::error(code, format!("`{}` takes arguments, not a bare text", statement.name))
                .at(span, "not `name=value`")
                .help(format!("write the arguments as a mapping under `{}:`", statement.name)),
        );
        if !rendered {
            return None;
        }
        statement.template_args = self.compiled(node, &rest, span);
        Some(())
    }

    fn compiled(&mut self, node: &Node, text: &str, span: Span) -> Option<Tree> {
        if node.tag == Some(crate::yaml::Tag::Unsafe) {
            return Some(Tree { kind: TreeKind::Value(text.into()), span: Some(span) });
        }
        match self.loader.options.templar.compile_str(text, Some(span)) {
            Ok(tree) => Some(tree),
            Err(diagnostic) => {
                self.error(diagnostic);
                None
            }
        }
    }

    /// Makes the action of a statement that is no static import.
    pub(super) fn action(
        &mut self,
        fields: &Fields<'_>,
        statement: &Statement<'_>,
        own: &Directives,
        vars: Option<VarMap>,
        place: &Place,
    ) -> Option<Action> {
        match statement.short() {
            "meta" => self.meta(statement, place).map(Action::Meta),
            "include_tasks" => {
                self.include_keywords(fields, statement);
                self.only_arguments(statement, &["file", "apply"]);
                let file = self.required(statement, &["file"], "a file")?;
                let inherited = self.include_directives(place, vars, statement.apply);
                Some(Action::IncludeTasks(IncludeTasks { file, inherited }))
            }
            "include_role" => {
                self.include_keywords(fields, statement);
                self.only_arguments(statement, &ROLE_ARGUMENTS);
                if place.handlers {
                    self.no_handler(statement);
                    return None;
                }
                self.names_of_role_files(statement);
                let name = self.required(statement, &["name", "role"], "a role")?;
                let get = |name: &str| statement.args.get(name).map(|a| a.value.clone());
                Some(Action::IncludeRole(Box::new(IncludeRole {
                    name,
                    tasks_from: get("tasks_from"),
                    vars_from: get("vars_from"),
                    defaults_from: get("defaults_from"),
                    handlers_from: get("handlers_from"),
                    public: get("public"),
                    allow_duplicates: get("allow_duplicates"),
                    rolespec_validate: get("rolespec_validate"),
                    inherited: self.include_directives(place, vars, statement.apply),
                })))
            }
            "import_playbook" => {
                self.error(
                    Diagnostic::error("XP0603", "`import_playbook` is no task")
                        .at(statement.span, "stands among tasks")
                        .help("write it beside the plays, at the left margin of the playbook"),
                );
                None
            }
            _ => {
                self.check_arguments(statement, own, place);
                let mut pairs = Vec::with_capacity(statement.args.len());
                for (name, arg) in &statement.args {
                    let plain = Tree { kind: TreeKind::Value(name.clone().into()), span: Some(arg.span) };
                    // Only where names are data they may be templates.
                    let named = matches!(statement.short(), "set_fact" | "add_host") && name.contains("{{");
                    let key = match self.loader.options.templar.compile_str(name, Some(arg.span)) {
                        Ok(tree) if named => tree,
                        _ => plain,
                    };
                    pairs.push((key, arg.value.clone()));
                }
                let args = Tree { kind: TreeKind::Map(Arc::new(pairs)), span: Some(statement.span) };
                Some(Action::Module {
                    name: statement.name.as_str().into(),
                    args,
                    free_form: statement.free_form.clone(),
                    template_args: statement.template_args.clone(),
                    file: statement.file.clone(),
                    dynamic: statement.dynamic.clone(),
                })
            }
        }
    }

    /// Reports a statement that cannot be a handler.
    pub(super) fn no_handler(&mut self, statement: &Statement<'_>) {
        let message = format!("Using '{}' as a handler is not supported.", statement.name);
        self.error(Diagnostic::error("XP0617", message).at(statement.span, "among handlers"));
    }

    /// Reports names of a role's files that are no texts.
    fn names_of_role_files(&mut self, statement: &Statement<'_>) {
        for name in ["tasks_from", "vars_from", "defaults_from", "handlers_from"] {
            let Some(arg) = statement.args.get(name) else { continue };
            if arg.value.as_value().is_some_and(|v| v.as_str().is_none())
                || matches!(arg.value.kind, TreeKind::List(_) | TreeKind::Map(_))
            {
                let got = match &arg.value.kind {
                    TreeKind::Map(_) => "a mapping",
                    TreeKind::List(_) => "a list",
                    _ => arg.value.as_value().map_or("something else", Value::type_name),
                };
                let message = format!("Expected a string for {name} but got {got} instead");
                self.error(Diagnostic::error("XP0604", message).at(arg.span, "the name of a file"));
            }
        }
    }

    fn check_arguments(&mut self, statement: &Statement<'_>, own: &Directives, place: &Place) {
        if statement.dynamic.is_some() || statement.file.is_some() {
            return;
        }
        let literal = LiteralArgs {
            args: statement.args.iter().map(|(n, a)| (n.clone(), Some(a.span), a.value.clone())).collect(),
            free_form: statement.free_form.is_some(),
            span: Some(statement.span),
        };
        let complete = statement.template_args.is_none()
            && own.module_defaults.is_empty()
            && place.inherited.module_defaults.is_empty();
        let found = self.loader.options.catalog.check(&statement.name, &literal, complete);
        for diagnostic in found {
            match diagnostic.severity {
                crate::diag::Severity::Error => self.error(diagnostic),
                crate::diag::Severity::Warning => self.warn(diagnostic),
            }
        }
    }

    fn meta(&mut self, statement: &Statement<'_>, place: &Place) -> Option<MetaKind> {
        let word =
            statement.free_form.as_ref().and_then(Tree::as_value).and_then(Value::as_str).unwrap_or("");
        if let Some((_, kind)) = MetaKind::ALL.iter().find(|(name, _)| *name == word.trim()) {
            if *kind == MetaKind::EndRole && (place.role.is_none() || place.handlers) {
                let place = if place.handlers { "a handler" } else { "outside of a role" };
                self.error(
                    Diagnostic::error("XP0615", format!("Cannot execute 'end_role' from {place}"))
                        .at(statement.span, "no role to end"),
                );
            }
            if *kind == MetaKind::FlushHandlers && place.handlers {
                self.error(
                    Diagnostic::error("XP0615", "flush_handlers cannot be used as a handler")
                        .at(statement.span, "handlers are running already"),
                );
            }
            return Some(*kind);
        }
        let span = statement.free_form.as_ref().and_then(|t| t.span).unwrap_or(statement.span);
        let names = MetaKind::ALL.map(|(name, _)| name);
        self.error(
            Diagnostic::error("XP0615", format!("unknown meta action `{word}`"))
                .at(span, "no such action")
                .note(format!("known are {}", names.join(", ")))
                .suggest(word, names),
        );
        None
    }

    /// Keywords that a dynamic include cannot take for itself.
    fn include_keywords(&mut self, fields: &Fields<'_>, statement: &Statement<'_>) {
        const ALLOWED: [&str; 16] = [
            "action",
            "args",
            "collections",
            "debugger",
            "ignore_errors",
            "loop",
            "loop_control",
            "name",
            "no_log",
            "register",
            "run_once",
            "tags",
            "timeout",
            "vars",
            "when",
            "listen",
        ];
        for (name, span) in fields.names() {
            if ALLOWED.contains(&name) || name == "local_action" {
                continue;
            }
            let diagnostic =
                Diagnostic::error("XP0617", format!("`{name}` has no meaning on `{}`", statement.name))
                    .at(span, "does not reach the included tasks");
            let block_keyword = keywords::names_at(Level::Block).any(|k| k == name);
            self.error(if block_keyword {
                diagnostic.help(format!("write it under `apply:` of `{}`, or use an import", statement.name))
            } else {
                diagnostic
            });
        }
    }

    /// Reports arguments of a statement that it does not have.
    pub(super) fn only_arguments(&mut self, statement: &Statement<'_>, names: &[&str]) {
        for (name, arg) in &statement.args {
            if !names.contains(&&**name) {
                let diagnostic =
                    Diagnostic::error("XP0614", format!("Invalid options for {}: {name}", statement.name))
                        .at(arg.span, "unknown argument")
                        .suggest(name, names.iter().copied());
                self.error(diagnostic);
            }
        }
    }

    /// The argument that a statement cannot do without, under one of its names or as bare text.
    pub(super) fn required(&mut self, statement: &Statement<'_>, names: &[&str], what: &str) -> Option<Tree> {
        let named = names.iter().find_map(|n| statement.args.get(*n)).map(|a| a.value.clone());
        let bare = if names.contains(&"file") { statement.free_form.clone() } else { None };
        let found = bare.or(named).filter(|t| t.as_value().is_none_or(|v| !v.is_null()));
        if found.is_none() {
            let message = match what {
                "a file" => format!("No file specified for {}", statement.name),
                _ => format!("`{}` needs {what}", statement.name),
            };
            let field = names.first().copied().unwrap_or_default();
            let diagnostic = Diagnostic::error("XP0605", message);
            self.error(at(diagnostic, Some(statement.task), &format!("`{field}` is missing")));
        }
        found
    }
}

pub(super) const ROLE_ARGUMENTS: [&str; 10] = [
    "name",
    "role",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "apply",
    "public",
    "allow_duplicates",
    "rolespec_validate",
];

fn unbalanced(node: &Node) -> Diagnostic {
    Diagnostic::error("XP0614", "quotes or template brackets are not closed")
        .at(node.span, "in these arguments")
        .help("write the arguments as a mapping instead of `name=value`")
}

/// Where the value of a pair stands, quotes left out.
fn value_range(text: &str, pair: &Range<usize>, value: &str, base: usize) -> Range<usize> {
    let written = text.get(pair.clone()).unwrap_or_default();
    match written.find('=').and_then(|eq| Some(eq + 1 + written.get(eq + 1..)?.find(value)?)) {
        Some(start) => base + pair.start + start..base + pair.start + start + value.len(),
        None => base + pair.start..base + pair.end,
    }
}
