//! Before anything runs: passphrases are asked for, and hosts whose keys nobody knows are shown once.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use super::exit::CliError;
use super::fan_out;
use super::listing;
use super::output::{Output, Voice};
use super::project::Project;
use super::prompt;
use super::trust::{Consent, trust_all};
use crate::diag::Diagnostic;
use crate::engine::{Before, Reach, RunOptions};
use crate::plan::nodeset;
use crate::transport::{ConnectionSpec, Connector, Kind};

/// How often a passphrase may be typed wrong.
const TRIES: usize = 3;

/// More hosts than these are not looked up before a run; they are refused as they come.
const LOOKED_UP: usize = 2000;

/// Prepares the connections of a run. Nothing is asked later, while hosts work side by side.
pub async fn prepare(
    project: &Project,
    options: &RunOptions,
    connector: &Arc<dyn Connector>,
    out: &Output,
) -> Result<(), CliError> {
    let person = io::stdin().is_terminal();
    // A rehearsal knows its hosts. Programs that call Ansible's names read everything that is said.
    if options.rehearsal || (out.voice == Voice::Ansible && !person) {
        return Ok(());
    }
    let Hosts { specs, refused } = look(project, options, out)?;
    out.diagnostics(&project.sources, &refused);
    if person {
        passphrases(&specs, connector, out).await?;
    }
    if out.voice == Voice::Ansible || specs.len() > LOOKED_UP {
        return Ok(());
    }
    let unknown: Vec<ConnectionSpec> = specs.into_iter().filter(|spec| connector.lacks_key(spec)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let hosts: Vec<&str> = unknown.iter().map(|spec| spec.host.as_str()).collect();
    let folded = nodeset::fold(&hosts).join(",");
    if !person {
        out.warning(&format!(
            "no key is known for {folded}; unknown hosts are refused: \"xplay hosts trust\" shows and records keys"
        ));
        return Ok(());
    }
    out.note(&format!("no key is known for {folded}"));
    match trust_all(connector, unknown, Consent::Asked, out).await {
        Err(CliError::Cannot { .. }) => {
            out.warning("the run goes on; unknown hosts are refused");
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// What can be known of the hosts of all plays.
struct Hosts {
    /// How one logs in, each host once.
    specs: Vec<ConnectionSpec>,
    /// What hosts behind a fan-out tool are asked for in vain.
    refused: Vec<Diagnostic>,
}

fn look(project: &Project, options: &RunOptions, out: &Output) -> Result<Hosts, CliError> {
    let limit = options.limit.as_deref().map(|l| project.limit(l, out)).transpose()?;
    let before = Before {
        inventory: &project.inventory,
        templar: &project.templar,
        sources: &project.sources,
        extra_vars: &project.extra_vars,
        login: &options.login,
    };
    let mut seen = BTreeSet::new();
    let mut kinds: HashMap<Arc<str>, Kind> = HashMap::new();
    let mut found = Hosts { specs: Vec::new(), refused: Vec::new() };
    for play in project.playbooks.iter().flat_map(|book| &book.plays) {
        let pattern = listing::patterns(play).join(",");
        // Patterns that are templates, or mistakes, are the run's own business.
        let Ok(matched) = project.inventory.matching(&pattern) else { continue };
        let kept = match &limit {
            Some(limit) => project.inventory.matching_all(limit).map(|m| m.hosts).unwrap_or_default(),
            None => matched.hosts.clone(),
        };
        let hosts = matched.hosts.iter().filter(|h| kept.contains(h));
        let names: Vec<Arc<str>> = hosts.map(|h| project.inventory.host(*h).name.clone()).collect();
        let new: Vec<Arc<str>> = names.iter().filter(|name| seen.insert((*name).clone())).cloned().collect();
        let reaches = before.reaches(&new, &play.directives, Some(&play.dir));
        found.refused.extend(fan_out::passwords(&reaches));
        let behind = reaches.iter().map(|reach| &reach.spec).filter(|spec| spec.kind.is_fan_out());
        kinds.extend(behind.map(|spec| (Arc::from(spec.host.as_str()), spec.kind)));
        found.specs.extend(reaches.into_iter().map(Reach::login));
        let behind: Vec<(Arc<str>, Kind)> =
            names.into_iter().filter_map(|name| kinds.get(&name).map(|kind| (name.clone(), *kind))).collect();
        found.refused.extend(fan_out::background_tasks(play, &behind));
    }
    found.specs.retain(|spec| spec.kind == Kind::Ssh);
    Ok(found)
}

async fn passphrases(
    specs: &[ConnectionSpec],
    connector: &Arc<dyn Connector>,
    out: &Output,
) -> Result<(), CliError> {
    let mut asked: BTreeSet<PathBuf> = BTreeSet::new();
    for spec in specs {
        for key in connector.locked_keys(spec).await {
            if !asked.insert(key.clone()) {
                continue;
            }
            for _ in 0..TRIES {
                let passphrase = prompt::password(&format!("Passphrase of {}: ", key.display()))?;
                if passphrase.expose().is_empty() {
                    break;
                }
                out.secrets.add(passphrase.expose());
                if connector.unlock(&key, &passphrase) {
                    break;
                }
                out.warning("that does not open it");
            }
        }
    }
    Ok(())
}
