//! Any bytes as a known_hosts file, and a host and key that are looked up in it.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use xplay::transport::known_hosts::{HostKey, KnownFile, KnownHosts};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut known = KnownHosts::default();
    known.add(Arc::new(KnownFile::parse(Path::new("known_hosts"), &text)));
    let key = HostKey { key_type: "ssh-ed25519".into(), blob: bytes.to_vec() };
    known.check("mn1", 22, &key);
    known.check(&text, 2222, &key);
    known.is_authority("mn1", 22, &key);
});
