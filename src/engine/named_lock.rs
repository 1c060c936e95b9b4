//! Named locks on targets: what a module works on belongs to one run at a time.
//!
//! A lock is a kernel lock on a file of the target, held by the session's own shell and, as long as a long command runs,
//! by its stub. The kernel gives it back when the last of them ends. So nothing stays locked when this program is killed,
//! and what a command is still working on stays locked although nobody waits for it.
//!
//! A target without `flock` has locks of files alone ([`PLAIN`]): whoever makes the next file of a row has the lock. It names
//! the processes that hold it and when these and the machine were started, so that the lock ends with the last of them too.

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
  _xp_k=$1; _xp_dead=" $2 "; _xp_text=$3; shift 3
  [ -d "$_xp_folder" ] || ( umask 022; mkdir -p "$_xp_folder" ) 2>/dev/null
  if [ -L "$_xp_folder" ] || [ ! -O "$_xp_folder" ]; then
    echo "none $_xp_folder is not a folder of this user"; return 0
  fi
  _xp_born=-
  if read -r _xp_v <"/proc/$$/stat"; then _xp_starts "$_xp_v"; fi 2>/dev/null
  if ! command -v flock >/dev/null 2>&1; then _xp_lock_plain "$@"; return 0; fi
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
_xp_starts() { set -- ${1##*\)}; _xp_born=; [ "$1" = Z ] || { shift 19; _xp_born=$1; }; }
_xp_lost_holder() {
  read -r _xp_t _xp_p _xp_b <"$_xp_file" || return 1
  case $_xp_dead in *" $_xp_t "*) ;; *) return 1 ;; esac
  _xp_born=
  if read -r _xp_v <"/proc/$_xp_p/stat"; then _xp_starts "$_xp_v"; fi 2>/dev/null
  if [ -n "$_xp_born" ] && [ "$_xp_born" = "$_xp_b" ]; then kill -9 "$_xp_p"; fi
  flock -w 2 "$_xp_fd" 2>/dev/null
}
"#;

/// Locks where `flock` is missing. A lock is a row of files, `NAME+1`, `NAME+2` and so on, of which only the last counts. To
/// take it is to make the next one, which `ln` does for one alone, and which nobody tries while a process that the last one
/// lists is alive. So nobody has to take a file away from a dead holder, where two would meet. Lines of a file: the start of
/// the machine and the claim's token, a text for people, then processes with their start times. A free lock's file says so;
/// the stub of a long command adds itself ([`crate::transport::durable`]).
const PLAIN: &str = r#"_xp_lock_plain() {
  _xp_boot=-
  [ ! -r /proc/sys/kernel/random/boot_id ] || read -r _xp_boot </proc/sys/kernel/random/boot_id
  _xp_mine=
  for _xp_f in "$@"; do
    if ! _xp_next "$_xp_folder/$_xp_f"; then _xp_free $_xp_mine; echo "$_xp_answer"; return 0; fi
    _xp_mine="$_xp_mine $_xp_folder/$_xp_f+$_xp_row"
  done
  _xp_held=$_xp_mine
  echo taken
}
_xp_next() {
  _xp_answer="busy $_xp_f "
  _xp_last "$1"
  if [ "$_xp_row" -gt 0 ] && _xp_alive "$1+$_xp_row"; then _xp_answer="busy $_xp_f $_xp_holder"; return 1; fi
  _xp_to=$((_xp_row+1)); _xp_new=$1+new-$_xp_k
  if ! printf '%s
' "$_xp_boot $_xp_k" "$_xp_text (process $$), since $(date '+%H:%M:%S')" "$$ ${_xp_born:--}" >"$_xp_new"
  then _xp_answer="none $1 cannot be written"; return 1; fi 2>/dev/null
  if ln "$_xp_new" "$1+$_xp_to" 2>/dev/null; then _xp_c=0; else _xp_c=1; fi
  rm -f "$_xp_new"
  if [ "$_xp_c" = 1 ]; then
    [ -e "$1+$_xp_to" ] || _xp_answer="none $1 cannot be linked"
    return 1
  fi
  _xp_last "$1"
  if [ "$_xp_row" != "$_xp_to" ]; then rm -f "$1+$_xp_to"; return 1; fi
  for _xp_h in "$1"+*; do
    case ${_xp_h##*+} in "$_xp_to"|*[!0-9]*) ;; *) rm -f "$_xp_h" ;; esac
  done
}
_xp_last() {
  _xp_row=0
  for _xp_h in "$1"+*; do
    _xp_h=${_xp_h##*+}
    case $_xp_h in ''|*[!0-9]*) ;; *) [ "$_xp_h" -le "$_xp_row" ] || _xp_row=$_xp_h ;; esac
  done
}
_xp_alive() {
  _xp_l=0; _xp_holder=
  while read -r _xp_p _xp_b; do
    _xp_l=$((_xp_l+1))
    case $_xp_l in
      1) [ "$_xp_p" = "$_xp_boot" ] || return 1; _xp_t=$_xp_b ;;
      2) _xp_holder="$_xp_p $_xp_b" ;;
      *)
        _xp_lives "$_xp_p" "$_xp_b" || continue
        case $_xp_l$_xp_dead in 3*" $_xp_t "*) kill -9 "$_xp_p" 2>/dev/null; continue ;; esac
        return 0 ;;
    esac
  done 2>/dev/null <"$1"
  return 1
}
_xp_lives() (
  if [ "$2" = - ]; then kill -0 "$1" 2>/dev/null; exit; fi
  _xp_born=
  if read -r _xp_v <"/proc/$1/stat"; then _xp_starts "$_xp_v"; fi 2>/dev/null
  [ "$_xp_born" = "$2" ]
)
_xp_free() { for _xp_h in "$@"; do echo free >"$_xp_h"; done; }
"#;

/// Gives the locks back; tells whether this shell had them.
const LET_GO: &str = "if ( : >&9 ) 2>/dev/null; then exec 7>&- 8>&- 9>&-; echo released; fi\n\
    if [ -n \"${_xp_held-}\" ]; then _xp_free $_xp_held; _xp_held=; echo released; fi\n";

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
            "_xp_folder={FOLDER}\n{TAKE}{PLAIN}_xp_lock {} {} {} {}\n",
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

    /// A kind of shell, and whether it finds `flock`.
    struct Kind {
        program: Vec<&'static str>,
        /// The only folder in which it finds programs, `flock` not among them.
        path: Option<tempfile::TempDir>,
    }

    impl std::fmt::Debug for Kind {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(out, "{:?}{}", self.program, if self.path.is_some() { " without flock" } else { "" })
        }
    }

    /// A shell of a target that evaluates what it is told, as a session's does.
    struct Shell {
        child: Child,
        folder: String,
        answers: BufReader<std::process::ChildStdout>,
    }

    impl Shell {
        fn start(kind: &Kind, folder: &std::path::Path) -> Self {
            let mut command = Command::new(kind.program[0]);
            command.args(&kind.program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
            if let Some(path) = &kind.path {
                command.env("PATH", path.path());
            }
            let mut child = command.spawn().unwrap();
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

    /// All shells of this machine, each with `flock`, if there is one, and without.
    fn kinds() -> Vec<Kind> {
        let all = [vec!["/bin/sh"], vec!["/bin/bash"], vec!["/bin/dash"], vec!["/bin/busybox", "sh"]];
        let finds = |kind: &Kind| {
            let mut command = Command::new(kind.program[0]);
            command.args(&kind.program[1..]).args(["-c", "command -v flock"]);
            if let Some(path) = &kind.path {
                command.env("PATH", path.path());
            }
            command.output().is_ok_and(|output| output.status.success())
        };
        let mut kinds = Vec::new();
        for program in all.into_iter().filter(|program| std::path::Path::new(program[0]).exists()) {
            let with = Kind { program: program.clone(), path: None };
            let path = tempfile::tempdir().unwrap();
            for tool in ["mkdir", "date", "ln", "rm", "sleep", "cat"] {
                let found = ["/bin", "/usr/bin"].map(|dir| std::path::Path::new(dir).join(tool));
                let found = found.into_iter().find(|tool| tool.exists()).unwrap();
                std::os::unix::fs::symlink(found, path.path().join(tool)).unwrap();
            }
            let without = Kind { program, path: Some(path) };
            match finds(&with) {
                true => kinds.push(with),
                false => println!("skipped: flock is missing for {with:?}"),
            }
            // Some busybox shells find all that they can do, whatever PATH says.
            match finds(&without) {
                false => kinds.push(without),
                true => println!("skipped: {without:?} finds it all the same"),
            }
        }
        kinds
    }

    /// One of each way to lock.
    fn ways() -> Vec<Kind> {
        let mut ways: Vec<Kind> = Vec::new();
        for kind in kinds() {
            if ways.iter().all(|way| way.path.is_some() != kind.path.is_some()) {
                ways.push(kind);
            }
        }
        ways
    }

    #[test]
    fn names_are_files() {
        assert_eq!(file_name("osimage:rhels9-x86_64"), "lock-osimage%3arhels9-x86_64");
        assert_eq!(file_name("../a b"), "lock-..%2fa%20b");
    }

    #[test]
    fn all_are_taken_or_none_and_a_killed_holder_has_none() {
        for kind in kinds() {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("locks");
            let mut first = Shell::start(&kind, &folder);
            let mut second = Shell::start(&kind, &folder);
            let (both, one) = (claim(&["osimage:a", "install-tree"]), claim(&["osimage:a"]));
            assert_eq!(first.take(&both, &[]), Found::Taken, "{kind:?}");
            match second.take(&one, &[]) {
                Found::Busy { name, holder } => {
                    assert_eq!(name, "osimage:a");
                    let begin = format!("run 7 of adm: packing (process {}), since ", first.child.id());
                    assert!(holder.starts_with(&begin), "{kind:?}: {holder}");
                }
                other => panic!("{kind:?}: {other:?}"),
            }
            // A claim that gets only some of its locks keeps none.
            let mut third = Shell::start(&kind, &folder);
            assert_eq!(third.take(&claim(&["install-other"]), &[]), Found::Taken);
            assert!(matches!(second.take(&claim(&["install-other", "zfree"]), &[]), Found::Busy { .. }));
            assert_eq!(third.tell(LET_GO).stdout_text(), "released\n");
            assert_eq!(third.tell(LET_GO).stdout_text(), "");
            assert_eq!(third.take(&claim(&["zfree"]), &[]), Found::Taken);
            // What a shell starts without the locks does not keep them either.
            first.tell(&format!("( {WITHOUT} sleep 20 ) >/dev/null &"));
            first.kill();
            assert_eq!(second.take(&one, &[]), Found::Taken, "{kind:?}");
            second.kill();
            third.kill();
        }
    }

    #[test]
    fn a_lost_shell_of_the_same_run_is_ended() {
        for kind in ways() {
            let dir = tempfile::tempdir().unwrap();
            let mut first = Shell::start(&kind, dir.path());
            let mut second = Shell::start(&kind, dir.path());
            let (lost, next) = (claim(&["osimage:a"]), claim(&["osimage:a"]));
            assert_eq!(first.take(&lost, &[]), Found::Taken, "{kind:?}");
            assert!(matches!(second.take(&next, &["other".into()]), Found::Busy { .. }), "{kind:?}");
            assert_eq!(second.take(&next, &["other".into(), lost.token.clone()]), Found::Taken, "{kind:?}");
            assert!(!first.child.wait().unwrap().success());
            second.kill();
        }
    }

    /// What is left of a machine that was started anew, of a process number that somebody else has now, and of a lock that
    /// was given back holds nobody up; a process that still runs does, whoever made the lock.
    #[test]
    fn holders_without_flock_are_told_from_what_they_left() {
        for kind in kinds().into_iter().filter(|kind| kind.path.is_some()) {
            let dir = tempfile::tempdir().unwrap();
            let row = |n: u32| dir.path().join(format!("lock-a+{n}"));
            let own = format!("{} 1", std::process::id());
            let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            for left in [
                format!("another-start t\nold\n{} -\n", std::process::id()),
                format!("{} t\nold\n{own}\n", boot.trim()),
                "free\n".to_string(),
                String::new(),
            ] {
                std::fs::write(row(6), &left).unwrap();
                std::fs::write(row(7), &left).unwrap();
                let mut shell = Shell::start(&kind, dir.path());
                assert_eq!(shell.take(&claim(&["a"]), &[]), Found::Taken, "{kind:?} {left:?}");
                assert!(row(8).exists() && !row(7).exists() && !row(6).exists(), "{kind:?}");
                // Something that works for this lock when its shell is gone.
                let mut work = Command::new("sleep").arg("60").spawn().unwrap();
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", work.id())).unwrap();
                let born = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_string();
                let held = std::fs::read_to_string(row(8)).unwrap();
                std::fs::write(row(8), format!("{held}{} {born}\n", work.id())).unwrap();
                shell.kill();
                let mut next = Shell::start(&kind, dir.path());
                let found = next.take(&claim(&["a"]), &[]);
                assert!(
                    matches!(&found, Found::Busy { holder, .. } if holder.starts_with("run 7 of adm")),
                    "{found:?}"
                );
                work.kill().unwrap();
                work.wait().unwrap();
                assert_eq!(next.take(&claim(&["a"]), &[]), Found::Taken, "{kind:?} {left:?}");
                assert_eq!(next.tell(LET_GO).stdout_text(), "released\n");
                next.kill();
                std::fs::remove_file(row(9)).unwrap();
            }
        }
    }

    /// Many at once: one alone gets it each time.
    #[test]
    fn of_many_that_want_a_lock_at_once_one_gets_it() {
        for kind in ways() {
            let dir = tempfile::tempdir().unwrap();
            let mut shells: Vec<Shell> = (0..6).map(|_| Shell::start(&kind, dir.path())).collect();
            for round in 0..30 {
                let found: Vec<Found> = std::thread::scope(|scope| {
                    let asking: Vec<_> = shells
                        .iter_mut()
                        .map(|shell| scope.spawn(move || shell.take(&claim(&["install-tree"]), &[])))
                        .collect();
                    asking.into_iter().map(|one| one.join().unwrap()).collect()
                });
                let taken = found.iter().filter(|found| **found == Found::Taken).count();
                assert!(taken == 1, "{kind:?} round {round}: {found:?}");
                let owner = found.iter().position(|found| *found == Found::Taken).unwrap();
                if round % 3 == 0 {
                    let next = Shell::start(&kind, dir.path());
                    std::mem::replace(&mut shells[owner], next).kill();
                } else {
                    assert_eq!(shells[owner].tell(LET_GO).stdout_text(), "released\n");
                }
            }
            shells.into_iter().for_each(Shell::kill);
        }
    }

    /// Many shells in random order, some of them killed in the middle: never two at once.
    #[test]
    fn no_schedule_lets_two_in() {
        for kind in ways() {
            schedules(&kind);
        }
    }

    fn schedules(kind: &Kind) {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let dir = tempfile::tempdir().unwrap();
        let mut shells: Vec<Shell> = (0..2).map(|_| Shell::start(kind, dir.path())).collect();
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
                        let next = Shell::start(kind, dir.path());
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
