//! Keywords and their values out of mappings: unknown ones, misplaced ones, wrong types.

use std::sync::Arc;

use indexmap::IndexMap;

use super::scope::at;
use super::{Load, Place};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::playbook::Directives;
use crate::playbook::condition::without_brackets;
use crate::playbook::keywords::{self, Inherit, Keyword, Kind, Level};
use crate::template::{Expr, Tree, TreeKind, VarMap};
use crate::value::Value;
use crate::yaml::{Node, Tag};

/// What a keyword wants that is true or false.
const BOOLEAN: &str = "true or false";

/// The keywords of one mapping.
pub(super) struct Fields<'n> {
    known: IndexMap<&'static str, (&'n Node, &'n Node)>,
    /// Entries that are no keyword of the level; the key is a text.
    pub others: Vec<(&'n str, &'n Node, &'n Node)>,
    pub node: &'n Node,
}

impl<'n> Fields<'n> {
    /// Returns the value of a keyword; one that was left empty counts as absent.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.known.get(name).map(|(_, value)| *value).filter(|v| !v.is_null())
    }

    /// Returns where the keyword itself stands.
    pub fn key(&self, name: &str) -> Option<Span> {
        self.known.get(name).map(|(key, _)| key.span)
    }

    pub fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Returns the keywords that were given, in file order.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, Span)> + '_ {
        self.known.iter().map(|(name, (key, _))| (*name, key.span))
    }
}

impl<'l> Load<'l> {
    /// Sorts the entries of a mapping into keywords of the level and others.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, level: Level) -> Fields<'n> {
        let mut fields = Fields { known: IndexMap::new(), others: Vec::new(), node };
        for (key, value) in node.entries() {
            let Some(name) = key.as_str() else {
                self.error(
                    Diagnostic::error("XP0602", format!("a keyword is a text, not {}", key.described()))
                        .at(key.span, "not a keyword"),
                );
                continue;
            };
            match keywords::find(name).filter(|k| k.levels.contains(&level)) {
                Some(keyword) => {
                    fields.known.insert(keyword.name, (key, value));
                }
                None => fields.others.push((name, key, value)),
            }
        }
        fields
    }

    /// Reports entries that are no keywords of the level.
    pub(super) fn unknown_keywords(&mut self, fields: &Fields<'_>, level: Level) {
        for (name, key, _) in &fields.others {
            let diagnostic = self.unknown_keyword(name, key.span, level);
            self.error(diagnostic);
        }
    }

    pub(super) fn unknown_keyword(&self, name: &str, span: Span, level: Level) -> Diagnostic {
        match keywords::find(name) {
            Some(keyword) => Diagnostic::error(
                "XP0603",
                format!("'{name}' is not a valid attribute for a {}", level.word()),
            )
            .at(span, format!("not allowed in {}", level.name()))
            .help(format!("`{name}` belongs to {}", keyword.places())),
            None => Diagnostic::error(
                "XP0602",
                format!("'{name}' is not a valid attribute for a {}", level.word()),
            )
            .at(span, "no such keyword")
            .suggest(name, keywords::names_at(level)),
        }
    }

    /// Compiles a node with the templates in it.
    pub(super) fn tree(&mut self, node: &Node) -> Option<Tree> {
        match self.loader.options.templar.compile_node(node) {
            Ok(tree) => Some(tree),
            Err(diagnostic) => {
                self.error(diagnostic);
                None
            }
        }
    }

    fn wrong_type(&mut self, name: &str, node: &Node, wanted: &str) {
        let got = match node.scalar() {
            Some(scalar)
                if !scalar.text.is_empty() && scalar.text.len() <= 40 && !scalar.text.contains('\n') =>
            {
                format!("\"{}\"", scalar.text)
            }
            _ => node.described(),
        };
        let message = match wanted {
            BOOLEAN => format!("`{name}` takes {wanted}: {got} is not a valid boolean"),
            _ => format!("`{name}` takes {wanted}, not {got}"),
        };
        self.error(Diagnostic::error("XP0604", message).at(node.span, format!("expected {wanted}")));
    }

    /// Reads one keyword's value by the table.
    pub(super) fn value(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Tree> {
        let node = fields.get(name)?;
        let kind = keywords::find(name).map_or(Kind::Any, |k| k.kind);
        self.typed(name, kind, node)
    }

    fn typed(&mut self, name: &str, kind: Kind, node: &Node) -> Option<Tree> {
        let tree = self.tree(node)?;
        if !matches!(tree.kind, TreeKind::Value(_) | TreeKind::List(_) | TreeKind::Map(_)) {
            return Some(tree);
        }
        let literal = match node.scalar() {
            Some(scalar) => literal(kind, &scalar.value),
            None => matches!(kind, Kind::Any | Kind::List).then_some(None),
        };
        match literal {
            Some(Some(value)) => Some(Tree { kind: TreeKind::Value(value), ..tree }),
            Some(None) => Some(tree),
            None => {
                let wanted = match kind {
                    Kind::Bool => BOOLEAN,
                    Kind::Int => "a whole number",
                    Kind::Float => "a number",
                    Kind::Percent => "a number or a percentage",
                    Kind::Text | Kind::TextList => "a text",
                    Kind::Map | Kind::MapList | Kind::Vars => "a mapping",
                    Kind::Conditions => "an expression",
                    Kind::Tags => "a tag or a list of tags",
                    Kind::Tasks => "a list of tasks",
                    Kind::List => "a value or a list",
                    Kind::Any => "a value",
                };
                self.wrong_type(name, node, wanted);
                None
            }
        }
    }

    /// Reads a keyword that takes one text or a list of texts.
    pub(super) fn text_list(&mut self, fields: &Fields<'_>, name: &'static str) -> Vec<Tree> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        if node.is_list() {
            return node.items().iter().filter_map(|item| self.typed(name, Kind::TextList, item)).collect();
        }
        self.typed(name, Kind::TextList, node).into_iter().collect()
    }

    /// Reads a keyword that takes anything, one value counting as a list of one.
    pub(super) fn list(&mut self, fields: &Fields<'_>, name: &'static str) -> Vec<Tree> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        if node.is_list() {
            return node.items().iter().filter_map(|item| self.tree(item)).collect();
        }
        self.tree(node).into_iter().collect()
    }

    /// Reads a keyword that takes a map or a list of maps.
    pub(super) fn map_list(&mut self, fields: &Fields<'_>, name: &'static str) -> Vec<Tree> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        let items: Vec<&Node> = if node.is_list() { node.items().iter().collect() } else { vec![node] };
        let mut trees = Vec::new();
        for item in items {
            if item.is_null() {
                continue;
            }
            if item.is_map() {
                trees.extend(self.tree(item));
            } else {
                trees.extend(self.typed(name, Kind::Map, item));
            }
        }
        trees
    }

    /// Reads tags: a text with commas, or a list.
    pub(super) fn tags(&mut self, fields: &Fields<'_>) -> Vec<Tree> {
        let Some(node) = fields.get("tags") else { return Vec::new() };
        if !node.is_list() {
            let Some(tree) = self.typed("tags", Kind::Tags, node) else { return Vec::new() };
            return match &tree.kind {
                TreeKind::Value(Value::Str(text)) => text
                    .split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .map(|t| Tree { kind: TreeKind::Value(t.into()), span: tree.span })
                    .collect(),
                _ => vec![tree],
            };
        }
        let mut tags = Vec::new();
        for item in node.items() {
            // Lists in lists come from anchors; one level is flattened, as Ansible does.
            let inner: Vec<&Node> = if item.is_list() { item.items().iter().collect() } else { vec![item] };
            for tag in inner {
                tags.extend(self.typed("tags", Kind::Tags, tag));
            }
        }
        tags
    }

    /// Reads conditions: an expression or a list of them.
    pub(super) fn conditions(&mut self, fields: &Fields<'_>, name: &'static str) -> Vec<Expr> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        let items: Vec<&Node> = if node.is_list() { node.items().iter().collect() } else { vec![node] };
        items.into_iter().filter_map(|item| self.condition(name, item)).collect()
    }

    fn condition(&mut self, name: &str, node: &Node) -> Option<Expr> {
        let Some(scalar) = node.scalar() else {
            self.wrong_type(name, node, "an expression");
            return None;
        };
        if scalar.value.is_null() || scalar.text.trim().is_empty() {
            return None;
        }
        let text = match &scalar.value {
            Value::Str(text) => text.shared(),
            other => other.to_text().into(),
        };
        let templar = &self.loader.options.templar;
        let compiled = match without_brackets(&text) {
            Ok(None) => templar.compile_expr_node(node),
            Ok(Some(plain)) => {
                let compiled = templar.compile_expr(&plain, Some(node.span));
                self.warn(
                    Diagnostic::warning("XP0640", format!("`{name}` is already an expression"))
                        .at(node.span, "the brackets are not needed")
                        .help("write it without `{{ }}`"),
                );
                compiled
            }
            Err(()) => {
                self.error(
                    Diagnostic::error("XP0604", format!("`{name}` takes an expression, not a template"))
                        .at(node.span, "statements do not belong here")
                        .help(
                            "write it without `{{ }}` and `{% %}`, for example `a is defined and a == 'x'`",
                        ),
                );
                return None;
            }
        };
        match compiled {
            Ok(expr) => Some(expr),
            Err(diagnostic) => {
                self.error(diagnostic);
                None
            }
        }
    }

    /// Reads `vars`: a map, or a list of maps.
    pub(super) fn vars(&mut self, fields: &Fields<'_>) -> Option<VarMap> {
        let node = fields.get("vars")?;
        let mut vars = IndexMap::new();
        let maps: Vec<&Node> = if node.is_list() { node.items().iter().collect() } else { vec![node] };
        for map in maps {
            if map.is_map() {
                self.variables(map, &mut vars);
            } else {
                self.wrong_type("vars", map, "a mapping");
            }
        }
        Some(Arc::new(vars))
    }

    /// Adds the variables of a map.
    pub(super) fn variables(&mut self, node: &Node, vars: &mut IndexMap<Arc<str>, Tree>) {
        for (key, value) in node.entries() {
            let name: Arc<str> = match key.scalar() {
                Some(scalar) => scalar.text.clone(),
                None => continue,
            };
            if !is_identifier(&name) {
                self.error(bad_name(&name, Some(key.span)));
                continue;
            }
            if let Some(tree) = self.tree(value) {
                vars.insert(name, tree);
            }
        }
    }

    /// Reads the name of a variable that the program sets.
    pub(super) fn variable_name(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Tree> {
        let tree = self.value(fields, name)?;
        if let TreeKind::Value(Value::Str(text)) = &tree.kind
            && !is_identifier(text)
        {
            let message = format!("Invalid variable name in '{name}' specified: '{text}'");
            self.error(Diagnostic { message, ..bad_name(text, tree.span) });
            return None;
        }
        Some(tree)
    }

    /// Reads all inheritable keywords except `vars`.
    pub(super) fn directives(&mut self, fields: &Fields<'_>) -> Directives {
        let mut d = Directives::default();
        let given: Vec<&'static Keyword> = fields
            .names()
            .filter_map(|(name, _)| keywords::find(name))
            .filter(|k| k.inherit != Inherit::No)
            .collect();
        for keyword in given {
            let name = keyword.name;
            let slot = match name {
                "become" => &mut d.r#become,
                "become_user" => &mut d.become_user,
                "become_method" => &mut d.become_method,
                "become_flags" => &mut d.become_flags,
                "become_exe" => &mut d.become_exe,
                "connection" => &mut d.connection,
                "remote_user" => &mut d.remote_user,
                "port" => &mut d.port,
                "no_log" => &mut d.no_log,
                "ignore_errors" => &mut d.ignore_errors,
                "ignore_unreachable" => &mut d.ignore_unreachable,
                "check_mode" => &mut d.check_mode,
                "diff" => &mut d.diff,
                "delegate_to" => &mut d.delegate_to,
                "delegate_facts" => &mut d.delegate_facts,
                "run_once" => &mut d.run_once,
                "any_errors_fatal" => &mut d.any_errors_fatal,
                "throttle" => &mut d.throttle,
                "timeout" => &mut d.timeout,
                "debugger" => &mut d.debugger,
                _ => {
                    match name {
                        "environment" => d.environment = self.map_list(fields, name),
                        "module_defaults" => d.module_defaults = self.map_list(fields, name),
                        "when" => d.when = self.conditions(fields, name),
                        "tags" => d.tags = self.tags(fields),
                        "notify" if fields.get(name).is_some() => {
                            d.notify = Some(self.text_list(fields, name));
                        }
                        "collections" => {
                            let names = self.text_list(fields, name);
                            d.collections =
                                names.iter().filter_map(|t| Some(t.as_value()?.to_text().into())).collect();
                        }
                        _ => {}
                    }
                    continue;
                }
            };
            *slot = self.value(fields, name);
        }
        d
    }

    /// Reads a name for ids and messages: the text as written, else `default`.
    pub(super) fn label(fields: &Fields<'_>, default: &str) -> String {
        let text = fields.get("name").and_then(Node::scalar).map(|s| s.text.to_string());
        text.filter(|t| !t.is_empty()).unwrap_or_else(|| default.to_owned())
    }

    /// Checks that a node is a list of entries; an empty value is an empty list.
    pub(super) fn items<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        if !node.is_list() && !node.is_null() {
            let message = match node.scalar() {
                Some(scalar) => format!(
                    "A malformed block was encountered while loading {}: {} should be a list or None",
                    what.trim_matches('`'),
                    scalar.text
                ),
                None => format!("{what} is a list, not {}", node.described()),
            };
            self.error(
                Diagnostic::error("XP0601", message)
                    .at(node.span, "not a list")
                    .help("start every entry with `- `"),
            );
        }
        node.items()
    }

    /// Reads an argument or parameter map in file order.
    pub(super) fn pairs(&mut self, node: &Node) -> Vec<(Arc<str>, Span, Tree)> {
        let mut pairs = Vec::new();
        for (key, value) in node.entries() {
            let Some(scalar) = key.scalar() else { continue };
            if let Some(tree) = self.tree(value) {
                pairs.push((scalar.text.clone(), key.span, tree));
            }
        }
        pairs
    }
}

impl Place {
    /// The path of names for something inside.
    pub(super) fn id_below(&self, name: &str) -> Arc<str> {
        format!("{}/{name}", self.id_path).into()
    }
}

/// Checks and converts a literal. `Some(None)` keeps it as it is, `None` refuses it.
fn literal(kind: Kind, value: &Value) -> Option<Option<Value>> {
    let text = value.as_str().map(str::trim);
    match kind {
        Kind::Bool => match value {
            Value::Bool(_) => Some(None),
            Value::Int(0) => Some(Some(false.into())),
            Value::Int(1) => Some(Some(true.into())),
            _ => boolean(text?).map(|b| Some(b.into())),
        },
        Kind::Int => match value {
            Value::Int(_) => Some(None),
            Value::Float(f) if f.fract() == 0.0 => Some(Some(Value::Int(*f as i128))),
            _ => text?.parse::<i128>().ok().map(|i| Some(Value::Int(i))),
        },
        Kind::Float => match value {
            Value::Int(_) | Value::Float(_) => Some(None),
            _ => text?.parse::<f64>().ok().map(|f| Some(f.into())),
        },
        Kind::Percent => match value {
            Value::Int(_) | Value::Float(_) => Some(None),
            _ => text?.trim_end_matches('%').trim().parse::<f64>().ok().map(|_| None),
        },
        Kind::Text | Kind::TextList => match value {
            Value::Str(_) => Some(None),
            Value::Null => None,
            other => Some(Some(other.to_text().into())),
        },
        Kind::Tags => match value {
            Value::Str(_) => Some(None),
            Value::Int(i) => Some(Some(i.to_string().into())),
            _ => None,
        },
        Kind::Map | Kind::MapList | Kind::Vars | Kind::Tasks => None,
        Kind::Conditions | Kind::List | Kind::Any => Some(None),
    }
}

/// The texts that count as booleans wherever a keyword wants one.
fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

/// Whether a text can be the name of a variable.
pub(crate) fn is_identifier(name: &str) -> bool {
    const PYTHON: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
        "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in",
        "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ];
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    starts && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && !PYTHON.contains(&name)
}

fn bad_name(name: &str, span: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::error("XP0630", format!("`{name}` cannot be the name of a variable"));
    let fixed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let diagnostic = at(diagnostic, span, "letters, digits and underscores only, no digit first");
    if is_identifier(&fixed) { diagnostic.help(format!("for example `{fixed}`")) } else { diagnostic }
}

/// Whether a node is a text that is one single template.
pub(super) fn whole_template(node: &Node) -> bool {
    let text = node.as_str().map_or("", str::trim);
    node.tag != Some(Tag::Unsafe) && text.starts_with("{{") && text.ends_with("}}")
}

/// The best suggestion among two families of names.
pub(super) fn nearest(word: &str, keywords: &[&str], modules: &[String]) -> Option<String> {
    let candidates = keywords.iter().copied().chain(modules.iter().map(String::as_str));
    did_you_mean(word, candidates).map(str::to_owned)
}
