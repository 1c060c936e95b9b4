//! Playbooks by name: as typed, or in `playbooks/`.

use std::path::{Path, PathBuf};

use super::exit::CliError;
use crate::diag::did_you_mean;

/// The folder that is searched for playbooks that are not where the name says.
const FOLDER: &str = "playbooks";

/// Returns the paths of the playbooks, or says which one does not exist and where it was looked for.
pub fn find_playbooks(names: &[PathBuf], cwd: &Path) -> Result<Vec<PathBuf>, CliError> {
    names.iter().map(|name| find(name, cwd)).collect()
}

fn find(name: &Path, cwd: &Path) -> Result<PathBuf, CliError> {
    let mut tried = vec![name.to_owned()];
    let bare = name.parent().is_some_and(|p| p.as_os_str().is_empty());
    if bare {
        tried.push(Path::new(FOLDER).join(name));
        if name.extension().is_none() {
            let with_ending = name.with_extension("yml");
            tried.push(with_ending.clone());
            tried.push(Path::new(FOLDER).join(with_ending));
        }
    }
    if let Some(found) = tried.iter().find(|path| cwd.join(path).exists()) {
        if cwd.join(found).is_dir() {
            return Err(CliError::cannot(format!("the playbook \"{}\" is a directory", found.display())));
        }
        return Ok(found.clone());
    }
    let places: Vec<String> = tried.iter().take(2).map(|p| format!("\"{}\"", p.display())).collect();
    let error = CliError::cannot(format!("cannot find the playbook {}", places.join(" or ")));
    let error = match bare {
        true => error.with_help("name its path, or change to the folder that holds playbooks/"),
        false => error,
    };
    let here = playbooks_in(cwd, Path::new(""));
    let known: Vec<String> = here.into_iter().chain(playbooks_in(cwd, Path::new(FOLDER))).collect();
    let file_name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ending = if name.extension().is_none() { ".yml" } else { "" };
    let names = known.iter().map(|k| k.rsplit('/').next().unwrap_or(k));
    let best = did_you_mean(&format!("{file_name}{ending}"), names)
        .and_then(|best| known.iter().find(|k| k.ends_with(best)));
    Err(match best {
        Some(best) => error.with_help(format!("did you mean \"{best}\"?")),
        None => error,
    })
}

/// Returns the YAML files of a folder, by name.
fn playbooks_in(cwd: &Path, folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cwd.join(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| n.ends_with(".yml") || n.ends_with(".yaml"))
        .map(|n| folder.join(n).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playbooks_are_found_in_two_places() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("playbooks")).unwrap();
        for file in ["site.yml", "playbooks/service-node.yml", "playbooks/site.yml"] {
            std::fs::write(dir.path().join(file), "[]").unwrap();
        }
        let check = |name: &str, expect: Result<&str, (&str, Option<&str>)>| {
            let found = find_playbooks(&[name.into()], dir.path());
            match (found, expect) {
                (Ok(paths), Ok(expect)) => assert_eq!(paths, [PathBuf::from(expect)]),
                (Err(error), Err((text, help))) => {
                    assert_eq!((error.to_string().as_str(), error.help()), (text, help));
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        };
        check("site.yml", Ok("site.yml"));
        check("service-node.yml", Ok("playbooks/service-node.yml"));
        check("service-node", Ok("playbooks/service-node.yml"));
        check(
            "servicenode.yml",
            Err((
                "cannot find the playbook \"servicenode.yml\" or \"playbooks/servicenode.yml\"",
                Some("did you mean \"playbooks/service-node.yml\"?"),
            )),
        );
        check(
            "service-nodes",
            Err((
                "cannot find the playbook \"service-nodes\" or \"playbooks/service-nodes\"",
                Some("did you mean \"playbooks/service-node.yml\"?"),
            )),
        );
        check(
            "unlike.yml",
            Err((
                "cannot find the playbook \"unlike.yml\" or \"playbooks/unlike.yml\"",
                Some("name its path, or change to the folder that holds playbooks/"),
            )),
        );
        check("other/site.yml", Err(("cannot find the playbook \"other/site.yml\"", None)));
        check("playbooks", Err(("the playbook \"playbooks\" is a directory", None)));
    }
}
