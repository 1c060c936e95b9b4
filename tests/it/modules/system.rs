//! Modules that manage a system: in a mount namespace with copies of /etc, /home and others.

use super::harness::{Bench, shells};
use super::{Case, check};

const ACCOUNTS: &[Case] = &[
    Case {
        name: "group makes a group",
        module: "group",
        args: r#"{"name": "xplaydev", "gid": 4711}"#,
        before: "",
        after: "grep -q '^xplaydev:x:4711:' /etc/group",
    },
    Case {
        name: "group changes a number",
        module: "group",
        args: r#"{"name": "xplaydev", "gid": 4712}"#,
        before: "echo xplaydev:x:4711: >>/etc/group",
        after: "grep -q '^xplaydev:x:4712:' /etc/group && ! grep -q :4711: /etc/group",
    },
    Case {
        name: "group removes a group",
        module: "group",
        args: r#"{"name": "xplaydev", "state": "absent"}"#,
        before: "echo xplaydev:x:4711: >>/etc/group",
        after: "! grep -q '^xplaydev:' /etc/group",
    },
    Case {
        name: "user makes a user",
        module: "user",
        args: r#"{"name": "xplayada", "uid": 4711, "comment": "Ada", "shell": "/bin/sh", "groups": "xplaydev", "password": "*"}"#,
        before: "echo xplaydev:x:4712: >>/etc/group",
        after: "grep -q '^xplayada:x:4711:.*:Ada:/home/xplayada:/bin/sh' /etc/passwd && [ -d /home/xplayada ] && \
                grep -q '^xplaydev:x:4712:xplayada' /etc/group",
    },
    Case {
        name: "user sets a password",
        module: "user",
        args: r#"{"name": "xplayada", "password": "$6$x$y", "create_home": false}"#,
        before: "echo 'xplayada:x:4711:100:Ada:/nowhere:/bin/sh' >>/etc/passwd; echo 'xplayada:!:1:0:99999:7:::' >>/etc/shadow",
        after: "grep -q '^xplayada:$6$x$y:' /etc/shadow",
    },
    Case {
        name: "user makes a home that is absent",
        module: "user",
        args: r#"{"name": "xplayada"}"#,
        before: "echo 'xplayada:x:4711:100:Ada:/home/deep/xplayada:/bin/sh' >>/etc/passwd; echo 'xplayada:!:1:0:99999:7:::' >>/etc/shadow",
        after: r#"[ "$(stat -c %u:%g /home/deep/xplayada)" = 4711:100 ] && [ "$(stat -c %u /home/deep)" = 0 ]"#,
    },
    Case {
        name: "user joins groups",
        module: "user",
        args: r#"{"name": "xplayada", "groups": "xplaydev", "append": true, "create_home": false}"#,
        before: "echo 'xplayada:x:4711:100:Ada:/nowhere:/bin/sh' >>/etc/passwd; echo 'xplayada:!:1:0:99999:7:::' >>/etc/shadow; echo xplaydev:x:4712: >>/etc/group",
        after: "grep -q '^xplaydev:x:4712:xplayada' /etc/group",
    },
    Case {
        name: "user removes a user",
        module: "user",
        args: r#"{"name": "xplayada", "state": "absent"}"#,
        before: "echo 'xplayada:x:4711:100:Ada:/nowhere:/bin/sh' >>/etc/passwd; echo 'xplayada:!:1:0:99999:7:::' >>/etc/shadow",
        after: "! grep -q '^xplayada:' /etc/passwd",
    },
];

/// What only the tools of shadow can do.
const SHADOW: &[Case] = &[
    Case {
        name: "user changes an account",
        module: "user",
        args: r#"{"name": "xplayada", "comment": "Ada Lovelace", "uid": 4712, "shell": "/bin/bash", "expires": 2529881062, "password_expire_max": 10, "password_lock": true}"#,
        before: "echo 'xplayada:x:4711:100:Ada:/home:/bin/sh' >>/etc/passwd; echo 'xplayada:$6$x$y:1:0:99999:7:::' >>/etc/shadow",
        after: "grep -q '^xplayada:x:4712:100:Ada Lovelace:/home:/bin/bash' /etc/passwd && grep -q '^xplayada:!$6$x$y:1:0:10:7::29281:' /etc/shadow",
    },
    Case {
        name: "user makes an SSH key",
        module: "user",
        args: r#"{"name": "xplayada", "generate_ssh_key": true, "ssh_key_type": "ed25519", "ssh_key_passphrase": "it's $ecret", "home": "/home/a b/c"}"#,
        before: "",
        after: r#"[ "$(stat -c %U '/home/a b/c/.ssh/id_ed25519')" = xplayada ] && ssh-keygen -y -P "it's \$ecret" -f '/home/a b/c/.ssh/id_ed25519' && [ "$(ls -A '/home/a b/c/.ssh' | wc -l)" = 2 ]"#,
    },
];

#[test]
fn accounts() {
    for shell in shells() {
        let shadow: &[Case] = if shell.name == "busybox" { &[] } else { SHADOW };
        for case in ACCOUNTS.iter().chain(shadow) {
            let Some(bench) = Bench::rooted(&shell) else { return };
            if !bench.has("useradd") && !bench.has("adduser") {
                println!("skipped: this {} has no tools for accounts", shell.name);
                break;
            }
            check(&bench, case, &format!("{}: {}", shell.name, case.name));
        }
    }
}
