//! Vault passwords: the list that is tried, and where they come from.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::VaultError;

/// The label of a password that was given without one.
const DEFAULT_LABEL: &str = "default";

/// A password. Any bytes; `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<[u8]>);

impl Password {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes themselves. They must reach no output.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What follows `--vault-id`: a label and where its password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `label@prompt`: the caller asks the user.
    Prompt { label: String },
    /// `label@path`, or a path alone.
    File { label: String, path: PathBuf },
}

impl Source {
    /// Reads `label@source`; without `@` all of it is the source.
    pub fn parse(text: &str) -> Self {
        let (label, source) = text.split_once('@').unwrap_or((DEFAULT_LABEL, text));
        let label = if label.is_empty() { DEFAULT_LABEL } else { label }.to_owned();
        match source {
            "prompt" | "prompt_ask_vault_pass" => Source::Prompt { label },
            path => Source::File { label, path: path.into() },
        }
    }
}

/// The passwords of this run, each under a label. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct VaultSecrets {
    list: Vec<(String, Password)>,
    /// Only passwords under a vault's own label are tried.
    strict: bool,
}

impl VaultSecrets {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a password; several may have the same label.
    pub fn push(&mut self, label: impl Into<String>, password: Password) {
        self.list.push((label.into(), password));
    }

    /// Adds the password that a file holds or a script prints.
    pub fn load(&mut self, label: &str, path: &Path) -> Result<(), VaultError> {
        let mut password = load_password_file(path, Some(label))?;
        // A password may itself be encrypted with one that is known by now.
        if super::is_vault(password.expose()) {
            let plain = super::decrypt(password.expose(), self)?;
            password = Password::new(trim(&plain, |b| b.is_ascii_whitespace()));
        }
        self.push(label, password);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the password to encrypt with: the first under the label, or the first of all without one.
    pub fn for_encryption(&self, label: Option<&str>) -> Option<&Password> {
        self.list
            .iter()
            .find(|(own, _)| label.is_none_or(|wanted| wanted == own))
            .map(|(_, password)| password)
    }

    /// Tries only passwords under a vault's own label, as Ansible's `vault_id_match` does.
    pub fn match_labels(&mut self) {
        self.strict = true;
    }

    /// Returns the label of each password.
    pub fn labels(&self) -> Vec<&str> {
        self.list.iter().map(|(label, _)| label.as_str()).collect()
    }

    /// Returns all passwords, so that the masking writer can learn them.
    pub fn passwords(&self) -> impl Iterator<Item = &Password> {
        self.list.iter().map(|(_, password)| password)
    }

    /// Returns those under `label` first, then all others.
    pub(super) fn in_order<'a>(&'a self, label: Option<&'a str>) -> impl Iterator<Item = &'a Password> {
        let fits = move |own: &str| label == Some(own);
        let first = self.list.iter().filter(move |(own, _)| fits(own));
        let strict = self.strict;
        let others = self.list.iter().filter(move |(own, _)| !strict && !fits(own));
        first.chain(others).map(|(_, password)| password)
    }
}

/// Returns the password in a file, or what the file prints if it is executable. As with Ansible, a script whose
/// name ends in `-client` is told the label.
pub fn load_password_file(path: &Path, label: Option<&str>) -> Result<Password, VaultError> {
    let unreadable = |source| VaultError::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    let executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    let bytes = if executable {
        trim(&run(path, label)?, |b| matches!(b, b'\r' | b'\n')).to_vec()
    } else {
        trim(&std::fs::read(path).map_err(unreadable)?, |b| b.is_ascii_whitespace() || b == 0x0b).to_vec()
    };
    if bytes.is_empty() {
        return Err(VaultError::Empty { path: path.to_owned() });
    }
    Ok(Password::new(&bytes))
}

/// Runs a script and returns what it prints. It may ask the user: its input and error output stay connected.
fn run(path: &Path, label: Option<&str>) -> Result<Vec<u8>, VaultError> {
    let not_runnable = |source| VaultError::NotRunnable { path: path.to_owned(), source };
    // Without a slash the name would be looked up in PATH.
    let mut command = Command::new(std::path::absolute(path).map_err(not_runnable)?);
    let is_client = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    if let Some(label) = label.filter(|_| is_client) {
        command.args(["--vault-id", label]);
    }
    let output = command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output().map_err(not_runnable)?;
    if !output.status.success() {
        return Err(VaultError::ScriptFailed { path: path.to_owned(), status: output.status });
    }
    Ok(output.stdout)
}

fn trim(bytes: &[u8], cut: impl Fn(u8) -> bool) -> &[u8] {
    let start = bytes.iter().position(|b| !cut(*b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !cut(*b)).map_or(start, |i| i + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn vault_ids_name_label_and_source() {
        let file = |label: &str, path: &str| Source::File { label: label.into(), path: path.into() };
        assert_eq!(Source::parse("prod@/etc/pw"), file("prod", "/etc/pw"));
        assert_eq!(Source::parse("/etc/pw"), file("default", "/etc/pw"));
        assert_eq!(Source::parse("@pw"), file("default", "pw"));
        assert_eq!(Source::parse("dev@prompt"), Source::Prompt { label: "dev".into() });
    }

    #[test]
    fn the_label_of_the_vault_is_tried_first() {
        let mut secrets = VaultSecrets::new();
        for (label, password) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            secrets.push(label, Password::new(password.as_bytes()));
        }
        let order = |label| {
            let texts = secrets.in_order(label).map(|p| String::from_utf8_lossy(p.expose()).into_owned());
            texts.collect::<String>()
        };
        assert_eq!(order(Some("b")), "2134");
        assert_eq!(order(Some("a")), "1324");
        assert_eq!(order(Some("x")), "1234");
        assert_eq!(order(None), "1234");
        assert_eq!(secrets.for_encryption(Some("c")), Some(&Password::new(b"4")));
        assert_eq!(secrets.for_encryption(Some("x")), None);
        assert_eq!(format!("{:?}", secrets.for_encryption(None)), "Some(Password(..))");
    }

    /// Writes a file with the mode and loads the password that it gives.
    fn load(name: &str, content: &str, mode: u32) -> Result<Password, VaultError> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
        loop {
            match load_password_file(&path, Some("prod")) {
                // Another test's child may hold the fresh file open for writing for a moment.
                Err(VaultError::NotRunnable { source, .. })
                    if source.kind() == ErrorKind::ExecutableFileBusy => {}
                result => return result,
            }
        }
    }

    #[test]
    fn passwords_come_from_files_and_scripts() {
        let check = |name: &str, content: &str, mode: u32, expect: &str| {
            assert_eq!(load(name, content, mode).expect(name), Password::new(expect.as_bytes()));
        };
        check("pw", " two words \r\n\n", 0o600, "two words");
        check("pw.sh", "#!/bin/sh\nprintf ' x y \\r\\n\\n'\n", 0o700, " x y ");
        check("pw.sh", "#!/bin/sh\necho \"$# args\"\n", 0o700, "0 args");
        check("pw-client.sh", "#!/bin/sh\necho \"$@\"\n", 0o700, "--vault-id prod");
    }

    #[test]
    fn failures_name_the_file() {
        let check = |content: &str, mode: u32, expect: &str| {
            let text = load("pw", content, mode).expect_err("no password").to_string();
            let (before, after) = text.split_once('`').expect("a path");
            assert_eq!(format!("{before}{}", after.rsplit_once('`').expect("a path").1), expect);
        };
        check(" \n", 0o600, "vault password from  is empty");
        check("#!/bin/sh\nexit 3\n", 0o700, "vault password script  failed: exit status: 3");
        check("#!/no/such/shell\n", 0o700, "cannot run vault password script ");
        let absent = load_password_file(Path::new("/no/such/file"), None).expect_err("no file");
        assert_eq!(absent.to_string(), "cannot read vault password file `/no/such/file`");
    }
}
