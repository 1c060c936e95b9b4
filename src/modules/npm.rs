//! `npm`: packages of Node.js, in a folder or for the whole system.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Prediction, Rule, Run, Seen, Thing,
    Touch,
};
use crate::value::{Map, Value, from_json};

static SPEC: ModuleSpec = ModuleSpec {
    name: "npm",
    namespaces: &["community.general"],
    about: "Installs and removes packages of Node.js.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The package; without it those of the folder's package.json."),
        ArgSpec::new("path", ArgKind::Path, "The folder of the project."),
        ArgSpec::new("version", ArgKind::Str, "The version."),
        ArgSpec::new("global", ArgKind::Bool, "Install for the whole system.").default("no"),
        ArgSpec::new("executable", ArgKind::Path, "The npm program."),
        ArgSpec::new("registry", ArgKind::Str, "Where packages come from."),
        ArgSpec::new("production", ArgKind::Bool, "Without what only developers need.").default("no"),
        ArgSpec::new("ignore_scripts", ArgKind::Bool, "Do not run the packages' scripts.").default("no"),
        ArgSpec::new("unsafe_perm", ArgKind::Bool, "Run scripts as the same user.").default("no"),
        ArgSpec::new("no_optional", ArgKind::Bool, "Without optional packages.").default("no"),
        ArgSpec::new("no_bin_links", ArgKind::Bool, "Make no links of programs.").default("no"),
        ArgSpec::new("force", ArgKind::Bool, "Fetch again what is there.").default("no"),
        ArgSpec::new("ci", ArgKind::Bool, "Install exactly what package-lock.json says.").default("no"),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["present", "absent", "latest"]),
    ],
    rules: &[Rule::If { arg: "state", value: "absent", needs: &["name"] }],
    returns: &[],
    ..ModuleSpec::BASE
};

pub struct Npm;

impl Module for Npm {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        if !args.has("path") && !args.flag("global") {
            return Err(Failure::new("path must be specified when not using global"));
        }
        let npm = program(call)?;
        let mut script =
            format!("command -v {npm} >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n");
        if let Some(path) = folder(call)? {
            add!(script, "if [ -e {path} ] && [ ! -d {path} ]; then printf 'file yes\\n'; exit 0; fi\n");
            add!(script, "cd -- {path} 2>/dev/null || {{ printf 'folder absent\\ncontent\\n'; exit 0; }}\n");
        }
        if args.str("state") == Some("latest") {
            add!(
                script,
                "{npm} outdated{} </dev/null 2>/dev/null | sed 's/^/outdated /'\n",
                options(call, "outdated")
            );
        }
        if !args.flag("ci") {
            add!(
                script,
                "printf 'content\\n'\n{npm} list --json --long{} </dev/null 2>/dev/null\n:\n",
                options(call, "list")
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(
                call,
                format!("there is no {} on the target", program(call)?.trim_matches('\'')),
            ));
        }
        if report.get("file").is_some() {
            let path = args.str("path").unwrap_or_default();
            return Err(Failure::new(format!("path {path} is not a directory")));
        }
        if let Some(path) = args.str("path") {
            call.needs_untouched(&expand_path(call, path)?)?;
        }
        let thing = Thing {
            kind: "npm",
            name: args.str("name").or(args.str("path")).unwrap_or_default().to_string(),
        };
        call.needs_same(&thing)?;
        let state = args.str("state").unwrap_or_default();
        let name = args.str("name");
        let makes_folder = report.get("folder").is_some();
        let found = installed(report.content.as_deref().unwrap_or_default(), name, args.str("version"))?;
        let outdated = report.all("outdated").any(|line| !line.trim().is_empty());
        let commands: Vec<&str> = match state {
            _ if args.flag("ci") => vec!["ci"],
            "absent" if found.is_there => vec!["uninstall"],
            "absent" => vec![],
            _ if makes_folder => vec!["install"],
            "latest" => [("install", found.lacks), ("update", outdated)]
                .iter()
                .filter(|(_, needed)| *needed)
                .map(|(command, _)| *command)
                .collect(),
            _ if found.lacks => vec!["install"],
            _ => vec![],
        };
        if commands.is_empty() {
            return Ok(Prediction::same(Map::new()));
        }
        let mut script = String::new();
        if let Some(path) = folder(call)? {
            add!(script, "xp_do \"make the directory \"{path} mkdir -p -- {path}\ncd -- {path} || exit 1\n");
        }
        let package = match (name, args.str("version")) {
            (Some(name), Some(version)) => format!(" {}", q(&format!("{name}@{version}"))),
            (Some(name), None) => format!(" {}", q(name)),
            (None, _) => String::new(),
        };
        for command in commands {
            add!(
                script,
                "{} {command}{}{package} </dev/null || exit $?\n",
                program(call)?,
                options(call, command)
            );
        }
        let what = name.or(args.str("path")).unwrap_or_default();
        let (before, after) = found.sides(args);
        let mut prediction =
            Prediction::change(Map::new(), vec![Action::Run(Run { script, long: true, ..Run::default() })])
                .touch(Touch::Thing(thing))
                .diff(attr_diff(what, before, after));
        if let Some(path) = args.str("path") {
            if makes_folder {
                let side = |state: &str| Map::from_iter([("state", state)]);
                prediction = prediction.diff(attr_diff(path, side("absent"), side("directory")));
            }
            prediction = prediction.touch(Touch::Tree { path: expand_path(call, path)? });
        }
        Ok(prediction)
    }
}

/// Returns the program as a word of the script.
fn program(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("executable") {
        Some(path) => q(&expand_path(call, path)?),
        None => "npm".to_string(),
    })
}

/// Returns the folder as a word of the script.
fn folder(call: &Call) -> Result<Option<String>, Failure> {
    call.args.str("path").map(|path| Ok(q(&expand_path(call, path)?))).transpose()
}

fn options(call: &Call, command: &str) -> String {
    let args = &call.args;
    let installs = matches!(command, "install" | "update" | "ci");
    let mut options = String::new();
    for (given, option) in [
        (args.flag("global"), " --global"),
        (args.flag("production") && installs, " --production"),
        (args.flag("ignore_scripts"), " --ignore-scripts"),
        (args.flag("unsafe_perm"), " --unsafe-perm"),
        (args.flag("no_optional"), " --no-optional"),
        (args.flag("no_bin_links"), " --no-bin-links"),
        (args.flag("force"), " --force"),
    ] {
        if given {
            options += option;
        }
    }
    if let Some(registry) = args.str("registry") {
        add!(options, " --registry {}", q(registry));
    }
    options
}

/// What is there of what is wanted.
#[derive(Default)]
struct Found {
    is_there: bool,
    lacks: bool,
    /// The version of the package that is asked for.
    version: Option<String>,
    /// Packages that are asked for already and are missing or broken.
    broken: Vec<String>,
}

impl Found {
    /// Returns packages as they are and as they will be.
    fn sides(&self, args: &Args) -> (Map, Map) {
        let state = |package: &String, state: &str| (package.clone(), Value::from(state));
        let mut before: Map = self.broken.iter().map(|package| state(package, "missing")).collect();
        let mut after: Map = self.broken.iter().map(|package| state(package, "present")).collect();
        if args.flag("ci") {
            after.insert("package-lock.json", "installed anew");
        }
        let Some(name) = args.str("name") else { return (before, after) };
        before.insert(name, self.version.as_deref().unwrap_or("absent"));
        let kept = self.version.as_deref().filter(|_| self.is_there);
        let wanted = match (args.str("state"), args.str("version")) {
            (Some("absent"), _) => "absent",
            (_, Some(version)) => version,
            (Some("latest"), None) => "latest",
            (_, None) => kept.unwrap_or("newest"),
        };
        after.insert(name, wanted);
        (before, after)
    }
}

fn installed(content: &[u8], name: Option<&str>, version: Option<&str>) -> Result<Found, Failure> {
    let text = String::from_utf8_lossy(content);
    let text = if text.trim().is_empty() { "{}" } else { text.trim() };
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|e| Failure::new(format!("Failed to parse NPM output with error {e}")))?;
    let list = from_json(&json);
    let Some(packages) = list.get("dependencies").and_then(Value::as_map) else {
        return Ok(Found { lacks: name.is_some(), ..Found::default() });
    };
    let truthy = |package: &Value, key: &str| match package.get(key) {
        Some(Value::Bool(set)) => *set,
        Some(Value::Str(text)) => !text.is_empty(),
        _ => false,
    };
    let is_whole = |package: &Value| !truthy(package, "missing") && !truthy(package, "invalid");
    let own = name.and_then(|name| packages.get(name)).filter(|package| is_whole(package));
    let found = own.and_then(|package| package.get("version")).map(Value::to_text);
    let right = own.is_some() && version.is_none_or(|version| found.as_deref() == Some(version));
    let broken: Vec<String> = packages
        .iter()
        .filter(|(_, package)| !is_whole(package))
        .map(|(key, _)| key.json_name().to_string())
        .collect();
    Ok(Found {
        is_there: own.is_some(),
        lacks: !broken.is_empty() || name.is_some() && !right,
        version: found,
        broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    const LIST: &str = "content\n{\"dependencies\": {\"semver\": {\"version\": \"7.6.0\"}}}\n";

    fn check(given: &[(&str, &str)], seen: &str, lines: &[&str]) {
        let prediction = Case::new(&Npm, args(given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().collect::<Vec<_>>(), lines, "{given:?}");
    }

    #[test]
    fn whole_system() {
        let semver = [("name", "semver"), ("global", "yes")];
        check(&semver, LIST, &[]);
        check(&[&semver[..], &[("version", "7.6.0")]].concat(), LIST, &[]);
        check(
            &[&semver[..], &[("version", "7.7.0")]].concat(),
            LIST,
            &["npm install --global 'semver@7.7.0' </dev/null || exit $?"],
        );
        check(&semver, "content\n{}\n", &["npm install --global 'semver' </dev/null || exit $?"]);
        check(
            &[&semver[..], &[("state", "absent")]].concat(),
            LIST,
            &["npm uninstall --global 'semver' </dev/null || exit $?"],
        );
        check(&[&semver[..], &[("state", "absent")]].concat(), "content\n{}\n", &[]);
        check(
            &[&semver[..], &[("state", "latest")]].concat(),
            &format!("outdated Package Current\n{LIST}"),
            &["npm update --global 'semver' </dev/null || exit $?"],
        );
    }

    #[test]
    fn a_project() {
        let lacking = "content\n{\"dependencies\": {\"a\": {\"missing\": true}}}\n";
        check(
            &[("path", "/srv/app"), ("production", "yes")],
            lacking,
            &[
                "xp_do \"make the directory \"'/srv/app' mkdir -p -- '/srv/app'",
                "cd -- '/srv/app' || exit 1",
                "npm install --production </dev/null || exit $?",
            ],
        );
        check(&[("path", "/srv/app")], LIST, &[]);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(Case::new(&Npm, args(given)).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[("name", "a")], "", "path must be specified when not using global");
        fails(&[("path", "/x")], "missing yes\n", "there is no npm on the target");
        fails(&[("path", "/x")], "file yes\n", "path /x is not a directory");
    }
}
