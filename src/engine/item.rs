//! One item of a task on one host: its conditions, and what executes it.

use std::path::Path;
use std::sync::Arc;

use super::actions;
use super::ahead::Foretold;
use super::event::{Status, TaskHeader};
use super::files::TaskFiles;
use super::item_input::as_number;
use super::jobs;
use super::journal::StepKey;
use super::login::{Reach, seconds, truth};
use super::prepared::Prepared;
use super::recall::Earlier;
use super::result::{TaskResult, Trouble, explain};
use super::shared::Shared;
use super::stand_in;
use crate::diag::Diagnostic;
use crate::modules::diff_value::{self, Shown};
use crate::modules::{self, Certainty, Wanted};
use crate::plan::{State, Unit};
use crate::playbook::{Action, Task};
use crate::template::{Scope, Templar, Tree, Truth, Var};
use crate::value::{Key, Map, Unknown, Value};
use crate::vars::TaskScope;

/// The host that a task was delegated to, and its address where that differs.
pub type Delegate = (String, Option<String>);

/// Modules that send something from this side; like Ansible's they are not run in the background.
const NOT_IN_BACKGROUND: [&str; 7] = ["assemble", "copy", "fetch", "raw", "script", "template", "unarchive"];

/// One execution.
#[derive(Clone)]
pub struct ItemRun {
    pub shared: Arc<Shared>,
    pub task: Arc<Task>,
    pub header: Arc<TaskHeader>,
    pub scope: TaskScope,
    pub vars: Arc<dyn Scope>,
    /// Renders its texts.
    pub templar: Arc<Templar>,
    /// In a plan: why it is not known whether this runs, as far as that does not come from its own conditions.
    pub doubt: Option<Unknown>,
    /// What the plan that is followed says of it.
    pub unit: Option<Arc<Unit>>,
    /// Names it in the journal.
    pub key: Option<StepKey>,
    /// What an earlier part of the run began of it.
    pub earlier: Option<Arc<Earlier>>,
    /// A block around the task rescues its failure.
    pub rescued: bool,
    /// What was found out and done before its turn in a loop; its conditions held then.
    pub ahead: Option<Arc<Foretold>>,
}

/// What the conditions of a task say.
pub enum Condition {
    Holds,
    Fails(TaskResult),
    /// Not known yet; the result is for a run that leaves such tasks out.
    Unknown(TaskResult, Unknown),
}

impl ItemRun {
    pub fn new(shared: Arc<Shared>, task: Arc<Task>, header: Arc<TaskHeader>, scope: TaskScope) -> Self {
        let vars = scope.boxed();
        let mut item = ItemRun {
            templar: shared.templar.clone(),
            shared,
            task,
            header,
            scope,
            vars,
            doubt: None,
            unit: None,
            key: None,
            earlier: None,
            rescued: false,
            ahead: None,
        };
        if let Ok(Some(to)) = item.delegate() {
            let there = Map::from_iter([
                ("inventory_hostname", Value::str(to.as_str())),
                ("ansible_host", item.address_of(&to)),
            ]);
            let delegated = Map::from_iter([(to.as_str(), Value::map(there))]);
            let locals = Map::from_iter([("ansible_delegated_vars", Value::map(delegated))]);
            item.scope = item.scope.with_locals(locals);
            item.vars = item.scope.boxed();
        }
        if item.vars.get("ansible_host").is_none() {
            // Ansible shows where a task runs under this name when no inventory says so.
            let place = item
                .delegate()
                .ok()
                .flatten()
                .map_or_else(|| Value::str(item.scope.host().clone()), |to| item.address_of(&to));
            item.vars = item.scope.with_locals(Map::from_iter([("ansible_host", place)])).boxed();
        }
        item
    }

    /// The address of the host that the task is delegated to.
    fn address_of(&self, to: &str) -> Value {
        let there = self.scope.on_host(&Arc::from(to)).boxed();
        let tree = match there.get("ansible_host") {
            Some(Var::Tree(tree)) => tree,
            Some(Var::Value(value)) => Tree::value(value),
            Some(Var::Lazy(_)) | None => Tree::value(to),
        };
        self.templar.render(&tree, &there).unwrap_or_else(|_| Value::str(to))
    }

    /// Runs it, whatever the journal says; whether a failure is ignored is decided for the task as a whole.
    pub async fn run_anew(&self) -> TaskResult {
        let planning = self.shared.options.planning;
        let mut doubt = self.doubt.clone();
        let conditions = match self.empty_delegate() {
            Some(trouble) => Err(trouble),
            None if self.ahead.is_some() => Ok(Condition::Holds),
            None => self.conditions(),
        };
        let mut result = match conditions {
            Ok(Condition::Unknown(_, unknown)) if planning => {
                doubt.get_or_insert(unknown);
                self.whole(doubt.as_ref()).await
            }
            Ok(Condition::Holds) => self.whole(doubt.as_ref()).await,
            Ok(Condition::Fails(skipped) | Condition::Unknown(skipped, _)) => skipped,
            Err(trouble) => self.framed(TaskResult::from_trouble(trouble)),
        };
        if planning {
            self.conclude(&mut result, doubt.as_ref());
        }
        if self.shared.guide.is_some() {
            self.compare(&mut result);
        }
        if result.delegated.is_none()
            && result.status != Status::Skipped
            && let Ok((_, delegated)) = self.reach()
        {
            result.delegated = delegated;
        }
        result
    }

    /// A delegate without a name is a mistake whether the task's conditions hold or not, as in Ansible; one that cannot be
    /// told is one only where they hold.
    fn empty_delegate(&self) -> Option<Trouble> {
        self.task.directives.delegate_to.as_ref()?;
        match self.keyword(|d| &d.delegate_to) {
            Ok(Some(Value::Null)) => self.delegate().err(),
            Ok(Some(Value::Str(name))) if name.is_empty() => self.delegate().err(),
            _ => None,
        }
    }

    /// All attempts; what is not known yet is a result of a plan, not a failure.
    async fn whole(&self, doubt: Option<&Unknown>) -> TaskResult {
        match self.attempts(doubt).await {
            Ok(result) => result,
            Err(trouble) => self.troubled(trouble),
        }
    }

    pub(super) fn troubled(&self, trouble: Trouble) -> TaskResult {
        match trouble.unknown() {
            Some(unknown) if self.shared.options.planning => self.not_known_yet(unknown),
            _ => TaskResult::from_trouble(trouble),
        }
    }

    /// Returns the skipped result when a condition does not hold.
    pub fn conditions(&self) -> Result<Condition, Trouble> {
        if let Some(decided) = self.decided() {
            return Ok(decided);
        }
        for condition in &self.task.directives.when {
            let text = &*condition.text;
            match self.templar.test(condition, &self.vars) {
                Ok(Truth::True) => {}
                Ok(Truth::False) => {
                    let mut skipped = TaskResult::skipped("Conditional result was False");
                    // A condition that was written as a boolean is shown as one.
                    match text {
                        "False" => skipped.result.insert("false_condition", false),
                        _ => skipped.result.insert("false_condition", text),
                    };
                    return Ok(Condition::Fails(skipped));
                }
                Ok(Truth::Unknown(unknown)) => {
                    let mut skipped = TaskResult::skipped("Conditional result is not known yet");
                    skipped.result.insert("unknown_condition", text);
                    skipped.result.insert("unknown_cause", &*unknown.cause);
                    return Ok(Condition::Unknown(skipped, unknown));
                }
                Err(e) => {
                    return Err(Trouble::condition(text, &e));
                }
            }
        }
        Ok(Condition::Holds)
    }

    /// `ignore_errors` and `ignore_unreachable`.
    pub fn ignore(&self, mut result: TaskResult) -> TaskResult {
        let ignored = match result.status {
            Status::Failed => self.flag(|d| &d.ignore_errors),
            Status::Unreachable => self.flag(|d| &d.ignore_unreachable),
            _ => return result,
        };
        if ignored.unwrap_or(false) {
            result.status = Status::Ignored;
            forgive(&mut result, "ignored");
        }
        result
    }

    pub(super) async fn execute(&self, attempt: u32, doubt: Option<&Unknown>) -> Result<TaskResult, Trouble> {
        if let Action::Module { .. } = &self.task.action
            && !self.shared.options.planning
            && let Some(limit) = jobs::limit(self)?
        {
            if let Action::Module { name, .. } = &self.task.action
                && NOT_IN_BACKGROUND.contains(&modules::short_name(name).unwrap_or_default())
            {
                return Err(Trouble::msg(format!("This action ({name}) does not support async.")));
            }
            let result = Box::pin(jobs::run(self, limit, attempt)).await?;
            return self.with_notify(result);
        }
        self.execute_now(attempt, doubt).await
    }

    /// Executes the item and waits for its end.
    pub async fn execute_now(&self, attempt: u32, doubt: Option<&Unknown>) -> Result<TaskResult, Trouble> {
        let result = match &self.task.action {
            Action::Module { name, args, free_form, template_args, file: Some(file), .. } => {
                let given = self.given(name, args, free_form.as_ref(), template_args.as_ref())?;
                self.foreign(name, file, given, attempt, doubt).await?
            }
            Action::Module { name, args, free_form, template_args, dynamic, file: None } => {
                let (name, file) = &self.module_name(name, dynamic.as_ref())?;
                if let Some(file) = file {
                    let given = self.given(name, args, free_form.as_ref(), template_args.as_ref())?;
                    let result = self.foreign(name, file, given, attempt, doubt).await?;
                    return self.with_notify(self.with_facts(result)?);
                }
                if let Some(action) = actions::find(name) {
                    let result = Box::pin(action.run(self, name, attempt, doubt)).await?;
                    return self.with_notify(result);
                }
                let given = self.given(name, args, free_form.as_ref(), template_args.as_ref())?;
                match modules::short_name(name) {
                    Some("gather_facts") => self.gather(given, attempt, doubt).await?,
                    Some("fetch") => stand_in::fetch(self, name, given, attempt, doubt).await?,
                    _ => self.module(name, given, attempt, doubt).await?,
                }
            }
            Action::IncludeTasks(include) => actions::include_tasks(self, include)?,
            Action::IncludeRole(include) => actions::include_role(self, include)?,
            Action::Meta(_) => TaskResult::ok(Map::new()),
            Action::Mistake { diagnostic, .. } => return Err(explain(vec![Diagnostic::clone(diagnostic)])),
        };
        self.with_notify(self.with_facts(result)?)
    }

    /// Adds the facts that a result brings.
    fn with_facts(&self, mut result: TaskResult) -> Result<TaskResult, Trouble> {
        if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_map) {
            let owner = match (&result.delegated, self.flag(|d| &d.delegate_facts)?) {
                (Some((to, _)), true) => Some(Arc::from(to.as_str())),
                _ => None,
            };
            result.effects.facts.push((owner, facts.clone()));
        }
        Ok(result)
    }

    /// Returns the name of the module, rendered where it is a template, and its file where the project has one.
    fn module_name(
        &self,
        written: &Arc<str>,
        dynamic: Option<&Tree>,
    ) -> Result<(Arc<str>, Option<Arc<Path>>), Trouble> {
        let Some(tree) = dynamic else { return Ok((written.clone(), None)) };
        let name = self.render(tree)?.to_text();
        let name = self.shared.loader.redirected(&name, &self.vars.search().playbook_dir);
        if let Some(file) = self.module_file(&name) {
            return Ok((name.into(), Some(file)));
        }
        if modules::spec(&name).is_none() {
            return Err(Trouble::msg(format!(
                "couldn't resolve module/action '{name}'. This often indicates a misspelling, missing collection, or incorrect module path."
            )));
        }
        Ok((name.into(), None))
    }

    /// The file of the project that a module's name stands for.
    pub(super) fn module_file(&self, name: &str) -> Option<Arc<Path>> {
        let role = self.task.role.as_deref();
        self.shared.loader.find_module(name, role, &self.vars.search().playbook_dir)
    }

    /// Adds the handlers that a changed result notifies.
    fn with_notify(&self, mut result: TaskResult) -> Result<TaskResult, Trouble> {
        for name in &self.task.notify {
            match self.templar.render(name, &self.vars)? {
                Value::List(names) => result.effects.notify.extend(names.iter().map(Value::to_text)),
                name => result.effects.notify.push(name.to_text()),
            }
        }
        Ok(result)
    }

    /// Runs the modules that gather facts, `setup` unless `ansible_facts_modules` says otherwise.
    async fn gather(
        &self,
        mut given: Map,
        attempt: u32,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        given.remove("parallel");
        let wanted = self.variable("ansible_facts_modules")?.unwrap_or_default();
        let names: Vec<String> = match &wanted {
            Value::List(items) => items.iter().map(Value::to_text).collect(),
            Value::Null => self.shared.options.facts_modules.clone(),
            one => vec![one.to_text()],
        };
        let mut facts = Map::new();
        let mut all: Option<TaskResult> = None;
        for name in names {
            let name = if name == "smart" { "setup" } else { name.as_str() };
            let own = if modules::short_name(name) == Some("setup") { given.clone() } else { Map::new() };
            let result = match self.module_file(name) {
                Some(file) => self.foreign(name, &file, own, attempt, doubt).await?,
                None => self.module(name, own, attempt, doubt).await?,
            };
            if let Some(found) = result.result.get("ansible_facts").and_then(Value::as_map) {
                facts.extend(found.clone());
            }
            all.get_or_insert(result);
        }
        let mut all = all.ok_or_else(|| Trouble::msg("ansible_facts_modules names no module"))?;
        all.result.insert("ansible_facts", Value::map(facts));
        Ok(all)
    }

    /// Runs a module that is a file of the project.
    pub(super) async fn foreign(
        &self,
        name: &str,
        file: &std::path::Path,
        given: Map,
        attempt: u32,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        // A plan speaks of the arguments that the task gives, not of how they reach the file.
        let written = self.shared.options.planning.then(|| given.clone());
        let mut args = Map::from_iter([
            ("file", Value::str(file.display().to_string())),
            ("arguments", Value::map(given)),
        ]);
        if let Some(program) = self.interpreter(file)? {
            args.insert("interpreter", program);
        }
        let mut result = self.execution(name, &modules::Foreign, args, attempt, doubt).await?;
        result.units.iter_mut().for_each(|unit| unit.args.clone_from(&written));
        Ok(result)
    }

    /// Returns what `ansible_NAME_interpreter` says for a file that begins with `#!`.
    fn interpreter(&self, file: &std::path::Path) -> Result<Option<Value>, Trouble> {
        let start = std::fs::read(file).unwrap_or_default();
        let line = start.split(|b| *b == b'\n').next().and_then(|line| line.strip_prefix(b"#!"));
        let Some(line) = line else { return Ok(None) };
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split_whitespace().map(|w| w.rsplit('/').next().unwrap_or(w));
        let program = words.find(|w| *w != "env").unwrap_or_default();
        let plain = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let found = match self.variable(&format!("ansible_{plain}_interpreter"))? {
            None if plain == "python" => self.shared.options.interpreter_python.clone().map(Value::from),
            found => found,
        };
        Ok(found
            .filter(|program| !program.is_null())
            .filter(|program| !program.to_text().starts_with("auto")))
    }

    /// Runs a module on the task's host or its delegate.
    pub async fn module(
        &self,
        name: &str,
        given: Map,
        attempt: u32,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        let Some(module) = modules::find(name) else {
            return Err(Trouble::msg(format!("no module \"{name}\" is known")));
        };
        self.execution(name, module, given, attempt, doubt).await
    }

    async fn execution(
        &self,
        name: &str,
        module: &'static dyn modules::Module,
        mut given: Map,
        attempt: u32,
        doubt: Option<&Unknown>,
    ) -> Result<TaskResult, Trouble> {
        if let Some(foretold) = self.ahead.clone() {
            return self.executed(name, &foretold.prepared, Some(&foretold)).await;
        }
        // The plan keeps what the author wrote: how a command is tried out while planning is no part of it.
        let written = self.shared.options.planning.then(|| given.clone());
        let reads = self.declared_reading(module.spec(), &mut given)?;
        let args = module.spec().check(&given)?;
        if let Some(unknown) = args.find_unknown() {
            let mut result = self.without_arguments(module.spec(), unknown)?;
            result.units.iter_mut().for_each(|unit| unit.args.clone_from(&written));
            return Ok(result);
        }
        let prepared = self.prepare(module, args, attempt)?;
        let options = &self.shared.options;
        if let Some(user) = module.parts_with(&prepared.args).filter(|_| !prepared.check) {
            self.shared.pool.part_with(&prepared.reach.spec, &user).await;
        }
        if !(options.planning || prepared.check && options.previews()) {
            return self.executed(name, &prepared, None).await;
        }
        let certain = if doubt.is_some() { Certainty::Maybe } else { Certainty::Certain };
        let foreseen = Box::pin(prepared.execution(self, None).foresee(&self.header.name, certain)).await;
        let mut foreseen = foreseen.map_err(|trouble| prepared.explained(trouble, name))?;
        if !options.planning {
            let mut result = self.previewed(foreseen);
            self.register_differences(&mut result, &prepared)?;
            self.show_arguments(&mut result, &prepared);
            result.delegated = prepared.delegated;
            return Ok(result);
        }
        foreseen.observed.args = written;
        let mut result = TaskResult::from_outcome(foreseen.outcome);
        if reads == Reading::LikeAnsible {
            result.status = Status::Changed;
            result.result.insert("changed", true);
        }
        if let Some(unknown) = foreseen.maybe {
            result.maybe = Some(unknown);
        }
        result.units.push(foreseen.observed);
        result.delegated = prepared.delegated;
        Ok(result)
    }

    /// The project's files as the task sees them.
    pub(super) fn files(&self) -> TaskFiles {
        TaskFiles::new(self.templar.clone(), self.vars.clone())
    }

    /// Returns how long the task may take.
    fn timeout(&self) -> Result<Option<std::time::Duration>, Trouble> {
        let value = self.keyword(|d| &d.timeout)?.unwrap_or_default();
        Ok(as_number(&value)?.filter(|t| *t > 0.0).map(seconds))
    }

    /// Gets everything ready that an execution needs.
    pub fn prepare(
        &self,
        module: &'static dyn modules::Module,
        args: modules::Args,
        attempt: u32,
    ) -> Result<Prepared, Trouble> {
        let (mut reach, delegated) = self.reach()?;
        let job = self.job_name(attempt, &reach, delegated.is_some());
        let mut args = args;
        if module.logs_in_itself() {
            self.route(&mut reach, delegated.is_some(), &mut args)?;
        }
        let files = self.files().recorded(self.recorded_texts());
        let is_seen = self.task.register.is_some() || self.shared.options.verbosity > 0;
        let files = files.wanting(if is_seen { Wanted::All } else { Wanted::Compared });
        Ok(Prepared {
            module,
            args,
            reach,
            delegated,
            files,
            environment: self.environment()?,
            check: self.check()?,
            // A plan's expectations are about differences, shown or not.
            diff: self.diff()? || self.unit.is_some(),
            timeout: self.timeout()?,
            job,
            attempt,
        })
    }

    /// Executes what is ready; `foretold` is what was looked at and done ahead of the item's turn.
    async fn executed(
        &self,
        name: &str,
        prepared: &Prepared,
        foretold: Option<&Foretold>,
    ) -> Result<TaskResult, Trouble> {
        let outcome = Box::pin(prepared.execution(self, foretold).run())
            .await
            .map_err(|trouble| prepared.explained(trouble, name))?;
        let mut result = TaskResult::from_outcome(outcome);
        self.started_anew(prepared.module, &result.result);
        self.register_differences(&mut result, prepared)?;
        self.show_arguments(&mut result, prepared);
        result.delegated.clone_from(&prepared.delegated);
        Ok(result)
    }

    /// Remembers the hosts that the item has started anew, whether it failed in the end or was done by an earlier part of
    /// the run.
    pub(super) fn remember_started_anew(&self, result: &Map) {
        let Action::Module { name, dynamic: None, file: None, .. } = &self.task.action else { return };
        if let Some(module) = modules::find(name) {
            self.started_anew(module, result);
        }
    }

    fn started_anew(&self, module: &dyn modules::Module, result: &Map) {
        for host in module.started_anew(result) {
            self.shared.pool.started_anew(&host);
        }
    }

    /// Keeps differences as the registered result shows them.
    fn register_differences(&self, result: &mut TaskResult, prepared: &Prepared) -> Result<(), Trouble> {
        let differences = if self.diff()? { Shown::Yes } else { Shown::No };
        let short = prepared.module.spec().name;
        result.diff_value = diff_value::registered(short, &result.diff, &result.result, differences);
        Ok(())
    }

    /// Adds what the module was called with, where people ask for it.
    fn show_arguments(&self, result: &mut TaskResult, prepared: &Prepared) {
        if self.shared.options.verbosity < 3 {
            return;
        }
        let args = match prepared.args.get("arguments") {
            Some(Value::Map(own)) if prepared.args.has("file") => Map::clone(own),
            _ => without_secrets(prepared.args.map()),
        };
        let invocation = Map::from_iter([("module_args", Value::map(args))]);
        result.result.insert("invocation", Value::map(invocation));
    }

    /// Lets a command run while planning that its author says only reads: by `check_mode: false` as in Ansible, or by the
    /// variable `xplay_reads`, which ansible-core ignores.
    fn declared_reading(&self, spec: &modules::ModuleSpec, given: &mut Map) -> Result<Reading, Trouble> {
        if spec.arg("reads").is_none() || given.contains("reads") {
            return Ok(Reading::Undeclared);
        }
        let by_variable = self.variable("xplay_reads")?.is_some_and(|value| truth(&value));
        let unchecked =
            self.shared.options.planning && self.keyword(|d| &d.check_mode)?.is_some_and(|v| !truth(&v));
        if by_variable || unchecked {
            given.insert("reads", true);
        }
        Ok(match (by_variable, unchecked) {
            (false, true) => Reading::LikeAnsible,
            _ => Reading::Undeclared,
        })
    }

    /// What is predicted of a module whose arguments are not known yet: that it runs, and nothing about its result.
    fn without_arguments(
        &self,
        spec: &modules::ModuleSpec,
        unknown: &Unknown,
    ) -> Result<TaskResult, Trouble> {
        if self.shared.options.planning {
            return Ok(self.not_known_yet(unknown));
        }
        if !self.check()? {
            return Err(Trouble::msg(format!("an argument is not known: {}", unknown.cause)));
        }
        let mut result =
            Map::from_iter([("changed", Value::from(true)), ("unknown_cause", (*unknown.cause).into())]);
        for (name, _) in spec.returns {
            result.insert(*name, Value::Unknown(unknown.clone()));
        }
        Ok(TaskResult::new(Status::Changed, result))
    }

    /// A name for the step on a target that does not change when it is asked for again in the same run.
    ///
    /// Where one script goes to many nodes, and no two hosts can be the same node, it has no host in it.
    fn job_name(&self, attempt: u32, reach: &Reach, delegated: bool) -> String {
        use sha2::Digest;
        let mut hash = sha2::Sha256::new();
        hash.update(self.task.id.to_string());
        let spec = &reach.spec;
        if delegated || !spec.kind.is_fan_out() || spec.address != spec.host {
            hash.update(self.scope.host().as_bytes());
        }
        if let Some(key) = &self.key {
            hash.update(format!("{} {:?}", key.turn, key.item));
            let round = self.earlier.as_ref().map_or(0, |earlier| earlier.round);
            hash.update(round.to_le_bytes());
        } else if let Some(crate::template::Var::Value(item)) = self.vars.get("item") {
            hash.update(crate::value::to_json_text(&item));
        }
        let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("{}-{digest}-{attempt}", self.shared.run_id)
    }
}

/// Arguments of modules that are never shown, whatever their task says.
const NEVER_SHOWN: [&str; 8] = [
    "content",
    "key_content",
    "passphrase",
    "password",
    "secret",
    "ssh_key_passphrase",
    "token",
    "url_password",
];

/// Returns arguments as `-vvv` shows them. Attributes that are named as passwords are, are no more shown than passwords.
fn without_secrets(args: &Map) -> Map {
    let shown = |(key, value): (&Key, &Value)| {
        let name = key.json_name();
        let is_text = !matches!(value, Value::Null | Value::Bool(_));
        let hidden = NEVER_SHOWN.contains(&&*name) || name.to_lowercase().contains("passw") && is_text;
        let value = match value {
            value if hidden && !value.is_null() => "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER".into(),
            Value::Map(inner) => Value::map(without_secrets(inner)),
            value => value.clone(),
        };
        (key.clone(), value)
    };
    args.iter().map(shown).collect()
}

/// How a command came to run while planning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Undeclared,
    /// By `check_mode: false`: it counts as changed unless the task says otherwise.
    LikeAnsible,
}

/// A failure that somebody takes back is no error of a plan.
pub fn forgive(result: &mut TaskResult, how: &str) {
    for unit in &mut result.units {
        if matches!(unit.state, State::Error | State::Unreachable) {
            unit.state = State::Read;
            unit.reason = Some(format!("fails ({how}): {}", unit.reason.take().unwrap_or_default()));
        }
    }
}
