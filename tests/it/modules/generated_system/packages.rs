//! Laws of modules that manage packages and the keys that they are trusted by.

use super::{Law, THERE};

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
];

laws_of!(rpm_key, apt_key);
