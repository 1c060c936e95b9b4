//! ssh_config, known_hosts and arguments of ssh as mistakes and attacks have them: no crash, no hang, no surprise.
//!
//! The same functions are fuzzed by hand, see `fuzz/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use xplay::transport::known_hosts::{HostKey, KnownFile, KnownHosts};
use xplay::transport::ssh_config::{
    Arguments, ConfigText, Files, Person, Query, Trust, World, evaluate, resolve, valid_host,
};

/// A machine on which every file is the one that is tested.
struct Everywhere(Arc<ConfigText>);

impl World for Everywhere {
    fn file(&self, _path: &Path, _trust: Trust) -> Result<Option<Arc<ConfigText>>, String> {
        Ok(Some(self.0.clone()))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        vec![pattern.to_path_buf(), pattern.join("again")]
    }

    fn succeeds(&self, _command: &str) -> bool {
        true
    }

    fn env(&self, name: &str) -> Option<String> {
        Some(name.chars().rev().collect())
    }
}

/// Reads a text as everything that it could be.
fn read(text: &str) {
    let world = Everywhere(Arc::new(ConfigText::parse(text)));
    let person =
        Person { user: "ann".into(), uid: 1, home: Some("/home/ann".into()), machine: "desk".into() };
    let query = Query {
        name: "mn1",
        person: &person,
        world: &world,
        options: &[],
        files: &Files::Usual,
        system: Some(Path::new("/etc/ssh/ssh_config")),
        fallback: &[],
    };
    if let Ok(settings) = evaluate(&query)
        && let Ok(resolved) = resolve(&settings, &query)
    {
        assert!(valid_host(&resolved.address), "{resolved:?}");
    }
    let _ = Arguments::parse(text.split(' ').map(str::to_owned));
    let mut known = KnownHosts::default();
    known.add(Arc::new(KnownFile::parse(Path::new("kh"), text)));
    let key = HostKey { key_type: "ssh-ed25519".into(), blob: text.as_bytes().to_vec() };
    known.check("mn1", 22, &key);
    known.check(text, 2222, &key);
}

/// Texts that are wrong in ways worth keeping.
fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = [
        "Include config",
        "Include a b c d e f\nInclude a b c d e f",
        "Include *\nMatch final\nInclude ~\nInclude ~/x ${X} %h",
        "Host \u{0}\nHostName \u{1b}]0;x\u{7}",
        "HostName $(reboot)\nProxyCommand nc %h;%r",
        "HostName -oProxyCommand=x",
        "User `id`\nUser \"",
        "Port 99999999999999999999\nPort -1",
        "ConnectTimeout 9999999999w9999999999w\nServerAliveCountMax 99999999999",
        "ConnectTimeout 1e308\nServerAliveInterval ....",
        "Match exec \"%\"\nMatch exec %%%h%\nIdentityFile %",
        "Match host \\\nMatch \"\" ''\nMatch !!!host x",
        "ProxyJump ,,,,\nProxyJump @:@:\nProxyJump [::1\nProxyJump a@[::1]:99999",
        "Ciphers +\nCiphers -*\nMACs ^\nKexAlgorithms ,,,",
        "AddKeysToAgent confirm 99999999999999w",
        "|1||| ssh-ed25519 AAAA\n|1|AA==|AA== ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        "@revoked\n@cert-authority *\n@cert-authority * ssh-rsa\n@@ x y z",
        "* ssh-ed25519 /////w==\n* ssh-ed25519 AAAA/w==\n!* x AAAA",
        "\u{feff}Host mn1\r\n Port 1\r",
        "Port=\nPort==22\n=\n==\n\"\" x\n\"Port\"22",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("Host {}", "*a".repeat(20_000)));
    texts.push(format!("{} ssh-ed25519 AAAA", "*?".repeat(20_000)));
    texts.push("x".repeat(1 << 20));
    texts.push(format!("Port 22 {}", "\"".repeat(100_001)));
    texts.push("Match host a,".repeat(20_000));
    texts.push("Include config\n".repeat(5_000));
    texts
}

#[test]
fn the_corpus_is_read_in_no_time() {
    for text in corpus() {
        let start = Instant::now();
        read(&text);
        let shown: String = text.chars().take(60).collect();
        assert!(start.elapsed() < Duration::from_secs(5), "{shown:?} took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in "(\\PC|[\n\t\"'%$@|!,*? =\\\\]){0,200}") {
        read(&text);
    }

    #[test]
    fn changed_texts_are_read(which in 0usize..20, at in any::<prop::sample::Index>(), piece in "[\n\"%$*!,]{0,3}") {
        let mut chars: Vec<char> = corpus()[which].chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..(at + 1).min(chars.len()), piece.chars());
        read(&chars.into_iter().collect::<String>());
    }
}
