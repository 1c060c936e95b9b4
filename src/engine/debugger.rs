//! The task debugger (`debugger:`, `enable_task_debugger`, `strategy: debug`): after a result that asks for it the user
//! looks at the task, changes its arguments or variables, and has it done again.
//!
//! What is typed here comes from the user and may hold templates, like a file of the project.

use std::sync::Arc;

use indexmap::IndexMap;

use super::event::{Event, Status, TaskHeader};
use super::play::{Host, Place, PlayRun, Stop};
use super::result::TaskResult;
use super::worker::Job;
use crate::playbook::{Action, Task};
use crate::template::{Scope, SearchPath, StaticScope, Templar, Tree, TreeKind, Var};
use crate::value::{Map, Value};
use crate::vars::TaskScope;

/// What a command asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Continue,
    Quit,
    Redo,
    /// The task as it is written again, with variables that were set here.
    Update,
    Help,
    Print(&'a str),
    Set(Slot, &'a str, &'a str),
    Delete(Slot, &'a str),
    Unknown,
}

/// What can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Args,
    Vars,
}

const HELP: &str = "\
p EXPRESSION         print it: task, task.args, task_vars, host, result._result
task.args[KEY] = VALUE, task_vars[KEY] = VALUE, del task.args[KEY]
update_task (u)      the task as it is written, with the variables that were set
redo (r)             do the task again
continue (c)         go on
quit (q)             end the run";

/// One session: a task on a host after one of its results.
struct Session<'a> {
    templar: &'a Templar,
    header: &'a TaskHeader,
    scope: TaskScope,
    task: Arc<Task>,
    /// As it is written.
    original: Arc<Task>,
    /// Variables that were set here.
    vars: Map,
}

impl PlayRun<'_> {
    /// Lets the user look into results that ask for it. Returns the results with those that were made anew.
    pub async fn debugged(
        &mut self,
        task: &Arc<Task>,
        header: &Arc<TaskHeader>,
        results: Vec<(Host, TaskResult)>,
        place: Place,
    ) -> Vec<(Host, TaskResult)> {
        let shared = self.shared.clone();
        if shared.options.planning || shared.guide.is_some() {
            return results;
        }
        let mut settled = Vec::with_capacity(results.len());
        for (host, mut result) in results {
            let mut current = task.clone();
            let mut vars = Map::new();
            while self.stop.is_none() && self.needs_debugger(task, &host, &result) {
                // Hosts that go by themselves take turns.
                let turn = shared.debugging.lock().await;
                let scope = self.scope(task, &host);
                let mut session = Session {
                    templar: &shared.templar,
                    header,
                    scope,
                    task: current.clone(),
                    original: task.clone(),
                    vars: vars.clone(),
                };
                let again = session.talk(self, &host, &result).await;
                drop(turn);
                (current, vars) = (session.task, session.vars);
                if !again {
                    break;
                }
                let job = Job {
                    upcoming: Vec::new(),
                    shared: shared.clone(),
                    task: current.clone(),
                    header: header.clone(),
                    scope: self.scope(&current, &host).with_locals(vars.clone()),
                    doubt: None,
                    rescued: place.rescued,
                };
                result = Box::pin(job.run()).await;
                self.report(&current, header, &host, &mut result, place).await;
            }
            settled.push((host, result));
        }
        settled
    }

    fn needs_debugger(&mut self, task: &Arc<Task>, host: &Host, result: &TaskResult) -> bool {
        if result.replayed || result.halted {
            return false;
        }
        let options = &self.shared.options;
        let failed = match result.status {
            Status::Failed | Status::Lost => true,
            Status::Ignored => !options.debugger_spares_ignored,
            _ => false,
        };
        let unreachable = result.status == Status::Unreachable;
        let scope = self.scope(task, host).boxed();
        let said = self.keyword(&task.directives, |d| &d.debugger, &scope).map(|v| v.to_text());
        match said.as_deref() {
            Some("always") => true,
            Some("never") => false,
            Some("on_failed") if failed => true,
            Some("on_unreachable") if unreachable => true,
            Some("on_skipped") if result.status == Status::Skipped => true,
            _ => self.debugs && (failed || unreachable),
        }
    }
}

impl Session<'_> {
    /// Reads commands until one ends the session; true when the task is to be done again.
    async fn talk(&mut self, run: &mut PlayRun<'_>, host: &Host, result: &TaskResult) -> bool {
        let shared = run.shared.clone();
        let prompt = format!("[{host}] TASK: {} (debug)> ", self.header.name);
        let mut last = String::new();
        loop {
            let line = match shared.prompt(prompt.clone()).await {
                Ok(line) => line.trim().to_string(),
                Err(_) => "quit".into(),
            };
            // As in Ansible an empty line is the last command again.
            let line = if line.is_empty() { last.clone() } else { line };
            let said = match Command::parse(&line) {
                _ if line.is_empty() => None,
                Command::Continue => return false,
                Command::Redo => return true,
                Command::Quit => {
                    shared.emit(Event::Notice("User interrupted execution".into())).await;
                    run.stop.get_or_insert(Stop::Asked);
                    return false;
                }
                Command::Update => {
                    self.task = self.original.clone();
                    None
                }
                Command::Help => Some(HELP.to_string()),
                Command::Print(text) => Some(self.print(text, host, result).unwrap_or_else(|e| e)),
                Command::Set(slot, key, value) => self.set(slot, key, Some(value), host, result).err(),
                Command::Delete(slot, key) => self.set(slot, key, None, host, result).err(),
                Command::Unknown => Some(format!("***no command: {line}; `help` lists them")),
            };
            if let Some(text) = said {
                shared.emit(Event::Notice(text)).await;
            }
            last = line;
        }
    }

    fn print(&self, text: &str, host: &Host, result: &TaskResult) -> Result<String, String> {
        match text {
            "" => Err("***print what? for example `p task.args`".into()),
            "task" => Ok(format!("TASK: {}", self.header.name)),
            "host" => Ok(host.to_string()),
            text => Ok(self.eval(&format!("({text}) | pprint"), host, result)?.to_text()),
        }
    }

    /// Returns the value of an expression in which the names of the session are known.
    fn eval(&self, text: &str, host: &Host, result: &TaskResult) -> Result<Value, String> {
        let failed = |message: &str| format!("***{message}");
        let expr = self.templar.compile_expr(text, None).map_err(|d| failed(&d.message))?;
        let mut names = IndexMap::new();
        let mut add = |name: &str, value: Value| names.insert(Arc::from(name), Tree::value(value));
        let seen = self.scope.with_locals(self.vars.clone()).boxed();
        let shown = |tree: &Tree| self.templar.render(tree, &seen).unwrap_or_else(|_| tree.written());
        let args: Map =
            self.args().iter().map(|(name, value)| (name.written().to_text(), shown(value))).collect();
        add(
            "task",
            Value::map(Map::from_iter([
                ("name", Value::str(self.header.bare_name.as_str())),
                ("action", Value::str(self.task.action_name())),
                ("args", Value::map(args)),
            ])),
        );
        if text.contains("task_vars") {
            add("task_vars", self.task_vars());
        }
        add("host", Value::str(host.clone()));
        add("result", Value::map(Map::from_iter([("_result", result.registered())])));
        let scope: Arc<dyn Scope> =
            Arc::new(StaticScope { layers: vec![Arc::new(names)], search: SearchPath::default() });
        self.templar.eval(&expr, &scope).map_err(|e| failed(e.message()))
    }

    /// The variables as they are written, those that were set here first.
    fn task_vars(&self) -> Value {
        let scope = self.scope.with_locals(self.vars.clone());
        let mut all: Vec<(Arc<str>, Value)> = Vec::new();
        for name in scope.names() {
            match Scope::get(&scope, &name) {
                Some(Var::Value(value)) => all.push((name, value)),
                Some(Var::Tree(tree)) => all.push((name, tree.written())),
                Some(Var::Lazy(_)) | None => {}
            }
        }
        Value::map(all.into_iter().collect())
    }

    /// The task's arguments, its free text among them.
    fn args(&self) -> Vec<(Tree, Tree)> {
        let Action::Module { args, free_form, .. } = &self.task.action else { return Vec::new() };
        let mut all: Vec<(Tree, Tree)> = match &args.kind {
            TreeKind::Map(members) => members.to_vec(),
            TreeKind::Value(Value::Map(map)) => {
                map.iter().map(|(k, v)| (Tree::value(k.to_value()), Tree::value(v.clone()))).collect()
            }
            _ => Vec::new(),
        };
        all.extend(free_form.clone().map(|text| (Tree::value(FREE_FORM), text)));
        all
    }

    fn set(
        &mut self,
        slot: Slot,
        key: &str,
        value: Option<&str>,
        host: &Host,
        result: &TaskResult,
    ) -> Result<(), String> {
        let key = self.eval(key, host, result)?.to_text();
        let value = value.map(|text| self.eval(text, host, result)).transpose()?;
        let tree = value
            .map(|value| self.templar.compile_value(&value, None))
            .transpose()
            .map_err(|d| format!("***{}", d.message))?;
        match slot {
            Slot::Args => self.set_arg(&key, tree),
            Slot::Vars => {
                self.vars.remove(&key);
                if let Some(tree) = tree {
                    let scope = self.scope.with_locals(self.vars.clone()).boxed();
                    let value = self.templar.render(&tree, &scope);
                    self.vars.insert(key, value.map_err(|e| format!("***{}", e.message()))?);
                }
                Ok(())
            }
        }
    }

    fn set_arg(&mut self, key: &str, tree: Option<Tree>) -> Result<(), String> {
        let mut all = self.args();
        let known = all.iter().position(|(name, _)| name.as_text() == Some(key));
        match (known.and_then(|i| all.get_mut(i)), tree) {
            (Some((_, value)), Some(tree)) => *value = tree,
            (None, Some(tree)) => all.push((Tree::value(key), tree)),
            (_, None) => all.retain(|(name, _)| name.as_text() != Some(key)),
        }
        let mut task = Task::clone(&self.task);
        let Action::Module { args, free_form, .. } = &mut task.action else {
            return Err("***this task has no arguments".into());
        };
        let (text, named): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(name, _)| name.as_text() == Some(FREE_FORM));
        *free_form = text.into_iter().next().map(|(_, text)| text);
        *args = Tree { kind: TreeKind::Map(Arc::new(named)), span: args.span };
        self.task = Arc::new(task);
        Ok(())
    }
}

/// The name under which the free text of a module is an argument.
const FREE_FORM: &str = "_raw_params";

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Self {
        let word_end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
        let (word, rest) = line.split_at(word_end);
        match word {
            "p" | "pprint" => return Command::Print(rest.trim()),
            "h" | "help" => return Command::Help,
            "c" | "continue" if rest.is_empty() => return Command::Continue,
            "q" | "quit" | "EOF" if rest.is_empty() => return Command::Quit,
            "r" | "redo" if rest.is_empty() => return Command::Redo,
            "u" | "update_task" if rest.is_empty() => return Command::Update,
            "del" => {
                let inner = rest.trim().trim_start_matches('(').trim_end_matches(')');
                return match place(inner.trim()) {
                    Some((slot, key, "")) => Command::Delete(slot, key),
                    _ => Command::Unknown,
                };
            }
            _ => {}
        }
        if line.starts_with('?') {
            return Command::Help;
        }
        match place(line) {
            Some((slot, key, rest)) => match rest.strip_prefix('=') {
                Some(value) if !value.starts_with('=') => Command::Set(slot, key, value.trim()),
                _ => Command::Unknown,
            },
            None => Command::Unknown,
        }
    }
}

/// Reads `task.args[KEY]` or `task_vars[KEY]`; returns what stands behind it too.
fn place(text: &str) -> Option<(Slot, &str, &str)> {
    let (slot, rest) = match text.strip_prefix("task.args") {
        Some(rest) => (Slot::Args, rest),
        None => (Slot::Vars, text.strip_prefix("task_vars")?),
    };
    let inner = rest.trim_start().strip_prefix('[')?;
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ']') => return Some((slot, inner[..at].trim(), inner[at + 1..].trim_start())),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_apart() {
        let check = |line: &str, expect: Command<'_>| assert_eq!(Command::parse(line), expect, "{line}");
        check("c", Command::Continue);
        check("quit", Command::Quit);
        check("r", Command::Redo);
        check("u", Command::Update);
        check("p task.args['a b']", Command::Print("task.args['a b']"));
        check("pprint", Command::Print(""));
        check("task.args['that'] = 'true'", Command::Set(Slot::Args, "'that'", "'true'"));
        check("task_vars [\"a]b\"]='x=y'", Command::Set(Slot::Vars, "\"a]b\"", "'x=y'"));
        check("task.args['x'] == 1", Command::Unknown);
        check("del(task_vars['x'])", Command::Delete(Slot::Vars, "'x'"));
        check("task.name = 'x'", Command::Unknown);
        check("?", Command::Help);
        check("continue now", Command::Unknown);
    }
}
