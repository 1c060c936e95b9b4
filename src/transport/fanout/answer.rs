//! What one node answered, taken out of the lines that a tool printed.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::parcel::Parcel;
use super::tool::{Said, Tool};
use crate::transport::drive::Collector;
use crate::transport::{BecomeSpec, NullSink, Output, Stream, TransportError};

/// How many lines about a node are kept for a message.
const KEPT: usize = 20;

/// The answer of one node, as far as it arrived.
#[derive(Default)]
pub(super) struct Answer {
    began: bool,
    ended: bool,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// What is not ours: of the login, of ssh, of the tool.
    said: Vec<String>,
}

impl Answer {
    /// Takes a line.
    pub fn hear(&mut self, token: &str, said: Said<'_>) {
        let text = match said {
            Said::Code(code) => {
                self.code = Some(code);
                return;
            }
            Said::Text(text) => text,
        };
        let Some(own) = text.strip_prefix(token).and_then(|rest| rest.strip_prefix(' ')) else {
            if !text.trim().is_empty() && self.said.len() < KEPT {
                self.said.push(text.trim().to_owned());
            }
            return;
        };
        match own.split_once(' ') {
            None if own == "begin" => self.began = true,
            None if own == "end" => self.ended = true,
            Some(("ob", letters)) => decode64(letters, &mut self.stdout),
            Some(("eb", letters)) => decode64(letters, &mut self.stderr),
            Some(("ox", digits)) => decode16(digits, &mut self.stdout),
            Some(("ex", digits)) => decode16(digits, &mut self.stderr),
            _ => {}
        }
    }

    /// Judges what arrived. A node that did not answer is unreachable; one that began and did not end is lost.
    pub fn outputs(self, asked: &Asked<'_>) -> Vec<Result<Output, TransportError>> {
        let Asked { parcel, host, tool, .. } = asked;
        let count = parcel.frames.len() - parcel.first;
        let fail = |error: &dyn Fn() -> TransportError| (0..count).map(|_| Err(error())).collect();
        if !self.began {
            let reason = self.reason(asked);
            return fail(&|| TransportError::Unreachable { host: host.to_string(), reason: reason.clone() });
        }
        let lost = |reason: &str| TransportError::Lost { host: host.to_string(), reason: reason.into() };
        if !self.ended || (tool.tells_codes() && self.code != Some(0)) {
            let reason = format!("{} brought no end of its answer", tool.name());
            return fail(&|| lost(&reason));
        }
        let ready = format!("{}\n", parcel.ready);
        let Some(at) = self.stdout.windows(ready.len()).position(|w| w == ready.as_bytes()) else {
            let reason = last_words(&self.stderr);
            return fail(&|| asked.no_shell(reason.clone()));
        };
        let mut collector = Collector::new(&parcel.frames);
        for (stream, bytes) in
            [(Stream::Stderr, &self.stderr[..]), (Stream::Stdout, &self.stdout[at + ready.len()..])]
        {
            collector.feed(stream, bytes, asked.started, &mut NullSink);
        }
        let mut outputs = collector.finish();
        if let Some(refused) = outputs.iter().take(parcel.first).find(|output| output.rc != 0) {
            let reason = format!("the shell refused the prelude: {}", refused.stderr_text().trim_end());
            return fail(&|| TransportError::Protocol { reason: reason.clone() });
        }
        outputs.drain(..parcel.first.min(outputs.len()));
        let missing = count - outputs.len();
        let all = outputs.into_iter().map(Ok);
        all.chain((0..missing).map(|_| Err(lost("its shell ended before the script did")))).collect()
    }

    fn reason(&self, asked: &Asked<'_>) -> String {
        let said = if self.said.is_empty() { asked.general } else { &self.said };
        if said.is_empty() {
            return format!("{} has no answer from it", asked.tool.name());
        }
        said[said.len().saturating_sub(3)..].join("; ")
    }
}

/// What was asked, and of whom.
pub(super) struct Asked<'a> {
    pub parcel: &'a Parcel,
    pub tool: Tool,
    pub host: &'a str,
    pub r#become: Option<&'a BecomeSpec>,
    pub started: Instant,
    /// What the tool said about no node of ours.
    pub general: &'a [String],
}

impl Asked<'_> {
    fn no_shell(&self, reason: String) -> TransportError {
        let host = self.host.to_owned();
        match self.r#become {
            Some(spec) => {
                TransportError::Become { host, user: spec.user.clone(), method: spec.method, reason }
            }
            None => TransportError::Unreachable { host, reason: format!("no shell was started: {reason}") },
        }
    }
}

fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

/// A line that was damaged on its way leaves a hole, which the missing markers tell.
fn decode64(letters: &str, into: &mut Vec<u8>) {
    if let Ok(bytes) = STANDARD.decode(letters.trim()) {
        into.extend(bytes);
    }
}

fn decode16(digits: &str, into: &mut Vec<u8>) {
    into.extend(digits.split_whitespace().filter_map(|byte| u8::from_str_radix(byte, 16).ok()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_collected_from_lines() {
        let mut answer = Answer::default();
        for line in [
            "Last login: today",
            "T begin",
            "T ob YQoA",
            "T ox  62 0a",
            "T eb /w==",
            "T eb",
            "T end",
            "U end",
        ] {
            answer.hear("T", Said::Text(line));
        }
        assert!(answer.began && answer.ended);
        assert_eq!((&answer.stdout[..], &answer.stderr[..]), (&b"a\n\0b\n"[..], &b"\xff"[..]));
        assert_eq!(answer.said, ["Last login: today", "U end"]);
    }
}
