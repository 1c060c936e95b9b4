//! Statements.

use std::rc::Rc;
use std::sync::Arc;

use super::{Interp, Sink};
use crate::template::error::{Fail, R};
use crate::template::ir::{Kind, Node, Stmt, Target};
use crate::template::runtime::{Frame, Obj, V};
use crate::value::Key;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::template) enum Flow {
    Next,
    Break,
    Continue,
}

impl Interp<'_> {
    pub(super) fn exec(&mut self, stmts: &[Stmt], sink: &mut Sink) -> R<Flow> {
        for stmt in stmts {
            match self.exec_one(stmt, sink)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn exec_one(&mut self, stmt: &Stmt, sink: &mut Sink) -> R<Flow> {
        match stmt {
            Stmt::Text(text) => sink.push_text(self, text)?,
            Stmt::Emit(node) => {
                let v = self.eval(node)?;
                sink.push(self, v).map_err(|f| f.locate(&self.source, node.at))?;
            }
            Stmt::Group(body) => return self.exec(body, sink),
            Stmt::If(condition, yes, no) => {
                let body = if self.condition(condition)? { yes } else { no };
                return self.nested(|i| i.exec(body, sink));
            }
            Stmt::For(node) => {
                let items = self.eval(&node.iter)?;
                let depth = self.loop_depth;
                self.nested(|i| i.run_loop(node, &items, depth, sink))
                    .map_err(|f| f.locate(&self.source, node.iter.at))?;
            }
            Stmt::With(assignments, body) => {
                let mut values = Vec::with_capacity(assignments.len());
                for (_, node) in assignments {
                    values.push(self.eval(node)?);
                }
                let outer = self.push_frame();
                let result = (|| {
                    for ((target, _), value) in assignments.iter().zip(values) {
                        self.assign(target, value)?;
                    }
                    self.nested(|i| i.exec(body, sink))
                })();
                self.frame = outer;
                return result;
            }
            Stmt::Set(target, node) => {
                let mut v = self.eval(node)?;
                if self.mutates {
                    v = self.own(v)?;
                }
                self.assign(target, v).map_err(|f| f.locate(&self.source, node.at))?;
            }
            Stmt::SetBlock(target, filter, body) => {
                let mut v = self.captured(body)?;
                if let Some(filter) = filter {
                    v = self.filter_chain(filter, v)?;
                }
                self.assign(target, v)?;
            }
            Stmt::FilterBlock(filter, body) => {
                let body = self.captured(body)?;
                let v = self.filter_chain(filter, body)?;
                sink.push(self, v)?;
            }
            Stmt::Block(name, at) => {
                let v = self.block_text(name, 0).map_err(|f| f.locate(&self.source, *at))?;
                sink.push(self, v)?;
            }
            Stmt::Extends(_) => {}
            Stmt::Include(node, ignore_missing) => {
                self.include(node, *ignore_missing, sink).map_err(|f| f.locate(&self.source, node.at))?;
            }
            Stmt::Import(node, target) => {
                let module = self.import(node).map_err(|f| f.locate(&self.source, node.at))?;
                self.assign(target, V::obj(Obj::Module(module)))?;
            }
            Stmt::FromImport(node, names) => {
                let module = self.import(node).map_err(|f| f.locate(&self.source, node.at))?;
                for (name, alias) in names {
                    let found = module.vars.borrow().get(name).cloned();
                    let v = found.unwrap_or_else(|| {
                        V::undef(&**name, format!("the imported template does not export '{name}'"))
                    });
                    self.frame.set(alias.clone(), v);
                }
            }
            Stmt::Macro(def) => {
                let v = self.define_macro(def)?;
                self.frame.set(def.name.clone(), v);
            }
            Stmt::CallBlock(call, def) => {
                let v = self.call_block(call, def).map_err(|f| f.locate(&self.source, call.at))?;
                sink.push(self, v)?;
            }
            Stmt::Do(node) => {
                let v = self.eval(node)?;
                if let V::Undef(u) = v {
                    return Err(u.fail.clone());
                }
            }
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn condition(&mut self, node: &Node) -> R<bool> {
        match self.eval_truth(node)? {
            crate::template::Truth::True => Ok(true),
            crate::template::Truth::False => Ok(false),
            crate::template::Truth::Unknown(u) => Err(Fail::unknown(u).locate(&self.source, node.at)),
        }
    }

    /// Starts a frame inside the current one and returns the current one.
    pub(super) fn push_frame(&mut self) -> Rc<Frame> {
        let inner = Frame::child(&self.frame);
        std::mem::replace(&mut self.frame, inner)
    }

    fn captured(&mut self, body: &[Stmt]) -> R<V> {
        let outer = self.push_frame();
        let mut sink = Sink::default();
        let result = self.nested(|i| i.exec(body, &mut sink));
        self.frame = outer;
        result?;
        Ok(sink.value())
    }

    /// Applies the filters of `{% filter %}` or `{% set x | f %}`; the innermost has no input of its own.
    fn filter_chain(&mut self, node: &Node, input: V) -> R<V> {
        let Kind::Filter(call) = &node.kind else {
            return Err(Fail::failed("expected a filter"));
        };
        let input = match &call.input {
            Some(inner) => self.filter_chain(inner, input)?,
            None => input,
        };
        self.filter_call(call, input).map_err(|f| f.locate(&self.source, node.at))
    }

    pub(super) fn assign(&mut self, target: &Target, value: V) -> R<()> {
        match target {
            Target::Name(name) => self.frame.set(name.clone(), value),
            Target::Member(object, name) => {
                let object = self.eval(object)?;
                match &object {
                    V::Obj(o) => match &**o {
                        Obj::Namespace(members) => {
                            members.borrow_mut().insert(Key::Str(name.clone()), value);
                        }
                        _ => return Err(no_namespace()),
                    },
                    V::Undef(u) => return Err(u.fail.clone()),
                    _ => return Err(no_namespace()),
                }
            }
            Target::Many(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    return Err(Fail::failed(if items.len() > targets.len() {
                        format!("too many values to unpack (expected {})", targets.len())
                    } else {
                        format!(
                            "not enough values to unpack (expected {}, got {})",
                            targets.len(),
                            items.len()
                        )
                    }));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn name_super(&self, name: &Arc<str>, level: usize) {
        self.frame.set("super".into(), V::obj(Obj::Super(name.clone(), level)));
    }
}

fn no_namespace() -> Box<Fail> {
    Fail::failed("cannot assign attribute on non-namespace object")
}
