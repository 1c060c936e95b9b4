//! Facts of hosts: one probe script, and pure parsers from its output to Ansible's names.
//!
//! Text comes in from a target; a map of `ansible_*` facts goes out. What a host says is data: nothing here runs
//! or renders it.

mod date;
mod distribution;
mod extras;
mod hardware;
mod local;
mod managers;
mod mentioned;
mod network;
mod sections;
mod subset;
mod system;
mod virtualization;

pub use hardware::Usage;
pub use mentioned::Mentioned;
pub use sections::Sections;
pub use subset::Subset;

use crate::value::Map;

const PROBE: &str = include_str!("probe.sh");

/// Returns the probe for the asked facts. The folder of the site's own ones comes as a quoted shell word.
pub fn probe(subset: Subset, quoted_facts_dir: &str) -> String {
    let dir = if subset.has("local") { quoted_facts_dir } else { "''" };
    let mut script = format!("fx_local={dir}\n");
    let mut keep = true;
    for line in PROBE.lines() {
        if let Some(part) = line.strip_prefix("#part ") {
            keep = match part {
                "hardware" => subset.has("hardware"),
                // The product's name belongs to hardware, and tells about virtual machines.
                "virtual" => subset.has("virtual") || subset.has("hardware"),
                "network" => subset.has("network"),
                _ => true,
            };
        } else if keep && !line.starts_with('#') {
            script.push_str(line);
            script.push('\n');
        }
    }
    script
}

/// Returns the facts that a probe's output holds.
pub fn parse(stdout: &[u8], subset: Subset) -> Map {
    let sections = Sections::parse(stdout);
    let mut facts = Map::new();
    // The clock of the machine belongs to its hardware.
    if subset.has_small() || subset.has("hardware") {
        system::add(&sections, &mut facts);
        distribution::add(&sections, &mut facts);
        managers::add(&sections, &mut facts);
        extras::add(&sections, &mut facts);
        date::add(&sections, &mut facts);
    }
    if subset.has("local") {
        local::add(&sections, &mut facts);
    }
    if subset.has("hardware") {
        hardware::add(&sections, &mut facts);
        extras::hardware(&sections, &mut facts);
    }
    if subset.has("virtual") {
        virtualization::add(&sections, &mut facts);
    }
    if subset.has("network") {
        network::add(&sections, &mut facts);
    }
    extras::initiators(&sections, &mut facts);
    if subset.has("network") {
        extras::network(&sections, &mut facts);
    }
    facts.into_iter().filter(|(key, _)| subset.holds(&key.json_name())).collect()
}

/// Keeps only facts whose names match one of the shell patterns; `ansible_` may be left out of a pattern.
pub fn filter(facts: Map, patterns: &[String]) -> Map {
    let fits = |name: &str| {
        patterns.iter().any(|p| {
            let begins = ["ansible_", "facter", "ohai"].iter().any(|begin| p.starts_with(begin));
            p.is_empty() || matches(p, name) || !begins && matches(&format!("ansible_{p}"), name)
        })
    };
    if patterns.is_empty() {
        return facts;
    }
    facts.into_iter().filter(|(key, _)| fits(&key.json_name())).collect()
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut pi, mut ni, mut star) = (0, 0, None);
    while ni < n.len() {
        if pi < p.len() && (p[pi] == '?' || p[pi] == n[ni]) && p[pi] != '*' {
            pi += 1;
            ni += 1;
        } else if pi < p.len() && p[pi] == '*' {
            star = Some((pi, ni));
            pi += 1;
        } else if let Some((sp, sn)) = star {
            pi = sp + 1;
            ni = sn + 1;
            star = Some((sp, sn + 1));
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expect) in [
            ("*", "x", true),
            ("ansible_*_mb", "ansible_mem_mb", true),
            ("a?c", "abc", true),
            ("a*c", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn parts_are_left_out() {
        let small = probe(Subset::parse(&["min"]).unwrap(), "'/etc/ansible/facts.d'");
        assert!(small.starts_with("fx_local='/etc/ansible/facts.d'\n"));
        assert!(!small.contains("cpuinfo") && !small.contains("@addr"));
        assert!(probe(Subset::ALL, "'/d'").contains("@addr"));
    }

    /// What the probe printed on recorded hosts.
    pub(super) fn recorded() -> Vec<std::path::PathBuf> {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/facts");
        let paths = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect()
    }

    /// Recorded hosts: what the probe printed, and all facts that come out of it.
    #[test]
    fn recorded_hosts() {
        let recorded = recorded();
        for path in &recorded {
            let facts = parse(&std::fs::read(path).unwrap(), Subset::ALL);
            let got = serde_json::to_string_pretty(&crate::value::to_json(&facts.into())).unwrap() + "\n";
            let expect = std::fs::read_to_string(path.with_extension("json")).unwrap_or_default();
            assert_eq!(got, expect, "{}", path.display());
        }
        assert_eq!(recorded.len(), 4);
    }

    #[test]
    fn distributions() {
        let check = |file: &str, text: &str, expect: &str| {
            let mut probe = format!("@uname\n Linux\n n\n r\n x86_64\n@file {file}\n");
            for line in text.lines() {
                probe = probe + " " + line + "\n";
            }
            let facts = parse(probe.as_bytes(), Subset::minimal());
            let get = |name: &str| facts.get(name).map(|v| v.to_text()).unwrap_or_default();
            let got = [
                "distribution",
                "distribution_version",
                "distribution_major_version",
                "distribution_release",
                "os_family",
            ]
            .map(|n| get(&format!("ansible_{n}")))
            .join(" ");
            assert_eq!(got, expect);
        };
        check("redhat-release", "CentOS release 6.10 (Final)", "CentOS 6.10 6 Final RedHat");
        check("redhat-release", "CentOS Stream release 9", "CentOS 9 9 Stream RedHat");
        check(
            "redhat-release",
            "Rocky Linux release 8.9 (Green Obsidian)",
            "Rocky 8.9 8 Green Obsidian RedHat",
        );
        check(
            "redhat-release",
            "AlmaLinux release 10.0 (Purple Lion)",
            "AlmaLinux 10.0 10 Purple Lion RedHat",
        );
        check("redhat-release", "Fedora release 40 (Forty)", "Fedora 40 40 Forty RedHat");
        check("oracle-release", "Oracle Linux Server release 7.9", "OracleLinux 7.9 7 NA RedHat");
        check(
            "os-release",
            "NAME=\"SLES\"\nVERSION=\"15-SP5\"\nVERSION_ID=\"15.5\"\nID=\"sles\"",
            "SLES 15.5 15 5 Suse",
        );
        check(
            "SuSE-release",
            "SUSE Linux Enterprise Server 11 (ppc64)\nVERSION = 11\nPATCHLEVEL = 3",
            "SLES 11.3 11 3 Suse",
        );
        check(
            "os-release",
            "NAME=\"openSUSE Leap\"\nVERSION_ID=\"15.6\"\nID=\"opensuse-leap\"",
            "openSUSE Leap 15.6 15 6 Suse",
        );
        check(
            "os-release",
            "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.4 LTS (Jammy Jellyfish)\"\nVERSION_CODENAME=jammy\nID=ubuntu",
            "Ubuntu 22.04 22 jammy Debian",
        );
        check(
            "os-release",
            "NAME=\"New Linux\"\nID=new\nID_LIKE=\"rhel fedora\"\nVERSION_ID=1",
            "New 1 1 NA RedHat",
        );
    }
}
