//! What planning learned of one step on one host, before it is masked and folded into a plan.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::model::State;
use crate::modules::{Action, Diff, DiffSide, Effect, Prediction};
use crate::transport::Content;
use crate::value::{Map, Value, to_json};

/// One step on one host for one item, with everything in clear. [`super::Builder`] makes a [`super::Unit`] of it.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub state: State,
    /// The item's label.
    pub item: Option<String>,
    /// Why it is skipped, cannot be told or failed.
    pub reason: Option<String>,
    /// Causes of what is not known.
    pub unknown: Vec<Arc<str>>,
    /// Where it runs when not on the host itself.
    pub on: Option<String>,
    pub r#become: Option<String>,
    /// Arguments as resolved; may hold unknowns and secrets.
    pub args: Option<Map>,
    /// Variables that the loop brings.
    pub locals: Option<Map>,
    /// Templates that the module had rendered.
    pub rendered: Vec<(PathBuf, String)>,
    pub diffs: Vec<Diff>,
    /// See [`fingerprint`]; nothing when what is foreseen is not exact.
    pub expects: Option<String>,
    pub consequences: Vec<String>,
    pub warnings: Vec<String>,
    pub notifies: Vec<String>,
}

impl Observed {
    pub fn new(state: State) -> Self {
        Observed { state, ..Observed::default() }
    }

    /// Says why; a second reason does not replace the first.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason.get_or_insert_with(|| reason.into());
        self
    }

    /// Adds a cause of what is not known, once.
    pub fn not_known(&mut self, cause: &Arc<str>) {
        if !self.unknown.contains(cause) {
            self.unknown.push(cause.clone());
        }
    }
}

/// Returns a digest of what a prediction relies on and what it would do: its effect and differences, and the scripts where
/// no difference tells. Two predictions with the same one stand for the same change from the same state.
pub fn fingerprint(prediction: &Prediction) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &[u8]| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(match &prediction.effect {
        Effect::Same => b"same",
        Effect::Change => b"change",
        Effect::Unknown => b"unknown",
        Effect::Read => b"read",
        Effect::Skip(_) => b"skip",
    });
    for diff in &prediction.diff {
        part(diff.before_header.as_bytes());
        part(diff.after_header.as_bytes());
        for side in [&diff.before, &diff.after] {
            match side {
                DiffSide::Absent => part(b"absent"),
                DiffSide::Text(text) => part(text.as_bytes()),
                DiffSide::Attributes(map) => part(to_json(&Value::map(map.clone())).to_string().as_bytes()),
                DiffSide::Binary { size, sha256 } => part(format!("{size} {sha256}").as_bytes()),
            }
        }
    }
    if prediction.diff.is_empty() {
        for action in prediction.change.iter().flat_map(|c| &c.actions) {
            match action {
                Action::Run(run) => {
                    part(run.script.as_bytes());
                    match &run.stdin {
                        Some(Content::Bytes(bytes)) => part(bytes),
                        Some(Content::File { size, .. }) => part(&size.to_be_bytes()),
                        None => {}
                    }
                }
                Action::SaveLocal { path, .. } => part(path.as_os_str().as_encoded_bytes()),
            }
        }
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_follow_the_state_that_is_relied_on() {
        let prediction = |before: &str, script: &str| {
            let side = |text: &str| DiffSide::Text(text.to_string());
            Prediction::change(Map::new(), vec![Action::run(script)]).diff(Diff {
                before_header: "/f".into(),
                after_header: "/f".into(),
                before: side(before),
                after: side("new"),
            })
        };
        let known = fingerprint(&prediction("old", "a"));
        // The way to the same end may differ: shells, quoting.
        assert_eq!(known, fingerprint(&prediction("old", "b")));
        assert_ne!(known, fingerprint(&prediction("other", "a")));
        let bare = |script: &str| fingerprint(&Prediction::unknown(Map::new(), vec![Action::run(script)]));
        assert_ne!(bare("a"), bare("b"));
        assert_ne!(fingerprint(&Prediction::same(Map::new())), fingerprint(&Prediction::read(Map::new())));
    }
}
