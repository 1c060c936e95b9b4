//! Tasks, handlers and blocks.

use std::sync::Arc;

use super::collections::collections_at;
use super::read::Fields;
use super::{Load, Place};
use crate::diag::{Diagnostic, Span};
use crate::playbook::keywords::Level;
use crate::playbook::{Action, Block, Directives, Entry, Loop, LoopControl, LoopKind, Task};
use crate::value::Value;
use crate::yaml::Node;

/// The code for a module that is known and not built in.
const NOT_BUILT_IN: &str = "XP0613";

impl Load<'_> {
    /// Loads a list of tasks and blocks; `what` names it in messages.
    pub(super) fn entries(&mut self, list: &Node, what: &str, place: &Place) -> Vec<Entry> {
        let mut entries = Vec::new();
        for node in self.items(list, what) {
            if !node.is_null() {
                entries.extend(self.entry(node, place));
            }
        }
        entries
    }

    fn entry(&mut self, node: &Node, place: &Place) -> Option<Entry> {
        if !node.is_map() {
            let mut diagnostic =
                Diagnostic::error("XP0601", format!("a task is a mapping, not {}", node.described()))
                    .at(node.span, "not a task");
            if let Some(word) = node.as_str().and_then(|t| t.split([' ', ':', '=']).next())
                && self.loader.options.catalog.find(word) != crate::playbook::ModuleKnown::No
            {
                diagnostic = diagnostic.help(format!("write `- {word}:` with a colon"));
            }
            self.error(diagnostic);
            return None;
        }
        let is_block = ["block", "rescue", "always"].iter().any(|k| node.get(k).is_some());
        if !is_block {
            return self.task(node, place);
        }
        if place.handlers {
            self.error(
                Diagnostic::error("XP0603", "Using a block as a handler is not supported.")
                    .at(node.span, "a block")
                    .help("write several handlers that `listen` to one topic"),
            );
            return None;
        }
        Some(self.block(node, place))
    }

    fn block(&mut self, node: &Node, place: &Place) -> Entry {
        let fields = self.fields(node, Level::Block);
        self.unknown_keywords(&fields, Level::Block);
        if !fields.has("block") {
            let which = if fields.has("rescue") { "rescue" } else { "always" };
            self.error(
                Diagnostic::error("XP0605", format!("`{which}` without `block`"))
                    .at(fields.key(which).unwrap_or(node.span), "belongs to a block"),
            );
        }
        let mut own = self.directives(&fields);
        own.vars.extend(self.vars(&fields));
        let inner = place.with(&own);
        let rescued = fields.get("rescue").is_some_and(|list| !list.items().is_empty());
        let guarded = Place { rescued: inner.rescued || rescued, ..inner.clone() };
        let part = |load: &mut Self, name: &'static str| match fields.get(name) {
            Some(list) => {
                load.entries(list, &format!("`{name}`"), if name == "block" { &guarded } else { &inner })
            }
            None => Vec::new(),
        };
        let body = part(self, "block");
        let rescue = part(self, "rescue");
        let always = part(self, "always");
        Entry::Block(Arc::new(Block {
            name: self.value(&fields, "name"),
            body,
            rescue,
            always,
            directives: inner.inherited,
            role: None,
            span: Some(node.span),
        }))
    }

    /// Loads a task. A mistake that Ansible only finds while running is the task's own failure where something is
    /// prepared for that: `ignore_errors`, `rescue`.
    fn task(&mut self, node: &Node, place: &Place) -> Option<Entry> {
        let before = self.errors.len();
        let entry = self.read_task(node, place);
        let found = self.errors.get(before..).unwrap_or_default();
        let Some(first) = found.first().filter(|_| found.iter().all(|e| e.is_of_the_run())).cloned() else {
            return entry;
        };
        let refused = found.iter().all(|e| e.code == NOT_BUILT_IN);
        let found_in_arguments = found.iter().all(|e| e.code.starts_with("XP07"));
        let level = if place.handlers { Level::Handler } else { Level::Task };
        let fields = self.fields(node, level);
        let guarded = place.rescued
            || place.inherited.ignore_errors.is_some()
            || fields.get("failed_when").is_some()
            || fields.get("ignore_errors").is_some_and(|n| n.as_bool() != Some(false));
        // On which hosts a module is needed is often said by a condition.
        let conditional = fields.get("when").is_some() || !place.inherited.when.is_empty();
        let deferred = if refused { conditional || guarded } else { guarded };
        if !deferred {
            return entry;
        }
        self.errors.truncate(before);
        if refused {
            self.warn(Diagnostic { severity: crate::diag::Severity::Warning, ..first.clone() });
        }
        if entry.is_some() && found_in_arguments {
            // The module says it itself, in its own words.
            return entry;
        }
        let entry = self.mistaken(node, &fields, first, place);
        // What else is wrong with it was found already.
        self.errors.truncate(before);
        Some(entry)
    }

    /// A task that fails with a message when it is run.
    fn mistaken(&mut self, node: &Node, fields: &Fields<'_>, mistake: Diagnostic, place: &Place) -> Entry {
        let mut own = self.directives(fields);
        own.vars.extend(self.vars(fields));
        let effective = place.inherited.with(&own);
        let module: Arc<str> = fields.others.first().map_or("action", |(name, _, _)| *name).into();
        let label = Self::label(fields, &module);
        Entry::Task(Arc::new(Task {
            id: self.step_id(&place.id_below(&label), node),
            name: self.value(fields, "name"),
            action: Action::Mistake { module, diagnostic: Box::new(mistake) },
            register: self.register(fields),
            loop_: None,
            until: Vec::new(),
            retries: None,
            delay: None,
            changed_when: Vec::new(),
            failed_when: self.conditions(fields, "failed_when"),
            notify: Vec::new(),
            listen: self.text_list(fields, "listen"),
            async_: None,
            poll: None,
            directives: Arc::new(effective),
            role: place.role.clone(),
            dir: place.dir.clone(),
            span: node.span,
            action_span: node.span,
        }))
    }

    fn read_task(&mut self, node: &Node, place: &Place) -> Option<Entry> {
        let level = if place.handlers { Level::Handler } else { Level::Task };
        let mut fields = self.fields(node, level);
        self.libraries = self.libraries_at(place);
        self.searched = collections_at(place);
        let with = self.take_with(&mut fields);
        let statement = self.statement(&mut fields, level);
        let mut own = self.directives(&fields);
        let vars = self.vars(&fields);
        own.vars.extend(vars.clone());
        let loop_ = self.task_loop(&fields, with);
        let statement = statement?;
        if statement.local {
            own.delegate_to = Some(crate::template::Tree::value("localhost"));
        }
        if let Some(import) = statement.import() {
            return self.import(import, &fields, &statement, own, vars, loop_.as_ref(), place);
        }
        let action = self.action(&fields, &statement, &own, vars, place)?;
        let label = Self::label(&fields, &statement.name);
        let effective = place.inherited.with(&own);
        Some(Entry::Task(Arc::new(Task {
            id: self.step_id(&place.id_below(&label), node),
            name: self.value(&fields, "name").or_else(|| statement.written.map(crate::template::Tree::value)),
            action,
            register: self.register(&fields),
            loop_,
            until: self.conditions(&fields, "until"),
            retries: self.value(&fields, "retries"),
            delay: self.value(&fields, "delay"),
            changed_when: self.conditions(&fields, "changed_when"),
            failed_when: self.conditions(&fields, "failed_when"),
            notify: effective.notify.clone().unwrap_or_default(),
            listen: self.text_list(&fields, "listen"),
            async_: self.value(&fields, "async"),
            poll: self.value(&fields, "poll"),
            directives: Arc::new(effective),
            role: place.role.clone(),
            dir: place.dir.clone(),
            span: node.span,
            action_span: statement.span,
        })))
    }

    fn register(&mut self, fields: &Fields<'_>) -> Option<Arc<str>> {
        let tree = self.variable_name(fields, "register")?;
        match tree.as_value() {
            Some(Value::Str(name)) => Some(name.shared()),
            _ => {
                let span = fields.get("register").map_or(fields.node.span, |n| n.span);
                self.error(
                    Diagnostic::error("XP0630", "`register` takes the name of a variable, not a template")
                        .at(span, "a template"),
                );
                None
            }
        }
    }

    /// Takes the `with_NAME` entries out; more than one loop is a mistake.
    fn take_with<'n>(&mut self, fields: &mut Fields<'n>) -> Option<(&'n str, &'n Node, &'n Node)> {
        let mut found: Option<(&'n str, &'n Node, &'n Node)> = None;
        let mut first = fields.key("loop");
        let mut twice: Vec<(Span, Span)> = Vec::new();
        fields.others.retain(|(name, key, value)| {
            let Some(lookup) = name.strip_prefix("with_") else { return true };
            match first {
                Some(first) => twice.push((first, key.span)),
                None => {
                    first = Some(key.span);
                    found = Some((lookup, key, value));
                }
            }
            false
        });
        for (first, second) in twice {
            self.error(
                Diagnostic::error("XP0616", "a task has one loop")
                    .at(second, "the second loop")
                    .at(first, "the first"),
            );
        }
        found
    }

    fn task_loop(&mut self, fields: &Fields<'_>, with: Option<(&str, &Node, &Node)>) -> Option<Loop> {
        let control = self.loop_control(fields);
        let (kind, value, span) = match (fields.get("loop"), with) {
            (Some(value), _) => (LoopKind::Loop, value, fields.key("loop").unwrap_or(value.span)),
            (None, Some((lookup, key, value))) => {
                if value.is_null() {
                    self.error(
                        Diagnostic::error("XP0604", format!("`with_{lookup}` needs a value"))
                            .at(key.span, "nothing to loop over"),
                    );
                    return None;
                }
                if let Err(best) = self.loader.options.templar.check_lookup(lookup) {
                    let diagnostic = Diagnostic::error("XP0618", format!("unknown loop `with_{lookup}`"))
                        .at(key.span, "no lookup of this name");
                    self.error(match best {
                        Some(best) => diagnostic.help(format!("did you mean `with_{best}`?")),
                        None => diagnostic,
                    });
                }
                (LoopKind::With(lookup.into()), value, key.span)
            }
            (None, None) => return None,
        };
        if kind == LoopKind::Loop
            && (value.is_map() || value.scalar().is_some_and(|s| s.value.as_str().is_none()))
        {
            self.error(
                Diagnostic::error("XP0604", format!("`loop` takes a list, not {}", value.described()))
                    .at(value.span, "expected a list")
                    .help(if value.is_map() {
                        "for a mapping write `loop: \"{{ the_map | dict2items }}\"`"
                    } else {
                        "write a list"
                    }),
            );
            return None;
        }
        let expr = self.tree(value)?;
        Some(Loop { kind, expr, control, span })
    }

    fn loop_control(&mut self, fields: &Fields<'_>) -> LoopControl {
        let Some(node) = fields.get("loop_control") else { return LoopControl::default() };
        if !node.is_map() {
            self.error(
                Diagnostic::error(
                    "XP0604",
                    format!("`loop_control` takes a mapping, not {}", node.described()),
                )
                .at(node.span, "expected a mapping"),
            );
            return LoopControl::default();
        }
        let fields = self.fields(node, Level::LoopControl);
        self.unknown_keywords(&fields, Level::LoopControl);
        LoopControl {
            loop_var: self.variable_name(&fields, "loop_var"),
            index_var: self.variable_name(&fields, "index_var"),
            label: self.value(&fields, "label"),
            pause: self.value(&fields, "pause"),
            extended: self.value(&fields, "extended"),
            extended_allitems: self.value(&fields, "extended_allitems"),
            break_when: self.conditions(&fields, "break_when"),
        }
    }

    /// What an included file inherits: the surroundings, the include's variables, and `apply`.
    pub(super) fn include_directives(
        &mut self,
        place: &Place,
        vars: Option<crate::template::VarMap>,
        apply: Option<&Node>,
    ) -> Arc<Directives> {
        let mut inherited = (*place.inherited).clone();
        inherited.vars.extend(vars.clone());
        inherited.include_params.extend(vars);
        let Some(apply) = apply.filter(|a| !a.is_null()) else { return Arc::new(inherited) };
        if !apply.is_map() {
            self.error(
                Diagnostic::error("XP0604", format!("`apply` takes a mapping, not {}", apply.described()))
                    .at(apply.span, "expected keywords of a block"),
            );
            return Arc::new(inherited);
        }
        let fields = self.fields(apply, Level::Block);
        self.unknown_keywords(&fields, Level::Block);
        let mut own = self.directives(&fields);
        own.vars.extend(self.vars(&fields));
        Arc::new(inherited.with(&own))
    }
}
