//! Uses of roles: `roles:`, dependencies, `import_role`, `include_role`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files;
use super::read::Fields;
use super::role_files::FromFiles;
use super::{Load, Place};
use crate::diag::{Diagnostic, Span};
use crate::playbook::keywords::{self, Level};
use crate::playbook::{Block, Directives, Entry, Role, Task};
use crate::template::{Tree, VarMap};
use crate::yaml::Node;

/// A role statement, read.
pub(super) struct RoleUse {
    pub name: String,
    pub span: Option<Span>,
    pub params: VarMap,
    pub vars: VarMap,
    pub directives: Directives,
    pub from: FromFiles,
    /// By `import_role` or `include_role`.
    pub from_include: bool,
    pub public: bool,
    pub validate: bool,
    /// Overrides the role's own setting.
    pub allow_duplicates: Option<bool>,
}

impl Load<'_> {
    /// Loads the entries of `roles:`.
    pub(super) fn roles(&mut self, list: &Node, place: &Place) -> Vec<Entry> {
        let mut entries = Vec::new();
        if !list.is_list() && !list.is_null() {
            self.error(
                Diagnostic::error("XP0601", "A malformed role declaration was encountered.")
                    .at(list.span, "not a list of roles")
                    .help("start every entry with `- `"),
            );
        }
        for node in list.items() {
            if let Some(usage) = self.role_statement(node, place)
                && let Some((blocks, _)) = self.role(usage, place, Vec::new())
            {
                entries.extend(blocks);
            }
        }
        entries
    }

    /// Whether the rest of the play sees the variables of roles that do not say it.
    pub(super) fn roles_are_public(&self) -> bool {
        self.loader.options.private_role_vars != Some(true)
    }

    /// Reads an entry of `roles:` or of dependencies.
    fn role_statement(&mut self, node: &Node, place: &Place) -> Option<RoleUse> {
        let mut usage = RoleUse {
            name: String::new(),
            span: Some(node.span),
            params: VarMap::default(),
            vars: VarMap::default(),
            directives: Directives::default(),
            from: FromFiles::default(),
            from_include: false,
            public: self.roles_are_public(),
            validate: true,
            allow_duplicates: None,
        };
        if let Some(scalar) = node.scalar().filter(|s| !s.value.is_null()) {
            if scalar.text.contains(',') && !scalar.text.contains("{{") {
                let message = format!("Invalid old style role requirement: {}", scalar.text);
                self.error(
                    Diagnostic::error("XP0623", message)
                        .at(node.span, "not the name of a role")
                        .help("write `- role: NAME`; versions belong into requirements.yml"),
                );
                return None;
            }
            let tree = self.tree(node)?;
            usage.name = if tree.as_value().is_some() {
                scalar.text.to_string()
            } else {
                self.static_text(&tree, "a role", place)?
            };
            return Some(usage);
        }
        if !node.is_map() {
            self.error(
                Diagnostic::error(
                    "XP0623",
                    format!("a role is a name or a mapping, not {}", node.described()),
                )
                .at(node.span, "not a role"),
            );
            return None;
        }
        let fields = self.fields(node, Level::Role);
        let name = match fields.get("role").or_else(|| fields.get("name")) {
            Some(name) => name.clone(),
            None => self.galaxy_source(&fields)?,
        };
        usage.span = Some(name.span);
        let tree = self.tree(&name)?;
        usage.name = self.static_text(&tree, "a role", place)?;
        usage.directives = self.directives(&fields);
        usage.vars = self.vars(&fields).unwrap_or_default();
        usage.params = self.params(&fields);
        Some(usage)
    }

    /// Entries of a role statement that are no keywords are its parameters.
    fn params(&mut self, fields: &Fields<'_>) -> VarMap {
        let mut params = indexmap::IndexMap::new();
        for (name, key, value) in &fields.others {
            if keywords::find(name).is_some() && *name != "args" {
                self.warn(
                    Diagnostic::warning("XP0642", format!("`{name}` is not a keyword of a role"))
                        .at(key.span, "becomes a variable of the role"),
                );
            }
            if let Some(tree) = self.tree(value) {
                params.insert(Arc::from(*name), tree);
            }
        }
        Arc::new(params)
    }

    /// The name in `src: https://example.com/repo.git` of old dependency lists.
    fn galaxy_source(&mut self, fields: &Fields<'_>) -> Option<Node> {
        let source =
            fields.others.iter().find(|(name, _, _)| *name == "src").map(|(_, _, value)| (*value).clone());
        if source.is_none() {
            self.error(
                Diagnostic::error("XP0605", "this role has no name")
                    .at(fields.node.span, "`role` is missing")
                    .help("write `- role: NAME`"),
            );
        }
        let mut node = source?;
        if let crate::yaml::NodeValue::Scalar(scalar) = &mut node.value {
            let text = scalar.text.rsplit('/').next().unwrap_or("");
            let text = text.trim_end_matches(".git").trim_end_matches(".tar.gz");
            let text: Arc<str> = text.split(',').next().unwrap_or(text).into();
            scalar.value = crate::value::Value::str(text.clone());
            scalar.text = text;
        }
        Some(node)
    }

    /// Loads one use of a role: blocks of its dependencies, then its own.
    pub(super) fn role(
        &mut self,
        usage: RoleUse,
        place: &Place,
        parents: Vec<Arc<Role>>,
    ) -> Option<(Vec<Entry>, Arc<Role>)> {
        let beside: Option<PathBuf> = parents.last().map(|p| files::parent(&p.files.path));
        let path = self.role_path(&usage.name, beside.as_deref(), usage.span)?;
        let entry_point = usage.from.tasks.clone().unwrap_or_else(|| "main".to_owned());
        let key = (path.clone(), Some(entry_point.clone()));
        if place.stack.contains(&key) {
            let diagnostic = Diagnostic::error("XP0622", format!("the role `{}` needs itself", usage.name));
            self.error(super::scope::at(diagnostic, usage.span, "used again while it is being loaded"));
            return None;
        }
        let parts = self.role_parts(&path, &usage.from, usage.span);
        let name = role_name(&usage.name, &path);
        let mut role = Role {
            name: name.into(),
            files: parts.files.clone(),
            params: usage.params.clone(),
            vars: usage.vars.clone(),
            parents,
            dependencies: Vec::new(),
            public: usage.public,
            identity: identity(&usage, &path).into(),
            allow_duplicates: usage.allow_duplicates.unwrap_or(parts.files.allow_duplicates),
            from_include: usage.from_include,
        };
        let mut inner = place.with(&usage.directives);
        inner.stack.push(key);
        inner.id_path = place.id_below(&role.name);
        let mut entries = Vec::new();
        if !parts.dependencies.is_empty() {
            let shell = Arc::new(role.clone_without_dependencies());
            let below = Place { role: Some(shell.clone()), ..inner.clone() };
            let chain: Vec<Arc<Role>> = shell.parents.iter().cloned().chain([shell.clone()]).collect();
            for node in &parts.dependencies {
                if let Some(mut dependency) = self.role_statement(node, &below) {
                    dependency.public = role.public;
                    if let Some((blocks, dependency)) = self.role(dependency, &below, chain.clone()) {
                        entries.extend(blocks);
                        role.dependencies.push(dependency);
                    }
                }
            }
        }
        let role = Arc::new(role);
        // Before the tasks, whose static names see the role's variables; after the dependencies, as they run.
        self.uses.push(role.clone());
        self.know_library(&role.files.path);
        inner.role = Some(role.clone());
        entries.push(self.role_block(&usage, &role, &parts, &entry_point, &inner));
        Some((entries, role))
    }

    fn role_block(
        &mut self,
        usage: &RoleUse,
        role: &Arc<Role>,
        parts: &super::RoleParts,
        entry_point: &str,
        inner: &Place,
    ) -> Entry {
        let mut body = Vec::new();
        if usage.validate {
            let spec = entry_point.trim_end_matches(".yml").trim_end_matches(".yaml");
            body.extend(self.validation_task(role, spec, inner));
        }
        if let Some((file, node)) = &parts.tasks {
            let at = Place { dir: files::parent(file), handlers: false, ..inner.clone() };
            body.extend(self.entries(node, "a role's tasks", &at));
        }
        if let Some((file, node)) = &parts.handlers {
            let at = Place { dir: files::parent(file), handlers: true, ..inner.clone() };
            let handlers = self.handlers_of(node, "a role's handlers", &at);
            self.handlers.extend(handlers);
        }
        Entry::Block(Arc::new(Block {
            name: None,
            body,
            rescue: Vec::new(),
            always: Vec::new(),
            directives: inner.inherited.clone(),
            role: Some(role.clone()),
            span: usage.span,
        }))
    }

    /// Loads handlers; imports among them are flattened.
    pub(super) fn handlers_of(&mut self, node: &Node, what: &str, place: &Place) -> Vec<Arc<Task>> {
        let entries = self.entries(node, what, place);
        entries.iter().flat_map(Entry::tasks).cloned().collect()
    }
}

/// A role that was named by its path is called by its last part.
fn role_name(written: &str, path: &Path) -> String {
    if written.contains('/') {
        return path.file_name().map_or_else(|| written.to_owned(), |n| n.to_string_lossy().into_owned());
    }
    written.to_owned()
}

/// See [`Role::identity`].
fn identity(usage: &RoleUse, path: &Path) -> String {
    let shape = |trees: &[Tree]| trees.iter().map(shape_of).collect::<Vec<_>>().join(",");
    let vars = |vars: &VarMap| {
        let mut list: Vec<String> = vars.iter().map(|(k, v)| format!("{k}={}", shape_of(v))).collect();
        list.sort();
        list.join(",")
    };
    let when: Vec<&str> = usage.directives.when.iter().map(|w| &*w.text).collect();
    let text = format!(
        "{}|{}|{:?}|{}|{:?}|{}|{}|{}",
        usage.name,
        path.display(),
        usage.from,
        usage.from_include,
        when,
        shape(&usage.directives.tags),
        vars(&usage.params),
        vars(&usage.vars),
    );
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// A text that is equal for equal trees.
fn shape_of(tree: &Tree) -> String {
    use crate::template::TreeKind;
    match &tree.kind {
        TreeKind::Value(value) => value.repr(),
        TreeKind::Template(template) => format!("template {:?}", template.text),
        TreeKind::List(items) => format!("[{}]", items.iter().map(shape_of).collect::<Vec<_>>().join(", ")),
        TreeKind::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}: {}", shape_of(k), shape_of(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        TreeKind::Vault(text) => format!("vault {text:?}"),
    }
}
