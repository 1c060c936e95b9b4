//! Takes out of recorded and emulated text what must differ: times, process numbers, orders that mean nothing.

use fancy_regex::Regex;

/// Commands that print per node (or per object) in no fixed order.
const UNORDERED: &[&str] = &[
    "gettab",
    "makedhcp",
    "makedns",
    "makenetworks",
    "nodeset",
    "nodestat",
    "pscp",
    "prsync",
    "psh",
    "rinstall",
    "rmdef",
    "rnetboot",
    "rpower",
    "rsetboot",
    "updatenode",
    "xdcp",
    "xdsh",
];

pub fn normalised(argv: &[String], text: &str) -> String {
    let command = argv[0].rsplit('/').next().unwrap();
    let mut text = text.to_string();
    for (_name, pattern, replacement) in [
        ("time", r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", "<time>"),
        ("process", r"(genimage|initrd)\.\d+", "$1.<pid>"),
        ("lock holder", r"process \d+ running", "process <pid> running"),
        ("copy progress: one step per file of the medium", r"(\d+\.\d\d%\r)+", "<progress>"),
        ("build identity", r"IMAGEUUID='[^']*'", "IMAGEUUID='<uuid>'"),
        ("build time", r"TIMESTAMP='[^']*'", "TIMESTAMP='<time>'"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text = sorted_words(&text, r"members=(\S+)", ",");
    text = sorted_words(&text, r#"nodes: "([^"]+)""#, ",");
    text = sorted_words(&text, r"following nodes: (.+)", " ");
    if command == "tabdump" {
        return sorted_lines(&text, 1);
    }
    let several_columns = command == "nodels" && argv.len() > 3;
    if UNORDERED.contains(&command) || several_columns {
        return sorted_lines(&text, 0);
    }
    text
}

fn sorted_lines(text: &str, skip: usize) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let from = skip.min(lines.len());
    lines[from..].sort_unstable();
    lines.join("\n") + "\n"
}

fn sorted_words(text: &str, pattern: &str, separator: &str) -> String {
    let regex = Regex::new(pattern).unwrap();
    let sort = |found: &fancy_regex::Captures<'_, str>| {
        let mut words: Vec<&str> = found[1].split(separator).collect();
        words.sort_unstable();
        found[0].replace(&found[1], &words.join(separator))
    };
    regex.replace_all(text, sort).into_owned()
}
