//! `alternatives`: which of several programs stands behind a common name.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::named_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Rule, Seen, Thing, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "alternatives",
    namespaces: &["community.general"],
    about: "Chooses the program behind a common name.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The common name.").required(),
        ArgSpec::new("path", ArgKind::Path, "The program."),
        ArgSpec::new("family", ArgKind::Str, "The group of programs it belongs to."),
        ArgSpec::new("link", ArgKind::Path, "The common name's link."),
        ArgSpec::new("priority", ArgKind::Int, "How strongly it is preferred."),
        ArgSpec::new("state", ArgKind::Str, "Whether it is chosen, or only known.")
            .default("selected")
            .choices(&["present", "selected", "absent", "auto"]),
        ArgSpec::new("subcommands", ArgKind::List, "Links that go with it: name, path and link of each.")
            .aliases(&["slaves"]),
    ],
    rules: &[Rule::OneOf(&["path", "family"])],
    returns: &[("msg", "what was done")],
    ..ModuleSpec::BASE
};

pub struct Alternatives;

/// One program that is known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Program {
    path: String,
    family: String,
    priority: i128,
    /// Name and path of each link that goes with it.
    subcommands: Vec<(String, String)>,
}

/// What the tool displays about a name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    mode: String,
    current: Option<String>,
    link: Option<String>,
    /// Name and link of what goes with the programs.
    links: Vec<(String, String)>,
    programs: Vec<Program>,
}

impl Module for Alternatives {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let there = match call.args.str("path") {
            Some(path) => format!("[ ! -e {} ] || printf 'there yes\\n'\n", q(&expand_path(call, path)?)),
            None => String::new(),
        };
        Ok(Some(format!(
            "command -v update-alternatives >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n{there}\
             printf 'content\\n'\nLC_ALL=C update-alternatives --display {} 2>/dev/null\n:\n",
            q(call.args.str("name").unwrap_or_default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no update-alternatives on the target"));
        }
        let name = args.str("name").unwrap_or_default();
        let thing = Thing { kind: "alternatives", name: name.to_string() };
        call.needs_same(&thing)?;
        let known = Known::parse(&String::from_utf8_lossy(report.content.as_deref().unwrap_or_default()));
        let path = args.str("path").map(|p| expand_path(call, p)).transpose()?;
        let own = path.as_ref().and_then(|path| known.programs.iter().find(|p| p.path == *path));
        let wanted = subcommands(args.list("subcommands"))?;
        let state = args.str("state").unwrap_or_default();
        let mut script = String::new();
        let mut messages = Vec::new();
        let mut after = Map::from_iter([("state", if state == "absent" { "absent" } else { "present" })]);
        if state == "absent" {
            if let (Some(path), Some(_)) = (&path, own) {
                messages.push(format!("Remove alternative '{path}' from '{name}'."));
                add!(script, "xp_tool update-alternatives --remove {} {}\n", q(name), q(path));
            }
        } else {
            if let Some(path) = &path {
                let priority = args.int("priority");
                let differs = own.is_none_or(|own| {
                    priority.is_some_and(|p| p != own.priority)
                        || wanted.as_ref().is_some_and(|wanted| !known.has_all(own, wanted))
                });
                if differs {
                    if report.get("there").is_none() && call.foreseen_file(path)?.is_none() {
                        return Err(missing(call, format!("Specified path {path} does not exist")));
                    }
                    let link =
                        args.str("link").map(|l| expand_path(call, l)).transpose()?.or(known.link.clone());
                    let link = link.ok_or_else(|| {
                        Failure::new(
                            "Needed to install the alternative, but unable to do so as we are missing the link",
                        )
                    })?;
                    let priority = priority.unwrap_or_else(|| own.map_or(50, |own| own.priority));
                    add!(
                        script,
                        "xp_tool update-alternatives --install {} {} {} {priority}",
                        q(&link),
                        q(name),
                        q(path)
                    );
                    if let Some(family) = args.str("family") {
                        add!(script, " --family {}", q(family));
                    }
                    for (name, path, link) in wanted.iter().flatten() {
                        add!(script, " --slave {} {} {}", q(link), q(name), q(path));
                    }
                    script.push('\n');
                    messages.push(format!("Install alternative '{path}' for '{name}'."));
                    after.insert("path", path.as_str());
                    after.insert("priority", priority);
                    after.insert("link", link);
                }
            }
            let family_of_current = known
                .current
                .as_ref()
                .and_then(|current| known.programs.iter().find(|p| p.path == *current))
                .map(|p| p.family.as_str());
            let same_family = args.has("family") && family_of_current == args.str("family")
                || family_of_current == Some("") && !args.has("family") && path.is_none();
            let same_path = path.is_some() && known.current == path;
            if state == "selected" && !same_path && !same_family {
                let what = path.as_deref().or(args.str("family")).unwrap_or_default();
                messages.push(format!("Set alternative '{what}' for '{name}'."));
                add!(script, "xp_tool update-alternatives --set {} {}\n", q(name), q(what));
                after.insert("state", "selected");
            }
            if state == "auto" && known.mode == "manual" {
                messages.push(format!("Set alternative to auto for '{name}'."));
                add!(script, "xp_tool update-alternatives --auto {}\n", q(name));
            }
        }
        let result = Map::from_iter([("msg", messages.join(" "))]);
        if script.is_empty() {
            return Ok(Prediction::same(result));
        }
        let mut before = Map::from_iter([("state", if own.is_some() { "present" } else { "absent" })]);
        if let Some(current) = &known.current {
            before.insert("current", current.as_str());
        }
        Ok(Prediction::change(result, vec![Action::run(script)]).touch(Touch::Thing(thing)).diff(named_diff(
            &format!("alternatives {name}"),
            Some(before),
            Some(after),
        )))
    }
}

type Subcommands = Vec<(String, String, String)>;

fn subcommands(given: Option<&[Value]>) -> Result<Option<Subcommands>, Failure> {
    let Some(given) = given else { return Ok(None) };
    let one = |value: &Value| {
        let get = |key: &str| {
            value.get(key).map(Value::to_text).ok_or_else(|| {
                Failure::new(format!("missing required arguments: {key} found in subcommands"))
            })
        };
        Ok((get("name")?, get("path")?, get("link")?))
    };
    given.iter().map(one).collect::<Result<Vec<_>, Failure>>().map(Some)
}

impl Known {
    fn has_all(&self, own: &Program, wanted: &[(String, String, String)]) -> bool {
        let link = |name: &str| self.links.iter().find(|(n, _)| n == name).map(|(_, l)| l.as_str());
        own.subcommands.len() == wanted.len()
            && wanted.iter().all(|(name, path, to)| {
                own.subcommands.iter().any(|(n, p)| n == name && p == path)
                    && link(name).is_none_or(|l| l == to)
            })
    }

    fn parse(text: &str) -> Known {
        let mut known = Known::default();
        for line in text.lines() {
            let plain = line.trim();
            let sub = plain.strip_prefix("slave ").or_else(|| plain.strip_prefix("follower "));
            if let Some(rest) = plain.strip_prefix("link currently points to ") {
                known.current = Some(rest.to_string());
            } else if let Some((_, link)) = plain.strip_prefix("link ").and_then(|r| r.split_once(" is ")) {
                known.link = Some(link.to_string());
            } else if let (Some(sub), Some(program)) = (sub, known.programs.last_mut()) {
                if let Some((name, path)) = sub.split_once(": ").filter(|(_, path)| *path != "(null)") {
                    program.subcommands.push((name.to_string(), path.to_string()));
                }
            } else if let Some((name, link)) = sub.and_then(|s| s.split_once(" is ")) {
                known.links.push((name.to_string(), link.to_string()));
            } else if let (true, Some((path, rest))) = (line.starts_with('/'), line.split_once(" - ")) {
                let (family, rest) = match rest.strip_prefix("family ").and_then(|r| r.split_once(' ')) {
                    Some((family, rest)) => (family, rest),
                    None => ("", rest),
                };
                let priority = rest.strip_prefix("priority ").and_then(|p| p.split_whitespace().next());
                known.programs.push(Program {
                    path: path.to_string(),
                    family: family.to_string(),
                    priority: priority.and_then(|p| p.parse().ok()).unwrap_or(0),
                    subcommands: Vec::new(),
                });
            } else if let Some((_, rest)) = line.split_once(" - ")
                && known.mode.is_empty()
            {
                let rest = rest.strip_prefix("status is ").unwrap_or(rest);
                known.mode = rest.trim_end_matches(" mode").trim_end_matches('.').to_string();
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const EDITOR: &str = "there yes\ncontent\neditor - auto mode\n  link best version is /usr/bin/vim\n  link currently points to /usr/bin/vim\n  link editor is /usr/bin/editor\n  slave editor.1.gz is /usr/share/man/man1/editor.1.gz\n/bin/nano - priority 40\n  slave editor.1.gz: /usr/share/man/man1/nano.1.gz\n/usr/bin/vim - priority 50\n";

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str], msg: &str) {
        let mut given = given.to_vec();
        given.push(("name", "editor"));
        let prediction = Case::new(&Alternatives, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().collect::<Vec<_>>(), lines, "{given:?}");
        assert_eq!(prediction.result.get("msg").unwrap().to_text(), msg, "{given:?}");
    }

    #[test]
    fn chooses_and_installs() {
        check(&[("path", "/usr/bin/vim")], EDITOR, &[], "");
        check(
            &[("path", "/bin/nano")],
            EDITOR,
            &["xp_tool update-alternatives --set 'editor' '/bin/nano'"],
            "Set alternative '/bin/nano' for 'editor'.",
        );
        check(
            &[("path", "/bin/nano"), ("priority", "60"), ("state", "present")],
            EDITOR,
            &["xp_tool update-alternatives --install '/usr/bin/editor' 'editor' '/bin/nano' 60"],
            "Install alternative '/bin/nano' for 'editor'.",
        );
        check(
            &[("path", "/bin/ed"), ("link", "/usr/bin/editor")],
            "there yes\ncontent\n",
            &[
                "xp_tool update-alternatives --install '/usr/bin/editor' 'editor' '/bin/ed' 50",
                "xp_tool update-alternatives --set 'editor' '/bin/ed'",
            ],
            "Install alternative '/bin/ed' for 'editor'. Set alternative '/bin/ed' for 'editor'.",
        );
        check(
            &[("path", "/bin/nano"), ("state", "absent")],
            EDITOR,
            &["xp_tool update-alternatives --remove 'editor' '/bin/nano'"],
            "Remove alternative '/bin/nano' from 'editor'.",
        );
        check(&[("path", "/usr/bin/vim"), ("state", "auto")], EDITOR, &[], "");
        check(
            &[("path", "/usr/bin/vim"), ("state", "auto")],
            &EDITOR.replace("auto mode", "manual mode"),
            &["xp_tool update-alternatives --auto 'editor'"],
            "Set alternative to auto for 'editor'.",
        );
    }

    #[test]
    fn red_hat_words() {
        let known = Known::parse(
            "java - status is manual.\n link currently points to /jvm/8/java\n/jvm/8/java - family java-8 priority 18\n follower keytool: /jvm/8/keytool\n",
        );
        assert_eq!((known.mode.as_str(), known.current.as_deref()), ("manual", Some("/jvm/8/java")));
        assert_eq!((known.programs[0].family.as_str(), known.programs[0].priority), ("java-8", 18));
        assert_eq!(known.programs[0].subcommands, [("keytool".to_string(), "/jvm/8/keytool".to_string())]);
    }
}
