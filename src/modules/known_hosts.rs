//! `known_hosts`: the keys of a host in a known_hosts file.

use sha1::{Digest, Sha1};

use super::sh::expand_path;
use super::text::lines;
use super::write;
use super::{
    ArgKind, ArgSpec, Call, Diff, DiffSide, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, edit,
};
use crate::transport::Output;
use crate::transport::known_hosts::{hashed_name, names_match};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "known_hosts",
    about: "Adds and removes the keys of a host in a known_hosts file.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The host, as the key's line names it.")
            .required()
            .aliases(&["host"]),
        ArgSpec::new(
            "key",
            ArgKind::Str,
            "The line with the key; without it all keys of the host are meant.",
        ),
        ArgSpec::new("path", ArgKind::Path, "The file.").default("~/.ssh/known_hosts"),
        ArgSpec::new("hash_host", ArgKind::Bool, "Write a hash instead of the name.").default("no"),
        ArgSpec::new("state", ArgKind::Str, "Whether the key is to be there.")
            .default("present")
            .choices(&["absent", "present"]),
    ],
    returns: &[
        ("name", "the host"),
        ("key", "the line that was asked for"),
        ("path", "the file"),
        ("hash_host", "the argument"),
        ("state", "the argument"),
        ("diff", "the file before and after"),
    ],
    goes_ahead: true,
    ..ModuleSpec::BASE
};

pub struct KnownHosts;

impl Module for KnownHosts {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        Wanted::of(call)?;
        edit::probe(call, "path").map(Some)
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let found = edit::found(call, seen, "path")?;
        let wanted = Wanted::of(call)?;
        let text = found.text();
        let mut all = lines(&text.text);
        wanted.edit(&mut all);
        let after = text.bytes(&all.concat());
        let path = expand_path(call, args.str("path").unwrap_or_default())?;
        let mut result = args.map().clone();
        result.insert("path", path.as_str());
        let before_header = if found.content.is_none() { "/dev/null" } else { &path };
        let shown_after = String::from_utf8_lossy(&after).into_owned();
        // Ansible's result always holds it.
        let mut diff = Map::new();
        diff.insert("before_header", before_header);
        diff.insert("after_header", path.as_str());
        diff.insert("before", text.text.as_str());
        diff.insert("after", shown_after.as_str());
        result.insert("diff", diff);
        if after == found.content.as_deref().unwrap_or_default() {
            if let Some(stat) = &found.look.file {
                super::attrs::describe(&mut result, stat);
            }
            return Ok(Prediction::same(result));
        }
        let mut prediction = found.replace(call, after, result)?;
        prediction.result.remove("msg");
        prediction.diff = vec![Diff {
            before_header: before_header.to_string(),
            after_header: path,
            before: DiffSide::Text(text.text),
            after: DiffSide::Text(shown_after),
        }];
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup", false)
    }
}

/// What a task asks for.
struct Wanted {
    host: String,
    line: Option<Line>,
    present: bool,
}

/// The fields of a line that count.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// `@cert-authority` or `@revoked`.
    marker: Option<String>,
    names: String,
    kind: String,
    key: String,
    /// As it is written.
    text: String,
}

impl Line {
    fn parse(text: &str) -> Option<Line> {
        let mut words = text.split_whitespace();
        let first = words.next()?;
        if first.starts_with('#') {
            return None;
        }
        let marker = first.starts_with('@').then(|| first.to_string());
        let names = if marker.is_some() { words.next()? } else { first };
        Some(Line {
            marker,
            names: names.to_string(),
            kind: words.next()?.to_string(),
            key: words.next()?.to_string(),
            text: text.to_string(),
        })
    }

    /// Whether both say the same; of two hashes nobody can tell.
    fn same(&self, other: &Line) -> bool {
        let hashes = self.names.starts_with("|1|") && other.names.starts_with("|1|");
        self.marker == other.marker
            && (hashes || self.names == other.names)
            && self.kind == other.kind
            && self.key == other.key
    }
}

impl Wanted {
    fn of(call: &Call) -> Result<Wanted, Failure> {
        let args = &call.args;
        let host = args.str("name").unwrap_or_default().to_lowercase();
        let present = args.str("state") != Some("absent");
        let Some(key) = args.str("key").filter(|k| !k.is_empty()) else {
            if present {
                return Err(Failure::new("No key specified when adding a host"));
            }
            return Ok(Wanted { host, line: None, present });
        };
        let comma = host.find(',').is_some_and(|at| !host[..at].trim().is_empty());
        if comma {
            return Err(Failure::new(
                "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
            ));
        }
        let mut line = Line::parse(key.trim()).ok_or_else(|| {
            Failure::new(format!(
                "cannot read the key \"{}\": a name, a type and a key are expected",
                key.trim()
            ))
        })?;
        if !names_match(&line.names, &host) {
            return Err(Failure::new("Host parameter does not match hashed host field in supplied key"));
        }
        if args.flag("hash_host") {
            // The salt follows from what is written, so that the same task always writes the same.
            let salt = Sha1::digest(format!("{host} {} {}", line.kind, line.key));
            line.names = hashed_name(&host, &salt).unwrap_or(line.names);
            let marker = line.marker.as_ref().map(|m| format!("{m} ")).unwrap_or_default();
            let rest: Vec<&str> =
                line.text.split_whitespace().skip(1 + usize::from(line.marker.is_some())).collect();
            line.text = format!("{marker}{} {}", line.names, rest.join(" "));
        } else {
            line.text = key.trim_end_matches('\n').to_string();
        }
        Ok(Wanted { host, line: Some(line), present })
    }

    fn edit(&self, all: &mut Vec<String>) {
        let about: Vec<(usize, Line)> = all
            .iter()
            .enumerate()
            .filter_map(|(at, text)| Some((at, Line::parse(text.trim())?)))
            .filter(|(_, line)| names_match(&line.names, &self.host))
            .collect();
        let Some(wanted) = &self.line else {
            // Lines with a marker say something about others than this host too.
            let mut at = 0;
            all.retain(|_| {
                at += 1;
                !about.iter().any(|(i, line)| *i == at - 1 && line.marker.is_none())
            });
            return;
        };
        let hit = about
            .iter()
            .find(|(_, line)| line.same(wanted) || (line.marker.is_none() && line.kind == wanted.kind));
        match (hit, self.present) {
            (Some((_, line)), true) if line.same(wanted) => {}
            (hit, true) => {
                if let Some((at, _)) = hit {
                    all.remove(*at);
                }
                if let Some(last) = all.last_mut().filter(|l| !l.ends_with('\n')) {
                    last.push('\n');
                }
                all.push(format!("{}\n", wanted.text));
            }
            (Some((at, _)), false) => {
                all.remove(*at);
            }
            (None, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    const A: &str = "a.org ssh-rsa AAAA";

    fn check(given: &[(&str, &str)], before: &str, after: &str) {
        let case = Case::new(&KnownHosts, args(given));
        let got = case.edit(before).0;
        assert_eq!(got, after, "{given:?}");
        assert_eq!(case.edit(&got).0, got, "not idempotent: {given:?}");
    }

    #[test]
    fn present() {
        let given = [("name", "A.org"), ("key", A)];
        check(&given, "b.org ssh-rsa BBBB\n", "b.org ssh-rsa BBBB\na.org ssh-rsa AAAA\n");
        check(&given, "# x", "# x\na.org ssh-rsa AAAA\n");
        check(&given, "a.org ssh-rsa AAAA comment\n", "a.org ssh-rsa AAAA comment\n");
        check(&given, "a.org ssh-rsa OLD\nb.org ssh-rsa B\n", "b.org ssh-rsa B\na.org ssh-rsa AAAA\n");
        check(&given, "a.org ssh-ed25519 E\n", "a.org ssh-ed25519 E\na.org ssh-rsa AAAA\n");
        check(
            &[("name", "*.org"), ("key", "@cert-authority *.org ssh-rsa C")],
            "x.org ssh-rsa X\n",
            "x.org ssh-rsa X\n@cert-authority *.org ssh-rsa C\n",
        );
    }

    #[test]
    fn hashed() {
        let given = [("name", "a.org"), ("key", A), ("hash_host", "yes")];
        let made = Case::new(&KnownHosts, args(&given)).edit("").0;
        let names = made.split(' ').next().unwrap();
        assert!(names_match(names, "a.org") && !names_match(names, "b.org"), "{made}");
        check(&given, &format!("{A}\n"), &made);
        check(&[("name", "a.org"), ("key", A)], &made, &format!("{A}\n"));
        check(&[("name", "a.org"), ("key", A), ("state", "absent")], &made, "");
    }

    #[test]
    fn absent() {
        check(
            &[("name", "a.org"), ("key", A), ("state", "absent")],
            "a.org ssh-rsa AAAA\nx ssh-rsa X\n",
            "x ssh-rsa X\n",
        );
        check(
            &[("name", "a.org"), ("key", "a.org ssh-ed25519 E"), ("state", "absent")],
            "a.org ssh-rsa AAAA\n",
            "a.org ssh-rsa AAAA\n",
        );
        check(
            &[("name", "a.org"), ("state", "absent")],
            "a.org ssh-rsa A\n@revoked a.org ssh-rsa R\nb.org ssh-rsa B\na.org,c ssh-dss D\n",
            "@revoked a.org ssh-rsa R\nb.org ssh-rsa B\n",
        );
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], expect: &str| {
            assert_eq!(Case::new(&KnownHosts, args(given)).plan_absent().unwrap_err().msg, expect);
        };
        fails(&[("name", "a.org")], "No key specified when adding a host");
        fails(
            &[("name", "a.org,b.org"), ("key", A)],
            "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
        );
        fails(
            &[("name", "b.org"), ("key", A)],
            "Host parameter does not match hashed host field in supplied key",
        );
        fails(
            &[("name", "b.org"), ("key", "rubbish")],
            "cannot read the key \"rubbish\": a name, a type and a key are expected",
        );
    }
}
