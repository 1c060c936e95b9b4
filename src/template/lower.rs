//! Parses template text with minijinja's parser and turns its tree into ours, where every name of a filter or
//! test is resolved. The only user of minijinja.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use minijinja::machinery::{ast, parse, parse_expr};
use minijinja::syntax::SyntaxConfig;

use super::filters;
use super::ir::{
    Arg, CompareOp, FilterCall, ForLoop, Formula, Kind, MacroDef, MathOp, Node, Program, Stmt, Target,
    TestCall,
};
use super::source::{At, Source};
use super::tests;
use crate::diag::did_you_mean;
use crate::value::Value;

/// Delimiters and white space rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Syntax {
    pub block: (String, String),
    pub variable: (String, String),
    pub comment: (String, String),
    pub line_statement_prefix: Option<String>,
    pub line_comment_prefix: Option<String>,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    pub keep_trailing_newline: bool,
}

impl Default for Syntax {
    fn default() -> Self {
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        Syntax {
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
            line_statement_prefix: None,
            line_comment_prefix: None,
            trim_blocks: true,
            lstrip_blocks: false,
            keep_trailing_newline: false,
        }
    }
}

impl Syntax {
    fn config(&self) -> Result<SyntaxConfig, minijinja::Error> {
        let mut builder = SyntaxConfig::builder();
        builder
            .block_delimiters(self.block.0.clone(), self.block.1.clone())
            .variable_delimiters(self.variable.0.clone(), self.variable.1.clone())
            .comment_delimiters(self.comment.0.clone(), self.comment.1.clone())
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .keep_trailing_newline(self.keep_trailing_newline);
        if let Some(prefix) = &self.line_statement_prefix {
            builder.line_statement_prefix(prefix.clone());
        }
        if let Some(prefix) = &self.line_comment_prefix {
            builder.line_comment_prefix(prefix.clone());
        }
        builder.build()
    }
}

/// Why a text is no template.
#[derive(Debug)]
pub(super) struct SyntaxFail {
    pub code: &'static str,
    pub message: String,
    pub at: At,
    pub help: Option<String>,
}

type L<T> = Result<T, Box<SyntaxFail>>;

/// How backslashes in the strings of `{{ }}` are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backslashes {
    /// As escapes: in template files.
    Escape,
    /// As they stand: in YAML values, where Ansible doubles them before parsing.
    Keep,
}

/// Compiles template text.
pub(super) fn program(source: Arc<Source>, syntax: &Syntax, backslashes: Backslashes) -> L<Program> {
    let config = syntax.config().map_err(|e| from_parser(&source.text, e))?;
    let text = source.text.clone();
    let root = parse(&text, "<template>", config).map_err(|e| from_parser(&text, e))?;
    let mut lower = Lower { keep: backslashes == Backslashes::Keep, text: text.clone(), ..Lower::default() };
    let body = match &root {
        ast::Stmt::Template(t) => lower.body(&t.children)?,
        other => lower.body(std::slice::from_ref(other))?,
    };
    Ok(Program { source, body, blocks: lower.blocks, mutates: lower.mutates, extends: lower.extends })
}

/// Compiles a bare expression.
pub(super) fn formula(source: Arc<Source>) -> L<Formula> {
    let text = source.text.clone();
    let root = parse_expr(&text).map_err(|e| from_parser(&text, e))?;
    let mut lower = Lower::default();
    let root = lower.expr(&root)?;
    Ok(Formula { source, root, mutates: lower.mutates })
}

fn from_parser(text: &str, error: minijinja::Error) -> Box<SyntaxFail> {
    let range = error.range().unwrap_or(0..text.len());
    let message = match error.detail() {
        Some(detail) => detail.to_string(),
        None => error.kind().to_string(),
    };
    let help = (message.contains("`}`") || message.contains("unexpected `{`"))
        .then(|| "a template marker stands inside another one; names need no `{{ }}` there".to_string());
    Box::new(SyntaxFail { code: "XP0300", message, at: at_range(range), help })
}

fn at_range(range: Range<usize>) -> At {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    At { start: cut(range.start), end: cut(range.end) }
}

fn at_of(span: minijinja::machinery::Span) -> At {
    At { start: span.start_offset.min(span.end_offset), end: span.end_offset.max(span.start_offset) }
}

/// Methods that change their receiver.
const MUTATORS: &[&str] = &[
    "append",
    "extend",
    "insert",
    "pop",
    "remove",
    "clear",
    "sort",
    "reverse",
    "update",
    "setdefault",
    "popitem",
];

/// Filters whose first argument may name another filter or test.
const TAKES_FILTER: &[&str] = &["map"];
const TAKES_TEST: &[(&str, usize)] = &[("select", 0), ("reject", 0), ("selectattr", 1), ("rejectattr", 1)];

#[derive(Default)]
struct Lower {
    text: Arc<str>,
    /// Strings inside of `{{ }}` keep their backslashes.
    keep: bool,
    in_variable: bool,
    blocks: HashMap<Arc<str>, Arc<Vec<Stmt>>>,
    mutates: bool,
    extends: bool,
    /// Names used while a macro's body is lowered, to see `varargs` and `kwargs`.
    uses_varargs: bool,
    uses_kwargs: bool,
}

impl Lower {
    fn body(&mut self, stmts: &[ast::Stmt<'_>]) -> L<Vec<Stmt>> {
        stmts.iter().map(|s| self.stmt(s)).collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt<'_>) -> L<Stmt> {
        Ok(match stmt {
            ast::Stmt::Template(t) => Stmt::Group(self.body(&t.children)?),
            ast::Stmt::EmitRaw(raw) => Stmt::Text(raw.raw.into()),
            ast::Stmt::EmitExpr(e) => {
                self.in_variable = true;
                let node = self.expr(&e.expr);
                self.in_variable = false;
                let mut node = node?;
                node.at = at_of(e.span());
                Stmt::Emit(node)
            }
            ast::Stmt::ForLoop(f) => Stmt::For(Arc::new(ForLoop {
                target: self.target(&f.target)?,
                iter: self.expr(&f.iter)?,
                filter: f.filter_expr.as_ref().map(|e| self.expr(e)).transpose()?,
                recursive: f.recursive,
                body: self.body(&f.body)?,
                otherwise: self.body(&f.else_body)?,
            })),
            ast::Stmt::IfCond(c) => {
                Stmt::If(self.expr(&c.expr)?, self.body(&c.true_body)?, self.body(&c.false_body)?)
            }
            ast::Stmt::WithBlock(w) => {
                let mut assignments = Vec::new();
                for (target, value) in &w.assignments {
                    assignments.push((self.target(target)?, self.expr(value)?));
                }
                Stmt::With(assignments, self.body(&w.body)?)
            }
            ast::Stmt::Set(s) => Stmt::Set(self.target(&s.target)?, self.expr(&s.expr)?),
            ast::Stmt::SetBlock(s) => Stmt::SetBlock(
                self.target(&s.target)?,
                s.filter.as_ref().map(|f| self.expr(f)).transpose()?,
                self.body(&s.body)?,
            ),
            ast::Stmt::AutoEscape(a) => Stmt::Group(self.body(&a.body)?),
            ast::Stmt::FilterBlock(f) => Stmt::FilterBlock(self.expr(&f.filter)?, self.body(&f.body)?),
            ast::Stmt::Block(b) => {
                let name: Arc<str> = b.name.into();
                let body = self.body(&b.body)?;
                self.blocks.insert(name.clone(), Arc::new(body));
                Stmt::Block(name, at_of(b.span()))
            }
            ast::Stmt::Extends(e) => {
                self.extends = true;
                Stmt::Extends(self.expr(&e.name)?)
            }
            ast::Stmt::Include(i) => Stmt::Include(self.expr(&i.name)?, i.ignore_missing),
            ast::Stmt::Import(i) => Stmt::Import(self.expr(&i.expr)?, self.target(&i.name)?),
            ast::Stmt::FromImport(i) => {
                let mut names = Vec::new();
                for (name, alias) in &i.names {
                    let name = var_name(name)?;
                    let alias = alias.as_ref().map(var_name).transpose()?.unwrap_or_else(|| name.clone());
                    names.push((name, alias));
                }
                Stmt::FromImport(self.expr(&i.expr)?, names)
            }
            ast::Stmt::Macro(m) => Stmt::Macro(Arc::new(self.macro_def(m)?)),
            ast::Stmt::CallBlock(c) => {
                let call = self.call(&c.call)?;
                Stmt::CallBlock(call, Arc::new(self.macro_def(&c.macro_decl)?))
            }
            ast::Stmt::Do(d) => Stmt::Do(self.call(&d.call)?),
            ast::Stmt::Continue(_) => Stmt::Continue,
            ast::Stmt::Break(_) => Stmt::Break,
        })
    }

    fn macro_def(&mut self, m: &ast::Macro<'_>) -> L<MacroDef> {
        let outer = (self.uses_varargs, self.uses_kwargs);
        (self.uses_varargs, self.uses_kwargs) = (false, false);
        let def = MacroDef {
            name: m.name.into(),
            params: m.args.iter().map(var_name).collect::<L<_>>()?,
            defaults: m.defaults.iter().map(|d| self.expr(d)).collect::<L<_>>()?,
            body: self.body(&m.body)?,
            takes_varargs: self.uses_varargs,
            takes_kwargs: self.uses_kwargs,
        };
        (self.uses_varargs, self.uses_kwargs) = outer;
        Ok(def)
    }

    fn target(&mut self, expr: &ast::Expr<'_>) -> L<Target> {
        Ok(match expr {
            ast::Expr::Var(v) => Target::Name(v.id.into()),
            ast::Expr::GetAttr(a) => Target::Member(self.expr(&a.expr)?, a.name.into()),
            ast::Expr::List(l) => Target::Many(l.items.iter().map(|i| self.target(i)).collect::<L<_>>()?),
            ast::Expr::Tuple(l) => Target::Many(l.items.iter().map(|i| self.target(i)).collect::<L<_>>()?),
            other => return Err(refuse(other, "cannot assign to this")),
        })
    }

    fn boxed(&mut self, expr: &ast::Expr<'_>) -> L<Box<Node>> {
        Ok(Box::new(self.expr(expr)?))
    }

    fn option(&mut self, expr: &Option<ast::Expr<'_>>) -> L<Option<Node>> {
        expr.as_ref().map(|e| self.expr(e)).transpose()
    }

    fn nodes(&mut self, exprs: &[ast::Expr<'_>]) -> L<Vec<Node>> {
        exprs.iter().map(|e| self.expr(e)).collect()
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) -> L<Node> {
        let kind = match expr {
            ast::Expr::Var(v) => {
                match v.id {
                    "varargs" => self.uses_varargs = true,
                    "kwargs" => self.uses_kwargs = true,
                    _ => {}
                }
                Kind::Var(v.id.into())
            }
            ast::Expr::Const(c) => Kind::Const(match (constant(&c.value), self.keep && self.in_variable) {
                (Value::Str(text), true) => {
                    self.as_written(at_of(c.span())).map_or(Value::Str(text), Value::str)
                }
                (value, _) => value,
            }),
            ast::Expr::Slice(s) => Kind::Slice(
                self.boxed(&s.expr)?,
                Box::new([self.option(&s.start)?, self.option(&s.stop)?, self.option(&s.step)?]),
            ),
            ast::Expr::UnaryOp(u) => match u.op {
                ast::UnaryOpKind::Not => Kind::Not(self.boxed(&u.expr)?),
                ast::UnaryOpKind::Neg => Kind::Neg(self.boxed(&u.expr)?),
            },
            ast::Expr::BinOp(b) => self.binary(b)?,
            ast::Expr::Compare(c) => {
                let mut ops = Vec::new();
                for op in &c.ops {
                    ops.push((compare_op(op.op), self.expr(&op.expr)?));
                }
                Kind::Compare(self.boxed(&c.expr)?, ops)
            }
            ast::Expr::IfExpr(i) => Kind::If(
                self.boxed(&i.test_expr)?,
                self.boxed(&i.true_expr)?,
                self.option(&i.false_expr)?.map(Box::new),
            ),
            ast::Expr::Filter(f) => self.filter(f)?,
            ast::Expr::Test(t) => self.test(t)?,
            ast::Expr::GetAttr(a) => Kind::Attr(self.boxed(&a.expr)?, a.name.into()),
            ast::Expr::GetItem(i) => Kind::Item(self.boxed(&i.expr)?, self.boxed(&i.subscript_expr)?),
            ast::Expr::Call(c) => return self.call(c),
            ast::Expr::List(l) => Kind::List(self.nodes(&l.items)?),
            ast::Expr::Tuple(t) => Kind::Tuple(self.nodes(&t.items)?),
            ast::Expr::Map(m) => {
                let mut members = Vec::new();
                for (key, value) in m.keys.iter().zip(&m.values) {
                    members.push((self.expr(key)?, self.expr(value)?));
                }
                Kind::Dict(members)
            }
        };
        Ok(Node { kind, at: at_of(expr.span()) })
    }

    /// Returns the text of string literals without reading escapes.
    fn as_written(&self, at: At) -> Option<String> {
        let mut rest = self.text.get(at.start as usize..at.end as usize)?;
        if !rest.contains('\\') {
            return None;
        }
        let mut out = String::new();
        while !rest.is_empty() {
            let quote = rest.chars().next().filter(|c| "'\"".contains(*c))?;
            let mut chars = rest[1..].char_indices();
            let end = loop {
                match chars.next()? {
                    (_, '\\') => {
                        out.push('\\');
                        out.push(chars.next()?.1);
                    }
                    (i, c) if c == quote => break i + 1,
                    (_, c) => out.push(c),
                }
            };
            rest = rest[end + 1..].trim_start();
        }
        Some(out)
    }

    fn binary(&mut self, b: &ast::BinOp<'_>) -> L<Kind> {
        let left = self.boxed(&b.left)?;
        let right = self.boxed(&b.right)?;
        Ok(match b.op {
            ast::BinOpKind::Eq => Kind::Compare(left, vec![(CompareOp::Eq, *right)]),
            ast::BinOpKind::Ne => Kind::Compare(left, vec![(CompareOp::Ne, *right)]),
            ast::BinOpKind::Lt => Kind::Compare(left, vec![(CompareOp::Lt, *right)]),
            ast::BinOpKind::Lte => Kind::Compare(left, vec![(CompareOp::Le, *right)]),
            ast::BinOpKind::Gt => Kind::Compare(left, vec![(CompareOp::Gt, *right)]),
            ast::BinOpKind::Gte => Kind::Compare(left, vec![(CompareOp::Ge, *right)]),
            ast::BinOpKind::In => Kind::Compare(left, vec![(CompareOp::In, *right)]),
            ast::BinOpKind::ScAnd => Kind::And(left, right),
            ast::BinOpKind::ScOr => Kind::Or(left, right),
            ast::BinOpKind::Add => Kind::Math(MathOp::Add, left, right),
            ast::BinOpKind::Sub => Kind::Math(MathOp::Sub, left, right),
            ast::BinOpKind::Mul => Kind::Math(MathOp::Mul, left, right),
            ast::BinOpKind::Div => Kind::Math(MathOp::Div, left, right),
            ast::BinOpKind::FloorDiv => Kind::Math(MathOp::FloorDiv, left, right),
            ast::BinOpKind::Rem => Kind::Math(MathOp::Rem, left, right),
            ast::BinOpKind::Pow => Kind::Math(MathOp::Pow, left, right),
            ast::BinOpKind::Concat => Kind::Math(MathOp::Concat, left, right),
        })
    }

    fn call(&mut self, call: &ast::Spanned<ast::Call<'_>>) -> L<Node> {
        if let ast::Expr::GetAttr(a) = &call.expr
            && MUTATORS.contains(&a.name)
        {
            self.mutates = true;
        }
        let callee = self.boxed(&call.expr)?;
        let args = self.args(&call.args)?;
        Ok(Node { kind: Kind::Call(callee, args), at: at_of(call.span()) })
    }

    fn filter(&mut self, f: &ast::Spanned<ast::Filter<'_>>) -> L<Kind> {
        let at = at_of(f.span());
        let Some((name, filter)) = filters::find(f.name) else {
            return Err(unknown("XP0305", "filter", f.name, at, &mut filters::names()));
        };
        if TAKES_FILTER.contains(&name)
            && let Some((word, at)) = literal(&f.args, 0)
            && filters::find(word).is_none()
        {
            return Err(unknown("XP0305", "filter", word, at, &mut filters::names()));
        }
        if let Some((_, index)) = TAKES_TEST.iter().find(|(n, _)| *n == name)
            && let Some((word, at)) = literal(&f.args, *index)
            && tests::find(word).is_none()
        {
            return Err(unknown("XP0306", "test", word, at, &mut tests::names()));
        }
        Ok(Kind::Filter(Box::new(FilterCall {
            name: name.into(),
            filter,
            input: self.option(&f.expr)?,
            args: self.args(&f.args)?,
        })))
    }

    fn test(&mut self, t: &ast::Spanned<ast::Test<'_>>) -> L<Kind> {
        let Some((name, test)) = tests::find(t.name) else {
            return Err(unknown("XP0306", "test", t.name, at_of(t.span()), &mut tests::names()));
        };
        Ok(Kind::Test(Box::new(TestCall {
            name: name.into(),
            test,
            input: self.expr(&t.expr)?,
            args: self.args(&t.args)?,
        })))
    }

    fn args(&mut self, args: &[ast::CallArg<'_>]) -> L<Vec<Arg>> {
        let names = args.iter().filter_map(|arg| match arg {
            ast::CallArg::Kwarg(name, value) => Some((*name, value)),
            _ => None,
        });
        let mut seen = Vec::new();
        for (name, value) in names {
            if seen.contains(&name) {
                return Err(refuse(value, &format!("keyword argument repeated: {name}")));
            }
            seen.push(name);
        }
        args.iter()
            .map(|arg| {
                Ok(match arg {
                    ast::CallArg::Pos(e) => Arg::Pos(self.expr(e)?),
                    ast::CallArg::Kwarg(name, e) => Arg::Named((*name).into(), self.expr(e)?),
                    ast::CallArg::PosSplat(e) => Arg::Spread(self.expr(e)?),
                    ast::CallArg::KwargSplat(e) => Arg::SpreadNamed(self.expr(e)?),
                })
            })
            .collect()
    }
}

/// Returns the text of a positional argument that is a plain string.
fn literal<'a>(args: &'a [ast::CallArg<'_>], index: usize) -> Option<(&'a str, At)> {
    match args.get(index)? {
        ast::CallArg::Pos(ast::Expr::Const(c)) => Some((c.value.as_str()?, at_of(c.span()))),
        _ => None,
    }
}

fn unknown(
    code: &'static str,
    what: &str,
    name: &str,
    at: At,
    known: &mut dyn Iterator<Item = &'static str>,
) -> Box<SyntaxFail> {
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    let help = did_you_mean(short, known).map(|best| format!("did you mean `{best}`?"));
    let message = if name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
        format!("no {what} named '{name}'")
    } else {
        // Ansible's words for what cannot be a name at all.
        format!(
            "TemplateSyntaxError: Could not load \"{name}\": 'invalid plugin name: ansible.builtin.{short}'"
        )
    };
    Box::new(SyntaxFail { code, message, at, help })
}

fn refuse(expr: &ast::Expr<'_>, message: &str) -> Box<SyntaxFail> {
    Box::new(SyntaxFail { code: "XP0300", message: message.to_string(), at: at_of(expr.span()), help: None })
}

fn var_name(expr: &ast::Expr<'_>) -> L<Arc<str>> {
    match expr {
        ast::Expr::Var(v) => Ok(v.id.into()),
        other => Err(refuse(other, "expected a name")),
    }
}

fn compare_op(op: ast::CompareOpKind) -> CompareOp {
    match op {
        ast::CompareOpKind::Eq => CompareOp::Eq,
        ast::CompareOpKind::Ne => CompareOp::Ne,
        ast::CompareOpKind::Lt => CompareOp::Lt,
        ast::CompareOpKind::Lte => CompareOp::Le,
        ast::CompareOpKind::Gt => CompareOp::Gt,
        ast::CompareOpKind::Gte => CompareOp::Ge,
        ast::CompareOpKind::In => CompareOp::In,
        ast::CompareOpKind::NotIn => CompareOp::NotIn,
    }
}

fn constant(value: &minijinja::Value) -> Value {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).map_or_else(|_| Value::str(value.to_string()), Value::Int)
        }
        ValueKind::Number => f64::try_from(value.clone()).map_or(Value::Null, Value::Float),
        ValueKind::String => Value::str(value.as_str().unwrap_or_default()),
        _ => Value::Null,
    }
}
