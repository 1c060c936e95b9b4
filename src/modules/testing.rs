//! For tests of modules: calls without an engine.

use std::path::{Path, PathBuf};

use super::{Action, Call, Failure, LocalFiles, Module, Outcome, Prediction, Run, Seen, Target, World};
use crate::transport::{Content, Output};
use crate::value::{Map, Value};

/// Local files as texts.
#[derive(Default)]
pub struct Texts(pub Vec<(&'static str, Vec<u8>)>);

impl LocalFiles for Texts {
    fn find(&self, _: &str, name: &str) -> Result<PathBuf, String> {
        Ok(PathBuf::from(name))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, content)| content.clone()).ok_or_else(|| "no such file".to_string())
    }

    fn render(&self, path: &Path, _: &Value) -> Result<String, String> {
        self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Returns arguments from texts.
pub fn args(given: &[(&str, &str)]) -> Map {
    given.iter().map(|(name, value)| (*name, *value)).collect()
}

/// One module with its arguments.
pub struct Case {
    module: &'static dyn Module,
    given: Map,
    pub files: Texts,
    pub check: bool,
    /// What earlier steps of a plan leave.
    pub world: World,
}

impl Case {
    pub fn new(module: &'static dyn Module, given: Map) -> Self {
        Case { module, given, files: Texts::default(), check: false, world: World::default() }
    }

    fn with<T>(&self, run: impl FnOnce(&Call) -> Result<T, Failure>) -> Result<T, Failure> {
        let target = Target {
            host: "h".into(),
            user: "root".into(),
            uid: 0,
            home: "/root".into(),
            ..Target::default()
        };
        let call = Call {
            args: self.module.spec().check(&self.given)?,
            target: &target,
            local: &self.files,
            check: self.check,
            diff: true,
            environment: &[],
            world: &self.world,
        };
        run(&call)
    }

    pub fn probe(&self) -> Result<Option<String>, Failure> {
        self.with(|call| self.module.probe(call))
    }

    /// Plans with what a probe printed.
    pub fn plan(&self, stdout: impl Into<Vec<u8>>) -> Result<Prediction, Failure> {
        let seen = Seen { stdout: stdout.into(), ..Seen::default() };
        self.with(|call| {
            self.module.probe(call)?;
            self.module.plan(call, &seen)
        })
    }

    /// Plans with all that a probe left.
    pub fn plan_seen(&self, seen: &Seen) -> Result<Prediction, Failure> {
        self.with(|call| self.module.plan(call, seen))
    }

    /// Plans and judges the outputs of the actions.
    pub fn finish(&self, stdout: &str, ran: &[Output]) -> Result<Outcome, Failure> {
        let seen = Seen { stdout: stdout.into(), ..Seen::default() };
        self.with(|call| self.module.finish(call, self.module.plan(call, &seen)?, ran))
    }

    /// Asks what is to be done before planning.
    pub fn prepare(&self, stdout: impl Into<Vec<u8>>) -> Result<Option<Run>, Failure> {
        let seen = Seen { stdout: stdout.into(), ..Seen::default() };
        self.with(|call| self.module.prepare(call, &seen))
    }

    /// Asks for the simulation in check mode.
    pub fn simulate(&self, stdout: impl Into<Vec<u8>>) -> Result<Option<String>, Failure> {
        let seen = Seen { stdout: stdout.into(), ..Seen::default() };
        self.with(|call| self.module.simulate(call, &seen))
    }

    /// Plans with what the probe and a second look printed.
    pub fn plan_more(&self, stdout: &str, rc: i32, more: &str) -> Result<Prediction, Failure> {
        let more = Seen { rc, stdout: more.into(), ..Seen::default() };
        let seen = Seen { stdout: stdout.into(), more: Some(Box::new(more)), ..Seen::default() };
        self.with(|call| self.module.plan(call, &seen))
    }

    /// Plans for a file that does not exist.
    pub fn plan_absent(&self) -> Result<Prediction, Failure> {
        self.plan("umask 0022\nlstat absent\n")
    }

    /// Plans an edit of a file with this content; returns the content after it and `msg`.
    pub fn edit(&self, before: &str) -> (String, String) {
        let prediction = self
            .plan(format!(
                "umask 0022\nlstat 81a4 0 0 {} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}",
                before.len()
            ))
            .unwrap();
        let msg = prediction.result.get("msg").map(Value::to_text).unwrap_or_default();
        match &prediction.change {
            None => (before.to_string(), msg),
            Some(_) => (stdin(&prediction).expect("a content"), msg),
        }
    }
}

/// Returns the scripts of a prediction.
pub fn scripts(prediction: &Prediction) -> Vec<&str> {
    prediction
        .change
        .iter()
        .flat_map(|change| &change.actions)
        .map(|action| match action {
            Action::Run(run) => run.script.as_str(),
            Action::SaveLocal { .. } => "save",
        })
        .collect()
}

/// Returns the content that a prediction sends, when it has one action that sends any.
pub fn stdin(prediction: &Prediction) -> Option<String> {
    match &prediction.change.as_ref()?.actions[..] {
        [Action::Run(run)] => match run.stdin.as_ref()? {
            Content::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            Content::File { .. } => None,
        },
        _ => panic!("one action expected"),
    }
}
