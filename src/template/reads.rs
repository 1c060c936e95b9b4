//! Which variables a template reads: a walk over compiled templates that evaluates nothing.
//!
//! Comes in: a compiled tree, expression or template file. Goes out: names with their places, without those that the
//! template itself assigns. Names that are only asked for (`is defined`, `default`) are marked.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::ir::{Arg, ForLoop, Formula, Kind, MacroDef, Node, Program, Stmt, Target};
use super::lower::Syntax;
use super::source::{At, Source};
use super::{Expr, Templar, Tree, TreeKind, functions};
use crate::diag::{SourceMap, Span};

/// A variable that a template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub name: Arc<str>,
    pub span: Option<Span>,
    /// The same text also asks whether it exists.
    pub asked: bool,
}

/// Names that statements bring along.
const OF_STATEMENTS: [&str; 6] = ["loop", "self", "caller", "super", "varargs", "kwargs"];

impl Tree {
    /// Returns the variables that the templates inside read.
    pub fn reads(&self, sources: &SourceMap) -> Vec<Read> {
        match &self.kind {
            TreeKind::Value(_) | TreeKind::Vault(_) => Vec::new(),
            TreeKind::Template(template) => of_program(&template.program, sources),
            TreeKind::List(items) => items.iter().flat_map(|item| item.reads(sources)).collect(),
            TreeKind::Map(members) => members
                .iter()
                .flat_map(|(k, v)| k.reads(sources).into_iter().chain(v.reads(sources)))
                .collect(),
        }
    }
}

impl Expr {
    /// Returns the variables that the expression reads.
    pub fn reads(&self, sources: &SourceMap) -> Vec<Read> {
        of_formula(&self.formula, sources)
    }
}

impl Templar {
    /// Returns the variables that a template file reads; nothing for one that cannot be compiled, and without those of
    /// templates that it includes.
    pub fn file_reads(&self, path: &Path) -> Vec<Read> {
        let syntax = Syntax { keep_trailing_newline: true, ..Syntax::default() };
        match self.load_program(path, &syntax) {
            Ok((program, _)) => of_program(&program, self.sources()),
            Err(_) => Vec::new(),
        }
    }
}

fn of_program(program: &Program, sources: &SourceMap) -> Vec<Read> {
    walk(|walk| walk.program(program), &program.source, sources)
}

fn of_formula(formula: &Formula, sources: &SourceMap) -> Vec<Read> {
    walk(|walk| walk.node(&formula.root), &formula.source, sources)
}

fn walk(start: impl FnOnce(&mut Walk), source: &Source, sources: &SourceMap) -> Vec<Read> {
    let mut walk = Walk::default();
    start(&mut walk);
    let Walk { found, asked, bound } = walk;
    found
        .into_iter()
        .filter(|(name, _)| !bound.contains(name) && !OF_STATEMENTS.contains(&&**name))
        .filter(|(name, _)| functions::find(name).is_none())
        .map(|(name, at)| Read { span: source.span_of(sources, at), asked: asked.contains(&name), name })
        .collect()
}

/// What a walk has come across.
#[derive(Default)]
struct Walk {
    found: Vec<(Arc<str>, At)>,
    asked: HashSet<Arc<str>>,
    bound: HashSet<Arc<str>>,
}

impl Walk {
    fn program(&mut self, program: &Program) {
        self.body(&program.body);
        for block in program.blocks.values() {
            self.body(block);
        }
    }

    fn body(&mut self, body: &[Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Text(_) | Stmt::Block(..) | Stmt::Break | Stmt::Continue => {}
            Stmt::Emit(node) | Stmt::Do(node) | Stmt::Extends(node) | Stmt::Include(node, _) => {
                self.node(node)
            }
            Stmt::For(each) => self.each(each),
            Stmt::If(condition, then, otherwise) => {
                self.node(condition);
                self.body(then);
                self.body(otherwise);
            }
            Stmt::With(pairs, body) => {
                for (target, node) in pairs {
                    self.target(target);
                    self.node(node);
                }
                self.body(body);
            }
            Stmt::Set(target, node) => {
                self.target(target);
                self.node(node);
            }
            Stmt::SetBlock(target, filter, body) => {
                self.target(target);
                filter.iter().for_each(|node| self.node(node));
                self.body(body);
            }
            Stmt::FilterBlock(node, body) => {
                self.node(node);
                self.body(body);
            }
            Stmt::Group(body) => self.body(body),
            Stmt::Import(node, target) => {
                self.node(node);
                self.target(target);
            }
            Stmt::FromImport(node, names) => {
                self.node(node);
                self.bound.extend(names.iter().map(|(_, here)| here.clone()));
            }
            Stmt::Macro(definition) => {
                self.bound.insert(definition.name.clone());
                self.definition(definition);
            }
            Stmt::CallBlock(node, definition) => {
                self.node(node);
                self.definition(definition);
            }
        }
    }

    fn each(&mut self, each: &ForLoop) {
        self.target(&each.target);
        self.node(&each.iter);
        each.filter.iter().for_each(|node| self.node(node));
        self.body(&each.body);
        self.body(&each.otherwise);
    }

    fn definition(&mut self, definition: &MacroDef) {
        self.bound.extend(definition.params.iter().cloned());
        definition.defaults.iter().for_each(|node| self.node(node));
        self.body(&definition.body);
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => {
                self.bound.insert(name.clone());
            }
            Target::Member(node, _) => self.node(node),
            Target::Many(targets) => targets.iter().for_each(|target| self.target(target)),
        }
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::Const(_) => {}
            Kind::Var(name) => self.found.push((name.clone(), node.at)),
            Kind::Attr(of, _) | Kind::Not(of) | Kind::Neg(of) => self.node(of),
            Kind::Item(of, key) => {
                self.node(of);
                self.node(key);
            }
            Kind::Slice(of, parts) => {
                self.node(of);
                parts.iter().flatten().for_each(|part| self.node(part));
            }
            Kind::And(a, b) | Kind::Or(a, b) | Kind::Math(_, a, b) => {
                self.node(a);
                self.node(b);
            }
            Kind::Compare(first, others) => {
                self.node(first);
                others.iter().for_each(|(_, other)| self.node(other));
            }
            Kind::If(condition, then, otherwise) => {
                self.node(condition);
                self.node(then);
                otherwise.iter().for_each(|node| self.node(node));
            }
            Kind::Filter(call) => {
                if let (Some(input), "default" | "d") = (&call.input, &*call.name) {
                    self.ask(input);
                }
                call.input.iter().for_each(|input| self.node(input));
                self.args(&call.args);
            }
            Kind::Test(call) => {
                if matches!(&*call.name, "defined" | "undefined") {
                    self.ask(&call.input);
                }
                self.node(&call.input);
                self.args(&call.args);
            }
            Kind::Call(of, args) => {
                self.node(of);
                self.args(args);
            }
            Kind::List(items) | Kind::Tuple(items) => items.iter().for_each(|item| self.node(item)),
            Kind::Dict(members) => members.iter().for_each(|(key, value)| {
                self.node(key);
                self.node(value);
            }),
        }
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            match arg {
                Arg::Pos(node) | Arg::Named(_, node) | Arg::Spread(node) | Arg::SpreadNamed(node) => {
                    self.node(node);
                }
            }
        }
    }

    /// Notes whose existence is asked for: the variable at the root of what stands there.
    fn ask(&mut self, node: &Node) {
        match &node.kind {
            Kind::Var(name) => {
                self.asked.insert(name.clone());
            }
            Kind::Attr(of, _) | Kind::Item(of, _) | Kind::Slice(of, _) => self.ask(of),
            Kind::Filter(call) => call.input.iter().for_each(|input| self.ask(input)),
            Kind::Call(of, _) => self.ask(of),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::TemplarSettings;

    fn check(text: &str, expect: &[&str]) {
        let sources = SourceMap::new();
        let templar = Templar::new(sources.clone(), TemplarSettings::default());
        let found: Vec<String> = templar
            .compile_str(text, None)
            .unwrap()
            .reads(&sources)
            .into_iter()
            .map(|read| format!("{}{}", read.name, if read.asked { "?" } else { "" }))
            .collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn names_without_the_templates_own() {
        check("plain", &[]);
        check("{{ a.b[c] | f | d(e) }}".replace("| f ", "").as_str(), &["a?", "c", "e"]);
        check("{% for x in xs if x != y %}{{ x }}{{ loop.index }}{% endfor %}", &["xs", "y"]);
        check("{% set n = m %}{{ n }}{{ lookup('file', f) }}", &["m", "f"]);
        check("{{ a if a is defined else b }}", &["a?", "a?", "b"]);
        check("{% macro p(q, r=s) %}{{ q }}{{ r }}{{ t }}{% endmacro %}{{ p(1) }}", &["s", "t"]);
        check("{{ {'k': v}.k ~ [w, (x, y)] | map('upper') | list }}", &["v", "w", "x", "y"]);
    }

    #[test]
    fn template_files_have_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.j2");
        std::fs::write(&path, "one\n{{ two }}\n").unwrap();
        let sources = SourceMap::new();
        let templar = Templar::new(sources.clone(), TemplarSettings::default());
        let reads = templar.file_reads(&path);
        assert_eq!(reads.len(), 1);
        let place = sources.place(reads[0].span.unwrap());
        assert_eq!((place.line, place.column, &*reads[0].name), (2, 4, "two"));
        assert!(templar.file_reads(&dir.path().join("absent.j2")).is_empty());
    }
}
