//! How much a step can break, by what its module does.

use super::model::{Plan, Risk};

/// Returns the risk of a change by this module. `name` is the module's own name without a namespace.
pub fn of_module(name: &str) -> Risk {
    match name {
        "stat" | "slurp" | "find" | "getent" | "ping" | "setup" | "gather_facts" | "service_facts"
        | "package_facts" | "mount_facts" | "wait_for" | "xcat_facts" | "xcat_verify" | "xcat_build_host" => {
            Risk::None
        }
        "xcat_boot" | "reboot" => Risk::Disruptive,
        "xcat_nodeset" | "xcat_packimage" | "xcat_updatenode" | "iptables" | "firewalld" | "ufw" => {
            Risk::High
        }
        "command" | "shell" | "raw" | "script" | "expect" | "make" => Risk::Opaque,
        // What they remove is gone with everything in it.
        "mysql_db" | "postgresql_db" => Risk::High,
        "lvg" | "lvol" | "filesystem" | "parted" => Risk::Destructive,
        "package" | "apt" | "dnf" | "dnf5" | "yum" | "zypper" | "apk" | "pip" | "rpm_key" | "apt_key"
        | "service" | "systemd" | "systemd_service" | "sysvinit" | "mount" | "user" | "group" | "selinux"
        | "seboolean" | "seport" | "sysctl" | "modprobe" | "xcat_osimage" | "xcat_node" | "xcat_genimage"
        | "xcat_copycds" | "xcat_otherpkgs" | "xcat_image_service" | "xcat_sync_install" | "hostname"
        | "unarchive" | "synchronize" | "archive" | "dpkg_divert" | "git" | "npm" | "gem" | "pamd"
        | "mysql_user" | "mysql_replication" | "mysql_variables" | "postgresql_user" | "postgresql_privs" => {
            Risk::Medium
        }
        _ => Risk::Low,
    }
}

/// Returns the highest risk of what applying a plan may change.
pub fn of_plan(plan: &Plan) -> Risk {
    plan.steps.iter().filter(|s| s.acts()).map(|s| s.risk).max().unwrap_or(Risk::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_disruptive_and_commands_are_opaque() {
        assert!(of_module("xcat_boot") >= Risk::Disruptive);
        assert_eq!(of_module("shell"), Risk::Opaque);
        assert!(of_module("copy") < of_module("xcat_nodeset"));
    }
}
