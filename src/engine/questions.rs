//! Several questions to one target as one script, which the shell reads at once, and the answers cut out of its output.
//!
//! Comes in: scripts that only look. A shell takes a script line by line and byte by byte, and starts a process for each;
//! a hundred small ones cost it four times what they ask for.

use std::sync::OnceLock;

use crate::transport::Output;

/// A script that only looks.
pub(super) struct Question {
    pub script: String,
    /// The number of its file among those that are looked at for all questions.
    pub place: Option<usize>,
    /// It neither ends its shell nor sets variables that other questions read, and says nothing on stderr.
    pub shares_shell: bool,
}

/// Before each end of an answer; rare in texts, so that looking for it is cheap.
const MARK: u8 = 0x1e;

/// The same for all hosts, so that one script can go to many of them. No file can hold it before the run begins.
fn token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let mut bytes = [0u8; 12];
        // Without random bytes a file could end its answer early; what asks then fails by its own checks.
        let _ = getrandom::fill(&mut bytes);
        crate::modules::hex(&bytes)
    })
}

/// Returns one script that asks all questions. `files` have plain names.
pub(super) fn together(questions: &[Question], files: &[&str]) -> String {
    let token = token();
    let mut text = vec![format!(
        "xp_mark() {{ printf '\\036{token} %s\\n' \"$?\"; }}\n\
         xp_marks() {{ set -- \"$?\"; printf '\\036{token} %s\\n' \"$1\"; printf '\\036{token} %s\\n' \"$1\" >&2; }}\n"
    )];
    if !files.is_empty() {
        text.push(format!("xp_prime {}\n", files.join(" ")));
    }
    text.extend(questions.iter().map(|question| {
        let place = question.place.map(|at| (at + 1).to_string()).unwrap_or_default();
        let script = question.script.trim_end_matches('\n');
        match question.shares_shell {
            true => format!("xp_at={place}\n{script}\nxp_mark\n"),
            false => format!("xp_at={place}\n(\n{script}\n)\nxp_marks\n"),
        }
    }));
    text.concat()
}

/// Returns the answers up to the first that did not come, or that cannot be told from the others.
pub(super) fn answers(questions: &[Question], output: &Output) -> Vec<Output> {
    let (errors, behind) = cut(&output.stderr);
    let alone = questions.iter().all(|question| !question.shares_shell);
    let said = !behind.is_empty() || (!alone && errors.iter().any(|(text, _)| !text.is_empty()));
    if output.truncated || said {
        return Vec::new();
    }
    let mut errors = errors.into_iter();
    let mut answers = Vec::with_capacity(questions.len());
    for (question, (stdout, rc)) in questions.iter().zip(cut(&output.stdout).0) {
        let mut answer = Output { rc, stdout: stdout.to_vec(), ..Output::default() };
        if !question.shares_shell {
            let Some((stderr, _)) = errors.next() else { break };
            answer.stderr = stderr.to_vec();
        }
        answer.elapsed = output.elapsed / u32::try_from(questions.len()).unwrap_or(u32::MAX);
        answers.push(answer);
    }
    answers
}

/// Returns the texts before the marks with the exit codes in the marks, and what stands behind the last.
fn cut(bytes: &[u8]) -> (Vec<(&[u8], i32)>, &[u8]) {
    let mark = [&[MARK], token().as_bytes(), b" "].concat();
    let mut found = Vec::new();
    let (mut text, mut seen) = (bytes, 0);
    while let Some(at) = text[seen..].iter().position(|b| *b == MARK).map(|at| seen + at) {
        let code = text[at..].strip_prefix(&mark[..]);
        let end = code.and_then(|code| code.iter().position(|b| *b == b'\n'));
        let (Some(code), Some(end)) = (code, end) else {
            seen = at + 1;
            continue;
        };
        let rc = std::str::from_utf8(&code[..end]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(-1);
        found.push((&text[..at], rc));
        (text, seen) = (&code[end + 1..], 0);
    }
    (found, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn ask(questions: &[(&str, bool)]) -> Vec<(String, String, i32)> {
        let questions: Vec<Question> = questions
            .iter()
            .map(|(script, shares_shell)| Question {
                script: (*script).to_string(),
                place: None,
                shares_shell: *shares_shell,
            })
            .collect();
        let text = together(&questions, &[]);
        let out = Command::new("sh").arg("-c").arg(text).stdin(Stdio::null()).output().unwrap();
        let output = Output { stdout: out.stdout, stderr: out.stderr, ..Output::default() };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        answers(&questions, &output).iter().map(|a| (text(&a.stdout), text(&a.stderr), a.rc)).collect()
    }

    fn answer(stdout: &str, stderr: &str, rc: i32) -> (String, String, i32) {
        (stdout.into(), stderr.into(), rc)
    }

    #[test]
    fn each_question_gets_its_own_answer() {
        let all =
            [("echo a; false", true), ("printf 'no end'", true), ("", true), ("echo \"\u{1e}b\"\n", true)];
        let expect =
            [answer("a\n", "", 1), answer("no end", "", 0), answer("", "", 0), answer("\u{1e}b\n", "", 0)];
        assert_eq!(ask(&all), expect);
    }

    #[test]
    fn one_that_ends_its_shell_ends_no_other() {
        let all = [("echo a; echo x >&2; exit 3", false), ("x=1; echo b", false), ("echo ${x-none}", false)];
        assert_eq!(ask(&all), [answer("a\n", "x\n", 3), answer("b\n", "", 0), answer("none\n", "", 0)]);
        // Who it was that ended is not seen, so those behind it ask by themselves.
        assert_eq!(
            ask(&[("echo a", true), ("echo b; exit 3", true), ("echo c", true)]),
            [answer("a\n", "", 0)]
        );
    }

    #[test]
    fn errors_that_might_be_anybodys_are_nobodys() {
        assert_eq!(ask(&[("echo a >&2", true), ("echo b", true)]), []);
        assert_eq!(ask(&[("echo a", true), ("echo b >&2", false)]), []);
        assert_eq!(ask(&[("echo a", true), ("echo b", false)]), [answer("a\n", "", 0), answer("b\n", "", 0)]);
    }
}
