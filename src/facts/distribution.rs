//! Which distribution it is, by the files in `/etc`, under Ansible's names.

use super::Sections;
use super::sections::assignment;
use crate::value::Map;

/// Families, with the names that belong to them.
const FAMILIES: &[(&str, &[&str])] = &[
    (
        "RedHat",
        &[
            "RedHat",
            "CentOS",
            "Fedora",
            "Rocky",
            "AlmaLinux",
            "OracleLinux",
            "Scientific",
            "Amazon",
            "Springdale",
            "CloudLinux",
            "XenServer",
            "Virtuozzo",
            "openEuler",
            "EuroLinux",
            "Kylin Linux Advanced Server",
            "MIRACLE",
            "TencentOS",
            "Anolis",
        ],
    ),
    ("Debian", &["Debian", "Ubuntu", "Raspbian", "Linux Mint", "Kali", "Pop!_OS", "Devuan", "Proxmox"]),
    ("Suse", &["SLES", "SLED", "SLES_SAP", "openSUSE", "openSUSE Leap", "openSUSE Tumbleweed", "SUSE_LINUX"]),
    ("Alpine", &["Alpine"]),
    ("Archlinux", &["Archlinux", "Manjaro"]),
    ("Gentoo", &["Gentoo"]),
];

#[derive(Default)]
struct Found {
    name: String,
    version: String,
    release: String,
    file: &'static str,
    variety: &'static str,
}

pub fn add(sections: &Sections, facts: &mut Map) {
    let found = by_release_file(sections).or_else(|| by_os_release(sections)).unwrap_or_else(|| Found {
        name: sections.line("uname").unwrap_or("Linux").to_string(),
        version: "NA".into(),
        release: "NA".into(),
        ..Found::default()
    });
    let family = FAMILIES.iter().find(|(_, names)| names.contains(&found.name.as_str())).map_or_else(
        || like(sections).unwrap_or(&found.name).to_string(),
        |(family, _)| (*family).to_string(),
    );
    facts.insert("ansible_distribution", found.name.as_str());
    facts.insert("ansible_distribution_version", found.version.as_str());
    facts.insert("ansible_distribution_major_version", found.version.split('.').next().unwrap_or("NA"));
    if let Some(minor) = found.version.split('.').nth(1) {
        facts.insert("ansible_distribution_minor_version", minor);
    }
    facts.insert("ansible_distribution_release", found.release.as_str());
    if !found.file.is_empty() {
        facts.insert("ansible_distribution_file_path", found.file);
        facts.insert("ansible_distribution_file_variety", found.variety);
        facts.insert("ansible_distribution_file_parsed", true);
    }
    facts.insert("ansible_os_family", family);
    lsb(sections, facts);
}

/// Old and new relatives of Red Hat name themselves in a one-line file.
fn by_release_file(sections: &Sections) -> Option<Found> {
    let oracle = sections.line("file oracle-release");
    let line = oracle.or_else(|| sections.line("file redhat-release"))?;
    let file = if oracle.is_some() { "/etc/oracle-release" } else { "/etc/redhat-release" };
    let lower = line.to_lowercase();
    let name = [
        ("red hat", "RedHat"),
        ("centos", "CentOS"),
        ("rocky", "Rocky"),
        ("alma", "AlmaLinux"),
        ("oracle", "OracleLinux"),
        ("scientific", "Scientific"),
        ("fedora", "Fedora"),
        ("springdale", "Springdale"),
        ("cloudlinux", "CloudLinux"),
        ("amazon", "Amazon"),
        ("virtuozzo", "Virtuozzo"),
        ("openeuler", "openEuler"),
    ]
    .iter()
    .find(|(word, _)| lower.contains(word))
    .map_or_else(|| line.split(' ').next().unwrap_or("RedHat").to_string(), |(_, name)| (*name).to_string());
    let os_release = sections.lines("file os-release");
    let version = after_word(line, "release")
        .or_else(|| assignment(os_release, "VERSION_ID"))
        .unwrap_or_else(|| "NA".into());
    let code_name =
        line.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name.to_string());
    let release = if lower.contains("stream") {
        "Stream".to_string()
    } else {
        code_name.filter(|n| !n.is_empty()).unwrap_or_else(|| "NA".into())
    };
    let variety = if name == "OracleLinux" { "OracleLinux" } else { "RedHat" };
    Some(Found { name, version, release, file, variety })
}

fn after_word(line: &str, word: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|w| !w.eq_ignore_ascii_case(word)).skip(1);
    words.next().filter(|v| v.starts_with(|c: char| c.is_ascii_digit())).map(str::to_string)
}

fn by_os_release(sections: &Sections) -> Option<Found> {
    let lines = sections.lines("file os-release");
    let suse = sections.lines("file SuSE-release");
    if lines.is_empty() && !suse.is_empty() {
        return Some(old_suse(suse));
    }
    let get = |name: &str| assignment(lines, name).unwrap_or_default();
    let id = get("ID");
    let code_name = || {
        let named = get("VERSION_CODENAME");
        if !named.is_empty() {
            return named;
        }
        get("VERSION").split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or_else(
            || "NA".to_string(),
            |(name, _)| name.split(' ').next().unwrap_or(name).to_lowercase(),
        )
    };
    let mut found = Found {
        version: get("VERSION_ID"),
        release: code_name(),
        file: "/etc/os-release",
        variety: "NA",
        ..Found::default()
    };
    match id.as_str() {
        "debian" | "raspbian" => {
            found.name = if id == "debian" { "Debian" } else { "Raspbian" }.into();
            found.variety = "Debian";
            // The point release stands in a file of its own.
            if let Some(point) = sections.line("file debian_version")
                && point.starts_with(|c: char| c.is_ascii_digit())
            {
                found.version = point.to_string();
            }
        }
        "ubuntu" => {
            found.name = "Ubuntu".into();
            found.variety = "Debian";
        }
        "alpine" => {
            found.name = "Alpine".into();
            found.variety = "Alpine";
            found.file = "/etc/alpine-release";
            found.release = "NA".into();
            if let Some(version) = sections.line("file alpine-release") {
                found.version = version.to_string();
            }
        }
        "sles" | "sled" | "sles_sap" | "opensuse-leap" | "opensuse-tumbleweed" | "opensuse" => {
            found.variety = "SUSE";
            found.name = match id.as_str() {
                "opensuse-leap" => "openSUSE Leap".into(),
                "opensuse-tumbleweed" => "openSUSE Tumbleweed".into(),
                "opensuse" => "openSUSE".into(),
                other => other.to_uppercase(),
            };
            // Ansible's release is the service pack.
            found.release = found.version.split('.').nth(1).unwrap_or("0").to_string();
        }
        "arch" => {
            found.name = "Archlinux".into();
            found.version = "rolling".into();
        }
        "amzn" => found.name = "Amazon".into(),
        "fedora" => found.name = "Fedora".into(),
        "gentoo" => found.name = "Gentoo".into(),
        "" => return None,
        _ => {
            let name = get("NAME");
            found.name = name.split(" Linux").next().filter(|n| !n.is_empty()).unwrap_or(&id).to_string();
        }
    }
    if found.version.is_empty() {
        found.version = "NA".into();
    }
    Some(found)
}

/// SLES 11 has only `/etc/SuSE-release`.
fn old_suse(lines: &[String]) -> Found {
    let get = |name: &str| {
        lines.iter().find_map(|l| {
            let (key, value) = l.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_string())
        })
    };
    let version = get("VERSION").unwrap_or_else(|| "NA".into());
    let patch = get("PATCHLEVEL").unwrap_or_else(|| "0".into());
    let first = lines.first().map(String::as_str).unwrap_or_default();
    Found {
        name: if first.contains("Enterprise") { "SLES".into() } else { "openSUSE".into() },
        version: format!("{version}.{patch}"),
        release: patch,
        file: "/etc/SuSE-release",
        variety: "SUSE",
    }
}

/// A family named by the distribution itself.
fn like(sections: &Sections) -> Option<&'static str> {
    let like = assignment(sections.lines("file os-release"), "ID_LIKE")?;
    like.split(' ').find_map(|word| match word {
        "rhel" | "fedora" | "centos" => Some("RedHat"),
        "debian" | "ubuntu" => Some("Debian"),
        "suse" | "opensuse" | "sles" => Some("Suse"),
        "arch" => Some("Archlinux"),
        _ => None,
    })
}

fn lsb(sections: &Sections, facts: &mut Map) {
    let lines = sections.lines("file lsb-release");
    let told = sections.lines("lsb");
    let mut lsb = Map::new();
    // What the program says comes before the file, which many distributions do not have.
    for (name, key, words) in [
        ("id", "DISTRIB_ID", "Distributor ID"),
        ("release", "DISTRIB_RELEASE", "Release"),
        ("description", "DISTRIB_DESCRIPTION", "Description"),
        ("codename", "DISTRIB_CODENAME", "Codename"),
    ] {
        let said = told.iter().find_map(|l| l.strip_prefix(words)?.strip_prefix(':'));
        if let Some(value) = said.map(|v| v.trim().to_string()).or_else(|| assignment(lines, key)) {
            if name == "release" {
                lsb.insert("major_release", value.split('.').next().unwrap_or_default());
            }
            lsb.insert(name, value.trim_matches(['"', '\'', '\\']).trim());
        }
    }
    facts.insert("ansible_lsb", lsb);
}
