//! Approvals of plans by real keys: what xplay signs is checked by ssh-keygen, and the other way round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use xplay::plan::file::{Approval, Bundle, Created, PlanFile, Statement};
use xplay::plan::model::{Group, Plan, Risk, State, Step, StepKind, Unit};

use crate::support::{find_program, skip};

const NAMESPACE: &str = "xplay-plan@v1";
/// Kinds of keys that ssh-keygen makes, with the size for it.
const KINDS: [(&str, &str); 5] =
    [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")];

/// A project with a plan in it.
struct Desk(tempfile::TempDir);

/// What a command gave.
#[derive(Debug, PartialEq)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn plan(risk: Risk) -> PlanFile {
    let step = Step {
        id: "boot#1".into(),
        turn: 1,
        play: 0,
        batch: 0,
        name: "boot".into(),
        role: None,
        module: "xcat_boot".into(),
        place: "site.yml:1".into(),
        kind: StepKind::Task,
        risk,
        no_log: false,
        groups: vec![Group {
            hosts: vec!["sn[1-2]".into()],
            units: vec![Unit { state: State::Change, ..Unit::default() }],
        }],
    };
    let plan = Plan { format_version: "1.0".into(), steps: vec![step], ..Plan::default() };
    let created = Created::at(Timestamp::now(), &plan);
    PlanFile::new(plan, Bundle::default(), BTreeMap::new(), created)
}

impl Desk {
    /// Returns nothing where there is no ssh-keygen.
    fn new(test: &str, risk: Risk) -> Option<Self> {
        if find_program("ssh-keygen").is_none() {
            skip(test, "there is no ssh-keygen");
            return None;
        }
        let desk = Desk(tempfile::tempdir().unwrap());
        plan(risk).write(&desk.path("a.xplan")).unwrap();
        Some(desk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            // Root has one name, whatever USER says.
            .env("SUDO_USER", "ann")
            .stdin(Stdio::null());
        command
    }

    fn xplay(&self, args: &[&str]) -> Ran {
        self.finish(self.command(env!("CARGO_BIN_EXE_xplay")).args(args))
    }

    fn finish(&self, command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        let dir = self.0.path().to_string_lossy().into_owned();
        let text = |bytes: Vec<u8>| self.timeless(&String::from_utf8(bytes).unwrap().replace(&dir, "DIR"));
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ran { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }

    /// Puts words for what differs from run to run.
    fn timeless(&self, text: &str) -> String {
        let file = self.read();
        let mut text = text.replace(&file.created().expires.to_string(), "END").replace(file.id(), "ID");
        for approval in file.approvals() {
            text = text.replace(&approval.parse().unwrap().at.to_string(), "THEN");
        }
        text
    }

    fn read(&self) -> PlanFile {
        PlanFile::read(&self.path("a.xplan")).unwrap()
    }

    /// Makes a key; returns its fingerprint.
    fn key(&self, name: &str, (kind, bits): (&str, &str), passphrase: &str) -> String {
        let made = self
            .command("ssh-keygen")
            .args(["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", name, "-f", name])
            .status();
        assert!(made.unwrap().success());
        let shown = self.command("ssh-keygen").args(["-lf", name]).output().unwrap();
        String::from_utf8(shown.stdout).unwrap().split(' ').nth(1).unwrap().to_string()
    }

    /// Writes allowed signers: names with options and the key's file.
    fn allow(&self, lines: &[(&str, &str)]) {
        let line = |(names, key): &(&str, &str)| {
            format!("{names} {}", std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap())
        };
        std::fs::write(self.path("signers"), lines.iter().map(line).collect::<String>()).unwrap();
    }

    /// Lets ssh-keygen check the last approval.
    fn ssh_keygen_checks(&self, who: &str) -> bool {
        let file = self.read();
        let approval = file.approvals().last().unwrap();
        std::fs::write(self.path("statement"), &approval.statement).unwrap();
        std::fs::write(self.path("statement.sig"), &approval.signature).unwrap();
        let statement = std::fs::File::open(self.path("statement")).unwrap();
        let mut command = self.command("ssh-keygen");
        command.args(["-Y", "verify", "-f", "signers", "-I", who, "-n", NAMESPACE, "-s", "statement.sig"]);
        command.stdin(statement).output().unwrap().status.success()
    }

    /// Puts in an approval that ssh-keygen signed.
    fn ssh_keygen_signs(&self, key: &str, namespace: &str, who: &str) {
        let mut file = self.read();
        let statement = Statement::about(&file, who, Timestamp::now(), "").text();
        std::fs::write(self.path("text"), &statement).unwrap();
        let _ = std::fs::remove_file(self.path("text.sig"));
        let mut command = self.command("ssh-keygen");
        let signed = command.args(["-q", "-Y", "sign", "-f", key, "-n", namespace, "text"]).output().unwrap();
        assert!(signed.status.success(), "{signed:?}");
        let signature = std::fs::read_to_string(self.path("text.sig")).unwrap();
        file.add_approval(Approval { statement, signature }).unwrap();
        file.write(&self.path("a.xplan")).unwrap();
    }
}

fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
    Ran { code, stdout: stdout.into(), stderr: stderr.into() }
}

#[test]
fn ssh_keygen_checks_what_xplay_signs() {
    for kind in KINDS {
        let Some(desk) = Desk::new("ssh_keygen_checks_what_xplay_signs", Risk::Low) else { return };
        let fingerprint = desk.key("key", kind, "");
        desk.allow(&[("ann@x namespaces=\"xplay-plan@v1\"", "key")]);
        let approved = desk.xplay(&["approve", "a.xplan", "--key", "key", "-m", "go\non"]);
        let said = format!(
            "Approved ID with {fingerprint}, until END.\nApprovals: 0; this project demands none for this plan.\n"
        );
        assert_eq!(approved, ran(0, &said, ""), "{kind:?}");
        assert!(desk.ssh_keygen_checks("ann@x"), "{kind:?}");
        let verified = desk.xplay(&["verify", "a.xplan", "--allowed-signers", "signers"]);
        let listed = format!(
            "Plan ID until END\n  valid      ann@x  THEN  {fingerprint}\n             go\n             on\n\
             Approvals: 1; this project demands none for this plan.\n"
        );
        assert_eq!(verified, ran(0, &listed, ""), "{kind:?}");
    }
}

#[test]
fn xplay_checks_what_ssh_keygen_signs() {
    for kind in KINDS {
        let Some(desk) = Desk::new("xplay_checks_what_ssh_keygen_signs", Risk::Low) else { return };
        let fingerprint = desk.key("key", kind, "");
        desk.allow(&[("ann@x", "key")]);
        desk.ssh_keygen_signs("key", NAMESPACE, "me");
        let verified = desk.xplay(&["verify", "a.xplan", "--allowed-signers", "signers"]);
        let listed = format!(
            "Plan ID until END\n  valid      ann@x  THEN  {fingerprint}\n\
             Approvals: 1; this project demands none for this plan.\n"
        );
        assert_eq!(verified, ran(0, &listed, ""), "{kind:?}");
    }
}

/// An agent that ends with the test.
struct RunningAgent(Child);

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_signs() {
    let test = "the_agent_signs";
    let Some(desk) = Desk::new(test, Risk::Low) else { return };
    let (Some(agent), Some(add)) = (find_program("ssh-agent"), find_program("ssh-add")) else {
        return skip(test, "there is no ssh-agent");
    };
    let socket = desk.path("agent");
    let mut command = desk.command(agent);
    let _running = RunningAgent(command.args(["-D", "-a", "agent"]).stdout(Stdio::null()).spawn().unwrap());
    let patience = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        assert!(Instant::now() < patience, "the agent does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let approve = |args: &[&str]| {
        let mut command = desk.command(env!("CARGO_BIN_EXE_xplay"));
        command.env("SSH_AUTH_SOCK", &socket).args(["approve", "a.xplan"]).args(args);
        desk.finish(&mut command)
    };
    let empty = "error: the SSH agent has no key that can sign\n\
                 help: add it with ssh-add, or name a key file with --key\n";
    assert_eq!(approve(&[]), ran(1, "", empty));
    let said = |fingerprint: &str| {
        format!(
            "Approved ID with {fingerprint}, until END.\nApprovals: 0; this project demands none for this plan.\n"
        )
    };
    let mut names = Vec::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        let name = format!("key{index}");
        let fingerprint = desk.key(&name, kind, "");
        let added = desk.command(&add).env("SSH_AUTH_SOCK", &socket).args(["-q", &name]).status();
        assert!(added.unwrap().success());
        // The private key is the agent's alone.
        std::fs::remove_file(desk.path(&name)).unwrap();
        desk.allow(&[("ann", &name)]);
        let public = format!("{name}.pub");
        let chosen = if index == 0 { vec![] } else { vec!["--key", public.as_str()] };
        assert_eq!(approve(&chosen), ran(0, &said(&fingerprint), ""), "{kind:?}");
        assert!(desk.ssh_keygen_checks("ann"), "{kind:?}");
        names.push(name);
    }
    let many = format!(
        "error: the SSH agent has several keys: {}\nhelp: name one with --key FILE.pub\n",
        names.join(", ")
    );
    assert_eq!(approve(&["--key", "agent"]), ran(1, "", &many));
    let other = desk.key("other", KINDS[0], "");
    let absent = format!(
        "error: the SSH agent does not have the key {other}\n\
         help: add it with ssh-add, or name a key file with --key\n"
    );
    assert_eq!(approve(&["--key", "other.pub"]), ran(1, "", &absent));
}

#[test]
fn keys_with_a_passphrase_ask_for_it() {
    for kind in [KINDS[0], KINDS[1]] {
        let Some(desk) = Desk::new("keys_with_a_passphrase_ask_for_it", Risk::Low) else { return };
        let fingerprint = desk.key("key", kind, "open sesame");
        desk.allow(&[("ann", "key")]);
        // Without a terminal the passphrase comes from the input.
        let approve = |passphrase: &str| {
            let setsid = find_program("setsid")?;
            std::fs::write(desk.path("input"), format!("{passphrase}\n")).unwrap();
            let mut command = desk.command(setsid);
            command.args(["-w", env!("CARGO_BIN_EXE_xplay"), "approve", "a.xplan", "--key", "key"]);
            command.stdin(std::fs::File::open(desk.path("input")).unwrap());
            Some(desk.finish(&mut command))
        };
        let Some(wrong) = approve("simsalabim") else {
            return skip("keys_with_a_passphrase_ask_for_it", "there is no setsid");
        };
        assert_eq!(wrong, ran(1, "", "error: cannot read the key key: the passphrase may be wrong\n"));
        let said = format!(
            "Approved ID with {fingerprint}, until END.\nApprovals: 0; this project demands none for this plan.\n"
        );
        assert_eq!(approve("open sesame"), Some(ran(0, &said, "")));
        assert!(desk.ssh_keygen_checks("ann"));
    }
}

#[test]
fn policy_counts_people() {
    let Some(desk) = Desk::new("policy_counts_people", Risk::Disruptive) else { return };
    let [ann, laptop, bob, eve] = ["ann", "laptop", "bob", "eve"].map(|name| desk.key(name, KINDS[0], ""));
    desk.allow(&[("ann@x", "ann"), ("ann@x", "laptop"), ("bob@x valid-after=20200101Z", "bob")]);
    let policy = "[plan.approvals]\nallowed_signers = \"signers\"\nhigh = 1\ndisruptive = 2\n";
    std::fs::write(desk.path("xplay.toml"), policy).unwrap();
    let verify = || desk.xplay(&["verify", "a.xplan"]);
    let none = "Plan ID until END\nApprovals: 0 of 2, demanded for disruptive steps.\n";
    assert_eq!(verify(), ran(6, none, ""));
    let approve = |key: &str| desk.xplay(&["approve", "a.xplan", "--key", key]);
    let said = |key: &str, given: usize| {
        let line = format!("Approvals: {given} of 2, demanded for disruptive steps.\n");
        ran(0, &format!("Approved ID with {key}, until END.\n{line}"), "")
    };
    assert_eq!(approve("ann"), said(&ann, 1));
    assert_eq!(approve("laptop"), said(&laptop, 1));
    let stranger = ran(
        0,
        &format!("Approved ID with {eve}, until END.\n"),
        "[WARNING]: the approval does not count here: the key is not in the file of allowed signers\n",
    );
    assert_eq!(approve("eve"), stranger);
    assert_eq!(verify().code, 6);
    assert_eq!(approve("bob"), said(&bob, 2));
    let listed = format!(
        "Plan ID until END\n  valid      ann@x  THEN  {ann}\n  valid      ann@x  THEN  {laptop}\n  \
         not valid  ann  THEN  {eve}: the key is not in the file of allowed signers\n  \
         valid      bob@x  THEN  {bob}\nApprovals: 2 of 2, demanded for disruptive steps.\n"
    );
    assert_eq!(verify(), ran(0, &listed, ""));
}

/// Who calls xplay from elsewhere is asked no less.
#[test]
fn policy_is_the_projects() {
    let Some(desk) = Desk::new("policy_is_the_projects", Risk::Disruptive) else { return };
    let project = desk.path("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("xplay.toml"), "[plan.approvals]\nallowed_signers = \"s\"\ndisruptive = 2\n")
        .unwrap();
    std::fs::write(project.join("s"), "").unwrap();
    let file = plan(Risk::Disruptive);
    let sources = BTreeMap::from([("project".to_string(), project.display().to_string())]);
    let created = Created { sources, ..file.created().clone() };
    let file = PlanFile::new(file.plan().clone(), file.bundle().clone(), BTreeMap::new(), created);
    file.write(&desk.path("a.xplan")).unwrap();
    let none = "Plan ID until END\nApprovals: 0 of 2, demanded for disruptive steps.\n";
    assert_eq!(desk.xplay(&["verify", "a.xplan"]), ran(6, none, ""));
    let refused = desk.xplay(&["apply", "a.xplan"]);
    assert!(refused.stderr.contains("refused (unapproved): "), "{}", refused.stderr);
}

#[test]
fn signatures_for_something_else_do_not_count() {
    let Some(desk) = Desk::new("signatures_for_something_else_do_not_count", Risk::Low) else { return };
    let key = desk.key("key", KINDS[0], "");
    desk.allow(&[("ann", "key")]);
    let verdict = || {
        let ran = desk.xplay(&["verify", "a.xplan", "--allowed-signers", "signers"]);
        (ran.code, ran.stdout.lines().nth(1).unwrap_or_default().to_string())
    };
    desk.ssh_keygen_signs("key", "git", "ann");
    assert_eq!(verdict(), (6, "  not valid  ann  THEN: it was made for \"git\"".into()));

    // The signature of another text, of another plan, and of a longer life.
    let file = plan(Risk::Low);
    let put = |statement: String, signature: String, created: Created| {
        let mut file = PlanFile::new(file.plan().clone(), file.bundle().clone(), BTreeMap::new(), created);
        file.add_approval(Approval { statement, signature }).unwrap();
        file.write(&desk.path("a.xplan")).unwrap();
    };
    file.write(&desk.path("a.xplan")).unwrap();
    desk.ssh_keygen_signs("key", NAMESPACE, "ann");
    let good = desk.read().approvals()[0].clone();
    assert_eq!(verdict(), (0, format!("  valid      ann  THEN  {key}")));
    let other = Statement::about(&file, "ann", Timestamp::now(), "other").text();
    put(other, good.signature.clone(), file.created().clone());
    assert_eq!(verdict(), (6, "  not valid  ann  THEN: the signature does not belong to the text".into()));
    let mut longer = file.created().clone();
    longer.expires = longer.expires.saturating_add(jiff::SignedDuration::from_hours(1)).unwrap();
    put(good.statement.clone(), good.signature.clone(), longer);
    let expect =
        format!("  not valid  ann  THEN  {key}: it approves the plan until {}", file.created().expires);
    assert_eq!(verdict(), (6, expect));
    put(good.statement, "no signature".into(), file.created().clone());
    let (code, line) = verdict();
    assert_eq!(
        (code, line.split(": ").take(2).collect::<Vec<_>>().join(": ")),
        (6, "  not valid  ann  THEN: the signature cannot be read".into())
    );
}

#[test]
fn mistakes_around_approvals_are_explained() {
    let Some(desk) = Desk::new("mistakes_around_approvals_are_explained", Risk::Low) else { return };
    let check = |args: &[&str], code: i32, stderr: &str| assert_eq!(desk.xplay(args), ran(code, "", stderr));
    let none = "error: there is no SSH key to sign with\n\
                help: name one with --key, or make one with ssh-keygen -t ed25519\n";
    check(&["approve", "a.xplan"], 1, none);
    let no_agent =
        "error: there is no SSH agent: SSH_AUTH_SOCK is not set\nhelp: name a key file with --key\n";
    check(&["approve", "a.xplan", "-k", "agent"], 1, no_agent);
    check(
        &["approve", "a.xplan", "-k", "nokey"],
        1,
        "error: cannot read the key nokey: No such file or directory (os error 2)\n",
    );
    check(&["verify", "b.xplan"], 1, "error: cannot read b.xplan: No such file or directory (os error 2)\n");
    check(
        &["verify", "a.xplan", "--allowed-signers", "nobody"],
        1,
        "error: there is no file of allowed signers \"nobody\"\n\
         help: it has one line for each key: NAME ssh-ed25519 AAAA...\n",
    );
    std::fs::write(desk.path("c.xplan"), "hello").unwrap();
    check(&["approve", "c.xplan"], 1, "error: c.xplan is no plan file: it does not begin as one\n");
    std::fs::write(desk.path("xplay.toml"), "[plan.approvals]\nallowed_signers = \"signers\"\nhi = 1\n")
        .unwrap();
    check(
        &["verify", "a.xplan"],
        4,
        "error[XP0812]: \"hi\" means nothing here\n --> DIR/xplay.toml:3:1\n  |\n3 | hi = 1\n  | ^^ not known\n  |\n  \
         = help: known: none, low, medium, high, opaque, disruptive, destructive, allowed_signers\n\n",
    );
}

/// A plan that ended is not approved any more.
#[test]
fn what_is_over_is_not_approved() {
    let Some(desk) = Desk::new("what_is_over_is_not_approved", Risk::Low) else { return };
    desk.key("key", KINDS[0], "");
    let file = plan(Risk::Low);
    let created = Created::at("2020-01-01T00:00:00Z".parse().unwrap(), file.plan());
    let old = PlanFile::new(file.plan().clone(), file.bundle().clone(), BTreeMap::new(), created);
    old.write(&desk.path("a.xplan")).unwrap();
    let refused = ran(1, "", "error: plan ID expired at END\nhelp: make the plan again\n");
    assert_eq!(desk.xplay(&["approve", "a.xplan", "-k", "key"]), refused);
    assert_eq!(desk.read().approvals(), []);
}
