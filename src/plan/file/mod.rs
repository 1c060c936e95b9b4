//! The plan file: one archive that holds a plan, the project that it was made from, and its approvals.
//!
//! ```text
//! manifest.json       format, and digest, size and mode of each entry down to the line; its digest is the plan's id
//! blobs/SHA256        rendered texts
//! bundle/ROOT/PATH    the project's files
//! plan.json           the plan
//! ------------------
//! approvals/N.json    signed statements
//! created.json        when it was made, and until when it may be applied
//! seal.json           digests of the manifest and of what stands below the line
//! ```
//!
//! Above the line there is no time and no random value: the same project, inventory and targets give the same bytes. The
//! digests make every edit show. They are no proof against somebody who computes them again; signed approvals are, which
//! name the plan's id and its end.

mod approval;
mod bundle;
mod container;
mod created;
mod error;
mod json;
mod manifest;
#[cfg(test)]
pub(in crate::plan) mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

pub use approval::{Approval, Statement};
pub use bundle::{Bundle, Item, MAX_CONTENT};
pub use created::{Created, Expiry};
pub use error::{PlanFileError, Problem};
pub use manifest::SEMANTICS;

use self::container::{Entry, Piece};
use self::manifest::{Content, Manifest, Mode};
use super::model::Plan;
use crate::modules::sha256;

const MANIFEST: &str = "manifest.json";
const PLAN: &str = "plan.json";
const CREATED: &str = "created.json";
const SEAL: &str = "seal.json";
const BUNDLE: &str = "bundle/";
const BLOBS: &str = "blobs/";
const APPROVALS: &str = "approvals/";
/// The mode of all entries but the project's files.
const MODE: u32 = 0o644;
/// Digits of the id as it is shown.
const SHOWN: usize = 12;

/// A plan with everything that is needed to review and to apply it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanFile {
    digest: String,
    /// `p-` and the first digits of the digest.
    id: String,
    manifest: Manifest,
    manifest_json: Vec<u8>,
    plan: Plan,
    plan_json: Vec<u8>,
    bundle: Bundle,
    blobs: BTreeMap<String, Vec<u8>>,
    created: Created,
    created_json: Vec<u8>,
    approvals: Vec<Approval>,
    /// What a newer minor version put in, kept as it is.
    others: BTreeMap<String, Entry>,
}

impl PlanFile {
    /// Makes a file of a plan. Blobs stand under their digests.
    pub fn new(plan: Plan, bundle: Bundle, blobs: BTreeMap<String, Vec<u8>>, created: Created) -> Self {
        let plan_json = json::canonical(&plan);
        let mut manifest = Manifest {
            format_version: manifest::format_version(),
            semantics: SEMANTICS,
            entries: BTreeMap::from([(PLAN.to_string(), Content::of(MODE, &plan_json))]),
            references: BTreeMap::new(),
            directories: BTreeMap::new(),
        };
        for (path, item) in bundle.items() {
            match item {
                Item::File { mode, content } => {
                    manifest.entries.insert(format!("{BUNDLE}{path}"), Content::of(*mode, content));
                }
                Item::Reference { mode, size, sha256 } => {
                    let content = Content { mode: Mode(*mode), sha256: sha256.clone(), size: *size };
                    manifest.references.insert(path.to_string(), content);
                }
                Item::Directory { mode } => {
                    manifest.directories.insert(path.to_string(), Mode(*mode));
                }
            }
        }
        for (name, content) in &blobs {
            manifest.entries.insert(format!("{BLOBS}{name}"), Content::of(MODE, content));
        }
        let manifest_json = json::canonical(&manifest);
        let digest = sha256(&manifest_json);
        PlanFile {
            id: shown(&digest),
            digest,
            manifest,
            manifest_json,
            plan,
            plan_json,
            bundle,
            blobs,
            created_json: json::canonical(&created),
            created,
            approvals: Vec::new(),
            others: BTreeMap::new(),
        }
    }

    /// Reads a plan file; refuses one that is not exactly as it was written.
    pub fn read(path: &Path) -> Result<Self, PlanFileError> {
        let failed = PlanFileError::file("read", path);
        let file = File::open(path).map_err(&failed)?;
        let mut bytes = Vec::new();
        file.take(container::MAX_PACKED + 1).read_to_end(&mut bytes).map_err(&failed)?;
        Self::from_bytes(&bytes).map_err(|problem| problem.at(path))
    }

    /// Writes the file, all or nothing, for its owner only.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        let bytes = self.to_bytes().map_err(|problem| problem.at(path))?;
        let failed = PlanFileError::file("write", path);
        let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(&failed)?;
        file.write_all(&bytes).map_err(&failed)?;
        file.as_file().sync_all().map_err(&failed)?;
        file.persist(path).map_err(|e| failed(e.error))?;
        // The new name is on the disk only when the directory is.
        File::open(dir).and_then(|d| d.sync_all()).map_err(&failed)
    }

    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        if let Some((name, _)) = self.blobs.iter().find(|(name, content)| **name != sha256(content)) {
            return Err(Problem::Damaged(format!("\"{BLOBS}{name}\" does not have that digest")));
        }
        let mut inside: BTreeMap<String, (u32, &[u8])> = BTreeMap::new();
        inside.insert(PLAN.into(), (MODE, &self.plan_json));
        for (path, item) in self.bundle.items() {
            if let Item::File { mode, content } = item {
                inside.insert(format!("{BUNDLE}{path}"), (*mode, content));
            }
        }
        for (name, content) in &self.blobs {
            inside.insert(format!("{BLOBS}{name}"), (MODE, content));
        }
        let approvals: Vec<Vec<u8>> = self.approvals.iter().map(json::canonical).collect();
        let mut outside: BTreeMap<String, (u32, &[u8])> = BTreeMap::new();
        outside.insert(CREATED.into(), (MODE, &self.created_json));
        for (index, approval) in approvals.iter().enumerate() {
            outside.insert(approval_name(index), (MODE, approval));
        }
        for (name, entry) in &self.others {
            let part = if self.manifest.entries.contains_key(name) { &mut inside } else { &mut outside };
            part.insert(name.clone(), (entry.mode, &entry.content));
        }
        let sealed = outside.iter().map(|(name, (_, content))| (name.as_str(), *content));
        let seal = manifest::seal(sealed.chain([(MANIFEST, self.manifest_json.as_slice())]));
        let mut pieces: Vec<Piece> = vec![(MANIFEST, MODE, &self.manifest_json)];
        pieces.extend(inside.iter().chain(&outside).map(|(name, (mode, c))| (name.as_str(), *mode, *c)));
        pieces.push((SEAL, MODE, &seal));
        container::encode(&pieces)
    }

    /// Reads the bytes of a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() as u64 > container::MAX_PACKED {
            return Err(Problem::TooLarge(format!("more than {} bytes", container::MAX_PACKED)));
        }
        let tar = container::unpack(bytes)?;
        let first = container::first(&tar)?;
        if first.name != MANIFEST {
            return Err(Problem::Foreign(format!(
                "it begins with \"{}\" instead of \"{MANIFEST}\"",
                first.name
            )));
        }
        manifest::check_format(&first.content)?;
        let entries = container::entries(bytes, &tar)?;
        Reading::new(entries)?.finish()
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the id as it is shown, such as `p-3f9a1c72b004`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the whole id: the digest of everything that the plan consists of.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the meaning with which it wants to be applied; see [`SEMANTICS`].
    pub fn semantics(&self) -> u32 {
        self.manifest.semantics
    }

    pub fn created(&self) -> &Created {
        &self.created
    }

    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Returns the text with this digest.
    pub fn blob(&self, sha256: &str) -> Option<&[u8]> {
        self.blobs.get(sha256).map(Vec::as_slice)
    }

    /// Returns the approvals in the order in which they were given. Their signatures have not been looked at.
    pub fn approvals(&self) -> &[Approval] {
        &self.approvals
    }

    /// Adds an approval of this plan.
    pub fn add_approval(&mut self, approval: Approval) -> Result<(), PlanFileError> {
        let unfit = |reason: String| PlanFileError::unfit("the approval", reason);
        let statement = approval.parse().map_err(|problem| unfit(problem.to_string()))?;
        if statement.plan != self.digest {
            return Err(unfit(format!("it is about another plan, {}", shown(&statement.plan))));
        }
        self.approvals.push(approval);
        Ok(())
    }
}

/// Returns a digest as an id for people.
fn shown(digest: &str) -> String {
    format!("p-{}", digest.get(..SHOWN).unwrap_or(digest))
}

fn approval_name(index: usize) -> String {
    format!("{APPROVALS}{}.json", index + 1)
}

/// The entries of a file while they are checked.
struct Reading {
    manifest: Manifest,
    manifest_json: Vec<u8>,
    entries: BTreeMap<String, Entry>,
}

impl Reading {
    /// Checks that each entry is there once, in its place, and as the manifest and the seal say.
    fn new(entries: Vec<Entry>) -> Result<Self, Problem> {
        let edited = |what: String| Err(Problem::Edited(what));
        let order: Vec<String> = entries.iter().map(|e| e.name.clone()).collect();
        let mut by_name = BTreeMap::new();
        for entry in entries {
            if let Some(twice) = by_name.insert(entry.name.clone(), entry) {
                return edited(format!("\"{}\" is in it twice", twice.name));
            }
        }
        let (Some(manifest_entry), Some(seal)) = (by_name.remove(MANIFEST), by_name.remove(SEAL)) else {
            return edited(format!("\"{SEAL}\" is missing"));
        };
        let outside = |name: &str| name == CREATED || name.starts_with(APPROVALS);
        let manifest: Manifest = json::parse_canonical(MANIFEST, &manifest_entry.content)?;
        for (name, content) in &manifest.entries {
            let Some(entry) = by_name.get(name).filter(|_| !outside(name)) else {
                return edited(format!("\"{name}\" is missing"));
            };
            if Content::of(entry.mode, &entry.content) != *content {
                return edited(format!("\"{name}\" is not as \"{MANIFEST}\" says"));
            }
        }
        let sealed = || by_name.values().filter(|e| !manifest.entries.contains_key(&e.name));
        check_seal(&seal, sealed().chain([&manifest_entry]))?;
        if let Some(odd) = sealed().chain([&manifest_entry, &seal]).find(|e| e.mode != MODE) {
            return edited(format!("\"{}\" has another mode", odd.name));
        }
        let inside = manifest.entries.keys();
        let expected = [MANIFEST].into_iter().chain(inside.map(String::as_str));
        let expected = expected.chain(sealed().map(|e| e.name.as_str())).chain([SEAL]);
        if !expected.eq(order.iter().map(String::as_str)) {
            return edited("its entries are in another order".into());
        }
        Ok(Reading { manifest, manifest_json: manifest_entry.content, entries: by_name })
    }

    /// Makes of the entries what they stand for.
    fn finish(mut self) -> Result<PlanFile, Problem> {
        let missing = |name: &str| Problem::Edited(format!("\"{name}\" is missing"));
        let plan_json = self.take(PLAN).ok_or_else(|| missing(PLAN))?;
        let created_json = self.take(CREATED).ok_or_else(|| missing(CREATED))?;
        let mut approvals = Vec::new();
        while let Some(bytes) = self.take(&approval_name(approvals.len())) {
            let approval: Approval = json::parse_canonical(&approval_name(approvals.len()), &bytes)?;
            approval.parse()?;
            approvals.push(approval);
        }
        if let Some(odd) = self.entries.keys().find(|name| name.starts_with(APPROVALS)) {
            return Err(Problem::Edited(format!("approvals are missing before \"{odd}\"")));
        }
        let bundle = self.bundle()?;
        let blobs = self.blobs()?;
        let digest = sha256(&self.manifest_json);
        Ok(PlanFile {
            id: shown(&digest),
            digest,
            plan: json::parse(PLAN, &plan_json)?,
            plan_json,
            bundle,
            blobs,
            created: json::parse_canonical(CREATED, &created_json)?,
            created_json,
            approvals,
            manifest: self.manifest,
            manifest_json: self.manifest_json,
            others: self.entries,
        })
    }

    fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.entries.remove(name).map(|entry| entry.content)
    }

    /// Takes the entries below a folder, by the rest of their names.
    fn take_below(&mut self, folder: &str) -> Vec<(String, Entry)> {
        let found = self.entries.extract_if(folder.to_string().., |name, _| name.starts_with(folder));
        found.map(|(name, entry)| (name[folder.len()..].to_string(), entry)).collect()
    }

    fn bundle(&mut self) -> Result<Bundle, Problem> {
        let mut bundle = Bundle::default();
        let mut insert =
            |path: &str, item: Item| bundle.insert_at(path, item).map_err(|e| Problem::Edited(e.to_string()));
        for (path, entry) in self.take_below(BUNDLE) {
            insert(&path, Item::File { mode: entry.mode, content: entry.content })?;
        }
        for (path, Content { mode, sha256, size }) in &self.manifest.references {
            if !bundle::is_sha256(sha256) {
                return Err(Problem::Edited(format!("\"{sha256}\" is no sha256 digest")));
            }
            insert(path, Item::Reference { mode: mode.0, size: *size, sha256: sha256.clone() })?;
        }
        for (path, mode) in &self.manifest.directories {
            insert(path, Item::Directory { mode: mode.0 })?;
        }
        Ok(bundle)
    }

    fn blobs(&mut self) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
        let mut blobs = BTreeMap::new();
        for (name, entry) in self.take_below(BLOBS) {
            if self.manifest.entries.get(&format!("{BLOBS}{name}")).is_none_or(|c| c.sha256 != name) {
                return Err(Problem::Edited(format!("\"{BLOBS}{name}\" does not have that digest")));
            }
            blobs.insert(name, entry.content);
        }
        Ok(blobs)
    }
}

/// Compares the seal with what it seals; an entry that differs is named.
fn check_seal<'a>(seal: &Entry, sealed: impl Iterator<Item = &'a Entry> + Clone) -> Result<(), Problem> {
    let expect = |e: &'a Entry| (e.name.as_str(), e.content.as_slice());
    if seal.content == manifest::seal(sealed.clone().map(expect)) {
        return Ok(());
    }
    let said: BTreeMap<String, BTreeMap<String, String>> = json::parse(SEAL, &seal.content)?;
    let said = said.get("sha256").cloned().unwrap_or_default();
    for entry in sealed.clone() {
        match said.get(&entry.name) {
            None => return Err(Problem::Edited(format!("\"{}\" was added", entry.name))),
            Some(digest) if *digest != sha256(&entry.content) => {
                return Err(Problem::Edited(format!("\"{}\" is not as it was sealed", entry.name)));
            }
            Some(_) => {}
        }
    }
    match said.keys().find(|name| sealed.clone().all(|e| e.name != **name)) {
        Some(name) => Err(Problem::Edited(format!("\"{name}\" is missing"))),
        None => Err(Problem::Edited(format!("\"{SEAL}\" is not in the form that xplay writes"))),
    }
}
