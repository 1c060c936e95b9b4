//! Calls: filters, tests, functions, methods, macros.

use std::rc::Rc;
use std::sync::Arc;

use super::{Interp, Sink, texts};
use crate::template::args::{Args, VArgs, ValueArgs};
use crate::template::error::{Fail, R, RenderErrorKind};
use crate::template::filters::{Filter, PlainFilter};
use crate::template::ir::{Arg, FilterCall, Kind, MacroDef, Node, TestCall};
use crate::template::runtime::{Dict, Frame, Macro, Obj, V, expose, holds_secret, make_secret};
use crate::template::tests::Test;
use crate::template::{Texts, filters, functions, methods, tests};
use crate::value::{Key, Unknown, Value};

impl Interp<'_> {
    pub(super) fn eval_args(&mut self, args: &[Arg]) -> R<VArgs> {
        let mut out = VArgs::default();
        for arg in args {
            match arg {
                Arg::Pos(node) => out.pos.push(self.eval(node)?),
                Arg::Named(name, node) => out.named.push((name.clone(), self.eval(node)?)),
                Arg::Spread(node) => {
                    let v = self.eval(node)?;
                    out.pos.extend(self.items(&v)?);
                }
                Arg::SpreadNamed(node) => {
                    let v = self.eval(node)?;
                    for (key, value) in self.members(&v)? {
                        out.named.push((key.json_name(), value));
                    }
                }
            }
        }
        Ok(out)
    }

    pub(in crate::template) fn value_args(&mut self, args: VArgs) -> R<ValueArgs> {
        Ok(Args {
            pos: args.pos.iter().map(|v| self.value(v)).collect::<R<_>>()?,
            named: args.named.iter().map(|(n, v)| Ok((n.clone(), self.value(v)?))).collect::<R<_>>()?,
        })
    }

    pub(super) fn filter_call(&mut self, call: &FilterCall, input: V) -> R<V> {
        let args = self.eval_args(&call.args)?;
        self.apply_filter(&call.name, call.filter, input, args)
    }

    /// Applies a filter found by name while rendering, as `map` does.
    pub(in crate::template) fn filter_by_name(&mut self, name: &str, input: V, args: VArgs) -> R<V> {
        match filters::find(name) {
            Some((name, filter)) => self.apply_filter(name, filter, input, args),
            None => Err(Fail::failed(format!("no filter named '{name}'"))),
        }
    }

    fn apply_filter(&mut self, name: &str, filter: &Filter, input: V, args: VArgs) -> R<V> {
        let result = match filter {
            Filter::Raw(f) => f(self, input, args),
            Filter::Plain(f) => self.plain_filter(*f, false, input, args),
            Filter::Shape(f) => self.plain_filter(*f, true, input, args),
        };
        match result {
            Ok(made) if self.templar.settings().texts != Texts::Kept => Ok(texts::kept(name, made)),
            Ok(made) => Ok(made),
            Err(fail) => Err(self.describe(fail, "filter", name)),
        }
    }

    /// Calls a filter over plain data. Anything unknown inside makes the result unknown, anything secret makes it
    /// secret; a filter that only rearranges (`shape`) keeps both inside.
    fn plain_filter(&mut self, f: PlainFilter, shape: bool, input: V, args: VArgs) -> R<V> {
        let unknown = |v: &V| v.as_unknown().cloned();
        if let Some(u) = unknown(&input) {
            return Ok(V::unknown(&u));
        }
        let value = self.value(&input)?;
        let args = self.value_args(args)?;
        let all = || [&value].into_iter().chain(&args.pos).chain(args.named.iter().map(|(_, v)| v));
        if shape {
            if let Some(u) = all().find_map(top_unknown) {
                return Ok(V::unknown(&u));
            }
            return f(self, value, args).map(V::Val);
        }
        if let Some(u) = all().find_map(Value::find_unknown) {
            return Ok(V::unknown(u));
        }
        if !all().any(holds_secret) {
            return f(self, value, args).map(V::Val);
        }
        let args = Args {
            pos: args.pos.into_iter().map(expose).collect(),
            named: args.named.into_iter().map(|(n, v)| (n, expose(v))).collect(),
        };
        f(self, expose(value), args).map(|v| V::Val(make_secret(v)))
    }

    /// Names the plugin in a message that does not. Up to 2.18, whose other ways with texts go with it, Ansible gave the
    /// plugin's words alone.
    fn describe(&self, mut fail: Box<Fail>, what: &str, name: &str) -> Box<Fail> {
        let bare = fail.kind == RenderErrorKind::Failed && fail.at.is_none();
        if bare && self.templar.settings().texts == Texts::Kept && !fail.message.starts_with("the ") {
            fail.message = format!("the {what} '{name}' failed: {}", fail.message);
        }
        fail
    }

    pub(super) fn test_call(&mut self, call: &TestCall) -> R<V> {
        let input = self.eval(&call.input)?;
        let args = self.eval_args(&call.args)?;
        self.apply_test(&call.name, call.test, input, args)
    }

    pub(in crate::template) fn test_by_name(&mut self, name: &str, input: V, args: VArgs) -> R<V> {
        match tests::find(name) {
            Some((name, test)) => self.apply_test(name, test, input, args),
            None => Err(Fail::failed(format!("no test named '{name}'"))),
        }
    }

    fn apply_test(&mut self, name: &str, test: &Test, input: V, args: VArgs) -> R<V> {
        let result = match test {
            Test::Raw(f) => f(self, input, args),
            Test::Plain(f) => self.plain_test(*f, input, args),
        };
        result.map_err(|fail| self.describe(fail, "test", name))
    }

    fn plain_test(&mut self, f: tests::PlainTest, input: V, args: VArgs) -> R<V> {
        let value = self.value(&input)?;
        let args = self.value_args(args)?;
        let all = || [&value].into_iter().chain(&args.pos).chain(args.named.iter().map(|(_, v)| v));
        if let Some(u) = all().find_map(Value::find_unknown) {
            return Ok(V::unknown(u));
        }
        let args = Args {
            pos: args.pos.into_iter().map(expose).collect(),
            named: args.named.into_iter().map(|(n, v)| (n, expose(v))).collect(),
        };
        f(self, expose(value), args).map(V::bool)
    }

    pub(super) fn eval_call(&mut self, callee: &Node, args: &[Arg]) -> R<V> {
        if let Kind::Attr(object, name) = &callee.kind {
            let object = self.eval(object)?;
            let args = self.eval_args(args)?;
            return self.call_attr(&object, name, args).map_err(|f| f.locate(&self.source, callee.at));
        }
        if let Kind::Var(name) = &callee.kind
            && &**name == "super"
            && self.frame.get("super").is_none()
        {
            return Err(Fail::failed("super() is only possible inside a block"));
        }
        let callee = self.eval(callee)?;
        let args = self.eval_args(args)?;
        self.call_value(&callee, args)
    }

    /// Calls `object.name(...)`: a method of the type first, as Python does.
    fn call_attr(&mut self, object: &V, name: &Arc<str>, args: VArgs) -> R<V> {
        if let Some(u) = object.as_unknown() {
            return Ok(V::unknown(u));
        }
        if object.is_undef() {
            return Ok(object.clone());
        }
        if methods::exists(object, name) {
            return methods::call(self, object, name, args);
        }
        let callee = self.attr(object, name)?;
        self.call_value(&callee, args)
    }

    pub(in crate::template) fn call_value(&mut self, callee: &V, args: VArgs) -> R<V> {
        match callee {
            V::Undef(_) => Ok(callee.clone()),
            V::Val(Value::Unknown(u)) => Ok(V::unknown(u)),
            V::Obj(o) => match &**o {
                Obj::Function(name) => {
                    let called = functions::call(self, name, args);
                    called.map_err(|f| self.describe(f, "function", name))
                }
                Obj::Method(object, name) => methods::call(self, object, name, args),
                Obj::Macro(m) => self.call_macro(m, args, None),
                Obj::Loop(state) => self.loop_again(state, args),
                Obj::Super(name, level) => self.block_text(name, *level),
                Obj::Joiner(text, used) => Ok(if used.replace(true) { text.clone() } else { V::str("") }),
                _ => Err(Fail::failed(format!("'{}' object is not callable", callee.type_name()))),
            },
            _ => Err(Fail::failed(format!("'{}' object is not callable", callee.type_name()))),
        }
    }

    pub(super) fn define_macro(&mut self, def: &Arc<MacroDef>) -> R<V> {
        let Some(program) = self.program.clone() else {
            return Err(Fail::failed("a macro needs a template"));
        };
        self.keep_frame();
        Ok(V::obj(Obj::Macro(Macro { def: def.clone(), home: self.frame.clone(), program })))
    }

    /// Runs a macro's body with its arguments as local variables.
    pub(super) fn call_macro(&mut self, m: &Macro, mut args: VArgs, caller: Option<V>) -> R<V> {
        let def = &m.def;
        let frame = Frame::child(&m.home);
        let extra_pos =
            if args.pos.len() > def.params.len() { args.pos.split_off(def.params.len()) } else { Vec::new() };
        if !extra_pos.is_empty() && !def.takes_varargs {
            return Err(Fail::failed(format!(
                "macro '{}' takes not more than {} argument(s)",
                def.name,
                def.params.len()
            )));
        }
        let given = args.pos.len();
        for (name, value) in def.params.iter().zip(std::mem::take(&mut args.pos)) {
            frame.set(name.clone(), value);
        }
        let caller = args.take("caller").or(caller);
        let mut extra_named = Dict::new();
        for (name, value) in args.named {
            match def.params.iter().position(|p| *p == name) {
                Some(i) if i < given => {
                    return Err(Fail::failed(format!(
                        "macro '{}' got multiple values for argument '{name}'",
                        def.name
                    )));
                }
                Some(_) => frame.set(name, value),
                None if def.takes_kwargs => {
                    extra_named.insert(Key::Str(name), value);
                }
                None => {
                    return Err(Fail::failed(format!(
                        "macro '{}' takes no keyword argument '{name}'",
                        def.name
                    )));
                }
            }
        }
        if let Some(caller) = caller {
            frame.set("caller".into(), caller);
        }
        if def.takes_varargs {
            frame.set("varargs".into(), V::tuple(extra_pos));
        }
        if def.takes_kwargs {
            frame.set("kwargs".into(), V::dict(extra_named));
        }
        let program = m.program.clone();
        let outer = (
            std::mem::replace(&mut self.frame, frame),
            self.program.replace(program.clone()),
            std::mem::replace(&mut self.source, program.source.clone()),
            std::mem::replace(&mut self.mutates, program.mutates),
        );
        let mut sink = Sink::default();
        let result = self.nested(|i| {
            i.default_params(def)?;
            i.exec(&def.body, &mut sink)
        });
        (self.frame, self.program, self.source, self.mutates) = outer;
        result.map_err(|f| f.through(format!("in macro '{}'", def.name), None))?;
        Ok(sink.value())
    }

    fn default_params(&mut self, def: &MacroDef) -> R<()> {
        let without = def.params.len() - def.defaults.len();
        for (i, name) in def.params.iter().enumerate() {
            if self.frame.vars.borrow().contains_key(name) {
                continue;
            }
            let value = match i.checked_sub(without).and_then(|d| def.defaults.get(d)) {
                Some(node) => self.eval(node)?,
                None => V::undef(&**name, format!("parameter '{name}' was not provided")),
            };
            self.frame.set(name.clone(), value);
        }
        Ok(())
    }

    /// Runs a `{% call %}` block: the callee gets the body as `caller`.
    pub(super) fn call_block(&mut self, call: &Node, def: &Arc<MacroDef>) -> R<V> {
        let Kind::Call(callee, args) = &call.kind else {
            return Err(Fail::failed("a call block needs a call"));
        };
        let caller = self.define_macro(def)?;
        let callee = self.eval(callee)?;
        let mut args = self.eval_args(args)?;
        match &callee {
            V::Obj(o) => match &**o {
                Obj::Macro(m) => self.call_macro(m, args, Some(caller)),
                _ => {
                    args.named.push(("caller".into(), caller));
                    self.call_value(&callee, args)
                }
            },
            V::Undef(u) => Err(u.fail.clone()),
            _ => self.call_value(&callee, args),
        }
    }

    /// Returns a loop variable's `loop` as a changed call for recursive loops.
    fn loop_again(&mut self, state: &crate::template::runtime::LoopState, args: VArgs) -> R<V> {
        let Some((node, home)) = state.again.clone() else {
            return Err(Fail::failed("this loop is not recursive: write `{% for ... recursive %}`"));
        };
        let [items] = args.bind(["iterable"])?;
        let items = items.unwrap_or_else(|| V::list(Vec::new()));
        let outer = std::mem::replace(&mut self.frame, home);
        let mut sink = Sink::default();
        let result = self.nested(|i| i.run_loop(&node, &items, state.depth + 1, &mut sink));
        self.frame = outer;
        result?;
        Ok(sink.value())
    }
}

fn top_unknown(v: &Value) -> Option<Unknown> {
    match v {
        Value::Unknown(u) => Some(u.clone()),
        _ => None,
    }
}

/// Returns whether two callables are the same one.
pub(in crate::template) fn same(a: &V, b: &V) -> bool {
    match (a, b) {
        (V::Obj(a), V::Obj(b)) => Rc::ptr_eq(a, b),
        (V::List(a), V::List(b)) => Rc::ptr_eq(a, b),
        (V::Dict(a), V::Dict(b)) => Rc::ptr_eq(a, b),
        (V::Val(Value::List(a)), V::Val(Value::List(b))) => Arc::ptr_eq(a, b),
        (V::Val(Value::Map(a)), V::Val(Value::Map(b))) => Arc::ptr_eq(a, b),
        (V::Val(a), V::Val(b)) => a.type_name() == b.type_name() && a == b,
        _ => false,
    }
}
