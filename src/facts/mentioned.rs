//! Which facts the texts of a project speak of, so that no others need be gathered.
//!
//! Texts come in as they are written; groups of facts go out. Words count wherever they stand, also in comments, and what
//! cannot be told from words (names that are put together, variables of other hosts) stands for all facts: a fact too many
//! costs time, one too few would be a mistake.

use super::{Group, group_of};

/// What was spoken of so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mentioned {
    all: bool,
    min: bool,
    hardware: bool,
    network: bool,
    virtual_: bool,
    local: bool,
}

/// Facts of the small group that are not names of its own in `gather_subset`.
const MIN: &[&str] = &[
    "apparmor",
    "domain",
    "effective_group_id",
    "effective_user_id",
    "fqdn",
    "nodename",
    "proc_cmdline",
    "real_group_id",
    "real_user_id",
    "selinux_python_present",
    "system_capabilities_enforced",
    "systemd",
    "user_dir",
    "user_gecos",
    "user_gid",
    "user_shell",
    "user_uid",
];
const MIN_BEGINNINGS: &[&str] = &["distribution_", "userspace_", "kernel_", "ssh_host_key_"];

const HARDWARE: &[&str] =
    &["device_links", "flags", "form_factor", "lvm", "memory_mb", "system_vendor", "uptime_seconds"];
const HARDWARE_BEGINNINGS: &[&str] =
    &["bios_", "board_", "chassis_", "mem", "processor_", "product_", "swap"];

const NETWORK: &[&str] = &["hostnqn", "iscsi_iqn", "locally_reachable_ips"];

/// Variables that begin as facts do and are none.
const OTHERS: &[&str] = &[
    "async_dir",
    "check_mode",
    "collection_name",
    "config_file",
    "connection",
    "dependent_role_names",
    "diff_mode",
    "failed_result",
    "failed_task",
    "forks",
    "host",
    "index_var",
    "inventory_sources",
    "limit",
    "loop",
    "loop_var",
    "managed",
    "password",
    "pipelining",
    "playbook_python",
    "port",
    "python_interpreter",
    "remote_tmp",
    "role_name",
    "role_names",
    "run_tags",
    "search_path",
    "skip_tags",
    "timeout",
    "user",
    "verbosity",
    "version",
    // What other modules leave among the facts.
    "packages",
    "services",
];
const OTHER_BEGINNINGS: &[&str] = &["become", "loop_", "parent_role_", "play_", "shell_", "ssh_"];

impl Mentioned {
    /// Says that any fact may be meant.
    pub fn everything(&mut self) {
        self.all = true;
    }

    /// Takes in a text of the project.
    pub fn read(&mut self, text: &str) {
        let mut rest = text;
        let mut before = None;
        while let Some(at) = rest.find(is_word) {
            let begins = rest[..at].chars().next_back().or(before);
            let word = &rest[at..];
            let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            self.word(word, begins, after);
            before = word.chars().next_back();
            rest = after;
        }
        let looks_up = ["lookup", "query", "q("].iter().any(|word| text.contains(word));
        let dynamic = ["vars'", "vars\"", "template'", "template\"", "varnames"];
        if looks_up && dynamic.iter().any(|word| text.contains(word)) {
            self.all = true;
        }
    }

    /// Takes in a template file, which may read others.
    pub fn read_template(&mut self, text: &str) {
        self.read(text);
        if ["include", "import", "extends"].iter().any(|word| text.contains(word)) {
            self.all = true;
        }
    }

    fn word(&mut self, word: &str, before: Option<char>, after: &str) {
        match word {
            "ansible_facts" => match member(after) {
                Some(name) => self.fact(name.strip_prefix("ansible_").unwrap_or(name)),
                None => self.all = true,
            },
            "hostvars" | "with_vars" | "with_varnames" | "with_template" => self.all = true,
            // The variables as a whole; as a keyword it is followed by a colon.
            "vars"
                if before != Some('.') && after.trim_start().starts_with(['[', '.', '|', '}', ')', ',']) =>
            {
                self.all = true;
            }
            _ => {
                if let Some(name) = word.strip_prefix("ansible_") {
                    self.fact(name);
                }
            }
        }
    }

    fn fact(&mut self, name: &str) {
        let listed = |names: &[&str], beginnings: &[&str]| {
            names.contains(&name) || beginnings.iter().any(|begin| name.starts_with(begin))
        };
        match group_of(name) {
            // The name of a group, and of the variable that says who logs in.
            _ if OTHERS.contains(&name) => {}
            Some(Group::Min) => self.min = true,
            Some(Group::Hardware) => self.hardware = true,
            Some(Group::Network) => self.network = true,
            Some(Group::Virtual) => self.virtual_ = true,
            _ if name == "local" => self.local = true,
            _ if listed(MIN, MIN_BEGINNINGS) => self.min = true,
            _ if listed(HARDWARE, HARDWARE_BEGINNINGS) => self.hardware = true,
            _ if listed(NETWORK, &[]) => self.network = true,
            _ if listed(&[], OTHER_BEGINNINGS) => {}
            // An interface, or something that this list does not know.
            _ => self.all = true,
        }
    }

    /// Returns what to gather in the words of `gather_subset`; nothing where no fact is spoken of.
    pub fn subset(&self) -> Vec<&'static str> {
        let groups = [
            (self.hardware, "hardware"),
            (self.network, "network"),
            (self.virtual_, "virtual"),
            (self.local, "local"),
        ];
        let named: Vec<&str> =
            groups.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect();
        match (self.all, named.is_empty()) {
            (true, _) => vec!["all"],
            (false, true) if !self.min => Vec::new(),
            _ => [vec!["!all"], named].concat(),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the name in `.name`, `['name']` or `["name"]` at the beginning of a text.
fn member(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let called = rest[end..].trim_start().starts_with('(');
        return Some(&rest[..end]).filter(|name| !name.is_empty() && !called);
    }
    let rest = text.strip_prefix('[')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, behind) = rest[1..].split_once(quote)?;
    (name.chars().all(is_word) && behind.trim_start().starts_with(']')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Subset, parse};

    fn subset(text: &str) -> String {
        let mut mentioned = Mentioned::default();
        mentioned.read(text);
        mentioned.subset().join(" ")
    }

    #[test]
    fn groups_that_are_spoken_of() {
        for (text, expect) in [
            ("- debug: msg=hello\n  vars:\n    a: 1\n", ""),
            ("when: ansible_check_mode and ansible_user == 'x' and ansible_become_user is defined", ""),
            ("when: ansible_os_family == 'RedHat'", "!all"),
            ("when: ansible_facts.distribution == 'x'", "!all"),
            ("when: ansible_facts['memtotal_mb'] > 3", "!all hardware"),
            ("{{ ansible_default_ipv4.address }} {{ ansible_facts[\"mounts\"] }}", "!all hardware network"),
            ("{{ ansible_local.x }} {{ ansible_virtualization_role }}", "!all virtual local"),
            ("{{ ansible_product_name }}", "!all hardware"),
            // An interface, and words that only the run puts together.
            ("{{ ansible_eth0.ipv4 }}", "all"),
            ("{{ ansible_facts[name] }}", "all"),
            ("{{ ansible_facts.get('x') }}", "all"),
            ("{{ ansible_facts }}", "all"),
            ("var: ansible_facts\n", "all"),
            ("{{ hostvars[item].x }}", "all"),
            ("{{ vars['ansible_' ~ name] }}", "all"),
            ("{{ lookup('vars', 'a' ~ name) }}", "all"),
            ("{{ lookup('file', 'x') }}", ""),
            ("{{ lookup('template', 'x.j2') }}", "all"),
        ] {
            assert_eq!(subset(text), expect, "{text}");
        }
        let mut template = Mentioned::default();
        template.read_template("{% include 'other.j2' %}");
        assert_eq!(template.subset(), ["all"]);
    }

    /// Whatever fact a recorded host has: asking for it by name gathers it.
    #[test]
    fn a_fact_that_is_spoken_of_is_gathered() {
        let mut count = 0;
        for path in crate::facts::tests::recorded() {
            let probed = std::fs::read(&path).unwrap();
            for (key, _) in parse(&probed, Subset::ALL) {
                let name = key.json_name();
                let words = subset(&format!("{{{{ {name} }}}}"));
                let wanted = Subset::parse(&words.split(' ').collect::<Vec<_>>()).unwrap();
                assert!(!words.is_empty() && parse(&probed, wanted).contains(&name), "{name}: {words}");
                count += 1;
            }
        }
        assert!(count > 200, "{count}");
    }
}
