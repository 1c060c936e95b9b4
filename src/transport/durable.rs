//! Long commands that outlive the connection that started them.
//!
//! A job runs under a stub on its target, in its own process group where `setsid` exists, with outputs and exit code as
//! files in a private directory; what it is given has no name there. A session only tails these files, so after a lost connection another
//! session finds the job by its id and goes on. The directory stays until [`confirm`] removes it: the caller does
//! that when the result is safe on its side, because without the directory the job counts as never started.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::framed::FramedSession;
use super::patience::{NO_SIGN, SIGN_OF_LIFE, within_load};
use super::shell::quote;
use super::{Content, DurableId, Exec, NullSink, Output, OutputSink, Session, Stream, TransportError};

/// How much of each output one poll brings.
const PIECE: usize = 4 << 20;

/// Polls begin close together and become as slow as this.
const SLOWEST_POLL: Duration = Duration::from_secs(1);
const FASTEST_POLL: Duration = Duration::from_millis(15);

/// How long a job may have no process before it counts as died.
const START_GRACE: Duration = Duration::from_secs(10);

/// Pauses before a lost connection is made again to look after a job.
const RECONNECTS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long one poll may take.
const POLL_LIMIT: Duration = Duration::from_secs(60);

/// What a target knows of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// There is no trace of it: it can be started safely.
    NotStarted,
    Running,
    Finished(i32),
    /// It was started, no process is left, and there is no exit code.
    Died,
    /// The machine was started anew in the middle of it.
    Rebooted,
}

/// Sets `$_xp_v` to the start time of process `$1`, which tells it from a later one with the same number and from
/// a dead one that nobody has collected.
const BORN: &str = r#"_xp_born() {
  _xp_v=
  if read -r _xp_v <"/proc/$1/stat"; then set -- ${_xp_v##*\)}; [ "$1" = Z ] || shift 19; _xp_v=$1; fi 2>/dev/null
}"#;

/// What runs around the job's script; `$1` is the directory, `$2` the shell, descriptor 4 has the script and 5 its stdin,
/// which may hold secrets and so have no names in the file system. It outlives the TERM that stops the
/// script, so that the exit code is written. Descriptors 7 to 9 may be locks of the session: the stub keeps them as long
/// as the script runs, what the script starts does not. Files of locks, where there is no `flock`, follow as arguments:
/// the stub names itself in them as one more holder.
const STUB: &str = r#"trap : HUP INT TERM
_xp_born "$$"; _xp_dir=$1; _xp_sh=$2; shift 2
for _xp_f in "$@"; do echo "$$ ${_xp_v:--}" >>"$_xp_f"; done
set -- "$_xp_dir" "$_xp_sh"
echo "$$ $_xp_v" >"$1/pid.new" && mv "$1/pid.new" "$1/pid" || exit 1
"$2" -c "_xp_c=\$(cat <&4); exec 4<&-; eval \"\$_xp_c\"" "$1/cmd" <&5 5<&- >"$1/out" 2>"$1/err" 7>&- 8>&- 9>&-
echo $? >"$1/rc.new"; mv "$1/rc.new" "$1/rc""#;

/// Shell functions around a job's directory `$_xp_d`.
///
/// Files: `intent` (digest, boot id, start time) and `launched` are written before the stub starts, `pid` and `rc`
/// by the stub. A directory without `launched` belongs to a job that never ran.
const FUNCTIONS: &str = r#"_xp_jobs() {
  _xp_j=
  case ${HOME:-} in
    /?*) if [ -d "$HOME" ] && [ -w "$HOME" ]; then _xp_j=$HOME/.xplay; fi ;;
  esac
  [ -n "$_xp_j" ] || _xp_j=/var/tmp/.xplay-$(id -u)
  _xp_d=$_xp_j/jobs/$1
}
_xp_jobs_make() {
  [ -d "$_xp_j" ] || mkdir -m 700 "$_xp_j" 2>/dev/null
  if [ -L "$_xp_j" ] || [ ! -d "$_xp_j" ] || [ ! -O "$_xp_j" ]; then
    echo "$_xp_j is not a directory of this user" >&2; return 1
  fi
  [ -d "$_xp_j/jobs" ] || mkdir -m 700 "$_xp_j/jobs"
  mkdir -m 700 "$_xp_d"
}
_xp_boot() {
  _xp_v=
  [ ! -r /proc/sys/kernel/random/boot_id ] || read -r _xp_v </proc/sys/kernel/random/boot_id
}
_xp_state() {
  _xp_st=none
  [ -d "$_xp_d" ] || return 0
  [ -e "$_xp_d/launched" ] || { _xp_st=unborn; return 0; }
  if [ -e "$_xp_d/rc" ]; then read -r _xp_st <"$_xp_d/rc"; return 0; fi
  { read -r _xp_v; read -r _xp_b; } <"$_xp_d/intent"
  _xp_boot
  if [ "$_xp_v" != "$_xp_b" ]; then _xp_st=rebooted; return 0; fi
  if [ ! -e "$_xp_d/pid" ]; then _xp_st=starting; return 0; fi
  read -r _xp_p1 _xp_p2 <"$_xp_d/pid"
  _xp_born "$_xp_p1"
  if kill -0 "$_xp_p1" 2>/dev/null && [ "$_xp_v" = "$_xp_p2" ]; then _xp_st=running; return 0; fi
  if [ -e "$_xp_d/rc" ]; then read -r _xp_st <"$_xp_d/rc"; else _xp_st=died; fi
}
_xp_launch() {
  : >"$_xp_d/launched" || return 1
  umask "$2"
  if command -v setsid >/dev/null 2>&1; then
    setsid "$1" -c "$_xp_stub" xplay-job "$_xp_d" "$1" ${_xp_held-} </dev/null >/dev/null 2>&1 4<&4 5<&5 &
  else
    "$1" -c "$_xp_stub" xplay-job "$_xp_d" "$1" ${_xp_held-} </dev/null >/dev/null 2>&1 4<&4 5<&5 &
  fi
  [ -n "${_xp_held-}" ] || return 0
  _xp_c=0
  while [ ! -e "$_xp_d/pid" ] && [ "$_xp_c" -lt 50 ]; do
    sleep 0.1 || { sleep 1; _xp_c=$((_xp_c+9)); }
    _xp_c=$((_xp_c+1))
  done 2>/dev/null
}
_xp_size() { _xp_v=0; [ ! -e "$1" ] || _xp_v=$(($(wc -c <"$1"))); }
_xp_poll() {
  _xp_jobs "$1"; _xp_state
  _xp_size "$_xp_d/out"; _xp_o=$_xp_v
  _xp_size "$_xp_d/err"; _xp_e1=$_xp_v
  echo "$_xp_st $_xp_o $_xp_e1"
  [ "$_xp_o" -le "$2" ] || tail -c +$(($2+1)) "$_xp_d/out" | _xp_first "$4"
  [ "$_xp_e1" -le "$3" ] || tail -c +$(($3+1)) "$_xp_d/err" | _xp_first "$4" >&2
}
_xp_first() { if command -v head >/dev/null 2>&1; then head -c "$1"; else cat; fi; }
_xp_kids() {
  for _xp_f in /proc/[0-9]*/stat; do
    read -r _xp_v <"$_xp_f" || continue
    set -- "$1" ${_xp_v##*\)}
    [ "$3" != "$1" ] || echo "${_xp_v%% *}"
  done
}
_xp_tree() {
  _xp_k=$(_xp_kids "$2"); kill "-$1" "$2"
  for _xp_v in $_xp_k; do ( _xp_tree "$1" "$_xp_v" ); done
}
_xp_any() {
  [ -r /proc/self/stat ] || { kill -0 "-$1"; return; }
  for _xp_f in /proc/[0-9]*/stat; do
    read -r _xp_v <"$_xp_f" || continue
    set -- "$1" ${_xp_v##*\)}
    [ "$4" != "$1" ] || [ "$2" = Z ] || return 0
  done
  return 1
}
_xp_runs() { _xp_state; [ "$_xp_st" = running ] || _xp_any "$_xp_p"; }
_xp_stop() {
  _xp_jobs "$1"; _xp_state
  _xp_c=0
  while [ "$_xp_st" = starting ] && [ "$_xp_c" -lt 50 ]; do
    sleep 0.1 || { sleep 1; _xp_c=$((_xp_c+9)); }
    _xp_c=$((_xp_c+1)); _xp_state
  done 2>/dev/null
  [ "$_xp_st" = running ] || return 0
  _xp_p=$_xp_p1
  for _xp_g in TERM KILL; do
    kill -$_xp_g -"$_xp_p" || _xp_tree "$_xp_g" "$_xp_p"
    _xp_c=0
    while _xp_runs; do
      [ "$_xp_c" -lt 30 ] || continue 2
      sleep 0.1 || { sleep 1; _xp_c=$((_xp_c+9)); }
      _xp_c=$((_xp_c+1))
    done
    return 0
  done 2>/dev/null
}
_xp_forget() {
  _xp_jobs "$1"; _xp_state
  case $_xp_st in starting|running) return 1 ;; esac
  rm -rf "$_xp_d"
  rmdir "$_xp_j/jobs" "$_xp_j" 2>/dev/null
  [ ! -e "$_xp_d" ]
}
"#;

fn functions() -> String {
    // The stub stands in single quotes there, so neither text may have one.
    format!("{BORN}\n_xp_stub='{BORN}\n{STUB}'\n{FUNCTIONS}")
}

/// Removes what a job left, after its result is safe on this side. A running job is left alone.
pub async fn confirm(session: &mut dyn Session, id: &DurableId) -> Result<(), TransportError> {
    let script = format!("{}_xp_forget {}", functions(), quote(id.as_str()));
    let output = session.exec(Exec::new(script).timeout(POLL_LIMIT), &mut NullSink).await?;
    if output.success() {
        return Ok(());
    }
    Err(TransportError::Protocol { reason: format!("cannot remove the directory of job {}", id.as_str()) })
}

/// Asks what became of a job without starting it.
pub async fn state(session: &mut dyn Session, id: &DurableId) -> Result<JobState, TransportError> {
    let script = format!("{}_xp_jobs {}; _xp_state; echo \"$_xp_st 0 0\"", functions(), quote(id.as_str()));
    let output = session.exec(Exec::new(script).timeout(POLL_LIMIT), &mut NullSink).await?;
    let poll = Poll::parse(&output.stdout).ok_or_else(|| no_sense(&output))?;
    Ok(match poll.state {
        Found::Nothing => JobState::NotStarted,
        Found::Starting | Found::Running => JobState::Running,
        Found::Finished(rc) => JobState::Finished(rc),
        Found::Died => JobState::Died,
        Found::Rebooted => JobState::Rebooted,
    })
}

/// Stops a job's processes: TERM, three seconds, KILL for all of its group that is left, also when the job itself has ended
/// by then. Its directory stays.
pub async fn stop(session: &mut dyn Session, id: &DurableId) -> Result<(), TransportError> {
    let script = format!("{}_xp_stop {}", functions(), quote(id.as_str()));
    session.exec(Exec::new(script).timeout(POLL_LIMIT), &mut NullSink).await.map(|_| ())
}

impl FramedSession {
    /// Starts a job, or finds it again, and follows it to its end.
    pub(super) async fn run_durable(
        &mut self,
        id: DurableId,
        req: Exec,
        sink: &mut dyn OutputSink,
    ) -> Result<Output, TransportError> {
        let begun = Instant::now();
        let age = self.start_or_find(&id, &req).await?;
        let limit = req.timeout.map(|t| (t, t.saturating_sub(age)));
        let mut output = Output::default();
        let (mut seen_out, mut seen_err) = (0u64, 0u64);
        let mut pause = FASTEST_POLL;
        let mut reconnects = RECONNECTS.into_iter();
        loop {
            let line = format!("_xp_poll {} {seen_out} {seen_err} {PIECE}", quote(id.as_str()));
            let left = limit.map_or(POLL_LIMIT, |(_, left)| left.saturating_sub(begun.elapsed()));
            let patience = left.max(SIGN_OF_LIFE).min(POLL_LIMIT);
            let polled = match self.job_frame(Exec::new(line).timeout(patience)).await {
                Ok(polled) => polled,
                Err(_) if limit.is_some_and(|(_, left)| begun.elapsed() >= left) => {
                    let what = format!("job {}", id.as_str());
                    let after = limit.map(|(whole, _)| whole).unwrap_or_default();
                    return Err(TransportError::Timeout { what, after, still: Some(NO_SIGN.into()) });
                }
                Err(error) => {
                    // Looking again is harmless, and the next look connects again.
                    let Some(wait) = reconnects.next() else { return Err(self.still_running(error)) };
                    sink.notice(&format!(
                        "lost the connection to a running command, connecting again ({error})"
                    ));
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            reconnects = RECONNECTS.into_iter();
            let poll = Poll::parse(&polled.stdout).ok_or_else(|| no_sense(&polled))?;
            let out = polled.stdout.get(poll.header..).unwrap_or_default();
            seen_out += out.len() as u64;
            seen_err += polled.stderr.len() as u64;
            keep(&mut output, &req, Stream::Stdout, out, sink);
            keep(&mut output, &req, Stream::Stderr, &polled.stderr, sink);
            let all_seen = seen_out >= poll.out_size && seen_err >= poll.err_size;
            match poll.state {
                Found::Finished(rc) if all_seen => {
                    output.rc = rc;
                    output.elapsed = age.saturating_add(begun.elapsed());
                    return Ok(output);
                }
                Found::Finished(_) if out.is_empty() && polled.stderr.is_empty() => {
                    return Err(no_sense(&polled));
                }
                Found::Finished(_) => continue,
                Found::Running => {}
                Found::Starting if begun.elapsed() < START_GRACE => {}
                Found::Nothing => return Err(self.job_lost("its directory has vanished")),
                Found::Starting | Found::Died => return Err(self.job_lost("it ended without an exit code")),
                Found::Rebooted => return Err(self.job_lost("the machine was started anew in the middle")),
            }
            if let Some((whole, left)) = limit
                && begun.elapsed() >= left
            {
                let still = match within_load(SIGN_OF_LIFE, stop(self, &id)).await {
                    Some(stopped) => stopped.err().map(|e| e.to_string()),
                    None => Some(NO_SIGN.to_string()),
                };
                let what = format!("job {}", id.as_str());
                return Err(TransportError::Timeout { what, after: whole, still });
            }
            if !out.is_empty() || !polled.stderr.is_empty() {
                pause = FASTEST_POLL;
            }
            let left = limit.map_or(pause, |(_, left)| left.saturating_sub(begun.elapsed()));
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(SLOWEST_POLL);
        }
    }

    /// Returns how long the job has been running already.
    async fn start_or_find(&mut self, id: &DurableId, req: &Exec) -> Result<Duration, TransportError> {
        let digest = digest(req);
        let size = req.stdin.as_ref().map_or(0, Content::size);
        let end = super::frame::random_hex()?;
        let (prelude, shell) = (&self.shared.prelude, quote(&self.shared.shell));
        let (name, job) = (quote(id.as_str()), &req.script);
        let script = format!(
            r#"_xp_u=$(umask); umask 077
_xp_jobs {name}; _xp_state
if [ "$_xp_st" = unborn ]; then rm -rf "$_xp_d"; _xp_st=none; fi
if [ "$_xp_st" != none ]; then
  {{ read -r _xp_g; read -r _xp_v; read -r _xp_b; }} <"$_xp_d/intent"
  echo "found $_xp_g $(($(date +%s)-_xp_b))"; exit 0
fi
_xp_full() {{ echo "cannot write below $_xp_j; is its disk full?" >&2; exit 1; }}
_xp_jobs_make || exit 1
echo {end} >"$_xp_d/owner" || _xp_full
_xp_mine() {{ read -r _xp_v <"$_xp_d/owner" && [ "$_xp_v" = {end} ]; }}
exec 3>"$_xp_d/cmd" 4<"$_xp_d/cmd"
rm -f "$_xp_d/cmd"
cat >&3 <<'{end}' || _xp_full
XP_TMP=${{0%/*}}/tmp; XP_STDIN_SIZE={size}
xp_tmp() {{ [ -d "$XP_TMP" ] || mkdir -m 700 "$XP_TMP"; }}
{prelude}
{job}
{end}
exec 3>"$_xp_d/in" 5<"$_xp_d/in" 6<"$_xp_d/in"
rm -f "$_xp_d/in"
cat >&3 || _xp_full
exec 3>&-
_xp_v=$(($(wc -c <&6)))
exec 6<&-
[ "$_xp_v" -eq {size} ] || {{ _xp_mine && rm -rf "$_xp_d"; exit 1; }}
_xp_boot
printf '%s\n' {digest} "$_xp_v" "$(date +%s)" >"$_xp_d/intent" || _xp_full
_xp_mine && _xp_launch {shell} "$_xp_u" && echo started"#
        );
        let mut start = Exec::new(script).timeout(req.timeout.unwrap_or(POLL_LIMIT));
        start.stdin.clone_from(&req.stdin);
        let answer = self.job_frame(start).await?;
        let text = answer.stdout_text();
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["started"] => Ok(Duration::ZERO),
            ["found", theirs, age] if theirs == digest => {
                Ok(Duration::from_secs(age.parse().unwrap_or_default()))
            }
            ["found", ..] => Err(TransportError::Protocol {
                reason: format!("job {} exists on {} with another script", id.as_str(), self.shared.host),
            }),
            _ => Err(TransportError::Protocol {
                reason: format!(
                    "cannot start job {} on {}: {}",
                    id.as_str(),
                    self.shared.host,
                    answer.stderr_text().trim_end()
                ),
            }),
        }
    }

    async fn job_frame(&mut self, req: Exec) -> Result<Output, TransportError> {
        self.install_jobs(&functions()).await?;
        self.run_one(req, &mut NullSink).await
    }

    /// A job goes on whatever happens to the poll that looked at it.
    fn still_running(&self, error: TransportError) -> TransportError {
        let reason = format!("its job goes on without us ({error})");
        TransportError::Lost { host: self.shared.host.clone(), reason }
    }

    fn job_lost(&self, reason: &str) -> TransportError {
        TransportError::Lost { host: self.shared.host.clone(), reason: reason.into() }
    }
}

fn no_sense(output: &Output) -> TransportError {
    TransportError::Protocol {
        reason: format!("a job's state is unreadable: {}", output.stderr_text().trim_end()),
    }
}

/// Recognises a job that was started under the same id with another script.
fn digest(req: &Exec) -> String {
    let mut hash = Sha256::new();
    hash.update(req.script.as_bytes());
    match &req.stdin {
        Some(Content::Bytes(bytes)) => hash.update(bytes),
        Some(Content::File { size, .. }) => hash.update(size.to_le_bytes()),
        None => {}
    }
    let mut out = String::with_capacity(64);
    for byte in hash.finalize() {
        for half in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
    }
    out
}

fn keep(output: &mut Output, req: &Exec, stream: Stream, bytes: &[u8], sink: &mut dyn OutputSink) {
    if bytes.is_empty() {
        return;
    }
    if req.stream {
        sink.chunk(stream, bytes);
    }
    output.keep(stream, bytes, req.max_output, sink);
}

/// The first line of a poll's answer.
#[derive(Debug, PartialEq, Eq)]
struct Poll {
    state: Found,
    out_size: u64,
    err_size: u64,
    /// The length of the line.
    header: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Starting,
    Running,
    Finished(i32),
    Died,
    Rebooted,
}

impl Poll {
    fn parse(answer: &[u8]) -> Option<Self> {
        let end = answer.iter().position(|&b| b == b'\n')?;
        let line = std::str::from_utf8(&answer[..end]).ok()?;
        let mut words = line.split(' ');
        let state = match words.next()? {
            "none" | "unborn" => Found::Nothing,
            "starting" => Found::Starting,
            "running" => Found::Running,
            "died" => Found::Died,
            "rebooted" => Found::Rebooted,
            rc => Found::Finished(rc.parse().ok()?),
        };
        let (out_size, err_size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { state, out_size, err_size, header: end + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_answers() {
        let check = |text: &str, expect: Option<(Found, u64, u64, usize)>| {
            let got = Poll::parse(text.as_bytes()).map(|p| (p.state, p.out_size, p.err_size, p.header));
            assert_eq!(got, expect, "{text:?}");
        };
        check("running 5 0\nhello", Some((Found::Running, 5, 0, 12)));
        check("0 0 0\n", Some((Found::Finished(0), 0, 0, 6)));
        check("143 1 2\n", Some((Found::Finished(143), 1, 2, 8)));
        check("unborn 0 0\n", Some((Found::Nothing, 0, 0, 11)));
        check("rebooted 0 0\n", Some((Found::Rebooted, 0, 0, 13)));
        for bad in ["", "running", "running 1\n", "what 0 0\n", "running x 0\n"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_stub_fits_into_single_quotes() {
        assert!(!BORN.contains('\'') && !STUB.contains('\''));
    }

    #[test]
    fn another_script_has_another_digest() {
        let a = digest(&Exec::new("true"));
        assert_eq!(a.len(), 64);
        assert_ne!(a, digest(&Exec::new("false")));
        assert_ne!(a, digest(&Exec::new("true").stdin(Content::bytes(*b"x"))));
    }
}
