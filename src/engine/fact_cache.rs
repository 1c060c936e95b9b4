//! Facts that outlive a run: one JSON file for each host, as Ansible's cache plugin `jsonfile` keeps them.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::value::{Map, Value, from_json, to_json_text};

/// Where facts are kept, and for how long they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactCache {
    pub dir: PathBuf,
    /// Stands before the host in the names of files.
    pub prefix: String,
    /// Nothing: for ever.
    pub lifetime: Option<Duration>,
}

impl FactCache {
    fn file(&self, host: &str) -> PathBuf {
        // A host's name must not lead out of the directory.
        self.dir.join(format!("{}{}", self.prefix, host.replace('/', "_")))
    }

    /// Returns the facts of a host that are still fresh. What cannot be read is as good as absent.
    pub fn load(&self, host: &str) -> Option<Map> {
        let file = self.file(host);
        if let Some(lifetime) = self.lifetime {
            let changed = std::fs::metadata(&file).and_then(|m| m.modified()).ok()?;
            if changed.elapsed().is_ok_and(|age| age > lifetime) {
                return None;
            }
        }
        let json = serde_json::from_slice::<serde_json::Value>(&std::fs::read(file).ok()?).ok()?;
        from_json(&json).as_map().cloned()
    }

    /// Keeps the facts of a host, in place of those kept before.
    pub fn save(&self, host: &str, facts: &Map) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(to_json_text(&Value::map(facts.clone())).as_bytes())?;
        file.persist(self.file(host)).map_err(|e| e.error)?;
        Ok(())
    }

    /// Forgets the facts of a host.
    pub fn forget(&self, host: &str) {
        // A file that is not there is what is wanted.
        let _ = std::fs::remove_file(self.file(host));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_kept_until_they_are_old() {
        let dir = tempfile::tempdir().unwrap();
        let cache = FactCache { dir: dir.path().join("c"), prefix: "p_".into(), lifetime: None };
        let facts = Map::from_iter([("ansible_x", Value::from(1))]);
        assert_eq!(cache.load("a/b"), None);
        cache.save("a/b", &facts).unwrap();
        assert!(dir.path().join("c/p_a_b").is_file());
        assert_eq!(cache.load("a/b"), Some(facts));
        let expired = FactCache { lifetime: Some(Duration::ZERO), ..cache.clone() };
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(expired.load("a/b"), None);
        cache.forget("a/b");
        assert_eq!(cache.load("a/b"), None);
    }
}
