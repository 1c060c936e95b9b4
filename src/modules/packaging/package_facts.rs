//! `package_facts`: installed packages as facts.

use crate::modules::sh::Report;
use crate::modules::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "package_facts",
    about: "Tells which packages are installed.",
    args: &[
        ArgSpec::new("manager", ArgKind::StrList, "Package managers to ask: auto, rpm, apt, apk, pacman, portage, or the value of the fact pkg_mgr.")
            .default("auto"),
        ArgSpec::new("strategy", ArgKind::Str, "Ask the first that is there, or all.")
            .default("first")
            .choices(&["first", "all"]),
    ],
    returns: &[("ansible_facts", "packages: by name, a list of what is installed under it")],
    ..ModuleSpec::BASE
};

/// A source of packages: its name, its program, and the lines that print one package each.
struct Source {
    name: &'static str,
    aliases: &'static [&'static str],
    program: &'static str,
    list: &'static str,
}

/// In the order in which they are tried.
const SOURCES: &[Source] = &[
    Source { name: "apk", aliases: &[], program: "apk", list: "apk info -v" },
    Source {
        name: "apt",
        aliases: &[],
        program: "dpkg-query",
        list: "dpkg-query -W -f='${db:Status-Status}\\t${Package}\\t${Version}\\t${Architecture}\\t${Section}\\n'",
    },
    Source { name: "pacman", aliases: &[], program: "pacman", list: "pacman -Qi" },
    Source { name: "portage", aliases: &[], program: "qlist", list: "qlist -Iv | xargs -n 1024 qatom" },
    Source {
        name: "rpm",
        aliases: &["dnf", "dnf5", "yum", "zypper"],
        program: "rpm",
        list: "rpm -qa --qf '%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%{EPOCH}\\t%{ARCH}\\n'",
    },
];

/// Where apt's packages come from: names the origin of each.
const ORIGINS: &str = "if command -v apt-cache >/dev/null 2>&1; then\n\
    { LC_ALL=C apt-cache policy; printf 'xp_then\\n'; dpkg-query -W -f='${Package}:${Architecture}\\n' | LC_ALL=C xargs -n 500 apt-cache policy; } 2>/dev/null | awk '\n\
    $0 == \"xp_then\" { names = 1; next }\n\
    !names && /^ *[0-9]+ / { $1 = \"\"; file = $0; next }\n\
    !names && /^ *release / { n = split($0, part, \",\"); sub(/^ *release /, \"\", part[1]); for (i = 1; i <= n; i++) if (part[i] ~ /^o=/) origin[file] = substr(part[i], 3); next }\n\
    !names { next }\n\
    /^[^ ]/ { name = $1; sub(/:$/, \"\", name); here = 0; next }\n\
    /^ \\*\\*\\* / { here = 1; next }\n\
    here { $1 = \"\"; if ($0 in origin) print \"origin \" name \" \" origin[$0]; here = 0 }'\nfi\n";

pub struct PackageFacts;

impl Module for PackageFacts {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let sources = sources(call)?;
        let mut script = String::from("export LC_ALL=C\n");
        let first = call.args.str("strategy") == Some("first");
        for (source, _) in &sources {
            if first {
                script += "if [ -z \"${xp_found-}\" ]; then\n";
            }
            add!(
                script,
                "if command -v {0} >/dev/null 2>&1; then printf 'there {1}\\n'\n\
                 if xp_o=$({2} 2>&1); then printf '%s\\n' \"$xp_o\" | sed '/^$/!s/^/{1} /'; [ -z \"$xp_o\" ] || xp_found=1\n\
                 else printf 'failed {1} rc=%s : ' $?; xp_word \"$xp_o\"; printf '\\n'; fi; fi\n",
                source.program,
                source.name,
                source.list
            );
            if source.name == "apt" {
                add!(script, "printf 'arch %s\\n' \"$(dpkg --print-architecture 2>/dev/null)\"\n{ORIGINS}");
            }
            if first {
                script += "fi\n";
            }
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let first = call.args.str("strategy") == Some("first");
        let mut packages: Vec<(String, Vec<Value>)> = Vec::new();
        let mut warnings = Vec::new();
        let mut found = 0;
        for (source, asked) in sources(call)? {
            if first && found > 0 {
                break;
            }
            if !report.all("there").any(|name| name == source.name) {
                if asked {
                    warnings.push(format!(
                        "Requested package manager {0} was not usable by this module: Failed to find required executable \"{1}\"",
                        source.name, source.program
                    ));
                }
                continue;
            }
            for line in report.all("failed") {
                if let Some((name, why)) = line.split_once(' ')
                    && name == source.name
                {
                    let (rc, text) = why.split_once(" : ").unwrap_or((why, ""));
                    let text = crate::modules::sh::word(text).unwrap_or_default();
                    warnings.push(format!(
                        "Failed to retrieve packages with {name}: Unable to list packages {rc} : {text}"
                    ));
                }
            }
            let listed = details(source.name, &report);
            if listed.is_empty() {
                warnings.push(format!("Found \"{}\" but no associated packages", source.name));
                continue;
            }
            found += 1;
            for (name, mut package) in listed {
                package.insert("source", source.name);
                match packages.iter_mut().rev().find(|(n, _)| *n == name) {
                    Some((_, list)) => list.push(Value::map(package)),
                    None => packages.push((name, vec![Value::map(package)])),
                }
            }
        }
        if found == 0 {
            let asked = call.args.texts("manager");
            let mut failure = Failure::new(format!(
                "Could not detect a supported package manager from the following list: {}. Check warnings for details.",
                Value::from(asked).repr()
            ));
            failure.result.insert("warnings", warnings);
            return Err(failure);
        }
        let packages: Map = packages.into_iter().map(|(name, list)| (name, Value::list(list))).collect();
        let mut prediction = Prediction::read(Map::from_iter([(
            "ansible_facts",
            Value::map(Map::from_iter([("packages", Value::map(packages))])),
        )]));
        prediction.warnings = warnings;
        Ok(prediction)
    }
}

/// Returns the sources in order, and whether each was asked for by its name.
fn sources(call: &Call) -> Result<Vec<(&'static Source, bool)>, Failure> {
    let asked: Vec<String> = call.args.texts("manager").iter().map(|n| n.to_lowercase()).collect();
    let find = |name: &str| SOURCES.iter().find(|s| s.name == name || s.aliases.contains(&name));
    let mut found: Vec<(&Source, bool)> = Vec::new();
    let mut add = |source: &'static Source, by_name: bool| {
        if !found.iter().any(|(s, _)| s.name == source.name) {
            found.push((source, by_name));
        }
    };
    for name in asked.iter().filter(|n| *n != "auto") {
        let source = find(name)
            .ok_or_else(|| Failure::new(format!("Unsupported package managers requested: {name}")))?;
        add(source, true);
    }
    if asked.iter().any(|n| n == "auto") {
        SOURCES.iter().for_each(|source| add(source, false));
    }
    Ok(found)
}

fn details(source: &str, report: &Report) -> Vec<(String, Map)> {
    match source {
        "apt" => apt(report),
        "pacman" => pacman(report),
        _ => report.all(source).filter_map(|line| one(source, line)).collect(),
    }
}

fn one(source: &str, line: &str) -> Option<(String, Map)> {
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (*k, Value::str(*v))).collect::<Map>();
    match source {
        "rpm" => {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, version, release, epoch, arch] = fields.as_slice() else { return None };
            let mut map = text(&[("name", name), ("version", version), ("release", release)]);
            map.insert("epoch", epoch.parse::<i64>().ok());
            map.insert("arch", (*arch != "(none)").then(|| (*arch).to_string()));
            Some(((*name).to_string(), map))
        }
        "apk" => {
            let mut parts = line.rsplitn(3, '-');
            let (release, version, name) = (parts.next(), parts.next(), parts.next());
            let map = match (name, version, release) {
                (Some(name), Some(version), Some(release)) => {
                    text(&[("name", name), ("version", version), ("release", release)])
                }
                _ => text(&[("name", line), ("version", ""), ("release", "")]),
            };
            Some((map.get("name").map(Value::to_text).unwrap_or_default(), map))
        }
        _ => {
            let atoms = ["category", "name", "version", "ebuild_revision", "slots", "prefixes", "sufixes"];
            let map: Map = atoms.into_iter().zip(line.split_whitespace().map(Value::str)).collect();
            Some((map.get("name")?.to_text(), map))
        }
    }
}

fn apt(report: &Report) -> Vec<(String, Map)> {
    let native = report.get("arch").unwrap_or_default();
    let origins: std::collections::HashMap<&str, &str> =
        report.all("origin").filter_map(|line| line.split_once(' ')).collect();
    let mut found = Vec::new();
    for line in report.all("apt") {
        let fields: Vec<&str> = line.split('\t').collect();
        let ["installed", name, version, arch, section] = fields.as_slice() else { continue };
        let full = format!("{name}:{arch}");
        let key = if *arch == native || *arch == "all" { (*name).to_string() } else { full.clone() };
        let origin =
            origins.get(key.as_str()).or_else(|| origins.get(full.as_str())).copied().unwrap_or_default();
        let map: Map = [
            ("name", key.as_str()),
            ("version", version),
            ("arch", arch),
            ("category", section),
            ("origin", origin),
        ]
        .into_iter()
        .collect();
        found.push((key, map));
    }
    found
}

fn pacman(report: &Report) -> Vec<(String, Map)> {
    let mut found: Vec<(String, Map)> = Vec::new();
    for line in report.all("pacman") {
        let Some((key, value)) = line.split_once(" : ") else { continue };
        let value = value.trim();
        match key.trim() {
            "Name" => {
                let map = Map::from_iter([("name", value), ("version", ""), ("arch", "")]);
                found.push((value.to_string(), map));
            }
            other => {
                let Some((_, map)) = found.last_mut() else { continue };
                match other {
                    "Version" => drop(map.insert("version", value)),
                    "Architecture" => drop(map.insert("arch", value)),
                    "Provides" => {
                        let names: Vec<String> = value
                            .split_whitespace()
                            .filter_map(|p| p.split('=').next())
                            .map(str::to_string)
                            .collect();
                        map.insert(
                            "provides",
                            if value == "None" { Value::Null } else { Value::from(names) },
                        );
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};

    fn check(managers: &str, seen: &str, expect: &str, warnings: &[&str]) {
        let prediction = Case::new(&PackageFacts, args(&[("manager", managers)])).plan(seen).unwrap();
        let facts = prediction.result.get("ansible_facts").unwrap().get("packages").unwrap().repr();
        assert_eq!(facts, expect);
        assert_eq!(prediction.warnings, warnings);
    }

    #[test]
    fn all_managers() {
        check(
            "auto",
            "there apt\narch amd64\norigin foo Debian\napt installed\tfoo\t1.0\tall\tnet\napt installed\tlib\t2\ti386\tlibs\napt config-files\tgone\t1\tall\tnet\n",
            "{'foo': [{'name': 'foo', 'version': '1.0', 'arch': 'all', 'category': 'net', 'origin': 'Debian', 'source': 'apt'}], \
             'lib:i386': [{'name': 'lib:i386', 'version': '2', 'arch': 'i386', 'category': 'libs', 'origin': '', 'source': 'apt'}]}",
            &[],
        );
        check(
            "dnf",
            "there rpm\nrpm kernel\t5\t1.el9\t(none)\tx86_64\nrpm kernel\t5\t2.el9\t(none)\tx86_64\nrpm gpg-pubkey\ta\tb\t(none)\t(none)\n",
            "{'kernel': [{'name': 'kernel', 'version': '5', 'release': '1.el9', 'epoch': None, 'arch': 'x86_64', 'source': 'rpm'}, \
             {'name': 'kernel', 'version': '5', 'release': '2.el9', 'epoch': None, 'arch': 'x86_64', 'source': 'rpm'}], \
             'gpg-pubkey': [{'name': 'gpg-pubkey', 'version': 'a', 'release': 'b', 'epoch': None, 'arch': None, 'source': 'rpm'}]}",
            &[],
        );
        check(
            "rpm,apk",
            "there rpm\nthere apk\napk musl-utils-1.2.4-r2\n",
            "{'musl-utils': [{'name': 'musl-utils', 'version': '1.2.4', 'release': 'r2', 'source': 'apk'}]}",
            &["Found \"rpm\" but no associated packages"],
        );
        check(
            "pacman",
            "there pacman\npacman Name            : bash\npacman Version         : 5.2-1\npacman Architecture    : x86_64\npacman Provides        : sh=1  x\n",
            "{'bash': [{'name': 'bash', 'version': '5.2-1', 'arch': 'x86_64', 'provides': ['sh', 'x'], 'source': 'pacman'}]}",
            &[],
        );
    }

    #[test]
    fn tells_why_none_is_usable() {
        let fails =
            |seen: &str| Case::new(&PackageFacts, args(&[("manager", "apk")])).plan(seen).unwrap_err();
        assert_eq!(
            fails("").result.get("warnings").unwrap().repr(),
            "['Requested package manager apk was not usable by this module: Failed to find required executable \"apk\"']"
        );
        assert_eq!(
            fails("there apk\nfailed apk rc=1 : =no\n").result.get("warnings").unwrap().repr(),
            "['Failed to retrieve packages with apk: Unable to list packages rc=1 : no', 'Found \"apk\" but no associated packages']"
        );
        let unknown = Case::new(&PackageFacts, args(&[("manager", "brew")])).probe().unwrap_err();
        assert_eq!(unknown.msg, "Unsupported package managers requested: brew");
    }
}
