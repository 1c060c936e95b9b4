//! Which facts the texts of a project speak of, so that no others need be gathered.
//!
//! Texts come in as they are written; groups of facts go out. Words count wherever they stand, also in comments, and what
//! cannot be told from words (names that are put together, variables of other hosts) stands for all facts: a fact too many
//! costs time, one too few would be a mistake.

use super::Subset;

/// What was spoken of so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mentioned {
    all: bool,
    wanted: Subset,
}

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
        // The name of a group, and of the variable that says who logs in.
        if OTHERS.contains(&name) {
            return;
        }
        let other = OTHER_BEGINNINGS.iter().any(|begin| name.starts_with(begin));
        // An interface, or something that no list knows.
        if !self.wanted.add_fact(name) && !other {
            self.all = true;
        }
    }

    /// Returns what to gather in the words of `gather_subset`; nothing where no fact is spoken of.
    pub fn subset(&self) -> Vec<&'static str> {
        if self.all { vec!["all"] } else { self.wanted.words() }
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
            ("when: ansible_os_family == 'RedHat'", "!all !local"),
            ("when: ansible_facts.distribution == 'x'", "!all !local"),
            ("when: ansible_facts['memtotal_mb'] > 3", "!all !local hardware"),
            (
                "{{ ansible_default_ipv4.address }} {{ ansible_facts[\"mounts\"] }}",
                "!all !local hardware network",
            ),
            ("{{ ansible_local.x }} {{ ansible_virtualization_role }}", "!all virtual"),
            ("{{ ansible_is_chroot }} {{ ansible_loadavg }}", "!all !local chroot loadavg"),
            ("{{ ansible_product_name }}", "!all !local hardware"),
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
