//! Playbook files: plays and imports of other playbooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::files::{self, shown};
use super::read::Fields;
use super::{Load, Place};
use crate::diag::Diagnostic;
use crate::playbook::keywords::{self, Level};
use crate::playbook::{BatchSize, Directives, Entry, Play, VarsPrompt};
use crate::template::{Expr, Tree, VarMap};
use crate::value::Value;
use crate::yaml::Node;

/// What `import_playbook` statements around a play hand down.
#[derive(Clone, Default)]
struct Imported {
    when: Vec<Expr>,
    tags: Vec<Tree>,
    vars: IndexMap<Arc<str>, Tree>,
    /// Playbooks that are being loaded, to notice circles.
    stack: Vec<PathBuf>,
}

const NO_HOSTS: &str = "Hosts list cannot be empty. Please check your playbook";
const IMPORTS: [&str; 3] =
    ["import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook"];

impl Load<'_> {
    /// Loads a playbook file.
    pub(super) fn playbook(&mut self, path: &Path) -> Vec<Arc<Play>> {
        let imported = Imported { stack: vec![path.to_owned()], ..Imported::default() };
        self.playbook_file(path, &imported, None)
    }

    fn playbook_file(
        &mut self,
        path: &Path,
        imported: &Imported,
        from: Option<crate::diag::Span>,
    ) -> Vec<Arc<Play>> {
        let errors = self.errors.len();
        let Some(node) = self.document(path, from) else {
            if self.errors.len() == errors {
                let name = shown(path);
                let diagnostic = Diagnostic::error("XP0601", format!("`{}` is empty", name.display()));
                self.error(super::scope::at(
                    diagnostic.help("a playbook is a list of plays"),
                    from,
                    "imported here",
                ));
            }
            return Vec::new();
        };
        let mut diagnostic =
            Diagnostic::error("XP0601", format!("a playbook is a list of plays, not {}", node.described()))
                .at(node.span, "not a list of plays");
        if !node.is_list() {
            if node.get("hosts").is_some() || IMPORTS.iter().any(|i| node.get(i).is_some()) {
                diagnostic = diagnostic.help("start the play with `- `");
            }
            self.error(diagnostic);
            return Vec::new();
        }
        if node.items().is_empty() {
            self.error(
                Diagnostic::error("XP0601", "A playbook must contain at least one play")
                    .at(node.span, "no plays"),
            );
        }
        let mut plays = Vec::new();
        for entry in node.items() {
            if !entry.is_map() {
                self.error(
                    Diagnostic::error("XP0601", format!("a play is a mapping, not {}", entry.described()))
                        .at(entry.span, "not a play"),
                );
                continue;
            }
            // Static names of an imported file see its own directory.
            self.playbook_dir = files::parent(path);
            match IMPORTS.iter().find_map(|name| entry.get(name).map(|n| (*name, n))) {
                Some((key, name)) => plays.extend(self.import_playbook(entry, key, name, path, imported)),
                None => plays.extend(self.play(entry, path, imported)),
            }
        }
        plays
    }

    fn import_playbook(
        &mut self,
        entry: &Node,
        key: &str,
        name: &Node,
        path: &Path,
        outer: &Imported,
    ) -> Vec<Arc<Play>> {
        let mut fields = self.fields(entry, Level::Import);
        fields.others.retain(|(name, _, _)| *name != key);
        if let Some((_, hosts, _)) = fields.others.iter().find(|(name, _, _)| *name == "hosts") {
            self.error(
                Diagnostic::error("XP0603", "this is a play and an import at once")
                    .at(hosts.span, "belongs to a play")
                    .help("start the import with its own `- `"),
            );
            return Vec::new();
        }
        self.unknown_keywords(&fields, Level::Import);
        for (keyword, span) in fields.names() {
            if !matches!(keyword, "import_playbook" | "name" | "when" | "tags" | "vars") {
                self.warn(
                    Diagnostic::warning("XP0617", format!("`{keyword}` has no meaning on `import_playbook`"))
                        .at(span, "has no effect"),
                );
            }
        }
        let mut inner = outer.clone();
        inner.when.extend(self.conditions(&fields, "when"));
        inner.tags.extend(self.tags(&fields));
        if let Some(vars) = self.vars(&fields) {
            inner.vars.extend(vars.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        let place = Place {
            inherited: Arc::new(Directives {
                vars: vec![Arc::new(inner.vars.clone())],
                ..Directives::default()
            }),
            role: None,
            dir: files::parent(path),
            handlers: false,
            rescued: false,
            id_path: "".into(),
            stack: Vec::new(),
        };
        self.play_vars.clear();
        self.uses.clear();
        let Some(tree) = self.tree(name) else { return Vec::new() };
        let Some(text) = self.static_text(&tree, "an imported playbook", &place) else { return Vec::new() };
        let target = files::join(&place.dir, &text);
        if inner.stack.contains(&target) {
            self.error(
                Diagnostic::error("XP0622", format!("`{}` imports itself", shown(&target).display()))
                    .at(name.span, "imported again here"),
            );
            return Vec::new();
        }
        if !target.is_file() {
            let message = format!("the playbook `{text}` does not exist");
            self.error(files::missing(&message, &text, &[target], Some(name.span)));
            return Vec::new();
        }
        inner.stack.push(target.clone());
        self.playbook_file(&target, &inner, Some(name.span))
    }

    fn play(&mut self, node: &Node, path: &Path, imported: &Imported) -> Option<Arc<Play>> {
        let fields = self.fields(node, Level::Play);
        self.play_strays(&fields);
        self.uses.clear();
        self.handlers.clear();
        let vars = self.play_variables(&fields, imported);
        let vars_files = self.list(&fields, "vars_files");
        self.play_vars = vec![vars.clone()];
        self.static_vars_files(&vars_files, path);

        let mut directives = self.directives(&fields);
        if let Some(user) = self.value(&fields, "user") {
            if let (Some(user), Some(remote_user)) = (fields.key("user"), fields.key("remote_user")) {
                self.error(
                    Diagnostic::error("XP0603", "both 'user' and 'remote_user' are set for this play.")
                        .at(user, "the old name")
                        .at(remote_user, "the same once more")
                        .help("keep `remote_user`"),
                );
            }
            directives.remote_user.get_or_insert(user);
        }
        directives.when = imported.when.clone();
        let own_tags = std::mem::take(&mut directives.tags);
        directives = Directives { tags: imported.tags.clone(), ..Directives::default() }
            .with(&directives)
            .with(&Directives { tags: own_tags, ..Directives::default() });
        let directives = Arc::new(self.loader.options.base.with(&directives));

        let hosts = self.hosts(&fields);
        let file = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let label = Self::label(&fields, &hosts.as_ref().map_or_else(String::new, hosts_label));
        let id_path: Arc<str> = format!("{file}/{label}").into();
        let place = Place {
            inherited: directives.clone(),
            role: None,
            dir: files::parent(path),
            handlers: false,
            rescued: false,
            id_path: id_path.clone(),
            stack: vec![(path.to_owned(), None)],
        };
        let roles = match fields.get("roles") {
            Some(list) => self.roles(list, &place),
            None => Vec::new(),
        };
        let role_handlers = std::mem::take(&mut self.handlers);
        let section = |load: &mut Self, name: &'static str| -> Vec<Entry> {
            fields.get(name).map_or_else(Vec::new, |list| load.entries(list, &format!("`{name}`"), &place))
        };
        let pre_tasks = section(self, "pre_tasks");
        let tasks = section(self, "tasks");
        let post_tasks = section(self, "post_tasks");
        let handler_place = Place {
            handlers: true,
            inherited: Arc::new(Directives { when: Vec::new(), ..(*directives).clone() }),
            ..place.clone()
        };
        let mut handlers = role_handlers;
        let imported_handlers = std::mem::take(&mut self.handlers);
        if let Some(list) = fields.get("handlers") {
            handlers.extend(self.handlers_of(list, "`handlers`", &handler_place));
        }
        handlers.append(&mut self.handlers);
        handlers.extend(imported_handlers);

        Some(Arc::new(Play {
            name: self.value(&fields, "name"),
            strategy: self.value(&fields, "strategy"),
            serial: self.serial(&fields),
            order: self.order(&fields),
            gather_facts: self.value(&fields, "gather_facts"),
            gather_subset: self.text_list_tree(&fields, "gather_subset"),
            gather_timeout: self.value(&fields, "gather_timeout"),
            fact_path: self.value(&fields, "fact_path"),
            vars,
            vars_files,
            vars_prompt: self.vars_prompt(&fields),
            pre_tasks,
            roles,
            tasks,
            post_tasks,
            handlers,
            role_uses: std::mem::take(&mut self.uses),
            max_fail_percentage: self.value(&fields, "max_fail_percentage"),
            force_handlers: self.value(&fields, "force_handlers"),
            directives,
            span: node.span,
            hosts_span: fields.get("hosts").map(|n| n.span),
            hosts: hosts?,
            path: path.to_owned(),
            dir: files::parent(path),
            id_path,
        }))
    }

    /// Unknown keys of a play; a task's keys there mean that `tasks:` was forgotten.
    fn play_strays(&mut self, fields: &Fields<'_>) {
        for (name, key, _) in &fields.others {
            let mut diagnostic = self.unknown_keyword(name, key.span, Level::Play);
            let known = keywords::find(name).is_some();
            if !known && self.loader.options.catalog.find(name) != crate::playbook::ModuleKnown::No {
                let message = format!("'{name}' is not a valid attribute for a Play");
                diagnostic = Diagnostic::error("XP0603", message)
                    .at(key.span, "a module belongs to a task")
                    .help("write it as an entry of `tasks:`");
            }
            self.error(diagnostic);
        }
    }

    fn play_variables(&mut self, fields: &Fields<'_>, imported: &Imported) -> VarMap {
        let own = self.vars(fields).unwrap_or_default();
        if imported.vars.is_empty() {
            return own;
        }
        let mut vars = (*own).clone();
        vars.extend(imported.vars.iter().map(|(k, v)| (k.clone(), v.clone())));
        Arc::new(vars)
    }

    /// Loads the `vars_files` whose names are known now, for names of static imports only.
    fn static_vars_files(&mut self, names: &[Tree], path: &Path) {
        for tree in names {
            let candidates: Vec<String> = match tree.as_value() {
                Some(Value::Str(name)) => vec![name.to_string()],
                Some(Value::List(list)) => {
                    list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
                }
                _ => continue,
            };
            let dir = files::parent(path);
            let found =
                candidates.iter().flat_map(|name| files::vars_files(&dir, name)).find(|f| f.is_file());
            // Whether a missing file is a mistake is decided when all plays are known.
            if let Some(file) = found {
                let vars = self.vars_file(&file, tree.span);
                self.play_vars.push(vars);
            }
        }
    }

    fn hosts(&mut self, fields: &Fields<'_>) -> Option<Tree> {
        let Some(node) = fields.get("hosts") else {
            let (span, text) = match fields.key("hosts") {
                Some(span) => (span, "empty"),
                None => (fields.node.span, "`hosts` is missing"),
            };
            let mut diagnostic = Diagnostic::error("XP0605", NO_HOSTS).at(span, text);
            if !fields.has("hosts") && fields.others.iter().any(|(n, _, _)| *n == "include_playbook") {
                diagnostic = diagnostic.help("did you mean `import_playbook`?");
            } else {
                diagnostic = diagnostic.help("for example `hosts: all`");
            }
            self.error(diagnostic);
            return None;
        };
        if node.is_list() {
            if node.items().is_empty() {
                self.error(Diagnostic::error("XP0605", NO_HOSTS).at(node.span, "empty list"));
            }
            for item in node.items() {
                if item.scalar().is_none_or(|s| s.value.is_null()) {
                    self.error(
                        Diagnostic::error("XP0604", format!("`hosts` takes texts, not {}", item.described()))
                            .at(item.span, "expected a host pattern"),
                    );
                }
            }
            return self.tree(node);
        }
        self.value(fields, "hosts")
    }

    /// Batch sizes; those that are no templates are checked now.
    fn serial(&mut self, fields: &Fields<'_>) -> Vec<Tree> {
        let sizes = self.list(fields, "serial");
        for size in &sizes {
            let Some(value) = size.as_value() else { continue };
            if BatchSize::parse(&value.to_text()).is_none() {
                let message = format!("`serial` takes numbers and percentages, not \"{}\"", value.to_text());
                let diagnostic =
                    Diagnostic::error("XP0604", message).help("for example `serial: 2` or `serial: \"30%\"`");
                self.error(super::scope::at(diagnostic, size.span, "expected a number or a percentage"));
            }
        }
        sizes
    }

    fn order(&mut self, fields: &Fields<'_>) -> Option<Tree> {
        const ORDERS: [&str; 5] = ["inventory", "reverse_inventory", "reverse_sorted", "shuffle", "sorted"];
        let tree = self.value(fields, "order")?;
        if let Some(Value::Str(word)) = tree.as_value()
            && !ORDERS.contains(&&**word)
        {
            let diagnostic = Diagnostic::error("XP0604", format!("`order` cannot be \"{word}\""))
                .note(format!("known are {}", ORDERS.join(", ")))
                .suggest(word, ORDERS);
            self.error(super::scope::at(diagnostic, tree.span, "unknown order"));
            return None;
        }
        Some(tree)
    }

    /// A text or a list of texts as one tree.
    fn text_list_tree(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Tree> {
        let items = self.text_list(fields, name);
        let node = fields.get(name)?;
        match (node.is_list(), items.as_slice()) {
            (false, [one]) => Some(one.clone()),
            _ => Some(Tree { kind: crate::template::TreeKind::List(Arc::new(items)), span: Some(node.span) }),
        }
    }

    fn vars_prompt(&mut self, fields: &Fields<'_>) -> Vec<VarsPrompt> {
        const KEYS: [&str; 9] =
            ["name", "prompt", "default", "private", "confirm", "encrypt", "salt_size", "salt", "unsafe"];
        let Some(node) = fields.get("vars_prompt") else { return Vec::new() };
        let items: Vec<&Node> = if node.is_list() { node.items().iter().collect() } else { vec![node] };
        let mut prompts = Vec::new();
        for item in items {
            for (key, _) in item.entries() {
                let word = key.scalar().map_or("", |s| &s.text);
                if !KEYS.contains(&word) {
                    let diagnostic =
                        Diagnostic::error("XP0602", format!("unknown key `{word}` in `vars_prompt`"))
                            .at(key.span, "no such key")
                            .suggest(word, KEYS);
                    self.error(diagnostic);
                }
            }
            let Some(name) = item.get("name").and_then(Node::scalar) else {
                self.error(
                    Diagnostic::error("XP0605", "Invalid vars_prompt data structure, missing 'name' key")
                        .at(item.span, "a question needs a `name`"),
                );
                continue;
            };
            let flag = |key: &str| item.get(key).and_then(Node::scalar).map(|s| s.text.to_lowercase());
            let yes = |key: &str, default: bool| {
                flag(key).map_or(default, |t| matches!(t.as_str(), "yes" | "true" | "on" | "1" | "y"))
            };
            prompts.push(VarsPrompt {
                name: name.text.clone(),
                prompt: item.get("prompt").and_then(|n| self.tree(n)),
                default: item.get("default").and_then(|n| self.tree(n)),
                private: yes("private", true),
                secret: yes("private", false) || item.get("encrypt").is_some_and(|n| !n.is_null()),
                confirm: yes("confirm", false),
                encrypt: item
                    .get("encrypt")
                    .and_then(Node::scalar)
                    .filter(|s| !s.value.is_null())
                    .map(|s| s.text.clone()),
                salt: item.get("salt").and_then(|n| self.tree(n)),
                salt_size: item.get("salt_size").and_then(Node::as_int),
                unsafe_: yes("unsafe", false),
            });
        }
        prompts
    }
}

fn hosts_label(hosts: &Tree) -> String {
    match hosts.as_value() {
        Some(Value::List(list)) => list.iter().map(Value::to_text).collect::<Vec<_>>().join(","),
        Some(value) => value.to_text(),
        None => match &hosts.kind {
            crate::template::TreeKind::Template(template) => template.text.to_string(),
            _ => String::new(),
        },
    }
}
