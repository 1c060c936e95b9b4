//! `async`: tasks that run in the background while the play goes on, and what `async_status` knows of them.
//!
//! The run that starts a job looks after it. A file on the target says how it stands, so that another run can ask too;
//! what runs there goes on when this run ends, but then nobody writes its end down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinHandle};

use super::event::{Event, Status};
use super::item::ItemRun;
use super::login::seconds;
use super::result::{TaskResult, Trouble};
use crate::modules::{Failure, sh};
use crate::value::{Map, Value, from_json, to_json_text};

/// Where the files about jobs are, unless `ansible_async_dir` says otherwise.
const DIRECTORY: &str = "~/.ansible_async";
/// How often a job is looked at that is waited for, between the looks that are reported.
const LOOK: Duration = Duration::from_millis(50);

/// The jobs that this run started.
#[derive(Default)]
pub struct Jobs {
    known: Mutex<HashMap<String, Arc<Job>>>,
    watchers: Mutex<Vec<AbortHandle>>,
}

struct Job {
    dir: String,
    ended: Arc<Mutex<Option<TaskResult>>>,
}

impl Jobs {
    fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn add(&self, id: &str, job: Arc<Job>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string(), job);
    }

    /// Stops looking after jobs that still run; on their targets they go on.
    pub fn abandon(&self) {
        for watcher in self.watchers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            watcher.abort();
        }
    }

    fn remove(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Job {
    fn ended(&self) -> Option<TaskResult> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A name such as `j123456789012.4711`.
fn new_id() -> String {
    let mut random = [0u8; 8];
    let number = match getrandom::fill(&mut random) {
        Ok(()) => u64::from_ne_bytes(random) % 1_000_000_000_000,
        // Two jobs of one process still differ by the time.
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as u64 % 1_000_000_000_000),
    };
    format!("j{number}.{}", std::process::id())
}

/// Returns how long a task may run in the background; nothing for an ordinary one.
pub fn limit(item: &ItemRun) -> Result<Option<Duration>, Trouble> {
    Ok(item.number(&item.task.async_)?.filter(|secs| *secs > 0.0).map(seconds))
}

/// Starts the item in the background, and waits for it unless `poll` is 0.
pub async fn run(item: &ItemRun, limit: Duration, attempt: u32) -> Result<TaskResult, Trouble> {
    let poll = item.number(&item.task.poll)?.unwrap_or(item.shared.options.poll_secs);
    let id = new_id();
    let dir = directory(item)?;
    let path = format!("{dir}/{id}");
    let standing = Map::from_iter([
        ("ansible_job_id", Value::str(id.as_str())),
        ("started", 1.into()),
        ("finished", 0.into()),
        ("results_file", path.clone().into()),
    ]);
    write(item, &path, &standing).await?;
    let ended: Arc<Mutex<Option<TaskResult>>> = Arc::default();
    let job = Arc::new(Job { dir, ended: ended.clone() });
    item.shared.jobs.add(&id, job.clone());
    let handle = start(item.clone(), limit, attempt, id.clone(), path.clone(), poll <= 0.0, ended);
    item.shared.jobs.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(handle.abort_handle());
    if poll <= 0.0 {
        return Ok(TaskResult::new(Status::Changed, standing));
    }
    let ended = wait(item, &job, &id, limit, poll).await;
    item.shared.jobs.remove(&id);
    erase(item, &path).await?;
    let host = item.scope.host();
    match ended {
        Some(result) => {
            let word = if result.status == Status::Failed { "FAILED" } else { "OK" };
            item.shared.emit(Event::Notice(format!("ASYNC {word} on {host}: jid={id}"))).await;
            Ok(result)
        }
        None => {
            handle.abort();
            item.shared.emit(Event::Notice(format!("ASYNC FAILED on {host}: jid={id}"))).await;
            Err(too_late(limit, standing).into())
        }
    }
}

/// Whether a result is that of a job which still runs in the background.
pub fn goes_on(result: &Map) -> bool {
    result.contains("ansible_job_id") && result.get("finished").is_some_and(|f| *f == Value::Int(0))
}

/// Looks after a job again that an earlier part of the run started.
pub fn look_after(item: &ItemRun, started: &Map) {
    let text = |name: &str| started.get(name).map(Value::to_text);
    let (Some(id), Some(path)) = (text("ansible_job_id"), text("results_file")) else { return };
    let (Ok(Some(limit)), Ok(dir)) = (limit(item), directory(item)) else { return };
    let ended: Arc<Mutex<Option<TaskResult>>> = Arc::default();
    item.shared.jobs.add(&id, Arc::new(Job { dir, ended: ended.clone() }));
    start(item.clone(), limit, 0, id, path, true, ended);
}

fn too_late(limit: Duration, standing: Map) -> Failure {
    let secs = limit.as_secs();
    Failure::new(format!("async task did not complete within the requested time - {secs}s"))
        .with("async_result", Value::map(standing))
}

fn start(
    item: ItemRun,
    limit: Duration,
    attempt: u32,
    id: String,
    path: String,
    keeps_file: bool,
    ended: Arc<Mutex<Option<TaskResult>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ran = tokio::time::timeout(limit, Box::pin(item.execute_now(attempt, None))).await;
        let mut result = match ran {
            Ok(Ok(result)) => result,
            Ok(Err(trouble)) => TaskResult::from_trouble(trouble),
            Err(_) => TaskResult::from_trouble(too_late(limit, Map::new()).into()),
        };
        for (name, value) in
            [("ansible_job_id", Value::str(id.as_str())), ("started", 1.into()), ("finished", 1.into())]
        {
            result.result.insert(name, value);
        }
        if keeps_file && let Value::Map(map) = result.registered() {
            // For other runs; this one knows the result without the file.
            let _ = write(&item, &path, &map).await;
            item.job_ended().await;
        }
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    })
}

/// Waits for the end of a job, and tells how it stands every `poll` seconds. Nothing when the time is over.
async fn wait(item: &ItemRun, job: &Job, id: &str, limit: Duration, poll: f64) -> Option<TaskResult> {
    let begin = Instant::now();
    let every = seconds(poll);
    let mut next = every;
    loop {
        if let Some(result) = job.ended() {
            return Some(result);
        }
        if begin.elapsed() >= limit {
            return None;
        }
        if begin.elapsed() >= next {
            next += every;
            let host = item.scope.host();
            let text = format!("ASYNC POLL on {host}: jid={id} started=1 finished=0");
            item.shared.emit(Event::Notice(text)).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// `async_status`.
pub async fn status(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let Some(id) = given.get("jid").map(Value::to_text).filter(|id| !id.contains('/')) else {
        return Err(Trouble::msg("missing required arguments: jid"));
    };
    let dir = directory(item)?;
    let path = format!("{dir}/{id}");
    if given.get("mode").is_some_and(|mode| mode.as_str() == Some("cleanup")) {
        erase(item, &path).await?;
        item.shared.jobs.remove(&id);
        return Ok(TaskResult::ok(Map::from_iter([
            ("ansible_job_id", Value::str(id)),
            ("erased", path.into()),
        ])));
    }
    if let Some(job) = item.shared.jobs.find(&id).filter(|job| job.dir == dir) {
        return Ok(match job.ended() {
            Some(result) => result,
            None => TaskResult::ok(Map::from_iter([
                ("ansible_job_id", Value::str(id)),
                ("started", 1.into()),
                ("finished", 0.into()),
                ("results_file", path.into()),
            ])),
        });
    }
    from_file(item, &id, &path).await
}

/// How a job of another run stands, as its file says.
async fn from_file(item: &ItemRun, id: &str, path: &str) -> Result<TaskResult, Trouble> {
    let output = shell(item, &format!("cat -- {}", expanded(path))).await;
    let text = output.ok().and_then(|r| r.result.get("stdout").map(Value::to_text));
    let parsed = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let Some(Value::Map(map)) = parsed.map(|json| from_json(&json)) else {
        return Err(Failure::new("could not find job")
            .with("ansible_job_id", id)
            .with("started", 1)
            .with("finished", 1)
            .into());
    };
    let failed = map.get("failed").is_some_and(Value::is_truthy);
    let changed = map.get("changed").is_some_and(Value::is_truthy);
    let mut result = Map::clone(&map);
    result.remove("failed");
    let status = match (failed, changed) {
        (true, _) => Status::Failed,
        (false, true) => Status::Changed,
        (false, false) => Status::Ok,
    };
    Ok(TaskResult::new(status, result))
}

fn directory(item: &ItemRun) -> Result<String, Trouble> {
    let found = item.variable("ansible_async_dir")?;
    Ok(found.map_or_else(|| DIRECTORY.to_string(), |dir| dir.to_text()))
}

/// A path as shell text; a leading `~` stands for the home on the target.
fn expanded(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("\"$HOME\"/{}", sh::q(rest)),
        None => sh::q(path),
    }
}

async fn write(item: &ItemRun, path: &str, content: &Map) -> Result<(), Trouble> {
    let file = expanded(path);
    let text = sh::q(&to_json_text(&Value::map(content.clone())));
    let script = format!("umask 077 && mkdir -p \"$(dirname -- {file})\" && printf %s {text} >{file}");
    shell(item, &script).await.map(|_| ())
}

async fn erase(item: &ItemRun, path: &str) -> Result<(), Trouble> {
    shell(item, &format!("rm -f -- {}", expanded(path))).await.map(|_| ())
}

/// Runs a script on the target of the task, check mode or not: files about jobs are no change.
async fn shell(item: &ItemRun, script: &str) -> Result<TaskResult, Trouble> {
    let (reach, _) = item.reach()?;
    let mut lease = item.shared.pool.session(&reach.spec, reach.r#become.as_ref()).await?;
    let exec = crate::transport::Exec::new(script);
    let output = lease.session().exec(exec, &mut crate::transport::NullSink).await?;
    lease.done();
    if output.rc != 0 {
        return Err(Failure::from_output(&output).into());
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(TaskResult::ok(Map::from_iter([("stdout", Value::str(stdout))])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_ansibles_do() {
        let id = new_id();
        let (number, process) = id.strip_prefix('j').and_then(|rest| rest.split_once('.')).unwrap();
        assert!(number.parse::<u64>().is_ok() && process.parse::<u32>().is_ok(), "{id}");
    }

    #[test]
    fn homes_are_those_of_the_target() {
        assert_eq!(expanded("~/.ansible_async/j1.2"), "\"$HOME\"/'.ansible_async/j1.2'");
        assert_eq!(expanded("/a b/j1.2"), "'/a b/j1.2'");
    }
}
