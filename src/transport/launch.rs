//! Starting the shell: the command for the account's login shell, and the talk until the shell is there,
//! including the password of sudo, su or doas. Prompts never need a terminal.

use std::borrow::Cow;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::channel::{Event, RawChannel};
use super::error::PASSWORD_NEEDED;
use super::guard::{Admission, PasswordGuard, Proof};
use super::patience::within_load;
use super::shell::{loop_program, quote, quote_for_any_shell};
use super::{BecomeMethod, BecomeSpec, Stream, TransportError};

/// How much of what a login prints is kept for a message.
const NOISE: usize = 64 << 10;

/// How many characters of a line a message has.
const LONGEST_LINE: usize = 400;

/// A command that becomes a session's shell.
pub(super) struct Launch {
    pub command: String,
    /// The line that the shell prints when it is there; also on its command line.
    pub ready: String,
    prompt: Prompt,
}

/// Who waits for the shell.
pub(super) struct Asker<'a> {
    pub host: &'a str,
    pub r#become: Option<&'a BecomeSpec>,
    /// Knows whether the password was refused before.
    pub guard: &'a PasswordGuard,
}

/// How a request for a password looks on stderr.
#[derive(Debug, PartialEq, Eq)]
enum Prompt {
    None,
    /// Exactly this text, which we chose.
    Exact(String),
    /// An unfinished line that ends with a colon: `su` has no option for its prompt.
    Colon,
}

impl Launch {
    /// Builds the command. `token` is random.
    pub fn new(
        host: &str,
        shell: &str,
        r#become: Option<&BecomeSpec>,
        token: &str,
    ) -> Result<Self, TransportError> {
        let ready = format!("xplay-ready-{token}");
        let refuse = |reason: String| TransportError::Protocol { reason };
        let program = quote(&loop_program(&ready));
        let shell = quote_for_any_shell(shell)
            .ok_or_else(|| refuse(format!("{shell:?} is no usable path of a shell")))?;
        let Some(spec) = r#become else {
            return Ok(Self { command: format!("exec {shell} -c {program}"), ready, prompt: Prompt::None });
        };
        let become_error = |reason: &str| TransportError::Become {
            host: host.into(),
            user: spec.user.clone(),
            method: spec.method,
            reason: reason.into(),
        };
        if spec.user.is_empty() || spec.user.starts_with('-') {
            return Err(become_error("this is no user name"));
        }
        let user = quote_for_any_shell(&spec.user).ok_or_else(|| become_error("this is no user name"))?;
        let mut flags = String::new();
        for flag in &spec.flags {
            let quoted = quote_for_any_shell(flag)
                .ok_or_else(|| become_error("a flag has characters that login shells read differently"))?;
            flags.push(' ');
            flags.push_str(&quoted);
        }
        let exe = match &spec.exe {
            Some(exe) => quote_for_any_shell(exe).ok_or_else(|| {
                become_error("become_exe has characters that login shells read differently")
            })?,
            None => spec.method.to_string(),
        };
        let (command, prompt) = match (spec.method, &spec.password) {
            (BecomeMethod::Sudo, None) => {
                (format!("exec {exe} -H -n{flags} -u {user} -- {shell} -c {program}"), Prompt::None)
            }
            (BecomeMethod::Sudo, Some(_)) => {
                let prompt = format!("xplay-password-{token}:");
                let command =
                    format!("exec {exe} -H -S -p {prompt}{flags} -u {user} -- {shell} -c {program}");
                (command, Prompt::Exact(prompt))
            }
            (BecomeMethod::Su, _) => {
                // Without `-s` a service account's /sbin/nologin would answer.
                let command = format!("exec {exe}{flags} -s {shell} {user} -c {program}");
                (command, Prompt::Colon)
            }
            // doas reads passwords from a terminal only, so it must never ask.
            (BecomeMethod::Doas, _) => {
                (format!("exec {exe} -n{flags} -u {user} -- {shell} -c {program}"), Prompt::None)
            }
        };
        Ok(Self { command, ready, prompt })
    }

    /// Waits for the shell, giving the password when asked for it. Nothing is written before the prompt is
    /// there: a password that nobody asked for would be read by the shell as a command.
    pub async fn greet(
        &self,
        chan: &mut RawChannel,
        asker: &Asker<'_>,
        limit: Duration,
    ) -> Result<(), TransportError> {
        let mut heard = Heard::default();
        match within_load(limit, self.talk(chan, asker, &mut heard)).await {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(failure(asker, reason)),
            None => {
                let said = heard.last_words();
                let said = if said.is_empty() { String::new() } else { format!(", it said: {said}") };
                let reason = format!("no shell after {} s{said}", limit.as_secs_f32());
                Err(failure(asker, reason))
            }
        }
    }

    async fn talk(&self, chan: &mut RawChannel, asker: &Asker<'_>, heard: &mut Heard) -> Result<(), String> {
        // Until the first host has shown that the password is good, the others wait with theirs.
        let mut admission: Option<Admission> = None;
        let refused = |admission: Option<Admission>| {
            if let Some(admission) = admission {
                admission.settle(Proof::Refused(asker.host.to_owned()));
            }
        };
        loop {
            match chan.events.recv().await {
                Some(Event::Data(Stream::Stdout, bytes)) => {
                    heard.stdout.extend_from_slice(&bytes);
                    let line = format!("{}\n", self.ready);
                    if find(&heard.stdout, line.as_bytes()).is_some() {
                        if let Some(admission) = admission {
                            admission.settle(Proof::Good);
                        }
                        return Ok(());
                    }
                    trim(&mut heard.stdout);
                }
                Some(Event::Data(Stream::Stderr, bytes)) => {
                    heard.stderr.extend_from_slice(&bytes);
                    let Some(end) = self.prompt.find(&heard.stderr) else {
                        trim(&mut heard.stderr);
                        continue;
                    };
                    heard.stderr.drain(..end);
                    let Some((spec, password)) = asker.r#become.and_then(|b| Some((b, b.password.as_ref()?)))
                    else {
                        return Err(PASSWORD_NEEDED.into());
                    };
                    if admission.is_some() {
                        refused(admission);
                        return Err("the password was not accepted".into());
                    }
                    let who = format!("{} {}", spec.method, spec.user);
                    let admitted = asker.guard.admit(&who, password).await;
                    if let Admission::Refused(host) = admitted {
                        return Err(format!(
                            "the password was not accepted on {host}, so it is not tried here"
                        ));
                    }
                    admission = Some(admitted);
                    let line = format!("{}\n", password.expose());
                    if chan.stdin.write_all(line.as_bytes()).await.is_err()
                        || chan.stdin.flush().await.is_err()
                    {
                        return Err("the program ended while it asked for the password".into());
                    }
                }
                Some(Event::End(reason)) => {
                    refused(admission);
                    return Err(self.ended(asker.r#become, heard, &reason));
                }
                None => return Err(self.ended(asker.r#become, heard, "the channel is closed")),
            }
        }
    }

    fn ended(&self, r#become: Option<&BecomeSpec>, heard: &Heard, reason: &str) -> String {
        let said = heard.last_words();
        if said.contains("must have a tty") {
            return format!(
                "it wants a terminal; its configuration needs Defaults !requiretty for this user ({said})"
            );
        }
        if let Some(spec) = r#become {
            let words = ["password is required", "Authentication required", "Authorization required"];
            let asks = words.iter().any(|w| said.contains(w));
            if asks && spec.method == BecomeMethod::Doas && spec.password.is_some() {
                return format!("doas takes passwords from a terminal only; permit it with nopass ({said})");
            }
            if asks && spec.password.is_none() {
                return format!("{PASSWORD_NEEDED} ({said})");
            }
        }
        if said.is_empty() { format!("no shell was started: {reason}") } else { said }
    }
}

/// What was printed before the shell was there.
#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Heard {
    /// Returns the last lines of what was said, errors first.
    fn last_words(&self) -> String {
        for bytes in [&self.stderr, &self.stdout] {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
            if !lines.is_empty() {
                let last = &lines[lines.len().saturating_sub(3)..];
                return last.iter().map(|line| shortened(line)).collect::<Vec<_>>().join("; ");
            }
        }
        String::new()
    }
}

/// Returns the beginning of a line that nobody would read to its end.
fn shortened(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => Cow::Owned(format!("{}...", &line[..end])),
        None => Cow::Borrowed(line),
    }
}

impl Prompt {
    /// Returns where the prompt ends.
    fn find(&self, said: &[u8]) -> Option<usize> {
        match self {
            Prompt::None => None,
            Prompt::Exact(text) => find(said, text.as_bytes()).map(|at| at + text.len()),
            Prompt::Colon => {
                let text = String::from_utf8_lossy(said);
                let line = text.rsplit('\n').next().unwrap_or_default().trim_end();
                (line.ends_with(':') || line.ends_with('：')).then_some(said.len())
            }
        }
    }
}

fn failure(asker: &Asker<'_>, reason: String) -> TransportError {
    let host = asker.host.to_owned();
    match asker.r#become {
        Some(spec) => TransportError::Become { host, user: spec.user.clone(), method: spec.method, reason },
        None => TransportError::Unreachable { host, reason },
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn trim(bytes: &mut Vec<u8>) {
    if bytes.len() > NOISE {
        bytes.drain(..bytes.len() - NOISE / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Secret;

    fn command(method: BecomeMethod, user: &str, password: Option<&str>) -> Result<String, String> {
        by(None, method, user, password)
    }

    fn by(
        exe: Option<&str>,
        method: BecomeMethod,
        user: &str,
        password: Option<&str>,
    ) -> Result<String, String> {
        let mut spec = BecomeSpec::new(method, user);
        spec.password = password.map(Secret::new);
        spec.flags = vec!["-g".into(), "ops team".into()];
        spec.exe = exe.map(str::to_owned);
        let launch = Launch::new("n1", "/bin/sh", Some(&spec), "77").map_err(|e| e.to_string())?;
        let program = quote(&loop_program("xplay-ready-77"));
        Ok(launch.command.replace(&program, "LOOP"))
    }

    #[test]
    fn commands_are_read_alike_by_all_login_shells() {
        let check = |method, user, password, expect: &str| {
            assert_eq!(command(method, user, password).unwrap_or_else(|e| e), expect);
        };
        use BecomeMethod::{Doas, Su, Sudo};
        check(Sudo, "root", None, "exec sudo -H -n '-g' 'ops team' -u 'root' -- '/bin/sh' -c LOOP");
        check(
            Sudo,
            "x y",
            Some("pw"),
            "exec sudo -H -S -p xplay-password-77: '-g' 'ops team' -u 'x y' -- '/bin/sh' -c LOOP",
        );
        check(Su, "root", Some("pw"), "exec su '-g' 'ops team' -s '/bin/sh' 'root' -c LOOP");
        check(Doas, "root", None, "exec doas -n '-g' 'ops team' -u 'root' -- '/bin/sh' -c LOOP");
        assert_eq!(
            by(Some("/opt/my sudo"), Sudo, "root", None).unwrap(),
            "exec '/opt/my sudo' -H -n '-g' 'ops team' -u 'root' -- '/bin/sh' -c LOOP"
        );
        check(Sudo, "-i", None, "cannot become -i on n1 by sudo: this is no user name");
        check(Sudo, "a'b", None, "cannot become a'b on n1 by sudo: this is no user name");
    }

    #[test]
    fn prompts_are_found_at_the_end_of_what_was_said() {
        assert_eq!(Prompt::Colon.find(b"lecture:\nPassword: "), Some(19));
        assert_eq!(Prompt::Colon.find("Mot de passe : ".as_bytes()), Some(15));
        assert_eq!(Prompt::Colon.find(b"su: Authentication failure\n"), None);
        assert_eq!(Prompt::Exact("T:".into()).find(b"[sudo] T:"), Some(9));
        assert_eq!(Prompt::None.find(b"Password:"), None);
    }
}
