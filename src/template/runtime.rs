//! What expressions compute with: plain values, containers that templates may change, lazy variables, undefined
//! names, and callables. Lives only while one template is rendered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Fail;
use super::ir::{ForLoop, MacroDef, Program};
use super::{LazyMap, Scope, Tree, TreeKind};
use crate::value::{Key, Unknown, Value};

pub(super) type Dict = IndexMap<Key, V>;

/// A value inside the interpreter.
#[derive(Clone)]
pub(super) enum V {
    /// Scalars, and containers that came from outside.
    Val(Value),
    List(Rc<RefCell<Vec<V>>>),
    Dict(Rc<RefCell<Dict>>),
    Tuple(Rc<Vec<V>>),
    /// Containers of a project file whose members are rendered when asked for.
    TreeList(Arc<Vec<Tree>>, Arc<dyn Scope>),
    TreeMap(Arc<Vec<(Tree, Tree)>>, Arc<dyn Scope>),
    LazyMap(Arc<dyn LazyMap>, Arc<dyn Scope>),
    Undef(Rc<Undef>),
    Obj(Rc<Obj>),
}

/// Something that does not exist. Attributes of it may be asked for; any other use fails with the message.
#[derive(Clone, Debug)]
pub(super) struct Undef {
    pub fail: Box<Fail>,
    /// The value of an inline `if` without `else`, which prints as nothing.
    pub soft: bool,
}

impl Undef {
    /// Whether it is a member of something that exists, not a variable.
    pub fn is_member(&self) -> bool {
        !self.fail.message.ends_with("is undefined")
    }
}

/// A value that only templates see.
pub(super) enum Obj {
    Macro(Macro),
    /// A global function such as `lookup`.
    Function(&'static str),
    /// A method with its receiver.
    Method(V, Arc<str>),
    Namespace(RefCell<Dict>),
    Loop(LoopState),
    /// An imported template.
    Module(Rc<Frame>),
    Cycler(Vec<V>, Cell<usize>),
    Joiner(V, Cell<bool>),
    Time(jiff::civil::DateTime, Option<jiff::tz::Offset>),
    /// The difference of two times in microseconds.
    Span(i128),
    /// `self`, the blocks of this template.
    Blocks,
    /// `super` inside the block of this name, at this level of inheritance.
    Super(Arc<str>, usize),
}

pub(super) struct Macro {
    pub def: Arc<MacroDef>,
    pub home: Rc<Frame>,
    pub program: Arc<Program>,
}

/// Local variables of one template, loop body, macro call or block.
#[derive(Default)]
pub(super) struct Frame {
    pub vars: RefCell<IndexMap<Arc<str>, V>>,
    pub parent: Option<Rc<Frame>>,
}

/// The state behind the variable `loop`.
pub(super) struct LoopState {
    pub items: Rc<Vec<V>>,
    pub index: Cell<usize>,
    pub depth: usize,
    pub last_changed: RefCell<Option<Vec<Value>>>,
    /// What `loop(...)` runs again, in recursive loops.
    pub again: Option<(Arc<ForLoop>, Rc<Frame>)>,
}

impl Frame {
    pub fn child(parent: &Rc<Frame>) -> Rc<Frame> {
        Rc::new(Frame { vars: RefCell::default(), parent: Some(parent.clone()) })
    }

    pub fn get(&self, name: &str) -> Option<V> {
        let mut frame = self;
        loop {
            if let Some(v) = frame.vars.borrow().get(name) {
                return Some(v.clone());
            }
            frame = frame.parent.as_deref()?;
        }
    }

    pub fn set(&self, name: Arc<str>, value: V) {
        self.vars.borrow_mut().insert(name, value);
    }
}

impl V {
    pub fn null() -> Self {
        V::Val(Value::Null)
    }

    pub fn str(text: impl Into<Arc<str>>) -> Self {
        V::Val(Value::str(text))
    }

    pub fn bool(b: bool) -> Self {
        V::Val(Value::Bool(b))
    }

    pub fn int(i: usize) -> Self {
        V::Val(Value::from(i))
    }

    pub fn unknown(unknown: &Unknown) -> Self {
        V::Val(Value::Unknown(unknown.clone()))
    }

    pub fn list(items: Vec<V>) -> Self {
        V::List(Rc::new(RefCell::new(items)))
    }

    pub fn dict(items: Dict) -> Self {
        V::Dict(Rc::new(RefCell::new(items)))
    }

    pub fn tuple(items: Vec<V>) -> Self {
        V::Tuple(Rc::new(items))
    }

    pub fn obj(obj: Obj) -> Self {
        V::Obj(Rc::new(obj))
    }

    pub fn undef(name: impl Into<String>, message: impl Into<String>) -> Self {
        V::Undef(Rc::new(Undef { fail: Fail::undefined(name, message), soft: false }))
    }

    pub fn from_fail(fail: Box<Fail>) -> Self {
        V::Undef(Rc::new(Undef { fail, soft: false }))
    }

    pub fn as_unknown(&self) -> Option<&Unknown> {
        match self {
            V::Val(Value::Unknown(u)) => Some(u),
            _ => None,
        }
    }

    /// Returns the text of a string, secret or not.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            V::Val(v) => text_of(v),
            _ => None,
        }
    }

    pub fn is_undef(&self) -> bool {
        matches!(self, V::Undef(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, V::Val(Value::Null))
    }

    pub fn is_list(&self) -> bool {
        matches!(self, V::List(_) | V::TreeList(..) | V::Val(Value::List(_)))
    }

    pub fn is_dict(&self) -> bool {
        matches!(self, V::Dict(_) | V::TreeMap(..) | V::LazyMap(..) | V::Val(Value::Map(_)))
    }

    /// Returns Python's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            V::Val(v) => v.type_name(),
            V::List(_) | V::TreeList(..) => "list",
            V::Dict(_) | V::TreeMap(..) | V::LazyMap(..) => "dict",
            V::Tuple(_) => "tuple",
            V::Undef(_) => "AnsibleUndefined",
            V::Obj(o) => match &**o {
                Obj::Macro(_) => "Macro",
                Obj::Function(_) => "function",
                Obj::Method(..) => "method",
                Obj::Namespace(_) => "Namespace",
                Obj::Loop(_) => "LoopContext",
                Obj::Module(_) => "TemplateModule",
                Obj::Cycler(..) => "Cycler",
                Obj::Joiner(..) => "Joiner",
                Obj::Time(..) => "datetime",
                Obj::Span(_) => "timedelta",
                Obj::Blocks => "TemplateReference",
                Obj::Super(..) => "BlockReference",
            },
        }
    }
}

impl From<Value> for V {
    fn from(value: Value) -> Self {
        V::Val(value)
    }
}

/// Returns the text of a string value, secret or not.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::Str(s) => Some(s),
        Value::Secret(s) => Some(s.expose()),
        _ => None,
    }
}

/// Whether a secret is inside, at any depth.
pub(super) fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Secret(_) => true,
        Value::List(l) => l.iter().any(holds_secret),
        Value::Map(m) => m.values().any(holds_secret),
        _ => false,
    }
}

/// Returns the value with every text in it secret: what was computed from a secret is one.
pub(super) fn make_secret(value: Value) -> Value {
    match value {
        Value::Str(s) => Value::Secret(crate::value::Secret::new(s)),
        Value::List(l) => Value::list(l.iter().cloned().map(make_secret).collect()),
        Value::Map(m) => Value::map(m.iter().map(|(k, v)| (k.clone(), make_secret(v.clone()))).collect()),
        other => other,
    }
}

/// Returns the value with secrets as plain texts, for computing with them.
pub(super) fn expose(value: Value) -> Value {
    match value {
        Value::Secret(s) => Value::str(s.expose()),
        Value::List(l) if l.iter().any(holds_secret) => Value::list(l.iter().cloned().map(expose).collect()),
        Value::Map(m) if m.values().any(holds_secret) => {
            Value::map(m.iter().map(|(k, v)| (k.clone(), expose(v.clone()))).collect())
        }
        other => other,
    }
}

/// Returns the key of a map member in a project file: Ansible renders values, not keys.
pub(super) fn tree_key(tree: &Tree) -> Option<Key> {
    match &tree.kind {
        TreeKind::Value(v) => Key::from_value(v),
        TreeKind::Template(t) => Some(Key::Str(t.text.clone())),
        TreeKind::Vault(_) | TreeKind::List(_) | TreeKind::Map(_) => None,
    }
}
