//! Commands that must not run twice: each leaves a mark on its target, which tells what became of it.
//!
//! The mark is made by the same script that runs the command, so it costs no round trip. A script that is sent again
//! finds it: it waits for the end of a command that still runs, prints the outputs of one that ended, and says so when
//! nobody can know the outcome.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::journal::Left;
use super::login::Reach;
use super::result::Trouble;
use super::shared::{Shared, lock};
use crate::modules::sh::q;
use crate::transport::{DurableId, Exec, NullSink, Output, durable, within_load};

/// What a script ends with that found a mark without an outcome.
const UNKNOWN_RC: i32 = 213;
/// How long removing the marks of a host may take.
const CLEANING: Duration = Duration::from_secs(10);
/// Marks that are removed together.
const AT_ONCE: usize = 25;
/// Hosts whose marks are removed at the same time at the end of a run.
const HOSTS_AT_ONCE: usize = 64;

/// Whether a command may have been sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    First,
    Again,
}

/// Something that a step left on a target until its verdict is safe.
pub struct Leftover {
    reach: Reach,
    what: What,
}

/// What is left.
enum What {
    Mark(String),
    Job(DurableId),
}

/// A command that is to run once.
pub struct Once {
    run: String,
    name: String,
    token: String,
}

impl Once {
    /// `run` and `name` are plain words; `name` tells commands of a run apart.
    ///
    /// The token is the same for all hosts of a task, so that one script can go to many of them. A command that takes
    /// the trouble to print it can only call itself lost.
    pub fn new(run: &str, name: &str) -> Self {
        let digest = Sha256::digest(format!("once {run} {name}"));
        Once { run: run.into(), name: name.into(), token: crate::modules::hex(&digest[..8]) }
    }

    /// Returns what runs a script with a mark around it. `old` are marks that are needed no more.
    ///
    /// A script without content runs below the session's own shell, which is known already and spares a process; it has to
    /// be whole, because a shell ends by what it cannot read.
    pub fn wrap(&self, exec: &Exec, script: &str, sending: Sending, old: &[String]) -> Exec {
        let again = match sending {
            Sending::First => "first",
            Sending::Again => "again",
        };
        let forget = if old.is_empty() {
            String::new()
        } else {
            format!("xp_once_forget {} {}\n", self.run, old.join(" "))
        };
        let (shell, stdin) = if exec.stdin.is_none() { (" shell", " </dev/null") } else { ("", "") };
        let script = format!(
            "xp_once {} {} {} {again}{shell}\n{forget}if [ -z \"$xp_once_rc\" ]; then (\nset --\nxp_once_to\n{script}\n){stdin}\n\
             xp_once_end $?; else xp_once_end; fi\n",
            q(&self.run),
            q(&self.name),
            self.token
        );
        Exec { script, own_shell: exec.stdin.is_none(), ..exec.clone() }
    }

    /// Judges an output: a mark without an outcome is no result.
    pub fn judge(&self, output: Output, host: &str) -> Result<Output, Trouble> {
        let why = output.stderr_text();
        let Some(why) = why.strip_prefix(&self.token).map(str::trim).filter(|_| output.rc == UNKNOWN_RC)
        else {
            return Ok(output);
        };
        let what = match why {
            "rebooted" => format!("{host} was started anew in the middle of it"),
            "died" => "it ended without an exit code".to_string(),
            _ => "the mark of it cannot be read".to_string(),
        };
        Err(Trouble::Lost(format!("the command was sent, and its outcome is unknown: {what}")))
    }
}

impl Shared {
    /// Remembers everything that was sent for a step.
    pub fn leave_all(&self, step: &str, reach: &Reach, left: &Left) {
        let marks = left.marks.iter().map(|name| What::Mark(name.clone()));
        // A name that is none was never used on a target.
        let jobs = left.jobs.iter().filter_map(|name| DurableId::new(name).ok()).map(What::Job);
        let mut leftovers = lock(&self.leftovers);
        let own = leftovers.entry(step.to_string()).or_default();
        own.extend(marks.chain(jobs).map(|what| Leftover { reach: reach.clone(), what }));
    }

    /// Tidies up after a step whose verdict is written: jobs at once, marks with the next command there, or at once too where
    /// the connection is about to be closed for another host.
    pub async fn tidy(&self, step: &str) {
        let left = lock(&self.leftovers).remove(step).unwrap_or_default();
        for Leftover { reach, what } in left {
            match what {
                What::Mark(name) => {
                    // Where homes are shared, another host that begins just then may have to do without a mark.
                    if self.pool.is_full() && self.is_settled().await {
                        self.forget_marks(&reach, std::slice::from_ref(&name)).await;
                        continue;
                    }
                    let place = place(&reach);
                    let mut old = lock(&self.old_marks);
                    old.entry(place).or_insert_with(|| (reach, Vec::new())).1.push(name);
                }
                What::Job(id) => {
                    // Without a verdict that is safe the job is all that tells the outcome.
                    if self.journal.is_none() || self.is_settled().await {
                        self.forget_job(&reach, &id).await;
                    }
                }
            }
        }
    }

    /// Whether all verdicts so far are safe in the journal.
    async fn is_settled(&self) -> bool {
        match &self.journal {
            Some(journal) => journal.settle().await.is_ok(),
            None => false,
        }
    }

    /// Removes marks from a host. One that does not answer any more keeps them; nobody else uses their names.
    async fn forget_marks(&self, reach: &Reach, names: &[String]) {
        let run = q(&self.run_id);
        let script: String = names
            .chunks(AT_ONCE)
            .map(|names| format!("xp_once_forget {run} {}\n", names.join(" ")))
            .chain([format!("xp_once_leave {run}\n")])
            .collect();
        let removing = async {
            let Ok(mut lease) = self.pool.session(&reach.spec, reach.r#become.as_ref()).await else { return };
            if lease.session().exec(Exec::new(script), &mut NullSink).await.is_ok() {
                lease.done();
            }
        };
        within_load(CLEANING, removing).await;
    }

    /// Takes the marks that are needed no more where a command is about to run.
    pub fn old_marks(&self, reach: &Reach) -> Vec<String> {
        let mut old = lock(&self.old_marks);
        let Some((_, names)) = old.get_mut(&place(reach)) else { return Vec::new() };
        if names.len() < AT_ONCE {
            return Vec::new();
        }
        names.split_off(names.len() - AT_ONCE)
    }

    /// A job whose directory cannot be removed now stays: its name is not used again.
    async fn forget_job(&self, reach: &Reach, id: &DurableId) {
        let Ok(mut lease) = self.pool.session(&reach.spec, reach.r#become.as_ref()).await else { return };
        if durable::confirm(lease.session(), id).await.is_ok() {
            lease.done();
        }
    }

    /// Removes all marks that are left on targets at the end of a run.
    pub async fn remove_marks(self: &Arc<Self>) {
        if !self.is_settled().await {
            return;
        }
        let mut places: Vec<(Reach, Vec<String>)> = lock(&self.old_marks)
            .drain()
            .map(|(_, left)| left)
            .filter(|(_, names)| !names.is_empty())
            .collect();
        // Hosts that must be connected to again take the places of others, which then need theirs no more.
        places.sort_by_cached_key(|(reach, _)| !self.pool.is_open(&reach.spec));
        let mut removing = tokio::task::JoinSet::new();
        for (reach, names) in places {
            if removing.len() >= HOSTS_AT_ONCE {
                removing.join_next().await;
            }
            let shared = self.clone();
            removing.spawn(async move { shared.forget_marks(&reach, &names).await });
        }
        while removing.join_next().await.is_some() {}
    }
}

/// Where marks are: on a host, in the home of a user.
pub(super) fn place(reach: &Reach) -> String {
    let spec = &reach.spec;
    let who = reach.r#become.as_ref().map(|b| format!("{}:{}", b.method, b.user)).unwrap_or_default();
    format!("{} {} {who}", spec.host, spec.user.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::sh::PRELUDE;
    use crate::transport::Content;

    /// Runs the scripts one after the other in one shell, as a session's own does.
    fn run(home: &std::path::Path, execs: &[&Exec]) -> Vec<String> {
        let frame = |exec: &&Exec| format!("{}\necho rc $?\n", exec.script);
        let text = format!("{PRELUDE}\n{}", execs.iter().map(frame).collect::<String>());
        let mut sh = std::process::Command::new("sh");
        let output = sh.arg("-c").arg(text).env("HOME", home).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect()
    }

    #[test]
    fn a_command_that_was_done_tells_what_it_did() {
        let home = tempfile::tempdir().unwrap();
        let once = Once::new("run", "command");
        let script = format!("echo done >>{}; echo said; exit 3", home.path().join("log").display());
        let [first, again] =
            [Sending::First, Sending::Again].map(|sending| once.wrap(&Exec::new(""), &script, sending, &[]));
        assert_eq!(run(home.path(), &[&first, &again]), ["said", "rc 3", "said", "rc 3"]);
        // By another shell too.
        assert_eq!(run(home.path(), &[&again]), ["said", "rc 3"]);
        assert_eq!(std::fs::read_to_string(home.path().join("log")).unwrap(), "done\n");
    }

    /// A shell reads what surrounds each command byte by byte, and starts a process for each bracket.
    #[test]
    fn a_command_costs_little_more_than_itself() {
        let once = Once::new("run", "command");
        let plain = once.wrap(&Exec::new(""), "exec true", Sending::First, &[]);
        assert!(plain.own_shell && plain.script.len() < 220, "{}", plain.script);
        assert_eq!(plain.script.matches("(\n").count(), 1, "{}", plain.script);
        // Content comes on the shell's own stdin.
        let fed = Exec::new("").stdin(Content::bytes(*b"x"));
        assert!(!once.wrap(&fed, "cat", Sending::First, &[]).own_shell);
    }
}
