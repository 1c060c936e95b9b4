//! Any bytes as every ssh_config file of a machine, and as arguments of ssh.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use xplay::transport::ssh_config::{
    Arguments, ConfigText, Files, Person, Query, Trust, World, evaluate, resolve, valid_host,
};

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

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let arguments = Arguments::parse(text.split(' ').map(str::to_owned)).unwrap_or_default();
    let world = Everywhere(Arc::new(ConfigText::parse(&text)));
    let person = Person { user: "ann".into(), uid: 1, home: Some("/home/ann".into()), machine: "desk".into() };
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
});
