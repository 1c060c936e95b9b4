//! `xplay approve` signs a plan, `xplay verify` lists who did.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::args::{ApproveArgs, VerifyArgs};
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::{drive, policy, prompt};
use crate::plan::approvals::{self, Checked, NAMESPACE};
use crate::plan::file::{Approval, PlanFile, PlanFileError, Statement};
use crate::plan::policy::Policy;
use crate::plan::signers::AllowedSigners;
use crate::transport::Identity;
use crate::transport::signature::{self, Agent, SignError, SignerKey};

/// What `--key` takes besides a file.
const AGENT: &str = "agent";
/// Key files that are tried when nothing is said and there is no agent.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// Plans that are not approved.
const UNAPPROVED: u8 = 6;

/// Signs a plan and puts the signature into its file.
pub fn approve(args: &ApproveArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let file = read(&args.file)?;
    let policy = policy::load_for(&file, &config.env.cwd, out)?;
    let signers =
        policy.allowed_signers.as_deref().map(|path| policy::load_signers(path, out)).transpose()?;
    let now = Timestamp::now();
    if now >= file.created().expires {
        let text = format!("plan {} expired at {}", file.id(), file.created().expires);
        return Err(CliError::cannot(text).with_help("make the plan again"));
    }
    let identity = Identity::from_environment();
    let who = config.env.get("SUDO_USER").unwrap_or_else(|| identity.user.clone());
    let statement = Statement::about(&file, &who, now, args.message.as_deref().unwrap_or_default());
    let text = statement.text();
    let signature = sign(args.key.as_deref(), &identity, text.as_bytes())?;
    // Signing can take its time, and somebody else may have approved meanwhile.
    let mut newest = read(&args.file)?;
    newest.add_approval(Approval { statement: text, signature }).map_err(failed)?;
    let checked = approvals::check(&newest, &signers.unwrap_or_default(), now);
    let Some(own) = checked.last() else {
        return Err(CliError::Internal("an approval that was just given is missing".into()));
    };
    let Some(key) = &own.key else {
        let reason = own.verdict.clone().err().unwrap_or_default();
        return Err(CliError::Internal(format!("the signature that was just made is not valid: {reason}")));
    };
    newest.write(&args.file).map_err(failed)?;
    out.text(&format!("Approved {} with {key}, until {}.\n", newest.id(), newest.created().expires))?;
    match &own.verdict {
        Err(reason) if policy.allowed_signers.is_some() => {
            out.warning(&format!("the approval does not count here: {reason}"));
        }
        _ => out.text(&verdict_line(&newest, &policy, &checked))?,
    }
    Ok(Ending::Done)
}

/// Shows the approvals of a plan; the code says whether they are enough.
pub fn verify(args: &VerifyArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let file = read(&args.file)?;
    let policy = policy::load_for(&file, &config.env.cwd, out)?;
    let signers = match args.allowed_signers.as_ref().or(policy.allowed_signers.as_ref()) {
        Some(path) => policy::load_signers(path, out)?,
        None => AllowedSigners::default(),
    };
    let checked = approvals::check(&file, &signers, Timestamp::now());
    out.text(&listing(&file, &policy, &checked))?;
    if args.allowed_signers.is_none() && policy.allowed_signers.is_none() && !checked.is_empty() {
        out.help(&format!("name the keys that count with --allowed-signers, or in {}", policy::FILE));
    }
    let enough = approvals::people(&checked) >= policy.needed(file.plan()).0.max(1);
    Ok(if enough { Ending::Done } else { Ending::Code(UNAPPROVED) })
}

fn read(path: &Path) -> Result<PlanFile, CliError> {
    PlanFile::read(path).map_err(failed)
}

fn failed(error: PlanFileError) -> CliError {
    CliError::cannot(error.to_string())
}

/// Signs with the key that was named, the agent's, or the first default one.
fn sign(key: Option<&Path>, identity: &Identity, text: &[u8]) -> Result<String, CliError> {
    match key {
        Some(name) if name == Path::new(AGENT) => sign_with_agent(identity, None, text),
        Some(path) if path.extension().is_some_and(|e| e == "pub") => {
            let key = signature::read_public_key(path).map_err(explained)?;
            sign_with_agent(identity, Some(&key), text)
        }
        Some(path) => sign_with_file(path, text),
        None if identity.agent.is_some() => sign_with_agent(identity, None, text),
        None => sign_with_file(&default_key(identity)?, text),
    }
}

fn default_key(identity: &Identity) -> Result<PathBuf, CliError> {
    let folder = identity.home.as_ref().map(|home| home.join(".ssh"));
    let keys = folder.iter().flat_map(|folder| DEFAULT_KEYS.map(|name| folder.join(name)));
    keys.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        CliError::cannot("there is no SSH key to sign with")
            .with_help("name one with --key, or make one with ssh-keygen -t ed25519")
    })
}

fn sign_with_file(path: &Path, text: &[u8]) -> Result<String, CliError> {
    match signature::sign_with_file(path, None, NAMESPACE, text) {
        Err(SignError::Encrypted(_)) => {
            let passphrase = prompt::password(&format!("passphrase of {}: ", path.display()))?;
            signature::sign_with_file(path, Some(&passphrase), NAMESPACE, text)
        }
        signed => signed,
    }
    .map_err(explained)
}

fn sign_with_agent(identity: &Identity, key: Option<&SignerKey>, text: &[u8]) -> Result<String, CliError> {
    let Some(socket) = &identity.agent else {
        return Err(CliError::cannot("there is no SSH agent: SSH_AUTH_SOCK is not set")
            .with_help("name a key file with --key"));
    };
    let runtime = drive::runtime()?;
    let signed = runtime.block_on(async { Agent::connect(socket).await?.sign(key, NAMESPACE, text).await });
    runtime.shutdown_background();
    signed.map_err(explained)
}

fn explained(error: SignError) -> CliError {
    let help = match &error {
        SignError::ManyKeys(_) => Some("name one with --key FILE.pub"),
        SignError::NoKey | SignError::OtherKeys(_) => {
            Some("add it with ssh-add, or name a key file with --key")
        }
        _ => None,
    };
    match (CliError::cannot(error.to_string()), help) {
        (cannot, Some(help)) => cannot.with_help(help),
        (cannot, None) => cannot,
    }
}

fn listing(file: &PlanFile, policy: &Policy, checked: &[Checked]) -> String {
    let mut text = format!("Plan {} until {}\n", file.id(), file.created().expires);
    for approval in checked {
        let (word, who) = match &approval.verdict {
            Ok(principals) => ("valid", principals.join(",")),
            Err(_) => ("not valid", approval.statement.who.clone()),
        };
        let _ = write!(text, "  {word:9}  {who}  {}", approval.statement.at);
        if let Some(key) = &approval.key {
            let _ = write!(text, "  {key}");
        }
        if let Err(reason) = &approval.verdict {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
        for line in approval.statement.note.lines() {
            let _ = writeln!(text, "             {line}");
        }
    }
    text + &verdict_line(file, policy, checked)
}

fn verdict_line(file: &PlanFile, policy: &Policy, checked: &[Checked]) -> String {
    let (needed, risk) = policy.needed(file.plan());
    match (needed, approvals::people(checked)) {
        (0, given) => format!("Approvals: {given}; this project demands none for this plan.\n"),
        (needed, given) => format!("Approvals: {given} of {needed}, demanded for {} steps.\n", risk.word()),
    }
}
