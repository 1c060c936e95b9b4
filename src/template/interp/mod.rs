//! The interpreter: one value per rendering, with the variables that the rendering sees.

mod access;
mod call;
mod expr;
mod flow;
mod sink;
mod stmt;
mod texts;
mod vars;

pub(super) use call::same;
pub(super) use expr::truth_value;
pub(super) use flow::NOT_FOUND;
pub(super) use sink::Sink;
pub(super) use texts::read_text;

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::error::{Fail, R, RenderErrorKind};
use super::ir::{Formula, Program, Stmt};
use super::runtime::{Frame, V};
use super::source::Source;
use super::{Scope, Templar, Truth};

/// Variables that may be in the making at once; more is taken for endless recursion.
const MAX_CHAIN: usize = 150;
/// Nested evaluations; more is taken for endless recursion of macros or absurd nesting.
const MAX_DEPTH: usize = 3000;

/// A block's statements and the template that they stand in.
type BlockBody = (Arc<Program>, Arc<Vec<Stmt>>);

pub(super) struct Interp<'t> {
    pub templar: &'t Templar,
    /// Where names are looked up after local variables.
    pub scope: Arc<dyn Scope>,
    frame: Rc<Frame>,
    source: Arc<Source>,
    program: Option<Arc<Program>>,
    /// Containers are made changeable when read.
    mutates: bool,
    /// Variables already made, by scope and name. The scopes are kept, so their addresses stay theirs.
    made: HashMap<(usize, Arc<str>), V>,
    kept: Vec<Arc<dyn Scope>>,
    /// Templates in the making: template, scope, and the length of `path` when they began.
    active: Vec<(usize, usize, usize)>,
    /// Names of the variables in the making, outermost first.
    path: Vec<Arc<str>>,
    /// Frames that macros refer to; emptied at the end because they refer to their macros.
    macro_frames: Vec<Rc<Frame>>,
    /// Bodies of each block, most derived first.
    blocks: HashMap<Arc<str>, Vec<BlockBody>>,
    /// Folders of the template files in the making, innermost last.
    pub dirs: Vec<PathBuf>,
    depth: usize,
    loop_depth: usize,
}

impl Drop for Interp<'_> {
    fn drop(&mut self) {
        for frame in &self.macro_frames {
            frame.vars.borrow_mut().clear();
        }
    }
}

/// What is set aside while another template is rendered.
struct Saved {
    scope: Arc<dyn Scope>,
    frame: Rc<Frame>,
    source: Arc<Source>,
    program: Option<Arc<Program>>,
    mutates: bool,
}

impl<'t> Interp<'t> {
    pub fn new(templar: &'t Templar, scope: &Arc<dyn Scope>) -> Self {
        Interp {
            templar,
            scope: scope.clone(),
            frame: Rc::default(),
            source: Arc::default(),
            program: None,
            mutates: false,
            made: HashMap::new(),
            kept: Vec::new(),
            active: Vec::new(),
            path: Vec::new(),
            macro_frames: Vec::new(),
            blocks: HashMap::new(),
            dirs: Vec::new(),
            depth: 0,
            loop_depth: 0,
        }
    }

    fn enter(&mut self, scope: Arc<dyn Scope>, source: Arc<Source>, mutates: bool) -> Saved {
        Saved {
            scope: std::mem::replace(&mut self.scope, scope),
            frame: std::mem::take(&mut self.frame),
            source: std::mem::replace(&mut self.source, source),
            program: self.program.take(),
            mutates: std::mem::replace(&mut self.mutates, mutates),
        }
    }

    fn leave(&mut self, saved: Saved) {
        self.scope = saved.scope;
        self.frame = saved.frame;
        self.source = saved.source;
        self.program = saved.program;
        self.mutates = saved.mutates;
    }

    /// Renders a text template: a single expression keeps its type.
    pub fn run_text(&mut self, program: &Arc<Program>, scope: Arc<dyn Scope>) -> R<V> {
        let saved = self.enter(scope, program.source.clone(), program.mutates);
        let blocks = std::mem::take(&mut self.blocks);
        let mut sink = Sink::default();
        let result = self.run_program(program, &mut sink);
        self.blocks = blocks;
        self.leave(saved);
        result?;
        let made = sink.finish(&program.source.text)?;
        Ok(texts::read(self.templar.settings().texts, program, made))
    }

    /// Renders a template file to text.
    pub fn run_file(&mut self, program: &Arc<Program>) -> R<crate::value::Value> {
        let saved = self.enter(self.scope.clone(), program.source.clone(), program.mutates);
        let mut sink = Sink::default();
        let result = self.run_program(program, &mut sink);
        self.leave(saved);
        result?;
        sink.text(self)
    }

    /// Renders another template file in the middle of this rendering.
    pub fn render_nested_file(
        &mut self,
        path: &std::path::Path,
        options: &super::TemplateFileOptions,
    ) -> R<crate::value::Value> {
        let templar = self.templar;
        let scope = templar.file_scope(path, &self.scope, options);
        let (program, _) = templar.load_program(path, &options.syntax)?;
        let outer = std::mem::replace(&mut self.scope, scope);
        let blocks = std::mem::take(&mut self.blocks);
        self.dirs.push(path.parent().unwrap_or(std::path::Path::new(".")).to_path_buf());
        let result = self.nested(|i| i.run_file(&program));
        self.dirs.pop();
        self.blocks = blocks;
        self.scope = outer;
        result.map(|value| super::file::with_end(value, &program.source.text))
    }

    pub fn run_formula(&mut self, formula: &Formula) -> R<V> {
        let saved = self.enter(self.scope.clone(), formula.source.clone(), formula.mutates);
        let result = self.eval(&formula.root);
        self.leave(saved);
        match result {
            Err(f) => match f.kind {
                RenderErrorKind::Unknown(u) => Ok(V::unknown(&u)),
                _ => Err(f),
            },
            ok => ok,
        }
    }

    pub fn test_formula(&mut self, formula: &Formula) -> R<Truth> {
        let saved = self.enter(self.scope.clone(), formula.source.clone(), formula.mutates);
        let result = self.eval_truth(&formula.root);
        self.leave(saved);
        match result {
            Err(f) => match f.kind {
                RenderErrorKind::Unknown(u) => Ok(Truth::Unknown(u)),
                _ => Err(f),
            },
            ok => ok,
        }
    }

    /// Runs `deeper` one level deeper, on a larger stack where needed.
    fn nested<T>(&mut self, deeper: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Fail::new(
                RenderErrorKind::Recursion,
                "recursive loop detected in template: evaluation is nested too deeply",
            ));
        }
        self.depth += 1;
        let result = stacker::maybe_grow(128 * 1024, 2 * 1024 * 1024, || deeper(self));
        self.depth -= 1;
        result
    }
}
