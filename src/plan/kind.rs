//! What a step works on, by what its module does.

/// The sort of thing that a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    File,
    Package,
    Service,
    Account,
    /// Rows of xCAT's tables.
    Table,
    /// A diskless image: its inputs, its tree, its archive.
    Image,
    /// What nodes boot, and their power.
    Boot,
    System,
    Command,
    Other,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::File,
        Kind::Package,
        Kind::Service,
        Kind::Account,
        Kind::Table,
        Kind::Image,
        Kind::Boot,
        Kind::System,
        Kind::Command,
        Kind::Other,
    ];

    /// Returns the word that summaries use for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Package => "package",
            Kind::Service => "service",
            Kind::Account => "account",
            Kind::Table => "table",
            Kind::Image => "image",
            Kind::Boot => "boot",
            Kind::System => "system",
            Kind::Command => "command",
            Kind::Other => "other",
        }
    }
}

/// Returns what a module works on. `name` may carry a collection in front.
pub fn of_module(name: &str) -> Kind {
    match name.rsplit('.').next().unwrap_or(name) {
        "copy" | "template" | "file" | "lineinfile" | "blockinfile" | "replace" | "assemble"
        | "unarchive" | "synchronize" | "git" | "get_url" | "ini_file" | "fetch" | "tempfile" | "acl"
        | "subversion" | "archive" | "capabilities" | "openssh_keypair" => Kind::File,
        "package" | "apt" | "dnf" | "dnf5" | "yum" | "zypper" | "apk" | "pip" | "rpm_key" | "apt_key"
        | "apt_repository" | "yum_repository" | "zypper_repository" | "deb822_repository"
        | "dpkg_selections" | "dpkg_divert" | "npm" | "gem" => Kind::Package,
        "service" | "systemd" | "systemd_service" | "sysvinit" => Kind::Service,
        "user" | "group" | "authorized_key" | "htpasswd" | "known_hosts" | "mysql_user"
        | "postgresql_user" => Kind::Account,
        "xcat_osimage" | "xcat_node" => Kind::Table,
        "xcat_copycds" | "xcat_genimage" | "xcat_image_list" | "xcat_image_service" | "xcat_otherpkgs"
        | "xcat_packimage" | "xcat_postinstall" => Kind::Image,
        "xcat_nodeset" | "xcat_boot" | "reboot" => Kind::Boot,
        "mount" | "sysctl" | "selinux" | "seboolean" | "modprobe" | "hostname" | "timezone" | "cron"
        | "iptables" | "firewalld" | "ufw" | "lvg" | "lvol" | "filesystem" | "parted"
        | "xcat_sync_install" | "xcat_updatenode" | "alternatives" | "debconf" | "locale_gen"
        | "sefcontext" | "seport" | "pam_limits" | "pamd" | "mysql_variables" | "mysql_replication" => {
            Kind::System
        }
        "command" | "shell" | "raw" | "script" | "expect" | "make" => Kind::Command,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_in_front_do_not_matter() {
        assert_eq!(of_module("ansible.builtin.copy"), Kind::File);
        assert_eq!(of_module("xcat_boot"), Kind::Boot);
        assert_eq!(of_module("debug"), Kind::Other);
    }
}
