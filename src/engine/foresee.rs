//! Planning: what a module would do on a host, without doing it.
//!
//! Comes between an item and its execution when the run is a plan. Nothing here can change a target: only probes run.

use super::execute::Execution;
use super::item::ItemRun;
use super::result::{TaskResult, Trouble};
use crate::modules::{self, Certainty, Effect, Failure, ModuleSpec, Outcome, Prediction, Touch, World};
use crate::plan::{Observed, Risk, State, fingerprint, risk};
use crate::value::{Map, Unknown, Value};

use super::event::Status;

/// A module's outcome as far as it is foreseen.
pub struct Foreseen {
    pub outcome: Outcome,
    pub observed: Observed,
    /// Set when nothing of the result is known.
    pub maybe: Option<Unknown>,
}

impl Execution<'_> {
    /// Looks at the target and predicts; later steps see the prediction.
    pub async fn foresee(self, step: &str, certain: Certainty) -> Result<Foreseen, Trouble> {
        let mut lease = Some(self.lease().await?);
        let target = self.target(&mut lease).await?;
        let place = self.reach.spec.host.clone();
        let world = self.shared.world(&place);
        let call = self.call(&target, &world);
        let seen = match self.look(&mut lease, &call).await {
            Ok(seen) => self.simulated(&mut lease, &call, &seen).await,
            Err(trouble) => Err(trouble),
        };
        if let Some(lease) = lease {
            lease.done();
        }
        let seen = match seen {
            Err(Trouble::Failed { failure, .. }) => return self.failed(*failure, &world),
            other => other?,
        };
        let mut prediction = match self.module.plan(&call, &seen) {
            Ok(prediction) => prediction,
            Err(failure) => return self.failed(failure, &world),
        };
        // A prediction that allows for what earlier steps may still make is not exact.
        let strict = modules::Call { check: false, args: call.args.clone(), ..call };
        let print = fingerprint(&prediction);
        let mut exact = matches!(self.module.plan(&strict, &seen), Ok(p) if fingerprint(&p) == print);

        let only_reads = risk::of_module(self.module.spec().name) == Risk::None;
        let mut observed = Observed::new(match &prediction.effect {
            Effect::Same if exact => State::Same,
            Effect::Change if exact => State::Change,
            Effect::Same | Effect::Change => State::ChangeUnknown,
            Effect::Unknown if only_reads => State::Read,
            Effect::Unknown => State::ChangeUnknown,
            Effect::Read => State::Read,
            Effect::Skip(_) => State::Skip,
        });
        if let Effect::Skip(reason) = &prediction.effect {
            observed.reason = Some(reason.clone());
        }
        if observed.state == State::ChangeUnknown && prediction.effect != Effect::Unknown {
            observed.not_known(&"what earlier steps will have made".into());
        }
        let relations = self.module.relations(&call);
        let mut open: Vec<Unknown> = relations.reads.iter().filter_map(|thing| world.thing(thing)).collect();
        open.append(&mut prediction.depends);
        if !open.is_empty() {
            if prediction.effect == Effect::Read {
                let mut foreseen = not_known(self.module.spec(), open[0].clone());
                open.iter().for_each(|unknown| foreseen.observed.not_known(&unknown.cause));
                return Ok(foreseen);
            }
            exact = false;
            observed.unknown = open.into_iter().map(|unknown| unknown.cause).collect();
            if matches!(observed.state, State::Same | State::Change) {
                observed.state = State::ChangeUnknown;
            }
        }
        if prediction.changes() {
            prediction.touches.extend(relations.writes.into_iter().map(Touch::Thing));
        }
        let foreseeable = matches!(prediction.effect, Effect::Same | Effect::Change);
        observed.expects = (exact && foreseeable).then_some(print);
        observed.diffs.clone_from(&prediction.diff);
        observed.consequences = std::mem::take(&mut prediction.consequences);
        observed.warnings.clone_from(&prediction.warnings);
        observed.rendered = self.files.take_rendered();
        self.remember(&mut prediction, &place, step, certain);
        Ok(Foreseen { outcome: self.predicted(prediction), observed, maybe: None })
    }

    /// Lets later steps see what this one leaves behind.
    fn remember(&self, prediction: &mut Prediction, place: &str, step: &str, certain: Certainty) {
        let mut touches = std::mem::take(&mut prediction.touches);
        let opaque = risk::of_module(self.module.spec().name) == Risk::Opaque;
        if opaque && touches.is_empty() && prediction.changes() {
            touches.push(Touch::Anything);
        }
        self.shared.foresee(place, step, touches, certain);
    }

    /// A module that cannot predict: because of what is not known yet, or because it would fail.
    fn failed(&self, failure: Failure, world: &World) -> Result<Foreseen, Trouble> {
        let unknown = failure.unknown.clone().map(|unknown| *unknown).or_else(|| self.files.take_unknown());
        if let Some(unknown) = unknown {
            return Ok(not_known(self.module.spec(), unknown));
        }
        let Some(opaque) = world.opaque() else { return Err(failure.into()) };
        // An earlier command may make what is missing now.
        let mut foreseen = not_known(self.module.spec(), opaque);
        foreseen.observed.reason = Some(format!("would fail now: {}", failure.msg));
        Ok(foreseen)
    }
}

/// What is foreseen of a module that will run and of which nothing else is known.
pub fn not_known(spec: &ModuleSpec, unknown: Unknown) -> Foreseen {
    let only_reads = risk::of_module(spec.name) == Risk::None;
    let mut observed = Observed::new(if only_reads { State::Read } else { State::ChangeUnknown });
    observed.not_known(&unknown.cause);
    let changed = if only_reads { false.into() } else { Value::Unknown(unknown.clone()) };
    let mut result = Map::from_iter([("changed", changed)]);
    for (name, _) in spec.returns {
        result.insert(*name, Value::Unknown(unknown.clone()));
    }
    let outcome = Outcome { changed: !only_reads, result, ..Outcome::default() };
    Foreseen { outcome, observed, maybe: Some(unknown) }
}

impl ItemRun {
    /// Completes what planning learned of the item, once conditions about its result are taken into account. `maybe` says
    /// why it is not known whether the item runs at all.
    pub fn conclude(&self, result: &mut TaskResult, maybe: Option<&Unknown>) {
        if result.units.is_empty() {
            let state = match result.status {
                Status::Failed => State::Error,
                Status::Skipped => State::Skip,
                Status::Unreachable | Status::Lost => State::Unreachable,
                Status::Ok | Status::Changed | Status::Ignored => State::Read,
            };
            result.units.push(Observed::new(state));
        }
        let shown = ["false_condition", "skipped_reason", "skip_reason", "msg"]
            .iter()
            .find_map(|key| result.result.get(key))
            .cloned();
        let failed = result.is_failure();
        let declared_same =
            result.result.get("changed") == Some(&Value::Bool(false)) && !self.task.changed_when.is_empty();
        let notifies = match result.result.get("changed") {
            Some(Value::Bool(false)) | None => Vec::new(),
            Some(_) => result.effects.notify.clone(),
        };
        for unit in &mut result.units {
            if failed && !matches!(unit.state, State::Unreachable) {
                unit.state = if result.status == Status::Failed { State::Error } else { State::Unreachable };
            }
            if matches!(unit.state, State::Error | State::Unreachable | State::Skip)
                && let Some(shown) = &shown
            {
                unit.reason.get_or_insert_with(|| shown.to_text());
            }
            // The author says that it changes nothing: it runs, and is no change.
            if declared_same && matches!(unit.state, State::ChangeUnknown | State::Change) {
                unit.state = State::Read;
                unit.reason.get_or_insert_with(|| {
                    "runs when the plan is applied; declared to change nothing".into()
                });
            }
            unit.notifies.clone_from(&notifies);
            if let Ok((reach, delegated)) = self.reach() {
                unit.on = delegated.map(|(name, _)| name);
                unit.r#become = reach.r#become.map(|b| b.user);
            }
        }
        if let Some(unknown) = maybe {
            self.doubt(result, unknown);
        }
    }

    /// Nobody knows whether the item runs: what it would do stays in the plan, what it would leave is unknown.
    fn doubt(&self, result: &mut TaskResult, unknown: &Unknown) {
        for unit in &mut result.units {
            if unit.state == State::Skip || unit.state == State::Unreachable {
                continue;
            }
            if unit.state == State::Error {
                unit.reason = unit.reason.take().map(|r| format!("would fail now: {r}"));
            }
            unit.state = State::Maybe;
            unit.not_known(&unknown.cause);
        }
        if result.status == Status::Skipped || result.status == Status::Unreachable {
            return;
        }
        result.status = Status::Ok;
        result.maybe = Some(unknown.clone());
        result.result.insert("changed", Value::Unknown(unknown.clone()));
        let hide = |map: &mut Map| {
            *map = map.iter().map(|(name, _)| (name.clone(), Value::Unknown(unknown.clone()))).collect();
        };
        hide(&mut result.effects.set);
        result.effects.facts.iter_mut().for_each(|(_, facts)| hide(facts));
        for include in &mut result.effects.includes {
            include.maybe.get_or_insert_with(|| unknown.clone());
        }
    }

    /// The result of an item under `--check`, which knows only changed and unchanged: what may change counts as changed.
    pub fn previewed(&self, foreseen: Foreseen) -> TaskResult {
        let Foreseen { outcome, observed, maybe } = foreseen;
        let mut result = TaskResult::from_outcome(outcome);
        if matches!(observed.state, State::Change | State::ChangeUnknown) {
            result.status = Status::Changed;
            result.result.insert("changed", true);
        }
        if let Some(unknown) = maybe {
            result.result.insert("unknown_cause", &*unknown.cause);
            if let Some(reason) = observed.reason {
                result.result.insert("msg", reason);
            }
        }
        result
    }

    /// The result of an item that cannot be worked out before something else has run.
    pub fn not_known_yet(&self, unknown: &Unknown) -> TaskResult {
        let spec = match &self.task.action {
            crate::playbook::Action::Module { name, .. } => modules::spec(name),
            _ => None,
        };
        let foreseen = spec.map(|spec| not_known(spec, unknown.clone()));
        let mut result = foreseen.map_or_else(
            || TaskResult::ok(Map::from_iter([("changed", Value::Unknown(unknown.clone()))])),
            |f| TaskResult { units: vec![f.observed], ..TaskResult::from_outcome(f.outcome) },
        );
        result.result.insert("changed", Value::Unknown(unknown.clone()));
        result.maybe = Some(unknown.clone());
        if result.units.is_empty() {
            let mut observed = Observed::new(State::Maybe);
            observed.not_known(&unknown.cause);
            result.units.push(observed);
        }
        result
    }

    /// An action of the engine that changes a host, whatever it looks like before.
    pub fn will_change(&self, given: &Map) -> TaskResult {
        let mut result = TaskResult::new(Status::Changed, Map::new());
        let mut observed = Observed::new(State::Change);
        observed.args = Some(given.clone());
        result.units.push(observed);
        result
    }

    /// Marks an action of the engine itself: it works on this side only.
    pub fn on_this_side(&self, mut result: TaskResult, given: &Map) -> TaskResult {
        if self.shared.options.planning && result.units.is_empty() && !result.is_failure() {
            let mut observed = Observed::new(State::Read);
            observed.args = Some(given.clone());
            result.units.push(observed);
        }
        result
    }
}
