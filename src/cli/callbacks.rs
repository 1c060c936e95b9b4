//! Ansible's callbacks by name: which form a run's text has, and what is written beside it.

/// Callbacks that there are, with what they do.
pub const CALLBACKS: &[(&str, &str)] = &[
    ("default", "The text of ansible-playbook."),
    ("minimal", "Results alone, as the command ansible prints them."),
    ("oneline", "Results alone, one line each."),
    ("tree", "Keeps each host's last result in a file of a directory."),
    ("yaml", "The default text with results as YAML."),
];
