//! Expressions.

use std::rc::Rc;

use super::Interp;
use crate::template::Truth;
use crate::template::error::{Fail, R};
use crate::template::ir::{CompareOp, Kind, MathOp, Node};
use crate::template::ops;
use crate::template::runtime::{Dict, Undef, V};
use crate::value::{Key, Value};

impl Interp<'_> {
    /// Returns the value of an expression. A failure gets the innermost place.
    pub(in crate::template) fn eval(&mut self, node: &Node) -> R<V> {
        let result = match &node.kind {
            Kind::Const(v) => return Ok(V::Val(v.clone())),
            Kind::Var(name) => self.resolve(name),
            _ => self.nested(|i| i.eval_kind(node)),
        };
        match result {
            Ok(V::Undef(u)) if u.fail.at.is_none() => {
                let fail = u.fail.clone().locate(&self.source, node.at);
                Ok(V::Undef(Rc::new(Undef { fail, soft: u.soft })))
            }
            Ok(v) => Ok(v),
            Err(fail) => Err(fail.locate(&self.source, node.at)),
        }
    }

    fn eval_kind(&mut self, node: &Node) -> R<V> {
        match &node.kind {
            Kind::Const(v) => Ok(V::Val(v.clone())),
            Kind::Var(name) => self.resolve(name),
            Kind::Attr(object, name) => {
                let object = self.eval(object)?;
                self.attr(&object, name)
            }
            Kind::Item(object, key) => {
                let object = self.eval(object)?;
                let key = self.eval(key)?;
                self.item(&object, &key)
            }
            Kind::Slice(object, bounds) => {
                let object = self.eval(object)?;
                let mut evaluated = [None, None, None];
                for (slot, bound) in evaluated.iter_mut().zip(bounds.iter()) {
                    *slot = bound.as_ref().map(|b| self.eval(b)).transpose()?;
                }
                self.slice(&object, evaluated)
            }
            Kind::Not(_) => self.eval_truth(node).map(truth_value),
            Kind::Neg(operand) => {
                let v = self.eval(operand)?;
                if let Some(u) = v.as_unknown() {
                    return Ok(V::unknown(u));
                }
                let value = self.value(&v)?;
                ops::negate(&value).map(V::Val)
            }
            Kind::And(left, right) => {
                let l = self.eval(left)?;
                match self.truth(&l)? {
                    Truth::False => Ok(l),
                    Truth::True => self.eval(right),
                    Truth::Unknown(u) => match self.eval_truth(right) {
                        Ok(Truth::False) => self.eval(right),
                        _ => Ok(V::unknown(&u)),
                    },
                }
            }
            Kind::Or(left, right) => {
                let l = self.eval(left)?;
                match self.truth(&l)? {
                    Truth::True => Ok(l),
                    Truth::False => self.eval(right),
                    Truth::Unknown(u) => Ok(V::unknown(&u)),
                }
            }
            Kind::Math(op, left, right) => {
                let l = self.eval(left)?;
                let r = self.eval(right)?;
                self.math(*op, &l, &r)
            }
            Kind::Compare(..) => self.eval_compare(node).map(truth_value),
            Kind::If(condition, yes, no) => match self.eval_truth(condition)? {
                Truth::True => self.eval(yes),
                Truth::False => match no {
                    Some(no) => self.eval(no),
                    None => Ok(V::Undef(Rc::new(Undef {
                        fail: Fail::undefined(
                            "inline if",
                            "the inline if-expression evaluated to false and no else section was defined",
                        ),
                        soft: true,
                    }))),
                },
                Truth::Unknown(u) => Ok(V::unknown(&u)),
            },
            Kind::Filter(call) => {
                let input = match &call.input {
                    Some(input) if &*call.name == "unvault" => match self.locked(input) {
                        Some(text) => text,
                        None => self.eval(input)?,
                    },
                    Some(input) => self.eval(input)?,
                    None => V::str(""),
                };
                self.filter_call(call, input)
            }
            Kind::Test(call) => self.test_call(call),
            Kind::Call(callee, args) => self.eval_call(callee, args),
            Kind::List(items) => Ok(V::list(items.iter().map(|n| self.eval(n)).collect::<R<_>>()?)),
            Kind::Tuple(items) => Ok(V::tuple(items.iter().map(|n| self.eval(n)).collect::<R<_>>()?)),
            Kind::Dict(members) => {
                let mut out = Dict::with_capacity(members.len());
                for (key, value) in members {
                    let k = self.eval(key)?;
                    if let Some(u) = k.as_unknown() {
                        return Ok(V::unknown(u));
                    }
                    let k = self.value(&k)?;
                    let Some(k) = Key::from_value(&k) else {
                        return Err(Fail::failed(format!("unhashable type: '{}'", k.type_name())));
                    };
                    let v = self.eval(value)?;
                    out.insert(k, v);
                }
                Ok(V::dict(out))
            }
        }
    }

    /// Returns whether an expression holds. `and` and `or` decide where one side suffices, even if the other is
    /// not known.
    pub(super) fn eval_truth(&mut self, node: &Node) -> R<Truth> {
        match &node.kind {
            Kind::Not(inner) => Ok(match self.nested(|i| i.eval_truth(inner))? {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                unknown => unknown,
            }),
            Kind::And(left, right) => match self.nested(|i| i.eval_truth(left))? {
                Truth::False => Ok(Truth::False),
                Truth::True => self.nested(|i| i.eval_truth(right)),
                // The right side may rely on the left one, so its failure counts as not known too.
                Truth::Unknown(u) => match self.nested(|i| i.eval_truth(right)) {
                    Ok(Truth::False) => Ok(Truth::False),
                    _ => Ok(Truth::Unknown(u)),
                },
            },
            Kind::Or(left, right) => match self.nested(|i| i.eval_truth(left))? {
                Truth::True => Ok(Truth::True),
                Truth::False => self.nested(|i| i.eval_truth(right)),
                Truth::Unknown(u) => match self.nested(|i| i.eval_truth(right)) {
                    Ok(Truth::True) => Ok(Truth::True),
                    _ => Ok(Truth::Unknown(u)),
                },
            },
            Kind::Compare(..) => {
                self.nested(|i| i.eval_compare(node)).map_err(|f| f.locate(&self.source, node.at))
            }
            _ => {
                let v = self.eval(node)?;
                self.truth(&v).map_err(|f| f.locate(&self.source, node.at))
            }
        }
    }

    fn eval_compare(&mut self, node: &Node) -> R<Truth> {
        let Kind::Compare(first, rest) = &node.kind else { return Ok(Truth::False) };
        let mut left = self.eval(first)?;
        let mut result = Truth::True;
        for (op, right) in rest {
            let right = self.eval(right)?;
            match self.compare(*op, &left, &right)? {
                Truth::False => return Ok(Truth::False),
                Truth::True => {}
                unknown => result = unknown,
            }
            left = right;
        }
        Ok(result)
    }

    pub(in crate::template) fn truth(&mut self, v: &V) -> R<Truth> {
        Ok(Truth::from(match v {
            V::Val(Value::Unknown(u)) => return Ok(Truth::Unknown(u.clone())),
            V::Val(v) => v.is_truthy(),
            V::List(l) => !l.borrow().is_empty(),
            V::Dict(d) => !d.borrow().is_empty(),
            V::Tuple(t) => !t.is_empty(),
            V::TreeList(l, _) => !l.is_empty(),
            V::TreeMap(m, _) => !m.is_empty(),
            V::LazyMap(m, _) => !m.keys().is_empty(),
            V::Undef(u) if u.soft => false,
            V::Undef(u) => return Err(u.fail.clone()),
            V::Obj(_) => true,
        }))
    }

    /// Returns whether the value is true; an unknown ends the template as unknown.
    pub(in crate::template) fn is_true(&mut self, v: &V) -> R<bool> {
        match self.truth(v)? {
            Truth::True => Ok(true),
            Truth::False => Ok(false),
            Truth::Unknown(u) => Err(Fail::unknown(u)),
        }
    }

    pub(in crate::template) fn compare(&mut self, op: CompareOp, left: &V, right: &V) -> R<Truth> {
        for side in [left, right] {
            if let V::Undef(u) = side {
                return Err(u.fail.clone());
            }
        }
        if let Some(u) = left.as_unknown().or(right.as_unknown()) {
            return Ok(Truth::Unknown(u.clone()));
        }
        let negative = matches!(op, CompareOp::Ne | CompareOp::NotIn);
        let holds = match op {
            CompareOp::Eq | CompareOp::Ne => self.equal(left, right)?,
            CompareOp::In | CompareOp::NotIn => self.contains(right, left)?,
            _ => {
                let (l, r) = (self.value(left)?, self.value(right)?);
                if let Some(u) = l.find_unknown().or(r.find_unknown()) {
                    return Ok(Truth::Unknown(u.clone()));
                }
                Truth::from(ops::ordered(op, left, &l, right, &r)?)
            }
        };
        Ok(match holds {
            Truth::Unknown(u) => Truth::Unknown(u),
            holds if negative => Truth::from(holds == Truth::False),
            holds => holds,
        })
    }

    /// Python's `==`.
    pub(in crate::template) fn equal(&mut self, left: &V, right: &V) -> R<Truth> {
        if let (V::Val(Value::Str(a)), V::Val(Value::Str(b))) = (left, right) {
            return Ok(Truth::from(a == b));
        }
        if matches!(left, V::Tuple(_)) != matches!(right, V::Tuple(_)) && (left.is_list() || right.is_list())
        {
            return Ok(Truth::False);
        }
        if let (V::Obj(a), V::Obj(b)) = (left, right) {
            return Ok(Truth::from(Rc::ptr_eq(a, b) || ops::same_time(a, b)));
        }
        if matches!(left, V::Obj(_)) || matches!(right, V::Obj(_)) {
            return Ok(Truth::False);
        }
        let (l, r) = (self.value(left)?, self.value(right)?);
        if let Some(u) = l.find_unknown().or(r.find_unknown()) {
            return Ok(Truth::Unknown(u.clone()));
        }
        Ok(Truth::from(l == r))
    }

    /// Python's `item in container`.
    pub(in crate::template) fn contains(&mut self, container: &V, item: &V) -> R<Truth> {
        match container {
            V::Undef(u) => return Err(u.fail.clone()),
            V::Val(Value::Unknown(u)) => return Ok(Truth::Unknown(u.clone())),
            _ => {}
        }
        if let Some(text) = container.as_text() {
            let Some(part) = item.as_text() else {
                return Err(Fail::failed(format!(
                    "'in <string>' requires string as left operand, not {}",
                    item.type_name()
                )));
            };
            return Ok(Truth::from(text.contains(part)));
        }
        if container.is_dict() {
            let value = self.value(item)?;
            let Some(key) = Key::from_value(&value) else {
                return Err(Fail::failed(format!("unhashable type: '{}'", value.type_name())));
            };
            return Ok(Truth::from(match container {
                V::LazyMap(map, _) => key.as_str().is_some_and(|k| map.get(k).is_some()),
                _ => self.keys(container)?.contains(&key),
            }));
        }
        if !container.is_list() && !matches!(container, V::Tuple(_)) {
            return Err(Fail::failed(format!(
                "argument of type '{}' is not iterable",
                container.type_name()
            )));
        }
        let mut result = Truth::False;
        for x in self.items(container)? {
            match self.equal(&x, item)? {
                Truth::True => return Ok(Truth::True),
                Truth::False => {}
                unknown => result = unknown,
            }
        }
        Ok(result)
    }

    pub(in crate::template) fn math(&mut self, op: MathOp, left: &V, right: &V) -> R<V> {
        for side in [left, right] {
            if let V::Undef(u) = side {
                return Err(u.fail.clone());
            }
        }
        if let Some(u) = left.as_unknown().or(right.as_unknown()) {
            return Ok(V::unknown(u));
        }
        if op == MathOp::Add && left.is_list() && right.is_list() {
            let mut items = self.items(left)?;
            items.extend(self.items(right)?);
            return Ok(V::list(items));
        }
        if let (MathOp::Add, V::Tuple(a), V::Tuple(b)) = (op, left, right) {
            return Ok(V::tuple(a.iter().chain(b.iter()).cloned().collect()));
        }
        if let Some(result) = crate::template::filters::time::math(op, left, right) {
            return Ok(result);
        }
        if op == MathOp::Mul {
            let pair = match (left, right) {
                (l, V::Val(r)) if l.is_list() => Some((l, r)),
                (V::Val(l), r) if r.is_list() => Some((r, l)),
                _ => None,
            };
            if let Some((list, Value::Int(times))) = pair {
                let items = self.items(list)?;
                return ops::repeat_list(&items, *times).map(V::list);
            }
        }
        if op == MathOp::Rem && left.as_text().is_some() {
            return self.percent(left, right);
        }
        for side in [left, right] {
            if matches!(side, V::Obj(_)) {
                return Err(Fail::failed(format!("unsupported operand type: '{}'", side.type_name())));
            }
        }
        let (l, r) = (self.value(left)?, self.value(right)?);
        if op == MathOp::Concat
            && let Some(u) = l.find_unknown().or(r.find_unknown())
        {
            return Ok(V::unknown(u));
        }
        ops::math(op, &l, &r).map(V::Val)
    }

    fn percent(&mut self, format: &V, args: &V) -> R<V> {
        let many = match args {
            V::Tuple(items) => Some(items.iter().map(|x| self.value(x)).collect::<R<Vec<_>>>()?),
            _ => None,
        };
        let value = match &many {
            Some(_) => Value::Null,
            None => self.value(args)?,
        };
        let all: Vec<&Value> = many.iter().flatten().chain([&value]).collect();
        if let Some(u) = all.iter().find_map(|v| v.find_unknown()) {
            return Ok(V::unknown(u));
        }
        let secret = matches!(format, V::Val(Value::Secret(_)))
            || all.iter().any(|v| crate::template::runtime::holds_secret(v));
        let format = format.as_text().unwrap_or_default();
        let text = crate::template::python_format::percent(format, many.as_deref(), &value)?;
        Ok(V::Val(if secret {
            crate::template::runtime::make_secret(Value::str(text))
        } else {
            Value::str(text)
        }))
    }
}

pub(in crate::template) fn truth_value(truth: Truth) -> V {
    match truth {
        Truth::True => V::bool(true),
        Truth::False => V::bool(false),
        Truth::Unknown(u) => V::unknown(&u),
    }
}
