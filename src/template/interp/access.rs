//! Attributes, subscripts and slices.

use std::sync::Arc;

use super::Interp;
use crate::template::error::{Fail, R, RenderErrorKind};
use crate::template::methods;
use crate::template::runtime::{Obj, V};
use crate::template::{Texts, Var, ops};
use crate::value::{Key, Text, TextKind, Value};

impl Interp<'_> {
    /// Returns `v.name`: a member first, then a method.
    pub(in crate::template) fn attr(&mut self, v: &V, name: &Arc<str>) -> R<V> {
        if let Some(u) = v.as_unknown() {
            return Ok(V::unknown(u));
        }
        if let V::Undef(_) = v {
            return Ok(v.clone());
        }
        if v.is_dict()
            && let Some(found) = self.member(v, &Key::Str(name.clone()))?
        {
            return Ok(found);
        }
        if let V::Obj(o) = v
            && let Some(found) = self.obj_attr(o, name)?
        {
            return Ok(found);
        }
        if let Some(class) = self.class(v, name) {
            return Ok(class);
        }
        if methods::exists(v, name) {
            return Ok(V::obj(Obj::Method(v.clone(), name.clone())));
        }
        Ok(missing_attr(v, name))
    }

    /// Returns what Python says of a value's class. Templates could ask for it in ansible-core up to 2.18.
    fn class(&self, v: &V, name: &str) -> Option<V> {
        if self.templar.settings().texts == Texts::Kept {
            return None;
        }
        match (name, v) {
            ("__class__", V::Obj(_)) => None,
            ("__class__", _) => {
                let class = format!("<class '{}'>", v.type_name());
                Some(V::Val(Value::Str(Text::new(class, TextKind::Class))))
            }
            ("__name__", V::Val(Value::Str(text))) if text.kind() == TextKind::Class => {
                let quoted = text.split('\'').nth(1).unwrap_or_default();
                Some(V::str(quoted))
            }
            _ => None,
        }
    }

    /// Returns `v[key]`.
    pub(in crate::template) fn item(&mut self, v: &V, key: &V) -> R<V> {
        if let Some(u) = v.as_unknown().or(key.as_unknown()) {
            return Ok(V::unknown(u));
        }
        if let V::Undef(_) = v {
            return Ok(v.clone());
        }
        if let V::Undef(u) = key {
            return Err(u.fail.clone());
        }
        if let Some(found) = self.named_by_a_lookup(v, key)? {
            return Ok(found);
        }
        if v.is_dict() {
            let key = self.value(key)?;
            let Some(name) = Key::from_value(&key) else { return Ok(missing_item(v, &key)) };
            return Ok(match self.member(v, &name)? {
                Some(found) => found,
                None => missing_item(v, &key),
            });
        }
        let key = self.value(key)?;
        let index = match &key {
            Value::Int(i) => *i,
            Value::Bool(b) => i128::from(*b),
            Value::Str(s) => {
                let name = s.clone();
                return if let V::Obj(_) = v {
                    self.attr(v, &name.shared())
                } else {
                    Ok(missing_item(v, &key))
                };
            }
            _ => return Ok(missing_item(v, &key)),
        };
        let found = match v {
            V::TreeList(items, scope) => match ops::position(index, items.len()) {
                Some(i) => self.list_item(items, i, scope)?,
                None => None,
            },
            V::List(items) => {
                let items = items.borrow();
                ops::position(index, items.len()).map(|i| items[i].clone())
            }
            V::Tuple(items) => ops::position(index, items.len()).map(|i| items[i].clone()),
            V::Val(Value::List(items)) => ops::position(index, items.len()).map(|i| V::Val(items[i].clone())),
            _ => match v.as_text() {
                Some(text) => {
                    let count = text.chars().count();
                    let c = ops::position(index, count).and_then(|i| text.chars().nth(i));
                    c.map(|c| V::Val(ops::like(v, c.to_string())))
                }
                None => None,
            },
        };
        Ok(found.unwrap_or_else(|| missing_item(v, &key)))
    }

    /// Returns a variable of a host whose name came from a lookup. Up to 2.18 Ansible rendered it with what the host itself
    /// has; where that was not enough the template's text was the value, and was not looked at again.
    fn named_by_a_lookup(&mut self, v: &V, key: &V) -> R<Option<V>> {
        let (V::LazyMap(map, _), V::Val(Value::Str(name))) = (v, key) else { return Ok(None) };
        if self.templar.settings().texts == Texts::Kept || !name.kind().is_unsafe() {
            return Ok(None);
        }
        let (Some(host), Some(Var::Tree(tree))) = (map.host_alone(), map.get(name)) else { return Ok(None) };
        match self.tree_value(&tree, host) {
            Ok(value) => Ok(Some(V::Val(value))),
            Err(fail) if matches!(fail.kind, RenderErrorKind::Undefined { .. }) => {
                Ok(Some(V::Val(tree.written())))
            }
            Err(fail) => Err(fail),
        }
    }

    /// Returns a member, or else an attribute, as Jinja2's filters look things up.
    pub(in crate::template) fn item_or_attr(&mut self, v: &V, name: &str) -> R<V> {
        match v {
            V::Obj(_) => self.attr(v, &name.into()),
            _ => self.item(v, &V::str(name)),
        }
    }

    /// Returns the member of a dict.
    pub(in crate::template) fn member(&mut self, v: &V, key: &Key) -> R<Option<V>> {
        match v {
            V::Val(Value::Map(m)) => Ok(m.get_key(key).map(|x| V::Val(x.clone()))),
            V::Dict(m) => Ok(m.borrow().get(key).cloned()),
            V::TreeMap(items, scope) => self.map_member(items, key, scope),
            V::LazyMap(map, scope) => match key {
                Key::Str(name) => self.lazy_member(map, name, scope),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    pub(super) fn slice(&mut self, v: &V, bounds: [Option<V>; 3]) -> R<V> {
        if let Some(u) = v.as_unknown().or_else(|| bounds.iter().flatten().find_map(V::as_unknown)) {
            return Ok(V::unknown(u));
        }
        if let V::Undef(u) = v {
            return Err(u.fail.clone());
        }
        let mut numbers = [None; 3];
        for (slot, bound) in numbers.iter_mut().zip(&bounds) {
            *slot = match bound {
                None => None,
                Some(b) => match self.value(b)? {
                    Value::Null => None,
                    Value::Int(i) => Some(i),
                    Value::Bool(b) => Some(i128::from(b)),
                    other => {
                        return Err(Fail::failed(format!(
                            "slice indices must be integers or None, not '{}'",
                            other.type_name()
                        )));
                    }
                },
            };
        }
        if let Some(text) = v.as_text() {
            let chars: Vec<char> = text.chars().collect();
            let picked: String =
                ops::slice_positions(numbers, chars.len())?.into_iter().map(|i| chars[i]).collect();
            return Ok(V::Val(ops::like(v, picked)));
        }
        if !v.is_list() && !matches!(v, V::Tuple(_)) {
            return Err(Fail::failed(format!("'{}' object is not subscriptable", v.type_name())));
        }
        let items = self.items(v)?;
        let picked =
            ops::slice_positions(numbers, items.len())?.into_iter().map(|i| items[i].clone()).collect();
        Ok(if matches!(v, V::Tuple(_)) { V::tuple(picked) } else { V::list(picked) })
    }

    fn obj_attr(&mut self, o: &Obj, name: &Arc<str>) -> R<Option<V>> {
        match o {
            Obj::Namespace(members) => Ok(members.borrow().get(&Key::Str(name.clone())).cloned()),
            Obj::Module(frame) => Ok(frame.vars.borrow().get(name).cloned()),
            Obj::Loop(state) => self.loop_attr(state, name),
            Obj::Cycler(items, next) => Ok((&**name == "current")
                .then(|| items.get(next.get() % items.len().max(1)).cloned().unwrap_or_else(V::null))),
            Obj::Macro(m) => Ok(match &**name {
                "name" => Some(V::str(m.def.name.clone())),
                "arguments" => Some(V::tuple(m.def.params.iter().map(|p| V::str(p.clone())).collect())),
                _ => None,
            }),
            Obj::Blocks => Ok(self.blocks.contains_key(name).then(|| V::obj(Obj::Super(name.clone(), 0)))),
            Obj::Time(..) | Obj::Span(_) => Ok(crate::template::filters::time::attr(o, name)),
            _ => Ok(None),
        }
    }
}

/// What Jinja's messages call the value's type.
fn object_name(v: &V) -> String {
    match v {
        V::Val(Value::Null) => "None".to_string(),
        _ => format!("{} object", v.type_name()),
    }
}

fn missing_attr(v: &V, name: &str) -> V {
    V::undef(name, format!("'{}' has no attribute '{name}'", object_name(v)))
}

fn missing_item(v: &V, key: &Value) -> V {
    match key {
        Value::Str(s) => missing_attr(v, s),
        other => V::undef(other.repr(), format!("{} has no element {}", object_name(v), other.repr())),
    }
}
