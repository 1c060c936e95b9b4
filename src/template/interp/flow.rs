//! Loops, blocks, and templates that use other templates.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::stmt::Flow;
use super::{Interp, Sink};
use crate::template::Truth;
use crate::template::error::{Fail, R};
use crate::template::ir::{ForLoop, Node, Program, Stmt};
use crate::template::runtime::{Frame, LoopState, Obj, V};
use crate::value::Value;

impl Interp<'_> {
    pub(super) fn run_loop(&mut self, node: &Arc<ForLoop>, over: &V, depth: usize, sink: &mut Sink) -> R<()> {
        let mut items = self.items(over)?;
        if self.mutates {
            items = items.into_iter().map(|v| self.own(v)).collect::<R<_>>()?;
        }
        let home = self.frame.clone();
        if let Some(filter) = &node.filter {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                self.frame = Frame::child(&home);
                let result = self.assign(&node.target, item.clone()).and_then(|()| self.eval_truth(filter));
                self.frame = home.clone();
                match result? {
                    Truth::True => kept.push(item),
                    Truth::False => {}
                    Truth::Unknown(u) => return Err(Fail::unknown(u)),
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.exec(&node.otherwise, sink).map(|_| ());
        }
        let items = Rc::new(items);
        let state = Rc::new(Obj::Loop(LoopState {
            items: items.clone(),
            index: Cell::new(0),
            depth,
            last_changed: RefCell::default(),
            again: node.recursive.then(|| (node.clone(), home.clone())),
        }));
        self.loop_depth = depth + 1;
        let result = self.iterate(node, &items, &state, &home, sink);
        self.loop_depth = depth;
        self.frame = home;
        result
    }

    fn iterate(
        &mut self,
        node: &ForLoop,
        items: &[V],
        state: &Rc<Obj>,
        home: &Rc<Frame>,
        sink: &mut Sink,
    ) -> R<()> {
        for (i, item) in items.iter().enumerate() {
            if let Obj::Loop(state) = &**state {
                state.index.set(i);
            }
            self.frame = Frame::child(home);
            self.frame.set("loop".into(), V::Obj(state.clone()));
            self.assign(&node.target, item.clone())?;
            if self.exec(&node.body, sink)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// Returns a member of `loop`.
    pub(super) fn loop_attr(&mut self, state: &LoopState, name: &str) -> R<Option<V>> {
        let (i, n) = (state.index.get(), state.items.len());
        let neighbour = |at: Option<usize>, what: &str| {
            at.and_then(|at| state.items.get(at).cloned())
                .unwrap_or_else(|| V::undef(what, format!("there is no {what} item")))
        };
        Ok(Some(match name {
            "index" => V::int(i + 1),
            "index0" => V::int(i),
            "revindex" => V::int(n - i),
            "revindex0" => V::int(n - i - 1),
            "first" => V::bool(i == 0),
            "last" => V::bool(i + 1 == n),
            "length" => V::int(n),
            "depth" => V::int(state.depth + 1),
            "depth0" => V::int(state.depth),
            "previtem" => neighbour(i.checked_sub(1), "previous"),
            "nextitem" => neighbour(Some(i + 1), "next"),
            _ => return Ok(None),
        }))
    }

    /// Runs a template's body, and its ancestors' where it extends one.
    pub(super) fn run_program(&mut self, program: &Arc<Program>, sink: &mut Sink) -> R<()> {
        let outer = self.program.replace(program.clone());
        let result = self.nested(|i| i.run_body(program, sink));
        self.program = outer;
        result
    }

    fn run_body(&mut self, program: &Arc<Program>, sink: &mut Sink) -> R<()> {
        for (name, body) in &program.blocks {
            self.blocks.entry(name.clone()).or_default().push((program.clone(), body.clone()));
        }
        if !program.extends {
            return self.exec(&program.body, sink).map(|_| ());
        }
        let mut parent = None;
        for stmt in &program.body {
            match stmt {
                Stmt::Extends(node) => {
                    let name = self.eval(node)?;
                    parent = Some(self.load(&name).map_err(|f| f.locate(&self.source, node.at))?);
                }
                // Definitions count, text does not: it is outside every block.
                Stmt::Set(..)
                | Stmt::SetBlock(..)
                | Stmt::Macro(_)
                | Stmt::Import(..)
                | Stmt::FromImport(..) => {
                    self.exec(std::slice::from_ref(stmt), sink)?;
                }
                _ => {}
            }
        }
        let Some((parent, dir)) = parent else { return Ok(()) };
        self.dirs.push(dir);
        let source = std::mem::replace(&mut self.source, parent.source.clone());
        let result = self.run_program(&parent, sink);
        self.source = source;
        self.dirs.pop();
        result
    }

    /// Renders the body of a block at a level of inheritance; level 0 is the most derived one.
    pub(super) fn block_text(&mut self, name: &Arc<str>, level: usize) -> R<V> {
        let Some((program, body)) = self.blocks.get(name).and_then(|b| b.get(level)).cloned() else {
            return Err(Fail::failed(format!("there is no parent block called '{name}'")));
        };
        let outer = self.push_frame();
        self.name_super(name, level + 1);
        let source = std::mem::replace(&mut self.source, program.source.clone());
        let program = self.program.replace(program);
        let mut sink = Sink::default();
        let result = self.nested(|i| i.exec(&body, &mut sink));
        self.program = program;
        self.source = source;
        self.frame = outer;
        result?;
        Ok(sink.value())
    }

    /// Loads a template by name, or the first of several names that exists.
    fn load(&mut self, name: &V) -> R<(Arc<Program>, PathBuf)> {
        let names = match self.value(name)? {
            Value::List(names) => names.iter().map(Value::to_text).collect(),
            Value::Unknown(u) => return Err(Fail::unknown(u)),
            other => vec![other.to_text()],
        };
        let templar = self.templar;
        templar.load_by_name(&names, &self.dirs, self.scope.search())
    }

    pub(super) fn include(&mut self, node: &Node, ignore_missing: bool, sink: &mut Sink) -> R<()> {
        let name = self.eval(node)?;
        let (program, dir) = match self.load(&name) {
            Ok(found) => found,
            Err(fail) if ignore_missing && fail.message.starts_with(NOT_FOUND) => return Ok(()),
            Err(fail) => return Err(fail),
        };
        let outer = self.push_frame();
        let source = std::mem::replace(&mut self.source, program.source.clone());
        let mutates = std::mem::replace(&mut self.mutates, program.mutates);
        let blocks = std::mem::take(&mut self.blocks);
        self.dirs.push(dir);
        let result = self.run_program(&program, sink);
        self.dirs.pop();
        self.blocks = blocks;
        self.mutates = mutates;
        self.source = source;
        self.frame = outer;
        result
    }

    /// Runs a template for its definitions.
    pub(super) fn import(&mut self, node: &Node) -> R<Rc<Frame>> {
        let name = self.eval(node)?;
        let (program, dir) = self.load(&name)?;
        let outer = self.push_frame();
        let source = std::mem::replace(&mut self.source, program.source.clone());
        let blocks = std::mem::take(&mut self.blocks);
        self.dirs.push(dir);
        let result = self.run_program(&program, &mut Sink::default());
        self.dirs.pop();
        self.blocks = blocks;
        self.source = source;
        let module = std::mem::replace(&mut self.frame, outer);
        result?;
        Ok(module)
    }
}

/// How the message of a missing template starts.
pub(in crate::template) const NOT_FOUND: &str = "template not found";
