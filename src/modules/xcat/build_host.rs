//! `xcat_build_host`: whether a host can build an image of a given operating system and architecture. Reads only.

use super::common::NAMESPACES;
use super::sh::{Sections, script};
use crate::modules::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::Map;

pub struct BuildHost;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_build_host",
    namespaces: NAMESPACES,
    about: "Tells whether this host's operating system and architecture match an image's, as genimage needs it",
    args: &[
        ArgSpec::new(
            "osvers",
            ArgKind::Str,
            "The image's operating system as xCAT names it, such as rhels9.4",
        )
        .required(),
        ArgSpec::new("osarch", ArgKind::Str, "The image's architecture, such as x86_64").required(),
        ArgSpec::new("provmethod", ArgKind::Str, "How the image is used").default("netboot"),
        ArgSpec::new("profile", ArgKind::Str, "What the image is for").default("service"),
        ArgSpec::new("required", ArgKind::Bool, "Fail when the host does not match").default("false"),
    ],
    returns: &[
        ("matches", "whether an image can be built here"),
        ("supported", "whether xCAT supports such an image at all"),
        ("os", "this host's operating system, such as rhel9"),
        ("arch", "this host's architecture"),
        ("reason", "what does not match"),
    ],
    ..ModuleSpec::BASE
};

impl Module for BuildHost {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(script(
            "xc_run os-release cat /etc/os-release\nxc_run redhat-release cat /etc/redhat-release\n\
             xc_run suse-release cat /etc/SuSE-release\nxc_run arch uname -m",
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let sections = Sections::of_probe(seen)?;
        let osvers = call.args.str("osvers").unwrap_or_default();
        let osarch = call.args.str("osarch").unwrap_or_default();
        let service = call.args.str("profile") == Some("service");
        let image = image_os(osvers);
        let mut result = Map::new();
        if service && call.args.str("provmethod") == Some("netboot") && image.family == "debian" {
            return Err(Failure::new(format!(
                "{osvers}: stateless service nodes of Ubuntu and Debian are not supported by xCAT"
            ))
            .with("supported", false));
        }
        let host = host_os(&sections);
        let arch = sections.line("arch");
        let mut reasons = Vec::new();
        if host.family != image.family || host.major != image.major {
            reasons.push(format!("this host runs {host}, the image is {image} ({osvers})"));
        }
        if arch != osarch {
            reasons.push(format!("this host is {arch}, the image is {osarch}"));
        }
        let reason = reasons.join("; ");
        result.insert("matches", reasons.is_empty());
        result.insert("supported", true);
        result.insert("os", host.to_string());
        result.insert("arch", arch);
        result.insert("reason", reason.clone());
        if call.args.flag("required") && !reasons.is_empty() {
            return Err(Failure {
                msg: format!(
                    "the image {osvers} {osarch} cannot be built here: {reason}; genimage needs a host with the \
                     image's operating system and architecture (name one in the inventory group image_builders)"
                ),
                result,
                ..Failure::default()
            });
        }
        Ok(Prediction::read(result))
    }
}

/// An operating system as far as genimage cares: packages of one family and major release.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Os {
    family: String,
    major: String,
}

impl std::fmt::Display for Os {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.family.is_empty() { "an unknown system" } else { &self.family }, self.major)
    }
}

fn family(id: &str) -> String {
    match id {
        "rhel" | "rhels" | "centos" | "centos-stream" | "rocky" | "alma" | "almalinux" | "ol"
        | "scientific" | "sl" | "rhelhpc" | "rhelc" => "rhel",
        "sles" | "sle" | "sled" | "suse" | "opensuse" | "opensuse-leap" => "sles",
        "ubuntu" | "debian" => "debian",
        other => other,
    }
    .to_string()
}

/// Takes an osvers such as `rhels6.4` or `centos-stream9` apart.
fn image_os(osvers: &str) -> Os {
    let at = osvers.find(|c: char| c.is_ascii_digit()).unwrap_or(osvers.len());
    let (id, version) = osvers.split_at(at);
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    Os { family: family(id.trim_end_matches('-')), major }
}

fn host_os(sections: &Sections) -> Os {
    if let Some(section) = sections.get("os-release").filter(|s| s.rc == 0) {
        let value = |key: &str| {
            section.out.lines().find_map(|l| l.strip_prefix(key)).map(|v| v.trim().trim_matches(['"', '\'']))
        };
        let version = value("VERSION_ID=").unwrap_or_default();
        return Os {
            family: family(value("ID=").unwrap_or_default()),
            major: version.chars().take_while(char::is_ascii_digit).collect(),
        };
    }
    // Releases from before os-release: "Red Hat Enterprise Linux Server release 6.4 (Santiago)".
    for (name, id) in [("redhat-release", "rhel"), ("suse-release", "sles")] {
        if let Some(section) = sections.get(name).filter(|s| s.rc == 0) {
            let line = section.line();
            let id = if line.starts_with("Fedora") { "fedora" } else { id };
            let major =
                line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
            return Os { family: id.to_string(), major };
        }
    }
    Os { family: String::new(), major: String::new() }
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::printed;
    use super::*;

    fn check(release: (&str, &str), arch: &str, image: (&str, &str), expect: &str) {
        let seen = printed(&[(release.0, release.1, 0, ""), ("arch", &format!("{arch}\n"), 0, "")]);
        let args = serde_json::json!({ "osvers": image.0, "osarch": image.1, "required": true });
        let got = with_call(&BuildHost, args, false, |call| BuildHost.plan(call, &seen));
        let got = match got {
            Ok(_) => "matches".to_string(),
            Err(failure) => failure.result.get("reason").map_or(failure.msg, |r| r.to_text()),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn compares_family_major_release_and_architecture() {
        let el9 = ("os-release", "NAME=\"Red Hat\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n");
        let el6 = ("redhat-release", "Red Hat Enterprise Linux Server release 6.4 (Santiago)\n");
        check(el9, "x86_64", ("rhels9.4", "x86_64"), "matches");
        check(el9, "x86_64", ("rocky9.2", "x86_64"), "matches");
        check(el6, "ppc64", ("rhels6.4", "ppc64"), "matches");
        check(el9, "ppc64le", ("rhels9.4", "x86_64"), "this host is ppc64le, the image is x86_64");
        check(
            el6,
            "x86_64",
            ("rhels9.4", "ppc64"),
            "this host runs rhel6, the image is rhel9 (rhels9.4); this host is x86_64, the image is ppc64",
        );
        check(
            el9,
            "x86_64",
            ("ubuntu22.04", "x86_64"),
            "ubuntu22.04: stateless service nodes of Ubuntu and Debian are not supported by xCAT",
        );
    }
}
