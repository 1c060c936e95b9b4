//! Parsers for what xCAT commands print, in the forms of old and new releases.

use std::collections::BTreeMap;

/// Attributes of one object, sorted by byte value as xCAT sorts them.
pub type Attrs = BTreeMap<String, String>;

/// Returns the objects of `lsdef` output by name: stanzas (`-z`), the long form, or the compressed form (`-c`).
pub fn objects(text: &str) -> BTreeMap<String, Attrs> {
    let mut found: BTreeMap<String, Attrs> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(attr) = line.strip_prefix("    ") {
            if let (Some(name), Some((key, value))) = (&current, attr.split_once('=')) {
                found.entry(name.clone()).or_default().insert(key.to_string(), value.to_string());
            }
            continue;
        }
        if let Some(name) = line.strip_prefix("Object name: ") {
            found.entry(name.trim().to_string()).or_default();
            current = Some(name.trim().to_string());
            continue;
        }
        if line.starts_with('#') || is_message(line) {
            continue;
        }
        if let Some(name) =
            line.strip_suffix(':').filter(|n| !n.is_empty() && !n.contains(char::is_whitespace))
        {
            found.entry(name.to_string()).or_default();
            current = Some(name.to_string());
            continue;
        }
        if let Some((name, attr)) = line.split_once(": ")
            && let (false, Some((key, value))) = (name.contains(char::is_whitespace), attr.split_once('='))
        {
            found.entry(name.to_string()).or_default().insert(key.to_string(), value.to_string());
        }
    }
    found
}

/// Returns the names of `lsdef -t TYPE` (`NAME  (TYPE)` per line).
pub fn object_names(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_suffix(')')?.split_once("  ("))
        .map(|(n, _)| n.to_string())
        .collect()
}

/// Returns a definition as the stanza that `mkdef -z` reads.
pub fn stanza(name: &str, kind: &str, attrs: &Attrs) -> String {
    let mut text = format!("{name}:\n    objtype={kind}\n");
    for (key, value) in attrs.iter().filter(|(k, v)| *k != "objtype" && !v.is_empty()) {
        text.push_str("    ");
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    text
}

fn is_message(line: &str) -> bool {
    line.starts_with("Error:")
        || line.starts_with("Warning:")
        || line.starts_with("No object definitions")
        || line.starts_with("Could not find any object")
}

/// Returns the rows of `tabdump` output, each by column name.
pub fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut rows = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for record in csv(text) {
        match record.first() {
            Some(first) if columns.is_empty() && first.starts_with('#') => {
                columns = record.iter().map(|c| c.trim_start_matches('#').to_string()).collect();
            }
            // A row that begins with # is a comment of the table.
            Some(first) if !first.starts_with('#') && !columns.is_empty() => {
                rows.push(columns.iter().cloned().zip(record).collect());
            }
            _ => {}
        }
    }
    rows
}

fn csv(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records.retain(|r: &Vec<String>| r.iter().any(|f| !f.is_empty()));
    records
}

/// Returns the site table as a map.
pub fn site(text: &str) -> Attrs {
    table(text)
        .into_iter()
        .filter(|row| row.get("disable").is_none_or(|d| !matches!(d.as_str(), "1" | "yes" | "YES")))
        .filter_map(|mut row| Some((row.remove("key")?, row.remove("value")?)))
        .collect()
}

/// Returns the words of a comma separated attribute.
pub fn comma(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_string).collect()
}

/// One message of an xCAT command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub node: Option<String>,
    pub text: String,
    pub warning: bool,
}

/// Returns the errors and warnings in a command's output: `Error: [mn]: text`, the older `Error: text`, and per node
/// `NODE: [mn]: Error: text` or `NODE: Error: text`.
pub fn messages(text: &str) -> Vec<Message> {
    text.lines().filter_map(message).collect()
}

fn message(line: &str) -> Option<Message> {
    let line = line.trim();
    if let Some((text, warning)) = labelled(line) {
        let text = without_host(text);
        // The older form names the node inside: `Error: sn1: text`.
        return Some(Message { node: None, text: text.to_string(), warning });
    }
    let (node, rest) = line.split_once(": ")?;
    if node.is_empty() || node.contains(char::is_whitespace) {
        return None;
    }
    let (text, warning) = labelled(without_host(rest))?;
    Some(Message { node: Some(node.to_string()), text: without_host(text).to_string(), warning })
}

fn labelled(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = text.strip_prefix("Error:") {
        return Some((rest.trim_start(), false));
    }
    text.strip_prefix("Warning:").map(|rest| (rest.trim_start(), true))
}

fn without_host(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, rest)) if !host.contains(char::is_whitespace) => rest.trim_start(),
        _ => text,
    }
}

/// Returns the errors as one text, or the last line of the output when there is no error line.
pub fn error_text(out: &str, err: &str) -> String {
    let mut texts: Vec<String> = Vec::new();
    for m in messages(err).into_iter().chain(messages(out)).filter(|m| !m.warning) {
        let text = match m.node {
            Some(node) => format!("{node}: {}", m.text),
            None => m.text,
        };
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    if !texts.is_empty() {
        return texts.join("; ");
    }
    let last = |t: &str| t.lines().rev().find(|l| !l.trim().is_empty()).map(|l| l.trim().to_string());
    last(err).or_else(|| last(out)).unwrap_or_else(|| "no message".into())
}

/// Returns the lines of `NODE: text` output by node, in order.
pub fn by_node(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((node, rest)) = line.split_once(':')
            && !node.is_empty()
            && !node.contains(char::is_whitespace)
            && !node.starts_with('[')
        {
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            nodes.entry(node.to_string()).or_default().push(rest.to_string());
        }
    }
    nodes
}

/// What one node answered to `xdsh -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub lines: Vec<String>,
    pub rc: i32,
}

/// Returns the answers of `xdsh NODES -z '( ... )'`. A node without its status line did not answer and is absent.
pub fn answers(text: &str) -> BTreeMap<String, Answer> {
    by_node(text)
        .into_iter()
        .filter_map(|(node, lines)| {
            let status = lines.iter().rev().find_map(|l| l.strip_prefix("Remote_command_rc = "))?;
            let rc = status.trim().parse().ok()?;
            let lines = lines.into_iter().filter(|l| !l.starts_with("Remote_command_rc = ")).collect();
            Some((node, Answer { lines, rc }))
        })
        .collect()
}

/// What `copycds -i` says of one medium.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Medium {
    pub name: String,
    pub arch: String,
    pub disc: Option<u32>,
}

/// Reads `copycds -i` output; nothing when the medium was not identified.
pub fn medium(text: &str) -> Option<Medium> {
    let value =
        |key: &str| text.lines().find_map(|l| l.trim().strip_prefix(key)).map(|v| v.trim().to_string());
    Some(Medium {
        name: value("DISTNAME:")?,
        arch: value("ARCH:")?,
        disc: value("DISCNO:").and_then(|n| n.parse().ok()),
    })
}

/// Returns the words of the kernel line of a boot file: xnba, pxe, grub2, petitboot and yaboot.
pub fn kernel_words(boot_file: &str) -> Vec<String> {
    let line = boot_file
        .lines()
        .map(str::trim)
        .find(|l| l.contains("imgurl=") || l.contains("inst.ks=") || l.contains("ks="))
        .unwrap_or_default();
    line.split(|c: char| c.is_whitespace() || c == '"')
        .filter(|w| !w.is_empty())
        .map(str::to_string)
        .collect()
}

/// Returns the path in the `imgurl=` of a boot file: `http://10.0.0.1:80//install/x/rootimg.gz` is
/// `/install/x/rootimg.gz`.
pub fn image_path(boot_file: &str) -> Option<String> {
    let words = kernel_words(boot_file);
    let url = words.iter().find_map(|w| w.split_once("imgurl=").map(|(_, url)| url))?;
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = &after[after.find('/')?..];
    Some(format!("/{}", path.trim_start_matches('/')))
}

/// What `/opt/xcat/xcatinfo` holds: `IMAGENAME='x'` and plain `NODE=sn1` lines.
pub fn xcatinfo<'a>(lines: impl Iterator<Item = &'a str>) -> Attrs {
    lines
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, value)| (key.to_string(), value.trim_matches(|c| c == '\'' || c == '"').to_string()))
        .collect()
}

/// Returns what identifies a packed image: its UUID, or its time where `uuidgen` was missing.
pub fn image_id(info: &Attrs) -> Option<String> {
    ["IMAGEUUID", "TIMESTAMP"].iter().find_map(|key| info.get(*key).filter(|v| !v.is_empty()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(pairs: &[(&str, &str)]) -> Attrs {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn reads_every_form_of_lsdef() {
        let expect = attrs(&[
            ("osarch", "x86_64"),
            ("permission", ""),
            ("addkcmdline", "console=ttyS0,115200 R::quiet"),
        ]);
        for text in [
            "# <xCAT data object stanza file>\n\nmyservice:\n    osarch=x86_64\n    permission=\n    \
             addkcmdline=console=ttyS0,115200 R::quiet\n",
            "Object name: myservice\n    addkcmdline=console=ttyS0,115200 R::quiet\n    osarch=x86_64\n    permission=\n",
            "myservice: addkcmdline=console=ttyS0,115200 R::quiet\nmyservice: osarch=x86_64\nmyservice: permission=\n",
        ] {
            assert_eq!(objects(text).get("myservice"), Some(&expect), "{text}");
        }
        for none in [
            "Could not find any object definitions to display.\n",
            "No object definitions have been found\nError: [mn]: Could not find an object named 'x' of type 'osimage'.\n",
            "# <xCAT data object stanza file>\nError: Could not find an object named 'x' of type 'osimage'.\n",
        ] {
            assert!(objects(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn stanzas_round_trip() {
        let text = "myservice:\n    objtype=osimage\n    exlist=/a,/b\n    osvers=rhels9.4\n";
        let read = objects(text).remove("myservice").expect("read");
        assert_eq!(stanza("myservice", "osimage", &read), text);
    }

    #[test]
    fn reads_names() {
        assert_eq!(
            object_names(
                "rhels9.4-x86_64-netboot-compute  (osimage)\nCould not find any object definitions to display.\n"
            ),
            ["rhels9.4-x86_64-netboot-compute"]
        );
    }

    #[test]
    fn reads_tables() {
        let text = "#imagename,groups,description,osvers\n\"myservice\",,\"say \"\"hi\"\", it's 5 o'clock\",\"rhels9.4\"\n";
        let rows = table(text);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["description"], "say \"hi\", it's 5 o'clock");
        assert_eq!(rows[0]["groups"], "");
        assert_eq!(
            site("#key,value,comments,disable\n\"installdir\",\"/install\",,\n\"x\",\"1\",,\"1\"\n"),
            attrs(&[("installdir", "/install")])
        );
    }

    #[test]
    fn reads_messages_of_both_eras() {
        let check = |line: &str, node: Option<&str>, text: &str, warning: bool| {
            let expect = Message { node: node.map(str::to_string), text: text.into(), warning };
            assert_eq!(messages(line), [expect], "{line}");
        };
        check(
            "Error: [mn]: Cannot find image 'x' from the osimage table.",
            None,
            "Cannot find image 'x' from the osimage table.",
            false,
        );
        check("Error: Cannot find image", None, "Cannot find image", false);
        check(
            "nomac: [mn]: Error: No MAC address available for this node",
            Some("nomac"),
            "No MAC address available for this node",
            false,
        );
        check("nomac: Error: No MAC address", Some("nomac"), "No MAC address", false);
        check("sn1: [mn]: Error: ERROR: timeout", Some("sn1"), "ERROR: timeout", false);
        check(
            "Warning: [mn]: A definition for 'sn1' already exists.",
            None,
            "A definition for 'sn1' already exists.",
            true,
        );
        assert_eq!(messages("sn1: netboot rhels9.4-x86_64-service\nplain"), []);
    }

    #[test]
    fn answers_need_their_status_line() {
        let text = "sn1: a: b\nsn2: half\nsn1: Remote_command_rc = 7\n[mn]: dead1: ssh: no route\n";
        let found = answers(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found["sn1"], Answer { lines: vec!["a: b".into()], rc: 7 });
    }

    #[test]
    fn reads_media() {
        assert_eq!(
            medium(
                "OS Image:/iso/RHEL6.3-Server-ppc64-dvd1.iso\nDISTNAME:rhels6.3\nARCH:ppc64\nDISCNO:1\n\n"
            ),
            Some(Medium { name: "rhels6.3".into(), arch: "ppc64".into(), disc: Some(1) })
        );
        assert_eq!(medium("OS Image:/iso/bogus.iso\n\n"), None);
    }

    #[test]
    fn reads_boot_files() {
        let xnba = "#!gpxe\n#netboot rhels9.4-x86_64-service\nimgargs kernel imgurl=http://10.20.0.1:80//install/netboot/rhels9.4/x86_64/myservice/rootimg.cpio.gz XCAT=10.20.0.1:3001 NODE=sn1 console=ttyS0\nimgexec kernel\n";
        assert_eq!(
            image_path(xnba).as_deref(),
            Some("/install/netboot/rhels9.4/x86_64/myservice/rootimg.cpio.gz")
        );
        assert!(kernel_words(xnba).contains(&"console=ttyS0".to_string()));
        let yaboot = "#netboot rhels6.4-ppc64-service\ntimeout=5\n\timage=/x/kernel\n\tlabel=xcat\n\tappend=\"imgurl=http://10.0.0.1//install/netboot/rhels6.4/ppc64/service/rootimg.gz XCAT=10.0.0.1:3001 \"\n";
        assert_eq!(image_path(yaboot).as_deref(), Some("/install/netboot/rhels6.4/ppc64/service/rootimg.gz"));
        assert_eq!(image_path("#!gpxe\n#boot\nexit\n"), None);
    }
}
