//! The lookup `url`: what a server answers, fetched by curl.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Call, Lookup};
use crate::template::error::{Fail, R};
use crate::template::filters::to_bool;
use crate::template::interp::Interp;
use crate::template::methods;
use crate::template::runtime::V;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Lookup)] = &[("url", url)];

fn url(interp: &mut Interp<'_>, mut call: Call) -> R<Vec<V>> {
    let named = std::mem::take(&mut call.named);
    let mut config = String::from("silent\nshow-error\nfail\nproto = \"=http,https,ftp,file\"\n");
    let (mut user, mut password, mut agent) = (None, String::new(), "ansible-httpget".to_string());
    let (mut split, mut timeout, mut follow) = (true, "10".to_string(), true);
    for (name, value) in named {
        let value = interp.value(&value)?;
        match &*name {
            "split_lines" => split = is_true(&value),
            "validate_certs" if !is_true(&value) => config.push_str("insecure\n"),
            "use_proxy" if !is_true(&value) => config.push_str("noproxy = \"*\"\n"),
            "username" | "url_username" => user = Some(value.to_text()),
            "password" | "url_password" => password = plain(&value),
            "http_agent" => agent = value.to_text(),
            "timeout" => timeout = value.to_text(),
            "follow_redirects" => follow = !matches!(value.to_text().as_str(), "none" | "no" | "False"),
            "ca_path" => option(&mut config, "cacert", &value.to_text()),
            "headers" => {
                for (header, text) in value.as_map().into_iter().flat_map(|map| map.iter()) {
                    option(
                        &mut config,
                        "header",
                        &format!("{}: {}", header.to_value().to_text(), plain(text)),
                    );
                }
            }
            _ => {}
        }
    }
    option(&mut config, "user-agent", &agent);
    option(&mut config, "max-time", &timeout);
    if follow {
        config.push_str("location\n");
    }
    if let Some(user) = user {
        option(&mut config, "user", &format!("{user}:{password}"));
    }
    let mut found = Vec::new();
    for address in call.texts(interp)? {
        let text = fetch(interp, &config, &address)?;
        match split {
            true => found.extend(methods::lines(&text, false).into_iter().map(V::str)),
            false => found.push(V::str(text)),
        }
    }
    Ok(found)
}

fn is_true(value: &Value) -> bool {
    to_bool(value) == Some(true)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.expose().to_string(),
        other => other.to_text(),
    }
}

/// Adds a line of curl's configuration, in which quotes and backslashes are escaped.
fn option(config: &mut String, name: &str, value: &str) {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
    // Writing into a string cannot fail.
    let _ = writeln!(config, "{name} = \"{value}\"");
}

/// Asks the server. The configuration goes through stdin: what stands on a command line can be read by others.
fn fetch(interp: &Interp<'_>, config: &str, address: &str) -> R<String> {
    if !interp.templar.settings().local_effects {
        let cause = format!("what {address} answers").into();
        return Err(Fail::unknown(crate::value::Unknown { cause }));
    }
    let mut config = config.to_string();
    option(&mut config, "url", address);
    let cannot = |e: std::io::Error| Fail::failed(format!("the lookup url needs curl on this machine: {e}"));
    let mut curl = Command::new("curl")
        .args(["-q", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = curl.stdin.take() {
        stdin.write_all(config.as_bytes()).map_err(cannot)?;
    }
    let output = curl.wait_with_output().map_err(cannot)?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(Fail::failed(format!("Received HTTP error for {address} : {reason}")));
    }
    String::from_utf8(output.stdout).map_err(|_| Fail::failed(format!("what {address} answers is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diag::SourceMap;
    use crate::template::{Scope, SearchPath, StaticScope, Templar, TemplarSettings};

    #[test]
    fn options_cannot_leave_their_quotes() {
        let mut config = String::new();
        option(&mut config, "user", "a\"\\b\noutput = \"/x");
        assert_eq!(config, "user = \"a\\\"\\\\b output = \\\"/x\"\n");
    }

    #[test]
    fn answers_are_lines_or_one_text() {
        if Command::new("curl").arg("--version").output().is_err() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\ntwo\n").unwrap();
        let templar = Templar::new(SourceMap::new(), TemplarSettings::default());
        let scope: Arc<dyn Scope> =
            Arc::new(StaticScope { layers: Vec::new(), search: SearchPath::default() });
        let render = |words: &str| {
            let text = format!("{{{{ query('url', 'file://{}'{words}) }}}}", file.path().display());
            let tree = templar.compile_str(&text, None).unwrap();
            templar.render(&tree, &scope).map(|value| value.repr()).map_err(|e| e.diagnostic.message.clone())
        };
        assert_eq!(render("").unwrap(), "['one', 'two']");
        assert_eq!(render(", split_lines=false, timeout=5").unwrap(), "['one\\ntwo\\n']");
        drop(std::fs::remove_file(file.path()));
        assert!(render("").unwrap_err().contains("Received HTTP error for file://"));
    }
}
