//! What is done with any bytes: one function for each parser of texts that others write.
//!
//! The fuzz targets call these functions, and so does the test `fuzz` of the package, with the corpus and mutations of
//! it. None of them may panic, take long, or write outside of the folder that it was given.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xplay::diag::SourceMap;
use xplay::engine::journal;
use xplay::inventory::{self, LoadOptions, Order, Source};
use xplay::modules::xcat::parse as xcat;
use xplay::plan::PlanFile;
use xplay::template::{Scope, SearchPath, Templar, TemplarSettings, Tree, Var};
use xplay::transport::known_hosts::{HostKey, KnownFile, KnownHosts};
use xplay::transport::ssh_config::{
    Arguments, ConfigText, Files, Person, Query, Trust, World, evaluate, resolve, valid_host,
};
use xplay::vault::{Password, VaultSecrets};
use xplay::{facts, rehearsal, value, vault, yaml};

/// A parser under its name, which is that of its corpus too.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 16] = [
    ("archive", archive),
    ("facts", host_facts),
    ("inventory_ini", inventory_ini),
    ("inventory_toml", inventory_toml),
    ("inventory_yaml", inventory_yaml),
    ("journal", run_journal),
    ("json", json),
    ("known_hosts", known_hosts),
    ("pattern", pattern),
    ("plan_file", plan_file),
    ("ssh_config", ssh_config),
    ("template", template),
    ("vault", encrypted),
    ("xcat", xcat_outputs),
    ("xml", xml),
    ("yaml", document),
];

/// A packed image, which a hostile host may have made: nothing of it may come to lie outside of the folder.
pub fn archive(bytes: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let (file, dest) = (dir.path().join("image"), dir.path().join("tree"));
    if std::fs::write(&file, bytes).is_err() {
        return;
    }
    let _ = rehearsal::xcat::unpack(&file, &dest);
    let Ok(entries) = std::fs::read_dir(dir.path()) else { return };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert!(names.iter().all(|name| name == "image" || name == "tree"), "written outside: {names:?}");
}

/// What a host says of itself.
pub fn host_facts(bytes: &[u8]) {
    if let Ok(subset) = facts::Subset::parse(&["all"]) {
        facts::parse(bytes, subset);
    }
}

/// Whether an inventory may ask for millions of hosts by many wide ranges, which rightly takes long.
fn asks_for_millions(bytes: &[u8]) -> bool {
    bytes.split(|byte| !byte.is_ascii_digit()).filter(|digits| digits.len() >= 5).count() > 2
}

fn inventory_named(name: &str, bytes: &[u8]) {
    if asks_for_millions(bytes) {
        return;
    }
    let Ok(dir) = tempfile::tempdir() else { return };
    let path = dir.path().join(name);
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let sources = SourceMap::new();
    let templar =
        Templar::new(sources.clone(), TemplarSettings { local_effects: false, ..TemplarSettings::default() });
    let _ = inventory::load(&[Source::Path(path)], &templar, &sources, &LoadOptions::default());
}

pub fn inventory_ini(bytes: &[u8]) {
    inventory_named("hosts", bytes);
}

pub fn inventory_toml(bytes: &[u8]) {
    inventory_named("hosts.toml", bytes);
}

pub fn inventory_yaml(bytes: &[u8]) {
    inventory_named("hosts.yml", bytes);
}

/// The journal of a run, and what stands behind its checksums.
pub fn run_journal(bytes: &[u8]) {
    let _ = journal::parse(bytes);
    let texts = String::from_utf8_lossy(bytes);
    for line in texts.lines() {
        let _ = serde_json::from_str::<journal::Record>(line.split_once(' ').map_or(line, |(_, text)| text));
    }
}

/// An expression in the first line, and a document in the others.
pub fn xml(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let document = bytes.get(end + 1..).unwrap_or_default();
    xplay::modules::xml::try_any(document, &String::from_utf8_lossy(&bytes[..end]));
}

pub fn json(bytes: &[u8]) {
    if let Ok(parsed) = serde_json::from_slice::<serde_json::Value>(bytes) {
        value::to_json_text(&value::from_json(&parsed));
    }
}

/// A known_hosts file, and a host and key that are looked up in it.
pub fn known_hosts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut known = KnownHosts::default();
    known.add(Arc::new(KnownFile::parse(Path::new("known_hosts"), &text)));
    let key = HostKey { key_type: "ssh-ed25519".into(), blob: bytes.to_vec() };
    known.check("mn1", 22, &key);
    known.check(&text, 2222, &key);
    known.is_authority("mn1", 22, &key);
}

/// A pattern of hosts over a small inventory.
pub fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let sources = SourceMap::new();
    let templar = Templar::new(sources.clone(), TemplarSettings::default());
    let list = Source::List("n1,n2,n[10:30],rack-a.x,".into());
    let Ok((hosts, _)) = inventory::load(&[list], &templar, &sources, &LoadOptions::default()) else {
        return;
    };
    inventory::split_pattern(&text);
    if let Ok(found) = hosts.matching(&text) {
        assert!(found.hosts.len() <= 24);
    }
    let _ = inventory::read_limit(&text).map(|patterns| hosts.matching_all(&patterns));
    let _ = Order::parse(&text);
}

/// A plan file, or the tar inside of one.
pub fn plan_file(bytes: &[u8]) {
    let mut packed = bytes.to_vec();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        let gzip = flate2::GzBuilder::new().mtime(0).operating_system(0xff);
        let mut encoder = gzip.write(Vec::new(), flate2::Compression::default());
        let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
        packed = written.unwrap_or_default();
    }
    let bytes = &packed[..];
    if let Ok(plan) = PlanFile::from_bytes(bytes)
        && let Ok(dir) = tempfile::tempdir()
    {
        let dest = dir.path().join("bundle");
        let _ = plan.bundle().unpack(&dest);
        let entries = std::fs::read_dir(dir.path()).map_or(0, Iterator::count);
        assert!(entries <= 1, "written outside of the bundle's folder");
    }
}

/// A world in which each file of ssh_config is the same.
struct Everywhere(Arc<ConfigText>);

impl World for Everywhere {
    fn file(&self, _path: &Path, _trust: Trust) -> Result<Option<Arc<ConfigText>>, String> {
        Ok(Some(self.0.clone()))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        vec![pattern.to_path_buf()]
    }

    fn succeeds(&self, _command: &str) -> bool {
        true
    }

    fn env(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}

/// Every ssh_config file of a machine, and arguments of ssh.
pub fn ssh_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments = Arguments::parse(text.split(' ').map(str::to_owned)).unwrap_or_default();
    let world = Everywhere(Arc::new(ConfigText::parse(&text)));
    let person =
        Person { user: "ann".into(), uid: 1, home: Some("/home/ann".into()), machine: "desk".into() };
    let query = Query {
        name: "mn1",
        person: &person,
        world: &world,
        options: &arguments.options,
        files: &Files::Usual,
        system: Some(Path::new("/etc/ssh/ssh_config")),
        fallback: &[],
    };
    if let Ok(settings) = evaluate(&query)
        && let Ok(resolved) = resolve(&settings, &query)
    {
        assert!(valid_host(&resolved.address));
    }
}

/// The variables of a template: a text, a number, a list.
struct Few(SearchPath);

impl Scope for Few {
    fn get(&self, name: &str) -> Option<Var> {
        let value = match name {
            "text" => value::Value::str("some text"),
            "number" => value::Value::from(7),
            "list" => value::Value::list(vec![value::Value::from(1), value::Value::str("b")]),
            _ => return None,
        };
        Some(Var::Tree(Tree::value(value)))
    }

    fn names(&self) -> Vec<Arc<str>> {
        ["text", "number", "list"].map(Arc::from).to_vec()
    }

    fn search(&self) -> &SearchPath {
        &self.0
    }
}

/// A template is compiled, and rendered unless it could rightly take long or read files.
pub fn template(bytes: &[u8]) {
    const LONG: [&str; 9] = ["range", "*", "lookup", "query", "q(", "99", "00", "include", "import"];
    let text = String::from_utf8_lossy(bytes);
    let templar = Templar::new(
        SourceMap::new(),
        TemplarSettings { local_effects: false, ..TemplarSettings::default() },
    );
    let Ok(tree) = templar.compile_str(&text, None) else { return };
    let _ = templar.compile_expr(&text, None);
    if LONG.iter().any(|word| text.contains(word)) {
        return;
    }
    let scope: Arc<dyn Scope> = Arc::new(Few(SearchPath::default()));
    let _ = templar.render(&tree, &scope).map(|value| value.to_text());
}

pub fn encrypted(bytes: &[u8]) {
    let mut secrets = VaultSecrets::new();
    secrets.push("default", Password::new(b"a"));
    vault::is_vault(bytes);
    vault::label(bytes);
    let _ = vault::decrypt(bytes, &secrets);
}

/// Outputs of xCAT's commands.
pub fn xcat_outputs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (name, attrs) in xcat::objects(&text) {
        xcat::stanza(&name, "node", &attrs);
    }
    xcat::object_names(&text);
    xcat::table(&text);
    xcat::site(&text);
    xcat::comma(&text);
    xcat::messages(&text);
    xcat::error_text(&text, &text);
    xcat::by_node(&text);
    xcat::answers(&text);
    xcat::medium(&text);
    xcat::kernel_words(&text);
    xcat::image_path(&text);
    xcat::image_id(&xcat::xcatinfo(text.lines()));
}

pub fn document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let sources = SourceMap::new();
    let file = sources.add("playbook.yml", text.as_ref());
    if let Ok(parsed) = yaml::parse(&sources, file) {
        let templar =
            Templar::new(sources, TemplarSettings { local_effects: false, ..TemplarSettings::default() });
        for document in &parsed.documents {
            let _ = templar.compile_node(document);
        }
    }
    let _ = yaml::parse_values(&text);
}
