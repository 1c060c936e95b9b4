//! Loops whose items do not wait for one another: the next items are looked at together, and files that they replace are
//! written together.
//!
//! Comes between a loop and its items. Looking is free of effects, so it may be done early; what was seen is used only
//! while nothing but files of other items changed since. Results are reported in the items' turn as if each had run alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::item::{Condition, ItemRun};
use super::pool::Lease;
use super::prepared::Prepared;
use super::questions::{Question, answers, together};
use super::shared::{Shared, lock};
use crate::modules::{self, Action, Call, Module, Run, Seen, Target, World, put};
use crate::playbook::{self, Task};
use crate::transport::{Content, Exec, Output, TransportError};
use crate::value::Value;

/// So many items are looked at together at first; four times as many after each window that went through to its end.
const FIRST: usize = 32;
const MOST: usize = 256;
/// After windows that ended early looking ahead is mostly in vain: more and more items run by themselves before the next.
const LONGEST_REST: usize = 32;

/// What was found out and done for one item before its turn. Each is used once.
pub struct Foretold {
    pub prepared: Prepared,
    look: Mutex<Option<Output>>,
    put: Mutex<Option<Result<Output, TransportError>>>,
}

impl Foretold {
    pub fn take_look(&self) -> Option<Output> {
        lock(&self.look).take()
    }

    /// Whether the file's replacement was made, and written down before.
    pub fn was_put(&self) -> bool {
        lock(&self.put).is_some()
    }

    /// Returns what came of the file's replacement, if that was made.
    pub fn take_put(&self) -> Option<Result<Output, TransportError>> {
        lock(&self.put).take()
    }
}

/// The window of a loop.
pub struct Ahead {
    module: &'static dyn Module,
    size: usize,
    /// So many items run by themselves before the next window, and after the next vain one.
    rest: usize,
    next_rest: usize,
    /// What is known of the items from the turn on; nothing for those that run by themselves.
    known: VecDeque<Option<Arc<Foretold>>>,
}

impl Ahead {
    /// Returns the window of a task whose items can go ahead; nothing for other tasks.
    pub fn of(task: &Task, shared: &Shared) -> Option<Self> {
        let playbook::Action::Module { name, dynamic: None, file: None, .. } = &task.action else {
            return None;
        };
        let module = modules::find(name).filter(|module| module.spec().goes_ahead)?;
        let control = &task.loop_.as_ref()?.control;
        let waits = !task.until.is_empty()
            || task.retries.is_some()
            || task.async_.is_some()
            || task.directives.delegate_to.is_some()
            || control.pause.is_some()
            || !control.break_when.is_empty();
        let previews = shared.options.planning || shared.options.check || shared.guide.is_some();
        (!waits && !previews).then(|| Ahead {
            module,
            size: FIRST,
            rest: 0,
            next_rest: 1,
            known: VecDeque::new(),
        })
    }

    /// Whether nothing was done ahead for items whose turn is still to come.
    pub fn is_idle(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns what is known of the item whose turn it is. `item` gives the loop's items by number.
    pub async fn turn(
        &mut self,
        index: usize,
        item: impl Fn(usize) -> Option<ItemRun>,
    ) -> Option<Arc<Foretold>> {
        if let Some(known) = self.known.pop_front() {
            return known;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let items: Vec<ItemRun> = (index..index + self.size).map_while(&item).collect();
        let wanted = items.len();
        self.known = window(self.module, &items).await.into();
        if self.known.len() == wanted {
            self.size = (self.size * 4).min(MOST);
            self.next_rest = 1;
        } else {
            self.size = FIRST;
            self.rest = self.next_rest;
            self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
        }
        self.known.pop_front().flatten()
    }
}

/// An item of a window on its way.
pub(super) struct Candidate {
    pub index: usize,
    pub prepared: Prepared,
    pub script: String,
    /// The file that the probe asks about, where its name needs no quotes.
    watches: Option<String>,
    /// The probe needs no shell of its own.
    shares_shell: bool,
}

/// Looks at items in order up to the first one that has to run by itself. The answer has an entry for each item before
/// that one; nothing stands for those whose conditions do not hold.
async fn window(module: &'static dyn Module, items: &[ItemRun]) -> Vec<Option<Arc<Foretold>>> {
    let (prepared, mut covered) = prepare(items);
    let Some((index, first)) = prepared.first().filter(|_| prepared.len() > 1) else { return Vec::new() };
    let execution = first.execution(&items[*index], None);
    let Ok(lease) = execution.lease().await else { return Vec::new() };
    let mut lease = Some(lease);
    let Ok(target) = execution.target(&mut lease).await else { return Vec::new() };
    let candidates = probes(items, prepared, &target, &mut covered);
    let looks = look(&mut lease, items, &candidates).await;
    if let Some(candidate) = candidates.get(looks.len()) {
        covered = candidate.index;
    }

    let mut known: Vec<Option<Foretold>> = Vec::new();
    let mut changes: Vec<(usize, Run)> = Vec::new();
    let mut dests = HashSet::new();
    let mut bytes = 0;
    for (candidate, output) in candidates.into_iter().zip(looks) {
        let Candidate { index, prepared, .. } = candidate;
        let needed = {
            let execution = prepared.execution(&items[index], None);
            let call = execution.call(&target, World::none());
            need(module, &call, &Seen::from(output.clone()), &mut dests)
        };
        if let Need::Look = needed {
            covered = index;
            break;
        }
        known.resize_with(index, || None);
        known.push(Some(Foretold { prepared, look: Mutex::new(Some(output)), put: Mutex::default() }));
        match needed {
            Need::Put(run) => {
                bytes += run.stdin.as_ref().map_or(0, Content::size);
                changes.push((index, *run));
            }
            Need::Turn => bytes = put::MOST_BYTES,
            Need::Nothing | Need::Look => {}
        }
        // What waits to be written is in memory.
        if bytes >= put::MOST_BYTES {
            covered = index + 1;
            break;
        }
    }
    known.resize_with(covered, || None);
    write(&mut lease, items, &known, &changes).await;
    if let Some(lease) = lease {
        lease.done();
    }
    known.into_iter().map(|one| one.map(Arc::new)).collect()
}

/// Gets items ready up to the first one that cannot be; also says how many were looked at.
fn prepare(items: &[ItemRun]) -> (Vec<(usize, Prepared)>, usize) {
    let mut prepared: Vec<(usize, Prepared)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let ready = match item.conditions() {
            _ if !item.is_new() => None,
            Ok(Condition::Fails(_)) => continue,
            Ok(Condition::Holds) => arranged(item).filter(|prepared| !prepared.check),
            Ok(Condition::Unknown(..)) | Err(_) => None,
        };
        match ready.filter(|one| prepared.first().is_none_or(|(_, first)| first.reach.is_same(&one.reach))) {
            Some(one) => prepared.push((index, one)),
            None => return (prepared, index),
        }
    }
    (prepared, items.len())
}

/// Returns an item that is ready to run; nothing where it only says so in its turn what is wrong.
pub(super) fn arranged(item: &ItemRun) -> Option<Prepared> {
    let playbook::Action::Module { name, args, free_form, template_args, .. } = &item.task.action else {
        return None;
    };
    let module = modules::find(name)?;
    let given = item.given(name, args, free_form.as_ref(), template_args.as_ref()).ok()?;
    let args = module.spec().check(&given).ok().filter(|args| args.find_unknown().is_none())?;
    item.prepare(module, args, 0).ok()
}

/// Makes the probes, up to the first item that has none of its own.
fn probes(
    items: &[ItemRun],
    prepared: Vec<(usize, Prepared)>,
    target: &Target,
    covered: &mut usize,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut scripts = HashSet::new();
    for (index, prepared) in prepared {
        let made = candidate(&items[index], index, prepared, target);
        let Some(made) = made.filter(|made| scripts.insert(made.script.clone())) else {
            *covered = index;
            break;
        };
        candidates.push(made);
    }
    candidates
}

/// Makes the probe of an item; nothing where it has none.
pub(super) fn candidate(
    item: &ItemRun,
    index: usize,
    prepared: Prepared,
    target: &Target,
) -> Option<Candidate> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    let (script, watches) = {
        let execution = prepared.execution(item, None);
        let call = execution.call(target, World::none());
        let watches = prepared.module.watches(&call);
        (prepared.module.probe(&call).ok().flatten()?, watches)
    };
    // Modules that say which file they ask about keep to the functions for that.
    let ends = ["exit", "xp_fail"].iter().any(|word| script.contains(word));
    let shares_shell = watches.is_some() && prepared.environment.is_empty() && !ends;
    let watches = watches.filter(|path| path.starts_with('/') && path.chars().all(plain));
    Some(Candidate { index, prepared, script, watches, shares_shell })
}

/// Asks all questions in one go. Ends at the first that got no answer: its item asks again.
pub(super) async fn look(
    lease: &mut Option<Lease>,
    items: &[ItemRun],
    candidates: &[Candidate],
) -> Vec<Output> {
    let Some(live) = lease else { return Vec::new() };
    let files: Vec<&str> = candidates.iter().filter_map(|candidate| candidate.watches.as_deref()).collect();
    let questions: Vec<Question> = candidates
        .iter()
        .map(|candidate| {
            let execution = candidate.prepared.execution(&items[candidate.index], None);
            let watched = candidate.watches.as_deref();
            Question {
                script: execution.with_environment(&candidate.script),
                place: watched.and_then(|path| files.iter().position(|known| *known == path)),
                shares_shell: candidate.shares_shell,
            }
        })
        .collect();
    let mut exec = Exec::new(together(&questions, &files)).looking();
    exec.timeout = candidates.iter().filter_map(|candidate| candidate.prepared.timeout).max();
    match live.session().exec_all(vec![exec]).await.pop() {
        Some(Ok(output)) => answers(&questions, &output),
        _ => {
            // The shell is not what it was.
            *lease = None;
            Vec::new()
        }
    }
}

/// What an item still needs after it was looked at.
enum Need {
    Nothing,
    /// The replacement of one file that no item before it has to do with.
    Put(Box<Run>),
    /// A turn of its own, for a change of another kind; what was seen holds until then.
    Turn,
    /// Another look, because it has to do with what an item before it may change.
    Look,
}

fn need(module: &dyn Module, call: &Call, seen: &Seen, dests: &mut HashSet<String>) -> Need {
    if !matches!(module.prepare(call, seen), Ok(None)) {
        return Need::Turn;
    }
    // A mistake in the arguments changes nothing and is found again in the item's turn.
    let Ok(prediction) = module.plan(call, seen) else { return Need::Nothing };
    let dest = prediction.result.get("dest").and_then(Value::as_str).map(str::to_string);
    let named = dest.is_some();
    if !dest.is_none_or(|dest| dests.insert(dest)) {
        return Need::Look;
    }
    let Some(change) = prediction.change else { return Need::Nothing };
    match <[Action; 1]>::try_from(change.actions) {
        Ok([Action::Run(run)]) if named && put::Ready::of(&run).is_some() => Need::Put(Box::new(run)),
        _ => Need::Turn,
    }
}

/// Makes the replacements together as far as that goes; what is left is made in the items' turns.
async fn write(
    lease: &mut Option<Lease>,
    items: &[ItemRun],
    known: &[Option<Foretold>],
    changes: &[(usize, Run)],
) {
    let foretold = |index: usize| known.get(index).and_then(Option::as_ref);
    let mut rest = changes;
    while rest.len() > 1 && lease.is_some() {
        let files = put::fitting(rest.iter().filter_map(|(_, run)| put::Ready::of(run)));
        let (group, others) = rest.split_at(files.len().clamp(1, rest.len()));
        rest = others;
        let Some(first) = group.first().and_then(|(index, _)| Some((index, foretold(*index)?))) else {
            return;
        };
        if !announced(items, group).await {
            return;
        }
        let execution = first.1.prepared.execution(&items[*first.0], None);
        let made = execution.put_together(lease, &files).await;
        for (at, (index, _)) in group.iter().enumerate() {
            let Some(one) = foretold(*index) else { continue };
            let output = match &made {
                Ok(outputs) => outputs.get(at).cloned().flatten().map(Ok),
                Err(error) => unsettled(error).map(Err),
            };
            *lock(&one.put) = output;
        }
    }
}

/// Writes down that files will be replaced together, and waits until that is safe. Tells whether it is: an item that runs
/// in its turn says what is wrong.
async fn announced(items: &[ItemRun], group: &[(usize, Run)]) -> bool {
    for (index, _) in group {
        if let Some(step) = items.get(*index).and_then(|item| item.stepped(0))
            && step.announce_with_others().is_err()
        {
            return false;
        }
    }
    match group.first().and_then(|(index, _)| items.get(*index)?.shared.journal.clone()) {
        Some(journal) => journal.settle().await.is_ok(),
        None => true,
    }
}

/// What an error says of each file that was sent: nothing when it is certain that none was written.
fn unsettled(error: &TransportError) -> Option<TransportError> {
    match error {
        TransportError::Lost { host, reason } => {
            Some(TransportError::Lost { host: host.clone(), reason: reason.clone() })
        }
        TransportError::Timeout { what, after, still } => {
            Some(TransportError::Timeout { what: what.clone(), after: *after, still: still.clone() })
        }
        _ => None,
    }
}
