//! `xplay vault`: makes, shows and changes files that are encrypted as `ansible-vault` encrypts them.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::args::{EncryptAs, VaultArgs, VaultCommand, VaultFiles, VaultWithArgs};
use super::config::{self as key, Config};
use super::exit::{CliError, Ending};
use super::output::Output;
use super::{project, prompt, settings};
use crate::vault::{self, Password, Salt, VaultSecrets};

/// Columns before the lines of an encrypted text in YAML.
const INDENT: usize = 10;
/// What stands for stdin and stdout among file names.
const STREAM: &str = "-";

pub fn vault(args: &VaultWithArgs, config: &Config, out: &Output) -> Result<Ending, CliError> {
    let vault = Vault { config, out };
    match &args.command {
        VaultCommand::Create { file, new, vault: flags } => vault.create(file, new, flags),
        VaultCommand::Edit { files, vault: flags } => vault.edit(files, flags),
        VaultCommand::View { files, vault: flags } => vault.view(files, flags),
        VaultCommand::Encrypt { files, new, vault: flags } => vault.encrypt(files, new, flags),
        VaultCommand::Decrypt { files, vault: flags } => vault.decrypt(files, flags),
        VaultCommand::Rekey { files, new, new_vault_id, new_vault_password_file, vault: flags } => {
            let ids = VaultArgs {
                vault_id: new_vault_id.iter().cloned().collect(),
                vault_password_file: new_vault_password_file.iter().cloned().collect(),
                ..VaultArgs::default()
            };
            vault.rekey(files, new, &ids, flags)
        }
        VaultCommand::EncryptString { texts, name, stdin_name, prompt, output, new, vault: flags } => {
            let wanted = Strings { texts, names: name, stdin_name: stdin_name.as_deref(), prompt: *prompt };
            vault.encrypt_string(&wanted, output.as_deref(), new, flags)
        }
    }
}

/// The password to encrypt with, and the label that goes into the header.
struct Key {
    label: Option<String>,
    password: Password,
}

/// What `encrypt_string` is given.
struct Strings<'a> {
    texts: &'a [String],
    names: &'a [String],
    stdin_name: Option<&'a str>,
    prompt: bool,
}

struct Vault<'a> {
    config: &'a Config,
    out: &'a Output,
}

impl Vault<'_> {
    fn create(&self, file: &Path, new: &EncryptAs, flags: &VaultArgs) -> Result<Ending, CliError> {
        if file.exists() {
            let text = format!("{} exists, please use 'edit' instead", file.display());
            return Err(CliError::cannot(text));
        }
        let key = self.key(new, flags)?;
        let plain = self.edited(b"")?;
        self.store(file, &self.sealed(&plain, &key)?)?;
        Ok(Ending::Done)
    }

    fn edit(&self, files: &VaultFiles, flags: &VaultArgs) -> Result<Ending, CliError> {
        let secrets = self.secrets(flags, "Vault password: ")?;
        for file in &files.files {
            let text = self.read(file)?;
            let (plain, password) = self.opened(&text, &secrets, file)?;
            let key = Key { label: vault::label(&text), password };
            let edited = self.edited(&plain)?;
            if edited != plain {
                self.store(file, &self.sealed(&edited, &key)?)?;
            }
        }
        Ok(Ending::Done)
    }

    fn view(&self, files: &VaultFiles, flags: &VaultArgs) -> Result<Ending, CliError> {
        let secrets = self.secrets(flags, "Vault password: ")?;
        for file in &files.files {
            let (plain, _) = self.opened(&self.read(file)?, &secrets, file)?;
            Self::print(&plain)?;
        }
        Ok(Ending::Done)
    }

    fn encrypt(&self, files: &VaultFiles, new: &EncryptAs, flags: &VaultArgs) -> Result<Ending, CliError> {
        let key = self.key(new, flags)?;
        self.each(files, |plain, file| {
            if vault::is_vault(&plain) {
                return Err(CliError::cannot(format!("input is already encrypted: {}", file.display())));
            }
            self.sealed(&plain, &key)
        })?;
        self.done("Encryption successful");
        Ok(Ending::Done)
    }

    fn decrypt(&self, files: &VaultFiles, flags: &VaultArgs) -> Result<Ending, CliError> {
        let secrets = self.secrets(flags, "Vault password: ")?;
        self.each(files, |text, file| Ok(self.opened(&text, &secrets, file)?.0))?;
        self.done("Decryption successful");
        Ok(Ending::Done)
    }

    fn rekey(
        &self,
        files: &VaultFiles,
        new: &EncryptAs,
        ids: &VaultArgs,
        flags: &VaultArgs,
    ) -> Result<Ending, CliError> {
        let secrets = self.secrets(flags, "Vault password: ")?;
        let given = !ids.vault_id.is_empty() || !ids.vault_password_file.is_empty();
        let key = if given || new.encrypt_vault_id.is_some() {
            self.key(new, ids)?
        } else {
            Key { label: None, password: self.asked_twice()? }
        };
        for file in &files.files {
            let (plain, _) = self.opened(&self.read(file)?, &secrets, file)?;
            self.store(file, &self.sealed(&plain, &key)?)?;
        }
        self.done("Rekey successful");
        Ok(Ending::Done)
    }

    fn encrypt_string(
        &self,
        wanted: &Strings<'_>,
        output: Option<&Path>,
        new: &EncryptAs,
        flags: &VaultArgs,
    ) -> Result<Ending, CliError> {
        let key = self.key(new, flags)?;
        let mut all: Vec<(Option<&str>, Vec<u8>)> = Vec::new();
        let texts: Vec<&String> = wanted.texts.iter().filter(|text| *text != STREAM).collect();
        let from_stdin = wanted.stdin_name.is_some()
            || wanted.texts.iter().any(|text| text == STREAM)
            || (texts.is_empty() && !wanted.prompt);
        if wanted.prompt {
            let text = prompt::password("String to encrypt (hidden): ")?;
            all.push((wanted.names.first().map(String::as_str), text.expose().as_bytes().to_vec()));
        }
        if from_stdin {
            self.out.note("Reading plaintext input from stdin. (ctrl-d to end input, twice if your content does not already have a newline)");
            let plain = self.read(Path::new(STREAM))?;
            if plain.is_empty() {
                return Err(CliError::cannot("stdin was empty, not encrypting"));
            }
            all.push((wanted.stdin_name, plain));
        }
        for (index, text) in texts.iter().enumerate() {
            all.push((wanted.names.get(index).map(String::as_str), text.as_bytes().to_vec()));
        }
        let mut shown = String::new();
        for (name, plain) in &all {
            if plain.is_empty() {
                return Err(CliError::cannot("the plaintext provided is empty, not encrypting"));
            }
            let sealed = self.sealed(plain, &key)?;
            if let Some(name) = name {
                let _ = write!(shown, "{name}: ");
            }
            shown.push_str("!vault |\n");
            for line in String::from_utf8_lossy(&sealed).lines() {
                let _ = writeln!(shown, "{:INDENT$}{line}", "");
            }
        }
        match output.filter(|path| *path != Path::new(STREAM)) {
            Some(path) => self.store(path, shown.as_bytes())?,
            None => Self::print(shown.as_bytes())?,
        }
        self.done("Encryption successful");
        Ok(Ending::Done)
    }

    /// Changes each file, or what comes from stdin, and puts it where `--output` says.
    fn each(
        &self,
        files: &VaultFiles,
        change: impl Fn(Vec<u8>, &Path) -> Result<Vec<u8>, CliError>,
    ) -> Result<(), CliError> {
        if files.output.is_some() && files.files.len() > 1 {
            return Err(CliError::option("At most one input file may be used with the --output option"));
        }
        let stdin = [PathBuf::from(STREAM)];
        let given = if files.files.is_empty() { &stdin[..] } else { &files.files[..] };
        for file in given {
            let changed = change(self.read(file)?, file)?;
            let to = files.output.as_deref().unwrap_or(file);
            if to == Path::new(STREAM) {
                Self::print(&changed)?;
            } else {
                self.store(to, &changed)?;
            }
        }
        Ok(())
    }

    fn secrets(&self, flags: &VaultArgs, question: &str) -> Result<VaultSecrets, CliError> {
        let settings = settings::vault_settings(flags, self.config);
        let nothing_said = settings.sources.is_empty() && !settings.ask;
        let mut secrets = project::vault_secrets(&settings, self.out)?;
        if nothing_said {
            let password = prompt::password(question)?;
            secrets.push("default", Password::new(password.expose().as_bytes()));
        }
        Ok(secrets)
    }

    /// The one password to encrypt with.
    fn key(&self, new: &EncryptAs, flags: &VaultArgs) -> Result<Key, CliError> {
        let settings = settings::vault_settings(flags, self.config);
        if settings.sources.is_empty() {
            return Ok(Key { label: None, password: self.asked_twice()? });
        }
        let secrets = project::vault_secrets(&settings, self.out)?;
        let labels = secrets.labels();
        let wanted = new.encrypt_vault_id.clone().or_else(|| self.config.text(&key::VAULT_ENCRYPT_IDENTITY));
        if labels.len() > 1 && wanted.is_none() {
            let text = format!(
                "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
                labels.join(",")
            );
            return Err(CliError::option(text));
        }
        let Some(password) = secrets.for_encryption(wanted.as_deref()) else {
            let known: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
            return Err(CliError::cannot(format!(
                "Did not find a match for --encrypt-vault-id={} in the known vault-ids [{}]",
                wanted.unwrap_or_default(),
                known.join(", ")
            )));
        };
        let label = wanted.or_else(|| labels.first().map(|label| (*label).to_string()));
        Ok(Key { label, password: password.clone() })
    }

    fn asked_twice(&self) -> Result<Password, CliError> {
        let first = prompt::password("New Vault password: ")?;
        if first.expose().is_empty() {
            return Err(CliError::cannot("Invalid vault password was provided"));
        }
        if prompt::password("Confirm New Vault password: ")?.expose() != first.expose() {
            return Err(CliError::cannot("Passwords do not match"));
        }
        self.out.secrets.add(first.expose());
        Ok(Password::new(first.expose().as_bytes()))
    }

    fn sealed(&self, plain: &[u8], key: &Key) -> Result<Vec<u8>, CliError> {
        let salt = match self.config.text(&key::VAULT_ENCRYPT_SALT) {
            Some(salt) => Salt::Fixed(salt.into_bytes()),
            None => Salt::Random,
        };
        let text = vault::encrypt(plain, &key.password, key.label.as_deref(), &salt);
        Ok(text.map_err(|e| CliError::cannot(super::chain(&e)))?.into_bytes())
    }

    fn opened(
        &self,
        text: &[u8],
        secrets: &VaultSecrets,
        file: &Path,
    ) -> Result<(Vec<u8>, Password), CliError> {
        if !vault::is_vault(text) {
            let text = format!("input is not vault encrypted data for {}", file.display());
            return Err(CliError::cannot(text));
        }
        vault::open(text, secrets).map_err(|e| {
            CliError::cannot(format!("{} for {}", super::chain(&e), file.display()))
                .with_help("pass the password with --vault-password-file or --vault-id")
        })
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, CliError> {
        let failed = |source| CliError::File { action: "read", path: file.to_owned(), source };
        if file == Path::new(STREAM) {
            let mut all = Vec::new();
            io::stdin().lock().read_to_end(&mut all).map_err(failed)?;
            return Ok(all);
        }
        std::fs::read(file).map_err(failed)
    }

    /// Replaces a file; only its owner may read what is in it. A link stays a link.
    fn store(&self, file: &Path, content: &[u8]) -> Result<(), CliError> {
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let failed = |source| CliError::File { action: "write", path: file.to_owned(), source };
        let dir = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Made with mode 0600.
        let mut fresh = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        fresh.write_all(content).map_err(failed)?;
        fresh.as_file().sync_all().map_err(failed)?;
        fresh.persist(&real).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// Lets the user change a text in an editor. It is in a private directory for that time.
    fn edited(&self, plain: &[u8]) -> Result<Vec<u8>, CliError> {
        let dir = tempfile::Builder::new().prefix("xplay-vault-").tempdir()?;
        let file = dir.path().join("text");
        self.store(&file, plain)?;
        let editor = self.config.env.get("EDITOR").unwrap_or_else(|| "vi".into());
        let mut words = editor.split_whitespace();
        let program = words.next().unwrap_or("vi");
        let status = std::process::Command::new(program)
            .args(words)
            .arg(&file)
            .status()
            .map_err(|e| CliError::cannot(format!("cannot run the editor \"{editor}\": {e}")))?;
        if !status.success() {
            return Err(CliError::cannot(format!("the editor \"{editor}\" failed: {status}")));
        }
        self.read(&file)
    }

    /// Secrets are what was asked for here: they are not masked.
    fn print(content: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(content)?;
        stdout.flush()?;
        Ok(())
    }

    fn done(&self, text: &str) {
        if io::stdout().is_terminal() {
            self.out.note(text);
        }
    }
}
