//! From YAML nodes and texts to compiled trees.

use std::sync::Arc;

use super::lower::{self, Backslashes, Syntax, SyntaxFail};
use super::source::Source;
use super::tree::{Expr, Template, Tree, TreeKind};
use super::{Templar, has_markers};
use crate::diag::{Diagnostic, Span};
use crate::value::{Key, Map, Value};
use crate::yaml::{Node, NodeValue, Tag};

impl Templar {
    /// Compiles a value of a project file. Texts under `!unsafe` and texts without markers stay as they are.
    pub fn compile_node(&self, node: &Node) -> Result<Tree, Diagnostic> {
        let kind = match (&node.tag, &node.value) {
            (Some(Tag::Unsafe), _) => TreeKind::Value(node.to_value().made_unsafe()),
            (Some(Tag::Vault), NodeValue::Scalar(scalar)) => TreeKind::Vault(scalar.text.clone()),
            (_, NodeValue::Scalar(scalar)) => match &scalar.value {
                Value::Str(text) if has_markers(text) => {
                    TreeKind::Template(self.template_at(&text.shared(), Some(node.span), Some(node))?)
                }
                value => TreeKind::Value(value.clone()),
            },
            (_, NodeValue::List(items)) => {
                let items = items.iter().map(|n| self.compile_node(n)).collect::<Result<Vec<_>, _>>()?;
                match plain_list(&items) {
                    Some(value) => TreeKind::Value(value),
                    None => TreeKind::List(Arc::new(items)),
                }
            }
            (_, NodeValue::Map(members)) => {
                let members = members
                    .iter()
                    .map(|(k, v)| Ok((self.compile_node(k)?, self.compile_node(v)?)))
                    .collect::<Result<Vec<_>, Diagnostic>>()?;
                match plain_map(&members) {
                    Some(value) => TreeKind::Value(value),
                    None => TreeKind::Map(Arc::new(members)),
                }
            }
        };
        Ok(Tree { kind, span: Some(node.span) })
    }

    /// Compiles a text of a project.
    pub fn compile_str(&self, text: &str, span: Option<Span>) -> Result<Tree, Diagnostic> {
        let kind = if has_markers(text) {
            TreeKind::Template(self.template_at(&text.into(), span, None)?)
        } else {
            TreeKind::Value(Value::str(text))
        };
        Ok(Tree { kind, span })
    }

    /// Compiles every text inside a value of the project, such as an inventory variable or `--extra-vars`.
    pub fn compile_value(&self, value: &Value, span: Option<Span>) -> Result<Tree, Diagnostic> {
        let kind = match value {
            Value::Str(text) => return self.compile_str(text, span),
            Value::List(items) => {
                let items =
                    items.iter().map(|v| self.compile_value(v, span)).collect::<Result<Vec<_>, _>>()?;
                match plain_list(&items) {
                    Some(_) => TreeKind::Value(value.clone()),
                    None => TreeKind::List(Arc::new(items)),
                }
            }
            Value::Map(map) => {
                let members = map
                    .iter()
                    .map(|(k, v)| {
                        Ok((self.compile_value(&k.to_value(), span)?, self.compile_value(v, span)?))
                    })
                    .collect::<Result<Vec<_>, Diagnostic>>()?;
                match plain_map(&members) {
                    Some(_) => TreeKind::Value(value.clone()),
                    None => TreeKind::Map(Arc::new(members)),
                }
            }
            other => TreeKind::Value(other.clone()),
        };
        Ok(Tree { kind, span })
    }

    /// Compiles a bare expression. One wrapped in `{{ }}` is taken too, with a warning, as Ansible does.
    pub fn compile_expr(&self, text: &str, span: Option<Span>) -> Result<Expr, Diagnostic> {
        self.expr_at(text, span, None)
    }

    /// Like [`Templar::compile_expr`], from a YAML scalar, so that errors point into it. A boolean or number counts
    /// as its own expression.
    pub fn compile_expr_node(&self, node: &Node) -> Result<Expr, Diagnostic> {
        match node.scalar() {
            Some(scalar) => {
                let text: Arc<str> = match &scalar.value {
                    Value::Str(s) => s.shared(),
                    other => other.to_text().into(),
                };
                self.expr_at(&text, Some(node.span), Some(node))
            }
            None => Err(Diagnostic::error(
                "XP0300",
                format!("expected an expression, found a {}", node.type_name()),
            )
            .at(node.span, "here")),
        }
    }

    fn expr_at(&self, text: &str, span: Option<Span>, node: Option<&Node>) -> Result<Expr, Diagnostic> {
        let source = Arc::new(Source { text: text.into(), span, node: node.cloned() });
        let mut warnings = Vec::new();
        let formula = match lower::formula(source.clone()) {
            Ok(formula) => formula,
            Err(fail) => {
                let trimmed = text.trim();
                let inner = trimmed.strip_prefix("{{").and_then(|t| t.strip_suffix("}}"));
                let Some(inner) = inner.filter(|i| !i.contains("{{")) else {
                    return Err(self.syntax_diagnostic(&source, *fail));
                };
                // Blanks keep the places right.
                let offset = inner.as_ptr() as usize - text.as_ptr() as usize;
                let padded = format!("{}{inner}", " ".repeat(offset));
                let source = Arc::new(Source { text: padded.into(), span, node: node.cloned() });
                let formula =
                    lower::formula(source.clone()).map_err(|fail| self.syntax_diagnostic(&source, *fail))?;
                let mut warning = Diagnostic::warning(
                    "XP0310",
                    "a condition should not be wrapped in template markers such as `{{ }}`",
                );
                if let Some(span) = span {
                    warning = warning.at(span, "write the bare expression");
                }
                warnings.push(warning);
                formula
            }
        };
        Ok(Expr { text: text.into(), span, warnings: Arc::new(warnings), formula: Arc::new(formula) })
    }

    fn template_at(
        &self,
        text: &Arc<str>,
        span: Option<Span>,
        node: Option<&Node>,
    ) -> Result<Arc<Template>, Diagnostic> {
        let source = Arc::new(Source { text: text.clone(), span, node: node.cloned() });
        let program = lower::program(source.clone(), &Syntax::default(), Backslashes::Keep)
            .map_err(|fail| self.syntax_diagnostic(&source, *fail))?;
        Ok(Arc::new(Template { text: text.clone(), span, program: Arc::new(program) }))
    }

    pub(super) fn syntax_diagnostic(&self, source: &Source, fail: SyntaxFail) -> Diagnostic {
        let message = match fail.code {
            "XP0300" => format!("syntax error in template: {}", fail.message),
            _ => fail.message,
        };
        let mut diagnostic = Diagnostic::error(fail.code, message);
        if let Some(span) = source.span_of(self.sources(), fail.at) {
            diagnostic = diagnostic.at(span, "here");
        } else {
            diagnostic = diagnostic.note(format!("in the template `{}`", source.clip()));
        }
        if let Some(help) = fail.help {
            diagnostic = diagnostic.help(help);
        }
        diagnostic
    }
}

fn plain_list(items: &[Tree]) -> Option<Value> {
    items.iter().map(|t| t.as_value().cloned()).collect::<Option<Vec<_>>>().map(Value::list)
}

fn plain_map(members: &[(Tree, Tree)]) -> Option<Value> {
    let mut map = Map::new();
    for (key, value) in members {
        map.insert(Key::from_value(key.as_value()?)?, value.as_value()?.clone());
    }
    Some(Value::map(map))
}
