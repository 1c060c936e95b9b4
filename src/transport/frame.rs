//! Frames as bytes: how a script is sent, and how its outputs are cut out of two endless streams.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Content, ExactRead, Exec, Intent, TransportError};

/// Longer scripts are taken by a program at once; shorter ones by `read`, byte for byte but without a process.
const LONG_SCRIPT: usize = 4096;

/// How many content bytes one escaped line carries where only builtins can take content.
pub(super) const ESCAPED_LINE: usize = 256;

/// An exit code has no more characters; a host that sends more sends none.
const LONGEST_CODE: usize = 16;

/// Begins a marker on both outputs; rare in texts, so that looking for it is cheap.
const MARKER_START: u8 = 0x1e;

/// Where a script is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a subshell, like everything that callers send.
    Subshell,
    /// In the loop's own shell, to define functions.
    Loop,
}

impl Place {
    /// Where a caller's script is evaluated.
    pub fn of(req: &Exec) -> Self {
        if req.own_shell { Place::Loop } else { Place::Subshell }
    }
}

/// One script, ready to send.
pub(super) struct Frame {
    pub head: Vec<u8>,
    pub content: Option<Content>,
    pub take: ExactRead,
    pub tail: Vec<u8>,
    pub marker: String,
    pub timeout: Option<Duration>,
    pub max_output: usize,
    pub stream: bool,
    /// It only looks: no answer of it is without end.
    pub looks: bool,
}

impl Frame {
    pub fn new(req: Exec, place: Place, take: ExactRead) -> Result<Self, TransportError> {
        if req.script.contains('\0') {
            return Err(TransportError::Protocol {
                reason: "a script cannot contain a NUL character".into(),
            });
        }
        let marker = random_hex()?;
        let content = req.stdin.filter(|c| c.size() > 0);
        let mut head = load(&req.script, take);
        match (&content, place) {
            (Some(content), _) => {
                let size = content.size();
                let arg = if take == ExactRead::Builtin { size.div_ceil(ESCAPED_LINE as u64) } else { size };
                head.extend_from_slice(format!("_xp_i {arg} {size}\n").as_bytes());
            }
            (None, Place::Subshell) => head.extend_from_slice(b"_xp_x\n"),
            (None, Place::Loop) => head.extend_from_slice(b"_xp_p\n"),
        }
        let tail = format!("_xp_e {marker}\n").into_bytes();
        let (timeout, max_output, stream) = (req.timeout, req.max_output, req.stream);
        let looks = req.intent == Intent::Look;
        Ok(Self { head, content, take, tail, marker, timeout, max_output, stream, looks })
    }
}

fn load(script: &str, take: ExactRead) -> Vec<u8> {
    if script.len() > LONG_SCRIPT && take != ExactRead::Builtin {
        let mut out = format!("_xp_b {}\n", script.len()).into_bytes();
        out.extend_from_slice(script.as_bytes());
        return out;
    }
    let body = script.strip_suffix('\n').unwrap_or(script);
    let mut out = format!("_xp_l {}\n", body.split('\n').count()).into_bytes();
    out.extend_from_slice(body.as_bytes());
    out.push(b'\n');
    out
}

/// Writes bytes as one line that `printf` turns back into them.
pub(super) fn escape_line(bytes: &[u8], out: &mut Vec<u8>) {
    for &b in bytes {
        if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'=' | b':' | b',') {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'\\', b'0' + (b >> 6), b'0' + ((b >> 3) & 7), b'0' + (b & 7)]);
        }
    }
    out.push(b'\n');
}

/// Returns 128 random bits in hexadecimal.
pub(super) fn random_hex() -> Result<String, TransportError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| TransportError::local("get random bytes from the system")(e.into()))?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut out, b| {
        for half in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        out
    }))
}

/// A piece of one stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Bytes(&'a [u8]),
    /// The frame ended with this exit code.
    End(i32),
}

/// Cuts one stream at the markers that are expected, in order.
pub(super) struct Splitter {
    markers: VecDeque<Vec<u8>>,
    /// Bytes that may be the beginning of a marker.
    held: Vec<u8>,
}

impl Splitter {
    pub fn new<'a>(markers: impl IntoIterator<Item = &'a str>) -> Self {
        let full = |m: &str| [&[MARKER_START], m.as_bytes(), b" "].concat();
        Self { markers: markers.into_iter().map(full).collect(), held: Vec::new() }
    }

    /// Takes what arrived. Bytes are handed on at once unless they may begin a marker; what follows the last
    /// marker belongs to nobody.
    pub fn feed(&mut self, bytes: &[u8], mut give: impl FnMut(Piece<'_>)) {
        let joined;
        let mut rest = if self.held.is_empty() {
            bytes
        } else {
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(bytes);
            joined = all;
            &joined[..]
        };
        let mut plain = 0;
        while let Some(marker) = self.markers.front() {
            let Some(at) = rest[plain..].iter().position(|&b| b == MARKER_START).map(|p| p + plain) else {
                break;
            };
            let tail = &rest[at..];
            if tail.len() < marker.len() && marker.starts_with(tail) {
                self.hold(&rest[..at], tail, give);
                return;
            }
            if !tail.starts_with(marker) {
                plain = at + 1;
                continue;
            }
            let digits = &tail[marker.len()..];
            let code = &digits[..digits.len().min(LONGEST_CODE)];
            let end = match code.iter().position(|&b| b == b'\n') {
                Some(end) => end,
                None if code.len() < LONGEST_CODE => {
                    self.hold(&rest[..at], tail, give);
                    return;
                }
                None => LONGEST_CODE - 1,
            };
            let rc = std::str::from_utf8(&digits[..end]).ok().and_then(|d| d.parse().ok()).unwrap_or(-1);
            if at > 0 {
                give(Piece::Bytes(&rest[..at]));
            }
            give(Piece::End(rc));
            self.markers.pop_front();
            rest = &digits[end + 1..];
            plain = 0;
        }
        if !self.markers.is_empty() && !rest.is_empty() {
            give(Piece::Bytes(rest));
        }
    }

    fn hold(&mut self, before: &[u8], tail: &[u8], mut give: impl FnMut(Piece<'_>)) {
        if !before.is_empty() {
            give(Piece::Bytes(before));
        }
        self.held = tail.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(markers: &[&str], chunks: &[&[u8]]) -> Vec<(Vec<u8>, i32)> {
        let mut splitter = Splitter::new(markers.iter().copied());
        let (mut done, mut current) = (Vec::new(), Vec::new());
        for chunk in chunks {
            splitter.feed(chunk, |piece| match piece {
                Piece::Bytes(b) => current.extend_from_slice(b),
                Piece::End(rc) => done.push((std::mem::take(&mut current), rc)),
            });
        }
        done
    }

    #[test]
    fn streams_are_cut_wherever_the_chunks_end() {
        let stream = b"one\x1e\x1eaa\x1eaa 0\n\x00tw\x1eab\x1ebb 143\n\x1ecc 7\nnoise";
        let expect = vec![(b"one\x1e\x1eaa".to_vec(), 0), (b"\x00tw\x1eab".to_vec(), 143), (Vec::new(), 7)];
        assert_eq!(split(&["aa", "bb", "cc"], &[stream]), expect);
        for size in 1..stream.len() {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(split(&["aa", "bb", "cc"], &chunks), expect, "chunks of {size}");
        }
    }

    #[test]
    fn an_exit_code_without_end_is_none() {
        let endless = [&b"x\x1eaa "[..], &[b'1'; 5000], b"\n\x1ebb 0\n"].concat();
        for size in [1, 7, 4096, endless.len()] {
            let mut splitter = Splitter::new(["aa", "bb"]);
            let (mut codes, mut most) = (Vec::new(), 0);
            for chunk in endless.chunks(size) {
                splitter.feed(chunk, |piece| {
                    if let Piece::End(rc) = piece {
                        codes.push(rc);
                    }
                });
                most = most.max(splitter.held.len());
            }
            assert_eq!(codes, [-1, 0], "chunks of {size}");
            assert!(most < 32, "{most} bytes are held");
        }
    }

    #[test]
    fn bytes_before_a_possible_marker_are_not_kept_back() {
        let mut splitter = Splitter::new(["aa"]);
        let mut seen = Vec::new();
        splitter.feed(b"prompt> \x1ea", |p| {
            if let Piece::Bytes(b) = p {
                seen.extend_from_slice(b);
            }
        });
        assert_eq!(seen, b"prompt> ");
    }

    #[test]
    fn frames_announce_what_follows() {
        let frame = |req| {
            let f = Frame::new(req, Place::Subshell, ExactRead::Head).unwrap();
            String::from_utf8(f.head).unwrap()
        };
        assert_eq!(frame(Exec::new("")), "_xp_l 1\n\n_xp_x\n");
        assert_eq!(frame(Exec::new("a\nb")), "_xp_l 2\na\nb\n_xp_x\n");
        assert_eq!(frame(Exec::new("a\nb\n")), "_xp_l 2\na\nb\n_xp_x\n");
        assert_eq!(frame(Exec::new("cat").stdin(Content::bytes(*b"xyz"))), "_xp_l 1\ncat\n_xp_i 3 3\n");
        assert!(frame(Exec::new("x".repeat(5000))).starts_with("_xp_b 5000\nxxx"));
        assert!(Frame::new(Exec::new("a\0b"), Place::Subshell, ExactRead::Head).is_err());
    }

    #[test]
    fn escaped_lines_have_no_surprises() {
        let mut out = Vec::new();
        escape_line(b"a %\\\n\x00\xff", &mut out);
        assert_eq!(out, b"a\\040\\045\\134\\012\\000\\377\n");
    }
}
