//! The container of a plan file: a gzip'ed tar whose bytes follow from its entries alone.
//!
//! Whatever a reader finds is encoded again and compared, so that there is no byte in a container that does not belong
//! to an entry's name, mode or content.

use std::io::{self, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use tar::EntryType;

use super::error::Problem;

/// A plan file is at most this large.
pub(super) const MAX_PACKED: u64 = 256 << 20;
/// All that is in it is at most this large.
const MAX_UNPACKED: u64 = 512 << 20;
/// It has at most this many entries.
const MAX_ENTRIES: usize = 200_000;
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Deflate, no flags, no time, no hints, an unknown system.
const HEAD: [u8; 10] = [MAGIC[0], MAGIC[1], 8, 0, 0, 0, 0, 0, 0, 0xff];

/// One file of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub mode: u32,
    pub content: Vec<u8>,
}

/// An entry that is about to be written.
pub(super) type Piece<'a> = (&'a str, u32, &'a [u8]);

/// Returns the bytes of a plan file with these entries in this order.
pub(super) fn encode(pieces: &[Piece]) -> Result<Vec<u8>, Problem> {
    let too_large = |what: String| Err(Problem::TooLarge(what));
    if pieces.len() > MAX_ENTRIES {
        return too_large(format!("{} entries, and {MAX_ENTRIES} are allowed", pieces.len()));
    }
    // A header and the padding of an entry take at most three blocks, a long name as many again.
    let size: u64 = pieces.iter().map(|(name, _, c)| (c.len() + name.len() + 6 * 512) as u64).sum();
    if size > MAX_UNPACKED {
        return too_large(format!("{size} bytes, and {MAX_UNPACKED} are allowed"));
    }
    let gzip = GzBuilder::new().mtime(0).operating_system(0xff).write(Vec::new(), Compression::default());
    let packed = write_tar(pieces, gzip).and_then(flate2::write::GzEncoder::finish);
    let packed = packed.map_err(|e| Problem::TooLarge(format!("it cannot be packed: {e}")))?;
    if packed.len() as u64 > MAX_PACKED {
        return too_large(format!("{} bytes, and {MAX_PACKED} are allowed", packed.len()));
    }
    Ok(packed)
}

fn write_tar<W: Write>(pieces: &[Piece], out: W) -> io::Result<W> {
    let mut builder = tar::Builder::new(out);
    for (name, mode, content) in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, name, *content)?;
    }
    builder.into_inner()
}

/// Returns the tar inside of a plan file.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Problem> {
    if packed.is_empty() {
        return Err(Problem::Damaged("it is empty".into()));
    }
    if !packed.starts_with(&MAGIC) {
        return Err(Problem::Foreign("it does not begin as one".into()));
    }
    let mut tar = Vec::new();
    let mut decoder = GzDecoder::new(packed);
    (&mut decoder).take(MAX_UNPACKED + 1).read_to_end(&mut tar).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Damaged("its end is missing".into()),
        _ => Problem::Damaged(format!("its data cannot be unpacked ({e})")),
    })?;
    if tar.len() as u64 > MAX_UNPACKED {
        return Err(Problem::TooLarge(format!("more than {MAX_UNPACKED} bytes when unpacked")));
    }
    match decoder.into_inner().len() {
        0 => Ok(tar),
        more => Err(Problem::Edited(format!("{more} bytes follow its end"))),
    }
}

/// Returns the first entry, which tells what format the rest has.
pub(super) fn first(tar: &[u8]) -> Result<Entry, Problem> {
    let mut found = walk(tar, 1)?;
    found.pop().ok_or_else(|| Problem::Foreign("there is nothing in it".into()))
}

/// Returns all entries; refuses a container that [`encode`] would not have written.
pub(super) fn entries(packed: &[u8], tar: &[u8]) -> Result<Vec<Entry>, Problem> {
    let found = walk(tar, MAX_ENTRIES + 1)?;
    if found.len() > MAX_ENTRIES {
        return Err(Problem::TooLarge(format!("more than {MAX_ENTRIES} entries")));
    }
    let pieces: Vec<Piece> = found.iter().map(|e| (e.name.as_str(), e.mode, e.content.as_slice())).collect();
    let same = write_tar(&pieces, Expected { rest: tar }).is_ok_and(|e| e.rest.is_empty());
    if !same || !packed.starts_with(&HEAD) {
        return Err(Problem::Edited("it is not packed as xplay packs".into()));
    }
    Ok(found)
}

fn walk(tar: &[u8], at_most: usize) -> Result<Vec<Entry>, Problem> {
    let damaged = |e: io::Error| Problem::Damaged(format!("its entries cannot be read ({e})"));
    let mut archive = tar::Archive::new(tar);
    let mut found = Vec::new();
    for entry in archive.entries().map_err(damaged)?.take(at_most) {
        let mut entry = entry.map_err(damaged)?;
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            return Err(Problem::Edited("an entry's name is not UTF-8".into()));
        };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(Problem::Edited(format!("\"{name}\" is not an ordinary file")));
        }
        let mode = entry.header().mode().map_err(damaged)?;
        let mut content = Vec::new();
        // An entry can claim to be larger than all that there is.
        (&mut entry).take(tar.len() as u64 + 1).read_to_end(&mut content).map_err(damaged)?;
        if content.len() > tar.len() {
            return Err(Problem::Edited(format!("\"{name}\" is larger than the file")));
        }
        found.push(Entry { name, mode, content });
    }
    Ok(found)
}

/// Takes the bytes that are expected and no others.
struct Expected<'a> {
    rest: &'a [u8],
}

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
