//! Compiled templates: expressions and statements with names resolved and places kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::filters::Filter;
use super::source::{At, Source};
use super::tests::Test;
use crate::value::Value;

/// A compiled text.
#[derive(Debug)]
pub(super) struct Program {
    pub source: Arc<Source>,
    pub body: Vec<Stmt>,
    /// `{% block %}` bodies by name.
    pub blocks: HashMap<Arc<str>, Arc<Vec<Stmt>>>,
    /// Calls a method that changes a list or dict in place, so containers are made changeable when they are read.
    pub mutates: bool,
    /// `{% extends %}` stands in it.
    pub extends: bool,
}

/// A compiled bare expression.
#[derive(Debug)]
pub(super) struct Formula {
    pub source: Arc<Source>,
    pub root: Node,
    pub mutates: bool,
}

#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub at: At,
}

#[derive(Debug)]
pub(super) enum Kind {
    Const(Value),
    Var(Arc<str>),
    Attr(Box<Node>, Arc<str>),
    Item(Box<Node>, Box<Node>),
    Slice(Box<Node>, Box<[Option<Node>; 3]>),
    Not(Box<Node>),
    Neg(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Math(MathOp, Box<Node>, Box<Node>),
    Compare(Box<Node>, Vec<(CompareOp, Node)>),
    /// Condition, value, other value.
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
    Filter(Box<FilterCall>),
    Test(Box<TestCall>),
    Call(Box<Node>, Vec<Arg>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Vec<(Node, Node)>),
}

#[derive(Debug)]
pub(super) struct FilterCall {
    pub name: Arc<str>,
    pub filter: &'static Filter,
    /// Nothing inside `{% filter %}` and `{% set x | f %}`, where the body is the input.
    pub input: Option<Node>,
    pub args: Vec<Arg>,
}

#[derive(Debug)]
pub(super) struct TestCall {
    pub name: Arc<str>,
    pub test: &'static Test,
    pub input: Node,
    pub args: Vec<Arg>,
}

#[derive(Debug)]
pub(super) enum Arg {
    Pos(Node),
    Named(Arc<str>, Node),
    Spread(Node),
    SpreadNamed(Node),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MathOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// What `set`, `for` and `with` assign to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    /// `ns.attribute`.
    Member(Node, Arc<str>),
    Many(Vec<Target>),
}

#[derive(Debug)]
pub(super) enum Stmt {
    Text(Arc<str>),
    Emit(Node),
    For(Arc<ForLoop>),
    If(Node, Vec<Stmt>, Vec<Stmt>),
    With(Vec<(Target, Node)>, Vec<Stmt>),
    Set(Target, Node),
    SetBlock(Target, Option<Node>, Vec<Stmt>),
    FilterBlock(Node, Vec<Stmt>),
    /// A body without own meaning here, such as `autoescape`.
    Group(Vec<Stmt>),
    Block(Arc<str>, At),
    Extends(Node),
    Include(Node, bool),
    Import(Node, Target),
    FromImport(Node, Vec<(Arc<str>, Arc<str>)>),
    Macro(Arc<MacroDef>),
    CallBlock(Node, Arc<MacroDef>),
    Do(Node),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct ForLoop {
    pub target: Target,
    pub iter: Node,
    pub filter: Option<Node>,
    pub recursive: bool,
    pub body: Vec<Stmt>,
    pub otherwise: Vec<Stmt>,
}

#[derive(Debug)]
pub(super) struct MacroDef {
    pub name: Arc<str>,
    pub params: Vec<Arc<str>>,
    /// Defaults of the last parameters.
    pub defaults: Vec<Node>,
    pub body: Vec<Stmt>,
    /// The body names `varargs` or `kwargs`, so more arguments than parameters are taken.
    pub takes_varargs: bool,
    pub takes_kwargs: bool,
}
