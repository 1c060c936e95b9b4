//! Laws of modules that manage packages and the keys that they are trusted by.

use super::{Law, THERE, YES_NO};

/// Lines that put two public keys into files, and more lines.
macro_rules! keys {
    ($more:literal) => {
        concat!(
            "cat >one.asc <<'END'\n",
            include_str!("one.asc"),
            "END\ncat >two.asc <<'END'\n",
            include_str!("two.asc"),
            "END\n",
            $more
        )
    };
}

pub const LAWS: &[Law] = &[
    Law {
        module: "rpm_key",
        needs: &["rpm", "gpg"],
        inside: true,
        begin: keys!("echo \"%_dbpath $PWD/database\" >.rpmmacros; rpm --initdb"),
        states: &["rpm --import one.asc", "rpm --import two.asc"],
        always: r#"{"key": "$D/one.asc"}"#,
        choices: &[
            ("key", &["$D/two.asc", "0620C959", "0xB6D351A4860D048B", "$D/none.asc"]),
            (
                "fingerprint",
                &[
                    "B118 5F48 45E7 1421 389D  52DB 5B83 0988 0620 C959",
                    "B1185F4845E71421389D52DB5B8309880620C959",
                ],
            ),
            ("state", THERE),
        ],
        ..Law::BASE
    },
    Law {
        module: "apt_key",
        needs: &["apt-key", "gpg"],
        inside: true,
        begin: keys!(""),
        states: &[
            "apt-key --keyring \"$PWD/ring.gpg\" add one.asc 2>/dev/null",
            "apt-key --keyring \"$PWD/ring.gpg\" add two.asc 2>/dev/null",
        ],
        always: r#"{"file": "$D/one.asc", "keyring": "$D/ring.gpg"}"#,
        choices: &[
            ("id", &["5B8309880620C959", "0x0620c959", "B1185F4845E71421389D52DB5B8309880620C959"]),
            ("state", THERE),
        ],
        ..Law::BASE
    },
    Law {
        module: "apk",
        share: 2,
        doubles: &["apk"],
        inside: true,
        begin: "printf '%s\\n' 'bash 5.2-r0' 'bash 5.2-r1' 'curl 8.1-r0 ssl' 'ssl 3-r0' >repo; : >have; : >world",
        states: &[
            "printf 'bash 5.2-r0\\n' >>have; echo bash >>world",
            "printf 'ssl 3-r0\\n' >>have",
            "printf 'curl 8.1-r0\\n' >>have; echo curl=8.1-r0 >>world",
        ],
        always: r#"{"world": "$D/world", "name": "bash"}"#,
        choices: &[
            ("name", &["curl", "ssl", "bash,curl", "none"]),
            ("state", &["present", "latest", "absent", "removed"]),
            ("update_cache", YES_NO),
            ("no_cache", YES_NO),
            ("repository", &["http://h/a b"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "gem",
        share: 2,
        doubles: &["gem"],
        inside: true,
        begin: "printf '%s\\n' 'rake 13.0.6' 'rake 13.2.0' 'json 2.7.1' >remote",
        states: &[
            "echo 'rake 13.0.6' >>gems",
            "echo 'rake 13.2.0' >>gems",
            "echo 'rake default: 12.3.3' >default",
            "mkdir -p 'own gems'; echo 'rake 12.0.0' >'own gems/gems'",
        ],
        always: r#"{"name": "rake"}"#,
        choices: &[
            ("name", &["json", "none"]),
            ("version", &["13.0.6", "12.3.3", "9.9.9"]),
            ("state", &["absent", "latest", "present"]),
            ("install_dir", &["$D/own gems"]),
            ("user_install", YES_NO),
            ("force", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "npm",
        share: 2,
        doubles: &["npm"],
        inside: true,
        begin: "printf '%s\\n' 'semver 7.6.0' 'semver 7.7.0' '@a/b 1.0.0' >registry; mkdir -p 'an app' global",
        states: &[
            "for f in wanted have; do echo 'semver 7.6.0' >>\"an app/$f\"; done",
            "echo '@a/b 1.0.0' >>'an app/wanted'",
            "echo 'semver 7.7.0' >>global/wanted; echo 'semver 7.7.0' >>global/have",
        ],
        always: r#"{"path": "$D/an app"}"#,
        choices: &[
            ("name", &["semver", "@a/b"]),
            ("version", &["7.6.0", "7.7.0"]),
            ("state", &["absent", "latest", "present"]),
            ("path", &["$D/new app"]),
            ("global", YES_NO),
            ("production", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "pip",
        share: 2,
        doubles: &["pip", "virtualenv"],
        inside: true,
        begin: "printf '%s\\n' 'alpha 1.0' 'alpha 2.0 beta' 'beta 1.5' >index; virtualenv env",
        states: &["echo 'alpha 1.0' >>env/have", "echo 'beta 1.5' >>env/have"],
        always: r#"{"virtualenv": "$D/env", "name": "alpha"}"#,
        choices: &[
            ("name", &["beta", "alpha==1.0", "Alpha,beta", "none"]),
            ("version", &["1.0", "2.0", "9"]),
            ("state", &["absent", "latest", "present"]),
            ("umask", &["0077"]),
            ("break_system_packages", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "zypper",
        share: 2,
        doubles: &["zypper"],
        inside: true,
        begin: "printf '%s\\n' 'vim 9.0-1' 'vim 9.1-1 data' 'data 1-1' 'git 2-1' >repo; : >have",
        states: &["echo 'vim 9.0-1' >>have", "echo 'git 2-1' >>have", "echo 'data 1-1' >>have"],
        always: r#"{"name": "vim"}"#,
        choices: &[
            ("name", &["git", "vim=9.0-1", "-vim,+git", "vim,git", "none", "*"]),
            ("state", &["absent", "dist-upgrade", "latest", "present"]),
            ("update_cache", YES_NO),
            ("disable_gpg_check", YES_NO),
            ("oldpackage", YES_NO),
        ],
        ..Law::BASE
    },
];

laws_of!(rpm_key, apt_key, apk, gem, npm, pip, zypper);
