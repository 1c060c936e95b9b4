//! known_hosts as OpenSSH reads it: plain, hashed, wildcard and negated names, ports, `@cert-authority` and
//! `@revoked`, several files. Pure: text and keys in, a verdict out.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A public key as SSH sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// Such as `ssh-ed25519`.
    pub key_type: String,
    pub blob: Vec<u8>,
}

impl HostKey {
    /// Takes a key as it is sent; it begins with its type.
    pub fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let (length, rest) = blob.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let key_type = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
        Some(Self { key_type, blob })
    }

    /// Returns the fingerprint as OpenSSH prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// Counted from one, comments included.
    pub line: usize,
}

/// What the files say about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// No line is about this host and this type of key.
    Unknown,
    /// A line has another key of this type for this host.
    Changed {
        known: String,
        place: Place,
    },
    Revoked(Place),
}

/// All files that count for a connection, in order.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    files: Vec<Arc<KnownFile>>,
}

/// The lines of one file.
#[derive(Debug, Default)]
pub struct KnownFile {
    entries: Vec<Entry>,
    /// Entries by each of their names, as far as these are no patterns.
    plain: HashMap<String, Vec<usize>>,
    /// Entries with patterns or hashes, which must be tried one by one.
    others: Vec<usize>,
    /// Lines that made no sense; they are skipped.
    pub malformed: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Entry {
    marker: Marker,
    names: Names,
    key: HostKey,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
enum Names {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownFile {
    pub fn parse(file: &Path, text: &str) -> Self {
        let mut known = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = Place { file: file.to_path_buf(), line: index + 1 };
            match parse_line(line) {
                Some((marker, names, key)) => known.add(Entry { marker, names, key, place }),
                None => known.malformed.push(place),
            }
        }
        known
    }

    fn add(&mut self, entry: Entry) {
        let index = self.entries.len();
        match &entry.names {
            Names::Patterns(names) if names.iter().all(|n| !n.contains(['*', '?', '!'])) => {
                for name in names {
                    self.plain.entry(name.clone()).or_default().push(index);
                }
            }
            _ => self.others.push(index),
        }
        self.entries.push(entry);
    }

    /// Returns the entries about a name, in order.
    fn about(&self, name: &str) -> Vec<&Entry> {
        let others = self.others.iter().filter(|i| self.entries[**i].names.match_name(name));
        let mut found: Vec<usize> =
            self.plain.get(name).into_iter().flatten().chain(others).copied().collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|i| &self.entries[i]).collect()
    }
}

impl KnownHosts {
    pub fn add(&mut self, file: Arc<KnownFile>) {
        self.files.push(file);
    }

    /// Returns the places of the lines that were skipped.
    pub fn malformed(&self) -> impl Iterator<Item = &Place> {
        self.files.iter().flat_map(|f| &f.malformed)
    }

    /// Judges a key that a host showed.
    pub fn check(&self, host: &str, port: u16, key: &HostKey) -> Verdict {
        if let Some(place) = self.revoked(host, port, key) {
            return Verdict::Revoked(place);
        }
        let name = lookup_name(host, port);
        let mut changed = None;
        for entry in self.about(&name, Marker::None) {
            if entry.key == *key {
                return Verdict::Known;
            }
            if entry.key.key_type == key.key_type && changed.is_none() {
                changed =
                    Some(Verdict::Changed { known: entry.key.fingerprint(), place: entry.place.clone() });
            }
        }
        changed.unwrap_or(Verdict::Unknown)
    }

    /// Tells whether a certificate authority's key is trusted for a host.
    pub fn is_authority(&self, host: &str, port: u16, authority: &HostKey) -> bool {
        let name = lookup_name(host, port);
        self.revoked(host, port, authority).is_none()
            && self.about(&name, Marker::Authority).any(|e| e.key == *authority)
    }

    /// Returns the types of key that are known for a host, so that the host can be asked for one of them.
    pub fn key_types(&self, host: &str, port: u16) -> Vec<&str> {
        let name = lookup_name(host, port);
        self.about(&name, Marker::None).map(|e| &*e.key.key_type).collect()
    }

    /// Tells whether any certificate authority is trusted for a host.
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        let name = lookup_name(host, port);
        self.about(&name, Marker::Authority).next().is_some()
    }

    pub fn revoked(&self, host: &str, port: u16, key: &HostKey) -> Option<Place> {
        let name = lookup_name(host, port);
        self.about(&name, Marker::Revoked).find(|e| e.key == *key).map(|e| e.place.clone())
    }

    fn about<'a, 'b: 'a>(&'b self, name: &'a str, marker: Marker) -> impl Iterator<Item = &'b Entry> + 'a {
        self.files.iter().flat_map(move |f| f.about(name)).filter(move |e| e.marker == marker)
    }
}

/// Returns how a host stands in known_hosts.
pub fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    Plain,
    /// As a hash, so that the file does not tell which hosts are known.
    Hashed,
}

/// Appends a line for a new host; one write, so that runs at the same time do not mix their lines.
pub fn append(file: &Path, host: &str, port: u16, key: &HostKey, naming: Naming) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let unfinished = std::fs::read(file).is_ok_and(|t| t.last().is_some_and(|&b| b != b'\n'));
    let newline = if unfinished { "\n" } else { "" };
    let mut name = lookup_name(host, port);
    if naming == Naming::Hashed {
        let mut salt = [0u8; 20];
        getrandom::fill(&mut salt)?;
        name = hashed_name(&name, &salt).unwrap_or(name);
    }
    let line = format!("{newline}{name} {} {}\n", key.key_type, STANDARD.encode(&key.blob));
    let mut out = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    out.write_all(line.as_bytes())
}

/// Replaces all that a file says of a host by one key. A line that names other hosts too keeps them; a pattern that takes the
/// host along with others is an error, and so is a file that cannot be written.
pub fn replace(file: &Path, host: &str, port: u16, key: &HostKey, naming: Naming) -> std::io::Result<()> {
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Other connections of this program may be about to do the same.
    let lock = std::fs::File::open(folder)?;
    lock.lock()?;
    let text = std::fs::read_to_string(file)?;
    let kept = without(&text, &lookup_name(host, port)).map_err(std::io::Error::other)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(kept.as_bytes())?;
    append(new.path(), host, port, key, naming)?;
    new.as_file().set_permissions(std::fs::metadata(file)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|e| e.error)?;
    Ok(())
}

/// Returns a file's text without the keys of a name; markers stay.
fn without(text: &str, name: &str) -> Result<String, String> {
    let mut kept = String::new();
    for (index, line) in text.lines().enumerate() {
        let Some((Marker::None, names, _)) = parse_line(line.trim()) else {
            kept.extend([line, "\n"]);
            continue;
        };
        match &names {
            names if !names.match_name(name) => kept.extend([line, "\n"]),
            Names::Hashed { .. } => {}
            Names::Patterns(all) => {
                let others: Vec<&str> = all.iter().filter(|n| *n != name).map(String::as_str).collect();
                if matches_list(&others.iter().map(ToString::to_string).collect::<Vec<_>>(), name) {
                    return Err(format!(
                        "line {} knows {name} by a pattern that is about other hosts too",
                        index + 1
                    ));
                }
                if let (Some(first), Some((_, rest))) = (others.first(), line.trim().split_once([' ', '\t']))
                {
                    kept.extend([*first]);
                    others[1..].iter().for_each(|other| kept.extend([",", *other]));
                    kept.extend([" ", rest, "\n"]);
                }
            }
        }
    }
    Ok(kept)
}

/// Returns the key of a line without a marker.
pub(super) fn key_of_line(line: &str) -> Option<HostKey> {
    match parse_line(line.trim())? {
        (Marker::None, _, key) => Some(key),
        _ => None,
    }
}

fn parse_line(line: &str) -> Option<(Marker, Names, HostKey)> {
    let mut words = line.split_ascii_whitespace();
    let mut names = words.next()?;
    let marker = match names {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        names = words.next()?;
    }
    let names = parse_names(names)?;
    let key_type = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    let key = HostKey::from_blob(blob)?;
    // A line whose key is of another type than it says is damaged.
    (key.key_type == key_type).then_some((marker, names, key))
}

/// Whether the first field of a line, with names, patterns or a hash, is about a name in lower case.
pub fn names_match(names: &str, name: &str) -> bool {
    parse_names(names).is_some_and(|names| names.match_name(name))
}

/// Returns a name as a hash that only those who know the name recognize.
pub fn hashed_name(name: &str, salt: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes())))
}

fn parse_names(text: &str) -> Option<Names> {
    let Some(hashed) = text.strip_prefix("|1|") else {
        return Some(Names::Patterns(text.split(',').map(str::to_ascii_lowercase).collect()));
    };
    let (salt, hash) = hashed.split_once('|')?;
    Some(Names::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? })
}

impl Names {
    fn match_name(&self, name: &str) -> bool {
        match self {
            Names::Patterns(patterns) => matches_list(patterns, name),
            Names::Hashed { salt, hash } => {
                let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else { return false };
                mac.update(name.as_bytes());
                mac.verify_slice(hash).is_ok()
            }
        }
    }
}

/// Whether a list of patterns takes a name: one matches, and none with `!` in front does.
pub fn matches_list(patterns: &[String], name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        if let Some(negated) = pattern.strip_prefix('!') {
            if matches(negated.as_bytes(), name.as_bytes()) {
                return false;
            }
        } else {
            found |= matches(pattern.as_bytes(), name.as_bytes());
        }
    }
    found
}

/// Matches `*` and `?`; brackets are plain characters here. Linear memory, and no blow-up on many stars.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
                continue;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        let Some((star, next)) = retry else { return false };
        p = star;
        n = next;
        retry = Some((star, next + 1));
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key_type: &str, body: &str) -> HostKey {
        let mut blob = (key_type.len() as u32).to_be_bytes().to_vec();
        blob.extend_from_slice(key_type.as_bytes());
        blob.extend_from_slice(body.as_bytes());
        HostKey { key_type: key_type.into(), blob }
    }

    fn line(names: &str, key: &HostKey) -> String {
        format!("{names} {} {}\n", key.key_type, STANDARD.encode(&key.blob))
    }

    fn hashed(name: &str) -> String {
        let salt = b"01234567890123456789";
        let mut mac = Hmac::<Sha1>::new_from_slice(salt).unwrap();
        mac.update(name.as_bytes());
        format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()))
    }

    fn known(texts: &[&str]) -> KnownHosts {
        let mut known = KnownHosts::default();
        for text in texts {
            known.add(Arc::new(KnownFile::parse(Path::new("kh"), text)));
        }
        known
    }

    fn verdict(text: &str, host: &str, port: u16, key: &HostKey) -> String {
        match known(&[text]).check(host, port, key) {
            Verdict::Known => "known".into(),
            Verdict::Unknown => "unknown".into(),
            Verdict::Changed { place, .. } => format!("changed {}", place.line),
            Verdict::Revoked(place) => format!("revoked {}", place.line),
        }
    }

    #[test]
    fn names() {
        let k = key("ssh-ed25519", "one");
        let check = |names: &str, host: &str, port: u16, expect: &str| {
            assert_eq!(verdict(&line(names, &k), host, port, &k), expect, "{names} for {host}:{port}");
        };
        check("mn1", "mn1", 22, "known");
        check("MN1", "mn1", 22, "known");
        check("mn1", "MN1", 22, "known");
        check("mn1", "mn10", 22, "unknown");
        check("mn1", "mn1", 2222, "unknown");
        check("[mn1]:2222", "mn1", 2222, "known");
        check("[mn1]:2222", "mn1", 22, "unknown");
        check("a,mn1,10.0.0.1", "10.0.0.1", 22, "known");
        check("node*", "node17", 22, "known");
        check("node?", "node17", 22, "unknown");
        check("node*,!node17", "node17", 22, "unknown");
        check("!node17,node*", "node17", 22, "unknown");
        check("!node17", "node18", 22, "unknown");
        check("*", "[x]", 99, "known");
        check("[*]:22", "mn1", 22, "unknown");
        check(&hashed("mn1"), "mn1", 22, "known");
        check(&hashed("mn1"), "mn2", 22, "unknown");
        check(&hashed("[mn1]:2222"), "mn1", 2222, "known");
        check("fe80::1", "fe80::1", 22, "known");
    }

    #[test]
    fn a_key_takes_the_place_of_another() {
        let (old, new) = (key("ssh-ed25519", "old"), key("ssh-ed25519", "new"));
        let rsa = key("ssh-rsa", "old");
        let head = format!("# kept\n{}{}", line("mn1,[mn1]:23", &old), line("@revoked mn1", &rsa));
        let hash = hashed("mn1");
        let text = format!("{head}{}{}{}", line("mn1", &rsa), line(&hash, &old), line("mn*,!mn1", &old));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        std::fs::write(&file, &text).unwrap();
        replace(&file, "MN1", 22, &new, Naming::Plain).unwrap();
        let expect = format!(
            "# kept\n{}{}{}{}",
            line("[mn1]:23", &old),
            line("@revoked mn1", &rsa),
            line("mn*,!mn1", &old),
            line("mn1", &new)
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expect);
        std::fs::write(&file, line("mn?", &old)).unwrap();
        let refused = replace(&file, "mn1", 22, &new, Naming::Plain).unwrap_err();
        assert_eq!(refused.to_string(), "line 1 knows mn1 by a pattern that is about other hosts too");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), line("mn?", &old));
    }

    #[test]
    fn keys_and_markers() {
        let (one, two) = (key("ssh-ed25519", "one"), key("ssh-ed25519", "two"));
        let rsa = key("ssh-rsa", "three");
        let text = format!(
            "# comment\n\n{}{}{}@revoked * {}{}",
            line("mn1", &one),
            line("mn2", &rsa),
            line("mn2", &two),
            line("", &key("ssh-rsa", "bad")),
            line("@cert-authority *.cluster", &two),
        );
        assert_eq!(verdict(&text, "mn1", 22, &one), "known");
        assert_eq!(verdict(&text, "mn1", 22, &two), "changed 3");
        assert_eq!(verdict(&text, "mn1", 22, &rsa), "unknown");
        assert_eq!(verdict(&text, "mn2", 22, &rsa), "known");
        assert_eq!(verdict(&text, "mn2", 22, &two), "known");
        assert_eq!(verdict(&text, "mn2", 22, &one), "changed 5");
        assert_eq!(verdict(&text, "mn1", 22, &key("ssh-rsa", "bad")), "revoked 6");
        let known = known(&[&text]);
        assert!(known.is_authority("n1.cluster", 22, &two));
        assert!(!known.is_authority("n1", 22, &two));
        assert!(!known.is_authority("n1.cluster", 22, &one));
        assert_eq!(known.check("n1.cluster", 22, &two), Verdict::Unknown, "an authority is no host key");
        assert_eq!(known.key_types("mn2", 22), ["ssh-rsa", "ssh-ed25519"]);
        assert!(known.has_authority("n1.cluster", 22) && !known.has_authority("mn1", 22));
    }

    #[test]
    fn a_revoked_authority_is_no_authority() {
        let ca = key("ssh-ed25519", "ca");
        let known = known(&[&line("@cert-authority *", &ca), &line("@revoked *", &ca)]);
        assert!(!known.is_authority("n1", 22, &ca));
    }

    #[test]
    fn malformed_lines_are_skipped_and_told() {
        let k = key("ssh-ed25519", "one");
        let good = line("mn1", &k);
        let wrong_type = good.replace("ssh-ed25519", "ssh-rsa");
        let text =
            format!("mn1\n@other mn1 x y\nmn1 ssh-ed25519 !!!\n|1|x mn1\n{wrong_type}{good}mn1 t AAAA");
        let known = known(&[&text]);
        assert_eq!(known.malformed().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7]);
        assert_eq!(known.check("mn1", 22, &k), Verdict::Known);
    }

    #[test]
    fn patterns_with_many_stars_end() {
        let pattern = "*a".repeat(50);
        assert!(!matches(pattern.as_bytes(), "a".repeat(49).as_bytes()));
        assert!(matches(pattern.as_bytes(), "a".repeat(500).as_bytes()));
        assert!(matches(b"**", b""));
    }

    #[test]
    fn appended_lines_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/known_hosts");
        let (one, two) = (key("ssh-ed25519", "one"), key("ssh-ed25519", "two"));
        append(&file, "MN1", 2222, &one, Naming::Plain).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.trim_end()).unwrap();
        append(&file, "mn2", 22, &two, Naming::Hashed).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(verdict(&text, "mn1", 2222, &one), "known");
        assert_eq!(verdict(&text, "mn2", 22, &two), "known");
        assert!(!text.contains("mn2"), "{text}");
    }

    #[test]
    fn fingerprints_look_like_openssh() {
        let blob =
            STANDARD.decode("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl").unwrap();
        let k = HostKey { key_type: "ssh-ed25519".into(), blob };
        assert_eq!(k.fingerprint(), "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }
}
