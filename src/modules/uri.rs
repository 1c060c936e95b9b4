//! `uri`: a request to a web service, by curl or wget on the target.
//!
//! GET and HEAD only read: they are made in previews too. What others bring about is not known before.

use sha1::{Digest, Sha1};

use super::attrs::{Attrs, describe};
use super::command::probe_guards;
use super::http::{self, Answer, Body, Request, file_name, folder};
use super::sh::{Report, expand_path, q};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Rule, Run, Seen,
    Touch,
};
use crate::transport::{Content, Output};
use crate::value::{JsonStyle, Map, Value, from_json, to_python_json};

static SPEC: ModuleSpec = ModuleSpec {
    name: "uri",
    about: "Makes a request to a web service.",
    args: &[
        ArgSpec::new("url", ArgKind::Str, "The address.").required(),
        ArgSpec::new("method", ArgKind::Str, "The request's method.").default("GET"),
        ArgSpec::new("body", ArgKind::Raw, "What is sent."),
        ArgSpec::new("body_format", ArgKind::Str, "How the body is written.").default("raw").choices(&[
            "form-urlencoded",
            "json",
            "raw",
            "form-multipart",
        ]),
        ArgSpec::new("src", ArgKind::Path, "A file that is sent."),
        ArgSpec::new("remote_src", ArgKind::Bool, "That file is on the target.").default("no"),
        ArgSpec::new("dest", ArgKind::Path, "A file or folder that the answer goes to."),
        ArgSpec::new("headers", ArgKind::Dict, "Headers of the request.").default("{}"),
        ArgSpec::new("status_code", ArgKind::List, "Statuses that are a success.").default("200"),
        ArgSpec::new("return_content", ArgKind::Bool, "Return the answer's content.").default("no"),
        ArgSpec::new("follow_redirects", ArgKind::Str, "Which redirections to follow.")
            .default("safe")
            .choices(&["all", "no", "none", "safe", "urllib2", "yes"]),
        ArgSpec::new("creates", ArgKind::Path, "A file or pattern; when it exists, nothing is sent."),
        ArgSpec::new("removes", ArgKind::Path, "A file or pattern; when it does not exist, nothing is sent."),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds to wait for an answer.").default("30"),
        ArgSpec::new("ca_path", ArgKind::Path, "Certificates of authorities that are trusted."),
        ArgSpec::new("unix_socket", ArgKind::Path, "A socket to connect to."),
        ArgSpec::new("url_username", ArgKind::Str, "Who asks.").aliases(&["user"]),
        ArgSpec::new("url_password", ArgKind::Str, "The password for it.").aliases(&["password"]),
    ],
    shared: &http::SHARED,
    rules: &[Rule::Exclusive(&["body", "src"])],
    returns: &[
        ("status", "the status of the answer"),
        ("msg", "its words"),
        ("url", "the address in the end"),
        ("redirected", "whether that is another one"),
        ("content", "the content"),
        ("json", "the content as data"),
        ("cookies", "the cookies that were set"),
        ("cookies_string", "the same as a header"),
        ("elapsed", "seconds that it took"),
        ("path", "the file that was written"),
    ],
    ..ModuleSpec::BASE
};

pub struct Uri;

impl Module for Uri {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let wanted = Wanted::of(call)?;
        let mut script = probe_guards(call)?;
        for (arg, answer) in [("creates", "yes"), ("removes", "no")] {
            if call.args.has(arg) {
                // Only the last guard's answer is at hand; both are asked for seldom enough.
                add!(script, "[ \"$xp_r\" != {answer} ] || exit 0\n");
            }
        }
        if wanted.only_reads() {
            script += &wanted.script(call)?;
        }
        Ok((!script.is_empty()).then_some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let wanted = Wanted::of(call)?;
        for (arg, answer, reason) in [("creates", "yes", "exists"), ("removes", "no", "does not exist")] {
            if report.get(arg) == Some(answer) {
                let path = args.str(arg).unwrap_or_default();
                let text = format!("skipped, since '{path}' {reason}");
                return Ok(Prediction::same(Map::from_iter([("stdout", text)])));
            }
        }
        if wanted.only_reads() {
            return result(call, &report).map(Prediction::read);
        }
        let run = Run { script: wanted.script(call)?, stdin: wanted.body.clone(), ..Run::default() };
        let mut prediction = Prediction::unknown(Map::new(), vec![Action::Run(run)]);
        if let Some(dest) = args.str("dest") {
            prediction.touches.push(Touch::Tree { path: expand_path(call, dest)? });
        }
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let mut outcome = prediction.into_outcome();
        let Some(output) = ran.last() else { return Ok(outcome) };
        if output.rc != 0 {
            return Err(Failure::from_output(output));
        }
        let report = Report::parse(&output.stdout);
        outcome.result = result(call, &report)?;
        outcome.changed = report.get("written").is_some();
        Ok(outcome)
    }
}

/// What a task asks for.
struct Wanted {
    method: String,
    headers: Vec<(String, String)>,
    body: Option<Content>,
    /// The body is a file of the target.
    remote_body: Option<String>,
    writes: bool,
}

impl Wanted {
    fn of(call: &Call) -> Result<Wanted, Failure> {
        let args = &call.args;
        let method = args.str("method").unwrap_or_default().to_uppercase();
        if method.is_empty() || !method.chars().all(|c| c.is_ascii_uppercase()) {
            return Err(Failure::new(
                "Parameter 'method' needs to be a single word in uppercase, like GET or POST.",
            ));
        }
        let mut headers: Vec<(String, String)> = match args.get("headers") {
            Some(Value::Map(map)) => map.iter().map(|(k, v)| (k.to_value().to_text(), v.to_text())).collect(),
            _ => Vec::new(),
        };
        let mut set_type = |kind: &str, force: bool| {
            let given = headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
            if force {
                headers.retain(|(n, _)| !n.eq_ignore_ascii_case("content-type"));
            }
            if force || !given {
                headers.push(("Content-Type".to_string(), kind.to_string()));
            }
        };
        let body = args.get("body");
        let text = |value: &Value| value.to_text().into_bytes();
        let mut bytes = match (args.str("body_format"), body) {
            (Some("json"), body) => {
                set_type("application/json", false);
                Some(match body {
                    Some(value @ (Value::Str(_) | Value::Secret(_))) => text(value),
                    other => {
                        let style = JsonStyle { indent: None, sort_keys: false, ascii: true };
                        to_python_json(other.unwrap_or(&Value::Null), style).into_bytes()
                    }
                })
            }
            (Some("form-urlencoded"), Some(body)) => {
                set_type("application/x-www-form-urlencoded", false);
                Some(form(body)?.into_bytes())
            }
            (Some("form-multipart"), Some(body)) => {
                let (kind, content) = multipart(call, body)?;
                set_type(&kind, true);
                Some(content)
            }
            (_, Some(body)) => Some(text(body)),
            (_, None) => None,
        };
        let mut remote_body = None;
        if let Some(src) = args.str("src") {
            if args.flag("remote_src") {
                remote_body = Some(expand_path(call, src)?);
            } else {
                let path = call.local.find("files", src).map_err(Failure::new)?;
                bytes = Some(call.local.read(&path).map_err(Failure::new)?);
            }
        }
        Ok(Wanted {
            method,
            headers,
            body: bytes.map(|b| Content::Bytes(b.into())),
            remote_body,
            writes: args.has("dest"),
        })
    }

    fn only_reads(&self) -> bool {
        let sends = self.body.is_some() || self.remote_body.is_some();
        matches!(self.method.as_str(), "GET" | "HEAD") && !sends && !self.writes
    }

    /// Returns the lines that make the request and tell the answer; the body comes on stdin.
    fn script(&self, call: &Call) -> Result<String, Failure> {
        let args = &call.args;
        let follows = match args.str("follow_redirects") {
            Some("none" | "no") => false,
            Some("all" | "yes" | "urllib2") => true,
            _ => matches!(self.method.as_str(), "GET" | "HEAD"),
        };
        let has_body = self.body.is_some() || self.remote_body.is_some();
        let request = Request {
            url: args.str("url").unwrap_or_default().to_string(),
            method: self.method.clone(),
            headers: self.headers.clone(),
            timeout_secs: args.int("timeout").unwrap_or(30),
            follows,
            body: if has_body { Body::File } else { Body::None },
        };
        let mut script = folder("\"${TMPDIR:-/tmp}\"");
        if self.body.is_some() {
            script += "cat >\"$xp_d/body\" || exit 1\n";
        }
        if let Some(path) = &self.remote_body {
            let path = q(path);
            add!(script, "cat -- {path} >\"$xp_d/body\" || xp_fail \"Unable to open source file \"{path}\n");
        }
        let dest = args.str("dest").map(|d| expand_path(call, d)).transpose()?;
        if let (Some(dest), false) = (&dest, args.flag("force")) {
            add!(
                script,
                "if [ -f {0} ]; then xp_since=$(LC_ALL=C date -u -r {0} '+%a, %d %b %Y %H:%M:%S GMT' 2>/dev/null); fi\n",
                q(dest)
            );
        }
        script += &request.function(call)?;
        script += "cd \"$xp_d\" || exit 1\nxp_t=$(date +%s)\nxp_http\nprintf 'elapsed %s\\n' $(($(date +%s) - xp_t))\n\
                   xp_tell url \"$xp_at\"\nxp_tell head \"$(cat head 2>/dev/null)\"\n\
                   xp_status=$(sed -n 's/^HTTP\\/[^ ]* \\([0-9]*\\).*/\\1/p' head 2>/dev/null | tail -n 1)\n\
                   if [ -z \"$xp_status\" ]; then xp_tell trouble \"$(cat err)\"; exit 0; fi\n[ -e out ] || : >out\n";
        if let Some(dest) = &dest {
            let attrs = Attrs::of(args)?;
            let mode = match &attrs.mode {
                Some(mode) => {
                    format!("xp_do \"set the mode of $xp_p\" chmod {} \"$xp_p\"\n", q(&mode.for_chmod()))
                }
                None => String::new(),
            };
            let owner = match (&attrs.owner, &attrs.group) {
                (None, None) => String::new(),
                (owner, group) => {
                    let name = |n: &Option<String>| n.clone().unwrap_or_default();
                    let both = match group {
                        Some(group) => format!("{}:{group}", name(owner)),
                        None => name(owner),
                    };
                    format!("xp_do \"change the owner of $xp_p\" chown {} \"$xp_p\"\n", q(&both))
                }
            };
            let good: Vec<String> = statuses(args)?.iter().map(i64::to_string).collect();
            add!(
                script,
                "xp_p={}\nif [ -d \"$xp_p\" ]; then\nxp_f=$(sed -n 's/^[Cc]ontent-[Dd]isposition:.*filename=\"\\{{0,1\\}}\\([^\";]*\\).*/\\1/p' head | tail -n 1 | tr -d '\\r')\n\
                 xp_f=${{xp_f##*/}}\nif [ -z \"$xp_f\" ]; then xp_f={}; fi\nxp_p=${{xp_p%/}}/$xp_f\nfi\n\
                 xp_tell path \"$xp_p\"\ncase $xp_status in 304) ;; {})\n\
                 if [ ! -f \"$xp_p\" ] || [ \"$(xp_sha1 out)\" != \"$(xp_sha1 \"$xp_p\")\" ]; then xp_write $([ ! -f \"$xp_p\" ] || stat -c '-m %a -O %u:%g' \"$xp_p\" 2>/dev/null) \"$xp_p\" <out >/dev/null || exit $?; fi\n\
                 {owner}{mode}printf 'written yes\\nstat '\nxp_stat \"$xp_p\" ;;\nesac\n",
                q(dest),
                q(&file_name(&request.url)),
                good.join("|")
            );
        }
        let show = "printf 'content\\n'; cat out";
        if args.flag("return_content") {
            add!(script, "{show}\n");
        } else {
            add!(
                script,
                "case $(sed -n 's/^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee]: *//p' head | tail -n 1) in *json* | *javascript*) {show} ;; esac\n"
            );
        }
        Ok(script)
    }
}

fn statuses(args: &Args) -> Result<Vec<i64>, Failure> {
    args.texts("status_code")
        .iter()
        .map(|text| {
            text.trim()
                .parse()
                .map_err(|_| Failure::new(format!("status_code must hold whole numbers, not \"{text}\"")))
        })
        .collect()
}

/// Makes the result of what the script told; a status that is no success is a failure.
fn result(call: &Call, report: &Report) -> Result<Map, Failure> {
    let args = &call.args;
    let url = args.str("url").unwrap_or_default();
    let head = report.word("head").unwrap_or_default();
    let answer = Answer::parse(&head);
    let mut result = Map::new();
    answer.insert(&mut result);
    let at = report.word("url").filter(|u| !u.is_empty()).unwrap_or_else(|| url.to_string());
    result.insert("redirected", at.trim_end_matches('/') != url.trim_end_matches('/'));
    result.insert("url", at);
    result.insert("elapsed", report.get("elapsed").and_then(|e| e.parse::<i64>().ok()).unwrap_or(0));
    let trouble = report.word("trouble");
    let status = if trouble.is_some() { -1 } else { answer.status };
    let mut msg = match &trouble {
        Some(trouble) => format!("Request failed: {}", trouble.trim()),
        None => answer.message(),
    };
    result.insert("status", status);
    if let Some(path) = report.word("path") {
        result.insert("path", path);
    }
    if report.get("stat").is_some()
        && let Some(stat) = report.stat("stat")?
    {
        describe(&mut result, &stat);
    }
    if let Some(bytes) = &report.content {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        let last = kind.trim().rsplit(['/', '+']).next().unwrap_or_default().to_lowercase();
        if matches!(last.as_str(), "json" | "javascript")
            && let Ok(json) = serde_json::from_str(&text)
        {
            result.insert("json", from_json(&json));
        }
        if args.flag("return_content") {
            result.insert("content", text);
        }
    }
    let good = statuses(args)?;
    if good.contains(&status) {
        result.insert("msg", msg);
        return Ok(result);
    }
    let list: Vec<String> = good.iter().map(i64::to_string).collect();
    msg = format!("Status code was {status} and not [{}]: {msg}", list.join(", "));
    Err(Failure { msg, result, ..Failure::default() })
}

/// Returns a body as a form has it in an address.
fn form(body: &Value) -> Result<String, Failure> {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    match body {
        Value::Str(_) | Value::Secret(_) => return Ok(body.to_text()),
        Value::Map(map) => pairs.extend(map.iter().map(|(k, v)| (k.to_value().to_text(), v.clone()))),
        Value::List(items) => {
            for item in items.iter() {
                let Some([key, value]) = item.as_list() else {
                    return Err(Failure::new(
                        "failed to parse body as form_urlencoded: a list must hold pairs of name and value",
                    ));
                };
                pairs.push((key.to_text(), value.clone()));
            }
        }
        other => return Ok(other.to_text()),
    }
    let mut parts = Vec::new();
    for (key, value) in &pairs {
        let values = match value {
            Value::List(values) => values.to_vec(),
            Value::Null => Vec::new(),
            other => vec![other.clone()],
        };
        for value in values.iter().filter(|v| !v.is_null()) {
            parts.push(format!("{}={}", percent(key), percent(&value.to_text())));
        }
    }
    Ok(parts.join("&"))
}

/// Encodes a text for a form; a space becomes a plus.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(b)),
            b' ' => out.push('+'),
            other => add!(out, "%{other:02X}"),
        }
    }
    out
}

/// Returns the content type and a body of several parts, files among them.
fn multipart(call: &Call, body: &Value) -> Result<(String, Vec<u8>), Failure> {
    let fail = |text: String| Failure::new(format!("failed to parse body as form-multipart: {text}"));
    let Value::Map(fields) = body else { return Err(fail("the body must be a map".to_string())) };
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in fields.iter() {
        let name = name.to_value().to_text().replace('"', "%22");
        let Value::Map(field) = value else {
            parts.push((
                format!("Content-Disposition: form-data; name=\"{name}\"\r\n"),
                value.to_text().into_bytes(),
            ));
            continue;
        };
        let file = field.get("filename").map(Value::to_text);
        let content = match (field.get("content"), &file) {
            (Some(content), _) => content.to_text().into_bytes(),
            (None, Some(file)) => {
                let path = call.local.find("files", file).map_err(Failure::new)?;
                call.local.read(&path).map_err(Failure::new)?
            }
            (None, None) => {
                return Err(fail(format!("{name}: at least one of filename or content must be provided")));
            }
        };
        let mut head = format!("Content-Disposition: form-data; name=\"{name}\"");
        if let Some(file) = &file {
            let base = file.rsplit('/').next().unwrap_or(file);
            add!(head, "; filename=\"{}\"", base.replace('"', "%22"));
        }
        let kind = field.get("mime_type").map(Value::to_text);
        let default = if file.is_some() { "application/octet-stream" } else { "text/plain" };
        add!(head, "\r\nContent-Type: {}\r\n", kind.as_deref().unwrap_or(default));
        parts.push((head, content));
    }
    // The boundary follows from the content, so that the same task always sends the same.
    let mut hash = Sha1::new();
    for (head, content) in &parts {
        hash.update(head);
        hash.update(content);
    }
    let boundary = format!("xplay{}", super::local::hex(&hash.finalize()));
    let mut out = Vec::new();
    for (head, content) in &parts {
        out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, stdin};

    fn case(given: &[(&str, Value)]) -> Case {
        let mut map = args(&[("url", "http://x.org/a")]);
        map.extend(given.iter().map(|(k, v)| ((*k).into(), v.clone())));
        Case::new(&Uri, map)
    }

    fn answer(head: &str, content: &str) -> String {
        let hex: String = head.bytes().map(|b| format!("{b:02x}")).collect();
        format!("elapsed 1\nurl =http://x.org/a\nhead %{hex}\ncontent\n{content}")
    }

    #[test]
    fn reading_is_done_at_once() {
        let seen =
            answer("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n", "{\"a\": [1]}");
        let prediction = case(&[("return_content", true.into())]).plan(seen).unwrap();
        assert_eq!(prediction.effect, Effect::Read);
        assert_eq!(
            Value::map(prediction.result).repr(),
            "{'content_type': 'application/json; charset=utf-8', 'cookies_string': '', 'cookies': {}, \
             'redirected': False, 'url': 'http://x.org/a', 'elapsed': 1, 'status': 200, \
             'json': {'a': [1]}, 'content': '{\"a\": [1]}', 'msg': 'OK (unknown bytes)'}"
        );
    }

    #[test]
    fn other_statuses_fail() {
        let seen = answer("HTTP/1.1 404 Not Found\r\n", "");
        let failure = case(&[]).plan(seen.clone()).unwrap_err();
        assert_eq!(failure.msg, "Status code was 404 and not [200]: HTTP Error 404: Not Found");
        assert_eq!(failure.result.get("status").unwrap().repr(), "404");
        let list = Value::from(vec!["404".to_string(), "200".to_string()]);
        assert!(case(&[("status_code", list)]).plan(seen).is_ok());
        let failure = case(&[]).plan("elapsed 0\nhead =\ntrouble =refused\n").unwrap_err();
        assert_eq!(failure.msg, "Status code was -1 and not [200]: Request failed: refused");
    }

    #[test]
    fn bodies() {
        let sent = |format: &str, body: Value| {
            let case = case(&[("method", "post".into()), ("body_format", format.into()), ("body", body)]);
            let prediction = case.plan("").unwrap();
            assert_eq!(prediction.effect, Effect::Unknown);
            stdin(&prediction).unwrap()
        };
        let map = Value::map(Map::from_iter([("a b", Value::from("ü&")), ("n", 1.into())]));
        assert_eq!(sent("json", map.clone()), "{\"a b\": \"\\u00fc&\", \"n\": 1}");
        assert_eq!(sent("json", "[1]".into()), "[1]");
        assert_eq!(sent("form-urlencoded", map.clone()), "a+b=%C3%BC%26&n=1");
        assert_eq!(sent("raw", "x".into()), "x");
        let file = Map::from_iter([("filename", "f.txt"), ("content", "hi")]);
        let parts = sent("form-multipart", Value::map(Map::from_iter([("f", Value::map(file))])));
        let boundary = parts.lines().next().unwrap().trim_end();
        assert_eq!(
            parts,
            format!(
                "{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\nContent-Type: application/octet-stream\r\n\r\nhi\r\n{boundary}--\r\n"
            )
        );
    }

    #[test]
    fn guards_and_refusals() {
        let prediction = case(&[("creates", "/x".into())]).plan("creates yes\n").unwrap();
        assert_eq!(Value::map(prediction.result).repr(), "{'stdout': \"skipped, since '/x' exists\"}");
        let failure = case(&[("method", "p-1".into())]).probe().unwrap_err();
        assert_eq!(
            failure.msg,
            "Parameter 'method' needs to be a single word in uppercase, like GET or POST."
        );
    }
}
