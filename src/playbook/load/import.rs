//! `import_tasks` and `import_role`: expanded where they stand.

use std::sync::Arc;

use super::action::{Import, ROLE_ARGUMENTS, Statement};
use super::files::{Order, shown};
use super::read::Fields;
use super::role::RoleUse;
use super::role_files::FromFiles;
use super::{Load, Place};
use crate::diag::Diagnostic;
use crate::playbook::{Block, Directives, Entry, Loop};
use crate::template::VarMap;
use crate::value::Value;

impl Load<'_> {
    #[expect(clippy::too_many_arguments, reason = "everything that was read from one task")]
    pub(super) fn import(
        &mut self,
        import: Import,
        fields: &Fields<'_>,
        statement: &Statement<'_>,
        mut own: Directives,
        vars: Option<VarMap>,
        loop_: Option<&Loop>,
        place: &Place,
    ) -> Option<Entry> {
        if let Some(loop_) = loop_ {
            let include = statement.name.replace("import_", "include_");
            self.error(
                Diagnostic::error("XP0617", format!("`{}` cannot loop", statement.name))
                    .at(loop_.span, "an import happens once, at load")
                    .help(format!("use `{include}`")),
            );
            return None;
        }
        for name in ["register", "until", "async"] {
            if let Some(span) = fields.key(name) {
                self.warn(
                    Diagnostic::warning("XP0617", format!("`{name}` has no meaning on `{}`", statement.name))
                        .at(span, "has no effect"),
                );
            }
        }
        own.include_params.extend(vars.clone());
        let name = self.value(fields, "name");
        let span = Some(fields.node.span);
        match import {
            Import::Tasks => {
                let entries = self.import_tasks(statement, &own, place)?;
                let directives = Arc::new(place.inherited.with(&own));
                let block = Block {
                    name,
                    body: entries,
                    rescue: Vec::new(),
                    always: Vec::new(),
                    directives,
                    role: None,
                    span,
                };
                Some(Entry::Block(Arc::new(block)))
            }
            Import::Role => {
                if place.handlers {
                    self.no_handler(statement);
                    return None;
                }
                let body = self.import_role(statement, &own, vars, place)?;
                let directives = Arc::new(place.inherited.with(&own));
                let block = Block {
                    name,
                    body,
                    rescue: Vec::new(),
                    always: Vec::new(),
                    directives,
                    role: None,
                    span,
                };
                Some(Entry::Block(Arc::new(block)))
            }
        }
    }

    fn import_tasks(
        &mut self,
        statement: &Statement<'_>,
        own: &Directives,
        place: &Place,
    ) -> Option<Vec<Entry>> {
        self.only_arguments(statement, &["file"]);
        let file = self.required(statement, &["file"], "a file")?;
        let inner = place.with(own);
        let name = self.static_text(&file, "an imported file", &inner)?;
        let span = file.span.unwrap_or(statement.span);
        let path = self.find_tasks(&name, place, Some(span), Order::NearestFirst)?;
        if place.stack.iter().any(|(p, from)| *p == path && from.is_none()) {
            self.error(
                Diagnostic::error("XP0622", format!("`{}` imports itself", shown(&path).display()))
                    .at(span, "imported again here")
                    .help("use `include_tasks` with a condition that ends it"),
            );
            return None;
        }
        let entries = self.tasks_file(&path, &inner, Some(span));
        if entries.is_empty() && self.errors.is_empty() {
            self.warn(
                Diagnostic::warning("XP0641", format!("`{}` holds no tasks", shown(&path).display()))
                    .at(span, "imported here"),
            );
        }
        Some(entries)
    }

    fn import_role(
        &mut self,
        statement: &Statement<'_>,
        own: &Directives,
        vars: Option<VarMap>,
        place: &Place,
    ) -> Option<Vec<Entry>> {
        let names: Vec<&str> = ROLE_ARGUMENTS.iter().copied().filter(|n| *n != "apply").collect();
        self.only_arguments(statement, &names);
        let name = self.required(statement, &["name", "role"], "a role")?;
        let inner = place.with(own);
        let role = self.static_text(&name, "an imported role", &inner)?;
        let mut from = FromFiles::default();
        for (argument, slot) in [
            ("tasks_from", &mut from.tasks),
            ("vars_from", &mut from.vars),
            ("defaults_from", &mut from.defaults),
            ("handlers_from", &mut from.handlers),
        ] {
            if let Some(arg) = statement.args.get(argument) {
                *slot = Some(self.static_text(&arg.value, "a file of an imported role", &inner)?);
            }
        }
        let public = self.flag(statement, "public", &inner)?;
        let allow_duplicates = self.flag(statement, "allow_duplicates", &inner)?;
        let validate = self.flag(statement, "rolespec_validate", &inner)?;
        let usage = RoleUse {
            name: role,
            span: name.span.or(Some(statement.span)),
            params: VarMap::default(),
            vars: vars.unwrap_or_default(),
            directives: Directives::default(),
            from,
            from_include: true,
            public: public.unwrap_or_else(|| self.roles_are_public()),
            validate: validate.unwrap_or(true),
            allow_duplicates: Some(allow_duplicates.unwrap_or(true)),
        };
        let parents = place.role_chain();
        Some(self.role(usage, &inner, parents)?.0)
    }

    /// Reads a boolean argument that must be known now.
    fn flag(&mut self, statement: &Statement<'_>, name: &str, place: &Place) -> Option<Option<bool>> {
        let Some(arg) = statement.args.get(name) else { return Some(None) };
        let known = match arg.value.as_value() {
            Some(value) => value.clone(),
            None => self.static_value(&arg.value, "an argument of an import", place)?,
        };
        let value = Some(&known).and_then(|v| match v {
            Value::Bool(b) => Some(*b),
            Value::Str(s) => match s.to_lowercase().as_str() {
                "yes" | "true" | "on" => Some(true),
                "no" | "false" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        });
        if value.is_none() {
            let span = arg.value.span.unwrap_or(arg.span);
            self.error(
                Diagnostic::error("XP0604", format!("`{name}` of an import takes true or false"))
                    .at(span, "expected true or false"),
            );
            return None;
        }
        Some(value)
    }
}
