//! Names that only the program sets, and names that decide how a host is reached.

/// Magic variables of Ansible.
pub(super) const MAGIC: &[&str] = &[
    "ansible_check_mode",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_index_var",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_loop",
    "ansible_loop_var",
    "ansible_parent_role_names",
    "ansible_parent_role_paths",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_name",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_search_path",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "omit",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "vars",
];

/// Connection and privilege settings; a fact of such a name is not taken as a variable.
const CONNECTION_PREFIXES: &[&str] = &[
    "ansible_become",
    "ansible_ssh_",
    "ansible_connection",
    "ansible_sudo",
    "ansible_su_",
    "ansible_doas",
    "xplay_",
];
const CONNECTION: &[&str] = &[
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_shell_type",
    "ansible_shell_executable",
    "ansible_python_interpreter",
    "ansible_timeout",
    "ansible_remote_tmp",
    "ansible_private_key_file",
    "ansible_pipelining",
    "ansible_scp_extra_args",
    "ansible_sftp_extra_args",
    "ansible_service_mgr_override",
    "environment",
    "item",
];

/// Tells whether only the program sets a variable of this name.
pub fn is_magic(name: &str) -> bool {
    MAGIC.contains(&name)
}

/// Tells whether a fact of this name must not become a variable. Host keys (`ansible_ssh_host_key_*_public`) are facts.
pub(super) fn is_protected(name: &str) -> bool {
    if name.starts_with("ansible_ssh_host_key_") {
        return false;
    }
    MAGIC.contains(&name)
        || CONNECTION.contains(&name)
        || CONNECTION_PREFIXES.iter().any(|p| name.starts_with(p))
}
