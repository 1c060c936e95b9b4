//! Named locks on targets: what a module works on belongs to one run at a time.
//!
//! A lock is a kernel lock on a file of the target, held by the session's own shell and, as long as a long command runs,
//! by its stub. The kernel gives it back when the last of them ends. So nothing stays locked when this program is killed,
//! and what a command is still working on stays locked although nobody waits for it.

use std::time::{Duration, Instant};

use super::event::Event;
use super::execute::Execution;
use super::pool::Lease;
use super::result::Trouble;
use super::shared::lock;
use crate::modules::{Call, Locks, sh::q};
use crate::transport::{Exec, Output};

/// Pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where the files of locks are on targets: memory that the system empties when it starts.
const FOLDER: &str = "/var/lock/xplay";

/// How many names one claim may have: old shells know single digits as descriptors, and six are in use.
const MOST: usize = 3;

/// The function that takes all locks of a claim or none. Its arguments: the claim's token, tokens of claims whose shells
/// were lost, a text for people, then the names. It ends a shell of a lost claim, as its connection may take hours to end.
const TAKE: &str = r#"_xp_lock() {
  if ! command -v flock >/dev/null 2>&1; then echo "none flock is missing there"; return 0; fi
  _xp_k=$1; _xp_dead=" $2 "; _xp_text=$3; shift 3
  [ -d "$_xp_folder" ] || ( umask 022; mkdir -p "$_xp_folder" ) 2>/dev/null
  if [ -L "$_xp_folder" ] || [ ! -O "$_xp_folder" ]; then
    echo "none $_xp_folder is not a folder of this user"; return 0
  fi
  _xp_born=-
  if read -r _xp_v <"/proc/$$/stat"; then _xp_starts "$_xp_v"; fi 2>/dev/null
  _xp_me="$_xp_k $$ $_xp_born"
  _xp_fd=9
  for _xp_f in "$@"; do
    _xp_file=$_xp_folder/$_xp_f
    if ! ( : >>"$_xp_file" ) 2>/dev/null; then exec 7>&- 8>&- 9>&-; echo "none $_xp_file cannot be written"; return 0; fi
    eval "exec $_xp_fd>>\"\$_xp_file\""
    if ! flock -n "$_xp_fd" 2>/dev/null && ! _xp_lost_holder; then
      exec 7>&- 8>&- 9>&-
      { read -r _xp_v; read -r _xp_v; } <"$_xp_file"
      echo "busy $_xp_f $_xp_v"; return 0
    fi
    printf '%s\n' "$_xp_me" "$_xp_text (process $$), since $(date '+%H:%M:%S')" >"$_xp_file"
    _xp_fd=$((_xp_fd-1))
  done
  echo taken
}
_xp_starts() { set -- ${1##*\)}; shift 19; _xp_born=$1; }
_xp_lost_holder() {
  read -r _xp_t _xp_p _xp_b <"$_xp_file" || return 1
  case $_xp_dead in *" $_xp_t "*) ;; *) return 1 ;; esac
  _xp_born=
  if read -r _xp_v <"/proc/$_xp_p/stat"; then _xp_starts "$_xp_v"; fi 2>/dev/null
  if [ -n "$_xp_born" ] && [ "$_xp_born" = "$_xp_b" ]; then kill -9 "$_xp_p"; fi
  flock -w 2 "$_xp_fd" 2>/dev/null
}
"#;

/// Gives the locks back; tells whether this shell had them.
const LET_GO: &str = "if ( : >&9 ) 2>/dev/null; then exec 7>&- 8>&- 9>&-; echo released; fi\n";

/// What a script begins with whose children must not keep the locks.
pub const WITHOUT: &str = "exec 7>&- 8>&- 9>&-\n";

/// What a try to take locks found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Taken,
    Busy {
        name: String,
        holder: String,
    },
    /// There are no locks on this target, for a reason.
    Impossible(String),
}

/// The locks of one execution.
#[derive(Debug)]
pub struct Claim {
    token: String,
    names: Vec<String>,
    patience: Duration,
    taken: bool,
}

impl Claim {
    fn new(locks: Locks) -> Result<Self, Trouble> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Trouble::msg(format!("cannot get random bytes from the system: {e}")))?;
        let mut names = locks.names;
        names.sort();
        names.dedup();
        names.truncate(MOST);
        Ok(Claim { token: crate::modules::hex(&random), names, patience: locks.patience, taken: false })
    }

    fn script(&self, text: &str, lost: &[String]) -> String {
        let names: Vec<String> = self.names.iter().map(|name| q(&file_name(name))).collect();
        format!(
            "_xp_folder={FOLDER}\n{TAKE}_xp_lock {} {} {} {}\n",
            self.token,
            q(&lost.join(" ")),
            q(text),
            names.join(" ")
        )
    }

    fn read(&self, output: &Output) -> Found {
        let said = output.stdout_text();
        let said = said.trim();
        match said.split_once(' ') {
            None if said == "taken" => Found::Taken,
            Some(("busy", rest)) => {
                let (file, holder) = rest.split_once(' ').unwrap_or((rest, ""));
                let name = self.names.iter().find(|name| file_name(name) == file);
                let holder = if holder.is_empty() { "somebody" } else { holder };
                Found::Busy {
                    name: name.map_or_else(|| file.to_string(), Clone::clone),
                    holder: holder.to_string(),
                }
            }
            Some(("none", reason)) => Found::Impossible(reason.to_string()),
            _ => Found::Impossible(format!("{said} {}", output.stderr_text().trim()).trim().to_string()),
        }
    }
}

/// A name as a file's: everything but letters, digits, `.`, `_` and `-` is escaped.
fn file_name(name: &str) -> String {
    let mut file = String::from("lock-");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => file.push(char::from(byte)),
            _ => file.extend(format!("%{byte:02x}").chars()),
        }
    }
    file
}

impl Execution<'_> {
    /// Takes the locks that the module asks for; nothing when it asks for none.
    pub(super) async fn claim(
        &self,
        lease: &mut Option<Lease>,
        call: &Call<'_>,
    ) -> Result<Option<Claim>, Trouble> {
        let locks = self.module.locks(call);
        if locks.names.is_empty() {
            return Ok(None);
        }
        let mut claim = Claim::new(locks)?;
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let lost = lock(&self.shared.lost_claims).clone();
            let script = claim.script(&self.holder(), &lost);
            let output = self.ask(lease, Exec::new(script).in_own_shell()).await?;
            let (name, holder) = match claim.read(&output) {
                Found::Taken => {
                    claim.taken = true;
                    if let Some(lease) = lease {
                        lease.locked = true;
                    }
                    return Ok(Some(claim));
                }
                Found::Impossible(reason) => {
                    let names = claim.names.join(", ");
                    let text = format!("{}: nothing keeps other runs away from {names}: {reason}", self.host);
                    self.shared.emit(Event::Warning(text)).await;
                    return Ok(Some(claim));
                }
                Found::Busy { name, holder } => (name, holder),
            };
            if begun.elapsed() >= claim.patience {
                let secs = claim.patience.as_secs();
                let text = format!("{name} is in use on {} for more than {secs} s, by {holder}", self.host);
                return Err(Trouble::msg(text));
            }
            if !told {
                told = true;
                let text = format!("{}: waiting for {name}, which is in use by {holder}", self.host);
                self.shared.emit(Event::Warning(text)).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.halt.asked() => {
                    return Err(Trouble::msg(format!("the run was interrupted while it waited for {name}")));
                }
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives locks back. Where that cannot be done now, a later claim of this run ends the shell that has them.
    pub(super) async fn let_go(&self, lease: &mut Option<Lease>, claim: Option<Claim>) {
        let Some(claim) = claim.filter(|claim| claim.taken) else { return };
        if lease.as_ref().is_some_and(|lease| lease.locked) {
            let output = self.attempt(lease, Exec::new(LET_GO).in_own_shell()).await;
            if let Some(lease) = lease {
                lease.locked = false;
            }
            if output.is_ok_and(|output| output.stdout_text().trim() == "released") {
                return;
            }
        }
        lock(&self.shared.lost_claims).push(claim.token);
    }

    /// Says who holds a lock, for others who want it.
    fn holder(&self) -> String {
        let system = rustix::system::uname();
        let run = self.shared.run_id.trim_start_matches("run-");
        format!("run {run} of {}: {}", system.nodename().to_string_lossy(), self.module.spec().name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn claim(names: &[&str]) -> Claim {
        let names = names.iter().map(ToString::to_string).collect();
        Claim::new(Locks { names, patience: Duration::ZERO }).unwrap()
    }

    /// A shell of a target that evaluates what it is told, as a session's does.
    struct Shell {
        child: Child,
        folder: String,
        answers: BufReader<std::process::ChildStdout>,
    }

    impl Shell {
        fn start(program: &[&str], folder: &std::path::Path) -> Self {
            let mut child = Command::new(program[0])
                .args(&program[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let answers = BufReader::new(child.stdout.take().unwrap());
            Shell { child, folder: folder.display().to_string(), answers }
        }

        fn tell(&mut self, script: &str) -> Output {
            let script = script.replace(FOLDER, &self.folder);
            let input = self.child.stdin.as_mut().unwrap();
            input.write_all(format!("{script}\necho end\n").as_bytes()).unwrap();
            let mut stdout = String::new();
            while self.answers.read_line(&mut stdout).unwrap() > 0 && !stdout.ends_with("end\n") {}
            let said = stdout.strip_suffix("end\n").unwrap_or(&stdout);
            Output { stdout: said.as_bytes().to_vec(), ..Output::default() }
        }

        fn take(&mut self, claim: &Claim, lost: &[String]) -> Found {
            claim.read(&self.tell(&claim.script("run 7 of adm: packing", lost)))
        }

        fn kill(mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    fn shells() -> Vec<Vec<&'static str>> {
        let all = [vec!["sh"], vec!["bash"], vec!["dash"], vec!["busybox", "sh"]];
        let works = |shell: &Vec<&str>| {
            Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", "command -v flock"])
                .output()
                .is_ok_and(|o| o.status.success())
        };
        all.into_iter().filter(works).collect()
    }

    #[test]
    fn names_are_files() {
        assert_eq!(file_name("osimage:rhels9-x86_64"), "lock-osimage%3arhels9-x86_64");
        assert_eq!(file_name("../a b"), "lock-..%2fa%20b");
    }

    #[test]
    fn all_are_taken_or_none_and_a_killed_holder_has_none() {
        for program in shells() {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("locks");
            let mut first = Shell::start(&program, &folder);
            let mut second = Shell::start(&program, &folder);
            let (both, one) = (claim(&["osimage:a", "install-tree"]), claim(&["osimage:a"]));
            assert_eq!(first.take(&both, &[]), Found::Taken, "{program:?}");
            match second.take(&one, &[]) {
                Found::Busy { name, holder } => {
                    assert_eq!(name, "osimage:a");
                    let begin = format!("run 7 of adm: packing (process {}), since ", first.child.id());
                    assert!(holder.starts_with(&begin), "{program:?}: {holder}");
                }
                other => panic!("{program:?}: {other:?}"),
            }
            // A claim that gets only some of its locks keeps none.
            let mut third = Shell::start(&program, &folder);
            assert_eq!(third.take(&claim(&["install-other"]), &[]), Found::Taken);
            assert!(matches!(second.take(&claim(&["install-other", "zfree"]), &[]), Found::Busy { .. }));
            assert_eq!(third.tell(LET_GO).stdout_text(), "released\n");
            assert_eq!(third.tell(LET_GO).stdout_text(), "");
            assert_eq!(third.take(&claim(&["zfree"]), &[]), Found::Taken);
            // What a shell starts without the locks does not keep them either.
            first.tell(&format!("( {WITHOUT} sleep 20 ) >/dev/null &"));
            first.kill();
            assert_eq!(second.take(&one, &[]), Found::Taken, "{program:?}");
            second.kill();
            third.kill();
        }
    }

    #[test]
    fn a_lost_shell_of_the_same_run_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let program = ["sh"];
        let mut first = Shell::start(&program, dir.path());
        let mut second = Shell::start(&program, dir.path());
        let (lost, next) = (claim(&["osimage:a"]), claim(&["osimage:a"]));
        if first.take(&lost, &[]) != Found::Taken {
            println!("skipped: flock is missing");
            return;
        }
        assert!(matches!(second.take(&next, &["other".into()]), Found::Busy { .. }));
        assert_eq!(second.take(&next, &["other".into(), lost.token.clone()]), Found::Taken);
        assert!(!first.child.wait().unwrap().success());
        second.kill();
    }

    /// Many shells in random order, some of them killed in the middle: never two at once.
    #[test]
    fn no_schedule_lets_two_in() {
        let program = ["sh"];
        if shells().is_empty() {
            println!("skipped: flock is missing");
            return;
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let dir = tempfile::tempdir().unwrap();
        let mut shells: Vec<Shell> = (0..2).map(|_| Shell::start(&program, dir.path())).collect();
        let mut owner: Option<usize> = None;
        let (mut taken, mut refused) = (0, 0);
        for schedule in 0..100 {
            for _ in 0..6 {
                let who = usize::try_from(random(2)).unwrap();
                match random(4) {
                    0 if owner == Some(who) => {
                        assert_eq!(shells[who].tell(LET_GO).stdout_text(), "released\n");
                        owner = None;
                    }
                    1 => {
                        let next = Shell::start(&program, dir.path());
                        std::mem::replace(&mut shells[who], next).kill();
                        owner = owner.filter(|owner| *owner != who);
                    }
                    _ if owner == Some(who) => {}
                    _ => {
                        let found = shells[who].take(&claim(&["osimage:a", "install-tree"]), &[]);
                        if owner.is_some() {
                            assert!(matches!(found, Found::Busy { .. }), "schedule {schedule}: {found:?}");
                            refused += 1;
                        } else {
                            assert_eq!(found, Found::Taken, "schedule {schedule}");
                            owner = Some(who);
                            taken += 1;
                        }
                    }
                }
            }
        }
        assert!(taken > 50 && refused > 50, "{taken} {refused}");
        shells.into_iter().for_each(Shell::kill);
    }
}
