//! Values from project files with the templates in them compiled.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diag::Span;
use crate::value::Value;

/// A value from a project file. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: TreeKind,
    /// Where it stands; nothing for values that the program made.
    pub span: Option<Span>,
}

#[derive(Clone, Debug)]
pub enum TreeKind {
    /// No template anywhere inside.
    Value(Value),
    /// A string with `{{ }}`, `{% %}` or `{# #}` in it.
    Template(Arc<Template>),
    List(Arc<Vec<Tree>>),
    /// Members in file order; keys may be templates too.
    Map(Arc<Vec<(Tree, Tree)>>),
    /// A `!vault` text, decrypted when used.
    Vault(Arc<str>),
}

/// A string that is a template, with what compiling it gave.
#[derive(Debug)]
pub struct Template {
    pub text: Arc<str>,
    pub span: Option<Span>,
}

/// Variables of one file, play, block, task or role by name.
pub type VarMap = Arc<IndexMap<Arc<str>, Tree>>;

impl Tree {
    /// Wraps a plain value.
    pub fn value(value: impl Into<Value>) -> Self {
        Tree { kind: TreeKind::Value(value.into()), span: None }
    }

    /// Returns the value where no template is inside.
    pub fn as_value(&self) -> Option<&Value> {
        match &self.kind {
            TreeKind::Value(v) => Some(v),
            _ => None,
        }
    }
}

/// A compiled expression, such as a condition.
#[derive(Clone, Debug)]
pub struct Expr {
    pub text: Arc<str>,
    pub span: Option<Span>,
}

impl Expr {
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Compiles and renders.
#[derive(Clone, Debug, Default)]
pub struct Templar;

#[derive(Default)]
pub struct TemplarSettings {
    pub vault: Option<Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>>,
}

impl Templar {
    pub fn new(_: crate::diag::SourceMap, _: TemplarSettings) -> Self {
        Templar
    }

    pub fn settings(&self) -> &TemplarSettings {
        const NONE: TemplarSettings = TemplarSettings { vault: None };
        &NONE
    }

    pub fn compile_node(&self, node: &crate::yaml::Node) -> Result<Tree, crate::diag::Diagnostic> {
        use crate::yaml::NodeValue;
        Ok(match &node.value {
            NodeValue::Scalar(s) => {
                if node.tag == Some(crate::yaml::Tag::Vault) {
                    return Ok(Tree { kind: TreeKind::Vault(s.text.clone()), span: Some(node.span) });
                }
                match s.value.as_str() {
                    Some(text) => self.compile_str(text, Some(node.span))?,
                    None => Tree { kind: TreeKind::Value(s.value.clone()), span: Some(node.span) },
                }
            }
            NodeValue::List(items) => {
                let items: Vec<Tree> =
                    items.iter().map(|i| self.compile_node(i)).collect::<Result<_, _>>()?;
                let kind = if items.iter().all(|t| t.as_value().is_some()) {
                    TreeKind::Value(node.to_value())
                } else {
                    TreeKind::List(Arc::new(items))
                };
                Tree { kind, span: Some(node.span) }
            }
            NodeValue::Map(entries) => {
                let entries: Vec<(Tree, Tree)> = entries
                    .iter()
                    .map(|(k, v)| Ok((self.compile_node(k)?, self.compile_node(v)?)))
                    .collect::<Result<_, crate::diag::Diagnostic>>()?;
                let kind = if entries.iter().all(|(k, v)| k.as_value().is_some() && v.as_value().is_some()) {
                    TreeKind::Value(node.to_value())
                } else {
                    TreeKind::Map(Arc::new(entries))
                };
                Tree { kind, span: Some(node.span) }
            }
        })
    }

    pub fn compile_expr_node(&self, node: &crate::yaml::Node) -> Result<Expr, crate::diag::Diagnostic> {
        self.compile_expr(node.scalar().map_or("", |s| &s.text), Some(node.span))
    }

    pub fn compile_value(&self, value: &Value, span: Option<Span>) -> Result<Tree, crate::diag::Diagnostic> {
        match value {
            Value::Str(text) => self.compile_str(text, span),
            other => Ok(Tree { kind: TreeKind::Value(other.clone()), span }),
        }
    }

    pub fn compile_str(&self, text: &str, span: Option<Span>) -> Result<Tree, crate::diag::Diagnostic> {
        let open = text.matches("{{").count();
        let kind = if open > 0 || text.contains("{%") || text.contains("{#") {
            if open != text.matches("}}").count() {
                let mut d = crate::diag::Diagnostic::error("XP0300", "template without its end");
                if let Some(span) = span {
                    d = d.at(span, "here");
                }
                return Err(d);
            }
            TreeKind::Template(Arc::new(Template { text: text.into(), span }))
        } else {
            TreeKind::Value(text.into())
        };
        Ok(Tree { kind, span })
    }

    pub fn compile_expr(&self, text: &str, span: Option<Span>) -> Result<Expr, crate::diag::Diagnostic> {
        Ok(Expr { text: text.into(), span })
    }

    pub fn render(&self, tree: &Tree, scope: &Arc<dyn super::Scope>) -> Result<Value, super::RenderError> {
        match &tree.kind {
            TreeKind::Value(v) => Ok(v.clone()),
            TreeKind::Template(t) => {
                let mut out = String::new();
                let mut rest = &*t.text;
                while let Some((before, after)) = rest.split_once("{{") {
                    out.push_str(before);
                    let (name, after) = after.split_once("}}").unwrap_or((after, ""));
                    match scope.get(name.trim()) {
                        Some(super::Var::Value(v)) => out.push_str(&v.to_text()),
                        Some(super::Var::Tree(t)) => out.push_str(&self.render(&t, scope)?.to_text()),
                        _ => {
                            let d = crate::diag::Diagnostic::error(
                                "XP0301",
                                format!("'{}' is undefined", name.trim()),
                            );
                            return Err(super::RenderError { diagnostic: Box::new(d) });
                        }
                    }
                    rest = after;
                }
                out.push_str(rest);
                Ok(out.into())
            }
            _ => Ok(Value::Null),
        }
    }
}

/// A template that could not be rendered.
#[derive(Clone, Debug)]
pub struct RenderError {
    pub diagnostic: Box<crate::diag::Diagnostic>,
}
