//! `lookup('password', 'FILE length=20 chars=...')`: a random password kept in a file.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Call, Lookup};
use crate::template::error::{Fail, R};
use crate::template::filters::password::{crypt, random_of, random_text};
use crate::template::interp::Interp;
use crate::template::random::Random;
use crate::template::runtime::V;
use crate::value::{Secret, Unknown, Value};

pub(super) const TABLE: &[(&str, Lookup)] = &[("password", password)];

fn password(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let mut named = Vec::new();
    for name in ["length", "chars", "encrypt", "seed", "ident"] {
        if let Some(v) = call.option(interp, name)? {
            named.push((name.to_string(), v));
        }
    }
    let mut out = Vec::new();
    for term in call.texts(interp)? {
        let (path, inline) = parse(&term)?;
        let option = |name: &str| {
            let found = inline.iter().find(|(k, _)| k == name).map(|(_, v)| Value::str(v.as_str()));
            found.or_else(|| named.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
        };
        let length = match option("length") {
            Some(v) => crate::template::args::int(&v, "length")?.clamp(1, 4096) as usize,
            None => 20,
        };
        let chars = characters(option("chars").as_ref())?;
        if chars.is_empty() {
            return Err(Fail::failed("there are no characters to make a password of"));
        }
        let encrypt = option("encrypt").filter(|v| v.is_truthy()).map(|v| v.to_text());
        let seed = option("seed");
        let value = if path == "/dev/null" {
            let plain = random_of(&chars, length, Random::new(seed.as_ref())?);
            encrypted(&plain, encrypt.as_deref(), None)?
        } else {
            let path = resolve(interp, &path);
            kept(interp, &path, &chars, length, seed.as_ref(), encrypt.as_deref())?
        };
        out.push(V::Val(Value::Secret(Secret::new(value))));
    }
    Ok(out)
}

fn resolve(interp: &Interp<'_>, path: &str) -> PathBuf {
    let path = crate::template::search::expand_user(path);
    if Path::new(&path).is_absolute() {
        PathBuf::from(path)
    } else {
        interp.scope.search().playbook_dir.join(path)
    }
}

fn encrypted(plain: &str, kind: Option<&str>, salt: Option<&str>) -> R<String> {
    match kind {
        Some(kind) => crypt(plain, kind, salt, None),
        None => Ok(plain.to_string()),
    }
}

/// Splits `FILE key=value ...`; the file's name may hold blanks.
fn parse(term: &str) -> R<(String, Vec<(String, String)>)> {
    let mut path: Vec<&str> = Vec::new();
    let mut options = Vec::new();
    for word in term.split(' ') {
        match word.split_once('=') {
            Some((key @ ("length" | "chars" | "encrypt" | "seed" | "ident"), value)) => {
                options.push((key.to_string(), value.to_string()));
            }
            _ if options.is_empty() => path.push(word),
            _ if word.is_empty() => {}
            _ => {
                return Err(Fail::failed(format!(
                    "unrecognized value after key=value parameters given to password lookup: {word}"
                )));
            }
        }
    }
    Ok((path.join(" "), options))
}

/// Returns the characters of a set: names of Python's `string` module, or literal characters.
fn characters(spec: Option<&Value>) -> R<Vec<char>> {
    let specs: Vec<String> = match spec {
        None | Some(Value::Null) => {
            vec!["ascii_letters".into(), "digits".into(), ".,:-_".into()]
        }
        Some(Value::List(items)) => items.iter().map(Value::to_text).collect(),
        Some(other) => {
            let text = other.to_text();
            // A doubled comma stands for the character.
            let comma = text.contains(",,");
            let mut parts: Vec<String> =
                text.replace(",,", ",").split(',').filter(|p| !p.is_empty()).map(str::to_string).collect();
            if comma {
                parts.push(",".to_string());
            }
            parts
        }
    };
    let mut out = Vec::new();
    for spec in specs {
        let set: Vec<char> = match spec.as_str() {
            "ascii_letters" => ('a'..='z').chain('A'..='Z').collect(),
            "ascii_lowercase" => ('a'..='z').collect(),
            "ascii_uppercase" => ('A'..='Z').collect(),
            "digits" => ('0'..='9').collect(),
            "hexdigits" => ('0'..='9').chain('a'..='f').chain('A'..='F').collect(),
            "octdigits" => ('0'..='7').collect(),
            "punctuation" => (33u8..127).map(char::from).filter(char::is_ascii_punctuation).collect(),
            literal => literal.chars().collect(),
        };
        for c in set {
            if !out.contains(&c) {
                out.push(c);
            }
        }
    }
    Ok(out)
}

/// Returns the password in a file; makes both where they are missing. The file holds `password salt=...`.
fn kept(
    interp: &mut Interp<'_>,
    path: &Path,
    chars: &[char],
    length: usize,
    seed: Option<&Value>,
    encrypt: Option<&str>,
) -> R<String> {
    let cannot =
        |what: &str, e: std::io::Error| Fail::failed(format!("cannot {what} '{}': {e}", path.display()));
    let existing = match std::fs::read_to_string(path) {
        Ok(text) => Some(text.trim_end().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(cannot("read", e)),
    };
    let (plain, mut salt, is_new) = match &existing {
        Some(text) => match text.rsplit_once(" salt=") {
            Some((plain, rest)) => {
                let salt = rest.split(' ').next().unwrap_or_default();
                (plain.to_string(), Some(salt.to_string()), false)
            }
            None => (text.clone(), None, false),
        },
        None => (random_of(chars, length, Random::new(seed)?), None, true),
    };
    let needs_salt = encrypt.is_some() && salt.is_none();
    if needs_salt {
        salt = Some(random_text(16));
    }
    if is_new || needs_salt {
        if !interp.templar.settings().local_effects {
            return Err(Fail::unknown(Unknown {
                cause: format!("the password file {}", path.display()).into(),
            }));
        }
        let line = match &salt {
            Some(salt) => format!("{plain} salt={salt}\n"),
            None => format!("{plain}\n"),
        };
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            let mut maker = std::fs::DirBuilder::new();
            maker.recursive(true).mode(0o700).create(dir).map_err(|e| cannot("make the folder of", e))?;
        }
        write_private(path, &line).map_err(|e| cannot("write", e))?;
    }
    encrypted(&plain, encrypt, salt.as_deref())
}

/// Writes a file that only its owner can read, all or nothing.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
