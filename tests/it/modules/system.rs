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

/// Files of the system, at places of the case's own where the module allows it.
const FILES: &[Case] = &[
    Case {
        name: "known_hosts adds a key and drops the old one",
        module: "known_hosts",
        args: r#"{"name": "a.org", "key": "a.org ssh-rsa NEW", "path": "$D/known"}"#,
        before: "printf 'a.org ssh-rsa OLD\\nb.org ssh-rsa B' >known",
        after: r#"[ "$(tr '\n' '|' <known)" = 'b.org ssh-rsa B|a.org ssh-rsa NEW|' ]"#,
    },
    Case {
        name: "authorized_key makes folder and file",
        module: "authorized_key",
        args: r#"{"user": "root", "key": "ssh-ed25519 AAAA me@x", "path": "$D/.ssh/authorized_keys", "key_options": "no-pty"}"#,
        before: "",
        after: r#"[ "$(cat .ssh/authorized_keys)" = 'no-pty ssh-ed25519 AAAA me@x' ] && [ "$(stat -c %a .ssh)" = 700 ] && [ "$(stat -c %a .ssh/authorized_keys)" = 600 ]"#,
    },
    Case {
        name: "cron writes a file",
        module: "cron",
        args: r#"{"name": "it's a job", "job": "echo $(x) > '/y'", "special_time": "daily", "user": "root", "cron_file": "$D/jobs"}"#,
        before: "echo 'A=1' >jobs",
        after: r##"[ "$(sed -n 3p jobs)" = "@daily root echo \$(x) > '/y'" ] && [ "$(sed -n 2p jobs)" = "#Ansible: it's a job" ]"##,
    },
    Case {
        name: "cron removes a file's last job",
        module: "cron",
        args: r#"{"name": "j", "state": "absent", "cron_file": "$D/jobs"}"#,
        before: "printf '#Ansible: j\\n* * * * * root x\\n' >jobs",
        after: "[ ! -e jobs ]",
    },
    Case {
        name: "ini_file sets an option",
        module: "ini_file",
        args: r#"{"path": "$D/f.ini", "section": "a b", "option": "x", "value": "$(y) 'z'", "mode": "0600", "backup": true}"#,
        before: "printf '[a b]\\nx=1\\n[c]\\n' >f.ini",
        after: r#"[ "$(sed -n 2p f.ini)" = "x = \$(y) 'z'" ] && [ "$(stat -c %a f.ini)" = 600 ] && ls f.ini.*~ >/dev/null"#,
    },
    Case {
        name: "mount writes fstab",
        module: "mount",
        args: r#"{"path": "/mnt/a b", "src": "/dev/sdz1", "fstype": "ext4", "state": "present", "fstab": "$D/fstab"}"#,
        before: "echo '# mine' >fstab",
        after: r#"[ "$(sed -n 2p fstab)" = '/dev/sdz1 /mnt/a\040b ext4 defaults 0 0' ]"#,
    },
    Case {
        name: "sysctl writes a file",
        module: "sysctl",
        args: r#"{"name": "vm.xplay", "value": "1", "reload": false, "sysctl_file": "$D/sysctl.conf"}"#,
        before: "echo ' a = b' >sysctl.conf",
        after: r#"[ "$(tr '\n' '|' <sysctl.conf)" = 'a=b|vm.xplay=1|' ]"#,
    },
];

#[test]
fn files() {
    for shell in shells() {
        for case in FILES {
            let bench = Bench::new(&shell);
            if case.module == "sysctl" && !bench.has("sysctl") {
                println!("skipped: {} finds no sysctl", shell.name);
                continue;
            }
            if case.module == "authorized_key" && !bench.is_root() {
                println!("skipped: giving a file to root needs root");
                continue;
            }
            check(&bench, case, &format!("{}: {}", shell.name, case.name));
        }
    }
}

const CHOICES: &[Case] = &[
    Case {
        name: "alternatives chooses a program",
        module: "alternatives",
        args: r#"{"name": "xplay-try", "path": "$D/two", "link": "$D/link", "priority": 20}"#,
        before: "touch one two; mkdir -p /var/lib/dpkg/alternatives; update-alternatives --quiet --install \"$PWD/link\" xplay-try \"$PWD/one\" 30",
        after: r#"[ "$(readlink /etc/alternatives/xplay-try)" = "$PWD/two" ]"#,
    },
    Case {
        name: "hostname writes its file",
        module: "hostname",
        // A way that only writes a file: the others would rename the machine that runs the tests.
        args: r#"{"name": "n1.example.org", "use": "redhat"}"#,
        before: "mkdir -p /etc/sysconfig; echo NETWORKING=yes >/etc/sysconfig/network",
        after: r#"[ "$(sed -n 2p /etc/sysconfig/network)" = HOSTNAME=n1.example.org ]"#,
    },
    Case {
        name: "modprobe at each start",
        module: "modprobe",
        args: r#"{"name": "xplaytry", "state": "absent", "persistent": "absent"}"#,
        before: "mkdir -p /etc/modules-load.d /etc/modprobe.d; printf 'other\\nxplaytry # why\\n' >/etc/modules-load.d/a.conf; echo 'options xplaytry a=1' >/etc/modprobe.d/b.conf",
        after: r##"[ "$(tr '\n' '|' </etc/modules-load.d/a.conf)" = 'other|#xplaytry # why|' ] && [ "$(cat /etc/modprobe.d/b.conf)" = '#options xplaytry a=1' ]"##,
    },
];

#[test]
fn choices() {
    for shell in shells() {
        for case in CHOICES {
            let Some(bench) = Bench::rooted(&shell) else { return };
            let needs = match case.module {
                "alternatives" => "update-alternatives",
                "modprobe" => "modprobe",
                _ => "true",
            };
            if !bench.has(needs) {
                println!("skipped: {} finds no {needs}", shell.name);
                continue;
            }
            check(&bench, case, &format!("{}: {}", shell.name, case.name));
        }
    }
}

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
