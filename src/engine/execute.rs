//! Runs a module on a target: probe, plan, change. The only place where predictions become actions.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ahead::Foretold;
use super::event::Event;
use super::files::TaskFiles;
use super::follow::{ALREADY, Agreement};
use super::journal::{Left, Sent};
use super::login::Reach;
use super::long_output::LongOutput;
use super::named_lock;
use super::once::{Once, Sending};
use super::pool::Lease;
use super::recall::Stepped;
use super::result::Trouble;
use super::shared::Shared;
use crate::diag::Style;
use crate::modules::{
    Action, Args, Call, Change, Effect, Failure, MOST_COMMAND_OUTPUT, Module, Outcome, Prediction, Run, Seen,
    Target, World, put, sh,
};
use crate::plan::Unit;
use crate::transport::durable::JobState;
use crate::transport::{
    DurableId, Exec, Intent, Output, OutputSink, Stream, TransportError, durable, within_load,
};
use crate::value::{Map, Value};

/// How often a long command is looked for again after its connection was lost, and how long to wait in between.
const REATTACH_TRIES: u32 = 60;
/// The same for a short command that leaves a mark.
const ASK_AGAIN_TRIES: u32 = 5;
const REATTACH_WAIT: Duration = Duration::from_secs(2);

/// The shortest time limit of a script.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// How often a command of an earlier part of the run is looked at.
const EARLIER_JOB_POLL: Duration = Duration::from_millis(500);

/// One execution of a module.
pub struct Execution<'a> {
    pub shared: &'a Arc<Shared>,
    pub module: &'static dyn Module,
    pub args: Args,
    pub reach: &'a Reach,
    /// The inventory name that events speak of.
    pub host: Arc<str>,
    pub files: &'a TaskFiles,
    pub environment: Vec<(String, String)>,
    pub check: bool,
    pub diff: bool,
    /// For all of it: reaching the host, looking, changing.
    pub timeout: Option<Duration>,
    /// From when the limit counts.
    pub began: Instant,
    /// Identifies the step, host and item among the long commands on a target.
    pub job: String,
    /// What it starts goes on when the connection or the run ends.
    pub background: bool,
    /// What the plan that is followed says of it.
    pub unit: Option<Arc<Unit>>,
    /// Where it is written down.
    pub step: Option<Stepped>,
    /// What it prints is shown and kept nowhere.
    pub no_log: bool,
    /// What was looked at and done ahead of its turn.
    pub foretold: Option<&'a Foretold>,
}

/// What a look at the target led to.
enum Judged {
    /// A plan that is followed foresaw a change, and it is in place.
    Already(Box<Outcome>),
    Open(Box<Prediction>),
}

impl Execution<'_> {
    pub async fn run(self) -> Result<Outcome, Trouble> {
        let mut lease = Some(self.reached().await?);
        let target = self.target(&mut lease).await?;
        let call = self.call(&target, World::none());
        self.outlast_earlier_jobs(&mut lease).await?;
        let mut judged = self.judge(&mut lease, &call).await;
        let mut claim = None;
        // What fails may do so because another run is in the middle of it.
        let due = match &judged {
            Ok(Judged::Open(prediction)) => prediction.change.is_some(),
            Ok(Judged::Already(_)) => false,
            Err(trouble) => matches!(trouble, Trouble::Failed { .. }),
        };
        if due && !self.check {
            claim = self.claim(&mut lease, &call).await?;
            if claim.is_some() {
                judged = self.judge(&mut lease, &call).await;
            }
        }
        let mut outcome = self.conclude(&mut lease, &call, judged).await;
        if let Err(Trouble::Failed { .. }) = &outcome
            && self.forget_earlier_jobs(&mut lease).await?
        {
            // What the command of the earlier part made is not there any more, or never was good.
            let judged = self.judge(&mut lease, &call).await;
            outcome = self.conclude(&mut lease, &call, judged).await;
        }
        self.let_go(&mut lease, claim).await;
        let outcome = outcome?;
        if let Some(lease) = lease {
            lease.done();
        }
        Ok(outcome)
    }

    /// Looks at the target and predicts.
    async fn judge(&self, lease: &mut Option<Lease>, call: &Call<'_>) -> Result<Judged, Trouble> {
        let mut seen = self.look(lease, call).await?;
        if let Some(unit) = self.unit.clone()
            && unit.expects.is_some()
        {
            // Compared with what was foreseen, in the way in which it was foreseen.
            let foreseen = self.simulated(lease, call, &seen).await?;
            let now = self.module.plan(call, &foreseen)?;
            if let Agreement::Already = self.agrees(&unit, &now)? {
                let mut outcome = now.into_outcome();
                outcome.result.insert(ALREADY, true);
                return Ok(Judged::Already(Box::new(outcome)));
            }
        }
        if self.check {
            seen = self.simulated(lease, call, &seen).await?;
        } else if let Some(run) = self.module.prepare(call, &seen)? {
            let output = self.run_action(lease, &run, "before", None).await?;
            seen.more = Some(Box::new(Seen::from(output)));
        }
        Ok(Judged::Open(Box::new(self.module.plan(call, &seen)?)))
    }

    /// Makes the change that a look led to, if there is one.
    async fn conclude(
        &self,
        lease: &mut Option<Lease>,
        call: &Call<'_>,
        judged: Result<Judged, Trouble>,
    ) -> Result<Outcome, Trouble> {
        let prediction = match judged? {
            Judged::Already(outcome) => return Ok(*outcome),
            Judged::Open(prediction) => *prediction,
        };
        match &prediction.change {
            Some(change) if !self.check => {
                let sent = match self.foretold {
                    Some(foretold) if foretold.was_put() => None,
                    _ => self.announce(&prediction, change).await?,
                };
                let ran = self.apply(lease, change, sent.as_ref()).await?;
                Ok(self.module.finish(call, prediction, &ran)?)
            }
            _ => Ok(self.predicted(prediction)),
        }
    }

    /// Waits for long commands that an earlier part of the run started: what they do is seen when they have ended. One
    /// that died is forgotten, because looking tells what is left to do.
    async fn outlast_earlier_jobs(&self, lease: &mut Option<Lease>) -> Result<(), Trouble> {
        let Some(step) = &self.step else { return Ok(()) };
        if self.module.spec().runs_commands() {
            return Ok(());
        }
        let asked = self.args.int("timeout").and_then(|secs| u64::try_from(secs).ok());
        let limit = self.timeout.or(asked.map(Duration::from_secs));
        let begun = Instant::now();
        for name in step.earlier_jobs() {
            let id = DurableId::new(name)?;
            let mut told = false;
            loop {
                let state = self.job_state(lease, &id).await?;
                match state {
                    JobState::Running => {}
                    JobState::NotStarted | JobState::Finished(_) => break,
                    JobState::Died | JobState::Rebooted => {
                        self.forget_job(lease, &id).await;
                        break;
                    }
                }
                if !told {
                    told = true;
                    let text = format!("{}: waiting for a command of the interrupted run", self.host);
                    self.shared.emit(Event::Warning(text)).await;
                }
                if limit.is_some_and(|limit| begun.elapsed() >= limit) {
                    if let Some(lease) = lease {
                        durable::stop(lease.session(), &id).await?;
                    }
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep(EARLIER_JOB_POLL) => {}
                    () = self.shared.halt.asked() => {
                        let text = "the run was interrupted while it waited for a command of its first part";
                        return Err(Trouble::Lost(text.into()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes what is left of the long commands of an earlier part, so that they can run again; false if there were none.
    async fn forget_earlier_jobs(&self, lease: &mut Option<Lease>) -> Result<bool, Trouble> {
        let Some(step) = &self.step else { return Ok(false) };
        if self.module.spec().runs_commands() || step.earlier_jobs().is_empty() {
            return Ok(false);
        }
        for name in step.earlier_jobs() {
            let id = DurableId::new(name)?;
            self.forget_job(lease, &id).await;
        }
        Ok(true)
    }

    async fn job_state(&self, lease: &mut Option<Lease>, id: &DurableId) -> Result<JobState, Trouble> {
        let mut tries = 0;
        loop {
            let mut live = match lease.take() {
                Some(live) => live,
                None => self.lease().await?,
            };
            match durable::state(live.session(), id).await {
                Ok(state) => {
                    *lease = Some(live);
                    return Ok(state);
                }
                Err(e @ (TransportError::Lost { .. } | TransportError::Unreachable { .. })) => {
                    tries += 1;
                    if tries > ASK_AGAIN_TRIES {
                        return Err(Trouble::Lost(e.to_string()));
                    }
                    self.shared.pool.forget(&self.reach.spec).await;
                    tokio::time::sleep(REATTACH_WAIT).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    pub(super) fn call<'c>(&'c self, target: &'c Target, world: &'c World) -> Call<'c> {
        let expand = |text: &str| sh::expanded(target, &self.environment, text);
        Call {
            args: self.args.with_paths(self.module.spec(), expand),
            target,
            local: self.files,
            check: self.check,
            diff: self.diff,
            environment: &self.environment,
            world,
        }
    }

    /// Runs the module's probe.
    pub(super) async fn look(&self, lease: &mut Option<Lease>, call: &Call<'_>) -> Result<Seen, Trouble> {
        if let Some(output) = self.foretold.and_then(Foretold::take_look) {
            return Ok(Seen::from(output));
        }
        Ok(match self.module.probe(call)? {
            None => Seen::default(),
            Some(script) => match self.glanced(&script) {
                Some(output) => Seen::from(output),
                None => Seen::from(self.read(lease, script).await?),
            },
        })
    }

    /// Adds what the target's own tools simulate, for modules that ask for it.
    pub(super) async fn simulated(
        &self,
        lease: &mut Option<Lease>,
        call: &Call<'_>,
        seen: &Seen,
    ) -> Result<Seen, Trouble> {
        let mut seen = seen.clone();
        if let Some(script) = self.module.simulate(call, &seen)? {
            seen.more = Some(Box::new(Seen::from(self.read(lease, script).await?)));
        }
        Ok(seen)
    }

    /// The outcome as far as it can be told without doing it.
    pub(super) fn predicted(&self, prediction: Prediction) -> Outcome {
        let like_ansible = self.shared.options.style == Style::Ansible && !self.shared.options.planning;
        if like_ansible && self.check && self.module.spec().name == "fetch" {
            let msg = Value::str("check mode not (yet) supported for this module");
            return Outcome { skipped: true, result: Map::from_iter([("msg", msg)]), ..Outcome::default() };
        }
        if prediction.effect != Effect::Unknown {
            return prediction.into_outcome();
        }
        let name = self.module.spec().name;
        if like_ansible && matches!(name, "command" | "shell" | "raw" | "script") {
            // Under Ansible's names what cannot be predicted is skipped as there.
            let mut outcome = prediction.into_outcome();
            let known = outcome.result.into_iter().filter(|(_, value)| value.find_unknown().is_none());
            outcome.result = known.collect();
            if name == "script" {
                outcome.result.insert("msg", "Check mode is not supported for this task.");
            } else {
                outcome.result.insert("msg", "Command would have run if not in check mode");
                outcome.result.insert("rc", 0);
            }
            return Outcome { changed: false, skipped: true, ..outcome };
        }
        let mode = if self.shared.options.planning { "a plan" } else { "check mode" };
        let cause = format!("result of {name}, not run in {mode}");
        let mut outcome = prediction.into_outcome();
        for (name, _) in self.module.spec().returns {
            if !outcome.result.contains(name) {
                outcome.result.insert(*name, Value::unknown(cause.as_str()));
            }
        }
        outcome
    }

    pub(super) async fn target(&self, lease: &mut Option<Lease>) -> Result<Target, Trouble> {
        let mut target = Target { host: self.host.to_string(), ..Target::default() };
        if let Some(lease) = lease {
            let known = lease.session().capabilities();
            target.user.clone_from(&known.user);
            target.home.clone_from(&known.home);
            target.uid = known.uid;
        }
        target.homes = self.homes(lease, &target.user).await?;
        Ok(target)
    }

    /// Asks for the homes of the users whose names begin paths of the call (`~NAME`).
    async fn homes(&self, lease: &mut Option<Lease>, own: &str) -> Result<Vec<(String, String)>, Trouble> {
        let mut homes = Vec::new();
        for (_, text) in self.args.target_paths(self.module.spec()) {
            let Some(name) = text.strip_prefix('~').and_then(|rest| rest.split('/').next()) else { continue };
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if name.is_empty() || name == own || !name.chars().all(plain) {
                continue;
            }
            let found = self.read(lease, format!("printf '%s' ~{name}\n")).await?;
            let home = String::from_utf8_lossy(&found.stdout).into_owned();
            if home.starts_with('/') {
                homes.push((name.to_string(), home));
            }
        }
        Ok(homes)
    }

    pub(super) async fn lease(&self) -> Result<Lease, TransportError> {
        let reaching = self.shared.pool.session(&self.reach.spec, self.reach.r#become.as_ref());
        let Some(left) = self.left() else { return reaching.await };
        within_load(left, reaching).await.unwrap_or_else(|| {
            Err(TransportError::Timeout { what: format!("reaching {}", self.host), after: left, still: None })
        })
    }

    /// What is left of the time limit; a moment where nothing is, because what was begun may have ended.
    fn left(&self) -> Option<Duration> {
        self.timeout.map(|limit| limit.saturating_sub(self.began.elapsed()).max(LAST_MOMENT))
    }

    /// Logs in, and does meanwhile what needs no target.
    async fn reached(&self) -> Result<Lease, TransportError> {
        match self.module.early(&self.args, self.files) {
            Some(work) => tokio::join!(self.lease(), tokio::task::spawn_blocking(work)).0,
            None => self.lease().await,
        }
    }

    /// Runs a script that only reads: after a lost connection it is simply asked again, once.
    async fn read(&self, lease: &mut Option<Lease>, script: String) -> Result<Output, Trouble> {
        self.ask(lease, self.exec(script).looking()).await
    }

    /// Runs a script that may run twice without harm; asked again, once, after a lost connection.
    pub(super) async fn ask(&self, lease: &mut Option<Lease>, exec: Exec) -> Result<Output, Trouble> {
        match self.attempt(lease, exec.clone()).await {
            Err(TransportError::Lost { .. } | TransportError::Unreachable { .. }) => {
                self.shared.pool.forget(&self.reach.spec).await;
                *lease = None;
                match self.attempt(lease, exec).await {
                    // Nothing is in doubt after it.
                    Err(TransportError::Lost { host, reason }) => {
                        Err(TransportError::Unreachable { host, reason }.into())
                    }
                    other => Ok(other?),
                }
            }
            other => Ok(other?),
        }
    }

    pub(super) async fn attempt(
        &self,
        lease: &mut Option<Lease>,
        exec: Exec,
    ) -> Result<Output, TransportError> {
        let halt = &self.shared.halt;
        let cut = || TransportError::Lost {
            host: self.host.to_string(),
            reason: "it was ended because the run was interrupted".into(),
        };
        let mut live = match lease.take() {
            Some(live) => live,
            None => tokio::select! {
                live = self.lease() => live?,
                () = halt.urgent() => return Err(cut()),
            },
        };
        let shown = match (self.no_log, &exec.durable) {
            (true, _) => Lines::None,
            (false, None) => Lines::Marked,
            (false, Some(_)) => Lines::All,
        };
        let mut sink = ProgressSink::new(self.shared.clone(), self.host.clone(), shown);
        // What a look prints is no output of its own.
        let journal = self.shared.journal.clone().filter(|_| !self.no_log && exec.intent == Intent::Change);
        if let Some(journal) = journal.filter(|_| self.module.spec().runs_commands()) {
            sink.long = Some(LongOutput::new(journal, &self.host, &self.mark(&self.job)));
        }
        let job = exec.durable.clone();
        let mut output = tokio::select! {
            output = live.session().exec(exec, &mut sink) => output?,
            () = halt.urgent() => {
                live.stop(job.as_ref()).await;
                return Err(cut());
            }
        };
        *lease = Some(live);
        if let Some(reason) = sink.long.take().and_then(|long| long.end(&mut output)) {
            let text = format!("{}: the whole output could not be kept: {reason}", self.host);
            self.shared.emit(Event::Warning(text)).await;
        }
        Ok(output)
    }

    pub(super) fn exec(&self, script: String) -> Exec {
        let mut exec = Exec::new(self.with_environment(&script)).streaming();
        if self.module.spec().runs_commands() {
            exec.max_output = MOST_COMMAND_OUTPUT;
        }
        match self.left() {
            Some(limit) => exec.timeout(limit),
            None => exec,
        }
    }

    pub(super) fn with_environment(&self, script: &str) -> String {
        let mut text = String::new();
        if self.reach.r#become.is_some() && !self.module.spec().runs_commands() {
            // A login's folder that the other user may not enter makes tools such as find fail.
            text.push_str("[ -x . ] || cd /\n");
        }
        for (name, value) in &self.environment {
            text.push_str("export ");
            text.push_str(name);
            text.push('=');
            text.push_str(&crate::transport::quote(value));
            // A module's own tools must be found whatever the task says; a command gets exactly what was written.
            if name == "PATH" && !self.module.spec().runs_commands() {
                text.push_str("\":$PATH\"");
            }
            text.push('\n');
        }
        text.push_str(script);
        text
    }

    /// Writes down that a change is about to be made. Commands that must not run twice get marks on the target.
    async fn announce(&self, prediction: &Prediction, change: &Change) -> Result<Option<Sent>, Trouble> {
        let Some(step) = &self.step else { return Ok(None) };
        let once = prediction.effect == Effect::Unknown && !self.module.spec().can_repeat();
        let mut sent = Sent { repeatable: !once, ..step.sent() };
        for (index, action) in change.actions.iter().enumerate() {
            let Action::Run(run) = action else { continue };
            let name = format!("{}-{index}", self.job);
            match (run.long || self.background, once) {
                (true, _) => sent.jobs.push(name),
                (false, true) => sent.marks.push(self.mark(&name)),
                (false, false) => {}
            }
        }
        step.announce(&sent).await?;
        let left = Left { marks: sent.marks.clone(), jobs: sent.jobs.clone() };
        self.shared.leave_all(&step.name(), self.reach, &left);
        Ok(Some(sent))
    }

    /// The name of a command's mark: the folder of marks says already which run it is.
    fn mark(&self, name: &str) -> String {
        let own = name.strip_prefix(&*self.shared.run_id).map_or(name, |rest| rest.trim_start_matches('-'));
        own.to_string()
    }

    async fn apply(
        &self,
        lease: &mut Option<Lease>,
        change: &Change,
        sent: Option<&Sent>,
    ) -> Result<Vec<Output>, Trouble> {
        let mut ran: Vec<Output> = Vec::with_capacity(change.actions.len());
        let mut together = VecDeque::new();
        for (index, action) in change.actions.iter().enumerate() {
            if together.is_empty() {
                together.extend(self.put_together(lease, &put::at_head(&change.actions[index..])).await?);
            }
            if let Some(Some(output)) = together.pop_front() {
                ran.push(output);
                continue;
            }
            match action {
                Action::Run(run) => {
                    let output = self.run_action(lease, run, &index.to_string(), sent).await?;
                    let failed = output.rc != 0;
                    ran.push(output);
                    if failed {
                        break;
                    }
                }
                Action::SaveLocal { path, from, mode } => {
                    let Some(source) = ran.get(*from) else {
                        return Err(Trouble::msg(format!("nothing was read for {}", path.display())));
                    };
                    if source.truncated {
                        return Err(Trouble::msg(format!(
                            "the file for {} is too big to fetch",
                            path.display()
                        )));
                    }
                    save(path, &source.stdout, *mode)?;
                    ran.push(Output::default());
                }
            }
        }
        Ok(ran)
    }

    /// Replaces files by one script; one output for each, nothing where it has to be done by itself.
    pub(super) async fn put_together(
        &self,
        lease: &mut Option<Lease>,
        files: &[put::Ready<'_>],
    ) -> Result<Vec<Option<Output>>, TransportError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let run = put::script(files);
        let mut exec = self.exec(run.script);
        exec.stdin = run.stdin;
        let output = self.attempt(lease, exec).await?;
        Ok(put::outputs(files.len(), &output))
    }

    async fn run_action(
        &self,
        lease: &mut Option<Lease>,
        run: &Run,
        part: &str,
        sent: Option<&Sent>,
    ) -> Result<Output, Trouble> {
        if let Some(done) = self.foretold.and_then(Foretold::take_put) {
            return Ok(done?);
        }
        let mut exec = self.exec(run.script.clone());
        exec.stdin.clone_from(&run.stdin);
        if let Some(secs) = run.timeout_secs {
            exec.timeout = Some(Duration::from_secs(secs));
        }
        let name = format!("{}-{part}", self.job);
        if run.long || self.background {
            let id = DurableId::new(&name)?;
            if run.timeout_secs.is_none() {
                // The time counts from when it began on its target.
                exec.timeout = self.timeout;
            }
            let output = self.insist(lease, exec.durable(id.clone()), |_| None, REATTACH_TRIES).await?;
            // A job that stands in the journal is forgotten when its verdict does too.
            if sent.is_none() {
                self.forget_job(lease, &id).await;
            }
            return Ok(output);
        }
        if lease.as_ref().is_some_and(|lease| lease.locked) {
            exec.script.insert_str(0, named_lock::WITHOUT);
        }
        let mark = self.mark(&name);
        if !sent.is_some_and(|sent| sent.marks.contains(&mark)) {
            return Ok(self.attempt(lease, exec).await?);
        }
        let once = Once::new(&self.shared.run_id, &mark);
        let script = exec.script.clone();
        let first = match self.step.as_ref().is_some_and(Stepped::began_before) {
            true => Sending::Again,
            false => Sending::First,
        };
        let exec = once.wrap(&exec, &script, first, &self.shared.old_marks(self.reach));
        let again = |exec: &Exec| Some(once.wrap(exec, &script, Sending::Again, &[]));
        let output = self.insist(lease, exec, again, ASK_AGAIN_TRIES).await?;
        once.judge(output, &self.host)
    }

    /// Runs something that can be asked for again after a lost connection: what it began is found then.
    async fn insist(
        &self,
        lease: &mut Option<Lease>,
        mut exec: Exec,
        again: impl Fn(&Exec) -> Option<Exec>,
        limit: u32,
    ) -> Result<Output, Trouble> {
        let mut tries = 0;
        loop {
            match self.attempt(lease, exec.clone()).await {
                Err(e @ (TransportError::Lost { .. } | TransportError::Unreachable { .. })) => {
                    tries += 1;
                    // A host that was never reached for this command fails at once; a running command is waited for.
                    let running = matches!(e, TransportError::Lost { .. }) || tries > 1;
                    if !running {
                        return Err(e.into());
                    }
                    if tries > limit || self.shared.halt.is_urgent() {
                        return Err(Trouble::Lost(e.to_string()));
                    }
                    let text = format!(
                        "connection to {} lost while a {}command runs there; looking for it again",
                        self.host,
                        if exec.durable.is_some() { "long " } else { "" }
                    );
                    self.shared.emit(Event::Warning(text)).await;
                    self.shared.pool.forget(&self.reach.spec).await;
                    *lease = None;
                    exec = again(&exec).unwrap_or(exec);
                    if exec.durable.is_none() && self.timeout.is_some() {
                        exec.timeout = self.left();
                    }
                    tokio::time::sleep(if tries == 1 { Duration::from_millis(200) } else { REATTACH_WAIT })
                        .await;
                }
                // A connection that cannot be made again leaves open what became of the command.
                Err(e) if tries > 0 && !matches!(e, TransportError::Timeout { .. }) => {
                    return Err(Trouble::Lost(e.to_string()));
                }
                other => return Ok(other?),
            }
        }
    }

    /// Removes what a finished long command left on its target. When that fails the next look there does it.
    async fn forget_job(&self, lease: &mut Option<Lease>, id: &DurableId) {
        if let Some(lease) = lease
            && let Err(e) = durable::confirm(lease.session(), id).await
        {
            self.shared.emit(Event::Warning(format!("{}: {e}", self.host))).await;
        }
    }
}

/// Writes a fetched file: exclusive temporary file beside it, then rename.
pub(super) fn save(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let fail =
        |what: &str, e: std::io::Error| Failure::new(format!("cannot {what} \"{}\": {e}", path.display()));
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| fail("make the folder of", e))?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|e| fail("create", e))?;
    file.write_all(bytes).map_err(|e| fail("write", e))?;
    file.as_file().sync_all().map_err(|e| fail("write", e))?;
    let permissions = std::fs::Permissions::from_mode(mode.unwrap_or(0o644));
    file.as_file().set_permissions(permissions).map_err(|e| fail("set the mode of", e))?;
    file.persist(path).map_err(|e| fail("rename to", e.error))?;
    Ok(())
}

/// The mark of lines that scripts print for people while they run.
pub const PROGRESS_MARK: &str = "xplay:progress ";
/// Longer lines are cut before they are shown.
const MAX_LINE: usize = 400;

/// Which lines of a running script are shown as its progress.
#[derive(Clone, Copy)]
enum Lines {
    None,
    Marked,
    All,
}

/// Turns output of a running script into progress events.
struct ProgressSink {
    shared: Arc<Shared>,
    host: Arc<str>,
    shown: Lines,
    partial: Vec<u8>,
    long: Option<LongOutput>,
}

impl ProgressSink {
    fn new(shared: Arc<Shared>, host: Arc<str>, shown: Lines) -> Self {
        ProgressSink { shared, host, shown, partial: Vec::new(), long: None }
    }

    fn line(&mut self) {
        let text = String::from_utf8_lossy(&self.partial);
        let text = text.trim_end();
        let shown = match (self.shown, text.strip_prefix(PROGRESS_MARK)) {
            (Lines::None, _) | (Lines::Marked, None) => "",
            (_, Some(marked)) => marked,
            (Lines::All, None) => text,
        };
        if !shown.is_empty() {
            // A full queue loses a line for people, never holds up the host.
            let _ = self
                .shared
                .events
                .try_send(Event::Progress { host: self.host.clone(), line: shown.to_string() });
        }
        self.partial.clear();
    }
}

impl OutputSink for ProgressSink {
    fn cut(&mut self, stream: Stream, kept: &[u8], rest: &[u8]) {
        if let Some(long) = &mut self.long {
            long.more(stream, kept, rest);
        }
    }

    fn notice(&mut self, text: &str) {
        let _ = self.shared.events.try_send(Event::Warning(format!("{}: {text}", self.host)));
    }

    fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        if stream != Stream::Stdout {
            return;
        }
        for &b in bytes {
            if b == b'\n' || b == b'\r' {
                self.line();
            } else if self.partial.len() < MAX_LINE {
                self.partial.push(b);
            }
        }
    }
}
