//! Names to values: local variables, lazy variables of the scope, globals.

use std::rc::Rc;
use std::sync::Arc;

use super::{Interp, MAX_CHAIN};
use crate::template::error::{Fail, R, RenderErrorKind};
use crate::template::ir::{Kind, Node, Program};
use crate::template::runtime::{Dict, Obj, V, tree_key};
use crate::template::{LazyMap, Scope, Template, Tree, TreeKind, Var, functions};
use crate::value::{Key, Secret, Value};

/// The variable `vars`: every variable of a scope by name.
struct ScopeMap(Arc<dyn Scope>);

impl LazyMap for ScopeMap {
    fn get(&self, key: &str) -> Option<Var> {
        self.0.get(key)
    }
    fn keys(&self) -> Vec<Arc<str>> {
        self.0.names()
    }
}

fn address(scope: &Arc<dyn Scope>) -> usize {
    Arc::as_ptr(scope).cast::<()>() as usize
}

impl Interp<'_> {
    /// Returns what a name stands for; an undefined value where there is nothing.
    pub(super) fn resolve(&mut self, name: &Arc<str>) -> R<V> {
        if let Some(v) = self.frame.get(name) {
            return Ok(v);
        }
        self.global(name)
    }

    /// Like [`Interp::resolve`] without local variables.
    pub(in crate::template) fn global(&mut self, name: &Arc<str>) -> R<V> {
        let id = (address(&self.scope), name.clone());
        if let Some(v) = self.made.get(&id).cloned() {
            if self.mutates {
                let v = self.own(v)?;
                self.made.insert(id, v.clone());
                return Ok(v);
            }
            return Ok(v);
        }
        if let Some(var) = self.scope.get(name) {
            self.path.push(name.clone());
            let made = self.var(var, self.scope.clone(), name);
            self.path.pop();
            let mut v = made?;
            if self.mutates {
                v = self.own(v)?;
            }
            self.kept.push(self.scope.clone());
            self.made.insert(id, v.clone());
            return Ok(v);
        }
        Ok(match &**name {
            "omit" => V::Val(Value::Omit),
            "vars" => V::LazyMap(Arc::new(ScopeMap(self.scope.clone())), self.scope.clone()),
            "self" => V::obj(Obj::Blocks),
            _ => match functions::find(name) {
                Some(function) => V::obj(Obj::Function(function)),
                None => V::undef(&**name, format!("'{name}' is undefined")),
            },
        })
    }

    /// Returns the encrypted text of a variable that is a vault, which its own filter opens with a password of its own.
    pub(super) fn locked(&self, node: &Node) -> Option<V> {
        let Kind::Var(name) = &node.kind else { return None };
        if self.frame.get(name).is_some() {
            return None;
        }
        match self.scope.get(name)? {
            Var::Tree(tree) => match &tree.kind {
                TreeKind::Vault(text) => Some(V::str(&**text)),
                _ => None,
            },
            Var::Value(_) | Var::Lazy(_) => None,
        }
    }

    /// Makes a variable's value. One whose own template is undefined is undefined itself.
    pub(in crate::template) fn var(&mut self, var: Var, scope: Arc<dyn Scope>, name: &str) -> R<V> {
        match var {
            Var::Value(v) => Ok(V::Val(v)),
            Var::Lazy(map) => {
                let scope = map.scope().unwrap_or(scope);
                Ok(V::LazyMap(map, scope))
            }
            Var::Tree(tree) => self.tree_or_undef(&tree, scope, &format!("in variable '{name}'")),
        }
    }

    fn tree_or_undef(&mut self, tree: &Tree, scope: Arc<dyn Scope>, what: &str) -> R<V> {
        match self.tree(tree, scope) {
            Ok(v) => Ok(v),
            Err(fail) => {
                let fail = fail.through(what, tree.span);
                match fail.kind {
                    RenderErrorKind::Undefined { .. } => Ok(V::from_fail(fail)),
                    _ => Err(fail),
                }
            }
        }
    }

    /// Returns a project value without rendering more of it than its outermost level.
    pub(in crate::template) fn tree(&mut self, tree: &Tree, scope: Arc<dyn Scope>) -> R<V> {
        match &tree.kind {
            TreeKind::Value(v) => Ok(V::Val(v.clone())),
            TreeKind::List(items) => Ok(V::TreeList(items.clone(), scope)),
            TreeKind::Map(items) => Ok(V::TreeMap(items.clone(), scope)),
            TreeKind::Template(template) => self.template(template, scope),
            TreeKind::Vault(text) => self.templar.decrypt(text).map(V::Val),
        }
    }

    fn template(&mut self, template: &Arc<Template>, scope: Arc<dyn Scope>) -> R<V> {
        let program: &Arc<Program> = &template.program;
        let id = (Arc::as_ptr(program) as usize, address(&scope));
        if let Some(begun) = self.active.iter().find(|a| (a.0, a.1) == id) {
            let names: Vec<&str> = self.path[begun.2.saturating_sub(1)..].iter().map(|n| &**n).collect();
            let message = format!("recursive loop detected in template: {}", names.join(" -> "));
            return Err(Fail::new(RenderErrorKind::Recursion, message));
        }
        if self.active.len() >= MAX_CHAIN {
            let names: Vec<&str> = self.path.iter().rev().take(4).rev().map(|n| &**n).collect();
            let message = format!(
                "recursive loop detected in template: variables nest too deeply: ... {}",
                names.join(" -> ")
            );
            return Err(Fail::new(RenderErrorKind::Recursion, message));
        }
        self.active.push((id.0, id.1, self.path.len()));
        let result = self.nested(|i| i.run_text(program, scope));
        self.active.pop();
        if self.templar.keeps_undefined() {
            let undefined = match &result {
                Ok(V::Undef(_)) => true,
                Ok(_) => false,
                Err(fail) => matches!(fail.kind, RenderErrorKind::Undefined { .. }),
            };
            if undefined {
                return Ok(V::str(template.text.clone()));
            }
        }
        match result {
            Err(fail) => match fail.kind {
                RenderErrorKind::Unknown(u) => Ok(V::unknown(&u)),
                _ => Err(fail),
            },
            ok => ok,
        }
    }

    /// Renders a project value completely.
    pub(in crate::template) fn tree_value(&mut self, tree: &Tree, scope: Arc<dyn Scope>) -> R<Value> {
        let v = self.tree(tree, scope)?;
        self.value(&v)
    }

    /// Returns a member of a lazy map.
    pub(super) fn lazy_member(
        &mut self,
        map: &Arc<dyn LazyMap>,
        key: &str,
        scope: &Arc<dyn Scope>,
    ) -> R<Option<V>> {
        let Some(var) = map.get(key) else { return Ok(None) };
        self.path.push(key.into());
        let made = self.var(var, scope.clone(), key);
        self.path.pop();
        made.map(Some)
    }

    pub(super) fn list_item(&mut self, items: &[Tree], index: usize, scope: &Arc<dyn Scope>) -> R<Option<V>> {
        let Some(tree) = items.get(index) else { return Ok(None) };
        self.tree_or_undef(tree, scope.clone(), &format!("in item {index}")).map(Some)
    }

    pub(super) fn map_member(
        &mut self,
        items: &[(Tree, Tree)],
        key: &Key,
        scope: &Arc<dyn Scope>,
    ) -> R<Option<V>> {
        let found = items.iter().find(|(k, _)| match (&k.kind, key) {
            (TreeKind::Value(Value::Str(a)), Key::Str(b)) => **a == **b,
            _ => tree_key(k).as_ref() == Some(key),
        });
        let Some((_, tree)) = found else { return Ok(None) };
        self.tree_or_undef(tree, scope.clone(), &format!("in member '{}'", key.json_name())).map(Some)
    }

    /// Renders completely to plain data; anything undefined inside is an error.
    pub(in crate::template) fn value(&mut self, v: &V) -> R<Value> {
        match v {
            V::Val(v) => Ok(v.clone()),
            V::Undef(u) => Err(u.fail.clone()),
            _ => self.nested(|i| i.deep_value(v)),
        }
    }

    fn deep_value(&mut self, v: &V) -> R<Value> {
        match v {
            V::Val(v) => Ok(v.clone()),
            V::Undef(u) => Err(u.fail.clone()),
            V::List(items) => {
                let items = items.borrow().clone();
                Ok(Value::list(items.iter().map(|x| self.value(x)).collect::<R<_>>()?))
            }
            V::Tuple(items) => Ok(Value::list(items.iter().map(|x| self.value(x)).collect::<R<_>>()?)),
            V::Dict(items) => {
                let items = items.borrow().clone();
                let members = items.into_iter().map(|(k, x)| Ok((k, self.value(&x)?)));
                Ok(Value::map(members.collect::<R<_>>()?))
            }
            V::TreeList(items, scope) => {
                let mut out = Vec::with_capacity(items.len());
                for i in 0..items.len() {
                    if let Some(x) = self.list_item(items, i, scope)? {
                        out.push(self.value(&x)?);
                    }
                }
                Ok(Value::list(out))
            }
            V::TreeMap(..) | V::LazyMap(..) => {
                let members = self.members(v)?.into_iter().map(|(k, x)| Ok((k, self.value(&x)?)));
                Ok(Value::map(members.collect::<R<_>>()?))
            }
            V::Obj(o) => match &**o {
                Obj::Time(..) | Obj::Span(_) => Ok(Value::str(super::super::filters::time::text(o))),
                Obj::Module(_) => Ok(Value::str("")),
                Obj::Namespace(members) => {
                    let members = members.borrow().clone();
                    Ok(Value::map(
                        members.into_iter().map(|(k, x)| Ok((k, self.value(&x)?))).collect::<R<_>>()?,
                    ))
                }
                _ => {
                    Err(Fail::failed(format!("type '{}' is unsupported for variable storage", v.type_name())))
                }
            },
        }
    }

    /// Returns the members of a dict in order.
    pub(in crate::template) fn members(&mut self, v: &V) -> R<Vec<(Key, V)>> {
        match v {
            V::Val(Value::Map(m)) => Ok(m.iter().map(|(k, x)| (k.clone(), V::Val(x.clone()))).collect()),
            V::Dict(m) => Ok(m.borrow().iter().map(|(k, x)| (k.clone(), x.clone())).collect()),
            V::TreeMap(items, scope) => {
                let mut out = Dict::with_capacity(items.len());
                for (k, tree) in items.iter() {
                    let Some(key) = tree_key(k) else { continue };
                    let what = format!("in member '{}'", key.json_name());
                    let x = self.tree_or_undef(tree, scope.clone(), &what)?;
                    out.insert(key, x);
                }
                Ok(out.into_iter().collect())
            }
            V::LazyMap(map, scope) => {
                let mut out = Vec::new();
                for key in map.keys() {
                    if let Some(x) = self.lazy_member(map, &key, scope)? {
                        out.push((Key::Str(key), x));
                    }
                }
                Ok(out)
            }
            V::Undef(u) => Err(u.fail.clone()),
            V::Val(Value::Unknown(u)) => Err(Fail::unknown(u.clone())),
            other => Err(Fail::failed(format!("expected a dict, got '{}'", other.type_name()))),
        }
    }

    /// Returns the keys of a dict without making its members.
    pub(in crate::template) fn keys(&mut self, v: &V) -> R<Vec<Key>> {
        Ok(match v {
            V::Val(Value::Map(m)) => m.keys().cloned().collect(),
            V::Dict(m) => m.borrow().keys().cloned().collect(),
            V::TreeMap(items, _) => items.iter().filter_map(|(k, _)| tree_key(k)).collect(),
            V::LazyMap(map, _) => map.keys().into_iter().map(Key::Str).collect(),
            _ => self.members(v)?.into_iter().map(|(k, _)| k).collect(),
        })
    }

    /// Makes containers changeable, at every depth.
    pub(in crate::template) fn own(&mut self, v: V) -> R<V> {
        match v {
            V::Val(Value::List(items)) => self
                .nested(|i| Ok(V::list(items.iter().map(|x| i.own(V::Val(x.clone()))).collect::<R<_>>()?))),
            V::TreeList(..) => self.nested(|i| {
                let items = i.items(&v)?;
                Ok(V::list(items.into_iter().map(|x| i.own(x)).collect::<R<_>>()?))
            }),
            V::Val(Value::Map(_)) | V::TreeMap(..) => self.nested(|i| {
                let members = i.members(&v)?;
                Ok(V::dict(members.into_iter().map(|(k, x)| Ok((k, i.own(x)?))).collect::<R<_>>()?))
            }),
            other => Ok(other),
        }
    }

    /// Returns the items that a loop over the value sees.
    pub(in crate::template) fn items(&mut self, v: &V) -> R<Vec<V>> {
        match v {
            V::Val(Value::List(items)) => Ok(items.iter().map(|x| V::Val(x.clone())).collect()),
            V::Val(Value::Str(s)) => Ok(s.chars().map(|c| V::str(c.to_string())).collect()),
            // Parts of a secret are secrets.
            V::Val(Value::Secret(s)) => {
                let part = |c: char| V::Val(Value::Secret(Secret::new(c.to_string())));
                Ok(s.expose().chars().map(part).collect())
            }
            V::Val(Value::Unknown(u)) => Err(Fail::unknown(u.clone())),
            V::List(items) => Ok(items.borrow().clone()),
            V::Tuple(items) => Ok(items.to_vec()),
            V::TreeList(items, scope) => {
                let mut out = Vec::with_capacity(items.len());
                for i in 0..items.len() {
                    out.extend(self.list_item(items, i, scope)?);
                }
                Ok(out)
            }
            V::Undef(u) if u.soft => Ok(Vec::new()),
            V::Undef(u) => Err(u.fail.clone()),
            _ if v.is_dict() => Ok(self.keys(v)?.into_iter().map(|k| V::Val(k.to_value())).collect()),
            V::Obj(o) => match &**o {
                Obj::Loop(state) => {
                    let rest = state.items.iter().skip(state.index.get() + 1).cloned();
                    Ok(rest.collect())
                }
                _ => Err(not_iterable(v)),
            },
            _ => Err(not_iterable(v)),
        }
    }

    /// Frames that macros keep alive are emptied when the interpreter ends.
    pub(super) fn keep_frame(&mut self) {
        let frame = self.frame.clone();
        if !self.macro_frames.iter().any(|f| Rc::ptr_eq(f, &frame)) {
            self.macro_frames.push(frame);
        }
    }
}

fn not_iterable(v: &V) -> Box<Fail> {
    Fail::failed(format!("'{}' object is not iterable", v.type_name()))
}
