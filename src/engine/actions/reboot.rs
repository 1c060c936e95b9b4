//! `reboot`: restarts a host and waits until it is there again, with another boot id.

use std::time::{Duration, Instant};

use crate::engine::item::ItemRun;
use crate::engine::journal::Sent;
use crate::engine::login::Reach;
use crate::engine::result::{TaskResult, Trouble};
use crate::modules::{self, Args, Failure};
use crate::transport::{Exec, Kind, NullSink, Output, TransportError, quote};
use crate::value::{Map, Value};

/// The longest wait between two looks.
const MAX_PAUSE: Duration = Duration::from_secs(12);

pub async fn reboot(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let spec = modules::spec("reboot").ok_or_else(|| Trouble::msg("reboot has no arguments"))?;
    let args = spec.check(given)?;
    let (reach, delegated) = item.reach()?;
    if reach.spec.kind == Kind::Local {
        return Err(failed("Running reboot with local connection would reboot the control node.", 0, false));
    }
    let mut result = Map::from_iter([("elapsed", Value::from(0)), ("rebooted", Value::from(true))]);
    result.insert("changed", true);
    let mut done = TaskResult::new(crate::engine::Status::Changed, result);
    done.delegated = delegated;
    if item.check()? {
        return Ok(done);
    }
    let mut host = Host { item, reach };
    let now = host.boot_id(&args).await.map_err(|reason| failed(&reason.text(), 0, false))?;
    let started = Instant::now();
    let step = item.stepped(0);
    let earlier = item.earlier.as_ref().and_then(|earlier| earlier.open.as_ref()?.boot.clone());
    // A reboot that an earlier part of the run began is not begun again.
    let rebooted = earlier.as_ref().is_some_and(|boot| *boot != now);
    let before = earlier.unwrap_or(now);
    if let Some(step) = &step {
        step.announce(&Sent { boot: Some(before.clone()), ..step.sent() }).await?;
    }
    let sent = match rebooted {
        true => Ok(Output::default()),
        false => host.exec(command(&args), None).await,
    };
    match sent {
        Ok(output) if output.rc != 0 => {
            let text = format!(
                "Reboot command failed. Error was: '{}, {}'",
                output.stdout_text().trim(),
                output.stderr_text().trim()
            );
            return Err(failed(&text, started.elapsed().as_secs(), false));
        }
        // A host that goes down at once has no time to answer.
        Ok(_) | Err(TransportError::Lost { .. } | TransportError::Unreachable { .. }) => {}
        Err(other) => return Err(other.into()),
    }
    let number = |name: &str| u64::try_from(args.int(name).unwrap_or(0).max(0)).unwrap_or(0);
    let delay = args.float("post_reboot_delay").unwrap_or(0.0).max(0.0);
    tokio::time::sleep(Duration::try_from_secs_f64(delay).unwrap_or_default()).await;
    if let Some(secs) = args.int("connect_timeout").and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0) {
        host.reach.spec.connect_timeout = Some(Duration::from_secs(secs));
    }
    let limit = Duration::from_secs(number("reboot_timeout"));
    host.wait(&args, Some(&before), limit, "last boot time check")
        .await
        .map_err(|text| failed(&text, started.elapsed().as_secs(), true))?;
    host.wait(&args, None, limit, "post-reboot test command")
        .await
        .map_err(|text| failed(&text, started.elapsed().as_secs(), true))?;
    done.result.insert("elapsed", started.elapsed().as_secs());
    Ok(done)
}

fn failed(text: &str, elapsed: u64, rebooted: bool) -> Trouble {
    Failure::new(text).with("elapsed", elapsed).with("rebooted", rebooted).into()
}

/// Returns the script that starts the reboot.
fn command(args: &Args) -> String {
    let paths: Vec<String> = args.texts("search_paths").iter().map(|p| quote(p)).collect();
    let find = |program: &str| {
        format!(
            "xp_c=\nfor xp_p in {}; do if [ -x \"$xp_p\"/{program} ]; then xp_c=$xp_p/{program}; break; fi; done\n\
             [ -n \"$xp_c\" ] || xp_fail \"Unable to find command \\\"{program}\\\" in search paths: \"{}\n",
            paths.join(" "),
            quote(&args.texts("search_paths").join(", "))
        )
    };
    if let Some(given) = args.str("reboot_command") {
        let (program, rest) = given.split_once(' ').unwrap_or((given, ""));
        if program.starts_with('/') {
            return format!("exec {given}\n");
        }
        return format!("{}exec \"$xp_c\" {rest}\n", find(&quote(program)));
    }
    let delay = args.int("pre_reboot_delay").unwrap_or(0).max(0) / 60;
    let msg = quote(args.str("msg").unwrap_or_default());
    format!(
        "if [ -e /etc/alpine-release ]; then\n{}exec \"$xp_c\"\nfi\n{}if [ -e /etc/void-release ]; then exec \"$xp_c\" -r +{delay} {msg}; fi\nexec \"$xp_c\" -r {delay} {msg}\n",
        find("reboot"),
        find("shutdown")
    )
}

struct Host<'a> {
    item: &'a ItemRun,
    reach: Reach,
}

impl Host<'_> {
    async fn exec(&self, script: String, limit: Option<Duration>) -> Result<Output, TransportError> {
        let pool = &self.item.shared.pool;
        let mut lease = pool.session(&self.reach.spec, self.reach.r#become.as_ref()).await?;
        let mut exec = Exec::new(script);
        if let Some(limit) = limit {
            exec = exec.timeout(limit);
        }
        let output = lease.session().exec(exec, &mut NullSink).await?;
        lease.done();
        Ok(output)
    }

    /// Returns what tells one boot from another.
    async fn boot_id(&self, args: &Args) -> Result<String, NoAnswer> {
        let command = args.str("boot_time_command").unwrap_or_default();
        let limit = Some(Duration::from_secs(60));
        let output = self.exec(format!("{command}\n"), limit).await?;
        if output.rc != 0 {
            return Err(NoAnswer::Yet(format!(
                "reboot: failed to get host boot time info, rc: {}, stdout: {}, stderr: {}",
                output.rc,
                output.stdout_text().trim(),
                output.stderr_text().trim()
            )));
        }
        Ok(output.stdout_text().trim().to_string())
    }

    /// Looks again and again: for another boot id than before, or for a test command that succeeds.
    async fn wait(
        &self,
        args: &Args,
        before: Option<&str>,
        limit: Duration,
        what: &str,
    ) -> Result<(), String> {
        let started = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            // Sessions of before the reboot are of no use, and it may be up still as it was.
            self.item.shared.pool.started_anew(&self.reach.spec.host);
            self.item.shared.pool.forget(&self.reach.spec).await;
            let looked = match before {
                Some(before) => self.boot_id(args).await.map(|now| !now.is_empty() && now != before),
                None => {
                    let test = format!("{}\n", args.str("test_command").unwrap_or("whoami"));
                    let limit = Some(limit.max(Duration::from_secs(1)));
                    self.exec(test, limit).await.map(|output| output.rc == 0).map_err(NoAnswer::from)
                }
            };
            match looked {
                Ok(true) => return Ok(()),
                // It is there, and it is not the host that we know: waiting makes it no better.
                Err(NoAnswer::Stranger(text)) => return Err(text),
                Ok(false) | Err(NoAnswer::Yet(_)) => {}
            }
            if started.elapsed() + pause > limit {
                return Err(format!("Timed out waiting for {what} (timeout={})", limit.as_secs()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Why a host did not tell what it was asked.
enum NoAnswer {
    Yet(String),
    /// It showed a key that it must not have.
    Stranger(String),
}

impl From<TransportError> for NoAnswer {
    fn from(error: TransportError) -> Self {
        let text = match error.help() {
            Some(help) => format!("{error}; {help}"),
            None => error.to_string(),
        };
        match error {
            TransportError::HostKeyChanged(_)
            | TransportError::HostKeyUnknown(_)
            | TransportError::HostKeyRevoked { .. } => NoAnswer::Stranger(text),
            _ => NoAnswer::Yet(text),
        }
    }
}

impl NoAnswer {
    fn text(self) -> String {
        match self {
            NoAnswer::Yet(text) | NoAnswer::Stranger(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let command = |pairs: &[(&str, &str)]| {
            let given: Map = pairs.iter().map(|(k, v)| (*k, *v)).collect();
            command(&modules::spec("reboot").unwrap().check(&given).unwrap())
        };
        assert_eq!(command(&[("reboot_command", "/bin/x now")]), "exec /bin/x now\n");
        let script =
            command(&[("msg", "it's time"), ("pre_reboot_delay", "150"), ("search_paths", "/a b,/sbin")]);
        let last = script.lines().last().unwrap();
        assert_eq!(last, r#"exec "$xp_c" -r 2 'it'\''s time'"#);
        assert!(script.contains("for xp_p in '/a b' '/sbin'; do if [ -x \"$xp_p\"/shutdown ];"), "{script}");
    }
}
