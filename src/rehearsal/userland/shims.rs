//! Scripts that stand in for programs whose answers must be the site's, not this machine's.

use crate::rehearsal::site::System;

/// A script and its place in a root tree.
pub(in crate::rehearsal) struct Shim {
    /// Relative to the root.
    pub(in crate::rehearsal) path: &'static str,
    pub(in crate::rehearsal) text: String,
}

/// The scripts of an operating system, for hosts and images alike.
pub(in crate::rehearsal) fn for_system(system: &System) -> Vec<Shim> {
    let fill = |text: &str| {
        text.replace("@KERNEL@", system.kernel)
            .replace("@VERSION@", system.kernel_version)
            .replace("@ARCH@", system.arch)
    };
    [
        ("usr/bin/uname", include_str!("scripts/uname.sh")),
        ("usr/bin/arch", include_str!("scripts/arch.sh")),
        ("usr/bin/hostname", include_str!("scripts/hostname.sh")),
        ("usr/bin/sudo", include_str!("scripts/sudo.sh")),
    ]
    .into_iter()
    .map(|(path, text)| Shim { path, text: fill(text) })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::for_system;
    use crate::rehearsal::site::Site;

    fn uname(site: Site, args: &[&str]) -> String {
        let shim = for_system(site.system()).into_iter().find(|shim| shim.path == "usr/bin/uname").unwrap();
        let output = Command::new("sh").arg("-c").arg(shim.text).arg("uname").args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn uname_answers_for_the_site() {
        assert_eq!(uname(Site::El9, &[]), "Linux\n");
        assert_eq!(uname(Site::Seed, &["-m"]), "ppc64\n");
        assert_eq!(uname(Site::Seed, &["-sr", "--machine"]), "Linux 2.6.32-358.el6.ppc64 ppc64\n");
        assert_eq!(uname(Site::El9, &["-rm"]), "5.14.0-427.13.1.el9_4.x86_64 x86_64\n");
        assert_eq!(uname(Site::El9, &["-z"]), "");
    }
}
