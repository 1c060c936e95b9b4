//! `hostname`: the name of a host.

use super::attrs::Attrs;
use super::sh::{Report, q};
use super::text::lines;
use super::write::{self, named_diff, then};
use super::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen, Thing, Touch,
    edit,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "hostname",
    about: "Sets the name of the host.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The name.").required(),
        ArgSpec::new("use", ArgKind::Str, "How the name is kept; found out by default.").choices(&[
            "alpine", "debian", "freebsd", "generic", "macos", "macosx", "darwin", "openbsd", "openrc",
            "redhat", "sles", "solaris", "systemd",
        ]),
    ],
    returns: &[
        ("name", "the name"),
        ("ansible_facts", "ansible_hostname, ansible_nodename, ansible_fqdn, ansible_domain"),
    ],
    ..ModuleSpec::BASE
};

const FQDN: &str = "xp_f=$(LC_ALL=C hostname -f 2>/dev/null) || xp_f=$(uname -n)\nxp_tell fqdn \"$xp_f\"\n";

pub struct Hostname;

impl Module for Hostname {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let find = match call.args.str("use") {
            Some("systemd" | "debian") => "xp_way=systemd\n",
            Some("alpine") => "xp_way=alpine\n",
            Some("redhat") => "xp_way=redhat\n",
            Some("openrc") => "xp_way=openrc\n",
            Some("sles") => "xp_way=sles\n",
            Some(other) => {
                return Err(Failure::new(format!(
                    "hostname module cannot be used on this platform with use={other}"
                )));
            }
            None => {
                "if [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null 2>&1; then xp_way=systemd\n\
                 elif [ -e /etc/alpine-release ]; then xp_way=alpine\n\
                 elif [ -e /etc/gentoo-release ]; then xp_way=openrc\n\
                 elif [ -e /etc/SuSE-release ]; then xp_way=sles\n\
                 elif [ -e /etc/redhat-release ] || [ -e /etc/altlinux-release ] || [ -e /etc/system-release ]; then xp_way=redhat\n\
                 else xp_way=file; fi\n"
            }
        };
        let shows: String = ["alpine", "file", "redhat", "openrc", "sles"]
            .iter()
            .map(|way| {
                let lines = edit::lines(Way::of(way).file(), &Attrs::default());
                format!("{way})\n{lines};;\n")
            })
            .collect();
        Ok(Some(format!(
            "{find}printf 'way %s\\n' $xp_way\n{FQDN}case $xp_way in\nsystemd)\n\
             command -v hostnamectl >/dev/null 2>&1 || xp_fail 'there is no hostnamectl on the target'\n\
             xp_o=$(LC_ALL=C hostnamectl --transient status) || exit 1\nxp_tell current \"$xp_o\"\n\
             xp_o=$(LC_ALL=C hostnamectl --static status) || exit 1\nxp_tell permanent \"$xp_o\"\n;;\n{shows}esac\n"
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let name = call.args.str("name").unwrap_or_default();
        let way = Way::of(report.need("way")?);
        let fqdn = report.word("fqdn").unwrap_or_default();
        let mut result = Map::new();
        result.insert("name", name);
        let thing = Thing { kind: "hostname", name: String::new() };
        let before;
        let mut prediction = if way == Way::Systemd {
            call.needs_same(&thing)?;
            let known = |tag: &str| report.word(tag).unwrap_or_default().trim().to_string();
            let (current, permanent) = (known("current"), known("permanent"));
            let mut script = String::new();
            // The permanent name first, or NetworkManager takes the change for somebody else's.
            for (now, kind) in [(&permanent, "--pretty --static"), (&current, "--transient")] {
                if now != name {
                    add!(
                        script,
                        "xp_do \"set the name of the host\" hostnamectl {kind} set-hostname {}\n",
                        q(name)
                    );
                }
            }
            if script.is_empty() {
                facts(&mut result, name, &fqdn);
                return Ok(Prediction::same(result));
            }
            if name.len() > 64 {
                return Err(Failure::new(
                    "name cannot be longer than 64 characters on systemd servers, try a shorter name",
                ));
            }
            before = if current == name { permanent } else { current };
            Prediction::change(result, vec![Action::run(script)])
        } else {
            let found = edit::found_at(call, report, way.file(), way.file())?;
            let text = found.text().text;
            before = way.read(&text);
            if before == name {
                facts(&mut result, name, &fqdn);
                return Ok(Prediction::same(result));
            }
            let mut prediction = found.replace(call, way.write(&text, name).into_bytes(), result)?;
            prediction.result.remove("msg");
            prediction
        };
        if way == Way::Alpine {
            then(&mut prediction, "xp_do 'set the name of the host' hostname -F /etc/hostname\n");
        }
        then(&mut prediction, FQDN);
        let unknown = || Value::unknown("the full name of a host that gets another name");
        facts(&mut prediction.result, name, "");
        if let Some(Value::Map(map)) = prediction.result.get("ansible_facts") {
            let mut map = Map::clone(map);
            map.insert("ansible_fqdn", unknown());
            map.insert("ansible_domain", unknown());
            prediction.result.insert("ansible_facts", map);
        }
        let side = |name: &str| Some(Map::from_iter([("hostname", name)]));
        prediction.diff = vec![named_diff("hostname", side(&before), side(name))];
        Ok(prediction.touch(Touch::Thing(thing)))
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        for output in ran.iter().filter(|o| o.rc == 0) {
            let fqdn = Report::parse(&output.stdout).word("fqdn").unwrap_or_default();
            facts(&mut prediction.result, call.args.str("name").unwrap_or_default(), &fqdn);
        }
        write::finish(prediction, ran, "backup", false)
    }
}

fn facts(result: &mut Map, name: &str, fqdn: &str) {
    let mut facts = Map::new();
    facts.insert("ansible_hostname", name.split('.').next().unwrap_or_default());
    facts.insert("ansible_nodename", name);
    facts.insert("ansible_fqdn", fqdn);
    facts.insert("ansible_domain", fqdn.split_once('.').map_or("", |(_, domain)| domain));
    result.insert("ansible_facts", facts);
}

/// How a system keeps its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Systemd,
    Alpine,
    File,
    Redhat,
    OpenRc,
    Sles,
}

impl Way {
    fn of(word: &str) -> Way {
        match word {
            "systemd" => Way::Systemd,
            "alpine" => Way::Alpine,
            "redhat" => Way::Redhat,
            "openrc" => Way::OpenRc,
            "sles" => Way::Sles,
            _ => Way::File,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Way::Redhat => "/etc/sysconfig/network",
            Way::OpenRc => "/etc/conf.d/hostname",
            Way::Sles => "/etc/HOSTNAME",
            Way::Systemd | Way::Alpine | Way::File => "/etc/hostname",
        }
    }

    /// The word before the name in the file, which may hold other lines.
    fn key(self) -> Option<&'static str> {
        match self {
            Way::Redhat => Some("HOSTNAME="),
            Way::OpenRc => Some("hostname="),
            _ => None,
        }
    }

    fn read(self, text: &str) -> String {
        match self.key() {
            None => text.trim().to_string(),
            Some(key) => text
                .lines()
                .find_map(|l| l.trim().strip_prefix(key))
                .map(|v| v.trim().trim_matches('"').to_string())
                .unwrap_or_default(),
        }
    }

    fn write(self, text: &str, name: &str) -> String {
        let Some(key) = self.key() else { return format!("{name}\n") };
        let line = if self == Way::OpenRc { format!("{key}\"{name}\"\n") } else { format!("{key}{name}\n") };
        let mut all = lines(text);
        match all.iter_mut().find(|l| l.trim().starts_with(key)) {
            Some(old) => *old = line,
            None => {
                if let Some(last) = all.last_mut().filter(|l| !l.ends_with('\n')) {
                    last.push('\n');
                }
                all.push(line);
            }
        }
        all.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    fn plan(seen: &str) -> Prediction {
        Case::new(&Hostname, args(&[("name", "n1.x.org")])).plan(seen).unwrap()
    }

    #[test]
    fn systemd() {
        let set = |kind: &str| {
            format!("xp_do \"set the name of the host\" hostnamectl {kind} set-hostname 'n1.x.org'")
        };
        let lines = |seen: &str| {
            let prediction = plan(seen);
            let script = scripts(&prediction).concat();
            script
                .lines()
                .filter(|l| l.contains("set-hostname"))
                .map(|l| l.trim_end_matches(" || exit $?").to_string())
                .collect::<Vec<_>>()
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(lines("way systemd\nfqdn =n1.x.org\ncurrent =n1.x.org\npermanent =n1.x.org\n"), none);
        assert_eq!(
            lines("way systemd\nfqdn =old\ncurrent =old\npermanent =old\n"),
            [set("--pretty --static"), set("--transient")]
        );
        assert_eq!(
            lines("way systemd\nfqdn =old\ncurrent =old\npermanent =n1.x.org\n"),
            [set("--transient")]
        );
    }

    #[test]
    fn files() {
        let check = |way: &str, before: &str, after: &str| {
            let size = before.len();
            let seen = |content: &str| {
                format!(
                    "way {way}\nfqdn =n1.x.org\numask 0022\nlstat 81a4 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{content}"
                )
            };
            assert_eq!(stdin(&plan(&seen(before))).unwrap(), after);
            let again = plan(&seen(after));
            assert!(again.change.is_none());
            assert_eq!(
                Value::map(again.result).repr(),
                "{'name': 'n1.x.org', 'ansible_facts': {'ansible_hostname': 'n1', 'ansible_nodename': 'n1.x.org', \
                 'ansible_fqdn': 'n1.x.org', 'ansible_domain': 'x.org'}}"
            );
        };
        check("file", "a\n", "n1.x.org\n");
        check("redhat", "NETWORKING=yes\nHOSTNAME=a\nX=1\n", "NETWORKING=yes\nHOSTNAME=n1.x.org\nX=1\n");
        check("redhat", "A=1", "A=1\nHOSTNAME=n1.x.org\n");
        check("openrc", "hostname=\"a\"\n", "hostname=\"n1.x.org\"\n");
    }
}
