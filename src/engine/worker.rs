//! One task on one host: the loop, and what comes of its items.

use std::sync::Arc;
use std::time::Instant;

use super::ahead::Ahead;
use super::event::{Event, HostResult, Status, TaskHeader};
use super::item::{Condition, ItemRun};
use super::journal::StepKey;
use super::result::{Effects, TaskResult, Trouble};
use super::shared::Shared;
use crate::modules::Failure;
use crate::plan::{Recorded, State, Unit};
use crate::playbook::{Loop, LoopControl, LoopKind, Task};
use crate::template::{FIRST_FOUND_FOLDER, Tree, Truth};
use crate::value::{JsonStyle, Map, Unknown, Value, to_python_json};
use crate::vars::TaskScope;

/// Everything needed to run a task on a host.
pub struct Job {
    pub shared: Arc<Shared>,
    pub task: Arc<Task>,
    pub header: Arc<TaskHeader>,
    pub scope: TaskScope,
    /// In a plan: why it is not known whether the host gets here at all.
    pub doubt: Option<Unknown>,
    /// A block around the task rescues its failure.
    pub rescued: bool,
    /// The tasks from this one on that a plan looks at together.
    pub upcoming: Vec<(Arc<Task>, TaskScope)>,
}

/// An item of a loop with the variables that it brings.
#[derive(Clone)]
struct Item {
    locals: Map,
    label: String,
    /// The label's template, where it asks for the item's result.
    late_label: Option<Tree>,
}

impl Job {
    /// Runs the task and returns its result; never fails as such.
    pub async fn run(self) -> TaskResult {
        let started = Instant::now();
        if self.shared.halt.is_asked() {
            return TaskResult::halted();
        }
        if !self.upcoming.is_empty() {
            Box::pin(self.glance()).await;
        }
        let units = match self.turn() {
            Ok(units) => units,
            Err(result) => return *result,
        };
        let key = self.key();
        let mut result = match &self.task.loop_ {
            None => {
                let mut item = self.item(&self.scope);
                item.key.clone_from(&key);
                item.unit = units.and_then(|units| units.into_iter().next());
                item.ignore(item.run().await)
            }
            Some(l) => match units.as_deref() {
                Some([unit]) if unit.locals.is_none() && unit.state == State::Skip => self.planned_skip(unit),
                Some(units) if units.iter().all(|u| u.locals.is_some()) => {
                    self.run_loop(l, Some(units), key).await
                }
                _ => self.run_loop(l, None, key).await,
            },
        };
        if self.shared.options.planning && result.units.is_empty() {
            self.item(&self.scope).conclude(&mut result, None);
        }
        if !result.replayed {
            result.elapsed = started.elapsed();
        }
        result
    }

    /// Names this execution of the task in the journal.
    fn key(&self) -> Option<StepKey> {
        let journal = self.shared.journal.as_ref()?;
        let (task, host) = (self.header.id.as_str().into(), self.scope.host().clone());
        let turn = journal.turn(&task, &host);
        Some(StepKey { task, host, turn, item: None })
    }

    fn item(&self, scope: &TaskScope) -> ItemRun {
        let mut item =
            ItemRun::new(self.shared.clone(), self.task.clone(), self.header.clone(), scope.clone());
        item.doubt.clone_from(&self.doubt);
        item.rescued = self.rescued;
        item
    }

    /// Takes what the plan that is followed says of the task; nothing where it left that open.
    fn turn(&self) -> Result<Option<Vec<Arc<Unit>>>, Box<TaskResult>> {
        let Some(guide) = &self.shared.guide else { return Ok(None) };
        match guide.next(&self.header.id, self.scope.host()) {
            Some(units) => Ok(Some(units)),
            None if self.doubt.is_some() => Ok(None),
            None => {
                let msg = "this step is not part of the plan for this host; nothing was changed";
                let mut result = TaskResult::from_trouble(Trouble::msg(msg));
                self.item(&self.scope).compare(&mut result);
                Err(Box::new(result))
            }
        }
    }

    fn planned_skip(&self, unit: &Arc<Unit>) -> TaskResult {
        let mut result = no_items();
        if let Some(reason) = unit.reason.as_ref().filter(|r| *r != NO_ITEMS) {
            result = TaskResult::skipped("the plan says so");
            result.result.insert("false_condition", reason.as_str());
        }
        let mut item = self.item(&self.scope);
        item.unit = Some(unit.clone());
        item.compare(&mut result);
        result
    }

    async fn run_loop(&self, l: &Loop, units: Option<&[Arc<Unit>]>, key: Option<StepKey>) -> TaskResult {
        let found = match units {
            Some(units) => self.planned_items(l, units),
            None => self.items(l),
        };
        let (items, control) = match found {
            Ok(found) => found,
            Err(trouble) if self.shared.options.planning && trouble.unknown().is_some() => {
                return self.unknown_loop(l, trouble).await;
            }
            Err(trouble) if self.shared.options.previews() && trouble.unknown().is_some() => {
                let mut skipped = TaskResult::skipped("The items of the loop are not known yet");
                skipped.result.insert("unknown_cause", trouble.unknown().map(|u| u.cause.to_string()));
                return skipped;
            }
            Err(trouble) => {
                // A condition that is false without looking at an item spares the loop's mistake, as in Ansible.
                return match self.item(&self.scope).conditions() {
                    Ok(Condition::Fails(skipped) | Condition::Unknown(skipped, _)) => skipped,
                    _ => self.item(&self.scope).ignore(TaskResult::from_trouble(trouble)),
                };
            }
        };
        if items.is_empty() {
            return no_items();
        }
        let mut results: Vec<TaskResult> = Vec::with_capacity(items.len());
        let count = items.len();
        let mut last = self.scope.clone();
        let mut ahead = units.is_none().then(|| Ahead::of(&self.task, &self.shared)).flatten();
        let scopes: Vec<TaskScope> = match &ahead {
            Some(_) => items.iter().map(|item| self.scope.with_locals(item.locals.clone())).collect(),
            None => Vec::new(),
        };
        let key_of =
            |n: usize| key.as_ref().map(|key| StepKey { item: u32::try_from(n).ok(), ..key.clone() });
        for (index, item) in items.into_iter().enumerate() {
            if self.shared.halt.is_asked() && ahead.as_ref().is_none_or(Ahead::is_idle) {
                return TaskResult::halted();
            }
            let scope = self.scope.with_locals(item.locals.clone());
            let started = Instant::now();
            let mut run = self.item(&scope);
            run.unit = units.and_then(|units| units.get(index).cloned());
            run.key = key_of(index);
            if let Some(ahead) = &mut ahead {
                let item = |n: usize| scopes.get(n).map(|s| ItemRun { key: key_of(n), ..self.item(s) });
                run.ahead = Box::pin(ahead.turn(index, item)).await;
            }
            let mut result = run.run().await;
            if result.halted {
                return result;
            }
            result.elapsed = started.elapsed();
            let mut item = item;
            if let Some(tree) = &item.late_label {
                match self.late_label(tree, &scope, &result) {
                    Ok(label) => item.label = label,
                    Err(failed) => result = run.ignore(*failed),
                }
            }
            if self.task.changed_when.is_empty() && added_before(&results, &result) {
                result.status = Status::Ok;
                result.result.insert("changed", false);
            }
            for include in &mut result.effects.includes {
                include.label = Some(item.label.clone());
            }
            result.result.extend(
                item.locals
                    .iter()
                    .filter(|(k, _)| k.as_str() != Some("ansible_loop"))
                    .map(|(k, v)| (k.clone(), v.clone())),
            );
            for unit in &mut result.units {
                unit.item = Some(item.label.clone());
                unit.locals = Some(item.locals.clone());
            }
            result.result.insert("ansible_loop_var", control.variable.as_str());
            let replayed = result.replayed;
            if !replayed {
                self.report_item(&result, &item.label).await;
            }
            // The next item sees what this one set, as in Ansible.
            super::dispatch::keep(&self.shared, self.scope.host(), &result.effects);
            let stop = result.status == Status::Unreachable || self.breaks(&control, &scope, &result);
            results.push(result);
            last = scope;
            if stop {
                break;
            }
            if let Some(pause) = control.pause
                && index + 1 < count
                && !replayed
            {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.shared.halt.asked() => {}
                }
            }
        }
        let result = self.item(&last).ignore(combine(results));
        if let (Some(journal), Some(key)) = (&self.shared.journal, &key)
            && !result.replayed
            && (!result.is_failure() || (self.rescued && result.status == Status::Failed))
        {
            journal.done(key, &self.header);
        }
        result
    }

    /// Renders a label that could not be rendered before the item ran.
    fn late_label(
        &self,
        tree: &Tree,
        scope: &TaskScope,
        result: &TaskResult,
    ) -> Result<String, Box<TaskResult>> {
        let mut locals = Map::new();
        if let Some(name) = &self.task.register {
            locals.insert(&**name, result.registered());
        }
        let scope = scope.with_locals(locals).boxed();
        self.shared.templar.render(tree, &scope).map(|label| label.to_text()).map_err(|error| {
            let msg = format!("Failed to template loop_control.label: {}", error.message());
            Box::new(TaskResult::from_trouble(Trouble::msg(msg)))
        })
    }

    /// A plan shows a loop over something unknown as one item of which nothing is known.
    async fn unknown_loop(&self, l: &Loop, trouble: Trouble) -> TaskResult {
        let Some(unknown) = trouble.unknown().cloned() else { return TaskResult::from_trouble(trouble) };
        let scope = self.scope.boxed();
        let render = |tree: &Tree| self.shared.templar.render(tree, &scope).map_err(Trouble::from);
        let variable =
            Control::read(&l.control, render).map_or_else(|_| "item".to_string(), |control| control.variable);
        let item = Value::Unknown(unknown.clone());
        let scope = self.scope.with_locals(Map::from_iter([(variable.as_str(), item)]));
        let mut run = self.item(&scope);
        run.doubt.get_or_insert(unknown.clone());
        let mut result = run.run().await;
        for unit in &mut result.units {
            unit.item = Some("each item, known when the plan is applied".into());
        }
        result.looped = true;
        result.maybe = Some(unknown);
        run.ignore(result)
    }

    fn breaks(&self, control: &Control, scope: &TaskScope, result: &TaskResult) -> bool {
        if control.break_when.is_empty() {
            return false;
        }
        let mut locals = Map::new();
        if let Some(name) = &self.task.register {
            locals.insert(&**name, result.registered());
        }
        let scope = scope.with_locals(locals).boxed();
        control.break_when.iter().all(|e| matches!(self.shared.templar.test(e, &scope), Ok(Truth::True)))
    }

    /// Includes in loops are reported by the dispatcher, with the file.
    async fn report_item(&self, r: &TaskResult, label: &str) {
        let include = !r.effects.includes.is_empty();
        if include && !r.is_failure() {
            return;
        }
        let event = host_result(&self.shared, &self.header, self.scope.host(), r, Some(label.to_string()));
        self.shared.emit(Event::Item(event)).await;
    }

    /// The items that the plan resolved. One that holds a secret, or was not known in full, is resolved again.
    fn planned_items(&self, l: &Loop, units: &[Arc<Unit>]) -> Result<(Vec<Item>, Control), Trouble> {
        let Some(guide) = &self.shared.guide else { return self.items(l) };
        let mut again: Option<Vec<Item>> = None;
        let mut items = Vec::with_capacity(units.len());
        for (index, unit) in units.iter().enumerate() {
            if let Some(Recorded::Value(locals)) = guide.locals(unit) {
                items.push(Item { locals, label: unit.item.clone().unwrap_or_default(), late_label: None });
                continue;
            }
            if again.is_none() {
                again = Some(self.items(l)?.0);
            }
            let found = again.as_ref().and_then(|all| all.get(index)).cloned();
            items.push(found.ok_or_else(|| Trouble::msg("the loop has fewer items than the plan"))?);
        }
        let scope = self.scope.boxed();
        let control = Control::read(&l.control, |tree| {
            self.shared.templar.render(tree, &scope).map_err(Trouble::from)
        })?;
        Ok((items, control))
    }

    fn items(&self, l: &Loop) -> Result<(Vec<Item>, Control), Trouble> {
        let scope = self.scope.boxed();
        let templar = &self.shared.templar;
        let control = Control::read(&l.control, |tree| templar.render(tree, &scope).map_err(Trouble::from))?;
        let rendered = match &l.kind {
            LoopKind::With(lookup) if is_first_found(lookup) => {
                templar.render_defined(&l.expr, &scope)?.unwrap_or_default()
            }
            _ => templar.render(&l.expr, &scope)?,
        };
        if let Some(unknown) = rendered.find_unknown().filter(|_| rendered.is_unknown()) {
            return Err(Failure {
                msg: format!("the loop depends on something that is not known yet: {}", unknown.cause),
                ..Failure::unknown(unknown.clone())
            }
            .into());
        }
        let values: Vec<Value> = match &l.kind {
            LoopKind::Loop => match &rendered {
                Value::List(items) => items.to_vec(),
                other => {
                    return Err(Trouble::msg(format!(
                        "Invalid data passed to 'loop', it requires a list, got this instead: {}. Hint: If you passed a list/dict of just one element, try adding wantlist=True to your lookup invocation or use q/query instead of lookup.",
                        other.to_text()
                    )));
                }
            },
            LoopKind::With(lookup) => {
                let terms = match &rendered {
                    Value::List(items) => items.to_vec(),
                    other => vec![other.clone()],
                };
                if let Some(unknown) = terms.iter().find_map(|term| match term {
                    Value::Unknown(unknown) => Some(unknown),
                    _ => None,
                }) {
                    return Err(Failure::unknown(unknown.clone()).into());
                }
                let mut options = Map::new();
                if is_first_found(lookup) {
                    options.insert(FIRST_FOUND_FOLDER, folder_of(&self.header.module));
                }
                templar.run_lookup(lookup, &terms, &options, &scope)?
            }
        };
        let items = control.items(&values, |tree, locals| {
            let scope = self.scope.with_locals(locals.clone()).boxed();
            templar.render(tree, &scope).map(|v| v.to_text()).map_err(Trouble::from)
        })?;
        Ok((items, control))
    }
}

fn is_first_found(lookup: &str) -> bool {
    lookup.rsplit('.').next() == Some("first_found")
}

/// The folder of a role in which `with_first_found` looks, by the name of the task's action, as in Ansible.
fn folder_of(action: &str) -> &'static str {
    if action.contains("template") {
        "templates"
    } else if action.contains("var") {
        "vars"
    } else {
        "files"
    }
}

const NO_ITEMS: &str = "No items in the list";

fn no_items() -> TaskResult {
    let mut result = TaskResult::skipped(NO_ITEMS);
    result.result = Map::from_iter([
        ("changed", Value::from(false)),
        ("results", Value::list(Vec::new())),
        ("skipped", true.into()),
        ("skipped_reason", NO_ITEMS.into()),
    ]);
    result
}

/// `loop_control` with its templates rendered.
struct Control {
    variable: String,
    index_variable: Option<String>,
    label: Option<Tree>,
    pause: Option<std::time::Duration>,
    extended: bool,
    all_items: bool,
    break_when: Vec<crate::template::Expr>,
}

impl Control {
    fn read(
        control: &LoopControl,
        render: impl Fn(&Tree) -> Result<Value, Trouble>,
    ) -> Result<Self, Trouble> {
        let get = |tree: &Option<Tree>| tree.as_ref().map(&render).transpose();
        let pause = get(&control.pause)?.and_then(|v| v.number().or_else(|| v.to_text().parse().ok()));
        Ok(Control {
            variable: get(&control.loop_var)?.map_or_else(|| "item".into(), |v| v.to_text()),
            index_variable: get(&control.index_var)?.map(|v| v.to_text()),
            label: control.label.clone(),
            pause: pause.filter(|p| *p > 0.0).map(super::login::seconds),
            extended: get(&control.extended)?.is_some_and(|v| super::login::truth(&v)),
            all_items: get(&control.extended_allitems)?.is_none_or(|v| super::login::truth(&v)),
            break_when: control.break_when.clone(),
        })
    }

    fn items(
        &self,
        values: &[Value],
        label: impl Fn(&Tree, &Map) -> Result<String, Trouble>,
    ) -> Result<Vec<Item>, Trouble> {
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let mut locals = Map::new();
            locals.insert(self.variable.as_str(), value.clone());
            if let Some(name) = &self.index_variable {
                locals.insert(name.as_str(), index);
                locals.insert("ansible_index_var", name.as_str());
            }
            locals.insert("ansible_loop_var", self.variable.as_str());
            if self.extended {
                locals.insert("ansible_loop", self.extended(values, index));
            }
            let (label, late_label) = match &self.label {
                Some(tree) => match label(tree, &locals) {
                    Ok(text) => (text, None),
                    Err(_) => (item_text(value), Some(tree.clone())),
                },
                None => (item_text(value), None),
            };
            items.push(Item { locals, label, late_label });
        }
        Ok(items)
    }

    fn extended(&self, values: &[Value], index: usize) -> Map {
        let mut extended = Map::from_iter([
            ("index", Value::from(index + 1)),
            ("index0", index.into()),
            ("first", (index == 0).into()),
            ("last", (index + 1 == values.len()).into()),
            ("length", values.len().into()),
            ("revindex", (values.len() - index).into()),
            ("revindex0", (values.len() - index - 1).into()),
        ]);
        if self.all_items {
            extended.insert("allitems", values.to_vec());
        }
        if let Some(next) = values.get(index + 1) {
            extended.insert("nextitem", next.clone());
        }
        if index > 0 {
            extended.insert("previtem", values[index - 1].clone());
        }
        extended
    }
}

/// Whether an item adds a host that an earlier item added just so: the inventory itself changes after the loop.
fn added_before(earlier: &[TaskResult], result: &TaskResult) -> bool {
    let known = |host| earlier.iter().any(|r| r.effects.add_hosts.contains(host));
    !result.effects.add_hosts.is_empty() && result.effects.add_hosts.iter().all(known)
}

/// An item as `(item=...)` shows it.
fn item_text(value: &Value) -> String {
    match value {
        Value::Str(s) => s.to_string(),
        Value::List(_) | Value::Map(_) => value.repr(),
        Value::Secret(_) => to_python_json(value, JsonStyle::default()),
        other => other.to_text(),
    }
}

/// Makes the task's result of its items' results.
fn combine(items: Vec<TaskResult>) -> TaskResult {
    let any = |f: &dyn Fn(&TaskResult) -> bool| items.iter().any(f);
    let all_skipped = items.iter().all(|r| r.status == Status::Skipped);
    let changed = any(&|r| r.result.get("changed").is_some_and(|c| *c == Value::Bool(true)));
    let (status, msg) = if any(&|r| r.status == Status::Lost) {
        (Status::Lost, "a result was lost")
    } else if any(&|r| r.status == Status::Unreachable) {
        (Status::Unreachable, "host became unreachable in the loop")
    } else if any(&|r| r.status == Status::Failed) {
        (Status::Failed, "One or more items failed")
    } else if all_skipped {
        (Status::Skipped, "All items skipped")
    } else if changed {
        (Status::Changed, "All items completed")
    } else {
        (Status::Ok, "All items completed")
    };
    let mut result = Map::from_iter([
        ("changed", Value::from(changed)),
        ("msg", msg.into()),
        ("results", Value::list(items.iter().map(TaskResult::registered).collect())),
    ]);
    if all_skipped {
        result.insert("skipped", true);
    }
    let replayed = items.iter().all(|r| r.replayed);
    let mut combined = TaskResult { looped: true, replayed, ..TaskResult::new(status, result) };
    let changed_unknown = items.iter().find_map(|r| match r.result.get("changed") {
        Some(Value::Unknown(unknown)) => Some(unknown.clone()),
        _ => None,
    });
    if let Some(unknown) = changed_unknown.filter(|_| !changed) {
        combined.result.insert("changed", Value::Unknown(unknown));
    }
    for item in items {
        combined.units.extend(item.units);
        combined.followed.extend(item.followed);
        combined.warnings.extend(item.warnings);
        combined.hidden |= item.hidden;
        combined.delegated = combined.delegated.or(item.delegated);
        combined.effects.add(item.effects);
    }
    // Shown with the items already.
    combined.warnings.clear();
    combined
}

impl Effects {
    fn add(&mut self, other: Effects) {
        self.facts.extend(other.facts);
        self.set.extend(other.set);
        self.include_vars.extend(other.include_vars);
        for name in other.notify {
            if !self.notify.contains(&name) {
                self.notify.push(name);
            }
        }
        self.add_hosts.extend(other.add_hosts);
        self.groups.extend(other.groups);
        self.stats.extend(other.stats);
        self.includes.extend(other.includes);
    }
}

/// Makes the event of a result; `no_log` hides all but whether it changed.
pub fn host_result(
    shared: &Shared,
    header: &Arc<TaskHeader>,
    host: &Arc<str>,
    r: &TaskResult,
    item: Option<String>,
) -> HostResult {
    let hidden = header.no_log || r.hidden;
    let result = if hidden { censored(&r.result) } else { r.result.clone() };
    HostResult {
        host: host.clone(),
        delegated: r.delegated.clone(),
        task: header.clone(),
        status: r.status,
        item: item.map(|i| if hidden { "(censored due to no_log)".into() } else { i }),
        looped: r.looped,
        result,
        // Output that keeps differences whether shown or not must not keep those that a task hides.
        diff: if hidden || (shared.options.diff && !header.diff) { Vec::new() } else { r.diff.clone() },
        warnings: r.warnings.clone(),
        verbose_always: r.verbose_always && !hidden,
        explanation: r
            .explanation
            .as_ref()
            .filter(|_| !hidden)
            .map(|d| crate::diag::render(&shared.sources, d, shared.options.style)),
        elapsed: r.elapsed,
    }
}

fn censored(result: &Map) -> Map {
    let mut shown = Map::from_iter([(
        "censored",
        Value::str(
            "the output has been hidden due to the fact that 'no_log: true' was specified for this result",
        ),
    )]);
    for key in ["changed", "unreachable", "skipped"] {
        if let Some(value) = result.get(key) {
            shown.insert(key, value.clone());
        }
    }
    shown
}
