//! [`Session`] over any [`Opener`]: opens the shell, runs frames, stops what is late, opens again what broke.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use super::channel::{Event, Opener, RawChannel};
use super::drive::{Driven, MOST_SEEN, Why, drive};
use super::frame::{Frame, Place, random_hex};
use super::guard::PasswordGuard;
use super::launch::{Asker, Launch};
use super::patience::{NO_SIGN, SIGN_OF_LIFE, within_load};
use super::shell::{
    CAPABILITIES, FRAME_FUNCTIONS, known_tools, private_directory, stop_group, take_function,
};
use super::{
    BecomeSpec, BoxFuture, Capabilities, ExactRead, Exec, NullSink, Output, OutputSink, Session, StatFlavour,
    TransportError,
};

/// How long a shell may take to answer its first scripts.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// How long stopping a process group may take, its own two seconds of patience included.
const STOPPING: Duration = Duration::from_secs(15);

/// How long a closing shell may take to clean up.
const CLOSING: Duration = Duration::from_secs(3);

/// What is the same for all sessions of a connection.
#[derive(Clone)]
pub(super) struct Shared {
    pub host: String,
    pub shell: String,
    pub prelude: Arc<str>,
    pub opener: Arc<dyn Opener>,
    /// How long the shell may take to appear, password prompts included.
    pub launch_timeout: Duration,
    pub guard: Arc<PasswordGuard>,
}

/// A persistent shell that takes frames.
pub(super) struct FramedSession {
    pub(super) shared: Shared,
    r#become: Option<BecomeSpec>,
    /// Names the private directory; kept when the shell is opened again.
    tmp_token: String,
    chan: Option<Open>,
    /// A shell whose script was cut off by a timeout or by a call that was dropped.
    leftover: Option<Leftover>,
    caps: Capabilities,
}

/// A shell that waits for frames.
struct Open {
    chan: RawChannel,
    ready: String,
    jobs_installed: bool,
}

#[derive(Clone)]
struct Leftover {
    shell_pid: u32,
    group: u32,
    ready: String,
}

impl FramedSession {
    pub async fn open(shared: Shared, r#become: Option<BecomeSpec>) -> Result<Self, TransportError> {
        let tmp_token = random_hex()?;
        let caps = Capabilities::default();
        let mut session = Self { shared, r#become, tmp_token, chan: None, leftover: None, caps };
        let open = session.start().await?;
        session.chan = Some(open);
        Ok(session)
    }

    /// Opens a session for a connection whose own user is `own`: becoming that one takes no other shell.
    pub async fn of_connection(
        shared: Shared,
        own: &str,
        r#become: Option<&BecomeSpec>,
    ) -> Result<Box<dyn Session>, TransportError> {
        let other = r#become.filter(|b| b.user != own).cloned();
        Ok(Box::new(Self::open(shared, other).await?))
    }

    /// Starts a shell and brings it to the point where it takes frames.
    async fn start(&mut self) -> Result<Open, TransportError> {
        let (chan, ready) = self.launch().await?;
        let mut open = Open { chan, ready, jobs_installed: false };
        let functions = format!("{FRAME_FUNCTIONS}{}", private_directory(&self.tmp_token));
        self.raw_write(&mut open, functions.as_bytes()).await?;
        let ask = Exec::new(CAPABILITIES).timeout(FIRST_ANSWER).looking();
        let answer = self.first(&mut open, Frame::new(ask, Place::Subshell, ExactRead::Builtin)?).await?;
        self.caps = parse_capabilities(&answer.stdout_text());
        let known = [take_function(self.caps.has.exact_read), known_tools(self.caps.has.stat)].concat();
        self.raw_write(&mut open, known.as_bytes()).await?;
        if !self.shared.prelude.is_empty() {
            let prelude = Exec::new(&*self.shared.prelude).timeout(FIRST_ANSWER);
            let frame = Frame::new(prelude, Place::Loop, self.caps.has.exact_read)?;
            let answer = self.first(&mut open, frame).await?;
            if answer.rc != 0 {
                let reason = format!("the shell refused the prelude: {}", answer.stderr_text().trim_end());
                return Err(TransportError::Protocol { reason });
            }
        }
        open.chan.listen(false);
        Ok(open)
    }

    async fn launch(&self) -> Result<(RawChannel, String), TransportError> {
        let shared = &self.shared;
        let launch = Launch::new(&shared.host, &shared.shell, self.r#become.as_ref(), &random_hex()?)?;
        let mut chan = shared.opener.open(&launch.command).await?;
        let asker = Asker { host: &shared.host, r#become: self.r#become.as_ref(), guard: &shared.guard };
        launch.greet(&mut chan, &asker, shared.launch_timeout).await?;
        Ok((chan, launch.ready))
    }

    async fn raw_write(&self, open: &mut Open, bytes: &[u8]) -> Result<(), TransportError> {
        let written = async {
            open.chan.stdin.write_all(bytes).await?;
            open.chan.stdin.flush().await
        };
        written.await.map_err(|e| self.unreachable(format!("the shell takes no input: {e}")))
    }

    /// Runs one of the frames that make a shell usable; whatever goes wrong, no caller's script was sent.
    async fn first(&self, open: &mut Open, frame: Frame) -> Result<Output, TransportError> {
        let Driven { outputs, stopped } = drive(&mut open.chan, &[frame], &mut NullSink).await;
        match (outputs.into_iter().next(), stopped.map(|s| s.why)) {
            (Some(output), _) => Ok(output),
            (None, Some(Why::Ended(reason))) => Err(self.unreachable(format!("the shell ended: {reason}"))),
            (None, Some(Why::Local(e))) => Err(e),
            (None, Some(Why::Flood)) => Err(self.unreachable("its shell prints without end".into())),
            (None, Some(Why::Late(_)) | None) => Err(self.unreachable("the shell does not answer".into())),
        }
    }

    fn unreachable(&self, reason: String) -> TransportError {
        TransportError::Unreachable { host: self.shared.host.clone(), reason }
    }

    /// Returns a shell that waits for frames, opened again where needed.
    async fn take_open(&mut self) -> Result<Open, TransportError> {
        self.stop_leftover().await.map_err(|reason| {
            self.unreachable(format!("an earlier script may still run and cannot be stopped: {reason}"))
        })?;
        if let Some(mut open) = self.chan.take()
            && open.chan.drain().is_none()
        {
            return Ok(open);
        }
        self.start().await
    }

    /// Stops the processes of a shell that was given up.
    async fn stop_leftover(&mut self) -> Result<(), String> {
        let Some(leftover) = self.leftover.clone() else { return Ok(()) };
        let Leftover { shell_pid, group, ready } = &leftover;
        if *group <= 1 || *shell_pid <= 1 {
            self.leftover = None;
            return Err("the target does not tell its process group".into());
        }
        let line = stop_group(*shell_pid, *group, ready, &self.tmp_token);
        let (there, answers) = oneshot::channel();
        let stopping = end_group(self.shared.clone(), self.r#become.clone(), line, there);
        // It goes on by itself when nobody waits for it any more.
        let stopping = tokio::spawn(tokio::time::timeout(STOPPING, stopping));
        if within_load(SIGN_OF_LIFE, answers).await.is_none() {
            return Err(NO_SIGN.into());
        }
        match stopping.await {
            Ok(Ok(Ok(()))) => {
                self.leftover = None;
                Ok(())
            }
            Ok(Ok(Err(reason))) => Err(reason),
            Ok(Err(_)) => Err(format!("no answer within {} s", STOPPING.as_secs())),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Runs plain frames, all sent at once; one result for each.
    pub(super) async fn run(
        &mut self,
        reqs: Vec<Exec>,
        sink: &mut dyn OutputSink,
    ) -> Vec<Result<Output, TransportError>> {
        let count = reqs.len();
        let mut open = match self.take_open().await {
            Ok(open) => open,
            Err(e) => return self.none_ran(e, count),
        };
        let take = self.caps.has.exact_read;
        let frames: Result<Vec<Frame>, _> = reqs
            .into_iter()
            .map(|req| {
                let place = Place::of(&req);
                Frame::new(req, place, take)
            })
            .collect();
        let frames = match frames {
            Ok(frames) => frames,
            Err(e) => {
                self.chan = Some(open);
                return self.none_ran(e, count);
            }
        };
        open.chan.listen(true);
        // From here to the end a dropped future leaves a script running: the note is taken first.
        self.leftover = Some(Leftover {
            shell_pid: self.caps.shell_pid,
            group: self.caps.process_group,
            ready: open.ready.clone(),
        });
        let Driven { outputs, stopped } = drive(&mut open.chan, &frames, sink).await;
        let Some(stopped) = stopped else {
            open.chan.listen(false);
            self.leftover = None;
            self.chan = Some(open);
            return outputs.into_iter().map(Ok).collect();
        };
        let ended = outputs.len();
        let first = match stopped.why {
            Why::Ended(reason) => {
                self.leftover = None;
                if stopped.started > ended { self.lost(&reason) } else { self.unreachable(reason) }
            }
            Why::Late(after) => {
                drop(open);
                let still = self.stop_leftover().await.err();
                TransportError::Timeout { what: format!("a script on {}", self.shared.host), after, still }
            }
            Why::Flood => {
                drop(open);
                // What is wrong with the host is told in any case.
                let _ = self.stop_leftover().await;
                let (host, most) = (&self.shared.host, MOST_SEEN >> 20);
                TransportError::Protocol {
                    reason: format!("{host} prints more than {most} MiB where it is only looked at"),
                }
            }
            Why::Local(e) => {
                drop(open);
                // The script got an incomplete stdin; what stopping it says would hide the reason.
                let _ = self.stop_leftover().await;
                e
            }
        };
        let mut results: Vec<_> = outputs.into_iter().map(Ok).collect();
        results.push(Err(first));
        for index in ended + 1..count {
            results.push(Err(if index < stopped.started {
                self.lost("an earlier script of the batch did not end")
            } else {
                self.unreachable("an earlier script of the batch did not end".into())
            }));
        }
        results
    }

    fn lost(&self, reason: &str) -> TransportError {
        TransportError::Lost { host: self.shared.host.clone(), reason: reason.into() }
    }

    fn none_ran(&self, first: TransportError, count: usize) -> Vec<Result<Output, TransportError>> {
        let mut results = vec![Err(first)];
        for _ in 1..count {
            results.push(Err(self.unreachable("the batch was not sent".into())));
        }
        results.truncate(count);
        results
    }

    /// Runs one plain frame.
    pub(super) async fn run_one(
        &mut self,
        req: Exec,
        sink: &mut dyn OutputSink,
    ) -> Result<Output, TransportError> {
        let result = self.run(vec![req], sink).await.pop();
        result.unwrap_or_else(|| Err(self.unreachable("nothing was sent".into())))
    }

    /// Defines functions in the session's own shell, once for each time that it is opened.
    pub(super) async fn install_jobs(&mut self, functions: &str) -> Result<(), TransportError> {
        let mut open = self.take_open().await?;
        if !open.jobs_installed {
            open.chan.listen(true);
            let req = Exec::new(functions).timeout(FIRST_ANSWER);
            let frame = Frame::new(req, Place::Loop, self.caps.has.exact_read)?;
            self.first(&mut open, frame).await?;
            open.chan.listen(false);
            open.jobs_installed = true;
        }
        self.chan = Some(open);
        Ok(())
    }

    async fn shut(mut self) {
        // Nobody is left to be told; the target's shell cleans up by itself when its stdin ends.
        let _ = self.stop_leftover().await;
        let Some(mut open) = self.chan.take() else { return };
        let closing = async {
            if open.chan.stdin.shutdown().await.is_ok() {
                // A pipe ends only when it is closed.
                open.chan.stdin = Box::new(tokio::io::sink());
                while !matches!(open.chan.events.recv().await, Some(Event::End(_)) | None) {}
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

/// Ends a process group by a shell of its own. Says that the host is there as soon as that shows.
async fn end_group(
    shared: Shared,
    r#become: Option<BecomeSpec>,
    line: String,
    there: oneshot::Sender<()>,
) -> Result<(), String> {
    let ending = async {
        let launch = Launch::new(&shared.host, &shared.shell, r#become.as_ref(), &random_hex()?)?;
        let mut chan = shared.opener.open(&launch.command).await?;
        let mut there = Some(there);
        // Nobody waits any more: that is no reason to stop.
        let mut tell = || there.take().map(|there| there.send(()));
        if shared.opener.shows_life() {
            tell();
        }
        let asker = Asker { host: &shared.host, r#become: r#become.as_ref(), guard: &shared.guard };
        launch.greet(&mut chan, &asker, shared.launch_timeout).await?;
        tell();
        Ok::<_, TransportError>(chan)
    };
    let mut chan = ending.await.map_err(|e| e.to_string())?;
    chan.stdin.write_all(line.as_bytes()).await.map_err(|e| e.to_string())?;
    chan.stdin.flush().await.map_err(|e| e.to_string())?;
    while !matches!(chan.events.recv().await, Some(Event::End(_)) | None) {}
    Ok(())
}

impl Session for FramedSession {
    fn exec<'a>(
        &'a mut self,
        req: Exec,
        sink: &'a mut dyn OutputSink,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        match req.durable.clone() {
            Some(id) => Box::pin(self.run_durable(id, req, sink)),
            None => Box::pin(self.run_one(req, sink)),
        }
    }

    fn exec_all(&mut self, reqs: Vec<Exec>) -> BoxFuture<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(async move {
            if reqs.iter().all(|r| r.durable.is_none()) {
                return self.run(reqs, &mut NullSink).await;
            }
            let mut results = Vec::with_capacity(reqs.len());
            for req in reqs {
                results.push(self.exec(req, &mut NullSink).await);
            }
            results
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(self.shut())
    }
}

/// Reads what [`CAPABILITIES`] printed.
pub(super) fn parse_capabilities(text: &str) -> Capabilities {
    let mut caps = Capabilities::default();
    for (name, value) in text.lines().filter_map(|l| l.split_once('=')) {
        let number = || value.trim().parse().unwrap_or(0);
        match name {
            "id" => (caps.uid, caps.user) = parse_id(value),
            "home" => caps.home = value.into(),
            "uname" => {
                let mut words = value.split_whitespace().map(String::from);
                caps.kernel = words.next().unwrap_or_default();
                caps.node = words.next().unwrap_or_default();
                caps.release = words.next().unwrap_or_default();
                caps.machine = words.next().unwrap_or_default();
            }
            "pid" => caps.shell_pid = number(),
            "pgid" => caps.process_group = number(),
            "stat" if value == "gnu" => caps.has.stat = StatFlavour::Gnu,
            "stat" => caps.has.stat = StatFlavour::Busybox,
            "take" if value == "head" => caps.has.exact_read = ExactRead::Head,
            "take" => caps.has.exact_read = ExactRead::Dd,
            "has" => match value {
                "sha256sum" => caps.has.sha256sum = true,
                "base64" => caps.has.base64 = true,
                "setsid" => caps.has.setsid = true,
                "python3" => caps.has.python3 = true,
                "systemctl" => caps.has.systemctl = true,
                "selinux" => caps.has.selinux = true,
                _ => {}
            },
            _ => {}
        }
    }
    caps
}

/// Reads `uid=NUMBER(NAME) ...`; an account may have no name.
fn parse_id(text: &str) -> (u32, String) {
    let effective = text.split_once("euid=").or_else(|| text.split_once("uid="));
    let Some((_, rest)) = effective else { return (u32::MAX, String::new()) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let name = rest[digits..].strip_prefix('(').and_then(|named| named.split_once(')'));
    (rest[..digits].parse().unwrap_or(u32::MAX), name.map_or_else(String::new, |(name, _)| name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_counts() {
        let check =
            |text: &str, uid: u32, user: &str| assert_eq!(parse_id(text), (uid, user.to_string()), "{text}");
        check("uid=0(root) gid=0(root) groups=0(root)", 0, "root");
        check("uid=70123 gid=100(users)", 70123, "");
        check("uid=5(a) gid=5(a) euid=0(root) groups=5(a)", 0, "root");
        check("", u32::MAX, "");
    }

    #[test]
    fn capabilities_are_read_from_lines() {
        let text = "id=uid=0(root) gid=0(root)\nhome=/root\nuname=Linux mn1 5.14.0-1 ppc64le\npid=77\npgid= 70\nhas=setsid\n\
                    has=unheard-of\nstat=gnu\ntake=dd\nnoise\n";
        let caps = parse_capabilities(text);
        assert_eq!((caps.uid, &*caps.user, &*caps.home), (0, "root", "/root"));
        assert_eq!((&*caps.kernel, &*caps.node, &*caps.machine), ("Linux", "mn1", "ppc64le"));
        assert_eq!((caps.shell_pid, caps.process_group), (77, 70));
        assert!(caps.has.setsid && !caps.has.base64);
        assert_eq!((caps.has.stat, caps.has.exact_read), (StatFlavour::Gnu, ExactRead::Dd));
        assert_eq!(parse_capabilities("").has.exact_read, ExactRead::Builtin);
    }
}
