//! `gem`: packages of Ruby.

use super::sh::{Report, expand_path, q};
use super::tool::missing;
use super::write::attr_diff;
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Run, Seen, Thing, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "gem",
    namespaces: &["community.general"],
    about: "Installs and removes packages of Ruby.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The package.").required(),
        ArgSpec::new("version", ArgKind::Str, "The version."),
        ArgSpec::new("state", ArgKind::Str, "Whether it is to be there.")
            .default("present")
            .choices(&["absent", "latest", "present"]),
        ArgSpec::new("executable", ArgKind::Path, "The gem program."),
        ArgSpec::new("gem_source", ArgKind::Path, "A file to install from."),
        ArgSpec::new("repository", ArgKind::Str, "Where packages come from.").aliases(&["source"]),
        ArgSpec::new("user_install", ArgKind::Bool, "Install for the user.").default("yes"),
        ArgSpec::new("install_dir", ArgKind::Path, "Install to a folder."),
        ArgSpec::new("bindir", ArgKind::Path, "The folder of programs."),
        ArgSpec::new("include_dependencies", ArgKind::Bool, "With what it needs.").default("yes"),
        ArgSpec::new("include_doc", ArgKind::Bool, "With its documentation.").default("no"),
        ArgSpec::new("pre_release", ArgKind::Bool, "Versions before the release count.").default("no"),
        ArgSpec::new("env_shebang", ArgKind::Bool, "Programs find Ruby by env.").default("no"),
        ArgSpec::new("build_flags", ArgKind::Str, "Options for the compiler."),
        ArgSpec::new("force", ArgKind::Bool, "Install or remove in spite of doubts.").default("no"),
    ],
    returns: &[("name", "the package"), ("state", "the state"), ("version", "the version")],
    ..ModuleSpec::BASE
};

pub struct Gem;

impl Module for Gem {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let gem = program(call)?;
        let name = q(&format!("^{}$", args.str("name").unwrap_or_default().replace('.', "\\.")));
        let mut script = format!(
            "command -v {gem} >/dev/null 2>&1 || {{ printf 'missing yes\\n'; exit 0; }}\n{}\
             {gem} list --norc {name} </dev/null 2>/dev/null | sed 's/^/local /'\n",
            home(call)?
        );
        if args.str("state") == Some("latest") {
            let source = args.str("repository").map(|s| format!(" --source {}", q(s))).unwrap_or_default();
            add!(
                script,
                "{gem} list --norc --remote{source} {name} </dev/null 2>/dev/null | sed 's/^/remote /'\n"
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let name = args.str("name").unwrap_or_default();
        let thing = Thing { kind: "gem", name: name.to_string() };
        call.needs_same(&thing)?;
        let report = Report::of(seen)?;
        if report.get("missing").is_some() {
            return Err(missing(call, "there is no gem on the target; install ruby"));
        }
        let state = args.str("state").unwrap_or("present");
        let mut local = versions(&report, "local", name);
        if state == "absent" {
            // What came with Ruby itself cannot be removed.
            local.retain(|version| !version.comes_with_ruby);
        }
        let local: Vec<String> = local.into_iter().map(|version| version.number).collect();
        let newest = versions(&report, "remote", name).into_iter().next().map(|version| version.number);
        let mut result = Map::from_iter([("name", name), ("state", state)]);
        let version = args.str("version").map(str::to_string).or(newest.filter(|_| state == "latest"));
        if let Some(version) = &version {
            result.insert("version", version.as_str());
        }
        let there = match &version {
            Some(version) => local.contains(version),
            None => !local.is_empty(),
        };
        if there == (state != "absent") {
            return Ok(Prediction::same(result));
        }
        let mut script = home(call)?;
        let program = program(call)?;
        if state == "absent" {
            let which = match args.str("version") {
                Some(version) => format!(" --version {}", q(version)),
                None => " --all".to_string(),
            };
            let force = if args.flag("force") { " --force" } else { "" };
            add!(script, "{program} uninstall --norc --executable{which}{force} {} </dev/null\n", q(name));
        } else {
            add!(script, "{program} install --norc{}\n", install_words(call, version.as_deref())?);
        }
        let side = |list: &[String]| Map::from_iter([("versions", Value::from(list.to_vec()))]);
        let mut after = local.clone();
        match (state, args.str("version")) {
            ("absent", None) => after.clear(),
            ("absent", Some(version)) => after.retain(|there| there != version),
            _ => after.push(version.unwrap_or_else(|| "newest".to_string())),
        }
        Ok(Prediction::change(result, vec![Action::Run(Run { script, long: true, ..Run::default() })])
            .touch(Touch::Thing(thing))
            .diff(attr_diff(&format!("gem {name}"), side(&local), side(&after))))
    }
}

fn program(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("executable") {
        Some(path) => q(&expand_path(call, path)?),
        None => "gem".to_string(),
    })
}

/// Returns the line that makes a folder the one that gem looks into.
fn home(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("install_dir") {
        Some(folder) => format!("export GEM_HOME={}\n", q(&expand_path(call, folder)?)),
        None => String::new(),
    })
}

struct Version {
    number: String,
    comes_with_ruby: bool,
}

/// Reads lines such as `rake (13.0.6, default: 12.3.3)`.
fn versions(report: &Report, tag: &str, name: &str) -> Vec<Version> {
    let lines = report.all(tag).filter_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('('));
    let each = lines.flat_map(|list| list.trim_end().trim_end_matches(')').split(','));
    each.filter_map(|word| {
        let own = word.trim().strip_prefix("default: ");
        let number = own.unwrap_or(word).split_whitespace().next()?.to_string();
        Some(Version { number, comes_with_ruby: own.is_some() })
    })
    .collect()
}

fn install_words(call: &Call, version: Option<&str>) -> Result<String, Failure> {
    let args = &call.args;
    let mut words = String::new();
    if let Some(version) = version {
        add!(words, " --version {}", q(version));
    }
    if let Some(source) = args.str("repository") {
        add!(words, " --source {}", q(source));
    }
    if !args.flag("include_dependencies") {
        words += " --ignore-dependencies";
    }
    match args.str("install_dir") {
        Some(folder) => add!(words, " --no-user-install --install-dir {}", q(&expand_path(call, folder)?)),
        None if args.flag("user_install") => words += " --user-install",
        None => words += " --no-user-install",
    }
    if let Some(folder) = args.str("bindir") {
        add!(words, " --bindir {}", q(&expand_path(call, folder)?));
    }
    for (given, word) in [
        (args.flag("pre_release"), " --pre"),
        (!args.flag("include_doc"), " --no-document"),
        (args.flag("env_shebang"), " --env-shebang"),
        (args.flag("force"), " --force"),
    ] {
        if given {
            words += word;
        }
    }
    match args.str("gem_source") {
        Some(file) => add!(words, " {}", q(&expand_path(call, file)?)),
        None => add!(words, " {}", q(args.str("name").unwrap_or_default())),
    }
    if let Some(flags) = args.str("build_flags") {
        add!(words, " -- {}", q(flags));
    }
    words += " </dev/null";
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts};

    fn check(given: &[(&str, &str)], seen: &str, line: &str) {
        let mut given = given.to_vec();
        given.push(("name", "rake"));
        let prediction = Case::new(&Gem, args(&given)).plan(seen).unwrap();
        let script = scripts(&prediction).concat();
        assert_eq!(script.lines().last().unwrap_or_default(), line, "{given:?}");
    }

    const HAS: &str = "local rake (13.0.6, default: 12.3.3)\n";

    #[test]
    fn installs_and_removes() {
        check(&[], HAS, "");
        check(&[("version", "12.3.3")], HAS, "");
        check(
            &[("version", "13.1.0"), ("user_install", "no")],
            HAS,
            "gem install --norc --version '13.1.0' --no-user-install --no-document 'rake' </dev/null",
        );
        check(&[], "", "gem install --norc --user-install --no-document 'rake' </dev/null");
        check(&[("state", "absent")], HAS, "gem uninstall --norc --executable --all 'rake' </dev/null");
        check(&[("state", "absent")], "", "");
        check(&[("state", "absent")], "local rake (default: 12.3.3)\n", "");
        check(&[("state", "latest")], &format!("{HAS}remote rake (13.0.6)\n"), "");
        check(
            &[("state", "latest"), ("install_dir", "/g")],
            &format!("{HAS}remote rake (13.2.0)\n"),
            "gem install --norc --version '13.2.0' --no-user-install --install-dir '/g' --no-document 'rake' </dev/null",
        );
    }

    #[test]
    fn failures() {
        let failure = Case::new(&Gem, args(&[("name", "a")])).plan("missing yes\n").unwrap_err();
        assert_eq!(failure.msg, "there is no gem on the target; install ruby");
    }
}
