//! `find`: files of the target by name, kind, age, size and content.

use super::sh::{FileKind, Report, Stat, expand_path, q};
use super::{ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::python_regex::{Flags, Regex, compile, is_match};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "find",
    about: "Finds files by name, kind, age, size and content.",
    args: &[
        ArgSpec::new("paths", ArgKind::StrList, "The folders to look in.")
            .required()
            .aliases(&["name", "path"]),
        ArgSpec::new("patterns", ArgKind::StrList, "Names to find: shell patterns or regular expressions.")
            .default("")
            .aliases(&["pattern"]),
        ArgSpec::new("excludes", ArgKind::StrList, "Names to leave out.").aliases(&["exclude"]),
        ArgSpec::new("contains", ArgKind::Str, "A regular expression that a line must match."),
        ArgSpec::new("read_whole_file", ArgKind::Bool, "Match contains against the whole file.")
            .default("no"),
        ArgSpec::new("file_type", ArgKind::Str, "Kinds to find.").default("file").choices(&[
            "any",
            "directory",
            "file",
            "link",
        ]),
        ArgSpec::new("age", ArgKind::Str, "At least so old, or with a minus sign at most; 2d, 3h, 1w."),
        ArgSpec::new("age_stamp", ArgKind::Str, "Which time counts.")
            .default("mtime")
            .choices(&["atime", "ctime", "mtime"]),
        ArgSpec::new("size", ArgKind::Str, "At least so big, or with a minus sign at most; 1m, 2g."),
        ArgSpec::new("recurse", ArgKind::Bool, "Look in all folders below too.").default("no"),
        ArgSpec::new("depth", ArgKind::Int, "How deep to look."),
        ArgSpec::new("hidden", ArgKind::Bool, "Find names that start with a dot.").default("no"),
        ArgSpec::new("follow", ArgKind::Bool, "Follow links to folders.").default("no"),
        ArgSpec::new("get_checksum", ArgKind::Bool, "Tell digests of contents.").default("no"),
        ArgSpec::new("checksum_algorithm", ArgKind::Str, "Which digest.")
            .default("sha1")
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
            .aliases(&["checksum", "checksum_algo"]),
        ArgSpec::new("use_regex", ArgKind::Bool, "Patterns are regular expressions.").default("no"),
        ArgSpec::new("mode", ArgKind::Raw, "Permissions that files must have."),
        ArgSpec::new("exact_mode", ArgKind::Bool, "Exactly those permissions, not at least.").default("yes"),
        ArgSpec::new("encoding", ArgKind::Str, "The encoding of files that contains reads."),
        ArgSpec::new("limit", ArgKind::Int, "Find no more than so many."),
    ],
    returns: &[
        ("files", "what was found, with attributes"),
        ("matched", "how many"),
        ("examined", "how many were looked at"),
        ("skipped_paths", "folders that could not be read, with reasons"),
    ],
    ..ModuleSpec::BASE
};

/// The script that find runs for each batch of files: numbers of lines, attributes, names, all ended by NUL.
const BATCH: &str = "if o=$(stat -c \"$0\" -- \"$@\" 2>/dev/null); then printf \"%s\\n%s\\n\" \"$#\" \"$o\"; printf \"%s\\0\" \"$@\"; \
else for f; do if o=$(stat -c \"$0\" -- \"$f\" 2>/dev/null); then printf \"1\\n%s\\n%s\\0\" \"$o\" \"$f\"; fi; done; fi";

/// Tells folders that cannot be read.
const DENIED: &str = "; for d; do if [ -d \"$d\" ] && [ ! -h \"$d\" ] && [ ! -r \"$d\" ]; then \
printf \"denied %%%s\\n\" \"$(printf %s \"$d\" | od -An -v -tx1 | tr -d \" \\n\")\"; fi; done";

pub struct Find;

impl Module for Find {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        Filter::of(args)?;
        if let Some(mode) = args.get("mode").filter(|m| m.as_str().is_none()) {
            return Err(Failure::new(format!(
                "argument 'mode' is not a string and conversion is not allowed, value is of type {}",
                mode.type_name()
            )));
        }
        let follow = if args.flag("follow") { "-L " } else { "-H " };
        let depth = match (args.flag("recurse"), args.int("depth")) {
            (false, _) => " -maxdepth 1".to_string(),
            (true, Some(depth)) if depth > 0 => format!(" -maxdepth {depth}"),
            _ => String::new(),
        };
        let kind = match args.str("file_type") {
            Some("file") => " -type f",
            Some("directory") => " -type d",
            Some("link") => " -type l",
            _ => "",
        };
        let mut script =
            "[ -n \"$xp_has_stat\" ] || xp_fail 'find needs a stat program on the target'\nprintf 'now %s\\n' \"$(date +%s)\"\n"
                .to_string();
        let plain = |path: String| match path.trim_end_matches('/') {
            "" => path,
            trimmed => trimmed.to_string(),
        };
        let paths = args
            .texts("paths")
            .iter()
            .map(|p| expand_path(call, p).map(plain))
            .collect::<Result<Vec<_>, _>>()?;
        for path in &paths {
            let path = q(path);
            add!(script, "if [ ! -d {path} ]; then printf 'skipped '; xp_word {path}; printf '\\n'; fi\n");
        }
        // Ansible counts everything that it sees, and looks one step below the depth.
        let seen = match (args.flag("recurse"), args.int("depth")) {
            (false, _) => " -maxdepth 1".to_string(),
            (true, Some(depth)) if depth > 0 => format!(" -maxdepth {}", depth + 1),
            _ => String::new(),
        };
        let denied = if args.flag("recurse") { DENIED } else { "" };
        for path in &paths {
            let path = q(path);
            add!(
                script,
                "if [ -d {path} ]; then find {follow}{path} -mindepth 1{seen} -exec sh -c {} sh {{}} + 2>/dev/null; fi\n",
                q(&format!("printf \"looked %s\\n\" $#{denied}"))
            );
        }
        if let Some(encoding) = foreign(args) {
            add!(
                script,
                "iconv -f {0} -t UTF-8 </dev/null >/dev/null 2>&1 || printf 'no_encoding yes\\n'\n",
                q(encoding)
            );
        }
        script += "printf 'content\\n'\n";
        for path in &paths {
            let path = q(path);
            add!(
                script,
                "if [ -d {path} ]; then find {follow}{path} -mindepth 1{depth}{kind} -exec sh -c {} \"$xp_stat_format\" {{}} + 2>/dev/null; fi\n",
                q(BATCH)
            );
        }
        if args.has("contains") || args.flag("get_checksum") {
            // These need the names again: one more pass over the same files, in the same order.
            let algorithm = args.str("checksum_algorithm").unwrap_or("sha1");
            let what = if let (true, Some(encoding)) = (args.has("contains"), foreign(args)) {
                format!(
                    "for f; do if [ -f \"$f\" ] && [ -r \"$f\" ]; then if n=$(iconv -f {0} -t UTF-8 <\"$f\" 2>/dev/null | wc -c) && iconv -f {0} -t UTF-8 <\"$f\" >/dev/null 2>&1; then printf \"%s\\0%s\\n\" \"$f\" \"$((n))\"; iconv -f {0} -t UTF-8 <\"$f\"; else printf \"%s\\0bad\\n\" \"$f\"; fi; fi; done",
                    q(encoding)
                )
            } else if args.has("contains") {
                // What cannot match is not worth sending, unless it is to be told that it cannot be read.
                let holds = args.str("contains").filter(|_| !args.has("encoding")).and_then(literal);
                let holds =
                    holds.map_or_else(String::new, |text| format!(" && grep -qF -e {} <\"$f\"", q(text)));
                format!(
                    "for f; do if [ -f \"$f\" ] && [ -r \"$f\" ]{holds}; then printf \"%s\\0%s\\n\" \"$f\" \"$(($(wc -c <\"$f\")))\"; cat -- \"$f\"; fi; done"
                )
            } else {
                format!(
                    "for f; do if [ -f \"$f\" ] && [ -r \"$f\" ]; then d=$({algorithm}sum <\"$f\") && printf \"%s\\0%s\\n\" \"$f\" \"${{d%% *}}\"; fi; done"
                )
            };
            script += "printf 'more\\n'\n";
            for path in &paths {
                let path = q(path);
                add!(
                    script,
                    "if [ -d {path} ]; then find {follow}{path} -mindepth 1{depth} -type f{} -exec sh -c {} sh {{}} + 2>/dev/null; fi\n",
                    name_tests(args),
                    q(&what)
                );
            }
        }
        // Folders that cannot be read make find fail; they are told one by one.
        script += ":\n";
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        for path in args.texts("paths") {
            call.needs_untouched(&expand_path(call, &path)?)?;
        }
        let filter = Filter::of(args)?;
        let now: i64 = report.need("now")?.trim().parse().unwrap_or(0);
        let content = report.content.as_deref().unwrap_or_default();
        let (entries, rest) = entries(content)?;
        let more = more(rest, args.has("contains"));
        let mut files = Vec::new();
        let looked = report.all("looked").filter_map(|n| n.trim().parse::<u64>().ok());
        let examined = looked.fold(0, u64::saturating_add);
        let mut skipped = Map::new();
        for path in report.all("skipped").filter_map(super::sh::word) {
            let reason = format!("'{path}' is not a directory");
            skipped.insert(path, reason);
        }
        for path in report.all("denied").filter_map(super::sh::word) {
            let reason = format!("[Errno 13] Permission denied: '{path}'");
            skipped.insert(path, reason);
        }
        let encoding = args.str("encoding").unwrap_or_default();
        for (path, stat) in entries {
            let top = args.texts("paths").into_iter().find(|top| below(&path, top)).unwrap_or_default();
            if skipped.contains(&top) || !filter.accepts(&path, &stat, now)? {
                continue;
            }
            let extra = more.iter().find(|(name, _)| *name == path).map(|(_, data)| data);
            if let Some(pattern) = &filter.contains {
                let strict = args.has("encoding") && foreign(args).is_none();
                let readable = match extra {
                    Some(bytes) if strict => std::str::from_utf8(bytes).is_ok(),
                    Some(_) => true,
                    // Without a second look it is a file of another kind, or one that cannot be converted.
                    None => foreign(args).is_none() || stat.kind != FileKind::File,
                };
                if !readable {
                    let reason = if report.get("no_encoding").is_some() {
                        format!("unknown encoding: {encoding}")
                    } else {
                        format!(
                            "Failed to read the file {path} due to an encoding error. current encoding: {encoding}"
                        )
                    };
                    skipped.insert(top, reason);
                    continue;
                }
                let text = String::from_utf8_lossy(extra.map(Vec::as_slice).unwrap_or_default());
                let hit = if args.flag("read_whole_file") {
                    is_match(pattern, &text).map_err(Failure::new)?
                } else {
                    let mut hit = false;
                    for line in text.split_inclusive('\n') {
                        // Ansible's match starts at the beginning of a line.
                        let found = pattern.find(line).map_err(|e| Failure::new(e.to_string()))?;
                        hit |= found.is_some_and(|m| m.start() == 0);
                    }
                    hit
                };
                if !hit {
                    continue;
                }
            }
            let mut file = Map::new();
            file.insert("path", path.as_str());
            super::stat::fill(&mut file, &stat);
            for name in ["blocks", "block_size", "device_type"] {
                file.remove(name);
            }
            if args.flag("get_checksum")
                && !args.has("contains")
                && let Some(digest) = extra
            {
                file.insert("checksum", String::from_utf8_lossy(digest).into_owned());
            }
            files.push(Value::map(file));
            if args.int("limit").is_some_and(|limit| files.len() as i128 >= limit) {
                break;
            }
        }
        let mut result = Map::new();
        result.insert("matched", files.len());
        result.insert("files", Value::list(files));
        result.insert("examined", examined);
        let warnings: Vec<String> = skipped
            .iter()
            .map(|(path, reason)| {
                let path = path.to_value().to_text();
                format!("Skipped '{path}' path due to this access issue: {}", reason.to_text())
            })
            .collect();
        result.insert(
            "msg",
            if skipped.is_empty() {
                "All paths examined"
            } else {
                "Not all paths examined, check warnings for details"
            },
        );
        result.insert("skipped_paths", skipped);
        let mut prediction = Prediction::read(result);
        prediction.warnings = warnings;
        Ok(prediction)
    }
}

/// Returns the text that every match of a regular expression holds, where it is nothing but that text.
fn literal(pattern: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-,:;/='\"@%&<>~".contains(c);
    (!pattern.is_empty() && pattern.chars().all(plain)).then_some(pattern)
}

/// Returns the encoding that the target has to convert from.
fn foreign(args: &Args) -> Option<&str> {
    args.str("encoding").filter(|e| !matches!(e.to_lowercase().as_str(), "utf-8" | "utf8" | "utf_8"))
}

/// Whether a path that was found lies in one of the folders as they were given.
fn below(path: &str, top: &str) -> bool {
    let top = top.trim_end_matches('/');
    path.trim_start_matches("./")
        .strip_prefix(top.trim_start_matches("./"))
        .is_some_and(|r| r.starts_with('/'))
}

/// Returns tests for `find` that leave out most of what cannot match, so that less is read.
fn name_tests(args: &Args) -> String {
    let patterns = args.texts("patterns");
    if args.flag("use_regex") || patterns.iter().any(|p| p.is_empty() || p == "*") {
        return String::new();
    }
    let tests: Vec<String> = patterns.iter().map(|p| format!("-name {}", q(p))).collect();
    format!(" \\( {} \\)", tests.join(" -o "))
}

type Entries = Vec<(String, Stat)>;

/// Reads the batches: a count, so many lines of attributes, so many names.
fn entries(content: &[u8]) -> Result<(Entries, &[u8]), Failure> {
    let broken = || Failure::new("the list of files cannot be read");
    let mut rest = content;
    let mut found = Vec::new();
    while !rest.is_empty() && !rest.starts_with(b"more\n") {
        let count: usize = line(&mut rest, b'\n').parse().map_err(|_| broken())?;
        let stats: Vec<String> = (0..count).map(|_| line(&mut rest, b'\n')).collect();
        for text in stats {
            let name = line(&mut rest, 0);
            if let Some(stat) = Stat::parse(&text)? {
                found.push((name, stat));
            }
        }
    }
    Ok((found, rest))
}

fn line(rest: &mut &[u8], end: u8) -> String {
    let at = rest.iter().position(|b| *b == end).unwrap_or(rest.len());
    let text = String::from_utf8_lossy(&rest[..at]).into_owned();
    *rest = rest.get(at + 1..).unwrap_or_default();
    text
}

/// Reads the second pass: a name with either a digest, or a size and so many bytes.
fn more(mut rest: &[u8], contents: bool) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    if !rest.starts_with(b"more\n") {
        return found;
    }
    rest = &rest[5..];
    while !rest.is_empty() {
        let name = line(&mut rest, 0);
        let value = line(&mut rest, b'\n');
        if contents && value == "bad" {
            continue;
        }
        if contents {
            let size = value.parse::<usize>().unwrap_or(0).min(rest.len());
            found.push((name, rest[..size].to_vec()));
            rest = &rest[size..];
        } else {
            found.push((name, value.into_bytes()));
        }
    }
    found
}

struct Filter {
    patterns: Vec<Regex>,
    excludes: Vec<Regex>,
    contains: Option<Regex>,
    age: Option<i64>,
    stamp: String,
    size: Option<i64>,
    mode: Option<(u32, bool)>,
    hidden: bool,
}

impl Filter {
    fn of(args: &Args) -> Result<Self, Failure> {
        let named = |pattern: &String| {
            let text = if args.flag("use_regex") { format!("^(?:{pattern})") } else { glob(pattern) };
            compile(&text, Flags { dot_all: true, ..Flags::default() }).map_err(Failure::new)
        };
        let all = |name: &str| -> Result<Vec<_>, Failure> {
            args.texts(name).iter().filter(|p| !p.is_empty()).map(named).collect()
        };
        let contains = match args.str("contains") {
            Some(text) => Some(compile(text, Flags::default()).map_err(Failure::new)?),
            None => None,
        };
        let mode = match super::attrs::Mode::of(args, "mode")? {
            None => None,
            Some(super::attrs::Mode::Bits(bits)) => Some((bits, args.flag("exact_mode"))),
            Some(symbolic) => Some((symbolic.bits(0, FileKind::File, 0), args.flag("exact_mode"))),
        };
        Ok(Filter {
            patterns: all("patterns")?,
            excludes: all("excludes")?,
            contains,
            age: number(args, "age", &[('s', 1), ('m', 60), ('h', 3600), ('d', 86400), ('w', 604_800)])?,
            stamp: args.str("age_stamp").unwrap_or("mtime").to_string(),
            size: number(
                args,
                "size",
                &[('b', 1), ('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)],
            )?,
            mode,
            hidden: args.flag("hidden"),
        })
    }

    fn accepts(&self, path: &str, stat: &Stat, now: i64) -> Result<bool, Failure> {
        let name = path.rsplit('/').next().unwrap_or_default();
        if !self.hidden && name.starts_with('.') {
            return Ok(false);
        }
        let any = |list: &[Regex]| -> Result<bool, Failure> {
            for pattern in list {
                if is_match(pattern, name).map_err(Failure::new)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if !self.patterns.is_empty() && !any(&self.patterns)? || any(&self.excludes)? {
            return Ok(false);
        }
        let stamp = match self.stamp.as_str() {
            "atime" => stat.atime,
            "ctime" => stat.ctime,
            _ => stat.mtime,
        };
        let old = now - stamp;
        let aged = self.age.is_none_or(|age| if age >= 0 { old >= age } else { old <= -age });
        let size = i64::try_from(stat.size).unwrap_or(i64::MAX);
        let sized = self.size.is_none_or(|s| if s >= 0 { size >= s } else { size <= -s });
        let allowed =
            self.mode.is_none_or(
                |(bits, exact)| {
                    if exact { stat.mode == bits } else { stat.mode & bits != 0 || bits == 0 }
                },
            );
        Ok(aged && sized && allowed)
    }
}

/// Reads a number with a unit, such as `-2d`.
fn number(args: &Args, name: &str, units: &[(char, i64)]) -> Result<Option<i64>, Failure> {
    let Some(text) = args.str(name) else { return Ok(None) };
    let lower = text.trim().to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower[digits.len()..].chars().next();
    let factor = match unit {
        None => Some(1),
        Some(unit) => units.iter().find(|(u, _)| *u == unit).map(|(_, f)| *f),
    };
    match (digits.parse::<i64>(), factor) {
        (Ok(n), Some(factor)) => Ok(Some(n.saturating_mul(factor))),
        _ => Err(Failure::new(format!("failed to process {name}")).with(name, text)),
    }
}

/// Returns a shell pattern as a regular expression.
fn glob(pattern: &str) -> String {
    let mut out = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' if chars.clone().skip(1).any(|c| c == ']') => {
                out.push('[');
                if chars.peek() == Some(&'!') {
                    chars.next();
                    out.push('^');
                }
                let mut first = true;
                for c in chars.by_ref() {
                    match c {
                        ']' if !first => break,
                        ']' | '\\' | '[' => {
                            out.push('\\');
                            out.push(c);
                        }
                        c => out.push(c),
                    }
                    first = false;
                }
                out.push(']');
            }
            c if c.is_alphanumeric() || c == '_' || c == '-' => out.push(c),
            c => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    out + r"\z"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(given: &[(&str, &str)], expect: &[&str]) {
        let mut given = given.to_vec();
        given.push(("paths", "/d"));
        let stat =
            |mtime: i64, size: i64| format!("81a4 0 0 {size} {mtime} 1 1 9 1 1 0 0 8 4096 :root:root:\n");
        let seen = format!(
            "now 100000\ncontent\n2\n{}{}/d/a b.txt\0/d/new\nline\0",
            stat(1000, 5),
            stat(99_990, 5000)
        ) + &format!("1\n{}/d/.hidden\0", stat(1, 1));
        let result = Case::new(&Find, args(&given)).plan(seen).unwrap().result;
        let files = result.get("files").unwrap().as_list().unwrap().to_vec();
        let names: Vec<String> = files.iter().map(|f| f.get("path").unwrap().to_text()).collect();
        assert_eq!(names, expect, "{given:?}");
    }

    #[test]
    fn only_plain_texts_are_looked_for_on_the_target() {
        assert_eq!(literal("a plain text, it's"), Some("a plain text, it's"));
        for pattern in ["", "a.b", "^a", "a|b", "a\\d", "(a)", "a\nb", "a*"] {
            assert_eq!(literal(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn filters() {
        check(&[], &["/d/a b.txt", "/d/new\nline"]);
        check(&[("patterns", "*.txt")], &["/d/a b.txt"]);
        check(&[("patterns", "[!n]*")], &["/d/a b.txt"]);
        check(&[("excludes", "*.txt")], &["/d/new\nline"]);
        check(&[("patterns", "n.w"), ("use_regex", "yes")], &["/d/new\nline"]);
        check(&[("age", "1d")], &["/d/a b.txt"]);
        check(&[("age", "-1h")], &["/d/new\nline"]);
        check(&[("size", "1k")], &["/d/new\nline"]);
        check(&[("hidden", "yes"), ("patterns", ".h*")], &["/d/.hidden"]);
        check(&[("mode", "0600")], &[]);
    }
}
