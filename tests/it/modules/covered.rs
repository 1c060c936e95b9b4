//! Where the laws of each module are checked: no module of the registry may be missing here.

use super::{generated, generated_system};

/// Modules with stories of their own, which plan, change and plan again for real.
const STORIES: &[(&str, &[&str])] = &[
    ("modules::apt, on a root and a repository of its own", &["apt"]),
    ("modules::dnf, on a root and a repository of its own", &["dnf", "dnf5", "yum"]),
    ("modules::git, on repositories of its own", &["git"]),
    ("modules::subversion, on a repository of its own", &["subversion"]),
    ("modules::net, on a server of its own", &["get_url", "uri"]),
    ("modules::system", &["modprobe"]),
    ("modules::fetch_brings_files_here", &["fetch"]),
    (
        "plans::the_service_node_job and procedure, on rehearsed clusters",
        &[
            "xcat_copycds",
            "xcat_osimage",
            "xcat_image_list",
            "xcat_postinstall",
            "xcat_otherpkgs",
            "xcat_genimage",
            "xcat_image_service",
            "xcat_packimage",
            "xcat_nodeset",
            "xcat_boot",
            "xcat_node",
            "xcat_sync_install",
            "xcat_updatenode",
        ],
    ),
];

/// Modules for which the laws say nothing.
const OUTSIDE: &[(&str, &[&str])] = &[
    (
        "only look",
        &[
            "find",
            "getent",
            "mount_facts",
            "package_facts",
            "ping",
            "service_facts",
            "setup",
            "slurp",
            "stat",
            "wait_for",
            "xcat_build_host",
            "xcat_facts",
            "xcat_verify",
        ],
    ),
    (
        "say that their effect is not known before",
        &["command", "expect", "mysql_replication", "raw", "script", "shell"],
    ),
    ("make something new each time", &["tempfile"]),
];

#[test]
fn every_module_is_under_laws() {
    let listed = STORIES.iter().chain(OUTSIDE).flat_map(|(_, names)| names.iter().copied());
    let mut known: Vec<&str> =
        generated::MODULES.iter().copied().chain(generated_system::modules()).chain(listed).collect();
    known.sort_unstable();
    let mut all: Vec<&str> = xplay::modules::modules().map(|module| module.spec().name).collect();
    all.sort_unstable();
    assert_eq!(known, all);
}
