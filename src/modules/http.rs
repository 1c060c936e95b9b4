//! Requests that a target makes: by curl, or by wget where there is no curl.
//!
//! Options go in by configuration texts, so that no command line shows a password.

use super::attrs::FILE_ARGS;
use super::sh::{expand_path, q};
use super::{ArgKind, ArgSpec, Call, Failure};
use crate::value::{Map, Value};

/// Arguments that all modules with requests share, those for the file's attributes among them.
pub static SHARED: [ArgSpec; ARGS.len() + FILE_ARGS.len()] = ArgSpec::joined(ARGS, FILE_ARGS);

const ARGS: &[ArgSpec] = &[
    ArgSpec::new("force", ArgKind::Bool, "Do not ask whether it changed, and use no cache.").default("no"),
    ArgSpec::new("http_agent", ArgKind::Str, "How the client calls itself.").default("ansible-httpget"),
    ArgSpec::new("use_proxy", ArgKind::Bool, "Use the proxy of the environment.").default("yes"),
    ArgSpec::new("validate_certs", ArgKind::Bool, "Check the server's certificate.").default("yes"),
    ArgSpec::new("force_basic_auth", ArgKind::Bool, "Accepted; name and password are sent at once.")
        .default("no"),
    ArgSpec::new("client_cert", ArgKind::Path, "A certificate that the client shows."),
    ArgSpec::new("client_key", ArgKind::Path, "The certificate's key."),
    ArgSpec::new("use_gssapi", ArgKind::Bool, "Authenticate by Kerberos.").default("no"),
    ArgSpec::new("unredirected_headers", ArgKind::StrList, "Accepted; curl keeps secrets from other hosts.")
        .default(""),
    ArgSpec::new("decompress", ArgKind::Bool, "Unpack what the server packed.").default("yes"),
    ArgSpec::new("ciphers", ArgKind::StrList, "Ciphers that may be used."),
    ArgSpec::new("use_netrc", ArgKind::Bool, "Take name and password from .netrc.").default("yes"),
];

/// Returns shell text that prints what an URL gives, or fails.
pub fn read_url(url: &str, check_certificate: bool) -> String {
    let (curl, wget) = if check_certificate { ("", "") } else { (" -k", " --no-check-certificate") };
    let url = q(url);
    format!(
        "if command -v curl >/dev/null 2>&1; then curl -fsSL{curl} -- {url}; \
         elif command -v wget >/dev/null 2>&1; then wget -q{wget} -O - -- {url}; \
         else xp_fail 'there is neither curl nor wget on the target'; fi"
    )
}

/// A request.
pub struct Request {
    pub url: String,
    pub method: String,
    pub headers: Vec<(String, String)>,
    pub timeout_secs: i128,
    pub follows: bool,
    pub body: Body,
}

/// Where the body is, on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    /// In the file `$xp_d/body`.
    File,
}

impl Request {
    /// Returns the shell function `xp_http`: makes the request in the folder `$xp_d`, where it leaves the headers in
    /// `head`, the content in `out` and the complaints in `err`; sets `xp_code` to the exit code and `xp_at` to the URL in
    /// the end. `xp_since` may hold a time for If-Modified-Since.
    pub fn function(&self, call: &Call) -> Result<String, Failure> {
        Ok(format!(
            "xp_http() {{\nxp_at=\nif command -v curl >/dev/null 2>&1; then\n\
             xp_at=$({{ printf '%s' {curl}\n[ -z \"${{xp_since-}}\" ] || printf 'header = \"If-Modified-Since: %s\"\\n' \"$xp_since\"; }} | \
             LC_ALL=C curl -q -sS -K - -D \"$xp_d/head\" -o \"$xp_d/out\" -w '%{{url_effective}}' 2>\"$xp_d/err\")\nxp_code=$?\n\
             elif command -v wget >/dev/null 2>&1; then\n{wget}\
             else xp_fail 'there is neither curl nor wget on the target; install curl'; fi\n}}\n",
            curl = q(&self.curl(call)?),
            wget = self.wget(call)?,
        ))
    }

    /// Returns lines that print what would come, without writing it anywhere: `code` with the status where curl is there,
    /// and `incoming` with the sha1.
    pub fn digest(&self, call: &Call) -> Result<String, Failure> {
        let insecure = call.args.bool("validate_certs") == Some(false);
        Ok(format!(
            "exec 4>&1\nxp_s=$({{ if command -v curl >/dev/null 2>&1; then {{ printf '%s' {curl}\n\
             [ -z \"${{xp_since-}}\" ] || printf 'header = \"If-Modified-Since: %s\"\\n' \"$xp_since\"; }} | \
             curl -q -sS -K - -o /dev/fd/3 -w 'code %{{http_code}}\\n' 3>&1 >&4 2>/dev/null\n\
             else wget -q{wget} -O - -- {url} 2>/dev/null; fi; }} | xp_sha1 /dev/stdin)\nexec 4>&-\nprintf 'incoming %s\\n' \"$xp_s\"\n",
            curl = q(&self.curl(call)?),
            wget = if insecure { " --no-check-certificate" } else { "" },
            url = q(&self.url),
        ))
    }

    fn curl(&self, call: &Call) -> Result<String, Failure> {
        let args = &call.args;
        let mut text = String::new();
        let mut set = |key: &str, value: &str| {
            let value =
                value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
            add!(text, "{key} = \"{value}\"\n");
        };
        set("url", &self.url);
        if self.timeout_secs > 0 {
            set("connect-timeout", &self.timeout_secs.to_string());
            set("speed-limit", "1");
            set("speed-time", &self.timeout_secs.to_string());
        }
        set("user-agent", args.str("http_agent").unwrap_or_default());
        for (name, value) in &self.headers {
            set("header", &if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
        }
        if let Some(user) = args.str("url_username") {
            set("user", &format!("{user}:{}", args.str("url_password").unwrap_or_default()));
        }
        for (arg, key) in [
            ("client_cert", "cert"),
            ("client_key", "key"),
            ("ca_path", "cacert"),
            ("unix_socket", "unix-socket"),
        ] {
            if let Some(path) = args.str(arg) {
                set(key, &expand_path(call, path)?);
            }
        }
        if args.has("ciphers") {
            set("ciphers", &args.texts("ciphers").join(":"));
        }
        if !args.flag("use_proxy") {
            set("noproxy", "*");
        }
        match self.method.as_str() {
            "GET" if self.body == Body::None => {}
            "HEAD" => text += "head\n",
            method => set("request", method),
        }
        if self.body == Body::File {
            // The folder's name is only known there.
            text += "data-binary = \"@body\"\n";
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                text += "header = \"Content-Type:\"\n";
            }
        }
        for (on, option) in [
            (self.follows, "location"),
            (args.bool("validate_certs") == Some(false), "insecure"),
            (args.flag("use_netrc"), "netrc-optional"),
            (args.flag("use_gssapi"), "negotiate"),
            (args.flag("force"), "header = \"Cache-Control: no-cache\""),
        ] {
            if on {
                add!(text, "{option}\n");
            }
        }
        if args.flag("use_gssapi") && !args.has("url_username") {
            text += "user = \":\"\n";
        }
        if args.flag("decompress") {
            // Nothing packed is asked for, but a server may send it all the same.
            text += "header = \"Accept-Encoding: identity\"\ncompressed\n";
        }
        Ok(text)
    }

    /// Returns the lines for wget; what only curl can do is refused there.
    fn wget(&self, call: &Call) -> Result<String, Failure> {
        let args = &call.args;
        for name in ["unix_socket", "use_gssapi", "ciphers"] {
            let wanted = args.get(name).is_some_and(Value::is_truthy);
            if wanted {
                return Ok(format!("xp_fail '{name} needs curl, which is not on the target'\n"));
            }
        }
        let mut text = String::new();
        let mut set = |key: &str, value: &str| add!(text, "{key} = {}\n", value.replace(['\n', '\r'], " "));
        for (name, value) in &self.headers {
            set("header", &format!("{name}: {value}"));
        }
        set("user_agent", args.str("http_agent").unwrap_or_default());
        if let Some(user) = args.str("url_username") {
            set("auth_no_challenge", "on");
            set("user", user);
            set("password", args.str("url_password").unwrap_or_default());
        }
        for (arg, key) in
            [("client_cert", "certificate"), ("client_key", "private_key"), ("ca_path", "ca_certificate")]
        {
            if let Some(path) = args.str(arg) {
                set(key, &expand_path(call, path)?);
            }
        }
        set("use_proxy", if args.flag("use_proxy") { "on" } else { "off" });
        set("check_certificate", if args.bool("validate_certs") == Some(false) { "off" } else { "on" });
        set("netrc", if args.flag("use_netrc") { "on" } else { "off" });
        set("max_redirect", if self.follows { "20" } else { "0" });
        set("timeout", &self.timeout_secs.max(0).to_string());
        set("tries", "1");
        set("content_on_error", "on");
        if self.method != "GET" {
            set("method", &self.method);
        }
        let body = if self.body == Body::File { " --body-file=\"$xp_d/body\"" } else { "" };
        let plain = self.method == "GET" && self.body == Body::None && !args.has("url_username");
        let busybox = if plain {
            let headers: String =
                self.headers.iter().map(|(n, v)| format!(" --header {}", q(&format!("{n}: {v}")))).collect();
            format!(
                "LC_ALL=C wget -q -S -O \"$xp_d/out\"{headers} -- {} 2>\"$xp_d/err\"\nxp_code=$?\n",
                q(&self.url)
            )
        } else {
            "xp_fail 'this wget can only get; install curl or GNU wget'\n".to_string()
        };
        Ok(format!(
            "if wget --version 2>/dev/null | grep -q GNU; then\n\
             {{ printf '%s' {config}\n[ -z \"${{xp_since-}}\" ] || printf 'header = If-Modified-Since: %s\\n' \"$xp_since\"; }} >\"$xp_d/wgetrc\"\n\
             LC_ALL=C wget --config=\"$xp_d/wgetrc\" -q -S{body} -O \"$xp_d/out\" -- {url} 2>\"$xp_d/err\"\nxp_code=$?\n\
             else\n{busybox}fi\nsed -n 's/^  //p' \"$xp_d/err\" >\"$xp_d/head\"\n\
             [ -s \"$xp_d/head\" ] || [ \"$xp_code\" != 0 ] || printf 'HTTP/1.0 200 OK\\n' >\"$xp_d/head\"\n\
             xp_at=$(sed -n 's/^[Ll]ocation: *//p' \"$xp_d/head\" | tail -n 1 | tr -d '\\r')\n[ -n \"$xp_at\" ] || xp_at={url}\n",
            config = q(&text),
            url = q(&self.url),
        ))
    }
}

/// The lines that make a private folder `$xp_d`, gone when the script ends.
pub fn folder(parent: &str) -> String {
    format!(
        "xp_d=$(mktemp -d {parent}/xplay.XXXXXXXX) || xp_fail \"cannot make a folder in \"{parent}\n\
         trap 'rm -rf -- \"$xp_d\"' EXIT\n"
    )
}

/// What a server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: i64,
    /// The words behind the status.
    pub reason: String,
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// Reads the last of several blocks of headers, which redirections and proxies leave.
    pub fn parse(text: &str) -> Answer {
        let mut answer = Answer::default();
        for line in text.lines().map(|l| l.trim_end_matches('\r')) {
            if let Some(rest) = line.strip_prefix("HTTP/") {
                let mut words = rest.splitn(3, ' ').skip(1);
                answer = Answer {
                    status: words.next().and_then(|w| w.parse().ok()).unwrap_or(-1),
                    reason: words.next().unwrap_or_default().trim().to_string(),
                    headers: Vec::new(),
                };
            } else if let Some((name, value)) = line.split_once(':') {
                answer.headers.push((name.trim().to_string(), value.trim().to_string()));
            }
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Returns the message as Ansible words it.
    pub fn message(&self) -> String {
        if self.status >= 300 || self.status < 0 {
            return format!("HTTP Error {}: {}", self.status, self.reason);
        }
        format!("OK ({} bytes)", self.header("content-length").unwrap_or("unknown"))
    }

    /// Adds the headers to a result, with names that templates can use, and the cookies.
    pub fn insert(&self, result: &mut Map) {
        let mut cookies = Map::new();
        for (name, value) in &self.headers {
            let key = name.to_lowercase().replace('-', "_");
            if key == "set_cookie" {
                let pair = value.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    cookies.insert(name.trim(), value.trim());
                }
            }
            let joined = match result.get(&key).and_then(Value::as_str) {
                Some(before) if !matches!(key.as_str(), "url" | "msg" | "status") => {
                    format!("{before}, {value}")
                }
                _ => value.clone(),
            };
            result.insert(key, joined);
        }
        let text: Vec<String> =
            cookies.iter().map(|(k, v)| format!("{}={}", k.to_value().to_text(), v.to_text())).collect();
        result.insert("cookies_string", text.join("; "));
        result.insert("cookies", cookies);
    }
}

/// Returns the file name in an URL.
pub fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()) {
        Some(name) if !name.is_empty() => name.to_string(),
        _ => "index.html".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        let answer = Answer::parse(
            "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\nHTTP/2 200\r\nContent-Length: 5\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
        );
        assert_eq!((answer.status, answer.message().as_str()), (200, "OK (5 bytes)"));
        let mut result = Map::new();
        answer.insert(&mut result);
        assert_eq!(
            Value::map(result).repr(),
            "{'content_length': '5', 'set_cookie': 'a=1; Path=/, b=2', 'x_a': '1, 2', 'cookies_string': 'a=1; b=2', \
             'cookies': {'a': '1', 'b': '2'}}"
        );
        assert_eq!(Answer::parse("HTTP/1.0 404 Not Found\n").message(), "HTTP Error 404: Not Found");
    }

    #[test]
    fn names_of_files() {
        assert_eq!(file_name("http://x.org/a/b.tgz?c=d/e"), "b.tgz");
        assert_eq!(file_name("http://x.org"), "index.html");
        assert_eq!(file_name("http://x.org/a/"), "index.html");
        assert_eq!(file_name("file:///srv/x"), "x");
    }
}
