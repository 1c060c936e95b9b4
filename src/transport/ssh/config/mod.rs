//! ssh_config as OpenSSH's client reads it: Host, Match, Include, tokens; the first value that is found counts.
//!
//! Pure: what the machine knows (files, environment, results of commands) comes in by [`World`]. Comparisons with
//! `ssh -G` stand in `tests/it/ssh_config.rs`.

mod algorithms;
mod arguments;
mod criteria;
mod evaluate;
mod expand;
mod keyword;
mod line;
mod resolve;

pub use algorithms::assemble;
pub use arguments::{Arguments, SshOption};
pub use evaluate::{ConfigText, Files, Person, Query, Settings, Trust, World, evaluate};
pub use resolve::{
    AddKeys, Algorithms, Family, ForwardAgent, Jump, KeyFile, Methods, Proxy, Resolved, resolve,
};

/// Whether OpenSSH would take a text as the name of a host: names from inventories end up in commands.
pub fn valid_host(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){},".contains(c);
    !name.is_empty() && !name.starts_with('-') && !name.chars().any(odd)
}

/// Whether OpenSSH would take a text as a login name.
pub fn valid_user(name: &str) -> bool {
    let odd = |c: char| c.is_control() || "'`\";&<>|(){}".contains(c);
    let chars: Vec<char> = name.chars().collect();
    let option_later = chars.windows(2).any(|w| w[0].is_whitespace() && w[1] == '-');
    !name.starts_with('-') && !name.ends_with('\\') && !option_later && !name.chars().any(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_commands_are_no_names() {
        for name in ["mn1", "10.0.0.1", "fe80::1%eth0", "a_b.c-d"] {
            assert!(valid_host(name), "{name}");
        }
        for name in ["", "-oProxyCommand=x", "a b", "a\nb", "$(id)", "`id`", "a;b", "a'b", "a{b}", "a,b"] {
            assert!(!valid_host(name), "{name}");
        }
        for name in ["root", "dom\\ann", "ann@site", "a b", "$x"] {
            assert!(valid_user(name), "{name}");
        }
        for name in ["-l", "a -b", "a\\", "a;b", "a\tb", "`id`", "(x)"] {
            assert!(!valid_user(name), "{name}");
        }
    }
}
