//! Masks secrets in a stream of bytes that need not be text, however it is cut into pieces. Memory is bounded.

use std::io::{self, Write};

use super::mask::Secrets;
use crate::engine::journal::Kept;

/// So much is masked at once.
const BLOCK: usize = 256 << 10;

/// Holds back what may be the beginning of a secret.
pub struct MaskedBytes<W: Write> {
    out: W,
    secrets: Secrets,
    held: Vec<u8>,
}

impl<W: Write> MaskedBytes<W> {
    pub fn new(out: W, secrets: Secrets) -> Self {
        MaskedBytes { out, secrets, held: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let longest = self.secrets.longest();
        if longest == 0 && self.held.is_empty() {
            return self.out.write_all(bytes);
        }
        for piece in bytes.chunks(BLOCK) {
            self.held.extend_from_slice(piece);
            if self.held.len() >= BLOCK + longest {
                let end = self.secrets.safe_end(&self.held);
                self.out.write_all(&self.secrets.mask_bytes(&self.held[..end]))?;
                self.held.drain(..end);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let rest = self.secrets.mask_bytes(&std::mem::take(&mut self.held));
        self.out.write_all(&rest)?;
        self.out.flush()
    }
}

impl<W: Write + Send> Kept for MaskedBytes<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.take(bytes)
    }

    fn end(mut self: Box<Self>) -> io::Result<()> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_the_pieces_end() {
        let secrets = Secrets::new();
        secrets.add("hunter2-hunter2");
        secrets.add("2-hunter");
        let text = [b"\xff\xfe hunter2-hunter2 \xc3".as_slice(), b"\xa4 hunter2-hunter", b"2"].concat();
        let expect = b"\xff\xfe ******** \xc3\xa4 ********".as_slice();
        let mut long = vec![b'x'; BLOCK - 7];
        long.extend_from_slice(b"hunter2-hunter2");
        long.extend_from_slice(&vec![b'y'; 2 * BLOCK]);
        let mut long_expect = vec![b'x'; BLOCK - 7];
        long_expect.extend_from_slice(b"********");
        long_expect.extend_from_slice(&vec![b'y'; 2 * BLOCK]);
        let check = |text: &[u8], size: usize, expect: &[u8]| {
            let mut kept = Vec::new();
            let mut masked = MaskedBytes::new(&mut kept, secrets.clone());
            for piece in text.chunks(size) {
                masked.take(piece).unwrap();
            }
            masked.finish().unwrap();
            assert!(kept == expect, "pieces of {size}");
        };
        for size in 1..text.len() {
            check(&text, size, expect);
        }
        for size in [1000, BLOCK - 1, BLOCK, 3 * BLOCK] {
            check(&long, size, &long_expect);
        }
    }
}
