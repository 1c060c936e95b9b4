//! `xplay hosts trust`: shows the keys of hosts that nobody knows yet, and records them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::args::TrustArgs;
use super::config::Config;
use super::exit::{CliError, Ending};
use super::output::Output;
use super::{drive, project, prompt, settings};
use crate::engine::{Before, Reach};
use crate::modules::sh::PRELUDE;
use crate::plan::nodeset;
use crate::playbook::Directives;
use crate::transport::{ConnectionSpec, Connector, HostConnector, Identity, Kind, UnknownKey};

/// Hosts that are looked at together.
const AT_ONCE: usize = 32;

/// Rounds of looking: a host behind unknown hosts is seen when those are known.
const ROUNDS: usize = 10;

pub fn trust(args: &TrustArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let sources = settings::sources(&args.hosts, &args.vars, config);
    let passwords = settings::passwords(&args.login, &Default::default(), config);
    let mut login = settings::login(&args.login, &Default::default(), config)?;
    project::login_passwords(&passwords, &mut login, out)?;
    let secrets = project::vault_secrets(&settings::vault_settings(&args.vault, config), out)?;
    let project = project::load(&sources, &[], secrets, out)?;
    let limit = (!args.hosts.limit.is_empty()).then(|| args.hosts.limit.join(":"));
    let limits = limit.as_deref().map(|l| project.limit(l, out)).transpose()?;
    let hosts = project.matching(&args.pattern, limits.as_deref(), out)?;
    if hosts.is_empty() {
        return Err(CliError::cannot(format!("no host matches \"{}\"", args.pattern))
            .with_help("xplay inventory --graph shows the hosts and groups"));
    }
    let names: Vec<Arc<str>> = hosts.iter().map(|h| project.inventory.host(*h).name.clone()).collect();
    let before = Before {
        inventory: &project.inventory,
        templar: &project.templar,
        sources: &project.sources,
        extra_vars: &project.extra_vars,
        login: &login,
    };
    let reaches = before.reaches(&names, &Directives::default(), None);
    let mut specs: Vec<ConnectionSpec> = reaches.into_iter().map(Reach::login).collect();
    specs.retain(|spec| spec.kind == Kind::Ssh);
    let connector: Arc<dyn Connector> = Arc::new(HostConnector::new(PRELUDE, Identity::from_environment()));
    let runtime = drive::runtime()?;
    let consent = if args.yes { Consent::Given } else { Consent::Asked };
    let ending = runtime.block_on(trust_all(&connector, specs, consent, out));
    runtime.shutdown_background();
    ending
}

/// Whether keys are recorded without a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    Asked,
}

/// Looks at hosts, shows what is unknown, records it if that is wanted.
pub async fn trust_all(
    connector: &Arc<dyn Connector>,
    mut specs: Vec<ConnectionSpec>,
    consent: Consent,
    out: &Output,
) -> Result<Ending, CliError> {
    let (mut known, mut recorded, mut failed) = (0, 0, 0);
    for _ in 0..ROUNDS {
        if specs.is_empty() {
            break;
        }
        let (mut unknown, mut again) = (Vec::new(), Vec::new());
        for (spec, seen) in look(connector, specs).await {
            match seen {
                Ok(None) => known += 1,
                Ok(Some(key)) => {
                    unknown.push(key);
                    again.push(spec);
                }
                Err(reason) => {
                    failed += 1;
                    out.error(&reason);
                }
            }
        }
        for warning in connector.take_warnings() {
            out.warning(&warning);
        }
        specs = again;
        if unknown.is_empty() {
            break;
        }
        out.text(&list(&unknown))?;
        if consent == Consent::Asked && !agreed()? {
            return Err(CliError::cannot("nothing was recorded").with_help(
                "compare the fingerprints with those on the hosts' consoles, then say yes, or give --yes",
            ));
        }
        let mut done = std::collections::HashSet::new();
        for key in unknown {
            if done.insert((key.name.clone(), key.port, key.key.blob.clone())) {
                let name = key.name.clone();
                key.record()
                    .map_err(|e| CliError::cannot(format!("cannot record the key of {name}: {e}")))?;
                recorded += 1;
            }
        }
    }
    // What was recorded in the last rounds has been seen as known since.
    out.note(&format!("{recorded} recorded, {known} known, {failed} not seen"));
    Ok(if failed == 0 { Ending::Done } else { Ending::Code(4) })
}

type Seen = Result<Option<Box<UnknownKey>>, String>;

async fn look(connector: &Arc<dyn Connector>, specs: Vec<ConnectionSpec>) -> Vec<(ConnectionSpec, Seen)> {
    let mut waiting = specs.into_iter();
    let mut looking = JoinSet::new();
    let mut all = Vec::new();
    loop {
        while looking.len() < AT_ONCE
            && let Some(spec) = waiting.next()
        {
            let connector = connector.clone();
            looking.spawn(async move {
                let seen = connector.unknown_key(&spec).await;
                let seen = seen.map_err(|e| match e.help() {
                    Some(help) => format!("{e}; {help}"),
                    None => e.to_string(),
                });
                (spec, seen)
            });
        }
        match looking.join_next().await {
            Some(Ok(seen)) => all.push(seen),
            Some(Err(_)) => {}
            None => break,
        }
    }
    all.sort_by(|a, b| a.0.host.cmp(&b.0.host));
    all
}

/// Shows keys, one line for all hosts that share one.
fn list(unknown: &[Box<UnknownKey>]) -> String {
    let mut keys: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for key in unknown {
        let file = key.file.as_ref().map_or_else(|| "nowhere".into(), |f| f.display().to_string());
        let text = format!("{} {} -> {file}", key.key.key_type, key.key.fingerprint());
        // A host on the way is not the host that was asked for.
        let own =
            if key.name.eq_ignore_ascii_case(&key.host) { String::new() } else { format!(" ({})", key.name) };
        let shared = unknown.iter().filter(|k| k.key == key.key).count() > 1;
        keys.entry((text, if shared { String::new() } else { own })).or_default().push(&key.host);
    }
    let mut lines: Vec<String> = keys
        .into_iter()
        .map(|((text, own), hosts)| format!("{}{own}: {text}\n", nodeset::fold(&hosts).join(",")))
        .collect();
    lines.sort();
    lines.concat()
}

fn agreed() -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let answer = prompt::line("Record these keys? [y/N] ")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::known_hosts::{HostKey, Naming};

    #[test]
    fn hosts_with_one_key_share_a_line() {
        let key = |host: &str, name: &str, byte: u8| {
            Box::new(UnknownKey {
                host: host.into(),
                name: name.into(),
                port: 22,
                key: HostKey { key_type: "ssh-ed25519".into(), blob: vec![byte] },
                file: Some("/k".into()),
                naming: Naming::Plain,
                help: String::new(),
            })
        };
        let shown = list(&[key("sn1", "sn1", 1), key("sn2", "10.0.0.2", 1), key("mn1", "10.0.0.9", 2)]);
        assert_eq!(
            shown,
            "mn1 (10.0.0.9): ssh-ed25519 SHA256:28G0yQD/5I1XW12lxjgEASX2XbD+PiRJS3bqmGRX2YY -> /k\n\
             sn[1-2]: ssh-ed25519 SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo -> /k\n"
        );
    }
}
